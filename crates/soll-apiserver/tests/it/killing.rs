//! A server that keeps its store is killed while it is written to and watched: what it answered is there when it comes back.

#![allow(clippy::unwrap_used)]
#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test says what it tried, and its server where it listens"
)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use futures::future::join_all;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Certificate, Client, Response, StatusCode};
use serde_json::{Value as Json, json};
use soll_apiserver::store::{Keeping, Promise};
use soll_apiserver::{Server, ServerOptions};
use soll_compare::{Asked, Random};
use tokio::sync::watch;

/// Where the server that is killed keeps its store, in its environment.
const HOME: &str = "SOLL_KEEPING_HOME";
/// The name of the directory of a store that promises the most.
const DISK: &str = "disk";

/// Serves until it is killed. No test by itself: the one below starts it in a process of its own.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "started by the test that kills it"]
async fn the_server_that_is_killed() {
    let Ok(home) = std::env::var(HOME) else { return };
    let home = Path::new(&home);
    let promise = if home.ends_with(DISK) { Promise::Disk } else { Promise::Process };
    let keeping = Keeping { promise, snapshot_after: 256 * 1024, ..Keeping::new(home) };
    let server = Server::new(&ServerOptions { keeping: Some(keeping), ..ServerOptions::default() }).unwrap();
    let running = server.serve(([127, 0, 0, 1], 0).into()).await.unwrap();
    running.write_kubeconfig(&home.join("kubeconfig")).unwrap();
    let cut = server.recovery().unwrap().cut.unwrap_or(0);
    println!("\nserving {} {cut}", running.url());
    running.closed().await;
}

struct Victim {
    client: Client,
    maps: String,
    /// Bytes that were cut off the log.
    cut: usize,
}

impl Victim {
    fn start(home: &Path) -> (Child, Self) {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "killing::the_server_that_is_killed", "--ignored", "--nocapture"]);
        let mut process = command.env(HOME, home).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = lines.find_map(|line| Some(line.unwrap().strip_prefix("serving ")?.to_owned())).expect("it serves");
        let (url, cut) = line.split_once(' ').unwrap();
        let victim = Self {
            client: client(&std::fs::read_to_string(home.join("kubeconfig")).unwrap()),
            maps: format!("{url}/api/v1/namespaces/default/configmaps"),
            cut: cut.parse().unwrap(),
        };
        (process, victim)
    }

    async fn get(&self, name: &str) -> Response {
        self.client.get(format!("{}/{name}", self.maps)).send().await.unwrap()
    }

    async fn revision(&self) -> u64 {
        revision(&json_of(self.client.get(&self.maps).send().await.unwrap()).await.unwrap())
    }
}

/// As sudden as it gets: SIGKILL.
fn kill(mut process: Child) {
    process.kill().unwrap();
    process.wait().unwrap();
}

fn client(kubeconfig: &str) -> Client {
    use base64::Engine as _;
    let value = |key: &str| kubeconfig.split_once(&format!("{key}: ")).unwrap().1.lines().next().unwrap();
    let certificate = base64::engine::general_purpose::STANDARD.decode(value("certificate-authority-data")).unwrap();
    let bearer = format!("Bearer {}", value("token")).parse().unwrap();
    let json = HeaderValue::from_static("application/json");
    let headers = [(AUTHORIZATION, bearer), (CONTENT_TYPE, json)].into_iter().collect();
    let client = Client::builder().add_root_certificate(Certificate::from_pem(&certificate).unwrap());
    client.no_proxy().default_headers(headers).build().unwrap()
}

async fn json_of(response: Response) -> reqwest::Result<Json> {
    Ok(serde_json::from_slice(&response.bytes().await?).unwrap())
}

fn revision(object: &Json) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

/// Objects as they were answered last; nothing for those that were deleted. One that was not answered may be as before or
/// after, and is not among them.
type Known = BTreeMap<String, Option<Json>>;

/// Writes one object after the other until the server is gone.
async fn write(victim: &Victim, writer: String, answered: &watch::Sender<usize>) -> Known {
    let mut known = Known::new();
    for number in 0_u64.. {
        // Every second object stays.
        if number % 6 == 5 {
            continue;
        }
        let name = format!("{writer}-{}", number / 3);
        let place = format!("{}/{name}", victim.maps);
        let map = |text: &str| json!({"metadata": {"name": name}, "data": {"k": text.repeat(50)}});
        let request = match number % 3 {
            0 => victim.client.post(&victim.maps).body(map("a").to_string()),
            1 => victim.client.put(&place).body(map("b").to_string()),
            _ => victim.client.delete(&place),
        };
        let answer = match request.send().await {
            Ok(answer) => json_of(answer.error_for_status().expect("every write is taken")).await,
            Err(error) => Err(error),
        };
        let Ok(object) = answer else {
            known.remove(&name);
            break;
        };
        known.insert(name, (number % 3 != 2).then_some(object));
        answered.send_modify(|count| *count += 1);
    }
    known
}

