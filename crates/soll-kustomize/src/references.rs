//! Names that changed are changed wherever other objects refer to them.
//!
//! Candidates are found by their old name, so the work is linear in objects and references.

use std::rc::Rc;

use foldhash::{HashMap, HashMapExt as _, HashSet, HashSetExt as _};
use soll_yaml::{Data, Str, Value};

use crate::accumulate::Builder;
use crate::config::NameReference;
use crate::field_spec::{FieldSpec, Kinds, Leaf};
use crate::problem::Problem;
use crate::resource::{Called, History, Id, Resource};
use crate::resources::Resources;

/// Knows all names of a build, and where names stand.
pub(crate) struct Fixer<'c> {
    targets: Targets,
    /// Where objects of a kind hold names, and of what.
    by_kind: HashMap<&'c str, Vec<(&'c Kinds, &'c FieldSpec)>>,
    of_any_kind: Vec<(&'c Kinds, &'c FieldSpec)>,
}

impl<'c> Fixer<'c> {
    /// For objects that have their final names.
    pub(crate) fn new(resources: &Resources, references: &'c [NameReference]) -> Self {
        let mut by_kind: HashMap<&str, Vec<(&Kinds, &FieldSpec)>> = HashMap::new();
        for reference in references {
            for spec in &reference.referrers {
                by_kind.entry(&spec.kinds.kind).or_default().push((&reference.target, spec));
            }
        }
        // A name that never changed needs no fixing: only renamed objects are candidates. Paths are walked all the same,
        // because one that does not fit its object is a mistake.
        Self { targets: Targets::of(resources), of_any_kind: by_kind.remove("").unwrap_or_default(), by_kind }
    }

    /// Fixes what one object refers to.
    pub(crate) fn fix(&self, resource: &mut Resource, builder: &Builder<'_>) {
        let first = resource.first_gvk();
        let of_kind = self.by_kind.get(first.kind.as_str());
        let specs = of_kind.into_iter().flatten().chain(&self.of_any_kind);
        let specs: Vec<_> = specs.filter(|(_, spec)| spec.applies_to(&first)).collect();
        if specs.is_empty() {
            return;
        }
        let referrer = Referrer::of(resource);
        for (target, spec) in specs {
            let search = Search { targets: &self.targets, referrer: &referrer, target, spec };
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

/// An object that had another name before.
struct Target {
    now: Rc<Called>,
    before: Rc<History>,
}

impl Target {
    fn id(&self) -> &Id {
        &self.now.id
    }

    /// Whether it ever was of one of these kinds before.
    fn was(&self, kinds: &Kinds) -> bool {
        self.before.kinds().any(|kind| kinds.include_as(kind, &self.id().gvk))
    }

    /// The namespace in which it was read.
    fn first_namespace(&self) -> Str {
        let first = self.before.ids(&self.id().gvk).next();
        first.as_ref().unwrap_or(self.id()).effective_namespace()
    }
}

struct Referrer {
    before: Option<Rc<History>>,
    namespace: Str,
    is_cluster_scoped: bool,
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
        let renamed = resources.iter().filter(|resource| resource.history().is_some()).count();
        let mut targets = Self {
            by_first_namespace: HashMap::new(),
            list: Vec::with_capacity(renamed),
            by_old_name: HashMap::with_capacity(renamed),
        };
        for resource in resources.iter() {
            let now = resource.called();
            let standings = targets.by_first_namespace.entry(resource.first_id().effective_namespace()).or_default();
            standings.insert(Standing::of(&now.id));
            let Some(before) = resource.history() else { continue };
            let position = targets.list.len();
            for name in before.names() {
                let positions = targets.by_old_name.entry(name.clone()).or_default();
                if positions.last() != Some(&position) {
                    positions.push(position);
                }
            }
            targets.list.push(Target { now: Rc::clone(now), before: Rc::clone(before) });
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
        Self {
            before: resource.history().cloned(),
            namespace: id.effective_namespace(),
            is_cluster_scoped: id.gvk.is_cluster_scoped(),
            role,
            subjects,
        }
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
        let Some(target) = self.select(old, |_| true, |a, b| a.id().name == b.id().name)? else { return Ok(()) };
        if target.id().name.as_str() != old {
            set(field, &target.id().name, target, builder);
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
            Some(namespace) if is_original => target.first_namespace().as_str() == namespace,
            Some(namespace) => target.id().effective_namespace().as_str() == namespace,
        };
        let same = |a: &Target, b: &Target| a.id().name == b.id().name && a.id().namespace == b.id().namespace;
        let Some(target) = self.select(old, was_there, same)? else { return Ok(()) };
        let (old, new_namespace) = (old.to_owned(), target.id().namespace.clone());
        let map = field.make_map();
        if target.id().name.as_str() != old {
            set(map.get_or_insert_with("name", Value::null), &target.id().name, target, builder);
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
            candidates.filter(|target| self.is_of_kind(target) && self.may_mean(target) && is_fit(target)).collect();
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
                let ids: Vec<_> = several.iter().map(|target| target.id().to_string()).collect();
                Err(format!("found multiple possible referrals for `{name}`: {}", ids.join(", ")))
            }
        }
    }

    fn is_of_kind(&self, target: &Target) -> bool {
        let role = self.referrer.role.as_ref().filter(|_| self.spec.path.ends_with(&["roleRef", "name"]));
        target.was(self.target) && role.is_none_or(|role| target.was(role))
    }

    /// Whether the referrer may know of an object at all.
    fn sees(&self, standing: &Standing) -> bool {
        self.is_near(standing) || self.referrer.subjects.contains(standing.written.as_str())
    }

    /// Whether nothing about namespaces keeps the referrer from an object.
    fn is_near(&self, standing: &Standing) -> bool {
        let is_anywhere = self.referrer.is_cluster_scoped || standing.is_cluster_scoped;
        is_anywhere || standing.namespace == self.referrer.namespace
    }

    /// Of what a binding sees for the sake of its subjects, only accounts can be meant.
    fn may_mean(&self, target: &Target) -> bool {
        let is_account = target.id().gvk.kind.as_str() == "ServiceAccount";
        let standing = Standing::of(target.id());
        self.is_near(&standing) || (is_account && self.sees(&standing))
    }

    fn same_affixes(&self, target: &Target, or_none: bool) -> bool {
        let fits = |a: &[Str], b: &[Str]| (or_none && (a.is_empty() || b.is_empty())) || same_end(a, b);
        let own = |affixes: fn(&History) -> &[Str]| self.referrer.before.as_deref().map_or(&[][..], affixes);
        fits(target.before.prefixes(), own(History::prefixes)) && fits(target.before.suffixes(), own(History::suffixes))
    }
}

/// Says whether the shorter list is the end of the longer one.
fn same_end(a: &[Str], b: &[Str]) -> bool {
    let shorter = a.len().min(b.len());
    (shorter > 0 || a.len() == b.len()) && a[a.len() - shorter..] == b[b.len() - shorter..]
}

fn set(field: &mut Value, text: &Str, target: &Target, builder: &Builder<'_>) {
    let at = match target.now.name_at.is_none() {
        true => field.at,
        false => builder.sources.through(target.now.name_at, "name reference", field.at),
    };
    *field = Value::from(text.clone()).at(at);
}
