//! The keywords.

use std::collections::{BTreeSet, HashMap};

use regex::Regex;
use soll_yaml::{Data, Map, Step, Str, Value};

use super::fault::{Fault, Kind, display, english, grouped, joined, quoted};
use super::format;
use super::reference::{Document, Node};

/// Checks values against one document.
pub(super) struct Checker<'s> {
    document: &'s Document<'s>,
    /// Where in the values we are.
    path: Vec<Step>,
    /// The schemas on the way, with the depth of the value that each was asked about.
    way: Vec<(usize, usize)>,
    /// The names of the resources on the way, outermost first.
    bases: Vec<Str>,
    patterns: HashMap<Str, Option<Regex>>,
}

/// What keywords have looked at, for those that ask about the rest.
#[derive(Default)]
struct Evaluated {
    properties: BTreeSet<Str>,
    items: BTreeSet<usize>,
}

impl Evaluated {
    fn merge(&mut self, mut other: Self) {
        self.properties.append(&mut other.properties);
        self.items.append(&mut other.items);
    }
}

type Checked = Result<Evaluated, Fault>;

/// A reference that leads to itself without going deeper.
const CYCLE: &str = "reference cycle";

impl<'s> Checker<'s> {
    pub(super) fn new(document: &'s Document<'s>) -> Self {
        Self { document, path: Vec::new(), way: Vec::new(), bases: Vec::new(), patterns: HashMap::new() }
    }

    pub(super) fn check_root(&mut self, values: &Value) -> Option<Fault> {
        self.check(&self.document.root(), values).err()
    }

    /// All that a schema says about a value.
    fn check(&mut self, node: &Node<'s>, value: &Value) -> Checked {
        let map = match &node.schema.data {
            Data::Bool(true) => return Ok(Evaluated::default()),
            Data::Bool(false) => return Err(self.fault("false schema".to_owned())),
            Data::Map(map) => map,
            // What is no schema asks for nothing.
            _ => return Ok(Evaluated::default()),
        };
        let step = (node.id(), self.path.len());
        if self.way.contains(&step) {
            return Err(self.fault(CYCLE.to_owned()));
        }
        self.way.push(step);
        self.bases.push(node.base.clone());
        let checked = self.keywords(node, map, value);
        self.bases.pop();
        self.way.pop();
        checked
    }

    fn keywords(&mut self, node: &Node<'s>, map: &'s Map, value: &Value) -> Checked {
        let draft = self.document.draft;
        let reference = map.get("$ref").and_then(Value::as_str);
        let referred = |checker: &mut Self, reference| match checker.document.follow(reference, &node.base) {
            Ok(target) => checker.referred(&target, value),
            Err(message) => Err(checker.fault(message)),
        };
        if let Some(reference) = reference.filter(|_| draft < 2019) {
            // What stands beside it says nothing.
            return referred(self, reference);
        }
        // One of these is enough: what else is said would be about another kind of value.
        if let Some(message) = simple_misfit(map, value) {
            return Err(self.fault(message));
        }
        if let Some(name) = map.get("format").and_then(Value::as_str).filter(|_| draft < 2019)
            && let Some(reason) = format::misfit(name, value)
        {
            return Err(self.fault(format!("{} is not valid {name}: {reason}", display(value))));
        }
        let mut evaluated = Evaluated::default();
        let mut faults = Vec::new();
        if let Some(reference) = reference {
            let checked = referred(self, reference);
            collect(checked, &mut evaluated, &mut faults);
        }
        match &value.data {
            Data::Map(object) => self.object(node, map, object, &mut evaluated, &mut faults),
            Data::List(items) => self.array(node, map, items, &mut evaluated, &mut faults),
            Data::Str(text) => self.text(map, text, &mut faults),
            Data::Int(number) => self.number(map, *number as f64, &mut faults),
            Data::Float(number) => self.number(map, *number, &mut faults),
            Data::Null | Data::Bool(_) => {}
        }
        if draft >= 2019 {
            let dynamic = map.get("$dynamicRef").or_else(|| map.get("$recursiveRef")).and_then(Value::as_str);
            if let Some(reference) = dynamic {
                let checked = match self.document.follow_dynamic(reference, &node.base, &self.bases) {
                    Ok(target) => self.referred(&target, value),
                    Err(message) => Err(self.fault(message)),
                };
                collect(checked, &mut evaluated, &mut faults);
            }
        }
        self.combined(node, map, value, &mut evaluated, &mut faults);
        if draft >= 2019 {
            self.unevaluated(node, map, value, &mut evaluated, &mut faults);
        }
        match faults.len() {
            0 => Ok(evaluated),
            1 => Err(faults.swap_remove(0)),
            _ => Err(Fault { path: self.path.clone(), kind: Kind::Group, causes: faults }),
        }
    }

