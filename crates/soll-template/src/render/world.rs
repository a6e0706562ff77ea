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
}

/// Refuses what is nested too deeply to be printed, which includes what contains itself.
pub(crate) fn check_depth(value: &Value) -> Result<(), Fault> {
    fn within(value: &Value, left: usize) -> bool {
        let Some(left) = left.checked_sub(1) else { return false };
        match value {
            Value::List(list) => list.items().iter().all(|item| within(item, left)),
            Value::Map(map) => map.entries().values().all(|item| within(item, left)),
            _ => true,
        }
    }
    if matches!(value, Value::List(_) | Value::Map(_)) && !within(value, print::MAX_DEPTH) {
        let message = format!("the value is nested deeper than {} levels, or contains itself", print::MAX_DEPTH);
        return Err(Box::new(TemplateError::of(ErrorKind::Limit, message)));
    }
    Ok(())
}
