//! Create and update: what the server does to an object before it is stored.

use std::sync::Arc;

use soll_patch::structured::same_but_times;
use soll_schema::Schemas;
use soll_yaml::Value;

use super::options::FieldValidation;
use super::{Api, Context};
use crate::fields;
use crate::kinds;
use crate::meta;
use crate::names;
use crate::refusal::{Cause, Refusal};
use crate::resources::{Generation, Resource, Subresource};
use crate::shape::{Rules, fit};
use crate::store::{Entry, Expected, Key, NoRoom, Raced};

/// Why a write did not happen.
#[derive(Debug)]
pub(crate) enum Setback {
    /// Another writer was faster: compute again on what is there now.
    Raced,
    /// It is not allowed.
    Refused(Refusal),
}

impl From<Raced> for Setback {
    fn from(_: Raced) -> Self {
        Self::Raced
    }
}

impl From<Refusal> for Setback {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Whether the managed fields of an object tell of this write already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tracking {
    /// They are those the client sent.
    Due,
    /// The merge of an apply wrote them.
    Done,
}

/// What the client sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    Object,
    Patch,
    /// What an apply made of an apply configuration.
    Applied,
}

/// How often a write is computed again on a newer object before the client is told.
const RACES: usize = 50;

/// How often another generated name is tried.
const GENERATED_NAMES: usize = 8;

/// Runs a write until no other writer is faster.
pub(crate) fn retry<T>(
    resource: &Resource,
    name: &str,
    mut attempt: impl FnMut() -> Result<T, Setback>,
) -> Result<T, Refusal> {
    for _ in 0..RACES {
        match attempt() {
            Ok(done) => return Ok(done),
            Err(Setback::Refused(refusal)) => return Err(refusal),
            Err(Setback::Raced) => {}
        }
    }
    Err(Refusal::stale(resource, name))
}

/// Creates an object.
pub(crate) fn create(ctx: &Context<'_>, mut object: Value) -> Result<Value, Refusal> {
    let resource = &ctx.target.resource;
    check_type(resource, &object)?;
    shape(ctx, &mut object, Sent::Object)?;
    place(ctx, &mut object)?;
    let version = meta::text(&object, "resourceVersion");
    if !version.is_empty() && version != "0" {
        // Kubernetes answers it with 500 and no reason.
        return Err(Refusal::untyped("resourceVersion should not be set on objects to be created"));
    }
    kinds::settle(resource, &mut object);
    name_owners_once(ctx, &mut object, Sent::Object);
    let object = fields::track(ctx, None, &object);
    let generate = meta::text(&object, "name").is_empty().then(|| meta::text(&object, "generateName").to_owned());
    for _ in 0..GENERATED_NAMES {
        let mut named = object.clone();
        if let Some(base) = generate.as_deref().filter(|base| !base.is_empty()) {
            meta::set_text(&mut named, "name", &names::generate(base));
        }
        match create_named(ctx, named) {
            Err(refusal) if generate.is_some() && refusal.reason == "AlreadyExists" => {}
            done => return done,
        }
    }
    Err(Refusal::already_exists(resource, &generate.unwrap_or_default(), false))
}

