//! What `soll up` shows while it works: one line for each change of an object's state.

use std::collections::HashMap;
use std::time::Instant;

use serde_json::json;
use soll_controllers::{Key, ObjectState, Readiness};

use crate::arguments::Output;
use crate::remote::short_revision;
use crate::terminal::{self, Palette, Tone};

/// Prints states as they change.
pub(crate) struct Progress {
    started: Instant,
    output: Output,
    quiet: bool,
    palette: Palette,
    shown: HashMap<Key, ObjectState>,
}

/// How everything stands, taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overall {
    /// Something is on its way.
    Working,
    /// Everything is Ready.
    Ready,
    /// Nothing is on its way and something has failed.
    Failed,
}

impl Progress {
    /// Times count from `started`.
    pub(crate) fn new(started: Instant, output: Output, quiet: bool) -> Self {
        Self { started, output, quiet, palette: Palette::stdout(), shown: HashMap::new() }
    }

    /// Prints what changed.
    pub(crate) fn show(&mut self, states: &[ObjectState]) {
        for state in states {
            let before = self.shown.insert(state.key.clone(), state.clone());
            if !self.quiet && worth_a_line(before.as_ref(), state) {
                terminal::print(&self.line(state));
            }
        }
        for gone in self.shown.extract_if(|key, _| !states.iter().any(|state| state.key == *key)) {
            if !self.quiet && self.output == Output::Text {
                terminal::print(&format!("{}  - {} deleted\n", elapsed(self.started), gone.0));
            }
        }
    }

    /// Prints every object that is not Ready, with its reason.
    pub(crate) fn failures(&self, states: &[ObjectState]) {
        for state in states.iter().filter(|state| !matches!(state.readiness, Readiness::Ready | Readiness::Suspended)) {
            match self.output {
                Output::Json => terminal::print(&self.line(state)),
                Output::Text => {
                    let reason = if state.reason.is_empty() { "not reconciled" } else { &state.reason };
                    let title = self.palette.paint(Tone::Bad, &format!("{}: {reason}", state.key));
                    terminal::say(&title);
                    state.message.lines().for_each(|line| terminal::say(&format!("    {line}")));
                }
            }
        }
    }

    fn line(&self, state: &ObjectState) -> String {
        if self.output == Output::Json {
            let line = json!({
                "elapsedMilliseconds": self.started.elapsed().as_millis() as u64,
                "kind": state.key.kind.to_string(),
                "namespace": *state.key.namespace,
                "name": *state.key.name,
                "state": word(state.readiness),
                "reason": state.reason,
                "message": state.message,
                "revision": state.revision,
            });
            return format!("{line}\n");
        }
        let (mark, tone) = match state.readiness {
            Readiness::Ready => ("✓", Tone::Good),
            Readiness::Failing | Readiness::Stalled => ("✗", Tone::Bad),
            Readiness::Working | Readiness::Blocked => ("…", Tone::Waiting),
            Readiness::Suspended => ("‖", Tone::Faint),
        };
        let what = match state.readiness {
            Readiness::Ready => short_revision(state.revision.as_deref().unwrap_or_default()),
            Readiness::Suspended => "suspended".to_owned(),
            _ if state.message.is_empty() => "seen".to_owned(),
            _ => state.message.replace('\n', "\n            "),
        };
        let key = self.palette.paint(Tone::Strong, &state.key.to_string());
        format!("{}  {} {key}  {what}\n", elapsed(self.started), self.palette.paint(tone, mark))
    }
}

/// How everything stands. Without any object there is still something to come.
pub(crate) fn overall(states: &[ObjectState]) -> Overall {
    let any = |wanted: &[Readiness]| states.iter().any(|state| wanted.contains(&state.readiness));
    if states.is_empty() || any(&[Readiness::Working]) {
        return Overall::Working;
    }
    if any(&[Readiness::Failing, Readiness::Stalled]) {
        return Overall::Failed;
    }
    // What is blocked by nothing that failed will go on by itself.
    if any(&[Readiness::Blocked]) { Overall::Working } else { Overall::Ready }
}

fn worth_a_line(before: Option<&ObjectState>, now: &ObjectState) -> bool {
    let Some(before) = before else { return true };
    let moved = before.readiness != now.readiness || before.revision != now.revision;
    let news = before.message != now.message && now.readiness != Readiness::Ready;
    moved || news
}

fn word(readiness: Readiness) -> &'static str {
    match readiness {
        Readiness::Suspended => "suspended",
        Readiness::Working => "working",
        Readiness::Blocked => "blocked",
        Readiness::Ready => "ready",
        Readiness::Failing => "failing",
        Readiness::Stalled => "stalled",
    }
}

fn elapsed(started: Instant) -> String {
    format!("{:6.1}s", started.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use soll_controllers::Kind;

    fn state(name: &str, readiness: Readiness) -> ObjectState {
        let key = Key::new(Kind::Kustomization, "flux-system", name);
        ObjectState { key, readiness, reason: String::new(), message: String::new(), revision: None }
    }

    #[test]
    fn all_must_be_ready_and_one_failure_is_enough() {
        use Readiness::{Blocked, Failing, Ready, Working};
        let of = |all: &[Readiness]| overall(&all.iter().map(|readiness| state("a", *readiness)).collect::<Vec<_>>());
        assert_eq!(of(&[]), Overall::Working);
        assert_eq!(of(&[Ready, Readiness::Suspended]), Overall::Ready);
        assert_eq!(of(&[Ready, Working, Failing]), Overall::Working);
        assert_eq!(of(&[Ready, Blocked, Failing]), Overall::Failed);
        assert_eq!(of(&[Ready, Blocked]), Overall::Working);
    }
}
