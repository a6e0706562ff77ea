//! Manifests that people deploy: what helm made of the corpus's charts and kustomize of its overlays, and what projects ship or
//! show as it is, applied to both servers, applied again, and deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};
use soll_yaml::{ParseOptions, SourceId};

use super::known::Rules;
use super::script::{Names, Script, Step};
use super::{Pair, runtime};

/// What a chart or an overlay comes to.
struct Case {
    name: String,
    objects: Vec<Json>,
}

/// Where objects of a kind are.
#[derive(Debug, Clone)]
struct Place {
    /// `/apis/apps/v1`.
    root: String,
    plural: String,
    namespaced: bool,
}

/// Places by `apiVersion` and `kind`.
type Places = BTreeMap<(String, String), Place>;

const DEFINITION: &str = "CustomResourceDefinition";
/// Kinds whose objects kube-apiserver gives conditions a moment later, and we none: a known difference.
const JUDGED: [&str; 2] = ["APIService", "FlowSchema"];
/// Whether kube-apiserver stores an object anew once when nothing changes, because it fills in more when it reads it back: a
/// known difference.
fn is_stored_anew(object: &Json) -> bool {
    match object["kind"].as_str() {
        Some("PersistentVolumeClaim" | "Gateway" | "GatewayClass") => true,
        Some("Job") => object["spec"]["template"]["metadata"]["labels"].is_null(),
        _ => false,
    }
}
/// Namespaces that every server has.
const GIVEN: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

impl Place {
    fn collection(&self, object: &Json) -> String {
        let Self { root, plural, .. } = self;
        match namespace(object).filter(|_| self.namespaced) {
            Some(namespace) => format!("{root}/namespaces/{namespace}/{plural}"),
            None => format!("{root}/{plural}"),
        }
    }

    fn of(&self, object: &Json) -> String {
        format!("{}/{}", self.collection(object), object["metadata"]["name"].as_str().unwrap())
    }
}

/// The namespace of an object of a namespaced kind.
fn namespace(object: &Json) -> Option<&str> {
    Some(object["metadata"]["namespace"].as_str().unwrap_or("default"))
}

fn key(object: &Json) -> (String, String) {
    let text = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
    (text("apiVersion"), text("kind"))
}

fn corpus(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus").join(path)
}

fn read(path: &Path) -> Vec<Json> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let documents = soll_yaml::parse_yaml(&text, SourceId::default(), &ParseOptions::go_v2());
    let documents = documents.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let objects = documents.iter().filter(|document| !document.is_null());
    objects.map(|document| soll_yaml::from_value(document).unwrap()).collect()
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// What helm and kustomize made of the corpus, with the definitions that charts carry beside their templates.
fn cases() -> Vec<Case> {
    let stem = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    let mut cases = Vec::new();
    for chart in folders(&corpus("helm-expected")).into_iter().filter(|path| path.is_dir()) {
        let crds = folders(&corpus("charts").join(stem(&chart)).join("crds"));
        let definitions: Vec<Json> = crds.iter().flat_map(|path| read(path)).collect();
        // Beside what was made lie the errors of what could not be.
        for made in folders(&chart).into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "yaml")) {
            let name = format!("{} {}", chart.file_name().unwrap().to_string_lossy(), stem(&made));
            cases.push(Case { name, objects: [definitions.clone(), read(&made)].concat() });
        }
    }
    for overlay in folders(&corpus("kustomize")).into_iter().filter(|path| path.is_dir()) {
        let name = overlay.file_name().unwrap().to_string_lossy().into_owned();
        cases.push(Case { name, objects: read(&overlay.join("expected.yaml")) });
    }
    // A folder is what is applied together. The first of a project may define the kinds of the others.
    for project in folders(&corpus("manifests")).into_iter().filter(|path| path.is_dir()) {
        for folder in folders(&project) {
            let name = format!("{} {}", stem(&project), folder.file_name().unwrap().to_string_lossy());
            cases.push(Case { name, objects: folders(&folder).iter().flat_map(|path| read(path)).collect() });
        }
    }
    cases
}

