//! Client certificates: whoever holds one that the server's authority signed is the user that it names.

use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use sha2::{Digest as _, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::AttributeTypeAndValue;

use super::{AUTHENTICATED, User};
use crate::discovery::hex;

/// A user by their certificate, and until when they are.
#[derive(Debug)]
pub(crate) struct Certified {
    user: User,
    /// The second in which the certificate ends.
    until: i64,
}

impl Certified {
    /// Whose certificates these are, the caller's own first; nobody's if the verifier does not know who signed them.
    pub(crate) fn of(chain: &[CertificateDer<'_>], verifier: &dyn ClientCertVerifier) -> Option<Self> {
        let (own, signers) = chain.split_first()?;
        verifier.verify_client_cert(own, signers, UnixTime::now()).ok()?;
        let (_, certificate) = X509Certificate::from_der(own).ok()?;
        let subject = certificate.subject();
        let text = |part: &AttributeTypeAndValue<'_>| part.as_str().ok().map(str::to_owned);
        // Without a name there is no user.
        let name = subject.iter_common_name().find_map(text).filter(|name| !name.is_empty())?;
        let mut groups: Vec<String> = subject.iter_organization().filter_map(text).collect();
        groups.push(AUTHENTICATED.to_owned());
        let mut user = User { name, groups, ..User::default() };
        let credential = format!("X509SHA256={}", hex(&Sha256::digest(own)));
        user.extra.insert("authentication.kubernetes.io/credential-id".to_owned(), vec![credential]);
        Some(Self { user, until: certificate.validity().not_after.timestamp() })
    }

    /// The user, as long as the certificate holds: a connection may outlive it.
    pub(crate) fn user(&self, now: Timestamp) -> Option<&User> {
        (now.as_second() <= self.until).then_some(&self.user)
    }
}
