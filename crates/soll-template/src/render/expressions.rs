//! Expressions: pipelines, fields, calls.

use soll_yaml::Str;

use super::arguments::{Arguments, check_count, ideal, literal, text_value, validate};
use super::state::{At, Operand, State, assign};
use super::{Fault, Rendering};
use crate::ast::{Command, Expr, Pipe};
use crate::error::{ErrorKind, TemplateError};
use crate::functions::{Function, Run};
use crate::helm_values;
use crate::object::Param;
use crate::truth;
use crate::value::{Element, Kind, List, Map, MapType, Value};

impl Rendering<'_> {
    pub(super) fn pipe<'t>(&mut self, state: &mut State<'t>, dot: &Operand, pipe: &'t Pipe) -> Result<Value, Fault> {
        state.at = Some(At::Pipe(pipe));
        self.world.spend(1).map_err(|error| state.locate(error))?;
        let mut value: Option<Operand> = None;
        for command in &pipe.commands {
            let result = self.command(state, dot, command, value)?;
            value = Some(Operand::bare(result.value));
        }
        let value = value.map_or(Value::Nil, |operand| operand.value);
        for variable in &pipe.declared {
            let operand = Operand::bare(value.clone());
            if pipe.assign {
                assign(state, variable, operand)?;
            } else {
                state.variables.push((variable.id, operand));
            }
        }
        Ok(value)
    }

    pub(super) fn command<'t>(
        &mut self,
        state: &mut State<'t>,
        dot: &Operand,
        command: &'t Command,
        piped: Option<Operand>,
    ) -> Result<Operand, Fault> {
        let first = &command.args[0];
        let arguments = Arguments { written: &command.args[1..], piped };
        match first {
            Expr::Field(..) | Expr::Chain(..) | Expr::Variable(..) => self.path(state, dot, first, &arguments),
            Expr::Function(_, function) => {
                state.at = Some(At::Expr(first));
                self.function(state, dot, function, At::Command(command), &arguments)
            }
            Expr::Pipe(pipe) => {
                not_a_function(state, first, &arguments)?;
                self.deeper(|this| this.pipe(state, dot, pipe)).map(Operand::bare)
            }
            Expr::Dot(_) | Expr::Nil(_) | Expr::Bool(..) | Expr::Number(_) | Expr::Text(_) => {
                state.at = Some(At::Expr(first));
                not_a_function(state, first, &arguments)?;
                match first {
                    Expr::Dot(_) => Ok(dot.clone()),
                    Expr::Bool(_, value) => Ok(Operand::bare(Value::Bool(*value))),
                    Expr::Number(number) => ideal(state, number).map(Operand::bare),
                    Expr::Text(literal) => Ok(Operand::bare(text_value(&literal.value))),
                    _ => state.fail("nil is not a command"),
                }
            }
        }
    }

    /// `.a.b`, `$x.a.b`, `(…).a.b`, of which the last may be a method with arguments.
    pub(super) fn path<'t>(
        &mut self,
        state: &mut State<'t>,
        dot: &Operand,
        expr: &'t Expr,
        arguments: &Arguments<'t>,
    ) -> Result<Operand, Fault> {
        state.at = Some(At::Expr(expr));
        match expr {
            Expr::Field(_, names) => self.fields(state, dot, expr, dot.clone(), names, arguments),
            Expr::Variable(_, variable, names) => {
                let known = state.variables.iter().rev().find(|(id, _)| *id == variable.id);
                let Some((_, operand)) = known else {
                    return state.fail(format!("undefined variable: {}", variable.name));
                };
                let operand = operand.clone();
                if names.is_empty() {
                    not_a_function(state, expr, arguments)?;
                    return Ok(operand);
                }
                self.fields(state, dot, expr, operand, names, arguments)
            }
            Expr::Chain(_, inner, names) => {
                if matches!(**inner, Expr::Nil(_)) {
                    return state.fail(format!("indirection through explicit nil in {expr}"));
                }
                let operand = self.chained(state, dot, inner)?;
                self.fields(state, dot, expr, operand, names, arguments)
            }
            _ => self.argument(state, dot, expr, Param::Reflect).map(Operand::bare),
        }
    }

    /// What a chain of fields starts from.
    pub(super) fn chained<'t>(
        &mut self,
        state: &mut State<'t>,
        dot: &Operand,
        inner: &'t Expr,
    ) -> Result<Operand, Fault> {
        state.at = Some(At::Expr(inner));
        match inner {
            Expr::Pipe(pipe) => self.deeper(|this| this.pipe(state, dot, pipe)).map(Operand::bare),
            Expr::Function(_, function) => self.function(state, dot, function, At::Expr(inner), &Arguments::NONE),
            _ => self.path(state, dot, inner, &Arguments::NONE),
        }
    }

    pub(super) fn fields<'t>(
        &mut self,
        state: &mut State<'t>,
        dot: &Operand,
        expr: &'t Expr,
        mut receiver: Operand,
        names: &'t [Str],
        arguments: &Arguments<'t>,
    ) -> Result<Operand, Fault> {
        let last = names.len() - 1;
        for (index, name) in names[..last].iter().enumerate() {
            receiver = self.field(state, dot, (expr, index), &receiver, name, &Arguments::NONE)?;
        }
        self.field(state, dot, (expr, last), &receiver, &names[last], arguments)
    }

    pub(super) fn field<'t>(
        &mut self,
        state: &mut State<'t>,
        dot: &Operand,
        (expr, index): (&'t Expr, usize),
        receiver: &Operand,
        name: &str,
        arguments: &Arguments<'t>,
    ) -> Result<Operand, Fault> {
        let strict = self.world.options.strict;
        let type_name =
            |receiver: &Operand| if receiver.boxed { "interface {}" } else { receiver.value.type_name() }.to_owned();
        match &receiver.value {
            Value::Nil if receiver.boxed => {
                let error = TemplateError::of(
                    ErrorKind::Nil { path: path_before(expr, index) },
                    format!("nil pointer evaluating interface {{}}.{name}"),
                );
                return Err(state.locate(Box::new(error)));
            }
            Value::Nil => {
                if strict {
                    let quoted = crate::quote::quoted(name.as_bytes());
                    return state.fail(format!("nil data; no entry for key {quoted}"));
                }
                return Ok(Operand::bare(Value::Nil));
            }
            Value::Map(map) => {
                if map.kind() == MapType::Values
                    && let Some(params) = helm_values::method(name)
                {
                    let values = self.arguments(state, dot, name, At::Expr(expr), (params, None), arguments)?;
                    return returned(state, expr, name, helm_values::call(map, name, &values));
                }
                if arguments.any() {
                    return state.fail(format!("{name} is not a method but has arguments"));
                }
                return entry(state, map, name, strict);
            }
            Value::Object(object) => {
                if let Some(params) = object.method(name) {
                    let values = self.arguments(state, dot, name, At::Expr(expr), (params, None), arguments)?;
                    return returned(state, expr, name, object.call(name, &values));
                }
                if let Some(field) = object.field(name) {
                    if arguments.any() {
                        return state.fail(format!("{name} has arguments but cannot be invoked as function"));
                    }
                    return Ok(Operand::bare(field));
                }
                if object.hidden().contains(&name) {
                    return unexported(state, name, object.type_name());
                }
                if object.kind() == Kind::Map
                    && let Value::Map(map) = object.contents()
                {
                    if arguments.any() {
                        return state.fail(format!("{name} is not a method but has arguments"));
                    }
                    return entry(state, &map, name, strict);
                }
            }
            Value::Time(_) if matches!(name, "wall" | "ext" | "loc") => return unexported(state, name, "time.Time"),
            Value::Time(time) => {
                if let Some(params) = time.method(name) {
                    let values = self.arguments(state, dot, name, At::Expr(expr), (params, None), arguments)?;
                    return returned(state, expr, name, time.call(name, &values, self.world.environment));
                }
            }
            _ => {}
        }
        state.fail(format!("can't evaluate field {name} in type {}", type_name(receiver)))
    }

    pub(super) fn function<'t>(
        &mut self,
        state: &mut State<'t>,
        dot: &Operand,
        function: &'static Function,
        at: At<'t>,
        arguments: &Arguments<'t>,
    ) -> Result<Operand, Fault> {
        if matches!(function.run, Run::And | Run::Or) {
            check_count(state, function.name, (function.params, function.variadic), arguments)?;
            return self.short_circuit(state, dot, matches!(function.run, Run::Or), arguments);
        }
        if matches!(function.run, Run::Len) {
            check_count(state, function.name, (function.params, function.variadic), arguments)?;
            let operand = match arguments.written.first() {
                Some(expr) => self.operand(state, dot, expr)?,
                None => arguments.piped.clone().unwrap_or(Operand::bare(Value::Nil)),
            };
            return match length(&operand) {
                Ok(length) => Ok(Operand::bare(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))),
                Err(message) => {
                    state.at = Some(at);
                    Err(state.locate(calling("len", TemplateError::plain(message))))
                }
            };
        }
        let params = (function.params, function.variadic);
        let values = self.arguments(state, dot, function.name, at, params, arguments)?;
        self.world.spend_on_call(&values).map_err(|error| state.locate(error))?;
        if function.walks {
            let walked = values.iter().try_for_each(|value| self.world.walk(value));
            if let Err(error) = walked {
                state.at = Some(at);
                return Err(state.locate(calling(function.name, *error)));
            }
        }
        let result = match function.run {
            Run::Pure(run) => run(&values),
            Run::World(run) => run(&mut self.world, &values),
            Run::Include => self.deeper(|this| this.include(state.scope, &values)),
            Run::Tpl => self.deeper(|this| this.tpl(state.scope, &values)),
            Run::Call => {
                let written = arguments.written.first().map(ToString::to_string);
                crate::functions::call(written.as_deref(), &values)
            }
            Run::And | Run::Or | Run::Len => unreachable!("handled before"),
        };
        match result {
            Ok(value) => {
                if let Some(bytes) = value.as_bytes() {
                    self.world.spend_bytes(bytes.len()).map_err(|error| state.locate(error))?;
                }
                Ok(Operand { value, boxed: function.boxed })
            }
            Err(error) => {
                state.at = Some(at);
                Err(state.locate(calling(function.name, *error)))
            }
        }
    }

    pub(super) fn short_circuit<'t>(
        &mut self,
        state: &mut State<'t>,
        dot: &Operand,
        stop_at: bool,
        arguments: &Arguments<'t>,
    ) -> Result<Operand, Fault> {
        let mut last = Operand::bare(Value::Nil);
        for expr in arguments.written {
            last = Operand::bare(self.argument(state, dot, expr, Param::Reflect)?);
            if truth::is_true(&last.value) == stop_at {
                return Ok(last);
            }
        }
        Ok(arguments.piped.clone().unwrap_or(last))
    }

    pub(super) fn arguments<'t>(
        &mut self,
        state: &mut State<'t>,
        dot: &Operand,
        name: &str,
        _at: At<'t>,
        (params, variadic): (&'static [Param], Option<Param>),
        arguments: &Arguments<'t>,
    ) -> Result<Vec<Value>, Fault> {
        check_count(state, name, (params, variadic), arguments)?;
        let mut values = Vec::with_capacity(arguments.written.len() + 1);
        let param = |index: usize| params.get(index).copied().or(variadic).expect("the count was checked");
        for (index, expr) in arguments.written.iter().enumerate() {
            values.push(self.argument(state, dot, expr, param(index))?);
        }
        if let Some(piped) = &arguments.piped {
            values.push(validate(state, piped.clone(), param(arguments.written.len()))?);
        }
        Ok(values)
    }

    pub(super) fn argument<'t>(
        &mut self,
        state: &mut State<'t>,
        dot: &Operand,
        expr: &'t Expr,
        param: Param,
    ) -> Result<Value, Fault> {
        state.at = Some(At::Expr(expr));
        match expr {
            Expr::Dot(_) => validate(state, dot.clone(), param),
            Expr::Nil(_) => match param {
                Param::Any | Param::Reflect => Ok(Value::Nil),
                Param::Map => Ok(Value::Map(Map::nil())),
                Param::List => Ok(Value::List(List::nil(Element::Any))),
                Param::Named(name) if name.starts_with('*') => Ok(Value::Nil),
                _ => state.fail(format!("cannot assign nil to {}", param.name())),
            },
            Expr::Field(..) | Expr::Variable(..) | Expr::Chain(..) | Expr::Pipe(_) | Expr::Function(..) => {
                let operand = self.operand(state, dot, expr)?;
                validate(state, operand, param)
            }
            Expr::Bool(..) | Expr::Number(_) | Expr::Text(_) => literal(state, expr, param),
        }
    }

    /// An argument, whatever it is.
    pub(super) fn operand<'t>(
        &mut self,
        state: &mut State<'t>,
        dot: &Operand,
        expr: &'t Expr,
    ) -> Result<Operand, Fault> {
        state.at = Some(At::Expr(expr));
        match expr {
            Expr::Dot(_) => Ok(dot.clone()),
            Expr::Nil(_) => Ok(Operand::bare(Value::Nil)),
            Expr::Pipe(pipe) => self.deeper(|this| this.pipe(state, dot, pipe)).map(Operand::bare),
            Expr::Function(_, function) => self.function(state, dot, function, At::Expr(expr), &Arguments::NONE),
            Expr::Field(..) | Expr::Variable(..) | Expr::Chain(..) => self.path(state, dot, expr, &Arguments::NONE),
            Expr::Bool(..) | Expr::Number(_) | Expr::Text(_) => literal(state, expr, Param::Any).map(Operand::bare),
        }
    }
}

