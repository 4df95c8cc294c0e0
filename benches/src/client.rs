//! The smallest HTTP/1.1 client that can drive a server: writes finished requests, reads replies in place.
//!
//! **Invariants**
//! 1. One request is under way per connection, and a reply is read whole before the next request.
//! 2. A reply is bounded by `REPLY_BYTES_MAX`.
//!
//! It knows no URL, no redirect, no TLS, and no body encoding but `chunked`.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::LoadError;

/// Longest reply; those of an append take a few hundred bytes.
const REPLY_BYTES_MAX: usize = 1 << 20;

/// A keep-alive connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    address: String,
    received: Vec<u8>,
}

/// A reply that was read whole.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Where the body is in what was received; with `chunked`, the framing is still in it.
    body: std::ops::Range<usize>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// `Connection`.
    pub async fn open(address: &str) -> Result<Self, LoadError> {
        let failed = |source| LoadError::Connection { address: address.to_owned(), source };
        let stream = TcpStream::connect(address).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        Ok(Self { stream, address: address.to_owned(), received: Vec::with_capacity(4096) })
    }

    /// Sends a request and reads its reply: status and body. A chunked body comes with its framing, which is enough to look for words.
    ///
    /// # Errors
    /// `Connection`, also when the server closes it; `Malformed`.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<(u16, &[u8]), LoadError> {
        self.received.clear();
        if let Err(source) = self.stream.write_all(request).await {
            return Err(self.failed(source));
        }
        loop {
            let read = match self.stream.read_buf(&mut self.received).await {
                Ok(0) => return Err(self.failed(std::io::ErrorKind::UnexpectedEof.into())),
                Ok(read) => read,
                Err(source) => return Err(self.failed(source)),
            };
            debug_assert!(read > 0);
            if let Some(reply) = parse(&self.received)? {
                return Ok((reply.status, &self.received[reply.body]));
            }
            if self.received.len() > REPLY_BYTES_MAX {
                return Err(LoadError::Malformed(format!("reply exceeds {REPLY_BYTES_MAX} bytes")));
            }
        }
    }

    fn failed(&self, source: std::io::Error) -> LoadError {
        LoadError::Connection { address: self.address.clone(), source }
    }
}

/// A reply, if all of it is there.
fn parse(bytes: &[u8]) -> Result<Option<Reply>, LoadError> {
    let Some(head_bytes) = find(bytes, b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..head_bytes])
        .map_err(|_| LoadError::Malformed("the head is not text".to_owned()))?;
    let mut lines = head.split("\r\n");
    let status = status(lines.next().unwrap_or_default())?;
    let body_start = head_bytes + 4;
    for line in lines {
        let Some((name, value)) = line.split_once(':') else {
            return Err(LoadError::Malformed(format!("header line without a colon: {line:?}")));
        };
        if name.eq_ignore_ascii_case("content-length") {
            let length: usize = value
                .trim()
                .parse()
                .map_err(|_| LoadError::Malformed(format!("content length is no number: {value:?}")))?;
            let end = body_start.saturating_add(length);
            return Ok((bytes.len() >= end).then_some(Reply { status, body: body_start..end }));
        }
        if name.eq_ignore_ascii_case("transfer-encoding") && value.trim().eq_ignore_ascii_case("chunked") {
            let end = chunked_end(&bytes[body_start..])?;
            return Ok(end.map(|end| Reply { status, body: body_start..body_start + end }));
        }
    }
    Err(LoadError::Malformed(format!("a reply without a length: {head:?}")))
}

fn status(line: &str) -> Result<u16, LoadError> {
    line.strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| LoadError::Malformed(format!("status line: {line:?}")))
}

/// Length of a chunked body with its framing, if its last chunk is there.
fn chunked_end(bytes: &[u8]) -> Result<Option<usize>, LoadError> {
    let mut position = 0;
    loop {
        let rest = &bytes[position..];
        let Some(line_bytes) = find(rest, b"\r\n") else { return Ok(None) };
        let length = std::str::from_utf8(&rest[..line_bytes])
            .ok()
            .and_then(|line| usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16).ok())
            .ok_or_else(|| LoadError::Malformed("a chunk without a length".to_owned()))?;
        position = position.saturating_add(line_bytes + 2).saturating_add(length).saturating_add(2);
        if position > bytes.len() {
            return Ok(None);
        }
        if length == 0 {
            return Ok(Some(position));
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_taken_only_when_complete() {
        // Every proper prefix of a reply is incomplete; the whole of it is one, framed by length or by chunks.
        let sized = b"HTTP/1.1 200 OK\r\nX: 1\r\ncontent-length: 5\r\n\r\nhello".as_slice();
        let chunked = b"HTTP/1.1 400 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".as_slice();
        for (bytes, status, body) in [(sized, 200, b"hello".as_slice()), (chunked, 400, b"3\r\nabc\r\n0\r\n\r\n")] {
            for end in 0..bytes.len() {
                assert_eq!(parse(&bytes[..end]).expect("well-formed so far"), None);
            }
            let reply = parse(bytes).expect("well-formed").expect("complete");
            assert_eq!((reply.status, &bytes[reply.body]), (status, body));
        }
    }

    #[test]
    fn malformed_replies_are_errors() {
        // A reply that cannot be framed must end the run, not hang it.
        for bytes in [
            &b"SSH-2.0-x\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            b"HTTP/1.1 200 OK\r\nbroken\r\n\r\n",
        ] {
            assert!(matches!(parse(bytes), Err(LoadError::Malformed(_))), "{bytes:?}");
        }
    }
}
