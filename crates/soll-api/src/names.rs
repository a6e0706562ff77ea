//! The names that Flux's controllers, command line and users agree on: finalizer, managers, annotations, labels.

/// The finalizer of every toolkit kind built here.
pub const FINALIZER: &str = "finalizers.fluxcd.io";
/// Asks for a reconcile now: any value that differs from `status.lastHandledReconcileAt`.
pub const REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";
/// Annotations with this prefix travel with the object's events.
pub const EVENT_PREFIX: &str = "event.toolkit.fluxcd.io/";
/// ConfigMaps and Secrets with this label set to `Enabled` wake the objects that use them.
pub const WATCH_LABEL: &str = "reconcile.fluxcd.io/watch";

/// Field managers: who wrote what.
pub mod managers {
    /// Applies what Kustomizations build.
    pub const KUSTOMIZE: &str = "kustomize-controller";
    /// Writes status and finalizers of Kustomizations.
    pub const KUSTOMIZE_STATUS: &str = "gotk-kustomize-controller";
    /// Writes status and finalizers of sources.
    pub const SOURCE: &str = "source-controller";
}

/// Keys under `kustomize.toolkit.fluxcd.io/`.
pub mod kustomize {
    /// Owner label: name of the Kustomization that applied the object.
    pub const OWNER_NAME: &str = "kustomize.toolkit.fluxcd.io/name";
    /// Owner label: namespace of the Kustomization that applied the object.
    pub const OWNER_NAMESPACE: &str = "kustomize.toolkit.fluxcd.io/namespace";
    /// `disabled`: neither applied, nor pruned, nor checked.
    pub const RECONCILE: &str = "kustomize.toolkit.fluxcd.io/reconcile";
    /// `Override`, `Merge`, `IfNotPresent` or `Ignore`.
    pub const SSA: &str = "kustomize.toolkit.fluxcd.io/ssa";
    /// `disabled`: never deleted.
    pub const PRUNE: &str = "kustomize.toolkit.fluxcd.io/prune";
    /// `enabled`: recreated where a change is refused as immutable.
    pub const FORCE: &str = "kustomize.toolkit.fluxcd.io/force";
    /// `disabled`: no variables are substituted.
    pub const SUBSTITUTE: &str = "kustomize.toolkit.fluxcd.io/substitute";
    /// `disabled`: not decrypted.
    pub const DECRYPT: &str = "kustomize.toolkit.fluxcd.io/decrypt";
    /// Written by old versions, removed from live objects.
    pub const CHECKSUM: &str = "kustomize.toolkit.fluxcd.io/checksum";
    /// Event metadata: the revision an event is about.
    pub const REVISION: &str = "kustomize.toolkit.fluxcd.io/revision";
    /// Event metadata: the revision that the artifact was made from.
    pub const ORIGIN_REVISION: &str = "kustomize.toolkit.fluxcd.io/originRevision";
    /// Event metadata: set to `update` on the event that commit statuses follow.
    pub const COMMIT_STATUS: &str = "kustomize.toolkit.fluxcd.io/commit_status";
}

/// Event metadata of sources.
pub mod source {
    /// The revision an event is about.
    pub const REVISION: &str = "source.toolkit.fluxcd.io/revision";
    /// The digest of the artifact.
    pub const DIGEST: &str = "source.toolkit.fluxcd.io/digest";
}
