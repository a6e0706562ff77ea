//! What single kinds need beyond the rules for all: one module per noun, chosen here by resource.

mod amount;
mod api_service;
pub(crate) mod autoscaler;
pub(crate) mod certificate;
mod checks;
mod claim;
pub(crate) mod component;
mod cron_job;
pub(crate) mod definition;
mod disruption;
mod endpoints;
pub(crate) mod event;
mod flow;
mod ingress;
mod job;
mod lease;
mod limit_range;
pub(crate) mod namespace;
mod network_policy;
mod node;
pub(crate) mod pod;
mod priority;
mod quota;
mod range;
mod rbac;
mod rollout;
mod runtime_class;
pub(crate) mod secret;
pub(crate) mod service;
mod storage;
mod toleration;
mod various;
mod volume;
mod webhook;
pub(crate) mod workload;

use std::sync::Arc;

use soll_yaml::{FieldPath, Map, Step, Value};

use crate::meta;
use crate::refusal::{Cause, Refusal};
use crate::resources::Resource;
use crate::rest::{Api, Context};
use crate::store::Entry;

/// Fills in defaults and brings values into their normal form. Runs for every write, so it must not
/// change what it has settled before.
pub(crate) fn settle(resource: &Resource, object: &mut Value) {
    if let Some(custom) = &resource.custom {
        return custom.fill_defaults(object);
    }
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "namespaces") => namespace::settle(object),
        ("", "secrets") => secret::settle(object),
        ("", "services") => service::settle(object),
        ("", "pods") => pod::settle(object),
        ("", "replicationcontrollers") => workload::settle("replicationcontrollers", object),
        ("", "podtemplates") => workload::settle_template(object.make_map()),
        ("", "endpoints") => endpoints::settle(object),
        ("" | "events.k8s.io", "events") => event::settle(resource, object),
        ("", "nodes") => node::settle(object),
        ("flowcontrol.apiserver.k8s.io", plural) => flow::settle(plural, object),
        ("", "limitranges") => limit_range::settle(object),
        ("discovery.k8s.io", _) => endpoints::settle_slice(object),
        ("", "persistentvolumes") => volume::settle(object),
        ("", "persistentvolumeclaims") => various::volume_claim(object),
        ("apps" | "batch", plural) if plural != "controllerrevisions" => workload::settle(plural, object),
        ("autoscaling", _) => autoscaler::settle(resource, object),
        ("networking.k8s.io", "ingressclasses") => ingress::settle_class(object),
        ("networking.k8s.io", "networkpolicies") => network_policy::settle(object),
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => various::role_binding(object),
        ("apiregistration.k8s.io", "apiservices") => api_service::settle(object),
        ("storage.k8s.io", "storageclasses") => storage::settle_class(object),
        ("storage.k8s.io", "csidrivers") => storage::settle_driver(object),
        ("scheduling.k8s.io", "priorityclasses") => priority::settle(object),
        (
            "admissionregistration.k8s.io",
            plural @ ("mutatingwebhookconfigurations" | "validatingwebhookconfigurations"),
        ) => {
            webhook::settle(plural, object);
        }
        (
            "admissionregistration.k8s.io",
            plural @ ("validatingadmissionpolicies" | "validatingadmissionpolicybindings"),
        ) => {
            various::admission_policy(plural, object);
        }
        ("apiextensions.k8s.io", "customresourcedefinitions") => definition::settle(object),
        _ => {}
    }
}

/// Takes from metadata what a kind puts there only in the whole object.
pub(crate) fn forget_internal_metadata(metadata: &mut Value) {
    if metadata.lookup(&["annotations", workload::TEMPLATES]).is_none() {
        return;
    }
    let annotations = metadata.make_map().get_or_insert_with("annotations", Value::map).make_map();
    annotations.remove(workload::TEMPLATES);
    if annotations.is_empty() {
        metadata.make_map().remove("annotations");
    }
}

/// The lists and times that Go writes always, as null where there is none: where they stand, and their fields.
fn lists_written_always(resource: &Resource) -> (&'static [&'static str], &'static [&'static str]) {
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("autoscaling", _) if resource.version == "v2" => (&["status"], &["currentMetrics"]),
        ("discovery.k8s.io", _) => (&[], &["endpoints", "ports"]),
        ("rbac.authorization.k8s.io", "roles" | "clusterroles") => (&[], &["rules"]),
        ("", "events") => (&[], &["eventTime", "firstTimestamp", "lastTimestamp"]),
        ("events.k8s.io", _) => (&[], &["deprecatedFirstTimestamp", "deprecatedLastTimestamp", "eventTime"]),
        _ => (&[], &[]),
    }
}

