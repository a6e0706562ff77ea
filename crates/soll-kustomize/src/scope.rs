//! Which kinds kustomize takes for cluster-scoped.
//!
//! Its own table of an older Kubernetes, by kind and version: what it does not know counts as namespaced
//! and gets a namespace, newer versions of cluster-scoped kinds included. Output is the same only with the
//! same mistakes; the API server ignores the namespace.

use crate::resource::Gvk;

/// Says whether objects of the kind have no namespace.
pub(crate) fn is_cluster_scoped(gvk: &Gvk) -> bool {
    let Ok(found) = KINDS.binary_search_by(|(kind, _)| (*kind).cmp(gvk.kind.as_str())) else { return false };
    KINDS[found].1.iter().any(|known| is_version(gvk, known))
}

/// Says whether kustomize knows the scope of the kind without asking a schema.
pub(crate) fn is_known(gvk: &Gvk) -> bool {
    if is_cluster_scoped(gvk) {
        return true;
    }
    let Ok(found) = NAMESPACED.binary_search_by(|(kind, _)| (*kind).cmp(gvk.kind.as_str())) else { return false };
    NAMESPACED[found].1.iter().any(|known| is_version(gvk, known))
}

/// Compares with `group/version`, or a version of the core group.
fn is_version(gvk: &Gvk, known: &str) -> bool {
    let (group, version) = known.rsplit_once('/').unwrap_or(("", known));
    gvk.version.as_str() == version && gvk.group.as_str() == group
}

/// Namespaced kinds in order, with their versions.
const NAMESPACED: &[(&str, &[&str])] = &[
    ("CSIStorageCapacity", &["storage.k8s.io/v1beta1"]),
    ("ConfigMap", &["v1"]),
    ("ControllerRevision", &["apps/v1"]),
    ("CronJob", &["batch/v1", "batch/v1beta1"]),
    ("DaemonSet", &["apps/v1"]),
    ("Deployment", &["apps/v1"]),
    ("EndpointSlice", &["discovery.k8s.io/v1", "discovery.k8s.io/v1beta1"]),
    ("Endpoints", &["v1"]),
    ("Event", &["events.k8s.io/v1", "events.k8s.io/v1beta1", "v1"]),
    ("HorizontalPodAutoscaler", &["autoscaling/v1", "autoscaling/v2beta1", "autoscaling/v2beta2"]),
    ("Ingress", &["extensions/v1beta1", "networking.k8s.io/v1", "networking.k8s.io/v1beta1"]),
    ("Job", &["batch/v1"]),
    ("Lease", &["coordination.k8s.io/v1", "coordination.k8s.io/v1beta1"]),
    ("LimitRange", &["v1"]),
    ("NetworkPolicy", &["networking.k8s.io/v1"]),
    ("PersistentVolumeClaim", &["v1"]),
    ("Pod", &["v1"]),
    ("PodAttachOptions", &["v1"]),
    ("PodDisruptionBudget", &["policy/v1", "policy/v1beta1"]),
    ("PodExecOptions", &["v1"]),
    ("PodPortForwardOptions", &["v1"]),
    ("PodProxyOptions", &["v1"]),
    ("PodTemplate", &["v1"]),
    ("ReplicaSet", &["apps/v1"]),
    ("ReplicationController", &["v1"]),
    ("ResourceQuota", &["v1"]),
    ("Role", &["rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io/v1beta1"]),
    ("RoleBinding", &["rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io/v1beta1"]),
    ("Scale", &["autoscaling/v1"]),
    ("Secret", &["v1"]),
    ("Service", &["v1"]),
    ("ServiceAccount", &["v1"]),
    ("ServiceProxyOptions", &["v1"]),
    ("StatefulSet", &["apps/v1"]),
];

/// Kinds in order, with their versions.
const KINDS: &[(&str, &[&str])] = &[
    ("APIService", &["apiregistration.k8s.io/v1", "apiregistration.k8s.io/v1beta1"]),
    ("CSIDriver", &["storage.k8s.io/v1", "storage.k8s.io/v1beta1"]),
    ("CSINode", &["storage.k8s.io/v1", "storage.k8s.io/v1beta1"]),
    ("CertificateSigningRequest", &["certificates.k8s.io/v1", "certificates.k8s.io/v1beta1"]),
    ("ClusterRole", &["rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io/v1beta1"]),
    ("ClusterRoleBinding", &["rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io/v1beta1"]),
    ("ComponentStatus", &["v1"]),
    ("CustomResourceDefinition", &["apiextensions.k8s.io/v1", "apiextensions.k8s.io/v1beta1"]),
    ("FlowSchema", &["flowcontrol.apiserver.k8s.io/v1beta1"]),
    ("IngressClass", &["networking.k8s.io/v1", "networking.k8s.io/v1beta1"]),
    ("MutatingWebhookConfiguration", &["admissionregistration.k8s.io/v1", "admissionregistration.k8s.io/v1beta1"]),
    ("Namespace", &["v1"]),
    ("Node", &["v1"]),
    ("NodeProxyOptions", &["v1"]),
    ("PersistentVolume", &["v1"]),
    ("PodSecurityPolicy", &["policy/v1beta1"]),
    ("PriorityClass", &["scheduling.k8s.io/v1", "scheduling.k8s.io/v1beta1"]),
    ("PriorityLevelConfiguration", &["flowcontrol.apiserver.k8s.io/v1beta1"]),
    ("RuntimeClass", &["node.k8s.io/v1", "node.k8s.io/v1beta1"]),
    ("StorageClass", &["storage.k8s.io/v1", "storage.k8s.io/v1beta1"]),
    ("ValidatingWebhookConfiguration", &["admissionregistration.k8s.io/v1", "admissionregistration.k8s.io/v1beta1"]),
    ("VolumeAttachment", &["storage.k8s.io/v1", "storage.k8s.io/v1beta1"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_kustomize_knows() {
        assert!(KINDS.is_sorted_by(|a, b| a.0 < b.0) && NAMESPACED.is_sorted_by(|a, b| a.0 < b.0));
        assert!(is_cluster_scoped(&Gvk::new("v1", "Namespace")));
        assert!(is_cluster_scoped(&Gvk::new("rbac.authorization.k8s.io/v1", "ClusterRole")));
        assert!(!is_cluster_scoped(&Gvk::new("flowcontrol.apiserver.k8s.io/v1", "FlowSchema")));
        assert!(!is_cluster_scoped(&Gvk::new("apps/v1", "Deployment")));
    }
}
