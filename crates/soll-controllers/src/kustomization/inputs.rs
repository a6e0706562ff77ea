//! What goes into a build beside the files: the fields of the spec that reach it, and the variables.

use sha2::{Digest, Sha256};
use soll_api::{Class, Failure, Gvk, Kustomization, Object, Retry, VariableSource};
use soll_cluster::Cluster;
use soll_kustomize::substitute::{Giver, Variables};
use soll_yaml::{Value, to_json_sorted};

use crate::context::Context;

/// The variables for a build, and a digest of everything that goes into it but the files.
pub(super) struct Inputs {
    pub(super) variables: Variables,
    /// Why variables may be missing: a build that needs one of them fails with this.
    pub(super) missing: Option<Failure>,
    pub(super) digest: [u8; 32],
}

/// What goes into the build of a Kustomization beside the files.
///
/// As the controller, not as the identity that applies: as Flux does.
pub(super) async fn resolve(ks: &Kustomization, object: &Object, ctx: &Context) -> Result<Inputs, Failure> {
    let (variables, missing) = variables(ks, &ks.metadata.namespace, &ctx.cluster).await?;
    let digest = digest(ks, object, &variables);
    Ok(Inputs { variables, missing, digest })
}

/// A digest of what goes into the build of a Kustomization and need not be asked for: all but files and variables.
pub(super) fn of_spec(ks: &Kustomization, object: &Object) -> [u8; 32] {
    digest(ks, object, &Variables::new())
}

/// Reads the variables of `postBuild`, later sources over earlier ones and the inline ones over all.
///
/// With them comes the failure of the first source that should be there and is not: a build that goes on all the same
/// can tell where what it would have given is needed.
///
/// # Errors
/// A source that cannot be read.
pub async fn variables(
    ks: &Kustomization,
    namespace: &str,
    cluster: &Cluster,
) -> Result<(Variables, Option<Failure>), Failure> {
    let (mut variables, mut missing) = (Variables::new(), None);
    let Some(post_build) = &ks.spec.post_build else { return Ok((variables, missing)) };
    for (position, from) in post_build.substitute_from.iter().enumerate() {
        let (kind, read): (_, fn(&Value) -> Option<String>) = match from.kind {
            VariableSource::ConfigMap => ("ConfigMap", |value| value.as_str().map(str::to_owned)),
            VariableSource::Secret => ("Secret", decode),
        };
        let who = format!("{kind}/{namespace}/{}", from.name);
        let giver = match from.kind {
            VariableSource::ConfigMap => Giver::open(&who),
            VariableSource::Secret => Giver::secret(&who),
        };
        let field = format!("spec.postBuild.substituteFrom[{position}]");
        let found = cluster.find(&Gvk::new("v1", kind), namespace, &from.name).await.map_err(|error| {
            let message = format!("cannot read variables of {who}: {error}");
            Failure::new(error.class(), "BuildFailed", message, Retry::AtRetryInterval).in_field(&field)
        })?;
        let Some(found) = found else {
            if !from.optional && missing.is_none() {
                let message =
                    format!("substitute from '{kind}/{}' error: not found in namespace {namespace}", from.name);
                let failure = Failure::new(Class::Configuration, "BuildFailed", message, Retry::AtRetryInterval);
                let hint = format!("create the {kind}, or set `optional: true` in {field}");
                missing = Some(failure.about(&who).in_field(&field).hinting(hint));
            }
            continue;
        };
        let data = found.value().get("data").and_then(Value::as_map);
        for entry in data.into_iter().flat_map(soll_yaml::Map::iter) {
            if let Some(text) = read(&entry.value) {
                variables.set(&entry.key, &text, &giver);
            }
        }
    }
    set_inline(&mut variables, ks);
    Ok((variables, missing))
}

/// Sets the variables that the Kustomization names itself.
pub fn set_inline(variables: &mut Variables, ks: &Kustomization) {
    let giver = Giver::open("spec.postBuild.substitute");
    for (name, value) in ks.spec.post_build.iter().flat_map(|post_build| &post_build.substitute) {
        variables.set(name, value, &giver);
    }
}

/// The same uid and generation mean the same spec, so the spec itself need not be looked at, unless it was never at the server.
fn digest(ks: &Kustomization, object: &Object, variables: &Variables) -> [u8; 32] {
    let mut hash = Sha256::new();
    match object.uid() {
        "" => hash.update(object.value().get("spec").map(to_json_sorted).unwrap_or_default()),
        uid => hash.update(format!("{uid}\n{}\n", ks.metadata.generation)),
    }
    let annotations = object.value().lookup(&["metadata", "annotations"]).and_then(Value::as_map);
    for entry in annotations.into_iter().flat_map(soll_yaml::Map::iter) {
        if entry.key.split_once('/').is_some_and(|(domain, _)| domain == soll_api::DOMAIN) {
            hash.update(format!("{}={}\n", entry.key, to_json_sorted(&entry.value)));
        }
    }
    for (name, value) in variables.iter() {
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
