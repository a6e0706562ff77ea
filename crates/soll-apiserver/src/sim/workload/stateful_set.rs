//! StatefulSets: pods with names and volumes of their own, one after the other.

use serde_json::json;
use soll_api::Object;
use soll_yaml::Value;

use super::super::action::{Action, CONTROLLER_MANAGER, Step};
use super::super::fields::{
    Naming, int, int_or, list, map_mut, pod_from_template, set_label, template_hash, text, value,
};
use super::super::kind::Kind;
use super::super::world::World;
use super::pods::{Count, is_available, is_finished};

const REVISION: &str = "controller-revision-hash";
const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";
const POD_INDEX: &str = "apps.kubernetes.io/pod-index";

/// Makes, replaces or deletes the next pod, and counts them.
pub(super) fn step(world: &World, set: &Object) -> Step {
    let mut step = Step::nothing();
    let template = set.value().lookup(&["spec", "template"]).cloned().unwrap_or_else(Value::map);
    let revision = format!("{}-{}", set.name(), template_hash(&template));
    let first = int(set.value(), &["spec", "ordinals", "start"]);
    let wanted = first..first + int_or(set.value(), &["spec", "replicas"], 1);
    let parallel = text(set.value(), &["spec", "podManagementPolicy"]) == "Parallel";
    let min_ready = int(set.value(), &["spec", "minReadySeconds"]);
    let all = world.controlled_by(set, Kind::Pod);

    let mut held_up = false;
    for ordinal in wanted.clone() {
        let name = format!("{}-{ordinal}", set.name());
        match all.iter().find(|pod| pod.name() == name) {
            None => {
                step.extend(create(world, set, &template, &revision, &name, ordinal));
                held_up = true;
            }
            Some(pod) if world.is_leaving(pod) => held_up = true,
            Some(pod) if is_finished(pod) => {
                step.push(Action::Delete { kind: Kind::Pod, object: (*pod).clone(), grace: None });
                held_up = true;
            }
            Some(pod) => held_up |= is_available(world, pod, min_ready).is_err(),
        }
        if held_up && !parallel {
            break;
        }
    }
    let surplus = |pod: &&&Object| ordinal(set, pod).is_none_or(|ordinal| !wanted.contains(&ordinal));
    let mut leaving: Vec<_> = all.iter().filter(surplus).filter(|pod| !world.is_leaving(pod)).collect();
    leaving.sort_by_key(|pod| std::cmp::Reverse(ordinal(set, pod)));
    let at_once = if parallel { leaving.len() } else { 1 };
    let still_leaving = all.iter().filter(surplus).count() > leaving.len();
    if parallel || (!held_up && !still_leaving) {
        for pod in leaving.iter().take(at_once) {
            step.push(Action::Delete { kind: Kind::Pod, object: (**pod).clone(), grace: None });
        }
    }
    if !held_up && leaving.is_empty() && !still_leaving {
        update(set, &all, &revision, &mut step);
    }

    let members: Vec<_> = all.into_iter().filter(|pod| !world.is_leaving(pod) && !is_finished(pod)).collect();
    let count = Count::of(world, members.iter().copied(), min_ready);
    if let Some(next) = count.next {
        step.again(next);
    }
    step.set_status(Kind::StatefulSet, set, status(set, &members, &count, &revision), CONTROLLER_MANAGER);
    step
}

/// Replaces the highest pod of an older revision, as far as the partition allows.
fn update(set: &Object, pods: &[&Object], revision: &str, step: &mut Step) {
    if text(set.value(), &["spec", "updateStrategy", "type"]) == "OnDelete" {
        return;
    }
    let partition = int(set.value(), &["spec", "updateStrategy", "rollingUpdate", "partition"]);
    let outdated = pods.iter().filter(|pod| pod.label(REVISION) != Some(revision));
    let open = outdated.filter(|pod| ordinal(set, pod).is_some_and(|ordinal| ordinal >= partition));
    if let Some(pod) = open.max_by_key(|pod| ordinal(set, pod)) {
        step.push(Action::Delete { kind: Kind::Pod, object: (*pod).clone(), grace: None });
    }
}

