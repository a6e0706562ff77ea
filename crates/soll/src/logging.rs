//! Structured logs on standard error.

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

/// Starts logging at a level; `RUST_LOG` wins, for debugging.
pub(crate) fn start(level: &str, json: bool) -> anyhow::Result<()> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(directives) if !directives.is_empty() => EnvFilter::try_new(directives).context("RUST_LOG")?,
        // kube's client logs each failed request; what comes of it is logged where it is handled.
        _ => EnvFilter::try_new(format!("{level},kube_client=off")).context("the log level")?,
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if json { builder.json().flatten_event(true).try_init() } else { builder.try_init() };
    started.map_err(|error| anyhow::anyhow!("cannot start logging: {error}"))
}
