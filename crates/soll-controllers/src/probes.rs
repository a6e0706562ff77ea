//! The small HTTP answers of a process in a cluster: `/healthz`, `/readyz`, `/metrics`.

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;

/// `/healthz` answers as long as the process does; `/readyz` once `ready` says so.
pub(crate) fn health(ready: impl Fn() -> bool + Clone + Send + Sync + 'static) -> Router {
    let readiness = move || {
        let answer = if ready() { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "starting") };
        async move { answer }
    };
    Router::new().route("/healthz", get(|| async { "ok" })).route("/readyz", get(readiness))
}

/// `/metrics`, printed when asked for.
pub(crate) fn metrics(print: impl Fn() -> String + Clone + Send + Sync + 'static) -> Router {
    const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let answer = move || {
        let printed = print();
        async move { ([(header::CONTENT_TYPE, TEXT)], printed) }
    };
    Router::new().route("/metrics", get(answer))
}
