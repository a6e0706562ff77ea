//! Objects that nobody has written.

use serde_json::{Map, Value, json};

use super::writing::RAW;
use soll_compare::Random;

pub(super) const NAMES: [&str; 5] = ["web", "api", "db", "cache", "web-2"];
pub(super) const CONFIGS: [&str; 3] = ["conf", "env", "web"];
pub(super) const SECRETS: [&str; 2] = ["cred", "tls"];
pub(super) const ACCOUNTS: [&str; 3] = ["robot", "default", "web"];
pub(super) const NAMESPACES: [&str; 4] = ["prod", "dev", "default", "apps"];
pub(super) const IMAGES: [&str; 8] = [
    "nginx",
    "nginx:1.25",
    "registry.example.com:5000/team/app:v1",
    "ghcr.io/acme/web@sha256:24a0c4b4a4c0eb97a1aabb8e29f18e917d05abfe1b7a7c07857230879ce7d3d3",
    "redis:7",
    "app",
    "docker.io/library/nginx:latest",
    "ghcr.io/acme/web:1.0@sha256:24a0c4b4a4c0eb97a1aabb8e29f18e917d05abfe1b7a7c07857230879ce7d3d3",
];

/// Texts that YAML could mistake for something else, or must write in a special way.
const TEXTS: [&str; 30] = [
    "a",
    "hello world",
    "yes",
    "1.10",
    "0x1F",
    "null",
    "",
    " lead",
    "trail ",
    "a: b",
    "# no comment",
    "it's",
    "say \"hi\"",
    "line one\nline two\n",
    "line one\n\n  indented\nlast",
    "x\n\n",
    "$(VAR)",
    "${var}",
    "http://example.com:80/a?b=c&d=<e>",
    "word word word word word word word word word word word word word word word word word word word word",
    "{\"a\": 1}",
    "- item",
    "*star",
    "ünïcödé",
    "😀",
    "2001-01-02",
    "12:30:45",
    "1e3",
    "-",
    "~",
];

/// Scalars as they stand in a file, and not as values.
const RAW_SCALARS: [&str; 16] = [
    "1.10",
    "0x1F",
    "0o17",
    "017",
    "1e3",
    "1_000",
    ".5",
    "~",
    "True",
    "yes",
    "1.0",
    "-0",
    "12345678901",
    "on",
    "1.5e-7",
    "+1",
];

pub(super) fn text(random: &mut Random) -> Value {
    random.pick(&TEXTS).into()
}

pub(super) fn raw(random: &mut Random) -> Value {
    format!("{RAW}{}", random.pick(&RAW_SCALARS)).into()
}

/// A file of made-up objects; the same name of the same kind is rare.
pub(super) fn objects(random: &mut Random, count: usize) -> Vec<Value> {
    let mut objects: Vec<Value> = Vec::new();
    let mut tries = 0;
    while objects.len() < count && tries < 40 {
        tries += 1;
        let object = object(random);
        if !has_twin(&objects, &object) || random.percent(1) {
            objects.push(object);
        }
    }
    objects
}

/// Whether one of the objects has the kind and the name of another.
pub(super) fn has_twin(objects: &[Value], of: &Value) -> bool {
    objects.iter().any(|other| other["kind"] == of["kind"] && other["metadata"]["name"] == of["metadata"]["name"])
}

/// Objects that refer to each other, some across namespaces.
pub(super) fn family(random: &mut Random) -> Vec<Value> {
    let name = random.pick(&NAMES);
    let role = |kind: &str| {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": name},
            "rules": [{"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["conf"], "verbs": ["get"]}]})
    };
    let mut binding = binding(random, name);
    binding["roleRef"]["name"] = name.into();
    let mut account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}});
    binding["subjects"][0]["name"] = "robot".into();
    if random.percent(60) {
        let home = random.pick(&NAMESPACES);
        account["metadata"]["namespace"] = home.into();
        binding["subjects"][0]["namespace"] = home.into();
        binding["metadata"]["namespace"] = random.pick(&NAMESPACES).into();
    }
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "conf"}, "data": {"k": "v"}});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {"template": {"spec": {
        "serviceAccountName": "robot",
        "containers": [{"name": "main", "image": "app", "envFrom": [{"configMapRef": {"name": "conf"}}]}]}}}});
    let mut all = vec![role("Role"), role("ClusterRole"), binding, account, config, deployment];
    while all.len() > 2 && random.percent(40) {
        all.remove(random.below(all.len()));
    }
    all
}

