//! Reading the protobuf bodies that Go clients send for builtin kinds.
//!
//! Driven by the schema table, which knows the number of each field. No object is written in protobuf: all
//! clients take JSON as the second choice.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use soll_schema::{Field, Scalar, Schemas, Shape, TypeRef};
use soll_yaml::{Data, Map, Value};

use crate::meta;
use crate::refusal::Refusal;
use crate::shape::is_pointer;

const MAGIC: &[u8] = b"k8s\0";
const DEEPEST: usize = 64;
const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";

/// What an object is: `apiVersion` and `kind`.
pub(crate) type Type<'t> = (&'t str, &'t str);

/// Reads one object with its envelope. Who does not say what it is means what is `expected`.
pub(crate) fn decode(body: &[u8], expected: Type<'_>) -> Result<Value, Refusal> {
    let (api_version, kind, raw) = open(body).map_err(Refusal::bad_request)?;
    let told = |text: String, expected: &str| if text.is_empty() { expected.to_owned() } else { text };
    let (api_version, kind) = (told(api_version, expected.0), told(kind, expected.1));
    let schemas = Schemas::builtin();
    // The options of a delete are sent with the group of what is deleted.
    let options = || schemas.definition(DELETE_OPTIONS).filter(|_| kind == "DeleteOptions");
    let of = schemas.of(&api_version, &kind).map(|info| info.type_ref()).or_else(options);
    let of = of.ok_or_else(|| Refusal::unknown_kind(&api_version, &kind, expected.1))?;
    let mut object = message(of, raw, 0, 0).map_err(Refusal::bad_request)?;
    let top = object.make_map();
    top.insert("apiVersion", Value::from(api_version));
    top.insert("kind", Value::from(kind));
    Ok(object)
}

/// Opens an envelope: what the object is, and the object as it was sent.
fn open(body: &[u8]) -> Result<(String, String, &[u8]), String> {
    let envelope = body.strip_prefix(MAGIC).ok_or("the body does not start as Kubernetes protobuf does")?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for record in Records(envelope) {
        match record? {
            (1, Wire::Bytes(type_meta)) => {
                for record in Records(type_meta) {
                    match record? {
                        (1, Wire::Bytes(text)) => api_version = utf8(text)?.to_owned(),
                        (2, Wire::Bytes(text)) => kind = utf8(text)?.to_owned(),
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(object)) => raw = object,
            _ => {}
        }
    }
    Ok((api_version, kind, raw))
}

/// A value as it stands in a message.
enum Wire<'b> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'b [u8]),
}

/// The records of a message: field number and value.
struct Records<'b>(&'b [u8]);

impl<'b> Iterator for Records<'b> {
    type Item = Result<(u64, Wire<'b>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let record = self.record();
        if record.is_none() {
            self.0 = &[];
        }
        Some(record.ok_or_else(|| "the protobuf body ends too early".to_owned()))
    }
}

impl<'b> Records<'b> {
    fn record(&mut self) -> Option<(u64, Wire<'b>)> {
        let tag = varint(&mut self.0)?;
        let wire = match tag & 7 {
            0 => Wire::Varint(varint(&mut self.0)?),
            1 => Wire::Fixed64(u64::from_le_bytes(take(&mut self.0, 8)?.try_into().ok()?)),
            2 => {
                let length = usize::try_from(varint(&mut self.0)?).ok()?;
                Wire::Bytes(take(&mut self.0, length)?)
            }
            5 => Wire::Fixed32(u32::from_le_bytes(take(&mut self.0, 4)?.try_into().ok()?)),
            _ => return None,
        };
        Some((tag >> 3, wire))
    }
}

fn take<'b>(bytes: &mut &'b [u8], count: usize) -> Option<&'b [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn utf8(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| "a text in the protobuf body is not UTF-8".to_owned())
}

/// Reads a struct. `through` is the number of the inlined message that is being read, or 0.
fn message(of: TypeRef<'_>, bytes: &[u8], through: u16, depth: usize) -> Result<Value, String> {
    let mut object = Map::new();
    read_into(&mut object, of, bytes, through, depth)?;
    object
        .retain(|entry| !is_empty(&entry.value) || of.struct_field(&entry.key).is_some_and(|field| keeps_zero(&field)));
    Ok(object.into())
}

