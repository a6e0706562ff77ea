//! The conversation with a Git server: greeting, list of names, pack.
//!
//! Protocol version 2 where the server has it, version 0 elsewhere. Over http a known server is not greeted again,
//! so that looking for a new commit is a single request.

use std::io;

use gix::ObjectId;
use soll_api::with_causes;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use url::Url;

use super::http::{AGENT, HttpAccess, Known};
use super::pkt::{Packet, PacketError, PacketReader, Request, TOLD_BYTES};
use super::reference::ListedRef;
use super::remote::{Access, Remote};
use super::ssh::SshChannel;
use super::{GitError, Reference};

/// What a greeting may name. It is kept as long as the server is known; real ones name some ten.
const MAX_CAPABILITIES: usize = 1000;

/// One conversation.
pub(super) struct Session<'a> {
    remote: &'a Remote,
    wire: Wire<'a>,
    server: Server,
    /// The greeting was left out because it is known.
    from_memory: bool,
}

enum Wire<'a> {
    Http { access: &'a HttpAccess, base: Url },
    Ssh(Box<SshChannel>),
}

/// What the greeting told.
enum Server {
    V2 { capabilities: Vec<String> },
    V0 { capabilities: Vec<String>, listed: Vec<ListedRef> },
}

/// What is wanted of a server.
pub(super) struct Wanted<'a> {
    /// Objects, with all that belongs to them.
    pub(super) wants: &'a [ObjectId],
    /// Commits that are here, without their history.
    pub(super) haves: &'a [ObjectId],
    /// Leave the history of the wanted commits out, if the server can.
    pub(super) shallow: bool,
}

