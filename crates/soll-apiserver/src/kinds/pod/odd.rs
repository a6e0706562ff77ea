//! What is allowed in a pod and odd: whoever writes it is warned.

use std::collections::{HashMap, HashSet};

use soll_yaml::Value;

fn list<'o>(value: &'o Value, keys: &[&str]) -> &'o [Value] {
    value.lookup(keys).and_then(Value::as_list).unwrap_or_default()
}

fn text<'o>(value: &'o Value, key: &str) -> &'o str {
    value.lookup_str(&[key]).unwrap_or_default()
}

/// The sentences about the pod spec at `at`, in the order in which kube-apiserver says them.
pub(crate) fn warnings(spec: &Value, at: &str) -> Vec<String> {
    let mut found =
        selectors(list(spec, &["topologySpreadConstraints"]), &[], &format!("{at}.topologySpreadConstraints"));
    found.extend(repeated(list(spec, &["hostAliases"]), "ip", &format!("{at}.hostAliases")));
    let secrets = list(spec, &["imagePullSecrets"]);
    let secrets_at = format!("{at}.imagePullSecrets");
    found.extend(repeated(secrets, "name", &secrets_at));
    let nameless = secrets.iter().enumerate().filter(|(_, secret)| text(secret, "name").is_empty());
    found.extend(nameless.map(|(index, _)| format!("{secrets_at}[{index}].name: invalid empty name \"\"")));
    let containers = containers(spec, at);
    containers.iter().for_each(|(at, container)| found.extend(hidden_variables(container, at)));
    found.extend(ports(&containers));
    found.extend(port_names(&containers));
    if spec.get("terminationGracePeriodSeconds").and_then(Value::as_i64).is_some_and(|seconds| seconds < 0) {
        found.push(format!(
            "{at}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
        ));
    }
    for side in ["podAffinity", "podAntiAffinity"] {
        for (field, below) in [
            ("requiredDuringSchedulingIgnoredDuringExecution", &[][..]),
            ("preferredDuringSchedulingIgnoredDuringExecution", &["podAffinityTerm"]),
        ] {
            let terms = list(spec, &["affinity", side, field]);
            found.extend(selectors(terms, below, &format!("{at}.affinity.{side}.{field}")));
        }
    }
    found
}

/// What is odd about the name of a workload: its pods are named after it.
pub(crate) fn name(name: &str) -> Option<String> {
    let mut odd = Vec::new();
    if name.len() > 63 {
        odd.push("must be no more than 63 characters");
    }
    if name.contains('.') {
        odd.push("must not contain dots");
    }
    (!odd.is_empty()).then(|| {
        format!(
            "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is \
             recommended: [{}]",
            odd.join(" ")
        )
    })
}

/// All containers with their places.
pub(super) fn containers<'o>(spec: &'o Value, at: &str) -> Vec<(String, &'o Value)> {
    let of = |field: &'static str| {
        let all = list(spec, &[field]).iter().enumerate();
        all.map(move |(index, container)| (format!("{at}.{field}[{index}]"), container))
    };
    of("initContainers").chain(of("containers")).chain(of("ephemeralContainers")).collect()
}

/// Terms that select nothing, because they have no selector.
fn selectors(terms: &[Value], below: &[&str], at: &str) -> Vec<String> {
    let place: String = below.iter().map(|field| format!(".{field}")).collect();
    let without = terms.iter().enumerate().filter(|(_, term)| {
        let term = if below.is_empty() { Some(*term) } else { term.lookup(below) };
        term.is_none_or(|term| term.get("labelSelector").is_none())
    });
    without
        .map(|(index, _)| {
            format!("{at}[{index}]{place}.labelSelector: a null labelSelector results in matching no pod")
        })
        .collect()
}

/// Items whose field has a value that an earlier one has.
fn repeated(items: &[Value], field: &str, at: &str) -> Vec<String> {
    let mut seen = HashSet::new();
    let again = items.iter().enumerate().filter(|(_, item)| !seen.insert(text(item, field)));
    again.map(|(index, item)| format!("{at}[{index}].{field}: duplicate {field} {:?}", text(item, field))).collect()
}

