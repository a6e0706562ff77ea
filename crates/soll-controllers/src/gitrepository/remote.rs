//! What a GitRepository's spec means to the Git client: which remote, which reference, as whom.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use soll_api::{Class, Failure, GitReference, GitRepository, Gvk, LocalRef, Object, Retry};
use soll_source::git::{Credentials, GitCache, GitError, Proxy, Reference, Remote, Tls};
use soll_source::{Secret, blocking};
use soll_yaml::Value;

use crate::Key;
use crate::context::Context;

/// Where the commits come from.
pub(super) enum Origin {
    /// A server.
    Remote(Remote),
    /// A directory on this machine.
    Local(PathBuf),
}

/// Remotes and their caches, kept from pass to pass: they remember connections and objects. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Remotes {
    /// Guards the table for single look-ups and inserts.
    by_object: Arc<Mutex<HashMap<Key, Known>>>,
}

#[derive(Default)]
struct Known {
    /// The remote, and what it was made from: generation and versions of its Secrets.
    remote: Option<(Made, Remote)>,
    cache: Arc<Mutex<Option<Arc<GitCache>>>>,
}

/// Where the cache of an object's remote is.
#[derive(Clone)]
pub(super) struct CachePlace {
    dir: PathBuf,
    /// Guards opening and removing it, which read and remove many files: taken on blocking threads only. A directory that is
    /// opened twice at once would be tidied up under who opened it first.
    opened: Arc<Mutex<Option<Arc<GitCache>>>>,
}

impl CachePlace {
    /// Opens the cache, or makes it. Blocks.
    pub(super) fn open(&self) -> Result<Arc<GitCache>, GitError> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cache) = &*opened {
            return Ok(Arc::clone(cache));
        }
        let cache = Arc::new(GitCache::open(&self.dir)?);
        *opened = Some(Arc::clone(&cache));
        Ok(cache)
    }

    /// Opens the cache if there is one. Blocks.
    pub(super) fn find(&self) -> Result<Option<Arc<GitCache>>, GitError> {
        if self.dir.exists() { self.open().map(Some) } else { Ok(None) }
    }

    /// Whether a content of it could not be read. Blocks if it is being opened.
    pub(super) fn is_damaged(&self) -> bool {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.as_ref().is_some_and(|cache| cache.is_damaged())
    }

    /// Removes it. Blocks.
    fn remove(&self) -> std::io::Result<()> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        *opened = None;
        match std::fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// What a remote was made from: uid and generation of the object, uid and version of each Secret.
type Made = Vec<String>;

impl Remotes {
    fn known(&self) -> MutexGuard<'_, HashMap<Key, Known>> {
        self.by_object.lock().expect("no line that holds this lock panics")
    }

    /// Where the cache of an object's remote is, under the data directory.
    pub(super) fn cache_place(&self, key: &Key, data_dir: &Path) -> CachePlace {
        let opened = Arc::clone(&self.known().entry(key.clone()).or_default().cache);
        CachePlace { dir: cache_dir(key, data_dir), opened }
    }

    /// The cache of an object's remote, under the data directory.
    pub(super) async fn cache(&self, key: &Key, data_dir: &Path) -> Result<Arc<GitCache>, GitError> {
        let place = self.cache_place(key, data_dir);
        blocking(move || place.open()).await
    }

    /// Forgets an object that is gone, and removes its cache.
    pub(super) async fn forget(&self, key: &Key, data_dir: &Path) {
        let place = self.cache_place(key, data_dir);
        let dir = place.dir.clone();
        if let Err(error) = blocking(move || place.remove()).await {
            tracing::warn!(%key, %error, dir = %dir.display(), "the Git cache cannot be removed");
        }
        // Last: who found the place before finds it empty now.
        self.known().remove(key);
    }
}

fn cache_dir(key: &Key, data_dir: &Path) -> PathBuf {
    data_dir.join("git").join(&*key.namespace).join(&*key.name)
}

