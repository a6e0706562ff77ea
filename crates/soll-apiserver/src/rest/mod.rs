//! From a request to its answer: one path for every resource.
//!
//! [`handle`] finds out what the URL addresses and what the verb is; the verb's module does the rest.

pub(crate) mod answer;
mod apply;
mod body;
mod delete;
mod duplicates;
mod negotiate;
mod options;
mod patch;
mod read;
mod scale;
mod target;
mod watch;
pub(crate) mod write;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Request, Response};
use jiff::Timestamp;
use soll_yaml::Value;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use answer::Body;
pub(crate) use delete::delete_object;
pub(crate) use negotiate::media_ranges;
use negotiate::{Accepted, Shape};
pub(crate) use options::IncludeObject;
use options::Options;
pub(crate) use options::{Deletion, Propagation};
pub(crate) use scale::Paths as ScalePaths;
use target::{Route, Target, route};
pub(crate) use write::finalize;

use crate::auth::rbac::Attempt;
use crate::auth::{self, Access, Caller, Peer};
use crate::forks::Forks;
use crate::kinds::service::Addresses;
use crate::refusal::Refusal;
use crate::resources::{Registry, Resource, Subresource};
use crate::shape::Emptied;
use crate::store::{Entry, NotKept, OutOfReach, Store};
use crate::tls::Authority;
use crate::{discovery, meta, openapi, reviews};

/// Everything that requests work on.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) registry: Registry,
    pub(crate) access: Access,
    /// Where the search for free service addresses goes on.
    pub(crate) addresses: Addresses,
    /// The certificate authority of this server.
    pub(crate) authority: Arc<Authority>,
    /// Whether what is a controller's to do is done here.
    pub(crate) controllers: bool,
    /// How many more watches there may be.
    pub(crate) watches: Arc<Semaphore>,
    /// How many there may be in all.
    pub(crate) most_watches: usize,
    /// The forks that were made over HTTP; a fork has none.
    pub(crate) forks: Option<Forks>,
    /// Ends watches and housekeeping.
    pub(crate) closing: CancellationToken,
}

impl Api {
    /// Waits until a revision has come, three seconds at most.
    pub(crate) async fn reach(&self, revision: u64) -> Result<(), Refusal> {
        const PATIENCE: Duration = Duration::from_secs(3);
        let mut news = self.store.subscribe_all();
        let reached = async {
            while self.store.revision() < revision {
                if news.changed().await.is_err() {
                    break;
                }
            }
        };
        // Timing out is told from the revision below.
        let _ = tokio::time::timeout(PATIENCE, reached).await;
        let current = self.store.revision();
        if current < revision {
            return Err(read::out_of_reach(OutOfReach::Future { asked: revision, current }));
        }
        Ok(())
    }
}

/// One request to a resource.
pub(crate) struct Context<'r> {
    pub(crate) api: &'r Arc<Api>,
    pub(crate) target: &'r Target,
    pub(crate) options: &'r Options,
    pub(crate) accepted: Accepted,
    pub(crate) caller: &'r Caller,
    pub(crate) now: Timestamp,
    /// Fields that stand twice in the body.
    pub(crate) repeated: Vec<String>,
    /// The lists and maps that the object that was sent has empty; a mutex as for the warnings.
    emptied: Mutex<Vec<Emptied>>,
    /// Sentences for `Warning` headers. The mutex is there because requests move between threads.
    warnings: Mutex<Vec<String>>,
}

