//! Inventories: which objects a Kustomization put into the cluster.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::{Object, ObjectRef};

/// The objects that were applied, in the order of applying, each id once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Inventory {
    /// The entries.
    pub entries: Vec<InventoryEntry>,
}

/// One object of an [`Inventory`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InventoryEntry {
    /// `<namespace>_<name>_<group>_<Kind>`.
    pub id: String,
    /// API version without the group.
    pub v: String,
}

const RBAC: &str = "rbac.authorization.k8s.io";

/// An inventory id that is not `<namespace>_<name>_<group>_<Kind>`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no inventory id: expected <namespace>_<name>_<group>_<Kind>")]
pub struct InventoryIdError(String);

impl ObjectRef {
    /// The id in inventories: `apps_podinfo_apps_Deployment`, `_podinfo__Namespace`.
    ///
    /// Names of RBAC kinds may have a `:`, which is written `__`.
    #[must_use]
    pub fn inventory_id(&self) -> String {
        let name = if self.group == RBAC { self.name.replace(':', "__") } else { self.name.clone() };
        format!("{}_{name}_{}_{}", self.namespace, self.group, self.kind)
    }

    /// The object that an inventory id stands for.
    ///
    /// # Errors
    /// If the id has not four parts, or no name or kind.
    pub fn from_inventory_id(id: &str) -> Result<Self, InventoryIdError> {
        // Only RBAC names may contain an underscore, and only as pairs: the ends are unambiguous.
        let parts = id.split_once('_').and_then(|(namespace, rest)| {
            let (rest, kind) = rest.rsplit_once('_')?;
            let (name, group) = rest.rsplit_once('_')?;
            Some((namespace, name, group, kind))
        });
        match parts {
            Some((namespace, name, group, kind)) if !name.is_empty() && !kind.is_empty() => {
                let name = if group == RBAC { name.replace("__", ":") } else { name.to_owned() };
                Ok(Self { group: group.into(), kind: kind.into(), namespace: namespace.into(), name })
            }
            _ => Err(InventoryIdError(id.to_owned())),
        }
    }
}

impl InventoryEntry {
    /// The entry of an object.
    #[must_use]
    pub fn new(object: &Object) -> Self {
        Self { id: object.object_ref().inventory_id(), v: object.version().to_owned() }
    }

    /// The object that this entry stands for.
    ///
    /// # Errors
    /// See [`ObjectRef::from_inventory_id`].
    pub fn object_ref(&self) -> Result<ObjectRef, InventoryIdError> {
        ObjectRef::from_inventory_id(&self.id)
    }

    /// Bytes that the entry takes in the API server's JSON, its comma included.
    #[must_use]
    pub fn size(&self) -> usize {
        // {"id":"…","v":"…"},
        self.id.len() + self.v.len() + 17
    }
}

impl Inventory {
    /// The inventory of objects, in their order; of two entries with one id the last version counts.
    pub fn of<'o>(objects: impl IntoIterator<Item = &'o Object>) -> Self {
        Self::default().union(&Self { entries: objects.into_iter().map(InventoryEntry::new).collect() })
    }

    /// All entries of both, ours first; where both have an id, the other's version counts.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut entries: Vec<InventoryEntry> = Vec::with_capacity(self.entries.len() + other.entries.len());
        let mut places = std::collections::HashMap::new();
        for entry in self.entries.iter().chain(&other.entries) {
            match places.get(entry.id.as_str()) {
                Some(place) => entries[*place] = entry.clone(),
                None => {
                    places.insert(entry.id.as_str(), entries.len());
                    entries.push(entry.clone());
                }
            }
        }
        Self { entries }
    }

    /// The entries of ours whose ids the other has not: what left the build. A changed version is no difference.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let ids: HashSet<_> = other.entries.iter().map(|entry| entry.id.as_str()).collect();
        Self { entries: self.entries.iter().filter(|entry| !ids.contains(entry.id.as_str())).cloned().collect() }
    }

    /// Says whether an id is in it.
    #[must_use]
    pub fn contains(&self, id: &str) -> bool {
        self.entries.iter().any(|entry| entry.id == id)
    }

    /// Bytes that the inventory takes in the API server's JSON.
    #[must_use]
    pub fn size(&self) -> usize {
        self.entries.iter().map(InventoryEntry::size).sum()
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Says whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(id: &str, group: &str, kind: &str, namespace: &str, name: &str) {
        let object =
            ObjectRef { group: group.into(), kind: kind.into(), namespace: namespace.into(), name: name.into() };
        assert_eq!(object.inventory_id(), id);
        assert_eq!(ObjectRef::from_inventory_id(id), Ok(object));
    }

    #[test]
    fn ids_are_those_of_flux() {
        check("_podinfo__Namespace", "", "Namespace", "", "podinfo");
        check("apps_podinfo_apps_Deployment", "apps", "Deployment", "apps", "podinfo");
        check("_system__node_rbac.authorization.k8s.io_ClusterRole", RBAC, "ClusterRole", "", "system:node");
        check("a_x__b_rbac.authorization.k8s.io_Role", RBAC, "Role", "a", "x:b");
        check("a_b.example.com_example.com_Wheel", "example.com", "Wheel", "a", "b.example.com");
    }

    #[test]
    fn broken_ids_are_named() {
        for id in ["", "a", "a_b_c", "a__g_K", "a_b_g_"] {
            assert!(ObjectRef::from_inventory_id(id).is_err(), "{id}");
        }
    }

    fn inventory(entries: &[(&str, &str)]) -> Inventory {
        let entry = |&(id, v): &(&str, &str)| InventoryEntry { id: id.into(), v: v.into() };
        Inventory { entries: entries.iter().map(entry).collect() }
    }

    #[test]
    fn union_keeps_every_entry_once() {
        let old = inventory(&[("_a__Namespace", "v1"), ("_b__Namespace", "v1beta1")]);
        let new = inventory(&[("_b__Namespace", "v1"), ("_c__Namespace", "v1")]);
        let union = inventory(&[("_a__Namespace", "v1"), ("_b__Namespace", "v1"), ("_c__Namespace", "v1")]);
        assert_eq!(old.union(&new), union);
    }

    #[test]
    fn a_changed_version_is_not_stale() {
        let old = inventory(&[("_a__Namespace", "v1"), ("_b__Namespace", "v1beta1")]);
        let new = inventory(&[("_b__Namespace", "v1")]);
        assert_eq!(old.difference(&new), inventory(&[("_a__Namespace", "v1")]));
    }

    #[test]
    fn size_is_that_of_the_json() {
        let inventory = inventory(&[("_a__Namespace", "v1"), ("_b__Namespace", "v1beta1")]);
        let text = serde_json::to_string(&inventory.entries).expect("JSON");
        assert_eq!(inventory.size(), text.len() - "[]".len() + ",".len());
    }
}
