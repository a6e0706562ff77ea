//! Delete: marking, waiting for finalizers, removing.

use std::sync::Arc;

use http::Response;
use jiff::{SignedDuration, Timestamp};
use soll_yaml::{Map, Value};

use super::answer::{self, Body};
use super::options::Options;
use super::write::{self, Setback};
use super::{Api, Context, Deletion, Propagation};
use crate::refusal::{self, Cause, Refusal};
use crate::resources::{Generation, Resource};
use crate::store::{Entry, Expected};
use crate::{kinds, meta};

/// Grace that pods get if nobody says otherwise.
const POD_GRACE_SECONDS: i64 = 30;

/// What a delete led to.
#[derive(Debug)]
pub(crate) enum Deleted {
    /// The object is gone; this was its last state.
    Gone(Value),
    /// The object is marked and waits for its finalizers or its grace.
    Marked(Value),
}

/// Jobs leave their pods behind, which surprises people.
fn warn_of_what_stays(ctx: &Context<'_>) {
    if ctx.target.resource.is("batch", "jobs") && ctx.options.deletion.propagation.is_none() {
        ctx.warn(
            "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them \
             or set propagationPolicy=Orphan to suppress this warning"
                .to_owned(),
        );
    }
}

/// Answers a DELETE of one object.
pub(crate) fn delete(ctx: &Context<'_>) -> Result<Response<Body>, Refusal> {
    let resource = &ctx.target.resource;
    warn_of_what_stays(ctx);
    let live = ctx.live()?;
    kinds::namespace::admit_delete(resource, &ctx.target.name)?;
    let deleted = write::retry(resource, &ctx.target.name, || {
        let live = ctx.live()?;
        remove(ctx.api, resource, &live, &ctx.options.deletion, ctx.options.dry_run, ctx.now)
    })?;
    let include = ctx.options.include_object;
    match deleted {
        Deleted::Marked(object) => answer::object(200, resource, &object, ctx.accepted, include),
        Deleted::Gone(object) if returns_object(resource) => {
            answer::object(200, resource, &object, ctx.accepted, include)
        }
        Deleted::Gone(_) => {
            Ok(answer::json(200, &refusal::deleted(resource, &ctx.target.name, meta::text(&live.value, "uid"))))
        }
    }
}

/// Answers a DELETE of a collection with what it held.
pub(crate) fn delete_collection(ctx: &Context<'_>) -> Result<Response<Body>, Refusal> {
    let resource = &ctx.target.resource;
    warn_of_what_stays(ctx);
    ctx.options.fields.check(resource).map_err(Refusal::bad_request)?;
    let (shelf, revision) = ctx.api.store.snapshot(&resource.drawer);
    let namespace = ctx.target.namespace.as_str();
    let mut deleted = Vec::new();
    for entry in shelf.iter() {
        if (namespace.is_empty() || entry.key.namespace == namespace) && ctx.selects(&entry.value) {
            kinds::namespace::admit_delete(resource, &entry.key.name)?;
            match delete_object(ctx.api, resource, entry, &ctx.options.deletion, ctx.options.dry_run, ctx.now) {
                Ok(_) => deleted.push(entry.clone()),
                Err(refusal) if refusal.reason == "NotFound" => {}
                Err(refusal) => return Err(refusal),
            }
        }
    }
    let list_meta = Map::from_iter([("resourceVersion", Value::from(revision.to_string()))]);
    let entries = deleted.iter().map(|entry| &**entry);
    answer::list(resource, entries, list_meta, ctx.accepted, ctx.options.include_object)
}

/// Deletes an object that was found in a list.
pub(crate) fn delete_object(
    api: &Arc<Api>,
    resource: &Resource,
    found: &Entry,
    how: &Deletion,
    dry_run: bool,
    now: Timestamp,
) -> Result<Deleted, Refusal> {
    write::retry(resource, &found.key.name, || {
        let live = api.store.get(&resource.drawer, &found.key.namespace, &found.key.name);
        let live = live.ok_or_else(|| Refusal::not_found(resource, &found.key.name))?;
        remove(api, resource, &live, how, dry_run, now)
    })
}

