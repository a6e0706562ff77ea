//! The transformers of a kustomization, one module each, in the order in which kustomize runs them.

pub(crate) mod images;
pub(crate) mod metadata;
pub(crate) mod names;
pub(crate) mod namespace;
pub(crate) mod patches;
pub(crate) mod replacements;
pub(crate) mod replicas;
pub(crate) mod structured;
pub(crate) mod value_add;

use soll_yaml::{At, Value};

use crate::accumulate::{Accumulator, Builder};
use crate::config::merge_specs;
use crate::field_spec::{FieldSpec, Leaf};
use crate::kustomization::{Kustomization, Label, Text};
use crate::problem::Problem;
use crate::provenance::Provenance;
use crate::resource::Resource;
use crate::resources::Resources;

/// Runs what the kustomization itself asks for.
pub(crate) fn run(into: &mut Accumulator, ks: &Kustomization, builder: &Builder<'_>) {
    let Accumulator { resources, config, .. } = into;
    let done = |resources: &mut Resources, kind: &str| {
        builder.note_transformation(resources, &|| Provenance::builtin(ks, kind))
    };
    if !ks.patches_strategic_merge.is_empty() {
        patches::strategic_files(resources, &ks.patches_strategic_merge, ks, builder);
        done(resources, "PatchStrategicMergeTransformer");
    }
    for patch in &ks.patches {
        patches::run(resources, patch, ks, builder);
        done(resources, "PatchTransformer");
    }
    if let Some(namespace) = &ks.namespace {
        namespace::run(resources, namespace, &config.namespace, &namespace::Mode::default(), builder);
        done(resources, "NamespaceTransformer");
    }
    if let Some(prefix) = &ks.name_prefix {
        names::run(resources, prefix, names::Affix::Prefix, &config.name_prefix, builder);
        done(resources, "PrefixTransformer");
    }
    if let Some(suffix) = &ks.name_suffix {
        names::run(resources, suffix, names::Affix::Suffix, &config.name_suffix, builder);
        done(resources, "SuffixTransformer");
    }
    for label in &ks.labels {
        match label_specs(label, config) {
            Ok(specs) => metadata::run(resources, &label.pairs, &specs, "labels", builder),
            Err(message) => builder.problems.add(label.at, message),
        }
        done(resources, "LabelTransformer");
    }
    if !ks.labels.is_empty() || !ks.common_labels.is_empty() {
        metadata::run(resources, &ks.common_labels, &config.common_labels, "commonLabels", builder);
        done(resources, "LabelTransformer");
    }
    if !ks.common_annotations.is_empty() {
        metadata::run(resources, &ks.common_annotations, &config.common_annotations, "commonAnnotations", builder);
        done(resources, "AnnotationsTransformer");
    }
    for patch in &ks.patches_json {
        patches::json(resources, patch, ks, builder);
        done(resources, "PatchJson6902Transformer");
    }
    for replica in &ks.replicas {
        replicas::run(resources, replica, &config.replicas, builder);
        done(resources, "ReplicaCountTransformer");
    }
    for image in &ks.images {
        images::run(resources, image, &config.images, builder);
        done(resources, "ImageTagTransformer");
    }
    if !ks.replacements.is_empty() {
        replacements::run(resources, &ks.replacements, ks, builder);
        done(resources, "ReplacementTransformer");
    }
}

/// Adds the label that names the builder, if `buildMetadata` of the root asks for it.
pub(crate) fn managed_by(resources: &mut Resources, ks: &Kustomization, builder: &Builder<'_>) {
    let text = Text { text: concat!("kustomize-v", "5.8.1").into(), at: ks.at };
    let pairs = vec![("app.kubernetes.io/managed-by".into(), text)];
    let specs = [FieldSpec::new("", "", "", "metadata/labels", true)];
    metadata::run(resources, &pairs, &specs, "buildMetadata", builder);
}

fn label_specs(label: &Label, config: &crate::config::Config) -> Result<Vec<FieldSpec>, String> {
    let mut specs = label.fields.clone();
    merge_specs(&mut specs, &config.labels)?;
    if label.include_selectors {
        merge_specs(&mut specs, &config.common_labels)?;
    } else {
        if label.include_templates {
            merge_specs(&mut specs, &config.template_labels)?;
        }
        merge_specs(&mut specs, &[FieldSpec::new("", "", "", "metadata/labels", true)])?;
    }
    Ok(specs)
}

/// Visits a field of one object; complains if the path does not fit the object.
pub(crate) fn visit(
    resource: &mut Resource,
    spec: &FieldSpec,
    leaf: Leaf,
    builder: &Builder<'_>,
    visitor: &mut dyn FnMut(&mut Value),
) {
    // Kustomize keeps its notes in the annotations, so these are there, whatever `create` says.
    if resource.has_notes() && spec.path.as_str() == "metadata/annotations" {
        let metadata = resource.value_mut().make_map().get_or_insert_with("metadata", Value::map);
        metadata.make_map().get_or_insert_with("annotations", Value::map);
    }
    if let Err((message, at)) = spec.visit(resource, leaf, visitor) {
        builder.problems.push(Problem::new(at, message).of(resource.id()));
    }
}

/// Replaces a value and remembers through what.
pub(crate) fn replace(value: &mut Value, new: Value, by: &'static str, builder: &Builder<'_>) {
    let at = mark(new.at, by, value.at, builder);
    *value = new.at(at);
}

/// The place of a transformer's text, marked as having replaced what stood elsewhere before.
pub(crate) fn mark(at: At, by: &'static str, before: At, builder: &Builder<'_>) -> At {
    if at.is_none() { before } else { builder.sources.through(at, by, before) }
}
