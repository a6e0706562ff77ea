//! What the files are called that `kustomize build -o DIRECTORY` writes.

use std::collections::HashSet;

use soll_yaml::Value;

use crate::resource::Id;

/// A file name for each manifest: `apps_v1_deployment_web.yaml`, after the namespace if there are several.
#[must_use]
pub fn file_names(values: &[Value]) -> Vec<(String, &Value)> {
    let ids: Vec<_> = values.iter().map(Id::of).collect();
    let namespaced = ids.iter().filter(|id| !id.gvk.is_cluster_scoped());
    let namespaces: HashSet<_> = namespaced.map(|id| id.effective_namespace()).collect();
    let name = |id: &Id| {
        let parts = [id.gvk.group.as_str(), id.gvk.version.as_str(), id.gvk.kind.as_str(), id.name.as_str()];
        let name = parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("_");
        match namespaces.len() > 1 && !id.gvk.is_cluster_scoped() {
            true => format!("{}_{name}.yaml", id.effective_namespace()).to_lowercase(),
            false => format!("{name}.yaml").to_lowercase(),
        }
    };
    ids.iter().map(name).zip(values).collect()
}
