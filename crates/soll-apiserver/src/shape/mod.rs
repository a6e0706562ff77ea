//! Objects in the shape of their schema: unknown fields found, values in their normal form.

pub(crate) mod quantity;

use base64::Engine as _;
use base64::alphabet::STANDARD as STANDARD_ALPHABET;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use soll_schema::{ListType, Scalar, Shape, TypeRef};
use soll_yaml::{Data, FieldPath, Step, Value};

/// What was found while an object was brought into shape.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Fields that the schema does not know; they were dropped.
    pub(crate) unknown: Vec<FieldPath>,
    /// Values of another type than the schema's: the place, and what was expected.
    pub(crate) misfits: Vec<(FieldPath, String)>,
    /// Lists and maps that were written, are empty, and were left out.
    pub(crate) emptied: Vec<Emptied>,
}

/// A list or map that was written and is empty. The normal form leaves it out, but it is not nothing.
#[derive(Debug, Clone)]
pub(crate) struct Emptied {
    pub(crate) path: FieldPath,
    /// The empty list or map.
    pub(crate) value: Value,
    /// Whether it stands in a list that is compared as a whole.
    pub(crate) in_whole_list: bool,
}

/// Whose rules hold where they differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    /// Builtin kinds pass through Go's types: nulls and empty optional lists vanish, empty structs appear.
    Builtin,
    /// Custom resources stay as they are but for fields that are unknown.
    Custom,
}

/// Brings an object into the shape of its type.
pub(crate) fn fit(of: TypeRef<'_>, object: &mut Value, rules: Rules) -> Findings {
    let mut fitter = Fitter { rules, findings: Findings::default(), path: FieldPath::root(), whole_lists: 0 };
    fitter.value(of, object);
    fitter.findings
}

struct Fitter {
    rules: Rules,
    findings: Findings,
    path: FieldPath,
    /// Lists above that are compared as a whole.
    whole_lists: usize,
}

impl Fitter {
    fn value(&mut self, of: TypeRef<'_>, value: &mut Value) {
        match of.shape() {
            Shape::Struct => self.structure(of, value),
            Shape::Map => self.map(of, value),
            Shape::List => self.list(of, value),
            Shape::Scalar(scalar) if self.rules == Rules::Builtin => self.scalar(scalar, value),
            // Validation looks at the leaves of custom resources, with their schema's words.
            Shape::Scalar(_) | Shape::Any => {}
        }
    }

    fn structure(&mut self, of: TypeRef<'_>, value: &mut Value) {
        let Some(map) = value.as_map_mut() else { return self.misfit("an object", value) };
        let extra = of.undeclared();
        let builtin = self.rules == Rules::Builtin;
        for (key, value) in map.iter_mut() {
            let Some(of) = of.struct_field(key).map(|field| field.of).or(extra) else {
                self.findings.unknown.push(self.path.key(key));
                continue;
            };
            if builtin && value.is_null() {
                continue;
            }
            let key = key.clone();
            self.within(Step::Key(key), |fitter| fitter.value(of, value));
        }
        map.retain(|entry| {
            let known = of.struct_field(&entry.key).is_some() || extra.is_some();
            known && !(builtin && entry.value.is_null())
        });
        if !builtin {
            return;
        }
        map.retain(|entry| {
            let Some(field) = of.struct_field(&entry.key).filter(|field| !field.emitted && !field.required) else {
                return true;
            };
            let is_empty = is_empty_collection(field.of, &entry.value);
            if is_empty {
                let (path, value) = (self.path.key(&entry.key), entry.value.clone());
                self.findings.emptied.push(Emptied { path, value, in_whole_list: self.whole_lists > 0 });
            }
            !is_empty && (!is_zero(field.of, &entry.value) || is_pointer(field.name))
        });
        for field in of.fields().filter(|field| field.emitted) {
            if map.contains(field.name) {
                continue;
            }
            match field.of.shape() {
                Shape::Struct => {
                    let mut empty = Value::map();
                    self.value(field.of, &mut empty);
                    map.insert(field.name, empty);
                }
                Shape::Scalar(Scalar::Int32 | Scalar::Int64) => drop(map.insert(field.name, Value::from(0))),
                Shape::Scalar(Scalar::Bool) => drop(map.insert(field.name, Value::from(false))),
                _ => {}
            }
        }
    }

