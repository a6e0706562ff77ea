//! Whether the schema of a definition may be one: every field has one type, said once, outside of all conditions.
//!
//! Two kinds of places are told apart. What describes a value (`properties`, `items`, `additionalProperties`) must say its
//! type; what is a condition on it (`allOf`, `anyOf`, `oneOf`, `not`) may only restrict. [`check`] reads from top to bottom.

use soll_schema::CrdSchema;
use soll_yaml::{Map, Value, to_json};

use super::rules::check_rules;
use super::validate;
use crate::refusal::{Cause, shown};
use crate::shape::{Rules, fit};

/// What is wrong with the schema that stands at a field of a definition. `has_status` says whether it has the subresource.
pub(crate) fn check(at: &str, schema: &Value, has_status: bool) -> Vec<Cause> {
    let mut checker = Checker { causes: Vec::new() };
    if has_status {
        checker.root_beside_status(at, schema);
    }
    if flag(schema, "nullable") {
        checker.forbid(at, "nullable", "nullable cannot be true at the root");
    }
    checker.described(schema, at, Level::Root, &Around::default());
    checker.conditions_are_about_what_is_described(schema, at);
    checker.causes
}

/// Where a schema stands among those that describe values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

/// What follows for a schema from those around it.
#[derive(Debug, Clone, Default)]
struct Around {
    /// Why there may be no defaults.
    no_defaults: Option<String>,
    /// Within the type or metadata of an object.
    in_metadata: bool,
    /// The outermost place of which the items are not known again in an older object.
    uncorrelated: Option<String>,
}

struct Checker {
    causes: Vec<Cause>,
}

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];
/// Fields whose schemas are those of metadata.
const OF_METADATA: [&str; 3] = ["metadata", "kind", "apiVersion"];
/// All that a schema may say at its root beside a status: its parts are taken apart there.
const BESIDE_STATUS: [&str; 22] = [
    "description",
    "type",
    "format",
    "title",
    "maximum",
    "exclusiveMaximum",
    "minimum",
    "exclusiveMinimum",
    "maxLength",
    "minLength",
    "pattern",
    "maxItems",
    "minItems",
    "uniqueItems",
    "multipleOf",
    "required",
    "items",
    "properties",
    "externalDocs",
    "example",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
];
/// What OpenAPI knows and definitions do not.
const UNSUPPORTED: [&str; 6] = ["id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"];

impl Checker {
    fn push(&mut self, cause: Cause) {
        self.causes.push(cause);
    }

    fn forbid(&mut self, at: &str, field: &str, why: &str) {
        self.push(Cause::forbidden(format!("{at}.{field}"), why));
    }

    fn require(&mut self, at: &str, field: &str, why: &str) {
        self.push(Cause::required(format!("{at}.{field}"), why));
    }

    fn invalid(&mut self, at: &str, field: &str, value: &str, why: &str) {
        self.push(Cause::invalid(format!("{at}.{field}"), value, why));
    }

    fn root_beside_status(&mut self, at: &str, schema: &Value) {
        let Some(map) = schema.as_map() else { return };
        if map.contains("type") && text(schema, "type") != "object" {
            let why =
                "only \"object\" is allowed as the type at the root of the schema if the status subresource is enabled";
            self.invalid(at, "type", &quoted(schema, "type"), why);
        } else if map.iter().any(|entry| !BESIDE_STATUS.contains(&entry.key.as_str()) && !is_zero(&entry.value)) {
            let upper = |name: &&str| match name.strip_prefix("x-kubernetes-") {
                Some("preserve-unknown-fields") => "XPreserveUnknownFields".to_owned(),
                Some(_) => "XValidations".to_owned(),
                None => format!("{}{}", name[..1].to_uppercase(), &name[1..]),
            };
            let allowed: Vec<String> = BESIDE_STATUS.iter().map(upper).collect();
            let allowed = allowed.join(" ");
            let why = format!(
                "only [{allowed}] fields are allowed at the root of the schema if the status subresource is enabled"
            );
            self.push(Cause::invalid(at, &shown(schema), why));
        }
    }

