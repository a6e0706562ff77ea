//! Volumes: claims are bound to volumes that hold nothing.

use serde_json::json;
use soll_api::Object;
use soll_yaml::Value;

use super::super::Controllers;
use super::super::action::{Action, CONTROLLER_MANAGER, Step};
use super::super::condition::Said;
use super::super::failure::Mode;
use super::super::fields::{self, list, text, value};
use super::super::kind::Kind;
use super::super::selector::selects;
use super::super::world::{World, uses_claim};
use super::placement::waits_for_consumer;
use crate::shape::quantity;

/// The provisioner whose volumes are ours.
const PROVISIONER: &str = "sim.soll.dev/volume";
/// Its name as a driver, which may hold no slash.
const DRIVER: &str = "sim.soll.dev";
const BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
const PROTECTION: &str = "kubernetes.io/pvc-protection";

/// Makes a volume for a claim. On a real cluster its own controller binds the two.
pub(super) fn of_claim(world: &World, claim: &Object) -> Step {
    if claim.is_terminating() {
        return release(world, claim);
    }
    let mut step = Step::nothing();
    let phase = text(claim.value(), &["status", "phase"]);
    if phase == "Bound" {
        return grow(world, claim);
    }
    let age = world.clock.lasted(claim.uid(), "unbound", 0);
    if let Some(failure) = world.failure(claim).filter(|failure| failure.mode == Mode::VolumePending) {
        if let Some(pause) = failure.next_change(age) {
            step.again(world.clock.really(pause));
        }
        if failure.is_on(age) {
            return step;
        }
    }
    if world.controllers == Controllers::Simulated
        && let Some(volume) = waiting(world, claim)
    {
        hold(&mut step, claim, volume);
        return step;
    }
    let class = text(claim.value(), &["spec", "storageClassName"]);
    if world.find(Kind::StorageClass, "", class).is_none() {
        if world.knows(Kind::StorageClass) && !class.is_empty() {
            let message = format!("storageclass.storage.k8s.io \"{class}\" not found");
            let said = Said {
                component: "persistentvolume-controller",
                warning: true,
                reason: "ProvisioningFailed",
                message: &message,
            };
            step.say(world, claim, &said);
        }
        return step;
    }
    let used = world.within(Kind::Pod, claim.namespace()).any(|pod| uses_claim(pod, claim.name()));
    if waits_for_consumer(world, claim) && !used {
        return step;
    }
    let name = volume_name(claim);
    match world.find(Kind::PersistentVolume, "", &name) {
        None => step.push(Action::Create {
            kind: Kind::PersistentVolume,
            object: volume(world, claim, &name),
            manager: CONTROLLER_MANAGER,
        }),
        Some(volume) if world.controllers == Controllers::Simulated => bind(&mut step, claim, volume),
        Some(_) => {}
    }
    step
}

fn bind(step: &mut Step, claim: &Object, volume: &Object) {
    let kind = Kind::PersistentVolumeClaim;
    if text(claim.value(), &["spec", "volumeName"]) != volume.name() {
        let mut bound = claim.clone();
        fields::map_mut(bound.value_mut(), &["spec"]).insert("volumeName", Value::str(volume.name()));
        let annotations = fields::map_mut(bound.value_mut(), &["metadata", "annotations"]);
        annotations.insert("pv.kubernetes.io/bind-completed", Value::from("yes"));
        annotations.insert(BY_CONTROLLER, Value::from("yes"));
        // The status follows when this is seen.
        return step.push(Action::Update { kind, object: bound, manager: CONTROLLER_MANAGER });
    }
    let mut status = value(&json!({ "phase": "Bound" }));
    let fields = status.make_map();
    for (key, path) in [("accessModes", ["spec", "accessModes"]), ("capacity", ["spec", "capacity"])] {
        if let Some(held) = volume.value().lookup(&path) {
            fields.insert(key, held.clone());
        }
    }
    step.set_status(kind, claim, status, CONTROLLER_MANAGER);
}

/// The smallest volume that somebody has made and that does what the claim asks for.
fn waiting<'w>(world: &'w World, claim: &Object) -> Option<&'w Object> {
    let chosen = text(claim.value(), &["spec", "volumeName"]);
    let mut fitting: Vec<&Object> = world
        .all(Kind::PersistentVolume)
        .filter(|volume| is_made_by_hand(volume) && !world.is_leaving(volume) && fits(volume, claim))
        .filter(|volume| chosen.is_empty() || volume.name() == chosen)
        .collect();
    fitting.sort_by_key(|volume| (!is_meant_for(volume, claim), capacity(volume.value(), &CAPACITY)));
    fitting.first().copied()
}

