//! A running engine from outside: what happens, how things stand, and what to look at again.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use soll_api::{Conditions, Object, Status, types};
use soll_yaml::from_value;
use tokio::sync::{broadcast, watch};

use crate::events::{Event, EventBus};
use crate::memory::Objects;
use crate::runner::Waker;
use crate::{Key, Kind};

/// A running engine, seen from its process. Cheap to clone.
#[derive(Clone)]
pub struct EngineHandle {
    pub(crate) objects: Objects,
    pub(crate) events: EventBus,
    pub(crate) local: LocalRepositories,
    pub(crate) agents: SshAgents,
    pub(crate) waker: Waker,
}

/// How one toolkit object stands.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectState {
    /// Which.
    pub key: Key,
    /// The short of it.
    pub readiness: Readiness,
    /// The reason of its Ready condition.
    pub reason: String,
    /// The message of its Ready condition.
    pub message: String,
    /// The revision that is stored or applied, if one is.
    pub revision: Option<String>,
}

/// The short of how an object stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Readiness {
    /// Nothing is done for it.
    Suspended,
    /// Work goes on, or has not begun.
    Working,
    /// It waits for another object, and will be ready by itself.
    Blocked,
    /// All is as its spec says.
    Ready,
    /// It failed, and is tried again.
    Failing,
    /// It failed, and is not tried again before something changes.
    Stalled,
}

impl EngineHandle {
    /// What happens from now on. A listener that falls far behind loses the oldest events.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Arc<Event>> {
        self.events.subscribe()
    }

    /// Marks each change of [`EngineHandle::states`].
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.objects.changes()
    }

    /// How all toolkit objects stand, sources first, by namespace and name.
    #[must_use]
    pub fn states(&self) -> Vec<ObjectState> {
        let all = Kind::ALL.into_iter().flat_map(|kind| self.objects.of_kind(kind));
        all.map(|(key, object)| ObjectState::of(key, &object)).collect()
    }

    /// Says whether nothing is being reconciled and nothing is due at this moment.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.waker.depth().values().all(|depth| depth.waiting == 0 && depth.running == 0)
    }

    /// Has the GitRepository `namespace/name` read the repository at `path` directly, under the URL
    /// `http://localhost/<alias>`. Only commits count; [`EngineHandle::local_repository_changed`] has them noticed.
    pub fn add_local_repository(&self, alias: &str, path: &Path, namespace: &str, name: &str) {
        let owner = Key::new(Kind::GitRepository, namespace, name);
        self.local.add(alias, LocalRepository { path: path.to_owned(), owner: owner.clone() });
        self.waker.wake(owner);
    }

    /// Lets the GitRepository `namespace/name`, and no other one, use the keys of the ssh-agent behind a socket.
    pub fn use_ssh_agent(&self, socket: &Path, namespace: &str, name: &str) {
        self.agents.add(Key::new(Kind::GitRepository, namespace, name), socket.to_owned());
    }

    /// Has a local repository looked at now.
    pub fn local_repository_changed(&self, alias: &str) {
        if let Some(repository) = self.local.get(alias) {
            self.waker.wake(repository.owner);
        }
    }

    /// Has an object reconciled now, as when its interval ends.
    pub fn wake(&self, key: &Key) {
        self.waker.wake(key.clone());
    }
}

impl ObjectState {
    fn of(key: Key, object: &Object) -> Self {
        let status = |keys: &[&str]| {
            let path: Vec<&str> = std::iter::once("status").chain(keys.iter().copied()).collect();
            object.value().lookup(&path).cloned()
        };
        let conditions = status(&["conditions"]).and_then(|value| from_value::<Conditions>(&value).ok());
        let conditions = conditions.unwrap_or_default();
        let ready = conditions.get(types::READY);
        let revision = match key.kind {
            Kind::GitRepository => status(&["artifact", "revision"]),
            Kind::Kustomization => status(&["lastAppliedRevision"]),
        };
        let observed = status(&["observedGeneration"]).and_then(|value| value.as_i64());
        let current = observed.is_some() && observed == object.generation();
        let suspended = object.value().lookup(&["spec", "suspend"]).and_then(soll_yaml::Value::as_bool);
        let readiness = match ready {
            _ if suspended == Some(true) => Readiness::Suspended,
            _ if conditions.is_true(types::STALLED) => Readiness::Stalled,
            Some(ready) if ready.status == Status::True && current => Readiness::Ready,
            Some(ready) if ready.status == Status::False && is_blocked(&ready.reason, &ready.message) => {
                Readiness::Blocked
            }
            Some(ready) if ready.status == Status::False => Readiness::Failing,
            Some(_) | None => Readiness::Working,
        };
        let text = |text: fn(&soll_api::Condition) -> &String| ready.map(text).cloned().unwrap_or_default();
        Self {
            key,
            readiness,
            reason: text(|ready| &ready.reason),
            message: text(|ready| &ready.message),
            revision: revision.and_then(|value| value.as_str().map(str::to_owned)),
        }
    }
}

