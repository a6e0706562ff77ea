//! Variables, and where each got its value.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use soll_api::Secrets;
use soll_yaml::{Data, ParseOptions, SourceId, Value, parse_yaml, to_json};

use super::names;

/// The variables of a build. A later value of a name takes the place of an earlier one.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    pub(super) values: BTreeMap<String, String>,
    givers: BTreeMap<String, Giver>,
}

/// What gave a variable its value, in words: `ConfigMap/apps/settings`, `postBuild.substitute`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Giver {
    who: Arc<str>,
    is_secret: bool,
}

impl Giver {
    /// One whose values may be read by who may read the Kustomization.
    #[must_use]
    pub fn open(who: &str) -> Self {
        Self { who: who.into(), is_secret: false }
    }

    /// One whose values nobody may see.
    #[must_use]
    pub fn secret(who: &str) -> Self {
        Self { who: who.into(), is_secret: true }
    }
}

impl fmt::Display for Giver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.who)
    }
}

impl Variables {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a variable. Line breaks are left out of the value, as Flux does.
    pub fn set(&mut self, name: &str, value: &str, giver: &Giver) {
        self.values.insert(name.to_owned(), value.replace('\n', ""));
        self.givers.insert(name.to_owned(), giver.clone());
    }

    /// Says whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Names and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// What gave a variable its value.
    #[must_use]
    pub fn giver(&self, name: &str) -> Option<&Giver> {
        self.givers.get(name)
    }

    pub(super) fn is_secret(&self, name: &str) -> bool {
        self.giver(name).is_some_and(|giver| giver.is_secret)
    }

    /// What must be taken out of messages: the secret values, and the texts within those that are YAML.
    #[must_use]
    pub fn secrets(&self) -> Secrets {
        let mut secrets = Secrets::new();
        add_forms(self.iter().filter(|(name, _)| self.is_secret(name)).map(|(_, value)| value), &mut secrets);
        secrets
    }

    /// Which variables a text names, and what gave each its value: `${tag} from ConfigMap/apps/versions`.
    pub(super) fn givers(&self, text: &str) -> String {
        let mut told: Vec<String> = Vec::new();
        for name in names(text) {
            let one = match self.giver(name) {
                Some(giver) => format!("${{{name}}} from {giver}"),
                None => format!("${{{name}}} by default"),
            };
            if !told.contains(&one) {
                told.push(one);
            }
        }
        match told.is_empty() {
            true => "substitute".to_owned(),
            false => told.join(" and "),
        }
    }
}

/// Adds secret values, and what they are once they stand in an object.
pub(super) fn add_forms<'v>(values: impl Iterator<Item = &'v str>, secrets: &mut Secrets) {
    let mut forms = Vec::new();
    for value in values {
        forms.push(value.to_owned());
        // Quotes and the like are gone then.
        forms.push(value.trim_matches(['\'', '"', '*', '&', '!']).to_owned());
        let parsed = parse_yaml(value, SourceId::default(), &ParseOptions::go_v2());
        parsed.iter().flatten().for_each(|value| add_texts(value, &mut forms));
    }
    secrets.extend(forms.iter().map(String::as_str));
}

fn add_texts(value: &Value, texts: &mut Vec<String>) {
    match &value.data {
        Data::Str(text) => texts.push(text.to_string()),
        Data::List(items) => items.iter().for_each(|item| add_texts(item, texts)),
        Data::Map(map) => map.iter().for_each(|entry| add_texts(&entry.value, texts)),
        // `007` is printed as another number than it was written.
        Data::Int(_) | Data::Float(_) => texts.push(to_json(value)),
        Data::Null | Data::Bool(_) => {}
    }
}

/// Variables that the command line or a test gives.
impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Variables {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut variables = Self::new();
        let giver = Giver::open("the caller");
        pairs.into_iter().for_each(|(name, value)| variables.set(name.as_ref(), value.as_ref(), &giver));
        variables
    }
}
