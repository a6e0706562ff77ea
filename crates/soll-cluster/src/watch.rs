//! Following changes: list, then watch, for ever.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures::Stream;
use http_body_util::BodyStream;
use kube::client::Body;
use rand::Rng;
use soll_api::{Gvk, Object};
use soll_yaml::parse_json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::{ApiError, Cluster, Depth, Resource, Selection, Status, Verb};

/// What a watch tells.
#[derive(Debug, Clone)]
pub enum WatchEvent {
    /// All objects that there are: at the start, and when the server could not say what was missed.
    /// What is not among them is gone.
    Restarted(Vec<Object>),
    /// An object is new or has changed.
    Applied(Object),
    /// An object is gone, or is not selected any more: its last state.
    Deleted(Object),
    /// The watch is interrupted and will go on by itself; for the log.
    Interrupted(ApiError),
}

/// How many watches of a cluster may be open at once: each is a connection.
#[derive(Debug, Clone)]
pub struct WatchBudget {
    places: Arc<Semaphore>,
    most: usize,
}

impl WatchBudget {
    pub(crate) fn new(most: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(most)), most }
    }

    /// How many may be open.
    #[must_use]
    pub fn most(&self) -> usize {
        self.most
    }

    /// How many are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.most - self.places.available_permits()
    }
}

/// The objects of one kind, followed. Ask with [`Watch::next`], or use it as a stream.
///
/// Dropping it closes the connection and returns its place in the budget.
pub struct Watch {
    cluster: Cluster,
    gvk: Gvk,
    selection: Selection,
    depth: Depth,
    /// How much the next list tells of each object.
    list_depth: Depth,
    state: State,
    /// Whether it was refused since the last list: who follows may have given the kind up.
    refused: bool,
    failures: u32,
    _place: OwnedSemaphorePermit,
}

enum State {
    /// Everything must be read anew, not before this moment.
    List(Instant),
    /// Everything was told up to this version; watch from there, not before this moment. After an interruption it may be ahead of
    /// the server: who restores a cluster from a backup stops its servers first.
    Resume { resource_version: String, from: Instant, may_be_ahead: bool },
    /// Changes arrive.
    Open(Box<Connection>),
}

struct Connection {
    resource: Arc<Resource>,
    resource_version: String,
    body: BodyStream<Body>,
    lines: Lines,
    opened: Instant,
    heard: bool,
}

/// How long the server keeps a watch open: random in this range, so that not all end together.
const LIFETIME_S: std::ops::Range<u64> = 300..600;
/// Bookmarks come about once a minute; a connection that is silent for longer is dead.
const LONGEST_SILENCE: Duration = Duration::from_secs(150);
/// A watch that ends sooner than this without a word has failed.
const SHORTEST_LIFE: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_LINE: usize = 64 << 20;

impl Cluster {
    /// Follows the objects of a kind. Nothing is sent before the first [`Watch::next`].
    ///
    /// Returns `None` if the budget of watches is used up: fall back to asking at intervals.
    #[must_use]
    pub fn watch(&self, gvk: &Gvk, selection: Selection, depth: Depth) -> Option<Watch> {
        let place = Arc::clone(&self.shared.budget.places).try_acquire_owned().ok()?;
        Some(Watch {
            cluster: self.clone(),
            gvk: gvk.clone(),
            selection,
            depth,
            list_depth: depth,
            state: State::List(Instant::now()),
            refused: false,
            failures: 0,
            _place: place,
        })
    }
}

impl Watch {
    /// Has the first list tell of whole objects, whatever the depth of what follows.
    #[must_use]
    pub fn whole_at_first(self) -> Self {
        Self { list_depth: Depth::Whole, ..self }
    }

    /// The kind.
    #[must_use]
    pub fn gvk(&self) -> &Gvk {
        &self.gvk
    }

    /// The version up to which everything was told: just after [`WatchEvent::Restarted`], that of the list.
    #[must_use]
    pub fn told_up_to(&self) -> &str {
        match &self.state {
            State::List(_) => "",
            State::Resume { resource_version, .. } => resource_version,
            State::Open(connection) => &connection.resource_version,
        }
    }

