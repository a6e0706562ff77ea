//! Objects that move from one Kustomization to another: what another one is about to apply is left to it, not deleted.
//!
//! The others of the same source are built from the same tree, rather than waited for: one that waits for us would never
//! get there. So are those that others build and that are not there yet, as when a commit moves objects into a new one.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use soll_api::{Class, Inventory, Kustomization, KustomizationStatus, Object, Resource};
use soll_cluster::{Applier, StillOwned};
use soll_plan::Owner;
use soll_tree::Tree;
use soll_yaml::Value;

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
    /// Who is there and builds what is awaited.
    pub(super) takers: BTreeSet<Key>,
    /// Whether it is worth asking again soon: what others build could not be found out.
    pub(super) unsure: bool,
}

/// When to ask again what could not be found out.
pub(super) const ASK_AGAIN: Duration = Duration::from_secs(10);

/// As many Kustomizations are followed that are not there yet: one that builds itself under ever new names has no end.
const MOST_TO_COME: usize = 1000;

/// So many Kustomizations are looked at before others get their turn.
const AT_ONCE: usize = 256;

/// Whose entries are sorted.
pub(super) struct Leaver<'l> {
    pub(super) key: &'l Key,
    /// What it builds now; nothing at its end.
    pub(super) builds: Option<&'l [Object]>,
    pub(super) offer: &'l Offer,
    pub(super) tree: &'l Tree,
}

/// Sorts what left the build of a Kustomization by what all others make of the same tree.
pub(super) async fn sort(left: &Inventory, leaver: &Leaver<'_>, ctx: &Context) -> Sorted {
    let ids: HashSet<&str> = left.entries.iter().map(|entry| entry.id.as_str()).collect();
    let (mut awaited, mut takers): (HashSet<String>, BTreeSet<Key>) = Default::default();
    // Whoever comes while this goes on is to come.
    let there: HashMap<Key, Object> = ctx.objects.of_kind(Kind::Kustomization).into_iter().collect();
    let mut to_come = ToCome { there: &there, leaver, known: HashSet::new(), queue: VecDeque::new() };
    if let Some(objects) = leaver.builds {
        to_come.add(&kustomizations(objects), ctx);
    }
    let others = there.iter().filter(|(other, object)| *other != leaver.key && takes(object));
    for (number, (other, object)) in others.enumerate() {
        if number % AT_ONCE == AT_ONCE - 1 {
            tokio::task::yield_now().await;
        }
        let Some(ks) = ctx.builds.decoded(other, object) else { continue };
        let made = match source_of(&ks) == leaver.offer.source {
            true => made_by((other, Stand::There), object, &ks, leaver, ctx).await,
            false => Made::OfOtherSource,
        };
        let theirs: Vec<String> = match &made {
            Made::These(makes) => {
                to_come.add(&makes.kustomizations, ctx);
                ids.iter().filter(|id| makes.ids.contains(**id)).map(|id| (*id).to_owned()).collect()
            }
            // It has what it has, and takes it again when it can.
            Made::Nothing | Made::OfOtherSource => {
                inventory_ids(object).filter(|id| ids.contains(id)).map(str::to_owned).collect()
            }
            Made::Unknown => return Sorted { awaited: left.clone(), unsure: true, ..Sorted::default() },
        };
        if !theirs.is_empty() && !matches!(made, Made::Nothing) {
            takers.insert(other.clone());
        }
        awaited.extend(theirs);
    }
    while let Some(other) = to_come.queue.pop_front() {
        let maker = (&other.key, Stand::ToCome);
        match made_by(maker, &other.object, &other.decoded, leaver, ctx).await {
            Made::These(makes) => {
                to_come.add(&makes.kustomizations, ctx);
                awaited.extend(ids.iter().filter(|id| makes.ids.contains(**id)).map(|id| (*id).to_owned()));
            }
            Made::Nothing | Made::OfOtherSource => {}
            Made::Unknown => return Sorted { awaited: left.clone(), unsure: true, ..Sorted::default() },
        }
    }
    Sorted { takers, ..split(left, &awaited) }
}

