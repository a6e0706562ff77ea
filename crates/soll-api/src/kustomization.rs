//! `Kustomization` of `kustomize.toolkit.fluxcd.io/v1`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use soll_yaml::{DecodeError, Value, from_value};

use crate::text::set_text;
use crate::{Conditions, Duration, GitRepository, Inventory, LocalRef, Metadata, ObjectRef, Resource, Time};

/// What to build from a source and apply to a cluster.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Kustomization {
    /// Name, generation and so on.
    pub metadata: Metadata,
    /// What is wanted.
    pub spec: KustomizationSpec,
    /// What is.
    #[serde(default)]
    pub status: KustomizationStatus,
}

impl Resource for Kustomization {
    const GROUP: &'static str = "kustomize.toolkit.fluxcd.io";
    const VERSION: &'static str = "v1";
    const KIND: &'static str = "Kustomization";
    const PLURAL: &'static str = "kustomizations";

    fn decode(value: &Value) -> Result<Self, DecodeError> {
        from_value(value)
    }

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// The shortest timeout; what is shorter is raised to it.
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(30);

impl Kustomization {
    /// How long health checks and waits for termination may take: half a minute less than the interval if unset.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        let timeout = self
            .spec
            .timeout
            .unwrap_or_else(|| Duration::from(self.spec.interval.std().saturating_sub(SHORTEST_TIMEOUT.std())));
        timeout.max(SHORTEST_TIMEOUT)
    }

    /// When to try again after a failure.
    #[must_use]
    pub fn retry_interval(&self) -> Duration {
        self.spec.retry_interval.unwrap_or(self.spec.interval)
    }

    /// The source object.
    #[must_use]
    pub fn source(&self) -> ObjectRef {
        let source = &self.spec.source_ref;
        let api_version = source.api_version.as_deref().and_then(|version| version.rsplit_once('/'));
        ObjectRef {
            group: api_version.map_or(GitRepository::GROUP, |(group, _)| group).to_owned(),
            kind: source.kind.clone(),
            namespace: source.namespace.clone().unwrap_or_else(|| self.metadata.namespace.clone()),
            name: source.name.clone(),
        }
    }

    /// The Kustomizations that must be ready first, in the order of writing.
    pub fn dependencies(&self) -> impl Iterator<Item = ObjectRef> {
        self.spec.depends_on.iter().map(|dependency| ObjectRef {
            group: Self::GROUP.to_owned(),
            kind: Self::KIND.to_owned(),
            namespace: dependency.namespace.clone().unwrap_or_else(|| self.metadata.namespace.clone()),
            name: dependency.name.clone(),
        })
    }

    /// Says whether the applied objects are deleted when this one is.
    #[must_use]
    pub fn deletes_objects(&self) -> bool {
        match self.spec.deletion_policy {
            DeletionPolicy::Delete | DeletionPolicy::WaitForTermination => true,
            DeletionPolicy::MirrorPrune => self.spec.prune,
            DeletionPolicy::Orphan => false,
        }
    }
}

/// What is wanted of a [`Kustomization`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KustomizationSpec {
    /// Time between two successful runs.
    pub interval: Duration,
    /// Time between a failed run and the next; [`KustomizationSpec::interval`] if unset.
    #[serde(default)]
    pub retry_interval: Option<Duration>,
    /// See [`Kustomization::timeout`].
    #[serde(default)]
    pub timeout: Option<Duration>,
    /// Directory in the artifact; its root if unset.
    #[serde(default, deserialize_with = "set_text")]
    pub path: Option<String>,
    /// Where manifests come from.
    pub source_ref: SourceRef,
    /// Whether to delete what left the build.
    pub prune: bool,
    /// What becomes of the objects when this one is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// Whether to leave everything as it is.
    #[serde(default)]
    pub suspend: bool,
    /// Whether to recreate objects whose change is refused as immutable.
    #[serde(default)]
    pub force: bool,
    /// Whether to wait until everything applied is healthy.
    #[serde(default)]
    pub wait: bool,
    /// Objects to wait for.
    #[serde(default)]
    pub health_checks: Vec<HealthCheck>,
    /// How to tell the health of custom resources.
    #[serde(default)]
    pub health_check_exprs: Vec<HealthCheckExpr>,
    /// Kustomizations that must be ready first.
    #[serde(default)]
    pub depends_on: Vec<Dependency>,
    /// Namespace for all objects.
    #[serde(default, deserialize_with = "set_text")]
    pub target_namespace: Option<String>,
    /// Prefix for the names of all objects.
    #[serde(default, deserialize_with = "set_text")]
    pub name_prefix: Option<String>,
    /// Suffix for the names of all objects.
    #[serde(default, deserialize_with = "set_text")]
    pub name_suffix: Option<String>,
    /// Patches on top of those in the source.
    #[serde(default)]
    pub patches: Vec<Patch>,
    /// Images to replace.
    #[serde(default)]
    pub images: Vec<Image>,
    /// Components to add.
    #[serde(default)]
    pub components: Vec<String>,
    /// Whether components may be missing.
    #[serde(default)]
    pub ignore_missing_components: bool,
    /// Labels and annotations for all objects.
    #[serde(default)]
    pub common_metadata: Option<CommonMetadata>,
    /// Which notes of the build to leave on objects.
    #[serde(default)]
    pub build_metadata: Vec<String>,
    /// What to do with the built text.
    #[serde(default)]
    pub post_build: Option<PostBuild>,
    /// How to decrypt.
    #[serde(default)]
    pub decryption: Option<Decryption>,
    /// Identity that applies, prunes and checks.
    #[serde(default, deserialize_with = "set_text")]
    pub service_account_name: Option<String>,
    /// Another cluster to apply to.
    #[serde(default)]
    pub kube_config: Option<KubeConfig>,
    /// Fields that others may change.
    #[serde(default)]
    pub ignore: Vec<Ignore>,
}

