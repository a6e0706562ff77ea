//! A cluster in this process, an engine on it, and a repository beside it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use soll_api::{Gvk, Object};
use soll_apiserver::{Server, ServerOptions};
use soll_cluster::{ApplyOptions, Cluster, ConnectOptions, DeleteOptions, Mode, RequestCounts};
use soll_controllers::{Engine, EngineConfig, EngineHandle, ObjectState, Readiness};
use soll_yaml::{ParseOptions, parse_yaml};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What a test waits for comes within this time, or the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Bench {
    pub(crate) cluster: Cluster,
    pub(crate) handle: EngineHandle,
    pub(crate) repository: Repository,
    _server: Server,
    data: tempfile::TempDir,
    shutdown: CancellationToken,
    running: JoinHandle<()>,
}

impl Bench {
    /// Everything is up, and the GitRepository `sample` reads the repository.
    pub(crate) async fn start() -> Self {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        // Another test of this process may have been first.
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        let server = Server::new(&ServerOptions::default()).expect("a server");
        let cluster = Cluster::from_service(server.service(), &ConnectOptions::default());
        for crd in soll_api::crds() {
            let crd = Object::new(crd).expect("an object");
            cluster.create(&crd, "test", Mode::Real).await.expect("a CRD");
        }
        let data = tempfile::tempdir().expect("a directory");
        let repository = Repository::init(&data.path().join("repository"));
        let (handle, shutdown, running) = run(&cluster, data.path());
        let bench = Self { cluster, handle, repository, _server: server, data, shutdown, running };
        bench.register();
        bench.apply("{apiVersion: v1, kind: Namespace, metadata: {name: apps}}").await;
        bench
            .apply(
                "{apiVersion: source.toolkit.fluxcd.io/v1, kind: GitRepository, metadata: {name: sample, namespace: apps},
                  spec: {url: 'http://localhost/sample', interval: 1h, ref: {branch: main}}}",
            )
            .await;
        bench
    }

    fn register(&self) {
        self.register_as("sample");
    }

    /// Lets the GitRepository of this name, and under this URL, read the repository.
    pub(crate) fn register_as(&self, name: &str) {
        self.handle.add_local_repository(name, &self.repository.path, "apps", name);
    }

    /// Ends the engine and starts another one: all memory is gone.
    pub(crate) async fn restart(&mut self) {
        self.restart_after(|_| {}).await;
        self.register();
    }

    /// Starts another engine on an empty disk, and without the repository.
    pub(crate) async fn restart_with_nothing(&mut self) {
        self.restart_after(|data| std::fs::remove_dir_all(data).expect("what the engine stored")).await;
    }

    async fn restart_after(&mut self, done: impl FnOnce(&Path)) {
        self.shutdown.cancel();
        (&mut self.running).await.expect("an orderly end");
        done(&self.data.path().join("engine"));
        (self.handle, self.shutdown, self.running) = run(&self.cluster, self.data.path());
    }

    /// Commits the files of the work tree, and lets the engine know.
    pub(crate) fn commit(&self, files: &[(&str, &str)]) -> String {
        let commit = self.repository.commit(files);
        self.handle.local_repository_changed("sample");
        format!("main@sha1:{commit}")
    }

    /// Applies YAML as a user does.
    pub(crate) async fn apply(&self, yaml: &str) -> Object {
        let object = object(yaml);
        self.cluster.apply(&object, &ApplyOptions::forced("test-user")).await.expect("applied")
    }

    /// A Kustomization of the sample repository, with more fields of its spec.
    pub(crate) async fn kustomization(&self, name: &str, path: &str, more: &str) {
        self.apply(&format!(
            "{{apiVersion: kustomize.toolkit.fluxcd.io/v1, kind: Kustomization, metadata: {{name: {name}, namespace: apps}},
              spec: {{interval: 1h, prune: true, path: '{path}', targetNamespace: apps,
                      sourceRef: {{kind: GitRepository, name: sample}} {more}}}}}"
        ))
        .await;
    }

    /// A live object of the namespace, if it is there.
    pub(crate) async fn find(&self, api_version: &str, kind: &str, name: &str) -> Option<Object> {
        self.cluster.find(&Gvk::new(api_version, kind), "apps", name).await.expect("an answer")
    }

    pub(crate) async fn config_map(&self, name: &str) -> Option<Object> {
        self.find("v1", "ConfigMap", name).await
    }

    pub(crate) async fn delete(&self, api_version: &str, kind: &str, name: &str) {
        let gvk = Gvk::new(api_version, kind);
        self.cluster.delete(&gvk, "apps", name, &DeleteOptions::default()).await.expect("deleted");
    }

    /// Waits until a toolkit object stands as wanted.
    pub(crate) async fn until(&self, name: &str, what: &str, wanted: impl Fn(&ObjectState) -> bool) -> ObjectState {
        let mut changes = self.handle.changes();
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                let state = self.handle.states().into_iter().find(|state| &*state.key.name == name);
                if let Some(state) = state.filter(|state| wanted(state)) {
                    return state;
                }
                changes.changed().await.expect("the engine runs");
            }
        });
        found.await.unwrap_or_else(|_| panic!("{name} did not come to {what}: {:#?}", self.handle.states()))
    }

    /// Waits until a Kustomization is ready at a revision.
    pub(crate) async fn ready(&self, name: &str, revision: &str) {
        let wanted =
            |state: &ObjectState| state.readiness == Readiness::Ready && state.revision.as_deref() == Some(revision);
        self.until(name, &format!("Ready at {revision}"), wanted).await;
    }

    /// What was asked of the API server until the engine came to rest.
    pub(crate) async fn requests(&self) -> RequestCounts {
        let rest = tokio::time::timeout(PATIENCE, async {
            while !self.handle.is_at_rest() {
                tokio::task::yield_now().await;
            }
        });
        rest.await.expect("the engine comes to rest");
        self.cluster.requests()
    }

    /// Waits until the live object `name` is as wanted: looks again at each event of the engine or of the clock.
    pub(crate) async fn live(&self, name: &str, what: &str, wanted: impl Fn(Option<&Object>) -> bool) {
        let found = tokio::time::timeout(PATIENCE, async {
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            while !wanted(self.config_map(name).await.as_ref()) {
                ticks.tick().await;
            }
        });
        found.await.unwrap_or_else(|_| panic!("{name} did not come to be {what}"));
    }

    /// Waits until a Kustomization stands as wanted on the server.
    pub(crate) async fn stored(&self, name: &str, what: &str, wanted: impl Fn(&Object) -> bool) {
        let found = tokio::time::timeout(PATIENCE, async {
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            let find = || self.find("kustomize.toolkit.fluxcd.io/v1", "Kustomization", name);
            while !find().await.is_some_and(|live| wanted(&live)) {
                ticks.tick().await;
            }
        });
        found.await.unwrap_or_else(|_| panic!("{name} did not come to be {what}"));
    }
}