/// What the servers serve by themselves.
async fn discover(pair: &Pair, rules: &Rules) -> Places {
    let get = |path: String| Step { get: Some(path), loosely: true, ..Step::default() };
    let groups = pair.run(&script("groups".to_owned(), vec![get("/apis".to_owned())]), rules).await.seen;
    let mut roots = vec!["/api/v1".to_owned()];
    for group in groups[0].body["groups"].as_array().unwrap() {
        let versions = group["versions"].as_array().unwrap();
        roots.extend(versions.iter().map(|one| format!("/apis/{}", one["groupVersion"].as_str().unwrap())));
    }
    let mut places = Places::new();
    for root in roots {
        let lists = pair.run(&script(root.clone(), vec![get(root.clone())]), rules).await.seen;
        // What only the real server has (`autoscaling/v1`) stands among the known differences.
        let Some(list) = lists.first() else { continue };
        for resource in list.body["resources"].as_array().unwrap() {
            let plural = resource["name"].as_str().unwrap();
            if !plural.contains('/') {
                let version = list.body["groupVersion"].as_str().unwrap().to_owned();
                let place =
                    Place { root: root.clone(), plural: plural.to_owned(), namespaced: resource["namespaced"] == true };
                places.insert((version, resource["kind"].as_str().unwrap().to_owned()), place);
            }
        }
    }
    places
}

/// What a definition brings.
fn defined(definition: &Json) -> Vec<((String, String), Place)> {
    let spec = &definition["spec"];
    let served = spec["versions"].as_array().into_iter().flatten().filter(|version| version["served"] == true);
    let places = served.map(|version| {
        let api_version = format!("{}/{}", spec["group"].as_str().unwrap(), version["name"].as_str().unwrap());
        let place = Place {
            root: format!("/apis/{api_version}"),
            plural: spec["names"]["plural"].as_str().unwrap().to_owned(),
            namespaced: spec["scope"] == "Namespaced",
        };
        ((api_version, spec["names"]["kind"].as_str().unwrap().to_owned()), place)
    });
    places.collect()
}

fn script(name: String, steps: Vec<Step>) -> Script {
    Script { name, controllers: false, is_made_up: false, names: Names::new(), steps }
}

/// Whether of an object only the codes are compared.
fn differs_in_a_known_way(object: &Json) -> bool {
    // No pod gets a volume with the token of its account.
    let with_token = object["kind"] == "Pod" && object["spec"]["serviceAccountName"].is_string();
    with_token || JUDGED.iter().any(|kind| object["kind"] == *kind)
}

/// Applies all of a case, applies it again, and deletes it. Says how many objects that were.
fn steps(case: &Case, places: &mut Places) -> (Vec<Step>, usize) {
    let any = || Some(json!("any"));
    let is_definition = |object: &&Json| object["kind"] == DEFINITION;
    let mut steps = Vec::new();
    for definition in case.objects.iter().filter(is_definition) {
        let place = places[&key(definition)].clone();
        let apply = Some(format!("{}?fieldManager=manifests&force=true", place.of(definition)));
        // When it is established is a known difference; that it is so in the end is not.
        steps.push(Step { apply, body: Some(definition.clone()), expect: any(), loosely: true, ..Step::default() });
        for (kind, place) in defined(definition) {
            let until = Some(Names::from([("code".to_owned(), json!(200))]));
            let get = Some(format!("{}/{}", place.root, place.plural));
            steps.push(Step { get, until, loosely: true, ..Step::default() });
            places.insert(kind, place);
        }
        // Whether a group of Kubernetes' own was approved is said a moment later, too.
        let loosely = definition["metadata"]["annotations"]["api-approved.kubernetes.io"].is_string();
        let until = Some(Names::from([("status.conditions.1.status".to_owned(), json!("True"))]));
        steps.push(Step { get: Some(place.of(definition)), until, loosely, ..Step::default() });
    }
    let mut applied: Vec<(&Json, Place)> = case
        .objects
        .iter()
        .filter(|object| !is_definition(object))
        .filter_map(|object| Some((object, places.get(&key(object))?.clone())))
        .collect();
    // Whether their accounts are there is a known difference, and is so in the order in which tools apply.
    applied.sort_by_key(|(object, _)| object["kind"] == "Pod");
    for again in [false, true] {
        for (object, place) in &applied {
            let apply = Some(format!("{}?fieldManager=manifests&force=true", place.of(object)));
            let loosely = differs_in_a_known_way(object) || again && is_stored_anew(object);
            steps.push(Step { apply, body: Some((*object).clone()), expect: any(), loosely, ..Step::default() });
        }
    }
    for (object, place) in applied.iter().rev().filter(|(object, _)| object["kind"] != "Namespace") {
        let body = Some(json!({"propagationPolicy": "Background"}));
        let loosely = differs_in_a_known_way(object);
        steps.push(Step { delete: Some(place.of(object)), body, expect: any(), loosely, ..Step::default() });
    }
    (steps, applied.len())
}

