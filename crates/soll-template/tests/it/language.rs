//! The language itself.

use crate::world::shown;

const DATA: &str = "{a: {b: {c: deep}, num: 1000000, list: [x, z, 3]}, yes1: true, off: false, none: null, empty: {}}";

#[test]
fn values_print_as_in_go() {
    assert_eq!(
        shown("{{ .a.b.c }} {{ .a.num }} {{ .a.list }} {{ .a.b }} {{ .none }}", DATA),
        "deep 1e+06 [x z 3] map[c:deep] "
    );
}

#[test]
fn trim_markers_eat_white_space_only() {
    assert_eq!(shown("a \n {{- /* gone */ -}} \n b {{- 1 -}} c {{ 2 }} ", DATA), "ab1c 2 ");
}

#[test]
fn branches_choose_by_emptiness() {
    let template =
        "{{ if .empty }}1{{ else if .a }}2{{ else }}3{{ end }}{{ with .none }}4{{ else with .a }}{{ .b.c }}{{ end }}";
    assert_eq!(shown(template, DATA), "2deep");
}

#[test]
fn loops_know_index_key_break_and_continue() {
    let template = "{{ range $i, $x := .a.list }}{{ if eq $i 1 }}{{ continue }}{{ end }}{{ $i }}={{ $x }};{{ end }}\
                    {{ range $k, $v := .a.b }}{{ $k }}:{{ $v }}{{ end }}{{ range 5 }}{{ if eq . 2 }}{{ break }}{{ end }}{{ . }}{{ end }}\
                    {{ range .empty }}{{ else }}none{{ end }}";
    assert_eq!(shown(template, DATA), "0=x;2=3;c:deep01none");
}

#[test]
fn variables_end_with_their_block_and_assignment_reaches_out() {
    let template = "{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $y := 3 }}{{ $y }}{{ end }}{{ $x }}";
    assert_eq!(shown(template, DATA), "32");
}

#[test]
fn tpl_sees_what_it_defines_and_what_is_around() {
    let template = r#"{{ define "outer" }}o{{ end }}{{ tpl "{{ define \"in\" }}i{{ end }}{{ include \"in\" . }}{{ include \"outer\" . }}{{ .yes1 }}" . }}"#;
    assert_eq!(shown(template, DATA), "iotrue");
}

#[test]
fn set_changes_the_map_for_everyone() {
    assert_eq!(shown("{{ $_ := set .a \"new\" 1 }}{{ .a.new }}{{ hasKey .a \"new\" }}", DATA), "1true");
}

#[test]
fn methods_of_versions_and_times() {
    let template = r#"{{ (semver "v1.2.3-rc.1").Major }} {{ semver "v1.2" }} {{ now.Year }} {{ now | date "2006-01-02" }} {{ now.UTC.Month }}"#;
    assert_eq!(shown(template, DATA), "1 1.2.0 2023 2023-11-14 November");
}
