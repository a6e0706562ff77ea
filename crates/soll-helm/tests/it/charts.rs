//! Charts from directories and archives, and what they may cost.

use soll_helm::render::{
    Document, PostRender, PostRenderStrategy, PrintedHooks, ReleaseOptions, RenderError, RenderOptions, Templates,
    prepare, render,
};
use soll_helm::{Capabilities, Chart, ChartError, ChartLimits, load_archive, load_directory, load_local_dependencies};
use soll_template::Limits;
use soll_tree::{Tree, TreePath, write_archive};
use soll_yaml::{Sources, Value};

use crate::corpus::QuickWorld;

const METADATA: &str = "apiVersion: v2\nname: demo\nversion: 1.0.0\n";

fn tree(files: &[(&str, &str)]) -> Tree {
    Tree::in_memory(files.iter().map(|(path, text)| (*path, text.as_bytes()))).unwrap()
}

fn load(files: &[(&str, &str)], limits: &ChartLimits) -> Result<Chart, ChartError> {
    load_directory(&tree(files), &TreePath::root(), limits, &Sources::new())
}

/// The same files as `helm package` would pack them.
fn packed(files: &[(&str, &str)]) -> Vec<u8> {
    let files: Vec<_> = files.iter().map(|(path, text)| (format!("demo/{path}"), *text)).collect();
    let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
    let mut bytes = Vec::new();
    write_archive(&tree(&files), &mut bytes).unwrap();
    bytes
}

fn release() -> ReleaseOptions {
    ReleaseOptions { name: "r".to_owned(), namespace: "n".to_owned(), revision: 1, is_upgrade: false }
}

fn printed(chart: Chart, limits: Limits) -> Result<String, RenderError> {
    let options = RenderOptions { limits, ..RenderOptions::default() };
    let prepared = prepare(chart, &Value::map(), &options)?;
    let templates = Templates::parse(&prepared.chart)?;
    render(&prepared, &templates, &release(), &Capabilities::default(), &options, &QuickWorld, None)
        .map(|rendered| rendered.printed(None, PrintedHooks::All))
}

/// An error with all that it comes from.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(&format!(": {error}"));
        next = error.source();
    }
    text
}

#[test]
fn an_archive_renders_as_its_directory() {
    let inner = packed(&[
        ("Chart.yaml", "apiVersion: v2\nname: inner\nversion: 0.1.0\n"),
        ("values.yaml", "key: below\n"),
        ("templates/a.yaml", "kind: Inner\nkey: {{ .Values.key }}\n"),
    ]);
    let files: [(&str, &[u8]); 5] = [
        ("demo/Chart.yaml", METADATA.as_bytes()),
        ("demo/values.yaml", b"inner: {key: above}\n"),
        ("demo/templates/a.yaml", b"kind: Outer\nfile: {{ .Files.Get \"note.txt\" }}\n"),
        ("demo/note.txt", b"noted"),
        ("demo/charts/inner-0.1.0.tgz", &inner),
    ];
    let tree = Tree::in_memory(files).unwrap();
    let mut bytes = Vec::new();
    write_archive(&tree, &mut bytes).unwrap();
    let sources = Sources::new();
    let from_archive = load_archive(bytes.as_slice(), "demo.tgz", &ChartLimits::default(), &sources).unwrap();
    let from_directory = load_directory(&tree, &"demo".parse().unwrap(), &ChartLimits::default(), &sources).unwrap();
    let expected = "---\n# Source: demo/charts/inner/templates/a.yaml\nkind: Inner\nkey: above\n\n---\n# Source: \
                    demo/templates/a.yaml\nkind: Outer\nfile: noted\n";
    for chart in [from_archive, from_directory] {
        assert_eq!(printed(chart, Limits::default()).unwrap().trim_end(), expected.trim_end());
    }
}

#[test]
fn version_1_has_its_dependencies_in_a_file_of_their_own() {
    let chart = load(
        &[
            ("Chart.yaml", "name: demo\nversion: 1.0.0\n"),
            ("requirements.yaml", "dependencies:\n- {name: sub, version: 1.x.x, alias: other}\n"),
            ("charts/sub/Chart.yaml", "name: sub\nversion: 1.2.3\n"),
            ("charts/sub/templates/a.yaml", "kind: A\nname: {{ .Chart.Name }}\n"),
        ],
        &ChartLimits::default(),
    )
    .unwrap();
    let printed = printed(chart, Limits::default()).unwrap();
    assert!(printed.contains("# Source: demo/charts/other/templates/a.yaml\nkind: A\nname: other\n"), "{printed}");
}

