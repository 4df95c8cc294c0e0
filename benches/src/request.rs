//! Requests as finished bytes: head and body in one buffer, so that sending one is a single write.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::args::{Args, Dialect};
use crate::events::Events;

/// Rows over all prebuilt bodies together: some 75 MB of text, and far more than any window a compressor looks back.
const DISTINCT_ROWS: u64 = 262_144;
/// Bounds of the number of prebuilt bodies.
const BODIES: std::ops::RangeInclusive<u64> = 256..=65_536;

/// All requests of a run.
#[derive(Debug)]
pub struct Requests {
    /// Head and body, ready to be written.
    pub bytes: Vec<Vec<u8>>,
    /// Mean length of a body, in bytes.
    pub body_bytes_mean: f64,
}

/// Builds the requests that a run repeats in turn.
pub fn build(args: &Args) -> Requests {
    let count = (DISTINCT_ROWS / args.rows_per_request).clamp(*BODIES.start(), *BODIES.end());
    let mut events = Events::seeded(args.seed);
    let mut body_bytes = 0;
    let bytes = (0..count)
        .map(|_| {
            let body = body(args, &mut events);
            body_bytes += body.len();
            append_request(args, &body)
        })
        .collect();
    Requests { bytes, body_bytes_mean: body_bytes as f64 / count as f64 }
}

fn body(args: &Args, events: &mut Events) -> String {
    let mut text = String::new();
    if args.dialect == Dialect::Stream {
        text.push_str("{\"data\":");
    }
    text.push('[');
    for row in 0..args.rows_per_request {
        if row > 0 {
            text.push(',');
        }
        events.push(&mut text);
    }
    text.push(']');
    if args.dialect == Dialect::Stream {
        let table = args.table.two_parts();
        text.push_str(&format!(",\"config\":{{\"table\":\"{table}\",\"mode\":\"append\",\"wait\":{}}}}}", args.wait));
    }
    text
}

fn append_request(args: &Args, body: &str) -> Vec<u8> {
    match args.dialect {
        Dialect::Append => {
            let table = &args.table;
            let path = format!(
                "/append?catalog={}&schema={}&table={}{}",
                table.catalog,
                table.schema,
                table.table,
                if args.wait { "&sync=true" } else { "" }
            );
            post(args, &path, &basic(args), body)
        }
        Dialect::Stream => post(args, "/v2/stream", &bearer(args), body),
    }
}

/// A SQL statement as a `/query` request.
pub fn query(args: &Args, statement: &str) -> Vec<u8> {
    let body = serde_json::json!({ "statement": statement }).to_string();
    post(args, "/query", &basic(args), &body)
}

fn post(args: &Args, path: &str, authorization: &str, body: &str) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: {authorization}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        args.address,
        body.len()
    );
    let mut bytes = Vec::with_capacity(head.len() + body.len());
    bytes.extend_from_slice(head.as_bytes());
    bytes.extend_from_slice(body.as_bytes());
    bytes
}

fn basic(args: &Args) -> String {
    format!("Basic {}", STANDARD.encode(args.user.as_deref().unwrap_or_default()))
}

fn bearer(args: &Args) -> String {
    format!("Bearer {}", args.api_key.as_deref().unwrap_or_default())
}
