//! One revision of a release.

use std::collections::BTreeMap;

use jiff::Timestamp;
use soll_yaml::{Data, Map, Value};

use super::chart_record::chart_record;
use crate::{Chart, Hook, HookEvent};

/// One revision of a release, as its record has it.
///
/// What a record holds beyond these fields is kept when it is read and written again, so that a newer helm loses
/// nothing.
#[derive(Clone, PartialEq)]
pub struct Release {
    /// Name.
    pub name: String,
    /// Namespace of what it installs.
    pub namespace: String,
    /// Revision, from 1.
    pub version: i64,
    /// When and how it went.
    pub info: Info,
    /// The chart, as the record has it: `metadata`, `templates`, `values`.
    pub chart: Value,
    /// What was set over the chart's values.
    pub config: Value,
    /// What it installs.
    pub manifest: String,
    /// What runs around its actions.
    pub hooks: Vec<HookRecord>,
    /// How its objects are applied; records of Helm 3 do not say.
    pub apply_method: Option<ApplyMethod>,
    /// Labels of the record besides Helm's own.
    pub labels: BTreeMap<String, String>,
    /// Fields that we do not know.
    pub(super) rest: Map,
}

/// When and how a revision went.
#[derive(Clone, PartialEq)]
pub struct Info {
    /// When the release was first installed.
    pub first_deployed: Option<Timestamp>,
    /// When this revision was made.
    pub last_deployed: Option<Timestamp>,
    /// When it was uninstalled.
    pub deleted: Option<Timestamp>,
    /// One sentence for people.
    pub description: String,
    /// The state.
    pub status: Status,
    /// The rendered `NOTES.txt`.
    pub notes: String,
    /// Fields that we do not know, `resources` among them.
    pub(super) rest: Map,
}

/// The state of a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// Nobody knows.
    Unknown,
    /// This is what runs.
    Deployed,
    /// Uninstalled, the record kept.
    Uninstalled,
    /// A later revision runs.
    Superseded,
    /// It did not work.
    Failed,
    /// Uninstalling is under way, or died on the way.
    Uninstalling,
    /// Installing is under way, or died on the way.
    PendingInstall,
    /// Upgrading is under way, or died on the way.
    PendingUpgrade,
    /// Rolling back is under way, or died on the way.
    PendingRollback,
}

/// How objects are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApplyMethod {
    /// By the API server.
    ServerSide,
    /// By patches that the client works out.
    ClientSide,
}

/// A hook with its last run.
#[derive(Debug, Clone, PartialEq)]
pub struct HookRecord {
    /// The hook.
    pub hook: Hook,
    /// Its last run.
    pub last_run: Execution,
}

/// A run of a hook.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Execution {
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// How it went; nothing if it never ran.
    pub phase: Option<Phase>,
}

/// How the run of a hook went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nobody knows.
    Unknown,
    /// It runs.
    Running,
    /// It worked.
    Succeeded,
    /// It did not.
    Failed,
}

macro_rules! texts {
    ($kind:ident { $($variant:ident = $text:literal),* $(,)? }) => {
        impl $kind {
            /// As records write it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            /// Reads what records write.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

texts!(Status {
    Unknown = "unknown",
    Deployed = "deployed",
    Uninstalled = "uninstalled",
    Superseded = "superseded",
    Failed = "failed",
    Uninstalling = "uninstalling",
    PendingInstall = "pending-install",
    PendingUpgrade = "pending-upgrade",
    PendingRollback = "pending-rollback",
});
texts!(ApplyMethod { ServerSide = "ssa", ClientSide = "csa" });
texts!(Phase { Unknown = "Unknown", Running = "Running", Succeeded = "Succeeded", Failed = "Failed" });

impl Status {
    /// Says whether an action is under way, or died on the way.
    #[must_use]
    pub fn is_pending(self) -> bool {
        matches!(self, Self::PendingInstall | Self::PendingUpgrade | Self::PendingRollback)
    }
}

impl std::fmt::Debug for Release {
    /// Prints neither values nor manifests, which may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}.v{} {:?}", self.namespace, self.name, self.version, self.info)
    }
}

impl std::fmt::Debug for Info {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.status.as_str(), self.description)
    }
}

impl Info {
    /// A state with nothing else known.
    #[must_use]
    pub fn new(status: Status) -> Self {
        Self {
            first_deployed: None,
            last_deployed: None,
            deleted: None,
            description: String::new(),
            status,
            notes: String::new(),
            rest: Map::new(),
        }
    }
}

