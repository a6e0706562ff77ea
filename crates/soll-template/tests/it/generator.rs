//! Templates by chance: each function and each action, with every kind of argument.

use soll_template::{Param, Signature, signatures};

/// Numbers that a seed decides.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

/// One template with its values, and what it is about.
pub(crate) struct Case {
    pub(crate) template: String,
    pub(crate) values: &'static str,
    /// The function or action that it was made for.
    pub(crate) subject: String,
    /// Kinds of the arguments that the subject got.
    pub(crate) kinds: Vec<&'static str>,
}

/// What takes too long to be called thousands of times.
const SLOW: &[&str] = &["bcrypt", "derivePassword", "genCA", "genSelfSignedCert", "genSignedCert"];

/// What chance, time and secrets decide: of these only what is certain is compared.
fn uncertain(name: &str, chance: &mut Chance) -> Option<String> {
    let count = chance.pick(&["0", "1", "3", "7", "-1"]);
    let key = chance.pick(&[
        "(genPrivateKey \"ecdsa\")",
        "(genPrivateKey \"ed25519\")",
        "\"no key\"",
        "\"\"",
        "`-----BEGIN X-----\nYQ==\n-----END X-----\n`",
    ]);
    let ips = chance.pick(&["nil", "(list \"127.0.0.1\" \"::1\")", "(list \"nope\")", "(list 5)", "list"]);
    let names = chance.pick(&["nil", "(list \"a.b\" \"*.c\")", "(list 1.5)", "list"]);
    let days = chance.pick(&["1", "365", "0"]);
    Some(match name {
        "now" => chance.pick(&["now | typeOf", "now.UTC | kindOf", "now.IsZero", "kindOf now.Unix"]).to_owned(),
        "ago" => chance.pick(&["ago now", "ago .str", "ago (list)"]).to_owned(),
        "randAlphaNum" => format!("randAlphaNum {count} | regexMatch \"^[0-9A-Za-z]*$\""),
        "randAlpha" => format!("randAlpha {count} | regexMatch \"^[A-Za-z]*$\""),
        "randNumeric" => format!("randNumeric {count} | regexMatch \"^[0-9]*$\""),
        "randAscii" => format!("randAscii {count} | len"),
        "randInt" => format!("randInt {}", chance.pick(&["3 4", "-1 0", "5 5", "9 2", "0 1"])),
        "randBytes" => format!("randBytes {count} | b64dec | len"),
        "shuffle" => format!("shuffle {} | len", chance.pick(STRINGS)),
        "uuidv4" => "uuidv4 | regexMatch \"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$\"".into(),
        "htpasswd" => "htpasswd \"a:b\" .str".into(),
        "genPrivateKey" => chance.pick(&["genPrivateKey \"ecdsa\" | trunc 30", "genPrivateKey \"ed25519\" | trunc 27", "genPrivateKey \"x\"", "genPrivateKey .str"]).to_owned(),
        "genCAWithKey" => format!("(genCAWithKey .str {days} {key}).Cert | trunc 27"),
        "genSelfSignedCertWithKey" => {
            format!("(genSelfSignedCertWithKey .str {ips} {names} {days} {key}).Cert | trunc 27")
        }
        "genSignedCertWithKey" => {
            let ca = chance.pick(&["(genCAWithKey \"ca\" 1 (genPrivateKey \"ecdsa\"))", "(genCAWithKey \"ca\" 1 (genPrivateKey \"ed25519\"))", ".map", ".str"]);
            format!("(genSignedCertWithKey .str {ips} {names} {days} {ca} {key}).Cert | trunc 27")
        }
        "buildCustomCert" => chance
            .pick(&[
                "buildCustomCert \"x\" \"y\"", "buildCustomCert \"YQ==\" \"!\"", "buildCustomCert \"YQ==\" \"YQ==\"",
                "with genCAWithKey \"c\" 1 (genPrivateKey \"ecdsa\") }}{{ (buildCustomCert (b64enc .Cert) (b64enc .Key)).Cert | trunc 27 }}{{ end }}{{ 1",
            ])
            .to_owned(),
        "encryptAES" => format!("encryptAES \"key\" {} | decryptAES \"key\"", chance.pick(STRINGS)),
        "decryptAES" => format!(
            "decryptAES {} {}",
            chance.pick(&["\"key\"", ".str", "\"\""]),
            chance.pick(&["\"\"", "\"!\"", "\"YWFh\"", "(b64enc \"0123456789abcdef0123456789abcdef\")", "(b64enc \"0123456789abcdef012\")", "(b64enc \"0123456789abcdef\")"])
        ),
        _ => return None,
    })
}

