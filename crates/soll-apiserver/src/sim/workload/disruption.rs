//! PodDisruptionBudgets and HorizontalPodAutoscalers: their statuses. Nothing is evicted or scaled here.

use serde_json::json;
use soll_api::Object;

use super::super::action::{CONTROLLER_MANAGER, Step};
use super::super::condition::Conditions;
use super::super::fields::{amount, int_or, map_mut, text, value};
use super::super::kind::Kind;
use super::super::selector::selects;
use super::super::world::World;
use super::pods::{is_finished, is_ready};

/// Counts the pods of a budget.
pub(super) fn of_budget(world: &World, budget: &Object) -> Step {
    let mut step = Step::nothing();
    let spec = |field: &str| budget.value().lookup(&["spec", field]);
    let selected = |pod: &&Object| {
        let labels = pod.value().lookup(&["metadata", "labels"]);
        spec("selector").is_some_and(|selector| selects(selector, labels)) && !is_finished(pod)
    };
    let pods: Vec<_> = world.within(Kind::Pod, budget.namespace()).filter(selected).collect();
    let expected = i64::try_from(pods.len()).unwrap_or(i64::MAX);
    let healthy = i64::try_from(pods.iter().filter(|pod| is_ready(pod)).count()).unwrap_or(i64::MAX);
    let desired = match (spec("minAvailable"), spec("maxUnavailable")) {
        (Some(least), _) => amount(Some(least), expected, true, "0"),
        (None, Some(most)) => (expected - amount(Some(most), expected, true, "0")).max(0),
        (None, None) => 1,
    };
    let allowed = (healthy - desired).max(0);
    let now = world.clock.stamp();
    let mut conditions = Conditions::new(budget.value(), &now);
    let reason = if allowed > 0 { "SufficientPods" } else { "InsufficientPods" };
    conditions.set("DisruptionAllowed", allowed > 0, reason, "");
    let mut status = value(&json!({
        "observedGeneration": budget.generation().unwrap_or(0),
        "expectedPods": expected,
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "disruptionsAllowed": allowed,
    }));
    let mut conditions = conditions.into_value();
    // This list has `message` and `observedGeneration` as required fields of the type.
    for condition in conditions.as_list_mut().into_iter().flatten() {
        let fields = condition.make_map();
        fields.insert("message", "".into());
        fields.insert("observedGeneration", budget.generation().unwrap_or(0).into());
    }
    map_mut(&mut status, &[]).insert("conditions", conditions);
    step.set_status(Kind::PodDisruptionBudget, budget, status, CONTROLLER_MANAGER);
    step
}

/// Says that an autoscaler finds its target and leaves it as it is: there are no metrics.
pub(super) fn of_autoscaler(world: &World, autoscaler: &Object) -> Step {
    let mut step = Step::nothing();
    let target = |field: &str| text(autoscaler.value(), &["spec", "scaleTargetRef", field]);
    let scaled = Kind::named(target("kind")).and_then(|kind| world.find(kind, autoscaler.namespace(), target("name")));
    let now = world.clock.stamp();
    let mut conditions = Conditions::new(autoscaler.value(), &now);
    let mut status = json!({});
    match scaled {
        Some(scaled) => {
            let replicas = int_or(scaled.value(), &["spec", "replicas"], 1);
            status = json!({"currentReplicas": replicas, "desiredReplicas": replicas});
            let message = "the HPA controller was able to get the target's current scale";
            conditions.set("AbleToScale", true, "SucceededGetScale", message);
            let message = "the simulation leaves the number of replicas as it is";
            conditions.set("ScalingActive", true, "ValidMetricFound", message);
        }
        None => {
            let group = target("apiVersion").split_once('/').map_or(String::new(), |(group, _)| format!(".{group}"));
            let what = format!("{}s{group} {:?} not found", target("kind").to_lowercase(), target("name"));
            let message = format!("the HPA controller was unable to get the target's current scale: {what}");
            conditions.set("AbleToScale", false, "FailedGetScale", &message);
        }
    }
    let mut status = value(&status);
    map_mut(&mut status, &[]).insert("conditions", conditions.into_value());
    step.set_status(Kind::HorizontalPodAutoscaler, autoscaler, status, CONTROLLER_MANAGER);
    step
}
