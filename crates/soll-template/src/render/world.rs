//! What functions may use besides their arguments: the environment, and fuel.

use std::collections::HashMap;
use std::rc::Rc;

use soll_yaml::Str;

use super::{Fault, Options};
use crate::environment::Environment;
use crate::error::{ErrorKind, TemplateError};
use crate::print;
use crate::value::Value;

/// What functions may use besides their arguments.
pub(crate) struct World<'s> {
    pub(crate) environment: &'s dyn Environment,
    pub(crate) options: Options,
    pub(super) steps: u64,
    pub(super) bytes: u64,
    /// Compiled regular expressions.
    pub(crate) patterns: HashMap<Str, Rc<regex::Regex>>,
}

impl World<'_> {
    /// Pays for work.
    pub(crate) fn spend(&mut self, steps: u64) -> Result<(), Fault> {
        match self.steps.checked_sub(steps) {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => {
                let limit = self.options.limits.steps;
                Err(Box::new(TemplateError::of(ErrorKind::Limit, format!("rendering takes more than {limit} steps"))))
            }
        }
    }

    /// Pays for text.
    pub(crate) fn spend_bytes(&mut self, bytes: usize) -> Result<(), Fault> {
        match self.bytes.checked_sub(bytes as u64) {
            Some(left) => {
                self.bytes = left;
                Ok(())
            }
            None => {
                let limit = self.options.limits.bytes;
                let message = format!("rendering makes more than {limit} bytes of text");
                Err(Box::new(TemplateError::of(ErrorKind::Limit, message)))
            }
        }
    }

    /// Pays for what every function does with its arguments: at most, it copies them.
    pub(super) fn spend_on_call(&mut self, arguments: &[Value]) -> Result<(), Fault> {
        let cost = |argument: &Value| match argument {
            Value::List(list) => list.len(),
            Value::Map(map) => map.len(),
            Value::Str(text) => text.len() / 64,
            Value::Raw(bytes) => bytes.len() / 64,
            _ => 0,
        };
        self.spend(arguments.iter().map(|argument| cost(argument) as u64).sum())
    }

    /// Pays for walking through all that is in a value: parts that are there a hundred times are walked a hundred times.
    /// Refuses what is nested too deeply, which includes what contains itself.
    pub(crate) fn walk(&mut self, value: &Value) -> Result<(), Fault> {
        let mut walk = Walk { parts: self.steps, bytes: self.bytes };
        match walk.through(value, print::MAX_DEPTH) {
            Ok(()) => self.spend((self.steps - walk.parts) / 8),
            Err(Stop::Depth) => {
                let message =
                    format!("the value is nested deeper than {} levels, or contains itself", print::MAX_DEPTH);
                Err(Box::new(TemplateError::of(ErrorKind::Limit, message)))
            }
            Err(Stop::Parts) => self.spend(u64::MAX),
            Err(Stop::Bytes) => self.spend_bytes(usize::MAX),
        }
    }

    /// How long a text may become.
    pub(crate) fn bytes_left(&self) -> usize {
        usize::try_from(self.bytes).unwrap_or(usize::MAX)
    }
}

/// What is left of the fuel on a walk through a value.
struct Walk {
    parts: u64,
    bytes: u64,
}

/// Why a walk ends early.
enum Stop {
    Depth,
    Parts,
    Bytes,
}

impl Walk {
    fn through(&mut self, value: &Value, depth: usize) -> Result<(), Stop> {
        self.parts = self.parts.checked_sub(1).ok_or(Stop::Parts)?;
        match value {
            Value::Str(text) => self.text(text.len()),
            Value::Raw(bytes) => self.text(bytes.len()),
            Value::List(list) => {
                let depth = depth.checked_sub(1).ok_or(Stop::Depth)?;
                list.items().iter().try_for_each(|item| self.through(item, depth))
            }
            Value::Map(map) => {
                let depth = depth.checked_sub(1).ok_or(Stop::Depth)?;
                map.entries().iter().try_for_each(|(key, item)| {
                    self.text(key.len())?;
                    self.through(item, depth)
                })
            }
            _ => Ok(()),
        }
    }

    fn text(&mut self, length: usize) -> Result<(), Stop> {
        self.bytes = self.bytes.checked_sub(length as u64).ok_or(Stop::Bytes)?;
        Ok(())
    }
}
