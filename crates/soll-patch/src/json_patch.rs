//! JSON patch, RFC 6902, with the leniences that kustomize and the API server share.

use soll_yaml::{At, Entry, FieldPath, Step, Str, Value};

use crate::{PatchError, Trace};

/// Applies the operations in order.
///
/// As in the Go library that kustomize and the API server use: negative indexes count from the end,
/// `replace` of a key that a map lacks adds it, and `test` takes a missing key of a map for `null`.
///
/// # Errors
/// The first operation that is malformed or does not apply, by number and path. Nothing is changed then.
/// Copies may not add up to more than 100,000 values: copying a document into itself doubles it.
pub fn json_patch(target: &Value, operations: &Value, trace: Option<Trace<'_>>) -> Result<Value, PatchError> {
    let Some(list) = operations.as_list() else {
        let message = format!("a JSON patch is a list of operations, found {}", operations.type_in_words());
        return Err(PatchError { message, path: FieldPath::root(), at: operations.at });
    };
    let mut document = target.clone();
    let mut copies = MOST_COPIED;
    for (index, operation) in list.iter().enumerate() {
        let operation = Operation::read(index, operation)?;
        operation.apply(&mut document, &mut copies, trace)?;
    }
    Ok(document)
}

/// Copies share memory here, but not where the result is written.
const MOST_COPIED: usize = 100_000;

/// Takes the number of values in a tree from what is left; stops as soon as it is not enough.
fn spend(value: &Value, left: &mut usize) -> bool {
    let Some(rest) = left.checked_sub(1) else { return false };
    *left = rest;
    let items = value.as_list().unwrap_or_default();
    value.as_map().into_iter().flatten().all(|entry| spend(&entry.value, left))
        && items.iter().all(|item| spend(item, left))
}

struct Operation<'p> {
    index: usize,
    kind: Kind,
    path: &'p str,
    from: Option<&'p str>,
    value: Option<&'p Value>,
    at: At,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Add,
    Remove,
    Replace,
    Move,
    Copy,
    Test,
}

impl Kind {
    const ALL: [(&'static str, Self); 6] = [
        ("add", Self::Add),
        ("remove", Self::Remove),
        ("replace", Self::Replace),
        ("move", Self::Move),
        ("copy", Self::Copy),
        ("test", Self::Test),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }
}

/// What is wrong with an operation, before it is said which.
type Fault = String;

impl<'p> Operation<'p> {
    fn read(index: usize, operation: &'p Value) -> Result<Self, PatchError> {
        let wrong = |message: String, at: At| PatchError {
            message: format!("operation {number} of the JSON patch {message}", number = index + 1),
            path: FieldPath::root(),
            at: at.or(operation.at),
        };
        if operation.as_map().is_none() {
            return Err(wrong(format!("is {}, expected a map", operation.type_in_words()), operation.at));
        }
        let text = |key: &str| operation.get(key).and_then(Value::as_str);
        let known = Kind::ALL.map(|(name, _)| name).join(", ");
        let Some(name) = text("op") else {
            return Err(wrong(format!("has no `op`, expected one of {known}"), operation.at));
        };
        let Some((_, kind)) = Kind::ALL.iter().find(|(known, _)| *known == name) else {
            let at = operation.get("op").map_or(operation.at, |op| op.at);
            return Err(wrong(format!("has the unknown `op: {name}`, expected one of {known}"), at));
        };
        let Some(path) = text("path") else {
            return Err(wrong(format!("({name}) has no `path`"), operation.at));
        };
        let from = text("from");
        if matches!(kind, Kind::Move | Kind::Copy) && from.is_none() {
            return Err(wrong(format!("({name} {path}) has no `from`"), operation.at));
        }
        Ok(Self { index, kind: *kind, path, from, value: operation.get("value"), at: operation.at })
    }

    fn apply(&self, document: &mut Value, copies: &mut usize, trace: Option<Trace<'_>>) -> Result<(), PatchError> {
        self.run(document, copies, trace).map_err(|fault| PatchError {
            message: format!(
                "operation {number} of the JSON patch ({kind} {path}): {fault}",
                number = self.index + 1,
                kind = self.kind.name(),
                path = self.path,
            ),
            path: FieldPath(tokens(self.path).map(Step::Key).collect()),
            at: self.value.map_or(self.at, |value| value.at.or(self.at)),
        })
    }

    fn run(&self, document: &mut Value, copies: &mut usize, trace: Option<Trace<'_>>) -> Result<(), Fault> {
        let null = Value::null();
        let value = self.value.unwrap_or(&null);
        match self.kind {
            Kind::Add => {
                let value = Trace::mark(trace, value, At::NONE);
                add(document, self.path, value)
            }
            Kind::Remove => remove(document, self.path).map(drop),
            Kind::Replace => self.replace(document, value, trace),
            Kind::Move => {
                let moved = remove(document, self.from.unwrap_or_default())?;
                add(document, self.path, moved)
            }
            Kind::Copy => {
                let copied = find(document, self.from.unwrap_or_default())?.cloned().unwrap_or_default();
                if !spend(&copied, copies) {
                    return Err(format!("the copies of this patch add up to more than {MOST_COPIED} values"));
                }
                add(document, self.path, copied)
            }
            Kind::Test => {
                let found = find(document, self.path)?.unwrap_or(&null);
                if found == value { Ok(()) } else { Err(format!("the value is {found:?}, expected {value:?}")) }
            }
        }
    }

