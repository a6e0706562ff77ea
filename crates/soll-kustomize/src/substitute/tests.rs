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
    substitute_objects(&mut build, &vars().iter().collect(), true, &mut Secrets::new()).expect("substitutes");
    let value = build.objects[0].value().lookup(&["data", "k"]).expect("is there");
    assert_eq!(to_json(value), "42");
    assert_eq!(build.sources.place(value.at).as_deref(), Some("a.yaml:6:6"));
    assert_eq!(build.sources.chain(value.at).len(), 2);
}

#[test]
fn objects_may_opt_out() {
    let mut build =
        build(&CONFIG_MAP.replace("  name: a\n", &format!("  name: a\n  labels:\n    {SWITCH}: disabled\n")));
    substitute_objects(&mut build, &vars().iter().collect(), true, &mut Secrets::new()).expect("nothing to do");
    assert_eq!(build.objects[0].value().lookup_str(&["data", "k"]), Some("${_n1}"));
}

#[test]
fn a_failure_names_the_line() {
    let mut build = build(&CONFIG_MAP.replace("_n1", "nope"));
    let errors =
        substitute_objects(&mut build, &vars().iter().collect(), true, &mut Secrets::new()).expect_err("not set");
    let expected = "a.yaml:6:6: ConfigMap/a: variable not set (strict mode): \"nope\"";
    assert_eq!(errors.to_string(), expected);
}

fn from(pairs: &[(&str, &str, Giver)]) -> Variables {
    let mut variables = Variables::new();
    pairs.iter().for_each(|(name, value, giver)| variables.set(name, value, giver));
    variables
}

#[test]
fn a_changed_value_remembers_its_variables() {
    let mut build = build(&CONFIG_MAP.replace("${_n1}", "${a}-${b:=x}"));
    let variables = from(&[("a", "1", Giver::open("ConfigMap/n/c"))]);
    substitute_objects(&mut build, &variables, true, &mut Secrets::new()).expect("substitutes");
    let value = build.objects[0].value().lookup(&["data", "k"]).expect("is there");
    let origins = soll_api::Origin::chain(&build.sources, value.at);
    assert_eq!(origins.len(), 1, "one place");
    assert_eq!(origins[0].to_string(), "a.yaml:6:6 (${a} from ConfigMap/n/c and ${b} by default)");
}

#[test]
fn the_value_that_breaks_the_yaml_is_found_and_a_secret_one_is_not_shown() {
    let text = CONFIG_MAP.replace("${_n1}", "fine-${a}\n  l: ${b}");
    let check = |value: &str, giver: Giver, expected: &str| {
        let variables = from(&[("a", "1", Giver::open("x")), ("b", value, giver)]);
        let errors = substitute_objects(&mut build(&text), &variables, true, &mut Secrets::new()).expect_err("no YAML");
        assert_eq!(errors.to_string(), expected);
        assert_eq!(errors.failure().field.as_deref(), Some("data.l"));
    };
    check(
        "m: n",
        Giver::open("ConfigMap/n/c"),
        "a.yaml:7:6: ConfigMap/a: with ${b} from ConfigMap/n/c, `${b}` is no YAML: mapping values are not allowed in this \
         context",
    );
    check(
        "*hunter2",
        Giver::secret("Secret/n/s"),
        "a.yaml:7:6: ConfigMap/a: with ${b} from Secret/n/s, `${b}` is no YAML: its value is secret and not shown",
    );
}

#[test]
fn secrets_are_the_values_of_secret_variables_and_what_is_in_them() {
    let variables = from(&[
        ("open", "visible", Giver::open("x")),
        ("password", "'hunter2'", Giver::secret("x")),
        ("map", "{user: admin-1}", Giver::secret("x")),
    ]);
    let hidden = variables.secrets().hide("visible 'hunter2' hunter2 {user: admin-1} admin-1");
    assert_eq!(hidden, "visible *** *** *** ***");
}

#[test]
fn what_expressions_make_of_secret_variables_is_secret() {
    let text = CONFIG_MAP.replace(
        "${_n1}",
        "${password:0:6} ${password^^} ${open:0:4} ${url##*:} ${unset:-${password%-horse}} ${empty:-public} ${#password}",
    );
    let (open, secret) = (Giver::open("x"), Giver::secret("x"));
    let variables = from(&[
        ("open", "visible", open),
        ("password", "correct-horse", secret.clone()),
        ("url", "db:'5432'", secret.clone()),
        ("empty", "", secret),
    ]);
    let (mut build, mut secrets) = (build(&text), variables.secrets());
    substitute_objects(&mut build, &variables, true, &mut secrets).expect("substitutes");
    let value = build.objects[0].value().lookup_str(&["data", "k"]).expect("is there");
    assert_eq!(value, "correc CORRECT-HORSE visi '5432' correct public 13");
    assert_eq!(secrets.hide(value), "*** *** visi *** *** public 13");
}

#[test]
fn places_that_need_unset_variables_are_known() {
    let build = build(&CONFIG_MAP.replace("${_n1}", "${set}${missing}${defaulted:=x}"));
    let found = unset_variables(&build, &from(&[("set", "1", Giver::open("x"))]));
    let told: Vec<_> =
        found.iter().map(|named| format!("{} {} {}", named.variable, named.object, named.field)).collect();
    assert_eq!(told, ["missing ConfigMap/a data.k"]);
}