/// Says which of the lists that Go writes always are there and empty; the normal form of other lists is not to be there.
pub(crate) fn empty_lists(resource: &Resource, object: &Value) -> Vec<&'static str> {
    let (within, fields) = lists_written_always(resource);
    let is_empty = |field: &&str| object.get(field).and_then(Value::as_list).is_some_and(<[Value]>::is_empty);
    if within.is_empty() { fields.iter().copied().filter(is_empty).collect() } else { Vec::new() }
}

/// Takes the nulls away that stand for lists: nobody owns them.
pub(crate) fn leave_out_empty_lists(resource: &Resource, object: &mut Value) {
    let (within, fields) = lists_written_always(resource);
    let mut place = object.make_map();
    for key in within {
        let Some(deeper) = child(place, key) else { return };
        place = deeper;
    }
    place.retain(|entry| !(entry.value.is_null() && fields.contains(&entry.key.as_str())));
}

/// The object with null for the lists that Go writes always and that are not there.
pub(crate) fn with_lists(resource: &Resource, object: &Value) -> Value {
    let mut object = object.clone();
    let (within, fields) = lists_written_always(resource);
    if !fields.is_empty() {
        let mut place = object.make_map();
        for key in within {
            place = place.get_or_insert_with(key, Value::map).make_map();
        }
        fields.iter().for_each(|field| default(place, field, Value::null()));
    }
    object
}

/// Writes null for the lists that Go writes always. Nobody who creates an object is noted as the manager of what is not
/// there; who takes a list away is.
pub(crate) fn write_empty_lists(resource: &Resource, object: &mut Value) {
    let (within, fields) = lists_written_always(resource);
    if fields.is_empty() {
        return;
    }
    let mut place = object.make_map();
    for key in within {
        place = place.get_or_insert_with(key, Value::map).make_map();
    }
    for field in fields {
        let is_empty = place.get(field).is_none_or(|list| list.as_list().is_some_and(<[Value]>::is_empty));
        if is_empty {
            place.insert(*field, Value::null());
        }
    }
}

/// What happens once, before an object is stored for the first time.
pub(crate) fn prepare_create(ctx: &Context<'_>, object: &mut Value) -> Result<(), Refusal> {
    let resource = &ctx.target.resource;
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "namespaces") => namespace::prepare_create(object),
        ("", "pods") => {
            pod::prepare_create(ctx, object)?;
            pod::armor::heed(object).into_iter().for_each(|sentence| ctx.warn(sentence));
        }
        ("", "limitranges") if meta::text(object, "name").is_empty() => {
            meta::set_text(object, "name", &uuid::Uuid::new_v4().to_string());
        }
        ("", "services") => return service::allocate(ctx, None, object),
        ("", "serviceaccounts") => various::name_secrets_only(object),
        ("apps", "daemonsets") => workload::count_templates(None, object),
        ("", "persistentvolumes") => {
            set_phase(object, "Pending");
            let status = object.make_map().get_or_insert_with("status", Value::map).make_map();
            status.insert("lastPhaseTransitionTime", Value::from(meta::time(ctx.now)));
            protect(object, "kubernetes.io/pv-protection");
        }
        ("", "persistentvolumeclaims") => {
            set_phase(object, "Pending");
            protect(object, "kubernetes.io/pvc-protection");
            choose_storage_class(ctx.api, object);
        }
        ("apiextensions.k8s.io", "customresourcedefinitions") => definition::prepare(object, ctx.now),
        ("certificates.k8s.io", "certificatesigningrequests") => certificate::prepare_create(ctx, object),
        _ => {}
    }
    Ok(())
}

/// What happens before a change is stored.
pub(crate) fn prepare_update(ctx: &Context<'_>, old: &Value, object: &mut Value) -> Result<(), Refusal> {
    let resource = &ctx.target.resource;
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "services") => return service::allocate(ctx, Some(old), object),
        ("", "serviceaccounts") => various::name_secrets_only(object),
        ("", "namespaces") => namespace::prepare_update(old, object),
        ("apps", "daemonsets") => workload::count_templates(Some(old), object),
        ("apiextensions.k8s.io", "customresourcedefinitions") => definition::prepare(object, ctx.now),
        _ => {}
    }
    Ok(())
}

