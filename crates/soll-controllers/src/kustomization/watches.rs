//! What wakes a Kustomization: itself, its source's new artifact, a dependency that became ready, its variables.

use std::collections::HashMap;

use soll_api::{Kustomization, Object, ObjectRef, Resource};

use crate::memory::Objects;
use crate::references::Reference;
use crate::runner::Waker;
use crate::seekers::Seekers;
use crate::watches::{Seen, asks};

/// Wakes what a change of a Kustomization concerns: itself, and those that depend on it once it is ready.
pub(crate) fn seen(seen: &Seen, objects: &Objects, push_dependents: bool, waker: &Waker) {
    match seen {
        Seen::Present { key, before, now } => {
            if asks(before.as_ref(), now) {
                waker.wake(key.clone());
            }
            if push_dependents && became_ready(before.as_ref(), now) {
                objects.referring_to(&Reference::Dependency(key.clone())).into_iter().for_each(|key| waker.wake(key));
            }
        }
        Seen::Gone { key } => waker.wake(key.clone()),
        Seen::Complete => {}
    }
}

/// Wakes the Kustomizations of a source whose artifact is new. One that is only elsewhere now, or was made anew as it was, is
/// news to those that could not get it.
pub(crate) fn source_seen(seen: &Seen, objects: &Objects, seekers: &Seekers, waker: &Waker) {
    match seen {
        Seen::Present { key, before, now } if has_new_artifact(before.as_ref(), now) => {
            seekers.take(key);
            objects.referring_to(&Reference::Source(key.clone())).into_iter().for_each(|key| waker.wake(key));
        }
        Seen::Present { key, before, now } if is_offered_anew(before.as_ref(), now) => {
            seekers.take(key).into_iter().for_each(|key| waker.wake(key));
        }
        Seen::Gone { key } => seekers.take(key).into_iter().for_each(|key| waker.wake(key)),
        Seen::Present { .. } | Seen::Complete => {}
    }
}

/// The ConfigMaps or Secrets of which a watch told, by namespace and name, and in which versions.
#[derive(Default)]
pub(crate) struct Told {
    /// Nothing before the first list.
    versions: Option<HashMap<ObjectRef, String>>,
}

impl Told {
    /// Takes in a list of all there is. Returns what is not as it was told: what changed, came and went while nobody told.
    /// Nothing of the first list: whoever uses it has read it, or is about to.
    pub(crate) fn replace(&mut self, listed: &[Object]) -> Vec<ObjectRef> {
        let now: HashMap<_, _> = listed.iter().map(|object| (object.object_ref(), version(object))).collect();
        let Some(before) = self.versions.replace(now.clone()) else { return Vec::new() };
        let changed = now.iter().filter(|(object, version)| before.get(object) != Some(version));
        let gone = before.keys().filter(|object| !now.contains_key(object));
        changed.map(|(object, _)| object).chain(gone).cloned().collect()
    }

    /// Takes in that one came or changed.
    pub(crate) fn put(&mut self, object: &Object) -> ObjectRef {
        self.versions.get_or_insert_default().insert(object.object_ref(), version(object));
        object.object_ref()
    }

    /// Takes in that one is gone.
    pub(crate) fn remove(&mut self, object: &Object) -> ObjectRef {
        self.versions.get_or_insert_default().remove(&object.object_ref());
        object.object_ref()
    }
}

fn version(object: &Object) -> String {
    object.resource_version().to_owned()
}

/// Wakes the Kustomizations that take variables from a ConfigMap or Secret.
pub(crate) fn variables_changed(giver: &ObjectRef, objects: &Objects, waker: &Waker) {
    let ObjectRef { kind, namespace, name, .. } = giver;
    let target = Reference::Variables {
        kind: kind.as_str().into(),
        namespace: namespace.as_str().into(),
        name: name.as_str().into(),
    };
    objects.referring_to(&target).into_iter().for_each(|key| waker.wake(key));
}

/// A source's artifact came, or is of another revision.
fn has_new_artifact(before: Option<&Object>, now: &Object) -> bool {
    let revision = |object: &Object| object.value().lookup_str(&["status", "artifact", "revision"]).map(str::to_owned);
    let digest = |object: &Object| object.value().lookup_str(&["status", "artifact", "digest"]).map(str::to_owned);
    let (new, old) = (revision(now), before.and_then(revision));
    // Flux looks at the revision only; an include or an ignore rule changes the digest alone.
    new.is_some() && (new != old || digest(now) != before.and_then(digest))
}

