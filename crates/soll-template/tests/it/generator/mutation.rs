//! Templates that are broken somewhere.

use super::Generator;

/// Texts that do not parse, or only just.
const BROKEN: &[&str] = &[
    "{{ }}",
    "{{ if }}",
    "{{ end }}",
    "{{ .a",
    "{{ \"x }}",
    "{{ nope . }}",
    "{{ $x }}",
    "{{ $x := }}",
    "{{ range }}{{ end }}",
    "{{ if .a }}",
    "{{ else }}",
    "{{ 1 | 2 }}",
    "{{ .a | }}",
    "{{ ( }}",
    "{{ ) }}",
    "{{ .a.1 }}",
    "{{ template }}",
    "{{ template 5 }}",
    "{{ define }}",
    "{{ define \"x\" }}",
    "{{ block \"x\" }}{{ end }}",
    "{{ break }}",
    "{{ . := 1 }}",
    "{{ $a, $b := 1 }}",
    "{{ range $a, $b, $c := .list }}{{ end }}",
    "{{ nil }}",
    "{{ nil.x }}",
    "{{ \"s\".x }}",
    "{{ true.x }}",
    "{{ 'a }}",
    "{{ 1abc }}",
    "{{ .a$b }}",
    "{{/* open",
    "{{/* x */ }}",
    "{{ #x }}",
    "{{ .a, .b }}",
    "{{ if .a }}{{ else }}{{ else }}{{ end }}",
    "{{ with }}{{ end }}",
    "{{ and }}",
    "{{ \"\\q\" }}",
    "{{ define \"d\" }}1{{ end }}{{ define \"d\" }}2{{ end }}",
    "{{ continue }}",
    "{{ é }}",
    "{{ .x ☃ }}",
    "{{ `open }}",
    "{{if .a}}\n\n{{ .b",
    "{{ (1 }}",
    "{{ 1 2 }}",
    "{{ .a 1 }}",
    "{{ $ 1 }}",
    "{{ \"f\" 1 }}",
    "{{ (print 1) 2 }}",
    "{{ .list.x 1 }}",
    "{{ print | print }}",
    "{{\"a\" | quote 5}}",
];

impl Generator {
    /// A text with a few characters gone, doubled, moved or put in.
    pub(super) fn mutated(&mut self, template: &str) -> String {
        if self.chance.percent(15) {
            return format!("{}{}{}", self.text(), self.chance.pick(BROKEN), self.text());
        }
        let mut chars: Vec<char> = template.chars().collect();
        // What could run for ever, or hold itself, once a number or a copy is gone.
        let risky = [
            "htpasswd", "shuffle", "now", "Custom", "gen", "ago", "rand", "uuid", "AES", "Toml", "set ", "merge",
            "ntil", "repeat", "range", "seq", "ndent", "rap",
        ];
        // The insides of a time are shown by verbs that none is meant for.
        let inside = template.contains("printf") && template.contains("Date");
        if inside || risky.iter().any(|word| template.contains(word)) {
            chars.truncate(self.chance.below(chars.len() + 1));
            return chars.into_iter().collect();
        }
        for _ in 0..=self.chance.below(3) {
            if chars.is_empty() {
                break;
            }
            let at = self.chance.below(chars.len());
            match self.chance.below(5) {
                0 => {
                    chars.remove(at);
                }
                1 => chars.insert(at, chars[at]),
                2 => {
                    let other = self.chance.below(chars.len());
                    chars.swap(at, other);
                }
                3 => {
                    let end = (at + 1 + self.chance.below(6)).min(chars.len());
                    chars.drain(at..end);
                }
                _ => {
                    let pieces = [
                        "{{",
                        "}}",
                        " | ",
                        "(",
                        ")",
                        "\"",
                        "`",
                        "$",
                        ".",
                        "{{-",
                        "-}}",
                        ":=",
                        "/*",
                        "*/",
                        "nil ",
                        "end",
                        "'",
                        "\\",
                        ",",
                        "=",
                        "\n",
                        "ö",
                        "{{ end }}",
                        "{{ else }}",
                        "0x",
                        "e",
                    ];
                    let piece = self.chance.pick(&pieces);
                    chars.splice(at..at, piece.chars());
                }
            }
        }
        let text: String = chars.into_iter().collect();
        // Keys of maps and dates hold no other bytes.
        let bytes = ["\\x", "\\2", "\\3"].iter().any(|escape| text.contains(escape));
        if bytes && ["dict", "date", "Date"].iter().any(|word| text.contains(word)) {
            template.to_owned()
        } else {
            text
        }
    }
}
