#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::*;
use crate::{Hook, HookEvent};

const INTERVAL: Duration = Duration::from_secs(300);
const RETRY: OnFailure = OnFailure::Retry { interval: INTERVAL };

fn remediate(retries: i64, last_failure: bool) -> OnFailure {
    OnFailure::Remediate { retries: u32::try_from(retries).ok(), last_failure }
}

fn policy(install: OnFailure, upgrade: OnFailure) -> Policy {
    Policy { install, upgrade, remedy: Remedy::Rollback, corrects_drift: false }
}

fn attempts(last: Option<ReleaseAction>, failures: u32) -> Attempts {
    let (install_failures, upgrade_failures) =
        if last == Some(ReleaseAction::Install) { (failures, 0) } else { (0, failures) };
    Attempts { last, install_failures, upgrade_failures }
}

const SEEN: Observed =
    Observed { newest: Some(Status::Deployed), is_ours: true, is_current: true, tests: Tests::Off, has_drifted: false };

#[test]
fn what_is_seen_is_a_state() {
    let newest = |status| Observed { newest: Some(status), ..SEEN };
    for (observed, state) in [
        (Observed { newest: None, ..SEEN }, State::Absent),
        (newest(Status::Uninstalled), State::Absent),
        (newest(Status::PendingInstall), State::Locked),
        (newest(Status::PendingUpgrade), State::Locked),
        (newest(Status::PendingRollback), State::Locked),
        (Observed { is_ours: false, ..SEEN }, State::Unmanaged),
        (Observed { is_ours: false, ..newest(Status::Failed) }, State::Unmanaged),
        (newest(Status::Failed), State::Failed),
        (Observed { is_current: false, tests: Tests::Failed, ..SEEN }, State::OutOfSync),
        (Observed { tests: Tests::Failed, ..SEEN }, State::Failed),
        (Observed { tests: Tests::Pending, has_drifted: true, ..SEEN }, State::Untested),
        (Observed { tests: Tests::Passed, has_drifted: true, ..SEEN }, State::Drifted),
        (SEEN, State::InSync),
        (newest(Status::Uninstalling), State::Unexpected(Status::Uninstalling)),
        (newest(Status::Superseded), State::Unexpected(Status::Superseded)),
        (newest(Status::Unknown), State::Unexpected(Status::Unknown)),
    ] {
        assert_eq!(observed.state(), state, "{observed:?}");
    }
}

