//! Semantic versions.

use std::rc::Rc;

use soll_semver::{ConstraintError, Constraints, Version, VersionError};

use super::{Function, pure, text};
use crate::object::Param::Str as Text;
use crate::object::{Object, Param};
use crate::render::{Fault, fault};
use crate::value::{Kind, Value};

pub(super) static TABLE: &[Function] = &[
    pure("semver", &[Text], |args| {
        let version = parse(&text(&args[0]))?;
        Ok(Value::Object(Rc::new(VersionObject(version))))
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

fn no_constraint(error: &ConstraintError) -> String {
    match error {
        ConstraintError::Form(range) => {
            let culprit = range.split("||").find(|part| Constraints::parse(part).is_err()).unwrap_or(range);
            format!("improper constraint: {}", crate::quote::quoted(culprit.as_bytes()))
        }
        ConstraintError::TooLong => "constraint string is too long (max 512 bytes)".to_owned(),
        ConstraintError::TooMany => "too many constraint groups (max 32)".to_owned(),
    }
}

/// `*semver.Version`
struct VersionObject(Version);

impl VersionObject {
    /// With all three numbers and without a `v`.
    fn normal(&self) -> String {
        let version = &self.0;
        let mut out = format!("{}.{}.{}", version.major(), version.minor(), version.patch());
        for (mark, part) in [('-', version.prerelease()), ('+', version.metadata())] {
            if !part.is_empty() {
                out.push(mark);
                out.push_str(part);
            }
        }
        out
    }
}

impl Object for VersionObject {
    fn type_name(&self) -> &str {
        "*semver.Version"
    }

    fn kind(&self) -> Kind {
        Kind::Ptr
    }

    fn field(&self, _: &str) -> Option<Value> {
        None
    }

    fn method(&self, name: &str) -> Option<&'static [Param]> {
        matches!(name, "Major" | "Minor" | "Patch" | "Prerelease" | "Metadata" | "Original" | "String").then_some(&[])
    }

    fn call(&self, name: &str, _: &[Value]) -> Result<Value, String> {
        let version = &self.0;
        Ok(match name {
            "Major" => Value::Uint64(version.major()),
            "Minor" => Value::Uint64(version.minor()),
            "Patch" => Value::Uint64(version.patch()),
            "Prerelease" => Value::text(version.prerelease()),
            "Metadata" => Value::text(version.metadata()),
            "Original" => Value::from(version.to_string()),
            _ => Value::from(self.normal()),
        })
    }

    fn contents(&self) -> Value {
        // It marshals as its text.
        Value::from(self.normal())
    }

    fn string(&self) -> Option<String> {
        Some(self.normal())
    }
}