/// Says whether a new generation begins when an empty list or map is written there.
pub(crate) fn counts_empty(resource: &Resource, path: &FieldPath) -> bool {
    let within = match (resource.group.as_str(), resource.plural.as_str()) {
        ("networking.k8s.io", "networkpolicies") => "spec",
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations" | "validatingwebhookconfigurations") => {
            "webhooks"
        }
        _ => return false,
    };
    matches!(path.0.first(), Some(Step::Key(key)) if *key == within)
}

/// What is wrong with an object, whatever it was before.
pub(crate) fn validate(resource: &Resource, old: Option<&Value>, object: &Value) -> Vec<Cause> {
    if let Some(custom) = &resource.custom {
        return custom.validate(old, object);
    }
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("apiextensions.k8s.io", "customresourcedefinitions") => definition::validate(old, object),
        ("certificates.k8s.io", "certificatesigningrequests") => certificate::validate(old, object),
        ("", "secrets") => secret::validate(object),
        ("", "configmaps") => secret::validate_config_map(object),
        ("", "pods") => pod::validate::check(&object.get("spec").cloned().unwrap_or_default(), "spec"),
        ("", "podtemplates") => {
            let spec = object.lookup(&["template", "spec"]).cloned().unwrap_or_default();
            pod::validate::check(&spec, "template.spec")
        }
        ("", "replicationcontrollers") => workload::validate("replicationcontrollers", old, object),
        ("", "namespaces") => namespace::validate(object),
        ("", "services") => service::validate(old, object),
        ("", "persistentvolumeclaims") => claim::validate(object),
        ("", "persistentvolumes") => volume::validate(object),
        ("coordination.k8s.io", "leases") => lease::validate(object),
        ("policy", "poddisruptionbudgets") => disruption::validate(object),
        ("storage.k8s.io", "csidrivers") => storage::validate_driver(object),
        ("storage.k8s.io", "csinodes") => storage::validate_node(object),
        ("storage.k8s.io", "storageclasses") => storage::validate_class(object),
        ("storage.k8s.io", "volumeattachments") => storage::validate_attachment(object),
        ("", "endpoints") => endpoints::validate(old, object),
        ("discovery.k8s.io", _) => endpoints::validate_slice(object),
        ("", "nodes") => node::validate(old, object),
        ("" | "events.k8s.io", "events") => event::validate(resource, old, object),
        ("", "resourcequotas") => quota::validate(object),
        ("", "limitranges") => limit_range::validate(object),
        ("scheduling.k8s.io", "priorityclasses") if old.is_none() => priority::validate(object),
        ("node.k8s.io", _) => runtime_class::validate(object),
        ("apiregistration.k8s.io", _) => api_service::validate(object),
        ("flowcontrol.apiserver.k8s.io", "flowschemas") => flow::validate_schema(object),
        ("flowcontrol.apiserver.k8s.io", _) => flow::validate_level(object),
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations" | "validatingwebhookconfigurations") => {
            webhook::validate(object)
        }
        ("networking.k8s.io", "ingresses") => ingress::validate(old, object),
        ("networking.k8s.io", "ingressclasses") => ingress::validate_class(object),
        ("networking.k8s.io", "ipaddresses") => service::validate_address(object),
        ("networking.k8s.io", "networkpolicies") => network_policy::validate(object),
        ("autoscaling", _) => autoscaler::validate(object),
        ("rbac.authorization.k8s.io", "roles" | "clusterroles") => rbac::validate_role(resource.namespaced, object),
        ("rbac.authorization.k8s.io", _) => rbac::validate_binding(resource.namespaced, object),
        ("batch", "cronjobs") => cron_job::validate(old, object),
        ("apps" | "batch", plural) if plural != "controllerrevisions" => workload::validate(plural, old, object),
        _ => Vec::new(),
    }
}

