//! What to do with one object, from what is desired, what is live, and what a dry run answered.

use soll_api::Object;
use soll_yaml::{Map, Value};

use crate::controls::{self, Ssa};
use crate::{IgnoreRules, Managers};

/// How to apply the objects of one Kustomization.
#[derive(Debug, Clone)]
pub struct ApplySettings {
    /// Our field manager, and whose fields become ours.
    pub managers: Managers,
    /// Whether to recreate every object whose change is refused as immutable.
    pub force: bool,
    /// Fields that others may change.
    pub ignore: IgnoreRules,
}

/// What to do before anything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Leave it alone.
    Skip(Skip),
    /// It does not exist: create it. In a stage that only creates no dry run is needed.
    Create,
    /// Ask the API server what applying it would change.
    DryRun,
}

/// Why an object is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Skip {
    /// `reconcile: disabled`.
    Disabled,
    /// `ssa: Ignore`.
    Ignored,
    /// `ssa: IfNotPresent`, and it is present.
    Present,
    /// `prune: disabled`.
    PruneDisabled,
    /// Its owner labels name somebody else, or nobody.
    NotOurs,
}

/// Why, in words.
impl std::fmt::Display for Skip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Disabled => "reconciling it is disabled",
            Self::Ignored => "applying it is set to Ignore",
            Self::Present => "it exists, and is applied only if not present",
            Self::PruneDisabled => "pruning it is disabled",
            Self::NotOurs => "its owner labels name somebody else, or nobody",
        })
    }
}

/// What to write after the dry run.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The object is as wanted.
    Unchanged,
    /// The object differs.
    Apply(Apply),
}

/// The writes that bring one object in line.
#[derive(Debug, Clone, PartialEq)]
pub struct Apply {
    /// What to apply.
    pub payload: Object,
    /// JSON patch for the live object that goes first: fields of absorbed managers become ours.
    pub takeover: Option<Value>,
}

/// Decides from the desired and the live object what to do before anything is written.
///
/// The live object must have been read as the identity that applies: its annotations may forbid it.
#[must_use]
pub fn look(desired: &Object, live: Option<&Object>) -> Look {
    let either = |test: &dyn Fn(&Object) -> bool| test(desired) || live.is_some_and(test);
    if either(&controls::is_disabled) {
        return Look::Skip(Skip::Disabled);
    }
    if either(&|object| controls::asks_for(object, Ssa::Ignore)) {
        return Look::Skip(Skip::Ignored);
    }
    match live {
        None => Look::Create,
        Some(_) if controls::asks_for(desired, Ssa::IfNotPresent) => Look::Skip(Skip::Present),
        Some(_) => Look::DryRun,
    }
}

/// Decides from the answer of a dry run (server-side apply, forced) whether and what to write.
#[must_use]
pub fn judge(desired: &Object, live: Option<&Object>, dry_run: &Object, settings: &ApplySettings) -> Verdict {
    let Some(live) = live else {
        return Verdict::Apply(Apply { payload: desired.clone(), takeover: None });
    };
    let takeover = takeover(desired, live, settings);
    if takeover.is_none() && !drifted(live, dry_run, &settings.ignore) {
        return Verdict::Unchanged;
    }
    Verdict::Apply(Apply { payload: settings.ignore.payload(desired, live, &settings.managers.ours), takeover })
}

/// The patch that makes fields of absorbed managers ours; none for objects with `ssa: Merge`.
#[must_use]
pub fn takeover(desired: &Object, live: &Object, settings: &ApplySettings) -> Option<Value> {
    if is_merged(desired) || is_merged(live) { None } else { settings.managers.takeover(live) }
}

/// Says whether the fields of others stay theirs, whoever they are: `ssa: Merge`.
#[must_use]
pub fn is_merged(object: &Object) -> bool {
    controls::asks_for(object, Ssa::Merge)
}

/// Says whether an object may be deleted and created again where a change is refused as immutable.
#[must_use]
pub fn may_recreate(desired: &Object, live: &Object, settings: &ApplySettings) -> bool {
    settings.force || controls::forces(desired) || controls::forces(live)
}

/// Says whether health is checked: not for objects that are left alone on purpose.
#[must_use]
pub fn is_checked(desired: &Object, live: Option<&Object>) -> bool {
    !matches!(look(desired, live), Look::Skip(Skip::Disabled | Skip::Ignored))
}

/// Says whether the answer of a dry run differs from the live object in what we can be the cause of.
#[must_use]
pub fn drifted(live: &Object, dry_run: &Object, ignore: &IgnoreRules) -> bool {
    if dry_run.resource_version().is_empty() {
        return true;
    }
    comparable(live, ignore) != comparable(dry_run, ignore)
}

/// The object with only labels and annotations left of its metadata, without status and ignored fields.
fn comparable(object: &Object, ignore: &IgnoreRules) -> Value {
    let mut value = object.value().clone();
    ignore.strip(object, &mut value);
    let metadata = value.get("metadata").and_then(Value::as_map).into_iter().flatten();
    let compared = metadata.filter(|entry| {
        let is_empty = entry.value.as_map().is_some_and(Map::is_empty);
        matches!(entry.key.as_str(), "labels" | "annotations") && !is_empty
    });
    let metadata: Map = compared.map(|entry| (entry.key.clone(), entry.value.clone())).collect();
    let root = value.make_map();
    root.insert("metadata", metadata.into());
    root.remove("status");
    if object.kind() == "HorizontalPodAutoscaler" {
        drop_repeated_metrics(&mut value);
    }
    value
}

