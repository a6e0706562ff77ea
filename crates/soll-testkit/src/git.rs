//! A real Git server over smart HTTP, and repositories for it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::oneshot;

use crate::keeper::Keeper;

/// Serves bare repositories through `git http-backend`, as real Git hosts do, on a free port of the loopback interface.
///
/// Ends with the value. Stopped and started again it has the same port, as a server that was away.
pub struct GitServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    /// Removes the folder, also at the end of a process that never drops this.
    _keeper: Keeper,
}

/// What is wrong with a server that answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GitTrouble {
    /// Each answer takes this long.
    Slow(Duration),
    /// Its branches are said to be at a commit that it does not have.
    Lies,
}

struct Shared {
    root: PathBuf,
    trouble: Mutex<Option<GitTrouble>>,
    /// `Basic …`, if a password is asked for.
    authorization: Option<String>,
    requests: AtomicU64,
}

impl GitServer {
    /// Starts a server without repositories.
    pub fn start() -> Self {
        Self::new(None)
    }

    /// Starts a server that asks for a user name and password.
    pub fn start_private(username: &str, password: &str) -> Self {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
        Self::new(Some(format!("Basic {pair}")))
    }

    fn new(authorization: Option<String>) -> Self {
        let folder = tempfile::Builder::new().prefix("soll-git-").tempdir().expect("a temporary folder").keep();
        let keeper = Keeper::of(folder).expect("a shell can be started");
        let root = keeper.folder().to_owned();
        let shared = Shared { root, trouble: Mutex::default(), authorization, requests: AtomicU64::new(0) };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut server = Self { shared: Arc::new(shared), address, running: None, _keeper: keeper };
        server.restart();
        server
    }

    /// The base of every repository's URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many HTTP requests have come in.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// Something is wrong with its answers from now on, or nothing any more.
    pub fn trouble(&self, trouble: Option<GitTrouble>) {
        *self.shared.trouble.lock().expect("no line that holds this lock panics") = trouble;
    }

    /// Makes an empty repository with the branch `main`.
    pub fn repository(&self, name: &str) -> Repository {
        let bare = self.shared.root.join(format!("{name}.git"));
        let work = self.shared.root.join("work").join(name);
        git(&self.shared.root, &["init", "--quiet", "--bare", "--initial-branch=main", &bare.to_string_lossy()]);
        for (key, value) in [("http.receivepack", "true"), ("uploadpack.allowAnySHA1InWant", "true")] {
            git(&bare, &["config", key, value]);
        }
        std::fs::create_dir_all(&work).expect("a folder for the working tree");
        git(&work, &["init", "--quiet", "--initial-branch=main"]);
        git(&work, &["remote", "add", "origin", &bare.to_string_lossy()]);
        Repository { url: format!("{}/{name}.git", self.url()), work }
    }

    /// Stops listening; connections are refused from then on.
    pub fn stop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            // The server may have ended by itself.
            let _ = stop.send(());
            thread.join().expect("the Git server did not panic");
        }
    }

    /// Listens again at the same address.
    pub fn restart(&mut self) {
        self.stop();
        let listener = std::net::TcpListener::bind(self.address).expect("the port is free");
        listener.set_nonblocking(true).expect("tokio needs it so");
        self.address = listener.local_addr().expect("it is bound");
        let (stop, stopped) = oneshot::channel::<()>();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&self.shared));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).expect("the listener is fine");
                tokio::select! {
                    served = std::future::IntoFuture::into_future(axum::serve(listener, router)) => served.expect("it serves"),
                    // Dropped, too, when the server value is.
                    _ = stopped => {}
                }
            });
        });
        self.running = Some((stop, thread));
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    shared.requests.fetch_add(1, Ordering::SeqCst);
    let header =
        |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok()).unwrap_or_default();
    if shared.authorization.as_deref().is_some_and(|wanted| wanted != header(header::AUTHORIZATION)) {
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"git\"")], "who are you?")
            .into_response();
    }
    let mut command = tokio::process::Command::new("git");
    command.arg("http-backend").env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("GIT_PROJECT_ROOT", &shared.root).env("GIT_HTTP_EXPORT_ALL", "1").env("REMOTE_USER", "test");
    command.env("REQUEST_METHOD", method.as_str()).env("PATH_INFO", uri.path());
    command.env("QUERY_STRING", uri.query().unwrap_or_default()).env("CONTENT_TYPE", header(header::CONTENT_TYPE));
    command.env("HTTP_CONTENT_ENCODING", header(header::CONTENT_ENCODING));
    command.env("CONTENT_LENGTH", body.len().to_string());
    command.env("GIT_PROTOCOL", header(header::HeaderName::from_static("git-protocol")));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
    let mut child = command.spawn().expect("git is installed");
    let mut input = child.stdin.take().expect("it was piped");
    // A backend that refuses closes its input early.
    let written = async move { drop(input.write_all(&body).await) };
    let (output, ()) = tokio::join!(child.wait_with_output(), written);
    let mut output = output.expect("git http-backend ends").stdout;
    let trouble = *shared.trouble.lock().expect("no line that holds this lock panics");
    match trouble {
        Some(GitTrouble::Slow(pause)) => tokio::time::sleep(pause).await,
        Some(GitTrouble::Lies) => lie(&mut output),
        None => {}
    }
    cgi(&output)
}

