//! One of the two servers, and how a script runs on it.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Certificate, Client, Method, Response};
use serde_json::Value as Json;
use soll_apiserver::sim::{Controllers, Simulation, SimulationOptions};
use soll_apiserver::store::Limits;
use soll_apiserver::{Running, Server, ServerOptions};
use soll_cluster::{Cluster, ConnectOptions, Credentials};
use soll_testkit::ControlPlane;
use tokio::time::{Instant, timeout};

use super::script::{self, Names, Script, Step};

/// The longest that a watch may take to tell, or a condition to come true.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a condition is asked for.
const PACE: Duration = Duration::from_millis(30);

/// Begins what is said of a server that breaks off.
pub(super) const NO_ANSWER: &str = "no answer to";

/// A server to ask.
pub(super) struct Side {
    pub(super) name: &'static str,
    client: Client,
    url: String,
    token: String,
    /// Runs the pods where there are controllers that make any.
    _nodes: Option<Simulation>,
    /// Kept so that it goes on.
    server: Kept,
}

enum Kept {
    Real { control_plane: Box<ControlPlane> },
    Embedded { _server: Box<Server>, _running: Running },
}

/// What one step saw.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) code: u16,
    /// The headers that are part of the contract; several values in order.
    pub(super) headers: BTreeMap<&'static str, Vec<String>>,
    pub(super) body: Json,
    pub(super) events: Vec<Json>,
}

/// A script that could not go on.
pub(super) type Stuck = String;

impl Side {
    pub(super) async fn real(controllers: bool) -> Self {
        let start = move || if controllers { ControlPlane::start() } else { ControlPlane::start_bare() };
        let control_plane = tokio::task::spawn_blocking(start).await.unwrap();
        let nodes = match controllers {
            true => Some(nodes(control_plane.kubeconfig(), Controllers::Real).await),
            false => None,
        };
        Self {
            name: "kube-apiserver",
            _nodes: nodes,
            client: client(control_plane.certificate()),
            url: control_plane.url(),
            token: control_plane.token().to_owned(),
            server: Kept::Real { control_plane: Box::new(control_plane) },
        }
    }

    pub(super) async fn embedded(controllers: bool, limits: Limits) -> Self {
        let options = ServerOptions { controllers, limits, ..ServerOptions::default() };
        let server = Server::new(&options).unwrap();
        let running = server.serve(([127, 0, 0, 1], 0).into()).await.unwrap();
        let kubeconfig = running.kubeconfig().to_owned();
        let nodes = match controllers {
            true => {
                let file = tempfile::NamedTempFile::new().unwrap();
                running.write_kubeconfig(file.path()).unwrap();
                Some(nodes(file.path().to_owned(), Controllers::Simulated).await)
            }
            false => None,
        };
        let after = |key: &str| {
            let rest = kubeconfig.split_once(&format!("{key}: ")).unwrap().1;
            rest.lines().next().unwrap().to_owned()
        };
        use base64::Engine as _;
        let certificate =
            base64::engine::general_purpose::STANDARD.decode(after("certificate-authority-data")).unwrap();
        Self {
            name: "the embedded server",
            _nodes: nodes,
            client: client(std::str::from_utf8(&certificate).unwrap()),
            url: running.url(),
            token: after("token"),
            server: Kept::Embedded { _server: Box::new(server), _running: running },
        }
    }

    /// Forgets what was before a revision. The embedded server does so by itself, after as many changes as its limits say.
    pub(super) async fn forget(&mut self, revision: &str) {
        let Kept::Real { control_plane } = &mut self.server else { return };
        let body = serde_json::json!({"revision": revision, "physical": true}).to_string();
        let asked = Client::new().post(format!("{}/v3/kv/compaction", control_plane.etcd_url())).body(body).send();
        let answer = asked.await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        // What it remembers itself goes with it.
        tokio::task::block_in_place(|| control_plane.restart_apiserver());
    }

    /// Makes the namespace of a script, as controllers would.
    pub(super) async fn prepare(&self, namespace: &str, controllers: bool) {
        let post = |path: String, body: Json| Step { post: Some(path), body: Some(body), ..Step::default() };
        let space = serde_json::json!({"metadata": {"name": namespace}});
        let made = answer(self.send(&post("/api/v1/namespaces".to_owned(), space)).await.unwrap()).await;
        assert_eq!(made.code, 201, "{}: {}", self.name, made.body);
        if !controllers {
            let account = serde_json::json!({"metadata": {"name": "default"}, "automountServiceAccountToken": false});
            let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
            let made = answer(self.send(&post(path, account)).await.unwrap()).await;
            assert!(matches!(made.code, 201 | 409), "{}: {}", self.name, made.body);
        }
    }

    /// Runs a script and tells what each step saw.
    pub(super) async fn run(&self, script: &Script) -> Result<Vec<Seen>, Stuck> {
        let mut names = script.names.clone();
        let mut watches: HashMap<String, Lines> = HashMap::new();
        let mut seen = Vec::new();
        for (index, step) in script.steps.iter().enumerate() {
            let stuck = |why: String| format!("step {}: {}: {why}", index + 1, self.name);
            let step = step.filled(&names);
            let one = if let Some(watch) = &step.collect {
                let lines = watches.get_mut(watch).unwrap_or_else(|| panic!("no watch {watch}"));
                Seen { code: 200, events: lines.collect(&step).await.map_err(stuck)?, ..Seen::default() }
            } else if let Some(watch) = &step.watch {
                let response = self.send(&step).await.map_err(stuck)?;
                let (code, headers) = (response.status().as_u16(), headers(&response));
                if code == 200 {
                    watches.insert(watch.clone(), Lines { response, rest: Vec::new() });
                    Seen { code, headers, ..Seen::default() }
                } else {
                    answer(response).await
                }
            } else {
                self.ask(&step).await.map_err(stuck)?
            };
            capture(&step, &one, &mut names).map_err(stuck)?;
            seen.push(one);
        }
        Ok(seen)
    }

