//! Templates by chance: each function, method and action, with every kind of argument.

mod actions;
mod kinds;
mod literals;
mod methods;
mod mutation;
mod pools;
mod special;
mod uncertain;
mod values;

use soll_template::{Param, Signature, signatures};

pub(crate) use kinds::Kind;

use crate::oracle::Inventory;
use actions::ACTIONS;
use pools::*;
use soll_compare::Random;

/// One template with its values, and what it is about.
pub(crate) struct Case {
    pub(crate) template: String,
    /// In JSON.
    pub(crate) values: String,
    /// The function, method or action that it was made for.
    pub(crate) subject: Subject,
    /// Kinds of the arguments that the subject got.
    pub(crate) kinds: Vec<Kind>,
}

/// What cases are made for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    Action(&'static str),
    Function(&'static str),
    /// A type and its method.
    Method(String, String),
    /// Whatever it was about, it is broken.
    Mutation,
}

impl Subject {
    /// Whether one call takes a good part of a second.
    pub(crate) fn is_slow(&self) -> bool {
        matches!(self, Self::Function("genCA" | "genSelfSignedCert" | "genSignedCert" | "bcrypt" | "derivePassword"))
    }

    /// Whether there is anything to be given.
    pub(crate) fn takes_arguments(&self) -> bool {
        match self {
            Self::Function(name) => {
                let found = signatures().into_iter().find(|signature| signature.name == *name);
                found.is_some_and(|signature| !signature.params.is_empty() || signature.variadic.is_some())
            }
            Self::Action(_) | Self::Method(..) | Self::Mutation => false,
        }
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Action(name) | Self::Function(name) => f.write_str(name),
            Self::Method(receiver, name) => write!(f, "{receiver}.{name}"),
            Self::Mutation => f.write_str("(broken)"),
        }
    }
}

pub(crate) struct Generator {
    /// Calls around.
    depth: usize,
    chance: Random,
    signatures: Vec<Signature>,
    inventory: Inventory,
    /// The values of the case.
    values: soll_yaml::Value,
    /// Only texts in UTF-8, now: in names and layouts other bytes are not kept (see COMPATIBILITY.md).
    utf8: bool,
}

impl Generator {
    pub(crate) fn new(seed: u64, inventory: Inventory) -> Self {
        let values = soll_yaml::Value::map();
        Self { depth: 0, chance: Random::new(seed), signatures: signatures(), inventory, values, utf8: false }
    }

    /// Everything that cases are made for.
    pub(crate) fn subjects(&self) -> Vec<Subject> {
        let functions = self.signatures.iter().map(|signature| Subject::Function(signature.name));
        let actions = ACTIONS.iter().map(|action| Subject::Action(action));
        functions.chain(actions).chain(methods::subjects(&self.inventory)).collect()
    }

