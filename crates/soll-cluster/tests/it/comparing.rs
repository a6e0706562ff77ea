//! `as_applied` against dry runs: where it says that an apply would change nothing, the server must agree.

use soll_api::Object;
use soll_cluster::{Applier, ApplierOptions, ApplyOptions, Patch, Verb};
use soll_plan::{Verdict, as_applied, judge};
use soll_schema::{Schemas, Scope};
use soll_yaml::{Data, Map, ParseOptions, Sources, Value, parse_yaml};

use crate::support::{Bed, on_both};

/// Every namespaced builtin object of the corpus, in the bed's namespace, each under a name of its own.
fn corpus(bed: &Bed) -> Vec<Object> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus/kustomize");
    let mut cases: Vec<_> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    let texts = cases.iter().filter_map(|case| std::fs::read_to_string(case.join("expected.yaml")).ok());
    let values: Vec<_> = texts
        .flat_map(|text| parse_yaml(&text, Sources::new().add("a.yaml"), &ParseOptions::go_v2()).unwrap())
        .collect();
    let mut objects = Vec::new();
    for (index, value) in values.into_iter().enumerate() {
        let Ok(mut object) = Object::new(value) else { continue };
        let known = Schemas::builtin().of(object.api_version(), object.kind()).and_then(|kind| kind.resource());
        let encrypted = object.value().get("sops").is_some();
        if encrypted || known.is_none_or(|resource| resource.scope() != Scope::Namespaced) {
            continue;
        }
        let name = Value::from(format!("x{index}"));
        let metadata = object.value_mut().get_mut("metadata").unwrap().make_map();
        metadata.insert("name", name);
        metadata.insert("namespace", Value::str(&bed.namespace));
        objects.push(object);
    }
    objects
}

