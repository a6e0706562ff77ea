//! Records on a real API server: what we write the real helm works with, and the reverse.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use soll_helm::release::{ApplyMethod, Release, Stamp, Status, Storage, record_name};
use soll_helm::render::{ReleaseOptions, RenderOptions, Templates, prepare, render};
use soll_helm::{Capabilities, Chart, ChartLimits, ValueFlags, load_directory, sort_manifests};
use soll_testkit::{ControlPlane, binary};
use soll_tree::{DirTree, TreePath};
use soll_yaml::{Data, Map, Sources, Value, parse_json, to_json, to_json_sorted};

use crate::corpus::QuickWorld;

const LIMIT: u64 = 16 << 20;
const MANIFEST: &str = "---\n# Source: demo/templates/cm.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: demo\n\
                        data:\n  replicas: \"1\"\n";

/// One helm in one namespace.
struct Bench {
    helm: std::path::PathBuf,
    namespace: String,
    driver: Storage,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new(purpose: &str, helm: &str, driver: Storage) -> Self {
        let namespace = format!("{purpose}-{helm}-{driver:?}").to_lowercase();
        let bench = Self { helm: binary(helm), namespace, driver, folder: tempfile::tempdir().unwrap() };
        bench.kubectl(&["create", "namespace", &bench.namespace], "");
        bench
    }

    fn kubectl(&self, arguments: &[&str], input: &str) -> String {
        let mut command = ControlPlane::shared().kubectl(arguments.iter().copied());
        command.args(["--namespace", &self.namespace]);
        run(command, input)
    }

    fn helm(&self, arguments: &[&str]) -> String {
        run(self.helm_command(arguments), "")
    }

    fn helm_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.helm);
        command.args(arguments).args(["--namespace", &self.namespace]);
        command.arg("--kubeconfig").arg(ControlPlane::shared().kubeconfig());
        let driver = if self.driver == Storage::Secrets { "secret" } else { "configmap" };
        command.env("HELM_DRIVER", driver).env("HOME", self.folder.path());
        command
    }

    fn write(&self, release: &Release) {
        let object = release.to_object(self.driver, &self.namespace, Stamp::Created(1_700_000_000));
        self.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", "-"], &to_json(&object));
    }

    fn read(&self, name: &str, version: i64) -> Release {
        let kind = if self.driver == Storage::Secrets { "secret" } else { "configmap" };
        let json = self.kubectl(&["get", kind, &record_name(name, version), "-o", "json"], "");
        Release::from_object(&parse_json(json.as_bytes()).unwrap(), LIMIT).unwrap()
    }
}

