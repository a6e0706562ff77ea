//! Claims of volumes: what they may ask for, and how they may change.

use soll_yaml::Value;

use super::{checks, volume};
use crate::names;
use crate::refusal::{Cause, Refusal};
use crate::rest::Context;
use crate::shape::quantity;

const REQUEST: [&str; 4] = ["spec", "resources", "requests", "storage"];
const CAPACITY: [&str; 3] = ["status", "capacity", "storage"];

/// What is wrong with a claim.
pub(super) fn validate(object: &Value) -> Vec<Cause> {
    let missing = "at least 1 access mode is required";
    let mut causes = volume::validate_modes(list(object, "accessModes"), missing);
    match object.lookup(&REQUEST) {
        None => causes.push(Cause::required("spec.resources[storage]", "")),
        Some(size) => {
            causes.extend(checks::more_than_nothing("spec.resources[storage]", size, "must be greater than zero"));
        }
    }
    for field in ["storageClassName", "volumeAttributesClassName"] {
        let class = object.lookup_str(&["spec", field]).unwrap_or_default();
        causes.extend(checks::optional(format!("spec.{field}"), class, names::subdomain));
    }
    let selector = object.lookup(&["spec", "selector"]);
    causes.extend(selector.into_iter().flat_map(|selector| checks::label_selector("spec.selector", selector)));
    let mode = object.lookup_str(&["spec", "volumeMode"]).unwrap_or("Filesystem");
    causes.extend(checks::one_of("spec.volumeMode", mode, &["Block", "Filesystem"]));
    causes
}

fn list<'o>(object: &'o Value, field: &str) -> &'o [Value] {
    object.lookup(&["spec", field]).and_then(Value::as_list).unwrap_or_default()
}

fn size(object: &Value, path: &[&str]) -> i128 {
    object.lookup_str(path).and_then(quantity::nanos).unwrap_or(0)
}

fn is_bound(claim: &Value) -> bool {
    claim.lookup_str(&["status", "phase"]) == Some("Bound")
}

/// A claim is bound once; one that is bound may grow, and take back what it has not got yet.
pub(super) fn validate_update(old: &Value, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let fixed = |claim: &Value| {
        let mut spec = claim.get("spec").cloned().unwrap_or_default();
        let map = spec.make_map();
        if old.lookup_str(&["spec", "volumeName"]).is_none_or(str::is_empty) {
            map.remove("volumeName");
        }
        if is_bound(object) {
            map.remove("volumeAttributesClassName");
            let requests = map.get_mut("resources").and_then(|resources| resources.get_mut("requests"));
            if let Some(requests) = requests.and_then(Value::as_map_mut) {
                requests.remove("storage");
            }
        }
        spec
    };
    if fixed(old) != fixed(object) {
        let why =
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
        causes.push(Cause::forbidden("spec", why));
    }
    let wanted = size(object, &REQUEST);
    if wanted < size(old, &REQUEST) && wanted <= size(old, &CAPACITY) {
        causes.push(Cause::forbidden(REQUEST.join("."), "field can not be less than status.capacity"));
    }
    causes
}

/// Only a claim whose class says so may grow.
pub(super) fn admit_growth(ctx: &Context<'_>, old: &Value, object: &Value) -> Result<(), Refusal> {
    if size(object, &REQUEST) <= size(old, &REQUEST) {
        return Ok(());
    }
    let class = object.lookup_str(&["spec", "storageClassName"]).unwrap_or_default();
    let class = ctx.api.store.get("storage.k8s.io/storageclasses", "", class);
    let grows =
        class.is_some_and(|class| class.value.get("allowVolumeExpansion").and_then(Value::as_bool) == Some(true));
    let why = if !is_bound(old) {
        "Only bound persistent volume claims can be expanded"
    } else if !grows {
        "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"
    } else {
        return Ok(());
    };
    Err(Refusal::forbidden(&ctx.target.resource, &ctx.target.name, why))
}