/// Kinds with atomic nodes, which the server fills in below, and one whose type nobody knows.
const WHOLE: [&str; 12] = [
    r#"{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"levers.tests.soll.dev"},
        "spec":{"group":"tests.soll.dev","scope":"Namespaced","names":{"plural":"levers","kind":"Lever"},
        "versions":[{"name":"v1","served":true,"storage":true,
          "additionalPrinterColumns":[{"name":"Size","type":"integer","jsonPath":".spec.size","priority":1},{"name":"B","type":"string","jsonPath":".spec.b"}],
          "schema":{"openAPIV3Schema":{"type":"object","properties":{"spec":{"type":"object","properties":{
            "size":{"type":"integer","maximum":9,"description":"how large"},
            "on":{"type":"boolean","default":true},
            "selector":{"type":"object","x-kubernetes-map-type":"atomic","properties":{
              "matchLabels":{"type":"object","additionalProperties":{"type":"string"}},
              "matchExpressions":{"type":"array","items":{"type":"object","properties":{"key":{"type":"string"},"values":{"type":"array","items":{"type":"string"}}}}}}},
            "params":{"type":"object","additionalProperties":{"type":"string"}},
            "mode":{"type":"object","properties":{"strict":{"type":"object"},"lax":{"type":"object","properties":{"by":{"type":"integer","default":3}}}}},
            "rules":{"type":"array","items":{"type":"object","properties":{"to":{"type":"string"},"ports":{"type":"array","items":{"type":"integer"}}}}},
            "names":{"type":"array","x-kubernetes-list-type":"set","items":{"type":"string"}},
            "parts":{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["name"],"items":{"type":"object","required":["name"],
              "properties":{"name":{"type":"string"},"size":{"type":"integer"},"labels":{"type":"object","x-kubernetes-map-type":"atomic","additionalProperties":{"type":"string"}}}}}
          }}}}}}]}}"#,
    r#"{"apiVersion":"tests.soll.dev/v1","kind":"Lever","metadata":{"name":"lever","namespace":"NS","labels":{"a":"b"}},
        "spec":{"size":3,"selector":{"matchLabels":{"a":"b","c":"d"},"matchExpressions":[{"key":"k","values":["x","y"]},{"key":"l"}]},
        "params":{"p":"1","q":"2"},"mode":{"strict":{}},"rules":[{"to":"a","ports":[1,2]},{"to":"b"}],
        "names":["m","n"],"parts":[{"name":"p","size":1,"labels":{"x":"y","z":"w"}},{"name":"q"}]}}"#,
    r#"{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"policy","namespace":"NS"},
        "spec":{"podSelector":{"matchLabels":{"a":"b","c":"d"}},"policyTypes":["Ingress","Egress"],
        "ingress":[{"from":[{"podSelector":{"matchLabels":{"x":"y"}},"namespaceSelector":{}},{"ipBlock":{"cidr":"10.0.0.0/8","except":["10.1.0.0/16"]}}],
          "ports":[{"port":80},{"port":443,"protocol":"TCP"},{"port":53,"protocol":"UDP"}]}],
        "egress":[{"to":[{"namespaceSelector":{"matchLabels":{"n":"m"}}}],"ports":[{"port":8000,"endPort":9000}]},{}]}}"#,
    r#"{"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"name":"budget","namespace":"NS"},
        "spec":{"minAvailable":1,"selector":{"matchLabels":{"a":"b","c":"d"},"matchExpressions":[{"key":"k","operator":"Exists"}]}}}"#,
    r#"{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"role","namespace":"NS"},
        "rules":[{"apiGroups":[""],"resources":["secrets"],"verbs":["get","list"],"resourceNames":["a"]},{"apiGroups":["apps"],"resources":["deployments"],"verbs":["*"]}]}"#,
    r#"{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"binding","namespace":"NS"},
        "roleRef":{"kind":"Role","name":"role"},
        "subjects":[{"kind":"User","name":"u"},{"kind":"ServiceAccount","name":"s","namespace":"NS","apiGroup":""}]}"#,
    r#"{"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"ingress","namespace":"NS"},
        "spec":{"tls":[{"hosts":["a.b"],"secretName":"t"}],"rules":[{"host":"a.b","http":{"paths":[
          {"path":"/","pathType":"Prefix","backend":{"service":{"name":"s","port":{"number":80}}}},
          {"path":"/x","pathType":"Exact","backend":{"service":{"name":"s","port":{"name":"http"}}}}]}},
          {"http":{"paths":[{"pathType":"Prefix","path":"/","backend":{"service":{"name":"s","port":{"number":80}}}}]}}]}}"#,
    r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"whole","namespace":"NS"},
        "spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b","c":"d"}},"spec":{
          "tolerations":[{"key":"k","operator":"Exists","effect":"NoSchedule"},{"operator":"Exists"}],
          "nodeSelector":{"n":"m"},
          "affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"k","operator":"In","values":["v"]}]}]}},
            "podAntiAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[{"weight":1,"podAffinityTerm":{"topologyKey":"t","labelSelector":{"matchLabels":{"a":"b"}}}}]}},
          "initContainers":[{"name":"first","image":"i:1"},{"name":"second","image":"i:1"}],
          "containers":[{"name":"c","image":"i:1","args":["a","b"],"securityContext":{"capabilities":{"add":["A"],"drop":["ALL"]}},
            "env":[{"name":"N","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}},{"name":"L","valueFrom":{"resourceFieldRef":{"resource":"limits.cpu","containerName":"c"}}},
              {"name":"S","valueFrom":{"secretKeyRef":{"name":"s","key":"k","optional":true}}}],
            "readinessProbe":{"httpGet":{"port":80,"httpHeaders":[{"name":"h","value":"v"}]}},
            "volumeMounts":[{"name":"p","mountPath":"/p"}]}],
          "volumes":[{"name":"p","projected":{"sources":[{"serviceAccountToken":{"path":"token"}},{"configMap":{"name":"c","items":[{"key":"k","path":"p"}]}},
            {"downwardAPI":{"items":[{"path":"l","fieldRef":{"fieldPath":"metadata.labels"}}]}}]}},{"name":"e","emptyDir":{}}]}}}}"#,
    r#"{"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"whole","namespace":"NS"},
        "spec":{"serviceName":"s","selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i:1"}]}},
        "volumeClaimTemplates":[{"metadata":{"name":"d","labels":{"x":"y"}},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}]}}"#,
    r#"{"apiVersion":"batch/v1","kind":"CronJob","metadata":{"name":"whole","namespace":"NS"},
        "spec":{"schedule":"0 0 1 1 *","suspend":true,"jobTemplate":{"spec":{"template":{"spec":{"restartPolicy":"Never",
          "containers":[{"name":"c","image":"i:1","command":["a","b"]}]}},
          "podFailurePolicy":{"rules":[{"action":"Ignore","onPodConditions":[{"type":"DisruptionTarget"}]}]}}}}}"#,
    r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"whole","namespace":"NS"},
        "spec":{"selector":{"a":"b","c":"d"},"ports":[{"name":"a","port":80},{"name":"b","port":81}],"externalIPs":["192.0.2.1"]}}"#,
    r#"{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingWebhookConfiguration","metadata":{"name":"NS-whole"},
        "webhooks":[{"name":"a.b.c","admissionReviewVersions":["v1"],"sideEffects":"None","failurePolicy":"Ignore",
          "clientConfig":{"service":{"name":"s","namespace":"NS","path":"/x"}},"namespaceSelector":{"matchLabels":{"never":"there","x":"y"}},
          "rules":[{"apiGroups":["nobody.example.com"],"apiVersions":["v1"],"resources":["things"],"operations":["CREATE"]}]}]}"#,
];

