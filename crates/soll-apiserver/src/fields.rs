//! Who owns which field: `metadata.managedFields` of every write.

use std::sync::{Arc, LazyLock};

use soll_patch::structured::{self, Set, Types, Write};
use soll_schema::{Schemas, TypeRef};
use soll_yaml::{Step, Value};

use crate::kinds;
use crate::meta;
use crate::resources::{Resource, Subresource};
use crate::rest::Context;

/// The types of a resource's objects at all its versions.
pub(crate) struct Kind {
    group: String,
    kind: String,
    /// The rows of all versions: of a custom resource, and of a builtin one whose versions differ.
    rows: Vec<Arc<Resource>>,
}

impl Kind {
    pub(crate) fn of(ctx: &Context<'_>) -> Self {
        let resource = &ctx.target.resource;
        let table = ctx.api.registry.table();
        // Events of one group are none of the other to those who manage them.
        let differs = kinds::autoscaler::is_of(resource);
        let rows = match resource.custom.is_some() || differs {
            true => table.iter().filter(|row| row.drawer == resource.drawer).cloned().collect(),
            false => Vec::new(),
        };
        Self { group: resource.group.to_string(), kind: resource.kind.to_string(), rows }
    }

    fn row(&self, api_version: &str) -> Option<&Arc<Resource>> {
        let (group, version) = parts(api_version);
        self.rows.iter().find(|row| row.group == group && row.version == version)
    }
}

impl Types for Kind {
    fn at(&self, api_version: &str) -> Option<TypeRef<'_>> {
        let (group, version) = parts(api_version);
        if self.rows.is_empty() {
            return (group == self.group).then(|| Schemas::builtin().type_of(group, version, &self.kind))?;
        }
        match &self.row(api_version)?.custom {
            Some(custom) => Some(custom.schema.root()),
            None => Schemas::builtin().type_of(group, version, &self.kind),
        }
    }

    fn convert(&self, object: &Value, from: &str, to: &str) -> Value {
        let mut object = object.clone();
        if from == to {
            return object;
        }
        // Who has nothing yet does not say what it is.
        object.make_map().insert("apiVersion", Value::str(from));
        let Some(row) = self.row(to) else { return object };
        let mut converted = row.present(&object);
        if row.custom.is_none() {
            write_zeros(row, &mut converted);
        }
        converted
    }
}

/// An object on its way from version to version has all fields that Go writes, but for lists that are null, which nobody owns.
pub(crate) fn write_zeros(resource: &Resource, object: &mut Value) {
    if let Some(of) = Schemas::builtin().type_of(&resource.group, &resource.version, &resource.kind) {
        structured::write_zeros(object, of);
        kinds::leave_out_empty_lists(resource, object);
    }
}

fn parts(api_version: &str) -> (&str, &str) {
    api_version.rsplit_once('/').unwrap_or(("", api_version))
}

/// Fields that an endpoint does not write.
fn ignored(resource: &Resource, subresource: Option<Subresource>) -> Option<&'static Set> {
    static STATUS: LazyLock<Set> = LazyLock::new(|| Set::of_keys([&["status"][..]]));
    static SPEC: LazyLock<Set> = LazyLock::new(|| Set::of_keys([&["spec"][..]]));
    static SPEC_AND_LABELS: LazyLock<Set> =
        LazyLock::new(|| Set::of_keys([&["spec"][..], &["metadata", "labels"][..]]));
    static SPEC_AND_METADATA: LazyLock<Set> = LazyLock::new(|| Set::of_keys([&["spec"][..], &["metadata"][..]]));
    static ALL: LazyLock<Set> = LazyLock::new(|| Set::of_keys([&["spec"][..], &["status"][..]]));
    static SPEC_AND_CONDITIONS: LazyLock<Set> =
        LazyLock::new(|| Set::of_keys([&["spec"][..], &["status", "conditions"][..]]));
    static SPEC_AND_CERTIFICATE: LazyLock<Set> =
        LazyLock::new(|| Set::of_keys([&["spec"][..], &["status", "certificate"][..]]));
    let is_request = resource.is("certificates.k8s.io", "certificatesigningrequests");
    match subresource {
        None if is_request => Some(&ALL),
        Some(Subresource::Status) if is_request => Some(&SPEC_AND_CONDITIONS),
        Some(Subresource::Approval) if is_request => Some(&SPEC_AND_CERTIFICATE),
        None if resource.has(Subresource::Status) => Some(&STATUS),
        Some(Subresource::Status) if resource.custom.is_some() => Some(&SPEC_AND_METADATA),
        Some(Subresource::Status) if resource.is("apps", "deployments") => Some(&SPEC_AND_LABELS),
        Some(Subresource::Status) => Some(&SPEC),
        _ => None,
    }
}