    /// The next event; waits as long as it takes, and pauses longer and longer while the server fails.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped; a list that was under way is read again.
    pub async fn next(&mut self) -> WatchEvent {
        loop {
            let step = match &mut self.state {
                State::List(from) => {
                    tokio::time::sleep_until(*from).await;
                    self.list().await
                }
                State::Resume { from, .. } => {
                    tokio::time::sleep_until(*from).await;
                    self.open().await
                }
                State::Open(_) => self.hear().await,
            };
            match step {
                Ok(Some(event)) => return event,
                Ok(None) => {}
                Err(error) => return WatchEvent::Interrupted(error),
            }
        }
    }

    /// This watch as a stream that never ends.
    pub fn into_stream(self) -> impl Stream<Item = WatchEvent> + Send {
        futures::stream::unfold(self, |mut watch| async move {
            let event = watch.next().await;
            Some((event, watch))
        })
    }

    async fn list(&mut self) -> Result<Option<WatchEvent>, ApiError> {
        match self.cluster.list(&self.gvk, &self.selection, self.list_depth).await {
            Ok(list) => {
                self.list_depth = self.depth;
                self.refused = false;
                let resource_version = list.resource_version;
                self.state = State::Resume { resource_version, from: Instant::now(), may_be_ahead: false };
                Ok(Some(WatchEvent::Restarted(list.items)))
            }
            Err(error) => {
                self.state = State::List(Instant::now() + self.pause());
                Err(error)
            }
        }
    }

    async fn open(&mut self) -> Result<Option<WatchEvent>, ApiError> {
        let State::Resume { resource_version, may_be_ahead, .. } = &self.state else { return Ok(None) };
        let (resource_version, may_be_ahead) = (resource_version.clone(), *may_be_ahead);
        if may_be_ahead {
            // Such a watch would be opened all the same, and stay silent until the server has counted so far again.
            match newest(&self.cluster, &self.gvk, &self.selection).await {
                Ok(newest) if is_lower(&newest, &resource_version) => {
                    self.state = State::List(Instant::now());
                    return Ok(None);
                }
                Ok(_) => {}
                Err(error) => return Err(self.interrupted(resource_version, error)),
            }
        }
        let connecting = connect(&self.cluster, &self.gvk, &self.selection, self.depth, resource_version.clone());
        match connecting.await {
            Ok(connection) => {
                self.state = match self.refused {
                    // It is told anew that the kind is followed, and from where on.
                    true => State::List(Instant::now()),
                    false => State::Open(Box::new(connection)),
                };
                Ok(None)
            }
            Err(error) => Err(self.interrupted(resource_version, error)),
        }
    }

    /// Waits for one line and says what it means.
    async fn hear(&mut self) -> Result<Option<WatchEvent>, ApiError> {
        let State::Open(connection) = &mut self.state else { return Ok(None) };
        let heard = connection.next_line().await;
        let resource_version = connection.resource_version.clone();
        let was_useful = connection.heard || connection.opened.elapsed() >= SHORTEST_LIFE;
        match heard {
            Ok(Some(line)) => self.understand(&line),
            Ok(None) if was_useful => {
                // The ordinary end of a watch's life.
                self.failures = 0;
                self.state = State::Resume { resource_version, from: Instant::now(), may_be_ahead: false };
                Ok(None)
            }
            Ok(None) => {
                let cause = "the watch ended at once".to_owned();
                Err(self.interrupted(resource_version, self.unreachable(cause)))
            }
            Err(cause) => Err(self.interrupted(resource_version, self.unreachable(cause))),
        }
    }

    fn understand(&mut self, line: &[u8]) -> Result<Option<WatchEvent>, ApiError> {
        let State::Open(connection) = &mut self.state else { return Ok(None) };
        let event = match parse_json(line) {
            Ok(event) => event,
            Err(error) => {
                let resource_version = connection.resource_version.clone();
                let error = ApiError::Unreadable { url: self.cluster.url().to_owned(), cause: error.to_string() };
                return Err(self.interrupted(resource_version, error));
            }
        };
        let object = event.get("object").cloned().unwrap_or_default();
        let kind = event.lookup_str(&["type"]).unwrap_or_default();
        if kind == "ERROR" {
            let resource_version = connection.resource_version.clone();
            let error = ApiError::Status(Box::new(Status::read(500, &object)));
            return Err(self.interrupted(resource_version, error));
        }
        if let Some(version) = object.lookup_str(&["metadata", "resourceVersion"]) {
            version.clone_into(&mut connection.resource_version);
        }
        connection.heard = true;
        self.failures = 0;
        let gvk = &connection.resource.gvk;
        match kind {
            "ADDED" | "MODIFIED" => self.cluster.object(gvk, object).map(|object| Some(WatchEvent::Applied(object))),
            "DELETED" => self.cluster.object(gvk, object).map(|object| Some(WatchEvent::Deleted(object))),
            // Bookmarks only move the version; what is not known yet is not for us.
            _ => Ok(None),
        }
    }

