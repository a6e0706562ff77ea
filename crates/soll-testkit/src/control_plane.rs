//! A real Kubernetes control plane on loopback.

use crate::keeper::{Keeper, Kept};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use soll_compare::binary;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The longest that a server may take to become ready, on a machine that is busy building.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often an unready server is asked.
const PACE: Duration = Duration::from_millis(50);

const OPERATOR: &str = "operator-token";
const ENGINE: &str = "engine-token";
const RIVAL: &str = "rival-token";

/// A real kube-apiserver with its etcd and kube-controller-manager, on free ports of the loopback interface.
///
/// All end with the value, and with the process at the latest. There is no kubelet and no scheduler: a
/// Pod stays Pending unless the simulator's node part runs.
pub struct ControlPlane {
    ports: Ports,
    certificate: String,
    apiserver: Option<Kept>,
    _controller_manager: Option<Kept>,
    etcd: Kept,
    parts: Parts,
    // Last, so that the servers are killed before their folder is removed.
    keeper: Keeper,
}

/// What of a control plane runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parts {
    /// The API server, its etcd and the controller manager.
    All,
    /// The API server and its etcd.
    Bare,
    /// As bare, over what was recorded with all parts.
    Recorded,
}

struct Ports {
    apiserver: u16,
    controller_manager: u16,
    etcd: u16,
    etcd_peers: u16,
}

impl ControlPlane {
    /// The one of this process, started when first asked for. Tests that share it use namespaces of their own.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<ControlPlane> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Starts one and waits until the API server is ready; about six seconds.
    pub fn start() -> Self {
        Self::start_parts(Parts::All, None)
    }

    /// Starts one with what was in another one, from an archive of etcd's data directory, `etcd/`; without controllers, which
    /// would catch up with all that was due since.
    pub fn start_recorded(etcd: &Path) -> Self {
        Self::start_parts(Parts::Recorded, Some(etcd))
    }

    /// Starts one without controllers, where nothing but requests changes an object. Pods need their service account
    /// there, which nobody makes; service addresses are 10.96.0.0/16.
    pub fn start_bare() -> Self {
        Self::start_parts(Parts::Bare, None)
    }

    fn start_parts(parts: Parts, recorded: Option<&Path>) -> Self {
        let folder =
            tempfile::Builder::new().prefix("soll-control-plane-").tempdir().expect("a temporary folder").keep();
        let keeper = Keeper::of(folder).expect("a shell can be started");
        let certificate = write_identity(keeper.folder());
        let ports = Ports::free();
        write_configuration(keeper.folder(), &certificate, &ports);
        if let Some(archive) = recorded {
            let unpacked = Command::new("tar").arg("xzf").arg(archive).arg("-C").arg(keeper.folder()).status();
            assert!(unpacked.is_ok_and(|status| status.success()), "{} can be unpacked", archive.display());
        }

        let etcd = keeper.start("etcd", &mut ports.etcd(keeper.folder())).expect("etcd can be started");
        let apiserver =
            keeper.start("kube-apiserver", &mut ports.apiserver(parts)).expect("kube-apiserver can be started");
        // It retries until the API server answers.
        let controller_manager = (parts == Parts::All).then(|| {
            keeper
                .start("kube-controller-manager", &mut ports.controller_manager())
                .expect("kube-controller-manager can be started")
        });
        let mut started = Self {
            ports,
            certificate,
            apiserver: Some(apiserver),
            _controller_manager: controller_manager,
            etcd,
            parts,
            keeper,
        };
        started.wait_until_ready();
        started
    }

