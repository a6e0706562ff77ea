//! Who calls, and what they may do.

pub(crate) mod aggregation;
pub(crate) mod certificate;
pub(crate) mod escalation;
mod impersonation;
pub(crate) mod rbac;

use std::collections::BTreeMap;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};
use jiff::Timestamp;

use crate::refusal::Refusal;
use crate::rest::agent;
use crate::store::Store;
use crate::tokens::{self, Claims, Signer};
use certificate::Certified;
use rbac::Attempt;

/// Who sends a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct User {
    /// Name: `admin`, `system:serviceaccount:apps:deployer`.
    pub(crate) name: String,
    /// Tells namesakes apart; empty if there are none.
    pub(crate) uid: String,
    /// Groups: `system:masters`.
    pub(crate) groups: Vec<String>,
    /// What else whoever let them in says of them.
    pub(crate) extra: BTreeMap<String, Vec<String>>,
}

/// A user and the program that they use.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) user: User,
    /// The `User-Agent`.
    pub(crate) agent: String,
}

/// How callers show who they are.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    admin_token: String,
    signer: Arc<Signer>,
}

/// What is known of whoever is at the other end, before a request says anything. It goes among the request's extensions.
#[derive(Debug, Clone)]
pub(crate) enum Peer {
    /// The same process, which needs no token.
    Inside,
    /// Somebody without a certificate.
    Unknown,
    /// Somebody with a certificate of the server's authority.
    Certified(Arc<Certified>),
    /// Somebody with a certificate that says nothing here.
    Mistaken,
}

pub(crate) const MASTERS: &str = "system:masters";
pub(crate) const AUTHENTICATED: &str = "system:authenticated";
const UNAUTHENTICATED: &str = "system:unauthenticated";
const ANONYMOUS: &str = "system:anonymous";

impl User {
    /// The one who may do everything.
    pub(crate) fn admin() -> Self {
        let groups = vec![MASTERS.to_owned(), AUTHENTICATED.to_owned()];
        Self { name: "soll:admin".to_owned(), groups, ..Self::default() }
    }

    /// The one who does not say who they are.
    fn anonymous() -> Self {
        Self { name: ANONYMOUS.to_owned(), groups: vec![UNAUTHENTICATED.to_owned()], ..Self::default() }
    }
}

impl Access {
    /// Knows the administrator by a token, and service accounts by tokens that it signs.
    pub(crate) fn new(admin_token: String, signer: Signer) -> Self {
        Self { admin_token, signer: Arc::new(signer) }
    }

    pub(crate) fn admin_token(&self) -> &str {
        &self.admin_token
    }

    /// A token that says this.
    pub(crate) fn sign(&self, claims: &Claims) -> String {
        self.signer.sign(claims)
    }

    /// Whose token it is, and for which of the audiences it is.
    ///
    /// # Errors
    /// Says why it is nobody's.
    pub(crate) fn user_of(
        &self,
        store: &Store,
        token: &str,
        audiences: &[String],
        now: Timestamp,
    ) -> Result<(User, Vec<String>), String> {
        if same(token.as_bytes(), self.admin_token.as_bytes()) {
            return Ok((User::admin(), audiences.to_vec()));
        }
        self.signer.account(store, token, audiences, now)
    }

    /// Finds out who calls: the administrator in the same process, else by certificate, by token, or nobody in particular.
    pub(crate) fn authenticate(&self, store: &Store, headers: &HeaderMap, peer: &Peer) -> Result<Caller, Refusal> {
        let own = match peer {
            Peer::Inside => User::admin(),
            Peer::Certified(certified) => match certified.user(Timestamp::now()) {
                Some(user) => user.clone(),
                None => self.bearer(store, headers)?.ok_or_else(Refusal::unauthorized)?,
            },
            Peer::Mistaken => self.bearer(store, headers)?.ok_or_else(Refusal::unauthorized)?,
            Peer::Unknown => self.bearer(store, headers)?.unwrap_or_else(User::anonymous),
        };
        let user = impersonation::requested(store, &own, headers)?.unwrap_or(own);
        Ok(Caller { user, agent: agent(headers).to_owned() })
    }

    /// Whose token a request carries, if it does.
    fn bearer(&self, store: &Store, headers: &HeaderMap) -> Result<Option<User>, Refusal> {
        let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = token.and_then(|value| value.trim().split_once(' '));
        let token = token.filter(|(how, token)| how.eq_ignore_ascii_case("bearer") && !token.is_empty());
        let Some((_, token)) = token else { return Ok(None) };
        let known = self.user_of(store, token, &[tokens::ISSUER.to_owned()], Timestamp::now());
        known.map(|(user, _)| Some(user)).map_err(|_| Refusal::unauthorized())
    }
}

/// Refuses what the roles of a user do not allow.
pub(crate) fn authorize(store: &Store, user: &User, attempt: &Attempt) -> Result<(), Refusal> {
    if rbac::allows(store, user, attempt) { Ok(()) } else { Err(denied(user, attempt)) }
}

/// Says that the roles of a user do not allow something.
fn denied(user: &User, attempt: &Attempt) -> Refusal {
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
    Refusal::denied(&attempt.group, &attempt.resource, &attempt.name, why)
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

/// The groups of the service accounts of a namespace.
pub(crate) fn account_groups(namespace: &str) -> Vec<String> {
    vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")]
}

/// Compares without telling by its duration where the first difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differences, (a, b)| differences | (a ^ b)) == 0
}
