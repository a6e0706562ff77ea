//! From the text of a kustomization file to what it says.

use soll_tree::TreePath;
use soll_yaml::{Str, Value};

use super::charts::read_charts;
use super::{
    Fields, Generator, GeneratorOptions, Image, Kustomization, Label, Pairs, Part, Patch, Replacement, ReplacementRule,
    ReplacementSource, ReplacementTarget, Replica, Sort, Text, Var,
};
use crate::config::read_specs;
use crate::problem::Problems;
use crate::resource::{Behavior, Gvk};
use crate::selector::Selector;

/// What a file may hold besides what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// Unknown fields are problems.
    Refused,
    /// Unknown fields vanish: Flux reads and rewrites the root file so.
    Dropped,
}

/// Reads a kustomization; complains about everything that is wrong with it.
pub(crate) fn read(
    value: &Value,
    directory: &TreePath,
    file: &str,
    unknown: Unknown,
    problems: &Problems,
) -> Kustomization {
    let mut fields = Fields::new(value, "kustomization", problems);
    let mut ks =
        Kustomization { directory: directory.clone(), file: file.to_owned(), at: value.at, ..Kustomization::default() };
    ks.is_empty = says_nothing(value);
    read_type(&mut fields, &mut ks);
    fields.value("metadata");
    ks.resources = fields.texts("resources");
    ks.resources.extend(fields.texts("bases"));
    ks.components = fields.texts("components");
    ks.crds = fields.texts("crds");
    ks.configurations = fields.texts("configurations");
    ks.generators = fields.texts("generators");
    ks.transformers = fields.texts("transformers");
    ks.validators = fields.texts("validators");
    ks.namespace = fields.text("namespace");
    ks.name_prefix = fields.text("namePrefix");
    ks.name_suffix = fields.text("nameSuffix");
    ks.common_labels = fields.pairs("commonLabels");
    ks.common_annotations = fields.pairs("commonAnnotations");
    ks.labels = fields.list("labels").iter().map(|item| label(item, problems)).collect();
    read_patches(&mut fields, &mut ks);
    let global = fields.value("generatorOptions").map(|value| generator_options(value, problems)).unwrap_or_default();
    let generator = |item| generator(item, &global, problems);
    ks.config_maps = fields.list("configMapGenerator").iter().map(generator).collect();
    ks.secrets = fields.list("secretGenerator").iter().map(generator).collect();
    ks.images = fields.list("images").iter().filter_map(|item| image(item, problems)).collect();
    ks.images.extend(fields.list("imageTags").iter().filter_map(|item| image(item, problems)));
    ks.replicas = fields.list("replicas").iter().filter_map(|item| replica(item, problems)).collect();
    ks.replacements = fields.list("replacements").iter().filter_map(|item| replacement(item, problems)).collect();
    ks.vars = fields.list("vars").iter().filter_map(|item| var(item, problems)).collect();
    ks.build_metadata = fields.texts("buildMetadata");
    if let Some(openapi) = fields.value("openapi") {
        let mut fields = Fields::new(openapi, "openapi field", problems);
        ks.openapi = fields.text("path");
        ks.openapi_version = fields.text("version");
        fields.refuse_others();
        match (&ks.openapi, &ks.openapi_version) {
            (Some(path), Some(_)) => {
                problems.add(path.at, "builtin version and custom schema provided, cannot use both; remove one");
            }
            (None, Some(version)) if version.as_str() != "v1.21.2" => {
                let message = format!("the OpenAPI version `{}` is not built in; there is `v1.21.2`", version.text);
                problems.add(version.at, message);
            }
            _ => {}
        }
    }
    ks.sort = fields.value("sortOptions").map(|value| sort(value, problems));
    read_charts(&mut fields, &mut ks);
    if unknown == Unknown::Refused {
        fields.refuse_others();
    }
    check_metadata(&ks, problems);
    ks
}

