//! Tokens to trees, with the rules and words of Go's `text/template/parse`.

use std::collections::HashMap;
use std::sync::Arc;

use soll_yaml::{Interner, Str};

use crate::ast::{Branch, Call, Command, Expr, Literal, Node, Number, Pipe, Pos, Source, Text, Tree, Variable};
use crate::error::{ErrorKind, TemplateError};
use crate::functions;
use crate::lex::{Kind, Lexer, Token};
use crate::number::{NumError, parse_float, parse_int, parse_uint};
use crate::quote::{quoted, unquote, unquote_char};
use foldhash::fast::RandomState;

/// Actions and parentheses within each other. Go stops at 10,000 parentheses; ours may be parsed on any thread's stack.
const MAX_NESTING: usize = 400;

type Result<T> = std::result::Result<T, TemplateError>;

/// Parses a text: the trees of its `define`s and `block`s, and last its own.
pub(crate) fn parse(name: &str, text: &str) -> Result<Vec<Arc<Tree>>> {
    let source = Arc::new(Source { name: Str::from(name), text: Str::from(text) });
    let mut parser = Parser {
        lexer: Lexer::new(text),
        source: Arc::clone(&source),
        ahead: Vec::with_capacity(3),
        last: 0,
        trees: Vec::new(),
        places: HashMap::default(),
        names: Interner::default(),
        variables: HashMap::from_iter([("$", 0)]),
        scope: vec![0],
        action: None,
        ranges: 0,
        nesting: 0,
        nodes: Vec::new(),
        commands: Vec::new(),
        operands: Vec::new(),
    };
    let root = parser.file()?;
    parser.add(Tree { name: Str::from(name), source, root })?;
    Ok(parser.trees.into_iter().map(Arc::new).collect())
}

/// What a list, a pipe or a command consists of is gathered on a stack, and moved to a place of its size when it is
/// complete: a chart has thousands of these, and keeps all of them.
fn gathered<T>(stack: &mut Vec<T>, from: usize) -> Vec<T> {
    stack.drain(from..).collect()
}

struct Parser<'t> {
    lexer: Lexer<'t>,
    source: Arc<Source>,
    /// Tokens put back, the next one last.
    ahead: Vec<Token<'t>>,
    /// Where the token read last starts: errors are said to be there.
    last: Pos,
    trees: Vec<Tree>,
    /// Where in `trees` those of a name are.
    places: HashMap<Str, usize, RandomState>,
    /// Names of fields and variables, and short literals: a chart repeats them by the thousand.
    names: Interner,
    /// Numbers of the variables by name.
    variables: HashMap<&'t str, u32, RandomState>,
    /// Variables declared at this moment.
    scope: Vec<u32>,
    /// Where the action began.
    action: Option<Pos>,
    /// Loops around.
    ranges: usize,
    nesting: usize,
    /// Parts of what is not complete yet.
    nodes: Vec<Node>,
    commands: Vec<Command>,
    operands: Vec<Expr>,
}

/// How a list of nodes ended.
enum End {
    End,
    /// What follows is `if` or `with`, if it is.
    Else,
}

impl End {
    fn text(&self) -> &'static str {
        match self {
            Self::End => "{{end}}",
            Self::Else => "{{else}}",
        }
    }
}

/// A node, or what ends a list of them.
enum Item {
    Node(Node),
    End(End),
}