/// Warns of what is allowed and odd. `old` is what the object was.
pub(crate) fn warn(ctx: &Context<'_>, old: Option<&Value>, object: &Value) {
    let resource = &ctx.target.resource;
    let generation = ["metadata", "generation"];
    let template: &[&str] = match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "services") => return service::warn(ctx, object),
        ("", "endpoints") => return endpoints::warn(object).into_iter().for_each(|text| ctx.warn(text)),
        ("discovery.k8s.io", _) => {
            return endpoints::warn_of_slice(object).into_iter().for_each(|text| ctx.warn(text));
        }
        ("", "persistentvolumes") => {
            return volume::warn(object).into_iter().for_each(|text| ctx.warn(text));
        }
        ("storage.k8s.io", "csidrivers") => {
            return storage::warn_of_driver(object).into_iter().for_each(|text| ctx.warn(text));
        }
        // Hardly anybody changes a pod by hand.
        ("", "pods") if old.is_some() => return,
        ("", "pods") => &[],
        _ if old.is_some_and(|old| old.lookup(&generation) == object.lookup(&generation)) => return,
        ("batch", "cronjobs") => &["spec", "jobTemplate", "spec", "template"],
        ("apps", "deployments" | "daemonsets" | "replicasets" | "statefulsets") | ("batch", "jobs") => {
            &["spec", "template"]
        }
        ("", "replicationcontrollers") => &["spec", "template"],
        ("", "podtemplates") => &["template"],
        _ => return,
    };
    if old.is_none() && !template.is_empty() && !matches!(resource.plural.as_str(), "daemonsets" | "statefulsets") {
        pod::odd::name(meta::text(object, "name")).into_iter().for_each(|sentence| ctx.warn(sentence));
    }
    let spec = [template, &["spec"]].concat();
    if let Some(pod) = object.lookup(&spec) {
        pod::odd::warnings(pod, &spec.join(".")).into_iter().for_each(|sentence| ctx.warn(sentence));
    }
    if let Some(template_of) = object.lookup(template).filter(|_| !template.is_empty()) {
        pod::armor::warnings(template_of, &template.join(".")).into_iter().for_each(|sentence| ctx.warn(sentence));
    }
}

/// What is wrong with a change.
pub(crate) fn validate_update(resource: &Resource, old: &Value, object: &Value) -> Vec<Cause> {
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "configmaps") => secret::validate_immutable(old, object),
        ("", "secrets") => {
            let mut causes = secret::validate_immutable(old, object);
            causes.extend(immutable(old, object, &["type"]));
            causes
        }
        ("", "pods") => pod::validate_update(old, object),
        ("", "services") => service::validate_update(old, object),
        ("", "persistentvolumeclaims") => claim::validate_update(old, object),
        ("", "persistentvolumes") => volume::validate_update(old, object),
        ("apps" | "batch", plural) => workload::validate_update(plural, old, object),
        ("", "nodes") => node::validate_update(old, object),
        ("events.k8s.io", _) => event::validate_update(resource, old, object),
        ("", "resourcequotas") => quota::validate_update(old, object),
        ("scheduling.k8s.io", "priorityclasses") => priority::validate_update(old, object),
        ("node.k8s.io", _) => immutable(old, object, &["handler"]),
        ("discovery.k8s.io", _) => immutable(old, object, &["addressType"]),
        ("networking.k8s.io", "ingressclasses") => immutable(old, object, &["spec", "controller"]),
        ("networking.k8s.io", "ipaddresses") => immutable(old, object, &["spec", "parentRef"]),
        ("storage.k8s.io", "csidrivers") => storage::validate_driver_update(old, object),
        ("storage.k8s.io", "csinodes") => storage::validate_node_update(old, object),
        ("storage.k8s.io", "storageclasses") => storage::validate_class_update(old, object),
        ("storage.k8s.io", "volumeattachments") => storage::validate_attachment_update(old, object),
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => {
            if old.get("roleRef") == object.get("roleRef") {
                return Vec::new();
            }
            let shown = object.get("roleRef").map(crate::refusal::shown).unwrap_or_default();
            vec![Cause::invalid("roleRef", &shown, "cannot change roleRef")]
        }
        _ => Vec::new(),
    }
}

/// What is refused of a change that is valid.
pub(crate) fn admit_update(ctx: &Context<'_>, old: &Value, object: &Value) -> Result<(), Refusal> {
    if ctx.target.resource.is("", "persistentvolumeclaims") {
        return claim::admit_growth(ctx, old, object);
    }
    Ok(())
}

/// Takes what an object needs for itself, just before it is written. It is to be given to [`take_back`] if it is not written.
pub(crate) fn before_write(api: &Arc<Api>, resource: &Resource, object: &Value) -> Vec<String> {
    if resource.is("", "services") { service::book(api, object) } else { Vec::new() }
}

