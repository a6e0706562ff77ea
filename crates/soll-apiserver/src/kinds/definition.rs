//! CustomResourceDefinitions as objects: names, conditions, and what makes one invalid.

use jiff::Timestamp;

use soll_schema::CrdSchema;
use soll_yaml::{Map, Value};

use crate::crd::{cost, structural};
use crate::refusal::Cause;
use crate::{fields, meta, names};

/// Holds the deletion of a definition until its objects are gone.
pub(crate) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Fills in the names that follow from others.
pub(crate) fn settle(object: &mut Value) {
    let spec = super::spec_of(object);
    let names = spec.get_or_insert_with("names", Value::map).make_map();
    let kind = names.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !kind.is_empty() {
        names.get_or_insert_with("singular", || Value::from(kind.to_lowercase()));
        names.get_or_insert_with("listKind", || Value::from(format!("{kind}List")));
    }
    let strategy = || Map::from_iter([("strategy", Value::str("None"))]).into();
    let conversion = spec.get_or_insert_with("conversion", strategy).make_map();
    let client = conversion.get_mut("webhook").and_then(|webhook| webhook.as_map_mut()?.get_mut("clientConfig"));
    if let Some(service) = client.and_then(|client| client.as_map_mut()?.get_mut("service")?.as_map_mut()) {
        service.get_or_insert_with("port", || Value::from(443));
    }
}

/// Writes the status that says it is served.
///
/// The real server does this a moment later; here a definition is served when its create is answered.
pub(crate) fn prepare(object: &mut Value, now: Timestamp) {
    let names = object.lookup(&["spec", "names"]).cloned().unwrap_or_default();
    let storage = versions(object).iter().find(|version| version.get("storage").and_then(Value::as_bool) == Some(true));
    let storage = storage.and_then(|version| version.lookup_str(&["name"])).unwrap_or_default().to_owned();
    let status = object.make_map().get_or_insert_with("status", Value::map).make_map();
    let stored = status.get_or_insert_with("storedVersions", || Value::list(Vec::new()));
    if let Some(stored) = stored.as_list_mut()
        && !storage.is_empty()
        && !stored.iter().any(|version| version.as_str() == Some(&storage))
    {
        stored.push(Value::from(storage));
    }
    let conforms = approval(object);
    let mut before = object.clone();
    // Before there are conditions there is a list for them.
    let status = before.make_map().get_or_insert_with("status", Value::map).make_map();
    status.get_or_insert_with("conditions", || Value::list(Vec::new()));
    let status = object.make_map().get_or_insert_with("status", Value::map).make_map();
    status.insert("acceptedNames", names);
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        let fields = [
            ("type", Value::str(kind)),
            ("status", Value::str(status)),
            ("lastTransitionTime", Value::from(meta::time(now))),
            ("reason", Value::str(reason)),
            ("message", Value::str(message)),
        ];
        Value::from(Map::from_iter(fields))
    };
    status.get_or_insert_with("conditions", || {
        let mut conditions = vec![
            condition("NamesAccepted", "True", "NoConflicts", "no conflicts found"),
            condition("Established", "True", "InitialNamesAccepted", "the initial names have been accepted"),
        ];
        conditions.extend(conforms.map(|(status, reason, message)| {
            condition("KubernetesAPIApprovalPolicyConformant", status, reason, &message)
        }));
        Value::list(conditions)
    });
    *object = fields::by_server("kube-apiserver", "status", Some(&before), object);
}

/// Holds the deletion until the objects are gone.
pub(crate) fn mark(object: &mut Value) {
    let mut finalizers: Vec<String> = meta::finalizers(object).into_iter().map(str::to_owned).collect();
    if !finalizers.iter().any(|name| name == CLEANUP) {
        finalizers.push(CLEANUP.to_owned());
    }
    meta::set_finalizers(object, &finalizers);
}

fn versions(object: &Value) -> &[Value] {
    object.lookup(&["spec", "versions"]).and_then(Value::as_list).unwrap_or_default()
}