impl<'a> Session<'a> {
    /// Opens a conversation, without a greeting if the server is known.
    pub(super) async fn open(remote: &'a Remote) -> Result<Session<'a>, GitError> {
        if let Access::Http(access) = remote.access()
            && let Some(Known { base, capabilities }) = access.known()
        {
            let server = Server::V2 { capabilities };
            return Ok(Self { remote, wire: Wire::Http { access, base }, server, from_memory: true });
        }
        Self::greeted(remote).await
    }

    async fn greeted(remote: &'a Remote) -> Result<Session<'a>, GitError> {
        let shown = remote.url();
        match remote.access() {
            Access::Http(access) => {
                let (base, mut reader) = access.greet().await?;
                let server = greeting(shown, &mut reader).await?;
                if let Server::V2 { capabilities } = &server {
                    access.remember(Some(Known { base: base.clone(), capabilities: capabilities.clone() }));
                }
                Ok(Self { remote, wire: Wire::Http { access, base }, server, from_memory: false })
            }
            Access::Ssh(access) => {
                let mut channel = Box::new(access.connect(shown).await?);
                let server = greeting(shown, channel.reader()).await.map_err(|error| channel.explain(error))?;
                Ok(Self { remote, wire: Wire::Ssh(channel), server, from_memory: false })
            }
        }
    }

    /// The names that can decide a reference; all names for version 0.
    pub(super) async fn list(&mut self, reference: &Reference) -> Result<Vec<ListedRef>, GitError> {
        self.list_prefixes(&reference.prefixes()).await
    }

    /// All branches, and tags too unless a branch is given.
    pub(super) async fn list_all(&mut self, branch: Option<&str>) -> Result<Vec<ListedRef>, GitError> {
        let prefixes = match branch {
            Some(branch) => vec![format!("refs/heads/{branch}")],
            None => vec!["refs/heads/".to_owned(), "refs/tags/".to_owned()],
        };
        let mut listed = self.list_prefixes(&prefixes).await?;
        listed.retain(|listed| prefixes.iter().any(|prefix| listed.name.starts_with(prefix)));
        Ok(listed)
    }

    async fn list_prefixes(&mut self, prefixes: &[String]) -> Result<Vec<ListedRef>, GitError> {
        let capabilities = match &self.server {
            Server::V0 { listed, .. } => return Ok(listed.clone()),
            Server::V2 { capabilities } => capabilities.clone(),
        };
        match self.list_v2(&capabilities, prefixes).await {
            Err(error) if self.is_outdated(&error) => {
                self.greet_anew().await?;
                Box::pin(self.list_prefixes(prefixes)).await
            }
            result => result,
        }
    }

    /// Whether an error may be due to what is remembered: the server may have been replaced by another one since it was
    /// greeted, and where it redirected to then need not be where it would redirect to now.
    pub(super) fn is_outdated(&self, error: &GitError) -> bool {
        let Wire::Http { access, base } = &self.wire else { return false };
        self.from_memory
            && match error {
                GitError::Protocol { .. } | GitError::NotFound { .. } => true,
                GitError::Unreachable { .. } | GitError::Denied { .. } => access.is_elsewhere(base),
                _ => false,
            }
    }

    /// Forgets what the server told earlier and asks again.
    pub(super) async fn greet_anew(&mut self) -> Result<(), GitError> {
        if let Access::Http(access) = self.remote.access() {
            access.remember(None);
        }
        *self = Self::greeted(self.remote).await?;
        Ok(())
    }

    async fn list_v2(&mut self, capabilities: &[String], prefixes: &[String]) -> Result<Vec<ListedRef>, GitError> {
        let mut request = Request::default();
        command(&mut request, "ls-refs", capabilities);
        request.line("peel");
        for prefix in prefixes {
            request.line(&format!("ref-prefix {prefix}"));
        }
        let mut answer = self.send(request.flush().take()).await?;
        let mut listed = Vec::new();
        while let Some(line) = answer.line().await? {
            listed.extend(listed_v2(&line).ok_or_else(|| answer.wrong(format!("the name `{line}`")))?);
        }
        Ok(listed)
    }

    /// Asks for objects and writes the pack that comes to `sink`.
    pub(super) async fn fetch(
        &mut self,
        wanted: &Wanted<'_>,
        sink: &mut (impl AsyncWrite + Unpin),
        limits: &soll_tree::Limits,
    ) -> Result<(), GitError> {
        let (request, v2) = match &self.server {
            Server::V2 { capabilities } => (fetch_v2(wanted, capabilities), true),
            Server::V0 { capabilities, .. } => (fetch_v0(self.remote.url(), wanted, capabilities)?, false),
        };
        let mut answer = self.send(request).await?;
        if v2 {
            answer.pack_section().await?;
        }
        answer.pack(sink, limits).await
    }

    async fn send(&mut self, request: Vec<u8>) -> Result<Answer<'_>, GitError> {
        let url = self.remote.url();
        match &mut self.wire {
            Wire::Http { access, base } => {
                let reader = access.post(base, request).await?;
                Ok(Answer { url, reader: Reader::Owned(reader) })
            }
            Wire::Ssh(channel) => {
                channel.send(url, &request).await?;
                channel.reader().bound(TOLD_BYTES);
                Ok(Answer { url, reader: Reader::Borrowed(channel.reader()) })
            }
        }
    }
}

/// The frames of one answer.
struct Answer<'a> {
    url: &'a str,
    reader: Reader<'a>,
}

enum Reader<'a> {
    Owned(PacketReader),
    Borrowed(&'a mut PacketReader),
}

