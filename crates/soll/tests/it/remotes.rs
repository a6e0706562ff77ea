//! What kustomizations name, by URL and on the disk: `soll kustomize` beside `kustomize build`, from a real Git server.

use std::path::Path;
use std::process::{Command, Output};

use soll_testkit::GitServer;

/// A repository with an overlay, the base beside it, and what is wrong.
fn repository(server: &GitServer) -> soll_testkit::Repository {
    let repository = server.repository("apps");
    repository
        .write("deploy/base/kustomization.yaml", "resources: [app.yaml]\n")
        .write("deploy/base/app.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app}\ndata: {a: '1'}\n")
        .write(
            "deploy/prod/kustomization.yaml",
            "resources: [../base]\nnamePrefix: prod-\nconfigMapGenerator:\n- {name: more, literals: [a=b]}\n",
        )
        .write("deploy/out/kustomization.yaml", "resources: [../../../outside]\n")
        .write("deploy/bad/kustomization.yaml", "resources: [app.yaml]\n")
        .write("deploy/bad/app.yaml", "kind: [\n");
    repository.push("first");
    repository.git(&["tag", "v1"]);
    repository.git(&["push", "--quiet", "origin", "v1"]);
    repository.write("deploy/base/app.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: later}\n");
    repository.push("second");
    repository
}

fn soll(directory: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_soll")).args(["kustomize", directory]).output().expect("soll runs")
}

fn kustomize(directory: &str) -> Output {
    Command::new(soll_testkit::tools().kustomize).args(["build", directory]).output().expect("kustomize runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

#[test]
fn remote_bases_are_built_as_kustomize_builds_them() {
    let server = GitServer::start();
    let repository = repository(&server);
    let commit = repository.git(&["rev-parse", "HEAD"]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |text: &str| std::fs::write(folder.path().join("kustomization.yaml"), text).expect("a file");
    for reference in ["", "?ref=v1", "?ref=main", &format!("?ref={commit}")] {
        let url = format!("{}//deploy/prod{reference}", repository.url());
        write(&format!("resources: ['{url}']\nnameSuffix: -x\nbuildMetadata: [originAnnotations]\n"));
        let (ours, theirs) = (soll(&path(folder.path())), kustomize(&path(folder.path())));
        assert!(theirs.status.success(), "{}", text(&theirs.stderr));
        assert_eq!(text(&ours.stdout), text(&theirs.stdout), "{reference}: {}", text(&ours.stderr));
        // A repository may be what is built, too.
        assert_eq!(text(&soll(&url).stdout), text(&kustomize(&url).stdout), "{reference}");
    }
}

#[test]
fn a_repository_on_disk_is_built_as_kustomize_builds_it() {
    let server = GitServer::start();
    let repository = repository(&server);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let clone = path(&folder.path().join("clone"));
    repository.git(&["clone", "--quiet", "--bare", repository.url(), &clone]);
    // The same repository by two URLs, at two commits.
    let kustomization =
        format!("resources:\n- {}//deploy/base?ref=v1\n- file://{clone}//deploy/base?ref=main\n", repository.url());
    std::fs::write(folder.path().join("kustomization.yaml"), kustomization).expect("a file");
    let (ours, theirs) = (soll(&path(folder.path())), kustomize(&path(folder.path())));
    assert!(theirs.status.success(), "{}", text(&theirs.stderr));
    assert_eq!(text(&ours.stdout), text(&theirs.stdout), "{}", text(&ours.stderr));
}

#[test]
fn what_cannot_be_fetched_is_said_where_it_is_named() {
    let server = GitServer::start();
    let repository = repository(&server);
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (rest, expected) in [
        ("//deploy/none", "deploy/none` does not exist"),
        ("//deploy/prod?ref=v9", "its branches: main"),
        ("//deploy/out", "leads out of the"),
        ("//../..", "leads out of"),
    ] {
        let kustomization = format!("resources:\n- {}{rest}\n", repository.url());
        std::fs::write(folder.path().join("kustomization.yaml"), kustomization).expect("a file");
        let ours = soll(&path(folder.path()));
        assert_eq!(ours.status.code(), Some(1), "{rest}");
        let said = text(&ours.stderr);
        assert!(said.contains(expected), "{rest}: {said}");
    }
    // A mistake in a fetched file has its place there.
    let said = soll(&format!("{}//deploy/bad?ref=v1", repository.url()));
    assert!(text(&said.stderr).contains(":apps.git@v1/deploy/bad/app.yaml:"), "{}", text(&said.stderr));
}

fn path(folder: &Path) -> String {
    folder.to_str().expect("a path that is text").to_owned()
}

#[test]
fn paths_outside_of_repositories_are_shown_whole() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = folder.path().canonicalize().expect("it exists").to_string_lossy().into_owned();
    let stderr = |output: &Output| text(&output.stderr).to_owned();
    let nothing = stderr(&soll(&place));
    assert!(nothing.contains(&format!("in directory `{place}`")), "{nothing}");
    std::fs::write(folder.path().join("kustomization.yaml"), "resources: [gone.yaml]\n").expect("writable");
    let gone = stderr(&soll(&place));
    assert!(gone.contains(&format!("`{place}/gone.yaml` does not exist")), "{gone}");
    assert!(gone.contains(&format!("--> {place}/kustomization.yaml:1:13")), "{gone}");
}