/// Sorts what a Kustomization has by what others have, if what they build cannot be known.
pub(super) fn sort_by_inventories(left: &Inventory, key: &Key, ctx: &Context) -> Sorted {
    let ids: HashSet<&str> = left.entries.iter().map(|entry| entry.id.as_str()).collect();
    let (mut awaited, mut takers): (HashSet<String>, BTreeSet<Key>) = Default::default();
    for (other, object) in ctx.objects.of_kind(Kind::Kustomization) {
        if other == *key || !takes(&object) {
            continue;
        }
        let before = awaited.len();
        awaited.extend(inventory_ids(&object).filter(|id| ids.contains(id)).map(str::to_owned));
        if awaited.len() > before {
            takers.insert(other);
        }
    }
    Sorted { takers, ..split(left, &awaited) }
}

/// Whether a Kustomization may take anything: not if it is suspended, or at its end.
fn takes(object: &Object) -> bool {
    !is_suspended(object) && !object.is_terminating()
}

pub(super) fn is_suspended(object: &Object) -> bool {
    object.value().lookup(&["spec", "suspend"]).and_then(Value::as_bool) == Some(true)
}

fn inventory_ids(object: &Object) -> impl Iterator<Item = &str> {
    let entries = object.value().lookup(&["status", "inventory", "entries"]).and_then(Value::as_list);
    entries.unwrap_or_default().iter().filter_map(|entry| entry.lookup_str(&["id"]))
}

/// The Kustomizations that others build and that are not there yet, or not as they will be.
struct ToCome<'t> {
    there: &'t HashMap<Key, Object>,
    leaver: &'t Leaver<'t>,
    known: HashSet<(Key, [u8; 32])>,
    queue: VecDeque<MadeKustomization>,
}

impl ToCome<'_> {
    fn add(&mut self, made: &[MadeKustomization], ctx: &Context) {
        for made in made {
            // Who is at its end does not come back by what is made of it later.
            let ends = self.leaver.builds.is_none() && made.key == *self.leaver.key;
            if ends
                || self.stays_suspended(made)
                || self.known.len() == MOST_TO_COME
                || !takes(&made.object)
                || !self.is_new(made, ctx)
            {
                continue;
            }
            if source_of(&made.decoded) == self.leaver.offer.source
                && self.known.insert((made.key.clone(), inputs::of_spec(&made.decoded, &made.object)))
            {
                self.queue.push_back(made.clone());
            }
        }
    }

    /// Whether it is suspended by somebody whom its manifest does not contradict.
    fn stays_suspended(&self, made: &MadeKustomization) -> bool {
        let is_open = made.object.value().lookup(&["spec", "suspend"]).is_none();
        is_open && self.there.get(&made.key).is_some_and(is_suspended)
    }

    fn is_new(&self, made: &MadeKustomization, ctx: &Context) -> bool {
        let there = self.there.get(&made.key).and_then(|object| ctx.builds.decoded(&made.key, object));
        there.is_none_or(|there| there.spec != made.decoded.spec)
    }
}

/// Entries that others have or build are left to them, unless they turn out to be theirs already.
fn split(left: &Inventory, others: &HashSet<String>) -> Sorted {
    let (awaited, stale) = left.entries.iter().cloned().partition(|entry| others.contains(&entry.id));
    Sorted { stale: Inventory { entries: stale }, awaited: Inventory { entries: awaited }, ..Sorted::default() }
}

/// The entries that nobody has taken over yet.
pub(super) async fn not_taken(awaited: &Inventory, applier: &Applier, owner: &Owner) -> StillOwned {
    if awaited.is_empty() { StillOwned::default() } else { applier.still_owned(awaited, owner).await }
}