    fn replace(&self, document: &mut Value, value: &Value, trace: Option<Trace<'_>>) -> Result<(), Fault> {
        if self.path.is_empty() {
            if value.as_map().is_none() && value.as_list().is_none() {
                return Err(format!("a document is a map or a list, found {}", value.type_in_words()));
            }
            *document = Trace::mark(trace, value, document.at);
            return Ok(());
        }
        let (holder, last) = holder(document, self.path)?;
        if let Some(length) = holder.as_list().map(<[Value]>::len) {
            let index = index_of(&last, length)?;
            let list = holder.as_list_mut().expect("it was just a list");
            list[index] = Trace::mark(trace, value, list[index].at);
            return Ok(());
        }
        let map = holder.as_map_mut().expect("a holder is a list or a map");
        match map.get_mut(&last) {
            Some(old) => *old = Trace::mark(trace, value, old.at),
            None => insert(map, last, Trace::mark(trace, value, At::NONE)),
        }
        Ok(())
    }
}

fn insert(map: &mut soll_yaml::Map, key: Str, value: Value) {
    map.insert_entry(Entry { key, key_at: value.at, value });
}

/// The reference tokens of a JSON pointer.
fn tokens(pointer: &str) -> impl Iterator<Item = Str> {
    pointer.split('/').skip(1).map(|token| {
        if token.contains('~') { Str::from(token.replace("~1", "/").replace("~0", "~")) } else { Str::from(token) }
    })
}

/// The index that a token means in a list of this length.
fn index_of(token: &str, length: usize) -> Result<usize, Fault> {
    let index: i64 = token.parse().map_err(|_| format!("`{token}` is no index into a list"))?;
    let from_start = if index < 0 { index + length as i64 } else { index };
    match usize::try_from(from_start) {
        Ok(index) if index < length => Ok(index),
        _ => Err(format!("index {index} is outside the list of {length}")),
    }
}

/// The map or list that holds the last token, and that token.
fn holder<'d>(document: &'d mut Value, pointer: &str) -> Result<(&'d mut Value, Str), Fault> {
    let mut path: Vec<Str> = tokens(pointer).collect();
    let Some(last) = path.pop() else { return Err("the path is empty, expected `/key`".to_owned()) };
    let mut place = document;
    let mut walked = String::new();
    for token in path {
        walked.push('/');
        walked.push_str(&token);
        // Found before it is changed, so that a miss copies nothing.
        let index = match (place.as_list(), place.as_map()) {
            (Some(list), _) => Some(index_of(&token, list.len())?),
            (None, Some(map)) if map.contains(&token) => None,
            _ => return Err(format!("{walked} does not exist")),
        };
        place = match index {
            Some(index) => &mut place.as_list_mut().expect("it was just a list")[index],
            None => place.get_mut(&token).expect("it was just found"),
        };
    }
    if place.as_list().is_none() && place.as_map().is_none() {
        let walked = if walked.is_empty() { "the document".to_owned() } else { walked };
        return Err(format!("{walked} is {}, which holds no `{last}`", place.type_in_words()));
    }
    Ok((place, last))
}

/// The value at a pointer; `None` if the map there lacks the key.
fn find<'d>(document: &'d Value, pointer: &str) -> Result<Option<&'d Value>, Fault> {
    let mut place = document;
    let mut walked = String::new();
    let mut path = tokens(pointer).peekable();
    while let Some(token) = path.next() {
        walked.push('/');
        walked.push_str(&token);
        place = match (place.as_list(), place.as_map()) {
            (Some(list), _) => &list[index_of(&token, list.len())?],
            (None, Some(map)) => match map.get(&token) {
                Some(value) => value,
                None if path.peek().is_none() => return Ok(None),
                None => return Err(format!("{walked} does not exist")),
            },
            _ => return Err(format!("{walked} does not exist")),
        };
    }
    Ok(Some(place))
}

fn add(document: &mut Value, pointer: &str, value: Value) -> Result<(), Fault> {
    let (holder, last) = holder(document, pointer)?;
    if let Some(list) = holder.as_list_mut() {
        let index = if last == "-" { list.len() } else { index_of(&last, list.len() + 1)? };
        list.insert(index, value);
    } else {
        insert(holder.as_map_mut().expect("a holder is a list or a map"), last, value);
    }
    Ok(())
}

