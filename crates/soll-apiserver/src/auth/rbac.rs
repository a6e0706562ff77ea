//! Role-based access: what the roles that are bound to a user allow.

use soll_yaml::Value;

use super::{MASTERS, User};
use crate::store::Store;

/// What somebody wants to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) verb: String,
    pub(crate) group: String,
    /// Plural; empty for paths that are no resource.
    pub(crate) resource: String,
    pub(crate) subresource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// Set for paths that are no resource.
    pub(crate) path: Option<String>,
}

const GROUP: &str = "rbac.authorization.k8s.io";

/// Says whether a user may do something.
pub(crate) fn allows(store: &Store, user: &User, attempt: &Attempt) -> bool {
    grant(store, user, attempt).is_some()
}

/// By what a user may do something: empty for those who may do everything; none if it is not allowed.
pub(crate) fn grant(store: &Store, user: &User, attempt: &Attempt) -> Option<String> {
    if user.groups.iter().any(|group| group == MASTERS) {
        return Some(String::new());
    }
    let (binding, subject) = grants(store, user, &attempt.namespace).find_map(|(binding, subject)| {
        let role = role(store, &binding)?;
        rules_of(&role).iter().any(|rule| permits(rule, attempt)).then_some((binding, subject))
    })?;
    Some(format!("RBAC: allowed by {}", shown(&binding, &subject)))
}

/// The rules that hold for a user: those of the cluster, and those of a namespace if one is named.
pub(crate) fn rules<'s>(store: &'s Store, user: &'s User, namespace: &'s str) -> impl Iterator<Item = Value> + use<'s> {
    let roles = grants(store, user, namespace).filter_map(|(binding, _)| role(store, &binding));
    roles.flat_map(|role| rules_of(&role))
}

/// The bindings that concern a user, each with the subject that does.
fn grants<'s>(store: &'s Store, user: &'s User, namespace: &'s str) -> impl Iterator<Item = (Value, Value)> + use<'s> {
    let of_cluster = store.snapshot(&format!("{GROUP}/clusterrolebindings")).0;
    let of_namespace =
        if namespace.is_empty() { None } else { Some(store.snapshot(&format!("{GROUP}/rolebindings")).0) };
    let mut bindings: Vec<Value> = of_cluster.iter().map(|entry| entry.value.clone()).collect();
    let local = of_namespace.iter().flat_map(|shelf| shelf.iter()).filter(|entry| entry.key.namespace == namespace);
    bindings.extend(local.map(|entry| entry.value.clone()));
    bindings.into_iter().filter_map(move |binding| {
        let subject = concerned(&binding, user)?.clone();
        Some((binding, subject))
    })
}

/// A binding as Kubernetes names it where it says why something is allowed.
fn shown(binding: &Value, subject: &Value) -> String {
    let text = |keys: &[&str]| binding.lookup_str(keys).unwrap_or_default().to_owned();
    let namespace = text(&["metadata", "namespace"]);
    let (kind, name) =
        (subject.lookup_str(&["kind"]).unwrap_or_default(), subject.lookup_str(&["name"]).unwrap_or_default());
    let name = match (kind, subject.lookup_str(&["namespace"]).filter(|own| !own.is_empty())) {
        ("ServiceAccount", own) => format!("{name}/{}", own.unwrap_or(&namespace)),
        _ => name.to_owned(),
    };
    let (what, at) = if namespace.is_empty() {
        ("ClusterRoleBinding", text(&["metadata", "name"]))
    } else {
        ("RoleBinding", format!("{}/{namespace}", text(&["metadata", "name"])))
    };
    let (of, role) = (text(&["roleRef", "kind"]), text(&["roleRef", "name"]));
    format!("{what} {at:?} of {of} {role:?} to {kind} {name:?}")
}

/// The rules of a role.
pub(crate) fn rules_of(role: &Value) -> Vec<Value> {
    role.get("rules").and_then(Value::as_list).unwrap_or_default().to_vec()
}

/// The role that a binding is about.
pub(crate) fn role(store: &Store, binding: &Value) -> Option<Value> {
    let name = binding.lookup_str(&["roleRef", "name"])?;
    let entry = match binding.lookup_str(&["roleRef", "kind"])? {
        "ClusterRole" => store.get(&format!("{GROUP}/clusterroles"), "", name),
        _ => store.get(&format!("{GROUP}/roles"), crate::meta::text(binding, "namespace"), name),
    };
    entry.map(|entry| entry.value.clone())
}

