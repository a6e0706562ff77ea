//! Pods.

pub(crate) mod armor;
mod container;
pub(crate) mod odd;
mod placement;
pub(crate) mod template;
pub(crate) mod validate;

use jiff::Timestamp;
use soll_yaml::{Map, Value};

use crate::meta;
use crate::refusal::{Cause, Refusal};
use crate::rest::Context;

/// Fills in the defaults.
pub(crate) fn settle(object: &mut Value) {
    let spec = super::spec_of(object);
    template::settle(spec);
    super::default(spec, "enableServiceLinks", true);
    for list in ["initContainers", "containers"] {
        for container in super::items(spec, list) {
            request_limits(container);
        }
    }
    if let Some(status) = super::child(object.make_map(), "status") {
        settle_status(status);
    }
}

/// The times of conditions are always written; a pod has its address in two fields.
fn settle_status(status: &mut Map) {
    for condition in super::items(status, "conditions") {
        super::default(condition, "lastProbeTime", Value::null());
        super::default(condition, "lastTransitionTime", Value::null());
    }
    if let Some(address) = status.get("podIP").filter(|address| address.as_str().is_some_and(|text| !text.is_empty())) {
        let own = Map::from_iter([("ip", address.clone())]);
        super::default(status, "podIPs", Value::list(vec![own.into()]));
    }
}

/// What admission gives to a new pod; nobody is noted as the manager of these fields.
fn admit(object: &mut Value) {
    let spec = super::spec_of(object);
    super::default(spec, "preemptionPolicy", "PreemptLowerPriority");
    super::default(spec, "priority", 0);
    super::default(spec, "serviceAccountName", "default");
    let account = spec.get("serviceAccountName").cloned().unwrap_or_default();
    spec.insert("serviceAccount", account);
    tolerate_trouble(spec);
}

/// What is limited and not requested is requested.
fn request_limits(container: &mut Map) {
    let Some(resources) = super::child(container, "resources") else { return };
    let Some(limits) = resources.get("limits").cloned() else { return };
    let requests = resources.get_or_insert_with("requests", Value::map).make_map();
    for entry in limits.as_map().into_iter().flatten() {
        super::default(requests, &entry.key, entry.value.clone());
    }
}

/// Every pod stays five minutes on a node that is in trouble.
fn tolerate_trouble(spec: &mut Map) {
    let tolerations = spec.get_or_insert_with("tolerations", || Value::list(Vec::new()));
    let Some(list) = tolerations.as_list_mut() else { return };
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let covered = list.iter().any(|held| {
            let text = |field| held.lookup_str(&[field]).unwrap_or_default();
            (text("key") == key || text("key").is_empty()) && matches!(text("effect"), "" | "NoExecute")
        });
        if !covered {
            list.push(
                Map::from_iter([
                    ("key", Value::str(key)),
                    ("operator", Value::str("Exists")),
                    ("effect", Value::str("NoExecute")),
                    ("tolerationSeconds", Value::from(300)),
                ])
                .into(),
            );
        }
    }
}

/// A pod keeps its spec but for images, deadlines and more tolerations.
pub(crate) fn validate_update(old: &Value, object: &Value) -> Vec<Cause> {
    let fixed = |object: &Value| {
        let may_change = ["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds"];
        let mut spec = super::spec_without(object, &may_change);
        let map = spec.make_map();
        for list in ["initContainers", "containers"] {
            for container in super::items(map, list) {
                container.remove("image");
            }
        }
        spec
    };
    if fixed(old) == fixed(object) {
        return Vec::new();
    }
    let why = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,\
               `spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),\
               `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
    vec![Cause::forbidden("spec", why)]
}

/// A pod starts as pending, with its quality of service.
pub(crate) fn prepare_create(ctx: &Context<'_>, object: &mut Value) -> Result<(), Refusal> {
    let spec = super::spec_of(object);
    // There is no going back in time.
    if spec.get("terminationGracePeriodSeconds").and_then(Value::as_i64).is_some_and(|seconds| seconds < 0) {
        spec.insert("terminationGracePeriodSeconds", Value::from(1));
    }
    prioritise(ctx, object)?;
    admit(object);
    let class = quality_of_service(object);
    let status = object.make_map().get_or_insert_with("status", Value::map).make_map();
    status.insert("phase", Value::str("Pending"));
    status.insert("qosClass", Value::str(class));
    Ok(())
}

