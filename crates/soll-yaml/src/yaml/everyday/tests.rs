//! Beside libyaml: made-up texts, the corpus, and what is known to be everyday or not.

use super::*;
use crate::yaml::read::{Extent, by_libyaml};

/// A value with every position in it.
fn placed(value: &Value) -> String {
    let place = |at: At| format!("{}:{}", at.line(), at.column());
    let inner = match &value.data {
        Data::List(items) => format!("[{}]", items.iter().map(placed).collect::<Vec<_>>().join(", ")),
        Data::Map(map) => {
            let entry = |entry: &Entry| format!("{:?}@{}={}", entry.key, place(entry.key_at), placed(&entry.value));
            format!("{{{}}}", map.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        _ => format!("{} {}", value.type_name(), crate::to_json(value)),
    };
    format!("{inner}@{}", place(value.at))
}

/// Whether a text is read here; if it is, libyaml reads the same.
fn is_everyday(text: &str) -> bool {
    let mut read = false;
    for options in [ParseOptions::go_v2(), ParseOptions::go_v3()] {
        let Some(ours) = parse(text, SourceId::default(), &options) else { continue };
        read = true;
        let theirs = match by_libyaml(text, SourceId::default(), &options, Extent::All) {
            Ok(theirs) => theirs,
            Err(error) => panic!("{text:?} is refused: {error}"),
        };
        let show = |values: &[Value]| values.iter().map(placed).collect::<Vec<_>>();
        assert_eq!(show(&ours), show(&theirs), "{text:?}");
    }
    read
}

/// Pieces that everyday texts are made of, and some that they are not.
const PIECES: [&str; 58] = [
    "a",
    "b: ",
    "c:",
    "key: value",
    "- ",
    "-",
    "\n",
    "\n",
    "\n",
    "\n  ",
    "\n  ",
    "\n    ",
    "\n- ",
    "\n  - ",
    " ",
    "  ",
    "# note",
    " # note",
    "\"x y\"",
    "'it''s'",
    "\"\\n\\u00e9\"",
    "'x \n  y'",
    "\"x\\t\t\n\n  y\n \"",
    "' \n",
    "\"",
    "'",
    "|\n  x",
    "[",
    "]",
    "{",
    "}",
    ", ",
    ",",
    ": ",
    ":",
    "|",
    "|-",
    "|+",
    ">",
    ">-",
    "|2",
    "1",
    "0x1f",
    "true",
    "~",
    "null",
    "---\n",
    "\n---\n",
    "...",
    "\u{e9}",
    "<<",
    "http://x:80/a?b#c",
    "\t",
    "&x *x !y",
    "../a",
    "--b=c",
    "d:e?f",
    "[.g, -h: i",
];

struct Dice(u64);

impl Dice {
    fn roll(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

#[test]
fn what_is_read_is_what_libyaml_reads() {
    let mut read = 0;
    for seed in 1..=100_000 {
        let mut dice = Dice(u64::wrapping_mul(seed, 0x9e37_79b9_7f4a_7c15) | 1);
        let length = 1 + dice.roll(20);
        let text: String = (0..length).map(|_| PIECES[dice.roll(PIECES.len())]).collect();
        read += usize::from(is_everyday(&text));
    }
    assert!(read > 10_000, "only {read} texts were read here");
}

/// All files below a directory whose names end so.
fn files(directory: &std::path::Path, endings: &[&str], into: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("the corpus can be listed") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            files(&path, endings, into);
        } else if endings.iter().any(|ending| path.to_string_lossy().ends_with(ending)) {
            into.push(path);
        }
    }
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the texts are the test's own")]
fn real_texts_are_everyday_texts() {
    let corpus = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/corpus"));
    let mut paths = Vec::new();
    files(corpus, &[".yaml", ".yml", ".json", ".golden"], &mut paths);
    let texts: Vec<_> = paths
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .filter(|text| {
            !text.contains("{{") && by_libyaml(text, SourceId::default(), &ParseOptions::go_v2(), Extent::All).is_ok()
        })
        .collect();
    let read = texts.iter().filter(|text| is_everyday(text)).count();
    assert!(read * 100 > texts.len() * 95, "of {} texts only {read} are everyday", texts.len());
    assert!(texts.len() > 500, "the corpus has {} texts", texts.len());
}

#[test]
fn everyday_texts_need_no_libyaml() {
    for text in [
        "",
        "# nothing\n",
        "---\n---\na: 1\n---\n",
        "a: 1\nb:\n- c\n-\n- d: e\n  f: |+\n    x\n\n    y\n\ng:\n  - - h\n    - i\nj:\n",
        "a: {b: [1, 'x', \"y\"], \"c\":\n  d}\n",
        "description: a sentence\n  over two lines # and a note\nnext: >-\n  folded\n  text\n\n   more\n",
        "\"quoted key\" : 'it''s'\n'\u{e9}': \u{e9} # column in letters\n",
        "{\n  \"json\": [\n    1,\n    {}\n  ]\n}\n",
        "- a: |2\n     deep\n  b: x:y z#1 - ? []\n",
        "- 'a text \n\n  in quotes\t\n\n over lines '\n- \"\\t \n\" # and a note\n",
        "a: |\n  text\n  without an end",
        "resources: [../base, ./a.yaml]\nargs: [--x=y:80, -z, http://a/b?c#d]\nimage: {name: a.b/c:1, tag: -1.5}\n",
        "a: |\n\t\n",
    ] {
        assert_eq!(is_everyday(text), !text.ends_with("\t\n"), "{text:?}");
    }
}

#[test]
fn mistakes_and_rarities_are_left_to_libyaml() {
    for text in [
        "a: b: c",
        "- a\nb: c\n",
        "a: [1",
        "\ta: b",
        "a: *b",
        "? a\n: b\n",
        "a: &x 1\n",
        "<<: {a: 1}\n",
        "'a\n  b': c\n",
        "a: \"x\\\n  y\"\n",
        "%YAML 1.1\n---\na\n",
        "a: !!str 1\n",
        "[a]: b\n",
        "a: b\r\n",
        "a: [b: c]\n",
        "a: [b:]\n",
        "a: [b:[c]]\n",
        "a: [- b]\n",
        "[a,\n...\n]\n",
        "...\n",
        "a: .inf\n",
        "a: |\n    x\n  y\n",
    ] {
        assert!(!is_everyday(text), "{text:?}");
    }
}
