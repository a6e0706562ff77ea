//! The kinds and resources that Kubernetes serves.

use crate::TypeRef;
use crate::layout::{self, Section, resource_flag};
use crate::table::{self, Record};

/// The builtin kinds of one Kubernetes minor version: 1.35.
#[derive(Debug, Clone, Copy)]
pub struct Schemas(());

/// One builtin kind at one version.
#[derive(Clone, Copy)]
pub struct KindInfo(Record);

/// What discovery says of one resource: an API type that has objects, or a virtual one (reviews).
#[derive(Clone, Copy)]
pub struct Resource(usize);

/// A path below a resource: `status`, `scale`.
#[derive(Clone, Copy)]
pub struct Subresource(Record);

/// A version of a group, with its resources.
#[derive(Clone, Copy)]
pub struct GroupVersion(Record);

/// Where objects of a kind live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// In namespaces.
    Namespaced,
    /// In the cluster as a whole.
    Cluster,
}

/// What can be done to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of the API")]
pub enum Verb {
    Create,
    Delete,
    DeleteCollection,
    Get,
    List,
    Patch,
    Update,
    Watch,
}

/// A set of verbs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verbs(u16);

/// Other names of a resource: short names or categories.
pub type Names = Vec<&'static str>;

static BUILTIN: Schemas = Schemas(());

impl Schemas {
    /// The compiled-in table.
    #[must_use]
    pub fn builtin() -> &'static Self {
        &BUILTIN
    }

    /// The minor version of Kubernetes that the table describes.
    #[must_use]
    pub fn minor(&self) -> u32 {
        35
    }

    /// A builtin kind at a version; the core group is the empty text.
    #[must_use]
    pub fn kind(&self, group: &str, version: &str, kind: &str) -> Option<KindInfo> {
        let all = 0..table::count(Section::Kinds, layout::KIND);
        let compare = |record: Record| {
            let found = (record.bytes(0), record.bytes(4), record.bytes(2));
            found.cmp(&(group.as_bytes(), kind.as_bytes(), version.as_bytes()))
        };
        let index = table::search(Section::Kinds, layout::KIND, all, compare)?;
        Some(KindInfo(table::record(Section::Kinds, layout::KIND, index)))
    }

    /// A builtin kind by `apiVersion` and `kind` as objects carry them.
    #[must_use]
    pub fn of(&self, api_version: &str, kind: &str) -> Option<KindInfo> {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        self.kind(group, version, kind)
    }

    /// A builtin kind at any version, the most stable first.
    #[must_use]
    pub fn kind_any_version(&self, group: &str, kind: &str) -> Option<KindInfo> {
        let mut found: Vec<_> = self.kinds().filter(|info| info.group() == group && info.kind() == kind).collect();
        found.sort_by_key(|info| !info.is_served_by_default());
        found.first().copied()
    }

    /// All builtin kinds, sorted by group, kind and version.
    pub fn kinds(&self) -> impl Iterator<Item = KindInfo> + use<> {
        let all = 0..table::count(Section::Kinds, layout::KIND);
        all.map(|index| KindInfo(table::record(Section::Kinds, layout::KIND, index)))
    }

    /// The type of a kind's objects at a version.
    #[must_use]
    pub fn type_of(&self, group: &str, version: &str, kind: &str) -> Option<TypeRef<'static>> {
        self.kind(group, version, kind).map(|info| info.type_ref())
    }

    /// The type by which a strategic merge patch merges objects of a kind at a version, former versions
    /// included: the lists of those that 1.21 still served merge as today's do.
    #[must_use]
    pub fn merge_type(&self, group: &str, version: &str, kind: &str) -> Option<TypeRef<'static>> {
        let today = match (group, version, kind) {
            ("batch", "v1beta1", "CronJob")
            | ("policy", "v1beta1", "PodDisruptionBudget")
            | ("admissionregistration.k8s.io", "v1beta1", "MutatingWebhookConfiguration")
            | ("admissionregistration.k8s.io", "v1beta1", "ValidatingWebhookConfiguration") => "v1",
            ("autoscaling", "v2beta1" | "v2beta2", "HorizontalPodAutoscaler") => "v2",
            _ => version,
        };
        self.type_of(group, today, kind)
    }

    /// A named type: `io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta`.
    #[must_use]
    pub fn definition(&self, name: &str) -> Option<TypeRef<'static>> {
        let all = 0..table::count(Section::Definitions, layout::DEFINITION);
        let index = table::search(Section::Definitions, layout::DEFINITION, all, |record| {
            record.bytes(0).cmp(name.as_bytes())
        })?;
        Some(TypeRef::table(table::record(Section::Definitions, layout::DEFINITION, index).u16(2)))
    }

    /// All named types by name.
    pub fn definitions(&self) -> impl Iterator<Item = (&'static str, TypeRef<'static>)> + use<> {
        let all = 0..table::count(Section::Definitions, layout::DEFINITION);
        all.map(|index| {
            let record = table::record(Section::Definitions, layout::DEFINITION, index);
            (record.text(0), TypeRef::table(record.u16(2)))
        })
    }

    /// The versions of all groups in the order of discovery.
    pub fn group_versions(&self) -> impl Iterator<Item = GroupVersion> + use<> {
        let all = 0..table::count(Section::GroupVersions, layout::GROUP_VERSION);
        all.map(|index| GroupVersion(table::record(Section::GroupVersions, layout::GROUP_VERSION, index)))
    }

    /// A resource by the plural name that URLs carry.
    #[must_use]
    pub fn resource(&self, group: &str, version: &str, plural: &str) -> Option<Resource> {
        let of = self.group_versions().find(|gv| gv.group() == group && gv.version() == version)?;
        of.resources().find(|resource| resource.plural() == plural)
    }

    /// Where objects of a builtin kind live, whatever the version; `None` for kinds unknown here, custom
    /// ones among them.
    ///
    /// Knows the kinds that old manifests still name and no server serves any more.
    #[must_use]
    pub fn scope(&self, group: &str, kind: &str) -> Option<Scope> {
        let resource = self.kind_any_version(group, kind).and_then(|info| info.resource());
        resource.map(Resource::scope).or_else(|| former_scope(group, kind))
    }
}

