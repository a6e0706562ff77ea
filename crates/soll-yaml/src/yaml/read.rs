//! From text to values.

use std::collections::HashMap;
use std::io::{BufReader, Chain, Read as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

use libyaml_safer::{Encoding, Event, EventData, Mark, Parser, ScalarStyle};

use super::scalar::{Scalar, resolve};
use super::{DuplicateKeys, Flavor, ParseOptions, YamlError, everyday};
use crate::{At, Data, Entry, Interner, Map, SourceId, Str, Value};

/// Reads every document of a text. Documents without content are `null`.
///
/// Each value and key knows where it was written. Anchors, aliases and merge keys are resolved:
/// aliased values share memory. Keys that are no text become their JSON text. JSON is YAML.
///
/// # Errors
/// The first thing that is no YAML, that the flavor refuses, or that passes a limit.
pub fn parse_yaml(text: &str, source: SourceId, options: &ParseOptions) -> Result<Vec<Value>, YamlError> {
    compose(text, source, options, Extent::All)
}

/// Reads the first document of a text, as Go's `Unmarshal` does: what follows it may be anything.
///
/// # Errors
/// As [`parse_yaml`], for this document.
pub fn parse_first_yaml(text: &str, source: SourceId, options: &ParseOptions) -> Result<Option<Value>, YamlError> {
    compose(text, source, options, Extent::First).map(|documents| documents.into_iter().next())
}

/// How much of a text is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    First,
    All,
}

fn compose(text: &str, source: SourceId, options: &ParseOptions, extent: Extent) -> Result<Vec<Value>, YamlError> {
    let limits = &options.limits;
    if text.len() > limits.bytes {
        let message = format!("the text has {} bytes; the limit is {}", text.len(), limits.bytes);
        return Err(YamlError::new(message, At::new(source, 1, 1)));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match everyday::parse(text, source, options) {
        Some(documents) => Ok(documents),
        None => by_libyaml(text, source, options, extent),
    }
}

/// Reads whatever is YAML, and says what is wrong with what is not.
pub(super) fn by_libyaml(
    text: &str,
    source: SourceId,
    options: &ParseOptions,
    extent: Extent,
) -> Result<Vec<Value>, YamlError> {
    // The scanner gives up on a block that ends the text without a line break, so one is added; see `cut`.
    let is_complete = text.is_empty() || text.ends_with(['\n', '\r']);
    let end: &[u8] = if is_complete { b"" } else { b"\n" };
    // In chunks, because the scanner would otherwise hold the whole text as four bytes a character.
    let mut parser = Parser::new();
    // It would take a first character such as `：` for a broken mark of the byte order.
    parser.set_encoding(Encoding::Utf8);
    parser.set_input(BufReader::with_capacity(16 << 10, text.as_bytes().chain(end)));
    let mut composer = Composer {
        parser,
        text,
        is_complete,
        source,
        options,
        interner: Interner::default(),
        anchors: HashMap::new(),
        nodes: 0,
        refused: None,
    };
    let documents = composer.documents(extent)?;
    composer.refused.map_or(Ok(documents), Err)
}

/// What the scanner says of a key without a colon.
const NO_COLON: &str = "could not find expected ':'";

struct Composer<'t> {
    parser: Parser<BufReader<Chain<&'t [u8], &'t [u8]>>>,
    text: &'t str,
    is_complete: bool,
    source: SourceId,
    options: &'t ParseOptions,
    interner: Interner,
    anchors: HashMap<String, Anchor>,
    /// Nodes so far, aliases expanded.
    nodes: u64,
    /// The first key that no JSON object can have, which is noticed after all else.
    refused: Option<YamlError>,
}

/// A value with a name; `None` while it is still being read.
type Anchor = Option<(Value, u64)>;

/// A key as written.
struct Key {
    text: Str,
    at: At,
    is_merge: bool,
    is_null: bool,
}

