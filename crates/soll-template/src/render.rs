//! Rendering: walking trees, as Go's `text/template` does it.

use std::collections::HashMap;
use std::fmt::Display;
use std::rc::Rc;
use std::sync::Arc;

use soll_yaml::Str;

use crate::ast::{Branch, Call, Command, Expr, Node, Number, Pipe, Pos, Text, Tree, Variable};
use crate::duration::DURATION;
use crate::environment::{Environment, Limits};
use crate::error::{ErrorKind, Frame, TemplateError};
use crate::functions::{Function, Run};
use crate::object::Param;
use crate::parse::parse;
use crate::set::{Scope, Set};
use crate::value::{Kind, List, Map, MapType, Value};
use crate::{print, truth};

/// An error on its way out.
pub(crate) type Fault = Box<TemplateError>;

pub(crate) fn fault(message: impl Into<String>) -> Fault {
    Box::new(TemplateError::plain(message))
}

/// How to render.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A missing key is an error, as in `helm lint --strict`.
    pub strict: bool,
    /// `required` and `fail` warn instead of failing, as in `helm lint`.
    pub lint: bool,
    /// How far it may go.
    pub limits: Limits,
}

/// Helm's own bound on templates that include themselves.
const MAX_INCLUDES: u32 = 1_000;
/// What Helm calls the set of all templates; `tpl` texts are called so, too.
const ROOT_NAME: &str = "gotpl";

/// The rendering of one release: fuel, include counts and parsed `tpl` texts are shared by its files.
pub struct Rendering<'s> {
    set: &'s Set,
    pub(crate) world: World<'s>,
    included: HashMap<Str, u32>,
    /// Parsed `tpl` texts.
    texts: HashMap<Str, Rc<Vec<Arc<Tree>>>>,
    depth: u32,
}

/// What functions may use besides their arguments.
pub(crate) struct World<'s> {
    pub(crate) environment: &'s dyn Environment,
    pub(crate) options: Options,
    steps: u64,
    bytes: u64,
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

/// A value on its way through an expression.
#[derive(Clone)]
struct Operand {
    value: Value,
    /// It came out of a container that is declared to hold anything. Nothing from there is a `nil` that knows what it
    /// is (asking it for a field fails), nothing from elsewhere is no value at all (asking it is harmless).
    boxed: bool,
}

impl Operand {
    fn bare(value: Value) -> Self {
        Self { value, boxed: false }
    }

    fn boxed(value: Value) -> Self {
        Self { value, boxed: true }
    }
}

