//! HorizontalPodAutoscalers: their defaults, and their two versions.
//!
//! `autoscaling/v1` knows one metric, how busy the processor is. What else an autoscaler says stands there in annotations, as
//! JSON. An object is stored in the second version, as in Kubernetes, and shown in the one that is asked for.

mod validate;

use soll_yaml::{Map, Value, parse_json, to_json};

use super::{child, default, spec_of};
use crate::meta;
use crate::resources::{Resource, Subresource};

pub(crate) use validate::validate;

/// Where `autoscaling/v1` keeps what it has no fields for.
const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
/// All of these; nobody else can say anything in them, nor in the last two, which had no long life.
const NOTES: [&str; 6] = [
    METRICS,
    CURRENT_METRICS,
    CONDITIONS,
    BEHAVIOR,
    "autoscaling.alpha.kubernetes.io/scale-down-tolerance",
    "autoscaling.alpha.kubernetes.io/scale-up-tolerance",
];
const FIRST: &str = "autoscaling/v1";

/// Says whether a resource is this kind, in either version.
pub(crate) fn is_of(resource: &Resource) -> bool {
    resource.is("autoscaling", "horizontalpodautoscalers")
}

/// What is filled in: one replica at least, and 80 % of the processor if no metric is named.
pub(crate) fn settle(resource: &Resource, object: &mut Value) {
    if resource.version == "v1" {
        // As Kubernetes reads it: what its annotations say beyond its fields is the rest of the object, or nothing.
        *object = first(&second(object));
        return default(spec_of(object), "minReplicas", 1);
    }
    if let Some(metadata) = object.get_mut("metadata") {
        forget_notes(metadata.make_map());
    }
    let spec = spec_of(object);
    default(spec, "minReplicas", 1);
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

/// Makes an object of either version, of which the status was just taken from another one, say in annotations, too, what the
/// other one says there of its status, or nothing if there is none.
pub(crate) fn keep_status(old: Option<&Value>, object: &mut Value) {
    keep_notes([CURRENT_METRICS, CONDITIONS], old, object);
}

/// The same for the rest of the object.
pub(crate) fn keep_spec(old: &Value, object: &mut Value) {
    keep_notes([METRICS, BEHAVIOR], Some(old), object);
}

fn keep_notes(keys: [&str; 2], old: Option<&Value>, object: &mut Value) {
    let metadata = object.make_map().get_or_insert_with("metadata", Value::map).make_map();
    let annotations = metadata.get_or_insert_with("annotations", Value::map).make_map();
    for key in keys {
        match old.and_then(|old| old.lookup(&["metadata", "annotations", key])) {
            Some(note) => drop(annotations.insert(key, note.clone())),
            None => drop(annotations.remove(key)),
        }
    }
    if annotations.is_empty() {
        metadata.remove("annotations");
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

/// An autoscaler of the first version as it is stored, before anything is filled in: in the second version, with what only that one
/// has and this write leaves alone as it was.
pub(crate) fn at_rest(subresource: Option<Subresource>, live: &Value, object: &Value) -> Value {
    let mut rest = second(object);
    let kept = if subresource == Some(Subresource::Status) { "spec" } else { "status" };
    meta::copy_top(&mut rest, &with_metrics(live), kept);
    default(spec_of(&mut rest), "minReplicas", 1);
    rest
}

/// What is to be stored: `rest`, with the metadata that the object of the first version came to have.
pub(crate) fn stored(rest: &Value, object: &Value) -> Value {
    let mut stored = rest.clone();
    meta::copy_top(&mut stored, object, "metadata");
    forget_notes(meta::metadata_mut(&mut stored));
    stored
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
    let others: Vec<Value> = list(&["spec", "metrics"])
        .iter()
        .filter(|metric| percentage(metric).is_none())
        .map(|metric| of_first(metric, TARGET))
        .collect();
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
        notes.push((
            CURRENT_METRICS,
            to_json(&Value::list(current.iter().map(|metric| of_first(metric, CURRENT)).collect())),
        ));
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
    let mut metrics: Vec<Value> = list(METRICS).iter().map(|metric| of_second(metric, TARGET)).collect();
    metrics.extend(spec.remove("targetCPUUtilizationPercentage").as_ref().map(processor));
    if metrics.is_empty() {
        metrics.push(processor(&Value::from(80)));
    }
    spec.insert("metrics", Value::list(metrics));
    let behavior = note(BEHAVIOR).map(|behavior| external(&behavior)).filter(|behavior| {
        // Of neither way, it is none.
        behavior.as_map().is_some_and(|ways| !ways.is_empty())
    });
    if let Some(behavior) = behavior {
        spec.insert("behavior", behavior);
    }
    let status = top.get_or_insert_with("status", Value::map).make_map();
    let busy = status.remove("currentCPUUtilizationPercentage");
    status.retain(|entry| entry.key != "currentReplicas" || entry.value != Value::from(0));
    let mut current: Vec<Value> = list(CURRENT_METRICS).iter().map(|metric| of_second(metric, CURRENT)).collect();
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
    NOTES.iter().for_each(|key| drop(annotations.remove(key)));
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

/// What `autoscaling/v1` has a field for in a metric.
#[derive(Clone, Copy, PartialEq)]
enum What {
    Described,
    Name,
    Metric,
    Value,
    Average,
    Utilization,
    Selector,
    Container,
}

/// The fields of a kind of metrics in `autoscaling/v1`, in Go's order. What is measured is called `current` there, where a goal is
/// called `target`.
fn fields(part: &str) -> &'static [(&'static str, What)] {
    match part {
        "object" => &[
            ("target", What::Described),
            ("metricName", What::Metric),
            ("targetValue", What::Value),
            ("selector", What::Selector),
            ("averageValue", What::Average),
        ],
        "pods" => &[("metricName", What::Metric), ("targetAverageValue", What::Average), ("selector", What::Selector)],
        "external" => &[
            ("metricName", What::Metric),
            ("metricSelector", What::Selector),
            ("targetValue", What::Value),
            ("targetAverageValue", What::Average),
        ],
        "containerResource" => &[
            ("name", What::Name),
            ("targetAverageUtilization", What::Utilization),
            ("targetAverageValue", What::Average),
            ("container", What::Container),
        ],
        _ => &[
            ("name", What::Name),
            ("targetAverageUtilization", What::Utilization),
            ("targetAverageValue", What::Average),
        ],
    }
}

/// Whether a quantity is written even if there is none, as zero.
fn is_always_written(part: &str, what: What, amount: &str) -> bool {
    match part {
        "object" => what == What::Value,
        "pods" => what == What::Average,
        "external" => what == What::Value && amount == CURRENT,
        _ => what == What::Average && amount == CURRENT,
    }
}

/// The fields for how much is aimed at, and how much there is.
const TARGET: &str = "target";
const CURRENT: &str = "current";

fn field_of_first(name: &str, what: What, amount: &str) -> String {
    if what == What::Described { name.to_owned() } else { name.replacen(TARGET, amount, 1) }
}

/// A metric, or what was measured, as `autoscaling/v1` writes it. `amount` is the field for how much it is.
fn of_first(metric: &Value, amount: &str) -> Value {
    let kind = metric.get("type").cloned().unwrap_or_default();
    let part = KINDS.iter().find(|(of, _)| kind.as_str() == Some(of)).map(|(_, part)| *part);
    let Some((part, from)) = part.and_then(|part| Some((part, metric.get(part)?))) else {
        return map([("type", kind)]);
    };
    let written = fields(part).iter().filter_map(|(name, what)| {
        let said = match what {
            What::Described => from.get("describedObject").map(|object| pick(object, &["kind", "name", "apiVersion"])),
            What::Name => from.get("name").cloned(),
            What::Container => from.get("container").cloned(),
            What::Metric => from.lookup(&["metric", "name"]).cloned(),
            What::Selector => from.lookup(&["metric", "selector"]).cloned(),
            What::Value => from.lookup(&[amount, "value"]).cloned(),
            What::Average => from.lookup(&[amount, "averageValue"]).cloned(),
            What::Utilization => from.lookup(&[amount, "averageUtilization"]).cloned(),
        };
        let said = said.or_else(|| is_always_written(part, *what, amount).then(|| Value::str("0")))?;
        Some((field_of_first(name, *what, amount), said))
    });
    let written: Map = written.collect();
    map([("type", kind), (part, written.into())])
}

/// The reverse of [`of_first`].
fn of_second(metric: &Value, amount: &str) -> Value {
    let kind = metric.get("type").cloned().unwrap_or_default();
    let part = KINDS.iter().find(|(of, _)| kind.as_str() == Some(of)).map(|(_, part)| *part);
    let Some((part, from)) = part.and_then(|part| Some((part, metric.get(part)?))) else {
        return map([("type", kind)]);
    };
    let (mut much, mut measured, mut to) = (Map::new(), Map::new(), Map::new());
    for (name, what) in fields(part) {
        let said = from.get(&field_of_first(name, *what, amount)).cloned();
        let said = said.or_else(|| is_always_written(part, *what, amount).then(|| Value::str("0")));
        let Some(said) = said else { continue };
        match what {
            What::Described => to.insert("describedObject", said),
            What::Name => to.insert("name", said),
            What::Container => to.insert("container", said),
            What::Metric => measured.insert("name", said),
            What::Selector => measured.insert("selector", said),
            What::Value => much.insert("value", said),
            What::Average => much.insert("averageValue", said),
            What::Utilization => much.insert("averageUtilization", said),
        };
    }
    if amount == TARGET {
        let by = |key: &str| much.get(key).is_some();
        let kind = match part {
            _ if by("averageUtilization") => "Utilization",
            "object" if !by("averageValue") => "Value",
            "external" if by("value") => "Value",
            _ => "AverageValue",
        };
        much.insert("type", Value::str(kind));
    }
    to.insert(amount, Value::from(much));
    if !measured.is_empty() {
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
