//! Git's framing: lines that start with their length in four hexadecimal digits.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// One frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Packet {
    /// Bytes.
    Data(Vec<u8>),
    /// `0000`, the end of a message.
    Flush,
    /// `0001`, the end of a section.
    Delimiter,
    /// `0002`, the end of a response.
    End,
}

/// What a server may tell of itself and of its names, in one answer. A name takes some 70 bytes, so that a million fit.
pub(super) const TOLD_BYTES: u64 = 64 << 20;

/// Reads frames from bytes that come in over time.
pub(super) struct PacketReader {
    from: Box<dyn AsyncRead + Send + Unpin>,
    /// How many bytes may still come; none if somebody else counts them.
    left: Option<u64>,
}

/// A frame that could not be read.
#[derive(Debug)]
pub(super) enum PacketError {
    /// The bytes break off, or are no frame.
    Io(io::Error),
    /// More than [`TOLD_BYTES`].
    TooMuch,
}

impl From<io::Error> for PacketError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl PacketReader {
    pub(super) fn new(from: impl AsyncRead + Send + Unpin + 'static) -> Self {
        Self { from: Box::new(tokio::io::BufReader::with_capacity(64 * 1024, from)), left: Some(TOLD_BYTES) }
    }

    /// Begins to count anew, for the next answer.
    pub(super) fn bound(&mut self, bytes: u64) {
        self.left = Some(bytes);
    }

    /// Counts no more: what comes now is counted by whoever reads it, and not kept in memory.
    pub(super) fn unbound(&mut self) {
        self.left = None;
    }

    /// The next frame; none at the end of the bytes.
    pub(super) async fn next(&mut self) -> Result<Option<Packet>, PacketError> {
        let mut length = [0; 4];
        if self.from.read(&mut length[..1]).await? == 0 {
            return Ok(None);
        }
        self.from.read_exact(&mut length[1..]).await?;
        let digits = length.iter().all(u8::is_ascii_hexdigit).then(|| String::from_utf8_lossy(&length).into_owned());
        let length = digits.and_then(|digits| usize::from_str_radix(&digits, 16).ok());
        Ok(Some(match length {
            Some(0) => Packet::Flush,
            Some(1) => Packet::Delimiter,
            Some(2) => Packet::End,
            Some(length @ 4..) => {
                if let Some(left) = &mut self.left {
                    *left = left.checked_sub(length as u64).ok_or(PacketError::TooMuch)?;
                }
                let mut data = vec![0; length - 4];
                self.from.read_exact(&mut data).await?;
                Packet::Data(data)
            }
            Some(3) | None => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame has no valid length").into());
            }
        }))
    }
}

/// A request under construction.
#[derive(Debug, Default)]
pub(super) struct Request {
    bytes: Vec<u8>,
}

impl Request {
    /// Adds a line.
    pub(super) fn line(&mut self, text: &str) -> &mut Self {
        self.bytes.extend_from_slice(format!("{:04x}{text}\n", text.len() + 5).as_bytes());
        self
    }

    pub(super) fn flush(&mut self) -> &mut Self {
        self.bytes.extend_from_slice(b"0000");
        self
    }

    pub(super) fn delimiter(&mut self) -> &mut Self {
        self.bytes.extend_from_slice(b"0001");
        self
    }

    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    async fn packets(bytes: &'static [u8]) -> Result<Vec<Packet>, PacketError> {
        let mut reader = PacketReader::new(bytes);
        let mut packets = Vec::new();
        while let Some(packet) = reader.next().await? {
            packets.push(packet);
        }
        Ok(packets)
    }

    #[tokio::test]
    async fn frames_are_read_as_written() {
        let bytes = Request::default().line("want x").delimiter().flush().take();
        let packets = packets(bytes.leak()).await.unwrap();
        assert_eq!(packets, [Packet::Data(b"want x\n".to_vec()), Packet::Delimiter, Packet::Flush]);
    }

    #[tokio::test]
    async fn more_than_the_bound_is_refused_before_it_is_read() {
        let mut reader = PacketReader::new(&b"0008abcd0008efgh0008ijkl"[..]);
        reader.bound(15);
        assert!(reader.next().await.unwrap().is_some());
        assert!(matches!(reader.next().await, Err(PacketError::TooMuch)));
        let mut reader = PacketReader::new(&b"0008abcd0008efgh0008ijkl"[..]);
        reader.bound(15);
        assert!(reader.next().await.unwrap().is_some());
        reader.unbound();
        assert!(reader.next().await.unwrap().is_some());
    }

    #[tokio::test]
    async fn nonsense_is_an_error() {
        for bytes in [&b"zzzz"[..], b"0003", b"00", b"0009abc", b"+001"] {
            assert!(packets(bytes).await.is_err(), "{}", String::from_utf8_lossy(bytes));
        }
    }
}
