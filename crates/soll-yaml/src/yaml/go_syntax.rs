//! Values as Go's `%#v` prints what `yaml.v2` reads into an `interface {}`: for error messages that hold one.

use crate::json::shortest_float;
use crate::{Data, Value};

/// The value in Go's syntax.
pub(super) fn shown(value: &Value) -> String {
    match &value.data {
        Data::Null => "<nil>".to_owned(),
        Data::Bool(truth) => truth.to_string(),
        Data::Int(number) => number.to_string(),
        Data::Float(number) => float(*number),
        Data::Str(text) => quoted(text),
        Data::List(items) => {
            let items: Vec<_> = items.iter().map(inner).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Data::Map(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|a, b| a.key.as_str().cmp(b.key.as_str()));
            let entries: Vec<_> =
                entries.iter().map(|entry| format!("{}:{}", quoted(&entry.key), inner(&entry.value))).collect();
            format!("map[interface {{}}]interface {{}}{{{}}}", entries.join(", "))
        }
    }
}

/// Nothing within something says what it would be.
fn inner(value: &Value) -> String {
    if value.data == Data::Null { "interface {}(nil)".to_owned() } else { shown(value) }
}

/// Exponents below -4 and from 21 on.
fn float(number: f64) -> String {
    let scientific = shortest_float(number);
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if exponent < -4 => format!("{digits}e-{:02}", -exponent),
        Ok(exponent) if exponent >= 21 => format!("{digits}e+{exponent:02}"),
        _ => crate::json::go_float(number),
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            letter if letter.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(letter))),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use crate::{ParseOptions, SourceId, parse_yaml};

    #[test]
    fn keys_that_are_nothing_are_refused_in_go_s_words() {
        let refused =
            |text| parse_yaml(text, SourceId::default(), &ParseOptions::go_v2()).expect_err("refused").in_go();
        let words = |value| format!("unsupported map key of type: %!s(<nil>), key: <nil>, value: {value}");
        assert_eq!(refused("~: 1"), words("1"));
        assert_eq!(refused("a:\n- ? \n"), words("<nil>"));
        assert_eq!(
            refused("null: {b: [1.5, ~, 1e21], a: \"x\\ny\"}"),
            words(r#"map[interface {}]interface {}{"a":"x\ny", "b":[]interface {}{1.5, interface {}(nil), 1e+21}}"#)
        );
        assert!(parse_yaml("~: 1", SourceId::default(), &ParseOptions::go_v3()).is_ok());
    }
}
