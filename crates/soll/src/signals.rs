//! Ctrl-C and SIGTERM.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancels on the first signal; the second one ends the process at once.
pub(crate) async fn cancel(shutdown: CancellationToken) {
    next().await;
    shutdown.cancel();
    next().await;
    std::process::exit(130);
}

async fn next() {
    // Without a handler the default action of the signal ends the process.
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return drop(tokio::signal::ctrl_c().await);
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
