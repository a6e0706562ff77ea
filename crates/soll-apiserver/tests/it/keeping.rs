//! A store that is kept in a directory is there again.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use soll_apiserver::store::{Expected, Keeping, Key, Limits, OutOfReach, Store};
use soll_apiserver::{Server, ServerOptions};

const PODS: &str = "/pods";

fn keeping(directory: &Path) -> Keeping {
    Keeping { snapshot_after: 4096, ..Keeping::new(directory) }
}

fn open(directory: &Path) -> Store {
    Store::open(Limits::default(), &keeping(directory)).unwrap().0
}

fn put(store: &Store, name: &str) -> u64 {
    let expected = store.get(PODS, "a", name).map_or(Expected::Absent, |entry| Expected::Revision(entry.revision));
    let value = soll_yaml::parse_json(format!(r#"{{"data":{{"k":"{}"}}}}"#, "v".repeat(100)).as_bytes()).unwrap();
    store.put(PODS, &Key::new("a", name), expected, value).unwrap().revision
}

fn contents(store: &Store) -> Vec<(String, u64, String)> {
    let shelf = store.snapshot(PODS).0;
    shelf.iter().map(|entry| (entry.key.name.to_string(), entry.revision, soll_yaml::to_json(&entry.value))).collect()
}

fn files(directory: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with(prefix));
    files.sort();
    files
}

#[test]
fn a_store_is_read_back_through_logs_and_snapshots() {
    let directory = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    let mut revision = 1;
    for round in 0..6 {
        let store = open(directory.path());
        assert_eq!((contents(&store), store.revision()), (expected, revision), "round {round}");
        for number in 0..40 {
            put(&store, &format!("p{}", (number * 7 + round) % 50));
        }
        let gone = store.get(PODS, "a", &format!("p{}", 7 * round)).unwrap();
        store.remove(PODS, &gone.key, gone.revision).unwrap();
        (expected, revision) = (contents(&store), store.revision());
    }
    assert_eq!(files(directory.path(), "snapshot-").len(), 1, "older snapshots go");
    assert!(files(directory.path(), "log-").len() <= 3, "logs before the snapshot go");
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&files(directory.path(), "log-")[0]).unwrap());
    assert_eq!(mode & 0o077, 0, "others may not read it");
}

#[test]
fn what_happened_is_known_again_since_the_last_snapshot_and_not_before() {
    let directory = tempfile::tempdir().unwrap();
    let mut last = 0;
    {
        let store = Store::open(Limits::default(), &Keeping::new(directory.path())).unwrap().0;
        for number in 0..10 {
            last = put(&store, &format!("p{number}"));
        }
    }
    let store = Store::open(Limits::default(), &Keeping::new(directory.path())).unwrap().0;
    assert_eq!(store.changes_since(PODS, last - 3).unwrap().len(), 3);
    drop(store);
    // Now with a snapshot in between.
    let store = open(directory.path());
    while files(directory.path(), "snapshot-").is_empty() {
        last = put(&store, "q");
        std::thread::yield_now();
    }
    drop(store);
    let store = open(directory.path());
    assert!(matches!(store.changes_since(PODS, 2), Err(OutOfReach::Expired { asked: 2, .. })));
    assert!(matches!(store.changes_since("/never-seen", 2), Err(OutOfReach::Expired { asked: 2, .. })));
    assert!(store.changes_since(PODS, last).unwrap().is_empty());
}

#[test]
fn a_directory_has_one_owner() {
    let directory = tempfile::tempdir().unwrap();
    let unfinished = directory.path().join("snapshot-00000000000000000009.tmp");
    std::fs::write(&unfinished, "half").unwrap();
    let store = open(directory.path());
    assert!(!unfinished.exists(), "what was not finished is forgotten");
    let refused = Store::open(Limits::default(), &keeping(directory.path())).unwrap_err();
    assert!(refused.to_string().ends_with("is in use by another process"), "{refused}");
    drop(store);
    open(directory.path());
}

