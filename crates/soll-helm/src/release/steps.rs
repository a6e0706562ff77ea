//! The steps of each action, in the order in which a crash between any two of them can be mended.

use super::{HookRecord, Status, prunable};
use crate::HookEvent;

/// One step of an action. Steps of records are written through before the next one begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Bring the objects of `crds/` into the cluster.
    Crds,
    /// Create the record of a revision.
    Record {
        /// The revision.
        version: i64,
        /// Its state.
        status: Status,
        /// Its sentence.
        description: String,
    },
    /// Change the record of a revision.
    Mark {
        /// The revision.
        version: i64,
        /// Its state.
        status: Status,
        /// Its sentence; nothing keeps it.
        description: Option<String>,
    },
    /// Delete the record of a revision.
    Forget {
        /// The revision.
        version: i64,
    },
    /// Run a hook and wait for its end; the record notes start and end.
    Hook {
        /// Which of the revision's hooks.
        hook: usize,
        /// Why.
        event: HookEvent,
    },
    /// Delete the object of a hook, if it is there, and wait until it is gone.
    DeleteHook {
        /// Which of the revision's hooks.
        hook: usize,
    },
    /// Bring the manifest of `to` into the cluster, and delete what only the manifest of `from` has.
    Apply {
        /// What the cluster has.
        from: Option<i64>,
        /// What it shall have.
        to: i64,
    },
    /// Wait until the objects are ready.
    Wait,
    /// Delete the objects that a failed action created.
    DeleteCreated,
    /// Delete the objects of a manifest, but those with the resource policy `keep`.
    Delete {
        /// The revision.
        version: i64,
    },
    /// Wait until they are gone.
    WaitGone,
}

/// An action upon a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Make the first revision, or the first after uninstalling.
    Install,
    /// Make the next revision.
    Upgrade,
    /// Make the next revision from an earlier one.
    Rollback {
        /// The earlier one.
        to: i64,
    },
    /// Delete everything.
    Uninstall {
        /// Whether the records remain.
        keep_history: bool,
    },
    /// Run the tests of the newest revision.
    Test,
}

/// What changes the steps of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepOptions {
    /// Run hooks.
    pub hooks: bool,
    /// Wait for readiness, or for objects to be gone.
    pub wait: bool,
    /// Records to keep; all if nothing.
    pub max_history: Option<usize>,
    /// Delete what a failed upgrade or rollback created.
    pub cleanup_on_fail: bool,
}

/// An action that the records do not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The newest record is pending.
    #[error("another operation (install/upgrade/rollback) is in progress")]
    Pending,
    /// There is nothing to upgrade.
    #[error("it has no deployed releases")]
    NotDeployed,
    /// There is something already.
    #[error("cannot reuse a name that is still in use")]
    InUse,
    /// No such revision to go back to.
    #[error("release has no {0} version")]
    NoVersion(i64),
    /// Nothing is recorded.
    #[error("release: not found")]
    NotFound,
}

/// The records of a release: revisions and their states, oldest first.
pub type History = [(i64, Status)];

