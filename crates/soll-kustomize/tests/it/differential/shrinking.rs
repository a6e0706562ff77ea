//! From a case that shows a difference to a small one that shows it too.

use serde_json::Value;

use super::{Case, Content};

/// Takes away what is not needed for `shows` to stay true.
pub(super) fn shrunk(case: &Case, shows: &mut dyn FnMut(&Case) -> bool) -> Case {
    let mut best = case.clone();
    let mut fuel = 600;
    loop {
        let before = size(&best);
        for path in best.files.keys().cloned().collect::<Vec<_>>() {
            attempt(&mut best, &mut fuel, shows, |smaller| {
                smaller.files.remove(&path);
                true
            });
            plain(&mut best, &path, &mut fuel, shows);
            shrink_file(&mut best, &path, &mut fuel, shows);
        }
        if size(&best) == before || fuel == 0 {
            return best;
        }
    }
}

fn size(case: &Case) -> usize {
    case.bytes().values().map(Vec::len).sum()
}

fn attempt(
    best: &mut Case,
    fuel: &mut usize,
    shows: &mut dyn FnMut(&Case) -> bool,
    change: impl FnOnce(&mut Case) -> bool,
) -> bool {
    if *fuel == 0 {
        return false;
    }
    let mut smaller = best.clone();
    if !change(&mut smaller) {
        return false;
    }
    *fuel -= 1;
    let better = shows(&smaller);
    if better {
        *best = smaller;
    }
    better
}

/// Writes a file without frills.
fn plain(best: &mut Case, path: &str, fuel: &mut usize, shows: &mut dyn FnMut(&Case) -> bool) {
    attempt(best, fuel, shows, |smaller| match smaller.files.get_mut(path) {
        Some(Content::Yaml { style, .. }) if *style != PLAIN => {
            *style = PLAIN;
            true
        }
        _ => false,
    });
}

/// A style without comments, quotes and marks.
const PLAIN: u64 = 11;

fn shrink_file(best: &mut Case, path: &str, fuel: &mut usize, shows: &mut dyn FnMut(&Case) -> bool) {
    let mut step = 0;
    loop {
        let count = match best.files.get(path) {
            Some(Content::Yaml { documents, .. }) => documents.iter().map(count).sum(),
            Some(Content::Text(text)) => text.lines().count(),
            Some(Content::Bytes(_)) | None => return,
        };
        if step >= count || *fuel == 0 {
            return;
        }
        let removed = attempt(best, fuel, shows, |smaller| match smaller.files.get_mut(path) {
            Some(Content::Yaml { documents, .. }) => remove_document_part(documents, step),
            Some(Content::Text(text)) => {
                let kept = text.lines().enumerate().filter(|(line, _)| *line != step).map(|(_, line)| line);
                *text = kept.map(|line| format!("{line}\n")).collect();
                true
            }
            Some(Content::Bytes(_)) | None => false,
        });
        if !removed {
            step += 1;
        }
    }
}

/// Parts of a value that can be taken away: itself, its items, its entries, lines of its texts.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(map) => map.values().map(count).sum(),
        Value::String(text) if text.contains('\n') => text.lines().count(),
        _ => 0,
    }
}

fn remove_document_part(documents: &mut Vec<Value>, mut step: usize) -> bool {
    for position in 0..documents.len() {
        if step == 0 {
            documents.remove(position);
            return true;
        }
        let parts = count(&documents[position]);
        if step < parts {
            return remove_part(&mut documents[position], step - 1);
        }
        step -= parts;
    }
    false
}

fn remove_part(value: &mut Value, mut step: usize) -> bool {
    match value {
        Value::Array(items) => {
            for position in 0..items.len() {
                if step == 0 {
                    items.remove(position);
                    return true;
                }
                let parts = count(&items[position]);
                if step < parts {
                    return remove_part(&mut items[position], step - 1);
                }
                step -= parts;
            }
            false
        }
        Value::Object(map) => {
            for key in map.keys().cloned().collect::<Vec<_>>() {
                if step == 0 {
                    map.remove(&key);
                    return true;
                }
                let parts = count(&map[&key]);
                if step < parts {
                    return remove_part(&mut map[&key], step - 1);
                }
                step -= parts;
            }
            false
        }
        Value::String(text) => {
            let kept: Vec<_> =
                text.lines().enumerate().filter(|(line, _)| *line != step).map(|(_, line)| line).collect();
            *text = kept.join("\n");
            true
        }
        _ => false,
    }
}
