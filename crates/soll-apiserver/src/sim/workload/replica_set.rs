//! ReplicaSets: so many pods of one template.

use serde_json::json;
use soll_api::Object;
use soll_yaml::Value;

use super::super::action::{Action, CONTROLLER_MANAGER, Step};
use super::super::condition::Said;
use super::super::fields::{Naming, int, int_or, map_mut, pod_from_template, value};
use super::super::kind::Kind;
use super::super::selector::contains;
use super::super::world::World;
use super::pods::{Count, active, by_worth, is_finished};

/// The most pods that are made or deleted in one step.
const BURST: usize = 500;

/// Makes or deletes pods, and counts them.
pub(super) fn step(world: &World, set: &Object) -> Step {
    let mut step = Step::nothing();
    let wanted = usize::try_from(int_or(set.value(), &["spec", "replicas"], 1)).unwrap_or(0);
    let mut pods = active(world, set);
    let template = set.value().lookup(&["spec", "template"]).cloned().unwrap_or_else(Value::map);
    if pods.len() < wanted {
        let prefix = format!("{}-", set.name());
        for _ in pods.len()..wanted.min(pods.len() + BURST) {
            let object = pod_from_template(set, &template, &Naming::Prefix(&prefix));
            step.push(Action::Create { kind: Kind::Pod, object, manager: CONTROLLER_MANAGER });
        }
    } else if pods.len() > wanted {
        by_worth(&mut pods);
        for pod in pods.iter().take((pods.len() - wanted).min(BURST)) {
            step.push(Action::Delete { kind: Kind::Pod, object: (*pod).clone(), grace: None });
            let message = format!("Deleted pod: {}", pod.name());
            let said = Said {
                component: "replicaset-controller",
                warning: false,
                reason: "SuccessfulDelete",
                message: &message,
            };
            step.say(world, set, &said);
        }
    }
    let count = Count::of(world, pods.iter().copied(), int(set.value(), &["spec", "minReadySeconds"]));
    if let Some(next) = count.next {
        step.again(next);
    }
    let labels = template.lookup(&["metadata", "labels"]).cloned().unwrap_or_else(Value::map);
    let labelled = pods.iter().filter(|pod| contains(&labels, pod.value().lookup(&["metadata", "labels"]))).count();
    let mut status = status(set, pods.len(), labelled, &count);
    let leaving =
        world.controlled_by(set, Kind::Pod).into_iter().filter(|pod| world.is_leaving(pod) && !is_finished(pod));
    map_mut(&mut status, &[]).insert("terminatingReplicas", Value::from(leaving.count() as i64));
    step.set_status(Kind::ReplicaSet, set, status, CONTROLLER_MANAGER);
    step
}

/// Counts of zero are left out, as Go leaves them out.
fn status(set: &Object, replicas: usize, labelled: usize, count: &Count) -> Value {
    let mut status = json!({"replicas": replicas, "observedGeneration": set.generation().unwrap_or(0)});
    for (key, number) in [
        ("fullyLabeledReplicas", i64::try_from(labelled).unwrap_or(i64::MAX)),
        ("readyReplicas", count.ready),
        ("availableReplicas", count.available),
    ] {
        if number > 0 {
            status[key] = number.into();
        }
    }
    value(&status)
}
