//! Server-side apply.

use http::Response;
use soll_patch::structured::{self, ApplyError};
use soll_yaml::Value;

use super::Context;
use super::answer::{self, Body};
use super::scale;
use super::write::{self, Setback, Tracking};
use crate::auth;
use crate::fields;
use crate::kinds;
use crate::meta;
use crate::refusal::{Cause, Refusal};
use crate::resources::{Resource, Subresource};

/// Answers a PATCH with an apply configuration.
pub(crate) fn apply(ctx: &Context<'_>, config: &Value) -> Result<Response<Body>, Refusal> {
    if ctx.options.field_manager.is_empty() {
        let cause = Cause::required("fieldManager", "is required for apply patch");
        return Err(Refusal::invalid_options("PatchOptions", vec![cause]));
    }
    let resource = &ctx.target.resource;
    if ctx.target.subresource == Some(Subresource::Scale) {
        let config = scale::applied(resource, config)?;
        let (code, object) = write::retry(resource, &ctx.target.name, || attempt(ctx, &config))?;
        return Ok(answer::value(code, &scale::of(resource, &object)?, ctx.accepted.format));
    }
    check_type(resource, config)?;
    let (code, object) = write::retry(resource, &ctx.target.name, || attempt(ctx, config))?;
    answer::object(code, resource, &object, ctx.accepted, ctx.options.include_object)
}

/// An apply configuration says what it is, and is of the kind and version of the URL.
fn check_type(resource: &Resource, config: &Value) -> Result<(), Refusal> {
    let text = |field: &str| config.lookup_str(&[field]).unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    if api_version == resource.api_version() && kind == resource.kind {
        return Ok(());
    }
    let slash = if api_version.contains('/') { "" } else { "/" };
    Err(Refusal::bad_request(format!("invalid object type: {slash}{api_version}, Kind={kind}")))
}

fn attempt(ctx: &Context<'_>, config: &Value) -> Result<(u16, Value), Setback> {
    let resource = &ctx.target.resource;
    let live = ctx.api.store.get(&resource.drawer, &ctx.target.namespace, &ctx.target.name);
    let force = ctx.options.force.unwrap_or(false);
    let shown = live.as_ref().map(|live| {
        let mut shown = resource.present(&live.value);
        kinds::leave_out_empty_lists(resource, &mut shown);
        if kinds::autoscaler::is_of(resource) {
            fields::write_zeros(resource, &mut shown);
        }
        shown
    });
    if live.is_none() {
        refuse_creation(ctx, config)?;
    }
    let applied = fields::with_write(ctx, |write| structured::apply(shown.as_ref(), config, force, write));
    let mut object = applied.map_err(refusal)?.object;
    if ctx.target.subresource == Some(Subresource::Scale) {
        fields::forget_times_of_scaling(&mut object);
    }
    write::place(ctx, &mut object)?;
    // What the schema does not know was refused; this brings values into their normal form.
    write::shape(ctx, &mut object, write::Sent::Applied)?;
    match live {
        Some(live) => Ok((200, write::update(ctx, &live, object, Tracking::Done)?)),
        None => match write::create_named(ctx, object) {
            // Somebody else was faster: merge with what they created.
            Err(refusal) if refusal.reason == "AlreadyExists" && !ctx.options.dry_run => Err(Setback::Raced),
            Err(refusal) => Err(refusal.into()),
            Ok(object) => Ok((201, object)),
        },
    }
}

/// Creating by apply needs the right to create, a whole object, and no claim on one that was there.
fn refuse_creation(ctx: &Context<'_>, config: &Value) -> Result<(), Refusal> {
    let (resource, name) = (&ctx.target.resource, ctx.target.name.as_str());
    if ctx.target.subresource.is_some() {
        return Err(Refusal::not_found(resource, name));
    }
    auth::authorize(&ctx.api.store, &ctx.caller.user, &ctx.attempt("create"))?;
    kinds::namespace::admit(ctx.api, resource, &ctx.target.namespace, name)?;
    let uid = meta::text(config, "uid");
    if !uid.is_empty() {
        let why = format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
        return Err(Refusal::conflict(resource, name, why));
    }
    Ok(())
}

fn refusal(error: ApplyError) -> Refusal {
    match error {
        ApplyError::BadRequest(message) => Refusal::bad_request(message),
        ApplyError::Typed(message) => Refusal::untyped(message),
        ApplyError::Conflicts(conflicts) => {
            let causes = conflicts
                .iter()
                .map(|conflict| Cause {
                    kind: "FieldManagerConflict",
                    field: conflict.field.clone(),
                    message: conflict.message(),
                })
                .collect();
            Refusal::apply_conflict(conflicts.to_string(), causes)
        }
    }
}
