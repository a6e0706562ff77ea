//! Merging what is applied into what is live, comparing the two, and taking fields out.

use std::collections::BTreeMap;

use soll_schema::TypeRef;
use soll_yaml::{Map, Value};

use super::set::Node;
use super::typed::{Atom, all_places, atom, field_type, item_element, item_type};
use super::{Element, Set};

/// Merges the applied value over the live one: leaves are the applied ones, maps merge by key, lists by
/// what tells their items apart. What does not change is shared with the live value.
pub(super) fn merge(live: &Value, applied: &Value, of: TypeRef<'_>) -> Option<Value> {
    if live.same(applied) {
        return Some(live.clone());
    }
    match atom(of, applied) {
        Atom::Leaf => Some(if live == applied { live.clone() } else { applied.clone() }),
        Atom::Nothing => match atom(of, live) {
            // `null` has no parts to merge; what is live stays unless it is as empty.
            Atom::Map if live.as_map().is_some_and(|map| !map.is_empty()) => Some(live.clone()),
            Atom::List if live.as_list().is_some_and(|list| !list.is_empty()) => Some(live.clone()),
            _ => Some(applied.clone()),
        },
        Atom::Map => merge_maps(live, applied, of),
        Atom::List => merge_lists(live, applied, of),
    }
}

fn merge_maps(live: &Value, applied: &Value, of: TypeRef<'_>) -> Option<Value> {
    let new = applied.as_map().expect("only maps are seen as maps");
    let Some(old) = live.as_map().filter(|old| !old.is_empty()) else { return Some(applied.clone()) };
    let mut merged = live.clone();
    for entry in new {
        match old.get(&entry.key) {
            None => {
                merged.make_map().insert_entry(entry.clone());
            }
            Some(before) => match merge(before, &entry.value, field_type(of, &entry.key)) {
                Some(after) if after.same(before) || unchanged(&after, before) => {}
                Some(after) => *merged.get_mut(&entry.key).expect("the key is in both") = after,
                None => drop(merged.make_map().remove(&entry.key)),
            },
        }
    }
    Some(merged)
}

fn unchanged(a: &Value, b: &Value) -> bool {
    a.as_map().is_none() && a.as_list().is_none() && a == b
}

/// Shared items follow the applied order, live ones keep their place between them, new ones follow the
/// applied item before them.
fn merge_lists(live: &Value, applied: &Value, of: TypeRef<'_>) -> Option<Value> {
    let old = live.as_list().unwrap_or_default();
    let new = applied.as_list().expect("only lists are seen as lists");
    if old.is_empty() {
        return Some(applied.clone());
    }
    if new.is_empty() {
        return Some(live.clone());
    }
    // Validation has refused items that cannot be told apart; should one be here, the applied list wins.
    let elements = |items: &[Value]| items.iter().map(|item| item_element(of, item)).collect::<Result<Vec<_>, _>>();
    let (Ok(old_elements), Ok(new_elements)) = (elements(old), elements(new)) else { return Some(applied.clone()) };
    let mut positions: BTreeMap<&Element, Vec<usize>> = BTreeMap::new();
    for (position, element) in old_elements.iter().enumerate() {
        positions.entry(element).or_default().push(position);
    }
    let new_positions: BTreeMap<&Element, usize> = new_elements.iter().zip(0..).collect();
    let item_type = item_type(of);
    let merged_item = |position: usize| -> Option<Value> {
        match positions.get(&new_elements[position]).map(Vec::as_slice) {
            Some([one]) => merge(&old[*one], &new[position], item_type),
            // Items that are there twice are not merged with.
            _ => Some(new[position].clone()),
        }
    };
    let mut shared = new_elements.iter().filter(|element| positions.contains_key(element)).peekable();
    let mut merged = Vec::with_capacity(old.len().max(new.len()));
    let mut done = vec![false; new.len()];
    let (mut at_old, mut at_new) = (0, 0);
    while at_old < old.len() || at_new < new.len() {
        let in_new = old_elements.get(at_old).map(|element| new_positions.get(element).copied());
        if let (Some(in_new), true) = (in_new, at_new < new.len()) {
            if in_new == Some(at_new) {
                merged.extend(merged_item(at_new));
                done[at_new] = true;
                (at_old, at_new) = (at_old + 1, at_new + 1);
                shared.next();
                continue;
            }
            if in_new.is_some() && shared.peek().is_some_and(|next| **next != old_elements[at_old]) {
                // Shared, but it is another one's turn.
                at_old += 1;
                continue;
            }
        }
        match in_new {
            Some(None) => {
                merged.push(old[at_old].clone());
                at_old += 1;
                continue;
            }
            Some(Some(position)) if done[position] => at_old += 1,
            _ => {}
        }
        if at_new < new.len() {
            merged.extend(merged_item(at_new));
            done[at_new] = true;
            if shared.peek().is_some_and(|next| **next == new_elements[at_new]) {
                shared.next();
            }
            at_new += 1;
        }
    }
    if merged.is_empty() {
        return None;
    }
    let same = merged.len() == old.len()
        && merged.iter().zip(old).all(|(after, before)| after.same(before) || unchanged(after, before));
    Some(if same { live.clone() } else { Value::list(merged).at(live.at) })
}

