//! `soll diff`: what applying would change.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;

use serde_json::json;
use similar::{ChangeTag, TextDiff};
use soll_api::{Failure, Object, ObjectRef, Secrets, names};
use soll_cluster::{Applier, ApplierOptions, Cluster, Creation, Memory, Outcome, Trust, defined_kind};
use soll_plan::{ApplySettings, IgnoreRules, Managers, Owner};
use soll_yaml::Value;
use std::sync::Arc;

use crate::arguments::{Diff, Output};
use crate::build::Site;
use crate::remote;
use crate::terminal::{self, Palette, Tone};

/// Prints the changes. Exit code 0 if there are none, 1 if there are some, 2 for errors, as kubectl's.
pub(crate) async fn diff(arguments: &Diff) -> anyhow::Result<u8> {
    let mut site = Site::open(&arguments.build)?;
    let cluster = remote::connect(&arguments.cluster).await?;
    let asked = site.ask(&cluster, &arguments.namespace, &arguments.build).await;
    let previewed = match asked {
        Ok(()) => preview(&site, &cluster, arguments).await,
        Err(failure) => Err(failure),
    };
    let (changed, failures) = previewed.unwrap_or_else(|failure| (false, vec![failure]));
    let has_failed = !failures.is_empty();
    for mut failure in failures {
        failure.hide(&site.secrets());
        site.report(&failure, arguments.output)?;
    }
    Ok(if has_failed { 2 } else { u8::from(changed) })
}

/// Prints what would become of each object; says whether anything would change, and what would be refused.
async fn preview(site: &Site, cluster: &Cluster, arguments: &Diff) -> Result<(bool, Vec<Failure>), Failure> {
    let built = site.build()?;
    let hidden = |mut failure: Failure| {
        failure.hide(&built.secrets);
        failure
    };
    let mut objects = soll_plan::unowned(built.objects, &built.sources).map_err(hidden)?;
    let to_come = namespaced_kinds(&objects);
    for object in &mut objects {
        set_namespace(object, cluster, &to_come, &arguments.namespace).await;
        // Who applied an object marked it. The marks are no change.
        let owner = match site.is_named {
            true => Some(Owner::of(&site.kustomization)),
            false => owner_of_live(cluster, object).await,
        };
        if let Some(owner) = owner {
            owner.mark(object);
        }
    }
    let stages = soll_plan::stages(objects, &[], &built.sources).map_err(hidden)?;
    let settings = ApplySettings {
        managers: Managers::new(names::managers::KUSTOMIZE),
        force: site.kustomization.spec.force,
        ignore: IgnoreRules::new(&site.kustomization.spec.ignore)?,
    };
    let options = ApplierOptions { concurrency: 8, trust: Trust::Nothing, creation: Creation::DryRunFirst };
    let applier = Applier::new(cluster.clone(), Arc::new(Memory::new()), options);
    let mut printer = Printer {
        palette: Palette::stdout(),
        output: arguments.output,
        secrets: built.secrets.clone(),
        keys: RandomState::new(),
        changed: false,
    };
    let mut refused = Vec::new();
    for preview in applier.preview(&stages, &settings, &built.sources).await {
        match preview.outcome {
            Outcome::Refused(failure) => refused.push(hidden(*failure)),
            outcome => printer.show(&preview.desired, &outcome),
        }
    }
    Ok((printer.changed, refused))
}

/// Group and kind of the namespaced kinds that are defined among the objects.
fn namespaced_kinds(objects: &[Object]) -> HashSet<(String, String)> {
    let namespaced = |object: &&Object| object.value().lookup_str(&["spec", "scope"]) == Some("Namespaced");
    objects.iter().filter(namespaced).filter_map(defined_kind).collect()
}

/// Puts namespaced objects that name no namespace where `kubectl apply` would; `to_come` are kinds that the cluster may not know yet.
async fn set_namespace(object: &mut Object, cluster: &Cluster, to_come: &HashSet<(String, String)>, namespace: &str) {
    if !object.namespace().is_empty() {
        return;
    }
    let is_namespaced = match cluster.resource(&object.gvk()).await {
        Ok(resource) => resource.namespaced,
        Err(_) => to_come.contains(&(object.group().to_owned(), object.kind().to_owned())),
    };
    if is_namespaced {
        let metadata = object.value_mut().make_map().get_or_insert_with("metadata", Value::map).make_map();
        metadata.insert("namespace", Value::str(namespace));
    }
}

async fn owner_of_live(cluster: &Cluster, object: &Object) -> Option<Owner> {
    // An object that cannot be read is reported by the preview.
    let live = cluster.find(&object.gvk(), object.namespace(), object.name()).await.ok()??;
    Owner::from_labels(&live)
}

