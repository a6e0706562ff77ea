//! `soll up` as people start it.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use serde_json::Value as Json;

use crate::bed::{PATIENCE, Ran};

/// A `soll up` that runs, with what it prints as JSON. Killed with the value.
struct Up {
    child: Child,
    lines: Receiver<Json>,
    /// The newest line about each object, by name.
    last: HashMap<String, Json>,
}

impl Up {
    fn start(home: &Path, arguments: &[&str]) -> Self {
        let mut command = command(home);
        command.args(["-o", "json"]).args(arguments).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("soll starts");
        let lines = follow(child.stdout.take().expect("it was piped"));
        Self { child, lines, last: HashMap::new() }
    }

    /// Waits until an object is in a state, at a revision that ends with `revision`.
    fn wait(&mut self, name: &str, state: &str, revision: &str) {
        let deadline = Instant::now() + PATIENCE;
        let is =
            |line: &Json| line["state"] == state && line["revision"].as_str().unwrap_or_default().ends_with(revision);
        while !self.last.get(name).is_some_and(is) {
            let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) else {
                panic!("{name} did not become {state} at {revision:?}: {:#?}", self.last);
            };
            self.last.insert(line["name"].as_str().expect("each line names its object").to_owned(), line);
        }
    }

    /// Ctrl-C, and the exit code.
    fn interrupt(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill runs").success());
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn follow(output: ChildStdout) -> Receiver<Json> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let line = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn command(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_soll"));
    command.arg("up").arg("--home").arg(home).stdin(Stdio::null()).env("NO_COLOR", "1").env_remove("SOLL_PORT");
    command
}

fn git(directory: &Path, arguments: &[&str]) -> String {
    let identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"];
    let ran = Ran::of(Command::new("git").args(identity).arg("-C").arg(directory).args(arguments));
    assert_eq!(ran.code, Some(0), "{}", ran.text);
    ran.text.trim().to_owned()
}

#[test]
fn a_commit_to_the_sample_converges_at_once_and_ctrl_c_ends_it() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let mut up = Up::start(home.path(), &[]);
    for app in ["infrastructure", "staging", "production", "raw"] {
        up.wait(app, "ready", "");
    }
    let kubeconfig = home.path().join("kubeconfig");
    let mode = std::os::unix::fs::PermissionsExt::mode(&kubeconfig.metadata().expect("it is there").permissions());
    assert_eq!(mode & 0o777, 0o600);
    let kubectl = |arguments: &[&str]| {
        let ran =
            Ran::of(Command::new(soll_testkit::tools().kubectl).arg("--kubeconfig").arg(&kubeconfig).args(arguments));
        assert_eq!(ran.code, Some(0), "{arguments:?}: {}", ran.text);
        ran.text
    };
    assert!(kubectl(&["get", "pods", "-A"]).contains("Running"));

    let second = Ran::of(&mut command(home.path()));
    assert_eq!(second.code, Some(2));
    assert!(second.text.contains("another `soll up` runs"), "{}", second.text);

    let sample = home.path().join("sample");
    let file = sample.join("raw/whoami.yaml");
    let text = std::fs::read_to_string(&file).expect("the sample has it");
    let changed = text.replacen("replicas: 1", "replicas: 3", 1);
    assert_ne!(changed, text);
    std::fs::write(&file, changed).expect("writable");
    git(&sample, &["commit", "--quiet", "--all", "--message", "more"]);
    up.wait("raw", "ready", &git(&sample, &["rev-parse", "HEAD"]));
    assert!(kubectl(&["get", "deployments", "-A"]).contains("3/3"));
    assert_eq!(up.interrupt(), Some(0));
}

