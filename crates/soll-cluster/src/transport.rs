//! One request and its answer: identity, rate limit, timeout, retries, counts.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderName, HeaderValue, Response};
use http_body_util::{BodyExt, Limited};
use kube::client::Body;
use rand::Rng;
use soll_yaml::{Value, parse_json};
use tokio::time::Instant;

use crate::{ApiError, Cluster, Verb};

/// What is asked of the server.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) verb: Verb,
    /// The HTTP method; a dry run is sent as the verb that it tries.
    pub(crate) method: http::Method,
    pub(crate) path: String,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) accept: &'static str,
    pub(crate) body: Option<(&'static str, Bytes)>,
    /// Leases must be renewed however busy we are.
    pub(crate) urgent: bool,
    pub(crate) timeout: Option<Duration>,
}

/// An answer may not be larger than this; lists are asked for in pages.
const LARGEST_ANSWER: usize = 256 << 20;
/// How often a request is sent at most.
const MOST_ATTEMPTS: u32 = 8;
/// How often a request is sent at most if the server does not answer at all.
const MOST_UNANSWERED: u32 = 3;
/// A server that wants more patience than this gets it from the caller's schedule.
const LONGEST_PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const JSON: &str = "application/json";
const FLOW_CONTROL: HeaderName = HeaderName::from_static("x-kubernetes-pf-flowschema-uid");
const IMPERSONATE_USER: HeaderName = HeaderName::from_static("impersonate-user");
const IMPERSONATE_GROUP: HeaderName = HeaderName::from_static("impersonate-group");

impl Request {
    pub(crate) fn new(verb: Verb, path: impl Into<String>) -> Self {
        Self {
            verb,
            method: http::Method::from_bytes(verb.method().as_bytes()).expect("verbs have standard methods"),
            path: path.into(),
            query: Vec::new(),
            accept: JSON,
            body: None,
            urgent: false,
            timeout: None,
        }
    }

    pub(crate) fn query(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.query.push((key, value.into()));
        self
    }

    pub(crate) fn body(mut self, content_type: &'static str, value: &Value) -> Self {
        self.body = Some((content_type, Bytes::from(soll_yaml::to_json(value))));
        self
    }

    fn uri(&self) -> String {
        if self.query.is_empty() {
            return self.path.clone();
        }
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.query).finish();
        format!("{}?{query}", self.path)
    }

    /// Says whether sending it twice does the same as once, even if the first was carried out unseen.
    fn is_idempotent(&self) -> bool {
        match self.verb {
            Verb::Discover | Verb::Get | Verb::List | Verb::Watch | Verb::DryRun | Verb::Apply => true,
            Verb::Create | Verb::Update | Verb::Patch | Verb::Delete => false,
        }
    }
}

impl Cluster {
    /// Sends a request and reads the answer.
    ///
    /// # Cancel safety
    /// A write that is dropped while waiting may have been carried out.
    pub(crate) async fn exchange(&self, request: &Request) -> Result<Value, ApiError> {
        let body = self.exchange_bytes(request).await?;
        parse_json(&body)
            .map_err(|error| ApiError::Unreadable { url: self.shared.url.clone(), cause: error.to_string() })
    }

