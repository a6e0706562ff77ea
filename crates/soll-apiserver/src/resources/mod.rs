//! What the server serves: one row per resource and version, builtins and CRDs alike.

mod builtin;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use soll_schema::Schemas;
use soll_yaml::{Str, Value};

use crate::crd::Custom;
use crate::store::Drawer;

/// One resource at one version: a row of the table that drives every request.
#[derive(Debug)]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: Str,
    /// Version.
    pub version: Str,
    /// Plural, as in URLs.
    pub plural: Str,
    /// Singular.
    pub singular: Str,
    /// Kind.
    pub kind: Str,
    /// Kind of its lists.
    pub list_kind: Str,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// Short names for command lines.
    pub short_names: Vec<Str>,
    /// Groups of resources for command lines: `all`.
    pub categories: Vec<Str>,
    /// What can be done with it, by name.
    pub verbs: Vec<&'static str>,
    /// What can be addressed below an object.
    pub subresources: Vec<Subresource>,
    /// Where its objects are stored; versions share it.
    pub drawer: Drawer,
    /// By this clients know how objects are stored.
    pub storage_hash: Option<String>,
    /// When `metadata.generation` counts up.
    pub generation: Generation,
    /// Set for custom resources.
    pub custom: Option<Arc<Custom>>,
}

/// What can be done with custom resources, in the order of discovery.
pub(crate) const ALL_VERBS: &[&str] =
    &["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];

/// What discovery says of a custom resource while its definition is being deleted.
pub(crate) const VERBS_OF_THE_LEAVING: &[&str] = &["delete", "deletecollection", "get", "list", "watch"];

/// What stands below an object in a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subresource {
    /// What controllers report.
    Status,
    /// The number of replicas, whatever the kind.
    Scale,
    /// The last step of deleting a namespace.
    Finalize,
    /// Removes a pod unless a budget forbids it.
    Eviction,
    /// Puts a pod on a node.
    Binding,
    /// Debug containers of a pod.
    EphemeralContainers,
    /// The sizes of a running pod.
    Resize,
    /// What a container printed.
    Log,
    /// Tokens of a service account.
    Token,
    /// The decision on a certificate request.
    Approval,
}

impl Subresource {
    /// The name in URLs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Scale => "scale",
            Self::Finalize => "finalize",
            Self::Eviction => "eviction",
            Self::Binding => "binding",
            Self::EphemeralContainers => "ephemeralcontainers",
            Self::Resize => "resize",
            Self::Log => "log",
            Self::Token => "token",
            Self::Approval => "approval",
        }
    }

    /// The names of the verbs as discovery lists them.
    #[must_use]
    pub fn verbs(self) -> &'static [&'static str] {
        match self {
            Self::Finalize => &["update"],
            Self::Eviction | Self::Binding | Self::Token => &["create"],
            Self::Log => &["get"],
            Self::Status | Self::Scale | Self::EphemeralContainers | Self::Resize | Self::Approval => {
                &["get", "patch", "update"]
            }
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [
            Self::Status,
            Self::Scale,
            Self::Finalize,
            Self::Eviction,
            Self::Binding,
            Self::EphemeralContainers,
            Self::Resize,
            Self::Log,
            Self::Token,
            Self::Approval,
        ]
        .into_iter()
        .find(|subresource| subresource.name() == name)
    }
}

/// Which changes count up `metadata.generation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// The kind has none.
    None,
    /// Changes of `spec`.
    Spec,
    /// Changes of `spec`; an object that was never changed has none.
    SpecOnceMade,
    /// Changes of `spec` or of annotations.
    SpecAndAnnotations,
    /// Changes outside of `metadata`, or of labels.
    ContentAndLabels,
    /// Changes outside of `metadata` and `status`.
    AllButStatus,
    /// Changes outside of `metadata`.
    All,
}

/// A path below an object as discovery tells of it.
#[derive(Debug, Clone)]
pub(crate) struct Below {
    pub(crate) name: &'static str,
    pub(crate) verbs: Vec<&'static str>,
    /// Kind of what is sent and answered there.
    pub(crate) kind: Str,
    /// Its group and version, if they are not the resource's.
    pub(crate) of: Option<(&'static str, &'static str)>,
}