/// Whether no field but the type has a value; empty lists and maps count as values, as in kustomize.
fn says_nothing(value: &Value) -> bool {
    value.as_map().into_iter().flatten().all(|entry| {
        let is_type = matches!(entry.key.as_str(), "apiVersion" | "kind");
        is_type || entry.value.is_null() || entry.value.as_str() == Some("")
    })
}

fn read_type(fields: &mut Fields<'_>, ks: &mut Kustomization) {
    let kind = fields.text("kind");
    let api_version = fields.text("apiVersion");
    ks.is_component = kind.as_ref().is_some_and(|kind| kind.as_str() == "Component");
    let expected = if ks.is_component { "kustomize.config.k8s.io/v1alpha1" } else { "kustomize.config.k8s.io/v1beta1" };
    if let Some(kind) = kind.filter(|kind| !matches!(kind.as_str(), "Kustomization" | "Component")) {
        let message = format!("kind should be `Kustomization` or `Component`, found `{}`", kind.text);
        fields.problems.add(kind.at, message);
    }
    if let Some(version) = api_version.filter(|version| version.as_str() != expected) {
        let message = format!("apiVersion should be `{expected}`, found `{}`", version.text);
        fields.problems.add(version.at, message);
    }
}

fn read_patches(fields: &mut Fields<'_>, ks: &mut Kustomization) {
    ks.patches_strategic_merge = fields.texts("patchesStrategicMerge");
    for item in fields.list("patches") {
        // The oldest form: a list of files with strategic merge patches.
        match Text::of(item) {
            Some(path) => ks.patches_strategic_merge.push(path),
            None => ks.patches.push(patch(item, fields.problems)),
        }
    }
    ks.patches_json = fields.list("patchesJson6902").iter().map(|item| patch(item, fields.problems)).collect();
}

fn check_metadata(ks: &Kustomization, problems: &Problems) {
    const KNOWN: [&str; 3] = ["managedByLabel", "originAnnotations", "transformerAnnotations"];
    for option in &ks.build_metadata {
        if !KNOWN.contains(&option.as_str()) {
            let message =
                format!("unknown option `{}` of buildMetadata; expected one of {}", option.text, KNOWN.join(", "));
            problems.add(option.at, message);
        }
    }
}

pub(crate) fn label(value: &Value, problems: &Problems) -> Label {
    let mut fields = Fields::new(value, "labels entry", problems);
    let label = Label {
        at: value.at,
        pairs: fields.pairs("pairs"),
        include_selectors: fields.flag("includeSelectors"),
        include_templates: fields.flag("includeTemplates"),
        fields: read_specs(fields.value("fields"), problems),
    };
    fields.refuse_others();
    label
}

pub(crate) fn patch(value: &Value, problems: &Problems) -> Patch {
    let mut fields = Fields::new(value, "patches entry", problems);
    let path = fields.text("path");
    let inline = fields.text("patch");
    let target = fields.value("target").and_then(|value| Selector::read(value, problems));
    let (mut allow_name_change, mut allow_kind_change) = (false, false);
    if let Some(options) = fields.value("options") {
        let mut options = Fields::new(options, "patch's options", problems);
        allow_name_change = options.flag("allowNameChange");
        allow_kind_change = options.flag("allowKindChange");
        options.refuse_others();
    }
    match (&path, &inline) {
        (None, None) => problems.add(value.at, "a patches entry needs one of `patch` and `path`"),
        (Some(_), Some(_)) => problems.add(value.at, "a patches entry has both `patch` and `path`; remove one"),
        _ => {}
    }
    fields.refuse_others();
    Patch { at: value.at, path, inline, target, allow_name_change, allow_kind_change }
}

pub(crate) fn generator_options(value: &Value, problems: &Problems) -> GeneratorOptions {
    let mut fields = Fields::new(value, "generator's options", problems);
    let options = GeneratorOptions {
        labels: fields.pairs("labels"),
        annotations: fields.pairs("annotations"),
        disable_hash: fields.flag("disableNameSuffixHash"),
        immutable: fields.flag("immutable"),
    };
    fields.refuse_others();
    options
}

