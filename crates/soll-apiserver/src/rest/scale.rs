//! The `scale` subresource: the number of replicas, whatever the kind.

use soll_yaml::{Map, Value};

use super::{Context, write};
use crate::meta;
use crate::refusal::Refusal;
use crate::resources::Resource;

/// Where the parts of a scale stand in an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Paths {
    pub(crate) spec_replicas: Vec<String>,
    pub(crate) status_replicas: Vec<String>,
    /// Path of the selector as text; none if the kind has none.
    pub(crate) selector: Option<Vec<String>>,
}

impl Paths {
    /// Reads `.spec.replicas` and the like.
    pub(crate) fn parse(path: &str) -> Vec<String> {
        path.split('.').filter(|key| !key.is_empty()).map(str::to_owned).collect()
    }
}

/// The scale of an object.
pub(crate) fn of(resource: &Resource, object: &Value) -> Result<Value, Refusal> {
    let custom = resource.custom.as_ref().and_then(|custom| custom.scale.as_ref());
    let number = |path: &[String]| {
        let keys: Vec<&str> = path.iter().map(String::as_str).collect();
        object.lookup(&keys).and_then(Value::as_i64)
    };
    let (spec, status, selector) = match custom {
        Some(paths) => {
            let selector = paths.selector.as_ref().and_then(|path| {
                let keys: Vec<&str> = path.iter().map(String::as_str).collect();
                object.lookup_str(&keys).map(str::to_owned)
            });
            (number(&paths.spec_replicas), number(&paths.status_replicas), selector)
        }
        None => {
            let replicas = |part: &str| object.lookup(&[part, "replicas"]).and_then(Value::as_i64);
            (replicas("spec"), replicas("status"), object.lookup(&["spec", "selector"]).map(selector_text))
        }
    };
    let mut metadata = Map::new();
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object.lookup(&["metadata", field]) {
            metadata.insert(field, value.clone());
        }
    }
    let mut status = Map::from_iter([("replicas", Value::from(status.unwrap_or(0)))]);
    if let Some(selector) = selector {
        status.insert("selector", Value::from(selector));
    }
    let spec = spec.filter(|replicas| *replicas != 0);
    let spec = spec.map_or_else(Map::new, |replicas| Map::from_iter([("replicas", Value::from(replicas))]));
    Ok(Map::from_iter([
        ("kind", Value::str("Scale")),
        ("apiVersion", Value::str("autoscaling/v1")),
        ("metadata", metadata.into()),
        ("spec", spec.into()),
        ("status", status.into()),
    ])
    .into())
}

/// What an apply configuration of a scale is for the object: its replicas.
pub(crate) fn applied(resource: &Resource, config: &Value) -> Result<Value, Refusal> {
    let text = |field: &str| config.lookup_str(&[field]).unwrap_or_default();
    if (text("apiVersion"), text("kind")) != ("autoscaling/v1", "Scale") {
        let (version, kind) = (text("apiVersion"), text("kind"));
        return Err(Refusal::bad_request(format!("invalid object type: {version}, Kind={kind}")));
    }
    let mut parent = Map::from_iter([
        ("apiVersion", Value::from(resource.api_version())),
        ("kind", Value::str(&resource.kind)),
        ("metadata", config.get("metadata").cloned().unwrap_or_else(Value::map)),
    ])
    .into();
    if config.lookup(&["spec", "replicas"]).is_some() {
        parent = set(resource, &parent, config)?;
    }
    Ok(parent)
}

/// The object with the replicas of `scale`.
pub(crate) fn set(resource: &Resource, object: &Value, scale: &Value) -> Result<Value, Refusal> {
    let replicas = scale.lookup(&["spec", "replicas"]).and_then(Value::as_i64).unwrap_or(0);
    if replicas < 0 {
        let cause = crate::refusal::Cause::invalid(
            "spec.replicas",
            &replicas.to_string(),
            "must be greater than or equal to 0",
        );
        return Err(Refusal::invalid("autoscaling", "Scale", meta::text(object, "name"), vec![cause]));
    }
    let default = ["spec".to_owned(), "replicas".to_owned()];
    let custom = resource.custom.as_ref().and_then(|custom| custom.scale.as_ref());
    let path = custom.map_or(&default[..], |paths| &paths.spec_replicas);
    let mut next = object.clone();
    if let Some((last, parents)) = path.split_last() {
        let mut place = next.make_map();
        for key in parents {
            place = place.get_or_insert_with(key, Value::map).make_map();
        }
        place.insert(last.as_str(), Value::from(replicas));
    }
    let version = meta::text(scale, "resourceVersion");
    if !version.is_empty() {
        meta::set_text(&mut next, "resourceVersion", version);
    }
    Ok(next)
}

/// Answers a PUT: stores the replicas and returns the object.
pub(crate) fn replace(ctx: &Context<'_>, scale: &Value) -> Result<Value, Refusal> {
    let resource = &ctx.target.resource;
    write::retry(resource, &ctx.target.name, || {
        let live = ctx.live()?;
        let next = set(resource, &live.value, scale)?;
        write::update(ctx, &live, next, write::Tracking::Due)
    })
}

/// A label selector object as the text that list requests take.
fn selector_text(selector: &Value) -> String {
    let labels = selector.get("matchLabels").unwrap_or(selector).as_map();
    let mut terms: Vec<String> = Vec::new();
    for entry in labels.into_iter().flatten() {
        if let Some(value) = entry.value.as_str() {
            terms.push(format!("{}={value}", entry.key));
        }
    }
    for item in selector.get("matchExpressions").and_then(Value::as_list).unwrap_or_default() {
        let key = item.lookup_str(&["key"]).unwrap_or_default();
        let values = item.get("values").and_then(Value::as_list).unwrap_or_default();
        let values: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
        terms.push(match item.lookup_str(&["operator"]).unwrap_or_default() {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        });
    }
    terms.sort();
    terms.join(",")
}
