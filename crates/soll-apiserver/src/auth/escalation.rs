//! Nobody gives away rights that they do not have.

use std::collections::BTreeMap;

use soll_yaml::Value;

use super::rbac::{self, Attempt};
use crate::meta;
use crate::refusal::Refusal;
use crate::resources::Resource;
use crate::rest::Context;

/// Refuses roles and bindings that would give more than their author has.
pub(crate) fn admit(ctx: &Context<'_>, object: &Value) -> Result<(), Refusal> {
    let resource = &ctx.target.resource;
    match resource.plural.as_str() {
        _ if resource.group != "rbac.authorization.k8s.io" => Ok(()),
        "roles" | "clusterroles" => admit_role(ctx, object),
        _ => admit_binding(ctx, object),
    }
}

fn may(ctx: &Context<'_>, verb: &str, resource: &Resource, plural: &str, name: &str) -> bool {
    let attempt = Attempt {
        verb: verb.to_owned(),
        group: resource.group.to_string(),
        resource: plural.to_owned(),
        namespace: ctx.target.namespace.clone(),
        name: name.to_owned(),
        ..Attempt::default()
    };
    rbac::allows(&ctx.api.store, &ctx.caller.user, &attempt)
}

fn admit_role(ctx: &Context<'_>, role: &Value) -> Result<(), Refusal> {
    let resource = &ctx.target.resource;
    let name = meta::text(role, "name");
    if may(ctx, "escalate", resource, &resource.plural, name) {
        return Ok(());
    }
    confirm(ctx, name, &rbac::rules_of(role))
}

fn admit_binding(ctx: &Context<'_>, binding: &Value) -> Result<(), Refusal> {
    let resource = &ctx.target.resource;
    let of_role = |field: &str| binding.lookup_str(&["roleRef", field]).unwrap_or_default();
    let plural = if of_role("kind") == "ClusterRole" { "clusterroles" } else { "roles" };
    if may(ctx, "bind", resource, plural, of_role("name")) {
        return Ok(());
    }
    let Some(role) = rbac::role(&ctx.api.store, binding) else {
        return Err(Refusal::not_found(resource, of_role("name")));
    };
    confirm(ctx, meta::text(binding, "name"), &rbac::rules_of(&role))
}

/// Refuses if the user's own rules do not cover others.
fn confirm(ctx: &Context<'_>, name: &str, wanted: &[Value]) -> Result<(), Refusal> {
    let user = &ctx.caller.user;
    let own: Vec<Value> = rbac::rules(&ctx.api.store, user, &ctx.target.namespace).collect();
    let missing = missing(&own, wanted);
    if missing.is_empty() {
        return Ok(());
    }
    let groups: Vec<String> = user.groups.iter().map(|group| format!("{group:?}")).collect();
    Err(Refusal::forbidden(
        &ctx.target.resource,
        name,
        format!(
            "user {:?} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
            user.name,
            groups.join(" "),
            missing.join("\n")
        ),
    ))
}

fn strings<'v>(rule: &'v Value, field: &str) -> Vec<&'v str> {
    let list = rule.get(field).and_then(Value::as_list).unwrap_or_default();
    list.iter().filter_map(Value::as_str).collect()
}

/// What of the wanted rules the own ones do not cover, as Kubernetes writes rules, in order.
fn missing(own: &[Value], wanted: &[Value]) -> Vec<String> {
    let mut resources: BTreeMap<(&str, &str, Option<&str>), Vec<&str>> = BTreeMap::new();
    let mut urls: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for rule in wanted {
        let names = strings(rule, "resourceNames");
        let names: Vec<Option<&str>> =
            if names.is_empty() { vec![None] } else { names.into_iter().map(Some).collect() };
        for verb in strings(rule, "verbs") {
            for group in strings(rule, "apiGroups") {
                for resource in strings(rule, "resources") {
                    for name in &names {
                        if !own.iter().any(|own| covers(own, verb, group, resource, *name)) {
                            resources.entry((group, resource, *name)).or_default().push(verb);
                        }
                    }
                }
            }
            for url in strings(rule, "nonResourceURLs") {
                if !own.iter().any(|own| covers_url(own, verb, url)) {
                    urls.entry(url).or_default().push(verb);
                }
            }
        }
    }
    let quoted = |verbs: &[&str]| verbs.iter().map(|verb| format!("{verb:?}")).collect::<Vec<_>>().join(" ");
    let of_resources = resources.iter().map(|((group, resource, name), verbs)| {
        let name = name.map(|name| format!(", ResourceNames:[{name:?}]")).unwrap_or_default();
        format!("{{APIGroups:[{group:?}], Resources:[{resource:?}]{name}, Verbs:[{}]}}", quoted(verbs))
    });
    let of_urls = urls.iter().map(|(url, verbs)| format!("{{NonResourceURLs:[{url:?}], Verbs:[{}]}}", quoted(verbs)));
    let mut all: Vec<String> = of_resources.chain(of_urls).collect();
    all.sort();
    all
}

fn has(rule: &Value, field: &str, wanted: &str) -> bool {
    strings(rule, field).iter().any(|held| *held == "*" || *held == wanted)
}

fn covers(own: &Value, verb: &str, group: &str, resource: &str, name: Option<&str>) -> bool {
    let names = strings(own, "resourceNames");
    let below = resource.split_once('/').map(|(_, below)| format!("*/{below}"));
    has(own, "verbs", verb)
        && has(own, "apiGroups", group)
        && (has(own, "resources", resource) || below.is_some_and(|below| has(own, "resources", &below)))
        && (names.is_empty() || name.is_some_and(|name| names.contains(&name)))
}

fn covers_url(own: &Value, verb: &str, url: &str) -> bool {
    let fits = |held: &&str| match held.strip_suffix('*') {
        Some(prefix) => url.starts_with(prefix),
        None => *held == url,
    };
    has(own, "verbs", verb) && strings(own, "nonResourceURLs").iter().any(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Vec<Value> {
        let list = soll_yaml::parse_json(text.as_bytes()).expect("JSON");
        list.as_list().expect("a list").to_vec()
    }

    #[test]
    fn what_is_not_held_is_named() {
        let own = rules(
            r#"[{"verbs":["get","list"],"apiGroups":[""],"resources":["pods","*/scale"]},
            {"verbs":["*"],"apiGroups":["apps"],"resources":["*"],"resourceNames":["a"]}]"#,
        );
        let check = |wanted: &str| missing(&own, &rules(wanted));
        assert!(check(r#"[{"verbs":["get"],"apiGroups":[""],"resources":["pods","things/scale"]}]"#).is_empty());
        assert!(check(r#"[{"verbs":["x"],"apiGroups":["apps"],"resources":["y"],"resourceNames":["a"]}]"#).is_empty());
        assert_eq!(
            check(r#"[{"verbs":["get","delete","*"],"apiGroups":[""],"resources":["pods"]}]"#),
            [r#"{APIGroups:[""], Resources:["pods"], Verbs:["delete" "*"]}"#]
        );
        assert_eq!(
            check(
                r#"[{"verbs":["get"],"apiGroups":["apps"],"resources":["y"]},{"verbs":["get"],"nonResourceURLs":["/x"]}]"#
            ),
            [r#"{APIGroups:["apps"], Resources:["y"], Verbs:["get"]}"#, r#"{NonResourceURLs:["/x"], Verbs:["get"]}"#]
        );
    }
}