impl Answer<'_> {
    async fn packet(&mut self) -> Result<Option<Packet>, GitError> {
        let url = self.url;
        next(url, self.reader()).await
    }

    fn reader(&mut self) -> &mut PacketReader {
        match &mut self.reader {
            Reader::Owned(reader) => reader,
            Reader::Borrowed(reader) => reader,
        }
    }

    /// A line; none at the end of the message.
    async fn line(&mut self) -> Result<Option<String>, GitError> {
        match self.packet().await? {
            Some(Packet::Data(data)) => Ok(Some(text(&data))),
            Some(Packet::Flush | Packet::Delimiter | Packet::End) => Ok(None),
            None => Err(self.wrong("the answer ends too early")),
        }
    }

    /// Skips to the section with the pack.
    async fn pack_section(&mut self) -> Result<(), GitError> {
        loop {
            match self.packet().await? {
                Some(Packet::Data(data)) if text(&data) == "packfile" => return Ok(()),
                // Names of other sections and what is in them: the new bounds of the history are no news.
                Some(Packet::Data(_) | Packet::Delimiter) => {}
                Some(Packet::Flush | Packet::End) | None => return Err(self.wrong("the answer has no pack")),
            }
        }
    }

    async fn pack(&mut self, sink: &mut (impl AsyncWrite + Unpin), limits: &soll_tree::Limits) -> Result<(), GitError> {
        let mut pack = PackStart::default();
        let (mut written, mut transferred) = (0, 0);
        loop {
            let data = match self.packet().await? {
                Some(Packet::Data(data)) => data,
                // Version 0 separates the bounds of the history from what follows.
                Some(Packet::Flush) if written == 0 => continue,
                Some(Packet::Flush | Packet::Delimiter | Packet::End) => break,
                None if written > 0 => return Err(self.wrong("the pack ends too early")),
                None => return Err(self.wrong("the answer has no pack")),
            };
            transferred += data.len() as u64;
            if transferred > limits.transfer_bytes {
                return Err(self.limit(format!("more than {} bytes are transferred", limits.transfer_bytes)));
            }
            match data.split_first() {
                Some((1, bytes)) => {
                    if written == 0 {
                        self.reader().unbound();
                    }
                    written += bytes.len() as u64;
                    if pack.objects(bytes).is_some_and(|objects| u64::from(objects) > limits.objects) {
                        return Err(self.limit(format!("the pack has more than {} objects", limits.objects)));
                    }
                    sink.write_all(bytes).await.map_err(GitError::disk)?;
                }
                Some((2, _)) => {}
                Some((3, bytes)) => return Err(self.wrong(format!("the server says `{}`", text(bytes)))),
                // Bounds of the history and acknowledgements of version 0.
                _ if written == 0 && is_acknowledgement(&data) => {}
                _ => return Err(self.wrong(format!("`{}` instead of a pack", text(&data)))),
            }
        }
        sink.flush().await.map_err(GitError::disk)?;
        if written == 0 { Err(self.wrong("the answer has no pack")) } else { Ok(()) }
    }

    fn wrong(&self, why: impl Into<String>) -> GitError {
        GitError::protocol(self.url, why)
    }

    fn limit(&self, limit: String) -> GitError {
        GitError::Limit { url: self.url.to_owned(), limit }
    }
}

/// The first bytes of a pack, which say how many objects are in it.
#[derive(Default)]
struct PackStart {
    seen: Vec<u8>,
}

impl PackStart {
    const LENGTH: usize = 12;

    fn objects(&mut self, bytes: &[u8]) -> Option<u32> {
        let missing = Self::LENGTH - self.seen.len();
        self.seen.extend_from_slice(&bytes[..missing.min(bytes.len())]);
        let count = self.seen.get(8..Self::LENGTH)?;
        Some(u32::from_be_bytes(count.try_into().expect("the range has four bytes")))
    }
}

/// Reads a frame and turns the server's own errors into ours.
async fn next(url: &str, reader: &mut PacketReader) -> Result<Option<Packet>, GitError> {
    let packet = reader.next().await.map_err(|error| match error {
        PacketError::TooMuch => {
            let limit = format!("the server tells more than {TOLD_BYTES} bytes of itself, its branches and its tags");
            GitError::Limit { url: url.to_owned(), limit }
        }
        PacketError::Io(error) => match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => GitError::protocol(url, with_causes(&error)),
            _ => GitError::Unreachable { url: url.to_owned(), why: with_causes(&error) },
        },
    })?;
    if let Some(Packet::Data(data)) = &packet
        && let Some(message) = data.strip_prefix(b"ERR ")
    {
        return Err(refusal(url, &text(message)));
    }
    Ok(packet)
}

/// The only place that looks at what a server says in words: the protocol has no codes.
fn refusal(url: &str, message: &str) -> GitError {
    let missing = ["not our ref", "not valid", "unadvertised object", "bad object", "could not parse commit"];
    if missing.iter().any(|words| message.contains(words)) {
        return GitError::NoSuchReference {
            url: url.to_owned(),
            reference: format!("such object ({message})"),
            hint: None,
        };
    }
    if message.contains("not found") || message.contains("does not appear to be a git repository") {
        return GitError::NotFound { url: url.to_owned() };
    }
    GitError::Denied { url: url.to_owned(), why: format!("the server says `{message}`") }
}

