//! Strategic merge as kustomize does it.
//!
//! Items of a patch's list come before those it does not mention. The rules for lists with several keys
//! (container ports) are kustomize's to the letter, surprises included; `COMPATIBILITY.md` of the kustomize
//! engine names the two places where we do not follow.

mod items;

use soll_schema::TypeRef;
use soll_yaml::{At, Data, Entry, FieldPath, Step, Str, Value};

use super::{DIRECTIVE, error, within};
use crate::{PatchError, Trace};
use items::{Distinct, identities, is, is_empty, keys, put_back, scalar_text, set, text, unify};

/// So many items of one list are compared with each other.
const ALIKE: usize = 4096;

pub(super) fn merge(
    target: &Value,
    patch: &Value,
    of: Option<TypeRef<'_>>,
    trace: Option<Trace<'_>>,
    path: &mut FieldPath,
) -> Result<Option<Value>, PatchError> {
    if patch.lookup_str(&[DIRECTIVE]) == Some("replace") {
        // Kustomize forgets the result if it is another node than the object's own: nothing changes.
        return Ok(Some(target.clone()));
    }
    Merge { trace }.walk(Some(target), Some(patch), of, path)
}

struct Merge<'s> {
    trace: Option<Trace<'s>>,
}

/// Where a part of the patch goes that the object lacks.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// Right into what the object has: kustomize overlooks the directive of a list there.
    Bare,
    /// Into a part that the object lacks, too.
    Within,
}

type Merged = Result<Option<Value>, PatchError>;

#[derive(Clone, Copy, PartialEq)]
enum Directive {
    Merge,
    Replace,
    Delete,
}

