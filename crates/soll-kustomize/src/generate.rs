//! `configMapGenerator` and `secretGenerator`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use soll_yaml::{At, Entry, Map, Str, Value};

use crate::accumulate::Builder;
use crate::kustomization::{Generator, Kustomization, Pairs, Text};
use crate::provenance::Provenance;
use crate::resource::Resource;
use crate::resources::Resources;

/// Which kind of object a generator makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    ConfigMap,
    Secret,
}

/// One key of the data, with the place of its line.
struct Pair {
    key: Str,
    value: Vec<u8>,
    at: At,
}

/// Makes all objects that the kustomization's generators describe.
pub(crate) fn run(resources: &mut Resources, ks: &Kustomization, builder: &Builder<'_>) {
    for generator in &ks.config_maps {
        let origin = || Provenance::builtin(ks, "ConfigMapGenerator");
        make(resources, generator, Kind::ConfigMap, &origin, ks, builder);
    }
    for generator in &ks.secrets {
        let origin = || Provenance::builtin(ks, "SecretGenerator");
        make(resources, generator, Kind::Secret, &origin, ks, builder);
    }
}

/// Makes one object and adds it, or merges it into the one it names.
pub(crate) fn make(
    resources: &mut Resources,
    generator: &Generator,
    kind: Kind,
    origin: &dyn Fn() -> Provenance,
    ks: &Kustomization,
    builder: &Builder<'_>,
) {
    let Some(name) = &generator.name else { return };
    let pairs = data(generator, ks, builder);
    let by = match kind {
        Kind::ConfigMap => "configMapGenerator",
        Kind::Secret => "secretGenerator",
    };
    let place = |at: At| builder.sources.through(at, by, At::NONE);
    let mut object = Map::new();
    let set = |object: &mut Map, key: &str, value: Value| {
        object.insert(key, value.at(place(generator.at)));
    };
    set(&mut object, "apiVersion", Value::from("v1"));
    set(&mut object, "kind", Value::from(if kind == Kind::Secret { "Secret" } else { "ConfigMap" }));
    let mut metadata = Map::new();
    metadata.insert("name", name.value().at(place(name.at)));
    if let Some(namespace) = &generator.namespace {
        metadata.insert("namespace", namespace.value().at(place(namespace.at)));
    }
    for (field, pairs) in [("labels", &generator.options.labels), ("annotations", &generator.options.annotations)] {
        if !pairs.is_empty() {
            set(&mut metadata, field, texts(pairs, &place));
        }
    }
    set(&mut object, "metadata", metadata.into());
    if kind == Kind::Secret {
        let secret_type = generator.secret_type.as_ref().map_or_else(|| Value::from("Opaque"), Text::value);
        set(&mut object, "type", secret_type);
    }
    let (mut data, mut binary) = (Map::new(), Map::new());
    for pair in pairs {
        let at = place(pair.at);
        let (target, value) = match (kind, String::from_utf8(pair.value)) {
            (Kind::Secret, Ok(text)) => (&mut data, encoded(text.as_bytes())),
            (Kind::Secret, Err(error)) => (&mut data, encoded(error.as_bytes())),
            (Kind::ConfigMap, Ok(text)) => (&mut data, text),
            (Kind::ConfigMap, Err(error)) => (&mut binary, encoded(error.as_bytes())),
        };
        target.insert_entry(Entry { key: pair.key, key_at: at, value: Value::from(value).at(at) });
    }
    for (field, map) in [("data", data), ("binaryData", binary)] {
        // The field of a Secret is there even if nothing is in it.
        if !map.is_empty() || (kind == Kind::Secret && field == "data") {
            set(&mut object, field, map.into());
        }
    }
    if generator.options.immutable {
        set(&mut object, "immutable", Value::from(true));
    }
    let mut resource = Resource::new(Value::from(object).at(place(generator.at)));
    resource.needs_hash = !generator.options.disable_hash;
    resource.behavior = generator.behavior;
    resource.is_generated = true;
    resource.origin = builder.tracked(origin);
    resources.absorb(resource, builder);
}

