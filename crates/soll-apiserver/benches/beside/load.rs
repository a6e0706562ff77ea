//! What is asked of a server, and how long it takes.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value as Json, json};
use tokio::task::JoinSet;

use super::side::Side;

/// Connections, and requests on all of them at the same time.
const CONNECTIONS: usize = 8;
const AT_ONCE: usize = 32;
/// What an object holds.
const BYTES: usize = 200;

/// Requests to one server, about objects of one namespace.
pub(crate) struct Load<'s> {
    pub(crate) side: &'s Side,
    pub(crate) namespace: &'static str,
}

/// So much was done in this time, with this much of the processors.
pub(crate) struct Measured {
    done: usize,
    took: Duration,
    pub(crate) cpu: Duration,
}

impl Measured {
    pub(crate) fn per_second(&self) -> f64 {
        self.done as f64 / self.took.as_secs_f64()
    }

    pub(crate) fn per_cpu_second(&self) -> f64 {
        // Less than a tick is a tick.
        self.done as f64 / self.cpu.as_secs_f64().max(0.01)
    }
}

fn object(name: &str, round: usize) -> Json {
    let text = format!("{round:0>BYTES$}");
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"text": text}})
}

fn with_json(request: RequestBuilder, body: &Json) -> RequestBuilder {
    request.header("content-type", "application/json").body(body.to_string())
}

async fn checked(request: RequestBuilder) -> Response {
    let response = request.send().await.expect("an answer");
    let status = response.status();
    if !status.is_success() {
        panic!("{status}: {}", response.text().await.unwrap_or_default());
    }
    response
}

impl Load<'_> {
    fn objects(&self) -> String {
        format!("{}/api/v1/namespaces/{}/configmaps", self.side.url, self.namespace)
    }

    pub(crate) async fn make_namespace(&self) {
        let body = json!({"metadata": {"name": self.namespace}});
        let url = format!("{}/api/v1/namespaces", self.side.url);
        checked(with_json(self.side.client().post(url), &body).bearer_auth(&self.side.token)).await;
    }

    /// Sends a request for each number, and reads the answers to their ends.
    async fn drive(&self, numbers: Range<usize>, request: impl Fn(&Client, usize) -> RequestBuilder) -> Measured {
        let clients: Vec<Client> = (0..CONNECTIONS).map(|_| self.side.client()).collect();
        // Connections are made before time is taken.
        for client in &clients {
            checked(client.get(format!("{}/readyz", self.side.url)).bearer_auth(&self.side.token)).await;
        }
        let (done, cpu, start) = (numbers.len(), self.side.cpu(), Instant::now());
        let answers = stream::iter(numbers).map(|number| {
            let request = request(&clients[number % CONNECTIONS], number).bearer_auth(&self.side.token);
            async move { checked(request).await.bytes().await.expect("a whole answer") }
        });
        answers.buffer_unordered(AT_ONCE).for_each(|_| async {}).await;
        Measured { done, took: start.elapsed(), cpu: self.side.cpu() - cpu }
    }

    pub(crate) async fn creates(&self, numbers: Range<usize>) -> Measured {
        let url = self.objects();
        let create = |client: &Client, number| with_json(client.post(&url), &object(&format!("object-{number}"), 0));
        self.drive(numbers, create).await
    }

    /// Objects that came with `lists` lists of all; each server sends what it sends to clients that take no compression.
    pub(crate) async fn lists(&self, lists: usize, listed: usize) -> Measured {
        let url = self.objects();
        let plain = |client: &Client, _| client.get(&url).header("accept-encoding", "identity");
        let measured = self.drive(0..lists, plain).await;
        Measured { done: lists * listed, ..measured }
    }

    /// Each changes an object that is there.
    pub(crate) async fn applies(&self, count: usize) -> Measured {
        let url = self.objects();
        let apply = |client: &Client, number| {
            let name = format!("object-{number}");
            let request = client.patch(format!("{url}/{name}?fieldManager=bench&force=true"));
            request.header("content-type", "application/apply-patch+yaml").body(object(&name, 1).to_string())
        };
        self.drive(0..count, apply).await
    }

    /// Events that came to so many watchers of an object that changes.
    pub(crate) async fn fan_out(&self, watchers: usize, changes: usize) -> Measured {
        let list: Json = {
            let request = self.side.client().get(self.objects()).bearer_auth(&self.side.token);
            let bytes = checked(request).await.bytes().await.expect("a whole answer");
            serde_json::from_slice(&bytes).expect("JSON")
        };
        let version = list["metadata"]["resourceVersion"].as_str().expect("a list has a version").to_owned();
        let clients: Vec<Client> = (0..CONNECTIONS).map(|_| self.side.client()).collect();
        let url = format!("{}?watch=1&resourceVersion={version}", self.objects());
        let told = Arc::new(AtomicUsize::new(0));
        let mut watching = JoinSet::new();
        for number in 0..watchers {
            let request = clients[number % CONNECTIONS].get(&url).bearer_auth(&self.side.token);
            let mut response = checked(request).await;
            let told = told.clone();
            watching.spawn(async move {
                // One event is a line, and one for each write is expected.
                let mut events = 0;
                while events < changes {
                    let chunk = response.chunk().await.expect("the watch goes on").expect("it does not end");
                    let lines = chunk.iter().filter(|byte| **byte == b'\n').count();
                    events += lines;
                    told.fetch_add(lines, Ordering::Relaxed);
                }
            });
        }
        let (cpu, start) = (self.side.cpu(), Instant::now());
        self.creates(0..changes).await;
        while watching.join_next().await.transpose().expect("no watcher fails").is_some() {}
        let took = start.elapsed();
        assert_eq!(told.load(Ordering::Relaxed), watchers * changes, "each watcher is told of each write");
        Measured { done: watchers * changes, took, cpu: self.side.cpu() - cpu }
    }
}
