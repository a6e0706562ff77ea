//! Template text to tokens, with the rules of Go's `text/template/parse`.

use crate::quote::{quoted, quoted_char};
use crate::unicode::{is_digit, is_letter};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Error,
    Bool,
    /// A character that stands for itself, such as a comma.
    Char,
    CharConstant,
    Complex,
    Assign,
    Declare,
    Eof,
    Field,
    Identifier,
    LeftDelim,
    LeftParen,
    Number,
    Pipe,
    RawString,
    RightDelim,
    RightParen,
    Space,
    String,
    Text,
    Variable,
    // Keywords.
    Block,
    Break,
    Continue,
    Dot,
    Define,
    Else,
    End,
    If,
    Nil,
    Range,
    Template,
    With,
}

impl Kind {
    fn keyword(word: &str) -> Option<Self> {
        Some(match word {
            "block" => Self::Block,
            "break" => Self::Break,
            "continue" => Self::Continue,
            "define" => Self::Define,
            "else" => Self::Else,
            "end" => Self::End,
            "if" => Self::If,
            "nil" => Self::Nil,
            "range" => Self::Range,
            "template" => Self::Template,
            "with" => Self::With,
            _ => return None,
        })
    }

    fn is_keyword(self) -> bool {
        use Kind::{Block, Break, Continue, Define, Dot, Else, End, If, Nil, Range, Template, With};
        matches!(self, Block | Break | Continue | Dot | Define | Else | End | If | Nil | Range | Template | With)
    }
}

/// A piece of the text, and where it starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'t> {
    pub(crate) kind: Kind,
    pub(crate) pos: usize,
    pub(crate) text: &'t str,
}

impl std::fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind {
            Kind::Eof => f.write_str("EOF"),
            kind if kind.is_keyword() => write!(f, "<{}>", self.text),
            _ if self.text.len() > 10 => {
                let start: String = self.text.chars().take(10).collect();
                write!(f, "{}...", quoted(start.as_bytes()))
            }
            _ => f.write_str(&quoted(self.text.as_bytes())),
        }
    }
}

/// Reads tokens one by one. Actions are `{{ … }}`; `{{- ` and ` -}}` trim the text around them.
pub(crate) struct Lexer<'t> {
    input: &'t str,
    pos: usize,
    start: usize,
    parens: usize,
    inside: bool,
    /// What is wrong with the token that was an error; nothing follows it.
    error: Option<String>,
}

