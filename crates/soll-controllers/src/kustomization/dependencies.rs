//! `dependsOn`: whether everything that must come first is ready.

use soll_api::{Class, Failure, Kustomization, Object, ObjectRef, Resource, Retry, types};
use soll_plan::ReadyExpression;

use crate::{Key, Kind};

/// What a check of dependencies reads: the newest known state of a Kustomization.
pub(super) type Find<'a> = &'a dyn Fn(&Key) -> Option<Object>;

/// Checks that every dependency is ready for this revision.
///
/// # Errors
/// The first that is not, to be tried again after `retry`; or an expression that is no CEL, which only a change helps.
pub(super) fn check(
    ks: &Kustomization,
    object: &Object,
    revision: &str,
    retry: std::time::Duration,
    find: Find<'_>,
) -> Result<(), Failure> {
    let not_ready =
        |message: String| Failure::new(Class::Dependency, "DependencyNotReady", message, Retry::After(retry));
    for (index, (spec, reference)) in ks.spec.depends_on.iter().zip(ks.dependencies()).enumerate() {
        let named = format!("dependency '{}/{}'", reference.namespace, reference.name);
        let Some(found) = find(&key(&reference)) else {
            return Err(not_ready(format!("{named} not found")));
        };
        let dependency = Kustomization::from_object(&found)
            .map_err(|error| not_ready(format!("{named} cannot be read: {error}")))?;
        if let Some(expression) = &spec.ready_expr {
            let holds = ReadyExpression::new(expression, index)?.holds(object.value(), found.value());
            match holds {
                Ok(true) => {}
                Ok(false) => return Err(not_ready(format!("{named} is not ready according to readyExpr"))),
                Err(problem) => return Err(not_ready(format!("{named} readyExpr failed: {problem}"))),
            }
        } else if !is_ready(&dependency) {
            let cycle = cycle(ks, find).map(|cycle| format!(": {cycle}")).unwrap_or_default();
            return Err(not_ready(format!("{named} is not ready{cycle}")));
        }
        if dependency.source() == ks.source() && dependency.status.last_applied_revision.as_deref() != Some(revision) {
            return Err(not_ready(format!("{named} revision is not up to date")));
        }
    }
    Ok(())
}

/// Ready for what its spec says now.
fn is_ready(ks: &Kustomization) -> bool {
    ks.status.observed_generation == ks.metadata.generation && ks.status.conditions.is_true(types::READY)
}

/// The circle that a Kustomization is part of, if it is: it would wait for itself for ever.
///
/// Walks the dependencies depth first. A chain may be as long as there are Kustomizations, so the way is kept in a list, each
/// step with what is left to try from there.
fn cycle(ks: &Kustomization, find: Find<'_>) -> Option<String> {
    let goal = ks.object_ref();
    let mut seen = std::collections::HashSet::new();
    let left = |ks: &Kustomization| ks.dependencies().collect::<Vec<_>>().into_iter();
    let mut path = vec![(goal.clone(), left(ks))];
    while let Some((_, rest)) = path.last_mut() {
        let Some(next) = rest.next() else {
            path.pop();
            continue;
        };
        if next == goal {
            let steps = path.iter().map(|(step, _)| step).chain([&goal]);
            let names: Vec<_> = steps.map(|step| format!("{}/{}", step.namespace, step.name)).collect();
            return Some(format!("the dependencies form a circle: {}", names.join(" -> ")));
        }
        let found = seen.insert(next.clone()).then(|| find(&key(&next))).flatten();
        if let Some(dependency) = found.and_then(|object| Kustomization::from_object(&object).ok()) {
            path.push((next, left(&dependency)));
        }
    }
    None
}

