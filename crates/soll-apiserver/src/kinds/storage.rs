//! Storage: its classes, its drivers, and volumes attached to nodes.

use std::collections::HashSet;

use soll_yaml::Value;

use super::checks::{at_least_zero, invalid, items, list, named, one_of, quoted, text};
use super::{default, immutable, spec_of};
use crate::names;
use crate::refusal::{Cause, shown};

/// How long the name of a driver may be.
const LONGEST_DRIVER: usize = 63;

pub(super) fn settle_class(object: &mut Value) {
    let class = object.make_map();
    default(class, "reclaimPolicy", "Delete");
    default(class, "volumeBindingMode", "Immediate");
}

pub(super) fn validate_class(object: &Value) -> Vec<Cause> {
    let provisioner = text(object, &["provisioner"]);
    let mut causes = Vec::new();
    if provisioner.is_empty() {
        causes.push(Cause::required("provisioner", ""));
    } else {
        let wrong = names::label_key_mistakes(&provisioner.to_lowercase()).into_iter();
        causes.extend(wrong.map(|why| Cause::invalid("provisioner", &quoted(provisioner), why)));
    }
    let parameters = object.get("parameters").and_then(Value::as_map);
    if parameters.is_some_and(|parameters| parameters.iter().any(|entry| entry.key.as_str().is_empty())) {
        causes.push(Cause::invalid("parameters", "\"\"", "field can not be empty."));
    }
    causes.extend(one_of("reclaimPolicy", text(object, &["reclaimPolicy"]), &["Delete", "Retain"]));
    let modes = ["Immediate", "WaitForFirstConsumer"];
    causes.extend(one_of("volumeBindingMode", text(object, &["volumeBindingMode"]), &modes));
    let mut seen = HashSet::new();
    for (at, term) in items(object, "allowedTopologies", "") {
        let mut asked = Vec::new();
        for (at, expression) in items(term, "matchLabelExpressions", &at) {
            causes.extend(validate_topology(&at, expression));
            asked.push((text(expression, &["key"]), values(expression)));
        }
        asked.sort_unstable();
        if !seen.insert(asked) {
            causes.push(Cause::duplicate(format!("{at}.matchLabelExpressions"), "\"\""));
        }
    }
    causes
}

fn values(expression: &Value) -> Vec<&str> {
    let mut values: Vec<_> = list(expression, &["values"]).iter().filter_map(Value::as_str).collect();
    values.sort_unstable();
    values
}

fn validate_topology(at: &str, expression: &Value) -> Vec<Cause> {
    let mut causes: Vec<_> = names::label_key_causes(&format!("{at}.key"), text(expression, &["key"])).collect();
    if list(expression, &["values"]).is_empty() {
        causes.push(Cause::required(format!("{at}.values"), ""));
    }
    let mut seen = HashSet::new();
    for (at, value) in items(expression, "values", at) {
        let value = value.as_str().unwrap_or_default();
        if !seen.insert(value) {
            causes.push(Cause::duplicate(at, &quoted(value)));
        }
    }
    causes
}

/// A class stays what it is, but for whether volumes may grow.
pub(super) fn validate_class_update(old: &Value, object: &Value) -> Vec<Cause> {
    let fields = ["parameters", "provisioner", "reclaimPolicy"].into_iter();
    let changed = fields.filter(|field| old.get(field) != object.get(field));
    let forbidden = changed.map(|field| Cause::forbidden(field, format!("updates to {field} are forbidden.")));
    forbidden.chain(immutable(old, object, &["volumeBindingMode"])).collect()
}

