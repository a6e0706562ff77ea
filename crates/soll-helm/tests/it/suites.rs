//! The suites that charts bring: their assertions, in the language of helm-unittest, hold for what we render.

mod jsonpath;

use std::path::{Path, PathBuf};

use regex::Regex;
use soll_helm::render::{Document, PostRender, ReleaseOptions, RenderError, RenderOptions, Templates, prepare, render};
use soll_helm::{
    Assignment, Capabilities, Chart, ChartLimits, KubeVersion, PathPattern, load_directory, merge, parse_values, set,
};
use soll_tree::{DirTree, TreePath};
use soll_yaml::{At, Data, Map, ParseOptions, SourceId, Sources, Value, parse_yaml};

use crate::corpus::{QuickWorld, corpus};
use jsonpath::select;

/// What one test is about.
struct Test<'s> {
    folder: &'s Path,
    file: &'s Path,
    suite: &'s Value,
    test: &'s Value,
    /// The schema leads to others on the network, which upstream fetches.
    skips_schema: bool,
}

/// What a test printed before, by number, and how many were asked for.
struct Snapshots {
    kept: Value,
    taken: usize,
}

/// Notes documents as they stand in their templates, which is how suites count them: before they are sorted.
#[derive(Default)]
struct Written(Vec<Document>);

impl PostRender for Written {
    fn run(&mut self, documents: Vec<Document>) -> Result<Vec<Document>, String> {
        self.0.clone_from(&documents);
        Ok(documents)
    }
}

/// What was rendered: documents by template, or why not in the words of Helm 4 and in those of Helm 3, which suites know.
type Outcome = Result<Vec<(String, Vec<Value>)>, [String; 2]>;

/// Helm 3 prints what Go says, in one line.
fn in_words(error: &RenderError) -> [String; 2] {
    let go = match error {
        RenderError::Template(failure) => failure.error.to_string(),
        other => other.to_string(),
    };
    [error.to_string(), go]
}