const ACTIONS: &[&str] = &[
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
    "{{parse}}",
    "{{missing}}",
];

/// Two sets of values, in JSON.
pub(crate) const VALUES: [&str; 2] = [
    r#"{"str":"hello world","empty":"","none":null,"yes":true,"off":false,"int":5,"zero":0,"neg":-3,"float":2.5,"big":12345678901,"huge":1e21,"tiny":1e-7,
"list":["b","a","c"],"nums":[3,1,2.5],"maps":[{"name":"x","v":1},{"name":"y","v":2}],"nolist":[],"map":{"a":1,"b":{"c":"deep","d":[1,2]},"z":"last"},"nomap":{},
"mixed":[1,"two",null,true,{"k":"v"},[1,2],""],"uni":"ünï ☃ cödé","lines":"one\ntwo\n\nthree\n","quotes":"it's \"q\" <b>&amp;","num":"42","ver":"1.2.3-rc.1+b5","camel":"someHTTPServer2Name","spaces":"  pad ded\t"}"#,
    r#"{"str":"Foo-Bar_baz","empty":"","none":null,"yes":true,"off":false,"int":100,"zero":0,"neg":-1.5,"float":0.1,"big":1000000,"huge":9007199254740993,"tiny":0.00001,
"list":["10","9","a","a"],"nums":[1,2,2,3],"maps":[{"name":"only"}],"nolist":[],"map":{"key1":"v1","key10":"v10","key2":{"n":null,"l":[]},"yes":"no"},"nomap":{},
"mixed":["x",{"a":{"b":1}},[],{},0,false,1.5],"uni":"日本語 text é","lines":"a: 1\nb:\n  - x\n  - y: z\n","quotes":"tab\there `tick` \\ $x %d","num":"0x1F","ver":"v2.0","camel":"snake_case-value","spaces":"\n x \n"}"#,
];

const STRINGS: &[&str] = &[
    ".str",
    ".empty",
    ".uni",
    ".lines",
    ".quotes",
    ".num",
    ".ver",
    ".camel",
    ".spaces",
    "\"lit\"",
    "\"a,b,c\"",
    "`raw \\n`",
    "\"\"",
    "\"true\"",
    "\"1.50\"",
    "\"héllo wörld\"",
    "(index .list 0)",
    "\"a/b/../c.tar.gz\"",
    "\"k: v\"",
    "\"x\\ty\\\"z\"",
    "\"0123456789\"",
    "\"The quick brown fox jumps over the lazy dog and then some more words to make it quite long indeed\"",
];
const NUMBERS: &[&str] = &[
    ".int",
    ".zero",
    ".neg",
    ".float",
    ".big",
    ".huge",
    ".tiny",
    "0",
    "1",
    "7",
    "-4",
    "2.5",
    "1e3",
    "0x10",
    "'c'",
    "1_000",
    "(int .float)",
    "(int64 .int)",
    "(add 1 2)",
    "(len .list)",
    "3.0",
    "100000000",
    "-0.5",
    "(float64 3)",
    "9223372036854775807",
];
const LISTS: &[&str] = &[
    ".list",
    ".nums",
    ".maps",
    ".nolist",
    ".mixed",
    "(list)",
    "(list 1 \"a\" nil)",
    "(splitList \",\" \"x,y,z\")",
    "(until 4)",
    "(list 3 1 2)",
    "(tuple \"p\" \"q\")",
    "(list (list 1 2) (list 3))",
    "(keys .map | sortAlpha)",
    "(list \"b\" \"a\" \"b\")",
    "(concat .list .nums)",
    "(list 1.5 2 \"3\")",
    "(chunk 2 .list)",
    "(list (dict \"a\" 1) (dict \"b\" 2))",
];
const MAPS: &[&str] = &[
    ".map",
    ".nomap",
    "(dict \"k\" \"v\")",
    "(dict \"a\" 1 \"b\" (list 1 2))",
    ".map.b",
    "(index .maps 0)",
    "(dict)",
    "(dict \"a\" (dict \"b\" (dict \"c\" 5)))",
    "(dict \"x\" nil \"y\" true \"z\" 1.5)",
    ".map.key2",
    "(dict \"host\" \"h:1\" \"scheme\" \"http\" \"path\" \"/p q\")",
];
const BOOLS: &[&str] = &[".yes", ".off", "true", "false", "(eq 1 1)", "(empty .str)", "(and .yes .off)", "(not .none)"];
const NOTHINGS: &[&str] = &[".none", ".nope", "nil", ".map.nope", "(.nope)", "(first list)", "(dict \"a\" nil).a"];
const TIMES: &[&str] = &[
    "(toDate \"2006-01-02\" \"2024-02-29\")",
    "(toDate \"2006-01-02 15:04:05\" \"1999-12-31 23:59:58\")",
    "(dateModify \"-36h15m\" (toDate \"2006-01-02\" \"2021-03-01\"))",
    "(toDate \"2006-01-02T15:04:05Z07:00\" \"2023-11-05T08:09:07+02:00\")",
    "(toDate \"Jan 2 2006 3:04PM\" \"Jul 4 2022 6:07AM\")",
];
const SPACED: &[&str] = &["", " ", "\n", "  \n\t"];

