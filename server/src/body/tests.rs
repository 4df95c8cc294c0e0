use std::io::Write as _;

use http::HeaderValue;

use super::*;

const LIMITS: BodyLimits = BodyLimits { wire_bytes_max: 1 << 20, decoded_bytes_max: 2 << 20 };

async fn read_with(encoding: &str, body: Body, limits: BodyLimits) -> Result<Bytes, BodyFault> {
    let mut headers = HeaderMap::new();
    if !encoding.is_empty() {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_str(encoding).expect("header"));
    }
    read(&Limits::new(64 << 20, 2), &headers, body, limits).await.map(|held| held.bytes)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("memory")
}

fn pieces(pieces: Vec<Vec<u8>>) -> Body {
    Body::from_stream(futures::stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>)))
}

#[tokio::test]
async fn every_coding_is_undone() {
    // Proves each coding, several members or frames in a row, lists of codings, and names in any case.
    let text = b"{\"a\":1}".repeat(5000);
    let doubled = |encoded: Vec<u8>| encoded.repeat(2);
    for (encoding, body, times) in [
        ("", text.clone(), 1),
        ("identity", text.clone(), 1),
        ("GZip", gzip(&text), 1),
        ("gzip", doubled(gzip(&text)), 2),
        ("zstd", zstd(&text), 1),
        ("zstd", doubled(zstd(&text)), 2),
        ("deflate", deflate(&text), 1),
        ("deflate", zlib(&text), 1),
        ("gzip, zstd", zstd(&gzip(&text)), 1),
    ] {
        let read = read_with(encoding, Body::from(body), LIMITS).await.expect(encoding);
        assert_eq!(read, text.repeat(times), "{encoding}");
    }
}

#[tokio::test]
async fn damaged_and_unknown_codings_are_told_apart() {
    // Proves the two faults, for truncated, corrupt and empty input.
    let good = gzip(&[b'x'; 10_000]);
    for (encoding, body) in [
        ("gzip", good[..good.len() / 2].to_vec()),
        ("gzip", b"not gzip".to_vec()),
        ("gzip", Vec::new()),
        ("zstd", zstd(&[b'x'; 10_000])[..10].to_vec()),
        ("zstd", b"not zstd".to_vec()),
        ("deflate", b"\xff\xff\xff".to_vec()),
    ] {
        let fault = read_with(encoding, Body::from(body), LIMITS).await.expect_err(encoding);
        assert!(matches!(fault, BodyFault::InvalidEncoding(_)), "{encoding}: {fault:?}");
    }
    let fault = read_with("br", Body::from("x"), LIMITS).await.expect_err("br");
    assert_eq!(fault, BodyFault::UnsupportedEncoding("br".to_owned()));
}

#[tokio::test]
async fn the_wire_limit_is_exact_with_and_without_a_length() {
    // Proves that the limit itself passes and one byte more does not, in one piece and in many.
    let limits = BodyLimits { wire_bytes_max: 100_000, decoded_bytes_max: 100_000 };
    for body in [Body::from(vec![b' '; 100_000]), pieces(vec![vec![b' '; 20_000]; 5])] {
        assert_eq!(read_with("", body, limits).await.expect("at the limit").len(), 100_000);
    }
    for body in [Body::from(vec![b' '; 100_001]), pieces(vec![vec![b' '; 20_001]; 5])] {
        assert_eq!(read_with("", body, limits).await, Err(BodyFault::TooLarge { limit: 100_000 }));
    }
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("99999999999"));
    let claimed = read(&Limits::new(1 << 20, 1), &headers, Body::from("x"), limits).await;
    assert_eq!(claimed.expect_err("too large").to_string(), "the request body is larger than 100000 bytes");
}

#[tokio::test]
async fn a_bomb_stops_at_the_limit() {
    // Proves that a small body that expands a thousandfold is refused, in every coding.
    let zeros = vec![0; 64 << 20];
    for (encoding, body) in [("gzip", gzip(&zeros)), ("zstd", zstd(&zeros)), ("deflate", deflate(&zeros))] {
        let outcome = read_with(encoding, Body::from(body), LIMITS).await;
        assert_eq!(outcome, Err(BodyFault::DecodedTooLarge { limit: 2 << 20 }), "{encoding}");
    }
}

#[tokio::test]
async fn expansion_far_beyond_the_guess_still_works() {
    // Proves that the first guess of the output's size is only a guess.
    let text = vec![b'a'; 2 << 20];
    assert_eq!(read_with("gzip", Body::from(gzip(&text)), LIMITS).await.expect("fits"), text);
}

#[tokio::test]
async fn room_is_given_back() {
    // Proves that the shared budget refuses what it can never hold, and is free again once a body is dropped.
    let shared = Limits::new(256 * 1024, 1);
    let limits = BodyLimits { wire_bytes_max: 1 << 20, decoded_bytes_max: 1 << 20 };
    let too_much = read(&shared, &HeaderMap::new(), pieces(vec![vec![1; 512 * 1024]]), limits).await;
    assert_eq!(too_much.expect_err("no room"), BodyFault::NoRoom);
    for _ in 0..3 {
        let held = read(&shared, &HeaderMap::new(), pieces(vec![vec![1; 50_000]; 4]), limits).await.expect("room");
        assert_eq!(held.bytes.len(), 200_000);
    }
}
