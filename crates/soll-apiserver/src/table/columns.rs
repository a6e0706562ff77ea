//! The columns of builtin kinds.

use jiff::Timestamp;
use soll_yaml::Value;

use super::{Column, NAMELESS};
use crate::meta;
use crate::resources::Resource;

type Formula = fn(&Value, Timestamp) -> Value;

/// The columns after the name.
pub(super) fn builtin(resource: &Resource) -> Vec<Column> {
    // Name, type, priority, formula.
    let columns: &[(&str, &str, i64, Formula)] = match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "pods") => &[
            ("Ready", "string", 0, pod_ready),
            ("Status", "string", 0, pod_status),
            ("Restarts", "string", 0, pod_restarts),
            ("Age", "string", 0, age),
            ("IP", "string", 1, |pod, _| or_none(pod.lookup_str(&["status", "podIP"]))),
            ("Node", "string", 1, |pod, _| or_none(pod.lookup_str(&["spec", "nodeName"]))),
            ("Nominated Node", "string", 1, |pod, _| or_none(pod.lookup_str(&["status", "nominatedNodeName"]))),
            ("Readiness Gates", "string", 1, |_, _| Value::str("<none>")),
        ],
        ("", "componentstatuses") => &[
            ("Status", "string", 0, |object, _| match healthy(object, "status").as_str() {
                Some("True") => Value::str("Healthy"),
                Some("False") => Value::str("Unhealthy"),
                _ => Value::str("Unknown"),
            }),
            ("Message", "string", 0, |object, _| healthy(object, "message")),
            ("Error", "string", 0, |object, _| healthy(object, "error")),
        ],
        ("apps", "deployments") => &[
            ("Ready", "string", 0, |object, _| of(object, "readyReplicas")),
            ("Up-to-date", "string", 0, |object, _| status_number(object, "updatedReplicas")),
            ("Available", "string", 0, |object, _| status_number(object, "availableReplicas")),
            ("Age", "string", 0, age),
            ("Containers", "string", 1, container_names),
            ("Images", "string", 1, container_images),
            ("Selector", "string", 1, selector),
        ],
        ("apps", "replicasets") | ("", "replicationcontrollers") => &[
            ("Desired", "integer", 0, desired),
            ("Current", "integer", 0, |object, _| status_number(object, "replicas")),
            ("Ready", "integer", 0, |object, _| status_number(object, "readyReplicas")),
            ("Age", "string", 0, age),
            ("Containers", "string", 1, container_names),
            ("Images", "string", 1, container_images),
            ("Selector", "string", 1, selector),
        ],
        ("apps", "statefulsets") => &[
            ("Ready", "string", 0, |object, _| of(object, "readyReplicas")),
            ("Age", "string", 0, age),
            ("Containers", "string", 1, container_names),
            ("Images", "string", 1, container_images),
        ],
        ("apps", "daemonsets") => &[
            ("Desired", "integer", 0, |object, _| status_number(object, "desiredNumberScheduled")),
            ("Current", "integer", 0, |object, _| status_number(object, "currentNumberScheduled")),
            ("Ready", "integer", 0, |object, _| status_number(object, "numberReady")),
            ("Up-to-date", "integer", 0, |object, _| status_number(object, "updatedNumberScheduled")),
            ("Available", "integer", 0, |object, _| status_number(object, "numberAvailable")),
            ("Node Selector", "string", 0, node_selector),
            ("Age", "string", 0, age),
            ("Containers", "string", 1, container_names),
            ("Images", "string", 1, container_images),
            ("Selector", "string", 1, selector),
        ],
        ("batch", "jobs") => &[
            ("Status", "string", 0, job_status),
            ("Completions", "string", 0, job_completions),
            ("Duration", "string", 0, job_duration),
            ("Age", "string", 0, age),
            ("Containers", "string", 1, container_names),
            ("Images", "string", 1, container_images),
            ("Selector", "string", 1, selector),
        ],
        ("batch", "cronjobs") => &[
            ("Schedule", "string", 0, |object, _| spec_text(object, "schedule")),
            ("Timezone", "string", 0, |object, _| or_none(object.lookup_str(&["spec", "timeZone"]))),
            ("Suspend", "boolean", 0, |object, _| Value::from(python_bool(object.lookup(&["spec", "suspend"])))),
            ("Active", "integer", 0, |object, _| length(object.lookup(&["status", "active"]))),
            ("Last Schedule", "string", 0, |object, now| {
                let at = object.lookup_str(&["status", "lastScheduleTime"]);
                at.map_or_else(|| Value::str("<none>"), |at| Value::from(since(at, now)))
            }),
            ("Age", "string", 0, age),
            ("Containers", "string", 1, container_names),
            ("Images", "string", 1, container_images),
            ("Selector", "string", 1, |object, _| {
                labels_text(object.lookup(&["spec", "jobTemplate", "spec", "selector", "matchLabels"]))
            }),
        ],
        ("", "services") => &[
            ("Type", "string", 0, |object, _| spec_text(object, "type")),
            ("Cluster-IP", "string", 0, |object, _| or_none(object.lookup_str(&["spec", "clusterIP"]))),
            ("External-IP", "string", 0, external_ip),
            ("Port(s)", "string", 0, service_ports),
            ("Age", "string", 0, age),
            ("Selector", "string", 1, |object, _| labels_text(object.lookup(&["spec", "selector"]))),
        ],
        ("", "namespaces") => &[("Status", "string", 0, phase), ("Age", "string", 0, age)],
        ("", "nodes") => &[
            ("Status", "string", 0, node_status),
            ("Roles", "string", 0, node_roles),
            ("Age", "string", 0, age),
            ("Version", "string", 0, |object, _| text(object, &["status", "nodeInfo", "kubeletVersion"])),
        ],
        ("", "configmaps") => &[("Data", "string", 0, config_size), ("Age", "string", 0, age)],
        ("", "secrets") => &[
            ("Type", "string", 0, |object, _| text(object, &["type"])),
            ("Data", "string", 0, |object, _| length(object.get("data"))),
            ("Age", "string", 0, age),
        ],
        ("", "serviceaccounts") => &[("Age", "string", 0, age)],
        ("", "persistentvolumeclaims") => &[
            ("Status", "string", 0, phase),
            ("Volume", "string", 0, |object, _| spec_text(object, "volumeName")),
            ("Capacity", "string", 0, |object, _| text(object, &["status", "capacity", "storage"])),
            ("Access Modes", "string", 0, bound_access_modes),
            ("StorageClass", "string", 0, |object, _| spec_text(object, "storageClassName")),
            ("VolumeAttributesClass", "string", 0, attributes_class),
            ("Age", "string", 0, age),
            ("VolumeMode", "string", 1, |object, _| spec_text(object, "volumeMode")),
        ],
        ("", "persistentvolumes") => &[
            ("Capacity", "string", 0, |object, _| text(object, &["spec", "capacity", "storage"])),
            ("Access Modes", "string", 0, access_modes),
            ("Reclaim Policy", "string", 0, |object, _| spec_text(object, "persistentVolumeReclaimPolicy")),
            ("Status", "string", 0, phase),
            ("Claim", "string", 0, |object, _| {
                let part = |field| object.lookup_str(&["spec", "claimRef", field]).unwrap_or_default();
                if part("name").is_empty() {
                    Value::str("")
                } else {
                    Value::from(format!("{}/{}", part("namespace"), part("name")))
                }
            }),
            ("StorageClass", "string", 0, |object, _| spec_text(object, "storageClassName")),
            ("VolumeAttributesClass", "string", 0, attributes_class),
            ("Reason", "string", 0, |object, _| text(object, &["status", "reason"])),
            ("Age", "string", 0, age),
            ("VolumeMode", "string", 1, |object, _| spec_text(object, "volumeMode")),
        ],
        ("", "events") => &EVENTS,
        ("events.k8s.io", "events") => &NEW_EVENTS,
        ("networking.k8s.io", "ingresses") => &[
            ("Class", "string", 0, |object, _| or_none(object.lookup_str(&["spec", "ingressClassName"]))),
            ("Hosts", "string", 0, ingress_hosts),
            ("Address", "string", 0, |object, _| Value::from(load_balancers(object))),
            ("Ports", "string", 0, |object, _| {
                Value::str(if object.lookup(&["spec", "tls"]).is_some() { "80, 443" } else { "80" })
            }),
            ("Age", "string", 0, age),
        ],
        ("networking.k8s.io", "networkpolicies") => &[
            ("Pod-Selector", "string", 0, |object, _| {
                labels_text(object.lookup(&["spec", "podSelector", "matchLabels"]))
            }),
            ("Age", "string", 0, age),
        ],
        ("apiextensions.k8s.io", "customresourcedefinitions") => {
            &[("Created At", "date", 0, |object, _| Value::str(meta::text(object, "creationTimestamp")))]
        }
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => &[
            ("Role", "string", 0, |object, _| {
                let part = |field| object.lookup_str(&["roleRef", field]).unwrap_or_default();
                Value::from(format!("{}/{}", part("kind"), part("name")))
            }),
            ("Age", "string", 0, age),
            ("Users", "string", 1, |object, _| subjects(object, "User")),
            ("Groups", "string", 1, |object, _| subjects(object, "Group")),
            ("ServiceAccounts", "string", 1, |object, _| subjects(object, "ServiceAccount")),
        ],
        ("rbac.authorization.k8s.io", "roles" | "clusterroles") => {
            &[("Created At", "date", 0, |object, _| Value::str(meta::text(object, "creationTimestamp")))]
        }
        ("storage.k8s.io", "storageclasses") => &[
            ("Provisioner", "string", 0, |object, _| text(object, &["provisioner"])),
            ("ReclaimPolicy", "string", 0, |object, _| text(object, &["reclaimPolicy"])),
            ("VolumeBindingMode", "string", 0, |object, _| text(object, &["volumeBindingMode"])),
            ("AllowVolumeExpansion", "string", 0, |object, _| {
                Value::from(object.get("allowVolumeExpansion").and_then(Value::as_bool).unwrap_or(false))
            }),
            ("Age", "string", 0, age),
        ],
        ("coordination.k8s.io", "leases") => {
            &[("Holder", "string", 0, |object, _| spec_text(object, "holderIdentity")), ("Age", "string", 0, age)]
        }
        ("policy", "poddisruptionbudgets") => &[
            ("Min Available", "string", 0, |object, _| or_not_applicable(object.lookup(&["spec", "minAvailable"]))),
            ("Max Unavailable", "string", 0, |object, _| or_not_applicable(object.lookup(&["spec", "maxUnavailable"]))),
            ("Allowed Disruptions", "integer", 0, |object, _| status_number(object, "disruptionsAllowed")),
            ("Age", "string", 0, age),
        ],
        ("autoscaling", "horizontalpodautoscalers") => &[
            ("Reference", "string", 0, |object, _| {
                let part = |field| object.lookup_str(&["spec", "scaleTargetRef", field]).unwrap_or_default();
                Value::from(format!("{}/{}", part("kind"), part("name")))
            }),
            ("Targets", "string", 0, scaling_targets),
            ("MinPods", "string", 0, |object, _| match object.lookup(&["spec", "minReplicas"]) {
                Some(least) => Value::from(soll_yaml::to_json(least)),
                None => Value::str("<unset>"),
            }),
            ("MaxPods", "string", 0, |object, _| shown(object.lookup(&["spec", "maxReplicas"]))),
            ("Replicas", "string", 0, |object, _| status_number(object, "currentReplicas")),
            ("Age", "string", 0, age),
        ],
        ("", "endpoints") => &[("Endpoints", "string", 0, endpoints), ("Age", "string", 0, age)],
        ("discovery.k8s.io", "endpointslices") => &[
            ("AddressType", "string", 0, |object, _| text(object, &["addressType"])),
            ("Ports", "string", 0, slice_ports),
            ("Endpoints", "string", 0, slice_endpoints),
            ("Age", "string", 0, age),
        ],
        ("", "resourcequotas") => &[
            ("Request", "string", 0, |object, _| quota_use(object, false)),
            ("Limit", "string", 0, |object, _| quota_use(object, true)),
            ("Age", "string", 0, age),
        ],
        ("apps", "controllerrevisions") => &[
            ("Controller", "string", 0, controller_of),
            ("Revision", "string", 0, |object, _| shown(object.get("revision"))),
            ("Age", "string", 0, age),
        ],
        ("scheduling.k8s.io", "priorityclasses") => &[
            ("Value", "integer", 0, |object, _| shown(object.get("value"))),
            ("Global-Default", "boolean", 0, |object, _| {
                Value::from(object.get("globalDefault").and_then(Value::as_bool).unwrap_or(false))
            }),
            ("Age", "string", 0, age),
            ("PreemptionPolicy", "string", 0, |object, _| text(object, &["preemptionPolicy"])),
        ],
        ("networking.k8s.io", "ingressclasses") => &[
            ("Controller", "string", 0, |object, _| spec_text(object, "controller")),
            ("Parameters", "string", 0, class_parameters),
            ("Age", "string", 0, age),
        ],
        ("", "podtemplates") => &[
            ("Containers", "string", 0, container_names),
            ("Images", "string", 0, container_images),
            ("Pod Labels", "string", 0, |object, _| labels_text(object.lookup(&["template", "metadata", "labels"]))),
        ],
        ("node.k8s.io", "runtimeclasses") => {
            &[("Handler", "string", 0, |object, _| text(object, &["handler"])), ("Age", "string", 0, age)]
        }
        // The age has no name, as with the original.
        ("networking.k8s.io", "ipaddresses") => &[("ParentRef", "string", 0, parent), (NAMELESS, "string", 0, age)],
        ("networking.k8s.io", "servicecidrs") => &[("CIDRs", "string", 0, service_ranges), ("Age", "string", 0, age)],
        _ => &[("Created At", "date", 0, |object, _| Value::str(meta::text(object, "creationTimestamp")))],
    };
    columns.iter().map(|(name, kind, priority, cell)| Column::computed(name, kind, "", *priority, *cell)).collect()
}