fn run(mut command: Command, input: &str) -> String {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

fn write_chart(folder: &Path) {
    let files = [
        ("Chart.yaml", "apiVersion: v2\nname: demo\nversion: 1.2.3\nappVersion: \"4.5\"\n"),
        ("values.yaml", "replicas: 1\n"),
        (
            "templates/cm.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: demo\ndata:\n  replicas: {{ .Values.replicas | quote }}\n",
        ),
        ("templates/NOTES.txt", "It is {{ .Release.Name }}.\n"),
        (
            "templates/hook.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: hooked\n  annotations:\n    helm.sh/hook: post-upgrade\n    \
             helm.sh/hook-weight: \"7\"\n",
        ),
    ];
    for (path, text) in files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

fn load(folder: &Path) -> Chart {
    let tree = DirTree::open(folder).unwrap();
    load_directory(&tree, &TreePath::root(), &ChartLimits::default(), &Sources::new()).unwrap()
}

fn revision(chart: &Chart, namespace: &str, version: i64, status: Status) -> Release {
    let replicas = Map::from_iter([("replicas", Value::from(version as f64))]);
    let mut release = Release::new("ours", namespace, version, status, chart, replicas.into());
    release.info.first_deployed = Some("2026-01-02T03:04:05Z".parse().unwrap());
    release.info.last_deployed = Some("2026-01-03T03:04:05Z".parse().unwrap());
    release.info.description = "Upgrade complete".to_owned();
    release.info.notes = "Look here.".to_owned();
    release.manifest = MANIFEST.replace("\"1\"", &format!("\"{version}\""));
    let hook =
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: hooked\n  annotations:\n    helm.sh/hook: pre-rollback\n";
    let (hooks, _) = sort_manifests(&[("demo/templates/hook.yaml".to_owned(), hook.to_owned())]).unwrap();
    release.hooks = hooks.into_iter().map(Into::into).collect();
    release.apply_method = Some(ApplyMethod::ServerSide);
    release.labels.insert("team".to_owned(), "red".to_owned());
    release
}

/// `list`, `history`, `status`, `get …`, `rollback` and `uninstall` upon what we wrote.
fn helm_works_with_our_records(helm: &str, driver: Storage) {
    let bench = Bench::new("ours", helm, driver);
    write_chart(bench.folder.path());
    let chart = load(bench.folder.path());
    bench.write(&revision(&chart, &bench.namespace, 1, Status::Superseded));
    bench.write(&revision(&chart, &bench.namespace, 2, Status::Deployed));

    let json = |arguments: &[&str]| parse_json(bench.helm(arguments).as_bytes()).unwrap();
    let list = json(&["list", "-o", "json"]);
    let [listed] = list.as_list().unwrap() else { panic!("{list:?}") };
    for (field, expected) in
        [("name", "ours"), ("revision", "2"), ("status", "deployed"), ("chart", "demo-1.2.3"), ("app_version", "4.5")]
    {
        assert_eq!(listed.lookup_str(&[field]), Some(expected), "{helm} list: {field}");
    }
    let history = json(&["history", "ours", "-o", "json"]);
    let states: Vec<_> = history.as_list().unwrap().iter().map(|one| one.lookup_str(&["status"]).unwrap()).collect();
    assert_eq!(states, ["superseded", "deployed"]);
    let status = json(&["status", "ours", "-o", "json"]);
    assert_eq!(status.lookup_str(&["info", "description"]), Some("Upgrade complete"));
    assert_eq!(bench.helm(&["get", "values", "ours"]), "USER-SUPPLIED VALUES:\nreplicas: 2\n");
    assert_eq!(
        bench.helm(&["get", "values", "ours", "--all", "--revision", "1", "-o", "json"]).trim(),
        r#"{"replicas":1}"#
    );
    assert_eq!(bench.helm(&["get", "manifest", "ours"]).trim_end(), MANIFEST.replace("\"1\"", "\"2\"").trim_end());
    assert!(bench.helm(&["get", "notes", "ours"]).contains("Look here."));
    assert!(bench.helm(&["get", "hooks", "ours"]).contains("name: hooked"));
    let metadata = json(&["get", "metadata", "ours", "-o", "json"]);
    assert_eq!(metadata.lookup_str(&["chart"]), Some("demo"), "{metadata:?}");
    assert_eq!(metadata.lookup_str(&["appVersion"]), Some("4.5"));

    bench.helm(&["rollback", "ours", "1"]);
    let third = bench.read("ours", 3);
    assert_eq!((third.info.status, third.info.description.as_str()), (Status::Deployed, "Rollback to 1"));
    assert_eq!(third.manifest, MANIFEST);
    assert_eq!(third.config.lookup(&["replicas"]), Some(&Value::from(1.0)));
    assert!(third.hooks[0].last_run.completed_at.is_some(), "the hook ran");
    assert_eq!(bench.read("ours", 2).info.status, Status::Superseded);
    assert_eq!(bench.kubectl(&["get", "configmap", "demo", "-o", "jsonpath={.data.replicas}"], ""), "1");

    bench.helm(&["uninstall", "ours"]);
    assert_eq!(bench.kubectl(&["get", "secret,configmap", "-l", "owner=helm", "-o", "name"], ""), "");
}

/// What the real helm wrote we read, write again, and hand back.
fn we_work_with_records_of_helm(helm: &str, driver: Storage) {
    let bench = Bench::new("theirs", helm, driver);
    write_chart(bench.folder.path());
    let path = bench.folder.path().to_str().unwrap();
    bench.helm(&["install", "theirs", path, "--set", "replicas=3", "--labels", "team=blue"]);
    let mut first = bench.read("theirs", 1);
    assert_eq!((first.info.status, first.version), (Status::Deployed, 1));
    assert_eq!(first.chart_version(), Some(("demo", "1.2.3")));
    assert_eq!(first.info.notes, "It is theirs.\n");
    assert_eq!(first.hooks[0].hook.weight, 7);
    assert_eq!(first.labels.get("team").map(String::as_str), Some("blue"));
    assert_eq!(first.apply_method.is_some(), helm == "helm", "only Helm 4 says how it applies");

    first.info.description = "Seen by us".to_owned();
    bench.write(&first);
    assert_eq!(bench.read("theirs", 1), first);
    bench.helm(&["upgrade", "theirs", path, "--reuse-values", "--set", "replicas=4"]);
    assert_eq!(bench.read("theirs", 1).info.status, Status::Superseded);
    let second = bench.read("theirs", 2);
    assert_eq!((second.info.status, second.info.first_deployed), (Status::Deployed, first.info.first_deployed));
    assert_eq!(second.config.lookup(&["replicas"]), Some(&Value::from(4.0)));
    bench.helm(&["uninstall", "theirs", "--keep-history"]);
    let gone = bench.read("theirs", 2);
    assert!(gone.info.status == Status::Uninstalled && gone.info.deleted.is_some(), "{gone:?}");
}

/// What a record holds, times and what else differs from run to run aside.
fn settled(object: &Value) -> Value {
    let text = object.lookup_str(&["data", "release"]).unwrap();
    let inner = STANDARD.decode(text).unwrap();
    let mut json = String::new();
    GzDecoder::new(STANDARD.decode(inner).unwrap().as_slice()).read_to_string(&mut json).unwrap();
    fn walk(value: &Value) -> Value {
        match &value.data {
            Data::Map(map) => {
                let times = ["first_deployed", "last_deployed", "deleted", "last_run", "modtime", "schemamodtime"];
                let entries = map.sorted().into_iter().filter(|entry| !times.contains(&entry.key.as_str()));
                entries.map(|entry| (entry.key.clone(), walk(&entry.value))).collect::<Map>().into()
            }
            Data::List(items) => Value::list(items.iter().map(walk).collect()),
            _ => value.clone(),
        }
    }
    walk(&parse_json(json.as_bytes()).unwrap())
}

/// The record that we write of an installation is the one that helm writes of it.
#[test]
fn our_record_is_that_of_helm_4() {
    let bench = Bench::new("same", "helm", Storage::Secrets);
    let chart = bench.folder.path().join("chart");
    write_chart(&chart);
    let more = [
        (
            "Chart.yaml",
            "apiVersion: v2\nname: demo\nversion: 1.2.3\nappVersion: \"4.5\"\ndescription: d\nkeywords: [k]\nhome: h\nicon: i\nsources: [s]\n\
             maintainers: [{name: m, email: e}]\nannotations: {a: b}\nkubeVersion: '>=1.20-0'\ntype: application\ndependencies:\n\
             - {name: sub, version: 0.1.0, repository: \"\", condition: sub.on, tags: [t], alias: other, import-values: [data]}\n",
        ),
        (
            "Chart.lock",
            "dependencies:\n- name: sub\n  version: 0.1.0\ndigest: sha256:00\ngenerated: \"2024-01-01T00:00:00Z\"\n",
        ),
        ("values.yaml", "replicas: 1\nnothing: null\nbig: 12345678\nother: {on: true}\n"),
        ("values.schema.json", "{\"type\": \"object\"}"),
        ("README.md", "# Demo\n"),
        ("crds/none.txt", "no definition"),
        ("charts/sub/Chart.yaml", "apiVersion: v2\nname: sub\nversion: 0.1.0\n"),
        ("charts/sub/values.yaml", "a: 1\nexports: {data: {imported: true}}\n"),
        (
            "charts/sub/templates/a.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: sub\ndata: {a: {{ .Values.a | quote }}}\n",
        ),
    ];
    for (path, text) in more {
        let path = chart.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    bench.helm(&[
        "install",
        "same",
        chart.to_str().unwrap(),
        "--set",
        "replicas=3,list={a,1}",
        "--labels",
        "team=blue",
    ]);
    let json = bench.kubectl(&["get", "secret", &record_name("same", 1), "-o", "json"], "");
    let theirs = parse_json(json.as_bytes()).unwrap();

    let mut flags = ValueFlags::default();
    flags.set.push("replicas=3,list={a,1}".to_owned());
    let set = flags.values(&Sources::new(), &mut |path| Err(path.to_owned())).unwrap();
    let options = RenderOptions::default();
    let prepared = prepare(load(&chart), &set, &options).unwrap();
    let installed =
        ReleaseOptions { name: "same".to_owned(), namespace: bench.namespace.clone(), revision: 1, is_upgrade: false };
    let templates = Templates::parse(&prepared.chart).unwrap();
    let capabilities = Capabilities::default();
    let rendered = render(&prepared, &templates, &installed, &capabilities, &options, &QuickWorld, None).unwrap();
    let mut ours = Release::new("same", &bench.namespace, 1, Status::Deployed, &prepared.chart, set);
    ours.info.description = "Install complete".to_owned();
    ours.info.notes = rendered.notes.clone();
    ours.manifest = rendered.manifest();
    ours.hooks = rendered.hooks.into_iter().map(Into::into).collect();
    ours.apply_method = Some(ApplyMethod::ServerSide);
    ours.labels.insert("team".to_owned(), "blue".to_owned());
    let ours = ours.to_object(Storage::Secrets, &bench.namespace, Stamp::Created(0));
    let (settled_ours, settled_theirs) = (settled(&ours), settled(&theirs));
    for field in ["metadata", "values", "templates", "files", "lock", "schema"] {
        let part = |value: &Value| value.lookup(&["chart", field]).map(to_json_sorted);
        assert_eq!(part(&settled_ours), part(&settled_theirs), "{field}");
    }
    assert_eq!(to_json_sorted(&settled_ours), to_json_sorted(&settled_theirs));
    let labels = |object: &Value| {
        let mut labels = object.lookup(&["metadata", "labels"]).cloned().unwrap();
        for time in ["createdAt", "modifiedAt"] {
            labels.make_map().remove(time);
        }
        to_json_sorted(&labels)
    };
    assert_eq!(labels(&ours), labels(&theirs));
}

#[test]
fn helm_4_works_with_our_secrets() {
    helm_works_with_our_records("helm", Storage::Secrets);
}

#[test]
fn helm_4_works_with_our_configmaps() {
    helm_works_with_our_records("helm", Storage::ConfigMaps);
}

#[test]
fn helm_3_works_with_our_secrets() {
    helm_works_with_our_records("helm3", Storage::Secrets);
}

#[test]
fn helm_3_works_with_our_configmaps() {
    helm_works_with_our_records("helm3", Storage::ConfigMaps);
}

#[test]
fn we_work_with_what_helm_4_wrote() {
    we_work_with_records_of_helm("helm", Storage::Secrets);
}

#[test]
fn we_work_with_what_helm_3_wrote() {
    we_work_with_records_of_helm("helm3", Storage::Secrets);
}

#[test]
fn we_work_with_configmaps_that_helm_4_wrote() {
    we_work_with_records_of_helm("helm", Storage::ConfigMaps);
}

#[test]
fn we_work_with_configmaps_that_helm_3_wrote() {
    we_work_with_records_of_helm("helm3", Storage::ConfigMaps);
}
