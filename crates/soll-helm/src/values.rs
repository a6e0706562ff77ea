//! Values: merging files, and laying what people set over what charts default to.

use std::collections::BTreeSet;

use soll_template::WholeNumbers;
use soll_yaml::{Data, Map, ParseOptions, SourceId, Value, parse_yaml};

use crate::Chart;
use crate::load::{floats, go_yaml_error};
use crate::metadata::go_kind;

/// The key whose values every chart sees.
pub const GLOBAL: &str = "global";

/// Reads a file of values. Documents are merged; numbers are floats, as Go's JSON decoder makes them.
///
/// # Errors
/// In the words of Helm.
pub fn parse_values(text: &str, source: SourceId) -> Result<Value, String> {
    let documents = parse_yaml(text, source, &ParseOptions::go_v2())
        .map_err(|error| format!("cannot unmarshal yaml document: {}", go_yaml_error(&error)))?;
    merge_documents(documents)
}

pub(crate) fn merge_documents(documents: Vec<Value>) -> Result<Value, String> {
    let mut values = Value::map();
    for mut document in documents {
        floats(&mut document);
        match document.data {
            Data::Null => {}
            Data::Map(_) => merge(&mut values, document),
            _ => {
                let kind = go_kind(&document);
                return Err(format!(
                    "cannot unmarshal yaml document: error unmarshaling JSON: while decoding JSON: json: cannot \
                     unmarshal {kind} into Go value of type map[string]interface {{}}"
                ));
            }
        }
    }
    Ok(values)
}

/// Lays values over others: maps are merged, everything else is replaced, `null` by `null` too.
pub fn merge(base: &mut Value, over: Value) {
    let Data::Map(over) = over.data else { return };
    let base = base.make_map();
    for entry in over.iter() {
        match base.get_mut(&entry.key) {
            Some(below) if is_table(below) && is_table(&entry.value) => merge(below, entry.value.clone()),
            _ => {
                base.insert_entry(entry.clone());
            }
        }
    }
}

/// How `null` is taken when defaults meet what people set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nulls {
    /// A `null` removes the default, and a default `null` is nothing.
    Remove,
    /// Kept, for a later pass to judge.
    Keep,
}

/// Values in the making, and what was odd about them.
#[derive(Debug, Default)]
pub struct Coalesced {
    /// The values.
    pub values: Value,
    /// Conflicts that Helm warns of, in its words, each once.
    pub warnings: BTreeSet<String>,
}

/// Lays values over the defaults of a chart and of all charts that it depends on.
///
/// # Errors
/// If a chart's values are no map, in the words of Helm.
pub fn coalesce(chart: &Chart, values: &Value, nulls: Nulls) -> Result<Coalesced, String> {
    let mut values = values.clone();
    values.make_map();
    let mut warnings = BTreeSet::new();
    let mut coalescer = Coalescer { nulls, warnings: &mut warnings };
    coalescer.chart(chart, values.make_map(), "")?;
    share_down(chart, values.make_map());
    Ok(Coalesced { values, warnings })
}

/// Lays one table over another. The upper one wins.
pub(crate) fn coalesce_tables(upper: &mut Map, lower: &Map, nulls: Nulls) -> BTreeSet<String> {
    let mut warnings = BTreeSet::new();
    Coalescer { nulls, warnings: &mut warnings }.tables(upper, lower, "", nulls);
    warnings
}

struct Coalescer<'w> {
    nulls: Nulls,
    warnings: &'w mut BTreeSet<String>,
}

