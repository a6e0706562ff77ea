//! Lists as tables: what `kubectl get` prints.

mod columns;
mod jsonpath;

use jiff::Timestamp;
use soll_yaml::{Map, Value};

use crate::meta;
use crate::resources::Resource;
use crate::rest::IncludeObject;
use crate::rest::answer::partial;

/// One column: its definition, and how its cell is made.
pub(crate) struct Column {
    name: String,
    kind: String,
    format: String,
    description: String,
    /// Columns above 0 show with `-o wide` only.
    priority: i64,
    cell: Cell,
}

/// Names a column that is told of nowhere, though it has cells.
const NAMELESS: &str = "";

enum Cell {
    /// A formula of this crate.
    Computed(fn(&Value, Timestamp) -> Value),
    /// A path of a CRD's `additionalPrinterColumns`.
    Path(String),
}

/// A table of objects.
pub(crate) fn table(resource: &Resource, objects: &[Value], list_meta: Map, include: IncludeObject) -> Value {
    let now = Timestamp::now();
    let columns = columns(resource);
    let rows = objects.iter().map(|object| {
        let cells = columns.iter().map(|column| column.cell(object, now)).collect();
        let mut row = Map::from_iter([("cells", Value::list(cells))]);
        match include {
            IncludeObject::None => drop(row.insert("object", Value::null())),
            IncludeObject::Metadata => drop(row.insert("object", partial(object))),
            IncludeObject::Object => drop(row.insert("object", object.clone())),
        }
        Value::from(row)
    });
    let rows = Value::list(rows.collect());
    let named = columns.iter().filter(|column| column.name != NAMELESS);
    Map::from_iter([
        ("kind", Value::str("Table")),
        ("apiVersion", Value::str("meta.k8s.io/v1")),
        ("metadata", list_meta.into()),
        ("columnDefinitions", Value::list(named.map(Column::definition).collect())),
        ("rows", rows),
    ])
    .into()
}

fn columns(resource: &Resource) -> Vec<Column> {
    let mut columns =
        vec![Column::computed("Name", "string", "name", 0, |object, _| Value::str(meta::text(object, "name")))];
    match &resource.custom {
        Some(custom) => {
            columns.extend(custom.columns.iter().map(|column| Column {
                name: column.name.clone(),
                kind: column.kind.clone(),
                format: column.format.clone(),
                description: column.description.clone(),
                priority: column.priority,
                cell: Cell::Path(column.path.clone()),
            }));
            if custom.columns.is_empty() {
                columns.push(Column::computed("Age", "date", "", 0, columns::age));
            }
        }
        None => columns.extend(columns::builtin(resource)),
    }
    columns
}

impl Column {
    fn computed(name: &str, kind: &str, format: &str, priority: i64, cell: fn(&Value, Timestamp) -> Value) -> Self {
        Self {
            name: name.to_owned(),
            kind: kind.to_owned(),
            format: format.to_owned(),
            description: String::new(),
            priority,
            cell: Cell::Computed(cell),
        }
    }

    fn definition(&self) -> Value {
        Map::from_iter([
            ("name", Value::str(&self.name)),
            ("type", Value::str(&self.kind)),
            ("format", Value::str(&self.format)),
            ("description", Value::str(&self.description)),
            ("priority", Value::from(self.priority)),
        ])
        .into()
    }

    fn cell(&self, object: &Value, now: Timestamp) -> Value {
        match &self.cell {
            Cell::Computed(formula) => formula(object, now),
            Cell::Path(path) => self.custom_cell(object, path, now),
        }
    }

    /// The value at a path, in the type of the column. What does not fit shows as empty, as in Kubernetes.
    fn custom_cell(&self, object: &Value, path: &str, now: Timestamp) -> Value {
        let found = jsonpath::find(object, path);
        let Some(value) = found.first() else { return Value::null() };
        match self.kind.as_str() {
            "integer" => value.as_i64().map_or_else(Value::null, Value::from),
            "number" => match value.data {
                soll_yaml::Data::Int(_) | soll_yaml::Data::Float(_) => (*value).clone(),
                _ => Value::null(),
            },
            "boolean" => value.as_bool().map_or_else(Value::null, Value::from),
            "date" => Value::from(value.as_str().map_or_else(|| "<unknown>".to_owned(), |at| columns::since(at, now))),
            _ => {
                let texts: Vec<String> = found
                    .iter()
                    .map(|value| value.as_str().map_or_else(|| soll_yaml::to_json(value), str::to_owned))
                    .collect();
                Value::from(texts.join(","))
            }
        }
    }
}
