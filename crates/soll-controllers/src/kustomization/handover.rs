//! Objects that move from one Kustomization to another: what another one is about to apply is left to it, not deleted.
//!
//! The others of the same source are built from the same tree, rather than waited for: one that waits for us would never
//! get there.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use soll_api::{Class, Inventory, Kustomization, Object, Resource};
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
    /// Others have or build them, or may, and take them when they apply.
    pub(super) awaited: Inventory,
}

/// Sorts what left the build of a Kustomization by what all others make of it.
pub(super) async fn sort(left: Inventory, key: &Key, offer: &Offer, tree: &Tree, ctx: &Context) -> Sorted {
    let mut awaited = HashSet::new();
    let ids: HashSet<&str> = left.entries.iter().map(|entry| entry.id.as_str()).collect();
    for (other, object) in ctx.objects.of_kind(Kind::Kustomization) {
        let Ok(ks) = Kustomization::from_object(&object) else { continue };
        // Who is suspended takes nothing.
        if other == *key || ks.metadata.is_deleting() || ks.spec.suspend {
            continue;
        }
        let made = match source_of(&ks) == offer.source {
            true => made_by(&other, &object, &ks, offer, tree, ctx).await,
            false => Made::Nothing,
        };
        match made {
            Made::These(builds) => awaited.extend(builds.iter().filter(|id| ids.contains(id.as_str())).cloned()),
            // It has what it has, and takes it again when it can.
            Made::Nothing => {
                let inventory = ks.status.inventory.unwrap_or_default().entries.into_iter();
                awaited.extend(inventory.map(|entry| entry.id).filter(|id| ids.contains(id.as_str())));
            }
            Made::Unknown => return Sorted { stale: Inventory::default(), awaited: left },
        }
    }
    split(&left, &awaited)
}

/// Entries that others have or build are left to them, unless they turn out to be theirs already.
fn split(left: &Inventory, others: &HashSet<String>) -> Sorted {
    let (awaited, stale) = left.entries.iter().cloned().partition(|entry| others.contains(&entry.id));
    Sorted { stale: Inventory { entries: stale }, awaited: Inventory { entries: awaited } }
}

/// The entries that nobody has taken over yet.
pub(super) async fn not_taken(awaited: &Inventory, applier: &Applier, owner: &Owner) -> Inventory {
    if awaited.is_empty() { Inventory::default() } else { applier.still_owned(awaited, owner).await }
}

fn source_of(ks: &Kustomization) -> Key {
    let source = ks.source();
    Key::new(Kind::GitRepository, &source.namespace, &source.name)
}

/// What another Kustomization makes of a tree.
enum Made {
    /// Objects with these inventory ids.
    These(Arc<HashSet<String>>),
    /// Nothing: its build fails.
    Nothing,
    /// It is not known now.
    Unknown,
}

impl From<Ids> for Made {
    fn from(ids: Ids) -> Self {
        ids.map_or(Self::Nothing, Self::These)
    }
}

async fn made_by(key: &Key, object: &Object, ks: &Kustomization, offer: &Offer, tree: &Tree, ctx: &Context) -> Made {
    if !soll_api::unsupported_fields(key.kind.name(), object.value()).is_empty() {
        return Made::Nothing;
    }
    let (spec, artifact) = (inputs::of_spec(ks, object), &offer.artifact.digest);
    if let Some(ids) = ctx.builds.recent(key, &spec, artifact) {
        return ids.into();
    }
    let inputs = match inputs::resolve(ks, object, ctx).await {
        Ok(inputs) => inputs,
        Err(failure) if failure.class == Class::Forbidden => return Made::Nothing,
        // It may be asked again in a moment.
        Err(_) => return Made::Unknown,
    };
    let of = BuildKey { inputs: inputs.digest, artifact: artifact.clone() };
    let ids = match ctx.builds.get(key, &of) {
        Some(ids) => ids,
        None => {
            let built = build::build(ks, tree.clone(), inputs.variables, inputs.missing, &ctx.config).await;
            let prepared = built.and_then(|built| soll_plan::prepare(built.objects, &Owner::of(ks), &built.sources));
            let ids =
                |objects: Vec<Object>| Inventory::of(&objects).entries.into_iter().map(|entry| entry.id).collect();
            prepared.ok().map(|objects| Arc::new(ids(objects)))
        }
    };
    ctx.builds.put(key, Built { of, spec, at: Instant::now(), ids: ids.clone() });
    ids.into()
}

/// What the Kustomizations build, as far as others had to know. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Builds {
    /// Guards the table for single look-ups and inserts.
    by_key: Arc<Mutex<HashMap<Key, Built>>>,
}

/// Nothing if the build fails.
type Ids = Option<Arc<HashSet<String>>>;

/// What a build is of.
#[derive(Debug, PartialEq, Eq)]
struct BuildKey {
    inputs: [u8; 32],
    artifact: String,
}

/// What a Kustomization was found to build.
struct Built {
    of: BuildKey,
    /// Of the inputs without the variables, which have to be asked for.
    spec: [u8; 32],
    at: Instant,
    ids: Ids,
}

/// A commit wakes all Kustomizations of a source at once: for so long they believe each other's variables to be what they were.
const RECENT: Duration = Duration::from_secs(10);

impl Builds {
    fn by_key(&self) -> MutexGuard<'_, HashMap<Key, Built>> {
        self.by_key.lock().expect("no line that holds this lock panics")
    }

    fn get(&self, key: &Key, of: &BuildKey) -> Option<Ids> {
        self.by_key().get(key).filter(|known| known.of == *of).map(|known| known.ids.clone())
    }

    /// What was found a moment ago, whatever the variables are now.
    fn recent(&self, key: &Key, spec: &[u8; 32], artifact: &str) -> Option<Ids> {
        let by_key = self.by_key();
        let known = by_key.get(key).filter(|known| known.spec == *spec && known.of.artifact == artifact)?;
        (known.at.elapsed() < RECENT).then(|| known.ids.clone())
    }

    fn put(&self, key: &Key, built: Built) {
        self.by_key().insert(key.clone(), built);
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
    fn what_others_have_or_build_is_awaited() {
        let sorted = split(&inventory(&["a", "b", "c"]), &set(&["b", "c", "d"]));
        assert_eq!(sorted, Sorted { stale: inventory(&["a"]), awaited: inventory(&["b", "c"]) });
    }

    #[test]
    fn a_build_is_known_for_its_inputs_and_its_artifact() {
        let (builds, key) = (Builds::default(), Key::new(Kind::Kustomization, "apps", "a"));
        let of = |artifact: &str| BuildKey { inputs: [0; 32], artifact: artifact.to_owned() };
        builds.put(&key, Built { of: of("one"), spec: [1; 32], at: Instant::now(), ids: None });
        assert_eq!(builds.get(&key, &of("one")), Some(None), "that it fails is known, too");
        assert_eq!(builds.get(&key, &of("two")), None);
        assert_eq!(builds.recent(&key, &[1; 32], "one"), Some(None), "without its variables being asked for");
        assert_eq!((builds.recent(&key, &[2; 32], "one"), builds.recent(&key, &[1; 32], "two")), (None, None));
        builds.forget(&key);
        assert_eq!(builds.get(&key, &of("one")), None);
    }
}