pub(crate) fn generator(value: &Value, global: &GeneratorOptions, problems: &Problems) -> Generator {
    let mut fields = Fields::new(value, "generator", problems);
    let mut generator = Generator { at: value.at, name: fields.required("name"), ..Generator::default() };
    // As plugins, generators look like objects.
    fields.value("apiVersion");
    fields.value("kind");
    generator.namespace = fields.text("namespace");
    generator.secret_type = fields.text("type");
    generator.literals = fields.texts("literals");
    generator.files = fields.texts("files");
    generator.envs = fields.texts("envs");
    generator.envs.extend(fields.text("env"));
    if let Some(behavior) = fields.text("behavior") {
        generator.behavior = match behavior.as_str() {
            "create" => Behavior::Create,
            "replace" => Behavior::Replace,
            "merge" => Behavior::Merge,
            other => {
                problems.add(behavior.at, format!("unknown behavior `{other}`; expected create, replace or merge"));
                Behavior::Create
            }
        };
    }
    let local = fields.value("options").map(|value| generator_options(value, problems)).unwrap_or_default();
    generator.options = local.or(global);
    if let Some(flag) = fields.value("disableNameSuffixHash") {
        problems.add(flag.at, "`disableNameSuffixHash` belongs into `options`");
    }
    fields.refuse_others();
    generator
}

impl GeneratorOptions {
    /// The local options, completed by those of the whole kustomization.
    fn or(mut self, global: &Self) -> Self {
        let complete = |local: &mut Pairs, global: &Pairs| {
            for (key, text) in global {
                if !local.iter().any(|(known, _)| known == key) {
                    local.push((key.clone(), text.clone()));
                }
            }
        };
        complete(&mut self.labels, &global.labels);
        complete(&mut self.annotations, &global.annotations);
        self.disable_hash |= global.disable_hash;
        self.immutable |= global.immutable;
        self
    }
}

pub(crate) fn image(value: &Value, problems: &Problems) -> Option<Image> {
    let mut fields = Fields::new(value, "images entry", problems);
    let name = fields.required("name");
    let image = name.map(|name| Image {
        at: value.at,
        name,
        new_name: fields.text("newName"),
        new_tag: fields.text("newTag"),
        tag_suffix: fields.text("tagSuffix"),
        digest: fields.text("digest"),
    });
    if image.is_some() {
        fields.refuse_others();
    }
    image
}

pub(crate) fn replica(value: &Value, problems: &Problems) -> Option<Replica> {
    let mut fields = Fields::new(value, "replicas entry", problems);
    let name = fields.required("name");
    let at = fields.value("count").map_or(value.at, |count| count.at);
    let count = fields.number("count").unwrap_or(0);
    fields.refuse_others();
    Some(Replica { name: name?, count: Value::from(count).at(at) })
}

fn replacement(value: &Value, problems: &Problems) -> Option<Replacement> {
    if let Some(path) = value.get("path") {
        let mut fields = Fields::new(value, "replacements entry", problems);
        let file = fields.text("path");
        fields.refuse_others();
        return file.map(Replacement::File).or_else(|| {
            problems.add(path.at, "`path` names no file");
            None
        });
    }
    replacement_rule(value, problems).map(Box::new).map(Replacement::Inline)
}

pub(crate) fn replacement_rule(value: &Value, problems: &Problems) -> Option<ReplacementRule> {
    let mut fields = Fields::new(value, "replacements entry", problems);
    let text = fields.text("sourceValue");
    let field = fields.value("source").map(|source| replacement_source(source, problems));
    let targets = fields.list("targets");
    let targets: Vec<_> = targets.iter().filter_map(|item| replacement_target(item, problems)).collect();
    let has_targets = fields.value("targets").is_some();
    fields.refuse_others();
    let source = match (text, field) {
        (Some(text), None) => ReplacementSource::Value(text),
        (None, Some(field)) => field,
        (Some(_), Some(_)) => {
            problems.add(value.at, "a replacements entry has both `source` and `sourceValue`; remove one");
            return None;
        }
        (None, None) => {
            problems.add(value.at, "replacements must specify a source and at least one target");
            return None;
        }
    };
    if !has_targets {
        problems.add(value.at, "replacements must specify a source and at least one target");
        return None;
    }
    Some(ReplacementRule { at: value.at, source, targets })
}