    /// A schema that describes a value.
    fn described(&mut self, schema: &Value, at: &str, level: Level, around: &Around) {
        let found = self.causes.len();
        self.anywhere(schema, at, around);
        self.type_is_said(schema, at, level);
        self.metadata_is_left_alone(schema, at, level);
        self.default_fits(schema, at, around);
        let is_embedded = flag(schema, "x-kubernetes-embedded-resource");

        if let Some(extra) = schema.get("additionalProperties").filter(|extra| !extra.is_null()) {
            if level == Level::Root {
                self.forbid(at, "additionalProperties", "must not be used at the root");
            }
            if is_embedded {
                let why = "must not be used if x-kubernetes-embedded-resource is set";
                self.forbid(at, "additionalProperties", why);
            }
            if extra.as_map().is_some() {
                let mut around = around.clone();
                if around.in_metadata {
                    around.no_defaults = Some("inside additionalProperties applying to object metadata".to_owned());
                }
                self.described(extra, &format!("{at}.additionalProperties"), Level::Field, &around);
            }
        }
        for (name, property) in properties(schema) {
            let mut around = around.clone();
            if text(schema, "x-kubernetes-map-type") == "atomic" {
                around.uncorrelated.get_or_insert_with(|| at.to_owned());
            }
            if (level == Level::Root || is_embedded) && OF_METADATA.contains(&name) {
                around.in_metadata = true;
                if level == Level::Root {
                    around.no_defaults = Some(format!("in top-level {name}"));
                }
            }
            self.described(property, &format!("{at}.properties[{name}]"), Level::Field, &around);
        }
        if let Some(items) = schema.get("items").filter(|items| items.as_map().is_some()) {
            let mut around = around.clone();
            if text(schema, "x-kubernetes-list-type") != "map" {
                around.uncorrelated.get_or_insert_with(|| at.to_owned());
            }
            self.described(items, &format!("{at}.items"), Level::Item, &around);
        }
        let skipped = SkippedTypes::of(schema);
        for (junctor, index, condition) in conditions(schema) {
            let is_skipped = junctor == "anyOf" && skipped == SkippedTypes::AnyOf;
            let skips_any_of = junctor == "allOf" && index == Some(0) && skipped == SkippedTypes::FirstOfAllOf;
            let at = place(at, junctor, index);
            if is_skipped {
                self.anywhere(condition, &at, around);
            } else {
                self.condition(condition, &at, skips_any_of, around);
            }
        }
        // Of rules only those are looked at whose schema is right.
        if self.causes.len() == found {
            self.causes.extend(check_rules(schema, at, around.uncorrelated.as_deref()));
        }
    }

    fn type_is_said(&mut self, schema: &Value, at: &str, level: Level) {
        let is = text(schema, "type");
        let has = |extension: &str| flag(schema, extension);
        if is == "array" && schema.get("items").is_none_or(Value::is_null) {
            self.require(at, "items", "must be specified");
        }
        if has("x-kubernetes-int-or-string") {
            for other in ["x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"] {
                if has(other) {
                    self.invalid(at, other, "true", "must be false if x-kubernetes-int-or-string is true");
                }
            }
        }
        if has("x-kubernetes-embedded-resource") && is != "object" {
            let why = "must be object if x-kubernetes-embedded-resource is true";
            if is.is_empty() {
                self.require(at, "type", why);
            } else {
                self.invalid(at, "type", &quoted(schema, "type"), why);
            }
        } else if is.is_empty() && !has("x-kubernetes-int-or-string") && !has("x-kubernetes-preserve-unknown-fields") {
            let why = match level {
                Level::Root => "must not be empty at the root",
                Level::Item => "must not be empty for specified array items",
                Level::Field => "must not be empty for specified object fields",
            };
            self.require(at, "type", why);
        }
        if level == Level::Root && !is.is_empty() && is != "object" {
            self.invalid(at, "type", &quoted(schema, "type"), "must be object at the root");
        }
        let is_open = has("x-kubernetes-preserve-unknown-fields");
        if has("x-kubernetes-embedded-resource") && !is_open && properties(schema).next().is_none() {
            let why = "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
            self.require(at, "properties", why);
        }
    }

