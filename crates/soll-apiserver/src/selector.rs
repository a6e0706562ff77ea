//! Label and field selectors.

use soll_yaml::Value;

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
        let mut requirements = Vec::new();
        for part in split_outside_parentheses(text) {
            if !part.trim().is_empty() {
                requirements.push(requirement(part.trim())?);
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

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (position, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                parts.push(&text[start..position]);
                start = position + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn requirement(part: &str) -> Result<Requirement, String> {
    let bad = || format!("unable to parse requirement: {part:?} is no label requirement");
    let made = |key: &str, test: Test| {
        let key = key.trim();
        let valid = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte));
        if valid { Ok(Requirement { key: key.to_owned(), test }) } else { Err(bad()) }
    };
    if let Some(key) = part.strip_prefix('!') {
        return made(key, Test::Absent);
    }
    let set = |rest: &str| -> Result<Vec<String>, String> {
        let inner = rest.trim().strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).ok_or_else(bad)?;
        Ok(inner.split(',').map(|value| value.trim().to_owned()).collect())
    };
    if let Some((key, rest)) = part.split_once(" notin ").or_else(|| part.split_once(" notin(").map(reopen(part))) {
        return made(key, Test::NotIn(set(rest)?));
    }
    if let Some((key, rest)) = part.split_once(" in ").or_else(|| part.split_once(" in(").map(reopen(part))) {
        return made(key, Test::In(set(rest)?));
    }
    let one = |value: &str| vec![value.trim().to_owned()];
    if let Some((key, value)) = part.split_once("!=") {
        return made(key, Test::NotIn(one(value)));
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return made(key, Test::In(one(value)));
    }
    if let Some((key, value)) = part.split_once('>') {
        return made(key, Test::Greater(value.trim().parse().map_err(|_| bad())?));
    }
    if let Some((key, value)) = part.split_once('<') {
        return made(key, Test::Less(value.trim().parse().map_err(|_| bad())?));
    }
    made(part, Test::Exists)
}

/// Gives back the parenthesis that splitting at `in(` took from the values.
fn reopen<'t>(part: &'t str) -> impl Fn((&'t str, &'t str)) -> (&'t str, &'t str) {
    move |(key, rest)| (key, &part[part.len() - rest.len() - 1..])
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
                return Err(format!("invalid selector: {text:?}; can't understand {part:?}"));
            };
            terms.push((field.trim().to_owned(), value.trim().to_owned(), equal));
        }
        Ok(Self { terms })
    }

    /// Says whether everything matches.
    pub(crate) fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Names the first field that cannot be selected by.
    pub(crate) fn check(&self, resource: &Resource) -> Result<(), String> {
        for (field, _, _) in &self.terms {
            if !selectable(resource, field) {
                if resource.custom.is_none() && fields_of(resource).is_empty() {
                    let known = "\"metadata.name\", \"metadata.namespace\"";
                    return Err(format!("{field:?} is not a known field selector: only {known}"));
                }
                let gv = resource.api_version();
                return Err(format!(
                    "Unable to find {gv:?} {:?} that match label selector \"\", field selector \"{field}\": field label not supported: {field}",
                    resource.kind
                ));
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
        ("", "replicationcontrollers") | ("apps", "replicasets") => &["status.replicas"],
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
