use super::*;
use crate::testing::object;
use soll_api::{Duration, HealthCheckExpr, ObjectRef, Retry};

const NOW: &str = "2026-01-01T00:01:00Z";

fn now() -> Timestamp {
    NOW.parse().expect("a timestamp")
}

fn live(api_version: &str, kind: &str, rest: &str) -> Object {
    object(&format!(
        "{{'apiVersion': '{api_version}', 'kind': '{kind}',
          'metadata': {{'name': 'x', 'namespace': 'n', 'generation': 2}}, {rest}}}"
    ))
}

fn check(api_version: &str, kind: &str, rest: &str, expected: &str) {
    let health = health(&live(api_version, kind, rest), now());
    assert_eq!(format!("{}: {}", health.status, health.message), expected, "{kind} {rest}");
}

#[test]
fn generic_rules_come_first() {
    let terminating = object(
        "{'apiVersion': 'v1', 'kind': 'ConfigMap', 'metadata': {'name': 'x', 'deletionTimestamp': '2026-01-01T00:00:00Z'}}",
    );
    assert_eq!(health(&terminating, now()).status, HealthStatus::Terminating);
    let observed = "'status': {'observedGeneration': 1}";
    check("x.io/v1", "X", observed, "InProgress: X generation is 2, but latest observed generation is 1");
    let condition = |r#type: &str, status: &str| {
        format!(
            "'status': {{'observedGeneration': 2, 'conditions': [{{'type': '{type}', 'status': '{status}', 'message': 'm'}}]}}"
        )
    };
    check("x.io/v1", "X", &condition("Reconciling", "True"), "InProgress: m");
    check("x.io/v1", "X", &condition("Reconciling", "False"), "Current: Resource is current");
    check("x.io/v1", "X", &condition("Stalled", "True"), "Failed: m");
    check("x.io/v1", "X", &condition("Ready", "True"), "Current: Resource is Ready");
    check("x.io/v1", "X", &condition("Ready", "False"), "InProgress: m");
    check("x.io/v1", "X", &condition("Ready", "Unknown"), "InProgress: m");
    check("x.io/v1", "X", "'data': {}", "Current: Resource is current");
}

fn deployment(spec: &str, counts: [i64; 4], conditions: &str, expected: &str) {
    let [replicas, updated, ready, available] = counts;
    let rest = format!(
        "'spec': {{'progressDeadlineSeconds': 600{spec}}}, 'status': {{'observedGeneration': 2, 'replicas': {replicas},
          'updatedReplicas': {updated}, 'readyReplicas': {ready}, 'availableReplicas': {available},
          'conditions': [{conditions}]}}"
    );
    check("apps/v1", "Deployment", &rest, expected);
}

#[test]
fn deployments_are_current_when_rolled_out() {
    const DONE: &str = "{'type': 'Progressing', 'status': 'True', 'reason': 'NewReplicaSetAvailable'},
                        {'type': 'Available', 'status': 'True'}";
    deployment(", 'replicas': 3", [3, 3, 3, 3], DONE, "Current: Deployment is available. Replicas: 3");
    deployment("", [0, 0, 0, 0], "", "InProgress: Replicas: 0/1");
    deployment(", 'replicas': 3", [3, 1, 3, 3], DONE, "InProgress: Updated: 1/3");
    deployment(", 'replicas': 3", [4, 3, 3, 3], DONE, "InProgress: Pending termination: 1");
    deployment(", 'replicas': 3", [3, 3, 3, 2], DONE, "InProgress: Available: 2/3");
    deployment(", 'replicas': 3", [3, 3, 2, 3], DONE, "InProgress: Ready: 2/3");
    deployment(", 'replicas': 0", [0, 0, 0, 0], "", "InProgress: ReplicaSet not Available");
    deployment(", 'replicas': 0", [0, 0, 0, 0], DONE, "Current: Deployment is available. Replicas: 0");
    deployment(
        "",
        [1, 1, 1, 1],
        "{'type': 'Progressing', 'status': 'True', 'reason': 'NewReplicaSetAvailable'}",
        "InProgress: Deployment not Available",
    );
    deployment(
        "",
        [1, 1, 0, 0],
        "{'type': 'Progressing', 'status': 'False', 'reason': 'ProgressDeadlineExceeded'}",
        "Failed: Progress deadline exceeded",
    );
}