/// Kinds that were removed: cluster-scoped ones, and the groups that others moved out of.
fn former_scope(group: &str, kind: &str) -> Option<Scope> {
    match (group, kind) {
        ("policy" | "extensions", "PodSecurityPolicy") => Some(Scope::Cluster),
        ("extensions", "Ingress" | "Deployment" | "DaemonSet" | "ReplicaSet" | "NetworkPolicy") => {
            Some(Scope::Namespaced)
        }
        _ => None,
    }
}

impl KindInfo {
    /// API group; empty for the core group.
    #[must_use]
    pub fn group(&self) -> &'static str {
        self.0.text(0)
    }

    /// API version without the group.
    #[must_use]
    pub fn version(&self) -> &'static str {
        self.0.text(2)
    }

    /// Kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.0.text(4)
    }

    /// The type of its objects.
    #[must_use]
    pub fn type_ref(&self) -> TypeRef<'static> {
        TypeRef::table(self.0.u16(6))
    }

    /// Its resource; lists and option kinds have none.
    #[must_use]
    pub fn resource(&self) -> Option<Resource> {
        self.0.u16(8).checked_sub(1).map(|index| Resource(index.into()))
    }

    /// Says whether an API server serves this version without being told to.
    #[must_use]
    pub fn is_served_by_default(&self) -> bool {
        is_stable(self.version())
    }
}

impl std::fmt::Debug for KindInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{} {}", self.group(), self.version(), self.kind())
    }
}

/// Since 1.24 new alpha and beta versions are off by default, and the last older ones are gone.
fn is_stable(version: &str) -> bool {
    !version.contains("alpha") && !version.contains("beta")
}

