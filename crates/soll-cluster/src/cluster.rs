//! The connection to one cluster.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};

#[cfg(doc)]
use crate::ApiError;
use crate::limit::RateLimit;
use crate::requests::Ledger;
use crate::resource::Discovery;
use crate::{RequestCounts, WatchBudget};

/// One cluster, seen by one identity. Cloning is a reference count.
///
/// Clones and [`Cluster::impersonating`] share connections, discovery, rate limit, counts and watches.
#[derive(Clone)]
pub struct Cluster {
    pub(crate) shared: Arc<Shared>,
    pub(crate) identity: Option<Arc<Identity>>,
    pub(crate) fence: Option<Arc<Fence>>,
}

/// Says whether something may be written at this moment.
pub(crate) type Fence = dyn Fn() -> bool + Send + Sync;

/// What all identities of one cluster share.
pub(crate) struct Shared {
    pub(crate) client: kube::Client,
    pub(crate) url: String,
    /// Under which path of the server it is served; empty: at its root.
    pub(crate) below: String,
    pub(crate) user_agent: String,
    pub(crate) timeout: Duration,
    pub(crate) limit: RateLimit,
    pub(crate) ledger: Ledger,
    pub(crate) discovery: Discovery,
    pub(crate) budget: WatchBudget,
}

/// Whom to act as, by impersonation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// User name.
    pub user: String,
    /// Groups; the server adds those that every user or service account has.
    pub groups: Vec<String>,
}

impl Identity {
    /// A service account, as Flux impersonates it: no groups are set.
    #[must_use]
    pub fn service_account(namespace: &str, name: &str) -> Self {
        Self { user: format!("system:serviceaccount:{namespace}:{name}"), groups: Vec::new() }
    }
}

/// Where the address and the credentials are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Credentials {
    /// As kubectl looks for them: `KUBECONFIG`, `~/.kube/config`, then the pod's service account.
    #[default]
    Infer,
    /// A kubeconfig file.
    Kubeconfig(PathBuf),
    /// The pod's service account.
    InCluster,
}

/// How to connect. The defaults are those of Flux's controllers.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// Where the address and the credentials are.
    pub credentials: Credentials,
    /// The context of the kubeconfig; its current one if none is given.
    pub context: Option<String>,
    /// Requests a second in the long run, until the server shows flow control of its own; 0 for no limit.
    pub qps: f32,
    /// Requests at once.
    pub burst: u32,
    /// How long one request may take; watches and waits have their own times.
    pub timeout: Duration,
    /// Who we say we are.
    pub user_agent: String,
    /// How many watches may be open at once.
    pub max_watches: usize,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            credentials: Credentials::Infer,
            context: None,
            qps: 50.0,
            burst: 300,
            timeout: Duration::from_secs(30),
            user_agent: concat!("soll/", env!("CARGO_PKG_VERSION")).to_owned(),
            max_watches: 200,
        }
    }
}

