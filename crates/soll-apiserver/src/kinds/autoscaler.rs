//! HorizontalPodAutoscalers: their defaults, and their two versions.
//!
//! `autoscaling/v1` knows one metric, how busy the processor is. What else an autoscaler says stands there in annotations, as
//! JSON. An object is stored in the form in which it was written last, and shown in the one that is asked for.

use soll_yaml::{Map, Value, parse_json, to_json};

use super::{child, default};
use crate::refusal::Cause;
use crate::resources::Resource;

/// Where `autoscaling/v1` keeps what it has no fields for.
const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
const FIRST: &str = "autoscaling/v1";

/// What is filled in: one replica at least, and 80 % of the processor if no metric is named.
pub(crate) fn settle(resource: &Resource, object: &mut Value) {
    let names_metrics = object.lookup(&["metadata", "annotations", METRICS]).is_some();
    let spec = object.make_map().get_or_insert_with("spec", Value::map).make_map();
    default(spec, "minReplicas", 1);
    if resource.version == "v1" {
        if !names_metrics {
            default(spec, "targetCPUUtilizationPercentage", 80);
        }
        return;
    }
    if spec.get("metrics").is_none() {
        spec.insert("metrics", Value::list(vec![processor(&Value::from(80))]));
    }
    // Who says anything of the behaviour gets the rest of it.
    if let Some(behavior) = child(spec, "behavior") {
        let pods = scaling_policy("Pods", 4);
        let all = scaling_policy("Percent", 100);
        let up = behavior.get_or_insert_with("scaleUp", Value::map).make_map();
        default(up, "stabilizationWindowSeconds", 0);
        default(up, "selectPolicy", "Max");
        default(up, "policies", Value::list(vec![pods, all.clone()]));
        let down = behavior.get_or_insert_with("scaleDown", Value::map).make_map();
        default(down, "selectPolicy", "Max");
        default(down, "policies", Value::list(vec![all]));
    }
}

/// The metric of `autoscaling/v1`: how busy the processor is, on average.
fn processor(percentage: &Value) -> Value {
    let target = map([("type", Value::str("Utilization")), ("averageUtilization", percentage.clone())]);
    map([("type", Value::str("Resource")), ("resource", map([("name", Value::str("cpu")), ("target", target)]))])
}

fn scaling_policy(kind: &str, value: i64) -> Value {
    map([("type", Value::str(kind)), ("value", Value::from(value)), ("periodSeconds", Value::from(15))])
}

/// What is wrong with an autoscaler.
pub(crate) fn validate(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let number = |field: &str| object.lookup(&["spec", field]).and_then(Value::as_i64).unwrap_or(0);
    let (least, most) = (number("minReplicas"), number("maxReplicas"));
    if least < 1 {
        let why = "must be greater than or equal to 1";
        causes.push(Cause::invalid("spec.minReplicas", &least.to_string(), why));
    }
    if most < 1 {
        causes.push(Cause::invalid("spec.maxReplicas", &most.to_string(), "must be greater than 0"));
    }
    if most < least {
        let why = "must be greater than or equal to `minReplicas`";
        causes.push(Cause::invalid("spec.maxReplicas", &most.to_string(), why));
    }
    let of_target = |field: &str| object.lookup_str(&["spec", "scaleTargetRef", field]).unwrap_or_default();
    for field in ["kind", "name"] {
        if of_target(field).is_empty() {
            causes.push(Cause::required(format!("spec.scaleTargetRef.{field}"), ""));
        }
    }
    if !of_target("apiVersion").contains('/') && of_target("kind") != "ReplicationController" {
        let shown = format!("{:?}", of_target("apiVersion"));
        causes.push(Cause::invalid("spec.scaleTargetRef.apiVersion", &shown, "apiVersion must specify API group"));
    }
    causes
}

/// An autoscaler, stored in either form, in the form of the version that is asked for.
pub(crate) fn present(resource: &Resource, stored: &Value) -> Value {
    let is_first = stored.lookup_str(&["apiVersion"]) == Some(FIRST);
    match (resource.version.as_str(), is_first) {
        ("v1", false) => first(stored),
        ("v1", true) | (_, false) => stored.clone(),
        (_, true) => second(stored),
    }
}

/// An autoscaler in whichever form, with the fields of `autoscaling/v2`.
pub(crate) fn with_metrics(object: &Value) -> Value {
    if object.lookup_str(&["apiVersion"]) == Some(FIRST) { second(object) } else { object.clone() }
}

/// The average use of the processor that a metric asks for; it is what `autoscaling/v1` has a field for.
fn percentage(metric: &Value) -> Option<&Value> {
    let is_cpu = metric.lookup_str(&["resource", "name"]) == Some("cpu");
    metric.lookup(&["resource", "target", "averageUtilization"]).filter(|_| is_cpu)
}