impl Context<'_> {
    /// The object that the URL names, as it is now.
    pub(crate) fn live(&self) -> Result<Arc<Entry>, Refusal> {
        let Target { resource, namespace, name, .. } = self.target;
        let entry = self.api.store.get(&resource.drawer, namespace, name);
        entry.ok_or_else(|| Refusal::not_found(resource, name))
    }

    /// Says whether the selectors of the request match.
    pub(crate) fn selects(&self, object: &Value) -> bool {
        self.options.labels.matches(object) && self.options.fields.matches(object)
    }

    /// Adds a sentence that the client shows; once, however often the write is computed.
    pub(crate) fn warn(&self, sentence: String) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if !warnings.contains(&sentence) {
            warnings.push(sentence);
        }
    }

    /// Notes which lists and maps are sent empty, each time that the object to be stored is computed.
    pub(crate) fn note_emptied(&self, emptied: Vec<Emptied>) {
        *self.emptied.lock().unwrap_or_else(PoisonError::into_inner) = emptied;
    }

    /// The lists and maps that are sent empty and are still nothing in the object that is to be stored.
    pub(crate) fn emptied(&self, object: &Value) -> Vec<Emptied> {
        let emptied = self.emptied.lock().unwrap_or_else(PoisonError::into_inner);
        emptied.iter().filter(|one| one.path.find(object).is_none()).cloned().collect()
    }

    /// What is to be authorised for a verb on the target.
    pub(crate) fn attempt(&self, verb: &str) -> Attempt {
        let target = self.target;
        let is_namespace = target.resource.is("", "namespaces");
        Attempt {
            verb: verb.to_owned(),
            group: target.resource.group.to_string(),
            resource: target.resource.plural.to_string(),
            subresource: target.subresource.map_or("", Subresource::name).to_owned(),
            // A namespace is authorised as if it were inside of itself.
            namespace: if is_namespace { &target.name } else { &target.namespace }.clone(),
            // Who asks for one name of a collection asks for that object.
            name: if target.name.is_empty() {
                self.options.fields.name().unwrap_or_default().to_owned()
            } else {
                target.name.clone()
            },
            path: None,
        }
    }

    /// Who is written into `managedFields`.
    pub(crate) fn field_manager(&self) -> &str {
        if !self.options.field_manager.is_empty() {
            return &self.options.field_manager;
        }
        let agent = self.caller.agent.split('/').next().unwrap_or_default();
        if agent.is_empty() { "unknown" } else { agent }
    }
}

/// Largest body of a request.
pub(crate) const BODY_LIMIT: usize = 3 * 1024 * 1024;

/// Answers one request.
pub(crate) async fn handle(api: Arc<Api>, request: Request<Bytes>) -> Response<Body> {
    let mut response = match dispatch(&api, &request).await {
        Ok(response) => response,
        Err(refusal) => answer::refusal(&refusal),
    };
    if let Ok(id) = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()) {
        response.headers_mut().insert("audit-id", id);
    }
    response
}

async fn dispatch(api: &Arc<Api>, request: &Request<Bytes>) -> Result<Response<Body>, Refusal> {
    let path = request.uri().path();
    if let Some(response) = discovery::public(api, path) {
        return Ok(response);
    }
    let peer = request.extensions().get::<Peer>().unwrap_or(&Peer::Unknown);
    let caller = api.access.authenticate(&api.store, request.headers(), peer)?;
    let table = api.registry.table();
    // What is no resource is allowed by its path, before it is told whether it is there.
    let allowed = || auth::authorize_path(&api.store, &caller.user, request.method(), path);
    if let Some(response) = discovery::answer(&table, path, request.headers()) {
        allowed()?;
        return only_get(request, response);
    }
    if let Some(response) = openapi::answer(&table, path, request.headers()) {
        allowed()?;
        return only_get(request, response);
    }
    match route(&table, path) {
        Route::Object(target) => resource(api, &target, &caller, request).await,
        Route::Group(group) => {
            allowed()?;
            only_get(request, discovery::group(&table, &group).unwrap_or_else(unknown_path))
        }
        Route::Version(group, version) => {
            allowed()?;
            match discovery::version(&table, &group, &version) {
                Some(response) => only_get(request, response),
                None if table.is_builtin(&group) => Err(Refusal::no_resource()),
                None => only_get(request, unknown_path()),
            }
        }
        Route::NeedsKubelet => Err(Refusal::not_implemented("the embedded API server runs no containers")),
        Route::NoResource(wanted) => {
            let attempt = wanted_of(request.method(), wanted);
            auth::authorize(&api.store, &caller.user, &attempt)?;
            Err(Refusal::no_resource())
        }
        Route::Other => {
            allowed()?;
            Ok(unknown_path())
        }
    }
}