    async fn exchange_bytes(&self, request: &Request) -> Result<Bytes, ApiError> {
        let mut attempt = 1;
        loop {
            let error = match self.attempt(request).await {
                Ok(body) => return Ok(body),
                Err(error) => error,
            };
            let Some(pause) = pause_before_retry(request, &error, attempt) else { return Err(error) };
            tracing::debug!(verb = %request.verb, path = request.path, %error, attempt, "retrying");
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    async fn attempt(&self, request: &Request) -> Result<Bytes, ApiError> {
        let limit = request.timeout.unwrap_or(self.shared.timeout);
        self.await_turn(request).await;
        // As late as can be: a pass goes on for long after it began.
        if request.verb.writes() && self.fence.as_ref().is_some_and(|may_write| !may_write()) {
            return Err(ApiError::Fenced);
        }
        let answered = tokio::time::timeout(limit, async {
            let response = self.send(request).await?;
            let (parts, body) = response.into_parts();
            let body = match Limited::new(body, LARGEST_ANSWER).collect().await {
                Ok(body) => body.to_bytes(),
                Err(error) => return Err(self.unreachable(error.as_ref())),
            };
            if parts.status.is_success() {
                return Ok(body);
            }
            let mut error = ApiError::from_answer(parts.status.as_u16(), &body);
            let seconds = parts.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            if let (ApiError::Status(status), Some(seconds)) = (&mut error, seconds) {
                status.details.retry_after = Some(Duration::from_secs(seconds));
            }
            Err(error)
        })
        .await
        .unwrap_or_else(|_| Err(ApiError::TimedOut { url: self.shared.url.clone(), after: limit }));
        let code = answered.as_ref().map_or_else(ApiError::code, |_| 200);
        self.shared.ledger.count(request.verb, code);
        answered
    }

    /// Opens an answer that goes on; the caller reads it. Not retried.
    pub(crate) async fn open(&self, request: &Request) -> Result<Response<Body>, ApiError> {
        self.await_turn(request).await;
        let limit = request.timeout.unwrap_or(self.shared.timeout);
        let opened = tokio::time::timeout(limit, async {
            let response = self.send(request).await?;
            if response.status().is_success() {
                return Ok(response);
            }
            let code = response.status().as_u16();
            let body = Limited::new(response.into_body(), LARGEST_ANSWER).collect().await;
            Err(ApiError::from_answer(code, &body.map(|body| body.to_bytes()).unwrap_or_default()))
        })
        .await
        .unwrap_or_else(|_| Err(ApiError::TimedOut { url: self.shared.url.clone(), after: limit }));
        let code = opened.as_ref().map_or_else(ApiError::code, |_| 200);
        self.shared.ledger.count(request.verb, code);
        opened
    }

    async fn await_turn(&self, request: &Request) {
        if request.urgent {
            return;
        }
        let asked = Instant::now();
        self.shared.limit.turn().await;
        let waited = asked.elapsed();
        if waited > Duration::from_millis(1) {
            self.shared.ledger.throttled(waited);
        }
    }

    async fn send(&self, request: &Request) -> Result<Response<Body>, ApiError> {
        let response =
            self.shared.client.send(self.http_request(request)?).await.map_err(|error| self.unreachable(&error))?;
        if response.headers().contains_key(FLOW_CONTROL) {
            self.shared.limit.switch_off();
        }
        Ok(response)
    }

    fn http_request(&self, request: &Request) -> Result<http::Request<Body>, ApiError> {
        let mut builder = http::Request::builder()
            .method(request.method.clone())
            .uri(format!("{}{}", self.shared.below, request.uri()))
            .header(ACCEPT, request.accept)
            .header(USER_AGENT, &self.shared.user_agent);
        if let Some(identity) = &self.identity {
            builder = builder.header(IMPERSONATE_USER, &identity.user);
            for group in &identity.groups {
                builder = builder.header(IMPERSONATE_GROUP, group);
            }
        }
        let body = match &request.body {
            Some((content_type, bytes)) => {
                builder = builder.header(CONTENT_TYPE, HeaderValue::from_static(content_type));
                Body::from(bytes.clone())
            }
            None => Body::empty(),
        };
        // A user name that is no header value is the one thing that can be wrong here.
        builder.body(body).map_err(|error| self.unreachable(&error))
    }

    pub(crate) fn unreachable(&self, error: &(dyn std::error::Error + 'static)) -> ApiError {
        ApiError::Unreachable { url: self.shared.url.clone(), cause: innermost(error) }
    }
}

/// The last cause of a chain: "connection refused" rather than four layers that say "client error".
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

/// How long to wait before sending again; `None` if it must not be sent again.
fn pause_before_retry(request: &Request, error: &ApiError, attempt: u32) -> Option<Duration> {
    let pause = match error {
        ApiError::Status(status) if matches!(status.code, 429 | 503 | 504) => {
            // With Retry-After the server says that it did nothing; without, only the verb can tell.
            let asked = status.details.retry_after;
            let again = attempt < MOST_ATTEMPTS && (asked.is_some() || request.is_idempotent());
            again.then(|| asked.unwrap_or_default().max(doubling(attempt)))
        }
        ApiError::Unreachable { .. } => {
            (attempt < MOST_UNANSWERED && request.is_idempotent()).then(|| doubling(attempt))
        }
        ApiError::Status(_)
        | ApiError::TimedOut { .. }
        | ApiError::Unreadable { .. }
        | ApiError::NotServed(_)
        | ApiError::NoNamespace(_)
        | ApiError::Fenced => None,
    };
    pause.filter(|pause| *pause <= LONGEST_PATIENCE)
}

/// A pause that doubles from 100 ms on, with jitter, so that many clients do not come back together.
fn doubling(attempt: u32) -> Duration {
    let base = Duration::from_millis(100) * (1 << (attempt - 1).min(6));
    base.mul_f64(rand::rng().random_range(0.75..1.25))
}

/// A segment of a URL path, with everything escaped that could end it.
pub(crate) fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' | b'@' => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u16, retry_after: Option<u64>) -> ApiError {
        let mut status = crate::Status { code, ..crate::Status::default() };
        status.details.retry_after = retry_after.map(Duration::from_secs);
        ApiError::Status(Box::new(status))
    }

    fn no_answer() -> ApiError {
        ApiError::Unreachable { url: "x".into(), cause: "connection reset".into() }
    }

    #[test]
    fn retries_only_what_cannot_have_been_done_twice() {
        let again = |verb, error: &ApiError| pause_before_retry(&Request::new(verb, "/"), error, 1).is_some();
        for (verb, error, expected) in [
            (Verb::Get, no_answer(), true),
            (Verb::Apply, no_answer(), true),
            (Verb::Create, no_answer(), false),
            (Verb::Delete, no_answer(), false),
            (Verb::Create, answer(429, Some(1)), true),
            (Verb::Create, answer(503, None), false),
            (Verb::Get, answer(503, None), true),
            (Verb::Get, answer(500, None), false),
            (Verb::Get, answer(429, Some(3600)), false),
        ] {
            assert_eq!(again(verb, &error), expected, "{verb} after {error:?}");
        }
    }

    #[test]
    fn gives_up_in_the_end() {
        let get = Request::new(Verb::Get, "/");
        assert!(pause_before_retry(&get, &no_answer(), MOST_UNANSWERED).is_none());
        assert!(pause_before_retry(&get, &answer(429, Some(1)), MOST_ATTEMPTS).is_none());
    }

    #[tokio::test]
    async fn a_fence_stops_writes_and_nothing_else() {
        let script = crate::testing::Script::new(&[(200, "{}")]);
        let (open, seen) = tokio::sync::watch::channel(true);
        let cluster = crate::testing::cluster(script.clone()).fenced(move || *seen.borrow());
        let ask = async |verb| cluster.exchange(&Request::new(verb, "/x")).await;
        assert!(ask(Verb::Apply).await.is_ok());
        open.send(false).expect("the fence is there");
        for verb in [Verb::Create, Verb::Update, Verb::Patch, Verb::Apply, Verb::Delete] {
            assert!(matches!(ask(verb).await, Err(ApiError::Fenced)), "{verb}");
        }
        for verb in [Verb::Get, Verb::List, Verb::DryRun] {
            assert!(ask(verb).await.is_ok(), "{verb}");
        }
        assert_eq!(script.asked().len(), 4, "what was stopped was never sent");
    }

    #[test]
    fn names_cannot_leave_their_place_in_the_path() {
        assert_eq!(segment("system:a/../b?c"), "system:a%2F..%2Fb%3Fc");
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_server_is_asked_again_when_it_says() {
        let busy = r#"{"kind":"Status","code":429,"reason":"TooManyRequests","details":{"retryAfterSeconds":2}}"#;
        let script = crate::testing::Script::new(&[(429, busy), (429, busy), (200, r#"{"a":1}"#)]);
        let cluster = crate::testing::cluster(script);
        let start = Instant::now();
        let answer = cluster.get_path("/version").await.expect("the third time it answers");
        assert_eq!(answer.get("a").and_then(Value::as_i64), Some(1));
        assert!(start.elapsed() >= Duration::from_secs(4), "{:?}", start.elapsed());
        let counts = cluster.requests().by_code;
        assert_eq!((counts[&(Verb::Get, 429)], counts[&(Verb::Get, 200)]), (2, 1));
    }
}
