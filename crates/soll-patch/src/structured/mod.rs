//! Server-side apply: merging by ownership of fields, and the bookkeeping of `metadata.managedFields`.
//!
//! [`apply`] is the merge of an apply request; [`track_update`] notes who changed what in any other write.
//! Both follow the API server to the letter, because clients compare managed fields. [`Set`] is a set of
//! fields; the planner reads entries of managed fields with it too.

mod conflict;
mod element;
mod managed;
mod merge;
mod set;
mod typed;

use std::sync::LazyLock;

use soll_schema::{Scalar, Shape, TypeRef};
use soll_yaml::{Map, Str, Value, parse_json, to_json_sorted};

pub use conflict::{Conflict, Conflicts};
pub use element::Element;
pub use managed::{Manager, Managers, Operation};
pub use set::Set;

use merge::{Comparison, compare, merge, remove};
use typed::{Duplicates, field_set, misfits};

/// Who writes, through what, when.
#[derive(Clone, Copy)]
pub struct Write<'a> {
    /// Name of the field manager.
    pub manager: &'a str,
    /// The version that the request names: `apps/v1`.
    pub api_version: &'a str,
    /// The subresource that the request names, or empty.
    pub subresource: &'a str,
    /// The time of the request: RFC 3339 in whole seconds, UTC.
    pub now: &'a str,
    /// The types of the kind's objects.
    pub types: &'a dyn Types,
    /// Fields that this endpoint does not write, with all that lies below: `status` for the main one.
    pub ignored: Option<&'a Set>,
}

impl Write<'_> {
    /// An object of the version of the request as another version has it.
    fn converted(&self, object: &Value, api_version: &str) -> Value {
        self.types.convert(object, self.api_version, api_version)
    }
}

/// The types of a kind's objects at its versions.
pub trait Types {
    /// The type at a version such as `apps/v1`; `None` if it is not served any more. [`TypeRef::ANY`] stands
    /// for kinds without schema.
    fn at(&self, api_version: &str) -> Option<TypeRef<'_>>;

    /// An object of the version `from` as the version `to` has it. Most kinds look the same in all their versions.
    fn convert(&self, object: &Value, from: &str, to: &str) -> Value {
        let _ = (from, to);
        object.clone()
    }
}

/// Builtin kinds.
impl<F: Fn(&str) -> Option<TypeRef<'static>>> Types for F {
    fn at(&self, api_version: &str) -> Option<TypeRef<'_>> {
        self(api_version)
    }
}

/// The outcome of an apply.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The object to store, with its managed fields.
    pub object: Value,
    /// Whether anything but managed fields differs from the live object.
    pub changed: bool,
}

/// Why an apply was refused.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ApplyError {
    /// The request is no valid apply: answer 400.
    #[error("{0}")]
    BadRequest(String),
    /// Other managers own fields: answer 409 with the conflicts as causes.
    #[error("{0}")]
    Conflicts(Conflicts),
    /// An object does not fit its type: answer 500 without a reason, as the API server does.
    #[error("{0}")]
    Typed(String),
}

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Annotations together may not be larger; the last-applied one is given up first.
const MOST_ANNOTATIONS: usize = 256 * 1024;

/// Fields of identity and housekeeping, which nobody owns.
const STRIPPED: [&[&str]; 12] = [
    &["apiVersion"],
    &["kind"],
    &["metadata"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "creationTimestamp"],
    &["metadata", "selfLink"],
    &["metadata", "uid"],
    &["metadata", "clusterName"],
    &["metadata", "generation"],
    &["metadata", "managedFields"],
    &["metadata", "resourceVersion"],
];