/// Creates an object whose name is settled.
pub(crate) fn create_named(ctx: &Context<'_>, mut object: Value) -> Result<Value, Refusal> {
    let (api, resource) = (ctx.api, &ctx.target.resource);
    let namespace = meta::text(&object, "namespace").to_owned();
    let name = meta::text(&object, "name").to_owned();
    kinds::namespace::admit(api, resource, &namespace, &name)?;
    crate::auth::escalation::admit(ctx, &object)?;
    forget_system_metadata(&mut object);
    if resource.has(Subresource::Status) {
        match empty_status(resource) {
            Some(status) => object.make_map().insert("status", status),
            None => object.make_map().remove("status"),
        };
        if kinds::autoscaler::is_of(resource) {
            kinds::autoscaler::keep_status(None, &mut object);
        }
    }
    kinds::settle(resource, &mut object);
    kinds::prepare_create(ctx, &mut object)?;
    let name = meta::text(&object, "name").to_owned();
    meta::set_text(&mut object, "uid", &uuid::Uuid::new_v4().to_string());
    kinds::name_by_uid(resource, &mut object);
    let mut causes = names::check(resource, &object);
    causes.extend(kinds::validate(resource, None, &object));
    refuse_if(resource, &name, causes)?;
    if is_certificate_request(resource) {
        kinds::certificate::admit_groups(resource, &object)?;
    }
    kinds::warn(ctx, None, &object);
    meta::set_text(&mut object, "creationTimestamp", &meta::time(ctx.now));
    if !matches!(resource.generation, Generation::None | Generation::SpecOnceMade) {
        meta::metadata_mut(&mut object).insert("generation", Value::from(1));
    }
    kinds::write_empty_lists(resource, &mut object);
    let key = Key::new(&namespace, &name);
    let exists = |api: &Api| {
        let blocker = api.store.get(&resource.drawer, &namespace, &name)?;
        Some(Refusal::already_exists(resource, &name, meta::is_terminating(&blocker.value)))
    };
    if ctx.options.dry_run {
        return exists(api).map_or(Ok(object), Err);
    }
    if kinds::autoscaler::is_of(resource) {
        object = kinds::autoscaler::with_metrics(&object);
    }
    api.store.admit(None, &object).map_err(no_room)?;
    let taken = kinds::before_write(api, resource, &object);
    match api.store.put(&resource.drawer, &key, Expected::Absent, object) {
        Ok(entry) => {
            kinds::after_write(api, resource, None, &entry);
            Ok(entry.value.clone())
        }
        Err(Raced) => {
            kinds::take_back(api, &taken);
            Err(exists(api).unwrap_or_else(|| Refusal::already_exists(resource, &name, false)))
        }
    }
}

/// Replaces an object, or its status; some kinds are created where there is none. Answers the code and the object.
pub(crate) fn replace(ctx: &Context<'_>, mut object: Value) -> Result<(u16, Value), Refusal> {
    let resource = &ctx.target.resource;
    check_type(resource, &object)?;
    place(ctx, &mut object)?;
    if ctx.target.subresource.is_none() && is_created_by_update(resource) && ctx.live().is_err() {
        crate::auth::authorize(&ctx.api.store, &ctx.caller.user, &ctx.attempt("create"))?;
        return Ok((201, create(ctx, object)?));
    }
    shape(ctx, &mut object, Sent::Object)?;
    let live = ctx.live()?;
    check_uid(resource, &live, &object)?;
    if must_name_version(resource) && meta::text(&object, "resourceVersion").is_empty() {
        return Err(Refusal::no_version(resource, &ctx.target.name));
    }
    name_owners_once(ctx, &mut object, Sent::Object);
    let replaced = retry(resource, &ctx.target.name, || {
        let live = ctx.live()?;
        update(ctx, &live, object.clone(), Tracking::Due)
    })?;
    Ok((200, replaced))
}

/// Kinds that are replaced only by those who say which version they replace.
fn must_name_version(resource: &Resource) -> bool {
    let builtin = match resource.group.as_str() {
        "admissionregistration.k8s.io" | "coordination.k8s.io" => true,
        "node.k8s.io" => true,
        "policy" => resource.plural == "poddisruptionbudgets",
        "storage.k8s.io" => {
            matches!(resource.plural.as_str(), "csidrivers" | "csinodes" | "csistoragecapacities" | "volumeattachments")
        }
        _ => false,
    };
    builtin || resource.custom.is_some()
}

/// Kinds that a PUT creates where there is nothing.
fn is_created_by_update(resource: &Resource) -> bool {
    match resource.group.as_str() {
        "" => matches!(resource.plural.as_str(), "endpoints" | "events" | "limitranges" | "services"),
        "coordination.k8s.io" | "events.k8s.io" | "node.k8s.io" | "rbac.authorization.k8s.io" => true,
        _ => false,
    }
}

