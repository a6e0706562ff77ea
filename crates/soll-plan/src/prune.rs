//! What may be deleted.

use soll_api::Object;

use crate::controls::{self, Ssa};
use crate::{Owner, Skip};

/// What to do with an object that left the build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prune {
    /// Delete it, but only the one with this uid.
    Delete {
        /// Uid of the object that was looked at.
        uid: String,
    },
    /// It is on its way out: nothing to call, and it counts as deleted.
    Terminating,
    /// Leave it alone.
    Skip(Skip),
    /// It is gone already, which counts as deleted.
    Gone,
}

/// Decides from the live object, read as the identity that would delete it.
#[must_use]
pub fn prune(live: Option<&Object>, owner: &Owner) -> Prune {
    let Some(live) = live else { return Prune::Gone };
    if !owner.owns(live) {
        return Prune::Skip(Skip::NotOurs);
    }
    if controls::is_disabled(live) {
        return Prune::Skip(Skip::Disabled);
    }
    if controls::keeps_from_prune(live) {
        return Prune::Skip(Skip::PruneDisabled);
    }
    if controls::asks_for(live, Ssa::Ignore) {
        return Prune::Skip(Skip::Ignored);
    }
    if live.is_terminating() {
        return Prune::Terminating;
    }
    Prune::Delete { uid: live.uid().to_owned() }
}

/// Says whether an object that another owner builds is still to be taken by that one: it is ours, and would go, or be gone. Who finds
/// one that asks to be created only changes nothing of it, the labels included: it has been left to them.
#[must_use]
pub fn is_to_be_taken(live: Option<&Object>, owner: &Owner) -> bool {
    matches!(prune(live, owner), Prune::Delete { .. } | Prune::Terminating)
        && !live.is_some_and(|live| controls::asks_for(live, Ssa::IfNotPresent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::object;

    const OURS: &str =
        "'kustomize.toolkit.fluxcd.io/name': 'app', 'kustomize.toolkit.fluxcd.io/namespace': 'flux-system'";

    fn check(labels: &str, annotations: &str, expected: &Prune) {
        let live = object(&format!(
            "{{'apiVersion': 'v1', 'kind': 'Secret', 'metadata': {{'name': 's', 'uid': 'u',
              'labels': {{{labels}}}, 'annotations': {{{annotations}}}}}}}"
        ));
        let owner = Owner { name: "app".into(), namespace: "flux-system".into() };
        assert_eq!(&prune(Some(&live), &owner), expected, "{labels} {annotations}");
    }

    #[test]
    fn only_what_is_ours_and_did_not_opt_out() {
        check(OURS, "", &Prune::Delete { uid: "u".into() });
        check("", "", &Prune::Skip(Skip::NotOurs));
        check(&OURS.replace("app", "other"), "", &Prune::Skip(Skip::NotOurs));
        check(OURS, "'kustomize.toolkit.fluxcd.io/prune': 'Disabled'", &Prune::Skip(Skip::PruneDisabled));
        check(
            &format!("{OURS}, 'kustomize.toolkit.fluxcd.io/prune': 'disabled'"),
            "",
            &Prune::Skip(Skip::PruneDisabled),
        );
        check(OURS, "'kustomize.toolkit.fluxcd.io/reconcile': 'disabled'", &Prune::Skip(Skip::Disabled));
        check(OURS, "'kustomize.toolkit.fluxcd.io/ssa': 'ignore'", &Prune::Skip(Skip::Ignored));
        check(OURS, "'kustomize.toolkit.fluxcd.io/ssa': 'Merge'", &Prune::Delete { uid: "u".into() });
    }

    #[test]
    fn what_is_on_its_way_out_needs_no_call() {
        let live = object(&format!(
            "{{'apiVersion': 'v1', 'kind': 'Secret', 'metadata': {{'name': 's', 'uid': 'u', 'labels': {{{OURS}}},
              'deletionTimestamp': '2026-01-01T00:00:00Z'}}}}"
        ));
        let owner = Owner { name: "app".into(), namespace: "flux-system".into() };
        assert_eq!(prune(Some(&live), &owner), Prune::Terminating);
    }

    #[test]
    fn what_asks_to_be_left_alone_is_taken_by_nobody() {
        let owner = Owner { name: "app".into(), namespace: "flux-system".into() };
        let is_to_be_taken = |annotations: &str| {
            let live = object(&format!(
                "{{'apiVersion': 'v1', 'kind': 'Secret', 'metadata': {{'name': 's', 'uid': 'u',
                  'labels': {{{OURS}}}, 'annotations': {{{annotations}}}}}}}"
            ));
            is_to_be_taken(Some(&live), &owner)
        };
        assert!(is_to_be_taken("") && is_to_be_taken("'kustomize.toolkit.fluxcd.io/ssa': 'Merge'"));
        for control in ["ssa': 'IfNotPresent", "ssa': 'Ignore", "reconcile': 'disabled", "prune': 'disabled"] {
            assert!(!is_to_be_taken(&format!("'kustomize.toolkit.fluxcd.io/{control}'")), "{control}");
        }
        assert!(!super::is_to_be_taken(None, &owner));
    }

    #[test]
    fn what_is_gone_stays_gone() {
        assert_eq!(prune(None, &Owner { name: "app".into(), namespace: "a".into() }), Prune::Gone);
    }
}
