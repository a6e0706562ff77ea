//! A cluster with the engine beside it, embedded or real, and what tests do with it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use soll_api::{Gvk, Object, ObjectRef};
use soll_apiserver::sim::{Controllers, Simulation, SimulationOptions};
use soll_apiserver::{Running, Server, ServerOptions};
use soll_cluster::{
    ApplyOptions, Cluster, ConnectOptions, Credentials, DeleteOptions, Depth, Patch, Selection, WatchEvent,
};
use soll_testkit::{ControlPlane, GitServer, Keeper, Kept, Repository};
use soll_yaml::{ParseOptions, Sources, Value, parse_yaml};
use tokio::runtime::Runtime;
use tokio::time::timeout;

/// The longest that anything may take here, on a machine that builds at the same time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// Which API server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ground {
    Embedded,
    Real,
}

/// A cluster that the engine reconciles, with a Git server. Shared by the tests of a ground, each of which has a
/// namespace of its own.
pub(crate) struct Bed {
    pub(crate) cluster: Cluster,
    pub(crate) git: GitServer,
    api: Mutex<ApiServer>,
    pub(crate) kubeconfig: PathBuf,
    engine: Mutex<Option<Kept>>,
    // Last, so that the engine is killed before its folder is removed.
    keeper: Keeper,
}

/// The API server of a bed, which can go away and come back with all its objects.
enum ApiServer {
    Embedded { server: Server, running: Option<Running>, address: SocketAddr },
    Real(ControlPlane),
}

impl ApiServer {
    fn start(ground: Ground) -> Self {
        match ground {
            Ground::Real => Self::Real(ControlPlane::start()),
            Ground::Embedded => runtime().block_on(async {
                let server = Server::new(&ServerOptions::default()).expect("a server");
                let running = server.serve(([127, 0, 0, 1], 0).into()).await.expect("a free port");
                let address = running.address();
                Self::Embedded { server, running: Some(running), address }
            }),
        }
    }

    /// The kubeconfig of somebody who may do everything.
    fn kubeconfig(&self, folder: &Path) -> PathBuf {
        match self {
            Self::Real(control_plane) => control_plane.kubeconfig(),
            Self::Embedded { running, .. } => {
                let path = folder.join("kubeconfig");
                running.as_ref().expect("it has just started").write_kubeconfig(&path).expect("writable");
                path
            }
        }
    }

    fn stop(&mut self) {
        match self {
            Self::Real(control_plane) => control_plane.stop_apiserver(),
            Self::Embedded { running, .. } => {
                if let Some(running) = running.take() {
                    runtime().block_on(running.stop());
                }
            }
        }
    }

    fn restart(&mut self) {
        self.stop();
        match self {
            Self::Real(control_plane) => control_plane.restart_apiserver(),
            Self::Embedded { server, running, address } => {
                *running = Some(runtime().block_on(server.serve(*address)).expect("the port is free again"));
            }
        }
    }
}

pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
    })
}

