//! Renders case after case and says how long each part took: what the benchmark shows beside whole processes.
//!
//! Each line of standard input is JSON: `disk`, a directory of charts, `chart`, the one to render, and `args`, flags of
//! `helm template`. Each line of standard output says nanoseconds: `load` of the chart, `prepare` of its values, `parse`
//! of its templates, and `render` with all of that kept; and `bytes` of what was rendered.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads files and clocks")]

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use soll_helm::render::{PrintedHooks, ReleaseOptions, RenderOptions, Templates, prepare, render};
use soll_helm::{Capabilities, ChartLimits, KubeVersion, ValueFlags, load_directory};
use soll_keys::Keys;
use soll_template::{Crypto, Environment};
use soll_tree::{DirTree, TreePath};
use soll_yaml::Sources;

/// This machine's randomness and cryptography, at one moment.
struct World(Keys);

impl Environment for World {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }

    fn random(&self, buffer: &mut [u8]) {
        soll_keys::random(buffer);
    }

    fn crypto(&self) -> Option<&dyn Crypto> {
        Some(&self.0)
    }
}

#[derive(Default)]
struct Took {
    load: Duration,
    prepare: Duration,
    parse: Duration,
    render: Duration,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for line in std::io::stdin().lock().lines() {
        let asked: serde_json::Value = serde_json::from_str(&line?)?;
        let text = |name: &str| asked[name].as_str().unwrap_or_default();
        let args = asked["args"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_str);
        let mut took = Took::default();
        let rendered = rendered(Path::new(text("disk")), text("chart"), args, &mut took);
        let mut answer = serde_json::json!({
            "load": took.load.as_nanos(),
            "prepare": took.prepare.as_nanos(),
            "parse": took.parse.as_nanos(),
            "render": took.render.as_nanos(),
        });
        match rendered {
            Ok(printed) => answer["bytes"] = printed.len().into(),
            Err(error) => answer["error"] = error.into(),
        }
        writeln!(std::io::stdout(), "{answer}")?;
    }
    Ok(())
}

fn rendered<'a>(
    disk: &Path,
    chart: &str,
    args: impl Iterator<Item = &'a str>,
    took: &mut Took,
) -> Result<String, String> {
    let mut values = ValueFlags::default();
    let mut options = RenderOptions::default();
    let mut capabilities = Capabilities::default();
    let mut args = args.map(str::to_owned);
    while let Some(flag) = args.next() {
        if flag == "--skip-schema-validation" {
            options.skip_schema_validation = true;
            continue;
        }
        if flag == "--include-crds" {
            continue;
        }
        let value = args.next().ok_or("a flag without its value")?;
        match flag.as_str() {
            "-f" => values.files.push(value),
            "--set" => values.set.push(value),
            "--set-string" => values.string.push(value),
            "--set-json" => values.json.push(value),
            "--kube-version" => {
                capabilities.kube_version = KubeVersion::parse(&value).map_err(|error| error.to_string())?;
            }
            _ => {}
        }
    }

    let tree = DirTree::open(disk).map_err(|error| error.to_string())?;
    let path: TreePath = chart.parse().map_err(|_| "the chart's path is none")?;
    let sources = Sources::new();
    let (chart, load) = timed(|| load_directory(&tree, &path, &ChartLimits::default(), &sources));
    took.load = load;
    let chart = chart.map_err(|error| error.to_string())?;
    let mut read =
        |path: &str| std::fs::read_to_string(PathBuf::from(disk).join(path)).map_err(|error| error.to_string());
    let set = values.values(&sources, &mut read)?;
    let (prepared, prepare) = timed(|| prepare(chart, &set, &options));
    took.prepare = prepare;
    let prepared = prepared.map_err(|error| error.to_string())?;
    let (templates, parse) = timed(|| Templates::parse(&prepared.chart));
    took.parse = parse;
    let templates = templates.map_err(|error| error.to_string())?;
    let release = ReleaseOptions {
        name: "soll-test".to_owned(),
        namespace: "default".to_owned(),
        revision: 1,
        is_upgrade: false,
    };
    let world = World(Keys::default());
    let (rendered, render) = timed(|| render(&prepared, &templates, &release, &capabilities, &options, &world, None));
    took.render = render;
    rendered.map(|rendered| rendered.printed(None, PrintedHooks::All)).map_err(|error| error.to_string())
}

fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let value = run();
    (value, start.elapsed())
}