/// Where manifests come from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceRef {
    /// API version; that of the kind if unset.
    #[serde(default, deserialize_with = "set_text")]
    pub api_version: Option<String>,
    /// `GitRepository`, `OCIRepository`, `Bucket` or `ExternalArtifact`.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Namespace; that of the Kustomization if unset.
    #[serde(default, deserialize_with = "set_text")]
    pub namespace: Option<String>,
}

/// What becomes of the objects when their Kustomization is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum DeletionPolicy {
    /// Deleted if `prune` is set.
    #[default]
    MirrorPrune,
    /// Deleted.
    Delete,
    /// Deleted, and the Kustomization stays until they are gone or its timeout passed.
    WaitForTermination,
    /// Left alone.
    Orphan,
}

/// An object to wait for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// API version; `apps/v1` if unset.
    #[serde(default, deserialize_with = "set_text")]
    pub api_version: Option<String>,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Namespace; never defaulted.
    #[serde(default, deserialize_with = "set_text")]
    pub namespace: Option<String>,
}

/// How to tell the health of one kind of custom resource, in CEL.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheckExpr {
    /// API version; only its group counts.
    pub api_version: String,
    /// Kind; all of the group if unset.
    #[serde(default, deserialize_with = "set_text")]
    pub kind: Option<String>,
    /// True when it is as wanted.
    pub current: String,
    /// True while it is on its way.
    #[serde(default, deserialize_with = "set_text")]
    pub in_progress: Option<String>,
    /// True when it will not get there.
    #[serde(default, deserialize_with = "set_text")]
    pub failed: Option<String>,
}

/// A Kustomization that must be ready first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dependency {
    /// Name.
    pub name: String,
    /// Namespace; that of the dependent if unset.
    #[serde(default, deserialize_with = "set_text")]
    pub namespace: Option<String>,
    /// When it counts as ready, in CEL over `self` and `dep`.
    #[serde(default, deserialize_with = "set_text")]
    pub ready_expr: Option<String>,
}

/// A patch, and what to patch.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
pub struct Patch {
    /// The patch: YAML of a strategic merge or JSON 6902 patch.
    pub patch: String,
    /// What to patch; what the patch names if unset.
    #[serde(default)]
    pub target: Option<Selector>,
}

/// Which objects: all that match every field that is set.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Selector {
    /// API group, an anchored regular expression like all below.
    #[serde(deserialize_with = "set_text")]
    pub group: Option<String>,
    /// API version.
    #[serde(deserialize_with = "set_text")]
    pub version: Option<String>,
    /// Kind.
    #[serde(deserialize_with = "set_text")]
    pub kind: Option<String>,
    /// Name.
    #[serde(deserialize_with = "set_text")]
    pub name: Option<String>,
    /// Namespace.
    #[serde(deserialize_with = "set_text")]
    pub namespace: Option<String>,
    /// Label selector.
    #[serde(deserialize_with = "set_text")]
    pub label_selector: Option<String>,
    /// Label selector over annotations.
    #[serde(deserialize_with = "set_text")]
    pub annotation_selector: Option<String>,
}

