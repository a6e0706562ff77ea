//! The build as Flux's kustomize-controller calls it: a kustomization is made where none is, and the
//! fields of the `Kustomization` object change the root's.

use soll_api::{CommonMetadata, KustomizationSpec, Object};
use soll_tree::{EntryKind, FileTree, TreePath};
use soll_yaml::{At, Entry, Map, Value};

use crate::accumulate::Builder;
use crate::kustomization::{FILE_NAMES, Image, Kustomization, Patch, Text};
use crate::selector::Selector;
use crate::{Build, BuildErrors, Options, Root, build_with};

/// The fields of a `Kustomization` that reach the build.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    target_namespace: Option<String>,
    name_prefix: Option<String>,
    name_suffix: Option<String>,
    patches: Vec<soll_api::Patch>,
    images: Vec<soll_api::Image>,
    components: Vec<String>,
    ignore_missing_components: bool,
    build_metadata: Vec<String>,
}

impl Overrides {
    /// What a spec says.
    #[must_use]
    pub fn of(spec: &KustomizationSpec) -> Self {
        Self {
            target_namespace: spec.target_namespace.clone(),
            name_prefix: spec.name_prefix.clone(),
            name_suffix: spec.name_suffix.clone(),
            patches: spec.patches.clone(),
            images: spec.images.clone(),
            components: spec.components.clone(),
            ignore_missing_components: spec.ignore_missing_components,
            build_metadata: spec.build_metadata.clone(),
        }
    }
}

/// Builds a directory as Flux does. A directory without kustomization is built from the manifests below
/// it; one that gives no objects is fine.
///
/// # Errors
/// Every problem of the build, each with its place.
pub fn build(
    tree: &dyn FileTree,
    root: &TreePath,
    overrides: &Overrides,
    options: &Options,
) -> Result<Build, BuildErrors> {
    let generated = if has_kustomization(tree, root) { None } else { Some(generate(tree, root)) };
    let mutate = |ks: &mut Kustomization, builder: &Builder<'_>| apply(overrides, ks, builder);
    build_with(tree, root, options, Some(Root { generated, mutate: &mutate }))?.into_objects()
}

/// Adds labels and annotations to all objects, over what they have.
pub fn common_metadata(objects: &mut [Object], common: &CommonMetadata) {
    for object in objects {
        for (field, pairs) in [("labels", &common.labels), ("annotations", &common.annotations)] {
            if pairs.is_empty() {
                continue;
            }
            let metadata = object.value_mut().make_map().get_or_insert_with("metadata", Value::map);
            let map = metadata.make_map().get_or_insert_with(field, Value::map).make_map();
            for (key, value) in pairs {
                let key_at = map.entry(key).map_or(At::NONE, |entry| entry.key_at);
                let value = Value::str(value).at(key_at);
                map.insert_entry(Entry { key: key.as_str().into(), key_at, value });
            }
        }
    }
}

fn has_kustomization(tree: &dyn FileTree, directory: &TreePath) -> bool {
    FILE_NAMES.iter().any(|name| {
        let path = directory.join(name).expect("the names lead nowhere else");
        matches!(tree.kind(&path), Ok(Some(EntryKind::File)))
    })
}

/// A kustomization of all manifests below a directory.
fn generate(tree: &dyn FileTree, root: &TreePath) -> Kustomization {
    let mut ks = Kustomization { directory: root.clone(), ..Kustomization::default() };
    collect(tree, root, root, &mut ks.resources);
    ks
}

fn collect(tree: &dyn FileTree, root: &TreePath, directory: &TreePath, found: &mut Vec<Text>) {
    // What cannot be listed is complained about when it is built: the root, or a directory within it.
    for (path, kind) in tree.list(directory).unwrap_or_default() {
        let relative = path.as_str().strip_prefix(root.as_str()).unwrap_or(path.as_str()).trim_start_matches('/');
        let text = Text { text: relative.into(), at: At::NONE };
        match kind {
            EntryKind::Directory if has_kustomization(tree, &path) => found.push(text),
            EntryKind::Directory => collect(tree, root, &path, found),
            EntryKind::File if [".yaml", ".yml"].iter().any(|end| path.file_name().ends_with(end)) => found.push(text),
            EntryKind::File => {}
        }
    }
}

