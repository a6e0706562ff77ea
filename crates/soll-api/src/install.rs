//! What an installation consists of: namespace, definitions, rights, one Deployment, and who may reach it.

use serde_json::{Value as Json, json};
use soll_yaml::{Value, to_value};

use crate::{GitRepository, Kustomization, Object, Resource, crds};

/// How to install.
#[derive(Debug, Clone)]
pub struct InstallOptions {
    /// Namespace of the engine.
    pub namespace: String,
    /// Image of the engine.
    pub image: String,
    /// Version, for the labels.
    pub version: String,
    /// Domain of the cluster's services.
    pub cluster_domain: String,
    /// Whether to shut the engine off from the network, but for metrics.
    pub network_policies: bool,
    /// Whether artifacts of ours are served under Flux's name to controllers of Flux that stay.
    pub serves_artifacts: bool,
    /// How many processes there are.
    pub replicas: u16,
    /// Into how many shards the objects are divided among them; 1 leaves all of them to one process at a time.
    pub shards: u16,
}

impl InstallOptions {
    /// An installation of an image, in Flux's default namespace, complete.
    #[must_use]
    pub fn new(image: &str, version: &str) -> Self {
        Self {
            namespace: "flux-system".to_owned(),
            image: image.to_owned(),
            version: version.to_owned(),
            cluster_domain: "cluster.local".to_owned(),
            network_policies: true,
            serves_artifacts: true,
            replicas: 1,
            shards: 1,
        }
    }
}

/// Name of the Deployment, its container's process and its ServiceAccount.
const NAME: &str = "soll";

/// Non-root, as the image has it.
const USER: i64 = 65_532;

/// What the process finds in its environment to stay small: the C library would give each thread a heap of its own, and
/// each of those keeps its most.
pub const ALLOCATION: (&str, &str) = ("MALLOC_ARENA_MAX", "2");

/// The objects of an installation, in an order in which they can be applied.
///
/// Names differ from those of Flux's installation, so that both fit into one namespace and either can be removed; only
/// the Service has Flux's name, because artifact URLs have it.
#[must_use]
pub fn install(options: &InstallOptions) -> Vec<Object> {
    let mut objects = vec![namespace(options)];
    objects.extend(crds().iter().map(json_of));
    objects.push(quota(options));
    objects.push(object("v1", "ServiceAccount", NAME, Some(options), json!({})));
    objects.extend(rights(options));
    if options.serves_artifacts {
        objects.push(service(options));
    }
    if options.network_policies {
        objects.extend(policies(options));
    }
    objects.push(deployment(options));
    objects.into_iter().map(|json| labelled(json, options)).collect()
}

fn labels(options: &InstallOptions) -> Json {
    json!({
        "app.kubernetes.io/component": NAME,
        "app.kubernetes.io/instance": options.namespace,
        "app.kubernetes.io/part-of": "flux",
        "app.kubernetes.io/version": options.version,
    })
}

/// Adds the labels by which `flux check` and `soll uninstall` find an object.
fn labelled(mut json: Json, options: &InstallOptions) -> Object {
    if let (Json::Object(all), Json::Object(own)) = (&mut json["metadata"]["labels"], labels(options)) {
        all.extend(own);
    } else {
        json["metadata"]["labels"] = labels(options);
    }
    let value = to_value(&json).expect("a JSON value has a JSON form");
    Object::new(value).expect("every object here has a kind and a name")
}

fn json_of(value: &Value) -> Json {
    serde_json::from_str(&soll_yaml::to_json(value)).expect("what was written as JSON is JSON")
}

/// An object with the fields of `rest`, in the namespace of the options if there are any.
fn object(api_version: &str, kind: &str, name: &str, options: Option<&InstallOptions>, rest: Json) -> Json {
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}});
    if let Some(options) = options {
        object["metadata"]["namespace"] = options.namespace.clone().into();
    }
    if let (Json::Object(object), Json::Object(rest)) = (&mut object, rest) {
        object.extend(rest);
    }
    object
}

fn namespace(options: &InstallOptions) -> Json {
    let mut namespace = object("v1", "Namespace", &options.namespace, None, json!({}));
    namespace["metadata"]["labels"] = json!({
        "pod-security.kubernetes.io/warn": "restricted",
        "pod-security.kubernetes.io/warn-version": "latest",
    });
    namespace
}

