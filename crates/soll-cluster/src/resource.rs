//! Which kinds the server serves, and how they are addressed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use soll_api::Gvk;
use soll_yaml::Value;
use tokio::time::Instant;

use crate::transport::{Request, segment};
use crate::{ApiError, Cluster, Verb};

/// An API type as discovery lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Group, version and kind.
    pub gvk: Gvk,
    /// The name in URLs: `deployments`.
    pub plural: String,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// What can be done: `get`, `list`, `watch`…
    pub verbs: Vec<String>,
    /// `status`, `scale`…
    pub subresources: Vec<String>,
}

impl Resource {
    /// Says whether the verb is served.
    #[must_use]
    pub fn can(&self, verb: &str) -> bool {
        self.verbs.iter().any(|known| known == verb)
    }

    /// The path of all objects: in one namespace, or everywhere if none is given.
    #[must_use]
    pub fn collection_path(&self, namespace: Option<&str>) -> String {
        let Gvk { group, version, .. } = &self.gvk;
        let root = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        match namespace {
            Some(namespace) if self.namespaced => {
                format!("{root}/namespaces/{}/{}", segment(namespace), self.plural)
            }
            _ => format!("{root}/{}", self.plural),
        }
    }

    /// The path of one object. The namespace of an object of a cluster-scoped kind is ignored.
    ///
    /// # Errors
    /// [`ApiError::NoNamespace`] if the kind is namespaced and the namespace is empty.
    pub fn object_path(&self, namespace: &str, name: &str) -> Result<String, ApiError> {
        if self.namespaced && namespace.is_empty() {
            return Err(ApiError::NoNamespace(self.gvk.clone()));
        }
        Ok(format!("{}/{}", self.collection_path(Some(namespace)), segment(name)))
    }
}

/// What is known of a server's resources: a snapshot, refreshed when a kind is missing from it.
#[derive(Default)]
pub(crate) struct Discovery {
    /// The newest snapshot. The mutex guards a pointer.
    known: Mutex<Arc<Known>>,
    /// One refresh at a time; those who waited use its result. Held across the requests of a refresh, which
    /// is its purpose.
    refreshing: tokio::sync::Mutex<()>,
}

#[derive(Default, Clone)]
struct Known {
    resources: HashMap<Gvk, Arc<Resource>>,
    /// For each group and kind the version that the server prefers.
    preferred: HashMap<(String, String), Gvk>,
    read_at: Option<Instant>,
    /// Kinds that a refresh did not find: how often, and from when on it is worth asking again.
    missing: HashMap<Gvk, (u32, Instant)>,
}

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
    application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
/// A kind that stays unknown is looked for after a quarter of a second, doubling up to this.
const LONGEST_MISS: Duration = Duration::from_secs(30);

impl Cluster {
    /// How objects of a kind are addressed.
    ///
    /// Asks the server once and again when a kind is missing: at once the first time, then after a
    /// quarter of a second, doubling up to half a minute.
    ///
    /// # Errors
    /// [`ApiError::NotServed`], or why discovery failed.
    pub async fn resource(&self, gvk: &Gvk) -> Result<Arc<Resource>, ApiError> {
        let asked = Instant::now();
        if let Some(resource) = self.known().resources.get(gvk) {
            return Ok(Arc::clone(resource));
        }
        let _turn = self.shared.discovery.refreshing.lock().await;
        let known = self.known();
        if let Some(resource) = known.resources.get(gvk) {
            return Ok(Arc::clone(resource));
        }
        let refreshed_meanwhile = known.read_at.is_some_and(|read_at| read_at > asked);
        let too_early = known.missing.get(gvk).is_some_and(|(_, from)| asked < *from);
        if refreshed_meanwhile || too_early {
            return Err(ApiError::NotServed(gvk.clone()));
        }
        self.refresh(Some(gvk)).await?;
        self.known().resources.get(gvk).map(Arc::clone).ok_or_else(|| ApiError::NotServed(gvk.clone()))
    }

    /// How objects of a group and kind are addressed in the version that the server prefers, or in the one
    /// that is given if it is served.
    ///
    /// # Errors
    /// As [`Cluster::resource`].
    pub async fn resource_in_any_version(&self, gvk: &Gvk) -> Result<Arc<Resource>, ApiError> {
        let error = match self.resource(gvk).await {
            Err(error @ ApiError::NotServed(_)) => error,
            found => return found,
        };
        let known = self.known();
        let preferred = known.preferred.get(&(gvk.group.clone(), gvk.kind.clone()));
        preferred.and_then(|gvk| known.resources.get(gvk)).map(Arc::clone).ok_or(error)
    }

    /// All kinds that the server serves, as far as they are known; asks if nothing is known yet.
    ///
    /// # Errors
    /// Why discovery failed.
    pub async fn resources(&self) -> Result<Vec<Arc<Resource>>, ApiError> {
        if self.known().read_at.is_none() {
            let _turn = self.shared.discovery.refreshing.lock().await;
            if self.known().read_at.is_none() {
                self.refresh(None).await?;
            }
        }
        Ok(self.known().resources.values().map(Arc::clone).collect())
    }

