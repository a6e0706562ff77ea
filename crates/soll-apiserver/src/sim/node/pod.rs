//! Pods: placed, run, ended.

use std::time::Duration;

use soll_api::Object;

use super::super::action::{Action, KUBELET, SCHEDULER, Step};
use super::super::condition::{Conditions, Said, Time, Truth, find};
use super::super::failure;
use super::super::fields::{self, flag, int, list, text};
use super::super::kind::Kind;
use super::super::world::World;
use super::life::{self, Life, Point};
use super::placement::{Placement, place};
use super::pod_status::{Report, status};

/// The longest that a pod takes to end, in simulated time, whatever grace it has.
const LONGEST_END: Duration = Duration::from_secs(2);

/// What is to be done for a pod.
pub(super) fn step(world: &World, pod: &Object) -> Step {
    if pod.is_terminating() {
        return end(world, pod);
    }
    let mut step = Step::nothing();
    if let Some(Err(mistake)) = failure::annotated(pod.value()) {
        let said = Said { component: "sim", warning: true, reason: "InvalidAnnotation", message: &mistake };
        step.say(world, pod, &said);
    }
    if matches!(text(pod.value(), &["status", "phase"]), "Succeeded" | "Failed") {
        return step;
    }
    if text(pod.value(), &["spec", "nodeName"]).is_empty() {
        step.extend(find_node(world, pod));
    } else {
        step.extend(run(world, pod));
    }
    step
}

/// Removes a pod when its grace is over. One without a node is removed by the API server itself.
fn end(world: &World, pod: &Object) -> Step {
    let mut step = Step::nothing();
    let grace =
        Duration::from_secs(u64::try_from(int(pod.value(), &["metadata", "deletionGracePeriodSeconds"])).unwrap_or(0));
    if grace.is_zero() {
        // Its finalizers decide now.
        return step;
    }
    let takes = LONGEST_END.min(grace);
    let lasted = world.clock.lasted(pod.uid(), "ending", 0);
    if lasted >= takes {
        step.push(Action::Delete { kind: Kind::Pod, object: pod.clone(), grace: Some(0) });
    } else {
        step.again(world.clock.really(takes - lasted));
    }
    step
}

fn find_node(world: &World, pod: &Object) -> Step {
    let mut step = Step::nothing();
    let ordered = world.failure(pod);
    let age = world.clock.lasted(pod.uid(), "unplaced", 0);
    let mode = ordered.as_ref().filter(|failure| failure.is_on(age)).map(|failure| failure.mode);
    if let Some(pause) = ordered.as_ref().and_then(|failure| failure.next_change(age)) {
        step.again(world.clock.really(pause));
    }
    match place(world, pod, mode) {
        Placement::Node(node) => {
            let message = format!("Successfully assigned {}/{} to {node}", pod.namespace(), pod.name());
            step.push(Action::Bind { pod: pod.clone(), node });
            let said = Said { component: "default-scheduler", warning: false, reason: "Scheduled", message: &message };
            step.say(world, pod, &said);
        }
        Placement::Waiting => {}
        Placement::Nowhere(why) => {
            let now = world.clock.stamp();
            let mut conditions = Conditions::keeping(pod.value(), &now);
            conditions.set_with("PodScheduled", Truth::No, "Unschedulable", &why, Some(Time::NeverProbed));
            let mut status = pod.value().get("status").cloned().unwrap_or_default();
            fields::map_mut(&mut status, &[]).insert("conditions", conditions.into_value());
            step.set_status(Kind::Pod, pod, status, SCHEDULER);
            let said =
                Said { component: "default-scheduler", warning: true, reason: "FailedScheduling", message: &why };
            step.say(world, pod, &said);
        }
    }
    step
}

fn run(world: &World, pod: &Object) -> Step {
    let mut step = Step::nothing();
    let missing = missing_reference(world, pod);
    let point = point(world, pod, missing.is_some());
    if let Some(next) = point.next {
        step.again(world.clock.really(next));
    }
    let report = Report { pod, life: point.life, missing: missing.as_deref(), now: &world.clock.stamp() };
    step.set_status(Kind::Pod, pod, status(&report), KUBELET);
    for (warning, reason, message) in notable(pod, point.life, missing.as_deref()) {
        step.say(world, pod, &Said { component: "kubelet", warning, reason, message: &message });
    }
    step
}

/// Where the pod is by now.
fn point(world: &World, pod: &Object, missing: bool) -> Point {
    // What is missing holds up the start only.
    let started = list(pod.value(), &["status", "containerStatuses"]).iter().any(|c| flag(c, &["started"]));
    life::at(pod, age(world, pod), world.failure(pod).as_ref(), missing && !started)
}

