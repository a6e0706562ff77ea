//! The server as a value: made, used in this process, or served on a port.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::auth::{Access, Peer};
use crate::forks::{self, Fork, Forks};
use crate::identity::Identity;
use crate::refusal::Refusal;
use crate::resources::Registry;
use crate::rest::{self, Api, BODY_LIMIT, Body, answer};
use crate::serve::{self, Running, ServeError};
use crate::store::{Keeping, Limits, Recovery, Store};
use crate::{bootstrap, crd, housekeeping};

/// Who can reach a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Programs on this machine only: other addresses than those of the loopback interface are refused.
    ThisMachine,
    /// Whoever reaches the address. It is a server for trying things out: whoever guesses or steals the administrator's token has
    /// all that is in it, nothing limits how often somebody tries, and nobody has attacked it in earnest yet.
    Network {
        /// The names and addresses by which others know this machine; they go into its certificate, and the first of them into
        /// the kubeconfig.
        names: Vec<String>,
    },
}

/// What can be chosen.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// How large objects may be, and how much of the past is kept for watches and pages.
    pub limits: Limits,
    /// How many watches there may be at once; more are answered with 429.
    pub watches: usize,
    /// Who can reach it.
    pub reach: Reach,
    /// Whether garbage is collected, namespaces are filled and emptied, and volumes and claims protected. Without, the
    /// server is what kube-apiserver is without kube-controller-manager, for those who bring controllers of their own.
    pub controllers: bool,
    /// Where the store is kept; in memory only if nowhere.
    pub keeping: Option<Keeping>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self { limits: Limits::default(), watches: 10_000, reach: Reach::ThisMachine, controllers: true, keeping: None }
    }
}

/// An API server. Dropping it ends its watches and its housekeeping.
#[derive(Debug)]
pub struct Server {
    api: Arc<Api>,
    reach: Reach,
    recovery: Option<Recovery>,
    housekeeping: JoinHandle<()>,
    _closing: DropGuard,
}

impl Server {
    /// Starts a server with what every cluster has: namespaces, default service accounts, roles; with what was stored before,
    /// if it is kept. Reading that back takes about a second for 50 MiB, on the thread of the caller.
    ///
    /// Must be called within a tokio runtime: housekeeping (garbage, namespaces, old events) runs there.
    ///
    /// # Errors
    /// If no certificates can be made, or the store cannot be kept.
    pub fn new(options: &ServerOptions) -> Result<Self, ServeError> {
        let (store, identity, recovery) = match &options.keeping {
            None => (Store::new(options.limits), Identity::new()?, None),
            Some(keeping) => {
                // Opened first: then nobody else uses the directory.
                let (store, recovery) = Store::open(options.limits, keeping)?;
                (store, Identity::kept(&keeping.directory)?, Some(recovery))
            }
        };
        if let Some(bytes) = recovery.as_ref().and_then(|recovery| recovery.cut) {
            tracing::warn!(bytes, "the log ended in the middle of a write that nobody was told of: it was cut off");
        }
        let Identity { authority, admin_token, signer } = identity;
        let closing = CancellationToken::new();
        let api = Arc::new(Api {
            store,
            registry: Registry::builtin(),
            access: Access::new(admin_token, signer),
            addresses: Default::default(),
            authority: Arc::new(authority),
            controllers: options.controllers,
            watches: Arc::new(Semaphore::new(options.watches.min(Semaphore::MAX_PERMITS))),
            most_watches: options.watches,
            forks: Some(Forks::default()),
            closing: closing.clone(),
        });
        crd::serve_stored(&api.store, &api.registry);
        bootstrap::fill(&api, recovery.as_ref().is_none_or(Recovery::is_new));
        let housekeeping = tokio::spawn(housekeeping::run(api.clone(), options.controllers));
        Ok(Self { api, reach: options.reach.clone(), recovery, housekeeping, _closing: closing.drop_guard() })
    }

    /// What was found where the store is kept; nothing if it is not.
    #[must_use]
    pub fn recovery(&self) -> Option<&Recovery> {
        self.recovery.as_ref()
    }

    /// The server for callers in this process: they are the administrator, and may impersonate.
    #[must_use]
    pub fn service(&self) -> Service {
        Service::inside(self.api.clone())
    }

    /// Serves on an address of this machine, over TLS.
    ///
    /// # Errors
    /// If others would reach the address and [`ServerOptions::reach`] does not say that they may, or it cannot be had.
    pub async fn serve(&self, address: SocketAddr) -> Result<Running, ServeError> {
        let service = Service { api: self.api.clone(), peer: Peer::Unknown };
        let (token, closing) = (self.api.access.admin_token(), self.api.closing.clone());
        serve::serve(service, address, &self.reach, &self.api.authority, token, closing).await
    }

    /// A second server with the same objects, in memory and for callers of this process: what is written to one is not seen in the
    /// other. It costs a reference to each object, however large they are; its past begins where this one's does, so watches and
    /// pages that began here go on there.
    ///
    /// Nobody watches over it: garbage stays, and namespaces do not end.
    #[must_use]
    pub fn fork(&self) -> Fork {
        Fork::of(&self.api)
    }

    /// Ends watches and housekeeping, and waits for the latter, and until what was written is kept.
    pub async fn close(self) {
        self.api.closing.cancel();
        // A panic there was already reported by its task.
        let _ = self.housekeeping.await;
        // If it cannot be kept, that was already reported.
        let _ = self.api.store.kept(self.api.store.revision()).await;
    }
}

/// A [`tower::Service`] that answers requests of the Kubernetes API.
#[derive(Debug, Clone)]
pub struct Service {
    api: Arc<Api>,
    peer: Peer,
}

impl Service {
    /// The server for callers in this process.
    pub(crate) fn inside(api: Arc<Api>) -> Self {
        Self { api, peer: Peer::Inside }
    }

    /// The server for whoever is at the other end of a connection.
    pub(crate) fn for_peer(&self, peer: Peer) -> Self {
        Self { api: self.api.clone(), peer }
    }

    pub(crate) async fn answer<B>(self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (mut parts, body) = request.into_parts();
        let bytes = match Limited::new(body, BODY_LIMIT).collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => {
                return answer::refusal(&rest::long_body());
            }
            Err(error) => return answer::refusal(&Refusal::bad_request(format!("the body cannot be read: {error}"))),
        };
        parts.extensions.insert(self.peer);
        forks::handle(self.api, Request::from_parts(parts, bytes)).await
    }
}

impl<B> tower::Service<Request<B>> for Service
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(service.answer(request).await) })
    }
}
