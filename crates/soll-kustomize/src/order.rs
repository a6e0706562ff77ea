//! The order of the output that older kustomize versions print by default.

use std::cmp::Reverse;

use soll_yaml::Str;

use crate::kustomization::Text;
use crate::resource::{Gvk, Id};
use crate::resources::Resources;

const FIRST: [&str; 22] = [
    "Namespace",
    "ResourceQuota",
    "StorageClass",
    "CustomResourceDefinition",
    "ServiceAccount",
    "PodSecurityPolicy",
    "Role",
    "ClusterRole",
    "RoleBinding",
    "ClusterRoleBinding",
    "ConfigMap",
    "Secret",
    "Endpoints",
    "Service",
    "LimitRange",
    "PriorityClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];
const LAST: [&str; 2] = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

/// Sorts by kind, then group, version, namespace and name. Own lists of kinds replace the usual ones.
pub(crate) fn sort(resources: &mut Resources, first: &[Text], last: &[Text]) {
    let is_own = !first.is_empty() || !last.is_empty();
    let rank = |kind: &str| -> isize {
        let own = |kinds: &[Text]| kinds.iter().position(|other| other.as_str() == kind);
        let usual = |kinds: &[&str]| kinds.iter().position(|other| *other == kind);
        let (in_first, in_last, count) =
            if is_own { (own(first), own(last), first.len()) } else { (usual(&FIRST), usual(&LAST), FIRST.len()) };
        match (in_first, in_last) {
            (Some(place), _) => place as isize - count as isize,
            (None, Some(place)) => place as isize + 1,
            (None, None) => 0,
        }
    };
    resources.sort_by_key(|resource| {
        let id = resource.id();
        let (rank, gvk) = (rank(&id.gvk.kind), gvk_text(&id.gvk));
        // Among Namespaces kustomize puts those of Kubernetes first, and sorts these backwards.
        let backwards = match (id.gvk.kind.as_str(), rank) {
            ("Namespace", 0) => None,
            ("Namespace", _) if id.gvk.group.is_empty() => Some(Reverse(gvk.clone())),
            _ => None,
        };
        (rank, backwards.is_none(), backwards, gvk, id_text(id))
    });
}

/// What kustomize compares when ranks are equal: empty parts have texts that come last.
fn gvk_text(gvk: &Gvk) -> String {
    let [group, version, kind] = [(&gvk.group, "~G"), (&gvk.version, "~V"), (&gvk.kind, "~K")].map(or);
    format!("{group}_{version}_{kind}")
}

fn id_text(id: &Id) -> String {
    let [namespace, name] = [(&id.namespace, "~X"), (&id.name, "~N")].map(or);
    format!("{namespace}|{name}")
}

fn or<'t>((text, empty): (&'t Str, &'t str)) -> &'t str {
    if text.is_empty() { empty } else { text }
}
