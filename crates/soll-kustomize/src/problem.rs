//! What is wrong with a build: all of it, each with its place and its remedy.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use soll_api::{Class, Failure, Origin, Retry};
use soll_yaml::{At, Sources};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What was wrong and what would be right.
    pub message: String,
    /// Where it was written.
    pub at: At,
    /// The object it concerns, as `kind/namespace/name`.
    pub object: Option<String>,
    /// The field of the object.
    pub field: Option<String>,
    /// What can be done about it, if that is not plain from the message.
    pub hint: Option<String>,
}

/// Everything that kept a build from its end.
#[derive(Clone)]
pub struct BuildErrors {
    /// The problems in the order of finding; at least one.
    pub problems: Vec<Problem>,
    /// Explains their places.
    pub sources: Arc<Sources>,
}

/// Collects problems while a build goes on.
#[derive(Debug, Default)]
pub(crate) struct Problems(RefCell<Vec<Problem>>);

impl Problem {
    pub(crate) fn new(at: At, message: impl Into<String>) -> Self {
        Self { message: message.into(), at, object: None, field: None, hint: None }
    }

    pub(crate) fn of(mut self, object: &impl ToString) -> Self {
        self.object = Some(object.to_string());
        self
    }
}

impl Problems {
    pub(crate) fn add(&self, at: At, message: impl Into<String>) {
        self.push(Problem::new(at, message));
    }

    pub(crate) fn push(&self, problem: Problem) {
        let mut list = self.0.borrow_mut();
        // The same line can be read twice when two overlays share a base.
        if !list.contains(&problem) {
            list.push(problem);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    pub(crate) fn take(&self) -> Vec<Problem> {
        self.0.take()
    }
}

impl BuildErrors {
    /// As failures of a reconcile, each with the chain of places that led to it.
    #[must_use]
    pub fn failures(&self) -> Vec<Failure> {
        self.problems.iter().map(|problem| self.failure_of(problem)).collect()
    }

    /// As one failure: the first problem with its places, the others in its message.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let mut failures = self.failures().into_iter();
        let mut first = failures
            .next()
            .unwrap_or_else(|| Failure::new(Class::Internal, "BuildFailed", "the build failed", Retry::OnChange));
        for other in failures {
            first.message = format!("{}\n{other}", first.message);
        }
        first
    }

    fn failure_of(&self, problem: &Problem) -> Failure {
        let failure = Failure::new(Class::Configuration, "BuildFailed", &problem.message, Retry::AtRetryInterval);
        let mut failure = failure.from_origins(Origin::chain(&self.sources, problem.at));
        if let Some(object) = &problem.object
            && !problem.message.contains(object.as_str())
        {
            failure.message = format!("{object}: {}", failure.message);
        }
        (failure.object, failure.field, failure.hint) =
            (problem.object.clone(), problem.field.clone(), problem.hint.clone());
        failure
    }
}

/// A line for each problem: `path:line:column: object: message`.
impl fmt::Display for BuildErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, problem) in self.problems.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            if let Some(place) = self.sources.place(problem.at) {
                write!(f, "{place}: ")?;
            }
            if let Some(object) = &problem.object
                && !problem.message.contains(object.as_str())
            {
                write!(f, "{object}: ")?;
            }
            f.write_str(&problem.message)?;
        }
        Ok(())
    }
}

impl fmt::Debug for BuildErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for BuildErrors {}