async fn greeting(url: &str, reader: &mut PacketReader) -> Result<Server, GitError> {
    let mut first = next(url, reader).await?;
    // Over http the service names itself before.
    if matches!(&first, Some(Packet::Data(data)) if data.starts_with(b"# service=")) {
        next(url, reader).await?;
        first = next(url, reader).await?;
    }
    let mut capabilities = Vec::new();
    let mut listed: Vec<ListedRef> = Vec::new();
    let mut packet = first;
    let mut is_v2 = false;
    loop {
        let data = match packet {
            Some(Packet::Data(data)) => data,
            Some(Packet::Flush) => break,
            Some(Packet::Delimiter | Packet::End) | None => {
                return Err(GitError::protocol(url, "the greeting ends too early"));
            }
        };
        let line = text(&data);
        match line.split_once('\0') {
            _ if is_v2 => capabilities.push(line),
            None if line == "version 2" => is_v2 = true,
            None if line == "version 1" || line.starts_with("shallow ") => {}
            Some((name, announced)) => {
                capabilities = announced.split(' ').map(str::to_owned).collect();
                list_v0(url, name, &mut listed)?;
            }
            None => list_v0(url, &line, &mut listed)?,
        }
        if capabilities.len() > MAX_CAPABILITIES {
            let limit = format!("the server names more than {MAX_CAPABILITIES} capabilities");
            return Err(GitError::Limit { url: url.to_owned(), limit });
        }
        packet = next(url, reader).await?;
    }
    let format = capabilities.iter().find_map(|capability| capability.strip_prefix("object-format="));
    if let Some(format) = format.filter(|format| *format != "sha1") {
        let what = format!("a repository with {format} object ids");
        return Err(GitError::Unsupported { url: url.to_owned(), what });
    }
    Ok(if is_v2 { Server::V2 { capabilities } } else { Server::V0 { capabilities, listed } })
}

/// `<id> <name>`, and `<id> <name>^{}` for what the tag before points at.
fn list_v0(url: &str, line: &str, listed: &mut Vec<ListedRef>) -> Result<(), GitError> {
    let bad = || GitError::protocol(url, format!("the name `{line}`"));
    let (id, name) = line.split_once(' ').ok_or_else(bad)?;
    let id = ObjectId::from_hex(id.as_bytes()).map_err(|_| bad())?;
    match (name.strip_suffix("^{}"), listed.last_mut()) {
        (Some("capabilities"), _) => {}
        (Some(tag), Some(last)) if last.name == tag => last.peeled = Some(id),
        (Some(_), _) => return Err(bad()),
        (None, _) => listed.push(ListedRef { name: name.to_owned(), id, peeled: None }),
    }
    Ok(())
}

/// `<id> <name> [peeled:<id>] …`; nothing for a branch without commits.
fn listed_v2(line: &str) -> Option<Option<ListedRef>> {
    let mut words = line.split(' ');
    let id = words.next()?;
    let name = words.next()?.to_owned();
    if id == "unborn" {
        return Some(None);
    }
    let id = ObjectId::from_hex(id.as_bytes()).ok()?;
    let peeled = match words.find_map(|word| word.strip_prefix("peeled:")) {
        Some(peeled) => Some(ObjectId::from_hex(peeled.as_bytes()).ok()?),
        None => None,
    };
    Some(Some(ListedRef { name, id, peeled }))
}

fn command(request: &mut Request, name: &str, capabilities: &[String]) {
    request.line(&format!("command={name}"));
    if capabilities.iter().any(|capability| capability.starts_with("agent=")) {
        request.line(&format!("agent={AGENT}"));
    }
    if capabilities.iter().any(|capability| capability.starts_with("object-format=")) {
        request.line("object-format=sha1");
    }
    request.delimiter();
}

