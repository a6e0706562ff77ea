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
use super::super::world::{World, uses_claim};
use super::placement::waits_for_consumer;

/// The provisioner whose volumes are ours.
const PROVISIONER: &str = "sim.soll.dev/volume";
/// Its name as a driver, which may hold no slash.
const DRIVER: &str = "sim.soll.dev";
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
        return step;
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
        annotations.insert("pv.kubernetes.io/bound-by-controller", Value::from("yes"));
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

/// Reports a volume as bound, and removes it when its claim is gone.
pub(super) fn of_volume(world: &World, volume: &Object) -> Step {
    let mut step = Step::nothing();
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
