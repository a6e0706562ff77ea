//! `labels`, `commonLabels`, `commonAnnotations`.

use soll_yaml::{At, Entry, Map};

use super::{mark, visit};
use crate::accumulate::Builder;
use crate::field_spec::{FieldSpec, Leaf};
use crate::kustomization::Pairs;
use crate::problem::Problem;
use crate::resources::Resources;

/// Sets the pairs in each field that the specs name.
pub(crate) fn run(
    resources: &mut Resources,
    pairs: &Pairs,
    specs: &[FieldSpec],
    by: &'static str,
    builder: &Builder<'_>,
) {
    if pairs.is_empty() {
        return;
    }
    for resource in resources.contents_mut() {
        let gvk = resource.gvk();
        let mut scalar = None;
        for spec in specs.iter().filter(|spec| spec.applies_to(&gvk)) {
            visit(resource, spec, Leaf::Map, builder, &mut |field| {
                if field.as_map().is_none() && !field.is_null() {
                    scalar = Some((field.at, spec.path_text()));
                    return;
                }
                set(field.make_map(), pairs, by, builder);
            });
        }
        if let Some((at, path)) = scalar {
            let message = format!("`{path}` is no map, so {by} cannot add to it");
            builder.problems.push(Problem::new(at, message).of(&resource.id()));
        }
    }
}

fn set(map: &mut Map, pairs: &Pairs, by: &'static str, builder: &Builder<'_>) {
    for (key, text) in pairs {
        let before = map.get(key).map_or(At::NONE, |old| old.at);
        let at = mark(text.at, by, before, builder);
        map.insert_entry(Entry { key: key.clone(), key_at: at, value: text.value().at(at) });
    }
}
