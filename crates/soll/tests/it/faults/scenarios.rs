//! What an engine is about when a fault meets it.

use super::play::Play;

/// What happens, from an empty namespace to the end, with a call of [`Play::threaten`] where faults begin.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) act: fn(&Play<'_>),
}

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "install", act: install },
    Scenario { name: "prune", act: prune },
    Scenario { name: "upgrade", act: upgrade },
    Scenario { name: "rename", act: rename },
    Scenario { name: "move-on", act: |play| move_on(play, "first", "second") },
    Scenario { name: "move-back", act: |play| move_on(play, "second", "first") },
    Scenario { name: "force", act: force },
    Scenario { name: "delete-mirror-prune", act: |play| delete(play, "MirrorPrune") },
    Scenario { name: "delete-delete", act: |play| delete(play, "Delete") },
    Scenario { name: "delete-wait", act: |play| delete(play, "WaitForTermination") },
    Scenario { name: "delete-orphan", act: |play| delete(play, "Orphan") },
    Scenario { name: "suspend", act: suspend },
    Scenario { name: "chain", act: chain },
    Scenario { name: "health", act: health },
    Scenario { name: "two-processes", act: |play| two(play, &LEASES, "became leader") },
    Scenario { name: "two-with-shards", act: |play| two(play, &SHARDS, "took shards") },
];

fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{key: {value}}}\n")
}

fn deployment(selector: &str, image: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  selector: {{matchLabels: {{app: {selector}}}}}
  template:
    metadata: {{labels: {{app: {selector}}}}}
    spec: {{containers: [{{name: web, image: 'example.com/web:{image}'}}]}}
"
    )
}

const JOB: &str = "apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec:
  template:
    spec: {restartPolicy: Never, containers: [{name: once, image: 'example.com/once:1'}]}
";

const SERVICE: &str = "apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}], selector: {app: web}}
";

impl Play<'_> {
    fn spec(&self, more: &str) -> String {
        format!("targetNamespace: {}\n{more}", self.stage.namespace)
    }

    /// Has what is in `folder` installed as `name` by a running engine.
    fn installed(&self, name: &str, folder: &str, more: &str) {
        let commit = self.stage.repository.push(name);
        self.stage.source();
        self.engine.start();
        self.stage.kustomization(name, folder, &self.spec(more));
        self.stage.ready(name, &commit);
    }

    /// Waits until an object has gone for good.
    fn gone(&self, kind: &str, name: &str) {
        self.stage.wait(kind, name, |object| object.is_none());
    }
}

fn install(play: &Play<'_>) {
    let repository = &play.stage.repository;
    repository.write("app/map.yaml", &config_map("settings", "one"));
    repository.write("app/web.yaml", &deployment("web", "1"));
    repository.write("app/job.yaml", JOB).write("app/service.yaml", SERVICE);
    let commit = repository.push("app");
    play.threaten();
    play.engine.start();
    play.stage.source();
    play.stage.kustomization("app", "./app", &play.spec("prune: true\nwait: true\ntimeout: 1m"));
    play.stage.ready("app", &commit);
}

fn prune(play: &Play<'_>) {
    let repository = &play.stage.repository;
    repository.write("app/stays.yaml", &config_map("stays", "one")).write("app/goes.yaml", &config_map("goes", "one"));
    repository.write("app/web.yaml", &deployment("web", "1"));
    play.installed("app", "./app", "prune: true");
    play.threaten();
    let commit = repository.remove("app/goes.yaml").remove("app/web.yaml").push("fewer");
    play.stage.ready("app", &commit);
    play.gone("ConfigMap", "goes");
    play.gone("Deployment", "web");
}

fn upgrade(play: &Play<'_>) {
    let repository = &play.stage.repository;
    repository.write("app/map.yaml", &config_map("settings", "one")).write("app/web.yaml", &deployment("web", "1"));
    repository.write("app/job.yaml", JOB);
    play.installed("app", "./app", "prune: true\nwait: true\ntimeout: 1m");
    play.threaten();
    repository.write("app/map.yaml", &config_map("settings", "two")).write("app/web.yaml", &deployment("web", "2"));
    let commit = repository.write("app/new.yaml", &config_map("new", "two")).push("two");
    play.stage.ready("app", &commit);
}

fn rename(play: &Play<'_>) {
    let repository = &play.stage.repository;
    let write = |folder: &str| {
        repository.write(&format!("{folder}/map.yaml"), &config_map("settings", "one"));
        repository.write(&format!("{folder}/web.yaml"), &deployment("web", "1"));
    };
    write("old");
    play.installed("app", "./old", "prune: true");
    play.threaten();
    write("new");
    let commit = repository.remove("old/map.yaml").remove("old/web.yaml").push("renamed");
    play.stage.kustomization("app", "./new", &play.spec("prune: true"));
    play.stage.ready("app", &commit);
}

/// Objects move to another Kustomization by a commit. They stay what they are, whoever comes first.
fn move_on(play: &Play<'_>, from: &str, to: &str) {
    let repository = &play.stage.repository;
    let (map, web) = (format!("{from}/map.yaml"), format!("{from}/web.yaml"));
    repository.write(&map, &config_map("settings", "one")).write(&web, &deployment("web", "1"));
    for folder in [from, to] {
        repository.write(&format!("{folder}/own.yaml"), &config_map(folder, "one"));
    }
    play.installed(from, &format!("./{from}"), "prune: true");
    play.stage.kustomization(to, &format!("./{to}"), &play.spec("prune: true"));
    play.stage.ready(to, &repository.git(&["rev-parse", "HEAD"]));
    let uid = |kind: &str, name: &str| play.stage.find(kind, name).map(|object| object.uid().to_owned());
    let before = (uid("ConfigMap", "settings"), uid("Deployment", "web"));
    play.threaten();
    repository.git(&["mv", &map, &web, to]);
    let commit = repository.push("moved");
    play.stage.ready(to, &commit);
    // It keeps what it had until the other one has it.
    play.stage.wait("Kustomization", from, |from| {
        let entries = from.and_then(|from| from.value().lookup(&["status", "inventory", "entries"]));
        entries.and_then(|entries| entries.as_list()).is_some_and(|entries| entries.len() == 1)
    });
    play.stage.ready(from, &commit);
    assert_eq!((uid("ConfigMap", "settings"), uid("Deployment", "web")), before, "they are the same objects");
}