    /// What a reference leads to, about the same value.
    fn referred(&mut self, target: &Node<'s>, value: &Value) -> Checked {
        self.check(target, value).map_err(|fault| Fault {
            path: self.path.clone(),
            kind: Kind::Reference,
            causes: fault.ungrouped(),
        })
    }

    fn object(
        &mut self,
        node: &Node<'s>,
        map: &'s Map,
        object: &Map,
        evaluated: &mut Evaluated,
        faults: &mut Vec<Fault>,
    ) {
        let draft = self.document.draft;
        self.count(map, "minProperties", object.len(), faults);
        self.count(map, "maxProperties", object.len(), faults);
        let missing = |names: &Value| -> Vec<Str> {
            let names = names.as_list().unwrap_or_default().iter().filter_map(Value::as_str);
            names.filter(|name| !object.contains(name)).map(Str::from).collect()
        };
        if let Some(names) = map.get("required").map(missing).filter(|names| !names.is_empty()) {
            let what = if names.len() == 1 { "property" } else { "properties" };
            faults.push(self.fault(format!("missing {what} {}", joined(&names))));
        }
        let required_by =
            |names: &[Str], key: &str| format!("properties {} required, if {} exists", joined(names), quoted(key));
        for entry in entries(map.get("dependencies")).filter(|entry| object.contains(&entry.key)) {
            if entry.value.as_list().is_some() {
                let names = missing(&entry.value);
                if !names.is_empty() {
                    faults.push(self.fault(required_by(&names, &entry.key)));
                }
            } else {
                let checked = self.check(&self.document.enter(&entry.value, &node.base), &whole(object));
                collect(checked, evaluated, faults);
            }
        }
        let properties = map.get("properties").and_then(Value::as_map);
        let patterns: Vec<_> = entries(map.get("patternProperties")).collect();
        let additional = map.get("additionalProperties");
        let mut refused: Vec<Str> = Vec::new();
        for entry in object.sorted() {
            let mut schemas: Vec<&'s Value> = Vec::new();
            schemas.extend(properties.and_then(|properties| properties.get(&entry.key)));
            for pattern in &patterns {
                if self.pattern(&pattern.key).is_some_and(|regex| regex.is_match(&entry.key)) {
                    schemas.push(&pattern.value);
                }
            }
            if schemas.is_empty() {
                match additional.map(|schema| (schema, schema.as_bool())) {
                    Some((_, Some(false))) => refused.push(entry.key.clone()),
                    Some((schema, _)) => schemas.push(schema),
                    None => continue,
                }
            }
            for schema in schemas {
                let node = self.document.enter(schema, &node.base);
                if let Err(fault) = self.below(&node, Step::Key(entry.key.clone()), &entry.value) {
                    faults.push(fault);
                }
            }
            if self.document.asks_unevaluated {
                evaluated.properties.insert(entry.key.clone());
            }
        }
        if !refused.is_empty() {
            faults.push(self.fault(format!("additional properties {} not allowed", joined(&refused))));
        }
        if draft > 4
            && let Some(names) = map.get("propertyNames")
        {
            let names = self.document.enter(names, &node.base);
            for key in object.keys() {
                let path = std::mem::take(&mut self.path);
                let checked = self.check(&names, &Value::from(key.clone()));
                self.path = path;
                if let Err(fault) = checked {
                    let kind = Kind::Keyword(format!("invalid propertyName {}", quoted(key)));
                    faults.push(Fault { path: Vec::new(), kind, causes: fault.ungrouped() });
                }
            }
        }
        for entry in entries(map.get("dependentSchemas")).filter(|entry| object.contains(&entry.key)) {
            let checked = self.check(&self.document.enter(&entry.value, &node.base), &whole(object));
            collect(checked, evaluated, faults);
        }
        for entry in entries(map.get("dependentRequired")).filter(|entry| object.contains(&entry.key)) {
            let names = missing(&entry.value);
            if !names.is_empty() {
                faults.push(self.fault(required_by(&names, &entry.key)));
            }
        }
    }

