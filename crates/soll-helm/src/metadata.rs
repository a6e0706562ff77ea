//! `Chart.yaml`.

use soll_semver::{Constraints, Version};
use soll_yaml::{Data, Map, Value};

/// What `Chart.yaml` says.
///
/// Text that is missing is empty, as in Helm.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata {
    /// `apiVersion`: `v1` or `v2`.
    pub api_version: String,
    /// `name`.
    pub name: String,
    /// `version`.
    pub version: String,
    /// `kubeVersion`, a range.
    pub kube_version: String,
    /// `description`.
    pub description: String,
    /// `type`: empty, `application` or `library`.
    pub kind: String,
    /// `keywords`.
    pub keywords: Vec<String>,
    /// `home`.
    pub home: String,
    /// `sources`.
    pub sources: Vec<String>,
    /// `icon`.
    pub icon: String,
    /// `appVersion`.
    pub app_version: String,
    /// `condition`.
    pub condition: String,
    /// `tags`.
    pub tags: String,
    /// `deprecated`.
    pub deprecated: bool,
    /// `annotations`, in the order of writing.
    pub annotations: Vec<(String, String)>,
    /// `maintainers`.
    pub maintainers: Vec<Maintainer>,
    /// `dependencies`, or those of `requirements.yaml`.
    pub dependencies: Vec<Dependency>,
}

/// One of `maintainers`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Maintainer {
    /// `name`.
    pub name: String,
    /// `email`.
    pub email: String,
    /// `url`.
    pub url: String,
}

/// One of `dependencies`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dependency {
    /// `name`; the alias once dependencies are resolved.
    pub name: String,
    /// `version`, a range.
    pub version: String,
    /// `repository`.
    pub repository: String,
    /// `condition`: paths of values, separated by commas.
    pub condition: String,
    /// `tags`.
    pub tags: Vec<String>,
    /// Whether the chart takes part.
    pub enabled: bool,
    /// `import-values`: text, or maps of `child` and `parent`.
    pub import_values: Vec<Value>,
    /// `alias`.
    pub alias: String,
}

impl Metadata {
    /// Reads a mapping over what is there already, as Go's decoder does: keys match whatever their case, scalars turn
    /// into text where text is asked for, and what is not known is ignored.
    ///
    /// # Errors
    /// What does not fit, in the words of Go's decoder.
    pub(crate) fn read(&mut self, value: &Value) -> Result<(), String> {
        let fields = Fields::of(value, "Metadata")?;
        fields.text("apiVersion", &mut self.api_version)?;
        fields.text("name", &mut self.name)?;
        fields.text("version", &mut self.version)?;
        fields.text("kubeVersion", &mut self.kube_version)?;
        fields.text("description", &mut self.description)?;
        fields.text("type", &mut self.kind)?;
        fields.texts("keywords", &mut self.keywords)?;
        fields.text("home", &mut self.home)?;
        fields.texts("sources", &mut self.sources)?;
        fields.text("icon", &mut self.icon)?;
        fields.text("appVersion", &mut self.app_version)?;
        fields.text("condition", &mut self.condition)?;
        fields.text("tags", &mut self.tags)?;
        fields.flag("deprecated", &mut self.deprecated)?;
        if let Some(annotations) = fields.get("annotations") {
            let Some(annotations) = annotations.as_map() else {
                return Err(fields.misfit("annotations", annotations, "map[string]string"));
            };
            for entry in annotations {
                let text =
                    scalar_text(&entry.value).ok_or_else(|| fields.misfit("annotations", &entry.value, "string"))?;
                self.annotations.push((entry.key.to_string(), text));
            }
        }
        if let Some(items) = fields.list("maintainers", "[]*chart.Maintainer")? {
            self.maintainers = items.iter().map(Maintainer::read).collect::<Result<_, _>>()?;
        }
        if let Some(items) = fields.list("dependencies", "[]*chart.Dependency")? {
            self.dependencies = items.iter().map(Dependency::read).collect::<Result<_, _>>()?;
        }
        Ok(())
    }

    /// Checks what Helm checks at loading, and turns odd white space and control characters out.
    ///
    /// # Errors
    /// The first thing wrong, in the words of Helm.
    pub(crate) fn validate(&mut self) -> Result<(), String> {
        for text in [
            &mut self.name,
            &mut self.description,
            &mut self.home,
            &mut self.icon,
            &mut self.condition,
            &mut self.tags,
            &mut self.app_version,
            &mut self.kube_version,
        ] {
            sanitize(text);
        }
        self.sources.iter_mut().chain(&mut self.keywords).for_each(sanitize);
        for maintainer in &mut self.maintainers {
            [&mut maintainer.name, &mut maintainer.email, &mut maintainer.url].into_iter().for_each(sanitize);
        }
        if self.api_version.is_empty() {
            return Err("chart.metadata.apiVersion is required".to_owned());
        }
        if self.name.is_empty() {
            return Err("chart.metadata.name is required".to_owned());
        }
        if self.name == "." || self.name == ".." {
            return Err(format!("chart.metadata.name {:?} is not allowed", self.name));
        }
        if self.name.contains('/') {
            return Err(format!("chart.metadata.name {:?} is invalid", self.name));
        }
        if self.version.is_empty() {
            return Err("chart.metadata.version is required".to_owned());
        }
        if Version::parse(&self.version).is_err() {
            return Err(format!("chart.metadata.version {:?} is invalid", self.version));
        }
        if !["", "application", "library"].contains(&self.kind.as_str()) {
            return Err("chart.metadata.type must be application or library".to_owned());
        }
        let mut keys: Vec<&str> = Vec::new();
        for dependency in &mut self.dependencies {
            dependency.validate()?;
            let key = if dependency.alias.is_empty() { &dependency.name } else { &dependency.alias };
            if keys.contains(&key.as_str()) {
                return Err(format!("more than one dependency with name or alias {key:?}"));
            }
            keys.push(key);
        }
        Ok(())
    }
}