/// The steps of an action upon a release with these records. `hooks` are those of the revision that it is about: the new
/// one, that which is gone back to, or the one that is deleted or tested.
///
/// # Errors
/// See [`Refused`].
pub fn steps(
    action: Action,
    history: &History,
    hooks: &[HookRecord],
    options: &StepOptions,
) -> Result<Vec<Step>, Refused> {
    let last = history.last().copied();
    let version = last.map_or(1, |(version, _)| version + 1);
    let run = |event| if options.hooks { hook_steps(hooks, event) } else { Vec::new() };
    let wait = |step: Step| options.wait.then_some(step);
    let mut steps = Vec::new();
    match action {
        Action::Install => {
            let replaced = match last {
                None | Some((_, Status::Failed)) => None,
                Some((last, Status::Uninstalled)) => Some(mark(last, Status::Superseded, "superseded by new release")),
                Some(_) => return Err(Refused::InUse),
            };
            steps.push(Step::Crds);
            steps.extend(make_room(history, options));
            steps.push(record(version, Status::PendingInstall, "Initial install underway"));
            // After the new record, unlike Helm: a crash in between would leave a release that nobody can go on with.
            steps.extend(replaced);
            steps.extend(run(HookEvent::PreInstall));
            steps.push(Step::Apply { from: None, to: version });
            steps.extend(wait(Step::Wait));
            steps.extend(run(HookEvent::PostInstall));
            steps.push(mark(version, Status::Deployed, "Install complete"));
        }
        Action::Upgrade => {
            let current = running(history)?;
            steps.push(Step::Crds);
            steps.extend(make_room(history, options));
            steps.push(record(version, Status::PendingUpgrade, "Preparing upgrade"));
            steps.extend(run(HookEvent::PreUpgrade));
            steps.push(Step::Apply { from: Some(current), to: version });
            steps.extend(wait(Step::Wait));
            steps.extend(run(HookEvent::PostUpgrade));
            steps.push(Step::Mark { version: current, status: Status::Superseded, description: None });
            steps.push(mark(version, Status::Deployed, "Upgrade complete"));
        }
        Action::Rollback { to } => {
            let (current, _) = last.ok_or(Refused::NotFound)?;
            if history.iter().all(|(version, _)| *version != to) {
                return Err(Refused::NoVersion(to));
            }
            let description = format!("Rollback to {to}");
            steps.extend(make_room(history, options));
            steps.push(record(version, Status::PendingRollback, &description));
            steps.extend(run(HookEvent::PreRollback));
            steps.push(Step::Apply { from: Some(current), to: version });
            steps.extend(wait(Step::Wait));
            steps.extend(run(HookEvent::PostRollback));
            steps.extend(supersede(history, None));
            steps.push(mark(version, Status::Deployed, &description));
        }
        Action::Uninstall { keep_history } => {
            let (last, status) = last.ok_or(Refused::NotFound)?;
            if status != Status::Uninstalled {
                steps.push(mark(last, Status::Uninstalling, "Deletion in progress (or silently failed)"));
                steps.extend(run(HookEvent::PreDelete));
                steps.push(Step::Delete { version: last });
                steps.extend(wait(Step::WaitGone));
                steps.extend(run(HookEvent::PostDelete));
            }
            if keep_history {
                steps.push(mark(last, Status::Uninstalled, "Uninstallation complete"));
                steps.extend(supersede(history, Some(last)));
            } else {
                // The newest goes last: as long as it is there, a crash leaves a release to uninstall again.
                steps.extend(history.iter().map(|(version, _)| Step::Forget { version: *version }));
            }
        }
        Action::Test => {
            last.ok_or(Refused::NotFound)?;
            steps.extend(hook_steps(hooks, HookEvent::Test));
        }
    }
    Ok(steps)
}

/// What is done when a step of an action has failed, so that the records tell what happened.
///
/// `error` is the failure in words; the failing hook and those before it go as their policies say.
#[must_use]
pub fn steps_after_failure(
    action: Action,
    release: &str,
    history: &History,
    hooks: &[HookRecord],
    failed: &Step,
    error: &str,
    options: &StepOptions,
) -> Vec<Step> {
    let last = history.last().map(|(version, _)| *version);
    let version = last.map_or(1, |version| version + 1);
    let mut steps = match failed {
        Step::Hook { hook, event } => hook_steps_after_failure(hooks, *hook, *event),
        _ => Vec::new(),
    };
    let failure = match action {
        Action::Install => format!("Release \"{release}\" failed: {error}"),
        Action::Upgrade => format!("Upgrade \"{release}\" failed: {error}"),
        Action::Rollback { .. } => format!("Rollback \"{release}\" failed: {error}"),
        // The record says `uninstalling` until it works; tests leave the state as it is.
        Action::Uninstall { .. } | Action::Test => return steps,
    };
    if matches!(failed, Step::Crds | Step::Record { .. } | Step::Forget { .. }) {
        // Nothing has been recorded yet.
        return steps;
    }
    if let (Action::Rollback { .. }, Step::Apply { .. }, Some(last)) = (action, failed, last) {
        steps.push(Step::Mark { version: last, status: Status::Superseded, description: None });
    }
    steps.push(mark(version, Status::Failed, &failure));
    if options.cleanup_on_fail && action != Action::Install {
        steps.push(Step::DeleteCreated);
    }
    steps
}

