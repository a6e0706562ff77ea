//! Serving on a port of this machine.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::auth::Peer;
use crate::auth::certificate::Certified;
use crate::server::{Reach, Service};
use crate::store::KeepError;
use crate::tls::Authority;

/// Why a server cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Others would reach it, and nobody said that they may.
    #[error(
        "{0} is not a loopback address: the embedded API server is for this machine only, unless it is told otherwise"
    )]
    NotLoopback(SocketAddr),
    /// The address is taken, or not this machine's.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The store cannot be kept.
    #[error(transparent)]
    Keep(#[from] KeepError),
    /// The keys that are kept beside the store cannot be had.
    #[error("cannot use {path}")]
    Identity {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No key to sign tokens with.
    #[error("cannot make or read the key that signs tokens of service accounts")]
    Signer,
    /// The certificate of the authority cannot be read.
    #[error("the certificate of the server's own authority is damaged")]
    Authority,
    /// No certificate.
    #[error("cannot make certificates")]
    Certificate(#[from] rcgen::Error),
    /// No TLS.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
}

/// A server that listens. Dropping it lets it go on until the [`crate::Server`] is dropped.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    kubeconfig: String,
    accepting: JoinHandle<()>,
}

impl Running {
    /// Where it listens: `https://127.0.0.1:6443`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A kubeconfig for the administrator, as YAML.
    #[must_use]
    pub fn kubeconfig(&self) -> &str {
        &self.kubeconfig
    }

    /// Writes the kubeconfig so that only this user can read it; replaces a file that is there.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_kubeconfig(&self, path: &Path) -> std::io::Result<()> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let beside = path.with_extension("tmp");
        // What an earlier run left there may be readable by others.
        match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(self.kubeconfig.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    }

    /// Stops listening here and cuts every connection, as when a server dies. The [`crate::Server`] keeps its objects and
    /// can serve again, also at the same address.
    pub async fn stop(self) {
        self.accepting.abort();
        // Cancelled, as wanted; a panic was already reported by its task.
        let _ = self.accepting.await;
    }

    /// Waits until the server was closed and its connections are finished.
    pub async fn closed(self) {
        // A panic there was already reported by its task.
        let _ = self.accepting.await;
    }
}

/// Connections get this long to finish when the server closes.
const GRACE: Duration = Duration::from_secs(2);
const HANDSHAKE: Duration = Duration::from_secs(10);

pub(crate) async fn serve(
    service: Service,
    address: SocketAddr,
    reach: &Reach,
    authority: &Authority,
    token: &str,
    closing: CancellationToken,
) -> Result<Running, ServeError> {
    let names = match reach {
        Reach::ThisMachine if !address.ip().is_loopback() => return Err(ServeError::NotLoopback(address)),
        Reach::ThisMachine => &[][..],
        Reach::Network { names } => names,
    };
    let acceptor = TlsAcceptor::from(authority.server_config(address.ip(), names)?);
    let gate = Gate { acceptor, clients: authority.clients()?, service };
    let listen = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let host = names.first().map_or_else(|| address.to_string(), |name| host(name, address.port()));
    let kubeconfig = kubeconfig(&host, authority.certificate(), token);
    let accepting = tokio::spawn(accept(listener, gate, closing));
    Ok(Running { address, kubeconfig, accepting })
}

/// A name or an address with a port, as URLs have them.
fn host(name: &str, port: u16) -> String {
    match name.parse::<std::net::Ipv6Addr>() {
        Ok(address) => format!("[{address}]:{port}"),
        Err(_) => format!("{name}:{port}"),
    }
}

/// What every connection goes through.
#[derive(Clone)]
struct Gate {
    acceptor: TlsAcceptor,
    /// Knows the certificates of clients.
    clients: Arc<dyn ClientCertVerifier>,
    service: Service,
}

impl Gate {
    /// The service for a connection: it knows the certificate that was shown.
    fn service(&self, shown: Option<&[CertificateDer<'static>]>) -> Service {
        self.service.for_peer(match shown {
            None | Some([]) => Peer::Unknown,
            Some(chain) => match Certified::of(chain, &*self.clients) {
                Some(certified) => Peer::Certified(Arc::new(certified)),
                None => Peer::Mistaken,
            },
        })
    }
}

/// Takes connections until the server closes, then waits a little for those that are open.
async fn accept(listener: TcpListener, gate: Gate, closing: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, gate.clone(), closing.clone()));
                }
                Err(error) => {
                    // Most likely no file descriptor is left: wait for some to come back.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = closing.cancelled() => break,
        }
    }
    let finished = async { while connections.join_next().await.is_some() {} };
    // What does not finish in time is cut off when the set is dropped.
    let _ = tokio::time::timeout(GRACE, finished).await;
}

async fn connection(stream: TcpStream, gate: Gate, closing: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot send small packets at once");
    }
    let stream = match tokio::time::timeout(HANDSHAKE, gate.acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "TLS handshake failed"),
        Err(_) => return tracing::debug!("TLS handshake took too long"),
    };
    let service = gate.service(stream.get_ref().1.peer_certificates());
    let answer = service_fn(move |request| {
        let service = service.clone();
        async move { Ok::<_, std::convert::Infallible>(service.answer(request).await) }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    let connection = builder.serve_connection(TokioIo::new(stream), answer);
    tokio::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => {
            if let Err(error) = ended {
                tracing::debug!(error, "a connection ended early");
            }
        }
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            if let Err(error) = connection.await {
                tracing::debug!(error, "a connection ended early");
            }
        }
    }
}

fn kubeconfig(host: &str, certificate: &str, token: &str) -> String {
    let certificate = STANDARD.encode(certificate);
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: soll\nclusters:\n- name: soll\n  cluster:\n    server: https://{host}\n    \
         certificate-authority-data: {certificate}\nusers:\n- name: soll\n  user:\n    token: {token}\ncontexts:\n- name: soll\n  \
         context:\n    cluster: soll\n    user: soll\n"
    )
}