    fn array(
        &mut self,
        node: &Node<'s>,
        map: &'s Map,
        items: &[Value],
        evaluated: &mut Evaluated,
        faults: &mut Vec<Fault>,
    ) {
        self.count(map, "minItems", items.len(), faults);
        self.count(map, "maxItems", items.len(), faults);
        if map.get("uniqueItems").and_then(Value::as_bool) == Some(true)
            && let Some((first, second)) = duplicates(items)
        {
            faults.push(self.fault(format!("items at {first} and {second} are equal")));
        }
        // What 2020 calls prefixItems and items was items and additionalItems before.
        let tuple = map.get("items").and_then(Value::as_list).filter(|_| self.document.draft < 2020);
        let (prefix, rest) = match tuple {
            Some(prefix) => (prefix, map.get("additionalItems")),
            None if self.document.draft < 2020 => (&[][..], map.get("items")),
            None => (map.get("prefixItems").and_then(Value::as_list).unwrap_or_default(), map.get("items")),
        };
        let is_closed = tuple.is_some() && rest.and_then(Value::as_bool) == Some(false);
        for (index, item) in items.iter().enumerate() {
            let schema = prefix.get(index).or_else(|| rest.filter(|_| !is_closed));
            let Some(schema) = schema else { continue };
            let node = self.document.enter(schema, &node.base);
            if let Err(fault) = self.below(&node, Step::Index(index), item) {
                faults.push(fault);
            }
            evaluated.items.insert(index);
        }
        if is_closed && items.len() > prefix.len() {
            let count = items.len() - prefix.len();
            faults.push(self.fault(format!("last {count} additionalItem(s) not allowed")));
        }
        if let Some(contains) = map.get("contains").filter(|_| self.document.draft > 4) {
            self.contains(&self.document.enter(contains, &node.base), map, items, evaluated, faults);
        }
    }

    fn contains(
        &mut self,
        node: &Node<'s>,
        map: &Map,
        items: &[Value],
        evaluated: &mut Evaluated,
        faults: &mut Vec<Fault>,
    ) {
        let (mut matched, mut misses) = (Vec::new(), Vec::new());
        for (index, item) in items.iter().enumerate() {
            match self.below(node, Step::Index(index), item) {
                Ok(()) => matched.push(index),
                Err(fault) => misses.push(fault),
            }
        }
        let wanted = |keyword| if self.document.draft >= 2019 { number(map, keyword) } else { None };
        let shown = matched.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let keyword = |message: String| Kind::Keyword(message);
        let least = wanted("minContains");
        let most = wanted("maxContains");
        if self.document.draft >= 2020 {
            evaluated.items.extend(matched.iter().copied());
        }
        let path = self.path.clone();
        match least {
            Some(least) if (matched.len() as f64) < least => {
                let message = if matched.is_empty() {
                    format!("min {} items required to match contains schema, but none matched", grouped(least))
                } else {
                    let count = matched.len();
                    format!(
                        "min {} items required to match contains schema, but matched {count} items at {shown}",
                        grouped(least)
                    )
                };
                faults.push(Fault { path: path.clone(), kind: keyword(message), causes: misses });
            }
            None if matched.is_empty() => {
                let kind = keyword("no items match contains schema".to_owned());
                faults.push(Fault { path: path.clone(), kind, causes: misses });
            }
            _ => {}
        }
        if let Some(most) = most.filter(|most| (matched.len() as f64) > *most) {
            let count = matched.len();
            let message = format!(
                "max {} items required to match contains schema, but matched {count} items at {shown}",
                grouped(most)
            );
            faults.push(Fault { path, kind: keyword(message), causes: Vec::new() });
        }
    }

