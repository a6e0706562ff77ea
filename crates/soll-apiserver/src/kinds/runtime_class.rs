//! Classes of pods by what runs them.

use soll_yaml::Value;

use super::amount;
use super::checks::{invalid, list, text};
use super::toleration;
use crate::names;
use crate::refusal::Cause;

/// What is wrong with a class.
pub(super) fn validate(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    causes.extend(invalid("handler", text(object, &["handler"]), names::label(text(object, &["handler"]))));
    if let Some(overhead) = object.lookup(&["overhead", "podFixed"]).and_then(Value::as_map) {
        for entry in overhead {
            let at = format!("overhead.limits[{}]", entry.key.as_str());
            causes.extend(amount::check_name_for_containers(&entry.key, &at));
            causes.extend(amount::check(&entry.key, &entry.value, &at));
        }
        let has = |is: fn(&str) -> bool| overhead.iter().any(|entry| is(&entry.key));
        if has(amount::is_huge_page) && !has(|name| matches!(name, "cpu" | "memory")) {
            causes.push(Cause::forbidden("overhead", "HugePages require cpu or memory"));
        }
    }
    if let Some(scheduling) = object.get("scheduling") {
        if let Some(selector) = scheduling.get("nodeSelector") {
            causes.extend(names::check_label_map("scheduling.nodeSelector", selector));
        }
        let tolerations = list(scheduling, &["tolerations"]);
        causes.extend(toleration::check(tolerations, "scheduling.tolerations"));
        causes.extend(toleration::check_unique(tolerations, "scheduling.tolerations"));
    }
    causes
}
