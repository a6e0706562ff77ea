//! Certificate requests that somebody said yes to: those for clients of this server are signed by its authority.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use soll_yaml::{Map, Value};

use crate::kinds::certificate::{CLIENTS, find};
use crate::rest::{Api, finalize};
use crate::{fields, meta};

const DRAWER: &str = "certificates.k8s.io/certificatesigningrequests";
/// What certificates of clients may be for.
const USAGES: [&str; 3] = ["client auth", "digital signature", "key encipherment"];
/// How long certificates hold if nobody says: a year.
const SECONDS: i64 = 31_536_000;

/// Signs what is approved and has no certificate yet, or says why not.
pub(super) fn finish(api: &Arc<Api>) {
    for entry in api.store.snapshot(DRAWER).0.iter() {
        let request = &entry.value;
        let text = |keys: &[&str]| request.lookup_str(keys).unwrap_or_default();
        let is_open = text(&["status", "certificate"]).is_empty() && find(request, "Failed").is_none();
        if !is_open || find(request, "Approved").is_none() || text(&["spec", "signerName"]) != CLIENTS {
            continue;
        }
        let now = Timestamp::now();
        let signed = sign(api, request, now);
        finalize(api, DRAWER, &entry.key, |object| {
            let before = object.clone();
            let status = object.make_map().get_or_insert_with("status", Value::map).make_map();
            match &signed {
                Ok(certificate) => drop(status.insert("certificate", Value::str(certificate))),
                Err(why) => {
                    let conditions = status.get_or_insert_with("conditions", || Value::list(Vec::new()));
                    conditions.as_list_mut().into_iter().for_each(|list| list.push(failed(why, now)));
                }
            }
            *object = fields::by_server("kube-controller-manager", "status", Some(&before), object);
        });
    }
}

/// The certificate, in base64.
fn sign(api: &Api, request: &Value, now: Timestamp) -> Result<String, String> {
    use base64::Engine as _;
    let usages = request.lookup(&["spec", "usages"]).and_then(Value::as_list).unwrap_or_default();
    let usages: Vec<&str> = usages.iter().filter_map(Value::as_str).collect();
    if !usages.contains(&"client auth") || !usages.iter().all(|usage| USAGES.contains(usage)) {
        return Err(format!("usages did not match {USAGES:?}, or lack \"client auth\""));
    }
    let seconds = request.lookup(&["spec", "expirationSeconds"]).and_then(Value::as_i64).unwrap_or(SECONDS);
    let until = now.checked_add(SignedDuration::from_secs(seconds)).map_err(|error| error.to_string())?;
    let pem = request.lookup_str(&["spec", "request"]).unwrap_or_default();
    let certificate = api.authority.sign_client(pem, now, until)?;
    Ok(base64::engine::general_purpose::STANDARD.encode(certificate))
}

fn failed(why: &str, now: Timestamp) -> Value {
    let now = Value::from(meta::time(now));
    Map::from_iter([
        ("type", Value::str("Failed")),
        ("status", Value::str("True")),
        ("reason", Value::str("SignerValidationFailure")),
        ("message", Value::str(why)),
        ("lastUpdateTime", now.clone()),
        ("lastTransitionTime", now),
    ])
    .into()
}
