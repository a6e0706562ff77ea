//! Methods of times, durations and versions.

use super::pools::*;
use super::{Generator, Subject};
use crate::oracle::Inventory;

/// Methods that no template can want: they work on bytes of other formats, or change a value in place.
const PASSED_OVER: &[&str] = &[
    "AppendBinary",
    "AppendFormat",
    "AppendText",
    "GobEncode",
    "MarshalBinary",
    "Scan",
    "UnmarshalJSON",
    "UnmarshalText",
];

pub(super) fn subjects(inventory: &Inventory) -> Vec<Subject> {
    let methods = inventory.methods.iter().flat_map(|(receiver, methods)| {
        methods.keys().map(move |name| Subject::Method(receiver.clone(), name.clone()))
    });
    let wanted = |subject: &Subject| !matches!(subject, Subject::Method(_, name) if PASSED_OVER.contains(&&**name));
    methods.filter(wanted).collect()
}

impl Generator {
    /// A call of a method.
    pub(super) fn method(&mut self, receiver: &str, name: &str) -> String {
        let params = self.inventory.methods[receiver][name].params.clone();
        let mut text = format!("{}.{name}", self.named(receiver));
        for param in &params {
            let argument = match param.as_str() {
                "int" if name == "AddDate" => {
                    self.chance.pick(&["0", "1", "-1", "13", "-40", "(len .list)", "400"]).to_owned()
                }
                _ if self.chance.percent(6) => self.anything(),
                "string" => match name {
                    "Format" => self.chance.pick(LAYOUTS).to_owned(),
                    _ => self
                        .chance
                        .pick(&["\"rc.1\"", "\"\"", "\"x.-y\"", "\"a_b\"", "\"01\"", ".str", "\"b5\""])
                        .to_owned(),
                },
                "int" => self.small(),
                other => self.named(other),
            };
            text = format!("{text} {argument}");
        }
        text
    }

    /// An expression of a type with methods.
    pub(super) fn named(&mut self, type_name: &str) -> String {
        let time = self.chance.pick(TIMES);
        let version = self.chance.pick(VERSIONS);
        match type_name {
            "time.Time" => time.to_owned(),
            "time.Month" => format!("{time}.Month"),
            "time.Weekday" => format!("{time}.Weekday"),
            "*time.Location" => format!("{time}.Location"),
            "time.Duration" => match self.chance.below(4) {
                0 => format!("(({time}.Sub {}).Truncate ({time}.Sub {time}))", self.chance.pick(TIMES)),
                1 => format!("({time}.Sub ({time}.AddDate 0 0 {}))", self.small()),
                2 => format!("({time}.Sub (dateModify \"{}\" {time}))", self.chance.pick(SPANS)),
                _ => format!("({time}.Sub {})", self.chance.pick(TIMES)),
            },
            "*semver.Version" => format!("(semver {version})"),
            "semver.Version" => {
                format!("(semver {version}).{}", self.chance.pick(&["IncMajor", "IncMinor", "IncPatch"]))
            }
            _ => "(genCAWithKey \"ca\" 1 (genPrivateKey \"ed25519\"))".to_owned(),
        }
    }
}