    /// Metadata is Kubernetes' own: a definition may restrict names, and nothing else.
    fn metadata_is_left_alone(&mut self, schema: &Value, at: &str, level: Level) {
        let is_object = level == Level::Root || flag(schema, "x-kubernetes-embedded-resource");
        for (name, property) in properties(schema) {
            let is = text(property, "type");
            let at = format!("{at}.properties[{name}]");
            match name {
                "kind" | "apiVersion" if is_object && is != "string" => {
                    self.invalid(&at, "type", &format!("{is:?}"), "must be string");
                }
                "metadata" if is_object && is != "object" => {
                    self.invalid(&at, "type", &format!("{is:?}"), "must be object");
                }
                _ => {}
            }
            if name == "metadata" && level == Level::Root && !restricts_names_only(property) {
                let why =
                    "must not specify anything other than name and generateName, but metadata is implicitly specified";
                self.push(Cause::forbidden(at, why));
            }
        }
    }

    fn default_fits(&mut self, schema: &Value, at: &str, around: &Around) {
        let Some(default) = schema.get("default").filter(|default| !default.is_null()) else { return };
        // What may not be there need not fit.
        if around.no_defaults.is_some() || around.in_metadata {
            return;
        }
        let Ok(known) = CrdSchema::from_openapi_v3(schema) else { return };
        let at = format!("{at}.default");
        if !fit(known.root(), &mut default.clone(), Rules::Custom).unknown.is_empty() {
            self.push(Cause::invalid(&at, &shown(default), "must not have unknown fields"));
        }
        self.causes.extend(validate::check_at(&at, schema, default));
    }