/// Merges an applied configuration into the live object; `None` creates.
///
/// The result is to be defaulted, validated and stored; a dry run stops before that. With `force` the
/// manager takes over what others own with other values.
///
/// # Errors
/// [`ApplyError`] says which answer each deserves.
pub fn apply(live: Option<&Value>, config: &Value, force: bool, write: &Write<'_>) -> Result<Applied, ApplyError> {
    let applied = match merge_apply(live, config, force, write) {
        // kubectl may take over what it wrote by client-side apply, if nobody changed it since.
        Err(ApplyError::Conflicts(conflicts)) if write.manager == "kubectl" => {
            let allowed = live.and_then(|live| unchanged_since_last_applied(live, write));
            let Some(allowed) = allowed else { return Err(ApplyError::Conflicts(conflicts)) };
            match conflicts.outside(&allowed) {
                Some(conflicts) => Err(ApplyError::Conflicts(conflicts)),
                None => merge_apply(live, config, true, write),
            }
        }
        other => other,
    };
    let mut applied = applied?;
    if write.manager == "kubectl" {
        refresh_last_applied(&mut applied.object, config);
    }
    Ok(applied)
}

fn merge_apply(live: Option<&Value>, config: &Value, force: bool, write: &Write<'_>) -> Result<Applied, ApplyError> {
    let of = write
        .types
        .at(write.api_version)
        .ok_or_else(|| ApplyError::BadRequest(format!("version {} is not served", write.api_version)))?;
    if config.lookup(&["metadata", "managedFields"]).is_some_and(|fields| !fields.is_null()) {
        return Err(ApplyError::BadRequest("metadata.managedFields must be nil".to_owned()));
    }
    let mut managers = match live {
        Some(live) => Managers::of(live)
            .map_err(|error| ApplyError::Typed(format!("failed to decode managed fields: {error}")))?,
        None => Managers::default(),
    };
    let mut bare = live.cloned().unwrap_or_else(Value::map);
    managed::strip(&mut bare);
    let wrong_live = misfits(&bare, of, Duplicates::Allowed);
    if live.is_some() && managers.is_empty() {
        if !wrong_live.is_empty() {
            let what = "failed to create manager for existing fields: failed to convert new object";
            return Err(typed_error(what, " to smd typed", &bare, &wrong_live));
        }
        capture_existing(&mut managers, &bare, of, write);
    }
    let wrong = misfits(config, of, Duplicates::Refused);
    if !wrong.is_empty() {
        return Err(typed_error("failed to create typed patch object", "", config, &wrong));
    }
    if !wrong_live.is_empty() {
        return Err(typed_error("failed to create typed live object", "", &bare, &wrong_live));
    }
    reconcile(&mut managers, write);

    let mut object = merge(&bare, config, of).unwrap_or_else(Value::map);
    let mut fields = field_set(config, of);
    if let Some(ignored) = write.ignored {
        fields = fields.without(ignored);
    }
    let mut own = Manager::new(write.manager, Operation::Apply, write.api_version, write.subresource, fields);
    let previous = managers.take(&own);
    managers.push(own.clone());
    if let Some(previous) = &previous {
        object = prune(&object, previous, &own, &managers, write);
    }
    settle(&mut managers, &bare, &object, &own, force, write)?;

    let changed = live.is_none() || object != bare;
    managers.take(&own);
    own.set_fields(own.fields().difference(stripped()));
    own.follow(previous.as_ref());
    if changed {
        own.time = Some(write.now.into());
    }
    if !own.fields().is_empty() {
        managers.push(own);
    }
    if !changed {
        object = bare;
    }
    managers.write_to(&mut object);
    Ok(Applied { object, changed })
}

/// Notes in the new object's managed fields what a create, update or patch changed; never fails.
///
/// The new object's own managed fields count, so that clients can migrate them: an empty list resets them,
/// absent or unreadable ones mean the live ones. A write through a subresource cannot change them.
#[must_use]
pub fn track_update(live: Option<&Value>, new: &Value, write: &Write<'_>) -> Value {
    let mut managers = managers_of_update(live, new, write);
    let mut object = new.clone();
    managed::strip(&mut object);
    let is_create = live.is_none_or(|live| live.lookup_str(&["metadata", "uid"]).is_none_or(str::is_empty));
    let Some(of) = write.types.at(write.api_version) else {
        managers.write_to(&mut object);
        return object;
    };
    // What was never tracked stays so until someone applies.
    if managers.is_empty() && !is_create {
        return object;
    }
    let bare = match live {
        Some(live) => {
            let mut bare = live.clone();
            managed::strip(&mut bare);
            bare
        }
        None => zero(of),
    };
    // An object that does not fit its type cannot be tracked; the API server drops what was known.
    if [&bare, &object].iter().all(|object| misfits(object, of, Duplicates::Allowed).is_empty()) {
        note_update(&mut managers, &bare, &object, write.manager, write);
        managers.cap();
        managers.write_to(&mut object);
    }
    object
}

