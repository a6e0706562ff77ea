//! A client of few words.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::Value as Json;
use soll_apiserver::{Body, Server, ServerOptions, Service};
use tower::ServiceExt;

/// A server and the means to ask it.
pub(crate) struct Client {
    service: Service,
    /// Headers of every request.
    headers: Vec<(&'static str, String)>,
    /// What answers, for as long as somebody asks.
    _server: Arc<dyn Any + Send + Sync>,
}

/// Code and body of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: StatusCode,
    pub(crate) body: Json,
    pub(crate) warnings: Vec<String>,
}

impl Answer {
    /// The body, if the request succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> Json {
        assert!(self.code.is_success(), "{} {}", self.code, self.body);
        self.body
    }

    /// Code, reason and message of a refusal.
    #[track_caller]
    pub(crate) fn refused(self) -> (u16, String, String) {
        assert!(!self.code.is_success(), "{} {}", self.code, self.body);
        let text = |field: &str| self.body[field].as_str().unwrap_or_default().to_owned();
        (self.code.as_u16(), text("reason"), text("message"))
    }
}

impl Client {
    pub(crate) fn new() -> Self {
        Self::of(Server::new(&ServerOptions::default()).expect("certificates can be made"))
    }

    pub(crate) fn of(server: Server) -> Self {
        Self::at(server.service(), server)
    }

    /// A client of a service; `server` goes on as long as it is used.
    pub(crate) fn at(service: Service, server: impl Any + Send + Sync) -> Self {
        Self { service, headers: Vec::new(), _server: Arc::new(server) }
    }

    /// The same server, asked by somebody else.
    pub(crate) fn acting_as(&self, user: &str) -> Self {
        let headers = vec![("impersonate-user", user.to_owned())];
        Self { service: self.service.clone(), headers, _server: self._server.clone() }
    }

    async fn send(&self, method: &str, path: &str, content_type: &str, body: String) -> http::Response<Body> {
        let mut request = Request::builder().method(method).uri(path).header("content-type", content_type);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(Bytes::from(body))).expect("a valid request");
        self.service.clone().oneshot(request).await.expect("the service never fails")
    }

    pub(crate) async fn call(&self, method: &str, path: &str, content_type: &str, body: String) -> Answer {
        let response = self.send(method, path, content_type, body).await;
        let code = response.status();
        let warnings = response.headers().get_all("warning").iter().filter_map(|value| value.to_str().ok());
        let warnings = warnings.map(str::to_owned).collect();
        let bytes = response.into_body().collect().await.expect("bodies never fail").to_bytes();
        let body =
            serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned().into());
        Answer { code, body, warnings }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, "application/json", String::new()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Json) -> Answer {
        self.call("POST", path, "application/json", body.to_string()).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Json) -> Answer {
        self.call("PUT", path, "application/json", body.to_string()).await
    }

    pub(crate) async fn merge(&self, path: &str, body: &Json) -> Answer {
        self.call("PATCH", path, "application/merge-patch+json", body.to_string()).await
    }

    pub(crate) async fn apply(&self, path: &str, body: &Json) -> Answer {
        self.call("PATCH", path, "application/apply-patch+yaml", body.to_string()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path, "application/json", String::new()).await
    }

    /// The same client, asking for another form.
    pub(crate) fn accepting(&self, form: &str) -> Self {
        let headers = vec![("accept", form.to_owned())];
        Self { service: self.service.clone(), headers, _server: self._server.clone() }
    }

    /// A list as a table.
    pub(crate) async fn table(&self, path: &str) -> Json {
        self.accepting("application/json;as=Table;v=v1;g=meta.k8s.io,application/json").get(path).await.ok()
    }

    /// Starts a watch.
    pub(crate) async fn watch(&self, path: &str) -> Watch {
        let response = self.send("GET", path, "application/json", String::new()).await;
        assert_eq!(response.status(), StatusCode::OK);
        Watch { body: response.into_body(), rest: Vec::new() }
    }

    /// Waits until an object of a collection is as wanted, and tells how it is then.
    pub(crate) async fn until(&self, collection: &str, name: &str, wanted: impl Fn(&Json) -> bool) -> Json {
        let mut watch = self.watch(&format!("{collection}?watch=1&fieldSelector=metadata.name%3D{name}")).await;
        loop {
            let event = watch.next().await.expect("the watch goes on");
            if wanted(&event["object"]) {
                return event["object"].clone();
            }
        }
    }

    /// Waits until a path answers 404, by asking whenever the collection changes.
    pub(crate) async fn gone(&self, collection: &str, path: &str) {
        let mut watch = self.watch(&format!("{collection}?watch=1")).await;
        while self.get(path).await.code != StatusCode::NOT_FOUND {
            watch.next().await.expect("the watch goes on");
        }
    }
}

/// The events of a watch.
pub(crate) struct Watch {
    body: Body,
    rest: Vec<u8>,
}

impl Watch {
    /// The next event; none when the watch is over.
    pub(crate) async fn next(&mut self) -> Option<Json> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).expect("each line is an event"));
            }
            let frame = self.body.frame().await?.expect("bodies never fail");
            self.rest.extend_from_slice(frame.data_ref().expect("watches have no trailers"));
        }
    }

    /// The next events as `TYPE name`.
    pub(crate) async fn names(&mut self, count: usize) -> Vec<String> {
        let mut names = Vec::new();
        for _ in 0..count {
            let event = self.next().await.expect("the watch goes on");
            let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
            names.push(format!("{} {}", text(&event["type"]), text(&event["object"]["metadata"]["name"])));
        }
        names
    }
}