/// What is wrong with a definition.
pub(crate) fn validate(old: Option<&Value>, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let text = |keys: &[&str]| object.lookup_str(keys).unwrap_or_default();
    let (group, plural) = (text(&["spec", "group"]), text(&["spec", "names", "plural"]));
    let name = meta::text(object, "name");
    if name != format!("{plural}.{group}") {
        let why = "must be spec.names.plural+\".\"+spec.group";
        causes.push(Cause::invalid("metadata.name", &format!("{name:?}"), why));
    }
    if group.is_empty() {
        causes.push(Cause::required("spec.group", ""));
    } else if let Err(why) = names::subdomain(group) {
        causes.push(Cause::invalid("spec.group", &format!("{group:?}"), why));
    } else if !group.contains('.') {
        causes.push(Cause::invalid("spec.group", &format!("{group:?}"), "should be a domain with at least one dot"));
    }
    let scope = text(&["spec", "scope"]);
    match scope {
        "Cluster" | "Namespaced" => {}
        "" => causes.push(Cause::required("spec.scope", "")),
        _ => causes.push(Cause::unsupported("spec.scope", &format!("{scope:?}"), &["Cluster", "Namespaced"])),
    }
    if object.lookup(&["spec", "preserveUnknownFields"]).and_then(Value::as_bool) == Some(true) {
        let why =
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
        causes.push(Cause::invalid("spec.preserveUnknownFields", "true", why));
    }
    causes.extend(check_approval(object, group));
    causes.extend(check_names(object));
    causes.extend(check_versions(object));
    causes.extend(check_conversion(object));
    if let Some(old) = old {
        causes.extend(check_change(old, object));
    }
    causes
}

const APPROVAL: &str = "api-approved.kubernetes.io";

/// Whether a group is one of Kubernetes itself.
fn is_protected(group: &str) -> bool {
    ["k8s.io", "kubernetes.io"].iter().any(|own| group == *own || group.ends_with(&format!(".{own}")))
}

/// Whether a definition in a group of Kubernetes itself was approved: status, reason and message of the condition.
fn approval(object: &Value) -> Option<(&'static str, &'static str, String)> {
    let approval = object.lookup_str(&["metadata", "annotations", APPROVAL]).unwrap_or_default();
    if !is_protected(object.lookup_str(&["spec", "group"]).unwrap_or_default()) {
        return None;
    }
    Some(match approval.starts_with("unapproved") {
        true => ("False", "UnapprovedAnnotation", format!("not approved: {approval:?}")),
        false => ("True", "ApprovedAnnotation", format!("approved in {approval}")),
    })
}

/// Groups of Kubernetes itself are for those whose API was approved.
fn check_approval(object: &Value, group: &str) -> Option<Cause> {
    let approval = object.lookup_str(&["metadata", "annotations", APPROVAL]).unwrap_or_default();
    let field = format!("metadata.annotations[{APPROVAL}]");
    let see = "see https://github.com/kubernetes/enhancements/pull/1111";
    let is_answer = approval.starts_with("http") || approval.starts_with("unapproved");
    match approval {
        _ if !is_protected(group) || is_answer => None,
        "" => {
            let why = format!("protected groups must have approval annotation \"{APPROVAL}\", {see}");
            Some(Cause::required(field, &why))
        }
        other => {
            let why = format!(
                "protected groups must have approval annotation \"{APPROVAL}\" with either a URL or a reason starting with \
                 \"unapproved\", {see}"
            );
            Some(Cause::invalid(field, &format!("{other:?}"), why))
        }
    }
}

fn check_names(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let names = object.lookup(&["spec", "names"]).cloned().unwrap_or_default();
    let text = |field: &str| names.lookup_str(&[field]).unwrap_or_default();
    for (field, is_mixed) in [("plural", false), ("singular", false), ("kind", true), ("listKind", true)] {
        let (name, place) = (text(field), format!("spec.names.{field}"));
        if name.is_empty() {
            causes.push(Cause::required(place, ""));
        } else if let Err(why) = names::old_label(&if is_mixed { name.to_lowercase() } else { name.to_owned() }) {
            let but = if is_mixed { "may have mixed case, but should otherwise match: " } else { "" };
            causes.push(Cause::invalid(place, &format!("{name:?}"), format!("{but}{why}")));
        }
    }
    for field in ["shortNames", "categories"] {
        let list = names.get(field).and_then(Value::as_list).unwrap_or_default();
        for (index, name) in list.iter().enumerate() {
            let name = name.as_str().unwrap_or_default();
            if let Err(why) = names::old_label(name) {
                causes.push(Cause::invalid(format!("spec.names.{field}[{index}]"), &format!("{name:?}"), why));
            }
        }
    }
    if !text("kind").is_empty() && text("kind") == text("listKind") {
        let shown = format!("{:?}", text("listKind"));
        causes.push(Cause::invalid("spec.names.listKind", &shown, "kind and listKind may not be the same"));
    }
    causes
}