/// An image to replace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// Name as it stands in the manifests.
    pub name: String,
    /// Name to write instead.
    #[serde(default, deserialize_with = "set_text")]
    pub new_name: Option<String>,
    /// Tag to write instead.
    #[serde(default, deserialize_with = "set_text")]
    pub new_tag: Option<String>,
    /// Digest to write instead of a tag.
    #[serde(default, deserialize_with = "set_text")]
    pub digest: Option<String>,
}

/// Labels and annotations for all objects.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(default)]
pub struct CommonMetadata {
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
}

/// What to do with the built text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PostBuild {
    /// Variables.
    pub substitute: BTreeMap<String, String>,
    /// Objects that hold variables; later ones win.
    pub substitute_from: Vec<SubstituteFrom>,
    /// When to substitute.
    pub substitute_strategy: SubstituteStrategy,
}

/// An object that holds variables.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
pub struct SubstituteFrom {
    /// `Secret` or `ConfigMap`.
    pub kind: VariableSource,
    /// Name.
    pub name: String,
    /// Whether it may be missing.
    #[serde(default)]
    pub optional: bool,
}

/// A kind that holds variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum VariableSource {
    /// Secret.
    Secret,
    /// ConfigMap.
    ConfigMap,
}

/// When to substitute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
pub enum SubstituteStrategy {
    /// If there is at least one variable.
    #[default]
    WithVariables,
    /// Without any, too.
    Always,
}

/// How to decrypt.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decryption {
    /// `sops`.
    pub provider: String,
    /// Keys.
    #[serde(default)]
    pub secret_ref: Option<SecretName>,
    /// Identity towards key services.
    #[serde(default, deserialize_with = "set_text")]
    pub service_account_name: Option<String>,
}

/// The name of a Secret in the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
pub struct SecretName {
    /// Name.
    pub name: String,
}

/// Another cluster: exactly one of the two.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KubeConfig {
    /// A Secret with a kubeconfig.
    #[serde(default)]
    pub secret_ref: Option<SecretKey>,
    /// A ConfigMap that says how to authenticate.
    #[serde(default)]
    pub config_map_ref: Option<LocalRef>,
}

/// A key of a Secret in the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
pub struct SecretKey {
    /// Name.
    pub name: String,
    /// Key; `value`, then `value.yaml` if unset.
    #[serde(default, deserialize_with = "set_text")]
    pub key: Option<String>,
}

/// Fields that others may change without being corrected.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
pub struct Ignore {
    /// JSON pointers.
    pub paths: Vec<String>,
    /// Of which objects; all if unset.
    #[serde(default)]
    pub target: Option<Selector>,
}

/// What is known of a [`Kustomization`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KustomizationStatus {
    /// Generation that was last reconciled to its end; -1 if none.
    pub observed_generation: i64,
    /// Value of the request annotation that was last answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// Conditions.
    pub conditions: Conditions,
    /// Revision that was applied, pruned and found healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_applied_revision: Option<String>,
    /// The revision that the artifact of the last applied one was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_applied_origin_revision: Option<String>,
    /// Revision that was last tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_attempted_revision: Option<String>,
    /// The objects in the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Inventory>,
    /// The last runs, newest first.
    #[serde(skip_serializing_if = "History::is_empty")]
    pub history: History,
}

/// The last runs, newest first, at most [`HISTORY_LIMIT`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct History(Vec<HistoryEntry>);

/// Longest [`History`].
pub const HISTORY_LIMIT: usize = 5;

/// Runs that built the same and ended the same way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// Digest of what was built.
    pub digest: String,
    /// When the first of them ended.
    pub first_reconciled: Time,
    /// When the last of them ended.
    pub last_reconciled: Time,
    /// How long the last of them took.
    pub last_reconciled_duration: Duration,
    /// How they ended: a reason of the Ready condition.
    pub last_reconciled_status: String,
    /// How many.
    pub total_reconciliations: i64,
    /// `revision`, and `originRevision` if known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

impl History {
    /// Notes a run: counted into the entry with the same digest and status, which moves to the front, or a new one.
    pub fn record(
        &mut self,
        digest: &str,
        status: &str,
        now: Time,
        took: Duration,
        metadata: BTreeMap<String, String>,
    ) {
        let known = self.0.iter().position(|entry| entry.digest == digest && entry.last_reconciled_status == status);
        let old = known.map(|position| self.0.remove(position));
        let entry = HistoryEntry {
            digest: digest.to_owned(),
            first_reconciled: old.as_ref().map_or(now, |old| old.first_reconciled),
            last_reconciled: now,
            last_reconciled_duration: took,
            last_reconciled_status: status.to_owned(),
            total_reconciliations: old.map_or(1, |old| old.total_reconciliations + 1),
            metadata,
        };
        self.0.insert(0, entry);
        self.0.truncate(HISTORY_LIMIT);
    }

