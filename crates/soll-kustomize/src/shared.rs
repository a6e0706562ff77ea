//! Labels that kustomize set in one go and holds once for several fields.
//!
//! When `commonLabels` adds `app: web` to an object, its labels, its selector and its template get one and the
//! same node. Whatever changes one of them later, a patch, a replacement, a label of an overlay, changes all.

use soll_yaml::{Data, Str, Value};

use crate::resource::Resource;

/// Texts of an object that stand in several fields at once. A field is one of them if its text is the same memory.
#[derive(Clone, Default)]
pub(crate) struct Shared(Vec<Str>);

impl Shared {
    /// Notes a text that was just put into several fields, and into none besides.
    pub(crate) fn add(&mut self, text: Str) {
        self.0.push(text);
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
        (!self.shared.0.is_empty()).then(|| self.value.clone())
    }

    /// Brings fields that are one in line after a change of some of them; the last one wins.
    pub(crate) fn settle(&mut self, before: Option<&Value>) {
        let Some(before) = before else { return };
        let mut groups = std::mem::take(&mut self.shared.0);
        for text in &mut groups {
            let mut last = None;
            find_change(before, &self.value, text, &mut last);
            let Some(Data::Str(changed)) = last.map(|value| value.data) else { continue };
            // Memory of its own, so that nothing else is taken for one of them.
            let fresh = Str::from(changed.as_str());
            replace(before, &mut self.value, text, &fresh);
            *text = fresh;
        }
        self.shared.0 = groups;
    }
}

fn is_it(value: &Value, text: &Str) -> bool {
    matches!(&value.data, Data::Str(other) if Str::ptr_eq(other, text))
}

/// The last of the fields, in the order of keys, that held the text and holds another.
fn find_change(before: &Value, now: &Value, text: &Str, last: &mut Option<Value>) {
    if before.same(now) {
        return;
    }
    match (&before.data, &now.data) {
        (Data::Map(before), Data::Map(now)) => {
            for entry in before.sorted() {
                if let Some(now) = now.get(&entry.key) {
                    find_change(&entry.value, now, text, last);
                }
            }
        }
        (Data::List(before), Data::List(now)) => {
            before.iter().zip(now.iter()).for_each(|(before, now)| find_change(before, now, text, last));
        }
        _ if is_it(before, text) && !is_it(now, text) => *last = Some(now.clone()),
        _ => {}
    }
}

fn replace(before: &Value, now: &mut Value, text: &Str, new: &Str) {
    match &before.data {
        Data::Map(before) => {
            for entry in before.iter().filter(|entry| holds(&entry.value, text)) {
                if let Some(now) = now.get_mut(&entry.key) {
                    replace(&entry.value, now, text, new);
                }
            }
        }
        Data::List(before) => {
            let Some(now) = now.as_list_mut() else { return };
            before.iter().zip(now.iter_mut()).for_each(|(before, now)| replace(before, now, text, new));
        }
        _ if is_it(before, text) => now.data = Data::Str(new.clone()),
        _ => {}
    }
}

fn holds(value: &Value, text: &Str) -> bool {
    match &value.data {
        Data::Map(map) => map.iter().any(|entry| holds(&entry.value, text)),
        Data::List(items) => items.iter().any(|item| holds(item, text)),
        _ => is_it(value, text),
    }
}
