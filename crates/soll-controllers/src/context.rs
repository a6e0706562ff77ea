//! What the controllers share: the cluster, what the watches know, and the ways to write and to say something.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use serde::Serialize;
use soll_api::{Conditions, Object, Status, Time, names, types};
use soll_cluster::{ApiError, Cluster, Memory, Patch};
use soll_tree::Tree;
use soll_yaml::{DecodeError, Value, from_value, to_value};

use crate::artifacts::Artifacts;
use crate::config::EngineConfig;
use crate::events::{Event, EventBus, Involved};
use crate::first_pass::FirstPass;
use crate::gitrepository::Remotes;
use crate::handle::{LocalRepositories, SshAgents};
use crate::kustomization::{Builds, LiveWatches, Runs};
use crate::leadership::Leadership;
use crate::memory::Objects;
use crate::metrics::Metrics;
use crate::runner::{Next, Waker};
use crate::schedule::Jitter;
use crate::status::{Said, merge_patch};
use crate::{Key, Kind};

/// What both controllers share.
pub(crate) struct Context {
    pub(crate) config: EngineConfig,
    pub(crate) cluster: Cluster,
    pub(crate) leadership: Leadership,
    pub(crate) objects: Objects,
    pub(crate) trees: Trees,
    pub(crate) artifacts: Artifacts,
    pub(crate) remotes: Remotes,
    /// What is known of applied objects, so that unchanged ones cost no call.
    pub(crate) live: Arc<Memory>,
    pub(crate) live_watches: LiveWatches,
    pub(crate) runs: Runs,
    pub(crate) builds: Builds,
    pub(crate) local: LocalRepositories,
    pub(crate) agents: SshAgents,
    pub(crate) waker: Waker,
    pub(crate) events: EventBus,
    pub(crate) metrics: Metrics,
    pub(crate) first_pass: Arc<FirstPass>,
}

/// A write of a status or a finalizer that did not come about. The object is tried again with backoff.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error("cannot write the {what} of {key}")]
    Api { what: &'static str, key: Key, source: Box<ApiError> },
    #[error("{0} is not ours to write any more: the lease is gone")]
    NotOurs(Key),
}

impl WriteError {
    /// Somebody else wrote first.
    pub(crate) fn is_conflict(&self) -> bool {
        match self {
            Self::Api { source, .. } => source.is_conflict(),
            Self::NotOurs(_) => false,
        }
    }
}

impl Context {
    /// The time, as status and events say it.
    pub(crate) fn now(&self) -> Time {
        Time::new(jiff::Timestamp::now())
    }

    /// The newest known state of an object.
    pub(crate) fn object(&self, key: &Key) -> Option<Object> {
        self.objects.get(key)
    }

    /// When an object that is as it ought to be is looked at again.
    pub(crate) fn at_interval(&self, interval: Duration) -> Next {
        Jitter::new(self.config.interval_jitter_percentage).after(interval, rand::random())
    }

    /// Says what a pass found, in the name of its object.
    pub(crate) fn say(&self, key: &Key, object: &Object, said: Vec<Said>) {
        for said in said {
            self.events.publish(Event {
                object: Involved {
                    kind: key.kind,
                    namespace: key.namespace.to_string(),
                    name: key.name.to_string(),
                    uid: object.uid().to_owned(),
                    resource_version: object.resource_version().to_owned(),
                },
                severity: said.severity,
                reason: said.reason,
                message: said.message,
                metadata: event_metadata(object, said.metadata),
                time: self.now(),
            });
        }
    }

    /// Writes a status, or nothing if it is what it was. Returns the object as it is then.
    pub(crate) async fn write_status<S: Serialize>(
        &self,
        key: &Key,
        object: Object,
        old: &S,
        new: &S,
    ) -> Result<Object, WriteError> {
        self.patch_status(key, object, (old, new), false).await
    }

    /// The same, refused by the server if the object is not any more as it was seen.
    pub(crate) async fn write_status_as_seen<S: Serialize>(
        &self,
        key: &Key,
        object: Object,
        old: &S,
        new: &S,
    ) -> Result<Object, WriteError> {
        self.patch_status(key, object, (old, new), true).await
    }

    async fn patch_status<S: Serialize>(
        &self,
        key: &Key,
        object: Object,
        (old, new): (&S, &S),
        as_seen: bool,
    ) -> Result<Object, WriteError> {
        let value = |status: &S| to_value(status).expect("a status is a plain structure");
        let Some(difference) = merge_patch(&value(old), &value(new)) else { return Ok(object) };
        self.check_ownership(key)?;
        let mut patch = Value::map();
        patch.make_map().insert("status", difference);
        if as_seen {
            let mut metadata = Value::map();
            metadata.make_map().insert("resourceVersion", Value::str(object.resource_version()));
            patch.make_map().insert("metadata", metadata);
        }
        let (gvk, manager, cluster) = (object.gvk(), manager(key.kind), self.fenced(key));
        let written = cluster.patch_status(&gvk, &key.namespace, &key.name, &Patch::Merge(patch), manager).await;
        self.note("status", key, written)
    }