fn object(random: &mut Random) -> Value {
    let name = random.pick(&NAMES);
    let mut object = match random.below(46) {
        0..=8 => workload(random, "apps/v1", "Deployment", name),
        9..=10 => workload(random, "apps/v1", "StatefulSet", name),
        11 => workload(random, "apps/v1", "DaemonSet", name),
        12..=13 => service(random, name),
        14..=16 | 43..=45 => config_map(random),
        17 => secret(random),
        18 => job(random, name),
        19..=20 => cron_job(random, name),
        21 => pod(random, name),
        22 => ingress(random, name),
        23 => json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": name},
            "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": random.pick(&["Deployment", "StatefulSet"]), "name": random.pick(&NAMES)},
            "minReplicas": 1, "maxReplicas": random.below(9) + 1}}),
        24 => json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name},
            "spec": {"minAvailable": random.pick(&["50%", "1"]), "selector": {"matchLabels": {"app": name}}}}),
        25 => json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": random.pick(&ACCOUNTS)},
            "secrets": [{"name": random.pick(&SECRETS)}], "imagePullSecrets": [{"name": random.pick(&SECRETS)}]}),
        26 => {
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": random.pick(&["Role", "ClusterRole"]), "metadata": {"name": name},
            "rules": [{"apiGroups": [""], "resources": ["configmaps", "secrets"], "resourceNames": [random.pick(&CONFIGS), random.pick(&SECRETS)], "verbs": ["get"]}]})
        }
        27..=28 => binding(random, name),
        29 => json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name},
            "spec": {"podSelector": {"matchLabels": {"app": name}}, "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": random.pick(&NAMES)}}}], "ports": [{"protocol": "TCP", "port": 80}]}]}}),
        30 => json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
            "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "fast", "volumeName": random.pick(&NAMES), "resources": {"requests": {"storage": "1Gi"}}}}),
        31 => json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": random.pick(&NAMESPACES)}}),
        32 => webhook(random, name),
        33 | 40 | 41 => custom_resource_definition(random),
        34..=36 => custom(random, name),
        37 => json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "fast"},
            "provisioner": "x", "parameters": {"secretName": random.pick(&SECRETS)}}),
        38 | 42 => {
            json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1.example.com"},
            "spec": {"service": {"name": random.pick(&NAMES), "namespace": "prod"}, "group": "example.com", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1}})
        }
        _ => {
            json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}, "value": 10})
        }
    };
    decorate(random, &mut object);
    object
}

fn decorate(random: &mut Random, object: &mut Value) {
    let metadata = &mut object["metadata"];
    if random.percent(18) {
        metadata["namespace"] = random.pick(&NAMESPACES).into();
    }
    if random.percent(35) {
        metadata["labels"] = json!({"app": random.pick(&NAMES), "tier": random.pick(&["front", "back"])});
        if random.percent(6) {
            metadata["labels"]["odd"] = raw(random);
        }
        if random.percent(4) {
            metadata["labels"] = Value::Null;
        }
    }
    if random.percent(25) {
        metadata["annotations"] = json!({"note": text(random)});
        if random.percent(15) {
            metadata["annotations"]["odd"] = raw(random);
        }
        if random.percent(4) {
            metadata["annotations"] = json!({});
        }
        if random.percent(4) {
            metadata["annotations"] = Value::Null;
        }
        if random.percent(4) {
            metadata["annotations"]["config.kubernetes.io/local-config"] = random.pick(&["true", "false"]).into();
        }
    }
    if random.percent(3) {
        object["status"] = json!({"ready": null, "list": [], "map": {}, "number": 1.5});
    }
}

fn labels(name: &str) -> Value {
    json!({"app": name})
}

fn workload(random: &mut Random, api_version: &str, kind: &str, name: &str) -> Value {
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": {
        "selector": {"matchLabels": labels(name)},
        "template": {"metadata": {"labels": labels(name)}, "spec": pod_spec(random)}}});
    if kind != "DaemonSet" && random.percent(70) {
        object["spec"]["replicas"] = random.below(5).into();
    }
    if kind == "Deployment" && random.percent(30) {
        object["spec"]["strategy"] = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": random.pick(&["25%", "1"]), "maxUnavailable": 0}});
    }
    if kind == "StatefulSet" {
        object["spec"]["serviceName"] = random.pick(&NAMES).into();
        if random.percent(50) {
            object["spec"]["volumeClaimTemplates"] = json!([{"metadata": {"name": "data", "labels": {"x": "y"}}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}]);
        }
    }
    if random.percent(15) {
        object["spec"]["template"]["metadata"]["annotations"] = json!({"checksum": text(random)});
    }
    object
}

