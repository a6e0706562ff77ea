//! Writes the table of builtin kinds that `soll-schema` compiles in.
//!
//! The facts come from what Kubernetes' own API server puts out, as the Go modules of the release carry
//! it: OpenAPI v3 documents, discovery documents, and the field numbers of the protobuf messages. The Go
//! tool fetches the modules; no text of theirs but names enters the table.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use soll_schema::layout::{self, field_flag, resource_flag, tag, type_flag};

/// The release that the table describes.
const KUBERNETES: &str = "v1.35.4";
const STAGING: &str = "v0.35.4";
const PROTOBUF_MODULES: [&str; 4] =
    ["k8s.io/api", "k8s.io/apimachinery", "k8s.io/apiextensions-apiserver", "k8s.io/kube-aggregator"];
const OUTPUT: &str = "crates/soll-schema/table/kubernetes-1.35.bin";

/// Options of `cargo xtask schema-table`.
#[derive(Debug, clap::Args)]
pub(crate) struct SchemaTable {
    /// Fails if the checked-in table differs, and writes nothing.
    #[arg(long)]
    check: bool,
    /// Reads discovery and OpenAPI documents from this directory (as in `api/` of Kubernetes' source).
    #[arg(long)]
    from: Option<PathBuf>,
}

impl SchemaTable {
    /// Generates the table, and writes or compares it.
    pub(crate) fn run(&self, root: &Path) -> Result<()> {
        let api = match &self.from {
            Some(directory) => directory.clone(),
            None => module("k8s.io/kubernetes", KUBERNETES)?.join("api"),
        };
        let definitions = read_definitions(&api.join("openapi-spec/v3"))?;
        let mut messages = Messages::default();
        for name in PROTOBUF_MODULES {
            messages.read_all(&module(name, STAGING)?)?;
        }
        let bytes = Builder::new(&definitions, &messages)?.build(&api.join("discovery"))?;
        let output = root.join(OUTPUT);
        if self.check {
            let same = std::fs::read(&output).is_ok_and(|old| old == bytes);
            ensure!(same, "{OUTPUT} differs from what `cargo xtask schema-table` makes");
            return Ok(());
        }
        std::fs::write(&output, bytes).with_context(|| format!("cannot write {}", output.display()))
    }
}

/// The directory of a Go module, fetched if it is not in the module cache.
fn module(name: &str, version: &str) -> Result<PathBuf> {
    let output = Command::new("go")
        .args(["mod", "download", "-json", &format!("{name}@{version}")])
        .current_dir(std::env::temp_dir())
        .output()
        .context("cannot run `go`")?;
    let answer: Value = serde_json::from_slice(&output.stdout).context("`go mod download` gave no JSON")?;
    match answer["Dir"].as_str() {
        Some(directory) => Ok(PathBuf::from(directory)),
        None => bail!("cannot fetch {name}@{version}: {}", answer["Error"].as_str().unwrap_or("no reason given")),
    }
}

fn read_json(path: &Path) -> Result<Value> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is no JSON", path.display()))
}

fn read_definitions(directory: &Path) -> Result<BTreeMap<String, Value>> {
    let mut definitions = BTreeMap::new();
    let entries = std::fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    for entry in entries {
        let document = read_json(&entry?.path())?;
        let schemas = document["components"]["schemas"].as_object().into_iter().flatten();
        definitions.extend(schemas.map(|(name, schema)| (name.clone(), schema.clone())));
    }
    Ok(definitions)
}

/// Protobuf messages: name as OpenAPI names it, then fields as (name, type, number).
#[derive(Default)]
struct Messages(HashMap<String, Vec<(String, String, u16)>>);