/// The table of `spec/helm-controller.md`, sections 8.1 and 8.2.
#[test]
fn a_state_has_its_action() {
    use ReleaseAction::{Install, Upgrade};
    let none = remediate(0, false);
    let install = Next::Run(Act::Release(Install));
    let upgrade = Next::Run(Act::Release(Upgrade));
    let exceeded = |action, attempts| Next::Stall(Stall::RetriesExceeded { action, attempts });
    let verified = RollbackTarget::Verified(3);
    for (number, (state, policy, attempts, rollback_target, is_forced, expected)) in [
        (State::Absent, policy(none, none), attempts(None, 0), verified, false, install.clone()),
        (State::Absent, policy(none, none), attempts(Some(Install), 1), verified, false, exceeded("install", 1)),
        (State::Absent, policy(none, none), attempts(Some(Install), 1), verified, true, install.clone()),
        (
            State::Absent,
            policy(remediate(3, false), none),
            attempts(Some(Install), 3),
            verified,
            false,
            install.clone(),
        ),
        (State::Absent, policy(remediate(-1, false), none), attempts(Some(Install), 99), verified, false, install),
        (State::Locked, policy(none, none), attempts(None, 0), verified, false, Next::Run(Act::Unlock)),
        (State::Unmanaged, policy(none, none), attempts(None, 0), verified, false, Next::Run(Act::Adopt)),
        (State::OutOfSync, policy(none, none), attempts(Some(Upgrade), 0), verified, false, upgrade.clone()),
        (State::OutOfSync, policy(none, none), attempts(Some(Upgrade), 1), verified, false, exceeded("upgrade", 1)),
        (State::OutOfSync, policy(none, none), attempts(Some(Upgrade), 1), verified, true, upgrade.clone()),
        (State::Untested, policy(none, none), attempts(None, 0), verified, false, Next::Run(Act::Test)),
        (State::Drifted, policy(none, none), attempts(None, 0), verified, false, Next::Finish),
        (State::InSync, policy(none, none), attempts(None, 0), verified, false, Next::Finish),
        (State::InSync, policy(none, none), attempts(None, 0), verified, true, upgrade.clone()),
        (
            State::Unexpected(Status::Unknown),
            policy(none, none),
            attempts(None, 0),
            verified,
            false,
            Next::Fail(Status::Unknown),
        ),
        // A failed release, rule by rule.
        (State::Failed, policy(none, RETRY), attempts(Some(Upgrade), 9), verified, false, upgrade.clone()),
        (State::Failed, policy(none, none), attempts(None, 0), verified, false, upgrade.clone()),
        (State::Failed, policy(none, none), attempts(Some(Upgrade), 0), verified, false, upgrade.clone()),
        (State::Failed, policy(none, none), attempts(Some(Upgrade), 1), verified, true, upgrade.clone()),
        (State::Failed, policy(none, none), attempts(Some(Upgrade), 1), verified, false, exceeded("upgrade", 1)),
        (
            State::Failed,
            policy(none, remediate(1, true)),
            attempts(Some(Upgrade), 2),
            verified,
            false,
            Next::Run(Act::Rollback { to: 3 }),
        ),
        (
            State::Failed,
            policy(none, remediate(1, true)),
            attempts(Some(Upgrade), 1),
            RollbackTarget::Missing,
            false,
            Next::Stall(Stall::MissingRollbackTarget),
        ),
        (
            State::Failed,
            policy(none, remediate(1, true)),
            attempts(Some(Upgrade), 1),
            RollbackTarget::Changed,
            false,
            upgrade,
        ),
        (
            State::Failed,
            policy(remediate(1, false), none),
            attempts(Some(Install), 1),
            RollbackTarget::Missing,
            false,
            Next::Run(Act::UninstallRemediation),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let situation = Situation { state, policy: &policy, attempts: &attempts, rollback_target, is_forced };
        assert_eq!(next(&situation, &[]), expected, "row {number}: {situation:?}");
    }
}

/// Section 8.3: each kind of action once in a pass, and what follows a remedy.
#[test]
fn a_pass_has_an_end() {
    use ReleaseAction::{Install, Upgrade};
    let release = Act::Release(Upgrade);
    let check = |state, policy: Policy, attempts: Attempts| {
        let rollback_target = RollbackTarget::Verified(1);
        let situation = Situation { state, policy: &policy, attempts: &attempts, rollback_target, is_forced: false };
        (
            next(&situation, &[release]),
            after(&situation, Act::UninstallRemediation, false),
            after(&situation, release, true),
        )
    };
    let two = remediate(2, true);
    let out = State::OutOfSync;
    // An upgrade again in the same pass: not now.
    assert_eq!(check(out, policy(two, two), attempts(Some(Upgrade), 0)).0, Next::Requeue);
    assert_eq!(check(out, policy(two, RETRY), attempts(Some(Upgrade), 1)).0, Next::RetryAfter(INTERVAL));
    // An install that was uninstalled: again, until the retries are used up.
    assert_eq!(check(State::Failed, policy(two, two), attempts(Some(Install), 1)).1, Some(Next::Requeue));
    let stalled = Next::Stall(Stall::RetriesExceeded { action: "install", attempts: 3 });
    assert_eq!(check(State::Failed, policy(two, two), attempts(Some(Install), 3)).1, Some(stalled));
    // An upgrade that was uninstalled always goes on with a fresh install.
    assert_eq!(check(State::Failed, policy(two, two), attempts(Some(Upgrade), 3)).1, Some(Next::Requeue));
    // What could not be done at all.
    assert_eq!(check(out, policy(two, two), attempts(Some(Upgrade), 0)).2, Some(Next::Fail(Status::Failed)));
    assert_eq!(check(out, policy(two, RETRY), attempts(Some(Upgrade), 0)).2, Some(Next::RetryAfter(INTERVAL)));
    // A failed release leads to its remedy in the same pass, and remedies end it.
    assert!(matches!(
        check(State::Failed, policy(two, two), attempts(Some(Upgrade), 1)).0,
        Next::Run(Act::Rollback { .. })
    ));
}

#[test]
fn stalls_say_what_people_search_for() {
    let exceeded = Stall::RetriesExceeded { action: "upgrade", attempts: 4 };
    assert_eq!(exceeded.to_string(), "Failed to upgrade after 4 attempt(s)");
    assert_eq!(
        Stall::MissingRollbackTarget.to_string(),
        "Failed to perform remediation: missing target release for rollback"
    );
}

const OPTIONS: StepOptions = StepOptions { hooks: true, wait: true, max_history: Some(5), cleanup_on_fail: false };

fn hook(name: &str, weight: i64, events: &[HookEvent], policies: &[&str]) -> HookRecord {
    Hook {
        name: name.to_owned(),
        kind: "Job".to_owned(),
        path: String::new(),
        manifest: String::new(),
        events: events.to_vec(),
        weight,
        delete_policies: policies.iter().map(|&policy| policy.to_owned()).collect(),
        output_log_policies: Vec::new(),
    }
    .into()
}

/// A step in few letters.
fn spell(step: &Step) -> String {
    match step {
        Step::Crds => "crds".to_owned(),
        Step::Record { version, status, .. } => format!("+{version}:{}", status.as_str()),
        Step::Mark { version, status, .. } => format!("{version}:{}", status.as_str()),
        Step::Forget { version } => format!("-{version}"),
        Step::Hook { hook, event } => format!("{}#{hook}", event.as_str()),
        Step::DeleteHook { hook } => format!("delete#{hook}"),
        Step::Apply { from, to } => format!("apply {}->{to}", from.unwrap_or(0)),
        Step::Wait => "wait".to_owned(),
        Step::DeleteCreated => "delete-created".to_owned(),
        Step::Delete { version } => format!("delete {version}"),
        Step::WaitGone => "gone".to_owned(),
    }
}

fn check(action: Action, history: &History, hooks: &[HookRecord], options: &StepOptions) -> String {
    match steps(action, history, hooks, options) {
        Ok(steps) => steps.iter().map(spell).collect::<Vec<_>>().join(", "),
        Err(refused) => refused.to_string(),
    }
}

#[test]
fn actions_have_their_steps() {
    use HookEvent::{PostInstall, PreInstall, Test};
    use Status::{Deployed, Failed, PendingUpgrade, Superseded, Uninstalled};
    let hooks = [
        hook("b", 0, &[PreInstall, PostInstall], &["hook-succeeded"]),
        hook("a", 0, &[PreInstall], &[]),
        hook("z", -1, &[PreInstall], &["before-hook-creation", "hook-succeeded"]),
        hook("t", 0, &[Test], &[]),
    ];
    let running = [(1, Superseded), (2, Deployed)];
    let rollback = Action::Rollback { to: 1 };
    let (uninstall, purge) = (Action::Uninstall { keep_history: true }, Action::Uninstall { keep_history: false });
    for (action, history, hooks, expected) in [
        (
            Action::Install,
            &[][..],
            &hooks[..],
            "crds, +1:pending-install, delete#2, pre-install#2, delete#1, pre-install#1, pre-install#0, delete#0, delete#2, \
             apply 0->1, wait, post-install#0, delete#0, 1:deployed",
        ),
        (
            Action::Install,
            &[(1, Uninstalled)],
            &[],
            "crds, +2:pending-install, 1:superseded, apply 0->2, wait, 2:deployed",
        ),
        (Action::Install, &[(1, Failed)], &[], "crds, +2:pending-install, apply 0->2, wait, 2:deployed"),
        (Action::Install, &running, &[], "cannot reuse a name that is still in use"),
        (Action::Upgrade, &running, &[], "crds, +3:pending-upgrade, apply 2->3, wait, 2:superseded, 3:deployed"),
        (
            Action::Upgrade,
            &[(1, Deployed), (2, Failed)],
            &[],
            "crds, +3:pending-upgrade, apply 1->3, wait, 1:superseded, 3:deployed",
        ),
        (Action::Upgrade, &[(1, Failed)], &[], "crds, +2:pending-upgrade, apply 1->2, wait, 1:superseded, 2:deployed"),
        (Action::Upgrade, &[(1, PendingUpgrade)], &[], "another operation (install/upgrade/rollback) is in progress"),
        (Action::Upgrade, &[], &[], "it has no deployed releases"),
        (Action::Upgrade, &[(1, Uninstalled)], &[], "it has no deployed releases"),
        (rollback, &running, &[], "+3:pending-rollback, apply 2->3, wait, 2:superseded, 3:deployed"),
        (Action::Rollback { to: 7 }, &running, &[], "release has no 7 version"),
        (uninstall, &running, &[], "2:uninstalling, delete 2, gone, 2:uninstalled"),
        (uninstall, &[(1, Deployed), (2, Failed)], &[], "2:uninstalling, delete 2, gone, 2:uninstalled, 1:superseded"),
        (purge, &running, &[], "2:uninstalling, delete 2, gone, -1, -2"),
        (purge, &[(1, Uninstalled)], &[], "-1"),
        (purge, &[], &[], "release: not found"),
        (Action::Test, &running, &hooks, "delete#3, test#3"),
    ] {
        assert_eq!(check(action, history, hooks, &OPTIONS), expected, "{action:?} {history:?}");
    }
    let short = StepOptions { max_history: Some(2), wait: false, hooks: false, ..OPTIONS };
    assert_eq!(
        check(Action::Upgrade, &running, &hooks, &short),
        "crds, -1, +3:pending-upgrade, apply 2->3, 2:superseded, 3:deployed"
    );
}

#[test]
fn failures_are_recorded() {
    use Status::{Deployed, Superseded};
    let running = [(1, Superseded), (2, Deployed)];
    let hooks = [
        hook("a", 0, &[HookEvent::PreUpgrade], &["hook-succeeded"]),
        hook("b", 1, &[HookEvent::PreUpgrade], &["hook-failed"]),
    ];
    let cleanup = StepOptions { cleanup_on_fail: true, ..OPTIONS };
    let apply = Step::Apply { from: Some(2), to: 3 };
    let failed_hook = Step::Hook { hook: 1, event: HookEvent::PreUpgrade };
    let rollback = Action::Rollback { to: 1 };
    for (action, failed, expected) in [
        (Action::Upgrade, &apply, "3:failed, delete-created"),
        (Action::Upgrade, &failed_hook, "delete#1, delete#0, 3:failed, delete-created"),
        (Action::Upgrade, &Step::Crds, ""),
        (rollback, &apply, "2:superseded, 3:failed, delete-created"),
        (rollback, &Step::Wait, "3:failed, delete-created"),
        (Action::Uninstall { keep_history: true }, &Step::WaitGone, ""),
    ] {
        let steps = steps_after_failure(action, "r", &running, &hooks, failed, "boom", &cleanup);
        assert_eq!(steps.iter().map(spell).collect::<Vec<_>>().join(", "), expected, "{action:?} {failed:?}");
    }
    let steps = steps_after_failure(Action::Upgrade, "r", &running, &[], &Step::Wait, "boom", &OPTIONS);
    let said = Some("Upgrade \"r\" failed: boom".to_owned());
    assert_eq!(steps, [Step::Mark { version: 3, status: Status::Failed, description: said }]);
}

/// Applies the steps of records to a history.
fn remember(history: &mut Vec<(i64, Status)>, step: &Step) {
    match step {
        Step::Record { version, status, .. } => history.push((*version, *status)),
        Step::Mark { version, status, .. } => {
            let own = history.iter_mut().find(|(own, _)| own == version);
            own.expect("only what is recorded is marked").1 = *status;
        }
        Step::Forget { version } => history.retain(|(own, _)| own != version),
        _ => {}
    }
}

/// Kills each action after each of its steps, and lets the passes that follow bring the release to where it ought to be.
#[test]
fn a_crash_anywhere_is_mended() {
    use Status::{Deployed, Failed, Superseded, Uninstalled};
    let policy = policy(remediate(0, false), remediate(0, false));
    let histories: [&History; 5] =
        [&[], &[(1, Uninstalled)], &[(1, Deployed)], &[(1, Superseded), (2, Deployed)], &[(1, Deployed), (2, Failed)]];
    let mut crashes = 0;
    for start in histories {
        for action in [Action::Install, Action::Upgrade, Action::Rollback { to: 1 }] {
            let Ok(planned) = steps(action, start, &[], &OPTIONS) else { continue };
            for survived in 0..planned.len() {
                let mut history = start.to_vec();
                planned[..survived].iter().for_each(|step| remember(&mut history, step));
                // The action did not live to count itself as failed, and what it did is not what is asked for.
                let mut done = Vec::new();
                for pass in 0.. {
                    assert!(pass < 5, "{action:?} killed after {survived} steps: {history:?} never ends");
                    let newest = history.last().map(|(_, status)| *status);
                    let is_new = done.iter().any(|act| matches!(act, Act::Release(_) | Act::Adopt));
                    let state = Observed { newest, is_current: is_new, ..SEEN }.state();
                    let attempts = Attempts::default();
                    let rollback_target = RollbackTarget::Missing;
                    let situation =
                        Situation { state, policy: &policy, attempts: &attempts, rollback_target, is_forced: false };
                    let act = match next(&situation, &done) {
                        Next::Run(act) => act,
                        Next::Finish => break,
                        other => panic!("{action:?} killed after {survived} steps: {other:?} in {history:?}"),
                    };
                    let repair = match act {
                        Act::Unlock => unlock_steps(&history),
                        Act::Release(ReleaseAction::Install) => {
                            steps(Action::Install, &history, &[], &OPTIONS).unwrap()
                        }
                        _ => steps(Action::Upgrade, &history, &[], &OPTIONS).unwrap(),
                    };
                    repair.iter().for_each(|step| remember(&mut history, step));
                    done.push(act);
                }
                assert_eq!(history.last().unwrap().1, Deployed, "{action:?} killed after {survived} steps");
                crashes += 1;
            }
        }
    }
    assert!(crashes > 40, "{crashes}");
}

/// An uninstall that died is run again, from any point, and ends with nothing but what is asked to remain.
#[test]
fn a_crashed_uninstall_is_run_again() {
    let start = [(1, Status::Superseded), (2, Status::Deployed)];
    for keep_history in [true, false] {
        let action = Action::Uninstall { keep_history };
        let planned = steps(action, &start, &[], &OPTIONS).unwrap();
        for survived in 0..planned.len() {
            let mut history = start.to_vec();
            planned[..survived].iter().for_each(|step| remember(&mut history, step));
            let again = steps(action, &history, &[], &OPTIONS).unwrap();
            let deletes = again.iter().any(|step| matches!(step, Step::Delete { .. }));
            assert!(deletes || history.last().unwrap().1 == Status::Uninstalled, "after {survived}: {history:?}");
            again.iter().for_each(|step| remember(&mut history, step));
            let left: Vec<_> = history.iter().map(|(version, _)| *version).collect();
            assert_eq!(left, if keep_history { vec![1, 2] } else { vec![] });
        }
    }
}
