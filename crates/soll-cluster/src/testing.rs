//! A small API server for unit tests: objects by path, with resource versions, and nothing else.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::ready;
use futures::stream::{once, pending};
use http::{Method, Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use kube::client::Body;
use soll_yaml::{Value, parse_json, to_json};

use crate::{Cluster, ConnectOptions};

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// Answers one request by method, path with query, and body.
pub(crate) trait Server: Send + Sync + 'static {
    /// Code and body.
    fn answer(&self, method: &Method, path: &str, body: &[u8]) -> (u16, String);

    /// Whether the answer has no end: more may come.
    fn stays_open(&self, _path: &str) -> bool {
        false
    }

    /// How long after it is done it answers.
    fn delay(&self, _path: &str) -> Duration {
        Duration::ZERO
    }
}

/// A cluster whose server is a function.
pub(crate) fn cluster(server: Arc<dyn Server>) -> Cluster {
    let service = tower::service_fn(move |request: Request<Body>| {
        let server = Arc::clone(&server);
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
            let (code, text) = server.answer(&parts.method, path, &body);
            tokio::time::sleep(server.delay(path)).await;
            let body = match server.stays_open(path) {
                false => Full::from(text).boxed_unsync(),
                true => {
                    StreamBody::new(once(ready(Ok(Frame::data(Bytes::from(text))))).chain(pending())).boxed_unsync()
                }
            };
            let answer = Response::builder().status(code).body(body).expect("a valid answer");
            Ok::<Answer, Infallible>(answer)
        }
    });
    Cluster::from_service(service, &ConnectOptions::default())
}

/// A server that answers discovery of ConfigMaps by itself, and all else by a script; writes down what it was asked.
pub(crate) struct Script {
    answers: Mutex<Vec<(u16, String)>>,
    asked: Mutex<Vec<String>>,
    holds_watches: bool,
}

impl Script {
    /// Answers in this order; the last one again and again.
    pub(crate) fn new(answers: &[(u16, &str)]) -> Arc<Self> {
        let answers = answers.iter().rev().map(|(code, text)| (*code, (*text).to_owned())).collect();
        Arc::new(Self { answers: Mutex::new(answers), asked: Mutex::default(), holds_watches: false })
    }

    /// The same, and no answer to a watch comes to its end.
    pub(crate) fn that_holds_watches(answers: &[(u16, &str)]) -> Arc<Self> {
        let script = Arc::into_inner(Self::new(answers)).expect("nobody else has it yet");
        Arc::new(Self { holds_watches: true, ..script })
    }

    /// Paths with queries, discovery aside.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

const CORE: &str = r#"{"kind":"APIResourceList","resources":[
    {"name":"configmaps","kind":"ConfigMap","namespaced":true,"verbs":["get","list","watch"]},
    {"name":"configmaps/fake","kind":"ConfigMap","namespaced":true,"verbs":["get"]}]}"#;

impl Server for Script {
    fn stays_open(&self, path: &str) -> bool {
        self.holds_watches && path.contains("watch=1")
    }

    fn answer(&self, _: &Method, path: &str, _: &[u8]) -> (u16, String) {
        match path {
            "/api" => return (200, r#"{"kind":"APIVersions","versions":["v1"]}"#.to_owned()),
            "/apis" => return (200, r#"{"kind":"APIGroupList","groups":[]}"#.to_owned()),
            "/api/v1" => return (200, CORE.to_owned()),
            _ => {}
        }
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(path.to_owned());
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() > 1 { answers.pop() } else { answers.last().cloned() }.expect("a script has answers")
    }
}

/// Objects by path. Shared by all clusters made from it.
#[derive(Clone, Default)]
pub(crate) struct Objects(Arc<Mutex<Stored>>);

#[derive(Default)]
struct Stored {
    objects: BTreeMap<String, Value>,
    version: i64,
    refuses: bool,
    /// Part of a path, and how long the answers take that have it.
    late: Option<(&'static str, Duration)>,
}

impl Objects {
    pub(crate) fn cluster(&self) -> Cluster {
        cluster(Arc::new(self.clone()))
    }

    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.stored().objects.get(path).cloned()
    }

    /// From now on every answer is an error.
    pub(crate) fn refuse_all(&self) {
        self.stored().refuses = true;
    }

    /// From now on, what is asked of such paths is done, and answered later.
    pub(crate) fn answer_late(&self, part: &'static str, delay: Duration) {
        self.stored().late = Some((part, delay));
    }

    fn stored(&self) -> MutexGuard<'_, Stored> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The objects of a collection that have a label.
fn list(objects: &BTreeMap<String, Value>, collection: &str, selector: &str) -> String {
    let selector = selector.replace("%2F", "/").replace("%3D", "=");
    let (label, value) = selector.split_once('=').expect("a label and its value");
    let within = objects.iter().filter(|(path, _)| path.starts_with(&format!("{collection}/")));
    let has = |object: &Value| object.lookup_str(&["metadata", "labels", label]) == Some(value);
    let items: Vec<Value> = within.filter(|(_, object)| has(object)).map(|(_, object)| object.clone()).collect();
    let mut list = Value::map();
    list.make_map().insert("items", Value::list(items));
    to_json(&list)
}

fn status(code: u16, reason: &str, name: &str) -> (u16, String) {
    let text = format!(
        r#"{{"kind":"Status","code":{code},"reason":"{reason}","message":"{name}: {reason}","details":{{"name":"{name}"}}}}"#
    );
    (code, text)
}

impl Server for Objects {
    fn delay(&self, path: &str) -> Duration {
        let late = self.stored().late;
        late.filter(|(part, _)| path.contains(part)).map_or(Duration::ZERO, |(_, delay)| delay)
    }

    fn answer(&self, method: &Method, path: &str, body: &[u8]) -> (u16, String) {
        let mut stored = self.stored();
        if stored.refuses {
            return status(500, "InternalError", "x");
        }
        let mut object = parse_json(body).unwrap_or_default();
        let name = object.lookup_str(&["metadata", "name"]).unwrap_or_default().to_owned();
        let key = if *method == Method::POST { format!("{path}/{name}") } else { path.to_owned() };
        let known = stored.objects.get(&key).cloned();
        if let Some((collection, selector)) = path.split_once("?labelSelector=") {
            return (200, list(&stored.objects, collection, selector));
        }
        match (method.as_str(), known) {
            ("DELETE", Some(known)) => {
                stored.objects.remove(&key);
                return (200, to_json(&known));
            }
            ("GET", Some(known)) => return (200, to_json(&known)),
            ("GET" | "PUT" | "DELETE", None) => return status(404, "NotFound", "x"),
            ("POST", Some(_)) => return status(409, "AlreadyExists", &name),
            ("PUT", Some(known)) => {
                let version = |object: &Value| object.lookup(&["metadata", "resourceVersion"]).cloned();
                if version(&known) != version(&object) {
                    return status(409, "Conflict", &name);
                }
            }
            _ => {}
        }
        stored.version += 1;
        let version = Value::from(stored.version.to_string());
        let metadata = object.make_map().get_or_insert_with("metadata", Value::map);
        metadata.make_map().insert("resourceVersion", version);
        stored.objects.insert(key, object.clone());
        (200, to_json(&object))
    }
}
