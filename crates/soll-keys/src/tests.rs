#![allow(clippy::unwrap_used)]

use super::*;

const KEYS: Keys = Keys { now: 1_700_000_000 };

#[test]
fn bcrypt_gives_the_hashes_that_all_give() {
    // From the test vectors that came with the first implementation.
    let salt = [0x10, 0x41, 0x04, 0x10, 0x41, 0x04, 0x10, 0x41, 0x04, 0x10, 0x41, 0x04, 0x10, 0x41, 0x04, 0x10];
    let hash = bcrypt::hash_with(b"U*U", &salt, 5);
    assert_eq!(hash, "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW");
    let own = KEYS.bcrypt(b"secret").unwrap();
    assert!(own.starts_with("$2a$10$") && own.len() == 60, "{own}");
    assert!(KEYS.bcrypt(&[b'x'; 73]).unwrap_err().contains("72 bytes"));
}

#[test]
fn an_authority_signs_what_it_is_asked_to() {
    let ask = |name: &str| CertificateRequest { common_name: name.to_owned(), days: 30, ..Default::default() };
    let authority = KEYS.authority(&ask("ca")).unwrap();
    assert!(authority.key.starts_with("-----BEGIN RSA PRIVATE KEY-----\n"), "{}", authority.key);
    let request = CertificateRequest {
        ips: vec!["10.0.0.1".parse().unwrap()],
        dns_names: vec!["a.example".to_owned()],
        ..ask("leaf")
    };
    let leaf = KEYS.signed(&request, &authority).unwrap();
    KEYS.check_pair(&leaf).unwrap();
    assert_ne!(leaf.cert, authority.cert);
    // The same key again, as `genCAWithKey` asks.
    let again = KEYS.authority(&CertificateRequest { key: Some(authority.key.clone()), ..ask("ca") }).unwrap();
    assert_eq!(again.key, authority.key);
    assert!(KEYS.signed(&request, &Certificate::default()).is_err());
}

#[test]
fn keys_have_the_forms_of_go() {
    for (kind, label) in [("ecdsa", "EC PRIVATE KEY"), ("ed25519", "PRIVATE KEY")] {
        let key = KEYS.private_key(kind).unwrap();
        assert!(key.starts_with(&format!("-----BEGIN {label}-----\n")), "{key}");
        let request =
            CertificateRequest { common_name: kind.to_owned(), days: 1, key: Some(key), ..Default::default() };
        KEYS.self_signed(&request).unwrap();
    }
    assert!(KEYS.private_key("dsa").is_err());
}

#[test]
fn aes_round_trips() {
    let encrypted = KEYS.aes_cbc_encrypt(&[1; 32], &[2; 16], &[3; 48]).unwrap();
    assert_eq!(encrypted.len(), 48);
    assert_eq!(KEYS.aes_cbc_decrypt(&[1; 32], &[2; 16], &encrypted).unwrap(), [3; 48]);
}
