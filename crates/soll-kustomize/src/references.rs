//! Names that changed are changed wherever other objects refer to them.
//!
//! Candidates are found by their old name, so the work is linear in objects and references.

use foldhash::{HashMap, HashMapExt as _, HashSet, HashSetExt as _};
use soll_yaml::{At, Data, Str, Value};

use crate::accumulate::Builder;
use crate::config::NameReference;
use crate::field_spec::{FieldSpec, Kinds, Leaf};
use crate::problem::Problem;
use crate::resource::{Id, Resource};
use crate::resources::Resources;

/// Fixes all references of the build.
pub(crate) fn fix(resources: &mut Resources, references: &[NameReference], builder: &Builder<'_>) {
    // A name that never changed needs no fixing: only renamed objects are candidates. Paths are walked all the same,
    // because one that does not fit its object is a mistake.
    let targets = Targets::of(resources);
    let mut by_kind: HashMap<&str, Vec<(&Kinds, &FieldSpec)>> = HashMap::new();
    for reference in references {
        for spec in &reference.referrers {
            by_kind.entry(&spec.kinds.kind).or_default().push((&reference.target, spec));
        }
    }
    let any_kind = by_kind.remove("").unwrap_or_default();
    for resource in resources.contents_mut() {
        let first = resource.first_id();
        let own_kind = by_kind.get(first.gvk.kind.as_str());
        let specs = own_kind.into_iter().flatten().chain(&any_kind);
        let specs: Vec<_> = specs.filter(|(_, spec)| spec.applies_to(&first.gvk)).collect();
        if specs.is_empty() {
            continue;
        }
        let referrer = Referrer::of(resource);
        for (target, spec) in specs {
            let search = Search { targets: &targets, referrer: &referrer, target, spec };
            let mut errors = Vec::new();
            let result = spec.visit(resource, Leaf::Existing, &mut |field| {
                if let Err(message) = search.fix(field, builder) {
                    errors.push((message, field.at));
                }
            });
            for (message, at) in errors.into_iter().chain(result.err()) {
                builder.problems.push(Problem::new(at, message).of(resource.id()));
            }
        }
    }
}

/// The objects that may be referred to by an old name.
struct Targets {
    /// By the namespaces in which objects were read: where and what these are now.
    by_first_namespace: HashMap<Str, HashSet<Standing>>,
    list: Vec<Target>,
    by_old_name: HashMap<Str, Vec<usize>>,
}

/// What decides who may refer to an object.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Standing {
    namespace: Str,
    /// As written; empty if it is not.
    written: Str,
    is_cluster_scoped: bool,
}

impl Standing {
    fn of(id: &Id) -> Self {
        Self {
            namespace: id.effective_namespace(),
            written: id.namespace.clone(),
            is_cluster_scoped: id.gvk.is_cluster_scoped(),
        }
    }
}

struct Target {
    now: Id,
    standing: Standing,
    namespace: Str,
    name_at: At,
    previous: Vec<Id>,
    prefixes: Vec<Str>,
    suffixes: Vec<Str>,
}

struct Referrer {
    id: Id,
    namespace: Str,
    prefixes: Vec<Str>,
    suffixes: Vec<Str>,
    role: Option<Kinds>,
    /// Namespaces of a RoleBinding's subjects.
    subjects: HashSet<String>,
}

struct Search<'s> {
    targets: &'s Targets,
    referrer: &'s Referrer,
    target: &'s Kinds,
    spec: &'s FieldSpec,
}

