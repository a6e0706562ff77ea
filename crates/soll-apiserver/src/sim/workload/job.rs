//! Jobs: pods that end.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use soll_api::Object;
use soll_yaml::Value;

use super::super::action::{Action, CONTROLLER_MANAGER, Step};
use super::super::condition::{Conditions, Time, Truth, holds};
use super::super::fields::{Naming, flag, int, int_or, map_mut, pod_from_template, set_label, text, value};
use super::super::kind::Kind;
use super::super::world::World;
use super::pods::{active, is_ready};

/// What a Job has come to.
struct Progress<'w> {
    active: Vec<&'w Object>,
    succeeded: i64,
    failed: i64,
    /// How many shall succeed.
    completions: i64,
    parallelism: i64,
}

/// What ends a Job.
enum End {
    Complete,
    Failed { reason: &'static str, message: &'static str },
}

/// Makes the pods that are missing, and ends the Job when it is done or has failed.
pub(super) fn step(world: &World, job: &Object) -> Step {
    let mut step = Step::nothing();
    if holds(job.value(), "Complete") || holds(job.value(), "Failed") {
        expire(world, job, &mut step);
        return step;
    }
    let progress = Progress::of(world, job);
    if flag(job.value(), &["spec", "suspend"]) {
        delete(&progress.active, &mut step);
        let mut status = progress.status(world, job, &[]);
        let conditions = map_mut(&mut status, &[]);
        conditions.remove("startTime");
        let now = world.clock.stamp();
        let mut suspended = Conditions::keeping(job.value(), &now);
        suspended.set_with("Suspended", Truth::Yes, "JobSuspended", "Job suspended", Some(Time::Probed));
        conditions.insert("conditions", suspended.into_value());
        step.set_status(Kind::Job, job, status, CONTROLLER_MANAGER);
        return step;
    }
    match progress.end(world, job, &mut step) {
        Some(End::Complete) => {
            delete(&progress.active, &mut step);
            let message = "Reached expected number of succeeded pods";
            let ends =
                [("SuccessCriteriaMet", "CompletionsReached", message), ("Complete", "CompletionsReached", message)];
            step.set_status(Kind::Job, job, progress.status(world, job, &ends), CONTROLLER_MANAGER);
        }
        Some(End::Failed { reason, message }) => {
            delete(&progress.active, &mut step);
            let ends = [("FailureTarget", reason, message), ("Failed", reason, message)];
            let mut status = progress.status(world, job, &ends);
            // The pods that go with it have failed too.
            let failed = progress.failed + i64::try_from(progress.active.len()).unwrap_or(i64::MAX);
            if failed > 0 {
                map_mut(&mut status, &[]).insert("failed", Value::from(failed));
            }
            step.set_status(Kind::Job, job, status, CONTROLLER_MANAGER);
        }
        None => {
            progress.fill(world, job, &mut step);
            step.set_status(Kind::Job, job, progress.status(world, job, &[]), CONTROLLER_MANAGER);
        }
    }
    step
}

impl<'w> Progress<'w> {
    fn of(world: &'w World, job: &Object) -> Self {
        let pods = world.controlled_by(job, Kind::Pod);
        let in_phase = |phase: &str| {
            let count = pods.iter().filter(|pod| text(pod.value(), &["status", "phase"]) == phase).count();
            i64::try_from(count).unwrap_or(i64::MAX)
        };
        let parallelism = int_or(job.value(), &["spec", "parallelism"], 1);
        Self {
            active: active(world, job),
            // Pods that were deleted after they ended still count.
            succeeded: in_phase("Succeeded").max(int(job.value(), &["status", "succeeded"])),
            failed: in_phase("Failed").max(int(job.value(), &["status", "failed"])),
            // Without a number, one success is enough.
            completions: int_or(job.value(), &["spec", "completions"], 1),
            parallelism,
        }
    }

    fn end(&self, world: &World, job: &Object, step: &mut Step) -> Option<End> {
        if self.succeeded >= self.completions {
            return Some(End::Complete);
        }
        let restarts: i64 = self.active.iter().map(|pod| restarts(pod)).sum();
        if self.failed + restarts > int_or(job.value(), &["spec", "backoffLimit"], 6) {
            let message = "Job has reached the specified backoff limit";
            return Some(End::Failed { reason: "BackoffLimitExceeded", message });
        }
        let seconds = job.value().lookup(&["spec", "activeDeadlineSeconds"]).and_then(Value::as_i64)?;
        let deadline = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        let lasted =
            world.clock.lasted_from(job.uid(), "job", text(job.value(), &["status", "startTime"]).parse().ok());
        if lasted < deadline {
            step.again(world.clock.really(deadline - lasted));
            return None;
        }
        let message = "Job was active longer than specified deadline";
        Some(End::Failed { reason: "DeadlineExceeded", message })
    }

    /// Makes pods up to the parallelism, and no more than are still needed.
    fn fill(&self, world: &World, job: &Object, step: &mut Step) {
        let running = i64::try_from(self.active.len()).unwrap_or(i64::MAX);
        let wanted = self.parallelism.min(self.completions - self.succeeded);
        let mut template = job.value().lookup(&["spec", "template"]).cloned().unwrap_or_else(Value::map);
        for (key, label) in [
            ("batch.kubernetes.io/controller-uid", job.uid()),
            ("batch.kubernetes.io/job-name", job.name()),
            ("controller-uid", job.uid()),
            ("job-name", job.name()),
        ] {
            set_label(&mut template, key, label);
        }
        let indexed = text(job.value(), &["spec", "completionMode"]) == "Indexed";
        let mut free = self.free_indices(world, job).into_iter();
        for _ in running..wanted {
            let mut template = template.clone();
            let mut prefix = format!("{}-", job.name());
            if indexed {
                let Some(index) = free.next() else { break };
                let annotations = map_mut(&mut template, &["metadata", "annotations"]);
                annotations.insert(INDEX, Value::from(index.to_string()));
                prefix = format!("{}-{index}-", job.name());
            }
            let object = pod_from_template(job, &template, &Naming::Prefix(&prefix));
            step.push(Action::Create { kind: Kind::Pod, object, manager: CONTROLLER_MANAGER });
        }
    }