/// Conversion between versions of HorizontalPodAutoscaler repeats metrics (kubernetes/kubernetes#74099).
fn drop_repeated_metrics(autoscaler: &mut Value) {
    let Some(metrics) = autoscaler.get_mut("spec").and_then(|spec| spec.get_mut("metrics")) else { return };
    let Some(metrics) = metrics.as_list_mut() else { return };
    let mut seen: Vec<Value> = Vec::with_capacity(metrics.len());
    metrics.retain(|metric| {
        let is_new = !seen.contains(metric);
        if is_new {
            seen.push(metric.clone());
        }
        is_new
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::object;

    fn config_map(metadata: &str, data: &str) -> Object {
        object(&format!(
            "{{'apiVersion': 'v1', 'kind': 'ConfigMap', 'metadata': {{'name': 'c'{metadata}}}, 'data': {{{data}}}}}"
        ))
    }

    fn annotated(key: &str, value: &str) -> Object {
        config_map(&format!(", 'annotations': {{'kustomize.toolkit.fluxcd.io/{key}': '{value}'}}"), "")
    }

    #[test]
    fn controls_steer_before_anything_is_written() {
        let plain = config_map("", "");
        let check = |desired: &Object, live: Option<&Object>, expected| assert_eq!(look(desired, live), expected);
        check(&plain, None, Look::Create);
        check(&plain, Some(&plain), Look::DryRun);
        for disabled in [annotated("reconcile", "disabled"), annotated("reconcile", "Disabled")] {
            check(&disabled, None, Look::Skip(Skip::Disabled));
            check(&plain, Some(&disabled), Look::Skip(Skip::Disabled));
        }
        let ignored = annotated("ssa", "Ignore");
        check(&ignored, None, Look::Skip(Skip::Ignored));
        check(&plain, Some(&ignored), Look::Skip(Skip::Ignored));
        let once = annotated("ssa", "IfNotPresent");
        check(&once, None, Look::Create);
        check(&once, Some(&plain), Look::Skip(Skip::Present));
        check(&plain, Some(&once), Look::DryRun);
        check(&annotated("ssa", "Override"), Some(&plain), Look::DryRun);
    }

    fn settings() -> ApplySettings {
        ApplySettings { managers: Managers::new("kustomize-controller"), force: false, ignore: IgnoreRules::default() }
    }

    #[test]
    fn only_what_we_can_cause_is_drift() {
        let live = config_map(", 'resourceVersion': '1', 'labels': {'a': 'b'}", "'k': 'v'");
        let check = |metadata: &str, data: &str, expected| {
            let dry_run = config_map(metadata, data);
            let drifted = matches!(judge(&live, Some(&live), &dry_run, &settings()), Verdict::Apply(_));
            assert_eq!(drifted, expected, "{metadata} {data}");
        };
        check(", 'resourceVersion': '1', 'labels': {'a': 'b'}", "'k': 'v'", false);
        check(", 'resourceVersion': '2', 'uid': 'x', 'labels': {'a': 'b'}", "'k': 'v'", false);
        check(", 'resourceVersion': '1', 'labels': {'a': 'b'}, 'annotations': {}", "'k': 'v'", false);
        check(", 'labels': {'a': 'b'}", "'k': 'v'", true);
        check(", 'resourceVersion': '1', 'labels': {'a': 'c'}", "'k': 'v'", true);
        check(", 'resourceVersion': '1'", "'k': 'v'", true);
        check(", 'resourceVersion': '1', 'labels': {'a': 'b'}", "'k': 'w'", true);
    }

    #[test]
    fn status_and_repeated_metrics_are_no_drift() {
        let hpa = |metrics: &str, status: &str| {
            object(&format!(
                "{{'apiVersion': 'autoscaling/v2', 'kind': 'HorizontalPodAutoscaler',
                  'metadata': {{'name': 'h', 'resourceVersion': '1'}}, 'spec': {{'metrics': [{metrics}]}}{status}}}"
            ))
        };
        let cpu = "{'type': 'Resource', 'resource': {'name': 'cpu'}}";
        let ignore = IgnoreRules::default();
        assert!(!drifted(&hpa(cpu, ""), &hpa(&format!("{cpu}, {cpu}"), ", 'status': {'x': 1}"), &ignore));
        assert!(drifted(&hpa(cpu, ""), &hpa("", ""), &ignore));
    }

    #[test]
    fn absorbed_managers_force_an_apply_unless_merged() {
        let live = config_map(
            ", 'resourceVersion': '1', 'managedFields': [{'manager': 'kubectl', 'operation': 'Update', 'fieldsV1': {}}]",
            "",
        );
        let desired = config_map("", "");
        match judge(&desired, Some(&live), &live, &settings()) {
            Verdict::Apply(apply) => assert!(apply.takeover.is_some()),
            Verdict::Unchanged => panic!("the fields of kubectl must become ours"),
        }
        assert_eq!(judge(&annotated("ssa", "Merge"), Some(&live), &live, &settings()), Verdict::Unchanged);
    }

    #[test]
    fn force_comes_from_the_spec_or_either_object() {
        let (plain, forced) = (config_map("", ""), annotated("force", "Enabled"));
        let all = ApplySettings { force: true, ..settings() };
        assert!(!may_recreate(&plain, &plain, &settings()));
        assert!(may_recreate(&forced, &plain, &settings()));
        assert!(may_recreate(&plain, &forced, &settings()));
        assert!(may_recreate(&plain, &plain, &all));
    }
}