fn replacement_source(value: &Value, problems: &Problems) -> ReplacementSource {
    let mut fields = Fields::new(value, "replacement's source", problems);
    let source = ReplacementSource::Field {
        gvk: gvk(&mut fields),
        name: fields.text("name"),
        namespace: fields.text("namespace"),
        path: fields.text("fieldPath"),
        part: fields.value("options").and_then(|options| field_options(options, problems).0),
    };
    fields.refuse_others();
    source
}

fn replacement_target(value: &Value, problems: &Problems) -> Option<ReplacementTarget> {
    let mut fields = Fields::new(value, "replacement's target", problems);
    let select = fields.value("select");
    if select.is_none() {
        problems.add(value.at, "target must specify resources to select");
    }
    let select = select.and_then(|select| Selector::read(select, problems));
    let reject = fields.list("reject").iter().filter_map(|item| Selector::read(item, problems)).collect();
    let paths = fields.texts("fieldPaths");
    let (part, create) = fields.value("options").map(|options| field_options(options, problems)).unwrap_or_default();
    fields.refuse_others();
    Some(ReplacementTarget { at: value.at, select: select?, reject, paths, part, create })
}

fn field_options(value: &Value, problems: &Problems) -> (Option<Part>, bool) {
    let mut fields = Fields::new(value, "replacement's options", problems);
    let delimiter = fields.text("delimiter");
    let index = fields.number("index").unwrap_or(0);
    let create = fields.flag("create");
    fields.text("encoding");
    fields.refuse_others();
    (delimiter.map(|delimiter| Part { delimiter, index }), create)
}

fn var(value: &Value, problems: &Problems) -> Option<Var> {
    let mut fields = Fields::new(value, "vars entry", problems);
    let name = fields.required("name");
    let reference = fields.value("objref");
    let path = fields.value("fieldref").and_then(|value| {
        let mut fields = Fields::new(value, "var's fieldref", problems);
        fields.text("fieldPath").or_else(|| fields.text("fieldpath"))
    });
    fields.refuse_others();
    let Some(reference) = reference else {
        problems.add(value.at, "a vars entry needs an `objref`");
        return None;
    };
    let mut fields = Fields::new(reference, "var's objref", problems);
    let gvk = gvk(&mut fields);
    let object = fields.required("name");
    let namespace = fields.text("namespace");
    fields.refuse_others();
    let path = path.unwrap_or(Text { text: "metadata.name".into(), at: value.at });
    Some(Var { at: value.at, name: name?, gvk, object: object?, namespace, path })
}

/// `group`, `version` and `kind`, or `apiVersion` in their place.
fn gvk(fields: &mut Fields<'_>) -> Gvk {
    let mut part = |name| fields.text(name).map_or_else(Str::new, |text| text.text);
    let (group, version, kind) = (part("group"), part("version"), part("kind"));
    match part("apiVersion") {
        empty if empty.is_empty() => Gvk { group, version, kind },
        api_version => Gvk::new(api_version, kind),
    }
}

fn sort(value: &Value, problems: &Problems) -> Sort {
    let mut fields = Fields::new(value, "sortOptions field", problems);
    let order = fields.text("order");
    let legacy = fields.value("legacySortOptions");
    fields.refuse_others();
    match order.as_ref().map(Text::as_str) {
        Some("fifo") => Sort::Fifo,
        Some("legacy") => {
            let Some(legacy) = legacy else { return Sort::Legacy { first: Vec::new(), last: Vec::new() } };
            let mut fields = Fields::new(legacy, "legacySortOptions field", problems);
            let sort = Sort::Legacy { first: fields.texts("orderFirst"), last: fields.texts("orderLast") };
            fields.refuse_others();
            sort
        }
        _ => {
            problems.add(value.at, "`order` of sortOptions should be `fifo` or `legacy`");
            Sort::Fifo
        }
    }
}
