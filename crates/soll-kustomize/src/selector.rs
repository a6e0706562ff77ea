//! Which objects a patch or a replacement means.

use regex::Regex;
use soll_yaml::{Str, Value};

use crate::kustomization::Fields;
use crate::problem::Problems;
use crate::resource::{Gvk, Id, Resource};

/// Regular expressions on the parts of an id, and selectors on labels and annotations.
#[derive(Clone, Default)]
pub(crate) struct Selector {
    group: Option<Pattern>,
    version: Option<Pattern>,
    kind: Option<Pattern>,
    name: Option<Pattern>,
    namespace: Option<Pattern>,
    labels: Vec<Requirement>,
    annotations: Vec<Requirement>,
    text: String,
}

/// A pattern for a whole text. Most are names, and names of groups, and need no expression.
#[derive(Clone)]
enum Pattern {
    Exact(Str),
    /// As `cert-manager.io`: a dot stands for any one letter.
    Dotted(Str),
    /// `.*`
    Any,
    Expression(Regex),
}

/// One condition on labels: `app=web`, `tier in (a, b)`, `!canary`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
}

impl Selector {
    pub(crate) fn read(value: &Value, problems: &Problems) -> Option<Self> {
        let mut fields = Fields::new(value, "selector", problems);
        let mut selector = Self { text: soll_yaml::to_json(value), ..Self::default() };
        let mut is_fine = true;
        let mut pattern = |name| {
            let text = fields.text(name)?;
            match Pattern::new(&text.text) {
                Ok(pattern) => Some(pattern),
                Err(error) => {
                    is_fine = false;
                    // The first lines show the pattern, which stands there already.
                    let error = error.to_string();
                    let cause = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
                    problems.add(text.at, format!("`{name}` is no regular expression: {cause}"));
                    None
                }
            }
        };
        selector.group = pattern("group");
        selector.version = pattern("version");
        selector.kind = pattern("kind");
        selector.name = pattern("name");
        selector.namespace = pattern("namespace");
        let mut requirements = |name| {
            let Some(text) = fields.text(name) else { return Vec::new() };
            Requirement::parse_all(&text.text).unwrap_or_else(|message| {
                problems.add(text.at, format!("`{name}` is no selector: {message}"));
                Vec::new()
            })
        };
        selector.labels = requirements("labelSelector");
        selector.annotations = requirements("annotationSelector");
        fields.refuse_others();
        is_fine.then_some(selector)
    }

    /// Says whether a patch with this target means the object; names match old and new ones.
    pub(crate) fn selects(&self, resource: &Resource) -> bool {
        let (now, first) = (resource.id(), resource.first_id());
        let either = |pattern: &Option<Pattern>, part: fn(&Id) -> Str| match pattern {
            Some(pattern) => pattern.fits(&part(&first)) || pattern.fits(&part(now)),
            None => true,
        };
        either(&self.name, |id| id.name.clone())
            && either(&self.namespace, Id::effective_namespace)
            && self.fits_gvk(&now.gvk)
            && self.fits_metadata(resource)
    }

    /// Says whether the id alone fits, for one of the ids of a replacement's target.
    pub(crate) fn fits_id(&self, id: &Id) -> bool {
        let fits = |pattern: &Option<Pattern>, text: &str| pattern.as_ref().is_none_or(|pattern| pattern.fits(text));
        // As written: an object without a namespace is not in `default` here.
        fits(&self.name, &id.name) && fits(&self.namespace, &id.namespace) && self.fits_gvk(&id.gvk)
    }

    pub(crate) fn fits_metadata(&self, resource: &Resource) -> bool {
        let fits = |requirements: &[Requirement], field: &str| {
            requirements.iter().all(|requirement| {
                let key = requirement.key();
                let found = resource.pairs(field).find(|(name, _)| name.as_str() == key).map(|(_, value)| value);
                requirement.fits(found)
            })
        };
        fits(&self.labels, "labels") && fits(&self.annotations, "annotations")
    }

    pub(crate) fn has_metadata(&self) -> bool {
        !self.labels.is_empty() || !self.annotations.is_empty()
    }

    /// Says whether any part of an id is asked for.
    pub(crate) fn has_id(&self) -> bool {
        [&self.group, &self.version, &self.kind, &self.name, &self.namespace].into_iter().any(Option::is_some)
    }

    /// Says whether a name is asked for.
    pub(crate) fn has_name(&self) -> bool {
        self.name.is_some()
    }

    /// The one name that objects must have or have had, if the selector is that plain.
    pub(crate) fn plain_name(&self) -> Option<&Str> {
        match &self.name {
            Some(Pattern::Exact(name)) => Some(name),
            Some(Pattern::Dotted(_) | Pattern::Any | Pattern::Expression(_)) | None => None,
        }
    }

    /// As it was written, for messages.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    fn fits_gvk(&self, gvk: &Gvk) -> bool {
        let fits = |pattern: &Option<Pattern>, text: &str| pattern.as_ref().is_none_or(|pattern| pattern.fits(text));
        fits(&self.group, &gvk.group) && fits(&self.version, &gvk.version) && fits(&self.kind, &gvk.kind)
    }
}

