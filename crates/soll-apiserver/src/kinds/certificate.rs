//! CertificateSigningRequests: who asks, who may say yes, and what stays as it is.

use jiff::Timestamp;
use soll_yaml::{Map, Value};

use crate::auth::MASTERS;
use crate::auth::rbac::{self, Attempt};
use crate::meta;
use crate::refusal::{Cause, Refusal, shown};
use crate::resources::{Resource, Subresource};
use crate::rest::Context;
use crate::tls;

/// The signer of certificates for clients of this server.
pub(crate) const CLIENTS: &str = "kubernetes.io/kube-apiserver-client";

/// Whose decisions the conditions are that are made once and for all.
const DECISIONS: [&str; 2] = ["Approved", "Denied"];

const USAGES: [&str; 23] = [
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

/// Notes who asks. Nobody says yes to their own request while they make it.
pub(crate) fn prepare_create(ctx: &Context<'_>, object: &mut Value) {
    let user = &ctx.caller.user;
    let texts = |list: &[String]| Value::list(list.iter().map(|text| Value::str(text)).collect());
    let top = object.make_map();
    top.insert("status", Value::map());
    let spec = top.get_or_insert_with("spec", Value::map).make_map();
    spec.retain(|entry| !matches!(entry.key.as_str(), "username" | "uid" | "groups" | "extra"));
    spec.insert("username", Value::str(&user.name));
    if !user.uid.is_empty() {
        spec.insert("uid", Value::str(&user.uid));
    }
    if !user.groups.is_empty() {
        spec.insert("groups", texts(&user.groups));
    }
    if !user.extra.is_empty() {
        let extra = user.extra.iter().map(|(key, values)| (key.as_str(), texts(values)));
        spec.insert("extra", Map::from_iter(extra).into());
    }
}

/// Puts back what an endpoint may not change, and dates the conditions.
pub(crate) fn keep(subresource: Option<Subresource>, old: &Value, object: &mut Value, now: Timestamp) {
    meta::copy_top(object, old, "spec");
    match subresource {
        Some(Subresource::Approval) => {
            let certificate = old.lookup(&["status", "certificate"]).cloned();
            let status = object.make_map().get_or_insert_with("status", Value::map).make_map();
            match certificate {
                Some(certificate) => status.insert("certificate", certificate),
                None => status.remove("certificate"),
            };
        }
        Some(Subresource::Status) => {
            for decision in DECISIONS {
                if let (Some(before), Some(now)) = (find(old, decision), find_mut(object, decision)) {
                    *now = before.clone();
                }
            }
        }
        _ => return,
    }
    let now = Value::from(meta::time(now));
    let list = object.get_mut("status").and_then(|status| status.get_mut("conditions")).and_then(Value::as_list_mut);
    for condition in list.into_iter().flatten() {
        let text = |field: &str| condition.lookup_str(&[field]).unwrap_or_default();
        let before = find(old, text("type")).filter(|before| before.lookup_str(&["status"]) == Some(text("status")));
        let since = before.and_then(|before| before.get("lastTransitionTime")).filter(|time| !time.is_null()).cloned();
        let fields = condition.make_map();
        for (field, time) in [("lastUpdateTime", now.clone()), ("lastTransitionTime", since.unwrap_or(now.clone()))] {
            if fields.get(field).is_none_or(Value::is_null) {
                fields.insert(field, time);
            }
        }
    }
}

/// Refuses decisions of those who may not make them.
pub(crate) fn admit(ctx: &Context<'_>, old: &Value) -> Result<(), Refusal> {
    if ctx.target.subresource != Some(Subresource::Approval) {
        return Ok(());
    }
    let signer = old.lookup_str(&["spec", "signerName"]).unwrap_or_default();
    let may = |name: String| {
        let attempt = Attempt {
            verb: "approve".to_owned(),
            group: ctx.target.resource.group.to_string(),
            resource: "signers".to_owned(),
            name,
            ..Attempt::default()
        };
        rbac::allows(&ctx.api.store, &ctx.caller.user, &attempt)
    };
    let domain = signer.split('/').next().unwrap_or_default();
    if may(signer.to_owned()) || may(format!("{domain}/*")) {
        return Ok(());
    }
    let why = format!("user not permitted to approve requests with signerName {signer:?}");
    Err(Refusal::forbidden(&ctx.target.resource, &ctx.target.name, why))
}

/// Refuses requests of clients that would be in the group that may do everything, whoever would say yes to them.
pub(crate) fn admit_groups(resource: &Resource, object: &Value) -> Result<(), Refusal> {
    let request = object.lookup_str(&["spec", "request"]).unwrap_or_default();
    let is_client = object.lookup_str(&["spec", "signerName"]) == Some(CLIENTS);
    // What cannot be read is refused where the whole object is looked at.
    let groups = if is_client { tls::organizations(request).unwrap_or_default() } else { Vec::new() };
    if groups.iter().any(|group| group == MASTERS) {
        let why = format!("use of {CLIENTS} signer with {MASTERS} group is not allowed");
        return Err(Refusal::forbidden(resource, meta::text(object, "name"), why));
    }
    Ok(())
}

/// What is wrong with a request, or with its change.
pub(crate) fn validate(old: Option<&Value>, object: &Value) -> Vec<Cause> {
    let mut causes = if old.is_none() { validate_spec(object) } else { Vec::new() };
    let conditions = conditions(object);
    for (index, condition) in conditions.iter().enumerate() {
        let at = |field: &str| format!("status.conditions[{index}].{field}");
        let text = |field: &str| condition.lookup_str(&[field]).unwrap_or_default();
        if text("type").is_empty() {
            causes.push(Cause::required(at("type"), ""));
        }
        let allowed: &[&str] = if matches!(text("type"), "Approved" | "Denied" | "Failed") {
            &["True"]
        } else {
            &["False", "True", "Unknown"]
        };
        match text("status") {
            "" => causes.push(Cause::required(at("status"), "")),
            status if !allowed.contains(&status) => {
                causes.push(Cause::unsupported(at("status"), &format!("{status:?}"), allowed));
            }
            _ => {}
        }
        if conditions[..index].iter().any(|other| other.lookup_str(&["type"]) == Some(text("type"))) {
            causes.push(Cause::duplicate(at("type"), &format!("{:?}", text("type"))));
        }
    }
    if DECISIONS.iter().all(|decision| find(object, decision).is_some()) {
        let last =
            conditions.iter().rev().find_map(|one| one.lookup_str(&["type"]).filter(|kind| DECISIONS.contains(kind)));
        let why = "Approved and Denied conditions are mutually exclusive";
        causes.push(Cause::invalid("status.conditions", &format!("{:?}", last.unwrap_or_default()), why));
    }
    for kind in ["Approved", "Denied", "Failed"] {
        if old.is_some_and(|old| find(old, kind).is_some()) && find(object, kind).is_none() {
            let why = format!("updates may not remove a condition of type {kind:?}");
            causes.push(Cause::forbidden("status.conditions", why));
        }
    }
    causes
}

fn validate_spec(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let spec = |field: &str| object.lookup(&["spec", field]);
    let request = spec("request").and_then(Value::as_str).unwrap_or_default();
    if let Err(why) = tls::read_request(request) {
        let quoted = if request.is_empty() { "null".to_owned() } else { format!("{request:?}") };
        causes.push(Cause::invalid("spec.request", &quoted, why));
    }
    let usages: Vec<&str> =
        spec("usages").and_then(Value::as_list).unwrap_or_default().iter().filter_map(Value::as_str).collect();
    if usages.is_empty() {
        causes.push(Cause::required("spec.usages", ""));
    }
    for (index, usage) in usages.iter().enumerate() {
        if !USAGES.contains(usage) {
            causes.push(Cause::unsupported(format!("spec.usages[{index}]"), &format!("{usage:?}"), &USAGES));
        }
        if usages[..index].contains(usage) {
            causes.push(Cause::duplicate(format!("spec.usages[{index}]"), &format!("{usage:?}")));
        }
    }
    match spec("signerName").and_then(Value::as_str).unwrap_or_default() {
        "" => causes.push(Cause::required("spec.signerName", "")),
        name if !name.contains('/') => {
            let why = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
            causes.push(Cause::invalid("spec.signerName", &format!("{name:?}"), why));
        }
        _ => {}
    }
    if let Some(seconds) =
        spec("expirationSeconds").filter(|seconds| seconds.as_i64().is_some_and(|seconds| seconds < 600))
    {
        let why = "may not specify a duration less than 600 seconds (10 minutes)";
        causes.push(Cause::invalid("spec.expirationSeconds", &shown(seconds), why));
    }
    causes
}

/// What is wrong with a report on a request: it may not decide.
pub(crate) fn validate_report(old: &Value, object: &Value) -> Vec<Cause> {
    let added = DECISIONS.into_iter().filter(|kind| find(object, kind).is_some() && find(old, kind).is_none());
    let cause =
        |kind| Cause::forbidden("status.conditions", format!("updates may not add a condition of type {kind:?}"));
    added.map(cause).collect()
}

fn conditions(object: &Value) -> &[Value] {
    object.lookup(&["status", "conditions"]).and_then(Value::as_list).unwrap_or_default()
}

/// A condition of a request.
pub(crate) fn find<'o>(object: &'o Value, kind: &str) -> Option<&'o Value> {
    conditions(object).iter().find(|condition| condition.lookup_str(&["type"]) == Some(kind))
}

fn find_mut<'o>(object: &'o mut Value, kind: &str) -> Option<&'o mut Value> {
    let list = object.get_mut("status")?.get_mut("conditions")?.as_list_mut()?;
    list.iter_mut().find(|condition| condition.lookup_str(&["type"]) == Some(kind))
}
