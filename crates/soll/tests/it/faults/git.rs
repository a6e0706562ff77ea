//! A Git server that is slow, that lies, and whose branches forget their history.

use std::time::Duration;

use soll_testkit::{GitServer, GitTrouble};

use crate::bed::{Bed, Ground, Stage, condition};
use crate::on_both_grounds;

on_both_grounds!(
    a_slow_git_server_is_waited_for_within_the_timeout,
    a_git_server_that_lies_changes_nothing,
    a_rewritten_history_is_followed
);

fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{key: {value}}}\n")
}

/// A repository of a server of its own, installed at its first commit.
fn installed(stage: &Stage<'_>, server: &GitServer) -> (soll_testkit::Repository, String) {
    let repository = server.repository("app");
    let first = repository.write("a.yaml", &config_map("a", "one")).push("one");
    let (namespace, url) = (&stage.namespace, repository.url());
    stage.bed.apply(&format!(
        "apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {{name: source, namespace: {namespace}}}
spec: {{url: {url}, interval: 1s, timeout: 2s, ref: {{branch: main}}}}
"
    ));
    stage.kustomization("app", "./", &format!("prune: true\ntargetNamespace: {namespace}"));
    stage.ready("app", &first);
    (repository, first)
}

/// Waits until fetching has failed; the artifact is still the one of a commit, and what was applied stays.
fn failed(stage: &Stage<'_>, good: &str) -> String {
    let source = stage.wait("GitRepository", "source", |source| {
        source.is_some_and(|source| condition(source, "FetchFailed").0 == "True")
    });
    let source = source.expect("it is there");
    assert!(source.value().lookup_str(&["status", "artifact", "revision"]).is_some_and(|at| at.ends_with(good)));
    assert_eq!(condition(&stage.find("Kustomization", "app").expect("app"), "Ready").0, "True");
    assert!(stage.find("ConfigMap", "a").is_some());
    condition(&source, "FetchFailed").2
}

fn a_slow_git_server_is_waited_for_within_the_timeout(ground: Ground) {
    let stage = Bed::shared(ground).stage("git-slow");
    let server = GitServer::start();
    let (repository, first) = installed(&stage, &server);
    server.trouble(Some(GitTrouble::Slow(Duration::from_secs(10))));
    let message = failed(&stage, &first);
    assert!(message.contains("2s"), "it says how long it has waited: {message}");
    server.trouble(Some(GitTrouble::Slow(Duration::from_millis(300))));
    let second = repository.write("a.yaml", &config_map("a", "two")).push("two");
    stage.ready("app", &second);
}

fn a_git_server_that_lies_changes_nothing(ground: Ground) {
    let stage = Bed::shared(ground).stage("git-lies");
    let server = GitServer::start();
    let (repository, first) = installed(&stage, &server);
    server.trouble(Some(GitTrouble::Lies));
    let message = failed(&stage, &first);
    assert!(message.contains("0123456789abcdef"), "it names the commit that is not there: {message}");
    server.trouble(None);
    let second = repository.write("a.yaml", &config_map("a", "two")).push("two");
    stage.ready("app", &second);
}

fn a_rewritten_history_is_followed(ground: Ground) {
    let stage = Bed::shared(ground).stage("git-forced");
    let server = GitServer::start();
    let (repository, first) = installed(&stage, &server);
    let second = repository.write("b.yaml", &config_map("b", "two")).push("two");
    stage.ready("app", &second);
    let uid = |name: &str| stage.find("ConfigMap", name).map(|object| object.uid().to_owned());
    let before = uid("a");

    // Back to where it was, and on from there by another way.
    repository.git(&["reset", "--quiet", "--hard", &first]);
    let third = repository.write("c.yaml", &config_map("c", "three")).push("three");
    stage.ready("app", &third);
    assert!(uid("b").is_none() && uid("c").is_some());

    // A history that has nothing in common with the old one.
    repository.git(&["checkout", "--quiet", "--orphan", "fresh"]);
    let fourth = repository.remove("c.yaml").push("a fresh start");
    stage.ready("app", &fourth);
    assert!(uid("c").is_none());
    assert_eq!(uid("a"), before, "what is the same in all of them is never touched");
}
