//! Errors, in Go's words.

use soll_template::{ErrorKind, Limits, Options, Rendering, Set, Value};

use crate::world::{Fixed, render, shown};

fn check(template: &str, error: &str) {
    assert_eq!(shown(template, "{a: {b: text}, num: 1}"), format!("error: {error}"));
}

#[test]
fn parsing_says_the_line() {
    check("\n{{ if }}", "template: t:2: missing value for if");
    check("{{ nope }}", r#"template: t:1: function "nope" not defined"#);
    check("{{ end }}", "template: t:1: unexpected {{end}}");
    check("{{ $x }}", r#"template: t:1: undefined variable "$x""#);
    check("{{ \"a }}", "template: t:1: unterminated quoted string");
    check("{{ .a", "template: t:1: unclosed action");
}

#[test]
fn a_nil_says_where_and_what() {
    check("{{ print .a.x.y }}", "template: t:1:11: executing \"t\" at <.a.x.y>: nil pointer evaluating interface {}.y");
    let error = render("{{ .a.x.y }}", "{a: {}}").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Nil { path: ".a.x".into() });
}

#[test]
fn a_nil_that_a_function_does_not_take_is_named() {
    let error = render("{{ .a.x | upper }}{{ upper .a.x }}", "{a: {}}").unwrap_err();
    assert_eq!(error.frames().map(|frame| frame.column).collect::<Vec<_>>(), [10]);
    let error = render("{{ $y := .a }}{{ upper $y.x }}", "{a: {}}").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Nil { path: "$y.x".into() });
    assert!(
        error.to_string().ends_with("at <$y.x>: wrong type for value; expected string; got interface {}"),
        "{error}"
    );
}

#[test]
fn calls_are_checked() {
    check("{{ add1 }}", "template: t:1:3: executing \"t\" at <add1>: wrong number of args for add1: want 1 got 0");
    check("{{ upper 5 }}", "template: t:1:9: executing \"t\" at <5>: expected string; found 5");
    check(
        "{{ .num | upper }}",
        "template: t:1:10: executing \"t\" at <upper>: wrong type for value; expected string; got float64",
    );
    check("{{ .a.b.c }}", "template: t:1:5: executing \"t\" at <.a.b.c>: can't evaluate field c in type interface {}");
}

#[test]
fn includes_are_a_stack() {
    let template = "{{ define \"x\" }}{{ fail \"stop\" }}{{ end }}\n  {{ include \"x\" . }}";
    let error = render(template, "{}").unwrap_err();
    assert_eq!(
        error.to_string(),
        "template: t:2:5: executing \"t\" at <include \"x\" .>: error calling include: template: t:1:19: executing \"x\" at \
         <fail \"stop\">: error calling fail: HELM_ERR_STARTstopHELM_ERR_END"
    );
    assert_eq!(error.kind, ErrorKind::Fail("stop".into()));
    let places: Vec<_> = error.frames().map(|frame| (frame.line, frame.template.as_str())).collect();
    assert_eq!(places, [(2, "t"), (1, "x")]);
}

#[test]
fn endless_recursion_ends() {
    let template = "{{ define \"x\" }}{{ include \"x\" . }}{{ end }}{{ include \"x\" . }}".to_owned();
    let error = shown(&template, "{}");
    assert!(error.ends_with("rendering template has a nested reference name: x: unable to execute template"));
    let template = "{{ define \"x\" }}{{ template \"x\" . }}{{ end }}{{ template \"x\" . }}".to_owned();
    let error = shown(&template, "{}");
    assert!(error.contains("exceeded maximum template depth (20000)"), "{error}");
}

/// The kind of error of a template that may take 50,000 steps and make a megabyte of text.
fn kind_with_little_fuel(template: &str) -> Option<ErrorKind> {
    let mut set = Set::new();
    set.parse("t", template).unwrap();
    let limits = Limits { steps: 50_000, bytes: 1 << 20, ..Limits::default() };
    let rendered = Rendering::new(&set, &Fixed, Options { limits, ..Options::default() }).render("t", Value::Nil);
    rendered.err().map(|error| error.kind)
}

#[test]
fn no_template_eats_the_machine() {
    let doubled = "{{ $x := list 1 }}{{ range until 60 }}{{ $x = list $x $x }}{{ end }}";
    let uses = [
        "{{ $x }}",
        "{{ printf \"%v\" $x }}",
        "{{ toYaml $x }}",
        "{{ toJson $x }}",
        "{{ deepCopy $x | len }}",
        "{{ deepEqual $x (list $x) }}",
        "{{ has 1 $x }}",
        "{{ eq $x $x }}",
        "{{ quote $x }}",
        "{{ join \",\" $x }}",
    ];
    for used in uses {
        assert_eq!(kind_with_little_fuel(&format!("{doubled}{used}")), Some(ErrorKind::Limit), "{used}");
    }
    for template in [
        "{{ printf \"%999999d %999999d %999999d\" 1 2 3 }}",
        "{{ printf \"%9999d\" (until 1000) }}",
        "{{ join (repeat 10000 \"x\") (until 1000) }}",
        "{{ wrapWith 1 (repeat 10000 \"x\") (repeat 1000 \"y\") }}",
        "{{ regexReplaceAll \".+\" (repeat 10000 \"x\") (repeat 1000 \"$0\") }}",
        "{{ repeat 2000000 \"x\" }}",
        "{{ until 100000 }}",
        "{{ range until 1000 }}{{ regexFind (printf \"a%d\" .) \"\" }}{{ end }}",
        "{{ $l := until 1000 }}{{ range until 1000 }}{{ $_ := reverse $l }}{{ end }}",
        "{{ range until 100 }}{{ $_ := tpl (printf \"%d{{ 1 }}%s\" . (repeat 1000 \"x\")) nil }}{{ end }}",
    ] {
        assert_eq!(kind_with_little_fuel(template), Some(ErrorKind::Limit), "{template}");
    }
    assert_eq!(kind_with_little_fuel("{{ range until 1000 }}{{ . | toString | quote }}{{ end }}"), None);
}
