//! Replacements and variables.

use serde_json::{Map, Value, json};

use super::{Scope, World, selector};
use crate::differential::objects::NAMES;
use crate::differential::writing::RAW;

fn field_path(world: &mut World<'_>, object: &Value) -> &'static str {
    match object["kind"].as_str().unwrap_or_default() {
        "Deployment" | "StatefulSet" | "DaemonSet" => world.random.pick(&[
            "spec.template.spec.containers.[name=main].image",
            "spec.template.spec.containers.0.image",
            "spec.template.spec.containers.*.image",
            "spec.template.metadata.labels.app",
            "spec.replicas",
            "metadata.name",
            "metadata.labels.app",
            "spec.template.spec.containers.[name=main].env.[name=A].value",
            "metadata.annotations.[example.com/x]",
            "metadata.annotations.example\\.com/y",
            "spec.selector.matchLabels",
            "spec.template.spec.volumes.[name=conf].configMap.name",
        ]),
        "Service" => world.random.pick(&[
            "spec.ports.0.port",
            "metadata.name",
            "spec.selector.app",
            "spec.ports.[name=http].targetPort",
            "spec.selector",
        ]),
        "ConfigMap" => world.random.pick(&[
            "data.k",
            "data.host",
            "metadata.name",
            "data.[file.txt]",
            "data.config\\.json.database.host",
            "data.config\\.yaml.database.host",
            "data.config\\.json.list.0",
        ]),
        "Widget" | "Gadget" => world.random.pick(&[
            "spec.size",
            "spec.configName",
            "spec.ratio",
            "spec.items.[name=b].value",
            "spec.items.*.value",
            "spec.ref",
        ]),
        "Ingress" => world.random.pick(&[
            "spec.rules.0.host",
            "spec.rules.*.host",
            "spec.rules.[host=example.com].http.paths.0.path",
            "spec.tls.0.hosts.0",
        ]),
        _ => world.random.pick(&[
            "metadata.name",
            "metadata.namespace",
            "metadata.labels.app",
            "metadata.labels.tier",
            "",
        ]),
    }
}

/// The path of some scalar that is there; items of lists by number, by what they match, or, for a target, all of them.
/// Says too whether it is a number or the like.
fn scalar_path(world: &mut World<'_>, object: &Value, is_target: bool) -> (String, bool) {
    let (mut path, mut value) = (Vec::new(), object);
    loop {
        match value {
            Value::Object(map) if !map.is_empty() => {
                let (key, inner) = map.iter().nth(world.random.below(map.len())).expect("there are that many");
                path.push(match key.contains('.') {
                    true if world.random.percent(50) => format!("[{key}]"),
                    true => key.replace('.', "\\."),
                    false => key.clone(),
                });
                value = inner;
            }
            Value::Array(items) if !items.is_empty() => {
                let index = world.random.below(items.len());
                let name = items[index]["name"].as_str();
                path.push(match (world.random.below(3), name) {
                    (0, _) if is_target => "*".to_owned(),
                    (1, Some(name)) if world.random.percent(70) => format!("[name={name}]"),
                    (1, Some(name)) => format!("[name={}.*]", &name[..1]),
                    _ => index.to_string(),
                });
                value = &items[index];
            }
            _ => return (path.join("."), !value.is_string() || is_raw(value)),
        }
    }
}

/// A ConfigMap with a text that has fields of its own, and the path of one of these.
fn structured_target(world: &mut World<'_>, scope: &Scope) -> Option<(Value, String)> {
    let has = |object: &&Value, key: &str| object["kind"] == "ConfigMap" && object["data"][key].is_string();
    let (key, paths): (_, &[&str]) = match world.random.percent(50) {
        true => {
            ("config.json", &["database.host", "database.host", "database.host", "database.port", "list.0", "new.key"])
        }
        false => ("config.yaml", &["database.host"]),
    };
    let object = scope.objects.iter().find(|object| has(object, key))?.clone();
    Some((object, format!("data.{}.{}", key.replace('.', "\\."), world.random.pick(paths))))
}

fn path_is_typed(path: &str) -> bool {
    // Of several items some have a number.
    let is_several = path.contains(['*', '=']) && path.ends_with(".value");
    is_several || ["replicas", "port", "size", "ratio", "list.0"].iter().any(|end| path.ends_with(end))
}

fn is_raw(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.starts_with(RAW))
}

