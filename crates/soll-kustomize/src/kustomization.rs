//! What a kustomization file says.

mod charts;
mod fields;
mod read;

pub(crate) use charts::{Chart, ValuesMerge, chart};
pub(crate) use fields::{Fields, Pairs, Text};
pub(crate) use read::{Unknown, generator, image, patch, read, replacement_rule, replica};

use std::sync::Arc;

use soll_tree::TreePath;
use soll_yaml::{At, Value};

use crate::field_spec::FieldSpec;
use crate::load::clean_join;
use crate::provenance::Origin;
use crate::remote::RemoteDirectory;
use crate::resource::{Behavior, Gvk};
use crate::selector::Selector;

/// The names under which a directory's kustomization is found.
pub(crate) const FILE_NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// One kustomization or component, as its file says. Every text knows its place.
#[derive(Clone, Default)]
pub(crate) struct Kustomization {
    pub(crate) directory: TreePath,
    pub(crate) file: String,
    /// The directory as the overlays name it, from the root of the build.
    pub(crate) shown_directory: String,
    /// The repository that it was fetched from, if it was.
    pub(crate) repository: Option<Arc<RemoteDirectory>>,
    /// Whether it says nothing at all.
    pub(crate) is_empty: bool,
    pub(crate) at: At,
    pub(crate) is_component: bool,
    pub(crate) resources: Vec<Text>,
    pub(crate) components: Vec<Text>,
    pub(crate) crds: Vec<Text>,
    pub(crate) configurations: Vec<Text>,
    pub(crate) generators: Vec<Text>,
    pub(crate) transformers: Vec<Text>,
    pub(crate) validators: Vec<Text>,
    pub(crate) namespace: Option<Text>,
    pub(crate) name_prefix: Option<Text>,
    pub(crate) name_suffix: Option<Text>,
    pub(crate) patches_strategic_merge: Vec<Text>,
    pub(crate) patches: Vec<Patch>,
    pub(crate) patches_json: Vec<Patch>,
    pub(crate) common_labels: Pairs,
    pub(crate) labels: Vec<Label>,
    pub(crate) common_annotations: Pairs,
    pub(crate) config_maps: Vec<Generator>,
    pub(crate) secrets: Vec<Generator>,
    pub(crate) charts: Vec<Chart>,
    pub(crate) images: Vec<Image>,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) replacements: Vec<Replacement>,
    pub(crate) vars: Vec<Var>,
    pub(crate) openapi: Option<Text>,
    pub(crate) openapi_version: Option<Text>,
    pub(crate) build_metadata: Vec<Text>,
    pub(crate) sort: Option<Sort>,
}

impl Kustomization {
    /// The file, from the root of the build as the overlays name it.
    pub(crate) fn origin(&self) -> Origin {
        Origin { path: clean_join(&self.shown_directory, &self.file), repository: self.repository.clone() }
    }
}

/// A patch, inline or in a file, of either kind.
#[derive(Clone)]
pub(crate) struct Patch {
    pub(crate) at: At,
    pub(crate) path: Option<Text>,
    pub(crate) inline: Option<Text>,
    pub(crate) target: Option<Selector>,
    pub(crate) allow_name_change: bool,
    pub(crate) allow_kind_change: bool,
}

/// Labels, and where they go.
#[derive(Clone)]
pub(crate) struct Label {
    pub(crate) at: At,
    pub(crate) pairs: Pairs,
    pub(crate) include_selectors: bool,
    pub(crate) include_templates: bool,
    pub(crate) fields: Vec<FieldSpec>,
}

/// A ConfigMap or Secret to be made.
#[derive(Clone, Default)]
pub(crate) struct Generator {
    pub(crate) at: At,
    pub(crate) name: Option<Text>,
    pub(crate) namespace: Option<Text>,
    pub(crate) behavior: Behavior,
    /// Of a Secret.
    pub(crate) secret_type: Option<Text>,
    pub(crate) literals: Vec<Text>,
    pub(crate) files: Vec<Text>,
    pub(crate) envs: Vec<Text>,
    pub(crate) options: GeneratorOptions,
}

/// What generated objects have besides data.
#[derive(Clone, Default)]
pub(crate) struct GeneratorOptions {
    pub(crate) labels: Pairs,
    pub(crate) annotations: Pairs,
    pub(crate) disable_hash: bool,
    pub(crate) immutable: bool,
}

/// Another name, tag or digest for an image.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) at: At,
    pub(crate) name: Text,
    pub(crate) new_name: Option<Text>,
    pub(crate) new_tag: Option<Text>,
    pub(crate) tag_suffix: Option<Text>,
    pub(crate) digest: Option<Text>,
}

/// How many of something run.
#[derive(Clone)]
pub(crate) struct Replica {
    pub(crate) name: Text,
    pub(crate) count: Value,
}

/// A replacement, or the file that holds some.
#[derive(Clone)]
pub(crate) enum Replacement {
    File(Text),
    Inline(Box<ReplacementRule>),
}

/// A value that is copied to other fields.
#[derive(Clone)]
pub(crate) struct ReplacementRule {
    pub(crate) at: At,
    pub(crate) source: ReplacementSource,
    pub(crate) targets: Vec<ReplacementTarget>,
}

/// Where the copied value comes from.
#[derive(Clone)]
pub(crate) enum ReplacementSource {
    Value(Text),
    Field { gvk: Gvk, name: Option<Text>, namespace: Option<Text>, path: Option<Text>, part: Option<Part> },
}

/// One part of a text that is split.
#[derive(Clone)]
pub(crate) struct Part {
    pub(crate) delimiter: Text,
    pub(crate) index: i64,
}

/// Which fields of which objects take the value.
#[derive(Clone)]
pub(crate) struct ReplacementTarget {
    pub(crate) at: At,
    pub(crate) select: Selector,
    pub(crate) reject: Vec<Selector>,
    pub(crate) paths: Vec<Text>,
    pub(crate) part: Option<Part>,
    pub(crate) create: bool,
}

/// A variable for `$(NAME)`.
#[derive(Clone)]
pub(crate) struct Var {
    pub(crate) at: At,
    pub(crate) name: Text,
    pub(crate) gvk: Gvk,
    pub(crate) object: Text,
    pub(crate) namespace: Option<Text>,
    pub(crate) path: Text,
}

/// The order of the output that the root asks for.
#[derive(Clone)]
pub(crate) enum Sort {
    Fifo,
    Legacy { first: Vec<Text>, last: Vec<Text> },
}
