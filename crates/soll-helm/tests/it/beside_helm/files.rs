//! Which files patterns by chance match, in `.Files.Glob` and in `.helmignore`, beside the real helm.

use soll_compare::{Asked, Random};
use soll_yaml::{Value, to_json};

use super::helm;
use crate::corpus::{Flags, template_in};

const FILES: [&str; 21] = [
    "c",
    "b.txt",
    "ab.txt",
    "a.b",
    "a/d",
    "a/b.txt",
    "a/b/c.txt",
    "a/x/b/c",
    "b/a/b",
    "conf/a.yaml",
    "conf/b.yml",
    "conf/deep/a.yaml",
    "x-1",
    "x-2",
    "x_1",
    ".hidden",
    "a b.txt",
    "[a]",
    "{b}",
    "conf.d/u.txt",
    "CAPS.TXT",
];
const PIECES: [&str; 26] = [
    "*",
    "**",
    "?",
    "/",
    "a",
    "b",
    "c",
    ".txt",
    ".",
    "conf",
    "deep",
    "[ab]",
    "[!a]",
    "[^a]",
    "[a-c]",
    "{a,b}",
    "{a/b,*.txt}",
    "x-",
    "[0-9]",
    "\\*",
    "\\",
    "[",
    "]",
    "**/",
    "/**",
    "!",
];

/// Without what `COMPATIBILITY.md` lists: three stars, groups within groups, the same text before and after stars.
fn pattern(random: &mut Random) -> String {
    let mut pieces: Vec<&str> = Vec::new();
    for _ in 0..1 + random.below(5) {
        let piece = random.pick(&PIECES);
        if piece.contains(['*', '?', '/']) || !pieces.contains(&piece) {
            pieces.push(piece);
        }
    }
    let mut pattern = pieces.concat();
    while pattern.contains("***") {
        pattern = pattern.replace("***", "**");
    }
    pattern
}

/// Writes a chart with these files, and what its only template is.
fn write_chart(folder: &std::path::Path, template: &str) {
    let files = FILES.iter().map(|path| (*path, "x"));
    let own = [("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n"), ("templates/a.yaml", template)];
    for (path, text) in own.into_iter().chain(files) {
        let path = folder.join("c").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// What differs between what helm and we find. Of a pattern that its library panics over, nothing is asked.
fn differences(folder: &std::path::Path, patterns: &[Value]) -> Vec<String> {
    let values = to_json(&soll_yaml::Map::from_iter([("patterns", Value::list(patterns.to_vec()))]).into());
    std::fs::write(folder.join("v.json"), values).unwrap();
    let flags = ["-f", "v.json"];
    let Ok(expected) = helm("helm", folder, "c", &flags) else {
        if patterns.len() == 1 {
            return Vec::new();
        }
        let (left, right) = patterns.split_at(patterns.len() / 2);
        return [differences(folder, left), differences(folder, right)].concat();
    };
    let got = template_in(folder, "c", &Flags::of(flags)).unwrap();
    let wrong = expected.lines().zip(got.lines()).filter(|(expected, got)| expected != got);
    wrong.map(|(expected, got)| format!("helm {expected}\nours {got}")).collect()
}

#[test]
fn patterns_match_the_files_that_they_match_in_helm() {
    let Asked { cases, seed, .. } = Asked::or_sample(400);
    let random = &mut Random::new(seed);
    let folder = tempfile::tempdir().unwrap();
    write_chart(
        folder.path(),
        "kind: A\nfound: |\n{{ range .Values.patterns }}  {{ toJson . }}: {{ range $path, $_ := $.Files.Glob . }}{{ toJson $path }} {{ end }}\n{{ end }}",
    );
    let patterns: Vec<Value> = (0..cases).map(|_| Value::from(pattern(random))).collect();
    let wrong = differences(folder.path(), &patterns);
    assert!(wrong.is_empty(), "seed {seed}, {} of {cases}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn files_are_ignored_that_are_ignored_in_helm() {
    let Asked { cases, seed, .. } = Asked::or_sample(30);
    let random = &mut Random::new(seed);
    let folder = tempfile::tempdir().unwrap();
    write_chart(folder.path(), "kind: A\nfiles: {{ range $path, $_ := .Files }}{{ toJson $path }} {{ end }}\n");
    let mut wrong = Vec::new();
    for _ in 0..cases {
        let mut lines = Vec::new();
        for _ in 0..1 + random.below(4) {
            let end = random.pick(&["", "", "", "/", " ", "\r"]);
            // A pattern that is none, or that ignores the chart itself, hides all others.
            let pattern = pattern(random).replace("**", "*");
            lines.push(format!("{}{pattern}{end}", random.pick(&["", "", "", "/", "!", "#", " "])));
        }
        std::fs::write(folder.path().join("c/.helmignore"), lines.join("\n")).unwrap();
        let expected = helm("helm", folder.path(), "c", &[]);
        let got = template_in(folder.path(), "c", &Flags::of([])).map_err(|error| error.trim_end().to_owned());
        let is_same = match (&got, &expected) {
            (Ok(got), Ok(expected)) => got == expected,
            (Err(_), Err(_)) => true,
            _ => false,
        };
        if !is_same {
            wrong.push(format!("{lines:?}\n  helm {expected:?}\n  ours {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "seed {seed}, {} of {cases}:\n{}", wrong.len(), wrong.join("\n"));
}
