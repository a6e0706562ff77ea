//! The objects of a build, in order, found by what they are called.

use std::cell::OnceCell;

use foldhash::{HashMap, HashMapExt as _};
use soll_yaml::{Str, Value};

use crate::accumulate::Builder;
use crate::problem::Problem;
use crate::resource::{Behavior, Id, Resource};
use crate::written::after_json;

/// Objects in the order of reading. Looking one up by any of its names costs no scan.
#[derive(Clone, Default)]
pub(crate) struct Resources {
    list: Vec<Resource>,
    /// Positions by each name that an object has or had; made when asked for.
    by_name: OnceCell<HashMap<Str, Vec<usize>>>,
    /// Whether objects could have got other names since somebody asked.
    may_be_renamed: bool,
}

impl Resources {
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Resource> {
        self.list.iter()
    }

    pub(crate) fn get(&self, position: usize) -> &Resource {
        &self.list[position]
    }

    /// One object for changing anything but its names.
    pub(crate) fn content_mut(&mut self, position: usize) -> &mut Resource {
        &mut self.list[position]
    }

    /// One object for changing its names too.
    pub(crate) fn get_mut(&mut self, position: usize) -> &mut Resource {
        self.by_name.take();
        self.may_be_renamed = true;
        &mut self.list[position]
    }

    /// All objects for changing their names too.
    pub(crate) fn iter_mut(&mut self) -> std::slice::IterMut<'_, Resource> {
        self.by_name.take();
        self.may_be_renamed = true;
        self.list.iter_mut()
    }

    /// Whether objects could have got other names since this was asked last.
    pub(crate) fn take_renamed(&mut self) -> bool {
        std::mem::take(&mut self.may_be_renamed)
    }

    /// All objects for changing anything but their names.
    pub(crate) fn contents_mut(&mut self) -> std::slice::IterMut<'_, Resource> {
        self.list.iter_mut()
    }

    /// All objects for changing their names only if `renames` says so.
    pub(crate) fn walk(&mut self, renames: bool) -> std::slice::IterMut<'_, Resource> {
        if renames { self.iter_mut() } else { self.contents_mut() }
    }

    pub(crate) fn retain_mut(&mut self, keep: impl FnMut(&mut Resource) -> bool) {
        self.by_name.take();
        self.list.retain_mut(keep);
    }

    /// Sorts by keys, each of which is made once.
    pub(crate) fn sort_by_key<K: Ord>(&mut self, key: impl FnMut(&Resource) -> K) {
        self.by_name.take();
        self.list.sort_by_cached_key(key);
    }

    pub(crate) fn into_vec(self) -> Vec<Resource> {
        self.list
    }

    /// Positions of the objects that are or were called so, in order.
    pub(crate) fn named(&self, name: &str) -> &[usize] {
        let index = self.by_name.get_or_init(|| {
            let mut index: HashMap<Str, Vec<usize>> = HashMap::with_capacity(self.list.len());
            for (position, resource) in self.list.iter().enumerate() {
                for id in resource.ids() {
                    let positions = index.entry(id.name).or_default();
                    if positions.last() != Some(&position) {
                        positions.push(position);
                    }
                }
            }
            index
        });
        index.get(name).map_or(&[], Vec::as_slice)
    }

    /// Positions of the objects that have or had this id.
    pub(crate) fn with_any_id(&self, id: &Id) -> Vec<usize> {
        let key = id.key();
        let is_it = |position: &usize| self.list[*position].ids().any(|other| other.key() == key);
        self.named(&id.name).iter().copied().filter(is_it).collect()
    }

    /// Adds an object at the end; its id must be new.
    pub(crate) fn append(&mut self, resource: Resource, builder: &Builder<'_>) {
        let key = resource.id().key();
        let twin = self.named(&key.name).iter().find(|position| self.list[**position].id().key() == key);
        if let Some(twin) = twin {
            let twin = builder.object_at(self.list[*twin].at());
            let message = format!("may not add resource with an already registered id; {twin} has it");
            builder.problems.push(Problem::new(resource.at(), message).of(resource.id()));
            return;
        }
        self.push(resource);
    }

    /// Adds a generated object, or merges it into the one it names.
    pub(crate) fn absorb(&mut self, mut resource: Resource, builder: &Builder<'_>) {
        let problems = &builder.problems;
        let id = resource.id();
        let matches = self.with_any_id(id);
        let complain = |message: &str| problems.push(Problem::new(resource.at(), message).of(resource.id()));
        match (matches.as_slice(), resource.behavior) {
            ([], Behavior::Create) => self.append(resource, builder),
            ([], Behavior::Merge | Behavior::Replace) => {
                complain("no such object exists; `behavior` merge or replace needs one");
            }
            ([_], Behavior::Create) => {
                complain("such an object exists already; set `behavior` to merge or replace");
            }
            ([position], Behavior::Merge | Behavior::Replace) => {
                let old = &self.list[*position];
                let text = |value: &Value| match old.is_unquoted {
                    true => after_json(value).into(),
                    false => builder.written.text(value),
                };
                if resource.behavior == Behavior::Merge {
                    resource.fill_data_from(old, &text);
                }
                resource.take_metadata_of(old, &text);
                *self.get_mut(*position) = resource;
            }
            _ => complain("several objects could take this merge; give them different names"),
        }
    }

    fn push(&mut self, resource: Resource) {
        if let Some(index) = self.by_name.get_mut() {
            for id in resource.ids() {
                let positions = index.entry(id.name).or_default();
                if positions.last() != Some(&self.list.len()) {
                    positions.push(self.list.len());
                }
            }
        }
        self.list.push(resource);
    }
}

