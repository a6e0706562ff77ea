//! `namespace`.

use foldhash::{HashMap, HashMapExt as _};
use soll_yaml::{At, Value};

use super::{Single, replace, visit};
use crate::accumulate::Builder;
use crate::field_spec::{FieldSpec, Leaf};
use crate::kustomization::Text;
use crate::problem::Problem;
use crate::resource::{Id, Resource};

/// How the transformer treats what has a namespace already, and subjects of role bindings.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mode {
    /// Only objects without a namespace get one.
    pub(crate) unset_only: bool,
    pub(crate) subjects: Subjects,
}

/// Which subjects of role bindings get the namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Subjects {
    /// Those named `default`; others follow their ServiceAccount.
    #[default]
    Default,
    AllServiceAccounts,
    None,
}

/// Moves namespaced objects into a namespace.
pub(crate) struct Move<'k> {
    namespace: &'k Text,
    specs: &'k [FieldSpec],
    mode: Mode,
    /// What the objects that came already are called: where the first one stands, and how many there are.
    seen: HashMap<Id, (At, usize)>,
}

impl<'k> Move<'k> {
    /// For about so many objects.
    pub(crate) fn new(namespace: &'k Text, specs: &'k [FieldSpec], mode: Mode, count: usize) -> Self {
        Self { namespace, specs, mode, seen: HashMap::with_capacity(count) }
    }
}

impl Single for Move<'_> {
    fn renames(&self) -> bool {
        true
    }

    fn transform(&mut self, resource: &mut Resource, builder: &Builder<'_>) {
        // A chart was told its namespace.
        if !resource.is_from_chart {
            resource.remember_id();
            of_object(resource, self.namespace, self.specs, &self.mode, builder);
        }
        // Objects that only their namespace told apart are now one too many.
        let (first, count) = self.seen.entry(resource.id().key()).or_insert((resource.at(), 0));
        *count += 1;
        if *count == 2 {
            let both = [*first, resource.at()].map(|at| builder.object_at(at)).join(" and ");
            let message = format!("namespace transformation produces ID conflict: {both} have one name now");
            builder.problems.push(Problem::new(self.namespace.at, message).of(resource.id()));
        }
    }
}

/// Moves one object into a namespace.
pub(crate) fn of_object(
    resource: &mut Resource,
    namespace: &Text,
    specs: &[FieldSpec],
    mode: &Mode,
    builder: &Builder<'_>,
) {
    let gvk = resource.gvk().clone();
    if !gvk.is_cluster_scoped() {
        let metadata = FieldSpec::new("", "", "", "metadata/namespace", true);
        visit(resource, &metadata, Leaf::Scalar, builder, &mut |field| set(field, namespace, mode, builder));
    }
    let is_binding = matches!(gvk.kind.as_str(), "RoleBinding" | "ClusterRoleBinding");
    if is_binding {
        subjects(resource, namespace, mode, builder);
    }
    for spec in specs.iter().filter(|spec| spec.applies_to(&gvk)) {
        let path = spec.path.as_str();
        let is_core = resource.value().lookup_str(&["apiVersion"]) == Some("v1");
        let handled = path == "metadata/namespace"
            || (path == "metadata/name" && !is_core)
            || (is_binding && path == "subjects/namespace");
        if !handled {
            visit(resource, spec, Leaf::Scalar, builder, &mut |field| set(field, namespace, mode, builder));
        }
    }
}

fn set(field: &mut Value, namespace: &Text, mode: &Mode, builder: &Builder<'_>) {
    let is_empty = field.is_null() || field.as_str().is_some_and(str::is_empty);
    if (mode.unset_only && !is_empty) || field.as_str() == Some(namespace.as_str()) {
        return;
    }
    replace(field, namespace.value(), "namespace", builder);
}

fn subjects(resource: &mut Resource, namespace: &Text, mode: &Mode, builder: &Builder<'_>) {
    let is_meant = |subject: &Value| match mode.subjects {
        Subjects::Default => subject.lookup_str(&["name"]) == Some("default"),
        Subjects::AllServiceAccounts => subject.lookup_str(&["kind"]) == Some("ServiceAccount"),
        Subjects::None => false,
    };
    let Some(subjects) = resource.value_mut_at("subjects").get_mut("subjects").and_then(Value::as_list_mut) else {
        return;
    };
    for subject in subjects.iter_mut().filter(|subject| is_meant(subject)) {
        let field = subject.make_map().get_or_insert_with("namespace", Value::null);
        set(field, namespace, mode, builder);
    }
}
