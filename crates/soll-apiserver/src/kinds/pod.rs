//! Pods.

use jiff::Timestamp;
use soll_yaml::{Map, Value};

use crate::meta;

/// A pod starts as pending, with its quality of service.
pub(crate) fn prepare_create(object: &mut Value) {
    let class = quality_of_service(object);
    let status = object.make_map().get_or_insert_with("status", Value::map).make_map();
    status.insert("phase", Value::str("Pending"));
    status.insert("qosClass", Value::str(class));
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
