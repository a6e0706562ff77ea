//! Configurations, schemas, and transformers and validators given as objects.

use serde_json::{Value, json};

use super::patching::{operations, strategic};
use super::replacing::replacement;
use super::{Scope, World, field_spec, image, pairs, selector};
use crate::differential::objects::{NAMESPACES, binding};

pub(super) fn configurations(world: &mut World<'_>, scope: &mut Scope) {
    world.note("configurations");
    let mut config = json!({});
    let parts: [(&'static str, &str, Value); 9] = [
        (
            "configurations: nameReference",
            "nameReference",
            json!([
            {"kind": "ConfigMap", "version": "v1", "fieldSpecs": [{"kind": "Widget", "path": "spec/configName"}]},
            {"kind": "Deployment", "fieldSpecs": [{"kind": "Widget", "path": "spec/ref/name"}, {"kind": "Gadget", "path": "spec/ref"}]}]),
        ),
        ("configurations: namePrefix", "namePrefix", json!([{"path": "spec/configName", "kind": "Widget"}])),
        (
            "configurations: commonLabels",
            "commonLabels",
            json!([{"path": "spec/labels", "create": true, "kind": "Widget"}]),
        ),
        (
            "configurations: commonAnnotations",
            "commonAnnotations",
            json!([{"path": "spec/annotations", "create": true, "kind": "Gadget"}]),
        ),
        (
            "configurations: images",
            "images",
            json!([{"path": "spec/image", "kind": "Widget"}, {"path": "spec/images[]/image", "create": true}]),
        ),
        ("configurations: replicas", "replicas", json!([{"path": "spec/size", "create": true, "kind": "Widget"}])),
        (
            "configurations: varReference",
            "varReference",
            json!([{"path": "spec/items/value", "kind": "Widget"}, {"path": "data", "kind": "ConfigMap"}]),
        ),
        (
            "configurations: namespace",
            "namespace",
            json!([{"path": "spec/namespace", "create": true, "kind": "Widget"}]),
        ),
        ("configurations: labels", "labels", json!([{"path": "spec/more/labels", "create": true, "kind": "Widget"}])),
    ];
    for (tag, field, specs) in parts {
        if world.chance(tag, 35) {
            config[field] = specs;
        }
    }
    let file = format!("config-{}.yaml", scope.ks.len());
    world.yaml(format!("{}/{file}", scope.directory), vec![config]);
    world.push(scope, "configurations", file.into());
}

pub(super) fn crds(world: &mut World<'_>, scope: &mut Scope) {
    world.note("crds");
    let definitions = json!({
        "github.com/example/pkg/apis/example/v1.Widget": {"Schema": {"properties": {
            "apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"},
            "spec": {"$ref": "github.com/example/pkg/apis/example/v1.WidgetSpec"}}}, "Dependencies": []},
        "github.com/example/pkg/apis/example/v1.WidgetSpec": {"Schema": {"properties": {
            "configName": {"x-kubernetes-object-ref-api-version": "v1", "x-kubernetes-object-ref-kind": "ConfigMap"},
            "ref": {"x-kubernetes-object-ref-api-version": "apps/v1", "x-kubernetes-object-ref-kind": "Deployment", "x-kubernetes-object-ref-name-key": "name"}}}, "Dependencies": []}
    });
    let text = match world.random.percent(60) {
        true => format!("{definitions:#}\n"),
        false => world.inline(&definitions),
    };
    world.text(format!("{}/widget-crd.json", scope.directory), &text);
    world.push(scope, "crds", "widget-crd.json".into());
}

