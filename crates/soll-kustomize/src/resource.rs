//! One object under construction, and what it was called before.

use std::cell::OnceCell;
use std::fmt;
use std::rc::Rc;
use std::sync::LazyLock;

use soll_yaml::{At, Data, Str, Value};

use crate::provenance::Provenance;
use crate::scope;
use crate::shared::Shared;

/// What a resource is called: group, version, kind, name, and its namespace if it has one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Id {
    pub(crate) gvk: Gvk,
    pub(crate) name: Str,
    /// As written; see [`Id::effective_namespace`].
    pub(crate) namespace: Str,
}

/// Group, version and kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Gvk {
    pub(crate) group: Str,
    pub(crate) version: Str,
    pub(crate) kind: Str,
}

/// What a generated object does to one of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Behavior {
    #[default]
    Create,
    Replace,
    Merge,
}

/// An object on its way through the transformers.
#[derive(Clone)]
pub(crate) struct Resource {
    value: Value,
    /// What it is called now, since somebody asked: everything asks that, and to look into every object each time is what a
    /// build of thousands of them would wait for.
    called: OnceCell<Rc<Called>>,
    /// What it was called before; none if that is what it is called now.
    history: Option<Rc<History>>,
    /// Whether a generator made it.
    pub(crate) is_generated: bool,
    /// Whether the name gets a hash of the content.
    pub(crate) needs_hash: bool,
    pub(crate) behavior: Behavior,
    /// Texts that are one in several fields.
    pub(crate) shared: Shared,
    /// Whether a chart rendered to it.
    pub(crate) is_from_chart: bool,
    /// Whether it has gone through JSON, where texts lose the quotes they were written in.
    pub(crate) is_unquoted: bool,
    /// Paths of fields that a replacement has made: until it goes through JSON, what is written there has no type but what its
    /// text looks like.
    pub(crate) untyped: Vec<Str>,
    /// Variables that take their value from here.
    pub(crate) vars: Vec<Str>,
    /// Where it came from, if `buildMetadata` asks. Boxed, because hardly any build does, and all its objects pay for the field.
    pub(crate) origin: Option<Box<Provenance>>,
    /// What changed it, if `buildMetadata` asks.
    pub(crate) transformations: Vec<Provenance>,
}

/// What an object is called, and where that was written.
pub(crate) struct Called {
    pub(crate) id: Id,
    /// Nowhere if there is no name.
    pub(crate) name_at: At,
}

/// What an object was called on its way, and how its names came about.
#[derive(Clone)]
pub(crate) struct History {
    /// What it was called before each change of name, the first name first.
    previous: Vec<Id>,
    prefixes: Vec<Str>,
    suffixes: Vec<Str>,
}

/// Of what never had another name.
static NO_HISTORY: History = History { previous: Vec::new(), prefixes: Vec::new(), suffixes: Vec::new() };

/// The effective namespace of what has none.
static CLUSTER: LazyLock<Str> = LazyLock::new(|| "_non_namespaceable_".into());

/// The effective namespace of what names none.
static DEFAULT: LazyLock<Str> = LazyLock::new(|| "default".into());

impl Gvk {
    pub(crate) fn new(api_version: impl Into<Str>, kind: impl Into<Str>) -> Self {
        let api_version = api_version.into();
        let (group, version) = match api_version.split_once('/') {
            Some((group, version)) => (group.into(), version.into()),
            None => (Str::new(), api_version),
        };
        Self { group, version, kind: kind.into() }
    }

    pub(crate) fn of(value: &Value) -> Self {
        Self::new(text(value.get("apiVersion")), text(value.get("kind")))
    }

    /// Says whether this is one of what the selector describes.
    pub(crate) fn is_selected(&self, selector: &Self) -> bool {
        let fits = |wanted: &Str, found: &Str| wanted.is_empty() || wanted == found;
        fits(&selector.kind, &self.kind) && fits(&selector.group, &self.group) && fits(&selector.version, &self.version)
    }