/// What a path leads to, as far as it has nothing but keys and numbers.
fn value_at<'v>(object: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(object, |value, step| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        value => value.get(step),
    })
}

/// Whether a text is a number beyond doubt.
fn is_number(text: &Value) -> bool {
    text.as_str().is_some_and(|text| text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0'))
}

/// Whether a text could be taken for something else without quotes.
fn is_bare_text(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    !text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/')
        || matches!(text.to_lowercase().as_str(), "yes" | "no" | "on" | "off" | "y" | "n" | "true" | "false" | "null")
}

pub(super) fn replacement(world: &mut World<'_>, scope: &Scope) -> Option<Value> {
    let source = world.object(scope)?.clone();
    let target = world.object(scope)?.clone();
    let mut replacement = json!({});
    // Whether the text could be taken for a number or the like.
    let mut is_bare = false;
    // Whether it is one beyond doubt.
    let mut is_count = false;
    // Names stay what they are; anything else can become a number by a patch.
    let mut is_name = true;
    let mut own = None;
    let mut is_block = false;
    if world.chance("replacements: sourceValue", 15) {
        replacement["sourceValue"] = world.random.pick(&["static", "8080", "v1", "a:b"]).into();
    } else {
        let mut from = json!({"kind": source["kind"], "name": source["metadata"]["name"]});
        let path = match world.random.below(10) {
            0..=6 => "metadata.name".to_owned(),
            7..=8 => scalar_path(world, &source, false).0,
            _ => field_path(world, &source).to_owned(),
        };
        // Annotations that are null are those that kustomize keeps for itself.
        let path = if path == "metadata.annotations" { "metadata.name".to_owned() } else { path };
        is_name = path == "metadata.name";
        is_bare = value_at(&source, &path).is_none_or(is_bare_text);
        is_block = value_at(&source, &path).and_then(Value::as_str).is_none_or(|text| text.contains('\n'));
        is_count = value_at(&source, &path).is_some_and(|value| value.is_u64() || is_number(value));
        if !path.is_empty() && !path.contains('*') && world.chance("replacements: into the source itself", 5) {
            let options =
                json!({"delimiter": world.random.pick(&["-", "."]), "index": json!(world.random.below(3) as i64 - 1)});
            own = Some(
                json!({"select": {"kind": source["kind"], "name": source["metadata"]["name"]}, "fieldPaths": [path], "options": options}),
            );
        }
        if !path.is_empty() && !path.contains('*') {
            from["fieldPath"] = path.into();
        }
        if world.chance("replacements: source delimiter", 15) {
            let index = usize::from(world.random.percent(15));
            from["options"] = json!({"delimiter": world.random.pick(&["-", ":", "/"]), "index": index});
            is_bare |= index > 0;
        }
        replacement["source"] = from;
    }
    let mut select = selector(world, &target);
    if select.as_object().is_some_and(Map::is_empty) {
        select["kind"] = target["kind"].clone();
    }
    let mut to = json!({"select": select});
    // What takes a block there cannot be replaced a second time; see COMPATIBILITY.md.
    let structured = structured_target(world, scope).filter(|_| world.random.percent(70) && !is_block);
    let (path, is_typed) = match structured {
        Some((object, path)) => {
            to["select"] = json!({"kind": "ConfigMap", "name": object["metadata"]["name"]});
            let is_typed = path_is_typed(&path);
            (path, is_typed)
        }
        None if world.random.percent(65) => {
            // Lists are where paths are difficult.
            let tries: Vec<_> = (0..3).map(|_| scalar_path(world, &target, true)).collect();
            let has_list = |path: &str| path.contains(['*', '=']) || path.contains(".0");
            let (path, is_typed) = tries.iter().find(|(path, _)| has_list(path)).unwrap_or(&tries[0]).clone();
            let is_typed = is_typed || path_is_typed(&path);
            (path, is_typed)
        }
        None => {
            let path = field_path(world, &target).to_owned();
            let is_typed = path_is_typed(&path);
            (path, is_typed)
        }
    };
    // A number in a name or an image is text here, and text in a number is refused; see COMPATIBILITY.md.
    is_bare |= replacement["sourceValue"] == "8080";
    is_count |= replacement["sourceValue"] == "8080";
    is_name &= !is_bare;
    let is_written = ["name", "metadata.namespace", "image"].iter().any(|end| path.ends_with(end));
    let is_type = ["kind", "apiVersion"].contains(&path.as_str());
    let path = match is_type || (!is_name && (path.is_empty() || is_written)) || (is_typed && !is_count) {
        true => "metadata.labels.app".to_owned(),
        false => path,
    };
    if !path.is_empty() {
        for (mark, feature) in [
            ("*", "replacements: every item"),
            ("=", "replacements: items that match"),
            (".json.", "replacements: into JSON"),
            (".yaml.", "replacements: into YAML"),
        ] {
            if path.contains(mark) {
                world.note(feature);
            }
        }
        if path.split('.').any(|step| step.parse::<usize>().is_ok()) {
            world.note("replacements: items by number");
        }
        let mut paths = vec![path];
        if world.random.percent(15) {
            paths.push("metadata.labels.tier".to_owned());
        }
        to["fieldPaths"] = json!(paths);
    }
    if world.chance("replacements: reject", 12) {
        to["reject"] = json!([{"name": world.random.pick(&NAMES)}]);
        if world.random.percent(30) {
            to["reject"] = json!([{"labelSelector": "app=web"}]);
        }
    }
    if world.chance("replacements: target options", 85) {
        let mut options = json!({});
        if !is_bare && world.chance("replacements: create", 90) {
            options["create"] = true.into();
        }
        if world.chance("replacements: target delimiter", 30) {
            options["delimiter"] = world.random.pick(&[":", "-", "/", "."]).into();
            options["index"] = json!(world.random.below(4) as i64 - 1);
        }
        to["options"] = options;
    }
    replacement["targets"] = own.into_iter().chain([to]).collect();
    Some(replacement)
}

pub(super) fn replacements(world: &mut World<'_>, scope: &mut Scope) {
    let Some(replacement) = replacement(world, scope) else { return };
    world.note("replacements");
    if world.chance("replacements: path", 15) {
        let file = "replacement.yaml".to_owned();
        let content = if world.random.percent(50) { json!([replacement]) } else { replacement };
        world.yaml(format!("{}/{file}", scope.directory), vec![content]);
        return world.push(scope, "replacements", json!({"path": file}));
    }
    world.push(scope, "replacements", replacement);
}

pub(super) fn vars(world: &mut World<'_>, scope: &mut Scope) {
    let map = if world.random.percent(40) { world.object_of(scope, &["ConfigMap"]).cloned() } else { None };
    let Some(object) = map.or_else(|| world.object(scope).cloned()) else { return };
    world.note("vars");
    let mut var = json!({"name": world.random.pick(&["VAR", "A", "OTHER"]),
        "objref": {"kind": object["kind"], "name": object["metadata"]["name"]}});
    if let Some(api_version) = object["apiVersion"].as_str() {
        var["objref"]["apiVersion"] = api_version.into();
    }
    if let Some(namespace) = object["metadata"]["namespace"].as_str() {
        var["objref"]["namespace"] = namespace.into();
    }
    match (object["kind"].as_str().unwrap_or_default(), world.random.below(3)) {
        (_, 0) => {}
        ("Service", _) => var["fieldref"] = json!({"fieldpath": "spec.ports[0].port"}),
        ("Deployment", _) => var["fieldref"] = json!({"fieldpath": "spec.template.spec.containers[0].image"}),
        (_, 1) => var["fieldref"] = json!({"fieldpath": "metadata.namespace"}),
        _ => var["fieldref"] = json!({"fieldpath": "metadata.name"}),
    }
    world.push(scope, "vars", var);
}
