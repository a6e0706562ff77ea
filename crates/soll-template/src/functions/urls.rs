//! URLs taken apart and put together, with the rules of Go's `net/url`.

use super::{Function, bytes, pure};
use crate::object::Param::{Map as Dict, Str};
use crate::render::{Fault, fault};
use crate::value::{Map, Value};

pub(super) static TABLE: &[Function] = &[pure("urlParse", &[Str], url_parse), pure("urlJoin", &[Dict], url_join)];

/// Which part of a URL: it decides what is escaped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Path,
    Host,
    Zone,
    User,
    Query,
    Fragment,
}

fn must_escape(byte: u8, part: Part) -> bool {
    if byte.is_ascii_alphanumeric() {
        return false;
    }
    if matches!(part, Part::Host | Part::Zone) && b"!$&'()*+,;=:[]<>\"".contains(&byte) {
        return false;
    }
    match byte {
        b'-' | b'_' | b'.' | b'~' => false,
        b'$' | b'&' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'?' | b'@' => match part {
            Part::Path => byte == b'?',
            Part::User => matches!(byte, b'@' | b'/' | b'?' | b':'),
            Part::Query | Part::Host | Part::Zone => true,
            Part::Fragment => false,
        },
        b'!' | b'(' | b')' | b'*' => part != Part::Fragment,
        _ => true,
    }
}

pub(super) fn escape(bytes: &[u8], part: Part) -> String {
    let mut out = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b' ' if part == Part::Query => out.push('+'),
            byte if must_escape(*byte, part) => out.push_str(&format!("%{byte:02X}")),
            byte => out.push(char::from(*byte)),
        }
    }
    out
}

fn unescape(text: &[u8], part: Part) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'%' => {
                let code = text.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
                let code = code.filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
                let Some(byte) = code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) else {
                    let shown = &text[at..text.len().min(at + 3)];
                    return Err(format!("invalid URL escape {}", crate::quote::quoted(shown)));
                };
                if part == Part::Host && byte != b'%' && byte < 0x80 {
                    let shown = &text[at..at + 3];
                    return Err(format!("invalid URL escape {}", crate::quote::quoted(shown)));
                }
                out.push(byte);
                at += 3;
            }
            byte => {
                if matches!(part, Part::Host | Part::Zone) && byte < 0x80 && must_escape(byte, part) {
                    let shown = crate::quote::quoted(&[byte]);
                    return Err(format!("invalid character {shown} in host name"));
                }
                out.push(byte);
                at += 1;
            }
        }
    }
    Ok(out)
}

/// The parts of a URL.
#[derive(Default)]
struct Url {
    scheme: Vec<u8>,
    opaque: Vec<u8>,
    user: Option<(Vec<u8>, Option<Vec<u8>>)>,
    host: Vec<u8>,
    path: Vec<u8>,
    raw_path: Vec<u8>,
    omit_host: bool,
    force_query: bool,
    query: Vec<u8>,
    fragment: Vec<u8>,
    raw_fragment: Vec<u8>,
}

fn cut(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let position = text.iter().position(|byte| *byte == at)?;
    Some((&text[..position], &text[position + 1..]))
}

impl Url {
    fn parse(text: &[u8]) -> Result<Self, String> {
        let complain = |message: String| format!("parse {}: {message}", crate::quote::quoted(text));
        let (rest, fragment) = cut(text, b'#').unwrap_or((text, b""));
        let in_rest = |message: String| format!("parse {}: {message}", crate::quote::quoted(rest));
        let mut url = Self::parse_rest(rest).map_err(in_rest)?;
        url.fragment = unescape(fragment, Part::Fragment).map_err(complain)?;
        if escape(&url.fragment, Part::Fragment).as_bytes() != fragment {
            url.raw_fragment = fragment.to_vec();
        }
        Ok(url)
    }

