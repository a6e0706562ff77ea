//! `soll template` beside `helm template`, flag by flag, and `soll values`. No cluster.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

const CHART: &[(&str, &str)] = &[
    (
        "Chart.yaml",
        "apiVersion: v2\nname: demo\nversion: 1.2.3\nappVersion: \"9\"\ndependencies:\n- {name: sub, version: 0.1.0, condition: \
         sub.enabled}\n",
    ),
    (
        "values.yaml",
        "replicas: 1\nimage:\n  name: app\n  tag: null\nlist: [a, b]\nsub:\n  enabled: true\nglobal:\n  zone: west\n",
    ),
    (
        "values.schema.json",
        "{\"$schema\": \"http://json-schema.org/draft-07/schema#\", \"properties\": {\"replicas\": {\"type\": \"number\"}}}",
    ),
    ("templates/_helpers.tpl", "{{- define \"demo.name\" -}}{{ .Release.Name }}-{{ .Chart.Name }}{{- end -}}\n"),
    (
        "templates/app.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {{ include \"demo.name\" . }}\n  namespace: {{ \
         .Release.Namespace }}\nspec:\n  replicas: {{ .Values.replicas }}\n  upgrade: {{ .Release.IsUpgrade }}\n  kube: {{ \
         .Capabilities.KubeVersion }} {{ .Capabilities.KubeVersion.Minor }}\n  has: {{ .Capabilities.APIVersions.Has \
         \"example.org/v1\" }}\n---\napiVersion: v1\nkind: Service\nmetadata:\n  name: {{ include \"demo.name\" . }}\n",
    ),
    (
        "templates/values.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: values\ndata:\n  all: |\n{{ toYaml .Values | indent 4 }}\n{{ if \
         .Values.broken }}\n- {{ end }}\n{{ with .Values.refuse }}{{ fail . }}{{ end }}\n",
    ),
    (
        "templates/hook.yaml",
        "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: hook\n  annotations: {helm.sh/hook: pre-install}\n",
    ),
    (
        "templates/tests/probe.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: probe\n  annotations: {helm.sh/hook: test}\n",
    ),
    ("templates/NOTES.txt", "Notes of {{ .Release.Name }}.\n"),
    (
        "crds/thing.yaml",
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things}\n",
    ),
    ("charts/sub/Chart.yaml", "apiVersion: v2\nname: sub\nversion: 0.1.0\n"),
    ("charts/sub/values.yaml", "own: 1\n"),
    (
        "charts/sub/templates/sub.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: sub\ndata:\n  zone: {{ .Values.global.zone }}\n  own: {{ \
         .Values.own | quote }}\n",
    ),
];

/// A directory with the chart, packed and unpacked, and files of values.
fn charts() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |path: &Path, text: &str| {
        std::fs::create_dir_all(path.parent().expect("files lie in folders")).expect("writable");
        std::fs::write(path, text).expect("writable");
    };
    for (path, text) in CHART {
        write(&folder.path().join("demo").join(path), text);
    }
    write(&folder.path().join("one.yaml"), "replicas: 2\nimage:\n  tag: one\n");
    write(&folder.path().join("two.yaml"), "image:\n  tag: two\nlist: null\n");
    write(&folder.path().join("lib/Chart.yaml"), "apiVersion: v2\nname: lib\nversion: 1.0.0\ntype: library\n");
    write(
        &folder.path().join("lacking/Chart.yaml"),
        "apiVersion: v2\nname: lacking\nversion: 1.0.0\ndependencies:\n- {name: gone, version: 1.0.0}\n",
    );
    let packed = run(Command::new(soll_testkit::tools().helm).args(["package", "demo"]).current_dir(&folder), "");
    assert_eq!(packed.code, Some(0), "{}", packed.stderr);
    folder
}

