//! Any text is read or refused, within its limits; what was read is written so that it is read again.
#![no_main]

mod panics;

use libfuzzer_sys::fuzz_target;
use soll_yaml::{ParseLimits, ParseOptions, SourceId, emit_yaml, parse_yaml};

fuzz_target!(init: panics::forgive_the_scanner(), |text: &str| {
    let limits = ParseLimits { bytes: 1 << 16, depth: 64, nodes: 100_000, documents: 100 };
    for mut options in [ParseOptions::go_v2(), ParseOptions::go_v3()] {
        options.limits = limits.clone();
        for value in parse_yaml(text, SourceId::default(), &options).unwrap_or_default() {
            let written = emit_yaml(&value);
            let read = parse_yaml(&written, SourceId::default(), &ParseOptions::go_v2());
            assert!(read.is_ok(), "{written:?}: {read:?}");
        }
    }
});
