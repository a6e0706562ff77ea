//! `soll values`: what a chart's templates see as `.Values`, and where each of it was written.

use anyhow::anyhow;
use soll_helm::render::{RenderOptions, prepare};
use soll_yaml::{Data, Map, Value, emit_yaml};

use super::arguments::Values;
use super::chart::Loaded;
use crate::terminal;

/// Prints the merged values, each key with the file and line, or the flag, that it comes from.
pub(crate) fn values(arguments: &Values) -> anyhow::Result<u8> {
    let loaded = Loaded::open(&arguments.chart, &arguments.values, arguments.dependency_update)?;
    // Values that a schema refuses are the ones that people want to see.
    let options = RenderOptions { skip_schema_validation: true, ..RenderOptions::default() };
    let prepared = prepare(loaded.chart.clone(), &loaded.set, &options).map_err(|error| anyhow!(error))?;
    for warning in &prepared.warnings {
        terminal::say(warning);
    }
    let mut text = String::new();
    if arguments.plain {
        text = emit_yaml(&sorted(&prepared.values));
    } else if let Some(map) = prepared.values.as_map() {
        let mut lines = Vec::new();
        print_map(map, 0, &loaded, &mut lines);
        text = aligned(&lines);
    }
    terminal::print(&text);
    Ok(0)
}

fn sorted(value: &Value) -> Value {
    match &value.data {
        Data::Map(map) => {
            let entries = map.sorted().into_iter().map(|entry| (entry.key.clone(), sorted(&entry.value)));
            entries.collect::<Map>().into()
        }
        Data::List(items) => Value::list(items.iter().map(sorted).collect()),
        _ => value.clone(),
    }
}

/// A line of YAML, and the place that belongs to it.
struct Line {
    text: String,
    place: Option<String>,
}

fn print_map(map: &Map, indent: usize, loaded: &Loaded, lines: &mut Vec<Line>) {
    for entry in map.sorted() {
        let inner = entry.value.as_map().filter(|inner| !inner.is_empty());
        // The YAML of the one entry says how its key is to be quoted.
        let shown = if inner.is_some() { Value::map() } else { sorted(&entry.value) };
        let alone: Map = [(entry.key.clone(), shown)].into_iter().collect();
        let yaml = emit_yaml(&alone.into());
        let place = loaded.place(entry.value.at.or(entry.key_at));
        let mut own = yaml.lines().map(|line| format!("{}{line}", " ".repeat(indent)));
        let first = own.next().unwrap_or_default();
        match inner {
            Some(inner) => {
                // A map has no place of its own: it is put together from several.
                let text = first.trim_end_matches(" {}").to_owned();
                lines.push(Line { text, place: None });
                print_map(inner, indent + 2, loaded, lines);
            }
            None => {
                lines.push(Line { text: first, place });
                lines.extend(own.map(|text| Line { text, place: None }));
            }
        }
    }
}

/// The places as comments in a column of their own, as far as lines are not too long. The output is YAML of
/// the same values still.
fn aligned(lines: &[Line]) -> String {
    const WIDEST: usize = 60;
    let width = |line: &Line| line.text.chars().count();
    let placed = lines.iter().filter(|line| line.place.is_some() && width(line) <= WIDEST);
    let column = placed.map(width).max().unwrap_or(0);
    let mut text = String::new();
    for line in lines {
        match &line.place {
            Some(place) => text.push_str(&format!("{:<column$}  # {place}\n", line.text)),
            None => text.push_str(&format!("{}\n", line.text)),
        }
    }
    text
}