    /// The newest entry.
    #[must_use]
    pub fn latest(&self) -> Option<&HistoryEntry> {
        self.0.first()
    }

    /// The entries, newest first.
    pub fn iter(&self) -> std::slice::Iter<'_, HistoryEntry> {
        self.0.iter()
    }

    /// Says whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use soll_yaml::parse_json;

    fn kustomization(spec: &str) -> Kustomization {
        let text = format!(
            r#"{{"metadata":{{"name":"a","namespace":"b"}},"spec":{{"prune":true,"sourceRef":{{"kind":"GitRepository","name":"s"}},{spec}}}}}"#
        );
        Kustomization::decode(&parse_json(text.as_bytes()).expect("JSON")).expect("a Kustomization")
    }

    #[test]
    fn timeout_follows_the_interval() {
        let timeout = |spec| kustomization(spec).timeout().to_string();
        assert_eq!(timeout(r#""interval":"10m""#), "9m30s");
        assert_eq!(timeout(r#""interval":"1m""#), "30s");
        assert_eq!(timeout(r#""interval":"10s""#), "30s");
        assert_eq!(timeout(r#""interval":"10m","timeout":"1m""#), "1m0s");
        assert_eq!(timeout(r#""interval":"10m","timeout":"5s""#), "30s");
    }

    #[test]
    fn references_default_to_the_own_namespace() {
        let ks = kustomization(r#""interval":"1m","dependsOn":[{"name":"x"},{"name":"y","namespace":"z"}]"#);
        assert_eq!(ks.source().to_string(), "GitRepository/b/s");
        let dependencies: Vec<_> = ks.dependencies().map(|dependency| dependency.to_string()).collect();
        assert_eq!(dependencies, ["Kustomization/b/x", "Kustomization/z/y"]);
    }

    #[test]
    fn empty_texts_are_unset() {
        let texts = |text: &str| {
            let spec = r#""interval":"1m","path":"","serviceAccountName":"","targetNamespace":"",
                "sourceRef":{"kind":"GitRepository","name":"s","namespace":"","apiVersion":""},
                "dependsOn":[{"name":"x","namespace":"","readyExpr":""}],
                "healthChecks":[{"kind":"Deployment","name":"d","namespace":"","apiVersion":""}],
                "images":[{"name":"i","newName":"","newTag":"","digest":""}],
                "patches":[{"patch":"p","target":{"group":"","kind":"","name":"","labelSelector":""}}],
                "kubeConfig":{"secretRef":{"name":"k","key":""}}"#;
            kustomization(&spec.replace("\"\"", text)).spec
        };
        assert_eq!(texts("\"\""), texts("null"));
    }

    #[test]
    fn mirror_prune_mirrors() {
        let mut ks = kustomization(r#""interval":"1m""#);
        for (policy, with_prune, without) in [
            (DeletionPolicy::MirrorPrune, true, false),
            (DeletionPolicy::Delete, true, true),
            (DeletionPolicy::WaitForTermination, true, true),
            (DeletionPolicy::Orphan, false, false),
        ] {
            ks.spec.deletion_policy = policy;
            ks.spec.prune = true;
            assert_eq!(ks.deletes_objects(), with_prune, "{policy:?}");
            ks.spec.prune = false;
            assert_eq!(ks.deletes_objects(), without, "{policy:?}");
        }
    }

    #[test]
    fn history_counts_equal_runs_and_forgets_old_ones() {
        let at = |second| Time::new(jiff::Timestamp::from_second(second).expect("a second"));
        let mut history = History::default();
        for (second, digest) in [(0, "a"), (1, "b"), (2, "a"), (3, "c"), (4, "d"), (5, "e"), (6, "f")] {
            history.record(digest, "ReconciliationSucceeded", at(second), Duration::from_secs(1), BTreeMap::new());
        }
        let digests: Vec<_> = history.iter().map(|entry| entry.digest.as_str()).collect();
        assert_eq!(digests, ["f", "e", "d", "c", "a"]);
        let oldest = history.iter().last().expect("five entries");
        assert_eq!((oldest.total_reconciliations, oldest.first_reconciled, oldest.last_reconciled), (2, at(0), at(2)));
    }
}