    fn text(&mut self, map: &Map, text: &str, faults: &mut Vec<Fault>) {
        if map.contains("minLength") || map.contains("maxLength") {
            let length = text.chars().count();
            self.count(map, "minLength", length, faults);
            self.count(map, "maxLength", length, faults);
        }
        if let Some(pattern) = map.get("pattern").and_then(Value::as_str)
            && self.pattern(pattern).is_some_and(|regex| !regex.is_match(text))
        {
            faults.push(self.fault(format!("{} does not match pattern {}", quoted(text), quoted(pattern))));
        }
    }

    fn number(&mut self, map: &Map, value: f64, faults: &mut Vec<Fault>) {
        // In draft 4 the exclusive ones are flags beside the others.
        let is_flag = |keyword| map.get(keyword).and_then(Value::as_bool) == Some(true);
        type Fits = fn(f64, f64) -> bool;
        let rules: [(&str, &str, Fits, bool); 4] = [
            ("minimum", "minimum", |got, want| got >= want, !is_flag("exclusiveMinimum")),
            ("maximum", "maximum", |got, want| got <= want, !is_flag("exclusiveMaximum")),
            (
                if is_flag("exclusiveMinimum") { "minimum" } else { "exclusiveMinimum" },
                "exclusiveMinimum",
                |got, want| got > want,
                true,
            ),
            (
                if is_flag("exclusiveMaximum") { "maximum" } else { "exclusiveMaximum" },
                "exclusiveMaximum",
                |got, want| got < want,
                true,
            ),
        ];
        for (keyword, name, fits, applies) in rules {
            if let Some(want) = number(map, keyword).filter(|want| applies && !fits(value, *want)) {
                faults.push(self.fault(format!("{name}: got {}, want {}", english(value), english(want))));
            }
        }
        if let Some(want) = number(map, "multipleOf").filter(|want| !is_multiple(value, *want)) {
            faults.push(self.fault(format!("multipleOf: got {}, want {}", english(value), english(want))));
        }
    }

    /// `not`, `allOf`, `anyOf`, `oneOf`, `if`.
    fn combined(
        &mut self,
        node: &Node<'s>,
        map: &'s Map,
        value: &Value,
        evaluated: &mut Evaluated,
        faults: &mut Vec<Fault>,
    ) {
        let part = |schema: &'s Value| self.document.enter(schema, &node.base);
        let parts = |keyword| -> Option<Vec<Node<'s>>> {
            let parts = map.get(keyword)?.as_list()?;
            (!parts.is_empty()).then(|| parts.iter().map(part).collect())
        };
        let (not, all, any, one) = (map.get("not").map(part), parts("allOf"), parts("anyOf"), parts("oneOf"));
        let branch = |keyword| map.get(keyword).filter(|_| self.document.draft >= 7).map(part);
        let (condition, then, otherwise) = (branch("if"), branch("then"), branch("else"));
        let track = self.document.asks_unevaluated;