    /// One of them, each as likely as the other.
    pub(crate) fn subject<'s>(&mut self, among: &'s [Subject]) -> &'s Subject {
        &among[self.chance.below(among.len())]
    }

    /// A case, of which one in ten is broken somewhere.
    pub(crate) fn case(&mut self, subject: &Subject) -> Case {
        let values = self.some_values();
        self.utf8 = false;
        self.values = soll_yaml::parse_json(values.as_bytes()).unwrap();
        let template = match subject {
            Subject::Function(name) => {
                let call = self.call(name);
                if is_statement(&call) { call } else { self.around(&call, name) }
            }
            Subject::Action(action) => self.action(action),
            Subject::Method(receiver, name) => {
                let call = self.method(receiver, name);
                self.around(&call, name)
            }
            Subject::Mutation => String::new(),
        };
        let slow = subject.is_slow();
        if !slow && self.chance.percent(9) {
            let template = self.mutated(&template);
            return Case { template, values, subject: Subject::Mutation, kinds: Vec::new() };
        }
        let kinds = self.kinds_in(&template, subject);
        Case { template, values, subject: subject.clone(), kinds }
    }

    /// An expression put to some use.
    fn around(&mut self, call: &str, name: &str) -> String {
        if matches!(name, "keys" | "values") {
            return format!("{{{{ {call} | toStrings | sortAlpha }}}}");
        }
        match self.chance.below(14) {
            0 => format!("{{{{ {call} | toJson }}}}"),
            1 => format!("{{{{ {call} | quote }}}}"),
            2 if !varies(name) => format!("{{{{ printf \"%v %T\" ({call}) ({call}) }}}}"),
            3 => format!("{{{{ $x := {call} }}}}{{{{ typeOf $x }}}}:{{{{ $x }}}}"),
            4 if !varies(name) => format!("{{{{ if {call} }}}}yes{{{{ else }}}}no{{{{ end }}}}{{{{ {call} }}}}"),
            5 => format!("{{{{- with {call} -}}}}[{{{{ . }}}}]{{{{ else }}}}none{{{{ end }}}}"),
            6 => format!("{{{{ {call} | toYaml | nindent 2 }}}}"),
            7 => format!("{{{{ {call} | toYamlPretty }}}}"),
            8 => format!("{{{{ toString ({call}) }}}}{{{{- /* end */ -}}}} "),
            _ => format!("a {{{{ {call} }}}} z"),
        }
    }

    /// A call of a function.
    fn call(&mut self, name: &str) -> String {
        self.utf8 |= name.contains("Date")
            || name.contains("date")
            || name.contains("semver")
            || matches!(name, "include" | "set" | "dict" | "pluck");
        let signature = *self.signatures.iter().find(|signature| signature.name == name).unwrap();
        let Signature { name, params, variadic } = signature;
        // Arguments of every kind come to every function.
        let plain = self.chance.percent(14) && (!params.is_empty() || variadic.is_some());
        if plain && special::only_special(name) {
            return self.misfit_call(&signature);
        }
        if !plain {
            if let Some(certain) = self.uncertain(name) {
                return certain;
            }
            if let Some(special) = self.special(name) {
                return special;
            }
        }
        let mut count = params.len();
        if variadic.is_some() {
            count += [0, 1, 1, 2, 2, 3][self.chance.below(6)];
        }
        if self.chance.percent(2) {
            count = self.chance.below(count + 2);
        }
        let odd = if plain && count > 0 { Some(self.chance.below(count)) } else { None };
        let mut arguments = Vec::new();
        for index in 0..count {
            let param = params.get(index).copied().or(variadic).unwrap_or(Param::Any);
            arguments.push(if Some(index) == odd { self.any_kind(param) } else { self.argument(param) });
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

    /// A call that must not be made with whatever there is: one argument is of a kind that is refused, or that decides
    /// nothing.
    fn misfit_call(&mut self, signature: &Signature) -> String {
        let Signature { name, params, variadic } = *signature;
        let params: Vec<Param> = params.iter().copied().chain(variadic).collect();
        let odd = self.chance.below(params.len().max(1));
        let mut text = name.to_owned();
        for (index, param) in params.iter().enumerate() {
            let argument = match param {
                Param::Any => match self.harmless(name) {
                    Some(call) => return call,
                    None => self.any_kind(*param),
                },
                _ if index == odd => self.misfit(*param),
                _ => self.argument(*param),
            };
            text = format!("{text} {argument}");
        }
        text
    }

    /// An argument of a kind that is not asked for.
    fn misfit(&mut self, param: Param) -> String {
        let fits = match param {
            Param::Str => Kind::Text,
            Param::Int | Param::Uint32 => Kind::Int,
            Param::Float => Kind::Float,
            Param::Bool => Kind::Bool,
            Param::Map => Kind::Map,
            Param::List => Kind::List,
            Param::Any | Param::Reflect | Param::Named(_) => Kind::Other,
        };
        loop {
            let text = self.any_kind(param);
            let kind = self.kind_of_text(&text);
            // A literal such as `3.0` is an integer too.
            let is_integer = fits == Kind::Int && kind == Kind::Float;
            // Nothing is a list or a map that is nil.
            let is_nil = matches!(kind, Kind::Nil | Kind::Missing) && matches!(fits, Kind::List | Kind::Map);
            if kind != fits && kind != Kind::Other && !is_integer && !is_nil {
                return text;
            }
        }
    }

    fn argument(&mut self, param: Param) -> String {
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
                Param::Float | Param::Uint32 | Param::Named(_) => &[],
            };
            if !names.is_empty() {
                let name = self.chance.pick(names).to_owned();
                self.depth += 1;
                let inner = self.call(&name);
                self.depth -= 1;
                return format!("({inner})");
            }
        }
        match param {
            Param::Str => self.string(),
            Param::Int => self.small(),
            Param::Uint32 => self.chance.below(9).to_string(),
            Param::Float => self.chance.pick(&[".float", "0.5", "0.1", "1", "2.25"]).to_owned(),
            Param::Bool => self.boolean(),
            Param::Map => self.map(),
            Param::List => self.list(),
            Param::Named(name) => self.named(name),
            Param::Any | Param::Reflect => self.anything(),
        }
    }

    /// An argument of any kind, whatever is asked for.
    fn any_kind(&mut self, param: Param) -> String {
        let small = self.small();
        match self.chance.below(10) {
            0 => self.chance.pick(&["nil", ".none", "(.none)", "(first list)"]).to_owned(),
            1 => self.chance.pick(&[".nope", ".map.nope", "(.nope)", "(.nope).x"]).to_owned(),
            2 => self.boolean(),
            // Large counts would run for ever.
            3..=4 if param == Param::Int => self.chance.pick(&[&*small, ".float", "2.5", "(float64 3)"]).to_owned(),
            3 => self.integer(),
            4 => self.real(),
            5 => self.string(),
            6 => self.list(),
            7 => self.map(),
            8 => self.chance.pick(TIMES).to_owned(),
            _ => self.chance.pick(OTHERS).to_owned(),
        }
    }

    fn anything(&mut self) -> String {
        match self.chance.below(24) {
            0..=6 => self.string(),
            7..=9 => self.integer(),
            10..=11 => self.real(),
            12..=14 => self.list(),
            15..=17 => self.map(),
            18..=19 => self.boolean(),
            20..=21 => self.chance.pick(NOTHINGS).to_owned(),
            22 => self.chance.pick(OTHERS).to_owned(),
            _ => self.chance.pick(TIMES).to_owned(),
        }
    }
}

/// Whether a call brings its own actions.
fn is_statement(call: &str) -> bool {
    call.starts_with("{{")
}

/// Whether two calls give two results.
fn varies(name: &str) -> bool {
    name.starts_with("gen") || name.starts_with("rand") || matches!(name, "uuidv4" | "shuffle" | "bcrypt" | "htpasswd")
}
