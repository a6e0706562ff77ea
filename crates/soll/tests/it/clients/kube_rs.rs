//! kube-rs: its watcher both ways, a reflector, a finalizer, server-side apply, and leases that two contend for.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use futures::{Stream, StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams, PropagationPolicy};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind, PartialObjectMeta};
use kube::runtime::controller::Action;
use kube::runtime::finalizer::{Event as Finalizing, finalizer};
use kube::runtime::reflector::{ObjectRef, reflector, store};
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::watcher::{Config, Event, watcher};
use kube::runtime::{WatchStreamExt, controller::Controller};
use kube::{Client, Resource, ResourceExt};
use serde_json::json;
use tokio::time::timeout;

use crate::bed::{Bed, Ground, PATIENCE, Stage, runtime};
use crate::on_both_grounds;

on_both_grounds!(
    watchers_tell_what_happens,
    reflectors_hold_what_there_is,
    finalizers_hold_objects_back,
    leases_have_one_holder,
    workloads_are_waited_for,
);

/// Runs a test against the cluster of a stage, for no longer than anything may take.
fn with_client<F: Future<Output = ()>>(stage: &Stage<'_>, test: impl FnOnce(Client, String) -> F) {
    runtime().block_on(async {
        let kubeconfig = Kubeconfig::read_from(&stage.bed.kubeconfig).expect("readable");
        let options = KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.expect("a kubeconfig");
        let client = Client::try_from(config).expect("a client");
        timeout(PATIENCE, test(client, stage.namespace.clone())).await.expect("done in time");
    });
}

fn config_map(name: &str, value: &str) -> ConfigMap {
    let metadata = ObjectMeta {
        name: Some(name.to_owned()),
        labels: Some([("by".to_owned(), "kube-rs".to_owned())].into()),
        ..ObjectMeta::default()
    };
    ConfigMap { metadata, data: Some([("key".to_owned(), value.to_owned())].into()), ..ConfigMap::default() }
}

/// The next event; an error ends the test.
async fn next<T>(events: &mut (impl Stream<Item = Result<T, kube::runtime::watcher::Error>> + Unpin)) -> T {
    events.next().await.expect("a watcher never ends").unwrap_or_else(|error| panic!("{error}"))
}

fn watchers_tell_what_happens(ground: Ground) {
    let stage = Bed::shared(ground).stage("clients-kube-watch");
    with_client(&stage, |client, namespace| async move {
        let api: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
        for number in 0..5 {
            api.create(&PostParams::default(), &config_map(&format!("there-{number}"), "one")).await.expect("created");
        }
        // Pages of two, then a watch; and all of it by a watch.
        let selected = Config::default().labels("by=kube-rs");
        let streamed = selected.clone().streaming_lists();
        let metadata: Api<PartialObjectMeta<ConfigMap>> = Api::namespaced(client, &namespace);
        let mut watchers = [
            told(api.clone(), selected.page_size(2)).boxed(),
            told(api.clone(), streamed.clone()).boxed(),
            told(metadata, streamed).boxed(),
        ];
        for watcher in &mut watchers {
            let mut seen = Vec::new();
            loop {
                match next(watcher).await.as_str() {
                    "start" => {}
                    "done" => break,
                    other => seen.push(other.to_owned()),
                }
            }
            seen.sort();
            assert_eq!(seen, (0..5).map(|number| format!("init there-{number}")).collect::<Vec<_>>());
        }
        api.create(&PostParams::default(), &config_map("late", "one")).await.expect("created");
        let unseen = ConfigMap {
            metadata: ObjectMeta { name: Some("unseen".into()), ..ObjectMeta::default() },
            ..ConfigMap::default()
        };
        api.create(&PostParams::default(), &unseen).await.expect("created");
        let patch = json!({"data": {"key": "two"}});
        api.patch("late", &PatchParams::default(), &Patch::Merge(patch)).await.expect("patched");
        api.delete("late", &DeleteParams::default()).await.expect("deleted");
        for watcher in &mut watchers {
            for wanted in ["apply late", "apply late", "delete late"] {
                assert_eq!(next(watcher).await, wanted);
            }
        }
    });
}

/// What a watcher tells, in words.
fn told<K>(api: Api<K>, config: Config) -> impl Stream<Item = Result<String, kube::runtime::watcher::Error>>
where
    K: Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
{
    watcher(api, config).map_ok(|event| match event {
        Event::Apply(object) => format!("apply {}", object.name_any()),
        Event::InitApply(object) => format!("init {}", object.name_any()),
        Event::Delete(object) => format!("delete {}", object.name_any()),
        Event::Init => "start".to_owned(),
        Event::InitDone => "done".to_owned(),
    })
}

