//! Patterns of RE2 in the syntax of the `regex` crate, and Go's words for what is wrong with them.
//!
//! The two mean the same by most of what they share. Where they do not, the pattern is rewritten: `\d`, `\w`, `\s` and
//! `\b` know only ASCII in RE2, `{` may stand for itself, classes have no set operations, `\Q…\E` quotes.

/// Rewrites a pattern.
pub(crate) fn translate(pattern: &str) -> Result<String, String> {
    let mut translator = Translator { pattern, out: String::with_capacity(pattern.len() + 8), ..Translator::default() };
    translator.run()?;
    Ok(translator.out)
}

/// What stands before, as far as repetition cares.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Last {
    /// Nothing that could be repeated.
    #[default]
    Nothing,
    Operand,
    /// A repetition, which starts there.
    Repetition(usize),
}

#[derive(Default)]
struct Translator<'p> {
    pattern: &'p str,
    at: usize,
    out: String,
    groups: usize,
    names: Vec<&'p str>,
    last: Last,
    /// Where in `out` the flags begin that stand behind the operand, if any do.
    flags: Option<usize>,
}

fn wrong<T>(what: &str, culprit: &str) -> Result<T, String> {
    Err(format!("error parsing regexp: {what}: `{culprit}`"))
}

/// RE2's bound on `{n,m}`.
const MAX_REPEAT: u32 = 1_000;

