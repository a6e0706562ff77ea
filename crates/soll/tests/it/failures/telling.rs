//! Lets a case fail, and collects what is told about it.

use std::fmt::Write as _;
use std::path::Path;

use expect_test::expect_file;
use soll_api::{Gvk, Object};
use soll_cluster::{Depth, Selection};

use super::cases::{Case, Offline};
use crate::bed::{Bed, Ground, Stage, condition, runtime};

/// Lets the case fail and compares everything that is told with its golden file.
pub(super) fn check(ground: Ground, case: &Case) {
    let namespace = case.name.replace('_', "-");
    let bed = Bed::shared(ground);
    let stage = bed.stage(&namespace);
    bed.apply(&case.cluster.replace("NAMESPACE", &namespace));
    let commit = commit(&stage, &case.files);
    stage.source();
    let manifest = manifest(&namespace, case.spec);
    bed.apply(&manifest);
    if !case.then.is_empty() {
        stage.ready("app", &commit);
        self::commit(&stage, &case.then);
    }
    let failed = stage.wait("Kustomization", "app", |app| {
        let (status, reason, _) = app.map(|app| condition(app, "Ready")).unwrap_or_default();
        status == "False" && reason != "ArtifactFailed" // which is what a source that was not read yet is called
    });
    let failed = failed.expect("it has failed");

    let mut told = String::new();
    let (status, reason, message) = condition(&failed, "Ready");
    section(&mut told, "status", &format!("Ready={status} {reason}\n{message}\n"));
    section(&mut told, "event", &event(&stage, &message));
    let get = ["get", "kustomizations", "app", "-n", &namespace];
    section(&mut told, "soll get", &soll(bed, &get));
    section(&mut told, "soll get -o json", &json(&soll(bed, &[&get[..], &["-o", "json"]].concat())));
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), &manifest).expect("writable");
    let file = file.path().to_str().expect("UTF-8");
    let directory = stage.repository.work().join("app");
    let directory = directory.to_str().expect("UTF-8");
    let offline: Option<&[&str]> = match case.offline {
        Offline::Build => Some(&["build", directory, "-f", file]),
        Offline::Diff => Some(&["diff", directory, "-f", file]),
        Offline::Nothing => None,
    };
    if let Some(command) = offline {
        section(&mut told, &format!("soll {}", command[0]), &soll(bed, command));
        let output = json(&soll(bed, &[command, &["-o", "json"][..]].concat()));
        section(&mut told, &format!("soll {} -o json", command[0]), &output);
    }
    for secret in case.secrets {
        assert!(!told.contains(secret), "{secret} is told:\n{told}");
    }
    expect_file![format!("told/{}.txt", case.name)].assert_eq(&without_chance(&told));
}

/// The Kustomization of a case. An empty `targetNamespace` leaves it out.
fn manifest(namespace: &str, spec: &str) -> String {
    let own = spec.strip_prefix("targetNamespace:\n");
    let target = if own.is_some() { String::new() } else { format!("targetNamespace: {namespace}\n") };
    let spec: String = format!("{target}{}", own.unwrap_or(spec)).lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {{name: app, namespace: {namespace}}}
spec:
  interval: 10m
  path: ./app
  prune: true
  sourceRef: {{kind: GitRepository, name: source}}
{spec}"
    )
}

fn commit(stage: &Stage, files: &[(&str, String)]) -> String {
    for (path, text) in files {
        stage.repository.write(path, text);
    }
    stage.repository.push("change")
}

fn section(told: &mut String, title: &str, text: &str) {
    let _ = write!(told, "# {title}\n{}\n\n", text.trim_end());
}

/// The warning about the Kustomization that says this.
fn event(stage: &Stage, message: &str) -> String {
    let event = runtime().block_on(async {
        let selection = Selection::all().within(&stage.namespace);
        let mut events = stage.bed.cluster.watch(&Gvk::new("v1", "Event"), selection, Depth::Whole).expect("a budget");
        let is_it = |event: &&Object| event.value().lookup_str(&["message"]) == Some(message);
        let found = async {
            loop {
                let found = match events.next().await {
                    soll_cluster::WatchEvent::Restarted(events) => events.iter().find(is_it).cloned(),
                    soll_cluster::WatchEvent::Applied(event) => Some(event).filter(|event| is_it(&event)),
                    _ => None,
                };
                if let Some(found) = found {
                    return found;
                }
            }
        };
        tokio::time::timeout(crate::bed::PATIENCE, found).await
    });
    let event = event.unwrap_or_else(|_| panic!("no event says: {message}"));
    let field = |name: &[&str]| event.value().lookup_str(name).unwrap_or_default();
    let about = format!("{}/{}", field(&["involvedObject", "kind"]), field(&["involvedObject", "name"]));
    format!("{} {} {about}\n{}\n", field(&["type"]), field(&["reason"]), field(&["message"]))
}

/// What the command line prints, and its exit code.
fn soll(bed: &Bed, arguments: &[&str]) -> String {
    let ran = bed.run(Path::new(env!("CARGO_BIN_EXE_soll")), arguments);
    format!("{}\n(exit code {})\n", ran.text.trim_end(), ran.code.unwrap_or(-1))
}

/// Lines of JSON with a line for each field.
fn json(text: &str) -> String {
    let line = |line: &str| match serde_json::from_str::<serde_json::Value>(line) {
        Ok(value) => serde_json::to_string_pretty(&value).expect("it was JSON"),
        Err(_) => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// The text without what differs each time: commits, and the letters that controllers add to names of pods.
fn without_chance(text: &str) -> String {
    let commit = regex::Regex::new("sha1:[0-9a-f]{8,40}").expect("an expression");
    let pod = regex::Regex::new("Pod/([a-z-]+)/web-[0-9a-z]+-[0-9a-z]{5}").expect("an expression");
    let text = commit.replace_all(text, "sha1:COMMIT");
    pod.replace_all(&text, "Pod/$1/web-RANDOM").into_owned()
}