/// What was taken for an object that was not written is free again.
pub(crate) fn take_back(api: &Arc<Api>, taken: &[String]) {
    service::release(api, taken);
}

/// What follows from a write that is done.
pub(crate) fn after_write(api: &Arc<Api>, resource: &Resource, before: Option<&Entry>, entry: &Entry) {
    if resource.is("apiextensions.k8s.io", "customresourcedefinitions") {
        crate::crd::serve(&api.registry, &entry.value);
    }
    if resource.is("rbac.authorization.k8s.io", "clusterroles") {
        crate::auth::aggregation::refresh(api);
    }
    if let Some(before) = before.filter(|_| resource.is("", "services")) {
        service::give_back(api, &before.value, Some(&entry.value));
    }
}

/// What follows from a removal that is done.
pub(crate) fn after_removal(api: &Arc<Api>, resource: &Resource, entry: &Entry) {
    if resource.is("apiextensions.k8s.io", "customresourcedefinitions") {
        crate::crd::withdraw(&api.registry, &entry.value);
    }
    if resource.is("rbac.authorization.k8s.io", "clusterroles") {
        crate::auth::aggregation::refresh(api);
    }
    if resource.is("", "services") {
        service::give_back(api, &entry.value, None);
    }
}

/// What follows from the uid of a new object.
pub(crate) fn name_by_uid(resource: &Resource, object: &mut Value) {
    if resource.is("batch", "jobs") {
        workload::label_job(object);
    }
}

/// Puts a finalizer on that holds the deletion while the object is in use.
fn protect(object: &mut Value, finalizer: &str) {
    let mut finalizers: Vec<String> = meta::finalizers(object).into_iter().map(str::to_owned).collect();
    if !finalizers.iter().any(|name| name == finalizer) {
        finalizers.push(finalizer.to_owned());
    }
    meta::set_finalizers(object, &finalizers);
}

/// Gives a claim that names no class the default one.
fn choose_storage_class(api: &Api, claim: &mut Value) {
    const IS_DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";
    if claim.lookup(&["spec", "storageClassName"]).is_some() {
        return;
    }
    let (classes, _) = api.store.snapshot("storage.k8s.io/storageclasses");
    let is_default = |class: &Value| class.lookup_str(&["metadata", "annotations", IS_DEFAULT]) == Some("true");
    let chosen = classes.iter().find(|class| is_default(&class.value)).map(|class| class.key.name.clone());
    if let Some(name) = chosen {
        let spec = spec_of(claim);
        spec.insert("storageClassName", Value::from(name));
    }
}

fn spec_of(object: &mut Value) -> &mut Map {
    object.make_map().get_or_insert_with("spec", Value::map).make_map()
}

/// The spec without some fields: what stays if only these may change.
fn spec_without(object: &Value, fields: &[&str]) -> Value {
    let mut spec = object.get("spec").cloned().unwrap_or_default();
    spec.make_map().retain(|entry| !fields.contains(&entry.key.as_str()));
    spec
}

/// Sets a field that is missing.
fn default(map: &mut Map, key: &str, value: impl Into<Value>) {
    if !map.contains(key) {
        map.insert(key, value.into());
    }
}

/// The map in a field, if there is one.
fn child<'m>(map: &'m mut Map, key: &str) -> Option<&'m mut Map> {
    map.get_mut(key)?.as_map_mut()
}

/// The maps in a list.
fn items<'m>(map: &'m mut Map, key: &str) -> impl Iterator<Item = &'m mut Map> {
    map.get_mut(key).and_then(Value::as_list_mut).into_iter().flatten().filter_map(Value::as_map_mut)
}

fn set_phase(object: &mut Value, phase: &str) {
    let status = object.make_map().get_or_insert_with("status", Value::map).make_map();
    status.insert("phase", Value::str(phase));
}

/// The cause if a field that may not change has.
pub(crate) fn immutable(old: &Value, object: &Value, keys: &[&str]) -> Vec<Cause> {
    let (before, after) = (old.lookup(keys), object.lookup(keys));
    if before == after {
        return Vec::new();
    }
    let shown = after.map_or_else(|| "null".into(), crate::refusal::shown);
    vec![Cause::invalid(keys.join("."), &shown, "field is immutable")]
}