impl Translator<'_> {
    fn rest(&self) -> &str {
        &self.pattern[self.at..]
    }

    fn run(&mut self) -> Result<(), String> {
        while let Some(c) = self.rest().chars().next() {
            match c {
                '\\' if self.rest().starts_with("\\Q") => self.quoted(),
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => self.open()?,
                ')' => {
                    let Some(groups) = self.groups.checked_sub(1) else {
                        return wrong("unexpected )", self.pattern);
                    };
                    self.groups = groups;
                    self.push(")", 1, Last::Operand);
                }
                '|' => self.push("|", 1, Last::Nothing),
                '*' | '+' | '?' => self.repetition(1)?,
                '{' => match braces(self.rest()) {
                    Some((least, most, length)) => {
                        let shown = &self.rest()[..length];
                        let too_many = least > MAX_REPEAT || most.is_some_and(|most| most > MAX_REPEAT || most < least);
                        if too_many {
                            return wrong("invalid repeat count", shown);
                        }
                        self.repetition(length)?;
                    }
                    None => self.push("\\{", 1, Last::Operand),
                },
                '^' | '$' => {
                    let mut buffer = [0; 4];
                    let text = c.encode_utf8(&mut buffer).to_owned();
                    self.push(&text, 1, Last::Operand);
                }
                '}' | ']' => self.push(if c == '}' { "\\}" } else { "\\]" }, 1, Last::Operand),
                _ => self.push(c.encode_utf8(&mut [0; 4]), c.len_utf8(), Last::Operand),
            }
        }
        if self.groups > 0 { wrong("missing closing )", self.pattern) } else { Ok(()) }
    }

    fn push(&mut self, text: &str, length: usize, last: Last) {
        self.flags = None;
        self.out.push_str(text);
        self.at += length;
        self.last = last;
    }

    fn quoted(&mut self) {
        let inner = &self.pattern[self.at + 2..];
        let (text, length) = match inner.find("\\E") {
            Some(end) => (&inner[..end], end + 4),
            None => (inner, inner.len() + 2),
        };
        self.out.push_str(&regex::escape(text));
        self.at += length;
        if !text.is_empty() {
            self.last = Last::Operand;
            self.flags = None;
        }
    }

    fn repetition(&mut self, length: usize) -> Result<(), String> {
        let lazy = usize::from(self.rest()[length..].starts_with('?'));
        let shown = self.rest()[..length + lazy].to_owned();
        match self.last {
            Last::Nothing => {
                return wrong("missing argument to repetition operator", &shown);
            }
            Last::Repetition(start) => {
                let culprit = &self.pattern[start..self.at + length + lazy];
                return wrong("invalid nested repetition operator", culprit);
            }
            Last::Operand => {}
        }
        let start = self.at;
        match self.flags.take() {
            // To RE2 what is repeated is the operand before the flags.
            Some(flags) => {
                self.out.insert_str(flags, &shown);
                self.push("", shown.len(), Last::Repetition(start));
            }
            None => self.push(&shown, shown.len(), Last::Repetition(start)),
        }
        Ok(())
    }

    fn open(&mut self) -> Result<(), String> {
        self.groups += 1;
        let pattern = self.pattern;
        let rest = &pattern[self.at..];
        let Some(flags) = rest.strip_prefix("(?") else {
            self.push("(", 1, Last::Nothing);
            return Ok(());
        };
        if flags.starts_with("P<") || flags.starts_with('<') && !flags.starts_with("<=") && !flags.starts_with("<!") {
            let start = rest.find('<').expect("it was just seen");
            let Some(end) = rest.find('>') else { return wrong("invalid named capture", rest) };
            let name = &rest[start + 1..end];
            if name.is_empty() || !name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric()) {
                return wrong("invalid named capture", &rest[..=end]);
            }
            // Of groups of one name the first has it.
            let text = if self.names.contains(&name) { "(".to_owned() } else { format!("(?P<{name}>") };
            self.names.push(name);
            self.push(&text, end + 1, Last::Nothing);
            return Ok(());
        }
        let shown = match flags_of(flags) {
            Ok(shown) => shown,
            Err(end) => return wrong("invalid or unsupported Perl syntax", &rest[.."(?".len() + end]),
        };
        let inner = &shown[..shown.len() - 1];
        // To RE2 no flags at all are fine too.
        let text = if shown == ")" { String::new() } else { format!("(?{}{}", once(inner), &shown[shown.len() - 1..]) };
        let consumed = "(?".len() + shown.len();
        if shown.ends_with(')') {
            self.groups -= 1;
            let last = self.last;
            let flags = self.flags.unwrap_or(self.out.len());
            self.push(&text, consumed, last);
            self.flags = Some(flags);
        } else {
            self.push(&text, consumed, Last::Nothing);
        }
        Ok(())
    }

    fn escape(&mut self) -> Result<(), String> {
        let Some(c) = self.rest()[1..].chars().next() else {
            return Err("error parsing regexp: trailing backslash at end of expression: ``".into());
        };
        let special = match c {
            'd' => "[0-9]",
            'D' => "[^0-9]",
            'w' => "[0-9A-Za-z_]",
            'W' => "[^0-9A-Za-z_]",
            's' => r"[\t\n\f\r ]",
            'S' => r"[^\t\n\f\r ]",
            'A' => r"\A",
            'z' => r"\z",
            'b' => r"(?-u:\b)",
            'B' => r"\B",
            _ => "",
        };
        if !special.is_empty() {
            self.push(special, 2, Last::Operand);
            return Ok(());
        }
        if matches!(c, 'p' | 'P') {
            let length = property(self.rest())?;
            let text = self.rest()[..length].to_owned();
            self.push(&text, length, Last::Operand);
            return Ok(());
        }
        let (literal, length) = literal(self.rest())?;
        self.push(&regex::escape(literal.encode_utf8(&mut [0; 4])), length, Last::Operand);
        Ok(())
    }

    fn class(&mut self) -> Result<(), String> {
        let start = self.at;
        self.push("[", 1, Last::Nothing);
        if self.rest().starts_with('^') {
            self.out.push('^');
            self.at += 1;
        }
        let mut first = true;
        loop {
            let rest = self.rest();
            let Some(c) = rest.chars().next() else { return wrong("missing closing ]", &self.pattern[start..]) };
            if c == ']' && !first {
                break;
            }
            first = false;
            if rest.starts_with("[:")
                && let Some(end) = rest.find(":]")
            {
                let name = &rest[..end + 2];
                let known = name.trim_start_matches("[:").trim_start_matches('^').trim_end_matches(":]");
                const NAMES: [&str; 14] = [
                    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
                    "upper", "word", "xdigit",
                ];
                if !NAMES.contains(&known) {
                    return wrong("invalid character class range", name);
                }
                let name = name.to_owned();
                self.out.push_str(&name);
                self.at += name.len();
                continue;
            }
            if let Some(set) = rest.strip_prefix('\\').and_then(|tail| tail.chars().next()).and_then(class_escape) {
                self.out.push_str(set);
                self.at += 2;
                continue;
            }
            if rest.starts_with("\\p") || rest.starts_with("\\P") {
                let length = property(rest)?;
                let text = rest[..length].to_owned();
                self.out.push_str(&text);
                self.at += length;
                continue;
            }
            self.range()?;
        }
        self.out.push(']');
        self.at += 1;
        self.last = Last::Operand;
        Ok(())
    }

    /// A member of a class, or the two ends of a range.
    fn range(&mut self) -> Result<(), String> {
        let start = self.at;
        let low = self.member(start)?;
        let mut high = low;
        let rest = self.rest();
        if rest.starts_with('-') && rest.len() > 1 && !rest[1..].starts_with(']') {
            self.at += 1;
            high = self.member(start)?;
            if high < low {
                return wrong("invalid character class range", &self.pattern[start..self.at]);
            }
        }
        let push = |out: &mut String, c: char| {
            // Everything that means something in a class of the other syntax.
            if c.is_ascii_punctuation() {
                out.push('\\');
                if matches!(c, '<' | '>') {
                    out.pop();
                }
            }
            out.push(c);
        };
        push(&mut self.out, low);
        if high != low {
            self.out.push('-');
            push(&mut self.out, high);
        }
        Ok(())
    }

    fn member(&mut self, start: usize) -> Result<char, String> {
        let rest = self.rest();
        match rest.chars().next() {
            None => wrong("missing closing ]", &self.pattern[start..]),
            Some('\\') => {
                let (literal, length) = literal(rest)?;
                self.at += length;
                Ok(literal)
            }
            Some(c) => {
                self.at += c.len_utf8();
                Ok(c)
            }
        }
    }
}