/// Stores `object` in the place of `live`, as far as the endpoint may change it.
///
/// Everything that changes an object comes through here: PUT, the four patches, status and the rest.
pub(crate) fn update(
    ctx: &Context<'_>,
    live: &Arc<Entry>,
    mut object: Value,
    tracking: Tracking,
) -> Result<Value, Setback> {
    let (api, resource) = (ctx.api, &ctx.target.resource);
    // In the form in which the object is written: it may be stored in that of another version.
    let (old, name) = (&resource.present(&live.value), live.key.name.as_str());
    check_preconditions(resource, live, &object)?;
    keep_what_others_set(ctx, old, &mut object);
    let is_first_form = kinds::autoscaler::is_of(resource) && resource.version == "v1";
    let rest = is_first_form.then(|| kinds::autoscaler::at_rest(ctx.target.subresource, &live.value, &object));
    kinds::settle(resource, &mut object);
    if tracking == Tracking::Due {
        object = fields::track(ctx, Some(old), &kinds::with_lists(resource, &object));
    }
    // Who leaves them out in a PUT is noted as who took them away, though nobody can.
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
        meta::copy_field(&mut object, old, field);
    }
    name_owners_once(ctx, &mut object, Sent::Patch);
    kinds::write_empty_lists(resource, &mut object);
    if ctx.target.subresource.is_none() {
        crate::auth::escalation::admit(ctx, &object)?;
        kinds::prepare_update(ctx, old, &mut object)?;
    }
    let mut causes = check_metadata_change(old, &object);
    causes.extend(kinds::validate(resource, Some(old), rest.as_ref().unwrap_or(&object)));
    if is_certificate_request(resource) {
        kinds::certificate::admit(ctx, old)?;
        if ctx.target.subresource == Some(Subresource::Status) {
            causes.extend(kinds::certificate::validate_report(old, &object));
        }
    }
    if ctx.target.subresource.is_none() {
        causes.extend(kinds::validate_update(resource, old, &object));
    }
    refuse_if(resource, name, causes)?;
    if ctx.target.subresource.is_none() {
        kinds::admit_update(ctx, old, &object)?;
    }
    set_generation(ctx, old, &mut object);
    if ctx.target.subresource.is_none() {
        kinds::warn(ctx, Some(old), &object);
    }
    meta::copy_field(&mut object, old, "resourceVersion");
    if same_but_times(&object, old) {
        return Ok(old.clone());
    }
    if ctx.options.dry_run {
        return Ok(object);
    }
    if meta::is_terminating(&object) && is_released(resource, &object) {
        let removed = api.store.remove(&resource.drawer, &live.key, live.revision)?;
        kinds::after_removal(api, resource, &removed);
        return Ok(object);
    }
    if let Some(rest) = &rest {
        object = kinds::autoscaler::stored(rest, &object);
    }
    api.store.admit(Some(live), &object).map_err(no_room)?;
    let taken = kinds::before_write(api, resource, &object);
    let stored = api.store.put(&resource.drawer, &live.key, Expected::Revision(live.revision), object);
    let stored = stored.inspect_err(|Raced| kinds::take_back(api, &taken))?;
    kinds::after_write(api, resource, Some(live), &stored);
    Ok(stored.value.clone())
}

fn no_room(error: NoRoom) -> Refusal {
    match error {
        // What etcd says of it, with no reason.
        NoRoom::Object { .. } => Refusal::untyped(format!("etcdserver: request is too large: {error}")),
        NoRoom::Objects { .. } => Refusal::internal(error.to_string()),
    }
}

/// Says whether nothing holds a terminating object any more.
pub(crate) fn is_released(resource: &Resource, object: &Value) -> bool {
    let grace = object.lookup(&["metadata", "deletionGracePeriodSeconds"]).and_then(Value::as_i64).unwrap_or(0);
    let namespace_holds = resource.is("", "namespaces")
        && object.lookup(&["spec", "finalizers"]).and_then(Value::as_list).is_some_and(|list| !list.is_empty());
    meta::finalizers(object).is_empty() && grace == 0 && !namespace_holds
}

