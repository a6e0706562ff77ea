//! Generated charts and values, rendered by us and by the real helm in the same run.

mod chance;
mod features;
mod files;
mod flags;
mod schemas;

use std::path::Path;
use std::process::Command;

use soll_compare::{Asked, Random, binary};
use soll_yaml::{Data, Map, ParseOptions, SourceId, Value, emit_yaml, parse_yaml, to_json};

use crate::corpus::{Flags, corpus, template_in, unlike};
use crate::suites::{document, masked};

/// Values of a chart, as deep as this at most.
fn values(random: &mut Random, depth: usize) -> Value {
    const KEYS: [&str; 8] = ["a", "b", "c", "global", "one", "two", "enabled", "exports"];
    let mut map = Map::new();
    for _ in 0..random.below(5) {
        let key = random.pick(&KEYS);
        map.insert(key, value(random, key, depth));
    }
    map.into()
}

fn value(random: &mut Random, key: &str, depth: usize) -> Value {
    // A scalar where a chart's values ought to be is refused, which is a case too, but not most of them.
    let is_table = matches!(key, "one" | "two" | "global" | "exports") && random.below(25) > 0;
    match random.below(if is_table { 1 } else { 8 }) {
        0 if is_table => {
            if depth == 0 {
                Value::map()
            } else {
                values(random, depth - 1)
            }
        }
        0 => Value::null(),
        1 => Value::from(random.below(2) == 0),
        2 => Value::from(random.below(100_000_000) as i64),
        3 => Value::from(random.pick(&["x", "", "true", "1e3"])),
        4 => Value::list(vec![Value::from(1), Value::null()]),
        _ if depth == 0 => Value::from(random.below(2) == 0),
        _ => values(random, depth - 1),
    }
}

/// Writes a chart with its template, which prints what it sees, and the charts below it.
fn write_chart(folder: &Path, name: &str, random: &mut Random, depth: usize) {
    std::fs::create_dir_all(folder.join("templates")).unwrap();
    let mut metadata = format!("apiVersion: v2\nname: {name}\nversion: 1.0.0\n");
    if depth > 0 {
        metadata.push_str("dependencies:\n");
        for child in ["one", "two"] {
            metadata.push_str(&format!(
                "- name: {child}\n  version: {}\n  repository: \"\"\n",
                random.pick(&["1.0.0", "^1.0.0", "1.x.x"])
            ));
            match random.below(6) {
                0 => metadata.push_str(&format!("  condition: {child}.enabled,global.enabled\n")),
                1 => metadata.push_str("  tags: [a, b]\n"),
                // Imports of two charts do not meet: Helm would write what one lends into the other.
                2 if child == "one" => metadata.push_str("  import-values: [a]\n"),
                3 if child == "one" => {
                    metadata.push_str("  import-values: [{child: a, parent: b}, {child: global, parent: lent}]\n");
                }
                4 if child == "two" => metadata.push_str("  alias: c2\n"),
                _ => {}
            }
            write_chart(&folder.join("charts").join(child), child, random, depth - 1);
        }
    }
    std::fs::write(folder.join("Chart.yaml"), metadata).unwrap();
    std::fs::write(folder.join("values.yaml"), emit_yaml(&values(random, 3))).unwrap();
    let template = format!("kind: {name}\nsees: {{{{ .Values | toJson }}}}\nroot: {{{{ .Chart.IsRoot }}}}\n");
    std::fs::write(folder.join("templates/a.yaml"), template).unwrap();
}

/// What a helm prints, or why it refuses.
fn helm(helm: &str, folder: &Path, chart: &str, flags: &[&str]) -> Result<String, String> {
    let mut command = Command::new(binary(helm));
    command.args(["template", "soll-test", chart]).args(flags).current_dir(folder);
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() {
        return Ok(text(output.stdout));
    }
    let said = text(output.stderr);
    let (_, error) = said.split_once("Error: ").unwrap();
    Err(error.trim_end().to_owned())
}

#[test]
fn values_of_nested_charts_meet_as_in_helm() {
    let Asked { cases, seed, .. } = Asked::or_sample(60);
    let random = &mut Random::new(seed);
    let mut rendered = 0;
    for case in 0..cases {
        let folder = tempfile::tempdir().unwrap();
        write_chart(&folder.path().join("root"), "root", random, 2);
        std::fs::write(folder.path().join("v.yaml"), emit_yaml(&values(random, 3))).unwrap();
        let set = random.pick(&[
            "a=1",
            "one.a=null",
            "tags.a=false",
            "global.b.c=x",
            "one.enabled=false",
            "two.two.a={1,2}",
            "c2.x=1",
        ]);
        let flags = ["-f", "v.yaml", "--set", set];
        let expected = helm("helm", folder.path(), "root", &flags);
        let got = template_in(folder.path(), "root", &Flags::of(flags));
        rendered += u64::from(expected.is_ok());
        let chart = || {
            let output = Command::new("grep").args(["-r", "", "."]).current_dir(folder.path()).output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        assert_eq!(got, expected, "seed {}, case {case}, {flags:?}\n{}", seed, chart());
    }
    assert!(rendered * 10 >= cases * 6, "only {rendered} of {cases} cases render");
}

/// Changes some leaves of a chart's defaults to others of their kind.
fn changed(value: &Value, random: &mut Random) -> Option<Value> {
    let data = match &value.data {
        Data::Map(map) if !map.is_empty() => {
            let mut own = Map::new();
            for entry in map.iter() {
                if let Some(value) = changed(&entry.value, random) {
                    own.insert(entry.key.clone(), value);
                }
            }
            return (!own.is_empty()).then(|| own.into());
        }
        _ if random.below(4) > 0 => return None,
        Data::Bool(flag) => Value::from(!flag),
        Data::Int(number) => Value::from(number + 1),
        Data::Float(number) => Value::from(number + 0.5),
        Data::Str(text) => Value::from(format!("{text}x")),
        Data::Map(_) => Map::from_iter([("k", Value::from("v"))]).into(),
        Data::List(_) | Data::Null => return None,
    };
    Some(data)
}

/// Every chart of the corpus.
const CHARTS: [&str; 18] = [
    "app-template",
    "cluster-autoscaler",
    "common-test",
    "external-dns",
    "flagger",
    "harbor",
    "jenkins",
    "jupyterhub",
    "keda",
    "metrics-server",
    "nats",
    "opentelemetry-collector",
    "podinfo",
    "redis",
    "rook-ceph-cluster",
    "sealed-secrets",
    "velero",
    "wordpress",
];

/// A document of what helm prints.
struct Printed<'t> {
    source: &'t str,
    text: &'t str,
}

