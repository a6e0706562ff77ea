//! Copies of the running state to try things on, for `soll diff` and for tests.
//!
//! In this process by [`Server::fork`](crate::Server::fork). Over HTTP, beside the paths of Kubernetes, `POST /sim/v1/forks` makes one
//! and answers its path; below that path is a Kubernetes API of its own, for any client that can be told a URL with a path.
//! `DELETE` of the path ends it. Whoever may do so has a rule for those paths among their `nonResourceURLs`, as the administrator
//! has, and may do in a fork what they may do in the original.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{Method, Request, Response};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::auth::{self, Peer};
use crate::refusal::Refusal;
use crate::rest::{self, Api, Body, answer};
use crate::server::Service;

/// Where forks are made; each is below.
const ROOT: &str = "/sim/v1/forks";
/// How many there may be at once over HTTP: what was forked stays in memory, whatever becomes of the original.
const MOST: usize = 4;
/// Who sends no request for so long is not coming back.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a server held at one moment, to try things on. See [`Server::fork`](crate::Server::fork).
#[derive(Debug)]
pub struct Fork {
    api: Arc<Api>,
}

impl Fork {
    pub(crate) fn of(original: &Api) -> Self {
        let api = Api {
            store: original.store.fork(),
            registry: original.registry.fork(),
            access: original.access.clone(),
            addresses: Default::default(),
            authority: original.authority.clone(),
            controllers: false,
            watches: Arc::new(Semaphore::new(original.most_watches.min(Semaphore::MAX_PERMITS))),
            most_watches: original.most_watches,
            forks: None,
            closing: original.closing.child_token(),
        };
        Self { api: Arc::new(api) }
    }

    /// The server for callers in this process: they are the administrator, and may impersonate.
    #[must_use]
    pub fn service(&self) -> Service {
        Service::inside(self.api.clone())
    }
}

impl Drop for Fork {
    fn drop(&mut self) {
        // Its watches end with it.
        self.api.closing.cancel();
    }
}

/// The forks that were made over HTTP.
#[derive(Debug, Default)]
pub(crate) struct Forks {
    open: Mutex<HashMap<String, Open>>,
}

#[derive(Debug)]
struct Open {
    fork: Fork,
    used: Instant,
}

impl Forks {
    fn open(&self) -> MutexGuard<'_, HashMap<String, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a fork, if there is room for one, and says what it is called.
    fn make(&self, original: &Api) -> Result<String, Refusal> {
        let mut open = self.open();
        if open.len() >= MOST {
            let why = format!(
                "{MOST} forks are the most at once: one ends by DELETE, or after {PATIENCE:?} without a request"
            );
            return Err(Refusal::too_many_requests(why));
        }
        let name = uuid::Uuid::new_v4().simple().to_string();
        open.insert(name.clone(), Open { fork: Fork::of(original), used: Instant::now() });
        Ok(name)
    }

    /// The fork of this name, which is used at this moment.
    fn find(&self, name: &str) -> Result<Arc<Api>, Refusal> {
        let mut open = self.open();
        let found = open.get_mut(name).ok_or_else(|| missing(name))?;
        found.used = Instant::now();
        Ok(found.fork.api.clone())
    }

    fn end(&self, name: &str) -> Result<(), Refusal> {
        self.open().remove(name).map(drop).ok_or_else(|| missing(name))
    }

    /// Ends a fork if it was not used for long; says when to look again, if it is still there.
    fn end_if_idle(&self, name: &str) -> Option<Instant> {
        let mut open = self.open();
        let until = open.get(name)?.used + PATIENCE;
        if until > Instant::now() {
            return Some(until);
        }
        open.remove(name);
        None
    }
}

fn missing(name: &str) -> Refusal {
    let mut refusal = Refusal::missing("", "forks", name);
    refusal.message = format!("there is no fork {name:?}: one ends by DELETE, or after {PATIENCE:?} without a request");
    refusal
}

/// Answers a request, on a fork if it is for one.
pub(crate) async fn handle(api: Arc<Api>, mut request: Request<Bytes>) -> Response<Body> {
    let found = match (&api.forks, path_of_fork(request.uri().path())) {
        (Some(forks), Some((name, below))) => {
            let (name, below) = (name.to_owned(), below.to_owned());
            find(&api, forks, &mut request, &name, below)
        }
        _ => Ok(Found::Api(api)),
    };
    match found {
        Ok(Found::Api(api)) => rest::handle(api, request).await,
        Ok(Found::Answer(response)) => response,
        Err(refusal) => answer::refusal(&refusal),
    }
}

/// What is to answer a request.
enum Found {
    Api(Arc<Api>),
    Answer(Response<Body>),
}

/// The name of a fork, empty for all of them, and what comes after it.
fn path_of_fork(path: &str) -> Option<(&str, &str)> {
    let rest = path.strip_prefix(ROOT)?;
    match rest.strip_prefix('/') {
        Some(rest) => Some(rest.find('/').map_or((rest, ""), |end| rest.split_at(end))),
        None => rest.is_empty().then_some(("", "")),
    }
}

fn find(
    api: &Arc<Api>,
    forks: &Forks,
    request: &mut Request<Bytes>,
    name: &str,
    below: String,
) -> Result<Found, Refusal> {
    let peer = request.extensions().get::<Peer>().unwrap_or(&Peer::Unknown);
    let caller = api.access.authenticate(&api.store, request.headers(), peer)?;
    auth::authorize_path(&api.store, &caller.user, request.method(), request.uri().path())?;
    if !below.is_empty() {
        let fork = forks.find(name)?;
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        let address = PathAndQuery::try_from(below + &query).expect("the end of a path is one, after a slash");
        *request.uri_mut() = address.into();
        return Ok(Found::Api(fork));
    }
    match (request.method(), name) {
        (&Method::POST, "") => {
            let name = forks.make(api)?;
            let path = format!("{ROOT}/{name}");
            tokio::spawn(api.closing.clone().run_until_cancelled_owned(end_when_idle(api.clone(), name)));
            Ok(Found::Answer(answer::json(201, &json!({"path": path}))))
        }
        (&Method::DELETE, name) if !name.is_empty() => {
            forks.end(name)?;
            Ok(Found::Answer(answer::json(200, &json!({"status": "Success"}))))
        }
        _ => Err(Refusal::method_not_allowed()),
    }
}

async fn end_when_idle(api: Arc<Api>, name: String) {
    while let Some(until) = api.forks.as_ref().and_then(|forks| forks.end_if_idle(&name)) {
        tokio::time::sleep_until(until).await;
    }
}