/// Says whether two objects differ in nothing but the times of managed fields: then the old one is kept.
#[must_use]
pub fn same_but_times(a: &Value, b: &Value) -> bool {
    let timeless = |object: &Value| {
        let mut object = object.clone();
        let entries = object.get_mut("metadata").and_then(|metadata| metadata.get_mut("managedFields"));
        for entry in entries.and_then(Value::as_list_mut).into_iter().flatten() {
            if entry.get("time").is_some() {
                entry.make_map().remove("time");
            }
        }
        object
    };
    a == b || timeless(a) == timeless(b)
}

fn managers_of_update(live: Option<&Value>, new: &Value, write: &Write<'_>) -> Managers {
    let of_live = || live.and_then(|live| Managers::of(live).ok()).unwrap_or_default();
    if !write.subresource.is_empty() {
        return of_live();
    }
    let entries = new.lookup(&["metadata", "managedFields"]).and_then(Value::as_list);
    let reset = match entries {
        Some([]) => true,
        Some([one]) => one.as_map().is_some_and(Map::is_empty),
        _ => false,
    };
    if reset {
        return Managers::default();
    }
    match Managers::of(new) {
        Ok(managers) if !managers.is_empty() => managers,
        _ => of_live(),
    }
}

/// Credits a manager with what an update changed.
fn note_update(managers: &mut Managers, before: &Value, after: &Value, name: &str, write: &Write<'_>) {
    reconcile(managers, write);
    // Nobody is this manager, so that everyone loses what changed, the writer's former entry too.
    let nobody = Manager::new("\0", Operation::Update, write.api_version, write.subresource, Set::new());
    let forced = settle(managers, before, after, &nobody, true, write);
    let changed = forced.expect("what is forced has no conflicts").changed.difference(stripped());
    if changed.is_empty() {
        return;
    }
    let mut own = Manager::new(name, Operation::Update, write.api_version, write.subresource, changed);
    if let Some(previous) = managers.take(&own) {
        own.set_fields(own.fields().union(previous.fields()));
    }
    own.time = Some(write.now.into());
    managers.push(own);
}

/// An object that was never tracked: what it has belongs to `before-first-apply`.
fn capture_existing(managers: &mut Managers, live: &Value, of: TypeRef<'_>, write: &Write<'_>) {
    note_update(managers, &zero(of), live, "before-first-apply", write);
}

/// Takes from the other managers what the write changed and removed; refuses if one owns it and `force` is
/// not given. Returns what the write changed.
fn settle(
    managers: &mut Managers,
    before: &Value,
    after: &Value,
    own: &Manager,
    force: bool,
    write: &Write<'_>,
) -> Result<Changes, ApplyError> {
    let changes_at = |version: &str| {
        let of = (write.types).at(version)?;
        let comparison = match version == write.api_version {
            true => compare(before, after, of).0,
            // Managers are asked in the version that they wrote in.
            false => compare(&write.converted(before, version), &write.converted(after, version), of).0,
        };
        Some(Changes::of(comparison.without(write.ignored)))
    };
    let mut versions: Vec<(Str, Option<Changes>)> = vec![(write.api_version.into(), changes_at(write.api_version))];
    for manager in managers.iter() {
        if !versions.iter().any(|(version, _)| *version == manager.api_version) {
            versions.push((manager.api_version.clone(), changes_at(&manager.api_version)));
        }
    }
    let at =
        |version: &Str| versions.iter().find(|(known, _)| known == version).and_then(|(_, changes)| changes.as_ref());
    // Entries at versions that are gone cannot be understood any more.
    managers.list_mut().retain(|manager| manager.is(own) || at(&manager.api_version).is_some());

    // What each manager loses, by its place in the list.
    let mut losses: Vec<(usize, Set, &Set)> = Vec::new();
    for (place, manager) in managers.iter().enumerate().filter(|(_, manager)| !manager.is(own)) {
        let Some(changes) = at(&manager.api_version) else { continue };
        let conflict = manager.fields().intersection(&changes.changed);
        if !conflict.is_empty() || !changes.removed.is_empty() {
            losses.push((place, conflict, &changes.removed));
        }
    }
    if !force && losses.iter().any(|(_, conflict, _)| !conflict.is_empty()) {
        let list = managers.list_mut();
        let conflicts = losses.into_iter().filter(|(_, conflict, _)| !conflict.is_empty());
        let conflicts = conflicts.map(|(place, conflict, _)| (&list[place], conflict)).collect();
        return Err(ApplyError::Conflicts(Conflicts::new(conflicts)));
    }
    for (place, conflict, removed) in losses {
        let manager = &mut managers.list_mut()[place];
        let left = manager.fields().difference(&conflict).difference(removed);
        if left != *manager.fields() {
            manager.set_fields(left);
        }
    }
    managers.list_mut().retain(|manager| manager.is(own) || !manager.fields().is_empty());
    Ok(versions.swap_remove(0).1.unwrap_or_default())
}

