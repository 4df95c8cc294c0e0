//! What all endpoints of the Altertable API have in common: verbs, credentials, compression, the document about them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use siltstone_tests::Reply;

use crate::{api, server};

fn document() -> Value {
    let reply = Reply::from(api().request(Method::GET, "/openapi/lakehouse.json"));
    assert_eq!((reply.status, reply.header("content-type")), (200, "application/json"), "{}", reply.text());
    reply.json()
}

#[test]
fn the_document_tells_verbs_and_credentials() {
    // Every described path answers another verb with 405 and `Allow`, and, but for the document itself, no credentials with 401.
    let api = api();
    let document = document();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let path = path.replace("{query_id}", "019d68d4-c4cb-7e40-ad50-fd4b68c2045e");
        let path = path.replace("{task_id}", "019d68d4-c4cb-7e40-ad50-fd4b68c2045e");
        let reply = Reply::from(api.request(Method::PATCH, &path).header("authorization", api.basic()));
        assert_eq!(reply.status, 405, "{path}");
        let verbs = ["get", "post", "delete", "put"].iter().filter(|verb| item.get(**verb).is_some());
        for verb in verbs {
            let allowed = reply.header("allow").to_ascii_lowercase();
            assert!(allowed.split(',').any(|one| one.trim() == *verb), "{path}: {allowed}");
            let method = Method::from_bytes(verb.to_ascii_uppercase().as_bytes()).expect("a verb");
            let bare = Reply::from(api.request(method, &path).body("{}"));
            let open = path.starts_with("/openapi");
            assert_eq!(bare.status, if open { 200 } else { 401 }, "{verb} {path}");
            assert!(open || bare.header("www-authenticate").contains("Basic"), "{verb} {path}");
        }
    }
    let unknown = api.get("/no/such/path");
    assert_eq!(unknown.status, 404);
}

#[test]
fn answers_are_compressed_for_those_who_ask() {
    // gzip and zstd by `Accept-Encoding`, the same bytes inside; small answers and Parquet stay as they are.
    let api = api();
    let ask = |body: &Value, accept: Option<&str>| {
        let request = api.request(Method::POST, "/query").header("authorization", api.basic()).body(body.to_string());
        Reply::from(match accept {
            Some(accept) => request.header("accept-encoding", accept),
            None => request,
        })
    };
    let body = json!({"statement": "SELECT n, 'always the same' AS t FROM range(20000) AS a(n)", "format": "csv"});
    let plain = ask(&body, None);
    assert_eq!((plain.status, plain.header("content-encoding")), (200, ""));
    let gzip = ask(&body, Some("gzip"));
    assert_eq!((gzip.header("content-encoding"), gzip.header("vary")), ("gzip", "accept-encoding"));
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&gzip.body[..]).read_to_end(&mut unpacked).expect("gzip");
    assert!(unpacked == plain.body && gzip.body.len() < plain.body.len() / 2);
    let zstd = ask(&body, Some("gzip;q=0.5, zstd"));
    assert_eq!(zstd.header("content-encoding"), "zstd");
    assert!(zstd::stream::decode_all(&zstd.body[..]).expect("zstd") == plain.body);
    let small = api.request(Method::POST, "/validate").header("authorization", api.basic());
    let small = Reply::from(small.header("accept-encoding", "gzip").body("{\"statement\":\"SELECT 1\"}"));
    assert_eq!((small.header("content-encoding"), &small.json()["valid"]), ("", &json!(true)));
    let parquet = json!({"statement": "SELECT n FROM range(20000) AS a(n)", "format": "parquet"});
    assert_eq!(ask(&parquet, Some("gzip")).header("content-encoding"), "");
    assert_eq!(ask(&body, Some("br, *;q=0.1")).header("content-encoding"), "");
}

#[test]
fn a_compressed_metadata_line_comes_at_once() {
    // The first bytes of a gzip answer can be unpacked to the whole first line while the query still runs.
    let server = server();
    let statement = "SELECT count(*) FROM range(300000) AS a(n), range(3000) AS b(n) WHERE (a.n * 7 + b.n) % 11 = 5";
    let body = json!({ "statement": statement }).to_string();
    let mut stream = TcpStream::connect(server.address()).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    let head = format!(
        "POST /query HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\naccept-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        api().basic(),
        body.len()
    );
    let started = Instant::now();
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).expect("writable");
    let mut received = Vec::new();
    let line = loop {
        let mut bytes = [0; 4096];
        let count = stream.read(&mut bytes).expect("readable");
        assert!(count > 0, "the connection ended: {:?}", String::from_utf8_lossy(&received));
        received.extend_from_slice(&bytes[..count]);
        let Some(at) = received.windows(2).position(|two| two == [0x1f, 0x8b]) else {
            continue;
        };
        let mut line = Vec::new();
        // The stream is cut here, which is what the decoder then says.
        let _cut = flate2::read::GzDecoder::new(&received[at..]).read_to_end(&mut line);
        if line.ends_with(b"\n") {
            break String::from_utf8(line).expect("UTF-8");
        }
    };
    assert!(line.contains("\"query_id\"") && line.lines().count() == 1, "{line}");
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}
