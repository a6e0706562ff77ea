//! Care with clusters that are not ours: `soll up --context`.

use std::io::{BufRead as _, IsTerminal as _};

use anyhow::{Context as _, bail};
use jiff::{SignedDuration, Timestamp};
use soll_api::{Gvk, Object};
use soll_cluster::{Cluster, Depth, Selection};
use soll_yaml::Value;

use super::repository::{NAMESPACE, Repository};
use crate::terminal;

/// Refuses a cluster that Flux, or another Soll, reconciles right now.
pub(super) async fn check(cluster: &Cluster) -> anyhow::Result<()> {
    let leases = cluster.list(&Gvk::new("coordination.k8s.io/v1", "Lease"), &Selection::all(), Depth::Whole).await;
    let leases = leases.with_context(|| format!("cannot look for Flux's leases in {}", cluster.url()))?;
    let now = Timestamp::now();
    for lease in leases.items {
        let ours = ["source-controller-leader-election", "kustomize-controller-leader-election"];
        if ours.iter().any(|name| lease.name().starts_with(name)) && is_live(&lease, now) {
            let holder = lease.value().lookup_str(&["spec", "holderIdentity"]).unwrap_or_default();
            bail!(
                "{} in namespace {} is held by {holder}: this cluster is reconciled already. Scale that controller to 0 \
                 first, and try again when its lease has run out",
                lease.name(),
                lease.namespace(),
            );
        }
    }
    Ok(())
}

fn is_live(lease: &Object, now: Timestamp) -> bool {
    let spec = |field| lease.value().lookup(&["spec", field]);
    let held = spec("holderIdentity").and_then(Value::as_str).is_some_and(|holder| !holder.is_empty());
    let seconds = spec("leaseDurationSeconds").and_then(Value::as_i64).unwrap_or_default();
    let renewed: Option<Timestamp> = spec("renewTime").and_then(|time| time.as_str()?.parse().ok());
    held && renewed.is_some_and(|renewed| now < renewed + SignedDuration::from_secs(seconds))
}

/// Asks before anything is written.
pub(super) fn ask(context: &str, cluster: &Cluster, repository: &Repository) -> anyhow::Result<()> {
    terminal::say(&format!("This writes to the cluster of context {context} at {}:", cluster.url()));
    terminal::say(&format!("  namespace {NAMESPACE} and the CRDs of Flux, where they are absent"));
    terminal::say(&format!("  a GitRepository and a Kustomization, both named {}, in {NAMESPACE}", repository.name));
    terminal::say(&format!(
        "  everything that {} (path {}) describes; what leaves it is deleted",
        repository.place(),
        repository.path
    ));
    if !std::io::stdin().is_terminal() {
        bail!("nobody is here to say yes: add --yes");
    }
    terminal::say("Type yes to go on:");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() != "yes" {
        bail!("nothing was written");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_live_until_it_runs_out() {
        let lease = |holder: &str| {
            let text = format!(
                r#"{{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{{"name":"a"}},"spec":{{
                "holderIdentity":"{holder}","leaseDurationSeconds":35,"renewTime":"2026-01-01T00:00:00.000000Z"}}}}"#
            );
            Object::new(soll_yaml::parse_json(text.as_bytes()).expect("JSON")).expect("an object")
        };
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        assert!(is_live(&lease("flux"), at("2026-01-01T00:00:34Z")));
        assert!(!is_live(&lease("flux"), at("2026-01-01T00:00:36Z")));
        assert!(!is_live(&lease(""), at("2026-01-01T00:00:01Z")));
    }
}
