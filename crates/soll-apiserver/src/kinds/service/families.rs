//! The families of addresses that a service has: a cluster has IPv4 only, but who has no address may speak of both.

use soll_yaml::Value;

use super::validate::{is_v6, validate_addresses};
use super::{is_external_name, set_texts, shown, spec_of, text, texts};
use crate::refusal::Cause;

const V4: &str = "IPv4";
const V6: &str = "IPv6";
const SINGLE: &str = "SingleStack";
const PREFER: &str = "PreferDualStack";
const REQUIRE: &str = "RequireDualStack";

/// Whether a service that would like both families is as it was: it does not change with the cluster.
pub(super) fn stay(old: Option<&Value>, object: &Value) -> bool {
    let Some(old) = old else { return false };
    let prefers = |service: &Value, or: &str| [PREFER, or].contains(&text(service, "ipFamilyPolicy"));
    let same = |field: &str| old.lookup(&["spec", field]) == object.lookup(&["spec", field]);
    !is_external_name(object)
        && prefers(object, PREFER)
        && prefers(old, "")
        && ["type", "clusterIP", "clusterIPs", "ipFamilies"].into_iter().all(same)
}

/// Fills in policy and families, from what the service was and from the addresses it asks for.
pub(super) fn settle(old: Option<&Value>, object: &mut Value) -> Result<(), Vec<Cause>> {
    if is_external_name(object) {
        return Ok(());
    }
    let selects = object.lookup(&["spec", "selector"]).and_then(Value::as_map).is_some_and(|map| !map.is_empty());
    // Whoever fills in the endpoints of a service without addresses and selector knows what families they are of.
    let is_anything = text(object, "clusterIP") == "None" && !selects;
    if text(object, "ipFamilyPolicy").is_empty() {
        let before = old.map(|old| text(old, "ipFamilyPolicy")).filter(|policy| !policy.is_empty());
        let policy = before.unwrap_or(if is_anything { REQUIRE } else { SINGLE });
        spec_of(object).insert("ipFamilyPolicy", Value::str(policy));
    }
    let refuse_if = |causes: Vec<Cause>| if causes.is_empty() { Ok(()) } else { Err(causes) };
    refuse_if(validate_addresses(old, object))?;
    let policy = text(object, "ipFamilyPolicy").to_owned();
    let mut causes = old.map(|old| shrink(old, object, &policy)).unwrap_or_default();
    let policy_cause = |why: &str| Cause::invalid("spec.ipFamilyPolicy", &format!("{policy:?}"), why);
    if policy == SINGLE {
        for (field, what) in [("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")] {
            if texts(object, field).len() == 2 {
                let why = format!("must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified");
                causes.push(policy_cause(&why));
            }
        }
    }
    let known = texts(object, "ipFamilies").len();
    for (index, ip) in texts(object, "clusterIPs").iter().enumerate().take_while(|(_, ip)| **ip != "None") {
        if index >= known && is_v6(ip) {
            let field = format!("spec.clusterIPs[{index}]");
            let why = "IPv6 is not configured on this cluster";
            causes.push(Cause::invalid(field, &shown(&texts(object, "clusterIPs")), why));
        }
    }
    refuse_if(std::mem::take(&mut causes))?;

    if is_anything {
        let first = texts(object, "ipFamilies").first().map_or(V4, |family| if *family == V6 { V6 } else { V4 });
        let is_dual = policy != SINGLE || texts(object, "ipFamilies").len() > 1;
        let other = if first == V4 { V6 } else { V4 };
        set_texts(object, "ipFamilies", [first, other].into_iter().take(if is_dual { 2 } else { 1 }));
        return Ok(());
    }
    if policy == REQUIRE {
        causes.push(policy_cause("this cluster is not configured for dual-stack services"));
    }
    for (index, family) in texts(object, "ipFamilies").into_iter().enumerate().filter(|(_, family)| *family != V4) {
        let field = format!("spec.ipFamilies[{index}]");
        causes.push(Cause::invalid(field, &format!("{family:?}"), "not configured on this cluster"));
    }
    refuse_if(causes)?;
    set_texts(object, "ipFamilies", [V4]);
    Ok(())
}

/// Takes the second address and family away if one is wanted, and says what is wrong if they are fewer and it is not.
fn shrink(old: &Value, object: &mut Value, policy: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (field, what) in [("clusterIPs", "cluster IP"), ("ipFamilies", "IP family")] {
        let (before, after) = (texts(old, field), texts(object, field));
        if policy == SINGLE {
            if before == after && after.len() > 1 {
                set_texts(object, field, before.into_iter().take(1));
            }
        } else if before.len() > after.len() && !after.is_empty() {
            let why = format!("must be 'SingleStack' to release the secondary {what}");
            causes.push(Cause::invalid("spec.ipFamilyPolicy", &format!("{policy:?}"), why));
        }
    }
    causes
}