#[test]
fn stateful_sets() {
    let check = |spec: &str, status: &str, expected: &str| {
        check("apps/v1", "StatefulSet", &format!("'spec': {{{spec}}}, 'status': {{{status}}}"), expected);
    };
    let done = "'replicas': 2, 'readyReplicas': 2, 'currentReplicas': 2, 'updatedReplicas': 2,
                'currentRevision': 'a', 'updateRevision': 'a'";
    check("'replicas': 2", done, "Current: All replicas scheduled as expected. Replicas: 2");
    check("'replicas': 3", done, "InProgress: Replicas: 2/3");
    check("'replicas': 1", done, "InProgress: Pending termination: 1");
    check("'replicas': 2", &done.replace("'readyReplicas': 2", "'readyReplicas': 1"), "InProgress: Ready: 1/2");
    check("'replicas': 2", &done.replace("'currentReplicas': 2", "'currentReplicas': 1"), "InProgress: current: 1/2");
    check(
        "'replicas': 2",
        &done.replace("'updateRevision': 'a'", "'updateRevision': 'b'"),
        "InProgress: Waiting for updated revision to match current",
    );
    check(
        "'replicas': 9, 'updateStrategy': {'type': 'OnDelete'}",
        done,
        "Current: StatefulSet is using the ondelete update strategy",
    );
    let partition = "'replicas': 2, 'updateStrategy': {'rollingUpdate': {'partition': 1}}";
    check(
        partition,
        &done.replace("'updatedReplicas': 2", "'updatedReplicas': 1"),
        "Current: Partition rollout complete. updated: 1",
    );
    check(partition, &done.replace("'updatedReplicas': 2", "'updatedReplicas': 0"), "InProgress: updated: 0/1");
}

#[test]
fn daemon_and_replica_sets() {
    check("apps/v1", "DaemonSet", "'status': {}", "InProgress: DaemonSet status.observedGeneration not found");
    let daemon = "'status': {'observedGeneration': 2, 'desiredNumberScheduled': 2, 'currentNumberScheduled': 2,
                  'updatedNumberScheduled': 2, 'numberAvailable': 1, 'numberReady': 2}";
    check("apps/v1", "DaemonSet", daemon, "InProgress: Available: 1/2");
    check(
        "apps/v1",
        "DaemonSet",
        "'status': {'observedGeneration': 2, 'desiredNumberScheduled': 0}",
        "Current: All replicas scheduled as expected. Replicas: 0",
    );
    let set = "'status': {'replicas': 1, 'fullyLabeledReplicas': 1, 'availableReplicas': 1, 'readyReplicas': 1}";
    check("apps/v1", "ReplicaSet", set, "Current: ReplicaSet is available. Replicas: 1");
    check("apps/v1", "ReplicaSet", "'status': {}", "InProgress: Labelled: 0/1");
}

#[test]
fn jobs_must_complete() {
    let check = |spec: &str, status: &str, expected: &str| {
        check("batch/v1", "Job", &format!("'spec': {{{spec}}}, 'status': {{{status}}}"), expected);
    };
    check("", "", "InProgress: Job not started");
    check("", "'startTime': 't', 'active': 1", "InProgress: Job in progress. success: 0/1, failed: 0");
    check(
        "",
        "'succeeded': 1, 'conditions': [{'type': 'Complete', 'status': 'True'}]",
        "Current: Job Completed. succeeded: 1/1",
    );
    check(
        "",
        "'failed': 2, 'conditions': [{'type': 'Failed', 'status': 'True', 'message': 'too often'}]",
        "Failed: Job Failed. failed: 2/1: too often",
    );
    check("'suspend': true", "", "Current: Job Suspended");
    let job = |spec: &str| live("batch/v1", "Job", &format!("'spec': {{{spec}}}"));
    assert_eq!(missing(Some(&job("'ttlSecondsAfterFinished': 0"))).status, HealthStatus::Current);
    assert_eq!(missing(Some(&job(""))).status, HealthStatus::NotFound);
    assert_eq!(missing(None).status, HealthStatus::NotFound);
}

