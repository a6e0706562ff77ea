//! The labels and annotations by which people steer what happens to one object.

use soll_api::{Object, names::kustomize};

/// How an object is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ssa {
    /// `Merge`: the fields of other managers survive.
    Merge,
    /// `IfNotPresent`: created, never changed.
    IfNotPresent,
    /// `Ignore`: never applied, never pruned.
    Ignore,
}

/// Says whether a control has a value on an object, as a label or an annotation, whatever its case.
fn has(object: &Object, key: &str, value: &str) -> bool {
    [object.label(key), object.annotation(key)].into_iter().flatten().any(|found| found.eq_ignore_ascii_case(value))
}

/// Says whether an object asks to be applied in this way.
pub(crate) fn asks_for(object: &Object, ssa: Ssa) -> bool {
    let value = match ssa {
        Ssa::Merge => "Merge",
        Ssa::IfNotPresent => "IfNotPresent",
        Ssa::Ignore => "Ignore",
    };
    has(object, kustomize::SSA, value)
}

/// Says whether an object is left alone: neither applied, nor pruned, nor checked.
pub(crate) fn is_disabled(object: &Object) -> bool {
    has(object, kustomize::RECONCILE, "disabled")
}

/// Says whether an object is never deleted.
pub(crate) fn keeps_from_prune(object: &Object) -> bool {
    has(object, kustomize::PRUNE, "disabled")
}

/// Says whether an object is recreated where a change is refused as immutable.
pub(crate) fn forces(object: &Object) -> bool {
    has(object, kustomize::FORCE, "enabled")
}