/// Makes the servers alike: pods of the namespace `default` need an account, and only one server has a storage class.
fn level() -> Vec<Step> {
    let account = json!({"metadata": {"name": "default"}, "automountServiceAccountToken": false});
    let class = "/apis/storage.k8s.io/v1/storageclasses/standard".to_owned();
    let steps = [
        Step {
            post: Some("/api/v1/namespaces/default/serviceaccounts".to_owned()),
            body: Some(account),
            ..Step::default()
        },
        Step { delete: Some(class), ..Step::default() },
    ];
    let any = || Some(json!("any"));
    steps.into_iter().map(|step| Step { expect: any(), loosely: true, ..step }).collect()
}

/// Whether an object is a name only. Who applies it owns nothing, which kube-apiserver notes anew each time.
fn says_nothing(object: &Json) -> bool {
    let only =
        |value: &Json, known: &[&str]| value.as_object().unwrap().keys().all(|key| known.contains(&key.as_str()));
    only(object, &["apiVersion", "kind", "metadata"]) && only(&object["metadata"], &["name", "namespace"])
}

/// The namespaces that a case speaks of.
fn namespaces(case: &Case) -> impl Iterator<Item = String> {
    case.objects.iter().filter_map(|object| {
        let name =
            if object["kind"] == "Namespace" { &object["metadata"]["name"] } else { &object["metadata"]["namespace"] };
        name.as_str().map(str::to_owned)
    })
}

#[test]
fn what_people_deploy_is_taken_as_kube_apiserver_takes_it() {
    let wanted = std::env::var("SOLL_SCRIPTS").unwrap_or_default();
    let rules = Rules::read();
    let cases: Vec<Case> = cases().into_iter().filter(|case| case.name.contains(&wanted)).collect();
    let (mut wrong, mut objects, mut refused, mut moved) = (Vec::new(), 0, Vec::new(), Vec::new());
    runtime().block_on(async {
        let pair = Pair::start(false).await;
        let needed: BTreeSet<String> = cases.iter().flat_map(namespaces).collect();
        for namespace in needed.iter().filter(|namespace| !GIVEN.contains(&namespace.as_str())) {
            pair.prepare(namespace, false).await;
        }
        // The answers differ, for it is what differs that is mended here.
        drop(pair.run(&script("grounds".to_owned(), level()), &rules).await);
        let mut places = discover(&pair, &rules).await;
        for case in &cases {
            let (steps, count) = steps(case, &mut places);
            objects += count;
            let outcome = pair.run(&script(case.name.clone(), steps.clone()), &rules).await;
            if let Some(what) = outcome.wrong {
                wrong.push(format!("{}\n{what}", case.name));
                continue;
            }
            // The servers agree; so what holds of the real one holds of ours.
            let seen = steps.iter().zip(&outcome.seen);
            let is_applied = |step: &Step| step.body.as_ref().is_some_and(|body| body["kind"] != DEFINITION);
            let applies: Vec<_> = seen.filter(|(step, _)| step.apply.is_some() && is_applied(step)).collect();
            let (first, again) = applies.split_at(applies.len() / 2);
            // What stands twice in a case changes back and forth.
            let stands_once =
                |path: &str| first.iter().filter(|(step, _)| step.apply.as_deref() == Some(path)).count() == 1;
            for ((_, first), (step, again)) in first.iter().zip(again).filter(|(_, (step, _))| !step.loosely) {
                let path = step.apply.as_deref().unwrap_or_default();
                if first.code >= 300 {
                    refused.push(format!("{}: {path}: {} {}", case.name, first.code, first.body["message"]));
                } else if first.body["metadata"]["resourceVersion"] != again.body["metadata"]["resourceVersion"]
                    && stands_once(path)
                    && !says_nothing(step.body.as_ref().unwrap())
                {
                    moved.push(format!("{}: {path}", case.name));
                }
            }
        }
    });
    eprintln!("{} charts and overlays, {objects} objects; both servers refuse {}", cases.len(), refused.len());
    refused.iter().for_each(|one| eprintln!("  {one}"));
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert!(moved.is_empty(), "these change when they are applied again: {moved:#?}");
}