#[test]
fn pods_have_a_clock() {
    let pod = |status: &str| health(&live("v1", "Pod", &format!("'status': {{{status}}}")), now());
    let check = |status: &str, expected: &str| {
        let health = pod(status);
        assert_eq!(format!("{}: {}", health.status, health.message), expected);
    };
    check("'phase': 'Succeeded'", "Current: Pod has completed successfully");
    check("'phase': 'Failed'", "Current: Pod has completed, but not successfully");
    check("'phase': 'Running', 'conditions': [{'type': 'Ready', 'status': 'True'}]", "Current: Pod is Ready");
    check("'phase': 'Running'", "InProgress: Pod is running but is not Ready");
    check(
        "'phase': 'Running', 'containerStatuses': [{'name': 'c', 'state': {'waiting': {'reason': 'CrashLoopBackOff'}}}]",
        "Failed: Containers in CrashLoop state: c",
    );
    check("'phase': 'Pending'", "InProgress: Pod is in the Pending phase");
    let unschedulable = |created: &str| {
        let pod = object(&format!(
            "{{'apiVersion': 'v1', 'kind': 'Pod', 'metadata': {{'name': 'x', 'creationTimestamp': '{created}'}},
              'status': {{'phase': 'Pending', 'conditions': [{{'type': 'PodScheduled', 'status': 'False',
              'reason': 'Unschedulable', 'message': 'no room'}}]}}}}"
        ));
        health(&pod, now())
    };
    let fresh = unschedulable("2026-01-01T00:00:50Z");
    assert_eq!(fresh.status, HealthStatus::InProgress);
    assert_eq!(fresh.recheck_at, "2026-01-01T00:01:05Z".parse().ok());
    let old = unschedulable("2026-01-01T00:00:45Z");
    assert_eq!((old.status, old.message.as_str()), (HealthStatus::Failed, "Pod could not be scheduled: no room"));
}

#[test]
fn the_rest_of_the_builtin_kinds() {
    check("v1", "PersistentVolumeClaim", "'status': {'phase': 'Bound'}", "Current: PVC is Bound");
    check(
        "v1",
        "PersistentVolumeClaim",
        "'status': {'phase': 'Pending'}",
        "InProgress: PVC is not Bound. phase: Pending",
    );
    check("v1", "Service", "'spec': {'type': 'LoadBalancer', 'clusterIP': '10.0.0.1'}", "Current: Service is ready");
    check(
        "v1",
        "Service",
        "'spec': {'type': 'LoadBalancer'}",
        "InProgress: ClusterIP not set. Service type: LoadBalancer",
    );
    let crd = |conditions: &str, expected: &str| {
        let rest = format!("'status': {{'conditions': [{conditions}]}}");
        check("apiextensions.k8s.io/v1", "CustomResourceDefinition", &rest, expected);
    };
    crd("", "InProgress: Install in progress");
    crd("{'type': 'Established', 'status': 'True'}", "Current: CRD is established");
    crd("{'type': 'NamesAccepted', 'status': 'False', 'message': 'taken'}", "Failed: taken");
}

fn expression(kind: Option<&str>, current: &str) -> HealthCheckExpr {
    HealthCheckExpr {
        api_version: "x.io/v1".into(),
        kind: kind.map(str::to_owned),
        current: current.into(),
        in_progress: Some("status.phase == 'Busy'".into()),
        failed: Some("has(status.error) && status.error != ''".into()),
    }
}

