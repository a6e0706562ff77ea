//! Being somebody else: what the `Impersonate-*` headers ask for, and whether it is allowed.

use std::collections::BTreeMap;

use http::HeaderMap;
use percent_encoding::percent_decode_str;

use super::rbac::{self, Attempt};
use super::{ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED, User, account_groups, denied};
use crate::refusal::Refusal;
use crate::store::Store;

const EXTRA: &str = "impersonate-extra-";

/// The user that the headers ask for, if they do; each part of it needs the right to be impersonated.
pub(super) fn requested(store: &Store, own: &User, headers: &HeaderMap) -> Result<Option<User>, Refusal> {
    let texts = |name: &str| -> Vec<String> {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.map(str::to_owned).collect()
    };
    let first = |name: &str| texts(name).into_iter().next().unwrap_or_default();
    let (name, uid) = (first("impersonate-user"), first("impersonate-uid"));
    let mut groups = texts("impersonate-group");
    let extra = extra(headers);
    if name.is_empty() {
        if groups.is_empty() && uid.is_empty() && extra.is_empty() {
            return Ok(None);
        }
        return Err(Refusal::bad_request("a group, uid or extra was requested without impersonating a user"));
    }
    let account = name.strip_prefix("system:serviceaccount:").and_then(|account| account.split_once(':'));
    match account {
        Some((namespace, account)) => check(store, own, &attempt("", "serviceaccounts", "", namespace, account))?,
        None => check(store, own, &attempt("", "users", "", "", &name))?,
    }
    for group in &groups {
        check(store, own, &attempt("", "groups", "", "", group))?;
    }
    for (key, values) in &extra {
        for value in values {
            check(store, own, &attempt(GROUP, "userextras", key, "", value))?;
        }
    }
    if !uid.is_empty() {
        check(store, own, &attempt(GROUP, "uids", "", "", &uid))?;
    }
    if let Some((namespace, _)) = account.filter(|_| groups.is_empty()) {
        groups = account_groups(namespace);
    }
    let has = |group: &str| groups.iter().any(|held| held == group);
    if name == ANONYMOUS {
        if !has(UNAUTHENTICATED) {
            groups.push(UNAUTHENTICATED.to_owned());
        }
    } else if !has(AUTHENTICATED) && !has(UNAUTHENTICATED) {
        groups.push(AUTHENTICATED.to_owned());
    }
    Ok(Some(User { name, uid, groups, extra }))
}

const GROUP: &str = "authentication.k8s.io";

fn extra(headers: &HeaderMap) -> BTreeMap<String, Vec<String>> {
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        let Some(key) = name.as_str().strip_prefix(EXTRA) else { continue };
        let key = percent_decode_str(key).decode_utf8().map_or_else(|_| key.to_owned(), std::borrow::Cow::into_owned);
        extra.entry(key).or_default().push(value.to_str().unwrap_or_default().to_owned());
    }
    extra
}

fn attempt(group: &str, resource: &str, subresource: &str, namespace: &str, name: &str) -> Attempt {
    Attempt {
        verb: "impersonate".to_owned(),
        group: group.to_owned(),
        resource: resource.to_owned(),
        subresource: subresource.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        path: None,
    }
}

fn check(store: &Store, own: &User, attempt: &Attempt) -> Result<(), Refusal> {
    if rbac::allows(store, own, attempt) { Ok(()) } else { Err(denied(own, attempt)) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::store::{Expected, Key};
    use http::{HeaderName, HeaderValue};
    use soll_yaml::parse_json;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn whoever_may_be_a_user_may_not_be_of_any_group() {
        let store = Store::default();
        let put = |drawer: &str, body: &str| {
            let object = parse_json(body.as_bytes()).unwrap();
            store.put(drawer, &Key::new("", "u"), Expected::Absent, object).unwrap();
        };
        put(
            "rbac.authorization.k8s.io/clusterroles",
            r#"{"rules":[{"verbs":["impersonate"],"apiGroups":[""],"resources":["users"]},
                {"verbs":["impersonate"],"apiGroups":["authentication.k8s.io"],"resources":["userextras/scopes"],"resourceNames":["a"]}]}"#,
        );
        put(
            "rbac.authorization.k8s.io/clusterrolebindings",
            r#"{"roleRef":{"kind":"ClusterRole","name":"u"},"subjects":[{"kind":"User","name":"me"}]}"#,
        );
        let me = User { name: "me".to_owned(), ..User::default() };
        let ask = |pairs: &[(&'static str, &'static str)]| requested(&store, &me, &headers(pairs));
        let other = ask(&[("impersonate-user", "x"), ("impersonate-extra-scopes", "a")]).unwrap().unwrap();
        assert_eq!((other.name.as_str(), &other.extra["scopes"]), ("x", &vec!["a".to_owned()]));
        assert_eq!(other.groups, ["system:authenticated"]);
        for more in [
            ("impersonate-group", "system:masters"),
            ("impersonate-uid", "1"),
            ("impersonate-extra-scopes", "b"),
            ("impersonate-extra-other", "a"),
        ] {
            assert_eq!(ask(&[("impersonate-user", "x"), more]).unwrap_err().code, 403, "{more:?}");
        }
        assert_eq!(ask(&[("impersonate-user", "system:serviceaccount:a:b")]).unwrap_err().code, 403);
        assert_eq!(ask(&[("impersonate-extra-scopes", "a")]).unwrap_err().code, 400);
        assert_eq!(ask(&[]).unwrap(), None);
    }
}
