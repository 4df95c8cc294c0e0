//! `POST /v2/stream`: sizes, counts and depths, each at its limit and just past it.

use std::io::Write as _;

use serde_json::{Value, json};
use siltstone_tests::{Reply, raw_exchange};

use super::stream::{push, table};
use crate::{api, server};

fn code(reply: &Reply) -> (u16, String) {
    (reply.status, reply.json()["code"].as_str().unwrap_or_default().to_owned())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("in memory");
    encoder.finish().expect("in memory")
}

#[test]
fn fifty_thousand_rows_and_not_one_more() {
    // At the limit is allowed; past it nothing is written.
    let api = api();
    table(&api, "row_limit", "a BIGINT");
    let ndjson = |rows: usize| "{\"a\":1}\n".repeat(rows);
    let path = "/v2/stream?table=bronze.row_limit";
    assert_eq!(
        code(&api.stream_bytes(path, "application/x-ndjson", ndjson(50_001))),
        (413, "too_many_rows".to_owned())
    );
    assert_eq!(api.count("bronze.row_limit"), 0);
    let reply = api.stream_bytes(path, "application/x-ndjson", ndjson(50_000));
    assert_eq!((reply.status, &reply.json()["successful_rows"]), (200, &json!(50_000)));
    let envelope = format!("{{\"data\":[{}{{}}],\"config\":{{}}}}", "{},".repeat(50_000));
    assert_eq!(code(&api.stream_bytes(path, "application/json", envelope)), (413, "too_many_rows".to_owned()));
}

#[test]
fn the_payload_limit_holds_with_and_without_a_length() {
    // 11 MB on the wire is 413 whether announced or chunked; 9 MB passes.
    let server = server();
    let api = server.api();
    table(&api, "payload", "a VARCHAR");
    let path = "/v2/stream?table=bronze.payload";
    let body = |bytes: usize| format!("{{\"a\":\"\"}}{}", " ".repeat(bytes));
    let too_large = (413, "payload_too_large".to_owned());
    assert_eq!(code(&api.stream_bytes(path, "application/x-ndjson", body(11_000_000))), too_large);
    let chunked = reqwest::blocking::Body::new(std::io::Cursor::new(body(11_000_000).into_bytes()));
    assert_eq!(code(&api.stream_bytes(path, "application/x-ndjson", chunked)), too_large);
    assert_eq!(api.stream_bytes(path, "application/x-ndjson", body(9_000_000)).status, 200);
    // Announced as too large, it is refused before a single byte of it is sent.
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {}\r\nContent-Length: 11000000\r\n\
         Expect: 100-continue\r\n\r\n",
        api.bearer()
    );
    let reply = raw_exchange(server.address(), head.as_bytes(), false);
    assert!(reply.starts_with("HTTP/1.1 413 "), "{reply:?}");
    assert_eq!(api.count("bronze.payload"), 1);
}

#[test]
fn compression_counts_on_the_wire_and_decoded() {
    // A small gzip of 12 MB passes, one of 100 MB does not.
    let api = api();
    table(&api, "decoded", "a VARCHAR");
    let send = |bytes: Vec<u8>, encoding: &str| {
        Reply::from(
            api.stream_request("/v2/stream?table=bronze.decoded")
                .header("content-type", "application/x-ndjson")
                .header("content-encoding", encoding)
                .body(bytes),
        )
    };
    let rows = format!("{{\"a\":\"{}\"}}\n", "x".repeat(1000)).repeat(12_000);
    assert_eq!(send(gzip(rows.as_bytes()), "gzip").status, 200);
    assert_eq!(send(zstd::encode_all(rows.as_bytes(), 1).expect("in memory"), "zstd").status, 200);
    assert_eq!(api.count("bronze.decoded"), 24_000);
    let spaces = vec![b' '; 100 << 20];
    let too_large = (413, "decoded_payload_too_large".to_owned());
    assert_eq!(code(&send(gzip(&spaces), "gzip")), too_large);
    assert_eq!(code(&send(zstd::encode_all(&spaces[..], 1).expect("in memory"), "zstd")), too_large);
    assert_eq!(api.count("bronze.decoded"), 24_000);
}

