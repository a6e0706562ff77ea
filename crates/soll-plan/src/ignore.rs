//! `spec.ignore`: fields that others may change without being corrected.

use regex::Regex;
use soll_api::{Class, Failure, Ignore, Object, Retry, Selector};
use soll_yaml::{Data, Value};

use crate::labels::LabelSelector;
use crate::managers::{entries, holds};

/// The rules of `spec.ignore`, ready for matching.
#[derive(Debug, Clone, Default)]
pub struct IgnoreRules(Vec<Rule>);

#[derive(Debug, Clone)]
struct Rule {
    paths: Vec<Vec<String>>,
    target: Option<Target>,
}

/// Which objects: all that match every field that is set. Texts are anchored regular expressions.
#[derive(Debug, Clone, Default)]
struct Target {
    group: Option<Regex>,
    version: Option<Regex>,
    kind: Option<Regex>,
    name: Option<Regex>,
    namespace: Option<Regex>,
    labels: Option<LabelSelector>,
    annotations: Option<LabelSelector>,
}

impl IgnoreRules {
    /// Reads the rules.
    ///
    /// # Errors
    /// Names the rule and the text that is no JSON pointer, regular expression or selector.
    pub fn new(rules: &[Ignore]) -> Result<Self, Failure> {
        let read = |(index, rule): (usize, &Ignore)| {
            Rule::new(rule).map_err(|problem| {
                let message = format!("spec.ignore[{index}].{problem}");
                Failure::new(Class::Configuration, "ReconciliationFailed", message, Retry::AtRetryInterval)
            })
        };
        rules.iter().enumerate().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// The paths that are ignored on an object.
    pub(crate) fn paths<'r>(&'r self, object: &'r Object) -> impl Iterator<Item = &'r [String]> {
        let rules = self.0.iter().filter(|rule| rule.target.as_ref().is_none_or(|target| target.matches(object)));
        rules.flat_map(|rule| rule.paths.iter().map(Vec::as_slice))
    }

    /// The value without the ignored paths: what the drift test compares.
    pub(crate) fn strip(&self, object: &Object, value: &mut Value) {
        for path in self.paths(object) {
            remove(value, path);
        }
    }

    /// What to apply when a field that is not ignored forces an apply: an ignored path that differs is left to the
    /// manager that applied it, or takes the live value if nobody did.
    pub(crate) fn payload(&self, desired: &Object, live: &Object, ours: &str) -> Object {
        let mut payload = desired.clone();
        for path in self.paths(desired) {
            let found = find(live.value(), path);
            if find(desired.value(), path).is_none_or(|wanted| found == Some(wanted)) {
                continue;
            }
            let others = entries(live).filter(|entry| entry.is_apply() && entry.manager() != ours);
            let applied =
                others.filter_map(super::managers::Entry::fields).any(|fields| holds(fields, live.value(), path));
            match found {
                Some(found) if !applied => set(payload.value_mut(), path, found.clone()),
                _ => remove(payload.value_mut(), path),
            }
        }
        payload
    }
}

impl Rule {
    fn new(rule: &Ignore) -> Result<Self, String> {
        let paths = rule.paths.iter().enumerate().map(|(index, text)| {
            pointer(text).ok_or_else(|| format!("paths[{index}]: `{text}` is no JSON pointer: expected /a/b or /a/0"))
        });
        Ok(Self { paths: paths.collect::<Result<_, _>>()?, target: rule.target.as_ref().map(Target::new).transpose()? })
    }
}

impl Target {
    fn new(selector: &Selector) -> Result<Self, String> {
        let regex = |field: &str, text: &Option<String>| match text.as_deref() {
            None | Some("") => Ok(None),
            Some(text) => Regex::new(&format!("^(?:{text})$"))
                .map(Some)
                .map_err(|_| format!("target.{field}: `{text}` is no regular expression")),
        };
        let labels = |field: &str, text: &Option<String>| match text.as_deref() {
            None | Some("") => Ok(None),
            Some(text) => LabelSelector::parse(text).map(Some).map_err(|error| format!("target.{field}: {error}")),
        };
        Ok(Self {
            group: regex("group", &selector.group)?,
            version: regex("version", &selector.version)?,
            kind: regex("kind", &selector.kind)?,
            name: regex("name", &selector.name)?,
            namespace: regex("namespace", &selector.namespace)?,
            labels: labels("labelSelector", &selector.label_selector)?,
            annotations: labels("annotationSelector", &selector.annotation_selector)?,
        })
    }

