//! Work that computes or reads disks, off the threads that answer the network.

/// Runs work on a blocking thread, so that nothing else waits for it. A panic of it goes on in whoever waits.
///
/// # Cancel safety
/// Dropped, the work still runs to its end; nobody learns what came of it.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
