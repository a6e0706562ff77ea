//! `metadata.managedFields`: who owns which fields.

use std::cmp::Ordering;

use soll_yaml::{Map, Str, Value, to_json};

use super::Set;

/// What a manager did to own its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Server-side apply.
    Apply,
    /// Any other write.
    Update,
}

impl Operation {
    /// As the API writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// One manager with its fields.
#[derive(Debug, Clone)]
pub struct Manager {
    /// Its name.
    pub name: Str,
    /// How it came to own its fields.
    pub operation: Operation,
    /// The version at which the fields are named.
    pub api_version: Str,
    /// The subresource that it wrote, or empty.
    pub subresource: Str,
    /// When it last changed something, as RFC 3339 in whole seconds.
    pub time: Option<Str>,
    fields: Set,
    /// What `fields` was read from, as long as it is the same.
    encoded: Option<Value>,
}

impl Manager {
    pub(super) fn new(name: &str, operation: Operation, api_version: &str, subresource: &str, fields: Set) -> Self {
        let (name, subresource) = (if name.is_empty() { "unknown" } else { name }.into(), subresource.into());
        Self { name, operation, api_version: api_version.into(), subresource, time: None, fields, encoded: None }
    }

    /// The fields it owns.
    #[must_use]
    pub fn fields(&self) -> &Set {
        &self.fields
    }

    pub(super) fn set_fields(&mut self, fields: Set) {
        self.fields = fields;
        self.encoded = None;
    }

    /// Takes over the time of the entry that this one replaces, and its encoding if the fields are equal.
    pub(super) fn follow(&mut self, previous: Option<&Self>) {
        let Some(previous) = previous else { return };
        self.time.clone_from(&previous.time);
        if self.fields == previous.fields {
            self.encoded.clone_from(&previous.encoded);
        }
    }

    /// Says whether both are the same manager: of appliers the version does not count.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.name == other.name
            && self.operation == other.operation
            && self.subresource == other.subresource
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }

    /// The text by which managers sort, as the API server composes it.
    pub(super) fn identity(&self) -> String {
        let mut map = Map::new();
        map.insert("manager", Value::from(self.name.clone()));
        map.insert("operation", Value::str(self.operation.name()));
        if self.operation == Operation::Update {
            map.insert("apiVersion", Value::from(self.api_version.clone()));
        }
        if !self.subresource.is_empty() {
            map.insert("subresource", Value::from(self.subresource.clone()));
        }
        to_json(&map.into())
    }

    fn read(entry: &Value) -> Result<Self, String> {
        let text = |key: &str| match entry.get(key).map(|value| &value.data) {
            Some(soll_yaml::Data::Str(text)) => text.clone(),
            _ => Str::new(),
        };
        let operation = match text("operation").as_str() {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            _ => return Err("operation must be `Apply` or `Update`".to_owned()),
        };
        let api_version = text("apiVersion");
        if api_version.is_empty() {
            return Err("apiVersion must not be empty".to_owned());
        }
        match text("fieldsType").as_str() {
            "FieldsV1" => {}
            "" => return Err("missing fieldsType in a managed fields entry".to_owned()),
            other => return Err(format!("invalid fieldsType {other:?} in a managed fields entry")),
        }
        Ok(Self {
            name: text("manager"),
            operation,
            api_version,
            subresource: text("subresource"),
            time: Some(text("time")).filter(|time| !time.is_empty()),
            fields: Set::from_managed_fields_entry(entry)?,
            encoded: entry.get("fieldsV1").cloned(),
        })
    }

    fn write(&self) -> Value {
        let mut map = Map::with_capacity(7);
        map.insert("apiVersion", Value::from(self.api_version.clone()));
        map.insert("fieldsType", Value::str("FieldsV1"));
        map.insert("fieldsV1", self.encoded.clone().unwrap_or_else(|| self.fields.to_fields_v1()));
        map.insert("manager", Value::from(self.name.clone()));
        map.insert("operation", Value::str(self.operation.name()));
        if !self.subresource.is_empty() {
            map.insert("subresource", Value::from(self.subresource.clone()));
        }
        if let Some(time) = &self.time {
            map.insert("time", Value::from(time.clone()));
        }
        map.into()
    }
}

