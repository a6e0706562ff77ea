//! Git over ssh, in process: no `ssh` program, no files of the user; an agent only if one is named.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use russh::client::{self, AuthResult, Handle, Handler};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{Algorithm, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Disconnect};
use soll_api::with_causes;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use tokio_util::io::StreamReader;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use super::http::decoded;
use super::known_hosts::{self, Trusted};
use super::pkt::PacketReader;
use super::remote::Credentials;
use super::{GitError, derivation};

const DEFAULT_PORT: u16 = 22;
const DEFAULT_USER: &str = "git";
/// Answers of the server that wait to be read; more of them stop the sender.
const WAITING: usize = 16;
/// What a server may say on its error stream.
const SAID_BYTES: usize = 4096;

/// How to reach one repository over ssh.
pub(super) struct SshAccess {
    host: String,
    port: u16,
    user: String,
    path: String,
    key: Option<Arc<PrivateKey>>,
    agent: Option<PathBuf>,
    trusted: Trusted,
}

impl SshAccess {
    pub(super) fn new(url: &Url, shown: &str, credentials: &Credentials) -> Result<Self, GitError> {
        let Credentials::Ssh { identity, passphrase, known_hosts, agent } = credentials else {
            let why =
                format!("{shown} needs a private key: set spec.secretRef to a Secret with identity and known_hosts");
            return Err(GitError::Credentials(why));
        };
        let bad = |what: &str, why: String| GitError::Credentials(format!("{what} for {shown}: {why}"));
        let text = |secret: &crate::Secret, what| {
            let text = secret.expose_text().map(str::to_owned);
            text.map_err(|_| bad(what, "it is not text".to_owned()))
        };
        let passphrase = passphrase.as_ref().map(|secret| text(secret, "password")).transpose()?;
        let identity = identity.as_ref().map(|secret| text(secret, "identity")).transpose()?;
        if let Some(identity) = &identity {
            derivation::check(identity).map_err(|why| bad("identity", why))?;
        }
        let key = identity.map(|identity| russh::keys::decode_secret_key(&identity, passphrase.as_deref())).transpose();
        let key = match key {
            // The agent has it without the passphrase, if anybody has.
            Err(russh::keys::Error::KeyIsEncrypted) if agent.is_some() => Ok(None),
            key => key,
        };
        // The library's texts say what was wrong with the form and nothing of the key.
        let key =
            key.map_err(|error| bad("identity", format!("the private key cannot be read: {}", with_causes(&error))))?;

        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = url.port().unwrap_or(DEFAULT_PORT);
        let trusted = known_hosts::trusted(known_hosts, &host, port);
        if trusted.keys.is_empty() {
            let name = known_hosts::name(&host, port);
            return Err(bad(
                "known_hosts",
                format!("it has no key of `{name}`; `ssh-keyscan` shows the ones to compare"),
            ));
        }
        let user = if url.username().is_empty() { DEFAULT_USER.to_owned() } else { decoded(url.username()) };
        let path = decoded(url.path());
        Ok(Self { host, port, user, path, key: key.map(Arc::new), agent: agent.clone(), trusted })
    }

    /// Connects, proves who we are and starts the server's program.
    pub(super) async fn connect(&self, shown: &str) -> Result<SshChannel, GitError> {
        let unreachable = |why: String| GitError::Unreachable { url: shown.to_owned(), why };
        let mut config = client::Config::default();
        // A server with several keys must show one that we know.
        config.preferred.key = self.trusted.algorithms().into();
        let refused: Arc<Mutex<Option<String>>> = Arc::default();
        let verifier = Verifier { trusted: self.trusted.clone(), refused: refused.clone() };
        let connected = client::connect(Arc::new(config), (self.host.as_str(), self.port), verifier).await;
        let mut handle = match connected {
            Ok(handle) => handle,
            Err(error) => {
                let refused = refused.lock().unwrap_or_else(PoisonError::into_inner).take();
                return Err(match refused {
                    Some(why) => GitError::Denied { url: shown.to_owned(), why },
                    None => unreachable(with_causes(&error)),
                });
            }
        };
        self.authenticate(&mut handle, shown).await?;
        let channel = handle.channel_open_session().await.map_err(|error| unreachable(with_causes(&error)))?;
        // Servers that do not take it speak version 0.
        channel.set_env(false, "GIT_PROTOCOL", "version=2").await.map_err(|error| unreachable(with_causes(&error)))?;
        let command = format!("git-upload-pack {}", quoted(&self.path));
        channel.exec(false, command).await.map_err(|error| unreachable(with_causes(&error)))?;
        let (answers, requests) = channel.split();
        Ok(SshChannel::new(shown, handle, answers, requests))
    }

