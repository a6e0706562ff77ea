//! What an apply would do, without doing it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::StreamExt;
use soll_api::{Failure, Object, ObjectRef};
use soll_plan::{ApplySettings, Attempt, Skip, Stage};
use soll_yaml::Sources;

use super::look::Step;
use super::{Applier, Run, defined_kind, is_namespace};
use crate::{ApiError, ApplyOptions, Cluster, Fork};

/// What an apply would do with one object.
#[derive(Debug, Clone)]
pub struct Preview {
    /// The object as it would be applied.
    pub desired: Object,
    /// What would become of it.
    pub outcome: Outcome,
}

/// What would become of an object.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// Nothing.
    Unchanged,
    /// It is left alone.
    Skipped(Skip),
    /// It would be created.
    Created {
        /// As the server would make it.
        after: Object,
    },
    /// It would be changed.
    Changed {
        /// As it is.
        before: Object,
        /// As it would be.
        after: Object,
    },
    /// It would be deleted and made anew.
    Recreated {
        /// As it is.
        before: Object,
    },
    /// Nobody can tell before something that the same apply creates is there.
    Unknown {
        /// The definition or namespace that must come first.
        until: ObjectRef,
    },
    /// The server would refuse it.
    Refused(Box<Failure>),
}

impl Applier {
    /// Says what an apply of these stages would do, object by object, in the order of applying.
    ///
    /// Every object is read and tried; nothing is written, and memory is not asked. What needs a namespace or a definition that
    /// is still to come is tried where those can be made: on a fork, if the server makes some.
    pub async fn preview(&self, stages: &[Stage], settings: &ApplySettings, sources: &Sources) -> Vec<Preview> {
        let mut previews = Vec::new();
        let mut coming = Coming::default();
        let mut rehearsal = Rehearsal::NotNeeded;
        for stage in stages {
            if stage.objects().iter().any(|desired| coming.concerns(desired)) {
                rehearsal.make(self, &mut coming, settings).await;
            }
            // Kinds that only this apply would define are not waited for.
            let run = Run::new(rehearsal.applier().unwrap_or(self), settings, sources, HashSet::new());
            let looks: Vec<_> = stage.objects().iter().map(|desired| run.preview(desired, &coming)).collect();
            let seen: Vec<_> = futures::stream::iter(looks).buffered(self.options.concurrency).collect().await;
            for preview in &seen {
                coming.note(preview);
            }
            previews.extend(seen);
        }
        rehearsal.end().await;
        previews
    }
}

/// Where that can be tried which needs something that is still to come.
enum Rehearsal {
    NotNeeded,
    Impossible,
    On(Box<(Fork, Applier)>),
}

impl Rehearsal {
    fn applier(&self) -> Option<&Applier> {
        match self {
            Self::On(fork) => Some(&fork.1),
            Self::NotNeeded | Self::Impossible => None,
        }
    }

    /// Makes what is still to come, where that can be done.
    async fn make(&mut self, original: &Applier, coming: &mut Coming, settings: &ApplySettings) {
        if let Self::NotNeeded = self {
            let fork = original.cluster.fork().await.unwrap_or_else(|error| {
                tracing::warn!(%error, "there is no fork of the cluster to try on what needs something new");
                None
            });
            *self = fork.map_or(Self::Impossible, |fork| {
                let applier = Applier::new(fork.cluster().clone(), Arc::default(), original.options);
                Self::On(Box::new((fork, applier)))
            });
        }
        if let Some(applier) = self.applier() {
            coming.make(&applier.cluster, &ApplyOptions::forced(&settings.managers.ours)).await;
        }
    }

    async fn end(self) {
        if let Self::On(fork) = self
            && let Err(error) = fork.0.end().await
        {
            tracing::debug!(%error, "the fork is left to end by itself");
        }
    }
}

impl Run<'_> {
    async fn preview(&self, desired: &Object, coming: &Coming) -> Preview {
        let outcome = match coming.needed(desired) {
            Some(until) => Outcome::Unknown { until: until.clone() },
            None => self.outcome(desired).await.unwrap_or_else(|failure| Outcome::Refused(Box::new(failure))),
        };
        Preview { desired: desired.clone(), outcome }
    }

    async fn outcome(&self, desired: &Object) -> Result<Outcome, Failure> {
        Ok(match self.look_at_live(desired).await? {
            Step::Remembered | Step::Recalled(_) | Step::Unchanged(_) => Outcome::Unchanged,
            Step::Skip(skip) => Outcome::Skipped(skip),
            Step::Create => {
                let created: Result<Object, ApiError> =
                    self.applier.cluster.apply(desired, &self.options().dry()).await;
                let after = created.map_err(|error| self.refuse(&error, Attempt::DryRun, desired))?;
                Outcome::Created { after }
            }
            Step::Change { live, dry_run, .. } => Outcome::Changed { before: live, after: dry_run },
            Step::Recreate { live } => Outcome::Recreated { before: live },
        })
    }
}

/// What earlier stages would make, without which later objects cannot be tried, or not as they will be.
#[derive(Default)]
struct Coming {
    /// All of it, in the order of applying, until it was made.
    unmade: Vec<Object>,
    /// What is not there yet.
    namespaces: HashMap<String, ObjectRef>,
    kinds: HashMap<Kind, ObjectRef>,
    /// Kinds that are there and would be defined otherwise.
    redefined: HashSet<Kind>,
}

/// Group and kind.
type Kind = (String, String);

impl Coming {
    fn note(&mut self, preview: &Preview) {
        let object = &preview.desired;
        let kind = defined_kind(object);
        if !is_namespace(object) && kind.is_none() {
            return;
        }
        match preview.outcome {
            Outcome::Created { .. } | Outcome::Recreated { .. } if kind.is_none() => {
                self.namespaces.insert(object.name().to_owned(), object.object_ref());
            }
            Outcome::Created { .. } | Outcome::Recreated { .. } => {
                self.kinds.extend(kind.map(|kind| (kind, object.object_ref())));
            }
            Outcome::Changed { .. } => self.redefined.extend(kind),
            _ => return,
        }
        // Nobody can tell what goes with a namespace or a definition before it is made anew.
        if !matches!(preview.outcome, Outcome::Recreated { .. }) {
            self.unmade.push(object.clone());
        }
    }

    /// What must be there before an object can be tried.
    fn needed(&self, desired: &Object) -> Option<&ObjectRef> {
        self.kinds.get(&kind_of(desired)).or_else(|| self.namespaces.get(desired.namespace()))
    }

    /// Says whether an object is tried better when this was made.
    fn concerns(&self, desired: &Object) -> bool {
        self.needed(desired).is_some() || self.redefined.contains(&kind_of(desired))
    }

    /// Makes it; what cannot be made is still to come.
    async fn make(&mut self, cluster: &Cluster, options: &ApplyOptions) {
        for object in std::mem::take(&mut self.unmade) {
            if let Err(error) = cluster.apply(&object, options).await {
                tracing::debug!(object = %object.object_ref(), %error, "it cannot be made to try others");
                continue;
            }
            match defined_kind(&object) {
                Some(kind) => drop(self.kinds.remove(&kind)),
                None => drop(self.namespaces.remove(object.name())),
            }
        }
    }
}

fn kind_of(object: &Object) -> Kind {
    (object.group().to_owned(), object.kind().to_owned())
}