fn create(world: &World, set: &Object, template: &Value, revision: &str, name: &str, ordinal: i64) -> Step {
    let mut step = Step::nothing();
    let mut template = template.clone();
    for (key, label) in [(REVISION, revision), (POD_NAME, name), (POD_INDEX, &ordinal.to_string())] {
        set_label(&mut template, key, label);
    }
    let spec = map_mut(&mut template, &["spec"]);
    spec.insert("hostname", Value::str(name));
    if let Some(service) = set.value().lookup_str(&["spec", "serviceName"]) {
        spec.insert("subdomain", Value::str(service));
    }
    let mut volumes = list(&template, &["spec", "volumes"]).to_vec();
    for claim_template in list(set.value(), &["spec", "volumeClaimTemplates"]) {
        let volume = text(claim_template, &["metadata", "name"]);
        let claim = format!("{volume}-{name}");
        if world.find(Kind::PersistentVolumeClaim, set.namespace(), &claim).is_none() {
            let object = claim_object(set, claim_template, &claim);
            step.push(Action::Create { kind: Kind::PersistentVolumeClaim, object, manager: CONTROLLER_MANAGER });
        }
        volumes.retain(|known| text(known, &["name"]) != volume);
        volumes.push(value(&json!({"name": volume, "persistentVolumeClaim": {"claimName": claim}})));
    }
    if !volumes.is_empty() {
        map_mut(&mut template, &["spec"]).insert("volumes", Value::list(volumes));
    }
    let object = pod_from_template(set, &template, &Naming::Exact(name));
    step.push(Action::Create { kind: Kind::Pod, object, manager: CONTROLLER_MANAGER });
    step
}

fn claim_object(set: &Object, template: &Value, name: &str) -> Object {
    let mut claim = template.clone();
    let fields = claim.make_map();
    fields.insert("apiVersion", Value::from("v1"));
    fields.insert("kind", Value::from("PersistentVolumeClaim"));
    fields.remove("status");
    let labels = set.value().lookup(&["spec", "selector", "matchLabels"]).cloned().unwrap_or_else(Value::map);
    let metadata = map_mut(&mut claim, &["metadata"]);
    metadata.insert("name", Value::str(name));
    metadata.insert("namespace", Value::str(set.namespace()));
    metadata.insert("labels", labels);
    metadata.remove("creationTimestamp");
    Object::new(claim).expect("it has a kind and a name")
}

fn status(set: &Object, members: &[&Object], count: &Count, revision: &str) -> Value {
    let updated = members.iter().filter(|pod| pod.label(REVISION) == Some(revision)).count();
    let live = text(set.value(), &["status", "currentRevision"]);
    let wanted = int_or(set.value(), &["spec", "replicas"], 1);
    let complete = i64::try_from(updated) == Ok(wanted) && members.len() == updated && count.ready == wanted;
    let current = if complete || live.is_empty() { revision } else { live };
    let on_current = members.iter().filter(|pod| pod.label(REVISION) == Some(current)).count();
    let mut status = json!({
        "observedGeneration": set.generation().unwrap_or(0),
        "replicas": members.len(),
        "availableReplicas": count.available,
        "currentRevision": current,
        "updateRevision": revision,
        "collisionCount": 0,
    });
    for (key, number) in [
        ("readyReplicas", count.ready),
        ("currentReplicas", i64::try_from(on_current).unwrap_or(i64::MAX)),
        ("updatedReplicas", i64::try_from(updated).unwrap_or(i64::MAX)),
    ] {
        if number > 0 {
            status[key] = number.into();
        }
    }
    value(&status)
}

fn ordinal(set: &Object, pod: &Object) -> Option<i64> {
    pod.name().strip_prefix(set.name())?.strip_prefix('-')?.parse().ok()
}
