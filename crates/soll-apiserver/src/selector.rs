//! Label and field selectors.

use soll_yaml::Value;

use crate::names;
use crate::resources::Resource;

/// A conjunction of requirements on labels; empty matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LabelSelector {
    requirements: Vec<Requirement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
    Greater(i64),
    Less(i64),
}

impl LabelSelector {
    /// Reads `a=b,c!=d,e in (f,g),h notin (i),j,!k`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader { words: words(text), next: 0 };
        let mut requirements = Vec::new();
        while reader.peek() != END {
            if !is_name(reader.peek()) && reader.peek() != "!" {
                return Err(format!("found '{}', expected: !, identifier, or 'end of string'", reader.peek()));
            }
            let one = requirement(&mut reader).map_err(|why| format!("unable to parse requirement: {why}"))?;
            requirements.push(one);
            match reader.take() {
                END => break,
                "," if is_name(reader.peek()) || reader.peek() == "!" => {}
                "," => return Err(format!("found '{}', expected: identifier after ','", reader.peek())),
                other => return Err(format!("found '{other}', expected: ',' or 'end of string'")),
            }
        }
        Ok(Self { requirements })
    }

    /// Reads the object form: `matchLabels` and `matchExpressions`.
    pub(crate) fn from_value(selector: &Value) -> Result<Self, String> {
        let mut requirements = Vec::new();
        for entry in selector.get("matchLabels").and_then(Value::as_map).into_iter().flatten() {
            let value = entry.value.as_str().unwrap_or_default().to_owned();
            requirements.push(Requirement { key: entry.key.to_string(), test: Test::In(vec![value]) });
        }
        for item in selector.get("matchExpressions").and_then(Value::as_list).unwrap_or_default() {
            let key = item.lookup_str(&["key"]).unwrap_or_default().to_owned();
            let values = || {
                let values = item.get("values").and_then(Value::as_list).unwrap_or_default();
                values.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            };
            let test = match item.lookup_str(&["operator"]).unwrap_or_default() {
                "In" => Test::In(values()),
                "NotIn" => Test::NotIn(values()),
                "Exists" => Test::Exists,
                "DoesNotExist" => Test::Absent,
                other => return Err(format!("{other:?} is not a valid label selector operator")),
            };
            requirements.push(Requirement { key, test });
        }
        Ok(Self { requirements })
    }

    /// Says whether everything matches.
    pub(crate) fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Says whether an object's labels match.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.is_empty() || self.matches_labels(object.lookup(&["metadata", "labels"]))
    }

    /// Says whether a map of labels matches.
    pub(crate) fn matches_labels(&self, labels: Option<&Value>) -> bool {
        self.requirements.iter().all(|requirement| {
            let value = labels.and_then(|labels| labels.lookup_str(&[&requirement.key]));
            requirement.test.holds(value)
        })
    }
}

impl Test {
    fn holds(&self, value: Option<&str>) -> bool {
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match self {
            Self::In(values) => value.is_some_and(|value| values.iter().any(|one| one == value)),
            Self::NotIn(values) => value.is_none_or(|value| values.iter().all(|one| one != value)),
            Self::Exists => value.is_some(),
            Self::Absent => value.is_none(),
            Self::Greater(bound) => number().is_some_and(|number| number > *bound),
            Self::Less(bound) => number().is_some_and(|number| number < *bound),
        }
    }
}

/// The words of a selector: names and symbols.
struct Reader<'t> {
    words: Vec<&'t str>,
    next: usize,
}

/// Stands after the last word.
const END: &str = "";

impl<'t> Reader<'t> {
    fn peek(&self) -> &'t str {
        self.words.get(self.next).copied().unwrap_or(END)
    }

    fn take(&mut self) -> &'t str {
        let word = self.peek();
        self.next += 1;
        word
    }
}

fn is_symbol(byte: u8) -> bool {
    b"=!(),<>".contains(&byte)
}

fn is_name(word: &str) -> bool {
    word.bytes().next().is_some_and(|first| !is_symbol(first))
}

fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.bytes().next() {
        let length = if rest.starts_with("==") || rest.starts_with("!=") {
            2
        } else if is_symbol(first) {
            1
        } else {
            rest.find(|c: char| c.is_ascii_whitespace() || is_symbol(c as u8) && c.is_ascii()).unwrap_or(rest.len())
        };
        words.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    words
}

fn requirement(reader: &mut Reader<'_>) -> Result<Requirement, String> {
    let negated = reader.peek() == "!";
    if negated {
        reader.take();
    }
    let key = reader.take();
    if !is_name(key) {
        return Err(format!("found '{key}', expected: identifier"));
    }
    names::check_label_key(key).map_err(|why| format!("<nil>: Invalid value: {key:?}: {why}"))?;
    let made = |test| Ok(Requirement { key: key.to_owned(), test });
    if negated {
        return made(Test::Absent);
    }
    if matches!(reader.peek(), END | ",") {
        return made(Test::Exists);
    }
    let operator = reader.take();
    let mut values = match operator {
        "in" | "notin" => several(reader)?,
        "=" | "==" | "!=" | ">" | "<" => vec![one(reader)?],
        other => return Err(format!("found '{other}', expected: in, notin, =, ==, !=, gt, lt")),
    };
    values.sort();
    values.dedup();
    let number = || {
        values[0].parse::<i64>().map_err(|_| {
            let value = &values[0];
            format!("values[0]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value must be an integer")
        })
    };
    let test = match operator {
        ">" => Test::Greater(number()?),
        "<" => Test::Less(number()?),
        "in" | "=" | "==" => Test::In(values.clone()),
        _ => Test::NotIn(values.clone()),
    };
    for (index, value) in values.iter().enumerate() {
        names::check_label_value(value)
            .map_err(|why| format!("values[{index}][{key}]: Invalid value: {value:?}: {why}"))?;
    }
    made(test)
}

/// One value; nothing before a comma or the end.
fn one(reader: &mut Reader<'_>) -> Result<String, String> {
    match reader.peek() {
        END | "," => Ok(String::new()),
        value => {
            reader.take();
            if is_name(value) { Ok(value.to_owned()) } else { Err(format!("found '{value}', expected: identifier")) }
        }
    }
}

/// Values in parentheses; nothing between two commas is an empty one.
fn several(reader: &mut Reader<'_>) -> Result<Vec<String>, String> {
    let open = reader.take();
    if open != "(" {
        return Err(format!("found '{open}' expected: '('"));
    }
    let mut values = Vec::new();
    loop {
        match reader.peek() {
            value if is_name(value) => {
                values.push(value.to_owned());
                reader.take();
                if !matches!(reader.peek(), "," | ")") {
                    return Err(format!("found '{}', expected: ',' or ')'", reader.peek()));
                }
            }
            "," | ")" => values.push(String::new()),
            other if values.is_empty() => return Err(format!("found '{other}', expected: ',', ')' or identifier")),
            other => return Err(format!("found '{other}', expected: ',', or identifier")),
        }
        if reader.take() == ")" {
            return Ok(values);
        }
    }
}

/// A conjunction of requirements on fields; empty matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldSelector {
    /// Path, value, and whether they must be equal.
    terms: Vec<(String, String, bool)>,
}

