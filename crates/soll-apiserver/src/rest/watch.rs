//! Watches: the present if asked for, then every change, until somebody hangs up.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::Response;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use rand::Rng;
use soll_yaml::{Map, Value};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::answer::{self, Body};
use super::negotiate::{Format, Shape};
use super::options::IncludeObject;
use super::read::parse_start;
use super::{Api, Context, not_kept};
use crate::refusal::Refusal;
use crate::resources::Resource;
use crate::selector::{FieldSelector, LabelSelector};
use crate::store::Change;
use crate::{meta, table};

/// Time between bookmarks.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);

/// Lines that are ready at the same time are sent together until they are this long.
const PIECE: usize = 32 * 1024;

/// Answers a stream of events.
pub(crate) async fn watch(ctx: &Context<'_>) -> Result<Response<Body>, Refusal> {
    let options = ctx.options;
    options.fields.check(&ctx.target.resource).map_err(Refusal::bad_request)?;
    if ctx.accepted.format == Format::Yaml {
        return Err(Refusal::not_acceptable("application/json"));
    }
    let asked = parse_start(&options.resource_version)?;
    let Ok(permit) = ctx.api.watches.clone().try_acquire_owned() else {
        let most = ctx.api.most_watches;
        return Err(Refusal::too_many_requests(format!("there are {most} watches, and no more are served: end some")));
    };
    let seconds = rand::rng().random_range(1800..3600);
    let deadline = Instant::now() + options.timeout.unwrap_or(Duration::from_secs(seconds));
    let api = ctx.api.clone();
    // Subscribed before the state is read: a change in between is seen twice by the waker and once by the reader.
    let news = api.store.subscribe(&ctx.target.resource.drawer);
    let mut watcher = Watcher {
        resource: ctx.target.resource.clone(),
        namespace: ctx.target.namespace.clone(),
        name: ctx.target.name.clone(),
        labels: options.labels.clone(),
        fields: options.fields.clone(),
        shape: ctx.accepted.shape,
        include: options.include_object,
        bookmarks: options.bookmarks,
        columns_sent: false,
        cursor: asked,
        ready: VecDeque::new(),
        ended: false,
        news,
        deadline,
        next_bookmark: Instant::now() + BOOKMARK_EVERY,
        api,
        _permit: permit,
    };
    let from_start = asked == 0 || options.send_initial_events == Some(true);
    if asked > 0 {
        watcher.api.reach(asked).await?;
    }
    if from_start && options.send_initial_events != Some(false) {
        watcher.send_present(options.send_initial_events == Some(true));
    } else if asked == 0 {
        watcher.cursor = watcher.api.store.revision();
    }
    // Nothing is told that could still be lost.
    watcher.api.store.kept(watcher.cursor).await.map_err(|failure| not_kept(&failure))?;
    let frames = stream::unfold(watcher, |mut watcher| async move {
        let bytes = watcher.next().await?;
        Some((Ok(Frame::data(bytes)), watcher))
    });
    Ok(answer::answer(200, "application/json", StreamBody::new(frames).boxed_unsync()))
}

struct Watcher {
    api: Arc<Api>,
    resource: Arc<Resource>,
    namespace: String,
    name: String,
    labels: LabelSelector,
    fields: FieldSelector,
    shape: Shape,
    include: IncludeObject,
    bookmarks: bool,
    /// The definitions of the columns go out once, with the first table.
    columns_sent: bool,
    /// Everything up to this revision was sent.
    cursor: u64,
    ready: VecDeque<Bytes>,
    ended: bool,
    news: tokio::sync::watch::Receiver<u64>,
    deadline: Instant,
    next_bookmark: Instant,
    /// Given back when the watch ends.
    _permit: OwnedSemaphorePermit,
}

