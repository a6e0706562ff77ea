//! CronJobs: schedules and time zones.

use soll_yaml::Value;

use super::checks::{at_least_zero, one_of};
use super::job;
use super::workload::validate_template;
use crate::refusal::Cause;
use crate::schedule::{self, Schedule};

const SCHEDULE: &str = "spec.schedule";
const ZONE: &str = "spec.timeZone";

/// What is wrong with a CronJob; `old` is what it was.
pub(super) fn validate(old: Option<&Value>, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let text = |field: &str| object.lookup_str(&["spec", field]).unwrap_or_default();
    let zone = object.lookup_str(&["spec", "timeZone"]);
    let schedule = text("schedule");
    if schedule.is_empty() {
        causes.push(Cause::required(SCHEDULE, ""));
    } else {
        let invalid = |why: &str| Cause::invalid(SCHEDULE, &format!("{schedule:?}"), why);
        let has_zone = schedule.contains("TZ");
        let had_zone = old.and_then(|old| old.lookup_str(&["spec", "schedule"])).is_some_and(|old| old.contains("TZ"));
        causes.extend(without_zone(schedule).parse::<Schedule>().err().map(|why| invalid(&why)));
        if has_zone && !had_zone {
            causes.push(invalid("cannot use TZ or CRON_TZ in schedule, use timeZone field instead"));
        } else if has_zone && zone.is_some() {
            causes.push(invalid("cannot use both timeZone field and TZ or CRON_TZ in schedule"));
        }
    }
    let before = old.and_then(|old| old.lookup_str(&["spec", "timeZone"]));
    if let Some(zone) = zone.filter(|zone| old.is_none() || before != Some(*zone)) {
        causes.extend(zone_mistake(zone).map(|why| Cause::invalid(ZONE, &format!("{zone:?}"), why)));
    }
    for field in ["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        causes.extend(at_least_zero(format!("spec.{field}"), object.lookup(&["spec", field])));
    }
    causes.extend(one_of("spec.concurrencyPolicy", text("concurrencyPolicy"), &["Allow", "Forbid", "Replace"]));
    let job = object.lookup(&["spec", "jobTemplate", "spec"]).cloned().unwrap_or_default();
    causes.extend(job::validate_spec(&job, "spec.jobTemplate.spec"));
    causes.extend(validate_template("cronjobs", &job, "spec.jobTemplate.spec"));
    causes
}

/// The schedule behind a zone such as `TZ=UTC `.
fn without_zone(schedule: &str) -> &str {
    let has_zone = schedule.starts_with("TZ=") || schedule.starts_with("CRON_TZ=");
    schedule.split_once(' ').filter(|_| has_zone).map_or(schedule, |(_, rest)| rest.trim())
}

/// Why a text is not the name of a time zone.
fn zone_mistake(zone: &str) -> Option<String> {
    if zone.is_empty() {
        return Some("timeZone must be nil or non-empty string".to_owned());
    }
    if zone.eq_ignore_ascii_case("local") {
        return Some("timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones".to_owned());
    }
    schedule::zone(zone).is_none().then(|| format!("unknown time zone {zone}"))
}
