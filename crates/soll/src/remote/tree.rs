//! `soll tree`: what a Kustomization manages, and what that makes.

use std::collections::{HashMap, HashSet};

use anyhow::bail;
use soll_api::{Gvk, Inventory, Object, ObjectRef, Resource as _};
use soll_cluster::{Cluster, Depth, Selection};

use crate::arguments::{Kind, Named};
use crate::terminal;

/// Prints the inventory as a tree; Kustomizations within it are followed, owned objects hang below their owners.
pub(crate) async fn tree(named: &Named) -> anyhow::Result<u8> {
    if named.kind != Kind::Kustomization {
        bail!("only a Kustomization manages objects: soll tree kustomization NAME");
    }
    let cluster = super::connect(&named.cluster).await?;
    let root = super::read(&cluster, named).await?;
    let mut printer =
        Printer { owned: owned_objects(&cluster).await?, cluster, seen: HashSet::new(), lines: String::new() };
    printer.lines.push_str(&format!("{}\n", root.object_ref()));
    printer.inventory(&root, "").await?;
    terminal::print(&printer.lines);
    Ok(0)
}

/// Objects by the uid of their controller: what workloads make. Two lists, whatever the size of the tree.
async fn owned_objects(cluster: &Cluster) -> anyhow::Result<HashMap<String, Vec<Object>>> {
    let mut owned: HashMap<String, Vec<Object>> = HashMap::new();
    for gvk in [Gvk::new("apps/v1", "ReplicaSet"), Gvk::new("v1", "Pod")] {
        for object in cluster.list(&gvk, &Selection::all(), Depth::Metadata).await?.items {
            let owners = object.value().lookup(&["metadata", "ownerReferences"]).and_then(|owners| owners.as_list());
            let owner = owners.and_then(|owners| owners.first()?.lookup_str(&["uid"]).map(str::to_owned));
            if let Some(owner) = owner {
                owned.entry(owner).or_default().push(object);
            }
        }
    }
    Ok(owned)
}

struct Printer {
    cluster: Cluster,
    owned: HashMap<String, Vec<Object>>,
    seen: HashSet<ObjectRef>,
    lines: String,
}

impl Printer {
    async fn inventory(&mut self, owner: &Object, indent: &str) -> anyhow::Result<()> {
        if !self.seen.insert(owner.object_ref()) {
            return Ok(());
        }
        let inventory = owner.value().lookup(&["status", "inventory"]).map(soll_yaml::from_value::<Inventory>);
        let entries = inventory.transpose()?.unwrap_or_default().entries;
        let count = entries.len();
        for (position, entry) in entries.iter().enumerate() {
            let reference = entry.object_ref()?;
            let last = position + 1 == count;
            self.line(indent, last, &reference.to_string());
            let below = format!("{indent}{}", if last { "    " } else { "│   " });
            let live = self.cluster.find_ref(&reference, &entry.v).await.unwrap_or_default();
            let Some(live) = live else { continue };
            self.children(live.uid(), &below);
            if live.gvk() == soll_api::Kustomization::gvk() {
                Box::pin(self.inventory(&live, &below)).await?;
            }
        }
        Ok(())
    }

    fn children(&mut self, uid: &str, indent: &str) {
        let children = self.owned.remove(uid).unwrap_or_default();
        let count = children.len();
        for (position, child) in children.iter().enumerate() {
            let last = position + 1 == count;
            self.line(indent, last, &child.object_ref().to_string());
            self.children(child.uid(), &format!("{indent}{}", if last { "    " } else { "│   " }));
        }
    }

    fn line(&mut self, indent: &str, last: bool, text: &str) {
        let branch = if last { "└── " } else { "├── " };
        self.lines.push_str(&format!("{indent}{branch}{text}\n"));
    }
}
