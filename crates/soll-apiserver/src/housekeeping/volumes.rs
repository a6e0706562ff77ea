//! Claims and volumes that are being deleted go when nobody uses them.

use std::sync::Arc;

use soll_yaml::Value;

use crate::meta;
use crate::rest::{Api, finalize};
use crate::store::Entry;

const CLAIMS: &str = "/persistentvolumeclaims";
const VOLUMES: &str = "/persistentvolumes";

/// Lets those go that are free.
pub(super) fn finish(api: &Arc<Api>) {
    let (claims, _) = api.store.snapshot(CLAIMS);
    for claim in claims.iter().filter(|claim| meta::is_terminating(&claim.value)) {
        if !is_mounted(api, claim) {
            release(api, CLAIMS, claim, "kubernetes.io/pvc-protection");
        }
    }
    let (volumes, _) = api.store.snapshot(VOLUMES);
    for volume in volumes.iter().filter(|volume| meta::is_terminating(&volume.value)) {
        let part = |field: &str| volume.value.lookup_str(&["spec", "claimRef", field]).unwrap_or_default().to_owned();
        let claim = api.store.get(CLAIMS, &part("namespace"), &part("name"));
        let bound = claim.is_some_and(|claim| meta::text(&claim.value, "uid") == part("uid"));
        if !bound {
            release(api, VOLUMES, volume, "kubernetes.io/pv-protection");
        }
    }
}

/// Says whether a pod that has not finished uses the claim.
fn is_mounted(api: &Api, claim: &Entry) -> bool {
    let (pods, _) = api.store.snapshot("/pods");
    let in_namespace =
        pods.iter_from(&claim.key.namespace, "").take_while(|pod| pod.key.namespace == claim.key.namespace);
    in_namespace.filter(|pod| !matches!(pod.value.lookup_str(&["status", "phase"]), Some("Succeeded" | "Failed"))).any(
        |pod| {
            let volumes = pod.value.lookup(&["spec", "volumes"]).and_then(Value::as_list).unwrap_or_default();
            let names = volumes.iter().filter_map(|volume| volume.lookup_str(&["persistentVolumeClaim", "claimName"]));
            names.into_iter().any(|name| name == claim.key.name)
        },
    )
}

fn release(api: &Arc<Api>, drawer: &str, entry: &Entry, finalizer: &str) {
    finalize(api, drawer, &entry.key, |object| meta::drop_finalizer(object, finalizer));
}
