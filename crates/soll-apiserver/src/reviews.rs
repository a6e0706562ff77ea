//! Reviews: questions that are answered and not stored.

use http::Response;
use jiff::SignedDuration;
use serde_json::{Value as Json, json};
use soll_yaml::{Map, Value};

use crate::auth::User;
use crate::auth::rbac::{self, Attempt};
use crate::refusal::{Cause, Refusal};
use crate::rest::{Body, Context, answer};
use crate::tokens::{Claims, ISSUER, Named, Names};
use crate::{fields, meta};

/// Answers the creation of a review.
pub(crate) fn create(ctx: &Context<'_>, review: &Value) -> Result<Response<Body>, Refusal> {
    let resource = &ctx.target.resource;
    let spec = review.get("spec").cloned().unwrap_or_else(Value::map);
    if resource.kind.ends_with("AccessReview") {
        let causes = wrong_with(ctx, &spec);
        if !causes.is_empty() {
            // Kubernetes does not name the kind there.
            return Err(Refusal::invalid(&resource.group, "", "", causes));
        }
    }
    let status = match resource.kind.as_str() {
        "SelfSubjectAccessReview" => access_status(ctx, &ctx.caller.user, &spec),
        "SubjectAccessReview" | "LocalSubjectAccessReview" => access_status(ctx, &subject(&spec), &spec),
        "SelfSubjectRulesReview" => rules_status(ctx, &spec),
        "SelfSubjectReview" => json!({"userInfo": user_info(&ctx.caller.user)}),
        "TokenReview" => token_status(ctx, &spec)?,
        other => return Err(Refusal::not_implemented(format!("the embedded API server answers no {other}"))),
    };
    let mut metadata = json!({});
    if resource.kind == "LocalSubjectAccessReview" {
        metadata["namespace"] = ctx.target.namespace.as_str().into();
    }
    let api_version = resource.api_version();
    if let Some(fields) = fields::of_sent(ctx, (&api_version, &resource.kind), None, review) {
        metadata["managedFields"] = json!(fields);
    }
    let mut answer =
        json!({"kind": resource.kind.as_str(), "apiVersion": api_version, "metadata": metadata, "status": status});
    if resource.kind == "SelfSubjectReview" {
        // Who asks who they are says nothing.
        answer["metadata"]["creationTimestamp"] = meta::time(ctx.now).into();
    } else {
        answer["spec"] = json!(spec);
    }
    Ok(answer::json(201, &answer))
}

/// What is wrong with the question whether somebody may do something.
fn wrong_with(ctx: &Context<'_>, spec: &Value) -> Vec<Cause> {
    let kind = ctx.target.resource.kind.as_str();
    let has = |field: &str| spec.get(field).is_some_and(|value| !value.is_null());
    let shown = |field: &str| spec.get(field).map_or("null".into(), crate::refusal::shown);
    let mut causes = Vec::new();
    match (has("resourceAttributes"), has("nonResourceAttributes")) {
        (true, true) => causes.push(Cause::invalid(
            "spec.nonResourceAttributes",
            &shown("nonResourceAttributes"),
            "cannot be specified in combination with resourceAttributes",
        )),
        (false, false) => causes.push(Cause::invalid(
            "spec.resourceAttributes",
            "null",
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
        )),
        _ => {}
    }
    let is_about_others = kind != "SelfSubjectAccessReview";
    if is_about_others && subject(spec).name.is_empty() && texts(spec, "groups").is_empty() {
        causes.push(Cause::invalid("spec.user", "\"\"", "at least one of user or group must be specified"));
    }
    if kind == "LocalSubjectAccessReview" {
        let namespace = spec.lookup_str(&["resourceAttributes", "namespace"]).unwrap_or_default();
        if has("resourceAttributes") && namespace != ctx.target.namespace {
            let field = "spec.resourceAttributes.namespace";
            causes.push(Cause::invalid(field, &format!("{namespace:?}"), "must match metadata.namespace"));
        }
        if has("nonResourceAttributes") {
            let field = "spec.nonResourceAttributes";
            causes.push(Cause::invalid(field, &shown("nonResourceAttributes"), "disallowed on this kind of request"));
        }
    }
    causes
}

