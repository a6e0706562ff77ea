//! Deployments, stateful sets, daemon sets, jobs: defaults, validation, what may not change.

use soll_yaml::{Map, Value};

use super::checks::{at_least_zero, items, label_selector, optional, text};
use super::pod::{template, validate};
use super::{child, default, immutable, job, rollout, spec_of, spec_without};
use crate::refusal::{Cause, shown};
use crate::selector::LabelSelector;
use crate::{meta, names};

/// Fills in the defaults of `apps` and `batch` kinds; `kind` is the plural.
pub(crate) fn settle(kind: &str, object: &mut Value) {
    if kind == "daemonsets" {
        count_no_template(object);
    }
    let spec = spec_of(object);
    match kind {
        "deployments" => {
            default(spec, "replicas", 1);
            default(spec, "revisionHistoryLimit", 10);
            default(spec, "progressDeadlineSeconds", 600);
            rolling(spec, "strategy", &[("maxUnavailable", Value::str("25%")), ("maxSurge", Value::str("25%"))]);
        }
        "statefulsets" => {
            default(spec, "replicas", 1);
            default(spec, "revisionHistoryLimit", 10);
            default(spec, "podManagementPolicy", "OrderedReady");
            default(spec, "serviceName", "");
            // A type that is chosen gets no numbers by itself.
            let is_chosen = spec
                .get("updateStrategy")
                .is_some_and(|strategy| strategy.get("type").is_some() && strategy.get("rollingUpdate").is_none());
            if !is_chosen {
                rolling(spec, "updateStrategy", &[("partition", Value::from(0))]);
            }
            let retention = spec.get_or_insert_with("persistentVolumeClaimRetentionPolicy", Value::map).make_map();
            default(retention, "whenDeleted", "Retain");
            default(retention, "whenScaled", "Retain");
            for claim in super::items(spec, "volumeClaimTemplates") {
                default(claim, "apiVersion", "v1");
                default(claim, "kind", "PersistentVolumeClaim");
                if let Some(spec) = child(claim, "spec") {
                    default(spec, "volumeMode", "Filesystem");
                }
                let status = claim.get_or_insert_with("status", Value::map).make_map();
                default(status, "phase", "Pending");
            }
        }
        "daemonsets" => {
            default(spec, "revisionHistoryLimit", 10);
            rolling(spec, "updateStrategy", &[("maxUnavailable", Value::from(1)), ("maxSurge", Value::from(0))]);
            // Numbers that nobody uses are zero.
            if let Some(unused) = child(spec, "updateStrategy").and_then(|strategy| child(strategy, "rollingUpdate")) {
                default(unused, "maxUnavailable", 0);
                default(unused, "maxSurge", 0);
            }
        }
        "replicasets" => default(spec, "replicas", 1),
        "replicationcontrollers" => {
            settle_replication_controller(object);
            let Some(spec) = object.make_map().get_mut("spec").and_then(Value::as_map_mut) else { return };
            return settle_template(spec);
        }
        "jobs" => {
            settle_job(spec);
            let labels = spec.get("template").and_then(|pod| pod.lookup(&["metadata", "labels"])).cloned();
            if let Some(labels) = labels.filter(|labels| labels.as_map().is_some_and(|labels| !labels.is_empty())) {
                default(meta::metadata_mut(object), "labels", labels);
            }
            let Some(spec) = object.make_map().get_mut("spec").and_then(Value::as_map_mut) else { return };
            return settle_template(spec);
        }
        "cronjobs" => {
            default(spec, "concurrencyPolicy", "Allow");
            default(spec, "suspend", false);
            default(spec, "successfulJobsHistoryLimit", 3);
            default(spec, "failedJobsHistoryLimit", 1);
            if let Some(job) = child(spec, "jobTemplate").and_then(|job| child(job, "spec")) {
                settle_template(job);
            }
            return;
        }
        _ => {}
    }
    settle_template(spec);
}

/// The controller takes the labels of its pods for its own, and selects by them, if nothing else is said.
fn settle_replication_controller(object: &mut Value) {
    let labels = object.lookup(&["spec", "template", "metadata", "labels"]).cloned();
    let spec = spec_of(object);
    default(spec, "replicas", 1);
    if spec.get("minReadySeconds").and_then(Value::as_i64) == Some(0) {
        spec.remove("minReadySeconds");
    }
    let Some(labels) = labels.filter(|labels| labels.as_map().is_some_and(|labels| !labels.is_empty())) else { return };
    default(spec, "selector", labels.clone());
    default(meta::metadata_mut(object), "labels", labels);
}

pub(super) fn settle_template(spec: &mut Map) {
    if let Some(pod) = child(spec, "template").and_then(|pod| child(pod, "spec")) {
        template::settle(pod);
    }
}

