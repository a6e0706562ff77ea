//! Failures as people read them: the line that caused them, underlined.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use soll_api::{Failure, Origin};
use soll_tree::{FileTree, TreePath};

use crate::origins;
use crate::terminal::Palette;

/// Renders a failure with the lines of the source it came from.
///
/// Lines of a Secret are named and not shown: what is printed here ends in logs.
pub(crate) fn render(failure: &Failure, palette: Palette, source: &dyn FileTree) -> String {
    let is_secret = failure.object.as_ref().is_some_and(|object| object.starts_with("Secret/"));
    let files = failure.origins.iter().map(|origin| if is_secret { None } else { File::read(source, &origin.path) });
    let files: Vec<_> = files.collect();
    let (mut snippets, mut elsewhere) = (Vec::new(), Vec::new());
    for (origin, file) in failure.origins.iter().zip(&files) {
        match file.as_ref().and_then(|file| snippet(origin, file)) {
            Some(snippet) => snippets.push(snippet),
            // What stands in no file of the source is named without an excerpt.
            None => elsewhere.push(format!("from {}", origins::shown(origin, source))),
        }
    }
    let title = without_place(&failure.message, failure.origins.first());
    let mut group = Level::ERROR.primary_title(title).elements(snippets);
    for place in elsewhere {
        group = group.element(Level::NOTE.message(place));
    }
    for culprit in &failure.culprits {
        group = group.element(Level::NOTE.message(format!("{}: {}", culprit.who, culprit.why)));
    }
    if let Some(hint) = &failure.hint {
        group = group.element(Level::HELP.message(hint.as_str()));
    }
    let renderer = if palette.is_coloured() { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group])
}

/// A file of the source.
struct File {
    /// As people know it.
    name: String,
    text: String,
}

impl File {
    fn read(source: &dyn FileTree, path: &str) -> Option<Self> {
        let path: TreePath = path.parse().ok()?;
        let text = String::from_utf8(source.read(&path).ok()?.to_vec()).ok()?;
        Some(Self { name: soll_kustomize::shown_path(source, &path), text })
    }
}

fn snippet<'t>(
    origin: &'t Origin,
    File { name, text }: &'t File,
) -> Option<Snippet<'t, annotate_snippets::Annotation<'t>>> {
    let start = offset(text, origin.line, origin.column)?;
    let rest = text[start..].lines().next().unwrap_or_default().trim_end();
    let label = origin.via.as_deref().unwrap_or_default();
    let annotation = AnnotationKind::Primary.span(start..(start + rest.len().max(1)).min(text.len())).label(label);
    Some(Snippet::source(text).path(name.as_str()).annotation(annotation))
}

/// Byte offset of a position that counts lines and characters from 1. In the line after the last, where a grammar misses
/// something, it is the end of what is written.
fn offset(text: &str, line: usize, column: usize) -> Option<usize> {
    let mut starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
    match starts.nth(line.saturating_sub(1)).filter(|start| *start < text.len()) {
        Some(start) => {
            let line = text[start..].lines().next().unwrap_or_default();
            let within = line.char_indices().nth(column.saturating_sub(1)).map_or(line.len(), |(at, _)| at);
            Some(start + within)
        }
        None if line == text.lines().count() + 1 => Some(text.trim_end().len()),
        None => None,
    }
}

/// The message without the place it may begin with: the excerpt shows that.
fn without_place<'m>(message: &'m str, origin: Option<&Origin>) -> &'m str {
    let place = origin.map(|origin| format!("{}: ", origin.place())).unwrap_or_default();
    message.strip_prefix(&place).unwrap_or(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use soll_api::{Class, Retry};
    use soll_tree::Tree;

    fn file(path: &str, text: &str) -> Tree {
        Tree::in_memory([(path, text)]).expect("a path")
    }

    #[test]
    fn shows_the_line_that_caused_it() {
        let failure = Failure::new(
            Class::Configuration,
            "BuildFailed",
            "a/k.yaml:2:7: unknown field `nmae`",
            Retry::AtRetryInterval,
        )
        .from_origins([Origin { path: "a/k.yaml".to_owned(), line: 2, column: 7, via: None }]);
        let text = render(&failure, Palette::plain(), &file("a/k.yaml", "kind: A\nspec: nmae\n"));
        expect_test::expect![[r#"
            error: unknown field `nmae`
             --> a/k.yaml:2:7
              |
            2 | spec: nmae
              |       ^^^^"#]]
        .assert_eq(&text);
    }

    #[test]
    fn what_is_missing_is_missing_at_the_end() {
        let failure = Failure::new(Class::Configuration, "BuildFailed", "no `]`", Retry::AtRetryInterval)
            .from_origins([Origin { path: "a.yaml".to_owned(), line: 3, column: 1, via: None }]);
        let text = render(&failure, Palette::plain(), &file("a.yaml", "kind: A\nlist: [\n"));
        expect_test::expect![[r#"
            error: no `]`
             --> a.yaml:2:8
              |
            2 | list: [
              |        ^"#]]
        .assert_eq(&text);
        let nothing = render(&failure, Palette::plain(), &file("a.yaml", ""));
        assert!(nothing.contains("a.yaml"), "{nothing}");
    }

    #[test]
    fn lines_of_a_secret_are_not_shown() {
        let failure = Failure::new(Class::Configuration, "BuildFailed", "no text", Retry::AtRetryInterval)
            .about("Secret/apps/door")
            .hinting("put the value in quotes")
            .from_origins([Origin { path: "a.yaml".to_owned(), line: 1, column: 1, via: Some("patches".to_owned()) }]);
        expect_test::expect![[r#"
            error: no text
             |
             = note: from a.yaml:1:1 (patches)
             = help: put the value in quotes"#]]
        .assert_eq(&render(&failure, Palette::plain(), &file("a.yaml", "pin: 4711\n")));
    }

    #[test]
    fn survives_places_that_do_not_exist() {
        let origin = Origin { path: "a".to_owned(), line: 9, column: 9, via: None };
        let failure = Failure::new(Class::Internal, "X", "broken", Retry::Backoff).from_origins([origin]);
        assert_eq!(
            render(&failure, Palette::plain(), &file("a", "one line")),
            "error: broken\n |\n = note: from a:9:9"
        );
    }
}
