use super::*;
use soll_yaml::to_json;

fn vars() -> BTreeMap<String, String> {
    let pairs = [("name", "World"), ("path", "a/b/c.tar.gz"), ("empty", ""), ("_n1", "42"), ("dot", "a.b.a")];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn check(text: &str, expected: &str) {
    let result = substitute(text, &vars(), Unset::Refused).unwrap_or_else(|error| error.to_string());
    assert_eq!(result, expected, "{text}");
}

#[test]
fn every_form_of_the_checklist() {
    for (text, expected) in [
        ("hello ${name}!", "hello World!"),
        ("${#name}", "5"),
        ("${name^^} ${name,,} ${name,}", "WORLD world world"),
        ("${name:1}", "orld"),
        ("${name:1:2}", "or"),
        ("${name:-3}", "World"), // a default, not an offset
        ("${path#*/}", "b/c.tar.gz"),
        ("${path##*/}", "c.tar.gz"),
        ("${path%.*}", "a/b/c.tar"),
        ("${path%%.*}", "a/b/c"),
        ("${dot/a/x}", "x.b.a"),
        ("${dot//a/x}", "x.b.x"),
        ("${dot/#a/x}", "x.b.a"),
        ("${dot/%a/x}", "a.b.x"),
        ("${path//\\//-}", "a-b-c.tar.gz"),
        ("${missing:=fallback}", "fallback"),
        ("${missing:-fallback}", "fallback"),
        ("${missing=fallback}", "fallback"),
        ("${empty:-fallback}", "fallback"),
        ("${missing:=${name}}", "World"),
        ("${missing:=${other:-x}}", "x"),
        ("$${name} $name $", "${name} $name $"),
        ("${_n1}", "42"),
        ("a\0${name}", "a"),
    ] {
        check(text, expected);
    }
}

#[test]
fn refuses_what_is_no_expression() {
    for text in ["${name-x}", "${name+x}", "${}", "${1a b}", "${name", "${name:x}", "${name^x}", "${missing:=${name}"] {
        let error = substitute(text, &vars(), Unset::Refused).expect_err(text);
        assert!(error.to_string().starts_with("variable substitution failed: "), "{error}");
    }
}

#[test]
fn unset_variables_are_refused_or_empty() {
    check("${missing}", "variable not set (strict mode): \"missing\"");
    assert_eq!(substitute("[${missing}]", &vars(), Unset::Empty).as_deref(), Ok("[]"));
}

#[test]
fn names_of_variables_are_checked() {
    let vars = BTreeMap::from([("a-b".to_owned(), String::new())]);
    assert_eq!(substitute("", &vars, Unset::Refused), Err(SubstituteError::Name("a-b".to_owned())));
}

fn build(text: &str) -> Build {
    let sources = std::sync::Arc::new(Sources::new());
    let value = parse_yaml(text, sources.add("a.yaml"), &ParseOptions::go_v3()).expect("valid").remove(0);
    Build { objects: vec![Object::new(value).expect("an object")], sources, warnings: Vec::new() }
}

const CONFIG_MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  k: ${_n1}\n";

#[test]
fn objects_keep_their_places_and_get_new_types() {
    let mut build = build(CONFIG_MAP);
    substitute_objects(&mut build, &vars().iter().collect(), true).expect("substitutes");
    let value = build.objects[0].value().lookup(&["data", "k"]).expect("is there");
    assert_eq!(to_json(value), "42");
    assert_eq!(build.sources.place(value.at).as_deref(), Some("a.yaml:6:6"));
    assert_eq!(build.sources.chain(value.at).len(), 2);
}

#[test]
fn objects_may_opt_out() {
    let mut build =
        build(&CONFIG_MAP.replace("  name: a\n", &format!("  name: a\n  labels:\n    {SWITCH}: disabled\n")));
    substitute_objects(&mut build, &vars().iter().collect(), true).expect("nothing to do");
    assert_eq!(build.objects[0].value().lookup_str(&["data", "k"]), Some("${_n1}"));
}

#[test]
fn a_failure_names_the_line() {
    let mut build = build(&CONFIG_MAP.replace("_n1", "nope"));
    let errors = substitute_objects(&mut build, &vars().iter().collect(), true).expect_err("not set");
    let expected = "a.yaml:6:6: ConfigMap/a: variable not set (strict mode): \"nope\"";
    assert_eq!(errors.to_string(), expected);
}
