//! Writes that nobody has thought of: sequences of applies, patches and updates on one object, made by a seed, answered by
//! both servers.
//!
//! `fuzz.yaml` has what they are made of. A sequence that differs is shrunk and shown. `SOLL_DIFFERENTIAL_CASES` and
//! `SOLL_DIFFERENTIAL_SEED` ask for more and for others, as `cargo xtask differential apiserver` does.

use std::collections::BTreeMap;
use std::path::Path;

use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::known::Rules;
use super::script::{Names, Script, Step, read_yaml};
use super::side::NO_ANSWER;
use super::{Pair, runtime};
use soll_compare::{Asked, Random};

/// Sequences of a run that does not say how many.
const SAMPLE: u64 = 60;
const LONGEST: usize = 24;
const AT_ONCE: usize = 8;
/// Attempts to make a sequence smaller.
const FUEL: usize = 200;
/// Runs of a sequence that must all differ. Times are whole seconds, and the order of managers depends on them: two writes that
/// one server sees in the same second may lie in two for the other.
const AGAIN: usize = 3;
/// Differences that are shown before a run ends.
const MOST: usize = 5;

/// What items of lists are known by, and objects; without it they are nobody's.
const KNOWN_BY: [&str; 5] = ["apiVersion", "kind", "name", "port", "containerPort"];

/// What writes to a kind are made of.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kind {
    url: String,
    base: Json,
    parts: Vec<Json>,
    /// What defines it, if Kubernetes does not.
    definition: Option<Json>,
    /// The same kind in another version, through which every other move goes.
    other: Option<Box<Kind>>,
}

impl Kind {
    /// The version through which a move goes.
    fn version(&self, twist: u64) -> &Self {
        self.other.as_deref().filter(|_| twist.is_multiple_of(2)).unwrap_or(self)
    }
}

/// One write.
#[derive(Debug, Clone)]
struct Move {
    verb: Verb,
    manager: &'static str,
    force: bool,
    dry_run: bool,
    /// Whether what every object has is part of it.
    base: bool,
    parts: Vec<usize>,
    /// Decides what is left open, so that a move stays itself when others are taken away.
    twist: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Apply,
    Create,
    Update,
    Merge,
    Json,
    Strategic,
    Delete,
}

#[derive(Debug, Clone)]
struct Case {
    seed: u64,
    kind: usize,
    moves: Vec<Move>,
}

impl Case {
    fn new(seed: u64, kinds: &[Kind]) -> Self {
        use Verb::{Apply, Create, Delete, Json, Merge, Strategic, Update};
        let mut random = Random::new(seed);
        let kind = random.below(kinds.len());
        let count = 4 + random.below(LONGEST - 3);
        let moves = (0..count).map(|index| {
            let verbs = [
                Apply, Apply, Apply, Apply, Apply, Apply, Merge, Merge, Strategic, Strategic, Json, Json, Update,
                Update, Create, Delete,
            ];
            let verb = if index == 0 { random.pick(&[Apply, Create]) } else { random.pick(&verbs) };
            let parts = (0..random.below(5)).map(|_| random.below(kinds[kind].parts.len())).collect();
            Move {
                verb,
                manager: random.pick(&["one", "two", "three", "kubectl"]),
                force: random.percent(30),
                dry_run: random.percent(5),
                base: index == 0 || random.percent(60),
                parts,
                twist: random.next(),
            }
        });
        Self { seed, kind, moves: moves.collect() }
    }

    /// The requests; `attempt` keeps the objects of several runs of a case apart.
    fn script(&self, kinds: &[Kind], attempt: usize) -> Script {
        let kind = &kinds[self.kind];
        let name = format!("f{}-{attempt}", self.seed);
        let steps = self.moves.iter().map(|one| one.step(kind, &name)).collect();
        let names = Names::from([("ns".to_owned(), json!("fuzz"))]);
        Script { name: format!("seed {}", self.seed), controllers: false, is_made_up: true, names, steps }
    }
}