    /// Tries the keys of the agent, then our own, as `ssh` does.
    async fn authenticate(&self, handle: &mut Handle<Verifier>, shown: &str) -> Result<(), GitError> {
        let mut tried = Vec::new();
        if let Some(socket) = &self.agent {
            match self.ask_agent(socket, handle, shown, &mut tried).await {
                Ok(true) => return Ok(()),
                // One that is gone is no reason not to use the key that we have.
                Err(error) if self.key.is_none() => return Err(error),
                Ok(false) | Err(_) => {}
            }
        }
        if let Some(key) = &self.key {
            let hash = rsa_hash(handle, &key.algorithm()).await;
            let key_with_hash = PrivateKeyWithHashAlg::new(key.clone(), hash);
            match handle.authenticate_publickey(self.user.clone(), key_with_hash).await {
                Ok(AuthResult::Success) => return Ok(()),
                Ok(AuthResult::Failure { .. }) => tried.push(fingerprint(key.public_key())),
                Err(error) => return Err(GitError::Unreachable { url: shown.to_owned(), why: with_causes(&error) }),
            }
        }
        let why = match tried.as_slice() {
            [] => "the ssh-agent holds no key: add one with `ssh-add`".to_owned(),
            [key] => format!("it does not take the key {key} for user `{}`", self.user),
            keys => format!("it takes none of the keys {} for user `{}`", keys.join(", "), self.user),
        };
        Err(GitError::Denied { url: shown.to_owned(), why })
    }

    /// Whether the server takes one of the agent's keys; notes those that it does not.
    async fn ask_agent(
        &self,
        socket: &Path,
        handle: &mut Handle<Verifier>,
        shown: &str,
        tried: &mut Vec<String>,
    ) -> Result<bool, GitError> {
        let failed = |error: &dyn std::error::Error| {
            let why =
                format!("the ssh-agent at {} cannot be asked for {shown}: {}", socket.display(), with_causes(error));
            GitError::Credentials(why)
        };
        let mut agent = AgentClient::connect_uds(socket).await.map_err(|error| failed(&error))?;
        for identity in agent.request_identities().await.map_err(|error| failed(&error))? {
            // A certificate comes beside its plain key.
            let AgentIdentity::PublicKey { key, .. } = identity else { continue };
            let hash = rsa_hash(handle, &key.algorithm()).await;
            let said = handle.authenticate_publickey_with(self.user.clone(), key.clone(), hash, &mut agent).await;
            match said.map_err(|error| failed(&error))? {
                AuthResult::Success => return Ok(true),
                AuthResult::Failure { .. } => tried.push(fingerprint(&key)),
            }
        }
        Ok(false)
    }
}

/// How an RSA key signs for this server. Those that do not say what they take get SHA-512, which every living one knows.
async fn rsa_hash(handle: &Handle<Verifier>, algorithm: &Algorithm) -> Option<HashAlg> {
    match algorithm {
        Algorithm::Rsa { .. } => handle.best_supported_rsa_hash().await.ok().flatten().unwrap_or(Some(HashAlg::Sha512)),
        _ => None,
    }
}

fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// Lets nobody in but the servers of `known_hosts`.
struct Verifier {
    trusted: Trusted,
    /// Guards the text of a refusal, for the message.
    refused: Arc<Mutex<Option<String>>>,
}

impl Handler for Verifier {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else {
            self.refuse("it shows a certificate, and none was asked for".to_owned());
            return Ok(false);
        };
        let known = self.trusted.keys.iter().any(|trusted| trusted.key_data() == key.key_data());
        if !known {
            let fingerprint = key.fingerprint(HashAlg::Sha256);
            self.refuse(format!(
                "its key {fingerprint} is not the one in known_hosts: the server changed, or is another"
            ));
        }
        Ok(known)
    }
}

impl Verifier {
    fn refuse(&self, why: String) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }
}

/// The running program of the server. Dropping it closes the connection.
pub(super) struct SshChannel {
    shown: String,
    requests: ChannelWriteHalf<client::Msg>,
    answers: PacketReader,
    /// Guards what the program wrote to its error stream.
    said: Arc<Mutex<Vec<u8>>>,
    _pump: AbortOnDropHandle<()>,
}

