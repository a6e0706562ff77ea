//! The CEL rules of custom resources (`x-kubernetes-validations`).

use kube_cel::{CompiledSchema, Validator, compile_schema};
use soll_yaml::Value;

use crate::refusal::Cause;

/// The rules of one version, compiled. A version without rules costs nothing.
pub(crate) struct Rules(Option<CompiledSchema>);

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Rules" } else { "no rules" })
    }
}

impl Rules {
    /// Compiles what stands in a schema.
    pub(crate) fn of(openapi: &Value) -> Self {
        let compiled = has_rules(openapi).then(|| serde_json::to_value(openapi).ok()).flatten();
        Self(compiled.map(|schema| compile_schema(&schema)))
    }

    /// What the rules say against an object, or against its change.
    pub(crate) fn check(&self, old: Option<&Value>, object: &Value) -> Vec<Cause> {
        let Some(compiled) = &self.0 else { return Vec::new() };
        let json = |value: &Value| serde_json::to_value(value).unwrap_or_default();
        let old = old.map(json);
        let verdict = Validator::new().validate_compiled(compiled, &json(object), old.as_ref());
        let errors = verdict.err().map(kube_cel::ValidationErrors::into_vec).unwrap_or_default();
        errors
            .into_iter()
            .map(|error| {
                let shown = soll_yaml::FieldPath::parse(&error.field_path)
                    .find(object)
                    .map_or("null", |value| match value.type_name() {
                        "map" => "\"object\"",
                        "list" => "\"array\"",
                        other => other,
                    })
                    .to_owned();
                match error.reason.as_deref() {
                    Some("FieldValueForbidden") => Cause::forbidden(error.field_path, error.message),
                    Some("FieldValueRequired") => Cause::required(error.field_path, &error.message),
                    _ => Cause::invalid(error.field_path, &shown, error.message),
                }
            })
            .collect()
    }
}

fn has_rules(schema: &Value) -> bool {
    match (schema.as_map(), schema.as_list()) {
        (Some(map), _) => map.iter().any(|entry| entry.key == "x-kubernetes-validations" || has_rules(&entry.value)),
        (_, Some(list)) => list.iter().any(has_rules),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use soll_yaml::parse_json;

    #[test]
    fn rules_look_at_the_object_and_at_what_it_was() {
        let schema = br#"{"type":"object","properties":{"spec":{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"}},
            "x-kubernetes-validations":[{"rule":"self.a > 0","message":"a must be positive"},
            {"rule":"self.b == oldSelf.b","message":"b is immutable"}]}}}"#;
        let rules = Rules::of(&parse_json(schema).expect("JSON"));
        let object = |text: &str| parse_json(text.as_bytes()).expect("JSON");
        let good = object(r#"{"spec":{"a":1,"b":"x"}}"#);
        assert!(rules.check(None, &good).is_empty());
        let causes = rules.check(None, &object(r#"{"spec":{"a":0,"b":"x"}}"#));
        assert_eq!(causes.len(), 1);
        assert_eq!((causes[0].field.as_str(), causes[0].message.contains("a must be positive")), ("spec", true));
        let causes = rules.check(Some(&good), &object(r#"{"spec":{"a":1,"b":"y"}}"#));
        assert!(causes[0].message.contains("b is immutable"));
    }
}