fn is_made_by_hand(volume: &Object) -> bool {
    volume.annotation(PROVISIONED_BY).is_none()
}

const CAPACITY: [&str; 3] = ["spec", "capacity", "storage"];
const REQUEST: [&str; 4] = ["spec", "resources", "requests", "storage"];

fn capacity(object: &Value, path: &[&str]) -> i128 {
    quantity::nanos(text(object, path)).unwrap_or(0)
}

/// Whether a volume is kept for a claim, by name or already by its uid.
fn is_meant_for(volume: &Object, claim: &Object) -> bool {
    let of = |field| text(volume.value(), &["spec", "claimRef", field]);
    of("namespace") == claim.namespace() && of("name") == claim.name() && ["", claim.uid()].contains(&of("uid"))
}

fn fits(volume: &Object, claim: &Object) -> bool {
    let same = |field| text(volume.value(), &["spec", field]) == text(claim.value(), &["spec", field]);
    let modes = list(volume.value(), &["spec", "accessModes"]);
    let is_free = volume.value().lookup(&["spec", "claimRef"]).is_none() || is_meant_for(volume, claim);
    let labels = volume.value().lookup(&["metadata", "labels"]);
    is_free
        && same("storageClassName")
        && same("volumeMode")
        && list(claim.value(), &["spec", "accessModes"]).iter().all(|mode| modes.contains(mode))
        && claim.value().lookup(&["spec", "selector"]).is_none_or(|selector| selects(selector, labels))
        && capacity(volume.value(), &CAPACITY) >= capacity(claim.value(), &REQUEST)
}

/// Binds a volume that was made by hand: first it is held for the claim, then the claim is told.
fn hold(step: &mut Step, claim: &Object, volume: &Object) {
    if text(volume.value(), &["spec", "claimRef", "uid"]) == claim.uid() {
        return bind(step, claim, volume);
    }
    let mut held = volume.clone();
    let is_meant = volume.value().lookup(&["spec", "claimRef"]).is_some();
    let reference = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": claim.namespace(),
        "name": claim.name(),
        "uid": claim.uid(),
        "resourceVersion": claim.resource_version(),
    });
    fields::map_mut(held.value_mut(), &["spec"]).insert("claimRef", value(&reference));
    if !is_meant {
        fields::map_mut(held.value_mut(), &["metadata", "annotations"]).insert(BY_CONTROLLER, Value::from("yes"));
    }
    step.push(Action::Update { kind: Kind::PersistentVolume, object: held, manager: CONTROLLER_MANAGER });
}

/// Gives a claim that has grown its space: of our volumes there is any amount.
fn grow(world: &World, claim: &Object) -> Step {
    let mut step = Step::nothing();
    let volume = world.find(Kind::PersistentVolume, "", text(claim.value(), &["spec", "volumeName"]));
    let Some(volume) = volume.filter(|volume| volume.annotation(PROVISIONED_BY) == Some(PROVISIONER)) else {
        return step;
    };
    let wanted = text(claim.value(), &REQUEST);
    if capacity(claim.value(), &REQUEST) > capacity(volume.value(), &CAPACITY) {
        let mut grown = volume.clone();
        fields::map_mut(grown.value_mut(), &["spec", "capacity"]).insert("storage", Value::str(wanted));
        step.push(Action::Update { kind: Kind::PersistentVolume, object: grown, manager: CONTROLLER_MANAGER });
    } else if capacity(volume.value(), &CAPACITY) > capacity(claim.value(), &["status", "capacity", "storage"]) {
        let mut status = claim.value().get("status").cloned().unwrap_or_else(Value::map);
        let held = volume.value().lookup(&["spec", "capacity"]).cloned().unwrap_or_else(Value::map);
        status.make_map().insert("capacity", held);
        step.set_status(Kind::PersistentVolumeClaim, claim, status, CONTROLLER_MANAGER);
    }
    step
}

