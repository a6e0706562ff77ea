//! What is known of objects that we applied, so that unchanged ones cost no call.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
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
    /// By group and kind of the watches that are up, the versions that they showed last. Only these can vouch.
    watched: HashMap<(String, String), HashMap<ObjectRef, String>>,
    /// Objects that we are writing, with what a watch showed of them since we began.
    writing: HashMap<ObjectRef, Option<Shown>>,
    /// Objects that an earlier process applied, as a list showed them, as long as nothing newer is known.
    recalled: HashMap<ObjectRef, Recalled>,
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
    /// The version that a watch showed last of an object.
    fn shown(&self, reference: &ObjectRef) -> Option<&str> {
        let kind = self.watched.get(&(reference.group.clone(), reference.kind.clone()))?;
        kind.get(reference).map(String::as_str)
    }

    /// Whether the objects of its kind are shown, and this is not among them.
    fn is_absent(&self, reference: &ObjectRef) -> bool {
        let kind = self.watched.get(&(reference.group.clone(), reference.kind.clone()));
        kind.is_some_and(|kind| !kind.contains_key(reference))
    }

    /// Notes what a watch shows of an object; `None` if it is gone.
    fn show(&mut self, live: &Object, version: Option<&str>) {
        if let Entry::Occupied(recalled) = self.recalled.entry(live.object_ref())
            && version != Some(&recalled.get().resource_version)
        {
            recalled.remove();
        }
        let kind = self.watched.get_mut(&(live.group().to_owned(), live.kind().to_owned()));
        match (kind, version) {
            (Some(kind), Some(version)) => drop(kind.insert(live.object_ref(), version.to_owned())),
            (Some(kind), None) => drop(kind.remove(&live.object_ref())),
            (None, _) => {}
        }
    }
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
        let reference = desired.object_ref();
        let known = {
            let state = self.state();
            let watched = state.watched.contains_key(&(reference.group.clone(), reference.kind.clone()));
            let kept = state.objects.get(&reference).filter(|kept| !kept.disturbed);
            kept.filter(|kept| watched && kept.verified.elapsed() < TRUSTED_FOR).map(|kept| kept.applied)
        };
        known.is_some_and(|applied| applied == digest(desired, settings, identity))
    }

    /// Notes objects that an earlier process may have applied, as a list has just shown them: a run that wants one of
    /// them compares it with this instead of reading it.
    pub fn recall(&self, listed: &[Object]) {
        let mut state = self.state();
        for object in listed {
            let reference = object.object_ref();
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
        let recalled = self.state().recalled.remove(&desired.object_ref())?;
        let object = Object::new(parse_json(recalled.json.as_bytes()).ok()?).ok()?;
        (object.api_version() == desired.api_version()).then_some(object)
    }

    /// Says whether an object was applied, or compared, by this process.
    #[must_use]
    pub fn knows(&self, reference: &ObjectRef) -> bool {
        self.state().objects.contains_key(reference)
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
        let reference = desired.object_ref();
        let settled = state.objects.get(&reference).is_some_and(|old| old.settled && old.uid == kept.uid);
        let mut kept = Kept { settled, ..kept };
        // The first apply to an object that nobody kept track of leaves all it had to `before-first-apply`.
        let absorbs = kept.absorbs(live, Managers::absorb_any);
        // Somebody may have written between our write and this line, and the watch told it before we knew ours.
        // What was read and not written may have gone before this line, and the watch told it of the old state.
        let is_gone = !state.writing.contains_key(&reference) && state.is_absent(&reference);
        let since = match state.writing.get_mut(&reference).and_then(Option::take) {
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

    /// Notes that an object is being written until the guard is dropped: what a watch shows of it meanwhile is our
    /// own doing, or is looked at by [`Memory::keep`].
    pub(crate) fn begin(&self, desired: &Object) -> Writing<'_> {
        let reference = desired.object_ref();
        self.state().writing.insert(reference.clone(), None);
        Writing { memory: self, reference }
    }

    /// Uid and resource version that an object was left at.
    #[must_use]
    pub fn left_at(&self, desired: &Object) -> Option<(String, String)> {
        let state = self.state();
        state.objects.get(&desired.object_ref()).map(|kept| (kept.uid.clone(), kept.resource_version.clone()))
    }

    pub(crate) fn is_settled(&self, desired: &Object) -> bool {
        self.state().objects.get(&desired.object_ref()).is_some_and(|kept| kept.settled)
    }

    pub(crate) fn settle(&self, desired: &Object) {
        if let Some(kept) = self.state().objects.get_mut(&desired.object_ref()) {
            kept.settled = true;
        }
    }

    /// Notes what a watch shows of an object, its metadata or the whole, and says what that means.
    pub fn observe(&self, live: &Object) -> Observed {
        let mut state = self.state();
        state.show(live, Some(live.resource_version()));
        if let Some(shown) = state.writing.get_mut(&live.object_ref()) {
            *shown = Some(Shown::Live(live.clone()));
            return Observed::AsLeft;
        }
        state.objects.get_mut(&live.object_ref()).map_or(Observed::Unknown, |kept| kept.compare(live))
    }

    /// Says whether an object is known not to be as we left it.
    #[must_use]
    pub fn is_disturbed(&self, reference: &ObjectRef) -> bool {
        self.state().objects.get(reference).is_some_and(|kept| kept.disturbed)
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
        if let Some(shown) = state.writing.get_mut(&live.object_ref()) {
            *shown = Some(Shown::Gone(live.clone()));
            return Observed::AsLeft;
        }
        match state.objects.get_mut(&live.object_ref()) {
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
        state.watched.insert((group.to_owned(), kind.to_owned()), present);
        disturbed
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
        self.state().shown(reference) == Some(version)
    }

    /// Forgets those of the objects that have removed themselves, so that they are made anew. Says whether there are any.
    pub fn renew(&self, objects: &[ObjectRef]) -> bool {
        let mut state = self.state();
        let before = state.objects.len();
        for object in objects {
            if state.objects.get(object).is_some_and(|kept| kept.ended) {
                state.objects.remove(object);
            }
        }
        state.objects.len() < before
    }

    /// Forgets an object.
    pub fn forget(&self, reference: &ObjectRef) {
        self.state().objects.remove(reference);
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
        self.memory.state().writing.remove(&self.reference);
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
mod tests {
    use super::*;
    use soll_plan::IgnoreRules;

    fn settings() -> ApplySettings {
        ApplySettings { managers: Managers::new("kustomize-controller"), force: false, ignore: IgnoreRules::default() }
    }

    fn desired(data: &str) -> Object {
        let text = format!(
            r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"c","namespace":"n"}},"data":{{{data}}}}}"#
        );
        Object::new(soll_yaml::parse_json(text.as_bytes()).expect("JSON")).expect("an object")
    }

    /// A live object as the server shows it, with our entry of a time and anything else in its metadata.
    fn live(version: &str, time: &str, more: &str) -> Object {
        let text = format!(
            r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"c","namespace":"n","uid":"u","resourceVersion":"{version}",
               "managedFields":[{{"manager":"kustomize-controller","operation":"Apply","time":"{time}","fieldsV1":{{"f:data":{{}}}}}}{more}]}}}}"#
        );
        Object::new(soll_yaml::parse_json(text.as_bytes()).expect("JSON")).expect("an object")
    }

    fn remembering() -> Memory {
        let memory = Memory::new();
        memory.keep(&desired(""), &live("1", "t1", ""), &settings(), None);
        memory.restart("", "ConfigMap", &[live("1", "t1", "")], "1");
        memory
    }

    #[test]
    fn vouches_for_what_was_applied_by_the_same_identity() {
        let memory = remembering();
        let tenant = Identity::service_account("n", "tenant");
        assert!(memory.vouches(&desired(""), &settings(), None));
        assert!(!memory.vouches(&desired(r#""k":"v""#), &settings(), None));
        assert!(!memory.vouches(&desired(""), &settings(), Some(&tenant)));
        assert!(!memory.vouches(&desired(""), &ApplySettings { force: true, ..settings() }, None));
        memory.unwatch("", "ConfigMap");
        assert!(!memory.vouches(&desired(""), &settings(), None), "nobody watches");
    }

    #[test]
    fn a_status_write_disturbs_nothing() {
        let memory = remembering();
        let status = r#",{"manager":"x","operation":"Update","subresource":"status"}"#;
        assert_eq!(memory.observe(&live("2", "t1", status)), Observed::AsLeft);
        assert!(memory.vouches(&desired(""), &settings(), None));
    }

    #[test]
    fn a_job_that_removes_itself_is_not_missed_until_it_is_to_run_again() {
        let job = |more: &str| {
            let text = format!(
                r#"{{"apiVersion":"batch/v1","kind":"Job","metadata":{{"name":"j","namespace":"n"{more}}},"spec":{{"ttlSecondsAfterFinished":0}}}}"#
            );
            Object::new(soll_yaml::parse_json(text.as_bytes()).expect("JSON")).expect("an object")
        };
        let live = |version: &str, more: &str| job(&format!(r#","uid":"u","resourceVersion":"{version}"{more}"#));
        let terminating = live("2", r#","deletionTimestamp":"2026-01-01T00:00:00Z""#);
        let references = [live("1", "").object_ref()];
        for seen_to_go in [true, false] {
            let memory = Memory::new();
            memory.keep(&job(""), &live("1", ""), &settings(), None);
            memory.restart("batch", "Job", &[live("1", "")], "1");
            if seen_to_go {
                assert_eq!(memory.observe(&terminating), Observed::AsLeft);
                assert_eq!(memory.lose(&terminating), Observed::AsLeft);
            } else {
                assert_eq!(memory.restart("batch", "Job", &[], "3"), Vec::new());
            }
            assert!(memory.vouches(&job(""), &settings(), None), "nothing is to be done for it");
            assert!(memory.renew(&references));
            assert!(!memory.vouches(&job(""), &settings(), None), "it is made anew");
            assert!(!memory.renew(&references));
        }
    }

    #[test]
    fn what_goes_while_it_is_looked_at_is_missed() {
        let memory = remembering();
        assert_eq!(memory.lose(&live("2", "t1", "")), Observed::Disturbed);
        // It was read before that, and found as wanted.
        let since = memory.keep(&desired(""), &live("1", "t1", ""), &settings(), None);
        assert_eq!(since, Observed::Disturbed);
        assert!(!memory.vouches(&desired(""), &settings(), None));
        // It is made anew; the watch has not told of that yet.
        let writing = memory.begin(&desired(""));
        assert_eq!(memory.keep(&desired(""), &live("3", "t3", ""), &settings(), None), Observed::AsLeft);
        drop(writing);
    }

    #[test]
    fn what_is_left_to_absorb_is_looked_at_again_unless_it_is_merged() {
        let tracked_late = live("1", "t1", r#",{"manager":"before-first-apply","operation":"Update"}"#);
        let merged = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","namespace":"n",
            "annotations":{"kustomize.toolkit.fluxcd.io/ssa":"Merge"}}}"#;
        let merged = Object::new(soll_yaml::parse_json(merged.as_bytes()).expect("JSON")).expect("an object");
        let keep = |desired: &Object| Memory::new().keep(desired, &tracked_late, &settings(), None);
        assert_eq!(keep(&desired("")), Observed::Disturbed);
        assert_eq!(keep(&merged), Observed::AsLeft);

        // The watch may tell of our write before we hear of it ourselves.
        let memory = Memory::new();
        let writing = memory.begin(&desired(""));
        memory.observe(&tracked_late);
        assert_eq!(memory.keep(&desired(""), &tracked_late, &settings(), None), Observed::Disturbed);
        drop(writing);
    }

    #[test]
    fn another_writer_disturbs_until_the_next_apply() {
        for disturbed in [live("2", "t2", ""), live("2", "t1", r#",{"manager":"kubectl-edit","operation":"Update"}"#)] {
            let memory = remembering();
            assert_eq!(memory.observe(&disturbed), Observed::Disturbed);
            assert!(!memory.vouches(&desired(""), &settings(), None));
            let named = disturbed.value().lookup(&["metadata", "managedFields"]).and_then(|m| m.as_list()?.get(1));
            let editor = named.is_some().then(|| "kubectl-edit".to_owned());
            assert_eq!(memory.other_manager(&disturbed), editor);
            memory.keep(&desired(""), &live("3", "t3", ""), &settings(), None);
            assert!(memory.vouches(&desired(""), &settings(), None));
        }
    }

    #[test]
    fn our_own_writes_are_no_drift_however_early_the_watch_shows_them() {
        let memory = remembering();
        let writing = memory.begin(&desired(""));
        // A takeover, the apply, and a status write of somebody else, before we heard the answer to the apply.
        assert_eq!(memory.observe(&live("2", "t1", r#",{"manager":"kubectl-edit"}"#)), Observed::AsLeft);
        assert_eq!(memory.observe(&live("3", "t3", "")), Observed::AsLeft);
        let status = r#",{"manager":"x","operation":"Update","subresource":"status"}"#;
        assert_eq!(memory.observe(&live("4", "t3", status)), Observed::AsLeft);
        assert_eq!(memory.keep(&desired(""), &live("3", "t3", ""), &settings(), None), Observed::AsLeft);
        drop(writing);
        assert!(memory.vouches(&desired(""), &settings(), None));
        assert_eq!(memory.left_at(&desired("")), Some(("u".to_owned(), "4".to_owned())));
    }

    #[test]
    fn what_others_do_while_we_write_is_found_when_we_are_done() {
        for gone in [false, true] {
            let memory = remembering();
            let _writing = memory.begin(&desired(""));
            let shown = live("4", "t4", "");
            let observed = if gone { memory.lose(&shown) } else { memory.observe(&shown) };
            assert_eq!(observed, Observed::AsLeft);
            assert_eq!(memory.keep(&desired(""), &live("3", "t3", ""), &settings(), None), Observed::Disturbed);
            assert!(!memory.vouches(&desired(""), &settings(), None));
        }
    }

    #[test]
    fn an_event_from_before_our_apply_tells_nothing() {
        let memory = Memory::new();
        memory.keep(&desired(""), &live("10", "t1", ""), &settings(), None);
        assert_eq!(memory.observe(&live("9", "t0", "")), Observed::AsLeft);
        assert_eq!(memory.observe(&live("10", "t1", "")), Observed::AsLeft);
        assert_eq!(memory.observe(&live("11", "t0", "")), Observed::Disturbed);
    }

    #[test]
    fn an_edit_that_was_shown_before_our_write_was_noted_is_not_lost() {
        let memory = Memory::new();
        memory.restart("", "ConfigMap", &[], "0");
        assert_eq!(memory.observe(&live("1", "t1", "")), Observed::Unknown);
        assert_eq!(memory.observe(&live("2", "t2", "")), Observed::Unknown);
        assert_eq!(memory.keep(&desired(""), &live("1", "t1", ""), &settings(), None), Observed::Disturbed);
        assert!(!memory.vouches(&desired(""), &settings(), None));
    }

    #[test]
    fn what_a_restarted_watch_does_not_show_is_lost() {
        let memory = remembering();
        assert_eq!(memory.restart("", "ConfigMap", &[], "0"), [], "it was made after the list");
        assert!(memory.vouches(&desired(""), &settings(), None));
        assert_eq!(memory.restart("", "ConfigMap", &[], "2"), [desired("").object_ref()]);
        assert!(!memory.vouches(&desired(""), &settings(), None));
    }

    #[test]
    fn what_is_recalled_is_handed_out_once_and_only_while_it_is_the_newest() {
        let memory = Memory::new();
        memory.recall(&[live("7", "t1", "")]);
        assert_eq!(memory.take_recalled(&desired("")).map(|live| live.resource_version().to_owned()), Some("7".into()));
        assert_eq!(memory.take_recalled(&desired("")), None);
        for lost in [false, true] {
            memory.recall(&[live("7", "t1", "")]);
            memory.observe(&live("7", "t1", ""));
            let later = live("8", "t1", "");
            assert_eq!(if lost { memory.lose(&later) } else { memory.observe(&later) }, Observed::Unknown);
            assert_eq!(memory.take_recalled(&desired("")), None, "something newer is known");
        }
        memory.recall(&[live("9", "t1", "")]);
        memory.let_go("", "ConfigMap");
        assert_eq!(memory.take_recalled(&desired("")), None);
        memory.keep(&desired(""), &live("9", "t1", ""), &settings(), None);
        memory.recall(&[live("9", "t1", "")]);
        assert_eq!(memory.take_recalled(&desired("")), None, "it is known already");
    }

    #[test]
    fn the_end_of_a_namesake_is_not_ours() {
        let memory = remembering();
        let mut other = live("9", "t1", "");
        other.value_mut().get_mut("metadata").expect("metadata").make_map().insert("uid", "older".into());
        assert_eq!(memory.lose(&other), Observed::AsLeft);
        assert_eq!(memory.lose(&live("9", "t1", "")), Observed::Disturbed);
    }

    #[tokio::test(start_paused = true)]
    async fn trust_ends_after_an_hour() {
        let memory = remembering();
        tokio::time::advance(TRUSTED_FOR).await;
        assert!(!memory.vouches(&desired(""), &settings(), None));
    }
}