/// Has those that build what is awaited take it now: they may have taken it for theirs already.
pub(super) fn ask(takers: &BTreeSet<Key>, ctx: &Context) {
    for taker in takers.iter().filter(|taker| ctx.check_ownership(taker).is_ok()) {
        ctx.runs.ask(taker);
        ctx.waker.wake(taker.clone());
    }
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
    /// It is built from another tree.
    OfOtherSource,
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

async fn made_by(maker: Maker<'_>, object: &Object, ks: &Kustomization, leaver: &Leaver<'_>, ctx: &Context) -> Made {
    if !soll_api::unsupported_fields(maker.0.kind.name(), object.value()).is_empty() {
        return Made::Nothing;
    }
    let (spec, artifact) = (inputs::of_spec(ks, object), &leaver.offer.artifact.digest);
    if let Some(makes) = ctx.builds.recent(maker, &spec, artifact) {
        return makes.into();
    }
    let inputs = match inputs::resolve(ks, object, ctx).await {
        Ok(inputs) => inputs,
        // It may be asked again in a moment.
        Err(failure) if failure.class == Class::Internal => return Made::Unknown,
        // Its own pass fails with this, too.
        Err(_) => return Made::Nothing,
    };
    let of = BuildKey { inputs: inputs.digest, artifact: artifact.clone() };
    let makes = match ctx.builds.get(maker, &of) {
        Some(makes) => makes,
        None => {
            let built = build::build(ks, leaver.tree.clone(), inputs.variables, inputs.missing, &ctx.config).await;
            let prepared = built.and_then(|built| soll_plan::prepare(built.objects, &Owner::of(ks), &built.sources));
            prepared.ok().map(|objects| Arc::new(Makes::of(&objects)))
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
    kustomizations: Vec<MadeKustomization>,
}

impl Makes {
    fn of(objects: &[Object]) -> Self {
        let ids = Inventory::of(objects).entries.into_iter().map(|entry| entry.id).collect();
        Self { ids, kustomizations: kustomizations(objects) }
    }
}

/// A Kustomization as another one builds it.
#[derive(Debug, Clone, PartialEq)]
struct MadeKustomization {
    key: Key,
    object: Object,
    decoded: Arc<Kustomization>,
}

/// The Kustomizations among objects, but those that are none by their form.
fn kustomizations(objects: &[Object]) -> Vec<MadeKustomization> {
    let is_one = |object: &&Object| object.group() == super::GROUP && object.kind() == Kind::Kustomization.name();
    let made = |object: &Object| {
        let decoded = Arc::new(Kustomization::from_object(object).ok()?);
        let key = Key::new(Kind::Kustomization, object.namespace(), object.name());
        let mut object = object.clone();
        // One that was exported names that of another life.
        if let Some(metadata) = object.value_mut().get_mut("metadata").and_then(Value::as_map_mut) {
            metadata.remove("uid");
        }
        Some(MadeKustomization { key, object, decoded })
    };
    objects.iter().filter(is_one).filter_map(made).collect()
}

/// What the Kustomizations build, as far as others had to know. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Builds {
    /// Guards the table for single look-ups and inserts.
    by_key: Arc<Mutex<HashMap<Key, OfOne>>>,
}

/// What is known of one Kustomization.
#[derive(Default)]
struct OfOne {
    built: HashMap<Stand, Built>,
    /// As it is there, without its status, by uid and generation; nothing if it cannot be read.
    decoded: Option<(String, Option<i64>, Option<Arc<Kustomization>>)>,
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
    fn by_key(&self) -> MutexGuard<'_, HashMap<Key, OfOne>> {
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
        by_key.get(key)?.built.get(&stand).filter(|known| is_it(known)).map(|known| known.makes.clone())
    }

    /// A Kustomization that is there, without its status: read once for each generation.
    fn decoded(&self, key: &Key, object: &Object) -> Option<Arc<Kustomization>> {
        let is_it = |(uid, generation, _): &&(String, Option<i64>, _)| {
            *uid == object.uid() && *generation == object.generation()
        };
        if let Some((_, _, known)) = self.by_key().get(key).and_then(|known| known.decoded.as_ref()).filter(is_it) {
            return known.clone();
        }
        let mut decoded = Kustomization::from_object(object).ok();
        if let Some(ks) = &mut decoded {
            ks.status = KustomizationStatus::default();
        }
        let decoded = decoded.map(Arc::new);
        let known = (object.uid().to_owned(), object.generation(), decoded.clone());
        self.by_key().entry(key.clone()).or_default().decoded = Some(known);
        decoded
    }

    fn put(&self, (key, stand): Maker<'_>, built: Built) {
        self.by_key().entry(key.clone()).or_default().built.insert(stand, built);
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
        let wanted = Sorted { stale: inventory(&["a"]), awaited: inventory(&["b", "c"]), ..Sorted::default() };
        assert_eq!(sorted, wanted);
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
