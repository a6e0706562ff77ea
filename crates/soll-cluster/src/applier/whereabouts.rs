//! Finding objects by inventory entries: their kind may be served in other versions than when they were applied, or by
//! nobody any more.

use std::collections::HashMap;
use std::sync::Arc;

use soll_api::{Gvk, Object, ObjectRef};

use super::{Applier, defined_kind};
use crate::objects::gvk_of;
use crate::{ApiError, Cluster, Depth, Resource, Selection};

/// What was found out during one run about kinds that discovery does not tell of: by group and kind.
#[derive(Debug, Default)]
pub(super) struct Whereabouts(HashMap<(String, String), Result<Whereabout, ApiError>>);

/// Where objects of a kind may be.
#[derive(Debug, Clone)]
struct Whereabout {
    /// The versions in which the server says now that it serves the kind.
    listed: Arc<[Resource]>,
    /// Whether a CRD defines the kind, in whatever version, served or not.
    is_defined: bool,
}

impl Applier {
    /// The object that an entry stands for; none if there is none, or if nobody serves its kind any more.
    ///
    /// # Errors
    /// Why it cannot be told.
    pub(super) async fn find_entry(
        &self,
        reference: &ObjectRef,
        version: &str,
        kinds: &mut Whereabouts,
    ) -> Result<Option<Object>, ApiError> {
        let error = match self.cluster.find_ref(reference, version).await {
            Err(error @ ApiError::NotServed(_)) => error,
            // It was refused for that when it was to be made, so there is no such object.
            Err(ApiError::NoNamespace(_)) => return Ok(None),
            found => return found,
        };
        let Whereabout { listed, is_defined } = self.whereabout(&gvk_of(reference, version), kinds).await?;
        for resource in &*listed {
            match self.cluster.find_at(resource, &reference.namespace, &reference.name).await {
                Err(ApiError::NotServed(_)) => {}
                Err(ApiError::NoNamespace(_)) => return Ok(None),
                found => return found,
            }
        }
        // What is defined may be served again, with all its objects.
        if is_defined { Err(error) } else { Ok(None) }
    }

    /// Tells a kind that was removed from one whose API server is down, and from one that is served in another version:
    /// discovery may lack all three, and lags behind definitions.
    async fn whereabout(&self, gvk: &Gvk, kinds: &mut Whereabouts) -> Result<Whereabout, ApiError> {
        let kind = (gvk.group.clone(), gvk.kind.clone());
        if let Some(known) = kinds.0.get(&kind) {
            return known.clone();
        }
        let found = find_out(&self.cluster.as_itself(), gvk).await;
        kinds.0.insert(kind, found.clone());
        found
    }
}

async fn find_out(cluster: &Cluster, gvk: &Gvk) -> Result<Whereabout, ApiError> {
    Ok(Whereabout { listed: cluster.look_up(gvk).await?.into(), is_defined: is_defined(cluster, gvk).await? })
}

async fn is_defined(cluster: &Cluster, gvk: &Gvk) -> Result<bool, ApiError> {
    let definitions = Gvk::new("apiextensions.k8s.io/v1", "CustomResourceDefinition");
    let all = match cluster.list(&definitions, &Selection::all(), Depth::Metadata).await {
        Ok(all) => all.items,
        // Who may not see definitions goes by what is listed.
        Err(error) if error.is_forbidden() || matches!(error, ApiError::NotServed(_)) => return Ok(false),
        Err(error) => return Err(error),
    };
    let suffix = format!(".{}", gvk.group);
    for of_group in all.iter().filter(|definition| definition.name().ends_with(&suffix)) {
        let definition = cluster.find(&definitions, "", of_group.name()).await?;
        let defined = definition.as_ref().and_then(defined_kind);
        if defined.is_some_and(|(group, kind)| group == gvk.group && kind == gvk.kind) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ApplierOptions;
    use crate::testing::{self, Script, Server};

    #[tokio::test(start_paused = true)]
    async fn a_kind_whose_server_is_down_is_not_gone() {
        let reference = ObjectRef {
            group: "x.io".to_owned(),
            kind: "X".to_owned(),
            namespace: "n".to_owned(),
            name: "x".to_owned(),
        };
        let find = async |answers: &[(u16, &str)]| {
            let script = Script::new(answers);
            let cluster = testing::cluster(Arc::clone(&script) as Arc<dyn Server>);
            let applier = Applier::new(cluster, Arc::default(), ApplierOptions::default());
            let mut kinds = Whereabouts::default();
            let found = applier.find_entry(&reference, "v1", &mut kinds).await;
            let asked = script.asked().len();
            let again = applier.find_entry(&reference, "v1", &mut kinds).await;
            assert_eq!((again.is_ok(), script.asked().len()), (found.is_ok(), asked), "it is asked for once");
            found
        };
        assert!(matches!(find(&[(404, "")]).await, Ok(None)));
        assert!(find(&[(404, ""), (503, "")]).await.is_err(), "its version is there, and does not answer");
        assert!(find(&[(200, r#"{"versions":[{"version":"v2"}]}"#), (503, "")]).await.is_err());
        let other = r#"{"kind":"APIResourceList","resources":[{"name":"ys","kind":"Y"}]}"#;
        assert!(matches!(find(&[(404, ""), (200, other)]).await, Ok(None)), "the version has other kinds only");
    }
}