/// What a method returned, or its error at its place.
fn returned<'t>(
    state: &mut State<'t>,
    expr: &'t Expr,
    name: &str,
    result: Result<Value, String>,
) -> Result<Operand, Fault> {
    result.map(Operand::bare).map_err(|message| {
        state.at = Some(At::Expr(expr));
        state.locate(calling(name, TemplateError::plain(message)))
    })
}

/// `error calling NAME: …`; an error that has a place of its own stays a level of its own.
pub(super) fn calling(name: &str, error: TemplateError) -> Fault {
    Box::new(error.within(format!("error calling {name}: ")))
}

/// What is nil, as the template writes it.
pub(super) fn path_before(expr: &Expr, index: usize) -> String {
    let (start, names) = match expr {
        Expr::Field(_, names) => (String::new(), names),
        Expr::Variable(_, variable, names) => (variable.name.to_string(), names),
        Expr::Chain(_, inner, names) => (format!("({inner})"), names),
        other => return other.to_string(),
    };
    let path = names[..index].iter().fold(start, |path, name| path + "." + name);
    if path.is_empty() { ".".into() } else { path }
}

pub(super) fn entry(state: &State<'_>, map: &Map, name: &str, strict: bool) -> Result<Operand, Fault> {
    let typed = map.kind() == MapType::Str;
    match map.get(name) {
        Some(value) => Ok(Operand { value, boxed: !typed }),
        None if strict => {
            let quoted = crate::quote::quoted(name.as_bytes());
            state.fail(format!("map has no entry for key {quoted}"))
        }
        None if typed => Ok(Operand::bare(Value::text(""))),
        None => Ok(Operand::boxed(Value::Nil)),
    }
}

pub(super) fn unexported(state: &State<'_>, name: &str, type_name: &str) -> Result<Operand, Fault> {
    state.fail(format!("{name} is an unexported field of struct type {type_name}"))
}

pub(super) fn not_a_function(state: &State<'_>, first: &Expr, arguments: &Arguments<'_>) -> Result<(), Fault> {
    if arguments.any() {
        return state.fail(format!("can't give argument to non-function {first}"));
    }
    Ok(())
}

pub(super) fn length(operand: &Operand) -> Result<usize, String> {
    match &operand.value {
        Value::Nil if operand.boxed => Err("len of nil pointer".into()),
        Value::Nil => Err("reflect: call of reflect.Value.Type on zero Value".into()),
        Value::Str(text) => Ok(text.len()),
        Value::Raw(bytes) => Ok(bytes.len()),
        Value::List(list) => Ok(list.len()),
        Value::Map(map) => Ok(map.len()),
        Value::Object(object) if matches!(object.kind(), Kind::Map | Kind::Slice) => {
            length(&Operand::bare(object.contents()))
        }
        // Of a pointer it says what it points to.
        other => Err(format!("len of type {}", other.type_name().trim_start_matches('*'))),
    }
}
