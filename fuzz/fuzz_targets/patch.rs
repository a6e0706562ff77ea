//! Any two documents are merged and patched, or refused: the first is the object, the second the patch.
#![no_main]

mod panics;

use libfuzzer_sys::fuzz_target;
use soll_patch::{Dialect, json_merge, json_patch, strategic_merge};
use soll_schema::Schemas;
use soll_yaml::{ParseLimits, ParseOptions, SourceId, Value, parse_yaml};

fuzz_target!(init: panics::forgive_the_scanner(), |text: &str| {
    let mut options = ParseOptions::go_v3();
    options.limits = ParseLimits { bytes: 1 << 14, depth: 32, nodes: 10_000, documents: 2 };
    let Ok(documents) = parse_yaml(text, SourceId::default(), &options) else { return };
    let [object, patch] = documents.as_slice() else { return };
    let kind = object.lookup_str(&["kind"]).unwrap_or_default();
    let (group, version) = match object.lookup_str(&["apiVersion"]).and_then(|text| text.split_once('/')) {
        Some(parts) => parts,
        None => ("", "v1"),
    };
    let of = Schemas::builtin().merge_type(group, version, kind);
    let results: [Option<Value>; 4] = [
        strategic_merge(object, patch, of, Dialect::Kustomize, None).ok().flatten(),
        strategic_merge(object, patch, of, Dialect::ApiServer, None).ok().flatten(),
        json_patch(object, patch, None).ok(),
        Some(json_merge(object, patch, None)),
    ];
    for result in results.into_iter().flatten() {
        soll_yaml::emit_yaml(&result);
    }
});