impl Move {
    fn step(&self, kind: &Kind, name: &str) -> Step {
        let mut random = Random::new(self.twist);
        let kind = kind.version(self.twist);
        let dry_run = if self.dry_run { "&dryRun=All" } else { "" };
        let force = if self.force && self.verb == Verb::Apply { "&force=true" } else { "" };
        let path = format!("{}/{name}?fieldManager={}{dry_run}{force}", kind.url, self.manager);
        let mut body = if self.base { kind.base.clone() } else { json!({}) };
        for part in &self.parts {
            join(&mut body, &kind.parts[*part % kind.parts.len()]);
        }
        let mut step = Step { expect: Some(json!("any")), ..Step::default() };
        match self.verb {
            Verb::Apply | Verb::Update | Verb::Create => {
                for field in ["apiVersion", "kind"] {
                    body[field] = kind.base[field].clone();
                }
                body["metadata"]["name"] = name.into();
                match self.verb {
                    Verb::Apply => step.apply = Some(path),
                    Verb::Update => step.put = Some(path),
                    _ => step.post = Some(path.replacen(&format!("/{name}?"), "?", 1)),
                }
            }
            Verb::Merge => {
                if random.percent(40) {
                    remove_something(&mut body, &mut random, &Json::Null);
                }
                step.merge = Some(path);
            }
            Verb::Strategic => {
                match random.below(6) {
                    0 => remove_something(&mut body, &mut random, &Json::Null),
                    1 => remove_something(&mut body, &mut random, &json!({"$patch": "delete"})),
                    2 => remove_something(&mut body, &mut random, &json!({"$patch": "replace"})),
                    _ => {}
                }
                step.strategic = Some(path);
            }
            Verb::Json => {
                body = operations(&body, &mut random);
                step.json = Some(path);
            }
            Verb::Delete => {
                step.delete = Some(path);
                body = json!({"propagationPolicy": "Background"});
            }
        }
        step.body = Some(body);
        step
    }
}