/// The object with one node less, for each node that can be left out, and with each list the other way round.
fn others(object: &Object) -> Vec<(String, Object)> {
    let mut others = Vec::new();
    let metadata = object.value().lookup(&["metadata"]).and_then(Value::as_map).into_iter().flatten();
    let metadata = metadata.filter(|entry| matches!(entry.key.as_str(), "labels" | "annotations"));
    let root = object.value().as_map().into_iter().flatten();
    let root = root.filter(|entry| !matches!(entry.key.as_str(), "apiVersion" | "kind" | "metadata"));
    let fields = metadata.map(|entry| format!("metadata.{}", entry.key)).chain(root.map(|entry| entry.key.to_string()));
    for field in fields {
        let mut at: Vec<Step> = field.split('.').map(|key| Step::Key(key.into())).collect();
        vary(object, &mut at, &mut others);
    }
    others
}

#[derive(Clone)]
enum Step {
    Key(soll_yaml::Str),
    Item(usize),
}

fn node<'v>(value: &'v mut Value, at: &[Step]) -> &'v mut Value {
    at.iter().fold(value, |value, step| match step {
        Step::Key(key) => value.get_mut(key).unwrap(),
        Step::Item(index) => &mut value.as_list_mut().unwrap()[*index],
    })
}

fn vary(object: &Object, at: &mut Vec<Step>, others: &mut Vec<(String, Object)>) {
    let text = at.iter().map(|step| match step {
        Step::Key(key) => format!("/{key}"),
        Step::Item(index) => format!("/{index}"),
    });
    let text: String = text.collect();
    let mut other = object.clone();
    let (last, parents) = at.split_last().unwrap();
    let parent = node(other.value_mut(), parents);
    match last {
        Step::Key(key) => drop(parent.make_map().remove(key)),
        Step::Item(index) => drop(parent.as_list_mut().unwrap().remove(*index)),
    }
    others.push((format!("without {text}"), other));
    let mut other = object.clone();
    let here = node(other.value_mut(), at);
    let steps: Vec<Step> = match &here.data {
        Data::Map(map) => map.iter().map(|entry| Step::Key(entry.key.clone())).collect(),
        Data::List(items) => (0..items.len()).map(Step::Item).collect(),
        Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Str(_) => Vec::new(),
    };
    if let Some(items) = here.as_list_mut().filter(|items| items.len() > 1) {
        items.reverse();
        others.push((format!("other way round: {text}"), other));
    }
    for step in steps {
        at.push(step);
        vary(object, at, others);
        at.pop();
    }
}

/// A JSON patch for each leaf below the fields that people edit: another value, and none.
fn edits(live: &Object) -> Vec<Value> {
    let mut edits = Vec::new();
    for field in ["spec", "data", "rules", "subjects"] {
        if let Some(value) = live.value().get(field) {
            edit(value, &format!("/{field}"), &mut edits);
        }
    }
    for field in ["labels", "annotations"] {
        if let Some(value) = live.value().lookup(&["metadata", field]) {
            edit(value, &format!("/metadata/{field}"), &mut edits);
        }
    }
    edits
}

