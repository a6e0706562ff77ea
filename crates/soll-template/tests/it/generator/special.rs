//! Calls that need arguments of a certain form to say something.

use super::Generator;
use super::pools::*;

/// Parts of patterns.
const PATTERN_PIECES: &[&str] = &[
    "a",
    "b",
    "o",
    ".",
    r"\w",
    r"\d",
    r"\W",
    "[a-c]",
    "[^b]",
    "[[:alpha:]]",
    "[é-ü]",
    r"[\d-]",
    "(a|b)",
    "(?:o|)",
    "(?P<n>l+)",
    "|",
    "*",
    "+",
    "?",
    "*?",
    "+?",
    "??",
    "{2}",
    "{1,}",
    "{0,2}?",
    "^",
    "$",
    r"\b",
    r"\A",
    r"\z",
    "(?s).",
    "(?m)^",
    r"\s",
    "é",
    r"\x41",
    r"\p{L}",
    r"\PL",
    r"\pN",
    r"\p{Greek}",
    r"\.",
    r"\Qa.b\E",
    " ",
    "-",
    r"\n",
    r"\x{263a}",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    r"\",
    r"\1",
    "(?<m>a)",
    "(?=",
];

/// What has types that do not always go into each other.
const MERGED: &[&str] = &[
    "(split \",\" \"x,y\")",
    "(split \",\" \",z\")",
    "(dict \"_0\" nil)",
    "(dict \"_0\" 5)",
    "(dict \"_1\" \"t\")",
    "(dict \"_5\" (list 1))",
    "(dict \"_0\" (list 1))",
    "(dict \"_1\" (dict \"k\" 1))",
    "(fromJson \"null\")",
    "(toDate \"2006\" \"2020\")",
    "(semver \"1.2\")",
    "(semver \"1.3\").IncMajor",
    "\"text\"",
    "(list 1)",
    "(dict)",
    "nil",
];

/// Without a moment some show the time of the day; a map within itself would take Go down; the words for broken TOML
/// are not Go's; what chance decides is never the same.
pub(super) fn only_special(name: &str) -> bool {
    let chance = ["gen", "rand", "encrypt", "uuid", "shuffle", "now", "bcrypt", "htpasswd", "ago"];
    chance.iter().any(|start| name.starts_with(start))
        || matches!(
            name,
            "date"
                | "htmlDate"
                | "dateInZone"
                | "date_in_zone"
                | "htmlDateInZone"
                | "fromToml"
                | "fromYaml"
                | "fromYamlArray"
                | "durationRound"
                | "printf"
                | "set"
                | "merge"
                | "mergeOverwrite"
                | "mustMerge"
                | "mustMergeOverwrite"
        )
}

impl Generator {
    /// A call with an argument of any kind, of a function that would else say something about the time of the day, or
    /// make a value hold itself.
    pub(super) fn harmless(&mut self, name: &str) -> Option<String> {
        // No year is too far away.
        let any = match self.any_kind(soll_template::Param::Any) {
            number if self.kind_of_text(&number) == super::Kind::Int => "(int64 1234567890)".to_owned(),
            other => other,
        };
        let still =
            self.chance.pick(&[".nope", ".none", "nil", "true", "2.5", ".list", ".map", "\"x\"", ".str"]).to_owned();
        Some(match name {
            "date" => format!("date \"text only\" {any}"),
            "dateInZone" | "date_in_zone" => format!("{name} \"text only\" {any} \"UTC\""),
            "htmlDate" => format!("htmlDate {any} | len"),
            "htmlDateInZone" => format!("htmlDateInZone {any} \"UTC\" | len"),
            "ago" => format!("ago {still}"),
            "durationRound" => format!("durationRound {still}"),
            "set" => format!("set (dict) \"k\" {any}"),
            _ => return None,
        })
    }

