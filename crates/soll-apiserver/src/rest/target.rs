//! What a URL addresses.

use std::sync::Arc;

use percent_encoding::percent_decode_str;
use soll_yaml::Str;

use crate::resources::{Below, Resource, Subresource, Table};

/// The resource, object or subresource that a request is about.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) resource: Arc<Resource>,
    /// Empty: none, or all of them.
    pub(crate) namespace: String,
    /// Empty: the collection.
    pub(crate) name: String,
    pub(crate) subresource: Option<Subresource>,
}

impl Target {
    /// What is sent there: `apiVersion` and kind.
    pub(crate) fn sent(&self) -> (String, Str) {
        let below =
            self.subresource.and_then(|sub| self.resource.below().into_iter().find(|one| one.name == sub.name()));
        match below {
            Some(Below { kind, of: Some((group, version)), .. }) => (format!("{group}/{version}"), kind),
            Some(Below { kind, of: None, .. }) => (self.resource.api_version(), kind),
            None => (self.resource.api_version(), self.resource.kind.clone()),
        }
    }
}

/// What a path turned out to be.
#[derive(Debug)]
pub(crate) enum Route {
    Object(Target),
    /// `/api/v1` or `/apis/G/V`: group and version.
    Version(String, String),
    /// `/apis/G`.
    Group(String),
    /// `exec`, `attach`, `portforward`, `proxy`: what only a kubelet can do.
    NeedsKubelet,
    /// A resource that a version which is served does not have. Only who could ask for it learns that.
    NoResource(Wanted),
    Other,
}

/// What a path asks for, whether it is there or not.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) group: String,
    pub(crate) plural: String,
    pub(crate) subresource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// Reads a path below `/api` or `/apis`.
pub(crate) fn route(table: &Table, path: &str) -> Route {
    let segments: Vec<String> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
        .collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let (group, version, rest) = match segments.as_slice() {
        ["api", version, rest @ ..] => ("", *version, rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        ["apis", group] => return Route::Group((*group).to_owned()),
        _ => return Route::Other,
    };
    let (namespace, rest) = match rest {
        [] => return Route::Version(group.to_owned(), version.to_owned()),
        // `namespaces/x`, `namespaces/x/status`: the namespace itself.
        ["namespaces", _] => ("", rest),
        ["namespaces", _, sub] if group.is_empty() && matches!(*sub, "status" | "finalize") => ("", rest),
        ["namespaces", namespace, rest @ ..] => (*namespace, rest),
        _ => ("", rest),
    };
    // Below a group of its own Kubernetes says in JSON that there is no such thing, elsewhere in plain text.
    let (plural, name, sub) = match rest {
        [plural] => (*plural, "", ""),
        [plural, name] => (*plural, *name, ""),
        [plural, name, sub] => (*plural, *name, *sub),
        [_, _, "proxy", ..] => return Route::NeedsKubelet,
        [plural, name, sub, ..] => (*plural, *name, *sub),
        [] => return Route::Other,
    };
    let owned = str::to_owned;
    let (group_of, plural_of) = (owned(group), owned(plural));
    let wanted = Wanted {
        group: group_of,
        plural: plural_of,
        subresource: owned(sub),
        namespace: owned(namespace),
        name: owned(name),
    };
    let nowhere = if table.is_builtin(group) { Route::NoResource(wanted) } else { Route::Other };
    if rest.len() > 3 {
        return nowhere;
    }
    let Some(resource) = table.find(group, version, plural) else { return nowhere };
    let has_namespace = !namespace.is_empty();
    if has_namespace != resource.namespaced && (has_namespace || !name.is_empty()) {
        return nowhere;
    }
    if matches!(sub, "exec" | "attach" | "portforward" | "proxy") {
        return Route::NeedsKubelet;
    }
    let subresource = resource.subresource(sub);
    if !sub.is_empty() && subresource.is_none() {
        return nowhere;
    }
    Route::Object(Target {
        resource: resource.clone(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        subresource,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::Registry;

    fn show(path: &str) -> String {
        match route(&Registry::builtin().table(), path) {
            Route::Object(target) => {
                let sub = target.subresource.map_or("", Subresource::name);
                format!("{} ns={} name={} sub={sub}", target.resource.qualified(), target.namespace, target.name)
            }
            Route::NoResource(_) => "NoResource".to_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn paths_address_objects_and_collections() {
        assert_eq!(show("/api/v1/namespaces/a/pods/b/log"), "pods ns=a name=b sub=log");
        assert_eq!(show("/api/v1/namespaces/a"), "namespaces ns= name=a sub=");
        assert_eq!(show("/api/v1/namespaces/a/status"), "namespaces ns= name=a sub=status");
        assert_eq!(show("/api/v1/namespaces"), "namespaces ns= name= sub=");
        assert_eq!(show("/apis/apps/v1/deployments"), "deployments.apps ns= name= sub=");
        assert_eq!(show("/apis/apps/v1/namespaces/a/deployments/b"), "deployments.apps ns=a name=b sub=");
        let role = "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode";
        assert_eq!(show(role), "clusterroles.rbac.authorization.k8s.io ns= name=system:node sub=");
    }

    #[test]
    fn what_is_not_served_has_no_route() {
        assert_eq!(show("/apis/apps/v1/namespaces/a/deployments/b/nothing"), "NoResource");
        assert_eq!(show("/apis/apps/v2/deployments"), "NoResource");
        assert_eq!(show("/api/v1/namespaces/a/nodes"), "NoResource");
        assert_eq!(show("/apis/apps/v1/deployments/a"), "NoResource");
        assert_eq!(show("/apis/example.com/v1/things"), "Other");
        assert_eq!(show("/api/v1/namespaces/a/pods/b/exec"), "NeedsKubelet");
    }
}
