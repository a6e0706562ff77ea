//! Git over http and https.

use std::sync::{Mutex, PoisonError};

use futures::TryStreamExt as _;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Certificate, Client, Identity, RequestBuilder, Response, StatusCode};
use soll_api::with_causes;
use tokio_util::io::StreamReader;
use url::Url;

use super::GitError;
use super::pkt::PacketReader;
use super::remote::{Credentials, Proxy, Tls};

/// Some servers answer only what calls itself git.
pub(super) const AGENT: &str = concat!("git/soll-", env!("CARGO_PKG_VERSION"));
const ADVERTISEMENT: &str = "info/refs?service=git-upload-pack";
const MAX_REDIRECTS: usize = 5;

/// How to reach one repository over http.
pub(super) struct HttpAccess {
    client: Client,
    url: Url,
    shown: String,
    authorization: Option<HeaderValue>,
    /// What the last greeting told, so that the next one can be left out. Guards one small value.
    known: Mutex<Option<Known>>,
}

/// What a greeting told.
#[derive(Clone)]
pub(super) struct Known {
    /// Where redirects led.
    pub(super) base: Url,
    /// Of protocol version 2.
    pub(super) capabilities: Vec<String>,
}

impl HttpAccess {
    pub(super) fn new(
        url: &Url,
        shown: &str,
        credentials: &Credentials,
        tls: &Tls,
        proxy: Option<&Proxy>,
    ) -> Result<Self, GitError> {
        let authorization = authorization(url, credentials)?;
        let client = client(tls, proxy)
            .map_err(|why| GitError::Credentials(format!("certificates or proxy for {shown}: {why}")))?;
        let url = without_credentials(url);
        Ok(Self { client, url, shown: shown.to_owned(), authorization, known: Mutex::default() })
    }

    pub(super) fn known(&self) -> Option<Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn remember(&self, known: Option<Known>) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }

    /// Whether a redirect led there.
    pub(super) fn is_elsewhere(&self, base: &Url) -> bool {
        base_of(&endpoint(&self.url, ADVERTISEMENT)).as_ref() != Some(base)
    }

    /// Forgets where a redirect led: it may lead elsewhere by now.
    pub(super) fn forget_redirect(&self) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_some_and(|known| self.is_elsewhere(&known.base)) {
            *known = None;
        }
    }

    /// Asks for the greeting, following redirects. Returns where it was found.
    pub(super) async fn greet(&self) -> Result<(Url, PacketReader), GitError> {
        let mut target = endpoint(&self.url, ADVERTISEMENT);
        for _ in 0..=MAX_REDIRECTS {
            let request = self.client.get(target.clone()).header(ACCEPT, "*/*");
            let response = self.send(request, &target).await?;
            if response.status().is_redirection() {
                target = self.follow(&target, &response)?;
                continue;
            }
            let response = self.expect(response, "application/x-git-upload-pack-advertisement")?;
            return Ok((base_of(&target).ok_or_else(|| self.misled(&target))?, body(response)));
        }
        Err(self.wrong(format!("more than {MAX_REDIRECTS} redirects")))
    }

    /// Sends a request and returns the answer's bytes.
    pub(super) async fn post(&self, base: &Url, request: Vec<u8>) -> Result<PacketReader, GitError> {
        let target = endpoint(base, "git-upload-pack");
        let request = self
            .client
            .post(target.clone())
            .header(CONTENT_TYPE, "application/x-git-upload-pack-request")
            .header(ACCEPT, "application/x-git-upload-pack-result")
            .body(request);
        let response = self.send(request, &target).await?;
        self.expect(response, "application/x-git-upload-pack-result").map(body)
    }

    async fn send(&self, request: RequestBuilder, target: &Url) -> Result<Response, GitError> {
        let mut request = request.header("Git-Protocol", "version=2");
        if let Some(authorization) = self.authorization.as_ref().filter(|_| self.may_see_credentials(target)) {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        request
            .send()
            .await
            .map_err(|error| GitError::Unreachable { url: self.shown.clone(), why: with_causes(&error.without_url()) })
    }

    /// Another host never gets our credentials, nor does an unencrypted connection that we did not ask for.
    fn may_see_credentials(&self, target: &Url) -> bool {
        let same_port = target.port_or_known_default() == self.url.port_or_known_default();
        let upgraded = self.url.scheme() == "http" && target.scheme() == "https";
        let same_scheme = target.scheme() == self.url.scheme() && same_port;
        target.host_str() == self.url.host_str() && (same_scheme || upgraded)
    }

    fn follow(&self, from: &Url, response: &Response) -> Result<Url, GitError> {
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let target = location.and_then(|location| from.join(location).ok());
        let target = target.ok_or_else(|| self.wrong("a redirect without target"))?;
        let downgraded = from.scheme() == "https" && target.scheme() != "https";
        if downgraded || !matches!(target.scheme(), "http" | "https") {
            return Err(self.wrong(format!("it redirects to `{}`, which is not followed", redacted_url(&target))));
        }
        base_of(&target).map(|_| target.clone()).ok_or_else(|| self.misled(&target))
    }

    fn expect(&self, response: Response, content_type: &str) -> Result<Response, GitError> {
        let url = self.shown.clone();
        let status = response.status();
        let with = if self.authorization.is_some() { "these credentials" } else { "no credentials" };
        match status {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => {
                return Err(GitError::Denied {
                    url,
                    why: format!("it answers 401 to {with}; see spec.secretRef for the ones it wants"),
                });
            }
            StatusCode::FORBIDDEN => return Err(GitError::Denied { url, why: format!("it answers 403 to {with}") }),
            StatusCode::NOT_FOUND | StatusCode::GONE => return Err(GitError::NotFound { url }),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                return Err(GitError::Unreachable { url, why: format!("it answers {status}") });
            }
            _ if status.is_server_error() => {
                return Err(GitError::Unreachable { url, why: format!("it answers {status}") });
            }
            _ => return Err(self.wrong(format!("it answers {status}"))),
        }
        let found = response.headers().get(CONTENT_TYPE).and_then(|found| found.to_str().ok()).unwrap_or("nothing");
        if found == content_type {
            return Ok(response);
        }
        Err(self.wrong(format!("the answer is {found} instead of {content_type}; is this the URL to clone from?")))
    }

    fn misled(&self, target: &Url) -> GitError {
        self.wrong(format!("it redirects to `{}`, which is no repository", redacted_url(target)))
    }

    fn wrong(&self, why: impl Into<String>) -> GitError {
        GitError::protocol(&self.shown, why)
    }
}

