//! Any values meet any defaults, those of a dependency too, and any schema: the text is what is set, then the defaults
//! of the chart, of its dependency, what `Chart.yaml` says besides, and a schema.
#![no_main]

mod panics;

use libfuzzer_sys::fuzz_target;
use soll_helm::render::{RenderOptions, prepare};
use soll_helm::{ChartLimits, load_directory, parse_values};
use soll_tree::{Tree, TreePath};
use soll_yaml::{SourceId, Sources};

fuzz_target!(init: panics::forgive_the_scanner(), |text: &str| {
    let mut parts = text.splitn(5, "\n===\n");
    let mut part = || parts.next().unwrap_or_default();
    let (set, values, below, metadata, schema) = (part(), part(), part(), part(), part());
    let Ok(set) = parse_values(set, SourceId::default()) else { return };
    let metadata = format!("apiVersion: v2\nname: a\nversion: 1.0.0\n{metadata}\n");
    let mut files = vec![
        ("Chart.yaml", metadata.as_str()),
        ("values.yaml", values),
        ("charts/b/Chart.yaml", "apiVersion: v2\nname: b\nversion: 1.0.0\n"),
        ("charts/b/values.yaml", below),
    ];
    if !schema.is_empty() {
        files.push(("values.schema.json", schema));
    }
    let tree = Tree::in_memory(files).expect("the paths are fine");
    let Ok(chart) = load_directory(&tree, &TreePath::root(), &ChartLimits::default(), &Sources::new()) else { return };
    if let Ok(prepared) = prepare(chart, &set, &RenderOptions::default()) {
        assert!(prepared.values.as_map().is_some());
    }
});
