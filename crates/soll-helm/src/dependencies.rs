//! Which dependencies take part, under which names, and what they lend their parents.

use std::collections::BTreeSet;

use soll_yaml::{Data, Map, Value};

use crate::Chart;
use crate::values::{self, Nulls, coalesce, coalesce_tables, leaf_at, table_at};

/// Resolves aliases, drops what conditions and tags switch off, and takes in `import-values`.
///
/// Returns what is odd about the values, in the words of Helm.
///
/// # Errors
/// If values of a dependency are no map, in the words of Helm.
pub fn resolve_dependencies(chart: &mut Chart, set: &Value) -> Result<BTreeSet<String>, String> {
    let mut warnings = BTreeSet::new();
    switch(chart, set, "", &mut warnings)?;
    import(chart, &mut warnings)?;
    Ok(warnings)
}

fn switch(chart: &mut Chart, set: &Value, path: &str, warnings: &mut BTreeSet<String>) -> Result<(), String> {
    if chart.metadata.dependencies.is_empty() {
        return Ok(());
    }
    name_dependencies(chart);
    let mut coalesced = coalesce(chart, set, Nulls::Remove)?;
    warnings.append(&mut coalesced.warnings);
    let set = coalesced.values;
    for dependency in &mut chart.metadata.dependencies {
        dependency.enabled = by_tags(&dependency.tags, &dependency.name, &set, warnings);
        // The first path that leads to a boolean decides.
        for condition in dependency.condition.trim().split(',').filter(|condition| !condition.is_empty()) {
            match leaf_at(&set, &format!("{path}{condition}")).map(|value| &value.data) {
                Some(Data::Bool(flag)) => {
                    dependency.enabled = *flag;
                    break;
                }
                Some(_) => {
                    let name = &dependency.name;
                    warnings.insert(format!("warning: condition {condition} of chart {name} is not a boolean"));
                }
                None => {}
            }
        }
    }
    let off: Vec<String> =
        chart.metadata.dependencies.iter().filter(|one| !one.enabled).map(|one| one.name.clone()).collect();
    chart.dependencies.retain(|child| !off.iter().any(|name| name == child.name()));
    chart.metadata.dependencies.retain(|dependency| !off.contains(&dependency.name));
    for child in &mut chart.dependencies {
        let path = format!("{path}{}.", child.name());
        switch(child, &set, &path, warnings)?;
    }
    Ok(())
}

/// Charts that nobody declared come first, then each declared one, once for each declaration, under its alias.
fn name_dependencies(chart: &mut Chart) {
    let declared = &mut chart.metadata.dependencies;
    let present = std::mem::take(&mut chart.dependencies);
    let is_declared = |child: &&Chart| declared.iter().any(|dependency| dependency.matches(&child.metadata));
    let mut named: Vec<Chart> = present.iter().filter(|child| !is_declared(child)).cloned().collect();
    for dependency in declared {
        if let Some(child) = present.iter().find(|child| dependency.matches(&child.metadata)) {
            let mut child = child.clone();
            if !dependency.alias.is_empty() {
                child.metadata.name.clone_from(&dependency.alias);
            }
            named.push(child);
        }
        if !dependency.alias.is_empty() {
            dependency.name.clone_from(&dependency.alias);
        }
    }
    chart.dependencies = named;
}

/// One tag that is on is enough; without it, one that is off.
fn by_tags(tags: &[String], chart: &str, set: &Value, warnings: &mut BTreeSet<String>) -> bool {
    let Some(table) = table_at(set, "tags") else { return true };
    let (mut on, mut off) = (false, false);
    for tag in tags {
        match table.get(tag).map(|value| &value.data) {
            Some(Data::Bool(true)) => on = true,
            Some(Data::Bool(false)) => off = true,
            Some(_) => {
                warnings.insert(format!("warning: tag {tag} of chart {chart} is not a boolean"));
            }
            None => {}
        }
    }
    on || !off
}

/// Children first, so that what they import themselves can be imported from them.
fn import(chart: &mut Chart, warnings: &mut BTreeSet<String>) -> Result<(), String> {
    for child in &mut chart.dependencies {
        import(child, warnings)?;
    }
    if chart.metadata.dependencies.is_empty() {
        return Ok(());
    }
    let mut coalesced = coalesce(chart, &Value::map(), Nulls::Keep)?;
    warnings.append(&mut coalesced.warnings);
    let mut values = coalesced.values;
    let mut imported = Map::new();
    for dependency in &mut chart.metadata.dependencies {
        for import in &mut dependency.import_values {
            let (child, parent) = match &import.data {
                Data::Str(name) => (format!("exports.{name}"), ".".to_owned()),
                Data::Map(map) => {
                    let text = |key| map.get(key).map_or_else(|| "<nil>".to_owned(), values::go_v);
                    (text("child"), text("parent"))
                }
                _ => continue,
            };
            match table_at(&values, &format!("{}.{child}", dependency.name)) {
                Some(table) => {
                    let table = nested(&parent, table.clone());
                    warnings.append(&mut coalesce_tables(&mut imported, &table, Nulls::Keep));
                }
                None => {
                    let name = &dependency.name;
                    warnings.insert(format!("warning: import-values of chart {name}: it has no table {child}"));
                }
            }
            *import = Map::from_iter([("child", Value::from(child)), ("parent", Value::from(parent))]).into();
        }
    }
    warnings.append(&mut coalesce_tables(values.make_map(), &imported, Nulls::Keep));
    chart.values = values;
    Ok(())
}

/// A table at the end of a dotted path; `.` is the table itself.
fn nested(path: &str, table: Map) -> Map {
    if path == "." {
        return table;
    }
    path.split('.').rev().fold(table, |inner, key| Map::from_iter([(key, inner.into())]))
}
