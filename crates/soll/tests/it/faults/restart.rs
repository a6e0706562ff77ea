//! A restart finds out what happened meanwhile, and does nothing else.

use super::play::Play;
use crate::bed::{Bed, Ground, runtime};
use crate::on_both_grounds;
use soll_cluster::Patch;
use soll_yaml::parse_json;

on_both_grounds!(a_restart_lists_and_mends_what_was_edited);

/// So many ConfigMaps in each Kustomization.
const OBJECTS: usize = 20;

fn a_restart_lists_and_mends_what_was_edited(ground: Ground) {
    let bed = Bed::without_engine(ground);
    let play = Play::new(&bed);
    let stage = &play.stage;
    let object = |name: String| {
        format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{mode: right}}\n")
    };
    for app in ["one", "two"] {
        let objects: String = (0..OBJECTS).map(|number| object(format!("{app}-{number}"))).collect();
        stage.repository.write(&format!("{app}/maps.yaml"), &objects);
        stage.repository.write(&format!("{app}/web.yaml"), &DEPLOYMENT.replace("NAME", app));
    }
    let commit = stage.repository.push("all");
    stage.source();
    play.engine.start();
    for app in ["one", "two"] {
        let spec = format!("targetNamespace: {}\nprune: true\nwait: true", stage.namespace);
        stage.kustomization(app, &format!("./{app}"), &spec);
        stage.ready(app, &commit);
    }
    play.engine.stop();

    play.proxy.arm(None);
    play.engine.start();
    play.engine.first_passes(2);
    assert_eq!(asked(&play), Vec::<String>::new(), "nothing was changed");
    play.engine.stop();

    let edit = Patch::Merge(parse_json(br#"{"data":{"mode":"wrong"}}"#).expect("JSON"));
    let kind = crate::bed::gvk("ConfigMap");
    runtime().block_on(async {
        bed.cluster.patch(&kind, &stage.namespace, "one-7", &edit, "rival").await.expect("it can be edited");
    });
    bed.delete("ConfigMap", &stage.namespace, "two-3");
    play.proxy.arm(None);
    play.engine.start();
    play.engine.first_passes(3);
    let mode = |name: &str| stage.find("ConfigMap", name)?.value().lookup_str(&["data", "mode"]).map(str::to_owned);
    for name in ["one-7", "two-3"] {
        assert_eq!(mode(name).as_deref(), Some("right"), "{name} is mended when the first pass is over");
    }
    let asked = asked(&play);
    let about = |line: &String| line.ends_with(" one-7") || line.ends_with(" two-3");
    let toolkit = |line: &String| line.contains("kustomize.toolkit.fluxcd.io");
    assert!(asked.iter().all(|line| about(line) || toolkit(line)), "only what was changed is asked for: {asked:#?}");
}

/// What was asked but lists, watches and discovery, and events. A Deployment may be read: its controller may write its
/// status at any time, and what was listed before that is not the newest.
fn asked(play: &Play<'_>) -> Vec<String> {
    let log = play.proxy.log().into_iter().map(|answered| answered.point.asked);
    let asked = log.filter(|asked| !matches!(asked.verb, "list" | "watch" | "discover") && asked.resource != "events");
    asked.map(|asked| asked.to_string()).filter(|asked| !asked.starts_with("get deployments.apps ")).collect()
}

const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME}
spec:
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec: {containers: [{name: web, image: example.com/web:1}]}
";
