//! The one document of OpenAPI v2, for clients that know no other: the documents of v3 put together and said in its words.

use serde_json::{Map, Value as Json, json};

use super::document;
use crate::discovery::GIT_VERSION;
use crate::resources::Table;

/// All that is served, as JSON.
pub(super) fn swagger(table: &Table) -> Json {
    let (mut paths, mut definitions) = (Map::new(), Map::new());
    for (group, versions) in table.groups() {
        for version in versions {
            let mut document = document(table, &group, &version);
            if let Json::Object(of_version) = document["paths"].take() {
                paths.extend(of_version.into_iter().map(|(path, item)| (path, path_item(item))));
            }
            if let Json::Object(schemas) = document["components"]["schemas"].take() {
                // What several versions refer to is the same in each; kinds are told where they are served.
                for (name, schema) in schemas {
                    let schema = plain(schema);
                    let known = definitions.entry(name).or_insert_with(|| schema.clone());
                    if schema.get("x-kubernetes-group-version-kind").is_some() {
                        *known = schema;
                    }
                }
            }
        }
    }
    json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": GIT_VERSION},
        "paths": paths,
        "definitions": definitions,
    })
}

/// The operations of a path: what they read and write stands elsewhere in v2.
fn path_item(item: Json) -> Json {
    let Json::Object(operations) = item else { return item };
    operations.into_iter().map(|(method, operation)| (method, self::operation(operation))).collect::<Map<_, _>>().into()
}

fn operation(mut operation: Json) -> Json {
    let mut parameters: Vec<Json> = operation["parameters"].as_array().cloned().unwrap_or_default();
    for parameter in &mut parameters {
        let schema = parameter["schema"].take();
        if let (Json::Object(parameter), Json::Object(schema)) = (parameter, schema) {
            parameter.remove("schema");
            parameter.extend(schema);
        }
    }
    let Json::Object(fields) = &mut operation else { return operation };
    if let Some(body) = fields.remove("requestBody") {
        let content = body["content"].as_object().cloned().unwrap_or_default();
        let consumes: Vec<&String> = content.keys().collect();
        let schema = content.values().next().map(|one| plain(one["schema"].clone())).unwrap_or_default();
        parameters.push(json!({"in": "body", "name": "body", "required": true, "schema": schema}));
        fields.insert("consumes".to_owned(), json!(consumes));
    }
    fields.insert("parameters".to_owned(), parameters.into());
    fields.insert("produces".to_owned(), json!(["application/json", "application/yaml"]));
    let schema = operation["responses"]["200"]["content"]["application/json"]["schema"].take();
    operation["responses"]["200"] = json!({"description": "OK", "schema": plain(schema)});
    operation
}

/// A schema without what v2 does not know: alternatives and nulls. Values of several types are texts there.
fn plain(schema: Json) -> Json {
    match schema {
        Json::Object(mut map) => {
            if let Some(Json::String(to)) = map.get("$ref") {
                let to = to.replace("#/components/schemas/", "#/definitions/");
                return json!({"$ref": to});
            }
            if let Some(Json::Array(all)) = map.remove("allOf")
                && let [one] = all.as_slice()
                && one.get("$ref").is_some()
            {
                map.extend(plain(one.clone()).as_object().cloned().unwrap_or_default());
            }
            let has_alternatives = ["oneOf", "anyOf"].map(|field| map.remove(field).is_some()).contains(&true);
            if has_alternatives && !map.contains_key("type") && !map.contains_key("$ref") {
                map.insert("type".to_owned(), "string".into());
            }
            for field in ["not", "nullable"] {
                map.remove(field);
            }
            let said = |(name, value): (String, Json)| match (name.as_str(), value) {
                // Names of fields are no words of schemas.
                ("properties", Json::Object(fields)) => {
                    let fields = fields.into_iter().map(|(field, schema)| (field, plain(schema)));
                    (name, fields.collect::<Map<_, _>>().into())
                }
                ("default" | "enum" | "example", value) => (name, value),
                (_, value) => (name, plain(value)),
            };
            map.into_iter().map(said).collect::<Map<_, _>>().into()
        }
        Json::Array(items) => items.into_iter().map(plain).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::Registry;

    #[test]
    fn the_document_is_whole_and_in_the_words_of_v2() {
        let document = swagger(&Registry::builtin().table());
        let text = document.to_string();
        for word in ["#/components", "\"oneOf\":[", "\"allOf\":[", "requestBody"] {
            assert!(!text.contains(word), "{word}");
        }
        let schemas = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";
        for field in ["allOf", "oneOf", "not", "nullable", "$ref"] {
            assert!(document["definitions"][schemas]["properties"][field].is_object(), "{field} is a field there");
        }
        for part in text.split("#/definitions/").skip(1) {
            let name = part.split('"').next().unwrap_or_default();
            assert!(document["definitions"][name].is_object(), "{name}");
        }
        let patch = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
        let consumes = patch["consumes"].as_array().expect("a list");
        assert!(consumes.contains(&json!("application/strategic-merge-patch+json")));
        assert_eq!(patch["responses"]["200"]["schema"]["$ref"], "#/definitions/io.k8s.api.apps.v1.Deployment");
        let deployment = &document["definitions"]["io.k8s.api.apps.v1.Deployment"];
        assert_eq!(deployment["x-kubernetes-group-version-kind"][0]["kind"], "Deployment");
        let containers = &document["definitions"]["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
        assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
        let quantity = &document["definitions"]["io.k8s.api.core.v1.ResourceRequirements"]["properties"]["limits"];
        assert!(quantity["additionalProperties"].is_object());
    }
}