    /// The indices that no pod has, or had with success.
    fn free_indices(&self, world: &World, job: &Object) -> Vec<i64> {
        let pods = world.controlled_by(job, Kind::Pod);
        let taken = |index: i64| {
            pods.iter().any(|pod| {
                let failed = text(pod.value(), &["status", "phase"]) == "Failed";
                !failed && pod.annotation(INDEX) == Some(index.to_string().as_str())
            })
        };
        (0..self.completions).filter(|index| !taken(*index)).collect()
    }

    /// The indices that some pod had with success, as ranges: `0,2-4`. Empty if pods have none.
    fn completed_indices(&self, world: &World, job: &Object) -> String {
        if text(job.value(), &["spec", "completionMode"]) != "Indexed" {
            return String::new();
        }
        let pods = world.controlled_by(job, Kind::Pod);
        let done = pods.iter().filter(|pod| text(pod.value(), &["status", "phase"]) == "Succeeded");
        let mut indices: BTreeSet<i64> = done.filter_map(|pod| pod.annotation(INDEX)?.parse().ok()).collect();
        // Pods that were deleted after they ended still count.
        indices.extend(ranges(text(job.value(), &["status", "completedIndexes"])));
        shown(&indices)
    }

    fn status(&self, world: &World, job: &Object, ends: &[(&str, &str, &str)]) -> Value {
        let now = world.clock.stamp();
        let over = !ends.is_empty();
        let ready = self.active.iter().filter(|pod| !over && is_ready(pod)).count();
        let mut status = json!({"uncountedTerminatedPods": {}, "ready": ready, "terminating": 0});
        for (key, number) in [
            ("active", if over { 0 } else { i64::try_from(self.active.len()).unwrap_or(i64::MAX) }),
            ("succeeded", self.succeeded),
            ("failed", self.failed),
        ] {
            if number > 0 {
                status[key] = number.into();
            }
        }
        let completed = self.completed_indices(world, job);
        if !completed.is_empty() {
            status["completedIndexes"] = completed.into();
        }
        let started = text(job.value(), &["status", "startTime"]);
        status["startTime"] = if started.is_empty() { now.as_str() } else { started }.into();
        let mut conditions = Conditions::keeping(job.value(), &now);
        if super::super::condition::find(job.value(), "Suspended").is_some() {
            conditions.set_with("Suspended", Truth::No, "JobResumed", "Job resumed", Some(Time::Probed));
        }
        for (kind, reason, message) in ends {
            conditions.set_with(kind, Truth::Yes, reason, message, Some(Time::Probed));
        }
        if ends.iter().any(|(kind, ..)| *kind == "Complete") {
            status["completionTime"] = now.as_str().into();
        }
        let mut status = value(&status);
        let conditions = conditions.into_value();
        if conditions.as_list().is_some_and(|list| !list.is_empty()) {
            map_mut(&mut status, &[]).insert("conditions", conditions);
        }
        status
    }
}

const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// Numbers as Jobs write them: `0,2-4`.
fn shown(numbers: &BTreeSet<i64>) -> String {
    let mut runs: Vec<(i64, i64)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => runs.push((*number, *number)),
        }
    }
    let run = |(first, last): (i64, i64)| match last - first {
        0 => first.to_string(),
        1 => format!("{first},{last}"),
        _ => format!("{first}-{last}"),
    };
    runs.into_iter().map(run).collect::<Vec<_>>().join(",")
}

/// The reverse of [`shown`].
fn ranges(text: &str) -> impl Iterator<Item = i64> {
    let runs = text.split(',').filter_map(|run| {
        let (first, last) = run.split_once('-').unwrap_or((run, run));
        Some(first.parse::<i64>().ok()?..=last.parse().ok()?)
    });
    runs.flatten()
}

fn restarts(pod: &Object) -> i64 {
    let statuses = super::super::fields::list(pod.value(), &["status", "containerStatuses"]);
    statuses.iter().map(|status| int(status, &["restartCount"])).sum()
}

fn delete(pods: &[&Object], step: &mut Step) {
    for pod in pods {
        step.push(Action::Delete { kind: Kind::Pod, object: (*pod).clone(), grace: None });
    }
}

/// Deletes a Job that has ended and whose time to live is over; the garbage collector takes its pods.
fn expire(world: &World, job: &Object, step: &mut Step) {
    let Some(seconds) = job.value().lookup(&["spec", "ttlSecondsAfterFinished"]).and_then(Value::as_i64) else {
        return;
    };
    let ttl = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    let ended = text(job.value(), &["status", "completionTime"]).parse().ok();
    let lasted = world.clock.lasted_from(job.uid(), "ended", ended);
    if lasted < ttl {
        step.again(world.clock.really(ttl - lasted));
    } else {
        step.push(Action::Delete { kind: Kind::Job, object: job.clone(), grace: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_ranges() {
        let text = "0,2-4,7,8";
        let numbers: BTreeSet<i64> = ranges(text).collect();
        assert_eq!(numbers, BTreeSet::from([0, 2, 3, 4, 7, 8]));
        assert_eq!(shown(&numbers), text);
        assert_eq!(shown(&BTreeSet::new()), "");
        assert_eq!(ranges("").count(), 0);
    }
}