impl Test<'_> {
    /// A setting of the test, or else of the suite.
    fn setting(&self, keys: &[&str]) -> Option<&Value> {
        self.test.lookup(keys).or_else(|| self.suite.lookup(keys))
    }

    fn values(&self) -> Value {
        let mut values = Value::map();
        for part in [self.suite, self.test] {
            for file in part.get("values").and_then(Value::as_list).unwrap_or_default() {
                let text = std::fs::read_to_string(self.folder.join(file.as_str().unwrap())).unwrap();
                merge(&mut values, parse_values(&text, SourceId::default()).unwrap());
            }
            for entry in part.get("set").and_then(Value::as_map).into_iter().flatten() {
                // The path is in the grammar of --set; the value is YAML.
                let mut own = Value::map();
                let path = entry.key.replace("[\"", ".").replace("\"]", "");
                set(&mut own, &format!("{path}=x"), Assignment::Text, At::NONE).unwrap();
                replace_leaf(&mut own, &floats(&entry.value));
                merge(&mut values, own);
            }
        }
        values
    }

    fn render(&self, chart: &Chart) -> Outcome {
        let text = |keys: &[&str], default: &str| {
            self.setting(keys).and_then(Value::as_str).map_or_else(|| default.to_owned(), str::to_owned)
        };
        let flag = |keys: &[&str]| self.setting(keys).and_then(Value::as_bool).unwrap_or(false);
        let release = ReleaseOptions {
            name: text(&["release", "name"], "RELEASE-NAME"),
            namespace: text(&["release", "namespace"], "NAMESPACE"),
            revision: self.setting(&["release", "revision"]).and_then(Value::as_i64).unwrap_or(0),
            is_upgrade: flag(&["release", "upgrade"]),
        };
        let mut capabilities = Capabilities::default();
        let number =
            |keys: &[&str]| self.setting(keys).map(soll_yaml::to_json).map(|text| text.trim_matches('"').to_owned());
        if let (Some(major), Some(minor)) =
            (number(&["capabilities", "majorVersion"]), number(&["capabilities", "minorVersion"]))
        {
            capabilities.kube_version = KubeVersion::parse(&format!("v{major}.{minor}.0")).unwrap();
        }
        if let Some(versions) = self.setting(&["capabilities", "apiVersions"]).and_then(Value::as_list) {
            capabilities.api_versions.extend(versions.iter().filter_map(Value::as_str).map(str::to_owned));
        }
        let mut chart = chart.clone();
        if let Some(version) = self.setting(&["chart", "version"]).and_then(Value::as_str) {
            chart.metadata.version = version.to_owned();
        }
        if let Some(version) = self.setting(&["chart", "appVersion"]).and_then(Value::as_str) {
            chart.metadata.app_version = version.to_owned();
        }
        // `template` only says what assertions look at; `templates` says what is rendered, too.
        let wanted = self.listed();
        let is_wanted = |name: &str| {
            let base = name.rsplit('/').next().unwrap();
            let is_partial = base.starts_with('_') || !base.ends_with(".yaml");
            wanted.is_empty() || is_partial || matches_any(&wanted, name)
        };
        chart.templates = chart.templates.iter().filter(|file| is_wanted(&file.name)).cloned().collect();
        let options = RenderOptions { skip_schema_validation: self.skips_schema, ..RenderOptions::default() };
        let prepared = prepare(chart, &self.values(), &options).map_err(|error| in_words(&error))?;
        let templates = Templates::parse(&prepared.chart).map_err(|error| in_words(&error.into()))?;
        let mut written = Written::default();
        let post: Option<&mut dyn PostRender> = Some(&mut written);
        let rendered = render(&prepared, &templates, &release, &capabilities, &options, &QuickWorld, post)
            .map_err(|error| in_words(&error))?;
        let name = prepared.chart.name();
        let mut files: Vec<(String, Vec<Value>)> = Vec::new();
        for Document { path, content } in written.0 {
            let path = path.strip_prefix(&format!("{name}/")).unwrap_or(&path).to_owned();
            let document = Some(document(&content)).filter(|document| !document.is_null());
            match files.iter_mut().find(|(known, _)| *known == path) {
                Some((_, known)) => known.extend(document),
                None => files.push((path, document.into_iter().collect())),
            }
        }
        if !rendered.notes.is_empty() {
            files.push(("templates/NOTES.txt".to_owned(), vec![Value::from(rendered.notes)]));
        }
        Ok(files)
    }

    /// The templates of the suite, of the test and of its assertions; all if none.
    fn listed(&self) -> Vec<String> {
        let assertions = self.test.get("asserts").and_then(Value::as_list).unwrap_or_default();
        let parts = [self.suite, self.test].into_iter().chain(assertions);
        let lists = parts.filter_map(|part| part.get("templates")?.as_list());
        lists.flatten().filter_map(Value::as_str).map(full_name).collect()
    }

    /// The templates whose documents an assertion looks at; all if none.
    fn looked_at(&self, assertion: &Value) -> Vec<String> {
        for part in [assertion, self.test] {
            if let Some(template) = part.get("template").and_then(Value::as_str) {
                return vec![full_name(template)];
            }
            if let Some(templates) = part.get("templates").and_then(Value::as_list) {
                return templates.iter().filter_map(Value::as_str).map(full_name).collect();
            }
        }
        self.listed()
    }

    /// The documents of each template that an assertion looks at.
    fn subjects<'o>(
        &self,
        assertion: &Value,
        files: &'o [(String, Vec<Value>)],
    ) -> Result<Vec<Vec<&'o Value>>, String> {
        let setting = |key| assertion.get(key).or_else(|| self.test.get(key)).or_else(|| self.suite.get(key));
        let wanted = self.looked_at(assertion);
        let chosen: Vec<&(String, Vec<Value>)> = files
            .iter()
            .filter(
                |(path, _)| if wanted.is_empty() { !path.ends_with("NOTES.txt") } else { matches_any(&wanted, path) },
            )
            .collect();
        let mut subjects: Vec<Vec<&Value>> = chosen.iter().map(|(_, documents)| documents.iter().collect()).collect();
        if let Some(selector) = setting("documentSelector") {
            let path = selector.lookup_str(&["path"]).unwrap();
            for documents in &mut subjects {
                documents.retain(|document| {
                    let found = select(document, path);
                    match selector.get("value") {
                        Some(value) => found.iter().any(|one| same(one, value)),
                        None => !found.is_empty(),
                    }
                });
            }
            if subjects.len() > 1 {
                subjects.retain(|documents| !documents.is_empty());
            }
        }
        let index = assertion.get("documentIndex").or_else(|| self.test.get("documentIndex"));
        if let Some(index) = index.and_then(Value::as_i64) {
            for documents in &mut subjects {
                let one = documents.get(index as usize).copied().ok_or_else(|| format!("no document {index}"))?;
                *documents = vec![one];
            }
        }
        Ok(subjects)
    }

    fn failures(&self, chart: &Chart) -> Vec<String> {
        let outcome = self.render(chart);
        let assertions = self.test.get("asserts").and_then(Value::as_list).unwrap_or_default();
        let name = self.file.file_name().unwrap().to_str().unwrap();
        let kept = std::fs::read_to_string(self.folder.join(format!("__snapshot__/{name}.snap"))).unwrap_or_default();
        let kept = document(&kept).get(self.test.lookup_str(&["it"]).unwrap_or_default()).cloned().unwrap_or_default();
        let mut snapshots = Snapshots { kept, taken: 0 };
        assertions.iter().filter_map(|assertion| self.check(assertion, &outcome, &mut snapshots).err()).collect()
    }

    fn check(&self, assertion: &Value, outcome: &Outcome, snapshots: &mut Snapshots) -> Result<(), String> {
        const SETTINGS: [&str; 5] = ["template", "templates", "documentIndex", "documentSelector", "not"];
        let map = assertion.as_map().ok_or("an assertion is no map")?;
        let entry =
            map.iter().find(|entry| !SETTINGS.contains(&entry.key.as_str())).ok_or("an assertion of nothing")?;
        let is_reversed = assertion.get("not").and_then(Value::as_bool) == Some(true);
        let (kind, is_reversed) = match entry.key.as_str() {
            "notExists" | "isNull" => ("exists", !is_reversed),
            "isNotNull" => ("exists", is_reversed),
            "notContains" => ("contains", !is_reversed),
            "notFailedTemplate" => ("failedTemplate", !is_reversed),
            "isNotEmpty" => ("isEmpty", !is_reversed),
            "isNotSubset" => ("isSubset", !is_reversed),
            "notMatchRegexRaw" => ("matchRegexRaw", !is_reversed),
            kind => (kind, is_reversed),
        };
        let about = &entry.value;
        if kind == "failedTemplate" {
            let pattern = about.lookup_str(&["errorPattern"]).unwrap_or_default();
            if self.skips_schema && pattern.contains("the specifications of the schema") {
                return Ok(());
            }
            return match (outcome, is_reversed) {
                (Err([error, go]), false) => fails_as(error, about).or_else(|_| fails_as(go, about)),
                (Ok(_), true) => Ok(()),
                (Err([error, _]), true) => Err(format!("it fails: {error}")),
                (Ok(_), false) => Err("it does not fail".to_owned()),
            };
        }
        let files = outcome.as_ref().map_err(|[error, _]| format!("it fails: {error}"))?;
        let subjects = self.subjects(assertion, files)?;
        let said = |what: bool, why: &dyn Fn() -> String| {
            if what == is_reversed { Err(format!("{kind}: {}", why())) } else { Ok(()) }
        };
        match kind {
            "hasDocuments" => {
                let count = about.get("count").and_then(Value::as_i64).unwrap() as usize;
                let total: usize = subjects.iter().map(Vec::len).sum();
                let fits = subjects.iter().all(|documents| documents.len() == count) || total == count;
                return said(fits && (count == 0 || !subjects.is_empty()), &|| {
                    format!("{total} documents, not {count}")
                });
            }
            "containsDocument" => {
                let fits = |document: &Value| {
                    ["apiVersion", "kind"]
                        .iter()
                        .all(|key| about.get(key).is_none() || document.get(key) == about.get(key))
                        && ["name", "namespace"].iter().all(|key| {
                            about.get(key).is_none() || document.lookup(&["metadata", key]) == about.get(key)
                        })
                };
                let any = about.get("any").and_then(Value::as_bool) == Some(true);
                let mut documents = subjects.iter().flatten();
                let is_there = if any { documents.any(|one| fits(one)) } else { documents.all(|one| fits(one)) };
                return said(is_there, &|| format!("{about:?}"));
            }
            _ => {}
        }
        if subjects.iter().all(Vec::is_empty) {
            return Err(format!("{kind}: there is no document"));
        }
        for document in subjects.into_iter().flatten() {
            let path = about.get("path").and_then(Value::as_str);
            let found = path.map_or_else(|| vec![document], |path| select(document, path));
            let every = |fits: &dyn Fn(&Value) -> bool| !found.is_empty() && found.iter().all(|one| fits(one));
            let content = || about.get("content").or_else(|| about.get("value")).cloned().unwrap_or_default();
            let holds = match kind {
                "equal" => every(&|one| same(one, about.get("value").unwrap_or(&Value::null()))),
                "exists" => found.iter().any(|one| entry.key.contains("xists") || !one.is_null()),
                "isEmpty" => found.iter().all(|one| is_empty(one)),
                "isKind" => document.get("kind") == about.get("of"),
                "isAPIVersion" => document.get("apiVersion") == about.get("of"),
                "isType" => every(&|one| type_of(one) == about.lookup_str(&["type"]).unwrap()),
                "lengthEqual" => {
                    let count = about.get("count").and_then(Value::as_i64).unwrap() as usize;
                    every(&|one| one.as_list().is_some_and(|items| items.len() == count))
                }
                "contains" => every(&|one| {
                    let any = about.get("any").and_then(Value::as_bool) == Some(true);
                    let fits = |item: &Value| if any { is_subset(&content(), item) } else { same(item, &content()) };
                    one.as_list().is_some_and(|items| items.iter().any(fits))
                }),
                "isSubset" => every(&|one| is_subset(&content(), one)),
                "equalRaw" => every(&|one| one.as_str().map(str::trim) == about.lookup_str(&["value"]).map(str::trim)),
                "matchRegex" | "matchRegexRaw" => {
                    let regex = regex(about.lookup_str(&["pattern"]).unwrap());
                    every(&|one| one.as_str().is_some_and(|text| regex.is_match(text)))
                }
                "matchSnapshot" => {
                    snapshots.taken += 1;
                    let number = snapshots.taken.to_string();
                    let kept = snapshots.kept.get(&number).and_then(Value::as_str).ok_or("there is no snapshot")?;
                    let kept = self::document(kept);
                    every(&|one| masked(one) == masked(&kept))
                }
                other => return Err(format!("the assertion {other} is not known here")),
            };
            said(holds, &|| format!("{about:?} of {found:?}"))?;
        }
        Ok(())
    }
}

