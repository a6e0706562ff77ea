//! Field managers: who owns which fields of a live object, and taking over from managers that we absorb.

use soll_api::Object;
use soll_yaml::{Data, Map, Value};

/// The annotations and label that client-side apply and old versions of Flux left behind.
const LEFTOVERS: [(&str, &str); 4] = [
    ("annotations", "kubectl.kubernetes.io/last-applied-configuration"),
    ("annotations", "kustomize.toolkit.fluxcd.io/checksum"),
    ("annotations", "fluxcd.io/sync-checksum"),
    ("labels", "fluxcd.io/sync-gc-mark"),
];

/// One entry of `metadata.managedFields`.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'o>(&'o Value);

impl<'o> Entry<'o> {
    fn text(self, key: &str) -> &'o str {
        self.0.lookup_str(&[key]).unwrap_or_default()
    }

    /// The manager's name.
    pub(crate) fn manager(self) -> &'o str {
        self.text("manager")
    }

    /// Says whether it came by server-side apply, not by another write.
    pub(crate) fn is_apply(self) -> bool {
        self.text("operation") == "Apply"
    }

    /// Says whether it is about a subresource such as `status`.
    pub(crate) fn has_subresource(self) -> bool {
        !self.text("subresource").is_empty()
    }

    /// The API version that the names of fields are of.
    pub(crate) fn api_version(self) -> &'o str {
        self.text("apiVersion")
    }

    /// The fields, as a trie of `f:`, `k:`, `v:` and `i:` keys.
    pub(crate) fn fields(self) -> Option<&'o Value> {
        self.0.get("fieldsV1")
    }
}

/// The entries of an object's managed fields.
pub(crate) fn entries(object: &Object) -> impl Iterator<Item = Entry<'_>> {
    let entries = object.value().lookup(&["metadata", "managedFields"]).and_then(Value::as_list);
    entries.unwrap_or_default().iter().map(Entry)
}

/// The names of managers that are absorbed, and our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Managers {
    /// Our field manager: `kustomize-controller`.
    pub ours: String,
    /// Managers beyond Flux's own list whose fields become ours, whatever the operation: `--override-manager`.
    pub overridden: Vec<String>,
}

impl Managers {
    /// Our manager, and no others beyond Flux's own list.
    #[must_use]
    pub fn new(ours: &str) -> Self {
        Self { ours: ours.to_owned(), overridden: Vec::new() }
    }

    /// Says whether the fields of an entry become ours.
    pub(crate) fn absorb(&self, entry: Entry<'_>) -> bool {
        let manager = entry.manager();
        !entry.has_subresource()
            && (manager.starts_with("kubectl")
                || (!entry.is_apply() && (manager == "before-first-apply" || manager == self.ours))
                || self.overridden.iter().any(|overridden| overridden == manager))
    }

    /// Says whether an object has fields that are to become ours: of a manager that we absorb.
    #[must_use]
    pub fn absorb_any(&self, live: &Object) -> bool {
        entries(live).any(|entry| self.absorb(entry))
    }

    /// The JSON patch that makes absorbed fields ours and removes leftovers; nothing if the object is clean.
    ///
    /// It names the resourceVersion that it was made from, so that a race answers with a conflict.
    #[must_use]
    pub fn takeover(&self, live: &Object) -> Option<Value> {
        let mut operations: Vec<Value> = self.merged(live).into_iter().collect();
        for (field, key) in LEFTOVERS {
            if live.value().lookup(&["metadata", field, key]).is_some() {
                operations.push(operation("remove", &format!("/metadata/{field}/{}", escape(key)), None));
            }
        }
        if operations.is_empty() {
            return None;
        }
        let version = Value::str(live.resource_version());
        operations.push(operation("replace", "/metadata/resourceVersion", Some(version)));
        Some(Value::list(operations))
    }

    /// Replaces managed fields by a list where absorbed entries are merged into ours.
    fn merged(&self, live: &Object) -> Option<Value> {
        let (absorbed, kept): (Vec<_>, Vec<_>) = entries(live).partition(|entry| self.absorb(*entry));
        let first = absorbed.first()?;
        let is_ours = |entry: &Entry<'_>| entry.manager() == self.ours && entry.is_apply() && !entry.has_subresource();
        let place = kept.iter().position(is_ours);
        let mut kept: Vec<Value> = kept.into_iter().map(|entry| entry.0.clone()).collect();
        let place = place.unwrap_or_else(|| {
            let mut renamed = first.0.clone();
            renamed.make_map().insert("manager", Value::str(&self.ours));
            renamed.make_map().insert("operation", Value::str("Apply"));
            kept.push(renamed);
            kept.len() - 1
        });
        let ours = kept[place].make_map().get_or_insert_with("fieldsV1", Value::map);
        for fields in absorbed.iter().filter_map(|entry| entry.fields()) {
            union(ours, fields);
        }
        Some(operation("replace", "/metadata/managedFields", Some(Value::list(kept))))
    }
}

