//! The servers behind the API server stand still for a while.

use crate::bed::{Bed, Ground};

fn config_map(value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {{key: {value}}}\n")
}

/// Only on real ground: there is no etcd behind the embedded server.
#[test]
fn an_etcd_that_stood_still_costs_time_and_nothing_else() {
    let bed = Bed::start(Ground::Real);
    let stage = bed.stage("still");
    let web = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: 'example.com/web:1'}]}
";
    let first = stage.repository.write("a.yaml", &config_map("one")).write("web.yaml", web).push("one");
    stage.source();
    stage.kustomization("app", "./", "prune: true\nwait: true\ntargetNamespace: still");
    stage.ready("app", &first);
    let of = |kind: &str, name: &str| {
        let object = stage.find(kind, name).expect("it is there");
        (object.uid().to_owned(), object.generation())
    };
    let before = (of("ConfigMap", "a"), of("Deployment", "web"));

    bed.with_control_plane(soll_testkit::ControlPlane::pause_etcd);
    let asked = bed.git.requests();
    let second = stage.repository.write("a.yaml", &config_map("two")).push("two");
    // It has the commit, and can tell nobody: its first write is not answered in time.
    bed.await_engine_log("did not answer within");
    assert!(bed.git.requests() > asked);
    bed.with_control_plane(soll_testkit::ControlPlane::resume_etcd);

    stage.ready("app", &second);
    assert_eq!(stage.find("ConfigMap", "a").expect("a").value().lookup_str(&["data", "key"]), Some("two"));
    assert_eq!((of("ConfigMap", "a"), of("Deployment", "web")), before, "nothing is made anew or rolled out");
    // The watches tell of what happens from now on.
    let uid = before.0.0;
    bed.delete("ConfigMap", "still", "a");
    stage.wait("ConfigMap", "a", |a| a.is_some_and(|a| a.uid() != uid && !a.is_terminating()));
    assert!(!bed.engine_has_ended(), "the engine has waited");
}
