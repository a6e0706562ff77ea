//! `replicas`.

use super::{replace, visit};
use crate::accumulate::Builder;
use crate::field_spec::{FieldSpec, Leaf};
use crate::kustomization::Replica;
use crate::resources::Resources;

/// Sets the number of replicas of everything of that name that can have some.
pub(crate) fn run(resources: &mut Resources, replica: &Replica, specs: &[FieldSpec], builder: &Builder<'_>) {
    let mut is_found = false;
    for position in resources.named(&replica.name.text).to_vec() {
        let ids: Vec<_> = resources.get(position).ids().filter(|id| id.name == replica.name.text).collect();
        for spec in specs {
            if !ids.iter().any(|id| spec.applies_to(&id.gvk)) {
                continue;
            }
            is_found = true;
            visit(resources.content_mut(position), spec, Leaf::Scalar, builder, &mut |field| {
                replace(field, replica.count.clone(), "replicas", builder);
            });
        }
    }
    if !is_found {
        let kinds: Vec<_> = specs.iter().map(|spec| spec.kinds.kind.as_ref()).collect();
        let name = &replica.name.text;
        builder.problems.add(replica.name.at, format!("`{name}` matches no {}", kinds.join(", no ")));
    }
}
