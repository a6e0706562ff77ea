//! The CEL rules of custom resources (`x-kubernetes-validations`): what they say of an object, and of its change.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use kube_cel::KubeCelExt as _;
use kube_cel::cel::objects::{Key, Map as CelMap, OptionalValue};
use kube_cel::cel::{Context, Program, Value as Cel};
use soll_yaml::{Data, Map, Value, to_json};

use super::cost;
use super::typing::escaped;
use crate::refusal::Cause;

/// The rules of one version, compiled. A version without rules costs nothing.
pub(crate) struct Rules {
    /// By their text.
    programs: HashMap<String, Compiled>,
}

struct Compiled {
    program: Program,
    uses_old: bool,
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} rules", self.programs.len())
    }
}

impl Rules {
    /// Compiles what stands in a schema. A rule that is none was refused with its definition.
    pub(crate) fn of(openapi: &Value) -> Self {
        let mut programs = HashMap::new();
        compile_all(openapi, &mut programs);
        Self { programs }
    }

    /// Says whether there are any.
    pub(crate) fn are_there(&self) -> bool {
        !self.programs.is_empty()
    }

    /// What the rules say against an object, or against its change.
    pub(crate) fn check(&self, openapi: &Value, old: Option<&Value>, object: &Value) -> Vec<Cause> {
        if !self.are_there() {
            return Vec::new();
        }
        let library = Context::default().with_all();
        let mut walk = Walk { rules: self, library: &library, causes: Vec::new(), left: cost::OBJECT };
        walk.value(openapi, old, object, "", true);
        walk.causes
    }
}

fn compile_all(schema: &Value, programs: &mut HashMap<String, Compiled>) {
    for rule in rules(schema) {
        for field in ["rule", "messageExpression"] {
            if let Some(text) = rule.lookup_str(&[field])
                && let Ok(program) = Program::compile(text)
            {
                let uses_old = program.references().has_variable("oldSelf");
                programs.insert(text.to_owned(), Compiled { program, uses_old });
            }
        }
    }
    match (schema.as_map(), schema.as_list()) {
        (Some(map), _) => map.iter().for_each(|entry| compile_all(&entry.value, programs)),
        (_, Some(list)) => list.iter().for_each(|item| compile_all(item, programs)),
        _ => {}
    }
}

fn rules(schema: &Value) -> &[Value] {
    schema.get("x-kubernetes-validations").and_then(Value::as_list).unwrap_or_default()
}

/// A value that a rule is about, and what it was, as they are and as rules see them.
struct Change<'c> {
    own: &'c Cel,
    old: Option<&'c Cel>,
    was: Option<&'c Value>,
    is: &'c Value,
}

/// Goes through an object along its schema.
struct Walk<'w> {
    rules: &'w Rules,
    /// The functions that rules may call.
    library: &'w Context<'w>,
    causes: Vec<Cause>,
    /// What rules may still cost; with nothing left no more are run.
    left: u64,
}