impl Merge<'_> {
    /// Merges what a field has on either side; `None` means the field goes.
    fn walk(
        &self,
        target: Option<&Value>,
        patch: Option<&Value>,
        of: Option<TypeRef<'_>>,
        path: &mut FieldPath,
    ) -> Merged {
        let Some(patch) = patch else { return self.untouched(target, of, path) };
        let Some(target) = target.filter(|target| !target.is_null()) else {
            return self.adopt(patch, of, Place::Bare, path);
        };
        if patch.is_null() {
            return Ok(None);
        }
        if shape(target) != shape(patch) {
            let (was, is) = (target.type_in_words(), patch.type_in_words());
            return Err(error(path, patch, format!("the patch has {is} where the object has {was}")));
        }
        if target.as_map().is_some() {
            self.map(target, patch, of, path)
        } else if target.as_list().is_some() && merges(of) {
            self.list(target, patch, of, path)
        } else {
            let mut new = Trace::mark(self.trace, patch, target.at);
            let written = self.trace.and_then(|trace| trace.written);
            if let Some(written) =
                written.filter(|written| !is_text(patch) && is_text(target) && written.is_quoted(target))
            {
                new.data = Data::Str(written.text(patch));
            }
            Ok(Some(new))
        }
    }

    fn map(&self, target: &Value, patch: &Value, of: Option<TypeRef<'_>>, path: &mut FieldPath) -> Merged {
        let (directive, patch) = map_directive(patch, path)?;
        match directive {
            Directive::Delete => return Ok(None),
            Directive::Replace => {
                let replaced = self.adopt(&patch, of, Place::Within, path)?;
                return Ok(replaced.map(|value| Trace::mark(self.trace, &value, target.at)));
            }
            Directive::Merge => {}
        }
        let mut merged = target.clone();
        let fields = target.as_map().into_iter().flatten();
        let changes = patch.as_map().expect("both sides have the same shape");
        for field in fields.filter(|field| !changes.contains(&field.key)) {
            let of = of.and_then(|of| of.field(&field.key));
            let step = Step::Key(field.key.clone());
            let kept = within(path, step, |path| self.untouched(Some(&field.value), of, path))?;
            put(&mut merged, &field.key, field.key_at, Some(&field.value), kept);
        }
        for change in changes {
            let of = of.and_then(|of| of.field(&change.key));
            let old = target.get(&change.key);
            let step = Step::Key(change.key.clone());
            let new = within(path, step, |path| self.walk(old, Some(&change.value), of, path))?;
            put(&mut merged, &change.key, change.key_at, old, new);
        }
        Ok(Some(merged))
    }

    /// What the patch does not mention stays, but for lists by key: kustomize walks them too, and of items
    /// with the same key the last wins.
    fn untouched(&self, target: Option<&Value>, of: Option<TypeRef<'_>>, path: &mut FieldPath) -> Merged {
        let Some(target) = target else { return Ok(None) };
        if let (Some(map), Some(of)) = (target.as_map(), of) {
            let mut kept = target.clone();
            for field in map.iter().filter(|field| field.value.as_map().is_some() || field.value.as_list().is_some()) {
                let Some(of) = of.field(&field.key) else { continue };
                let step = Step::Key(field.key.clone());
                let new = within(path, step, |path| self.untouched(Some(&field.value), Some(of), path))?;
                put(&mut kept, &field.key, field.key_at, Some(&field.value), new);
            }
            return Ok(Some(kept));
        }
        match target.as_list() {
            Some(items) if merges(of) && !items.is_empty() => self.items(target, &[], of, path),
            _ => Ok(Some(target.clone())),
        }
    }

    fn list(&self, target: &Value, patch: &Value, of: Option<TypeRef<'_>>, path: &mut FieldPath) -> Merged {
        let (directive, patch) = list_directive(patch, path)?;
        match directive {
            Directive::Delete => Ok(None),
            Directive::Replace => {
                let replaced = self.adopt(&patch, of, Place::Within, path)?;
                Ok(replaced.map(|value| Trace::mark(self.trace, &value, target.at)))
            }
            Directive::Merge => {
                let patch = patch.as_list().unwrap_or_default();
                refuse_nameless(patch, of, path)?;
                self.items(target, patch, of, path)
            }
        }
    }

    /// A part of the patch that the object lacks: directives are obeyed, nulls and deleted parts go.
    fn adopt(&self, patch: &Value, of: Option<TypeRef<'_>>, place: Place, path: &mut FieldPath) -> Merged {
        if patch.is_null() {
            return Ok(None);
        }
        if let Some(map) = patch.as_map() {
            let (directive, mut adopted) = map_directive(patch, path)?;
            if directive == Directive::Delete {
                return Ok(None);
            }
            for field in map.iter().filter(|field| field.key != DIRECTIVE) {
                let of = of.and_then(|of| of.field(&field.key));
                let step = Step::Key(field.key.clone());
                let new = within(path, step, |path| self.adopt(&field.value, of, Place::Within, path))?;
                put(&mut adopted, &field.key, field.key_at, Some(&field.value), new);
            }
            return Ok(Some(adopted));
        }
        if patch.as_list().is_none() || !merges(of) {
            return Ok(Some(patch.clone()));
        }
        let (directive, list) = match place {
            Place::Within => list_directive(patch, path)?,
            Place::Bare => (Directive::Merge, patch.clone()),
        };
        if directive == Directive::Delete {
            return Ok(None);
        }
        let items = list.as_list().unwrap_or_default().to_vec();
        if items.len() > 1 {
            // The others would be lost.
            refuse_nameless(&items, of, path)?;
        }
        // Kustomize merges such a list with itself: what directives do to one side, they do to the other.
        let target = self.obeyed_items(&list, of, path)?;
        Ok(self.items(&target, &items, of, path)?.map(|merged| merged.at(patch.at)))
    }

    /// A part of a patch after a walk over it: the directives are gone that it met, and what they removed.
    fn obeyed(&self, patch: &Value, of: Option<TypeRef<'_>>, path: &mut FieldPath) -> Result<Value, PatchError> {
        if !has_directive(patch) {
            return Ok(patch.clone());
        }
        let Some(map) = patch.as_map() else {
            let list = if merges(of) { list_directive(patch, path)?.1 } else { return Ok(patch.clone()) };
            return self.obeyed_items(&list, of, path);
        };
        if patch.lookup_str(&[DIRECTIVE]) == Some("replace") {
            return Ok(self.adopt(patch, of, Place::Within, path)?.unwrap_or_default());
        }
        let (_, mut rest) = map_directive(patch, path)?;
        for field in map.iter().filter(|field| has_directive(&field.value)) {
            let of = of.and_then(|of| of.field(&field.key));
            let new = within(path, Step::Key(field.key.clone()), |path| self.obeyed(&field.value, of, path))?;
            put(&mut rest, &field.key, field.key_at, Some(&field.value), Some(new));
        }
        Ok(rest)
    }

    /// The same for the items of a list; a walk passes over the directives of those without a key.
    fn obeyed_items(&self, list: &Value, of: Option<TypeRef<'_>>, path: &mut FieldPath) -> Result<Value, PatchError> {
        if !has_directive(list) {
            return Ok(list.clone());
        }
        let (keys, item_type) = (keys(of), of.and_then(|of| of.items()));
        let is_met = |item: &Value| item.as_map().is_some_and(|map| keys.iter().any(|key| map.contains(key)));
        let mut items = list.as_list().unwrap_or_default().to_vec();
        for (index, item) in items.iter_mut().enumerate().filter(|(_, item)| is_met(item)) {
            *item = within(path, Step::Index(index), |path| self.obeyed(item, item_type, path))?;
        }
        Ok(Value::list(items).at(list.at))
    }

    /// Merges the items of a patch into those of a list.
    fn items(&self, target: &Value, patch: &[Value], of: Option<TypeRef<'_>>, path: &mut FieldPath) -> Merged {
        let keys = keys(of);
        let item_type = of.and_then(|of| of.items());
        let old = target.as_list().unwrap_or_default();
        let merged = match Distinct::pair(old, patch, &keys) {
            Some((old, changes)) => self.distinct_items(&old, &changes, item_type, path)?,
            None => self.alike_items(old, patch, &keys, item_type, path)?,
        };
        Ok(Some(if merged.as_slice() == old { target.clone() } else { Value::list(merged).at(target.at) }))
    }

    /// Merges items that are told apart by one key, or by themselves: nearly all are.
    fn distinct_items(
        &self,
        old: &Distinct<'_>,
        changes: &Distinct<'_>,
        of: Option<TypeRef<'_>>,
        path: &mut FieldPath,
    ) -> Result<Vec<Value>, PatchError> {
        let mut merged = Vec::with_capacity(old.items.len() + changes.items.len());
        let mentioned = changes.iter().map(|(identity, change)| (old.find(identity), Some(change)));
        let others = old.iter().enumerate().filter(|(_, (identity, _))| changes.find(identity).is_none());
        for (before, change) in mentioned.chain(others.map(|(position, (_, item))| (Some((position, item)), None))) {
            let step = Step::Index(before.map_or(old.items.len(), |(position, _)| position));
            let before = before.map(|(_, item)| item);
            let new = within(path, step, |path| self.walk(before, change, of, path))?;
            if let Some(new) = new {
                merged.push(before.filter(|_| is_replacing(change)).cloned().unwrap_or(new));
            }
        }
        Ok(merged)
    }

    /// Merges items of which some are told apart by several keys, by none, or are there twice.
    fn alike_items(
        &self,
        old: &[Value],
        patch: &[Value],
        keys: &[&str],
        of: Option<TypeRef<'_>>,
        path: &mut FieldPath,
    ) -> Result<Vec<Value>, PatchError> {
        let mut old = old.to_vec();
        if let Some(far) = old.iter().chain(patch).nth(ALIKE) {
            let message = format!("more than {ALIKE} items, which several keys tell apart or which repeat each other");
            return Err(error(path, far, message));
        }
        let mut identities = identities(patch.iter().chain(&old), keys);
        if keys.len() > 1 {
            unify(&mut identities);
        }
        // Keys that no item has tell nothing apart.
        let used: Vec<&str> = (keys.iter().enumerate())
            .filter(|(position, _)| identities.iter().any(|identity| !identity[*position].is_empty()))
            .map(|(_, key)| *key)
            .collect();
        let keys_used = if used.is_empty() { keys.to_vec() } else { used };
        let mut merged: Vec<Value> = Vec::with_capacity(old.len() + patch.len());
        for identity in &identities {
            let full: Vec<(&str, &str)> = if keys.is_empty() {
                vec![("", identity[0].as_str())]
            } else {
                let pairs = keys.iter().copied().zip(identity.iter().map(String::as_str));
                pairs.filter(|(key, _)| keys_used.contains(key)).collect()
            };
            let given: Vec<(&str, &str)> = full.iter().copied().filter(|(_, value)| !value.is_empty()).collect();
            let position = old.iter().position(|item| is(item, &given));
            let change = patch.iter().find(|item| is(item, &given));
            let before = position.map(|position| old[position].clone());
            let step = Step::Index(position.unwrap_or(old.len()));
            let new = within(path, step, |path| self.walk(before.as_ref(), change, of, path))?;
            let Some(mut new) = new.filter(|new| !is_empty(new)) else {
                set(&mut old, None, &full, true);
                continue;
            };
            if let Some(map) = new.as_map() {
                let missing: Vec<_> =
                    full.iter().filter(|(key, value)| !value.is_empty() && !map.contains(key)).collect();
                for (key, value) in missing {
                    new.make_map().insert(*key, Value::str(value));
                }
            }
            if let Some(position) = position.filter(|_| !is_replacing(change)) {
                old[position] = new.clone();
            }
            set(&mut merged, Some(new), &full, true);
        }
        for item in old {
            put_back(&mut merged, item, &keys_used);
        }
        Ok(merged)
    }
}