pub(super) fn openapi(world: &mut World<'_>, scope: &mut Scope) {
    world.note("openapi");
    let with_builtin = world.random.percent(20);
    let schema = json!({"definitions": {
        "v1.Widget": {"type": "object", "properties": {
            "apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"},
            "spec": {"type": "object", "properties": {"items": {"type": "array",
                "x-kubernetes-patch-merge-key": "name", "x-kubernetes-patch-strategy": "merge",
                "items": {"type": "object", "properties": {"name": {"type": "string"}}}}}}},
            "x-kubernetes-group-version-kind": [{"group": "example.com", "kind": "Widget", "version": "v1"}]}}});
    if with_builtin {
        scope.ks.insert("openapi".into(), json!({"version": "v1.21.2"}));
        return;
    }
    world.text(format!("{}/schema.json", scope.directory), &format!("{schema}\n"));
    scope.ks.insert("openapi".into(), json!({"path": "schema.json"}));
    let widget = scope.objects.iter().find(|object| object["kind"] == "Widget").cloned();
    if let Some(widget) = widget {
        let patch = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": widget["metadata"], "spec": {"items": [{"name": "b", "value": 2}, {"name": "z"}]}});
        let text = world.inline(&patch);
        world.push(scope, "patches", json!({"patch": text}));
    }
}

pub(super) fn plugin_file(world: &mut World<'_>, scope: &mut Scope, field: &str, plugin: &Value) {
    let entry = match world.random.below(10) {
        0..=3 => world.inline(plugin),
        4 => {
            world.note("plugins from a directory");
            let name = format!("plugin-{}", world.files.len());
            world.yaml(format!("{name}/plugin.yaml"), vec![plugin.clone()]);
            world.yaml(format!("{name}/kustomization.yaml"), vec![json!({"resources": ["plugin.yaml"]})]);
            format!("../{name}")
        }
        _ => {
            let file = format!("{field}-{}.yaml", world.files.len());
            world.yaml(format!("{}/{file}", scope.directory), vec![plugin.clone()]);
            file
        }
    };
    world.push(scope, field, entry.into());
}

pub(super) fn transformers(world: &mut World<'_>, scope: &mut Scope) {
    world.note("transformers");
    let Some(plugin) = transformer(world, scope) else { return };
    plugin_file(world, scope, "transformers", &plugin);
}

pub(super) fn validators(world: &mut World<'_>, scope: &mut Scope) {
    world.note("validators");
    let plugin = match world.random.below(5) {
        0 | 3 => {
            json!({"apiVersion": "builtin", "kind": "AnnotationsTransformer", "metadata": {"name": "v"}, "annotations": {}})
        }
        1 | 4 => {
            json!({"apiVersion": "builtin", "kind": "ImageTagTransformer", "metadata": {"name": "v"}, "imageTag": {"name": "nothing", "newTag": "1"}})
        }
        // Others pass or fail by how it was written what is there already; see COMPATIBILITY.md.
        _ => match transformer(world, scope) {
            Some(mut plugin) if plugin["kind"] == "LabelTransformer" => {
                plugin["labels"] = json!({"team": "a"});
                plugin
            }
            Some(plugin) if plugin["kind"] == "PrefixTransformer" => plugin,
            _ => return,
        },
    };
    plugin_file(world, scope, "validators", &plugin);
}