    fn matches(&self, object: &Object) -> bool {
        let texts = [
            (&self.group, object.group()),
            (&self.version, object.version()),
            (&self.kind, object.kind()),
            (&self.name, object.name()),
            (&self.namespace, object.namespace()),
        ];
        texts.into_iter().all(|(regex, text)| regex.as_ref().is_none_or(|regex| regex.is_match(text)))
            && self.labels.as_ref().is_none_or(|labels| labels.matches(|key| object.label(key)))
            && self.annotations.as_ref().is_none_or(|labels| labels.matches(|key| object.annotation(key)))
    }
}

/// The segments of a JSON pointer; none for text that is no pointer, or that means the whole object.
fn pointer(text: &str) -> Option<Vec<String>> {
    let segments = text.strip_prefix('/')?;
    Some(segments.split('/').map(|segment| segment.replace("~1", "/").replace("~0", "~")).collect())
}

fn find<'v>(value: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, segment| match &value.data {
        Data::Map(map) => map.get(segment),
        Data::List(items) => items.get(segment.parse::<usize>().ok()?),
        _ => None,
    })
}

/// The node at the end of a path, for changing; nothing is copied if it is missing.
fn find_mut<'v>(value: &'v mut Value, path: &[String]) -> Option<&'v mut Value> {
    find(value, path)?;
    path.iter().try_fold(value, |value, segment| {
        if value.as_list().is_some() {
            value.as_list_mut()?.get_mut(segment.parse::<usize>().ok()?)
        } else {
            value.get_mut(segment)
        }
    })
}

fn remove(value: &mut Value, path: &[String]) {
    let Some((last, parents)) = path.split_last() else { return };
    if find(value, path).is_none() {
        return;
    }
    let Some(parent) = find_mut(value, parents) else { return };
    if let Some(map) = parent.as_map_mut() {
        map.remove(last);
    } else if let (Some(items), Ok(index)) = (parent.as_list_mut(), last.parse::<usize>()) {
        items.remove(index);
    }
}

fn set(value: &mut Value, path: &[String], new: Value) {
    if let Some(node) = find_mut(value, path) {
        *node = new;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::object;

    fn rules(paths: &[&str], target: Option<Selector>) -> IgnoreRules {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        IgnoreRules::new(&[Ignore { paths, target }]).expect("valid rules")
    }

    #[test]
    fn selectors_are_anchored() {
        let deployment = object(
            "{'apiVersion': 'apps/v1', 'kind': 'Deployment', 'metadata': {'name': 'web', 'labels': {'a': 'b'}}}",
        );
        let matches = |selector| rules(&["/spec/replicas"], Some(selector)).paths(&deployment).count() == 1;
        assert!(matches(Selector { kind: Some("Deploy.*".into()), ..Selector::default() }));
        assert!(!matches(Selector { kind: Some("Deploy".into()), ..Selector::default() }));
        assert!(!matches(Selector { kind: Some("A|Deploymen".into()), ..Selector::default() }));
        assert!(matches(Selector { label_selector: Some("a in (b, c)".into()), ..Selector::default() }));
        assert!(!matches(Selector { label_selector: Some("!a".into()), ..Selector::default() }));
        assert!(matches(Selector::default()));
    }

    #[test]
    fn the_payload_leaves_ignored_fields_to_others() {
        let desired = object(
            "{'apiVersion': 'apps/v1', 'kind': 'Deployment', 'metadata': {'name': 'web'}, 'spec': {'replicas': 1, 'paused': false}}",
        );
        let live = |manager: &str| {
            object(&format!(
                "{{'apiVersion': 'apps/v1', 'kind': 'Deployment', 'metadata': {{'name': 'web', 'managedFields': [
                   {{'manager': '{manager}', 'operation': 'Apply', 'fieldsV1': {{'f:spec': {{'f:replicas': {{}}}}}}}}]}},
                  'spec': {{'replicas': 5, 'paused': true}}}}"
            ))
        };
        let rules = rules(&["/spec/replicas"], None);
        let spec = |manager| {
            let payload = rules.payload(&desired, &live(manager), "kustomize-controller");
            soll_yaml::to_json(payload.value().get("spec").expect("a spec"))
        };
        assert_eq!(spec("autoscaler"), r#"{"paused":false}"#);
        assert_eq!(spec("kustomize-controller"), r#"{"replicas":5,"paused":false}"#);
    }

    #[test]
    fn broken_rules_are_named() {
        let error = |rule| IgnoreRules::new(&[rule]).expect_err("a broken rule").message;
        let no_target = |path: &str| Ignore { paths: vec![path.into()], target: None };
        assert_eq!(
            error(no_target("spec.replicas")),
            "spec.ignore[0].paths[0]: `spec.replicas` is no JSON pointer: expected /a/b or /a/0"
        );
        let target = Selector { name: Some("(".into()), ..Selector::default() };
        assert_eq!(
            error(Ignore { paths: Vec::new(), target: Some(target) }),
            "spec.ignore[0].target.name: `(` is no regular expression"
        );
    }
}