/// `autoscaling/v2` as `autoscaling/v1`.
fn first(object: &Value) -> Value {
    let list = |keys: &[&str]| object.lookup(keys).and_then(Value::as_list).unwrap_or_default();
    let mut shown = object.clone();
    let top = shown.make_map();
    top.insert("apiVersion", Value::str(FIRST));
    let mut notes: Vec<(&str, String)> = Vec::new();
    if let Some(spec) = child(top, "spec") {
        spec.remove("metrics");
        if let Some(behavior) = spec.remove("behavior") {
            notes.push((BEHAVIOR, to_json(&internal(&behavior))));
        }
        if let Some(percentage) = list(&["spec", "metrics"]).iter().find_map(percentage) {
            spec.insert("targetCPUUtilizationPercentage", percentage.clone());
        }
    }
    let others: Vec<Value> =
        list(&["spec", "metrics"]).iter().filter(|metric| percentage(metric).is_none()).map(metric_of_first).collect();
    if !others.is_empty() {
        notes.push((METRICS, to_json(&Value::list(others))));
    }
    let (current, conditions) = (list(&["status", "currentMetrics"]), list(&["status", "conditions"]));
    if let Some(status) = child(top, "status") {
        // Go writes it always in this version, and in the other only if there are any.
        default(status, "currentReplicas", 0);
        status.remove("currentMetrics");
        status.remove("conditions");
        let busy = current.iter().find_map(|metric| {
            let is_cpu = metric.lookup_str(&["resource", "name"]) == Some("cpu");
            metric.lookup(&["resource", "current", "averageUtilization"]).filter(|_| is_cpu)
        });
        if let Some(busy) = busy {
            status.insert("currentCPUUtilizationPercentage", busy.clone());
        }
    }
    if !current.is_empty() {
        notes.push((CURRENT_METRICS, to_json(&Value::list(current.iter().map(current_of_first).collect()))));
    }
    if !conditions.is_empty() {
        let ordered =
            |condition: &Value| pick(condition, &["type", "status", "lastTransitionTime", "reason", "message"]);
        notes.push((CONDITIONS, to_json(&Value::list(conditions.iter().map(ordered).collect()))));
    }
    let metadata = top.get_or_insert_with("metadata", Value::map).make_map();
    forget_notes(metadata);
    if !notes.is_empty() {
        let annotations = metadata.get_or_insert_with("annotations", Value::map).make_map();
        notes.into_iter().for_each(|(key, text)| drop(annotations.insert(key, Value::from(text))));
    }
    shown
}

/// `autoscaling/v1` as `autoscaling/v2`.
fn second(object: &Value) -> Value {
    let note = |key: &str| parse_json(object.lookup_str(&["metadata", "annotations", key])?.as_bytes()).ok();
    let list = |key: &str| note(key).and_then(|list| list.as_list().map(<[Value]>::to_vec)).unwrap_or_default();
    let mut shown = object.clone();
    let top = shown.make_map();
    top.insert("apiVersion", Value::str("autoscaling/v2"));
    let spec = top.get_or_insert_with("spec", Value::map).make_map();
    let mut metrics: Vec<Value> = list(METRICS).iter().map(metric_of_second).collect();
    metrics.extend(spec.remove("targetCPUUtilizationPercentage").as_ref().map(processor));
    if metrics.is_empty() {
        metrics.push(processor(&Value::from(80)));
    }
    spec.insert("metrics", Value::list(metrics));
    if let Some(behavior) = note(BEHAVIOR) {
        spec.insert("behavior", external(&behavior));
    }
    let status = top.get_or_insert_with("status", Value::map).make_map();
    let busy = status.remove("currentCPUUtilizationPercentage");
    status.retain(|entry| entry.key != "currentReplicas" || entry.value != Value::from(0));
    let mut current: Vec<Value> = list(CURRENT_METRICS).iter().map(current_of_second).collect();
    if let (true, Some(busy)) = (current.is_empty(), busy) {
        let current_use = map([("averageUtilization", busy)]);
        let resource = map([("name", Value::str("cpu")), ("current", current_use)]);
        current.push(map([("type", Value::str("Resource")), ("resource", resource)]));
    }
    let current = if current.is_empty() { Value::null() } else { Value::list(current) };
    status.insert("currentMetrics", current);
    let conditions = list(CONDITIONS);
    if !conditions.is_empty() {
        status.insert("conditions", Value::list(conditions));
    }
    forget_notes(top.get_or_insert_with("metadata", Value::map).make_map());
    shown
}

fn forget_notes(metadata: &mut Map) {
    let Some(annotations) = child(metadata, "annotations") else { return };
    [METRICS, CURRENT_METRICS, CONDITIONS, BEHAVIOR].iter().for_each(|key| drop(annotations.remove(key)));
    if annotations.is_empty() {
        metadata.remove("annotations");
    }
}

