//! Builds directory after directory and says how long each took: what the benchmark compares with kustomize, without
//! the start of a process on either side.
//!
//! Each line of standard input is JSON: `disk`, a directory, and `root`, the directory in it to build. Each line of
//! standard output is what was built: `yaml` or `error`, and how many nanoseconds it took to build (`nanoseconds`), to build
//! with what is read being recorded (`recorded`), and to look whether that is unchanged (`check`).
#![allow(clippy::disallowed_methods, reason = "a benchmark reads files and clocks")]

use std::io::{BufRead, Write};
use std::time::Instant;

use soll_kustomize::{Options, Order, build};
use soll_tree::{DirTree, FileTree, Recorder, TreePath};
use soll_yaml::emit_documents;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for line in std::io::stdin().lock().lines() {
        let asked: serde_json::Value = serde_json::from_str(&line?)?;
        let text = |name: &str| asked[name].as_str().unwrap_or_default();
        let tree = DirTree::open(text("disk").as_ref())?;
        let root: TreePath = text("root").parse()?;
        let options = Options { order: Order::Legacy, ..Options::default() };

        let printed = |tree: &dyn FileTree| build(tree, &root, &options).map(|built| emit_documents(&built.values));

        let start = Instant::now();
        let built = printed(&tree);
        let full = start.elapsed().as_nanos();

        let start = Instant::now();
        let recorder = Recorder::new(&tree);
        let again = printed(&recorder);
        let recorded = start.elapsed().as_nanos();

        let reads = recorder.into_reads();
        let start = Instant::now();
        let is_unchanged = reads.unchanged_in(&tree);
        let check = start.elapsed().as_nanos();

        let mut answer = serde_json::json!({
            "nanoseconds": full, "recorded": recorded, "check": check,
            "unchanged": is_unchanged && built.as_ref().ok() == again.as_ref().ok(),
        });
        match built {
            Ok(yaml) => answer["yaml"] = yaml.into(),
            Err(errors) => answer["error"] = errors.to_string().into(),
        }
        writeln!(std::io::stdout(), "{answer}")?;
    }
    Ok(())
}
