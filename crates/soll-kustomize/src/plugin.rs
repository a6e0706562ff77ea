//! Builtin transformers and generators that are configured by objects of their own, and CRDs that tell
//! which fields hold names.

use soll_yaml::{Str, Value};

use crate::accumulate::{Accumulator, Builder};
use crate::charts;
use crate::config::{Config, NameReference, read_specs};
use crate::field_spec::{FieldSpec, Kinds};
use crate::generate;
use crate::hash;
use crate::kustomization::{
    Fields, GeneratorOptions, Kustomization, Text, chart, generator, image, patch, replacement_rule, replica,
};
use crate::problem::Problem;
use crate::provenance::Provenance;
use crate::resource::{Gvk, Resource};
use crate::resources::Resources;
use crate::transform::{images, metadata, names, namespace, patches, replacements, replicas, run_single, value_add};

/// Runs the generator that an object configures.
pub(crate) fn generate(resources: &mut Resources, plugin: &Resource, ks: &Kustomization, builder: &Builder<'_>) {
    let origin = || Provenance::plugin(plugin);
    let config = plugin.value();
    let kind = match builtin_kind(config, builder) {
        Some("ConfigMapGenerator") => generate::Kind::ConfigMap,
        Some("SecretGenerator") => generate::Kind::Secret,
        Some("HelmChartInflationGenerator") => {
            if let Some(chart) = chart(&without_type(config), &builder.problems) {
                charts::inflate(resources, &chart, None, &origin, ks, builder);
            }
            return;
        }
        Some("IAMPolicyGenerator") => return generate::cloud_account(resources, config, &origin, builder),
        Some(kind) => return refuse(config, kind, "generator", builder),
        None => return,
    };
    // The object's metadata names what is made.
    let mut given = config.clone();
    for field in ["name", "namespace"] {
        if let Some(text) = config.lookup(&["metadata", field]) {
            given.make_map().insert(field, text.clone());
        }
    }
    given.make_map().remove("metadata");
    if let Some(env) = given.make_map().remove("env") {
        let message = "a generator's `env` counts in a kustomization only; use `envs`";
        builder.warnings.borrow_mut().push(Problem::new(env.at, message));
    }
    let generator = generator(&given, &GeneratorOptions::default(), &builder.problems);
    generate::make(resources, &generator, kind, &origin, ks, builder);
}

/// Runs the transformer that an object configures and complains if it changes anything.
pub(crate) fn validate(into: &mut Accumulator, plugin: &Resource, ks: &Kustomization, builder: &Builder<'_>) {
    let before = into.resources.clone();
    run(into, plugin, ks, builder);
    // Kustomize compares by name.
    builder.refuse_twins(&into.resources);
    let is_same = before.len() == into.resources.len()
        && before.iter().zip(into.resources.iter()).all(|(before, now)| before.value() == now.value());
    if !is_same && builder.problems.is_empty() {
        let message = "the validator changes objects; a validator shouldn't modify the resource map";
        builder.problems.add(plugin.at(), message);
    }
}

/// Runs the transformer that an object configures.
pub(crate) fn transform(into: &mut Accumulator, plugin: &Resource, ks: &Kustomization, builder: &Builder<'_>) {
    run(into, plugin, ks, builder);
    builder.note_transformation(&mut into.resources, &|| Provenance::plugin(plugin));
}

