//! CronJobs: Jobs by the clock, which runs at simulated speed.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde_json::json;
use soll_api::Object;
use soll_yaml::Value;

use super::super::action::{Action, CONTROLLER_MANAGER, Step};
use super::super::condition::{Said, holds};
use super::super::fields::{controller_reference, flag, int_or, list, map_mut, text, value};
use super::super::kind::Kind;
use super::super::world::World;
use crate::schedule::{Schedule, zone};

/// The annotation of a Job that the clock has started.
const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/// As many times may pass without a Job before it is said that they are many.
const MOST_MISSED: i64 = 100;

/// Starts a Job when its time has come, and reports.
pub(super) fn step(world: &World, cron: &Object) -> Step {
    let mut step = Step::nothing();
    let jobs = world.controlled_by(cron, Kind::Job);
    let active: Vec<&Object> =
        jobs.iter().copied().filter(|job| is_ours(job) && !is_over(job) && !world.is_leaving(job)).collect();
    let mut status = report(cron, &jobs, &active);
    clean_up(world, cron, &jobs, &mut step);
    for job in jobs.iter().filter(|job| is_over(job) && was_active(cron, job)) {
        let condition = if holds(job.value(), "Complete") { "Complete" } else { "Failed" };
        let message = format!("Saw completed job: {}, condition: {condition}", job.name());
        say(&mut step, world, cron, "SawCompletedJob", &message);
    }
    for known in list(cron.value(), &["status", "active"]).iter().filter(|_| world.knows(Kind::Job)) {
        if !jobs.iter().any(|job| job.uid() == text(known, &["uid"])) {
            say(&mut step, world, cron, "MissingJob", &format!("Active job went missing: {}", text(known, &["name"])));
        }
    }
    if !flag(cron.value(), &["spec", "suspend"])
        && let Some(due) = due(world, cron, &mut step)
        && start(world, cron, &active, &due, &mut step)
    {
        let fields = map_mut(&mut status, &[]);
        fields.insert("lastScheduleTime", Value::from(stamp(due.timestamp())));
        if replaces(cron) {
            fields.remove("active");
        }
    }
    step.set_status(Kind::CronJob, cron, status, CONTROLLER_MANAGER);
    step
}

fn say(step: &mut Step, world: &World, cron: &Object, reason: &'static str, message: &str) {
    let warning = matches!(reason, "TooManyMissedTimes" | "UnparseableSchedule" | "UnknownTimeZone");
    step.say(world, cron, &Said { component: "cronjob-controller", warning, reason, message });
}

/// The time that a Job is missing for, if there is one, in the zone of the schedule. The step is taken again when the next one has
/// come.
fn due(world: &World, cron: &Object, step: &mut Step) -> Option<Zoned> {
    let schedule = match text(cron.value(), &["spec", "schedule"]).parse::<Schedule>() {
        Ok(schedule) => schedule,
        Err(mistake) => {
            let message = format!("unparseable schedule: {:?} : {mistake}", text(cron.value(), &["spec", "schedule"]));
            say(step, world, cron, "UnparseableSchedule", &message);
            return None;
        }
    };
    let zone = match text(cron.value(), &["spec", "timeZone"]) {
        "" => TimeZone::UTC,
        name => {
            let Some(zone) = zone(name) else {
                say(
                    step,
                    world,
                    cron,
                    "UnknownTimeZone",
                    &format!("invalid timeZone: {name:?}: unknown time zone {name}"),
                );
                return None;
            };
            zone
        }
    };
    let now = world.clock.time_of_day();
    if let Some(next) = schedule.next_after(now, &zone) {
        let pause = Duration::try_from(next.duration_since(now)).unwrap_or_default();
        step.again(world.clock.really(pause));
    }
    let first_seen = now.checked_sub(world.clock.lasted(cron.uid(), "cron", 0)).unwrap_or(now);
    let last = text(cron.value(), &["status", "lastScheduleTime"]).parse::<Timestamp>().ok();
    // The simulated clock is set back by a restart.
    let mut since = last.filter(|last| *last <= now).unwrap_or(first_seen);
    let deadline = cron.value().lookup(&["spec", "startingDeadlineSeconds"]).and_then(Value::as_i64);
    let earliest = deadline.and_then(|seconds| now.checked_sub(Duration::from_secs(u64::try_from(seconds).ok()?)).ok());
    if let Some(earliest) = earliest {
        since = since.max(earliest);
    }
    let due = schedule.latest(since, now, &zone)?;
    if schedule.times_between(since, now, &zone) > MOST_MISSED {
        let message = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
        say(step, world, cron, "TooManyMissedTimes", message);
    }
    Some(due.to_zoned(zone))
}

