//! What the server gives is what we have; what the server breaks is said.

use std::time::Duration;

use soll_source::Secret;
use soll_source::git::{self, Credentials, Fetched, GitCache, GitError, Proxy, Reference, Remote, Tls};
use soll_tree::{FileTree as _, Limits};
use tempfile::TempDir;

use crate::support::{Authority, Behaviour, GitServer, Repository, SshAgent, SshServer};

const TIMEOUT: Duration = Duration::from_secs(30);

/// A repository in a directory that servers serve, and a cache.
struct Bed {
    root: TempDir,
    repository: Repository,
    cache: GitCache,
}

impl Bed {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let repository = Repository::create(&root.path().join("repo"));
        repository.write("app/k.yaml", "kind: A\n").write("readme", "hello").commit("First subject\n\nand a body");
        let cache = GitCache::open(&root.path().join("cache")).unwrap();
        Self { root, repository, cache }
    }

    fn server(&self) -> GitServer {
        GitServer::start(self.root.path())
    }

    /// A cache of its own, so that nothing is found by luck.
    fn empty_cache(&self) -> GitCache {
        let dir = tempfile::tempdir_in(self.root.path()).unwrap().keep();
        GitCache::open(&dir).unwrap()
    }

    async fn fetch(&self, remote: &Remote, reference: &Reference) -> Result<Fetched, GitError> {
        git::fetch(remote, reference, &self.cache, &Limits::default(), TIMEOUT).await
    }
}

fn anonymous(url: &str) -> Remote {
    Remote::new(url, &Credentials::Anonymous, &Tls::default(), None).unwrap()
}

fn basic(url: &str, password: &str) -> Remote {
    let credentials = Credentials::Basic { username: "me".into(), password: Secret::new(password) };
    Remote::new(url, &credentials, &Tls::default(), None).unwrap()
}

fn main_branch() -> Reference {
    Reference::Branch("main".into())
}

fn read(fetched: &Fetched, path: &str) -> String {
    String::from_utf8_lossy(&fetched.tree.read(&path.parse().unwrap()).unwrap()).into_owned()
}

fn paths(fetched: &Fetched) -> Vec<String> {
    fetched.tree.walk().map(|(path, _)| path.to_string()).collect()
}

#[tokio::test]
async fn every_kind_of_reference_is_found() {
    for behaviour in [Behaviour::Honest, Behaviour::Old] {
        let bed = Bed::new();
        let first = bed.repository.git(&["rev-parse", "HEAD"]);
        bed.repository.git(&["tag", "v1.0.0"]);
        let second = bed.repository.write("app/k.yaml", "kind: B\n").commit("second");
        bed.repository.git(&["tag", "-a", "v1.1.0", "-m", "annotated"]);
        bed.repository.git(&["update-ref", "refs/pull/7/head", &first]);
        let server = bed.server();
        server.behave(behaviour);
        let remote = anonymous(&server.url("repo"));

        let commit = |id: &str, branch: Option<&str>| Reference::Commit {
            id: id.parse().unwrap(),
            branch: branch.map(str::to_owned),
        };
        for (reference, expected, content) in [
            (main_branch(), format!("main@sha1:{second}"), "kind: B\n"),
            (Reference::Tag("v1.0.0".into()), format!("v1.0.0@sha1:{first}"), "kind: A\n"),
            (Reference::Tag("v1.1.0".into()), format!("v1.1.0@sha1:{second}"), "kind: B\n"),
            (Reference::Semver("1.x".into()), format!("v1.1.0@sha1:{second}"), "kind: B\n"),
            (Reference::Semver("~1.0.0".into()), format!("v1.0.0@sha1:{first}"), "kind: A\n"),
            (Reference::Name("refs/pull/7/head".into()), format!("refs/pull/7/head@sha1:{first}"), "kind: A\n"),
            (Reference::Name("HEAD".into()), format!("HEAD@sha1:{second}"), "kind: B\n"),
            (commit(&first, None), format!("sha1:{first}"), "kind: A\n"),
            (commit(&first, Some("main")), format!("main@sha1:{first}"), "kind: A\n"),
        ] {
            let cache = bed.empty_cache();
            let listed = git::ls_remote(&remote, &reference, TIMEOUT).await.unwrap();
            assert_eq!(listed.to_string(), expected);
            let fetched = git::fetch(&remote, &reference, &cache, &Limits::default(), TIMEOUT).await.unwrap();
            assert_eq!(fetched.revision.to_string(), expected);
            assert_eq!(read(&fetched, "app/k.yaml"), content, "{reference}");
        }
    }
}