/// Adds the fields of one trie to another. A leaf that gets children stays a member, by a `.` among them.
fn union(into: &mut Value, from: &Value) {
    let into = into.make_map();
    for entry in from.as_map().into_iter().flatten() {
        match into.get_mut(&entry.key) {
            None => drop(into.insert(entry.key.clone(), entry.value.clone())),
            Some(old) => {
                let is_member = is_leaf(old) || is_leaf(&entry.value);
                union(old, &entry.value);
                if is_member && !is_leaf(old) {
                    old.make_map().insert(".", Value::map());
                }
            }
        }
    }
}

/// Says whether a node of a trie has no children: it is a member itself.
pub(crate) fn is_leaf(fields: &Value) -> bool {
    fields.as_map().is_none_or(Map::is_empty)
}

/// One operation of a JSON patch.
pub(crate) fn operation(op: &str, path: &str, value: Option<Value>) -> Value {
    let mut operation = Map::from_iter([("op", Value::str(op)), ("path", Value::str(path))]);
    if let Some(value) = value {
        operation.insert("value", value);
    }
    operation.into()
}

/// A key as a segment of a JSON pointer.
pub(crate) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Says whether a trie of fields holds the node at the end of a path, or an atomic parent of it.
///
/// The path is one of map keys and list indices, as JSON pointers write them, and is followed in the live value.
pub(crate) fn holds(fields: &Value, live: &Value, path: &[String]) -> bool {
    let Some(map) = fields.as_map() else { return false };
    let Some((segment, rest)) = path.split_first() else { return true };
    // A leaf owns all below it: an atomic list, map or struct.
    if map.is_empty() {
        return true;
    }
    match &live.data {
        Data::List(items) => {
            let Some((index, item)) = segment.parse().ok().and_then(|index: usize| Some((index, items.get(index)?)))
            else {
                return false;
            };
            let found = map.iter().find(|entry| selects(&entry.key, index, item));
            found.is_some_and(|entry| holds(&entry.value, item, rest))
        }
        _ => {
            let Some(child) = map.get(&format!("f:{segment}")) else { return false };
            holds(child, live.get(segment).unwrap_or(&Value::null()), rest)
        }
    }
}