    /// Says that an object does not fit its type; nothing else is done with it.
    ///
    /// The definitions require no `spec`, as Flux's do not. An object that lost it lets go of what it has made: nothing says
    /// any more that it may be pruned.
    pub(crate) async fn refuse_misfit(
        &self,
        key: &Key,
        object: Object,
        error: &DecodeError,
    ) -> Result<Next, WriteError> {
        tracing::warn!(%key, %error, "the object does not fit its type");
        if object.is_terminating() {
            if finalizers(&object).iter().any(|finalizer| finalizer.as_str() == Some(names::FINALIZER)) {
                self.remove_finalizer(key, &object).await?;
            }
            return Ok(Next::Await);
        }
        let conditions = object.value().lookup(&["status", "conditions"]);
        let old: Conditions = conditions.and_then(|conditions| from_value(conditions).ok()).unwrap_or_default();
        let mut new = old.clone();
        let (generation, message) = (object.generation().unwrap_or_default(), error.to_string());
        for (kind, status) in [(types::READY, Status::False), (types::STALLED, Status::True)] {
            new.set(kind, status, "InvalidSpec", &message, generation, self.now());
        }
        let status = |conditions: &Conditions| BTreeMap::from([("conditions", conditions.clone())]);
        self.write_status(key, object, &status(&old), &status(&new)).await?;
        Ok(Next::Await)
    }

    /// Adds our finalizer, so that nothing vanishes before we have cleaned up.
    pub(crate) async fn add_finalizer(&self, key: &Key, object: &Object) -> Result<Object, WriteError> {
        let mut finalizers = finalizers(object);
        finalizers.push(Value::str(names::FINALIZER));
        self.write_finalizers(key, object, finalizers).await
    }

    /// Takes our finalizer away: the object may vanish.
    pub(crate) async fn remove_finalizer(&self, key: &Key, object: &Object) -> Result<(), WriteError> {
        let mut finalizers = finalizers(object);
        finalizers.retain(|finalizer| finalizer.as_str() != Some(names::FINALIZER));
        match self.write_finalizers(key, object, finalizers).await {
            Err(WriteError::Api { source, .. }) if source.is_not_found() => Ok(()),
            other => other.map(|_| ()),
        }
    }

    async fn write_finalizers(&self, key: &Key, object: &Object, finalizers: Vec<Value>) -> Result<Object, WriteError> {
        self.check_ownership(key)?;
        let mut metadata = Value::map();
        // The list is replaced as a whole, so it must be the list that we saw.
        metadata.make_map().insert("resourceVersion", Value::str(object.resource_version()));
        metadata.make_map().insert("finalizers", Value::list(finalizers));
        let mut patch = Value::map();
        patch.make_map().insert("metadata", metadata);
        let (gvk, manager, cluster) = (object.gvk(), manager(key.kind), self.fenced(key));
        let written = cluster.patch(&gvk, &key.namespace, &key.name, &Patch::Merge(patch), manager).await;
        self.note("finalizers", key, written)
    }

    /// The cluster, written to only as long as an object is ours.
    pub(crate) fn fenced(&self, key: &Key) -> Cluster {
        self.cluster.fenced(self.leadership.fence(key))
    }

    /// Whether an object is ours to write at this moment; asked before each write.
    pub(crate) fn check_ownership(&self, key: &Key) -> Result<(), WriteError> {
        if self.leadership.holds(key) { Ok(()) } else { Err(WriteError::NotOurs(key.clone())) }
    }

    /// Remembers what a write returned; the watch will show it later.
    fn note(&self, what: &'static str, key: &Key, written: Result<Object, ApiError>) -> Result<Object, WriteError> {
        let written = written.map_err(|source| WriteError::Api { what, key: key.clone(), source: Box::new(source) })?;
        self.objects.update(key, &written);
        Ok(written)
    }
}

/// The field manager of status and finalizers.
fn manager(kind: Kind) -> &'static str {
    match kind {
        Kind::GitRepository => names::managers::SOURCE,
        Kind::Kustomization => names::managers::KUSTOMIZE_STATUS,
    }
}

fn finalizers(object: &Object) -> Vec<Value> {
    let finalizers = object.value().lookup(&["metadata", "finalizers"]).and_then(Value::as_list);
    finalizers.unwrap_or_default().to_vec()
}

/// What goes with an event: what was said, and the object's own annotations for events.
fn event_metadata(object: &Object, said: Vec<(&'static str, String)>) -> BTreeMap<String, String> {
    let annotations = object.value().lookup(&["metadata", "annotations"]).and_then(Value::as_map);
    let own = annotations.into_iter().flat_map(soll_yaml::Map::iter).filter_map(|entry| {
        let value = entry.value.as_str().filter(|_| entry.key.starts_with(names::EVENT_PREFIX))?;
        Some((entry.key.to_string(), value.to_owned()))
    });
    own.chain(said.into_iter().map(|(key, value)| (key.to_owned(), value))).collect()
}

/// The trees of the current artifacts, as the sources handed them over. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Trees {
    /// Guards the table for single look-ups and inserts.
    by_source: Arc<RwLock<HashMap<Key, (String, Tree)>>>,
}

impl Trees {
    /// Hands over the tree of a source's artifact with this digest, in place of the one before.
    pub(crate) fn put(&self, source: Key, digest: &str, tree: Tree) {
        let mut by_source = self.by_source.write().expect("no line that holds this lock panics");
        by_source.insert(source, (digest.to_owned(), tree));
    }

    /// The tree of a source's artifact with this digest, if it is at hand.
    pub(crate) fn get(&self, source: &Key, digest: &str) -> Option<Tree> {
        let by_source = self.by_source.read().expect("no line that holds this lock panics");
        by_source.get(source).filter(|(held, _)| held == digest).map(|(_, tree)| tree.clone())
    }

    /// Lets go of a source that is gone.
    pub(crate) fn forget(&self, source: &Key) {
        self.by_source.write().expect("no line that holds this lock panics").remove(source);
    }
}
