//! An admission webhook for a real API server.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use axum::Json;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// Answers admission reviews over TLS, on a free port of the loopback interface. Ends with the value.
pub struct Webhook {
    address: SocketAddr,
    /// As a webhook configuration wants it.
    authority: String,
    denies: Arc<Mutex<Option<String>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Webhook {
    /// Starts one that denies everything, in these words.
    pub fn denying(words: &str) -> Self {
        let pair = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate can be made");
        let key = PrivateKeyDer::try_from(pair.signing_key.serialize_der()).expect("a key that was just made");
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider knows them")
            .with_no_client_auth()
            .with_single_cert(vec![pair.cert.der().clone()], key)
            .expect("a certificate with its key");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let denies = Arc::new(Mutex::new(Some(words.to_owned())));
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("tokio needs it so");
        let address = listener.local_addr().expect("it is bound");
        let (stop, stopped) = oneshot::channel::<()>();
        let said = Arc::clone(&denies);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).expect("the listener is fine");
                tokio::select! {
                    () = accept(listener, acceptor, said) => {}
                    // Dropped, too, when the webhook is.
                    _ = stopped => {}
                }
            });
        });
        let authority = STANDARD.encode(pair.cert.pem());
        Self { address, authority, denies, stop: Some(stop), thread: Some(thread) }
    }

    /// Lets everything pass from now on.
    pub fn allow(&self) {
        *self.denies.lock().expect("no line that holds this lock panics") = None;
    }

    /// The `clientConfig` of its configuration.
    pub fn client_config(&self) -> Value {
        json!({"url": format!("https://{}/", self.address), "caBundle": self.authority})
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was printed.
            let _ = thread.join();
        }
    }
}

async fn accept(listener: tokio::net::TcpListener, acceptor: TlsAcceptor, denies: Arc<Mutex<Option<String>>>) {
    let router = axum::Router::new().fallback(move |Json(review): Json<Value>| {
        let denied = denies.lock().expect("no line that holds this lock panics").clone();
        std::future::ready(Json(answer(&review, denied)))
    });
    // Dropped with the listener, and the connections with it.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.expect("loopback is there");
                let (acceptor, service) = (acceptor.clone(), TowerToHyperService::new(router.clone()));
                connections.spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    // The API server closes connections as it likes.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

fn answer(review: &Value, denied: Option<String>) -> Value {
    let mut response = json!({"uid": review["request"]["uid"], "allowed": denied.is_none()});
    if let Some(message) = denied {
        response["status"] = json!({"message": message});
    }
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
}
