//! Strategic merge as the API server does it.

use std::cmp::Ordering;

use soll_schema::TypeRef;
use soll_yaml::{At, Entry, FieldPath, Map, Step, Value};

use super::{DIRECTIVE, error, within};
use crate::{PatchError, Trace};

const ORDER: &str = "$setElementOrder";
const DELETE_FROM: &str = "$deleteFromPrimitiveList";
const RETAIN_KEYS: &str = "$retainKeys";

pub(super) fn merge(
    target: &Value,
    patch: &Value,
    of: Option<TypeRef<'_>>,
    trace: Option<Trace<'_>>,
    path: &mut FieldPath,
) -> Result<Value, PatchError> {
    if patch.as_map().is_none() {
        return Err(error(path, patch, format!("a patch is a map, found {}", patch.type_in_words())));
    }
    Merge { trace }.map(target, patch, of, path)
}

struct Merge<'s> {
    trace: Option<Trace<'s>>,
}

impl Merge<'_> {
    fn map(
        &self,
        target: &Value,
        patch: &Value,
        of: Option<TypeRef<'_>>,
        path: &mut FieldPath,
    ) -> Result<Value, PatchError> {
        let changes = patch.as_map().expect("callers pass maps");
        if let Some(directive) = changes.get(DIRECTIVE) {
            return match directive.as_str() {
                Some("replace") => {
                    let mut replaced = patch.clone();
                    replaced.make_map().remove(DIRECTIVE);
                    Ok(replaced)
                }
                Some("delete") => Ok(Value::map().at(target.at)),
                _ => {
                    Err(error(path, directive, format!("unknown `$patch: {directive:?}`, expected replace or delete")))
                }
            };
        }
        let mut merged = if target.as_map().is_some() { target.clone() } else { Value::map().at(target.at) };
        retain_keys(&mut merged, changes, path)?;
        let mut ordered = Vec::new();
        for (key, order) in directives(changes, ORDER) {
            self.ordered(&mut merged, changes, key, order, of, path)?;
            ordered.push(key);
        }
        for (key, gone) in directives(changes, DELETE_FROM) {
            let Some(list) = merged.get_mut(key).and_then(Value::as_list_mut) else { continue };
            let gone = list_of(gone, path)?;
            list.retain(|item| !gone.contains(item));
        }
        for change in changes {
            let key = change.key.as_str();
            if key == RETAIN_KEYS || ordered.contains(&key) || is_directive(key) {
                continue;
            }
            let old = merged.get(key).cloned();
            if change.value.is_null() {
                if old.is_some() {
                    merged.make_map().remove(key);
                }
                continue;
            }
            let of = of.and_then(|of| of.field(key));
            let new = within(path, Step::Key(change.key.clone()), |path| match &old {
                Some(old) if old.as_map().is_some() && change.value.as_map().is_some() => {
                    if of.is_some_and(|of| of.patch_strategy().replace) {
                        return Ok(Some(Trace::mark(self.trace, &change.value, old.at)));
                    }
                    self.map(old, &change.value, of, path).map(Some)
                }
                Some(old) if old.as_list().is_some() && change.value.as_list().is_some() => {
                    self.list(old, &change.value, of, path).map(Some)
                }
                old => {
                    let before = old.as_ref().map_or(At::NONE, |old| old.at);
                    Ok(cleaned(&change.value, Directives::Obeyed).map(|value| Trace::mark(self.trace, &value, before)))
                }
            })?;
            match new {
                Some(value) => {
                    let entry = Entry { key: change.key.clone(), key_at: change.key_at, value };
                    merged.make_map().insert_entry(entry);
                }
                None => {
                    merged.make_map().remove(key);
                }
            }
        }
        Ok(merged)
    }

    /// Merges a list whose order the patch gives.
    fn ordered(
        &self,
        merged: &mut Value,
        changes: &Map,
        key: &str,
        order: &Value,
        of: Option<TypeRef<'_>>,
        path: &mut FieldPath,
    ) -> Result<(), PatchError> {
        let of = of.and_then(|of| of.field(key));
        let merge_key = of.and_then(|of| of.patch_merge_key());
        let order = list_of(order, path)?.to_vec();
        let (old, patch) = (merged.get(key).cloned(), changes.get(key));
        let items = within(path, Step::Key(key.into()), |path| {
            if let Some(patch) = patch {
                check_order(list_of(patch, path)?, &order, merge_key, path)?;
            }
            match (&old, patch) {
                (Some(old), None) => list_of(old, path).map(<[Value]>::to_vec),
                (None, Some(patch)) => Ok(cleaned_items(list_of(patch, path)?, Directives::Obeyed)),
                (Some(old), Some(patch)) => {
                    let merged = self.list(old, patch, of, path)?;
                    Ok(merged.as_list().unwrap_or_default().to_vec())
                }
                (None, None) => Ok(Vec::new()),
            }
        })?;
        if old.is_none() && patch.is_none() {
            return Ok(());
        }
        let before = old.as_ref().and_then(Value::as_list).unwrap_or_default();
        let before = reused(before, &items, merge_key);
        let items = sorted(items, &order, &before, merge_key);
        let at = old.as_ref().map_or(At::NONE, |old| old.at);
        merged.make_map().insert(key, Value::list(items).at(at));
        Ok(())
    }

    fn list(
        &self,
        target: &Value,
        patch: &Value,
        of: Option<TypeRef<'_>>,
        path: &mut FieldPath,
    ) -> Result<Value, PatchError> {
        if !of.is_some_and(|of| of.patch_strategy().merge) {
            return Ok(Trace::mark(self.trace, patch, target.at));
        }
        let (old, new) = (target.as_list().unwrap_or_default(), patch.as_list().unwrap_or_default());
        let Some(merge_key) = of.and_then(|of| of.patch_merge_key()) else {
            // Also what stood twice before stands once then.
            let mut items: Vec<Value> = Vec::new();
            for item in old.iter().chain(new) {
                if !items.contains(item) {
                    items.push(item.clone());
                }
            }
            return Ok(Value::list(sorted(items, new, old, None)).at(target.at));
        };
        let (mut items, changes) = self.special_items(old, new, merge_key, path)?;
        let (before, mut added) = (items.clone(), Vec::new());
        let item_type = of.and_then(|of| of.items());
        for change in &changes {
            let key = key_of(change, merge_key, path)?;
            match items.iter().position(|item| item.get(merge_key) == Some(key)) {
                Some(position) => {
                    let step = Step::Index(position);
                    let old = items[position].clone();
                    items[position] = within(path, step, |path| self.map(&old, change, item_type, path))?;
                }
                None => {
                    items.push(change.clone());
                    added.push(change.clone());
                }
            }
        }
        // Items are put in order by their keys, so those that were there need one, too.
        for item in &before {
            key_of(item, merge_key, path)?;
        }
        // New items are cleaned when they have their places: a key of null counts for the order. Directives in them stay:
        // whoever reads the object takes them for fields that nobody knows.
        let items = sorted(items, &changes, &before, Some(merge_key)).into_iter();
        let items = items.filter_map(|item| match added.contains(&item) {
            true => cleaned(&item, Directives::Kept),
            false => Some(item),
        });
        Ok(Value::list(items.collect()).at(target.at))
    }

    /// Obeys the items that are directives; returns the old items that stay and the changes to them.
    fn special_items(
        &self,
        old: &[Value],
        patch: &[Value],
        merge_key: &str,
        path: &FieldPath,
    ) -> Result<(Vec<Value>, Vec<Value>), PatchError> {
        let mut items = old.to_vec();
        let mut changes = Vec::new();
        let mut replaces = false;
        for item in patch {
            if item.as_map().is_none() {
                return Err(error(path, item, format!("expected a map, found {}", item.type_in_words())));
            }
            match item.get(DIRECTIVE).map(|directive| directive.as_str().unwrap_or_default()) {
                None => changes.push(item.clone()),
                Some("delete") => {
                    let key = key_of(item, merge_key, path)?;
                    items.retain(|item| item.get(merge_key) != Some(key));
                }
                Some("replace") => replaces = true,
                Some(other) => {
                    let message = format!("unknown `$patch: {other}` in a list, expected replace or delete");
                    return Err(error(path, item, message));
                }
            }
        }
        Ok(if replaces { (changes, Vec::new()) } else { (items, changes) })
    }
}

