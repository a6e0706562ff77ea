//! What each chart's templates see: `.Values`, `.Chart`, `.Release`, `.Capabilities`, `.Files`, `.Subcharts`.

use std::rc::Rc;

use soll_template::{Kind, List, Map, MapType, Object, Param, Value, WholeNumbers};
use soll_yaml::Str;

use super::ReleaseOptions;
use super::files::Files;
use crate::{Capabilities, Chart, HELM_VERSION, KUBE_CLIENT_VERSION, KubeVersion, Metadata};

/// What the templates of one chart see.
pub(super) struct Scope {
    /// The chart's path from the root: `root/charts/child`.
    pub(super) chart: String,
    /// `.`
    pub(super) data: Map,
}

/// The scopes of a chart and of all that it depends on.
///
/// A child's `.Values` is the very map that the parent sees as `.Values.child`, so that what a template sets in one is
/// seen in the other, as with Helm.
pub(super) fn scopes(
    chart: &Chart,
    values: &soll_yaml::Value,
    release: &ReleaseOptions,
    capabilities: &Capabilities,
) -> Vec<Scope> {
    let values = match Value::from_yaml(values, WholeNumbers::Int64) {
        Value::Map(map) => Map::with(MapType::Values, map.entries().clone()),
        _ => Map::of(MapType::Values),
    };
    let shared = Shared {
        release: Value::Map(release_map(release)),
        capabilities: Value::Object(Rc::new(CapabilitiesObject::new(capabilities))),
    };
    let mut scopes = Vec::new();
    shared.collect(chart, chart.name().to_owned(), &values, true, &mut scopes);
    scopes
}

struct Shared {
    release: Value,
    capabilities: Value,
}

impl Shared {
    fn collect(&self, chart: &Chart, path: String, values: &Map, is_root: bool, scopes: &mut Vec<Scope>) -> Map {
        let data = Map::new();
        let about = metadata_map(&chart.metadata);
        about.insert("IsRoot", Value::Bool(is_root));
        let subcharts = Map::new();
        data.insert("Chart", Value::Map(about));
        data.insert("Files", Value::Object(Rc::new(Files::new(chart.files.clone()))));
        data.insert("Release", self.release.clone());
        data.insert("Capabilities", self.capabilities.clone());
        data.insert("Values", Value::Map(values.clone()));
        data.insert("Subcharts", Value::Map(subcharts.clone()));
        for child in &chart.dependencies {
            let own = match values.get(child.name()) {
                Some(Value::Map(own)) => own.as_values(),
                _ => Map::of(MapType::Values),
            };
            let path = format!("{path}/charts/{}", child.name());
            subcharts.insert(child.name(), Value::Map(self.collect(child, path, &own, false, scopes)));
        }
        scopes.push(Scope { chart: path, data: data.clone() });
        data
    }
}

fn release_map(release: &ReleaseOptions) -> Map {
    Map::from_iter([
        ("Name", Value::text(&release.name)),
        ("Namespace", Value::text(&release.namespace)),
        ("IsUpgrade", Value::Bool(release.is_upgrade)),
        ("IsInstall", Value::Bool(!release.is_upgrade)),
        ("Revision", Value::Int(release.revision)),
        ("Service", Value::text("Helm")),
    ])
}

/// `Chart.yaml` under the names that Go has for its fields.
fn metadata_map(metadata: &Metadata) -> Map {
    let text = |text: &String| Value::text(text);
    let texts = |texts: &[String]| list(texts.iter().map(text));
    let maintainers = metadata.maintainers.iter().map(|maintainer| {
        let fields = [("Name", &maintainer.name), ("Email", &maintainer.email), ("URL", &maintainer.url)];
        Value::Map(fields.map(|(key, value)| (key, text(value))).into_iter().collect())
    });
    let dependencies = metadata.dependencies.iter().map(|dependency| {
        let imports = dependency.import_values.iter().map(|import| Value::from_yaml(import, WholeNumbers::Float64));
        Value::Map(Map::from_iter([
            ("Name", text(&dependency.name)),
            ("Version", text(&dependency.version)),
            ("Repository", text(&dependency.repository)),
            ("Condition", text(&dependency.condition)),
            ("Tags", texts(&dependency.tags)),
            ("Enabled", Value::Bool(dependency.enabled)),
            ("ImportValues", list(imports)),
            ("Alias", text(&dependency.alias)),
        ]))
    });
    let annotations = Map::of(MapType::Str);
    for (key, value) in &metadata.annotations {
        annotations.insert(key.as_str(), text(value));
    }
    Map::from_iter([
        ("Name", text(&metadata.name)),
        ("Home", text(&metadata.home)),
        ("Sources", texts(&metadata.sources)),
        ("Version", text(&metadata.version)),
        ("Description", text(&metadata.description)),
        ("Keywords", texts(&metadata.keywords)),
        ("Maintainers", list(maintainers)),
        ("Icon", text(&metadata.icon)),
        ("APIVersion", text(&metadata.api_version)),
        ("Condition", text(&metadata.condition)),
        ("Tags", text(&metadata.tags)),
        ("AppVersion", text(&metadata.app_version)),
        ("Deprecated", Value::Bool(metadata.deprecated)),
        ("Annotations", Value::Map(annotations)),
        ("KubeVersion", text(&metadata.kube_version)),
        ("Dependencies", list(dependencies)),
        ("Type", text(&metadata.kind)),
    ])
}

