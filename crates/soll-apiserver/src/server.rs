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
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::auth::{Access, Inside};
use crate::identity::Identity;
use crate::refusal::Refusal;
use crate::resources::Registry;
use crate::rest::{self, Api, BODY_LIMIT, Body, answer};
use crate::serve::{self, Running, ServeError};
use crate::store::{Keeping, Limits, Recovery, Store};
use crate::tls::Authority;
use crate::{bootstrap, crd, housekeeping};

/// What can be chosen.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// How much of the past is kept for watches and pages.
    pub limits: Limits,
    /// Whether garbage is collected, namespaces are filled and emptied, and volumes and claims protected. Without, the
    /// server is what kube-apiserver is without kube-controller-manager, for those who bring controllers of their own.
    pub controllers: bool,
    /// Where the store is kept; in memory only if nowhere.
    pub keeping: Option<Keeping>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self { limits: Limits::default(), controllers: true, keeping: None }
    }
}

/// An API server. Dropping it ends its watches and its housekeeping.
#[derive(Debug)]
pub struct Server {
    api: Arc<Api>,
    authority: Authority,
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
            ca_pem: authority.certificate().to_owned(),
            controllers: options.controllers,
            closing: closing.clone(),
        });
        crd::serve_stored(&api.store, &api.registry);
        bootstrap::fill(&api, recovery.as_ref().is_none_or(Recovery::is_new));
        let housekeeping = tokio::spawn(housekeeping::run(api.clone(), options.controllers));
        Ok(Self { api, authority, recovery, housekeeping, _closing: closing.drop_guard() })
    }

    /// What was found where the store is kept; nothing if it is not.
    #[must_use]
    pub fn recovery(&self) -> Option<&Recovery> {
        self.recovery.as_ref()
    }

    /// The server for callers in this process: they are the administrator, and may impersonate.
    #[must_use]
    pub fn service(&self) -> Service {
        Service { api: self.api.clone(), trusted: true }
    }

    /// Serves on an address of this machine, over TLS.
    ///
    /// # Errors
    /// If the address is not a loopback address, or cannot be had.
    pub async fn serve(&self, address: SocketAddr) -> Result<Running, ServeError> {
        let service = Service { api: self.api.clone(), trusted: false };
        serve::serve(service, address, &self.authority, self.api.access.admin_token(), self.api.closing.clone()).await
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
    trusted: bool,
}

impl Service {
    pub(crate) async fn answer<B>(self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (mut parts, body) = request.into_parts();
        let bytes = match Limited::new(body, BODY_LIMIT).collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => {
                return answer::refusal(&Refusal::too_large("Request entity too large: limit is 3145728"));
            }
            Err(error) => return answer::refusal(&Refusal::bad_request(format!("the body cannot be read: {error}"))),
        };
        parts.extensions.remove::<Inside>();
        if self.trusted {
            parts.extensions.insert(Inside);
        }
        rest::handle(self.api, Request::from_parts(parts, bytes)).await
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
