//! Any template renders or fails within its limits, over any values: the text is a template, then the values in JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use soll_template::{Environment, Limits, Options, Rendering, Set, Value, WholeNumbers};

/// A world in which nothing moves.
struct Still;

impl Environment for Still {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }

    fn random(&self, buffer: &mut [u8]) {
        buffer.fill(7);
    }
}

const VALUES: &str = r#"{"str":"a b","num":3,"list":[1,"b",null,{"c":2.5}],"map":{"a":{"b":"c"}},"none":null,"yes":true}"#;
const BESIDE: &str = "{{ define \"x\" }}<{{ . }}>{{ end }}{{ define \"self\" }}{{ include \"self\" . }}{{ end }}";

fuzz_target!(|text: &str| {
    let (template, values) = text.split_once("\n---\n").unwrap_or((text, VALUES));
    let Ok(values) = soll_yaml::parse_json(values.as_bytes()) else { return };
    let mut set = Set::new();
    set.parse("beside", BESIDE).expect("it is a template");
    if set.parse("file", template).is_err() {
        return;
    }
    // Fuel for as much as a stack of the fuzzer holds.
    let limits = Limits { steps: 20_000, depth: 100, bytes: 1 << 20 };
    let mut rendering = Rendering::new(&set, &Still, Options { limits, ..Options::default() });
    match rendering.render_bytes("file", Value::from_yaml(&values, WholeNumbers::Float64)) {
        Ok(bytes) => assert!(bytes.len() <= 1 << 20),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
