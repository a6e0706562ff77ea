//! A Git server over http, on a thread of its own.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::Authority;

/// Serves the repositories below a directory by `git http-backend`.
pub(crate) struct GitServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    tls: Option<Arc<rustls::ServerConfig>>,
    running: Option<Running>,
}

/// How a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// As it should.
    Honest,
    /// As it should, but only by protocol version 0.
    Old,
    /// As [`Behaviour::Old`], but not to who does not ask for `multi_ack`, as Azure DevOps does.
    OldWithMultiAck,
    /// With this status and nothing else.
    Status(u16),
    /// Never.
    Hang,
    /// With a page in place of Git, as a login portal does.
    Page,
    /// As it should until the pack comes, which is damaged at its middle.
    DamagedPack,
    /// As it should until the pack comes, which breaks off.
    CutPack,
    /// By redirecting to another base URL.
    Redirect(String),
    /// As it should until its names are asked for, of which there is no end.
    EndlessRefs,
    /// As it should, but it gives out only what a branch or tag names, and says otherwise what JGit says.
    ListedOnly,
    /// As [`Behaviour::ListedOnly`], in words that nobody knows.
    ListedOnlyInOtherWords,
}

struct Shared {
    root: PathBuf,
    basic: Mutex<Option<String>>,
    bearer: Mutex<Option<String>>,
    behaviour: Mutex<Behaviour>,
    requests: AtomicUsize,
    sent: AtomicUsize,
    acknowledged: AtomicUsize,
}

struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl GitServer {
    /// Serves the repositories below `root` on a free port of loopback.
    pub(crate) fn start(root: &Path) -> Self {
        Self::start_with(root, None)
    }

    /// Serves with https, by a certificate of that authority for `localhost`.
    pub(crate) fn start_tls(root: &Path, authority: &Authority, clients_need_certificates: bool) -> Self {
        Self::start_with(root, Some(Arc::new(authority.server("localhost", clients_need_certificates))))
    }

    fn start_with(root: &Path, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let shared = Shared {
            root: root.to_owned(),
            basic: Mutex::default(),
            bearer: Mutex::default(),
            behaviour: Mutex::new(Behaviour::Honest),
            requests: AtomicUsize::new(0),
            sent: AtomicUsize::new(0),
            acknowledged: AtomicUsize::new(0),
        };
        let listener = StdListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let mut server = Self { shared: Arc::new(shared), address, tls, running: None };
        server.run(listener);
        server
    }

    /// The URL of a repository by its path below the root.
    pub(crate) fn url(&self, repository: &str) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://localhost:{}/{repository}", self.address.port())
    }

    /// From now on, only who knows the password gets in.
    pub(crate) fn require_basic(&self, user: &str, password: &str) {
        *self.shared.basic.lock().expect("no panic") = Some(format!("{user}:{password}"));
    }

    /// From now on, only who has the token gets in.
    pub(crate) fn require_bearer(&self, token: &str) {
        *self.shared.bearer.lock().expect("no panic") = Some(token.to_owned());
    }

    /// Changes how it answers.
    pub(crate) fn behave(&self, behaviour: Behaviour) {
        *self.shared.behaviour.lock().expect("no panic") = behaviour;
    }

    /// Requests so far.
    pub(crate) fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// Bytes of answers so far.
    pub(crate) fn sent(&self) -> usize {
        self.shared.sent.load(Ordering::SeqCst)
    }

    /// Answers so far that acknowledge a commit in the way of `multi_ack`.
    pub(crate) fn acknowledged(&self) -> usize {
        self.shared.acknowledged.load(Ordering::SeqCst)
    }

    /// Goes away; connections are cut.
    pub(crate) fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            // A receiver that is gone has stopped already.
            let _ = running.stop.send(());
            running.thread.join().expect("the server did not panic");
        }
    }

    /// Comes back at the same address.
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.run(StdListener::bind(self.address).expect("the port is still free"));
    }

    fn run(&mut self, listener: StdListener) {
        listener.set_nonblocking(true).expect("a socket can be so");
        let (stop, stopped) = oneshot::channel();
        let (shared, tls) = (self.shared.clone(), self.tls.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, tls, shared) => {}
                    _ = stopped => {}
                }
            });
        });
        self.running = Some(Running { stop, thread });
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn serve(listener: StdListener, tls: Option<Arc<rustls::ServerConfig>>, shared: Arc<Shared>) {
    let listener = TcpListener::from_std(listener).expect("a listener");
    let router = Router::new().fallback(answer).with_state(shared);
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (router, tls) = (router.clone(), tls.clone());
        connections.spawn(async move {
            let service = TowerToHyperService::new(router);
            let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            // Clients that go away are no matter here.
            let _ = match tls {
                None => server.serve_connection(TokioIo::new(stream), service).await,
                Some(tls) => match TlsAcceptor::from(tls).accept(stream).await {
                    Ok(stream) => server.serve_connection(TokioIo::new(stream), service).await,
                    Err(_) => Ok(()),
                },
            };
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    shared.requests.fetch_add(1, Ordering::SeqCst);
    let behaviour = shared.behaviour.lock().expect("no panic").clone();
    match &behaviour {
        Behaviour::Status(status) => return StatusCode::from_u16(*status).expect("a status").into_response(),
        Behaviour::Hang => std::future::pending().await,
        Behaviour::Page => return ([(header::CONTENT_TYPE, "text/html")], "<h1>Log in</h1>").into_response(),
        Behaviour::Redirect(base) => {
            let target = format!("{base}{}", request.uri().path_and_query().expect("requests have one"));
            return (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, target)]).into_response();
        }
        Behaviour::EndlessRefs if request.method() == axum::http::Method::POST => return endless_refs(),
        Behaviour::Honest
        | Behaviour::Old
        | Behaviour::OldWithMultiAck
        | Behaviour::DamagedPack
        | Behaviour::CutPack
        | Behaviour::EndlessRefs
        | Behaviour::ListedOnly
        | Behaviour::ListedOnlyInOtherWords => {}
    }
    if !shared.lets_in(request.headers()) {
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"git\"")]).into_response();
    }
    backend(&shared, &behaviour, request).await
}

