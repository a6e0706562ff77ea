//! Ingresses and their classes.

use soll_yaml::Value;

use super::checks::{self, invalid, items, list, named, one_of, optional, quoted, text};
use super::{child, default, spec_of};
use crate::names;
use crate::refusal::Cause;

/// Who chose a class before there was a field for it.
const CLASS: &str = "kubernetes.io/ingress.class";

/// The parameters of a class are the cluster's.
pub(super) fn settle_class(object: &mut Value) {
    if let Some(parameters) = child(spec_of(object), "parameters") {
        default(parameters, "scope", "Cluster");
    }
}

pub(super) fn validate_class(object: &Value) -> Vec<Cause> {
    let (field, controller) = ("spec.controller", text(object, &["spec", "controller"]));
    let mut causes: Vec<_> = if controller.len() > 250 {
        vec![Cause::too_long(field, 250)]
    } else if controller.is_empty() {
        vec![Cause::required(field, "")]
    } else {
        invalid(field, controller, names::domain_prefixed_path(controller)).into_iter().collect()
    };
    let Some(parameters) = object.lookup(&["spec", "parameters"]) else { return causes };
    let at = "spec.parameters";
    causes.extend(checks::reference(at, parameters));
    let namespace = parameters.get("namespace").and_then(Value::as_str);
    let field = format!("{at}.namespace");
    match (text(parameters, &["scope"]), namespace) {
        ("Namespace", None) => causes.push(Cause::required(field, "`parameters.scope` is set to 'Namespace'")),
        ("Namespace", Some(name)) => causes.extend(invalid(field, name, names::label(name))),
        ("Cluster", Some(_)) => causes.push(Cause::forbidden(field, "`parameters.scope` is set to 'Cluster'")),
        ("Cluster", None) => {}
        (other, _) => causes.extend(one_of(format!("{at}.scope"), other, &["Cluster", "Namespace"])),
    }
    causes
}

pub(super) fn validate(old: Option<&Value>, object: &Value) -> Vec<Cause> {
    let rules = list(object, &["spec", "rules"]);
    let backend = object.lookup(&["spec", "defaultBackend"]);
    let mut causes = Vec::new();
    if rules.is_empty() && backend.is_none() {
        causes.push(Cause::invalid("spec", "null", "either `defaultBackend` or `rules` must be specified"));
    }
    causes.extend(backend.into_iter().flat_map(|backend| validate_backend(backend, "spec.defaultBackend")));
    let spec = object.get("spec").cloned().unwrap_or_default();
    for (at, rule) in items(&spec, "rules", "spec") {
        let host = text(rule, &["host"]);
        causes.extend(if host.is_empty() { None } else { validate_host(format!("{at}.host"), host) });
        let Some(paths) = rule.get("http") else { continue };
        let at = format!("{at}.http");
        if list(paths, &["paths"]).is_empty() {
            causes.push(Cause::required(format!("{at}.paths"), ""));
        }
        causes.extend(items(paths, "paths", &at).flat_map(|(at, path)| validate_path(path, &at)));
    }
    for (at, tls) in items(&spec, "tls", "spec") {
        let hosts = items(tls, "hosts", &at).filter_map(|(at, host)| host_name(at, host.as_str().unwrap_or_default()));
        causes.extend(hosts);
        let secret = text(tls, &["secretName"]);
        causes.extend(optional(format!("{at}.secretName"), secret, names::subdomain));
    }
    let class = text(&spec, &["ingressClassName"]);
    causes.extend(optional("spec.ingressClassName", class, names::subdomain));
    let noted = object.lookup_str(&["metadata", "annotations", CLASS]).filter(|_| old.is_none() && !class.is_empty());
    if let Some(noted) = noted.filter(|noted| *noted != class) {
        let why = "must match `ingressClassName` when both are specified";
        causes.push(Cause::invalid("annotations.kubernetes.io/ingress.class", &quoted(noted), why));
    }
    causes
}

fn validate_host(field: String, host: &str) -> Option<Cause> {
    if super::service::parse_ip(host).is_some() {
        return invalid(field, host, Err("must be a DNS name, not an IP address".to_owned()));
    }
    host_name(field, host)
}

fn host_name(field: String, host: &str) -> Option<Cause> {
    let rule = if host.contains('*') { names::wildcard_subdomain(host) } else { names::subdomain(host) };
    invalid(field, host, rule)
}

fn validate_path(path: &Value, at: &str) -> Vec<Cause> {
    const NOWHERE: [&str; 5] = ["//", "/./", "/../", "%2f", "%2F"];
    const NOT_AT_THE_END: [&str; 2] = ["/..", "/."];
    let (field, place) = (format!("{at}.path"), text(path, &["path"]));
    let wrong = |why: String| Cause::invalid(&*field, &quoted(place), why);
    let is_absolute = place.starts_with('/');
    let mut causes = Vec::new();
    match path.lookup_str(&["pathType"]) {
        None => causes.push(Cause::required(format!("{at}.pathType"), "pathType must be specified")),
        Some("Exact" | "Prefix") => {
            causes.extend((!is_absolute).then(|| wrong("must be an absolute path".to_owned())));
            let found = NOWHERE.iter().filter(|part| place.contains(*part));
            causes.extend(found.map(|part| wrong(format!("must not contain '{part}'"))));
            let found = NOT_AT_THE_END.iter().filter(|part| place.ends_with(*part));
            causes.extend(found.map(|part| wrong(format!("cannot end with '{part}'"))));
        }
        Some("ImplementationSpecific") => {
            let is_wrong = !place.is_empty() && !is_absolute;
            causes.extend(is_wrong.then(|| wrong("must be an absolute path".to_owned())));
        }
        Some(other) => {
            let known = ["Exact", "ImplementationSpecific", "Prefix"];
            causes.extend(one_of(format!("{at}.pathType"), other, &known));
        }
    }
    let backend = path.get("backend");
    causes.extend(backend.into_iter().flat_map(|backend| validate_backend(backend, &format!("{at}.backend"))));
    causes
}

fn validate_backend(backend: &Value, at: &str) -> Vec<Cause> {
    let service = match (backend.get("service"), backend.get("resource")) {
        (None, None) => return vec![Cause::invalid(at, "\"\"", "resource or service backend is required")],
        (Some(_), Some(_)) => {
            return vec![Cause::invalid(at, "\"\"", "cannot set both resource and service backends")];
        }
        (None, Some(resource)) => return checks::reference(&format!("{at}.resource"), resource),
        (Some(service), None) => service,
    };
    let of = format!("{at}.service");
    let mut causes: Vec<_> =
        named(format!("{of}.name"), text(service, &["name"]), names::old_label).into_iter().collect();
    let name = text(service, &["port", "name"]);
    let number = service.lookup(&["port", "number"]).and_then(Value::as_i64).unwrap_or(0);
    match (!name.is_empty(), number != 0) {
        (false, false) => causes.push(Cause::required(at, "port name or number is required")),
        (true, true) => {
            let all = crate::refusal::shown(backend);
            causes.push(Cause::invalid(at, &all, "cannot set both port name & port number"));
        }
        (true, false) => causes.extend(checks::port_name(&format!("{of}.port.name"), name)),
        (false, true) => causes.extend(checks::port_number(format!("{of}.port.number"), number)),
    }
    causes
}
