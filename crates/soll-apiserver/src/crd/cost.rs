//! What the CEL rules of custom resources may cost: a rule that could hold the server is refused with its definition, and one that
//! does so with an object is not run.
//!
//! Steps are counted as Kubernetes counts them: names, fields and calls, times the turns of the loops around them. What the length
//! of texts costs is not counted, so what is refused here is refused there too.

use kube_cel::cel::Program;
use kube_cel::cel::common::ast::{EntryExpr, Expr, IdedExpr, operators};
use soll_yaml::{Map, Value};

use super::typing::escaped;
use crate::refusal::Cause;

/// The most that a rule may cost with all objects that its schema allows.
const RULE: u64 = 10_000_000;
/// The most that all rules of a schema may cost.
const ALL_RULES: u64 = 100_000_000;
/// The most that a rule may cost with one value.
pub(super) const CALL: u64 = 1_000_000;
/// The most that all rules may cost with one object.
pub(super) const OBJECT: u64 = 10_000_000;
/// The largest body of a request: what a schema does not bound is bounded by it.
const BODY: u64 = 3 * 1024 * 1024;

const LIST: u64 = 10;
const MAP: u64 = 30;

/// Which rules of a schema cost too much.
pub(crate) fn check(at: &str, schema: &Value) -> Vec<Cause> {
    let mut bill = Bill::default();
    bill.schema(at, schema, Some(1));
    let Bill { total, mut dear, mut causes } = bill;
    if total > ALL_RULES {
        dear.sort_by_key(|(_, cost)| std::cmp::Reverse(*cost));
        for (place, _) in dear.into_iter().take(4) {
            let why = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema";
            causes.push(Cause::forbidden(place, why));
        }
        let what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
        causes.push(Cause::forbidden(at, too_much(what, total, ALL_RULES)));
    }
    causes
}

fn too_much(what: &str, cost: u64, limit: u64) -> String {
    let factor = cost as f64 / limit as f64;
    let factor = match factor {
        factor if factor > 100.0 => "more than 100x".to_owned(),
        factor if factor < 1.5 => format!("{factor:.6}x"),
        factor => format!("{factor:.1}x"),
    };
    format!(
        "{what} exceeds budget by factor of {factor} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength \
         where arrays, maps, and strings are declared)"
    )
}

#[derive(Default)]
struct Bill {
    total: u64,
    /// The rules that are worth naming.
    dear: Vec<(String, u64)>,
    causes: Vec<Cause>,
}

impl Bill {
    /// `times` is how many values of the schema there can be, if the schemas around it say so.
    fn schema(&mut self, at: &str, schema: &Value, times: Option<u64>) {
        let rules = schema.get("x-kubernetes-validations").and_then(Value::as_list).unwrap_or_default();
        for (index, rule) in rules.iter().enumerate() {
            let at = format!("{at}.x-kubernetes-validations[{index}]");
            let values = times.unwrap_or_else(|| BODY / (least_bytes(schema) + 1));
            self.expression(&format!("{at}.rule"), "estimated rule cost", rule.lookup_str(&["rule"]), schema, values);
            let message = rule.lookup_str(&["messageExpression"]);
            self.expression(&format!("{at}.messageExpression"), "estimated messageExpression cost", message, schema, 1);
        }
        let below = |most: Option<&Value>| {
            Some(times?.saturating_mul(most?.as_i64().and_then(|most| u64::try_from(most).ok())?))
        };
        for entry in schema.get("properties").and_then(Value::as_map).into_iter().flat_map(Map::iter) {
            self.schema(&format!("{at}.properties[{}]", entry.key), &entry.value, times);
        }
        if let Some(extra) = schema.get("additionalProperties").filter(|extra| extra.as_map().is_some()) {
            self.schema(&format!("{at}.additionalProperties"), extra, below(schema.get("maxProperties")));
        }
        if let Some(items) = schema.get("items") {
            self.schema(&format!("{at}.items"), items, below(schema.get("maxItems")));
        }
    }

    fn expression(&mut self, at: &str, what: &str, source: Option<&str>, schema: &Value, times: u64) {
        let Some(Ok(program)) = source.map(Program::compile) else { return };
        let known = ["self", "oldSelf"].map(|name| (name.to_owned(), Known::Schema(schema)));
        let mut meter = Meter { known: known.to_vec(), left: u64::MAX, unknown: 0 };
        let cost = meter.cost(program.expression()).saturating_mul(times);
        if cost > RULE {
            self.causes.push(Cause::forbidden(at, too_much(what, cost, RULE)));
        }
        self.total = self.total.saturating_add(cost);
        if cost >= ALL_RULES / 100 {
            self.dear.push((at.to_owned(), cost));
        }
    }
}

/// What a rule costs with a value, as far as it goes beyond `left`; `old` is the value before.
pub(super) fn of_value(rule: &IdedExpr, value: &Value, old: Option<&Value>, left: u64) -> u64 {
    let mut known = vec![("self".to_owned(), Known::Value(value))];
    known.extend(old.map(|old| ("oldSelf".to_owned(), Known::Value(old))));
    Meter { known, left, unknown: nodes(value) + old.map_or(0, nodes) }.cost(rule)
}