/// Gives a pod the priority of its class, or of the class for those that name none.
fn prioritise(ctx: &Context<'_>, object: &mut Value) -> Result<(), Refusal> {
    let (classes, _) = ctx.api.store.snapshot("scheduling.k8s.io/priorityclasses");
    let name = object.lookup_str(&["spec", "priorityClassName"]).unwrap_or_default().to_owned();
    let value = |class: &Value| class.get("value").and_then(Value::as_i64).unwrap_or(0);
    let is_default = |class: &Value| class.get("globalDefault").and_then(Value::as_bool) == Some(true);
    let class = if name.is_empty() {
        let defaults = classes.iter().filter(|class| is_default(&class.value));
        defaults.min_by_key(|class| value(&class.value))
    } else {
        let class = classes.iter().find(|class| class.key.name == name);
        let why = || format!("no PriorityClass with name {name} was found");
        let pod = meta::text(object, "name").to_owned();
        Some(class.ok_or_else(|| Refusal::forbidden(&ctx.target.resource, &pod, why()))?)
    };
    let Some(class) = class else { return Ok(()) };
    let spec = super::spec_of(object);
    spec.insert("priorityClassName", Value::from(class.key.name.to_string()));
    spec.insert("priority", Value::from(value(&class.value)));
    let preemption = class.value.get("preemptionPolicy").cloned();
    super::default(spec, "preemptionPolicy", preemption.unwrap_or_else(|| Value::str("PreemptLowerPriority")));
    Ok(())
}

/// `Guaranteed`, `Burstable` or `BestEffort`, from the resources of the containers.
fn quality_of_service(pod: &Value) -> &'static str {
    let lists = ["containers", "initContainers"];
    let containers =
        lists.iter().flat_map(|list| pod.lookup(&["spec", list]).and_then(Value::as_list).unwrap_or_default());
    let (mut any, mut all_equal) = (false, true);
    for container in containers {
        for resource in ["cpu", "memory"] {
            let amount = |part: &str| container.lookup(&["resources", part, resource]);
            any |= amount("requests").is_some() || amount("limits").is_some();
            let equal = amount("requests").is_none() || amount("requests") == amount("limits");
            all_equal &= amount("limits").is_some() && equal;
        }
    }
    match (any, all_equal) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// Sets a condition without a reason.
pub(crate) fn set_condition(pod: &mut Value, kind: &str, status: &str, now: Timestamp) {
    let condition = Map::from_iter([
        ("type", Value::str(kind)),
        ("status", Value::str(status)),
        ("lastProbeTime", Value::null()),
        ("lastTransitionTime", Value::from(meta::time(now))),
    ]);
    let conditions = pod
        .make_map()
        .get_or_insert_with("status", Value::map)
        .make_map()
        .get_or_insert_with("conditions", || Value::list(Vec::new()));
    let Some(list) = conditions.as_list_mut() else { return };
    list.retain(|held| held.lookup_str(&["type"]) != Some(kind));
    list.push(condition.into());
}

#[cfg(test)]
mod tests {
    use super::*;
    use soll_yaml::parse_json;

    #[test]
    fn resources_decide_the_quality_of_service() {
        let class = |resources: &str| {
            let pod = format!(r#"{{"spec":{{"containers":[{{"resources":{resources}}}]}}}}"#);
            quality_of_service(&parse_json(pod.as_bytes()).expect("JSON"))
        };
        assert_eq!(class("{}"), "BestEffort");
        assert_eq!(class(r#"{"requests":{"cpu":"1"}}"#), "Burstable");
        assert_eq!(class(r#"{"limits":{"cpu":"1","memory":"1Gi"}}"#), "Guaranteed");
    }
}