fn run(into: &mut Accumulator, plugin: &Resource, ks: &Kustomization, builder: &Builder<'_>) {
    let plugin = plugin.value();
    let Some(kind) = builtin_kind(plugin, builder) else { return };
    let resources = &mut into.resources;
    let problems = &builder.problems;
    let mut fields = Fields::new(plugin, "transformer", problems);
    for known in ["apiVersion", "kind", "metadata"] {
        fields.value(known);
    }
    let specs = |fields: &mut Fields<'_>| read_specs(fields.value("fieldSpecs"), problems);
    match kind {
        "NamespaceTransformer" => {
            let mode = namespace::Mode {
                unset_only: fields.flag("unsetOnly"),
                subjects: match fields.text("setRoleBindingSubjects").as_ref().map(Text::as_str) {
                    None | Some("defaultOnly") => namespace::Subjects::Default,
                    Some("allServiceAccounts") => namespace::Subjects::AllServiceAccounts,
                    Some("none") => namespace::Subjects::None,
                    Some(other) => {
                        let expected = "expected defaultOnly, allServiceAccounts or none";
                        problems.add(plugin.at, format!("unknown setRoleBindingSubjects `{other}`; {expected}"));
                        namespace::Subjects::Default
                    }
                },
            };
            let specs = specs(&mut fields);
            if let Some(text) = plugin.lookup(&["metadata", "namespace"]).and_then(Text::of) {
                let moved = namespace::Move::new(&text, &specs, mode, resources.len());
                run_single(resources, moved, builder);
            }
        }
        "PrefixTransformer" | "SuffixTransformer" | "PrefixSuffixTransformer" => {
            let (prefix, suffix, specs) = (fields.text("prefix"), fields.text("suffix"), specs(&mut fields));
            if fields_of_names_missing(&specs, plugin, builder) {
                return;
            }
            if let Some(prefix) = prefix.filter(|_| kind != "SuffixTransformer") {
                let affixed = names::Affixed { text: &prefix, affix: names::Affix::Prefix, specs: &specs };
                run_single(resources, affixed, builder);
            }
            if let Some(suffix) = suffix.filter(|_| kind != "PrefixTransformer") {
                let affixed = names::Affixed { text: &suffix, affix: names::Affix::Suffix, specs: &specs };
                run_single(resources, affixed, builder);
            }
        }
        "LabelTransformer" => {
            let (pairs, specs) = (fields.pairs("labels"), specs(&mut fields));
            run_single(resources, metadata::Add::new(&pairs, specs, "LabelTransformer"), builder);
        }
        "AnnotationsTransformer" => {
            let (pairs, specs) = (fields.pairs("annotations"), specs(&mut fields));
            run_single(resources, metadata::Add::new(&pairs, specs, "AnnotationsTransformer"), builder);
        }
        "ImageTagTransformer" => {
            let image = fields.value("imageTag").and_then(|value| image(value, problems));
            let specs = specs(&mut fields);
            if let Some(image) = image {
                match images::Rename::new(&image, &specs) {
                    Ok(rename) => run_single(resources, rename, builder),
                    Err(problem) => problems.push(problem),
                }
            }
        }
        "ReplicaCountTransformer" => {
            let replica = fields.value("replica").and_then(|value| replica(value, problems));
            let specs = specs(&mut fields);
            if let Some(replica) = replica {
                replicas::run(resources, &replica, &specs, builder);
            }
        }
        "ReplacementTransformer" => {
            for value in fields.list("replacements") {
                if let Some(rule) = replacement_rule(value, problems) {
                    replacements::apply(resources, &rule, builder);
                }
            }
        }
        "PatchTransformer" => {
            for known in ["path", "patch", "target", "options"] {
                fields.value(known);
            }
            let patch = patch(&without_type(plugin), problems);
            patches::run(resources, &patch, ks, builder);
        }
        "PatchJson6902Transformer" => {
            for known in ["path", "target", "jsonOp"] {
                fields.value(known);
            }
            let patch = patch(&without_type(plugin), problems);
            patches::json(resources, &patch, ks, builder);
        }
        "PatchStrategicMergeTransformer" => {
            let mut texts = fields.texts("paths");
            texts.extend(fields.text("patches"));
            patches::strategic_files(resources, &texts, ks, builder);
        }
        "ValueAddTransformer" => value_add::run(resources, &mut fields, ks, builder),
        "HashTransformer" => hash::add_to_names(resources),
        kind => return refuse(plugin, kind, "transformer", builder),
    }
    // Kustomize does not look at the other fields of a plugin.
    for unknown in fields.others() {
        builder.warnings.borrow_mut().push(unknown);
    }
}