/// Go takes braces that enclose no count for themselves.
fn regex(pattern: &str) -> Regex {
    Regex::new(&pattern.replace("{}", r"\{\}")).unwrap()
}

fn fails_as(error: &str, about: &Value) -> Result<(), String> {
    let normal = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some(message) = about.lookup_str(&["errorMessage"]) {
        let fits = normal(error).ends_with(&normal(message));
        return if fits { Ok(()) } else { Err(format!("it fails: {error}\nnot: {message}")) };
    }
    if let Some(pattern) = about.lookup_str(&["errorPattern"]) {
        let fits = regex(pattern).is_match(error);
        return if fits { Ok(()) } else { Err(format!("it fails: {error}\nnot as: {pattern}")) };
    }
    Ok(())
}

fn matches_any(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| PathPattern::parse(pattern).unwrap().matches(name))
}

fn full_name(template: &str) -> String {
    let is_full = template.starts_with("templates/") || template.starts_with("charts/");
    if is_full { template.to_owned() } else { format!("templates/{template}") }
}

pub(crate) fn document(text: &str) -> Value {
    parse_yaml(text, SourceId::default(), &ParseOptions::go_v2()).unwrap().into_iter().next().unwrap_or_default()
}

/// Numbers are compared by what they are worth.
fn same(a: &Value, b: &Value) -> bool {
    floats(a) == floats(b)
}

