//! Manifests with comments that say where each object or field was written.

use std::collections::{HashMap, HashSet};

use soll_yaml::{At, Data, ParseOptions, SourceId, Sources, Value, emit_yaml, parse_yaml};

use crate::arguments::OriginDetail;

/// The manifest as YAML, with the place of the object above it, and in detail with the place of each field behind it.
pub(crate) fn annotated(value: &Value, sources: &Sources, detail: OriginDetail) -> String {
    let text = emit_yaml(value);
    let head = origin(value.at, sources).map(|origin| format!("# {origin}\n")).unwrap_or_default();
    match detail {
        OriginDetail::Object => head + &text,
        OriginDetail::Field => head + &with_fields(&text, value, sources),
    }
}

/// `base/web.yaml:3:9`, or `over/kustomization.yaml:2:1 (namePrefix), base/web.yaml:3:9`.
fn origin(at: At, sources: &Sources) -> Option<String> {
    let chain: Vec<_> = soll_api::Origin::chain(sources, at).iter().map(ToString::to_string).collect();
    (!chain.is_empty()).then(|| chain.join(", "))
}

fn with_fields(text: &str, value: &Value, sources: &Sources) -> String {
    // Our own text tells which line holds which field.
    let Ok(written) = parse_yaml(text, SourceId::default(), &ParseOptions::go_v2()) else { return text.to_owned() };
    let Some(written) = written.first() else { return text.to_owned() };
    let mut layout = Layout::default();
    layout.read(written, value);
    let mut out = String::with_capacity(text.len() * 2);
    let mut lines = text.lines().zip(1..).peekable();
    while let Some((line, number)) = lines.next() {
        out.push_str(line);
        // Behind a text that goes on in the next line, a comment would become part of it.
        let goes_on = lines.peek().is_some_and(|(_, next)| !layout.starts.contains(next));
        let is_block = line.rsplit(' ').next().is_some_and(|last| last.starts_with('|'));
        let at = layout.scalars.get(&number).filter(|_| is_block || !goes_on);
        if let Some(origin) = at.and_then(|at| origin(*at, sources)) {
            out.push_str(" # ");
            out.push_str(&origin);
        }
        out.push('\n');
    }
    out
}

/// What stands in which line of a text.
#[derive(Default)]
struct Layout {
    /// Lines in which a key or an item of a list begins.
    starts: HashSet<usize>,
    /// Lines in which a scalar begins, with the place where it was first written.
    scalars: HashMap<usize, At>,
}

impl Layout {
    fn read(&mut self, written: &Value, value: &Value) {
        match (&written.data, &value.data) {
            (Data::Map(map), Data::Map(values)) => {
                for entry in map.iter() {
                    self.starts.insert(entry.key_at.line());
                    if let Some(value) = values.get(&entry.key) {
                        self.read(&entry.value, value);
                    }
                }
            }
            (Data::List(items), Data::List(values)) => {
                for (item, value) in items.iter().zip(values.iter()) {
                    self.starts.insert(item.at.line());
                    self.read(item, value);
                }
            }
            _ => {
                self.scalars.insert(written.at.line(), value.at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn comments_never_become_part_of_a_text() {
        let words = "word ".repeat(30);
        let text = format!("a: {words}\nb: |\n  x\n  y\nc:\n- d: 1\n");
        let sources = Sources::new();
        let value = parse_yaml(&text, sources.add("a.yaml"), &ParseOptions::go_v2()).unwrap().remove(0);
        let annotated = annotated(&value, &sources, OriginDetail::Field);
        let read = parse_yaml(&annotated, SourceId::default(), &ParseOptions::go_v2()).unwrap();
        assert_eq!(read, [value], "{annotated}");
        let comments: Vec<_> = annotated.lines().filter_map(|line| line.split_once('#')).collect();
        assert_eq!(comments, [("", " a.yaml:1:1"), ("b: | ", " a.yaml:2:4"), ("- d: 1 ", " a.yaml:6:6")]);
    }
}