fn is_directive(key: &str) -> bool {
    [ORDER, DELETE_FROM].iter().any(|prefix| key.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/')))
}

/// The fields that a directive names, with its values.
fn directives<'p>(changes: &'p Map, prefix: &'p str) -> impl Iterator<Item = (&'p str, &'p Value)> {
    changes.iter().filter_map(move |change| Some((change.key.strip_prefix(prefix)?.strip_prefix('/')?, &change.value)))
}

fn list_of<'v>(value: &'v Value, path: &FieldPath) -> Result<&'v [Value], PatchError> {
    let found = || error(path, value, format!("expected a list, found {}", value.type_in_words()));
    value.as_list().ok_or_else(found)
}

fn key_of<'v>(item: &'v Value, merge_key: &str, path: &FieldPath) -> Result<&'v Value, PatchError> {
    let missing = || error(path, item, format!("the item has no `{merge_key}`, by which the list is merged"));
    item.get(merge_key).ok_or_else(missing)
}

/// Drops the keys that `$retainKeys` does not name.
fn retain_keys(merged: &mut Value, changes: &Map, path: &FieldPath) -> Result<(), PatchError> {
    let Some(retained) = changes.get(RETAIN_KEYS) else { return Ok(()) };
    let names = list_of(retained, path)?;
    let retains = |key: &str| names.iter().any(|name| name.as_str() == Some(key));
    for change in changes {
        let key = change.key.as_str();
        if !(change.value.is_null() || key == RETAIN_KEYS || is_directive(key) || retains(key)) {
            let message = format!("the patch sets `{key}`, which its `$retainKeys` does not name");
            return Err(error(path, &change.value, message));
        }
    }
    if merged.as_map().is_some_and(|map| map.keys().any(|key| !retains(key))) {
        merged.make_map().retain(|entry| retains(&entry.key));
    }
    Ok(())
}

