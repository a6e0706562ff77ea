//! What is to be done about a release next: a decision from what is seen, what is asked for, and what failed before.
//!
//! Mirrors the loop of Flux's helm-controller. [`next`] is asked before each action and [`after`] when it has ended; both
//! only decide. The caller observes, runs the action step by step, and asks again.

use std::time::Duration;

use super::Status;

/// What is seen of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No record, or the last one says `uninstalled`.
    Absent,
    /// The last record is pending: an action runs elsewhere, or died.
    Locked,
    /// There is a record, and it is not the one that we left.
    Unmanaged,
    /// The last action, or a test that counts, failed.
    Failed,
    /// Chart, values or what changes manifests afterwards differ from what is asked for.
    OutOfSync,
    /// Tests are asked for and have not run.
    Untested,
    /// The cluster differs from the manifest.
    Drifted,
    /// All is as it ought to be.
    InSync,
    /// A record that no action of ours leaves behind.
    Unexpected(Status),
}

/// What [`State`] is told from. The most urgent fact wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observed {
    /// The state of the newest record.
    pub newest: Option<Status>,
    /// Whether the newest record is the one that we noted last.
    pub is_ours: bool,
    /// Whether chart, values and post-rendering are what is asked for.
    pub is_current: bool,
    /// How its tests went.
    pub tests: Tests,
    /// Whether the cluster differs from the manifest; only looked at when nothing else is to be done.
    pub has_drifted: bool,
}

/// How tests of a revision went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tests {
    /// Not asked for, or failures do not count.
    Off,
    /// Not run.
    Pending,
    /// All passed.
    Passed,
    /// One failed, and that counts.
    Failed,
}

impl Observed {
    /// The state.
    #[must_use]
    pub fn state(&self) -> State {
        match self.newest {
            None | Some(Status::Uninstalled) => State::Absent,
            Some(status) if status.is_pending() => State::Locked,
            Some(_) if !self.is_ours => State::Unmanaged,
            Some(Status::Failed) => State::Failed,
            Some(Status::Deployed) => {
                if !self.is_current {
                    State::OutOfSync
                } else if self.tests == Tests::Failed {
                    State::Failed
                } else if self.tests == Tests::Pending {
                    State::Untested
                } else if self.has_drifted {
                    State::Drifted
                } else {
                    State::InSync
                }
            }
            Some(status) => State::Unexpected(status),
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// When installing fails.
    pub install: OnFailure,
    /// When upgrading fails.
    pub upgrade: OnFailure,
    /// How a failed upgrade is mended; a failed install is always uninstalled.
    pub remedy: Remedy,
    /// Whether drift is corrected, or only told.
    pub corrects_drift: bool,
}

/// What follows a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// The same again after an interval.
    Retry {
        /// How long to wait.
        interval: Duration,
    },
    /// What failed is undone, then tried again.
    Remediate {
        /// How often it is tried again; always if nothing.
        retries: Option<u32>,
        /// Whether the last failure is undone too.
        last_failure: bool,
    },
}

/// How a failed upgrade is mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// By going back to the revision before.
    Rollback,
    /// By uninstalling.
    Uninstall,
}

/// What was tried so far; reset when the chart, the values or the spec change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attempts {
    /// The last release action, if there was one.
    pub last: Option<ReleaseAction>,
    /// Failed installs.
    pub install_failures: u32,
    /// Failed upgrades.
    pub upgrade_failures: u32,
}

/// An action that makes a revision from a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseAction {
    /// The first revision.
    Install,
    /// A later one.
    Upgrade,
}

impl ReleaseAction {
    /// As messages say it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Upgrade => "upgrade",
        }
    }
}

/// What to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Install or upgrade.
    Release(ReleaseAction),
    /// As [`Act::Release`] with an upgrade, after forgetting the history that no longer tells the truth.
    Adopt,
    /// Go back to this revision.
    Rollback {
        /// The revision.
        to: i64,
    },
    /// Uninstall what failed.
    UninstallRemediation,
    /// Run the tests.
    Test,
    /// Turn the pending record into a failed one.
    Unlock,
    /// Correct drift.
    CorrectDrift,
}

/// Acts of one group run once in a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Release,
    Remediate,
    Test,
    Unlock,
    Drift,
}

impl Act {
    fn group(self) -> Group {
        match self {
            Self::Release(_) | Self::Adopt => Group::Release,
            Self::Rollback { .. } | Self::UninstallRemediation => Group::Remediate,
            Self::Test => Group::Test,
            Self::Unlock => Group::Unlock,
            Self::CorrectDrift => Group::Drift,
        }
    }
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Run this.
    Run(Act),
    /// Nothing: all is as it ought to be, or drift is only told.
    Finish,
    /// Begin a new pass at once.
    Requeue,
    /// Begin a new pass after an interval.
    RetryAfter(Duration),
    /// Nothing until somebody changes something.
    Stall(Stall),
    /// Try again later, with the error shown.
    Fail(Status),
}

/// Why nothing more is tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stall {
    /// `RetriesExceeded`.
    #[error("Failed to {action} after {attempts} attempt(s)")]
    RetriesExceeded {
        /// `install` or `upgrade`.
        action: &'static str,
        /// How often it failed.
        attempts: u32,
    },
    /// `MissingRollbackTarget`.
    #[error("Failed to perform remediation: missing target release for rollback")]
    MissingRollbackTarget,
}

/// The revision that a rollback would go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RollbackTarget {
    /// There never was one.
    Missing,
    /// Its record is gone, or not what we left.
    Changed,
    /// This revision.
    Verified(i64),
}

