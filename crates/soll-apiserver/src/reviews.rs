//! Reviews: questions that are answered and not stored.

use http::Response;
use jiff::SignedDuration;
use serde_json::{Value as Json, json};
use soll_yaml::Value;

use crate::auth::User;
use crate::auth::rbac::{self, Attempt};
use crate::meta;
use crate::refusal::{Cause, Refusal};
use crate::rest::{Body, Context, answer};

/// Answers the creation of a review.
pub(crate) fn create(ctx: &Context<'_>, review: &Value) -> Result<Response<Body>, Refusal> {
    let resource = &ctx.target.resource;
    let spec = review.get("spec").cloned().unwrap_or_else(Value::map);
    let status = match resource.kind.as_str() {
        "SelfSubjectAccessReview" => access_status(ctx, &ctx.caller.user, &spec),
        "SubjectAccessReview" | "LocalSubjectAccessReview" => access_status(ctx, &subject(&spec), &spec),
        "SelfSubjectRulesReview" => rules_status(ctx, &spec),
        "SelfSubjectReview" => json!({"userInfo": user_info(&ctx.caller.user)}),
        "TokenReview" => {
            let user = ctx.api.access.user_of(spec.lookup_str(&["token"]).unwrap_or_default());
            match user {
                Some(user) => json!({"authenticated": true, "user": user_info(&user)}),
                None => json!({"user": {}, "error": "the token is not known here"}),
            }
        }
        other => return Err(Refusal::not_implemented(format!("the embedded API server answers no {other}"))),
    };
    let mut metadata = json!({});
    if resource.kind == "LocalSubjectAccessReview" {
        metadata["namespace"] = ctx.target.namespace.as_str().into();
    }
    let mut answer = json!({
        "kind": resource.kind.as_str(), "apiVersion": resource.api_version(), "metadata": metadata, "status": status,
    });
    if resource.kind == "SelfSubjectReview" {
        // Who asks who they are says nothing.
        answer["metadata"]["creationTimestamp"] = meta::time(ctx.now).into();
    } else {
        answer["spec"] = json!(spec);
    }
    Ok(answer::json(201, &answer))
}

fn subject(spec: &Value) -> User {
    let groups = spec.get("groups").and_then(Value::as_list).unwrap_or_default();
    User {
        name: spec.lookup_str(&["user"]).unwrap_or_default().to_owned(),
        groups: groups.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
    }
}

fn access_status(ctx: &Context<'_>, user: &User, spec: &Value) -> Json {
    let text = |part: &str, field: &str| spec.lookup_str(&[part, field]).unwrap_or_default().to_owned();
    let (part, path) = match spec.get("nonResourceAttributes") {
        Some(_) => ("nonResourceAttributes", Some(text("nonResourceAttributes", "path"))),
        None => ("resourceAttributes", None),
    };
    let attempt = Attempt {
        verb: text(part, "verb"),
        group: text(part, "group"),
        resource: text(part, "resource"),
        subresource: text(part, "subresource"),
        namespace: text(part, "namespace"),
        name: text(part, "name"),
        path,
    };
    json!({"allowed": rbac::allows(&ctx.api.store, user, &attempt)})
}

fn rules_status(ctx: &Context<'_>, spec: &Value) -> Json {
    let namespace = spec.lookup_str(&["namespace"]).unwrap_or_default();
    let user = &ctx.caller.user;
    let mut rules: Vec<Value> = rbac::rules(&ctx.api.store, user, namespace).collect();
    if user.groups.iter().any(|group| group == crate::auth::MASTERS) {
        let everything =
            br#"[{"verbs":["*"],"apiGroups":["*"],"resources":["*"]},{"verbs":["*"],"nonResourceURLs":["*"]}]"#;
        let everything = soll_yaml::parse_json(everything).expect("it is JSON");
        rules.extend(everything.as_list().unwrap_or_default().iter().cloned());
    }
    let (paths, resources): (Vec<_>, Vec<_>) =
        rules.into_iter().partition(|rule| rule.get("nonResourceURLs").is_some());
    json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": false})
}

fn user_info(user: &User) -> Json {
    json!({"username": user.name, "groups": user.groups})
}

/// Longest and default life of a token, in seconds. Tokens here live as long as the server.
const TOKEN_SECONDS: i64 = 3600;
const SHORTEST_TOKEN_SECONDS: i64 = 600;

/// Issues a token for a service account.
pub(crate) fn token(ctx: &Context<'_>, request: &Value) -> Result<Response<Body>, Refusal> {
    ctx.live()?;
    let seconds = request.lookup(&["spec", "expirationSeconds"]).and_then(Value::as_i64);
    if let Some(seconds) = seconds.filter(|seconds| *seconds < SHORTEST_TOKEN_SECONDS) {
        let why = "may not specify a duration less than 10 minutes";
        let cause = Cause::invalid("spec.expirationSeconds", &seconds.to_string(), why);
        return Err(Refusal::invalid("authentication.k8s.io", "TokenRequest", "", vec![cause]));
    }
    let token = ctx.api.access.issue(&ctx.target.namespace, &ctx.target.name);
    let seconds = seconds.unwrap_or(TOKEN_SECONDS);
    let expires = ctx.now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(ctx.now);
    let spec = request.get("spec").cloned().unwrap_or_else(Value::map);
    Ok(answer::json(
        201,
        &json!({
            "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": ctx.target.name, "namespace": ctx.target.namespace, "creationTimestamp": meta::time(ctx.now)},
            "spec": spec, "status": {"token": token, "expirationTimestamp": meta::time(expires)},
        }),
    ))
}