/// `RollingUpdate` unless another type is chosen, with its numbers.
fn rolling(spec: &mut Map, field: &str, numbers: &[(&str, Value)]) {
    let strategy = spec.get_or_insert_with(field, Value::map).make_map();
    default(strategy, "type", "RollingUpdate");
    if strategy.get("type").and_then(Value::as_str) == Some("RollingUpdate") {
        let rolling = strategy.get_or_insert_with("rollingUpdate", Value::map).make_map();
        for (name, number) in numbers {
            default(rolling, name, number.clone());
        }
    }
}

fn settle_job(spec: &mut Map) {
    if spec.get("completions").is_none() && spec.get("parallelism").is_none() {
        default(spec, "completions", 1);
    }
    default(spec, "parallelism", 1);
    default(spec, "backoffLimit", 6);
    default(spec, "completionMode", "NonIndexed");
    default(spec, "manualSelector", false);
    default(spec, "suspend", false);
    let replacement = if spec.contains("podFailurePolicy") { "Failed" } else { "TerminatingOrFailed" };
    default(spec, "podReplacementPolicy", replacement);
}

/// Counts the templates that a daemon set has had, in an annotation that old clients read.
pub(crate) const TEMPLATES: &str = "deprecated.daemonset.template.generation";

/// Puts the count where it is missing; it is set when the object is stored.
fn count_no_template(object: &mut Value) {
    let annotations = meta::metadata_mut(object).get_or_insert_with("annotations", Value::map).make_map();
    default(annotations, TEMPLATES, "0");
}

/// Counts from one, and on if the template changes.
pub(crate) fn count_templates(old: Option<&Value>, object: &mut Value) {
    let before = old.and_then(|old| old.lookup_str(&["metadata", "annotations", TEMPLATES]));
    let before = before.and_then(|count| count.parse().ok()).unwrap_or(1);
    let template = ["spec", "template"];
    let changed = old.is_some_and(|old| old.lookup(&template) != object.lookup(&template));
    let count = before + i64::from(changed);
    let annotations = meta::metadata_mut(object).get_or_insert_with("annotations", Value::map).make_map();
    annotations.insert(TEMPLATES, Value::from(count.to_string()));
}

/// Gives a new job the selector and the labels by which it knows its pods. Needs its uid.
pub(crate) fn label_job(job: &mut Value) {
    let (uid, name) = (meta::text(job, "uid").to_owned(), meta::text(job, "name").to_owned());
    if job.lookup(&["spec", "manualSelector"]).and_then(Value::as_bool) == Some(true) {
        return;
    }
    let labels =
        [("controller-uid", &uid), (job::UID, &uid), ("job-name", &name), ("batch.kubernetes.io/job-name", &name)];
    let spec = spec_of(job);
    let template = spec.get_or_insert_with("template", Value::map).make_map();
    let metadata = template.get_or_insert_with("metadata", Value::map).make_map();
    let held = metadata.get_or_insert_with("labels", Value::map).make_map();
    for (key, value) in labels {
        held.insert(key, Value::str(value));
    }
    let own_labels = held.clone();
    let selector = spec.get_or_insert_with("selector", Value::map).make_map();
    selector.get_or_insert_with("matchLabels", Value::map).make_map().insert(job::UID, Value::str(&uid));
    let metadata = meta::metadata_mut(job);
    metadata.get_or_insert_with("labels", || own_labels.into());
}

/// What is wrong with a workload; `old` is what it was.
pub(crate) fn validate(kind: &str, old: Option<&Value>, object: &Value) -> Vec<Cause> {
    let spec = object.get("spec").cloned().unwrap_or_default();
    if kind == "jobs" {
        let mut causes = job::validate(old, object);
        causes.extend(validate_template(kind, &spec, "spec"));
        return causes;
    }
    let mut causes = Vec::new();
    for field in ["replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"] {
        causes.extend(at_least_zero(format!("spec.{field}"), spec.get(field)));
    }
    causes.extend(match kind {
        "replicationcontrollers" => validate_old_selector(&spec),
        _ => validate_selector(kind, &spec),
    });
    match kind {
        "deployments" => {
            let number = |field: &str| spec.get(field).and_then(Value::as_i64).unwrap_or(0);
            let deadline = number("progressDeadlineSeconds");
            if deadline <= number("minReadySeconds") {
                let why = "must be greater than minReadySeconds";
                causes.push(Cause::invalid("spec.progressDeadlineSeconds", &deadline.to_string(), why));
            }
            causes.extend(rollout::of_deployment(&spec));
        }
        "daemonsets" => causes.extend(rollout::of_daemon_set(&spec)),
        "statefulsets" => {
            causes.extend(rollout::of_stateful_set(&spec));
            causes.extend(optional("spec.serviceName", text(&spec, &["serviceName"]), names::plain_label));
            if old.is_none() {
                causes.extend(items(&spec, "volumeClaimTemplates", "spec").flat_map(|(at, template)| {
                    let causes = super::claim::validate(template).into_iter();
                    causes.map(move |cause| Cause { field: format!("{at}.{}", cause.field), ..cause })
                }));
            }
        }
        _ => {}
    }
    if spec.get("template").is_some() {
        causes.extend(validate_template(kind, &spec, "spec"));
    }
    causes
}