/// Reports whether a volume that was made by hand is free, bound, or was.
fn report(world: &World, volume: &Object) -> Step {
    let mut step = Step::nothing();
    let uid = text(volume.value(), &["spec", "claimRef", "uid"]);
    let claim = |field| text(volume.value(), &["spec", "claimRef", field]);
    let held = world.find(Kind::PersistentVolumeClaim, claim("namespace"), claim("name"));
    let phase = match held {
        _ if uid.is_empty() => "Available",
        Some(held) if held.uid() == uid => "Bound",
        _ if world.knows(Kind::PersistentVolumeClaim) => "Released",
        _ => return step,
    };
    if text(volume.value(), &["status", "phase"]) != phase {
        let mut status = volume.value().get("status").cloned().unwrap_or_else(Value::map);
        status.make_map().insert("phase", Value::str(phase));
        step.set_status(Kind::PersistentVolume, volume, status, CONTROLLER_MANAGER);
    }
    step
}

/// Reports a volume as bound, and removes it when its claim is gone.
pub(super) fn of_volume(world: &World, volume: &Object) -> Step {
    let mut step = Step::nothing();
    if is_made_by_hand(volume) && world.controllers == Controllers::Simulated && !world.is_leaving(volume) {
        return report(world, volume);
    }
    if volume.annotation(PROVISIONED_BY) != Some(PROVISIONER) || world.is_leaving(volume) {
        return step;
    }
    let claim = |field| text(volume.value(), &["spec", "claimRef", field]);
    let held = world.find(Kind::PersistentVolumeClaim, claim("namespace"), claim("name"));
    let held = held.is_some_and(|held| held.uid() == claim("uid"));
    let retained = text(volume.value(), &["spec", "persistentVolumeReclaimPolicy"]) == "Retain";
    if !held && world.knows(Kind::PersistentVolumeClaim) && !retained {
        step.push(Action::Delete { kind: Kind::PersistentVolume, object: volume.clone(), grace: None });
    } else if held && world.controllers == Controllers::Simulated {
        step.set_status(Kind::PersistentVolume, volume, value(&json!({ "phase": "Bound" })), CONTROLLER_MANAGER);
    }
    step
}

/// Lets go of a claim that no pod uses any more.
fn release(world: &World, claim: &Object) -> Step {
    let finalizers = list(claim.value(), &["metadata", "finalizers"]);
    let used = world.within(Kind::Pod, claim.namespace()).any(|pod| uses_claim(pod, claim.name()));
    let protected = finalizers.iter().any(|finalizer| finalizer.as_str() == Some(PROTECTION));
    if world.controllers != Controllers::Simulated || used || !protected {
        return Step::nothing();
    }
    let rest = finalizers.iter().filter(|finalizer| finalizer.as_str() != Some(PROTECTION)).cloned().collect();
    let mut released = claim.clone();
    fields::map_mut(released.value_mut(), &["metadata"]).insert("finalizers", Value::list(rest));
    Step::act(Action::Update { kind: Kind::PersistentVolumeClaim, object: released, manager: CONTROLLER_MANAGER })
}

fn volume_name(claim: &Object) -> String {
    format!("pvc-{}", claim.uid())
}

fn volume(world: &World, claim: &Object, name: &str) -> Object {
    let class = text(claim.value(), &["spec", "storageClassName"]);
    let reclaim = world.find(Kind::StorageClass, "", class).map_or("", |class| text(class.value(), &["reclaimPolicy"]));
    let mut volume = value(&json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {PROVISIONED_BY: PROVISIONER}},
        "spec": {
            "persistentVolumeReclaimPolicy": if reclaim.is_empty() { "Delete" } else { reclaim },
            "storageClassName": class,
            "csi": {"driver": DRIVER, "volumeHandle": name},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": claim.namespace(),
                "name": claim.name(),
                "uid": claim.uid(),
            },
        },
    }));
    let spec = fields::map_mut(&mut volume, &["spec"]);
    let wanted = |path: &[&str]| claim.value().lookup(path).cloned();
    spec.insert("accessModes", wanted(&["spec", "accessModes"]).unwrap_or_else(|| Value::list(Vec::new())));
    spec.insert("capacity", wanted(&["spec", "resources", "requests"]).unwrap_or_else(Value::map));
    if let Some(mode) = wanted(&["spec", "volumeMode"]) {
        spec.insert("volumeMode", mode);
    }
    Object::new(volume).expect("it has a kind and a name")
}
