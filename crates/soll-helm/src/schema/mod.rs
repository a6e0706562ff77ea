//! `values.schema.json`: JSON Schema, drafts 4 to 2020-12, with the messages that Helm's users know.
//!
//! A schema is read as it is written, keyword by keyword; nothing is compiled. Start with [`check_values`].

mod check;
mod fault;
mod format;
mod reference;

use soll_template::go::check_json;
use soll_yaml::{At, Value, parse_json};

use crate::Chart;
use crate::values::go_type;
use check::Checker;
use fault::Fault;
use reference::Document;

/// Values that do not fit the schemas of a chart or its dependencies.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("values don't meet the specifications of the schema(s) in the following chart(s):\n{text}")]
pub struct SchemaError {
    /// What Helm says.
    pub text: String,
    /// The values that do not fit, as far as they are known.
    pub faults: Vec<SchemaFault>,
}

/// One value that does not fit.
#[derive(Debug, Clone, PartialEq)]
pub struct SchemaFault {
    /// Where it stands, from the values of the root chart: `ingress.hosts[0]`.
    pub path: soll_yaml::FieldPath,
    /// What is wrong with it.
    pub message: String,
    /// Where it was written.
    pub at: At,
}

/// Checks coalesced values against the schema of a chart and those of all charts that it depends on.
///
/// # Errors
/// All values that do not fit, or a schema that cannot be used.
pub fn check_values(chart: &Chart, values: &Value) -> Result<(), SchemaError> {
    let mut error = SchemaError { text: String::new(), faults: Vec::new() };
    check_chart(chart, values, &soll_yaml::FieldPath::root(), &mut error);
    if error.text.is_empty() { Ok(()) } else { Err(error) }
}

fn check_chart(chart: &Chart, values: &Value, path: &soll_yaml::FieldPath, error: &mut SchemaError) {
    let name = chart.name();
    match chart.schema.as_deref().map(|schema| check_one(schema, values)) {
        None | Some(Ok(())) => {}
        Some(Err(Misfit::Schema(text))) => error.text.push_str(&format!("{name}:\n{text}")),
        Some(Err(Misfit::Values(faults))) => {
            error.text.push_str(&format!("{name}:\n"));
            for fault in &faults {
                fault.show(&mut error.text, 0);
                fault.leaves(values, path, &mut error.faults);
            }
            error.text.push('\n');
        }
    }
    for child in &chart.dependencies {
        let Some(own) = values.get(child.name()).filter(|own| !own.is_null()) else { continue };
        if own.as_map().is_none() {
            let name = child.name();
            error
                .text
                .push_str(&format!("{name}:\ninvalid type for values: expected object (map), got {}\n", go_type(own)));
            continue;
        }
        check_chart(child, own, &path.key(child.name()), error);
    }
}

enum Misfit {
    /// The schema itself is of no use.
    Schema(String),
    Values(Vec<Fault>),
}

fn check_one(schema: &[u8], values: &Value) -> Result<(), Misfit> {
    let schema = parse_json(schema).map_err(|error| {
        // In Go's words; what Go takes and we do not, in ours.
        Misfit::Schema(check_json(schema).err().unwrap_or_else(|| error.to_string()))
    })?;
    let document = Document::new(&schema);
    document.check_references().map_err(Misfit::Schema)?;
    match Checker::new(&document).check_root(values) {
        None => Ok(()),
        Some(fault) => Err(Misfit::Values(fault.ungrouped())),
    }
}

#[cfg(test)]
mod tests;
