//! Empty structs, which Go clients write without meaning it: `metadata: {}` in a pod template, `resources: {}` in a container.
//!
//! Flux applies builtin kinds through Go's types, so its entry of the managed fields owns them as leaves. Applied without
//! them, the API server would take them away, with all that others have put in: the labels that a Job's template got when it
//! was made, after which the Job is refused as changed.

use soll_api::Object;
use soll_schema::{Shape, TypeRef};
use soll_yaml::{Data, Value};

use crate::Managers;
use crate::managers::{Entry, entries, is_leaf, selects};

/// The desired object, with the empty structs that our last apply had and that are not empty by now.
#[must_use]
pub fn with_empty_structs(desired: &Object, live: &Object, managers: &Managers, r#type: Option<TypeRef<'_>>) -> Object {
    let mut kept = desired.clone();
    let is_ours = |entry: &Entry<'_>| entry.manager() == managers.ours && entry.is_apply() && !entry.has_subresource();
    for entry in entries(live).filter(is_ours).filter(|entry| entry.api_version() == desired.api_version()) {
        if let (Some(fields), Some(r#type)) = (entry.fields(), r#type) {
            keep(kept.value_mut(), fields, live.value(), r#type);
        }
    }
    kept
}

fn keep(desired: &mut Value, fields: &Value, live: &Value, r#type: TypeRef<'_>) {
    for entry in fields.as_map().into_iter().flatten() {
        if let Some(name) = entry.key.strip_prefix("f:") {
            let (Some(live), Some(of)) = (live.get(name), r#type.field(name)) else { continue };
            // Only what Go writes in any case. Anything else that is empty was meant, and goes as it came.
            let is_emitted = || r#type.struct_field(name).is_some_and(|field| field.emitted);
            match desired.get(name).is_some() {
                true if is_leaf(&entry.value) => {}
                true => keep(desired.get_mut(name).expect("it was just there"), &entry.value, live, of),
                false if is_struct(of) && is_emitted() && is_member(&entry.value) && is_filled(live) => {
                    desired.make_map().insert(name, Value::map());
                }
                false => {}
            }
        } else if entry.key.starts_with("k:") {
            let (Some(r#type), Some(live)) = (r#type.items(), item(live, &entry.key)) else { continue };
            let place = desired.as_list().and_then(|items| place(items, &entry.key));
            if let (Some(place), Some(items)) = (place, desired.as_list_mut()) {
                keep(&mut items[place], &entry.value, live, r#type);
            }
        }
    }
}

fn is_struct(r#type: TypeRef<'_>) -> bool {
    r#type.shape() == Shape::Struct && !r#type.is_atomic()
}

/// Whether a node of a trie is owned itself, not only what is below it.
fn is_member(fields: &Value) -> bool {
    is_leaf(fields) || fields.get(".").is_some()
}

fn is_filled(live: &Value) -> bool {
    matches!(&live.data, Data::Map(map) if !map.is_empty())
}

fn place(items: &[Value], key: &str) -> Option<usize> {
    items.iter().enumerate().position(|(index, item)| selects(key, index, item))
}

fn item<'v>(list: &'v Value, key: &str) -> Option<&'v Value> {
    let items = list.as_list()?;
    place(items, key).map(|place| &items[place])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::object;
    use soll_schema::Schemas;
    use soll_yaml::to_json;

    fn kept(desired: &str, live: &str, fields: &str) -> String {
        let job = |metadata: &str, spec: &str| {
            object(&format!(
                "{{'apiVersion': 'batch/v1', 'kind': 'Job', 'metadata': {{'name': 'j'{metadata}}}, 'spec': {spec}}}"
            ))
        };
        let entry = format!(
            ", 'managedFields': [{{'manager': 'kustomize-controller', 'operation': 'Apply', 'apiVersion': 'batch/v1',
                'fieldsV1': {{'f:spec': {fields}}}}}]"
        );
        let r#type = Schemas::builtin().type_of("batch", "v1", "Job");
        let managers = Managers::new("kustomize-controller");
        let kept = with_empty_structs(&job("", desired), &job(&entry, live), &managers, r#type);
        to_json(kept.value().get("spec").expect("a spec")).replace('"', "'")
    }

    #[test]
    fn what_flux_wrote_as_an_empty_struct_stays() {
        let live = "{'template': {'metadata': {'labels': {'job-name': 'j'}},
            'spec': {'containers': [{'name': 'c', 'resources': {'requests': {'cpu': '1'}}}]}}}";
        let container =
            "'f:spec': {'f:containers': {'k:{\\\"name\\\":\\\"c\\\"}': {'.': {}, 'f:name': {}, 'f:resources': {}}}}";
        let fields = format!("{{'f:template': {{'f:metadata': {{}}, {container}}}}}");
        assert_eq!(
            kept("{'template': {'spec': {'containers': [{'name': 'c'}]}}}", live, &fields),
            "{'template':{'spec':{'containers':[{'name':'c','resources':{}}]},'metadata':{}}}"
        );
        let nothing = "{'f:template': {'f:spec': {}}}";
        let desired = "{'template':{'spec':{'containers':[{'name':'c'}]}}}";
        assert_eq!(kept(desired, live, nothing), desired, "what is not ours is none of our business");
    }

    #[test]
    fn an_empty_struct_that_was_meant_goes_with_the_manifest() {
        let live = "{'template': {'spec': {'securityContext': {'runAsUser': 1}}}}";
        let desired = "{'template':{'spec':{}}}";
        assert_eq!(kept(desired, live, "{'f:template': {'f:spec': {'f:securityContext': {}}}}"), desired);
    }

    #[test]
    fn what_had_content_goes_when_it_left_git() {
        let live = "{'selector': {'matchLabels': {'a': 'b'}}, 'parallelism': 2, 'template': {'metadata': {'labels': {'a': 'b'}}}}";
        let fields = "{'f:parallelism': {}, 'f:selector': {}, 'f:template': {'f:metadata': {'f:labels': {'f:a': {}}}}}";
        assert_eq!(kept("{'template':{}}", live, fields), "{'template':{}}");
    }
}
