//! Which fields the transformers of one kustomization know: the defaults and what `configurations` adds.

use std::borrow::Cow;
use std::sync::Arc;

use soll_yaml::Value;

use crate::defaults;
use crate::field_spec::{FieldSpec, Keys, Kinds};
use crate::problem::Problems;

/// The fields that each transformer writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) name_prefix: Vec<FieldSpec>,
    pub(crate) name_suffix: Vec<FieldSpec>,
    pub(crate) namespace: Vec<FieldSpec>,
    pub(crate) common_labels: Vec<FieldSpec>,
    pub(crate) labels: Vec<FieldSpec>,
    pub(crate) template_labels: Vec<FieldSpec>,
    pub(crate) common_annotations: Vec<FieldSpec>,
    pub(crate) images: Vec<FieldSpec>,
    pub(crate) replicas: Vec<FieldSpec>,
    pub(crate) name_references: Vec<NameReference>,
    pub(crate) var_references: Vec<FieldSpec>,
}

/// Which fields hold the name of an object of some kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NameReference {
    pub(crate) target: Kinds,
    pub(crate) referrers: Vec<FieldSpec>,
}

impl Config {
    /// Adds what another configuration knows. Each is the defaults, or began as a copy of them.
    ///
    /// # Errors
    /// If two field specs disagree.
    pub(crate) fn share(this: &mut Arc<Self>, other: &Arc<Self>) -> Result<(), String> {
        let defaults = defaults::config();
        if Arc::ptr_eq(this, other) || Arc::ptr_eq(other, defaults) {
            return Ok(());
        }
        if Arc::ptr_eq(this, defaults) {
            this.clone_from(other);
            return Ok(());
        }
        Arc::make_mut(this).merge(other)
    }

    /// Adds what another configuration knows.
    ///
    /// # Errors
    /// If two field specs disagree.
    pub(crate) fn merge(&mut self, other: &Self) -> Result<(), String> {
        let has_references = self.name_references == other.name_references;
        merge_specs(&mut self.name_prefix, &other.name_prefix)?;
        merge_specs(&mut self.name_suffix, &other.name_suffix)?;
        merge_specs(&mut self.namespace, &other.namespace)?;
        merge_specs(&mut self.common_labels, &other.common_labels)?;
        merge_specs(&mut self.labels, &other.labels)?;
        merge_specs(&mut self.template_labels, &other.template_labels)?;
        merge_specs(&mut self.common_annotations, &other.common_annotations)?;
        merge_specs(&mut self.images, &other.images)?;
        merge_specs(&mut self.replicas, &other.replicas)?;
        merge_specs(&mut self.var_references, &other.var_references)?;
        if has_references {
            return Ok(());
        }
        other.name_references.iter().try_for_each(|reference| self.add_reference(reference))
    }

    pub(crate) fn add_reference(&mut self, reference: &NameReference) -> Result<(), String> {
        match self.name_references.iter_mut().find(|known| known.target == reference.target) {
            Some(known) => merge_specs(&mut known.referrers, &reference.referrers)?,
            None => {
                let mut referrers = Vec::with_capacity(reference.referrers.len());
                merge_specs(&mut referrers, &reference.referrers)?;
                self.name_references.push(NameReference { target: reference.target.clone(), referrers });
            }
        }
        Ok(())
    }

    /// Reads a file of `configurations`.
    pub(crate) fn read(value: &Value, problems: &Problems) -> Self {
        let mut config = Self::default();
        let Some(map) = value.as_map() else {
            problems.add(
                value.at,
                format!("expected a map of transformer configurations, found {}", value.type_in_words()),
            );
            return config;
        };
        for entry in map {
            let specs = match entry.key.as_str() {
                "namePrefix" => &mut config.name_prefix,
                "nameSuffix" => &mut config.name_suffix,
                "namespace" => &mut config.namespace,
                "commonLabels" => &mut config.common_labels,
                "labels" => &mut config.labels,
                "templateLabels" => &mut config.template_labels,
                "commonAnnotations" => &mut config.common_annotations,
                "images" => &mut config.images,
                "replicas" => &mut config.replicas,
                "varReference" => &mut config.var_references,
                "nameReference" => {
                    for item in entry.value.as_list().unwrap_or_default() {
                        let referrers = read_specs(item.get("fieldSpecs"), problems);
                        if let Err(message) =
                            config.add_reference(&NameReference { target: read_kinds(item), referrers })
                        {
                            problems.add(item.at, message);
                        }
                    }
                    continue;
                }
                _ => {
                    let message = format!("unknown field `{}` in a transformer configuration", entry.key);
                    problems.add(entry.key_at, message);
                    continue;
                }
            };
            specs.extend(read_specs(Some(&entry.value), problems));
        }
        config
    }
}

/// Adds field specs that are not there yet; the same path of the same kind is there once.
///
/// # Errors
/// If two disagree on whether the field is made where it is missing.
pub(crate) fn merge_specs(specs: &mut Vec<FieldSpec>, more: &[FieldSpec]) -> Result<(), String> {
    if specs.get(..more.len()).is_some_and(|known| known == more) {
        return Ok(());
    }
    for spec in more {
        // A known spec for a kind covers one for all kinds, by kustomize's reading.
        match specs.iter().find(|known| known.kinds.are_among(&spec.kinds) && known.path == spec.path) {
            None => specs.push(spec.clone()),
            Some(known) if known.create == spec.create => {}
            Some(_) => {
                return Err(format!(
                    "conflicting fieldspecs: `create` of `{}` is true in one and false in another",
                    spec.path_text()
                ));
            }
        }
    }
    Ok(())
}

/// Reads a list of field specs.
pub(crate) fn read_specs(value: Option<&Value>, problems: &Problems) -> Vec<FieldSpec> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Vec::new() };
    let Some(items) = value.as_list() else {
        problems.add(value.at, format!("expected a list of field specs, found {}", value.type_in_words()));
        return Vec::new();
    };
    let read = |item: &Value| {
        let Some(path) = item.lookup_str(&["path"]) else {
            problems.add(item.at, "a field spec needs a `path`");
            return None;
        };
        let create = item.get("create").and_then(Value::as_bool).unwrap_or(false);
        Some(FieldSpec { kinds: read_kinds(item), path: Keys::from(path.to_owned()), create })
    };
    items.iter().filter_map(read).collect()
}

fn read_kinds(item: &Value) -> Kinds {
    let part = |name: &str| Cow::Owned(item.lookup_str(&[name]).unwrap_or_default().to_owned());
    Kinds { group: part("group"), version: part("version"), kind: part("kind") }
}
