//! Amounts of what can be asked for and counted: how it is called, and how much there may be.

use soll_yaml::Value;

use super::checks::quoted;
use crate::names;
use crate::refusal::Cause;
use crate::shape::quantity;

/// Of these a container has some.
const OF_CONTAINERS: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
/// Of these a namespace has some.
const OF_QUOTAS: [&str; 9] = [
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "cpu",
    "memory",
];
/// Of these there are whole ones.
const COUNTED: [&str; 9] = [
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];

/// What is wrong with a name of something that containers, or pods, have.
pub(super) fn check_name_for_containers(name: &str, at: &str) -> Vec<Cause> {
    let mut causes = check_name(name, at);
    let why = if !name.contains('/') {
        let is_known = OF_CONTAINERS.contains(&name) || is_huge_page(name);
        (!is_known).then_some("must be a standard resource for containers")
    } else {
        (!is_native(name) && !is_extended(name)).then_some("doesn't follow extended resource name standard")
    };
    causes.extend(why.map(|why| Cause::invalid(at, &quoted(name), why)));
    causes
}

/// What is wrong with a name of something that namespaces have.
pub(super) fn check_name_for_quotas(name: &str, at: &str) -> Vec<Cause> {
    let mut causes = check_name(name, at);
    if !name.contains('/') && !is_in_quotas(name) {
        causes.push(Cause::invalid(at, &quoted(name), "must be a standard resource for quota"));
    }
    causes
}

/// What is wrong with a name of anything.
pub(super) fn check_name(name: &str, at: &str) -> Vec<Cause> {
    let causes: Vec<Cause> = names::label_key_causes(at, name).collect();
    if causes.is_empty() && !name.contains('/') && !is_in_quotas(name) && name != "storage" {
        return vec![Cause::invalid(at, &quoted(name), "must be a standard resource type or fully qualified")];
    }
    causes
}

/// What is wrong with an amount of something.
pub(super) fn check(name: &str, amount: &Value, at: &str) -> Vec<Cause> {
    const MILLI: i128 = 1_000_000;
    let (nanos, shown) = (nanos(amount), crate::refusal::shown(amount));
    let mut causes = Vec::new();
    if nanos < 0 {
        causes.push(Cause::invalid(at, &shown, "must be greater than or equal to 0"));
    }
    let thousandths = (nanos + MILLI - 1).div_euclid(MILLI);
    if (COUNTED.contains(&name) || is_extended(name)) && thousandths % 1_000 != 0 {
        causes.push(Cause::invalid(at, &shown, "must be an integer"));
    }
    causes
}

/// How much an amount is, in billionths.
pub(super) fn nanos(amount: &Value) -> i128 {
    amount.as_str().and_then(quantity::nanos).unwrap_or(0)
}

/// Says whether something is counted in namespaces without a domain in its name.
pub(super) fn is_in_quotas(name: &str) -> bool {
    OF_QUOTAS.contains(&name)
        || COUNTED.contains(&name)
        || name == "ephemeral-storage"
        || is_huge_page(name)
        || name.starts_with("requests.hugepages-")
}

/// Says whether more of something may be promised than there is.
pub(super) fn may_be_overcommitted(name: &str) -> bool {
    is_native(name) && !is_huge_page(name)
}

pub(super) fn is_huge_page(name: &str) -> bool {
    name.starts_with("hugepages-")
}

fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

/// Something that is not Kubernetes' own, as devices are.
fn is_extended(name: &str) -> bool {
    let of_quota = || names::check_label_key(&format!("requests.{name}")).is_ok();
    !is_native(name) && !name.starts_with("requests.") && of_quota()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_without_a_domain_are_known() {
        let is_right = |check: fn(&str, &str) -> Vec<Cause>, name: &str| check(name, "a").is_empty();
        for name in ["cpu", "hugepages-2Mi", "example.org/device"] {
            assert!(is_right(check_name_for_containers, name), "{name}");
        }
        for name in ["pods", "device", "requests.example.org/device"] {
            assert!(!is_right(check_name_for_containers, name), "{name}");
        }
        for name in ["pods", "requests.hugepages-2Mi", "count/deployments.apps", "requests.example.org/device"] {
            assert!(is_right(check_name_for_quotas, name), "{name}");
        }
        assert!(!is_right(check_name_for_quotas, "storage"));
    }

    #[test]
    fn devices_are_whole() {
        let mistakes = |name: &str, amount: &str| check(name, &Value::str(amount), "a").len();
        assert_eq!(mistakes("cpu", "500m"), 0);
        assert_eq!(mistakes("example.org/device", "500m"), 1);
        assert_eq!(mistakes("pods", "-500m"), 2);
        assert_eq!(mistakes("pods", "3"), 0);
    }
}