/// No commit has this name.
const NO_COMMIT: &[u8; 40] = b"0123456789abcdef0123456789abcdef01234567";

/// Names another commit wherever a line tells of a branch or of HEAD.
fn lie(output: &mut [u8]) {
    for place in 40..output.len() {
        let tells = [&b" refs/heads/"[..], b" HEAD"].iter().any(|name| output[place..].starts_with(name));
        if tells && output[place - 40..place].iter().all(u8::is_ascii_hexdigit) {
            output[place - 40..place].copy_from_slice(NO_COMMIT);
        }
    }
}

/// Turns what a CGI program prints into an answer.
fn cgi(output: &[u8]) -> Response {
    let Some(end) = output.windows(4).position(|window| window == b"\r\n\r\n") else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let head = String::from_utf8_lossy(&output[..end]).into_owned();
    let fields: BTreeMap<_, _> = head.lines().filter_map(|line| line.split_once(": ")).collect();
    let status = fields.get("Status").and_then(|status| status.get(..3)?.parse().ok()).unwrap_or(StatusCode::OK);
    let mut response = (status, output[end + 4..].to_vec()).into_response();
    if let Some(kind) = fields.get("Content-Type").and_then(|kind| kind.parse().ok()) {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}

/// A repository of a [`GitServer`], with the working tree of somebody who commits to it.
pub struct Repository {
    url: String,
    work: PathBuf,
}

impl Repository {
    /// The URL to clone from.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The working tree, for changes that [`Repository::push`] commits.
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// Writes a file of the working tree.
    pub fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.work.join(path);
        std::fs::create_dir_all(path.parent().expect("it is in the working tree")).expect("writable");
        std::fs::write(path, text).expect("writable");
        self
    }

    /// Removes a file or folder of the working tree.
    pub fn remove(&self, path: &str) -> &Self {
        let path = self.work.join(path);
        let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        removed.expect("it was there");
        self
    }

    /// Copies a folder into the working tree.
    pub fn copy(&self, from: &Path, to: &str) -> &Self {
        let target = self.work.join(to);
        std::fs::create_dir_all(&target).expect("writable");
        for entry in std::fs::read_dir(from).expect("readable") {
            let entry = entry.expect("readable");
            let name = entry.file_name();
            let inner = Path::new(to).join(&name);
            if entry.path().is_dir() {
                self.copy(&entry.path(), &inner.to_string_lossy());
            } else {
                std::fs::copy(entry.path(), target.join(&name)).expect("it can be copied");
            }
        }
        self
    }

    /// Commits everything that changed and pushes it. Returns the commit.
    pub fn push(&self, message: &str) -> String {
        git(&self.work, &["add", "--all"]);
        git(&self.work, &["commit", "--quiet", "--allow-empty", "--message", message]);
        git(&self.work, &["push", "--quiet", "--force", "origin", "HEAD:refs/heads/main"]);
        git(&self.work, &["rev-parse", "HEAD"])
    }

    /// Takes over the branch `main` of a bundle, with its history, and pushes it. Returns the commit.
    pub fn take(&self, bundle: &Path) -> String {
        git(&self.work, &["fetch", "--quiet", &bundle.to_string_lossy(), "main"]);
        git(&self.work, &["reset", "--quiet", "--hard", "FETCH_HEAD"]);
        git(&self.work, &["push", "--quiet", "--force", "origin", "HEAD:refs/heads/main"]);
        git(&self.work, &["rev-parse", "HEAD"])
    }

    /// Runs git in the working tree and returns what it prints.
    pub fn git(&self, arguments: &[&str]) -> String {
        git(&self.work, arguments)
    }
}

fn git(directory: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    // Whatever the user's configuration says.
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    command.args(["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]);
    let output = command.arg("-C").arg(directory).args(arguments).output().expect("git is installed");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    assert!(output.status.success(), "git {arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serves_what_was_pushed_and_can_go_away() {
        let mut server = GitServer::start();
        let repository = server.repository("apps");
        let commit = repository.write("a/b.yaml", "kind: A\n").push("first");
        let remote = |url: &str| {
            let output = Command::new("git").args(["ls-remote", url, "main"]).output().expect("git");
            String::from_utf8_lossy(&output.stdout).split_whitespace().next().map(str::to_owned)
        };
        assert_eq!(remote(repository.url()), Some(commit.clone()));
        server.stop();
        assert_eq!(remote(repository.url()), None);
        server.restart();
        server.trouble(Some(GitTrouble::Lies));
        assert_ne!(remote(repository.url()), Some(commit.clone()));
        server.trouble(None);
        assert_eq!(remote(repository.url()), Some(commit));
    }

    #[test]
    fn a_private_server_asks_who_is_there() {
        let server = GitServer::start_private("me", "secret");
        let repository = server.repository("apps");
        repository.write("a", "b").push("first");
        let ls = |url: &str| {
            let mut command = Command::new("git");
            command
                .env("GIT_TERMINAL_PROMPT", "0")
                .args(["ls-remote", url])
                .stderr(Stdio::null())
                .status()
                .expect("git")
                .success()
        };
        assert!(!ls(repository.url()));
        assert!(ls(&repository.url().replace("http://", "http://me:secret@")));
    }
}