/// One attempt to delete an object as it is.
fn remove(
    api: &Arc<Api>,
    resource: &Resource,
    live: &Arc<Entry>,
    how: &Deletion,
    dry_run: bool,
    now: Timestamp,
) -> Result<Deleted, Setback> {
    check_preconditions(resource, live, how)?;
    let mut object = live.value.clone();
    let terminating = meta::is_terminating(&object);
    let grace = grace(resource, &object, how);
    if terminating {
        shorten_grace(&mut object, grace, now);
    } else {
        mark(resource, &mut object, grace, now);
    }
    set_propagation(resource, &mut object, how, terminating);
    if resource.is("apiextensions.k8s.io", "customresourcedefinitions") && !terminating {
        kinds::definition::mark(&mut object);
    }
    if resource.is("", "namespaces") {
        let status = object.make_map().get_or_insert_with("status", Value::map).make_map();
        status.insert("phase", Value::str("Terminating"));
        // How long it takes is up to what is in it.
        meta::metadata_mut(&mut object).remove("deletionGracePeriodSeconds");
    }
    if write::is_released(resource, &object) {
        if dry_run {
            return Ok(Deleted::Gone(if resource.is("", "pods") { object } else { live.value.clone() }));
        }
        let removed = api.store.remove(&resource.drawer, &live.key, live.revision)?;
        kinds::after_removal(api, resource, &removed);
        // Pods are marked before they go; other kinds are answered as they were.
        let mut last = if resource.is("", "pods") { object } else { live.value.clone() };
        meta::copy_field(&mut last, &removed.value, "resourceVersion");
        return Ok(Deleted::Gone(last));
    }
    if dry_run || object == live.value {
        return Ok(Deleted::Marked(object));
    }
    let stored = api.store.put(&resource.drawer, &live.key, Expected::Revision(live.revision), object)?;
    kinds::after_write(api, resource, Some(live), &stored);
    Ok(Deleted::Marked(stored.value.clone()))
}

fn check_preconditions(resource: &Resource, live: &Entry, how: &Deletion) -> Result<(), Refusal> {
    let record = |what: &str, wanted: &str, found: &str, happened: &str| {
        let why = format!(
            "the {what} in the precondition ({wanted}) does not match the {what} in record ({found}). The object might have been {happened}"
        );
        Refusal::precondition(resource, &live.key.name, &why)
    };
    let uid = meta::text(&live.value, "uid");
    if let Some(wanted) = how.uid.as_deref().filter(|wanted| *wanted != uid) {
        return Err(record("UID", wanted, uid, "deleted and then recreated"));
    }
    let version = live.revision.to_string();
    if let Some(wanted) = how.resource_version.as_deref().filter(|wanted| *wanted != version) {
        return Err(record("ResourceVersion", wanted, &version, "modified"));
    }
    Ok(())
}

/// Seconds until the object may go. Only pods that run on a node have any.
fn grace(resource: &Resource, object: &Value, how: &Deletion) -> i64 {
    let scheduled = object.lookup_str(&["spec", "nodeName"]).is_some_and(|node| !node.is_empty());
    let finished = matches!(object.lookup_str(&["status", "phase"]), Some("Succeeded" | "Failed"));
    if !resource.is("", "pods") || !scheduled || finished {
        return 0;
    }
    let own = || object.lookup(&["spec", "terminationGracePeriodSeconds"]).and_then(Value::as_i64);
    how.grace_seconds.or_else(own).unwrap_or(POD_GRACE_SECONDS)
}

fn mark(resource: &Resource, object: &mut Value, grace: i64, now: Timestamp) {
    let at = now.checked_add(SignedDuration::from_secs(grace)).unwrap_or(now);
    meta::set_text(object, "deletionTimestamp", &meta::time(at));
    meta::metadata_mut(object).insert("deletionGracePeriodSeconds", Value::from(grace));
    if resource.generation != Generation::None {
        let old = object.clone();
        write::count_up(&old, object);
    }
}

