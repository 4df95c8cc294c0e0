//! Request bodies: read within limits, decompressed within limits; written once for all dialects.
//!
//! **Invariants**
//! 1. Never more bytes are kept than the limits allow: reading stops at the limit on the wire, decompression at the limit on its
//!    output, whatever the headers claim.
//! 2. What is kept beyond a small body is counted against the shared budget of [`Limits`].
//! 3. A body that came in one piece and is not compressed is not copied.
//!
//! It knows nothing of what is in a body.

use std::io::{BufRead, Read};
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, EXPECT};
use http_body_util::BodyExt;

use crate::limits::{BodyLimits, Limits, Room};

#[cfg(test)]
mod tests;

/// How long a client may send nothing in the middle of a body.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// What is read of a body that was refused, so that its sender comes to read the answer and the connection stays usable.
const DISCARD_BYTES_MAX: usize = 64 << 20;
/// How long that may take.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(10);

/// Content codings on one body; each costs a pass.
const CODINGS_MAX: usize = 4;

/// Declared length up to which room is taken before the bytes arrive.
const BELIEVED_BYTES_MAX: usize = 1 << 20;

/// Step in which decompressed bytes are taken.
const STEP_BYTES: usize = 64 * 1024;

/// A body in memory, and the room it takes until dropped.
#[derive(Debug)]
pub struct Held {
    /// The decompressed bytes.
    pub bytes: Bytes,
    _room: Room,
}

/// Why a body cannot be had.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    /// More on the wire than allowed.
    #[error("the request body is larger than {limit} bytes")]
    TooLarge {
        /** In bytes. */
        limit: usize,
    },
    /// More after decompression than allowed.
    #[error("the decompressed request body is larger than {limit} bytes")]
    DecodedTooLarge {
        /** In bytes. */
        limit: usize,
    },
    /// A coding we do not know.
    #[error("unsupported content encoding: {0:?}")]
    UnsupportedEncoding(String),
    /// Bytes that are not what the coding says.
    #[error("the body is not valid {0} data")]
    InvalidEncoding(&'static str),
    /// The connection broke, or went silent.
    #[error("the request body ended early")]
    Incomplete,
    /// Too many large bodies at once.
    #[error("too many large request bodies at once")]
    NoRoom,
}

/// How bytes are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Zstd,
    Deflate,
}

impl Coding {
    /// As headers and messages have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Deflate => "deflate",
        }
    }

    /// What undoes it, as bytes come in.
    ///
    /// # Errors
    /// Those of reading the first of them.
    pub(crate) fn decoder<'a>(self, mut input: impl BufRead + 'a) -> std::io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(input)?),
            // The name means the zlib format; many senders mean the bare one.
            Self::Deflate if is_zlib(input.fill_buf()?) => Box::new(flate2::bufread::ZlibDecoder::new(input)),
            Self::Deflate => Box::new(flate2::bufread::DeflateDecoder::new(input)),
        })
    }
}

/// Reads and decompresses a body.
///
/// # Errors
/// [`BodyFault`]; what was not read is discarded in the background.
pub async fn read(shared: &Limits, headers: &HeaderMap, mut body: Body, limits: BodyLimits) -> Result<Held, BodyFault> {
    let mut room = Room::default();
    let outcome = match codings(headers) {
        Ok(codings) => read_wire(shared, headers, &mut body, limits, &mut room).await.map(|wire| (wire, codings)),
        Err(fault) => Err(fault),
    };
    match outcome {
        Ok((bytes, codings)) if codings.is_empty() => Ok(Held { bytes, _room: room }),
        Ok((wire, codings)) => decompress(shared, wire, codings, limits.decoded_bytes_max, room).await,
        Err(fault) => {
            discard(headers, body);
            Err(fault)
        }
    }
}

async fn read_wire(
    shared: &Limits,
    headers: &HeaderMap,
    body: &mut Body,
    limits: BodyLimits,
    room: &mut Room,
) -> Result<Bytes, BodyFault> {
    let limit = limits.wire_bytes_max;
    let declared = declared_length(headers);
    if declared.is_some_and(|length| length > limit as u64) {
        return Err(BodyFault::TooLarge { limit });
    }
    let declared = declared.unwrap_or(0) as usize;
    let Some(first) = next(body).await? else {
        return Ok(Bytes::new());
    };
    if first.len() > limit {
        return Err(BodyFault::TooLarge { limit });
    }
    if first.len() == declared {
        keep(shared, room, declared).await?;
        return Ok(first);
    }
    // Up to a bound a declared length is believed, beyond it room is taken as bytes arrive: a mere claim must not cost much.
    let at_once = first.len().max(declared.min(BELIEVED_BYTES_MAX));
    keep(shared, room, at_once).await?;
    let mut kept = BytesMut::with_capacity(at_once);
    kept.extend_from_slice(&first);
    while let Some(piece) = next(body).await? {
        let total = kept.len() + piece.len();
        if total > limit {
            return Err(BodyFault::TooLarge { limit });
        }
        if total > kept.capacity() {
            let grown = (2 * total).min(declared.max(total));
            keep(shared, room, grown).await?;
            kept.reserve(grown - kept.len());
        }
        kept.extend_from_slice(&piece);
    }
    Ok(kept.freeze())
}

