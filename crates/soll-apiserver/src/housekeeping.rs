//! What a cluster does by itself so that the API keeps its promises: garbage, namespaces, old events.

use std::sync::Arc;

use crate::rest::Api;

/// Runs until the server closes.
pub(crate) async fn run(api: Arc<Api>) {
    let mut news = api.store.subscribe_all();
    loop {
        tokio::select! {
            changed = news.changed() => if changed.is_err() { return },
            () = api.closing.cancelled() => return,
        }
    }
}
