//! The actions of the language.

use super::Generator;
use super::pools::*;

pub(super) const ACTIONS: &[&str] = &[
    "{{if}}",
    "{{else if}}",
    "{{with}}",
    "{{else with}}",
    "{{range list}}",
    "{{range map}}",
    "{{range int}}",
    "{{break}}",
    "{{continue}}",
    "{{define}}",
    "{{template}}",
    "{{block}}",
    "{{comment}}",
    "{{trim}}",
    "{{variable}}",
    "{{assign}}",
    "{{chain}}",
    "{{pipeline}}",
    "{{literal}}",
    "{{field}}",
    "{{missing}}",
];

/// Fields of what has none, or might have none.
const BENT_FIELDS: &[&str] = &[
    ".map.b.c",
    ".str.x",
    ".none.x",
    ".nope.x",
    ".map.nope.x",
    ".list.x",
    ".int.x",
    ".map.b.d.e",
    ". ",
    "$.map.a",
    "$.nope.x",
    ".maps.name",
    "(index .maps 0).name",
    ".yes.no",
    "(.nope).x",
    "(.nope).x.y",
];

impl Generator {
    /// Text between actions.
    pub(super) fn text(&mut self) -> String {
        let words = ["x", " a b ", "\n", "line\n  ", "}", "{", "é", "", "  ", "$", "-"];
        format!("{}{}", self.chance.pick(&words), self.chance.pick(SPACED))
    }

