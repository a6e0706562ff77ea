//! `patches`, `patchesStrategicMerge`, `patchesJson6902`.

use soll_patch::{Dialect, PatchError, Trace, json_patch, strategic_merge};
use soll_yaml::{ParseOptions, Value};

use crate::accumulate::Builder;
use crate::kustomization::{Kustomization, Patch, Text};
use crate::problem::Problem;
use crate::resource::{Gvk, Id, Resource};
use crate::resources::Resources;
use crate::selector::Selector;
use crate::written::{Unquoted, after_json};

/// A patch as its text says.
enum Parsed {
    /// Strategic merge patches.
    Strategic(Vec<Value>),
    /// A list of operations.
    Json(Value),
}

/// Runs one entry of `patches`.
pub(crate) fn run(resources: &mut Resources, patch: &Patch, ks: &Kustomization, builder: &Builder<'_>) {
    // Trimmed here and nowhere else, as kustomize does it: a block at the end loses its line break.
    let trimmed = |text: &Text| Text { text: text.as_str().trim_end().into(), at: text.at };
    let patch = &Patch { inline: patch.inline.as_ref().map(trimmed), ..patch.clone() };
    match parsed(patch, ks, builder) {
        Some(Parsed::Strategic(patches)) => strategic(resources, patch, &patches, builder),
        Some(Parsed::Json(operations)) => operate(resources, patch, &operations, Notes::Taken, builder),
        None => {}
    }
}

/// Runs `patchesStrategicMerge`: files, or the patches themselves.
pub(crate) fn strategic_files(resources: &mut Resources, texts: &[Text], ks: &Kustomization, builder: &Builder<'_>) {
    for text in texts {
        let is_inline = text.as_str().contains('\n') || text.as_str().contains(": ") || text.as_str().starts_with('{');
        let (path, inline) = if is_inline { (None, Some(text.clone())) } else { (Some(text.clone()), None) };
        let patch =
            Patch { at: text.at, path, inline, target: None, allow_name_change: false, allow_kind_change: false };
        match parsed(&patch, ks, builder) {
            Some(Parsed::Strategic(patches)) => {
                for value in &patches {
                    named(resources, &patch, value, Way::OverAll, builder);
                }
                remove_deleted(resources);
                builder.refuse_new_twins(resources);
            }
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
    if !patch.target.as_ref().is_some_and(Selector::has_name) {
        return builder.problems.add(patch.at, "must specify the target name");
    }
    match parsed(patch, ks, builder) {
        Some(Parsed::Json(operations)) => operate(resources, patch, &operations, Notes::Kept, builder),
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
                builder.problems.add(path.at, format!("`{}` is no UTF-8 text", builder.name(&full)));
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
                Ok(values) => {
                    values.iter().for_each(|value| builder.written.note(value, text, block));
                    values
                }
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
        Some(None) => Some(Parsed::Strategic(builder.opened(values).collect())),
        None => {
            builder.warnings.borrow_mut().push(Problem::new(patch.at, "the patch is empty"));
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
                merge(resources, position, patch, value, Way::OverAll, builder);
            }
        }
        remove_deleted(resources);
        // Kustomize puts all objects together anew here.
        return builder.refuse_new_twins(resources);
    }
    for value in patches {
        named(resources, patch, value, Way::ToOne, builder);
    }
    remove_deleted(resources);
}

/// Which way a patch takes to its objects.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// To the one object that it names.
    ToOne,
    /// Over all objects, changing those that are meant. On this way kustomize writes the labels and annotations
    /// of the patch anew, as texts: `tier: null` sets the text `null` and removes nothing.
    OverAll,
}

