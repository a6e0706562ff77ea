//! Whether a CEL rule fits the schema that it is about: names that there are, operands of one type, an answer of the right one.
//!
//! What the schema does not tell is [`Type::Dynamic`] and fits everywhere. Calls of functions with known names are taken as
//! they are: what they answer is known, not what they want.

use kube_cel::cel::Program;
use kube_cel::cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue, operators};
use soll_yaml::{Map, Value};

/// What an expression answers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Type<'s> {
    Dynamic,
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Duration,
    Timestamp,
    Null,
    List(Box<Self>),
    Map(Box<Self>),
    /// The fields that a schema names; of the root of an object only a part of its metadata.
    Object {
        schema: &'s Value,
        is_root: bool,
    },
    Optional(Box<Self>),
}

impl std::fmt::Display for Type<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dynamic => f.write_str("dyn"),
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Uint => f.write_str("uint"),
            Self::Double => f.write_str("double"),
            Self::String => f.write_str("string"),
            Self::Bytes => f.write_str("bytes"),
            Self::Duration => f.write_str("duration"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Null => f.write_str("null"),
            Self::List(of) => write!(f, "list({of})"),
            Self::Map(of) => write!(f, "map(string, {of})"),
            Self::Object { .. } => f.write_str("object"),
            Self::Optional(of) => write!(f, "optional_type({of})"),
        }
    }
}

impl<'s> Type<'s> {
    /// The type of the values that a schema describes; none if rules cannot see them.
    pub(crate) fn of(schema: &'s Value, is_root: bool) -> Option<Self> {
        let flag = |field: &str| schema.get(field).and_then(Value::as_bool) == Some(true);
        if flag("x-kubernetes-int-or-string") {
            return Some(Self::Dynamic);
        }
        let is_root = is_root || flag("x-kubernetes-embedded-resource");
        Some(match (schema.lookup_str(&["type"])?, schema.lookup_str(&["format"]).unwrap_or_default()) {
            ("array", _) => Self::List(Box::new(Self::of(schema.get("items")?, false)?)),
            ("object", _) => match schema.get("additionalProperties").filter(|extra| extra.as_map().is_some()) {
                Some(extra) => Self::Map(Box::new(Self::of(extra, false)?)),
                None => Self::Object { schema, is_root },
            },
            ("string", "byte") => Self::Bytes,
            ("string", "duration") => Self::Duration,
            ("string", "date" | "date-time") => Self::Timestamp,
            ("string", _) => Self::String,
            ("boolean", _) => Self::Bool,
            ("number", _) => Self::Double,
            ("integer", _) => Self::Int,
            _ => return None,
        })
    }

    fn is_dynamic(&self) -> bool {
        matches!(self, Self::Dynamic)
    }

    /// Whether values of the two can be compared, or stand for each other.
    fn fits(&self, other: &Self) -> bool {
        let is_number = |of: &Self| matches!(of, Self::Int | Self::Uint | Self::Double);
        match (self, other) {
            (Self::Dynamic, _) | (_, Self::Dynamic) => true,
            // Whether something is nothing may be asked of all but plain values.
            (Self::Null, other) | (other, Self::Null) => {
                !is_number(other) && !matches!(other, Self::Bool | Self::String | Self::Bytes)
            }
            (Self::List(a), Self::List(b)) | (Self::Map(a), Self::Map(b)) | (Self::Optional(a), Self::Optional(b)) => {
                a.fits(b)
            }
            (Self::Object { .. }, Self::Object { .. } | Self::Map(_)) | (Self::Map(_), Self::Object { .. }) => true,
            (a, b) => a == b,
        }
    }