/// Some clouds admit Pods of system priority only to namespaces with such a quota.
fn quota(options: &InstallOptions) -> Json {
    let priority = json!({
        "operator": "In",
        "scopeName": "PriorityClass",
        "values": ["system-node-critical", "system-cluster-critical"],
    });
    let spec = json!({"hard": {"pods": "1000"}, "scopeSelector": {"matchExpressions": [priority]}});
    object("v1", "ResourceQuota", "soll-critical-pods", Some(options), json!({"spec": spec}))
}

const RBAC: &str = "rbac.authorization.k8s.io/v1";

fn rights(options: &InstallOptions) -> Vec<Json> {
    let name = |what: &str| format!("soll-{what}-{}", options.namespace);
    let groups = [GitRepository::GROUP, Kustomization::GROUP];
    let all = |verbs: &[&str]| json!([{"apiGroups": groups, "resources": ["*"], "verbs": verbs}]);
    let aggregated = |what: &str, to: &[&str], verbs: &[&str]| {
        let mut role = object(RBAC, "ClusterRole", &name(what), None, json!({"rules": all(verbs)}));
        for role_name in to {
            role["metadata"]["labels"][format!("rbac.authorization.k8s.io/aggregate-to-{role_name}")] = "true".into();
        }
        role
    };
    let binding = |what: &str, role: &str| {
        let subject = json!({"kind": "ServiceAccount", "name": NAME, "namespace": options.namespace});
        let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role});
        object(RBAC, "ClusterRoleBinding", &name(what), None, json!({"roleRef": role, "subjects": [subject]}))
    };
    vec![
        object(RBAC, "ClusterRole", &name("controller"), None, json!({"rules": controller_rules(&groups)})),
        aggregated("edit", &["edit", "admin"], &["create", "delete", "deletecollection", "patch", "update"]),
        aggregated("view", &["view", "edit", "admin"], &["get", "list", "watch"]),
        binding("controller", &name("controller")),
        // To apply what Git says, whatever it is, and to act as the accounts of tenants.
        binding("reconciler", "cluster-admin"),
    ]
}

/// What the engine itself needs, where the binding to cluster-admin was taken away.
fn controller_rules(groups: &[&str]) -> Json {
    let all = ["get", "list", "watch", "create", "update", "patch", "delete"];
    json!([
        {"apiGroups": groups, "resources": ["*"], "verbs": ["*"]},
        {
            "apiGroups": [""],
            "resources": ["namespaces", "secrets", "configmaps", "serviceaccounts"],
            "verbs": ["get", "list", "watch"],
        },
        {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]},
        {"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["users", "groups", "serviceaccounts"], "verbs": ["impersonate"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": all},
        {"nonResourceURLs": ["/livez/ping"], "verbs": ["head"]},
    ])
}

fn selector() -> Json {
    json!({"app": NAME})
}

fn service(options: &InstallOptions) -> Json {
    let port = json!({"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"});
    let spec = json!({"type": "ClusterIP", "selector": selector(), "ports": [port]});
    object("v1", "Service", "source-controller", Some(options), json!({"spec": spec}))
}

/// As Flux has them: everything out, nothing in but from this namespace, and metrics from everywhere.
fn policies(options: &InstallOptions) -> Vec<Json> {
    let policy = |name: &str, spec: Json| {
        object("networking.k8s.io/v1", "NetworkPolicy", name, Some(options), json!({"spec": spec}))
    };
    let metrics = json!({
        "from": [{"namespaceSelector": {}}],
        "ports": [{"protocol": "TCP", "port": 8080}],
    });
    vec![
        policy(
            "soll-allow-egress",
            json!({
                "policyTypes": ["Ingress", "Egress"],
                "podSelector": {},
                "ingress": [{"from": [{"podSelector": {}}]}],
                "egress": [{}],
            }),
        ),
        policy(
            "soll-allow-scraping",
            json!({"policyTypes": ["Ingress"], "podSelector": {"matchLabels": selector()}, "ingress": [metrics]}),
        ),
    ]
}

