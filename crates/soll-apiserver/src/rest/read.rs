//! Get and list.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Response;
use serde::{Deserialize, Serialize};
use soll_yaml::{Map, Value};

use super::answer::{self, Body};
use super::options::VersionMatch;
use super::{Context, scale};
use crate::kinds::component;
use crate::refusal::Refusal;
use crate::resources::Subresource;
use crate::store::{Entry, OutOfReach, Shelf};

/// Answers one object, or one of its subresources.
pub(crate) async fn get(ctx: &Context<'_>) -> Result<Response<Body>, Refusal> {
    if ctx.target.resource.is("", "componentstatuses") {
        return component(ctx);
    }
    let entry = ctx.live()?;
    match ctx.target.subresource {
        Some(Subresource::Scale) => {
            let scale = scale::of(&ctx.target.resource, &entry.value)?;
            Ok(answer::value(200, &scale, ctx.accepted.format))
        }
        Some(Subresource::Log) => Ok(answer::text(
            200,
            format!(
                "no container runs here: this is the embedded API server, and pod {} is simulated\n",
                ctx.target.name
            ),
        )),
        _ => answer::object(200, &ctx.target.resource, &entry.value, ctx.accepted, ctx.options.include_object),
    }
}

/// Answers how a part of the server is.
fn component(ctx: &Context<'_>) -> Result<Response<Body>, Refusal> {
    let (resource, name) = (&ctx.target.resource, ctx.target.name.as_str());
    ctx.warn(component::DEPRECATED.to_owned());
    let parts = component::all(ctx.api, resource);
    let part = parts.iter().find(|part| part.key.name == name);
    let part = part.ok_or_else(|| component::not_found(resource, name))?;
    answer::object(200, resource, &part.value, ctx.accepted, ctx.options.include_object)
}

/// Where a list that was cut goes on; base64 of JSON, as Kubernetes writes it.
#[derive(Debug, Serialize, Deserialize)]
struct Continue {
    v: String,
    rv: i64,
    /// `namespace/name` of the first object that was left out.
    start: String,
}

const CONTINUE_VERSION: &str = "meta.k8s.io/v1";

impl Continue {
    fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).expect("three plain fields"))
    }

    fn decode(token: &str) -> Result<Self, Refusal> {
        let bytes = URL_SAFE_NO_PAD.decode(token.trim_end_matches('=')).ok();
        let token: Option<Self> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        token
            .filter(|token| token.v == CONTINUE_VERSION)
            .ok_or_else(|| Refusal::bad_request("invalid continue token: expected one that a list answered"))
    }
}

/// Answers the objects of a collection that match, in order.
pub(crate) async fn list(ctx: &Context<'_>) -> Result<Response<Body>, Refusal> {
    let (resource, options) = (&ctx.target.resource, ctx.options);
    options.fields.check(resource).map_err(Refusal::bad_request)?;
    if resource.is("", "componentstatuses") {
        ctx.warn(component::DEPRECATED.to_owned());
        let parts = component::all(ctx.api, resource);
        let selected = parts.iter().filter(|part| ctx.selects(&part.value));
        return answer::list(resource, selected, Map::new(), ctx.accepted, options.include_object);
    }
    let (shelf, revision, start) = moment(ctx).await?;
    let namespace = ctx.target.namespace.as_str();
    let from = start.as_deref().unwrap_or_default().split_once('/').unwrap_or((namespace, ""));
    let mut matching = shelf
        .iter_from(from.0, from.1)
        .take_while(|entry| namespace.is_empty() || entry.key.namespace == namespace)
        .filter(|entry| ctx.selects(&entry.value));
    // With resourceVersion 0 Kubernetes answers from its cache, which has no pages.
    let limit = if options.resource_version == "0" { 0 } else { options.limit };
    let mut list_meta = Map::from_iter([("resourceVersion", Value::from(revision.to_string()))]);
    let page: Vec<&Arc<Entry>> =
        if limit == 0 { matching.by_ref().collect() } else { matching.by_ref().take(limit).collect() };
    if limit > 0
        && let Some(next) = matching.next()
    {
        let start = format!("{}/{}", next.key.namespace, next.key.name);
        let token = Continue { v: CONTINUE_VERSION.to_owned(), rv: i64::try_from(revision).unwrap_or(i64::MAX), start };
        list_meta.insert("continue", Value::from(token.encode()));
        if options.labels.is_empty() && options.fields.is_empty() {
            list_meta.insert("remainingItemCount", Value::from(1 + matching.count() as i64));
        }
    }
    let entries = page.into_iter().map(|entry| &**entry);
    answer::list(resource, entries, list_meta, ctx.accepted, options.include_object)
}

/// The objects at the revision that is asked for, that revision, and where to start.
async fn moment(ctx: &Context<'_>) -> Result<(Shelf, u64, Option<String>), Refusal> {
    let (store, drawer, options) = (&ctx.api.store, &ctx.target.resource.drawer, ctx.options);
    if !options.continue_token.is_empty() {
        if !matches!(options.resource_version.as_str(), "" | "0") {
            return Err(Refusal::bad_request("specifying resource version is not allowed when using continue"));
        }
        let token = Continue::decode(&options.continue_token)?;
        let revision = u64::try_from(token.rv).unwrap_or_default();
        return match store.snapshot_at(drawer, revision) {
            Ok(shelf) => Ok((shelf, revision, Some(token.start))),
            Err(_) => Err(expired_page(store.revision(), token)),
        };
    }
    let asked = parse_version(&options.resource_version)?;
    if asked > 0 {
        ctx.api.reach(asked).await?;
    }
    let exact =
        options.version_match == Some(VersionMatch::Exact) || (options.version_match.is_none() && options.limit > 0);
    if asked > 0 && exact {
        let shelf = store.snapshot_at(drawer, asked).map_err(|error| match error {
            OutOfReach::Expired { .. } => Refusal::expired("The resourceVersion for the provided list is too old."),
            OutOfReach::Future { .. } => out_of_reach(error),
        })?;
        return Ok((shelf, asked, None));
    }
    let (shelf, revision) = store.snapshot(drawer);
    Ok((shelf, revision, None))
}

/// A page of a moment that is forgotten: the answer tells how to go on from the present.
fn expired_page(now: u64, token: Continue) -> Refusal {
    let rest = Continue { rv: i64::try_from(now).unwrap_or(i64::MAX), ..token };
    let mut refusal = Refusal::expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list \
         without the continue parameter, or use the continue token in this response to retrieve the remainder of the \
         results. Continuing with the provided token results in an inconsistent list - objects that were created, \
         modified, or deleted between the time the first chunk was returned and now may show up in the list.",
    );
    refusal.continue_token = Some(rest.encode().into());
    refusal
}

/// Reads the `resourceVersion` from which a watch starts; Kubernetes answers a bad one as if it were its own mistake.
pub(crate) fn parse_start(text: &str) -> Result<u64, Refusal> {
    parse_version(text).map_err(|refusal| Refusal::untyped(refusal.message))
}

/// Reads a `resourceVersion`; empty means 0.
pub(crate) fn parse_version(text: &str) -> Result<u64, Refusal> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().map_err(|_| {
        let why = "Invalid value: ".to_owned() + &format!("{text:?}") + ": expected a decimal number";
        Refusal::bad_request(format!("resourceVersion: {why}"))
    })
}

pub(crate) fn out_of_reach(error: OutOfReach) -> Refusal {
    match error {
        OutOfReach::Expired { .. } => Refusal::expired(error.to_string()),
        OutOfReach::Future { .. } => Refusal::not_yet(error.to_string()),
    }
}