    /// A field of an object, by the name that rules use.
    fn field(&self, name: &str) -> Option<Self> {
        match self {
            Self::Dynamic => Some(Self::Dynamic),
            Self::Map(of) => Some((**of).clone()),
            Self::Optional(of) => of.field(name).map(|of| Self::Optional(Box::new(of))),
            Self::Object { schema, is_root } => {
                if *is_root {
                    match name {
                        "apiVersion" | "kind" => return Some(Self::String),
                        // Of metadata only its names can be seen.
                        "metadata" => return Some(Self::Object { schema: metadata(), is_root: false }),
                        _ => {}
                    }
                }
                let properties = schema.get("properties").and_then(Value::as_map);
                let mut properties = properties.into_iter().flat_map(Map::iter);
                let property = properties.find(|property| escaped(&property.key).as_deref() == Some(name))?;
                Self::of(&property.value, false)
            }
            _ => None,
        }
    }
}

/// The part of the metadata that rules see.
fn metadata() -> &'static Value {
    static METADATA: std::sync::LazyLock<Value> = std::sync::LazyLock::new(|| {
        let schema = br#"{"type":"object","properties":{"name":{"type":"string"},"generateName":{"type":"string"}}}"#;
        soll_yaml::parse_json(schema).expect("it is JSON")
    });
    &METADATA
}

/// The name by which rules know a field; none if they cannot name it.
pub(crate) fn escaped(name: &str) -> Option<String> {
    const WORDS: [&str; 20] = [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
    ];
    let mut letters = name.chars();
    let begins = letters.next().is_some_and(|letter| letter.is_ascii_alphabetic() || letter == '_');
    if !begins || !letters.all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '-' | '/')) {
        return None;
    }
    if WORDS.contains(&name) || name == "while" {
        return Some(format!("__{name}__"));
    }
    let escaped = name.replace("__", "__underscores__");
    Some(escaped.replace('.', "__dot__").replace('-', "__dash__").replace('/', "__slash__"))
}

/// The variables of a rule, and what they hold.
pub(crate) type Scope<'s> = Vec<(String, Type<'s>)>;

/// What a rule answers, and whether it looks at the older object.
///
/// # Errors
/// Says what is wrong with it.
pub(crate) fn check<'s>(source: &str, scope: Scope<'s>) -> Result<(Type<'s>, bool), String> {
    let program = Program::compile(source).map_err(|error| error.to_string())?;
    let mut checker = Checker { scope, uses_old: false };
    let answers = checker.infer(program.expression())?;
    Ok((answers, checker.uses_old))
}

struct Checker<'s> {
    scope: Scope<'s>,
    uses_old: bool,
}

type Inferred<'s> = Result<Type<'s>, String>;

