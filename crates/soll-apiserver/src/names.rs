//! Names of objects: which are valid, and how the server makes them up.

use std::net::IpAddr;

use rand::Rng;
use soll_yaml::Value;

use crate::kinds::service::parse_ip;
use crate::meta;
use crate::refusal::Cause;
use crate::resources::Resource;

/// Letters and digits that form no words and are not mistaken for each other.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX: usize = 5;
/// Names are made to fit into labels.
const LONGEST_GENERATED: usize = 63;

/// `base` with five random characters.
pub(crate) fn generate(base: &str) -> String {
    let mut end = base.len().min(LONGEST_GENERATED - SUFFIX);
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    let mut rng = rand::rng();
    let suffix = (0..SUFFIX).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())]));
    base[..end].chars().chain(suffix).collect()
}

/// What is wrong with the names in an object's metadata.
pub(crate) fn check(resource: &Resource, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let name = meta::text(object, "name");
    if name.is_empty() {
        causes.push(Cause::required("metadata.name", "name or generateName is required"));
    } else if let Err(why) = rule(resource)(name) {
        causes.push(Cause::invalid("metadata.name", &format!("{name:?}"), why));
    }
    causes.extend(check_labels(object));
    causes.extend(check_owners(object));
    causes
}

/// What is wrong with the labels and annotations of an object.
pub(crate) fn check_labels(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if let Some(labels) = object.lookup(&["metadata", "labels"]) {
        causes.extend(check_label_map("metadata.labels", labels));
    }
    let annotations = object.lookup(&["metadata", "annotations"]).and_then(Value::as_map);
    for entry in annotations.into_iter().flatten() {
        // Of annotations the case does not matter, not even in a domain.
        causes.extend(wrong_key("metadata.annotations", entry.key.as_str(), &entry.key.to_lowercase()));
    }
    causes
}

/// What is wrong with a map of labels.
pub(crate) fn check_label_map(field: &str, labels: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for entry in labels.as_map().into_iter().flatten() {
        causes.extend(wrong_key(field, entry.key.as_str(), entry.key.as_str()));
        let text = entry.value.as_str().unwrap_or_default();
        if !is_label_value(text) {
            causes.push(Cause::invalid(field, &format!("{text:?}"), LABEL_VALUE));
        }
    }
    causes
}

/// What is wrong with a key of a label that stands in a field.
pub(crate) fn label_key_causes(field: &str, key: &str) -> impl Iterator<Item = Cause> {
    wrong_key(field, key, key)
}

fn wrong_key(field: &str, written: &str, key: &str) -> impl Iterator<Item = Cause> {
    let shown = format!("{written:?}");
    label_key_mistakes(key).into_iter().map(move |why| Cause::invalid(field, &shown, why))
}

/// What is wrong with the owners of an object.
pub(crate) fn check_owners(object: &Value) -> Vec<Cause> {
    let owners = object.lookup(&["metadata", "ownerReferences"]).and_then(Value::as_list).unwrap_or_default();
    let mut causes = Vec::new();
    for owner in owners {
        let of = |field: &str| owner.lookup_str(&[field]).unwrap_or_default();
        let empty = |field: &str, why: &str| {
            of(field).is_empty().then(|| Cause::invalid(format!("metadata.ownerReferences.{field}"), "\"\"", why))
        };
        causes.extend(empty("apiVersion", "version must not be empty"));
        causes.extend(["kind", "name", "uid"].into_iter().filter_map(|field| empty(field, "must not be empty")));
    }
    let controls = |owner: &&Value| owner.get("controller").and_then(Value::as_bool) == Some(true);
    if owners.iter().filter(controls).count() > 1 {
        let shown = owners.first().map(crate::refusal::shown).unwrap_or_default();
        let why = "Only one reference can have Controller set to true. Found \"true\" in references";
        causes.push(Cause::invalid("metadata.ownerReferences", &shown, why));
    }
    causes
}

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const WILDCARD: &str = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const PATH: &str = "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const OLD_LABEL: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

type Rule = fn(&str) -> Result<(), String>;

