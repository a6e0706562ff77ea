//! `namePrefix` and `nameSuffix`.

use soll_yaml::{Data, Value};

use super::{replace, visit};
use crate::accumulate::Builder;
use crate::field_spec::{FieldSpec, Leaf};
use crate::kustomization::Text;
use crate::resource::{Gvk, Resource};
use crate::resources::Resources;

/// At which end of a name something is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Affix {
    Prefix,
    Suffix,
}

/// Adds a prefix or suffix to names, and to what else the specs name.
pub(crate) fn run(resources: &mut Resources, text: &Text, affix: Affix, specs: &[FieldSpec], builder: &Builder<'_>) {
    let by = match affix {
        Affix::Prefix => "namePrefix",
        Affix::Suffix => "nameSuffix",
    };
    for resource in resources.iter_mut() {
        let first = resource.first_id();
        if keeps_its_name(&first.gvk) {
            continue;
        }
        for spec in specs.iter().filter(|spec| spec.applies_to(&first.gvk)) {
            if spec.path_text() == "metadata/name" {
                remember(resource, text, affix);
            }
            visit(resource, spec, Leaf::Existing, builder, &mut |field| {
                let Data::Str(old) = &field.data else { return };
                let new = match affix {
                    Affix::Prefix => format!("{}{old}", text.text),
                    Affix::Suffix => format!("{old}{}", text.text),
                };
                replace(field, Value::from(new).at(text.at), by, builder);
            });
        }
    }
}

fn remember(resource: &mut Resource, text: &Text, affix: Affix) {
    match affix {
        Affix::Prefix => resource.prefixes.push(text.text.clone()),
        Affix::Suffix => resource.suffixes.push(text.text.clone()),
    }
    resource.remember_id();
}

/// Kinds whose names mean something to others.
fn keeps_its_name(gvk: &Gvk) -> bool {
    match gvk.kind.as_str() {
        "CustomResourceDefinition" | "Namespace" => true,
        "APIService" => gvk.group.as_str() == "apiregistration.k8s.io",
        _ => false,
    }
}