fn shorten_grace(object: &mut Value, grace: i64, now: Timestamp) {
    let left = object.lookup(&["metadata", "deletionGracePeriodSeconds"]).and_then(Value::as_i64).unwrap_or(0);
    if grace < left {
        let at = now.checked_add(SignedDuration::from_secs(grace)).unwrap_or(now);
        meta::set_text(object, "deletionTimestamp", &meta::time(at));
        meta::metadata_mut(object).insert("deletionGracePeriodSeconds", Value::from(grace));
    }
}

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// Puts the finalizer of the policy on the object, and takes off the other.
fn set_propagation(resource: &Resource, object: &mut Value, how: &Deletion, terminating: bool) {
    if terminating && how.propagation.is_none() {
        return;
    }
    let mut finalizers: Vec<String> = meta::finalizers(object).into_iter().map(str::to_owned).collect();
    let marked = |name: &str| finalizers.iter().any(|held| held == name);
    let policy = how.propagation.unwrap_or_else(|| {
        if marked(ORPHAN) {
            Propagation::Orphan
        } else if marked(FOREGROUND) {
            Propagation::Foreground
        } else if resource.is("batch", "jobs") || resource.is("", "replicationcontrollers") {
            // The API's old default; kubectl always says Background.
            Propagation::Orphan
        } else {
            Propagation::Background
        }
    });
    finalizers.retain(|name| name != ORPHAN && name != FOREGROUND);
    match policy {
        Propagation::Orphan => finalizers.push(ORPHAN.to_owned()),
        Propagation::Foreground => finalizers.push(FOREGROUND.to_owned()),
        Propagation::Background => {}
    }
    meta::set_finalizers(object, &finalizers);
}

/// Kinds whose delete answers the object rather than a `Status`.
fn returns_object(resource: &Resource) -> bool {
    match resource.group.as_str() {
        "" => matches!(
            resource.plural.as_str(),
            "persistentvolumeclaims"
                | "persistentvolumes"
                | "pods"
                | "podtemplates"
                | "resourcequotas"
                | "serviceaccounts"
                | "services"
        ),
        "storage.k8s.io" => true,
        _ => false,
    }
}

fn no_disruption_allowed(name: &str, budget: &Value) -> Refusal {
    let number = |keys: &[&str]| budget.lookup(keys).and_then(Value::as_i64).unwrap_or(0);
    let message = if number(&["status", "observedGeneration"]) < number(&["metadata", "generation"]) {
        format!("The disruption budget {name} is still being processed by the server.")
    } else {
        let (needed, healthy) = (number(&["status", "desiredHealthy"]), number(&["status", "currentHealthy"]));
        format!("The disruption budget {name} needs {needed} healthy pods and has {healthy} currently")
    };
    let cause = Cause { kind: "DisruptionBudget", field: String::new(), message };
    Refusal::too_many_requests("Cannot evict pod as it would violate the pod's disruption budget.").with_cause(cause)
}

/// Removes a pod unless a disruption budget has nothing left.
pub(crate) fn evict(ctx: &Context<'_>, eviction: &Value) -> Result<Response<Body>, Refusal> {
    let mut options = Options::default();
    if let Some(how) = eviction.get("deleteOptions") {
        options.read_delete_body(how)?;
    }
    let dry_run = options.dry_run || ctx.options.dry_run;
    let live = ctx.live()?;
    let (budgets, _) = ctx.api.store.snapshot("policy/poddisruptionbudgets");
    for budget in budgets.iter().filter(|budget| budget.key.namespace == ctx.target.namespace) {
        let selector = budget.value.lookup(&["spec", "selector"]).cloned().unwrap_or_default();
        let selects =
            crate::selector::LabelSelector::from_value(&selector).is_ok_and(|selector| selector.matches(&live.value));
        let allowed = budget.value.lookup(&["status", "disruptionsAllowed"]).and_then(Value::as_i64).unwrap_or(0);
        if selects && allowed < 1 {
            return Err(no_disruption_allowed(&budget.key.name, &budget.value));
        }
    }
    delete_object(ctx.api, &ctx.target.resource, &live, &options.deletion, dry_run, ctx.now)?;
    let success =
        serde_json::json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    Ok(answer::json(201, &success))
}