#[test]
fn dependencies_from_directories_are_found_beside_the_chart() {
    let tree = tree(&[
        (
            "app/Chart.yaml",
            "apiVersion: v2\nname: app\nversion: 1.0.0\ndependencies:\n- {name: lib, version: 1.0.0, repository: \
             'file://../lib'}\n",
        ),
        ("lib/Chart.yaml", "apiVersion: v2\nname: lib\nversion: 1.0.0\n"),
        ("lib/templates/a.yaml", "kind: Lib\n"),
    ]);
    let (path, limits, sources) = ("app".parse().unwrap(), ChartLimits::default(), Sources::new());
    let mut chart = load_directory(&tree, &path, &limits, &sources).unwrap();
    assert_eq!(chart.missing_dependencies(), ["lib"]);
    load_local_dependencies(&mut chart, &tree, &path, &limits, &sources).unwrap();
    assert!(chart.missing_dependencies().is_empty());
    assert!(printed(chart, Limits::default()).unwrap().contains("kind: Lib"));
}

#[test]
fn a_chart_that_is_too_large_is_told_its_limit() {
    let files = [("Chart.yaml", METADATA), ("a.txt", "0123456789"), ("b.txt", "0123456789")];
    let few = ChartLimits { files: 2, ..ChartLimits::default() };
    let short = ChartLimits { file_bytes: 45, ..ChartLimits::default() };
    let small = ChartLimits { total_bytes: 60, ..ChartLimits::default() };
    let long = [("Chart.yaml", METADATA), ("a.txt", "0123456789012345678901234567890123456789012345")];
    for (files, limits, expected) in [
        (&files[..], few, "the chart is larger than its limit of 2 files"),
        (&long[..], short, "the chart is larger than its limit of 45 bytes in one file"),
        (&files[..], small, "the chart is larger than its limit of 60 bytes"),
    ] {
        assert_eq!(chain(&load(files, &limits).unwrap_err()), expected, "directory");
        let archive = packed(files);
        let error = load_archive(archive.as_slice(), "demo.tgz", &limits, &Sources::new()).unwrap_err();
        assert_eq!(chain(&error), expected, "archive");
    }
}

#[test]
fn a_small_archive_does_not_unpack_to_a_large_chart() {
    let zeros = "0".repeat(64 << 20);
    let archive = packed(&[("Chart.yaml", METADATA), ("zeros", &zeros)]);
    assert!(archive.len() < 1 << 20);
    let error = load_archive(archive.as_slice(), "demo.tgz", &ChartLimits::default(), &Sources::new()).unwrap_err();
    assert_eq!(chain(&error), "the chart is larger than its limit of 5242880 bytes in one file");
}

#[test]
fn charts_within_charts_have_an_end() {
    let mut files = vec![("Chart.yaml".to_owned(), METADATA.to_owned())];
    let mut folder = String::new();
    for depth in 0..4 {
        folder.push_str(&format!("charts/c{depth}/"));
        files.push((format!("{folder}Chart.yaml"), METADATA.replace("demo", &format!("c{depth}"))));
    }
    let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    assert!(load(&files, &ChartLimits { depth: 4, ..ChartLimits::default() }).is_ok());
    let error = load(&files, &ChartLimits { depth: 3, ..ChartLimits::default() }).unwrap_err();
    assert!(chain(&error).ends_with("the chart is larger than its limit of 3 charts within charts"), "{error:?}");
}