/// What a stale pending record is turned into.
#[must_use]
pub fn unlock_steps(history: &History) -> Vec<Step> {
    match history.last() {
        Some((version, status)) if status.is_pending() => {
            let text = format!("Release unlocked from stale '{}' state", status.as_str());
            vec![mark(*version, Status::Failed, &text)]
        }
        _ => Vec::new(),
    }
}

/// The revision that the cluster has.
fn running(history: &History) -> Result<i64, Refused> {
    let (last, status) = *history.last().ok_or(Refused::NotDeployed)?;
    if status.is_pending() {
        return Err(Refused::Pending);
    }
    let deployed = history.iter().rev().find(|(_, status)| *status == Status::Deployed);
    match (deployed, status) {
        (Some((version, _)), _) => Ok(*version),
        (None, Status::Failed | Status::Superseded) => Ok(last),
        (None, _) => Err(Refused::NotDeployed),
    }
}

/// Deletes the oldest records, so that the new one fits.
fn make_room(history: &History, options: &StepOptions) -> impl Iterator<Item = Step> {
    let keep = options.max_history.map(|most| most.saturating_sub(1));
    prunable(history, keep).into_iter().map(|version| Step::Forget { version })
}

fn supersede(history: &History, but: Option<i64>) -> impl Iterator<Item = Step> {
    let deployed = history.iter().filter(move |(version, status)| *status == Status::Deployed && Some(*version) != but);
    deployed.map(|(version, _)| Step::Mark { version: *version, status: Status::Superseded, description: None })
}

/// The hooks of an event by weight, then by name.
fn hooks_of(hooks: &[HookRecord], event: HookEvent) -> Vec<usize> {
    let mut chosen: Vec<usize> =
        (0..hooks.len()).filter(|&position| hooks[position].hook.events.contains(&event)).collect();
    chosen.sort_by_key(|&position| (hooks[position].hook.weight, hooks[position].hook.name.as_str()));
    chosen
}

/// Runs the hooks of an event; what succeeded is deleted in reverse order when all have.
fn hook_steps(hooks: &[HookRecord], event: HookEvent) -> Vec<Step> {
    let chosen = hooks_of(hooks, event);
    let mut steps = Vec::new();
    for &hook in &chosen {
        if goes(&hooks[hook], "before-hook-creation") {
            steps.push(Step::DeleteHook { hook });
        }
        steps.push(Step::Hook { hook, event });
    }
    let succeeded = chosen.iter().rev().filter(|&&hook| goes(&hooks[hook], "hook-succeeded"));
    steps.extend(succeeded.map(|&hook| Step::DeleteHook { hook }));
    steps
}

fn hook_steps_after_failure(hooks: &[HookRecord], failed: usize, event: HookEvent) -> Vec<Step> {
    let chosen = hooks_of(hooks, event);
    let before =
        chosen.iter().take_while(|&&hook| hook != failed).filter(|&&hook| goes(&hooks[hook], "hook-succeeded"));
    let own = goes(&hooks[failed], "hook-failed").then_some(&failed);
    own.into_iter().chain(before).map(|&hook| Step::DeleteHook { hook }).collect()
}

/// Whether the object of a hook is deleted by a policy. Definitions never are, for everything of their kind would go too.
fn goes(record: &HookRecord, policy: &str) -> bool {
    let policies = &record.hook.delete_policies;
    let has = policies.iter().any(|own| own == policy) || (policies.is_empty() && policy == "before-hook-creation");
    has && record.hook.kind != "CustomResourceDefinition"
}

fn record(version: i64, status: Status, description: &str) -> Step {
    Step::Record { version, status, description: description.to_owned() }
}

fn mark(version: i64, status: Status, description: &str) -> Step {
    Step::Mark { version, status, description: Some(description.to_owned()) }
}
