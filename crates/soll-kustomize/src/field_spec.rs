//! Paths of fields that transformers write, and the walk along them.

use std::borrow::Cow;

use soll_yaml::{At, Value};

use crate::resource::{Gvk, Resource};

/// Where a transformer writes: a path within objects of some kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldSpec {
    pub(crate) kinds: Kinds,
    pub(crate) path: Keys,
    /// Whether missing fields are made.
    pub(crate) create: bool,
}

/// Some kinds of objects; an empty part means any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kinds {
    pub(crate) group: Cow<'static, str>,
    pub(crate) version: Cow<'static, str>,
    pub(crate) kind: Cow<'static, str>,
}

/// The keys to a field, joined by `/`; `\/` stands for a slash within a key.
///
/// Lists on the way are walked item by item. A trailing `[]` says a key holds a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keys(Cow<'static, str>);

/// What a walk makes at the end of a path that is to be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaf {
    /// Nothing: only what is there is visited.
    Existing,
    /// A null that the visitor fills.
    Scalar,
    /// An empty map.
    Map,
}

impl Kinds {
    pub(crate) const fn new(group: &'static str, version: &'static str, kind: &'static str) -> Self {
        Self { group: Cow::Borrowed(group), version: Cow::Borrowed(version), kind: Cow::Borrowed(kind) }
    }

    pub(crate) fn includes(&self, gvk: &Gvk) -> bool {
        self.include_as(&gvk.kind, gvk)
    }

    /// Whether objects of a group and version are included while they are of another kind.
    pub(crate) fn include_as(&self, kind: &str, gvk: &Gvk) -> bool {
        fits(&self.kind, kind) && fits(&self.group, &gvk.group) && fits(&self.version, &gvk.version)
    }

    /// Whether these are among others, by kustomize's reading: no kind in particular is not among any.
    pub(crate) fn are_among(&self, others: &Self) -> bool {
        fits(&others.kind, &self.kind) && fits(&others.group, &self.group) && fits(&others.version, &self.version)
    }
}

fn fits(wanted: &str, found: &str) -> bool {
    wanted.is_empty() || wanted == found
}

impl From<&Gvk> for Kinds {
    fn from(gvk: &Gvk) -> Self {
        let part = |part: &str| Cow::Owned(part.to_owned());
        Self { group: part(&gvk.group), version: part(&gvk.version), kind: part(&gvk.kind) }
    }
}

impl Keys {
    pub(crate) const fn of(path: &'static str) -> Self {
        Self(Cow::Borrowed(path))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let mut rest = Some(self.0.as_ref());
        std::iter::from_fn(move || {
            let (key, after) = split_key(rest?);
            rest = after;
            Some(key)
        })
    }

    pub(crate) fn ends_with(&self, last: &[&str]) -> bool {
        let keys: Vec<_> = self.iter().collect();
        keys.len() >= last.len() && keys[keys.len() - last.len()..] == *last
    }

    /// The path as it is written.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Keys {
    fn from(path: String) -> Self {
        match path.strip_prefix('/') {
            Some(_) => Self(path.trim_start_matches('/').to_owned().into()),
            None => Self(path.into()),
        }
    }
}

impl FromIterator<String> for Keys {
    fn from_iter<T: IntoIterator<Item = String>>(keys: T) -> Self {
        let keys: Vec<_> = keys.into_iter().map(|key| key.replace('/', "\\/")).collect();
        Self(keys.join("/").into())
    }
}