#[derive(Debug, PartialEq)]
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn run(command: &mut Command, input: &str) -> Ran {
    command.env_remove("KUBECONFIG").env("HOME", "/nonexistent").stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    // A program that does not read its input may end before it gets it.
    let _ = child.stdin.take().expect("it was asked for").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("the program ends");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn soll(folder: &Path, arguments: &[&str], input: &str) -> Ran {
    run(Command::new(env!("CARGO_BIN_EXE_soll")).args(arguments).current_dir(folder), input)
}

/// What a failure says, without the log lines that Helm prints before.
fn error(ran: &Ran) -> &str {
    ran.stderr.find("Error: ").map_or("", |at| ran.stderr[at..].trim_end())
}

/// With `--debug` all that was rendered is printed, by Helm in any order, and hooks twice.
#[test]
fn what_is_no_yaml_is_shown_to_who_asks() {
    let folder = charts();
    let arguments = ["template", "r", "demo", "--set", "broken=true", "--debug"];
    let sorted = |ran: Ran| {
        let mut parts: Vec<String> = ran.stdout.split("---\n").map(|part| part.trim_end().to_owned()).collect();
        parts.sort();
        parts.dedup();
        parts
    };
    let theirs = run(Command::new(soll_testkit::tools().helm).args(arguments).current_dir(&folder), "");
    let ours = soll(folder.path(), &arguments, "");
    assert_eq!((ours.code, theirs.code), (Some(1), Some(1)));
    assert_eq!(sorted(ours), sorted(theirs));
}

#[test]
fn template_prints_and_refuses_what_helm_prints_and_refuses() {
    let folder = charts();
    let input = "replicas: 7\n";
    for arguments in [
        &["r", "demo"][..],
        &["demo"],
        &["r", "demo-1.2.3.tgz"],
        &["r", "./demo/", "-n", "there"],
        &["r", "demo", "--namespace=there", "--is-upgrade"],
        &["r", "demo", "-f", "one.yaml", "-f", "two.yaml"],
        &["r", "demo", "--values", "one.yaml,two.yaml", "--set", "image.tag=three"],
        &["r", "demo", "-f", "-"],
        &["r", "demo", "--set", "replicas=3,list={x,y},list[2]=z,image.tag=null,a\\.b=c\\,d"],
        &["r", "demo", "--set-string", "replicas=3", "--skip-schema-validation"],
        &["r", "demo", "--set-string", "replicas=3"],
        &["r", "demo", "--set-json", "image={\"tag\": [1, {\"a\": null}]}", "--set-json", "{\"replicas\": 5}"],
        &["r", "demo", "--set-file", "image.tag=one.yaml", "--set-literal", "image.name=a,b={c}"],
        &["r", "demo", "--show-only", "templates/app.yaml"],
        &["r", "demo", "-s", "templates/values.yaml", "-s", "charts/sub/templates/sub.yaml"],
        &["r", "demo", "-s", "templates/tests/*"],
        &["r", "demo", "-s", "templates/none.yaml"],
        &["r", "demo", "--no-hooks"],
        &["r", "demo", "--skip-tests"],
        &["r", "demo", "--include-crds", "--set", "sub.enabled=false"],
        &["r", "demo", "--kube-version", "1.29"],
        &["r", "demo", "--kube-version", "v1.30.2-gke.1", "--api-versions", "example.org/v1,example.org/v2"],
        &["r", "demo", "--kube-version", "old"],
        &["r", "demo", "--version", "1.0.0", "--username", "u", "--plain-http", "--kube-token", "t"],
        &[
            "r",
            "demo",
            "--qps",
            "5",
            "--timeout",
            "1m",
            "--wait",
            "--labels",
            "a=b",
            "--take-ownership",
            "--server-side=false",
        ],
        &["demo", "--name-template", "x-{{ lower \"ABC\" }}"],
        &["r", "demo", "--name-template", "x"],
        &["r", "demo", "--generate-name"],
        &["r", "demo", "--set", "broken=true"],
        &["r", "demo", "--set", "refuse=not so"],
        &["r", "demo", "--set", "a[b]=c"],
        &["r", "demo", "-f", "none.yaml"],
        &["r", "./nowhere"],
        &["r", "lib"],
        &["r", "lacking"],
        &["Bad_Name", "demo"],
    ] {
        let arguments = [&["template"], arguments].concat();
        let theirs = run(Command::new(soll_testkit::tools().helm).args(&arguments).current_dir(&folder), input);
        let ours = soll(folder.path(), &arguments, input);
        assert_eq!(ours.stdout, theirs.stdout, "{arguments:?}: {} {}", ours.stderr, theirs.stderr);
        assert_eq!(ours.code, theirs.code, "{arguments:?}: {}", ours.stderr);
        // Below the words of Helm there may be the places of values.
        assert!(error(&ours).starts_with(error(&theirs)), "{arguments:?}: {}\n{}", error(&ours), error(&theirs));
    }
}

#[test]
fn template_writes_the_files_that_helm_writes() {
    let folder = charts();
    for flags in [&[][..], &["--release-name"], &["--include-crds"], &["--no-hooks"], &["--skip-tests"]] {
        let mut written = Vec::new();
        for program in [Path::new(env!("CARGO_BIN_EXE_soll")), &soll_testkit::tools().helm] {
            let out = tempfile::tempdir_in(&folder).expect("writable");
            let place = out.path().to_str().expect("UTF-8").to_owned();
            let mut command = Command::new(program);
            command.args(["template", "r", "demo", "--output-dir", &place]).args(flags).current_dir(&folder);
            let ran = run(&mut command, "");
            assert_eq!(ran.code, Some(0), "{}", ran.stderr);
            let mut files = BTreeMap::new();
            collect(out.path(), out.path(), &mut files);
            written.push((ran.stdout.replace(&place, "OUT"), files));
        }
        assert_eq!(written[0], written[1], "{flags:?}");
    }
}

fn collect(root: &Path, folder: &Path, into: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            collect(root, &path, into);
        } else {
            let name = path.strip_prefix(root).expect("it lies below").to_str().expect("UTF-8").to_owned();
            into.insert(name, std::fs::read_to_string(&path).expect("readable"));
        }
    }
}