impl Release {
    /// A revision of a chart. The manifest, the hooks and all else are the caller's to fill in.
    #[must_use]
    pub fn new(name: &str, namespace: &str, version: i64, status: Status, chart: &Chart, config: Value) -> Self {
        Self {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            version,
            info: Info::new(status),
            chart: chart_record(chart),
            config,
            manifest: String::new(),
            hooks: Vec::new(),
            apply_method: None,
            labels: BTreeMap::new(),
            rest: Map::new(),
        }
    }

    /// The JSON of the record, in Helm's order; what says nothing is left out.
    #[must_use]
    pub(super) fn to_value(&self) -> Value {
        let mut map = Map::new();
        put(&mut map, "name", self.name.as_str());
        map.insert("info", self.info.to_value());
        map.insert("chart", self.chart.clone());
        if self.config.as_map().is_some_and(|config| !config.is_empty()) {
            map.insert("config", self.config.clone());
        }
        put(&mut map, "manifest", self.manifest.as_str());
        if !self.hooks.is_empty() {
            map.insert("hooks", Value::list(self.hooks.iter().map(HookRecord::to_value).collect()));
        }
        map.insert("version", Value::from(self.version));
        put(&mut map, "namespace", self.namespace.as_str());
        if let Some(method) = self.apply_method {
            map.insert("apply_method", Value::from(method.as_str()));
        }
        extend(map, &self.rest).into()
    }

    /// Reads the JSON of a record.
    ///
    /// # Errors
    /// The field that is not what it should be.
    pub(super) fn from_value(value: &Value) -> Result<Self, String> {
        let mut fields = Fields::of(value, "the record")?;
        let hooks = match fields.take("hooks") {
            None => Vec::new(),
            Some(hooks) => {
                let hooks = hooks.as_list().ok_or("hooks is no list")?;
                hooks.iter().filter(|hook| !hook.is_null()).map(HookRecord::from_value).collect::<Result<_, _>>()?
            }
        };
        let apply_method = match fields.text("apply_method")?.as_str() {
            "" => None,
            text => Some(ApplyMethod::parse(text).ok_or_else(|| format!("apply_method {text:?} is unknown"))?),
        };
        Ok(Self {
            name: fields.text("name")?,
            namespace: fields.text("namespace")?,
            version: fields.take("version").and_then(|version| version.as_i64()).unwrap_or(0),
            info: Info::from_value(&fields.take("info").ok_or("it has no info")?)?,
            chart: fields.take("chart").unwrap_or_default(),
            config: fields.take("config").unwrap_or_else(Value::map),
            manifest: fields.text("manifest")?,
            hooks,
            apply_method,
            labels: BTreeMap::new(),
            rest: fields.rest,
        })
    }

    /// Name and version of the chart.
    #[must_use]
    pub fn chart_version(&self) -> Option<(&str, &str)> {
        Some((self.chart.lookup_str(&["metadata", "name"])?, self.chart.lookup_str(&["metadata", "version"])?))
    }
}

impl Info {
    fn to_value(&self) -> Value {
        let mut map = Map::new();
        for (key, time) in
            [("first_deployed", self.first_deployed), ("last_deployed", self.last_deployed), ("deleted", self.deleted)]
        {
            put_time(&mut map, key, time);
        }
        put(&mut map, "description", self.description.as_str());
        map.insert("status", Value::from(self.status.as_str()));
        put(&mut map, "notes", self.notes.as_str());
        extend(map, &self.rest).into()
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        let mut fields = Fields::of(value, "info")?;
        let status = fields.text("status")?;
        Ok(Self {
            first_deployed: fields.time("first_deployed")?,
            last_deployed: fields.time("last_deployed")?,
            deleted: fields.time("deleted")?,
            description: fields.text("description")?,
            status: Status::parse(&status).unwrap_or(Status::Unknown),
            notes: fields.text("notes")?,
            rest: fields.rest,
        })
    }
}

