//! Kustomizations that nobody has written: a layout of directories, and in each some of the features.

mod generating;
mod patching;
mod plugins;
mod replacing;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use generating::{config_map_generator, generator_options, generators, secret_generator};
use patching::{patches, patches_json, patches_strategic_merge};
use plugins::{configurations, crds, openapi, transformers, validators};
use replacing::{replacements, vars};

use super::objects::{IMAGES, NAMESPACES, family, has_twin, objects, text};
use super::writing::{RAW, write};
use super::{Case, Content};
use soll_compare::Random;

/// The case that a seed makes.
pub(super) fn case(random: &mut Random) -> Case {
    let mut world = World { random, files: BTreeMap::new(), features: BTreeSet::new(), families: 10 };
    let root = world.layout();
    let legacy_order = world.chance("legacy order", 30);
    let root_only = world.chance("root only", 30);
    let World { files, features, .. } = world;
    let mut case = Case { files, root, legacy_order, root_only, features };
    note_writing(&mut case);
    note_namespaces(&mut case);
    case
}

/// Notes in which ways the files are written.
fn note_writing(case: &mut Case) {
    for (path, bytes) in case.bytes() {
        let text = String::from_utf8_lossy(&bytes);
        let is_manifest = path.ends_with(".yaml") && !text.starts_with('{');
        let ways = [
            ("written with CRLF", text.contains("\r\n") && path.ends_with(".yaml")),
            ("written with a byte order mark", text.starts_with('\u{feff}')),
            ("written with comments", is_manifest && text.contains("# ")),
            ("written as JSON", path.ends_with(".yaml") && text.starts_with('{')),
            ("written without a newline at the end", is_manifest && !text.ends_with('\n')),
            ("written with quotes", is_manifest && text.contains(": \"")),
            ("written with collections in flow style", is_manifest && text.contains(": {\"")),
            ("written with literal blocks", is_manifest && text.contains(": |")),
        ];
        case.features.extend(ways.into_iter().filter(|(_, is_so)| *is_so).map(|(way, _)| way));
    }
}

/// Notes what a namespace has to reach besides the objects' own.
fn note_namespaces(case: &mut Case) {
    if !case.features.contains("namespace") {
        return;
    }
    let texts: String = case.bytes().into_values().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect();
    let reached = [
        ("namespace: subjects of bindings", "roleRef"),
        ("namespace: webhooks", "WebhookConfiguration"),
        ("namespace: conversion of definitions", "conversionReviewVersions"),
        ("namespace: API services", "APIService"),
    ];
    case.features.extend(reached.into_iter().filter(|(_, mark)| texts.contains(mark)).map(|(name, _)| name));
}

struct World<'r> {
    random: &'r mut Random,
    files: BTreeMap<String, Content>,
    features: BTreeSet<&'static str>,
    /// How many of a hundred directories get objects that refer to each other.
    families: usize,
}

/// One directory under construction.
struct Scope {
    directory: String,
    ks: Map<String, Value>,
    /// What is there to be changed: own objects, and those of bases.
    objects: Vec<Value>,
}

