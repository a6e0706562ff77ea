//! Any bytes are a packaged chart or are refused, within the limits; first as they are, then as the tar in a gzip.
#![no_main]

mod panics;

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use libfuzzer_sys::fuzz_target;
use soll_helm::{ChartLimits, load_archive};
use soll_yaml::Sources;

fuzz_target!(init: panics::forgive_the_scanner(), |bytes: &[u8]| {
    let limits = ChartLimits { files: 50, file_bytes: 1 << 16, total_bytes: 1 << 18, depth: 3 };
    let _ = load_archive(bytes, "a.tgz", &limits, &Sources::new());
    let mut packed = GzEncoder::new(Vec::new(), Compression::none());
    packed.write_all(bytes).expect("memory takes everything");
    let packed = packed.finish().expect("memory takes everything");
    if let Ok(chart) = load_archive(packed.as_slice(), "a.tgz", &limits, &Sources::new()) {
        let bytes: usize = chart.files.iter().chain(chart.templates.iter()).map(|file| file.data.len()).sum();
        assert!(bytes as u64 <= limits.total_bytes);
    }
});
