//! Generators and what they read.

use serde_json::{Value, json};

use super::{Scope, World, plugins::plugin_file};
use crate::differential::objects::{ACCOUNTS, CONFIGS, NAMESPACES, SECRETS};

pub(super) fn generator(world: &mut World<'_>, scope: &mut Scope, name: &str) -> Value {
    let mut generator = json!({"name": name});
    if world.chance("generator: literals", 70) {
        let mut literals =
            vec![format!("A={}", world.random.pick(&["1", "b c", "'quoted'", "\"q\"", "x=y", "", "1.10"]))];
        if world.random.percent(40) {
            literals.push("B.c-d=multi\nline".to_owned());
        }
        generator["literals"] = json!(literals);
    }
    if world.chance("generator: files", 35) {
        let text =
            world.random.pick(&["text\n", "line\r\nother\r\n", "{\"a\": 1}", "ünï\n", "", " space \n\n", "tab\there"]);
        world.text(format!("{}/file.txt", scope.directory), text);
        generator["files"] = json!([world.random.pick(&["key.conf=file.txt", "file.txt"])]);
        if world.chance("generator: binary files", 20) {
            let bytes = world.random.pick::<&[u8]>(&[
                b"\xff\xfe\x00",
                b"\x80",
                b"\x89PNG\r\n\x1a\n and more, so that the text in base64 is long enough for two lines of it \xff",
            ]);
            world.bytes(format!("{}/logo.png", scope.directory), bytes);
            generator["files"] = json!(["file.txt", "logo.png"]);
        }
    }
    if world.chance("generator: envs", 30) {
        let text = world.random.pick(&[
            "E1=a\nE2=b=c\n# no\n\nE3=\n",
            "\u{feff}X=1\n",
            "Q=\"quoted\"\nS= spaced \n",
            "UNSET\nV=1",
        ]);
        world.text(format!("{}/some.env", scope.directory), text);
        match world.random.percent(20) {
            true => generator["env"] = "some.env".into(),
            false => generator["envs"] = json!(["some.env"]),
        }
    }
    if world.random.percent(15) {
        generator["namespace"] = world.random.pick(&NAMESPACES).into();
    }
    if world.chance("generator: options", 35) {
        generator["options"] = options(world);
    }
    if world.chance("generator: behavior", 20) {
        generator["behavior"] = world.random.pick(&["create", "merge", "merge", "replace", "replace"]).into();
    }
    generator
}

pub(super) fn options(world: &mut World<'_>) -> Value {
    let mut options = json!({});
    if world.chance("generator: no hash", 45) {
        options["disableNameSuffixHash"] = true.into();
    }
    if world.chance("generator: immutable", 30) {
        options["immutable"] = true.into();
    }
    if world.random.percent(35) {
        options["labels"] = json!({"made": world.random.pick(&["yes", "anew"]), "app": "gen"});
    }
    if world.random.percent(35) {
        options["annotations"] = json!({"note": world.random.pick(&["a b: c", "other"])});
    }
    options
}

pub(super) fn config_map_generator(world: &mut World<'_>, scope: &mut Scope) {
    world.note("configMapGenerator");
    let existing = world.object_of(scope, &["ConfigMap"]).map(|object| object["metadata"]["name"].clone());
    let fresh = world.random.pick(&CONFIGS);
    let name = match existing.as_ref().and_then(Value::as_str) {
        Some(name) if world.random.percent(40) => name.to_owned(),
        _ => fresh.to_owned(),
    };
    let mut made = generator(world, scope, &name);
    let known = scope
        .objects
        .iter()
        .find(|object| object["kind"] == "ConfigMap" && object["metadata"]["name"] == name.as_str());
    match known {
        // Mostly such that it builds.
        Some(known) if world.random.percent(90) => {
            made["behavior"] = world.random.pick(&["merge", "replace"]).into();
            made["namespace"] = known["metadata"]["namespace"].clone();
            world.note("generator: behavior");
        }
        None if world.random.percent(90) => {
            made.as_object_mut().map(|map| map.remove("behavior"));
        }
        _ => {}
    }
    if made["namespace"].is_null() {
        made.as_object_mut().map(|map| map.remove("namespace"));
    }
    if known.is_none() {
        scope.objects.push(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": made["namespace"]}, "data": {"A": "1"}}));
    }
    world.push(scope, "configMapGenerator", made);
}

pub(super) fn secret_generator(world: &mut World<'_>, scope: &mut Scope) {
    world.note("secretGenerator");
    let name = world.random.pick(&SECRETS);
    let mut made = generator(world, scope, name);
    let is_known = scope.objects.iter().any(|object| object["kind"] == "Secret" && object["metadata"]["name"] == name);
    if !is_known && world.random.percent(90) {
        made.as_object_mut().map(|map| map.remove("behavior"));
    } else if is_known && world.random.percent(90) {
        made["behavior"] = world.random.pick(&["merge", "replace"]).into();
        made.as_object_mut().map(|map| map.remove("namespace"));
    }
    if world.random.percent(30) {
        made["type"] = world.random.pick(&["kubernetes.io/tls", "Opaque"]).into();
    }
    world.push(scope, "secretGenerator", made);
}

pub(super) fn generator_options(world: &mut World<'_>, scope: &mut Scope) {
    world.note("generatorOptions");
    let options = options(world);
    scope.ks.insert("generatorOptions".into(), options);
    config_map_generator(world, scope);
}

pub(super) fn generators(world: &mut World<'_>, scope: &mut Scope) {
    world.note("generators");
    let mut plugin = json!({"apiVersion": "builtin", "metadata": {"name": format!("made{}", world.files.len())}});
    if world.chance("IAMPolicyGenerator", 20) {
        plugin["kind"] = "IAMPolicyGenerator".into();
        plugin["cloud"] = world.random.pick(&["gke", "gke", "gke", "aws"]).into();
        plugin["kubernetesService"] = json!({"name": world.random.pick(&ACCOUNTS)});
        if world.random.percent(50) {
            plugin["kubernetesService"]["namespace"] = world.random.pick(&NAMESPACES).into();
        }
        plugin["serviceAccount"] = json!({"name": "robot", "projectId": "project"});
        return plugin_file(world, scope, "generators", &plugin);
    }
    if world.random.percent(50) {
        world.note("ConfigMapGenerator");
        plugin["kind"] = "ConfigMapGenerator".into();
    } else {
        world.note("SecretGenerator");
        plugin["kind"] = "SecretGenerator".into();
    }
    let made = generator(world, scope, "x");
    for field in ["literals", "files", "envs", "options", "behavior", "env"] {
        if !made[field].is_null() && (field != "behavior" || world.random.percent(20)) {
            plugin[field] = made[field].clone();
        }
    }
    if world.random.percent(20) {
        plugin["metadata"]["namespace"] = world.random.pick(&ACCOUNTS).into();
    }
    plugin_file(world, scope, "generators", &plugin);
}