    fn map(&mut self, of: TypeRef<'_>, value: &mut Value) {
        let Some(map) = value.as_map_mut() else { return self.misfit("an object", value) };
        let Some(values) = of.undeclared() else {
            // A custom resource's object of which its schema says nothing.
            self.findings.unknown.extend(map.keys().map(|key| self.path.key(key)));
            map.retain(|_| false);
            return;
        };
        for (key, value) in map.iter_mut() {
            if self.rules == Rules::Builtin && value.is_null() && values.scalar() == Some(Scalar::String) {
                *value = Value::str("");
                continue;
            }
            let key = key.clone();
            self.within(Step::Key(key), |fitter| fitter.value(values, value));
        }
    }

    fn list(&mut self, of: TypeRef<'_>, value: &mut Value) {
        let items = of.items().unwrap_or(TypeRef::ANY);
        let Some(list) = value.as_list_mut() else { return self.misfit("an array", value) };
        let is_whole = of.list_type() == ListType::Atomic;
        self.whole_lists += usize::from(is_whole);
        for (index, item) in list.iter_mut().enumerate() {
            self.within(Step::Index(index), |fitter| fitter.value(items, item));
        }
        self.whole_lists -= usize::from(is_whole);
    }

    fn scalar(&mut self, scalar: Scalar, value: &mut Value) {
        match (scalar, &value.data) {
            (Scalar::Bytes, Data::Str(text)) => match base64_as_go_writes_it(text) {
                Some(canonical) if canonical == text.as_str() => {}
                Some(canonical) => *value = Value::from(canonical).at(value.at),
                None => self.misfit("base64", value),
            },
            (Scalar::String, Data::Str(_))
            | (Scalar::Bool, Data::Bool(_))
            | (Scalar::Int32 | Scalar::Int64, Data::Int(_))
            | (Scalar::IntOrString, Data::Int(_) | Data::Str(_))
            | (Scalar::Double, Data::Int(_) | Data::Float(_)) => {}
            (Scalar::Int32 | Scalar::Int64 | Scalar::IntOrString, Data::Float(_)) => match value.as_i64() {
                Some(number) => value.data = Data::Int(number),
                None => self.misfit("an integer", value),
            },
            (Scalar::Time, Data::Str(text)) => match text.parse::<jiff::Timestamp>() {
                Ok(at) => *value = Value::from(crate::meta::time(at)).at(value.at),
                Err(_) => self.misfit("a time such as 2006-01-02T15:04:05Z", value),
            },
            (Scalar::MicroTime, Data::Str(text)) => match text.parse::<jiff::Timestamp>() {
                Ok(at) => *value = Value::from(crate::meta::micro_time(at)).at(value.at),
                Err(_) => self.misfit("a time such as 2006-01-02T15:04:05.000000Z", value),
            },
            (Scalar::Quantity, Data::Str(_) | Data::Int(_) | Data::Float(_)) => {
                let text = value.as_str().map_or_else(|| soll_yaml::to_json(value), str::to_owned);
                match quantity::canonical(&text) {
                    Some(canonical) if value.as_str() == Some(&canonical) => {}
                    Some(canonical) => *value = Value::from(canonical).at(value.at),
                    None => self.misfit("a quantity such as 500m or 1Gi", value),
                }
            }
            (Scalar::String | Scalar::Bytes | Scalar::Time | Scalar::MicroTime, _) => self.misfit("a string", value),
            (Scalar::Bool, _) => self.misfit("a boolean", value),
            (Scalar::Int32 | Scalar::Int64, _) => self.misfit("an integer", value),
            (Scalar::Double, _) => self.misfit("a number", value),
            (Scalar::IntOrString, _) => self.misfit("an integer or a string", value),
            (Scalar::Quantity, _) => self.misfit("a quantity", value),
        }
    }