const EVENTS: [(&str, &str, i64, Formula); 9] = [
    ("Last Seen", "string", 0, event_last_seen),
    ("Type", "string", 0, |event, _| text(event, &["type"])),
    ("Reason", "string", 0, |event, _| text(event, &["reason"])),
    ("Object", "string", 0, |event, _| event_object(event, "involvedObject")),
    ("Subobject", "string", 1, |event, _| text(event, &["involvedObject", "fieldPath"])),
    ("Source", "string", 1, |event, _| text(event, &["source", "component"])),
    ("Message", "string", 0, |event, _| Value::str(event.lookup_str(&["message"]).unwrap_or_default().trim())),
    ("First Seen", "string", 1, |event, now| {
        Value::from(event.lookup_str(&["firstTimestamp"]).map_or_else(|| "<unknown>".to_owned(), |at| since(at, now)))
    }),
    ("Count", "string", 1, |event, _| Value::from(event.get("count").and_then(Value::as_i64).unwrap_or(1))),
];

const NEW_EVENTS: [(&str, &str, i64, Formula); 5] = [
    ("Last Seen", "string", 0, event_last_seen),
    ("Type", "string", 0, |event, _| text(event, &["type"])),
    ("Reason", "string", 0, |event, _| text(event, &["reason"])),
    ("Object", "string", 0, |event, _| event_object(event, "regarding")),
    ("Message", "string", 0, |event, _| Value::str(event.lookup_str(&["note"]).unwrap_or_default().trim())),
];

