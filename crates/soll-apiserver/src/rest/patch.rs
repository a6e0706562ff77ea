//! The four kinds of patches.

use bytes::Bytes;
use http::{HeaderMap, Response};
use soll_patch::Dialect;
use soll_schema::Schemas;
use soll_yaml::Value;

use super::answer::{self, Body};
use super::options::FieldValidation;
use super::write::Tracking;
use super::{Context, apply, body, scale, write};
use crate::refusal::{Cause, Refusal};
use crate::resources::Subresource;

/// Longest list of operations in a JSON patch.
const LONGEST_JSON_PATCH: usize = 10_000;

/// A patch as it was sent.
enum Patch {
    Json(Value),
    Merge(Value),
    Strategic(Value),
}

/// Answers a PATCH.
pub(crate) fn patch(ctx: &Context<'_>, headers: &HeaderMap, bytes: &Bytes) -> Result<Response<Body>, Refusal> {
    let resource = &ctx.target.resource;
    if body::media_type(headers) == "application/apply-patch+yaml" {
        let config = body::yaml(bytes)?;
        if ctx.options.field_validation != FieldValidation::Ignore
            && let Some(repeated) = body::repeated_in_yaml(bytes)
        {
            if ctx.options.field_validation == FieldValidation::Strict {
                return Err(Refusal::bad_request(format!("error strict decoding YAML: {repeated}")));
            }
            ctx.warn(repeated);
        }
        return apply::apply(ctx, &config);
    }
    let patch = parse(ctx, headers, bytes)?;
    check_options(ctx)?;
    if ctx.target.subresource == Some(Subresource::Scale) {
        let live = write::retry(resource, &ctx.target.name, || {
            let live = ctx.live()?;
            let patched = patched(&scale::of(resource, &live.value)?, &patch, ctx)?;
            let next = scale::set(resource, &live.value, &patched)?;
            write::update(ctx, &live, next, Tracking::Due)
        })?;
        return Ok(answer::value(200, &scale::of(resource, &live)?, ctx.accepted.format));
    }
    let object = write::retry(resource, &ctx.target.name, || {
        let live = ctx.live()?;
        let mut object = patched(&resource.present(&live.value), &patch, ctx)?;
        write::shape(ctx, &mut object, write::Sent::Patch)?;
        write::place(ctx, &mut object)?;
        write::update(ctx, &live, object, Tracking::Due)
    })?;
    answer::object(200, resource, &object, ctx.accepted, ctx.options.include_object)
}

fn parse(ctx: &Context<'_>, headers: &HeaderMap, bytes: &Bytes) -> Result<Patch, Refusal> {
    const BUILTIN: &str = "application/json-patch+json, application/merge-patch+json, \
                           application/strategic-merge-patch+json, application/apply-patch+yaml";
    const CUSTOM: &str = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
    match body::media_type(headers) {
        "application/json-patch+json" => {
            let patch = body::json(bytes)?;
            let Some(length) = patch.as_list().map(<[Value]>::len) else {
                return Err(Refusal::bad_request("error decoding patch: a JSON patch is a list of operations"));
            };
            if length > LONGEST_JSON_PATCH {
                return Err(Refusal::too_large(format!(
                    "The allowed maximum operations in a JSON patch is {LONGEST_JSON_PATCH}, got {length}"
                )));
            }
            Ok(Patch::Json(patch))
        }
        "application/merge-patch+json" => {
            let mut patch = map(body::json(bytes)?)?;
            forget_nulls_in_lists(&mut patch, false);
            Ok(Patch::Merge(patch))
        }
        "application/strategic-merge-patch+json" if ctx.target.resource.custom.is_none() => {
            Ok(Patch::Strategic(map(body::json(bytes)?)?))
        }
        _ if ctx.target.resource.custom.is_some() => Err(Refusal::unsupported_media_type(CUSTOM)),
        _ => Err(Refusal::unsupported_patch(BUILTIN)),
    }
}

/// In a merge patch a null takes a field away; in the items of a list, which are taken as they are, it is nothing.
fn forget_nulls_in_lists(value: &mut Value, is_in_list: bool) {
    if let Some(map) = value.as_map_mut() {
        if is_in_list {
            map.retain(|entry| !entry.value.is_null());
        }
        map.iter_mut().for_each(|(_, below)| forget_nulls_in_lists(below, is_in_list));
    } else if let Some(list) = value.as_list_mut() {
        list.iter_mut().for_each(|item| forget_nulls_in_lists(item, true));
    }
}

fn map(patch: Value) -> Result<Value, Refusal> {
    if patch.as_map().is_some() {
        return Ok(patch);
    }
    Err(Refusal::bad_request(format!("error decoding patch: a patch is a map, found {}", patch.type_in_words())))
}

fn check_options(ctx: &Context<'_>) -> Result<(), Refusal> {
    let mut causes = Vec::new();
    if ctx.options.force.is_some() {
        causes.push(Cause::forbidden("force", "may not be specified for non-apply patch"));
    }
    if causes.is_empty() { Ok(()) } else { Err(Refusal::invalid_options("PatchOptions", causes)) }
}

/// The object with the patch on it.
fn patched(object: &Value, patch: &Patch, ctx: &Context<'_>) -> Result<Value, Refusal> {
    match patch {
        Patch::Json(operations) => {
            soll_patch::json_patch(object, operations, None).map_err(|error| Refusal::unprocessable(error.to_string()))
        }
        Patch::Merge(patch) => Ok(soll_patch::json_merge(object, patch, None)),
        Patch::Strategic(patch) => {
            let resource = &ctx.target.resource;
            let of = Schemas::builtin().type_of(&resource.group, &resource.version, &resource.kind);
            soll_patch::strategic_merge(object, patch, of, Dialect::ApiServer, None)
                .map(Option::unwrap_or_default)
                .map_err(|error| Refusal::untyped(error.to_string()))
        }
    }
}