/// The subject of a binding that is the user, or has the user in it.
fn concerned<'b>(binding: &'b Value, user: &User) -> Option<&'b Value> {
    let subjects = binding.get("subjects").and_then(Value::as_list).unwrap_or_default();
    subjects.iter().find(|subject| {
        let text = |field| subject.lookup_str(&[field]).unwrap_or_default();
        match text("kind") {
            "User" => text("name") == user.name,
            "Group" => user.groups.iter().any(|group| group == text("name")),
            "ServiceAccount" => {
                let namespace = Some(text("namespace")).filter(|namespace| !namespace.is_empty());
                let namespace = namespace.unwrap_or_else(|| crate::meta::text(binding, "namespace"));
                user.name == format!("system:serviceaccount:{namespace}:{}", text("name"))
            }
            _ => false,
        }
    })
}

fn permits(rule: &Value, attempt: &Attempt) -> bool {
    let list = |field| rule.get(field).and_then(Value::as_list).unwrap_or_default().iter().filter_map(Value::as_str);
    if !list("verbs").any(|verb| verb == "*" || verb == attempt.verb) {
        return false;
    }
    if let Some(path) = &attempt.path {
        return list("nonResourceURLs").any(|url| match url.strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix),
            None => url == path,
        });
    }
    let combined = match attempt.subresource.as_str() {
        "" => attempt.resource.clone(),
        sub => format!("{}/{sub}", attempt.resource),
    };
    let any_sub = format!("*/{}", attempt.subresource);
    let mut names = list("resourceNames").peekable();
    let name_fits = names.peek().is_none() || names.any(|name| name == attempt.name);
    name_fits
        && list("apiGroups").any(|group| group == "*" || group == attempt.group)
        && list("resources").any(|resource| {
            resource == "*" || resource == combined || (!attempt.subresource.is_empty() && resource == any_sub)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use soll_yaml::parse_json;

    fn attempt(verb: &str, resource: &str, subresource: &str, name: &str) -> Attempt {
        let owned = str::to_owned;
        Attempt {
            verb: owned(verb),
            group: "apps".to_owned(),
            resource: owned(resource),
            subresource: owned(subresource),
            name: owned(name),
            ..Attempt::default()
        }
    }

    #[test]
    fn rules_permit_what_they_name() {
        let permits = |rule: &str, attempt: &Attempt| permits(&parse_json(rule.as_bytes()).expect("JSON"), attempt);
        let get = attempt("get", "deployments", "", "a");
        assert!(permits(r#"{"verbs":["*"],"apiGroups":["*"],"resources":["*"]}"#, &get));
        assert!(permits(
            r#"{"verbs":["get"],"apiGroups":["apps"],"resources":["deployments"],"resourceNames":["a"]}"#,
            &get
        ));
        assert!(!permits(
            r#"{"verbs":["get"],"apiGroups":["apps"],"resources":["deployments"],"resourceNames":["b"]}"#,
            &get
        ));
        assert!(!permits(r#"{"verbs":["get"],"apiGroups":[""],"resources":["deployments"]}"#, &get));
        let scale = attempt("patch", "deployments", "scale", "a");
        assert!(permits(r#"{"verbs":["patch"],"apiGroups":["apps"],"resources":["*/scale"]}"#, &scale));
        assert!(permits(r#"{"verbs":["patch"],"apiGroups":["apps"],"resources":["deployments/scale"]}"#, &scale));
        assert!(!permits(r#"{"verbs":["patch"],"apiGroups":["apps"],"resources":["deployments"]}"#, &scale));
    }

    #[test]
    fn a_role_binding_holds_in_its_namespace_only() {
        let store = Store::default();
        let put = |resource: &str, namespace: &str, name: &str, body: &str| {
            let value = parse_json(body.as_bytes()).expect("JSON");
            let key = crate::store::Key::new(namespace, name);
            store.put(&format!("{GROUP}/{resource}"), &key, crate::store::Expected::Absent, value).expect("absent");
        };
        put("clusterroles", "", "edit", r#"{"rules":[{"verbs":["*"],"apiGroups":["apps"],"resources":["*"]}]}"#);
        put(
            "rolebindings",
            "a",
            "b",
            r#"{"metadata":{"namespace":"a"},"roleRef":{"kind":"ClusterRole","name":"edit"},
                "subjects":[{"kind":"ServiceAccount","name":"sa"}]}"#,
        );
        let user = User { name: "system:serviceaccount:a:sa".to_owned(), ..User::default() };
        let mut wanted = attempt("patch", "deployments", "", "x");
        wanted.namespace = "a".to_owned();
        assert!(allows(&store, &user, &wanted));
        wanted.namespace = "b".to_owned();
        assert!(!allows(&store, &user, &wanted));
        assert!(allows(&store, &User::admin(), &wanted));
    }
}