impl Resource {
    /// Takes name, namespace, labels, annotations and history of the object that this one replaces.
    fn take_metadata_of(&mut self, old: &Self, text: &dyn Fn(&Value) -> Str) {
        for field in ["labels", "annotations"] {
            let Some(before) = old.value().lookup(&["metadata", field]).and_then(|pairs| pairs.as_map()) else {
                continue;
            };
            let mut merged = before.clone();
            if let Some(own) = self.value().lookup(&["metadata", field]).and_then(|pairs| pairs.as_map()) {
                for entry in own {
                    merged.insert_entry(entry.clone());
                }
            }
            self.set_metadata(field, merged.into());
            self.write_metadata_as_text(field, text);
        }
        self.shared.forget();
        for field in ["name", "namespace"] {
            let before = old.value().lookup(&["metadata", field]).cloned();
            self.set_metadata(field, before.unwrap_or_else(|| "".into()));
        }
        self.take_history_of(old);
        if self.behavior == Behavior::Merge {
            self.origin = old.origin.clone();
        }
        self.transformations = old.transformations.clone();
        self.vars = old.vars.clone();
        self.is_generated = old.is_generated;
        // A hash is only added if both ask for it.
        self.needs_hash &= old.needs_hash;
        self.behavior = old.behavior;
    }

    /// Adds what only the old object has to the data.
    fn fill_data_from(&mut self, old: &Self, text: &dyn Fn(&Value) -> Str) {
        for field in ["data", "binaryData"] {
            let before = old.value().get(field).and_then(|data| data.as_map());
            let mut merged = before.cloned().unwrap_or_default();
            for (_, value) in merged.iter_mut().filter(|(_, value)| value.as_str().is_none()) {
                *value = Value::from(text(value)).at(value.at);
            }
            if let Some(own) = self.value().get(field).and_then(|data| data.as_map()) {
                for entry in own {
                    merged.insert_entry(entry.clone());
                }
            }
            let object = self.value_mut().make_map();
            match (merged.is_empty(), before) {
                (true, _) => drop(object.remove(field)),
                (false, Some(_)) => drop(object.insert(field, merged.into())),
                (false, None) => {}
            }
        }
    }
}
