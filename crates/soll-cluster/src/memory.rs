//! What is known of objects that we applied, so that unchanged ones cost no call.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use soll_api::{Object, ObjectRef};
use soll_plan::{ApplySettings, Managers};
use soll_yaml::{Value, parse_json, to_json, to_json_sorted};
use tokio::time::Instant;

use crate::Identity;

/// What was applied to one cluster and how it looked afterwards, kept up to date by metadata watches.
///
/// An object needs no call if what we would apply is what we applied, its kind is watched, and its
/// metadata still shows the traces of our last apply and of no manager that we absorb. The mutex guards
/// lookups in a map; a channel would make each of them a round trip.
#[derive(Debug, Default)]
pub struct Memory {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    objects: HashMap<ObjectRef, Kept>,
    /// By group and kind of the watches that are up. Only these can vouch.
    watched: HashMap<(String, String), Watched>,
    /// Group and kind of what lives outside of namespaces, as far as a live object showed it. Manifests may name a namespace all
    /// the same, which the server drops: what is kept here goes by the name that the server knows.
    unscoped: HashSet<(String, String)>,
    /// Objects that we are writing, with what a watch showed of them since we began.
    writing: HashMap<ObjectRef, Option<Shown>>,
    /// Objects that an earlier process applied, as a list showed them, as long as nothing newer is known.
    recalled: HashMap<ObjectRef, Recalled>,
}

/// What a watch of a kind showed.
#[derive(Debug, Default)]
struct Watched {
    /// The last version of each object.
    versions: HashMap<ObjectRef, String>,
    /// The newest version of all, of those that are gone, too.
    newest: String,
}

/// An object that nobody has compared yet with what it ought to be. There may be many: as text it takes least room.
#[derive(Debug)]
struct Recalled {
    resource_version: String,
    json: String,
}

/// What a watch shows of an object.
#[derive(Debug, Clone)]
enum Shown {
    Live(Object),
    Gone(Object),
}

impl State {
    /// An object by the name that the server knows.
    fn resolve(&self, mut reference: ObjectRef) -> ObjectRef {
        if !reference.namespace.is_empty() && self.unscoped.contains(&kind_of(&reference)) {
            reference.namespace.clear();
        }
        reference
    }

    /// Learns from a live object whether its kind lives in namespaces. Returns what it goes by.
    fn meet(&mut self, live: &Object) -> ObjectRef {
        let reference = live.object_ref();
        if reference.namespace.is_empty() && self.unscoped.insert(kind_of(&reference)) {
            let of_kind = |other: &ObjectRef| kind_of(other) == kind_of(&reference);
            rename(&mut self.objects, of_kind);
            rename(&mut self.writing, of_kind);
        } else if !reference.namespace.is_empty() && !self.unscoped.is_empty() {
            // Its definition went, and came back with another scope.
            self.unscoped.remove(&kind_of(&reference));
        }
        reference
    }

    /// The version that a watch showed last of an object.
    fn shown(&self, reference: &ObjectRef) -> Option<&str> {
        self.watched.get(&kind_of(reference))?.versions.get(reference).map(String::as_str)
    }

    /// Whether the objects of its kind are shown, and this is not among them.
    fn is_absent(&self, reference: &ObjectRef) -> bool {
        self.watched.get(&kind_of(reference)).is_some_and(|kind| !kind.versions.contains_key(reference))
    }

    /// Notes what a watch shows of an object; `None` if it is gone.
    fn show(&mut self, live: &Object, version: Option<&str>) {
        if let Entry::Occupied(recalled) = self.recalled.entry(live.object_ref())
            && version != Some(&recalled.get().resource_version)
        {
            recalled.remove();
        }
        let Some(kind) = self.watched.get_mut(&(live.group().to_owned(), live.kind().to_owned())) else { return };
        if is_newer(live.resource_version(), &kind.newest) {
            live.resource_version().clone_into(&mut kind.newest);
        }
        match version {
            Some(version) => drop(kind.versions.insert(live.object_ref(), version.to_owned())),
            None => drop(kind.versions.remove(&live.object_ref())),
        }
    }
}

fn kind_of(reference: &ObjectRef) -> (String, String) {
    (reference.group.clone(), reference.kind.clone())
}

