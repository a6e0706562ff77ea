//! Whether a live object is as an apply would leave it, without asking the API server.
//!
//! After a restart nothing is remembered, and neither inventories nor annotations hold digests. What can be told from
//! the desired and the live object alone is told here; wherever that is not certain the answer is no, and a dry run
//! decides. So a wrong "no" costs one call, and a wrong "yes" is a bug.

use soll_api::Object;
use soll_schema::{ListType, Scalar, Schemas, Shape, TypeRef};
use soll_yaml::{Data, Value};

use crate::controls::{self, Ssa};
use crate::managers::{Entry, entries, is_leaf, selects};
use crate::quantity::Quantity;
use crate::whole::{self, is_empty, is_zero};
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
        && is_wanted(fields, (Some(desired.value()), Some(live.value())), &others, r#type, IfEmpty::IsThere)
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
}

impl<'f> Owned<'f> {
    fn of(fields: Option<&'f Value>) -> Self {
        fields.map_or(Self::Nothing, Self::Fields)
    }

    fn field(self, key: &str) -> Self {
        match self {
            Self::Fields(fields) => Self::of(fields.get(&format!("f:{key}"))),
            Self::Nothing => self,
        }
    }

    fn item(self, item: &Value) -> Self {
        match self {
            // Keyed items and those of sets: none is found by its index.
            Self::Fields(fields) => Self::of(select_fields(fields, item)),
            Self::Nothing => self,
        }
    }

    /// Whether single parts are owned: an atomic node has none.
    fn has_parts(self) -> bool {
        matches!(self, Self::Fields(fields) if !is_leaf(fields))
    }

    fn is_something(self) -> bool {
        !matches!(self, Self::Nothing)
    }
}

fn select_fields<'f>(fields: &'f Value, item: &Value) -> Option<&'f Value> {
    fields.as_map()?.iter().find(|entry| selects(&entry.key, usize::MAX, item)).map(|entry| &entry.value)
}

