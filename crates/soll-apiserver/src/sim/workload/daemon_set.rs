//! DaemonSets: one pod on each node.

use serde_json::json;
use soll_api::Object;
use soll_yaml::Value;

use super::super::action::{Action, CONTROLLER_MANAGER, Step};
use super::super::fields::{Naming, amount, int, map_mut, pod_from_template, set_label, template_hash, text, value};
use super::super::kind::Kind;
use super::super::selector::contains;
use super::super::world::World;
use super::pods::{Count, is_available, is_finished};

const REVISION: &str = "controller-revision-hash";
/// Which node a pod is for; the scheduler reads the affinity, we read this.
const NODE: &str = "sim.soll.dev/for-node";

/// Makes missing pods, replaces outdated ones, and counts them.
pub(super) fn step(world: &World, set: &Object) -> Step {
    let mut step = Step::nothing();
    let template = set.value().lookup(&["spec", "template"]).cloned().unwrap_or_else(Value::map);
    let revision = template_hash(&template);
    let min_ready = int(set.value(), &["spec", "minReadySeconds"]);
    let all = world.controlled_by(set, Kind::Pod);
    let selector = template.lookup(&["spec", "nodeSelector"]).cloned().unwrap_or_else(Value::map);
    let fits = |node: &&Object| contains(&selector, node.value().lookup(&["metadata", "labels"]));
    let nodes: Vec<_> = world.all(Kind::Node).filter(fits).collect();
    let on = |node: &Object| all.iter().filter(|pod| node_of(pod) == node.name()).copied().collect::<Vec<_>>();

    let mut members = Vec::new();
    for node in &nodes {
        let pods = on(node);
        for pod in pods.iter().filter(|pod| is_finished(pod) && !world.is_leaving(pod)) {
            step.push(Action::Delete { kind: Kind::Pod, object: (*pod).clone(), grace: None });
        }
        match pods.iter().find(|pod| !world.is_leaving(pod) && !is_finished(pod)) {
            Some(pod) => members.push(*pod),
            None if pods.is_empty() => step.push(create(set, &template, &revision, node.name())),
            None => {}
        }
    }
    for pod in all.iter().filter(|pod| nodes.iter().all(|node| node.name() != node_of(pod)) && !world.is_leaving(pod)) {
        step.push(Action::Delete { kind: Kind::Pod, object: (*pod).clone(), grace: None });
    }
    update(world, set, &members, nodes.len(), &revision, &mut step);

    let count = Count::of(world, members.iter().copied(), min_ready);
    if let Some(next) = count.next {
        step.again(next);
    }
    let updated = members.iter().filter(|pod| pod.label(REVISION) == Some(revision.as_str())).count();
    let wanted = i64::try_from(nodes.len()).unwrap_or(i64::MAX);
    let mut status = json!({
        "observedGeneration": set.generation().unwrap_or(0),
        "currentNumberScheduled": members.len(),
        "desiredNumberScheduled": wanted,
        "numberMisscheduled": 0,
        "numberReady": count.ready,
    });
    for (key, number) in [
        ("numberAvailable", count.available),
        ("numberUnavailable", wanted - count.available),
        ("updatedNumberScheduled", i64::try_from(updated).unwrap_or(i64::MAX)),
    ] {
        if number > 0 {
            status[key] = number.into();
        }
    }
    step.set_status(Kind::DaemonSet, set, value(&status), CONTROLLER_MANAGER);
    step
}

/// Deletes outdated pods: those that are not available at once, the others as far as enough stay available.
fn update(world: &World, set: &Object, members: &[&Object], wanted: usize, revision: &str, step: &mut Step) {
    if text(set.value(), &["spec", "updateStrategy", "type"]) == "OnDelete" {
        return;
    }
    let min_ready = int(set.value(), &["spec", "minReadySeconds"]);
    let wanted = i64::try_from(wanted).unwrap_or(i64::MAX);
    let limit = set.value().lookup(&["spec", "updateStrategy", "rollingUpdate", "maxUnavailable"]);
    let available = members.iter().filter(|pod| is_available(world, pod, min_ready).is_ok()).count();
    let mut spare = amount(limit, wanted, true, "1").max(1) - (wanted - i64::try_from(available).unwrap_or(0));
    for pod in members.iter().filter(|pod| pod.label(REVISION) != Some(revision)) {
        let available = is_available(world, pod, min_ready).is_ok();
        if available && spare <= 0 {
            continue;
        }
        spare -= i64::from(available);
        step.push(Action::Delete { kind: Kind::Pod, object: (*pod).clone(), grace: None });
    }
}

fn create(set: &Object, template: &Value, revision: &str, node: &str) -> Action {
    let mut template = template.clone();
    set_label(&mut template, REVISION, revision);
    map_mut(&mut template, &["metadata", "annotations"]).insert(NODE, Value::str(node));
    let wanted = value(&json!({"nodeSelectorTerms": [
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}]}));
    map_mut(&mut template, &["spec", "affinity", "nodeAffinity"])
        .insert("requiredDuringSchedulingIgnoredDuringExecution", wanted);
    let object = pod_from_template(set, &template, &Naming::Prefix(&format!("{}-", set.name())));
    Action::Create { kind: Kind::Pod, object, manager: CONTROLLER_MANAGER }
}

fn node_of(pod: &Object) -> &str {
    match text(pod.value(), &["spec", "nodeName"]) {
        "" => pod.annotation(NODE).unwrap_or_default(),
        node => node,
    }
}