impl Bed {
    /// The bed of this process for a ground, started when first asked for.
    pub(crate) fn shared(ground: Ground) -> &'static Self {
        static EMBEDDED: OnceLock<Bed> = OnceLock::new();
        static REAL: OnceLock<Bed> = OnceLock::new();
        match ground {
            Ground::Embedded => EMBEDDED.get_or_init(|| Self::start(ground)),
            Ground::Real => REAL.get_or_init(|| Self::start(ground)),
        }
    }

    /// A bed of one's own: for what would disturb others.
    pub(crate) fn start(ground: Ground) -> Self {
        let bed = Self::without_engine(ground);
        *bed.engine.lock().expect("nobody panics here") = Some(start_engine(&bed.keeper, &bed.kubeconfig));
        bed
    }

    /// A bed for engines that somebody else starts.
    pub(crate) fn without_engine(ground: Ground) -> Self {
        let bed = Self::over(ApiServer::start(ground));
        runtime().block_on(async {
            for crd in soll_api::crds() {
                bed.put(&Object::new(crd).expect("a CRD")).await;
            }
            // Pods become ready: nobody runs containers on either ground.
            let controllers = match ground {
                Ground::Embedded => Controllers::Simulated,
                Ground::Real => Controllers::Real,
            };
            let options = SimulationOptions { controllers, ..SimulationOptions::default() };
            // It runs for as long as this process.
            std::mem::forget(Simulation::start(bed.cluster.clone(), options).await.expect("a cluster without nodes"));
        });
        bed
    }

    /// A bed with what an archive of etcd's data has, and nothing else, for engines that somebody else starts.
    pub(crate) fn recorded(etcd: &Path) -> Self {
        Self::over(ApiServer::Real(ControlPlane::start_recorded(etcd)))
    }

    fn over(api: ApiServer) -> Self {
        let folder = tempfile::Builder::new().prefix("soll-bed-").tempdir().expect("a temporary folder").keep();
        let keeper = Keeper::of(folder).expect("a shell can be started");
        let kubeconfig = api.kubeconfig(keeper.folder());
        let cluster = runtime().block_on(async {
            let credentials = Credentials::Kubeconfig(kubeconfig.clone());
            let options = ConnectOptions { credentials, qps: 0.0, ..ConnectOptions::default() };
            Cluster::connect(&options).await.expect("a kubeconfig that works")
        });
        Self { engine: Mutex::default(), git: GitServer::start(), cluster, kubeconfig, api: Mutex::new(api), keeper }
    }

    /// The control plane of real ground.
    pub(crate) fn with_control_plane<T>(&self, look: impl FnOnce(&ControlPlane) -> T) -> T {
        match &*self.api.lock().expect("nobody panics here") {
            ApiServer::Real(control_plane) => look(control_plane),
            ApiServer::Embedded { .. } => panic!("embedded ground has no control plane"),
        }
    }

    /// The API server goes away: it answers nobody, and connections break.
    pub(crate) fn stop_api_server(&self) {
        self.api.lock().expect("nobody panics here").stop();
    }

    /// The API server comes back, with all its objects.
    pub(crate) fn restart_api_server(&self) {
        self.api.lock().expect("nobody panics here").restart();
    }

    /// Waits until the engine's log says something.
    pub(crate) fn await_engine_log(&self, what: &str) {
        await_line(&self.keeper.folder().join("engine.log"), 1, &[what]);
    }

    /// Whether the engine has ended by itself.
    pub(crate) fn engine_has_ended(&self) -> bool {
        self.engine.lock().expect("nobody panics here").as_mut().is_some_and(Kept::ended)
    }

    /// A program that finds this cluster, and keeps what it learns of it to this bed: ports are used again.
    pub(crate) fn program(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env("KUBECONFIG", &self.kubeconfig).env("KUBECACHEDIR", self.keeper.folder().join("discovery"));
        command.env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    /// A command line on this cluster.
    pub(crate) fn run(&self, program: &Path, arguments: &[&str]) -> Ran {
        Ran::of(self.program(program).args(arguments))
    }

    /// The original kubectl on this cluster; its output, whether it succeeded or not.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        self.run(&soll_testkit::tools().kubectl, arguments).text
    }

    /// Applies the documents of a YAML text by server-side apply, as the user.
    pub(crate) fn apply(&self, yaml: &str) {
        runtime().block_on(async {
            for object in objects(yaml) {
                self.put(&object).await;
            }
        });
    }

    pub(crate) async fn put(&self, object: &Object) {
        self.cluster.expect_new_resources();
        let applied = timeout(PATIENCE, async {
            loop {
                match self.cluster.apply(object, &ApplyOptions::forced("test")).await {
                    Ok(_) => return,
                    // Its CRD is being established.
                    Err(soll_cluster::ApiError::NotServed(_)) => {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        self.cluster.expect_new_resources();
                    }
                    Err(error) => panic!("apply {}: {error}", object.object_ref()),
                }
            }
        });
        applied.await.unwrap_or_else(|_| panic!("{} is not served", object.gvk()));
    }

    /// Reads an object.
    pub(crate) fn find(&self, kind: &str, namespace: &str, name: &str) -> Option<Object> {
        runtime().block_on(self.cluster.find(&gvk(kind), namespace, name)).expect("it can be read")
    }

    /// Deletes an object.
    pub(crate) fn delete(&self, kind: &str, namespace: &str, name: &str) {
        let deleted = runtime().block_on(self.cluster.delete(&gvk(kind), namespace, name, &DeleteOptions::default()));
        deleted.unwrap_or_else(|error| panic!("delete {kind} {namespace}/{name}: {error}"));
    }

    /// Changes an object by a merge patch, as somebody of no importance.
    pub(crate) fn patch(&self, kind: &str, namespace: &str, name: &str, patch: &str) {
        let patch = Patch::Merge(soll_yaml::parse_json(patch.as_bytes()).expect("JSON"));
        let patched = runtime().block_on(self.cluster.patch(&gvk(kind), namespace, name, &patch, "somebody"));
        patched.unwrap_or_else(|error| panic!("patch {kind} {namespace}/{name}: {error}"));
    }

    /// Waits until an object is as wanted; says how it was last if that does not come.
    pub(crate) fn wait(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
        wanted: impl Fn(Option<&Object>) -> bool,
    ) -> Option<Object> {
        let last: Arc<Mutex<Option<Object>>> = Arc::default();
        let seen = Arc::clone(&last);
        let following = async {
            let selection = Selection::named(namespace, name);
            let mut watch = self.cluster.watch(&gvk(kind), selection, Depth::Whole).expect("a place in the budget");
            loop {
                let object = match watch.next().await {
                    WatchEvent::Restarted(objects) => objects.into_iter().next(),
                    WatchEvent::Applied(object) => Some(object),
                    WatchEvent::Deleted(_) => None,
                    WatchEvent::Interrupted(_) => continue,
                };
                seen.lock().expect("nobody panics here").clone_from(&object);
                if wanted(object.as_ref()) {
                    return object;
                }
            }
        };
        let waited = runtime().block_on(async { timeout(PATIENCE, following).await });
        waited.unwrap_or_else(|_| {
            let last =
                last.lock().expect("nobody panics here").as_ref().map(|object| soll_yaml::emit_yaml(object.value()));
            panic!("{kind} {namespace}/{name} did not become as wanted; last seen:\n{}", last.unwrap_or_default());
        })
    }

    /// Waits until an object that a reference names is gone.
    pub(crate) fn wait_gone(&self, reference: &ObjectRef, version: &str) {
        let gvk = Gvk { group: reference.group.clone(), version: version.to_owned(), kind: reference.kind.clone() };
        let gone = async {
            let selection = Selection::named(&reference.namespace, &reference.name);
            let mut watch = self.cluster.watch(&gvk, selection, Depth::Metadata).expect("a place in the budget");
            loop {
                match watch.next().await {
                    WatchEvent::Restarted(objects) if objects.is_empty() => return,
                    WatchEvent::Deleted(_) => return,
                    _ => {}
                }
            }
        };
        let waited = runtime().block_on(async { timeout(PATIENCE, gone).await });
        waited.unwrap_or_else(|_| panic!("{reference} is still there"));
    }

    /// Waits until a Kustomization is Ready at a revision that ends with `commit`.
    pub(crate) fn ready(&self, namespace: &str, name: &str, commit: &str) -> Object {
        let object = self.wait("Kustomization", namespace, name, |object| {
            object.is_some_and(|object| {
                let applied = object.value().lookup_str(&["status", "lastAppliedRevision"]).unwrap_or_default();
                condition(object, "Ready").0 == "True" && applied.ends_with(commit) && is_observed(object)
            })
        });
        object.expect("it was Ready")
    }

    /// Waits until a Kustomization has failed with a reason; returns its message.
    pub(crate) fn failed(&self, namespace: &str, name: &str, reason: &str) -> String {
        let object = self.wait("Kustomization", namespace, name, |object| {
            object.is_some_and(|object| {
                let (status, found, _) = condition(object, "Ready");
                status == "False" && found == reason
            })
        });
        condition(&object.expect("it has failed"), "Ready").2
    }

    /// A namespace, a repository and a GitRepository for one test.
    pub(crate) fn stage(&self, name: &str) -> Stage<'_> {
        let repository = self.git.repository(name);
        self.apply(&format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n"));
        Stage { bed: self, namespace: name.to_owned(), repository }
    }
}

