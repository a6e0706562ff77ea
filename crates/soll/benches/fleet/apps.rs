//! The apps: what stands in Git, and the Kustomizations of it.

use soll_api::Object;
use soll_testkit::Repository;
use soll_yaml::Value;

/// Where the fleet lives.
pub(crate) const NAMESPACE: &str = "fleet";

/// Four objects an app: a ServiceAccount, a Service, a Deployment without replicas, a generated ConfigMap.
const OBJECTS: &str = "apiVersion: v1
kind: ServiceAccount
metadata: {name: app}
---
apiVersion: v1
kind: Service
metadata: {name: app}
spec: {ports: [{port: 80, targetPort: 8080}], selector: {role: web}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  replicas: 0
  selector: {matchLabels: {role: web}}
  template:
    metadata: {labels: {role: web}}
    spec:
      serviceAccountName: app
      containers:
      - name: web
        image: ghcr.io/example/web:1.0.0
        envFrom: [{configMapRef: {name: settings}}]
        resources: {requests: {cpu: 10m, memory: 16Mi}}
";

/// The name of an app.
pub(crate) fn name(number: usize) -> String {
    format!("a{number:04}")
}

/// Writes so many apps.
pub(crate) fn write(repository: &Repository, count: usize) {
    for number in 0..count {
        repository.write(&format!("apps/{number:04}/objects.yaml"), OBJECTS);
        repository.write(&format!("apps/{number:04}/kustomization.yaml"), &kustomization_file(number, "info"));
    }
}

/// Changes a setting of an app.
pub(crate) fn change(repository: &Repository, number: usize, level: &str) {
    repository.write(&format!("apps/{number:04}/kustomization.yaml"), &kustomization_file(number, level));
}

fn kustomization_file(number: usize, level: &str) -> String {
    let name = name(number);
    format!(
        "apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: {NAMESPACE}
namePrefix: {name}-
labels:
- pairs: {{app: {name}}}
  includeSelectors: true
resources: [objects.yaml]
configMapGenerator:
- name: settings
  literals: [LEVEL={level}, APP={name}]
"
    )
}

/// What is wrong with an app that never becomes Ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It is no YAML.
    Yaml,
    /// Its pods never become ready: nobody runs them here.
    Pods,
    /// Its source cannot be reached.
    Source,
}

impl Trouble {
    /// Of the app of this number among those that have trouble.
    pub(crate) fn of(number: usize) -> Self {
        [Self::Yaml, Self::Pods, Self::Source][number % 3]
    }
}

/// Writes an app that never becomes Ready.
pub(crate) fn write_troubled(repository: &Repository, number: usize, trouble: Trouble) {
    let objects = match trouble {
        Trouble::Yaml => OBJECTS.replace("spec:", " spec:"),
        Trouble::Pods => OBJECTS.replace("replicas: 0", "replicas: 1"),
        Trouble::Source => OBJECTS.to_owned(),
    };
    repository.write(&format!("apps/{number:04}/objects.yaml"), &objects);
    repository.write(&format!("apps/{number:04}/kustomization.yaml"), &kustomization_file(number, "info"));
}

/// The source of all.
pub(crate) fn source(url: &str, interval: &str) -> Object {
    source_named("fleet", url, interval)
}

/// The source and the Kustomization of an app that never becomes Ready.
pub(crate) fn troubled(number: usize, trouble: Trouble, interval: &str) -> Vec<Object> {
    match trouble {
        Trouble::Yaml | Trouble::Pods => vec![kustomization(number, interval)],
        Trouble::Source => {
            // Nobody listens on this port.
            let (name, url) = (name(number), "http://127.0.0.1:9/nowhere.git");
            vec![source_named(&name, url, interval), kustomization_of(&name, number, interval)]
        }
    }
}

fn source_named(name: &str, url: &str, interval: &str) -> Object {
    object(&serde_json::json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"url": url, "interval": interval, "ref": {"branch": "main"}},
    }))
}

/// The Kustomization of an app, which waits for health.
pub(crate) fn kustomization(number: usize, interval: &str) -> Object {
    kustomization_of("fleet", number, interval)
}

fn kustomization_of(source: &str, number: usize, interval: &str) -> Object {
    object(&serde_json::json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": name(number), "namespace": NAMESPACE},
        "spec": {
            "interval": interval,
            "path": format!("./apps/{number:04}"),
            "prune": true,
            "wait": true,
            "timeout": "5m",
            "sourceRef": {"kind": "GitRepository", "name": source},
        },
    }))
}

/// An object from JSON.
pub(crate) fn object(json: &serde_json::Value) -> Object {
    Object::new(value(json)).expect("an object")
}

/// Our value from JSON.
pub(crate) fn value(json: &serde_json::Value) -> Value {
    soll_yaml::parse_json(json.to_string().as_bytes()).expect("JSON")
}