fn read_into(object: &mut Map, of: TypeRef<'_>, bytes: &[u8], through: u16, depth: usize) -> Result<(), String> {
    if depth > DEEPEST {
        return Err(format!("the protobuf body is nested deeper than {DEEPEST} levels"));
    }
    for record in Records(bytes) {
        let (number, wire) = record?;
        let mut inlined = false;
        let field = of.fields().find(|field| {
            inlined |= through == 0 && u64::from(field.through) == number && field.through != 0;
            u64::from(field.number) == number && field.through == through
        });
        match (field, wire) {
            (Some(field), wire) => set(object, &field, &wire, depth)?,
            // JSON has the fields of this message in its parent.
            (None, Wire::Bytes(inner)) if inlined => {
                let number = u16::try_from(number).map_err(|_| "a field number is out of range".to_owned())?;
                read_into(object, of, inner, number, depth + 1)?;
            }
            (None, _) => {}
        }
    }
    Ok(())
}

fn set(object: &mut Map, field: &Field<'_>, wire: &Wire<'_>, depth: usize) -> Result<(), String> {
    match field.of.shape() {
        Shape::List => {
            let items = field.of.items().unwrap_or(TypeRef::ANY);
            let item = value(items, wire, depth)?;
            let list = object.get_or_insert_with(field.name, || Value::list(Vec::new()));
            list.as_list_mut().ok_or("a field is a list and something else")?.push(item);
        }
        Shape::Map => {
            let Wire::Bytes(entry) = wire else { return Err(format!("{} is not written as a map", field.name)) };
            let (mut key, mut held) = (String::new(), None);
            let values = field.of.values().unwrap_or(TypeRef::ANY);
            for record in Records(entry) {
                match record? {
                    (1, Wire::Bytes(text)) => key = utf8(text)?.to_owned(),
                    (2, wire) => held = Some(value(values, &wire, depth)?),
                    _ => {}
                }
            }
            let held = held.unwrap_or_else(|| Value::str(""));
            object.get_or_insert_with(field.name, Value::map).make_map().insert(key, held);
        }
        Shape::Struct | Shape::Scalar(_) | Shape::Any => {
            object.insert(field.name, value(field.of, wire, depth)?);
        }
    }
    Ok(())
}

fn value(of: TypeRef<'_>, wire: &Wire<'_>, depth: usize) -> Result<Value, String> {
    match (of.shape(), wire) {
        (Shape::Struct, Wire::Bytes(bytes)) => message(of, bytes, 0, depth + 1),
        (Shape::Scalar(scalar), wire) => scalar_value(scalar, wire),
        // Raw JSON inside of a message of one field: RawExtension, FieldsV1.
        (Shape::Any | Shape::Map, Wire::Bytes(bytes)) => raw_json(bytes),
        (Shape::List, Wire::Bytes(bytes)) => {
            let items = of.items().unwrap_or(TypeRef::ANY);
            let items: Result<Vec<Value>, String> =
                Records(bytes).map(|record| record.and_then(|(_, wire)| value(items, &wire, depth + 1))).collect();
            items.map(Value::list)
        }
        _ => Err("a field of the protobuf body has another form than its type".to_owned()),
    }
}

fn raw_json(bytes: &[u8]) -> Result<Value, String> {
    for record in Records(bytes) {
        if let (1, Wire::Bytes(raw)) = record? {
            return soll_yaml::parse_json(raw).map_err(|error| format!("raw JSON within the protobuf body: {error}"));
        }
    }
    Ok(Value::map())
}

fn scalar_value(scalar: Scalar, wire: &Wire<'_>) -> Result<Value, String> {
    Ok(match (scalar, wire) {
        (Scalar::String, Wire::Bytes(text)) => Value::str(utf8(text)?),
        (Scalar::Bytes, Wire::Bytes(bytes)) => Value::from(STANDARD.encode(bytes)),
        // Whole numbers are two's complement.
        (Scalar::Int32 | Scalar::Int64, Wire::Varint(number)) => Value::from(*number as i64),
        (Scalar::Bool, Wire::Varint(number)) => Value::from(*number != 0),
        (Scalar::Double, Wire::Fixed64(bits)) => Value::from(f64::from_bits(*bits)),
        (Scalar::Double, Wire::Fixed32(bits)) => Value::from(f64::from(f32::from_bits(*bits))),
        (Scalar::Time | Scalar::MicroTime, Wire::Bytes(bytes)) => time(scalar, bytes)?,
        (Scalar::Quantity, Wire::Bytes(bytes)) => {
            let mut text = "";
            for record in Records(bytes) {
                if let (1, Wire::Bytes(bytes)) = record? {
                    text = utf8(bytes)?;
                }
            }
            Value::str(text)
        }
        (Scalar::IntOrString, Wire::Bytes(bytes)) => int_or_string(bytes)?,
        _ => return Err("a leaf of the protobuf body has another form than its type".to_owned()),
    })
}

