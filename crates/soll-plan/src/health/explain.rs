//! Why an object is not healthy: the chain to the pod and container at fault.

use soll_api::{Culprit, Object};
use soll_yaml::{At, Value};

/// What was read to explain a failure.
#[derive(Debug, Clone, Copy, Default)]
pub struct Related<'a> {
    /// The Pods that belong to the object.
    pub pods: &'a [Object],
    /// The Events about these Pods and about the object.
    pub events: &'a [Object],
}

/// The label selector that finds the Pods of a workload; nothing for kinds without Pods.
#[must_use]
pub fn pod_selector(object: &Object) -> Option<String> {
    if !matches!(
        (object.group(), object.kind()),
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") | ("batch", "Job")
    ) {
        return None;
    }
    let selector = object.value().lookup(&["spec", "selector"])?;
    let labels = selector.get("matchLabels").and_then(Value::as_map).into_iter().flatten();
    let mut terms: Vec<_> =
        labels.filter_map(|entry| Some(format!("{}={}", entry.key, entry.value.as_str()?))).collect();
    for expression in selector.get("matchExpressions").and_then(Value::as_list).unwrap_or_default() {
        let key = expression.lookup_str(&["key"])?;
        let values = expression.get("values").and_then(Value::as_list).unwrap_or_default();
        let values = values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",");
        terms.push(match expression.lookup_str(&["operator"])? {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            "DoesNotExist" => format!("!{key}"),
            _ => return None,
        });
    }
    (!terms.is_empty()).then(|| terms.join(","))
}

/// Why an object is not healthy.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Explanation {
    /// The links below the object, from the pod to the container at fault. Empty if nothing is known.
    pub culprits: Vec<Culprit>,
    /// The container at fault, if it is one.
    pub container: Option<ContainerFault>,
}

/// A container that keeps an object from becoming healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerFault {
    /// Its name.
    pub name: String,
    /// Whether its image is what is wrong.
    pub is_image: bool,
}

/// Says why an object is not healthy. Of several bad pods the worst is named, and how many there are.
#[must_use]
pub fn explain(object: &Object, related: &Related<'_>) -> Explanation {
    let mut faults: Vec<_> = related.pods.iter().filter_map(|pod| Some((pod, fault(pod, related.events)?))).collect();
    // The worst first; among equals the first by name, so that the text is stable.
    faults.sort_by(|(a, fault), (b, other)| fault.rank.cmp(&other.rank).then_with(|| a.name().cmp(b.name())));
    let Some((pod, fault)) = faults.first() else {
        let told = warning(object, related.events).into_iter();
        let culprits = told.map(|why| link(object.object_ref().to_string(), why)).collect();
        return Explanation { culprits, container: None };
    };
    let others = match faults.len() {
        1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    let who = format!("{}{others}", pod.object_ref());
    match &fault.container {
        Some(container) => Explanation {
            culprits: vec![
                link(who, fault.phase.clone()),
                link(format!("container {}", container.name), fault.why.clone()),
            ],
            container: Some(container.clone()),
        },
        None => Explanation { culprits: vec![link(who, fault.why.clone())], container: None },
    }
}

/// Where a container, or its image, was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerPlace {
    /// The container's name.
    pub name: String,
    /// Its path in the object.
    pub path: String,
    /// The place of the container.
    pub at: At,
    /// The place of its image.
    pub image_at: At,
}

/// Where the containers of a workload were written; nothing for kinds without containers.
#[must_use]
pub fn container_places(desired: &Object) -> Vec<ContainerPlace> {
    const SPECS: [&[&str]; 3] =
        [&["spec", "template", "spec"], &["spec"], &["spec", "jobTemplate", "spec", "template", "spec"]];
    let mut places = Vec::new();
    for spec in SPECS {
        for list in ["initContainers", "containers"] {
            let containers = desired.value().lookup(spec).and_then(|spec| spec.get(list)).and_then(Value::as_list);
            for container in containers.unwrap_or_default() {
                let Some(name) = container.lookup_str(&["name"]) else { continue };
                places.push(ContainerPlace {
                    name: name.to_owned(),
                    path: format!("{}.{list}[name=\"{name}\"]", spec.join(".")),
                    at: container.at,
                    image_at: container.get("image").map_or(container.at, |image| image.at.or(container.at)),
                });
            }
        }
    }
    places
}

fn link(who: String, why: String) -> Culprit {
    Culprit { who, why }
}

/// What is wrong with one Pod.
struct Fault {
    /// The lower, the more surely it is the cause.
    rank: u8,
    phase: String,
    container: Option<ContainerFault>,
    why: String,
}