/// Takes the namespace from the names of some objects.
fn rename<T>(table: &mut HashMap<ObjectRef, T>, which: impl Fn(&ObjectRef) -> bool) {
    let named: Vec<_> = table.extract_if(|reference, _| !reference.namespace.is_empty() && which(reference)).collect();
    table.extend(
        named.into_iter().map(|(reference, value)| (ObjectRef { namespace: String::new(), ..reference }, value)),
    );
}

#[derive(Debug, Clone)]
struct Kept {
    /// Digest of what was applied, how, and as whom.
    applied: [u8; 32],
    managers: Managers,
    uid: String,
    resource_version: String,
    traces: Traces,
    /// A watch showed something else since.
    disturbed: bool,
    /// Fields of others stay theirs.
    merged: bool,
    /// A Job that is deleted by itself some time after its end: that it goes is nothing to correct. Whether it has come to
    /// its end cannot be told, as watches show metadata only.
    removes_itself: bool,
    /// It has removed itself.
    ended: bool,
    /// It was waited for until it was as later stages need it.
    settled: bool,
    verified: Instant,
}

/// What our apply leaves in an object's metadata, and what steers us.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Traces([u8; 32]);

/// What a watch event means for an object that we applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observed {
    /// It is as we left it.
    AsLeft,
    /// Somebody changed what is ours, took what is ours, or steers us differently.
    Disturbed,
    /// We know nothing about it.
    Unknown,
}

/// Webhooks change objects after fields were tracked: once in a while everything is compared again.
const TRUSTED_FOR: Duration = Duration::from_secs(3600);

impl Memory {
    /// Nothing is known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whether applying the object would change nothing, as far as is known.
    #[must_use]
    pub fn vouches(&self, desired: &Object, settings: &ApplySettings, identity: Option<&Identity>) -> bool {
        let known = {
            let state = self.state();
            let reference = state.resolve(desired.object_ref());
            let watched = state.watched.contains_key(&kind_of(&reference));
            let kept = state.objects.get(&reference).filter(|kept| !kept.disturbed);
            // What has removed itself is made anew when it is due, not when trust ends.
            let trusted = |kept: &&Kept| kept.ended || kept.verified.elapsed() < TRUSTED_FOR;
            kept.filter(|kept| watched && trusted(kept)).map(|kept| kept.applied)
        };
        known.is_some_and(|applied| applied == digest(desired, settings, identity))
    }

    /// Notes objects that an earlier process may have applied, as a list has just shown them: a run that wants one of
    /// them compares it with this instead of reading it.
    pub fn recall(&self, listed: &[Object]) {
        let mut state = self.state();
        for object in listed {
            let reference = state.meet(object);
            if !state.objects.contains_key(&reference) && !state.writing.contains_key(&reference) {
                let recalled =
                    Recalled { resource_version: object.resource_version().to_owned(), json: to_json(object.value()) };
                state.recalled.insert(reference, recalled);
            }
        }
    }

    /// Lets go of what [`Memory::recall`] noted of a kind and nobody asked for.
    pub fn let_go(&self, group: &str, kind: &str) {
        let mut state = self.state();
        state.recalled.retain(|reference, _| reference.group != group || reference.kind != kind);
        state.recalled.shrink_to_fit();
    }

    /// Takes out what a list showed of an object, if it was noted in the same version of the API and is the newest that is
    /// known.
    pub(crate) fn take_recalled(&self, desired: &Object) -> Option<Object> {
        let recalled = {
            let mut state = self.state();
            let reference = state.resolve(desired.object_ref());
            state.recalled.remove(&reference)?
        };
        let object = Object::new(parse_json(recalled.json.as_bytes()).ok()?).ok()?;
        (object.api_version() == desired.api_version()).then_some(object)
    }

    /// Says whether an object was applied, or compared, by this process.
    #[must_use]
    pub fn knows(&self, reference: &ObjectRef) -> bool {
        let state = self.state();
        state.objects.contains_key(&state.resolve(reference.clone()))
    }

    /// What an object goes by at the server, as far as that is known: what lives outside of namespaces may have one in its manifest.
    #[must_use]
    pub fn resolve(&self, reference: ObjectRef) -> ObjectRef {
        self.state().resolve(reference)
    }