impl Maintainer {
    fn read(value: &Value) -> Result<Self, String> {
        if value.is_null() {
            return Err("maintainers must not contain empty or null nodes".to_owned());
        }
        let fields = Fields::of(value, "Maintainer")?;
        let mut maintainer = Self::default();
        fields.text("name", &mut maintainer.name)?;
        fields.text("email", &mut maintainer.email)?;
        fields.text("url", &mut maintainer.url)?;
        Ok(maintainer)
    }
}

impl Dependency {
    pub(crate) fn read(value: &Value) -> Result<Self, String> {
        if value.is_null() {
            return Err("dependencies must not contain empty or null nodes".to_owned());
        }
        let fields = Fields::of(value, "Dependency")?;
        let mut dependency = Self::default();
        fields.text("name", &mut dependency.name)?;
        fields.text("version", &mut dependency.version)?;
        fields.text("repository", &mut dependency.repository)?;
        fields.text("condition", &mut dependency.condition)?;
        fields.texts("tags", &mut dependency.tags)?;
        fields.flag("enabled", &mut dependency.enabled)?;
        fields.text("alias", &mut dependency.alias)?;
        if let Some(items) = fields.list("import-values", "[]interface {}")? {
            dependency.import_values = items.to_vec();
        }
        Ok(dependency)
    }

    fn validate(&mut self) -> Result<(), String> {
        [&mut self.name, &mut self.version, &mut self.repository, &mut self.condition].into_iter().for_each(sanitize);
        self.tags.iter_mut().for_each(sanitize);
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if !self.alias.chars().all(is_plain) {
            return Err(format!("dependency {:?} has disallowed characters in the alias", self.name));
        }
        Ok(())
    }

    /// Says whether a chart is the one that is asked for.
    pub(crate) fn matches(&self, metadata: &Metadata) -> bool {
        self.name == metadata.name && is_compatible(&self.version, &metadata.version)
    }
}

/// Says whether a version is in a range. What cannot be read is not.
#[must_use]
pub fn is_compatible(range: &str, version: &str) -> bool {
    let (Ok(range), Ok(version)) = (Constraints::parse(range), Version::parse(version)) else { return false };
    range.check(&version)
}

/// Looks fields up whatever their case, an exact match first.
struct Fields<'v> {
    map: Option<&'v Map>,
    of: &'static str,
}

impl<'v> Fields<'v> {
    fn of(value: &'v Value, of: &'static str) -> Result<Self, String> {
        match &value.data {
            Data::Null => Ok(Self { map: None, of }),
            Data::Map(map) => Ok(Self { map: Some(map), of }),
            _ => Err(format!("json: cannot unmarshal {} into Go value of type chart.{of}", go_kind(value))),
        }
    }

    fn get(&self, name: &str) -> Option<&'v Value> {
        let map = self.map?;
        let value = map
            .get(name)
            .or_else(|| map.iter().find(|entry| entry.key.eq_ignore_ascii_case(name)).map(|entry| &entry.value))?;
        (!value.is_null()).then_some(value)
    }

    fn text(&self, name: &str, into: &mut String) -> Result<(), String> {
        let Some(value) = self.get(name) else { return Ok(()) };
        *into = scalar_text(value).ok_or_else(|| self.misfit(name, value, "string"))?;
        Ok(())
    }

    fn texts(&self, name: &str, into: &mut Vec<String>) -> Result<(), String> {
        let Some(items) = self.list(name, "[]string")? else { return Ok(()) };
        let texts = items.iter().map(|item| match item.data {
            Data::Null => Ok(String::new()),
            _ => scalar_text(item).ok_or_else(|| self.misfit(name, item, "string")),
        });
        *into = texts.collect::<Result<_, _>>()?;
        Ok(())
    }

    fn flag(&self, name: &str, into: &mut bool) -> Result<(), String> {
        let Some(value) = self.get(name) else { return Ok(()) };
        *into = value.as_bool().ok_or_else(|| self.misfit(name, value, "bool"))?;
        Ok(())
    }

    fn list(&self, name: &str, kind: &str) -> Result<Option<&'v [Value]>, String> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_list().map(Some).ok_or_else(|| self.misfit(name, value, kind))
    }

    fn misfit(&self, name: &str, value: &Value, kind: &str) -> String {
        let of = self.of;
        format!("json: cannot unmarshal {} into Go struct field {of}.{name} of type {kind}", go_kind(value))
    }
}

/// What Go's JSON decoder calls a value.
pub(crate) fn go_kind(value: &Value) -> &'static str {
    match value.data {
        Data::Null => "null",
        Data::Bool(_) => "bool",
        Data::Int(_) | Data::Float(_) => "number",
        Data::Str(_) => "string",
        Data::List(_) => "array",
        Data::Map(_) => "object",
    }
}

/// The text that a scalar turns into where text is asked for.
fn scalar_text(value: &Value) -> Option<String> {
    match &value.data {
        Data::Str(text) => Some(text.to_string()),
        Data::Bool(flag) => Some(flag.to_string()),
        Data::Int(number) => Some(number.to_string()),
        Data::Float(_) => Some(soll_yaml::to_json(value)),
        Data::Null | Data::List(_) | Data::Map(_) => None,
    }
}

/// White space becomes a space; control characters go.
fn sanitize(text: &mut String) {
    if text.chars().any(|c| c.is_control() || (c.is_whitespace() && c != ' ')) {
        *text = text
            .chars()
            .filter_map(|c| if c.is_whitespace() { Some(' ') } else { (!c.is_control()).then_some(c) })
            .collect();
    }
}
