//! Real overlays with the output of kustomize.

use std::fs;
use std::path::{Path, PathBuf};

use soll_kustomize::{Options, Order, build};
use soll_tree::{DirTree, TreePath};
use soll_yaml::{ParseOptions, Sources, emit_yaml, parse_yaml};

use crate::{difference, printed};

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus/kustomize");
    let mut cases: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|case| case.is_dir());
    cases.sort();
    assert!(cases.len() >= 57, "the corpus is incomplete: {}", cases.len());
    cases
}

fn name(case: &Path) -> String {
    case.file_name().unwrap().to_string_lossy().into_owned()
}

fn built(case: &Path, options: &Options) -> Result<String, String> {
    let about: serde_json::Value = serde_json::from_slice(&fs::read(case.join("case.json")).unwrap()).unwrap();
    let root: TreePath = about["path"].as_str().unwrap().parse().unwrap();
    let tree = DirTree::open(&case.join("input")).unwrap();
    let build = build(&tree, &root, options).map_err(|errors| errors.to_string())?;
    Ok(printed(&build))
}

#[test]
fn every_overlay_gives_the_bytes_of_kustomize() {
    let mut failures = Vec::new();
    for case in cases() {
        let expected = fs::read_to_string(case.join("expected.yaml")).unwrap();
        let name = name(&case);
        match built(&case, &Options::default()) {
            Ok(found) if found == expected => {}
            Ok(found) => failures.push(format!("{name}: {}", difference(&expected, &found))),
            Err(errors) => failures.push(format!("{name}:\n{errors}")),
        }
    }
    assert!(failures.is_empty(), "{} of the overlays differ:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn yaml_written_by_kustomize_is_written_the_same() {
    for case in cases() {
        let expected = fs::read_to_string(case.join("expected.yaml")).unwrap();
        let values = parse_yaml(&expected, Sources::new().add("a.yaml"), &ParseOptions::go_v2()).unwrap();
        let written: Vec<_> = values.iter().map(emit_yaml).collect();
        let found = written.join("---\n");
        assert!(found == expected, "{}: {}", case.display(), difference(&expected, &found));
    }
}

#[test]
fn legacy_order_is_that_of_kustomize() {
    use sha2::{Digest, Sha256};
    let options = Options { order: Order::Legacy, ..Options::default() };
    let mut failures = Vec::new();
    for case in cases() {
        let about: serde_json::Value = serde_json::from_slice(&fs::read(case.join("case.json")).unwrap()).unwrap();
        let Some(expected) = about["sha256_legacy_order"].as_str() else { continue };
        match built(&case, &options) {
            Ok(found) if hex::encode(Sha256::digest(&found)) == expected => {}
            _ => failures.push(name(&case)),
        }
    }
    assert!(failures.is_empty(), "{} differ: {failures:?}", failures.len());
}
