//! The rules of builtin kinds.

use std::time::Duration;

use jiff::Timestamp;
use soll_api::Object;
use soll_yaml::Value;

use super::{Health, condition};

/// How long a Pod may be unschedulable before it counts as failed: the scheduler tries again and again.
const SCHEDULE_WINDOW: Duration = Duration::from_secs(15);

/// The health of an object of a kind with rules of its own; nothing for others.
pub(super) fn health(live: &Object, now: Timestamp) -> Option<Health> {
    Some(match (live.group(), live.kind()) {
        ("apps", "Deployment") => deployment(live),
        ("apps", "StatefulSet") => stateful_set(live),
        ("apps", "DaemonSet") => daemon_set(live),
        ("apps", "ReplicaSet") => replica_set(live),
        ("batch", "Job") => job(live),
        ("batch", "CronJob") | ("", "ConfigMap" | "Secret") => Health::current("Resource is always ready"),
        ("", "Pod") => pod(live, now),
        ("", "PersistentVolumeClaim") => claim(live),
        ("", "Service") => service(live),
        ("policy", "PodDisruptionBudget") => Health::current("AllowedDisruptions has been computed."),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(live),
        _ => return None,
    })
}

fn number(live: &Object, path: &[&str]) -> Option<i64> {
    live.value().lookup(path)?.as_i64()
}

fn status(live: &Object, field: &str) -> i64 {
    number(live, &["status", field]).unwrap_or(0)
}

/// A comparison of two counts: what it is called, how many there are, how many there ought to be.
fn short(what: &str, is: i64, ought: i64) -> Option<Health> {
    (is < ought).then(|| Health::in_progress(format!("{what}: {is}/{ought}")))
}

/// kstatus' sentence, and the reason that the object itself gives, which kstatus leaves out.
fn because(what: &str, why: &str) -> String {
    if why.is_empty() { what.to_owned() } else { format!("{what}: {why}") }
}

fn leaving(count: i64) -> Option<Health> {
    (count > 0).then(|| Health::in_progress(format!("Pending termination: {count}")))
}

fn deployment(live: &Object) -> Health {
    let progressing = condition(live, "Progressing");
    if progressing.is_some_and(|progress| progress.reason == "ProgressDeadlineExceeded") {
        return Health::failed("Progress deadline exceeded");
    }
    // Without a deadline nobody reports progress.
    let has_deadline = number(live, &["spec", "progressDeadlineSeconds"]).is_some_and(|s| s < i64::from(i32::MAX));
    let ought = number(live, &["spec", "replicas"]).unwrap_or(1);
    let (replicas, updated) = (status(live, "replicas"), status(live, "updatedReplicas"));
    let (ready, available) = (status(live, "readyReplicas"), status(live, "availableReplicas"));
    let rolled_out =
        progressing.is_some_and(|progress| progress.status == "True" && progress.reason == "NewReplicaSetAvailable");
    let is_available = condition(live, "Available").is_some_and(|available| available.status == "True");
    short("Replicas", replicas, ought)
        .or_else(|| short("Updated", updated, ought))
        .or_else(|| leaving(replicas - ought))
        .or_else(|| short("Available", available, updated))
        .or_else(|| short("Ready", ready, ought))
        .or_else(|| (has_deadline && !rolled_out).then(|| Health::in_progress("ReplicaSet not Available")))
        .or_else(|| (!is_available).then(|| Health::in_progress("Deployment not Available")))
        .unwrap_or_else(|| Health::current(format!("Deployment is available. Replicas: {replicas}")))
}

fn stateful_set(live: &Object) -> Health {
    if live.value().lookup_str(&["spec", "updateStrategy", "type"]) == Some("OnDelete") {
        return Health::current("StatefulSet is using the ondelete update strategy");
    }
    let ought = number(live, &["spec", "replicas"]).unwrap_or(1);
    let (replicas, updated) = (status(live, "replicas"), status(live, "updatedReplicas"));
    let early = short("Replicas", replicas, ought)
        .or_else(|| short("Ready", status(live, "readyReplicas"), ought))
        .or_else(|| leaving(replicas - ought));
    if let Some(early) = early {
        return early;
    }
    if let Some(partition) = number(live, &["spec", "updateStrategy", "rollingUpdate", "partition"])
        && partition >= 0
    {
        return short("updated", updated, ought - partition)
            .unwrap_or_else(|| Health::current(format!("Partition rollout complete. updated: {updated}")));
    }
    if let Some(late) = short("current", status(live, "currentReplicas"), ought) {
        return late;
    }
    let revision = |field| live.value().lookup_str(&["status", field]);
    if revision("currentRevision") != revision("updateRevision") {
        return Health::in_progress("Waiting for updated revision to match current");
    }
    Health::current(format!("All replicas scheduled as expected. Replicas: {replicas}"))
}

fn daemon_set(live: &Object) -> Health {
    if number(live, &["status", "observedGeneration"]).is_none() {
        return Health::in_progress("DaemonSet status.observedGeneration not found");
    }
    let Some(ought) = number(live, &["status", "desiredNumberScheduled"]) else {
        return Health::in_progress("Missing .status.desiredNumberScheduled");
    };
    short("Current", status(live, "currentNumberScheduled"), ought)
        .or_else(|| short("Updated", status(live, "updatedNumberScheduled"), ought))
        .or_else(|| short("Available", status(live, "numberAvailable"), ought))
        .or_else(|| short("Ready", status(live, "numberReady"), ought))
        .unwrap_or_else(|| Health::current(format!("All replicas scheduled as expected. Replicas: {ought}")))
}