fn key(reference: &ObjectRef) -> Key {
    Key::new(Kind::Kustomization, &reference.namespace, &reference.name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use soll_yaml::parse_json;
    use std::collections::HashMap;

    /// An object with dependencies, of a source, and with a status.
    fn object(name: &str, depends_on: &str, source: &str, status: &str) -> Object {
        let text = format!(
            r#"{{"apiVersion":"kustomize.toolkit.fluxcd.io/v1","kind":"Kustomization",
                "metadata":{{"name":"{name}","namespace":"apps","generation":2}},
                "spec":{{"interval":"1m","prune":true,"sourceRef":{{"kind":"GitRepository","name":"{source}"}},
                "dependsOn":[{depends_on}]}},"status":{status}}}"#
        );
        Object::new(parse_json(text.as_bytes()).unwrap()).unwrap()
    }

    fn status(observed: i64, ready: &str, revision: &str) -> String {
        format!(
            r#"{{"observedGeneration":{observed},"lastAppliedRevision":"{revision}","conditions":[{{"type":"Ready",
            "status":"{ready}","reason":"R","message":"m","lastTransitionTime":"2026-01-01T00:00:00Z"}}]}}"#
        )
    }

    /// Why `app` may not go on at revision `r2`, or that it may.
    fn check(depends_on: &str, others: &[Object]) -> String {
        let app = object("app", depends_on, "s", "{}");
        let ks = Kustomization::from_object(&app).unwrap();
        let all: HashMap<_, _> = others
            .iter()
            .chain([&app])
            .map(|object| (Key::new(Kind::Kustomization, "apps", object.name()), object.clone()))
            .collect();
        let find = |key: &Key| all.get(key).cloned();
        match super::check(&ks, &app, "r2", std::time::Duration::from_secs(30), &find) {
            Ok(()) => "goes on".to_owned(),
            Err(failure) => failure.message,
        }
    }

    #[test]
    fn a_dependency_must_be_ready_for_its_spec_and_for_the_revision_of_a_shared_source() {
        let one = r#"{"name":"db"}"#;
        assert_eq!(check("", &[]), "goes on");
        assert_eq!(check(one, &[]), "dependency 'apps/db' not found");
        assert_eq!(check(one, &[object("db", "", "s", "{}")]), "dependency 'apps/db' is not ready");
        let db = |source: &str, status: String| object("db", "", source, &status);
        assert_eq!(check(one, &[db("s", status(1, "True", "r2"))]), "dependency 'apps/db' is not ready");
        assert_eq!(check(one, &[db("s", status(2, "False", "r2"))]), "dependency 'apps/db' is not ready");
        assert_eq!(check(one, &[db("s", status(2, "True", "r1"))]), "dependency 'apps/db' revision is not up to date");
        assert_eq!(check(one, &[db("other", status(2, "True", "r1"))]), "goes on");
        assert_eq!(check(one, &[db("s", status(2, "True", "r2"))]), "goes on");
    }

    #[test]
    fn an_expression_takes_the_place_of_readiness() {
        let with = |expression: &str| format!(r#"{{"name":"db","readyExpr":"{expression}"}}"#);
        let db = [object("db", "", "other", &status(1, "False", "r1"))];
        assert_eq!(check(&with("dep.metadata.name == 'db' && self.metadata.name == 'app'"), &db), "goes on");
        assert_eq!(check(&with("1 > 2"), &db), "dependency 'apps/db' is not ready according to readyExpr");
    }

    #[test]
    fn a_circle_is_named() {
        let others = [object("db", r#"{"name":"net"}"#, "s", "{}"), object("net", r#"{"name":"app"}"#, "s", "{}")];
        assert_eq!(
            check(r#"{"name":"db"}"#, &others),
            "dependency 'apps/db' is not ready: the dependencies form a circle: apps/app -> apps/db -> apps/net -> apps/app"
        );
    }

    #[test]
    fn a_way_that_leads_nowhere_is_no_part_of_the_circle() {
        let others = [
            object("db", r#"{"name":"dead"},{"name":"net"}"#, "s", "{}"),
            object("dead", r#"{"name":"end"},{"name":"not-there"}"#, "s", "{}"),
            object("end", "", "s", "{}"),
            object("net", r#"{"name":"dead"},{"name":"app"}"#, "s", "{}"),
        ];
        assert!(check(r#"{"name":"db"}"#, &others).ends_with(": apps/app -> apps/db -> apps/net -> apps/app"));
        let other_circle = [object("db", r#"{"name":"net"}"#, "s", "{}"), object("net", r#"{"name":"db"}"#, "s", "{}")];
        assert_eq!(check(r#"{"name":"db"}"#, &other_circle), "dependency 'apps/db' is not ready");
    }

    #[test]
    fn a_chain_of_thousands_is_walked_to_its_end() {
        const LENGTH: usize = 20_000;
        let link = |number: usize| {
            object(&format!("link-{number}"), &format!(r#"{{"name":"link-{}"}}"#, number + 1), "s", "{}")
        };
        let mut others: Vec<Object> = (0..LENGTH).map(link).collect();
        others.push(object(&format!("link-{LENGTH}"), "", "s", "{}"));
        let first = r#"{"name":"link-0"}"#;
        assert_eq!(check(first, &others), "dependency 'apps/link-0' is not ready");
        others.pop();
        others.push(object(&format!("link-{LENGTH}"), r#"{"name":"app"}"#, "s", "{}"));
        assert!(check(first, &others).ends_with(&format!("-> apps/link-{LENGTH} -> apps/app")));
    }
}