/// Says whether each desired leaf is live, and where a node is applied as a whole, nothing besides.
fn is_live(desired: &Value, live: &Value, r#type: Option<TypeRef<'_>>, ours: Owned<'_>, place: Place) -> bool {
    match (&desired.data, &live.data) {
        (Data::Map(parts), Data::Map(live_parts)) => match mode(r#type, ours, place) {
            Mode::Whole => ours.is_something() && whole::same(desired, live, r#type),
            Mode::Unknown => whole::same(desired, live, r#type),
            Mode::Parts => parts.iter().all(|entry| {
                let key = entry.key.as_str();
                let r#type = field_type(r#type, key, place);
                place.is_identity(key)
                    || match live_parts.get(key) {
                        Some(live) => is_live(&entry.value, live, r#type, ours.field(key), place.child(key)),
                        // Go types leave zeros out. That nobody removed it shows in that it is ours still.
                        None => ours.field(key).is_something() && is_zero(&entry.value),
                    }
            }),
        },
        (Data::List(desired), Data::List(live)) => lists_are_live(desired, live, r#type, ours),
        _ => same_scalar(desired, live, r#type.and_then(|r#type| r#type.scalar())),
    }
}

/// How the API server merges a map.
enum Mode {
    /// Key by key.
    Parts,
    /// Not at all: it is one value.
    Whole,
    /// Nobody tells here: no type is known, and no part of it is owned. Then it must be the same either way.
    Unknown,
}

fn mode(r#type: Option<TypeRef<'_>>, ours: Owned<'_>, place: Place) -> Mode {
    match r#type {
        Some(r#type) if r#type.is_atomic() => Mode::Whole,
        Some(r#type) if r#type.shape() != Shape::Any => Mode::Parts,
        _ if place == Place::Root || ours.has_parts() => Mode::Parts,
        _ => Mode::Unknown,
    }
}

/// The type of a field. Whatever else is not known of a kind, its metadata are as everybody's.
fn field_type<'t>(r#type: Option<TypeRef<'t>>, key: &str, place: Place) -> Option<TypeRef<'t>> {
    let known = r#type.and_then(|r#type| r#type.field(key));
    match place.child(key) {
        Place::Metadata if known.is_none() => {
            Schemas::builtin().definition("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
        }
        Place::Root | Place::Metadata | Place::Below => known,
    }
}

/// Items that are told apart must stand in the order that is desired: it may mean something, as that of init containers.
fn lists_are_live(desired: &[Value], live: &[Value], r#type: Option<TypeRef<'_>>, ours: Owned<'_>) -> bool {
    let Some(r#type) = r#type else { return ours.is_something() && desired == live };
    let mut next = 0;
    let mut in_order = |place: usize| std::mem::replace(&mut next, place + 1) <= place;
    match r#type.list_type() {
        ListType::Map => desired.iter().all(|item| {
            // An item without one of its keys is completed by defaults that are not known here.
            let is = |(_, live): &(usize, &Value)| {
                r#type.map_keys().all(|key| item.get(key).is_some() && live.get(key) == item.get(key))
            };
            let mut found = live.iter().enumerate().filter(is);
            // Two items with equal keys, which the API server lets pass: whose is which cannot be told.
            found.next().is_some_and(|(place, live)| {
                found.next().is_none()
                    && in_order(place)
                    && is_live(item, live, r#type.items(), ours.item(live), Place::Below)
            })
        }),
        ListType::Set => {
            desired.iter().all(|item| live.iter().position(|live| live == item).is_some_and(&mut in_order))
        }
        // Whoever changes one item owns the list.
        ListType::Atomic => {
            let mut pairs = desired.iter().zip(live);
            ours.is_something()
                && desired.len() == live.len()
                && pairs.all(|(desired, live)| whole::same(desired, live, r#type.items()))
        }
    }
}

/// Says whether two leaves mean the same to the API server.
pub(crate) fn same_scalar(desired: &Value, live: &Value, scalar: Option<Scalar>) -> bool {
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

/// What becomes of a live empty node that is not applied any more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum IfEmpty {
    /// It is there whether it is applied or not: Go writes such structs without meaning it.
    IsThere,
    /// It goes.
    Goes,
}

/// Says whether each leaf that we own is desired, or owned by another manager too, or there in any case.
fn is_wanted(
    ours: &Value,
    (desired, live): (Option<&Value>, Option<&Value>),
    others: &[&Value],
    r#type: Option<TypeRef<'_>>,
    if_empty: IfEmpty,
) -> bool {
    let is_there = || live.is_none_or(|live| if_empty == IfEmpty::IsThere && is_empty(live));
    let Some(map) = ours.as_map().filter(|map| !map.is_empty()) else {
        return desired.is_some() || !others.is_empty() || is_there();
    };
    map.iter().all(|entry| {
        if entry.key == "." {
            return desired.is_some()
                || others.iter().any(|other| is_leaf(other) || other.get(".").is_some())
                || is_there();
        }
        let others: Vec<_> = others.iter().filter_map(|other| other.get(&entry.key)).collect();
        let (r#type, if_empty) = below(r#type, &entry.key);
        let desired = desired.and_then(|desired| select(desired, &entry.key));
        let live = live.and_then(|live| select(live, &entry.key));
        is_wanted(&entry.value, (desired, live), &others, r#type, if_empty)
    })
}

/// The type of the node that one key of a trie stands for.
fn below<'t>(r#type: Option<TypeRef<'t>>, key: &str) -> (Option<TypeRef<'t>>, IfEmpty) {
    let Some(r#type) = r#type else { return (None, IfEmpty::Goes) };
    let Some(name) = key.strip_prefix("f:") else { return (r#type.items(), IfEmpty::Goes) };
    let is_there = r#type.struct_field(name).is_some_and(|field| field.emitted);
    (r#type.field(name), if is_there { IfEmpty::IsThere } else { IfEmpty::Goes })
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
    fn what_left_git_below_an_atomic_node_is_noticed() {
        let selector = |labels: &str| format!("{{'selector': {{'matchLabels': {{{labels}}}}}}}");
        let ours = "{'f:selector': {}}";
        check(&selector("'a': 'b'"), &selector("'a': 'b'"), ours, "", true);
        check(&selector("'a': 'b'"), &selector("'a': 'b', 'c': 'd'"), ours, "", false);
        let tolerations =
            |fields: &str| format!("{{'template': {{'spec': {{'tolerations': [{{'operator': 'Exists'{fields}}}]}}}}}}");
        let ours = "{'f:template': {'f:spec': {'f:tolerations': {}}}}";
        check(&tolerations(""), &tolerations(""), ours, "", true);
        check(&tolerations(""), &tolerations(", 'effect': 'NoSchedule'"), ours, "", false);
        check(&tolerations(", 'effect': 'NoSchedule'"), &tolerations(""), ours, "", false);
        check(&tolerations(", 'effect': ''"), &tolerations(""), ours, "", true);
        let env =
            |field: &str| container(&format!(", 'env': [{{'name': 'e', 'valueFrom': {{'fieldRef': {{{field}}}}}}}]"));
        let ours =
            owned(", 'f:env': {'k:{\\'name\\':\\'e\\'}': {'.': {}, 'f:name': {}, 'f:valueFrom': {'f:fieldRef': {}}}}");
        let live = env("'fieldPath': 'metadata.name', 'apiVersion': 'v1'");
        check(&env("'fieldPath': 'metadata.name'"), &live, &ours, "", true);
        check(&env("'fieldPath': 'metadata.uid'"), &live, &ours, "", false);
    }

    #[test]
    fn the_order_of_items_is_that_of_the_manifest() {
        let containers = |names: &[&str]| {
            let all: Vec<_> = names.iter().map(|name| format!("{{'name': '{name}'}}")).collect();
            format!("{{'template': {{'spec': {{'initContainers': [{}]}}}}}}", all.join(", "))
        };
        check(&containers(&["a", "b"]), &containers(&["a", "more", "b"]), "{}", "", true);
        check(&containers(&["a", "b"]), &containers(&["b", "a"]), "{}", "", false);
    }

    #[test]
    fn an_empty_struct_that_was_meant_is_missed() {
        let security = container(", 'securityContext': {}");
        let ours = owned(", 'f:securityContext': {}");
        check(&container(""), &security, &ours, "", false);
        check(&security, &security, &ours, "", true);
        let resources = container(", 'resources': {}");
        check(&container(""), &resources, &owned(", 'f:resources': {}"), "", true);
    }

    #[test]
    fn unknown_types_are_compared_strictly() {
        let custom = |metadata: &str, spec: &str| {
            object(&format!(
                "{{'apiVersion': 'x.io/v1', 'kind': 'X', 'metadata': {{'name': 'x'{metadata}}}, 'spec': {spec}}}"
            ))
        };
        let managed = ", 'managedFields': [{'manager': 'kustomize-controller', 'operation': 'Apply',
                        'apiVersion': 'x.io/v1', 'fieldsV1': {'f:spec': FIELDS}}]";
        let check = |fields: &str, desired: &str, live: &str, expected: bool| {
            let live = custom(&managed.replace("FIELDS", fields), live);
            let same = as_applied(&custom("", desired), &live, &Managers::new("kustomize-controller"), None);
            assert_eq!(same, expected, "{fields} {desired} {live:?}");
        };
        // A map without owned parts may be atomic, and one without an owner might as well.
        for whole in ["{'f:selector': {}}", "{}"] {
            let selector = |labels: &str| format!("{{'selector': {{'matchLabels': {{{labels}}}}}}}");
            check(whole, &selector("'a': 'b'"), &selector("'a': 'b'"), true);
            check(whole, &selector("'a': 'b'"), &selector("'a': 'b', 'c': 'd'"), false);
            check(whole, &selector("'a': 'b', 'c': false"), &selector("'a': 'b'"), false);
        }
        let parts = "{'f:selector': {'f:matchLabels': {'f:a': {}}}}";
        let selector = |more: &str| format!("{{'selector': {{'matchLabels': {{'a': 'b'{more}}}{more}}}}}");
        check(parts, &selector(""), &selector(", 'c': 'd'"), true);
        // A choice of nothing is a choice.
        check("{'f:selfSigned': {}}", "{}", "{'selfSigned': {}}", false);
        let same = |desired: &str, live: &str| {
            let live = custom(&managed.replace("FIELDS", "{'f:list': {}, 'f:size': {}}"), live);
            as_applied(&custom("", desired), &live, &Managers::new("kustomize-controller"), None)
        };
        assert!(same("{'size': '1', 'list': [{'a': 1}]}", "{'size': '1', 'list': [{'a': 1}], 'more': true}"));
        assert!(!same("{'size': '1000m', 'list': [{'a': 1}]}", "{'size': '1', 'list': [{'a': 1}]}"));
        assert!(!same("{'size': '1', 'list': [{'a': 1}]}", "{'size': '1', 'list': [{'a': 1, 'b': 2}]}"));
    }
}
