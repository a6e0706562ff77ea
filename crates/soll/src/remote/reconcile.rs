//! `soll reconcile`: now, please.

use std::time::Duration;

use anyhow::{Context as _, bail};
use soll_api::{Gvk, Object, Resource as _, names};
use soll_cluster::{Cluster, Depth, Patch, Selection, WatchEvent};
use soll_yaml::{Map, Value};
use tokio::time::timeout;

use super::get::{condition, is_suspended, revision, short_revision};
use crate::arguments::{Kind, Reconcile};
use crate::remote::FIELD_MANAGER;
use crate::terminal;

/// Asks for a reconciliation and waits for its end; exit code 1 if it failed.
pub(crate) async fn reconcile(arguments: &Reconcile) -> anyhow::Result<u8> {
    let named = &arguments.object;
    let cluster = super::connect(&named.cluster).await?;
    let object = super::read(&cluster, named).await?;
    if arguments.with_source {
        if named.kind != Kind::Kustomization {
            bail!("--with-source is for Kustomizations: a source has no source");
        }
        let source = soll_api::Kustomization::decode(object.value())?.source();
        let gvk = soll_api::GitRepository::gvk();
        if source.kind != gvk.kind {
            bail!("the source is a {}, which this version does not reconcile", source.kind);
        }
        let source = cluster.find(&gvk, &source.namespace, &source.name).await?;
        let source = source.context("the source does not exist")?;
        if !request(&cluster, &source, arguments.timeout).await? {
            return Ok(1);
        }
    }
    Ok(u8::from(!request(&cluster, &object, arguments.timeout).await?))
}

/// Annotates the object and waits until the engine has answered. Returns whether it is Ready then.
async fn request(cluster: &Cluster, object: &Object, limit: Duration) -> anyhow::Result<bool> {
    let name = format!("{} {}", object.kind(), object.name());
    if is_suspended(object) {
        bail!("{name} is suspended: resume it with `soll resume {} {}`", object.kind().to_lowercase(), object.name());
    }
    let token = soll_api::Time::new(jiff::Timestamp::now()).to_string();
    let annotations = Map::from_iter([(names::REQUESTED_AT, Value::str(&token))]);
    let metadata = Map::from_iter([("annotations", Value::from(annotations))]);
    let patch = Patch::Merge(Map::from_iter([("metadata", Value::from(metadata))]).into());
    let gvk = object.gvk();
    cluster.patch(&gvk, object.namespace(), object.name(), &patch, FIELD_MANAGER).await?;
    terminal::say(&format!("{name}: asked"));
    let answered = timeout(limit, answer(cluster, &gvk, object, &token)).await;
    let Ok(answered) = answered else {
        bail!("{name}: no answer within {}s; does an engine run? See `soll events`", limit.as_secs());
    };
    let answered = answered?;
    let (ready, message) = condition(&answered, "Ready").unwrap_or(("Unknown", "no condition"));
    let revision = short_revision(revision(&answered));
    terminal::say(&format!(
        "{name}: {message}{}",
        if revision.is_empty() { String::new() } else { format!(" ({revision})") }
    ));
    Ok(ready == "True")
}

/// The object once the engine has handled the request and is not on its way any more.
async fn answer(cluster: &Cluster, gvk: &Gvk, object: &Object, token: &str) -> anyhow::Result<Object> {
    let selection = Selection::named(object.namespace(), object.name());
    let watch = cluster.watch(gvk, selection, Depth::Whole);
    let mut watch = watch.expect("this command opens one watch at a time");
    loop {
        let seen = match watch.next().await {
            WatchEvent::Restarted(objects) => objects.into_iter().next().context("it was deleted")?,
            WatchEvent::Applied(object) => object,
            WatchEvent::Deleted(_) => bail!("it was deleted"),
            WatchEvent::Interrupted(_) => continue,
        };
        let handled = seen.value().lookup_str(&["status", "lastHandledReconcileAt"]) == Some(token);
        let moving = condition(&seen, "Reconciling").is_some_and(|(status, _)| status == "True");
        let retrying = condition(&seen, "Ready").is_some_and(|(status, _)| status == "False");
        if handled && (!moving || retrying) {
            return Ok(seen);
        }
    }
}
