//! The driver against a responder that answers whatever the test wants.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

/// A server that answers the n-th request with `answer(n, path, body)`: a status and a body.
fn responder(answer: impl Fn(u64, &str, &str) -> (u16, String) + Send + Sync + 'static) -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let (answer, served) = (Arc::new(answer), Arc::new(AtomicU64::new(0)));
    let counter = Arc::clone(&served);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (answer, counter) = (Arc::clone(&answer), Arc::clone(&counter));
            std::thread::spawn(move || serve(stream, &*answer, &counter));
        }
    });
    (address, served)
}

fn serve(stream: TcpStream, answer: &dyn Fn(u64, &str, &str) -> (u16, String), served: &AtomicU64) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    loop {
        let (mut path, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(rest) = line.strip_prefix("post ") {
                path = rest.trim_end_matches(" http/1.1").to_owned();
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let (status, text) =
            answer(served.fetch_add(1, Ordering::Relaxed), &path, std::str::from_utf8(&body).expect("text"));
        write!(writer, "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{text}", text.len()).ok()?;
    }
}

fn drive_words(words: &[&str]) -> Result<Outcome, LoadError> {
    let args = Args::from_words(words)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(run(&args))
}

#[test]
fn every_acknowledged_row_is_counted() {
    // 10 requests of 100 rows on 3 connections: the counts are exact and the bodies are what the dialect wants.
    let (address, served) = responder(|_, path, body| {
        assert!(path.starts_with("/append?catalog=c&schema=s&table=t"), "{path}");
        let rows: serde_json::Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(rows.as_array().map(Vec::len), Some(100));
        (200, "{\"ok\":true,\"task_id\":\"x\",\"error_message\":null,\"error_code\":null}".to_owned())
    });
    let url = format!("http://{address}");
    let outcome = drive_words(&[
        "--url",
        &url,
        "--user",
        "a:b",
        "--clients",
        "3",
        "--rows",
        "1000",
        "--rows-per-request",
        "100",
        "--table",
        "c.s.t",
    ])
    .expect("all accepted");
    assert_eq!((outcome.requests, outcome.rows, served.load(Ordering::Relaxed)), (10, 1000, 10));
    assert_eq!(outcome.latency_us.len(), 10);
}

#[test]
fn a_refusal_ends_the_run_and_shows_the_body() {
    // Neither a bad status nor a 200 that says no may pass for an acknowledgement.
    for (dialect, status, body) in [
        ("append", 503, "{\"ok\":true}"),
        ("append", 200, "{\"ok\":false,\"error_code\":\"invalid-data\"}"),
        ("stream", 200, "{\"success\":true,\"rejected_rows\":1,\"errors\":[]}"),
        ("stream", 413, "{\"success\":false,\"rejected_rows\":0,}"),
    ] {
        let (address, _) = responder(move |_, _, _| (status, body.to_owned()));
        let url = format!("http://{address}");
        let words = [
            "--url",
            &url,
            "--user",
            "a:b",
            "--api-key",
            "k",
            "--rows",
            "5",
            "--rows-per-request",
            "1",
            "--dialect",
            dialect,
        ];
        match drive_words(&words) {
            Err(LoadError::Refused { status: found, body: text }) => assert_eq!((found, text.as_str()), (status, body)),
            other => panic!("{dialect} {status}: {other:?}"),
        }
    }
}

#[test]
fn the_check_counts_rows_by_sql() {
    // --create and --check speak SQL before and after; the difference is what the table gained.
    let (address, _) = responder(|_, path, body| match path {
        "/query" if body.contains("count(*)") => (200, "{\"statement\":\"\"}\n[{\"name\":\"c\"}]\n[7]\n".to_owned()),
        "/query" => (200, "{\"statement\":\"\"}\n[{\"name\":\"Count\"}]\n".to_owned()),
        _ => (200, "{\"success\":true,\"rejected_rows\":0,\"errors\":[]}".to_owned()),
    });
    let url = format!("http://{address}");
    let outcome = drive_words(&[
        "--url",
        &url,
        "--user",
        "a:b",
        "--api-key",
        "k",
        "--rows",
        "2",
        "--rows-per-request",
        "1",
        "--dialect",
        "stream",
        "--create",
        "--check",
    ])
    .expect("all accepted");
    assert_eq!((outcome.rows, outcome.counted_rows), (2, Some(0)));
}

#[test]
fn a_timed_run_ends() {
    // --seconds stops sending once the time is over.
    let (address, _) = responder(|_, _, _| (200, "{\"ok\": true}".to_owned()));
    let url = format!("http://{address}");
    let outcome =
        drive_words(&["--url", &url, "--user", "a:b", "--seconds", "1", "--rows-per-request", "1"]).expect("accepted");
    assert!(outcome.requests > 0 && outcome.elapsed < Duration::from_secs(5));
}
