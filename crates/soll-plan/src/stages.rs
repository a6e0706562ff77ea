//! In which order objects are applied and deleted.

use std::cmp::Ordering;
use std::collections::HashMap;

use soll_api::{Class, Failure, Object, ObjectRef, Origin, Retry};
use soll_yaml::Sources;

/// Objects that are checked together before any of them is applied.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    kind: StageKind,
    objects: Vec<Object>,
}

/// What a [`Stage`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StageKind {
    /// CustomResourceDefinitions, Namespaces, ClusterRoles: others cannot be applied before these stand.
    Definitions,
    /// Kinds whose name ends with `Class`.
    Classes,
    /// The kinds that the operator listed.
    Custom,
    /// Everything else.
    Rest,
}

/// A group and a kind, as `--custom-apply-stage-kinds` lists them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GroupKind {
    /// API group; empty for the core group.
    pub group: String,
    /// Kind.
    pub kind: String,
}

impl Stage {
    /// What it holds.
    #[must_use]
    pub fn kind(&self) -> StageKind {
        self.kind
    }

    /// The objects in the order of applying.
    #[must_use]
    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// The objects in the order of applying.
    #[must_use]
    pub fn into_objects(self) -> Vec<Object> {
        self.objects
    }

    /// Says whether the next stage waits until all of this one are current.
    #[must_use]
    pub fn waits(&self) -> bool {
        matches!(self.kind, StageKind::Definitions | StageKind::Classes)
    }
}

/// Groups objects into stages, none empty, each in the order of applying. O(n log n).
///
/// Takes objects in any order. Kinds rank by name only, whatever their group, as in Flux.
///
/// # Errors
/// If two objects share an [`ObjectRef`]: each reconcile would write both in turn. The failure names both places.
pub fn stages(objects: Vec<Object>, custom: &[GroupKind], sources: &Sources) -> Result<Vec<Stage>, Failure> {
    check_unique(&objects, sources)?;
    let mut keyed: Vec<_> = objects.into_iter().map(|object| (stage_of(&object, custom), object)).collect();
    keyed.sort_by_cached_key(|(stage, object)| (*stage, rank(object.kind()), object.object_ref()));
    let mut stages: Vec<Stage> = Vec::new();
    for (kind, object) in keyed {
        match stages.last_mut() {
            Some(stage) if stage.kind == kind => stage.objects.push(object),
            _ => stages.push(Stage { kind, objects: vec![object] }),
        }
    }
    Ok(stages)
}

/// Sorts what is to be deleted: the reverse of the order of applying.
pub fn sort_for_deletion(objects: &mut [ObjectRef]) {
    objects.sort_by(|a, b| apply_order(b, a));
}

fn check_unique(objects: &[Object], sources: &Sources) -> Result<(), Failure> {
    let mut seen = HashMap::with_capacity(objects.len());
    for object in objects {
        if let Some(first) = seen.insert(object.object_ref(), object) {
            let places = [first, object].into_iter().flat_map(|object| Origin::chain(sources, object.value().at));
            let message = format!("{} is in the build twice: remove or rename one of them", object.object_ref());
            let failure = Failure::new(Class::Configuration, "BuildFailed", message, Retry::AtRetryInterval);
            return Err(failure.from_origins(places));
        }
    }
    Ok(())
}

fn stage_of(object: &Object, custom: &[GroupKind]) -> StageKind {
    match object.kind() {
        "CustomResourceDefinition" | "ClusterRole" => StageKind::Definitions,
        "Namespace" if object.api_version() == "v1" => StageKind::Definitions,
        kind if kind.ends_with("Class") => StageKind::Classes,
        kind if custom.iter().any(|custom| custom.kind == kind && custom.group == object.group()) => StageKind::Custom,
        _ => StageKind::Rest,
    }
}

/// Which of two objects of a stage is applied first: by rank, then group, kind, namespace, name.
#[must_use]
pub fn apply_order(a: &ObjectRef, b: &ObjectRef) -> Ordering {
    rank(&a.kind).cmp(&rank(&b.kind)).then_with(|| a.cmp(b))
}

