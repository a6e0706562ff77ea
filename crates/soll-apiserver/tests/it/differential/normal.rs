//! What differs from run to run, replaced by what it stands for.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::{Map, Value as Json};

use super::side::Seen;

/// Brings what a script saw on one server into the form in which it is compared.
pub(super) struct Normaliser {
    /// The text of the script: what it names is compared as it is.
    script: String,
    /// Whether controllers are at work, which write conditions in the order in which they come about.
    controllers: bool,
    /// The revisions of objects, in order.
    versions: BTreeSet<u64>,
    uids: HashMap<String, usize>,
    addresses: HashMap<String, usize>,
    ports: HashMap<u64, usize>,
    /// Names that the server made up, and what stands for them.
    generated: BTreeMap<String, String>,
}

macro_rules! pattern {
    ($name:ident, $text:literal) => {
        static $name: LazyLock<Regex> = LazyLock::new(|| Regex::new($text).expect("a valid pattern"));
    };
}
pattern!(UID, r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}");
pattern!(TIME, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$");
pattern!(MICRO_TIME, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$");
pattern!(ADDRESS, r"\b10\.(?:96|0|244)\.\d+\.\d+\b");
pattern!(REVISION, r"(resource version: )\d+(?:(, current: )\d+| \(\d+\))?");
pattern!(RECORD, r"(ResourceVersion in record) \(\d+\)");
pattern!(AGE, r"^(?:\d+[dhms])+$");
// Names that end in the hash of a template, which is no part of the contract.
pattern!(HASHED, r#"([a-z0-9])-[0-9bcdfghjklmnpqrstvwxz]{5,10}($|")"#);
// Jobs of CronJobs are named by the minute.
pattern!(MINUTE, r"-[23]\d{7}\b");
// Whole structs are quoted in Go's words, which change from release to release.
pattern!(QUOTED, r#"(?s)Invalid value: (?:"?(?:map)?[\{\[]|v\d|[a-z]+\.[A-Z]).*[\}\]]"?: "#);
// So are changes.
pattern!(CHANGE, r"(?s)(Forbidden: .*?)\n.*");
pattern!(TWICE, r"(duplicate nodePort: \{\w+ )(\d+)");
pattern!(SEVERAL, r"(?s)(is invalid: )\[.*\]$");

/// What a token says, with its times from when it was issued on.
fn claims(text: &str) -> Option<Json> {
    use base64::Engine as _;
    let [_, claims, _] = text.split('.').collect::<Vec<_>>()[..] else { return None };
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).ok()?;
    let mut claims: Json = serde_json::from_slice(&claims).ok()?;
    let issued = claims["iat"].as_i64()?;
    for field in ["exp", "nbf", "iat"] {
        claims[field] = (claims[field].as_i64()? - issued).into();
    }
    if let Some(after) = claims["kubernetes.io"]["warnafter"].as_i64() {
        claims["kubernetes.io"]["warnafter"] = (after - issued).into();
    }
    Some(claims)
}

/// The annotation that tells when a slice last had to change: that is told if the change was not seen with another.
const TRIGGER: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// Annotations, or their owners, without what tells of the trigger; nothing if that is all.
fn without_trigger(key: &str, value: &Json) -> Option<Json> {
    let of_trigger = |key: &str| key.trim_start_matches("f:") == TRIGGER;
    match value {
        Json::Object(map)
            if matches!(key, "annotations" | "f:annotations") && map.keys().any(|key| of_trigger(key)) =>
        {
            let kept: Map<String, Json> = map
                .iter()
                .filter(|(key, _)| !of_trigger(key))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            let is_all = kept.keys().all(|key| key == ".");
            (!is_all).then(|| kept.into())
        }
        value => Some(value.clone()),
    }
}

/// A value as text, without addresses and uids and whatever the order of lists.
fn anonymous(value: &Json) -> String {
    match value {
        Json::String(text) => ADDRESS.replace_all(&UID.replace_all(text, ""), "").into_owned(),
        Json::Array(items) => {
            let mut texts: Vec<String> = items.iter().map(anonymous).collect();
            texts.sort();
            texts.join(",")
        }
        Json::Object(map) => map.iter().map(|(key, value)| format!("{key}:{} ", anonymous(value))).collect(),
        other => other.to_string(),
    }
}

impl Normaliser {
    pub(super) fn new(script: String, controllers: bool, seen: &[Seen]) -> Self {
        let mut normaliser = Self {
            script,
            controllers,
            versions: BTreeSet::new(),
            uids: HashMap::new(),
            addresses: HashMap::new(),
            ports: HashMap::new(),
            generated: BTreeMap::new(),
        };
        for one in seen {
            normaliser.learn(&one.body);
            one.events.iter().for_each(|event| normaliser.learn(event));
        }
        normaliser
    }

    /// Notes the revisions and generated names of objects.
    fn learn(&mut self, value: &Json) {
        match value {
            Json::Array(items) => items.iter().for_each(|item| self.learn(item)),
            Json::Object(map) => {
                if let Some(metadata) = map.get("metadata").filter(|metadata| !metadata["name"].is_null()) {
                    if let Some(version) = metadata["resourceVersion"].as_str().and_then(|text| text.parse().ok()) {
                        self.versions.insert(version);
                    }
                    if let (Some(base), Some(name)) = (metadata["generateName"].as_str(), metadata["name"].as_str())
                        && name.starts_with(base)
                        && name != base
                        && !self.generated.contains_key(name)
                    {
                        let stands = format!("{base}<{} letters, {}>", name.len() - base.len(), self.generated.len());
                        self.generated.insert(name.to_owned(), stands);
                    }
                }
                map.values().for_each(|value| self.learn(value));
            }
            _ => {}
        }
    }

    /// What one step saw, as JSON.
    pub(super) fn shown(&mut self, seen: &Seen) -> Json {
        let headers: Map<String, Json> =
            seen.headers.iter().map(|(name, values)| ((*name).to_owned(), values.clone().into())).collect();
        let mut shown = serde_json::json!({"code": seen.code, "headers": headers});
        if !seen.body.is_null() {
            shown["body"] = self.value("", &seen.body);
        }
        if !seen.events.is_empty() {
            shown["events"] = seen.events.iter().map(|event| self.value("", event)).collect();
        }
        shown
    }

    fn value(&mut self, key: &str, value: &Json) -> Json {
        match value {
            Json::String(text) => self.text(key, text).into(),
            Json::Number(number) if matches!(key, "nodePort" | "healthCheckNodePort") => self.port(number),
            Json::Array(items) if key == "cells" => items.iter().map(|item| self.cell(item)).collect(),
            Json::Array(items) if key == "causes" => {
                let mut causes: Vec<Json> = items.iter().map(|item| self.value("cause", item)).collect();
                // A set: conflicts come in no order, and what two checks find is told twice.
                causes.sort_by_cached_key(Json::to_string);
                causes.dedup();
                causes.into()
            }
            Json::Array(items) if key == "conditions" && self.controllers => {
                let mut conditions: Vec<Json> = items.iter().map(|item| self.value("", item)).collect();
                conditions.sort_by_cached_key(|condition| condition["type"].to_string());
                conditions.into()
            }
            Json::Array(items) if key == "managedFields" => {
                // Ordered by their times, which may fall into one second or into two.
                let mut managers: Vec<Json> = items.iter().map(|item| self.value("", item)).collect();
                managers.sort_by_cached_key(|entry| {
                    ["operation", "manager", "apiVersion", "subresource"].map(|field| entry[field].to_string())
                });
                managers.into()
            }
            Json::Array(items) => items.iter().map(|item| self.value("", item)).collect(),
            Json::Object(map) => self.map(map),
            other => other.clone(),
        }
    }

    fn map(&mut self, map: &Map<String, Json>) -> Json {
        // In the order of their keys, so that uids are met in the same order on both servers.
        let sorted: BTreeMap<&String, Json> =
            map.iter().filter_map(|(key, value)| Some((key, without_trigger(key, value)?))).collect();
        let is_object = !map.get("name").unwrap_or(&Json::Null).is_null();
        let has_addresses =
            ["addressType", "addresses", "notReadyAddresses"].iter().any(|field| map.contains_key(*field));
        let mut shown = Map::new();
        for (key, value) in &sorted {
            let value = match (key.as_str(), value) {
                // In an order that follows from hashes, or from none.
                ("subsets" | "endpoints" | "addresses" | "notReadyAddresses", Json::Array(items))
                    if self.controllers =>
                {
                    self.set(items)
                }
                ("ports", Json::Array(items)) if self.controllers && has_addresses => self.set(items),
                // How often a slice was written depends on how much was seen at once.
                ("metadata", metadata) if self.controllers && map.contains_key("addressType") => {
                    let mut metadata = self.value("metadata", metadata);
                    metadata["generation"] = "<some>".into();
                    metadata
                }
                ("resourceVersion", Json::String(text)) => self.version(text, is_object),
                ("fieldsV1", fields) => self.fields(fields),
                (key, value) => self.value(key, value),
            };
            shown.insert(self.names(key), value);
        }
        shown.into()
    }

    /// Items that come in no order of their own.
    fn set(&mut self, items: &[Json]) -> Json {
        let mut items: Vec<&Json> = items.iter().collect();
        // By what is the same on both servers; what is met first has the first number.
        items.sort_by_cached_key(|item| anonymous(item));
        items.into_iter().map(|item| self.value("", item)).collect()
    }

    /// Names of fields are what they are, but owners are known by their uids.
    fn fields(&mut self, fields: &Json) -> Json {
        let Json::Object(map) = fields else { return fields.clone() };
        let mut named = |(key, below): (&String, &Json)| (self.names(key), self.fields(below));
        let told = map.iter().filter_map(|(key, below)| Some((key, without_trigger(key, below)?)));
        told.map(|(key, below)| named((key, &below))).collect::<Map<String, Json>>().into()
    }

    fn version(&self, text: &str, is_object: bool) -> Json {
        match text.parse::<u64>() {
            Ok(0) | Err(_) => text.into(),
            // The same revision may have been asked for by a list, or belong to something else in the cluster.
            Ok(number) if is_object => format!("@{}", self.versions.range(..=number).count()).into(),
            Ok(number) => format!("@{} or later", self.versions.range(..=number).count()).into(),
        }
    }

    fn port(&mut self, number: &serde_json::Number) -> Json {
        let Some(port) = number.as_u64().filter(|port| (30_000..32_768).contains(port)) else {
            return number.clone().into();
        };
        if self.script.contains(&port.to_string()) {
            return port.into();
        }
        let next = self.ports.len();
        format!("<port {}>", self.ports.entry(port).or_insert(next)).into()
    }

    fn cell(&mut self, cell: &Json) -> Json {
        match cell {
            Json::String(text) if AGE.is_match(text) => "<age>".into(),
            Json::String(text) => self.text("cell", text).into(),
            other => other.clone(),
        }
    }

    fn text(&mut self, key: &str, text: &str) -> String {
        if TIME.is_match(text) && !self.script.contains(text) {
            return "<time>".to_owned();
        }
        if MICRO_TIME.is_match(text) && !self.script.contains(text) {
            return "<time to the microsecond>".to_owned();
        }
        // Only the server that wrote it reads it.
        if key == "continue" && !text.is_empty() {
            return "<continue>".to_owned();
        }
        if let Some(claims) = claims(text) {
            return format!("<token that says {}>", self.value("", &claims));
        }
        let mut text = self.names(text);
        if self.controllers && text.contains('-') {
            text = MINUTE.replace_all(&text, "-<minute>").into_owned();
        }
        if self.controllers && matches!(key, "message" | "currentRevision" | "updateRevision") {
            text = HASHED.replace_all(&text, "$1-<hash>$2").into_owned();
        }
        if key == "message" {
            // An empty map is written as null or as itself, as it came about.
            text = text.replace("Invalid value: null: ", "Invalid value: {}: ");
            text = QUOTED.replace_all(&text, "Invalid value: <quoted>: ").into_owned();
            text = CHANGE.replace(&text, "$1").into_owned();
            text = SEVERAL.replace(&text, "$1<causes>").into_owned();
            let port = TWICE.captures(&text).and_then(|found| found[2].parse::<u64>().ok());
            if let Some(port) = port {
                let shown = self.port(&port.into());
                let shown = shown.as_str().map_or_else(|| port.to_string(), str::to_owned);
                text = TWICE.replace(&text, |found: &Captures<'_>| format!("{}{shown}", &found[1])).into_owned();
            }
            text = RECORD.replace_all(&text, "$1 (<revision>)").into_owned();
            text = REVISION.replace_all(&text, "$1<revision>$2").into_owned();
        }
        text
    }

    /// Replaces names that servers make up.
    fn names(&mut self, text: &str) -> String {
        let mut shown = text.to_owned();
        for (name, stands) in &self.generated {
            if shown.contains(name.as_str()) {
                shown = shown.replace(name.as_str(), stands);
            }
        }
        let Self { script, uids, addresses, .. } = self;
        let number = |known: &mut HashMap<String, usize>, what: &str, found: &str| {
            if script.contains(found) {
                return found.to_owned();
            }
            let next = known.len();
            format!("<{what} {}>", known.entry(found.to_owned()).or_insert(next))
        };
        if shown.contains('-') {
            shown = UID.replace_all(&shown, |found: &Captures<'_>| number(uids, "uid", &found[0])).into_owned();
        }
        if shown.contains("10.") {
            let replaced = ADDRESS.replace_all(&shown, |found: &Captures<'_>| number(addresses, "address", &found[0]));
            shown = replaced.into_owned();
        }
        shown
    }
}

/// Where two values differ: paths and what stands there.
pub(super) fn differences(expected: &Json, found: &Json) -> Vec<(String, Json, Json)> {
    let mut all = Vec::new();
    compare(String::new(), expected, found, &mut all);
    all
}

fn compare(path: String, expected: &Json, found: &Json, all: &mut Vec<(String, Json, Json)>) {
    match (expected, found) {
        (Json::Object(one), Json::Object(other)) => {
            let keys: BTreeSet<_> = one.keys().chain(other.keys()).collect();
            for key in keys {
                let (one, other) = (one.get(key), other.get(key));
                let missing = Json::from("<nothing>");
                if one != other {
                    compare(format!("{path}.{key}"), one.unwrap_or(&missing), other.unwrap_or(&missing), all);
                }
            }
        }
        (Json::Array(one), Json::Array(other)) if one.len() == other.len() => {
            for (index, (one, other)) in one.iter().zip(other).enumerate() {
                if one != other {
                    compare(format!("{path}[{index}]"), one, other, all);
                }
            }
        }
        _ if expected != found => all.push((path, expected.clone(), found.clone())),
        _ => {}
    }
}
