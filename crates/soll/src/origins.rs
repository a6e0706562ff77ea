//! Manifests with comments that say where each object or field was written.

use std::collections::{HashMap, HashSet};

use soll_api::Origin;
use soll_kustomize::shown_path;
use soll_tree::{FileTree, TreePath};
use soll_yaml::{At, Data, ParseOptions, SourceId, Sources, Value, emit_yaml, parse_yaml};

use crate::arguments::OriginDetail;

/// The manifest as YAML, with the place of the object above it, and in detail with the place of each field behind it.
pub(crate) fn annotated(value: &Value, places: Places<'_>, detail: OriginDetail) -> String {
    let text = emit_yaml(value);
    let head = places.origin(value.at).map(|origin| format!("# {origin}\n")).unwrap_or_default();
    match detail {
        OriginDetail::Object => head + &text,
        OriginDetail::Field => head + &with_fields(&text, value, places),
    }
}

/// What tells places as people know them.
#[derive(Clone, Copy)]
pub(crate) struct Places<'s> {
    pub(crate) sources: &'s Sources,
    /// What was built.
    pub(crate) tree: &'s dyn FileTree,
}

impl Places<'_> {
    /// `base/web.yaml:3:9`, or `over/kustomization.yaml:2:1 (namePrefix), base/web.yaml:3:9`.
    pub(crate) fn origin(self, at: At) -> Option<String> {
        let chain: Vec<_> =
            Origin::chain(self.sources, at).iter().map(|origin| shown(origin, self.tree).to_string()).collect();
        (!chain.is_empty()).then(|| chain.join(", "))
    }
}

/// An origin with the path as people know it.
pub(crate) fn shown(origin: &Origin, tree: &dyn FileTree) -> Origin {
    let path = origin.path.parse::<TreePath>().map_or_else(|_| origin.path.clone(), |path| shown_path(tree, &path));
    Origin { path, ..origin.clone() }
}

fn with_fields(text: &str, value: &Value, places: Places<'_>) -> String {
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
        if let Some(origin) = at.and_then(|at| places.origin(*at)) {
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
    use soll_tree::Tree;

    #[test]
    fn comments_never_become_part_of_a_text() {
        let words = "word ".repeat(30);
        let text = format!("a: {words}\nb: |\n  x\n  y\nc:\n- d: 1\n");
        let sources = Sources::new();
        let value = parse_yaml(&text, sources.add("a.yaml"), &ParseOptions::go_v2()).unwrap().remove(0);
        let tree = Tree::in_memory([("a.yaml", text.as_str())]).unwrap();
        let annotated = annotated(&value, Places { sources: &sources, tree: &tree }, OriginDetail::Field);
        let read = parse_yaml(&annotated, SourceId::default(), &ParseOptions::go_v2()).unwrap();
        assert_eq!(read, [value], "{annotated}");
        let comments: Vec<_> = annotated.lines().filter_map(|line| line.split_once('#')).collect();
        assert_eq!(comments, [("", " a.yaml:1:1"), ("b: | ", " a.yaml:2:4"), ("- d: 1 ", " a.yaml:6:6")]);
    }
}
