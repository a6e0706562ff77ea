//! One of the two servers, as processes of its own, and what they take.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Certificate, Client};
use soll_apiserver::{Server, ServerOptions};
use soll_testkit::usage::{self, Memory};
use soll_testkit::{ControlPlane, Keeper, Kept};

/// The longest that a server may take to start.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often it is asked.
const PACE: Duration = Duration::from_millis(1);

/// A server to ask.
pub(crate) struct Side {
    pub(crate) name: &'static str,
    pub(crate) url: String,
    pub(crate) token: String,
    pub(crate) certificate: Certificate,
    /// From its start to its first answer.
    pub(crate) started: Duration,
    processes: Vec<u32>,
    /// Kept so that it goes on.
    _kept: Running,
}

enum Running {
    Embedded { _process: Kept, _keeper: Keeper },
    Real { _control_plane: Box<ControlPlane> },
}

/// Is the embedded server, until somebody ends the process.
pub(crate) async fn serve(kubeconfig: &Path) {
    let server = Server::new(&ServerOptions::default()).expect("a server");
    let running = server.serve((Ipv4Addr::LOCALHOST, 0).into()).await.expect("a free port");
    running.write_kubeconfig(kubeconfig).expect("writable");
    running.closed().await;
}

impl Side {
    /// Starts this very program as the embedded server.
    pub(crate) async fn embedded() -> Self {
        let folder = tempfile::Builder::new().prefix("soll-beside-").tempdir().expect("a temporary folder").keep();
        let keeper = Keeper::of(folder).expect("a shell can be started");
        let path = keeper.folder().join("kubeconfig");
        let start = Instant::now();
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        let process = keeper.start("server", command.arg("--serve").arg(&path)).expect("it starts");
        let text = loop {
            match fs::read_to_string(&path) {
                Ok(text) => break text,
                Err(_) => wait(start).await,
            }
        };
        let after = |key: &str| {
            let rest = text.split_once(&format!("{key}: ")).expect("it is in the kubeconfig").1;
            rest.lines().next().unwrap_or_default().to_owned()
        };
        let certificate = STANDARD.decode(after("certificate-authority-data")).expect("base64");
        let mut side = Self {
            name: "soll",
            url: after("server"),
            token: after("token"),
            certificate: Certificate::from_pem(&certificate).expect("a certificate"),
            started: Duration::ZERO,
            processes: vec![process.id()],
            _kept: Running::Embedded { _process: process, _keeper: keeper },
        };
        let client = side.client();
        while client.get(format!("{}/readyz", side.url)).send().await.is_err() {
            wait(start).await;
        }
        side.started = start.elapsed();
        side
    }

    /// Starts kube-apiserver with its etcd.
    pub(crate) async fn real() -> Self {
        let start = Instant::now();
        let control_plane = tokio::task::spawn_blocking(ControlPlane::start_bare).await.expect("it starts");
        Self {
            name: "kube-apiserver",
            url: control_plane.url(),
            token: control_plane.token().to_owned(),
            certificate: Certificate::from_pem(control_plane.certificate().as_bytes()).expect("a certificate"),
            started: start.elapsed(),
            processes: control_plane.processes(),
            _kept: Running::Real { _control_plane: Box::new(control_plane) },
        }
    }

    /// A client with a connection of its own.
    pub(crate) fn client(&self) -> Client {
        let builder = Client::builder().add_root_certificate(self.certificate.clone()).no_proxy();
        builder.build().expect("a client")
    }

    /// CPU time of its processes since their start.
    pub(crate) fn cpu(&self) -> Duration {
        self.processes.iter().map(|process| usage::cpu(*process)).sum()
    }

    /// The memory that its processes hold.
    pub(crate) fn mebibytes(&self) -> f64 {
        self.processes.iter().map(|process| usage::mebibytes(*process, Memory::Held)).sum()
    }
}

async fn wait(start: Instant) {
    assert!(start.elapsed() < PATIENCE, "the embedded server does not start");
    tokio::time::sleep(PACE).await;
}