    /// The base of every request.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.ports.apiserver)
    }

    /// Where its etcd answers, over plain HTTP.
    pub fn etcd_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.etcd)
    }

    /// The process ids of the API server, while it runs, and of its etcd.
    pub fn processes(&self) -> Vec<u32> {
        self.apiserver.iter().chain([&self.etcd]).map(Kept::id).collect()
    }

    /// The certificate that the server shows, which is its own authority, as PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The bearer token of the operator, who may do everything.
    pub fn token(&self) -> &'static str {
        OPERATOR
    }

    /// A kubeconfig of the operator.
    pub fn kubeconfig(&self) -> PathBuf {
        self.keeper.folder().join("kubeconfig")
    }

    /// A kubeconfig of the user `engine`, who may do everything too and whose requests are in the audit log.
    pub fn engine_kubeconfig(&self) -> PathBuf {
        self.keeper.folder().join("kubeconfig.engine")
    }

    /// A kubeconfig of the user `rival`, as that of `engine`: for another engine beside ours.
    pub fn rival_kubeconfig(&self) -> PathBuf {
        self.keeper.folder().join("kubeconfig.rival")
    }

    /// What the users `engine` and `rival` asked for: one JSON object per line, metadata of the request only. See
    /// [`crate::audit`].
    pub fn audit_log(&self) -> PathBuf {
        self.keeper.folder().join("audit.log")
    }

    /// What the API server printed.
    pub fn apiserver_log(&self) -> String {
        fs::read_to_string(self.keeper.folder().join("kube-apiserver.log")).unwrap_or_default()
    }

    /// A command line of `kubectl` as the operator.
    pub fn kubectl<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(binary("kubectl"));
        command.arg("--kubeconfig").arg(self.kubeconfig()).args(arguments);
        command
    }

    /// Has etcd stand still: the API server is there, and neither reads nor writes come to an end.
    pub fn pause_etcd(&self) {
        self.etcd.signal("STOP").expect("etcd runs");
    }

    /// Has etcd go on where it stood.
    pub fn resume_etcd(&self) {
        self.etcd.signal("CONT").expect("etcd is there");
    }

    /// Kills the API server. Its objects stay in etcd.
    pub fn stop_apiserver(&mut self) {
        self.apiserver = None;
    }

    /// Starts the API server again, on the same port, and waits until it is ready.
    pub fn restart_apiserver(&mut self) {
        self.stop_apiserver();
        let apiserver = self.keeper.start("kube-apiserver", &mut self.ports.apiserver(self.parts));
        self.apiserver = Some(apiserver.expect("kube-apiserver can be started"));
        self.wait_until_ready();
    }

    /// Keeps a copy of all objects, for [`ControlPlane::restore`]. The API server stops and starts meanwhile.
    pub fn back_up(&mut self) {
        self.with_etcd_stopped(copy_folder);
    }

    /// Has all objects be as they were at [`ControlPlane::back_up`], and versions count on from there.
    pub fn restore(&mut self) {
        self.with_etcd_stopped(|etcd, copy| {
            fs::remove_dir_all(etcd).expect("etcd has written there");
            copy_folder(copy, etcd);
        });
    }

    fn with_etcd_stopped(&mut self, act: impl FnOnce(&Path, &Path)) {
        self.stop_apiserver();
        self.etcd.stop().expect("etcd runs");
        let folder = self.keeper.folder();
        act(&folder.join("etcd"), &folder.join("etcd-copy"));
        self.etcd = self.keeper.start("etcd", &mut self.ports.etcd(folder)).expect("etcd can be started");
        self.restart_apiserver();
    }

    fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let last = self.readiness();
            if last.as_ref().is_ok_and(|output| output.status.success()) {
                return;
            }
            let ended = self.apiserver.as_mut().is_some_and(Kept::ended);
            if ended || Instant::now() > deadline {
                let log = self.apiserver_log();
                let tail: Vec<_> = log.lines().rev().take(20).collect();
                let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
                let what = if ended { "ended" } else { "is not ready in time" };
                let answer =
                    last.map_or_else(|refused| refused, |output| String::from_utf8_lossy(&output.stderr).into_owned());
                panic!("the kube-apiserver {what}: {answer}\n{tail}");
            }
            std::thread::sleep(PACE);
        }
    }

    /// One question after its readiness; cheap until it listens.
    fn readiness(&self) -> Result<Output, String> {
        TcpStream::connect(("127.0.0.1", self.ports.apiserver)).map_err(|error| error.to_string())?;
        self.kubectl(["get", "--raw", "/readyz"]).output().map_err(|error| error.to_string())
    }
}

impl Ports {
    /// Four ports that are free now. All are held until all are known, or one might be given twice.
    fn free() -> Self {
        let listeners = [(); 4].map(|()| TcpListener::bind(("127.0.0.1", 0)).expect("a free port"));
        let [apiserver, controller_manager, etcd, etcd_peers] =
            listeners.each_ref().map(|listener| listener.local_addr().expect("a bound socket has an address").port());
        Self { apiserver, controller_manager, etcd, etcd_peers }
    }

