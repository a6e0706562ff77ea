//! Label selectors.

use soll_yaml::Value;

use super::fields::{list, text};

/// Whether a `LabelSelector` selects these labels. One that says nothing selects everything.
pub(super) fn selects(selector: &Value, labels: Option<&Value>) -> bool {
    let label = |key: &str| labels.and_then(|labels| labels.lookup_str(&[key]));
    let equal = selector.get("matchLabels").is_none_or(|wanted| contains(wanted, labels));
    let expressions = list(selector, &["matchExpressions"]).iter().all(|expression| {
        let held = label(text(expression, &["key"]));
        let named = |held: &str| list(expression, &["values"]).iter().any(|value| value.as_str() == Some(held));
        match text(expression, &["operator"]) {
            "In" => held.is_some_and(named),
            "NotIn" => !held.is_some_and(named),
            "Exists" => held.is_some(),
            "DoesNotExist" => held.is_none(),
            _ => false,
        }
    });
    equal && expressions
}

/// Whether the labels have all pairs of a map.
pub(super) fn contains(wanted: &Value, labels: Option<&Value>) -> bool {
    let Some(wanted) = wanted.as_map() else { return true };
    wanted.iter().all(|entry| labels.and_then(|labels| labels.get(&entry.key)) == Some(&entry.value))
}

#[cfg(test)]
mod tests {
    use super::super::fields::value;
    use super::*;
    use serde_json::json;

    fn check(selector: &serde_json::Value, labels: &serde_json::Value) -> bool {
        selects(&value(selector), Some(&value(labels)))
    }

    #[test]
    fn all_parts_of_a_selector_must_hold() {
        let selector = json!({"matchLabels": {"app": "a"}, "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["web", "api"]},
            {"key": "canary", "operator": "DoesNotExist"}]});
        assert!(check(&selector, &json!({"app": "a", "tier": "api"})));
        assert!(!check(&selector, &json!({"app": "a", "tier": "db"})));
        assert!(!check(&selector, &json!({"app": "a", "tier": "api", "canary": ""})));
        assert!(!check(&selector, &json!({"tier": "api"})));
        assert!(check(&json!({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]}), &json!({})));
    }
}
