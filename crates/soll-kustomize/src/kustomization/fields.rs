//! Typed access to the fields of a map, with problems instead of failures.

use soll_yaml::{At, Data, Entry, Map, Str, Value};

use crate::problem::{Problem, Problems};

/// Text and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) text: Str,
    pub(crate) at: At,
}

/// Keys with texts, in the order of writing.
pub(crate) type Pairs = Vec<(Str, Text)>;

/// The fields of one map; complains about what has the wrong type and, at the end, about what is unknown.
pub(crate) struct Fields<'v> {
    map: Option<&'v Map>,
    what: &'static str,
    known: Vec<&'static str>,
    pub(crate) problems: &'v Problems,
    pub(crate) at: At,
}

impl<'v> Fields<'v> {
    /// `what` is the word for the map in messages: `patches entry`.
    pub(crate) fn new(value: &'v Value, what: &'static str, problems: &'v Problems) -> Self {
        if value.as_map().is_none() && !value.is_null() {
            problems.add(value.at, format!("expected a map for a {what}, found {}", value.type_in_words()));
        }
        Self { map: value.as_map(), what, known: Vec::new(), problems, at: value.at }
    }

    /// The value of a field that is there and not null.
    pub(crate) fn value(&mut self, name: &'static str) -> Option<&'v Value> {
        self.known.push(name);
        // As Go reads JSON: `nameprefix` will do, and the last in order counts.
        let alike = self.map?.iter().filter(|entry| entry.key.eq_ignore_ascii_case(name));
        let last = alike.filter(|entry| !entry.value.is_null()).max_by(|a, b| a.key.cmp(&b.key))?;
        Some(&last.value)
    }

    pub(crate) fn text(&mut self, name: &'static str) -> Option<Text> {
        let value = self.value(name)?;
        let text = Text::of(value);
        if text.is_none() {
            self.wrong(name, value, "text; put it in quotes");
        }
        text.filter(|text| !text.text.is_empty())
    }

    pub(crate) fn required(&mut self, name: &'static str) -> Option<Text> {
        let before = self.value(name).is_some();
        let text = self.text(name);
        if text.is_none() && !before {
            self.problems.add(self.at, format!("a {} needs a `{name}`", self.what));
        }
        text
    }

    pub(crate) fn flag(&mut self, name: &'static str) -> bool {
        let Some(value) = self.value(name) else { return false };
        value.as_bool().unwrap_or_else(|| {
            self.wrong(name, value, "true or false");
            false
        })
    }

    pub(crate) fn number(&mut self, name: &'static str) -> Option<i64> {
        let value = self.value(name)?;
        if !matches!(value.data, Data::Int(_)) {
            self.wrong(name, value, "a whole number");
        }
        value.as_i64()
    }

    pub(crate) fn list(&mut self, name: &'static str) -> &'v [Value] {
        let Some(value) = self.value(name) else { return &[] };
        value.as_list().unwrap_or_else(|| {
            self.wrong(name, value, "a list");
            &[]
        })
    }

    pub(crate) fn texts(&mut self, name: &'static str) -> Vec<Text> {
        let mut texts = Vec::new();
        for item in self.list(name) {
            match Text::of(item) {
                Some(text) => texts.push(text),
                None => self.wrong(name, item, "a list of texts"),
            }
        }
        texts
    }

    pub(crate) fn pairs(&mut self, name: &'static str) -> Pairs {
        let Some(value) = self.value(name) else { return Pairs::new() };
        let Some(map) = value.as_map() else {
            self.wrong(name, value, "a map");
            return Pairs::new();
        };
        let mut pairs = Pairs::new();
        for entry in map {
            match Text::of(&entry.value) {
                Some(text) => pairs.push((entry.key.clone(), text)),
                None if entry.value.is_null() => {
                    pairs.push((entry.key.clone(), Text { text: Str::new(), at: entry.key_at }));
                }
                None => self.wrong(name, &entry.value, "a map of texts; put the value in quotes"),
            }
        }
        pairs
    }

    /// Complains about every field that was not asked for.
    pub(crate) fn refuse_others(self) {
        for problem in self.others() {
            self.problems.push(problem);
        }
    }

    /// A remark for every field that was not asked for.
    pub(crate) fn others(&self) -> Vec<Problem> {
        let unknown = self.map.into_iter().flatten().filter(|entry| !self.is_known(&entry.key));
        let remark = |entry: &Entry| {
            let message = format!("unknown field `{}` in a {}", entry.key, self.what);
            Problem::new(entry.key_at, format!("{message}{}", suggestion(&entry.key, &self.known)))
        };
        unknown.map(remark).collect()
    }

    fn is_known(&self, key: &str) -> bool {
        self.known.iter().any(|known| known.eq_ignore_ascii_case(key))
    }

    fn wrong(&self, name: &str, value: &Value, expected: &str) {
        let message = format!("`{name}` of a {} is {}; expected {expected}", self.what, value.type_in_words());
        self.problems.add(value.at, message);
    }
}

impl Text {
    pub(crate) fn of(value: &Value) -> Option<Self> {
        match &value.data {
            Data::Str(text) => Some(Self { text: text.clone(), at: value.at }),
            _ => None,
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn value(&self) -> Value {
        Value::from(self.text.clone()).at(self.at)
    }
}

/// `; did you mean …` for a slip of the pen.
fn suggestion(key: &str, known: &[&'static str]) -> String {
    let meant = soll_api::did_you_mean(key, known.iter().copied());
    meant.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}
