//! From the store over the server to a consumer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use soll_api::{Artifact, Time};
use soll_source::{DownloadError, DownloadOptions, Downloader, Retention, Slot, Store, router};
use soll_tree::{Limits, Tree};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// A server on loopback that ends with the value.
struct Served {
    base: String,
    _task: AbortOnDropHandle<()>,
}

async fn serve(router: Router) -> Served {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    Served { base, _task: AbortOnDropHandle::new(task) }
}

struct Bed {
    _dir: tempfile::TempDir,
    served: Served,
    artifact: Artifact,
    tree: Tree,
}

impl Bed {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path(), Retention::default());
        let served = serve(router(&store)).await;
        store.advertise(&served.base);
        let tree = Tree::in_memory([("app/k.yaml", "kind: A\n")]).unwrap();
        let slot = Slot::new("GitRepository", "apps", "podinfo").unwrap();
        let now = Time::new("2026-01-02T03:04:05Z".parse().unwrap());
        let artifact = store.store(&slot, "abc.tar.gz", "main@sha1:abc", &tree, now).await.unwrap();
        Self { _dir: dir, served, artifact, tree }
    }
}

fn downloader(retries: u32) -> Downloader {
    let pause = Duration::from_millis(1);
    Downloader::new(DownloadOptions { retries, pause, ..DownloadOptions::default() }).unwrap()
}

#[tokio::test]
async fn a_consumer_gets_the_tree_that_was_stored() {
    let bed = Bed::new().await;
    let Artifact { url, digest, .. } = &bed.artifact;
    let tree = downloader(0).fetch_artifact(url, digest, &Limits::default()).await.unwrap();
    assert_eq!(tree, bed.tree);

    let wrong = format!("sha256:{}", "0".repeat(64));
    let error = downloader(0).fetch_artifact(url, &wrong, &Limits::default()).await.unwrap_err();
    assert!(matches!(error, DownloadError::Digest { .. }), "{error}");
    let small = Limits { transfer_bytes: 10, ..Limits::default() };
    let error = downloader(0).fetch_artifact(url, digest, &small).await.unwrap_err();
    assert!(matches!(error, DownloadError::TooLarge { limit: 10, .. }), "{error}");
    let gone = url.replace("abc", "old");
    let error = downloader(0).fetch_artifact(&gone, digest, &Limits::default()).await.unwrap_err();
    assert!(matches!(error, DownloadError::NotFound(_)), "{error}");
    let error = downloader(0).fetch_artifact(url, "md5:00", &Limits::default()).await.unwrap_err();
    assert!(matches!(error, DownloadError::Algorithm(_)), "{error}");
}

#[tokio::test]
async fn a_server_in_trouble_is_asked_again() {
    let bed = Bed::new().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let (counter, inner) = (asked.clone(), bed.served.base.clone());
    let flaky = serve(Router::new().fallback(async move |request: axum::extract::Request| {
        if counter.fetch_add(1, Ordering::SeqCst) < 2 {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        let answer = reqwest::get(format!("{inner}{}", request.uri().path())).await;
        Ok(answer.unwrap().bytes().await.unwrap())
    }))
    .await;
    let url = format!("{}/{}", flaky.base, bed.artifact.path);
    let tree = downloader(2).fetch_artifact(&url, &bed.artifact.digest, &Limits::default()).await.unwrap();
    assert_eq!((tree, asked.load(Ordering::SeqCst)), (bed.tree, 3));
}

#[tokio::test]
async fn the_server_lists_and_serves_parts_and_nothing_outside() {
    let bed = Bed::new().await;
    let client = reqwest::Client::new();
    let get = async |path: &str| client.get(format!("{}{path}", bed.served.base)).send().await.unwrap();
    let listing = get("/").await.text().await.unwrap();
    assert_eq!(listing, "<pre>\n<a href=\"gitrepository/\">gitrepository/</a>\n</pre>\n");
    assert_eq!(get("/%2e%2e/%2e%2e/etc/passwd").await.status(), 404);
    assert_eq!(get("/gitrepository/..%2f..%2f..%2fetc/passwd").await.status(), 404);

    let whole = client.get(&bed.artifact.url).send().await.unwrap();
    assert_eq!(whole.headers()["content-type"], "application/gzip");
    let modified = whole.headers()["last-modified"].clone();
    let bytes = whole.bytes().await.unwrap();
    let part = client.get(&bed.artifact.url).header("range", "bytes=2-5").send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.headers()["content-range"], format!("bytes 2-5/{}", bytes.len()));
    assert_eq!(part.bytes().await.unwrap(), bytes[2..=5]);
    let unchanged = client.get(&bed.artifact.url).header("if-modified-since", modified).send().await.unwrap();
    assert_eq!(unchanged.status(), 304);
    assert_eq!(client.post(&bed.artifact.url).send().await.unwrap().status(), 405);
}

/// A server of a file that is larger than what sockets hold, a client that has read its beginning, and the server's end.
struct Download {
    client: tokio::net::TcpStream,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
    _dir: tempfile::TempDir,
}

impl Download {
    const SIZE: u64 = 64 << 20;

    async fn begin(grace: Duration) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::File::create(dir.path().join("big")).unwrap().set_len(Self::SIZE).unwrap();
        let store = Store::new(dir.path(), Retention::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let served = tokio::spawn(soll_source::serve(listener, router(&store), stop.clone(), grace));
        let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
        client.read_exact(&mut [0; 100]).await.unwrap();
        Self { client, stop, served, _dir: dir }
    }
}

#[tokio::test]
async fn a_client_that_stalls_does_not_keep_the_server_alive() {
    let download = Download::begin(Duration::from_millis(1)).await;
    download.stop.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(30), download.served).await;
    ended.expect("it ends without the client").unwrap().unwrap();
    drop(download.client);
}

#[tokio::test]
async fn a_download_that_goes_on_is_served_to_its_end() {
    let mut download = Download::begin(Duration::from_secs(3600)).await;
    download.stop.cancel();
    let mut rest = Vec::new();
    download.client.read_to_end(&mut rest).await.unwrap();
    assert!(rest.len() as u64 > Download::SIZE);
    download.served.await.unwrap().unwrap();
}
