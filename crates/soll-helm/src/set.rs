//! The grammar of `--set` and its sisters: `a.b[0].c=x,d={1,2}`.

use soll_yaml::{At, Data, Map, Str, Value, parse_json};

use crate::load::floats;

/// Highest index of a list: a typing error must not take the memory of the machine.
const MAX_INDEX: usize = 65_536;

/// Deepest nesting of names.
const MAX_DEPTH: usize = 30;

/// What the text after `=` means.
pub enum Assignment<'a> {
    /// `--set`: booleans, `null`, whole numbers, lists in braces, else text.
    Typed,
    /// `--set-string`: text, or lists of texts.
    Text,
    /// `--set-file`: paths of files whose content it is.
    File(&'a mut dyn FnMut(&str) -> Result<String, String>),
    /// `--set-json`: JSON.
    Json,
    /// `--set-literal`: everything up to the end, without escapes or lists.
    Literal,
}

/// Sets what one flag says. Every value set is placed at `at`.
///
/// # Errors
/// What is wrong with the text, in the words of Helm. What came before it is set nevertheless.
pub fn set(values: &mut Value, text: &str, assignment: Assignment<'_>, at: At) -> Result<(), String> {
    let mut parser = Parser { rest: text, assignment, at };
    loop {
        match parser.key(values.make_map(), 0) {
            Ok(()) => {}
            Err(Stop::End) => return Ok(()),
            Err(Stop::Error(error)) => return Err(error),
        }
    }
}

/// Sets what one `--set-json` says: `{…}` is merged as a file would be, anything else is `key=json`.
///
/// # Errors
/// In the words of Helm.
pub fn set_json(values: &mut Value, text: &str, at: At) -> Result<(), String> {
    let failed = || format!("failed parsing --set-json data {text}");
    if !text.trim().starts_with('{') {
        return set(values, text, Assignment::Json, at).map_err(|_| failed());
    }
    let mut object =
        parse_json(text.trim().as_bytes()).map_err(|_| format!("failed parsing --set-json data JSON: {text}"))?;
    floats(&mut object);
    place(&mut object, at);
    crate::values::merge(values, object);
    Ok(())
}

/// Why parsing stopped.
enum Stop {
    /// The text ended, which is no error between assignments.
    End,
    Error(String),
}

impl From<String> for Stop {
    fn from(error: String) -> Self {
        Self::Error(error)
    }
}

type Parsed<T> = Result<T, Stop>;

struct Parser<'t, 'a> {
    rest: &'t str,
    assignment: Assignment<'a>,
    at: At,
}

impl Parser<'_, '_> {
    /// One name and what follows it, into a map.
    fn key(&mut self, map: &mut Map, depth: usize) -> Parsed<()> {
        let stops: &[char] = if self.is_literal() { &['=', '[', '.'] } else { &['=', '[', ',', '.'] };
        let (key, stop) = self.until(stops);
        let Some(stop) = stop else {
            return Err(if key.is_empty() { Stop::End } else { format!("key {key:?} has no value").into() });
        };
        match stop {
            '=' => {
                let value = self.value()?;
                let is_end = value.is_end;
                self.insert(map, &key, value.value);
                if is_end { Err(Stop::End) } else { Ok(()) }
            }
            '[' => {
                let index = self.index()?;
                let mut list = match map.get(&key) {
                    None => Vec::new(),
                    Some(Value { data: Data::List(items), .. }) => (**items).clone(),
                    Some(other) => return Err(cannot_convert(other, "[]interface {}")),
                };
                let outcome = self.item(&mut list, index, depth);
                self.insert(map, &key, Value::list(list));
                outcome
            }
            ',' => {
                self.insert(map, &key, Value::str(""));
                Err(format!("key {key:?} has no value (cannot end with ,)").into())
            }
            _ => {
                if depth + 1 > MAX_DEPTH {
                    return Err(format!(
                        "value name nested level is greater than maximum supported nested level of {MAX_DEPTH}"
                    )
                    .into());
                }
                let mut inner = match map.get(&key) {
                    None => Map::new(),
                    Some(Value { data: Data::Map(inner), .. }) => (**inner).clone(),
                    Some(other) => return Err(cannot_convert(other, "map[string]interface {}")),
                };
                let outcome = self.key(&mut inner, depth + 1);
                if inner.is_empty() {
                    outcome?;
                    return Err(format!("key map {key:?} has no value").into());
                }
                self.insert(map, &key, inner.into());
                outcome
            }
        }
    }