const NO_MATCH: &str = "`selector` does not match template `labels`";

fn no_match(spec: &Value) -> Cause {
    let given = spec.lookup(&["template", "metadata", "labels"]).map_or_else(|| "null".into(), shown);
    Cause::invalid("spec.template.metadata.labels", &given, NO_MATCH)
}

fn validate_selector(kind: &str, spec: &Value) -> Vec<Cause> {
    let labels = spec.lookup(&["template", "metadata", "labels"]);
    let Some(selector) = spec.get("selector") else {
        let missing = (kind != "daemonsets").then(|| Cause::required("spec.selector", ""));
        return missing.into_iter().chain([no_match(spec)]).collect();
    };
    let mut causes = label_selector("spec.selector", selector);
    let wrong = |why: &str| Cause::invalid("spec.selector", &shown(selector), why);
    match LabelSelector::from_value(selector) {
        Err(_) => causes.push(wrong("invalid label selector")),
        Ok(empty) if empty.is_empty() => {
            // What is wrong with replica sets was written for deployments.
            let whose = if kind == "replicasets" { "deployment" } else { kind.trim_end_matches('s') };
            causes.push(wrong(&format!("empty selector is invalid for {whose}")));
        }
        Ok(selector) if !selector.matches_labels(labels) => causes.push(no_match(spec)),
        Ok(_) => {}
    }
    causes
}

/// Replication controllers select by labels alone.
fn validate_old_selector(spec: &Value) -> Vec<Cause> {
    let selector = spec.get("selector").and_then(Value::as_map);
    let mut causes = Vec::new();
    if selector.is_none_or(Map::is_empty) {
        causes.push(Cause::required("spec.selector", ""));
    }
    if spec.get("template").is_none() {
        causes.push(Cause::required("spec.template", ""));
        return causes;
    }
    let label = |key: &str| spec.lookup(&["template", "metadata", "labels", key]);
    if selector.is_some_and(|selector| selector.iter().any(|entry| label(&entry.key) != Some(&entry.value))) {
        causes.push(no_match(spec));
    }
    causes
}

pub(super) fn validate_template(kind: &str, spec: &Value, at: &str) -> Vec<Cause> {
    let mut pod = spec.lookup(&["template", "spec"]).cloned().unwrap_or_default();
    if kind == "statefulsets" {
        add_claims(spec, &mut pod);
    }
    let at = format!("{at}.template.spec");
    let mut causes = validate::check(&pod, &at);
    if let Some(labels) = spec.lookup(&["template", "metadata", "labels"]) {
        let field = at.trim_end_matches(".spec");
        causes.extend(names::check_label_map(&format!("{field}.labels"), labels));
    }
    let owner = match kind {
        "deployments" | "replicasets" => "ReplicaSet",
        "daemonsets" => "DaemonSet",
        "statefulsets" => "StatefulSet",
        "replicationcontrollers" => "ReplicationController",
        _ => "",
    };
    if !owner.is_empty() && pod.get("activeDeadlineSeconds").is_some() {
        let why = format!("activeDeadlineSeconds in {owner} is not Supported");
        causes.push(Cause::forbidden(format!("{at}.activeDeadlineSeconds"), why));
    }
    let policy = pod.lookup_str(&["restartPolicy"]).unwrap_or_default();
    let field = format!("{at}.restartPolicy");
    match (kind, policy) {
        ("jobs" | "cronjobs", "Always") => {
            causes.push(Cause::required(field, "valid values: \"OnFailure\", \"Never\""));
        }
        ("jobs" | "cronjobs", _) | (_, "Always") => {}
        (_, "OnFailure" | "Never") => causes.push(Cause::unsupported(field, &format!("{policy:?}"), &["Always"])),
        _ => {}
    }
    causes
}

/// Adds the volumes that a pod gets from the templates of claims, in place of its own of the same names.
fn add_claims(spec: &Value, pod: &mut Value) {
    let claims = spec.get("volumeClaimTemplates").and_then(Value::as_list).unwrap_or_default();
    let names: Vec<&str> = claims.iter().filter_map(|claim| claim.lookup_str(&["metadata", "name"])).collect();
    if names.is_empty() {
        return;
    }
    let volumes = pod.make_map().get_or_insert_with("volumes", || Value::list(Vec::new()));
    let Some(volumes) = volumes.as_list_mut() else { return };
    volumes.retain(|volume| !volume.lookup_str(&["name"]).is_some_and(|name| names.contains(&name)));
    let claimed = |name: &&str| {
        let source = Map::from_iter([("claimName", Value::str(name))]);
        Value::from(Map::from_iter([("name", Value::str(name)), ("persistentVolumeClaim", source.into())]))
    };
    volumes.extend(names.iter().map(claimed));
}