/// Merges a patch into the one object that it names.
fn named(resources: &mut Resources, patch: &Patch, value: &Value, way: Way, builder: &Builder<'_>) {
    let id = Id::of(value);
    match resources.with_any_id(&id).as_slice() {
        [position] => merge(resources, *position, patch, value, way, builder),
        // Of a build with a hole the target may be what is missing.
        [] if !builder.problems.is_empty() => {}
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

fn described(id: &Id) -> String {
    let group = if id.gvk.group.is_empty() { String::new() } else { format!(".{}", id.gvk.group) };
    let namespace = if id.namespace.is_empty() { String::new() } else { format!(" in `{}`", id.namespace) };
    format!("\"{}.{}{group} `{}`{namespace}\"", id.gvk.kind, id.gvk.version, id.name)
}

/// Merges a patch into one object; what the patch says about its identity counts only where allowed.
fn merge(resources: &mut Resources, position: usize, patch: &Patch, value: &Value, way: Way, builder: &Builder<'_>) {
    let renames = patch.allow_name_change || patch.allow_kind_change;
    let resource = if renames { resources.get_mut(position) } else { resources.content_mut(position) };
    if renames {
        resource.remember_id();
    }
    let gvk = resource.gvk().clone();
    let of_patch = match way {
        Way::ToOne => Gvk::of(value),
        // Kustomize gives the patch the group and version of the object on this way.
        Way::OverAll => Gvk { kind: Gvk::of(value).kind, ..gvk.clone() },
    };
    let of = builder.merge_types.of(&gvk).or_else(|| builder.merge_types.of(&of_patch));
    let unquoted = Unquoted(&builder.written);
    let written: &dyn soll_patch::Written = if resource.is_unquoted { &unquoted } else { &builder.written };
    let trace = Some(Trace { sources: builder.sources, by: "patches", written: Some(written) });
    let mut source = Resource::new(value.clone());
    if renames {
        // Kustomize notes what is allowed in the annotations of the patch, and writes them anew with it.
        source.write_metadata_as_text("annotations", &|value| builder.written.text(value));
    }
    if way == Way::OverAll {
        for field in ["labels", "annotations"] {
            if let Some(pairs) = source.value().lookup(&["metadata", field]) {
                builder.written.note_anew(pairs);
            }
            source.write_metadata_as_text(field, &|value| builder.written.text(value));
        }
    }
    let value = without_identity(source.value(), patch);
    let before = resource.before_change();
    let has_version = !gvk.version.is_empty();
    match strategic_merge(resource.value(), &value, of, Dialect::Kustomize, trace) {
        Ok(Some(merged)) => {
            *resource.value_mut() = merged;
            resource.settle(before.as_ref());
            if removes_annotations(&value) {
                resource.forget_notes();
            }
            if way == Way::OverAll && !has_version {
                // What prints as null in a block would be nothing at all in braces.
                let none =
                    if builder.written.is_in_braces(resource.value().at) { Value::str("") } else { Value::null() };
                resource.value_mut().make_map().insert("apiVersion", none);
            }
        }
        Ok(None) => *resource.value_mut() = Value::null(),
        Err(error) => complain(&error, patch, resource, builder),
    }
}

/// Whether a patch takes away the annotations as a whole, and with them the notes that kustomize keeps there.
fn removes_annotations(patch: &Value) -> bool {
    let removes =
        |value: &Value| value.is_null() || matches!(value.lookup_str(&["$patch"]), Some("delete" | "replace"));
    patch.get("metadata").is_some_and(|metadata| removes(metadata) || metadata.get("annotations").is_some_and(removes))
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
    if resources.iter().any(|resource| resource.value().is_null()) {
        resources.retain_mut(|resource| !resource.value().is_null());
    }
}

/// Whether what an object was called is noted before a JSON patch changes it: `patchesJson6902` does not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Notes {
    Taken,
    Kept,
}

fn operate(resources: &mut Resources, patch: &Patch, operations: &Value, notes: Notes, builder: &Builder<'_>) {
    let Some(target) = &patch.target else {
        return builder.problems.add(patch.at, "must specify a target for JSON patch");
    };
    let trace = Some(Trace { sources: builder.sources, by: "patches", written: Some(&builder.written) });
    let mut is_found = false;
    for resource in resources.iter_mut().filter(|resource| target.selects(resource)) {
        is_found = true;
        if notes == Notes::Taken {
            resource.remember_id();
        }
        // Kustomize keeps its notes in the annotations, so these are there to be patched.
        if resource.has_notes() {
            resource.forget_null_annotations();
            let metadata = resource.value_mut().make_map().get_or_insert_with("metadata", Value::map);
            metadata.make_map().get_or_insert_with("annotations", Value::map);
        }
        match json_patch(resource.value(), operations, trace) {
            Ok(patched) => {
                *resource.value_mut() = patched;
                resource.shared.forget();
                resource.is_unquoted = true;
                resource.untyped.clear();
                // It has gone through JSON, which knows one way to write a number.
                resource.write_annotations_as_text(&|value| after_json(value).into());
                if replaces_annotations(operations) {
                    resource.forget_provenance();
                }
                if resource.name().is_empty() {
                    let message = "the patch leaves the object without `metadata.name`";
                    builder.problems.push(Problem::new(patch.at, message).of(&resource.first_id()));
                }
            }
            Err(error) => complain(&error, patch, resource, builder),
        }
    }
    if !is_found {
        let message = format!("the patch's target {} matches no object", target.text());
        builder.warnings.borrow_mut().push(Problem::new(patch.at, message));
    }
}

/// Whether operations write the annotations as a whole, and with them what kustomize has noted of the object's origin.
/// Its other notes it saves from JSON patches.
fn replaces_annotations(operations: &Value) -> bool {
    const ANNOTATIONS: [&str; 3] = ["", "/metadata", "/metadata/annotations"];
    operations.as_list().unwrap_or_default().iter().any(|operation| {
        let names = |field: &str| operation.lookup_str(&[field]).is_some_and(|path| ANNOTATIONS.contains(&path));
        match operation.lookup_str(&["op"]) {
            Some("test") => false,
            Some("move") => names("from") || names("path"),
            _ => names("path"),
        }
    })
}

fn complain(error: &PatchError, patch: &Patch, resource: &Resource, builder: &Builder<'_>) {
    builder.problems.push(Problem::new(error.at.or(patch.at), error.message.clone()).of(resource.id()));
}