    /// Goes on from the same version later, or from the start if the server does not have that version any more, or not yet:
    /// the one ahead of it may be from before it went back to an older state.
    fn interrupted(&mut self, resource_version: String, error: ApiError) -> ApiError {
        let from = Instant::now() + self.pause();
        self.refused |= error.is_refused();
        let is_of_no_use = error.is_expired() || error.is_ahead();
        self.state = if is_of_no_use || matches!(error, ApiError::NotServed(_)) {
            // A list after "too old" is due at once, unless that keeps happening.
            let from = if is_of_no_use && self.failures <= 1 { Instant::now() } else { from };
            State::List(from)
        } else {
            State::Resume { resource_version, from, may_be_ahead: true }
        };
        error
    }

    /// Half a second, doubling up to half a minute, with jitter.
    fn pause(&mut self) -> Duration {
        let pause = (FIRST_PAUSE * (1 << self.failures.min(6))).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        pause.mul_f64(rand::rng().random_range(0.75..1.25))
    }

    fn unreachable(&self, cause: String) -> ApiError {
        ApiError::Unreachable { url: self.cluster.url().to_owned(), cause }
    }
}

/// The newest version that the server knows of, at the price of a single object.
async fn newest(cluster: &Cluster, gvk: &Gvk, selection: &Selection) -> Result<String, ApiError> {
    let resource = cluster.resource(gvk).await?;
    let request = selection.request(Verb::List, &resource, Depth::Metadata).query("limit", "1");
    let page = cluster.exchange_object(&resource, &request).await?;
    Ok(page.lookup_str(&["metadata", "resourceVersion"]).unwrap_or_default().to_owned())
}

/// Whether a version is before another one, as far as these are numbers.
fn is_lower(version: &str, other: &str) -> bool {
    let number = |version: &str| version.parse::<u64>().ok();
    number(version).zip(number(other)).is_some_and(|(version, other)| version < other)
}

/// Opens a watch from a version on.
async fn connect(
    cluster: &Cluster,
    gvk: &Gvk,
    selection: &Selection,
    depth: Depth,
    resource_version: String,
) -> Result<Connection, ApiError> {
    let resource = cluster.resource(gvk).await?;
    let lifetime = rand::rng().random_range(LIFETIME_S);
    let request = selection
        .request(Verb::Watch, &resource, depth)
        .query("watch", "1")
        .query("allowWatchBookmarks", "true")
        .query("timeoutSeconds", lifetime.to_string())
        .query("resourceVersion", &resource_version);
    let opened = cluster.open(&request).await;
    let response = opened.map_err(|error| cluster.notice_vanished(&resource, error))?;
    Ok(Connection {
        resource,
        resource_version,
        body: BodyStream::new(response.into_body()),
        lines: Lines::default(),
        opened: Instant::now(),
        heard: false,
    })
}

impl Connection {
    /// The next line; `None` at the end, or why there is none.
    async fn next_line(&mut self) -> Result<Option<Bytes>, String> {
        use futures::StreamExt;
        loop {
            if let Some(line) = self.lines.next()? {
                return Ok(Some(line));
            }
            let frame = tokio::time::timeout(LONGEST_SILENCE, self.body.next()).await;
            match frame.map_err(|_| format!("no word for {}s", LONGEST_SILENCE.as_secs()))? {
                None => return Ok(None),
                Some(Err(error)) => return Err(error.to_string()),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.lines.add(&data);
                    }
                }
            }
        }
    }
}

