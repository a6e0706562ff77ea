use soll_schema::{CrdSchema, ListType, Scalar, Shape};
use soll_yaml::parse_json;

fn schema(text: &str) -> CrdSchema {
    CrdSchema::from_openapi_v3(&parse_json(text.as_bytes()).expect("valid JSON")).expect("a schema")
}

#[test]
fn a_custom_kind_is_walked_as_a_builtin_one() {
    let schema = schema(
        r#"{"type":"object","required":["spec"],"properties":{
            "metadata":{"type":"object"},
            "spec":{"type":"object","properties":{
                "port":{"x-kubernetes-int-or-string":true},
                "labels":{"type":"object","additionalProperties":{"type":"string"}},
                "rules":{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["name"],
                    "items":{"type":"object","properties":{"name":{"type":"string"},"weight":{"type":"integer"}}}},
                "free":{"type":"object","x-kubernetes-preserve-unknown-fields":true,
                    "properties":{"known":{"type":"object","properties":{"a":{"type":"string"}}}}}}}}}"#,
    );
    let root = schema.root();
    let at = |path: &[&str]| root.lookup(path).expect("declared");
    assert_eq!(at(&["spec", "port"]).scalar(), Some(Scalar::IntOrString));
    assert_eq!(at(&["spec", "labels"]).shape(), Shape::Map);
    assert_eq!(at(&["spec", "labels", "any"]).scalar(), Some(Scalar::String));
    let rules = at(&["spec", "rules"]);
    assert_eq!((rules.list_type(), rules.map_keys().collect::<Vec<_>>()), (ListType::Map, vec!["name"]));
    assert_eq!(rules.items().expect("a list").field("weight").expect("declared").scalar(), Some(Scalar::Int64));
    assert_eq!(at(&["spec", "free", "unknown"]).shape(), Shape::Any);
    assert_eq!(at(&["spec", "free", "known", "b"]).shape(), Shape::Any);
    assert_eq!(at(&["metadata", "labels", "a"]).scalar(), Some(Scalar::String));
    assert!(root.lookup(&["spec", "typo"]).is_none());
    assert!(root.struct_field("spec").expect("declared").required);
    assert!(rules.openapi().is_some_and(|node| node.get("items").is_some()));
}

#[test]
fn pruning_keeps_less_than_merging_does() {
    let schema = schema(
        r#"{"type":"object","properties":{
            "silent":{"type":"object"},
            "map":{"type":"object","additionalProperties":{"type":"string"}},
            "free":{"type":"object","x-kubernetes-preserve-unknown-fields":true,
                "properties":{"known":{"type":"object","properties":{"a":{"type":"string"}}}}}}}"#,
    );
    let at = |path: &[&str]| schema.root().lookup(path).expect("declared");
    let kept = |path: &[&str]| at(path).undeclared().is_some();
    let merged = |path: &[&str]| at(path).values().is_some();
    assert_eq!((kept(&["silent"]), merged(&["silent"])), (false, true));
    assert_eq!((kept(&["map"]), merged(&["map"])), (true, true));
    assert_eq!((kept(&["free"]), merged(&["free"])), (true, true));
    assert_eq!((kept(&["free", "known"]), merged(&["free", "known"])), (false, true));
    assert_eq!((kept(&[]), merged(&[])), (false, false));
}

#[test]
fn says_where_a_schema_is_wrong() {
    let text = r#"{"type":"object","properties":{"spec":{"type":"object","properties":{"a":{"type":"text"}}}}}"#;
    let error = CrdSchema::from_openapi_v3(&parse_json(text.as_bytes()).expect("valid")).expect_err("no such type");
    let known = "object, array, string, integer, number, boolean";
    let expected = format!("properties.spec.properties.a: unknown type `text`, expected one of {known}");
    assert_eq!(error.to_string(), expected);
}