type Feature = fn(&mut World<'_>, &mut Scope);

/// The features of one kustomization, with how often each is drawn; each notes its name if it is used.
const FEATURES: [(Feature, usize); 26] = [
    (config_map_generator, 2),
    (secret_generator, 2),
    (generator_options, 1),
    (name_prefix, 2),
    (name_suffix, 1),
    (namespace, 3),
    (labels, 2),
    (common_labels, 1),
    (common_annotations, 1),
    (images, 2),
    (image_tags, 1),
    (replicas, 1),
    (patches, 4),
    (patches_strategic_merge, 2),
    (patches_json, 1),
    (replacements, 5),
    (vars, 2),
    (configurations, 1),
    (crds, 1),
    (openapi, 1),
    (transformers, 7),
    (validators, 1),
    (generators, 2),
    (sort_options, 1),
    (metadata, 1),
    (nothing, 1),
];

impl World<'_> {
    fn note(&mut self, feature: &'static str) {
        self.features.insert(feature);
    }

    /// Decides for a feature, and notes it.
    fn chance(&mut self, feature: &'static str, share: usize) -> bool {
        let wanted = self.random.percent(share);
        if wanted {
            self.note(feature);
        }
        wanted
    }

    /// Uses one feature.
    fn feature(&mut self, scope: &mut Scope) {
        let mut left = self.random.below(FEATURES.iter().map(|(_, weight)| weight).sum());
        for (feature, weight) in FEATURES {
            if left < weight {
                return feature(self, scope);
            }
            left -= weight;
        }
    }

    fn yaml(&mut self, path: String, documents: Vec<Value>) {
        let style = self.random.next();
        self.files.insert(path, Content::Yaml { documents, style });
    }

    fn bytes(&mut self, path: String, bytes: &[u8]) {
        self.files.insert(path, Content::Bytes(bytes.to_owned()));
    }

    fn text(&mut self, path: String, text: &str) {
        self.files.insert(path, Content::Text(text.to_owned()));
    }

    /// Writes all directories; returns the one to build.
    fn layout(&mut self) -> String {
        match self.random.below(10) {
            0..=3 => {
                let count = self.random.below(5) + 1;
                self.directory("app", &[], count, false);
                "app".to_owned()
            }
            4..=6 => {
                self.note("base and overlay");
                let count = self.random.below(5) + 1;
                let known = self.directory("base", &[], count, false);
                let own = self.random.below(2);
                self.directory("over", &[("base", known)], own, false);
                "over".to_owned()
            }
            7 => {
                self.note("three levels");
                let known = self.directory("base", &[], 3, false);
                let known = self.directory("middle", &[("base", known)], 1, false);
                self.directory("top", &[("middle", known)], 0, false);
                "top".to_owned()
            }
            8 => {
                self.note("two overlays of one base");
                let is_family = self.random.percent(60);
                self.families = if is_family { 100 } else { 0 };
                let known = self.directory("base", &[], if is_family { 0 } else { 3 }, false);
                self.families = 0;
                let mut left = self.directory("left", &[("base", known.clone())], 0, false);
                self.set("left", "namePrefix", "left-");
                let right = self.directory("right", &[("base", known)], 0, false);
                let key = self.random.pick(&["nameSuffix", "namePrefix"]);
                self.set("right", key, "right-x");
                left.extend(right);
                self.directory("top", &[("left", left), ("right", Vec::new())], 0, false);
                "top".to_owned()
            }
            _ => {
                self.note("two bases");
                let known = self.directory("base", &[], 2, false);
                let other = self.directory("other", &[], 2, false);
                self.directory("over", &[("base", known), ("other", other)], 1, false);
                "over".to_owned()
            }
        }
    }

    fn set(&mut self, directory: &str, key: &str, value: &str) {
        if let Some(Content::Yaml { documents, .. }) = self.files.get_mut(&format!("{directory}/kustomization.yaml")) {
            documents[0][key] = value.into();
        }
    }

    /// Writes one directory; returns what it has.
    fn directory(&mut self, name: &str, bases: &[(&str, Vec<Value>)], count: usize, is_component: bool) -> Vec<Value> {
        let mut scope = Scope { directory: name.to_owned(), ks: Map::new(), objects: Vec::new() };
        if is_component {
            scope.ks.insert("apiVersion".into(), "kustomize.config.k8s.io/v1alpha1".into());
            scope.ks.insert("kind".into(), "Component".into());
        } else if self.random.percent(50) {
            scope.ks.insert("apiVersion".into(), "kustomize.config.k8s.io/v1beta1".into());
            scope.ks.insert("kind".into(), "Kustomization".into());
        }
        let mut resources: Vec<Value> = Vec::new();
        for (base, known) in bases {
            resources.push(format!("../{base}").into());
            scope.objects.extend(known.iter().cloned());
        }
        if !bases.is_empty() && self.chance("bases", 8) {
            scope.ks.insert("bases".into(), std::mem::take(&mut resources).into());
        }
        let own = self.own_objects(&mut scope, count);
        resources.extend(own);
        if !resources.is_empty() {
            scope.ks.insert("resources".into(), resources.into());
        }
        for _ in 0..self.random.below(4) + usize::from(!bases.is_empty()) {
            self.feature(&mut scope);
        }
        if !is_component && self.random.percent(12) {
            self.note("components");
            let inner = format!("{name}-component");
            let known = scope.objects.clone();
            self.component(&inner, known);
            scope.ks.insert("components".into(), json!([format!("../{inner}")]));
        }
        if !is_component && self.random.percent(10) {
            let options = ["managedByLabel", "originAnnotations", "transformerAnnotations"];
            let tags = ["build metadata: managed by", "build metadata: origins", "build metadata: transformers"];
            let mut chosen = Vec::new();
            for (option, tag) in options.into_iter().zip(tags) {
                if self.chance(tag, 45) {
                    chosen.push(option);
                }
            }
            scope.ks.insert("buildMetadata".into(), json!(chosen));
        }
        if self.random.percent(1) {
            scope.ks.insert("namePrfix".into(), "x".into());
        }
        if self.chance("fields in other case", 3) {
            let keys: Vec<_> = scope.ks.keys().cloned().collect();
            let key = &keys[self.random.below(keys.len().max(1)).min(keys.len().saturating_sub(1))..];
            if let Some(key) = key.first()
                && let Some(value) = scope.ks.remove(key)
            {
                scope.ks.insert(key.to_lowercase(), value);
            }
        }
        let Scope { ks, objects, .. } = scope;
        self.yaml(format!("{name}/kustomization.yaml"), vec![ks.into()]);
        objects
    }

    fn component(&mut self, name: &str, known: Vec<Value>) {
        let mut scope = Scope { directory: name.to_owned(), ks: Map::new(), objects: known };
        scope.ks.insert("apiVersion".into(), "kustomize.config.k8s.io/v1alpha1".into());
        scope.ks.insert("kind".into(), "Component".into());
        let count = self.random.below(2);
        let resources = self.own_objects(&mut scope, count);
        if !resources.is_empty() {
            scope.ks.insert("resources".into(), resources.into());
        }
        for _ in 0..self.random.below(3) + 1 {
            self.feature(&mut scope);
        }
        let Scope { ks, .. } = scope;
        self.yaml(format!("{name}/kustomization.yaml"), vec![ks.into()]);
    }

    /// Writes objects into files; returns the names of the files.
    fn own_objects(&mut self, scope: &mut Scope, count: usize) -> Vec<Value> {
        let mut own = objects(self.random, count);
        let is_unlike = |scope: &Scope, object: &Value| !has_twin(&scope.objects, object);
        if self.random.percent(97) {
            own.retain(|object| is_unlike(scope, object));
        }
        if self.chance("objects that refer to each other", self.families) {
            for object in family(self.random) {
                if !has_twin(&own, &object) && is_unlike(scope, &object) {
                    own.push(object);
                }
            }
        }
        if own.is_empty() {
            return Vec::new();
        }
        scope.objects.extend(own.iter().cloned());
        let directory = scope.directory.clone();
        if self.chance("list kinds", 6) {
            let kind = self.random.pick(&["List", "ConfigMapList", "DeploymentList"]);
            let list = json!({"apiVersion": "v1", "kind": kind, "items": unmarked(own)});
            self.yaml(format!("{directory}/list.yaml"), vec![list]);
            return vec!["list.yaml".into()];
        }
        if self.chance("anchors", 5) {
            let anchored = self.random.pick(&[
                "x: &labels {app: a}\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: anchored, labels: *labels}\n",
                "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: anchored\n  labels: &l\n    app: a\n  annotations:\n    <<: *l\n    b: c\ndata: &d\n  a: &v text\n  b: *v\nmore:\n  <<: *d\n  a: own\n",
                "apiVersion: v1\nkind: Service\nmetadata: {name: anchored}\nspec:\n  ports:\n  - &p {port: 80, name: a}\n  - <<: *p\n    name: b\n",
            ]);
            self.text(format!("{directory}/anchored.yaml"), anchored);
            let mut files = vec![Value::from("anchored.yaml")];
            self.yaml(format!("{directory}/all.yaml"), own);
            files.push("all.yaml".into());
            return files;
        }
        if self.random.percent(60) || own.len() == 1 {
            self.note("several documents in a file");
            self.yaml(format!("{directory}/all.yaml"), own);
            return vec!["all.yaml".into()];
        }
        let mut files = Vec::new();
        for (position, object) in own.into_iter().enumerate() {
            let file = format!("{position}.yaml");
            self.yaml(format!("{directory}/{file}"), vec![object]);
            files.push(Value::from(if self.random.percent(10) { format!("./{file}") } else { file }));
        }
        files
    }

    /// Puts a value into the list of a field.
    fn push(&mut self, scope: &mut Scope, field: &str, value: Value) {
        let list = scope.ks.entry(field).or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            list.push(value);
        }
    }

    /// Text of one document, as it stands inside another.
    fn inline(&mut self, value: &Value) -> String {
        let seed = self.random.next();
        let text = write(std::slice::from_ref(value), seed);
        text.trim_start_matches('\u{feff}').replace('\r', "")
    }

    fn object<'s>(&mut self, scope: &'s Scope) -> Option<&'s Value> {
        (!scope.objects.is_empty()).then(|| &scope.objects[self.random.below(scope.objects.len())])
    }

    fn object_of<'s>(&mut self, scope: &'s Scope, kinds: &[&str]) -> Option<&'s Value> {
        let fitting: Vec<_> = scope
            .objects
            .iter()
            .filter(|object| kinds.contains(&object["kind"].as_str().unwrap_or_default()))
            .collect();
        (!fitting.is_empty()).then(|| fitting[self.random.below(fitting.len())])
    }
}