fn apply(overrides: &Overrides, ks: &mut Kustomization, builder: &Builder<'_>) {
    let at = |field: &str| At::new(builder.sources.add(&format!("Kustomization.spec.{field}")), 1, 1);
    let text = |value: &String, field: &str| Text { text: value.as_str().into(), at: at(field) };
    if let Some(namespace) = &overrides.target_namespace {
        ks.namespace = Some(text(namespace, "targetNamespace"));
    }
    if let Some(prefix) = &overrides.name_prefix {
        ks.name_prefix = Some(text(prefix, "namePrefix"));
    }
    if let Some(suffix) = &overrides.name_suffix {
        ks.name_suffix = Some(text(suffix, "nameSuffix"));
    }
    for (position, patch) in overrides.patches.iter().enumerate() {
        let at = at(&format!("patches[{position}]"));
        // Line 0 is the key: the lines of the text count from 1 after it.
        let inline = Text { text: patch.patch.as_str().into(), at: At::new(at.source(), 0, 1) };
        let target = patch.target.as_ref().and_then(|target| selector(target, at, builder));
        let (allow_name_change, allow_kind_change) = (false, false);
        ks.patches.push(Patch { at, path: None, inline: Some(inline), target, allow_name_change, allow_kind_change });
    }
    for (position, image) in overrides.images.iter().enumerate() {
        merge_image(ks, image, at(&format!("images[{position}]")));
    }
    for (position, component) in overrides.components.iter().enumerate() {
        add_component(overrides, ks, &text(component, &format!("components[{position}]")), builder);
    }
    if !overrides.build_metadata.is_empty() {
        let options = overrides.build_metadata.iter();
        ks.build_metadata = options.map(|option| text(option, "buildMetadata")).collect();
    }
}

fn selector(target: &soll_api::Selector, at: At, builder: &Builder<'_>) -> Option<Selector> {
    let fields = [
        ("group", &target.group),
        ("version", &target.version),
        ("kind", &target.kind),
        ("name", &target.name),
        ("namespace", &target.namespace),
        ("labelSelector", &target.label_selector),
        ("annotationSelector", &target.annotation_selector),
    ];
    let set = fields.into_iter().filter_map(|(name, value)| Some((name, Value::str(value.as_deref()?).at(at))));
    Selector::read(&Value::from(Map::from_iter(set)).at(at), &builder.problems)
}

/// Tag and digest are one unit; what the spec leaves open stays as the file has it.
fn merge_image(ks: &mut Kustomization, image: &soll_api::Image, at: At) {
    let text = |value: &Option<String>| value.as_deref().map(|value| Text { text: value.into(), at });
    let (new_name, new_tag, digest) = (text(&image.new_name), text(&image.new_tag), text(&image.digest));
    match ks.images.iter_mut().find(|known| known.name.as_str() == image.name) {
        Some(known) => {
            known.new_name = new_name.or_else(|| known.new_name.take());
            if new_tag.is_some() || digest.is_some() {
                (known.new_tag, known.digest) = (new_tag, digest);
            }
            known.at = at;
        }
        None => {
            let name = Text { text: image.name.as_str().into(), at };
            ks.images.push(Image { at, name, new_name, new_tag, tag_suffix: None, digest });
        }
    }
}

fn add_component(overrides: &Overrides, ks: &mut Kustomization, component: &Text, builder: &Builder<'_>) {
    const REMOTE: [&str; 8] = ["git::", "gh:", "ssh://", "https://", "http://", "git@", "github.com:", "github.com/"];
    let path = component.as_str();
    if path.starts_with('/') || REMOTE.iter().any(|start| path.starts_with(start)) {
        let message = format!("component path `{path}` must be local and relative");
        return builder.problems.add(component.at, message);
    }
    let is_missing = match ks.directory.join(path) {
        Ok(full) => matches!(builder.tree.kind(&full), Ok(None)),
        Err(_) => false, // the build complains
    };
    if !(is_missing && overrides.ignore_missing_components) {
        ks.components.push(component.clone());
    }
}