/// Says whether a key of a trie (`k:{"name":"a"}`, `v:"a"`, `i:0`) stands for a list item.
pub(crate) fn selects(key: &str, index: usize, item: &Value) -> bool {
    match key.split_at_checked(2) {
        Some(("k:", keys)) => soll_yaml::parse_json(keys.as_bytes()).is_ok_and(|keys| {
            keys.as_map().is_some_and(|keys| keys.iter().all(|key| item.get(&key.key) == Some(&key.value)))
        }),
        Some(("v:", value)) => soll_yaml::parse_json(value.as_bytes()).is_ok_and(|value| value == *item),
        Some(("i:", number)) => number.parse() == Ok(index),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{object, value};
    use expect_test::{Expect, expect};
    use soll_yaml::to_json;

    fn check(metadata: &str, expected: &Expect) {
        let live = object(&format!(
            "{{'apiVersion': 'v1', 'kind': 'Secret', 'metadata': {{'name': 's', 'resourceVersion': '7', {metadata}}}}}"
        ));
        let mut managers = Managers::new("kustomize-controller");
        managers.overridden.push("rancher".to_owned());
        let patch = managers.takeover(&live);
        let lines: Vec<_> = patch.iter().flat_map(|patch| patch.as_list().expect("a list")).map(to_json).collect();
        expected.assert_eq(&lines.join("\n"));
    }

    #[test]
    fn a_clean_object_is_left_alone() {
        check(
            "'managedFields': [
               {'manager': 'kustomize-controller', 'operation': 'Apply', 'fieldsV1': {'f:data': {}}},
               {'manager': 'before-first-apply', 'operation': 'Apply', 'fieldsV1': {'f:data': {}}},
               {'manager': 'flux-client-side-apply', 'operation': 'Apply', 'fieldsV1': {'f:data': {}}},
               {'manager': 'kubectl', 'operation': 'Update', 'subresource': 'status', 'fieldsV1': {'f:status': {}}}]",
            &expect![[""]],
        );
    }

    #[test]
    fn absorbed_managers_merge_into_ours() {
        check(
            "'managedFields': [
               {'manager': 'other', 'operation': 'Update', 'fieldsV1': {'f:x': {}}},
               {'manager': 'kubectl-edit', 'operation': 'Update', 'fieldsV1': {'f:data': {'f:a': {}}}},
               {'manager': 'kustomize-controller', 'operation': 'Apply', 'fieldsV1': {'f:data': {'f:b': {}}}},
               {'manager': 'rancher', 'operation': 'Apply', 'fieldsV1': {'f:type': {}}}]",
            &expect![[r#"
                {"op":"replace","path":"/metadata/managedFields","value":[{"manager":"other","operation":"Update","fieldsV1":{"f:x":{}}},{"manager":"kustomize-controller","operation":"Apply","fieldsV1":{"f:data":{"f:b":{},"f:a":{}},"f:type":{}}}]}
                {"op":"replace","path":"/metadata/resourceVersion","value":"7"}"#]],
        );
    }

    #[test]
    fn an_entry_of_ours_at_an_older_version_stays() {
        check(
            "'managedFields': [
               {'manager': 'kubectl', 'operation': 'Update', 'fieldsV1': {'f:a': {}}},
               {'manager': 'kustomize-controller', 'operation': 'Apply', 'apiVersion': 'v1', 'fieldsV1': {'f:b': {}}},
               {'manager': 'kustomize-controller', 'operation': 'Apply', 'apiVersion': 'v0', 'fieldsV1': {'f:c': {}}}]",
            &expect![[r#"
                {"op":"replace","path":"/metadata/managedFields","value":[{"manager":"kustomize-controller","operation":"Apply","apiVersion":"v1","fieldsV1":{"f:b":{},"f:a":{}}},{"manager":"kustomize-controller","operation":"Apply","apiVersion":"v0","fieldsV1":{"f:c":{}}}]}
                {"op":"replace","path":"/metadata/resourceVersion","value":"7"}"#]],
        );
    }

    #[test]
    fn a_leaf_that_gets_children_stays_a_member() {
        check(
            "'managedFields': [
               {'manager': 'kubectl', 'operation': 'Update', 'fieldsV1': {'f:a': {}, 'f:b': {'f:x': {}}}},
               {'manager': 'kustomize-controller', 'operation': 'Apply', 'fieldsV1': {'f:a': {'f:x': {}}, 'f:b': {}}}]",
            &expect![[r#"
                {"op":"replace","path":"/metadata/managedFields","value":[{"manager":"kustomize-controller","operation":"Apply","fieldsV1":{"f:a":{"f:x":{},".":{}},"f:b":{"f:x":{},".":{}}}}]}
                {"op":"replace","path":"/metadata/resourceVersion","value":"7"}"#]],
        );
    }

    #[test]
    fn the_first_absorbed_manager_becomes_ours() {
        check(
            "'managedFields': [
               {'manager': 'before-first-apply', 'operation': 'Update', 'fieldsV1': {'f:data': {'f:a': {}}}},
               {'manager': 'kustomize-controller', 'operation': 'Update', 'fieldsV1': {'f:data': {'f:b': {}}}}]",
            &expect![[r#"
                {"op":"replace","path":"/metadata/managedFields","value":[{"manager":"kustomize-controller","operation":"Apply","fieldsV1":{"f:data":{"f:a":{},"f:b":{}}}}]}
                {"op":"replace","path":"/metadata/resourceVersion","value":"7"}"#]],
        );
    }

    #[test]
    fn leftovers_are_removed() {
        check(
            "'annotations': {'kubectl.kubernetes.io/last-applied-configuration': '{}', 'keep': 'me'},
             'labels': {'fluxcd.io/sync-gc-mark': 'x'}",
            &expect![[r#"
                {"op":"remove","path":"/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"}
                {"op":"remove","path":"/metadata/labels/fluxcd.io~1sync-gc-mark"}
                {"op":"replace","path":"/metadata/resourceVersion","value":"7"}"#]],
        );
    }

    #[test]
    fn tries_hold_paths_through_keyed_and_atomic_lists() {
        let live = value("{'spec': {'containers': [{'name': 'a', 'image': 'x'}, {'name': 'b'}], 'args': ['1', '2']}}");
        let fields =
            value("{'f:spec': {'f:containers': {'k:{\\'name\\':\\'a\\'}': {'.': {}, 'f:image': {}}}, 'f:args': {}}}");
        let check = |pointer: &str, expected| {
            let path: Vec<_> = pointer.split('/').skip(1).map(str::to_owned).collect();
            assert_eq!(holds(&fields, &live, &path), expected, "{pointer}");
        };
        check("/spec/containers/0/image", true);
        check("/spec/containers/0/name", false);
        check("/spec/containers/1/image", false);
        check("/spec/args/1", true);
        check("/spec", true);
        check("/metadata", false);
    }
}
