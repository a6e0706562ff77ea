//! The fields that transformers know without being told: kustomize's tables, in its order.

use std::sync::{Arc, LazyLock};

use crate::config::{Config, NameReference};
use crate::field_spec::{FieldSpec, Keys, Kinds};

/// What every kustomization starts with.
pub(crate) fn config() -> &'static Arc<Config> {
    static CONFIG: LazyLock<Arc<Config>> = LazyLock::new(|| Arc::new(tables()));
    &CONFIG
}

fn tables() -> Config {
    let mut common_labels: Vec<FieldSpec> = SELECTORS.iter().map(spec).collect();
    common_labels.extend(METADATA_LABELS.iter().map(spec));
    Config {
        name_prefix: vec![FieldSpec::new("", "", "", "metadata/name", false)],
        name_suffix: vec![FieldSpec::new("", "", "", "metadata/name", false)],
        namespace: NAMESPACE.iter().map(spec).collect(),
        common_labels,
        labels: Vec::new(),
        template_labels: METADATA_LABELS.iter().map(spec).collect(),
        common_annotations: ANNOTATIONS.iter().map(spec).collect(),
        images: IMAGES.iter().map(spec).collect(),
        replicas: REPLICAS.iter().map(spec).collect(),
        name_references: name_references(),
        var_references: var_references(),
    }
}

/// Kind, group, version, path, whether to create.
type Row = (&'static str, &'static str, &'static str, &'static str, bool);

fn spec(row: &Row) -> FieldSpec {
    FieldSpec::new(row.0, row.1, row.2, row.3, row.4)
}

/// A field that is not made, at a path below another.
fn below(kinds: Kinds, base: &str, path: &str) -> FieldSpec {
    FieldSpec { kinds, path: Keys::from([base, "/", path].concat()), create: false }
}

const SELECTORS: &[Row] = &[
    ("Service", "", "v1", "spec/selector", true),
    ("ReplicationController", "", "v1", "spec/selector", true),
    ("Deployment", "", "", "spec/selector/matchLabels", true),
    ("Deployment", "apps", "", AFFINITY[0], false),
    ("Deployment", "apps", "", AFFINITY[1], false),
    ("Deployment", "apps", "", AFFINITY[2], false),
    ("Deployment", "apps", "", AFFINITY[3], false),
    ("Deployment", "apps", "", AFFINITY[4], false),
    ("ReplicaSet", "", "", "spec/selector/matchLabels", true),
    ("DaemonSet", "", "", "spec/selector/matchLabels", true),
    ("StatefulSet", "apps", "", "spec/selector/matchLabels", true),
    ("StatefulSet", "apps", "", AFFINITY[0], false),
    ("StatefulSet", "apps", "", AFFINITY[1], false),
    ("StatefulSet", "apps", "", AFFINITY[2], false),
    ("StatefulSet", "apps", "", AFFINITY[3], false),
    ("StatefulSet", "apps", "", AFFINITY[4], false),
    ("Job", "batch", "", "spec/selector/matchLabels", false),
    ("CronJob", "batch", "", "spec/jobTemplate/spec/selector/matchLabels", false),
    ("PodDisruptionBudget", "policy", "", "spec/selector/matchLabels", false),
    ("NetworkPolicy", "networking.k8s.io", "", "spec/podSelector/matchLabels", false),
    ("NetworkPolicy", "networking.k8s.io", "", "spec/ingress/from/podSelector/matchLabels", false),
    ("NetworkPolicy", "networking.k8s.io", "", "spec/egress/to/podSelector/matchLabels", false),
];

const AFFINITY: [&str; 5] = [
    "spec/template/spec/affinity/podAffinity/preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/labelSelector/matchLabels",
    "spec/template/spec/affinity/podAffinity/requiredDuringSchedulingIgnoredDuringExecution/labelSelector/matchLabels",
    "spec/template/spec/affinity/podAntiAffinity/preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/labelSelector/matchLabels",
    "spec/template/spec/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution/labelSelector/matchLabels",
    "spec/template/spec/topologySpreadConstraints/labelSelector/matchLabels",
];

