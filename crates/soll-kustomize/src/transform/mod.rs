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

/// A transformer that needs to see one object at a time, none of the others.
pub(crate) trait Single {
    /// Whether it may change what an object is called.
    fn renames(&self) -> bool {
        false
    }

    /// Transforms one object. Each object of a build comes once, in order.
    fn transform(&mut self, resource: &mut Resource, builder: &Builder<'_>);
}

/// Transformers that wait for their turn, each with the kind that `buildMetadata` knows it by.
///
/// Each object goes through all of them before the next one comes: its memory is then fetched once, and not once for each
/// transformer.
#[derive(Default)]
struct Line<'k> {
    waiting: Vec<(&'static str, Box<dyn Single + 'k>)>,
}

impl<'k> Line<'k> {
    fn add(&mut self, kind: &'static str, single: impl Single + 'k) {
        self.waiting.push((kind, Box::new(single)));
    }

    /// Runs all that wait, so that others may look at what they did.
    fn run(&mut self, resources: &mut Resources, ks: &Kustomization, builder: &Builder<'_>) {
        let mut singles = std::mem::take(&mut self.waiting);
        if singles.is_empty() {
            return;
        }
        let notes: Vec<_> =
            singles.iter().map(|(kind, _)| builder.tracked(&|| Provenance::builtin(ks, kind))).collect();
        let renames = singles.iter().any(|(_, single)| single.renames());
        for resource in resources.walk(renames) {
            for ((_, single), note) in singles.iter_mut().zip(&notes) {
                single.transform(resource, builder);
                if let Some(note) = note {
                    builder.note_transformation_of(resource, note);
                }
            }
        }
    }
}

/// Runs one transformer over all objects.
pub(crate) fn run_single(resources: &mut Resources, mut single: impl Single, builder: &Builder<'_>) {
    for resource in resources.walk(single.renames()) {
        single.transform(resource, builder);
    }
}

/// Runs what the kustomization itself asks for.
pub(crate) fn run(into: &mut Accumulator, ks: &Kustomization, builder: &Builder<'_>) {
    let Accumulator { resources, config, .. } = into;
    let done = |resources: &mut Resources, kind: &str| {
        builder.note_transformation(resources, &|| Provenance::builtin(ks, kind));
    };
    if !ks.patches_strategic_merge.is_empty() {
        patches::strategic_files(resources, &ks.patches_strategic_merge, ks, builder);
        done(resources, "PatchStrategicMergeTransformer");
    }
    for patch in &ks.patches {
        patches::run(resources, patch, ks, builder);
        done(resources, "PatchTransformer");
    }
    let mut line = Line::default();
    if let Some(namespace) = &ks.namespace {
        let mode = namespace::Mode::default();
        let moved = namespace::Move::new(namespace, &config.namespace, mode, resources.len());
        line.add("NamespaceTransformer", moved);
    }
    if let Some(text) = &ks.name_prefix {
        line.add("PrefixTransformer", names::Affixed { text, affix: names::Affix::Prefix, specs: &config.name_prefix });
    }
    if let Some(text) = &ks.name_suffix {
        line.add("SuffixTransformer", names::Affixed { text, affix: names::Affix::Suffix, specs: &config.name_suffix });
    }
    for label in &ks.labels {
        match label_specs(label, config) {
            Ok(specs) => line.add("LabelTransformer", metadata::Add::new(&label.pairs, specs, "labels")),
            Err(message) => builder.problems.add(label.at, message),
        }
    }
    if !ks.labels.is_empty() || !ks.common_labels.is_empty() {
        let specs = config.common_labels.as_slice();
        line.add("LabelTransformer", metadata::Add::new(&ks.common_labels, specs, "commonLabels"));
    }
    if !ks.common_annotations.is_empty() {
        let specs = config.common_annotations.as_slice();
        line.add("AnnotationsTransformer", metadata::Add::new(&ks.common_annotations, specs, "commonAnnotations"));
    }
    if !ks.patches_json.is_empty() || !ks.replicas.is_empty() {
        line.run(resources, ks, builder);
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
        match images::Rename::new(image, &config.images) {
            Ok(rename) => line.add("ImageTagTransformer", rename),
            Err(problem) => builder.problems.push(problem),
        }
    }
    line.run(resources, ks, builder);
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
    run_single(resources, metadata::Add::new(&pairs, &specs[..], "buildMetadata"), builder);
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
