//! What goes into a build beside the files: the fields of the spec that reach it, and the variables.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use soll_api::{Class, Failure, Gvk, Kustomization, Object, Retry, VariableSource};
use soll_yaml::{Value, to_json_sorted};

use crate::context::Context;

/// The variables for a build, and a digest of everything that goes into it but the files.
pub(super) struct Inputs {
    pub(super) variables: BTreeMap<String, String>,
    pub(super) digest: [u8; 32],
}

/// Reads the variables of `postBuild`, later sources over earlier ones and the inline ones over all.
///
/// As the controller, not as the identity that applies: as Flux does.
pub(super) async fn resolve(ks: &Kustomization, object: &Object, ctx: &Context) -> Result<Inputs, Failure> {
    let mut variables = BTreeMap::new();
    if let Some(post_build) = &ks.spec.post_build {
        for from in &post_build.substitute_from {
            let (kind, read): (_, fn(&Value) -> Option<String>) = match from.kind {
                VariableSource::ConfigMap => ("ConfigMap", |value| value.as_str().map(str::to_owned)),
                VariableSource::Secret => ("Secret", decode),
            };
            let gvk = Gvk::new("v1", kind);
            let found = ctx.cluster.find(&gvk, &ks.metadata.namespace, &from.name).await.map_err(|error| {
                let message =
                    format!("cannot read variables of {kind}/{}/{}: {error}", ks.metadata.namespace, from.name);
                Failure::new(error.class(), "BuildFailed", message, Retry::AtRetryInterval)
            })?;
            let Some(found) = found else {
                if from.optional {
                    continue;
                }
                let message = format!(
                    "substitute from '{kind}/{}' error: not found in namespace {}",
                    from.name, ks.metadata.namespace
                );
                return Err(Failure::new(Class::Configuration, "BuildFailed", message, Retry::AtRetryInterval));
            };
            let data = found.value().get("data").and_then(Value::as_map);
            for entry in data.into_iter().flat_map(soll_yaml::Map::iter) {
                if let Some(text) = read(&entry.value) {
                    variables.insert(entry.key.to_string(), text.replace('\n', ""));
                }
            }
        }
        let inline = post_build.substitute.iter();
        variables.extend(inline.map(|(name, value)| (name.clone(), value.replace('\n', ""))));
    }
    let digest = digest(ks, object, &variables);
    Ok(Inputs { variables, digest })
}

/// The same uid and generation mean the same spec, so the spec itself need not be looked at.
fn digest(ks: &Kustomization, object: &Object, variables: &BTreeMap<String, String>) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(format!("{}\n{}\n", object.uid(), ks.metadata.generation));
    let annotations = object.value().lookup(&["metadata", "annotations"]).and_then(Value::as_map);
    for entry in annotations.into_iter().flat_map(soll_yaml::Map::iter) {
        if entry.key.split_once('/').is_some_and(|(domain, _)| domain == soll_api::DOMAIN) {
            hash.update(format!("{}={}\n", entry.key, to_json_sorted(&entry.value)));
        }
    }
    for (name, value) in variables {
        hash.update(format!("{}:{name}{}:{value}", name.len(), value.len()));
    }
    hash.finalize().into()
}

/// A value of a Secret, which stands there in base64.
fn decode(value: &Value) -> Option<String> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(value.as_str()?).ok()?;
    String::from_utf8(bytes).ok()
}