struct Printer {
    palette: Palette,
    output: Output,
    /// What variables brought in from Secrets.
    secrets: Secrets,
    /// Keys the digests by which changed secrets are told apart; gone with the process.
    keys: RandomState,
    changed: bool,
}

impl Printer {
    fn show(&mut self, desired: &Object, outcome: &Outcome) {
        let name = desired.object_ref();
        match outcome {
            Outcome::Unchanged | Outcome::Refused(_) => return,
            Outcome::Skipped(skip) => {
                terminal::say(&self.palette.paint(Tone::Faint, &format!("{name} is left alone: {skip}")));
                return;
            }
            Outcome::Unknown { until } => self.print(&name, &format!("unknown until {until} is there"), "", ""),
            Outcome::Created { after } => self.print(&name, "created", "", &self.text(after)),
            Outcome::Changed { before, after } => self.print(&name, "changed", &self.text(before), &self.text(after)),
            Outcome::Recreated { before } => {
                self.print(&name, "deleted and created", &self.text(before), &self.text(desired));
            }
        }
        self.changed = true;
    }

    fn print(&self, name: &ObjectRef, outcome: &str, before: &str, after: &str) {
        match self.output {
            Output::Json => {
                let diff = difference(before, after, Palette::plain());
                let line = json!({"object": name.to_string(), "outcome": outcome, "diff": diff});
                terminal::print(&format!("{line}\n"));
            }
            Output::Text => {
                let title = self.palette.paint(Tone::Strong, &format!("{name} {outcome}"));
                terminal::print(&format!("{title}\n{}", difference(before, after, self.palette)));
            }
        }
    }

    /// The object as text, without what the server keeps account of, and without secrets.
    fn text(&self, object: &Object) -> String {
        let mut value = object.value().clone();
        let map = value.make_map();
        map.remove("status");
        if let Some(metadata) = map.get_mut("metadata").and_then(Value::as_map_mut) {
            for field in ["managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink"] {
                metadata.remove(field);
            }
        }
        if object.api_version() == "v1" && object.kind() == "Secret" {
            for field in ["data", "stringData"] {
                if let Some(data) = map.get_mut(field).and_then(Value::as_map_mut) {
                    for (_, value) in data.iter_mut() {
                        *value = Value::from(self.mask(value));
                    }
                }
            }
            // Clients that apply by annotation keep the secret there as well.
            if let Some(annotations) = map.get_mut("metadata").and_then(|metadata| metadata.get_mut("annotations"))
                && let Some(annotations) = annotations.as_map_mut()
                && let Some(last) = annotations.get_mut("kubectl.kubernetes.io/last-applied-configuration")
            {
                *last = Value::from(self.mask(last));
            }
        }
        self.secrets.hide(&soll_yaml::emit_yaml(&value))
    }

    /// Equal secrets give equal masks, and nothing else can be told from one.
    fn mask(&self, value: &Value) -> String {
        format!("*** ({:04x})", self.keys.hash_one(soll_yaml::to_json(value)) & 0xffff)
    }
}

/// The lines that differ, with three lines around them.
fn difference(before: &str, after: &str, palette: Palette) -> String {
    let diff = TextDiff::from_lines(before, after);
    let mut text = String::new();
    for group in diff.grouped_ops(3) {
        for (position, operation) in group.iter().enumerate() {
            if position == 0 {
                let line = operation.new_range().start + 1;
                text.push_str(&palette.paint(Tone::Faint, &format!("@@ line {line}\n")));
            }
            for change in diff.iter_changes(operation) {
                let line = change.value().trim_end_matches('\n');
                text.push_str(&match change.tag() {
                    ChangeTag::Equal => format!("  {line}"),
                    ChangeTag::Delete => palette.paint(Tone::Bad, &format!("- {line}")),
                    ChangeTag::Insert => palette.paint(Tone::Good, &format!("+ {line}")),
                });
                text.push('\n');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_still_differ() {
        let printer = Printer {
            palette: Palette::plain(),
            output: Output::Text,
            secrets: Secrets::new(),
            keys: RandomState::new(),
            changed: false,
        };
        let secret = |value: &str| {
            let text = format!(
                r#"{{"apiVersion":"v1","kind":"Secret","metadata":{{"name":"a","uid":"1","annotations":{{
                "kubectl.kubernetes.io/last-applied-configuration":"{value}"}}}},"data":{{"password":"{value}"}}}}"#
            );
            Object::new(soll_yaml::parse_json(text.as_bytes()).expect("JSON")).expect("an object")
        };
        let text = printer.text(&secret("aHVudGVyMg=="));
        assert!(text.contains("***") && !text.contains("aHVudGVyMg"), "{text}");
        assert_eq!(text, printer.text(&secret("aHVudGVyMg==")));
        assert_ne!(text, printer.text(&secret("b3RoZXI=")));
    }
}
