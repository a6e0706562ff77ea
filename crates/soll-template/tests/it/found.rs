//! Differences to Go and Helm that the comparison has found, each as it was found.

use crate::world::shown;

fn check(template: &str, expected: &str) {
    assert_eq!(shown(template, ""), expected, "{template}");
}

#[test]
fn a_zone_without_a_name_shows_four_digits() {
    check(r#"{{ toDate "2006-01-02T15:04:05Z07:00" "2023-11-05T08:09:07+02:00" }}"#, "2023-11-05 08:09:07 +0200 +0200");
}

#[test]
fn a_copy_of_nothing_is_an_error() {
    check(
        "{{ .none | deepCopy }}",
        "error: template: t:1:11: executing \"t\" at <deepCopy>: error calling deepCopy: reflect: call of \
         reflect.Value.Type on zero Value",
    );
}

#[test]
fn base32_that_is_cut_off_points_at_its_last_group() {
    check(r#"{{ b32dec "NBSWY3D" }}"#, "illegal base32 data at input byte 0");
}

#[test]
fn nothing_sorts_as_its_text() {
    check("{{ sortAlpha .none }}", "[<nil>]");
}

#[test]
fn json_that_ends_within_a_word_misses_a_letter() {
    check("{{ fromJson `tru` }}", "map[Error:invalid character ' ' in literal true (expecting 'e')]");
}

#[test]
fn json_of_the_wrong_type_says_so_before_numbers_are_looked_at() {
    check("{{ fromJsonArray `1e400` }}", "[json: cannot unmarshal number into Go value of type []interface {}]");
}

#[test]
fn initials_are_bytes() {
    check(r#"{{ initials "éÀ ß" }}"#, "ÃÃ");
}

#[test]
fn nothing_within_a_value_prints_the_same_by_every_verb() {
    check(r#"{{ printf "%d" (list 1 nil) }}"#, "[1 <nil>]");
}

#[test]
fn floats_print_in_hexadecimal_and_in_powers_of_two() {
    check(
        r#"{{ printf "%x %#x %.2x %b" 2.5 2.5 1.999 1.5 }}"#,
        "0x1.4p+01 0x1.4000p+01 0x1.00p+01 6755399441055744p-52",
    );
}

#[test]
fn of_two_shortest_floats_the_even_one_is_printed() {
    check("{{ mulf 9007199254740992.0 0.1 }}", "9.007199254740992e+14");
}

#[test]
fn empty_yaml_is_an_empty_map() {
    check(r#"{{ fromYaml "" | toJson }}{{ fromYamlArray "" | toJson }}"#, "{}[]");
}

#[test]
fn characters_that_yaml_does_not_read_are_not_written() {
    check(r#"[{{ toYaml "a\u007f" }}]"#, "[]");
}

#[test]
fn bytes_that_are_not_text_are_replaced_one_by_one() {
    check(r#"{{ toRawJson (trunc 2 "日") }} {{ upper (trunc 2 "日") }}"#, "\"\\ufffd\\ufffd\" \u{fffd}\u{fffd}");
}

#[test]
fn dates_are_quoted_byte_by_byte() {
    check(
        r#"{{ mustToDate "" "x\té" }}"#,
        "error: template: t:1:3: executing \"t\" at <mustToDate \"\" \"x\\té\">: error calling mustToDate: parsing time \
         \"x\\x09\\xc3\\xa9\": extra text: \"x\\x09\\xc3\\xa9\"",
    );
}

#[test]
fn dates_say_where_they_part_from_the_layout() {
    check(
        r#"{{ mustToDate "at 2006" "at x" }}{{ mustToDate "on: 2006" "on 1" }}"#,
        "error: template: t:1:3: executing \"t\" at <mustToDate \"at 2006\" \"at x\">: error calling mustToDate: parsing \
         time \"at x\" as \"at 2006\": cannot parse \"x\" as \"2006\"",
    );
}

#[test]
fn durations_that_overflow_are_invalid_before_units_are_looked_at() {
    check(
        r#"{{ mustDateModify "99999999999999999999" (toDate "2006" "2020") }}"#,
        "error: template: t:1:3: executing \"t\" at <mustDateModify \"99999999999999999999\" (toDate \"2006\" \"2020\")>: \
         error calling mustDateModify: time: invalid duration \"99999999999999999999\"",
    );
}

#[test]
fn chunks_of_odd_sizes() {
    assert!(shown("{{ chunk -1 (list 1) }}", "").ends_with("makeslice: len out of range"));
    check("{{ chunk -7 (list 1 2) }}{{ chunk -7 (list 1) }}{{ chunk 3 list }}", "[][[1]][]");
}

#[test]
fn calling_what_is_no_function_shows_what_it_is() {
    check(
        "{{ true | call }}",
        "error: template: t:1:10: executing \"t\" at <call>: error calling call: non-function <bool Value> of type bool",
    );
}

#[test]
fn times_are_timestamps_in_pretty_yaml() {
    check(
        r#"{{ toDate "2006" "2020" | toYamlPretty }} {{ toDate "2006" "2020" | toYaml }}"#,
        "2020-01-01T00:00:00Z \"2020-01-01T00:00:00Z\"",
    );
}

#[test]
fn of_several_ranges_the_wrong_one_is_named() {
    check(
        r#"{{ semverCompare "1.x || ,.x" "1.2" }}"#,
        "error: template: t:1:3: executing \"t\" at <semverCompare \"1.x || ,.x\" \"1.2\">: error calling semverCompare: \
         improper constraint: \" ,.x\"",
    );
}

#[test]
fn broken_yaml_names_the_line_that_go_yaml_names() {
    check(
        "{{ fromYaml \"a: &x 1\\nb: **x\" }}{{ fromYaml \"a: [1\\nb: 2\" }}",
        "map[Error:error converting YAML to JSON: yaml: line 2: did not find expected alphabetic or numeric character]\
         map[Error:error converting YAML to JSON: yaml: line 1: did not find expected ',' or ']']",
    );
}

#[test]
fn the_end_of_a_line_that_only_yaml_knows_is_folded() {
    check("{{ toYaml \"a \\u0085 b\" }} {{ toYaml \"a\\u0085\\u0085b\" }}", "a b |-\n  a\n  b");
    check("[{{ toYaml (dict \"a\\u0085b\" 1) }}]", "[]");
}

#[test]
fn numbers_are_read_from_json_as_they_are_written() {
    check("{{ fromJson `{\"a\": 5.197699999999999e-97}` }}", "map[a:5.197699999999999e-97]");
    assert_eq!(shown("{{ .a }}", "{\"a\": 5.197699999999999e-97}"), "5.197699999999999e-97");
}

#[test]
fn pretty_yaml_is_not_folded_and_keeps_tabs_and_durations() {
    check("{{ toYamlPretty (dict \"a\" (list \"x\\ty\\n\")) }}", "a:\n  - |\n    x\ty");
    check("{{ toYamlPretty ((toDate \"2006\" \"2020\").Sub (toDate \"2006\" \"2019\")) }}", "8760h0m0s");
    check("{{ toYamlPretty (dict \"a b\\nc\" nil \"z\" \"\\u007f\") }}", "? |-\n  a b\n  c\n: null\nz: \"\\x7F\"");
    check("{{ toYamlPretty \"a\\xffb\" }}", "!!binary Yf9i");
}

#[test]
fn months_are_numbers_with_names() {
    check(
        "{{ $m := (toDate \"2006\" \"2020\").Month }}{{ $m }} {{ eq $m 1 }} {{ int $m }} {{ printf \"%d\" $m }} {{ toJson $m }}",
        "January true 1 1 1",
    );
    check("{{ range (toDate \"2006-01\" \"2020-03\").Month }}{{ . }} {{ end }}", "%!Month(0) January February ");
}

#[test]
fn bytes_are_numbers_to_count_to() {
    check("{{ range (index \"\\x03\" 0) }}{{ . }}{{ end }}", "012");
}

#[test]
fn durations_may_be_given_as_numbers() {
    check("{{ ((toDate \"2006\" \"2020\").Add 5).Nanosecond }}", "5");
    check(
        "{{ (toDate \"2006\" \"2020\").Add \"5s\" }}",
        "error: template: t:1:30: executing \"t\" at <\"5s\">: expected integer; found \"5s\"",
    );
}

#[test]
fn no_version_is_no_version() {
    check("{{ (semver \"1.2\").Equal nil }}", "false");
    check(
        "{{ (semver \"1.2\").Compare nil }}",
        "error: template: t:1:17: executing \"t\" at <(semver \"1.2\").Compare>: error calling Compare: runtime error: \
         invalid memory address or nil pointer dereference",
    );
}

#[test]
fn fields_that_go_hides_say_so() {
    check(
        "{{ (semver \"1.2\").major }}",
        "error: template: t:1:11: executing \"t\" at <\"1.2\">: major is an unexported field of struct type \
         *semver.Version",
    );
}

#[test]
fn chinese_letters_are_words_of_their_own() {
    check("{{ kebabcase \"hello日本World\" }}", "hello-日本-world");
}

#[test]
fn flags_of_patterns_may_be_said_twice() {
    check("{{ regexFind \"(?ss).+\" \"a\\nb\" }} {{ regexFind \"(?i-i)A\" \"aA\" }}", "a\nb A");
}

#[test]
fn patterns_find_bytes_that_are_no_text() {
    check("{{ regexReplaceAll \".\" \"a\\xffb\" \"<$0>\" | b64enc }}", "PGE+PP8+PGI+");
    check(
        "{{ regexFind \"12h\\xc3(\" \"\" }}",
        "error: template: t:1:3: executing \"t\" at <regexFind \"12h\\xc3(\" \"\">: error calling regexFind: regexp: \
         Compile(\"12h\\xc3(\"): error parsing regexp: invalid UTF-8: `\u{fffd}(`",
    );
}

#[test]
fn words_without_a_number_are_no_constraint_either() {
    check(
        "{{ semverCompare \"< | 2.0\" \"1\" }}",
        "error: template: t:1:3: executing \"t\" at <semverCompare \"< | 2.0\" \"1\">: error calling semverCompare: constraint \
         parser error",
    );
}

#[test]
fn what_yaml_cannot_hold_is_refused_by_json() {
    check(
        "{{ mustToYaml 2i }}",
        "error: template: t:1:3: executing \"t\" at <mustToYaml 2i>: error calling mustToYaml: error marshaling into JSON: \
         json: unsupported type: complex128",
    );
}

#[test]
fn a_copy_leaves_out_what_go_hides() {
    check("{{ deepCopy (semver \"1.2.3\") }}", "0.0.0");
}

#[test]
fn unnamed_zones_of_whole_hours_are_one() {
    let time = "(toDate \"2006-01-02T15:04:05Z07:00\" \"2023-11-05T08:09:07+02:00\")";
    check(&format!("{{{{ eq {time} {time} }}}}"), "true");
}

#[test]
fn complex_numbers_have_no_decimal_form() {
    check("{{ printf \"%d\" 2i }}", "%!d(complex128=(0+2i))");
}

#[test]
fn dates_may_be_moved_past_the_calendar() {
    assert!(shown("{{ (toDate \"2006\" \"2020\").AddDate 0 0 9223372036854775807 }}", "").starts_with("error: "));
}

#[test]
fn negative_code_points_show_their_bits() {
    check("{{ printf \"%U\" -1 }}", "U+FFFFFFFFFFFFFFFF");
}

#[test]
fn toml_names_the_key_that_it_cannot_write() {
    check(
        "{{ toToml 2i }} {{ toToml (list 2i) }}",
        "unsupported type for key '': complex128 unsupported type: complex128",
    );
}

#[test]
fn a_quote_that_does_not_end_is_broken_in_the_last_line() {
    check(
        "{{ fromYaml \"'a\" }}{{ fromYaml \"a: 1\\nb: 'a\" }}",
        "map[Error:error converting YAML to JSON: yaml: found unexpected end of stream]\
         map[Error:error converting YAML to JSON: yaml: line 2: found unexpected end of stream]",
    );
}

#[test]
fn names_that_no_certificate_can_hold_are_refused() {
    let wrong = |call: &str, name: &str, why: &str| {
        check(
            &format!("{{{{ {call} }}}}"),
            &format!(
                "error: template: t:1:3: executing \"t\" at <{call}>: error calling {name}: error creating certificate: {why}"
            ),
        );
    };
    let key = "(genPrivateKey \"ed25519\")";
    wrong(&format!("genCAWithKey \"\\xff\" 1 {key}"), "genCAWithKey", "asn1: string not valid UTF-8");
    wrong(
        &format!("genSelfSignedCertWithKey \"a\" nil (list \"é\") 1 {key}"),
        "genSelfSignedCertWithKey",
        "x509: \"é\" cannot be encoded as an IA5String",
    );
}

#[test]
fn maps_of_texts_take_texts_only_when_merged() {
    let refused = |call: &str, why: &str| {
        check(
            &format!("{{{{ {call} }}}}"),
            &format!("error: template: t:1:3: executing \"t\" at <{call}>: error calling mergeOverwrite: {why}"),
        );
    };
    let texts = "(dict \"a\" (split \",\" \"x,y\"))";
    let assigned = |what| format!("reflect.Value.SetMapIndex: value of type {what} is not assignable to type string");
    refused(&format!("mergeOverwrite {texts} (dict \"a\" (dict \"_0\" 5))"), &assigned("interface {}"));
    refused(&format!("mergeOverwrite {texts} (dict \"a\" (dict \"_9\" (list 1)))"), &assigned("[]interface {}"));
    refused(
        &format!("mergeOverwrite {texts} (dict \"a\" (dict \"_0\" (list 1)))"),
        "reflect: call of reflect.Value.IsNil on string Value",
    );
    check(&format!("{{{{ merge {texts} (dict \"a\" (split \",\" \"z,z,z\")) }}}}"), "map[a:map[_0:x _1:y _2:z]]");
}

#[test]
fn maps_do_not_go_into_pointers() {
    check("[{{ merge (dict \"a\" (semver \"1.2\")) (dict \"a\" dict) }}]", "[]");
    check("{{ merge (dict \"a\" (semver \"1.2\")) (dict \"a\" (fromJson \"null\")) }}", "map[a:1.2.0]");
    check(
        "{{ mustMerge (dict \"a\" (semver \"1.2\")) (dict \"a\" dict) }}",
        "error: template: t:1:3: executing \"t\" at <mustMerge (dict \"a\" (semver \"1.2\")) (dict \"a\" dict)>: error \
         calling mustMerge: src and dst must be of same type",
    );
}

#[test]
fn letters_after_numbers_come_first_in_pretty_yaml() {
    check("{{ dict \"0b11\" 1 \"007\" 2 | toYamlPretty }}", "\"0b11\": 1\n\"007\": 2");
    check("{{ dict \"0b11\" 1 \"007\" 2 | toYaml }}", "\"007\": 2\n\"0b11\": 1");
}

#[test]
fn what_json_cannot_hold_is_noticed_before_what_yaml_cannot() {
    check(
        "{{ mustToYaml (list \"\\u007f\" 2i) }}",
        "error: template: t:1:3: executing \"t\" at <mustToYaml (list \"\\u007f\" 2i)>: error calling mustToYaml: error \
         marshaling into JSON: json: unsupported type: complex128",
    );
}

#[test]
fn keys_that_are_nothing_are_no_keys_of_json() {
    check(
        "{{ fromYaml \"~: [1.5, ~]\" }}",
        "map[Error:error converting YAML to JSON: unsupported map key of type: %!s(<nil>), key: <nil>, value: \
         []interface {}{1.5, interface {}(nil)}]",
    );
}

#[test]
fn only_the_first_document_is_read() {
    check("{{ fromYaml \"a: 1\\n---\\nb: [\" }}", "map[a:1]");
}

#[test]
fn months_are_positions() {
    check("{{ index (list 1 2) (toDate \"2006-01\" \"2020-01\").Month }}", "2");
}

#[test]
fn flags_of_patterns_may_be_none() {
    check("{{ regexReplaceAll `(?)^a` \"aa\" \"b\" }}", "ba");
}

#[test]
fn large_powers_of_ten_are_as_exact_as_go_s() {
    check("{{ round -7.387500000000001e34 97 }}", "-7.3875e+34");
    check("{{ round 1.5 400 }}{{ round 123.456 -2 }}{{ round 5.0 -400 }}", "NaN100NaN");
}

#[test]
fn of_two_shortest_floats_yaml_writes_the_even_one_too() {
    check("{{ addf 123456789.125 0x3fffffffffff | toYaml }}", "7.036886763445212e+13");
}

#[test]
fn what_stands_before_flags_is_repeated() {
    check("{{ regexFind `a(?i)+` \"aaA\" }}", "aa");
    check("{{ regexReplaceAll `(?P<n>a)(?P<n>b)` \"ab\" \"${n}\" }}", "a");
    check(
        "{{ mustRegexFind `*?a` \"a\" }}",
        "error: template: t:1:3: executing \"t\" at <mustRegexFind `*?a` \"a\">: error calling mustRegexFind: error parsing \
         regexp: missing argument to repetition operator: `*?`",
    );
}

#[test]
fn hosts_of_the_web_have_one_colon() {
    let wrong = |url: &str, port: &str| {
        check(
            &format!("{{{{ urlParse \"{url}\" }}}}"),
            &format!(
                "error: template: t:1:3: executing \"t\" at <urlParse \"{url}\">: error calling urlParse: unable to parse url: \
                 parse \"{url}\": invalid port \"{port}\" after host"
            ),
        );
    };
    wrong("http://a:b:80/", ":b:80");
    wrong("mongodb://a:1,b:x/", ":x");
    check("{{ (urlParse \"mongodb://a:1,b:2/\").host }}", "a:1,b:2");
}

#[test]
fn ranges_with_a_dash_are_shown_as_bounds() {
    check(
        "{{ semverCompare \"1n0 - 2.0\" \"1.2\" }}",
        "error: template: t:1:3: executing \"t\" at <semverCompare \"1n0 - 2.0\" \"1.2\">: error calling semverCompare: \
         improper constraint: \"1n>= 0, <= 2.0 \"",
    );
}

#[test]
fn what_is_missing_at_the_end_is_missed_one_line_further_down() {
    check(
        "{{ fromYaml \"{x\" }}{{ fromYaml \"a: &xx 1\\nb:-}} *x\" }}",
        "map[Error:error converting YAML to JSON: yaml: line 1: did not find expected ',' or '}']\
         map[Error:error converting YAML to JSON: yaml: line 3: could not find expected ':']",
    );
}

#[test]
fn a_number_that_is_too_large_may_be_followed_by_anything() {
    check("{{ duration \"99999999999999999999x\" }}", "-1s");
}

#[test]
fn hours_of_a_zone_are_looked_at_before_its_sign() {
    check(
        "{{ mustToDate \"-07\" \"678\" }}",
        "error: template: t:1:3: executing \"t\" at <mustToDate \"-07\" \"678\">: error calling mustToDate: parsing time \
         \"678\": time zone offset hour out of range",
    );
}

#[test]
fn texts_that_are_too_short_to_be_decrypted_tell_their_room() {
    assert!(shown("{{ decryptAES \"k\" \"YWI=\" }}", "").ends_with("out of range [:16] with capacity 3"));
}

#[test]
fn structs_have_names_and_fields_in_go_s_syntax() {
    check(
        "{{ printf \"%#v\" (semver \"1.2.3-a+b\") }}|{{ printf \"%#v\" (list (semver \"1\").IncMinor) }}",
        "&semver.Version{major:0x1, minor:0x2, patch:0x3, pre:\"a\", metadata:\"b\", original:\"1.2.3-a+b\"}|\
         []interface {}{semver.Version{major:0x1, minor:0x1, patch:0x0, pre:\"\", metadata:\"\", original:\"1.1.0\"}}",
    );
    check("{{ printf \"%#v\" (toDate \"2006-01-02\" \"2020-03-04\").Month }}", "3");
}

#[test]
fn keys_that_yaml_cannot_read_are_not_written() {
    check("{{ mustToYaml (dict (repeat 1022 \"a\") 1) | len }}", "1028");
    check(
        "{{ mustToYaml (dict (repeat 1023 \"a\") 1) }}",
        "error: template: t:1:3: executing \"t\" at <mustToYaml (dict (repeat 1023 \"a\") 1)>: error calling mustToYaml: yaml: \
         did not find expected ',' or '}'",
    );
    check("{{ toYaml (dict (repeat 300 \"<\") 1) | len }}", "0");
}
