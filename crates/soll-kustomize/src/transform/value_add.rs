//! The `ValueAddTransformer`: a text put into a field, or into a path that the field holds.

use soll_yaml::{Data, Value};

use super::namespace::{self, Mode};
use super::replace;
use crate::accumulate::Builder;
use crate::field_spec::Keys;
use crate::kustomization::{Fields, Kustomization, Text};
use crate::problem::Problem;
use crate::resources::Resources;
use crate::selector::Selector;
use crate::written::plain;

const BY: &str = "ValueAddTransformer";

/// Where the text goes.
struct Target {
    selector: Option<Selector>,
    path: Text,
    /// Which part of the path in the field it becomes, from 1; 0 replaces the field.
    position: usize,
}

/// Runs the transformer that the fields configure.
pub(crate) fn run(resources: &mut Resources, fields: &mut Fields<'_>, ks: &Kustomization, builder: &Builder<'_>) {
    let given = fields.text("value").filter(|value| !value.as_str().trim().is_empty());
    // Without a value it is the name of the directory.
    let value = given.unwrap_or_else(|| Text { text: ks.directory.file_name().into(), at: fields.at });
    let value = Text { text: value.as_str().trim().into(), at: value.at };
    let mut targets: Vec<Target> = fields.list("targets").iter().filter_map(|item| target(item, builder)).collect();
    if let Some(path) = fields.text("targetFilePath") {
        for document in builder.values(&path, ks).unwrap_or_default() {
            let more = document.get("targets").and_then(Value::as_list).unwrap_or_default();
            targets.extend(more.iter().filter_map(|item| target(item, builder)));
        }
    }
    if targets.is_empty() {
        return builder.problems.add(fields.at, "must specify at least one target");
    }
    for target in &targets {
        for position in 0..resources.len() {
            let is_meant = target.selector.as_ref().is_none_or(|selector| selector.selects(resources.get(position)));
            if is_meant {
                add(resources, position, target, &value, builder);
            }
        }
    }
}

fn target(item: &Value, builder: &Builder<'_>) -> Option<Target> {
    let mut fields = Fields::new(item, "target", &builder.problems);
    let selector = fields.value("selector").and_then(|selector| Selector::read(selector, &builder.problems));
    let path = fields.required("fieldPath")?;
    let position = fields.number("filePathPosition").unwrap_or(0);
    if position < 0 {
        builder.problems.add(item.at, format!("`filePathPosition` is {position}; it cannot be negative"));
    }
    Some(Target { selector, path, position: usize::try_from(position).unwrap_or(0) })
}

fn add(resources: &mut Resources, position: usize, target: &Target, value: &Text, builder: &Builder<'_>) {
    let resource = resources.get_mut(position);
    if target.path.as_str() == "metadata/namespace" {
        return namespace::of_object(resource, value, &[], &Mode::default(), builder);
    }
    let keys = Keys::from(target.path.as_str().to_owned());
    let mut field = resource.value_mut();
    for key in keys.iter().filter(|key| !key.is_empty()) {
        if field.is_null() {
            field.data = Value::map().data;
        }
        if field.as_map().is_none() {
            let message = format!("`{}` leads through {}", target.path.text, field.type_in_words());
            return builder.problems.push(Problem::new(target.path.at, message).of(resource.id()));
        }
        field = field.make_map().get_or_insert_with(&key, Value::null);
    }
    if matches!(field.data, Data::List(_) | Data::Map(_)) {
        let message = format!("`{}` holds {}; only a text can be set", target.path.text, field.type_in_words());
        return builder.problems.push(Problem::new(target.path.at, message).of(resource.id()));
    }
    let text = match target.position {
        0 => value.text.to_string(),
        // A field that was just made holds nothing.
        position if field.at.is_none() && field.is_null() => inserted("", position - 1, value.as_str()),
        position => inserted(&builder.written.text(field), position - 1, value.as_str()),
    };
    // A text in quotes stays one.
    let data = if builder.written.is_quoted(field.at) { Data::Str(text.as_str().into()) } else { plain(&text) };
    replace(field, Value::from(data).at(value.at), BY, builder);
}

/// A path with one more part; an absolute path stays absolute.
fn inserted(path: &str, position: usize, part: &str) -> String {
    let (start, rest) = match path.strip_prefix('/') {
        Some(rest) => ("/", rest),
        None => ("", path),
    };
    let mut parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
    parts.insert(position.min(parts.len()), part);
    format!("{start}{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_go_where_they_are_told() {
        for (path, position, expected) in [
            ("", 0, "P"),
            ("/", 0, "/P"),
            ("pie", 0, "P/pie"),
            ("/pie", 0, "/P/pie"),
            ("raw", 1, "raw/P"),
            ("/raw", 9, "/raw/P"),
            ("a/b/c", 2, "a/b/P/c"),
        ] {
            assert_eq!(inserted(path, position, "P"), expected, "{path}");
        }
    }
}