impl<'s> Checker<'s> {
    fn infer(&mut self, expression: &IdedExpr) -> Inferred<'s> {
        match &expression.expr {
            Expr::Unspecified => Ok(Type::Dynamic),
            Expr::Literal(literal) => Ok(match literal {
                LiteralValue::Boolean(_) => Type::Bool,
                LiteralValue::Bytes(_) => Type::Bytes,
                LiteralValue::Double(_) => Type::Double,
                LiteralValue::Int(_) => Type::Int,
                LiteralValue::Null => Type::Null,
                LiteralValue::String(_) => Type::String,
                LiteralValue::UInt(_) => Type::Uint,
            }),
            Expr::Ident(name) => self.variable(name),
            Expr::Select(select) => {
                if let Some(name) = qualified(&select.operand) {
                    // `optional.none` and the like are names of functions.
                    if LIBRARIES.contains(&name.as_str()) && !self.is_known(&name) {
                        return Ok(Type::Dynamic);
                    }
                }
                let operand = self.infer(&select.operand)?;
                let field = match operand.field(&select.field) {
                    Some(field) => field,
                    None if matches!(operand, Type::Object { .. } | Type::Optional(_)) => {
                        return Err(format!("undefined field '{}'", select.field));
                    }
                    None => return Err(format!("type '{operand}' does not support field selection")),
                };
                Ok(if select.test { Type::Bool } else { field })
            }
            Expr::List(list) => {
                let types: Vec<Type<'s>> =
                    list.elements.iter().map(|element| self.infer(element)).collect::<Result<_, _>>()?;
                Ok(Type::List(Box::new(common(types))))
            }
            Expr::Map(map) => {
                let mut types = Vec::new();
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.infer(&entry.key)?;
                        types.push(self.infer(&entry.value)?);
                    }
                }
                Ok(Type::Map(Box::new(common(types))))
            }
            // Rules know no types to make values of.
            Expr::Struct(value) => Err(format!("undeclared reference to '{}' (in container '')", value.type_name)),
            Expr::Comprehension(comprehension) => {
                let range = self.infer(&comprehension.iter_range)?;
                let has_second = comprehension.iter_var2.is_some();
                let (first, second) = match range {
                    Type::Dynamic => (Type::Dynamic, Type::Dynamic),
                    Type::List(of) if has_second => (Type::Int, *of),
                    Type::List(of) => (*of, Type::Dynamic),
                    Type::Map(of) => (Type::String, *of),
                    Type::Object { .. } => (Type::String, Type::Dynamic),
                    other => {
                        return Err(format!(
                            "expression of type '{other}' cannot be range of a comprehension (must be list, map, or dynamic)"
                        ));
                    }
                };
                let depth = self.scope.len();
                let start = self.infer(&comprehension.accu_init)?;
                // An empty list says nothing of its items.
                let start = if matches!(&start, Type::List(of) | Type::Map(of) if of.is_dynamic()) {
                    Type::Dynamic
                } else {
                    start
                };
                self.scope.push((comprehension.accu_var.clone(), start));
                self.scope.push((comprehension.iter_var.clone(), first));
                if let Some(name) = &comprehension.iter_var2 {
                    self.scope.push((name.clone(), second));
                }
                self.infer(&comprehension.loop_cond)?;
                let step = self.infer(&comprehension.loop_step)?;
                self.scope.truncate(depth);
                self.scope.push((comprehension.accu_var.clone(), step));
                let result = self.infer(&comprehension.result);
                self.scope.truncate(depth);
                result
            }
            Expr::Call(call) => {
                let mut operands = Vec::new();
                if let Some(target) = &call.target {
                    let is_library = qualified(target)
                        .is_some_and(|name| LIBRARIES.contains(&name.as_str()) && !self.is_known(&name));
                    if !is_library {
                        operands.push(self.infer(target)?);
                    }
                }
                for argument in &call.args {
                    operands.push(self.infer(argument)?);
                }
                self.call(&call.func_name, &operands)
            }
        }
    }

    fn is_known(&self, name: &str) -> bool {
        self.scope.iter().any(|(known, _)| known == name)
    }

    fn variable(&mut self, name: &str) -> Inferred<'s> {
        self.uses_old |= name == "oldSelf";
        let known = self.scope.iter().rev().find(|(known, _)| known == name).map(|(_, of)| of.clone());
        known
            .or_else(|| TYPES.contains(&name).then_some(Type::Dynamic))
            .ok_or_else(|| format!("undeclared reference to '{name}' (in container '')"))
    }

    fn call(&self, name: &str, operands: &[Type<'s>]) -> Inferred<'s> {
        use Type::{Bool, Bytes, Double, Duration, Dynamic, Int, List, Map, Optional, String, Timestamp, Uint};
        let none = || {
            let shown: Vec<std::string::String> = operands.iter().map(ToString::to_string).collect();
            Err(format!("found no matching overload for '{name}' applied to '({})'", shown.join(", ")))
        };
        let boolean = |of: &Type<'_>| matches!(of, Dynamic | Bool);
        match (name, operands) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR, [a, b]) => {
                if boolean(a) && boolean(b) {
                    Ok(Bool)
                } else {
                    none()
                }
            }
            (operators::LOGICAL_NOT, [a]) => {
                if boolean(a) {
                    Ok(Bool)
                } else {
                    none()
                }
            }
            (operators::NOT_STRICTLY_FALSE, _) => Ok(Bool),
            (operators::CONDITIONAL, [condition, a, b]) => {
                if boolean(condition) && a.fits(b) {
                    Ok(common(vec![a.clone(), b.clone()]))
                } else {
                    none()
                }
            }
            (operators::EQUALS | operators::NOT_EQUALS, [a, b]) => {
                if a.fits(b) {
                    Ok(Bool)
                } else {
                    none()
                }
            }
            (operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS, [a, b]) => {
                let ordered = |of: &Type<'_>| {
                    matches!(of, Dynamic | Bool | Int | Uint | Double | String | Bytes | Duration | Timestamp)
                };
                let number = |of: &Type<'_>| matches!(of, Int | Uint | Double);
                let fits = a.fits(b) || number(a) && number(b);
                if ordered(a) && ordered(b) && fits { Ok(Bool) } else { none() }
            }
            (operators::ADD, [a, b]) => match (a, b) {
                (Dynamic, other) | (other, Dynamic) => {
                    let may = !matches!(other, Bool | Type::Null | Map(_) | Type::Object { .. });
                    if may { Ok(Dynamic) } else { none() }
                }
                (Timestamp, Duration) | (Duration, Timestamp) => Ok(Timestamp),
                (List(_), List(_)) if a.fits(b) => Ok(common(vec![a.clone(), b.clone()])),
                (Int | Uint | Double | String | Bytes | Duration, _) if a == b => Ok(a.clone()),
                _ => none(),
            },
            (operators::SUBSTRACT, [a, b]) => match (a, b) {
                (Dynamic, _) | (_, Dynamic) => Ok(Dynamic),
                (Timestamp, Timestamp) => Ok(Duration),
                (Timestamp, Duration) => Ok(Timestamp),
                (Int | Uint | Double | Duration, _) if a == b => Ok(a.clone()),
                _ => none(),
            },
            (operators::MULTIPLY | operators::DIVIDE, [a, b]) => match (a, b) {
                (Dynamic, _) | (_, Dynamic) => Ok(Dynamic),
                (Int | Uint | Double, _) if a == b => Ok(a.clone()),
                _ => none(),
            },
            (operators::MODULO, [a, b]) => match (a, b) {
                (Dynamic, _) | (_, Dynamic) => Ok(Dynamic),
                (Int | Uint, _) if a == b => Ok(a.clone()),
                _ => none(),
            },
            (operators::NEGATE, [a]) => {
                if matches!(a, Dynamic | Int | Double) {
                    Ok(a.clone())
                } else {
                    none()
                }
            }
            (operators::INDEX, [of, by]) => match of {
                Dynamic | Type::Object { .. } => Ok(Dynamic),
                List(item) if matches!(by, Dynamic | Int | Uint | Double) => Ok((**item).clone()),
                Map(value) if String.fits(by) => Ok((**value).clone()),
                _ => none(),
            },
            (operators::OPT_INDEX | operators::OPT_SELECT, _) => Ok(Dynamic),
            (operators::IN, [what, within]) => match within {
                Dynamic | Type::Object { .. } => Ok(Bool),
                List(item) if item.fits(what) => Ok(Bool),
                Map(_) if String.fits(what) => Ok(Bool),
                _ => none(),
            },
            ("size", [_]) => Ok(Int),
            ("orValue", [Optional(of), other]) => {
                if of.fits(other) {
                    Ok(other.clone())
                } else {
                    none()
                }
            }
            _ if BOOLEAN.contains(&name) => Ok(Bool),
            _ if TEXT.contains(&name) => Ok(String),
            _ if NUMBER.contains(&name) => Ok(Int),
            _ if FUNCTIONS.contains(&name) => Ok(Dynamic),
            _ => Err(format!("undeclared reference to '{name}' (in container '')")),
        }
    }
}

