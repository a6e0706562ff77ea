//! Rows of the tables, and the schemas they make.

use soll_yaml::{Map, Value, parse_json};

/// One field: everything about it, once.
#[derive(Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) r#type: Type,
    doc: &'static str,
    required: bool,
    /// Whether setting it has its effect. What is not built is refused by name.
    pub(super) built: bool,
    /// The texts it may be; any if empty.
    choices: &'static [&'static str],
    /// Those of the choices that are not built.
    pub(super) later_choices: &'static [&'static str],
    pattern: Option<&'static str>,
    /// Shortest and longest text.
    length: Option<(i64, i64)>,
    minimum: Option<i64>,
    /// JSON.
    default: Option<&'static str>,
    /// CEL rules with their messages.
    rules: &'static [(&'static str, &'static str)],
}

/// The type of a [`Field`].
#[derive(Clone, Copy)]
pub(super) enum Type {
    Text,
    Bool,
    Int64,
    Time,
    /// A map from text to text.
    TextMap,
    List(&'static Field),
    Object(&'static [Field]),
}

const fn field(name: &'static str, r#type: Type, doc: &'static str) -> Field {
    Field {
        name,
        r#type,
        doc,
        required: false,
        built: true,
        choices: &[],
        later_choices: &[],
        pattern: None,
        length: None,
        minimum: None,
        default: None,
        rules: &[],
    }
}

pub(super) const fn text(name: &'static str, doc: &'static str) -> Field {
    field(name, Type::Text, doc)
}

pub(super) const fn bool(name: &'static str, doc: &'static str) -> Field {
    field(name, Type::Bool, doc)
}

pub(super) const fn int64(name: &'static str, doc: &'static str) -> Field {
    field(name, Type::Int64, doc)
}

pub(super) const fn time(name: &'static str, doc: &'static str) -> Field {
    field(name, Type::Time, doc)
}

pub(super) const fn text_map(name: &'static str, doc: &'static str) -> Field {
    field(name, Type::TextMap, doc)
}

pub(super) const fn object(name: &'static str, fields: &'static [Field], doc: &'static str) -> Field {
    field(name, Type::Object(fields), doc)
}

pub(super) const fn list(name: &'static str, item: &'static Field, doc: &'static str) -> Field {
    field(name, Type::List(item), doc)
}

impl Field {
    pub(super) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Not built yet: refused by name.
    pub(super) const fn later(mut self) -> Self {
        self.built = false;
        self
    }

    pub(super) const fn one_of(mut self, choices: &'static [&'static str]) -> Self {
        self.choices = choices;
        self
    }

    /// Those of the choices that are not built yet.
    pub(super) const fn later_choices(mut self, choices: &'static [&'static str]) -> Self {
        self.later_choices = choices;
        self
    }

    pub(super) const fn pattern(mut self, pattern: &'static str) -> Self {
        self.pattern = Some(pattern);
        self
    }

    /// Shortest and longest text; a shortest of 0 is not written.
    pub(super) const fn length(mut self, shortest: i64, longest: i64) -> Self {
        self.length = Some((shortest, longest));
        self
    }

    pub(super) const fn at_least(mut self, minimum: i64) -> Self {
        self.minimum = Some(minimum);
        self
    }

    /// Default, as JSON.
    pub(super) const fn default(mut self, json: &'static str) -> Self {
        self.default = Some(json);
        self
    }

    /// CEL rules with their messages.
    pub(super) const fn rules(mut self, rules: &'static [(&'static str, &'static str)]) -> Self {
        self.rules = rules;
        self
    }