/// What a write does at one version.
#[derive(Default)]
struct Changes {
    /// Fields that are new or have other values.
    changed: Set,
    removed: Set,
}

impl Changes {
    fn of(comparison: Comparison) -> Self {
        Self { changed: comparison.modified.union(&comparison.added), removed: comparison.removed }
    }
}

/// Removes what the manager applied before and does not apply now, and nobody else owns.
fn prune(merged: &Value, previous: &Manager, own: &Manager, managers: &Managers, write: &Write<'_>) -> Value {
    // What is still applied, at the same version, is never removed.
    if previous.api_version == own.api_version && previous.fields().difference(own.fields()).is_empty() {
        return merged.clone();
    }
    let first = &previous.api_version;
    let Some(of) = write.types.at(first) else { return merged.clone() };
    let previous_fields = previous.fields().with_named_fields(Some(of));
    let named = |value: &Value, of: TypeRef<'_>| field_set(value, of).with_named_fields(Some(of));
    let merged = write.converted(merged, first);

    let mut pruned = remove(&merged, &previous_fields, of);
    let mut versions: Vec<&Str> = vec![first];
    for manager in managers.iter() {
        if !versions.contains(&&manager.api_version) {
            versions.push(&manager.api_version);
        }
    }
    // What others own comes back, version by version.
    let (mut whole, mut last) = (merged.clone(), first);
    for version in versions {
        let Some(of) = write.types.at(version) else { continue };
        let of_version = managers.iter().filter(|manager| manager.api_version == *version);
        let owned = of_version.fold(Set::new(), |owned, manager| owned.union(manager.fields()));
        if owned.is_empty() {
            continue;
        }
        whole = write.types.convert(&whole, last, version);
        pruned = write.types.convert(&pruned, last, version);
        last = version;
        let kept = named(&pruned, of).union(&owned.with_named_fields(Some(of)));
        pruned = remove(&whole, &named(&whole, of).difference(&kept), of);
    }
    pruned = write.types.convert(&pruned, last, first);
    // What was never this manager's stays, too.
    let gone = named(&merged, of).difference(&named(&pruned, of)).intersection(&previous_fields);
    write.types.convert(&remove(&merged, &gone, of), first, write.api_version)
}

/// Makes sets fit types that have become atomic since. Builtin types never change.
fn reconcile(managers: &mut Managers, write: &Write<'_>) {
    for manager in managers.list_mut() {
        let Some(of) = write.types.at(&manager.api_version).filter(|of| of.definition().is_none()) else { continue };
        let reconciled = manager.fields().reconciled(of);
        if reconciled != *manager.fields() {
            manager.set_fields(reconciled);
        }
    }
}

/// Adds the fields to an object of a builtin type that Go writes even where nothing was said.
pub fn write_zeros(object: &mut Value, of: TypeRef<'_>) {
    fn add(object: &mut Map, zeros: &Map) {
        for zero in zeros.iter() {
            match (object.get_mut(&zero.key), zero.value.as_map()) {
                (None, _) => drop(object.insert(zero.key.clone(), zero.value.clone())),
                (Some(held), Some(zeros)) => held.as_map_mut().into_iter().for_each(|held| add(held, zeros)),
                (Some(_), None) => {}
            }
        }
    }
    add(object.make_map(), zero(of).make_map());
}