/// Variables that take the place of earlier ones, without building on them.
fn hidden_variables(container: &Value, at: &str) -> Vec<String> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for (index, variable) in list(container, &["env"]).iter().enumerate() {
        let (name, value) = (text(variable, "name"), text(variable, "value"));
        if seen.insert(name) {
            continue;
        }
        let before = format!("$({name})");
        if variable.get("valueFrom").is_some() || value == before || !value.contains(&before) {
            found.push(format!(
                "{at}.env[{index}]: hides previous definition of {name:?}, which may be dropped when using apply"
            ));
        }
    }
    found
}

/// A port of the node that leads to one of a container.
struct HostPort<'o> {
    place: String,
    address: &'o str,
    number: i64,
}

/// Ports of one number and protocol that stand more than once.
fn ports(containers: &[(String, &Value)]) -> Vec<String> {
    let mut seen: HashMap<(i64, &str), Vec<HostPort<'_>>> = HashMap::new();
    let mut found = Vec::new();
    for (at, container) in containers {
        for (index, port) in list(container, &["ports"]).iter().enumerate() {
            let number = |field: &str| port.get(field).and_then(Value::as_i64).unwrap_or(0);
            let place = format!("{at}.ports[{index}]");
            let host = HostPort { place, address: text(port, "hostIP"), number: number("hostPort") };
            let others = seen.entry((number("containerPort"), text(port, "protocol"))).or_default();
            for other in others.iter() {
                let how = if host.address == other.address && host.number == other.number {
                    "duplicate"
                } else if host.number == 0 || other.number == 0 {
                    "overlapping"
                } else if host.number == other.number && host.address.is_empty() != other.address.is_empty() {
                    "dangerously ambiguous"
                } else {
                    continue;
                };
                found.push(format!("{}: {how} port definition with {}", host.place, other.place));
            }
            others.push(host);
        }
    }
    found
}

/// Names of ports that stand more than once: whoever selects a port by name gets the first.
fn port_names(containers: &[(String, &Value)]) -> Vec<String> {
    let mut seen: HashMap<&str, String> = HashMap::new();
    let mut found = Vec::new();
    for (at, container) in containers {
        for (index, port) in list(container, &["ports"]).iter().enumerate() {
            let (name, place) = (text(port, "name"), format!("{at}.ports[{index}]"));
            match seen.get(name) {
                _ if name.is_empty() => {}
                Some(first) => found.push(format!(
                    "{place}: duplicate port name {name:?} with {first}, services and probes that select ports by name will use {first}"
                )),
                None => drop(seen.insert(name, place)),
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use soll_yaml::parse_json;

    #[test]
    fn what_is_odd_is_told_where_it_stands() {
        let spec = br#"{"imagePullSecrets":[{"name":"a"},{"name":"a"},{}],"containers":[
            {"name":"c","env":[{"name":"X","value":"1"},{"name":"X","value":"$(X)2"},{"name":"X","value":"3"}],
             "ports":[{"containerPort":80,"protocol":"TCP"},{"containerPort":80,"protocol":"TCP"},{"containerPort":80,"protocol":"UDP"}]}],
            "affinity":{"podAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[{"podAffinityTerm":{}}]}}}"#;
        let preferred = "s.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm";
        assert_eq!(
            warnings(&parse_json(spec).expect("JSON"), "s"),
            [
                "s.imagePullSecrets[1].name: duplicate name \"a\"".to_owned(),
                "s.imagePullSecrets[2].name: invalid empty name \"\"".to_owned(),
                "s.containers[0].env[2]: hides previous definition of \"X\", which may be dropped when using apply"
                    .to_owned(),
                "s.containers[0].ports[1]: duplicate port definition with s.containers[0].ports[0]".to_owned(),
                format!("{preferred}.labelSelector: a null labelSelector results in matching no pod"),
            ]
        );
    }
}