    pub(crate) fn is_cluster_scoped(&self) -> bool {
        scope::is_cluster_scoped(self)
    }
}

impl Id {
    pub(crate) fn of(value: &Value) -> Self {
        Called::of(value).id
    }

    /// The namespace that tells objects apart: none and `default` are the same.
    pub(crate) fn effective_namespace(&self) -> Str {
        if self.gvk.is_cluster_scoped() {
            CLUSTER.clone()
        } else if self.namespace.is_empty() {
            DEFAULT.clone()
        } else {
            self.namespace.clone()
        }
    }

    /// With the effective namespace: equal keys name the same object.
    pub(crate) fn key(&self) -> Self {
        Self { namespace: self.effective_namespace(), ..self.clone() }
    }
}

impl Called {
    fn of(value: &Value) -> Self {
        let metadata = value.get("metadata");
        let field = |name: &str| metadata.and_then(|metadata| metadata.get(name));
        let (name, namespace) = (field("name"), field("namespace"));
        let id = Id { gvk: Gvk::of(value), name: text(name), namespace: text(namespace) };
        Self { id, name_at: name.map_or(At::NONE, |name| name.at) }
    }
}

impl History {
    /// What the object was called before, oldest first. Group and version are those of today: kustomize keeps no others.
    pub(crate) fn ids<'h>(&'h self, now: &'h Gvk) -> impl Iterator<Item = Id> + 'h {
        self.previous.iter().map(move |id| {
            let gvk = Gvk { kind: id.gvk.kind.clone(), ..now.clone() };
            Id { gvk, ..id.clone() }
        })
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &Str> {
        self.previous.iter().map(|id| &id.name)
    }

    /// The kinds that the object was of.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = &Str> {
        self.previous.iter().map(|id| &id.gvk.kind)
    }

    pub(crate) fn prefixes(&self) -> &[Str] {
        &self.prefixes
    }

    pub(crate) fn suffixes(&self) -> &[Str] {
        &self.suffixes
    }
}

impl fmt::Display for Id {
    /// `Deployment/apps/podinfo`, as failures name objects.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() || self.namespace == *CLUSTER {
            write!(f, "{}/{}", self.gvk.kind, self.name)
        } else {
            write!(f, "{}/{}/{}", self.gvk.kind, self.namespace, self.name)
        }
    }
}

impl Resource {
    pub(crate) fn new(value: Value) -> Self {
        Self {
            value,
            called: OnceCell::new(),
            history: None,
            is_generated: false,
            needs_hash: false,
            behavior: Behavior::default(),
            shared: Shared::default(),
            is_from_chart: false,
            is_unquoted: false,
            untyped: Vec::new(),
            vars: Vec::new(),
            origin: None,
            transformations: Vec::new(),
        }
    }

    /// The object.
    pub(crate) fn value(&self) -> &Value {
        &self.value
    }

    /// The object, at the end of its way.
    pub(crate) fn into_value(self) -> Value {
        self.value
    }

    /// The object, to be changed.
    pub(crate) fn value_mut(&mut self) -> &mut Value {
        self.called.take();
        &mut self.value
    }

    /// The object, to be changed at a path (`spec/replicas`, as field specs write it) and nowhere else.
    pub(crate) fn value_mut_at(&mut self, path: &str) -> &mut Value {
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        let keeps_its_name = match first {
            "" | "apiVersion" | "kind" => false,
            "metadata" => rest.starts_with("labels") || rest.starts_with("annotations"),
            _ => true,
        };
        if keeps_its_name { &mut self.value } else { self.value_mut() }
    }

    /// What it is called now.
    pub(crate) fn id(&self) -> &Id {
        &self.called().id
    }

    /// What it is called now, to be kept while that changes.
    pub(crate) fn called(&self) -> &Rc<Called> {
        self.called.get_or_init(|| Rc::new(Called::of(&self.value)))
    }