fn stamp(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn replaces(cron: &Object) -> bool {
    text(cron.value(), &["spec", "concurrencyPolicy"]) == "Replace"
}

/// Starts the Job for a time, as far as those that still run allow it. Says whether there is a Job for the time.
fn start(world: &World, cron: &Object, active: &[&Object], due: &Zoned, step: &mut Step) -> bool {
    let job = job(cron, due);
    if active.iter().any(|running| running.name() == job.name()) {
        return false;
    }
    if text(cron.value(), &["spec", "concurrencyPolicy"]) == "Forbid" && !active.is_empty() {
        let message = "Not starting job because prior execution is running and concurrency policy is Forbid";
        say(step, world, cron, "JobAlreadyActive", message);
        return false;
    }
    if replaces(cron) {
        active.iter().for_each(|running| delete(world, cron, running, step));
    }
    // Several times may lie within the minute that a Job is named by.
    if world.find(Kind::Job, job.namespace(), job.name()).is_none() {
        say(step, world, cron, "SuccessfulCreate", &format!("Created job {}", job.name()));
        step.push(Action::Create { kind: Kind::Job, object: job, manager: CONTROLLER_MANAGER });
    }
    true
}

fn delete(world: &World, cron: &Object, job: &Object, step: &mut Step) {
    say(step, world, cron, "SuccessfulDelete", &format!("Deleted job {}", job.name()));
    step.push(Action::Delete { kind: Kind::Job, object: job.clone(), grace: None });
}

fn job(cron: &Object, due: &Zoned) -> Object {
    let template = |path: &[&str]| cron.value().lookup(path).cloned().unwrap_or_else(Value::map);
    let mut job = value(&json!({
        "apiVersion": Kind::Job.api_version(),
        "kind": Kind::Job.name(),
        // One name for one time: whoever tries twice makes one Job.
        "metadata": {"name": format!("{}-{}", cron.name(), due.timestamp().as_second() / 60), "namespace": cron.namespace()},
    }));
    let metadata = map_mut(&mut job, &["metadata"]);
    metadata.insert("ownerReferences", Value::list(vec![controller_reference(cron)]));
    metadata.insert("labels", template(&["spec", "jobTemplate", "metadata", "labels"]));
    let mut annotations = template(&["spec", "jobTemplate", "metadata", "annotations"]);
    // No offset is written as Z, in whatever zone.
    let scheduled = match due.offset().seconds() {
        0 => stamp(due.timestamp()),
        _ => due.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
    };
    annotations.make_map().insert(SCHEDULED, Value::from(scheduled));
    metadata.insert("annotations", annotations);
    map_mut(&mut job, &[]).insert("spec", template(&["spec", "jobTemplate", "spec"]));
    Object::new(job).expect("it has a kind and a name")
}

fn is_over(job: &Object) -> bool {
    holds(job.value(), "Complete") || holds(job.value(), "Failed")
}

/// Whether the clock has started a Job, and not somebody who made it from the template.
fn is_ours(job: &Object) -> bool {
    job.annotation(SCHEDULED).is_some()
}

fn was_active(cron: &Object, job: &Object) -> bool {
    list(cron.value(), &["status", "active"]).iter().any(|known| text(known, &["uid"]) == job.uid())
}

fn report(cron: &Object, jobs: &[&Object], active: &[&Object]) -> Value {
    let mut status = value(&json!({}));
    let fields = status.make_map();
    if !active.is_empty() {
        let known = list(cron.value(), &["status", "active"]);
        let place = |job: &&Object| known.iter().position(|known| text(known, &["uid"]) == job.uid());
        let mut active = active.to_vec();
        active.sort_by_key(|job| place(job).unwrap_or(known.len()));
        // A reference stays as it was when the Job was started.
        let reference = |job: &&Object| place(job).map_or_else(|| reference(job), |place| known[place].clone());
        fields.insert("active", Value::list(active.iter().map(reference).collect()));
    }
    if let Some(last) = cron.value().lookup(&["status", "lastScheduleTime"]) {
        fields.insert("lastScheduleTime", last.clone());
    }
    let known = cron.value().lookup(&["status", "lastSuccessfulTime"]);
    let complete = jobs.iter().filter(|job| holds(job.value(), "Complete"));
    let succeeded = complete.filter_map(|job| job.value().lookup(&["status", "completionTime"])).chain(known);
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
fn clean_up(world: &World, cron: &Object, jobs: &[&Object], step: &mut Step) {
    for (condition, field, default) in
        [("Complete", "successfulJobsHistoryLimit", 3), ("Failed", "failedJobsHistoryLimit", 1)]
    {
        let limit = usize::try_from(int_or(cron.value(), &["spec", field], default)).unwrap_or(0);
        let mut ended: Vec<&Object> =
            jobs.iter().copied().filter(|job| holds(job.value(), condition) && !world.is_leaving(job)).collect();
        ended.sort_by_key(|job| (text(job.value(), &["status", "startTime"]).to_owned(), job.name().to_owned()));
        for job in ended.iter().take(ended.len().saturating_sub(limit)) {
            delete(world, cron, job, step);
        }
    }
}