fn check_versions(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let all = versions(object);
    let flag = |version: &Value, field: &str| version.get(field).and_then(Value::as_bool) == Some(true);
    let shown = || object.lookup(&["spec", "versions"]).map(crate::refusal::shown).unwrap_or_default();
    let name_of = |version: &Value| version.lookup_str(&["name"]).unwrap_or_default().to_owned();
    let names: Vec<String> = all.iter().map(name_of).collect();
    if names.iter().enumerate().any(|(index, name)| names[..index].contains(name)) {
        causes.push(Cause::invalid("spec.versions", &shown(), "must contain unique version names"));
    }
    if all.iter().filter(|version| flag(version, "storage")).count() != 1 {
        let why = "must have exactly one version marked as storage version";
        causes.push(Cause::invalid("spec.versions", &shown(), why));
    }
    if object.lookup(&["status", "storedVersions"]).and_then(Value::as_list).is_none_or(<[Value]>::is_empty) {
        causes.push(Cause::invalid("status.storedVersions", "[]", "must have at least one stored version"));
    }
    for (index, version) in all.iter().enumerate() {
        let at = format!("spec.versions[{index}]");
        let name = name_of(version);
        if let Err(why) = names::old_label(&name) {
            if index == 0 {
                causes.push(Cause::invalid("spec.version", &format!("{name:?}"), &why));
            }
            causes.push(Cause::invalid(format!("{at}.name"), &format!("{name:?}"), why));
        }
        if version.lookup(&["schema", "openAPIV3Schema"]).is_none_or(Value::is_null) {
            causes.push(Cause::required(format!("{at}.schema.openAPIV3Schema"), "schemas are required"));
        }
        let warning = version.lookup_str(&["deprecationWarning"]);
        if warning.is_some() && !flag(version, "deprecated") {
            let shown = format!("{:?}", warning.unwrap_or_default());
            let why = "can only be set for deprecated versions";
            causes.push(Cause::invalid(format!("{at}.deprecationWarning"), &shown, why));
        }
    }
    for (at, version) in parts(object, "schema", "spec.validation") {
        // What all versions say together holds if any has a status.
        let is_common = at == "spec.validation";
        let has_status = |version: &Value| version.lookup(&["subresources", "status"]).is_some();
        let has_status = if is_common { all.iter().any(has_status) } else { has_status(version) };
        causes.extend(check_schema(version, &at, has_status));
    }
    for (at, version) in parts(object, "subresources", "spec.subresources") {
        causes.extend(check_scale(version, &at));
    }
    for (at, version) in parts(object, "additionalPrinterColumns", "spec.additionalPrinterColumns") {
        causes.extend(check_columns(version, &at));
    }
    for (at, version) in parts(object, "selectableFields", "spec.selectableFields") {
        causes.extend(check_selectable(version, &at));
    }
    causes
}

/// Where a part of the versions is looked at: once, at the place that it had when versions shared it, if it is the same in all.
fn parts<'o>(object: &'o Value, field: &str, common: &str) -> Vec<(String, &'o Value)> {
    let all = versions(object);
    match all.split_first() {
        Some((first, rest)) if rest.iter().all(|version| version.get(field) == first.get(field)) => {
            vec![(common.to_owned(), first)]
        }
        _ => {
            let place = |index: usize| format!("spec.versions[{index}].{field}");
            all.iter().enumerate().map(|(index, version)| (place(index), version)).collect()
        }
    }
}