/// Calls with the facts of a write.
pub(crate) fn with_write<T>(ctx: &Context<'_>, run: impl FnOnce(&Write<'_>) -> T) -> T {
    let (resource, subresource) = (&ctx.target.resource, ctx.target.subresource);
    let kind = Kind::of(ctx);
    run(&Write {
        manager: ctx.field_manager(),
        api_version: &resource.api_version(),
        // Kubernetes notes who finalizes as who updates.
        subresource: subresource.filter(|below| *below != Subresource::Finalize).map_or("", Subresource::name),
        now: &meta::time(ctx.now),
        types: &kind,
        ignored: ignored(resource, subresource),
    })
}

/// The object with the note of who changed what.
pub(crate) fn track(ctx: &Context<'_>, old: Option<&Value>, object: &Value) -> Value {
    // In a list that is compared as a whole, an empty list is not none.
    let mut sent = object.clone();
    let emptied = ctx.emptied(object).into_iter().filter(|emptied| emptied.in_whole_list);
    let has_emptied = emptied.filter(|emptied| put(&mut sent, &emptied.path.0, emptied.value.clone())).count() > 0;
    let mut tracked = with_write(ctx, |write| structured::track_update(old, &sent, write));
    if has_emptied {
        let mut stored = object.clone();
        meta::copy_field(&mut stored, &tracked, "managedFields");
        tracked = stored;
    }
    if ctx.target.subresource == Some(Subresource::Scale) {
        forget_times_of_scaling(&mut tracked);
    }
    tracked
}

/// An object that the server itself made or changed, with the note that it was `manager`.
pub(crate) fn by_server(manager: &str, subresource: &str, old: Option<&Value>, object: &Value) -> Value {
    as_server(manager, subresource, object, |write| structured::track_update(old, object, write))
}

/// An object with what the server itself applies to it.
pub(crate) fn applied_by_server(manager: &str, subresource: &str, object: &Value, config: &Value) -> Value {
    let applied = as_server(manager, subresource, object, |write| structured::apply(Some(object), config, true, write));
    applied.expect("what the server applies is valid, and has no conflicts by force").object
}

/// Calls with the facts of a write by the server itself.
fn as_server<T>(manager: &str, subresource: &str, object: &Value, run: impl FnOnce(&Write<'_>) -> T) -> T {
    let text = |field: &str| object.lookup_str(&[field]).unwrap_or_default();
    let kind = text("kind");
    run(&Write {
        manager,
        api_version: text("apiVersion"),
        subresource,
        now: &meta::time(jiff::Timestamp::now()),
        types: &|api_version: &str| Some(Schemas::builtin().of(api_version, kind)?.type_ref()),
        ignored: None,
    })
}

/// The managed fields of what is answered and not stored: all that was sent belongs to the sender. `nothing` is such an object
/// before anything is written to it, if it is not as empty as its type allows.
pub(crate) fn of_sent(
    ctx: &Context<'_>,
    (api_version, kind): (&str, &str),
    nothing: Option<&Value>,
    sent: &Value,
) -> Option<Value> {
    let write = Write {
        manager: ctx.field_manager(),
        api_version,
        subresource: ctx.target.subresource.map_or("", Subresource::name),
        now: &meta::time(ctx.now),
        types: &|api_version: &str| Some(Schemas::builtin().of(api_version, kind)?.type_ref()),
        ignored: None,
    };
    structured::track_update(nothing, sent, &write).lookup(&["metadata", "managedFields"]).cloned()
}

/// Puts a value where the path ends, if there is something that it can stand in.
fn put(object: &mut Value, path: &[Step], value: Value) -> bool {
    let Some((last, path)) = path.split_last() else { return false };
    let mut place = object;
    for step in path {
        let next = match step {
            Step::Key(key) => place.get_mut(key),
            Step::Index(index) => place.as_list_mut().and_then(|list| list.get_mut(*index)),
        };
        let Some(next) = next else { return false };
        place = next;
    }
    match (last, place.as_map_mut()) {
        (Step::Key(key), Some(map)) => {
            map.insert(key.clone(), value);
            true
        }
        _ => false,
    }
}

/// Entries that come through `scale` have no time, as in Kubernetes.
pub(crate) fn forget_times_of_scaling(object: &mut Value) {
    let entries = meta::metadata_mut(object).get_mut("managedFields").and_then(Value::as_list_mut);
    for entry in entries.into_iter().flatten() {
        if entry.lookup_str(&["subresource"]) == Some("scale") {
            entry.make_map().remove("time");
        }
    }
}