const LEFT: &str = "{{";
const RIGHT: &str = "}}";
/// Space and minus.
const TRIM_LEN: usize = 2;

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_space_byte(byte: u8) -> bool {
    is_space(char::from(byte))
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || is_letter(c) || is_digit(c)
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn trims_left(after_delimiter: &str) -> bool {
    matches!(after_delimiter.as_bytes(), [b'-', space, ..] if is_space_byte(*space))
}

impl<'t> Lexer<'t> {
    pub(crate) fn new(input: &'t str) -> Self {
        Self { input, pos: 0, start: 0, parens: 0, inside: false, error: None }
    }

    pub(crate) fn next(&mut self) -> Token<'t> {
        if self.error.is_some() {
            return Token { kind: Kind::Eof, pos: 0, text: "" };
        }
        if self.inside { self.action() } else { self.text() }
    }

    /// What is wrong with the text, once a token was an error.
    pub(crate) fn error(&self) -> &str {
        self.error.as_deref().unwrap_or_default()
    }

    fn rest(&self) -> &'t str {
        &self.input[self.pos..]
    }

    fn byte(&self) -> Option<u8> {
        self.input.as_bytes().get(self.pos).copied()
    }

    fn peek(&self) -> Option<char> {
        match self.byte() {
            Some(byte) if byte.is_ascii() => Some(char::from(byte)),
            Some(_) => self.rest().chars().next(),
            None => None,
        }
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    fn ignore(&mut self) {
        self.start = self.pos;
    }

    fn emit(&mut self, kind: Kind) -> Token<'t> {
        let token = Token { kind, pos: self.start, text: &self.input[self.start..self.pos] };
        self.start = self.pos;
        token
    }

    fn fail(&mut self, message: impl Into<String>) -> Token<'t> {
        self.error = Some(message.into());
        Token { kind: Kind::Error, pos: self.start, text: "" }
    }

    /// Text up to the next action, comments left out.
    fn text(&mut self) -> Token<'t> {
        loop {
            let Some(delimiter) = self.next_action() else {
                self.pos = self.input.len();
                return self.emit(if self.pos > self.start { Kind::Text } else { Kind::Eof });
            };
            let mut end = delimiter;
            if trims_left(&self.input[delimiter + LEFT.len()..]) {
                end = self.start + self.input[self.start..delimiter].trim_end_matches(is_space).len();
            }
            if end > self.start {
                self.pos = end;
                let token = self.emit(Kind::Text);
                self.pos = delimiter;
                self.ignore();
                return token;
            }
            self.pos = delimiter;
            self.ignore();
            let trim = trims_left(&self.input[delimiter + LEFT.len()..]);
            let inner = delimiter + LEFT.len() + if trim { TRIM_LEN } else { 0 };
            if self.input[inner..].starts_with("/*") {
                self.pos = inner;
                self.ignore();
                if let Some(error) = self.comment() {
                    return error;
                }
                continue;
            }
            self.pos = delimiter + LEFT.len();
            let token = self.emit(Kind::LeftDelim);
            self.inside = true;
            self.pos = inner;
            self.ignore();
            self.parens = 0;
            return token;
        }
    }

    /// Where the next `{{` is.
    fn next_action(&self) -> Option<usize> {
        let bytes = self.input.as_bytes();
        memchr::memchr_iter(b'{', &bytes[self.pos..])
            .map(|offset| self.pos + offset)
            .find(|brace| bytes.get(brace + 1) == Some(&b'{'))
    }

    fn comment(&mut self) -> Option<Token<'t>> {
        let Some(end) = self.input[self.pos + 2..].find("*/") else { return Some(self.fail("unclosed comment")) };
        self.pos += 2 + end + 2;
        let Some(trim) = self.right_delimiter() else {
            return Some(self.fail("comment ends before closing delimiter"));
        };
        self.pass_delimiter(trim);
        self.ignore();
        None
    }

    /// Whether here ends an action, and if so, whether it trims.
    fn right_delimiter(&self) -> Option<bool> {
        match &self.input.as_bytes()[self.pos..] {
            [b'}', b'}', ..] => Some(false),
            [space, b'-', b'}', b'}', ..] if is_space_byte(*space) => Some(true),
            _ => None,
        }
    }

    fn pass_delimiter(&mut self, trim: bool) {
        if trim {
            self.pos += TRIM_LEN + RIGHT.len();
            let rest = self.rest();
            self.pos += rest.len() - rest.trim_start_matches(is_space).len();
        } else {
            self.pos += RIGHT.len();
        }
    }

    fn end_of_action(&mut self, trim: bool) -> Token<'t> {
        if trim {
            self.pos += TRIM_LEN;
            self.ignore();
        }
        self.pos += RIGHT.len();
        let token = self.emit(Kind::RightDelim);
        if trim {
            let rest = self.rest();
            self.pos += rest.len() - rest.trim_start_matches(is_space).len();
            self.ignore();
        }
        self.inside = false;
        token
    }

    fn action(&mut self) -> Token<'t> {
        if let Some(trim) = self.right_delimiter() {
            return if self.parens == 0 { self.end_of_action(trim) } else { self.fail("unclosed left paren") };
        }
        let Some(c) = self.bump() else { return self.fail("unclosed action") };
        match c {
            _ if is_space(c) => self.spaces(),
            '=' => self.emit(Kind::Assign),
            ':' => {
                if self.bump() == Some('=') {
                    self.emit(Kind::Declare)
                } else {
                    self.fail("expected :=")
                }
            }
            '|' => self.emit(Kind::Pipe),
            '"' => self.quoted(b'"', Kind::String, "unterminated quoted string"),
            '\'' => self.quoted(b'\'', Kind::CharConstant, "unterminated character constant"),
            '`' => match self.rest().find('`') {
                Some(length) => {
                    self.pos += length + 1;
                    self.emit(Kind::RawString)
                }
                None => self.fail("unterminated raw quoted string"),
            },
            '$' => self.name(Kind::Variable),
            '.' if self.input.as_bytes().get(self.pos).is_some_and(|byte| !byte.is_ascii_digit()) => {
                self.name(Kind::Field)
            }
            '.' | '+' | '-' | '0'..='9' => {
                self.pos = self.start;
                self.number()
            }
            '(' => {
                self.parens += 1;
                self.emit(Kind::LeftParen)
            }
            ')' => {
                let Some(parens) = self.parens.checked_sub(1) else { return self.fail("unexpected right paren") };
                self.parens = parens;
                self.emit(Kind::RightParen)
            }
            _ if is_alphanumeric(c) => self.identifier(),
            _ if c.is_ascii_graphic() => self.emit(Kind::Char),
            _ => self.fail(format!("unrecognized character in action: {}", code_point(c))),
        }
    }

    fn spaces(&mut self) -> Token<'t> {
        while self.byte().is_some_and(is_space_byte) {
            self.pos += 1;
        }
        // The last space may belong to a trimming delimiter.
        if self.input.as_bytes()[self.pos..].starts_with(b"-}}") {
            self.pos -= 1;
            if self.pos == self.start {
                return self.end_of_action(true);
            }
        }
        self.emit(Kind::Space)
    }

    fn quoted(&mut self, quote: u8, kind: Kind, unterminated: &str) -> Token<'t> {
        let bytes = self.input.as_bytes();
        while let Some(length) = memchr::memchr3(quote, b'\\', b'\n', &bytes[self.pos..]) {
            self.pos += length + 1;
            match bytes[self.pos - 1] {
                b'\\' => {
                    if matches!(self.bump(), None | Some('\n')) {
                        break;
                    }
                }
                b'\n' => break,
                _ => return self.emit(kind),
            }
        }
        self.fail(unterminated)
    }

    /// After the `.` or `$`.
    fn name(&mut self, kind: Kind) -> Token<'t> {
        if self.at_terminator() {
            return self.emit(if kind == Kind::Variable { Kind::Variable } else { Kind::Dot });
        }
        self.word();
        if !self.at_terminator() {
            return self.bad_character();
        }
        self.emit(kind)
    }

    /// Passes letters, digits and underscores.
    fn word(&mut self) {
        loop {
            while self.byte().is_some_and(is_word_byte) {
                self.pos += 1;
            }
            match self.peek() {
                Some(c) if !c.is_ascii() && is_alphanumeric(c) => self.pos += c.len_utf8(),
                _ => return,
            }
        }
    }

    fn identifier(&mut self) -> Token<'t> {
        self.word();
        if !self.at_terminator() {
            return self.bad_character();
        }
        let word = &self.input[self.start..self.pos];
        let kind = match word {
            "true" | "false" => Kind::Bool,
            _ => Kind::keyword(word).unwrap_or(Kind::Identifier),
        };
        self.emit(kind)
    }

    fn bad_character(&mut self) -> Token<'t> {
        let c = self.peek().expect("the end of the text terminates");
        self.fail(format!("bad character {}", code_point(c)))
    }

    /// What may follow a name.
    fn at_terminator(&self) -> bool {
        match &self.input.as_bytes()[self.pos..] {
            [] | [b'.' | b',' | b'|' | b':' | b')' | b'(', ..] | [b'}', b'}', ..] => true,
            [byte, ..] => is_space_byte(*byte),
        }
    }

    fn number(&mut self) -> Token<'t> {
        if !self.scan_number() {
            return self.bad_number();
        }
        if matches!(self.peek(), Some('+' | '-')) {
            if !self.scan_number() || !self.input[..self.pos].ends_with('i') {
                return self.bad_number();
            }
            return self.emit(Kind::Complex);
        }
        self.emit(Kind::Number)
    }

    fn bad_number(&mut self) -> Token<'t> {
        let text = quoted(&self.input.as_bytes()[self.start..self.pos]);
        self.fail(format!("bad number syntax: {text}"))
    }

    fn accept(&mut self, set: &str) -> bool {
        let found = self.peek().is_some_and(|c| set.contains(c));
        if found {
            self.bump();
        }
        found
    }

    fn accept_run(&mut self, set: &str) {
        while self.accept(set) {}
    }

    fn scan_number(&mut self) -> bool {
        const DECIMAL: &str = "0123456789_";
        const HEX: &str = "0123456789abcdefABCDEF_";
        self.accept("+-");
        let mut digits = DECIMAL;
        if self.accept("0") {
            if self.accept("xX") {
                digits = HEX;
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        self.accept_run(digits);
        if self.accept(".") {
            self.accept_run(digits);
        }
        let exponent = match digits {
            DECIMAL => self.accept("eE"),
            HEX => self.accept("pP"),
            _ => false,
        };
        if exponent {
            self.accept("+-");
            self.accept_run(DECIMAL);
        }
        self.accept("i");
        if self.peek().is_some_and(is_alphanumeric) {
            self.bump();
            return false;
        }
        true
    }
}

/// `%#U` of Go.
fn code_point(c: char) -> String {
    let code = u32::from(c);
    if crate::unicode::is_print(c) {
        let quoted = quoted_char(c, false);
        // The character stands between the quotes as it is.
        let shown = if matches!(c, '\'' | '\\') { format!("'{c}'") } else { quoted };
        format!("U+{code:04X} {shown}")
    } else {
        format!("U+{code:04X}")
    }
}
