//! What `--set` and its kin make of texts by chance, beside the real helm.

use soll_compare::{Asked, Random};

use super::helm;
use crate::corpus::{Flags, template_in};

const NAMES: &[&str] = &["a", "b", "c", "d", "e", "a\\.b", "x y", "é", "1"];
const INDEXES: &[&str] = &["[0]", "[1]", "[3]", "[1][0]", "[-1]", "[x]", "[]", "[ 1]", "[99999]"];
const SCALARS: &[&str] = &[
    "x",
    "",
    "null",
    "true",
    "false",
    "0",
    "1",
    "-3",
    "0777",
    "1e3",
    "1.5",
    "9223372036854775808",
    "a\\,b",
    "c\\=d",
    " x ",
    "é",
    "\"q\"",
    "~",
    "{",
    "}",
    "a{b}",
    "\\",
    "[1]",
    "Null",
    "08",
];
const JSON: &[&str] =
    &["1", "1.50", "\"x\"", "null", "[1,{\"y\":null}]", "{\"y\":[true]}", "{}", "nope", "1 2", "{\"a\":1,\"a\":2}", ""];
const PIECES: &[&str] = &["=", ",", ".", "[", "]", "[0]", "{", "}", "\\", "null", "a", "\"", " ", "{x,y}", ",,", "=="];

fn path(random: &mut Random) -> String {
    let mut path = String::new();
    for position in 0..1 + random.below(3) {
        if position > 0 {
            path.push('.');
        }
        path.push_str(random.pick(NAMES));
        if random.percent(25) {
            let indexes = if random.percent(85) { &INDEXES[..4] } else { INDEXES };
            path.push_str(random.pick(indexes));
        }
    }
    path
}

fn typed(random: &mut Random) -> String {
    if random.percent(75) {
        return random.pick(SCALARS).to_owned();
    }
    let items: Vec<_> = (0..random.below(4)).map(|_| random.pick(SCALARS)).collect();
    format!("{{{}}}", items.join(random.pick(&[",", ", "])))
}

/// What one flag says, one in five broken somewhere.
fn text(random: &mut Random, flag: &str) -> String {
    let one = |random: &mut Random| match flag {
        "--set-json" => format!("{}={}", path(random), random.pick(JSON)),
        "--set-literal" => format!("{}={},{}", path(random), typed(random), random.pick(SCALARS)),
        "--set-file" => format!("{}={}", path(random), random.pick(&["f.txt", "v.yaml"])),
        _ => format!("{}={}", path(random), typed(random)),
    };
    if flag == "--set-json" && random.percent(20) {
        return random
            .pick(&["{\"a\":{\"b\":null},\"n\":1}", " {\"d\":[1]} ", "{\"a\":", "{}", "{\"a\":1}x"])
            .to_owned();
    }
    let count = if flag == "--set-literal" { 1 } else { 1 + random.below(3) };
    let mut text = (0..count).map(|_| one(random)).collect::<Vec<_>>().join(",");
    if flag != "--set-file" && random.percent(20) {
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let at = places[random.below(places.len())];
        match random.below(3) {
            0 => text.truncate(at),
            1 if at < text.len() => drop(text.remove(at)),
            _ => text.insert_str(at, random.pick(PIECES)),
        }
    }
    text
}

#[test]
fn flags_set_what_they_set_in_helm() {
    let Asked { cases, seed, .. } = Asked::or_sample(40);
    let random = &mut Random::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("c/Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n"),
        ("c/values.yaml", "a: {b: 1, c: [1, 2]}\nb: [{x: 1}, [2]]\nd: text\ne: {x y: {é: 1}}\n"),
        (
            "c/templates/a.yaml",
            "kind: A\nsees: {{ .Values | toJson }}\ntypes: {{ include \"types\" .Values | quote }}\n",
        ),
        (
            "c/templates/_types.tpl",
            "{{ define \"types\" }}{{ if kindIs \"map\" . }}({{ range $key, $value := . }}{{ $key }}: {{ include \"types\" $value }}, {{ end }})\
             {{ else if kindIs \"slice\" . }}[{{ range . }}{{ include \"types\" . }}, {{ end }}]{{ else }}{{ typeOf . }}{{ end }}{{ end }}",
        ),
        ("f.txt", "a,b={c}\n"),
        ("v.yaml", "a: 1"),
    ];
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let (mut rendered, mut wrong) = (0, Vec::new());
    for _ in 0..cases {
        let count = 1 + random.below(2);
        let flags: Vec<String> = (0..count)
            .flat_map(|_| {
                let flag = random.pick(&[
                    "--set",
                    "--set",
                    "--set",
                    "--set-string",
                    "--set-json",
                    "--set-literal",
                    "--set-file",
                ]);
                [flag.to_owned(), text(random, flag)]
            })
            .collect();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let expected = helm("helm", folder.path(), "c", &flags);
        rendered += u64::from(expected.is_ok());
        let got = template_in(folder.path(), "c", &Flags::of(flags.iter().copied()));
        if got != expected {
            wrong.push(format!("{flags:?}\n  helm {expected:?}\n  ours {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "seed {seed}, {} of {cases}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(rendered * 2 >= cases, "only {rendered} of {cases} cases render");
}