fn class_escape(c: char) -> Option<&'static str> {
    Some(match c {
        'd' => "0-9",
        'D' => "[^0-9]",
        'w' => "0-9A-Za-z_",
        'W' => "[^0-9A-Za-z_]",
        's' => r"\t\n\f\r ",
        'S' => r"[^\t\n\f\r ]",
        _ => return None,
    })
}

/// How long `\pL` or `\p{Greek}` is, if there is such a property.
fn property(text: &str) -> Result<usize, String> {
    let mut chars = text.char_indices().skip(2);
    let length = match chars.next() {
        Some((_, '{')) => match text.find('}') {
            Some(end) => end + 1,
            None => return wrong("invalid character class range", text),
        },
        Some((at, c)) => at + c.len_utf8(),
        None => return wrong("invalid escape sequence", text),
    };
    match regex::Regex::new(&text[..length]) {
        Ok(_) => Ok(length),
        Err(_) => wrong("invalid character class range", &text[..length]),
    }
}

/// The character that an escape stands for, and how long the escape is.
fn literal(text: &str) -> Result<(char, usize), String> {
    let tail = &text[1..];
    let Some(c) = tail.chars().next() else {
        return Err("error parsing regexp: trailing backslash at end of expression: ``".into());
    };
    // All up to the character that is wrong.
    let bad = |count: usize| {
        let end = text.char_indices().nth(count).map_or(text.len(), |(at, _)| at);
        wrong("invalid escape sequence", &text[..end])
    };
    match c {
        'a' => Ok(('\x07', 2)),
        'f' => Ok(('\x0c', 2)),
        'n' => Ok(('\n', 2)),
        'r' => Ok(('\r', 2)),
        't' => Ok(('\t', 2)),
        'v' => Ok(('\x0b', 2)),
        '0'..='7' => {
            let octal = tail.bytes().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
            if c != '0' && octal < 2 {
                return bad(2);
            }
            let code = u32::from_str_radix(&tail[..octal], 8).unwrap_or(0);
            Ok((char::from_u32(code).unwrap_or('\0'), 1 + octal))
        }
        'x' => {
            let digits = &tail[1..];
            if let Some(braced) = digits.strip_prefix('{') {
                let before = r"\x{".len();
                let mut code = 0;
                for (count, letter) in braced.chars().enumerate() {
                    match letter.to_digit(16) {
                        Some(digit) if code * 16 + digit <= u32::from(char::MAX) => code = code * 16 + digit,
                        None if letter == '}' && count > 0 => {
                            return char::from_u32(code).map_or(bad(usize::MAX), |c| Ok((c, before + count + 1)));
                        }
                        _ => return bad(before + count + 1),
                    }
                }
                return bad(usize::MAX);
            }
            match digits.get(..2).and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32) {
                Some(c) => Ok((c, 4)),
                None => bad(4),
            }
        }
        _ if c.is_ascii() && !c.is_ascii_alphanumeric() => Ok((c, 2)),
        _ => bad(2),
    }
}

/// The flags with the `:` or `)` behind them, or the end of what is wrong.
fn flags_of(text: &str) -> Result<&str, usize> {
    let (mut is_negated, mut is_seen) = (false, false);
    for (at, letter) in text.char_indices() {
        let end = at + letter.len_utf8();
        match letter {
            'i' | 'm' | 's' | 'U' => is_seen = true,
            '-' if !is_negated => (is_negated, is_seen) = (true, false),
            ':' | ')' if !is_negated || is_seen => return Ok(&text[..end]),
            _ => return Err(end),
        }
    }
    Err(text.len())
}

/// `{n}`, `{n,}` or `{n,m}`, and how long it is.
fn braces(text: &str) -> Option<(u32, Option<u32>, usize)> {
    let end = text.find('}')?;
    let inner = &text[1..end];
    let number = |digits: &str| {
        let valid = !digits.is_empty()
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && (digits.len() == 1 || !digits.starts_with('0'));
        valid.then(|| digits.parse().unwrap_or(u32::MAX))
    };
    match inner.split_once(',') {
        None => number(inner).map(|count| (count, None, end + 1)),
        Some((least, "")) => number(least).map(|least| (least, None, end + 1)),
        Some((least, most)) => Some((number(least)?, Some(number(most)?), end + 1)),
    }
}

/// Flags, each once: the last time counts.
fn once(flags: &str) -> String {
    let (on, off) = flags.split_once('-').unwrap_or((flags, ""));
    let first_times = |flags: &str, but: &str| {
        let mut kept = String::new();
        for flag in flags.chars().filter(|flag| !but.contains(*flag)) {
            if !kept.contains(flag) {
                kept.push(flag);
            }
        }
        kept
    };
    let (on, off) = (first_times(on, off), first_times(off, ""));
    if off.is_empty() { on } else { format!("{on}-{off}") }
}