/// What a write does to an object.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    pub(super) removed: Set,
    pub(super) modified: Set,
    pub(super) added: Set,
}

impl Comparison {
    /// Leaves out what an endpoint does not touch.
    pub(super) fn without(self, ignored: Option<&Set>) -> Self {
        match ignored {
            None => self,
            Some(ignored) => Self {
                removed: self.removed.without(ignored),
                modified: self.modified.without(ignored),
                added: self.added.without(ignored),
            },
        }
    }
}

/// The nodes of the three sets at one level.
#[derive(Default)]
struct Nodes {
    removed: Vec<Node>,
    modified: Vec<Node>,
    added: Vec<Node>,
}

impl Nodes {
    fn below(&mut self, element: &Element, comparison: Comparison) {
        let Comparison { removed, modified, added } = comparison;
        for (nodes, below) in [(&mut self.removed, removed), (&mut self.modified, modified), (&mut self.added, added)] {
            if !below.is_empty() {
                nodes.push(Node { element: element.clone(), member: false, below });
            }
        }
    }

    /// One place that is on one side or on both.
    fn place(&mut self, element: Element, before: Option<&Value>, after: Option<&Value>, of: TypeRef<'_>) {
        match (before, after) {
            (None, None) => {}
            (Some(gone), None) => self.removed.push(Node { element, member: true, below: all_places(gone, of) }),
            (None, Some(new)) => self.added.push(Node { element, member: true, below: all_places(new, of) }),
            (Some(before), Some(after)) => {
                let (comparison, modified) = compare(before, after, of);
                if modified {
                    let below = comparison.modified;
                    self.modified.push(Node { element: element.clone(), member: true, below });
                    self.below(&element, Comparison { modified: Set::new(), ..comparison });
                } else {
                    self.below(&element, comparison);
                }
            }
        }
    }

    fn done(self) -> Comparison {
        Comparison { removed: Set::of(self.removed), modified: Set::of(self.modified), added: Set::of(self.added) }
    }
}

/// Compares two values of a type: what changed below, and whether the value changed as a whole.
pub(super) fn compare(before: &Value, after: &Value, of: TypeRef<'_>) -> (Comparison, bool) {
    if before.same(after) {
        return (Comparison::default(), false);
    }
    let is_empty =
        |value: &Value| value.as_map().is_none_or(Map::is_empty) && value.as_list().is_none_or(<[Value]>::is_empty);
    match (atom(of, before), atom(of, after)) {
        (Atom::Map | Atom::Nothing, Atom::Map | Atom::Nothing) if !(is_empty(before) && is_empty(after)) => {
            (compare_maps(before, after, of), false)
        }
        (Atom::List | Atom::Nothing, Atom::List | Atom::Nothing) if !(is_empty(before) && is_empty(after)) => {
            (compare_lists(before, after, of), false)
        }
        (Atom::Map, Atom::Leaf) => {
            let removed = all_places(before, of);
            (Comparison { removed, ..Comparison::default() }, true)
        }
        (Atom::Leaf, Atom::Map) => {
            let added = all_places(after, of);
            (Comparison { added, ..Comparison::default() }, true)
        }
        _ => (Comparison::default(), before != after),
    }
}