    async fn ask(&self, step: &Step) -> Result<Seen, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen = answer(self.send(step).await?).await;
            let Some(wanted) = &step.until else { return Ok(seen) };
            let is_there = |path: &str, wanted: &Json| match found(&seen, path) {
                found if wanted == script::ANYTHING => !found.is_null(),
                found => &found == wanted,
            };
            if wanted.iter().all(|(path, wanted)| is_there(path, wanted)) {
                return Ok(seen);
            }
            if Instant::now() > deadline {
                return Err(format!("waited for {wanted:?} in vain; last: {} {}", seen.code, seen.body));
            }
            tokio::time::sleep(PACE).await;
        }
    }

    async fn send(&self, step: &Step) -> Result<Response, String> {
        let request = step.request().expect("a step is a request or reads a watch");
        let method: Method = request.method.parse().unwrap();
        let mut sent = self.client.request(method, format!("{}{}", self.url, request.path));
        sent = sent.header("user-agent", "script/v1");
        if !step.headers.keys().any(|name| name.eq_ignore_ascii_case("authorization")) {
            sent = sent.bearer_auth(&self.token);
        }
        for (name, value) in &step.headers {
            for value in value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice) {
                sent = sent.header(name, value.as_str().expect("headers are texts"));
            }
        }
        if let Some(user) = &step.user {
            sent = sent.header("impersonate-user", user);
        }
        let has_type = step.headers.keys().any(|name| name.eq_ignore_ascii_case("content-type"));
        if let (Some(content_type), Some(_), false) = (request.content_type, &step.body, has_type) {
            sent = sent.header("content-type", content_type);
        }
        match &step.body {
            Some(Json::String(text)) => sent = sent.body(text.clone()),
            Some(body) => sent = sent.body(body.to_string()),
            None => {}
        }
        sent.send().await.map_err(|error| format!("{NO_ANSWER} {} {}: {error:?}", request.method, request.path))
    }
}

/// Nodes that run what is asked of them, and controllers where there are none.
async fn nodes(kubeconfig: PathBuf, controllers: Controllers) -> Simulation {
    let credentials = Credentials::Kubeconfig(kubeconfig);
    let options = ConnectOptions { credentials, qps: 0.0, ..ConnectOptions::default() };
    let cluster = Cluster::connect(&options).await.unwrap();
    let options = SimulationOptions { controllers, ..SimulationOptions::default() };
    Simulation::start(cluster, options).await.unwrap()
}

fn client(certificate: &str) -> Client {
    let certificate = Certificate::from_pem(certificate.as_bytes()).unwrap();
    Client::builder().add_root_certificate(certificate).no_proxy().build().unwrap()
}

fn headers(response: &Response) -> BTreeMap<&'static str, Vec<String>> {
    let mut headers = BTreeMap::new();
    for name in ["content-type", "warning", "retry-after"] {
        let values = response.headers().get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        headers.insert(name, values.map(std::borrow::Cow::into_owned).collect());
    }
    headers
}

async fn answer(response: Response) -> Seen {
    let (code, headers) = (response.status().as_u16(), headers(&response));
    let bytes = response.bytes().await.unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let is_yaml = headers["content-type"].iter().any(|kind| kind == "application/yaml");
    let body =
        if is_yaml { script::yaml(&text) } else { serde_json::from_slice(&bytes).unwrap_or_else(|_| text.into()) };
    Seen { code, headers, body, events: Vec::new() }
}

/// The value at a path such as `metadata.name`, `items.0.metadata.name` or `status.conditions.type=Ready.status`.
fn found(seen: &Seen, path: &str) -> Json {
    if path == "code" {
        return seen.code.into();
    }
    // Keys with dots are written with `~`.
    path.split('.')
        .try_fold(&seen.body, |value, key| match (value, key.parse::<usize>()) {
            (Json::Array(items), Ok(index)) => items.get(index),
            (Json::Array(items), Err(_)) => {
                let (field, wanted) = key.split_once('=')?;
                items.iter().find(|item| item[field] == wanted)
            }
            (value, _) => value.get(key.replace('~', ".")),
        })
        .cloned()
        .unwrap_or_default()
}

fn capture(step: &Step, seen: &Seen, names: &mut Names) -> Result<(), String> {
    for (name, path) in &step.capture {
        let value = found(seen, path);
        if value.is_null() {
            return Err(format!("nothing at {path}: {} {}", seen.code, seen.body));
        }
        names.insert(name.clone(), value);
    }
    Ok(())
}

/// The events of a watch.
struct Lines {
    response: Response,
    rest: Vec<u8>,
}

impl Lines {
    async fn collect(&mut self, step: &Step) -> Result<Vec<Json>, String> {
        let mut events = Vec::new();
        let enough = |events: &[Json]| {
            let last = events.last().map(|event| &event["type"]);
            step.count.is_some_and(|count| events.len() >= count)
                || step.event.as_deref().is_some_and(|wanted| last.is_some_and(|last| last == wanted))
        };
        while !enough(&events) {
            match timeout(PATIENCE, self.next()).await {
                Ok(Some(event)) => events.push(event),
                Ok(None) if step.end => return Ok(events),
                Ok(None) => return Err(format!("the watch ended after {events:?}")),
                Err(_) => return Err(format!("the watch told no more than {events:?}")),
            }
        }
        Ok(events)
    }

    async fn next(&mut self) -> Option<Json> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            self.rest.extend_from_slice(&self.response.chunk().await.ok()??);
        }
    }
}