impl Walk<'_> {
    fn value(&mut self, schema: &Value, old: Option<&Value>, value: &Value, path: &str, is_root: bool) {
        if value.is_null() {
            return;
        }
        let old = old.filter(|old| !old.is_null());
        if !rules(schema).is_empty() {
            let own = self.cel(schema, value, is_root);
            let before = old.map(|old| self.cel(schema, old, is_root));
            for rule in rules(schema) {
                let change = Change { own: &own, old: before.as_ref(), was: old, is: value };
                self.rule(schema, rule, &change, path);
            }
        }
        if let Some(map) = value.as_map() {
            self.map(schema, old, map, path);
        } else if let (Some(list), Some(items)) = (value.as_list(), schema.get("items")) {
            for (index, item) in list.iter().enumerate() {
                let before = old.and_then(|old| same_item(schema, old, item));
                self.value(items, before, item, &format!("{path}[{index}]"), false);
            }
        }
    }

    fn map(&mut self, schema: &Value, old: Option<&Value>, map: &Map, path: &str) {
        // The parts of an atomic map are not known again.
        let old = old.filter(|_| schema.lookup_str(&["x-kubernetes-map-type"]) != Some("atomic"));
        let extra = schema.get("additionalProperties").filter(|extra| extra.as_map().is_some());
        for entry in map {
            let before = old.and_then(|old| old.get(&entry.key));
            if let Some(below) = schema.lookup(&["properties", &entry.key]) {
                let dot = if path.is_empty() { "" } else { "." };
                self.value(below, before, &entry.value, &format!("{path}{dot}{}", entry.key), false);
            } else if let Some(extra) = extra {
                self.value(extra, before, &entry.value, &format!("{path}[{}]", entry.key), false);
            }
        }
    }

    fn rule(&mut self, schema: &Value, rule: &Value, change: &Change<'_>, path: &str) {
        let Change { own, old, was, is: value } = *change;
        // What a rule said against what is as it was, is tolerated.
        let is_as_before = was == Some(value);
        let text = |field: &str| rule.lookup_str(&[field]).unwrap_or_default();
        let Some(Compiled { program, uses_old }) = self.rules.programs.get(text("rule")) else { return };
        let is_optional = rule.get("optionalOldSelf").and_then(Value::as_bool) == Some(true);
        if *uses_old && old.is_none() && !is_optional || is_as_before && !uses_old {
            return;
        }
        if !self.can_pay(schema, program, change, rule, path) {
            return;
        }
        let scope = || {
            let mut scope = self.library.new_inner_scope();
            scope.add_variable_from_value("self", own.clone());
            match old {
                _ if is_optional => {
                    let old = old.cloned().map_or_else(OptionalValue::none, OptionalValue::of);
                    scope.add_variable_from_value("oldSelf", Cel::Opaque(Arc::new(old)));
                }
                Some(old) => scope.add_variable_from_value("oldSelf", old.clone()),
                None => {}
            }
            scope
        };
        let message = match program.execute(&scope()) {
            Ok(Cel::Bool(true)) => return,
            Ok(_) => {
                let is_payable =
                    |of: &&Compiled| cost::of_value(of.program.expression(), value, was, cost::CALL) <= cost::CALL;
                let expressed = self.rules.programs.get(text("messageExpression")).filter(is_payable);
                let expressed = expressed.and_then(|compiled| compiled.program.execute(&scope()).ok());
                let expressed = match expressed {
                    Some(Cel::String(message)) => message.trim().to_owned(),
                    _ => String::new(),
                };
                let written = text("message").trim();
                match (expressed.as_str(), written) {
                    (expressed, _) if !expressed.is_empty() && !expressed.contains(['\n', '\r']) => {
                        expressed.to_owned()
                    }
                    (_, "") => format!("failed rule: {}", text("rule").trim()),
                    (_, written) => written.to_owned(),
                }
            }
            Err(error) => {
                let mut why = error.to_string();
                if let Some(first) = why.get_mut(..1) {
                    first.make_ascii_lowercase();
                }
                let kind = match value.type_name() {
                    "map" => "object",
                    "list" => "array",
                    other => other,
                };
                let why = format!("{why} evaluating rule: {}", text("rule").trim());
                return self.causes.push(Cause::invalid(path, &format!("{kind:?}"), why));
            }
        };
        let is_plain = value.as_map().is_none() && value.as_list().is_none();
        let field = join(path, text("fieldPath"));
        self.causes.push(match text("reason") {
            "FieldValueForbidden" => Cause::forbidden(field, message),
            "FieldValueRequired" => Cause::required(field, &message),
            "FieldValueDuplicate" => Cause::duplicate(field, &to_json(value)),
            // Only plain values are shown.
            _ if is_plain => Cause::invalid(field, &to_json(value), message),
            _ => Cause { kind: "FieldValueInvalid", field, message: format!("Invalid value: {message}") },
        });
    }

    /// Whether a rule may be run; if not, it and all that follow are given up, which is said once.
    fn can_pay(&mut self, schema: &Value, program: &Program, change: &Change<'_>, rule: &Value, path: &str) -> bool {
        if self.left == 0 {
            return false;
        }
        let named = ["message", "rule"].into_iter().find_map(|field| rule.lookup_str(&[field])).unwrap_or_default();
        let cost = cost::of_value(program.expression(), change.is, change.was, cost::CALL);
        let why = if cost > cost::CALL {
            format!(
                "'operation cancelled: actual cost limit exceeded': no further validation rules will be run due to call cost exceeds \
                 limit for rule: {}",
                named.trim()
            )
        } else if cost > self.left {
            "validation failed due to running out of cost budget, no further validation rules will be run".to_owned()
        } else {
            self.left -= cost;
            return true;
        };
        self.left = 0;
        let of = schema.lookup_str(&["type"]).unwrap_or_default();
        self.causes.push(Cause::invalid(path, &format!("{of:?}"), why));
        false
    }

    /// A value as rules see it: with the fields that its schema names, under the names that rules know.
    fn cel(&self, schema: &Value, value: &Value, is_root: bool) -> Cel {
        let is_root = is_root || schema.get("x-kubernetes-embedded-resource").and_then(Value::as_bool) == Some(true);
        match &value.data {
            Data::Null => Cel::Null,
            Data::Bool(value) => Cel::Bool(*value),
            Data::Int(number) if schema.lookup_str(&["type"]) == Some("number") => Cel::Float(*number as f64),
            Data::Int(number) => Cel::Int(*number),
            Data::Float(number) => Cel::Float(*number),
            Data::Str(text) => self.text(schema, text),
            Data::List(items) => {
                let of = schema.get("items").cloned().unwrap_or_default();
                Cel::List(Arc::new(items.iter().map(|item| self.cel(&of, item, false)).collect()))
            }
            Data::Map(map) => {
                let mut fields = HashMap::new();
                let mut insert = |name: String, value: Cel| drop(fields.insert(Key::String(Arc::new(name)), value));
                let extra = schema.get("additionalProperties").filter(|extra| extra.as_map().is_some());
                for entry in map.iter() {
                    let property = schema.lookup(&["properties", &entry.key]);
                    match (property, extra, entry.key.as_str()) {
                        (_, _, "apiVersion" | "kind") if is_root => {
                            insert(entry.key.to_string(), self.cel(&Value::null(), &entry.value, false));
                        }
                        (_, _, "metadata") if is_root => insert("metadata".to_owned(), names_of(&entry.value)),
                        (Some(property), _, key) => {
                            if let Some(name) = escaped(key) {
                                insert(name, self.cel(property, &entry.value, false));
                            }
                        }
                        (None, Some(extra), key) => insert(key.to_owned(), self.cel(extra, &entry.value, false)),
                        // Rules do not see what the schema does not describe.
                        (None, None, _) => {}
                    }
                }
                Cel::Map(CelMap { map: Arc::new(fields) })
            }
        }
    }

    fn text(&self, schema: &Value, text: &str) -> Cel {
        static TIMESTAMP: LazyLock<Program> =
            LazyLock::new(|| Program::compile("timestamp(text)").expect("it is an expression"));
        static DURATION: LazyLock<Program> =
            LazyLock::new(|| Program::compile("duration(text)").expect("it is an expression"));
        let plain = || Cel::String(Arc::new(text.to_owned()));
        let read = |program: &Program, text: &str| {
            let mut scope = self.library.new_inner_scope();
            scope.add_variable_from_value("text", Cel::String(Arc::new(text.to_owned())));
            // A text that is none is refused by its format, not by rules.
            program.execute(&scope).unwrap_or_else(|_| plain())
        };
        match schema.lookup_str(&["format"]).filter(|_| schema.lookup_str(&["type"]) == Some("string")) {
            Some("date-time") => read(&TIMESTAMP, text),
            Some("date") => read(&TIMESTAMP, &format!("{text}T00:00:00Z")),
            Some("duration") => read(&DURATION, text),
            Some("byte") => match base64::engine::general_purpose::STANDARD.decode(text) {
                Ok(bytes) => Cel::Bytes(Arc::new(bytes)),
                Err(_) => plain(),
            },
            _ => plain(),
        }
    }
}