    /// Remembers an object as an apply, or a comparison that found no difference, left it.
    ///
    /// Says whether it still is so: a watch may have shown a later version already.
    pub fn keep(
        &self,
        desired: &Object,
        live: &Object,
        settings: &ApplySettings,
        identity: Option<&Identity>,
    ) -> Observed {
        let kept = Kept {
            applied: digest(desired, settings, identity),
            managers: settings.managers.clone(),
            uid: live.uid().to_owned(),
            resource_version: live.resource_version().to_owned(),
            traces: Traces::of(live, &settings.managers),
            // Fields that are not ours yet will be: look again.
            disturbed: soll_plan::takeover(desired, live, settings).is_some(),
            merged: soll_plan::is_merged(desired),
            removes_itself: removes_itself(desired),
            ended: false,
            settled: false,
            verified: Instant::now(),
        };
        let mut state = self.state();
        let reference = state.meet(live);
        let settled = state.objects.get(&reference).is_some_and(|old| old.settled && old.uid == kept.uid);
        let mut kept = Kept { settled, ..kept };
        // The first apply to an object that nobody kept track of leaves all it had to `before-first-apply`.
        let absorbs = kept.absorbs(live, Managers::absorb_any);
        // Somebody may have written between our write and this line, and the watch told it before we knew ours.
        // What was read and not written may have gone before this line, and the watch told it of the old state.
        let written = state.writing.remove(&reference);
        let is_gone = written.is_none() && state.is_absent(&reference);
        let since = match written.flatten() {
            Some(Shown::Live(shown)) => kept.compare(&shown),
            Some(Shown::Gone(shown)) if shown.uid() == kept.uid => kept.lose(),
            Some(Shown::Gone(_)) => Observed::AsLeft,
            None if state.shown(&reference).is_some_and(|shown| is_newer(shown, &kept.resource_version)) => {
                kept.disturb()
            }
            None if is_gone => kept.lose(),
            None => Observed::AsLeft,
        };
        let since = if absorbs && kept.disturbed { Observed::Disturbed } else { since };
        state.objects.insert(reference, kept);
        since
    }