fn check_schema(version: &Value, at: &str, has_status: bool) -> Vec<Cause> {
    let at = format!("{at}.openAPIV3Schema");
    let Some(schema) = version.lookup(&["schema", "openAPIV3Schema"]).filter(|schema| !schema.is_null()) else {
        // Told for each version.
        return Vec::new();
    };
    let mut causes = structural::check(&at, schema, has_status);
    if causes.is_empty() {
        causes = cost::check(&at, schema);
    }
    if causes.is_empty()
        && let Err(error) = CrdSchema::from_openapi_v3(schema)
    {
        let path = error.path.to_string();
        let dot = if path.is_empty() { "" } else { "." };
        causes.push(Cause::invalid(format!("{at}{dot}{path}"), "schema", error.message));
    }
    causes
}

fn check_scale(version: &Value, at: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    let Some(scale) = version.lookup(&["subresources", "scale"]).filter(|scale| !scale.is_null()) else {
        return causes;
    };
    for (field, is_required, roots) in [
        ("specReplicasPath", true, &[".spec."][..]),
        ("statusReplicasPath", true, &[".status."][..]),
        ("labelSelectorPath", false, &[".spec.", ".status."][..]),
    ] {
        let (path, place) = (scale.lookup_str(&[field]).unwrap_or_default(), format!("{at}.scale.{field}"));
        let shown = format!("{path:?}");
        if path.is_empty() {
            if is_required {
                causes.push(Cause::required(place, ""));
            }
        } else if !path.starts_with('.') {
            causes.push(Cause::invalid(place, &shown, "must be a simple json path starting with ."));
        } else if !roots.iter().any(|root| path.starts_with(root)) {
            let under = match roots {
                [root] => root.trim_end_matches('.').to_owned(),
                _ => "either .spec or .status".to_owned(),
            };
            causes.push(Cause::invalid(place, &shown, format!("should be a json path under {under}")));
        }
    }
    causes
}

fn check_columns(version: &Value, at: &str) -> Vec<Cause> {
    const TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
    const FORMATS: [&str; 8] = ["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];
    let mut causes = Vec::new();
    let columns = version.get("additionalPrinterColumns").and_then(Value::as_list).unwrap_or_default();
    for (index, column) in columns.iter().enumerate() {
        let place = |field: &str| format!("{at}[{index}].{field}");
        let text = |field: &str| column.lookup_str(&[field]).unwrap_or_default();
        let quoted = |field: &str| format!("{:?}", text(field));
        if text("name").is_empty() {
            causes.push(Cause::required(place("name"), ""));
        }
        let of = format!("must be one of {}", TYPES.join(","));
        match text("type") {
            "" => causes.push(Cause::required(place("type"), &of)),
            kind if TYPES.contains(&kind) => {}
            _ => causes.push(Cause::invalid(place("type"), &quoted("type"), &of)),
        }
        if !text("format").is_empty() && !FORMATS.contains(&text("format")) {
            let why = format!("must be one of {}", FORMATS.join(","));
            causes.push(Cause::invalid(place("format"), &quoted("format"), why));
        }
        match text("jsonPath") {
            "" => causes.push(Cause::required(place("JSONPath"), "")),
            path if path.starts_with('.') => {}
            _ => {
                let why = "must be a simple json path starting with .";
                causes.push(Cause::invalid(place("JSONPath"), &quoted("jsonPath"), why));
            }
        }
    }
    causes
}

fn check_selectable(version: &Value, at: &str) -> Vec<Cause> {
    const MOST: usize = 8;
    let mut causes = Vec::new();
    let fields = version.get("selectableFields").and_then(Value::as_list).unwrap_or_default();
    let schema = version.lookup(&["schema", "openAPIV3Schema"]).cloned().unwrap_or_default();
    let mut known: Vec<&str> = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        let path = field.lookup_str(&["jsonPath"]).unwrap_or_default();
        let (place, shown) = (format!("{at}[{index}].jsonPath"), format!("{path:?}"));
        if path.is_empty() {
            causes.push(Cause::required(place, ""));
            continue;
        }
        let mut steps = path.split('.');
        let begins = steps.next() == Some("");
        let found = steps.try_fold(&schema, |place, name| place.lookup(&["properties", name]));
        let Some(found) = found.filter(|_| begins) else {
            causes.push(Cause::invalid(place, &shown, "is an invalid path: it leads to no field of the schema"));
            continue;
        };
        if path.starts_with(".metadata") {
            causes.push(Cause::invalid(&place, &shown, "must not point to fields in metadata"));
        }
        if !matches!(found.lookup_str(&["type"]), Some("string" | "boolean" | "integer")) {
            let why = "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are \
                       allowed.";
            causes.push(Cause::invalid(&place, &shown, why));
        }
        if known.contains(&path) {
            causes.push(Cause::duplicate(&place, &shown));
        }
        known.push(path);
    }
    known.dedup();
    if known.len() > MOST {
        let message = format!("Too many: {}: must have at most {MOST} items", known.len());
        causes.push(Cause { kind: "FieldValueTooMany", field: at.to_owned(), message });
    }
    causes
}

