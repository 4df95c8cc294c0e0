//! Hostile and unusual request bodies on every endpoint: bombs, garbage, chunks, half requests; and what a connection is worth
//! after them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;
use siltstone_tests::{Reply, Server, raw_exchange};

use crate::{api, launch, server};

const APPEND: &str = "/append?catalog=LAKE&schema=main&table=";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("in memory");
    encoder.finish().expect("in memory")
}

/// A gzip file of `copies` times 64 MiB of zeros, made without holding them.
fn zeros(copies: usize) -> Vec<u8> {
    let member = gzip(&vec![0; 64 << 20]);
    member.repeat(copies)
}

#[test]
fn compressed_bodies_are_read_everywhere() {
    // gzip, zstd and deflate on the other endpoints as well.
    let api = api();
    let body = b"{\"a\":1}".to_vec();
    let mut deflate = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    deflate.write_all(&body).expect("in memory");
    for (bytes, encoding) in [
        (gzip(&body), "gzip"),
        (zstd::encode_all(&body[..], 1).expect("in memory"), "zstd"),
        (deflate.finish().expect("in memory"), "deflate"),
    ] {
        let reply = Reply::from(
            api.request(reqwest::Method::POST, &format!("{APPEND}compressed"))
                .header("authorization", api.basic())
                .header("content-encoding", encoding)
                .body(bytes),
        );
        assert_eq!(reply.json()["ok"], true, "{encoding}: {}", reply.text());
    }
    assert_eq!(api.count("compressed"), 3);
    let statement = gzip(json!({"statement": "SELECT 1"}).to_string().as_bytes());
    let request = api.request(reqwest::Method::POST, "/query").header("authorization", api.basic());
    assert_eq!(Reply::from(request.header("content-encoding", "gzip").body(statement)).status, 200);
}

#[test]
fn bombs_cost_bounded_memory() {
    // Two gibibytes of zeros in two megabytes, on every endpoint and several at once: refused, and the peak stays below half of one.
    let server = Server::start(launch());
    let bomb = zeros(32);
    assert!(bomb.len() < 9 << 20, "the bomb passes the wire limit: {}", bomb.len());
    let before = server.peak_memory_bytes();
    std::thread::scope(|scope| {
        for path in ["/append?catalog=LAKE&schema=main&table=bomb", "/query", "/v2/stream?table=main.bomb"] {
            for _ in 0..2 {
                let (api, bomb) = (server.api(), bomb.clone());
                scope.spawn(move || {
                    let authorization = if path.starts_with("/v2") { api.bearer() } else { api.basic() };
                    let reply = Reply::from(
                        api.request(reqwest::Method::POST, path)
                            .header("authorization", authorization)
                            .header("content-encoding", "gzip")
                            .header("content-type", "application/json")
                            .body(bomb),
                    );
                    // Zeros are no JSON either: whichever is seen first.
                    assert!([400, 413].contains(&reply.status), "{path}: {} {}", reply.status, reply.text());
                });
            }
        }
    });
    let grown = server.peak_memory_bytes().saturating_sub(before) >> 20;
    // The decoded limits of the six bodies add up to 448 MiB; a growing buffer holds up to twice its contents.
    assert!(grown < 1024, "memory grew by {grown} MiB");
    assert_eq!(server.api().get("/ready").status, 200);
}

#[test]
fn garbage_is_refused_and_nothing_breaks() {
    // Seeded random bytes and mutilated JSON on every endpoint: a client error each time, never a server error, and it lives on.
    let server = server();
    let api = server.api();
    let seed = 20_261;
    let mut random = fastrand::Rng::with_seed(seed);
    let good = br#"{"data":[{"a":1,"b":"x\u00e9","c":[1,{"d":null}],"e":-1.5e10}],"config":{"table":"main.garbage"}}"#;
    for round in 0..300 {
        let mut bytes =
            if random.bool() { good.to_vec() } else { (0..random.usize(..200)).map(|_| random.u8(..)).collect() };
        if !bytes.is_empty() {
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..bytes.len());
                bytes[at] = random.u8(..);
            }
            bytes.truncate(random.usize(..=bytes.len()));
        }
        for reply in [
            api.append("catalog=LAKE&schema=main&table=garbage_append", bytes.clone()),
            api.stream_bytes("/v2/stream?table=main.garbage_stream", "application/json", bytes.clone()),
            api.stream_bytes("/v2/stream?table=main.garbage_stream", "application/x-ndjson", bytes.clone()),
        ] {
            assert!(reply.status < 500, "seed {seed}, round {round}: {} for {bytes:?}", reply.status);
        }
    }
    assert_eq!(api.rows("SELECT 1 AS a").len(), 1);
}

#[test]
fn huge_numbers_and_deep_nesting_are_handled() {
    // Numbers with a million digits and exponents beyond all bounds, brackets by the hundred thousand: an answer, quickly.
    let api = api();
    let digits = "9".repeat(1_000_000);
    for (body, statuses) in [
        (format!("{{\"v\":{digits}}}"), &[200, 400][..]),
        (format!("{{\"v\":0.{digits}}}"), &[200, 400]),
        ("{\"v\":1e999999999999}".to_owned(), &[200, 400]),
        ("{\"v\":-1e-999999999999}".to_owned(), &[200, 400]),
        ("[".repeat(500_000), &[400]),
        ("{\"a\":".repeat(200_000), &[400]),
        (format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)), &[400]),
    ] {
        let shown = body.get(..20).unwrap_or(&body).to_owned();
        let reply = api.append("catalog=LAKE&schema=main&table=huge_numbers", body);
        assert!(statuses.contains(&reply.status), "{shown}…: {} {}", reply.status, reply.text());
    }
    assert_eq!(api.get("/ready").status, 200);
}