impl Resource {
    /// `apps/v1`, or `v1` for the core group.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_string() } else { format!("{}/{}", self.group, self.version) }
    }

    /// Kind and group as messages about invalid objects name them: `Deployment.apps`.
    #[must_use]
    pub fn qualified_kind(&self) -> String {
        if self.group.is_empty() { self.kind.to_string() } else { format!("{}.{}", self.kind, self.group) }
    }

    /// `deployments.apps`, or `pods` for the core group.
    #[must_use]
    pub fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.to_string() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// The subresource with this name, if there is one.
    #[must_use]
    pub fn subresource(&self, name: &str) -> Option<Subresource> {
        let known = Subresource::parse(name)?;
        self.has(known).then_some(known)
    }

    /// Says whether there is such a subresource.
    #[must_use]
    pub fn has(&self, subresource: Subresource) -> bool {
        self.subresources.contains(&subresource)
    }

    /// The paths below its objects as discovery lists them: those that are answered, and those that would need a kubelet.
    #[must_use]
    pub(crate) fn below(&self) -> Vec<Below> {
        let own = (self.group.as_str(), self.version.as_str());
        if self.custom.is_some() {
            let below = self.subresources.iter().map(|sub| {
                let (kind, of) = match sub {
                    Subresource::Scale => (Str::from("Scale"), Some(("autoscaling", "v1"))),
                    _ => (self.kind.clone(), None),
                };
                Below { name: sub.name(), verbs: sub.verbs().to_vec(), kind, of }
            });
            return below.collect();
        }
        let known = Schemas::builtin().resource(&self.group, &self.version, &self.plural);
        let below = known.into_iter().flat_map(|known| known.subresources().collect::<Vec<_>>());
        below
            .map(|sub| {
                let (group, version, kind) = sub.kind();
                let of = Some((group, version)).filter(|of| *of != own);
                Below { name: sub.name(), verbs: sub.verbs().names(), kind: Str::from(kind), of }
            })
            .collect()
    }

    /// Says whether nothing is stored: a review is answered at once.
    #[must_use]
    pub fn is_review(&self) -> bool {
        self.verbs == ["create"]
    }

    /// Says whether the definition of this resource is being deleted.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.verbs == VERBS_OF_THE_LEAVING
    }

    /// Says whether a verb is answered.
    #[must_use]
    pub fn allows(&self, verb: &str) -> bool {
        self.verbs.contains(&verb)
    }

    /// What whoever asks for it is told, if it should no longer be used.
    pub(crate) fn deprecation(&self) -> Option<String> {
        if let Some(custom) = &self.custom {
            return custom.deprecation.clone();
        }
        let endpoints = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice";
        self.is("", "endpoints").then(|| endpoints.to_owned())
    }

    /// A stored object as this version writes it.
    #[must_use]
    pub fn present(&self, stored: &Value) -> Value {
        if self.drawer == builtin::EVENTS_DRAWER {
            return crate::kinds::event::present(self, stored);
        }
        if crate::kinds::autoscaler::is_of(self) {
            return crate::kinds::autoscaler::present(self, stored);
        }
        let mut object = stored.clone();
        if self.custom.is_some() && stored.lookup_str(&["apiVersion"]) != Some(&self.api_version()) {
            object.make_map().insert("apiVersion", Value::from(self.api_version()));
        }
        object
    }

    /// A stored object as readers see it: what it keeps for another day is hidden.
    #[must_use]
    pub fn shown(&self, stored: &Value) -> Value {
        let mut object = self.present(stored);
        if self.is("", "services") {
            crate::kinds::service::present(&mut object);
        }
        object
    }

    /// A stored object as the columns of tables are computed from it.
    #[must_use]
    pub(crate) fn tabled(&self, stored: &Value) -> Value {
        if crate::kinds::autoscaler::is_of(self) {
            return crate::kinds::autoscaler::with_metrics(stored);
        }
        self.present(stored)
    }

    /// Says whether this is the resource of that group and plural, at any version.
    #[must_use]
    pub fn is(&self, group: &str, plural: &str) -> bool {
        self.group == group && self.plural == plural
    }
}

/// The table of resources: readers clone a reference, CRDs replace it.
#[derive(Debug)]
pub struct Registry {
    /// Guards the swap of the reference.
    table: RwLock<Arc<Table>>,
}

/// The rows at one moment.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// By group, version and plural.
    rows: BTreeMap<(Str, Str, Str), Arc<Resource>>,
    /// Counts changes, for discovery's ETag.
    pub edition: u64,
}