#[test]
fn expressions_decide_for_their_kinds() {
    let rules = HealthExpressions::new(&[
        expression(Some("X"), "status.phase == 'Done' && metadata.name == 'x' && status.count > 1.5"),
        expression(None, "data.exists(k, k == 'a')"),
    ])
    .expect("valid rules");
    let check = |kind: &str, rest: &str, expected: HealthStatus| {
        let health = rules.health(&live("x.io/v2", kind, rest)).expect("a rule");
        assert_eq!(health.status, expected, "{rest}: {}", health.message);
    };
    check("X", "'status': {'phase': 'Done', 'count': 2}", HealthStatus::Current);
    check("X", "'status': {'phase': 'Done', 'count': 1}", HealthStatus::InProgress);
    check("X", "'status': {'phase': 'Busy'}", HealthStatus::InProgress);
    check("X", "'status': {'phase': 'Done', 'error': 'e'}", HealthStatus::Failed);
    check("X", "'status': {'phase': 'Done', 'count': 2, 'observedGeneration': 1}", HealthStatus::InProgress);
    check("X", "'spec': {}", HealthStatus::Unknown);
    check("Y", "'status': {'phase': ''}, 'data': {'a': 1}", HealthStatus::Current);
    assert_eq!(rules.health(&live("y.io/v1", "X", "'spec': {}")), None);
}

#[test]
fn broken_expressions_need_a_change_of_the_spec() {
    let error = HealthExpressions::new(&[expression(None, "status.phase ==")]).expect_err("no CEL");
    assert_eq!((error.reason.as_str(), error.retry), ("InvalidCELExpression", Retry::OnChange));
    let prefix = "Reconciliation failed terminally due to configuration error: spec.healthCheckExprs[0].current: ";
    assert!(error.message.starts_with(prefix), "{error}");
    let twice = [expression(Some("X"), "true"), expression(Some("X"), "true")];
    assert!(HealthExpressions::new(&twice).expect_err("twice").message.contains("[1].kind: there is a rule"));
    assert!(ReadyExpression::new("(", 3).expect_err("no CEL").message.contains("spec.dependsOn[3].readyExpr"));
}

#[test]
fn functions_of_kubernetes_alone_are_unknown_as_in_flux() {
    for (text, name) in [
        ("quantity(spec.memory).isGreaterThan(quantity('1Gi'))", "quantity"),
        ("status.names.exists(name, name.find('[a-z]+') == 'a')", "find"),
        ("math.greatest(1, status.count) > 1", "math"),
    ] {
        let error = HealthExpressions::new(&[expression(None, text)]).expect_err(text);
        let expected = format!("spec.healthCheckExprs[0].current: undeclared reference to '{name}'");
        assert!(error.message.ends_with(&expected), "{}", error.message);
    }
    assert!(
        HealthExpressions::new(&[expression(None, "'a b'.split(' ').size() == 2 && sets.contains([1], [1])")]).is_ok()
    );
}

#[test]
fn expressions_that_would_run_for_hours_are_not_run() {
    let items = |count: usize| format!("'list': [{}]", vec!["1"; count].join(", "));
    let holds = |text: &str, dependency: &str| {
        let dependency = live("x.io/v1", "X", dependency).into_value();
        ReadyExpression::new(text, 0).expect("CEL").holds(&Value::map(), &dependency)
    };
    let nested = "dep.list.all(a, dep.list.all(b, dep.list.all(c, dep.list.exists(d, a + b + c + d > 0))))";
    assert_eq!(holds(nested, &items(10)), Ok(true));
    assert!(holds(nested, &items(1000)).expect_err("10^12 steps").contains("loops 4 deep"));
    assert_eq!(holds("dep.list.all(a, a == 1) && dep.list.exists(a, a == 1)", &items(1000)), Ok(true));
    let split = "dep.text.split(',').all(a, dep.text.split(',').all(b, a == b))";
    assert!(holds(split, &format!("'text': '{}'", "x,".repeat(5000))).is_err());
    assert_eq!(holds(split, "'text': 'x,x,x'"), Ok(true));
}

