//! What falls ill after it was found healthy, without anybody touching what was applied.

use soll_testkit::Asked;

use super::play::Play;
use crate::bed::{Bed, Ground, until};
use crate::on_both_grounds;

on_both_grounds!(what_falls_ill_is_noticed_at_the_interval);

const CRD: &str = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: patients.ward.example.com}
spec:
  group: ward.example.com
  names: {kind: Patient, plural: patients}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";

fn what_falls_ill_is_noticed_at_the_interval(ground: Ground) {
    let bed = Bed::without_engine(ground);
    bed.apply(CRD);
    let play = Play::new(&bed);
    let stage = &play.stage;
    for name in ["calm", "moody"] {
        let patient = format!("apiVersion: ward.example.com/v1\nkind: Patient\nmetadata: {{name: {name}}}\n");
        stage.repository.write(&format!("{name}.yaml"), &patient);
    }
    let commit = stage.repository.push("one");
    let spec = format!("prune: true\nwait: true\ntimeout: 3s\ntargetNamespace: {}", stage.namespace);
    let tell = |name: &str, status: &str, message: &str| {
        let condition = format!(
            r#"{{"type":"Ready","status":"{status}","reason":"Told","message":"{message}","lastTransitionTime":"2026-01-01T00:00:00Z"}}"#
        );
        let patch = format!(r#"{{"status":{{"conditions":[{condition}]}}}}"#);
        let arguments = ["-n", &stage.namespace, "patch", "patients.ward.example.com", name, "--subresource=status"];
        let told = bed.kubectl(&[&arguments[..], &["--type=merge", "-p", &patch]].concat());
        assert!(told.contains("patched"), "{told}");
    };
    play.engine.start();
    stage.source();
    stage.kustomization("app", "./", &spec);
    bed.patch("Kustomization", &stage.namespace, "app", r#"{"spec":{"interval":"4s"}}"#);
    stage.ready("app", &commit);
    let asked = |verb: &str, name: &str| {
        let log = play.proxy.log().into_iter().map(|answered| answered.point.asked);
        let such =
            |asked: &Asked| asked.resource == "patients.ward.example.com" && asked.verb == verb && asked.name == name;
        log.filter(such).count()
    };
    // From here on changes are told of.
    until("the patients are watched", || asked("watch", "") > 0);

    play.proxy.arm(None);
    tell("moody", "True", "fine");
    until("who has changed is looked at", || asked("get", "moody") > 0);
    assert_eq!(asked("get", "calm"), 0, "who has not changed is not");
    tell("moody", "False", "not so fine");
    let message = stage.failed("app", "HealthCheckFailed");
    assert!(message.contains("Patient") && message.contains("moody"), "{message}");
    tell("moody", "True", "fine");
    stage.ready("app", &commit);
    let writes = play.proxy.log().into_iter().map(|answered| answered.point.asked);
    let writes: Vec<_> = writes.filter(|asked| asked.writes() && asked.resource.starts_with("patients")).collect();
    assert_eq!(writes, [], "nothing was applied for that");
}
