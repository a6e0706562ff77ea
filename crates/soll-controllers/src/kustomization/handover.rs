//! Objects that move from one Kustomization to another: what another one is about to apply is left to it, not deleted.
//!
//! The others of the same source are built from the same tree, rather than waited for: one that waits for us would never
//! get there. So are those that others build and that are not there yet, as when a commit moves objects into a new one.

use std::collections::{HashMap, HashSet, VecDeque};
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

/// Sorts what left the build of a Kustomization by what all others make of it. Nothing if that cannot be found out now.
pub(super) async fn sort(left: &Inventory, key: &Key, offer: &Offer, tree: &Tree, ctx: &Context) -> Option<Sorted> {
    let (mut awaited, mut to_come) = (HashSet::new(), HashSet::new());
    let ids: HashSet<&str> = left.entries.iter().map(|entry| entry.id.as_str()).collect();
    // Whoever comes while this goes on is to come.
    let there: HashMap<Key, Object> = ctx.objects.of_kind(Kind::Kustomization).into_iter().collect();
    let known = there.iter().filter(|(other, _)| *other != key);
    let mut others: VecDeque<_> = known.map(|(other, object)| (other.clone(), object.clone(), Stand::There)).collect();
    while let Some((other, object, stand)) = others.pop_front() {
        let Ok(ks) = Kustomization::from_object(&object) else { continue };
        // Who is suspended takes nothing.
        if ks.metadata.is_deleting() || ks.spec.suspend {
            continue;
        }
        let made = match source_of(&ks) == offer.source {
            true => made_by((&other, stand), &object, &ks, offer, tree, ctx).await,
            false => Made::Nothing,
        };
        match made {
            Made::These(makes) => {
                awaited.extend(makes.ids.iter().filter(|id| ids.contains(id.as_str())).cloned());
                for made in makes.kustomizations.iter().filter(|made| is_new(made, &there)) {
                    let other = key_of(made);
                    if to_come.insert(other.clone()) {
                        others.push_back((other, made.clone(), Stand::ToCome));
                    }
                }
            }
            // It has what it has, and takes it again when it can.
            Made::Nothing => {
                let inventory = ks.status.inventory.unwrap_or_default().entries.into_iter();
                awaited.extend(inventory.map(|entry| entry.id).filter(|id| ids.contains(id.as_str())));
            }
            Made::Unknown => return None,
        }
    }
    Some(split(left, &awaited))
}

/// Whether a Kustomization that another one builds is not there yet, or not as it will be.
fn is_new(made: &Object, there: &HashMap<Key, Object>) -> bool {
    let spec = |object: &Object| Kustomization::from_object(object).ok().map(|ks| ks.spec);
    there.get(&key_of(made)).is_none_or(|there| spec(there) != spec(made))
}

fn key_of(kustomization: &Object) -> Key {
    Key::new(Kind::Kustomization, kustomization.namespace(), kustomization.name())
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

/// Whether a Kustomization is there as it is known, or only built by another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Stand {
    There,
    ToCome,
}

/// What another Kustomization makes of a tree.
enum Made {
    These(Arc<Makes>),
    /// Nothing: its build fails.
    Nothing,
    /// It is not known now.
    Unknown,
}

impl From<Option<Arc<Makes>>> for Made {
    fn from(makes: Option<Arc<Makes>>) -> Self {
        makes.map_or(Self::Nothing, Self::These)
    }
}

/// Who makes something: a Kustomization as it is there, or as another one builds it.
type Maker<'k> = (&'k Key, Stand);