/// What a command line did.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    /// Standard output, then standard error.
    pub(crate) text: String,
}

impl Ran {
    /// Runs a command to its end.
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        Self { code: output.status.code(), text }
    }
}

/// What one test plays on: its namespace and its repository.
pub(crate) struct Stage<'a> {
    pub(crate) bed: &'a Bed,
    pub(crate) namespace: String,
    pub(crate) repository: Repository,
}

impl Stage<'_> {
    /// Creates the GitRepository `source`.
    pub(crate) fn source(&self) {
        self.source_named("source");
    }

    /// Creates a GitRepository of the stage's repository.
    pub(crate) fn source_named(&self, name: &str) {
        let (namespace, url) = (&self.namespace, self.repository.url());
        self.bed.apply(&format!(
            "apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{url: {url}, interval: 1s, ref: {{branch: main}}}}
"
        ));
    }

    /// Creates or changes a Kustomization of `path` in `source`, with more lines of its spec.
    pub(crate) fn kustomization(&self, name: &str, path: &str, spec: &str) {
        self.kustomization_of("source", name, path, spec);
    }

    /// The same of another source.
    pub(crate) fn kustomization_of(&self, source: &str, name: &str, path: &str, spec: &str) {
        let namespace = &self.namespace;
        let spec: String = spec.lines().map(|line| format!("  {}\n", line.trim_end())).collect();
        self.bed.apply(&format!(
            "apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  interval: 10m
  retryInterval: 2s
  path: {path}
  sourceRef: {{kind: GitRepository, name: {source}}}
{spec}"
        ));
    }

    pub(crate) fn find(&self, kind: &str, name: &str) -> Option<Object> {
        self.bed.find(kind, &self.namespace, name)
    }

    /// The value of a ConfigMap.
    pub(crate) fn value_of(&self, name: &str) -> Option<String> {
        self.find("ConfigMap", name)?.value().lookup_str(&["data", "key"]).map(str::to_owned)
    }

    pub(crate) fn ready(&self, name: &str, commit: &str) -> Object {
        self.bed.ready(&self.namespace, name, commit)
    }

    pub(crate) fn failed(&self, name: &str, reason: &str) -> String {
        self.bed.failed(&self.namespace, name, reason)
    }

    pub(crate) fn wait(&self, kind: &str, name: &str, wanted: impl Fn(Option<&Object>) -> bool) -> Option<Object> {
        self.bed.wait(kind, &self.namespace, name, wanted)
    }
}