fn edit(value: &Value, path: &str, edits: &mut Vec<Value>) {
    let operation = |op: &str, value: Option<Value>| {
        let fields = [("op", Value::str(op)), ("path", Value::str(path))].into_iter();
        Value::list(vec![fields.chain(value.map(|value| ("value", value))).collect::<Map>().into()])
    };
    edits.push(operation("remove", None));
    let other = match &value.data {
        Data::Map(map) => {
            for entry in map.iter() {
                let key = entry.key.replace('~', "~0").replace('/', "~1");
                edit(&entry.value, &format!("{path}/{key}"), edits);
            }
            return;
        }
        Data::List(items) => {
            for (index, item) in items.iter().enumerate() {
                edit(item, &format!("{path}/{index}"), edits);
            }
            // The first item once more, changed, at the end.
            let mut longer = items.to_vec();
            let Some(mut item) = items.first().cloned() else { return };
            match item.get("name").and_then(Value::as_str).map(str::to_owned) {
                Some(name) => drop(item.make_map().insert("name", Value::from(format!("{name}2")))),
                None if item.as_str().is_some() => item = Value::str("more"),
                None => {}
            }
            longer.push(item);
            Value::list(longer)
        }
        Data::Bool(value) => (!value).into(),
        Data::Int(value) => (value + 1).into(),
        Data::Str(text) => Value::from(format!("{text}2")),
        Data::Float(_) | Data::Null => return,
    };
    edits.push(operation("replace", Some(other)));
}

/// Edits per object.
const EDITS: usize = 12;

