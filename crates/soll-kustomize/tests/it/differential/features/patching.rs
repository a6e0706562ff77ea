//! Patches of all kinds.

use serde_json::{Value, json};

use super::{Scope, World, selector};
use crate::differential::objects::{raw, text};

/// A strategic merge patch for an object, with or without saying for which.
pub(super) fn strategic(world: &mut World<'_>, object: &Value, is_targeted: bool) -> Value {
    let patch = strategic_patch(world, object, is_targeted);
    note_directives(world, &patch, "object");
    patch
}

fn strategic_patch(world: &mut World<'_>, object: &Value, is_targeted: bool) -> Value {
    let mut patch = json!({"kind": object["kind"], "metadata": {"name": object["metadata"]["name"]}});
    if let Some(api_version) = object["apiVersion"].as_str() {
        patch["apiVersion"] = api_version.into();
    }
    if let Some(namespace) = object["metadata"]["namespace"].as_str() {
        patch["metadata"]["namespace"] = namespace.into();
    }
    if is_targeted && world.random.percent(30) {
        patch["metadata"]["name"] = "any".into();
    }
    if world.random.percent(35) {
        patch["metadata"]["labels"] = json!({"patched": "yes", "tier": null});
    }
    if world.random.percent(20) {
        patch["metadata"]["annotations"] = json!({"note": text(world.random), "odd": raw(world.random)});
    }
    if world.chance("patch: no annotations", 10) {
        patch["metadata"]["annotations"] = match world.random.percent(50) {
            true => Value::Null,
            false => json!({"$patch": "replace", "only": "this"}),
        };
    }
    let kind = object["kind"].as_str().unwrap_or_default();
    if world.random.percent(5) {
        patch["spec"] = json!({"$patch": world.random.pick(&["delete", "replace", "merge"]), "only": "this"});
        return patch;
    }
    if world.random.percent(5) {
        patch["$patch"] = "delete".into();
        return patch;
    }
    match kind {
        "Deployment" | "StatefulSet" | "DaemonSet" => {
            patch["spec"] = json!({"template": {"spec": pod_patch(world)}});
            if kind != "DaemonSet" && world.random.percent(40) {
                patch["spec"]["replicas"] = world.random.below(7).into();
            }
            if world.random.percent(15) {
                patch["spec"]["strategy"] = json!({"rollingUpdate": {"maxSurge": 2}});
            }
            if world.random.percent(8) {
                patch["spec"]["strategy"] = json!({"$patch": "replace", "type": "Recreate"});
            }
            if world.random.percent(8) {
                patch["spec"]["template"]["metadata"] = json!({"labels": {"extra": "x"}, "annotations": null});
            }
        }
        "Job" => patch["spec"] = json!({"template": {"spec": pod_patch(world)}}),
        "Pod" => patch["spec"] = pod_patch(world),
        "CronJob" => {
            patch["spec"] =
                json!({"schedule": "0 0 * * *", "jobTemplate": {"spec": {"template": {"spec": pod_patch(world)}}}});
        }
        "Service" => {
            patch["spec"] = match world.random.below(5) {
                0 => json!({"ports": [{"port": 80, "nodePort": 30080}]}),
                1 => json!({"ports": [{"port": 9090, "name": "metrics", "protocol": "TCP"}]}),
                2 => json!({"type": "LoadBalancer", "selector": null}),
                3 => json!({"ports": [{"$patch": "replace"}, {"port": 1, "name": "only"}]}),
                _ => {
                    json!({"ports": [{"port": 80, "protocol": "TCP", "targetPort": 1}, {"$patch": "delete", "port": 443}]})
                }
            };
        }
        "ConfigMap" => patch["data"] = json!({"k": text(world.random), "new": "x", "host": null}),
        "Secret" => patch["data"] = json!({"k": null, "n": "eA=="}),
        "Ingress" => {
            patch["spec"] =
                json!({"rules": [{"host": "other.example.com"}], "tls": [{"hosts": ["b"], "secretName": "s"}]});
        }
        "ServiceAccount" => {
            patch["imagePullSecrets"] = json!([{"name": "more"}, {"name": "tls"}]);
            patch["secrets"] = json!([{"name": "cred", "$patch": "delete"}]);
        }
        "Role" | "ClusterRole" => patch["rules"] = json!([{"apiGroups": ["apps"], "resources": ["*"], "verbs": ["*"]}]),
        "RoleBinding" | "ClusterRoleBinding" => patch["subjects"] = json!([{"kind": "User", "name": "ann"}]),
        "Widget" | "Gadget" => {
            patch["spec"] = json!({"size": world.random.below(5), "items": [{"name": "c"}], "ref": null, "more": {"a": {"b": null, "c": []}}});
        }
        _ => {}
    }
    patch
}