impl Table {
    /// The row of a resource.
    #[must_use]
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        // Keys are compared field by field, so a borrowed probe needs owned parts; texts this short are cheap.
        self.rows.get(&(Str::from(group), Str::from(version), Str::from(plural)))
    }

    /// The row of a kind at a version.
    #[must_use]
    pub fn find_kind(&self, group: &str, version: &str, kind: &str) -> Option<&Arc<Resource>> {
        self.rows.values().find(|row| row.group == group && row.version == version && row.kind == kind)
    }

    /// All rows.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.rows.values()
    }

    /// A row of the resource whose objects are stored there.
    #[must_use]
    pub fn of_drawer(&self, drawer: &str) -> Option<Arc<Resource>> {
        self.rows.values().find(|row| row.drawer == drawer).cloned()
    }

    /// Whether Kubernetes itself has resources in a group.
    #[must_use]
    pub fn is_builtin(&self, group: &str) -> bool {
        self.rows.values().any(|row| row.group == group && row.custom.is_none())
    }

    /// The rows of one group and version.
    pub fn of_version(&self, group: &str, version: &str) -> impl Iterator<Item = &Arc<Resource>> {
        self.rows.values().filter(move |row| row.group == group && row.version == version)
    }

    /// The groups in the order of discovery, with their versions, the preferred version first.
    #[must_use]
    pub fn groups(&self) -> Vec<(Str, Vec<Str>)> {
        let mut groups: BTreeMap<Str, Vec<Str>> = BTreeMap::new();
        for row in self.rows.values() {
            let versions = groups.entry(row.group.clone()).or_default();
            if !versions.contains(&row.version) {
                versions.push(row.version.clone());
            }
        }
        for versions in groups.values_mut() {
            versions.sort_by_key(|version| std::cmp::Reverse(priority(version)));
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by_key(|(group, _)| std::cmp::Reverse(standing(group)));
        groups
    }
}

/// Which groups come first: where two have a resource of one name, clients take the one that stands higher. The numbers are those
/// of `groupPriorityMinimum` in the APIServices of Kubernetes; groups that stand alike are sorted by name.
fn standing(group: &str) -> u16 {
    match group {
        "apiregistration.k8s.io" => 20_000,
        "" => 18_000,
        "apps" => 17_800,
        "events.k8s.io" => 17_750,
        "authentication.k8s.io" => 17_700,
        "authorization.k8s.io" => 17_600,
        "autoscaling" => 17_500,
        "batch" => 17_400,
        "certificates.k8s.io" => 17_300,
        "networking.k8s.io" => 17_200,
        "policy" => 17_100,
        "rbac.authorization.k8s.io" => 17_000,
        "storage.k8s.io" => 16_800,
        "admissionregistration.k8s.io" | "apiextensions.k8s.io" => 16_700,
        "scheduling.k8s.io" => 16_600,
        "coordination.k8s.io" => 16_500,
        "node.k8s.io" => 16_300,
        "discovery.k8s.io" | "resource.k8s.io" => 16_200,
        "flowcontrol.apiserver.k8s.io" => 16_100,
        // Those of custom resources.
        _ => 1_000,
    }
}

/// Order of versions: stable before beta before alpha, newer before older.
pub(crate) fn priority(version: &str) -> (u8, u32, u32) {
    let Some(rest) = version.strip_prefix('v') else { return (0, 0, 0) };
    let digits = |text: &str| text.parse().unwrap_or(0);
    if let Some((major, minor)) = rest.split_once("beta") {
        return (2, digits(major), digits(minor));
    }
    if let Some((major, minor)) = rest.split_once("alpha") {
        return (1, digits(major), digits(minor));
    }
    match rest.parse() {
        Ok(major) => (3, major, 0),
        Err(_) => (0, 0, 0),
    }
}

impl Registry {
    /// The builtin resources.
    #[must_use]
    pub fn builtin() -> Self {
        let mut table = Table::default();
        for row in builtin::rows() {
            table.rows.insert((row.group.clone(), row.version.clone(), row.plural.clone()), Arc::new(row));
        }
        Self { table: RwLock::new(Arc::new(table)) }
    }

    /// A second registry with the same rows.
    #[must_use]
    pub(crate) fn fork(&self) -> Self {
        Self { table: RwLock::new(self.table()) }
    }

    /// The rows as they are now.
    #[must_use]
    pub fn table(&self) -> Arc<Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts the rows of one custom resource in the place of those it had.
    pub(crate) fn replace(&self, group: &str, plural: &str, rows: Vec<Resource>) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let next = Arc::make_mut(&mut table);
        next.rows.retain(|_, row| !row.is(group, plural));
        for row in rows {
            next.rows.insert((row.group.clone(), row.version.clone(), row.plural.clone()), Arc::new(row));
        }
        next.edition += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stable_versions_are_preferred() {
        let mut versions = vec!["v1alpha1", "v1beta2", "v1", "v2", "v2beta1"];
        versions.sort_by_key(|version| std::cmp::Reverse(priority(version)));
        assert_eq!(versions, ["v2", "v1", "v2beta1", "v1beta2", "v1alpha1"]);
    }

    #[test]
    fn rows_are_found_by_url_and_by_kind() {
        let table = Registry::builtin().table();
        let row = table.find("apps", "v1", "deployments").expect("builtin");
        assert_eq!(row.kind, "Deployment");
        assert!(row.has(Subresource::Scale) && row.namespaced);
        assert!(table.find_kind("", "v1", "Namespace").is_some_and(|row| !row.namespaced));
        assert!(table.find("apps", "v1beta1", "deployments").is_none());
    }
}