    /// Notes that an object is being written until it is kept: what a watch shows of it meanwhile is our own doing, or is looked
    /// at by [`Memory::keep`]. If the guard is dropped before that, nobody knows what became of the object.
    pub(crate) fn begin(&self, desired: &Object) -> Writing<'_> {
        let mut state = self.state();
        let reference = state.resolve(desired.object_ref());
        state.writing.insert(reference.clone(), None);
        Writing { memory: self, reference }
    }

    /// Uid and resource version that an object was left at.
    #[must_use]
    pub fn left_at(&self, desired: &Object) -> Option<(String, String)> {
        let state = self.state();
        let kept = state.objects.get(&state.resolve(desired.object_ref()));
        kept.map(|kept| (kept.uid.clone(), kept.resource_version.clone()))
    }

    pub(crate) fn is_settled(&self, desired: &Object) -> bool {
        let state = self.state();
        state.objects.get(&state.resolve(desired.object_ref())).is_some_and(|kept| kept.settled)
    }

    pub(crate) fn settle(&self, desired: &Object) {
        let mut state = self.state();
        let reference = state.resolve(desired.object_ref());
        if let Some(kept) = state.objects.get_mut(&reference) {
            kept.settled = true;
        }
    }

    /// Notes what a watch shows of an object, its metadata or the whole, and says what that means.
    pub fn observe(&self, live: &Object) -> Observed {
        let mut state = self.state();
        state.show(live, Some(live.resource_version()));
        let reference = state.meet(live);
        if let Some(shown) = state.writing.get_mut(&reference) {
            *shown = Some(Shown::Live(live.clone()));
            return Observed::AsLeft;
        }
        state.objects.get_mut(&reference).map_or(Observed::Unknown, |kept| kept.compare(live))
    }

    /// Says whether an object is known not to be as we left it.
    #[must_use]
    pub fn is_disturbed(&self, reference: &ObjectRef) -> bool {
        self.any_disturbed([reference])
    }

    /// Says whether one of the objects is known not to be as we left it.
    #[must_use]
    pub fn any_disturbed<'r>(&self, references: impl IntoIterator<Item = &'r ObjectRef>) -> bool {
        let state = self.state();
        let disturbed = |reference: &ObjectRef| state.objects.get(reference).is_some_and(|kept| kept.disturbed);
        references.into_iter().any(|reference| {
            disturbed(reference) || (!reference.namespace.is_empty() && disturbed(&state.resolve(reference.clone())))
        })
    }

    /// Who changed an object that is not as we left it: the manager, not ours, that wrote last.
    #[must_use]
    pub fn other_manager(&self, live: &Object) -> Option<String> {
        let ours = self.state().objects.get(&live.object_ref())?.managers.ours.clone();
        let entries = live.value().lookup(&["metadata", "managedFields"]).and_then(Value::as_list)?;
        let others = entries.iter().filter(|entry| entry.get("subresource").is_none());
        let named = others.filter_map(|entry| {
            Some((entry.lookup_str(&["time"]).unwrap_or_default(), entry.lookup_str(&["manager"])?))
        });
        let last = named.filter(|(_, manager)| *manager != ours).max_by_key(|(time, _)| *time)?;
        Some(last.1.to_owned())
    }

    /// Notes that an object is gone, or carries our labels no more. Says whether we knew it.
    pub fn lose(&self, live: &Object) -> Observed {
        let mut state = self.state();
        state.show(live, None);
        let reference = state.meet(live);
        if let Some(shown) = state.writing.get_mut(&reference) {
            *shown = Some(Shown::Gone(live.clone()));
            return Observed::AsLeft;
        }
        match state.objects.get_mut(&reference) {
            Some(kept) if kept.uid == live.uid() => kept.lose(),
            // A namesake that was made anew since: its own events tell.
            Some(_) => Observed::AsLeft,
            None => Observed::Unknown,
        }
    }

    /// Notes that a kind is served no more, and its objects with it. Returns those that we knew.
    pub fn lose_kind(&self, group: &str, kind: &str) -> Vec<ObjectRef> {
        let mut state = self.state();
        let ours = state.objects.iter_mut().filter(|(reference, _)| reference.group == group && reference.kind == kind);
        ours.filter_map(|(reference, kept)| (kept.lose() == Observed::Disturbed).then(|| reference.clone())).collect()
    }

    /// Notes that a watch of a kind has started over with these objects, listed at a version
    /// ([`crate::Watch::told_up_to`]). Returns those that we knew and that are not as we left them.
    pub fn restart(&self, group: &str, kind: &str, objects: &[Object], listed_at: &str) -> Vec<ObjectRef> {
        let shown = objects.iter().map(|object| (object.object_ref(), object.resource_version().to_owned()));
        let present: HashMap<ObjectRef, String> = shown.collect();
        let mut disturbed = Vec::new();
        self.forget_versions_after(group, kind, listed_at);
        for object in objects {
            if self.observe(object) == Observed::Disturbed {
                disturbed.push(object.object_ref());
            }
        }
        let mut state = self.state();
        for (reference, kept) in &mut state.objects {
            let is_absent = reference.group == group && reference.kind == kind && !present.contains_key(reference);
            // What was made after the list was taken cannot be on it.
            if is_absent && !is_newer(&kept.resource_version, listed_at) && kept.lose() == Observed::Disturbed {
                disturbed.push(reference.clone());
            }
        }
        let watched = Watched { versions: present, newest: listed_at.to_owned() };
        state.watched.insert((group.to_owned(), kind.to_owned()), watched);
        disturbed
    }

    /// Compares the objects of a kind anew, whatever version they were left at, if a list is older than what was shown before: the
    /// server has gone back to an earlier state, as when etcd is restored, and counts from there.
    fn forget_versions_after(&self, group: &str, kind: &str, listed_at: &str) {
        let mut state = self.state();
        let Some(watched) = state.watched.get_mut(&(group.to_owned(), kind.to_owned())) else { return };
        if !is_newer(&watched.newest, listed_at) {
            return;
        }
        listed_at.clone_into(&mut watched.newest);
        for (reference, kept) in &mut state.objects {
            if reference.group == group && reference.kind == kind {
                "0".clone_into(&mut kept.resource_version);
            }
        }
    }

    /// Notes that a kind is watched no more: nothing vouches for its objects.
    pub fn unwatch(&self, group: &str, kind: &str) {
        self.let_go(group, kind);
        self.state().watched.remove(&(group.to_owned(), kind.to_owned()));
    }

    /// Says whether a watch tells of changes of a kind.
    #[must_use]
    pub fn is_watched(&self, group: &str, kind: &str) -> bool {
        self.state().watched.contains_key(&(group.to_owned(), kind.to_owned()))
    }

    /// Says whether a watch shows an object in this version, and so nothing of it can have changed.
    #[must_use]
    pub fn shows(&self, reference: &ObjectRef, version: &str) -> bool {
        let state = self.state();
        state.shown(&state.resolve(reference.clone())) == Some(version)
    }

    /// Forgets those of the objects that have removed themselves, so that they are made anew. Says whether there are any.
    pub fn renew(&self, objects: &[ObjectRef]) -> bool {
        let mut state = self.state();
        let before = state.objects.len();
        for object in objects {
            let object = state.resolve(object.clone());
            if state.objects.get(&object).is_some_and(|kept| kept.ended) {
                state.objects.remove(&object);
            }
        }
        state.objects.len() < before
    }

    /// Forgets an object.
    pub fn forget(&self, reference: &ObjectRef) {
        let mut state = self.state();
        let reference = state.resolve(reference.clone());
        state.objects.remove(&reference);
    }

    /// How many objects are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state().objects.len()
    }

    /// Says whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.state().objects.is_empty()
    }
}

