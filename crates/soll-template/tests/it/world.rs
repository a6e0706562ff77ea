//! A world that is the same every day, chance aside.

use jiff::Timestamp;
use soll_template::{Crypto, Environment, Options, Rendering, Set, TemplateError, Value, WholeNumbers};
use soll_yaml::{ParseOptions, SourceId, parse_yaml};

pub(crate) struct Fixed;

impl Environment for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_700_000_000).unwrap()
    }

    fn random(&self, buffer: &mut [u8]) {
        soll_keys::random(buffer);
    }

    fn crypto(&self) -> Option<&dyn Crypto> {
        Some(&soll_keys::Keys { now: 1_700_000_000 })
    }
}

/// A value written in YAML; whole numbers are floats, as in values files.
pub(crate) fn value(yaml: &str) -> Value {
    let documents = parse_yaml(yaml, SourceId::default(), &ParseOptions::go_v2()).unwrap();
    documents.first().map(|document| Value::from_yaml(document, WholeNumbers::Float64)).unwrap_or_default()
}

pub(crate) fn render(template: &str, data: &str) -> Result<String, TemplateError> {
    let mut set = Set::new();
    set.parse("t", template)?;
    Rendering::new(&set, &Fixed, Options::default()).render("t", value(data))
}

/// Renders, or shows the error.
pub(crate) fn shown(template: &str, data: &str) -> String {
    render(template, data).unwrap_or_else(|error| format!("error: {error}"))
}
