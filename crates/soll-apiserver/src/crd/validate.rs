//! Whether custom resources fit their schema, said as Kubernetes says it.

use soll_yaml::{Data, Value, to_json};

use crate::refusal::Cause;

/// What is wrong with an object of a custom resource.
pub(crate) fn check(openapi: &Value, object: &Value) -> Vec<Cause> {
    let mut checker = Checker { path: String::new(), causes: Vec::new() };
    checker.value(openapi, object, true);
    checker.causes
}

/// What is wrong with a value that stands at a place. Messages name fields within the value.
pub(crate) fn check_at(at: &str, openapi: &Value, value: &Value) -> Vec<Cause> {
    let mut checker = Checker { path: String::new(), causes: Vec::new() };
    checker.value(openapi, value, false);
    for cause in &mut checker.causes {
        let dot = if cause.field.is_empty() || cause.field.starts_with('[') { "" } else { "." };
        cause.field = format!("{at}{dot}{}", cause.field);
    }
    checker.causes
}

struct Checker {
    path: String,
    causes: Vec<Cause>,
}

impl Checker {
    fn value(&mut self, openapi: &Value, value: &Value, root: bool) {
        if value.is_null() && flag(openapi, "nullable") {
            return;
        }
        if !self.has_type(openapi, value) {
            return;
        }
        self.limits(openapi, value);
        match &value.data {
            Data::Map(_) => self.map(openapi, value, root),
            Data::List(_) => self.list(openapi, value),
            _ => {}
        }
        self.junctions(openapi, value, root);
    }

    fn has_type(&mut self, openapi: &Value, value: &Value) -> bool {
        let found = value.type_name();
        if flag(openapi, "x-kubernetes-int-or-string") {
            let fits = matches!(value.data, Data::Int(_) | Data::Str(_));
            if !fits {
                self.misfit("integer,string", value);
            }
            return fits;
        }
        let Some(wanted) = openapi.lookup_str(&["type"]).filter(|wanted| !wanted.is_empty()) else { return true };
        let fits = match wanted {
            "object" => found == "map",
            "array" => found == "list",
            "number" => matches!(found, "number" | "integer"),
            "integer" => value.as_i64().is_some(),
            other => found == other,
        };
        if !fits {
            self.misfit(wanted, value);
        }
        fits
    }

    fn misfit(&mut self, wanted: &str, value: &Value) {
        let found = match value.type_name() {
            "map" => "object",
            "list" => "array",
            other => other,
        };
        let why = format!("{} in body must be of type {wanted}: \"{found}\"", self.path);
        let message = format!("Invalid value: \"{found}\": {why}");
        self.causes.push(Cause { kind: "FieldValueTypeInvalid", field: self.path.clone(), message });
    }

    fn invalid(&mut self, shown: &str, why: &str) {
        let why = format!("{} in body {why}", self.path);
        self.causes.push(Cause::invalid(self.path.clone(), shown, why));
    }

    fn too(&mut self, kind: &'static str, message: String) {
        self.causes.push(Cause { kind, field: self.path.clone(), message });
    }

    /// The limits of a leaf, and of sizes.
    fn limits(&mut self, openapi: &Value, value: &Value) {
        if let Some(allowed) = openapi.get("enum").and_then(Value::as_list)
            && !allowed.contains(value)
        {
            let texts: Vec<String> =
                allowed.iter().map(|one| one.as_str().map_or_else(|| to_json(one), str::to_owned)).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            self.causes.push(Cause::unsupported(self.path.clone(), &to_json(value), &texts));
        }
        let limit = |name: &str| openapi.get(name).and_then(Value::as_i64);
        match &value.data {
            Data::Str(text) => self.text_limits(openapi, text),
            Data::Int(_) | Data::Float(_) => self.number_limits(openapi, value),
            Data::List(items) => {
                let length = items.len() as i64;
                if let Some(least) = limit("minItems").filter(|least| length < *least) {
                    self.invalid(&length.to_string(), &format!("should have at least {least} items"));
                }
                if let Some(most) = limit("maxItems").filter(|most| length > *most) {
                    self.too("FieldValueTooMany", format!("Too many: {length}: must have at most {most} items"));
                }
            }
            Data::Map(map) => {
                let length = map.len() as i64;
                if let Some(least) = limit("minProperties").filter(|least| length < *least) {
                    self.invalid(&length.to_string(), &format!("should have at least {least} properties"));
                }
                if let Some(most) = limit("maxProperties").filter(|most| length > *most) {
                    self.too("FieldValueTooMany", format!("Too many: {length}: must have at most {most} items"));
                }
            }
            Data::Null | Data::Bool(_) => {}
        }
    }