    /// A condition on a value: it says nothing of what the value is.
    fn condition(&mut self, schema: &Value, at: &str, skips_any_of: bool, around: &Around) {
        self.anywhere(schema, at, around);
        for (field, why) in [
            ("type", "must be empty to be structural"),
            ("additionalProperties", "must be undefined to be structural"),
            ("default", "must be undefined to be structural"),
            ("title", "must be empty to be structural"),
            ("description", "must be empty to be structural"),
            ("nullable", "must be false to be structural"),
            ("x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
            ("x-kubernetes-embedded-resource", "must be false to be structural"),
            ("x-kubernetes-int-or-string", "must be false to be structural"),
            ("x-kubernetes-list-map-keys", "must be empty to be structural"),
            ("x-kubernetes-list-type", "must be undefined to be structural"),
            ("x-kubernetes-map-type", "must be undefined to be structural"),
            ("x-kubernetes-validations", "must be empty to be structural"),
        ] {
            let is_said = |value: &Value| if field == "default" { !value.is_null() } else { !is_zero(value) };
            if schema.get(field).is_some_and(is_said) {
                self.forbid(at, field, why);
            }
        }
        for (name, property) in properties(schema) {
            let at = format!("{at}.properties[{name}]");
            if name == "metadata" {
                self.push(Cause::forbidden(&at, "must not be specified in a nested context"));
            }
            self.condition(property, &at, false, around);
        }
        if let Some(items) = schema.get("items").filter(|items| items.as_map().is_some()) {
            self.condition(items, &format!("{at}.items"), false, around);
        }
        if let Some(extra) = schema.get("additionalProperties").filter(|extra| extra.as_map().is_some()) {
            self.anywhere(extra, &format!("{at}.additionalProperties"), around);
        }
        for (junctor, index, condition) in conditions(schema) {
            let at = place(at, junctor, index);
            if skips_any_of && junctor == "anyOf" {
                self.anywhere(condition, &at, around);
            } else {
                self.condition(condition, &at, false, around);
            }
        }
    }

    /// The conditions of the root: what they are about must be described outside of them.
    fn conditions_are_about_what_is_described(&mut self, root: &Value, at: &str) {
        for (junctor, index, condition) in conditions(root) {
            self.is_described(condition, &place(at, junctor, index), root, at);
        }
    }

    fn is_described(&mut self, condition: &Value, at: &str, described: &Value, described_at: &str) {
        for (name, property) in properties(condition) {
            let (at, place) = (format!("{at}.properties[{name}]"), format!("{described_at}.properties[{name}]"));
            match described.lookup(&["properties", name]) {
                Some(described) => self.is_described(property, &at, described, &place),
                None => self.push(Cause::required(place, &format!("because it is defined in {at}"))),
            }
        }
        if let Some(items) = condition.get("items").filter(|items| items.as_map().is_some()) {
            let (at, place) = (format!("{at}.items"), format!("{described_at}.items"));
            match described.get("items") {
                Some(described) => self.is_described(items, &at, described, &place),
                None => self.push(Cause::required(place, &format!("because it is defined in {at}"))),
            }
        }
        for (junctor, index, condition) in conditions(condition) {
            self.is_described(condition, &place(at, junctor, index), described, described_at);
        }
    }

    /// What holds for every schema, whether it describes or is a condition.
    fn anywhere(&mut self, schema: &Value, at: &str, around: &Around) {
        let is = text(schema, "type");
        if is == "null" {
            self.forbid(at, "type", "type cannot be set to null, use nullable as an alternative");
        }
        if !is.is_empty() && !TYPES.contains(&is) {
            let cause = Cause::unsupported(format!("{at}.type"), &quoted(schema, "type"), &TYPES);
            self.push(cause);
        }
        if let (Some(why), true) = (&around.no_defaults, schema.get("default").is_some_and(|value| !value.is_null())) {
            self.forbid(at, "default", &format!("must not be set {why}"));
        }
        for field in UNSUPPORTED {
            if schema.get(field).is_some_and(|value| !is_zero(value)) {
                self.forbid(at, field, &format!("{field} is not supported"));
            }
        }
        if schema.get("items").is_some_and(|items| items.as_list().is_some_and(|list| !list.is_empty())) {
            self.forbid(at, "items", "items must be a schema object and not an array");
        }
        if around.in_metadata && flag(schema, "x-kubernetes-embedded-resource") {
            self.forbid(at, "x-kubernetes-embedded-resource", "must not be used inside of resource meta");
        }
        if flag(schema, "uniqueItems") {
            let why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
            self.forbid(at, "uniqueItems", why);
        }
        let extra = schema.get("additionalProperties");
        if extra.is_some_and(|extra| extra.as_map().is_some() || extra.as_bool() == Some(false))
            && properties(schema).next().is_some()
        {
            let why = "additionalProperties and properties are mutual exclusive";
            self.forbid(at, "additionalProperties", why);
        }
        if schema.get("x-kubernetes-preserve-unknown-fields").and_then(Value::as_bool) == Some(false) {
            self.invalid(at, "x-kubernetes-preserve-unknown-fields", "false", "must be true or undefined");
        }
        let pattern = text(schema, "pattern");
        if let Err(regex::Error::Syntax(error)) = regex::Regex::new(pattern) {
            let why = format!("must be a valid regular expression, but isn't: {error}");
            self.invalid(at, "pattern", &format!("{pattern:?}"), &why);
        }
        self.lists_and_maps(schema, at);
    }

    fn lists_and_maps(&mut self, schema: &Value, at: &str) {
        let is = text(schema, "type");
        for (extension, wanted, allowed) in [
            ("x-kubernetes-map-type", "object", &["atomic", "granular"][..]),
            ("x-kubernetes-list-type", "array", &["atomic", "set", "map"][..]),
        ] {
            let Some(how) = schema.lookup_str(&[extension]) else { continue };
            if is != wanted {
                let why = format!("must be {wanted} if {extension} is specified");
                if is.is_empty() {
                    self.require(at, "type", &why);
                } else {
                    self.invalid(at, "type", &quoted(schema, "type"), &why);
                }
            }
            if !allowed.contains(&how) {
                self.push(Cause::unsupported(format!("{at}.{extension}"), &format!("{how:?}"), allowed));
            }
        }
        let list_type = schema.lookup_str(&["x-kubernetes-list-type"]);
        let keys = list(schema, "x-kubernetes-list-map-keys");
        if !keys.is_empty() && list_type != Some("map") {
            let why = "must be map if x-kubernetes-list-map-keys is non-empty";
            match list_type {
                None => self.require(at, "x-kubernetes-list-type", why),
                Some(other) => self.invalid(at, "x-kubernetes-list-type", &format!("{other:?}"), why),
            }
        }
        let items = schema.get("items").filter(|items| items.as_map().is_some());
        match (list_type, items) {
            (Some("set"), Some(items)) if is == "array" => self.items_of_set(items, at),
            (Some("map"), _) => self.items_of_map(schema, items, at),
            _ => {}
        }
        if let (Some(how @ ("set" | "map")), Some(true)) = (list_type, items.map(|items| flag(items, "nullable"))) {
            let why = format!("cannot be nullable when x-kubernetes-list-type is {how}");
            self.forbid(at, "items.nullable", &why);
        }
    }

    /// Items of a set are compared as wholes.
    fn items_of_set(&mut self, items: &Value, at: &str) {
        let why = "must be atomic as item of a list with x-kubernetes-list-type=set";
        let how = |extension: &str| items.lookup_str(&[extension]);
        match text(items, "type") {
            "array" if how("x-kubernetes-list-type").is_some_and(|how| how != "atomic") => {
                self.invalid(at, "items.x-kubernetes-list-type", &quoted(items, "x-kubernetes-list-type"), why);
            }
            "object" if how("x-kubernetes-map-type") != Some("atomic") => {
                let shown = how("x-kubernetes-list-type").map_or("null".to_owned(), |how| format!("{how:?}"));
                self.invalid(at, "items.x-kubernetes-map-type", &shown, why);
            }
            _ => {}
        }
    }

    /// Items of a map are known by keys: each has them, and they are plain values.
    fn items_of_map(&mut self, schema: &Value, items: Option<&Value>, at: &str) {
        let keys: Vec<&str> = list(schema, "x-kubernetes-list-map-keys").iter().filter_map(Value::as_str).collect();
        if keys.is_empty() {
            let why = "must not be empty if x-kubernetes-list-type is map";
            self.require(at, "x-kubernetes-list-map-keys", why);
        }
        let Some(items) = items else {
            return self.require(at, "items", "must have a schema if x-kubernetes-list-type is map");
        };
        if text(items, "type") != "object" {
            let why = "must be object if parent array's x-kubernetes-list-type is map";
            return self.invalid(at, "items.type", &quoted(items, "type"), why);
        }
        let all = to_json(schema.get("x-kubernetes-list-map-keys").unwrap_or(&Value::null()));
        let required = list(items, "required");
        for (index, key) in keys.iter().enumerate() {
            if keys[..index].contains(key) {
                self.invalid(at, "x-kubernetes-list-map-keys", &all, "must not contain duplicate entries");
            }
            let Some(property) = items.lookup(&["properties", key]) else {
                let why = "entries must all be names of item properties";
                self.invalid(at, "x-kubernetes-list-map-keys", &all, why);
                continue;
            };
            let place = format!("{at}.items.properties[{key}]");
            if matches!(text(property, "type"), "array" | "object") {
                let why = "must be a scalar type if parent array's x-kubernetes-list-type is map";
                self.invalid(&place, "type", &quoted(items, "type"), why);
            }
            let is_required = required.iter().any(|name| name.as_str() == Some(key));
            if !is_required && property.get("default").is_none_or(Value::is_null) {
                let why = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
                self.require(&place, "default", why);
            }
            if flag(property, "nullable") {
                let why = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
                self.forbid(&place, "nullable", why);
            }
        }
    }
}

/// Numbers or texts are described by conditions that name the two types; those may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SkippedTypes {
    None,
    AnyOf,
    FirstOfAllOf,
}

