//! Where a repository is and how to get in.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use url::Url;

use super::http::HttpAccess;
use super::ssh::SshAccess;
use super::{GitError, http};
use crate::Secret;

/// A repository on a server. Keep it between operations: it remembers connections and what the server can do.
#[derive(Clone)]
pub struct Remote {
    shown: String,
    access: Arc<Access>,
}

/// One way per scheme.
pub(super) enum Access {
    Http(HttpAccess),
    Ssh(SshAccess),
}

/// Who we are to the server.
#[derive(Debug, Clone, Default)]
pub enum Credentials {
    /// Nobody; user and password in the URL still count.
    #[default]
    Anonymous,
    /// HTTP basic authentication.
    Basic {
        /// The user.
        username: String,
        /// May be empty.
        password: Secret,
    },
    /// A token in the `Authorization` header.
    Bearer(Secret),
    /// A private key, and the servers that it may be used with.
    Ssh {
        /// The private key: OpenSSH, PKCS#8 or PKCS#1, in PEM. May be absent if there is an agent.
        identity: Option<Secret>,
        /// For an encrypted key.
        passphrase: Option<Secret>,
        /// The server keys that are trusted, in the form of OpenSSH's file of that name.
        known_hosts: String,
        /// The socket of an ssh-agent, whose keys are tried first.
        agent: Option<PathBuf>,
    },
}

/// Certificates for https, all in PEM.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Certificate authorities, besides those of the system.
    pub ca: Option<Vec<u8>>,
    /// Our own certificate and its key.
    pub client: Option<(Vec<u8>, Secret)>,
}

/// A proxy on the way to the server.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// `http://`, `https://` or `socks5://`.
    pub address: String,
    /// The user, if it asks for one.
    pub username: Option<String>,
    /// The password of that user.
    pub password: Option<Secret>,
}

impl Remote {
    /// Checks URL and credentials; opens no connection.
    ///
    /// Without `proxy` the proxy variables of the environment count, as for git.
    ///
    /// # Errors
    /// [`GitError::Url`] for a scheme other than http, https and ssh; [`GitError::Credentials`] for what does not fit together.
    pub fn new(url: &str, credentials: &Credentials, tls: &Tls, proxy: Option<&Proxy>) -> Result<Self, GitError> {
        let parsed = Url::parse(url).map_err(|error| GitError::Url { url: redacted(url), why: error.to_string() })?;
        let shown = redacted(url);
        let bad = |why: &str| GitError::Url { url: shown.clone(), why: why.to_owned() };
        if parsed.host_str().is_none_or(str::is_empty) {
            return Err(bad("it has no host"));
        }
        let access = match parsed.scheme() {
            "http" | "https" => Access::Http(HttpAccess::new(&parsed, &shown, credentials, tls, proxy)?),
            "ssh" if proxy.is_some() => {
                return Err(GitError::Unsupported { url: shown, what: "a proxy for ssh".to_owned() });
            }
            "ssh" => Access::Ssh(SshAccess::new(&parsed, &shown, credentials)?),
            _ => return Err(bad("only http, https and ssh are supported")),
        };
        Ok(Self { shown, access: Arc::new(access) })
    }

    /// The URL without credentials.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.shown
    }

    pub(super) fn access(&self) -> &Access {
        &self.access
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Remote").field(&self.shown).finish()
    }
}

/// A URL without user and password.
#[must_use]
pub fn redacted(url: &str) -> String {
    match Url::parse(url) {
        Ok(parsed) if parsed.has_host() || parsed.scheme() == "file" => http::without_credentials(&parsed).to_string(),
        // What is no URL, or one without a host as `me:password@host`, may still have a password before its `@`.
        _ => {
            let (scheme, rest) = url.find("://").map_or(("", url), |end| url.split_at(end + "://".len()));
            // `git@host:path@version` names a user and no password.
            let has_password = !scheme.is_empty() || rest.split('@').next().is_some_and(|user| user.contains(':'));
            match rest.rsplit_once('@') {
                Some((_, host)) if has_password => format!("{scheme}…@{host}"),
                _ => url.to_owned(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        let remote = Remote::new(url, &Credentials::Anonymous, &Tls::default(), None);
        remote.expect_err("the URL is wrong").to_string()
    }

    #[test]
    fn urls_are_checked_and_shown_without_credentials() {
        assert_eq!(redacted("https://me:hunter2@git/x.git"), "https://git/x.git");
        assert_eq!(redacted("https://me:hunter2@[bad/x.git"), "https://…@[bad/x.git");
        assert_eq!(redacted("me:hunter2@git/x.git"), "…@git/x.git");
        assert_eq!(redacted("git@github.com:org/repo@v1"), "git@github.com:org/repo@v1");
        assert!(refusal("ftp://me:hunter2@git/x").starts_with("`ftp://git/x` is not a usable Git URL"));
        assert!(refusal("git@github.com:org/repo").contains("is not a usable Git URL"));
        assert!(refusal("ssh://git@host/x").contains("identity"));
    }
}