/// Long names, so that the limit is met after few of them.
fn endless_refs() -> Response {
    let line = format!("{} refs/heads/main/{}\n", "0123456789".repeat(4), "x".repeat(60_000));
    let frame = bytes::Bytes::from(format!("{:04x}{line}", line.len() + 4));
    let frames = futures::stream::repeat_with(move || Ok::<_, std::convert::Infallible>(frame.clone()));
    let kind = [(header::CONTENT_TYPE, "application/x-git-upload-pack-result")];
    (kind, Body::from_stream(frames)).into_response()
}

impl Shared {
    fn lets_in(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let basic =
            self.basic.lock().expect("no panic").as_ref().is_none_or(|pair| {
                given == format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
            });
        let bearer = self.bearer.lock().expect("no panic");
        basic && bearer.as_ref().is_none_or(|token| given == format!("Bearer {token}"))
    }
}

/// Runs the real thing.
async fn backend(shared: &Shared, behaviour: &Behaviour, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let text =
        |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let words = match behaviour {
        Behaviour::ListedOnly => Some("not valid"),
        Behaviour::ListedOnlyInOtherWords => Some("is none of your business"),
        _ => None,
    };
    if let Some(words) = words
        && let Some(want) = unlisted(shared, parts.uri.path(), &body)
    {
        return refusal(&format!("want {want} {words}"));
    }
    let first = String::from_utf8_lossy(&body).lines().next().unwrap_or_default().to_owned();
    if *behaviour == Behaviour::OldWithMultiAck
        && first.contains("want ")
        && !first.split(' ').any(|word| word == "multi_ack")
    {
        return refusal("TF401041: The Git protocol sent is not as expected (Clients must support multi-ack.).");
    }
    let is_old = matches!(behaviour, Behaviour::Old | Behaviour::OldWithMultiAck);
    let protocol = if is_old { String::new() } else { text("git-protocol") };
    let mut child = tokio::process::Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &shared.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("PATH_INFO", parts.uri.path())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("CONTENT_TYPE", text("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("GIT_PROTOCOL", protocol)
        .env("HTTP_CONTENT_ENCODING", text("content-encoding"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("git can be started");
    let mut stdin = child.stdin.take().expect("it is piped");
    let (_, output) = tokio::join!(
        async move {
            // The program may not want to hear all of it.
            let _ = stdin.write_all(&body).await;
        },
        child.wait_with_output(),
    );
    let output = output.expect("git has run").stdout;
    shared.sent.fetch_add(output.len(), Ordering::SeqCst);
    let acknowledges = output.windows(10).any(|ten| ten == b" continue\n");
    shared.acknowledged.fetch_add(usize::from(acknowledges), Ordering::SeqCst);
    response(&output, behaviour)
}

fn refusal(words: &str) -> Response {
    let line = format!("ERR {words}\n");
    let kind = [(header::CONTENT_TYPE, "application/x-git-upload-pack-result")];
    (kind, format!("{:04x}{line}", line.len() + 4)).into_response()
}

/// The first object that a request wants and no branch or tag names.
fn unlisted(shared: &Shared, path: &str, body: &[u8]) -> Option<String> {
    let repository = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let mut command = std::process::Command::new("git");
    command.args(["for-each-ref", "--format=%(objectname)"]).current_dir(shared.root.join(repository));
    let listed = String::from_utf8(command.output().expect("git can be started").stdout).expect("ids are text");
    let body = String::from_utf8_lossy(body);
    let mut wants = body.lines().filter_map(|line| line.split_once("want ")).map(|(_, want)| want.to_owned());
    wants.find(|want| !listed.lines().any(|id| id == want))
}

/// Turns what a CGI program prints into a response.
fn response(output: &[u8], behaviour: &Behaviour) -> Response {
    let end = output.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(output.len());
    let head = String::from_utf8_lossy(&output[..end]).into_owned();
    let mut body = output.get(end + 4..).unwrap_or_default().to_vec();
    let pack = body.windows(4).position(|four| four == b"PACK");
    match (behaviour, pack) {
        (Behaviour::DamagedPack, Some(start)) => {
            let middle = start + (body.len() - start) / 2;
            body[middle] ^= 0xff;
        }
        (Behaviour::CutPack, Some(start)) => body.truncate(start + (body.len() - start) / 2),
        _ => {}
    }
    let mut response = Response::builder();
    for line in head.lines() {
        match line.split_once(": ") {
            Some(("Status", status)) => response = response.status(status[..3].parse::<u16>().expect("a status")),
            Some((name, value)) => response = response.header(name, value),
            None => {}
        }
    }
    response.body(Body::from(body)).expect("git prints a proper head")
}