/// A list's items are written as JSON within, where marks for bare scalars mean nothing.
fn unmarked(values: Vec<Value>) -> Vec<Value> {
    fn unmark(value: &mut Value) {
        match value {
            Value::String(text) if text.starts_with(RAW) => *text = text[RAW.len_utf8()..].to_owned(),
            Value::Array(items) => items.iter_mut().for_each(unmark),
            Value::Object(map) => map.values_mut().for_each(unmark),
            _ => {}
        }
    }
    let mut values = values;
    values.iter_mut().for_each(unmark);
    values
}

const WORKLOADS: [&str; 6] = ["Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod"];

fn name_prefix(world: &mut World<'_>, scope: &mut Scope) {
    world.note("namePrefix");
    let prefix = world.random.pick(&["my-", "x", "prod-"]);
    scope.ks.insert("namePrefix".into(), prefix.into());
}

fn name_suffix(world: &mut World<'_>, scope: &mut Scope) {
    world.note("nameSuffix");
    let suffix = world.random.pick(&["-v1", "x", "-blue"]);
    scope.ks.insert("nameSuffix".into(), suffix.into());
}

fn namespace(world: &mut World<'_>, scope: &mut Scope) {
    world.note("namespace");
    scope.ks.insert("namespace".into(), world.random.pick(&NAMESPACES).into());
}