        if let Some(not) = not
            && self.check(&not, value).is_ok()
        {
            faults.push(self.fault("'not' failed".to_owned()));
        }
        if let Some(all) = all {
            let mut causes = Vec::new();
            for part in &all {
                collect(self.check(part, value), evaluated, &mut causes);
            }
            if !causes.is_empty() {
                faults.push(self.fault_because("'allOf' failed", causes));
            }
        }
        if let Some(any) = any {
            let mut causes = Vec::new();
            let mut is_matched = false;
            for part in &any {
                match self.check(part, value) {
                    Err(fault) => causes.push(fault),
                    Ok(own) => {
                        evaluated.merge(own);
                        is_matched = true;
                        if !track {
                            break;
                        }
                    }
                }
            }
            if !is_matched {
                faults.push(self.fault_because("'anyOf' failed", causes));
            }
        }
        if let Some(one) = one {
            let mut causes = Vec::new();
            let mut matched = None;
            for (index, part) in one.iter().enumerate() {
                match (self.check(part, value), matched) {
                    (Err(fault), None) => causes.push(fault),
                    (Err(_), Some(_)) => {}
                    (Ok(own), None) => {
                        evaluated.merge(own);
                        matched = Some(index);
                    }
                    (Ok(_), Some(first)) => {
                        faults.push(self.fault(format!("'oneOf' failed, subschemas {first}, {index} matched")));
                        break;
                    }
                }
            }
            if matched.is_none() {
                faults.push(self.fault_because("'oneOf' failed, none matched", causes));
            }
        }
        if let Some(condition) = condition {
            let branch = match self.check(&condition, value) {
                Ok(own) => {
                    evaluated.merge(own);
                    then
                }
                Err(_) => otherwise,
            };
            if let Some(branch) = branch {
                collect(self.check(&branch, value), evaluated, faults);
            }
        }
    }

    fn unevaluated(
        &mut self,
        node: &Node<'s>,
        map: &'s Map,
        value: &Value,
        evaluated: &mut Evaluated,
        faults: &mut Vec<Fault>,
    ) {
        let rest = |keyword| map.get(keyword).map(|schema| self.document.enter(schema, &node.base));
        let (properties, items) = (rest("unevaluatedProperties"), rest("unevaluatedItems"));
        if let (Some(schema), Some(object)) = (properties, value.as_map()) {
            for entry in object.sorted() {
                if evaluated.properties.insert(entry.key.clone())
                    && let Err(fault) = self.below(&schema, Step::Key(entry.key.clone()), &entry.value)
                {
                    faults.push(fault);
                }
            }
        }
        if let (Some(schema), Some(list)) = (items, value.as_list()) {
            for (index, item) in list.iter().enumerate() {
                if evaluated.items.insert(index)
                    && let Err(fault) = self.below(&schema, Step::Index(index), item)
                {
                    faults.push(fault);
                }
            }
        }
    }

    fn below(&mut self, node: &Node<'s>, step: Step, value: &Value) -> Result<(), Fault> {
        self.path.push(step);
        let checked = self.check(node, value);
        self.path.pop();
        checked.map(|_| ())
    }

    fn count(&self, map: &Map, keyword: &str, got: usize, faults: &mut Vec<Fault>) {
        let Some(want) = number(map, keyword) else { return };
        let got = got as f64;
        if if keyword.starts_with("min") { got < want } else { got > want } {
            faults.push(self.fault(format!("{keyword}: got {}, want {}", grouped(got), grouped(want))));
        }
    }

    /// The pattern; nothing if it is none, which then asks for nothing.
    fn pattern(&mut self, pattern: &str) -> Option<&Regex> {
        self.patterns.entry(pattern.into()).or_insert_with(|| soll_template::go::pattern(pattern).ok()).as_ref()
    }

    fn fault(&self, message: String) -> Fault {
        Fault { path: self.path.clone(), kind: Kind::Keyword(message), causes: Vec::new() }
    }

    fn fault_because(&self, message: &str, causes: Vec<Fault>) -> Fault {
        Fault { path: self.path.clone(), kind: Kind::Keyword(message.to_owned()), causes }
    }
}

fn collect(checked: Checked, evaluated: &mut Evaluated, faults: &mut Vec<Fault>) {
    match checked {
        Ok(own) => evaluated.merge(own),
        Err(fault) => faults.push(fault),
    }
}