pub(super) fn transformer(world: &mut World<'_>, scope: &mut Scope) -> Option<Value> {
    let object = world.object(scope)?.clone();
    let mut plugin = json!({"apiVersion": "builtin", "metadata": {"name": format!("t{}", world.files.len())}});
    let kinds: [&'static str; 14] = [
        "NamespaceTransformer",
        "PrefixTransformer",
        "SuffixTransformer",
        "PrefixSuffixTransformer",
        "LabelTransformer",
        "AnnotationsTransformer",
        "ImageTagTransformer",
        "ReplicaCountTransformer",
        "ReplacementTransformer",
        "PatchTransformer",
        "PatchJson6902Transformer",
        "PatchStrategicMergeTransformer",
        "ValueAddTransformer",
        "HashTransformer",
    ];
    let kind = world.random.pick(&kinds);
    plugin["kind"] = kind.into();
    match kind {
        "NamespaceTransformer" => {
            plugin["metadata"]["namespace"] = world.random.pick(&NAMESPACES).into();
            if world.random.percent(40) {
                plugin["unsetOnly"] = true.into();
            }
            if world.random.percent(50) {
                plugin["setRoleBindingSubjects"] =
                    world.random.pick(&["defaultOnly", "allServiceAccounts", "none"]).into();
            }
            if world.random.percent(60) {
                plugin["fieldSpecs"] = json!([{"path": "metadata/namespace", "create": true}, {"path": "metadata/name", "kind": "Namespace", "create": true}]);
            }
            if world.random.percent(60) {
                // What the options are about is rare by itself.
                let object = match world.random.percent(70) {
                    true => binding(world.random, "bound"),
                    false => json!({"apiVersion": "example.com/v1", "kind": "Namespace", "metadata": {"name": "own"}}),
                };
                let file = format!("moved-{}.yaml", world.files.len());
                world.yaml(format!("{}/{file}", scope.directory), vec![object]);
                world.push(scope, "resources", file.into());
            }
        }
        "PrefixTransformer" => {
            plugin["prefix"] = "t-".into();
            plugin["fieldSpecs"] = json!([{"path": "metadata/name"}]);
        }
        "SuffixTransformer" => {
            plugin["suffix"] = "-t".into();
            plugin["fieldSpecs"] = json!([{"path": "metadata/name"}]);
        }
        "PrefixSuffixTransformer" => {
            plugin["suffix"] = "-t".into();
            plugin["prefix"] = "t-".into();
            plugin["fieldSpecs"] = json!([{"path": "metadata/name"}, {"path": "spec/configName", "kind": "Widget"}]);
        }
        "LabelTransformer" => {
            plugin["labels"] = pairs(world);
            plugin["fieldSpecs"] = json!([{"path": "metadata/labels", "create": true}, field_spec(world)]);
        }
        "AnnotationsTransformer" => {
            plugin["annotations"] = pairs(world);
            plugin["fieldSpecs"] = json!([{"path": "metadata/annotations", "create": world.random.percent(70)}]);
        }
        "ImageTagTransformer" => {
            plugin["imageTag"] = image(world);
            if world.random.percent(50) {
                plugin["fieldSpecs"] = json!([{"path": "spec/image"}]);
            }
        }
        "ReplicaCountTransformer" => {
            let fitting = world.object_of(scope, &["Deployment", "Widget"]).cloned();
            let object = if world.random.percent(90) { fitting? } else { object };
            plugin["replica"] = json!({"name": object["metadata"]["name"], "count": 3});
            plugin["fieldSpecs"] = json!([{"path": "spec/replicas", "create": true, "kind": "Deployment"}, {"path": "spec/size", "kind": "Widget"}]);
        }
        "ReplacementTransformer" => plugin["replacements"] = json!([replacement(world, scope)?]),
        "PatchTransformer" => {
            let is_json = world.random.percent(50);
            let content = if is_json { operations(world, &object) } else { strategic(world, &object, true) };
            plugin["patch"] = world.inline(&content).into();
            if is_json || world.random.percent(50) {
                plugin["target"] = selector(world, &object);
            }
        }
        "PatchJson6902Transformer" => {
            plugin["jsonOp"] = {
                let content = operations(world, &object);
                world.inline(&content)
            }
            .into();
            plugin["target"] = selector(world, &object);
            if world.random.percent(90) {
                plugin["target"]["name"] = object["metadata"]["name"].clone();
            }
        }
        "PatchStrategicMergeTransformer" => {
            let content = strategic(world, &object, false);
            plugin["patches"] = world.inline(&content).into();
        }
        "ValueAddTransformer" => {
            plugin["value"] = world.random.pick(&["added", "x-y"]).into();
            plugin["targets"] = json!([{"selector": selector(world, &object), "fieldPath": world.random.pick(&["/metadata/name", "/spec/added", "spec/configName"])}]);
            if world.random.percent(40) {
                plugin["targets"][0]["filePathPosition"] = json!(world.random.below(3));
            }
        }
        _ => {}
    }
    world.note(kind);
    Some(plugin)
}