/// The origin of a GitRepository, with its credentials.
pub(super) async fn origin(key: &Key, repository: &GitRepository, ctx: &Context) -> Result<Origin, Failure> {
    let spec = &repository.spec;
    if let Some(path) = ctx.local.path(&spec.url, key) {
        return Ok(Origin::Local(path));
    }
    let namespace = &repository.metadata.namespace;
    let auth = secret(spec.secret_ref.as_ref(), namespace, ctx).await?;
    let proxy = secret(spec.proxy_secret_ref.as_ref(), namespace, ctx).await?;
    let mut made = vec![repository.metadata.uid.clone(), repository.metadata.generation.to_string()];
    made.extend(
        [&auth, &proxy]
            .into_iter()
            .flatten()
            .map(|secret| format!("{}@{}", secret.object.uid(), secret.object.resource_version())),
    );
    if let Some((_, remote)) =
        ctx.remotes.known().get(key).and_then(|known| known.remote.as_ref()).filter(|(of, _)| *of == made)
    {
        return Ok(Origin::Remote(remote.clone()));
    }
    let (credentials, tls) = match &auth {
        Some(auth) => (auth.credentials(&spec.url, ctx.agents.of(key))?, auth.tls()?),
        None => (Credentials::default(), Tls::default()),
    };
    let proxy = proxy.map(|proxy| proxy.proxy()).transpose()?;
    let remote = connect(spec.url.clone(), credentials, tls, proxy).await?;
    ctx.remotes.known().entry(key.clone()).or_default().remote = Some((made, remote.clone()));
    Ok(Origin::Remote(remote))
}

/// Makes a remote, on a blocking thread: whoever encrypted a key decides how much work it is to decrypt it.
pub(super) async fn connect(
    url: String,
    credentials: Credentials,
    tls: Tls,
    proxy: Option<Proxy>,
) -> Result<Remote, GitError> {
    blocking(move || Remote::new(&url, &credentials, &tls, proxy.as_ref())).await
}

/// The reference that a spec means. Of several fields commit wins over name, tag, semver and branch.
pub(super) fn reference(spec: &GitReference) -> Result<Reference, Failure> {
    let branch = spec.branch.clone();
    Ok(if let Some(commit) = &spec.commit {
        Reference::Commit { id: commit.parse::<soll_source::git::CommitId>()?, branch }
    } else if let Some(name) = &spec.name {
        Reference::Name(name.clone())
    } else if let Some(tag) = &spec.tag {
        Reference::Tag(tag.clone())
    } else if let Some(range) = &spec.semver {
        Reference::Semver(range.clone())
    } else {
        branch.map_or_else(Reference::default_branch, Reference::Branch)
    })
}

/// A Secret that a spec names.
struct NamedSecret {
    object: Object,
}

async fn secret(reference: Option<&LocalRef>, namespace: &str, ctx: &Context) -> Result<Option<NamedSecret>, Failure> {
    let Some(LocalRef { name }) = reference else { return Ok(None) };
    let found = ctx.cluster.find(&Gvk::new("v1", "Secret"), namespace, name).await;
    let failed = |class, why: String| {
        let message = format!("failed to get secret '{namespace}/{name}': {why}");
        Failure::new(class, "AuthenticationFailed", message, Retry::Backoff)
    };
    match found {
        Ok(Some(object)) => Ok(Some(NamedSecret { object })),
        Ok(None) => Err(failed(Class::Configuration, format!("secrets \"{name}\" not found"))),
        Err(error) => Err(failed(error.class(), error.to_string())),
    }
}

impl NamedSecret {
    /// The bytes of a key.
    fn bytes(&self, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        let Some(text) = self.object.value().lookup(&["data", key]).and_then(Value::as_str) else { return Ok(None) };
        let decoded = STANDARD.decode(text);
        decoded.map(Some).map_err(|_| self.wrong(&format!("`{key}` is no base64")))
    }

    /// The text of a key, without the line end that editors leave.
    fn text(&self, key: &str) -> Result<Option<String>, Failure> {
        let Some(bytes) = self.bytes(key)? else { return Ok(None) };
        let text = String::from_utf8(bytes).map_err(|_| self.wrong(&format!("`{key}` is no UTF-8")))?;
        Ok(Some(text))
    }

    fn secret(&self, key: &str) -> Result<Option<Secret>, Failure> {
        Ok(self.bytes(key)?.map(Secret::new))
    }

    /// Who we are to the server; the URL's scheme decides which keys count.
    fn credentials(&self, url: &str, agent: Option<PathBuf>) -> Result<Credentials, Failure> {
        if url.starts_with("ssh://") {
            let lacks = |key: &str| self.wrong(&format!("ssh needs the key `{key}`"));
            let identity = self.secret("identity")?;
            if identity.is_none() && agent.is_none() {
                return Err(lacks("identity"));
            }
            return Ok(Credentials::Ssh {
                identity,
                passphrase: self.secret("password")?,
                known_hosts: self.text("known_hosts")?.ok_or_else(|| lacks("known_hosts"))?,
                agent,
            });
        }
        match (self.text("username")?, self.secret("password")?, self.secret("bearerToken")?) {
            (None, None, None) => Ok(Credentials::Anonymous),
            (None, None, Some(token)) => Ok(Credentials::Bearer(token)),
            (Some(username), password, None) => {
                Ok(Credentials::Basic { username, password: password.unwrap_or_else(|| Secret::new("")) })
            }
            (None, Some(_), _) => Err(self.wrong("`password` needs a `username`")),
            (Some(_), _, Some(_)) => Err(self.wrong("`bearerToken` and `username` exclude each other")),
        }
    }