/// Of metadata rules see the names.
fn names_of(metadata: &Value) -> Cel {
    let names = ["name", "generateName"].into_iter().filter_map(|field| {
        let name = metadata.lookup_str(&[field])?;
        Some((Key::String(Arc::new(field.to_owned())), Cel::String(Arc::new(name.to_owned()))))
    });
    Cel::Map(CelMap { map: Arc::new(names.collect()) })
}

/// The item of an older list that has the keys of an item; only lists of maps know their items again.
fn same_item<'o>(schema: &Value, old: &'o Value, item: &Value) -> Option<&'o Value> {
    if schema.lookup_str(&["x-kubernetes-list-type"]) != Some("map") {
        return None;
    }
    let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_list).unwrap_or_default();
    let same = |other: &&Value| keys.iter().filter_map(Value::as_str).all(|key| other.get(key) == item.get(key));
    old.as_list()?.iter().find(same)
}

/// A path and what a rule names below it: `.a`, `['a.b']`.
fn join(path: &str, below: &str) -> String {
    let below = below.trim().replace("['", "[").replace("']", "]");
    let below = if path.is_empty() { below.trim_start_matches('.') } else { &below };
    format!("{path}{below}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use soll_yaml::parse_json;

    fn said(schema: &str, old: Option<&str>, object: &str) -> Vec<String> {
        let parse = |text: &str| parse_json(text.as_bytes()).expect("JSON");
        let schema = parse(schema);
        let old = old.map(parse);
        let causes = Rules::of(&schema).check(&schema, old.as_ref(), &parse(object));
        causes.iter().map(|cause| format!("{} {}", cause.field, cause.message)).collect()
    }

    #[test]
    fn rules_look_at_the_object_and_at_what_it_was() {
        let schema = r#"{"type":"object","properties":{"spec":{"type":"object","properties":{"a":{"type":"integer"},"my_name":{"type":"string"}},
            "x-kubernetes-validations":[{"rule":"self.a > 0","message":"a must be positive","fieldPath":".a"},
            {"rule":"self.my_name == oldSelf.my_name","reason":"FieldValueForbidden","messageExpression":"'keep ' + oldSelf.my_name"}]}}}"#;
        let good = r#"{"spec":{"a":1,"my_name":"x"}}"#;
        assert_eq!(said(schema, None, good), Vec::<String>::new());
        assert_eq!(
            said(schema, None, r#"{"spec":{"a":0,"my_name":"x"}}"#),
            ["spec.a Invalid value: a must be positive"]
        );
        assert_eq!(said(schema, Some(good), r#"{"spec":{"a":1,"my_name":"y"}}"#), ["spec Forbidden: keep x"]);
    }

    #[test]
    fn what_is_as_it_was_is_tolerated() {
        let schema = r#"{"type":"object","properties":{"l":{"type":"array","x-kubernetes-list-type":"map",
            "x-kubernetes-list-map-keys":["k"],"items":{"type":"object","properties":{"k":{"type":"string"},"v":{"type":"integer",
            "x-kubernetes-validations":[{"rule":"self > 1"},{"rule":"self >= oldSelf","message":"not less"}]}}}}}}"#;
        let old = r#"{"l":[{"k":"a","v":1},{"k":"b","v":5}]}"#;
        assert_eq!(said(schema, None, old), ["l[0].v Invalid value: 1: failed rule: self > 1"]);
        assert_eq!(
            said(schema, Some(old), r#"{"l":[{"k":"b","v":4},{"k":"a","v":1}]}"#),
            ["l[0].v Invalid value: 4: not less"]
        );
    }

    #[test]
    fn an_older_object_may_be_asked_for() {
        let schema = r#"{"type":"object","properties":{"a":{"type":"integer","x-kubernetes-validations":[
            {"rule":"oldSelf.hasValue() ? self > oldSelf.value() : self == 1","optionalOldSelf":true,"message":"no"}]}}}"#;
        assert_eq!(said(schema, None, r#"{"a":1}"#), Vec::<String>::new());
        assert_eq!(said(schema, None, r#"{"a":2}"#), ["a Invalid value: 2: no"]);
        assert_eq!(said(schema, Some(r#"{"a":1}"#), r#"{"a":2}"#), Vec::<String>::new());
    }

    #[test]
    fn values_are_of_the_types_of_their_schema() {
        let check = |property: &str, rule: &str, value: &str| {
            let schema = format!(
                r#"{{"type":"object","properties":{{"v":{property}}},"x-kubernetes-validations":[{{"rule":"{rule}"}}]}}"#
            );
            assert_eq!(
                said(&schema, None, &format!(r#"{{"kind":"K","metadata":{{"name":"n"}},"v":{value}}}"#)),
                Vec::<String>::new(),
                "{rule}"
            );
        };
        check(r#"{"type":"number"}"#, "self.v == 1.0", "1");
        check(
            r#"{"type":"string","format":"date-time"}"#,
            "self.v < timestamp('2030-01-01T00:00:00Z')",
            r#""2020-01-01T00:00:00Z""#,
        );
        check(r#"{"type":"string","format":"duration"}"#, "self.v == duration('60s')", r#""1m""#);
        check(r#"{"x-kubernetes-int-or-string":true}"#, "type(self.v) == int || self.v.endsWith('%')", r#""5%""#);
        check(
            r#"{"type":"string"}"#,
            "self.kind == 'K' && self.metadata.name == 'n' && quantity(self.v).isGreaterThan(quantity('1'))",
            r#""2k""#,
        );
        check(
            r#"{"type":"object","additionalProperties":{"type":"string"}}"#,
            "self.v.all(key, key == 'a-b' && self.v[key] == 'x')",
            r#"{"a-b":"x"}"#,
        );
    }
}