fn rule(resource: &Resource) -> Rule {
    match (resource.group.as_str(), resource.plural.as_str()) {
        // That of an API service says what it serves.
        ("rbac.authorization.k8s.io", _)
        | ("policy", "poddisruptionbudgets")
        | ("apiregistration.k8s.io", "apiservices") => path_segment,
        ("", "services") => old_label,
        ("networking.k8s.io", "ipaddresses") => address,
        ("", "namespaces") | ("apps", "statefulsets") => label,
        _ => subdomain,
    }
}

/// What is said of a text that is no address.
pub(crate) const NO_IP: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";

/// An address, in whatever way it is written.
pub(crate) fn ip(text: &str) -> Result<(), String> {
    parse_ip(text).map(drop).ok_or_else(|| NO_IP.to_owned())
}

/// An address as it is written.
fn address(name: &str) -> Result<(), String> {
    match parse_ip(name) {
        None => Err(NO_IP.to_owned()),
        Some(ip) if ip.to_string() == name => Ok(()),
        Some(IpAddr::V4(_)) => Err("must not have leading 0s".to_owned()),
        Some(ip) => Err(format!("must be in canonical form (\"{ip}\")")),
    }
}

pub(crate) fn path_segment(name: &str) -> Result<(), String> {
    if name == "." || name == ".." {
        return Err(format!("may not be '{name}'"));
    }
    match name.chars().find(|c| matches!(c, '/' | '%')) {
        Some(bad) => Err(format!("may not contain '{bad}'")),
        None => Ok(()),
    }
}

pub(crate) fn subdomain(name: &str) -> Result<(), String> {
    if name.len() > 253 {
        return Err("must be no more than 253 characters".to_owned());
    }
    if name.split('.').all(is_label) { Ok(()) } else { Err(SUBDOMAIN.to_owned()) }
}

/// A subdomain with a star in place of its first label.
pub(crate) fn wildcard_subdomain(name: &str) -> Result<(), String> {
    let rest = name.strip_prefix("*.").filter(|_| name.len() <= 253);
    if rest.is_some_and(|rest| rest.split('.').all(is_label)) { Ok(()) } else { Err(WILDCARD.to_owned()) }
}

/// A domain, a slash and a path: `acme.io/foo`.
pub(crate) fn domain_prefixed_path(text: &str) -> Result<(), String> {
    let parts = text.split_once('/').filter(|(domain, path)| !domain.is_empty() && !path.is_empty());
    let Some((domain, path)) = parts else {
        return Err("must be a domain-prefixed path (such as \"acme.io/foo\")".to_owned());
    };
    subdomain(domain)?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || br"/-._~%!$&'()*+,;=:".contains(&byte);
    if path.bytes().all(fits) { Ok(()) } else { Err(PATH.to_owned()) }
}

/// The name of a machine with that of its network.
pub(crate) fn domain_of_two(name: &str) -> Result<(), String> {
    domain(name, 2, "two")
}

/// A name in a domain that somebody can own.
pub(crate) fn domain_of_three(name: &str) -> Result<(), String> {
    domain(name, 3, "three")
}

fn domain(name: &str, least: usize, said: &str) -> Result<(), String> {
    subdomain(name)?;
    if name.split('.').count() >= least {
        return Ok(());
    }
    Err(format!("should be a domain with at least {said} segments separated by dots"))
}

/// A label of a name, such as that of a namespace.
pub(crate) fn label(name: &str) -> Result<(), String> {
    if name.len() > 63 {
        return Err("must be no more than 63 characters".to_owned());
    }
    match (is_label(name), subdomain(name).is_ok()) {
        (true, _) => Ok(()),
        (false, true) => Err("must not contain dots".to_owned()),
        (false, false) => Err(LABEL.to_owned()),
    }
}

/// A label in which a dot is as wrong as anything else.
pub(crate) fn plain_label(name: &str) -> Result<(), String> {
    if is_label(name) { Ok(()) } else { Err(LABEL.to_owned()) }
}

/// The name of a variable of a process.
pub(crate) fn variable(name: &str) -> Result<(), String> {
    let fits = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'=';
    if name.bytes().all(fits) {
        return Ok(());
    }
    Err("a valid environment variable name must consist only of printable ASCII characters other than '='".to_owned())
}

