//! Comparing what is applied as a whole: an atomic list, map or struct, with all that lies below it.
//!
//! Whoever applies it owns each key in it, so that a key which is live and not desired is to go, unless the API server
//! would fill it in again.

use soll_schema::{Shape, TypeRef};
use soll_yaml::{Data, Value, parse_json};

use crate::comparison::same_scalar;

/// What the API server fills into parts of atomic nodes whatever else they hold: type, field, value as JSON. The schema
/// names none of these. What it fills in under a condition is left to a dry run.
const DEFAULTS: [(&str, &str, &str); 15] = [
    ("admissionregistration.v1.NamedRuleWithOperations", "scope", r#""*""#),
    ("admissionregistration.v1.RuleWithOperations", "scope", r#""*""#),
    ("batch.v1.PodFailurePolicyOnPodConditionsPattern", "status", r#""True""#),
    ("core.v1.EndpointPort", "protocol", r#""TCP""#),
    ("core.v1.ObjectFieldSelector", "apiVersion", r#""v1""#),
    ("core.v1.PersistentVolumeClaim", "apiVersion", r#""v1""#),
    ("core.v1.PersistentVolumeClaim", "kind", r#""PersistentVolumeClaim""#),
    ("core.v1.PersistentVolumeClaimSpec", "volumeMode", r#""Filesystem""#),
    ("core.v1.PersistentVolumeClaimStatus", "phase", r#""Pending""#),
    ("core.v1.ResourceFieldSelector", "divisor", r#""0""#),
    ("core.v1.ServiceAccountTokenProjection", "expirationSeconds", "3600"),
    ("discovery.v1.EndpointPort", "protocol", r#""TCP""#),
    ("networking.v1.NetworkPolicyPort", "protocol", r#""TCP""#),
    ("rbac.v1.RoleRef", "apiGroup", r#""rbac.authorization.k8s.io""#),
    // For users and groups; for anything else it is refused.
    ("rbac.v1.Subject", "apiGroup", r#""rbac.authorization.k8s.io""#),
];

/// Leaves of which Go leaves the zero out, as far as people write it. Of all others it may be a pointer, where zero is
/// not the same as nothing.
const WITHOUT_ZERO: [(&str, &str); 8] = [
    ("core.v1.Toleration", "effect"),
    ("core.v1.Toleration", "key"),
    ("core.v1.Toleration", "operator"),
    ("core.v1.Toleration", "value"),
    ("networking.v1.IngressRule", "host"),
    ("networking.v1.IngressTLS", "secretName"),
    ("rbac.v1.Subject", "apiGroup"),
    ("rbac.v1.Subject", "namespace"),
];

/// Says whether applying the desired value as a whole would certainly leave the live one as it is.
pub(crate) fn same(desired: &Value, live: &Value, r#type: Option<TypeRef<'_>>) -> bool {
    match (&desired.data, &live.data) {
        (Data::Map(desired), Data::Map(live)) => {
            desired.iter().all(|entry| match live.get(&entry.key) {
                Some(live) => same(&entry.value, live, r#type.and_then(|r#type| r#type.field(&entry.key))),
                None => is_left_out(r#type, &entry.key, &entry.value),
            }) && live
                .iter()
                .all(|entry| desired.get(&entry.key).is_some() || is_filled_in(r#type, &entry.key, &entry.value))
        }
        (Data::List(desired), Data::List(live)) => {
            let items = r#type.and_then(|r#type| r#type.items());
            desired.len() == live.len()
                && desired.iter().zip(live.iter()).all(|(desired, live)| same(desired, live, items))
        }
        _ => same_scalar(desired, live, r#type.and_then(|r#type| r#type.scalar())),
    }
}

/// Says whether a desired value is one that the API server leaves out.
fn is_left_out(of: Option<TypeRef<'_>>, key: &str, desired: &Value) -> bool {
    let Some(field) = of.and_then(|of| of.struct_field(key)) else { return false };
    let of = of.and_then(|of| name(&of)).unwrap_or_default();
    match &desired.data {
        Data::Null => field.of.shape() != Shape::Any,
        Data::List(items) => items.is_empty() && field.of.shape() == Shape::List,
        Data::Str(text) => text.is_empty() && WITHOUT_ZERO.contains(&(of, key)),
        // An empty struct may be a choice.
        Data::Map(_) | Data::Bool(_) | Data::Int(_) | Data::Float(_) => false,
    }
}

/// Says whether the API server fills in this value where none is applied.
fn is_filled_in(of: Option<TypeRef<'_>>, key: &str, live: &Value) -> bool {
    let Some(of) = of.filter(|of| of.definition().is_some()) else { return false };
    let Some(field) = of.struct_field(key) else { return false };
    let is = |default: &str| {
        let default = parse_json(default.as_bytes());
        default.is_ok_and(|default| same_scalar(&default, live, field.of.scalar()))
    };
    let listed = DEFAULTS.iter().find(|(r#type, field, _)| Some(*r#type) == name(&of) && *field == key);
    if field.default.is_some_and(is) || listed.is_some_and(|(_, _, default)| is(default)) {
        return true;
    }
    match &live.data {
        Data::Null => field.of.shape() != Shape::Any,
        Data::Map(map) if field.emitted => {
            map.iter().all(|entry| is_filled_in(Some(field.of), &entry.key, &entry.value))
        }
        Data::Bool(_) | Data::Int(_) | Data::Str(_) if field.emitted => is_zero(live),
        Data::Map(_) | Data::List(_) | Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Str(_) => false,
    }
}

/// The name of a type of Kubernetes without what all have before it.
fn name(of: &TypeRef<'_>) -> Option<&'static str> {
    of.definition()?.strip_prefix("io.k8s.api.")
}

/// Says whether a value is what Go takes for nothing.
pub(crate) fn is_zero(value: &Value) -> bool {
    match &value.data {
        Data::Bool(value) => !value,
        Data::Int(value) => *value == 0,
        Data::Float(value) => *value == 0.0,
        Data::Str(text) => text.is_empty(),
        Data::Null | Data::List(_) | Data::Map(_) => is_empty(value),
    }
}

/// Says whether there is nothing in a value.
pub(crate) fn is_empty(value: &Value) -> bool {
    match &value.data {
        Data::Map(map) => map.is_empty(),
        Data::List(items) => items.is_empty(),
        Data::Null => true,
        Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Str(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use soll_schema::Schemas;

    fn check(definition: &str, desired: &str, live: &str, expected: bool) {
        let value = |text: &str| parse_json(text.replace('\'', "\"").as_bytes()).expect("JSON");
        let r#type = Schemas::builtin().definition(&format!("io.k8s.api.{definition}"));
        assert!(r#type.is_some(), "{definition}");
        assert_eq!(same(&value(desired), &value(live), r#type), expected, "{desired} {live}");
        let is_equal = value(desired) == value(live);
        assert_eq!(same(&value(desired), &value(live), None), is_equal, "without a type: {desired} {live}");
    }

    #[test]
    fn all_that_is_listed_is_there() {
        for (definition, field, default) in DEFAULTS {
            let r#type = Schemas::builtin().definition(&format!("io.k8s.api.{definition}")).expect(definition);
            assert!(r#type.struct_field(field).is_some(), "{definition} {field}");
            assert!(parse_json(default.as_bytes()).is_ok(), "{default}");
        }
        for (definition, field) in WITHOUT_ZERO {
            let r#type = Schemas::builtin().definition(&format!("io.k8s.api.{definition}")).expect(definition);
            assert!(r#type.struct_field(field).is_some(), "{definition} {field}");
        }
    }

    #[test]
    fn what_is_live_and_not_desired_is_to_go_unless_it_is_a_default() {
        let rule = "networking.v1.NetworkPolicyIngressRule";
        check(rule, "{'ports': [{'port': 80}]}", "{'ports': [{'port': 80, 'protocol': 'TCP'}]}", true);
        check(rule, "{'ports': [{'port': 80}]}", "{'ports': [{'port': 80, 'protocol': 'UDP'}]}", false);
        check(rule, "{'from': []}", "{'from': [], 'ports': [{'port': 80, 'protocol': 'TCP'}]}", false);
        check(rule, "{'from': [{}]}", "{'from': [{'podSelector': {}}]}", false);
        check(rule, "{'ports': [{}, {}]}", "{'ports': [{}]}", false);
        let claim = "core.v1.PersistentVolumeClaim";
        let filled = "{'apiVersion': 'v1', 'kind': 'PersistentVolumeClaim', 'metadata': {'name': 'a', 'creationTimestamp': null},
            'spec': {'volumeMode': 'Filesystem', 'resources': {}}, 'status': {'phase': 'Pending'}}";
        check(claim, "{'metadata': {'name': 'a'}, 'spec': {}}", filled, true);
        check(claim, "{'metadata': {'name': 'a'}, 'spec': {}}", &filled.replace("Pending", "Bound"), false);
        check(claim, "{'metadata': {}, 'spec': {}}", filled, false);
        let divided = "{'resource': 'limits.cpu', 'divisor': '0'}";
        check("core.v1.ResourceFieldSelector", "{'resource': 'limits.cpu'}", divided, true);
    }

    #[test]
    fn what_is_desired_and_not_live_is_to_come_unless_go_leaves_it_out() {
        check("rbac.v1.PolicyRule", "{'verbs': ['get'], 'resourceNames': []}", "{'verbs': ['get']}", true);
        check("rbac.v1.PolicyRule", "{'verbs': ['get'], 'resourceNames': null}", "{'verbs': ['get']}", true);
        check("rbac.v1.Subject", "{'name': 'a', 'apiGroup': ''}", "{'name': 'a'}", true);
        check("core.v1.SecretKeySelector", "{'key': 'a', 'optional': false}", "{'key': 'a'}", false);
        check("core.v1.PersistentVolumeClaimSpec", "{'storageClassName': ''}", "{}", false);
        check("networking.v1.NetworkPolicyPeer", "{'podSelector': {}}", "{}", false);
    }
}
