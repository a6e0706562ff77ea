//! `soll install` and `soll uninstall`.

use std::io::{BufRead as _, IsTerminal as _};
use std::time::Duration;

use anyhow::{Context as _, bail};
use soll_api::{Gvk, InstallOptions, Object, install as manifests};
use soll_cluster::{ApiError, ApplyOptions, Cluster, DeleteOptions, Depth, Patch, Selection, group_label};
use soll_yaml::{Map, Value};
use tokio::time::timeout;

use crate::arguments::{Install, Kind, Uninstall};
use crate::remote::{self, FIELD_MANAGER};
use crate::terminal;

/// Prints the manifests.
pub(crate) fn export(arguments: &Install) -> anyhow::Result<()> {
    for object in manifests(&installation(arguments)?) {
        terminal::print(&format!("---\n{}", soll_yaml::emit_yaml(object.value())));
    }
    Ok(())
}

/// Applies the manifests.
pub(crate) async fn install(arguments: &Install) -> anyhow::Result<u8> {
    let installation = installation(arguments)?;
    let cluster = remote::connect(&arguments.cluster).await?;
    for object in manifests(&installation) {
        let applied = cluster.apply(&object, &ApplyOptions::forced(FIELD_MANAGER)).await;
        applied.with_context(|| format!("cannot apply {}", object.object_ref()))?;
        terminal::say(&format!("{} applied", object.object_ref()));
    }
    terminal::say(&format!("watch it start: kubectl -n {} rollout status deployment", arguments.namespace));
    Ok(0)
}

/// Removes what was installed. Workloads stay: finalizers are taken off before the CRDs go, so nothing is pruned.
pub(crate) async fn uninstall(arguments: &Uninstall) -> anyhow::Result<u8> {
    let cluster = remote::connect(&arguments.cluster).await?;
    if !arguments.yes {
        ask(&cluster, arguments)?;
    }
    let installed = manifests(&options("", &arguments.namespace));
    let is = |object: &Object, kind: &str| object.kind() == kind;
    // The engine first, or it would act on what follows.
    for object in installed.iter().filter(|object| is(object, "Deployment")) {
        delete(&cluster, object).await?;
    }
    timeout(Duration::from_secs(60), gone(&cluster, &arguments.namespace))
        .await
        .context("the engine's pods are still there after 60 s; nothing else was removed")??;
    if !arguments.keep_crds {
        for kind in [Kind::Kustomization, Kind::Source] {
            release(&cluster, &kind.gvk()).await?;
        }
    }
    leases(&cluster, &arguments.namespace).await?;
    for object in installed.iter().rev() {
        let keep = is(object, "Namespace") || (arguments.keep_crds && is(object, "CustomResourceDefinition"));
        if !keep {
            delete(&cluster, object).await?;
        }
    }
    terminal::say(&format!("the engine is gone; namespace {} and all workloads stay", arguments.namespace));
    Ok(0)
}

/// With several processes the objects are divided, into enough shards that more processes may come.
const SHARDS: u16 = 16;

fn installation(arguments: &Install) -> anyhow::Result<InstallOptions> {
    let replicas = arguments.replicas;
    let default = if replicas > 1 { SHARDS.max(replicas) } else { 1 };
    let shards = arguments.shards.unwrap_or(default);
    if shards < replicas {
        bail!("{replicas} processes cannot divide {shards} shards: give --shards {replicas} or more");
    }
    Ok(InstallOptions { replicas, shards, ..options(&arguments.image, &arguments.namespace) })
}

fn options(image: &str, namespace: &str) -> InstallOptions {
    InstallOptions { namespace: namespace.to_owned(), ..InstallOptions::new(image, env!("CARGO_PKG_VERSION")) }
}

fn ask(cluster: &Cluster, arguments: &Uninstall) -> anyhow::Result<()> {
    terminal::say(&format!("This removes the engine from {} (namespace {}).", cluster.url(), arguments.namespace));
    if !arguments.keep_crds {
        terminal::say(
            "With its CRDs go all sources and Kustomizations; what they applied stays. --keep-crds keeps them.",
        );
    }
    if !std::io::stdin().is_terminal() {
        bail!("nobody is here to say yes: add --yes");
    }
    terminal::say("Type yes to go on:");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() != "yes" {
        bail!("nothing was removed");
    }
    Ok(())
}