/// Makes the ServiceAccount that stands for an account of a cloud.
pub(crate) fn cloud_account(
    resources: &mut Resources,
    config: &Value,
    origin: &dyn Fn() -> Provenance,
    builder: &Builder<'_>,
) {
    let text = |path: &[&str]| config.lookup_str(path).unwrap_or_default();
    let cloud = text(&["cloud"]);
    if cloud != "gke" {
        return builder.problems.add(config.at, format!("cloud provider {cloud} not supported yet; expected gke"));
    }
    let account = format!(
        "{}@{}.iam.gserviceaccount.com",
        text(&["serviceAccount", "name"]),
        text(&["serviceAccount", "projectId"])
    );
    let annotations = Map::from_iter([("iam.gke.io/gcp-service-account", Value::from(account))]);
    let mut metadata = Map::from_iter([("annotations", Value::from(annotations))]);
    for field in ["name", "namespace"] {
        let text = text(&["kubernetesService", field]);
        if !text.is_empty() {
            metadata.insert(field, Value::from(text));
        }
    }
    let object = Map::from_iter([
        ("apiVersion", Value::from("v1")),
        ("kind", Value::from("ServiceAccount")),
        ("metadata", Value::from(metadata)),
    ]);
    let mut resource = Resource::new(Value::from(object).at(config.at));
    resource.origin = builder.tracked(origin);
    resources.absorb(resource, builder);
}

fn texts(pairs: &Pairs, place: &dyn Fn(At) -> At) -> Value {
    let entry = |(key, text): &(Str, Text)| (key.clone(), text.value().at(place(text.at)));
    Map::from_iter(pairs.iter().map(entry)).into()
}

/// Base64 in lines of 70 letters, as kustomize writes it.
fn encoded(bytes: &[u8]) -> String {
    const LINE: usize = 70;
    let text = STANDARD.encode(bytes);
    if text.len() < LINE {
        return text;
    }
    let lines = text.as_bytes().chunks(LINE).map(|line| std::str::from_utf8(line).expect("base64 is ASCII"));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// Env files first, then literals, then files, as kustomize reads them.
fn data(generator: &Generator, ks: &Kustomization, builder: &Builder<'_>) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = Vec::new();
    for path in &generator.envs {
        env_file(&mut pairs, path, ks, builder);
    }
    for literal in &generator.literals {
        match literal.text.split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                let value = unquoted(value).as_bytes().to_vec();
                pairs.push(Pair { key: key.into(), value, at: literal.at });
            }
            _ => {
                let message = format!("invalid literal source {}, expected key=value", literal.text);
                builder.problems.add(literal.at, message);
            }
        }
    }
    for source in &generator.files {
        let (key, path) = match source.text.split_once('=') {
            None => (source.text.rsplit('/').next().unwrap_or_default(), source.as_str()),
            Some((key, path)) if !key.is_empty() && !path.is_empty() && !path.contains('=') => (key, path),
            Some(_) => {
                let message = format!("`{}` should be a path or key=path", source.text);
                builder.problems.add(source.at, message);
                continue;
            }
        };
        let named = Text { text: path.into(), at: source.at };
        if let Some((full, content)) = builder.file(&named, ks) {
            // The content starts in the first line of its file.
            let at = At::new(builder.sources.add(full.as_str()), 1, 1);
            pairs.push(Pair { key: key.into(), value: content.to_vec(), at });
        }
    }
    check(pairs, generator, builder)
}

/// Complains about keys that no ConfigMap may have, and about the second of two equal ones.
fn check(pairs: Vec<Pair>, generator: &Generator, builder: &Builder<'_>) -> Vec<Pair> {
    let mut seen = std::collections::HashSet::new();
    let name = generator.name.as_ref().map_or("", Text::as_str);
    pairs
        .into_iter()
        .filter(|pair| {
            let key = &pair.key;
            let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            if key.is_empty() || key.len() > 253 || !key.bytes().all(fine) || matches!(key.as_str(), "." | "..") {
                let message = format!("{key:?} is not a valid key name: a key has letters, digits, `-`, `_` and `.`");
                builder.problems.add(pair.at, message);
                return false;
            }
            if !seen.insert(key.clone()) {
                builder.problems.add(pair.at, format!("configmap {name} illegally repeats the key `{key}`"));
                return false;
            }
            true
        })
        .collect()
}

fn env_file(pairs: &mut Vec<Pair>, path: &Text, ks: &Kustomization, builder: &Builder<'_>) {
    let Some((full, content)) = builder.file(path, ks) else { return };
    let source = builder.sources.add(full.as_str());
    let Ok(text) = std::str::from_utf8(&content) else {
        return builder.problems.add(path.at, format!("`{}` has invalid utf8 bytes", builder.name(&full)));
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let at = At::new(source, number + 1, line.len() - trimmed.len() + 1);
        let (key, value) = trimmed.split_once('=').unwrap_or((trimmed, ""));
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if key.is_empty() || key.starts_with(|first: char| first.is_ascii_digit()) || !key.bytes().all(fine) {
            builder.problems.add(at, format!("{key:?} is not a valid environment variable name"));
            continue;
        }
        pairs.push(Pair { key: key.into(), value: value.as_bytes().to_vec(), at });
    }
}

fn unquoted(text: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote)) {
            return inner;
        }
    }
    text
}
