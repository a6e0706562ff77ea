//! The paths of helm-unittest: `spec.rules[0].host`, `data["a.b"]`, `containers[?(@.name == "x")].args`.

use soll_yaml::Value;

/// All nodes that a path leads to. The document is a list of itself to a filter at the root.
pub(super) fn select<'v>(document: &'v Value, path: &str) -> Vec<&'v Value> {
    let mut rest = path.strip_prefix('$').unwrap_or(path);
    let mut nodes = vec![document];
    let mut is_root = true;
    while !rest.is_empty() {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        if let Some(inner) = rest.strip_prefix("[?(") {
            let (filter, after) = inner.split_once(")]").unwrap();
            if !is_root {
                nodes = nodes.into_iter().flat_map(|node| node.as_list().unwrap_or_default()).collect();
            }
            nodes.retain(|node| fits(node, filter));
            rest = after;
        } else if let Some(inner) = rest.strip_prefix('[') {
            let (step, after) = bracket(inner);
            nodes = nodes.into_iter().flat_map(|node| step_into(node, step)).collect();
            rest = after;
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let key = &rest[..end];
            nodes = nodes.into_iter().filter_map(|node| node.get(key)).collect();
            rest = &rest[end..];
        }
        is_root = false;
    }
    nodes
}

/// The text between brackets, which quotes may be around, and what follows.
fn bracket(inner: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some(quoted) = inner.strip_prefix(quote) {
            let end = quoted.find(quote).unwrap();
            return (&quoted[..end], quoted[end + 1..].strip_prefix(']').unwrap());
        }
    }
    inner.split_once(']').unwrap()
}

fn step_into<'v>(node: &'v Value, step: &str) -> Vec<&'v Value> {
    match (node.as_list(), step) {
        (Some(items), "*") => items.iter().collect(),
        (Some(items), step) => step.parse::<usize>().ok().and_then(|index| items.get(index)).into_iter().collect(),
        (None, step) => node.get(step).into_iter().collect(),
    }
}

/// `@.name == "x"`, `@.name`, several joined by `&&`.
fn fits(node: &Value, filter: &str) -> bool {
    filter.split("&&").all(|part| {
        let (path, wanted) = part.split_once("==").map_or((part, None), |(path, wanted)| (path, Some(wanted)));
        let found = select(node, path.trim().trim_start_matches('@'));
        match wanted.map(|wanted| wanted.trim().trim_matches(['"', '\''])) {
            Some(wanted) => found.iter().any(|one| one.as_str() == Some(wanted)),
            None => !found.is_empty(),
        }
    })
}