/// An object is being written; see [`Memory::begin`].
pub(crate) struct Writing<'m> {
    memory: &'m Memory,
    reference: ObjectRef,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let mut state = self.memory.state();
        let reference = state.resolve(self.reference.clone());
        if state.writing.remove(&reference).is_some()
            && let Some(kept) = state.objects.get_mut(&reference)
        {
            kept.disturb();
        }
    }
}

impl Kept {
    /// Compares with what a watch shows, and notes the result.
    fn compare(&mut self, live: &Object) -> Observed {
        // Events lag behind our own writes.
        if !is_newer(live.resource_version(), &self.resource_version) {
            return Observed::AsLeft;
        }
        let is_ours = self.uid == live.uid()
            && (self.removes_itself || !live.is_terminating())
            && self.traces == Traces::of(live, &self.managers)
            && !self.absorbs(live, |managers, live| managers.takeover(live).is_some());
        if !is_ours {
            return self.disturb();
        }
        live.resource_version().clone_into(&mut self.resource_version);
        self.disturbed = false;
        Observed::AsLeft
    }

    /// Whether something of others in the object is to become ours.
    fn absorbs(&self, live: &Object, is_there: impl Fn(&Managers, &Object) -> bool) -> bool {
        !self.merged && !soll_plan::is_merged(live) && is_there(&self.managers, live)
    }

    /// Notes that the object is gone, or carries our labels no more.
    fn lose(&mut self) -> Observed {
        if self.removes_itself && !self.disturbed {
            self.ended = true;
            return Observed::AsLeft;
        }
        self.disturb()
    }

    fn disturb(&mut self) -> Observed {
        self.disturbed = true;
        Observed::Disturbed
    }
}

/// Says whether a resource version is later than another; versions that are no numbers differ or not.
fn is_newer(version: &str, than: &str) -> bool {
    match (version.parse::<u64>(), than.parse::<u64>()) {
        (Ok(version), Ok(than)) => version > than,
        _ => version != than,
    }
}

/// Says whether an object is a Job that is deleted some time after its end.
fn removes_itself(desired: &Object) -> bool {
    (desired.group(), desired.kind()) == ("batch", "Job")
        && desired.value().lookup(&["spec", "ttlSecondsAfterFinished"]).is_some_and(|seconds| !seconds.is_null())
}

/// Digest of what is applied, how, and as whom.
fn digest(desired: &Object, settings: &ApplySettings, identity: Option<&Identity>) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(to_json_sorted(desired.value()));
    // Debug output is stable within one process, which is as long as memory lasts.
    hash.update(format!("{settings:?}{identity:?}"));
    hash.finalize().into()
}

impl Traces {
    /// Our entries of the managed fields with set, version and time, and the labels and annotations that steer us.
    fn of(live: &Object, managers: &Managers) -> Self {
        let mut hash = Sha256::new();
        let metadata = |key: &str| live.value().lookup(&["metadata", key]);
        for entry in metadata("managedFields").and_then(Value::as_list).unwrap_or_default() {
            let is_ours = entry.lookup_str(&["manager"]) == Some(&managers.ours) && entry.get("subresource").is_none();
            if is_ours {
                hash.update(to_json_sorted(entry));
            }
        }
        for place in ["labels", "annotations"] {
            let Some(map) = metadata(place).and_then(Value::as_map) else { continue };
            for entry in map.sorted() {
                if entry.key.starts_with("kustomize.toolkit.fluxcd.io/") {
                    hash.update(format!("{place}/{}={:?}\n", entry.key, entry.value));
                }
            }
        }
        Self(hash.finalize().into())
    }
}

#[cfg(test)]
mod tests;