/// What the headers say of the body's length.
pub(crate) fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn keep(shared: &Limits, room: &mut Room, bytes: usize) -> Result<(), BodyFault> {
    if shared.reserve(room, bytes).await { Ok(()) } else { Err(BodyFault::NoRoom) }
}

/// The next bytes of a body; `None` at its end.
///
/// # Errors
/// `Incomplete` if the connection broke, or went silent.
pub(crate) async fn next(body: &mut Body) -> Result<Option<Bytes>, BodyFault> {
    loop {
        match tokio::time::timeout(IDLE_TIMEOUT, body.frame()).await {
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Ok(Some(data)),
                Err(_trailers) => {}
            },
            Ok(None) => return Ok(None),
            Ok(Some(Err(_))) | Err(_) => return Err(BodyFault::Incomplete),
        }
    }
}

/// Reads on, within bounds, a body that nobody wants. With `Expect: 100-continue` the client sends nothing unless asked to, so
/// nothing is read.
pub fn discard(headers: &HeaderMap, mut body: Body) {
    if headers.contains_key(EXPECT) || http_body::Body::is_end_stream(&body) {
        return;
    }
    tokio::spawn(async move {
        let all = async {
            let mut seen = 0;
            while seen < DISCARD_BYTES_MAX {
                match next(&mut body).await {
                    Ok(Some(piece)) => seen += piece.len(),
                    Ok(None) | Err(_) => break,
                }
            }
        };
        // Whether it ended or ran out of time, the body is dropped now.
        let _ended = tokio::time::timeout(DISCARD_TIMEOUT, all).await;
    });
}

/// The codings to undo, in the order in which to undo them.
pub(crate) fn codings(headers: &HeaderMap) -> Result<Vec<Coding>, BodyFault> {
    let mut codings = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        let text = value.to_str().map_err(|_| BodyFault::UnsupportedEncoding("(not text)".to_owned()))?;
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name.to_ascii_lowercase().as_str() {
                "identity" => {}
                "gzip" | "x-gzip" => codings.push(Coding::Gzip),
                "zstd" => codings.push(Coding::Zstd),
                "deflate" => codings.push(Coding::Deflate),
                _ => return Err(BodyFault::UnsupportedEncoding(name.chars().take(40).collect())),
            }
        }
    }
    if codings.len() > CODINGS_MAX {
        return Err(BodyFault::UnsupportedEncoding(format!("more than {CODINGS_MAX} codings")));
    }
    codings.reverse();
    Ok(codings)
}

async fn decompress(
    shared: &Limits,
    wire: Bytes,
    codings: Vec<Coding>,
    limit: usize,
    mut room: Room,
) -> Result<Held, BodyFault> {
    // The output is not known beforehand; up to a factor that JSON often has it is assumed, past that the limit is.
    let mut expected = wire.len().saturating_mul(8).min(limit);
    loop {
        keep(shared, &mut room, wire.len() + expected).await?;
        let (input, order) = (wire.clone(), codings.clone());
        let outcome = shared
            .compute(expected, move || order.iter().try_fold(input, |bytes, coding| expand(*coding, &bytes, expected)))
            .await
            .unwrap_or(Err(BodyFault::Incomplete));
        match outcome {
            Err(BodyFault::DecodedTooLarge { .. }) if expected < limit => expected = limit,
            Err(fault) => return Err(fault),
            Ok(bytes) => return Ok(Held { bytes, _room: room }),
        }
    }
}

fn expand(coding: Coding, input: &[u8], limit: usize) -> Result<Bytes, BodyFault> {
    let invalid = BodyFault::InvalidEncoding(coding.name());
    if input.is_empty() {
        return Err(invalid);
    }
    match coding.decoder(input) {
        Ok(decoder) => take(decoder, limit, invalid),
        Err(_) => Err(invalid),
    }
}

/// Whether bytes start with a zlib header: method 8, and a check that makes the first two bytes a multiple of 31.
fn is_zlib(input: &[u8]) -> bool {
    match input {
        [first, second, ..] => first & 0x0f == 8 && u16::from_be_bytes([*first, *second]).is_multiple_of(31),
        _ => false,
    }
}

fn take(mut decoder: impl Read, limit: usize, invalid: BodyFault) -> Result<Bytes, BodyFault> {
    let mut output = Vec::new();
    loop {
        let start = output.len();
        output.resize(start + STEP_BYTES.min(limit + 1 - start), 0);
        let Ok(read) = decoder.read(&mut output[start..]) else {
            return Err(invalid);
        };
        output.truncate(start + read);
        if read == 0 {
            return Ok(Bytes::from(output));
        }
        if output.len() > limit {
            return Err(BodyFault::DecodedTooLarge { limit });
        }
    }
}