/// What becomes of directives in a part of the patch that the object lacks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Directives {
    /// What has one is left out.
    Obeyed,
    /// They stay, as fields.
    Kept,
}

/// A part of the patch that the object lacks, without nulls; nothing if a directive leaves it out.
fn cleaned(patch: &Value, directives: Directives) -> Option<Value> {
    if let Some(map) = patch.as_map() {
        if directives == Directives::Obeyed && map.contains(DIRECTIVE) {
            return None;
        }
        let mut kept = Map::with_capacity(map.len());
        for entry in map.iter().filter(|entry| !entry.value.is_null()) {
            if let Some(value) = cleaned(&entry.value, directives) {
                kept.insert_entry(Entry { value, ..entry.clone() });
            }
        }
        return Some(Value::from(kept).at(patch.at));
    }
    match patch.as_list() {
        Some(items) => Some(Value::list(cleaned_items(items, directives)).at(patch.at)),
        None => Some(patch.clone()),
    }
}

fn cleaned_items(items: &[Value], directives: Directives) -> Vec<Value> {
    items.iter().filter_map(|item| cleaned(item, directives)).collect()
}

/// The patch's own order of items must agree with the order that it asks for.
fn check_order(patch: &[Value], order: &[Value], merge_key: Option<&str>, path: &FieldPath) -> Result<(), PatchError> {
    if patch.is_empty() || order.is_empty() {
        return Ok(());
    }
    let mut wanted = order.iter();
    for item in patch.iter().filter(|item| item.get(DIRECTIVE).is_none()) {
        if !wanted.any(|other| same_item(item, other, merge_key)) {
            return Err(error(path, item, "the items are not in the order that `$setElementOrder` gives"));
        }
    }
    Ok(())
}

fn same_item(a: &Value, b: &Value, merge_key: Option<&str>) -> bool {
    match merge_key {
        Some(key) => a.get(key).is_some() && a.get(key) == b.get(key),
        None => a == b,
    }
}

/// The old order as the API server sees it once items were deleted: it deletes in place, and new items take
/// the room at the end of the old list. So a container that replaces another comes last, not first.
fn reused(before: &[Value], items: &[Value], merge_key: Option<&str>) -> Vec<Value> {
    let is_in = |list: &[Value], item: &Value| list.iter().any(|other| same_item(item, other, merge_key));
    let mut seen: Vec<Value> = before.iter().filter(|item| is_in(items, item)).cloned().collect();
    if seen.len() == before.len() {
        return seen;
    }
    seen.extend(items.iter().filter(|item| !is_in(before, item)).cloned());
    seen.truncate(before.len());
    seen.extend_from_slice(&before[seen.len()..]);
    seen
}

/// Orders items: those that `order` names as it says, the rest where `before` has them.
fn sorted(items: Vec<Value>, order: &[Value], before: &[Value], merge_key: Option<&str>) -> Vec<Value> {
    let index = |list: &[Value], item: &Value| list.iter().position(|other| same_item(item, other, merge_key));
    let (mut named, mut others): (Vec<_>, Vec<_>) = items.into_iter().partition(|item| index(order, item).is_some());
    named.sort_by_key(|item| index(order, item));
    others.sort_by(|a, b| match (index(before, a), index(before, b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => Ordering::Equal,
    });
    let mut result = Vec::with_capacity(named.len() + others.len());
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    while let (Some(name), Some(other)) = (named.peek(), others.peek()) {
        let other_first = match (index(before, other), index(before, name)) {
            (Some(other), Some(name)) => other < name,
            _ => false,
        };
        result.extend(if other_first { others.next() } else { named.next() });
    }
    result.extend(named);
    result.extend(others);
    result
}