fn compare_maps(before: &Value, after: &Value, of: TypeRef<'_>) -> Comparison {
    let nothing = Map::new();
    let (old, new) = (before.as_map().unwrap_or(&nothing), after.as_map().unwrap_or(&nothing));
    let mut nodes = Nodes::default();
    for entry in old {
        let after = new.get(&entry.key);
        if after.is_some_and(|after| after.same(&entry.value)) {
            continue;
        }
        let of = field_type(of, &entry.key);
        nodes.place(Element::Field(entry.key.clone()), Some(&entry.value), after, of);
    }
    for entry in new.iter().filter(|entry| !old.contains(&entry.key)) {
        let of = field_type(of, &entry.key);
        nodes.place(Element::Field(entry.key.clone()), None, Some(&entry.value), of);
    }
    nodes.done()
}

fn compare_lists(before: &Value, after: &Value, of: TypeRef<'_>) -> Comparison {
    let mut items: BTreeMap<Element, [Vec<&Value>; 2]> = BTreeMap::new();
    for (side, list) in [before, after].into_iter().enumerate() {
        for item in list.as_list().unwrap_or_default() {
            if let Ok(element) = item_element(of, item) {
                items.entry(element).or_default()[side].push(item);
            }
        }
    }
    let of = item_type(of);
    let mut nodes = Nodes::default();
    for (element, [old, new]) in items {
        match (old.as_slice(), new.as_slice()) {
            ([] | [_], [] | [_]) => nodes.place(element, old.first().copied(), new.first().copied(), of),
            // Items that are there more than once are seen as one whole.
            ([_, _, ..], [_, _, ..]) => {
                if old != new {
                    nodes.modified.push(Node { element, member: true, below: Set::new() });
                }
            }
            ([_, _, ..], new) => {
                if let [one] = new {
                    nodes.place(element.clone(), None, Some(one), of);
                }
                nodes.removed.push(Node { element, member: true, below: Set::new() });
            }
            (old, _) => {
                if let [one] = old {
                    nodes.place(element.clone(), Some(one), None, of);
                }
                nodes.added.push(Node { element, member: true, below: Set::new() });
            }
        }
    }
    nodes.done()
}

/// The value without the fields and items of a set; `null` if that leaves nothing of a map or list, as in the
/// API server.
pub(super) fn remove(value: &Value, fields: &Set, of: TypeRef<'_>) -> Value {
    if fields.is_empty() {
        return value.clone();
    }
    let nothing = || Value::null().at(value.at);
    match atom(of, value) {
        Atom::Leaf if value.as_map().is_some() || value.as_list().is_some() => nothing(),
        Atom::Leaf | Atom::Nothing => value.clone(),
        Atom::Map => {
            let mut left = value.clone();
            for node in fields.nodes() {
                let Element::Field(name) = &node.element else { continue };
                let Some(old) = value.get(name) else { continue };
                if node.member {
                    left.make_map().remove(name);
                    continue;
                }
                let new = remove(old, &node.below, field_type(of, name));
                if !new.same(old) {
                    *left.get_mut(name).expect("the key was just found") = new;
                }
            }
            if left.as_map().is_some_and(|map| !map.is_empty()) { left } else { nothing() }
        }
        Atom::List => {
            let items = value.as_list().expect("only lists are seen as lists");
            let item_type = item_type(of);
            let left: Vec<Value> = items
                .iter()
                .filter_map(|item| {
                    let node = item_element(of, item).ok().and_then(|element| fields.node(&element));
                    match node {
                        None => Some(item.clone()),
                        Some(node) if node.member => None,
                        Some(node) => Some(remove(item, &node.below, item_type)),
                    }
                })
                .collect();
            if left.len() == items.len() && left.iter().zip(items).all(|(after, before)| after.same(before)) {
                return value.clone();
            }
            if left.is_empty() { nothing() } else { Value::list(left).at(value.at) }
        }
    }
}
