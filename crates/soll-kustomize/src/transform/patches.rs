//! `patches`, `patchesStrategicMerge`, `patchesJson6902`.

use soll_patch::{Dialect, PatchError, Trace, json_patch, strategic_merge};
use soll_schema::Schemas;
use soll_yaml::{ParseOptions, Value};

use crate::accumulate::Builder;
use crate::kustomization::{Kustomization, Patch, Text};
use crate::problem::Problem;
use crate::resource::{Gvk, Id, Resource};
use crate::resources::Resources;

/// A patch as its text says.
enum Parsed {
    /// Strategic merge patches.
    Strategic(Vec<Value>),
    /// A list of operations.
    Json(Value),
}

/// Runs one entry of `patches`.
pub(crate) fn run(resources: &mut Resources, patch: &Patch, ks: &Kustomization, builder: &Builder<'_>) {
    match parsed(patch, ks, builder) {
        Some(Parsed::Strategic(patches)) => strategic(resources, patch, &patches, builder),
        Some(Parsed::Json(operations)) => operate(resources, patch, &operations, builder),
        None => {}
    }
}

/// Runs `patchesStrategicMerge`: files, or the patches themselves.
pub(crate) fn strategic_files(resources: &mut Resources, texts: &[Text], ks: &Kustomization, builder: &Builder<'_>) {
    for text in texts {
        let is_inline = text.as_str().contains('\n') || text.as_str().contains(": ");
        let (path, inline) = if is_inline { (None, Some(text.clone())) } else { (Some(text.clone()), None) };
        let patch =
            Patch { at: text.at, path, inline, target: None, allow_name_change: false, allow_kind_change: false };
        match parsed(&patch, ks, builder) {
            Some(Parsed::Strategic(patches)) => strategic(resources, &patch, &patches, builder),
            Some(Parsed::Json(_)) => {
                let message =
                    "patchesStrategicMerge holds strategic merge patches; this is a JSON patch, use `patches`";
                builder.problems.add(text.at, message);
            }
            None => {}
        }
    }
}

/// Runs one entry of `patchesJson6902`.
pub(crate) fn json(resources: &mut Resources, patch: &Patch, ks: &Kustomization, builder: &Builder<'_>) {
    match parsed(patch, ks, builder) {
        Some(Parsed::Json(operations)) => operate(resources, patch, &operations, builder),
        Some(Parsed::Strategic(_)) => {
            let message = "patchesJson6902 holds lists of operations; this is a strategic merge patch, use `patches`";
            builder.problems.add(patch.at, message);
        }
        None => {}
    }
}

fn parsed(patch: &Patch, ks: &Kustomization, builder: &Builder<'_>) -> Option<Parsed> {
    let content;
    let (text, source, block) = match (&patch.path, &patch.inline) {
        (Some(path), _) => {
            let (full, bytes) = builder.file(path, ks)?;
            content = bytes;
            let Ok(text) = std::str::from_utf8(&content) else {
                builder.problems.add(path.at, format!("`{full}` is no UTF-8 text"));
                return None;
            };
            (text, builder.sources.add(full.as_str()), None)
        }
        (None, Some(inline)) => (inline.as_str(), inline.at.source(), Some(builder.block(inline.at))),
        (None, None) => return None,
    };
    let parse = |options: &ParseOptions| {
        let mut values = match block {
            None => builder.parse(text, source, options)?,
            Some(block) => match soll_yaml::parse_yaml(text, source, options) {
                Ok(values) => values,
                Err(error) => {
                    builder.problems.add(block.place(error.at), error.message);
                    return None;
                }
            },
        };
        if let Some(block) = block {
            values.iter_mut().for_each(|value| block.relocate(value));
        }
        values.retain(|value| !value.is_null());
        Some(values)
    };
    let values = parse(&ParseOptions::go_v3())?;
    match values.first().map(Value::as_list) {
        // Operations are read as kubectl reads them, where `yes` is true.
        Some(Some(_)) => Some(Parsed::Json(parse(&ParseOptions::go_v2())?.into_iter().next()?)),
        Some(None) => Some(Parsed::Strategic(values)),
        None => {
            builder.problems.add(patch.at, "the patch is empty");
            None
        }
    }
}