/// A source's artifact is at another address, or was made anew.
fn is_offered_anew(before: Option<&Object>, now: &Object) -> bool {
    let field = |object: &Object, field| object.value().lookup_str(&["status", "artifact", field]).map(str::to_owned);
    let offer = |object: &Object| (field(object, "url"), field(object, "lastUpdateTime"));
    before.is_none_or(|before| offer(before) != offer(now))
}

/// Whether what a Kustomization has in the cluster may be something else than before, so that others can let go of it.
pub(crate) fn has_moved_on(seen: &Seen) -> bool {
    let state = |object: &Object| {
        let ks = Kustomization::from_object(object).ok()?;
        let ready = ks.status.conditions.get(soll_api::types::READY).map(|ready| (ready.status, ready.reason.clone()));
        Some((ks.status.last_applied_revision, ready, ks.status.inventory))
    };
    match seen {
        Seen::Present { before, now, .. } => before.as_ref().is_none_or(|before| state(before) != state(now)),
        Seen::Gone { .. } => true,
        Seen::Complete => false,
    }
}

/// A Kustomization came to be ready for what its spec says now, or for a new revision.
fn became_ready(before: Option<&Object>, now: &Object) -> bool {
    let state = |object: &Object| {
        let ks = Kustomization::from_object(object).ok()?;
        let current = ks.status.observed_generation == ks.metadata.generation;
        let ready = current && ks.status.conditions.is_true(soll_api::types::READY);
        ready.then_some((ks.metadata.generation, ks.status.last_applied_revision))
    };
    let now = state(now);
    now.is_some() && now != before.and_then(state)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::runner::{Backoff, Lanes, Runner};
    use crate::{Key, Kind};
    use soll_yaml::parse_json;

    fn object(name: &str, body: &str) -> Object {
        let text = format!(
            r#"{{"apiVersion":"kustomize.toolkit.fluxcd.io/v1","kind":"Kustomization",
                "metadata":{{"name":"{name}","namespace":"apps","generation":1,"uid":"{name}"}},{body}}}"#
        );
        Object::new(parse_json(text.as_bytes()).unwrap()).unwrap()
    }

    fn memory(all: &[(&str, &str)]) -> Objects {
        let objects = Objects::new();
        for (name, spec) in all {
            objects.put(Key::new(Kind::Kustomization, "apps", name), object(name, &format!(r#""spec":{spec}"#)));
        }
        objects
    }

    fn told(keys: &[Key]) -> Vec<String> {
        keys.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn references_without_a_namespace_stay_in_their_own() {
        let objects = memory(&[
            ("a", r#"{"sourceRef":{"kind":"GitRepository","name":"s","namespace":""}}"#),
            ("b", r#"{"sourceRef":{"kind":"GitRepository","name":"s","namespace":"other"}}"#),
            ("c", r#"{"sourceRef":{"kind":"Bucket","name":"s"},"dependsOn":[{"name":"a"}]}"#),
            ("d", r#"{"dependsOn":[{"name":"x"},{"name":"a","namespace":"apps"}]}"#),
            ("e", r#"{"postBuild":{"substituteFrom":[{"kind":"Secret","name":"v"},{"kind":"ConfigMap","name":"w"}]}}"#),
        ]);
        let users = |target: Reference| told(&objects.referring_to(&target));
        let source = |namespace| Key::new(Kind::GitRepository, namespace, "s");
        assert_eq!(users(Reference::Source(source("apps"))), ["Kustomization/apps/a"]);
        assert_eq!(users(Reference::Source(source("other"))), ["Kustomization/apps/b"]);
        let a = Key::new(Kind::Kustomization, "apps", "a");
        assert_eq!(users(Reference::Dependency(a)), ["Kustomization/apps/c", "Kustomization/apps/d"]);
        let variables = |kind: &str, namespace: &str| {
            users(Reference::Variables { kind: kind.into(), namespace: namespace.into(), name: "v".into() })
        };
        assert_eq!(variables("Secret", "apps"), ["Kustomization/apps/e"]);
        assert!(variables("ConfigMap", "apps").is_empty() && variables("Secret", "other").is_empty());
    }

    #[test]
    fn variables_that_changed_while_nobody_told_are_found_by_the_next_list() {
        let map = |name: &str, version: &str| {
            let text = format!(
                r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}","namespace":"apps","resourceVersion":"{version}"}}}}"#
            );
            Object::new(parse_json(text.as_bytes()).unwrap()).unwrap()
        };
        let mut told = Told::default();
        let listed = |told: &mut Told, objects: &[Object]| {
            let mut names: Vec<String> = told.replace(objects).into_iter().map(|object| object.name).collect();
            names.sort();
            names.join(" ")
        };
        assert_eq!(
            listed(&mut told, &[map("a", "1"), map("b", "2"), map("c", "3")]),
            "",
            "whoever uses them reads them"
        );
        assert_eq!(told.put(&map("d", "4")).name, "d");
        assert_eq!(told.remove(&map("c", "5")).name, "c");
        assert_eq!(listed(&mut told, &[map("a", "1"), map("b", "2"), map("d", "4")]), "");
        assert_eq!(listed(&mut told, &[map("a", "1"), map("d", "3"), map("e", "6")]), "b d e");
    }

    #[test]
    fn an_artifact_is_new_by_revision_or_digest() {
        let source = |revision: &str, digest: &str| {
            object("s", &format!(r#""status":{{"artifact":{{"revision":"{revision}","digest":"{digest}"}}}}"#))
        };
        let before = source("main@sha1:1", "sha256:1");
        assert!(has_new_artifact(None, &before));
        assert!(!has_new_artifact(Some(&before), &source("main@sha1:1", "sha256:1")));
        assert!(has_new_artifact(Some(&before), &source("main@sha1:2", "sha256:1")));
        assert!(has_new_artifact(Some(&before), &source("main@sha1:1", "sha256:2")));
        assert!(!has_new_artifact(Some(&before), &object("s", r#""status":{}"#)));
    }

    #[test]
    fn an_artifact_that_is_elsewhere_now_wakes_who_could_not_get_it() {
        let artifact = |url: &str, time: &str| -> soll_api::Artifact {
            let text = format!(
                r#"{{"url":"{url}","path":"p","revision":"main@sha1:1","digest":"sha256:1","lastUpdateTime":"{time}"}}"#
            );
            soll_yaml::from_value(&parse_json(text.as_bytes()).unwrap()).unwrap()
        };
        let source = |url: &str, time: &str| {
            let text = soll_yaml::to_json(&soll_yaml::to_value(&artifact(url, time)).unwrap());
            object("s", &format!(r#""status":{{"artifact":{text}}}"#))
        };
        let uses = r#"{"sourceRef":{"kind":"GitRepository","name":"s"}}"#;
        let (objects, key) = (memory(&[("has", uses), ("seeks", uses)]), Key::new(Kind::GitRepository, "apps", "s"));
        let (one, two) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
        let woken = |now: Object| {
            let (seekers, runner) = (Seekers::default(), Runner::new(Lanes::of(1), Backoff::default()));
            let waker = runner.waker();
            seekers.seek(&key, &artifact("a", one), &Key::new(Kind::Kustomization, "apps", "seeks"));
            let seen = Seen::Present { key: key.clone(), before: Some(source("a", one)), now };
            source_seen(&seen, &objects, &seekers, &waker);
            waker.depth()[&Kind::Kustomization].waiting
        };
        assert_eq!(woken(source("a", one)), 0, "nothing that concerns artifacts");
        assert_eq!(woken(source("b", one)), 1, "elsewhere");
        assert_eq!(woken(source("a", two)), 1, "made anew");
        let another = object("s", r#""status":{"artifact":{"revision":"main@sha1:2","digest":"sha256:2"}}"#);
        assert_eq!(woken(another), 2, "another one is for all");
    }

    #[test]
    fn dependents_are_pushed_once_per_readiness() {
        let state = |ready: &str, revision: &str| {
            object(
                "a",
                &format!(
                    r#""spec":{{"interval":"1m","prune":true,"sourceRef":{{"kind":"GitRepository","name":"s"}}}},
                    "status":{{"observedGeneration":1,"lastAppliedRevision":"{revision}","conditions":[{{"type":"Ready",
                    "status":"{ready}","reason":"R","message":"m","lastTransitionTime":"2026-01-01T00:00:00Z"}}]}}"#
                ),
            )
        };
        assert!(became_ready(Some(&state("False", "r1")), &state("True", "r1")));
        assert!(became_ready(Some(&state("True", "r1")), &state("True", "r2")));
        assert!(became_ready(None, &state("True", "r1")));
        assert!(!became_ready(Some(&state("True", "r1")), &state("True", "r1")));
        assert!(!became_ready(Some(&state("True", "r1")), &state("Unknown", "r1")));
    }
}
