//! The one applier: carries out what `soll-plan` decides, stage by stage.
//!
//! Read [`Applier::apply`]; each stage is looked at ([`look`]), written ([`write`]) and, where later
//! stages build on it, waited for ([`wait`]). [`prune`] removes what left the build, wherever ([`whereabouts`])
//! it is by now.

mod look;
mod preview;
mod prune;
mod wait;
mod whereabouts;
mod write;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use soll_api::{Failure, Object, ObjectRef};
use soll_plan::{Action, ApplySettings, Attempt, ChangeSet, Refusal, RefusalCause, Stage};
use soll_yaml::Sources;

use look::Step;
pub use preview::{Outcome, Preview};
pub use prune::{Pruned, StillOwned};

use crate::{ApiError, Cluster, Identity, Memory, Observed};

/// Applies and prunes on one cluster, as one identity.
#[derive(Debug, Clone)]
pub struct Applier {
    cluster: Cluster,
    memory: Arc<Memory>,
    options: ApplierOptions,
}

/// How an applier goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApplierOptions {
    /// How many objects are looked at at once, as `--concurrent-ssa`.
    pub concurrency: usize,
    /// Whether what memory vouches for is asked about all the same.
    pub trust: Trust,
    /// Whether a stage that only creates is tried first.
    pub creation: Creation,
}

/// Whether memory may vouch for objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trust {
    /// An unchanged object costs no call.
    #[default]
    Memory,
    /// Every object is read and compared.
    Nothing,
}

/// How a stage is applied that only creates objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Creation {
    /// At once.
    #[default]
    Direct,
    /// After a dry run of all, as Flux does.
    DryRunFirst,
}

impl Default for ApplierOptions {
    fn default() -> Self {
        Self { concurrency: 4, trust: Trust::default(), creation: Creation::default() }
    }
}

/// What an apply did.
#[derive(Debug, Clone, Default)]
pub struct Applied {
    /// What became of each object, in the order of acting.
    pub changes: ChangeSet,
    /// The objects that health is checked of.
    pub checked: Vec<AppliedObject>,
    /// Objects that somebody wrote to while this went on: look again soon.
    pub overtaken: Vec<ObjectRef>,
}

/// One object as an apply left it.
#[derive(Debug, Clone, PartialEq)]
pub struct AppliedObject {
    /// Which.
    pub object: ObjectRef,
    /// API version without the group.
    pub version: String,
    /// What became of it.
    pub action: Action,
    /// Its uid.
    pub uid: String,
    /// The version it was left at.
    pub resource_version: String,
    /// How the server showed it then to the identity that applies; nothing if it did not ask.
    pub live: Option<Object>,
    /// How the server showed it to the controller itself. Others may conclude from it that nothing needs doing, and
    /// nothing else: it may hold what the identity that applies may not read.
    pub listed: Option<Object>,
}

/// An apply that did not reach its end.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{failure}")]
pub struct ApplyFailure {
    /// Why; its message is followed by the changes of the stages that were completed, as Flux prints them.
    pub failure: Failure,
    /// All that was done before, the changes of the failed stage included.
    pub changes: ChangeSet,
}

/// One object after its turn.
struct Written {
    left: AppliedObject,
    since: Observed,
}

/// What one run of the applier needs to know in all its steps.
struct Run<'r> {
    applier: &'r Applier,
    settings: &'r ApplySettings,
    sources: &'r Sources,
    /// Group and kind of the CRDs in this run: the server may take a moment to serve them.
    expected: HashSet<(String, String)>,
    /// Namespaces that this run created: nothing can be in them that would have to be read first.
    fresh_namespaces: HashSet<String>,
    /// Group and kind of the CRDs that this run created.
    fresh_kinds: HashSet<(String, String)>,
    /// The server stopped answering: what was not begun is not worth a try.
    gone: AtomicBool,
}

impl Applier {
    /// An applier that acts as the cluster's identity and shares what is remembered of the cluster.
    ///
    /// Cheap: made for each run, with the identity of that run.
    #[must_use]
    pub fn new(cluster: Cluster, memory: Arc<Memory>, options: ApplierOptions) -> Self {
        let concurrency = options.concurrency.max(1);
        Self { cluster, memory, options: ApplierOptions { concurrency, ..options } }
    }

    /// The cluster, as the identity that applies.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// What is remembered of the cluster.
    #[must_use]
    pub fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// Brings the objects of all stages in line, stage by stage.
    ///
    /// Of each stage all objects are looked at before any is written, and if one cannot be applied none
    /// is; a stage that only creates goes without that. What memory vouches for costs no call.
    ///
    /// # Errors
    /// The first object that could not be applied, with the line that caused it.
    ///
    /// # Cancel safety
    /// Objects are written one by one in order; the next apply repairs what is missing.
    pub async fn apply(
        &self,
        stages: Vec<Stage>,
        settings: &ApplySettings,
        sources: &Sources,
    ) -> Result<Applied, ApplyFailure> {
        let expected = stages.iter().flat_map(Stage::objects).filter_map(defined_kind).collect();
        let mut run = Run::new(self, settings, sources, expected);
        let mut applied = Applied::default();
        for stage in stages {
            let completed = applied.changes.event();
            if let Err(mut failure) = run.apply_stage(&stage, &mut applied).await {
                if !completed.is_empty() {
                    failure.message = format!("{}\n{completed}", failure.message);
                }
                return Err(ApplyFailure { failure, changes: applied.changes });
            }
        }
        Ok(applied)
    }
}

