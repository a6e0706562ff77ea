//! What is in a cluster, in the words of which a takeover may change nothing; and who wrote what meanwhile.

use std::collections::BTreeMap;
use std::path::Path;

use soll_api::{Gvk, Object};
use soll_cluster::{Depth, Selection};
use soll_testkit::audit::{self, Request};
use soll_yaml::{Value, to_json_sorted};

use crate::bed::{Bed, runtime};

/// Everything that engines apply, and what controllers make of it.
const KINDS: &[(&str, &str)] = &[
    ("v1", "ConfigMap"),
    ("v1", "LimitRange"),
    ("v1", "Namespace"),
    ("v1", "PersistentVolumeClaim"),
    ("v1", "Pod"),
    ("v1", "ResourceQuota"),
    ("v1", "Secret"),
    ("v1", "Service"),
    ("v1", "ServiceAccount"),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "ReplicaSet"),
    ("apps/v1", "StatefulSet"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("batch/v1", "CronJob"),
    ("batch/v1", "Job"),
    ("networking.k8s.io/v1", "Ingress"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("policy/v1", "PodDisruptionBudget"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("scheduling.k8s.io/v1", "PriorityClass"),
    ("kustomize.toolkit.fluxcd.io/v1", "Kustomization"),
    ("source.toolkit.fluxcd.io/v1", "GitRepository"),
];

/// The objects by name, each with uid, generation, managers and content; statuses and resource versions aside.
pub(super) type Snapshot = BTreeMap<String, String>;

/// What is there, of these kinds too.
pub(super) fn snapshot(bed: &Bed, more: &[(&str, &str)]) -> Snapshot {
    let kinds = KINDS.iter().chain(more).map(|(api_version, kind)| Gvk::new(api_version, kind));
    runtime().block_on(async {
        let mut all = Snapshot::new();
        for kind in kinds {
            let listed = bed.cluster.list(&kind, &Selection::all(), Depth::Whole).await;
            let listed = listed.unwrap_or_else(|error| panic!("list {kind}: {error}"));
            all.extend(listed.items.iter().map(|object| (object.object_ref().to_string(), content(object))));
        }
        all
    })
}

fn content(object: &Object) -> String {
    let mut value = object.value().clone();
    let root = value.make_map();
    root.remove("status");
    let metadata = root.get_mut("metadata").expect("objects have metadata").make_map();
    metadata.remove("resourceVersion");
    // Statuses have managers, too.
    let managers = metadata.remove("managedFields").unwrap_or_default();
    let mut managers: Vec<Value> = managers.as_list().unwrap_or_default().to_vec();
    managers.retain(|entry| entry.get("subresource").is_none());
    metadata.insert("managedFields", Value::list(managers));
    to_json_sorted(&value)
}

/// What is not the same, object by object.
pub(super) fn difference(before: &Snapshot, after: &Snapshot) -> Vec<String> {
    let gone = before.iter().filter(|(name, _)| !after.contains_key(*name)).map(|(name, _)| format!("{name} is gone"));
    let others = after.iter().filter_map(|(name, now)| match before.get(name) {
        None => Some(format!("{name} is new")),
        Some(then) if then != now => Some(format!("{name} was\n  {then}\nand is\n  {now}")),
        Some(_) => None,
    });
    gone.chain(others).collect()
}

/// A place in an audit log: what comes after it is looked at.
pub(super) struct Since {
    asked: usize,
}

impl Since {
    pub(super) fn now(log: &Path) -> Self {
        Self { asked: audit::read(log).len() }
    }

    /// What a user has written since then, except what whoever takes over may: the statuses of toolkit objects, leases and
    /// events.
    pub(super) fn writes(&self, log: &Path, user: &str) -> Vec<String> {
        let may = |request: &Request| {
            let toolkit = request.resource.ends_with(".toolkit.fluxcd.io") && request.part == "status";
            toolkit || request.resource == "leases.coordination.k8s.io" || is_event(request)
        };
        let all = audit::read(log).into_iter().skip(self.asked).filter(|request| request.user == user);
        all.filter(|request| request.writes() && !may(request)).map(|request| request.to_string()).collect()
    }

    /// How often a user has asked for something since then.
    pub(super) fn count(&self, log: &Path, user: &str, which: impl Fn(&Request) -> bool) -> usize {
        let all = audit::read(log).into_iter().skip(self.asked);
        all.filter(|request| request.user == user && which(request)).count()
    }
}

fn is_event(request: &Request) -> bool {
    matches!(request.resource.as_str(), "events" | "events.events.k8s.io")
}