/// The events of a watch from a revision on, until the server is gone or an event is the last that is wanted.
async fn events(victim: &Victim, from: u64, is_last: impl Fn(&Json) -> bool) -> Vec<Json> {
    let (mut events, mut rest) = (Vec::new(), Vec::new());
    let url = format!("{}?watch=true&resourceVersion={from}", victim.maps);
    let Ok(mut response) = victim.client.get(url).send().await else { return events };
    while let Ok(Some(chunk)) = response.chunk().await {
        rest.extend_from_slice(&chunk);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let event: Json = serde_json::from_slice(&rest.drain(..=end).collect::<Vec<u8>>()).unwrap();
            events.push(event);
            if is_last(events.last().unwrap()) {
                return events;
            }
        }
    }
    events
}

/// What came of it.
#[derive(Debug, Default)]
struct Tally {
    kills: u64,
    answered: usize,
    cut: usize,
    resumed: usize,
    expired: usize,
}

/// Kills a server so many times.
async fn rounds(home: &Path, count: u64, random: &mut Random, tally: &mut Tally) {
    const WRITERS: usize = 6;
    let (mut known, mut seen) = (Vec::<Known>::new(), None);
    for round in 0..=count {
        let (process, victim) = Victim::start(home);
        tally.cut += usize::from(victim.cut > 0);
        for (name, object) in known.iter().flatten() {
            let found = victim.get(name).await;
            match object {
                None => assert_eq!(found.status(), StatusCode::NOT_FOUND, "{name} was deleted"),
                Some(object) => assert_eq!(&json_of(found).await.unwrap(), object, "{name} is as it was answered"),
            }
        }
        if let Some(seen) = seen {
            resume(&victim, seen, tally).await;
        }
        if round == count {
            return kill(process);
        }
        let now = victim.revision().await;
        let (answered, enough) = (watch::Sender::new(0), 1 + random.below(300));
        let mut answers = answered.subscribe();
        let killing = async {
            answers.wait_for(|count| *count >= enough).await.unwrap();
            kill(process);
        };
        let writers = (0..WRITERS).map(|writer| write(&victim, format!("w{round}-{writer}"), &answered));
        let (writing, watching, ()) = tokio::join!(join_all(writers), events(&victim, now, |_| false), killing);
        known = writing;
        seen = Some(watching.last().map_or(now, |event| revision(&event["object"])));
        tally.kills += 1;
        tally.answered += known.iter().map(BTreeMap::len).sum::<usize>();
    }
}

/// A watch goes on after what it saw in the last round, or is told that it cannot.
async fn resume(victim: &Victim, seen: u64, tally: &mut Tally) {
    let list = json_of(victim.client.get(&victim.maps).send().await.unwrap()).await.unwrap();
    let newer: Vec<&Json> = list["items"].as_array().unwrap().iter().filter(|item| revision(item) > seen).collect();
    let mark = json!({"metadata": {"name": format!("mark-{seen}-{}", tally.kills)}});
    let made = victim.client.post(&victim.maps).body(mark.to_string()).send().await.unwrap();
    assert_eq!(made.status(), StatusCode::CREATED);
    let name = &mark["metadata"]["name"];
    let is_last = |event: &Json| event["type"] == "ERROR" || &event["object"]["metadata"]["name"] == name;
    let events = events(victim, seen, is_last).await;
    let last = events.last().expect("the watch told something");
    if last["type"] == "ERROR" {
        assert_eq!(last["object"]["code"], 410);
        tally.expired += 1;
        return;
    }
    for object in newer {
        let mut told = object.clone();
        (told["kind"], told["apiVersion"]) = ("ConfigMap".into(), "v1".into());
        assert!(events.iter().any(|event| event["object"] == told), "the watch from {seen} did not tell of {object}");
    }
    tally.resumed += 1;
}

/// `SOLL_DIFFERENTIAL_CASES` says how often.
#[tokio::test(flavor = "multi_thread")]
async fn no_answered_write_is_lost_when_the_process_is_killed() {
    let Asked { cases, seed, .. } = Asked::or_sample(6);
    let (mut random, mut tally) = (Random::new(seed), Tally::default());
    let directory = tempfile::tempdir().unwrap();
    rounds(&directory.path().join("process"), cases - cases / 2, &mut random, &mut tally).await;
    rounds(&directory.path().join(DISK), cases / 2, &mut random, &mut tally).await;
    eprintln!("{tally:?}");
    assert!(tally.answered > 0 && tally.resumed + tally.expired > 0, "{tally:?}");
}
