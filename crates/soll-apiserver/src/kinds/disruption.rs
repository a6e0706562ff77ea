//! Budgets for disruptions: how many pods may be away at once.

use soll_yaml::Value;

use super::checks::{amount_or_share, label_selector, one_of};
use crate::refusal::{Cause, shown};

pub(super) fn validate(object: &Value) -> Vec<Cause> {
    let field = |name: &str| object.lookup(&["spec", name]);
    let (least, most) = (field("minAvailable"), field("maxUnavailable"));
    let mut causes = Vec::new();
    if least.is_some() && most.is_some() {
        let spec = object.get("spec").map(shown).unwrap_or_default();
        causes.push(Cause::invalid("spec", &spec, "minAvailable and maxUnavailable cannot be both set"));
    }
    causes.extend(least.and_then(|least| amount_or_share("spec.minAvailable", least, 100)));
    causes.extend(most.and_then(|most| amount_or_share("spec.maxUnavailable", most, 100)));
    causes.extend(field("selector").into_iter().flat_map(|selector| label_selector("spec.selector", selector)));
    let policy = field("unhealthyPodEvictionPolicy").and_then(Value::as_str);
    let known = ["AlwaysAllow", "IfHealthyBudget"];
    causes.extend(policy.and_then(|policy| one_of("spec.unhealthyPodEvictionPolicy", policy, &known)));
    causes
}