fn pairs(world: &mut World<'_>) -> Value {
    let mut pairs = json!({"team": "a"});
    if world.random.percent(50) {
        pairs["app"] = world.random.pick(&["new", "web"]).into();
    }
    if world.random.percent(30) {
        pairs["example.com/key"] = world.random.pick(&["v", "1", "true", ""]).into();
    }
    pairs
}

fn field_spec(world: &mut World<'_>) -> Value {
    let mut spec = match world.random.below(6) {
        0 => json!({"path": "spec/selector", "kind": "Widget", "group": "example.com"}),
        1 => json!({"path": "metadata/labels", "kind": "Deployment"}),
        2 => json!({"path": "spec/template/metadata/labels", "kind": world.random.pick(&WORKLOADS)}),
        3 => json!({"path": "spec/template/spec/containers[]/extra"}),
        4 => json!({"path": "spec/items/extra", "kind": "Widget"}),
        _ => json!({"path": "spec/volumeClaimTemplates[]/metadata/labels", "kind": "StatefulSet"}),
    };
    if world.random.percent(60) {
        spec["create"] = true.into();
    }
    spec
}

fn labels(world: &mut World<'_>, scope: &mut Scope) {
    world.note("labels");
    let mut label = json!({"pairs": pairs(world)});
    if world.chance("labels: selectors", 35) {
        label["includeSelectors"] = true.into();
    }
    if world.chance("labels: templates", 30) {
        label["includeTemplates"] = true.into();
    }
    if world.chance("labels: fields", 30) {
        label["fields"] = json!([field_spec(world)]);
    }
    world.push(scope, "labels", label);
}

fn common_labels(world: &mut World<'_>, scope: &mut Scope) {
    world.note("commonLabels");
    scope.ks.insert("commonLabels".into(), pairs(world));
}

fn common_annotations(world: &mut World<'_>, scope: &mut Scope) {
    world.note("commonAnnotations");
    let value = text(world.random);
    scope.ks.insert("commonAnnotations".into(), json!({"note": value, "other": "x"}));
}

