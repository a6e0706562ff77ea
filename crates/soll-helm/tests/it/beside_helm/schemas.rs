//! Schemas by chance, in all drafts, upon values by chance, beside the real helm.

use soll_compare::{Asked, Random};
use soll_yaml::{Map, Value, to_json};

use super::helm;
use crate::corpus::{Flags, template_in};

const DRAFTS: [(u16, &str); 6] = [
    (4, "http://json-schema.org/draft-04/schema#"),
    (6, "http://json-schema.org/draft-06/schema#"),
    (7, "http://json-schema.org/draft-07/schema#"),
    (2019, "https://json-schema.org/draft/2019-09/schema"),
    (2020, "https://json-schema.org/draft/2020-12/schema"),
    (2020, ""),
];
const KEYS: [&str; 5] = ["a", "b", "c", "it's", "x/y"];
const TYPES: [&str; 7] = ["string", "number", "integer", "boolean", "object", "array", "null"];
const TEXTS: [&str; 34] = [
    "",
    "x",
    "abc",
    "é☃",
    "10.0.0.1",
    "10.0.0.300",
    "+1.2.3.a",
    "01.2.3.4",
    "2024-02-29",
    "2023-02-29",
    "a@b.c",
    ".a@b",
    "\"q r\"@[1.2.3.4]",
    "a@[x]",
    "a@b_c",
    "http://h/p",
    "http://[::1]:8/%zz",
    "http://h:x/",
    "/a/{b}/{c",
    "a:b:c",
    "a\\b",
    "1h",
    "P1Y2DT3H",
    "P1D2Y",
    "P3W",
    "10:00:00Z",
    "23:59:60+01:00",
    "2024-02-29T10:00:00Z",
    "2024-02-29 10:00:00Z",
    "2024-02-29T10:00:00Z/P1D",
    "1.2.3-rc.01+b",
    "a..b-",
    "/a~1b/~2",
    "a(b",
];
const FORMATS: [&str; 19] = [
    "ipv4",
    "hostname",
    "email",
    "uri",
    "iri",
    "uri-reference",
    "iri-reference",
    "uri-template",
    "date",
    "time",
    "date-time",
    "duration",
    "period",
    "regex",
    "uuid",
    "semver",
    "json-pointer",
    "relative-json-pointer",
    "nope",
];
const KEYWORDS: [&str; 35] = [
    "type",
    "type",
    "enum",
    "const",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "items",
    "tuple",
    "minItems",
    "maxItems",
    "uniqueItems",
    "contains",
    "properties",
    "properties",
    "properties",
    "required",
    "additionalProperties",
    "patternProperties",
    "propertyNames",
    "minProperties",
    "maxProperties",
    "dependencies",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "$ref",
    "unevaluated",
];

fn scalar(random: &mut Random) -> Value {
    match random.below(7) {
        0 => Value::from(random.percent(50)),
        1 => Value::from(random.below(12) as i64),
        2 => Value::from(random.below(50) as f64 / 4.0),
        3 => Value::from(1_234_567),
        _ => Value::from(random.pick(&TEXTS)),
    }
}

fn value(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth == 0 { 3 } else { 7 }) {
        0..=2 => scalar(random),
        3 | 4 => (0..random.below(4)).map(|_| value(random, depth - 1)).collect::<Vec<_>>().into(),
        _ => object(random, depth - 1),
    }
}

fn object(random: &mut Random, depth: usize) -> Value {
    let mut map = Map::new();
    for _ in 0..random.below(4) {
        map.insert(random.pick(&KEYS), value(random, depth));
    }
    map.into()
}

/// A schema that its draft allows.
fn schema(random: &mut Random, draft: u16, depth: usize) -> Value {
    if draft > 4 && random.percent(6) {
        return Value::from(random.percent(60));
    }
    let mut map = Map::new();
    for _ in 0..1 + random.below(if depth == 0 { 2 } else { 3 }) {
        let keyword = random.pick(&KEYWORDS);
        add(&mut map, keyword, random, draft, depth);
    }
    if map.contains("$ref") && draft < 2019 {
        // Helm looks at these nevertheless, at others it does not.
        for keyword in ["const", "contains", "propertyNames", "if"] {
            map.remove(keyword);
        }
    }
    map.into()
}

