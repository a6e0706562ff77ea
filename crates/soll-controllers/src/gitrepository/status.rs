//! What a pass over a GitRepository means for its status and events: pure, from the pass's outcome.

use soll_api::{Artifact, Conditions, Failure, GitRepository, GitRepositoryStatus, Retry, Status, Time, names, types};

use crate::events::Severity;
use crate::status::{Report, Said};

/// How a pass ended.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// The remote has what is stored.
    Unchanged,
    /// A new artifact was stored.
    Stored(Stored),
    /// It did not get there; the last good artifact stays.
    Failed(Failed),
}

/// A new artifact.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) artifact: Artifact,
    pub(crate) included: Vec<Artifact>,
    /// First line of the commit's message.
    pub(crate) subject: String,
}

/// Where and why a pass failed.
#[derive(Debug, Clone)]
pub(crate) struct Failed {
    pub(crate) part: Part,
    pub(crate) failure: Failure,
    /// A revision that is newer than what is stored, if one was seen.
    pub(crate) newer: Option<String>,
}

/// Which part of a pass failed: each has a condition of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Fetch,
    Storage,
    /// The spec asks for what cannot be done: no condition but Ready and Stalled.
    Spec,
}

const PROGRESSING: &str = "Progressing";
const SUCCEEDED: &str = "Succeeded";
/// Conditions that say what is wrong, in the order in which Ready takes its reason from them.
const WRONG: [&str; 3] = [types::STORAGE_OPERATION_FAILED, types::FETCH_FAILED, types::ARTIFACT_OUTDATED];

/// The status while something is fetched; nothing if the pass is a routine check of an object that is Ready.
pub(crate) fn begin(repository: &GitRepository, now: Time) -> Option<GitRepositoryStatus> {
    let (generation, observed) = (repository.metadata.generation, repository.status.observed_generation);
    if generation == observed && repository.status.artifact.is_some() {
        return None;
    }
    let mut status = repository.status.clone();
    let mut set = |r#type: &str, answer: Status, message: &str| {
        status.conditions.set(r#type, answer, PROGRESSING, message, generation, now);
    };
    if generation == observed || observed < 1 {
        set(types::RECONCILING, Status::True, "reconciliation in progress");
    } else {
        let message = format!("processing object: new generation {observed} -> {generation}");
        set(types::RECONCILING, Status::True, &message);
    }
    if repository.status.artifact.is_none() {
        set(types::READY, Status::Unknown, "building artifact");
    }
    Some(status)
}

/// What the outcome of a pass changes in the status, and what is said about it.
pub(crate) fn summarize(repository: &GitRepository, outcome: &Outcome, now: Time) -> Report<GitRepositoryStatus> {
    match outcome {
        Outcome::Unchanged => unchanged(repository, now),
        Outcome::Stored(stored) => self::stored(repository, stored, now),
        Outcome::Failed(failed) => self::failed(repository, failed, now),
    }
}

/// Only the answer to a request for a reconcile: what a suspended object gets.
pub(crate) fn answered(repository: &GitRepository) -> GitRepositoryStatus {
    let mut status = repository.status.clone();
    if let Some(requested_at) = repository.metadata.requested_at() {
        status.last_handled_reconcile_at = Some(requested_at.to_owned());
    }
    status
}

fn unchanged(repository: &GitRepository, now: Time) -> Report<GitRepositoryStatus> {
    let mut status = answered(repository);
    let had_failed = WRONG.iter().any(|wrong| repository.status.conditions.is_true(wrong));
    let Some(artifact) = status.artifact.clone() else { return Report { status, said: Vec::new() } };
    ready(&mut status, repository, &artifact, now);
    let message = stored_text(&artifact);
    let said = had_failed.then(|| said(SUCCEEDED, message, &artifact));
    Report { status, said: said.into_iter().collect() }
}

fn stored(repository: &GitRepository, stored: &Stored, now: Time) -> Report<GitRepositoryStatus> {
    let mut status = answered(repository);
    let artifact = &stored.artifact;
    let before = repository.status.artifact.as_ref();
    let new_content = before.is_none_or(|before| before.digest != artifact.digest);
    let had_failed = WRONG.iter().any(|wrong| repository.status.conditions.is_true(wrong));
    status.artifact = Some(artifact.clone());
    status.included_artifacts.clone_from(&stored.included);
    status.observed_ignore.clone_from(&repository.spec.ignore);
    status.observed_recurse_submodules = repository.spec.recurse_submodules;
    status.observed_include.clone_from(&repository.spec.include);
    status.observed_sparse_checkout.clone_from(&repository.spec.sparse_checkout);
    ready(&mut status, repository, artifact, now);
    let message = format!("stored artifact for commit '{}'", shorten(&stored.subject));
    let said = match (new_content, had_failed) {
        (true, _) => Some(said("NewArtifact", message, artifact)),
        (false, true) => Some(said(SUCCEEDED, message, artifact)),
        (false, false) => None,
    };
    Report { status, said: said.into_iter().collect() }
}