impl HookRecord {
    fn to_value(&self) -> Value {
        let Hook { name, kind, path, manifest, events, weight, delete_policies, output_log_policies } = &self.hook;
        let mut map = Map::new();
        put(&mut map, "name", name.as_str());
        put(&mut map, "kind", kind.as_str());
        put(&mut map, "path", path.as_str());
        put(&mut map, "manifest", manifest.as_str());
        put_texts(&mut map, "events", events.iter().map(|event| event.as_str()));
        map.insert("last_run", self.last_run.to_value());
        if *weight != 0 {
            map.insert("weight", Value::from(*weight));
        }
        put_texts(&mut map, "delete_policies", delete_policies.iter().map(String::as_str));
        put_texts(&mut map, "output_log_policies", output_log_policies.iter().map(String::as_str));
        map.into()
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        let mut fields = Fields::of(value, "a hook")?;
        let last_run = fields.take("last_run").map(|run| Execution::from_value(&run)).transpose()?.unwrap_or_default();
        // An event that we do not know never comes.
        let events = fields.texts("events")?.iter().filter_map(|event| HookEvent::parse(event)).collect();
        let hook = Hook {
            name: fields.text("name")?,
            kind: fields.text("kind")?,
            path: fields.text("path")?,
            manifest: fields.text("manifest")?,
            events,
            weight: fields.take("weight").and_then(|weight| weight.as_i64()).unwrap_or(0),
            delete_policies: fields.texts("delete_policies")?,
            output_log_policies: fields.texts("output_log_policies")?,
        };
        Ok(Self { hook, last_run })
    }
}

impl From<Hook> for HookRecord {
    fn from(hook: Hook) -> Self {
        Self { hook, last_run: Execution::default() }
    }
}

impl Execution {
    fn to_value(&self) -> Value {
        let mut map = Map::new();
        put_time(&mut map, "started_at", self.started_at);
        put_time(&mut map, "completed_at", self.completed_at);
        map.insert("phase", Value::from(self.phase.map_or("", Phase::as_str)));
        map.into()
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        let mut fields = Fields::of(value, "last_run")?;
        Ok(Self {
            started_at: fields.time("started_at")?,
            completed_at: fields.time("completed_at")?,
            phase: Phase::parse(&fields.text("phase")?),
        })
    }
}

/// Says whether Helm takes a text as the name of a release: up to 53 characters of labels that dots separate.
#[must_use]
pub fn is_release_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_label = |label: &str| {
        label.starts_with(is_plain) && label.ends_with(is_plain) && label.chars().all(|c| is_plain(c) || c == '-')
    };
    name.len() <= 53 && name.split('.').all(is_label)
}

/// Takes known fields out of a map, so that the unknown ones remain.
struct Fields {
    rest: Map,
}

impl Fields {
    fn of(value: &Value, what: &str) -> Result<Self, String> {
        match &value.data {
            Data::Map(map) => Ok(Self { rest: (**map).clone() }),
            _ => Err(format!("{what} is no object")),
        }
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        self.rest.remove(key).filter(|value| !value.is_null())
    }

    fn text(&mut self, key: &str) -> Result<String, String> {
        match self.take(key) {
            None => Ok(String::new()),
            Some(value) => value.as_str().map(str::to_owned).ok_or_else(|| format!("{key} is no text")),
        }
    }

    fn texts(&mut self, key: &str) -> Result<Vec<String>, String> {
        let Some(value) = self.take(key) else { return Ok(Vec::new()) };
        let items = value.as_list().ok_or_else(|| format!("{key} is no list"))?;
        let text = |item: &Value| item.as_str().map(str::to_owned).ok_or_else(|| format!("{key} has what is no text"));
        items.iter().map(text).collect()
    }

    /// Helm 3 writes an empty text for no time, and Go its year 1.
    fn time(&mut self, key: &str) -> Result<Option<Timestamp>, String> {
        match self.text(key)?.as_str() {
            "" | "0001-01-01T00:00:00Z" => Ok(None),
            text => text.parse().map(Some).map_err(|error| format!("{key}: {error}")),
        }
    }
}

fn put(map: &mut Map, key: &str, text: &str) {
    if !text.is_empty() {
        map.insert(key, Value::from(text));
    }
}

fn put_texts<'t>(map: &mut Map, key: &str, texts: impl Iterator<Item = &'t str>) {
    let texts: Vec<_> = texts.map(Value::from).collect();
    if !texts.is_empty() {
        map.insert(key, Value::list(texts));
    }
}

fn put_time(map: &mut Map, key: &str, time: Option<Timestamp>) {
    if let Some(time) = time {
        map.insert(key, Value::from(time.to_string()));
    }
}

fn extend(mut map: Map, rest: &Map) -> Map {
    for entry in rest {
        map.insert_entry(entry.clone());
    }
    map
}