impl<'t> Parser<'t> {
    fn next(&mut self) -> Token<'t> {
        match self.ahead.pop() {
            Some(token) => token,
            None => {
                let token = self.lexer.next();
                self.last = token.pos;
                token
            }
        }
    }

    fn back(&mut self, token: Token<'t>) {
        self.ahead.push(token);
    }

    fn peek(&mut self) -> &Token<'t> {
        if self.ahead.is_empty() {
            let token = self.next();
            self.back(token);
        }
        self.ahead.last().expect("just put there")
    }

    fn next_non_space(&mut self) -> Token<'t> {
        loop {
            let token = self.next();
            if token.kind != Kind::Space {
                return token;
            }
        }
    }

    fn peek_non_space(&mut self) -> &Token<'t> {
        let token = self.next_non_space();
        self.back(token);
        self.peek()
    }

    fn line(&self, pos: Pos) -> usize {
        self.source.place(pos).0
    }

    fn error<T>(&self, message: impl std::fmt::Display) -> Result<T> {
        let name = &self.source.name;
        let line = self.line(self.last);
        Err(TemplateError::of(ErrorKind::Parse, format!("template: {name}:{line}: {message}")))
    }

    fn unexpected<T>(&self, token: &Token<'t>, context: &str) -> Result<T> {
        if token.kind != Kind::Error {
            return self.error(format!("unexpected {token} in {context}"));
        }
        let mut extra = String::new();
        if let Some(action) = self.action.map(|pos| self.line(pos))
            && action != self.line(token.pos)
        {
            let name = &self.source.name;
            let of = if self.lexer.error().ends_with(" action") { "" } else { " in action" };
            extra = format!("{of} started at {name}:{action}");
        }
        self.error(format!("{}{extra}", self.lexer.error()))
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Result<Token<'t>> {
        let token = self.next_non_space();
        if token.kind == kind { Ok(token) } else { self.unexpected(&token, context) }
    }

    /// The same name twice in one text is an error, unless one of the two is empty.
    fn add(&mut self, tree: Tree) -> Result<()> {
        match self.places.get(&tree.name) {
            None => {
                self.places.insert(tree.name.clone(), self.trees.len());
                self.trees.push(tree);
            }
            Some(place) if self.trees[*place].is_empty() => self.trees[*place] = tree,
            Some(_) if tree.is_empty() => {}
            Some(_) => {
                let name = quoted(tree.name.as_bytes());
                return self.error(format!("template: multiple definition of template {name}"));
            }
        }
        Ok(())
    }

    fn file(&mut self) -> Result<Vec<Node>> {
        let first = self.nodes.len();
        loop {
            match self.peek().kind {
                Kind::Eof => return Ok(gathered(&mut self.nodes, first)),
                Kind::LeftDelim => {
                    let delimiter = self.next();
                    let token = self.next_non_space();
                    if token.kind == Kind::Define {
                        self.definition()?;
                        continue;
                    }
                    self.back(token);
                    self.back(delimiter);
                }
                _ => {}
            }
            match self.text_or_action()? {
                Item::Node(node) => self.nodes.push(node),
                Item::End(end) => return self.error(format!("unexpected {}", end.text())),
            }
        }
    }

    fn definition(&mut self) -> Result<()> {
        const CONTEXT: &str = "define clause";
        let token = self.next_non_space();
        if !matches!(token.kind, Kind::String | Kind::RawString) {
            return self.unexpected(&token, CONTEXT);
        }
        let name = self.name_of(&token)?;
        self.expect(Kind::RightDelim, CONTEXT)?;
        self.separate_tree(name, CONTEXT)
    }

    /// The body of a `define` or `block`: it knows no variables and no loops of what is around it.
    fn separate_tree(&mut self, name: Str, context: &str) -> Result<()> {
        let scope = std::mem::replace(&mut self.scope, vec![0]);
        let ranges = std::mem::take(&mut self.ranges);
        let action = self.action.take();
        let (root, end) = self.list()?;
        if matches!(end, End::Else) {
            return self.error(format!("unexpected {} in {context}", end.text()));
        }
        (self.scope, self.ranges, self.action) = (scope, ranges, action);
        let source = Arc::clone(&self.source);
        self.add(Tree { name, source, root })
    }

    fn name_of(&self, token: &Token<'t>) -> Result<Str> {
        match unquote(token.text) {
            Some(bytes) => Ok(Str::from(crate::functions::lossy(&bytes).as_ref())),
            None => self.error("invalid syntax"),
        }
    }

    fn list(&mut self) -> Result<(Vec<Node>, End)> {
        let first = self.nodes.len();
        while self.peek_non_space().kind != Kind::Eof {
            match self.text_or_action()? {
                Item::Node(node) => self.nodes.push(node),
                Item::End(end) => return Ok((gathered(&mut self.nodes, first), end)),
            }
        }
        self.error("unexpected EOF")
    }

    fn text_or_action(&mut self) -> Result<Item> {
        let token = self.next_non_space();
        match token.kind {
            Kind::Text => Ok(Item::Node(Node::Text(token.pos..token.pos + token.text.len()))),
            Kind::LeftDelim => {
                self.action = Some(token.pos);
                self.nesting += 1;
                if self.nesting > MAX_NESTING {
                    return self.error("max expression depth exceeded");
                }
                let item = self.in_action();
                self.nesting -= 1;
                self.action = None;
                item
            }
            _ => self.unexpected(&token, "input"),
        }
    }

    fn in_action(&mut self) -> Result<Item> {
        let token = self.next_non_space();
        let node = match token.kind {
            Kind::Block => self.block()?,
            Kind::Break | Kind::Continue => self.loop_control(token.kind)?,
            Kind::Else => return self.else_clause(),
            Kind::End => {
                self.expect(Kind::RightDelim, "end")?;
                return Ok(Item::End(End::End));
            }
            Kind::If => Node::If(self.branch("if")?),
            Kind::Range => Node::Range(self.branch("range")?),
            Kind::With => Node::With(self.branch("with")?),
            Kind::Template => self.template()?,
            _ => {
                self.back(token);
                Node::Action(self.pipeline("command", Kind::RightDelim)?)
            }
        };
        Ok(Item::Node(node))
    }

    fn loop_control(&mut self, kind: Kind) -> Result<Node> {
        let (name, node) = match kind {
            Kind::Break => ("{{break}}", Node::Break),
            _ => ("{{continue}}", Node::Continue),
        };
        let token = self.next_non_space();
        if token.kind != Kind::RightDelim {
            return self.unexpected(&token, name);
        }
        if self.ranges == 0 {
            return self.error(format!("{name} outside {{{{range}}}}"));
        }
        Ok(node)
    }

    /// `else if` and `else with` leave their second word to be read.
    fn else_clause(&mut self) -> Result<Item> {
        if !matches!(self.peek_non_space().kind, Kind::If | Kind::With) {
            self.expect(Kind::RightDelim, "else")?;
        }
        Ok(Item::End(End::Else))
    }

    fn branch(&mut self, context: &str) -> Result<Box<Branch>> {
        let variables = self.scope.len();
        let pipe = self.pipeline(context, Kind::RightDelim)?;
        let in_loop = usize::from(context == "range");
        self.ranges += in_loop;
        let (body, end) = self.list()?;
        self.ranges -= in_loop;
        let otherwise = match end {
            End::End => None,
            End::Else => Some(self.otherwise(context)?),
        };
        self.scope.truncate(variables);
        Ok(Box::new(Branch { pipe, body, otherwise }))
    }

    fn otherwise(&mut self, context: &str) -> Result<Vec<Node>> {
        let chained = match (context, self.peek().kind) {
            ("if", Kind::If) | ("with", Kind::With) => Some(self.next().kind),
            _ => None,
        };
        let Some(kind) = chained else {
            let (body, end) = self.list()?;
            return match end {
                End::End => Ok(body),
                End::Else => self.error(format!("expected end; found {}", end.text())),
            };
        };
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return self.error("max expression depth exceeded");
        }
        let branch = self.branch(context)?;
        self.nesting -= 1;
        Ok(vec![if kind == Kind::If { Node::If(branch) } else { Node::With(branch) }])
    }

    fn block(&mut self) -> Result<Node> {
        const CONTEXT: &str = "block clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, CONTEXT)?;
        let pipe = self.pipeline(CONTEXT, Kind::RightDelim)?;
        self.separate_tree(name.clone(), CONTEXT)?;
        Ok(Node::Template(Box::new(Call { pos: token.pos, name, pipe: Some(pipe) })))
    }

    fn template(&mut self) -> Result<Node> {
        const CONTEXT: &str = "template clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, CONTEXT)?;
        let next = self.next_non_space();
        let pipe = if next.kind == Kind::RightDelim {
            None
        } else {
            self.back(next);
            Some(self.pipeline(CONTEXT, Kind::RightDelim)?)
        };
        Ok(Node::Template(Box::new(Call { pos: token.pos, name, pipe })))
    }

    fn template_name(&mut self, token: &Token<'t>, context: &str) -> Result<Str> {
        match token.kind {
            Kind::String | Kind::RawString => self.name_of(token),
            _ => self.unexpected(token, context),
        }
    }

    /// The number of a variable, new or known.
    fn number_of(&mut self, name: &'t str) -> u32 {
        let next = u32::try_from(self.variables.len()).expect("a text has fewer variables than bytes");
        *self.variables.entry(name).or_insert(next)
    }

    fn pipeline(&mut self, context: &str, end: Kind) -> Result<Pipe> {
        let pos = self.peek_non_space().pos;
        let mut pipe = Pipe { pos, assign: false, declared: Vec::new(), commands: Vec::new() };
        let first = self.commands.len();
        self.declarations(context, &mut pipe)?;
        loop {
            let token = self.next_non_space();
            match token.kind {
                kind if kind == end => break,
                Kind::Bool
                | Kind::CharConstant
                | Kind::Complex
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::RawString
                | Kind::String
                | Kind::Variable
                | Kind::LeftParen => {
                    self.back(token);
                    let command = self.command()?;
                    self.commands.push(command);
                }
                _ => return self.unexpected(&token, context),
            }
        }
        pipe.commands = gathered(&mut self.commands, first);
        self.check(&pipe, context)?;
        Ok(pipe)
    }

    /// `$x :=`, `$x =`, and in a loop `$k, $v :=`.
    fn declarations(&mut self, context: &str, pipe: &mut Pipe) -> Result<()> {
        while self.peek_non_space().kind == Kind::Variable {
            let variable = self.next();
            let after = *self.peek();
            let next = self.next_non_space();
            let comma = next.kind == Kind::Char && next.text == ",";
            if !comma && !matches!(next.kind, Kind::Assign | Kind::Declare) {
                // An operand after all.
                self.back(next);
                if after.kind == Kind::Space {
                    self.back(after);
                }
                self.back(variable);
                return Ok(());
            }
            let id = self.number_of(variable.text);
            pipe.declared.push(Variable { id, name: self.names.intern(variable.text) });
            self.scope.push(id);
            if !comma {
                pipe.assign = next.kind == Kind::Assign;
                return Ok(());
            }
            if context != "range" || pipe.declared.len() >= 2 {
                return self.error(format!("too many declarations in {context}"));
            }
            if !matches!(self.peek_non_space().kind, Kind::Variable | Kind::RightDelim | Kind::RightParen) {
                return self.error("range can only initialize variables");
            }
        }
        Ok(())
    }

    fn check(&self, pipe: &Pipe, context: &str) -> Result<()> {
        if pipe.commands.is_empty() {
            return self.error(format!("missing value for {context}"));
        }
        for (index, command) in pipe.commands.iter().enumerate().skip(1) {
            if matches!(command.args[0], Expr::Bool(..) | Expr::Dot(_) | Expr::Nil(_) | Expr::Number(_) | Expr::Text(_))
            {
                return self.error(format!("non executable command in pipeline stage {}", index + 1));
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Result<Command> {
        let pos = self.peek_non_space().pos;
        let first = self.operands.len();
        loop {
            self.peek_non_space();
            if let Some(operand) = self.operand()? {
                self.operands.push(operand);
            }
            let token = self.next();
            match token.kind {
                Kind::Space => continue,
                Kind::RightDelim | Kind::RightParen => self.back(token),
                Kind::Pipe => {}
                _ => return self.unexpected(&token, "operand"),
            }
            break;
        }
        if self.operands.len() == first {
            return self.error("empty command");
        }
        Ok(Command { pos, args: gathered(&mut self.operands, first) })
    }

    fn operand(&mut self) -> Result<Option<Expr>> {
        let Some(mut term) = self.term()? else { return Ok(None) };
        let next = self.peek();
        if next.kind != Kind::Field {
            return Ok(Some(term));
        }
        let pos = next.pos;
        let mut fields = Vec::new();
        while self.peek().kind == Kind::Field {
            let field = self.next();
            fields.push(self.names.intern(&field.text[1..]));
        }
        match &mut term {
            Expr::Field(at, names) | Expr::Variable(at, _, names) => {
                *at = pos;
                names.append(&mut fields);
            }
            Expr::Bool(..) | Expr::Text(_) | Expr::Number(_) | Expr::Nil(_) | Expr::Dot(_) => {
                return self.error(format!("unexpected . after term {}", quoted(term.to_string().as_bytes())));
            }
            Expr::Function(..) | Expr::Chain(..) | Expr::Pipe(_) => {
                term = Expr::Chain(pos, Box::new(term), fields);
            }
        }
        Ok(Some(term))
    }

    fn term(&mut self) -> Result<Option<Expr>> {
        let token = self.next_non_space();
        let pos = token.pos;
        let expr = match token.kind {
            Kind::Identifier => match functions::find(token.text) {
                Some(function) => Expr::Function(pos, function),
                None => return self.error(format!("function {} not defined", quoted(token.text.as_bytes()))),
            },
            Kind::Dot => Expr::Dot(pos),
            Kind::Nil => Expr::Nil(pos),
            Kind::Variable => self.variable(&token)?,
            Kind::Field => Expr::Field(pos, vec![self.names.intern(&token.text[1..])]),
            Kind::Bool => Expr::Bool(pos, token.text == "true"),
            Kind::CharConstant | Kind::Complex | Kind::Number => match number(&token) {
                Ok(number) => Expr::Number(Box::new(number)),
                Err(message) => return self.error(message),
            },
            Kind::LeftParen => {
                self.nesting += 1;
                if self.nesting > MAX_NESTING {
                    return self.error("max expression depth exceeded");
                }
                let pipe = self.pipeline("parenthesized pipeline", Kind::RightParen)?;
                self.nesting -= 1;
                Expr::Pipe(Box::new(pipe))
            }
            Kind::String | Kind::RawString => Expr::Text(Box::new(self.literal(&token)?)),
            _ => {
                self.back(token);
                return Ok(None);
            }
        };
        Ok(Some(expr))
    }

    fn literal(&mut self, token: &Token<'t>) -> Result<Literal> {
        let text = token.text;
        if let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'))
            && memchr::memchr(b'\\', inner.as_bytes()).is_none()
        {
            return Ok(Literal { pos: token.pos, written: None, value: Text::Utf8(self.names.intern(inner)) });
        }
        let Some(bytes) = unquote(text) else { return self.error("invalid syntax") };
        let value = match String::from_utf8(bytes) {
            Ok(text) => Text::Utf8(Str::from(text)),
            Err(error) => Text::Bytes(Arc::from(error.into_bytes())),
        };
        Ok(Literal { pos: token.pos, written: Some(Str::from(text)), value })
    }

    fn variable(&mut self, token: &Token<'t>) -> Result<Expr> {
        let id = self.variables.get(token.text).copied().filter(|id| self.scope.contains(id));
        match id {
            Some(id) => {
                let name = self.names.intern(token.text);
                Ok(Expr::Variable(token.pos, Variable { id, name }, Vec::new()))
            }
            None => self.error(format!("undefined variable {}", quoted(token.text.as_bytes()))),
        }
    }
}

/// What a number can be taken for.
fn number(token: &Token<'_>) -> std::result::Result<Number, String> {
    let text = token.text;
    let mut number =
        Number { pos: token.pos, text: Str::from(text), int: None, uint: None, float: None, complex: None };
    if token.kind == Kind::CharConstant {
        let (unit, tail) = unquote_char(&text[1..], '\'').ok_or("invalid syntax")?;
        if tail != "'" {
            return Err(format!("malformed character constant: {text}"));
        }
        let code = unit.code();
        number.int = Some(i64::from(code));
        number.uint = Some(u64::from(code));
        number.float = Some(f64::from(code));
        return Ok(number);
    }
    if token.kind == Kind::Complex {
        let split = text[1..].rfind(['+', '-']).map(|index| index + 1).ok_or("syntax error scanning complex number")?;
        let (real, imaginary) = (&text[..split], &text[split..text.len() - 1]);
        let parsed = parse_float(real).and_then(|real| Ok((real, parse_float(imaginary)?)));
        let (real, imaginary) = parsed.map_err(|_| "syntax error scanning complex number".to_owned())?;
        number.set_complex(real, imaginary);
        return Ok(number);
    }
    if let Some(imaginary) = text.strip_suffix('i')
        && let Ok(value) = parse_float(imaginary)
    {
        number.set_complex(0.0, value);
        return Ok(number);
    }
    number.uint = parse_uint(text).ok();
    number.int = parse_int(text, 0).ok();
    if number.int == Some(0) {
        number.uint = Some(0);
    }
    if let Some(int) = number.int {
        number.float = Some(int as f64);
    } else if let Some(uint) = number.uint {
        number.float = Some(uint as f64);
    } else {
        match parse_float(text) {
            Ok(value) => {
                if !text.contains(['.', 'e', 'E', 'p', 'P']) {
                    return Err(format!("integer overflow: {}", quoted(text.as_bytes())));
                }
                number.float = Some(value);
                number.int = whole(value);
                number.uint = whole(value).and_then(|int| u64::try_from(int).ok());
            }
            Err(NumError::Syntax | NumError::Range) => {
                return Err(format!("illegal number syntax: {}", quoted(text.as_bytes())));
            }
        }
    }
    Ok(number)
}

/// A float that is a whole number.
fn whole(value: f64) -> Option<i64> {
    let int = crate::number::float_to_int(value);
    (int as f64 == value).then_some(int)
}

impl Number {
    /// A complex number without imaginary part is also what its real part is.
    fn set_complex(&mut self, real: f64, imaginary: f64) {
        self.complex = Some((real, imaginary));
        if imaginary == 0.0 {
            self.float = Some(real);
            self.int = whole(real);
            self.uint = whole(real).and_then(|int| u64::try_from(int).ok());
        }
    }
}