fn subject(spec: &Value) -> User {
    User {
        name: spec.lookup_str(&["user"]).unwrap_or_default().to_owned(),
        uid: spec.lookup_str(&["uid"]).unwrap_or_default().to_owned(),
        groups: texts(spec, "groups"),
        ..User::default()
    }
}

fn texts(value: &Value, field: &str) -> Vec<String> {
    let list = value.get(field).and_then(Value::as_list).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Says whose a token is.
fn token_status(ctx: &Context<'_>, spec: &Value) -> Result<Json, Refusal> {
    let token = spec.lookup_str(&["token"]).unwrap_or_default();
    if token.is_empty() {
        return Err(Refusal::bad_request("token is required for TokenReview in authentication"));
    }
    Ok(match ctx.api.access.user_of(&ctx.api.store, token, &audiences(spec), ctx.now) {
        Ok((user, meant)) => json!({"authenticated": true, "user": user_info(&user), "audiences": meant}),
        Err(why) => json!({"user": {}, "error": why}),
    })
}

/// Whom a token is for: those who are named, or else this server.
fn audiences(spec: &Value) -> Vec<String> {
    let named = texts(spec, "audiences");
    if named.is_empty() { vec![ISSUER.to_owned()] } else { named }
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
    match rbac::grant(&ctx.api.store, user, &attempt) {
        Some(reason) if reason.is_empty() => json!({"allowed": true}),
        Some(reason) => json!({"allowed": true, "reason": reason}),
        None => json!({"allowed": false}),
    }
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
    let mut info = json!({"username": user.name});
    if !user.uid.is_empty() {
        info["uid"] = user.uid.as_str().into();
    }
    if !user.groups.is_empty() {
        info["groups"] = json!(user.groups);
    }
    if !user.extra.is_empty() {
        info["extra"] = json!(user.extra);
    }
    info
}

/// Life of a token that nobody says how long, in seconds.
const TOKEN_SECONDS: i64 = 3600;
const SHORTEST_TOKEN_SECONDS: i64 = 600;
const LONGEST_TOKEN_SECONDS: i64 = 1 << 32;
/// The life that kubelets ask for. Tokens of pods for this server live longer then, as in Kubernetes, where clients that
/// read their token once would be shut out otherwise.
const KUBELET_SECONDS: i64 = 3607;
const LONG_SECONDS: i64 = 365 * 24 * 3600;

/// Issues a token for a service account.
pub(crate) fn token(ctx: &Context<'_>, request: &Value) -> Result<Response<Body>, Refusal> {
    let (namespace, name) = (ctx.target.namespace.as_str(), ctx.target.name.as_str());
    let refuse =
        |name: &str, cause: Cause| Refusal::invalid("authentication.k8s.io", "TokenRequest", name, vec![cause]);
    for (field, expected) in [("name", name), ("namespace", namespace)] {
        let written = meta::text(request, field);
        if !written.is_empty() && written != expected {
            let why = format!("must match the service account {field} if specified");
            return Err(refuse(name, Cause::invalid(format!("metadata.{field}"), &format!("{written:?}"), why)));
        }
    }
    let account = ctx.live()?;
    let uid = meta::text(&account.value, "uid");
    let asked = meta::text(request, "uid");
    if !asked.is_empty() && asked != uid {
        let why =
            format!("the UID in the token request ({asked}) does not match the UID of the service account ({uid})");
        return Err(Refusal::conflict_of("authentication.k8s.io", "TokenRequest", name, why));
    }
    let mut spec = request.get("spec").cloned().unwrap_or_else(Value::map);
    let seconds = spec.get("expirationSeconds").and_then(Value::as_i64).unwrap_or(TOKEN_SECONDS);
    let limits = [
        (seconds < SHORTEST_TOKEN_SECONDS, "may not specify a duration less than 10 minutes"),
        (seconds > LONGEST_TOKEN_SECONDS, "may not specify a duration larger than 2^32 seconds"),
    ];
    if let Some((_, why)) = limits.iter().find(|(is_wrong, _)| *is_wrong) {
        return Err(refuse("", Cause::invalid("spec.expirationSeconds", &seconds.to_string(), why)));
    }
    spec.make_map().insert("expirationSeconds", Value::from(seconds));
    let mut sent = request.clone();
    sent.make_map().insert("spec", spec.clone());
    let mut metadata =
        json!({"name": name, "namespace": namespace, "uid": uid, "creationTimestamp": meta::time(ctx.now)});
    // Go writes these as null when nobody asks for them.
    let nothing = Map::from_iter([("audiences", Value::null()), ("boundObjectRef", Value::null())]);
    let nothing = Map::from_iter([("spec", Value::from(nothing))]).into();
    let request = ("authentication.k8s.io/v1", "TokenRequest");
    if let Some(fields) = fields::of_sent(ctx, request, Some(&nothing), &sent) {
        metadata["managedFields"] = json!(fields);
    }
    let aud = audiences(&spec);
    let mut names = Names {
        namespace: namespace.to_owned(),
        node: None,
        pod: None,
        secret: None,
        serviceaccount: Named::of(&account),
        warnafter: None,
    };
    if let Some(bound) = spec.get("boundObjectRef").filter(|bound| !bound.is_null()) {
        bind(ctx, bound, &mut names)?;
    }
    let is_ours = aud.iter().all(|audience| audience == ISSUER);
    let now = ctx.now.as_second();
    let mut lives = seconds;
    if names.pod.is_some() && seconds == KUBELET_SECONDS && is_ours {
        (lives, names.warnafter) = (LONG_SECONDS, Some(now + seconds));
    }
    let claims = Claims {
        aud: aud.clone(),
        exp: now + lives,
        iat: now,
        nbf: now,
        iss: ISSUER.to_owned(),
        jti: uuid::Uuid::new_v4().to_string(),
        kubernetes: names,
        sub: format!("system:serviceaccount:{namespace}:{name}"),
    };
    let expires = ctx.now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(ctx.now);
    spec.make_map().insert("audiences", Value::list(aud.into_iter().map(Value::from).collect()));
    spec.make_map().get_or_insert_with("boundObjectRef", Value::null);
    Ok(answer::json(
        201,
        &json!({
            "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
            "metadata": metadata, "spec": spec,
            "status": {"token": ctx.api.access.sign(&claims), "expirationTimestamp": meta::time(expires)},
        }),
    ))
}

/// Notes the object that a token is to end with.
fn bind(ctx: &Context<'_>, bound: &Value, names: &mut Names) -> Result<(), Refusal> {
    let text = |field: &str| bound.lookup_str(&[field]).unwrap_or_default();
    let (version, kind, name) = (text("apiVersion"), text("kind"), text("name"));
    let table = ctx.api.registry.table();
    let is_core = !version.contains('/');
    let resource = table.find_kind("", "v1", kind).filter(|_| is_core && matches!(kind, "Pod" | "Node" | "Secret"));
    let Some(resource) = resource else {
        let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
        let what = format!("{group}/{version}, Kind={kind}");
        return Err(Refusal::bad_request(format!("cannot bind token to object of type {what}")));
    };
    let namespace = if resource.namespaced { ctx.target.namespace.as_str() } else { "" };
    let entry = ctx.api.store.get(&resource.drawer, namespace, name);
    let entry = entry.ok_or_else(|| Refusal::not_found(resource, name))?;
    let named = Named::of(&entry);
    let asked = text("uid");
    if kind == "Pod" && entry.value.lookup_str(&["spec", "serviceAccountName"]) != Some(ctx.target.name.as_str()) {
        let account = &ctx.target.name;
        return Err(Refusal::bad_request(format!(
            "cannot bind token for serviceaccount {account:?} to pod running with different serviceaccount name."
        )));
    }
    if !asked.is_empty() && asked != named.uid {
        let why = format!(
            "the UID in the bound object reference ({asked}) does not match the UID in record. The object might have been deleted \
             and then recreated"
        );
        return Err(Refusal::conflict_of("", kind, name, why));
    }
    match kind {
        "Pod" => {
            let node = entry.value.lookup_str(&["spec", "nodeName"]).filter(|node| !node.is_empty());
            names.node = node.map(|node| match ctx.api.store.get("/nodes", "", node) {
                Some(entry) => Named::of(&entry),
                None => Named { name: node.to_owned(), uid: String::new() },
            });
            names.pod = Some(named);
        }
        "Node" => names.node = Some(named),
        _ => names.secret = Some(named),
    }
    Ok(())
}
