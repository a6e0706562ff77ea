//! What becomes of a live object when the API server refuses to change it: with `force` too, it is deleted only if
//! that is certain to help.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use kube::client::Body;
use soll_api::{Class, Object};
use soll_apiserver::{Server, ServerOptions};
use soll_cluster::{Applier, ApplierOptions, ApplyFailure, Cluster, ConnectOptions, RequestCounts, Verb};
use soll_yaml::Sources;
use tower::{BoxError, ServiceExt};

use crate::support::{Bed, config_map};

/// Which requests are answered instead of carried out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    DryRun,
    Write,
    /// Whether the object would be accepted if it were made anew.
    Probe,
}

/// How they are answered: a code, and the server's words.
type Answer = (u16, &'static str);

const RACE: Answer = (409, "Operation cannot be fulfilled on resourcequotas: the object has been modified");
const IMMUTABLE: Answer = (409, "the field is immutable");
const INVALID: Answer = (422, "a webhook thinks that this cannot be changed");
const FORBIDDEN: Answer = (403, "exceeded quota");
const BROKEN: Answer = (500, "failed calling webhook");
const INVALID_TOO: Answer = (422, "a webhook thinks that this cannot be made");

fn is(request: &Request<Body>, asked: Asked) -> bool {
    let is_dry = request.uri().query().is_some_and(|query| query.contains("dryRun"));
    match asked {
        Asked::DryRun => request.method() == Method::PATCH && is_dry,
        Asked::Write => request.method() == Method::PATCH && !is_dry,
        Asked::Probe => request.method() == Method::POST && is_dry,
    }
}

/// A cluster that answers some of the first requests of each sort itself.
fn refusing(server: &Server, answers: &'static [(Asked, usize, Answer)]) -> Cluster {
    let (service, counts) = (server.service(), Arc::new([const { AtomicUsize::new(0) }; 4]));
    let service = tower::service_fn(move |request: Request<Body>| {
        let (service, counts) = (service.clone(), Arc::clone(&counts));
        async move {
            for (index, (asked, times, (code, words))) in answers.iter().enumerate() {
                if is(&request, *asked) && counts[index].fetch_add(1, Ordering::SeqCst) < *times {
                    let reason = match code {
                        403 => "Forbidden",
                        409 => "Conflict",
                        422 => "Invalid",
                        _ => "InternalError",
                    };
                    let status = format!(
                        r#"{{"kind":"Status","apiVersion":"v1","code":{code},"reason":"{reason}","message":"{words}","details":{{"name":"a","kind":"configmaps"}}}}"#
                    );
                    return Ok(Response::builder().status(*code).body(Full::new(Bytes::from(status)))?);
                }
            }
            let answer = service.oneshot(request).await.map_err(BoxError::from)?;
            let (parts, body) = answer.into_parts();
            let body = body.collect().await.map_err(Into::<BoxError>::into)?.to_bytes();
            Ok::<_, BoxError>(Response::from_parts(parts, Full::new(body)))
        }
    });
    Cluster::from_service(service, &ConnectOptions::default())
}

/// Applies a change with `force`. Says what came of it, whether it is the same object still, and what was asked.
async fn forced(answers: &'static [(Asked, usize, Answer)]) -> (Result<String, ApplyFailure>, bool, RequestCounts) {
    let server = Server::new(&ServerOptions::default()).unwrap();
    let mut bed = Bed::on(Cluster::from_service(server.service(), &ConnectOptions::default()), "refusing").await;
    bed.settings.force = true;
    bed.apply(&[&config_map("a", r#"{"k":"v"}"#)]).await.unwrap();
    let uid = async || bed.get("v1", "ConfigMap", "a").await.as_ref().map(Object::uid).map(str::to_owned);
    let before = uid().await;
    let cluster = refusing(&server, answers);
    let applier = Applier::new(cluster.clone(), Arc::default(), ApplierOptions::default());
    let changed = config_map("a", r#"{"k":"w"}"#);
    let applied = bed.apply_with(&applier, &[&changed], &Sources::new()).await;
    let same = uid().await == before;
    let lines = applied.map(|applied| bed.lines(&applied).join("\n"));
    server.close().await;
    (lines, same, cluster.requests())
}

#[tokio::test(start_paused = true)]
async fn a_race_is_run_again_and_deletes_nothing() {
    for answers in [&[(Asked::Write, 2, RACE)], &[(Asked::DryRun, 2, RACE)]] as [&'static [_]; 2] {
        let (applied, same, counts) = forced(answers).await;
        assert_eq!(applied.unwrap(), "ConfigMap/NS/a configured");
        assert!(same && counts.of(Verb::Delete) == 0, "{counts:?}");
    }
    let (applied, same, counts) = forced(&[(Asked::Write, 99, RACE)]).await;
    let failure = applied.unwrap_err().failure;
    assert_eq!(failure.class, Class::Conflict, "{failure}");
    assert!(same && counts.of(Verb::Delete) == 0, "{counts:?}");
    assert_eq!(counts.by_code[&(Verb::Apply, 409)], 4);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_told_deletes_nothing() {
    for answers in [
        &[(Asked::Write, 99, INVALID), (Asked::Probe, 99, FORBIDDEN)],
        &[(Asked::DryRun, 99, INVALID), (Asked::Probe, 99, BROKEN)],
        &[(Asked::DryRun, 99, RACE), (Asked::Probe, 99, INVALID_TOO)],
        &[(Asked::Write, 99, INVALID), (Asked::Probe, 99, INVALID_TOO)],
    ] as [&'static [_]; 4]
    {
        let (applied, same, counts) = forced(answers).await;
        assert!(applied.is_err());
        assert!(same && counts.of(Verb::Delete) == 0, "{counts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_can_only_be_made_anew_is() {
    for answers in [
        &[(Asked::Write, 1, INVALID)],
        &[(Asked::Write, 1, IMMUTABLE)],
        &[(Asked::DryRun, 1, INVALID)],
        &[(Asked::DryRun, 1, IMMUTABLE)],
        &[(Asked::DryRun, 99, RACE)],
    ] as [&'static [_]; 5]
    {
        let (applied, same, _) = forced(answers).await;
        assert_eq!(applied.unwrap(), "ConfigMap/NS/a created");
        assert!(!same);
    }
}