/// Whether an object waits for one that has not come yet.
fn is_blocked(reason: &str, message: &str) -> bool {
    reason == "DependencyNotReady" || (reason == "ArtifactFailed" && message.contains("retrying in"))
}

/// Repositories on this machine that stand under a portless localhost URL. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct LocalRepositories {
    /// Guards the table for single look-ups and inserts.
    by_alias: Arc<RwLock<HashMap<String, LocalRepository>>>,
}

/// The ssh-agents that GitRepositories may use: what a person may, a tenant's object may not. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct SshAgents {
    /// Guards the table for single look-ups and inserts.
    sockets: Arc<RwLock<HashMap<Key, PathBuf>>>,
}

impl SshAgents {
    fn add(&self, user: Key, socket: PathBuf) {
        self.sockets.write().expect("no line that holds this lock panics").insert(user, socket);
    }

    /// The socket of the agent that a GitRepository may use.
    pub(crate) fn of(&self, user: &Key) -> Option<PathBuf> {
        self.sockets.read().expect("no line that holds this lock panics").get(user).cloned()
    }
}

/// A repository on this machine, and the one object that may read it.
#[derive(Debug, Clone)]
pub(crate) struct LocalRepository {
    pub(crate) path: PathBuf,
    pub(crate) owner: Key,
}

impl LocalRepositories {
    fn add(&self, alias: &str, repository: LocalRepository) {
        let mut by_alias = self.by_alias.write().expect("no line that holds this lock panics");
        by_alias.insert(alias.to_owned(), repository);
    }

    fn get(&self, alias: &str) -> Option<LocalRepository> {
        self.by_alias.read().expect("no line that holds this lock panics").get(alias).cloned()
    }

    /// The directory that a GitRepository's URL stands for, if it is one of ours and that object may read it.
    pub(crate) fn path(&self, url: &str, reader: &Key) -> Option<PathBuf> {
        let alias = url.strip_prefix("http://localhost/")?;
        self.get(alias).filter(|repository| repository.owner == *reader).map(|repository| repository.path)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_local_repository_is_for_its_owner_only() {
        let local = LocalRepositories::default();
        let owner = Key::new(Kind::GitRepository, "flux-system", "sample");
        local.add("sample", LocalRepository { path: "/tmp/sample".into(), owner: owner.clone() });
        assert_eq!(local.path("http://localhost/sample", &owner).unwrap(), Path::new("/tmp/sample"));
        assert_eq!(local.path("http://localhost/sample", &Key::new(Kind::GitRepository, "apps", "thief")), None);
        assert_eq!(local.path("http://localhost:80/sample", &owner), None);
        assert_eq!(local.path("http://localhost/other", &owner), None);
    }

    #[test]
    fn readiness_is_about_the_current_generation() {
        let readiness = |status: &str| {
            let text = format!(
                r#"{{"apiVersion":"kustomize.toolkit.fluxcd.io/v1","kind":"Kustomization",
                    "metadata":{{"name":"a","namespace":"b","generation":2}},"status":{status}}}"#
            );
            let object = Object::new(soll_yaml::parse_json(text.as_bytes()).unwrap()).unwrap();
            ObjectState::of(Key::new(Kind::Kustomization, "b", "a"), &object).readiness
        };
        let condition = |r#type: &str, status: &str, reason: &str| {
            format!(
                r#"{{"type":"{type}","status":"{status}","reason":"{reason}","message":"m","lastTransitionTime":"2026-01-01T00:00:00Z"}}"#
            )
        };
        let ready = condition("Ready", "True", "ReconciliationSucceeded");
        let failed = condition("Ready", "False", "BuildFailed");
        let stalled = condition("Stalled", "True", "AccessDenied");
        let blocked = condition("Ready", "False", "DependencyNotReady");
        assert_eq!(readiness("{}"), Readiness::Working);
        assert_eq!(readiness(&format!(r#"{{"observedGeneration":2,"conditions":[{ready}]}}"#)), Readiness::Ready);
        assert_eq!(readiness(&format!(r#"{{"observedGeneration":1,"conditions":[{ready}]}}"#)), Readiness::Working);
        assert_eq!(readiness(&format!(r#"{{"observedGeneration":1,"conditions":[{failed}]}}"#)), Readiness::Failing);
        assert_eq!(readiness(&format!(r#"{{"conditions":[{blocked}]}}"#)), Readiness::Blocked);
        assert_eq!(readiness(&format!(r#"{{"conditions":[{stalled},{failed}]}}"#)), Readiness::Stalled);
    }
}