/// Functions by what they return, for calls within calls.
const MAKE_TEXT: &[&str] = &[
    "upper",
    "lower",
    "trim",
    "trunc",
    "substr",
    "replace",
    "quote",
    "squote",
    "cat",
    "indent",
    "join",
    "print",
    "printf",
    "toJson",
    "toYaml",
    "b64enc",
    "sha256sum",
    "toString",
    "title",
    "kebabcase",
    "snakecase",
    "camelcase",
    "repeat",
    "trimSuffix",
    "trimPrefix",
    "include",
    "typeOf",
    "kindOf",
    "regexReplaceAll",
    "regexFind",
    "html",
    "urlquery",
    "abbrev",
];
const MAKE_INT: &[&str] = &["len", "int"];
const MAKE_BOOL: &[&str] =
    &["eq", "ne", "lt", "not", "contains", "hasPrefix", "empty", "has", "hasKey", "regexMatch", "kindIs", "any", "all"];
const MAKE_MAP: &[&str] = &["dict", "pick", "omit", "deepCopy", "fromJson", "fromYaml", "split", "urlParse"];
const MAKE_LIST: &[&str] = &[
    "list",
    "append",
    "prepend",
    "reverse",
    "uniq",
    "without",
    "splitList",
    "sortAlpha",
    "rest",
    "initial",
    "compact",
    "concat",
    "slice",
    "until",
    "chunk",
    "toStrings",
    "regexFindAll",
    "regexSplit",
    "pluck",
];
const MAKE_ANY: &[&str] = &[
    "default",
    "coalesce",
    "ternary",
    "first",
    "last",
    "index",
    "dig",
    "get",
    "and",
    "or",
    "add",
    "mul",
    "div",
    "float64",
    "int64",
    "round",
    "floor",
    "max",
    "addf",
    "semver",
    "required",
    "fromJsonArray",
    "toDate",
    "mergeOverwrite",
    "tpl",
];

