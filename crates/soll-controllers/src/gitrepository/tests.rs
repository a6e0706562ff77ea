//! Passes against a real Git server and the embedded API server, over one data directory.

#![allow(clippy::unwrap_used)]

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, SystemTime};

use soll_api::{Artifact, GitRepository, Object, Resource as _};
use soll_apiserver::{Server, ServerOptions};
use soll_cluster::{Cluster, ConnectOptions, Mode};
use soll_source::git::{Credentials, Tls};
use soll_testkit::{GitServer, Repository};
use soll_tree::{FileTree as _, Tree};
use soll_yaml::{ParseOptions, parse_yaml};

use super::checkout::{Selection, is_of_git};
use super::{Remotes, reconcile, remote};
use crate::config::EngineConfig;
use crate::context::Context;
use crate::engine::Engine;
use crate::runner::Next;
use crate::{Key, Kind};

/// A GitRepository `apps/s`, the server of its commits, and the disk of the processes that reconcile it.
pub(crate) struct Bed {
    pub(crate) source: Key,
    pub(crate) repository: Repository,
    cluster: Cluster,
    data: tempfile::TempDir,
    _git: GitServer,
    _server: Server,
}

impl Bed {
    pub(crate) async fn start(spec: &str) -> Self {
        let server = Server::new(&ServerOptions::default()).unwrap();
        let cluster = Cluster::from_service(server.service(), &ConnectOptions::default());
        let git = GitServer::start();
        let repository = git.repository("s");
        repository.write("app/k.yaml", "kind: A\n").write("app/notes.txt", "b").write("other/k.yaml", "kind: C\n");
        repository.push("first");
        let source = Key::new(Kind::GitRepository, "apps", "s");
        let bed = Self { source, repository, cluster, data: tempfile::tempdir().unwrap(), _git: git, _server: server };
        for crd in soll_api::crds() {
            bed.create(Object::new(crd).unwrap()).await;
        }
        let url = bed.repository.url();
        for text in [
            "{apiVersion: v1, kind: Namespace, metadata: {name: apps}}".to_owned(),
            format!(
                "{{apiVersion: source.toolkit.fluxcd.io/v1, kind: GitRepository, metadata: {{name: s, namespace: apps}},
                  spec: {{url: '{url}', interval: 1h, ref: {{branch: main}}{spec}}}}}"
            ),
        ] {
            let at = soll_yaml::Sources::new().add("test.yaml");
            let value = parse_yaml(&text, at, &ParseOptions::go_v2()).unwrap().swap_remove(0);
            bed.create(Object::new(value).unwrap()).await;
        }
        bed
    }

    async fn create(&self, object: Object) {
        self.cluster.create(&object, "test", Mode::Real).await.unwrap();
    }

    /// A process that knows nothing but what is on the disk and in the cluster.
    pub(crate) async fn process(&self) -> Arc<Context> {
        let mut config = EngineConfig::new(self.data.path().to_owned());
        config.artifact_advertise = Some("source.test".to_owned());
        let ctx = Engine::new(config, self.cluster.clone()).context();
        let gvk = soll_api::Gvk::new("source.toolkit.fluxcd.io/v1", "GitRepository");
        let object = self.cluster.find(&gvk, "apps", "s").await.unwrap().unwrap();
        ctx.objects.put(self.source.clone(), object);
        ctx
    }

    /// One pass; what the source offers then.
    pub(crate) async fn pass(&self, ctx: &Context) -> Artifact {
        let next = reconcile(&self.source, ctx).await.unwrap();
        let repository = GitRepository::from_object(&ctx.object(&self.source).unwrap()).unwrap();
        assert!(matches!(next, Next::After(_)), "{next:?}: {:?}", repository.status.conditions);
        repository.status.artifact.unwrap()
    }

    /// The objects that fetches brought are gone.
    pub(crate) fn lose_commits(&self) {
        std::fs::remove_dir_all(self.data.path().join("git")).unwrap();
    }

    /// The disk gives other bytes than were written, in the middle of each pack.
    pub(crate) fn damage_commits(&self) {
        use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
        for entry in std::fs::read_dir(self.data.path().join("git/apps/s/0/objects/pack")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().unwrap() == "pack" {
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
                let middle = std::fs::metadata(&path).unwrap().len() / 2;
                std::fs::File::options().write(true).open(&path).unwrap().write_all_at(&[0x55; 500], middle).unwrap();
            }
        }
    }

    fn place(&self, artifact: &Artifact) -> PathBuf {
        self.data.path().join("artifacts").join(&artifact.path)
    }

    fn age(place: &Path, seconds: u64) {
        let file = std::fs::File::options().write(true).open(place).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
    }
}

/// Whether a tree keeps its files in Git rather than in memory.
pub(crate) fn lies_in_git(tree: &Tree) -> bool {
    is_of_git(tree)
}

