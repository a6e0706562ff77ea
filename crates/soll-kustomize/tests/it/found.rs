//! What comparing with kustomize has found: small cases, named after what they show, with what kustomize makes of them.
//!
//! `UPDATE_EXPECT=1` asks the oracle again and writes its answers.

use std::fs;
use std::path::Path;

use soll_kustomize::{Options, build};

use crate::differential::Oracle;
use crate::{Files, difference, printed};

/// Heads what kustomize prints; of a refusal only the fact counts, because ours says more.
const EXPECTED: &str = "# expected\n";
const REFUSED: &str = "# refused\n";

#[test]
fn what_was_found_stays_found() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/found");
    let mut oracle = std::env::var_os("UPDATE_EXPECT").map(|_| Oracle::start());
    let mut failures = Vec::new();
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() > 20, "cases are missing: {}", paths.len());
    for path in paths {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let mut text = fs::read_to_string(&path).unwrap();
        let end = [EXPECTED, REFUSED].iter().find_map(|head| text.find(head)).unwrap_or(text.len());
        let files = Files::of(&text[..end]);
        if let Some(oracle) = &mut oracle {
            let answer = match oracle.ask(&files.0, "", false, false) {
                Ok(yaml) => format!("{EXPECTED}{yaml}"),
                Err(_) => REFUSED.to_owned(),
            };
            text = format!("{}{answer}", &text[..end]);
            fs::write(&path, &text).unwrap();
        }
        let found = build(&files, &"".parse().unwrap(), &Options::default());
        match (text.split_once(EXPECTED), text.ends_with(REFUSED), found) {
            (Some((_, expected)), _, Ok(found)) if printed(&found) == expected => {}
            (Some((_, expected)), _, Ok(found)) => {
                failures.push(format!("{name}: {}", difference(expected, &printed(&found))));
            }
            (None, true, Err(_)) => {}
            (_, is_refused, found) => {
                let found = found.map(|found| printed(&found)).map_err(|errors| errors.to_string());
                failures.push(format!("{name}: refused by kustomize: {is_refused}; here: {found:?}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