    /// A template around an action.
    pub(super) fn action(&mut self, action: &str) -> String {
        let (value, other) = (self.anything(), self.anything());
        let (text, more) = (self.text(), self.text());
        let body = ["{{ . }}", "{{ .str }}", "{{ $ | len }}", "b", "{{ .name }}", "{{ printf \"%T\" . }}"]
            [self.chance.below(6)];
        let (left, right) = (self.chance.pick(&["{{", "{{-", "{{"]), self.chance.pick(&["}}", "-}}", "}}"]));
        let list = self.list();
        let map = self.map();
        match action {
            "{{if}}" => format!("{text}{left} if {value} {right}{more}yes{{{{ else }}}}no{{{{ end }}}}"),
            "{{else if}}" => {
                format!("{{{{ if {value} }}}}1{left} else if {other} {right}{text}2{{{{ else }}}}3{{{{ end }}}}")
            }
            "{{with}}" => format!("{{{{ with {value} }}}}{text}{body}{{{{ end }}}}{more}"),
            "{{else with}}" => format!(
                "{{{{ with {value} }}}}{body}{{{{ else with $v := {other} }}}}{{{{ $v }}}}{{{{ else }}}}{text}{{{{ end }}}}"
            ),
            "{{range list}}" => match self.chance.below(4) {
                0 => format!("{{{{ range {list} }}}}{text}{{{{ . }}}}{{{{ end }}}}"),
                1 => {
                    format!("{{{{ range $i, $x := {list} }}}}{{{{ $i }}}}={{{{ $x }}}};{{{{ else }}}}none{{{{ end }}}}")
                }
                2 => format!("{left} range $x := {list} {right}{{{{ $x.name }}}}{{{{ end }}}}"),
                _ => {
                    let value = match self.chance.below(4) {
                        0 => self.map(),
                        1 => self.string(),
                        // A year has too many nanoseconds to count them.
                        2 => self.chance.pick(&[NOTHINGS, OTHERS, &["2.5", "true"]].concat()).replace("Sub", "After"),
                        _ => self.list(),
                    };
                    format!("{{{{ range {value} }}}}{body}{{{{ else }}}}E{{{{ end }}}}")
                }
            },
            "{{range map}}" => match self.chance.below(3) {
                0 => format!("{{{{ range $k, $v := {map} }}}}{{{{ $k }}}}:{{{{ $v }}}} {{{{ end }}}}"),
                1 => format!("{{{{ range {map} }}}}{{{{ . }}}}{text}{{{{ else }}}}none{{{{ end }}}}"),
                _ => format!(
                    "{{{{ $k := 0 }}}}{{{{ $v := 0 }}}}{{{{ range $k, $v = {map} }}}}{{{{ end }}}}{{{{ $k }}}}{{{{ $v }}}}"
                ),
            },
            "{{range int}}" => {
                let count =
                    self.chance.pick(&["3", "0", "-2", "(int .int)", "(int64 2)", ".int", "'\\x02'", "(len .list)"]);
                let loop_over = self.chance.pick(&["", "$i := ", "$i, $j := "]);
                format!("{{{{ range {loop_over}{count} }}}}{{{{ . }}}}{text}{{{{ else }}}}none{{{{ end }}}}")
            }
            "{{break}}" | "{{continue}}" => {
                let word = action.trim_matches(['{', '}']);
                format!(
                    "{{{{ range $i, $x := {list} }}}}{{{{ if {} }}}}{{{{ {word} }}}}{{{{ end }}}}{{{{ $x }}}},{{{{ end }}}}{text}",
                    self.chance.pick(&["eq $i 1", "$x", "not $x", "kindIs \"string\" $x"])
                )
            }
            "{{define}}" => format!(
                "{{{{ define \"d\" }}}}{text}{body}{{{{ end }}}}{more}{{{{ template \"d\" {value} }}}}{{{{ include \"d\" . }}}}"
            ),
            "{{template}}" => match self.chance.below(4) {
                0 => "{{ template \"aux\" }}".into(),
                1 => format!("{{{{ template \"nope\" {value} }}}}"),
                _ => format!("{text}{{{{- template \"aux\" {value} -}}}}{more}"),
            },
            "{{block}}" => {
                format!("{{{{ block \"bl\" {value} }}}}{body}{text}{{{{ end }}}}{{{{ template \"bl\" {other} }}}}")
            }
            "{{comment}}" => {
                let broken = if self.chance.percent(20) { "{{ /* no comment */ }}" } else { "" };
                format!(
                    "{text}{left}{}/* note {{{{ }}}} */{}{right}{more}{broken}",
                    if left == "{{-" { " " } else { "" },
                    if right == "-}}" { " " } else { "" }
                )
            }
            "{{trim}}" => format!("{text}{{{{- {value} -}}}}{more}{{{{ {other} -}}}} \n t"),
            "{{variable}}" if self.chance.percent(15) => {
                format!("{{{{ with {value} }}}}{{{{ $q := {other} }}}}{{{{ $q }}}}{{{{ end }}}}{{{{ $q }}}}")
            }
            "{{assign}}" if self.chance.percent(30) => format!(
                "{{{{ $a := 1 }}}}{{{{ range {list} }}}}{{{{ $a := {value} }}}}{{{{ $a = {other} }}}}{{{{ $a }}}}{{{{ end }}}}{{{{ $a }}}}"
            ),
            "{{variable}}" => format!(
                "{{{{ $a := {value} }}}}{{{{ $b := $a }}}}{{{{ $b }}}}{{{{ with $a }}}}{{{{ $a := 2 }}}}{{{{ $a }}}}{{{{ end }}}}{{{{ $a }}}}{{{{ $.str }}}}"
            ),
            "{{assign}}" => format!(
                "{{{{ $a := {value} }}}}{{{{ if {other} }}}}{{{{ $a = {other} }}}}{{{{ end }}}}{{{{ range $i := until 3 }}}}{{{{ $a = $i }}}}{{{{ end }}}}{{{{ $a }}}}"
            ),
            "{{chain}}" => {
                let fields = self.chance.pick(&[".a", ".b.c", ".nope", ".nope.nope", ".k", ".str", ".name"]);
                match self.chance.below(3) {
                    0 => format!("{{{{ ({value}){fields} }}}}"),
                    1 => format!("{{{{ $v := {map} }}}}{{{{ $v{fields} }}}}"),
                    _ => format!("{{{{ ({map}){fields} | default \"d\" }}}}"),
                }
            }
            "{{pipeline}}" => {
                let stages = [
                    "quote",
                    "toString",
                    "upper",
                    "default \"x\"",
                    "len",
                    "toJson",
                    "printf \"%v-%v\" 1",
                    "not",
                    "b64enc",
                    "trim",
                    "list",
                    "or .str",
                    "typeOf",
                    "and 1",
                ];
                format!("{{{{ {value} | {} | {} }}}}", self.chance.pick(&stages), self.chance.pick(&stages))
            }
            "{{literal}}" => {
                let literal = self.chance.pick(&[
                    "1",
                    "-1",
                    "+5",
                    "0x1F",
                    "1.5e3",
                    "'a'",
                    "'\\n'",
                    "\"\\u00e9\"",
                    "`raw`",
                    "true",
                    "nil",
                    "1i",
                    "0b101",
                    "0o17",
                    "017",
                    ".5",
                    "1.",
                    "1_0",
                    "1e400",
                    "99999999999999999999",
                    "0x1p4",
                    "'ab'",
                    "\"\\x41\"",
                    "08",
                    "1+2i",
                    "\"\\xff\"",
                    "-0",
                    "0x",
                    "1e-7",
                    "1e21",
                    "123456789.0",
                    "18446744073709551615",
                ]);
                format!("{{{{ {literal} }}}}{{{{ print {literal} 2 }}}}{{{{ printf \"%T\" {literal} }}}}")
            }
            "{{field}}" => {
                let field = if self.chance.percent(50) {
                    self.chance.pick(&[
                        ".map.a",
                        "$.map.nope",
                        "$.str",
                        ".nomap.x",
                        ".map",
                        "$.int",
                        "(dict \"a\" .str).a",
                    ])
                } else {
                    self.chance.pick(BENT_FIELDS)
                };
                match self.chance.below(3) {
                    0 => format!("{text}{{{{ {field} }}}}{{{{ upper {field} }}}}"),
                    1 => format!("{text}{{{{ {field} }}}}"),
                    _ => format!("{{{{ typeOf {field} }}}}{{{{ default 5 {field} }}}}"),
                }
            }
            _ => format!("[{{{{ {} }}}}]{text}", self.chance.pick(NOTHINGS)),
        }
    }
}
