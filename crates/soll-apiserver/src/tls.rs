//! Certificates: an authority of this server's own, and one for its address.

use std::net::IpAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::serve::ServeError;

/// What the certificate of the authority says, whatever its key.
fn parameters() -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, "soll-embedded-ca");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    parameters
}

/// The certificate authority of a server.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

impl Authority {
    /// A new one.
    pub(crate) fn new() -> Result<Self, ServeError> {
        let key = KeyPair::generate()?;
        let pem = parameters().self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(parameters(), key), pem })
    }

    /// A new key, in PEM.
    pub(crate) fn generate_key() -> Result<String, ServeError> {
        Ok(KeyPair::generate()?.serialize_pem())
    }

    /// A certificate for a key, in PEM.
    pub(crate) fn self_signed(key: &str) -> Result<String, ServeError> {
        Ok(parameters().self_signed(&KeyPair::from_pem(key)?)?.pem())
    }

    /// The one with this key and the certificate that was made for it, in PEM.
    pub(crate) fn of(key: &str, pem: String) -> Result<Self, ServeError> {
        Ok(Self { issuer: Issuer::new(parameters(), KeyPair::from_pem(key)?), pem })
    }

    /// The certificate of the authority, in PEM.
    pub(crate) fn certificate(&self) -> &str {
        &self.pem
    }

    /// A TLS configuration with a new certificate for an address of this machine.
    pub(crate) fn server_config(&self, address: IpAddr) -> Result<Arc<ServerConfig>, ServeError> {
        let names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
        let mut parameters = CertificateParams::new(names.map(str::to_owned).to_vec())?;
        parameters.subject_alt_names.push(SanType::IpAddress(address));
        parameters.distinguished_name.push(DnType::CommonName, "soll-embedded");
        let key = KeyPair::generate()?;
        let certificate = parameters.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}