    /// How objects of a group and kind are addressed in each version that serves them, by what the server says now.
    ///
    /// # Errors
    /// A version that cannot be asked: it may be one of them.
    pub(crate) async fn look_up(&self, gvk: &Gvk) -> Result<Vec<Resource>, ApiError> {
        let discover = async |path: String| match self.exchange(&Request::new(Verb::Discover, path)).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        };
        let root = match gvk.group.as_str() {
            "" => "/api".to_owned(),
            group => format!("/apis/{}", segment(group)),
        };
        let group = discover(root.clone()).await?.unwrap_or_default();
        let named =
            items(&group, "versions").iter().map(|version| version.lookup_str(&["version"]).or(version.as_str()));
        let mut versions: Vec<&str> = named.flatten().collect();
        // A server that is down may be missing from its group.
        if !versions.contains(&gvk.version.as_str()) {
            versions.push(&gvk.version);
        }
        let mut found = Vec::new();
        for version in versions {
            let Some(list) = discover(format!("{root}/{}", segment(version))).await? else { continue };
            let group_version = Gvk { version: version.to_owned(), ..gvk.clone() }.api_version();
            found.extend(
                read_legacy(&group_version, &list).into_iter().filter(|resource| resource.gvk.kind == gvk.kind),
            );
        }
        Ok(found)
    }

    /// Forgets a kind, so that it is looked for when it is next needed: its CRD changed or vanished.
    pub fn forget_resource(&self, gvk: &Gvk) {
        self.amend(|known| {
            known.resources.remove(gvk);
            known.missing.remove(gvk);
        });
    }

    /// Forgets which kinds were missing: a CRD was added, whatever it is.
    pub fn expect_new_resources(&self) {
        self.amend(|known| known.missing.clear());
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.shared.discovery.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn amend(&self, change: impl FnOnce(&mut Known)) {
        let mut known = self.shared.discovery.known.lock().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut known));
    }

    /// Reads everything anew. The caller holds the turn.
    async fn refresh(&self, wanted: Option<&Gvk>) -> Result<(), ApiError> {
        // Discovery is the same for everybody; tenants need no right to it.
        let mut resources = HashMap::new();
        let mut preferred = HashMap::new();
        let itself = self.as_itself();
        // Servers list the versions of a group in the order of preference.
        for resource in itself.discover().await? {
            let Gvk { group, kind, .. } = &resource.gvk;
            preferred.entry((group.clone(), kind.clone())).or_insert_with(|| resource.gvk.clone());
            resources.insert(resource.gvk.clone(), Arc::new(resource));
        }
        let now = Instant::now();
        self.amend(|known| {
            known.missing.retain(|gvk, _| !resources.contains_key(gvk));
            if let Some(gvk) = wanted.filter(|gvk| !resources.contains_key(gvk)) {
                let (times, from) = known.missing.entry(gvk.clone()).or_insert((0, now));
                *from = now + (Duration::from_millis(250) * (1 << (*times).min(7))).min(LONGEST_MISS);
                *times += 1;
            }
            known.resources = resources;
            known.preferred = preferred;
            known.read_at = Some(now);
        });
        Ok(())
    }

    async fn discover(&self) -> Result<Vec<Resource>, ApiError> {
        let (core, groups) = tokio::join!(self.discover_root("/api"), self.discover_root("/apis"));
        let mut resources = core?;
        resources.extend(groups?);
        Ok(resources)
    }

    /// Reads one of the two roots: in one answer if the server can, else version by version.
    async fn discover_root(&self, root: &str) -> Result<Vec<Resource>, ApiError> {
        let mut request = Request::new(Verb::Discover, root);
        request.accept = AGGREGATED;
        let answer = self.exchange(&request).await?;
        if answer.lookup_str(&["kind"]) == Some("APIGroupDiscoveryList") {
            return Ok(read_aggregated(&answer));
        }
        let reads = group_versions(&answer).into_iter().map(|group_version| async move {
            let list = self.exchange(&Request::new(Verb::Discover, format!("{root}/{group_version}"))).await;
            (group_version, list)
        });
        let mut resources = Vec::new();
        for (group_version, list) in futures::future::join_all(reads).await {
            match list {
                Ok(list) => resources.extend(read_legacy(&group_version, &list)),
                // An aggregated API whose server is down must not hide all others.
                Err(error) if error.is_unreachable() && error.status().is_none() => return Err(error),
                Err(error) => tracing::warn!(group_version, %error, "cannot discover an API group"),
            }
        }
        Ok(resources)
    }
}

fn items<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_list).unwrap_or_default()
}