/// Notes the directives of a patch.
fn note_directives(world: &mut World<'_>, patch: &Value, place: &str) {
    match patch {
        Value::Object(map) => {
            let others = map.keys().filter(|key| !key.starts_with('$')).count();
            match (place, map.get("$patch").and_then(Value::as_str)) {
                ("object", Some("delete")) => world.note("patch: delete an object"),
                ("item", Some("delete")) => world.note("patch: delete an item"),
                ("item", Some("replace")) if others == 0 => world.note("patch: replace a list"),
                ("item", Some("replace")) => world.note("patch: replace an item"),
                ("map", Some("replace")) => world.note("patch: replace a map"),
                ("map", Some("delete")) => world.note("patch: delete a map"),
                (_, Some("merge")) => world.note("patch: merge, as is the default"),
                _ => {}
            }
            let of_kubectl = ["$setElementOrder", "$deleteFromPrimitiveList", "$retainKeys"];
            if map.keys().any(|key| of_kubectl.iter().any(|start| key.starts_with(start))) {
                world.note("patch: directives of kubectl");
            }
            for value in map.values() {
                if value.is_null() {
                    world.note("patch: null");
                }
                note_directives(world, value, "map");
            }
        }
        Value::Array(items) => items.iter().for_each(|item| note_directives(world, item, "item")),
        _ => {}
    }
}