pub(crate) struct Generator {
    /// Calls around.
    depth: usize,
    chance: Chance,
    signatures: Vec<Signature>,
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        let mut signatures = signatures();
        signatures.retain(|signature| !SLOW.contains(&signature.name));
        Self { depth: 0, chance: Chance::new(seed), signatures }
    }

    /// Everything that cases are made for.
    pub(crate) fn subjects(&self) -> Vec<String> {
        let functions = self.signatures.iter().map(|signature| signature.name.to_owned());
        functions.chain(ACTIONS.iter().map(|action| (*action).to_owned())).collect()
    }

    /// A case, of which one in ten is broken somewhere.
    pub(crate) fn case(&mut self) -> Case {
        let mut case = self.whole();
        if self.chance.percent(10) {
            case.template = self.mutated(&case.template);
            case.subject = "{{mutation}}".to_owned();
        }
        case
    }

    /// A text with a few characters gone, doubled, moved or put in.
    fn mutated(&mut self, template: &str) -> String {
        let mut chars: Vec<char> = template.chars().collect();
        // What could run for ever, or hold itself, once a number or a copy is gone.
        let risky = [
            "htpasswd", "shuffle", "now", "Custom", "gen", "ago", "rand", "uuid", "AES", "Toml", "set ", "merge",
            "ntil", "repeat", "range", "seq", "ndent", "rap",
        ];
        if risky.iter().any(|word| template.contains(word)) {
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
        chars.into_iter().collect()
    }

    fn whole(&mut self) -> Case {
        let values = VALUES[self.chance.below(VALUES.len())];
        let count = self.signatures.len();
        let choice = self.chance.below(count + ACTIONS.len());
        let mut kinds = Vec::new();
        let (subject, template) = if choice < count {
            let name = self.signatures[choice].name;
            if let Some(certain) = uncertain(name, &mut self.chance) {
                kinds.push("special");
                return Case { template: format!("{{{{ {certain} }}}}"), values, subject: name.to_owned(), kinds };
            }
            let call = self.call(choice, &mut kinds);
            (name.to_owned(), self.around(&call, name))
        } else {
            let action = ACTIONS[choice - count];
            (action.to_owned(), self.action(action, &mut kinds))
        };
        Case { template, values, subject, kinds }
    }

    /// An expression put to some use.
    fn around(&mut self, call: &str, name: &str) -> String {
        if matches!(name, "keys" | "values") {
            return format!("{{{{ {call} | toStrings | sortAlpha }}}}");
        }
        match self.chance.below(12) {
            0 => format!("{{{{ {call} | toJson }}}}"),
            1 => format!("{{{{ {call} | quote }}}}"),
            2 => format!("{{{{ printf \"%v %T\" ({call}) ({call}) }}}}"),
            3 => format!("{{{{ $x := {call} }}}}{{{{ typeOf $x }}}}:{{{{ $x }}}}"),
            4 => format!("{{{{ if {call} }}}}yes{{{{ else }}}}no{{{{ end }}}}{{{{ {call} }}}}"),
            5 => format!("{{{{- with {call} -}}}}[{{{{ . }}}}]{{{{ else }}}}none{{{{ end }}}}"),
            6 => format!("{{{{ {call} | toYaml | nindent 2 }}}}"),
            _ => format!("a {{{{ {call} }}}} z"),
        }
    }

    fn call(&mut self, index: usize, kinds: &mut Vec<&'static str>) -> String {
        let Signature { name, params, variadic } = self.signatures[index];
        if let Some(special) = self.special(name) {
            kinds.push("special");
            return special;
        }
        let mut count = params.len();
        if variadic.is_some() {
            count += [0, 1, 1, 2, 2, 3][self.chance.below(6)];
        }
        if self.chance.percent(2) {
            count = self.chance.below(count + 2);
        }
        let mut arguments = Vec::new();
        for index in 0..count {
            let param = params.get(index).copied().or(variadic).unwrap_or(Param::Any);
            let (kind, text) = self.argument(param);
            kinds.push(kind);
            arguments.push(text);
        }
        let piped = !arguments.is_empty() && self.chance.percent(30);
        if piped {
            let last = arguments.pop().unwrap_or_default();
            if last == "nil" || arguments.is_empty() && last.starts_with('"') && self.chance.percent(50) {
                arguments.push(last);
            } else {
                return format!("{last} | {} {}", name, arguments.join(" ")).trim_end().to_owned();
            }
        }
        format!("{} {}", name, arguments.join(" ")).trim_end().to_owned()
    }

    fn argument(&mut self, param: Param) -> (&'static str, String) {
        if self.depth < 2 && self.chance.percent(18) {
            let names: &[&str] = match param {
                Param::Str => MAKE_TEXT,
                Param::Int => MAKE_INT,
                Param::Bool => MAKE_BOOL,
                Param::Map => MAKE_MAP,
                Param::List => MAKE_LIST,
                Param::Any | Param::Reflect => {
                    [MAKE_TEXT, MAKE_INT, MAKE_BOOL, MAKE_MAP, MAKE_LIST, MAKE_ANY][self.chance.below(6)]
                }
                Param::Float | Param::Uint32 | Param::Time | Param::Certificate => &[],
            };
            if !names.is_empty() {
                let name = self.chance.pick(names);
                let index = self.signatures.iter().position(|signature| signature.name == name);
                self.depth += 1;
                let inner = self.call(index.unwrap_or_default(), &mut Vec::new());
                self.depth -= 1;
                return ("call", format!("({inner})"));
            }
        }
        // Now and then something else than what is asked for.
        let param = if self.chance.percent(6) { Param::Any } else { param };
        match param {
            Param::Str => ("string", self.chance.pick(STRINGS).to_owned()),
            Param::Int => {
                let numbers =
                    ["0", "1", "2", "3", "5", "-1", "10", "(len .str)", "(int .int)", "4", "(int \"7\")", "'a'"];
                ("int", self.chance.pick(&numbers).to_owned())
            }
            Param::Uint32 => ("int", self.chance.below(9).to_string()),
            Param::Float => ("float", self.chance.pick(&[".float", "0.5", "0.1", "1"]).to_owned()),
            Param::Bool => ("bool", self.chance.pick(BOOLS).to_owned()),
            Param::Map => ("map", self.chance.pick(MAPS).to_owned()),
            Param::List => ("list", self.chance.pick(LISTS).to_owned()),
            Param::Time | Param::Certificate => ("time", self.chance.pick(TIMES).to_owned()),
            Param::Any | Param::Reflect => self.anything(),
        }
    }

    fn anything(&mut self) -> (&'static str, String) {
        match self.chance.below(20) {
            0..=5 => ("string", self.chance.pick(STRINGS).to_owned()),
            6..=9 => ("number", self.chance.pick(NUMBERS).to_owned()),
            10..=12 => ("list", self.chance.pick(LISTS).to_owned()),
            13..=15 => ("map", self.chance.pick(MAPS).to_owned()),
            16..=17 => ("bool", self.chance.pick(BOOLS).to_owned()),
            18 => ("nothing", self.chance.pick(NOTHINGS).to_owned()),
            _ => ("time", self.chance.pick(TIMES).to_owned()),
        }
    }

    /// Calls that need arguments of a certain form to say something.
    fn special(&mut self, name: &str) -> Option<String> {
        // Without a moment some show the time of the day; a map within itself would take Go down; the words for broken
        // TOML are not Go's.
        let always = matches!(
            name,
            "date"
                | "htmlDate"
                | "dateInZone"
                | "date_in_zone"
                | "htmlDateInZone"
                | "fromToml"
                | "durationRound"
                | "printf"
                | "set"
                | "merge"
                | "mergeOverwrite"
                | "mustMerge"
                | "mustMergeOverwrite"
                | "fromYaml"
                | "fromYamlArray"
        );
        if !always && self.chance.percent(12) {
            return None;
        }
        let chance = &mut self.chance;
        let list = |chance: &mut Chance| chance.pick(LISTS);
        let any_list = list(chance);
        let map = chance.pick(MAPS);
        let other = chance.pick(MAPS);
        let string = chance.pick(STRINGS);
        let (_, any) = self.anything();
        let (_, any2) = self.anything();
        let chance = &mut self.chance;
        let number = chance.pick(NUMBERS);
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
        let layout = chance.pick(&[
            "\"2006-01-02\"",
            "\"15:04:05.000\"",
            "\"Mon Jan _2 15:04:05 2006\"",
            "\"Monday, 02-Jan-06 15:04:05 MST\"",
            "\"3:04PM\"",
            "\"2006-01-02T15:04:05Z07:00\"",
            "\"02 Jan 06 15:04 -0700\"",
            "\"Jan _2 002 .999\"",
            "\"January 1 pm 05 5 4 3 03\"",
            "\"20060102150405\"",
            "\"text only\"",
            "\"_2006 __2 -07 Z0700\"",
        ]);
        let text = match name {
            "date" | "htmlDate" | "dateInZone" | "date_in_zone" | "htmlDateInZone" => {
                let moment =
                    chance.pick(&[TIMES[0], TIMES[1], TIMES[2], TIMES[3], "0", "1700000000", "(int64 1234567890)"]);
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
                ][chance.below(13)];
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
                ]);
                format!("{name} {yaml}")
            }
            "fromToml" => {
                let toml = chance.pick(&[
                    "\"a = 1\\nb = \\\"x\\\"\\n[t]\\nc = [1, 2]\\n\"",
                    "\"[[x]]\\ny = 1.5\\n[[x]]\\ny = true\\n\"",
                    "(toToml .map)",
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
                0 => format!("{name} {string} {}", chance.pick(STRINGS)),
                1 | 2 => format!("{name} {number} {}", chance.pick(NUMBERS)),
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
            "deepEqual" | "has" | "mustHas" | "without" | "mustWithout" if chance.percent(60) => match name {
                "deepEqual" => format!("deepEqual {any_list} {}", chance.pick(LISTS)),
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
            | "mustRest" | "mustInitial" | "mustReverse" | "mustCompact" | "mustUniq" | "concat" => {
                format!("{name} {any_list}")
            }
            "append" | "push" | "prepend" | "mustAppend" | "mustPush" | "mustPrepend" => {
                format!("{name} {any_list} {any}")
            }
            "call" => return None,
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
            "include" => match chance.below(4) {
                0 => format!("include \"nope\" {any}"),
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
                chance.pick(&[".str", ".empty", ".none", ".nope", ".zero", ".nomap", ".map.a"])
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
                format!("{name} {number} {}", chance.pick(NUMBERS))
            }
            "add1" | "add1f" | "floor" | "ceil" => format!("{name} {number}"),
            "round" => format!(
                "round {number} {} {}",
                chance.pick(&["0", "1", "2", "3", "-1"]),
                chance.pick(&["", "", "0.4", "0.9"])
            ),
            "merge" | "mergeOverwrite" | "mustMerge" | "mustMergeOverwrite" => match chance.below(3) {
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

    fn text(&mut self) -> String {
        let words = ["x", " a b ", "\n", "line\n  ", "}", "{", "é", "", "  ", "$", "-"];
        format!("{}{}", self.chance.pick(&words), self.chance.pick(SPACED))
    }

    fn action(&mut self, action: &str, kinds: &mut Vec<&'static str>) -> String {
        let (kind, value) = self.anything();
        kinds.push(kind);
        let (kind, other) = self.anything();
        kinds.push(kind);
        let (text, more) = (self.text(), self.text());
        let body = ["{{ . }}", "{{ .str }}", "{{ $ | len }}", "b", "{{ .name }}", "{{ printf \"%T\" . }}"]
            [self.chance.below(6)];
        let (left, right) = (self.chance.pick(&["{{", "{{-", "{{"]), self.chance.pick(&["}}", "-}}", "}}"]));
        let list = self.chance.pick(LISTS);
        let map = self.chance.pick(MAPS);
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
                    let value = self.chance.pick(&[LISTS, MAPS, NOTHINGS, STRINGS, &["2.5", "true"]].concat());
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
                let field = self.chance.pick(&[
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
                ]);
                match self.chance.below(3) {
                    0 => format!("{text}{{{{ {field} }}}}{{{{ upper {field} }}}}"),
                    1 => format!("{text}{{{{ {field} }}}}"),
                    _ => format!("{{{{ typeOf {field} }}}}{{{{ default 5 {field} }}}}"),
                }
            }
            "{{parse}}" => {
                let source = self.chance.pick(&[
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
                ]);
                format!("{text}{source}{more}")
            }
            _ => format!("[{{{{ {} }}}}]{text}", self.chance.pick(NOTHINGS)),
        }
    }
}
