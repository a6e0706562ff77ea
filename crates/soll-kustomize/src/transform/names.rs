//! `namePrefix` and `nameSuffix`.

use soll_yaml::{Data, Value};

use super::{Single, replace, visit};
use crate::accumulate::Builder;
use crate::field_spec::{FieldSpec, Leaf};
use crate::kustomization::Text;
use crate::resource::{Gvk, Resource};

/// At which end of a name something is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Affix {
    Prefix,
    Suffix,
}

/// Adds a prefix or suffix to names, and to what else the specs name.
pub(crate) struct Affixed<'k> {
    pub(crate) text: &'k Text,
    pub(crate) affix: Affix,
    pub(crate) specs: &'k [FieldSpec],
}

impl Single for Affixed<'_> {
    fn renames(&self) -> bool {
        true
    }

    fn transform(&mut self, resource: &mut Resource, builder: &Builder<'_>) {
        let by = match self.affix {
            Affix::Prefix => "namePrefix",
            Affix::Suffix => "nameSuffix",
        };
        let gvk = resource.first_gvk();
        if keeps_its_name(&gvk) {
            return;
        }
        for spec in self.specs.iter().filter(|spec| spec.applies_to(&gvk)) {
            if spec.path.as_str() == "metadata/name" {
                remember(resource, self.text, self.affix);
            }
            visit(resource, spec, Leaf::Existing, builder, &mut |field| {
                let Data::Str(old) = &field.data else { return };
                let text = &self.text.text;
                let new = match self.affix {
                    Affix::Prefix => format!("{text}{old}"),
                    Affix::Suffix => format!("{old}{text}"),
                };
                replace(field, Value::from(new).at(self.text.at), by, builder);
            });
        }
    }
}

fn remember(resource: &mut Resource, text: &Text, affix: Affix) {
    match affix {
        Affix::Prefix => resource.remember_prefix(text.text.clone()),
        Affix::Suffix => resource.remember_suffix(text.text.clone()),
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