/// What is to be authorised before it is told that there is no such resource.
fn wanted_of(method: &Method, wanted: target::Wanted) -> Attempt {
    let verb = match *method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if wanted.name.is_empty() => "deletecollection",
        Method::DELETE => "delete",
        _ if wanted.name.is_empty() => "list",
        _ => "get",
    };
    let target::Wanted { group, plural: resource, subresource, namespace, name } = wanted;
    Attempt { verb: verb.to_owned(), group, resource, subresource, namespace, name, path: None }
}

fn unknown_path() -> Response<Body> {
    answer::text(404, "404 page not found\n")
}

fn only_get(request: &Request<Bytes>, response: Response<Body>) -> Result<Response<Body>, Refusal> {
    match *request.method() {
        Method::GET | Method::HEAD => Ok(response),
        _ => Err(Refusal::method_not_allowed()),
    }
}

/// A body that is too long, in the words of Kubernetes.
pub(crate) fn long_body() -> Refusal {
    Refusal::too_large(format!("Request entity too large: limit is {BODY_LIMIT}"))
}

/// Answers a request to a resource.
async fn resource(
    api: &Arc<Api>,
    target: &Target,
    caller: &Caller,
    request: &Request<Bytes>,
) -> Result<Response<Body>, Refusal> {
    if request.body().len() > BODY_LIMIT {
        return Err(long_body());
    }
    let (options, verb) = match asked(target, request) {
        Ok(asked) => asked,
        Err(refusal) => {
            let mut response = answer::refusal(&refusal);
            let is_known = refusal.code != 405;
            let deprecation = target.resource.deprecation().filter(|_| is_known);
            deprecation.iter().for_each(|sentence| warn(&mut response, sentence));
            return Ok(response);
        }
    };
    let repeated = match verb {
        Verb::Create | Verb::Update | Verb::Patch => body::repeated(request.headers(), request.body()),
        _ => Vec::new(),
    };
    let ctx = Context {
        api,
        target,
        options: &options,
        accepted: negotiate::negotiate(request.headers())?,
        caller,
        now: Timestamp::now(),
        repeated,
        emptied: Mutex::default(),
        warnings: Mutex::default(),
    };
    auth::authorize(&api.store, &caller.user, &ctx.attempt(verb.name()))?;
    target.resource.deprecation().into_iter().for_each(|warning| ctx.warn(warning));
    if let Some(refusal) = options.bad_include_object.as_ref().filter(|_| ctx.accepted.shape == Shape::Table) {
        return Err(refusal.clone());
    }
    if let Some(failure) = api.store.failure() {
        return Err(not_kept(&failure));
    }
    let mut performed = perform(&ctx, verb, request.headers(), request.body()).await;
    // What is answered, or was looked at for it, is not lost any more. Watches see to it themselves.
    if verb != Verb::Watch
        && let Err(failure) = api.store.kept(api.store.revision()).await
    {
        performed = Err(not_kept(&failure));
    }
    let mut response = performed.unwrap_or_else(|refusal| answer::refusal(&refusal));
    for sentence in ctx.warnings.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        warn(&mut response, sentence);
    }
    Ok(response)
}

/// What a request to a resource asks for, and with which options.
fn asked(target: &Target, request: &Request<Bytes>) -> Result<(Options, Verb), Refusal> {
    let mut options = Options::parse(request.uri().query().unwrap_or_default(), request.method())?;
    let verb = verb(request.method(), target, &options)?;
    if verb.deletes() && !request.body().is_empty() {
        options.read_delete_body(&body::delete_options(request.headers(), request.body())?)?;
    }
    Ok((options, verb))
}