fn replica_set(live: &Object) -> Health {
    if let Some(failure) = condition(live, "ReplicaFailure").filter(|failure| failure.status == "True") {
        return Health::in_progress(because("Replica Failure condition. Check Pods", failure.message));
    }
    let ought = number(live, &["spec", "replicas"]).unwrap_or(1);
    let replicas = status(live, "replicas");
    short("Labelled", status(live, "fullyLabeledReplicas"), ought)
        .or_else(|| short("Available", status(live, "availableReplicas"), ought))
        .or_else(|| short("Ready", status(live, "readyReplicas"), ought))
        .or_else(|| leaving(replicas - ought))
        .unwrap_or_else(|| Health::current(format!("ReplicaSet is available. Replicas: {replicas}")))
}

/// Unlike plain kstatus, and like Flux: a Job is current when it has completed, not when it has started.
fn job(live: &Object) -> Health {
    let (succeeded, failed) = (status(live, "succeeded"), status(live, "failed"));
    let completions = number(live, &["spec", "completions"]).unwrap_or(1);
    let holds = |r#type| condition(live, r#type).is_some_and(|condition| condition.status == "True");
    if holds("Complete") {
        return Health::current(format!("Job Completed. succeeded: {succeeded}/{completions}"));
    }
    if let Some(failure) = condition(live, "Failed").filter(|failure| failure.status == "True") {
        return Health::failed(because(&format!("Job Failed. failed: {failed}/{completions}"), failure.message));
    }
    if holds("Suspended") || live.value().lookup(&["spec", "suspend"]).and_then(Value::as_bool) == Some(true) {
        return Health::current("Job Suspended");
    }
    if live.value().lookup_str(&["status", "startTime"]).is_none() {
        return Health::in_progress("Job not started");
    }
    Health::in_progress(format!("Job in progress. success: {succeeded}/{completions}, failed: {failed}"))
}

fn pod(live: &Object, now: Timestamp) -> Health {
    match live.value().lookup_str(&["status", "phase"]).unwrap_or_default() {
        "Succeeded" => Health::current("Pod has completed successfully"),
        "Failed" => Health::current("Pod has completed, but not successfully"),
        "Running" => match condition(live, "Ready") {
            Some(ready) if ready.status == "True" => Health::current("Pod is Ready"),
            _ => crash_loop(live).unwrap_or_else(|| Health::in_progress("Pod is running but is not Ready")),
        },
        "Pending" => unschedulable(live, now).unwrap_or_else(|| Health::in_progress("Pod is in the Pending phase")),
        "" => Health::in_progress("Pod phase not available"),
        phase => Health::new(super::HealthStatus::Unknown, format!("unknown phase {phase}")),
    }
}

fn crash_loop(live: &Object) -> Option<Health> {
    let lists = ["initContainerStatuses", "containerStatuses"];
    let statuses = lists.into_iter().filter_map(|list| live.value().lookup(&["status", list])?.as_list()).flatten();
    let crashing: Vec<_> = statuses
        .filter(|status| status.lookup_str(&["state", "waiting", "reason"]) == Some("CrashLoopBackOff"))
        .filter_map(|status| status.lookup_str(&["name"]))
        .collect();
    (!crashing.is_empty()).then(|| Health::failed(format!("Containers in CrashLoop state: {}", crashing.join(","))))
}

fn unschedulable(live: &Object, now: Timestamp) -> Option<Health> {
    let scheduled = condition(live, "PodScheduled")?;
    if scheduled.status != "False" || scheduled.reason != "Unschedulable" {
        return None;
    }
    let created = live.value().lookup_str(&["metadata", "creationTimestamp"]);
    let fails_at =
        created.and_then(|created| created.parse::<Timestamp>().ok()).map(|created| created + SCHEDULE_WINDOW);
    if fails_at.is_some_and(|fails_at| now < fails_at) {
        return Some(Health { recheck_at: fails_at, ..Health::in_progress("Pod has not been scheduled") });
    }
    Some(Health::failed(because("Pod could not be scheduled", scheduled.message)))
}

fn claim(live: &Object) -> Health {
    match live.value().lookup_str(&["status", "phase"]).unwrap_or("unknown") {
        "Bound" => Health::current("PVC is Bound"),
        phase => Health::in_progress(format!("PVC is not Bound. phase: {phase}")),
    }
}

fn service(live: &Object) -> Health {
    let is_balancer = live.value().lookup_str(&["spec", "type"]) == Some("LoadBalancer");
    if is_balancer && live.value().lookup_str(&["spec", "clusterIP"]).is_none_or(str::is_empty) {
        return Health::in_progress("ClusterIP not set. Service type: LoadBalancer");
    }
    Health::current("Service is ready")
}

fn definition(live: &Object) -> Health {
    if let Some(names) = condition(live, "NamesAccepted").filter(|names| names.status == "False") {
        return Health::failed(names.message);
    }
    match condition(live, "Established") {
        Some(established) if established.status == "True" => Health::current("CRD is established"),
        Some(established) if established.status == "False" && established.reason != "Installing" => {
            Health::failed(established.message)
        }
        _ => Health::in_progress("Install in progress"),
    }
}
