//! Whether a live object is as an apply would leave it, without asking the API server.
//!
//! After a restart nothing is remembered, and neither inventories nor annotations hold digests. What can be told from
//! the desired and the live object alone is told here; wherever that is not certain the answer is no, and a dry run
//! decides. So a wrong "no" costs one call, and a wrong "yes" is a bug.

use soll_api::Object;
use soll_schema::{ListType, Scalar, Shape, TypeRef};
use soll_yaml::{Data, Value};

use crate::controls::{self, Ssa};
use crate::managers::{Entry, entries, is_leaf, selects};
use crate::quantity::Quantity;
use crate::{Look, Managers, look};

/// Says whether applying the desired object would certainly change nothing: each desired leaf is live in normal form,
/// each leaf that we own is desired or not ours alone, and nothing is left to take over.
///
/// The type is that of the desired version, or none if it is not known.
#[must_use]
pub fn as_applied(desired: &Object, live: &Object, managers: &Managers, r#type: Option<TypeRef<'_>>) -> bool {
    if live.is_terminating() || desired.api_version() != live.api_version() || look(desired, Some(live)) != Look::DryRun
    {
        return false;
    }
    let merges = controls::asks_for(desired, Ssa::Merge) || controls::asks_for(live, Ssa::Merge);
    if !merges && managers.takeover(live).is_some() {
        return false;
    }
    let is_ours = |entry: &Entry<'_>| entry.manager() == managers.ours && entry.is_apply() && !entry.has_subresource();
    let mut ours = entries(live).filter(is_ours);
    // More than one entry of ours: an earlier API version, which the next apply folds in.
    let (Some(entry), None) = (ours.next(), ours.next()) else { return false };
    let Some(fields) = entry.fields().filter(|_| entry.api_version() == desired.api_version()) else { return false };
    let others: Vec<_> = entries(live)
        .filter(|entry| !is_ours(entry))
        .filter_map(Entry::fields)
        .filter(|fields| !is_leaf(fields))
        .collect();
    is_live(desired.value(), live.value(), r#type, Owned::Fields(fields), Place::Root)
        && is_wanted(fields, Some(desired.value()), Some(live.value()), &others)
}

/// Where in the object a comparison stands: identity is compared already, or was what found the live object.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Metadata,
    Below,
}

impl Place {
    fn child(self, key: &str) -> Self {
        if self == Self::Root && key == "metadata" { Self::Metadata } else { Self::Below }
    }

    fn is_identity(self, key: &str) -> bool {
        match self {
            Self::Root => matches!(key, "apiVersion" | "kind"),
            Self::Metadata => matches!(key, "name" | "namespace"),
            Self::Below => false,
        }
    }
}

/// What we own at a place.
#[derive(Clone, Copy)]
enum Owned<'f> {
    Nothing,
    /// These fields.
    Fields(&'f Value),
    /// Everything, through an atomic parent.
    All,
}

impl<'f> Owned<'f> {
    fn of(fields: Option<&'f Value>) -> Self {
        fields.map_or(Self::Nothing, Self::Fields)
    }

    fn field(self, key: &str) -> Self {
        match self {
            Self::Fields(fields) => Self::of(fields.get(&format!("f:{key}"))),
            Self::Nothing | Self::All => self,
        }
    }

    fn item(self, item: &Value) -> Self {
        match self {
            // Keyed items and those of sets: none is found by its index.
            Self::Fields(fields) => Self::of(select_fields(fields, item)),
            Self::Nothing | Self::All => self,
        }
    }

    /// What we own of the parts of an atomic node.
    fn whole(self) -> Self {
        match self {
            Self::Nothing => self,
            Self::Fields(_) | Self::All => Self::All,
        }
    }

    fn is_something(self) -> bool {
        !matches!(self, Self::Nothing)
    }
}

fn select_fields<'f>(fields: &'f Value, item: &Value) -> Option<&'f Value> {
    fields.as_map()?.iter().find(|entry| selects(&entry.key, usize::MAX, item)).map(|entry| &entry.value)
}