impl Targets {
    fn of(resources: &Resources) -> Self {
        let mut targets = Self { by_first_namespace: HashMap::new(), list: Vec::new(), by_old_name: HashMap::new() };
        for resource in resources.iter() {
            let now = resource.id();
            let standings = targets.by_first_namespace.entry(resource.first_id().effective_namespace()).or_default();
            standings.insert(Standing::of(now));
            if resource.previous.is_empty() {
                continue;
            }
            let position = targets.list.len();
            for id in &resource.previous {
                let positions = targets.by_old_name.entry(id.name.clone()).or_default();
                if positions.last() != Some(&position) {
                    positions.push(position);
                }
            }
            targets.list.push(Target {
                standing: Standing::of(now),
                namespace: now.effective_namespace(),
                now: now.clone(),
                name_at: resource.value().lookup(&["metadata", "name"]).map_or(At::NONE, |name| name.at),
                previous: resource.previous_ids().collect(),
                prefixes: resource.prefixes.clone(),
                suffixes: resource.suffixes.clone(),
            });
        }
        targets
    }
}

impl Referrer {
    fn of(resource: &Resource) -> Self {
        let id = resource.id();
        let role = resource.value().get("roleRef").and_then(|role| {
            let part = |name: &str| role.lookup_str(&[name]).map(|part| part.to_owned().into());
            Some(Kinds { group: part("apiGroup")?, version: "".into(), kind: part("kind")? })
        });
        let mut subjects = HashSet::new();
        if id.gvk.kind.as_str() == "RoleBinding" {
            for subject in resource.value().get("subjects").and_then(Value::as_list).unwrap_or_default() {
                if subject.lookup_str(&["kind"]) == Some("ServiceAccount") {
                    subjects.extend(subject.lookup_str(&["namespace"]).map(str::to_owned));
                }
            }
        }
        let (prefixes, suffixes) = (resource.prefixes.clone(), resource.suffixes.clone());
        Self { namespace: id.effective_namespace(), id: id.clone(), prefixes, suffixes, role, subjects }
    }
}