fn deployment(options: &InstallOptions) -> Json {
    let mut labels = labels(options);
    labels["app"] = NAME.into();
    let template = json!({
        "metadata": {
            "labels": labels,
            "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"},
        },
        "spec": {
            "serviceAccountName": NAME,
            "priorityClassName": "system-cluster-critical",
            "terminationGracePeriodSeconds": 60,
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "securityContext": {"fsGroup": USER},
            "containers": [container(options)],
            "volumes": [{"name": "data", "emptyDir": {}}, {"name": "temp", "emptyDir": {}}],
        },
    });
    let spec = json!({
        "replicas": options.replicas,
        // Its successor waits for the leases anyway, and processes that divide the objects otherwise may not meet.
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": selector()},
        "template": template,
    });
    let mut deployment = object("apps/v1", "Deployment", NAME, Some(options), json!({"spec": spec}));
    deployment["metadata"]["labels"] = json!({"control-plane": "controller"});
    deployment
}

fn container(options: &InstallOptions) -> Json {
    let port = |name: &str, port: u16| json!({"name": name, "containerPort": port, "protocol": "TCP"});
    let probe = |path: &str| json!({"httpGet": {"path": path, "port": "healthz"}});
    let field = |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
    let (allocation, value) = ALLOCATION;
    let allocation = json!({"name": allocation, "value": value});
    let mut env = vec![field("RUNTIME_NAMESPACE", "metadata.namespace"), allocation];
    let mut args = vec![json!("controller"), json!("--log-level=info"), json!("--log-encoding=json")];
    args.extend([json!("--enable-leader-election"), json!("--storage-path=/data")]);
    if options.shards > 1 {
        // An artifact is where its source is looked after.
        env.push(field("POD_IP", "status.podIP"));
        args.extend([json!("--storage-adv-addr=$(POD_IP):9090"), json!(format!("--shards={}", options.shards))]);
    } else {
        let service = format!("source-controller.$(RUNTIME_NAMESPACE).svc.{}.", options.cluster_domain);
        args.push(json!(format!("--storage-adv-addr={service}")));
    }
    json!({
        "name": "manager",
        "image": options.image,
        "imagePullPolicy": "IfNotPresent",
        "args": args,
        "env": env,
        "ports": [port("http", 9090), port("http-prom", 8080), port("healthz", 9440)],
        "livenessProbe": probe("/healthz"),
        "readinessProbe": probe("/readyz"),
        "resources": {
            "requests": {"cpu": "100m", "memory": "64Mi"},
            "limits": {"cpu": "1000m", "memory": "1Gi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": true,
            "runAsNonRoot": true,
            "runAsUser": USER,
            "runAsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "temp", "mountPath": "/tmp"}],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installed() -> Vec<Object> {
        install(&InstallOptions { namespace: "gitops".into(), ..InstallOptions::new("soll:v1", "v1") })
    }

    #[test]
    fn definitions_and_namespace_come_before_what_needs_them() {
        let names: Vec<_> = installed().iter().map(|object| object.object_ref().to_string()).collect();
        assert_eq!(
            names,
            [
                "Namespace/gitops",
                "CustomResourceDefinition/gitrepositories.source.toolkit.fluxcd.io",
                "CustomResourceDefinition/kustomizations.kustomize.toolkit.fluxcd.io",
                "ResourceQuota/gitops/soll-critical-pods",
                "ServiceAccount/gitops/soll",
                "ClusterRole/soll-controller-gitops",
                "ClusterRole/soll-edit-gitops",
                "ClusterRole/soll-view-gitops",
                "ClusterRoleBinding/soll-controller-gitops",
                "ClusterRoleBinding/soll-reconciler-gitops",
                "Service/gitops/source-controller",
                "NetworkPolicy/gitops/soll-allow-egress",
                "NetworkPolicy/gitops/soll-allow-scraping",
                "Deployment/gitops/soll",
            ]
        );
    }

    #[test]
    fn everything_carries_the_labels_of_the_installation() {
        for object in installed() {
            assert_eq!(object.label("app.kubernetes.io/part-of"), Some("flux"), "{object:?}");
            assert_eq!(object.label("app.kubernetes.io/instance"), Some("gitops"), "{object:?}");
        }
    }

    #[test]
    fn the_service_and_the_deployment_select_the_pods() {
        let objects = installed();
        let find = |kind: &str| objects.iter().find(|object| object.kind() == kind).expect("installed").value();
        let labels = find("Deployment").lookup(&["spec", "template", "metadata", "labels"]).expect("labels");
        let selectors = [
            find("Service").lookup(&["spec", "selector"]),
            find("Deployment").lookup(&["spec", "selector", "matchLabels"]),
        ];
        for selector in selectors {
            for entry in selector.and_then(Value::as_map).expect("a selector") {
                assert_eq!(labels.get(&entry.key), Some(&entry.value));
            }
        }
    }
}