const FIRST: [&str; 23] = [
    "CustomResourceDefinition",
    "Namespace",
    "ClusterRole",
    "ClusterClass",
    "RuntimeClass",
    "PriorityClass",
    "StorageClass",
    "VolumeSnapshotClass",
    "IngressClass",
    "GatewayClass",
    "ClusterRoleBinding",
    "ResourceQuota",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ConfigMap",
    "Secret",
    "Service",
    "LimitRange",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];

const LAST: [&str; 2] = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

/// The place of a kind among all: listed first ones, the rest, admission webhooks.
fn rank(kind: &str) -> usize {
    let place = |kinds: &[&str]| kinds.iter().position(|other| *other == kind);
    place(&FIRST).or_else(|| place(&LAST).map(|place| FIRST.len() + 1 + place)).unwrap_or(FIRST.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::objects;

    fn check(input: &str, custom: &[(&str, &str)], expected: &[&str]) {
        let custom: Vec<_> =
            custom.iter().map(|(group, kind)| GroupKind { group: (*group).into(), kind: (*kind).into() }).collect();
        let stages = stages(objects(input), &custom, &Sources::new()).expect("no duplicates");
        let line = |stage: &Stage| {
            let names: Vec<_> = stage.objects().iter().map(|object| object.object_ref().to_string()).collect();
            format!("{:?}: {}", stage.kind(), names.join(" "))
        };
        assert_eq!(stages.iter().map(line).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn definitions_come_first_and_webhooks_last() {
        check(
            "v1 ConfigMap a/c; apps/v1 Deployment a/d; v1 Namespace a; \
             admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration v; \
             admissionregistration.k8s.io/v1 MutatingWebhookConfiguration m; \
             storage.k8s.io/v1 StorageClass fast; apiextensions.k8s.io/v1 CustomResourceDefinition x.y; \
             batch/v1 Job a/j; v1 Secret a/s",
            &[],
            &[
                "Definitions: CustomResourceDefinition/x.y Namespace/a",
                "Classes: StorageClass/fast",
                "Rest: ConfigMap/a/c Secret/a/s Deployment/a/d Job/a/j MutatingWebhookConfiguration/m \
                 ValidatingWebhookConfiguration/v",
            ],
        );
    }

    #[test]
    fn ties_go_by_group_kind_namespace_name() {
        check(
            "v1 Service b/a; serving.knative.dev/v1 Service a/a; v1 Service a/b; v1 Service a/a; z.io/v1 A a/a; \
             a.io/v1 Z a/a; a.io/v1 B a/a",
            &[],
            &["Rest: Service/a/a Service/a/b Service/b/a Service/a/a B/a/a Z/a/a A/a/a"],
        );
    }

    #[test]
    fn listed_kinds_get_a_stage_of_their_own() {
        check("v1 ConfigMap a/c; v1 Secret a/s", &[("", "Secret")], &["Custom: Secret/a/s", "Rest: ConfigMap/a/c"]);
        check("v1 ConfigMap a/c", &[("x.io", "ConfigMap")], &["Rest: ConfigMap/a/c"]);
    }

    #[test]
    fn a_namespace_of_another_group_is_no_definition() {
        check("x.io/v1 Namespace a; v1 ConfigMap a/c", &[], &["Rest: Namespace/a ConfigMap/a/c"]);
    }

    #[test]
    fn duplicates_are_refused() {
        let twice = objects("apps/v1 Deployment a/b; apps/v1beta1 Deployment a/b");
        let failure = stages(twice, &[], &Sources::new()).expect_err("one object twice");
        assert!(failure.message.starts_with("Deployment/a/b is in the build twice"), "{failure}");
    }

    #[test]
    fn deletion_reverses_the_order() {
        let mut refs: Vec<_> = objects("v1 Namespace a; v1 Secret a/s; apps/v1 Deployment a/d; batch/v1 Job a/j")
            .iter()
            .map(Object::object_ref)
            .collect();
        sort_for_deletion(&mut refs);
        let names: Vec<_> = refs.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["Job/a/j", "Deployment/a/d", "Secret/a/s", "Namespace/a"]);
    }
}