    /// What follows `[index]`, into a list.
    fn item(&mut self, list: &mut Vec<Value>, index: i64, depth: usize) -> Parsed<()> {
        let Ok(position) = usize::try_from(index) else {
            return Err(format!("negative {index} index not allowed").into());
        };
        let (text, stop) = self.until(&['[', '.', '=']);
        if !text.is_empty() {
            let quoted: Vec<_> = text.chars().map(|c| format!("{c:?}")).collect();
            return Err(format!("unexpected data at end of array index: [{}]", quoted.join(" ")).into());
        }
        match stop {
            None => Err(Stop::End),
            Some('=') => {
                let value = self.value()?;
                set_index(list, position, value.value)
            }
            Some('[') => {
                let next = self.index()?;
                let mut inner = match list.get(position) {
                    None | Some(Value { data: Data::Null, .. }) => Vec::new(),
                    Some(Value { data: Data::List(items), .. }) => (**items).clone(),
                    Some(other) => return Err(cannot_convert(other, "[]interface {}")),
                };
                self.item(&mut inner, next, depth)?;
                set_index(list, position, self.placed(Value::list(inner)))
            }
            Some(_) => {
                let mut inner = match list.get(position) {
                    Some(Value { data: Data::Map(inner), .. }) => (**inner).clone(),
                    _ => Map::new(),
                };
                let outcome = self.key(&mut inner, depth);
                if let Err(Stop::End) = outcome {
                    // What a longer text would have completed is dropped, but the list keeps its length.
                    if list.len() > position && !matches!(list[position].data, Data::Map(_)) {
                        list[position] = Value::map();
                    }
                    // A map in a list is shared with the list, so what was set before the end stays.
                    if list.len() > position && !inner.is_empty() {
                        list[position] = inner.into();
                    }
                    return outcome;
                }
                outcome?;
                set_index(list, position, self.placed(inner.into()))
            }
        }
    }

    /// What follows `=`.
    fn value(&mut self) -> Parsed<Taken> {
        match self.assignment {
            Assignment::Literal => {
                let text = std::mem::take(&mut self.rest);
                Ok(Taken { value: Value::str(text), is_end: false })
            }
            Assignment::Json => self.json(),
            Assignment::Typed | Assignment::Text | Assignment::File(_) => {
                if self.rest.is_empty() {
                    return Ok(Taken { value: Value::str(""), is_end: true });
                }
                let value = match self.rest.strip_prefix('{') {
                    Some(rest) => {
                        self.rest = rest;
                        self.list()?
                    }
                    None => {
                        let (text, _) = self.until(&[',']);
                        self.scalar(text)?
                    }
                };
                Ok(Taken { value, is_end: false })
            }
        }
    }

    /// The items of a list whose `{` is taken.
    fn list(&mut self) -> Parsed<Value> {
        let mut items = Vec::new();
        loop {
            let (text, stop) = self.until(&[',', '}']);
            let Some(stop) = stop else { return Err("list must terminate with '}'".to_owned().into()) };
            let item = self.scalar(text)?;
            items.push(self.placed(item));
            if stop == '}' {
                self.rest = self.rest.strip_prefix(',').unwrap_or(self.rest);
                return Ok(Value::list(items));
            }
        }
    }

    fn scalar(&mut self, text: String) -> Parsed<Value> {
        match &mut self.assignment {
            Assignment::Typed => Ok(typed(&text)),
            Assignment::File(read) => Ok(Value::from(read(&text)?)),
            Assignment::Text | Assignment::Json | Assignment::Literal => Ok(Value::from(text)),
        }
    }