impl Coalescer<'_> {
    fn chart(&mut self, chart: &Chart, values: &mut Map, above: &str) -> Result<(), String> {
        let path = dotted(above, chart.name());
        self.defaults(chart, values, &path);
        for dependency in &chart.dependencies {
            let name = dependency.name();
            let globals = values.get(GLOBAL).cloned();
            let own = values.get_or_insert_with(name, Value::map);
            if !is_table(own) {
                return Err(format!("type mismatch on {name}: {}", go_format("%t", own)));
            }
            let own = own.make_map();
            self.globals(own, globals.as_ref(), &path);
            self.chart(dependency, own, &path)?;
            let below = own.get(GLOBAL).cloned();
            if let (Some(globals), Some(below)) = (values.get_mut(GLOBAL), below) {
                share_tables(globals, &below);
            }
        }
        Ok(())
    }

    /// The chart's own defaults, below what is there.
    fn defaults(&mut self, chart: &Chart, values: &mut Map, path: &str) {
        let Some(defaults) = chart.values.as_map() else { return };
        for entry in defaults {
            let key = entry.key.as_str();
            match values.get_mut(key) {
                None => match (self.nulls, &entry.value.data) {
                    (Nulls::Remove, Data::Null) => {}
                    (Nulls::Remove, Data::Map(_)) => {
                        let mut entry = entry.clone();
                        drop_nulls(&mut entry.value);
                        values.insert_entry(entry);
                    }
                    _ => {
                        values.insert_entry(entry.clone());
                    }
                },
                Some(value) if value.is_null() => {
                    if self.nulls == Nulls::Remove {
                        values.remove(key);
                    }
                }
                Some(value) => {
                    let Data::Map(_) = value.data else { continue };
                    match &entry.value.data {
                        Data::Map(below) => {
                            // A child's values are judged when the child's own defaults are known.
                            let is_child = chart.dependencies.iter().any(|child| child.name() == key);
                            let nulls = if is_child { Nulls::Keep } else { self.nulls };
                            let path = dotted(path, key);
                            if nulls == Nulls::Remove && has_null(&entry.value) {
                                let mut below = entry.value.clone();
                                drop_nulls(&mut below);
                                self.tables(value.make_map(), below.make_map(), &path, nulls);
                            } else {
                                self.tables(value.make_map(), below, &path, nulls);
                            }
                        }
                        Data::Null => {}
                        _ => self.warn(format!("warning: skipped value for {path}.{key}: Not a table.")),
                    }
                }
            }
        }
    }

    fn tables(&mut self, upper: &mut Map, lower: &Map, path: &str, nulls: Nulls) {
        for entry in lower {
            let key = entry.key.as_str();
            let Some(value) = upper.get_mut(key) else {
                upper.insert_entry(entry.clone());
                continue;
            };
            match (&value.data, &entry.value.data) {
                (Data::Null, Data::Null) => {}
                (Data::Null, _) if nulls == Nulls::Remove => {
                    upper.remove(key);
                }
                (Data::Null, _) => {}
                (Data::Map(_), Data::Map(below)) => self.tables(value.make_map(), below, &dotted(path, key), nulls),
                (_, Data::Map(_)) => self.warn(format!(
                    "warning: cannot overwrite table with non table for {} ({})",
                    dotted(path, key),
                    go_v(&entry.value)
                )),
                (Data::Map(_), Data::Null) => {}
                (Data::Map(_), _) => self.warn(format!(
                    "warning: destination for {} is a table. Ignoring non-table value ({})",
                    dotted(path, key),
                    go_v(&entry.value)
                )),
                _ => {}
            }
        }
    }

    /// The globals of the chart above win over those that this chart is given.
    fn globals(&mut self, values: &mut Map, above: Option<&Value>, path: &str) {
        let mut own = match values.get(GLOBAL) {
            None => Map::new(),
            Some(Value { data: Data::Map(own), .. }) => (**own).clone(),
            Some(_) => {
                return self.warn(format!("warning: skipping globals because destination {GLOBAL} is not a table."));
            }
        };
        let above = match above.map(|above| &above.data) {
            None => None,
            Some(Data::Map(above)) => Some(above),
            Some(_) => return self.warn(format!("warning: skipping globals because source {GLOBAL} is not a table.")),
        };
        for entry in above.into_iter().flat_map(|above| above.iter()) {
            let key = entry.key.as_str();
            match (&entry.value.data, own.get(key)) {
                (Data::Map(_), None) => {
                    own.insert_entry(entry.clone());
                }
                (Data::Map(_), Some(Value { data: Data::Map(below), .. })) => {
                    let mut merged = entry.clone();
                    let below = below.clone();
                    self.tables(merged.value.make_map(), &below, &dotted(path, key), Nulls::Keep);
                    own.insert_entry(merged);
                }
                (Data::Map(_), Some(_)) => {
                    self.warn(format!("Conflict: cannot merge map onto non-map for {key:?}. Skipping."));
                }
                (_, Some(value)) if is_table(value) => self.warn(format!("key {key} is table. Skipping")),
                _ => {
                    own.insert_entry(entry.clone());
                }
            }
        }
        values.insert(GLOBAL, own.into());
    }

    fn warn(&mut self, text: String) {
        self.warnings.insert(text);
    }
}

