//! What it costs to make the key that an encrypted private key is encrypted with.
//!
//! The file itself says how often its passphrase is to be hashed and with how much memory. It comes from whoever wrote the
//! Secret, so that it is read before anything is hashed.

use base64::Engine as _;
use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::Kdf;
use russh::keys::PrivateKey;
use russh::keys::ssh_key;

/// `ssh-keygen -a`; its default is 24, and a hundred take a second.
const BCRYPT_ROUNDS: u32 = 512;
/// OpenSSL's default is 2048, what is recommended 600,000.
const PBKDF2_ROUNDS: u32 = 2_000_000;
/// OpenSSL's default takes 16 MiB.
const SCRYPT_BYTES: u64 = 64 << 20;
/// How often that memory is gone over; usually once.
const SCRYPT_LANES: u16 = 4;

/// Refuses a private key that says its passphrase takes very long to check.
///
/// # Errors
/// What is wrong with it and what to do, without anything of the key.
pub(super) fn check(identity: &str) -> Result<(), String> {
    if identity.trim().starts_with("PuTTY-User-Key-File-") {
        return Err("it is a key of PuTTY; `puttygen KEY -O private-openssh` makes one of OpenSSH".to_owned());
    }
    let Some(body) = body(identity) else { return Ok(()) };
    let bytes = base64::engine::general_purpose::STANDARD.decode(body);
    let bytes =
        bytes.map_err(|_| "the private key cannot be read: between its first and last line is no base64".to_owned())?;
    if let Ok(key) = PrivateKey::from_bytes(&bytes)
        && let ssh_key::Kdf::Bcrypt { rounds, .. } = key.kdf()
    {
        return within("hashes its passphrase", "times", u64::from(*rounds), u64::from(BCRYPT_ROUNDS));
    }
    let Ok(encrypted) = EncryptedPrivateKeyInfoRef::try_from(bytes.as_slice()) else { return Ok(()) };
    let EncryptionScheme::Pbes2(parameters) = &encrypted.encryption_algorithm else { return Ok(()) };
    match &parameters.kdf {
        Kdf::Pbkdf2(pbkdf2) => {
            let rounds = u64::from(pbkdf2.iteration_count);
            within("hashes its passphrase", "times", rounds, u64::from(PBKDF2_ROUNDS))
        }
        Kdf::Scrypt(scrypt) => {
            let bytes = scrypt.cost_parameter.saturating_mul(128 * u64::from(scrypt.block_size));
            within("takes", "bytes of memory to decrypt", bytes, SCRYPT_BYTES)?;
            let lanes = u64::from(scrypt.parallelization);
            within("goes over its memory", "times", lanes, u64::from(SCRYPT_LANES))
        }
        _ => Err(format!("it is encrypted in a way that is not known; {REMEDY}")),
    }
}

const REMEDY: &str = "`ssh-keygen -p -a 24 -f KEY` writes it anew";

fn within(does: &str, what: &str, asked: u64, limit: u64) -> Result<(), String> {
    if asked <= limit {
        return Ok(());
    }
    Err(format!("the private key {does} {asked} {what}, and {limit} are allowed; {REMEDY}"))
}