/// Changes an object for the server's own purposes: no checks, no generation. An object that is released
/// by it goes; one that is gone, or as it should be, is left alone.
pub(crate) fn finalize(api: &Arc<Api>, drawer: &str, key: &Key, mut change: impl FnMut(&mut Value)) {
    let Some(resource) = api.registry.table().of_drawer(drawer) else { return };
    for _ in 0..RACES {
        let Some(live) = api.store.get(drawer, &key.namespace, &key.name) else { return };
        let mut object = live.value.clone();
        change(&mut object);
        let written = if meta::is_terminating(&object) && is_released(&resource, &object) {
            api.store.remove(drawer, key, live.revision).map(|removed| kinds::after_removal(api, &resource, &removed))
        } else if object == live.value {
            return;
        } else {
            let stored = api.store.put(drawer, key, Expected::Revision(live.revision), object);
            stored.map(|stored| kinds::after_write(api, &resource, Some(&live), &stored))
        };
        if written.is_ok() {
            return;
        }
    }
}

/// Puts a pod on a node.
pub(crate) fn bind(ctx: &Context<'_>, binding: &Value) -> Result<http::Response<super::Body>, Refusal> {
    let node = binding.lookup_str(&["target", "name"]).unwrap_or_default();
    if node.is_empty() {
        // Kubernetes answers it with 500 and no reason.
        return Err(Refusal::untyped("target.name: Required value"));
    }
    retry(&ctx.target.resource, &ctx.target.name, || {
        let live = ctx.live()?;
        let bound = live.value.lookup_str(&["spec", "nodeName"]).unwrap_or_default();
        if !bound.is_empty() && bound != node {
            let why = format!("pod {} is already assigned to node {bound:?}", ctx.target.name);
            return Err(Refusal::conflict_below(&ctx.target.resource, "binding", &ctx.target.name, why).into());
        }
        let mut pod = live.value.clone();
        let spec = pod.make_map().get_or_insert_with("spec", Value::map).make_map();
        spec.insert("nodeName", Value::str(node));
        kinds::pod::set_condition(&mut pod, "PodScheduled", "True", ctx.now);
        update(ctx, &live, pod, Tracking::Done)
    })?;
    let success = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201,
    });
    Ok(super::answer::json(201, &success))
}

fn refuse_if(resource: &Resource, name: &str, causes: Vec<Cause>) -> Result<(), Refusal> {
    // Events of both groups are one kind.
    let group = if resource.group == "events.k8s.io" { "" } else { &resource.group };
    if causes.is_empty() { Ok(()) } else { Err(Refusal::invalid(group, &resource.kind, name, causes)) }
}

/// Checks that the body is what the URL says; texts that are missing are filled in by the caller's URL.
pub(crate) fn check_type(resource: &Resource, object: &Value) -> Result<(), Refusal> {
    let api_version = object.lookup_str(&["apiVersion"]).unwrap_or_default();
    let kind = object.lookup_str(&["kind"]).unwrap_or_default();
    let expected = resource.api_version();
    if (api_version.is_empty() || api_version == expected) && (kind.is_empty() || kind == resource.kind) {
        return Ok(());
    }
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    if Schemas::builtin().kind(group, version, kind).is_some() || resource.custom.is_some() {
        return Err(Refusal::bad_request(format!(
            "the API version in the data ({api_version}) does not match the expected API version ({expected})"
        )));
    }
    Err(Refusal::unknown_kind(api_version, kind, &resource.kind))
}