/// What is wrong with a change of a workload.
pub(crate) fn validate_update(kind: &str, old: &Value, object: &Value) -> Vec<Cause> {
    match kind {
        "deployments" | "daemonsets" | "replicasets" => immutable(old, object, &["spec", "selector"]),
        "statefulsets" => {
            const MAY_CHANGE: [&str; 7] = [
                "replicas",
                "ordinals",
                "template",
                "updateStrategy",
                "revisionHistoryLimit",
                "persistentVolumeClaimRetentionPolicy",
                "minReadySeconds",
            ];
            if spec_without(old, &MAY_CHANGE) == spec_without(object, &MAY_CHANGE) {
                return Vec::new();
            }
            let why = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', \
                       'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
            vec![Cause::forbidden("spec", why)]
        }
        "jobs" => {
            let mut causes = immutable(old, object, &["spec", "completions"]);
            for field in ["selector", "template", "completionMode"] {
                causes.extend(immutable(old, object, &["spec", field]));
            }
            // A suspended job that has not started may get another template.
            let suspended = |object: &Value| object.lookup(&["spec", "suspend"]).and_then(Value::as_bool) == Some(true);
            if suspended(old) && old.lookup(&["status", "startTime"]).is_none() {
                causes.retain(|cause| cause.field != "spec.template");
            }
            causes
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use soll_yaml::{parse_json, to_json_sorted};

    fn deployment(spec: &str) -> Value {
        let mut object = parse_json(format!(r#"{{"spec":{spec}}}"#).as_bytes()).expect("JSON");
        settle("deployments", &mut object);
        object
    }

    const TEMPLATE: &str =
        r#""template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i:1"}]}}"#;

    #[test]
    fn settling_twice_changes_nothing_more() {
        let once = deployment(&format!(r#"{{"selector":{{"matchLabels":{{"a":"b"}}}},{TEMPLATE}}}"#));
        let mut twice = once.clone();
        settle("deployments", &mut twice);
        assert_eq!(to_json_sorted(&once), to_json_sorted(&twice));
        assert_eq!(once.lookup(&["spec", "progressDeadlineSeconds"]).and_then(Value::as_i64), Some(600));
        let policy = once.lookup_str(&["spec", "template", "spec", "restartPolicy"]);
        assert_eq!(policy, Some("Always"));
        assert!(validate("deployments", None, &once).is_empty());
    }

    #[test]
    fn the_selector_must_match_and_stays() {
        let wrong = deployment(&format!(r#"{{"selector":{{"matchLabels":{{"a":"x"}}}},{TEMPLATE}}}"#));
        assert_eq!(validate("deployments", None, &wrong)[0].field, "spec.template.metadata.labels");
        let good = deployment(&format!(r#"{{"selector":{{"matchLabels":{{"a":"b"}}}},{TEMPLATE}}}"#));
        let causes = validate_update("deployments", &wrong, &good);
        assert_eq!(causes[0].field, "spec.selector");
        assert!(causes[0].message.ends_with("field is immutable"));
    }

    #[test]
    fn pods_of_a_stateful_set_mount_what_it_claims() {
        let spec = r#"{"selector":{"matchLabels":{"a":"b"}},"volumeClaimTemplates":[{"metadata":{"name":"data"},
            "spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}],
            "updateStrategy":{"type":"RollingUpdate"},
            "template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i:1","volumeMounts":
            [{"name":"data","mountPath":"/data"},{"name":"other","mountPath":"/other"}]}]}}}"#;
        let mut set = parse_json(format!(r#"{{"spec":{spec}}}"#).as_bytes()).expect("JSON");
        settle("statefulsets", &mut set);
        let causes = validate("statefulsets", None, &set);
        let fields: Vec<_> = causes.iter().map(|cause| cause.field.as_str()).collect();
        assert_eq!(fields, ["spec.template.spec.containers[0].volumeMounts[1].name"]);
        let strategy = set.lookup(&["spec", "updateStrategy"]).map(to_json_sorted);
        assert_eq!(strategy.as_deref(), Some(r#"{"type":"RollingUpdate"}"#));
    }

    #[test]
    fn a_recreate_strategy_gets_no_numbers() {
        let object = deployment(&format!(r#"{{"strategy":{{"type":"Recreate"}},{TEMPLATE}}}"#));
        assert_eq!(object.lookup(&["spec", "strategy"]).map(to_json_sorted).as_deref(), Some(r#"{"type":"Recreate"}"#));
    }
}
