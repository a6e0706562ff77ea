//! Rendered text to manifests and hooks, in the order that they are installed.

use memchr::memmem;
use soll_yaml::{Data, ParseOptions, SourceId, Value, parse_yaml};

use crate::load::go_yaml_error;
use crate::metadata::go_kind;

/// One document of a rendered template that is no hook.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// The template: `chart/templates/x.yaml`.
    pub path: String,
    /// The text.
    pub content: String,
    /// Its `apiVersion`.
    pub api_version: String,
    /// Its `kind`.
    pub kind: String,
}

/// One document of a rendered template that runs around an action.
#[derive(Debug, Clone, PartialEq)]
pub struct Hook {
    /// `metadata.name`.
    pub name: String,
    /// `kind`.
    pub kind: String,
    /// The template.
    pub path: String,
    /// The text.
    pub manifest: String,
    /// When it runs.
    pub events: Vec<HookEvent>,
    /// Lower runs earlier.
    pub weight: i64,
    /// When it is deleted, as written: `hook-succeeded`, `hook-failed`, `before-hook-creation`.
    pub delete_policies: Vec<String>,
    /// When its logs are shown, as written.
    pub output_log_policies: Vec<String>,
}

/// When a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HookEvent {
    /// Before anything is installed.
    PreInstall,
    /// After everything is installed and ready.
    PostInstall,
    /// Before anything is deleted.
    PreDelete,
    /// After everything is deleted.
    PostDelete,
    /// Before anything is upgraded.
    PreUpgrade,
    /// After everything is upgraded and ready.
    PostUpgrade,
    /// Before anything is rolled back.
    PreRollback,
    /// After everything is rolled back and ready.
    PostRollback,
    /// When `helm test` is asked for.
    Test,
}

impl HookEvent {
    const ALL: [Self; 9] = [
        Self::PreInstall,
        Self::PostInstall,
        Self::PreDelete,
        Self::PostDelete,
        Self::PreUpgrade,
        Self::PostUpgrade,
        Self::PreRollback,
        Self::PostRollback,
        Self::Test,
    ];

    /// As annotations and records write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PreInstall => "pre-install",
            Self::PostInstall => "post-install",
            Self::PreDelete => "pre-delete",
            Self::PostDelete => "post-delete",
            Self::PreUpgrade => "pre-upgrade",
            Self::PostUpgrade => "post-upgrade",
            Self::PreRollback => "pre-rollback",
            Self::PostRollback => "post-rollback",
            Self::Test => "test",
        }
    }

    /// Reads it; `test-success` is what Helm 2 called a test.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "test-success" {
            return Some(Self::Test);
        }
        Self::ALL.into_iter().find(|event| event.as_str() == text)
    }
}

/// A rendered document that is no YAML.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("YAML parse error on {path}: {text}")]
pub struct ManifestError {
    /// The template.
    pub path: String,
    /// What was wrong, in the words of Go.
    pub text: String,
    /// The line of the document that it is about.
    pub line: usize,
}

/// The kinds that others need come first. What is not in the list comes last, by name.
const INSTALL_ORDER: &[&str] = &[
    "PriorityClass",
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

/// The kinds that lean on others go first, admission webhooks before everything.
const UNINSTALL_ORDER: &[&str] = &[
    "ValidatingWebhookConfiguration",
    "MutatingWebhookConfiguration",
    "APIService",
    "Ingress",
    "IngressClass",
    "Service",
    "CronJob",
    "Job",
    "StatefulSet",
    "HorizontalPodAutoscaler",
    "Deployment",
    "ReplicaSet",
    "ReplicationController",
    "Pod",
    "DaemonSet",
    "RoleBindingList",
    "RoleBinding",
    "RoleList",
    "Role",
    "ClusterRoleBindingList",
    "ClusterRoleBinding",
    "ClusterRoleList",
    "ClusterRole",
    "CustomResourceDefinition",
    "PersistentVolumeClaim",
    "PersistentVolume",
    "StorageClass",
    "ConfigMap",
    "SecretList",
    "Secret",
    "ServiceAccount",
    "PodDisruptionBudget",
    "PodSecurityPolicy",
    "LimitRange",
    "ResourceQuota",
    "NetworkPolicy",
    "Namespace",
    "PriorityClass",
];

/// Which way kinds are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KindOrder {
    /// For applying.
    Install,
    /// For deleting.
    Uninstall,
}