/// Puts the entries of one value into another; items of lists with equal names become one.
fn join(into: &mut Json, from: &Json) {
    match (into, from) {
        (Json::Object(into), Json::Object(from)) => {
            for (key, value) in from {
                match into.get_mut(key) {
                    Some(held) => join(held, value),
                    None => drop(into.insert(key.clone(), value.clone())),
                }
            }
        }
        (Json::Array(into), Json::Array(from)) => {
            for item in from {
                let same = into.iter().position(|held| {
                    let keys = ["name", "port", "containerPort"];
                    held == item || keys.iter().any(|key| !item[*key].is_null() && held[*key] == item[*key])
                });
                match same {
                    Some(position) => join(&mut into[position], item),
                    None => into.push(item.clone()),
                }
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// Puts a value in the place of some part.
fn remove_something(body: &mut Json, random: &mut Random, by: &Json) {
    let Json::Object(map) = body else { return };
    let spared: &[&str] = if random.percent(10) { &KNOWN_BY[..2] } else { &KNOWN_BY };
    let keys: Vec<String> = map.keys().filter(|key| !spared.contains(&key.as_str())).cloned().collect();
    if keys.is_empty() {
        return;
    }
    let value = &mut map[&keys[random.below(keys.len())]];
    let deeper = match value {
        Json::Object(map) => !map.is_empty(),
        Json::Array(items) => items.first().is_some_and(Json::is_object),
        _ => false,
    };
    if !deeper || random.percent(25) {
        *value = by.clone();
    } else if let Json::Array(items) = value {
        remove_something(&mut items[0], random, by);
    } else {
        remove_something(value, random, by);
    }
}

/// Operations of a JSON patch on what a body has.
fn operations(body: &Json, random: &mut Random) -> Json {
    let mut operations = Vec::new();
    for _ in 0..=random.below(3) {
        let (mut path, mut value) = (String::new(), body);
        loop {
            match value {
                Json::Object(map) if !map.is_empty() && (path.is_empty() || random.percent(80)) => {
                    let (key, below) = map.iter().nth(random.below(map.len())).unwrap();
                    if KNOWN_BY.contains(&key.as_str()) {
                        break;
                    }
                    path.push('/');
                    path.push_str(&key.replace('~', "~0").replace('/', "~1"));
                    value = below;
                }
                Json::Array(items) if !items.is_empty() && random.percent(80) => {
                    let index = random.below(items.len());
                    path.push_str(&format!("/{index}"));
                    value = &items[index];
                }
                _ => break,
            }
        }
        if !path.is_empty() {
            operations.push(match random.below(4) {
                0 => json!({"op": "remove", "path": path}),
                1 => json!({"op": "replace", "path": path, "value": value}),
                _ => json!({"op": "add", "path": path, "value": value}),
            });
        }
    }
    operations.into()
}

/// Says whether a case differs whenever it runs.
async fn stays(case: &Case, kinds: &[Kind], pair: &Pair, rules: &Rules) -> bool {
    for attempt in 0..AGAIN {
        if differs(case, kinds, FUEL + 1 + attempt, pair, rules).await.is_none() {
            return false;
        }
    }
    true
}

/// The case without what is not needed for it to differ.
async fn shrunk(case: Case, kinds: &[Kind], pair: &Pair, rules: &Rules) -> (Case, String) {
    let mut attempt = 1;
    let mut best = case;
    let mut what = differs(&best, kinds, attempt, pair, rules).await.unwrap_or_else(|| "differs no more".to_owned());
    let mut place = 0;
    while place < size(&best) && attempt < FUEL {
        attempt += 1;
        let Some(smaller) = without(&best, place) else { break };
        // A move that had no base loses nothing.
        if size(&smaller) == size(&best)
            && smaller.moves.iter().zip(&best.moves).all(|(one, other)| one.base == other.base)
        {
            place += 1;
            continue;
        }
        match differs(&smaller, kinds, attempt, pair, rules).await {
            Some(why) => (best, what) = (smaller, why),
            None => place += 1,
        }
    }
    (best, what)
}

/// What can be taken away: moves, and parts of moves.
fn size(case: &Case) -> usize {
    case.moves.iter().map(|one| 2 + one.parts.len()).sum()
}

fn without(case: &Case, mut place: usize) -> Option<Case> {
    let mut smaller = case.clone();
    for (index, one) in case.moves.iter().enumerate() {
        match place {
            0 => drop(smaller.moves.remove(index)),
            1 => smaller.moves[index].base = false,
            _ if place < 2 + one.parts.len() => drop(smaller.moves[index].parts.remove(place - 2)),
            _ => {
                place -= 2 + one.parts.len();
                continue;
            }
        }
        return Some(smaller);
    }
    None
}

async fn differs(case: &Case, kinds: &[Kind], attempt: usize, pair: &Pair, rules: &Rules) -> Option<String> {
    let wrong = pair.run(&case.script(kinds, attempt), rules).await.wrong;
    wrong.filter(|what| !is_broken_off(what))
}

/// Some patches make kube-apiserver panic; what would be right cannot be known then.
fn is_broken_off(what: &str) -> bool {
    what.contains("kube-apiserver: ") && what.contains(NO_ANSWER)
}

#[test]
fn made_up_writes_are_answered_as_kube_apiserver_answers_them() {
    let Asked { cases, seed, .. } = Asked::or_sample(SAMPLE);
    let kinds: Vec<Kind> = read_yaml(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/differential/fuzz.yaml"));
    let rules = Rules::read();
    let (mut broken_off, mut accepted_more, mut passing) = (0, 0, Vec::new());
    let (mut steps, mut classes, mut wrong) = (0_usize, BTreeMap::<u16, usize>::new(), Vec::new());
    runtime().block_on(async {
        let pair = Pair::start(false).await;
        pair.prepare("fuzz", false).await;
        for kind in &kinds {
            define(kind, &pair, &rules).await;
        }
        let outcomes = stream::iter(seed..seed + cases).map(|seed| {
            let case = Case::new(seed, &kinds);
            let (pair, rules, kinds) = (&pair, &rules, &kinds);
            async move { (pair.run(&case.script(kinds, 0), rules).await, case) }
        });
        let mut outcomes = outcomes.buffered(AT_ONCE);
        while let Some((outcome, case)) = outcomes.next().await {
            steps += outcome.seen.len();
            accepted_more += usize::from(outcome.accepted_more);
            for seen in &outcome.seen {
                *classes.entry(seen.code).or_default() += 1;
            }
            if outcome.wrong.as_deref().is_some_and(is_broken_off) {
                broken_off += 1;
            } else if outcome.wrong.is_some() {
                if !stays(&case, &kinds, &pair, &rules).await {
                    passing.push(case.seed);
                    continue;
                }
                let (case, what) = shrunk(case, &kinds, &pair, &rules).await;
                let script = case.script(&kinds, 0);
                let sent: Vec<String> = script.steps.iter().map(shown).collect();
                wrong.push(format!("seed {}\n  {}\n{what}", case.seed, sent.join("\n  ")));
                if wrong.len() >= MOST {
                    break;
                }
            }
        }
    });
    eprintln!(
        "{steps} steps over {} kinds, by code: {classes:?}; kube-apiserver broke off {broken_off}, {accepted_more} ended where we \
         accept more, differed once and not again: {passing:?}",
        kinds.len()
    );
    assert!(passing.len() as u64 <= 2 + cases / 200, "too many differ once and not again: {passing:?}");
    assert!(wrong.is_empty(), "{} sequences differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Defines a kind on both servers, and waits until it is served.
async fn define(kind: &Kind, pair: &Pair, rules: &Rules) {
    let Some(definition) = &kind.definition else { return };
    let make = Step {
        post: Some("/apis/apiextensions.k8s.io/v1/customresourcedefinitions".to_owned()),
        body: Some(definition.clone()),
        loosely: true,
        ..Step::default()
    };
    let until = Some(Names::from([("code".to_owned(), json!(200))]));
    let wait = Step { get: Some(kind.url.clone()), loosely: true, until, ..Step::default() };
    let script = Script {
        name: "a definition".to_owned(),
        controllers: false,
        is_made_up: true,
        names: Names::new(),
        steps: vec![make, wait],
    };
    assert_eq!(pair.run(&script, rules).await.wrong, None);
}

fn shown(step: &Step) -> String {
    let request = step.request().expect("every move is a request");
    format!("{} {} {}", request.verb, request.path, step.body.as_ref().unwrap_or(&Json::Null))
}
