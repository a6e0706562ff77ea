//! CronJobs: Jobs by the clock, which runs at simulated speed.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use soll_api::Object;
use soll_yaml::Value;

use super::super::action::{Action, CONTROLLER_MANAGER, Step};
use super::super::condition::{Said, holds};
use super::super::fields::{controller_reference, flag, int_or, map_mut, text, value};
use super::super::kind::Kind;
use super::super::world::World;
use super::schedule::Schedule;

/// Starts a Job when its time has come, and reports.
pub(super) fn step(world: &World, cron: &Object) -> Step {
    let mut step = Step::nothing();
    let jobs = world.controlled_by(cron, Kind::Job);
    let mut status = report(cron, &jobs);
    clean_up(cron, &jobs, &mut step);
    if !flag(cron.value(), &["spec", "suspend"])
        && let Some(due) = next(world, cron, &mut step)
    {
        let now = world.clock.time_of_day();
        if due > now {
            let wait = Duration::try_from(due.duration_since(now)).unwrap_or_default();
            step.again(world.clock.really(wait));
        } else if let Some(policy) = admits(cron, &jobs) {
            if policy == "Replace" {
                for job in jobs.iter().filter(|job| !is_over(job)) {
                    step.push(Action::Delete { kind: Kind::Job, object: (*job).clone(), grace: None });
                }
            }
            step.push(Action::Create { kind: Kind::Job, object: job(cron, due), manager: CONTROLLER_MANAGER });
            let stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            map_mut(&mut status, &[]).insert("lastScheduleTime", Value::from(stamp));
        }
    }
    step.set_status(Kind::CronJob, cron, status, CONTROLLER_MANAGER);
    step
}

/// When the next Job is due: the first time after the last one, or after the CronJob was first seen.
fn next(world: &World, cron: &Object, step: &mut Step) -> Option<Timestamp> {
    let schedule = match text(cron.value(), &["spec", "schedule"]).parse::<Schedule>() {
        Ok(schedule) => schedule,
        Err(mistake) => {
            let said = Said {
                component: "cronjob-controller",
                warning: true,
                reason: "UnparseableSchedule",
                message: &mistake,
            };
            step.say(world, cron, &said);
            return None;
        }
    };
    let seen = world.clock.lasted(cron.uid(), "cron", 0);
    let now = world.clock.time_of_day();
    let first_seen = now.checked_sub(seen).unwrap_or(now);
    let last = text(cron.value(), &["status", "lastScheduleTime"]).parse::<Timestamp>().ok();
    schedule.next_after(last.unwrap_or(first_seen))
}

/// The concurrency policy, unless it forbids a start now.
fn admits<'c>(cron: &'c Object, jobs: &[&Object]) -> Option<&'c str> {
    let policy = text(cron.value(), &["spec", "concurrencyPolicy"]);
    let forbidden = policy == "Forbid" && jobs.iter().any(|job| !is_over(job));
    (!forbidden).then_some(policy)
}

fn job(cron: &Object, due: Timestamp) -> Object {
    let template = |path: &[&str]| cron.value().lookup(path).cloned().unwrap_or_else(Value::map);
    let mut job = value(&json!({
        "apiVersion": Kind::Job.api_version(),
        "kind": Kind::Job.name(),
        // One name for one time: whoever tries twice makes one Job.
        "metadata": {"name": format!("{}-{}", cron.name(), due.as_second() / 60), "namespace": cron.namespace()},
    }));
    let metadata = map_mut(&mut job, &["metadata"]);
    metadata.insert("ownerReferences", Value::list(vec![controller_reference(cron)]));
    metadata.insert("labels", template(&["spec", "jobTemplate", "metadata", "labels"]));
    metadata.insert("annotations", template(&["spec", "jobTemplate", "metadata", "annotations"]));
    map_mut(&mut job, &[]).insert("spec", template(&["spec", "jobTemplate", "spec"]));
    Object::new(job).expect("it has a kind and a name")
}

fn is_over(job: &Object) -> bool {
    holds(job.value(), "Complete") || holds(job.value(), "Failed")
}

fn report(cron: &Object, jobs: &[&Object]) -> Value {
    let mut status = value(&json!({}));
    let fields = status.make_map();
    let active: Vec<_> = jobs.iter().filter(|job| !is_over(job)).map(|job| reference(job)).collect();
    if !active.is_empty() {
        fields.insert("active", Value::list(active));
    }
    if let Some(last) = cron.value().lookup(&["status", "lastScheduleTime"]) {
        fields.insert("lastScheduleTime", last.clone());
    }
    let succeeded = jobs.iter().filter_map(|job| job.value().lookup(&["status", "completionTime"]));
    if let Some(last) = succeeded.max_by_key(|time| time.as_str().unwrap_or_default().to_owned()) {
        fields.insert("lastSuccessfulTime", last.clone());
    }
    status
}

fn reference(job: &Object) -> Value {
    value(&json!({
        "apiVersion": job.api_version(),
        "kind": job.kind(),
        "namespace": job.namespace(),
        "name": job.name(),
        "uid": job.uid(),
        "resourceVersion": job.resource_version(),
    }))
}

/// Deletes the Jobs past the history limits, oldest first.
fn clean_up(cron: &Object, jobs: &[&Object], step: &mut Step) {
    for (condition, field, default) in
        [("Complete", "successfulJobsHistoryLimit", 3), ("Failed", "failedJobsHistoryLimit", 1)]
    {
        let limit = usize::try_from(int_or(cron.value(), &["spec", field], default)).unwrap_or(0);
        let mut ended: Vec<_> = jobs.iter().filter(|job| holds(job.value(), condition)).collect();
        ended.sort_by_key(|job| text(job.value(), &["metadata", "creationTimestamp"]).to_owned());
        for job in ended.iter().take(ended.len().saturating_sub(limit)) {
            step.push(Action::Delete { kind: Kind::Job, object: (**job).clone(), grace: None });
        }
    }
}