fn pod_spec(random: &mut Random) -> Value {
    let mut containers = vec![container(random, "main")];
    if random.percent(35) {
        containers.push(container(random, "sidecar"));
    }
    let mut spec = json!({"containers": containers});
    if random.percent(20) {
        spec["initContainers"] = json!([container(random, "init")]);
    }
    if random.percent(30) {
        spec["serviceAccountName"] = random.pick(&ACCOUNTS).into();
    }
    if random.percent(45) {
        spec["volumes"] = volumes(random);
    }
    if random.percent(10) {
        spec["imagePullSecrets"] = json!([{"name": random.pick(&SECRETS)}]);
    }
    if random.percent(12) {
        spec["tolerations"] = json!([{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "Equal", "value": "c", "effect": "NoSchedule"}]);
    }
    if random.percent(12) {
        spec["affinity"] = json!({"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "web"}}}}]}});
    }
    if random.percent(10) {
        spec["topologySpreadConstraints"] = json!([{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": "web"}}}]);
    }
    if random.percent(8) {
        spec["hostAliases"] = json!([{"ip": "127.0.0.1", "hostnames": ["a", "b"]}]);
    }
    spec
}

fn container(random: &mut Random, name: &str) -> Value {
    let mut container = json!({"name": name, "image": random.pick(&IMAGES)});
    if random.percent(40) {
        let mut env = vec![json!({"name": "A", "value": text(random)})];
        if random.percent(40) {
            env.push(
                json!({"name": "B", "valueFrom": {"configMapKeyRef": {"name": random.pick(&CONFIGS), "key": "k"}}}),
            );
        }
        if random.percent(30) {
            env.push(json!({"name": "C", "valueFrom": {"secretKeyRef": {"name": random.pick(&SECRETS), "key": "k"}}}));
        }
        if random.percent(3) {
            env.insert(random.below(env.len()), json!({"value": "of no name"}));
        }
        if random.percent(4) {
            env.push(json!({"name": "A", "value": "once more"}));
        }
        container["env"] = env.into();
    }
    if random.percent(30) {
        container["envFrom"] =
            json!([{"configMapRef": {"name": random.pick(&CONFIGS)}}, {"secretRef": {"name": random.pick(&SECRETS)}}]);
    }
    if random.percent(35) {
        let mut ports = vec![json!({"containerPort": 80, "name": "http"})];
        match random.below(4) {
            0 => ports.push(json!({"containerPort": 80, "protocol": "UDP"})),
            1 => ports.push(json!({"containerPort": 443, "protocol": "TCP", "name": "https"})),
            2 => ports[0]["protocol"] = "TCP".into(),
            _ => {}
        }
        container["ports"] = ports.into();
    }
    if random.percent(20) {
        container["args"] = json!(["--level=debug", "$(A)", text(random)]);
    }
    if random.percent(20) {
        container["resources"] = json!({"limits": {"cpu": "500m", "memory": "64Mi"}, "requests": {"cpu": 1}});
    }
    if random.percent(20) {
        container["volumeMounts"] =
            json!([{"name": "conf", "mountPath": "/etc/conf"}, {"name": "tmp", "mountPath": "/tmp", "readOnly": true}]);
    }
    if random.percent(10) {
        container["command"] = json!(["sh", "-c", "echo one\necho two\n"]);
    }
    container
}

fn volumes(random: &mut Random) -> Value {
    let mut volumes = vec![json!({"name": "tmp", "emptyDir": {}})];
    if random.percent(60) {
        volumes.push(json!({"name": "conf", "configMap": {"name": random.pick(&CONFIGS)}}));
    }
    if random.percent(40) {
        volumes.push(json!({"name": "sec", "secret": {"secretName": random.pick(&SECRETS)}}));
    }
    if random.percent(30) {
        volumes.push(json!({"name": "all", "projected": {"sources": [{"configMap": {"name": random.pick(&CONFIGS)}}, {"secret": {"name": random.pick(&SECRETS)}}]}}));
    }
    if random.percent(20) {
        volumes.push(json!({"name": "disk", "persistentVolumeClaim": {"claimName": random.pick(&NAMES)}}));
    }
    volumes.into()
}

fn service(random: &mut Random, name: &str) -> Value {
    let mut ports = vec![json!({"port": 80, "targetPort": "http", "name": "http"})];
    if random.percent(40) {
        ports.push(json!({"port": 443, "targetPort": 8443, "protocol": "TCP", "name": "https"}));
    }
    if random.percent(20) {
        ports.push(json!({"port": 53, "protocol": "UDP", "name": "dns"}));
    }
    let mut service =
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": ports}});
    if random.percent(80) {
        service["spec"]["selector"] = labels(name);
    }
    service
}

fn config_map(random: &mut Random) -> Value {
    let mut data = Map::new();
    for key in ["k", "host", "file.txt", "app.properties"] {
        if random.percent(50) {
            data.insert(key.to_owned(), text(random));
        }
    }
    if random.percent(40) {
        let json = random.pick(&[
            "{\"database\": {\"host\": \"db\", \"port\": 5432}, \"list\": [1, 2]}",
            "{\n  \"database\": {\n    \"host\": \"db\",\n    \"port\": 5432\n  }\n}",
        ]);
        data.insert("config.json".to_owned(), json.into());
    }
    if random.percent(40) {
        let yaml = random
            .pick(&["database:\n  host: db\n  port: 5432\n", "database:\n  host: db\nlist:\n- name: a\n  value: b\n"]);
        data.insert("config.yaml".to_owned(), yaml.into());
    }
    let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": random.pick(&CONFIGS)}});
    if !data.is_empty() || random.percent(50) {
        object["data"] = data.into();
    }
    object
}

fn secret(random: &mut Random) -> Value {
    let mut object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": random.pick(&SECRETS)}, "type": "Opaque", "data": {"k": "dmFsdWU="}});
    if random.percent(30) {
        object["stringData"] = json!({"s": text(random)});
    }
    object
}

fn job(random: &mut Random, name: &str) -> Value {
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": {"spec": pod_spec(random)}}})
}

fn cron_job(random: &mut Random, name: &str) -> Value {
    let api_version = random.pick(&["batch/v1", "batch/v1", "batch/v1beta1"]);
    json!({"apiVersion": api_version, "kind": "CronJob", "metadata": {"name": name}, "spec": {"schedule": "*/5 * * * *",
        "jobTemplate": {"metadata": {"labels": {"a": "b"}}, "spec": {"template": {"metadata": {"labels": labels(name)}, "spec": pod_spec(random)}}}}})
}

fn pod(random: &mut Random, name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": pod_spec(random)})
}

fn ingress(random: &mut Random, name: &str) -> Value {
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": name}, "spec": {
        "tls": [{"hosts": ["example.com"], "secretName": random.pick(&SECRETS)}],
        "defaultBackend": {"service": {"name": random.pick(&NAMES), "port": {"number": 80}}},
        "rules": [{"host": "example.com", "http": {"paths": [
            {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": random.pick(&NAMES), "port": {"name": "http"}}}},
            {"path": "/api", "pathType": "Prefix", "backend": {"service": {"name": random.pick(&NAMES), "port": {"number": 80}}}}]}}]}})
}

pub(super) fn binding(random: &mut Random, name: &str) -> Value {
    let kind = random.pick(&["RoleBinding", "ClusterRoleBinding"]);
    let mut subjects = vec![json!({"kind": "ServiceAccount", "name": random.pick(&ACCOUNTS)})];
    if random.percent(60) {
        subjects[0]["namespace"] = random.pick(&NAMESPACES).into();
    }
    if random.percent(40) {
        subjects.push(json!({"kind": random.pick(&["User", "Group", "ServiceAccount"]), "name": random.pick(&["jane", "default", "robot"]), "namespace": "prod"}));
    }
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": random.pick(&["Role", "ClusterRole"]), "name": random.pick(&NAMES)},
        "subjects": subjects})
}

fn webhook(random: &mut Random, name: &str) -> Value {
    json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": random.pick(&["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"]), "metadata": {"name": name},
        "webhooks": [{"name": "a.example.com", "clientConfig": {"service": {"name": random.pick(&NAMES), "namespace": "prod"}}, "admissionReviewVersions": ["v1"], "sideEffects": "None"}]})
}

fn custom_resource_definition(random: &mut Random) -> Value {
    let mut object = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "names": {"kind": "Widget", "plural": "widgets"}, "scope": "Namespaced",
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}]}});
    if random.percent(50) {
        object["spec"]["conversion"] = json!({"strategy": "Webhook", "webhook": {"clientConfig": {"service": {"name": random.pick(&NAMES), "namespace": "prod"}}, "conversionReviewVersions": ["v1"]}});
    }
    object
}

fn custom(random: &mut Random, name: &str) -> Value {
    let mut object = json!({"apiVersion": "example.com/v1", "kind": random.pick(&["Widget", "Gadget"]), "metadata": {"name": name}, "spec": {
        "configName": random.pick(&CONFIGS), "size": random.below(10), "ratio": 0.5,
        "ref": {"name": random.pick(&NAMES)}, "image": random.pick(&IMAGES),
        "items": [{"name": "a", "value": 1}, {"name": "b", "value": text(random)}],
        "template": {"spec": {"containers": [container(random, "main")]}}}});
    if random.percent(4)
        && let Some(map) = object.as_object_mut()
    {
        map.remove("apiVersion");
    }
    object
}
