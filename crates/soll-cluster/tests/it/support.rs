//! What the tests share: the server, namespaces, objects, runs of the applier.

use std::sync::Arc;

use soll_api::{Gvk, Inventory, Object};
use soll_apiserver::{Server, ServerOptions};
use soll_cluster::{
    Applied, Applier, ApplierOptions, ApplyFailure, Cluster, ConnectOptions, Credentials, Memory, Mode, RequestCounts,
};
use soll_plan::{ApplySettings, IgnoreRules, Managers, Owner};
use soll_testkit::ControlPlane;
use soll_yaml::{Sources, parse_json};

/// A namespace of its own on the shared real server, and an applier for it.
pub(crate) struct Bed {
    pub(crate) cluster: Cluster,
    pub(crate) memory: Arc<Memory>,
    pub(crate) namespace: String,
    pub(crate) owner: Owner,
    pub(crate) settings: ApplySettings,
    _server: Option<Server>,
}

/// Which server a test is about. Each case runs against both; a difference is a bug of the embedded one.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// kube-apiserver, shared by all tests.
    Real,
    /// The embedded one, a new one for each test.
    Embedded,
}

/// Makes two tests of each case: `name::real` and `name::embedded`.
macro_rules! on_both {
    ($($(#[$doc:meta])* async fn $name:ident($kind:ident) $body:block)*) => {$(
        $(#[$doc])*
        mod $name {
            use super::*;
            async fn case($kind: crate::support::Kind) $body
            #[tokio::test]
            async fn real() {
                case(crate::support::Kind::Real).await;
            }
            #[tokio::test]
            async fn embedded() {
                case(crate::support::Kind::Embedded).await;
            }
        }
    )*};
}
pub(crate) use on_both;

async fn connect(kind: Kind) -> (Cluster, Option<Server>) {
    if let Kind::Embedded = kind {
        let server = Server::new(&ServerOptions::default()).unwrap();
        return (Cluster::from_service(server.service(), &ConnectOptions::default()), Some(server));
    }
    let kubeconfig = tokio::task::spawn_blocking(|| ControlPlane::shared().kubeconfig()).await.unwrap();
    let options = ConnectOptions { credentials: Credentials::Kubeconfig(kubeconfig), ..ConnectOptions::default() };
    (Cluster::connect(&options).await.unwrap(), None)
}

impl Bed {
    /// `name` becomes the namespace; no two tests share one.
    pub(crate) async fn new(kind: Kind, name: &str) -> Self {
        let (cluster, server) = connect(kind).await;
        Self { _server: server, ..Self::on(cluster, name).await }
    }

    /// The same on any cluster.
    pub(crate) async fn on(cluster: Cluster, name: &str) -> Self {
        let namespace = format!("soll-{name}");
        let object =
            object(&format!(r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{namespace}"}}}}"#));
        cluster.create(&object, "tests", Mode::Real).await.unwrap();
        Self {
            cluster,
            memory: Arc::new(Memory::new()),
            owner: Owner { name: name.to_owned(), namespace: namespace.clone() },
            namespace,
            settings: ApplySettings {
                managers: Managers::new("kustomize-controller"),
                force: false,
                ignore: IgnoreRules::default(),
            },
            _server: None,
        }
    }

    pub(crate) fn applier(&self) -> Applier {
        Applier::new(self.cluster.clone(), Arc::clone(&self.memory), ApplierOptions::default())
    }

    /// Applies as a Kustomization would; the texts are JSON objects, `NS` stands for the namespace.
    pub(crate) async fn apply(&self, objects: &[&str]) -> Result<Applied, ApplyFailure> {
        self.apply_with(&self.applier(), objects, &Sources::new()).await
    }

    pub(crate) async fn apply_with(
        &self,
        applier: &Applier,
        objects: &[&str],
        sources: &Sources,
    ) -> Result<Applied, ApplyFailure> {
        let objects = objects.iter().map(|text| self.object(text)).collect();
        self.apply_objects(applier, objects, sources).await
    }

    pub(crate) async fn apply_objects(
        &self,
        applier: &Applier,
        objects: Vec<Object>,
        sources: &Sources,
    ) -> Result<Applied, ApplyFailure> {
        let prepared = soll_plan::prepare(objects, &self.owner, sources).unwrap();
        let stages = soll_plan::stages(prepared, &[], sources).unwrap();
        applier.apply(stages, &self.settings, sources).await
    }

    pub(crate) fn object(&self, text: &str) -> Object {
        object(&text.replace("NS", &self.namespace))
    }

    pub(crate) async fn get(&self, api_version: &str, kind: &str, name: &str) -> Option<Object> {
        self.cluster.find(&Gvk::new(api_version, kind), &self.namespace, name).await.unwrap()
    }

    pub(crate) fn inventory(&self, objects: &[&str]) -> Inventory {
        let objects: Vec<_> = objects.iter().map(|text| self.object(text)).collect();
        Inventory::of(&objects)
    }

    /// The lines of what an apply did, without the namespace.
    pub(crate) fn lines(&self, applied: &Applied) -> Vec<String> {
        applied.changes.iter().map(|change| change.to_string().replace(&self.namespace, "NS")).collect()
    }

    /// What was asked while something was done.
    pub(crate) async fn counting<T>(&self, work: impl Future<Output = T>) -> (T, RequestCounts) {
        let before = self.cluster.requests();
        let result = work.await;
        (result, self.cluster.requests().since(&before))
    }
}

pub(crate) fn object(text: &str) -> Object {
    Object::new(parse_json(text.as_bytes()).unwrap()).unwrap()
}

pub(crate) fn config_map(name: &str, data: &str) -> String {
    format!(r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}","namespace":"NS"}},"data":{data}}}"#)
}

pub(crate) fn deployment(name: &str, label: &str, image: &str) -> String {
    format!(
        r#"{{"apiVersion":"apps/v1","kind":"Deployment","metadata":{{"name":"{name}","namespace":"NS"}},
            "spec":{{"replicas":1,"selector":{{"matchLabels":{{"app":"{label}"}}}},
            "template":{{"metadata":{{"labels":{{"app":"{label}"}}}},
            "spec":{{"containers":[{{"name":"web","image":"{image}","ports":[{{"containerPort":80}}]}}]}}}}}}}}"#
    )
}

/// A definition in the group `tests.soll.dev`, version `v1`.
pub(crate) fn crd(plural: &str, kind: &str) -> String {
    format!(
        r#"{{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{{"name":"{plural}.tests.soll.dev"}},
            "spec":{{"group":"tests.soll.dev","scope":"Namespaced","names":{{"plural":"{plural}","kind":"{kind}"}},
            "versions":[{{"name":"v1","served":true,"storage":true,
              "schema":{{"openAPIV3Schema":{{"type":"object","properties":{{"spec":{{"type":"object",
                "properties":{{"size":{{"type":"integer","maximum":9}}}}}}}}}}}}}}]}}}}"#
    )
}

/// An object of a kind that [`crd`] defines; its size must be below ten.
pub(crate) fn custom(kind: &str, size: u32) -> String {
    format!(
        r#"{{"apiVersion":"tests.soll.dev/v1","kind":"{kind}","metadata":{{"name":"c","namespace":"NS"}},"spec":{{"size":{size}}}}}"#
    )
}
