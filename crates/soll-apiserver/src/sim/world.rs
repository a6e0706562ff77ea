//! What the simulation knows: the objects it follows, and who has to be told of a change.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use soll_api::Object;
use soll_yaml::Value;

use super::Controllers;
use super::clock::Clock;
use super::failure::{self, Failure};
use super::fields::{controller, list, text};
use super::kind::Kind;
use super::queue::{Key, Name, Queue};
use super::selector::{contains, selects};

/// The objects of the cluster as last seen or written.
#[derive(Debug)]
pub(super) struct World {
    pub(super) clock: Clock,
    pub(super) controllers: Controllers,
    objects: HashMap<Kind, BTreeMap<Name, Object>>,
    /// By the uid of their controlling owner.
    controlled: HashMap<String, BTreeSet<Key>>,
    /// The uids of objects whose deletion was asked for and has not been seen yet.
    doomed: HashSet<String>,
    /// The names of Services that are gone while their Endpoints may still be there.
    lost_services: HashSet<Name>,
    /// What was said about which uid; no borrow outlives a call.
    said: RefCell<HashMap<String, HashSet<u64>>>,
}

impl World {
    pub(super) fn new(scale: f64, controllers: Controllers) -> Self {
        Self {
            clock: Clock::new(scale),
            controllers,
            objects: HashMap::new(),
            controlled: HashMap::new(),
            doomed: HashSet::new(),
            lost_services: HashSet::new(),
            said: RefCell::default(),
        }
    }

    pub(super) fn get(&self, kind: Kind, name: &Name) -> Option<&Object> {
        self.objects.get(&kind)?.get(name)
    }

    pub(super) fn find(&self, kind: Kind, namespace: &str, name: &str) -> Option<&Object> {
        self.get(kind, &Name::new(namespace, name))
    }

    /// Whether all objects of a kind are known, so that what is not known does not exist.
    pub(super) fn knows(&self, kind: Kind) -> bool {
        self.objects.contains_key(&kind)
    }

    pub(super) fn all(&self, kind: Kind) -> impl Iterator<Item = &Object> {
        self.objects.get(&kind).into_iter().flat_map(BTreeMap::values)
    }

    pub(super) fn within<'w>(&'w self, kind: Kind, namespace: &'w str) -> impl Iterator<Item = &'w Object> {
        self.all_from(kind, namespace).take_while(move |object| object.namespace() == namespace)
    }

    fn all_from(&self, kind: Kind, namespace: &str) -> impl Iterator<Item = &Object> {
        let start = Name::new(namespace, "");
        self.objects.get(&kind).into_iter().flat_map(move |map| map.range(start.clone()..).map(|(_, object)| object))
    }

    /// The objects of a kind that an owner controls, those that are being deleted included.
    pub(super) fn controlled_by(&self, owner: &Object, kind: Kind) -> Vec<&Object> {
        let keys = self.controlled.get(owner.uid()).into_iter().flatten();
        keys.filter(|key| key.kind == kind).filter_map(|key| self.get(kind, &key.name)).collect()
    }

    /// Whether an object is on its way out.
    pub(super) fn is_leaving(&self, object: &Object) -> bool {
        object.is_terminating() || self.doomed.contains(object.uid())
    }

    /// The failure that is ordered for an object: by itself, by what controls it, or by its images.
    pub(super) fn failure(&self, object: &Object) -> Option<Failure> {
        let mut holder = Some(object);
        let mut ordered = None;
        while let (None, Some(current)) = (&ordered, holder) {
            // A mistyped annotation orders nothing; the pod's events say so.
            ordered = failure::annotated(current.value()).and_then(Result::ok);
            holder = self.owner(current);
        }
        ordered.or_else(|| failure::of_images(object.value())).filter(|failure| failure.hits(object.uid()))
    }

    fn owner(&self, object: &Object) -> Option<&Object> {
        let reference = controller(object.value())?;
        let kind = Kind::named(text(reference, &["kind"]))?;
        self.find(kind, object.namespace(), text(reference, &["name"]))
    }