/// Time since the creation, as kubectl writes it.
pub(super) fn age(object: &Value, now: Timestamp) -> Value {
    Value::from(since(meta::text(object, "creationTimestamp"), now))
}

/// Time since a point in time: `5s`, `3m20s`, `4h`, `2d3h`.
pub(super) fn since(at: &str, now: Timestamp) -> String {
    match at.parse::<Timestamp>() {
        Ok(at) => duration(now.as_second() - at.as_second()),
        Err(_) => "<unknown>".to_owned(),
    }
}

fn duration(seconds: i64) -> String {
    let seconds = match seconds {
        ..-1 => return "<invalid>".to_owned(),
        -1..0 => 0,
        _ => seconds,
    };
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |big: i64, unit: char, small: i64, small_unit: char| {
        if small == 0 { format!("{big}{unit}") } else { format!("{big}{unit}{small}{small_unit}") }
    };
    if seconds < 120 {
        format!("{seconds}s")
    } else if minutes < 10 {
        two(minutes, 'm', seconds % 60, 's')
    } else if minutes < 180 {
        format!("{minutes}m")
    } else if hours < 8 {
        two(hours, 'h', minutes % 60, 'm')
    } else if hours < 48 {
        format!("{hours}h")
    } else if days < 8 {
        two(days, 'd', hours % 24, 'h')
    } else if days < 730 {
        format!("{days}d")
    } else if days < 2920 {
        two(days / 365, 'y', days % 365, 'd')
    } else {
        format!("{}y", days / 365)
    }
}