#[tokio::test]
async fn a_commit_tells_its_subject_author_and_files() {
    let bed = Bed::new();
    let server = bed.server();
    let fetched = bed.fetch(&anonymous(&server.url("repo")), &main_branch()).await.unwrap();
    assert_eq!(fetched.commit.subject, "First subject");
    assert_eq!(fetched.commit.author, "Ada <ada@example.com>");
    assert_eq!(fetched.commit.time, 1_700_000_000);
    assert_eq!(paths(&fetched), ["app", "app/k.yaml", "readme"]);
}

#[tokio::test]
async fn an_unchanged_remote_costs_one_round_trip() {
    let bed = Bed::new();
    let server = bed.server();
    let remote = anonymous(&server.url("repo"));
    let first = bed.fetch(&remote, &main_branch()).await.unwrap();
    let before = server.requests();
    let second = git::ls_remote(&remote, &main_branch(), TIMEOUT).await.unwrap();
    assert_eq!(second, first.revision);
    assert_eq!(server.requests() - before, 1);
}

#[tokio::test]
async fn a_new_revision_brings_only_what_is_new() {
    for behaviour in [Behaviour::Honest, Behaviour::Old] {
        let bed = Bed::new();
        let large: Vec<u8> = (0..200_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        bed.repository.write("large", &large).commit("large");
        let server = bed.server();
        server.behave(behaviour);
        let remote = anonymous(&server.url("repo"));
        let old = bed.fetch(&remote, &main_branch()).await.unwrap();
        let first = server.sent();
        assert!(first > large.len() / 2, "the large file came: {first}");

        bed.repository.write("app/k.yaml", "kind: C\n").commit("small");
        let new = bed.fetch(&remote, &main_branch()).await.unwrap();
        assert!(server.sent() - first < 10_000, "{} more bytes", server.sent() - first);
        assert_eq!(read(&new, "app/k.yaml"), "kind: C\n");
        assert_eq!(new.tree.read(&"large".parse().unwrap()).unwrap().as_ref(), large);
        assert_eq!(read(&old, "app/k.yaml"), "kind: A\n", "the old tree still reads");
    }
}

#[tokio::test]
async fn a_server_of_version_0_that_insists_on_multi_ack_is_satisfied() {
    let bed = Bed::new();
    let server = bed.server();
    server.behave(Behaviour::OldWithMultiAck);
    let remote = anonymous(&server.url("repo"));
    assert_eq!(read(&bed.fetch(&remote, &main_branch()).await.unwrap(), "app/k.yaml"), "kind: A\n");
    assert_eq!(server.acknowledged(), 0, "nothing was here");
    bed.repository.write("app/k.yaml", "kind: B\n").commit("second");
    assert_eq!(read(&bed.fetch(&remote, &main_branch()).await.unwrap(), "app/k.yaml"), "kind: B\n");
    assert_eq!(server.acknowledged(), 1);
    // What is here is not there any more, so that nothing can be acknowledged.
    bed.repository.git(&["checkout", "-q", "--orphan", "anew"]);
    bed.repository.write("app/k.yaml", "kind: C\n").commit("anew");
    bed.repository.git(&["branch", "-M", "anew", "main"]);
    bed.repository.git(&["reflog", "expire", "--expire=now", "--all"]);
    bed.repository.git(&["gc", "-q", "--prune=now"]);
    let fetched = bed.fetch(&remote, &main_branch()).await.unwrap();
    assert_eq!((read(&fetched, "app/k.yaml"), read(&fetched, "readme")), ("kind: C\n".into(), "hello".into()));
    assert_eq!(server.acknowledged(), 1);
}

#[tokio::test]
async fn many_revisions_do_not_pile_up_packs_and_old_trees_stay_readable() {
    let bed = Bed::new();
    let server = bed.server();
    let remote = anonymous(&server.url("repo"));
    let first = bed.fetch(&remote, &main_branch()).await.unwrap();
    for number in 0..30 {
        bed.repository.write("app/k.yaml", format!("n: {number}\n")).commit("more");
        let fetched = bed.fetch(&remote, &main_branch()).await.unwrap();
        assert_eq!(read(&fetched, "app/k.yaml"), format!("n: {number}\n"));
    }
    assert_eq!(read(&first, "app/k.yaml"), "kind: A\n");
    let generations = || std::fs::read_dir(bed.root.path().join("cache")).unwrap().count();
    assert_eq!(generations(), 2);
    drop(first);
    assert_eq!(generations(), 1);
}

/// The packs in the current generation of a bed's cache.
fn packs(bed: &Bed) -> Vec<std::path::PathBuf> {
    let generations = std::fs::read_dir(bed.root.path().join("cache")).unwrap();
    let current = generations.map(|entry| entry.unwrap().path()).max().unwrap();
    let files = std::fs::read_dir(current.join("objects/pack")).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "pack")).collect()
}

