//! A proxy between an engine and its API server, which writes down what is asked, and can spoil one request.
//!
//! A [`Point`] names the request, a [`Fault`] what becomes of it. The engine's death is the business of whoever started
//! it: the proxy asks for it at the right moment, and waits.

mod asked;
mod stream;

use std::collections::HashMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use axum::body::Body;
use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::sync::{Notify, oneshot};

pub use asked::Asked;

/// One of the requests of an engine: which, and the how-manieth of its like, from 0.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Point {
    /// What is asked.
    pub asked: Asked,
    /// How often the same was asked before.
    pub nth: usize,
}

/// On which side of the API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum When {
    /// The server never sees the request.
    Before,
    /// The server has carried it out, and nobody hears the answer.
    After,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// The engine is killed.
    Death(When),
    /// The connection breaks.
    Cut(When),
    /// The server does nothing and answers with this code.
    Refusal(u16),
    /// The server is asked when [`Proxy::let_pass`] says so.
    Held,
    /// The answer comes late.
    Late(Duration),
    /// A watch breaks off within its first event.
    BrokenStream,
    /// The events of a watch come late.
    SlowStream(Duration),
}

/// A request, and what came of it.
#[derive(Debug, Clone)]
pub struct Answered {
    /// Which.
    pub point: Point,
    /// What the API server answered; nothing if it was not asked, or has not answered.
    pub status: Option<u16>,
    /// When it was asked.
    pub began: Instant,
    /// When the API server had answered.
    pub ended: Option<Instant>,
}

/// The proxy, on a free port of the loopback interface. Ends with the value.
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    upstream: kube::Client,
    kill: Box<dyn Fn() + Send + Sync>,
    state: Mutex<State>,
    /// What is held waits for this.
    gate: Notify,
}

#[derive(Default)]
struct State {
    counts: HashMap<Asked, usize>,
    log: Vec<Answered>,
    armed: Option<(Point, Fault)>,
    reached: bool,
}

impl Proxy {
    /// Starts one before the server of a kubeconfig, with the credentials in there. `kill` ends the engine and starts it
    /// anew.
    pub fn start(kubeconfig: &Path, kill: impl Fn() + Send + Sync + 'static) -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("tokio needs it so");
        let address = listener.local_addr().expect("it is bound");
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, shared) = std::sync::mpsc::channel();
        let kubeconfig = kubeconfig.to_owned();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let upstream = connect(&kubeconfig).await;
                let shared =
                    Arc::new(Shared { upstream, kill: Box::new(kill), state: Mutex::default(), gate: Notify::new() });
                ready.send(Arc::clone(&shared)).expect("somebody waits for it");
                let listener = tokio::net::TcpListener::from_std(listener).expect("the listener is fine");
                tokio::select! {
                    () = accept(listener, shared) => {}
                    // Dropped, too, when the proxy is.
                    _ = stopped => {}
                }
            });
        });
        let shared = shared.recv().expect("the kubeconfig can be used");
        Self { shared, address, stop: Some(stop), thread: Some(thread) }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A kubeconfig for whoever is to be proxied.
    pub fn kubeconfig(&self) -> String {
        format!(
            "apiVersion: v1\n\
             kind: Config\n\
             clusters:\n- name: proxied\n  cluster: {{server: '{}'}}\n\
             users:\n- name: user\n  user: {{}}\n\
             contexts:\n- name: proxied\n  context: {{cluster: proxied, user: user}}\n\
             current-context: proxied\n",
            self.url()
        )
    }

    /// Begins a new log, counts from nothing, and spoils the request at a point, if one is given.
    pub fn arm(&self, fault: Option<(Point, Fault)>) {
        *self.shared.state() = State { armed: fault, ..State::default() };
    }

    /// All that was asked since then, in the order of asking.
    pub fn log(&self) -> Vec<Answered> {
        self.shared.state().log.clone()
    }

    /// Lets a request pass that is held.
    pub fn let_pass(&self) {
        self.shared.gate.notify_one();
    }

    /// Whether the point was reached.
    pub fn reached(&self) -> bool {
        self.shared.state().reached
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was printed.
            let _ = thread.join();
        }
    }
}

async fn connect(kubeconfig: &Path) -> kube::Client {
    let kubeconfig = kube::config::Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default())
        .await
        .expect("a kubeconfig with a server");
    // The engine is to see what the server does.
    config.default_retry = false;
    kube::Client::try_from(config).expect("credentials that can be used")
}

