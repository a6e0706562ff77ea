//! A chart as a release record keeps it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use soll_yaml::{Map, Value};

use crate::{Chart, ChartFile, Dependency, Metadata};

/// What Go writes of a time that was never set.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// The chart without those that it depends on, which Helm does not keep either.
pub(super) fn chart_record(chart: &Chart) -> Value {
    let files = |files: &[ChartFile]| Value::list(files.iter().map(file).collect());
    let bytes = |bytes: &Arc<[u8]>| Value::from(STANDARD.encode(bytes));
    Map::from_iter([
        ("metadata", metadata(&chart.metadata)),
        ("lock", chart.lock.as_ref().map(lock).unwrap_or_default()),
        ("templates", files(&chart.templates)),
        ("values", chart.values.clone()),
        ("schema", chart.schema.as_ref().map(bytes).unwrap_or_default()),
        ("schemamodtime", Value::from(NO_TIME)),
        ("files", files(&chart.files)),
    ])
    .into()
}

/// `Chart.lock` as Helm's structure has it.
fn lock(lock: &Value) -> Value {
    let text = |name, nothing| Value::from(lock.lookup_str(&[name]).unwrap_or(nothing));
    let dependencies = lock.get("dependencies").and_then(Value::as_list).map(|dependencies| {
        Value::list(
            dependencies.iter().filter_map(|one| Dependency::read(one).ok()).map(|one| dependency(&one)).collect(),
        )
    });
    Map::from_iter([
        ("generated", text("generated", NO_TIME)),
        ("digest", text("digest", "")),
        ("dependencies", dependencies.unwrap_or_default()),
    ])
    .into()
}

fn file(file: &ChartFile) -> Value {
    Map::from_iter([("name", Value::from(&*file.name)), ("data", Value::from(STANDARD.encode(&file.data)))]).into()
}

/// `Chart.yaml` as JSON; what says nothing is left out.
pub(super) fn metadata(metadata: &Metadata) -> Value {
    let mut map = Map::new();
    let texts = |texts: &[String]| texts.iter().map(|text| Value::from(text.as_str())).collect::<Vec<_>>();
    put(&mut map, "name", &metadata.name);
    put(&mut map, "home", &metadata.home);
    put_list(&mut map, "sources", texts(&metadata.sources));
    put(&mut map, "version", &metadata.version);
    put(&mut map, "description", &metadata.description);
    put_list(&mut map, "keywords", texts(&metadata.keywords));
    let maintainers = metadata.maintainers.iter().map(|maintainer| {
        let mut map = Map::new();
        put(&mut map, "name", &maintainer.name);
        put(&mut map, "email", &maintainer.email);
        put(&mut map, "url", &maintainer.url);
        map.into()
    });
    put_list(&mut map, "maintainers", maintainers.collect());
    put(&mut map, "icon", &metadata.icon);
    put(&mut map, "apiVersion", &metadata.api_version);
    put(&mut map, "condition", &metadata.condition);
    put(&mut map, "tags", &metadata.tags);
    put(&mut map, "appVersion", &metadata.app_version);
    if metadata.deprecated {
        map.insert("deprecated", Value::from(true));
    }
    if !metadata.annotations.is_empty() {
        let annotations = metadata.annotations.iter().map(|(key, text)| (key.as_str(), Value::from(text.as_str())));
        map.insert("annotations", annotations.collect::<Map>().into());
    }
    put(&mut map, "kubeVersion", &metadata.kube_version);
    put_list(&mut map, "dependencies", metadata.dependencies.iter().map(dependency).collect());
    put(&mut map, "type", &metadata.kind);
    map.into()
}

fn dependency(dependency: &Dependency) -> Value {
    let mut map = Map::new();
    map.insert("name", Value::from(dependency.name.as_str()));
    put(&mut map, "version", &dependency.version);
    map.insert("repository", Value::from(dependency.repository.as_str()));
    put(&mut map, "condition", &dependency.condition);
    put_list(&mut map, "tags", dependency.tags.iter().map(|tag| Value::from(tag.as_str())).collect());
    if dependency.enabled {
        map.insert("enabled", Value::from(true));
    }
    put_list(&mut map, "import-values", dependency.import_values.clone());
    put(&mut map, "alias", &dependency.alias);
    map.into()
}

fn put(map: &mut Map, key: &str, text: &str) {
    if !text.is_empty() {
        map.insert(key, Value::from(text));
    }
}

fn put_list(map: &mut Map, key: &str, items: Vec<Value>) {
    if !items.is_empty() {
        map.insert(key, Value::list(items));
    }
}