/// Gives all dependencies what the globals became in the meantime; see [`share_tables`].
fn share_down(chart: &Chart, values: &mut Map) {
    let globals = values.get(GLOBAL).cloned();
    for dependency in &chart.dependencies {
        let Some(own) = values.get_mut(dependency.name()).filter(|own| is_table(own)) else { continue };
        let own = own.make_map();
        if let (Some(globals), Some(below)) = (&globals, own.get_mut(GLOBAL)) {
            share_tables(below, globals);
        }
        share_down(dependency, own);
    }
}

/// Takes over what the globals of another chart became, two levels deep and more.
///
/// In Helm a chart and its dependencies have each a table of globals of their own, and each its own tables in it, but
/// what is deeper is one and the same: defaults of a dependency reach its parent and its siblings.
fn share_tables(globals: &mut Value, other: &Value) {
    let (Some(own), Some(other)) = (globals.as_map(), other.as_map()) else { return };
    let mut changed = Vec::new();
    for entry in own {
        let (Some(own), Some(theirs)) = (entry.value.as_map(), other.get(&entry.key).and_then(Value::as_map)) else {
            continue;
        };
        for inner in own.iter().filter(|inner| is_table(&inner.value)) {
            if let Some(theirs) = theirs.get(&inner.key).filter(|theirs| is_table(theirs) && **theirs != inner.value) {
                changed.push((entry.key.clone(), inner.key.clone(), theirs.clone()));
            }
        }
    }
    for (key, inner, table) in changed {
        if let Some(own) = globals.make_map().get_mut(&key).and_then(|own| own.make_map().get_mut(&inner)) {
            *own = table;
        }
    }
}

/// The value at a dotted path, if it is there and no table.
pub(crate) fn leaf_at<'v>(values: &'v Value, path: &str) -> Option<&'v Value> {
    let (table, key) = match path.rsplit_once('.') {
        Some((table, key)) => (table_at(values, table)?, key),
        None => (values.as_map()?, path),
    };
    table.get(key).filter(|value| !is_table(value))
}

/// The table at a dotted path.
pub(crate) fn table_at<'v>(values: &'v Value, path: &str) -> Option<&'v Map> {
    path.split('.').try_fold(values.as_map()?, |table, key| table.get(key)?.as_map())
}

/// Removes every `null` of nested maps.
pub(crate) fn drop_nulls(value: &mut Value) {
    if !has_null(value) {
        return;
    }
    let Some(map) = value.as_map_mut() else { return };
    map.retain(|entry| !entry.value.is_null());
    map.iter_mut().for_each(|(_, value)| drop_nulls(value));
}

/// Looks first, because most maps have none and changing a shared map copies it.
fn has_null(value: &Value) -> bool {
    let Data::Map(map) = &value.data else { return false };
    map.iter().any(|entry| entry.value.is_null() || has_null(&entry.value))
}

pub(crate) fn is_table(value: &Value) -> bool {
    matches!(value.data, Data::Map(_))
}

fn dotted(above: &str, key: &str) -> String {
    if above.is_empty() { key.to_owned() } else { format!("{above}.{key}") }
}

/// A value as Go's `%v` prints it.
pub(crate) fn go_v(value: &Value) -> String {
    go_format("%v", value)
}

fn go_format(verb: &str, value: &Value) -> String {
    soll_template::format(verb, &[soll_template::Value::from_yaml(value, WholeNumbers::Int64)])
}

/// Go's name of a value's type.
pub(crate) fn go_type(value: &Value) -> &'static str {
    match value.data {
        Data::Null => "<nil>",
        Data::Bool(_) => "bool",
        Data::Int(_) => "int64",
        Data::Float(_) => "float64",
        Data::Str(_) => "string",
        Data::List(_) => "[]interface {}",
        Data::Map(_) => "map[string]interface {}",
    }
}