fn reflectors_hold_what_there_is(ground: Ground) {
    let stage = Bed::shared(ground).stage("clients-kube-reflect");
    with_client(&stage, |client, namespace| async move {
        let api: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
        api.create(&PostParams::default(), &config_map("first", "one")).await.expect("created");
        let (reader, writer) = store();
        let events = watcher(api.clone(), Config::default().labels("by=kube-rs")).default_backoff();
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let applied = reflector(writer, events).applied_objects().try_for_each(move |object| {
            // Nobody listens any more when the test is over.
            let _ = tell.send(object);
            futures::future::ok(())
        });
        let reflecting = tokio::spawn(applied);
        let mut hears = async |name: &str, version: Option<String>| loop {
            let object: ConfigMap = told.recv().await.expect("the reflector goes on");
            if object.name_any() == name
                && version.as_ref().is_none_or(|version| object.resource_version().as_ref() == Some(version))
            {
                return;
            }
        };
        reader.wait_until_ready().await.expect("the writer lives");
        assert_eq!(reader.len(), 1);

        // An apply by its field manager, twice the same, and against another.
        let ours = PatchParams::apply("kube-rs");
        let wanted = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "second", "labels": {"by": "kube-rs"}}, "data": {"key": "two"},
        });
        let second = api.patch("second", &ours, &Patch::Apply(&wanted)).await.expect("applied");
        let again = api.patch("second", &ours, &Patch::Apply(&wanted)).await.expect("applied");
        assert_eq!(second.resource_version(), again.resource_version());
        hears("second", None).await;
        let key = ObjectRef::new("second").within(&namespace);
        let held = reader.get(&key).expect("it is held");
        assert_eq!(held.data.as_ref().expect("data")["key"], "two");
        let mut theirs = wanted.clone();
        theirs["data"]["key"] = "three".into();
        let refused = api.patch("second", &PatchParams::apply("other"), &Patch::Apply(&theirs)).await;
        match refused.expect_err("a conflict") {
            kube::Error::Api(status) => assert_eq!((status.code, status.reason.as_str()), (409, "Conflict")),
            other => panic!("{other}"),
        }
        let forced = api.patch("second", &PatchParams::apply("other").force(), &Patch::Apply(&theirs)).await;
        let version = forced.expect("applied").resource_version();
        hears("second", version.clone()).await;
        assert_eq!(reader.get(&key).expect("it is held").data.as_ref().expect("data")["key"], "three");

        // Kinds that are found out about, and metadata only.
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "ConfigMap"));
        let dynamic: Api<DynamicObject> = Api::namespaced_with(client, &namespace, &kind);
        let found = dynamic.get("second").await.expect("there");
        assert_eq!(found.data["data"]["key"], "three");
        let metadata: PartialObjectMeta<ConfigMap> = api.get_metadata("second").await.expect("there");
        assert_eq!(metadata.metadata.resource_version, version);
        let page = api.list(&ListParams::default().labels("by=kube-rs").limit(1)).await.expect("listed");
        assert_eq!((page.items.len(), page.metadata.continue_.is_some()), (1, true));
        assert!(api.get_opt("third").await.expect("an answer").is_none());
        reflecting.abort();
    });
}

fn finalizers_hold_objects_back(ground: Ground) {
    let stage = Bed::shared(ground).stage("clients-kube-finalize");
    with_client(&stage, |client, namespace| async move {
        let api: Api<ConfigMap> = Api::namespaced(client, &namespace);
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let finalized = api.clone();
        let reconcile = move |object: Arc<ConfigMap>, tell: Arc<tokio::sync::mpsc::UnboundedSender<&'static str>>| {
            let api = finalized.clone();
            async move {
                let step = |event| async move {
                    // Nobody listens any more when the test is over.
                    let _ = tell.send(match event {
                        Finalizing::Apply(_) => "applied",
                        Finalizing::Cleanup(_) => "cleaned up",
                    });
                    Ok::<_, Infallible>(Action::await_change())
                };
                finalizer(&api, "example.org/cleanup", object, step).await
            }
        };
        let controller = Controller::new(api.clone(), Config::default().labels("by=kube-rs"))
            .run(reconcile, |_, _, _| Action::await_change(), Arc::new(tell))
            .for_each(|_| async {});
        let controller = tokio::spawn(controller);

        api.create(&PostParams::default(), &config_map("held", "one")).await.expect("created");
        assert_eq!(told.recv().await, Some("applied"));
        let held = api.get("held").await.expect("there");
        assert_eq!(held.finalizers(), ["example.org/cleanup"]);
        let deleted = api.delete("held", &DeleteParams::default()).await.expect("deleted");
        assert!(deleted.left().is_some_and(|object| object.metadata.deletion_timestamp.is_some()), "it is held back");
        while told.recv().await != Some("cleaned up") {}
        let uid = held.uid().expect("a uid");
        await_condition(api, "held", conditions::is_deleted(&uid)).await.expect("it goes away");
        controller.abort();
    });
}