fn time(scalar: Scalar, bytes: &[u8]) -> Result<Value, String> {
    let (mut seconds, mut nanos) = (0_i64, 0_i32);
    for record in Records(bytes) {
        match record? {
            (1, Wire::Varint(number)) => seconds = number as i64,
            (2, Wire::Varint(number)) => nanos = number as i32,
            _ => {}
        }
    }
    if bytes.is_empty() {
        return Ok(Value::null());
    }
    let at = Timestamp::new(seconds, nanos).map_err(|error| format!("a time in the protobuf body: {error}"))?;
    Ok(Value::from(if scalar == Scalar::MicroTime { meta::micro_time(at) } else { meta::time(at) }))
}

fn int_or_string(bytes: &[u8]) -> Result<Value, String> {
    let (mut is_text, mut number, mut text) = (false, 0_i64, "");
    for record in Records(bytes) {
        match record? {
            (1, Wire::Varint(kind)) => is_text = kind == 1,
            (2, Wire::Varint(value)) => number = i64::from(value as i32),
            (3, Wire::Bytes(bytes)) => text = utf8(bytes)?,
            _ => {}
        }
    }
    Ok(if is_text { Value::str(text) } else { Value::from(number) })
}

/// Go writes the zero of every field that is no pointer, and JSON would leave it out.
fn is_empty(value: &Value) -> bool {
    match &value.data {
        Data::Null | Data::Bool(false) | Data::Int(0) => true,
        Data::Str(text) => text.is_empty(),
        Data::Bool(true) | Data::Int(_) | Data::Float(_) | Data::List(_) => false,
        // An empty struct may be a choice, such as `emptyDir: {}`; metadata is the one that is always written.
        Data::Map(_) => false,
    }
}

fn keeps_zero(field: &Field<'_>) -> bool {
    match field.of.shape() {
        Shape::Scalar(Scalar::Int32 | Scalar::Int64 | Scalar::Bool) => field.required || is_pointer(field.name),
        Shape::Scalar(Scalar::IntOrString) => true,
        Shape::Scalar(Scalar::String) => field.required || is_pointer(field.name),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use soll_yaml::to_json;

    const NOTHING: Type<'_> = ("", "");

    /// A record of bytes.
    fn bytes(number: u8, inner: &[u8]) -> Vec<u8> {
        let mut record = vec![number << 3 | 2, u8::try_from(inner.len()).expect("short")];
        record.extend(inner);
        record
    }

    fn envelope(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let type_meta = [bytes(1, api_version.as_bytes()), bytes(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), bytes(1, &type_meta), bytes(2, raw)].concat()
    }

    #[test]
    fn a_config_map_is_read() {
        let metadata = [bytes(1, b"x"), bytes(3, b""), bytes(8, b"")].concat();
        let entry = [bytes(1, b"key"), bytes(2, b"value")].concat();
        let body = envelope("v1", "ConfigMap", &[bytes(1, &metadata), bytes(2, &entry)].concat());
        let object = decode(&body, NOTHING).expect("valid");
        assert_eq!(
            to_json(&object),
            r#"{"metadata":{"name":"x"},"data":{"key":"value"},"apiVersion":"v1","kind":"ConfigMap"}"#
        );
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        let body = envelope("v1", "ConfigMap", &bytes(1, b"x"));
        for length in 0..body.len() {
            let _ = decode(&body[..length], NOTHING);
        }
        assert!(decode(&body[..body.len() - 1], NOTHING).is_err());
        assert!(decode(b"{}", NOTHING).is_err());
        assert!(decode(&envelope("x/v1", "Foo", b""), NOTHING).is_err());
    }
}