/// Whether a change is to replace its item: kustomize puts the item back that was there.
fn is_replacing(change: Option<&Value>) -> bool {
    change.is_some_and(|change| change.lookup_str(&[DIRECTIVE]) == Some("replace"))
}

/// Sets or removes a field; leaves the map alone if nothing changes.
fn put(map: &mut Value, key: &Str, key_at: At, old: Option<&Value>, new: Option<Value>) {
    match (old, new) {
        (None, None) => {}
        (Some(_), None) => {
            map.make_map().remove(key);
        }
        (Some(old), Some(new)) => {
            if !(old.same(&new) && old.at == new.at) {
                *map.get_mut(key).expect("the old value is there") = new;
            }
        }
        (None, Some(value)) => {
            map.make_map().insert_entry(Entry { key: key.clone(), key_at, value });
        }
    }
}

fn has_directive(value: &Value) -> bool {
    match &value.data {
        Data::Map(map) => map.iter().any(|entry| entry.key == DIRECTIVE || has_directive(&entry.value)),
        Data::List(items) => items.iter().any(has_directive),
        Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Str(_) => false,
    }
}

fn is_text(value: &Value) -> bool {
    matches!(value.data, Data::Str(_))
}

#[derive(PartialEq)]
enum Form {
    Map,
    List,
    Scalar,
}

