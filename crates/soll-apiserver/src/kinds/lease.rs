//! Leases: who holds something, and for how long.

use soll_yaml::Value;

use super::checks::at_least_zero;
use crate::refusal::Cause;

pub(super) fn validate(object: &Value) -> Vec<Cause> {
    let number = |field: &str| object.lookup(&["spec", field]);
    let duration = number("leaseDurationSeconds").and_then(Value::as_i64).filter(|duration| *duration <= 0);
    let short =
        |duration: i64| Cause::invalid("spec.leaseDurationSeconds", &duration.to_string(), "must be greater than 0");
    let transitions = at_least_zero("spec.leaseTransitions", number("leaseTransitions"));
    duration.map(short).into_iter().chain(transitions).collect()
}