fn leases_have_one_holder(ground: Ground) {
    let stage = Bed::shared(ground).stage("clients-kube-lease");
    with_client(&stage, |client, namespace| async move {
        let api: Api<Lease> = Api::namespaced(client, &namespace);
        let wanted = |holder: &str| -> Lease {
            let spec = json!({"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": "2030-01-01T00:00:00.123456Z"});
            serde_json::from_value(json!({"metadata": {"name": "leader"}, "spec": spec})).expect("a lease")
        };
        let post = PostParams::default();
        // Many try at once: one makes it.
        let names: Vec<String> = (0..8).map(|number| format!("member-{number}")).collect();
        let attempts = names.iter().map(|name| {
            let (api, lease, post) = (&api, wanted(name), &post);
            async move { api.create(post, &lease).await }
        });
        let made: Vec<_> = futures::future::join_all(attempts).await;
        assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1);
        let held = api.get("leader").await.expect("there");
        let renewed = held.spec.as_ref().and_then(|spec| spec.renew_time.clone());
        assert_eq!(serde_json::to_value(renewed).expect("JSON"), "2030-01-01T00:00:00.123456Z");
        // All take over what they have read: one does.
        let attempts = names.iter().map(|name| {
            let (api, post, mut lease) = (&api, &post, held.clone());
            lease.spec.as_mut().expect("a spec").holder_identity = Some(format!("{name} again"));
            async move { api.replace("leader", post, &lease).await }
        });
        let taken: Vec<_> = futures::future::join_all(attempts).await;
        let winner: Vec<_> = taken.iter().filter_map(|taken| taken.as_ref().ok()).collect();
        assert_eq!(winner.len(), 1);
        for lost in taken.iter().filter_map(|taken| taken.as_ref().err()) {
            assert!(matches!(lost, kube::Error::Api(status) if status.is_conflict()), "{lost}");
        }
        let held = api.get("leader").await.expect("there");
        assert_eq!(held.spec, winner[0].spec);
    });
}

fn workloads_are_waited_for(ground: Ground) {
    let stage = Bed::shared(ground).stage("clients-kube-work");
    with_client(&stage, |client, namespace| async move {
        let api: Api<Deployment> = Api::namespaced(client.clone(), &namespace);
        let pods: Api<Pod> = Api::namespaced(client, &namespace);
        let deployment: Deployment = serde_json::from_value(json!({
            "metadata": {"name": "web"},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "web", "image": "example.com/web:1"}]},
                },
            },
        }))
        .expect("a deployment");
        api.create(&PostParams::default(), &deployment).await.expect("created");
        await_condition(api.clone(), "web", conditions::is_deployment_completed()).await.expect("it completes");
        assert_eq!(pods.list(&ListParams::default().labels("app=web")).await.expect("listed").items.len(), 2);

        let scale =
            api.patch_scale("web", &PatchParams::default(), &Patch::Merge(json!({"spec": {"replicas": 3}}))).await;
        assert_eq!(scale.expect("scaled").spec.and_then(|spec| spec.replicas), Some(3));
        let patch =
            json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "example.com/web:2"}]}}}});
        let patched = api.patch("web", &PatchParams::default(), &Patch::Strategic(patch)).await.expect("patched");
        let generation = patched.metadata.generation;
        let settled = |object: Option<&Deployment>| {
            object.and_then(|object| object.status.as_ref()).is_some_and(|status| {
                status.observed_generation == generation
                    && status.updated_replicas == Some(3)
                    && status.replicas == Some(3)
                    && status.available_replicas == Some(3)
            })
        };
        await_condition(api.clone(), "web", settled).await.expect("it settles");
        let images =
            pods.list(&ListParams::default().labels("app=web").fields("status.phase=Running")).await.expect("listed");
        assert!(images.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).all(|pod| {
            pod.spec.as_ref().is_some_and(|spec| spec.containers[0].image.as_deref() == Some("example.com/web:2"))
        }));

        // In the foreground: the pods go first.
        let uid = patched.uid().expect("a uid");
        let foreground =
            DeleteParams { propagation_policy: Some(PropagationPolicy::Foreground), ..DeleteParams::default() };
        api.delete("web", &foreground).await.expect("deleted");
        await_condition(api, "web", conditions::is_deleted(&uid)).await.expect("it goes away");
        let left = pods.list(&ListParams::default().labels("app=web")).await.expect("listed");
        assert!(left.items.iter().all(|pod| pod.metadata.deletion_timestamp.is_some()), "pods go first");
    });
}