#[test]
fn templates_that_go_too_far_are_told_their_limit() {
    let limits = Limits { steps: 10_000, depth: 100, bytes: 10_000 };
    for (template, expected) in [
        ("{{ range until 1000000 }}x{{ end }}", "rendering takes more than 10000 steps"),
        (
            "{{ define \"a\" }}{{ template \"a\" . }}{{ end }}{{ template \"a\" . }}",
            "exceeded maximum template depth (100)",
        ),
        ("{{ repeat 20000 \"x\" }}", "rendering makes more than 10000 bytes of text"),
    ] {
        let chart = load(&[("Chart.yaml", METADATA), ("templates/a.yaml", template)], &ChartLimits::default()).unwrap();
        let error = printed(chart, limits.clone()).unwrap_err().to_string();
        assert!(error.contains(expected), "{template}: {error}");
        assert!(error.contains("demo/templates/a.yaml:1:"), "{template}: {error}");
    }
}

/// Notes what it sees, labels it, and adds a document of its own.
#[derive(Default)]
struct Labels {
    runs: Vec<Vec<String>>,
}

impl PostRender for Labels {
    fn run(&mut self, mut documents: Vec<Document>) -> Result<Vec<Document>, String> {
        self.runs.push(documents.iter().map(|document| document.path.clone()).collect());
        for document in &mut documents {
            document.content = format!("{}\nlabel: red\n", document.content.trim_end());
        }
        documents.push(Document { path: "added.yaml".to_owned(), content: "kind: Added\n".to_owned() });
        Ok(documents)
    }
}

#[test]
fn a_post_renderer_sees_what_its_strategy_says() {
    let files = [
        ("Chart.yaml", METADATA),
        ("templates/hook.yaml", "kind: Job\nmetadata: {annotations: {helm.sh/hook: pre-install}}\n"),
        ("templates/two.yaml", "kind: Service\n---\nkind: ConfigMap\n"),
        ("templates/NOTES.txt", "kind: Note\n"),
    ];
    let (hook, two) = ("demo/templates/hook.yaml", "demo/templates/two.yaml");
    for (strategy, seen, is_hook_labelled) in [
        (PostRenderStrategy::Combined, vec![vec![hook, two, two]], true),
        (PostRenderStrategy::Separate, vec![vec![hook], vec![two, two]], true),
        (PostRenderStrategy::NoHooks, vec![vec![two, two]], false),
    ] {
        let chart = load(&files, &ChartLimits::default()).unwrap();
        let options = RenderOptions { post_render_strategy: strategy, ..RenderOptions::default() };
        let prepared = prepare(chart, &Value::map(), &options).unwrap();
        let templates = Templates::parse(&prepared.chart).unwrap();
        let mut labels = Labels::default();
        let (capabilities, post) = (Capabilities::default(), Some(&mut labels as &mut dyn PostRender));
        let rendered = render(&prepared, &templates, &release(), &capabilities, &options, &QuickWorld, post).unwrap();
        let runs = labels.runs;
        assert_eq!(runs, seen, "{strategy:?}");
        assert_eq!(rendered.notes, "kind: Note\n");
        assert_eq!(rendered.hooks.len(), 1, "{strategy:?}");
        assert_eq!(rendered.hooks[0].manifest.contains("label: red"), is_hook_labelled, "{strategy:?}");
        let texts: Vec<_> = rendered.manifests.iter().map(|one| one.content.trim().replace('\n', ", ")).collect();
        let mut expected = vec!["kind: ConfigMap, label: red", "kind: Service, label: red"];
        expected.extend(runs.iter().map(|_| "kind: Added"));
        assert_eq!(texts, expected, "{strategy:?}");
    }
}

#[test]
fn what_renders_to_no_yaml_is_refused_with_the_line_that_helm_names() {
    for (template, expected) in [
        ("kind: A\ndata:\n  all: |\n    text\n\n- \n\n", "line 5: did not find expected key"),
        ("kind: A\na: \"b\n", "line 3: found unexpected end of stream"),
        ("kind: A\na:\n\t- b\n", "line 3: found character that cannot start any token"),
    ] {
        // YAML 1.1 reads this name as a boolean, and Go writes it as text again.
        let chart = [("Chart.yaml", "apiVersion: v2\nname: y\nversion: 1.0.0\n"), ("templates/a.yaml", template)];
        let chart = load(&chart, &ChartLimits::default()).unwrap();
        assert_eq!(
            printed(chart, Limits::default()).unwrap_err().to_string(),
            format!("YAML parse error on true/templates/a.yaml: error converting YAML to JSON: yaml: {expected}")
        );
    }
}