/// The names of the subjects of a kind; service accounts with their namespace.
fn subjects(binding: &Value, kind: &str) -> Value {
    let subjects = binding.get("subjects").and_then(Value::as_list).unwrap_or_default();
    let names = subjects.iter().filter(|subject| subject.lookup_str(&["kind"]) == Some(kind)).map(|subject| {
        let part = |field| subject.lookup_str(&[field]).unwrap_or_default();
        if kind == "ServiceAccount" {
            format!("{}/{}", part("namespace"), part("name"))
        } else {
            part("name").to_owned()
        }
    });
    Value::from(names.collect::<Vec<_>>().join(", "))
}

/// `resource: used/hard` for the limits of a quota, or for the rest.
fn quota_use(quota: &Value, limits: bool) -> Value {
    let hard =
        quota.lookup(&["status", "hard"]).and_then(Value::as_map).map(soll_yaml::Map::sorted).unwrap_or_default();
    let rows = hard.iter().filter(|entry| entry.key.starts_with("limits.") == limits).map(|entry| {
        let used = quota.lookup_str(&["status", "used", &entry.key]).unwrap_or("0");
        format!("{}: {used}/{}", entry.key, entry.value.as_str().unwrap_or_default())
    });
    Value::from(rows.collect::<Vec<_>>().join(", "))
}

/// `kind.group/name` of the owner that controls the object.
fn controller_of(object: &Value, _: Timestamp) -> Value {
    let owners = object.lookup(&["metadata", "ownerReferences"]).and_then(Value::as_list).unwrap_or_default();
    let controls = |owner: &&Value| owner.get("controller").and_then(Value::as_bool) == Some(true);
    let Some(owner) = owners.iter().find(controls) else { return Value::str("<none>") };
    let part = |field| owner.lookup_str(&[field]).unwrap_or_default();
    let group = part("apiVersion").split_once('/').map_or("", |(group, _)| group);
    let dot = if group.is_empty() { "" } else { "." };
    Value::from(format!("{}{dot}{group}/{}", part("kind").to_lowercase(), part("name")))
}