impl GroupVersion {
    /// API group; empty for the core group.
    #[must_use]
    pub fn group(&self) -> &'static str {
        self.0.text(0)
    }

    /// API version without the group.
    #[must_use]
    pub fn version(&self) -> &'static str {
        self.0.text(2)
    }

    /// Its resources in the order of discovery.
    pub fn resources(&self) -> impl Iterator<Item = Resource> + use<> {
        let from = usize::from(self.0.u16(4));
        (from..from + usize::from(self.0.u16(6))).map(Resource)
    }

    /// Says whether an API server serves this version without being told to.
    #[must_use]
    pub fn is_served_by_default(&self) -> bool {
        is_stable(self.version())
    }
}

impl Resource {
    fn record(self) -> Record {
        table::record(Section::Resources, layout::RESOURCE, self.0)
    }

    /// The name in URLs: `deployments`.
    #[must_use]
    pub fn plural(self) -> &'static str {
        self.record().text(0)
    }

    /// The name for one: `deployment`.
    #[must_use]
    pub fn singular(self) -> &'static str {
        self.record().text(2)
    }

    /// Kind of its objects.
    #[must_use]
    pub fn kind(self) -> &'static str {
        self.record().text(4)
    }

    /// Its group and version.
    #[must_use]
    pub fn group_version(self) -> GroupVersion {
        let index = usize::from(self.record().u16(6));
        GroupVersion(table::record(Section::GroupVersions, layout::GROUP_VERSION, index))
    }

    /// Where its objects live.
    #[must_use]
    pub fn scope(self) -> Scope {
        if self.record().u16(8) & resource_flag::NAMESPACED != 0 { Scope::Namespaced } else { Scope::Cluster }
    }

    /// What can be done to it.
    #[must_use]
    pub fn verbs(self) -> Verbs {
        Verbs(self.record().u16(10))
    }

    /// `deploy` for `deployments`.
    #[must_use]
    pub fn short_names(self) -> Names {
        let record = self.record();
        table::texts(record.u16(12), record.u16(14)).collect()
    }

    /// Groups of resources that it belongs to: `all`, `api-extensions`.
    #[must_use]
    pub fn categories(self) -> Names {
        let record = self.record();
        table::texts(record.u16(16), record.u16(18)).collect()
    }

    /// The paths below it.
    pub fn subresources(self) -> impl Iterator<Item = Subresource> {
        let record = self.record();
        let from = usize::from(record.u16(20));
        (from..from + usize::from(record.u16(22)))
            .map(|index| Subresource(table::record(Section::Subresources, layout::SUBRESOURCE, index)))
    }

    /// One path below it.
    #[must_use]
    pub fn subresource(self, name: &str) -> Option<Subresource> {
        self.subresources().find(|subresource| subresource.name() == name)
    }

    /// The hash by which clients know how the server stores it.
    #[must_use]
    pub fn storage_version_hash(self) -> Option<&'static str> {
        self.record().optional_text(24)
    }
}

impl std::fmt::Debug for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let gv = self.group_version();
        write!(f, "{}/{}/{}", gv.group(), gv.version(), self.plural())
    }
}

impl Subresource {
    /// The name in URLs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.text(0)
    }

    /// Group, version and kind of what is sent and answered there.
    #[must_use]
    pub fn kind(&self) -> (&'static str, &'static str, &'static str) {
        (self.0.text(2), self.0.text(4), self.0.text(6))
    }

    /// What can be done to it.
    #[must_use]
    pub fn verbs(&self) -> Verbs {
        Verbs(self.0.u16(8))
    }
}

impl Verb {
    const ALL: [Self; 8] = [
        Self::Create,
        Self::Delete,
        Self::DeleteCollection,
        Self::Get,
        Self::List,
        Self::Patch,
        Self::Update,
        Self::Watch,
    ];

    /// As discovery and RBAC write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        layout::VERBS[self as usize]
    }
}

impl Verbs {
    /// Says whether the verb is among them.
    #[must_use]
    pub fn contains(self, verb: Verb) -> bool {
        self.0 & (1 << verb as u16) != 0
    }

    /// The verbs by name.
    pub fn iter(self) -> impl Iterator<Item = Verb> {
        Verb::ALL.into_iter().filter(move |verb| self.contains(*verb))
    }

    /// The names of the verbs, sorted.
    #[must_use]
    pub fn names(self) -> Names {
        self.iter().map(Verb::name).collect()
    }
}