fn warn(response: &mut Response<Body>, sentence: &str) {
    let quoted = sentence.replace('\\', "\\\\").replace('"', "\\\"");
    if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
        response.headers_mut().append("warning", value);
    }
}

/// The store cannot write any more.
fn not_kept(failure: &NotKept) -> Refusal {
    Refusal::internal(failure.to_string())
}

/// What is done with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

impl Verb {
    fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }

    fn deletes(self) -> bool {
        matches!(self, Self::Delete | Self::DeleteCollection)
    }
}

fn verb(method: &Method, target: &Target, options: &Options) -> Result<Verb, Refusal> {
    let collection = target.name.is_empty();
    let verb = match *method {
        // A watch on one object is a watch of the collection by name.
        Method::GET | Method::HEAD if options.watch && target.subresource.is_none() => Verb::Watch,
        Method::GET | Method::HEAD if collection => Verb::List,
        Method::GET | Method::HEAD => Verb::Get,
        Method::POST if collection || target.subresource.is_some() => Verb::Create,
        Method::PUT if !collection => Verb::Update,
        Method::PATCH if !collection => Verb::Patch,
        Method::DELETE if collection => Verb::DeleteCollection,
        Method::DELETE => Verb::Delete,
        _ => return Err(Refusal::method_not_allowed()),
    };
    let allowed = match target.subresource {
        Some(subresource) => subresource.verbs().contains(&verb.name()),
        // Whose definition goes is read and deleted, and may still be changed so that it can go.
        None => target.resource.allows(verb.name()) || target.resource.is_leaving(),
    };
    if allowed { Ok(verb) } else { Err(Refusal::method_not_allowed()) }
}

async fn perform(ctx: &Context<'_>, verb: Verb, headers: &HeaderMap, body: &Bytes) -> Result<Response<Body>, Refusal> {
    let include = ctx.options.include_object;
    let one =
        |code: u16, resource: &Resource, object: &Value| answer::object(code, resource, object, ctx.accepted, include);
    let resource = &ctx.target.resource;
    let decode = || {
        let (api_version, kind) = ctx.target.sent();
        body::decode(headers, body, (&api_version, &kind))
    };
    match verb {
        Verb::Get => read::get(ctx).await,
        Verb::List => read::list(ctx).await,
        Verb::Watch => watch::watch(ctx).await,
        Verb::Create => {
            let object = decode()?;
            if resource.is_review() {
                return reviews::create(ctx, &object);
            }
            if resource.is_leaving() && ctx.target.subresource.is_none() {
                let why = "create not allowed while custom resource definition is terminating";
                return Err(Refusal::forbidden(resource, meta::text(&object, "name"), why));
            }
            match ctx.target.subresource {
                None => one(201, resource, &write::create(ctx, object)?),
                Some(Subresource::Token) => reviews::token(ctx, &object),
                Some(Subresource::Eviction) => delete::evict(ctx, &object),
                Some(Subresource::Binding) => write::bind(ctx, &object),
                Some(_) => Err(Refusal::method_not_allowed()),
            }
        }
        Verb::Update => {
            let object = decode()?;
            if ctx.target.subresource == Some(Subresource::Scale) {
                let live = scale::replace(ctx, &object)?;
                return Ok(answer::value(200, &scale::of(resource, &live)?, ctx.accepted.format));
            }
            let (code, object) = write::replace(ctx, object)?;
            one(code, resource, &object)
        }
        Verb::Patch => patch::patch(ctx, headers, body),
        Verb::Delete => delete::delete(ctx),
        Verb::DeleteCollection => delete::delete_collection(ctx),
    }
}

/// The user agent of a request.
pub(crate) fn agent(headers: &HeaderMap) -> &str {
    headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