    fn json(&mut self) -> Parsed<Taken> {
        if self.skip_blank_and_comma() {
            return Ok(Taken { value: Value::null(), is_end: false });
        }
        let mut stream = serde_json::Deserializer::from_str(self.rest).into_iter::<serde::de::IgnoredAny>();
        match stream.next() {
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error.to_string().into()),
            None => return Err(Stop::End),
        }
        let (json, rest) = self.rest.split_at(stream.byte_offset());
        let mut value = parse_json(json.as_bytes()).map_err(|error| error.to_string())?;
        floats(&mut value);
        self.rest = rest;
        self.skip_blank_and_comma();
        Ok(Taken { value, is_end: false })
    }

    /// Whether nothing was left before the comma or the end; what is skipped is gone.
    fn skip_blank_and_comma(&mut self) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(',') {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => self.rest.is_empty(),
        }
    }

    fn index(&mut self) -> Parsed<i64> {
        let (text, stop) = self.until(&[']']);
        if stop.is_none() {
            return Err(Stop::End);
        }
        text.parse().map_err(|_| format!("error parsing index: strconv.Atoi: parsing {text:?}: invalid syntax").into())
    }

    /// The text up to one of the stops, which is taken too. A backslash takes the next character as it is.
    fn until(&mut self, stops: &[char]) -> (String, Option<char>) {
        let escapes = !self.is_literal();
        let mut text = String::new();
        let mut chars = self.rest.chars();
        while let Some(c) = chars.next() {
            if stops.contains(&c) {
                self.rest = chars.as_str();
                return (text, Some(c));
            }
            if c == '\\' && escapes {
                text.extend(chars.next());
            } else {
                text.push(c);
            }
        }
        self.rest = "";
        (text, None)
    }

    fn insert(&self, map: &mut Map, key: &str, value: Value) {
        if !key.is_empty() {
            map.insert(Str::from(key), self.placed(value));
        }
    }

    fn placed(&self, mut value: Value) -> Value {
        place(&mut value, self.at);
        value
    }

    fn is_literal(&self) -> bool {
        matches!(self.assignment, Assignment::Literal)
    }
}

/// A value, and whether the text ended where it should have been.
struct Taken {
    value: Value,
    is_end: bool,
}

/// Places a value and all in it that has no place yet.
fn place(value: &mut Value, at: At) {
    value.at = value.at.or(at);
    match &mut value.data {
        Data::List(items) => {
            if let Some(items) = std::sync::Arc::get_mut(items) {
                items.iter_mut().for_each(|item| place(item, at));
            }
        }
        Data::Map(map) => {
            if let Some(map) = std::sync::Arc::get_mut(map) {
                map.iter_mut().for_each(|(_, value)| place(value, at));
            }
        }
        _ => {}
    }
}

fn typed(text: &str) -> Value {
    if text.eq_ignore_ascii_case("true") {
        return Value::from(true);
    }
    if text.eq_ignore_ascii_case("false") {
        return Value::from(false);
    }
    if text.eq_ignore_ascii_case("null") {
        return Value::null();
    }
    // A leading zero is more often a name than a number.
    if (text == "0" || !text.starts_with('0'))
        && let Ok(number) = text.parse::<i64>()
    {
        return Value::from(number);
    }
    Value::str(text)
}

fn set_index(list: &mut Vec<Value>, index: usize, value: Value) -> Parsed<()> {
    if index > MAX_INDEX {
        return Err(format!("index of {index} is greater than maximum supported index of {MAX_INDEX}").into());
    }
    if list.len() <= index {
        list.resize(index + 1, Value::null());
    }
    list[index] = value;
    Ok(())
}

