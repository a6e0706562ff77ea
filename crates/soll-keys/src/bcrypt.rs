//! bcrypt, as `htpasswd` files have it.

use blowfish::Blowfish;

/// Go's default: 2^10 rounds.
const COST: u32 = 10;

/// bcrypt's own alphabet.
const ALPHABET: &[u8; 64] = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

pub(super) fn hash(password: &[u8]) -> Result<String, String> {
    if password.len() > 72 {
        return Err("bcrypt: password length exceeds 72 bytes".to_owned());
    }
    let mut salt = [0; 16];
    super::random(&mut salt);
    Ok(hash_with(password, &salt, COST))
}

/// `$2a$10$` with the salt and the hash.
pub(super) fn hash_with(password: &[u8], salt: &[u8; 16], cost: u32) -> String {
    let key = [password, &[0]].concat();
    let mut state = Blowfish::bc_init_state();
    state.salted_expand_key(salt, &key);
    for _ in 0..1u32 << cost {
        state.bc_expand_key(&key);
        state.bc_expand_key(salt);
    }
    let mut text = *b"OrpheanBeholderScryDoubt";
    for block in text.chunks_exact_mut(8) {
        let word = |bytes: &[u8]| u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let mut halves = [word(&block[..4]), word(&block[4..])];
        for _ in 0..64 {
            halves = state.bc_encrypt(halves);
        }
        block[..4].copy_from_slice(&halves[0].to_be_bytes());
        block[4..].copy_from_slice(&halves[1].to_be_bytes());
    }
    // The last byte is not shown, by an old mistake that all implementations keep.
    format!("$2a${cost:02}${}{}", encode(salt), encode(&text[..23]))
}

fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for position in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * position)) as usize & 63]));
        }
    }
    text
}
