//! Semantic versions.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::LazyLock;

use regex::Regex;
use soll_semver::{ConstraintError, Constraints, Version, VersionError};

use super::{Function, NIL_DEREFERENCE, pure, text};
use crate::object::Param::Str as Text;
use crate::object::{Object, Param};
use crate::render::{Fault, fault};
use crate::value::{Kind, Value};

pub(super) static TABLE: &[Function] = &[
    pure("semver", &[Text], |args| {
        let version = parse(&text(&args[0]))?;
        Ok(Value::Object(Rc::new(VersionObject { version, pointer: true })))
    }),
    pure("semverCompare", &[Text, Text], |args| {
        let constraints = Constraints::parse(&text(&args[0])).map_err(|error| fault(no_constraint(&error)))?;
        Ok(Value::Bool(constraints.check(&parse(&text(&args[1]))?)))
    }),
];

fn parse(text: &str) -> Result<Version, Fault> {
    Version::parse(text).map_err(|error| {
        fault(match error {
            VersionError::Form(_) => "invalid semantic version".to_owned(),
            VersionError::TooLong => "version string is too long (max 256 bytes)".to_owned(),
            VersionError::TooLarge(number) => {
                let number = crate::quote::quoted(number.as_bytes());
                format!("error parsing version segment: strconv.ParseUint: parsing {number}: value out of range")
            }
            VersionError::LeadingZero(_) => "version segment starts with 0".to_owned(),
        })
    })
}

/// A range with `>= 1, <= 2 ` in the place of `1 - 2`, wherever that stands: as the library reads it and shows it.
fn with_bounds(range: &str) -> Cow<'_, str> {
    static BOUNDS: LazyLock<Regex> = LazyLock::new(|| {
        let words = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*";
        let version = format!(r"v?[0-9|xX*]+(?:\.[0-9|xX*]+){{0,2}}(?:-{words})?(?:\+{words})?");
        Regex::new(&format!(r"[\t\n\f\r ]*({version})[\t\n\f\r ]+-[\t\n\f\r ]+({version})[\t\n\f\r ]*"))
            .expect("it is an expression")
    });
    BOUNDS.replace_all(range, ">= $1, <= $2 ")
}

fn no_constraint(error: &ConstraintError) -> String {
    match error {
        ConstraintError::Form(range) => {
            let range = with_bounds(range);
            let culprit = range.split("||").find(|part| Constraints::parse(part).is_err()).unwrap_or(&range);
            // A number may be of these as far as the form goes, and then is none.
            let as_digits = culprit.replace(['|', 'x', 'X', '*'], "9");
            if Constraints::parse(&as_digits).is_ok() {
                return "constraint parser error".to_owned();
            }
            format!("improper constraint: {}", crate::quote::quoted(culprit.as_bytes()))
        }
        ConstraintError::TooLong => "constraint string is too long (max 512 bytes)".to_owned(),
        ConstraintError::TooMany => "too many constraint groups (max 32)".to_owned(),
    }
}

const POINTER: &str = "*semver.Version";

/// `*semver.Version`, or the `semver.Version` that its methods make.
struct VersionObject {
    version: Version,
    pointer: bool,
}

fn made(version: Version) -> Value {
    Value::Object(Rc::new(VersionObject { version, pointer: false }))
}

fn next(version: Option<Version>, what: &str) -> Result<Value, String> {
    version.map(made).ok_or_else(|| format!("{what} version increment would overflow uint64"))
}

fn refused(error: &VersionError, form: &str) -> String {
    match error {
        VersionError::LeadingZero(_) => "version segment starts with 0".to_owned(),
        _ => form.to_owned(),
    }
}

impl Object for VersionObject {
    fn type_name(&self) -> &str {
        if self.pointer { POINTER } else { "semver.Version" }
    }

    fn kind(&self) -> Kind {
        if self.pointer { Kind::Ptr } else { Kind::Struct }
    }

    fn method(&self, name: &str) -> Option<&'static [Param]> {
        Some(match name {
            "Major" | "Minor" | "Patch" | "Prerelease" | "Metadata" | "String" | "IncMajor" | "IncMinor"
            | "IncPatch" | "MarshalJSON" | "MarshalText" | "Value" => &[],
            "SetPrerelease" | "SetMetadata" => &[Text],
            "Original" if self.pointer => &[],
            "Compare" | "Equal" | "LessThan" | "LessThanEqual" | "GreaterThan" | "GreaterThanEqual" if self.pointer => {
                &[Param::Named(POINTER)]
            }
            _ => return None,
        })
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Result<Value, String> {
        let version = &self.version;
        let set = arguments.first().map(text).unwrap_or_default();
        Ok(match name {
            "Major" => Value::Uint64(version.major()),
            "Minor" => Value::Uint64(version.minor()),
            "Patch" => Value::Uint64(version.patch()),
            "Prerelease" => Value::text(version.prerelease()),
            "Metadata" => Value::text(version.metadata()),
            "Original" => Value::from(version.to_string()),
            "IncMajor" => next(version.next_major(), "major")?,
            "IncMinor" => next(version.next_minor(), "minor")?,
            "IncPatch" => next(version.next_patch(), "patch")?,
            "SetPrerelease" => {
                made(version.with_prerelease(&set).map_err(|error| refused(&error, "invalid prerelease string"))?)
            }
            "SetMetadata" => {
                made(version.with_metadata(&set).map_err(|error| refused(&error, "invalid metadata string"))?)
            }
            "MarshalJSON" => Value::byte_list(format!("\"{}\"", version.normal()).as_bytes()),
            "MarshalText" => Value::byte_list(version.normal().as_bytes()),
            "String" | "Value" => Value::from(version.normal()),
            comparison => {
                let other = match arguments.first() {
                    Some(Value::Object(other)) => other.inner().and_then(|inner| inner.downcast_ref()),
                    _ => None,
                };
                let Some(Self { version: other, .. }) = other else {
                    return if comparison == "Equal" { Ok(Value::Bool(false)) } else { Err(NIL_DEREFERENCE.into()) };
                };
                let order = version.cmp_precedence(other);
                match comparison {
                    "Compare" => Value::Int(order as i64),
                    "Equal" => Value::Bool(order.is_eq()),
                    "LessThan" => Value::Bool(order.is_lt()),
                    "LessThanEqual" => Value::Bool(order.is_le()),
                    "GreaterThan" => Value::Bool(order.is_gt()),
                    _ => Value::Bool(order.is_ge()),
                }
            }
        })
    }

    fn contents(&self) -> Value {
        // It marshals as its text.
        Value::from(self.version.normal())
    }

    fn fields(&self) -> Vec<(soll_yaml::Str, Value)> {
        let version = &self.version;
        let numbers = [("major", version.major()), ("minor", version.minor()), ("patch", version.patch())];
        let original = version.to_string();
        let texts = [("pre", version.prerelease()), ("metadata", version.metadata()), ("original", original.as_str())];
        let numbers = numbers.map(|(name, number)| (name.into(), Value::Uint64(number)));
        numbers.into_iter().chain(texts.map(|(name, text)| (name.into(), Value::text(text)))).collect()
    }

    fn string(&self) -> Option<String> {
        Some(self.version.normal())
    }

    fn hidden(&self) -> &'static [&'static str] {
        &["major", "minor", "patch", "pre", "metadata", "original"]
    }

    fn copied(&self) -> Option<Value> {
        let version = Version::parse("0.0.0").expect("it is a version");
        Some(Value::Object(Rc::new(Self { version, pointer: self.pointer })))
    }

    fn inner(&self) -> Option<&dyn std::any::Any> {
        Some(self)
    }
}