impl FieldSelector {
    /// Reads `metadata.name=a,status.phase!=Running`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut terms = Vec::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (field, value, equal) = if let Some((field, value)) = part.split_once("!=") {
                (field, value, false)
            } else if let Some((field, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
                (field, value, true)
            } else {
                return Err(format!("invalid selector: '{text}'; can't understand '{part}'"));
            };
            terms.push((field.trim().to_owned(), value.trim().to_owned(), equal));
        }
        Ok(Self { terms })
    }

    /// Says whether everything matches.
    pub(crate) fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The name that objects must have, if the selector says one.
    pub(crate) fn name(&self) -> Option<&str> {
        let term = self.terms.iter().find(|(field, _, equal)| field == "metadata.name" && *equal)?;
        Some(&term.1)
    }

    /// Names the first field that cannot be selected by.
    pub(crate) fn check(&self, resource: &Resource) -> Result<(), String> {
        for (field, _, _) in &self.terms {
            if !selectable(resource, field) {
                if resource.is("batch", "jobs") {
                    return Err(format!("field label {field:?} not supported for Job"));
                }
                if resource.custom.is_none() && fields_of(resource).is_empty() {
                    let known = "\"metadata.name\", \"metadata.namespace\"";
                    return Err(format!("{field:?} is not a known field selector: only {known}"));
                }
                return Err(format!("field label not supported: {field}"));
            }
        }
        Ok(())
    }

    /// Says whether an object's fields match.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.terms.iter().all(|(field, wanted, equal)| (field_text(object, field) == *wanted) == *equal)
    }
}

fn selectable(resource: &Resource, field: &str) -> bool {
    if matches!(field, "metadata.name" | "metadata.namespace") {
        return true;
    }
    if let Some(custom) = &resource.custom {
        return custom.selectable_fields.iter().any(|path| path.trim_start_matches('.') == field);
    }
    fields_of(resource).contains(&field)
}

/// What objects of a builtin kind can be selected by beside name and namespace.
fn fields_of(resource: &Resource) -> &'static [&'static str] {
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "pods") => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        ("", "events") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        ("events.k8s.io", "events") => &[
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "reason",
            "reportingController",
            "type",
        ],
        ("", "secrets") => &["type"],
        ("", "namespaces") => &["status.phase"],
        ("", "nodes") => &["spec.unschedulable"],
        ("", "services") => &["spec.clusterIP", "spec.type"],
        ("", "replicationcontrollers") => &["status.replicas"],
        ("batch", "jobs") => &["status.successful"],
        ("certificates.k8s.io", "certificatesigningrequests") => &["spec.signerName"],
        _ => &[],
    }
}

fn field_text(object: &Value, field: &str) -> String {
    let path = match field {
        "reportingComponent" => "source.component".to_owned(),
        "source" if object.get("involvedObject").is_some() => "source.component".to_owned(),
        "status.successful" => "status.succeeded".to_owned(),
        other => other.to_owned(),
    };
    let keys: Vec<&str> = path.split('.').collect();
    match object.lookup(&keys) {
        None => String::new(),
        Some(value) => value.as_str().map_or_else(|| soll_yaml::to_json(value), str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use soll_yaml::parse_json;

    fn matches(selector: &str, labels: &str) -> bool {
        let object = parse_json(format!(r#"{{"metadata":{{"labels":{labels}}}}}"#).as_bytes()).expect("JSON");
        LabelSelector::parse(selector).expect("valid").matches(&object)
    }

    #[test]
    fn the_whole_grammar_is_understood() {
        let labels = r#"{"app":"web","tier":"front","size":"5"}"#;
        for selector in [
            "",
            "app",
            "app=web",
            "app==web",
            "app!=db",
            "none!=x",
            "!none",
            "app in (db, web)",
            "app in(web)",
            "tier notin (back),app",
            "none notin (a)",
            "size>4",
            "size<6",
        ] {
            assert!(matches(selector, labels), "{selector}");
        }
        for selector in ["none", "app=db", "!app", "app in (a,b)", "app notin (web)", "size>5", "app,tier=back"] {
            assert!(!matches(selector, labels), "{selector}");
        }
        assert!(LabelSelector::parse("a b").is_err());
        assert!(LabelSelector::parse("a in b").is_err());
    }

    #[test]
    fn fields_are_compared_as_text() {
        let object = parse_json(br#"{"metadata":{"name":"a"},"spec":{"unschedulable":true}}"#).expect("JSON");
        let selector = |text: &str| FieldSelector::parse(text).expect("valid").matches(&object);
        assert!(selector("metadata.name=a,spec.unschedulable=true"));
        assert!(selector("metadata.name!=b"));
        assert!(!selector("metadata.name=b"));
        assert!(FieldSelector::parse("metadata.name").is_err());
    }
}