fn pod_patch(world: &mut World<'_>) -> Value {
    let name = world.random.pick(&["main", "sidecar", "added"]);
    let mut container = json!({"name": name});
    match world.random.below(21) {
        0 => container["image"] = "patched:1".into(),
        1 => container["env"] = json!([{"name": "A", "value": text(world.random)}, {"name": "NEW", "value": "1"}]),
        2 => container["env"] = json!([{"name": "A", "$patch": "delete"}, {"name": "Z", "value": "z"}]),
        3 => container["ports"] = json!([{"containerPort": 80, "protocol": "TCP", "name": "web"}]),
        4 => container["ports"] = json!([{"containerPort": 8080}, {"containerPort": 80, "hostPort": 1}]),
        5 => container["ports"] = json!([{"containerPort": 80, "protocol": "UDP", "$patch": "delete"}]),
        6 => {
            container["volumeMounts"] =
                json!([{"mountPath": "/tmp", "name": "other"}, {"mountPath": "/new", "name": "conf"}])
        }
        7 => container["resources"] = json!({"limits": {"cpu": null, "memory": "128Mi"}}),
        8 => container["args"] = json!(["--only"]),
        9 => container["envFrom"] = json!([{"configMapRef": {"name": "env"}}]),
        10 => container["$patch"] = world.random.pick(&["delete", "replace"]).into(),
        11 => container["env"] = json!([{"$patch": "replace"}, {"name": "ONLY", "value": "1"}]),
        13 => {
            container["$setElementOrder/env"] = json!([{"name": "NEW"}, {"name": "A"}]);
            container["env"] = json!([{"name": "NEW", "value": "1"}]);
        }
        15 | 16 => {
            container["$patch"] = "replace".into();
            container["image"] = "replaced:1".into();
        }
        14 => container["$deleteFromPrimitiveList/args"] = json!(["--level=debug"]),
        // Of several items all would have to have a key; see COMPATIBILITY.md.
        18 if name == "added" => container["env"] = json!([{}]),
        17..=19 => {
            let way = world.random.pick(&["replace", "merge"]);
            container["env"] = json!([{"name": "A", "$patch": way, "value": "a"}, {"name": "B", "value": "b"}]);
        }
        12 => container["livenessProbe"] = json!({"httpGet": {"path": "/", "port": "http"}}),
        _ => container["command"] = Value::Null,
    }
    let mut spec = json!({"containers": [container]});
    match world.random.below(17) {
        0 => {
            spec["volumes"] =
                json!([{"name": "tmp", "emptyDir": null, "hostPath": {"path": "/x"}}, {"name": "more", "emptyDir": {}}])
        }
        1 => spec["volumes"] = json!([{"name": "conf", "$patch": "delete"}]),
        2 => spec["tolerations"] = json!([{"key": "patched", "operator": "Exists"}]),
        3 => spec["imagePullSecrets"] = json!([{"name": "more"}]),
        4 => spec["initContainers"] = json!([{"name": "init", "image": "busybox"}, {"name": "init2", "image": "b"}]),
        5 => spec["nodeSelector"] = json!({"a": "b"}),
        6 => spec["containers"] = json!([{"$patch": "replace"}, {"name": "only", "image": "only"}]),
        7 => spec["serviceAccountName"] = Value::Null,
        8 => {
            spec["topologySpreadConstraints"] =
                json!([{"topologyKey": "zone", "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule"}])
        }
        9 => {
            spec["hostAliases"] =
                json!([{"ip": "127.0.0.1", "hostnames": ["c"]}, {"ip": "1.1.1.1", "hostnames": ["d"]}])
        }
        10 => spec["affinity"] = json!({"$patch": "delete"}),
        12 => {
            spec["volumes"] = json!([{"name": "tmp", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/x"}}])
        }
        13 => spec["nodeSelector"] = json!({"$patch": "merge", "c": "d"}),
        11 => spec["securityContext"] = json!({"runAsUser": 1000}),
        _ => {}
    }
    spec
}

pub(super) fn operations(world: &mut World<'_>, object: &Value) -> Value {
    let has_spec = !object["spec"].is_null();
    let mut operations = Vec::new();
    for _ in 0..world.random.below(3) + 1 {
        let value = match world.random.below(4) {
            0 => text(world.random),
            1 => json!(world.random.below(9)),
            2 => json!({"a": [1, "b"]}),
            _ => raw(world.random),
        };
        operations.push(match world.random.below(14) {
            0 if has_spec => json!({"op": "add", "path": "/spec/extra", "value": value}),
            1 if !object["spec"]["replicas"].is_null() => json!({"op": "replace", "path": "/spec/replicas", "value": 9}),
            2 if has_spec && !object["spec"]["template"]["spec"]["containers"].is_null() => {
                json!({"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "json", "image": "j:1"}})
            }
            3 if has_spec && !object["spec"]["template"]["spec"]["containers"].is_null() => {
                json!({"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "json:2"})
            }
            4 => json!({"op": "test", "path": "/kind", "value": object["kind"]}),
            5 => json!({"op": "copy", "from": "/metadata/name", "path": "/metadata/copied"}),
            6 if object["metadata"]["labels"].is_object() => json!({"op": "remove", "path": "/metadata/labels/app"}),
            7 if world.random.percent(20) => json!({"op": "add", "path": "/metadata/annotations", "value": {"json": "new"}}),
            7 if object["metadata"]["annotations"].is_object() || world.random.percent(15) => {
                json!({"op": "add", "path": "/metadata/annotations/example.com~1x", "value": "y"})
            }
            8 if world.random.percent(5) => json!({"op": "move", "from": "/metadata/name", "path": "/metadata/moved"}),
            9 if !object["spec"]["replicas"].is_null() => json!({"op": "remove", "path": "/spec/replicas"}),
            10 if object["metadata"]["annotations"].is_object() => json!({"op": "remove", "path": "/metadata/annotations"}),
            12..=13 if !object["spec"]["replicas"].is_null() => {
                json!({"op": "move", "from": "/spec/replicas", "path": "/spec/extra"})
            }
            11 if world.chance("operation: rename", 50) => {
                json!({"op": "replace", "path": "/metadata/name", "value": "renamed"})
            }
            11 => json!({"op": "replace", "path": "/metadata/name", "value": object["metadata"]["name"]}),
            8 if object["metadata"]["labels"].is_object() => {
                json!({"op": "move", "from": "/metadata/labels", "path": "/metadata/annotations"})
            }
            _ if world.random.percent(40) && !value.is_object() => {
                json!({"op": "add", "path": "/metadata/labels", "value": {"json": value}})
            }
            _ => json!({"op": "add", "path": "/metadata/labels", "value": {"json": "yes"}}),
        });
    }
    for operation in &operations {
        world.note(match operation["op"].as_str() {
            Some("add") => "operation: add",
            Some("replace") => "operation: replace",
            Some("remove") => "operation: remove",
            Some("copy") => "operation: copy",
            Some("move") => "operation: move",
            _ => "operation: test",
        });
    }
    operations.into()
}

pub(super) fn patches(world: &mut World<'_>, scope: &mut Scope) {
    let Some(object) = world.object(scope).cloned() else { return };
    world.note("patches");
    let mut entry = json!({});
    let is_json = world.random.percent(40);
    let is_targeted = is_json || world.random.percent(35);
    let content = match is_json {
        true => {
            world.note("patches: json");
            operations(world, &object)
        }
        false => {
            world.note("patches: strategic");
            strategic(world, &object, is_targeted)
        }
    };
    if is_targeted {
        entry["target"] = selector(world, &object);
    }
    if world.chance("patches: path", 35) {
        let file = format!("patch-{}.yaml", scope.ks.len());
        world.yaml(format!("{}/{file}", scope.directory), vec![content]);
        entry["path"] = file.into();
    } else {
        let mut text = world.inline(&content);
        if !is_json && !is_targeted && !text.starts_with('{') && world.chance("patches: several in one", 25) {
            let other = strategic(world, &object, false);
            text = format!("{}\n---\n{}", text.trim_end(), world.inline(&other));
        }
        entry["patch"] = text.into();
    }
    if world.random.percent(14) {
        entry["options"] = json!({});
        if world.chance("patches: allowNameChange", 60) {
            entry["options"]["allowNameChange"] = true.into();
            // All of a kind get one name.
            if !is_json && is_targeted && world.random.percent(40) {
                entry["target"] = json!({"kind": object["kind"]});
            }
        }
        if world.chance("patches: allowKindChange", 60) {
            entry["options"]["allowKindChange"] = true.into();
            // Of generated objects only the name is certain to stay the same; see COMPATIBILITY.md.
            if !is_json && is_targeted {
                entry["target"] = json!({"kind": object["kind"], "name": object["metadata"]["name"]});
            }
        }
    }
    world.push(scope, "patches", entry);
}

pub(super) fn patches_strategic_merge(world: &mut World<'_>, scope: &mut Scope) {
    let Some(object) = world.object(scope).cloned() else { return };
    world.note("patchesStrategicMerge");
    let content = strategic(world, &object, false);
    let entry = match world.random.percent(50) {
        true => world.inline(&content),
        false => {
            let file = format!("merge-{}.yaml", scope.ks.len());
            world.yaml(format!("{}/{file}", scope.directory), vec![content]);
            file
        }
    };
    world.push(scope, "patchesStrategicMerge", entry.into());
}

pub(super) fn patches_json(world: &mut World<'_>, scope: &mut Scope) {
    let Some(object) = world.object(scope).cloned() else { return };
    world.note("patchesJson6902");
    let content = operations(world, &object);
    let mut entry = json!({"target": selector(world, &object)});
    if world.random.percent(90) {
        entry["target"]["name"] = object["metadata"]["name"].clone();
    }
    if world.random.percent(50) {
        entry["patch"] = world.inline(&content).into();
    } else {
        let file = format!("json-{}.yaml", scope.ks.len());
        world.yaml(format!("{}/{file}", scope.directory), vec![content]);
        entry["path"] = file.into();
    }
    world.push(scope, "patchesJson6902", entry);
}