fn remove(document: &mut Value, pointer: &str) -> Result<Value, Fault> {
    let (holder, last) = holder(document, pointer)?;
    if let Some(length) = holder.as_list().map(<[Value]>::len) {
        let index = index_of(&last, length)?;
        return Ok(holder.as_list_mut().expect("it was just a list").remove(index));
    }
    let map = holder.as_map_mut().expect("a holder is a list or a map");
    map.remove(&last).ok_or_else(|| format!("there is no `{last}` to remove"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use soll_yaml::{parse_json, to_json_sorted};

    fn value(text: &str) -> Value {
        parse_json(text.as_bytes()).expect("valid JSON")
    }

    fn check(target: &str, operations: &str, expected: &str) {
        let patched = json_patch(&value(target), &value(operations), None);
        let shown = match &patched {
            Ok(patched) => to_json_sorted(patched),
            Err(error) => error.to_string(),
        };
        assert_eq!(shown, expected, "{target} with {operations}");
    }

    #[test]
    fn applies_each_operation() {
        check(r#"{"a":1}"#, r#"[{"op":"add","path":"/b","value":2}]"#, r#"{"a":1,"b":2}"#);
        check(r#"{"a":[1,3]}"#, r#"[{"op":"add","path":"/a/1","value":2}]"#, r#"{"a":[1,2,3]}"#);
        check(r#"{"a":[1]}"#, r#"[{"op":"add","path":"/a/-","value":2}]"#, r#"{"a":[1,2]}"#);
        check(r#"{"a":[1,2]}"#, r#"[{"op":"add","path":"/a/-1","value":3}]"#, r#"{"a":[1,2,3]}"#);
        check(r#"{"a":{"b":1}}"#, r#"[{"op":"remove","path":"/a/b"}]"#, r#"{"a":{}}"#);
        check(r#"{"a":[1,2]}"#, r#"[{"op":"remove","path":"/a/-1"}]"#, r#"{"a":[1]}"#);
        check(r#"{"a":1}"#, r#"[{"op":"replace","path":"/a","value":2}]"#, r#"{"a":2}"#);
        check(r#"{}"#, r#"[{"op":"replace","path":"/a","value":2}]"#, r#"{"a":2}"#);
        check(r#"{"a":1}"#, r#"[{"op":"replace","path":"","value":{}}]"#, "{}");
        check(r#"{"a":{"b":1}}"#, r#"[{"op":"move","from":"/a/b","path":"/c"}]"#, r#"{"a":{},"c":1}"#);
        check(r#"{"a":[1]}"#, r#"[{"op":"copy","from":"/a","path":"/b"}]"#, r#"{"a":[1],"b":[1]}"#);
        check(r#"{"a/b":{"c~d":1}}"#, r#"[{"op":"remove","path":"/a~1b/c~0d"}]"#, r#"{"a/b":{}}"#);
        check(r#"{"a":1}"#, r#"[{"op":"test","path":"/a","value":1}]"#, r#"{"a":1}"#);
        check(r#"{}"#, r#"[{"op":"test","path":"/a","value":null}]"#, r"{}");
    }

    #[test]
    fn names_the_operation_that_does_not_apply() {
        let prefix = "operation 1 of the JSON patch";
        for (operation, fault) in [
            (r#"{"op":"add","path":"/x/y","value":1}"#, "(add /x/y): /x does not exist"),
            (r#"{"op":"add","path":"/a/b","value":1}"#, "(add /a/b): /a is an integer, which holds no `b`"),
            (r#"{"op":"add","path":"/l/9","value":1}"#, "(add /l/9): index 9 is outside the list of 2"),
            (r#"{"op":"replace","path":"/l/1","value":1}"#, "(replace /l/1): index 1 is outside the list of 1"),
            (r#"{"op":"remove","path":"/x"}"#, "(remove /x): there is no `x` to remove"),
            (r#"{"op":"remove","path":"/l/x"}"#, "(remove /l/x): `x` is no index into a list"),
            (r#"{"op":"test","path":"/a","value":2}"#, "(test /a): the value is 1, expected 2"),
            (r#"{"op":"move","path":"/a"}"#, "(move /a) has no `from`"),
            (r#"{"op":"add"}"#, "(add) has no `path`"),
        ] {
            check(r#"{"a":1,"l":[0]}"#, &format!("[{operation}]"), &format!("{prefix} {fault}"));
        }
        let known = "expected one of add, remove, replace, move, copy, test";
        check("{}", r#"[{"op":"set"}]"#, &format!("{prefix} has the unknown `op: set`, {known}"));
        check("{}", "{}", "a JSON patch is a list of operations, found a map");
    }

    #[test]
    fn copies_are_bounded() {
        let copies = vec![r#"{"op":"copy","from":"/a","path":"/a/-"}"#; 60].join(",");
        let bound =
            "operation 16 of the JSON patch (copy /a/-): the copies of this patch add up to more than 100000 values";
        check(r#"{"a":[1]}"#, &format!("[{copies}]"), bound);
    }
}
