//! By which types strategic merges go: those of Kubernetes, or those that `openapi` brings.

use std::cell::{Cell, OnceCell};

use soll_schema::{Definitions, Schemas, TypeRef};
use soll_yaml::Value;

use crate::resource::Gvk;
use crate::scope;

/// The types of one build. A schema of its own takes the place of Kubernetes', unless these were asked before.
#[derive(Default)]
pub(crate) struct MergeTypes {
    own: OnceCell<Definitions>,
    /// Whether those of Kubernetes were asked for by name: then no others come.
    kept: Cell<bool>,
    /// Whether the types of Kubernetes were needed when no others had come.
    kubernetes: Cell<bool>,
}

impl MergeTypes {
    /// Takes an OpenAPI document; the first one stays.
    pub(crate) fn bring(&self, document: &Value) {
        if !self.kept.get() {
            self.own.get_or_init(|| Definitions::read(document));
        }
    }

    /// Stays with what there is now.
    pub(crate) fn keep(&self) {
        self.kept.set(true);
    }

    /// Notes that the scope of an object was asked for: for a kind that it does not know, kustomize reads the types of
    /// Kubernetes, and keeps them beside those that come later.
    pub(crate) fn note_scope(&self, gvk: &Gvk) {
        if self.own.get().is_none() && !self.kubernetes.get() && !scope::is_known(gvk) {
            self.kubernetes.set(true);
        }
    }

    /// The type of the objects of a kind.
    pub(crate) fn of(&self, gvk: &Gvk) -> Option<TypeRef<'_>> {
        let own = self.own.get();
        if own.is_none() {
            self.kubernetes.set(true);
        }
        let brought = own.and_then(|own| own.kind(&gvk.group, &gvk.version, &gvk.kind));
        brought.or_else(|| {
            let builtin = || Schemas::builtin().merge_type(&gvk.group, &gvk.version, &gvk.kind);
            self.kubernetes.get().then(builtin).flatten()
        })
    }
}