    /// Calls that need arguments of a certain form to say something.
    pub(super) fn special(&mut self, name: &str) -> Option<String> {
        let (any_list, map, other, string) = (self.list(), self.map(), self.map(), self.string());
        let (any, any2) = (self.anything(), self.anything());
        let (number, number2) = (self.number(), self.number());
        let made_up = self.text_literal();
        let chance = &mut self.chance;
        let key = chance.pick(&["\"a\"", "\"b\"", "\"k\"", "\"nope\"", "\"key1\"", ".str", "\"z\""]);
        let small = chance.pick(&["0", "1", "2", "3", "5"]);
        let pattern = chance.pick(&[
            "\"[a-z]+\"",
            "\"o\"",
            "\"^h\"",
            "\"(\\\\w)(\\\\d*)\"",
            "\"a|b\"",
            "\"\"",
            "\"x*\"",
            "\"[^a-z]\"",
            "`\\bw\\w+`",
            "`(?i)HELLO`",
            "`\\s+`",
            "`[\\d.]+`",
            "`(?P<first>\\w+)[ -](?P<second>\\w+)`",
            "`.`",
            "`(?s).+`",
            "`a{2,3}`",
            "`[[:alpha:]]+$`",
            "`\\Qa.b\\E`",
            "`\\p{L}+`",
            "`(`",
            "`a**`",
            "`[z-a]`",
            "`(?:foo|bar)?`",
            "`^$`",
            "`(?m)^\\w`",
            "`[^\\s]+`",
            "`\\d{4}-\\d{2}`",
            "`x{`",
            "`[a\\]]`",
            "`\\-`",
            "`[\\w-]+`",
            "`a{1001}`",
            "`\\y`",
            "`(?=a)`",
        ]);
        let made_up_pattern: String = (0..1 + chance.below(6)).map(|_| chance.pick(PATTERN_PIECES)).collect();
        let made_up_pattern = format!("`{}{made_up_pattern}`", chance.pick(&["", "", "(?i)", "(?U)", "(?-s)a(?im)+"]));
        let pattern = if chance.percent(40) { made_up_pattern.as_str() } else { pattern };
        let replacement = chance.pick(&[
            "\"X\"",
            "\"\"",
            "\"$1\"",
            "\"${1}-$2\"",
            "\"$0$0\"",
            "\"<$first>\"",
            "\"$1x\"",
            "\"$$\"",
            "\"${\"",
            "\"$second $first\"",
        ]);
        let subject = chance.pick(&[
            ".str",
            ".lines",
            ".uni",
            ".camel",
            "\"aaa bbb 123\"",
            "\"\"",
            "\"2024-01-15\"",
            "\"foobarfoo\"",
            "\"a.b\"",
        ]);
        let layout = chance.pick(LAYOUTS);
        let text = match name {
            "date" | "htmlDate" | "dateInZone" | "date_in_zone" | "htmlDateInZone" => {
                let moment = match chance.below(3) {
                    0 => chance.pick(&["0", "1700000000", "(int64 1234567890)"]),
                    _ => chance.pick(TIMES),
                };
                let zone = chance.pick(&["\"UTC\"", "\"\"", "\"Local\"", "\"Nowhere/Land\""]);
                match name {
                    "date" => format!("date {layout} {moment}"),
                    "htmlDate" => format!("htmlDate {moment}"),
                    "htmlDateInZone" => format!("htmlDateInZone {moment} {zone}"),
                    _ => format!("{name} {layout} {moment} {zone}"),
                }
            }
            "toDate" | "mustToDate" => {
                let (layout, text) = [
                    ("2006-01-02", "2024-01-15"),
                    ("2006-01-02", "2024-13-15"),
                    ("15:04", "23:59"),
                    ("2006-01-02", "nonsense"),
                    ("Jan 2, 2006", "Mar 3, 2020"),
                    ("2006-01-02 15:04:05 -0700", "2020-02-30 10:00:00 +0130"),
                    ("02/01/06", "31/12/99"),
                    ("2006-01-02T15:04:05Z07:00", "2020-01-01T10:00:00.123Z"),
                    ("Mon 3PM", "Tue 12AM"),
                    ("2006-002", "2024-366"),
                    ("2006-01-02 MST", "2020-05-05 CET"),
                    ("2006-1-2", "2024-7-04"),
                    ("2006", "2024x"),
                    ("3:04 pm", "12:00 pm"),
                    ("Mon 3PM", "Wed 12PM"),
                ][chance.below(15)];
                format!("{name} \"{layout}\" \"{text}\"")
            }
            "dateModify" | "date_modify" | "mustDateModify" | "must_date_modify" => {
                let by = chance.pick(&[
                    "\"1h\"",
                    "\"-24h\"",
                    "\"1.5h\"",
                    "\"90m30s\"",
                    "\"bad\"",
                    "\"1d\"",
                    "\"100ms\"",
                    "\"\"",
                    "\"+3s\"",
                ]);
                format!("{name} {by} {}", chance.pick(TIMES))
            }
            "duration" => format!(
                "duration {}",
                chance.pick(&["\"95\"", "(int64 3661)", "\"x\"", "86400", "\"-5\"", "(int64 0)", ".str"])
            ),
            "durationRound" => {
                format!(
                    "durationRound {}",
                    chance.pick(&[
                        "\"2h10m5s\"",
                        "\"800h\"",
                        "\"730h\"",
                        "\"100000h\"",
                        "\"30s\"",
                        "\"1s\"",
                        "\"x\"",
                        "(int64 5000000000)",
                        "\"-90m\"",
                        "\"25h\""
                    ])
                )
            }
            "semver" | "semverCompare" => {
                let version = chance.pick(&[
                    "\"1.2.3\"",
                    "\"v1.2\"",
                    "\"2\"",
                    "\"1.2.3-beta.1\"",
                    "\"1.35.0+k3s1\"",
                    "\"x.y\"",
                    ".ver",
                    "\"1.2.3.4\"",
                    "\"01.2.3\"",
                ]);
                let range = chance.pick(&[
                    "\">=1.2\"",
                    "\"^1.0.0\"",
                    "\"~1.2\"",
                    "\">=1.19-0\"",
                    "\"1.x || 2.x\"",
                    "\"<2.0.0\"",
                    "\"!=1.2.3\"",
                    "\"1.0 - 2.0\"",
                    "\"bad range\"",
                    "\"*\"",
                ]);
                let field = chance.pick(&["", ".Major", ".Minor", ".Patch", ".Prerelease", ".Metadata", ".Original"]);
                if name == "semver" {
                    format!("(semver {version}){field}")
                } else {
                    format!("semverCompare {range} {version}")
                }
            }
            "regexMatch" | "mustRegexMatch" | "regexFind" | "mustRegexFind" => format!("{name} {pattern} {subject}"),
            "regexFindAll" | "mustRegexFindAll" | "regexSplit" | "mustRegexSplit" => {
                format!("{name} {pattern} {subject} {}", chance.pick(&["-1", "0", "1", "2", "5"]))
            }
            "regexReplaceAll" | "mustRegexReplaceAll" | "regexReplaceAllLiteral" | "mustRegexReplaceAllLiteral" => {
                format!("{name} {pattern} {subject} {replacement}")
            }
            "urlParse" => {
                let url = chance.pick(&[
                    "\"http://u:p@h.com:80/p/a?q=1#f\"",
                    "\"//h/p\"",
                    "\"HTTP://H/p\"",
                    "\"mailto:a@b.c\"",
                    "\"http://[::1]:8/\"",
                    "\"/just/path\"",
                    "\"http://h%zz\"",
                    "\"a:b\"",
                    "\"https://ex.org/%20x?y\"",
                    ".str",
                    "\"\"",
                    "\"http://h:bad/\"",
                    "\"http://a b/\"",
                    "\"ftp://user@host\"",
                ]);
                format!("{name} {url}")
            }
            "urlJoin" => {
                let dict = chance.pick(&[
                    "(dict \"scheme\" \"http\" \"host\" \"h:1\" \"path\" \"/p q\" \"query\" \"a=1\" \"fragment\" \"f\" \"userinfo\" \"u:p\")", "(urlParse \"http://u@h/p?q#f\")", "(dict \"path\" \"x\" \"host\" \"h\")",
                    "(dict \"scheme\" 5)", "(dict \"opaque\" \"o\" \"scheme\" \"s\")", "(dict \"path\" \"a:b\")",
                ]);
                format!("{name} {dict}")
            }
            "fromJson" | "fromJsonArray" | "mustFromJson" => {
                let json = chance.pick(&[
                    "`{\"a\":1,\"b\":[true,null,\"x\"]}`",
                    "`[1,2.5,\"z\",{}]`",
                    "`\"s\"`",
                    "`nope`",
                    "`{\"a\":`",
                    "`{\"a\" 1}`",
                    "`[1,]`",
                    "``",
                    "`1e400`",
                    "`{\"u\":\"\\u00e9\\n\"}`",
                    "`null`",
                    "`tru`",
                    "`{} x`",
                    "`'a'`",
                    "(toJson .map)",
                    "(toJson .mixed)",
                    "`{\"a\":1,\"a\":2}`",
                    "`01`",
                    "`[\"a\tb\"]`",
                ]);
                format!("{name} {json}")
            }
            "fromYaml" | "fromYamlArray" => {
                let yaml = chance.pick(&[
                    ".lines",
                    "\"a: 1\\nb: [x, 2, 1.5, yes, ~]\"",
                    "\"- 1\\n- two\\n- {k: v}\"",
                    "\"\"",
                    "\"plain\"",
                    "(toYaml .map)",
                    "(toYaml .mixed)",
                    "\"a: 0x10\\nb: 010\\nc: 1e3\\nd: 2020-01-01\"",
                    "\"x: |\\n  block\\n  text\\n\"",
                    "\"a: &x 1\\nb: *x\"",
                    "\"1: one\\ntrue: two\"",
                    "\"a: 12345678901234567890\"",
                    "\"k: !!str 5\"",
                    "\"~: 1\"",
                    "\"a: {? : [1.5, x, ~, {b: true}]}\"",
                    "\"- null: \\n  - 2\"",
                    "\"a: 1\\n---\\nb: [\"",
                    "\"- 1\\n...\\n}\"",
                ]);
                format!("{name} {yaml}")
            }
            "fromToml" => {
                let toml = chance.pick(&[
                    "\"a = 1\\nb = \\\"x\\\"\\n[t]\\nc = [1, 2]\\n\"",
                    "\"[[x]]\\ny = 1.5\\n[[x]]\\ny = true\\n\"",
                    "(toToml (dict \"k\" .str \"n\" .int \"t\" (dict \"k\" .num)))",
                    "\"\"",
                    "\"d = 2020-01-01T10:00:00Z\"",
                ]);
                format!("{name} {toml}")
            }
            "toYaml" | "toYamlPretty" | "mustToYaml" | "toJson" | "toPrettyJson" | "toRawJson" | "mustToJson"
            | "mustToRawJson" | "mustToPrettyJson" => match chance.below(3) {
                0 => format!("{name} ."),
                1 => format!("{name} (dict \"s\" {string} \"n\" {number} \"l\" {any_list} \"m\" {map} \"x\" {any})"),
                _ => return None,
            },
            "toToml" | "mustToToml" => match chance.below(3) {
                0 => format!("{name} (dict \"s\" {string} \"n\" {number} \"m\" {map})"),
                1 => format!("{name} (dict \"l\" {any_list} \"k y\" 1 \"m\" (dict \"d\" {map}))"),
                _ => format!("{name} {map}"),
            },
            "dict" => format!("dict {key} {any} \"second\" {any2}"),
            "get" | "hasKey" | "unset" => format!("{name} {map} {key}"),
            "set" => format!("set (deepCopy {map}) {key} {any}"),
            "pluck" => format!("pluck {key} {map} {other}"),
            "pick" | "omit" => format!("{name} {map} {key} \"c\""),
            "dig" => match chance.below(3) {
                0 => format!("dig {key} \"dflt\" {map}"),
                1 => format!("dig \"b\" \"c\" {any} .map"),
                _ => "dig \"a\" \"b\" \"c\" 0 (dict \"a\" (dict \"b\" (dict \"c\" 5)))".into(),
            },
            "index" => match chance.below(5) {
                0 if chance.percent(30) => {
                    format!("index (split \",\" {string}) {}", chance.pick(&["\"_0\"", "\"_9\""]))
                }
                0 => format!("index {map} {key}"),
                1 => format!("index {any_list} {small}"),
                2 => "index .map \"b\" \"c\"".into(),
                3 => format!("index {string} {small}"),
                _ => return None,
            },
            "slice" | "mustSlice" => format!(
                "{name} {any_list} {}",
                chance.pick(&["", "0", "1", "0 2", "1 2", "2 1", "0 9", "1 1", "\"1\""])
            ),
            "printf" => {
                let format = chance.pick(&[
                    "%v",
                    "%s",
                    "%d",
                    "%q",
                    "%5v|",
                    "%-6s|",
                    "%05d",
                    "%x",
                    "%X",
                    "%t",
                    "%T",
                    "%+v",
                    "%#v",
                    "%.2f",
                    "%e",
                    "%g",
                    "%8.3f",
                    "%c",
                    "%U",
                    "%o",
                    "%b",
                    "%%",
                    "%v %v",
                    "%[2]v %[1]v",
                    "%!",
                    "%z",
                    "%s %d",
                    "%06.2f",
                    "% d",
                    "%+d",
                    "%#x",
                    "%.3s",
                    "%*d",
                    "%6.2v",
                    "%x %X",
                    "%#q",
                    "%3c|",
                    "%-5d|",
                    "%G",
                    "%08b",
                    "%O",
                    "%v %v %v",
                ]);
                let verbs = [
                    "%+d", "%d", "%x", "%X", "%#x", "%5d|", "%05d", "%-5d|", "%+.1f", "%f", "%e", "%g", "% d", "%o",
                    "%b", "%c",
                ];
                if chance.percent(40) {
                    return Some(format!(
                        "printf \"{} {}\" {number} {number2}",
                        chance.pick(&verbs),
                        chance.pick(&verbs)
                    ));
                }
                if chance.percent(20) {
                    let wide = chance.pick(&["%8s|", "%-8s|", "%.2s|", "%5q|", "%8v|"]);
                    return Some(format!(
                        "printf \"{wide}\" {}",
                        chance.pick(&["\"日本\"", "\"é\"", ".uni", "(list 1 nil)", ".str"])
                    ));
                }
                // Other verbs than those for text show the insides of a time.
                let plain = |text: String| if text.contains("toDate") { ".str".to_owned() } else { text };
                let any = plain(any);
                let count = 1 + chance.below(2);
                let second = if count == 2 { plain(any2) } else { String::new() };
                format!("printf \"{format}\" {any} {second}")
            }
            "ternary" => format!("ternary {any} {any2} {}", chance.pick(BOOLS)),
            "typeIs" | "typeIsLike" | "kindIs" => {
                let kind = chance.pick(&[
                    "string",
                    "map",
                    "slice",
                    "int",
                    "float64",
                    "bool",
                    "invalid",
                    "int64",
                    "[]interface {}",
                    "map[string]interface {}",
                    "semver.Version",
                    "time.Time",
                ]);
                format!("{name} \"{kind}\" {any}")
            }
            "eq" | "ne" | "lt" | "le" | "gt" | "ge" => match chance.below(6) {
                0 => format!("{name} {string} {}", if chance.percent(30) { string.clone() } else { made_up }),
                1 | 2 => format!("{name} {number} {}", number2),
                3 => format!(
                    "{name} {} {}",
                    chance.pick(&[".int", ".float", ".neg", ".zero"]),
                    chance.pick(&[".float", "2.5", ".big", "0.0"])
                ),
                4 => format!(
                    "{name} {} {}",
                    chance.pick(&["1", "(len .list)", "(int .int)", "(int64 3)"]),
                    chance.pick(&["2", "(add 1 2)", "5", "'a'"])
                ),
                _ => return None,
            },
            "deepEqual" if chance.percent(30) => format!(
                "deepEqual {} {}",
                chance.pick(&["1", "(int64 1)", "(float64 1)", "(list 1)", "(list (int64 1))", "(dict \"a\" 1)"]),
                chance.pick(&["1", "(int64 1)", "1.0", "(list 1)", "(list 1.0)", "(dict \"a\" (int64 1))"])
            ),
            "deepEqual" | "has" | "mustHas" | "without" | "mustWithout" if chance.percent(60) => match name {
                "deepEqual" => format!("deepEqual {any_list} {}", if chance.percent(50) { &any_list } else { &map }),
                "has" | "mustHas" => format!(
                    "{name} {} {any_list}",
                    chance.pick(&["\"a\"", "1", "2.5", ".none", "true", "\"\"", "3", "(list 1 2)"])
                ),
                _ => format!(
                    "{name} {any_list} {}",
                    chance.pick(&["\"a\"", "1 2", "2.5", ".none", "\"x\" \"y\"", "\"b\""])
                ),
            },
            "first" | "last" | "rest" | "initial" | "reverse" | "compact" | "uniq" | "mustFirst" | "mustLast"
            | "mustRest" | "mustInitial" | "mustReverse" | "mustCompact" | "mustUniq" => format!("{name} {any_list}"),
            "concat" => format!("concat {}", chance.pick(&["", "list", &any_list, &any_list])),
            "append" | "push" | "prepend" | "mustAppend" | "mustPush" | "mustPrepend" => {
                format!("{name} {any_list} {any}")
            }
            // Nothing that a template has is a function: it renders where it is not reached.
            "call" if chance.percent(70) => return Some(format!("and .off (call {any} {any2})")),
            "b64dec" => format!(
                "b64dec {}",
                chance.pick(&[
                    "\"aGVsbG8=\"",
                    "(b64enc .uni)",
                    "\"aGVsbG8\"",
                    "\"!!\"",
                    "\"aGVs\\nbG8=\"",
                    "\"YQ==\"",
                    "\"YQ=\"",
                    "\"YWI=x\"",
                    "\"//79\"",
                    "\"\""
                ])
            ),
            "b32dec" => format!(
                "b32dec {}",
                chance.pick(&[
                    "(b32enc .uni)",
                    "\"NBSWY3DP\"",
                    "\"NBSWY3D\"",
                    "\"nb\"",
                    "\"ME======\"",
                    "\"\"",
                    "\"MFRA====\""
                ])
            ),
            "atoi" | "int" | "int64" | "float64" | "toDecimal" => {
                let text = chance.pick(&[
                    "\"12\"",
                    "\"-7\"",
                    "\"0x1F\"",
                    "\"010\"",
                    "\"1.00\"",
                    "\"5.0\"",
                    "\"1.5\"",
                    "\"abc\"",
                    "\"\"",
                    "\"99999999999999999999\"",
                    "\"1e3\"",
                    "\"0777\"",
                    "\" 5\"",
                    "\"1_000\"",
                    "\"0b11\"",
                    "\"+3\"",
                    "\"inf\"",
                    "\"08\"",
                    "\"0.0\"",
                ]);
                format!("{name} {text}")
            }
            "include" => match chance.below(5) {
                0 => format!("include {} {any}", chance.pick(&["\"nope\"", ".uni", "\"\""])),
                _ => format!("include \"aux\" {any}"),
            },
            "tpl" => {
                let text = chance.pick(&[
                    "\"{{ .str }}\"",
                    "\"plain\"",
                    "\"{{ include \\\"aux\\\" .int }}\"",
                    "\"{{ .nope }}-{{ upper .str }}\"",
                    "\"{{ fail \\\"x\\\" }}\"",
                    "\"{{ if }}\"",
                    "\"{{ define \\\"q\\\" }}Q{{ end }}{{ include \\\"q\\\" . }}\"",
                    "\"<no value>{{ .none }}\"",
                    "\"{{ tpl \\\"{{ .int }}\\\" . }}\"",
                    "\"\"",
                    "\"{{ .Values.x.y }}\"",
                ]);
                format!("tpl {text} .")
            }
            "required" => format!(
                "required \"needed\" {}",
                chance.pick(&[
                    ".str", ".empty", ".none", ".nope", ".zero", ".nomap", ".int", ".list", "\"x\"", ".off", ".map",
                    &string, &any
                ])
            ),
            "fail" if chance.percent(85) => return Some(format!("or .str (fail {string})")),
            "lookup" => "lookup \"v1\" \"Pod\" \"ns\" \"\"".into(),
            "substr" | "trunc" | "abbrev" | "abbrevboth" | "wrap" | "wrapWith" | "repeat" | "indent" | "nindent" => {
                let number = chance.pick(&["0", "1", "3", "5", "8", "10", "20", "-1", "-3"]);
                let other = chance.pick(&["2", "4", "7", "9", "12", "-1", "100"]);
                match name {
                    "substr" | "abbrevboth" => format!("{name} {number} {other} {string}"),
                    "wrapWith" => format!("{name} {number} \"|\" {string}"),
                    _ => format!("{name} {number} {string}"),
                }
            }
            "split" | "splitList" | "splitn" | "join" => {
                let separator = chance.pick(&["\",\"", "\" \"", "\"\"", "\"o\"", "\"\\n\"", "\"-\""]);
                match name {
                    "splitn" => format!("splitn {separator} {} {string}", chance.pick(&["0", "1", "2", "3", "-1"])),
                    "join" => format!("join {separator} {any_list}"),
                    _ => format!("{name} {separator} {string}"),
                }
            }
            "trimAll" | "trimall" | "trimPrefix" | "trimSuffix" | "contains" | "hasPrefix" | "hasSuffix"
            | "replace" => {
                let piece = chance.pick(&[
                    "\"h\"",
                    "\"hello\"",
                    "\"\"",
                    "\" \"",
                    "\"o\"",
                    "\"ü\"",
                    "\"é\"",
                    "\"\\n\"",
                    "\"Foo\"",
                ]);
                if name == "replace" {
                    format!("replace {piece} \"_\" {string}")
                } else {
                    format!("{name} {piece} {string}")
                }
            }
            "seq" => format!(
                "seq {}",
                chance.pick(&["5", "2 5", "0 2 10", "5 1", "-3", "10 -2 0", "1 1", "", "0 -1 5", "1 2 3 4", "0"])
            ),
            "untilStep" => format!(
                "untilStep {}",
                chance.pick(&["0 10 3", "10 0 -2", "0 5 -1", "5 0 1", "0 0 1", "1 2 0", "-3 3 2"])
            ),
            "until" => format!("until {}", chance.pick(&["0", "3", "-3", "1", "10"])),
            "chunk" | "mustChunk" => format!("{name} {} {any_list}", chance.pick(&["1", "2", "3", "10"])),
            "add" | "sub" | "mul" | "div" | "mod" | "max" | "min" | "addf" | "subf" | "mulf" | "divf" | "maxf"
            | "minf" | "biggest" => {
                format!("{name} {number} {}", number2)
            }
            "add1" | "add1f" | "floor" | "ceil" => format!("{name} {number}"),
            "round" => format!(
                "round {number} {} {}",
                chance.pick(&["0", "1", "2", "3", "-1"]),
                chance.pick(&["", "", "0.4", "0.9"])
            ),
            "merge" | "mergeOverwrite" | "mustMerge" | "mustMergeOverwrite" => match chance.below(4) {
                3 => format!("{name} (dict \"a\" {}) (dict \"a\" {})", chance.pick(MERGED), chance.pick(MERGED)),
                0 => format!("{name} (deepCopy {map}) {other}"),
                1 => format!(
                    "{name} (dict \"a\" (dict \"x\" 1 \"y\" (list 1)) \"b\" \"\" \"c\" {any}) (dict \"a\" (dict \"y\" (list 2 3) \"z\" 0) \"b\" \"set\" \"c\" {any2}) {other}"
                ),
                _ => format!("{name} (dict) {map} {other}"),
            },
            "base" | "dir" | "clean" | "ext" | "isAbs" | "osBase" | "osDir" | "osClean" | "osExt" | "osIsAbs" => {
                format!(
                    "{name} {}",
                    chance.pick(&[
                        "\"/a/b/c.txt\"",
                        "\"a/x.tar.gz\"",
                        "\"\"",
                        "\"a/../../b/\"",
                        "\"/\"",
                        "\"./x//y/.\"",
                        "\"file\"",
                        "\".hidden\"",
                        "\"/..\"",
                        "\"a/b.c/d\"",
                        "\"..\""
                    ])
                )
            }
            "camelcase" | "snakecase" | "kebabcase" | "title" | "untitle" | "swapcase" | "initials" | "upper"
            | "lower" | "nospace" => {
                let text = chance.pick(&[
                    ".camel",
                    "\"HTTPServer\"",
                    "\"foo_bar-baz qux\"",
                    "\"Bld4Floor3rd\"",
                    "\"http2xx\"",
                    "\"__a__b\"",
                    "\"GO_PATH\"",
                    "\"Duration2m3s\"",
                    "\"\"",
                    "\"éÀ ß\"",
                    ".uni",
                    ".str",
                    "\"ALL CAPS\"",
                    "\"a\"",
                    "\"_\"",
                    "\"x1y2 Z3\"",
                    "\"foo.bar/Baz\"",
                    "\"it's o'clock\"",
                    "\"HTTP20xOK\"",
                    "\"ǆ ﬁ\"",
                ]);
                format!("{name} {text}")
            }
            _ => return None,
        };
        Some(text.trim_end().to_owned())
    }
}
