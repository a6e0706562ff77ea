//! What an apply would do, without doing it.

use std::collections::{HashMap, HashSet};

use futures::StreamExt;
use soll_api::{Failure, Object, ObjectRef};
use soll_plan::{ApplySettings, Attempt, Skip, Stage};
use soll_yaml::Sources;

use super::look::Step;
use super::{Applier, Run, defined_kind};
use crate::ApiError;

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
    /// Every object is read and tried; nothing is written, and memory is not asked.
    pub async fn preview(&self, stages: &[Stage], settings: &ApplySettings, sources: &Sources) -> Vec<Preview> {
        // Kinds that only this apply would define are not waited for.
        let run = Run::new(self, settings, sources, HashSet::new());
        let mut previews = Vec::new();
        let mut coming = Coming::default();
        for stage in stages {
            let looks: Vec<_> = stage.objects().iter().map(|desired| run.preview(desired, &coming)).collect();
            let seen: Vec<_> = futures::stream::iter(looks).buffered(self.options.concurrency).collect().await;
            for preview in &seen {
                coming.note(preview);
            }
            previews.extend(seen);
        }
        previews
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

/// What earlier stages would create that later objects cannot do without.
#[derive(Default)]
struct Coming {
    namespaces: HashMap<String, ObjectRef>,
    kinds: HashMap<(String, String), ObjectRef>,
}

impl Coming {
    fn note(&mut self, preview: &Preview) {
        if !matches!(preview.outcome, Outcome::Created { .. } | Outcome::Recreated { .. }) {
            return;
        }
        let object = &preview.desired;
        if object.api_version() == "v1" && object.kind() == "Namespace" {
            self.namespaces.insert(object.name().to_owned(), object.object_ref());
        }
        if let Some(kind) = defined_kind(object) {
            self.kinds.insert(kind, object.object_ref());
        }
    }

    fn needed(&self, desired: &Object) -> Option<&ObjectRef> {
        let kind = (desired.group().to_owned(), desired.kind().to_owned());
        self.kinds.get(&kind).or_else(|| self.namespaces.get(desired.namespace()))
    }
}