    fn tls(&self) -> Result<Tls, Failure> {
        let ca = match self.bytes("ca.crt")? {
            Some(ca) => Some(ca),
            None => self.bytes("caFile")?,
        };
        let client = match (self.bytes("tls.crt")?, self.secret("tls.key")?) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => return Err(self.wrong("`tls.crt` needs a `tls.key`")),
            (None, Some(_)) => return Err(self.wrong("`tls.key` needs a `tls.crt`")),
        };
        Ok(Tls { ca, client })
    }

    fn proxy(&self) -> Result<Proxy, Failure> {
        let address = self.text("address")?.ok_or_else(|| self.wrong("a proxy needs the key `address`"))?;
        let (username, password) = (self.text("username")?, self.secret("password")?);
        Ok(Proxy { address: address.trim().to_owned(), username, password })
    }

    fn wrong(&self, what: &str) -> Failure {
        let message = format!("invalid secret '{}/{}': {what}", self.object.namespace(), self.object.name());
        Failure::new(Class::Configuration, "AuthenticationFailed", message, Retry::Backoff)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_most_precise_field_of_a_reference_wins() {
        let commit = "0123456789012345678901234567890123456789";
        let all = |fields: &[&str]| GitReference {
            branch: fields.contains(&"branch").then(|| "main".into()),
            tag: fields.contains(&"tag").then(|| "v1".into()),
            semver: fields.contains(&"semver").then(|| ">=1".into()),
            name: fields.contains(&"name").then(|| "refs/pull/1/head".into()),
            commit: fields.contains(&"commit").then(|| commit.into()),
        };
        let meant = |fields: &[&str]| reference(&all(fields)).unwrap();
        assert_eq!(meant(&[]), Reference::Branch("master".into()));
        assert_eq!(meant(&["branch"]), Reference::Branch("main".into()));
        assert_eq!(meant(&["branch", "semver"]), Reference::Semver(">=1".into()));
        assert_eq!(meant(&["branch", "semver", "tag"]), Reference::Tag("v1".into()));
        assert_eq!(meant(&["tag", "name"]), Reference::Name("refs/pull/1/head".into()));
        let id = commit.parse().unwrap();
        assert_eq!(meant(&["name", "commit", "branch"]), Reference::Commit { id, branch: Some("main".into()) });
        assert_eq!(meant(&["commit"]), Reference::Commit { id, branch: None });
    }

    fn secret(data: &[(&str, &str)]) -> NamedSecret {
        let data: Vec<_> =
            data.iter().map(|(key, value)| format!("\"{key}\":\"{}\"", STANDARD.encode(value))).collect();
        let text = format!(
            r#"{{"apiVersion":"v1","kind":"Secret","metadata":{{"name":"s","namespace":"n"}},"data":{{{}}}}}"#,
            data.join(",")
        );
        NamedSecret { object: Object::new(soll_yaml::parse_json(text.as_bytes()).unwrap()).unwrap() }
    }

    #[test]
    fn secrets_give_the_credentials_that_the_scheme_needs() {
        let of = |url: &str, data: &[(&str, &str)]| match secret(data).credentials(url, None) {
            Ok(Credentials::Anonymous) => "anonymous".to_owned(),
            Ok(Credentials::Basic { username, password }) => {
                format!("{username}:{}", password.expose_text().unwrap())
            }
            Ok(Credentials::Bearer(token)) => format!("bearer {}", token.expose_text().unwrap()),
            Ok(Credentials::Ssh { known_hosts, .. }) => format!("ssh {known_hosts}"),
            Err(failure) => failure.message,
        };
        let https = "https://example.com/a";
        assert_eq!(of(https, &[]), "anonymous");
        assert_eq!(of(https, &[("username", "u"), ("password", "p")]), "u:p");
        assert_eq!(of(https, &[("username", "u")]), "u:");
        assert_eq!(of(https, &[("bearerToken", "t")]), "bearer t");
        assert_eq!(of(https, &[("password", "p")]), "invalid secret 'n/s': `password` needs a `username`");
        let both = "invalid secret 'n/s': `bearerToken` and `username` exclude each other";
        assert_eq!(of(https, &[("username", "u"), ("bearerToken", "t")]), both);
        let ssh = "ssh://git@example.com/a";
        assert_eq!(of(ssh, &[("identity", "i"), ("known_hosts", "k")]), "ssh k");
        assert_eq!(of(ssh, &[("known_hosts", "k")]), "invalid secret 'n/s': ssh needs the key `identity`");
    }
}