fn floats(value: &Value) -> Value {
    match &value.data {
        Data::Int(number) => Value::from(*number as f64),
        Data::List(items) => Value::list(items.iter().map(floats).collect()),
        Data::Map(map) => map.iter().map(|entry| (entry.key.clone(), floats(&entry.value))).collect::<Map>().into(),
        _ => value.clone(),
    }
}

/// Puts a value where the one leaf of nested maps is.
fn replace_leaf(value: &mut Value, with: &Value) {
    match &mut value.data {
        Data::Map(map) => {
            let map = std::sync::Arc::make_mut(map);
            if let Some((_, inner)) = map.iter_mut().next() {
                replace_leaf(inner, with);
            }
        }
        Data::List(items) => {
            let items = std::sync::Arc::make_mut(items);
            if let Some(last) = items.last_mut() {
                replace_leaf(last, with);
            }
        }
        _ => *value = with.clone(),
    }
}

/// A value to compare with what was kept, which Helm 3 rendered: it lets nulls of a chart's defaults through to the
/// templates, so they are printed, and checksums of such maps are others. The line that Helm 4 leaves between documents
/// is part of a text that keeps its last lines.
pub(crate) fn masked(value: &Value) -> Value {
    let checksum = Regex::new(r"\b[0-9a-f]{64}\b").unwrap();
    fn walk(value: &Value, checksum: &Regex) -> Value {
        match &value.data {
            Data::Str(text) => Value::from(checksum.replace_all(text.trim_end(), "<checksum>").into_owned()),
            Data::List(items) => Value::list(items.iter().map(|item| walk(item, checksum)).collect()),
            Data::Map(map) => {
                let entries = map.iter().filter(|entry| !entry.value.is_null());
                entries.map(|entry| (entry.key.clone(), walk(&entry.value, checksum))).collect::<Map>().into()
            }
            _ => value.clone(),
        }
    }
    walk(&floats(value), &checksum)
}

