//! Answers compressed for clients that ask for it.
//!
//! **Invariants**
//! 1. Nothing is compressed that the client did not ask for, that is compressed already, or that is too small to gain.
//! 2. What was written so far can always be decompressed so far: the encoder is flushed after every piece, so that a line reaches the
//!    client when it was written and not when a buffer is full.
//! 3. A body that breaks off breaks off compressed, too.

use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue};
use http_body::{Frame, SizeHint};

/// Bodies that are known to be smaller stay as they are: headers and checksums would eat the gain.
const SMALL_BYTES: u64 = 1024;
/// Fast: the network of an answer is rarely slower than the next level.
const ZSTD_LEVEL: i32 = 1;

/// What a client understands and we write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Gzip,
    Zstd,
}

impl Coding {
    fn name(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

/// Middleware: compresses the answer if the request asks for it.
pub async fn layer(request: Request, next: Next) -> Response {
    let coding = asked_for(request.headers());
    let response = next.run(request).await;
    match coding {
        Some(coding) if gains(&response) => compressed(response, coding),
        _ => response,
    }
}

/// The coding that `Accept-Encoding` prefers; zstd on a tie. `*` is no wish for any in particular.
fn asked_for(headers: &HeaderMap) -> Option<Coding> {
    let wishes = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let weighed = wishes.flat_map(|value| value.split(',')).filter_map(|wish| {
        let (name, parameters) = wish.split_once(';').unwrap_or((wish, ""));
        let coding = match name.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Coding::Gzip,
            "zstd" => Coding::Zstd,
            _ => return None,
        };
        let weight =
            parameters.trim().strip_prefix("q=").map_or(Some(1.0), |weight| weight.trim().parse::<f32>().ok())?;
        (weight > 0.0).then_some((coding, weight))
    });
    let rank = |(coding, weight): &(Coding, f32)| (*weight, *coding == Coding::Zstd);
    let best = weighed.max_by(|a, b| {
        let ((a_weight, a_zstd), (b_weight, b_zstd)) = (rank(a), rank(b));
        a_weight.total_cmp(&b_weight).then(a_zstd.cmp(&b_zstd))
    });
    best.map(|(coding, _)| coding)
}

fn gains(response: &Response) -> bool {
    let headers = response.headers();
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let text = ["text/", "application/json", "application/x-ndjson"].iter().any(|kind| content_type.starts_with(kind));
    let small = response.body().size_hint().upper().is_some_and(|bytes| bytes < SMALL_BYTES);
    text && !small && !headers.contains_key(CONTENT_ENCODING)
}

fn compressed(response: Response, coding: Coding) -> Response {
    let (mut head, body) = response.into_parts();
    let encoder = match Encoder::new(coding) {
        Ok(encoder) => encoder,
        // Uncompressed is an answer, too.
        Err(error) => {
            tracing::warn!(%error, "cannot compress an answer");
            return Response::from_parts(head, body);
        }
    };
    head.headers.remove(CONTENT_LENGTH);
    head.headers.insert(CONTENT_ENCODING, coding.name());
    head.headers.append(VARY, HeaderValue::from_static("accept-encoding"));
    Response::from_parts(head, Body::new(Compressed { body, encoder: Some(encoder) }))
}

enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    fn new(coding: Coding) -> std::io::Result<Self> {
        Ok(match coding {
            Coding::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), Compression::fast())),
            Coding::Zstd => Self::Zstd(zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?),
        })
    }

    /// The bytes for a piece, whole.
    fn piece(&mut self, bytes: &[u8]) -> std::io::Result<Bytes> {
        let written = match self {
            Self::Gzip(encoder) => {
                encoder.write_all(bytes)?;
                encoder.flush()?;
                std::mem::take(encoder.get_mut())
            }
            Self::Zstd(encoder) => {
                encoder.write_all(bytes)?;
                encoder.flush()?;
                std::mem::take(encoder.get_mut())
            }
        };
        Ok(Bytes::from(written))
    }

    /// The bytes after the last piece.
    fn end(self) -> std::io::Result<Bytes> {
        Ok(Bytes::from(match self {
            Self::Gzip(encoder) => encoder.finish()?,
            Self::Zstd(encoder) => encoder.finish()?,
        }))
    }
}

struct Compressed {
    body: Body,
    /// `None` once the end was written.
    encoder: Option<Encoder>,
}

impl HttpBody for Compressed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(mut encoder) = self.encoder.take() else {
            return Poll::Ready(None);
        };
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
            self.encoder = Some(encoder);
            return Poll::Pending;
        };
        let bytes = match frame {
            None => encoder.end(),
            // Without the end, so that what is there cannot look complete.
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    let piece = encoder.piece(&data);
                    self.encoder = Some(encoder);
                    piece
                }
                // Our answers have no trailers.
                Err(_) => encoder.end(),
            },
        };
        Poll::Ready(Some(bytes.map(Frame::data).map_err(axum::Error::new)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests;