/// Where evaluation is, for error messages.
#[derive(Clone, Copy)]
enum At<'t> {
    Pipe(&'t Pipe),
    Command(&'t Command),
    Expr(&'t Expr),
    Call(&'t Call),
}

impl At<'_> {
    fn pos(&self) -> Pos {
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
struct State<'t> {
    tree: &'t Tree,
    scope: &'t Scope<'t>,
    variables: Vec<(u32, Operand)>,
    at: Option<At<'t>>,
}

impl State<'_> {
    fn fail<T>(&self, message: impl Into<String>) -> Result<T, Fault> {
        Err(self.locate(fault(message)))
    }

    /// Gives an error its place.
    fn locate(&self, mut error: Fault) -> Fault {
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

enum Flow {
    Next,
    Break,
    Continue,
}

/// The arguments after the first word, and what the pipe brings.
struct Arguments<'t> {
    written: &'t [Expr],
    piped: Option<Operand>,
}

impl Arguments<'_> {
    const NONE: Arguments<'static> = Arguments { written: &[], piped: None };

    fn any(&self) -> bool {
        !self.written.is_empty() || self.piped.is_some()
    }
}

impl<'s> Rendering<'s> {
    /// Begins a rendering.
    #[must_use]
    pub fn new(set: &'s Set, environment: &'s dyn Environment, options: Options) -> Self {
        let world = World {
            environment,
            steps: options.limits.steps,
            bytes: options.limits.bytes,
            options,
            patterns: HashMap::new(),
        };
        Self { set, world, included: HashMap::new(), texts: HashMap::new(), depth: 0 }
    }

    /// Renders a template with a value for its dot. Where Go prints `<no value>`, nothing is left, as Helm does it.
    ///
    /// # Errors
    /// What went wrong and where, through all the includes.
    pub fn render(&mut self, name: &str, data: Value) -> Result<String, TemplateError> {
        let out = self.render_bytes(name, data)?;
        String::from_utf8(out).map_err(|error| {
            let place = error.utf8_error().valid_up_to();
            TemplateError::plain(format!("template: {name}: what it renders is not UTF-8 at byte {place}"))
        })
    }

    /// The same, where texts that are not UTF-8 are welcome.
    ///
    /// # Errors
    /// As [`Self::render`].
    pub fn render_bytes(&mut self, name: &str, data: Value) -> Result<Vec<u8>, TemplateError> {
        let scope = Scope { set: self.set, outer: None, local: &[] };
        let mut out = Vec::with_capacity(1024);
        self.depth = 0;
        self.by_name(&scope, name, data, &mut out).map_err(|error| *error)?;
        Ok(without_no_value(out))
    }

    fn by_name(&mut self, scope: &Scope<'_>, name: &str, data: Value, out: &mut Vec<u8>) -> Result<(), Fault> {
        let Some(tree) = scope.get(name) else {
            let quoted = crate::quote::quoted(name.as_bytes());
            let message = format!("template: no template {quoted} associated with template \"{ROOT_NAME}\"");
            return Err(Box::new(TemplateError::of(ErrorKind::NoTemplate(name.to_owned()), message)));
        };
        self.execute(tree, scope, &Operand::bare(data), out)
    }

    fn execute(&mut self, tree: &Tree, scope: &Scope<'_>, dot: &Operand, out: &mut Vec<u8>) -> Result<(), Fault> {
        let mut state = State { tree, scope, variables: vec![(0, dot.clone())], at: None };
        self.nodes(&mut state, dot, &tree.root, out)?;
        Ok(())
    }

    /// Goes a level deeper in the machine's stack.
    fn deeper<T>(&mut self, what: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        let limit = self.world.options.limits.depth;
        if self.depth >= limit {
            let message = format!("exceeded maximum template depth ({limit})");
            return Err(Box::new(TemplateError::of(ErrorKind::Limit, message)));
        }
        self.depth += 1;
        let result = what(self);
        self.depth -= 1;
        result
    }

    fn nodes<'t>(
        &mut self,
        state: &mut State<'t>,
        dot: &Operand,
        nodes: &'t [Node],
        out: &mut Vec<u8>,
    ) -> Result<Flow, Fault> {
        for node in nodes {
            match node {
                Node::Text(text) => {
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

    fn print(&mut self, state: &State<'_>, value: &Value, out: &mut Vec<u8>) -> Result<(), Fault> {
        let before = out.len();
        match value {
            Value::Nil => out.extend_from_slice(b"<no value>"),
            _ => {
                check_depth(value).map_err(|error| state.locate(error))?;
                print::write(out, value);
            }
        }
        self.world.spend_bytes(out.len() - before).map_err(|error| state.locate(error))
    }

    fn branch<'t>(
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

    fn range<'t>(
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
                let boxed = list.element() == crate::value::Element::Any;
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
    fn round<'t>(
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

    fn template<'t>(
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

    fn pipe<'t>(&mut self, state: &mut State<'t>, dot: &Operand, pipe: &'t Pipe) -> Result<Value, Fault> {
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

    fn command<'t>(
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
    fn path<'t>(
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
    fn chained<'t>(&mut self, state: &mut State<'t>, dot: &Operand, inner: &'t Expr) -> Result<Operand, Fault> {
        state.at = Some(At::Expr(inner));
        match inner {
            Expr::Pipe(pipe) => self.deeper(|this| this.pipe(state, dot, pipe)).map(Operand::bare),
            Expr::Function(_, function) => self.function(state, dot, function, At::Expr(inner), &Arguments::NONE),
            _ => self.path(state, dot, inner, &Arguments::NONE),
        }
    }

    fn fields<'t>(
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

    fn field<'t>(
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
                if arguments.any() {
                    return state.fail(format!("{name} is not a method but has arguments"));
                }
                return entry(state, map, name, strict);
            }
            Value::Object(object) => {
                if let Some(params) = object.method(name) {
                    let values = self.arguments(state, dot, name, At::Expr(expr), (params, None), arguments)?;
                    return match object.call(name, &values) {
                        Ok(value) => Ok(Operand::bare(value)),
                        Err(message) => {
                            state.at = Some(At::Expr(expr));
                            state.fail(format!("error calling {name}: {message}"))
                        }
                    };
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
                    return match time.call(name, &values, self.world.environment) {
                        Ok(value) => Ok(Operand::bare(value)),
                        Err(message) => {
                            state.at = Some(At::Expr(expr));
                            state.fail(format!("error calling {name}: {message}"))
                        }
                    };
                }
            }
            _ => {}
        }
        state.fail(format!("can't evaluate field {name} in type {}", type_name(receiver)))
    }

    fn function<'t>(
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
                    state.fail(format!("error calling len: {message}"))
                }
            };
        }
        let params = (function.params, function.variadic);
        let values = self.arguments(state, dot, function.name, at, params, arguments)?;
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

    fn short_circuit<'t>(
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

    fn arguments<'t>(
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

    fn argument<'t>(
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
                Param::List => Ok(Value::List(List::nil(crate::value::Element::Any))),
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
    fn operand<'t>(&mut self, state: &mut State<'t>, dot: &Operand, expr: &'t Expr) -> Result<Operand, Fault> {
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

    fn include(&mut self, scope: &Scope<'_>, values: &[Value]) -> Result<Value, Fault> {
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

    fn tpl(&mut self, scope: &Scope<'_>, values: &[Value]) -> Result<Value, Fault> {
        let text = crate::functions::text(&values[0]);
        if !text.contains("{{") {
            // Nothing to do, which is the common case of optional templates in values.
            let whole = values[0].as_bytes().unwrap_or_default().to_vec();
            return Ok(Value::bytes_text(&without_no_value(whole)));
        }
        let trees = match self.texts.get(text.as_ref()) {
            Some(trees) => Rc::clone(trees),
            None => {
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
fn without_no_value(out: Vec<u8>) -> Vec<u8> {
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

/// `error calling NAME: …`; an error that has a place of its own stays a level of its own.
fn calling(name: &str, error: TemplateError) -> Fault {
    Box::new(error.within(format!("error calling {name}: ")))
}

/// Sets the variable declared last under a name. The parser takes an assignment for a declaration, so there may be none.
fn assign(state: &mut State<'_>, variable: &Variable, operand: Operand) -> Result<(), Fault> {
    match state.variables.iter_mut().rev().find(|(known, _)| *known == variable.id) {
        Some((_, slot)) => {
            *slot = operand;
            Ok(())
        }
        None => state.fail(format!("undefined variable: {}", variable.name)),
    }
}

/// What is nil, as the template writes it.
fn path_before(expr: &Expr, index: usize) -> String {
    let (start, names) = match expr {
        Expr::Field(_, names) => (String::new(), names),
        Expr::Variable(_, variable, names) => (variable.name.to_string(), names),
        Expr::Chain(_, inner, names) => (format!("({inner})"), names),
        other => return other.to_string(),
    };
    let path = names[..index].iter().fold(start, |path, name| path + "." + name);
    if path.is_empty() { ".".into() } else { path }
}

fn entry(state: &State<'_>, map: &Map, name: &str, strict: bool) -> Result<Operand, Fault> {
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

fn unexported(state: &State<'_>, name: &str, type_name: &str) -> Result<Operand, Fault> {
    state.fail(format!("{name} is an unexported field of struct type {type_name}"))
}

fn not_a_function(state: &State<'_>, first: &Expr, arguments: &Arguments<'_>) -> Result<(), Fault> {
    if arguments.any() {
        return state.fail(format!("can't give argument to non-function {first}"));
    }
    Ok(())
}

fn check_count(
    state: &State<'_>,
    name: &str,
    (params, variadic): (&[Param], Option<Param>),
    arguments: &Arguments<'_>,
) -> Result<(), Fault> {
    let written = arguments.written.len();
    let count = written + usize::from(arguments.piped.is_some());
    let wanted = params.len();
    if variadic.is_some() {
        if count < wanted {
            return state.fail(format!("wrong number of args for {name}: want at least {wanted} got {written}"));
        }
    } else if count != wanted {
        return state.fail(format!("wrong number of args for {name}: want {wanted} got {count}"));
    }
    Ok(())
}

/// What a number is where nothing is asked of it.
fn ideal(state: &State<'_>, number: &Number) -> Result<Value, Fault> {
    if let Some((real, imaginary)) = number.complex {
        return Ok(Value::Complex(real, imaginary));
    }
    let text: &str = &number.text;
    let lower = text.to_ascii_lowercase();
    let unsigned = lower.as_str();
    let hex = unsigned.len() > 2 && unsigned.starts_with("0x") && !unsigned.contains('p');
    let looks_float = !hex && !text.starts_with('\'') && unsigned.contains(['.', 'e', 'p']);
    match (number.float, number.int) {
        (Some(float), _) if looks_float => Ok(Value::Float(float)),
        (_, Some(int)) => Ok(Value::Int(int)),
        _ if number.uint.is_some() => state.fail(format!("{text} overflows int")),
        _ => Ok(Value::Nil),
    }
}

fn text_value(text: &Text) -> Value {
    match text {
        Text::Utf8(text) => Value::Str(text.clone()),
        Text::Bytes(bytes) => Value::Raw(Arc::clone(bytes)),
    }
}

/// A literal where a type is asked for.
fn literal(state: &State<'_>, expr: &Expr, param: Param) -> Result<Value, Fault> {
    let expected = |what: &str| state.fail(format!("expected {what}; found {expr}"));
    match (param, expr) {
        (Param::Any | Param::Reflect, Expr::Bool(_, value)) => Ok(Value::Bool(*value)),
        (Param::Any | Param::Reflect, Expr::Number(number)) => ideal(state, number),
        (Param::Any | Param::Reflect, Expr::Text(literal)) => Ok(text_value(&literal.value)),
        (Param::Bool, Expr::Bool(_, value)) => Ok(Value::Bool(*value)),
        (Param::Bool, _) => expected("bool"),
        (Param::Str, Expr::Text(literal)) => Ok(text_value(&literal.value)),
        (Param::Str, _) => expected("string"),
        (Param::Int, Expr::Number(number)) if number.int.is_some() => Ok(Value::Int(number.int.unwrap_or_default())),
        (Param::Int, _) => expected("integer"),
        (Param::Uint32, Expr::Number(number)) if number.uint.is_some() => {
            let uint = number.uint.unwrap_or_default();
            // Reflection sets the low bits of a narrow integer.
            Ok(Value::Int((uint & 0xffff_ffff) as i64))
        }
        (Param::Uint32, _) => expected("unsigned integer"),
        (Param::Float, Expr::Number(number)) if number.float.is_some() => {
            Ok(Value::Float(number.float.unwrap_or_default()))
        }
        (Param::Float, _) => expected("float"),
        (DURATION, Expr::Number(number)) if number.int.is_some() => {
            Ok(crate::duration::duration(number.int.unwrap_or_default()))
        }
        (DURATION, _) => expected("integer"),
        _ => state.fail(format!("can't handle {expr} for arg of type {}", param.name())),
    }
}

/// Checks that a value is what a parameter is declared as.
fn validate(state: &State<'_>, operand: Operand, param: Param) -> Result<Value, Fault> {
    let fits = match (&operand.value, param) {
        (_, Param::Any | Param::Reflect) => true,
        (Value::Nil, Param::Map) if !operand.boxed => return Ok(Value::Map(Map::nil())),
        (Value::Nil, Param::List) if !operand.boxed => {
            return Ok(Value::List(List::nil(crate::value::Element::Any)));
        }
        (Value::Nil, Param::Named(name)) if !operand.boxed && name.starts_with('*') => return Ok(Value::Nil),
        (Value::Str(_) | Value::Raw(_), Param::Str) => true,
        (Value::Int(_), Param::Int) => true,
        (Value::Float(_), Param::Float) => true,
        (Value::Bool(_), Param::Bool) => true,
        (Value::Map(map), Param::Map) if map.kind() == MapType::Values => return Ok(Value::Map(map.as_any())),
        (Value::Map(map), Param::Map) => map.kind() == MapType::Any,
        (Value::List(list), Param::List) => list.element() == crate::value::Element::Any,
        (value, Param::Named(name)) => value.type_name() == name,
        _ => false,
    };
    if fits {
        return Ok(operand.value);
    }
    let expected = param.name();
    match operand.value {
        Value::Nil if operand.boxed => {
            state.fail(format!("wrong type for value; expected {expected}; got interface {{}}"))
        }
        Value::Nil => state.fail(format!("invalid value; expected {expected}")),
        value => state.fail(format!("wrong type for value; expected {expected}; got {}", value.type_name())),
    }
}

/// How often `range` goes around a whole number.
fn count_of(value: &Value) -> Option<i64> {
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
fn same_type(like: &Value, number: i64) -> Value {
    match like {
        Value::Int64(_) => Value::Int64(number),
        Value::Byte(_) => Value::Byte(number as u8),
        Value::Uint64(_) => Value::Uint64(number.unsigned_abs()),
        Value::Object(object) => object.of_number(number).unwrap_or(Value::Int(number)),
        _ => Value::Int(number),
    }
}

fn length(operand: &Operand) -> Result<usize, String> {
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