    /// The schema of the field.
    pub(super) fn schema(&self) -> Value {
        let mut schema = Map::new();
        if !self.doc.is_empty() {
            schema.insert("description", self.doc.into());
        }
        if let Some(default) = self.default {
            schema.insert("default", parse_json(default.as_bytes()).expect("defaults in the tables are JSON"));
        }
        let r#type = match self.r#type {
            Type::Text => "string",
            Type::Bool => "boolean",
            Type::Int64 => {
                schema.insert("format", "int64".into());
                "integer"
            }
            Type::Time => {
                schema.insert("format", "date-time".into());
                "string"
            }
            Type::TextMap => {
                schema.insert("additionalProperties", Map::from_iter([("type", Value::str("string"))]).into());
                "object"
            }
            Type::List(item) => {
                schema.insert("items", item.schema());
                "array"
            }
            Type::Object(fields) => {
                insert_properties(&mut schema, fields);
                "object"
            }
        };
        schema.insert("type", r#type.into());
        self.insert_rules(&mut schema);
        schema.into()
    }

    fn insert_rules(&self, schema: &mut Map) {
        if !self.choices.is_empty() {
            schema.insert("enum", Value::list(self.choices.iter().map(|choice| Value::str(choice)).collect()));
        }
        if let Some(pattern) = self.pattern {
            schema.insert("pattern", pattern.into());
        }
        if let Some((shortest, longest)) = self.length {
            if shortest > 0 {
                schema.insert("minLength", shortest.into());
            }
            schema.insert("maxLength", longest.into());
        }
        if let Some(minimum) = self.minimum {
            schema.insert("minimum", minimum.into());
        }
        if !self.rules.is_empty() {
            let rule = |(rule, message): &(&str, &str)| {
                Map::from_iter([("message", *message), ("rule", *rule)].map(|(k, v)| (k, v.into()))).into()
            };
            schema.insert("x-kubernetes-validations", Value::list(self.rules.iter().map(rule).collect()));
        }
    }

    /// A value that the API server takes, with the required fields alone.
    fn sample(&self) -> Value {
        match self.r#type {
            Type::Text if !self.choices.is_empty() => {
                let is_built = |choice: &&&str| !self.later_choices.contains(choice);
                self.choices
                    .iter()
                    .find(is_built)
                    .or(self.choices.first())
                    .map_or_else(Value::null, |text| (*text).into())
            }
            Type::Text => match self.pattern {
                Some(pattern) if pattern.contains("ssh") => "https://example.com/sample.git".into(),
                Some(pattern) if pattern.contains("ms|s|m") => "1m".into(),
                _ => "sample".into(),
            },
            Type::Bool => true.into(),
            Type::Int64 => 1.into(),
            Type::Time => "2026-01-01T00:00:00Z".into(),
            Type::TextMap => Map::from_iter([("sample", Value::str("sample"))]).into(),
            Type::List(item) => Value::list(vec![item.sample()]),
            Type::Object(fields) => {
                let required = fields.iter().filter(|field| field.required);
                required.map(|field| (field.name, field.sample())).collect::<Map>().into()
            }
        }
    }
}

fn insert_properties(schema: &mut Map, fields: &[Field]) {
    let properties: Map = fields.iter().map(|field| (field.name, field.schema())).collect();
    schema.insert("properties", properties.into());
    let mut required: Vec<_> = fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    if !required.is_empty() {
        required.sort_unstable();
        schema.insert("required", Value::list(required.into_iter().map(Value::str).collect()));
    }
}

/// A value for each field below, with the path of the field that it sets.
pub(super) fn samples(field: &Field) -> Vec<(String, Value)> {
    match field.r#type {
        Type::Object(fields) => {
            let base = field.sample();
            let below = fields.iter().flat_map(|child| {
                samples(child).into_iter().map(|(path, value)| (format!(".{}{path}", child.name), child.name, value))
            });
            let mut all: Vec<_> = below
                .map(|(path, name, value)| {
                    let mut whole = base.clone();
                    whole.make_map().insert(name, value);
                    (path, whole)
                })
                .collect();
            if fields.is_empty() || all.is_empty() {
                all.push((String::new(), base));
            }
            all
        }
        Type::List(item) => {
            samples(item).into_iter().map(|(path, value)| (format!("[0]{path}"), Value::list(vec![value]))).collect()
        }
        Type::Text if !field.choices.is_empty() => {
            field.choices.iter().map(|choice| (String::new(), Value::str(choice))).collect()
        }
        _ => vec![(String::new(), field.sample())],
    }
}
