//! `soll get`: what there is, and how it is.

use soll_api::{Gvk, Object};
use soll_cluster::{ApiError, Cluster, Depth, Selection};
use soll_yaml::{Map, Value};

use crate::arguments::{Get, GetKind, Kind, NamespaceArguments, Output};
use crate::terminal::{self, Palette, Tone};

/// Lists objects; exit code 1 if one was named and is not there.
pub(crate) async fn get(arguments: &Get) -> anyhow::Result<u8> {
    let cluster = super::connect(&arguments.cluster).await?;
    let kinds: &[Kind] = match arguments.kind {
        GetKind::All => &[Kind::Source, Kind::Kustomization],
        GetKind::Sources => &[Kind::Source],
        GetKind::Kustomizations => &[Kind::Kustomization],
    };
    let mut tables = Vec::new();
    let mut found = 0;
    for kind in kinds {
        let gvk = kind.gvk();
        let mut objects = list(&cluster, &gvk, &arguments.namespace).await?;
        objects.retain(|object| arguments.name.as_deref().is_none_or(|name| name == object.name()));
        found += objects.len();
        match arguments.output {
            Output::Json => {
                objects.iter().for_each(|object| terminal::print(&(soll_yaml::to_json(&summary(object)) + "\n")))
            }
            Output::Text if objects.is_empty() => {}
            Output::Text => {
                let details = if arguments.name.is_some() { details(&objects) } else { String::new() };
                tables.push(table(&gvk, &objects, arguments.namespace.all_namespaces) + &details);
            }
        }
    }
    terminal::print(&tables.join("\n"));
    if found == 0 {
        let place = if arguments.namespace.all_namespaces { "any namespace" } else { &arguments.namespace.namespace };
        let what = arguments.name.as_deref().unwrap_or("nothing of this kind");
        terminal::say(&format!("{what}: not found in {place} (-A looks in all namespaces)"));
        return Ok(u8::from(arguments.name.is_some()));
    }
    Ok(0)
}

/// All objects of a kind in the namespaces that were asked for; none if the cluster does not know the kind.
pub(super) async fn list(
    cluster: &Cluster,
    gvk: &Gvk,
    namespace: &NamespaceArguments,
) -> Result<Vec<Object>, ApiError> {
    let selection = match namespace.all_namespaces {
        true => Selection::all(),
        false => Selection::all().within(&namespace.namespace),
    };
    match cluster.list(gvk, &selection, Depth::Whole).await {
        Ok(list) => Ok(list.items),
        Err(ApiError::NotServed(_)) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// What a condition says.
pub(super) fn condition<'o>(object: &'o Object, kind: &str) -> Option<(&'o str, &'o str)> {
    let conditions = object.value().lookup(&["status", "conditions"])?.as_list()?;
    let condition = conditions.iter().find(|condition| condition.lookup_str(&["type"]) == Some(kind))?;
    Some((condition.lookup_str(&["status"])?, condition.lookup_str(&["message"]).unwrap_or_default()))
}

pub(super) fn is_suspended(object: &Object) -> bool {
    object.value().lookup(&["spec", "suspend"]).and_then(Value::as_bool).unwrap_or_default()
}

/// The revision an object is at: the artifact's of a source, the applied one of a Kustomization.
pub(super) fn revision(object: &Object) -> &str {
    let artifact = object.value().lookup_str(&["status", "artifact", "revision"]);
    artifact.or_else(|| object.value().lookup_str(&["status", "lastAppliedRevision"])).unwrap_or_default()
}

fn table(gvk: &Gvk, objects: &[Object], namespaces: bool) -> String {
    let mut header = vec!["NAME", "REVISION", "SUSPENDED", "READY", "MESSAGE"];
    if namespaces {
        header.insert(0, "NAMESPACE");
    }
    let mut rows = vec![header.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for object in objects {
        let (ready, message) = condition(object, "Ready").unwrap_or(("Unknown", "not reconciled yet"));
        let mut row = vec![
            object.name().to_owned(),
            short_revision(revision(object)),
            if is_suspended(object) { "True" } else { "False" }.to_owned(),
            ready.to_owned(),
            message.lines().next().unwrap_or_default().to_owned(),
        ];
        if namespaces {
            row.insert(0, object.namespace().to_owned());
        }
        rows.push(row);
    }
    let title = Palette::stdout().paint(Tone::Faint, &format!("# {}", gvk.kind));
    format!("{title}\n{}", terminal::table(&rows))
}

/// What the table has no room for: the rest of the message of an object that is not Ready.
fn details(objects: &[Object]) -> String {
    let messages = objects.iter().filter_map(|object| condition(object, "Ready"));
    let rests = messages.filter(|(ready, _)| *ready == "False").filter_map(|(_, message)| message.split_once('\n'));
    rests.map(|(_, rest)| format!("\n{rest}\n")).collect()
}

/// `main@sha1:0123456789…` with the digest cut to eight digits, as the flux command line prints it.
pub(crate) fn short_revision(revision: &str) -> String {
    match revision.rsplit_once(':') {
        Some((name, digest)) if digest.len() > 8 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            format!("{name}:{}", &digest[..8])
        }
        _ => revision.to_owned(),
    }
}

fn summary(object: &Object) -> Value {
    let (ready, message) = condition(object, "Ready").unwrap_or(("Unknown", ""));
    let conditions = object.value().lookup(&["status", "conditions"]).and_then(Value::as_list).unwrap_or_default();
    let is_ready = |condition: &&Value| condition.lookup_str(&["type"]) == Some("Ready");
    let reason = conditions.iter().find(is_ready).and_then(|condition| condition.lookup_str(&["reason"]));
    Map::from_iter([
        ("kind", Value::str(object.kind())),
        ("namespace", Value::str(object.namespace())),
        ("name", Value::str(object.name())),
        ("revision", Value::str(revision(object))),
        ("suspended", Value::from(is_suspended(object))),
        ("ready", Value::str(ready)),
        ("reason", Value::str(reason.unwrap_or_default())),
        ("message", Value::str(message)),
    ])
    .into()
}

#[cfg(test)]
mod tests {
    use super::short_revision;

    #[test]
    fn revisions_are_cut_to_what_people_compare() {
        let revision = "main@sha1:0123456789abcdef0123456789abcdef01234567";
        assert_eq!(short_revision(revision), "main@sha1:01234567");
        assert_eq!(short_revision(""), "");
        assert_eq!(short_revision("1.2.3"), "1.2.3");
    }
}
