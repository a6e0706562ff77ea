//! The order of the output that older kustomize versions print by default.

use crate::kustomization::Text;
use crate::resource::Id;
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
    resources.sort_by_key(|resource| (rank(resource.kind()), sort_text(&resource.id())));
}

/// What kustomize compares when ranks are equal: empty parts have texts that come last.
fn sort_text(id: &Id) -> (String, String) {
    let or = |text: &str, empty: &str| if text.is_empty() { empty.to_owned() } else { text.to_owned() };
    let gvk = format!("{}_{}_{}", or(&id.gvk.group, "~G"), or(&id.gvk.version, "~V"), or(&id.gvk.kind, "~K"));
    (gvk, format!("{}|{}", or(&id.namespace, "~X"), or(&id.name, "~N")))
}