impl Pattern {
    fn new(text: &str) -> Result<Self, regex::Error> {
        if text == ".*" {
            return Ok(Self::Any);
        }
        if is_dotted(text) {
            return Ok(if text.contains('.') { Self::Dotted(text.into()) } else { Self::Exact(text.into()) });
        }
        Regex::new(&format!("^(?:{text})$")).map(Self::Expression)
    }

    fn fits(&self, text: &str) -> bool {
        match self {
            Self::Exact(exact) => exact.as_str() == text,
            Self::Dotted(name) => strip_dotted(text, name) == Some(""),
            Self::Any => !text.contains('\n'),
            Self::Expression(expression) => expression.is_match(text),
        }
    }
}

/// Whether the one thing that makes an expression of a name are its dots.
pub(crate) fn is_dotted(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'/' | b'.'))
}

/// What follows a name that a text begins with; a dot in the name stands for any one letter.
pub(crate) fn strip_dotted<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let mut letters = text.chars();
    for wanted in name.chars() {
        letters.next().filter(|found| wanted == *found || (wanted == '.' && *found != '\n'))?;
    }
    Some(letters.as_str())
}

impl Requirement {
    fn parse_all(text: &str) -> Result<Vec<Self>, String> {
        split_outside_parentheses(text).into_iter().map(|part| Self::parse(part.trim())).collect()
    }

    fn parse(text: &str) -> Result<Self, String> {
        let valid = |key: &str| {
            let key = key.trim();
            let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/');
            if key.is_empty() || !key.bytes().all(fine) {
                return Err(format!("`{key}` is no key"));
            }
            Ok(key.to_owned())
        };
        if let Some(key) = text.strip_prefix('!') {
            return Ok(Self::Missing(valid(key)?));
        }
        if let Some((key, value)) = text.split_once("!=") {
            return Ok(Self::NotIn(valid(key)?, vec![value.trim().to_owned()]));
        }
        if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
            return Ok(Self::In(valid(key)?, vec![value.trim().to_owned()]));
        }
        let Some((head, set)) = text.split_once('(') else { return Ok(Self::Exists(valid(text)?)) };
        let set = set.strip_suffix(')').ok_or("a set ends with `)`")?;
        let values = set.split(',').map(|value| value.trim().to_owned()).collect();
        let mut words = head.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some(key), Some("in"), None) => Ok(Self::In(valid(key)?, values)),
            (Some(key), Some("notin"), None) => Ok(Self::NotIn(valid(key)?, values)),
            _ => Err(format!("`{head}` should be a key and `in` or `notin`")),
        }
    }

    fn key(&self) -> &str {
        match self {
            Self::In(key, _) | Self::NotIn(key, _) | Self::Exists(key) | Self::Missing(key) => key,
        }
    }

    fn fits(&self, found: Option<&str>) -> bool {
        match self {
            Self::In(_, values) => found.is_some_and(|found| values.iter().any(|value| value == found)),
            Self::NotIn(_, values) => found.is_none_or(|found| values.iter().all(|value| value != found)),
            Self::Exists(_) => found.is_some(),
            Self::Missing(_) => found.is_none(),
        }
    }
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_i32, 0);
    for (position, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(selector: &str, labels: &[(&str, &str)]) -> bool {
        let requirements = Requirement::parse_all(selector).expect("a selector");
        requirements.iter().all(|requirement| {
            requirement.fits(labels.iter().find(|(key, _)| *key == requirement.key()).map(|(_, value)| *value))
        })
    }

    #[test]
    fn label_selectors_select() {
        let labels = [("app", "web"), ("tier", "a")];
        for (selector, expected) in [
            ("app=web", true),
            ("app==web,tier in (a, b)", true),
            ("app!=web", false),
            ("tier notin (b),!canary", true),
            ("canary", false),
            ("app", true),
        ] {
            assert_eq!(fits(selector, &labels), expected, "{selector}");
        }
        assert!(Requirement::parse_all("a b (c)").is_err());
    }

    #[test]
    fn patterns_match_the_whole_text() {
        let pattern = Pattern::new("web.*").expect("an expression");
        assert!(pattern.fits("web-1") && !pattern.fits("my-web"));
        assert!(!Pattern::new("web").expect("plain").fits("web-1"));
    }

    #[test]
    fn patterns_that_need_no_expression_mean_the_same() {
        for pattern in ["web", "cert-manager.io", "a..", ".*", ""] {
            let expression = Regex::new(&format!("^(?:{pattern})$")).expect("valid");
            for text in ["", "web", "web-1", "cert-manager.io", "cert-managerxio", "a\u{e9}b", "ab", "a\nb", "x\n"] {
                let fits = Pattern::new(pattern).expect("valid").fits(text);
                assert_eq!(fits, expression.is_match(text), "{pattern:?} {text:?}");
            }
        }
    }
}
