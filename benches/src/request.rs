//! Requests as finished bytes: head and body in one buffer, so that sending one is a single write.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::LoadError;
use crate::args::{Args, Dialect};
use crate::events::Events;

/// Rows over all prebuilt bodies together: some 75 MB of text, and far more than any window a compressor looks back.
const DISTINCT_ROWS: u64 = 262_144;
/// Bounds of the number of prebuilt bodies.
const BODIES: std::ops::RangeInclusive<u64> = 256..=65_536;

const JSON: &str = "Content-Type: application/json";

/// All requests of a run.
#[derive(Debug)]
pub struct Requests {
    /// Head and body, ready to be written.
    pub bytes: Vec<Vec<u8>>,
    /// Mean length of a body, in bytes.
    pub body_bytes_mean: f64,
}

/// Builds the requests that a run repeats in turn.
///
/// # Errors
/// `Usage` if a body cannot be compressed.
pub fn build(args: &Args) -> Result<Requests, LoadError> {
    let mut events = Events::seeded(args.seed);
    let mut body_bytes = 0;
    let bytes: Vec<Vec<u8>> = match args.merge_ids {
        Some(ids) => (0..ids.div_ceil(args.rows_per_request))
            .map(|number| {
                let body = merge_body(args, number, ids, &mut events);
                body_bytes += body.len();
                merge_request(args, &body)
            })
            .collect::<Result<_, _>>()?,
        None => (0..(DISTINCT_ROWS / args.rows_per_request).clamp(*BODIES.start(), *BODIES.end()))
            .map(|_| {
                let body = body(args, &mut events);
                body_bytes += body.len();
                append_request(args, &body)
            })
            .collect(),
    };
    let body_bytes_mean = body_bytes as f64 / bytes.len() as f64;
    Ok(Requests { bytes, body_bytes_mean })
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

/// Lines of one merge: all bodies together have every id once or, where the last one starts over, twice; each body has ids from all over.
fn merge_body(args: &Args, number: u64, ids: u64, events: &mut Events) -> String {
    let stride = coprime_stride(ids);
    let mut text = String::new();
    for row in 0..args.rows_per_request {
        let position = u128::from(number * args.rows_per_request + row + args.seed);
        let id = (position * u128::from(stride) % u128::from(ids)) as u64;
        events.push_with_id(merge_id(id), &mut text);
        text.push('\n');
    }
    text
}

/// A step that visits all of `ids` numbers in an order far from theirs.
fn coprime_stride(ids: u64) -> u64 {
    let coprime = |step: &u64| {
        let (mut a, mut b) = (ids, *step);
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a == 1
    };
    // The golden section spreads best; a coprime number is never far.
    let wanted = (ids as f64 * 0.618) as u64;
    (wanted.max(1)..).find(coprime).unwrap_or(1)
}

/// An id that says nothing about its number's neighbours.
fn merge_id(number: u64) -> uuid::Uuid {
    let mut random = fastrand::Rng::with_seed(number);
    uuid::Builder::from_random_bytes(random.u128(..).to_le_bytes()).into_uuid()
}

fn merge_request(args: &Args, body: &str) -> Result<Vec<u8>, LoadError> {
    let path = format!("/v2/stream?table={}&mode=merge&primary_key=id&wait={}", args.table.two_parts(), args.wait);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let failed = |error| LoadError::Usage(format!("cannot compress a body: {error}"));
    encoder.write_all(body.as_bytes()).map_err(failed)?;
    let body = encoder.finish().map_err(failed)?;
    let headers = "Content-Type: application/x-ndjson\r\nContent-Encoding: gzip";
    Ok(post(args, &path, &bearer(args), headers, &body))
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
            post(args, &path, &basic(args), JSON, body.as_bytes())
        }
        Dialect::Stream => post(args, "/v2/stream", &bearer(args), JSON, body.as_bytes()),
    }
}

/// A SQL statement as a `/query` request.
pub fn query(args: &Args, statement: &str) -> Vec<u8> {
    let body = serde_json::json!({ "statement": statement }).to_string();
    post(args, "/query", &basic(args), JSON, body.as_bytes())
}

fn post(args: &Args, path: &str, authorization: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: {authorization}\r\n{headers}\r\nContent-Length: {}\r\n\r\n",
        args.address,
        body.len()
    );
    let mut bytes = Vec::with_capacity(head.len() + body.len());
    bytes.extend_from_slice(head.as_bytes());
    bytes.extend_from_slice(body);
    bytes
}

fn basic(args: &Args) -> String {
    format!("Basic {}", STANDARD.encode(args.user.as_deref().unwrap_or_default()))
}

fn bearer(args: &Args) -> String {
    format!("Bearer {}", args.api_key.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn merge_bodies_have_every_id_and_none_twice_in_one() {
        // 1,000 ids in bodies of 300: the fourth starts over, but repeats nothing within itself.
        let words = [
            "--api-key",
            "k",
            "--dialect",
            "stream",
            "--rows",
            "1",
            "--rows-per-request",
            "300",
            "--merge-ids",
            "1000",
        ];
        let args = Args::from_words(&words).expect("valid");
        let mut events = Events::seeded(1);
        let mut seen = HashSet::new();
        for number in 0..4 {
            let body = merge_body(&args, number, 1000, &mut events);
            let ids: HashSet<String> = body.lines().map(|line| line[..44].to_owned()).collect();
            assert_eq!(ids.len(), 300);
            seen.extend(ids);
        }
        assert_eq!(seen.len(), 1000);
    }
}
