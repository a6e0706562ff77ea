//! Paths of fields that transformers write, and the walk along them.

use soll_yaml::{At, Str, Value};

use crate::resource::Gvk;

/// Where a transformer writes: a path within objects of some kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldSpec {
    /// Which objects; empty parts match anything.
    pub(crate) gvk: Gvk,
    /// Keys; lists on the way are walked item by item. A trailing `[]` says a key holds a list.
    pub(crate) path: Vec<Str>,
    /// Whether missing fields are made.
    pub(crate) create: bool,
}

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

impl FieldSpec {
    pub(crate) fn new(kind: &str, group: &str, version: &str, path: &str, create: bool) -> Self {
        let gvk = Gvk { group: group.into(), version: version.into(), kind: kind.into() };
        Self { gvk, path: split(path), create }
    }

    /// Says whether objects of this kind have the field.
    pub(crate) fn applies_to(&self, gvk: &Gvk) -> bool {
        gvk.is_selected(&self.gvk)
    }

    pub(crate) fn path_text(&self) -> String {
        self.path.join("/")
    }

    /// Calls `visit` for each value at the end of the path.
    ///
    /// Returns what stood in the way: a scalar where the path goes on.
    pub(crate) fn visit(
        &self,
        object: &mut Value,
        leaf: Leaf,
        visit: &mut dyn FnMut(&mut Value),
    ) -> Result<(), (String, At)> {
        // Looked at first, so that objects without the field stay shared.
        if !self.create && !exists(object, &self.path) {
            return Ok(());
        }
        self.walk(object, &self.path, leaf, visit)
    }

    fn walk(
        &self,
        value: &mut Value,
        path: &[Str],
        leaf: Leaf,
        visit: &mut dyn FnMut(&mut Value),
    ) -> Result<(), (String, At)> {
        let Some((key, rest)) = path.split_first() else {
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
        let (key, is_list) = match key.strip_suffix("[]") {
            Some(key) => (key, true),
            None => (key.as_str(), false),
        };
        let make = match (rest.is_empty(), leaf) {
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

fn exists(value: &Value, path: &[Str]) -> bool {
    let Some((key, rest)) = path.split_first() else { return true };
    if let Some(items) = value.as_list() {
        return items.iter().any(|item| exists(item, path));
    }
    // A scalar in the way counts, so that the walk can complain about it.
    let Some(map) = value.as_map() else { return !value.is_null() };
    map.get(key.strip_suffix("[]").unwrap_or(key)).is_some_and(|next| exists(next, rest))
}

/// Splits a path at `/`; `\/` stands for a slash within a key.
pub(crate) fn split(path: &str) -> Vec<Str> {
    if !path.contains('\\') {
        return path.trim_start_matches('/').split('/').map(Str::from).collect();
    }
    let mut parts = vec![String::new()];
    let mut letters = path.trim_start_matches('/').chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if letters.peek() == Some(&'/') => {
                letters.next();
                parts.last_mut().expect("starts with one").push('/');
            }
            '/' => parts.push(String::new()),
            letter => parts.last_mut().expect("starts with one").push(letter),
        }
    }
    parts.into_iter().map(Str::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use soll_yaml::{parse_json, to_json};

    fn check(path: &str, create: bool, leaf: Leaf, before: &str, after: &str) {
        let mut value = parse_json(before.as_bytes()).expect("valid");
        let spec = FieldSpec::new("", "", "", path, create);
        spec.visit(&mut value, leaf, &mut |leaf| *leaf = Value::from("x")).expect("no scalar in the way");
        assert_eq!(to_json(&value), after);
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
        check("a/b\\/c", false, Leaf::Existing, r#"{"a":{"b/c":1}}"#, r#"{"a":{"b/c":"x"}}"#);
    }
}