impl KindOrder {
    /// Sorts, keeping the order of what is of one kind.
    pub fn sort<T>(self, items: &mut [T], kind: impl Fn(&T) -> &str) {
        let order = match self {
            Self::Install => INSTALL_ORDER,
            Self::Uninstall => UNINSTALL_ORDER,
        };
        let rank = |kind: &str| order.iter().position(|known| *known == kind).unwrap_or(order.len());
        items.sort_by(|a, b| {
            let (a, b) = (kind(a), kind(b));
            let (rank_a, rank_b) = (rank(a), rank(b));
            let is_unknown = rank_a == order.len() && rank_b == order.len();
            rank_a.cmp(&rank_b).then_with(|| if is_unknown { a.cmp(b) } else { std::cmp::Ordering::Equal })
        });
    }
}

/// Splits rendered templates into documents and sorts them into hooks and manifests, both in install order.
///
/// `files` are sorted by path. Partials and blank files are passed over, and so are hooks of kinds that nobody knows.
///
/// # Errors
/// The first document that is no YAML.
pub fn sort_manifests(files: &[(String, String)]) -> Result<(Vec<Hook>, Vec<Manifest>), ManifestError> {
    let (mut hooks, mut manifests) = (Vec::new(), Vec::new());
    for (path, text) in files {
        let is_partial = path.rsplit_once('/').map_or(path.as_str(), |(_, base)| base).starts_with('_');
        if is_partial || text.trim().is_empty() {
            continue;
        }
        for document in split_manifests(text) {
            let head = Head::read(document).map_err(|(text, line)| ManifestError { path: path.clone(), text, line })?;
            match head.hook(path, document) {
                Some(Some(hook)) => hooks.push(hook),
                Some(None) => {}
                None => manifests.push(Manifest {
                    path: path.clone(),
                    content: document.to_owned(),
                    api_version: head.api_version,
                    kind: head.kind,
                }),
            }
        }
    }
    KindOrder::Install.sort(&mut hooks, |hook: &Hook| &hook.kind);
    KindOrder::Install.sort(&mut manifests, |manifest: &Manifest| &manifest.kind);
    Ok((hooks, manifests))
}

/// The documents of a text, without blank ones.
///
/// A separator is `---` at the start of a line, even with text right behind it: charts were written against that.
pub fn split_manifests(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text.trim_start());
    std::iter::from_fn(move || {
        let text = rest?;
        let is_separator = |at: &usize| *at == 0 || text.as_bytes()[at - 1] == b'\n';
        match memmem::find_iter(text.as_bytes(), "---").find(is_separator) {
            None => rest.take(),
            Some(at) => {
                rest = Some(text[at + 3..].trim_start_matches([' ', '\t']));
                Some(&text[..at])
            }
        }
    })
    .map(str::trim_start)
    .filter(|document| !document.is_empty())
}

/// What of a document decides where it goes.
struct Head {
    api_version: String,
    kind: String,
    name: String,
    annotations: Vec<(String, String)>,
}

impl Head {
    fn read(document: &str) -> Result<Self, (String, usize)> {
        let value = first_document(document)?;
        let misfit = |what: &str, value: &Value, kind: &str| {
            let found = go_kind(value);
            (
                format!(
                    "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {found} into Go {what} of type {kind}"
                ),
                value.at.line(),
            )
        };
        let mut head =
            Self { api_version: String::new(), kind: String::new(), name: String::new(), annotations: Vec::new() };
        let map = match &value.data {
            Data::Null => return Ok(head),
            Data::Map(map) => map,
            _ => return Err(misfit("value", &value, "util.SimpleHead")),
        };
        let text = |value: Option<&Value>, field: &str| match value {
            None | Some(Value { data: Data::Null, .. }) => Ok(String::new()),
            Some(Value { data: Data::Str(text), .. }) => Ok(text.to_string()),
            Some(value @ Value { data: Data::List(_) | Data::Map(_), .. }) => {
                Err(misfit(&format!("struct field {field}"), value, "string"))
            }
            Some(scalar) => Ok(soll_yaml::to_json(scalar)),
        };
        head.api_version = text(map.get("apiVersion"), "SimpleHead.apiVersion")?;
        head.kind = text(map.get("kind"), "SimpleHead.kind")?;
        let Some(metadata) = map.get("metadata").filter(|metadata| !metadata.is_null()) else { return Ok(head) };
        let Data::Map(metadata) = &metadata.data else {
            return Err(misfit("struct field SimpleHead.metadata", metadata, "struct"));
        };
        head.name = text(metadata.get("name"), ".metadata.name")?;
        let Some(annotations) = metadata.get("annotations").filter(|one| !one.is_null()) else { return Ok(head) };
        let Data::Map(annotations) = &annotations.data else {
            return Err(misfit("struct field .metadata.annotations", annotations, "map[string]string"));
        };
        for entry in annotations.iter() {
            head.annotations.push((entry.key.to_string(), text(Some(&entry.value), ".metadata.annotations")?));
        }
        Ok(head)
    }

    fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Nothing if it is no hook; a hook of an unknown event is no manifest either.
    fn hook(&self, path: &str, document: &str) -> Option<Option<Hook>> {
        let events = self.annotation("helm.sh/hook")?;
        let words = |annotation: &str| {
            let text = self.annotation(annotation);
            text.into_iter().flat_map(|text| text.split(',')).map(|word| word.trim().to_lowercase()).collect()
        };
        let events: Option<Vec<_>> =
            events.split(',').map(|word| HookEvent::parse(&word.trim().to_lowercase())).collect();
        Some(events.map(|events| Hook {
            name: self.name.clone(),
            kind: self.kind.clone(),
            path: path.to_owned(),
            manifest: document.to_owned(),
            events,
            weight: self.annotation("helm.sh/hook-weight").and_then(|text| text.parse().ok()).unwrap_or(0),
            delete_policies: words("helm.sh/hook-delete-policy"),
            output_log_policies: words("helm.sh/hook-output-log-policy"),
        }))
    }
}

/// Reads the whole text, because a document that is no YAML must be refused here.
fn first_document(text: &str) -> Result<Value, (String, usize)> {
    let documents = parse_yaml(text, SourceId::default(), &ParseOptions::go_v2());
    let documents = documents.map_err(|error| (go_yaml_error(&error), error.at.line()))?;
    Ok(documents.into_iter().next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn documents_are_split_as_charts_expect() {
        let split = |text| split_manifests(text).collect::<Vec<_>>();
        assert_eq!(split("---\na: 1\n---\n\n---\nb: 2\n"), ["a: 1\n", "b: 2\n"]);
        assert_eq!(split("a: 1\n---b: 2\n"), ["a: 1\n", "b: 2\n"]);
        assert_eq!(split("a: |\n  ---\n  x\n"), ["a: |\n  ---\n  x\n"]);
        assert_eq!(split("  \n--- \t# Source\na: 1"), ["# Source\na: 1"]);
        assert_eq!(split(" \n"), Vec::<&str>::new());
        assert_eq!(split("a----b\n"), ["a----b\n"]);
    }

    #[test]
    fn hooks_are_told_from_manifests_and_both_are_sorted() {
        let text = "kind: Zebra\n---\nkind: Deployment\n---\nkind: Namespace\n---\nkind: Aardvark\n---\n\
                    kind: Job\nmetadata:\n  name: h\n  annotations:\n    helm.sh/hook: Pre-Install , test-success\n    \
                    helm.sh/hook-weight: \"-5\"\n    helm.sh/hook-delete-policy: hook-succeeded,hook-failed\n---\n\
                    kind: Job\nmetadata:\n  annotations: {helm.sh/hook: crd-install}\n";
        let files = [("c/templates/a.yaml".to_owned(), text.to_owned())];
        let (hooks, manifests) = sort_manifests(&files).unwrap();
        let kinds: Vec<_> = manifests.iter().map(|manifest| manifest.kind.as_str()).collect();
        assert_eq!(kinds, ["Namespace", "Deployment", "Aardvark", "Zebra"]);
        let [hook] = &hooks[..] else { panic!("{hooks:?}") };
        assert_eq!(hook.events, [HookEvent::PreInstall, HookEvent::Test]);
        assert_eq!((hook.weight, hook.name.as_str()), (-5, "h"));
        assert_eq!(hook.delete_policies, ["hook-succeeded", "hook-failed"]);
    }

    #[test]
    fn a_document_that_is_no_yaml_is_named() {
        let files = [("c/templates/a.yaml".to_owned(), "a: 1\n b: 2\n".to_owned())];
        let error = sort_manifests(&files).unwrap_err().to_string();
        assert!(
            error.starts_with("YAML parse error on c/templates/a.yaml: error converting YAML to JSON: yaml: line"),
            "{error}"
        );
    }
}