impl SkippedTypes {
    fn of(schema: &Value) -> Self {
        let names_both = |schema: &Value| {
            let types: Vec<String> = list(schema, "anyOf").iter().map(to_json).collect();
            types == [r#"{"type":"integer"}"#, r#"{"type":"string"}"#]
        };
        if names_both(schema) {
            return Self::AnyOf;
        }
        match list(schema, "allOf").first() {
            Some(first) if names_both(first) => Self::FirstOfAllOf,
            _ => Self::None,
        }
    }
}

fn restricts_names_only(metadata: &Value) -> bool {
    let rest = metadata.as_map().into_iter().flatten();
    let mut rest = rest.filter(|entry| !matches!(entry.key.as_str(), "type" | "default") && !is_zero(&entry.value));
    rest.all(|entry| {
        entry.key == "properties"
            && entry
                .value
                .as_map()
                .is_some_and(|map| map.keys().all(|key| matches!(key.as_str(), "name" | "generateName")))
    })
}

/// The conditions of a schema: the junctor, the place in its list, the schema.
fn conditions(schema: &Value) -> impl Iterator<Item = (&'static str, Option<usize>, &Value)> {
    let listed = ["allOf", "anyOf", "oneOf"].into_iter().flat_map(move |junctor| {
        list(schema, junctor).iter().enumerate().map(move |(index, one)| (junctor, Some(index), one))
    });
    listed.chain(schema.get("not").filter(|not| !not.is_null()).map(|not| ("not", None, not)))
}

fn place(at: &str, junctor: &str, index: Option<usize>) -> String {
    match index {
        Some(index) => format!("{at}.{junctor}[{index}]"),
        None => format!("{at}.{junctor}"),
    }
}

fn properties(schema: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let map = schema.get("properties").and_then(Value::as_map);
    map.into_iter().flat_map(Map::iter).map(|entry| (entry.key.as_str(), &entry.value))
}

fn list<'s>(schema: &'s Value, field: &str) -> &'s [Value] {
    schema.get(field).and_then(Value::as_list).unwrap_or_default()
}