on_both! {
/// What left Git, or stands in another order there, is told wherever it stood.
async fn what_the_manifest_says_no_more_is_noticed(kind) {
    let bed = Bed::new(kind, "shrinking").await;
    let forced = ApplyOptions::forced(&bed.settings.managers.ours);
    let whole: Vec<_> = WHOLE.iter().map(|text| bed.object(text)).collect();
    let whole = soll_plan::prepare(whole, &bed.owner, &Sources::new()).unwrap();
    bed.apply_objects(&bed.applier(), whole.clone(), &Sources::new()).await.unwrap();
    // The usual kinds cost no dry run while nothing changes; only of a custom kind nobody knows the defaults.
    let (mut dear, mut wrong, mut told, mut all) = (Vec::new(), Vec::new(), 0, 0);
    let corpus = soll_plan::prepare(corpus(&bed), &bed.owner, &Sources::new()).unwrap();
    let more = corpus.len();
    for (index, desired) in whole.iter().chain(&corpus).enumerate() {
        let is_usual = index < whole.len();
        let applied = bed.cluster.apply(desired, &forced).await;
        // What the server refuses, such as foreign enums of newer versions, is not what this is about.
        let Some(live) = applied.ok().or_else(|| { assert!(!is_usual, "{desired:?}"); None }) else { continue };
        let r#type = Schemas::builtin().type_of(desired.group(), desired.version(), desired.kind());
        if is_usual && !as_applied(desired, &live, &bed.settings.managers, r#type) {
            dear.push(desired.object_ref().to_string());
        }
        for (what, other) in others(desired) {
            all += 1;
            if !as_applied(&other, &live, &bed.settings.managers, r#type) {
                continue;
            }
            told += 1;
            let dry_run = bed.cluster.apply(&other, &forced.clone().dry()).await;
            if !dry_run.is_ok_and(|dry_run| judge(&other, Some(&live), &dry_run, &bed.settings) == Verdict::Unchanged) {
                wrong.push(format!("{} {what}", desired.object_ref()));
            }
        }
    }
    eprintln!("{more} of the corpus: {all} other manifests, {told} told without a call");
    assert!(all > 3000, "{all}");
    assert_eq!(dear, Vec::<String>::new());
    assert_eq!(wrong, Vec::<String>::new());
}

/// Nobody else gets a key into an atomic map of ours, whatever its kind.
async fn what_others_put_into_an_atomic_map_goes(kind) {
    let bed = Bed::new(kind, "atomic").await;
    let definition = WHOLE[0].replace("levers", "cranks").replace("Lever", "Crank");
    let crank = WHOLE[1].replace("Lever", "Crank");
    bed.apply(&[&definition, &crank]).await.unwrap();
    let gvk = bed.object(&crank).gvk();
    let edit = |text: &str| Patch::Merge(soll_yaml::parse_json(text.as_bytes()).unwrap());
    let restarted = async || {
        let applier = Applier::new(bed.cluster.clone(), std::sync::Arc::default(), ApplierOptions::default());
        let (applied, counts) = bed.counting(bed.apply_with(&applier, &[&definition, &crank], &Sources::new())).await;
        (bed.lines(&applied.unwrap()).pop().unwrap(), counts.of(Verb::DryRun))
    };
    for (text, expected) in [
        (r#"{"spec":{"selector":{"matchLabels":{"e":"f"}}}}"#, ("Crank/NS/lever configured", 1)),
        (r#"{"spec":{"selector":{"other":null}}}"#, ("Crank/NS/lever unchanged", 0)),
        (r#"{"spec":{"params":{"r":"3"}}}"#, ("Crank/NS/lever unchanged", 0)),
    ] {
        bed.cluster.patch(&gvk, &bed.namespace, "lever", &edit(text), "somebody").await.unwrap();
        let (line, dry_runs) = restarted().await;
        assert_eq!((line.as_str(), dry_runs), expected, "{text}");
    }
    let live = bed.get("tests.soll.dev/v1", "Crank", "lever").await.unwrap();
    assert_eq!(live.value().lookup(&["spec", "selector", "matchLabels", "e"]), None);
}
}

on_both! {
async fn what_compares_equal_needs_no_apply(kind) {
    let bed = Bed::new(kind, "comparing").await;
    let managers = &bed.settings.managers;
    let forced = ApplyOptions::forced(&managers.ours);
    let (mut equal, mut edited, mut drifted, mut told, mut wrong) = (0, 0, 0, 0, Vec::new());
    let desired = soll_plan::prepare(corpus(&bed), &bed.owner, &Sources::new()).unwrap();
    let mut applied = 0;
    for (seed, desired) in desired.iter().enumerate() {
        // What the server refuses, such as foreign enums of newer versions, is not what this is about.
        let Ok(live) = bed.cluster.apply(desired, &forced).await else { continue };
        applied += 1;
        let r#type = Schemas::builtin().of(desired.api_version(), desired.kind()).map(|kind| kind.type_ref());
        equal += usize::from(as_applied(desired, &live, managers, r#type));
        let all = edits(&live);
        // Spread over the object, the same ones in each run.
        let some = (0..EDITS.min(all.len())).map(|n| &all[(n * 7919 + seed * 31) % all.len()]);
        for patch in some {
            let patch = Patch::Json(patch.clone());
            let (gvk, name) = (desired.gvk(), desired.name());
            if bed.cluster.patch(&gvk, &bed.namespace, name, &patch, "somebody").await.is_err() {
                continue;
            }
            edited += 1;
            // Controllers write as well: both must be of one state.
            let (live, dry_run) = loop {
                let live = bed.cluster.get(&gvk, &bed.namespace, name).await.unwrap();
                let dry_run = bed.cluster.apply(desired, &forced.clone().dry()).await;
                if dry_run.as_ref().map_or(true, |dry_run| dry_run.resource_version() == live.resource_version()) {
                    break (live, dry_run);
                }
            };
            // A merge of both may be refused; that is for the dry run to say as well.
            let unchanged = dry_run
                .is_ok_and(|dry_run| judge(desired, Some(&live), &dry_run, &bed.settings) == Verdict::Unchanged);
            let same = as_applied(desired, &live, managers, r#type);
            drifted += usize::from(!unchanged);
            told += usize::from(unchanged && same);
            if same && !unchanged {
                wrong.push(format!("{desired:?}: {patch:?}"));
            }
            if bed.cluster.apply(desired, &forced).await.is_err() {
                break;
            }
        }
    }
    eprintln!("{applied} applied, {equal} equal at once; {edited} edits: {drifted} drifted, {told} told without a call");
    assert!(applied > 100 && drifted > 100, "{applied} applied, {drifted} drifted");
    assert!(equal * 100 > applied * 95, "{equal} of {applied}");
    assert_eq!(wrong, Vec::<String>::new());
}
}
