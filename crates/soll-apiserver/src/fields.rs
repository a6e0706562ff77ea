//! Who owns which field: `metadata.managedFields` of every write.

use std::sync::{Arc, LazyLock};

use soll_patch::structured::{self, Set, Types, Write};
use soll_schema::{Schemas, TypeRef};
use soll_yaml::Value;

use crate::meta;
use crate::resources::{Resource, Subresource};
use crate::rest::Context;

/// The types of a resource's objects at all its versions.
pub(crate) struct Kind {
    group: String,
    kind: String,
    /// The served versions of a custom resource; none for builtin kinds.
    custom: Vec<Arc<Resource>>,
}

impl Kind {
    pub(crate) fn of(ctx: &Context<'_>) -> Self {
        let resource = &ctx.target.resource;
        let table = ctx.api.registry.table();
        let custom = match resource.custom {
            Some(_) => table.iter().filter(|row| row.is(&resource.group, &resource.plural)).cloned().collect(),
            None => Vec::new(),
        };
        Self { group: resource.group.to_string(), kind: resource.kind.to_string(), custom }
    }
}

impl Types for Kind {
    fn at(&self, api_version: &str) -> Option<TypeRef<'_>> {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        if self.custom.is_empty() {
            return (group == self.group).then(|| Schemas::builtin().type_of(group, version, &self.kind))?;
        }
        let row = self.custom.iter().find(|row| row.group == group && row.version == version)?;
        Some(row.custom.as_ref()?.schema.root())
    }
}

/// Fields that an endpoint does not write.
fn ignored(resource: &Resource, subresource: Option<Subresource>) -> Option<&'static Set> {
    static STATUS: LazyLock<Set> = LazyLock::new(|| Set::of_keys([&["status"][..]]));
    static SPEC: LazyLock<Set> = LazyLock::new(|| Set::of_keys([&["spec"][..]]));
    static SPEC_AND_LABELS: LazyLock<Set> =
        LazyLock::new(|| Set::of_keys([&["spec"][..], &["metadata", "labels"][..]]));
    static SPEC_AND_METADATA: LazyLock<Set> = LazyLock::new(|| Set::of_keys([&["spec"][..], &["metadata"][..]]));
    match subresource {
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
    let mut tracked = with_write(ctx, |write| structured::track_update(old, object, write));
    if ctx.target.subresource == Some(Subresource::Scale) {
        forget_times_of_scaling(&mut tracked);
    }
    tracked
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