/// `kind.group/name` of what an ingress class is configured by.
fn class_parameters(class: &Value, _: Timestamp) -> Value {
    let Some(parameters) = class.lookup(&["spec", "parameters"]) else { return Value::str("<none>") };
    let part = |field| parameters.lookup_str(&[field]);
    let group = part("apiGroup").map(|group| format!(".{group}")).unwrap_or_default();
    Value::from(format!("{}{group}/{}", part("kind").unwrap_or_default(), part("name").unwrap_or_default()))
}

/// A text of the condition that tells whether a part of the server is well.
fn healthy(component: &Value, field: &str) -> Value {
    let conditions = component.get("conditions").and_then(Value::as_list).unwrap_or_default();
    let healthy = conditions.iter().find(|condition| condition.lookup_str(&["type"]) == Some("Healthy"));
    Value::str(healthy.and_then(|condition| condition.lookup_str(&[field])).unwrap_or_default())
}

/// What an autoscaler measures, and its goal: `cpu: 12%/80%`.
fn scaling_targets(autoscaler: &Value, _: Timestamp) -> Value {
    let list = |part: &str, field: &str| -> Vec<Value> {
        autoscaler.lookup(&[part, field]).and_then(Value::as_list).unwrap_or_default().to_vec()
    };
    let (metrics, current) = (list("spec", "metrics"), list("status", "currentMetrics"));
    if metrics.is_empty() {
        return Value::str("<none>");
    }
    // More than two are counted.
    let shown: Vec<String> =
        metrics.iter().enumerate().take(2).map(|(index, metric)| scaling_target(metric, current.get(index))).collect();
    let rest = metrics.len().saturating_sub(2);
    let more = if rest > 0 { format!(" + {rest} more...") } else { String::new() };
    Value::from(format!("{}{more}", shown.join(", ")))
}

fn scaling_target(metric: &Value, current: Option<&Value>) -> String {
    let part = match metric.lookup_str(&["type"]).unwrap_or_default() {
        "External" => "external",
        "Pods" => "pods",
        "Object" => "object",
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        _ => return "<unknown type>".to_owned(),
    };
    let number = |value: Option<&Value>| {
        value.map(|value| value.as_str().map_or_else(|| soll_yaml::to_json(value), str::to_owned))
    };
    let goal = |field: &str| number(metric.lookup(&[part, "target", field]));
    let is = |field: &str| {
        number(current.and_then(|current| current.lookup(&[part, "current", field])))
            .unwrap_or_else(|| "<unknown>".into())
    };
    if matches!(part, "resource" | "containerResource") {
        let name = metric.lookup_str(&[part, "name"]).unwrap_or_default();
        return match goal("averageValue") {
            Some(goal) => format!("{name}: {}/{goal}", is("averageValue")),
            None => {
                let percent = |text: String| if text.starts_with('<') { text } else { format!("{text}%") };
                let goal = goal("averageUtilization").map_or_else(|| "<auto>".to_owned(), percent);
                format!("{name}: {}/{goal}", percent(is("averageUtilization")))
            }
        };
    }
    match (goal("averageValue"), goal("value")) {
        (Some(goal), _) if part == "pods" => format!("{}/{goal}", is("averageValue")),
        (Some(goal), _) => format!("{}/{goal} (avg)", is("averageValue")),
        (None, goal) => format!("{}/{}", is("value"), goal.unwrap_or_default()),
    }
}

fn text(object: &Value, keys: &[&str]) -> Value {
    Value::str(object.lookup_str(keys).unwrap_or_default())
}

fn spec_text(object: &Value, field: &str) -> Value {
    text(object, &["spec", field])
}

fn or_none(text: Option<&str>) -> Value {
    Value::str(text.filter(|text| !text.is_empty()).unwrap_or("<none>"))
}

fn shown(value: Option<&Value>) -> Value {
    match value {
        None => Value::str("<unset>"),
        Some(value) => value.clone(),
    }
}

fn or_not_applicable(value: Option<&Value>) -> Value {
    let text = value.map(|value| value.as_str().map_or_else(|| soll_yaml::to_json(value), str::to_owned));
    Value::from(text.unwrap_or_else(|| "N/A".to_owned()))
}

fn python_bool(value: Option<&Value>) -> String {
    if value.and_then(Value::as_bool) == Some(true) { "True".to_owned() } else { "False".to_owned() }
}

fn length(value: Option<&Value>) -> Value {
    let length = value.map_or(0, |value| match (value.as_list(), value.as_map()) {
        (Some(list), _) => list.len(),
        (_, Some(map)) => map.len(),
        _ => 0,
    });
    Value::from(i64::try_from(length).unwrap_or(i64::MAX))
}

fn status_number(object: &Value, field: &str) -> Value {
    Value::from(object.lookup(&["status", field]).and_then(Value::as_i64).unwrap_or(0))
}