impl Messages {
    fn read_all(&mut self, directory: &Path) -> Result<()> {
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() {
                self.read_all(&path)?;
            } else if path.file_name().is_some_and(|name| name == "generated.proto") {
                self.read(&std::fs::read_to_string(&path)?);
            }
        }
        Ok(())
    }

    /// Understands what Kubernetes' generator writes: one message after the other, one field a line.
    fn read(&mut self, text: &str) {
        let mut package = String::new();
        let mut message = String::new();
        for line in text.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix("package ") {
                package = openapi_name(name.trim_end_matches(';'));
            } else if let Some(name) = line.strip_prefix("message ") {
                message = format!("{package}.{}", name.trim_end_matches(" {"));
                self.0.entry(message.clone()).or_default();
            } else if let Some((declaration, number)) = line.trim_end_matches(';').rsplit_once(" = ")
                && let (Ok(number), Some((kind, name))) = (number.parse(), declaration.rsplit_once(' '))
                && (kind.starts_with("optional ") || kind.starts_with("repeated ") || kind.starts_with("map<"))
            {
                let kind = kind.rsplit(' ').next().unwrap_or(kind);
                let kind = match kind.strip_prefix('.') {
                    Some(absolute) => openapi_name(absolute),
                    None => format!("{package}.{kind}"),
                };
                self.0.entry(message.clone()).or_default().push((name.to_owned(), kind, number));
            }
        }
    }

    /// The number of a field; one that Go inlines from another message carries that message's number in
    /// the upper bits.
    fn number(&self, message: &str, field: &str) -> Option<u16> {
        let fields = self.0.get(message)?;
        let named = |fields: &[(String, String, u16)]| {
            let found = fields.iter().find(|(name, ..)| json_name(name) == field);
            found.map(|(_, _, number)| *number)
        };
        named(fields).or_else(|| {
            let mut inlined = fields.iter().filter_map(|(_, kind, outer)| Some((self.0.get(kind)?, outer)));
            inlined.find_map(|(inner, outer)| Some(outer << layout::INLINED_SHIFT | named(inner)?))
        })
    }
}

/// `k8s.io.api.apps.v1` as OpenAPI names it: `io.k8s.api.apps.v1`.
fn openapi_name(package: &str) -> String {
    package
        .strip_prefix("k8s.io.")
        .map_or_else(|| package.to_owned(), |rest| format!("io.k8s.{}", rest.replace('_', "-")))
}

/// The JSON name of a protobuf field: the same, except in the schemas of CRDs.
fn json_name(name: &str) -> String {
    match name {
        "ref" | "schema" => return format!("${name}"),
        _ => {}
    }
    let Some(rest) = name.strip_prefix('x').filter(|rest| rest.starts_with(char::is_uppercase)) else {
        return name.to_owned();
    };
    let kebab = rest.chars().fold(String::new(), |mut kebab, letter| {
        if letter.is_uppercase() {
            kebab.push('-');
        }
        kebab.push(letter.to_ascii_lowercase());
        kebab
    });
    format!("x-kubernetes{kebab}")
}

/// A text by its order of appearance; replaced by its sorted index at the end.
type Text = usize;

#[derive(Default)]
struct Texts {
    list: Vec<String>,
    known: HashMap<String, Text>,
}

impl Texts {
    fn add(&mut self, text: &str) -> Text {
        if let Some(known) = self.known.get(text) {
            return *known;
        }
        self.list.push(text.to_owned());
        self.known.insert(text.to_owned(), self.list.len() - 1);
        self.list.len() - 1
    }

    /// The sorted texts, and for each text of ours its place among them.
    fn sorted(&self) -> (Vec<&str>, Vec<u16>) {
        let sorted: Vec<&str> = self.list.iter().map(String::as_str).collect::<BTreeSet<_>>().into_iter().collect();
        let places: HashMap<&str, u16> = sorted.iter().enumerate().map(|(place, text)| (*text, place as u16)).collect();
        let order = self.list.iter().map(|text| places[text.as_str()]).collect();
        (sorted, order)
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Default)]
struct Type {
    tag: u8,
    flags: u8,
    to: u16,
    count: u16,
    keys: u16,
    definition: Option<Text>,
}

struct FieldRow {
    name: Text,
    to: u16,
    flags: u16,
    merge_key: Option<Text>,
    default: Option<Text>,
    number: u16,
}

