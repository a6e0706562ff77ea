//! What both servers say of a past that they have forgotten: pages, lists and watches from before it.

use serde_json::json;
use soll_apiserver::store::Limits;

use super::normal::{Normaliser, differences};
use super::runtime;
use super::script::{Names, Script, Step};
use super::side::{Seen, Side};

const MAPS: &str = "/api/v1/namespaces/forgotten/configmaps";

fn script(names: Names, steps: Vec<Step>) -> Script {
    Script { name: "forgotten".to_owned(), controllers: false, is_made_up: false, names, steps }
}

fn get(path: String) -> Step {
    Step { get: Some(path), ..Step::default() }
}

/// Makes a past, has it forgotten, and asks for it.
async fn asked(mut side: Side) -> Vec<Seen> {
    side.prepare("forgotten", false).await;
    let make = |name: &str| Step {
        post: Some(MAPS.to_owned()),
        body: Some(json!({"metadata": {"name": name}})),
        ..Step::default()
    };
    let change = |round: usize| Step {
        merge: Some(format!("{MAPS}/a")),
        body: Some(json!({"data": {"round": round.to_string()}})),
        ..Step::default()
    };
    let mut steps: Vec<Step> = ["a", "b", "c"].iter().map(|name| make(name)).collect();
    steps.push(get(format!("{MAPS}?limit=1")));
    steps.extend((0..9).map(change));
    steps.push(get(MAPS.to_owned()));
    let seen = side.run(&script(Names::new(), steps)).await.unwrap();
    let text = |seen: &Seen, field: &str| seen.body["metadata"][field].as_str().unwrap().to_owned();
    let (first, more) = (text(&seen[0], "resourceVersion"), text(&seen[3], "continue"));
    let now = text(seen.last().unwrap(), "resourceVersion");
    side.forget(&now).await;

    let mut steps = vec![
        get(format!("{MAPS}?limit=1&continue=$more")),
        get(format!("{MAPS}?resourceVersion=$first&resourceVersionMatch=Exact")),
        get(format!("{MAPS}?resourceVersion=$first&limit=1")),
        get(format!("{MAPS}?resourceVersion=$first&resourceVersionMatch=NotOlderThan")),
    ];
    steps.push(Step { watch: Some("w".to_owned()), ..get(format!("{MAPS}?watch=1&resourceVersion=$first")) });
    steps.push(Step { collect: Some("w".to_owned()), end: true, ..Step::default() });
    // The answer to the page tells how to go on without consistency.
    let rest = Step { capture: [("rest".to_owned(), "metadata.continue".to_owned())].into(), ..steps[0].clone() };
    steps.push(rest);
    steps.push(get(format!("{MAPS}?limit=5&continue=$rest")));
    let names = Names::from([("first".to_owned(), first.into()), ("more".to_owned(), more.into())]);
    side.run(&script(names, steps)).await.unwrap()
}

#[test]
fn what_is_forgotten_is_said_to_be_as_kube_apiserver_says_it() {
    let limits = Limits { changes: 4, ..Limits::default() };
    let (real, ours) = runtime()
        .block_on(async { (asked(Side::real(false).await).await, asked(Side::embedded(false, limits).await).await) });
    let codes: Vec<u16> = real.iter().map(|seen| seen.code).collect();
    assert_eq!(codes, [410, 410, 410, 200, 200, 200, 410, 200], "{real:#?}");
    let mut normal = (Normaliser::new(String::new(), false, &real), Normaliser::new(String::new(), false, &ours));
    for (step, (real, ours)) in real.iter().zip(&ours).enumerate() {
        let found = differences(&normal.0.shown(real), &normal.1.shown(ours));
        assert!(found.is_empty(), "step {}: {found:#?}", step + 1);
    }
}