    fn parse_rest(text: &[u8]) -> Result<Self, String> {
        let mut url = Self::default();
        if text.iter().any(|byte| *byte < b' ' || *byte == 0x7f) {
            return Err("net/url: invalid control character in URL".into());
        }
        if text == b"*" {
            url.path = b"*".to_vec();
            return Ok(url);
        }
        let (scheme, mut rest) = scheme(text)?;
        url.scheme = scheme.to_ascii_lowercase();
        if rest.ends_with(b"?") && rest.iter().filter(|byte| **byte == b'?').count() == 1 {
            url.force_query = true;
            rest = &rest[..rest.len() - 1];
        } else if let Some((before, query)) = cut(rest, b'?') {
            url.query = query.to_vec();
            rest = before;
        }
        if !rest.starts_with(b"/") {
            if !url.scheme.is_empty() {
                url.opaque = rest.to_vec();
                return Ok(url);
            }
            let first = cut(rest, b'/').map_or(rest, |(first, _)| first);
            if first.contains(&b':') {
                return Err("first path segment in URL cannot contain colon".into());
            }
        }
        if (!url.scheme.is_empty() || !rest.starts_with(b"///")) && rest.starts_with(b"//") {
            let authority = &rest[2..];
            let end = authority.iter().position(|byte| *byte == b'/').unwrap_or(authority.len());
            rest = &authority[end..];
            url.authority(&authority[..end])?;
        } else if !url.scheme.is_empty() && rest.starts_with(b"/") {
            url.omit_host = true;
        }
        url.path = unescape(rest, Part::Path)?;
        if escape(&url.path, Part::Path).as_bytes() != rest {
            url.raw_path = rest.to_vec();
        }
        Ok(url)
    }

    fn authority(&mut self, authority: &[u8]) -> Result<(), String> {
        let at = authority.iter().rposition(|byte| *byte == b'@');
        let host = at.map_or(authority, |at| &authority[at + 1..]);
        let is_web = matches!(self.scheme.as_slice(), b"http" | b"https");
        self.host = parse_host(host, is_web)?;
        let Some(at) = at else { return Ok(()) };
        let user = &authority[..at];
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c);
        if !super::lossy(user).chars().all(allowed) {
            return Err("net/url: invalid userinfo".into());
        }
        self.user = Some(match cut(user, b':') {
            None => (unescape(user, Part::User)?, None),
            Some((name, password)) => (unescape(name, Part::User)?, Some(unescape(password, Part::User)?)),
        });
        Ok(())
    }

    fn user_text(&self) -> String {
        match &self.user {
            None => String::new(),
            Some((name, None)) => escape(name, Part::User),
            Some((name, Some(password))) => {
                format!("{}:{}", escape(name, Part::User), escape(password, Part::User))
            }
        }
    }

    fn host_name(&self) -> &[u8] {
        let host = &self.host;
        if let Some(inner) = host.strip_prefix(b"[") {
            return cut(inner, b']').map_or(inner, |(name, _)| name);
        }
        match host.iter().rposition(|byte| *byte == b':') {
            Some(colon) if host[colon + 1..].iter().all(u8::is_ascii_digit) => &host[..colon],
            _ => host,
        }
    }

    fn text(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.scheme.is_empty() {
            out.extend_from_slice(&self.scheme);
            out.push(b':');
        }
        if self.opaque.is_empty() {
            if !self.scheme.is_empty() || !self.host.is_empty() || self.user.is_some() {
                let omit = self.omit_host && self.host.is_empty() && self.user.is_none();
                if !omit {
                    if !self.host.is_empty() || !self.path.is_empty() || self.user.is_some() {
                        out.extend_from_slice(b"//");
                    }
                    if self.user.is_some() {
                        out.extend_from_slice(self.user_text().as_bytes());
                        out.push(b'@');
                    }
                    if !self.host.is_empty() {
                        out.extend_from_slice(escape(&self.host, Part::Host).as_bytes());
                    }
                }
            }
            let path = match self.raw_path.is_empty() {
                false => self.raw_path.clone(),
                true if self.path == b"*" => self.path.clone(),
                true => escape(&self.path, Part::Path).into_bytes(),
            };
            if !path.is_empty() && path[0] != b'/' && !self.host.is_empty() {
                out.push(b'/');
            }
            if out.is_empty() {
                let first = cut(&path, b'/').map_or(path.as_slice(), |(first, _)| first);
                if first.contains(&b':') {
                    out.extend_from_slice(b"./");
                }
            }
            out.extend_from_slice(&path);
        } else {
            out.extend_from_slice(&self.opaque);
        }
        if self.force_query || !self.query.is_empty() {
            out.push(b'?');
            out.extend_from_slice(&self.query);
        }
        if !self.fragment.is_empty() {
            out.push(b'#');
            if self.raw_fragment.is_empty() {
                out.extend_from_slice(escape(&self.fragment, Part::Fragment).as_bytes());
            } else {
                out.extend_from_slice(&self.raw_fragment);
            }
        }
        out
    }
}