fn replicas(object: &Value) -> i64 {
    object.lookup(&["spec", "replicas"]).and_then(Value::as_i64).unwrap_or(1)
}

fn desired(object: &Value, _: Timestamp) -> Value {
    Value::from(replicas(object))
}

fn of(object: &Value, field: &str) -> Value {
    let ready = object.lookup(&["status", field]).and_then(Value::as_i64).unwrap_or(0);
    Value::from(format!("{ready}/{}", replicas(object)))
}

fn phase(object: &Value, _: Timestamp) -> Value {
    text(object, &["status", "phase"])
}

fn template_containers(object: &Value) -> &[Value] {
    let of_cron_job = object.lookup(&["spec", "jobTemplate"]);
    let template = of_cron_job.unwrap_or(object).lookup(&["spec", "template"]).or_else(|| object.get("template"));
    template.and_then(|pod| pod.lookup(&["spec", "containers"])?.as_list()).unwrap_or_default()
}

fn join<'v>(items: impl Iterator<Item = &'v str>) -> Value {
    Value::from(items.collect::<Vec<_>>().join(","))
}

fn container_names(object: &Value, _: Timestamp) -> Value {
    join(template_containers(object).iter().filter_map(|container| container.lookup_str(&["name"])))
}

fn container_images(object: &Value, _: Timestamp) -> Value {
    join(template_containers(object).iter().filter_map(|container| container.lookup_str(&["image"])))
}

fn selector(object: &Value, _: Timestamp) -> Value {
    let selector = object.lookup(&["spec", "selector"]);
    labels_text(selector.and_then(|selector| selector.get("matchLabels")).or(selector))
}

fn node_selector(object: &Value, _: Timestamp) -> Value {
    labels_text(object.lookup(&["spec", "template", "spec", "nodeSelector"]))
}

fn labels_text(labels: Option<&Value>) -> Value {
    let Some(labels) = labels.and_then(Value::as_map).filter(|labels| !labels.is_empty()) else {
        return Value::str("<none>");
    };
    let terms: Vec<String> = labels
        .sorted()
        .iter()
        .map(|entry| format!("{}={}", entry.key, entry.value.as_str().unwrap_or_default()))
        .collect();
    Value::from(terms.join(","))
}

fn container_statuses(pod: &Value) -> &[Value] {
    pod.lookup(&["status", "containerStatuses"]).and_then(Value::as_list).unwrap_or_default()
}

fn pod_ready(pod: &Value, _: Timestamp) -> Value {
    let all = pod.lookup(&["spec", "containers"]).and_then(Value::as_list).map_or(0, <[Value]>::len);
    let ready =
        container_statuses(pod).iter().filter(|status| status.get("ready").and_then(Value::as_bool) == Some(true));
    Value::from(format!("{}/{all}", ready.count()))
}

/// The phase, or what a container waits for or ended with.
fn pod_status(pod: &Value, _: Timestamp) -> Value {
    if meta::is_terminating(pod) {
        return Value::str("Terminating");
    }
    let init = pod.lookup(&["status", "initContainerStatuses"]).and_then(Value::as_list).unwrap_or_default();
    for (index, status) in init.iter().enumerate() {
        let finished = status.lookup(&["state", "terminated", "exitCode"]).and_then(Value::as_i64) == Some(0);
        if finished || status.get("started").and_then(Value::as_bool) == Some(true) {
            continue;
        }
        let reason = status.lookup_str(&["state", "waiting", "reason"]).filter(|reason| *reason != "PodInitializing");
        let reason = reason.or_else(|| status.lookup_str(&["state", "terminated", "reason"]));
        let total = pod.lookup(&["spec", "initContainers"]).and_then(Value::as_list).map_or(0, <[Value]>::len);
        return Value::from(reason.map_or_else(|| format!("Init:{index}/{total}"), |reason| format!("Init:{reason}")));
    }
    let reason = container_statuses(pod).iter().rev().find_map(|status| {
        let state = |state| status.lookup_str(&["state", state, "reason"]);
        state("waiting").or_else(|| state("terminated"))
    });
    let phase = pod.lookup_str(&["status", "phase"]).unwrap_or("Unknown");
    Value::str(reason.or_else(|| pod.lookup_str(&["status", "reason"])).unwrap_or(phase))
}

fn pod_restarts(pod: &Value, _: Timestamp) -> Value {
    let restarts =
        container_statuses(pod).iter().filter_map(|status| status.get("restartCount").and_then(Value::as_i64));
    Value::from(restarts.sum::<i64>().to_string())
}

fn condition(object: &Value, kind: &str) -> bool {
    let conditions = object.lookup(&["status", "conditions"]).and_then(Value::as_list).unwrap_or_default();
    conditions
        .iter()
        .any(|held| held.lookup_str(&["type"]) == Some(kind) && held.lookup_str(&["status"]) == Some("True"))
}