    fn text_limits(&mut self, openapi: &Value, text: &str) {
        let limit = |name: &str| openapi.get(name).and_then(Value::as_i64);
        let length = text.chars().count() as i64;
        let shown = to_json(&Value::str(text));
        if let Some(least) = limit("minLength").filter(|least| length < *least) {
            self.invalid(&shown, &format!("should be at least {least} chars long"));
        }
        if let Some(most) = limit("maxLength").filter(|most| length > *most) {
            self.too("FieldValueTooLong", format!("Too long: may not be more than {most} bytes"));
        }
        if let Some(pattern) = openapi.lookup_str(&["pattern"])
            // Validation of the definition refused patterns that are none.
            && regex::Regex::new(pattern).is_ok_and(|regex| !regex.is_match(text))
        {
            self.invalid(&shown, &format!("should match '{pattern}'"));
        }
        if openapi.lookup_str(&["format"]) == Some("date-time") && text.parse::<jiff::Timestamp>().is_err() {
            self.invalid(&shown, &format!("must be of type date-time: {shown}"));
        }
    }

    fn number_limits(&mut self, openapi: &Value, value: &Value) {
        let number = number(value);
        let limit = |name: &str| openapi.get(name).map(self::number);
        let shown = to_json(value);
        if let Some(least) = limit("minimum") {
            if flag(openapi, "exclusiveMinimum") && number <= least {
                self.invalid(&shown, &format!("should be greater than {least}"));
            } else if number < least {
                self.invalid(&shown, &format!("should be greater than or equal to {least}"));
            }
        }
        if let Some(most) = limit("maximum") {
            if flag(openapi, "exclusiveMaximum") && number >= most {
                self.invalid(&shown, &format!("should be less than {most}"));
            } else if number > most {
                self.invalid(&shown, &format!("should be less than or equal to {most}"));
            }
        }
        if let Some(step) = limit("multipleOf").filter(|step| *step > 0.0 && (number / step).fract() != 0.0) {
            self.invalid(&shown, &format!("should be a multiple of {step}"));
        }
    }

    fn map(&mut self, openapi: &Value, value: &Value, root: bool) {
        let Some(map) = value.as_map() else { return };
        for name in
            openapi.get("required").and_then(Value::as_list).unwrap_or_default().iter().filter_map(Value::as_str)
        {
            if !map.contains(name) {
                let field = self.join(name);
                self.causes.push(Cause { kind: "FieldValueRequired", field, message: "Required value".to_owned() });
            }
        }
        let extra = openapi.get("additionalProperties").filter(|extra| extra.as_map().is_some());
        for entry in map {
            // The metadata was checked for all kinds alike.
            if root && matches!(entry.key.as_str(), "apiVersion" | "kind" | "metadata") {
                continue;
            }
            let known = openapi.lookup(&["properties", &entry.key]);
            if let Some(next) = known.or(extra) {
                let step = self.join(&entry.key);
                let outer = std::mem::replace(&mut self.path, step);
                self.value(next, &entry.value, false);
                self.path = outer;
            }
        }
    }

    fn list(&mut self, openapi: &Value, value: &Value) {
        let list = value.as_list().unwrap_or_default();
        if let Some(items) = openapi.get("items") {
            for (index, item) in list.iter().enumerate() {
                let step = format!("{}[{index}]", self.path);
                let outer = std::mem::replace(&mut self.path, step);
                self.value(items, item, false);
                self.path = outer;
            }
        }
        let keys: Vec<&str> = match openapi.lookup_str(&["x-kubernetes-list-type"]) {
            Some("set") => Vec::new(),
            Some("map") => {
                let keys = openapi.get("x-kubernetes-list-map-keys").and_then(Value::as_list).unwrap_or_default();
                keys.iter().filter_map(Value::as_str).collect()
            }
            _ => return,
        };
        let mut seen = Vec::new();
        for (index, item) in list.iter().enumerate() {
            let identity = if keys.is_empty() {
                to_json(item)
            } else {
                let parts =
                    keys.iter().map(|key| format!("\"{key}\":{}", item.get(key).map_or("null".to_owned(), to_json)));
                format!("{{{}}}", parts.collect::<Vec<_>>().join(","))
            };
            if seen.contains(&identity) {
                self.causes.push(Cause::duplicate(format!("{}[{index}]", self.path), &identity));
            } else {
                seen.push(identity);
            }
        }
    }