    /// What it was called before, to be kept while that changes; none if it has always been called the same.
    pub(crate) fn history(&self) -> Option<&Rc<History>> {
        self.history.as_ref()
    }

    fn past(&self) -> &History {
        self.history.as_deref().unwrap_or(&NO_HISTORY)
    }

    fn past_mut(&mut self) -> &mut History {
        Rc::make_mut(self.history.get_or_insert_with(|| Rc::new(NO_HISTORY.clone())))
    }

    /// What it was called when it was read.
    pub(crate) fn first_id(&self) -> Id {
        self.previous_ids().next().unwrap_or_else(|| self.id().clone())
    }

    /// Group, version and kind when it was read.
    pub(crate) fn first_gvk(&self) -> Gvk {
        let now = self.gvk().clone();
        match self.past().previous.first() {
            Some(id) => Gvk { kind: id.gvk.kind.clone(), ..now },
            None => now,
        }
    }

    /// What it was called before, oldest first; see [`History::ids`].
    pub(crate) fn previous_ids(&self) -> impl Iterator<Item = Id> + '_ {
        self.past().ids(self.gvk())
    }

    /// Everything it was ever called, now last.
    pub(crate) fn ids(&self) -> impl Iterator<Item = Id> + '_ {
        self.previous_ids().chain(std::iter::once_with(|| self.id().clone()))
    }

    /// Notes what it is called before that changes.
    pub(crate) fn remember_id(&mut self) {
        // The same name twice in a row tells nothing new.
        let id = self.id().key();
        if self.past().previous.last() != Some(&id) {
            push_one(&mut self.past_mut().previous, id);
        }
    }

    /// Notes a prefix that the name got.
    pub(crate) fn remember_prefix(&mut self, prefix: Str) {
        push_one(&mut self.past_mut().prefixes, prefix);
    }

    /// Notes a suffix that the name got.
    pub(crate) fn remember_suffix(&mut self, suffix: Str) {
        push_one(&mut self.past_mut().suffixes, suffix);
    }

    /// Has been called what another object was called.
    pub(crate) fn take_history_of(&mut self, other: &Self) {
        self.history.clone_from(&other.history);
    }

    pub(crate) fn gvk(&self) -> &Gvk {
        &self.id().gvk
    }

    pub(crate) fn kind(&self) -> &str {
        &self.gvk().kind
    }

    pub(crate) fn name(&self) -> &Str {
        &self.id().name
    }

    /// Where the object was written.
    pub(crate) fn at(&self) -> At {
        self.value.at
    }

    /// Sets a field of the metadata; an empty text removes it.
    pub(crate) fn set_metadata(&mut self, field: &str, text: Value) {
        let object = match field {
            "name" | "namespace" => self.value_mut(),
            _ => &mut self.value,
        };
        let metadata = object.make_map().get_or_insert_with("metadata", Value::map).make_map();
        if text.as_str().is_some_and(str::is_empty) {
            metadata.remove(field);
        } else {
            metadata.insert(field, text);
        }
    }

    /// Annotations are texts: kustomize writes them so, whatever they were, and drops the field if it is empty.
    pub(crate) fn write_annotations_as_text(&mut self, text: &dyn Fn(&Value) -> Str) {
        self.value_mut_at("metadata/annotations").make_map().get_or_insert_with("metadata", Value::map);
        self.write_metadata_as_text("annotations", text);
    }

    /// Makes labels or annotations texts.
    pub(crate) fn write_metadata_as_text(&mut self, field: &str, text: &dyn Fn(&Value) -> Str) {
        let Some(pairs) = self.value.lookup(&["metadata", field]) else { return };
        let Some(map) = pairs.as_map().filter(|map| !map.is_empty()) else {
            return self.set_metadata(field, "".into());
        };
        // What is written anew is no longer one with other fields.
        let parts = self.shared.is_any();
        if !parts && map.iter().all(|entry| entry.value.as_str().is_some()) {
            return;
        }
        let mut texts = map.clone();
        for (_, value) in texts.iter_mut().filter(|(_, value)| parts || value.as_str().is_none()) {
            *value = Value::from(Str::from(text(value).as_str())).at(value.at);
        }
        self.set_metadata(field, texts.into());
    }

    /// Whether kustomize keeps notes about the object in its annotations.
    pub(crate) fn has_notes(&self) -> bool {
        !self.past().previous.is_empty() || self.is_generated || self.is_from_chart || self.origin.is_some()
    }

    /// Loses the notes: somebody has replaced the annotations.
    pub(crate) fn forget_notes(&mut self) {
        self.history = None;
        self.is_generated = false;
        self.needs_hash = false;
        self.is_from_chart = false;
        self.behavior = Behavior::default();
        self.forget_provenance();
    }

    /// Loses where it came from and what changed it.
    pub(crate) fn forget_provenance(&mut self) {
        self.origin = None;
        self.transformations.clear();
    }

    /// Annotations that are `null` are gone once kustomize has put its notes there.
    pub(crate) fn forget_null_annotations(&mut self) {
        if self.value.lookup(&["metadata", "annotations"]).is_some_and(Value::is_null)
            && let Some(metadata) = self.value_mut().make_map().get_mut("metadata").and_then(Value::as_map_mut)
        {
            metadata.remove("annotations");
        }
    }

    /// Labels or annotations as pairs of text.
    pub(crate) fn pairs(&self, field: &str) -> impl Iterator<Item = (&Str, &str)> {
        let pairs = self.value.lookup(&["metadata", field]).and_then(Value::as_map);
        pairs.into_iter().flatten().filter_map(|entry| Some((&entry.key, entry.value.as_str()?)))
    }
}