/// Where a URL leads.
pub(crate) fn summary(text: &str) -> Result<crate::go::Url, String> {
    let url = Url::parse(text.as_bytes())?;
    let text = |bytes: &[u8]| super::lossy(bytes).into_owned();
    Ok(crate::go::Url {
        scheme: text(&url.scheme),
        host: text(&url.host),
        host_name: text(url.host_name()),
        raw_path: text(&url.raw_path),
    })
}

fn scheme(text: &[u8]) -> Result<(&[u8], &[u8]), String> {
    for (index, byte) in text.iter().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if index > 0 => {}
            b':' if index == 0 => return Err("missing protocol scheme".into()),
            b':' => return Ok((&text[..index], &text[index + 1..])),
            _ => break,
        }
    }
    Ok((b"", text))
}

/// In the hosts of the web a colon begins the port; elsewhere several hosts may be listed with theirs.
fn parse_host(host: &[u8], is_web: bool) -> Result<Vec<u8>, String> {
    let port_is_valid = |port: &[u8]| match port {
        [] => true,
        [b':', digits @ ..] => digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let invalid_port = |port: &[u8]| format!("invalid port {} after host", crate::quote::quoted(port));
    if host.starts_with(b"[") {
        let Some(end) = host.iter().rposition(|byte| *byte == b']') else {
            return Err("missing ']' in host".into());
        };
        let port = &host[end + 1..];
        if !port_is_valid(port) {
            return Err(invalid_port(port));
        }
        if let Some(zone) = host[..end].windows(3).position(|window| window == b"%25") {
            let first = unescape(&host[..zone], Part::Host)?;
            let second = unescape(&host[zone..end], Part::Zone)?;
            let third = unescape(&host[end..], Part::Host)?;
            return Ok([first, second, third].concat());
        }
        let inner = unescape(&host[1..end], Part::Host)?;
        let address = std::str::from_utf8(&inner).ok().and_then(|text| text.parse::<std::net::IpAddr>().ok());
        match address {
            Some(std::net::IpAddr::V6(_)) => {}
            Some(std::net::IpAddr::V4(_)) => return Err("invalid IP-literal".into()),
            None => {
                let shown = crate::quote::quoted(&inner);
                return Err(format!("invalid host: ParseAddr({shown}): unable to parse IP"));
            }
        }
    } else if let Some(last) = host.iter().rposition(|byte| *byte == b':') {
        let first = host.iter().position(|byte| *byte == b':').unwrap_or(last);
        let port = &host[if is_web { first } else { last }..];
        if !port_is_valid(port) {
            return Err(invalid_port(port));
        }
    }
    unescape(host, Part::Host)
}

fn url_parse(args: &[Value]) -> Result<Value, Fault> {
    let url = Url::parse(bytes(&args[0])).map_err(|message| fault(format!("unable to parse url: {message}")))?;
    let parts = [
        ("scheme", url.scheme.as_slice()),
        ("host", &url.host),
        ("hostname", url.host_name()),
        ("path", &url.path),
        ("query", &url.query),
        ("opaque", &url.opaque),
        ("fragment", &url.fragment),
        ("userinfo", url.user_text().as_bytes()),
    ]
    .map(|(name, part)| (name, Value::bytes_text(part)));
    Ok(Map::from_iter(parts).into())
}

fn url_join(args: &[Value]) -> Result<Value, Fault> {
    let dict = super::dicts::map(&args[0]);
    let part = |name: &str| -> Result<Vec<u8>, Fault> {
        match dict.get(name) {
            None => Ok(Vec::new()),
            Some(value) if value.is_text() => Ok(bytes(&value).to_vec()),
            Some(Value::Nil) => Err(fault(super::NIL_DEREFERENCE)),
            Some(other) => Err(fault(format!(
                "unable to parse {name} key, must be of type string, but {} found",
                other.kind().name()
            ))),
        }
    };
    let mut url = Url {
        scheme: part("scheme")?,
        host: part("host")?,
        path: part("path")?,
        query: part("query")?,
        opaque: part("opaque")?,
        fragment: part("fragment")?,
        ..Url::default()
    };
    let user = part("userinfo")?;
    if !user.is_empty() {
        let whole = [b"proto://", user.as_slice(), b"@host"].concat();
        let parsed =
            Url::parse(&whole).map_err(|message| fault(format!("unable to parse userinfo in dict: {message}")))?;
        url.user = parsed.user;
    }
    Ok(Value::bytes_text(&url.text()))
}