/// Group, version and kind, then type and resource.
type KindRow = ([Text; 3], u16, Option<u16>);

struct ResourceRow {
    names: [Text; 3],
    group_version: u16,
    flags: u16,
    verbs: u16,
    short_names: (u16, u16),
    categories: (u16, u16),
    subresources: (u16, u16),
    hash: Option<Text>,
}

struct Builder<'d> {
    definitions: &'d BTreeMap<String, Value>,
    messages: &'d Messages,
    texts: Texts,
    types: Vec<Type>,
    known_types: HashMap<Type, u16>,
    named: HashMap<String, u16>,
    fields: Vec<FieldRow>,
    lists: Vec<Text>,
    known_lists: HashMap<Vec<Text>, u16>,
}

impl<'d> Builder<'d> {
    fn new(definitions: &'d BTreeMap<String, Value>, messages: &'d Messages) -> Result<Self> {
        let mut builder = Self {
            definitions,
            messages,
            texts: Texts::default(),
            types: (0..tag::LEAVES).map(|tag| Type { tag, ..Type::default() }).collect(),
            known_types: HashMap::new(),
            named: HashMap::new(),
            fields: Vec::new(),
            lists: Vec::new(),
            known_lists: HashMap::new(),
        };
        builder.known_types = builder.types.iter().cloned().zip(0..).collect();
        // Names first, so that types may refer to each other.
        for name in definitions.keys() {
            let definition = Some(builder.texts.add(name));
            builder.named.insert(name.clone(), builder.types.len() as u16);
            builder.types.push(Type { definition, ..Type::default() });
        }
        for (name, schema) in definitions {
            let index = usize::from(builder.named[name]);
            let definition = builder.types[index].definition;
            let described = builder.describe(schema, Some(name)).with_context(|| format!("definition {name}"))?;
            builder.types[index] = Type { definition, ..described };
        }
        Ok(builder)
    }

    /// The index of the type that a schema means.
    fn type_of(&mut self, schema: &Value) -> Result<u16> {
        let reference = schema["$ref"].as_str().or_else(|| schema["allOf"][0]["$ref"].as_str());
        if let Some(name) = reference.and_then(|reference| reference.rsplit('/').next()) {
            return self.named.get(name).copied().with_context(|| format!("no definition {name}"));
        }
        let described = self.describe(schema, None)?;
        if let Some(known) = self.known_types.get(&described) {
            return Ok(*known);
        }
        let index = u16::try_from(self.types.len()).context("more types than 16 bits count")?;
        self.known_types.insert(described.clone(), index);
        self.types.push(described);
        Ok(index)
    }

    fn describe(&mut self, schema: &Value, name: Option<&str>) -> Result<Type> {
        let leaf = |tag| Ok(Type { tag, ..Type::default() });
        let short = name.and_then(|name| name.rsplit('.').next()).unwrap_or_default();
        match short {
            "Quantity" => return leaf(tag::QUANTITY),
            "MicroTime" => return leaf(tag::MICRO_TIME),
            "RawExtension" => return leaf(tag::ANY_ATOMIC),
            "IntOrString" => return leaf(tag::INT_OR_STRING),
            _ => {}
        }
        match (schema["type"].as_str().unwrap_or_default(), schema["format"].as_str().unwrap_or_default()) {
            ("", "") => leaf(tag::ANY),
            ("string", "") => leaf(tag::STRING),
            ("string", "byte") => leaf(tag::BYTES),
            ("string", "date-time") => leaf(tag::TIME),
            ("integer", "int32") => leaf(tag::INT32),
            ("integer", "int64") => leaf(tag::INT64),
            ("number", "double") => leaf(tag::DOUBLE),
            ("boolean", "") => leaf(tag::BOOL),
            ("object", "") => self.describe_object(schema, name),
            ("array", "") => self.describe_list(schema),
            (kind, format) => bail!("unknown type `{kind}` of format `{format}`"),
        }
    }

