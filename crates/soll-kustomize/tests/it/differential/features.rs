//! Kustomizations that nobody has written: a layout of directories, and in each some of the features.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::objects::{ACCOUNTS, CONFIGS, IMAGES, NAMES, NAMESPACES, SECRETS, objects, raw, text};
use super::random::Random;
use super::writing::{RAW, write};
use super::{Case, Content};

/// The case that a seed makes.
pub(super) fn case(random: &mut Random) -> Case {
    let mut world = World { random, files: BTreeMap::new(), features: BTreeSet::new() };
    let root = world.layout();
    let legacy_order = world.chance("legacy order", 30);
    let root_only = world.chance("root only", 30);
    let World { files, features, .. } = world;
    Case { files, root, legacy_order, root_only, features }
}

struct World<'r> {
    random: &'r mut Random,
    files: BTreeMap<String, Content>,
    features: BTreeSet<&'static str>,
}

/// One directory under construction.
struct Scope {
    directory: String,
    ks: Map<String, Value>,
    /// What is there to be changed: own objects, and those of bases.
    objects: Vec<Value>,
}

type Feature = fn(&mut World<'_>, &mut Scope);

/// The features of one kustomization; each notes its name if it is used.
const FEATURES: [Feature; 32] = [
    config_map_generator,
    config_map_generator,
    secret_generator,
    generator_options,
    name_prefix,
    name_suffix,
    namespace,
    namespace,
    labels,
    labels,
    common_labels,
    common_annotations,
    images,
    images,
    image_tags,
    replicas,
    patches,
    patches,
    patches,
    patches_strategic_merge,
    patches_json,
    replacements,
    replacements,
    vars,
    configurations,
    crds,
    openapi,
    transformers,
    transformers,
    validators,
    generators,
    sort_options,
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

    fn yaml(&mut self, path: String, documents: Vec<Value>) {
        let style = self.random.next();
        self.files.insert(path, Content::Yaml { documents, style });
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
                let known = self.directory("base", &[], 3, false);
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
        if self.chance("bases", 8) && !bases.is_empty() {
            scope.ks.insert("bases".into(), std::mem::take(&mut resources).into());
        }
        let own = self.own_objects(&mut scope, count);
        resources.extend(own);
        if !resources.is_empty() {
            scope.ks.insert("resources".into(), resources.into());
        }
        for _ in 0..self.random.below(4) + usize::from(!bases.is_empty()) {
            let feature = self.random.pick(&FEATURES);
            feature(self, &mut scope);
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
            let feature = self.random.pick(&FEATURES);
            feature(self, &mut scope);
        }
        let Scope { ks, .. } = scope;
        self.yaml(format!("{name}/kustomization.yaml"), vec![ks.into()]);
    }

    /// Writes objects into files; returns the names of the files.
    fn own_objects(&mut self, scope: &mut Scope, count: usize) -> Vec<Value> {
        let own = objects(self.random, count);
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

fn generator(world: &mut World<'_>, scope: &mut Scope, name: &str) -> Value {
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

fn options(world: &mut World<'_>) -> Value {
    let mut options = json!({});
    if world.chance("generator: no hash", 45) {
        options["disableNameSuffixHash"] = true.into();
    }
    if world.chance("generator: immutable", 30) {
        options["immutable"] = true.into();
    }
    if world.random.percent(35) {
        options["labels"] = json!({"made": "yes", "app": "gen"});
    }
    if world.random.percent(35) {
        options["annotations"] = json!({"note": "a b: c"});
    }
    options
}

fn config_map_generator(world: &mut World<'_>, scope: &mut Scope) {
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

fn secret_generator(world: &mut World<'_>, scope: &mut Scope) {
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

fn generator_options(world: &mut World<'_>, scope: &mut Scope) {
    world.note("generatorOptions");
    let options = options(world);
    scope.ks.insert("generatorOptions".into(), options);
    config_map_generator(world, scope);
}

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

/// A strategic merge patch for an object, with or without saying for which.
fn strategic(world: &mut World<'_>, object: &Value, is_targeted: bool) -> Value {
    let mut patch = json!({"apiVersion": object["apiVersion"], "kind": object["kind"], "metadata": {"name": object["metadata"]["name"]}});
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
    let kind = object["kind"].as_str().unwrap_or_default();
    if world.chance("patch: delete object", 3) {
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
            if world.chance("patch: replace map", 8) {
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

fn pod_patch(world: &mut World<'_>) -> Value {
    let name = world.random.pick(&["main", "sidecar", "added"]);
    let mut container = json!({"name": name});
    match world.random.below(14) {
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
        12 => container["livenessProbe"] = json!({"httpGet": {"path": "/", "port": "http"}}),
        _ => container["command"] = Value::Null,
    }
    let mut spec = json!({"containers": [container]});
    match world.random.below(14) {
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
        11 => spec["securityContext"] = json!({"runAsUser": 1000}),
        _ => {}
    }
    spec
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

fn operations(world: &mut World<'_>, object: &Value) -> Value {
    let has_spec = !object["spec"].is_null();
    let mut operations = Vec::new();
    for _ in 0..world.random.below(3) + 1 {
        let value = match world.random.below(4) {
            0 => text(world.random),
            1 => json!(world.random.below(9)),
            2 => json!({"a": [1, "b"]}),
            _ => raw(world.random),
        };
        operations.push(match world.random.below(9) {
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
            7 if object["metadata"]["annotations"].is_object() => {
                json!({"op": "add", "path": "/metadata/annotations/example.com~1x", "value": "y"})
            }
            8 if world.random.percent(5) => json!({"op": "move", "from": "/metadata/name", "path": "/metadata/moved"}),
            _ => json!({"op": "add", "path": "/metadata/labels", "value": {"json": "yes"}}),
        });
    }
    operations.into()
}

fn patches(world: &mut World<'_>, scope: &mut Scope) {
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
        entry["patch"] = world.inline(&content).into();
    }
    if world.random.percent(8) {
        entry["options"] = json!({});
        if world.chance("patches: allowNameChange", 60) {
            entry["options"]["allowNameChange"] = true.into();
        }
        if world.chance("patches: allowKindChange", 60) {
            entry["options"]["allowKindChange"] = true.into();
        }
    }
    world.push(scope, "patches", entry);
}

fn patches_strategic_merge(world: &mut World<'_>, scope: &mut Scope) {
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

fn patches_json(world: &mut World<'_>, scope: &mut Scope) {
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
        _ => world.random.pick(&["metadata.name", "metadata.namespace", "kind", "metadata.labels.app", ""]),
    }
}

fn replacement(world: &mut World<'_>, scope: &Scope) -> Option<Value> {
    let source = world.object(scope)?.clone();
    let target = world.object(scope)?.clone();
    let mut replacement = json!({});
    if world.chance("replacements: sourceValue", 15) {
        replacement["sourceValue"] = world.random.pick(&["static", "8080", "v1", "a:b"]).into();
    } else {
        let mut from = json!({"kind": source["kind"], "name": source["metadata"]["name"]});
        let path = if world.random.percent(60) { "metadata.name" } else { field_path(world, &source) };
        if !path.is_empty() && !path.contains('*') {
            from["fieldPath"] = path.into();
        }
        if world.chance("replacements: source delimiter", 15) {
            from["options"] = json!({"delimiter": world.random.pick(&["-", ":", "/"]), "index": usize::from(world.random.percent(15))});
        }
        replacement["source"] = from;
    }
    let mut select = selector(world, &target);
    if select.as_object().is_some_and(Map::is_empty) {
        select["kind"] = target["kind"].clone();
    }
    let mut to = json!({"select": select});
    let path = field_path(world, &target);
    // A number in a name is text here; see COMPATIBILITY.md.
    let is_number = |path: &str| ["replicas", "port", "size", "ratio"].iter().any(|end| path.ends_with(end));
    let from = &replacement["source"]["fieldPath"];
    let is_number = replacement["sourceValue"] == "8080" || from.as_str().is_some_and(is_number);
    let path = if is_number && matches!(path, "" | "metadata.name" | "metadata.namespace" | "kind") {
        "metadata.labels.app"
    } else {
        path
    };
    if !path.is_empty() {
        let mut paths = vec![path];
        if world.random.percent(15) {
            paths.push("metadata.labels.tier");
        }
        paths.retain(|path| !path.is_empty());
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
        if !is_number && world.chance("replacements: create", 90) {
            options["create"] = true.into();
        }
        if world.chance("replacements: target delimiter", 30) {
            options["delimiter"] = world.random.pick(&[":", "-", "/", "."]).into();
            options["index"] = json!(world.random.below(4) as i64 - 1);
        }
        to["options"] = options;
    }
    replacement["targets"] = json!([to]);
    Some(replacement)
}

fn replacements(world: &mut World<'_>, scope: &mut Scope) {
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

fn vars(world: &mut World<'_>, scope: &mut Scope) {
    let Some(object) = world.object(scope).cloned() else { return };
    world.note("vars");
    let mut var = json!({"name": world.random.pick(&["VAR", "A", "OTHER"]),
        "objref": {"apiVersion": object["apiVersion"], "kind": object["kind"], "name": object["metadata"]["name"]}});
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

fn configurations(world: &mut World<'_>, scope: &mut Scope) {
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

fn crds(world: &mut World<'_>, scope: &mut Scope) {
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

fn openapi(world: &mut World<'_>, scope: &mut Scope) {
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

fn plugin_file(world: &mut World<'_>, scope: &mut Scope, field: &str, plugin: &Value) {
    let entry = match world.random.percent(40) {
        true => world.inline(plugin),
        false => {
            let file = format!("{field}-{}.yaml", world.files.len());
            world.yaml(format!("{}/{file}", scope.directory), vec![plugin.clone()]);
            file
        }
    };
    world.push(scope, field, entry.into());
}

fn transformers(world: &mut World<'_>, scope: &mut Scope) {
    world.note("transformers");
    let Some(plugin) = transformer(world, scope) else { return };
    plugin_file(world, scope, "transformers", &plugin);
}

fn validators(world: &mut World<'_>, scope: &mut Scope) {
    world.note("validators");
    let plugin = match world.random.below(5) {
        0 | 3 => {
            json!({"apiVersion": "builtin", "kind": "AnnotationsTransformer", "metadata": {"name": "v"}, "annotations": {}})
        }
        1 | 4 => {
            json!({"apiVersion": "builtin", "kind": "ImageTagTransformer", "metadata": {"name": "v"}, "imageTag": {"name": "nothing", "newTag": "1"}})
        }
        _ => match transformer(world, scope) {
            Some(plugin) => plugin,
            None => return,
        },
    };
    plugin_file(world, scope, "validators", &plugin);
}

fn transformer(world: &mut World<'_>, scope: &mut Scope) -> Option<Value> {
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
    world.note(kind);
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
    Some(plugin)
}

fn generators(world: &mut World<'_>, scope: &mut Scope) {
    world.note("generators");
    let mut plugin = json!({"apiVersion": "builtin", "metadata": {"name": format!("made{}", world.files.len())}});
    if world.random.percent(50) {
        plugin["kind"] = "ConfigMapGenerator".into();
    } else {
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