fn list(items: impl IntoIterator<Item = Value>) -> Value {
    Value::List(List::new(items.into_iter().collect()))
}

/// `.Capabilities`.
struct CapabilitiesObject {
    kube_version: Value,
    api_versions: Value,
    helm_version: Value,
}

impl CapabilitiesObject {
    fn new(capabilities: &Capabilities) -> Self {
        let api_versions = List::of_texts(capabilities.api_versions.iter().map(String::as_str));
        let struct_of = |type_name, fields: Vec<(&'static str, &'static str, Value)>| {
            Value::Object(Rc::new(Struct { type_name, fields, string: None }))
        };
        Self {
            kube_version: Value::Object(Rc::new(Struct::kube_version(&capabilities.kube_version))),
            api_versions: Value::Object(Rc::new(VersionSet(api_versions))),
            helm_version: struct_of(
                "version.BuildInfo",
                vec![
                    ("Version", "version", Value::text(HELM_VERSION)),
                    ("GitCommit", "git_commit", Value::text("")),
                    ("GitTreeState", "git_tree_state", Value::text("")),
                    ("GoVersion", "go_version", Value::text("go1.26.8")),
                    ("KubeClientVersion", "kube_client_version", Value::text(KUBE_CLIENT_VERSION)),
                ],
            ),
        }
    }
}

impl Object for CapabilitiesObject {
    fn type_name(&self) -> &str {
        "*common.Capabilities"
    }

    fn kind(&self) -> Kind {
        Kind::Ptr
    }

    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "KubeVersion" => Some(self.kube_version.clone()),
            "APIVersions" => Some(self.api_versions.clone()),
            "HelmVersion" => Some(self.helm_version.clone()),
            _ => None,
        }
    }

    fn contents(&self) -> Value {
        Value::Map(self.fields().into_iter().collect())
    }

    fn json_fields(&self) -> Option<Vec<(Str, Value)>> {
        Some(self.fields())
    }

    fn fields(&self) -> Vec<(Str, Value)> {
        vec![
            ("KubeVersion".into(), self.kube_version.clone()),
            ("APIVersions".into(), self.api_versions.clone()),
            ("HelmVersion".into(), self.helm_version.clone()),
        ]
    }
}

/// A struct of Go: per field its name, what JSON calls it, and what it holds.
struct Struct {
    type_name: &'static str,
    fields: Vec<(&'static str, &'static str, Value)>,
    string: Option<(String, String)>,
}

impl Struct {
    /// Printed without what vendors add; `GitVersion` is what Helm 2 called the whole.
    fn kube_version(version: &KubeVersion) -> Self {
        let fields = vec![
            ("Version", "Version", Value::text(&version.version)),
            ("Major", "Major", Value::text(&version.major)),
            ("Minor", "Minor", Value::text(&version.minor)),
        ];
        let string = Some((version.normalized.clone(), version.version.clone()));
        Self { type_name: "common.KubeVersion", fields, string }
    }
}

impl Object for Struct {
    fn type_name(&self) -> &str {
        self.type_name
    }

    fn kind(&self) -> Kind {
        Kind::Struct
    }

    fn field(&self, name: &str) -> Option<Value> {
        self.fields.iter().find(|(own, ..)| *own == name).map(|(.., value)| value.clone())
    }

    fn method(&self, name: &str) -> Option<&'static [Param]> {
        (self.string.is_some() && matches!(name, "String" | "GitVersion")).then_some(&[])
    }

    fn call(&self, name: &str, _: &[Value]) -> Result<Value, String> {
        match (&self.string, name) {
            (Some((string, _)), "String") => Ok(Value::text(string)),
            (Some((_, whole)), "GitVersion") => Ok(Value::text(whole)),
            _ => Err(format!("{} has no method {name}", self.type_name)),
        }
    }

    fn contents(&self) -> Value {
        Value::Map(self.json_fields().into_iter().flatten().collect())
    }

    fn json_fields(&self) -> Option<Vec<(Str, Value)>> {
        // What JSON leaves out when it says nothing.
        let is_shown = |json: &str, value: &Value| {
            self.string.is_some() || json == "kube_client_version" || value.as_str() != Some("")
        };
        let shown = self.fields.iter().filter(|(_, json, value)| is_shown(json, value));
        Some(shown.map(|(_, json, value)| (Str::from(*json), value.clone())).collect())
    }

    fn fields(&self) -> Vec<(Str, Value)> {
        self.fields.iter().map(|(name, _, value)| (Str::from(*name), value.clone())).collect()
    }

    fn string(&self) -> Option<String> {
        self.string.as_ref().map(|(string, _)| string.clone())
    }
}

/// `.Capabilities.APIVersions`.
struct VersionSet(List);

impl Object for VersionSet {
    fn type_name(&self) -> &str {
        "common.VersionSet"
    }

    fn kind(&self) -> Kind {
        Kind::Slice
    }

    fn method(&self, name: &str) -> Option<&'static [Param]> {
        (name == "Has").then_some(&[Param::Str])
    }

    fn call(&self, _: &str, arguments: &[Value]) -> Result<Value, String> {
        let wanted = arguments.first().and_then(Value::as_str).unwrap_or_default();
        Ok(Value::Bool(self.0.items().iter().any(|known| known.as_str() == Some(wanted))))
    }

    fn contents(&self) -> Value {
        Value::List(self.0.clone())
    }
}