/// The kinds of metrics, and the fields in which they stand.
const KINDS: [(&str, &str); 5] = [
    ("Object", "object"),
    ("Pods", "pods"),
    ("Resource", "resource"),
    ("ContainerResource", "containerResource"),
    ("External", "external"),
];

/// How the parts of a metric are called in `autoscaling/v1`: its goal by value, by average value, by average use, and the selector
/// of what is measured.
fn names(part: &str) -> [&'static str; 4] {
    match part {
        "object" => ["targetValue", "averageValue", "", "selector"],
        "pods" => ["", "targetAverageValue", "", "selector"],
        "external" => ["targetValue", "targetAverageValue", "", "metricSelector"],
        _ => ["", "targetAverageValue", "targetAverageUtilization", ""],
    }
}

/// What is measured rather than aimed at.
fn current_names(part: &str) -> [&'static str; 4] {
    match part {
        "object" => ["currentValue", "averageValue", "", "selector"],
        "pods" => ["", "currentAverageValue", "", "selector"],
        "external" => ["currentValue", "currentAverageValue", "", "metricSelector"],
        _ => ["", "currentAverageValue", "currentAverageUtilization", ""],
    }
}

fn metric_of_first(metric: &Value) -> Value {
    of_first(metric, "target", names)
}

fn current_of_first(metric: &Value) -> Value {
    of_first(metric, "current", current_names)
}

fn metric_of_second(metric: &Value) -> Value {
    of_second(metric, "target", names)
}

fn current_of_second(metric: &Value) -> Value {
    of_second(metric, "current", current_names)
}