    fn describe_object(&mut self, schema: &Value, name: Option<&str>) -> Result<Type> {
        let atomic = schema["x-kubernetes-map-type"].as_str() == Some("atomic");
        let flags = if atomic { type_flag::ATOMIC } else { 0 };
        let Some(properties) = schema["properties"].as_object() else {
            let to = match &schema["additionalProperties"] {
                Value::Object(_) => self.type_of(&schema["additionalProperties"])?,
                _ => tag::ANY.into(),
            };
            return Ok(Type { tag: tag::MAP, flags, to, ..Type::default() });
        };
        ensure!(schema["additionalProperties"].is_null(), "both properties and additionalProperties");
        let required: BTreeSet<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut rows = Vec::new();
        for (property, schema) in properties.iter().collect::<BTreeMap<_, _>>() {
            let number = name.and_then(|name| self.messages.number(name, property)).unwrap_or(0);
            let row = self.field(property, schema, required.contains(property.as_str()), number);
            rows.push(row.with_context(|| format!("property {property}"))?);
        }
        let to = u16::try_from(self.fields.len()).context("more fields than 16 bits count")?;
        let count = rows.len() as u16;
        self.fields.extend(rows);
        Ok(Type { tag: tag::STRUCT, flags, to, count, ..Type::default() })
    }

    fn field(&mut self, name: &str, schema: &Value, required: bool, number: u16) -> Result<FieldRow> {
        let mut flags = if required { field_flag::REQUIRED } else { 0 };
        let mut default = None;
        match &schema["default"] {
            Value::Null => {}
            value if is_zero(value) => flags |= field_flag::EMITTED,
            value => default = Some(self.texts.add(&value.to_string())),
        }
        if schema["x-kubernetes-map-type"].as_str() == Some("granular") {
            flags |= field_flag::GRANULAR;
        }
        for strategy in schema["x-kubernetes-patch-strategy"].as_str().unwrap_or_default().split(',') {
            flags |= match strategy {
                "" => 0,
                "merge" => field_flag::MERGE,
                "retainKeys" => field_flag::RETAIN_KEYS,
                "replace" => field_flag::REPLACE,
                other => bail!("unknown patch strategy `{other}`"),
            };
        }
        let merge_key = schema["x-kubernetes-patch-merge-key"].as_str().map(|key| self.texts.add(key));
        Ok(FieldRow { name: self.texts.add(name), to: self.type_of(schema)?, flags, merge_key, default, number })
    }

    fn describe_list(&mut self, schema: &Value) -> Result<Type> {
        let to = self.type_of(&schema["items"])?;
        // Lists without a list type are what their patch strategy says.
        let merges = schema["x-kubernetes-patch-strategy"].as_str().is_some_and(|text| text.starts_with("merge"));
        let keys: Vec<&str> = match schema["x-kubernetes-list-type"].as_str() {
            Some("map") => schema["x-kubernetes-list-map-keys"]
                .as_array()
                .context("a map list without keys")?
                .iter()
                .filter_map(Value::as_str)
                .collect(),
            None if merges => schema["x-kubernetes-patch-merge-key"].as_str().into_iter().collect(),
            _ => Vec::new(),
        };
        let set = schema["x-kubernetes-list-type"].as_str() == Some("set")
            || (schema["x-kubernetes-list-type"].is_null() && merges && keys.is_empty());
        let flags = match (set, keys.is_empty()) {
            (true, _) => type_flag::SET,
            (false, true) => 0,
            (false, false) => type_flag::KEYED,
        };
        let (from, count) = self.list(keys.iter().copied());
        Ok(Type { tag: tag::LIST, flags, to, count: from, keys: count, ..Type::default() })
    }