/// Adds to a list without making room for more: one or two is all that most objects ever have.
fn push_one<T>(list: &mut Vec<T>, item: T) {
    list.reserve_exact(1);
    list.push(item);
}

/// What a field says; nothing if it is missing or no text.
fn text(field: Option<&Value>) -> Str {
    match field.map(|value| &value.data) {
        Some(Data::Str(text)) => text.clone(),
        _ => Str::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(api_version: &str, kind: &str, namespace: &str) -> Id {
        Id { gvk: Gvk::new(api_version, kind), name: "a".into(), namespace: namespace.into() }
    }

    #[test]
    fn no_namespace_means_default_but_not_for_the_cluster() {
        assert_eq!(id("v1", "Service", "").key(), id("v1", "Service", "default").key());
        assert_eq!(id("v1", "Namespace", "x").key(), id("v1", "Namespace", "").key());
        assert_ne!(id("v1", "Service", "x").key(), id("v1", "Service", "").key());
    }

    #[test]
    fn what_an_object_is_called_is_what_it_says() {
        let mut resource = Resource::new(Value::map());
        assert_eq!(resource.name(), "");
        resource.set_metadata("name", "a".into());
        assert_eq!(resource.name(), "a");
        resource.value_mut_at("spec/replicas").make_map().insert("spec", Value::map());
        assert_eq!(resource.name(), "a");
        resource.value_mut_at("kind").make_map().insert("kind", Value::from("Service"));
        assert_eq!(resource.kind(), "Service");
        resource.value_mut_at("metadata/namespace").make_map().insert("metadata", Value::map());
        assert_eq!(resource.name(), "");
    }

    #[test]
    fn empty_parts_of_a_selector_match_anything() {
        let deployment = Gvk::new("apps/v1", "Deployment");
        assert!(deployment.is_selected(&Gvk { kind: "Deployment".into(), ..Gvk::default() }));
        assert!(!deployment.is_selected(&Gvk { group: "batch".into(), ..Gvk::default() }));
    }
}