#[test]
fn ready_expressions_see_both_objects() {
    let value = |text: &str| live("x.io/v1", "X", text).into_value();
    let dependent = value("'spec': {'version': '1.2'}");
    let holds = |text: &str, dependency: &str| {
        ReadyExpression::new(text, 0).expect("CEL").holds(&dependent, &value(dependency))
    };
    let same = "dep.status.version == self.spec.version";
    assert_eq!(holds(same, "'status': {'version': '1.2'}"), Ok(true));
    assert_eq!(holds(same, "'status': {'version': '1.1'}"), Ok(false));
    assert!(holds(same, "'status': {}").is_err());
    assert!(holds("dep.metadata.name", "'a': 1").is_err());
    let annotated = "dep.status.conditions.filter(c, c.type == 'Ready').all(c, c.status == 'True')";
    assert_eq!(holds(annotated, "'status': {'conditions': [{'type': 'Ready', 'status': 'True'}]}"), Ok(true));
    for (expression, phase) in [
        ("dep.?status.?phase.orValue('none')", "none"),
        ("dep.?status.phase.orValue('none')", "none"),
        ("dep.status.?phase.orValue('none')", "none"),
        ("dep[?'status'].?phase.orValue('none')", "none"),
    ] {
        let is = |phase: &str| format!("{expression} == '{phase}'");
        let absent =
            if expression.contains("?status") || expression.contains("?'status'") { "'a': 1" } else { "'status': {}" };
        assert_eq!(holds(&is(phase), absent), Ok(true), "{expression}");
        assert_eq!(holds(&is("Done"), "'status': {'phase': 'Done'}"), Ok(true), "{expression}");
    }
    assert_eq!(holds("dep.?status.hasValue()", "'a': 1"), Ok(false));
    assert_eq!(holds("dep.metadata.name.upperAscii() == 'X'", "'a': 1"), Ok(true));
}

#[test]
fn many_objects_sum_up() {
    let object = |name: &str| ObjectRef {
        group: "apps".into(),
        kind: "Deployment".into(),
        namespace: "n".into(),
        name: name.into(),
    };
    let checks = |statuses: &[HealthStatus]| -> Vec<_> {
        let check = |(i, status): (usize, &HealthStatus)| (object(&format!("d{i}")), Health::new(*status, "why"));
        statuses.iter().enumerate().map(check).collect()
    };
    let at = |statuses: &[HealthStatus], seconds, fail_fast| match assess(
        &checks(statuses),
        Duration::from_secs(seconds),
        Duration::from_secs(60),
        fail_fast,
    ) {
        Assessment::Failed(failure) => failure.message.clone(),
        other => format!("{other:?}"),
    };
    use HealthStatus::{Current, Failed, InProgress};
    assert_eq!(at(&[Current, Current], 99, true), "Healthy");
    assert_eq!(at(&[Current, InProgress], 1, true), "Waiting(None)");
    assert_eq!(
        at(&[Current, InProgress], 60, true),
        "health check failed after 1m0s: timeout waiting for: [Deployment/n/d1 status: 'InProgress']"
    );
    assert_eq!(
        at(&[Failed, InProgress], 1, true),
        "health check failed after 1s: failed early due to stalled resources: [Deployment/n/d0 status: 'Failed']"
    );
    assert_eq!(at(&[Failed, InProgress], 1, false), "Waiting(None)");
    assert_eq!(
        at(&[Failed, Current], 1, false),
        "health check failed after 1s: failed early due to stalled resources: [Deployment/n/d0 status: 'Failed']"
    );
}

fn pod(name: &str, status: &str) -> Object {
    object(&format!(
        "{{'apiVersion': 'v1', 'kind': 'Pod', 'metadata': {{'name': '{name}', 'namespace': 'n'}}, 'status': {{{status}}}}}"
    ))
}

