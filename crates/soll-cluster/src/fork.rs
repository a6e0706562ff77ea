//! Copies of a cluster to try things on, which the embedded API server makes.

use std::sync::Arc;

use crate::cluster::Shared;
use crate::limit::RateLimit;
use crate::requests::Ledger;
use crate::resource::Discovery;
use crate::transport::Request;
use crate::{ApiError, Cluster, Verb, WatchBudget};

/// Where the embedded API server makes forks.
const FORKS: &str = "/sim/v1/forks";
/// How the version of the embedded API server ends.
const EMBEDDED: &str = "+embedded";

/// A copy of a cluster: what is written to it is not seen in the original.
#[derive(Debug)]
pub struct Fork {
    cluster: Cluster,
    original: Cluster,
    path: String,
}

impl Cluster {
    /// A copy of the cluster as it is now, for the same identity; nothing if the server makes none, or none for us.
    ///
    /// Only the embedded API server makes copies; no other is asked for one. A copy that is not used for a minute ends by itself.
    ///
    /// # Errors
    /// If the server cannot be asked, or has too many copies already.
    pub async fn fork(&self) -> Result<Option<Fork>, ApiError> {
        let version = self.get_path("/version").await?;
        if !version.lookup_str(&["gitVersion"]).is_some_and(|version| version.ends_with(EMBEDDED)) {
            return Ok(None);
        }
        let made = match self.exchange(&request(http::Method::POST, FORKS)).await {
            Ok(made) => made,
            Err(error) if matches!(error.code(), 403 | 404) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(path) = made.lookup_str(&["path"]).filter(|path| path.starts_with(FORKS)) else {
            let cause = "the answer does not say where the fork is".to_owned();
            return Err(ApiError::Unreadable { url: self.url().to_owned(), cause });
        };
        Ok(Some(Fork { cluster: self.below(path), original: self.clone(), path: path.to_owned() }))
    }

    /// The cluster that the same server serves below a path.
    fn below(&self, path: &str) -> Self {
        let Shared { client, url, below, user_agent, timeout, .. } = &*self.shared;
        let shared = Shared {
            client: client.clone(),
            url: format!("{url}{path}"),
            below: format!("{below}{path}"),
            user_agent: user_agent.clone(),
            timeout: *timeout,
            // It is on this machine, and nobody else is waiting for it.
            limit: RateLimit::new(0.0, 0),
            ledger: Ledger::default(),
            discovery: Discovery::default(),
            budget: WatchBudget::new(self.shared.budget.most()),
        };
        Self { shared: Arc::new(shared), ..self.clone() }
    }
}

impl Fork {
    /// The copy.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Tells the server that the copy is not needed any more.
    ///
    /// # Errors
    /// If the server cannot be told; then the copy ends later by itself.
    pub async fn end(self) -> Result<(), ApiError> {
        self.original.exchange(&request(http::Method::DELETE, &self.path)).await.map(drop)
    }
}

/// A request about forks changes nothing in the cluster.
fn request(method: http::Method, path: &str) -> Request {
    Request { method, ..Request::new(Verb::DryRun, path) }
}