    /// Whether the Service is gone that Endpoints were about.
    pub(super) fn has_lost_service(&self, endpoints: &Object) -> bool {
        self.lost_services.contains(&Name::of(endpoints))
    }

    /// Whether this is said for the first time.
    pub(super) fn says_first(&self, uid: &str, reason: &str, message: &str) -> bool {
        let text = super::fields::fingerprint(&format!("{reason} {message}"));
        self.said.borrow_mut().entry(uid.to_owned()).or_default().insert(text)
    }

    /// Takes all objects of a kind anew.
    pub(super) fn restart(&mut self, kind: Kind, objects: &[Object], queue: &mut Queue) {
        let fresh: HashSet<Name> = objects.iter().map(Name::of).collect();
        let known = self.objects.entry(kind).or_default();
        let gone: Vec<_> = known.iter().filter(|(name, _)| !fresh.contains(name)).map(|(_, o)| o.clone()).collect();
        for object in gone {
            self.remove(kind, &object, queue);
        }
        for object in objects {
            self.insert(kind, object, queue);
        }
    }

    /// Takes an object as seen or written. News that is older than what is known is ignored.
    pub(super) fn insert(&mut self, kind: Kind, object: &Object, queue: &mut Queue) {
        let name = Name::of(object);
        let known = self.objects.entry(kind).or_default().get(&name);
        if known.is_some_and(|known| known.uid() == object.uid() && version(known) >= version(object)) {
            return;
        }
        if let Some(known) = known.cloned() {
            if known.uid() != object.uid() {
                self.forget(&known);
            }
            self.unlink(kind, &name, &known);
        }
        if let Some(owner) = controller(object.value()) {
            let key = Key { kind, name: name.clone() };
            self.controlled.entry(text(owner, &["uid"]).to_owned()).or_default().insert(key);
        }
        if kind == Kind::Service {
            self.lost_services.remove(&name);
        }
        self.objects.entry(kind).or_default().insert(name, object.clone());
        self.wake(kind, object, queue);
    }

    /// An object is gone.
    pub(super) fn remove(&mut self, kind: Kind, object: &Object, queue: &mut Queue) {
        let name = Name::of(object);
        // A namesake may have been made by us before we heard of the end of this one.
        if self.get(kind, &name).is_some_and(|known| known.uid() == object.uid()) {
            self.objects.entry(kind).or_default().remove(&name);
            self.unlink(kind, &name, object);
        }
        match kind {
            Kind::Service if self.find(Kind::Endpoints, &name.namespace, &name.name).is_some() => {
                self.lost_services.insert(name);
            }
            Kind::Endpoints => drop(self.lost_services.remove(&name)),
            _ => {}
        }
        self.forget(object);
        self.wake(kind, object, queue);
    }

    /// The deletion of an object was accepted.
    pub(super) fn doom(&mut self, uid: String, by: &Key, queue: &mut Queue) {
        self.doomed.insert(uid);
        queue.now(by.clone());
    }

    fn unlink(&mut self, kind: Kind, name: &Name, object: &Object) {
        let Some(owner) = controller(object.value()) else { return };
        let uid = text(owner, &["uid"]);
        let Some(keys) = self.controlled.get_mut(uid) else { return };
        keys.remove(&Key { kind, name: name.clone() });
        if keys.is_empty() {
            self.controlled.remove(uid);
        }
    }

    fn forget(&mut self, object: &Object) {
        self.doomed.remove(object.uid());
        self.said.borrow_mut().remove(object.uid());
        self.clock.forget(object.uid());
    }

