//! Objects that move from one Kustomization to another: what another one is about to apply is left to it, not deleted.
//!
//! The others of the same source are built from the same tree, rather than waited for: one that waits for us would never
//! get there.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use soll_api::{Inventory, Kustomization, Object, Resource};
use soll_cluster::Applier;
use soll_plan::Owner;
use soll_tree::Tree;

use super::source::Offer;
use super::{build, inputs};
use crate::context::Context;
use crate::{Key, Kind};

/// What to do with the entries that left a build.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Sorted {
    /// Nobody else has them.
    pub(super) stale: Inventory,
    /// Others build them, and will take them when they apply.
    pub(super) awaited: Inventory,
}

/// Sorts what left the build of a Kustomization by what all others make of it.
pub(super) async fn sort(left: Inventory, key: &Key, offer: &Offer, tree: &Tree, ctx: &Context) -> Sorted {
    let (mut built, mut held) = (HashSet::new(), HashSet::new());
    let ids: HashSet<&str> = left.entries.iter().map(|entry| entry.id.as_str()).collect();
    for (other, object) in ctx.objects.of_kind(Kind::Kustomization) {
        let Ok(ks) = Kustomization::from_object(&object) else { continue };
        if other == *key || ks.metadata.is_deleting() {
            continue;
        }
        let builds = match ks.spec.suspend || source_of(&ks) != offer.source {
            true => None,
            false => built_by(&other, &object, &ks, offer, tree, ctx).await,
        };
        match builds {
            Some(builds) => built.extend(builds.iter().filter(|id| ids.contains(id.as_str())).cloned()),
            // What it would build now is not known: it has what it has.
            None => {
                let inventory = ks.status.inventory.unwrap_or_default().entries.into_iter();
                held.extend(inventory.map(|entry| entry.id).filter(|id| ids.contains(id.as_str())));
            }
        }
    }
    split(&left, &built, &held)
}

/// Entries that others hold are theirs already: they are neither deleted nor awaited.
fn split(left: &Inventory, built: &HashSet<String>, held: &HashSet<String>) -> Sorted {
    let mut sorted = Sorted::default();
    for entry in &left.entries {
        if built.contains(&entry.id) {
            sorted.awaited.entries.push(entry.clone());
        } else if !held.contains(&entry.id) {
            sorted.stale.entries.push(entry.clone());
        }
    }
    sorted
}

/// The entries that nobody has taken over yet.
pub(super) async fn not_taken(awaited: &Inventory, applier: &Applier, owner: &Owner) -> Inventory {
    if awaited.is_empty() { Inventory::default() } else { applier.still_owned(awaited, owner).await }
}

fn source_of(ks: &Kustomization) -> Key {
    let source = ks.source();
    Key::new(Kind::GitRepository, &source.namespace, &source.name)
}

/// The inventory ids of what another Kustomization builds of a tree; nothing if it cannot.
async fn built_by(
    key: &Key,
    object: &Object,
    ks: &Kustomization,
    offer: &Offer,
    tree: &Tree,
    ctx: &Context,
) -> Option<Arc<HashSet<String>>> {
    if !soll_api::unsupported_fields(key.kind.name(), object.value()).is_empty() {
        return None;
    }
    let inputs = inputs::resolve(ks, object, ctx).await.ok()?;
    let of = BuildKey { inputs: inputs.digest, artifact: offer.artifact.digest.clone() };
    if let Some(ids) = ctx.builds.get(key, &of) {
        return ids;
    }
    let built = build::build(ks, tree.clone(), inputs.variables, inputs.missing, &ctx.config).await;
    let prepared = built.and_then(|built| soll_plan::prepare(built.objects, &Owner::of(ks), &built.sources));
    let ids = prepared.ok().map(|objects| Inventory::of(&objects).entries.into_iter().map(|entry| entry.id));
    let ids = ids.map(|ids| Arc::new(ids.collect()));
    ctx.builds.put(key, of, ids.clone());
    ids
}

/// What the Kustomizations build, as far as others had to know. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Builds {
    /// Guards the table for single look-ups and inserts.
    by_key: Arc<Mutex<HashMap<Key, (BuildKey, Ids)>>>,
}

/// Nothing if the build fails.
type Ids = Option<Arc<HashSet<String>>>;

/// What a build is of.
#[derive(Debug, PartialEq, Eq)]
struct BuildKey {
    inputs: [u8; 32],
    artifact: String,
}

impl Builds {
    fn by_key(&self) -> MutexGuard<'_, HashMap<Key, (BuildKey, Ids)>> {
        self.by_key.lock().expect("no line that holds this lock panics")
    }

    fn get(&self, key: &Key, of: &BuildKey) -> Option<Ids> {
        self.by_key().get(key).filter(|(known, _)| known == of).map(|(_, ids)| ids.clone())
    }

    fn put(&self, key: &Key, of: BuildKey, ids: Ids) {
        self.by_key().insert(key.clone(), (of, ids));
    }

    /// Forgets a Kustomization that is gone.
    pub(super) fn forget(&self, key: &Key) {
        self.by_key().remove(key);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use soll_api::InventoryEntry;

    fn inventory(ids: &[&str]) -> Inventory {
        let entry = |id: &&str| InventoryEntry { id: (*id).to_owned(), v: "v1".to_owned() };
        Inventory { entries: ids.iter().map(entry).collect() }
    }

    fn set(ids: &[&str]) -> HashSet<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn what_others_build_is_awaited_and_what_others_have_is_theirs() {
        let left = inventory(&["a", "b", "c", "d"]);
        let sorted = split(&left, &set(&["b", "c"]), &set(&["c", "d"]));
        assert_eq!(sorted, Sorted { stale: inventory(&["a"]), awaited: inventory(&["b", "c"]) });
    }

    #[test]
    fn a_build_is_known_for_its_inputs_and_its_artifact() {
        let (builds, key) = (Builds::default(), Key::new(Kind::Kustomization, "apps", "a"));
        let of = |artifact: &str| BuildKey { inputs: [0; 32], artifact: artifact.to_owned() };
        builds.put(&key, of("one"), None);
        assert_eq!(builds.get(&key, &of("one")), Some(None), "that it fails is known, too");
        assert_eq!(builds.get(&key, &of("two")), None);
        builds.forget(&key);
        assert_eq!(builds.get(&key, &of("one")), None);
    }
}