/// An object of a builtin type with nothing set, as Go writes it: required fields and value structs are there.
fn zero(of: TypeRef<'_>) -> Value {
    let mut map = Map::new();
    if of.definition().is_some() {
        for field in of.fields().filter(|field| field.emitted || field.required) {
            let value = match field.of.shape() {
                // A struct that is required and that Go does not write is behind a pointer.
                Shape::Struct if !field.emitted => continue,
                Shape::Struct => zero(field.of),
                Shape::Map | Shape::List | Shape::Any => Value::null(),
                Shape::Scalar(Scalar::String | Scalar::Bytes | Scalar::Quantity) => Value::str(""),
                Shape::Scalar(Scalar::Bool) => Value::from(false),
                Shape::Scalar(Scalar::Time | Scalar::MicroTime) => Value::null(),
                Shape::Scalar(Scalar::Int32 | Scalar::Int64 | Scalar::IntOrString) => Value::from(0),
                Shape::Scalar(Scalar::Double) => Value::from(0.0),
            };
            map.insert(field.name, value);
        }
    }
    map.into()
}

fn stripped() -> &'static Set {
    static SET: LazyLock<Set> = LazyLock::new(|| Set::of_keys(STRIPPED));
    &SET
}

fn typed_error(what: &str, to: &str, object: &Value, wrong: &[String]) -> ApplyError {
    let field = |path: &[&str]| object.lookup_str(path).unwrap_or_default().to_owned();
    let api_version = field(&["apiVersion"]);
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", &api_version));
    let gvk = format!("{group}/{version}, Kind={}", field(&["kind"]));
    let list = match wrong {
        [one] => one.clone(),
        many => format!("errors:\n  {}", many.join("\n  ")),
    };
    let (namespace, name) = (field(&["metadata", "namespace"]), field(&["metadata", "name"]));
    ApplyError::Typed(format!("{what} ({namespace}/{name}; {gvk}){to}: {list}"))
}

/// The fields that client-side apply set and that nobody has changed since.
fn unchanged_since_last_applied(live: &Value, write: &Write<'_>) -> Option<Set> {
    let text = live.lookup_str(&["metadata", "annotations", LAST_APPLIED]).filter(|text| !text.is_empty())?;
    let last = parse_json(text.as_bytes()).ok()?;
    if last.lookup_str(&["apiVersion"]) != Some(write.api_version) {
        return None;
    }
    let of = write.types.at(write.api_version)?;
    if !misfits(&last, of, Duplicates::Refused).is_empty() {
        return None;
    }
    let Comparison { removed, modified, added } = compare(&last, live, of).0;
    Some(field_set(&last, of).difference(&modified).difference(&added).difference(&removed))
}

/// Keeps the annotation of client-side apply in step, so that both ways can be mixed.
fn refresh_last_applied(object: &mut Value, config: &Value) {
    if object.lookup_str(&["metadata", "annotations", LAST_APPLIED]).is_none_or(str::is_empty) {
        return;
    }
    let mut config = config.clone();
    if config.lookup(&["metadata", "annotations", LAST_APPLIED]).is_some()
        && let Some(annotations) = config.get_mut("metadata").and_then(|metadata| metadata.get_mut("annotations"))
    {
        annotations.make_map().remove(LAST_APPLIED);
    }
    let text = format!("{}\n", to_json_sorted(&config));
    let Some(annotations) = object.get_mut("metadata").and_then(|metadata| metadata.get_mut("annotations")) else {
        return;
    };
    let annotations = annotations.make_map();
    let size = |entry: &soll_yaml::Entry| entry.key.len() + entry.value.as_str().map_or(0, str::len);
    let others: usize = annotations.iter().filter(|entry| entry.key != LAST_APPLIED).map(size).sum();
    if others + LAST_APPLIED.len() + text.len() > MOST_ANNOTATIONS {
        annotations.remove(LAST_APPLIED);
    } else {
        annotations.insert(LAST_APPLIED, Value::from(text));
    }
}
