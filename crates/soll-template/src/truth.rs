//! What counts as true, what is equal, what is less: the rules of Go's templates and of `reflect.DeepEqual`.

use crate::value::{Kind, Value};

/// Whether `if` takes it: anything but the zero of its type, and nothing that is empty.
pub(crate) fn is_true(value: &Value) -> bool {
    match value {
        Value::Nil => false,
        Value::Bool(truth) => *truth,
        Value::Int(number) | Value::Int64(number) => *number != 0,
        Value::Byte(byte) => *byte != 0,
        Value::Uint64(number) => *number != 0,
        Value::Float(number) => *number != 0.0,
        Value::Complex(real, imaginary) => *real != 0.0 || *imaginary != 0.0,
        Value::Str(text) => !text.is_empty(),
        Value::Raw(bytes) => !bytes.is_empty(),
        Value::List(list) => !list.is_empty(),
        Value::Map(map) => !map.is_empty(),
        Value::Time(_) => true,
        Value::Object(object) => match object.kind() {
            Kind::Struct | Kind::Ptr => true,
            _ => is_true(&object.contents()),
        },
    }
}

/// What Go compares with each other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Basic {
    Bool,
    Complex,
    Int,
    Float,
    Text,
    Uint,
}

fn basic(value: &Value) -> Option<Basic> {
    Some(match value {
        Value::Object(object) if matches!(object.kind(), Kind::Int | Kind::Int64) => Basic::Int,
        Value::Bool(_) => Basic::Bool,
        Value::Complex(..) => Basic::Complex,
        Value::Int(_) | Value::Int64(_) => Basic::Int,
        Value::Float(_) => Basic::Float,
        Value::Str(_) | Value::Raw(_) => Basic::Text,
        Value::Byte(_) | Value::Uint64(_) => Basic::Uint,
        Value::Nil | Value::List(_) | Value::Map(_) | Value::Time(_) | Value::Object(_) => return None,
    })
}

fn whole(value: &Value) -> Option<i128> {
    Some(match value {
        Value::Int(number) | Value::Int64(number) => i128::from(*number),
        Value::Byte(byte) => i128::from(*byte),
        Value::Uint64(number) => i128::from(*number),
        // Months and durations are numbers too.
        Value::Object(object) if matches!(object.kind(), Kind::Int | Kind::Int64) => return whole(&object.contents()),
        _ => return None,
    })
}

/// `eq` of two.
pub(crate) fn equal(a: &Value, b: &Value) -> Result<bool, String> {
    if let (Some(a), Some(b)) = (whole(a), whole(b)) {
        return Ok(a == b);
    }
    let (kind_a, kind_b) = (basic(a), basic(b));
    if kind_a != kind_b {
        if matches!(a, Value::Nil) || matches!(b, Value::Nil) {
            return Ok(false);
        }
        return Err(format!("incompatible types for comparison: {} and {}", a.type_name(), b.type_name()));
    }
    if kind_a.is_some() {
        return Ok(match (a, b) {
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => a == b,
            (Value::Complex(..), Value::Complex(..)) => {
                matches!((a, b), (Value::Complex(ar, ai), Value::Complex(br, bi)) if ar == br && ai == bi)
            }
            _ => a.as_bytes() == b.as_bytes(),
        });
    }
    let (shape_a, shape_b) = (a.kind(), b.kind());
    if shape_a != shape_b && !matches!(a, Value::Nil) && !matches!(b, Value::Nil) {
        let (text_a, text_b) = (reflected(a), crate::print::to_text(b));
        return Err(format!("non-comparable types {text_a}: {}, {}: {text_b}", a.type_name(), b.type_name()));
    }
    if is_nil(a) || is_nil(b) {
        return Ok(is_nil(a) == is_nil(b));
    }
    match (a, b) {
        (Value::Time(a), Value::Time(b)) => Ok(a == b),
        (Value::Object(a), Value::Object(b)) if !matches!(shape_a, Kind::Map | Kind::Slice) => {
            Ok(std::rc::Rc::ptr_eq(a, b))
        }
        _ => Err(format!("non-comparable type {}: {}", reflected(b), b.type_name())),
    }
}

/// How `%s` prints a `reflect.Value`: by what it holds.
fn reflected(value: &Value) -> String {
    crate::functions::lossy(&crate::print::sprintf(b"%s", std::slice::from_ref(value), usize::MAX)).into_owned()
}

fn is_nil(value: &Value) -> bool {
    match value {
        Value::Nil => true,
        Value::List(list) => list.is_nil(),
        Value::Map(map) => map.is_nil(),
        _ => false,
    }
}

/// `lt`.
pub(crate) fn less(a: &Value, b: &Value) -> Result<bool, String> {
    const BAD_TYPE: &str = "invalid type for comparison";
    let (Some(kind_a), Some(kind_b)) = (basic(a), basic(b)) else { return Err(BAD_TYPE.into()) };
    if let (Some(a), Some(b)) = (whole(a), whole(b)) {
        return Ok(a < b);
    }
    if kind_a != kind_b {
        return Err(format!("incompatible types for comparison: {} and {}", a.type_name(), b.type_name()));
    }
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => Ok(a < b),
        (Value::Bool(_) | Value::Complex(..), _) => Err(BAD_TYPE.into()),
        _ => Ok(a.as_bytes() < b.as_bytes()),
    }
}

/// `reflect.DeepEqual`: types count, and so does whether something is nil or only empty.
pub(crate) fn deep_equal(a: &Value, b: &Value) -> bool {
    deep(a, b, crate::print::MAX_DEPTH)
}

fn deep(a: &Value, b: &Value, left: usize) -> bool {
    let Some(left) = left.checked_sub(1) else { return true };
    match (a, b) {
        (Value::Nil, Value::Nil) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) | (Value::Int64(a), Value::Int64(b)) => a == b,
        (Value::Byte(a), Value::Byte(b)) => a == b,
        (Value::Uint64(a), Value::Uint64(b)) => a == b,
        (Value::Float(a), Value::Float(b)) => a == b,
        (Value::Complex(ar, ai), Value::Complex(br, bi)) => ar == br && ai == bi,
        (Value::Str(_) | Value::Raw(_), Value::Str(_) | Value::Raw(_)) => a.as_bytes() == b.as_bytes(),
        (Value::List(a), Value::List(b)) => {
            a.element() == b.element()
                && a.is_nil() == b.is_nil()
                && (a.same(b)
                    || a.len() == b.len() && a.items().iter().zip(b.items().iter()).all(|(a, b)| deep(a, b, left)))
        }
        (Value::Map(a), Value::Map(b)) => {
            a.kind() == b.kind()
                && a.is_nil() == b.is_nil()
                && (a.same(b)
                    || a.len() == b.len()
                        && a.entries()
                            .iter()
                            .zip(b.entries().iter())
                            .all(|((ka, a), (kb, b))| ka == kb && deep(a, b, left)))
        }
        (Value::Time(a), Value::Time(b)) => a.deep_equal(b),
        (Value::Object(a), Value::Object(b)) => {
            std::rc::Rc::ptr_eq(a, b) || a.type_name() == b.type_name() && deep(&a.contents(), &b.contents(), left)
        }
        _ => false,
    }
}