/// Says whether each desired leaf is live.
fn is_live(desired: &Value, live: &Value, r#type: Option<TypeRef<'_>>, ours: Owned<'_>, place: Place) -> bool {
    match (&desired.data, &live.data) {
        (Data::Map(desired), Data::Map(live)) => {
            let is_atomic = is_atomic(r#type);
            let ours = if is_atomic { ours.whole() } else { ours };
            let is_whole = !is_atomic || (ours.is_something() && desired.len() == live.len());
            is_whole
                && desired.iter().all(|entry| {
                    let key = entry.key.as_str();
                    let r#type = r#type.and_then(|r#type| r#type.field(key));
                    place.is_identity(key)
                        || match live.get(key) {
                            Some(live) => is_live(&entry.value, live, r#type, ours.field(key), place.child(key)),
                            // Go types leave zeros out. That nobody removed it shows in that it is ours still.
                            None => ours.field(key).is_something() && is_zero(&entry.value),
                        }
                })
        }
        (Data::List(desired), Data::List(live)) => lists_are_live(desired, live, r#type, ours),
        _ => same_scalar(desired, live, r#type.and_then(|r#type| r#type.scalar())),
    }
}

fn lists_are_live(desired: &[Value], live: &[Value], r#type: Option<TypeRef<'_>>, ours: Owned<'_>) -> bool {
    let Some(r#type) = r#type else { return ours.is_something() && desired == live };
    let item_is_live = |item: &Value, live: &Value, ours| is_live(item, live, r#type.items(), ours, Place::Below);
    match r#type.list_type() {
        ListType::Map => desired.iter().all(|item| {
            // An item without one of its keys is completed by defaults that are not known here.
            let is =
                |live: &&Value| r#type.map_keys().all(|key| item.get(key).is_some() && live.get(key) == item.get(key));
            let mut found = live.iter().filter(is);
            // Two items with equal keys, which the API server lets pass: whose is which cannot be told.
            found.next().is_some_and(|live| found.next().is_none() && item_is_live(item, live, ours.item(live)))
        }),
        ListType::Set => desired.iter().all(|item| live.contains(item)),
        // Whoever changes one item owns the list: while we do, what is more in live items came by defaults.
        ListType::Atomic => {
            let mut pairs = desired.iter().zip(live);
            ours.is_something()
                && desired.len() == live.len()
                && pairs.all(|(item, live)| item_is_live(item, live, ours.whole()))
        }
    }
}

fn is_atomic(r#type: Option<TypeRef<'_>>) -> bool {
    r#type.is_some_and(|r#type| r#type.is_atomic() && matches!(r#type.shape(), Shape::Struct | Shape::Map))
}

/// Says whether two leaves mean the same to the API server.
fn same_scalar(desired: &Value, live: &Value, scalar: Option<Scalar>) -> bool {
    if desired == live {
        return true;
    }
    match scalar {
        Some(Scalar::Quantity) => match (quantity(desired), quantity(live)) {
            (Some(desired), Some(live)) => desired == live,
            _ => false,
        },
        Some(Scalar::Int32 | Scalar::Int64 | Scalar::Double) | None => {
            matches!((number(desired), number(live)), (Some(a), Some(b)) if a == b)
        }
        Some(Scalar::Time | Scalar::MicroTime) => {
            let time = |value: &Value| value.as_str()?.parse::<jiff::Timestamp>().ok();
            matches!((time(desired), time(live)), (Some(a), Some(b)) if a == b)
        }
        // kustomize breaks base64 into lines; the API server joins them.
        Some(Scalar::Bytes) => {
            let joined = |value: &Value| value.as_str().map(|text| text.replace(['\n', '\r'], ""));
            matches!((joined(desired), joined(live)), (Some(a), Some(b)) if a == b)
        }
        Some(Scalar::String | Scalar::Bool | Scalar::IntOrString) => false,
    }
}

fn quantity(value: &Value) -> Option<Quantity> {
    match &value.data {
        Data::Str(text) => Quantity::parse(text),
        Data::Int(number) => Quantity::parse(&number.to_string()),
        Data::Float(number) => Quantity::parse(&number.to_string()),
        Data::Null | Data::Bool(_) | Data::List(_) | Data::Map(_) => None,
    }
}

fn number(value: &Value) -> Option<f64> {
    match value.data {
        // Past 2^53 two integers may round to the same float.
        Data::Int(number) if number.unsigned_abs() < 1 << 53 => Some(number as f64),
        Data::Float(number) => Some(number),
        _ => None,
    }
}

/// Says whether each leaf that we own is desired, or owned by another manager too, or an empty struct, which Go clients
/// write without meaning it.
fn is_wanted(ours: &Value, desired: Option<&Value>, live: Option<&Value>, others: &[&Value]) -> bool {
    let excused = || !others.is_empty() || live.is_none_or(is_empty);
    let Some(map) = ours.as_map().filter(|map| !map.is_empty()) else { return desired.is_some() || excused() };
    map.iter().all(|entry| {
        if entry.key == "." {
            return desired.is_some()
                || others.iter().any(|other| is_leaf(other) || other.get(".").is_some())
                || live.is_none_or(is_empty);
        }
        let others: Vec<_> = others.iter().filter_map(|other| other.get(&entry.key)).collect();
        is_wanted(
            &entry.value,
            desired.and_then(|desired| select(desired, &entry.key)),
            live.and_then(|live| select(live, &entry.key)),
            &others,
        )
    })
}

fn is_zero(value: &Value) -> bool {
    match &value.data {
        Data::Bool(value) => !value,
        Data::Int(value) => *value == 0,
        Data::Float(value) => *value == 0.0,
        Data::Str(text) => text.is_empty(),
        Data::Null | Data::List(_) | Data::Map(_) => is_empty(value),
    }
}

fn is_empty(value: &Value) -> bool {
    match &value.data {
        Data::Map(map) => map.is_empty(),
        Data::List(items) => items.is_empty(),
        Data::Null => true,
        Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Str(_) => false,
    }
}

/// The node that one key of a trie stands for.
fn select<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    match &value.data {
        Data::Map(map) => map.get(key.strip_prefix("f:")?),
        Data::List(items) => {
            items.iter().enumerate().find(|(index, item)| selects(key, *index, item)).map(|(_, item)| item)
        }
        Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Str(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::object;
    use soll_schema::Schemas;

    /// Compares a Deployment whose metadata says that we applied `ours` and another manager `theirs`.
    fn check(desired: &str, live: &str, ours: &str, theirs: &str, expected: bool) {
        let object = |metadata: &str, spec: &str| {
            object(&format!(
                "{{'apiVersion': 'apps/v1', 'kind': 'Deployment',
                  'metadata': {{'name': 'd', 'namespace': 'n'{metadata}}}, 'spec': {spec}}}"
            ))
        };
        let entry = |manager: &str, operation: &str, fields: &str| {
            let fields = if fields.is_empty() { "{}".to_owned() } else { format!("{{'f:spec': {fields}}}") };
            format!(
                "{{'manager': '{manager}', 'operation': '{operation}', 'apiVersion': 'apps/v1',
                  'fieldsV1': {fields}}}"
            )
        };
        let managed = format!(
            ", 'resourceVersion': '1', 'managedFields': [{}, {}]",
            entry("kustomize-controller", "Apply", ours),
            entry("other", "Update", theirs)
        );
        let r#type = Schemas::builtin().type_of("apps", "v1", "Deployment");
        assert!(r#type.is_some());
        let managers = Managers::new("kustomize-controller");
        let same = as_applied(&object("", desired), &object(&managed, live), &managers, r#type);
        assert_eq!(same, expected, "{desired} {live} {ours} {theirs}");
    }

    #[test]
    fn every_desired_leaf_must_be_live() {
        let ours = "{'f:replicas': {}}";
        check("{'replicas': 1}", "{'replicas': 1, 'paused': true}", ours, "", true);
        check("{'replicas': 1}", "{'replicas': 2}", ours, "", false);
        check("{'replicas': 1}", "{}", ours, "", false);
        check("{'replicas': 1.0}", "{'replicas': 1}", ours, "", true);
        let paused = "{'f:paused': {}}";
        check("{'paused': false}", "{}", paused, "", true);
        check("{'paused': true}", "{}", paused, "", false);
        check("{'paused': false}", "{}", ours, "", false);
        check("{'paused': false}", "{'paused': true}", paused, "", false);
    }

    /// The spec of a Deployment with one container that has these fields.
    fn container(fields: &str) -> String {
        format!("{{'template': {{'spec': {{'containers': [{{'name': 'c'{fields}}}]}}}}}}")
    }

    /// The fields of a Deployment with one container of which these are owned.
    fn owned(fields: &str) -> String {
        format!(
            "{{'f:template': {{'f:spec': {{'f:containers': {{'k:{{\\'name\\':\\'c\\'}}': {{'.': {{}}, 'f:name': {{}}{fields}}}}}}}}}}}"
        )
    }

    #[test]
    fn quantities_are_compared_by_value() {
        let resources = |cpu: &str| container(&format!(", 'resources': {{'limits': {{'cpu': {cpu}}}}}"));
        let ours = owned(", 'f:resources': {'f:limits': {'f:cpu': {}}}");
        check(&resources("'1000m'"), &resources("'1'"), &ours, "", true);
        check(&resources("0.5"), &resources("'500m'"), &ours, "", true);
        check(&resources("'1'"), &resources("'2'"), &ours, "", false);
        let image = |image: &str| container(&format!(", 'image': '{image}'"));
        check(&image("1000m"), &image("1"), &owned(", 'f:image': {}"), "", false);
    }

    #[test]
    fn list_items_are_found_by_their_keys() {
        let ours = owned("");
        let two = "{'template': {'spec': {'containers': [{'name': 'sidecar'}, {'name': 'c', 'tty': true}]}}}";
        check(&container(""), two, &ours, "", true);
        check(&container(""), "{'template': {'spec': {'containers': [{'name': 'x'}]}}}", &ours, "", false);
        let port = |protocol: &str| container(&format!(", 'ports': [{{'containerPort': 80{protocol}}}]"));
        let ports = owned(
            ", 'f:ports': {'k:{\\'containerPort\\':80,\\'protocol\\':\\'TCP\\'}': {'.': {}, 'f:containerPort': {}}}",
        );
        check(&port(", 'protocol': 'TCP'"), &port(", 'protocol': 'TCP'"), &ports, "", true);
        let twice = container(
            ", 'ports': [{'containerPort': 80, 'protocol': 'TCP'}, {'containerPort': 80, 'protocol': 'TCP'}]",
        );
        check(&port(", 'protocol': 'TCP'"), &twice, &ports, "", false);
        check(&port(", 'protocol': 'UDP'"), &port(", 'protocol': 'TCP'"), &ports, "", false);
    }

    #[test]
    fn atomic_lists_must_be_ours() {
        let args = |args: &str| container(&format!(", 'args': [{args}]"));
        let ours = owned(", 'f:args': {}");
        check(&args("'a', 'b'"), &args("'a', 'b'"), &ours, "", true);
        check(&args("'a'"), &args("'a', 'b'"), &ours, "", false);
        check(&args("'a', 'b'"), &args("'b', 'a'"), &ours, "", false);
        check(&args("'a'"), &args("'a'"), &owned(""), &ours, false);
    }

    #[test]
    fn what_we_own_must_be_wanted_or_not_ours_alone() {
        let ours = "{'f:replicas': {}, 'f:paused': {}, 'f:strategy': {}}";
        let live = "{'replicas': 1, 'paused': true, 'strategy': {}}";
        check("{'replicas': 1}", live, ours, "", false);
        check("{'replicas': 1}", live, ours, "{'f:paused': {}}", true);
        check("{'replicas': 1, 'paused': true}", live, ours, "", true);
        let item = owned(", 'f:tty': {}");
        check(&container(""), &container(", 'tty': true"), &item, "", false);
        check(&container(""), &container(", 'tty': true"), &item, &owned(", 'f:tty': {}"), true);
    }

    #[test]
    fn a_list_item_that_we_still_own_is_noticed() {
        let live = "{'template': {'spec': {'containers': [{'name': 'c'}]}}}";
        check("{'template': {'spec': {}}}", live, &owned(""), "", false);
        check("{'template': {'spec': {}}}", live, &owned(""), &owned(""), true);
    }

    #[test]
    fn base64_may_be_broken_into_lines() {
        let secret = |metadata: &str, text: &str| {
            object(&format!(
                "{{'apiVersion': 'v1', 'kind': 'Secret', 'metadata': {{'name': 's'{metadata}}}, 'data': {{'a': '{text}'}}}}"
            ))
        };
        let managed =
            ", 'managedFields': [{'manager': 'kustomize-controller', 'operation': 'Apply', 'apiVersion': 'v1',
                        'fieldsV1': {'f:data': {'f:a': {}}}}]";
        let same = |desired: &str| {
            let r#type = Schemas::builtin().type_of("", "v1", "Secret");
            let managers = Managers::new("kustomize-controller");
            as_applied(&secret("", desired), &secret(managed, "YWJjZGVm"), &managers, r#type)
        };
        assert!(same("YWJj\\nZGVm\\n"));
        assert!(!same("YWJj\\nZGVn"));
    }

    #[test]
    fn what_is_left_to_take_over_needs_an_apply() {
        let text = "{'apiVersion': 'v1', 'kind': 'ConfigMap', 'metadata': {'name': 'c', 'managedFields': [
                     {'manager': 'kustomize-controller', 'operation': 'Apply', 'apiVersion': 'v1', 'fieldsV1': {}}EXTRA]}}";
        let managers = Managers::new("kustomize-controller");
        let same = |extra: &str| {
            let live = object(&text.replace("EXTRA", extra));
            as_applied(
                &object("{'apiVersion': 'v1', 'kind': 'ConfigMap', 'metadata': {'name': 'c'}}"),
                &live,
                &managers,
                None,
            )
        };
        assert!(same(""));
        assert!(!same(", {'manager': 'kubectl-edit', 'operation': 'Update', 'apiVersion': 'v1', 'fieldsV1': {}}"));
        assert!(!same(
            ", {'manager': 'kustomize-controller', 'operation': 'Apply', 'apiVersion': 'v1beta1', 'fieldsV1': {}}"
        ));
    }

    #[test]
    fn unknown_types_are_compared_strictly() {
        let custom = |metadata: &str, spec: &str| {
            object(&format!(
                "{{'apiVersion': 'x.io/v1', 'kind': 'X', 'metadata': {{'name': 'x'{metadata}}}, 'spec': {spec}}}"
            ))
        };
        let managed = ", 'managedFields': [{'manager': 'kustomize-controller', 'operation': 'Apply',
                        'apiVersion': 'x.io/v1', 'fieldsV1': {'f:spec': {'f:list': {}, 'f:size': {}}}}]";
        let same = |desired: &str, live: &str| {
            as_applied(&custom("", desired), &custom(managed, live), &Managers::new("kustomize-controller"), None)
        };
        assert!(same("{'size': '1', 'list': [{'a': 1}]}", "{'size': '1', 'list': [{'a': 1}], 'more': true}"));
        assert!(!same("{'size': '1000m', 'list': [{'a': 1}]}", "{'size': '1', 'list': [{'a': 1}]}"));
        assert!(!same("{'size': '1', 'list': [{'a': 1}]}", "{'size': '1', 'list': [{'a': 1, 'b': 2}]}"));
    }
}
