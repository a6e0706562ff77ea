//! Garbage: objects whose owners are gone, and owners that wait for their dependents.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use soll_yaml::{Str, Value};

use crate::rest::{Api, Deletion, Propagation, delete_object, finalize};
use crate::store::{Change, Drawer, Key};
use crate::{fields, meta};

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// Where an object stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    drawer: Drawer,
    key: Key,
}

/// Who owns whom, by uid.
#[derive(Debug, Default)]
pub(super) struct Graph {
    /// Objects that are there.
    present: HashMap<Str, Place>,
    /// Dependents of an owner.
    dependents: HashMap<Str, HashSet<Place>>,
    /// Owners that are gone or going since the last collection, and dependents to look at.
    gone: Vec<Str>,
    going: HashSet<Place>,
    suspects: HashSet<Place>,
}

fn owners(object: &Value) -> impl Iterator<Item = &Value> {
    object.lookup(&["metadata", "ownerReferences"]).and_then(Value::as_list).unwrap_or_default().iter()
}

fn uid_of(object: &Value) -> Str {
    Str::from(meta::text(object, "uid"))
}

impl Graph {
    /// Takes a change in.
    pub(super) fn note(&mut self, drawer: &Drawer, change: &Change) {
        let place = Place { drawer: drawer.clone(), key: change.entry.key.clone() };
        for owner in change.before.iter().flat_map(|before| owners(&before.value)) {
            let uid = Str::from(owner.lookup_str(&["uid"]).unwrap_or_default());
            if let Some(dependents) = self.dependents.get_mut(&uid) {
                dependents.remove(&place);
                if dependents.is_empty() {
                    self.dependents.remove(&uid);
                }
                // The owner may have waited for this one.
                self.going.extend(self.present.get(&uid).cloned());
            }
        }
        let object = &change.entry.value;
        if change.removed {
            self.present.remove(&uid_of(object));
            self.gone.push(uid_of(object));
            return;
        }
        self.present.insert(uid_of(object), place.clone());
        for owner in owners(object) {
            let uid = Str::from(owner.lookup_str(&["uid"]).unwrap_or_default());
            self.dependents.entry(uid).or_default().insert(place.clone());
            self.suspects.insert(place.clone());
        }
        let waits = meta::finalizers(object).iter().any(|name| *name == ORPHAN || *name == FOREGROUND);
        if meta::is_terminating(object) && waits {
            self.going.insert(place);
        }
    }

    /// Does what is due: deletes dependents of what is gone, and lets owners go that have waited.
    pub(super) fn collect(&mut self, api: &Arc<Api>) {
        for uid in std::mem::take(&mut self.gone) {
            self.suspects.extend(self.dependents.get(&uid).into_iter().flatten().cloned());
        }
        for place in std::mem::take(&mut self.suspects) {
            self.judge(api, &place);
        }
        for place in std::mem::take(&mut self.going) {
            self.release(api, &place);
        }
    }

    /// Deletes a dependent all of whose owners are gone, and takes references to those that are off the rest.
    fn judge(&self, api: &Arc<Api>, place: &Place) {
        let Some(entry) = api.store.get(&place.drawer, &place.key.namespace, &place.key.name) else { return };
        let namespace = &place.key.namespace;
        let is_there = |owner: &Value| {
            let uid = owner.lookup_str(&["uid"]).unwrap_or_default();
            // An owner in another namespace is none.
            self.present
                .get(uid)
                .is_some_and(|owner| owner.key.namespace.is_empty() || owner.key.namespace == *namespace)
        };
        let (held, lost): (Vec<&Value>, Vec<&Value>) = owners(&entry.value).partition(|owner| is_there(owner));
        if lost.is_empty() || meta::is_terminating(&entry.value) {
            return;
        }
        if held.is_empty() {
            let Some(resource) = api.registry.table().of_drawer(&place.drawer) else { return };
            let how = Deletion {
                propagation: Some(Propagation::Background),
                uid: Some(meta::text(&entry.value, "uid").to_owned()),
                ..Deletion::default()
            };
            if let Err(refusal) = delete_object(api, &resource, &entry, &how, false, Timestamp::now()) {
                tracing::debug!(object = %entry.key.name, refusal = refusal.message, "garbage is not deleted");
            }
        } else {
            let held = Value::list(held.into_iter().cloned().collect());
            change(api, place, |object| drop(meta::metadata_mut(object).insert("ownerReferences", held.clone())));
        }
    }

    /// Lets an owner go that waits: after its dependents were orphaned, or are gone.
    fn release(&self, api: &Arc<Api>, place: &Place) {
        let Some(entry) = api.store.get(&place.drawer, &place.key.namespace, &place.key.name) else { return };
        if !meta::is_terminating(&entry.value) {
            return;
        }
        let uid = uid_of(&entry.value);
        let waits_for = |name: &str| meta::finalizers(&entry.value).contains(&name);
        let dependents: Vec<Place> = self.dependents.get(&uid).into_iter().flatten().cloned().collect();
        if waits_for(ORPHAN) {
            for dependent in &dependents {
                change(api, dependent, |object| disown(object, &uid));
            }
            drop_finalizer(api, place, ORPHAN);
        } else if waits_for(FOREGROUND) {
            let mut blocked = false;
            for dependent in &dependents {
                blocked |= self.delete_dependent(api, dependent, &uid);
            }
            if !blocked {
                drop_finalizer(api, place, FOREGROUND);
            }
        }
    }

    /// Deletes a dependent in the foreground; says whether its owner has to wait for it.
    fn delete_dependent(&self, api: &Arc<Api>, place: &Place, owner: &str) -> bool {
        let Some(entry) = api.store.get(&place.drawer, &place.key.namespace, &place.key.name) else { return false };
        let blocks = owners(&entry.value).any(|reference| {
            reference.lookup_str(&["uid"]) == Some(owner)
                && reference.get("blockOwnerDeletion").and_then(Value::as_bool) == Some(true)
        });
        if !meta::is_terminating(&entry.value) {
            let Some(resource) = api.registry.table().of_drawer(&place.drawer) else { return false };
            let has_dependents = self.dependents.contains_key(&uid_of(&entry.value));
            let propagation = if has_dependents { Propagation::Foreground } else { Propagation::Background };
            let how = Deletion { propagation: Some(propagation), ..Deletion::default() };
            if let Err(refusal) = delete_object(api, &resource, &entry, &how, false, Timestamp::now()) {
                tracing::debug!(object = %entry.key.name, refusal = refusal.message, "a dependent is not deleted");
            }
        }
        let still_there = api.store.get(&place.drawer, &place.key.namespace, &place.key.name);
        blocks && still_there.is_some_and(|now| uid_of(&now.value) == uid_of(&entry.value))
    }
}

fn disown(object: &mut Value, owner: &str) {
    let kept: Vec<Value> =
        owners(object).filter(|reference| reference.lookup_str(&["uid"]) != Some(owner)).cloned().collect();
    if kept.is_empty() {
        meta::metadata_mut(object).remove("ownerReferences");
    } else {
        meta::metadata_mut(object).insert("ownerReferences", Value::list(kept));
    }
}

fn drop_finalizer(api: &Arc<Api>, place: &Place, finalizer: &str) {
    change(api, place, |object| meta::drop_finalizer(object, finalizer));
}

/// Changes an object as the garbage collector.
fn change(api: &Arc<Api>, place: &Place, change: impl Fn(&mut Value)) {
    finalize(api, &place.drawer, &place.key, |object| {
        let before = object.clone();
        change(object);
        if *object != before {
            *object = fields::by_server("kube-controller-manager", "", Some(&before), object);
        }
    });
}