    fn etcd(&self, folder: &Path) -> Command {
        let clients = format!("http://127.0.0.1:{}", self.etcd);
        let peers = format!("http://127.0.0.1:{}", self.etcd_peers);
        let mut command = Command::new(binary("etcd"));
        command
            .arg("--data-dir")
            .arg(folder.join("etcd"))
            .args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients])
            .args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers])
            .args(["--initial-cluster", &format!("default={peers}")])
            // Nothing here survives the test, so nothing need reach the disk.
            .args(["--unsafe-no-fsync", "--log-level", "error"]);
        command
    }

    fn apiserver(&self, parts: Parts) -> Command {
        let mut command = Command::new(binary("kube-apiserver"));
        command
            .arg(format!("--etcd-servers=http://127.0.0.1:{}", self.etcd))
            .arg(format!("--secure-port={}", self.apiserver))
            .args(["--bind-address=127.0.0.1", "--cert-dir=certs"])
            .args(["--tls-cert-file=server.crt", "--tls-private-key-file=server.key"])
            .args(["--service-account-key-file=accounts.pub", "--service-account-signing-key-file=accounts.key"])
            .arg("--service-account-issuer=https://kubernetes.default.svc")
            .args(["--token-auth-file=tokens.csv", "--authorization-mode=RBAC"])
            .args(["--max-requests-inflight=800", "--max-mutating-requests-inflight=400"])
            .args(["--allow-privileged=true", "--audit-policy-file=audit.yaml", "--audit-log-path=audit.log"])
            // An hour of a fleet is one log: whoever counts reads it from its beginning.
            .arg("--audit-log-maxsize=100000");
        match parts {
            // Pods are made without tokens: nothing runs in them.
            Parts::All | Parts::Recorded => {
                command.args(["--service-cluster-ip-range=10.0.0.0/16", "--disable-admission-plugins=ServiceAccount"])
            }
            Parts::Bare => command.arg("--service-cluster-ip-range=10.96.0.0/16"),
        };
        command
    }

    fn controller_manager(&self) -> Command {
        let mut command = Command::new(binary("kube-controller-manager"));
        command
            .args(["--kubeconfig=kubeconfig", "--service-account-private-key-file=accounts.key"])
            .args(["--use-service-account-credentials=false", "--leader-elect=false"])
            .args(["--bind-address=127.0.0.1", &format!("--secure-port={}", self.controller_manager)])
            .arg("--controllers=*,-node-ipam-controller,-cloud-node-lifecycle-controller")
            // Its default of 20 requests a second would be most of what a test waits for.
            .args(["--kube-api-qps=1000", "--kube-api-burst=2000"])
            .args(["--concurrent-deployment-syncs=20", "--concurrent-replicaset-syncs=20"]);
        command
    }
}

fn copy_folder(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-R").args([from, to]).status();
    assert!(copied.is_ok_and(|status| status.success()), "{} can be copied", from.display());
}

/// A certificate for the loopback interface and a key for the tokens of service accounts.
fn write_identity(folder: &Path) -> String {
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let server = rcgen::generate_simple_self_signed(names).expect("a certificate for loopback can be made");
    let accounts = rcgen::KeyPair::generate().expect("a key can be made");
    let certificate = server.cert.pem();
    write(folder, "server.crt", &certificate);
    write(folder, "server.key", &server.signing_key.serialize_pem());
    write(folder, "accounts.key", &accounts.serialize_pem());
    write(folder, "accounts.pub", &accounts.public_key_pem());
    certificate
}

fn write_configuration(folder: &Path, certificate: &str, ports: &Ports) {
    let users = [("operator", OPERATOR), ("engine", ENGINE), ("rival", RIVAL)];
    let tokens = users.map(|(user, token)| format!("{token},{user},{user},system:masters\n"));
    write(folder, "tokens.csv", &tokens.concat());
    write(
        folder,
        "audit.yaml",
        "apiVersion: audit.k8s.io/v1\n\
         kind: Policy\n\
         omitStages: [RequestReceived]\n\
         rules:\n\
         - {level: Metadata, users: [engine, rival]}\n\
         - {level: None}\n",
    );
    for (file, token) in [("kubeconfig", OPERATOR), ("kubeconfig.engine", ENGINE), ("kubeconfig.rival", RIVAL)] {
        let authority = STANDARD.encode(certificate);
        let text = format!(
            "apiVersion: v1\n\
             kind: Config\n\
             clusters:\n\
             - name: real\n  cluster: {{server: 'https://127.0.0.1:{}', certificate-authority-data: {authority}}}\n\
             users:\n\
             - name: user\n  user: {{token: {token}}}\n\
             contexts:\n\
             - name: real\n  context: {{cluster: real, user: user}}\n\
             current-context: real\n",
            ports.apiserver
        );
        write(folder, file, &text);
    }
}

fn write(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join(name), text).expect("the temporary folder can be written");
}
