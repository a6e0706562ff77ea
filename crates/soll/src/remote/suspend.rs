//! `soll suspend` and `soll resume`.

use anyhow::Context as _;
use soll_cluster::Patch;
use soll_yaml::{Map, Value};

use crate::arguments::Named;
use crate::remote::FIELD_MANAGER;
use crate::terminal;

/// Stops reconciling an object.
pub(crate) async fn suspend(named: &Named) -> anyhow::Result<u8> {
    set(named, true).await
}

/// Starts reconciling an object again.
pub(crate) async fn resume(named: &Named) -> anyhow::Result<u8> {
    set(named, false).await
}

async fn set(named: &Named, suspended: bool) -> anyhow::Result<u8> {
    let cluster = super::connect(&named.cluster).await?;
    let object = super::read(&cluster, named).await?;
    if super::get::is_suspended(&object) == suspended {
        let state = if suspended { "suspended" } else { "not suspended" };
        terminal::say(&format!("{} {} is {state} already", object.kind(), named.name));
        return Ok(0);
    }
    let spec = Value::from(Map::from_iter([("suspend", Value::from(suspended))]));
    let patch = Patch::Merge(Map::from_iter([("spec", spec)]).into());
    let written = cluster.patch(&object.gvk(), &named.namespace, &named.name, &patch, FIELD_MANAGER).await;
    written.with_context(|| format!("cannot change {} {}", object.kind(), named.name))?;
    terminal::say(&format!("{} {} {}", object.kind(), named.name, if suspended { "suspended" } else { "resumed" }));
    Ok(0)
}