#[test]
fn what_template_does_not_do_is_refused_by_name() {
    let folder = charts();
    for (arguments, wanted) in [
        (&["template", "r", "demo", "--repo", "https://example.org"][..], "--repo"),
        (&["template", "r", "demo", "--verify"], "--verify"),
        (&["template", "r", "demo", "--validate"], "--validate"),
        (&["template", "r", "demo", "--dry-run=server"], "--dry-run=server"),
        (&["template", "r", "demo", "--post-renderer", "x"], "--post-renderer"),
        (&["template", "r", "oci://example.org/demo"], "oci://example.org/demo is remote"),
    ] {
        let ran = soll(folder.path(), arguments, "");
        assert_eq!(ran.code, Some(1), "{arguments:?}");
        assert!(ran.stderr.contains(wanted), "{arguments:?}: {}", ran.stderr);
    }
}

#[test]
fn a_value_that_a_schema_refuses_is_shown_where_it_was_written() {
    let folder = charts();
    std::fs::write(folder.path().join("bad.yaml"), "image: {}\nreplicas: many\n").expect("writable");
    let ran = soll(folder.path(), &["template", "r", "demo", "-f", "bad.yaml"], "");
    assert!(ran.stderr.contains("at '/replicas': got string, want number"), "{}", ran.stderr);
    assert!(ran.stderr.contains("--> bad.yaml:2:11: "), "{}", ran.stderr);
}

#[test]
fn values_say_where_each_was_written() {
    let folder = charts();
    let ran = soll(folder.path(), &["values", "demo", "-f", "one.yaml", "--set", "image.name=x"], "");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let lines: Vec<String> =
        ran.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for wanted in [
        "replicas: 2 # one.yaml:1:11",
        "name: x # --set image.name=x",
        "tag: one # one.yaml:3:8",
        "zone: west # demo/values.yaml:9:9",
        "own: 1 # demo/charts/sub/values.yaml:1:6",
    ] {
        assert!(lines.iter().any(|line| line == wanted), "no `{wanted}` in\n{}", ran.stdout);
    }
    let plain = soll(folder.path(), &["values", "demo", "-f", "one.yaml", "--set", "image.name=x", "--plain"], "");
    let uncommented: String =
        ran.stdout.lines().map(|line| line.split("  # ").next().unwrap_or("").trim_end().to_owned() + "\n").collect();
    assert_eq!(plain.stdout, uncommented);
}