/// What stands between the first and the last line, as the library collects it that decrypts the key.
fn body(identity: &str) -> Option<String> {
    const FORMS: [&str; 5] =
        ["OPENSSH PRIVATE KEY", "RSA PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY"];
    let is_start = |line: &str| {
        let form = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----"));
        form.is_some_and(|form| FORMS.contains(&form))
    };
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '+' | '=');
    let lines = identity.lines().skip_while(|line| !is_start(line)).skip(1);
    let mut body = None;
    for line in lines.take_while(|line| !line.starts_with("-----END ")).filter(|line| line.chars().all(is_base64)) {
        body.get_or_insert_with(String::new).push_str(line);
    }
    body
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::process::Command;

    use pkcs8::pkcs5::pbes2::{EncryptionScheme as Cipher, Parameters, Pbkdf2Params, ScryptParams};

    use super::*;

    fn armor(form: &str, bytes: &[u8]) -> String {
        let text = base64::engine::general_purpose::STANDARD.encode(bytes);
        let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN {form}-----\n{}\n-----END {form}-----\n", lines.join("\n"))
    }

    /// A key of OpenSSH whose file says so many rounds. Nothing of it can be decrypted, but nobody gets that far.
    fn bcrypt(rounds: u32) -> String {
        let mut bytes = b"openssh-key-v1\0".to_vec();
        let string = |text: &[u8]| [&u32::try_from(text.len()).unwrap().to_be_bytes()[..], text].concat();
        bytes.extend(string(b"aes256-ctr"));
        bytes.extend(string(b"bcrypt"));
        bytes.extend(string(&[string(&[1; 16]), rounds.to_be_bytes().to_vec()].concat()));
        bytes.extend(1_u32.to_be_bytes());
        bytes.extend(string(&[string(b"ssh-ed25519"), string(&[2; 32])].concat()));
        bytes.extend(string(&[3; 144]));
        armor("OPENSSH PRIVATE KEY", &bytes)
    }

    fn pkcs8(kdf: Kdf) -> String {
        use pkcs8::der::Encode as _;
        let encryption = Cipher::Aes256Cbc { iv: [0; 16] };
        let encrypted_data = pkcs8::der::asn1::OctetStringRef::new(&[7; 64]).unwrap();
        let info = EncryptedPrivateKeyInfoRef {
            encryption_algorithm: EncryptionScheme::Pbes2(Parameters { kdf, encryption }),
            encrypted_data,
        };
        armor("ENCRYPTED PRIVATE KEY", &info.to_der().unwrap())
    }

    fn scrypt(cost_parameter: u64, block_size: u16, parallelization: u16) -> String {
        let salt = [1; 16].as_slice().try_into().unwrap();
        pkcs8(Kdf::Scrypt(ScryptParams { salt, cost_parameter, block_size, parallelization, key_length: None }))
    }

    #[test]
    fn what_takes_too_long_is_refused_before_it_is_tried() {
        let pbkdf2 = |rounds| pkcs8(Kdf::Pbkdf2(Pbkdf2Params::hmac_sha256(rounds, &[1; 16]).unwrap()));
        for (identity, part) in [
            (bcrypt(4_000_000_000), "hashes its passphrase 4000000000 times, and 512 are allowed; `ssh-keygen -p"),
            (pbkdf2(90_000_000), "hashes its passphrase 90000000 times"),
            (scrypt(1 << 24, 8, 1), "takes 17179869184 bytes of memory"),
            (scrypt(1 << 14, 8, 60_000), "goes over its memory 60000 times"),
            ("PuTTY-User-Key-File-3: ssh-ed25519".to_owned(), "puttygen"),
        ] {
            let refusal = check(&identity).unwrap_err();
            assert!(refusal.contains(part), "{refusal}");
            // The library looks at what is inside, not at what the first line says it is.
            let disguised = identity.replace("BEGIN ENCRYPTED", "BEGIN").replace("END ENCRYPTED", "END");
            assert_eq!(check(&disguised), Err(refusal));
        }
        for identity in [bcrypt(24), pbkdf2(600_000), scrypt(1 << 14, 8, 1), "nonsense".to_owned()] {
            assert_eq!(check(&identity), Ok(()), "{identity}");
        }
        let two = "-----BEGIN PRIVATE KEY-----\nAA==\nAA==\n-----END PRIVATE KEY-----";
        assert!(check(two).unwrap_err().contains("base64"));
    }

    #[test]
    fn keys_of_real_tools_pass() {
        let dir = tempfile::tempdir().unwrap();
        let run = |command: &mut Command| assert!(command.current_dir(dir.path()).output().unwrap().status.success());
        run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "secret", "-f", "key"]));
        let key = std::fs::read_to_string(dir.path().join("key")).unwrap();
        assert_eq!(check(&key), Ok(()));
        russh::keys::decode_secret_key(&key, Some("secret")).unwrap();
    }
}