/// The name of an expression that is nothing but one.
fn qualified(expression: &IdedExpr) -> Option<String> {
    match &expression.expr {
        Expr::Ident(name) => Some(name.clone()),
        _ => None,
    }
}

/// The one type of some values.
fn common(types: Vec<Type<'_>>) -> Type<'_> {
    let mut types = types.into_iter().filter(|of| !matches!(of, Type::Null));
    let Some(first) = types.next() else { return Type::Dynamic };
    if types.all(|other| other == first) { first } else { Type::Dynamic }
}

/// Names of types, which are values.
const TYPES: &[&str] = &[
    "bool",
    "bytes",
    "double",
    "duration",
    "dyn",
    "int",
    "list",
    "map",
    "null_type",
    "optional_type",
    "string",
    "timestamp",
    "type",
    "uint",
];

/// What stands before the names of some functions.
const LIBRARIES: &[&str] =
    &["sets", "strings", "lists", "math", "optional", "ip", "format", "base64", "jsonpatch", "cel"];

const BOOLEAN: &[&str] = &[
    "bool",
    "contains",
    "containsCIDR",
    "containsIP",
    "endsWith",
    "hasValue",
    "isCIDR",
    "isCanonical",
    "isGlobalUnicast",
    "isGreaterThan",
    "isIP",
    "isInteger",
    "isLessThan",
    "isLinkLocalMulticast",
    "isLinkLocalUnicast",
    "isLoopback",
    "isQuantity",
    "isSemver",
    "isSorted",
    "isURL",
    "isUnspecified",
    "matches",
    "sets.contains",
    "sets.equivalent",
    "sets.intersects",
    "equivalent",
    "intersects",
    "startsWith",
];

const TEXT: &[&str] = &[
    "charAt",
    "getEscapedPath",
    "getHost",
    "getHostname",
    "getPort",
    "getScheme",
    "join",
    "lowerAscii",
    "quote",
    "replace",
    "string",
    "strings.quote",
    "substring",
    "trim",
    "upperAscii",
];

const NUMBER: &[&str] = &[
    "asInteger",
    "compareTo",
    "family",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "int",
    "prefixLength",
    "sign",
];

/// Functions whose answers may be of several types, or of types of their own.
const FUNCTIONS: &[&str] = &[
    "abs",
    "add",
    "and",
    "asApproximateFloat",
    "bind",
    "bitAnd",
    "bitNot",
    "bitOr",
    "bitShiftLeft",
    "bitShiftRight",
    "bitXor",
    "bytes",
    "ceil",
    "cidr",
    "decode",
    "distinct",
    "double",
    "duration",
    "dyn",
    "encode",
    "escapeKey",
    "find",
    "findAll",
    "first",
    "flatten",
    "floor",
    "format",
    "getQuery",
    "greatest",
    "indexOf",
    "ip",
    "isFinite",
    "isInf",
    "isNaN",
    "last",
    "lastIndexOf",
    "least",
    "major",
    "masked",
    "max",
    "min",
    "minor",
    "named",
    "none",
    "of",
    "ofNonZeroValue",
    "optFlatMap",
    "optMap",
    "or",
    "orValue",
    "patch",
    "quantity",
    "range",
    "reverse",
    "round",
    "semver",
    "slice",
    "sort",
    "sortBy",
    "split",
    "sqrt",
    "sub",
    "sum",
    "timestamp",
    "transformList",
    "transformMap",
    "transformMapEntry",
    "trunc",
    "type",
    "uint",
    "unwrap",
    "unwrapOpt",
    "url",
    "validate",
    "value",
    "dns1123Label",
    "dns1123Subdomain",
    "dns1035Label",
    "qualifiedName",
    "dns1123LabelPrefix",
    "dns1123SubdomainPrefix",
    "dns1035LabelPrefix",
    "labelValue",
    "uri",
    "uuid",
    "byte",
    "date",
    "datetime",
];

#[cfg(test)]
mod tests {
    use super::*;
    use soll_yaml::parse_json;

    fn answers(rule: &str) -> String {
        let schema = br#"{"type":"object","properties":{"n":{"type":"integer"},"s":{"type":"string"},"my_name":{"type":"string"},
            "x-y":{"type":"boolean"},"namespace":{"type":"string"},"free":{"x-kubernetes-preserve-unknown-fields":true},
            "l":{"type":"array","items":{"type":"object","properties":{"k":{"type":"string"}}}},
            "m":{"type":"object","additionalProperties":{"type":"integer"}},"p":{"x-kubernetes-int-or-string":true}}}"#;
        let schema = parse_json(schema).expect("JSON");
        let of = Type::of(&schema, false).expect("an object");
        let scope = vec![("self".to_owned(), of.clone()), ("oldSelf".to_owned(), of)];
        check(rule, scope)
            .map_or_else(|error| error, |(of, uses_old)| format!("{of}{}", if uses_old { " old" } else { "" }))
    }

    #[test]
    fn rules_that_fit_answer_with_their_type() {
        for (rule, expected) in [
            ("self.n > 0 && self.s.startsWith('a')", "bool"),
            ("self.n == oldSelf.n", "bool old"),
            ("self.l.all(i, i.k != '') && self.l.exists_one(i, i.k == 'a')", "bool"),
            ("self.l.map(i, i.k).size() == size(self.l)", "bool"),
            ("self.l.filter(i, i.k == 'a').size() > 0", "bool"),
            ("has(self.s) ? self.s : 'x' + self.my_name", "string"),
            ("self.m.all(key, self.m[key] > 1) && 'a' in self.m", "bool"),
            ("self.p == 1 || self.p == 'a'", "bool"),
            ("self.x__dash__y && self.__namespace__ == ''", "bool"),
            ("sets.contains(['a'], [self.s])", "bool"),
            ("quantity(self.s).isGreaterThan(quantity('1'))", "bool"),
            ("isURL(self.s) && url(self.s).getHost() == 'a'", "bool"),
            ("duration('1s') < duration('2s')", "bool"),
            ("self.s.matches('^a') == (self.n in [1, 2])", "bool"),
        ] {
            assert_eq!(answers(rule), expected, "{rule}");
        }
    }

    #[test]
    fn rules_that_do_not_fit_say_why() {
        for (rule, expected) in [
            ("self.none > 0", "undefined field 'none'"),
            ("self.free == 1", "undefined field 'free'"),
            ("other.n > 0", "undeclared reference to 'other' (in container '')"),
            ("self.n.none", "type 'int' does not support field selection"),
            ("self.n == 'a'", "found no matching overload for '_==_' applied to '(int, string)'"),
            ("self.n && true", "found no matching overload for '_&&_' applied to '(int, bool)'"),
            ("self.s + 1 == 'a1'", "found no matching overload for '_+_' applied to '(string, int)'"),
            ("self.l.all(i, i.none == '')", "undefined field 'none'"),
            (
                "self.n.all(i, true)",
                "expression of type 'int' cannot be range of a comprehension (must be list, map, or dynamic)",
            ),
            ("frobnicate(self.n)", "undeclared reference to 'frobnicate' (in container '')"),
        ] {
            assert_eq!(answers(rule), expected, "{rule}");
        }
        assert!(answers("self.n >").contains("Syntax error"), "{}", answers("self.n >"));
    }

    #[test]
    fn names_are_escaped_as_kubernetes_does() {
        assert_eq!(escaped("my_name").as_deref(), Some("my_name"));
        assert_eq!(escaped("a__b.c-d/e").as_deref(), Some("a__underscores__b__dot__c__dash__d__slash__e"));
        assert_eq!(escaped("in").as_deref(), Some("__in__"));
        assert_eq!(escaped("1a"), None);
    }
}
