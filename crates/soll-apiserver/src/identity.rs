//! Who the server is: its certificate authority, the administrator's token, and the key that signs tokens of service accounts.
//!
//! A server that keeps its store keeps these too, so that kubeconfigs and tokens outlive it.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rand::Rng as _;

use crate::serve::ServeError;
use crate::tls::Authority;
use crate::tokens::Signer;

/// What others know the server by.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) authority: Authority,
    pub(crate) admin_token: String,
    pub(crate) signer: Signer,
}

impl Identity {
    /// A new one.
    pub(crate) fn new() -> Result<Self, ServeError> {
        Ok(Self {
            authority: Authority::new()?,
            admin_token: random_token(),
            signer: Signer::of(&Signer::generate()?)?,
        })
    }

    /// The one that is kept in a directory; a new one if there is none yet.
    pub(crate) fn kept(directory: &Path) -> Result<Self, ServeError> {
        let keep = |name: &str, make: &dyn Fn() -> Result<Vec<u8>, ServeError>| -> Result<Vec<u8>, ServeError> {
            let path = directory.join(name);
            let io = |source| ServeError::Identity { path: path.clone(), source };
            match std::fs::read(&path) {
                Ok(bytes) => Ok(bytes),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    let bytes = make()?;
                    write(&path, &bytes).map_err(io)?;
                    Ok(bytes)
                }
                Err(error) => Err(io(error)),
            }
        };
        let text = |name: &str, bytes: Vec<u8>| {
            let source = || std::io::Error::from(std::io::ErrorKind::InvalidData);
            String::from_utf8(bytes).map_err(|_| ServeError::Identity { path: directory.join(name), source: source() })
        };
        let key = text("ca.key", keep("ca.key", &|| Ok(Authority::generate_key()?.into_bytes()))?)?;
        let certificate = keep("ca.crt", &|| Ok(Authority::self_signed(&key)?.into_bytes()))?;
        let admin_token = text("admin.token", keep("admin.token", &|| Ok(random_token().into_bytes()))?)?;
        Ok(Self {
            authority: Authority::of(&key, text("ca.crt", certificate)?)?,
            admin_token: admin_token.trim().to_owned(),
            signer: Signer::of(&keep("accounts.key", &Signer::generate)?)?,
        })
    }
}

/// Writes a file that only this user can read; it is there as a whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension("tmp");
    let mut file = std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}

fn random_token() -> String {
    let bytes: [u8; 24] = rand::rng().random();
    crate::discovery::hex(&bytes)
}