const METADATA_LABELS: &[Row] = &[
    ("", "", "", "metadata/labels", true),
    ("ReplicationController", "", "v1", "spec/template/metadata/labels", true),
    ("Deployment", "", "", "spec/template/metadata/labels", true),
    ("ReplicaSet", "", "", "spec/template/metadata/labels", true),
    ("DaemonSet", "", "", "spec/template/metadata/labels", true),
    ("StatefulSet", "apps", "", "spec/template/metadata/labels", true),
    ("StatefulSet", "apps", "", "spec/volumeClaimTemplates[]/metadata/labels", true),
    ("Job", "batch", "", "spec/template/metadata/labels", true),
    ("CronJob", "batch", "", "spec/jobTemplate/metadata/labels", true),
    ("CronJob", "batch", "", "spec/jobTemplate/spec/template/metadata/labels", true),
];

const ANNOTATIONS: &[Row] = &[
    ("", "", "", "metadata/annotations", true),
    ("ReplicationController", "", "v1", "spec/template/metadata/annotations", true),
    ("Deployment", "", "", "spec/template/metadata/annotations", true),
    ("ReplicaSet", "", "", "spec/template/metadata/annotations", true),
    ("DaemonSet", "", "", "spec/template/metadata/annotations", true),
    ("StatefulSet", "", "", "spec/template/metadata/annotations", true),
    ("Job", "batch", "", "spec/template/metadata/annotations", true),
    ("CronJob", "batch", "", "spec/jobTemplate/metadata/annotations", true),
    ("CronJob", "batch", "", "spec/jobTemplate/spec/template/metadata/annotations", true),
];

const NAMESPACE: &[Row] = &[
    ("Namespace", "", "", "metadata/name", true),
    ("APIService", "apiregistration.k8s.io", "", "spec/service/namespace", true),
    (
        "CustomResourceDefinition",
        "apiextensions.k8s.io",
        "",
        "spec/conversion/webhook/clientConfig/service/namespace",
        false,
    ),
];

const IMAGES: &[Row] = &[
    ("", "", "", "spec/containers[]/image", true),
    ("", "", "", "spec/initContainers[]/image", true),
    ("", "", "", "spec/volumes[]/image/reference", true),
    ("", "", "", "spec/template/spec/containers[]/image", true),
    ("", "", "", "spec/template/spec/initContainers[]/image", true),
    ("", "", "", "spec/template/spec/volumes[]/image/reference", true),
];

const REPLICAS: &[Row] = &[
    ("Deployment", "", "", "spec/replicas", true),
    ("ReplicationController", "", "", "spec/replicas", true),
    ("ReplicaSet", "", "", "spec/replicas", true),
    ("StatefulSet", "", "", "spec/replicas", true),
];