/// Drivers attach volumes, and do nothing else unless they say so.
pub(super) fn settle_driver(object: &mut Value) {
    let spec = spec_of(object);
    for (field, value) in [
        ("attachRequired", true),
        ("podInfoOnMount", false),
        ("storageCapacity", false),
        ("requiresRepublish", false),
        ("seLinuxMount", false),
    ] {
        default(spec, field, value);
    }
    default(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
    default(spec, "volumeLifecycleModes", Value::list(vec![Value::str("Persistent")]));
}

pub(super) fn validate_driver(object: &Value) -> Vec<Cause> {
    let spec = object.get("spec").cloned().unwrap_or_default();
    let mut causes = Vec::new();
    let policies = ["File", "None", "ReadWriteOnceWithFSType"];
    causes.extend(one_of("spec.fsGroupPolicy", text(&spec, &["fsGroupPolicy"]), &policies));
    for mode in list(&spec, &["volumeLifecycleModes"]) {
        let mode = mode.as_str().unwrap_or_default();
        causes.extend(one_of("spec.volumeLifecycleModes", mode, &["Persistent", "Ephemeral"]));
    }
    let mut audiences = HashSet::new();
    for (at, request) in items(&spec, "tokenRequests", "spec") {
        let audience = text(request, &["audience"]);
        if !audiences.insert(audience) {
            causes.push(Cause::duplicate(format!("{at}.audience"), &quoted(audience)));
        }
        let seconds = request.get("expirationSeconds").and_then(Value::as_i64);
        let why = match seconds {
            Some(seconds) if seconds < 600 => "may not specify a duration less than 10 minutes",
            Some(seconds) if seconds > 1 << 32 => "may not specify a duration larger than 2^32 seconds",
            _ => continue,
        };
        let shown = seconds.unwrap_or_default().to_string();
        causes.push(Cause::invalid(format!("{at}.expirationSeconds"), &shown, why));
    }
    causes
}

/// What users of a driver are told of the tokens that it gets.
pub(super) fn warn_of_driver(driver: &Value) -> Option<String> {
    let is_open = !list(driver, &["spec", "tokenRequests"]).is_empty()
        && driver.lookup(&["spec", "serviceAccountTokenInSecrets"]).is_none();
    is_open.then(|| {
        "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible logging of \
         tokens in volume attributes"
            .to_owned()
    })
}

/// A driver goes on attaching, and with the lives that its volumes have.
pub(super) fn validate_driver_update(old: &Value, object: &Value) -> Vec<Cause> {
    // Kubernetes calls the first of these otherwise.
    let fields = [("attachRequired", "spec.attachedRequired"), ("volumeLifecycleModes", "spec.volumeLifecycleModes")];
    let changes = fields.into_iter().flat_map(|(field, name)| {
        let causes = immutable(old, object, &["spec", field]);
        causes.into_iter().map(move |cause| Cause { field: name.to_owned(), ..cause })
    });
    changes.collect()
}

/// What is wrong with the name of a driver.
pub(super) fn driver_name(field: String, name: &str) -> Option<Cause> {
    if name.len() > LONGEST_DRIVER {
        return Some(Cause::too_long(field, LONGEST_DRIVER));
    }
    named(field, name, |name| names::subdomain(&name.to_lowercase()))
}

/// The drivers of a node.
pub(super) fn validate_node(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut seen = HashSet::new();
    let spec = object.get("spec").cloned().unwrap_or_default();
    for (at, driver) in items(&spec, "drivers", "spec") {
        let name = text(driver, &["name"]);
        causes.extend(driver_name(format!("{at}.name"), name));
        if !seen.insert(name) {
            causes.push(Cause::duplicate(format!("{at}.name"), &quoted(name)));
        }
        let id = text(driver, &["nodeID"]);
        match id.len() {
            0 => causes.push(Cause::required(format!("{at}.nodeID"), "")),
            length if length > 256 => causes.push(Cause::too_long(format!("{at}.nodeID"), 256)),
            _ => {}
        }
        causes.extend(at_least_zero(format!("{at}.allocatable.count"), driver.lookup(&["allocatable", "count"])));
        let mut keys = HashSet::new();
        for key in list(driver, &["topologyKeys"]).iter().map(|key| key.as_str().unwrap_or_default()) {
            if !keys.insert(key) {
                causes.push(Cause::duplicate(at.as_str(), &quoted(key)));
            }
            causes.extend(names::label_key_causes(&at, key));
        }
    }
    causes
}

/// A driver that stays on a node stays what it is, but for how many volumes it takes.
pub(super) fn validate_node_update(old: &Value, object: &Value) -> Vec<Cause> {
    let drivers = |object: &Value| {
        let mut drivers = list(object, &["spec", "drivers"]).to_vec();
        drivers.iter_mut().for_each(|driver| drop(driver.make_map().remove("allocatable")));
        drivers
    };
    let before = drivers(old);
    let is_changed =
        |driver: &&Value| before.iter().any(|old| text(old, &["name"]) == text(driver, &["name"]) && old != *driver);
    let wrong = |driver| Cause::invalid("spec.drivers", &shown(driver), "field is immutable");
    drivers(object).iter().filter(is_changed).map(wrong).collect()
}

pub(super) fn validate_attachment(object: &Value) -> Vec<Cause> {
    let mut causes: Vec<_> =
        driver_name("spec.attacher".to_owned(), text(object, &["spec", "attacher"])).into_iter().collect();
    let node = text(object, &["spec", "nodeName"]);
    causes.extend(invalid("spec.nodeName", node, names::subdomain(node)));
    let source = |field: &str| object.lookup(&["spec", "source", field]);
    let which = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
    match (source("persistentVolumeName"), source("inlineVolumeSpec")) {
        (None, None) => causes.push(Cause::required("spec.source", which)),
        (Some(_), Some(_)) => causes.push(Cause::forbidden("spec.source", which)),
        (Some(name), None) => {
            let (field, name) = ("spec.source.persistentVolumeName", name.as_str().unwrap_or_default());
            causes.extend(invalid(field, name, names::subdomain(name)));
            if name.is_empty() {
                causes.push(Cause::required(field, "must specify non empty persistentVolumeName"));
            }
        }
        (None, Some(_)) => {}
    }
    causes
}

/// What is attached where stays so.
pub(super) fn validate_attachment_update(old: &Value, object: &Value) -> Vec<Cause> {
    if old.get("spec") == object.get("spec") {
        return Vec::new();
    }
    let spec = object.get("spec").map(shown).unwrap_or_default();
    vec![Cause::invalid("spec", &spec, "field is immutable")]
}