fn strategic(resources: &mut Resources, patch: &Patch, patches: &[Value], builder: &Builder<'_>) {
    if let Some(target) = &patch.target {
        let [value] = patches else {
            let message = "multiple strategic merge patches in one `patches` entry cannot have a `target`; split them";
            return builder.problems.add(patch.at, message);
        };
        let selected: Vec<usize> = match target.plain_name() {
            Some(name) => resources.named(name).to_vec(),
            None => (0..resources.len()).collect(),
        };
        for position in selected {
            if target.selects(resources.get(position)) {
                merge(resources, position, patch, value, builder);
            }
        }
        return remove_deleted(resources);
    }
    for value in patches {
        let gvk = Gvk::of(value);
        let part = |path: &[&str]| value.lookup_str(path).unwrap_or_default().into();
        let id = Id { gvk, name: part(&["metadata", "name"]), namespace: part(&["metadata", "namespace"]) };
        match resources.with_any_id(&id).as_slice() {
            [position] => merge(resources, *position, patch, value, builder),
            [] => {
                let at = value.at.or(patch.at);
                builder.problems.add(at, format!("no resource matches strategic merge patch {}", described(&id)));
            }
            _ => {
                let message = format!("multiple matches for strategic merge patch {}", described(&id));
                builder.problems.add(value.at.or(patch.at), message);
            }
        }
    }
    remove_deleted(resources);
}

fn described(id: &Id) -> String {
    let group = if id.gvk.group.is_empty() { String::new() } else { format!(".{}", id.gvk.group) };
    let namespace = if id.namespace.is_empty() { String::new() } else { format!(" in `{}`", id.namespace) };
    format!("\"{}.{}{group} `{}`{namespace}\"", id.gvk.kind, id.gvk.version, id.name)
}

/// Merges a patch into one object; what the patch says about its identity counts only where allowed.
fn merge(resources: &mut Resources, position: usize, patch: &Patch, value: &Value, builder: &Builder<'_>) {
    let renames = patch.allow_name_change || patch.allow_kind_change;
    let resource = if renames { resources.get_mut(position) } else { resources.content_mut(position) };
    if renames {
        resource.remember_id();
    }
    let gvk = resource.gvk();
    let of = Schemas::builtin().merge_type(&gvk.group, &gvk.version, &gvk.kind);
    let trace = Some(Trace { sources: builder.sources, by: "patches" });
    let value = without_identity(value, patch);
    match strategic_merge(&resource.value, &value, of, Dialect::Kustomize, trace) {
        Ok(Some(merged)) => resource.value = merged,
        Ok(None) => resource.value = Value::null(),
        Err(error) => complain(&error, patch, resource, builder),
    }
}

fn without_identity(value: &Value, patch: &Patch) -> Value {
    let mut value = value.clone();
    let map = value.make_map();
    map.remove("apiVersion");
    if !patch.allow_kind_change {
        map.remove("kind");
    }
    if let Some(metadata) = map.get_mut("metadata").and_then(Value::as_map_mut) {
        metadata.remove("namespace");
        if !patch.allow_name_change {
            metadata.remove("name");
        }
        if metadata.is_empty() {
            map.remove("metadata");
        }
    }
    value
}

/// Patches with `$patch: delete` leave nothing behind.
fn remove_deleted(resources: &mut Resources) {
    if resources.iter().any(|resource| resource.value.is_null()) {
        resources.retain(|resource| !resource.value.is_null());
    }
}

fn operate(resources: &mut Resources, patch: &Patch, operations: &Value, builder: &Builder<'_>) {
    let Some(target) = &patch.target else {
        return builder.problems.add(patch.at, "must specify a target for JSON patch");
    };
    let trace = Some(Trace { sources: builder.sources, by: "patches" });
    let mut is_found = false;
    for resource in resources.iter_mut().filter(|resource| target.selects(resource)) {
        is_found = true;
        resource.remember_id();
        match json_patch(&resource.value, operations, trace) {
            Ok(patched) => resource.value = patched,
            Err(error) => complain(&error, patch, resource, builder),
        }
    }
    if !is_found {
        let message = format!("the patch's target {} matches no object", target.text());
        builder.warnings.borrow_mut().push(Problem::new(patch.at, message));
    }
}

fn complain(error: &PatchError, patch: &Patch, resource: &Resource, builder: &Builder<'_>) {
    builder.problems.push(Problem::new(error.at.or(patch.at), error.message.clone()).of(&resource.id()));
}