fn failed(repository: &GitRepository, failed: &Failed, now: Time) -> Report<GitRepositoryStatus> {
    let mut status = answered(repository);
    let generation = repository.metadata.generation;
    let Failed { failure, .. } = failed;
    let text = failure.to_string();
    let set = |conditions: &mut Conditions, r#type: &str, answer: Status, reason: &str, message: &str| {
        conditions.set(r#type, answer, reason, message, generation, now);
    };
    let conditions = &mut status.conditions;
    if let Some(newer) = failed.newer.as_ref().filter(|_| repository.status.artifact.is_some()) {
        let message = format!("new upstream revision '{newer}'");
        set(conditions, types::ARTIFACT_OUTDATED, Status::True, "NewRevision", &message);
    }
    match failed.part {
        Part::Fetch => set(conditions, types::FETCH_FAILED, Status::True, &failure.reason, &text),
        Part::Storage => {
            conditions.remove(types::FETCH_FAILED);
            set(conditions, types::STORAGE_OPERATION_FAILED, Status::True, &failure.reason, &text);
        }
        Part::Spec => {}
    }
    set(conditions, types::READY, Status::False, &failure.reason, &text);
    if failure.retry == Retry::OnChange {
        set(conditions, types::STALLED, Status::True, &failure.reason, &text);
        status.observed_generation = generation;
    } else {
        let doing = conditions.get(types::RECONCILING).map(|reconciling| reconciling.message.clone());
        let doing = doing.unwrap_or_else(|| "reconciliation in progress".to_owned());
        set(conditions, types::RECONCILING, Status::True, "ProgressingWithRetry", &doing);
    }
    let said = Said { severity: Severity::Error, reason: failure.reason.clone(), message: text, metadata: Vec::new() };
    Report { status, said: vec![said] }
}

/// What every success sets.
fn ready(status: &mut GitRepositoryStatus, repository: &GitRepository, artifact: &Artifact, now: Time) {
    let generation = repository.metadata.generation;
    let gone = [types::RECONCILING, types::STALLED].into_iter().chain(WRONG);
    for condition in gone {
        status.conditions.remove(condition);
    }
    let text = stored_text(artifact);
    for r#type in [types::READY, types::ARTIFACT_IN_STORAGE] {
        status.conditions.set(r#type, Status::True, SUCCEEDED, &text, generation, now);
    }
    status.observed_generation = generation;
}

fn stored_text(artifact: &Artifact) -> String {
    format!("stored artifact for revision '{}'", artifact.revision)
}

fn said(reason: &str, message: String, artifact: &Artifact) -> Said {
    let metadata =
        vec![(names::source::REVISION, artifact.revision.clone()), (names::source::DIGEST, artifact.digest.clone())];
    Said { severity: Severity::Info, reason: reason.to_owned(), message, metadata }
}