impl Watcher {
    /// The next lines; none when the watch is over.
    ///
    /// # Cancel safety
    /// Lines are taken out of `ready` without waiting; nothing is lost when this is dropped.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(lines) = self.take_ready() {
                return Some(lines);
            }
            if self.ended {
                return None;
            }
            self.news.borrow_and_update();
            // Read before the changes: what comes in between is sent with the next turn.
            let now = self.api.store.revision();
            if self.api.store.kept(now).await.is_err() {
                return None;
            }
            self.catch_up(now);
            if !self.ready.is_empty() || self.ended {
                continue;
            }
            tokio::select! {
                changed = self.news.changed() => self.ended = changed.is_err(),
                () = tokio::time::sleep_until(self.deadline) => {
                    if self.bookmarks {
                        self.send_bookmark(false);
                    }
                    self.ended = true;
                }
                () = tokio::time::sleep_until(self.next_bookmark), if self.bookmarks => {
                    self.next_bookmark = Instant::now() + BOOKMARK_EVERY;
                    self.send_bookmark(false);
                }
                () = self.api.closing.cancelled() => self.ended = true,
            }
        }
    }

    /// Takes what is ready in one piece, up to a size: many small pieces cost both ends more than what is in them.
    fn take_ready(&mut self) -> Option<Bytes> {
        let first = self.ready.pop_front()?;
        if self.ready.is_empty() {
            return Some(first);
        }
        let mut piece = Vec::from(first);
        while piece.len() < PIECE
            && let Some(line) = self.ready.pop_front()
        {
            piece.extend_from_slice(&line);
        }
        Some(piece.into())
    }

    /// Queues every object as it is now, and the bookmark that ends them if it is wanted.
    fn send_present(&mut self, mark_end: bool) {
        let (shelf, revision) = self.api.store.snapshot(&self.resource.drawer);
        for entry in shelf.iter_from(&self.namespace.clone(), &self.name.clone()) {
            if self.covers(&entry.key.namespace, &entry.key.name) && self.selects(&entry.value) {
                self.send("ADDED", &entry.value);
            }
        }
        self.cursor = revision;
        if mark_end {
            self.send_bookmark(true);
        }
    }

    /// Queues what changed since the cursor, up to a revision.
    fn catch_up(&mut self, now: u64) {
        match self.api.store.changes_since(&self.resource.drawer, self.cursor) {
            Ok(changes) => {
                self.cursor = self.cursor.max(now);
                for change in changes.iter().take_while(|change| change.revision() <= now) {
                    self.send_change(change);
                }
            }
            Err(error) => {
                let status = Refusal::expired(error.to_string()).status();
                self.ready.push_back(Bytes::from(format!("{{\"type\":\"ERROR\",\"object\":{status}}}\n")));
                self.ended = true;
            }
        }
    }

    fn send_change(&mut self, change: &Change) {
        if !self.covers(&change.entry.key.namespace, &change.entry.key.name) {
            return;
        }
        let before = change.before.as_ref().is_some_and(|entry| self.selects(&entry.value));
        let now = !change.removed && self.selects(&change.entry.value);
        match (before, now) {
            (false, true) => self.send("ADDED", &change.entry.value),
            (true, true) => self.send("MODIFIED", &change.entry.value),
            (true, false) => {
                // The last state that matched, at the revision at which it ended.
                let mut gone = change.before.as_ref().map_or_else(Value::map, |entry| entry.value.clone());
                meta::set_text(&mut gone, "resourceVersion", &change.revision().to_string());
                self.send("DELETED", &gone);
            }
            (false, false) => {}
        }
    }

    fn covers(&self, namespace: &str, name: &str) -> bool {
        (self.namespace.is_empty() || self.namespace == namespace) && (self.name.is_empty() || self.name == name)
    }

    fn selects(&self, object: &Value) -> bool {
        self.labels.matches(object) && self.fields.matches(object)
    }

    fn send(&mut self, event: &str, stored: &Value) {
        let shown = match self.shape {
            Shape::Full => self.resource.shown(stored),
            Shape::Metadata | Shape::MetadataList => answer::partial(&self.resource.shown(stored)),
            Shape::Table => {
                let object = self.resource.tabled(stored);
                let version = meta::text(&object, "resourceVersion").to_owned();
                let list_meta = Map::from_iter([("resourceVersion", Value::from(version))]);
                let mut table = table::table(&self.resource, std::slice::from_ref(&object), list_meta, self.include);
                if std::mem::replace(&mut self.columns_sent, true) {
                    table.make_map().insert("columnDefinitions", Value::null());
                }
                table
            }
        };
        self.push(event, &shown);
    }

    fn send_bookmark(&mut self, ends_initial_events: bool) {
        let mut metadata = Map::from_iter([("resourceVersion", Value::from(self.cursor.to_string()))]);
        if ends_initial_events {
            let mark = Map::from_iter([("k8s.io/initial-events-end", Value::str("true"))]);
            metadata.insert("annotations", mark.into());
        }
        let object = Map::from_iter([
            ("kind", Value::str(&self.resource.kind)),
            ("apiVersion", Value::from(self.resource.api_version())),
            ("metadata", metadata.into()),
        ]);
        let mut object = Value::from(object);
        match self.shape {
            Shape::Full => {}
            Shape::Metadata | Shape::MetadataList => object = answer::partial(&object),
            Shape::Table => {
                let metadata = object.get("metadata").cloned().unwrap_or_default();
                let list_meta = Map::from_iter([("resourceVersion", Value::from(self.cursor.to_string()))]);
                object = table::table(&self.resource, &[], list_meta, self.include);
                let partial = Map::from_iter([("metadata", metadata)]);
                let row =
                    Map::from_iter([("cells", Value::list(Vec::new())), ("object", answer::partial(&partial.into()))]);
                object.make_map().insert("rows", Value::list(vec![row.into()]));
            }
        }
        self.push("BOOKMARK", &object);
    }

    fn push(&mut self, event: &str, object: &Value) {
        let line = format!("{{\"type\":\"{event}\",\"object\":{}}}\n", soll_yaml::to_json(object));
        self.ready.push_back(Bytes::from(line));
    }
}