async fn delete(cluster: &Cluster, object: &Object) -> anyhow::Result<()> {
    let deleted = cluster.delete(&object.gvk(), object.namespace(), object.name(), &DeleteOptions::default()).await;
    match deleted {
        Ok(()) => terminal::say(&format!("{} deleted", object.object_ref())),
        Err(error) if error.reason() == "NotFound" => {}
        Err(error) => return Err(error).context(format!("cannot delete {}", object.object_ref())),
    }
    Ok(())
}

/// Waits until no pod of the engine is left.
async fn gone(cluster: &Cluster, namespace: &str) -> anyhow::Result<()> {
    let pods = Selection::labelled("app=soll").within(namespace);
    while !cluster.list(&Gvk::new("v1", "Pod"), &pods, Depth::Metadata).await?.items.is_empty() {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(())
}

/// Deletes the leases that the engine left: those of its groups, and those under Flux's names that nobody holds.
async fn leases(cluster: &Cluster, namespace: &str) -> anyhow::Result<()> {
    let (lease, all) = (Gvk::new("coordination.k8s.io/v1", "Lease"), Selection::all().within(namespace));
    let leases = cluster.list(&lease, &all, Depth::Whole).await.context("cannot list the leases")?;
    for lease in leases.items {
        let is_unheld = lease.value().lookup_str(&["spec", "holderIdentity"]).is_none_or(str::is_empty);
        let is_named_as_flux_does =
            soll_controllers::Kind::ALL.iter().any(|kind| lease.name().starts_with(&kind.lease()));
        if lease.label(&group_label()).is_some() || (is_named_as_flux_does && is_unheld) {
            delete(cluster, &lease).await?;
        }
    }
    Ok(())
}

/// Takes our finalizer off all objects of a kind.
async fn release(cluster: &Cluster, gvk: &Gvk) -> anyhow::Result<()> {
    let objects = match cluster.list(gvk, &Selection::all(), Depth::Metadata).await {
        Ok(list) => list.items,
        Err(ApiError::NotServed(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for object in objects {
        let finalizers =
            object.value().lookup(&["metadata", "finalizers"]).and_then(Value::as_list).unwrap_or_default();
        let others: Vec<_> =
            finalizers.iter().filter(|name| name.as_str() != Some(soll_api::names::FINALIZER)).cloned().collect();
        if others.len() == finalizers.len() {
            continue;
        }
        let metadata = Map::from_iter([
            ("finalizers", Value::list(others)),
            // Somebody else's finalizer that came meanwhile is not lost.
            ("resourceVersion", Value::str(object.resource_version())),
        ]);
        let patch = Patch::Merge(Map::from_iter([("metadata", Value::from(metadata))]).into());
        let patched = cluster.patch(gvk, object.namespace(), object.name(), &patch, FIELD_MANAGER).await;
        patched.with_context(|| format!("cannot take the finalizer off {}", object.object_ref()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::arguments::{Arguments, Command};

    #[test]
    fn several_processes_get_a_shard_each_at_least() {
        let divided = |flags: &str| {
            let all = ["soll", "install"].into_iter().chain(flags.split_whitespace());
            match Arguments::try_parse_from(all).expect("valid arguments").command {
                Command::Install(arguments) => installation(&arguments)
                    .map(|options| (options.replicas, options.shards))
                    .map_err(|error| error.to_string()),
                _ => unreachable!("the command was named"),
            }
        };
        assert_eq!(divided(""), Ok((1, 1)));
        assert_eq!(divided("--shards 8"), Ok((1, 8)));
        assert_eq!(divided("--replicas 3"), Ok((3, SHARDS)));
        assert_eq!(divided("--replicas 40"), Ok((40, 40)));
        assert!(divided("--replicas 3 --shards 2").expect_err("one has none").contains("give --shards 3 or more"));
    }
}
