//! Serves the artifact store over http, to anybody who asks: what consumers get is checked by digest.

use std::io::{self, SeekFrom};
use std::path::Path;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use soll_tree::TreePath;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::net::TcpListener;
use tokio_util::io::ReaderStream;
use tokio_util::sync::CancellationToken;

use crate::Store;

/// A static file server over the store: lists directories, honours `Range` and `If-Modified-Since`.
///
/// `GET /` is what Flux's readiness probe asks for.
pub fn router(store: &Store) -> Router {
    Router::new().fallback(answer).with_state(store.clone())
}

/// Serves until `stop`; what is being answered then is answered to its end, but for no longer than `grace`: a client may stall in
/// the middle of a download for ever.
///
/// # Errors
/// If the listener fails.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken, grace: Duration) -> io::Result<()> {
    let serving = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    let too_long = async {
        stop.cancelled().await;
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        served = serving.into_future() => served,
        () = too_long => {
            tracing::debug!("what was still being answered was broken off");
            Ok(())
        }
    }
}

async fn answer(State(store): State<Store>, request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response();
    }
    let path = percent_encoding::percent_decode_str(request.uri().path().trim_start_matches('/')).decode_utf8();
    let Some(path) = path.ok().and_then(|path| path.parse::<TreePath>().ok()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let place = store.root().join(path.as_str());
    let result = match tokio::fs::metadata(&place).await {
        Ok(found) if found.is_dir() => list(&place).await,
        Ok(found) if found.is_file() => file(&place, request.headers()).await,
        // Before the first artifact there is no directory, and the server is as ready as it gets.
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.is_root() => {
            Ok(Html("<pre>\n</pre>\n").into_response())
        }
        Ok(_) | Err(_) => Ok(StatusCode::NOT_FOUND.into_response()),
    };
    result.unwrap_or_else(|error| {
        tracing::warn!(path = %path, %error, "cannot serve an artifact");
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    })
}

async fn list(place: &Path) -> io::Result<Response> {
    let mut names = Vec::new();
    let mut entries = tokio::fs::read_dir(place).await?;
    while let Some(entry) = entries.next_entry().await? {
        let name = entry.file_name().to_string_lossy().into_owned();
        let slash = if entry.file_type().await?.is_dir() { "/" } else { "" };
        if !name.starts_with('.') {
            names.push(format!("{name}{slash}"));
        }
    }
    names.sort();
    // Names of objects and commits need no escaping.
    let lines: String = names.iter().map(|name| format!("<a href=\"{name}\">{name}</a>\n")).collect();
    Ok(Html(format!("<pre>\n{lines}</pre>\n")).into_response())
}

async fn file(place: &Path, headers: &HeaderMap) -> io::Result<Response> {
    let mut file = File::open(place).await?;
    let metadata = file.metadata().await?;
    let modified = metadata.modified()?;
    if is_unchanged_since(headers, modified) {
        return Ok(StatusCode::NOT_MODIFIED.into_response());
    }
    let size = metadata.len();
    let response = Response::builder()
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::LAST_MODIFIED, httpdate::fmt_http_date(modified))
        .header(header::CONTENT_TYPE, content_type(place));
    let range =
        headers.get(header::RANGE).and_then(|range| range.to_str().ok()).and_then(|range| parse_range(range, size));
    let (response, first, length) = match range {
        None => (response, 0, size),
        Some(Some((first, last))) => {
            let response = response.status(StatusCode::PARTIAL_CONTENT);
            (response.header(header::CONTENT_RANGE, format!("bytes {first}-{last}/{size}")), first, last - first + 1)
        }
        Some(None) => {
            let unsatisfiable = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, unsatisfiable).into_response());
        }
    };
    file.seek(SeekFrom::Start(first)).await?;
    let body = Body::from_stream(ReaderStream::with_capacity(file.take(length), 64 * 1024));
    response.header(header::CONTENT_LENGTH, length).body(body).map_err(io::Error::other)
}

fn is_unchanged_since(headers: &HeaderMap, modified: SystemTime) -> bool {
    let since = headers.get(header::IF_MODIFIED_SINCE).and_then(|since| since.to_str().ok());
    let since = since.and_then(|since| httpdate::parse_http_date(since).ok());
    let seconds = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    since.is_some_and(|since| seconds(modified) <= seconds(since))
}

/// One range of bytes: nothing if the header should be ignored, `Some(None)` if the file has no such bytes.
fn parse_range(header: &str, size: u64) -> Option<Option<(u64, u64)>> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| text.parse::<u64>().ok();
    let range = match (first, last) {
        ("", last) => (size.saturating_sub(number(last)?), size.checked_sub(1)),
        (first, "") => (number(first)?, size.checked_sub(1)),
        (first, last) => (number(first)?, Some(number(last)?.min(size.saturating_sub(1)))),
    };
    Some(range.1.filter(|last| range.0 <= *last && range.0 < size).map(|last| (range.0, last)))
}

fn content_type(place: &Path) -> &'static str {
    match place.extension().and_then(|extension| extension.to_str()) {
        Some("gz" | "tgz") => "application/gzip",
        Some("yaml") => "application/yaml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_written() {
        assert_eq!(parse_range("bytes=0-3", 10), Some(Some((0, 3))));
        assert_eq!(parse_range("bytes=4-", 10), Some(Some((4, 9))));
        assert_eq!(parse_range("bytes=-3", 10), Some(Some((7, 9))));
        assert_eq!(parse_range("bytes=8-99", 10), Some(Some((8, 9))));
        assert_eq!(parse_range("bytes=10-", 10), Some(None));
        assert_eq!(parse_range("bytes=5-2", 10), Some(None));
        assert_eq!(parse_range("bytes=0-0", 0), Some(None));
        assert_eq!(parse_range("lines=1-2", 10), None);
        assert_eq!(parse_range("bytes=0-1,3-4", 10), None);
    }
}