#[test]
fn a_request_cut_short_writes_nothing() {
    // A client that vanishes in the middle of its body leaves no row, whatever had arrived.
    let server = server();
    let api = server.api();
    api.append_ok("cut_short", "{\"a\":0}");
    let head = |framing: &str| {
        format!("POST {APPEND}cut_short HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\n{framing}\r\n\r\n", api.basic())
    };
    for (framing, body) in [
        ("Content-Length: 100", "{\"a\":1}"),
        ("Transfer-Encoding: chunked", "7\r\n{\"a\":1}\r\n"),
        ("Transfer-Encoding: chunked", "zz\r\n{\"a\":1}\r\n0\r\n\r\n"),
    ] {
        raw_exchange(server.address(), format!("{}{body}", head(framing)).as_bytes(), true);
    }
    assert_eq!(api.count("cut_short"), 1);
}

#[test]
fn chunks_and_expectations_are_honoured() {
    // curl announces large bodies and Python sends iterators in chunks: both arrive whole.
    let server = server();
    let api = server.api();
    let chunked = reqwest::blocking::Body::new(std::io::Cursor::new(b"[{\"a\":1},{\"a\":2}]".to_vec()));
    assert_eq!(api.append("catalog=LAKE&schema=main&table=chunked_body", chunked).json()["ok"], true);
    assert_eq!(api.count("chunked_body"), 2);
    let body = "{\"a\":3}";
    let mut stream = TcpStream::connect(server.address()).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    write!(
        stream,
        "POST {APPEND}chunked_body HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nConnection: close\r\nContent-Length: {}\r\n\
         Expect: 100-continue\r\n\r\n",
        api.basic(),
        body.len()
    )
    .expect("writable");
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut line = String::new();
    reader.read_line(&mut line).expect("an interim answer");
    assert!(line.starts_with("HTTP/1.1 100"), "{line}");
    stream.write_all(body.as_bytes()).expect("writable");
    let mut rest = String::new();
    reader.read_to_string(&mut rest).expect("an answer");
    assert!(rest.contains("200 OK") && rest.contains("\"ok\":true"), "{rest}");
}

#[test]
fn an_upgrade_to_http2_is_answered_over_http1() {
    // The Java client offers it with every request; it must neither be refused nor taken.
    let server = server();
    let api = server.api();
    let body = "{\"statement\":\"SELECT 1\"}";
    let request = format!(
        "POST /query HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\nAccept: application/json\r\nAccept: application/x-ndjson\r\n\
         Content-Length: {}\r\n\r\n{body}",
        api.basic(),
        body.len()
    );
    let reply = raw_exchange(server.address(), request.as_bytes(), false);
    assert!(reply.starts_with("HTTP/1.1 200 ") && reply.contains("[1]\n"), "{reply:?}");
}

#[test]
fn a_connection_survives_refused_requests() {
    // Keep-alive after 400, 401, 404, 413 and rejected rows: the next request on the same connection is answered.
    let server = server();
    let api = server.api();
    let mut stream = TcpStream::connect(server.address()).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut exchange = |path: &str, authorization: &str, body: &str| -> u16 {
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("the connection is still open");
        let (mut status, mut length) = (String::new(), 0_u64);
        reader.read_line(&mut status).expect("an answer");
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("a header");
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a number");
            }
            if line.trim_end().is_empty() {
                break;
            }
        }
        std::io::copy(&mut (&mut reader).take(length), &mut std::io::sink()).expect("the body");
        status.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("{status:?}"))
    };
    let (basic, path) = (api.basic().to_owned(), format!("{APPEND}kept_alive"));
    assert_eq!(exchange(&path, &basic, "{broken"), 400);
    assert_eq!(exchange(&path, "Basic d3Jvbmc6d3Jvbmc=", "{\"a\":1}"), 401);
    assert_eq!(exchange("/nowhere", &basic, "{\"a\":1}"), 404);
    assert_eq!(exchange(&path, &basic, "{\"a\":1}"), 200);
    assert_eq!(exchange(&path, &basic, "{\"a\":\"x\"}"), 200);
    assert_eq!(exchange(&path, &basic, "{\"a\":2}"), 200);
    assert_eq!(api.count("kept_alive"), 2);
}

#[test]
fn every_reply_has_a_request_id() {
    // Echoed when the client sent one, made up when not; on success, refusal and unknown paths.
    let api = api();
    let send = |path: &str, id: Option<&str>| {
        let mut request = api.request(reqwest::Method::POST, path).header("authorization", api.basic()).body("{}");
        if let Some(id) = id {
            request = request.header("x-request-id", id);
        }
        Reply::from(request).header("x-request-id").to_owned()
    };
    for path in ["/query", "/nowhere", "/v2/stream", &format!("{APPEND}t")] {
        assert_eq!(send(path, Some("client-made-7")), "client-made-7", "{path}");
        let (first, second) = (send(path, None), send(path, None));
        assert!(!first.is_empty() && first != second, "{path}: {first} {second}");
    }
    assert!(!api.get("/health").header("x-request-id").is_empty());
}