/// Whether a pod has not become ready for so much simulated time because of what it is, and not because the simulation
/// is late: then it would be ready by now.
pub(in super::super) fn is_held_up(world: &World, pod: &Object, lasted: Duration) -> bool {
    if text(pod.value(), &["spec", "nodeName"]).is_empty() {
        return find(pod.value(), "PodScheduled").is_some_and(|scheduled| text(scheduled, &["status"]) == "False");
    }
    let ready = point(world, pod, missing_reference(world, pod).is_some()).life == Life::Running { ready: true };
    // A pod that came long after the rollout began came late itself.
    !ready && age(world, pod) >= lasted / 2
}

/// For how long the pod has been on its node, in simulated time.
fn age(world: &World, pod: &Object) -> Duration {
    let started = text(pod.value(), &["status", "startTime"]).parse().ok();
    world.clock.lasted_from(pod.uid(), "placed", started)
}

/// The first ConfigMap or Secret that the containers need and that does not exist.
fn missing_reference(world: &World, pod: &Object) -> Option<String> {
    let missing = |kind: Kind, name: &str| {
        let absent = world.knows(kind) && world.find(kind, pod.namespace(), name).is_none();
        (absent && !name.is_empty()).then(|| format!("{} \"{name}\" not found", kind.name().to_lowercase()))
    };
    let reference = |holder: &soll_yaml::Value, config_map: &str, secret: &str, key: &str| {
        [(Kind::ConfigMap, config_map), (Kind::Secret, secret)].into_iter().find_map(|(kind, field)| {
            let reference = holder.get(field).filter(|reference| !flag(reference, &["optional"]))?;
            missing(kind, text(reference, &[key]))
        })
    };
    let containers = ["initContainers", "containers"].into_iter().flat_map(|field| list(pod.value(), &["spec", field]));
    let of_containers = containers.flat_map(|container| {
        let bulk = list(container, &["envFrom"]).iter();
        let bulk = bulk.filter_map(|source| reference(source, "configMapRef", "secretRef", "name"));
        let single = list(container, &["env"]).iter().filter_map(|variable| variable.get("valueFrom"));
        bulk.chain(single.filter_map(|source| reference(source, "configMapKeyRef", "secretKeyRef", "name")))
    });
    let volumes = list(pod.value(), &["spec", "volumes"]).iter().filter_map(|volume| {
        let config_map = volume.get("configMap").filter(|source| !flag(source, &["optional"]));
        let secret = volume.get("secret").filter(|source| !flag(source, &["optional"]));
        let config_map = config_map.and_then(|source| missing(Kind::ConfigMap, text(source, &["name"])));
        config_map.or_else(|| secret.and_then(|source| missing(Kind::Secret, text(source, &["secretName"]))))
    });
    of_containers.chain(volumes).next()
}

/// What the kubelet would say.
fn notable(pod: &Object, life: Life, missing: Option<&str>) -> Vec<(bool, &'static str, String)> {
    let container = list(pod.value(), &["spec", "containers"]).first();
    let name = container.map_or("", |container| text(container, &["name"]));
    let image = container.map_or("", |container| text(container, &["image"]));
    let identity = || format!("{}_{}({})", pod.name(), pod.namespace(), pod.uid());
    match life {
        Life::Creating => vec![(false, "Pulling", format!("Pulling image \"{image}\""))],
        Life::PullFails { backing_off: false } => {
            vec![(true, "Failed", format!("Failed to pull image \"{image}\": not found (simulated)"))]
        }
        Life::PullFails { backing_off: true } => {
            vec![
                (false, "BackOff", format!("Back-off pulling image \"{image}\"")),
                (true, "Failed", "Error: ImagePullBackOff".to_owned()),
            ]
        }
        Life::ConfigError => vec![(true, "Failed", format!("Error: {}", missing.unwrap_or("ordered by annotation")))],
        Life::Running { ready } => {
            let mut said = vec![(false, "Started", format!("Started container {name} (simulated: nothing runs)"))];
            if !ready && container.is_some_and(|container| container.get("readinessProbe").is_some()) {
                said.push((true, "Unhealthy", "Readiness probe failed: simulated".to_owned()));
            }
            said
        }
        Life::CrashLoop { .. } => {
            vec![(true, "BackOff", format!("Back-off restarting failed container {name} in pod {}", identity()))]
        }
        Life::Finished { .. } => Vec::new(),
    }
}