fn job_status(job: &Value, _: Timestamp) -> Value {
    let states = [
        ("Complete", "Complete"),
        ("Failed", "Failed"),
        ("Suspended", "Suspended"),
        ("FailureTarget", "FailureTarget"),
        ("SuccessCriteriaMet", "SuccessCriteriaMet"),
    ];
    let found = states.iter().find(|(kind, _)| condition(job, kind));
    let running = if meta::is_terminating(job) { "Terminating" } else { "Running" };
    Value::str(found.map_or(running, |(_, shown)| shown))
}

fn job_completions(job: &Value, _: Timestamp) -> Value {
    let succeeded = job.lookup(&["status", "succeeded"]).and_then(Value::as_i64).unwrap_or(0);
    let wanted = job.lookup(&["spec", "completions"]).and_then(Value::as_i64).unwrap_or(1);
    Value::from(format!("{succeeded}/{wanted}"))
}

fn job_duration(job: &Value, now: Timestamp) -> Value {
    let time = |field| job.lookup_str(&["status", field]).and_then(|at| at.parse::<Timestamp>().ok());
    let Some(start) = time("startTime") else { return Value::str("") };
    let end = time("completionTime").unwrap_or(now);
    Value::from(duration(end.as_second() - start.as_second()))
}

fn load_balancers(object: &Value) -> String {
    let ingress = object.lookup(&["status", "loadBalancer", "ingress"]).and_then(Value::as_list).unwrap_or_default();
    let addresses = ingress.iter().filter_map(|one| one.lookup_str(&["ip"]).or_else(|| one.lookup_str(&["hostname"])));
    addresses.collect::<Vec<_>>().join(",")
}

fn external_ip(service: &Value, _: Timestamp) -> Value {
    let own = service.lookup(&["spec", "externalIPs"]).and_then(Value::as_list).unwrap_or_default();
    let mut addresses: Vec<String> = own.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let kind = service.lookup_str(&["spec", "type"]).unwrap_or_default();
    match kind {
        "ExternalName" => return spec_text(service, "externalName"),
        "LoadBalancer" => {
            let given = load_balancers(service);
            if !given.is_empty() {
                addresses.insert(0, given);
            } else if addresses.is_empty() {
                return Value::str("<pending>");
            }
        }
        _ => {}
    }
    or_none(Some(&addresses.join(",")))
}

fn service_ports(service: &Value, _: Timestamp) -> Value {
    let ports = service.lookup(&["spec", "ports"]).and_then(Value::as_list).unwrap_or_default();
    let texts: Vec<String> = ports
        .iter()
        .map(|port| {
            let number = |field| port.get(field).and_then(Value::as_i64).unwrap_or(0);
            let protocol = port.lookup_str(&["protocol"]).unwrap_or("TCP");
            match number("nodePort") {
                0 => format!("{}/{protocol}", number("port")),
                node => format!("{}:{node}/{protocol}", number("port")),
            }
        })
        .collect();
    or_none(Some(&texts.join(",")))
}

fn node_status(node: &Value, _: Timestamp) -> Value {
    let mut status = if condition(node, "Ready") { "Ready".to_owned() } else { "NotReady".to_owned() };
    if node.lookup(&["spec", "unschedulable"]).and_then(Value::as_bool) == Some(true) {
        status.push_str(",SchedulingDisabled");
    }
    Value::from(status)
}

fn node_roles(node: &Value, _: Timestamp) -> Value {
    let labels = node.lookup(&["metadata", "labels"]).and_then(Value::as_map);
    let roles = labels.into_iter().flatten().filter_map(|entry| entry.key.strip_prefix("node-role.kubernetes.io/"));
    or_none(Some(&roles.collect::<Vec<_>>().join(",")))
}

fn config_size(object: &Value, _: Timestamp) -> Value {
    let size = |field| object.get(field).and_then(Value::as_map).map_or(0, soll_yaml::Map::len);
    Value::from(i64::try_from(size("data") + size("binaryData")).unwrap_or(i64::MAX))
}

fn attributes_class(object: &Value, _: Timestamp) -> Value {
    Value::str(object.lookup_str(&["spec", "volumeAttributesClassName"]).unwrap_or("<unset>"))
}

fn access_modes(volume: &Value, _: Timestamp) -> Value {
    short_modes(volume.lookup(&["spec", "accessModes"]))
}

/// A claim has access when it has a volume.
fn bound_access_modes(claim: &Value, _: Timestamp) -> Value {
    let bound = claim.lookup_str(&["spec", "volumeName"]).is_some_and(|volume| !volume.is_empty());
    short_modes(claim.lookup(&["status", "accessModes"]).filter(|_| bound))
}

fn short_modes(modes: Option<&Value>) -> Value {
    let modes = modes.and_then(Value::as_list).unwrap_or_default();
    join(modes.iter().filter_map(Value::as_str).map(|mode| match mode {
        "ReadWriteOnce" => "RWO",
        "ReadOnlyMany" => "ROX",
        "ReadWriteMany" => "RWX",
        "ReadWriteOncePod" => "RWOP",
        other => other,
    }))
}

