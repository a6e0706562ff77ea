//! `soll events`: what happened, newest last.

use soll_api::{Gvk, Object};
use soll_cluster::{Depth, Selection};
use soll_yaml::Value;

use crate::arguments::{Events, Output};
use crate::terminal::{self, Palette, Tone};

/// Lists the events of Flux objects.
pub(crate) async fn events(arguments: &Events) -> anyhow::Result<u8> {
    let cluster = super::connect(&arguments.cluster).await?;
    let selection = match arguments.namespace.all_namespaces {
        true => Selection::all(),
        false => Selection::all().within(&arguments.namespace.namespace),
    };
    let mut events = cluster.list(&Gvk::new("v1", "Event"), &selection, Depth::Whole).await?.items;
    events.retain(|event| concerns(event, arguments.object.as_deref()));
    events.sort_by(|a, b| last_seen(a).cmp(last_seen(b)));
    if arguments.output == Output::Json {
        events.iter().for_each(|event| terminal::print(&(soll_yaml::to_json(event.value()) + "\n")));
        return Ok(0);
    }
    let palette = Palette::stdout();
    for event in &events {
        let field = |path: &[&str]| event.value().lookup_str(path).unwrap_or_default();
        let tone = if field(&["type"]) == "Warning" { Tone::Bad } else { Tone::Good };
        let count = event.value().lookup(&["count"]).and_then(Value::as_i64).filter(|count| *count > 1);
        terminal::print(&format!(
            "{}  {}  {}/{}{}\n",
            palette.paint(Tone::Faint, last_seen(event)),
            palette.paint(tone, field(&["reason"])),
            field(&["involvedObject", "kind"]),
            field(&["involvedObject", "name"]),
            count.map(|count| format!("  ×{count}")).unwrap_or_default(),
        ));
        for line in field(&["message"]).lines() {
            terminal::print(&format!("    {line}\n"));
        }
    }
    if events.is_empty() {
        terminal::say("no events (they are kept for an hour)");
    }
    Ok(0)
}

/// Events of Flux objects only, or of the one `KIND/NAME` that was named.
fn concerns(event: &Object, wanted: Option<&str>) -> bool {
    let field = |name| event.value().lookup_str(&["involvedObject", name]).unwrap_or_default();
    match wanted {
        None => field("apiVersion").contains(".toolkit.fluxcd.io/"),
        Some(wanted) => {
            let (kind, name) = wanted.split_once('/').unwrap_or(("", wanted));
            field("name") == name && (kind.is_empty() || field("kind").eq_ignore_ascii_case(kind))
        }
    }
}

fn last_seen(event: &Object) -> &str {
    let times = [&["lastTimestamp"][..], &["eventTime"], &["metadata", "creationTimestamp"]];
    times.iter().find_map(|path| event.value().lookup_str(path)).unwrap_or_default()
}