/// The first 50 characters of a commit's subject.
fn shorten(subject: &str) -> String {
    const LIMIT: usize = 50;
    match subject.char_indices().nth(LIMIT) {
        Some(_) => subject.chars().take(LIMIT - 3).chain("...".chars()).collect(),
        None => subject.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use soll_api::{Class, Resource};
    use soll_yaml::parse_json;
    use std::collections::BTreeMap;

    fn at(second: i64) -> Time {
        Time::new(jiff::Timestamp::from_second(second).expect("a second"))
    }

    fn repository() -> GitRepository {
        let text = br#"{"metadata":{"name":"a","namespace":"b","generation":1},
            "spec":{"url":"https://example.com/a","interval":"1m"},"status":{"observedGeneration":-1}}"#;
        GitRepository::decode(&parse_json(text).expect("JSON")).expect("a GitRepository")
    }

    fn artifact(revision: &str, digest: &str) -> Artifact {
        Artifact {
            path: "p".into(),
            url: "u".into(),
            revision: revision.into(),
            digest: digest.into(),
            last_update_time: at(0),
            size: None,
            metadata: BTreeMap::new(),
        }
    }

    fn stored(revision: &str, digest: &str) -> Outcome {
        let artifact = artifact(revision, digest);
        Outcome::Stored(Stored { artifact, included: Vec::new(), subject: "Fix the roof".into() })
    }

    fn unreachable(newer: Option<&str>) -> Outcome {
        let failure = Failure::new(Class::SourceUnreachable, "GitOperationFailed", "no route", Retry::Backoff);
        Outcome::Failed(Failed { part: Part::Fetch, failure, newer: newer.map(str::to_owned) })
    }

    /// Lets the outcomes happen one after another and shows each report.
    fn check(outcomes: &[Outcome], expected: &Expect) {
        let mut repository = repository();
        let mut shown = String::new();
        for (second, outcome) in (10..).zip(outcomes) {
            let report = summarize(&repository, outcome, at(second));
            for condition in report.status.conditions.iter() {
                let since = condition.last_transition_time.timestamp().as_second();
                shown += &format!("{} {:?} ", condition.r#type, condition.status);
                shown += &format!("{} since {since}: {}\n", condition.reason, condition.message);
            }
            for said in &report.said {
                shown += &format!("say {:?} {}: {}\n", said.severity, said.reason, said.message);
            }
            shown += if report.status == repository.status { "nothing to write\n" } else { "\n" };
            repository.status = report.status;
        }
        expected.assert_eq(&shown);
    }

    #[test]
    fn a_pass_that_finds_nothing_new_writes_nothing() {
        check(
            &[stored("main@sha1:1", "sha256:1"), Outcome::Unchanged],
            &expect![[r#"
                Ready True Succeeded since 10: stored artifact for revision 'main@sha1:1'
                ArtifactInStorage True Succeeded since 10: stored artifact for revision 'main@sha1:1'
                say Info NewArtifact: stored artifact for commit 'Fix the roof'

                Ready True Succeeded since 10: stored artifact for revision 'main@sha1:1'
                ArtifactInStorage True Succeeded since 10: stored artifact for revision 'main@sha1:1'
                nothing to write
            "#]],
        );
    }

    #[test]
    fn a_failure_keeps_the_artifact_and_its_end_is_said_once() {
        check(
            &[
                stored("main@sha1:1", "sha256:1"),
                unreachable(Some("main@sha1:2")),
                unreachable(Some("main@sha1:2")),
                Outcome::Unchanged,
            ],
            &expect![[r#"
                Ready True Succeeded since 10: stored artifact for revision 'main@sha1:1'
                ArtifactInStorage True Succeeded since 10: stored artifact for revision 'main@sha1:1'
                say Info NewArtifact: stored artifact for commit 'Fix the roof'

                Reconciling True ProgressingWithRetry since 11: reconciliation in progress
                Ready False GitOperationFailed since 11: no route
                ArtifactInStorage True Succeeded since 10: stored artifact for revision 'main@sha1:1'
                ArtifactOutdated True NewRevision since 11: new upstream revision 'main@sha1:2'
                FetchFailed True GitOperationFailed since 11: no route
                say Error GitOperationFailed: no route

                Reconciling True ProgressingWithRetry since 11: reconciliation in progress
                Ready False GitOperationFailed since 11: no route
                ArtifactInStorage True Succeeded since 10: stored artifact for revision 'main@sha1:1'
                ArtifactOutdated True NewRevision since 11: new upstream revision 'main@sha1:2'
                FetchFailed True GitOperationFailed since 11: no route
                say Error GitOperationFailed: no route
                nothing to write
                Ready True Succeeded since 13: stored artifact for revision 'main@sha1:1'
                ArtifactInStorage True Succeeded since 10: stored artifact for revision 'main@sha1:1'
                say Info Succeeded: stored artifact for revision 'main@sha1:1'

            "#]],
        );
    }

    #[test]
    fn a_failure_that_only_a_change_can_end_stalls() {
        let failure = Failure::new(Class::Configuration, "URLInvalid", "no URL", Retry::OnChange);
        check(
            &[Outcome::Failed(Failed { part: Part::Fetch, failure, newer: None })],
            &expect![[r#"
                Stalled True URLInvalid since 10: no URL
                Ready False URLInvalid since 10: no URL
                FetchFailed True URLInvalid since 10: no URL
                say Error URLInvalid: no URL

            "#]],
        );
    }

    #[test]
    fn a_new_object_shows_that_it_is_being_worked_on_and_a_ready_one_stays_ready() {
        let mut repository = repository();
        let status = begin(&repository, at(1)).expect("a new object");
        assert!(status.conditions.is_true(types::RECONCILING));
        assert_eq!(status.conditions.get(types::READY).map(|ready| ready.status), Some(Status::Unknown));
        repository.status = summarize(&repository, &stored("main@sha1:1", "sha256:1"), at(2)).status;
        assert_eq!(begin(&repository, at(3)), None);
        repository.metadata.generation = 2;
        let status = begin(&repository, at(4)).expect("a new generation");
        assert!(status.conditions.is_true(types::READY));
        let message = status.conditions.get(types::RECONCILING).map(|reconciling| reconciling.message.as_str());
        assert_eq!(message, Some("processing object: new generation 1 -> 2"));
    }
}
