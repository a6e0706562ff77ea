//! The table of behaviours: where this engine does better than Flux by default, and how to have Flux's way.
//!
//! A row has a flag and, where it makes sense per object, an annotation on the toolkit object. `--compat=flux` sets every
//! row to Flux's value at once.

use soll_api::Object;

/// One behaviour: a row of [`TABLE`].
#[derive(Debug, Clone, Copy)]
pub struct Behaviour {
    /// The name, also of the flag (`--drift-by-events=false`) and, after the domain, of the annotation.
    pub name: &'static str,
    /// Whether an object can choose by annotation `soll.dev/<name>: enabled | disabled`.
    pub per_object: bool,
    /// Our default.
    pub default: bool,
    /// What Flux does.
    pub flux: bool,
    /// What it means when it is on.
    pub sentence: &'static str,
    get: fn(&mut Behaviours) -> &mut bool,
}

/// Which behaviours are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behaviours {
    /// See [`TABLE`], as for the others.
    pub drift_by_events: bool,
    /// What another Kustomization builds is not pruned.
    pub hand_over: bool,
    /// A newer revision ends the wait for health.
    pub newer_revision_ends_wait: bool,
    /// Ready keeps its value during a pass.
    pub steady_ready: bool,
    /// Dependents are reconciled when a dependency becomes Ready.
    pub push_dependents: bool,
    /// A stage that only creates objects is applied without a dry run.
    pub create_without_dry_run: bool,
    /// Unchanged inputs are not built or compared again.
    pub skip_unchanged: bool,
}

/// Every behaviour, by name.
pub const TABLE: &[Behaviour] = &[
    Behaviour {
        name: "create-without-dry-run",
        per_object: true,
        default: true,
        flux: false,
        sentence: "A stage that only creates objects is applied without a dry run first.",
        get: |on| &mut on.create_without_dry_run,
    },
    Behaviour {
        name: "drift-by-events",
        per_object: true,
        default: true,
        flux: false,
        sentence: "Drift is corrected when it happens; else at the interval.",
        get: |on| &mut on.drift_by_events,
    },
    Behaviour {
        name: "hand-over",
        per_object: true,
        default: true,
        flux: false,
        sentence: "What leaves one Kustomization and is built by another is left to that; else it may be deleted and made anew.",
        get: |on| &mut on.hand_over,
    },
    Behaviour {
        name: "newer-revision-ends-wait",
        per_object: true,
        default: true,
        flux: false,
        sentence: "A newer revision ends the wait for the health of the one before.",
        get: |on| &mut on.newer_revision_ends_wait,
    },
    Behaviour {
        name: "push-dependents",
        per_object: false,
        default: true,
        flux: false,
        sentence: "Whoever depends on an object is reconciled when it becomes Ready; else by polling.",
        get: |on| &mut on.push_dependents,
    },
    Behaviour {
        name: "skip-unchanged",
        per_object: true,
        default: true,
        flux: false,
        sentence: "What was built from the same inputs with success is not built and compared again.",
        get: |on| &mut on.skip_unchanged,
    },
    Behaviour {
        name: "steady-ready",
        per_object: true,
        default: true,
        flux: false,
        sentence: "Ready keeps its value during a pass and changes with its result only.",
        get: |on| &mut on.steady_ready,
    },
];

impl Behaviours {
    /// Flux's value in every row.
    #[must_use]
    pub fn flux() -> Self {
        let mut behaviours = Self::default();
        for row in TABLE {
            *(row.get)(&mut behaviours) = row.flux;
        }
        behaviours
    }

    /// Sets the row of this name.
    ///
    /// # Errors
    /// Names the rows there are if it is none of them.
    pub fn set(&mut self, name: &str, on: bool) -> Result<(), UnknownBehaviour> {
        let row = TABLE.iter().find(|row| row.name == name);
        let row = row.ok_or_else(|| UnknownBehaviour { name: name.to_owned() })?;
        *(row.get)(self) = on;
        Ok(())
    }

    /// Whether the row of this name is on; `None` if there is none.
    #[must_use]
    pub fn get(mut self, name: &str) -> Option<bool> {
        let row = TABLE.iter().find(|row| row.name == name)?;
        Some(*(row.get)(&mut self))
    }

    /// These behaviours, as the annotations of one object change them. Other values than `enabled` and `disabled` change
    /// nothing.
    #[must_use]
    pub fn of_object(mut self, object: &Object) -> Self {
        for row in TABLE.iter().filter(|row| row.per_object) {
            match object.annotation(&format!("{}/{}", soll_api::DOMAIN, row.name)) {
                Some("enabled") => *(row.get)(&mut self) = true,
                Some("disabled") => *(row.get)(&mut self) = false,
                Some(_) | None => {}
            }
        }
        self
    }
}

impl Default for Behaviours {
    fn default() -> Self {
        let mut behaviours = Self {
            drift_by_events: false,
            hand_over: false,
            newer_revision_ends_wait: false,
            steady_ready: false,
            push_dependents: false,
            create_without_dry_run: false,
            skip_unchanged: false,
        };
        for row in TABLE {
            *(row.get)(&mut behaviours) = row.default;
        }
        behaviours
    }
}

/// A name that is in no row of [`TABLE`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown behaviour `{name}`; known are {}", TABLE.iter().map(|row| row.name).collect::<Vec<_>>().join(", "))]
pub struct UnknownBehaviour {
    /// The name that was given.
    pub name: String,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_table_is_sorted_and_each_row_has_its_own_switch() {
        assert!(TABLE.is_sorted_by_key(|row| row.name));
        for row in TABLE {
            let mut behaviours = Behaviours::default();
            behaviours.set(row.name, !row.default).unwrap();
            let changed = TABLE.iter().filter(|other| behaviours.get(other.name) != Some(other.default));
            let changed: Vec<_> = changed.map(|other| other.name).collect();
            assert_eq!(changed, [row.name], "a switch moves its own row");
        }
    }

    #[test]
    fn compat_flux_sets_every_row() {
        let behaviours = Behaviours::flux();
        assert!(TABLE.iter().all(|row| behaviours.get(row.name) == Some(row.flux)));
    }

    #[test]
    fn an_annotation_decides_for_its_object() {
        let text = br#"{"apiVersion":"v1","kind":"A","metadata":{"name":"a","annotations":{
            "soll.dev/drift-by-events":"disabled","soll.dev/push-dependents":"disabled","soll.dev/steady-ready":"no"}}}"#;
        let object = Object::new(soll_yaml::parse_json(text).unwrap()).unwrap();
        let behaviours = Behaviours::default().of_object(&object);
        assert!(!behaviours.drift_by_events);
        assert!(behaviours.push_dependents, "this one is for the process, not for an object");
        assert!(behaviours.steady_ready, "a value that means nothing changes nothing");
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = Behaviours::default().set("drift", true).unwrap_err().to_string();
        assert!(error.starts_with("unknown behaviour `drift`; known are create-without-dry-run, drift-by-events, "));
    }
}