    fn misfit(&mut self, expected: &str, value: &Value) {
        // The validation of custom resources says it in the words of their schema.
        if self.rules == Rules::Builtin {
            let message = format!("expected {expected}, found {}", value.type_in_words());
            self.findings.misfits.push((self.path.clone(), message));
        }
    }

    fn within(&mut self, step: Step, run: impl FnOnce(&mut Self)) {
        self.path.0.push(step);
        run(self);
        self.path.0.pop();
    }
}

/// Bytes pass through Go's decoder, which reads over line ends, and lie in one line then. None if it would refuse them.
fn base64_as_go_writes_it(text: &str) -> Option<String> {
    const LENIENT: GeneralPurpose =
        GeneralPurpose::new(&STANDARD_ALPHABET, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));
    let line: String = text.chars().filter(|letter| !matches!(letter, '\r' | '\n')).collect();
    Some(LENIENT.encode(LENIENT.decode(line).ok()?))
}

/// Optional lists and maps of leaves that Go leaves out; an empty struct may be a choice and stays, and the
/// schema does not tell a struct without fields from a map of anything.
fn is_empty_collection(of: TypeRef<'_>, value: &Value) -> bool {
    match of.shape() {
        Shape::List => value.as_list().is_some_and(<[Value]>::is_empty),
        Shape::Map => {
            let of_leaves = of.values().is_some_and(|values| values.scalar().is_some());
            of_leaves && value.as_map().is_some_and(soll_yaml::Map::is_empty)
        }
        Shape::Struct | Shape::Scalar(_) | Shape::Any => false,
    }
}

/// The zero of a leaf, which Go leaves out unless the field is a pointer.
fn is_zero(of: TypeRef<'_>, value: &Value) -> bool {
    match (of.scalar(), &value.data) {
        (Some(Scalar::String | Scalar::Bytes), Data::Str(text)) => text.is_empty(),
        (Some(Scalar::Int32 | Scalar::Int64), Data::Int(number)) => *number == 0,
        (Some(Scalar::Bool), Data::Bool(value)) => !value,
        _ => false,
    }
}

/// Optional leaves that are pointers in Go, so that a zero that is written was meant. The schema does not
/// tell; this is the list of those that people set.
pub(crate) fn is_pointer(field: &str) -> bool {
    POINTERS.binary_search(&field).is_ok()
}

const POINTERS: &[&str] = &[
    "activeDeadlineSeconds",
    "allocateLoadBalancerNodePorts",
    "allowPrivilegeEscalation",
    "allowVolumeExpansion",
    "appProtocol",
    "attachRequired",
    "automountServiceAccountToken",
    "averageUtilization",
    "backoffLimit",
    "backoffLimitPerIndex",
    "blockOwnerDeletion",
    "collisionCount",
    "completions",
    "controller",
    "defaultMode",
    "deletionGracePeriodSeconds",
    "enableServiceLinks",
    "endPort",
    "expirationSeconds",
    "failedJobsHistoryLimit",
    "fsGroup",
    "gracePeriodSeconds",
    "holderIdentity",
    "hostProcess",
    "hostUsers",
    "immutable",
    "ingressClassName",
    "leaseDurationSeconds",
    "leaseTransitions",
    "manualSelector",
    "maxFailedIndexes",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minDomains",
    "minItems",
    "minLength",
    "minProperties",
    "minReplicas",
    "minimum",
    "mode",
    "multipleOf",
    "optional",
    "orphanDependents",
    "parallelism",
    "partition",
    "persistentVolumeName",
    "podInfoOnMount",
    "preferredHolder",
    "priority",
    "privileged",
    "progressDeadlineSeconds",
    "readOnlyRootFilesystem",
    "ready",
    "recursiveReadOnly",
    "replicas",
    "requiresRepublish",
    "revisionHistoryLimit",
    "runAsGroup",
    "runAsNonRoot",
    "runAsUser",
    "runtimeClassName",
    "seLinuxMount",
    "seconds",
    "serving",
    "setHostnameAsFQDN",
    "shareProcessNamespace",
    "stabilizationWindowSeconds",
    "startingDeadlineSeconds",
    "storageCapacity",
    "storageClassName",
    "successfulJobsHistoryLimit",
    "suspend",
    "terminating",
    "terminatingReplicas",
    "terminationGracePeriodSeconds",
    "timeZone",
    "timeoutSeconds",
    "tolerationSeconds",
    "ttlSecondsAfterFinished",
    "volumeAttributesClassName",
    "x-kubernetes-preserve-unknown-fields",
];

