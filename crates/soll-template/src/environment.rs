//! What a template asks of the world: the shell answers.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The world as templates see it. The engine itself has no clock, no randomness, no network and no cryptography.
pub trait Environment {
    /// The time that `now` says.
    fn now(&self) -> Timestamp;

    /// The time zone of the machine.
    fn local_zone(&self) -> TimeZone {
        TimeZone::UTC
    }

    /// A time zone by its IANA name; `UTC` and `Local` are never asked for.
    fn zone(&self, name: &str) -> Option<TimeZone> {
        let _ = name;
        None
    }

    /// Fills a buffer with random bytes, good enough for passwords.
    fn random(&self, buffer: &mut [u8]);

    /// What `lookup` finds: one object if `name` is not empty, else the list; an empty map if there is none.
    ///
    /// # Errors
    /// What stands in the way; it fails the rendering.
    fn lookup(&self, api_version: &str, kind: &str, namespace: &str, name: &str) -> Result<soll_yaml::Value, String> {
        let _ = (api_version, kind, namespace, name);
        Ok(soll_yaml::Value::map())
    }

    /// An address of a host name for `getHostByName`; Helm answers nothing unless asked to by `--enable-dns`.
    fn address_of(&self, host: &str) -> String {
        let _ = host;
        String::new()
    }

    /// The cryptography, if there is any.
    fn crypto(&self) -> Option<&dyn Crypto> {
        None
    }

    /// Takes note of what `required` and `fail` say in a lenient rendering, which goes on all the same.
    fn warn(&self, message: &str) {
        let _ = message;
    }
}

/// The names and lifetime that a certificate is asked for with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateRequest {
    /// The common name of the subject.
    pub common_name: String,
    /// Addresses it is for.
    pub ips: Vec<std::net::IpAddr>,
    /// Host names it is for.
    pub dns_names: Vec<String>,
    /// From now on, in days.
    pub days: i64,
    /// The private key in PEM; a new RSA key of 2048 bits if there is none.
    pub key: Option<String>,
}

/// A certificate and its private key, both PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// The certificate.
    pub cert: String,
    /// The private key.
    pub key: String,
}

/// Cryptography that templates ask for and the shell does. Errors are said in the words that Sprig uses.
pub trait Crypto {
    /// The bcrypt hash of a password, at cost 10.
    ///
    /// # Errors
    /// Why not.
    fn bcrypt(&self, password: &[u8]) -> Result<String, String>;

    /// A new private key in PEM; `kind` is `rsa` (4096 bits), `ecdsa`, `ed25519` or `dsa`.
    ///
    /// # Errors
    /// Why not.
    fn private_key(&self, kind: &str) -> Result<String, String>;

    /// A certificate authority.
    ///
    /// # Errors
    /// Why not.
    fn authority(&self, request: &CertificateRequest) -> Result<Certificate, String>;

    /// A certificate that signs itself.
    ///
    /// # Errors
    /// Why not.
    fn self_signed(&self, request: &CertificateRequest) -> Result<Certificate, String>;

    /// A certificate signed by an authority.
    ///
    /// # Errors
    /// Why not.
    fn signed(&self, request: &CertificateRequest, authority: &Certificate) -> Result<Certificate, String>;

    /// Checks that these are a certificate and a private key.
    ///
    /// # Errors
    /// What is wrong with them.
    fn check_pair(&self, pair: &Certificate) -> Result<(), String>;

    /// AES-256 in CBC mode, without padding of its own; `data` is a multiple of 16 bytes.
    ///
    /// # Errors
    /// Why not.
    fn aes_cbc_encrypt(&self, key: &[u8; 32], iv: &[u8; 16], data: &[u8]) -> Result<Vec<u8>, String>;

    /// The reverse.
    ///
    /// # Errors
    /// Why not.
    fn aes_cbc_decrypt(&self, key: &[u8; 32], iv: &[u8; 16], data: &[u8]) -> Result<Vec<u8>, String>;

    /// The scrypt key of a password (N 32768, r 8, p 2, 64 bytes).
    ///
    /// # Errors
    /// Why not.
    fn scrypt(&self, password: &[u8], salt: &[u8]) -> Result<[u8; 64], String>;

    /// HMAC-SHA256.
    fn hmac_sha256(&self, key: &[u8], data: &[u8]) -> [u8; 32];

    /// SHA-1, which `sha1sum` prints.
    fn sha1(&self, data: &[u8]) -> [u8; 20];
}

/// How far a rendering may go: fuel, not clocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Nodes evaluated, items of lists and maps made or looked at; slow work, such as making keys, costs many.
    pub steps: u64,
    /// Templates, branches and parentheses within each other.
    pub depth: u32,
    /// Bytes of text made, the output included.
    pub bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { steps: 100_000_000, depth: 20_000, bytes: 1 << 30 }
    }
}
