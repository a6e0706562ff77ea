//! Who calls, and what they may do.

pub(crate) mod escalation;
pub(crate) mod rbac;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};
use rand::Rng;

use crate::refusal::Refusal;
use crate::resources::Resource;
use crate::rest::agent;
use crate::store::Store;
use rbac::Attempt;

/// Who sends a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    /// Name: `admin`, `system:serviceaccount:apps:deployer`.
    pub(crate) name: String,
    /// Groups: `system:masters`.
    pub(crate) groups: Vec<String>,
}

/// A user and the program that they use.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) user: User,
    /// The `User-Agent`.
    pub(crate) agent: String,
}

/// The tokens that are known, and whose they are.
#[derive(Debug)]
pub(crate) struct Access {
    admin_token: String,
    /// Tokens of service accounts. The mutex guards a look-up.
    issued: Mutex<HashMap<String, User>>,
}

/// Put among a request's extensions by callers of the same process, which need no token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inside;

pub(crate) const MASTERS: &str = "system:masters";
const AUTHENTICATED: &str = "system:authenticated";

impl User {
    /// The one who may do everything.
    pub(crate) fn admin() -> Self {
        Self { name: "soll:admin".to_owned(), groups: vec![MASTERS.to_owned(), AUTHENTICATED.to_owned()] }
    }
}

impl Access {
    /// A new random token for the administrator.
    pub(crate) fn new() -> Self {
        Self { admin_token: random_token(), issued: Mutex::default() }
    }

    pub(crate) fn admin_token(&self) -> &str {
        &self.admin_token
    }

    /// A new token for a service account, good until this server ends.
    pub(crate) fn issue(&self, namespace: &str, name: &str) -> String {
        let token = random_token();
        let user =
            User { name: format!("system:serviceaccount:{namespace}:{name}"), groups: account_groups(namespace) };
        self.issued.lock().unwrap_or_else(PoisonError::into_inner).insert(token.clone(), user);
        token
    }

    /// The user that a token belongs to.
    pub(crate) fn user_of(&self, token: &str) -> Option<User> {
        if same(token.as_bytes(), self.admin_token.as_bytes()) {
            return Some(User::admin());
        }
        self.issued.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    /// Finds out who calls: by token, or the administrator for callers of the same process.
    pub(crate) fn authenticate(&self, store: &Store, headers: &HeaderMap, inside: bool) -> Result<Caller, Refusal> {
        let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = token.and_then(|value| value.strip_prefix("Bearer ")).map(str::trim).unwrap_or_default();
        let own = if inside { Some(User::admin()) } else { self.user_of(token) };
        let own = own.ok_or_else(Refusal::unauthorized)?;
        let user = match impersonated(headers) {
            Some(user) => {
                check_impersonation(store, &own, &user)?;
                user
            }
            None if ["impersonate-group", "impersonate-uid"].iter().any(|name| headers.contains_key(*name)) => {
                return Err(Refusal::bad_request("a group or uid was requested without impersonating a user"));
            }
            None => own,
        };
        Ok(Caller { user, agent: agent(headers).to_owned() })
    }
}

fn random_token() -> String {
    let bytes: [u8; 24] = rand::rng().random();
    crate::discovery::hex(&bytes)
}

/// Refuses what the roles of a user do not allow.
pub(crate) fn authorize(store: &Store, user: &User, resource: &Resource, attempt: &Attempt) -> Result<(), Refusal> {
    if rbac::allows(store, user, attempt) {
        return Ok(());
    }
    let scope = match attempt.namespace.as_str() {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace {namespace:?}"),
    };
    let what = match attempt.subresource.as_str() {
        "" => attempt.resource.clone(),
        sub => format!("{}/{sub}", attempt.resource),
    };
    let why = format!(
        "User {:?} cannot {} resource {what:?} in API group {:?} {scope}",
        user.name, attempt.verb, attempt.group
    );
    Err(Refusal::forbidden(resource, &attempt.name, why))
}

/// Refuses a path that is no resource if the roles of a user do not allow it.
pub(crate) fn authorize_path(store: &Store, user: &User, method: &Method, path: &str) -> Result<(), Refusal> {
    let verb = method.as_str().to_lowercase();
    let attempt = Attempt { verb: verb.clone(), path: Some(path.to_owned()), ..Attempt::default() };
    if rbac::allows(store, user, &attempt) {
        return Ok(());
    }
    Err(Refusal::path_denied(format!("forbidden: User {:?} cannot {verb} path {path:?}", user.name)))
}

fn check_impersonation(store: &Store, own: &User, user: &User) -> Result<(), Refusal> {
    let attempt = |resource: &str, namespace: &str, name: &str| Attempt {
        verb: "impersonate".to_owned(),
        resource: resource.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        ..Attempt::default()
    };
    let account = user.name.strip_prefix("system:serviceaccount:").and_then(|account| account.split_once(':'));
    let as_user = match account {
        Some((namespace, name)) => attempt("serviceaccounts", namespace, name),
        None => attempt("users", "", &user.name),
    };
    if rbac::allows(store, own, &as_user) {
        return Ok(());
    }
    Err(Refusal::access_denied(format!(
        "{} {:?} is forbidden: User {:?} cannot impersonate resource {:?} in API group \"\" at the cluster scope",
        as_user.resource, as_user.name, own.name, as_user.resource
    )))
}

fn account_groups(namespace: &str) -> Vec<String> {
    let groups = ["system:serviceaccounts", &format!("system:serviceaccounts:{namespace}"), AUTHENTICATED];
    groups.map(str::to_owned).to_vec()
}

/// Compares without telling by its duration where the first difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differences, (a, b)| differences | (a ^ b)) == 0
}

/// The user that the administrator wants to be.
fn impersonated(headers: &HeaderMap) -> Option<User> {
    let name = headers.get("impersonate-user")?.to_str().ok()?.to_owned();
    let mut groups: Vec<String> = headers
        .get_all("impersonate-group")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .map(str::to_owned)
        .collect();
    let account = name.strip_prefix("system:serviceaccount:").and_then(|account| account.split_once(':'));
    if let Some((namespace, _)) = account.filter(|_| groups.is_empty()) {
        groups = account_groups(namespace);
    }
    if name == "system:anonymous" && groups.is_empty() {
        groups.push("system:unauthenticated".to_owned());
    }
    if !groups.iter().any(|group| group == AUTHENTICATED || group == "system:unauthenticated") {
        groups.push(AUTHENTICATED.to_owned());
    }
    Some(User { name, groups })
}
