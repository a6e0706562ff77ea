//! Actions: what is between texts.

use super::state::{At, Flow, Operand, State, assign};
use super::{Fault, Rendering};
use crate::ast::{Branch, Call, Node};
use crate::error::{ErrorKind, TemplateError};
use crate::value::{Element, Kind, MapType, Value};
use crate::{print, truth};

impl Rendering<'_> {
    pub(super) fn nodes<'t>(
        &mut self,
        state: &mut State<'t>,
        dot: &Operand,
        nodes: &'t [Node],
        out: &mut Vec<u8>,
    ) -> Result<Flow, Fault> {
        for node in nodes {
            match node {
                Node::Text(range) => {
                    let text = &state.tree.source.text[range.clone()];
                    self.world.spend_bytes(text.len())?;
                    out.extend_from_slice(text.as_bytes());
                }
                Node::Action(pipe) => {
                    let value = self.pipe(state, dot, pipe)?;
                    if pipe.declared.is_empty() {
                        self.print(state, &value, out)?;
                    }
                }
                Node::If(branch) | Node::With(branch) => {
                    let with = matches!(node, Node::With(_));
                    match self.deeper(|this| this.branch(state, dot, branch, with, out))? {
                        Flow::Next => {}
                        flow => return Ok(flow),
                    }
                }
                Node::Range(branch) => self.deeper(|this| this.range(state, dot, branch, out))?,
                Node::Template(call) => self.template(state, dot, call, out)?,
                Node::Break => return Ok(Flow::Break),
                Node::Continue => return Ok(Flow::Continue),
            }
        }
        Ok(Flow::Next)
    }

    pub(super) fn print(&mut self, state: &State<'_>, value: &Value, out: &mut Vec<u8>) -> Result<(), Fault> {
        let before = out.len();
        match value {
            Value::Nil => out.extend_from_slice(b"<no value>"),
            _ => {
                self.world.walk(value).map_err(|error| state.locate(error))?;
                print::write(out, value);
            }
        }
        self.world.spend_bytes(out.len() - before).map_err(|error| state.locate(error))
    }

    pub(super) fn branch<'t>(
        &mut self,
        state: &mut State<'t>,
        dot: &Operand,
        branch: &'t Branch,
        with: bool,
        out: &mut Vec<u8>,
    ) -> Result<Flow, Fault> {
        let variables = state.variables.len();
        let value = self.pipe(state, dot, &branch.pipe)?;
        let flow = if truth::is_true(&value) {
            if with {
                self.nodes(state, &Operand::bare(value), &branch.body, out)?
            } else {
                self.nodes(state, dot, &branch.body, out)?
            }
        } else if let Some(otherwise) = &branch.otherwise {
            self.nodes(state, dot, otherwise, out)?
        } else {
            Flow::Next
        };
        state.variables.truncate(variables);
        Ok(flow)
    }

    pub(super) fn range<'t>(
        &mut self,
        state: &mut State<'t>,
        dot: &Operand,
        branch: &'t Branch,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let variables = state.variables.len();
        let value = self.pipe(state, dot, &branch.pipe)?;
        let value = match &value {
            Value::Object(object) if matches!(object.kind(), Kind::Map | Kind::Slice) => object.contents(),
            _ => value,
        };
        let mark = state.variables.len();
        // What is iterated over is what there was at the start, whatever the body changes.
        let mut any = false;
        match &value {
            number if count_of(number).is_some() => {
                let count = count_of(number).unwrap_or(0);
                if branch.pipe.declared.len() > 1 {
                    return state.fail(format!("can't use {count} to iterate over more than one variable"));
                }
                for number in 0..count {
                    any = true;
                    let item = same_type(&value, number);
                    if self.round(state, branch, Operand::bare(Value::Nil), &Operand::bare(item), out)? {
                        break;
                    }
                    state.variables.truncate(mark);
                }
            }
            Value::List(list) => {
                let boxed = list.element() == Element::Any;
                let items = list.items().clone();
                for (index, item) in items.into_iter().enumerate() {
                    any = true;
                    let index = Operand::bare(Value::Int(i64::try_from(index).unwrap_or(i64::MAX)));
                    if self.round(state, branch, index, &Operand { value: item, boxed }, out)? {
                        break;
                    }
                    state.variables.truncate(mark);
                }
            }
            Value::Map(map) => {
                let boxed = map.kind() != MapType::Str;
                let entries: Vec<_> = map.entries().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
                for (key, item) in entries {
                    any = true;
                    let key = Operand::bare(Value::Str(key));
                    if self.round(state, branch, key, &Operand { value: item, boxed }, out)? {
                        break;
                    }
                    state.variables.truncate(mark);
                }
            }
            Value::Nil => {}
            other => return state.fail(format!("range can't iterate over {}", print::to_text(other))),
        }
        state.variables.truncate(mark);
        if !any && let Some(otherwise) = &branch.otherwise {
            self.nodes(state, dot, otherwise, out)?;
        }
        state.variables.truncate(variables);
        Ok(())
    }

    /// One round of a loop. Says whether it was the last.
    pub(super) fn round<'t>(
        &mut self,
        state: &mut State<'t>,
        branch: &'t Branch,
        index: Operand,
        item: &Operand,
        out: &mut Vec<u8>,
    ) -> Result<bool, Fault> {
        self.world.spend(1).map_err(|error| state.locate(error))?;
        let pipe = &branch.pipe;
        match pipe.declared.as_slice() {
            [] => {}
            [only] if pipe.assign => assign(state, only, item.clone())?,
            [first, second] if pipe.assign => {
                assign(state, first, index)?;
                assign(state, second, item.clone())?;
            }
            declared => {
                let top = state.variables.len();
                state.variables[top - 1].1 = item.clone();
                if declared.len() > 1 {
                    state.variables[top - 2].1 = index;
                }
            }
        }
        Ok(matches!(self.nodes(state, item, &branch.body, out)?, Flow::Break))
    }

    pub(super) fn template<'t>(
        &mut self,
        state: &mut State<'t>,
        dot: &Operand,
        call: &'t Call,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        state.at = Some(At::Call(call));
        let Some(tree) = state.scope.get(&call.name) else {
            let quoted = crate::quote::quoted(call.name.as_bytes());
            let kind = ErrorKind::NoTemplate(call.name.to_string());
            let error = TemplateError::of(kind, format!("template {quoted} not defined"));
            return Err(state.locate(Box::new(error)));
        };
        let data = match &call.pipe {
            Some(pipe) => self.pipe(state, dot, pipe)?,
            None => Value::Nil,
        };
        let scope = state.scope;
        let error_at = state.at;
        self.deeper(|this| {
            let dot = Operand::bare(data);
            let mut inner = State { tree, scope, variables: vec![(0, dot.clone())], at: error_at };
            this.nodes(&mut inner, &dot, &tree.root, out).map(|_| ())
        })
        .map_err(|error| if error.frame.is_none() { state.locate(error) } else { error })
    }
}

/// How often `range` goes around a whole number.
pub(super) fn count_of(value: &Value) -> Option<i64> {
    Some(match value {
        Value::Int(count) | Value::Int64(count) => *count,
        Value::Byte(count) => i64::from(*count),
        Value::Uint64(count) => i64::try_from(*count).unwrap_or(i64::MAX),
        Value::Object(object) if matches!(object.kind(), Kind::Int | Kind::Int64) => {
            return count_of(&object.contents());
        }
        _ => return None,
    })
}

/// A number of the type of another.
pub(super) fn same_type(like: &Value, number: i64) -> Value {
    match like {
        Value::Int64(_) => Value::Int64(number),
        Value::Byte(_) => Value::Byte(number as u8),
        Value::Uint64(_) => Value::Uint64(number.unsigned_abs()),
        Value::Object(object) => object.of_number(number).unwrap_or(Value::Int(number)),
        _ => Value::Int(number),
    }
}
