//! The part of JSONPath that printer columns use: keys, indexes, wildcards and simple filters.

use soll_yaml::Value;

/// The values at a path such as `.status.conditions[?(@.type=="Ready")].status`; nothing if it is not understood.
pub(crate) fn find<'v>(root: &'v Value, path: &str) -> Vec<&'v Value> {
    let mut found = vec![root];
    let mut rest = path.trim().trim_start_matches('{').trim_end_matches('}').trim_start_matches('$');
    while !rest.is_empty() {
        let step;
        (step, rest) = match next_step(rest) {
            Some(next) => next,
            None => return Vec::new(),
        };
        found = found.into_iter().flat_map(|value| step.apply(value)).collect();
    }
    found
}

enum Step<'p> {
    Key(String),
    Index(i64),
    All,
    /// Items whose value at a path equals a text, or differs from it.
    Filter {
        path: &'p str,
        equal: bool,
        wanted: String,
    },
    /// Items that have a path.
    Has(&'p str),
}

fn next_step(path: &str) -> Option<(Step<'_>, &str)> {
    if let Some(rest) = path.strip_prefix('.') {
        if rest.starts_with('[') {
            return next_step(rest);
        }
        let (key, rest) = take_key(rest);
        return match key.as_str() {
            "" => None,
            "*" => Some((Step::All, rest)),
            _ => Some((Step::Key(key), rest)),
        };
    }
    let inner = path.strip_prefix('[')?;
    let end = closing(inner)?;
    let (inside, rest) = (inner[..end].trim(), &inner[end + 1..]);
    if inside == "*" {
        return Some((Step::All, rest));
    }
    if let Some(quoted) = unquote(inside) {
        return Some((Step::Key(quoted), rest));
    }
    if let Some(filter) = inside.strip_prefix("?(").and_then(|filter| filter.strip_suffix(')')) {
        return Some((filter_step(filter.trim())?, rest));
    }
    inside.parse().ok().map(|index| (Step::Index(index), rest))
}

/// A key up to the next `.` or `[`; a backslash takes the next character as it is.
fn take_key(path: &str) -> (String, &str) {
    let mut key = String::new();
    let mut chars = path.char_indices();
    while let Some((position, c)) = chars.next() {
        match c {
            '\\' => key.extend(chars.next().map(|(_, escaped)| escaped)),
            '.' | '[' => return (key, &path[position..]),
            _ => key.push(c),
        }
    }
    (key, "")
}

/// Where the bracket that is open closes, outside of quotes.
fn closing(text: &str) -> Option<usize> {
    let (mut quote, mut depth) = (None, 0_usize);
    for (position, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some(position),
            (None, ']') => depth -= 1,
            _ => {}
        }
    }
    None
}

fn unquote(text: &str) -> Option<String> {
    let inner = ['\'', '"'].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote))?;
    Some(inner.replace("\\.", "."))
}

fn filter_step(filter: &str) -> Option<Step<'_>> {
    let (path, equal, wanted) = if let Some((path, wanted)) = filter.split_once("==") {
        (path, true, wanted)
    } else if let Some((path, wanted)) = filter.split_once("!=") {
        (path, false, wanted)
    } else {
        return filter.strip_prefix('@').map(Step::Has);
    };
    let wanted = wanted.trim();
    let wanted = unquote(wanted).unwrap_or_else(|| wanted.to_owned());
    Some(Step::Filter { path: path.trim().strip_prefix('@')?, equal, wanted })
}

impl Step<'_> {
    fn apply<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        let items = || value.as_list().unwrap_or_default().iter();
        match self {
            Self::Key(key) => value.get(key).into_iter().collect(),
            Self::Index(index) => {
                let list = value.as_list().unwrap_or_default();
                let from_end = i64::try_from(list.len()).unwrap_or(i64::MAX) + index;
                let index = if *index < 0 { from_end } else { *index };
                usize::try_from(index).ok().and_then(|index| list.get(index)).into_iter().collect()
            }
            Self::All => match value.as_map() {
                Some(map) => map.iter().map(|entry| &entry.value).collect(),
                None => items().collect(),
            },
            Self::Filter { path, equal, wanted } => items()
                .filter(|item| {
                    let found = find(item, path);
                    let text = |value: &&Value| value.as_str().map_or_else(|| soll_yaml::to_json(value), str::to_owned);
                    found.iter().any(|value| (text(value) == *wanted) == *equal)
                })
                .collect(),
            Self::Has(path) => items().filter(|item| !find(item, path).is_empty()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use soll_yaml::parse_json;

    #[test]
    fn printer_columns_find_their_values() {
        let object = parse_json(
            br#"{"status":{"conditions":[{"type":"A","status":"x"},{"type":"Ready","status":"True"}],"n":3},
                 "metadata":{"annotations":{"a.b/c":"v"}}}"#,
        )
        .expect("JSON");
        let show = |path: &str| -> Vec<String> { find(&object, path).into_iter().map(soll_yaml::to_json).collect() };
        assert_eq!(show(r#".status.conditions[?(@.type=="Ready")].status"#), ["\"True\""]);
        assert_eq!(show(r#".status.conditions[?(@.type=='Ready')].status"#), ["\"True\""]);
        assert_eq!(show(".status.conditions[-1].type"), ["\"Ready\""]);
        assert_eq!(show(".status.conditions[*].type"), ["\"A\"", "\"Ready\""]);
        assert_eq!(show(".status.n"), ["3"]);
        assert_eq!(show(".metadata.annotations['a\\.b/c']"), ["\"v\""]);
        assert_eq!(show(r".metadata.annotations.a\.b/c"), ["\"v\""]);
        assert!(show(".status.none").is_empty() && show("..x").is_empty());
    }
}
