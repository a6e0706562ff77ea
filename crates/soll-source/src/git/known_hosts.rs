//! Which server keys are trusted: OpenSSH's `known_hosts`.

use russh::keys::PublicKey;

use super::ssh::parse_key;

/// The keys that one server may show.
#[derive(Clone, Debug, Default)]
pub(super) struct Trusted {
    pub(super) keys: Vec<PublicKey>,
}

/// A server as `known_hosts` names it.
pub(super) fn name(host: &str, port: u16) -> String {
    if port == 22 { host.to_owned() } else { format!("[{host}]:{port}") }
}

/// The keys listed for a server. Revoked ones are left out; certificate authorities are not supported.
pub(super) fn trusted(known_hosts: &str, host: &str, port: u16) -> Trusted {
    let name = name(&host.to_lowercase(), port);
    let mut keys: Vec<PublicKey> = Vec::new();
    let mut revoked: Vec<PublicKey> = Vec::new();
    for line in known_hosts.lines() {
        let mut words = line.split_whitespace();
        let Some(first) = words.next().filter(|first| !first.starts_with('#')) else { continue };
        let (marker, hosts) = if first.starts_with('@') { (first, words.next()) } else { ("", Some(first)) };
        let (Some(hosts), Some(algorithm), Some(base64)) = (hosts, words.next(), words.next()) else { continue };
        let Some(key) = parse_key(algorithm, base64).filter(|_| covers(hosts, &name)) else { continue };
        match marker {
            "" => keys.push(key),
            "@revoked" => revoked.push(key),
            _ => {}
        }
    }
    keys.retain(|key| !revoked.iter().any(|revoked| revoked.key_data() == key.key_data()));
    Trusted { keys }
}

/// A list of patterns covers a name if one matches and none with `!` does.
fn covers(hosts: &str, name: &str) -> bool {
    let mut covered = false;
    for pattern in hosts.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) if matches(pattern, name) => return false,
            Some(_) => {}
            None => covered |= matches(pattern, name),
        }
    }
    covered
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_prefix("|1|") {
        Some(hashed) => matches_hash(hashed, name),
        None => wildcard(pattern.to_lowercase().as_bytes(), name.as_bytes()),
    }
}

/// `salt|hash`, both in base64: HMAC-SHA1 of the name, so that the file does not tell where its owner goes.
fn matches_hash(hashed: &str, name: &str) -> bool {
    use base64::Engine as _;
    let decode = |text| base64::engine::general_purpose::STANDARD.decode(text).ok();
    let Some((salt, hash)) = hashed.split_once('|') else { return false };
    let (Some(salt), Some(hash)) = (decode(salt), decode(hash)) else { return false };
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt);
    aws_lc_rs::hmac::verify(&key, name.as_bytes(), &hash).is_ok()
}

/// `*` and `?`.
fn wildcard(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => (0..=name.len()).any(|skipped| wildcard(rest, &name[skipped..])),
        (Some((b'?', rest)), Some((_, name))) => wildcard(rest, name),
        (Some((one, rest)), Some((other, name))) => one == other && wildcard(rest, name),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const TWO: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA6rWI3G1sz07DnfFlrouTcysQlj2P+jpNSOEWD9OJ3X";

    fn count(known_hosts: &str, host: &str, port: u16) -> usize {
        trusted(known_hosts, host, port).keys.len()
    }

    #[test]
    fn names_ports_and_patterns_select_keys() {
        let file =
            format!("# comment\ngit.example,10.0.0.1 {ONE} who\n[git.example]:2222 {TWO}\n*.corp,!bad.corp {ONE}\n");
        assert_eq!(count(&file, "git.example", 22), 1);
        assert_eq!(count(&file, "GIT.example", 2222), 1);
        assert_eq!(count(&file, "git.example", 2223), 0);
        assert_eq!(count(&file, "a.corp", 22), 1);
        assert_eq!(count(&file, "bad.corp", 22), 0);
        assert_eq!(count(&format!("git {ONE}\ngit {TWO}\n@revoked * {ONE}\n"), "git", 22), 1);
        assert_eq!(count(&format!("@cert-authority git {ONE}\ngit broken\ngit ssh-ed25519 x\n"), "git", 22), 0);
    }

    /// Written by `ssh-keygen -H`.
    #[test]
    fn hashed_names_match() {
        let file = format!("{} {ONE}\n", HASHED);
        assert_eq!(count(&file, "git.example", 22), 1);
        assert_eq!(count(&file, "other.example", 22), 0);
    }

    const HASHED: &str = "|1|OZx1WhArbgNV/zBFKCm8NnzFuzw=|6VGebSPFeizkDHnc0+hDu14+Hdw=";
}
