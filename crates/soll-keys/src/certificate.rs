//! Private keys and certificates, in the forms that Sprig gives them.

use std::str::FromStr as _;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SanType, SerialNumber,
};
use soll_template::{Certificate, CertificateRequest};
use time::OffsetDateTime;

/// Days past which nothing is heard of a certificate anyway: a million.
const MOST_DAYS: i64 = 1_000_000;

pub(super) fn private_key(kind: &str) -> Result<String, String> {
    match kind {
        "rsa" => rsa(KeySize::Rsa4096),
        "ecdsa" => {
            let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(words)?;
            Ok(pem("EC PRIVATE KEY", &sec1_of(&key)?))
        }
        "ed25519" => {
            let key = KeyPair::generate_for(&PKCS_ED25519).map_err(words)?;
            // Version 1 of the format, which has no public key in it, is what Go writes.
            let seed = ed25519_seed(&key.serialize_der()).ok_or("the key has an unknown form")?;
            let head: &[u8] =
                &[0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
            Ok(pem("PRIVATE KEY", &[head, &seed].concat()))
        }
        other => Err(format!("{other} keys are not made here, because nothing takes them any more")),
    }
}

pub(super) fn authority(request: &CertificateRequest, now: i64) -> Result<Certificate, String> {
    let key = Key::of(request)?;
    let mut params = params(request, now)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages.push(KeyUsagePurpose::KeyCertSign);
    let cert = params.self_signed(&key.pair).map_err(words)?;
    Ok(Certificate { cert: cert.pem(), key: key.text })
}

pub(super) fn self_signed(request: &CertificateRequest, now: i64) -> Result<Certificate, String> {
    let key = Key::of(request)?;
    let cert = params(request, now)?.self_signed(&key.pair).map_err(words)?;
    Ok(Certificate { cert: cert.pem(), key: key.text })
}

pub(super) fn signed(request: &CertificateRequest, authority: &Certificate, now: i64) -> Result<Certificate, String> {
    let signer = pair_of(&authority.key)?;
    let issuer = Issuer::from_ca_cert_pem(&authority.cert, signer).map_err(words)?;
    let key = Key::of(request)?;
    let cert = params(request, now)?.signed_by(&key.pair, &issuer).map_err(words)?;
    Ok(Certificate { cert: cert.pem(), key: key.text })
}

pub(super) fn check_pair(pair: &Certificate) -> Result<(), String> {
    if !pair.cert.contains("-----BEGIN ") {
        return Err("unable to decode certificate".to_owned());
    }
    pair_of(&pair.key).map_err(|error| format!("unable to decode private key: {error}"))?;
    Ok(())
}

struct Key {
    pair: KeyPair,
    text: String,
}

impl Key {
    /// The key that is asked for, or a new one.
    fn of(request: &CertificateRequest) -> Result<Self, String> {
        let text = match &request.key {
            Some(text) => text.clone(),
            None => rsa(KeySize::Rsa2048)?,
        };
        Ok(Self { pair: pair_of(&text)?, text })
    }
}

/// A private key in one of the forms that PEM files have.
fn pair_of(pem: &str) -> Result<KeyPair, String> {
    let (label, der) = unpem(pem).ok_or("it is no PEM")?;
    let pkcs8 = match label.as_str() {
        "RSA PRIVATE KEY" => {
            let rsa: &[u8] =
                &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
            sequence(&[&[0x02, 0x01, 0x00], rsa, &tagged(0x04, &der)].concat())
        }
        "EC PRIVATE KEY" => {
            // The curve stands in the key; what is around it names P-256, which is what Sprig makes.
            let p256: &[u8] = &[
                0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
                0x3d, 0x03, 0x01, 0x07,
            ];
            sequence(&[&[0x02, 0x01, 0x00], p256, &tagged(0x04, &der)].concat())
        }
        _ => der,
    };
    KeyPair::try_from(pkcs8.as_slice()).map_err(words)
}

fn params(request: &CertificateRequest, now: i64) -> Result<CertificateParams, String> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, request.common_name.as_str());
    for ip in &request.ips {
        params.subject_alt_names.push(SanType::IpAddress(*ip));
    }
    for name in &request.dns_names {
        let name = rcgen::string::Ia5String::from_str(name).map_err(words)?;
        params.subject_alt_names.push(SanType::DnsName(name));
    }
    let mut serial = [0; 16];
    super::random(&mut serial);
    // A serial number is positive.
    serial[0] &= 0x7f;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    let day = |day: i64| OffsetDateTime::from_unix_timestamp(now + day.clamp(-MOST_DAYS, MOST_DAYS) * 86_400);
    params.not_before = day(0).map_err(words)?;
    params.not_after = day(request.days).map_err(words)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// An RSA key as Go's PKCS #1.
fn rsa(size: KeySize) -> Result<String, String> {
    let key = RsaKeyPair::generate(size).map_err(words)?;
    let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&key).map_err(words)?;
    let inner = inner_key(der.as_ref()).ok_or("the key has an unknown form")?;
    Ok(pem("RSA PRIVATE KEY", inner))
}

fn sec1_of(key: &KeyPair) -> Result<Vec<u8>, String> {
    let der = key.serialize_der();
    inner_key(&der).map(<[u8]>::to_vec).ok_or_else(|| "the key has an unknown form".to_owned())
}

fn ed25519_seed(pkcs8: &[u8]) -> Option<Vec<u8>> {
    let inner = inner_key(pkcs8)?;
    let (0x04, seed, _) = element(inner)? else { return None };
    (seed.len() == 32).then(|| seed.to_vec())
}

/// What PKCS #8 wraps: a sequence of a version, an algorithm, and the key.
fn inner_key(pkcs8: &[u8]) -> Option<&[u8]> {
    let (0x30, body, _) = element(pkcs8)? else { return None };
    let (0x02, _, rest) = element(body)? else { return None };
    let (0x30, _, rest) = element(rest)? else { return None };
    let (0x04, key, _) = element(rest)? else { return None };
    Some(key)
}

/// The tag and the content of a DER element, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let count = usize::from(first & 0x7f);
        if count > size_of::<u32>() || rest.len() < count {
            return None;
        }
        let (digits, after) = rest.split_at(count);
        length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
        rest = after;
    }
    (rest.len() >= length).then(|| (tag, &rest[..length], &rest[length..]))
}

fn sequence(content: &[u8]) -> Vec<u8> {
    tagged(0x30, content)
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut der = vec![tag];
    match content.len() {
        length @ 0..0x80 => der.push(length as u8),
        length => {
            let digits: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|digit| *digit == 0).collect();
            der.push(0x80 | digits.len() as u8);
            der.extend(digits);
        }
    }
    der.extend_from_slice(content);
    der
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
        pem.push('\n');
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}

/// The label and the content of the first block.
fn unpem(text: &str) -> Option<(String, Vec<u8>)> {
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once("-----END ")?;
    let body: String = body.chars().filter(|c| !c.is_whitespace()).collect();
    Some((label.to_owned(), STANDARD.decode(body).ok()?))
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}