/// A metric, or what was measured, as `autoscaling/v1` writes it. `amount` is the field for how much it is.
fn of_first(metric: &Value, amount: &str, names: fn(&str) -> [&'static str; 4]) -> Value {
    let kind = metric.get("type").cloned().unwrap_or_default();
    let part = KINDS.iter().find(|(of, _)| kind.as_str() == Some(of)).map(|(_, part)| *part);
    let Some((part, from)) = part.and_then(|part| Some((part, metric.get(part)?))) else {
        return map([("type", kind)]);
    };
    let mut to = Map::new();
    let mut put = |key: &str, value: Option<&Value>| {
        if let Some(value) = value.filter(|_| !key.is_empty()) {
            to.insert(key, value.clone());
        }
    };
    let [value, average, utilization, selector] = names(part);
    let target = from.get("describedObject").map(|object| pick(object, &["kind", "name", "apiVersion"]));
    put("target", target.as_ref());
    put("name", from.get("name"));
    put("metricName", from.lookup(&["metric", "name"]));
    put(value, from.lookup(&[amount, "value"]));
    put(utilization, from.lookup(&[amount, "averageUtilization"]));
    put(average, from.lookup(&[amount, "averageValue"]));
    put(selector, from.lookup(&["metric", "selector"]));
    put("container", from.get("container"));
    map([("type", kind), (part, to.into())])
}

/// The reverse of [`of_first`].
fn of_second(metric: &Value, amount: &str, names: fn(&str) -> [&'static str; 4]) -> Value {
    let kind = metric.get("type").cloned().unwrap_or_default();
    let part = KINDS.iter().find(|(of, _)| kind.as_str() == Some(of)).map(|(_, part)| *part);
    let Some((part, from)) = part.and_then(|part| Some((part, metric.get(part)?))) else {
        return map([("type", kind)]);
    };
    let [value, average, utilization, selector] = names(part);
    let mut much = Map::new();
    for (key, name) in [("averageUtilization", utilization), ("averageValue", average), ("value", value)] {
        if let Some(found) = from.get(name).filter(|_| !name.is_empty()) {
            much.insert(key, found.clone());
        }
    }
    if amount == "target" {
        let by = |key: &str| much.get(key).is_some();
        let kind = match part {
            _ if by("averageUtilization") => "Utilization",
            "object" if !by("averageValue") => "Value",
            "external" if by("value") => "Value",
            _ => "AverageValue",
        };
        much.insert("type", Value::str(kind));
    }
    let mut to = Map::from_iter([(amount, Value::from(much))]);
    if let Some(object) = from.get("target").filter(|_| part == "object") {
        to.insert("describedObject", object.clone());
    }
    for key in ["name", "container"] {
        if let Some(found) = from.get(key) {
            to.insert(key, found.clone());
        }
    }
    if let Some(name) = from.get("metricName") {
        let mut measured = Map::from_iter([("name", name.clone())]);
        if let Some(found) = from.get(selector).filter(|_| !selector.is_empty()) {
            measured.insert("selector", found.clone());
        }
        to.insert("metric", measured.into());
    }
    map([("type", kind), (part, to.into())])
}

/// Fields of the behaviour, as the API has them and as Kubernetes writes them into the annotation.
const BEHAVIOR_FIELDS: [(&str, &str); 9] = [
    ("scaleUp", "ScaleUp"),
    ("scaleDown", "ScaleDown"),
    ("stabilizationWindowSeconds", "StabilizationWindowSeconds"),
    ("selectPolicy", "SelectPolicy"),
    ("policies", "Policies"),
    ("tolerance", "Tolerance"),
    ("type", "Type"),
    ("value", "Value"),
    ("periodSeconds", "PeriodSeconds"),
];

/// The behaviour with the names of Go's fields, and null for what is not said.
fn internal(behavior: &Value) -> Value {
    let rules = |way: &str| {
        let Some(rules) = behavior.get(way) else { return Value::null() };
        let field = |name: &str| rules.get(name).cloned().unwrap_or_default();
        let policies = rules.get("policies").and_then(Value::as_list).unwrap_or_default();
        let policies = policies.iter().map(|policy| {
            let field = |name: &str| policy.get(name).cloned().unwrap_or_default();
            map([("Type", field("type")), ("Value", field("value")), ("PeriodSeconds", field("periodSeconds"))])
        });
        map([
            ("StabilizationWindowSeconds", field("stabilizationWindowSeconds")),
            ("SelectPolicy", field("selectPolicy")),
            ("Policies", Value::list(policies.collect())),
            ("Tolerance", field("tolerance")),
        ])
    };
    map([("ScaleUp", rules("scaleUp")), ("ScaleDown", rules("scaleDown"))])
}

/// The reverse of [`internal`].
fn external(behavior: &Value) -> Value {
    if let Some(list) = behavior.as_list() {
        return Value::list(list.iter().map(external).collect());
    }
    let Some(fields) = behavior.as_map() else { return behavior.clone() };
    let said = fields.iter().filter(|field| !field.value.is_null());
    let named = said.map(|field| {
        let known = BEHAVIOR_FIELDS.iter().find(|(_, go)| field.key == *go);
        (known.map_or(field.key.as_str(), |(name, _)| name), external(&field.value))
    });
    Map::from_iter(named).into()
}

/// Fields of a value, in this order.
fn pick(value: &Value, fields: &[&str]) -> Value {
    Map::from_iter(fields.iter().filter_map(|field| Some((*field, value.get(field)?.clone())))).into()
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Map::from_iter(entries).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::Registry;

    #[test]
    fn nothing_is_lost_between_the_versions() {
        let table = Registry::builtin().table();
        let row =
            |version: &str| table.find("autoscaling", version, "horizontalpodautoscalers").expect("builtin").clone();
        let object = r#"{"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"a","annotations":{"x":"y"}},
            "spec":{"minReplicas":1,"maxReplicas":3,"metrics":[
            {"type":"Pods","pods":{"target":{"averageValue":"3","type":"AverageValue"},"metric":{"name":"m","selector":{"matchLabels":{"a":"b"}}}}},
            {"type":"Object","object":{"target":{"value":"2k","type":"Value"},"describedObject":{"kind":"Ingress","name":"i"},"metric":{"name":"m"}}},
            {"type":"ContainerResource","containerResource":{"target":{"averageUtilization":5,"type":"Utilization"},"name":"cpu","container":"c"}},
            {"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":60}}}],
            "behavior":{"scaleDown":{"selectPolicy":"Max","policies":[{"type":"Pods","value":1,"periodSeconds":60}]}}},
            "status":{"currentReplicas":1,"desiredReplicas":1,"currentMetrics":[{"type":"Resource","resource":{"current":{"averageUtilization":7,"averageValue":"1"},"name":"cpu"}}],
            "conditions":[{"type":"AbleToScale","status":"True"}]}}"#;
        let object = parse_json(object.as_bytes()).expect("JSON");
        let first = present(&row("v1"), &object);
        assert_eq!(first.lookup(&["spec", "targetCPUUtilizationPercentage"]), Some(&Value::from(60)));
        assert_eq!(first.lookup(&["status", "currentCPUUtilizationPercentage"]), Some(&Value::from(7)));
        assert_eq!(
            first.lookup_str(&["metadata", "annotations", BEHAVIOR]),
            Some(
                r#"{"ScaleUp":null,"ScaleDown":{"StabilizationWindowSeconds":null,"SelectPolicy":"Max","Policies":[{"Type":"Pods","Value":1,"PeriodSeconds":60}],"Tolerance":null}}"#
            )
        );
        assert!(first.lookup(&["spec", "metrics"]).is_none() && first.lookup(&["status", "conditions"]).is_none());
        assert_eq!(present(&row("v2"), &first), object);
    }
}
