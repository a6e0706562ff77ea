//! AppArmor profiles of containers: a field, and an annotation that is older than it.

use soll_yaml::{Map, Value};

use super::super::items;
use super::odd::containers;

const ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";
const FIELD: [&str; 2] = ["securityContext", "appArmorProfile"];

/// The field for what an annotation says; none if it says nothing that there is.
fn profile(annotation: &str) -> Option<Value> {
    let of = |kind: &str| Map::from_iter([("type", Value::str(kind))]);
    match annotation {
        "unconfined" => Some(of("Unconfined").into()),
        "runtime/default" => Some(of("RuntimeDefault").into()),
        other => {
            let name = other.strip_prefix("localhost/").filter(|name| !name.is_empty())?;
            let mut profile = of("Localhost");
            profile.insert("localhostProfile", Value::str(name));
            Some(profile.into())
        }
    }
}

fn deprecated(at: &str, name: &str) -> String {
    format!(
        "{at}metadata.annotations[{ANNOTATION}{name}]: deprecated since v1.30; use the \"appArmorProfile\" field instead"
    )
}

/// Puts into the fields of a new pod what its annotations say, and says that nobody should.
pub(crate) fn heed(pod: &mut Value) -> Vec<String> {
    let Some(annotations) = pod.lookup(&["metadata", "annotations"]).and_then(Value::as_map).cloned() else {
        return Vec::new();
    };
    let of_pod = pod.lookup(&["spec", FIELD[0], FIELD[1]]).cloned();
    let mut warnings = Vec::new();
    let Some(spec) = pod.make_map().get_mut("spec").and_then(Value::as_map_mut) else { return warnings };
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for container in items(spec, list) {
            let name = container.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            let Some(said) = annotations.get(&format!("{ANNOTATION}{name}")).and_then(Value::as_str) else { continue };
            if container.get(FIELD[0]).is_some_and(|context| context.get(FIELD[1]).is_some()) {
                continue;
            }
            let profile = profile(said);
            if profile.is_none() || profile != of_pod {
                warnings.push(deprecated("", &name));
            }
            if let Some(profile) = profile.filter(|profile| Some(profile) != of_pod.as_ref()) {
                let context = container.get_or_insert_with(FIELD[0], Value::map).make_map();
                context.insert(FIELD[1], profile);
            }
        }
    }
    warnings
}

/// What the author of a template is told, whose pods will have such fields.
pub(crate) fn warnings(template: &Value, at: &str) -> Vec<String> {
    let Some(spec) = template.get("spec") else { return Vec::new() };
    let of_pod = spec.lookup(&FIELD);
    let told = containers(spec, "").into_iter().filter_map(|(_, container)| {
        let name = container.lookup_str(&["name"]).unwrap_or_default();
        let said = template.lookup_str(&["metadata", "annotations", &format!("{ANNOTATION}{name}")])?;
        let is_said_twice = container.lookup(&FIELD).is_some() || of_pod.is_some() && of_pod == profile(said).as_ref();
        (!is_said_twice).then(|| deprecated(&format!("{at}."), name))
    });
    told.collect()
}
