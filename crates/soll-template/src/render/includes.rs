//! `include` and `tpl`: templates within templates, by functions.

use std::rc::Rc;

use soll_yaml::Str;

use super::state::Operand;
use super::{Fault, MAX_INCLUDES, ROOT_NAME, Rendering};
use crate::error::{ErrorKind, TemplateError};
use crate::parse::parse;
use crate::set::Scope;
use crate::value::Value;

impl Rendering<'_> {
    pub(super) fn include(&mut self, scope: &Scope<'_>, values: &[Value]) -> Result<Value, Fault> {
        let name = crate::functions::text(&values[0]);
        let key = Str::from(name.as_ref());
        let count = self.included.entry(key.clone()).or_insert(0);
        if *count > MAX_INCLUDES {
            let message = format!("rendering template has a nested reference name: {name}: unable to execute template");
            return Err(Box::new(TemplateError::of(ErrorKind::Limit, message)));
        }
        *count += 1;
        let mut out = Vec::new();
        let result = self.by_name(scope, &name, values[1].clone(), &mut out);
        if let Some(count) = self.included.get_mut(&key) {
            *count -= 1;
        }
        result?;
        Ok(Value::bytes_text(&out))
    }

    pub(super) fn tpl(&mut self, scope: &Scope<'_>, values: &[Value]) -> Result<Value, Fault> {
        let text = crate::functions::text(&values[0]);
        if !text.contains("{{") {
            // Nothing to do, which is the common case of optional templates in values.
            let whole = values[0].as_bytes().unwrap_or_default().to_vec();
            return Ok(Value::bytes_text(&without_no_value(whole)));
        }
        let trees = match self.texts.get(text.as_ref()) {
            Some(trees) => Rc::clone(trees),
            None => {
                // A tree is larger than its text.
                self.world.spend_bytes(text.len().saturating_mul(16))?;
                let trees = parse(ROOT_NAME, &text).map_err(|error| {
                    let quoted = crate::quote::quoted(text.as_bytes());
                    Box::new(error.within(format!("cannot parse template {quoted}: ")))
                })?;
                let trees = Rc::new(trees);
                self.texts.insert(Str::from(text.as_ref()), Rc::clone(&trees));
                trees
            }
        };
        let main = trees.last().expect("a text is a template itself");
        let inner = Scope { set: scope.set, outer: Some(scope), local: &trees };
        let mut out = Vec::new();
        self.execute(main, &inner, &Operand::bare(values[1].clone()), &mut out).map_err(|error| {
            let quoted = crate::quote::quoted(text.as_bytes());
            Box::new(error.within(format!("error during tpl function execution for {quoted}: ")))
        })?;
        Ok(Value::bytes_text(&without_no_value(out)))
    }
}

/// Go prints `<no value>` for what is not there; Helm takes it out again.
pub(super) fn without_no_value(out: Vec<u8>) -> Vec<u8> {
    const NO_VALUE: &[u8] = b"<no value>";
    let mut rest = out.as_slice();
    let mut kept = Vec::new();
    while let Some(at) = crate::functions::find_bytes(rest, NO_VALUE) {
        kept.extend_from_slice(&rest[..at]);
        rest = &rest[at + NO_VALUE.len()..];
    }
    if rest.len() == out.len() {
        return out;
    }
    kept.extend_from_slice(rest);
    kept
}