    /// Queues all that a change of this object may concern.
    fn wake(&self, kind: Kind, object: &Object, queue: &mut Queue) {
        queue.now(Key { kind, name: Name::of(object) });
        if let Some(owner) = controller(object.value())
            && let Some(kind) = Kind::named(text(owner, &["kind"]))
        {
            queue.now(Key { kind, name: Name::new(object.namespace(), text(owner, &["name"])) });
        }
        match kind {
            Kind::Node => {
                self.wake_all(Kind::Pod, queue, |pod| text(pod.value(), &["spec", "nodeName"]).is_empty());
                self.wake_all(Kind::DaemonSet, queue, |_| true);
            }
            Kind::Pod => self.wake_around_pod(object, queue),
            Kind::ConfigMap | Kind::Secret => {
                let namespace = object.namespace();
                self.wake_within(Kind::Pod, namespace, queue, |pod| {
                    text(pod.value(), &["status", "phase"]) == "Pending"
                });
            }
            Kind::PersistentVolumeClaim => {
                self.wake_within(Kind::Pod, object.namespace(), queue, |pod| uses_claim(pod, object.name()));
                self.wake_all(Kind::PersistentVolume, queue, |volume| claims(volume, object));
            }
            Kind::PersistentVolume => {
                let claim = |field| text(object.value(), &["spec", "claimRef", field]);
                let name = Name::new(claim("namespace"), claim("name"));
                queue.now(Key { kind: Kind::PersistentVolumeClaim, name });
                if object.value().lookup(&["spec", "claimRef"]).is_none() {
                    let waits = |claim: &Object| text(claim.value(), &["status", "phase"]) != "Bound";
                    self.wake_all(Kind::PersistentVolumeClaim, queue, waits);
                }
            }
            Kind::StorageClass => {
                self.wake_all(Kind::PersistentVolumeClaim, queue, |_| true);
            }
            Kind::IngressClass => self.wake_all(Kind::Ingress, queue, |_| true),
            // Their annotation orders failures of the pods below them.
            Kind::Deployment | Kind::ReplicaSet | Kind::StatefulSet | Kind::DaemonSet | Kind::Job => {
                if object.annotation(failure::ANNOTATION).is_some() {
                    self.wake_within(Kind::Pod, object.namespace(), queue, |_| true);
                }
            }
            Kind::Service => queue.now(Key { kind: Kind::Endpoints, name: Name::of(object) }),
            Kind::Endpoints => queue.now(Key { kind: Kind::Service, name: Name::of(object) }),
            Kind::Ingress
            | Kind::CronJob
            | Kind::PodDisruptionBudget
            | Kind::HorizontalPodAutoscaler
            | Kind::EndpointSlice => {}
        }
    }

    fn wake_around_pod(&self, pod: &Object, queue: &mut Queue) {
        let labels = pod.value().lookup(&["metadata", "labels"]);
        self.wake_within(Kind::Service, pod.namespace(), queue, |service| {
            service.value().lookup(&["spec", "selector"]).is_some_and(|selector| contains(selector, labels))
        });
        self.wake_within(Kind::PodDisruptionBudget, pod.namespace(), queue, |budget| {
            budget.value().lookup(&["spec", "selector"]).is_some_and(|selector| selects(selector, labels))
        });
        for volume in list(pod.value(), &["spec", "volumes"]) {
            if let Some(claim) = volume.lookup_str(&["persistentVolumeClaim", "claimName"]) {
                queue.now(Key { kind: Kind::PersistentVolumeClaim, name: Name::new(pod.namespace(), claim) });
            }
        }
    }

    fn wake_all(&self, kind: Kind, queue: &mut Queue, concerned: impl Fn(&Object) -> bool) {
        for object in self.all(kind).filter(|object| concerned(object)) {
            queue.now(Key { kind, name: Name::of(object) });
        }
    }

    fn wake_within(&self, kind: Kind, namespace: &str, queue: &mut Queue, concerned: impl Fn(&Object) -> bool) {
        for object in self.within(kind, namespace).filter(|object| concerned(object)) {
            queue.now(Key { kind, name: Name::of(object) });
        }
    }
}

/// Whether a pod mounts a claim.
pub(super) fn uses_claim(pod: &Object, claim: &str) -> bool {
    let volumes = list(pod.value(), &["spec", "volumes"]);
    volumes.iter().any(|volume| text(volume, &["persistentVolumeClaim", "claimName"]) == claim)
}

fn claims(volume: &Object, claim: &Object) -> bool {
    volume.value().lookup(&["spec", "claimRef", "uid"]).and_then(Value::as_str) == Some(claim.uid())
}

/// Versions are numbers that grow; all servers that we meet keep to that.
fn version(object: &Object) -> u64 {
    object.resource_version().parse().unwrap_or(0)
}