impl Search<'_> {
    /// Fixes a name, a map with name and namespace, or a list of either.
    fn fix(&self, field: &mut Value, builder: &Builder<'_>) -> Result<(), String> {
        match &field.data {
            Data::Null => Ok(()),
            Data::Str(_) | Data::Bool(_) | Data::Int(_) | Data::Float(_) => self.fix_name(field, builder),
            Data::Map(_) => self.fix_map(field, builder),
            Data::List(items) => {
                if !items.iter().any(|item| self.may_refer(item)) {
                    return Ok(());
                }
                field.as_list_mut().into_iter().flatten().try_for_each(|item| self.fix(item, builder))
            }
        }
    }

    fn may_refer(&self, item: &Value) -> bool {
        let name = item.as_str().or_else(|| item.lookup_str(&["name"]));
        name.is_some_and(|name| self.targets.by_old_name.contains_key(name))
    }

    fn fix_name(&self, field: &mut Value, builder: &Builder<'_>) -> Result<(), String> {
        let Some(old) = field.as_str() else { return Ok(()) };
        let Some(target) = self.select(old, |_| true, |a, b| a.now.name == b.now.name)? else { return Ok(()) };
        if target.now.name.as_str() != old {
            set(field, &target.now.name, target, builder);
        }
        Ok(())
    }

    fn fix_map(&self, field: &mut Value, builder: &Builder<'_>) -> Result<(), String> {
        let Some(old) = field.lookup_str(&["name"]) else {
            return match field.get("name") {
                Some(_) => Ok(()),
                None => Err(format!("path config error; no 'name' field in `{}`", self.spec.path_text())),
            };
        };
        let namespace = field.lookup_str(&["namespace"]).map(str::to_owned);
        // If anything at all was read in that namespace, only what was read there counts.
        let is_original = namespace.as_deref().and_then(|namespace| self.targets.by_first_namespace.get(namespace));
        let is_original = is_original.is_some_and(|known| known.iter().any(|standing| self.sees(standing)));
        let was_there = |target: &Target| match &namespace {
            None => true,
            Some(namespace) if is_original => {
                let first = target.previous.first().map_or_else(|| target.namespace.clone(), Id::effective_namespace);
                first.as_str() == namespace
            }
            Some(namespace) => target.namespace.as_str() == namespace,
        };
        let same = |a: &Target, b: &Target| a.now.name == b.now.name && a.now.namespace == b.now.namespace;
        let Some(target) = self.select(old, was_there, same)? else { return Ok(()) };
        let (old, new_namespace) = (old.to_owned(), target.now.namespace.clone());
        let map = field.make_map();
        if target.now.name.as_str() != old {
            set(map.get_or_insert_with("name", Value::null), &target.now.name, target, builder);
        }
        if !new_namespace.is_empty() && namespace.as_deref() != Some(new_namespace.as_str()) {
            set(map.get_or_insert_with("namespace", Value::null), &new_namespace, target, builder);
        }
        Ok(())
    }

    /// The one object that a name means, by the rules of kustomize; none if it means nothing that changed.
    fn select(
        &self,
        name: &str,
        is_fit: impl Fn(&Target) -> bool,
        same: impl Fn(&Target, &Target) -> bool,
    ) -> Result<Option<&Target>, String> {
        let Some(positions) = self.targets.by_old_name.get(name) else { return Ok(None) };
        let candidates = positions.iter().map(|position| &self.targets.list[*position]);
        let mut candidates: Vec<&Target> =
            candidates.filter(|target| self.may_mean(target) && self.is_of_kind(target) && is_fit(target)).collect();
        if candidates.len() > 1 {
            candidates.retain(|target| self.same_affixes(target, true));
        }
        if candidates.len() > 1 {
            candidates.retain(|target| self.same_affixes(target, false));
        }
        match candidates.as_slice() {
            [] => Ok(None),
            [first, rest @ ..] if rest.iter().all(|other| same(first, other)) => Ok(Some(first)),
            several => {
                let ids: Vec<_> = several.iter().map(|target| target.now.to_string()).collect();
                Err(format!("found multiple possible referrals for `{name}`: {}", ids.join(", ")))
            }
        }
    }

    fn is_of_kind(&self, target: &Target) -> bool {
        let role = self.referrer.role.as_ref().filter(|_| self.spec.path.ends_with(&["roleRef", "name"]));
        let selected = |wanted: &Kinds| target.previous.iter().any(|id| wanted.includes(&id.gvk));
        selected(self.target) && role.is_none_or(selected)
    }

    /// Whether the referrer may know of an object at all.
    fn sees(&self, standing: &Standing) -> bool {
        self.is_near(standing) || self.referrer.subjects.contains(standing.written.as_str())
    }

    /// Whether nothing about namespaces keeps the referrer from an object.
    fn is_near(&self, standing: &Standing) -> bool {
        let is_anywhere = self.referrer.id.gvk.is_cluster_scoped() || standing.is_cluster_scoped;
        is_anywhere || standing.namespace == self.referrer.namespace
    }

    /// Of what a binding sees for the sake of its subjects, only accounts can be meant.
    fn may_mean(&self, target: &Target) -> bool {
        let is_account = target.now.gvk.kind.as_str() == "ServiceAccount";
        self.is_near(&target.standing) || (is_account && self.sees(&target.standing))
    }

    fn same_affixes(&self, target: &Target, or_none: bool) -> bool {
        let fits = |a: &[Str], b: &[Str]| (or_none && (a.is_empty() || b.is_empty())) || same_end(a, b);
        fits(&target.prefixes, &self.referrer.prefixes) && fits(&target.suffixes, &self.referrer.suffixes)
    }
}

/// Says whether the shorter list is the end of the longer one.
fn same_end(a: &[Str], b: &[Str]) -> bool {
    let shorter = a.len().min(b.len());
    (shorter > 0 || a.len() == b.len()) && a[a.len() - shorter..] == b[b.len() - shorter..]
}

fn set(field: &mut Value, text: &Str, target: &Target, builder: &Builder<'_>) {
    let at = match target.name_at.is_none() {
        true => field.at,
        false => builder.sources.through(target.name_at, "name reference", field.at),
    };
    *field = Value::from(text.clone()).at(at);
}
