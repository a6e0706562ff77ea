use std::sync::Arc;

use soll_api::{Class, Gvk, Inventory, Object};
use soll_cluster::{
    Applier, ApplierOptions, ApplyOptions, Cluster, ConnectOptions, Creation, Depth, Identity, Mode, Observed, Outcome,
    Patch, Selection, Verb, WatchEvent,
};
use soll_plan::{Action, ApplySettings, IgnoreRules, Managers, Owner};
use soll_yaml::{At, Entry, Map, Sources, Value, parse_json};

use crate::support::{Bed, config_map, crd, custom, deployment, object, on_both};

on_both! {
async fn a_first_apply_creates_in_order_and_a_second_changes_nothing(kind) {
    let bed = Bed::new(kind, "first").await;
    let (definition, map) = (crd("wheels", "Wheel"), config_map("a", r#"{"k":"v"}"#));
    let wheel = r#"{"apiVersion":"tests.soll.dev/v1","kind":"Wheel","metadata":{"name":"w","namespace":"NS"},"spec":{"size":3}}"#;
    let workload = deployment("web", "web", "nginx");
    let objects = [wheel, &map, &workload, &definition];

    let first = bed.apply(&objects).await.unwrap();
    let created = [
        "CustomResourceDefinition/wheels.tests.soll.dev created",
        "ConfigMap/NS/a created",
        "Deployment/NS/web created",
        "Wheel/NS/w created",
    ];
    assert_eq!(bed.lines(&first), created);
    let owner = bed.get("v1", "ConfigMap", "a").await.unwrap();
    assert!(bed.owner.owns(&owner));

    let (second, counts) = bed.counting(bed.apply(&objects)).await;
    let unchanged: Vec<_> = created.iter().map(|line| line.replace("created", "unchanged")).collect();
    assert_eq!(bed.lines(&second.unwrap()), unchanged);
    assert_eq!((counts.writes(), counts.of(Verb::Get), counts.of(Verb::DryRun)), (0, 4, 0), "{counts:?}");
}
}

on_both! {
async fn an_unchanged_object_of_a_watched_kind_costs_no_call(kind) {
    let bed = Bed::new(kind, "memory").await;
    let (a, b) = (config_map("a", r#"{"k":"v"}"#), config_map("b", r#"{"k":"v"}"#));
    bed.apply(&[&a, &b]).await.unwrap();

    let gvk = Gvk::new("v1", "ConfigMap");
    let selection = Selection::labelled(&bed.owner.selector());
    let mut watch = bed.cluster.watch(&gvk, selection, Depth::Metadata).unwrap();
    let WatchEvent::Restarted(objects) = watch.next().await else { panic!("a watch starts with all objects") };
    assert_eq!(objects.len(), 2);
    assert_eq!(bed.memory.restart("", "ConfigMap", &objects, watch.told_up_to()), []);

    let (second, counts) = bed.counting(bed.apply(&[&a, &b])).await;
    assert_eq!(bed.lines(&second.unwrap()), ["ConfigMap/NS/a unchanged", "ConfigMap/NS/b unchanged"]);
    assert_eq!(counts.total(), 0, "{counts:?}");

    // Somebody edits one of them.
    let patch = Patch::Merge(parse_json(br#"{"data":{"k":"w"}}"#).unwrap());
    bed.cluster.patch(&gvk, &bed.namespace, "a", &patch, "kubectl-edit").await.unwrap();
    let edited = loop {
        if let WatchEvent::Applied(object) = watch.next().await {
            break object;
        }
    };
    assert_eq!(bed.memory.observe(&edited), Observed::Disturbed);
    assert_eq!(bed.memory.other_manager(&edited).as_deref(), Some("kubectl-edit"));

    let (third, counts) = bed.counting(bed.apply(&[&a, &b])).await;
    assert_eq!(bed.lines(&third.unwrap()), ["ConfigMap/NS/a configured", "ConfigMap/NS/b unchanged"]);
    // The fields of kubectl are taken over, then the object is applied.
    assert_eq!((counts.of(Verb::Get), counts.of(Verb::DryRun), counts.writes()), (1, 1, 2), "{counts:?}");
    let live = bed.get("v1", "ConfigMap", "a").await.unwrap();
    assert_eq!(live.value().lookup_str(&["data", "k"]), Some("v"));
}
}

on_both! {
async fn after_a_restart_one_look_tells_what_others_did(kind) {
    let bed = Bed::new(kind, "restart").await;
    let (map, web) = (config_map("a", r#"{"k":"v","l":"w"}"#), deployment("web", "one", "nginx"));
    let gvk = Gvk::new("v1", "ConfigMap");
    // A key that another manager adds is its own; kubectl's edits are not respected.
    for (manager, edit, expected) in [
        ("lens", r#"{"data":{"k":"x"}}"#, "configured"),
        ("lens", r#"{"data":{"k":null}}"#, "configured"),
        ("lens", r#"{"data":{"m":"x"}}"#, "unchanged"),
        ("lens", r#"{"metadata":{"labels":{"kustomize.toolkit.fluxcd.io/name":"x"}}}"#, "configured"),
        ("kubectl-edit", r#"{"data":{"n":"x"}}"#, "configured"),
    ] {
        bed.apply(&[&map, &web]).await.unwrap();
        let patch = Patch::Merge(parse_json(edit.as_bytes()).unwrap());
        bed.cluster.patch(&gvk, &bed.namespace, "a", &patch, manager).await.unwrap();
        let restarted = Applier::new(bed.cluster.clone(), Arc::default(), ApplierOptions::default());
        let (applied, counts) = bed.counting(bed.apply_with(&restarted, &[&map, &web], &Sources::new())).await;
        let lines = [format!("ConfigMap/NS/a {expected}"), "Deployment/NS/web unchanged".to_owned()];
        assert_eq!(bed.lines(&applied.unwrap()), lines, "{manager} {edit}");
        assert_eq!(counts.of(Verb::DryRun), u64::from(expected == "configured"), "{manager} {edit}: {counts:?}");
    }
    let live = bed.get("v1", "ConfigMap", "a").await.unwrap();
    assert_eq!(soll_yaml::to_json_sorted(live.value().get("data").unwrap()), r#"{"k":"v","l":"w","m":"x"}"#);
}
}

on_both! {
async fn what_cannot_exist_yet_is_not_read(kind) {
    let bed = Bed::new(kind, "fresh").await;
    let namespace = r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"NS-b"}}"#;
    let there = |text: String| text.replace("NS", "NS-b");
    let objects = [namespace, &there(config_map("a", "{}")), &there(deployment("web", "web", "nginx")), &crd("valves", "Valve"), &custom("Valve", 1)];
    let (applied, counts) = bed.counting(bed.apply(&objects)).await;
    assert!(applied.unwrap().changes.iter().all(|change| change.action == Action::Created));
    // The namespace and the definition are looked for; what they make possible is not.
    assert_eq!((counts.of(Verb::Apply), counts.by_code.get(&(Verb::Get, 404))), (5, Some(&2)), "{counts:?}");
}
}

on_both! {
async fn fields_that_kubectl_applied_become_ours_and_go_with_the_manifest(kind) {
    let bed = Bed::new(kind, "takeover").await;
    let by_hand = bed.object(&config_map("a", r#"{"old":"x","k":"v"}"#));
    bed.cluster.apply(&by_hand, &ApplyOptions::forced("kubectl")).await.unwrap();
    let applied = bed.apply(&[&config_map("a", r#"{"k":"v"}"#)]).await.unwrap();
    assert_eq!(bed.lines(&applied), ["ConfigMap/NS/a configured"]);
    let live = bed.get("v1", "ConfigMap", "a").await.unwrap();
    assert_eq!(live.value().lookup(&["data", "old"]), None);
    let managers = live.value().lookup(&["metadata", "managedFields"]).and_then(Value::as_list).unwrap();
    let names: Vec<_> = managers.iter().filter_map(|entry| entry.lookup_str(&["manager"])).collect();
    assert_eq!(names, ["kustomize-controller"]);
}
}

on_both! {
async fn an_immutable_change_fails_and_with_force_makes_the_object_anew(kind) {
    let mut bed = Bed::new(kind, "immutable").await;
    bed.apply(&[&deployment("web", "one", "nginx")]).await.unwrap();
    let before = bed.get("apps/v1", "Deployment", "web").await.unwrap();

    let changed = deployment("web", "two", "nginx");
    let failed = bed.apply(&[&changed]).await.unwrap_err();
    let message = failed.failure.message.replace(&bed.namespace, "NS");
    assert!(message.starts_with("Deployment/NS/web dry-run failed (Invalid): "), "{message}");
    assert!(message.contains("field is immutable"), "{message}");
    assert_eq!(failed.failure.class, Class::Configuration);
    assert_eq!(bed.get("apps/v1", "Deployment", "web").await.unwrap().uid(), before.uid());

    bed.settings.force = true;
    let applied = bed.apply(&[&changed]).await.unwrap();
    assert_eq!(bed.lines(&applied), ["Deployment/NS/web created"]);
    let after = bed.get("apps/v1", "Deployment", "web").await.unwrap();
    assert_ne!(after.uid(), before.uid());
    assert_eq!(after.value().lookup_str(&["spec", "selector", "matchLabels", "app"]), Some("two"));
}
}

on_both! {
async fn a_mistake_deletes_nothing_even_with_force(kind) {
        let mut bed = Bed::new(kind, "mistake").await;
        bed.settings.force = true;
        let (definition, rim) = (crd("rims", "Rim"), custom("Rim", 3));
        bed.apply(&[&definition, &rim]).await.unwrap();
        let before = bed.get("tests.soll.dev/v1", "Rim", "c").await.unwrap();
        // Too large is too large, whether new or changed.
        let failed = bed.apply(&[&definition, &custom("Rim", 12)]).await.unwrap_err();
        let message = failed.failure.message.replace(&bed.namespace, "NS");
        assert!(message.starts_with("Rim/NS/c dry-run failed (Invalid): "), "{message}");
        assert_eq!(bed.get("tests.soll.dev/v1", "Rim", "c").await.unwrap().uid(), before.uid());
    }
}

on_both! {
    async fn one_bad_change_keeps_a_whole_stage_from_being_written(kind) {
    let bed = Bed::new(kind, "stage").await;
    let (a, web) = (config_map("a", r#"{"k":"v"}"#), deployment("web", "one", "nginx"));
    bed.apply(&[&a, &web]).await.unwrap();
    let (new_a, new_web) = (config_map("a", r#"{"k":"w"}"#), deployment("web", "two", "nginx"));
    let (failed, counts) = bed.counting(bed.apply(&[&new_a, &new_web])).await;
    assert!(failed.is_err());
    assert_eq!(counts.writes(), 0, "{counts:?}");
    assert_eq!(bed.get("v1", "ConfigMap", "a").await.unwrap().value().lookup_str(&["data", "k"]), Some("v"));
}
}

on_both! {
async fn a_new_stage_is_tried_first_if_flux_does(kind) {
    let bed = Bed::new(kind, "careful").await;
    let options = ApplierOptions { creation: Creation::DryRunFirst, ..ApplierOptions::default() };
    let careful = Applier::new(bed.cluster.clone(), Arc::clone(&bed.memory), options);
    bed.apply(&[&crd("tyres", "Tyre")]).await.unwrap();
        let objects = [config_map("a", "{}"), custom("Tyre", 12)];
        let objects: Vec<_> = objects.iter().map(String::as_str).collect();
        let (failed, counts) = bed.counting(bed.apply_with(&careful, &objects, &Sources::new())).await;
        let message = failed.unwrap_err().failure.message.replace(&bed.namespace, "NS");
        assert!(message.starts_with("Tyre/NS/c dry-run failed (Invalid): "), "{message}");
        assert_eq!(counts.writes(), 0, "{counts:?}");
}
}

/// The value with the field at a path of keys written at a place.
fn place(value: &mut Value, path: &[&str], at: At) {
    let (last, parents) = path.split_last().unwrap();
    let mut node = value;
    for key in parents {
        node = node.get_mut(key).unwrap();
    }
    let map: &mut Map = node.as_map_mut().unwrap();
    let value = map.get(last).unwrap().clone().at(at);
    map.insert_entry(Entry { key: (*last).into(), key_at: at, value });
}

on_both! {
async fn an_unknown_field_is_reported_with_the_line_that_has_it(kind) {
    let bed = Bed::new(kind, "unknown").await;
    let sources = Sources::new();
    let at = At::new(sources.add("apps/web.yaml"), 12, 3);
    let mut object = bed.object(&deployment("web", "one", "nginx").replace(r#""replicas":1"#, r#""replicsa":1"#));
    place(object.value_mut(), &["spec", "replicsa"], at);
    let failed = bed.apply_objects(&bed.applier(), vec![object], &sources).await.unwrap_err();
    let text = failed.failure.to_string().replace(&bed.namespace, "NS");
    assert!(text.starts_with("apps/web.yaml:12:3: Deployment/NS/web apply failed: "), "{text}");
    assert!(text.contains(".spec.replicsa: field not declared in schema"), "{text}");
    assert_eq!(failed.failure.class, Class::Configuration);
}
}

on_both! {
async fn a_missing_namespace_and_an_unknown_kind_are_configuration(kind) {
    let bed = Bed::new(kind, "missing").await;
    let elsewhere = config_map("a", "{}").replace("NS", "soll-nowhere");
    let failure = bed.apply(&[&elsewhere]).await.unwrap_err().failure;
    assert_eq!(failure.class, Class::Configuration);
    assert!(failure.message.contains("namespaces \"soll-nowhere\" not found"), "{}", failure.message);

    let strange = r#"{"apiVersion":"nobody.example.com/v1","kind":"Strange","metadata":{"name":"s","namespace":"NS"}}"#;
    let failure = bed.apply(&[strange]).await.unwrap_err().failure;
    let message = failure.message.replace(&bed.namespace, "NS");
    assert_eq!(
        message,
        "Strange/NS/s dry-run failed: no matches for kind \"Strange\" in version \"nobody.example.com/v1\""
    );
    assert_eq!(failure.class, Class::Configuration);
}
}

on_both! {
async fn a_tenant_may_only_what_it_may(kind) {
    let bed = Bed::new(kind, "tenant").await;
    let tenant = bed.cluster.impersonating(Identity::service_account(&bed.namespace, "tenant"));
    let applier = Applier::new(tenant.clone(), Arc::clone(&bed.memory), ApplierOptions::default());
    let map = config_map("a", r#"{"k":"v"}"#);
    let failed = bed.apply_with(&applier, &[&map], &Sources::new()).await.unwrap_err();
    assert_eq!(failed.failure.class, Class::Forbidden);
    let message = failed.failure.message.replace(&bed.namespace, "NS");
    assert!(message.starts_with("ConfigMap/NS/a dry-run failed (Forbidden): "), "{message}");

    for rights in [
        r#"{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"maps","namespace":"NS"},
            "rules":[{"apiGroups":[""],"resources":["configmaps"],"verbs":["get","create","patch"]}]}"#,
        r#"{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"maps","namespace":"NS"},
            "roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"maps"},
            "subjects":[{"kind":"ServiceAccount","name":"tenant","namespace":"NS"}]}"#,
    ] {
        bed.cluster.create(&bed.object(rights), "tests", Mode::Real).await.unwrap();
    }
    // The authorizer of the server hears of new rights by a watch of its own.
    let may = bed.object(&config_map("probe", "{}"));
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    while tenant.apply(&may, &ApplyOptions::forced("tests").dry()).await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "the rights never arrived");
    }
    let applied = bed.apply_with(&applier, &[&map], &Sources::new()).await.unwrap();
    assert_eq!(bed.lines(&applied), ["ConfigMap/NS/a created"]);
}
}

on_both! {
async fn what_asks_to_be_left_alone_is_left_alone(kind) {
    let mut bed = Bed::new(kind, "controls").await;
    bed.settings.managers = Managers::new("kustomize-controller");
    let once = config_map("once", r#"{"k":"v"}"#).replace(
        r#""namespace":"NS""#,
        r#""namespace":"NS","annotations":{"kustomize.toolkit.fluxcd.io/ssa":"IfNotPresent"}"#,
    );
    assert_eq!(bed.lines(&bed.apply(&[&once]).await.unwrap()), ["ConfigMap/NS/once created"]);
    let later = once.replace(r#""k":"v""#, r#""k":"w""#);
    let applied = bed.apply(&[&later]).await.unwrap();
    assert_eq!(bed.lines(&applied), ["ConfigMap/NS/once skipped"]);
    assert!(applied.checked.is_empty());
    assert_eq!(bed.get("v1", "ConfigMap", "once").await.unwrap().value().lookup_str(&["data", "k"]), Some("v"));
}
}

on_both! {
async fn a_preview_tells_what_an_apply_would_do_and_does_nothing(kind) {
    let bed = Bed::new(kind, "preview").await;
    let (same, changed) = (config_map("same", "{}"), config_map("changed", r#"{"k":"v"}"#));
    let web = deployment("web", "one", "nginx");
    bed.apply(&[&same, &changed, &web]).await.unwrap();
    let texts = [
        same,
        config_map("changed", r#"{"k":"w"}"#),
        config_map("new", "{}"),
        deployment("web", "two", "nginx"),
        crd("hubs", "Hub"),
        r#"{"apiVersion":"tests.soll.dev/v1","kind":"Hub","metadata":{"name":"h","namespace":"NS"}}"#.to_owned(),
        r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"NS-b"}}"#.to_owned(),
        config_map("there", "{}").replace("NS", "NS-b"),
    ];
    let objects = texts.iter().map(|text| bed.object(text)).collect();
    let sources = Sources::new();
    let prepared = soll_plan::prepare(objects, &bed.owner, &sources).unwrap();
    let stages = soll_plan::stages(prepared, &[], &sources).unwrap();
    let (previews, counts) = bed.counting(bed.applier().preview(&stages, &bed.settings, &sources)).await;
    assert_eq!(counts.writes(), 0, "{counts:?}");
    let told: Vec<_> = previews
        .iter()
        .map(|preview| {
            let outcome = match &preview.outcome {
                Outcome::Unchanged => "unchanged".to_owned(),
                Outcome::Skipped(_) => "skipped".to_owned(),
                Outcome::Created { after } => format!("created {}", after.name()),
                Outcome::Changed { before, after } => {
                    let value = |object: &Object| object.value().lookup_str(&["data", "k"]).unwrap().to_owned();
                    format!("changed {} to {}", value(before), value(after))
                }
                Outcome::Recreated { .. } => "recreated".to_owned(),
                Outcome::Unknown { until } => format!("unknown until {until}"),
                Outcome::Refused(failure) => format!("refused: {:?}", failure.class),
            };
            format!("{}: {outcome}", preview.desired.object_ref()).replace(&bed.namespace, "NS")
        })
        .collect();
    // The embedded server makes forks, on which the namespace and the definition are there.
    let (there, hub) = match kind {
        crate::support::Kind::Real => ("unknown until Namespace/NS-b", "unknown until CustomResourceDefinition/hubs.tests.soll.dev"),
        crate::support::Kind::Embedded => ("created there", "created h"),
    };
    let expected = [
        "CustomResourceDefinition/hubs.tests.soll.dev: created hubs.tests.soll.dev",
        "Namespace/NS-b: created NS-b",
        "ConfigMap/NS/changed: changed v to w",
        "ConfigMap/NS/new: created new",
        "ConfigMap/NS/same: unchanged",
        &format!("ConfigMap/NS-b/there: {there}"),
        "Deployment/NS/web: refused: Configuration",
        &format!("Hub/NS/h: {hub}"),
    ];
    assert_eq!(told, expected);
}
}

#[tokio::test]
async fn on_a_fork_objects_are_tried_with_the_definition_that_comes() {
    let bed = Bed::new(crate::support::Kind::Embedded, "forked").await;
    bed.apply(&[&crd("hubs", "Hub"), &custom("Hub", 9)]).await.unwrap();
    let preview = async |most: u32| {
        let definition = crd("hubs", "Hub").replace(r#""maximum":9"#, &format!(r#""maximum":{most}"#));
        let objects = [definition, custom("Hub", 50)].iter().map(|text| bed.object(text)).collect();
        let prepared = soll_plan::prepare(objects, &bed.owner, &Sources::new()).unwrap();
        let stages = soll_plan::stages(prepared, &[], &Sources::new()).unwrap();
        let previews = bed.applier().preview(&stages, &bed.settings, &Sources::new()).await;
        previews.into_iter().map(|preview| preview.outcome).collect::<Vec<_>>()
    };
    let [Outcome::Changed { .. }, Outcome::Changed { before, after }] = &preview(99).await[..] else { panic!() };
    let size = |object: &Object| object.value().lookup(&["spec", "size"]).and_then(soll_yaml::Value::as_i64);
    assert_eq!((size(before), size(after)), (Some(9), Some(50)));
    let [Outcome::Changed { .. }, Outcome::Refused(failure)] = &preview(49).await[..] else { panic!() };
    assert!(failure.message.contains("should be less than or equal to 49"), "{failure}");
    // The fork is gone, and the original as it was.
    let live = bed.get("tests.soll.dev/v1", "Hub", "c").await.unwrap();
    assert_eq!(size(&live), Some(9));
}

#[tokio::test]
async fn a_server_that_is_gone_is_asked_a_few_times_and_not_once_for_each_object() {
    // Nothing listens on the discard port of loopback.
    let kubeconfig = r#"{"apiVersion":"v1","kind":"Config","current-context":"c",
        "clusters":[{"name":"c","cluster":{"server":"http://127.0.0.1:9"}}],
        "users":[{"name":"c","user":{}}],"contexts":[{"name":"c","context":{"cluster":"c","user":"c"}}]}"#;
    let cluster = Cluster::from_kubeconfig(kubeconfig, &ConnectOptions::default()).await.unwrap();
    let applier = Applier::new(cluster.clone(), Arc::default(), ApplierOptions::default());
    let sources = Sources::new();
    let maps: Vec<_> = (0..200).map(|n| object(&config_map(&format!("c{n}"), "{}"))).collect();
    let stale = Inventory::of(&maps);
    let settings =
        ApplySettings { managers: Managers::new("kustomize-controller"), force: false, ignore: IgnoreRules::default() };
    let stages = soll_plan::stages(maps, &[], &sources).unwrap();
    let failure = applier.apply(stages, &settings, &sources).await.unwrap_err().failure;
    assert_eq!(failure.class, Class::Internal);
    assert!(failure.message.contains("cannot reach the API server at http://127.0.0.1:9: "), "{failure}");
    let owner = Owner { name: "a".to_owned(), namespace: "a".to_owned() };
    let pruned = applier.prune(&stale, &[], &owner).await;
    assert_eq!(pruned.unconfirmed.len(), 200);
    assert!(pruned.failure.is_some());
    let asked = cluster.requests().total();
    assert!(asked < 60, "{asked} requests");
}
