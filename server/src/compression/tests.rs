use std::io::Read;

use futures::StreamExt;

use super::*;

fn headers(value: &str) -> HeaderMap {
    HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_str(value).expect("a header"))])
}

#[test]
fn the_best_wish_wins() {
    // Proves weights, refusals, unknown codings, and that `*` and nothing ask for nothing.
    for (value, expected) in [
        ("gzip", Some(Coding::Gzip)),
        ("gzip, deflate, zstd", Some(Coding::Zstd)),
        ("zstd;q=0.5, gzip;q=0.9", Some(Coding::Gzip)),
        ("GZIP ; q=0.1", Some(Coding::Gzip)),
        ("gzip;q=0", None),
        ("gzip;q=x", None),
        ("br, deflate, *", None),
        ("identity", None),
    ] {
        assert_eq!(asked_for(&headers(value)), expected, "{value}");
    }
    assert_eq!(asked_for(&HeaderMap::new()), None);
}

/// A body of these pieces, compressed; what came out after each of them.
async fn pieces(coding: Coding, pieces: Vec<Result<&'static str, std::io::Error>>) -> Vec<Result<Bytes, axum::Error>> {
    let body = Body::from_stream(futures::stream::iter(pieces.into_iter().map(|piece| piece.map(Bytes::from))));
    let response = Response::new(body);
    compressed(response, coding).into_body().into_data_stream().collect().await
}

#[tokio::test]
async fn every_piece_can_be_read_when_it_comes() {
    // Proves the flush: after the first piece its whole line can be decompressed, and all pieces make the text.
    let parts = pieces(Coding::Gzip, vec![Ok("one\n"), Ok("two\n")]).await;
    let parts: Vec<Bytes> = parts.into_iter().collect::<Result<_, _>>().expect("no error");
    let mut first = Vec::new();
    let cut = flate2::read::GzDecoder::new(&parts[0][..]).read_to_end(&mut first);
    assert!(cut.is_err() && first == b"one\n", "{first:?}");
    let mut all = String::new();
    flate2::read::GzDecoder::new(&parts.concat()[..]).read_to_string(&mut all).expect("a whole stream");
    assert_eq!(all, "one\ntwo\n");
    let parts = pieces(Coding::Zstd, vec![Ok("one\n"), Ok("two\n")]).await;
    let parts: Vec<Bytes> = parts.into_iter().collect::<Result<_, _>>().expect("no error");
    let mut first = [0; 4];
    zstd::stream::read::Decoder::new(&parts[0][..]).expect("a decoder").read_exact(&mut first).expect("flushed");
    assert_eq!(&first, b"one\n");
    assert_eq!(zstd::stream::decode_all(&parts.concat()[..]).expect("a whole stream"), b"one\ntwo\n");
}

#[tokio::test]
async fn what_breaks_off_stays_broken() {
    // Proves that an error passes through and that no end is written after it.
    for coding in [Coding::Gzip, Coding::Zstd] {
        let parts = pieces(coding, vec![Ok("one\n"), Err(std::io::Error::other("lost"))]).await;
        assert!(parts.len() == 2 && parts[0].is_ok() && parts[1].is_err(), "{coding:?}: {parts:?}");
    }
}