fn run(cluster: &Cluster, data: &Path) -> (EngineHandle, CancellationToken, JoinHandle<()>) {
    let engine = Engine::new(EngineConfig::new(data.join("engine")), cluster.clone());
    let (handle, shutdown) = (engine.handle(), CancellationToken::new());
    let until = shutdown.clone();
    let running =
        tokio::spawn(async move { engine.run(until).await.expect("the engine runs until it is told to stop") });
    (handle, shutdown, running)
}

pub(crate) fn object(yaml: &str) -> Object {
    let sources = soll_yaml::Sources::new();
    let source = sources.add("test.yaml");
    let mut values = parse_yaml(yaml, source, &ParseOptions::go_v2()).expect("YAML");
    Object::new(values.remove(0)).expect("an object")
}

/// A repository with a work tree.
pub(crate) struct Repository {
    path: PathBuf,
}

impl Repository {
    fn init(path: &Path) -> Self {
        std::fs::create_dir_all(path).expect("a directory");
        let repository = Self { path: path.to_owned() };
        repository.git(&["init", "-q", "-b", "main"]);
        repository.commit(&[("README.md", "a sample")]);
        repository
    }

    /// Writes files (an empty text removes one), commits, and returns the commit.
    fn commit(&self, files: &[(&str, &str)]) -> String {
        for (name, text) in files {
            let path = self.path.join(name);
            if text.is_empty() {
                std::fs::remove_file(&path).expect("removed");
                continue;
            }
            std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
            std::fs::write(&path, text).expect("written");
        }
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "Change the sample"]);
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    fn git(&self, arguments: &[&str]) -> String {
        let identity = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"];
        let output = Command::new("git").current_dir(&self.path).args(identity).args(arguments).output();
        let output = output.expect("git is installed");
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }
}
