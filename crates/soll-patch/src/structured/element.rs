//! One step of a path to a field.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use soll_yaml::{Data, Str, Value, parse_json, to_json};

/// How a field is selected in what holds it. Sorted: names, keys, values, indexes.
#[derive(Debug, Clone)]
pub enum Element {
    /// A key of a map: `f:name`.
    Field(Str),
    /// An item of a list by its key fields, sorted by name: `k:{"name":"a"}`.
    Key(Arc<[(Str, Value)]>),
    /// An item of a set by its value: `v:"a"`.
    Value(Value),
    /// An item of a list by its position: `i:0`.
    Index(i64),
}

impl Element {
    /// Reads the form of `fieldsV1`. `None` if a later version of the format wrote it.
    ///
    /// # Errors
    /// If the text after a known prefix cannot be read.
    pub(super) fn parse(text: &str) -> Result<Option<Self>, String> {
        let Some((kind, rest)) = text.split_once(':').filter(|(kind, _)| kind.len() == 1) else {
            return Err(format!("`{text}` is no path element"));
        };
        let json = || parse_json(rest.as_bytes()).map_err(|error| format!("`{text}` is no path element: {error}"));
        Ok(Some(match kind {
            "f" => Self::Field(rest.into()),
            "v" => Self::Value(json()?),
            "i" => Self::Index(rest.parse().map_err(|_| format!("`{text}` has no index"))?),
            "k" => {
                let key = json()?;
                let Some(map) = key.as_map() else { return Err(format!("`{text}` has no key fields")) };
                Self::key(map.iter().map(|entry| (entry.key.clone(), entry.value.clone())).collect())
            }
            _ => return Ok(None),
        }))
    }

    /// An item by its key fields, in any order.
    pub(super) fn key(mut fields: Vec<(Str, Value)>) -> Self {
        fields.sort_by(|a, b| a.0.as_str().cmp(b.0.as_str()));
        Self::Key(fields.into())
    }

    /// The form of `fieldsV1`.
    pub(super) fn encode(&self) -> Str {
        match self {
            Self::Field(name) => concat("f:", name),
            Self::Value(value) => concat("v:", &to_json(value)),
            Self::Index(index) => Str::from(format!("i:{index}")),
            Self::Key(fields) => {
                let mut text = String::from("k:{");
                for (position, (name, value)) in fields.iter().enumerate() {
                    if position > 0 {
                        text.push(',');
                    }
                    text.push_str(&to_json(&Value::from(name.clone())));
                    text.push(':');
                    text.push_str(&to_json(value));
                }
                text.push('}');
                Str::from(text)
            }
        }
    }
}

fn concat(prefix: &str, rest: &str) -> Str {
    let mut text = String::with_capacity(prefix.len() + rest.len());
    text.push_str(prefix);
    text.push_str(rest);
    Str::from(text)
}

/// As conflicts and errors write it: `.spec`, `[name="a"]`, `[="x"]`, `[0]`.
impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Value(value) => write!(f, "[={}]", to_json(value)),
            Self::Index(index) => write!(f, "[{index}]"),
            Self::Key(fields) => {
                f.write_str("[")?;
                for (position, (name, value)) in fields.iter().enumerate() {
                    let comma = if position > 0 { "," } else { "" };
                    write!(f, "{comma}{name}={}", to_json(value))?;
                }
                f.write_str("]")
            }
        }
    }
}

impl Ord for Element {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Field(a), Self::Field(b)) => a.as_str().cmp(b.as_str()),
            (Self::Key(a), Self::Key(b)) => {
                let fields = a.iter().zip(b.iter()).map(|((name, value), (other_name, other_value))| {
                    name.as_str().cmp(other_name.as_str()).then_with(|| compare(value, other_value))
                });
                fields.fold(Ordering::Equal, Ordering::then).then_with(|| a.len().cmp(&b.len()))
            }
            (Self::Value(a), Self::Value(b)) => compare(a, b),
            (Self::Index(a), Self::Index(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl Element {
    fn rank(&self) -> u8 {
        match self {
            Self::Field(_) => 0,
            Self::Key(_) => 1,
            Self::Value(_) => 2,
            Self::Index(_) => 3,
        }
    }
}

impl PartialOrd for Element {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Element {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Element {}

/// A total order of values: numbers, texts, booleans, lists, maps, null.
fn compare(a: &Value, b: &Value) -> Ordering {
    let rank = |value: &Value| match value.data {
        Data::Int(_) | Data::Float(_) => 0,
        Data::Str(_) => 1,
        Data::Bool(_) => 2,
        Data::List(_) => 3,
        Data::Map(_) => 4,
        Data::Null => 5,
    };
    match (&a.data, &b.data) {
        (Data::Int(a), Data::Int(b)) => a.cmp(b),
        (Data::Float(a), Data::Float(b)) => a.total_cmp(b),
        (Data::Int(a), Data::Float(b)) => (*a as f64).total_cmp(b),
        (Data::Float(a), Data::Int(b)) => a.total_cmp(&(*b as f64)),
        (Data::Str(a), Data::Str(b)) => a.as_str().cmp(b.as_str()),
        (Data::Bool(a), Data::Bool(b)) => a.cmp(b),
        (Data::List(a), Data::List(b)) => {
            let items = a.iter().zip(b.iter()).map(|(a, b)| compare(a, b));
            items.fold(Ordering::Equal, Ordering::then).then_with(|| a.len().cmp(&b.len()))
        }
        (Data::Map(a), Data::Map(b)) => {
            let (a, b) = (a.sorted(), b.sorted());
            let entries = a
                .iter()
                .zip(&b)
                .map(|(a, b)| a.key.as_str().cmp(b.key.as_str()).then_with(|| compare(&a.value, &b.value)));
            entries.fold(Ordering::Equal, Ordering::then).then_with(|| a.len().cmp(&b.len()))
        }
        _ => rank(a).cmp(&rank(b)),
    }
}
