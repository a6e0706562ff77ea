//! `labels`, `commonLabels`, `commonAnnotations`.

use std::borrow::Cow;

use soll_yaml::{At, Entry, Map, Str, Value};

use super::{Single, mark, visit};
use crate::accumulate::Builder;
use crate::field_spec::{FieldSpec, Leaf};
use crate::kustomization::{Pairs, Text};
use crate::problem::Problem;
use crate::resource::Resource;

/// Sets pairs in each field that the specs name.
pub(crate) struct Add<'k> {
    pairs: &'k Pairs,
    specs: Cow<'k, [FieldSpec]>,
    by: &'static str,
}

impl<'k> Add<'k> {
    /// `by` is the field that asks for it.
    pub(crate) fn new(pairs: &'k Pairs, specs: impl Into<Cow<'k, [FieldSpec]>>, by: &'static str) -> Self {
        Self { pairs, specs: specs.into(), by }
    }
}

impl Single for Add<'_> {
    fn transform(&mut self, resource: &mut Resource, builder: &Builder<'_>) {
        if self.pairs.is_empty() {
            return;
        }
        let by = self.by;
        let gvk = resource.gvk().clone();
        let before = resource.before_change();
        let mut labels: Vec<Label<'_>> = self.pairs.iter().map(Label::new).collect();
        let mut scalar = None;
        for spec in self.specs.iter().filter(|spec| spec.applies_to(&gvk)) {
            visit(resource, spec, Leaf::Map, builder, &mut |field| {
                if field.as_map().is_none() && !field.is_null() {
                    scalar = Some((field.at, spec.path_text()));
                    return;
                }
                let map = field.make_map();
                labels.iter_mut().for_each(|label| label.set(map, by, builder));
            });
        }
        resource.settle(before.as_ref());
        for label in labels.into_iter().filter(|label| label.count > 1) {
            let at = mark(label.given.at, by, At::NONE, builder);
            resource.shared.add(label.text, at);
        }
        if let Some((at, path)) = scalar {
            let message = format!("`{path}` is no map, so {by} cannot add to it");
            builder.problems.push(Problem::new(at, message).of(resource.id()));
        }
    }
}

/// One pair on its way into the fields of an object.
struct Label<'p> {
    key: &'p Str,
    given: &'p Text,
    /// The text in memory of its own, for the fields that lack it: they share it.
    text: Str,
    count: usize,
}

impl<'p> Label<'p> {
    fn new((key, given): &'p (Str, Text)) -> Self {
        Self { key, given, text: Str::from(given.as_str()), count: 0 }
    }

    fn set(&mut self, map: &mut Map, by: &'static str, builder: &Builder<'_>) {
        let before = map.get(self.key).map(|old| old.at);
        let at = mark(self.given.at, by, before.unwrap_or(At::NONE), builder);
        let value = match before {
            Some(_) => self.given.value(),
            None => {
                self.count += 1;
                Value::from(self.text.clone())
            }
        };
        map.insert_entry(Entry { key: self.key.clone(), key_at: at, value: value.at(at) });
    }
}