#[cfg(test)]
mod tests {
    use super::*;
    use soll_schema::Schemas;
    use soll_yaml::{parse_json, to_json_sorted};

    fn fit_builtin(kind: (&str, &str), text: &str) -> (String, Findings) {
        let mut object = parse_json(text.as_bytes()).expect("JSON");
        let of = Schemas::builtin().type_of(kind.0, "v1", kind.1).expect("builtin");
        let findings = fit(of, &mut object, Rules::Builtin);
        (to_json_sorted(&object), findings)
    }

    #[test]
    fn builtin_objects_take_their_normal_form() {
        let (shown, findings) = fit_builtin(
            ("", "Pod"),
            r#"{"spec":{"containers":[{"name":"a","env":[],"resources":{"limits":{"cpu":1,"memory":"1024Mi"}},
                "volumeMounts":null}],"volumes":[{"name":"v","emptyDir":{}}]}}"#,
        );
        assert_eq!(
            shown,
            r#"{"metadata":{},"spec":{"containers":[{"name":"a","resources":{"limits":{"cpu":"1","memory":"1Gi"}}}],"volumes":[{"emptyDir":{},"name":"v"}]},"status":{}}"#
        );
        assert!(findings.unknown.is_empty() && findings.misfits.is_empty());
    }

    #[test]
    fn zeros_stay_only_where_go_has_pointers() {
        assert!(POINTERS.is_sorted());
        let (shown, _) = fit_builtin(
            ("apps", "StatefulSet"),
            r#"{"spec":{"replicas":0,"minReadySeconds":0,"template":{"spec":{"hostNetwork":false}}}}"#,
        );
        assert_eq!(
            shown,
            r#"{"metadata":{},"spec":{"replicas":0,"template":{"metadata":{},"spec":{}},"updateStrategy":{}},"status":{"availableReplicas":0,"replicas":0}}"#
        );
    }

    #[test]
    fn unknown_fields_and_wrong_types_are_found() {
        let (_, findings) = fit_builtin(
            ("apps", "Deployment"),
            r#"{"spec":{"replica":1,"replicas":"two","template":{"spec":{"containers":[{"imagee":"x"}]}}}}"#,
        );
        let unknown: Vec<String> = findings.unknown.iter().map(ToString::to_string).collect();
        assert_eq!(unknown, ["spec.replica", "spec.template.spec.containers[0].imagee"]);
        assert_eq!(findings.misfits.len(), 1);
        assert_eq!(findings.misfits[0].0.to_string(), "spec.replicas");
    }

    #[test]
    fn pruning_empties_custom_objects_of_which_the_schema_says_nothing() {
        let schema = br#"{"type":"object","properties":{"spec":{"type":"object","properties":{
            "silent":{"type":"object"},
            "free":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}}}"#;
        let schema = soll_yaml::parse_json(schema).expect("JSON");
        let schema = soll_schema::CrdSchema::from_openapi_v3(&schema).expect("a schema");
        let object = br#"{"kind":"W","spec":{"silent":{"a":1},"free":{"b":{"c":2}}}}"#;
        let mut object = soll_yaml::parse_json(object).expect("JSON");
        let findings = fit(schema.root(), &mut object, Rules::Custom);
        let unknown: Vec<_> = findings.unknown.iter().map(ToString::to_string).collect();
        assert_eq!(unknown, ["spec.silent.a"]);
        assert_eq!(soll_yaml::to_json(&object), r#"{"kind":"W","spec":{"silent":{},"free":{"b":{"c":2}}}}"#);
    }
}