fn authorization(url: &Url, credentials: &Credentials) -> Result<Option<HeaderValue>, GitError> {
    let (user, password) = match credentials {
        Credentials::Bearer(token) => {
            return sensitive(&[b"Bearer ", token.expose()].concat()).map(Some);
        }
        Credentials::Basic { username, password } => (username.clone(), password.expose().to_vec()),
        Credentials::Ssh { .. } => {
            return Err(GitError::Credentials("an ssh key does not help with an http URL".to_owned()));
        }
        Credentials::Anonymous if url.username().is_empty() && url.password().is_none() => return Ok(None),
        Credentials::Anonymous => (decoded(url.username()), decoded(url.password().unwrap_or_default()).into_bytes()),
    };
    let pair = [user.as_bytes(), b":", &password].concat();
    sensitive(&[b"Basic ", base64(&pair).as_bytes()].concat()).map(Some)
}

fn sensitive(value: &[u8]) -> Result<HeaderValue, GitError> {
    let mut header = HeaderValue::from_bytes(value)
        .map_err(|_| GitError::Credentials("the token has characters that no HTTP header may have".to_owned()))?;
    header.set_sensitive(true);
    Ok(header)
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// User and password of a URL are percent-encoded.
pub(super) fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn client(tls: &Tls, proxy: Option<&Proxy>) -> Result<Client, String> {
    let mut headers = HeaderMap::new();
    headers.insert(reqwest::header::USER_AGENT, HeaderValue::from_static(AGENT));
    let mut builder = Client::builder()
        .default_headers(headers)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(std::time::Duration::from_secs(30));
    if let Some(ca) = &tls.ca {
        let certificates =
            Certificate::from_pem_bundle(ca).map_err(|error| format!("ca.crt: {}", with_causes(&error)))?;
        if certificates.is_empty() {
            return Err("ca.crt has no certificate in PEM form".to_owned());
        }
        builder = builder.tls_certs_merge(certificates);
    }
    if let Some((certificate, key)) = &tls.client {
        let pem = [certificate.as_slice(), b"\n", key.expose()].concat();
        builder =
            builder.identity(Identity::from_pem(&pem).map_err(|error| format!("tls.crt: {}", with_causes(&error)))?);
    }
    if let Some(proxy) = proxy {
        let mut through = reqwest::Proxy::all(proxy_address(&proxy.address)?).map_err(|error| with_causes(&error))?;
        if let Some(username) = &proxy.username {
            let password = proxy.password.as_ref().map(|password| password.expose_text()).transpose();
            let password = password.map_err(|_| "the proxy password is not UTF-8".to_owned())?;
            through = through.basic_auth(username, password.unwrap_or_default());
        }
        builder = builder.proxy(through);
    }
    builder.build().map_err(|error| with_causes(&error))
}

/// Checks the address of a proxy. It may carry a password, so that no message quotes it.
fn proxy_address(address: &str) -> Result<Url, String> {
    let wanted = "a proxy address begins with http://, https:// or socks5://";
    let (scheme, rest) = address.split_once("://").ok_or_else(|| format!("{wanted}; this one has no scheme"))?;
    // Names are resolved by the proxy, as Go's client does.
    let scheme = match scheme {
        "http" | "https" => scheme,
        "socks5" => "socks5h",
        scheme if scheme.chars().all(|c| c.is_ascii_alphanumeric()) => {
            return Err(format!("{wanted}, not {scheme}://"));
        }
        _ => return Err(format!("{wanted}; this one has another scheme")),
    };
    Url::parse(&format!("{scheme}://{rest}")).map_err(|error| format!("the proxy address is no URL: {error}"))
}

fn body(response: Response) -> PacketReader {
    PacketReader::new(StreamReader::new(Box::pin(response.bytes_stream().map_err(std::io::Error::other))))
}

fn endpoint(base: &Url, tail: &str) -> Url {
    let mut target = base.clone();
    let path = base.path().trim_end_matches('/').to_owned();
    let (tail, query) = tail.split_once('?').map_or((tail, None), |(tail, query)| (tail, Some(query)));
    target.set_path(&format!("{path}/{tail}"));
    target.set_query(query);
    target
}

/// The repository that a greeting was found at.
fn base_of(target: &Url) -> Option<Url> {
    let path = target.path().strip_suffix("/info/refs")?.to_owned();
    let mut base = target.clone();
    base.set_path(&path);
    base.set_query(None);
    Some(base)
}

pub(super) fn without_credentials(url: &Url) -> Url {
    let mut url = url.clone();
    // Both refuse only for URLs without host, which have no credentials either.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

fn redacted_url(url: &Url) -> Url {
    let mut url = without_credentials(url);
    url.set_query(None);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_stay_with_the_host_and_its_encryption() {
        let access = |url: &str| {
            let url = Url::parse(url).expect("valid");
            HttpAccess::new(&url, "shown", &Credentials::Anonymous, &Tls::default(), None).expect("valid")
        };
        let may = |from: &str, to: &str| access(from).may_see_credentials(&Url::parse(to).expect("valid"));
        assert!(may("https://a/x", "https://a/x.git"));
        assert!(may("http://a/x", "https://a/x"));
        assert!(!may("https://a/x", "https://b/x"));
        assert!(!may("https://a/x", "http://a/x"));
        assert!(!may("https://a/x", "https://a:8443/x"));
    }

    #[test]
    fn no_message_quotes_what_may_be_a_password() {
        let refusal = |address: &str| {
            let proxy = Proxy { address: address.to_owned(), username: None, password: None };
            client(&Tls::default(), Some(&proxy)).expect_err("the address is wrong")
        };
        for address in [
            "user:s3cret@proxy:3128",
            "user:s3cret@proxy",
            "s3cret",
            "user:s3cret@proxy://x",
            "http://user:s3cret@proxy:port",
            "http://user:s3cret@[proxy",
            "socks5://user:s3cret@",
        ] {
            let refusal = refusal(address);
            assert!(!refusal.contains("s3cret") && !refusal.is_empty(), "{address}: {refusal}");
        }
        assert!(refusal("user:s3cret@proxy:3128").ends_with("this one has no scheme"));
        assert!(refusal("ftp://user:s3cret@proxy").ends_with("not ftp://"));
    }

    #[test]
    fn credentials_of_the_url_are_decoded() {
        let url = Url::parse("https://me:p%40s&s+w@git/x").expect("valid");
        let header = authorization(&url, &Credentials::Anonymous).expect("valid").expect("present");
        assert_eq!(header.as_bytes(), format!("Basic {}", base64(b"me:p@s&s+w")).as_bytes());
        assert!(!format!("{header:?}").contains("Basic"));
    }
}