/// `soll controller` as a process of its own; it logs to `engine.log` in the keeper's folder.
fn start_engine(keeper: &Keeper, kubeconfig: &Path) -> Kept {
    let mut command = Command::new(env!("CARGO_BIN_EXE_soll"));
    command.args(["controller", "--storage-addr=127.0.0.1:0", "--health-addr=0", "--metrics-addr=0"]);
    command.arg("--kubeconfig").arg(kubeconfig).arg("--storage-path").arg(keeper.folder().join("data"));
    command.args(["--requeue-dependency=1s", "--log-level=debug"]);
    keeper.start("engine", &mut command).expect("the engine starts")
}

/// A ConfigMap with a value under `key`.
pub(crate) fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  key: \"{value}\"\n")
}

/// A Job that is gone as soon as it has run.
pub(crate) const FLEETING_JOB: &str = "apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec:
  ttlSecondsAfterFinished: 0
  template:
    spec: {restartPolicy: Never, containers: [{name: once, image: 'example.com/once:1'}]}
";

/// The documents of a YAML text as objects.
pub(crate) fn objects(yaml: &str) -> Vec<Object> {
    let documents = parse_yaml(yaml, Sources::new().add("test.yaml"), &ParseOptions::go_v2()).expect("YAML");
    documents.into_iter().filter(|value| !value.is_null()).map(|value| Object::new(value).expect("an object")).collect()
}

/// Kinds by the names that tests use.
pub(crate) fn gvk(kind: &str) -> Gvk {
    let api_version = match kind {
        "Kustomization" => "kustomize.toolkit.fluxcd.io/v1",
        "GitRepository" => "source.toolkit.fluxcd.io/v1",
        "Deployment" | "StatefulSet" => "apps/v1",
        "Job" => "batch/v1",
        "Lease" => "coordination.k8s.io/v1",
        "CustomResourceDefinition" => "apiextensions.k8s.io/v1",
        _ => "v1",
    };
    Gvk::new(api_version, kind)
}

/// Status, reason and message of a condition.
pub(crate) fn condition(object: &Object, kind: &str) -> (String, String, String) {
    let conditions = object.value().lookup(&["status", "conditions"]).and_then(Value::as_list).unwrap_or_default();
    let condition = conditions.iter().find(|condition| condition.lookup_str(&["type"]) == Some(kind));
    let field = |name| condition.and_then(|condition| condition.lookup_str(&[name])).unwrap_or_default().to_owned();
    (field("status"), field("reason"), field("message"))
}

fn is_observed(object: &Object) -> bool {
    object.value().lookup(&["status", "observedGeneration"]).and_then(Value::as_i64) == object.generation()
}

/// Waits until something is so that nobody tells of.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it does not come about that {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until a log says something so often.
pub(crate) fn await_line(log: &Path, times: usize, what: &[&str]) {
    let deadline = Instant::now() + PATIENCE;
    let text = || std::fs::read_to_string(log).unwrap_or_default();
    let says = |line: &&str| what.iter().all(|part| line.contains(part));
    while text().lines().filter(says).count() < times {
        let last = || text().lines().rev().take(30).collect::<Vec<_>>().join("\n");
        assert!(Instant::now() < deadline, "{} does not say {what:?}; its end, backwards:\n{}", log.display(), last());
        std::thread::sleep(Duration::from_millis(20));
    }
}
