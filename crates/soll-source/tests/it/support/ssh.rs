//! A Git server over ssh, on a thread of its own.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::thread::JoinHandle;

use russh::keys::ssh_key::LineEnding;
use russh::keys::{PrivateKey, PublicKey};
use russh::server::{Auth, Handler, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::process::ChildStdin;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Serves the repositories below a directory by `git upload-pack`, to the owner of one key.
pub(crate) struct SshServer {
    address: SocketAddr,
    host_key: PublicKey,
    identity: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl SshServer {
    /// Serves the repositories below `root` on a free port of loopback. With `allow_env` off, only version 0 is spoken.
    pub(crate) fn start(root: &Path, allow_env: bool) -> Self {
        let host_key = key();
        let client = key();
        let identity = client.to_openssh(LineEnding::LF).expect("a key can be written").to_string();
        let listener = StdListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket can be so");
        let address = listener.local_addr().expect("it is bound");
        let config = russh::server::Config {
            auth_rejection_time: std::time::Duration::ZERO,
            keys: vec![host_key.clone()],
            ..Default::default()
        };
        let (stop, stopped) = oneshot::channel();
        let root = root.to_owned();
        let allowed = client.public_key().clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, Arc::new(config), root, allowed, allow_env) => {}
                    _ = stopped => {}
                }
            });
        });
        let host_key = host_key.public_key().clone();
        Self { address, host_key, identity, stop: Some(stop), thread: Some(thread) }
    }

    /// The URL of a repository by its path below the root.
    pub(crate) fn url(&self, repository: &str) -> String {
        format!("ssh://git@127.0.0.1:{}/{repository}", self.address.port())
    }

    /// The private key that is let in.
    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }

    /// The line for `known_hosts`.
    pub(crate) fn known_hosts(&self) -> String {
        let key = self.host_key.to_openssh().expect("a key can be written");
        format!("[127.0.0.1]:{} {key}\n", self.address.port())
    }

    /// A private key that nobody lets in.
    pub(crate) fn stranger() -> String {
        key().to_openssh(LineEnding::LF).expect("a key can be written").to_string()
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        if let (Some(stop), Some(thread)) = (self.stop.take(), self.thread.take()) {
            // A receiver that is gone has stopped already.
            let _ = stop.send(());
            let _ = thread.join();
        }
    }
}

fn key() -> PrivateKey {
    // Random bytes of the TLS library's key generator make the seed: no second generator is needed.
    let seed = rcgen::KeyPair::generate().expect("keys can be made").serialize_der();
    let seed: [u8; 32] = seed[seed.len() - 32..].try_into().expect("the length fits");
    let pair = russh::keys::ssh_key::private::Ed25519Keypair::from_seed(&seed);
    PrivateKey::from(pair)
}

async fn serve(
    listener: StdListener,
    config: Arc<russh::server::Config>,
    root: PathBuf,
    allowed: PublicKey,
    allow_env: bool,
) {
    let listener = TcpListener::from_std(listener).expect("a listener");
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let connection = Connection {
            root: root.clone(),
            allowed: allowed.clone(),
            allow_env,
            protocol: String::new(),
            inputs: HashMap::new(),
        };
        let config = config.clone();
        connections.spawn(async move {
            if let Ok(session) = russh::server::run_stream(config, stream, connection).await {
                // Clients that go away are no matter here.
                let _ = session.await;
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

struct Connection {
    root: PathBuf,
    allowed: PublicKey,
    allow_env: bool,
    protocol: String,
    inputs: HashMap<ChannelId, ChildStdin>,
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        let allowed = user == "git" && key.public_key.key_data() == self.allowed.key_data();
        Ok(if allowed { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: russh::server::ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn env_request(
        &mut self,
        _channel: ChannelId,
        name: &str,
        value: &str,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        if self.allow_env && name == "GIT_PROTOCOL" {
            value.clone_into(&mut self.protocol);
        }
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let command = String::from_utf8_lossy(data).into_owned();
        let path = command.strip_prefix("git-upload-pack '/").and_then(|rest| rest.strip_suffix('\''));
        let handle = session.handle();
        let Some(path) = path else {
            let _ = handle.close(channel).await;
            return Ok(());
        };
        let mut child = tokio::process::Command::new("git")
            .arg("upload-pack")
            .arg(self.root.join(path))
            .env("GIT_PROTOCOL", &self.protocol)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("git can be started");
        self.inputs.insert(channel, child.stdin.take().expect("it is piped"));
        let (mut out, mut err) = (child.stdout.take().expect("it is piped"), child.stderr.take().expect("it is piped"));
        tokio::spawn(async move {
            let mut buffer = vec![0; 16 * 1024];
            while let Ok(read @ 1..) = out.read(&mut buffer).await {
                if handle.data(channel, buffer[..read].to_vec()).await.is_err() {
                    return;
                }
            }
            let mut said = Vec::new();
            let _ = err.read_to_end(&mut said).await;
            let _ = handle.extended_data(channel, 1, said).await;
            let _ = child.wait().await;
            let _ = handle.eof(channel).await;
            let _ = handle.close(channel).await;
        });
        Ok(())
    }

    async fn data(&mut self, channel: ChannelId, data: &[u8], _session: &mut Session) -> Result<(), Self::Error> {
        if let Some(input) = self.inputs.get_mut(&channel) {
            // The program may have ended.
            let _ = input.write_all(data).await;
        }
        Ok(())
    }

    async fn channel_eof(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), Self::Error> {
        self.inputs.remove(&channel);
        Ok(())
    }
}
