//! What templates ask of cryptography, done by the libraries that the rest of the program uses.
//!
//! [`Keys`] is the one thing here. The template engine itself knows no cryptography, so that it stays a function of its
//! inputs; a shell that renders gives it this.

mod bcrypt;
mod certificate;

use aws_lc_rs::cipher::{
    AES_256, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey,
};
use aws_lc_rs::{digest, hmac};
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use soll_template::{Certificate, CertificateRequest, Crypto};

/// Cryptography with the randomness of the system.
#[derive(Debug, Clone, Copy, Default)]
pub struct Keys {
    /// The time that certificates are made at, in seconds since 1970.
    pub now: i64,
}

/// Fills a buffer with randomness of the system.
///
/// Not with that of aws-lc, which gathers some of its own for 40 ms before the first byte.
///
/// # Panics
/// If the system has none, after which nothing that a program does is safe.
pub fn random(buffer: &mut [u8]) {
    OsRng.try_fill_bytes(buffer).expect("the system has randomness");
}

impl Crypto for Keys {
    fn bcrypt(&self, password: &[u8]) -> Result<String, String> {
        bcrypt::hash(password)
    }

    fn private_key(&self, kind: &str) -> Result<String, String> {
        certificate::private_key(kind)
    }

    fn authority(&self, request: &CertificateRequest) -> Result<Certificate, String> {
        certificate::authority(request, self.now)
    }

    fn self_signed(&self, request: &CertificateRequest) -> Result<Certificate, String> {
        certificate::self_signed(request, self.now)
    }

    fn signed(&self, request: &CertificateRequest, authority: &Certificate) -> Result<Certificate, String> {
        certificate::signed(request, authority, self.now)
    }

    fn check_pair(&self, pair: &Certificate) -> Result<(), String> {
        certificate::check_pair(pair)
    }

    fn aes_cbc_encrypt(&self, key: &[u8; 32], iv: &[u8; 16], data: &[u8]) -> Result<Vec<u8>, String> {
        let mut data = data.to_vec();
        let key = UnboundCipherKey::new(&AES_256, key).and_then(EncryptingKey::cbc);
        let context = EncryptionContext::Iv128((*iv).into());
        key.and_then(|key| key.less_safe_encrypt(&mut data, context)).map_err(|_| "AES failed".to_owned())?;
        Ok(data)
    }

    fn aes_cbc_decrypt(&self, key: &[u8; 32], iv: &[u8; 16], data: &[u8]) -> Result<Vec<u8>, String> {
        let mut data = data.to_vec();
        let key = UnboundCipherKey::new(&AES_256, key).and_then(DecryptingKey::cbc);
        let context = DecryptionContext::Iv128((*iv).into());
        let decrypted = key.and_then(|key| key.decrypt(&mut data, context).map(|plain| plain.to_vec()));
        decrypted.map_err(|_| "AES failed".to_owned())
    }

    fn scrypt(&self, password: &[u8], salt: &[u8]) -> Result<[u8; 64], String> {
        let mut key = [0; 64];
        let params = scrypt::Params::new(15, 8, 2).map_err(|error| error.to_string())?;
        scrypt::scrypt(password, salt, &params, &mut key).map_err(|error| error.to_string())?;
        Ok(key)
    }

    fn hmac_sha256(&self, key: &[u8], data: &[u8]) -> [u8; 32] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data);
        tag.as_ref().try_into().expect("SHA-256 has 32 bytes")
    }

    fn sha1(&self, data: &[u8]) -> [u8; 20] {
        let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, data);
        digest.as_ref().try_into().expect("SHA-1 has 20 bytes")
    }
}

#[cfg(test)]
mod tests;