fn fields_of_names_missing(specs: &[FieldSpec], plugin: &Value, builder: &Builder<'_>) -> bool {
    if specs.is_empty() && plugin.get("fieldSpecs").is_none_or(Value::is_null) {
        builder
            .problems
            .add(plugin.at, "fieldSpecs is not expected to be nil; name the fields, as `path: metadata/name`");
        return true;
    }
    false
}

fn without_type(plugin: &Value) -> Value {
    let mut config = plugin.clone();
    let map = config.make_map();
    for field in ["apiVersion", "kind", "metadata"] {
        map.remove(field);
    }
    if let Some(operations) = map.remove("jsonOp") {
        map.insert("patch", operations);
    }
    config
}

/// The kind of a builtin plugin; everything else is a program or a container, and Flux refuses those too.
fn builtin_kind<'v>(plugin: &'v Value, builder: &Builder<'_>) -> Option<&'v str> {
    let kind = plugin.lookup_str(&["kind"]).unwrap_or_default();
    match plugin.lookup_str(&["apiVersion"]) {
        Some("builtin") => Some(kind),
        _ => {
            let message = format!("external plugins disabled; `{kind}` is not builtin (`apiVersion: builtin`)");
            builder.problems.add(plugin.at, message);
            None
        }
    }
}

fn refuse(plugin: &Value, kind: &str, what: &str, builder: &Builder<'_>) {
    builder.problems.add(plugin.at, format!("the builtin {what} `{kind}` is not supported"));
}

/// Adds the name references that the OpenAPI definitions of custom resources mark.
///
/// # Errors
/// If field specs disagree.
pub(crate) fn read_crd(definitions: &Value, config: &mut Config) -> Result<(), String> {
    let Some(definitions) = definitions.as_map() else { return Ok(()) };
    for entry in definitions {
        let Some(definition) = entry.value.get("Schema").or(Some(&entry.value)) else { continue };
        let has_type =
            ["apiVersion", "kind", "metadata"].iter().all(|field| definition.lookup(&["properties", field]).is_some());
        if !has_type {
            continue;
        }
        // Keys look like `github.com/example/pkg/apis/v1beta1.Bee`. What is said counts for all versions of the kind.
        let kind = entry.key.rsplit('.').next().unwrap_or_default();
        let gvk = Gvk { kind: kind.into(), ..Gvk::default() };
        let mut path = Vec::new();
        read_properties(definition, definitions, &gvk, &mut path, config, 0)?;
    }
    Ok(())
}

fn read_properties(
    definition: &Value,
    all: &soll_yaml::Map,
    owner: &Gvk,
    path: &mut Vec<Str>,
    config: &mut Config,
    depth: usize,
) -> Result<(), String> {
    let Some(properties) = definition.get("properties").and_then(Value::as_map) else { return Ok(()) };
    for entry in properties {
        path.push(entry.key.clone());
        let spec = |path: &[Str]| {
            let path = path.iter().map(ToString::to_string).collect();
            FieldSpec { kinds: owner.into(), path, create: false }
        };
        let text = |name: &str| entry.value.lookup_str(&[name]);
        if text("x-kubernetes-annotation").is_some() {
            config.common_annotations.push(spec(path));
        }
        if text("x-kubernetes-label-selector").is_some() {
            config.common_labels.push(spec(path));
        }
        if text("x-kubernetes-identity").is_some() {
            config.name_prefix.push(spec(path));
        }
        if let (Some(kind), Some(version)) =
            (text("x-kubernetes-object-ref-kind"), text("x-kubernetes-object-ref-api-version"))
        {
            let mut full = path.clone();
            full.push(text("x-kubernetes-object-ref-name-key").unwrap_or("name").into());
            let target = Kinds { group: "".into(), version: version.to_owned().into(), kind: kind.to_owned().into() };
            config.add_reference(&NameReference { target, referrers: vec![spec(&full)] })?;
        }
        if let Some(inner) = text("$ref").and_then(|name| all.get(name)).filter(|_| depth < 32) {
            read_properties(inner.get("Schema").unwrap_or(inner), all, owner, path, config, depth + 1)?;
        }
        path.pop();
    }
    Ok(())
}