fn check_explain(pods: &[Object], events: &[Object], expected: &[(&str, &str)]) {
    let deployment = live("apps/v1", "Deployment", "'spec': {}");
    let chain = explain(&deployment, &Related { pods, events }).culprits;
    let chain: Vec<_> = chain.iter().map(|link| (link.who.as_str(), link.why.as_str())).collect();
    assert_eq!(chain, expected);
}

#[test]
fn the_chain_leads_to_the_container() {
    let pull = "'phase': 'Pending', 'containerStatuses': [{'name': 'web', 'state': {'waiting':
                {'reason': 'ImagePullBackOff', 'message': 'Back-off pulling image'}}}]";
    let ready = "'phase': 'Running', 'conditions': [{'type': 'Ready', 'status': 'True'}]";
    let expected = [("Pod/n/a", "Pending"), ("container web", "ImagePullBackOff: Back-off pulling image")];
    check_explain(&[pod("b", ready), pod("a", pull)], &[], &expected);
    let two = [("Pod/n/a (and 1 more)", "Pending"), expected[1]];
    check_explain(&[pod("c", pull), pod("a", pull)], &[], &two);
    let crash = "'phase': 'Running', 'containerStatuses': [{'name': 'web', 'state': {'waiting': {'reason': 'CrashLoopBackOff'}},
                 'lastState': {'terminated': {'exitCode': 137, 'reason': 'OOMKilled'}}}]";
    check_explain(
        &[pod("a", crash)],
        &[],
        &[("Pod/n/a", "Running"), ("container web", "CrashLoopBackOff; last OOMKilled, exit code 137")],
    );
    let starting = "'phase': 'Pending', 'containerStatuses': [{'name': 'web', 'state': {'waiting': {'reason': 'ContainerCreating'}}}]";
    let event = object(
        "{'apiVersion': 'v1', 'kind': 'Event', 'metadata': {'name': 'e'}, 'type': 'Warning', 'reason': 'FailedMount',
          'message': 'no such volume', 'involvedObject': {'kind': 'Pod', 'namespace': 'n', 'name': 'a'}}",
    );
    check_explain(&[pod("a", starting)], std::slice::from_ref(&event), &[("Pod/n/a", "FailedMount: no such volume")]);
    check_explain(&[pod("a", ready)], &[], &[]);
}

#[test]
fn selectors_of_workloads_find_their_pods() {
    let selector =
        |spec: &str| pod_selector(&live("apps/v1", "Deployment", &format!("'spec': {{'selector': {{{spec}}}}}")));
    assert_eq!(selector("'matchLabels': {'a': 'b', 'c': 'd'}").as_deref(), Some("a=b,c=d"));
    let expressions = "'matchExpressions': [{'key': 'a', 'operator': 'In', 'values': ['x', 'y']}, {'key': 'b', 'operator': 'DoesNotExist'}]";
    assert_eq!(selector(expressions).as_deref(), Some("a in (x,y),!b"));
    assert_eq!(selector(""), None);
    assert_eq!(pod_selector(&live("v1", "Service", "'spec': {'selector': {'a': 'b'}}")), None);
}

/// What kstatus itself said of made-up objects: see `tests/oracles/kstatus`.
#[test]
fn verdicts_are_those_of_kstatus() {
    let recorded = include_str!("../../testdata/kstatus.jsonl");
    let mut differences = Vec::new();
    for line in recorded.lines() {
        let row = soll_yaml::parse_json(line.as_bytes()).expect("a row");
        let live = Object::new(row.get("object").expect("an object").clone()).expect("an object");
        let health = health(&live, now());
        let ours = format!("{}: {}", health.status, health.message);
        let theirs =
            format!("{}: {}", row.lookup_str(&["status"]).unwrap_or(""), row.lookup_str(&["message"]).unwrap_or(""));
        // Ours may go on and say why.
        if ours != theirs && !ours.starts_with(&format!("{theirs}: why")) {
            differences.push(format!("{ours} != {theirs} {line}"));
        }
    }
    assert!(recorded.lines().count() > 300);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