    /// Start and length of a run of texts.
    fn list<'t>(&mut self, texts: impl Iterator<Item = &'t str>) -> (u16, u16) {
        let run: Vec<Text> = texts.map(|text| self.texts.add(text)).collect();
        if run.is_empty() {
            return (0, 0);
        }
        let count = run.len() as u16;
        if let Some(from) = self.known_lists.get(&run) {
            return (*from, count);
        }
        let from = self.lists.len() as u16;
        self.lists.extend(&run);
        self.known_lists.insert(run, from);
        (from, count)
    }

    fn strings<'v>(&mut self, value: &'v Value) -> (u16, u16) {
        self.list(
            value.as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<&'v str>>().into_iter(),
        )
    }

    fn build(mut self, discovery: &Path) -> Result<Vec<u8>> {
        let mut group_versions = vec![(String::new(), "v1".to_owned())];
        for group in read_json(&discovery.join("apis.json"))?["groups"].as_array().into_iter().flatten() {
            for version in group["versions"].as_array().into_iter().flatten() {
                let (group, version) = (&group["name"], &version["version"]);
                let both = group.as_str().zip(version.as_str()).context("apis.json: no names")?;
                group_versions.push((both.0.to_owned(), both.1.to_owned()));
            }
        }
        let mut resources = Vec::new();
        let mut subresources = Vec::new();
        let mut group_rows = Vec::new();
        let mut by_kind = HashMap::new();
        for (index, (group, version)) in group_versions.iter().enumerate() {
            let file =
                if group.is_empty() { "api__v1.json".to_owned() } else { format!("apis__{group}__{version}.json") };
            let document = read_json(&discovery.join(file))?;
            let from = resources.len() as u16;
            for row in document["resources"].as_array().into_iter().flatten() {
                let (name, kind) =
                    row["name"].as_str().zip(row["kind"].as_str()).context("a resource without names")?;
                let verbs = verbs(row)?;
                if let Some((_, subresource)) = name.split_once('/') {
                    // Discovery lists a resource right before what is below it, in the order of names; a few
                    // sort apart (`pods/…`, `podtemplates`), so they are found by name.
                    let group = row["group"].as_str().unwrap_or(group);
                    let version = row["version"].as_str().unwrap_or(version);
                    let texts = [subresource, group, version, kind].map(|text| self.texts.add(text));
                    subresources.push((name.split('/').next().unwrap_or(name).to_owned(), index, texts, verbs));
                    continue;
                }
                by_kind.insert((group.as_str(), version.as_str(), kind.to_owned()), resources.len() as u16);
                let singular = row["singularName"].as_str().unwrap_or_default();
                let flags = if row["namespaced"].as_bool() == Some(true) { resource_flag::NAMESPACED } else { 0 };
                resources.push(ResourceRow {
                    names: [name, singular, kind].map(|text| self.texts.add(text)),
                    group_version: index as u16,
                    flags,
                    verbs,
                    short_names: self.strings(&row["shortNames"]),
                    categories: self.strings(&row["categories"]),
                    subresources: (0, 0),
                    hash: row["storageVersionHash"].as_str().map(|hash| self.texts.add(hash)),
                });
            }
            let texts = [group, version].map(|text| self.texts.add(text));
            group_rows.push((texts, from, resources.len() as u16 - from));
        }
        let mut subresource_rows = Vec::new();
        for resource in &mut resources {
            let plural = &self.texts.list[resource.names[0]];
            let from = subresource_rows.len() as u16;
            let own = subresources
                .iter()
                .filter(|(of, index, ..)| of == plural && *index == usize::from(resource.group_version));
            subresource_rows.extend(own.map(|(_, _, texts, verbs)| (*texts, *verbs)));
            resource.subresources = (from, subresource_rows.len() as u16 - from);
        }
        let listed: u16 = resources.iter().map(|resource| resource.subresources.1).sum();
        ensure!(usize::from(listed) == subresources.len(), "a subresource without its resource");

        let kinds = self.kinds(&by_kind)?;
        Ok(self.write(&kinds, &group_rows, &resources, &subresource_rows))
    }

    /// Group, version, kind, type and resource of each kind, sorted. Options of requests belong to every
    /// group and are found by name instead.
    fn kinds(&mut self, by_kind: &HashMap<(&str, &str, String), u16>) -> Result<Vec<KindRow>> {
        let mut kinds = BTreeMap::new();
        for (name, schema) in self.definitions {
            for gvk in schema["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
                let [Some(group), Some(version), Some(kind)] =
                    ["group", "version", "kind"].map(|key| gvk[key].as_str())
                else {
                    bail!("definition {name} has an incomplete kind");
                };
                if ["DeleteOptions", "WatchEvent"].contains(&kind) && !(group.is_empty() && version == "v1") {
                    continue;
                }
                let resource = by_kind.get(&(group, version, kind.to_owned())).copied();
                kinds.insert((group.to_owned(), kind.to_owned(), version.to_owned()), (self.named[name], resource));
            }
        }
        let row = |((group, kind, version), (to, resource)): (_, (u16, Option<u16>))| {
            let (group, kind, version): (String, String, String) = (group, kind, version);
            ([&group, &version, &kind].map(|text| self.texts.add(text)), to, resource)
        };
        Ok(kinds.into_iter().map(row).collect())
    }

    fn write(
        &mut self,
        kinds: &[KindRow],
        groups: &[([Text; 2], u16, u16)],
        resources: &[ResourceRow],
        subresources: &[([Text; 4], u16)],
    ) -> Vec<u8> {
        let (sorted, place) = self.texts.sorted();
        let text = |text: Text| place[text];
        let optional = |text: Option<Text>| text.map_or(0, |text| place[text] + 1);
        let mut sections: [Vec<u8>; layout::SECTIONS] = Default::default();
        let [strings, texts, types, fields, lists, definitions, kind_rows, group_rows, resource_rows, subresource_rows] =
            &mut sections;
        for string in sorted {
            texts.extend(string.as_bytes());
            strings.extend((texts.len() as u32).to_le_bytes());
        }
        for row in &self.types {
            types.extend([row.tag, row.flags]);
            put(types, &[row.to, row.count, row.keys, optional(row.definition)]);
        }
        for row in &self.fields {
            let (merge_key, default) = (optional(row.merge_key), optional(row.default));
            put(fields, &[text(row.name), row.to, row.flags, merge_key, default, row.number]);
        }
        for entry in &self.lists {
            put(lists, &[text(*entry)]);
        }
        for name in self.definitions.keys() {
            put(definitions, &[text(self.texts.known[name]), self.named[name]]);
        }
        for ([group, version, kind], to, resource) in kinds {
            let resource = resource.map_or(0, |index| index + 1);
            put(kind_rows, &[text(*group), text(*version), text(*kind), *to, resource]);
        }
        for ([group, version], from, count) in groups {
            put(group_rows, &[text(*group), text(*version), *from, *count]);
        }
        for row in resources {
            put(resource_rows, &row.names.map(text));
            put(resource_rows, &[row.group_version, row.flags, row.verbs]);
            for (from, count) in [row.short_names, row.categories, row.subresources] {
                put(resource_rows, &[from, count]);
            }
            put(resource_rows, &[optional(row.hash)]);
        }
        for (texts, verbs) in subresources {
            put(subresource_rows, &texts.map(text));
            put(subresource_rows, &[*verbs]);
        }

        let mut bytes = layout::MAGIC.to_vec();
        let mut start = bytes.len() + (layout::SECTIONS + 1) * 4;
        for section in &sections {
            bytes.extend((start as u32).to_le_bytes());
            start += section.len();
        }
        bytes.extend((start as u32).to_le_bytes());
        bytes.extend(sections.concat());
        bytes
    }
}

fn put(section: &mut Vec<u8>, numbers: &[u16]) {
    section.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

fn verbs(row: &Value) -> Result<u16> {
    let names = row["verbs"].as_array().into_iter().flatten().filter_map(Value::as_str);
    names
        .map(|name| {
            let bit = layout::VERBS.iter().position(|verb| *verb == name);
            bit.map(|bit| 1 << bit).with_context(|| format!("unknown verb `{name}`"))
        })
        .sum()
}