/// Why there is no connection to be had.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The kubeconfig cannot be read or does not fit.
    #[error("cannot use the kubeconfig{}", .path.as_ref().map(|path| format!(" {}", path.display())).unwrap_or_default())]
    Kubeconfig {
        /// The file, if one was named.
        path: Option<PathBuf>,
        /// What is wrong with it.
        source: Box<kube::config::KubeconfigError>,
    },
    /// This is no pod of a cluster.
    #[error("cannot use the service account of this pod")]
    InCluster(#[source] Box<kube::config::InClusterError>),
    /// Neither a kubeconfig nor a service account.
    #[error("found neither a kubeconfig nor the service account of a pod")]
    Infer(#[source] Box<kube::config::InferConfigError>),
    /// The certificates or the credentials cannot be used.
    #[error("cannot set up the connection to {url}")]
    Client {
        /// The server.
        url: String,
        /// What is wrong.
        source: Box<kube::Error>,
    },
}

impl Cluster {
    /// Prepares a connection; nothing is sent yet. Needs a tokio runtime.
    ///
    /// # Errors
    /// If the kubeconfig or its certificates cannot be used.
    pub async fn connect(options: &ConnectOptions) -> Result<Self, ConnectError> {
        let config = options.config().await?;
        Self::from_config(config, options)
    }

    /// Prepares a connection by the text of a kubeconfig; for remote clusters.
    ///
    /// # Errors
    /// If the kubeconfig or its certificates cannot be used.
    pub async fn from_kubeconfig(text: &str, options: &ConnectOptions) -> Result<Self, ConnectError> {
        let wrong = |source| ConnectError::Kubeconfig { path: None, source: Box::new(source) };
        let kubeconfig = Kubeconfig::from_yaml(text).map_err(wrong)?;
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options.kube_options()).await.map_err(wrong)?;
        Self::from_config(config, options)
    }

    /// A cluster behind a service in this process, such as the embedded API server. Needs a tokio runtime.
    ///
    /// There is no rate limit: nobody else is waiting, and nothing is sent over a network.
    pub fn from_service<S, B>(service: S, options: &ConnectOptions) -> Self
    where
        S: tower::Service<http::Request<Body>, Response = http::Response<B>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<tower::BoxError>,
        B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<tower::BoxError>,
    {
        let options = ConnectOptions { qps: 0.0, ..options.clone() };
        Self::from_client(kube::Client::new(service, "default"), "in-process".to_owned(), &options)
    }

    fn from_config(mut config: kube::Config, options: &ConnectOptions) -> Result<Self, ConnectError> {
        let url = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        // Whether to retry is decided in one place, `transport`.
        config.default_retry = false;
        let client = kube::Client::try_from(config)
            .map_err(|source| ConnectError::Client { url: url.clone(), source: Box::new(source) })?;
        Ok(Self::from_client(client, url, options))
    }

    fn from_client(client: kube::Client, url: String, options: &ConnectOptions) -> Self {
        let shared = Shared {
            client,
            url,
            below: String::new(),
            user_agent: options.user_agent.clone(),
            timeout: options.timeout,
            limit: RateLimit::new(options.qps, options.burst),
            ledger: Ledger::default(),
            discovery: Discovery::default(),
            budget: WatchBudget::new(options.max_watches),
        };
        Self { shared: Arc::new(shared), identity: None, fence: None }
    }

    /// The same cluster, acting as somebody else.
    #[must_use]
    pub fn impersonating(&self, identity: Identity) -> Self {
        Self { identity: Some(Arc::new(identity)), ..self.clone() }
    }

    /// The same cluster, acting as the credentials say.
    #[must_use]
    pub fn as_itself(&self) -> Self {
        Self { identity: None, ..self.clone() }
    }

    /// The same cluster, for somebody who may not write at all times: each write asks first, just before it is sent, and
    /// ends as [`ApiError::Fenced`] if the answer is no.
    #[must_use]
    pub fn fenced(&self, may_write: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { fence: Some(Arc::new(may_write)), ..self.clone() }
    }

    /// Whom this acts as, if not as the credentials say.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_deref()
    }

    /// The address of the API server; `in-process` if there is none.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// What was asked of the API server so far, by all identities.
    #[must_use]
    pub fn requests(&self) -> RequestCounts {
        self.shared.ledger.counts()
    }

    /// How many watches may be open, and how many are.
    #[must_use]
    pub fn watch_budget(&self) -> &WatchBudget {
        &self.shared.budget
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("url", &self.shared.url).field("identity", &self.identity).finish()
    }
}

impl ConnectOptions {
    async fn config(&self) -> Result<kube::Config, ConnectError> {
        match &self.credentials {
            Credentials::InCluster => kube::Config::incluster().map_err(|e| ConnectError::InCluster(Box::new(e))),
            Credentials::Kubeconfig(path) => {
                let wrong = |source| ConnectError::Kubeconfig { path: Some(path.clone()), source: Box::new(source) };
                let kubeconfig = Kubeconfig::read_from(path).map_err(wrong)?;
                kube::Config::from_custom_kubeconfig(kubeconfig, &self.kube_options()).await.map_err(wrong)
            }
            // A named context can only be meant for a kubeconfig.
            Credentials::Infer if self.context.is_some() => kube::Config::from_kubeconfig(&self.kube_options())
                .await
                .map_err(|source| ConnectError::Kubeconfig { path: None, source: Box::new(source) }),
            Credentials::Infer => kube::Config::infer().await.map_err(|e| ConnectError::Infer(Box::new(e))),
        }
    }

    fn kube_options(&self) -> KubeConfigOptions {
        KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() }
    }
}