/// Fills in type, namespace and name from the URL, and refuses others in the body.
pub(crate) fn place(ctx: &Context<'_>, object: &mut Value) -> Result<(), Refusal> {
    let target = ctx.target;
    let top = object.make_map();
    top.insert("apiVersion", Value::from(target.resource.api_version()));
    top.insert("kind", Value::str(&target.resource.kind));
    let namespace = meta::text(object, "namespace").to_owned();
    if target.resource.namespaced {
        if target.namespace.is_empty() {
            return Err(Refusal::bad_request("an empty namespace may not be set during creation"));
        }
        if !namespace.is_empty() && namespace != target.namespace {
            return Err(Refusal::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        meta::set_text(object, "namespace", &target.namespace);
    } else if object.lookup(&["metadata", "namespace"]).is_some() {
        meta::metadata_mut(object).remove("namespace");
    }
    if !target.name.is_empty() {
        let name = meta::text(object, "name");
        if name.is_empty() {
            return Err(Refusal::bad_request(format!(
                "the name of the object ({} based on URL) was undeterminable: name must be provided",
                target.name
            )));
        }
        if name != target.name {
            return Err(Refusal::bad_request(format!(
                "the name of the object ({name}) does not match the name on the URL ({})",
                target.name
            )));
        }
        meta::set_text(object, "name", &target.name);
    }
    Ok(())
}

/// Brings the object into the shape of its schema; says what it does not know, or refuses it.
pub(crate) fn shape(ctx: &Context<'_>, object: &mut Value, body: Sent) -> Result<(), Refusal> {
    let resource = &ctx.target.resource;
    // An empty list is the wish to forget all managers; the normal form of a list is not to be there.
    let managers = ["metadata", "managedFields"];
    let forgets = object.lookup(&managers).and_then(Value::as_list).is_some_and(<[Value]>::is_empty);
    let empty_lists = kinds::empty_lists(resource, object);
    let findings = match &resource.custom {
        Some(custom) => {
            let findings = fit(custom.schema.root(), object, Rules::Custom);
            // Metadata is Kubernetes' own; its types were told from the schema's point of view.
            let of = Schemas::builtin().definition("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta");
            if let (Some(of), Some(metadata)) = (of, object.get_mut("metadata")) {
                fit(of, metadata, Rules::Builtin);
            }
            findings
        }
        None => match Schemas::builtin().type_of(&resource.group, &resource.version, &resource.kind) {
            Some(of) => fit(of, object, Rules::Builtin),
            None => return Ok(()),
        },
    };
    for field in empty_lists {
        object.make_map().insert(field, Value::list(Vec::new()));
    }
    if forgets {
        meta::metadata_mut(object).insert("managedFields", Value::list(Vec::new()));
    }
    if let Some((path, message)) = findings.misfits.first() {
        let (kind, version) = (&resource.kind, resource.version.as_str());
        return Err(match body {
            Sent::Patch => Refusal::invalid_patch(&soll_yaml::to_json(object), format!("{path}: {message}")),
            Sent::Object => Refusal::bad_request(format!(
                "{kind} in version {version:?} cannot be handled as a {kind}: {path}: {message}"
            )),
            // Its types were found to fit before; Kubernetes stumbles over what is left.
            Sent::Applied => Refusal::untyped(format!("{path}: {message}")),
        });
    }
    ctx.note_emptied(findings.emptied);
    let unknown = findings.unknown.iter().map(|path| format!("unknown field \"{path}\""));
    let repeated = ctx.repeated.iter().map(|path| format!("duplicate field \"{path}\""));
    let sentences: Vec<String> = repeated.chain(unknown).collect();
    match ctx.options.field_validation {
        FieldValidation::Strict if !sentences.is_empty() => {
            let why = format!("strict decoding error: {}", sentences.join(", "));
            let (kind, version) = (&resource.kind, resource.version.as_str());
            Err(match body {
                Sent::Object => {
                    Refusal::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {why}"))
                }
                Sent::Patch | Sent::Applied => Refusal::invalid_patch(&soll_yaml::to_json(object), why),
            })
        }
        FieldValidation::Warn => {
            sentences.into_iter().for_each(|sentence| ctx.warn(sentence));
            Ok(())
        }
        FieldValidation::Strict | FieldValidation::Ignore => Ok(()),
    }
}

/// The status of builtin kinds that nobody has written to yet, if it shows.
fn empty_status(resource: &Resource) -> Option<Value> {
    let of = Schemas::builtin().type_of(&resource.group, &resource.version, &resource.kind)?;
    let field = of.struct_field("status").filter(|field| field.emitted)?;
    let mut status = Value::map();
    fit(field.of, &mut status, Rules::Builtin);
    Some(status)
}

fn forget_system_metadata(object: &mut Value) {
    const SYSTEM: &[&str] = &[
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "resourceVersion",
        "selfLink",
    ];
    meta::metadata_mut(object).retain(|entry| !SYSTEM.contains(&entry.key.as_str()));
}

/// A PUT is about the object that the client read, not about a namesake.
fn check_uid(resource: &Resource, live: &Entry, object: &Value) -> Result<(), Refusal> {
    let uid = meta::text(object, "uid");
    let live_uid = meta::text(&live.value, "uid");
    if !uid.is_empty() && uid != live_uid {
        let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {live_uid}");
        return Err(Refusal::conflict(resource, &live.key.name, why));
    }
    Ok(())
}

/// The object must be the version that the client thinks it is, and stay itself.
fn check_preconditions(resource: &Resource, live: &Entry, object: &Value) -> Result<(), Refusal> {
    let uid = meta::text(object, "uid");
    if !uid.is_empty() && uid != meta::text(&live.value, "uid") {
        let cause = Cause::invalid("metadata.uid", &format!("{uid:?}"), "field is immutable");
        return Err(Refusal::invalid(&resource.group, &resource.kind, &live.key.name, vec![cause]));
    }
    let version = meta::text(object, "resourceVersion");
    if !version.is_empty() && version != "0" && version != live.revision.to_string() {
        return Err(Refusal::stale(resource, &live.key.name));
    }
    Ok(())
}

/// Drops owners that stand there before, and names each that is dropped.
fn name_owners_once(ctx: &Context<'_>, object: &mut Value, body: Sent) {
    let Some(owners) = object.lookup(&["metadata", "ownerReferences"]).and_then(Value::as_list) else { return };
    let (mut kept, mut repeated): (Vec<Value>, Vec<&str>) = (Vec::new(), Vec::new());
    for owner in owners {
        let uid = owner.lookup_str(&["uid"]).unwrap_or_default();
        if kept.contains(owner) {
            repeated.push(uid);
        } else {
            kept.push(owner.clone());
        }
    }
    if repeated.is_empty() {
        return;
    }
    // Patches are looked at late.
    let when = if body == Sent::Patch { " after mutating admission happens" } else { "" };
    ctx.warn(format!(
        ".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in 1.20+, and may reject \
         such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
        repeated.join(", ")
    ));
    meta::metadata_mut(object).insert("ownerReferences", Value::list(kept));
}

/// The metadata that stays as it is when a status is written.
fn kept_by_status(resource: &Resource) -> &'static [&'static str] {
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "pods") => &["ownerReferences"],
        ("apps", "deployments") => &["labels"],
        ("apiextensions.k8s.io" | "flowcontrol.apiserver.k8s.io" | "admissionregistration.k8s.io", _) => {
            &["labels", "annotations", "finalizers", "ownerReferences"]
        }
        _ => &[],
    }
}

