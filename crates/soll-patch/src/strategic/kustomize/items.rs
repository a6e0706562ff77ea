//! What tells the items of a list apart.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use soll_schema::TypeRef;
use soll_yaml::{Map, Value};

/// Items that one key tells apart, each by another value of it; or that do so themselves.
pub(super) struct Distinct<'v> {
    pub(super) items: &'v [Value],
    identities: Vec<Cow<'v, str>>,
    positions: HashMap<Cow<'v, str>, usize>,
}

impl<'v> Distinct<'v> {
    /// Both lists, if the items of both are such.
    pub(super) fn pair(old: &'v [Value], patch: &'v [Value], keys: &[&str]) -> Option<(Self, Self)> {
        let key = match keys {
            [] => None,
            [key] => Some(*key),
            _ => return None,
        };
        Some((Self::of(old, key)?, Self::of(patch, key)?))
    }

    fn of(items: &'v [Value], key: Option<&str>) -> Option<Self> {
        let mut identities = Vec::with_capacity(items.len());
        let mut positions = HashMap::with_capacity(items.len());
        for (position, item) in items.iter().enumerate() {
            let told_by = match key {
                Some(key) => item.get(key)?,
                None => item,
            };
            if is_empty(item) || told_by.is_null() {
                return None;
            }
            let identity = scalar(told_by);
            if identity.is_empty() || positions.insert(identity.clone(), position).is_some() {
                return None;
            }
            identities.push(identity);
        }
        Some(Self { items, identities, positions })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &'v Value)> {
        self.identities.iter().map(AsRef::as_ref).zip(self.items)
    }

    /// The item that an identity tells, and where it stands.
    pub(super) fn find(&self, identity: &str) -> Option<(usize, &'v Value)> {
        let position = *self.positions.get(identity)?;
        Some((position, &self.items[position]))
    }
}

/// An item that says nothing.
pub(super) fn is_empty(item: &Value) -> bool {
    item.as_map().is_some_and(Map::is_empty)
}

/// The keys that items are told apart by: all of the list type's, else the merge key; none for scalars.
pub(super) fn keys(of: Option<TypeRef<'_>>) -> Vec<&str> {
    let Some(of) = of else { return Vec::new() };
    let keys: Vec<&str> = of.map_keys().collect();
    if keys.is_empty() { of.patch_merge_key().into_iter().collect() } else { keys }
}

/// The key values of each item, empty where it lacks the key, each once, in order.
pub(super) fn identities<'v>(items: impl Iterator<Item = &'v Value>, keys: &[&str]) -> Vec<Vec<String>> {
    let mut seen: Vec<Vec<String>> = Vec::new();
    let mut known = HashSet::new();
    for item in items {
        let identity: Vec<String> = if keys.is_empty() {
            vec![scalar_text(item)]
        } else {
            keys.iter().map(|key| text(item, key).unwrap_or_default()).collect()
        };
        if known.insert(identity.clone()) {
            seen.push(identity);
        }
    }
    seen
}

/// Completes identities by each other where one lacks what the other has and the rest agrees.
pub(super) fn unify(identities: &mut [Vec<String>]) {
    for i in 0..identities.len() {
        for j in 0..identities.len() {
            if let Some(both) = agree(&identities[i], &identities[j]) {
                identities[i].clone_from(&both);
                identities[j] = both;
            }
        }
    }
}

fn agree(a: &[String], b: &[String]) -> Option<Vec<String>> {
    let mut shared = false;
    let mut both = Vec::with_capacity(a.len());
    for (a, b) in a.iter().zip(b) {
        shared |= a == b;
        if a != b && !a.is_empty() && !b.is_empty() {
            return None;
        }
        both.push(if a.is_empty() { b.clone() } else { a.clone() });
    }
    shared.then_some(both)
}

/// Says whether the item has these values for these keys.
pub(super) fn is(item: &Value, identity: &[(&str, &str)]) -> bool {
    !identity.is_empty()
        && identity.iter().all(|(key, value)| match *key {
            "" => scalar_text(item) == *value,
            key => text(item, key).as_deref() == Some(value),
        })
}

/// The text of a scalar under a key.
pub(super) fn text(item: &Value, key: &str) -> Option<String> {
    item.get(key).filter(|value| !value.is_null()).map(scalar_text)
}

pub(super) fn scalar_text(value: &Value) -> String {
    scalar(value).into_owned()
}

fn scalar(value: &Value) -> Cow<'_, str> {
    value.as_str().map_or_else(|| soll_yaml::to_json(value).into(), Cow::from)
}

/// Puts an item of the old list behind the merged ones, or over the one that is the same by its keys.
pub(super) fn put_back(merged: &mut Vec<Value>, item: Value, keys: &[&str]) {
    if keys.is_empty() {
        let value = scalar_text(&item);
        return set(merged, Some(item), &[("", value.as_str())], true);
    }
    let values: Vec<(&str, String)> = keys.iter().filter_map(|key| Some((*key, text(&item, key)?))).collect();
    if values.is_empty() {
        // As in kustomize: an item that cannot be told from others is left alone in the list.
        merged.clear();
        return merged.push(item);
    }
    let pairs: Vec<(&str, &str)> = values.iter().map(|(key, value)| (*key, value.as_str())).collect();
    if keys.len() > 1 {
        set(merged, None, &pairs, true);
    }
    set(merged, Some(item), &pairs, true);
}

/// Replaces the items that have these keys, or appends; without an item, removes them. Empty items go.
pub(super) fn set(list: &mut Vec<Value>, item: Option<Value>, identity: &[(&str, &str)], mut append: bool) {
    let by_key = identity.first().is_some_and(|(key, _)| !key.is_empty());
    let mut kept = Vec::with_capacity(list.len() + 1);
    for old in list.drain(..) {
        if old.is_null() || is_empty(&old) {
            continue;
        }
        let matches = if by_key && old.as_map().is_none() {
            false
        } else {
            identity.iter().all(|(key, value)| match *key {
                "" => scalar_text(&old) == *value,
                key => old.get(key).is_some() && (value.is_empty() || text(&old, key).as_deref() == Some(value)),
            })
        };
        if !matches {
            kept.push(old);
        } else if let Some(item) = &item {
            kept.push(item.clone());
            append = false;
        }
    }
    *list = kept;
    if append && let Some(item) = item {
        list.push(item);
    }
}