fn shape(value: &Value) -> Form {
    match (value.as_map(), value.as_list()) {
        (Some(_), _) => Form::Map,
        (None, Some(_)) => Form::List,
        (None, None) => Form::Scalar,
    }
}

/// Says whether a list merges by its items.
fn merges(of: Option<TypeRef<'_>>) -> bool {
    of.is_some_and(|of| of.patch_strategy().merge)
}

/// Refuses a list with an item that has none of the keys by which items are told apart.
fn refuse_nameless(items: &[Value], of: Option<TypeRef<'_>>, path: &FieldPath) -> Result<(), PatchError> {
    let keys = keys(of);
    let is_nameless = |item: &&Value| !is_directive(item) && keys.iter().all(|key| text(item, key).is_none());
    match items.iter().find(is_nameless) {
        Some(item) if !keys.is_empty() => {
            let message = format!("the item has no `{}`, by which the list is merged", keys.join("` or `"));
            Err(error(path, item, message))
        }
        _ => Ok(()),
    }
}

/// The directive of a map, and the map without it.
fn map_directive(patch: &Value, path: &FieldPath) -> Result<(Directive, Value), PatchError> {
    let Some(value) = patch.get(DIRECTIVE) else { return Ok((Directive::Merge, patch.clone())) };
    let directive = read_directive(value, path)?;
    let mut rest = patch.clone();
    rest.make_map().remove(DIRECTIVE);
    Ok((directive, rest))
}

/// The directive of a list, which is an item with nothing else in it, and the list without it.
fn list_directive(patch: &Value, path: &FieldPath) -> Result<(Directive, Value), PatchError> {
    let items = patch.as_list().unwrap_or_default();
    let Some(value) = items.iter().find(|item| is_directive(item)).and_then(|item| item.get(DIRECTIVE)) else {
        return Ok((Directive::Merge, patch.clone()));
    };
    let rest = items.iter().filter(|item| !is_directive(item)).cloned().collect();
    Ok((read_directive(value, path)?, Value::list(rest).at(patch.at)))
}

/// Whether an item says nothing but what is to become of its list.
fn is_directive(item: &Value) -> bool {
    item.as_map().is_some_and(|map| map.len() == 1 && map.contains(DIRECTIVE))
}

fn read_directive(value: &Value, path: &FieldPath) -> Result<Directive, PatchError> {
    match value.as_str() {
        Some("replace") => Ok(Directive::Replace),
        Some("delete") => Ok(Directive::Delete),
        Some("merge") => Ok(Directive::Merge),
        _ => Err(error(
            path,
            value,
            format!("unknown `$patch: {}`, expected replace, delete or merge", scalar_text(value)),
        )),
    }
}
