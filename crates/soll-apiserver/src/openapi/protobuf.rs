//! The document of v2 in protobuf, as gnostic's `openapi.v2.Document` has it: what client-go, and with it Helm, asks for
//! about kinds that no document of v3 tells of.
//!
//! A message is a table of what its fields are called in JSON, their numbers, and what they hold.

use serde_json::Value as Json;

/// What it is sent as.
pub(super) const MEDIA_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// What clients ask for, which is no valid media type.
pub(super) const ASKED_AS: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/// Writes the document.
pub(super) fn encode(swagger: &Json) -> Vec<u8> {
    let mut bytes = Vec::new();
    DOCUMENT.write(swagger, &mut bytes);
    bytes
}

struct Message {
    fields: &'static [(&'static str, u32, Held)],
    /// The number under which keys go that begin with `x-`.
    extensions: Option<u32>,
}

/// What a field holds.
enum Held {
    Text,
    Texts,
    /// One text or several, in a message of its own.
    Type,
    Flag,
    Double,
    Integer,
    /// Any value, as YAML.
    Any,
    Anys,
    Message(&'static Message),
    /// A list of messages.
    Messages(&'static Message),
    /// A message in a message, or in several: the numbers on the way to it.
    Within(&'static [u32], &'static Message),
    /// A map: names and messages, below the number; each message perhaps within another.
    Named(u32, &'static [u32], &'static Message),
    /// `true`, or what further values are.
    Additional,
    /// What a request takes: its body, or parts of its URL.
    Parameters,
}

use Held::{Additional, Any, Anys, Double, Flag, Integer, Messages, Named, Parameters, Text, Texts, Type, Within};

static DOCUMENT: Message = Message {
    fields: &[
        ("swagger", 1, Text),
        ("info", 2, Held::Message(&INFO)),
        ("paths", 8, Named(2, &[], &PATH)),
        ("definitions", 9, Named(1, &[], &SCHEMA)),
    ],
    extensions: Some(16),
};
static INFO: Message = Message { fields: &[("title", 1, Text), ("version", 2, Text)], extensions: Some(7) };
static PATH: Message = Message {
    fields: &[
        ("get", 2, Held::Message(&OPERATION)),
        ("put", 3, Held::Message(&OPERATION)),
        ("post", 4, Held::Message(&OPERATION)),
        ("delete", 5, Held::Message(&OPERATION)),
        ("patch", 8, Held::Message(&OPERATION)),
    ],
    extensions: Some(10),
};
static OPERATION: Message = Message {
    fields: &[
        ("produces", 6, Texts),
        ("consumes", 7, Texts),
        ("parameters", 8, Parameters),
        ("responses", 9, Named(1, &[1], &RESPONSE)),
    ],
    extensions: Some(13),
};
static BODY: Message = Message {
    fields: &[("name", 2, Text), ("in", 3, Text), ("required", 4, Flag), ("schema", 5, Held::Message(&SCHEMA))],
    extensions: Some(6),
};
static QUERY: Message = Message {
    fields: &[("required", 1, Flag), ("in", 2, Text), ("name", 4, Text), ("type", 6, Text), ("uniqueItems", 20, Flag)],
    extensions: Some(23),
};
static RESPONSE: Message =
    Message { fields: &[("description", 1, Text), ("schema", 2, Within(&[1], &SCHEMA))], extensions: Some(5) };
static SCHEMA: Message = Message {
    fields: &[
        ("$ref", 1, Text),
        ("format", 2, Text),
        ("title", 3, Text),
        ("description", 4, Text),
        ("default", 5, Any),
        ("multipleOf", 6, Double),
        ("maximum", 7, Double),
        ("exclusiveMaximum", 8, Flag),
        ("minimum", 9, Double),
        ("exclusiveMinimum", 10, Flag),
        ("maxLength", 11, Integer),
        ("minLength", 12, Integer),
        ("pattern", 13, Text),
        ("maxItems", 14, Integer),
        ("minItems", 15, Integer),
        ("uniqueItems", 16, Flag),
        ("maxProperties", 17, Integer),
        ("minProperties", 18, Integer),
        ("required", 19, Texts),
        ("enum", 20, Anys),
        ("additionalProperties", 21, Additional),
        ("type", 22, Type),
        ("items", 23, Within(&[1], &SCHEMA)),
        ("allOf", 24, Messages(&SCHEMA)),
        ("properties", 25, Named(1, &[], &SCHEMA)),
        ("example", 30, Any),
    ],
    extensions: Some(31),
};

impl Message {
    fn write(&self, value: &Json, into: &mut Vec<u8>) {
        let Json::Object(map) = value else { return };
        for (key, value) in map {
            match self.fields.iter().find(|(name, ..)| name == key) {
                Some((_, number, held)) => held.write(*number, value, into),
                None => {
                    if let Some(number) = self.extensions.filter(|_| key.starts_with("x-")) {
                        named(number, key, into, |into| Any.write(2, value, into));
                    }
                }
            }
        }
    }
}

impl Held {
    fn write(&self, number: u32, value: &Json, into: &mut Vec<u8>) {
        match self {
            Text => text(number, value.as_str().unwrap_or_default(), into),
            Texts => items(value).for_each(|item| Text.write(number, item, into)),
            Type if value.is_array() => nested(number, into, |into| Texts.write(1, value, into)),
            Type => nested(number, into, |into| Text.write(1, value, into)),
            Flag => scalar(number, 0, into, &[u8::from(value == true)]),
            Double => scalar(number, 1, into, &value.as_f64().unwrap_or_default().to_le_bytes()),
            Integer => {
                varint(u64::from(number) << 3, into);
                // Negative numbers are written as they lie in memory.
                varint(value.as_i64().unwrap_or_default().cast_unsigned(), into);
            }
            Any => nested(number, into, |into| text(2, &value.to_string(), into)),
            Anys => items(value).for_each(|item| Any.write(number, item, into)),
            Held::Message(message) => nested(number, into, |into| message.write(value, into)),
            Messages(message) => items(value).for_each(|item| Held::Message(message).write(number, item, into)),
            Within(way, message) => nested(number, into, |into| within(way, message, value, into)),
            Named(entry, way, message) => nested(number, into, |into| {
                for (name, value) in value.as_object().into_iter().flatten() {
                    named(*entry, name, into, |into| nested(2, into, |into| within(way, message, value, into)));
                }
            }),
            Additional => nested(number, into, |into| match value {
                Json::Bool(_) => Flag.write(2, value, into),
                schema => Held::Message(&SCHEMA).write(1, schema, into),
            }),
            Parameters => items(value).for_each(|item| {
                // Parameters, not references to them: first the body, second what is in the URL, there third the query.
                let way: &[u32] = if item["in"] == "body" { &[1, 1] } else { &[1, 2, 3] };
                let message = if item["in"] == "body" { &BODY } else { &QUERY };
                nested(number, into, |into| within(way, message, item, into));
            }),
        }
    }
}

fn items(value: &Json) -> impl Iterator<Item = &Json> {
    value.as_array().into_iter().flatten()
}

fn within(way: &[u32], message: &Message, value: &Json, into: &mut Vec<u8>) {
    match way {
        [] => message.write(value, into),
        [number, rest @ ..] => nested(*number, into, |into| within(rest, message, value, into)),
    }
}

/// An entry of a map: its name, and the value that is written as field 2.
fn named(number: u32, name: &str, into: &mut Vec<u8>, value: impl FnOnce(&mut Vec<u8>)) {
    nested(number, into, |into| {
        text(1, name, into);
        value(into);
    });
}

fn nested(number: u32, into: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    write(&mut inner);
    bytes(number, &inner, into);
}

fn text(number: u32, text: &str, into: &mut Vec<u8>) {
    bytes(number, text.as_bytes(), into);
}

fn bytes(number: u32, bytes: &[u8], into: &mut Vec<u8>) {
    varint(u64::from(number) << 3 | 2, into);
    varint(bytes.len() as u64, into);
    into.extend_from_slice(bytes);
}

fn scalar(number: u32, wire: u64, into: &mut Vec<u8>, bytes: &[u8]) {
    varint(u64::from(number) << 3 | wire, into);
    into.extend_from_slice(bytes);
}

fn varint(mut value: u64, into: &mut Vec<u8>) {
    while value > 0x7f {
        into.push(u8::try_from(value & 0x7f).unwrap_or(0x7f) | 0x80);
        value >>= 7;
    }
    into.push(u8::try_from(value).unwrap_or(0x7f));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(schema: &Json, wanted: &str) {
        let mut bytes = Vec::new();
        SCHEMA.write(schema, &mut bytes);
        let shown: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(shown, wanted, "{schema}");
    }

    #[test]
    fn fields_are_written_under_their_numbers() {
        check(&json!({"type": "string"}), "b201080a06737472696e67");
        check(&json!({"maxLength": 300}), "58ac02");
        check(&json!({"minimum": 1}), "49000000000000f03f");
        check(&json!({"additionalProperties": true}), "aa01021001");
        check(&json!({"enum": ["a"]}), "a201051203226122");
        check(&json!({"properties": {"a": {"$ref": "b"}}}), "ca010a0a080a0161120 30a0162".replace(' ', "").as_str());
        check(&json!({"x-a": 1}), "fa010a0a03782d6112031201 31".replace(' ', "").as_str());
        check(&json!({"unheard": 1}), "");
    }

    #[test]
    fn parameters_are_told_apart() {
        let mut bytes = Vec::new();
        let operation = json!({"parameters": [{"in": "body", "name": "b"}, {"in": "query", "name": "q"}]});
        OPERATION.write(&operation, &mut bytes);
        let body = [0x42, 13, 0x0a, 11, 0x0a, 9, 0x1a, 4, b'b', b'o', b'd', b'y', 0x12, 1, b'b'];
        let query = [0x42, 16, 0x0a, 14, 0x12, 12, 0x1a, 10, 0x12, 5, b'q', b'u', b'e', b'r', b'y', 0x22, 1, b'q'];
        assert_eq!(bytes, [&body[..], &query].concat());
    }
}
