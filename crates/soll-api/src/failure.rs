//! The one failure type: what went wrong, whose fault it is, where it was written, when to try again.
//!
//! Status, events, terminal, UI and alerts render a [`Failure`]; none of them makes its own text.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::{ObjectRef, Secrets};

/// Why a reconcile, a build or an apply did not reach its end.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Failure {
    /// What kind of trouble, for alerts to group by.
    pub class: Class,
    /// The condition reason of the API: `BuildFailed`, `ArtifactFailed`…
    pub reason: String,
    /// What was wrong, where, and what would be right.
    pub message: String,
    /// The object that the message is about: `Deployment/apps/podinfo`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The field of the object that is at fault: `spec.template.spec.containers[name="web"].image`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What the user can do about it, if that is not plain from the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The chain from what was asked for to what is at fault: Kustomization, object, pod, container.
    pub culprits: Vec<Culprit>,
    /// Where the cause was written, nearest first: the overlay's line before the base's.
    pub origins: Vec<Origin>,
    /// When to try again.
    #[serde(skip)]
    pub retry: Retry,
}

/// What kind of trouble a [`Failure`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The source, or the network to it, is down or refuses us.
    SourceUnreachable,
    /// What is in Git or in the spec is wrong.
    Configuration,
    /// The identity may not do it.
    Forbidden,
    /// Another field manager or writer is in the way.
    Conflict,
    /// Something that must come first is not ready.
    Dependency,
    /// It was applied and does not become healthy.
    Rollout,
    /// Our fault or the API server's.
    Internal,
}

/// When a failed reconcile is tried again. Decided where the failure is made, never from its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Only when the spec, the source or a reconcile request changes: `Stalled=True`.
    OnChange,
    /// After the object's `retryInterval`.
    AtRetryInterval,
    /// After this time.
    After(Duration),
    /// After a time that doubles with each failure in a row.
    Backoff,
}

/// One link of the chain to what is at fault.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Culprit {
    /// Who: `Deployment/apps/podinfo`, `container podinfo`.
    pub who: String,
    /// What is wrong with it: a reason such as `ImagePullBackOff`, with its text.
    pub why: String,
}

/// Where something was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// Path within the source.
    pub path: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// The transformer or generator that made the value there, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
}

impl Failure {
    /// A failure without culprits and origins.
    pub fn new(class: Class, reason: &str, message: impl Into<String>, retry: Retry) -> Self {
        Self {
            class,
            reason: reason.to_owned(),
            message: message.into(),
            object: None,
            field: None,
            hint: None,
            culprits: Vec::new(),
            origins: Vec::new(),
            retry,
        }
    }

    /// Names the object that the message is about.
    #[must_use]
    pub fn about(mut self, object: impl fmt::Display) -> Self {
        self.object = Some(object.to_string());
        self
    }

    /// Names the field at fault.
    #[must_use]
    pub fn in_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Says what can be done about it.
    #[must_use]
    pub fn hinting(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Takes what nobody may read out of every text.
    pub fn hide(&mut self, secrets: &Secrets) {
        let texts = [&mut self.message].into_iter().chain(&mut self.hint).chain(&mut self.field);
        for text in texts.chain(self.culprits.iter_mut().map(|culprit| &mut culprit.why)) {
            *text = secrets.hide(text);
        }
    }

    /// Adds the object at fault.
    #[must_use]
    pub fn of(mut self, object: &ObjectRef, why: impl Into<String>) -> Self {
        self.culprits.push(Culprit { who: object.to_string(), why: why.into() });
        self
    }

    /// Adds where it was written.
    #[must_use]
    pub fn from_origins(mut self, origins: impl IntoIterator<Item = Origin>) -> Self {
        self.origins.extend(origins);
        self
    }
}

/// The text of status and events: `path:line:column: message`, then where that came from, who is at fault, and what to
/// do, a line each.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A message made by an engine may carry its place already.
        if let Some(origin) = self.origins.first()
            && !self.message.contains(&origin.place())
        {
            write!(f, "{}: ", origin.place())?;
        }
        f.write_str(&self.message)?;
        for (position, origin) in self.origins.iter().enumerate() {
            // The first place stands in front of the message; here it is told what put the value there.
            if position > 0 || origin.via.is_some() {
                write!(f, "\n  from {origin}")?;
            }
        }
        for culprit in &self.culprits {
            // The message often names the object itself.
            if !self.message.contains(&culprit.who) || !self.message.contains(&culprit.why) {
                write!(f, "\n  {}: {}", culprit.who, culprit.why)?;
            }
        }
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

impl Origin {
    /// `path:line:column`.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}:{}:{}", self.path, self.line, self.column)
    }

    /// The chain that a build's table of sources knows for a position, nearest first.
    #[must_use]
    pub fn chain(sources: &soll_yaml::Sources, at: soll_yaml::At) -> Vec<Self> {
        let links = sources.chain(at).into_iter().map(|(at, source)| Self {
            path: source.path.to_string(),
            line: at.line(),
            column: at.column(),
            via: source.via.map(|via| via.by.into_owned()),
        });
        let mut chain: Vec<Self> = links.collect();
        // What changes a value where it stands gives two links with one place; the second says nothing more.
        chain.dedup_by(|next, link| next.via.is_none() && next.place() == link.place());
        chain
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())?;
        match &self.via {
            Some(via) => write!(f, " ({via})"),
            None => Ok(()),
        }
    }
}