/// Bytes on their way to becoming lines.
#[derive(Default)]
struct Lines {
    buffer: BytesMut,
    /// Up to here there is no line end.
    searched: usize,
}

impl Lines {
    fn add(&mut self, data: &[u8]) {
        self.buffer.extend_from_slice(data);
    }

    fn next(&mut self) -> Result<Option<Bytes>, String> {
        loop {
            let Some(end) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') else {
                self.searched = self.buffer.len();
                let too_long = self.buffer.len() > LONGEST_LINE;
                return if too_long { Err("an event of more than 64 MiB".to_owned()) } else { Ok(None) };
            };
            let line = self.buffer.split_to(self.searched + end).freeze();
            self.buffer.advance(1);
            self.searched = 0;
            if !line.is_empty() {
                return Ok(Some(line));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, Script};

    #[test]
    fn lines_come_out_whole_however_they_arrive() {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        for piece in ["{\"a\"", ":1}\n\n{", "}\n{\"b", "\":2}\n"] {
            lines.add(piece.as_bytes());
            while let Some(line) = lines.next().expect("short lines") {
                seen.push(String::from_utf8(line.to_vec()).expect("text"));
            }
        }
        assert_eq!(seen, ["{\"a\":1}", "{}", "{\"b\":2}"]);
    }

    fn follow(script: &Arc<Script>) -> Watch {
        let cluster = testing::cluster(Arc::clone(script) as Arc<dyn testing::Server>);
        cluster.watch(&Gvk::new("v1", "ConfigMap"), Selection::all(), Depth::Whole).expect("room in the budget")
    }

    /// What a watch tells, in short.
    async fn tell(watch: &mut Watch, events: usize) -> Vec<String> {
        let mut told = Vec::new();
        for _ in 0..events {
            told.push(match watch.next().await {
                WatchEvent::Restarted(objects) => format!("restarted {}", objects.len()),
                WatchEvent::Applied(object) => format!("applied {}", object.name()),
                WatchEvent::Deleted(object) => format!("deleted {}", object.name()),
                WatchEvent::Interrupted(error) => format!("interrupted {}", error.code()),
            });
        }
        told
    }

    /// The versions from which watches were opened; `list` for lists, `newest` where only the version was asked for.
    fn asked(script: &Script) -> Vec<String> {
        let version = |path: &String| match path.split_once("resourceVersion=") {
            Some((_, version)) => version.to_owned(),
            None if path.split(['?', '&']).any(|query| query == "limit=1") => "newest".to_owned(),
            None => "list".to_owned(),
        };
        script.asked().iter().map(version).collect()
    }

    const LIST: &str = r#"{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"10"},"items":[{"metadata":{"name":"a"}}]}"#;

    #[tokio::test(start_paused = true)]
    async fn resumes_after_the_last_version_that_was_told_bookmarks_included() {
        let lines = concat!(
            r#"{"type":"ADDED","object":{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"b","resourceVersion":"11"}}}"#,
            "\n",
            r#"{"type":"BOOKMARK","object":{"kind":"ConfigMap","apiVersion":"v1","metadata":{"resourceVersion":"20"}}}"#,
            "\n",
        );
        let gone = r#"{"type":"DELETED","object":{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"b","resourceVersion":"21"}}}"#;
        let script = Script::new(&[(200, LIST), (200, lines), (200, &format!("{gone}\n"))]);
        let mut watch = follow(&script);
        assert_eq!(tell(&mut watch, 3).await, ["restarted 1", "applied b", "deleted b"]);
        assert_eq!(asked(&script), ["list", "10", "20"]);
    }

    #[tokio::test(start_paused = true)]
    async fn lists_again_when_the_version_is_too_old() {
        let expired =
            r#"{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}"#;
        for (code, answer) in [(200, format!("{expired}\n")), (410, r#"{"kind":"Status","code":410}"#.to_owned())] {
            let script = Script::new(&[(200, LIST), (code, &answer), (200, LIST), (200, "")]);
            let mut watch = follow(&script);
            let start = Instant::now();
            assert_eq!(tell(&mut watch, 3).await, ["restarted 1", "interrupted 410", "restarted 1"]);
            assert!(start.elapsed() < Duration::from_secs(1), "what was missed is wanted at once");
            assert_eq!(asked(&script), ["list", "10", "list"]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn lists_again_when_the_server_went_back_to_before_the_version() {
        let ahead = r#"{"kind":"Status","code":504,"reason":"Timeout","message":"Timeout: Too large resource version: 10, current: 7",
            "details":{"retryAfterSeconds":1,"causes":[{"reason":"ResourceVersionTooLarge","message":"Too large resource version"}]}}"#;
        let back = LIST.replace("\"10\"", "\"7\"");
        let script = Script::new(&[(200, LIST), (504, ahead), (200, &back), (200, "")]);
        let mut watch = follow(&script);
        let start = Instant::now();
        assert_eq!(tell(&mut watch, 3).await, ["restarted 1", "interrupted 504", "restarted 1"]);
        assert_eq!(watch.told_up_to(), "7");
        assert!(start.elapsed() < Duration::from_secs(1), "what was missed is wanted at once");
        let any = r#"{"kind":"Status","code":504,"reason":"Timeout","message":"etcdserver: request timed out"}"#;
        let script = Script::new(&[(200, LIST), (504, any), (200, LIST), (200, "")]);
        tell(&mut follow(&script), 3).await;
        assert_eq!(asked(&script), ["list", "10", "newest", "10"], "another timeout says nothing of the version");
    }

    #[tokio::test(start_paused = true)]
    async fn asks_after_an_interruption_whether_the_server_went_back() {
        let bookmark = r#"{"type":"BOOKMARK","object":{"kind":"ConfigMap","apiVersion":"v1","metadata":{"resourceVersion":"20"}}}"#;
        let (bookmark, back) = (format!("{bookmark}\n"), LIST.replace("\"10\"", "\"7\""));
        let ahead = LIST.replace("\"10\"", "\"21\"");
        // Connections end with their silence. The server is ahead, as ever, and then it is not.
        let answers = [(200, LIST), (200, &bookmark), (200, &ahead), (200, ""), (200, &back), (200, &back), (200, "")];
        let script = Script::that_holds_watches(&answers);
        let mut watch = follow(&script);
        let told = ["restarted 1", "interrupted 0", "interrupted 0", "restarted 1", "interrupted 0"];
        assert_eq!(tell(&mut watch, 5).await, told);
        assert_eq!(asked(&script), ["list", "10", "newest", "20", "newest", "list", "7"]);
    }

    #[tokio::test(start_paused = true)]
    async fn lists_again_once_it_may_watch_after_it_might_not() {
        let refused = r#"{"kind":"Status","code":403,"reason":"Forbidden"}"#;
        let script = Script::new(&[
            (200, LIST),
            (403, refused),
            (200, LIST),
            (403, refused),
            (200, LIST),
            (200, ""),
            (200, LIST),
            (200, ""),
        ]);
        let mut watch = follow(&script);
        let told = ["restarted 1", "interrupted 403", "interrupted 403", "restarted 1", "interrupted 0"];
        assert_eq!(tell(&mut watch, 5).await, told);
        assert_eq!(asked(&script), ["list", "10", "newest", "10", "newest", "10", "list", "10"]);
    }

    #[tokio::test(start_paused = true)]
    async fn never_spins() {
        let expired = r#"{"kind":"Status","code":410,"reason":"Expired"}"#;
        // Every version is ahead of the server.
        let ahead = r#"{"kind":"Status","code":504,"message":"Too large resource version"}"#;
        let ever_ahead = [(200, LIST), (504, ahead)].repeat(100);
        let sick: [&[(u16, &str)]; 5] = [
            // Every list fails; every watch ends at once; every watch is no JSON; every version is too old.
            &[(500, "sick")],
            &[(200, LIST), (200, "")],
            &[(200, LIST), (200, "<html>\n")],
            &[(410, expired)],
            &ever_ahead,
        ];
        for answers in sick {
            let script = Script::new(answers);
            let mut watch = follow(&script);
            let minutes = Duration::from_secs(300);
            let told = tokio::time::timeout(minutes, async {
                loop {
                    watch.next().await;
                }
            });
            assert!(told.await.is_err());
            let asked = script.asked().len();
            assert!((5..60).contains(&asked), "{asked} requests in five minutes of {answers:?}");
        }
    }
}
