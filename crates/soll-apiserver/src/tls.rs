//! Certificates: an authority of this server's own, and one for its address.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::CertificateSigningRequestDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme};
use time::OffsetDateTime;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::X509Name;

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

    /// A certificate for the client whose request this is (PEM, in base64), in PEM. It holds for so long.
    ///
    /// # Errors
    /// Says why there is none.
    pub(crate) fn sign_client(&self, request: &str, now: Timestamp, until: Timestamp) -> Result<String, String> {
        let mut request = read_request(request)?;
        let parameters = &mut request.params;
        let second =
            |at: Timestamp| OffsetDateTime::from_unix_timestamp(at.as_second()).map_err(|error| error.to_string());
        // Clocks may differ a little.
        parameters.not_before = second(now)? - std::time::Duration::from_secs(300);
        parameters.not_after = second(until)?;
        parameters.is_ca = IsCa::ExplicitNoCa;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        Ok(request.signed_by(&self.issuer).map_err(|error| error.to_string())?.pem())
    }

    /// Knows the certificates that this authority signed for clients.
    pub(crate) fn clients(&self) -> Result<Arc<dyn ClientCertVerifier>, ServeError> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).map_err(|_| ServeError::Authority)?)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).allow_unauthenticated();
        verifier.build().map_err(|_| ServeError::Authority)
    }

    /// A TLS configuration with a new certificate for an address of this machine, and for other names of it.
    pub(crate) fn server_config(&self, address: IpAddr, more: &[String]) -> Result<Arc<ServerConfig>, ServeError> {
        let names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
        let names = names.map(str::to_owned).into_iter().chain(more.iter().cloned());
        let mut parameters = CertificateParams::new(names.collect::<Vec<_>>())?;
        parameters.subject_alt_names.push(SanType::IpAddress(address));
        parameters.distinguished_name.push(DnType::CommonName, "soll-embedded");
        let key = KeyPair::generate()?;
        let certificate = parameters.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(Arc::new(Lenient(self.clients()?)))
            .with_single_cert(vec![certificate.der().clone()], key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// Reads a request for a certificate: PEM, in base64.
///
/// # Errors
/// Says what is wrong with it.
pub(crate) fn read_request(request: &str) -> Result<CertificateSigningRequestParams, String> {
    let request = decode_request(request)?;
    check_subject(&parse_request(&request)?.certification_request_info.subject)?;
    CertificateSigningRequestParams::from_der(&request).map_err(|error| error.to_string())
}

/// The organizations in the subject of a request for a certificate: the groups of its holder.
///
/// # Errors
/// Says what is wrong with it.
pub(crate) fn organizations(request: &str) -> Result<Vec<String>, String> {
    let request = decode_request(request)?;
    let parsed = parse_request(&request)?;
    Ok(parsed
        .certification_request_info
        .subject
        .iter_organization()
        .filter_map(|part| part.as_str().ok().map(str::to_owned))
        .collect())
}

fn decode_request(request: &str) -> Result<CertificateSigningRequestDer<'static>, String> {
    let pem = base64::engine::general_purpose::STANDARD.decode(request).unwrap_or_default();
    CertificateSigningRequestDer::from_pem_slice(&pem)
        .map_err(|_| "PEM block type must be CERTIFICATE REQUEST".to_owned())
}

fn parse_request<'a>(request: &'a CertificateSigningRequestDer<'_>) -> Result<X509CertificationRequest<'a>, String> {
    let (_, parsed) = X509CertificationRequest::from_der(request).map_err(|error| error.to_string())?;
    Ok(parsed)
}

/// Whoever has several groups would lose some of them, because what signs holds one value of each kind.
fn check_subject(subject: &X509Name<'_>) -> Result<(), String> {
    let mut kinds: Vec<String> = subject.iter_attributes().map(|one| one.attr_type().to_id_string()).collect();
    let all = kinds.len();
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.len() == all {
        Ok(())
    } else {
        Err("a subject with several values of one kind is not signed here".to_owned())
    }
}

/// Takes any client certificate, as long as the client holds its key: that it says nothing here is told as a `Status`, not by a
/// connection that breaks off.
#[derive(Debug)]
struct Lenient(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Lenient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