impl<'r> Run<'r> {
    fn new(
        applier: &'r Applier,
        settings: &'r ApplySettings,
        sources: &'r Sources,
        expected: HashSet<(String, String)>,
    ) -> Self {
        Self {
            applier,
            settings,
            sources,
            expected,
            fresh_namespaces: HashSet::new(),
            fresh_kinds: HashSet::new(),
            gone: AtomicBool::new(false),
        }
    }

    async fn apply_stage(&mut self, stage: &Stage, applied: &mut Applied) -> Result<(), Failure> {
        let steps = self.look_at_all(stage.objects()).await?;
        let mut written = Vec::with_capacity(steps.len());
        let mut work = stage.objects().iter().zip(steps).peekable();
        while let Some((first, _)) = work.peek() {
            // Order matters between kinds. Within one, writing side by side is as good and takes less time.
            let (group, kind) = (first.group(), first.kind());
            let same = |(desired, _): &(&Object, Step)| desired.group() == group && desired.kind() == kind;
            let batch: Vec<_> = std::iter::from_fn(|| work.next_if(same)).collect();
            for object in self.write_all(batch).await {
                let object = object?;
                applied.changes.push(object.left.object.clone(), &object.left.version, object.left.action);
                if object.since == Observed::Disturbed {
                    applied.overtaken.push(object.left.object.clone());
                }
                written.push(object);
            }
        }
        if stage.waits() {
            self.wait_for(stage.objects(), &written).await?;
        }
        self.note_created(stage.objects(), &written);
        let left = written.into_iter().map(|object| object.left);
        applied.checked.extend(left.filter(|object| object.action != Action::Skipped));
        Ok(())
    }

    /// Notes what was created that later objects live in, or are of.
    fn note_created(&mut self, objects: &[Object], written: &[Written]) {
        let created = objects.iter().zip(written).filter(|(_, written)| written.left.action == Action::Created);
        for (object, _) in created {
            if is_namespace(object) {
                self.fresh_namespaces.insert(object.name().to_owned());
            }
            self.fresh_kinds.extend(defined_kind(object));
        }
    }

    /// Says whether an object cannot exist yet, so that reading it would be in vain.
    fn is_fresh(&self, desired: &Object) -> bool {
        let kind = (desired.group().to_owned(), desired.kind().to_owned());
        self.fresh_namespaces.contains(desired.namespace()) || self.fresh_kinds.contains(&kind)
    }

    /// The failure for an object that the server refused.
    fn refuse(&self, error: &ApiError, attempt: Attempt, object: &Object) -> Failure {
        self.refuse_change(error, attempt, object, None)
    }

    /// The failure for an object that the server refused to change from what it is.
    fn refuse_change(&self, error: &ApiError, attempt: Attempt, object: &Object, live: Option<&Object>) -> Failure {
        if error.is_unreachable() && error.status().is_none() {
            self.gone.store(true, Ordering::Relaxed);
        }
        let mut failure = refuse(error, attempt, object, live, self.sources);
        if let Some(identity) = self.applier.cluster.identity().filter(|_| error.is_forbidden()) {
            failure.hint = Some(what_to_allow(identity, object));
        }
        failure
    }
}

/// The failure for an object that the server refused, in Flux's words, with the line that caused it.
fn refuse(error: &ApiError, attempt: Attempt, object: &Object, live: Option<&Object>, sources: &Sources) -> Failure {
    let message = match error {
        ApiError::NoNamespace(gvk) => format!("{} objects live in namespaces", gvk.kind),
        _ => error.to_string(),
    };
    let causes: Vec<_> = error
        .causes()
        .iter()
        .map(|cause| RefusalCause { kind: &cause.reason, field: &cause.field, message: &cause.message })
        .collect();
    let code = if matches!(error, ApiError::NoNamespace(_)) { 404 } else { error.code() };
    let reason = if error.status().is_some() { error.reason() } else { "" };
    let refusal = Refusal { code, reason, message: &message, causes: &causes };
    let mut failure = refusal.failure(attempt, object, live, sources);
    failure.class = error.class();
    failure
}

/// What has to be allowed so that an identity may apply an object.
fn what_to_allow(identity: &Identity, object: &Object) -> String {
    let who = match identity.user.strip_prefix("system:serviceaccount:").and_then(|name| name.split_once(':')) {
        Some((namespace, name)) => format!("ServiceAccount/{namespace}/{name}, which applies this,"),
        None => format!("user {}, who applies this,", identity.user),
    };
    let of = if object.group().is_empty() { String::new() } else { format!(" of group {}", object.group()) };
    let (place, binding) = match object.namespace() {
        "" => (String::new(), "ClusterRoleBinding"),
        namespace => (format!(" in namespace {namespace}"), "RoleBinding"),
    };
    format!(
        "{who} needs get, create, patch and delete for kind {}{of}{place}: a {binding} gives it that, if it is meant to",
        object.kind(),
    )
}

fn is_namespace(object: &Object) -> bool {
    object.api_version() == "v1" && object.kind() == "Namespace"
}

/// Group and kind that a CRD defines; nothing if the object is none.
#[must_use]
pub fn defined_kind(object: &Object) -> Option<(String, String)> {
    if object.kind() != "CustomResourceDefinition" {
        return None;
    }
    let group = object.value().lookup_str(&["spec", "group"])?;
    let kind = object.value().lookup_str(&["spec", "names", "kind"])?;
    Some((group.to_owned(), kind.to_owned()))
}