fn fetch_v2(wanted: &Wanted<'_>, capabilities: &[String]) -> Vec<u8> {
    let features = capabilities.iter().find_map(|capability| capability.strip_prefix("fetch="));
    let can_shallow = features.is_some_and(|features| features.split(' ').any(|feature| feature == "shallow"));
    let mut request = Request::default();
    command(&mut request, "fetch", capabilities);
    request.line("thin-pack").line("ofs-delta").line("no-progress");
    if wanted.shallow && can_shallow {
        for have in wanted.haves {
            request.line(&format!("shallow {have}"));
        }
        request.line("deepen 1");
    }
    for want in wanted.wants {
        request.line(&format!("want {want}"));
    }
    if wanted.shallow && can_shallow {
        for have in wanted.haves {
            request.line(&format!("have {have}"));
        }
    }
    request.line("done").flush().take()
}

fn fetch_v0(url: &str, wanted: &Wanted<'_>, capabilities: &[String]) -> Result<Vec<u8>, GitError> {
    let has = |name: &str| capabilities.iter().any(|capability| capability == name);
    if !has("side-band-64k") {
        return Err(GitError::Unsupported { url: url.to_owned(), what: "a server without side-band-64k".to_owned() });
    }
    // With `done` at once nothing is negotiated, but Azure DevOps turns clients away that do not ask for `multi_ack`.
    let known = ["multi_ack", "side-band-64k", "thin-pack", "ofs-delta", "no-progress"];
    let asked = known.into_iter().filter(|name| has(name));
    let mut asked: Vec<String> = asked.map(str::to_owned).collect();
    if capabilities.iter().any(|capability| capability.starts_with("agent=")) {
        asked.push(format!("agent={AGENT}"));
    }
    let mut request = Request::default();
    for (index, want) in wanted.wants.iter().enumerate() {
        if index == 0 {
            request.line(&format!("want {want} {}", asked.join(" ")));
        } else {
            request.line(&format!("want {want}"));
        }
    }
    let shallow = wanted.shallow && has("shallow");
    if shallow {
        for have in wanted.haves {
            request.line(&format!("shallow {have}"));
        }
        request.line("deepen 1");
    }
    request.flush();
    if shallow {
        for have in wanted.haves {
            request.line(&format!("have {have}"));
        }
    }
    Ok(request.line("done").take())
}

fn is_acknowledgement(data: &[u8]) -> bool {
    [&b"NAK"[..], b"ACK ", b"shallow ", b"unshallow "].iter().any(|start| data.starts_with(start))
}

