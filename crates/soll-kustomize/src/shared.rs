//! Labels that kustomize set in one go and holds once for several fields.
//!
//! When `commonLabels` adds `app: web` to an object, its labels, its selector and its template get one and the
//! same node. Whatever changes one of them later, a patch, a replacement, a label of an overlay, changes all.

use soll_yaml::{At, Data, Str, Value};

use crate::resource::Resource;

/// Texts of an object that stand in several fields at once.
#[derive(Clone, Default)]
pub(crate) struct Shared(Vec<One>);

/// A text, and where it was written. A field is one with others if its text is the same memory; empty texts are always
/// the same, so of these the place tells.
#[derive(Clone)]
struct One {
    text: Str,
    at: At,
}

impl One {
    fn is_in(&self, field: &Value) -> bool {
        let is_same = matches!(&field.data, Data::Str(other) if Str::ptr_eq(other, &self.text));
        is_same && (!self.text.is_empty() || field.at == self.at)
    }
}

impl Shared {
    /// Notes a text that was just put into several fields, and into none besides, each with this place.
    pub(crate) fn add(&mut self, text: Str, at: At) {
        self.0.push(One { text, at });
    }

    /// Whether any field may be one with another.
    pub(crate) fn is_any(&self) -> bool {
        !self.0.is_empty()
    }

    /// From now on each field is its own.
    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }
}

impl Resource {
    /// The object as it is before a change, if that matters afterwards.
    pub(crate) fn before_change(&self) -> Option<Value> {
        (!self.shared.0.is_empty()).then(|| self.value().clone())
    }

    /// Brings fields that are one in line after a change of some of them; the last one wins.
    pub(crate) fn settle(&mut self, before: Option<&Value>) {
        let Some(before) = before else { return };
        let mut groups = std::mem::take(&mut self.shared.0);
        for one in &mut groups {
            let mut last = None;
            find_change(before, self.value(), one, &mut last);
            let Some(Data::Str(changed)) = last.map(|value| value.data) else { continue };
            // Memory of its own, so that nothing else is taken for one of them.
            let fresh = Str::from(changed.as_str());
            replace(before, self.value_mut(), one, &fresh);
            one.text = fresh;
        }
        self.shared.0 = groups;
    }
}

/// The last of the fields, in the order of keys, that held the text and holds another.
fn find_change(before: &Value, now: &Value, one: &One, last: &mut Option<Value>) {
    if before.same(now) {
        return;
    }
    match (&before.data, &now.data) {
        (Data::Map(before), Data::Map(now)) => {
            for entry in before.sorted() {
                if let Some(now) = now.get(&entry.key) {
                    find_change(&entry.value, now, one, last);
                }
            }
        }
        (Data::List(before), Data::List(now)) => {
            before.iter().zip(now.iter()).for_each(|(before, now)| find_change(before, now, one, last));
        }
        _ if one.is_in(before) && !one.is_in(now) => *last = Some(now.clone()),
        _ => {}
    }
}

fn replace(before: &Value, now: &mut Value, one: &One, new: &Str) {
    match &before.data {
        Data::Map(before) => {
            for entry in before.iter().filter(|entry| holds(&entry.value, one)) {
                if let Some(now) = now.get_mut(&entry.key) {
                    replace(&entry.value, now, one, new);
                }
            }
        }
        Data::List(before) => {
            let Some(now) = now.as_list_mut() else { return };
            before.iter().zip(now.iter_mut()).for_each(|(before, now)| replace(before, now, one, new));
        }
        _ if one.is_in(before) => now.data = Data::Str(new.clone()),
        _ => {}
    }
}

fn holds(value: &Value, one: &One) -> bool {
    match &value.data {
        Data::Map(map) => map.iter().any(|entry| holds(&entry.value, one)),
        Data::List(items) => items.iter().any(|item| holds(item, one)),
        _ => one.is_in(value),
    }
}