/// Puts back what this endpoint may not change.
fn keep_what_others_set(ctx: &Context<'_>, old: &Value, object: &mut Value) {
    for field in ["uid", "creationTimestamp", "generation", "selfLink"] {
        meta::copy_field(object, old, field);
    }
    let resource = &ctx.target.resource;
    let is_autoscaler = kinds::autoscaler::is_of(resource);
    match ctx.target.subresource {
        None => {
            if resource.has(Subresource::Status) {
                meta::copy_top(object, old, "status");
            }
            if is_autoscaler {
                kinds::autoscaler::keep_status(Some(old), object);
            }
        }
        Some(Subresource::Status) if resource.custom.is_some() => {
            let status = object.get("status").cloned();
            let managed = object.lookup(&["metadata", "managedFields"]).cloned();
            *object = old.clone();
            match status {
                Some(status) => object.make_map().insert("status", status),
                None => object.make_map().remove("status"),
            };
            if let Some(managed) = managed {
                meta::metadata_mut(object).insert("managedFields", managed);
            }
        }
        Some(Subresource::Status) => {
            meta::copy_top(object, old, "spec");
            if is_autoscaler {
                kinds::autoscaler::keep_spec(old, object);
            }
            for field in kept_by_status(resource) {
                meta::copy_field(object, old, field);
            }
        }
        Some(Subresource::Finalize) => meta::copy_top(object, old, "status"),
        Some(_) => {}
    }
    if is_certificate_request(resource) {
        kinds::certificate::keep(ctx.target.subresource, old, object, ctx.now);
    }
}