/// All managers of an object.
#[derive(Debug, Clone, Default)]
pub struct Managers {
    list: Vec<Manager>,
}

/// More managers than this by Update are merged, the oldest first.
const MOST_UPDATERS: usize = 10;
const ANCIENT: &str = "ancient-changes";

impl Managers {
    /// Reads `metadata.managedFields` of an object.
    ///
    /// # Errors
    /// The first entry that cannot be read.
    pub fn of(object: &Value) -> Result<Self, String> {
        let entries = object.lookup(&["metadata", "managedFields"]).and_then(Value::as_list).unwrap_or_default();
        let mut managers = Self::default();
        for entry in entries {
            let manager = Manager::read(entry)?;
            // Of two entries of one manager the later one counts.
            managers.list.retain(|other| !other.is(&manager));
            managers.list.push(manager);
        }
        Ok(managers)
    }

    /// The managers, as the API server sorts them.
    pub fn iter(&self) -> impl Iterator<Item = &Manager> {
        self.list.iter()
    }

    /// Says whether nobody owns anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn list_mut(&mut self) -> &mut Vec<Manager> {
        &mut self.list
    }

    /// Takes a manager out.
    pub(super) fn take(&mut self, wanted: &Manager) -> Option<Manager> {
        let position = self.list.iter().position(|manager| manager.is(wanted))?;
        Some(self.list.remove(position))
    }

    pub(super) fn push(&mut self, manager: Manager) {
        self.list.push(manager);
    }

    /// Merges the oldest managers by Update into one per version, until no more than ten are left.
    pub(super) fn cap(&mut self) {
        let updaters = |list: &[Manager]| list.iter().filter(|manager| manager.operation == Operation::Update).count();
        let mut left = updaters(&self.list);
        if left <= MOST_UPDATERS {
            return;
        }
        let mut oldest: Vec<Manager> =
            self.list.iter().filter(|manager| manager.operation == Operation::Update).cloned().collect();
        oldest.sort_by(|a, b| a.time.cmp(&b.time).then_with(|| a.identity().cmp(&b.identity())));
        let mut first_of_version: Vec<(Str, Manager)> = Vec::new();
        for manager in oldest {
            if left <= MOST_UPDATERS {
                break;
            }
            let version = manager.api_version.clone();
            let Some((_, first)) = first_of_version.iter().find(|(known, _)| *known == version) else {
                first_of_version.push((version, manager));
                continue;
            };
            let bucket = Manager::new(ANCIENT, Operation::Update, &version, "", Set::new());
            let fields = match self.take(&bucket).or_else(|| self.take(first)) {
                Some(merged) => merged.fields.union(&manager.fields),
                None => manager.fields.clone(),
            };
            self.take(&manager);
            self.push(Manager { fields, time: manager.time.clone(), ..bucket });
            left -= 1;
        }
    }

    /// Writes `metadata.managedFields` of an object, or removes it if nobody owns anything.
    pub fn write_to(mut self, object: &mut Value) {
        self.list.sort_by(|a, b| {
            let by_text = || {
                (a.name.as_str(), a.api_version.as_str(), a.subresource.as_str()).cmp(&(
                    b.name.as_str(),
                    b.api_version.as_str(),
                    b.subresource.as_str(),
                ))
            };
            a.operation.cmp(&b.operation).then_with(|| time_order(a, b)).then_with(by_text)
        });
        let entries: Vec<Value> = self.list.iter().map(Manager::write).collect();
        if entries.is_empty() {
            strip(object);
        } else {
            object
                .make_map()
                .get_or_insert_with("metadata", Value::map)
                .make_map()
                .insert("managedFields", entries.into());
        }
    }
}

/// By time: texts in one format and zone sort as the times do.
fn time_order(a: &Manager, b: &Manager) -> Ordering {
    a.time.as_deref().unwrap_or_default().cmp(b.time.as_deref().unwrap_or_default())
}

/// Removes `metadata.managedFields`.
pub(super) fn strip(object: &mut Value) {
    if object.lookup(&["metadata", "managedFields"]).is_some()
        && let Some(metadata) = object.get_mut("metadata").and_then(Value::as_map_mut)
    {
        metadata.remove("managedFields");
    }
}