impl<'t> Printed<'t> {
    fn all(text: &'t str) -> Vec<Self> {
        let parts = text.split("---\n# Source: ").filter_map(|part| part.split_once('\n'));
        parts.map(|(source, text)| Self { source, text: text.trim() }).collect()
    }

    /// Whether Helm 3 puts it in another place.
    fn is_webhooks(&self) -> bool {
        self.text.lines().any(|line| line.starts_with("kind: ") && line.ends_with("WebhookConfiguration"))
    }
}

/// How much of what Helm 3 prints is the same text.
#[derive(Default)]
struct Shared {
    documents: usize,
    same: usize,
}

/// Helm 3 prints the same texts from the same templates in the same order. What it does otherwise is in
/// `COMPATIBILITY.md`: nulls of defaults are printed, webhook configurations come last, lines between documents, words of
/// errors. Where texts differ, for nulls or by chance, the objects are the same.
fn unlike_helm_3(got: &Result<String, String>, before: &Result<String, String>, shared: &mut Shared) -> Option<String> {
    let (got, before) = match (got, before) {
        (Ok(got), Ok(before)) => (Printed::all(got), Printed::all(before)),
        (Err(_), Err(_)) => return None,
        _ => return Some(format!("{got:?}\nbefore\n{before:?}")),
    };
    let order = |printed: &[Printed<'_>]| {
        let others = printed.iter().filter(|one| !one.is_webhooks());
        others.map(|one| one.source.to_owned()).collect::<Vec<_>>()
    };
    if order(&got) != order(&before) || got.len() != before.len() {
        return Some(format!("{:?}\nbefore\n{:?}", order(&got), order(&before)));
    }
    let (webhooks, others): (Vec<_>, Vec<_>) = got.iter().partition(|one| one.is_webhooks());
    let (mut webhooks_before, others_before): (Vec<_>, Vec<_>) = before.iter().partition(|one| one.is_webhooks());
    webhooks_before.sort_by_key(|one| webhooks.iter().position(|own| own.source == one.source));
    let pairs = others.iter().zip(&others_before).chain(webhooks.iter().zip(&webhooks_before));
    for (got, before) in pairs {
        shared.documents += 1;
        if got.text == before.text {
            shared.same += 1;
        } else if let Some(difference) =
            unlike(&masked(&document(got.text)), &masked(&document(before.text)), got.source)
        {
            return Some(difference);
        }
    }
    None
}

#[test]
fn charts_of_the_corpus_render_as_in_helm_with_other_values() {
    let Asked { cases, seed, .. } = Asked::or_sample(2);
    let random = &mut Random::new(seed);
    let charts = corpus().join("charts");
    let (mut rendered, mut wrong, mut shared) = (0, Vec::new(), Shared::default());
    for chart in CHARTS {
        let text = std::fs::read_to_string(charts.join(chart).join("values.yaml")).unwrap();
        let defaults = parse_yaml(&text, SourceId::default(), &ParseOptions::go_v2()).unwrap();
        let defaults = defaults.into_iter().next().unwrap_or_default();
        for case in 0..cases {
            let folder = tempfile::tempdir().unwrap();
            // The first case are the defaults.
            let changes = if case == 0 { None } else { changed(&defaults, random) };
            let file = folder.path().join("v.json");
            std::fs::write(&file, to_json(&changes.unwrap_or_else(Value::map))).unwrap();
            let flags = ["-f", file.to_str().unwrap(), "--kube-version", "v1.35.0", "--skip-schema-validation"];
            let expected = helm("helm", &charts, chart, &flags);
            let got = template_in(&charts, chart, &Flags::of(flags));
            rendered += u64::from(expected.is_ok());
            let again = helm("helm", &charts, chart, &flags);
            if let Some(difference) = chance::difference(&got, &expected, &again) {
                wrong.push(format!("{chart}, case {case}: {difference}"));
            }
            if let Some(difference) = unlike_helm_3(&got, &helm("helm3", &charts, chart, &flags), &mut shared) {
                wrong.push(format!("{chart}, case {case}, helm 3: {difference}"));
            }
        }
    }
    assert!(wrong.is_empty(), "seed {}:\n{}", seed, wrong.join("\n"));
    assert!(rendered * 2 >= cases * CHARTS.len() as u64, "only {rendered} cases render");
    let Shared { documents, same } = shared;
    assert!(same * 100 >= documents * 85, "only {same} of {documents} documents are the same text as in Helm 3");
}