/// One look at a release.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'s> {
    /// What is seen.
    pub state: State,
    /// What is asked for.
    pub policy: &'s Policy,
    /// What was tried.
    pub attempts: &'s Attempts,
    /// Where a rollback would go.
    pub rollback_target: RollbackTarget,
    /// Whether somebody asked for a release whatever the state.
    pub is_forced: bool,
}

impl Situation<'_> {
    /// The policy of the action that was tried last.
    fn active(&self) -> Option<OnFailure> {
        Some(self.on_failure(self.attempts.last?))
    }

    fn on_failure(&self, action: ReleaseAction) -> OnFailure {
        match action {
            ReleaseAction::Install => self.policy.install,
            ReleaseAction::Upgrade => self.policy.upgrade,
        }
    }

    fn failures(&self, action: ReleaseAction) -> u32 {
        match action {
            ReleaseAction::Install => self.attempts.install_failures,
            ReleaseAction::Upgrade => self.attempts.upgrade_failures,
        }
    }

    /// Whether an action failed more often than it may be tried again: `retries: 3` allows four attempts.
    fn is_exhausted(&self, action: ReleaseAction) -> bool {
        match self.on_failure(action) {
            OnFailure::Remediate { retries: Some(retries), .. } => self.failures(action) > retries,
            OnFailure::Remediate { retries: None, .. } | OnFailure::Retry { .. } => false,
        }
    }

    fn exceeded(&self, action: ReleaseAction) -> Next {
        let action = self.attempts.last.unwrap_or(action);
        Next::Stall(Stall::RetriesExceeded { action: action.as_str(), attempts: self.failures(action) })
    }

    /// What to run in this state, whatever ran before in this pass.
    fn wanted(&self) -> Next {
        let release = |action| {
            if self.is_exhausted(action) && !self.is_forced {
                self.exceeded(action)
            } else {
                Next::Run(Act::Release(action))
            }
        };
        match self.state {
            State::Absent => release(ReleaseAction::Install),
            State::Locked => Next::Run(Act::Unlock),
            State::Unmanaged => Next::Run(Act::Adopt),
            State::OutOfSync => release(ReleaseAction::Upgrade),
            State::Untested => Next::Run(Act::Test),
            State::Drifted if self.policy.corrects_drift => Next::Run(Act::CorrectDrift),
            State::InSync if self.is_forced => Next::Run(Act::Release(ReleaseAction::Upgrade)),
            State::Drifted | State::InSync => Next::Finish,
            State::Failed => self.mend(),
            State::Unexpected(status) => Next::Fail(status),
        }
    }

    fn mend(&self) -> Next {
        let upgrade = Next::Run(Act::Release(ReleaseAction::Upgrade));
        let Some(last) = self.attempts.last else { return upgrade };
        let OnFailure::Remediate { last_failure, .. } = self.on_failure(last) else { return upgrade };
        if self.failures(last) == 0 || self.is_forced {
            return upgrade;
        }
        if self.is_exhausted(last) && !last_failure {
            return self.exceeded(last);
        }
        let remedy = if last == ReleaseAction::Install { Remedy::Uninstall } else { self.policy.remedy };
        match (remedy, self.rollback_target) {
            (Remedy::Uninstall, _) => Next::Run(Act::UninstallRemediation),
            (Remedy::Rollback, RollbackTarget::Verified(to)) => Next::Run(Act::Rollback { to }),
            // What would be gone back to is not what we left: forward is the safer way.
            (Remedy::Rollback, RollbackTarget::Changed) => upgrade,
            (Remedy::Rollback, RollbackTarget::Missing) => Next::Stall(Stall::MissingRollbackTarget),
        }
    }
}

/// Decides what to do now; `done` is what ran in this pass already.
#[must_use]
pub fn next(situation: &Situation<'_>, done: &[Act]) -> Next {
    let wanted = situation.wanted();
    let Next::Run(act) = &wanted else { return wanted };
    if done.iter().all(|before| before.group() != act.group()) {
        return wanted;
    }
    match situation.active() {
        Some(OnFailure::Retry { interval }) => Next::RetryAfter(interval),
        Some(OnFailure::Remediate { .. })
            if situation.attempts.last.is_some_and(|last| situation.is_exhausted(last)) =>
        {
            Next::Finish
        }
        _ => Next::Requeue,
    }
}

/// Decides what follows an act that has ended; nothing means: look again and ask [`next`].
///
/// `situation` is as it was before the act but for the attempts, which count it. `failed` says whether the act itself
/// could not be done; a release that failed and was recorded as such has been done.
#[must_use]
pub fn after(situation: &Situation<'_>, act: Act, failed: bool) -> Option<Next> {
    let retry = match situation.active() {
        Some(OnFailure::Retry { interval }) => Some(Next::RetryAfter(interval)),
        _ => None,
    };
    if failed {
        return Some(retry.unwrap_or(Next::Fail(Status::Failed)));
    }
    if act.group() != Group::Remediate {
        return None;
    }
    let last = situation.attempts.last;
    let goes_on = match last {
        None => true,
        // An upgrade that was uninstalled always goes on with a fresh install.
        Some(ReleaseAction::Upgrade) if act == Act::UninstallRemediation => true,
        Some(last) => !situation.is_exhausted(last),
    };
    Some(retry.unwrap_or_else(|| match last {
        Some(last) if !goes_on => situation.exceeded(last),
        _ => Next::Requeue,
    }))
}
