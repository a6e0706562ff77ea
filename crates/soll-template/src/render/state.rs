//! A template being executed: its variables, and where it is.

use std::fmt::Display;

use super::{Fault, fault};
use crate::ast::{Call, Command, Expr, Pipe, Pos, Tree, Variable};
use crate::error::{ErrorKind, Frame, TemplateError};
use crate::set::Scope;
use crate::value::Value;

/// A value on its way through an expression.
#[derive(Clone)]
pub(super) struct Operand {
    pub(super) value: Value,
    /// It came out of a container that is declared to hold anything. Nothing from there is a `nil` that knows what it
    /// is (asking it for a field fails), nothing from elsewhere is no value at all (asking it is harmless).
    pub(super) boxed: bool,
}

impl Operand {
    pub(super) fn bare(value: Value) -> Self {
        Self { value, boxed: false }
    }

    pub(super) fn boxed(value: Value) -> Self {
        Self { value, boxed: true }
    }
}

/// Where evaluation is, for error messages.
#[derive(Clone, Copy)]
pub(super) enum At<'t> {
    Pipe(&'t Pipe),
    Command(&'t Command),
    Expr(&'t Expr),
    Call(&'t Call),
}

impl At<'_> {
    pub(super) fn pos(&self) -> Pos {
        match self {
            Self::Pipe(pipe) => pipe.pos,
            Self::Command(command) => command.pos,
            Self::Expr(expr) => expr.pos(),
            Self::Call(call) => call.pos,
        }
    }
}

impl Display for At<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pipe(pipe) => pipe.fmt(f),
            Self::Command(command) => command.fmt(f),
            Self::Expr(expr) => expr.fmt(f),
            Self::Call(call) => call.fmt(f),
        }
    }
}

/// One template being executed.
pub(super) struct State<'t> {
    pub(super) tree: &'t Tree,
    pub(super) scope: &'t Scope<'t>,
    pub(super) variables: Vec<(u32, Operand)>,
    pub(super) at: Option<At<'t>>,
}

impl State<'_> {
    pub(super) fn fail<T>(&self, message: impl Into<String>) -> Result<T, Fault> {
        Err(self.locate(fault(message)))
    }

    /// Fails because of what is nothing here.
    pub(super) fn fail_of_nil<T>(&self, message: String) -> Result<T, Fault> {
        let kind = match self.at {
            Some(At::Expr(path @ (Expr::Field(..) | Expr::Variable(..) | Expr::Chain(..)))) => {
                ErrorKind::Nil { path: path.to_string() }
            }
            _ => ErrorKind::Other,
        };
        Err(self.locate(Box::new(TemplateError::of(kind, message))))
    }

    /// Gives an error its place.
    pub(super) fn locate(&self, mut error: Fault) -> Fault {
        let Some(at) = self.at else { return error };
        let (line, column) = self.tree.source.place(at.pos());
        error.frame = Some(Frame {
            file: self.tree.source.name.to_string(),
            line,
            column,
            template: self.tree.name.to_string(),
            context: at.to_string(),
        });
        error
    }
}

pub(super) enum Flow {
    Next,
    Break,
    Continue,
}

/// Sets the variable declared last under a name. The parser takes an assignment for a declaration, so there may be none.
pub(super) fn assign(state: &mut State<'_>, variable: &Variable, operand: Operand) -> Result<(), Fault> {
    match state.variables.iter_mut().rev().find(|(known, _)| *known == variable.id) {
        Some((_, slot)) => {
            *slot = operand;
            Ok(())
        }
        None => state.fail(format!("undefined variable: {}", variable.name)),
    }
}