/// The first key of a path, and the rest if there is one.
fn split_key(path: &str) -> (Cow<'_, str>, Option<&str>) {
    let Some(end) = memchr::memchr2(b'/', b'\\', path.as_bytes()) else { return (path.into(), None) };
    if path.as_bytes()[end] == b'/' {
        return (path[..end].into(), Some(&path[end + 1..]));
    }
    let mut key = path[..end].to_owned();
    let mut rest = &path[end..];
    loop {
        if let Some(after) = rest.strip_prefix("\\/") {
            key.push('/');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('/') {
            return (key.into(), Some(after));
        } else if let Some(letter) = rest.chars().next() {
            key.push(letter);
            rest = &rest[letter.len_utf8()..];
        } else {
            return (key.into(), None);
        }
    }
}

impl FieldSpec {
    pub(crate) const fn new(
        kind: &'static str,
        group: &'static str,
        version: &'static str,
        path: &'static str,
        create: bool,
    ) -> Self {
        Self { kinds: Kinds::new(group, version, kind), path: Keys::of(path), create }
    }

    /// Says whether objects of this kind have the field.
    pub(crate) fn applies_to(&self, gvk: &Gvk) -> bool {
        self.kinds.includes(gvk)
    }

    /// The path for people.
    pub(crate) fn path_text(&self) -> String {
        self.path.as_str().replace("\\/", "/")
    }

    /// Calls `visit` for each value at the end of the path.
    ///
    /// Returns what stood in the way: a scalar where the path goes on.
    pub(crate) fn visit(
        &self,
        resource: &mut Resource,
        leaf: Leaf,
        visit: &mut dyn FnMut(&mut Value),
    ) -> Result<(), (String, At)> {
        // Looked at first, so that objects without the field stay shared.
        let path = Some(self.path.as_str());
        if !self.create && !exists(resource.value(), path) {
            return Ok(());
        }
        self.walk(resource.value_mut_at(self.path.as_str()), path, leaf, visit)
    }

    fn walk(
        &self,
        value: &mut Value,
        path: Option<&str>,
        leaf: Leaf,
        visit: &mut dyn FnMut(&mut Value),
    ) -> Result<(), (String, At)> {
        let Some(keys) = path else {
            visit(value);
            return Ok(());
        };
        if value.is_null() {
            return Ok(());
        }
        if let Some(items) = value.as_list_mut() {
            return items.iter_mut().try_for_each(|item| self.walk(item, path, leaf, visit));
        }
        let at = value.at;
        let Some(map) = value.as_map_mut() else {
            let message = format!("field `{}` leads through a scalar; expected a map or a list", self.path_text());
            return Err((message, at));
        };
        let (key, rest) = split_key(keys);
        let (key, is_list) = match key.strip_suffix("[]") {
            Some(key) => (key, true),
            None => (key.as_ref(), false),
        };
        let make = match (rest.is_none(), leaf) {
            _ if !self.create || is_list || leaf == Leaf::Existing => None,
            (true, Leaf::Scalar) => Some(Value::null()),
            (true, _) | (false, _) => Some(Value::map()),
        };
        if let Some(made) = make {
            let slot = map.get_or_insert_with(key, || made.clone());
            if slot.is_null() {
                slot.data = made.data;
            }
            return self.walk(slot, rest, leaf, visit);
        }
        match map.get_mut(key) {
            Some(next) => self.walk(next, rest, leaf, visit),
            None => Ok(()),
        }
    }
}

fn exists(value: &Value, path: Option<&str>) -> bool {
    let Some(keys) = path else { return true };
    if let Some(items) = value.as_list() {
        return items.iter().any(|item| exists(item, path));
    }
    // A scalar in the way counts, so that the walk can complain about it.
    let Some(map) = value.as_map() else { return !value.is_null() };
    let (key, rest) = split_key(keys);
    map.get(key.strip_suffix("[]").unwrap_or(&key)).is_some_and(|next| exists(next, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use soll_yaml::{parse_json, to_json};

    fn check(path: &'static str, create: bool, leaf: Leaf, before: &str, after: &str) {
        let mut object = Resource::new(parse_json(before.as_bytes()).expect("valid"));
        let spec = FieldSpec::new("", "", "", path, create);
        spec.visit(&mut object, leaf, &mut |leaf| *leaf = Value::from("x")).expect("no scalar in the way");
        assert_eq!(to_json(object.value()), after);
    }

    #[test]
    fn walks_through_lists() {
        check("a/b", false, Leaf::Existing, r#"{"a":[{"b":1},{"c":2}]}"#, r#"{"a":[{"b":"x"},{"c":2}]}"#);
    }

    #[test]
    fn creates_only_when_told_and_never_lists() {
        check("a/b", true, Leaf::Scalar, "{}", r#"{"a":{"b":"x"}}"#);
        check("a/b", false, Leaf::Scalar, "{}", "{}");
        check("a[]/b", true, Leaf::Scalar, "{}", "{}");
        check("a/b", true, Leaf::Scalar, r#"{"a":null}"#, r#"{"a":{"b":"x"}}"#);
    }

    #[test]
    fn keys_may_hold_slashes() {
        let keys = |path: &str| Keys::from(path.to_owned()).iter().map(Cow::into_owned).collect::<Vec<_>>();
        assert_eq!(keys(r"a/b\/c\d\//e"), ["a", "b/c\\d/", "e"]);
        assert_eq!(keys("//a//b/"), ["a", "", "b", ""]);
        assert_eq!(keys(""), [""]);
        let joined: Keys = ["a".to_owned(), "b/c".to_owned()].into_iter().collect();
        assert_eq!(joined, Keys::of(r"a/b\/c"));
        check("a/b\\/c", false, Leaf::Existing, r#"{"a":{"b/c":1}}"#, r#"{"a":{"b/c":"x"}}"#);
    }
}