#[tokio::test]
async fn what_passes_a_limit_is_not_kept() {
    let bed = Bed::new();
    let server = bed.server();
    let remote = anonymous(&server.url("repo"));
    let good = bed.fetch(&remote, &main_branch()).await.unwrap();
    let before = packs(&bed);
    for number in 0..3 {
        bed.repository.write("app/k.yaml", format!("n: {number}\n")).write("more", "x").commit("too much");
        let limits = Limits { entries: 3, ..Limits::default() };
        let error = git::fetch(&remote, &main_branch(), &bed.cache, &limits, TIMEOUT).await.unwrap_err();
        assert!(matches!(error, GitError::Limit { .. }), "{error}");
        assert_eq!(packs(&bed), before, "what was here stays, what came goes");
    }
    assert_eq!(read(&good, "app/k.yaml"), "kind: A\n");
    assert_eq!(read(&bed.fetch(&remote, &main_branch()).await.unwrap(), "app/k.yaml"), "n: 2\n");
}

#[tokio::test]
async fn a_content_that_is_damaged_on_disk_is_fetched_anew() {
    use std::os::unix::fs::FileExt as _;

    let bed = Bed::new();
    let noise: Vec<u8> = (0..100_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    bed.repository.write("noise", &noise).commit("noise");
    let server = bed.server();
    let remote = anonymous(&server.url("repo"));
    let noise_of = |fetched: &Fetched| fetched.tree.read(&"noise".parse().unwrap());
    let fetched = bed.fetch(&remote, &main_branch()).await.unwrap();
    let pack = packs(&bed).remove(0);
    let middle = std::fs::metadata(&pack).unwrap().len() / 2;
    std::fs::set_permissions(&pack, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::OpenOptions::new().write(true).open(&pack).unwrap().write_all_at(&[0x55; 500], middle).unwrap();
    noise_of(&fetched).unwrap_err();
    let again = bed.fetch(&remote, &main_branch()).await.unwrap();
    assert_eq!(noise_of(&again).unwrap().as_ref(), noise);
}

#[tokio::test]
async fn the_cache_survives_a_restart() {
    let bed = Bed::new();
    let mut server = bed.server();
    let remote = anonymous(&server.url("repo"));
    let revision = bed.fetch(&remote, &main_branch()).await.unwrap().revision;
    bed.repository.write("readme", "again").commit("second");
    bed.fetch(&remote, &main_branch()).await.unwrap();
    server.stop();
    let tips = || std::fs::read_to_string(bed.root.path().join("cache/0/tips")).unwrap();
    let before = tips();
    let cache = GitCache::open(&bed.root.path().join("cache")).unwrap();
    let cached = git::cached(&cache, &revision, &Limits::default()).unwrap().expect("it was fetched");
    assert_eq!(read(&cached, "readme"), "hello");
    assert_eq!(tips(), before, "it is only looked at: a fetch may be under way");
    let pinned = Reference::Commit { id: revision.commit, branch: None };
    let fetched = git::fetch(&remote, &pinned, &cache, &Limits::default(), TIMEOUT).await.unwrap();
    assert_eq!(fetched.tree, cached.tree, "a commit that is here needs no server");
}

#[tokio::test]
async fn passwords_and_tokens_open_the_door() {
    let bed = Bed::new();
    let server = bed.server();
    server.require_basic("me", "hunter2");
    let url = server.url("repo");
    bed.fetch(&basic(&url, "hunter2"), &main_branch()).await.unwrap();
    bed.fetch(&anonymous(&url.replace("//", "//me:hunter2@")), &main_branch()).await.unwrap();
    for refused in [basic(&url, "wrong"), anonymous(&url)] {
        let error = bed.fetch(&refused, &main_branch()).await.unwrap_err();
        assert!(matches!(error, GitError::Denied { .. }), "{error}");
        assert!(!error.to_string().contains("wrong") && error.to_string().contains("spec.secretRef"), "{error}");
    }

    let server = bed.server();
    server.require_bearer("t0ken");
    let bearer = Credentials::Bearer(Secret::new("t0ken"));
    let remote = Remote::new(&server.url("repo"), &bearer, &Tls::default(), None).unwrap();
    bed.fetch(&remote, &main_branch()).await.unwrap();
}

#[tokio::test]
async fn certificates_are_checked_on_both_sides() {
    let bed = Bed::new();
    let authority = Authority::new();
    let trusting = Tls { ca: Some(authority.pem().into_bytes()), client: None };
    let server = GitServer::start_tls(bed.root.path(), &authority, false);
    let with =
        |tls: &Tls, server: &GitServer| Remote::new(&server.url("repo"), &Credentials::Anonymous, tls, None).unwrap();
    bed.fetch(&with(&trusting, &server), &main_branch()).await.unwrap();
    let stranger = Tls { ca: Some(Authority::new().pem().into_bytes()), client: None };
    let error = bed.fetch(&with(&stranger, &server), &main_branch()).await.unwrap_err();
    assert!(matches!(&error, GitError::Unreachable { why, .. } if why.contains("certificate")), "{error}");

    let server = GitServer::start_tls(bed.root.path(), &authority, true);
    let (certificate, key) = authority.issue("client");
    let known = Tls { client: Some((certificate.into_bytes(), Secret::new(key))), ..trusting.clone() };
    bed.fetch(&with(&known, &server), &main_branch()).await.unwrap();
    bed.fetch(&with(&trusting, &server), &main_branch()).await.unwrap_err();
    let broken = Tls { ca: Some(b"no certificate".to_vec()), client: None };
    let error = Remote::new(&server.url("repo"), &Credentials::Anonymous, &broken, None).unwrap_err();
    assert!(error.to_string().contains("ca.crt"), "{error}");
}

#[tokio::test]
async fn a_proxy_of_its_own_is_used_for_the_repository() {
    let bed = Bed::new();
    let server = bed.server();
    // What a proxy gets is a request with the whole URL in it: this server looks at its path only.
    let address = server.url("").trim_end_matches('/').to_owned();
    let through = |address: &str| Proxy { address: address.to_owned(), username: None, password: None };
    let url = "http://git.invalid/repo";
    let remote = |proxy: &Proxy| Remote::new(url, &Credentials::Anonymous, &Tls::default(), Some(proxy));
    let fetched = bed.fetch(&remote(&through(&address)).unwrap(), &main_branch()).await.unwrap();
    assert_eq!(read(&fetched, "readme"), "hello");
    let error = remote(&through("ftp://proxy")).unwrap_err();
    assert!(error.to_string().contains("socks5://"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_down_or_slow_is_said_to_be() {
    let bed = Bed::new();
    let mut server = bed.server();
    let remote = anonymous(&server.url("repo"));
    server.stop();
    let error = bed.fetch(&remote, &main_branch()).await.unwrap_err();
    assert!(matches!(error, GitError::Unreachable { .. }), "{error}");
    server.restart();
    bed.fetch(&remote, &main_branch()).await.unwrap();

    server.behave(Behaviour::Status(503));
    let error = git::ls_remote(&remote, &main_branch(), TIMEOUT).await.unwrap_err();
    assert!(error.to_string().contains("503"), "{error}");
    server.behave(Behaviour::Hang);
    let error = git::ls_remote(&remote, &main_branch(), Duration::from_millis(200)).await.unwrap_err();
    assert!(error.to_string().ends_with("did not answer within 0.2s; see spec.timeout"), "{error}");
}

#[tokio::test]
async fn a_server_that_lies_is_found_out() {
    let bed = Bed::new();
    let server = bed.server();
    for (behaviour, part) in [
        (Behaviour::Page, "text/html"),
        (Behaviour::DamagedPack, "the pack is damaged"),
        (Behaviour::CutPack, "ends too early"),
        (Behaviour::Redirect("http://localhost:1/x?page=login#".into()), "no repository"),
        (Behaviour::Redirect("file:///etc".into()), "not followed"),
    ] {
        server.behave(behaviour.clone());
        let error = bed.fetch(&anonymous(&server.url("repo")), &main_branch()).await.unwrap_err();
        assert!(matches!(error, GitError::Protocol { .. }), "{behaviour:?}: {error:?}");
        let cut = behaviour == Behaviour::CutPack;
        assert!(error.to_string().contains(part) || cut, "{behaviour:?}: {error}");
    }
    server.behave(Behaviour::Honest);
    let fetched = bed.fetch(&anonymous(&server.url("repo")), &main_branch()).await.unwrap();
    assert_eq!(read(&fetched, "readme"), "hello", "nothing bad stayed in the cache");
}

#[tokio::test]
async fn redirects_are_followed_without_taking_credentials_elsewhere() {
    let bed = Bed::new();
    let (front, other) = (bed.server(), bed.server());
    front.behave(Behaviour::Redirect(other.url("").trim_end_matches('/').to_owned()));
    let fetched = bed.fetch(&anonymous(&front.url("repo")), &main_branch()).await.unwrap();
    assert_eq!(read(&fetched, "readme"), "hello");
    other.require_basic("me", "hunter2");
    let error = bed.fetch(&basic(&front.url("repo"), "hunter2"), &main_branch()).await.unwrap_err();
    assert!(matches!(error, GitError::Denied { .. }), "{error}");
}

#[tokio::test]
async fn a_redirect_target_that_dies_is_asked_for_anew() {
    for pinned in [false, true] {
        let bed = Bed::new();
        let (front, mut one, two) = (bed.server(), bed.server(), bed.server());
        let base = |server: &GitServer| server.url("").trim_end_matches('/').to_owned();
        front.behave(Behaviour::Redirect(base(&one)));
        let remote = anonymous(&front.url("repo"));
        let first = git::ls_remote(&remote, &main_branch(), TIMEOUT).await.unwrap();
        one.stop();
        front.behave(Behaviour::Redirect(base(&two)));
        if pinned {
            let reference = Reference::Commit { id: first.commit, branch: None };
            assert_eq!(read(&bed.fetch(&remote, &reference).await.unwrap(), "readme"), "hello");
            assert_eq!(two.requests(), 2, "a greeting, and the commit alone");
        } else {
            assert_eq!(git::ls_remote(&remote, &main_branch(), TIMEOUT).await.unwrap(), first);
        }
    }
}

#[tokio::test]
async fn a_redirect_target_that_closes_or_goes_silent_is_asked_for_anew() {
    let bed = Bed::new();
    let (front, one, two) = (bed.server(), bed.server(), bed.server());
    let base = |server: &GitServer| server.url("").trim_end_matches('/').to_owned();
    for (behaviour, timeout) in [(Behaviour::Status(403), TIMEOUT), (Behaviour::Hang, Duration::from_millis(300))] {
        one.behave(Behaviour::Honest);
        front.behave(Behaviour::Redirect(base(&one)));
        let remote = anonymous(&front.url("repo"));
        git::ls_remote(&remote, &main_branch(), TIMEOUT).await.unwrap();
        one.behave(behaviour.clone());
        front.behave(Behaviour::Redirect(base(&two)));
        let silent = behaviour == Behaviour::Hang;
        assert_eq!(
            git::ls_remote(&remote, &main_branch(), timeout).await.is_err(),
            silent,
            "a timeout is for all of it"
        );
        git::ls_remote(&remote, &main_branch(), TIMEOUT).await.unwrap();
    }
}

#[tokio::test]
async fn a_commit_is_found_where_only_what_is_listed_is_given_out() {
    for behaviour in [Behaviour::ListedOnly, Behaviour::ListedOnlyInOtherWords] {
        let bed = Bed::new();
        let first = bed.repository.git(&["rev-parse", "HEAD"]);
        bed.repository.write("readme", "second").commit("second");
        let server = bed.server();
        server.behave(behaviour);
        let reference = Reference::Commit { id: first.parse().unwrap(), branch: None };
        let fetched = bed.fetch(&anonymous(&server.url("repo")), &reference).await.unwrap();
        assert_eq!(read(&fetched, "readme"), "hello");
    }
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let bed = Bed::new();
    let server = bed.server();
    let remote = anonymous(&server.url("repo"));
    let failed = async |reference: Reference| bed.fetch(&remote, &reference).await.unwrap_err().to_string();
    assert!(failed(Reference::Branch("prod".into())).await.ends_with("has no branch `prod`; its branches: main"));
    assert!(failed(Reference::Tag("v9".into())).await.contains("has no tag `v9`"));
    assert!(failed(Reference::Semver(">9".into())).await.contains("has no tag that the range `>9` allows"));
    let id = "0123456789012345678901234567890123456789".parse().unwrap();
    let missing = failed(Reference::Commit { id, branch: Some("main".into()) }).await;
    assert!(missing.contains("has no commit `0123456789012345678901234567890123456789`"), "{missing}");
    let _empty = Repository::create(&bed.root.path().join("empty"));
    let error = bed.fetch(&anonymous(&server.url("empty")), &main_branch()).await.unwrap_err();
    assert!(matches!(error, GitError::Empty { .. }), "{error}");
    let error = bed.fetch(&anonymous(&server.url("nothing")), &main_branch()).await.unwrap_err();
    assert!(matches!(error, GitError::NotFound { .. }), "{error}");
}

#[tokio::test]
async fn hostile_repositories_meet_limits() {
    let bed = Bed::new();
    bed.repository.write("a/b/c/d", "deep").write("big", "x".repeat(5000)).commit("hostile");
    let server = bed.server();
    let remote = anonymous(&server.url("repo"));
    let defaults = Limits::default();
    for (limits, part) in [
        (Limits { depth: 3, ..defaults }, "directories deep"),
        (Limits { file_bytes: 4999, ..defaults }, "has 5000 bytes; a single file may have 4999"),
        (Limits { total_bytes: 5000, ..defaults }, "larger than 5000 bytes together"),
        (Limits { entries: 3, ..defaults }, "more than 3 files and directories"),
        (Limits { transfer_bytes: 100, ..defaults }, "more than 100 bytes are transferred"),
        (Limits { objects: 2, ..defaults }, "more than 2 objects"),
    ] {
        let cache = bed.empty_cache();
        let error = git::fetch(&remote, &main_branch(), &cache, &limits, TIMEOUT).await.unwrap_err();
        assert!(matches!(error, GitError::Limit { .. }), "{error:?}");
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test]
async fn links_are_left_out_and_names_that_escape_are_refused() {
    let bed = Bed::new();
    std::os::unix::fs::symlink("/etc/passwd", bed.repository.dir().join("link")).unwrap();
    bed.repository.commit("link");
    let server = bed.server();
    let remote = anonymous(&server.url("repo"));
    let fetched = bed.fetch(&remote, &main_branch()).await.unwrap();
    assert_eq!(paths(&fetched), ["app", "app/k.yaml", "readme"]);

    for name in [&b".."[..], b".git", b".GIT", b"\xff"] {
        // Plumbing makes what `git add` refuses.
        let blob = bed.repository.git(&["rev-parse", "HEAD:readme"]);
        let entry = [b"100644 ", name, b"\0", &hex::decode(&blob).unwrap()].concat();
        bed.repository.write("raw", &entry);
        let tree = bed.repository.git(&["hash-object", "-t", "tree", "-w", "--literally", "raw"]);
        let commit = bed.repository.git(&["commit-tree", &tree, "-m", "bad"]);
        bed.repository.git(&["update-ref", "refs/heads/bad", &commit]);
        let error = bed.fetch(&remote, &Reference::Branch("bad".into())).await.unwrap_err();
        assert!(matches!(error, GitError::Protocol { .. }), "{name:?}: {error}");
    }
}

#[tokio::test]
async fn names_without_end_meet_a_limit() {
    let bed = Bed::new();
    let server = bed.server();
    server.behave(Behaviour::EndlessRefs);
    let remote = anonymous(&server.url("repo"));
    let listed = git::ls_remote(&remote, &main_branch(), TIMEOUT).await.unwrap_err();
    let fetched = bed.fetch(&remote, &main_branch()).await.unwrap_err();
    for error in [listed, fetched] {
        assert!(matches!(&error, GitError::Limit { limit, .. } if limit.contains("its branches")), "{error}");
    }
}

#[tokio::test]
async fn links_count_although_they_are_left_out() {
    let bed = Bed::new();
    for name in ["one", "two", "three", "four"] {
        std::os::unix::fs::symlink("readme", bed.repository.dir().join(name)).unwrap();
    }
    bed.repository.git(&["rm", "-q", "-r", "--", "app", "readme"]);
    bed.repository.commit("links only");
    let server = bed.server();
    let remote = anonymous(&server.url("repo"));
    let limits = Limits { entries: 3, ..Limits::default() };
    let error = git::fetch(&remote, &main_branch(), &bed.cache, &limits, TIMEOUT).await.unwrap_err();
    assert!(error.to_string().contains("more than 3 files and directories"), "{error}");
    let fetched = bed.fetch(&remote, &main_branch()).await.unwrap();
    assert_eq!(paths(&fetched), [""; 0]);
}

#[tokio::test]
async fn ssh_works_with_the_right_keys_only() {
    let bed = Bed::new();
    bed.repository.git(&["tag", "-a", "v1.0.0", "-m", "annotated"]);
    for allow_env in [true, false] {
        let server = SshServer::start(bed.root.path(), allow_env);
        let remote = |identity: &str, known_hosts: &str, repository: &str| {
            let credentials = Credentials::Ssh {
                identity: Some(Secret::new(identity)),
                passphrase: None,
                known_hosts: known_hosts.to_owned(),
                agent: None,
            };
            Remote::new(&server.url(repository), &credentials, &Tls::default(), None)
        };
        let good = remote(server.identity(), &server.known_hosts(), "repo").unwrap();
        for reference in [main_branch(), Reference::Tag("v1.0.0".into())] {
            let cache = bed.empty_cache();
            let listed = git::ls_remote(&good, &reference, TIMEOUT).await.unwrap();
            let fetched = git::fetch(&good, &reference, &cache, &Limits::default(), TIMEOUT).await.unwrap();
            assert_eq!(listed, fetched.revision);
            assert_eq!(read(&fetched, "readme"), "hello");
        }
        // Twice with one cache: the second time, the server is told what is here.
        for content in ["kind: B\n", "kind: C\n"] {
            bed.repository.write("app/k.yaml", content).commit("more");
            let fetched = bed.fetch(&good, &main_branch()).await.unwrap();
            assert_eq!(read(&fetched, "app/k.yaml"), content);
        }

        let stranger = remote(&SshServer::stranger(), &server.known_hosts(), "repo").unwrap();
        let error = bed.fetch(&stranger, &main_branch()).await.unwrap_err();
        assert!(matches!(&error, GitError::Denied { why, .. } if why.contains("does not take the key")), "{error}");

        let other = SshServer::start(bed.root.path(), true).known_hosts();
        let other_key = other.split_once(' ').unwrap().1;
        let name = server.known_hosts().split_once(' ').unwrap().0.to_owned();
        let impostor = remote(server.identity(), &format!("{name} {other_key}"), "repo").unwrap();
        let error = bed.fetch(&impostor, &main_branch()).await.unwrap_err();
        assert!(
            matches!(&error, GitError::Denied { why, .. } if why.contains("not the one in known_hosts")),
            "{error}"
        );

        let unknown = remote(server.identity(), "", "repo").unwrap_err();
        assert!(unknown.to_string().contains("known_hosts"), "{unknown}");

        let missing = remote(server.identity(), &server.known_hosts(), "nothing").unwrap();
        let error = bed.fetch(&missing, &main_branch()).await.unwrap_err();
        assert!(matches!(error, GitError::NotFound { .. }), "{error}");
    }
}

#[tokio::test]
async fn ssh_works_with_the_keys_of_an_agent() {
    let bed = Bed::new();
    let server = SshServer::start(bed.root.path(), true);
    let agent = SshAgent::start();
    let remote = |identity: Option<String>| {
        let credentials = Credentials::Ssh {
            identity: identity.map(Secret::new),
            passphrase: None,
            known_hosts: server.known_hosts(),
            agent: Some(agent.socket().to_owned()),
        };
        Remote::new(&server.url("repo"), &credentials, &Tls::default(), None).unwrap()
    };
    let denied = |error: &GitError, text: &str| {
        assert!(matches!(error, GitError::Denied { why, .. } if why.contains(text)), "{error}");
    };
    denied(&bed.fetch(&remote(None), &main_branch()).await.unwrap_err(), "add one with `ssh-add`");
    agent.add(&SshServer::stranger());
    denied(&bed.fetch(&remote(None), &main_branch()).await.unwrap_err(), "does not take the key");
    let both = bed.fetch(&remote(Some(SshServer::stranger())), &main_branch()).await.unwrap_err();
    denied(&both, "none of the keys");
    // The agent's key is refused, our own is taken; then the agent has the right one, too.
    assert_eq!(
        read(&bed.fetch(&remote(Some(server.identity().to_owned())), &main_branch()).await.unwrap(), "readme"),
        "hello"
    );
    agent.add(server.identity());
    assert_eq!(read(&bed.fetch(&remote(None), &main_branch()).await.unwrap(), "readme"), "hello");
    drop(agent);
}

#[test]
fn a_local_repository_is_read_in_place() {
    let bed = Bed::new();
    bed.repository.write("uncommitted", "x");
    let limits = Limits::default();
    let fetched = git::local(bed.repository.dir(), &main_branch(), &limits).unwrap();
    assert_eq!(paths(&fetched), ["app", "app/k.yaml", "readme"]);
    assert_eq!(read(&fetched, "readme"), "hello");
    assert_eq!(git::local_revision(bed.repository.dir(), &main_branch()).unwrap(), fetched.revision);
    let worktree = bed.root.path().join("linked");
    bed.repository.git(&["worktree", "add", "-q", "-b", "side", worktree.to_str().unwrap()]);
    assert_eq!(git::local_branch(&worktree).unwrap().as_deref(), Some("side"));
    assert_eq!(paths(&git::local(&worktree, &Reference::Branch("side".into()), &limits).unwrap()), paths(&fetched));
    assert_eq!(git::local_branch(bed.repository.dir()).unwrap().as_deref(), Some("main"));

    bed.repository.git(&["tag", "-a", "v1.0.0", "-m", "annotated"]);
    bed.repository.git(&["gc", "-q"]);
    let tag = git::local(bed.repository.dir(), &Reference::Semver("1.x".into()), &limits).unwrap();
    assert_eq!(tag.revision.commit, fetched.revision.commit);
    assert_eq!(read(&fetched, "readme"), "hello", "a tree outlives the packing of its objects");

    let error = git::local(bed.root.path(), &main_branch(), &limits).unwrap_err();
    assert!(matches!(error, GitError::NotFound { .. }), "{error}");
    let empty = Repository::create(&bed.root.path().join("empty"));
    let error = git::local(empty.dir(), &main_branch(), &limits).unwrap_err();
    assert!(matches!(error, GitError::Empty { .. }), "{error}");
}