#[tokio::test]
async fn after_a_restart_the_tree_comes_from_git_and_not_from_the_archive() {
    let bed = Bed::start(", ignore: '*.txt', sparseCheckout: [./app/]").await;
    let before = bed.process().await;
    let artifact = bed.pass(&before).await;
    let handed_over = before.trees.get(&bed.source, &artifact.digest).unwrap();
    assert!(lies_in_git(&handed_over));
    drop(before);

    let after = bed.process().await;
    assert_eq!(bed.pass(&after).await, artifact, "the remote has what is stored");
    assert_eq!(after.trees.get(&bed.source, &artifact.digest).unwrap(), handed_over);

    // An archive that was read because the commit was not at hand gives way.
    let archived = after.artifacts.open(&artifact).await.unwrap();
    assert!(!lies_in_git(&archived));
    let paths = |tree: &Tree| tree.walk().map(|(path, entry)| (path, entry.kind())).collect::<Vec<_>>();
    assert_eq!(paths(&archived), paths(&handed_over));
    let file = "app/k.yaml".parse().unwrap();
    assert_eq!(archived.read(&file).unwrap(), handed_over.read(&file).unwrap());
    after.trees.put(bed.source.clone(), &artifact.digest, archived.clone());
    bed.pass(&after).await;
    assert_eq!(after.trees.get(&bed.source, &artifact.digest).unwrap(), handed_over);

    // Without the commit the archive has to do.
    bed.lose_commits();
    let without = bed.process().await;
    bed.pass(&without).await;
    assert!(without.trees.get(&bed.source, &artifact.digest).is_none());
}

#[tokio::test]
async fn an_artifact_is_served_until_the_pass_after_the_one_that_told_its_successor() {
    let bed = Bed::start("").await;
    let ctx = bed.process().await;
    let first = bed.place(&bed.pass(&ctx).await);
    let unfinished = first.with_file_name(".unfinished-1");
    std::fs::write(&unfinished, "what a killed process left").unwrap();
    Bed::age(&first, 61);
    Bed::age(&unfinished, 61);

    bed.repository.write("app/k.yaml", "kind: B\n").push("second");
    let second = bed.place(&bed.pass(&ctx).await);
    assert_ne!(first, second);
    assert!(first.exists() && second.exists(), "consumers may not have seen the new status yet");
    assert!(!unfinished.exists());
    bed.pass(&ctx).await;
    assert!(!first.exists() && second.exists());
}

#[tokio::test]
async fn an_interval_of_nothing_is_no_loop() {
    let bed = Bed::start("").await;
    let ctx = bed.process().await;
    let mut object = ctx.object(&bed.source).unwrap().into_value();
    object.get_mut("spec").unwrap().make_map().insert("interval", soll_yaml::Value::str("0s"));
    ctx.objects.remove(&bed.source);
    ctx.objects.put(bed.source.clone(), Object::new(object).unwrap());
    assert_eq!(reconcile(&bed.source, &ctx).await.unwrap(), Next::Await);
}

/// Whether other tasks of the only thread go on while some work waits for the one blocking thread to have time for it.
fn others_go_on<T>(work: impl Future<Output = T>) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let (went_on, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (done, may_go_on) = mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || may_go_on.recv());
        let (other, at) = (Arc::clone(&went_on), Arc::clone(&ended));
        tokio::spawn(async move {
            other.store(!at.load(Ordering::SeqCst), Ordering::SeqCst);
            drop(done);
        });
        work.await;
        ended.store(true, Ordering::SeqCst);
        went_on.load(Ordering::SeqCst)
    })
}

#[test]
fn what_takes_as_long_as_a_tenant_likes_holds_up_nobody_else() {
    let files = (0..1000).map(|number| (format!("{number}/k.yaml"), "kind: A\n"));
    let tree = Tree::in_memory(files).unwrap();
    let spec = r#"{"apiVersion":"source.toolkit.fluxcd.io/v1","kind":"GitRepository","metadata":{"name":"s","namespace":"n"},
        "spec":{"url":"https://example.com/s","interval":"1m","ignore":"*.txt"}}"#;
    let object = Object::new(soll_yaml::parse_json(spec.as_bytes()).unwrap()).unwrap();
    let selection = Selection::asked(&GitRepository::from_object(&object).unwrap());
    assert!(others_go_on(selection.of(tree)), "while files are selected");

    let url = "https://example.com/s".to_owned();
    let connecting = remote::connect(url, Credentials::Anonymous, Tls::default(), None);
    assert!(others_go_on(connecting), "while a key is decrypted");

    let (data, remotes, key) =
        (tempfile::tempdir().unwrap(), Remotes::default(), Key::new(Kind::GitRepository, "n", "s"));
    assert!(others_go_on(remotes.cache(&key, data.path())), "while a cache is tidied up");
    assert!(others_go_on(remotes.forget(&key, data.path())), "while a cache is removed");
    assert!(!data.path().join("git/n/s").exists());
}
