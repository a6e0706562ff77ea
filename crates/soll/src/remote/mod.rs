//! Commands that talk to a cluster, for people without the flux command line.

mod events;
mod get;
mod reconcile;
mod suspend;
mod tree;

use anyhow::{Context as _, bail};
use soll_api::{Gvk, Object, Resource};
use soll_cluster::{Cluster, ConnectOptions, Credentials};

use crate::arguments::{ClusterArguments, Kind, Named};

pub(crate) use events::events;
pub(crate) use get::{get, short_revision};
pub(crate) use reconcile::reconcile;
pub(crate) use suspend::{resume, suspend};
pub(crate) use tree::tree;

/// The name under which the command line writes.
pub(crate) const FIELD_MANAGER: &str = "soll-cli";

/// Connects as the arguments say, and as kubectl would where they say nothing.
pub(crate) async fn connect(arguments: &ClusterArguments) -> anyhow::Result<Cluster> {
    let credentials = arguments.kubeconfig.clone().map_or(Credentials::Infer, Credentials::Kubeconfig);
    let options = ConnectOptions { credentials, context: arguments.context.clone(), ..ConnectOptions::default() };
    Cluster::connect(&options)
        .await
        .context("no cluster: name one with --kubeconfig or --context, or start one with `soll up`")
}

impl Kind {
    /// The kind of the API.
    pub(crate) fn gvk(self) -> Gvk {
        match self {
            Self::Source => soll_api::GitRepository::gvk(),
            Self::Kustomization => soll_api::Kustomization::gvk(),
        }
    }
}

/// Reads the object that was named.
async fn read(cluster: &Cluster, named: &Named) -> anyhow::Result<Object> {
    let gvk = named.kind.gvk();
    let object = cluster.find(&gvk, &named.namespace, &named.name).await;
    let object = object.with_context(|| format!("cannot read {} {}", gvk.kind, named.name))?;
    let Some(object) = object else {
        bail!("there is no {} {} in namespace {}: see `soll get -A`", gvk.kind, named.name, named.namespace);
    };
    Ok(object)
}
