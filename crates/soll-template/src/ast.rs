//! A parsed template, and how Go writes it back in error messages.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use soll_yaml::Str;

use crate::functions::Function;

/// The text that templates were parsed from.
#[derive(Debug)]
pub(crate) struct Source {
    /// The file, or what stands for it.
    pub(crate) name: Str,
    pub(crate) text: Str,
}

impl Source {
    /// Line from 1, column in bytes from 0, as Go counts.
    pub(crate) fn place(&self, position: usize) -> (usize, usize) {
        let before = self.text.as_bytes().get(..position).unwrap_or(self.text.as_bytes());
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count();
        (line, column)
    }
}

/// One template: a file, or what a `define` or `block` holds.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) name: Str,
    pub(crate) source: Arc<Source>,
    pub(crate) root: Vec<Node>,
}

impl Tree {
    /// Nothing but white space.
    pub(crate) fn is_empty(&self) -> bool {
        let text = &self.source.text;
        self.root.iter().all(|node| matches!(node, Node::Text(range) if text[range.clone()].trim_ascii().is_empty()))
    }
}

/// Byte offset in the source.
pub(crate) type Pos = usize;

#[derive(Debug)]
pub(crate) enum Node {
    /// Where in the source the text is.
    Text(Range<Pos>),
    Action(Pipe),
    If(Box<Branch>),
    With(Box<Branch>),
    Range(Box<Branch>),
    Template(Box<Call>),
    Break,
    Continue,
}

/// `if`, `with` or `range`.
#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) pipe: Pipe,
    pub(crate) body: Vec<Node>,
    pub(crate) otherwise: Option<Vec<Node>>,
}

/// `{{ template "name" pipe }}`
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) pos: Pos,
    pub(crate) name: Str,
    pub(crate) pipe: Option<Pipe>,
}

/// Commands of which each feeds the next, and the variables that take the result.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) pos: Pos,
    /// `=` rather than `:=`.
    pub(crate) assign: bool,
    pub(crate) declared: Vec<Variable>,
    pub(crate) commands: Vec<Command>,
}

/// An operand and its arguments.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) pos: Pos,
    pub(crate) args: Vec<Expr>,
}

/// A variable by its number within the source, which spares comparing names.
#[derive(Debug)]
pub(crate) struct Variable {
    pub(crate) id: u32,
    /// With the `$`.
    pub(crate) name: Str,
}

#[derive(Debug)]
pub(crate) enum Expr {
    Dot(Pos),
    Nil(Pos),
    Bool(Pos, bool),
    Number(Box<Number>),
    Text(Box<Literal>),
    /// `.a.b`
    Field(Pos, Vec<Str>),
    /// `$x.a.b`
    Variable(Pos, Variable, Vec<Str>),
    Function(Pos, &'static Function),
    /// `(…).a.b`
    Chain(Pos, Box<Expr>, Vec<Str>),
    Pipe(Box<Pipe>),
}

#[derive(Debug)]
pub(crate) struct Literal {
    pub(crate) pos: Pos,
    /// As written, quotes included, unless that is the value between double quotes.
    pub(crate) written: Option<Str>,
    pub(crate) value: Text,
}

/// What a literal says; escapes can make bytes that are not UTF-8.
#[derive(Debug)]
pub(crate) enum Text {
    Utf8(Str),
    Bytes(Arc<[u8]>),
}

/// A number of which the use decides what it is.
#[derive(Debug, Clone)]
pub(crate) struct Number {
    pub(crate) pos: Pos,
    pub(crate) text: Str,
    pub(crate) int: Option<i64>,
    pub(crate) uint: Option<u64>,
    pub(crate) float: Option<f64>,
    pub(crate) complex: Option<(f64, f64)>,
}

impl Expr {
    pub(crate) fn pos(&self) -> Pos {
        match self {
            Self::Dot(pos) | Self::Nil(pos) | Self::Bool(pos, _) | Self::Field(pos, _) => *pos,
            Self::Variable(pos, ..) | Self::Function(pos, _) | Self::Chain(pos, ..) => *pos,
            Self::Number(number) => number.pos,
            Self::Text(literal) => literal.pos,
            Self::Pipe(pipe) => pipe.pos,
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.written, &self.value) {
            (Some(written), _) => f.write_str(written),
            (None, Text::Utf8(text)) => write!(f, "\"{text}\""),
            (None, Text::Bytes(bytes)) => f.write_str(&crate::quote::quoted(bytes)),
        }
    }
}

fn write_fields(f: &mut fmt::Formatter<'_>, fields: &[Str]) -> fmt::Result {
    fields.iter().try_for_each(|field| write!(f, ".{field}"))
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dot(_) => f.write_str("."),
            Self::Nil(_) => f.write_str("nil"),
            Self::Bool(_, value) => write!(f, "{value}"),
            Self::Number(number) => f.write_str(&number.text),
            Self::Text(literal) => literal.fmt(f),
            Self::Field(_, names) => write_fields(f, names),
            Self::Variable(_, variable, names) => {
                f.write_str(&variable.name)?;
                write_fields(f, names)
            }
            Self::Function(_, function) => f.write_str(function.name),
            Self::Chain(_, inner, names) => {
                if matches!(**inner, Self::Pipe(_)) {
                    write!(f, "({inner})")?;
                } else {
                    write!(f, "{inner}")?;
                }
                write_fields(f, names)
            }
            Self::Pipe(pipe) => write!(f, "{pipe}"),
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, arg) in self.args.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            if matches!(arg, Expr::Pipe(_)) {
                write!(f, "({arg})")?;
            } else {
                write!(f, "{arg}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, variable) in self.declared.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            f.write_str(&variable.name)?;
        }
        if !self.declared.is_empty() {
            f.write_str(if self.assign { " = " } else { " := " })?;
        }
        for (index, command) in self.commands.iter().enumerate() {
            if index > 0 {
                f.write_str(" | ")?;
            }
            write!(f, "{command}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{{template {}", crate::quote::quoted(self.name.as_bytes()))?;
        if let Some(pipe) = &self.pipe {
            write!(f, " {pipe}")?;
        }
        f.write_str("}}")
    }
}