/// A log is cut all over: what is whole is read, the rest is reported and kept beside.
#[test]
fn a_torn_tail_is_cut_and_reported() {
    let directory = tempfile::tempdir().unwrap();
    let options = Keeping::new(directory.path());
    let mut revisions = Vec::new();
    for number in 0..4 {
        // A frame each.
        let store = Store::open(Limits::default(), &options).unwrap().0;
        revisions.push(put(&store, &format!("p{number}")));
    }
    let log = files(directory.path(), "log-").remove(0);
    let bytes = std::fs::read(&log).unwrap();
    let frame = (bytes.len() - 8) / 4;
    // Not divisible by the size of a frame, so that cuts lie everywhere within one.
    for end in (0..bytes.len()).step_by(7) {
        let copy = tempfile::tempdir().unwrap();
        let torn = copy.path().join(log.file_name().unwrap());
        std::fs::write(&torn, &bytes[..end]).unwrap();
        let (store, recovery) = Store::open(Limits::default(), &Keeping::new(copy.path())).unwrap();
        let whole = end.saturating_sub(8) / frame;
        assert_eq!((recovery.writes, contents(&store).len()), (whole, whole), "cut at {end}");
        let rest = if end < 8 { end } else { (end - 8) % frame };
        let has_tail = end < 8 || rest > 0;
        assert_eq!(recovery.cut, has_tail.then_some(rest as u64), "cut at {end}");
        // It goes on where it ended.
        let next = put(&store, "next");
        drop(store);
        let store = Store::open(Limits::default(), &Keeping::new(copy.path())).unwrap().0;
        assert_eq!((store.revision(), contents(&store).len()), (next, whole + 1), "cut at {end}");
    }
}

#[test]
fn damage_anywhere_else_is_refused_and_nothing_touched() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    while files(directory.path(), "snapshot-").is_empty() {
        put(&store, "p");
        std::thread::yield_now();
    }
    put(&store, "q");
    drop(store);
    let snapshot = files(directory.path(), "snapshot-").pop().unwrap();
    let log = files(directory.path(), "log-").pop().unwrap();
    let refused = |why: &str| {
        let before = std::fs::read(&log).unwrap();
        let error = Store::open(Limits::default(), &keeping(directory.path())).expect_err(why).to_string();
        assert!(error.contains("is damaged at byte"), "{why}: {error}");
        assert_eq!(std::fs::read(&log).unwrap(), before, "{why}");
    };
    let whole = std::fs::read(&snapshot).unwrap();
    std::fs::write(&snapshot, &whole[..whole.len() - 1]).unwrap();
    refused("a snapshot without its end");
    std::fs::remove_file(&snapshot).unwrap();
    refused("a log without the snapshot before it");
    std::fs::write(&snapshot, &whole).unwrap();
    open(directory.path());
}

#[test]
fn addresses_of_services_that_never_came_are_free_again() {
    const ADDRESSES: &str = "networking.k8s.io/ipaddresses";
    let directory = tempfile::tempdir().unwrap();
    let put = |store: &Store, name: &str, labels: &str| {
        let object = format!(
            r#"{{"apiVersion":"networking.k8s.io/v1","kind":"IPAddress","metadata":{{"name":"{name}","labels":{labels}}},
            "spec":{{"parentRef":{{"resource":"services","namespace":"a","name":"gone"}}}}}}"#
        );
        let object = soll_yaml::parse_json(object.as_bytes()).unwrap();
        store.put(ADDRESSES, &Key::new("", name), Expected::Absent, object).unwrap();
    };
    let options = ServerOptions { keeping: Some(Keeping::new(directory.path())), ..ServerOptions::default() };
    // Its tasks end with the runtime, and with them the last hold on the directory.
    let start_and_end =
        || tokio::runtime::Runtime::new().unwrap().block_on(async { drop(Server::new(&options).unwrap()) });
    start_and_end();
    {
        let store = open(directory.path());
        assert!(store.get(ADDRESSES, "", "10.96.0.1").is_some());
        put(&store, "10.96.7.7", r#"{"ipaddress.kubernetes.io/managed-by":"ipallocator.k8s.io"}"#);
        put(&store, "10.96.7.8", "{}");
    }
    start_and_end();
    let shelf = open(directory.path()).snapshot(ADDRESSES).0;
    // The server's own service keeps its address.
    let names: Vec<_> = shelf.iter().map(|entry| entry.key.name.to_string()).collect();
    assert_eq!(names, ["10.96.0.1", "10.96.7.8"]);
}