fn is_certificate_request(resource: &Resource) -> bool {
    resource.is("certificates.k8s.io", "certificatesigningrequests")
}

fn check_metadata_change(old: &Value, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let changed = |field: &str| old.lookup(&["metadata", field]) != object.lookup(&["metadata", field]);
    if changed("labels") || changed("annotations") {
        causes.extend(names::check_labels(object));
    }
    if changed("ownerReferences") {
        causes.extend(names::check_owners(object));
    }
    if meta::is_terminating(old) {
        let before = meta::finalizers(old);
        let added: Vec<_> = meta::finalizers(object).into_iter().filter(|name| !before.contains(name)).collect();
        if !added.is_empty() {
            let shown: Vec<String> = added.iter().map(|name| format!("{name:?}")).collect();
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                shown.join(", ")
            );
            causes.push(Cause::forbidden("metadata.finalizers", why));
        }
    }
    causes
}

/// Counts up `metadata.generation` if what users ask for has changed.
fn set_generation(ctx: &Context<'_>, old: &Value, object: &mut Value) {
    let changed = match ctx.target.resource.generation {
        Generation::None => false,
        Generation::Spec | Generation::SpecOnceMade => old.get("spec") != object.get("spec"),
        Generation::SpecAndAnnotations => {
            let annotations = ["metadata", "annotations"];
            old.get("spec") != object.get("spec") || old.lookup(&annotations) != object.lookup(&annotations)
        }
        Generation::ContentAndLabels => {
            let labels = ["metadata", "labels"];
            differs(old, object, &["metadata"]) || old.lookup(&labels) != object.lookup(&labels)
        }
        Generation::AllButStatus => differs(old, object, &["metadata", "status"]),
        Generation::All => differs(old, object, &["metadata"]),
    };
    // Go compares what was sent with what was stored, and an empty list is not none.
    let changed =
        changed || ctx.emptied(object).iter().any(|emptied| kinds::counts_empty(&ctx.target.resource, &emptied.path));
    if changed && !matches!(ctx.target.subresource, Some(Subresource::Status | Subresource::Binding)) {
        count_up(old, object);
    }
}

/// Sets the generation to the one after the old.
pub(crate) fn count_up(old: &Value, object: &mut Value) {
    let generation = old.lookup(&["metadata", "generation"]).and_then(Value::as_i64).unwrap_or(0);
    meta::metadata_mut(object).insert("generation", Value::from(generation + 1));
}

fn differs(old: &Value, object: &Value, except: &[&str]) -> bool {
    let rest = |value: &Value| -> Vec<(String, Value)> {
        let entries = value.as_map().into_iter().flatten();
        let mut rest: Vec<_> = entries
            .filter(|entry| !except.contains(&entry.key.as_str()))
            .map(|entry| (entry.key.to_string(), entry.value.clone()))
            .collect();
        rest.sort_by(|a, b| a.0.cmp(&b.0));
        rest
    };
    rest(old) != rest(object)
}