    fn junctions(&mut self, openapi: &Value, value: &Value, root: bool) {
        let branches = |name: &str| openapi.get(name).and_then(Value::as_list).unwrap_or_default();
        let fits = |branch: &Value| {
            let mut checker = Checker { path: self.path.clone(), causes: Vec::new() };
            checker.value(branch, value, root);
            checker.causes.is_empty()
        };
        let of_all: Vec<&Value> = branches("allOf").iter().collect();
        let any = branches("anyOf");
        let any_fits = any.is_empty() || any.iter().any(fits);
        let one = branches("oneOf");
        let one_fits = one.iter().filter(|branch| fits(branch)).count();
        let not_fits = openapi.get("not").is_some_and(fits);
        let shown = to_json(value);
        let place = self.path.clone();
        let mut say = |why: String| self.causes.push(Cause::invalid(place.clone(), &shown, why));
        if !any_fits {
            say(format!("{place:?} must validate at least one schema (anyOf)"));
        }
        match one_fits {
            _ if one.is_empty() => {}
            0 => say(format!("{place:?} must validate one and only one schema (oneOf). Found none valid")),
            1 => {}
            found => say(format!(
                "{place:?} must validate one and only one schema (oneOf). Found {found} valid alternatives"
            )),
        }
        if not_fits {
            say(format!("{place:?} must not validate the schema (not)"));
        }
        for branch in of_all {
            self.value(branch, value, root);
        }
    }

    fn join(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

fn flag(openapi: &Value, name: &str) -> bool {
    openapi.get(name).and_then(Value::as_bool) == Some(true)
}

fn number(value: &Value) -> f64 {
    match value.data {
        Data::Int(number) => number as f64,
        Data::Float(number) => number,
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use soll_yaml::parse_json;

    fn causes(schema: &str, object: &str) -> Vec<String> {
        let parse = |text: &str| parse_json(text.as_bytes()).expect("JSON");
        let shown = |cause: &Cause| format!("{} {}: {}", cause.kind, cause.field, cause.message);
        check(&parse(schema), &parse(object)).iter().map(shown).collect()
    }

    #[test]
    fn every_limit_is_checked() {
        let schema = r#"{"type":"object","required":["spec"],"properties":{"spec":{"type":"object","required":["r"],"properties":{
            "i":{"type":"integer","minimum":1,"maximum":3},"s":{"type":"string","minLength":2,"pattern":"^a"},
            "e":{"type":"string","enum":["x","y"]},"l":{"type":"array","maxItems":1,"items":{"type":"string"}},
            "set":{"type":"array","x-kubernetes-list-type":"set"},"ios":{"x-kubernetes-int-or-string":true}}}}}"#;
        assert_eq!(causes(schema, "{}"), ["FieldValueRequired spec: Required value"]);
        let object = r#"{"spec":{"i":0,"s":"b","e":"z","l":["a",1],"set":[1,1],"ios":true}}"#;
        assert_eq!(
            causes(schema, object),
            [
                "FieldValueRequired spec.r: Required value",
                "FieldValueInvalid spec.i: Invalid value: 0: spec.i in body should be greater than or equal to 1",
                "FieldValueInvalid spec.s: Invalid value: \"b\": spec.s in body should be at least 2 chars long",
                "FieldValueInvalid spec.s: Invalid value: \"b\": spec.s in body should match '^a'",
                "FieldValueNotSupported spec.e: Unsupported value: \"z\": supported values: \"x\", \"y\"",
                "FieldValueTooMany spec.l: Too many: 2: must have at most 1 items",
                "FieldValueTypeInvalid spec.l[1]: Invalid value: \"integer\": spec.l[1] in body must be of type string: \"integer\"",
                "FieldValueDuplicate spec.set[1]: Duplicate value: 1",
                "FieldValueTypeInvalid spec.ios: Invalid value: \"boolean\": spec.ios in body must be of type integer,string: \"boolean\"",
            ]
        );
        assert!(
            causes(schema, r#"{"spec":{"r":1,"i":2,"s":"ab","e":"x","l":["a"],"set":[1,2],"ios":"5%"}}"#).is_empty()
        );
    }

    #[test]
    fn one_of_means_one() {
        let schema = r#"{"properties":{"spec":{"oneOf":[{"required":["a"]},{"required":["b"]}]}}}"#;
        assert!(causes(schema, r#"{"spec":{"a":1}}"#).is_empty());
        assert_eq!(causes(schema, r#"{"spec":{}}"#).len(), 1);
        assert_eq!(causes(schema, r#"{"spec":{"a":1,"b":1}}"#).len(), 1);
    }
}