/// Says whether a text is the name of a setting of the kernel.
pub(crate) fn is_sysctl(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    let ends = |byte: Option<u8>| byte.is_some_and(|byte| !b"-_".contains(&byte));
    let is_part = |part: &str| part.bytes().all(inner) && ends(part.bytes().next()) && ends(part.bytes().last());
    name.len() <= 253 && name.split(['.', '/']).all(is_part)
}

/// Names of services begin with a letter.
pub(crate) fn old_label(name: &str) -> Result<(), String> {
    if name.len() > 63 {
        return Err("must be no more than 63 characters".to_owned());
    }
    if is_label(name) && name.starts_with(|c: char| c.is_ascii_lowercase()) {
        Ok(())
    } else {
        Err(OLD_LABEL.to_owned())
    }
}

/// All that is wrong with a text as the name of a port.
pub(crate) fn port_name_mistakes(name: &str) -> Vec<&'static str> {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let rules = [
        (name.len() <= 15, "must be no more than 15 characters"),
        (name.bytes().all(is_inner), "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"),
        (name.bytes().any(|byte| byte.is_ascii_lowercase()), "must contain at least one letter (a-z)"),
        (!name.contains("--"), "must not contain consecutive hyphens"),
        (!name.starts_with('-') && !name.ends_with('-'), "must not begin or end with a hyphen"),
    ];
    rules.into_iter().filter(|(holds, _)| !holds).map(|(_, why)| why).collect()
}

/// Says whether a text is a DNS label but for its length.
pub(crate) fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// Why a text is no key of a label.
pub(crate) fn check_label_key(key: &str) -> Result<(), String> {
    let wrong = label_key_mistakes(key);
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

/// All that is wrong with a text as a key of a label.
pub(crate) fn label_key_mistakes(key: &str) -> Vec<String> {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let mut wrong = Vec::new();
    if name.contains('/') {
        let rule = QUALIFIED.trim_start_matches("name part must consist of ");
        return vec![format!(
            "a valid label key must consist of {rule} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        )];
    }
    match prefix {
        Some("") => wrong.push("prefix part must be non-empty".to_owned()),
        Some(prefix) => wrong.extend(subdomain(prefix).err().map(|why| format!("prefix part {why}"))),
        None => {}
    }
    if name.is_empty() {
        wrong.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        wrong.push("name part must be no more than 63 bytes".to_owned());
    }
    if name.is_empty() || !is_label_value(name) && name.len() <= 63 {
        wrong.push(QUALIFIED.to_owned());
    }
    wrong
}

/// Why a text is no value of a label.
pub(crate) fn check_label_value(value: &str) -> Result<(), String> {
    match (value.len() > 63, is_label_value(value)) {
        (true, _) => Err("must be no more than 63 bytes".to_owned()),
        (false, false) => Err(LABEL_VALUE.to_owned()),
        (false, true) => Ok(()),
    }
}

fn is_label_value(text: &str) -> bool {
    let outer = |byte: Option<u8>| byte.is_none_or(|byte| byte.is_ascii_alphanumeric());
    text.len() <= 63
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && outer(text.bytes().next())
        && outer(text.bytes().last())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_fit_into_labels() {
        let name = generate(&"a".repeat(80));
        assert_eq!(name.len(), 63);
        assert!(generate("web-").starts_with("web-"));
        assert_ne!(generate("x"), generate("x"), "one in fourteen million");
    }

    #[test]
    fn names_follow_the_rules_of_dns() {
        assert!(subdomain("a.b-c.9").is_ok());
        for bad in ["", "A", "a_b", "-a", "a-", "a..b"] {
            assert!(subdomain(bad).is_err(), "{bad:?}");
        }
        assert!(label("a.b").is_err());
        assert!(path_segment("system:node").is_ok() && path_segment("a/b").is_err());
    }

    #[test]
    fn labels_follow_their_grammar() {
        let is_key = |text| check_label_key(text).is_ok();
        assert!(is_key("app.kubernetes.io/name") && is_key("A_b"));
        assert!(!is_key("/a") && !is_key("a/") && !is_key("a b"));
        assert!(is_label_value("") && is_label_value("v1.2_x") && !is_label_value("-a"));
    }
}