async fn made_by(
    maker: Maker<'_>,
    object: &Object,
    ks: &Kustomization,
    offer: &Offer,
    tree: &Tree,
    ctx: &Context,
) -> Made {
    if !soll_api::unsupported_fields(maker.0.kind.name(), object.value()).is_empty() {
        return Made::Nothing;
    }
    let (spec, artifact) = (inputs::of_spec(ks, object), &offer.artifact.digest);
    if let Some(makes) = ctx.builds.recent(maker, &spec, artifact) {
        return makes.into();
    }
    let inputs = match inputs::resolve(ks, object, ctx).await {
        Ok(inputs) => inputs,
        Err(failure) if failure.class == Class::Forbidden => return Made::Nothing,
        // It may be asked again in a moment.
        Err(_) => return Made::Unknown,
    };
    let of = BuildKey { inputs: inputs.digest, artifact: artifact.clone() };
    let makes = match ctx.builds.get(maker, &of) {
        Some(makes) => makes,
        None => {
            let built = build::build(ks, tree.clone(), inputs.variables, inputs.missing, &ctx.config).await;
            let prepared = built.and_then(|built| soll_plan::prepare(built.objects, &Owner::of(ks), &built.sources));
            prepared.ok().map(|objects| Arc::new(Makes::of(objects)))
        }
    };
    ctx.builds.put(maker, Built { of, spec, at: Instant::now(), makes: makes.clone() });
    makes.into()
}

/// What a build makes, as far as others have to know.
#[derive(Debug, PartialEq)]
struct Makes {
    /// The inventory ids.
    ids: HashSet<String>,
    /// Objects that make others.
    kustomizations: Vec<Object>,
}

impl Makes {
    fn of(objects: Vec<Object>) -> Self {
        let ids = Inventory::of(&objects).entries.into_iter().map(|entry| entry.id).collect();
        let is_kustomization =
            |object: &Object| object.group() == super::GROUP && object.kind() == Kind::Kustomization.name();
        Self { ids, kustomizations: objects.into_iter().filter(is_kustomization).collect() }
    }
}

/// What the Kustomizations build, as far as others had to know. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Builds {
    /// Guards the table for single look-ups and inserts.
    by_key: Arc<Mutex<HashMap<Key, HashMap<Stand, Built>>>>,
}

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
    /// Nothing if the build fails.
    makes: Option<Arc<Makes>>,
}

/// A commit wakes all Kustomizations of a source at once: for so long they believe each other's variables to be what they were.
const RECENT: Duration = Duration::from_secs(10);

impl Builds {
    fn by_key(&self) -> MutexGuard<'_, HashMap<Key, HashMap<Stand, Built>>> {
        self.by_key.lock().expect("no line that holds this lock panics")
    }

    fn get(&self, maker: Maker<'_>, of: &BuildKey) -> Option<Option<Arc<Makes>>> {
        self.find(maker, |known| known.of == *of)
    }

    /// What was found a moment ago, whatever the variables are now.
    fn recent(&self, maker: Maker<'_>, spec: &[u8; 32], artifact: &str) -> Option<Option<Arc<Makes>>> {
        self.find(maker, |known| known.spec == *spec && known.of.artifact == artifact && known.at.elapsed() < RECENT)
    }

    fn find(&self, (key, stand): Maker<'_>, is_it: impl Fn(&Built) -> bool) -> Option<Option<Arc<Makes>>> {
        let by_key = self.by_key();
        by_key.get(key)?.get(&stand).filter(|known| is_it(known)).map(|known| known.makes.clone())
    }

    fn put(&self, (key, stand): Maker<'_>, built: Built) {
        self.by_key().entry(key.clone()).or_default().insert(stand, built);
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
        let (there, to_come) = ((&key, Stand::There), (&key, Stand::ToCome));
        let of = |artifact: &str| BuildKey { inputs: [0; 32], artifact: artifact.to_owned() };
        builds.put(there, Built { of: of("one"), spec: [1; 32], at: Instant::now(), makes: None });
        assert_eq!(builds.get(there, &of("one")), Some(None), "that it fails is known, too");
        assert_eq!((builds.get(there, &of("two")), builds.get(to_come, &of("one"))), (None, None));
        assert_eq!(builds.recent(there, &[1; 32], "one"), Some(None), "without its variables being asked for");
        assert_eq!((builds.recent(there, &[2; 32], "one"), builds.recent(there, &[1; 32], "two")), (None, None));
        builds.forget(&key);
        assert_eq!(builds.get(there, &of("one")), None);
    }
}
