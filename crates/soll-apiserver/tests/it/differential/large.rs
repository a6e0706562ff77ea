//! What both servers say of objects that are too large to be stored.

use serde_json::{Value as Json, json};

use super::known::Rules;
use super::script::{Names, Script, Step};
use super::{Pair, runtime};

const MAPS: &str = "/api/v1/namespaces/large/configmaps";
const SECRETS: &str = "/api/v1/namespaces/large/secrets";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/large/deployments";

fn deployment(bytes: usize) -> Json {
    let variable = json!({"name": "A", "value": "x".repeat(bytes)});
    json!({
        "metadata": {"name": "d"},
        "spec": {
            "selector": {"matchLabels": {"app": "a"}},
            "template": {
                "metadata": {"labels": {"app": "a"}},
                "spec": {"containers": [{"name": "c", "image": "i:1", "env": [variable]}]},
            },
        },
    })
}

#[test]
fn what_is_too_large_is_refused_as_kube_apiserver_refuses_it() {
    let any = || Some(json!("any"));
    let post = |path: &str, body: Json| Step {
        post: Some(path.to_owned()),
        body: Some(body),
        expect: any(),
        ..Step::default()
    };
    let named = |field: &str, value: Json| {
        let mut body = json!({"metadata": {"name": "a"}});
        body[field] = value;
        body
    };
    let change = Step {
        put: Some(format!("{DEPLOYMENTS}/d")),
        body: Some(deployment(1_700_000)),
        expect: any(),
        ..Step::default()
    };
    let letters = |count: usize| "x".repeat(count);
    let steps = vec![
        post(MAPS, named("data", json!({"a": letters(600_000), "b": letters(448_577)}))),
        post(MAPS, named("data", json!({"a": letters(600_000), "b": letters(448_574)}))),
        post(SECRETS, named("stringData", json!({"a": letters(1_048_577)}))),
        post(DEPLOYMENTS, deployment(1_700_000)),
        post(DEPLOYMENTS, deployment(1_000_000)),
        change,
    ];
    let names = Names::from([("ns".to_owned(), json!("large"))]);
    let script = Script { name: "large".to_owned(), controllers: false, is_made_up: false, names, steps };
    let outcome = runtime().block_on(async {
        let pair = Pair::start(false).await;
        pair.compare(&script, &Rules::read()).await
    });
    let codes: Vec<u16> = outcome.seen.iter().map(|seen| seen.code).collect();
    assert_eq!(outcome.wrong, None, "{codes:?}");
    assert_eq!(codes, [422, 201, 422, 500, 201, 500]);
}
