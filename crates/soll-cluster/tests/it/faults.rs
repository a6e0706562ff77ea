//! The engine dies at every request, before the server got it or after it was carried out: the next run repairs it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use soll_apiserver::{Server, ServerOptions};
use soll_cluster::{Applier, ApplierOptions, Cluster, ConnectOptions};
use soll_yaml::{Sources, Value};
use tower::{BoxError, ServiceExt};

use crate::support::{Bed, config_map, crd, custom, deployment};

/// When the connection breaks, for good.
#[derive(Debug, Clone, Copy)]
enum Break {
    /// The server never gets the request.
    Before,
    /// The server carries it out, and nobody hears the answer.
    After,
}

/// A cluster whose connection breaks at the nth request, from 0; `None` never breaks. Also counts.
fn breaking(server: &Server, at: Option<usize>, when: Break, asked: &Arc<AtomicUsize>) -> Cluster {
    let (service, asked) = (server.service(), Arc::clone(asked));
    let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
        let (service, number) = (service.clone(), asked.fetch_add(1, Ordering::SeqCst));
        async move {
            let lost = || BoxError::from("connection reset");
            let is_broken = at.is_some_and(|at| number > at);
            let breaks = at == Some(number);
            if is_broken || (breaks && matches!(when, Break::Before)) {
                return Err(lost());
            }
            let answer = service.oneshot(request).await.map_err(BoxError::from)?;
            if breaks { Err(lost()) } else { Ok(answer) }
        }
    });
    Cluster::from_service(service, &ConnectOptions::default())
}

/// Goes from the first state to the second as a reconcile does: apply, then prune. Says whether it came to its end.
async fn upgrade(bed: &Bed, cluster: &Cluster) -> bool {
    let applier = Applier::new(cluster.clone(), Arc::default(), ApplierOptions::default());
    let objects = [
        crd("gears", "Gear"),
        config_map("kept", r#"{"k":"w"}"#),
        config_map("new", r#"{"k":"v"}"#),
        deployment("web", "one", "nginx:2"),
    ];
    let objects: Vec<_> = objects.iter().map(String::as_str).collect();
    if bed.apply_with(&applier, &objects, &Sources::new()).await.is_err() {
        return false;
    }
    let stale = bed.inventory(&[&custom("Gear", 3), &config_map("old", "{}")]);
    applier.prune(&stale, &[], &bed.owner).await.failure.is_none()
}

/// A cluster in the first state.
async fn first(server: &Server) -> Bed {
    let bed = Bed::on(Cluster::from_service(server.service(), &ConnectOptions::default()), "faults").await;
    let objects = [
        crd("gears", "Gear"),
        custom("Gear", 3),
        config_map("kept", r#"{"k":"v"}"#),
        config_map("old", "{}"),
        deployment("web", "one", "nginx:1"),
    ];
    let objects: Vec<_> = objects.iter().map(String::as_str).collect();
    bed.apply(&objects).await.unwrap();
    bed
}

async fn check_at(at: usize, when: Break) {
    let server = Server::new(&ServerOptions::default()).unwrap();
    let bed = first(&server).await;
    let uid = bed.get("apps/v1", "Deployment", "web").await.unwrap().uid().to_owned();

    let asked = Arc::default();
    assert!(!upgrade(&bed, &breaking(&server, Some(at), when, &asked)).await, "request {at} breaks {when:?}");
    // A new process, which remembers nothing.
    assert!(upgrade(&bed, &bed.cluster).await, "the run after request {at} broke {when:?}");

    let here = format!("after request {at} broke {when:?}");
    let web = bed.get("apps/v1", "Deployment", "web").await.unwrap();
    assert_eq!((web.uid(), web.generation()), (uid.as_str(), Some(2)), "changed once, {here}");
    for (name, value) in [("kept", "w"), ("new", "v")] {
        let map = bed.get("v1", "ConfigMap", name).await.unwrap();
        assert_eq!(map.value().lookup_str(&["data", "k"]), Some(value), "{name} {here}");
        let managers = map.value().lookup(&["metadata", "managedFields"]).and_then(Value::as_list).unwrap();
        assert_eq!(managers.len(), 1, "{name} {here}");
    }
    assert!(bed.get("v1", "ConfigMap", "old").await.is_none(), "{here}");
    assert!(bed.get("tests.soll.dev/v1", "Gear", "c").await.is_none(), "{here}");
    // And now nothing is left to do.
    let (done, counts) = bed.counting(upgrade(&bed, &bed.cluster)).await;
    assert!(done && counts.writes() == 0, "{here}: {counts:?}");
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_dies_at_any_request_is_finished_by_the_next() {
    let server = Server::new(&ServerOptions::default()).unwrap();
    let bed = first(&server).await;
    let asked = Arc::default();
    assert!(upgrade(&bed, &breaking(&server, None, Break::Before, &asked)).await);
    let requests = asked.load(Ordering::SeqCst);
    assert!(requests > 10, "{requests} requests");
    for at in 0..requests {
        check_at(at, Break::Before).await;
        check_at(at, Break::After).await;
    }
}