fn event_last_seen(event: &Value, now: Timestamp) -> Value {
    let series = event.lookup_str(&["series", "lastObservedTime"]);
    let fields = ["lastTimestamp", "deprecatedLastTimestamp", "eventTime", "firstTimestamp"];
    let at = series.or_else(|| fields.iter().find_map(|field| event.lookup_str(&[field])));
    Value::from(at.map_or_else(|| "<unknown>".to_owned(), |at| since(at, now)))
}

fn event_object(event: &Value, field: &str) -> Value {
    let part = |name| event.lookup_str(&[field, name]).unwrap_or_default();
    Value::from(format!("{}/{}", part("kind").to_lowercase(), part("name")))
}

fn ingress_hosts(object: &Value, _: Timestamp) -> Value {
    let rules = object.lookup(&["spec", "rules"]).and_then(Value::as_list).unwrap_or_default();
    let hosts: Vec<&str> = rules.iter().map(|rule| rule.lookup_str(&["host"]).unwrap_or("*")).collect();
    if hosts.is_empty() { Value::str("*") } else { Value::from(hosts.join(",")) }
}

/// What an address belongs to: `services/namespace/name`.
fn parent(address: &Value, _: Timestamp) -> Value {
    let Some(parent) = address.lookup(&["spec", "parentRef"]) else { return Value::str("<none>") };
    let of = |field: &str| parent.lookup_str(&[field]).unwrap_or_default();
    let group = if of("group").is_empty() { String::new() } else { format!(".{}", of("group")) };
    let kind = format!("{}{group}", of("resource")).to_lowercase();
    let namespace = if of("namespace").is_empty() { String::new() } else { format!("/{}", of("namespace")) };
    Value::from(format!("{kind}{namespace}/{}", of("name")))
}

fn service_ranges(object: &Value, _: Timestamp) -> Value {
    let ranges = object.lookup(&["spec", "cidrs"]).and_then(Value::as_list).unwrap_or_default();
    Value::from(ranges.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","))
}

fn endpoints(object: &Value, _: Timestamp) -> Value {
    let subsets = object.get("subsets").and_then(Value::as_list).unwrap_or_default();
    let mut texts = Vec::new();
    for subset in subsets {
        let list = |field| subset.get(field).and_then(Value::as_list).unwrap_or_default();
        for address in list("addresses") {
            let ip = address.lookup_str(&["ip"]).unwrap_or_default();
            for port in list("ports") {
                texts.push(format!("{ip}:{}", port.get("port").and_then(Value::as_i64).unwrap_or(0)));
            }
        }
    }
    or_none(Some(&texts.join(",")))
}

fn slice_ports(object: &Value, _: Timestamp) -> Value {
    let ports = object.get("ports").and_then(Value::as_list).unwrap_or_default();
    let texts: Vec<String> =
        ports.iter().filter_map(|port| port.get("port")?.as_i64()).map(|port| port.to_string()).collect();
    Value::from(if texts.is_empty() { "<unset>".to_owned() } else { texts.join(",") })
}

fn slice_endpoints(object: &Value, _: Timestamp) -> Value {
    let endpoints = object.get("endpoints").and_then(Value::as_list).unwrap_or_default();
    let addresses = endpoints.iter().flat_map(|one| one.get("addresses").and_then(Value::as_list).unwrap_or_default());
    let addresses: Vec<&str> = addresses.filter_map(Value::as_str).collect();
    Value::from(if addresses.is_empty() { "<unset>".to_owned() } else { addresses.join(",") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use soll_yaml::parse_json;

    #[test]
    fn ages_are_written_as_kubectl_does() {
        let cases = [
            (-5, "<invalid>"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (200, "3m20s"),
            (3600, "60m"),
            (10_800, "3h"),
            (11_000, "3h3m"),
            (90_000, "25h"),
            (200_000, "2d7h"),
            (864_000, "10d"),
            (80_000_000, "2y195d"),
        ];
        for (seconds, shown) in cases {
            assert_eq!(duration(seconds), shown, "{seconds}");
        }
    }

    #[test]
    fn a_waiting_container_shows_in_the_status_of_its_pod() {
        let pod = br#"{"spec":{"containers":[{}]},"status":{"phase":"Pending","containerStatuses":
            [{"ready":false,"state":{"waiting":{"reason":"ImagePullBackOff"}}}]}}"#;
        let pod = parse_json(pod).expect("JSON");
        assert_eq!(pod_status(&pod, Timestamp::UNIX_EPOCH), Value::str("ImagePullBackOff"));
        assert_eq!(pod_ready(&pod, Timestamp::UNIX_EPOCH), Value::str("0/1"));
    }
}
