//! Defaults of custom resources: what the schema names for fields that are missing.

use soll_yaml::Value;

/// Fills in the defaults of a structural schema, from the outside in.
pub(crate) fn fill(openapi: &Value, value: &mut Value) {
    if let Some(map) = value.as_map_mut() {
        let properties = openapi.get("properties").and_then(Value::as_map);
        for property in properties.into_iter().flatten() {
            let nullable = property.value.get("nullable").and_then(Value::as_bool) == Some(true);
            let missing = map.get(&property.key).is_none_or(|held| held.is_null() && !nullable);
            match property.value.get("default") {
                Some(default) if missing => {
                    map.insert(property.key.clone(), default.clone());
                }
                _ => {}
            }
            if let Some(held) = map.get_mut(&property.key) {
                fill(&property.value, held);
            }
        }
        if let Some(extra) = openapi.get("additionalProperties").filter(|extra| extra.as_map().is_some()) {
            for (key, held) in map.iter_mut() {
                if properties.is_none_or(|properties| !properties.contains(key)) {
                    fill(extra, held);
                }
            }
        }
    } else if let (Some(list), Some(items)) = (value.as_list_mut(), openapi.get("items")) {
        for item in list {
            fill(items, item);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use soll_yaml::{parse_json, to_json_sorted};

    #[test]
    fn missing_fields_get_their_defaults() {
        let schema = parse_json(
            br#"{"properties":{
                "a":{"type":"string","default":"x"},
                "b":{"type":"object","default":{},"properties":{"c":{"default":1}}},
                "l":{"items":{"properties":{"d":{"default":true}}}},
                "m":{"additionalProperties":{"properties":{"e":{"default":2}}}},
                "n":{"nullable":true,"default":"never"}}}"#,
        )
        .expect("JSON");
        let mut object = parse_json(br#"{"a":null,"l":[{},{"d":false}],"m":{"k":{}},"n":null}"#).expect("JSON");
        fill(&schema, &mut object);
        assert_eq!(
            to_json_sorted(&object),
            r#"{"a":"x","b":{"c":1},"l":[{"d":true},{"d":false}],"m":{"k":{"e":2}},"n":null}"#
        );
    }
}