fn image(world: &mut World<'_>) -> Value {
    let name = match world.random.below(3) {
        0 => "nginx",
        1 => world.random.pick(&["ghcr.io/acme/web", "registry.example.com:5000/team/app", "redis", "app"]),
        _ => world.random.pick(&IMAGES),
    };
    let mut image = json!({"name": name});
    if world.random.percent(50) {
        image["newName"] = world.random.pick(&["mirror.example.com/nginx", "other", "localhost:5000/x"]).into();
    }
    if world.random.percent(50) {
        image["newTag"] = world.random.pick(&["2.0", "latest", "v1-rc"]).into();
    }
    if world.random.percent(20) {
        image["digest"] = "sha256:aaaa".into();
    }
    if world.random.percent(15) {
        image["tagSuffix"] = "-alpine".into();
    }
    image
}

fn images(world: &mut World<'_>, scope: &mut Scope) {
    world.note("images");
    let image = image(world);
    world.push(scope, "images", image);
}

fn image_tags(world: &mut World<'_>, scope: &mut Scope) {
    world.note("imageTags");
    let image = image(world);
    world.push(scope, "imageTags", image);
}

fn replicas(world: &mut World<'_>, scope: &mut Scope) {
    let Some(object) = world.object_of(scope, &["Deployment", "StatefulSet"]) else { return };
    let name = if world.random.percent(90) { object["metadata"]["name"].clone() } else { "nobody".into() };
    world.note("replicas");
    let count = world.random.below(9);
    world.push(scope, "replicas", json!({"name": name, "count": count}));
}

fn selector(world: &mut World<'_>, object: &Value) -> Value {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let kind = object["kind"].as_str().unwrap_or_default();
    let mut selector = json!({});
    if world.random.percent(80) {
        selector["kind"] = match world.chance("target: expression", 15) {
            true => world.random.pick(&["Deploy.*", "(Deployment|Service)", ".*", "deployment"]).into(),
            false => kind.into(),
        };
    }
    if world.random.percent(60) {
        selector["name"] = match world.random.percent(20) {
            true => world.random.pick(&["w.*", ".*", "web|api", "^web$", "[a-z]+", "w"]).into(),
            false => name.into(),
        };
    }
    if world.random.percent(15) {
        let (group, version) = object["apiVersion"].as_str().unwrap_or_default().rsplit_once('/').unwrap_or(("", "v1"));
        if !group.is_empty() {
            selector["group"] = group.into();
        }
        selector["version"] = version.into();
    }
    if world.random.percent(8) {
        selector["namespace"] = world.random.pick(&["prod", "default", "p.*"]).into();
    }
    if world.chance("target: labels", 12) {
        selector["labelSelector"] = world
            .random
            .pick(&["app=web", "app in (web,api)", "tier!=back", "app", "!app", "tier=front,app=web"])
            .into();
    }
    if world.chance("target: annotations", 5) {
        selector["annotationSelector"] = world.random.pick(&["note", "!note", "note=a"]).into();
    }
    selector
}

/// A kustomization may be named, to no effect.
fn metadata(world: &mut World<'_>, scope: &mut Scope) {
    world.note("metadata");
    scope.ks.insert("metadata".into(), json!({"name": "it", "labels": {"a": "b"}}));
}

/// Fields that are there and say nothing.
fn nothing(world: &mut World<'_>, scope: &mut Scope) {
    world.note("empty fields");
    let (field, value) = world.random.pick(&[
        ("namePrefix", ""),
        ("namespace", ""),
        ("images", "[]"),
        ("labels", "[]"),
        ("commonLabels", "{}"),
        ("patches", "[]"),
        ("components", "[]"),
        ("generatorOptions", "{}"),
    ]);
    let value = if value.is_empty() { Value::from("") } else { serde_json::from_str(value).unwrap() };
    scope.ks.entry(field).or_insert(value);
}

fn sort_options(world: &mut World<'_>, scope: &mut Scope) {
    world.note("sortOptions");
    let options = match world.random.below(3) {
        0 => json!({"order": "fifo"}),
        1 => json!({"order": "legacy"}),
        _ => {
            json!({"order": "legacy", "legacySortOptions": {"orderFirst": ["Service", "ConfigMap"], "orderLast": ["Deployment"]}})
        }
    };
    scope.ks.insert("sortOptions".into(), options);
}