async fn accept(listener: tokio::net::TcpListener, shared: Arc<Shared>) {
    // Dropped with the listener, and the connections with it.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (connection, _) = accepted.expect("loopback is there");
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    let service = hyper::service::service_fn(move |request| answer(Arc::clone(&shared), request));
                    // Connections end by faults, and by the death of engines.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(connection), service)
                        .await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// The connection ends without an answer.
#[derive(Debug)]
struct Lost;

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is cut")
    }
}

impl std::error::Error for Lost {}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, Lost> {
    let asked = Asked::of(request.method(), request.uri(), request.headers());
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Lost)?.to_bytes();
    let (place, fault) = shared.note(asked);
    match fault {
        Some(Fault::Death(When::Before)) => return shared.kill().await,
        Some(Fault::Cut(When::Before)) => return Err(Lost),
        Some(Fault::Refusal(code)) => return Ok(refusal(code)),
        Some(Fault::Held) => shared.gate.notified().await,
        _ => {}
    }
    let mut upstream = Request::new(kube::client::Body::from(body));
    *upstream.method_mut() = parts.method;
    *upstream.uri_mut() = parts.uri;
    *upstream.headers_mut() = parts.headers;
    upstream.headers_mut().remove(header::HOST);
    upstream.headers_mut().remove(header::CONTENT_LENGTH);
    // What was sent is carried out, and written down, even if whoever asked dies meanwhile.
    let forwarding = Arc::clone(&shared);
    let forwarded = tokio::spawn(async move {
        let answered = forwarding.upstream.send(upstream).await.map_err(|_| Lost)?;
        forwarding.answered(place, answered.status());
        Ok(answered)
    });
    let answered = forwarded.await.map_err(|_| Lost)??;
    let answered = answered.map(Body::new);
    match fault {
        Some(Fault::Death(When::After)) => shared.kill().await,
        Some(Fault::Cut(When::After)) => Err(Lost),
        Some(Fault::Late(pause)) => {
            tokio::time::sleep(pause).await;
            Ok(answered)
        }
        Some(Fault::BrokenStream) => Ok(answered.map(stream::broken)),
        Some(Fault::SlowStream(pause)) => Ok(answered.map(|body| stream::slow(body, pause))),
        Some(Fault::Death(When::Before) | Fault::Cut(When::Before) | Fault::Refusal(_) | Fault::Held) | None => {
            Ok(answered)
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no line that holds this lock panics")
    }

    /// Writes a request down. Returns its place in the log, and what is to become of it.
    fn note(&self, asked: Asked) -> (usize, Option<Fault>) {
        let mut state = self.state();
        let count = state.counts.entry(asked.clone()).or_default();
        let point = Point { asked, nth: *count };
        *count += 1;
        let fault = state.armed.as_ref().filter(|(armed, _)| *armed == point).map(|(_, fault)| *fault);
        if fault.is_some() {
            state.armed = None;
            state.reached = true;
        }
        state.log.push(Answered { point, status: None, began: Instant::now(), ended: None });
        (state.log.len() - 1, fault)
    }

    fn answered(&self, place: usize, status: StatusCode) {
        // A new log may have begun meanwhile.
        if let Some(entry) = self.state().log.get_mut(place) {
            entry.status = Some(status.as_u16());
            entry.ended = Some(Instant::now());
        }
    }

    async fn kill(self: Arc<Self>) -> Result<Response<Body>, Lost> {
        tokio::task::spawn_blocking(move || (self.kill)()).await.expect("the engine can be started");
        Err(Lost)
    }
}

/// What an API server answers that does not do what it was asked.
fn refusal(code: u16) -> Response<Body> {
    let reason = match code {
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        500 => "InternalError",
        504 => "Timeout",
        other => panic!("no reason is known for {other}"),
    };
    let details = if code == 429 { r#","details":{"retryAfterSeconds":1}"# } else { "" };
    let body = format!(
        r#"{{"kind":"Status","apiVersion":"v1","metadata":{{}},"status":"Failure","message":"spoiled","reason":"{reason}","code":{code}{details}}}"#
    );
    let mut response = Response::builder().status(code).header(header::CONTENT_TYPE, "application/json");
    if code == 429 {
        response = response.header(header::RETRY_AFTER, "1");
    }
    response.body(Body::from(body.into_bytes())).expect("a status and two headers")
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} #{}", self.asked, self.nth)
    }
}