/// What Helm says where a name leads into something that has no names.
fn cannot_convert(value: &Value, wanted: &str) -> Stop {
    let kind = match value.data {
        Data::Null => "nil",
        _ => crate::values::go_type(value),
    };
    format!("unable to parse key: interface conversion: interface {{}} is {kind}, not {wanted}").into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn check(flags: &[(&str, &str)]) -> Result<String, String> {
        let mut values = Value::map();
        for (flag, text) in flags {
            let mut read = |path: &str| Ok(format!("<{path}>"));
            match *flag {
                "set" => set(&mut values, text, Assignment::Typed, At::NONE)?,
                "string" => set(&mut values, text, Assignment::Text, At::NONE)?,
                "file" => set(&mut values, text, Assignment::File(&mut read), At::NONE)?,
                "json" => set_json(&mut values, text, At::NONE)?,
                "literal" => set(&mut values, text, Assignment::Literal, At::NONE)?,
                other => panic!("{other}"),
            }
        }
        Ok(soll_yaml::to_json_sorted(&values))
    }

    /// What helm 4.2.4 makes of the same flags, seen with a chart that prints `.Values | toJson`.
    #[test]
    fn flags_mean_what_they_mean_to_helm() {
        for (flags, expected) in [
            (&[("set", "a=1,b=x")][..], r#"{"a":1,"b":"x"}"#),
            (&[("set", "a.b.c=true")], r#"{"a":{"b":{"c":true}}}"#),
            (&[("set", "a=null")], r#"{"a":null}"#),
            (&[("set", "a=")], r#"{"a":""}"#),
            (&[("set", "a={1,x}")], r#"{"a":[1,"x"]}"#),
            (&[("set", "a={}")], r#"{"a":[""]}"#),
            (&[("set", "a={1,2},b=3")], r#"{"a":[1,2],"b":3}"#),
            (&[("set", r"a=x\,y,b\.c=1")], r#"{"a":"x,y","b.c":1}"#),
            (&[("set", "a[2]=x")], r#"{"a":[null,null,"x"]}"#),
            (&[("set", "a[0].b=1,a[0].c=2,a[1].b=3")], r#"{"a":[{"b":1,"c":2},{"b":3}]}"#),
            (&[("set", "a[0][1]=x")], r#"{"a":[[null,"x"]]}"#),
            (&[("set", "a=007"), ("set", "b=0"), ("set", "c=-5")], r#"{"a":"007","b":0,"c":-5}"#),
            (&[("set", "a=1.5")], r#"{"a":"1.5"}"#),
            (&[("set", "a[0]")], r#"{"a":[]}"#),
            (&[("set", "a[0")], "{}"),
            (&[("set", "a[0].b=1,a[0].")], r#"{"a":[{"b":1}]}"#),
            (&[("set", "=1")], "{}"),
            (&[("string", "a=1,b=true")], r#"{"a":"1","b":"true"}"#),
            (&[("string", "a={1,2}")], r#"{"a":["1","2"]}"#),
            (&[("file", "a=x,b.c=y")], r#"{"a":"<x>","b":{"c":"<y>"}}"#),
            (&[("json", r#"a={"b":[1,2.5]},c="x""#)], r#"{"a":{"b":[1,2.5]},"c":"x"}"#),
            (&[("json", r#"a=,b=1"#)], r#"{"a":null,"b":1}"#),
            (&[("json", r#"{"a":{"b":1}}"#), ("json", r#"{"a":{"c":2}}"#)], r#"{"a":{"b":1,"c":2}}"#),
            (&[("literal", r"a.b=x,y={1}\z")], r#"{"a":{"b":"x,y={1}\\z"}}"#),
            (&[("set", "a.b=1"), ("set", "a.c=2"), ("set", "a.b=3")], r#"{"a":{"b":3,"c":2}}"#),
        ] {
            assert_eq!(check(flags).unwrap(), expected, "{flags:?}");
        }
    }

    #[test]
    fn what_helm_refuses_is_refused_in_its_words() {
        for (flags, expected) in [
            (&[("set", "a")][..], r#"key "a" has no value"#),
            (&[("set", "a,b=1")], r#"key "a" has no value (cannot end with ,)"#),
            (&[("set", "a..b=1")], r#"key map "a" has no value"#),
            (&[("set", "a={1")], "list must terminate with '}'"),
            (&[("set", "a[-1]=x")], "negative -1 index not allowed"),
            (&[("set", "a[70000]=x")], "index of 70000 is greater than maximum supported index of 65536"),
            (&[("set", "a[0]x=1")], "unexpected data at end of array index: ['x']"),
            (&[("set", "a[x]=1")], r#"error parsing index: strconv.Atoi: parsing "x": invalid syntax"#),
            (
                &[("set", "a=1,a.b=2")],
                "unable to parse key: interface conversion: interface {} is int64, not map[string]interface {}",
            ),
            (&[("json", "a={")], "failed parsing --set-json data a={"),
            (&[("json", "{")], "failed parsing --set-json data JSON: {"),
        ] {
            assert_eq!(check(flags).unwrap_err(), expected, "{flags:?}");
        }
    }

    #[test]
    fn nesting_has_an_end() {
        let deep = format!("{}=1", vec!["a"; 40].join("."));
        assert!(check(&[("set", &deep)]).unwrap_err().contains("nested level"));
    }
}