fn is_subset(part: &Value, whole: &Value) -> bool {
    match (&part.data, &whole.data) {
        (Data::Map(part), Data::Map(whole)) => {
            part.iter().all(|entry| whole.get(&entry.key).is_some_and(|other| same(&entry.value, other)))
        }
        _ => same(part, whole),
    }
}

fn is_empty(value: &Value) -> bool {
    match &value.data {
        Data::Null => true,
        Data::Bool(flag) => !flag,
        Data::Int(number) => *number == 0,
        Data::Float(number) => *number == 0.0,
        Data::Str(text) => text.is_empty(),
        Data::List(items) => items.is_empty(),
        Data::Map(map) => map.is_empty(),
    }
}

fn type_of(value: &Value) -> &'static str {
    match value.data {
        Data::Bool(_) => "bool",
        Data::Int(_) => "int",
        Data::Float(_) => "float64",
        Data::Str(_) => "string",
        Data::List(_) => "[]interface {}",
        Data::Map(_) => "map[string]interface {}",
        Data::Null => "nil",
    }
}

fn suites(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && !name.starts_with('_') && name != "charts" {
            suites(&path, into);
        } else if path.is_file() && (name.ends_with("_test.yaml") || name.ends_with("-test.yaml")) {
            into.push(path);
        }
    }
    into.sort();
}

/// Tests that cannot hold here, each with the reason.
const EXCEPTIONS: &[(&str, &str)] = &[
    (
        "common-test/unittests/configmap/validation_test.yaml: \"default configuration from folder with binary files",
        "the picture that it stumbles over is not in the corpus",
    ),
    (
        "common-test/unittests/pod/metadata_annotations_test.yaml: \"configMap checksum from folder",
        "the picture that is part of the checksum is not in the corpus",
    ),
    (
        "jenkins/unittests/jenkins-controller-statefulset-test.yaml: \"default values\"",
        "the runner upstream remembers the API versions of another test, in which there is no apps/v1",
    ),
];

fn hold(chart: &str, folder: &str, at_least: usize) {
    let root = corpus().join("charts").join(chart);
    let tree = DirTree::open(&root).unwrap();
    let loaded = load_directory(&tree, &TreePath::root(), &ChartLimits::default(), &Sources::new()).unwrap();
    let mut files = Vec::new();
    suites(&root.join(folder), &mut files);
    let (mut tests, mut excepted, mut failures) = (0, 0, Vec::new());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for suite in parse_yaml(&text, SourceId::default(), &ParseOptions::go_v2()).unwrap() {
            for test in suite.get("tests").and_then(Value::as_list).unwrap_or_default() {
                tests += 1;
                let about = format!(
                    "{chart}/{}: {}",
                    file.strip_prefix(&root).unwrap().display(),
                    test.get("it").map(soll_yaml::to_json).unwrap_or_default()
                );
                if EXCEPTIONS.iter().any(|(name, _)| about.starts_with(name)) {
                    excepted += 1;
                    continue;
                }
                let test = Test {
                    folder: file.parent().unwrap(),
                    file: &file,
                    suite: &suite,
                    test,
                    skips_schema: chart == "common-test",
                };
                let wrong = test.failures(&loaded);
                failures.extend(wrong.into_iter().map(|failure| format!("{about}\n  {failure}")));
            }
        }
    }
    let known = EXCEPTIONS.iter().filter(|(name, _)| name.starts_with(chart)).count();
    assert_eq!(excepted, known, "exceptions of {chart} that are no tests");
    assert!(tests >= at_least, "{chart} has {tests} tests, not {at_least}");
    assert!(failures.is_empty(), "{} of {tests} tests of {chart}:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn the_suites_of_external_dns_hold() {
    hold("external-dns", "tests", 60);
}

#[test]
fn the_suites_of_harbor_hold() {
    hold("harbor", "test/unittest", 15);
}

#[test]
fn the_suites_of_jenkins_hold() {
    hold("jenkins", "unittests", 100);
}

#[test]
fn the_suites_of_rook_ceph_hold() {
    hold("rook-ceph-cluster", "tests", 2);
}

#[test]
fn the_suites_of_the_common_library_hold() {
    hold("common-test", "unittests", 500);
}