#[test]
fn a_large_field_refuses_its_row_only() {
    // One field may have 1 MB: 0.9 MB passes, 1.2 MB is a row error, in text and nested alike.
    let api = api();
    table(&api, "field_limit", "t VARCHAR, j JSON");
    let body = push(
        &api,
        "field_limit",
        json!([
            {"t": "x".repeat(900_000)},
            {"t": "x".repeat(1_200_000)},
            {"j": ["x".repeat(900_000)]},
            {"j": ["x".repeat(1_200_000)]},
            {"t": "last"},
        ]),
    );
    assert_eq!((&body["accepted"], &body["rejected_rows"]), (&json!(3), &json!(2)), "{}", body["errors"]);
    for detail in body["error_details"].as_array().expect("details") {
        assert_eq!(detail["code"], "field_too_large");
        assert!(detail["value"].as_str().is_none_or(|value| value.chars().count() <= 101), "the value is cut");
    }
}

#[test]
fn nesting_of_a_row_is_limited() {
    // The row is level 1: ten levels pass, eleven refuse the row, deep bodies are no rows at all.
    let api = api();
    table(&api, "depth", "n BIGINT, v JSON");
    let row = |levels: usize| {
        let inner = levels - 1;
        let value: Value = serde_json::from_str(&format!("{}{}", "[".repeat(inner), "]".repeat(inner))).expect("JSON");
        json!({"n": levels, "v": value})
    };
    let body = push(&api, "depth", json!([row(2), row(10), row(11), row(60)]));
    assert_eq!((&body["accepted"], &body["rejected_rows"]), (&json!(2), &json!(2)), "{body}");
    assert!(
        body["error_details"].as_array().expect("details").iter().all(|detail| detail["code"] == "nesting_too_deep")
    );
    assert_eq!(api.rows("SELECT n FROM bronze.depth ORDER BY n"), [[json!(2)], [json!(10)]]);
}

#[test]
fn new_columns_are_limited_per_request() {
    // A hundred new columns pass; the row that would add the next one is refused.
    let api = api();
    table(&api, "wide", "id BIGINT");
    let rows: Vec<Value> = (0..102).map(|n| json!({"id": n, format!("c{n}"): n})).collect();
    let body = push(&api, "wide", Value::Array(rows));
    assert_eq!((&body["accepted"], &body["rejected_rows"]), (&json!(100), &json!(2)), "{}", body["errors"]);
    assert_eq!(body["error_details"][0]["code"], "too_many_columns");
    assert_eq!(api.succeed("SELECT * FROM bronze.wide LIMIT 0").columns.len(), 101);
}

#[test]
fn encodings_are_checked() {
    // Corrupt, truncated and unknown encodings are 400; several members and frames are read to the end; lists are undone in reverse.
    let api = api();
    table(&api, "encoded", "a BIGINT");
    let send = |bytes: &[u8], encoding: &str| {
        Reply::from(
            api.stream_request("/v2/stream?table=bronze.encoded")
                .header("content-type", "application/x-ndjson")
                .header("content-encoding", encoding)
                .body(bytes.to_vec()),
        )
    };
    let row = b"{\"a\":1}\n";
    let (zipped, frame) = (gzip(row), zstd::encode_all(&row[..], 1).expect("in memory"));
    for (bytes, encoding, rows) in [
        (zipped.clone(), "gzip", 1_u64),
        (zipped.clone(), "GZIP", 1),
        ([zipped.clone(), zipped.clone()].concat(), "gzip", 2),
        ([frame.clone(), frame.clone(), frame.clone()].concat(), "zstd", 3),
        (row.to_vec(), "identity", 1),
        (zstd::encode_all(&zipped[..], 1).expect("in memory"), "gzip, zstd", 1),
    ] {
        let reply = send(&bytes, encoding);
        assert_eq!(
            (reply.status, reply.json()["accepted"].as_u64()),
            (200, Some(rows)),
            "{encoding}: {}",
            reply.text()
        );
    }
    for (bytes, encoding, wanted) in [
        (zipped[..zipped.len() - 3].to_vec(), "gzip", "invalid_encoding"),
        (row.to_vec(), "gzip", "invalid_encoding"),
        (frame[..frame.len() - 1].to_vec(), "zstd", "invalid_encoding"),
        (b"\x28\xb5\x2f\xfdgarbage".to_vec(), "zstd", "invalid_encoding"),
        (row.to_vec(), "br", "unsupported_encoding"),
    ] {
        assert_eq!(code(&send(&bytes, encoding)), (400, wanted.to_owned()), "{encoding}");
    }
    assert_eq!(api.count("bronze.encoded"), 9);
}
