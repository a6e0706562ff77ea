#![allow(clippy::unwrap_used)]

use super::*;

/// Schemas and values with what helm 4.2.4 said of them, but that it counts items behind `prefixItems` from 0.
const CASES: &str = include_str!("../../testdata/schema.json");

#[test]
fn faults_are_said_in_the_words_of_helm() {
    let cases = parse_json(CASES.as_bytes()).unwrap();
    let mut wrong = Vec::new();
    for case in cases.as_list().unwrap() {
        let schema = soll_yaml::to_json(case.get("schema").unwrap());
        let mut error = SchemaError { text: String::new(), faults: Vec::new() };
        let chart = chart_with(&schema);
        check_chart(&chart, case.get("values").unwrap(), &soll_yaml::FieldPath::root(), &mut error);
        let expected = case.get("says").and_then(Value::as_str).unwrap_or_default();
        if error.text != expected {
            wrong.push(format!("{case:?}\nsays {}\n", error.text));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.as_list().unwrap().len(), wrong.join("\n"));
}

fn chart_with(schema: &str) -> Chart {
    let files = [("Chart.yaml", "{apiVersion: v2, name: c, version: 1.0.0}"), ("values.schema.json", schema)];
    let tree = soll_tree::Tree::in_memory(files).unwrap();
    let limits = crate::ChartLimits::default();
    crate::load_directory(&tree, &soll_tree::TreePath::root(), &limits, &soll_yaml::Sources::new()).unwrap()
}

#[test]
fn faults_know_where_the_value_was_written() {
    let sources = soll_yaml::Sources::new();
    let values = crate::parse_values("a:\n  b: 1\n", sources.add("v.yaml")).unwrap();
    let chart = chart_with(r#"{"properties":{"a":{"properties":{"b":{"type":"string"}}}}}"#);
    let error = check_values(&chart, &values).unwrap_err();
    let [fault] = &error.faults[..] else { panic!("{error:?}") };
    assert_eq!(sources.place(fault.at).as_deref(), Some("v.yaml:2:6"));
    assert_eq!((fault.path.to_string().as_str(), fault.message.as_str()), ("a.b", "got number, want string"));
}