fn add(map: &mut Map, keyword: &str, random: &mut Random, draft: u16, depth: usize) {
    let count = |random: &mut Random| Value::from(random.below(4) as i64);
    let names = |random: &mut Random| {
        let mut names: Vec<Value> = Vec::new();
        for _ in 0..1 + random.below(2) {
            let name = Value::from(random.pick(&KEYS));
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Value::list(names)
    };
    let nested = |random: &mut Random| match depth {
        0 => Map::from_iter([("type", Value::from(random.pick(&TYPES)))]).into(),
        _ => schema(random, draft, depth - 1),
    };
    let table = |random: &mut Random, keys: &[&str]| {
        (0..1 + random.below(2)).map(|_| (random.pick(keys).to_owned(), nested(random))).collect::<Map>()
    };
    let several = |random: &mut Random| (0..1 + random.below(3)).map(|_| nested(random)).collect::<Vec<_>>().into();
    let content = match keyword {
        "type" if random.percent(30) => {
            let (one, two) = (random.pick(&TYPES), random.pick(&TYPES));
            if one == two { Value::from(one) } else { Value::list(vec![one.into(), two.into()]) }
        }
        "type" => Value::from(random.pick(&TYPES)),
        "enum" => {
            let mut several: Vec<Value> = Vec::new();
            for _ in 0..1 + random.below(3) {
                let one = if random.percent(10) { value(random, 1) } else { scalar(random) };
                if !several.iter().any(|known| to_json(known) == to_json(&one)) {
                    several.push(one);
                }
            }
            several.into()
        }
        "const" if draft > 4 => value(random, 1),
        "minimum" | "maximum" => Value::from(random.below(2_000_000) as f64 / 4.0),
        "exclusiveMinimum" if draft > 4 => Value::from(random.below(10) as i64),
        "exclusiveMinimum" => {
            map.insert("minimum", Value::from(random.below(10) as i64));
            true.into()
        }
        "multipleOf" => Value::from(random.pick(&[2.0, 0.5, 3.0, 0.1])),
        "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" => count(random),
        "pattern" => Value::from(random.pick(&["^a", "b", "^[0-9.]+$", "☃", "^\\d{4}-\\w+"])),
        "format" => Value::from(random.pick(&FORMATS)),
        "items" => nested(random),
        // Items behind these Helm counts from 0 again.
        "tuple" if draft < 2020 => {
            map.insert("additionalItems", if random.percent(70) { Value::from(false) } else { Value::map() });
            let tuple: Value = several(random);
            map.insert("items", tuple);
            return;
        }
        "uniqueItems" => Value::from(random.percent(80)),
        "contains" if draft > 4 => {
            if draft >= 2019 && random.percent(50) {
                map.insert(random.pick(&["minContains", "maxContains"]), count(random));
            }
            nested(random)
        }
        "properties" => table(random, &KEYS).into(),
        "required" => names(random),
        "additionalProperties" if random.percent(60) => Value::from(false),
        "additionalProperties" => nested(random),
        "patternProperties" => table(random, &["^a", "b|c", "'"]).into(),
        "propertyNames" if draft > 4 => Map::from_iter([("maxLength", Value::from(1))]).into(),
        "dependencies" if draft >= 2019 => {
            map.insert("dependentRequired", Map::from_iter([(random.pick(&KEYS), names(random))]).into());
            map.insert("dependentSchemas", table(random, &KEYS).into());
            return;
        }
        "dependencies" => {
            let mut table = table(random, &KEYS);
            table.insert(random.pick(&KEYS), names(random));
            table.into()
        }
        "allOf" | "anyOf" | "oneOf" => several(random),
        "not" => nested(random),
        "if" if draft >= 7 => {
            map.insert("then", nested(random));
            map.insert("else", nested(random));
            nested(random)
        }
        "$ref" => Value::from(random.pick(&["#/definitions/one", "#/definitions/two"])),
        "unevaluated" if draft >= 2019 => {
            let name = random.pick(&["unevaluatedProperties", "unevaluatedItems"]);
            map.insert(name, if random.percent(70) { Value::from(false) } else { nested(random) });
            return;
        }
        _ => return,
    };
    map.insert(keyword, content);
}

/// A schema for all values, with what its references lead to.
fn document(random: &mut Random) -> String {
    let (draft, name) = DRAFTS[random.below(DRAFTS.len())];
    let mut map = match schema(random, draft, 3).as_map() {
        Some(map) => map.clone(),
        None => Map::new(),
    };
    let mut properties = map.get("properties").and_then(Value::as_map).cloned().unwrap_or_default();
    for key in &KEYS[..3] {
        properties.insert(*key, schema(random, draft, 2));
    }
    map.insert("properties", properties.into());
    let definitions = Map::from_iter([("one", schema(random, draft, 1)), ("two", schema(random, draft, 0))]);
    map.insert("definitions", definitions.into());
    if !name.is_empty() {
        map.insert("$schema", Value::from(name));
    }
    to_json(&map.into())
}

/// A line, and those that are indented below it, in order.
fn blocks(lines: &[&str]) -> String {
    let depth = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let mut blocks = Vec::new();
    let mut rest = lines;
    while let Some((head, tail)) = rest.split_first() {
        let below = tail.iter().take_while(|line| depth(line) > depth(head)).count();
        let mut words: Vec<&str> = head.split(['\'', ',']).collect();
        words.sort_unstable();
        blocks.push(format!("{}\n{}", words.join("'"), self::blocks(&tail[..below])));
        rest = &tail[below..];
    }
    blocks.sort();
    blocks.concat()
}

/// A line without the way to a reference that leads to itself.
fn without_way(line: &str) -> String {
    match (line.split_once(": both "), line.ends_with("causing reference cycle")) {
        (Some((place, _)), true) => format!("{place}: reference cycle"),
        _ => line.to_owned(),
    }
}

/// An error with the parts in order that Helm says in any order.
fn settled(error: &str) -> String {
    let lines: Vec<_> = error.lines().map(without_way).collect();
    blocks(&lines.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn schemas_refuse_what_they_refuse_in_helm() {
    let Asked { cases, seed, .. } = Asked::or_sample(40);
    let random = &mut Random::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("c/Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n");
    write("c/templates/a.yaml", "kind: A\n");
    let (mut rendered, mut wrong) = (0, Vec::new());
    for _ in 0..cases {
        let (schema, values) = (document(random), to_json(&object(random, 3)));
        write("c/values.schema.json", &schema);
        write("v.json", &values);
        let flags = ["-f", "v.json"];
        let expected = helm("helm", folder.path(), "c", &flags).map_err(|error| settled(&error));
        rendered += u64::from(expected.is_ok());
        let got = template_in(folder.path(), "c", &Flags::of(flags)).map_err(|error| settled(&error));
        if got != expected {
            wrong.push(format!("{schema}\n  values {values}\n  helm {expected:?}\n  ours {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "seed {seed}, {} of {cases}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(rendered * 10 >= cases && rendered < cases, "{rendered} of {cases} cases render");
}