fn check_conversion(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let Some(conversion) = object.lookup(&["spec", "conversion"]) else { return causes };
    let webhook = conversion.get("webhook").filter(|webhook| !webhook.is_null());
    let client = webhook.and_then(|webhook| webhook.get("clientConfig")).filter(|client| !client.is_null());
    let at = "spec.conversion";
    let strategy = conversion.lookup_str(&["strategy"]).unwrap_or_default();
    let versions = webhook.and_then(|webhook| webhook.get("conversionReviewVersions")).and_then(Value::as_list);
    let versions = versions.unwrap_or_default();
    if strategy != "Webhook" {
        let forbidden = "should not be set when strategy is not set to Webhook";
        if client.is_some() {
            causes.push(Cause::forbidden(format!("{at}.webhookClientConfig"), forbidden));
        }
        if !versions.is_empty() {
            causes.push(Cause::forbidden(format!("{at}.conversionReviewVersions"), forbidden));
        }
    }
    match strategy {
        "None" => {}
        "Webhook" => {
            let has = |field: &str| client.is_some_and(|client| client.get(field).is_some_and(|one| !one.is_null()));
            let field = format!("{at}.webhookClientConfig");
            if client.is_none() {
                causes.push(Cause::required(field, "required when strategy is set to Webhook"));
            } else if has("url") == has("service") {
                causes.push(Cause::required(field, "exactly one of url or service is required"));
            }
            let field = format!("{at}.conversionReviewVersions");
            if versions.is_empty() {
                causes.push(Cause::required(field, ""));
            } else if !versions.iter().any(|version| matches!(version.as_str(), Some("v1" | "v1beta1"))) {
                let shown = crate::refusal::shown(&Value::list(versions.to_vec()));
                causes.push(Cause::invalid(field, &shown, "must include at least one of v1, v1beta1"));
            }
        }
        "" => causes.push(Cause::required(format!("{at}.strategy"), "")),
        other => {
            let cause = Cause::unsupported(format!("{at}.strategy"), &format!("{other:?}"), &["None", "Webhook"]);
            causes.push(cause);
        }
    }
    causes
}

/// What may not change: names by which objects are stored, and versions in which they are.
fn check_change(old: &Value, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for keys in [&["spec", "scope"][..], &["spec", "names", "kind"], &["spec", "group"], &["spec", "names", "plural"]] {
        if old.lookup(keys) != object.lookup(keys) {
            let shown = format!("{:?}", object.lookup_str(keys).unwrap_or_default());
            causes.push(Cause::invalid(keys.join("."), &shown, "field is immutable"));
        }
    }
    let stored = object.lookup(&["status", "storedVersions"]).and_then(Value::as_list).unwrap_or_default();
    for (index, version) in stored.iter().enumerate() {
        let name = version.as_str().unwrap_or_default();
        if versions(object).iter().all(|version| version.lookup_str(&["name"]) != Some(name)) {
            let why = format!(
                "missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until a \
                 storage migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"
            );
            causes.push(Cause::invalid(format!("status.storedVersions[{index}]"), &format!("{name:?}"), why));
        }
    }
    causes
}