impl Composer<'_> {
    fn documents(&mut self, extent: Extent) -> Result<Vec<Value>, YamlError> {
        let mut documents = Vec::new();
        loop {
            let event = self.next()?;
            match event.data {
                EventData::StreamEnd => return Ok(documents),
                EventData::DocumentStart { .. } => {
                    if documents.len() == self.options.limits.documents {
                        return Err(self.error(event.start_mark, format!("more than {} documents", documents.len())));
                    }
                    self.anchors.clear();
                    let root = self.next()?;
                    documents.push(self.node(root, 0)?);
                    if extent == Extent::First {
                        // What ends the document belongs to it.
                        self.next()?;
                        return Ok(documents);
                    }
                }
                _ => {} // the start of the stream, the end of a document
            }
        }
    }

    fn next(&mut self) -> Result<Event, YamlError> {
        // The scanner gives up on a few rare texts (`[!!str, a]`) by a panic; to us that is an error.
        let parser = &mut self.parser;
        match catch_unwind(AssertUnwindSafe(|| parser.parse())) {
            Ok(Ok(event)) => Ok(event),
            Ok(Err(error)) => Err(self.grammar_error(&error)),
            Err(_) => Err(self.error(Mark::default(), "found a tag or an escape that cannot be read".to_owned())),
        }
    }

    fn node(&mut self, event: Event, depth: usize) -> Result<Value, YamlError> {
        let at = self.at(event.start_mark);
        let end = event.end_mark.index;
        self.count(1, at)?;
        match event.data {
            EventData::Alias { anchor } => self.alias(&anchor, at),
            EventData::Scalar { anchor, tag, mut value, style, plain_implicit, .. } => {
                let plain = style == ScalarStyle::Plain || plain_implicit;
                if !self.is_complete && matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
                    self.cut(&mut value, end);
                }
                let data = self.scalar(tag.as_deref(), plain, &value, at)?;
                Ok(self.remember(anchor, Value { data, at }, 1))
            }
            EventData::SequenceStart { anchor, .. } => {
                self.check_depth(depth, at)?;
                let before = self.begin(anchor.as_deref());
                let mut items = Vec::new();
                loop {
                    let event = self.next()?;
                    if event.data == EventData::SequenceEnd {
                        break;
                    }
                    items.push(self.node(event, depth + 1)?);
                }
                let value = Value::from(items).at(at);
                Ok(self.remember(anchor, value, self.nodes - before))
            }
            EventData::MappingStart { anchor, .. } => {
                self.check_depth(depth, at)?;
                let before = self.begin(anchor.as_deref());
                let value = Value::from(self.mapping(depth)?).at(at);
                Ok(self.remember(anchor, value, self.nodes - before))
            }
            EventData::StreamStart { .. }
            | EventData::StreamEnd
            | EventData::DocumentStart { .. }
            | EventData::DocumentEnd { .. }
            | EventData::SequenceEnd
            | EventData::MappingEnd => Err(self.error(event.start_mark, "did not find expected node content".into())),
        }
    }

    /// Takes the added line break from a block that reaches to the end of the text.
    fn cut(&self, value: &mut String, end: u64) {
        let last_line = self.text.rsplit('\n').next().unwrap_or_default();
        if end > self.text.len() as u64 && !last_line.trim().is_empty() && value.ends_with('\n') {
            value.pop();
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Map, YamlError> {
        let mut map = Map::new();
        let mut merges = Vec::new();
        loop {
            let event = self.next()?;
            if event.data == EventData::MappingEnd {
                break;
            }
            let key = self.key(event, depth)?;
            let event = self.next()?;
            let value = self.node(event, depth + 1)?;
            if key.is_merge {
                match self.options.flavor {
                    // The order of writing decides: what is merged later replaces what stands.
                    Flavor::GoV2 => self.merge(&mut map, &value, key.at, true)?,
                    Flavor::GoV3 => merges.push((value, key.at)),
                }
                continue;
            }
            if self.options.duplicate_keys == DuplicateKeys::Refuse
                && let Some(first) = map.entry(&key.text)
            {
                let line = first.key_at.line();
                let message = format!("mapping key {:?} already defined at line {line}", key.text.as_str());
                return Err(YamlError::new(message, key.at));
            }
            if key.is_null && self.options.flavor == Flavor::GoV2 && self.refused.is_none() {
                self.refused = Some(YamlError::of_null_key(&value, key.at));
            }
            map.insert_entry(Entry { key: key.text, key_at: key.at, value });
        }
        for (value, at) in merges {
            self.merge(&mut map, &value, at, false)?;
        }
        Ok(map)
    }

    fn key(&mut self, event: Event, depth: usize) -> Result<Key, YamlError> {
        let at = self.at(event.start_mark);
        if let EventData::Scalar { anchor: None, tag, value, style, plain_implicit, .. } = &event.data {
            self.count(1, at)?;
            let plain = *style == ScalarStyle::Plain || *plain_implicit;
            if tag.is_none() && plain && value == "<<" {
                return Ok(Key { text: "<<".into(), at, is_merge: true, is_null: false });
            }
            let is_merge = tag.as_deref() == Some("tag:yaml.org,2002:merge");
            let scalar = resolve(self.options.flavor, tag.as_deref(), plain, value);
            let is_null = matches!(scalar, Ok(Scalar::Null));
            let text = match scalar {
                Ok(scalar) => self.interner.intern(&scalar.into_key()),
                Err(message) => return Err(YamlError::new(message, at)),
            };
            return Ok(Key { text, at, is_merge, is_null });
        }
        let value = self.node(event, depth + 1)?;
        let text = match &value.data {
            Data::Str(text) => text.clone(),
            Data::List(_) | Data::Map(_) => {
                return Err(YamlError::new(format!("invalid map key: {}", value.type_in_words()), at));
            }
            Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) => crate::to_json(&value).into(),
        };
        Ok(Key { text, at, is_merge: false, is_null: value.data == Data::Null })
    }

    /// Adds what a merge key names: one mapping, or several of which the first wins.
    fn merge(&mut self, map: &mut Map, value: &Value, at: At, replace: bool) -> Result<(), YamlError> {
        let sources: Vec<&Map> = match &value.data {
            Data::Map(source) => vec![source],
            Data::List(items) => items.iter().filter_map(Value::as_map).collect(),
            _ => Vec::new(),
        };
        if sources.is_empty() || value.as_list().is_some_and(|items| items.len() != sources.len()) {
            let message = "map merge requires map or sequence of maps as the value".to_owned();
            return Err(YamlError::new(message, at));
        }
        let own: Vec<Str> = if replace { Vec::new() } else { map.keys().cloned().collect() };
        // Backwards, so that earlier mappings replace later ones.
        for source in sources.into_iter().rev() {
            self.count(source.len() as u64, at)?;
            for entry in source {
                if replace || !own.contains(&entry.key) {
                    map.insert_entry(entry.clone());
                }
            }
        }
        Ok(())
    }

    fn scalar(&mut self, tag: Option<&str>, plain: bool, text: &str, at: At) -> Result<Data, YamlError> {
        let scalar = resolve(self.options.flavor, tag, plain, text).map_err(|message| YamlError::new(message, at))?;
        let data = scalar.into_data(&mut self.interner);
        data.ok_or_else(|| YamlError::new(format!("`{text}` has no JSON form"), at))
    }

    fn alias(&mut self, anchor: &str, at: At) -> Result<Value, YamlError> {
        match self.anchors.get(anchor) {
            Some(Some((value, weight))) => {
                let (value, weight) = (value.clone(), *weight);
                self.count(weight, at)?;
                Ok(value)
            }
            Some(None) => Err(YamlError::new(format!("anchor '{anchor}' value contains itself"), at)),
            None => Err(YamlError::new(format!("unknown anchor '{anchor}' referenced"), at)),
        }
    }

    /// Notes that the value of an anchor has begun; returns the count of nodes before it.
    fn begin(&mut self, anchor: Option<&str>) -> u64 {
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor.to_owned(), None);
        }
        self.nodes
    }

    fn remember(&mut self, anchor: Option<String>, value: Value, weight: u64) -> Value {
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor, Some((value.clone(), weight.max(1))));
        }
        value
    }

    fn count(&mut self, nodes: u64, at: At) -> Result<(), YamlError> {
        self.nodes += nodes;
        if self.nodes <= self.options.limits.nodes {
            return Ok(());
        }
        let message = format!("document contains excessive aliasing or more than {} nodes", self.options.limits.nodes);
        Err(YamlError::new(message, at))
    }

    fn check_depth(&self, depth: usize, at: At) -> Result<(), YamlError> {
        if depth < self.options.limits.depth {
            return Ok(());
        }
        Err(YamlError::new(format!("exceeded max depth of {}", self.options.limits.depth), at))
    }

    fn grammar_error(&self, error: &libyaml_safer::Error) -> YamlError {
        let message = match error.problem() {
            "" => "unknown problem parsing YAML content",
            problem => problem,
        };
        let mark = error.problem_mark().or(error.context_mark());
        let Some(mark) = mark else { return YamlError::new(message.to_owned(), self.first_control()) };
        let hint =
            error.context().zip(error.context_mark()).and_then(|(context, began)| self.indentation(context, began));
        YamlError { hint, go_line: self.go_line(error), ..self.error(mark, message.to_owned()) }
    }

    /// Where the lines of the block stand in which the grammar ended: most often one of them is indented differently.
    fn indentation(&self, context: &str, began: Mark) -> Option<String> {
        let began = self.at(began);
        let (what, parts) = match context {
            "while parsing a block mapping" => ("mapping", "keys"),
            "while parsing a block collection" => ("list", "dashes"),
            _ => return None,
        };
        let (line, column) = (began.line(), began.column());
        Some(format!(
            "the {what} that begins in line {line} has its {parts} in column {column}: check how this line and those before \
             it are indented"
        ))
    }

    /// The first character that YAML does not allow at all.
    fn first_control(&self) -> At {
        let allowed = |letter: char| {
            matches!(letter, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..)
                && !matches!(letter, '\u{fffe}' | '\u{ffff}')
        };
        for (line, text) in self.text.split('\n').enumerate() {
            if let Some(column) = text.chars().position(|letter| !allowed(letter)) {
                return At::new(self.source, line + 1, column + 1);
            }
        }
        At::new(self.source, 1, 1)
    }

    /// go-yaml counts lines from 0, and from 1 where single characters are wrong; what it counts as 0 it does not mention.
    fn go_line(&self, error: &libyaml_safer::Error) -> Option<usize> {
        let scanner = error.kind() == libyaml_safer::ErrorKind::Scanner;
        // The line break at the end may be ours; Go adds one too, but not within a quote.
        let is_quote = scanner && error.problem() != NO_COLON;
        let line = |mark: Option<Mark>| {
            let mark = mark?;
            let added = is_quote && !self.is_complete && mark.index > self.text.len() as u64;
            Some(mark.line as usize - usize::from(added)).filter(|line| *line > 0)
        };
        line(error.problem_mark()).map(|line| line + usize::from(scanner)).or(line(error.context_mark()))
    }

    fn error(&self, mark: Mark, message: String) -> YamlError {
        YamlError::new(message, self.at(mark))
    }

    fn at(&self, mark: Mark) -> At {
        At::new(self.source, mark.line as usize + 1, mark.column as usize + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::to_json;

    fn v2(text: &str) -> Result<Vec<Value>, YamlError> {
        parse_yaml(text, SourceId::default(), &ParseOptions::go_v2())
    }

    fn v3(text: &str) -> Result<Vec<Value>, YamlError> {
        parse_yaml(text, SourceId::default(), &ParseOptions::go_v3())
    }

    fn json(result: Result<Vec<Value>, YamlError>) -> String {
        match result {
            Ok(documents) => documents.iter().map(to_json).collect::<Vec<_>>().join(" "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn texts_may_begin_with_any_letter() {
        assert_eq!(json(v2("\u{ff21}: 1")), "{\"\u{ff21}\":1}");
        assert_eq!(json(v2("\u{feff}a: 1")), r#"{"a":1}"#);
    }

    #[test]
    fn what_follows_the_first_document_may_be_anything() {
        let first = |text| parse_first_yaml(text, SourceId::default(), &ParseOptions::go_v2());
        assert_eq!(
            first("a: 1\n---\nb: [").map(|value| value.map(|value| to_json(&value))),
            Ok(Some(r#"{"a":1}"#.into()))
        );
        assert_eq!(first(""), Ok(None));
        assert!(first("a: [").is_err());
    }

    #[test]
    fn reads_documents() {
        assert_eq!(json(v3("a: 1\n---\n- b\n---\n")), r#"{"a":1} ["b"] null"#);
        assert_eq!(json(v3("")), "");
        assert_eq!(json(v3("\u{feff}a: b\r\nc: d\r\n")), r#"{"a":"b","c":"d"}"#);
        assert_eq!(json(v3("{\"a\": [1, null, \"\\u0041\"]}")), r#"{"a":[1,null,"A"]}"#);
    }

    #[test]
    fn flavors_resolve_keys_and_values() {
        assert_eq!(json(v2("y: yes\n1: 0755\n")), r#"{"true":true,"1":493}"#);
        assert_eq!(json(v3("y: yes\n")), r#"{"y":"yes"}"#);
        assert_eq!(json(v3("a: 2001-01-02")), r#"{"a":"2001-01-02T00:00:00Z"}"#);
        assert_eq!(json(v2("a: 2001-01-02")), r#"{"a":"2001-01-02"}"#);
    }

    #[test]
    fn every_node_knows_its_place() {
        let value = v3("a:\n  - b: c\n").expect("valid").remove(0);
        let item = &value.get("a").and_then(Value::as_list).expect("a list")[0];
        let entry = item.as_map().and_then(|map| map.entry("b")).expect("a key");
        assert_eq!((entry.key_at.line(), entry.key_at.column()), (2, 5));
        assert_eq!((entry.value.at.line(), entry.value.at.column()), (2, 8));
    }

    #[test]
    fn merge_keys_follow_their_flavor() {
        let text = "p: &x {a: 1, b: 1}\nq: &y {b: 2}\nr:\n  a: 0\n  <<: [*y, *x]\n";
        assert_eq!(json(v2(text)), r#"{"p":{"a":1,"b":1},"q":{"b":2},"r":{"a":1,"b":2}}"#);
        assert_eq!(json(v3(text)), r#"{"p":{"a":1,"b":1},"q":{"b":2},"r":{"a":0,"b":2}}"#);
        assert_eq!(
            json(v3("a:\n  <<: 1\n")),
            "line 2, column 3: map merge requires map or sequence of maps as the value"
        );
    }

    #[test]
    fn duplicate_keys_are_refused_or_replaced() {
        assert_eq!(json(v2("a: 1\na: 2\n")), r#"{"a":2}"#);
        assert_eq!(json(v3("a: 1\nb: 1\na: 2\n")), r#"line 3, column 1: mapping key "a" already defined at line 1"#);
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        for (text, expected) in [
            ("a: b: c", "line 1, column 5: mapping values are not allowed in this context"),
            ("- a\nb: c\n", "line 2, column 1: did not find expected '-' indicator"),
            ("a: [1", "line 2, column 1: did not find expected ',' or ']'"),
            ("\ta: b", "line 1, column 1: found character that cannot start any token"),
            ("a: *b", "line 1, column 4: unknown anchor 'b' referenced"),
            ("a: &b [*b]", "line 1, column 8: anchor 'b' value contains itself"),
            ("a: \u{7}", "line 1, column 4: control characters are not allowed"),
            ("? [a]\n: b", "line 1, column 3: invalid map key: a list"),
            ("a: .inf", "line 1, column 4: `.inf` has no JSON form"),
        ] {
            assert_eq!(json(v3(text)), expected, "{text:?}");
        }
    }

    #[test]
    fn blocks_may_end_with_the_text() {
        for (text, expected) in [
            ("a: |\n  x", r#"{"a":"x"}"#),
            ("a: |-\n  x", r#"{"a":"x"}"#),
            ("a: |+\n  x", r#"{"a":"x"}"#),
            ("a: |\n  x\n", r#"{"a":"x\n"}"#),
            ("a: |\n  x\n  ", r#"{"a":"x\n"}"#),
            ("a: |\n  x\n# c", r#"{"a":"x\n"}"#),
            ("a: >\n  x\n  y", r#"{"a":"x y"}"#),
            ("a: \"b", "line 2, column 1: found unexpected end of stream"),
        ] {
            assert_eq!(json(v3(text)), expected, "{text:?}");
        }
    }

    #[test]
    fn limits_stop_hostile_texts() {
        let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let list = vec![format!("*a{}", level - 1); 10].join(", ");
            laughs += &format!("a{level}: &a{level} [{list}]\n");
        }
        assert!(json(v3(&laughs)).contains("excessive aliasing"));
        assert!(json(v3(&"[".repeat(100_000))).contains("exceeded max depth of 256"));
        let mut options = ParseOptions::go_v3();
        options.limits.bytes = 3;
        assert!(parse_yaml("a: bc", SourceId::default(), &options).is_err());
        options = ParseOptions::go_v3();
        options.limits.documents = 1;
        assert!(parse_yaml("a\n---\nb\n", SourceId::default(), &options).is_err());
    }

    /// Changes a text here and there, the same way each time.
    fn mangled(text: &str, seed: u64) -> String {
        const BITS: [char; 16] =
            [':', '-', ' ', '\n', '#', '&', '*', '!', '|', '"', '\'', '[', '{', ',', '\t', '\u{2028}'];
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = |bound: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % bound as u64) as usize
        };
        let mut letters: Vec<char> = text.chars().collect();
        for _ in 0..=next(4) {
            let at = next(letters.len());
            match next(3) {
                0 => letters.insert(at, BITS[next(BITS.len())]),
                1 => letters[at] = BITS[next(BITS.len())],
                _ => letters.truncate(at.max(1)),
            }
        }
        letters.into_iter().collect()
    }

    #[test]
    fn no_text_makes_it_panic() {
        let text = "a: &x [1, 'b', \"c\\n\"]\nb: |+\n  text\n\n  more\nc: >-\n folded\n text\nd: {e: *x, ? f : !!str 1}\n<<: {g: h}\n---\n- - i\n  - ~\n%";
        for seed in 0..3000 {
            let mangled = mangled(text, seed);
            for options in [ParseOptions::go_v2(), ParseOptions::go_v3()] {
                for value in parse_yaml(&mangled, SourceId::default(), &options).unwrap_or_default() {
                    let written = crate::emit_yaml(&value);
                    let read = parse_yaml(&written, SourceId::default(), &ParseOptions::go_v2());
                    assert!(read.is_ok(), "{mangled:?} became {written:?}: {read:?}");
                }
            }
        }
        assert!(json(v3("[!!str, a]")).contains("cannot be read"));
    }
}
