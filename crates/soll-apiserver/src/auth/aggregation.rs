//! Cluster roles that are made of others: their rules are those of the roles that their selectors find.
//!
//! In Kubernetes a controller writes them a moment later; here they are there when the write that changes them is answered.

use std::sync::Arc;

use jiff::Timestamp;
use soll_patch::structured::{self, Write};
use soll_schema::Schemas;
use soll_yaml::{Map, Value};

use crate::meta;
use crate::rest::{Api, finalize};
use crate::selector::LabelSelector;

const DRAWER: &str = "rbac.authorization.k8s.io/clusterroles";
const VERSION: &str = "rbac.authorization.k8s.io/v1";

/// Brings the rules of all such roles in line. What that changes may be part of others again: writing them comes back here.
pub(crate) fn refresh(api: &Arc<Api>) {
    if !api.controllers {
        return;
    }
    for role in api.store.snapshot(DRAWER).0.iter() {
        let Some(rules) = gathered(api, &role.value) else { continue };
        if role.value.get("rules").and_then(Value::as_list).unwrap_or_default() != rules {
            finalize(api, DRAWER, &role.key, |live| {
                if let Some(rules) = gathered(api, live) {
                    *live = with_rules(live, rules);
                }
            });
        }
    }
}

/// The rules of the roles that a role is made of, each once; none for a role that has its own.
fn gathered(api: &Api, role: &Value) -> Option<Vec<Value>> {
    let selectors = role.lookup(&["aggregationRule", "clusterRoleSelectors"])?.as_list()?;
    let roles = api.store.snapshot(DRAWER).0;
    let name = meta::text(role, "name");
    let mut rules: Vec<Value> = Vec::new();
    for selector in selectors.iter().filter_map(|selector| LabelSelector::from_value(selector).ok()) {
        for other in roles.iter().filter(|other| other.key.name != name && selector.matches(&other.value)) {
            for rule in other.value.get("rules").and_then(Value::as_list).unwrap_or_default() {
                if !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
        }
    }
    Some(rules)
}

fn with_rules(role: &Value, rules: Vec<Value>) -> Value {
    let metadata = Map::from_iter([("name", Value::str(meta::text(role, "name")))]);
    let config = Map::from_iter([
        ("apiVersion", Value::str(VERSION)),
        ("kind", Value::str("ClusterRole")),
        ("metadata", metadata.into()),
        ("rules", Value::list(rules)),
    ]);
    let write = Write {
        manager: "clusterrole-aggregation-controller",
        api_version: VERSION,
        subresource: "",
        now: &meta::time(Timestamp::now()),
        types: &|api_version: &str| Some(Schemas::builtin().of(api_version, "ClusterRole")?.type_ref()),
        ignored: None,
    };
    // What is stored fits its type, and force has no conflicts.
    structured::apply(Some(role), &config.into(), true, &write).map_or_else(|_| role.clone(), |applied| applied.object)
}