fn force(play: &Play<'_>) {
    let repository = &play.stage.repository;
    repository.write("app/map.yaml", &config_map("settings", "one")).write("app/web.yaml", &deployment("web", "1"));
    play.installed("app", "./app", "prune: true\nforce: true");
    play.threaten();
    let commit = repository.write("app/web.yaml", &deployment("other", "1")).push("another selector");
    play.stage.ready("app", &commit);
}

fn delete(play: &Play<'_>, policy: &str) {
    let repository = &play.stage.repository;
    repository.write("app/map.yaml", &config_map("settings", "one")).write("app/web.yaml", &deployment("web", "1"));
    let prunes = if policy == "Delete" { "false" } else { "true" };
    play.installed("app", "./app", &format!("prune: {prunes}\ndeletionPolicy: {policy}"));
    play.threaten();
    play.stage.bed.delete("Kustomization", &play.stage.namespace, "app");
    play.gone("Kustomization", "app");
    if policy != "Orphan" {
        play.gone("ConfigMap", "settings");
        play.gone("Deployment", "web");
    }
}

fn suspend(play: &Play<'_>) {
    let repository = &play.stage.repository;
    repository.write("app/map.yaml", &config_map("settings", "one")).write("app/web.yaml", &deployment("web", "1"));
    play.installed("app", "./app", "prune: true\nwait: true\ntimeout: 1m");
    play.threaten();
    let commit = repository.write("app/web.yaml", &deployment("web", "2")).remove("app/map.yaml").push("two");
    play.stage.wait("GitRepository", "source", |source| {
        let revision = source.and_then(|source| source.value().lookup_str(&["status", "artifact", "revision"]));
        revision.is_some_and(|revision| revision.ends_with(&commit))
    });
    play.stage.kustomization("app", "./app", &play.spec("prune: true\nwait: true\ntimeout: 1m\nsuspend: true"));
    play.stage.kustomization("app", "./app", &play.spec("prune: true\nwait: true\ntimeout: 1m\nsuspend: false"));
    play.stage.ready("app", &commit);
    play.gone("ConfigMap", "settings");
}

fn chain(play: &Play<'_>) {
    let repository = &play.stage.repository;
    let write = |value: &str| {
        for name in ["first", "second", "third"] {
            repository.write(&format!("{name}/map.yaml"), &config_map(name, value));
        }
    };
    write("one");
    let more = |before: &str| match before {
        "" => "prune: true".to_owned(),
        before => format!("prune: true\ndependsOn: [{{name: {before}}}]"),
    };
    play.installed("first", "./first", &more(""));
    let commit = repository.git(&["rev-parse", "HEAD"]);
    for (name, before) in [("second", "first"), ("third", "second")] {
        play.stage.kustomization(name, &format!("./{name}"), &play.spec(&more(before)));
        play.stage.ready(name, commit.trim());
    }
    play.threaten();
    write("two");
    let commit = repository.push("two");
    for name in ["third", "second", "first"] {
        play.stage.ready(name, &commit);
    }
}

fn health(play: &Play<'_>) {
    let repository = &play.stage.repository;
    repository.write("app/web.yaml", &deployment("web", "1")).write("app/job.yaml", JOB);
    let checks = format!(
        "prune: true\ntimeout: 1m\nhealthChecks:\n- {{apiVersion: apps/v1, kind: Deployment, name: web, namespace: {0}}}\n\
         - {{apiVersion: batch/v1, kind: Job, name: once, namespace: {0}}}",
        play.stage.namespace
    );
    play.installed("app", "./app", &checks);
    play.threaten();
    let commit = repository.write("app/web.yaml", &deployment("web", "2")).push("two");
    play.stage.ready("app", &commit);
}

const LEASES: [&str; 4] = [
    "--enable-leader-election",
    "--leader-election-lease-duration=4s",
    "--leader-election-renew-deadline=3s",
    "--leader-election-retry-period=500ms",
];

const SHARDS: [&str; 5] = [LEASES[0], LEASES[1], LEASES[2], LEASES[3], "--shards=4"];

/// Two processes: one that waits for the other one's leases, or divides the objects with it.
fn two(play: &Play<'_>, leases: &'static [&'static str], leads: &str) {
    const APPS: [&str; 3] = ["first", "second", "third"];
    let repository = &play.stage.repository;
    let write = |value: &str| {
        for app in APPS {
            repository.write(&format!("{app}/map.yaml"), &config_map(app, value));
        }
        repository.push(value)
    };
    write("one");
    play.engine.start_with(leases);
    play.engine.await_log(1, leads);
    play.threaten();
    play.accompany(leases);
    play.stage.source();
    for app in APPS {
        play.stage.kustomization(app, &format!("./{app}"), &play.spec("prune: true"));
    }
    let ready = |commit: &str| APPS.iter().for_each(|app| drop(play.stage.ready(app, commit)));
    ready(&repository.git(&["rev-parse", "HEAD"]));
    let commit = write("two");
    ready(&commit);
}