fn text<'s>(schema: &'s Value, field: &str) -> &'s str {
    schema.lookup_str(&[field]).unwrap_or_default()
}

fn quoted(schema: &Value, field: &str) -> String {
    format!("{:?}", text(schema, field))
}

fn flag(schema: &Value, field: &str) -> bool {
    schema.get(field).and_then(Value::as_bool) == Some(true)
}

/// What Go takes for not written.
fn is_zero(value: &Value) -> bool {
    value.is_null()
        || value.as_bool() == Some(false)
        || value.as_str() == Some("")
        || value.as_list().is_some_and(<[Value]>::is_empty)
        || value.as_map().is_some_and(Map::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use soll_yaml::parse_json;

    fn found(schema: &str) -> Vec<String> {
        let schema = parse_json(schema.as_bytes()).expect("JSON");
        let mut found: Vec<String> =
            check("s", &schema, false).iter().map(|cause| format!("{} {}", cause.field, cause.message)).collect();
        found.sort();
        found
    }

    #[test]
    fn what_describes_says_its_type_and_conditions_do_not() {
        let good = r#"{"type":"object","properties":{"spec":{"type":"object","properties":{
            "port":{"x-kubernetes-int-or-string":true,"anyOf":[{"type":"integer"},{"type":"string"}]},
            "mode":{"type":"string","enum":["a","b"],"default":"a"}},
            "oneOf":[{"required":["port"]},{"required":["mode"]}]}}}"#;
        assert_eq!(found(good), Vec::<String>::new());
        let bad = r#"{"type":"object","properties":{"spec":{"properties":{"l":{"type":"array"}},
            "anyOf":[{"type":"object","description":"x"}]}},"oneOf":[{"properties":{"other":{"minimum":1}}}]}"#;
        assert_eq!(
            found(bad),
            [
                "s.properties[other] Required value: because it is defined in s.oneOf[0].properties[other]",
                "s.properties[spec].anyOf[0].description Forbidden: must be empty to be structural",
                "s.properties[spec].anyOf[0].type Forbidden: must be empty to be structural",
                "s.properties[spec].properties[l].items Required value: must be specified",
                "s.properties[spec].type Required value: must not be empty for specified object fields",
            ]
        );
    }

    #[test]
    fn defaults_fit_their_schema() {
        let schema = r#"{"type":"object","properties":{"spec":{"type":"object","default":{"a":"x","b":1},
            "properties":{"a":{"type":"integer"}}},"metadata":{"type":"object","properties":{"name":{"type":"string","default":"n"}}}}}"#;
        assert_eq!(
            found(schema),
            [
                "s.properties[metadata].properties[name].default Forbidden: must not be set in top-level metadata",
                "s.properties[spec].default Invalid value: {\"a\":\"x\",\"b\":1}: must not have unknown fields",
                "s.properties[spec].default.a Invalid value: \"string\": a in body must be of type integer: \"string\"",
            ]
        );
    }

    #[test]
    fn lists_of_maps_know_their_items() {
        let schema = r#"{"type":"object","properties":{"l":{"type":"array","x-kubernetes-list-type":"map",
            "x-kubernetes-list-map-keys":["a","b"],"items":{"type":"object","properties":{"a":{"type":"string"}}}}}}"#;
        assert_eq!(
            found(schema),
            [
                "s.properties[l].items.properties[a].default Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
                "s.properties[l].x-kubernetes-list-map-keys Invalid value: [\"a\",\"b\"]: entries must all be names of item properties",
            ]
        );
    }
}