/// `type`, `const` and `enum`.
fn simple_misfit(map: &Map, value: &Value) -> Option<String> {
    const TYPES: [&str; 7] = ["null", "boolean", "number", "integer", "string", "array", "object"];
    if let Some(wanted) = map.get("type") {
        let wanted: Vec<&str> = match &wanted.data {
            Data::Str(one) => vec![one],
            Data::List(several) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let got = type_of(value);
        let fits = wanted.contains(&got) || (wanted.contains(&"integer") && got == "number" && is_whole(value));
        if !wanted.is_empty() && !fits {
            let wanted: Vec<_> = TYPES.into_iter().filter(|name| wanted.contains(name)).collect();
            return Some(format!("got {got}, want {}", wanted.join(" or ")));
        }
    }
    let is_plain = |value: &Value| value.as_list().is_none() && value.as_map().is_none();
    if let Some(wanted) = map.get("const").filter(|wanted| !same(value, wanted)) {
        return Some(if is_plain(wanted) {
            format!("value must be {}", display(wanted))
        } else {
            "'const' failed".to_owned()
        });
    }
    let wanted = map.get("enum").and_then(Value::as_list)?;
    if wanted.iter().any(|wanted| same(value, wanted)) {
        return None;
    }
    if !wanted.iter().all(is_plain) {
        return Some("'enum' failed".to_owned());
    }
    let of = if wanted.len() == 1 { "" } else { "one of " };
    Some(format!("value must be {of}{}", wanted.iter().map(display).collect::<Vec<_>>().join(", ")))
}

fn type_of(value: &Value) -> &'static str {
    match value.data {
        Data::Null => "null",
        Data::Bool(_) => "boolean",
        Data::Int(_) | Data::Float(_) => "number",
        Data::Str(_) => "string",
        Data::List(_) => "array",
        Data::Map(_) => "object",
    }
}

fn is_whole(value: &Value) -> bool {
    match value.data {
        Data::Int(_) => true,
        Data::Float(number) => number.fract() == 0.0,
        _ => false,
    }
}

/// Equality as JSON has it: `1` is `1.0`.
fn same(a: &Value, b: &Value) -> bool {
    match (&a.data, &b.data) {
        (Data::Int(a), Data::Float(b)) | (Data::Float(b), Data::Int(a)) => *a as f64 == *b,
        (Data::List(a), Data::List(b)) => a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same(a, b)),
        (Data::Map(a), Data::Map(b)) => {
            a.len() == b.len() && a.iter().all(|entry| b.get(&entry.key).is_some_and(|other| same(&entry.value, other)))
        }
        _ => a.data == b.data,
    }
}

/// The first two equal items, by the later of the two.
fn duplicates(items: &[Value]) -> Option<(usize, usize)> {
    // Texts and the like are told apart by their JSON text, so that long lists stay cheap.
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (index, item) in items.iter().enumerate() {
        if let Some(first) = seen.insert(soll_yaml::to_json_sorted(item), index) {
            return Some((first, index));
        }
    }
    None
}

fn is_multiple(value: f64, of: f64) -> bool {
    let quotient = value / of;
    // 0.3 / 0.1 is not 3 in floats; in decimals, which schemas are written in, it is.
    quotient.is_finite() && (quotient - quotient.round()).abs() <= quotient.abs().max(1.0) * f64::EPSILON * 4.0
}

fn number(map: &Map, keyword: &str) -> Option<f64> {
    match map.get(keyword)?.data {
        Data::Int(number) => Some(number as f64),
        Data::Float(number) => Some(number),
        _ => None,
    }
}

fn entries(value: Option<&Value>) -> impl Iterator<Item = &soll_yaml::Entry> {
    value.and_then(Value::as_map).into_iter().flat_map(|map| map.iter())
}

fn whole(object: &Map) -> Value {
    object.clone().into()
}