impl SshChannel {
    fn new(
        shown: &str,
        handle: Handle<Verifier>,
        answers: ChannelReadHalf,
        requests: ChannelWriteHalf<client::Msg>,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        let said: Arc<Mutex<Vec<u8>>> = Arc::default();
        let pump = tokio::spawn(pump(handle, answers, sender, said.clone()));
        let stream = futures::stream::unfold(receiver, async |mut receiver| {
            let bytes: Bytes = receiver.recv().await?;
            Some((Ok::<_, std::io::Error>(bytes), receiver))
        });
        let answers = PacketReader::new(StreamReader::new(Box::pin(stream)));
        Self { shown: shown.to_owned(), requests, answers, said, _pump: AbortOnDropHandle::new(pump) }
    }

    pub(super) fn reader(&mut self) -> &mut PacketReader {
        &mut self.answers
    }

    pub(super) async fn send(&mut self, url: &str, request: &[u8]) -> Result<(), GitError> {
        let mut writer = self.requests.make_writer();
        let sent = match writer.write_all(request).await {
            Ok(()) => writer.flush().await,
            Err(error) => Err(error),
        };
        sent.map_err(|error| self.explain(GitError::Unreachable { url: url.to_owned(), why: with_causes(&error) }))
    }

    /// What the server said in words explains an answer that broke off.
    pub(super) fn explain(&self, error: GitError) -> GitError {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let said = String::from_utf8_lossy(&said);
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        if said.is_empty() {
            return error;
        }
        let lower = said.to_lowercase();
        if lower.contains("not found") || lower.contains("does not appear to be a git repository") {
            return GitError::NotFound { url: self.shown.clone() };
        }
        GitError::Denied { url: self.shown.clone(), why: format!("the server says `{said}`") }
    }
}

/// Carries the program's output until it ends or nobody listens.
async fn pump(
    handle: Handle<Verifier>,
    mut answers: ChannelReadHalf,
    sender: mpsc::Sender<Bytes>,
    said: Arc<Mutex<Vec<u8>>>,
) {
    while let Some(message) = answers.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                let sent = sender.send(data).await;
                if sent.is_err() {
                    break;
                }
            }
            ChannelMsg::ExtendedData { data, .. } => {
                let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                let room = SAID_BYTES.saturating_sub(said.len());
                said.extend_from_slice(&data[..room.min(data.len())]);
            }
            ChannelMsg::Close => break,
            _ => {}
        }
    }
    // The other side may be gone already.
    let _ = handle.disconnect(Disconnect::ByApplication, "", "").await;
}

/// For the shell of the server.
fn quoted(path: &str) -> String {
    format!("'{}'", path.replace('\'', r"'\''"))
}

impl Trusted {
    /// The algorithms of the trusted keys; RSA keys sign with SHA-2 only.
    fn algorithms(&self) -> Vec<Algorithm> {
        let mut algorithms = Vec::new();
        for key in &self.keys {
            match key.algorithm() {
                Algorithm::Rsa { .. } => {
                    algorithms
                        .extend([HashAlg::Sha512, HashAlg::Sha256].map(|hash| Algorithm::Rsa { hash: Some(hash) }));
                }
                algorithm => algorithms.push(algorithm),
            }
        }
        algorithms
    }
}

/// So that keys can be compared without their comments.
pub(super) fn parse_key(algorithm: &str, base64: &str) -> Option<PublicKey> {
    PublicKey::from_openssh(&format!("{algorithm} {base64}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_of_a_url_is_decoded() {
        let url = Url::parse("ssh://me%40corp@host/x%20y").expect("valid");
        let seed = russh::keys::ssh_key::private::Ed25519Keypair::from_seed(&[7; 32]);
        let key = PrivateKey::from(seed);
        let identity = key.to_openssh(russh::keys::ssh_key::LineEnding::LF).expect("a key can be written").to_string();
        let known_hosts = format!("host {}", key.public_key().to_openssh().expect("a key can be written"));
        let credentials = Credentials::Ssh {
            identity: Some(crate::Secret::new(identity)),
            passphrase: None,
            known_hosts,
            agent: None,
        };
        let access = SshAccess::new(&url, "shown", &credentials).expect("valid");
        assert_eq!((access.user.as_str(), access.path.as_str()), ("me@corp", "/x y"));
    }
}