/// A line without its end, safe to show.
fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data).trim_end_matches('\n').to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn frames(lines: &[&str]) -> Vec<u8> {
        let mut request = Request::default();
        for line in lines {
            request.line(line);
        }
        request.flush().take()
    }

    async fn greet(bytes: Vec<u8>) -> Result<Server, GitError> {
        greeting("url", &mut PacketReader::new(std::io::Cursor::new(bytes))).await
    }

    const ID: &str = "0123456789012345678901234567890123456789";

    const EMPTY_PACK: &[u8] = b"PACK\0\0\0\x02\0\0\0\0";

    /// What of an answer by version 0 is the pack.
    async fn pack_after(lines: &[String]) -> Result<Vec<u8>, GitError> {
        let mut frames = Request::default();
        for line in lines {
            if line.is_empty() {
                frames.flush()
            } else {
                frames.line(line)
            };
        }
        let mut bytes = frames.take();
        bytes.extend_from_slice(b"0011\x01");
        bytes.extend_from_slice(EMPTY_PACK);
        bytes.extend_from_slice(b"0000");
        let mut reader = PacketReader::new(std::io::Cursor::new(bytes));
        let mut pack = Vec::new();
        let mut answer = Answer { url: "url", reader: Reader::Borrowed(&mut reader) };
        answer.pack(&mut pack, &soll_tree::Limits::default()).await?;
        Ok(pack)
    }

    #[tokio::test]
    async fn acknowledgements_in_any_order_come_before_the_pack() {
        let [shallow, goes_on, last] = [format!("shallow {ID}"), format!("ACK {ID} continue"), format!("ACK {ID}")];
        let (nak, end) = ("NAK".to_owned(), String::new());
        for lines in [
            vec![nak.clone()],
            vec![last.clone()],
            vec![shallow.clone(), end.clone(), goes_on.clone(), last.clone()],
            vec![goes_on.clone(), nak.clone(), goes_on.clone(), last.clone()],
            vec![nak.clone(), shallow, end, nak, goes_on, last],
        ] {
            assert_eq!(pack_after(&lines).await.unwrap(), EMPTY_PACK, "{lines:?}");
        }
        let error = pack_after(&["something else".to_owned()]).await.unwrap_err();
        assert!(error.to_string().contains("`something else` instead of a pack"), "{error}");
    }

    #[test]
    fn multi_ack_is_asked_for_where_it_is_announced() {
        let want = ObjectId::from_hex(ID.as_bytes()).unwrap();
        let wanted = Wanted { wants: &[want], haves: &[], shallow: true };
        let asked = |announced: &[&str]| {
            let announced: Vec<String> = announced.iter().map(|name| (*name).to_owned()).collect();
            String::from_utf8(fetch_v0("url", &wanted, &announced).unwrap()).unwrap()
        };
        assert!(asked(&["side-band-64k", "multi_ack"]).contains(&format!("want {ID} multi_ack side-band-64k\n")));
        assert!(asked(&["side-band-64k", "multi_ack_detailed"]).contains(&format!("want {ID} side-band-64k\n")));
    }

    #[tokio::test]
    async fn both_versions_are_understood() {
        let v2 = greet(frames(&["version 2", "agent=git/2", "fetch=shallow"])).await.unwrap();
        assert!(matches!(v2, Server::V2 { capabilities } if capabilities == ["agent=git/2", "fetch=shallow"]));
        let lines = [format!("{ID} refs/tags/v1\0side-band-64k shallow"), format!("{ID} refs/tags/v1^{{}}")];
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let Server::V0 { listed, .. } = greet(frames(&lines)).await.unwrap() else { panic!("not version 0") };
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].peeled.unwrap().to_string(), ID);
    }

    #[tokio::test]
    async fn foreign_object_ids_are_refused_by_name() {
        let error = greet(frames(&["version 2", "object-format=sha256"])).await.err().unwrap();
        assert_eq!(error.to_string(), "url: a repository with sha256 object ids is not supported");
    }

    #[tokio::test]
    async fn errors_of_the_server_are_told_apart() {
        let told = async |message: &str| greet(frames(&[&format!("ERR {message}")])).await.err().unwrap();
        assert!(matches!(told("upload-pack: not our ref 12").await, GitError::NoSuchReference { .. }));
        assert!(matches!(told("want 12 not valid").await, GitError::NoSuchReference { .. }));
        assert!(matches!(told("Repository not found.").await, GitError::NotFound { .. }));
        assert!(matches!(told("access denied").await, GitError::Denied { .. }));
    }

    #[tokio::test]
    async fn a_greeting_that_goes_on_meets_a_limit() {
        let told = async |bytes: Vec<u8>| {
            let mut reader = PacketReader::new(std::io::Cursor::new(bytes));
            reader.bound(10_000);
            greeting("url", &mut reader).await.err().unwrap().to_string()
        };
        let names: Vec<String> = (0..200).map(|n| format!("{ID} refs/heads/{n}")).collect();
        let first = format!("{ID} refs/heads/x\0side-band-64k");
        let lines: Vec<&str> = std::iter::once(&first).chain(&names).map(String::as_str).collect();
        assert!(told(frames(&lines)).await.contains("bytes of itself, its branches and its tags"));
        let lines: Vec<&str> = std::iter::once("version 2").chain(std::iter::repeat_n("x", 1500)).collect();
        assert!(told(frames(&lines)).await.contains("more than 1000 capabilities"));
    }

    #[tokio::test]
    async fn nonsense_is_an_error_and_never_a_panic() {
        for line in ["", "x", "0123 refs/heads/x", ID, &format!("{ID} a^{{}}"), "\0\0", " "] {
            assert!(greet(frames(&[line])).await.is_err(), "{line:?}");
        }
        assert!(greet(Vec::new()).await.is_err());
        assert_eq!(listed_v2("unborn HEAD symref-target:refs/heads/main"), Some(None));
        for line in ["", "x", ID, &format!("{ID} name peeled:x"), "0123 name"] {
            assert_eq!(listed_v2(line), None, "{line:?}");
        }
    }
}