/// The parts of a value, letters of texts included: no list that functions make of it is longer.
fn nodes(value: &Value) -> u64 {
    let maps = value.as_map().into_iter().flat_map(Map::iter).map(|entry| nodes(&entry.value));
    let lists = value.as_list().into_iter().flatten().map(nodes);
    let letters = value.as_str().map_or(0, str::len) as u64;
    1 + letters + maps.chain(lists).sum::<u64>()
}

/// The fewest bytes of JSON that a value of a schema has.
fn least_bytes(schema: &Value) -> u64 {
    if schema.get("x-kubernetes-int-or-string").and_then(Value::as_bool) == Some(true) {
        return 1;
    }
    match (schema.lookup_str(&["type"]).unwrap_or_default(), schema.lookup_str(&["format"]).unwrap_or_default()) {
        ("string", "duration") => 3,
        ("string", "date") => 12,
        ("string", "date-time") => 21,
        ("boolean", _) => 4,
        ("integer" | "number", _) => 1,
        ("object", _) => {
            let required = schema.get("required").and_then(Value::as_list).unwrap_or_default();
            let property = |name: &str| schema.lookup(&["properties", name]).filter(|of| of.get("default").is_none());
            let bytes = required
                .iter()
                .filter_map(Value::as_str)
                .filter_map(|name| property(name).map(|property| name.len() as u64 + least_bytes(property) + 4));
            2 + bytes.sum::<u64>()
        }
        _ => 2,
    }
}

/// What is known of a value: what describes it, or itself.
#[derive(Clone, Copy)]
enum Known<'v> {
    Schema(&'v Value),
    Value(&'v Value),
    Nothing,
}

impl<'v> Known<'v> {
    fn field(self, name: &str) -> Self {
        let named = |map: Option<&'v Value>| {
            let mut entries = map.and_then(Value::as_map).into_iter().flat_map(Map::iter);
            entries.find(|entry| escaped(&entry.key).as_deref() == Some(name)).map(|entry| &entry.value)
        };
        match self {
            Self::Schema(schema) => {
                let found = named(schema.get("properties")).or_else(|| schema.get("additionalProperties"));
                found.map_or(Self::Nothing, Self::Schema)
            }
            Self::Value(value) => named(Some(value)).map_or(Self::Nothing, Self::Value),
            Self::Nothing => Self::Nothing,
        }
    }

    /// What is the same for all items.
    fn item(self) -> Self {
        match self {
            Self::Schema(schema) => {
                schema.get("items").or_else(|| schema.get("additionalProperties")).map_or(Self::Nothing, Self::Schema)
            }
            Self::Value(_) | Self::Nothing => Self::Nothing,
        }
    }
}

/// Counts the steps of an expression, and stops when there are too many.
struct Meter<'v> {
    known: Vec<(String, Known<'v>)>,
    left: u64,
    /// The turns of loops over what nothing is known of.
    unknown: u64,
}