fn texts(value: &Value, key: &str) -> Vec<String> {
    items(value, key).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Reads an `APIGroupDiscoveryList`.
fn read_aggregated(list: &Value) -> Vec<Resource> {
    let mut resources = Vec::new();
    for group in items(list, "items") {
        let name = group.lookup_str(&["metadata", "name"]).unwrap_or_default();
        for version in items(group, "versions") {
            for resource in items(version, "resources") {
                let kind = |key| resource.lookup_str(&["responseKind", key]).unwrap_or_default();
                // Stale entries come without a kind.
                if kind("kind").is_empty() {
                    continue;
                }
                let or = |text: &str, other: &str| if text.is_empty() { other.to_owned() } else { text.to_owned() };
                resources.push(Resource {
                    gvk: Gvk {
                        group: or(kind("group"), name),
                        version: or(kind("version"), version.lookup_str(&["version"]).unwrap_or_default()),
                        kind: kind("kind").to_owned(),
                    },
                    plural: resource.lookup_str(&["resource"]).unwrap_or_default().to_owned(),
                    namespaced: resource.lookup_str(&["scope"]) == Some("Namespaced"),
                    verbs: texts(resource, "verbs"),
                    subresources: items(resource, "subresources")
                        .iter()
                        .filter_map(|sub| sub.lookup_str(&["subresource"]).map(str::to_owned))
                        .collect(),
                });
            }
        }
    }
    resources
}

/// `v1` from an `APIVersions`, `apps/v1` from an `APIGroupList`.
fn group_versions(answer: &Value) -> Vec<String> {
    let groups = items(answer, "groups").iter().flat_map(|group| items(group, "versions"));
    let named = groups.filter_map(|version| version.lookup_str(&["groupVersion"]).map(str::to_owned));
    named.chain(texts(answer, "versions")).collect()
}

/// Reads an `APIResourceList`.
fn read_legacy(group_version: &str, list: &Value) -> Vec<Resource> {
    let (group, version) = group_version.rsplit_once('/').unwrap_or(("", group_version));
    let entries = items(list, "resources");
    let subresources_of = |plural: &str| {
        let names = entries.iter().filter_map(|entry| entry.lookup_str(&["name"]));
        names.filter_map(|name| name.strip_prefix(plural)?.strip_prefix('/').map(str::to_owned)).collect()
    };
    let mut resources = Vec::new();
    for entry in entries {
        let text = |key: &str| entry.lookup_str(&[key]).unwrap_or_default().to_owned();
        let plural = text("name");
        if plural.contains('/') {
            continue;
        }
        resources.push(Resource {
            gvk: Gvk { group: group.to_owned(), version: version.to_owned(), kind: text("kind") },
            namespaced: entry.get("namespaced").and_then(Value::as_bool).unwrap_or(false),
            verbs: texts(entry, "verbs"),
            subresources: subresources_of(&plural),
            plural,
        });
    }
    resources
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, Script, Server};

    fn gvk(kind: &str) -> Gvk {
        Gvk::new("v1", kind)
    }

    #[tokio::test(start_paused = true)]
    async fn a_missing_kind_is_looked_for_at_once_and_then_ever_more_rarely() {
        let cluster = testing::cluster(Script::new(&[(404, "")]) as Arc<dyn Server>);
        let discoveries = || cluster.requests().of(Verb::Discover);
        let resource = cluster.resource(&gvk("ConfigMap")).await.expect("a builtin kind");
        assert_eq!((resource.plural.as_str(), resource.namespaced), ("configmaps", true));
        assert_eq!(resource.subresources, ["fake"]);
        let once = discoveries();
        for _ in 0..3 {
            let error = cluster.resource(&gvk("Wheel")).await.expect_err("no such kind");
            assert_eq!(error.to_string(), "no matches for kind \"Wheel\" in version \"v1\"");
        }
        assert_eq!(discoveries(), 2 * once, "only the first asked the server");
        tokio::time::advance(Duration::from_millis(300)).await;
        assert!(cluster.resource(&gvk("Wheel")).await.is_err());
        assert_eq!(discoveries(), 3 * once);
        cluster.resource(&gvk("ConfigMap")).await.expect("still known");
        assert_eq!(discoveries(), 3 * once, "what is known costs nothing");
        cluster.expect_new_resources();
        assert!(cluster.resource(&gvk("Wheel")).await.is_err());
        assert_eq!(discoveries(), 4 * once, "a new CRD ends the patience");
    }

    #[test]
    fn reads_aggregated_discovery() {
        let text = br#"{"kind":"APIGroupDiscoveryList","items":[{"metadata":{"name":"apps"},"versions":[{"version":"v1","resources":[
            {"resource":"deployments","scope":"Namespaced","verbs":["get","list"],
             "responseKind":{"group":"apps","version":"v1","kind":"Deployment"},
             "subresources":[{"subresource":"scale"},{"subresource":"status"}]},
            {"resource":"stale","scope":"Cluster"}]}]}]}"#;
        let resources = read_aggregated(&soll_yaml::parse_json(text).expect("JSON"));
        assert_eq!(resources.len(), 1);
        let deployments = &resources[0];
        assert_eq!(deployments.gvk, Gvk::new("apps/v1", "Deployment"));
        assert!(deployments.can("list") && !deployments.can("watch"));
        assert_eq!(deployments.subresources, ["scale", "status"]);
        let path = deployments.object_path("a", "b").expect("a namespace is given");
        assert_eq!(path, "/apis/apps/v1/namespaces/a/deployments/b");
        assert!(matches!(deployments.object_path("", "b"), Err(ApiError::NoNamespace(_))));
    }
}