/// Where a kind keeps its Pods: kind, version, path of the Pod's spec.
type Pods = (&'static str, &'static str, &'static str);

/// Kinds whose Pods may name ConfigMaps and Secrets.
const MOUNTING: &[Pods] = &[
    ("Pod", "v1", "spec"),
    ("PodTemplate", "", "template/spec"),
    ("Deployment", "", "spec/template/spec"),
    ("ReplicaSet", "", "spec/template/spec"),
    ("DaemonSet", "", "spec/template/spec"),
    ("StatefulSet", "", "spec/template/spec"),
    ("Job", "", "spec/template/spec"),
    ("CronJob", "", "spec/jobTemplate/spec/template/spec"),
];

/// Kinds whose Pods may name anything else.
const RUNNING: &[Pods] = &[
    ("Pod", "", "spec"),
    ("StatefulSet", "", "spec/template/spec"),
    ("Deployment", "", "spec/template/spec"),
    ("ReplicationController", "", "spec/template/spec"),
    ("CronJob", "", "spec/jobTemplate/spec/template/spec"),
    ("Job", "", "spec/template/spec"),
    ("DaemonSet", "", "spec/template/spec"),
];

const RBAC: &str = "rbac.authorization.k8s.io";
const ADMISSION: &str = "admissionregistration.k8s.io";

fn name_references() -> Vec<NameReference> {
    let in_pods = |pods: &[Pods], paths: &[&str]| -> Vec<FieldSpec> {
        let of_kind = |pod: &Pods| {
            let (kind, version, base) = *pod;
            paths.iter().map(move |path| below(Kinds::new("", version, kind), base, path))
        };
        pods.iter().flat_map(|pod| of_kind(pod).collect::<Vec<_>>()).collect()
    };
    let rows = |rows: &[Row]| -> Vec<FieldSpec> { rows.iter().map(spec).collect() };
    let to = |kind, group, version, referrers| NameReference { target: Kinds::new(group, version, kind), referrers };
    let mut references = Vec::new();
    for kind in ["Deployment", "ReplicationController", "ReplicaSet", "StatefulSet"] {
        references.push(to(
            kind,
            "",
            "",
            rows(&[("HorizontalPodAutoscaler", "", "", "spec/scaleTargetRef/name", false)]),
        ));
    }
    let mut config_map = in_pods(MOUNTING, CONFIG_MAP_IN_POD);
    config_map.extend(rows(CONFIG_MAP_ELSEWHERE));
    references.push(to("ConfigMap", "", "v1", config_map));
    let mut secret = in_pods(MOUNTING, SECRET_IN_POD);
    secret.extend(rows(SECRET_ELSEWHERE));
    references.push(to("Secret", "", "v1", secret));
    references.push(to("Service", "", "v1", rows(SERVICE)));
    references.push(to("Role", RBAC, "", rows(&[("RoleBinding", RBAC, "", "roleRef/name", false)])));
    references.push(to(
        "ClusterRole",
        RBAC,
        "",
        rows(&[
            ("RoleBinding", RBAC, "", "roleRef/name", false),
            ("ClusterRoleBinding", RBAC, "", "roleRef/name", false),
        ]),
    ));
    let mut account =
        rows(&[("RoleBinding", RBAC, "", "subjects", false), ("ClusterRoleBinding", RBAC, "", "subjects", false)]);
    account.extend(in_pods(RUNNING, &["serviceAccountName"]));
    references.push(to("ServiceAccount", "", "v1", account));
    let claim = in_pods(RUNNING, &["volumes/persistentVolumeClaim/claimName"]);
    references.push(to("PersistentVolumeClaim", "", "v1", claim));
    references.push(to(
        "PersistentVolume",
        "",
        "v1",
        rows(&[
            ("PersistentVolumeClaim", "", "", "spec/volumeName", false),
            ("ClusterRole", "", "", "rules/resourceNames", false),
        ]),
    ));
    references.push(to(
        "StorageClass",
        "storage.k8s.io",
        "v1",
        rows(&[
            ("PersistentVolume", "", "", "spec/storageClassName", false),
            ("PersistentVolumeClaim", "", "", "spec/storageClassName", false),
            ("StatefulSet", "", "", "spec/volumeClaimTemplates/spec/storageClassName", false),
        ]),
    ));
    references.push(to("PriorityClass", "scheduling.k8s.io", "v1", in_pods(RUNNING, &["priorityClassName"])));
    references.push(to(
        "IngressClass",
        // A group that no object has: kustomize's table says so, and so this reference is never fixed.
        "networking.k8s.io/v1",
        "v1",
        rows(&[("Ingress", "", "", "spec/ingressClassName", false)]),
    ));
    references.push(to(
        "ValidatingAdmissionPolicy",
        ADMISSION,
        "",
        rows(&[("ValidatingAdmissionPolicyBinding", ADMISSION, "", "spec/policyName", false)]),
    ));
    references
}

const CONFIG_MAP_IN_POD: &[&str] = &[
    "volumes/configMap/name",
    "containers/env/valueFrom/configMapKeyRef/name",
    "initContainers/env/valueFrom/configMapKeyRef/name",
    "containers/envFrom/configMapRef/name",
    "initContainers/envFrom/configMapRef/name",
    "volumes/projected/sources/configMap/name",
];

const CONFIG_MAP_ELSEWHERE: &[Row] = &[
    ("Node", "", "", "spec/configSource/configMap", false),
    ("Role", "", "", "rules/resourceNames", false),
    ("ClusterRole", "", "", "rules/resourceNames", false),
    ("Ingress", "", "", "metadata/annotations/nginx.ingress.kubernetes.io\\/fastcgi-params-configmap", false),
];

const SECRET_IN_POD: &[&str] = &[
    "volumes/secret/secretName",
    "containers/env/valueFrom/secretKeyRef/name",
    "initContainers/env/valueFrom/secretKeyRef/name",
    "containers/envFrom/secretRef/name",
    "initContainers/envFrom/secretRef/name",
    "imagePullSecrets/name",
    "volumes/projected/sources/secret/name",
];

const SECRET_ELSEWHERE: &[Row] = &[
    ("Ingress", "", "", "spec/tls/secretName", false),
    ("Ingress", "", "", "metadata/annotations/ingress.kubernetes.io\\/auth-secret", false),
    ("Ingress", "", "", "metadata/annotations/nginx.ingress.kubernetes.io\\/auth-secret", false),
    ("Ingress", "", "", "metadata/annotations/nginx.ingress.kubernetes.io\\/auth-tls-secret", false),
    ("ServiceAccount", "", "", "imagePullSecrets/name", false),
    ("StorageClass", "", "", "parameters/secretName", false),
    ("StorageClass", "", "", "parameters/adminSecretName", false),
    ("StorageClass", "", "", "parameters/userSecretName", false),
    ("StorageClass", "", "", "parameters/secretRef", false),
    ("Role", "", "", "rules/resourceNames", false),
    ("ClusterRole", "", "", "rules/resourceNames", false),
    ("Service", "serving.knative.dev", "v1", "spec/template/spec/containers/env/valueFrom/secretKeyRef/name", false),
    ("PersistentVolume", "", "", "spec/azureFile/secretName", false),
];

const SERVICE: &[Row] = &[
    ("StatefulSet", "apps", "", "spec/serviceName", false),
    ("Ingress", "", "", "spec/rules/http/paths/backend/serviceName", false),
    ("Ingress", "", "", "spec/backend/serviceName", false),
    ("Ingress", "", "", "spec/rules/http/paths/backend/service/name", false),
    ("Ingress", "", "", "spec/defaultBackend/service/name", false),
    ("APIService", "apiregistration.k8s.io", "", "spec/service/name", false),
    ("ValidatingWebhookConfiguration", ADMISSION, "", "webhooks/clientConfig/service", false),
    ("MutatingWebhookConfiguration", ADMISSION, "", "webhooks/clientConfig/service", false),
];

fn var_references() -> Vec<FieldSpec> {
    const IN_POD: [&str; 8] = [
        "containers/args",
        "containers/command",
        "containers/env/value",
        "containers/volumeMounts/mountPath",
        "initContainers/args",
        "initContainers/command",
        "initContainers/env/value",
        "initContainers/volumeMounts/mountPath",
    ];
    const PODS: [(&str, &str); 7] = [
        ("CronJob", "spec/jobTemplate/spec/template/spec"),
        ("DaemonSet", "spec/template/spec"),
        ("Deployment", "spec/template/spec"),
        ("Job", "spec/template/spec"),
        ("Pod", "spec"),
        ("ReplicaSet", "spec/template/spec"),
        ("StatefulSet", "spec/template/spec"),
    ];
    const ELSEWHERE: &[Row] = &[
        ("CronJob", "", "", "spec/jobTemplate/spec/template/volumes/nfs/server", false),
        ("DaemonSet", "", "", "spec/template/spec/volumes/nfs/server", false),
        ("Deployment", "", "", "spec/template/spec/volumes/nfs/server", false),
        ("Deployment", "", "", "spec/template/metadata/annotations", false),
        ("Ingress", "", "", "spec/rules/host", false),
        ("Ingress", "", "", "spec/tls/hosts", false),
        ("Ingress", "", "", "spec/tls/secretName", false),
        ("Job", "", "", "spec/template/spec/volumes/nfs/server", false),
        ("Pod", "", "", "spec/volumes/nfs/server", false),
        ("ReplicaSet", "", "", "spec/template/spec/volumes/nfs/server", false),
        ("Service", "", "", "spec/ports/port", false),
        ("Service", "", "", "spec/ports/targetPort", false),
        ("StatefulSet", "", "", "spec/volumeClaimTemplates/spec/nfs/server", false),
        ("PersistentVolume", "", "", "spec/nfs/server", false),
        ("", "", "", "metadata/labels", false),
        ("", "", "", "metadata/annotations", false),
    ];
    let mut specs = Vec::new();
    for (kind, base) in PODS {
        specs.extend(IN_POD.iter().map(|path| below(Kinds::new("", "", kind), base, path)));
    }
    specs.extend(ELSEWHERE.iter().map(spec));
    specs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_agree_with_themselves() {
        let mut merged = Config::default();
        merged.merge(&tables()).expect("nothing conflicts");
        assert_eq!(merged, tables(), "nothing stands twice");
    }
}