/// Reasons for waiting of which the image is the cause, as kubelet names them.
const IMAGE_REASONS: [&str; 7] = [
    "ImagePullBackOff",
    "ErrImagePull",
    "ErrImageNeverPull",
    "InvalidImageName",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
];

/// Reasons for waiting that are no fault: everything starts with them.
const STARTING: [&str; 3] = ["ContainerCreating", "PodInitializing", ""];

fn fault(pod: &Object, events: &[Object]) -> Option<Fault> {
    let phase = pod.value().lookup_str(&["status", "phase"]).unwrap_or("Pending").to_owned();
    if phase == "Succeeded" {
        return None;
    }
    for list in ["initContainerStatuses", "containerStatuses"] {
        for status in pod.value().lookup(&["status", list]).and_then(Value::as_list).unwrap_or_default() {
            if let Some((rank, why)) = container_fault(status) {
                let container = status.lookup_str(&["name"]).map(|name| {
                    let waiting = status.lookup_str(&["state", "waiting", "reason"]).unwrap_or_default();
                    ContainerFault { name: name.to_owned(), is_image: IMAGE_REASONS.contains(&waiting) }
                });
                return Some(Fault { rank, phase, container, why });
            }
        }
    }
    if let Some(scheduled) = super::condition(pod, "PodScheduled").filter(|scheduled| scheduled.status == "False") {
        return Some(Fault { rank: 2, phase, container: None, why: sentence(scheduled.reason, scheduled.message) });
    }
    if super::condition(pod, "Ready").is_some_and(|ready| ready.status == "True") {
        return None;
    }
    let told = warning(pod, events).or_else(|| {
        let reason = pod.value().lookup_str(&["status", "reason"])?;
        Some(sentence(reason, pod.value().lookup_str(&["status", "message"]).unwrap_or_default()))
    });
    let rank = if told.is_some() { 3 } else { 4 };
    let why = told.unwrap_or_else(|| format!("{phase}, not ready"));
    Some(Fault { rank, phase, container: None, why })
}

/// What is wrong with a container, and how surely that is the cause.
fn container_fault(status: &Value) -> Option<(u8, String)> {
    let text = |path: &[&str]| status.lookup_str(path).unwrap_or_default();
    let waiting = text(&["state", "waiting", "reason"]);
    if !STARTING.contains(&waiting) {
        let mut why = sentence(waiting, text(&["state", "waiting", "message"]));
        // Behind a crash loop stands how the container ended the last time.
        if let Some(ended) = status.lookup(&["lastState", "terminated"]).and_then(ended) {
            why = format!("{why}; last {ended}");
        }
        return Some((0, why));
    }
    let ended = status.lookup(&["state", "terminated"]).and_then(ended)?;
    Some((1, ended))
}

/// How a container ended, unless well.
fn ended(terminated: &Value) -> Option<String> {
    let code = terminated.get("exitCode").and_then(Value::as_i64).unwrap_or(0);
    let reason = terminated.lookup_str(&["reason"]).unwrap_or("Error");
    (code != 0)
        .then(|| sentence(&format!("{reason}, exit code {code}"), terminated.lookup_str(&["message"]).unwrap_or("")))
}

/// The newest warning event about an object.
fn warning(object: &Object, events: &[Object]) -> Option<String> {
    let is_about = |event: &&Object| {
        let about = event.value().get("involvedObject").or_else(|| event.value().get("regarding"));
        event.value().lookup_str(&["type"]) == Some("Warning")
            && about.is_some_and(|about| match about.lookup_str(&["uid"]) {
                Some(uid) if !object.uid().is_empty() => uid == object.uid(),
                _ => {
                    about.lookup_str(&["kind"]) == Some(object.kind())
                        && about.lookup_str(&["name"]) == Some(object.name())
                        && about.lookup_str(&["namespace"]).unwrap_or_default() == object.namespace()
                }
            })
    };
    let newest = events.iter().filter(is_about).max_by_key(|event| {
        let times = [["lastTimestamp"], ["eventTime"], ["firstTimestamp"]];
        times.iter().filter_map(|path| event.value().lookup_str(path)).max().unwrap_or_default().to_owned()
    })?;
    let text = |key| newest.value().lookup_str(&[key]).unwrap_or_default();
    Some(sentence(text("reason"), if text("message").is_empty() { text("note") } else { text("message") }))
}

fn sentence(reason: &str, message: &str) -> String {
    match (reason, message) {
        (reason, "") => reason.to_owned(),
        ("", message) => message.to_owned(),
        (reason, message) => format!("{reason}: {}", message.trim_end()),
    }
}