#[test]
fn once_ends_with_the_verdict() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let repository = tempfile::tempdir().expect("a temporary folder");
    let place = repository.path().to_str().expect("UTF-8");
    let write = |text: &str| {
        std::fs::write(repository.path().join("a.yaml"), text).expect("writable");
        git(repository.path(), &["add", "--all"]);
        git(repository.path(), &["commit", "--quiet", "--message", "a"]);
    };
    git(repository.path(), &["init", "--quiet", "--initial-branch=main"]);
    write("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace: default\n");
    let good = Ran::of(command(home.path()).args(["--once", "--repo", place]));
    assert_eq!(good.code, Some(0), "{}", good.text);

    write("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n namespace: default\n");
    let bad = Ran::of(command(home.path()).args(["--once", "--quiet", "--repo", place]));
    assert_eq!(bad.code, Some(1), "{}", bad.text);
    assert!(bad.text.contains("a.yaml:5:2"), "{}", bad.text);
}

#[test]
fn what_cannot_work_is_said_with_the_remedy() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = taken.local_addr().expect("it is bound").port().to_string();
    let outside = tempfile::tempdir().expect("a temporary folder");
    let outside = outside.path().to_str().expect("UTF-8");
    let cases: &[(&[&str], &str)] = &[
        (&["--port", &port], "choose another one with --port"),
        (&["--repo", outside], "run `git init` and commit"),
        (&["--repo", "git@example.com:team/apps.git"], "write it as ssh://user@host/path"),
        (&["--repo", "/nowhere/to/be/found"], "neither a directory nor"),
    ];
    for (arguments, remedy) in cases {
        let ran = Ran::of(command(home.path()).args(*arguments));
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.text);
        assert!(ran.text.contains(remedy), "{arguments:?}: {}", ran.text);
    }
}

#[test]
fn others_reach_it_only_if_it_is_exposed_under_a_name() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let mut up = Up::start(home.path(), &["--insecure-expose", "localhost"]);
    up.wait("raw", "ready", "");
    let kubeconfig = home.path().join("kubeconfig");
    let text = std::fs::read_to_string(&kubeconfig).expect("it is there");
    let (_, server) = text.split_once("https://localhost:").expect("it names the server as others know it");
    let port: u16 = server.lines().next().and_then(|port| port.trim().parse().ok()).expect("a port");
    // Of the machine, and not the address that it listens on for itself.
    std::net::TcpStream::connect(("127.0.0.2", port)).expect("it listens on all addresses");
    let ran = Ran::of(
        Command::new(soll_testkit::tools().kubectl).arg("--kubeconfig").arg(&kubeconfig).args(["get", "namespaces"]),
    );
    assert_eq!(ran.code, Some(0), "{}", ran.text);
    assert_eq!(up.interrupt(), Some(0));

    let refused = Ran::of(command(home.path()).args(["--insecure-expose", "a", "--context", "b", "--repo", "."]));
    assert_eq!(refused.code, Some(2), "{}", refused.text);
}

#[test]
fn what_is_kept_survives_being_killed() {
    let (home, data) = (tempfile::tempdir().expect("a temporary folder"), tempfile::tempdir().expect("another"));
    let place = data.path().to_str().expect("UTF-8");
    let kubeconfig = home.path().join("kubeconfig");
    let kubectl = |arguments: &[&str]| {
        let ran =
            Ran::of(Command::new(soll_testkit::tools().kubectl).arg("--kubeconfig").arg(&kubeconfig).args(arguments));
        assert_eq!(ran.code, Some(0), "{arguments:?}: {}", ran.text);
        ran.text
    };
    let uids = || {
        let of = |object: &str| kubectl(&["get", "-n", "default", object, "-o", "jsonpath={.metadata.uid}"]);
        (of("configmap/mine"), kubectl(&["get", "namespaces", "-o", "jsonpath={.items[*].metadata.uid}"]))
    };
    let mut up = Up::start(home.path(), &["--data", place]);
    up.wait("raw", "ready", "");
    kubectl(&["create", "configmap", "mine", "-n", "default"]);
    let before = uids();
    drop(up); // by SIGKILL

    let mut up = Up::start(home.path(), &["--data", place]);
    up.wait("raw", "ready", "");
    assert_eq!(uids(), before);
    assert_eq!(up.interrupt(), Some(0));
}