impl<'v> Meter<'v> {
    fn cost(&mut self, expression: &IdedExpr) -> u64 {
        match &expression.expr {
            Expr::Unspecified | Expr::Literal(_) | Expr::Struct(_) => 0,
            Expr::Ident(_) => 1,
            Expr::Select(select) => self.cost(&select.operand) + u64::from(!select.test),
            Expr::List(list) => self.sum(list.elements.iter()).saturating_add(LIST),
            Expr::Map(map) => {
                let mut sum = MAP;
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        sum = sum.saturating_add(self.sum([&entry.key, &entry.value]));
                    }
                }
                sum
            }
            Expr::Call(call) => {
                let target = call.target.as_deref().map_or(0, |target| self.cost(target));
                let own = match call.func_name.as_str() {
                    // What is compared counts by its length.
                    operators::LOGICAL_AND | operators::LOGICAL_OR | operators::EQUALS | operators::NOT_EQUALS => {
                        self.sum(&call.args)
                    }
                    operators::CONDITIONAL => {
                        let costs: Vec<u64> = call.args.iter().map(|argument| self.cost(argument)).collect();
                        costs[0].saturating_add(costs[1..].iter().copied().max().unwrap_or(0))
                    }
                    operators::IN => {
                        let size = call.args.get(1).map_or(0, |within| self.size(within));
                        self.sum(&call.args).saturating_add(size)
                    }
                    _ => self.sum(&call.args).saturating_add(1),
                };
                target.saturating_add(own)
            }
            Expr::Comprehension(comprehension) => {
                let before = self.sum([&comprehension.iter_range, &comprehension.accu_init]);
                let range = self.find(&comprehension.iter_range);
                let size = self.size(&comprehension.iter_range);
                let depth = self.known.len();
                self.known.push((comprehension.accu_var.clone(), Known::Nothing));
                let after = self.cost(&comprehension.result);
                let turn = |meter: &mut Self, item: Known<'v>| {
                    let keys = comprehension.iter_var2.is_some() || range.is_map();
                    let (first, second) = if keys { (Known::Nothing, item) } else { (item, Known::Nothing) };
                    meter.known.push((comprehension.iter_var.clone(), first));
                    meter.known.extend(comprehension.iter_var2.clone().map(|name| (name, second)));
                    let cost = meter.sum([&comprehension.loop_cond, &comprehension.loop_step]);
                    meter.known.truncate(depth + 1);
                    cost
                };
                let mut turns = 0_u64;
                match range {
                    Known::Value(value) => {
                        let items = value.as_list().into_iter().flatten();
                        let values = value.as_map().into_iter().flat_map(Map::iter).map(|entry| &entry.value);
                        for item in items.chain(values) {
                            turns = turns.saturating_add(turn(self, Known::Value(item)));
                            if turns > self.left {
                                break;
                            }
                        }
                    }
                    known => turns = turn(self, known.item()).saturating_mul(size),
                }
                self.known.truncate(depth);
                before.saturating_add(after).saturating_add(turns)
            }
        }
    }

    fn sum<'e>(&mut self, expressions: impl IntoIterator<Item = &'e IdedExpr>) -> u64 {
        expressions
            .into_iter()
            .fold(0, |sum, one| if sum > self.left { sum } else { sum.saturating_add(self.cost(one)) })
    }

    /// What is known of what an expression answers.
    fn find(&self, expression: &IdedExpr) -> Known<'v> {
        match &expression.expr {
            Expr::Ident(name) => {
                let known = self.known.iter().rev().find(|(known, _)| known == name);
                known.map_or(Known::Nothing, |(_, known)| *known)
            }
            Expr::Select(select) if !select.test => self.find(&select.operand).field(&select.field),
            Expr::Call(call) if call.func_name == operators::INDEX => {
                call.args.first().map_or(Known::Nothing, |of| self.find(of).item())
            }
            _ => Known::Nothing,
        }
    }

    /// How many items what an expression answers may have.
    fn size(&self, expression: &IdedExpr) -> u64 {
        let bound = |schema: &Value, field: &str| {
            schema.get(field).and_then(Value::as_i64).map(|most| u64::try_from(most).unwrap_or(0))
        };
        match (self.find(expression), &expression.expr) {
            (Known::Schema(schema), _) => match schema.lookup_str(&["type"]) {
                Some("array") => bound(schema, "maxItems")
                    .unwrap_or_else(|| (BODY - 2) / (schema.get("items").map_or(2, least_bytes) + 1)),
                Some("object") => {
                    let Some(extra) = schema.get("additionalProperties").filter(|extra| extra.as_map().is_some())
                    else {
                        return 0;
                    };
                    bound(schema, "maxProperties").unwrap_or_else(|| (BODY - 2) / (least_bytes(extra) + 6))
                }
                _ => 0,
            },
            (Known::Value(value), _) => {
                let items = value.as_list().map(<[Value]>::len).or_else(|| value.as_map().map(Map::len));
                items.unwrap_or(0) as u64
            }
            (Known::Nothing, Expr::List(list)) => list.elements.len() as u64,
            // What is filtered or mapped is no longer than before.
            (Known::Nothing, Expr::Comprehension(comprehension)) if self.unknown > 0 => {
                self.size(&comprehension.iter_range)
            }
            (Known::Nothing, _) => self.unknown,
        }
    }
}

impl Known<'_> {
    fn is_map(self) -> bool {
        match self {
            Self::Schema(schema) => schema.lookup_str(&["type"]) == Some("object"),
            Self::Value(value) => value.as_map().is_some(),
            Self::Nothing => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use soll_yaml::parse_json;

    fn loops(items: u64) -> Vec<Cause> {
        let schema = format!(
            r#"{{"type":"object","properties":{{"l":{{"type":"array","maxItems":{items},"items":{{"type":"integer"}}}}}},
                "x-kubernetes-validations":[{{"rule":"self.l.all(x, self.l.all(y, x + y > 0))"}}]}}"#
        );
        check("s", &parse_json(schema.as_bytes()).expect("it is JSON"))
    }

    #[test]
    fn loops_in_loops_need_bounds() {
        assert_eq!(loops(1000), []);
        let refused = loops(2000);
        assert_eq!(refused[0].field, "s.x-kubernetes-validations[0].rule");
        assert!(refused[0].message.contains("exceeds budget by factor of 2.8x"), "{refused:?}");
    }

    #[test]
    fn what_a_value_costs_is_counted_until_it_is_too_much() {
        let rule = Program::compile("self.l.all(x, self.l.all(y, self.l.all(z, x + y > z)))").expect("a rule");
        let of = |count: usize| {
            let value = format!(r#"{{"l":[{}]}}"#, vec!["1"; count].join(","));
            let value = parse_json(value.as_bytes()).expect("it is JSON");
            of_value(rule.expression(), &value, None, CALL)
        };
        assert!(of(10) < 10_000, "{}", of(10));
        let large = of(2000);
        assert!((CALL..CALL * 100).contains(&large), "the count ends soon after the limit: {large}");
    }
}
