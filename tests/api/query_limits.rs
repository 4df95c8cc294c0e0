//! `POST /query` under its limits: time, number at once, waiting, memory.

use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use siltstone_tests::{Api, QueryReply, Server};

use crate::launch;

const ENDLESS: &str =
    "SELECT count(*) FROM range(1000000) AS a(n), range(1000000) AS b(n) WHERE (a.n * 7 + b.n) % 11 = 5";

/// Sends a query and reads its metadata line, so that it has its place.
fn start(api: &Api, statement: &str) -> BufReader<reqwest::blocking::Response> {
    let body = json!({ "statement": statement }).to_string();
    let request = api.request(Method::POST, "/query").header("authorization", api.basic()).body(body);
    let mut response = BufReader::new(request.send().expect("a reply"));
    let mut metadata = String::new();
    response.read_line(&mut metadata).expect("readable");
    assert!(metadata.contains("query_id"), "{metadata}");
    response
}

/// A query's first line leaves before it has its turn: waits until it has.
fn until_one_runs(api: &Api) {
    let waited = Instant::now();
    while !api.get("/metrics").text().contains("siltstone_queries_running 1") {
        assert!(waited.elapsed() < Duration::from_secs(10), "the query does not start");
    }
}

#[test]
fn a_query_ends_when_its_time_is_over() {
    // In every format, and with a message that names the limit; the next query runs.
    let server = Server::start(launch().arg("--query-timeout-ms").arg("700"));
    let api = server.api();
    let started = Instant::now();
    let error = api.query_error(ENDLESS);
    assert!(error.contains("cancelled") && error.contains("700 ms"), "{error}");
    assert!(started.elapsed() < Duration::from_millis(2200), "{:?}", started.elapsed());
    let reply = api.query_with(&json!({"statement": ENDLESS, "format": "jsonl"}));
    assert_eq!((reply.status, reply.text().contains("700 ms")), (500, true), "{}", reply.text());
    assert_eq!(api.succeed("SELECT 1 AS a").rows, [[json!(1)]]);
}

#[test]
fn a_client_that_does_not_read_ends_in_time_too() {
    // A result that nobody takes holds its place only as long as a query may take.
    let server = Server::start(launch().arg("--query-timeout-ms").arg("700").arg("--query-concurrency").arg("1"));
    let api = server.api();
    let stalled = start(&api, "SELECT n, md5(CAST(n AS VARCHAR)) FROM range(100000000) AS a(n)");
    let waited = Instant::now();
    loop {
        let reply = api.query("SELECT 1 AS a");
        if reply.error.is_none() {
            break;
        }
        assert!(waited.elapsed() < Duration::from_secs(10), "{:?}", reply.error);
    }
    drop(stalled);
}

#[test]
fn queries_wait_for_their_turn_and_are_refused_past_the_queue() {
    // One runs, one waits, the third is 429 with Retry-After before anything is sent; the waiting one runs once there is room.
    let arguments = ["--query-concurrency", "1", "--query-queue-max", "1", "--query-queue-wait-ms", "20000"];
    let server = Server::start(arguments.iter().fold(launch(), |launch, argument| launch.arg(*argument)));
    let api = server.api();
    let running = start(&api, ENDLESS);
    until_one_runs(&api);
    let waiting = start(&api, "SELECT 42 AS answer");
    let refused = api.query_with(&json!({"statement": "SELECT 1"}));
    assert_eq!((refused.status, refused.header("retry-after")), (429, "1"), "{}", refused.text());
    let metrics = api.get("/metrics");
    assert!(metrics.text().contains("siltstone_queries_running 1"), "{}", metrics.text());
    assert!(metrics.text().contains("siltstone_queries_waiting 1"), "{}", metrics.text());
    drop(running);
    let rest: Vec<String> = waiting.lines().map(|line| line.expect("readable")).collect();
    assert_eq!(rest.last().map(String::as_str), Some("[42]"), "{rest:?}");
}

#[test]
fn waiting_too_long_is_an_error_of_its_own() {
    // Default format: the metadata line has left, so it is the last line; other formats: 503 with Retry-After.
    let arguments = ["--query-concurrency", "1", "--query-queue-wait-ms", "300"];
    let server = Server::start(arguments.iter().fold(launch(), |launch, argument| launch.arg(*argument)));
    let api = server.api();
    let running = start(&api, ENDLESS);
    until_one_runs(&api);
    let reply = api.query_with(&json!({"statement": "SELECT 1"}));
    let parsed = QueryReply::parse(reply.text());
    assert!(parsed.error.is_some_and(|error| error.contains("too many queries")), "{}", reply.text());
    let reply = api.query_with(&json!({"statement": "SELECT 1", "format": "csv"}));
    assert_eq!((reply.status, reply.header("retry-after")), (503, "1"), "{}", reply.text());
    drop(running);
}

#[test]
fn a_query_spills_past_its_share_and_fails_where_it_cannot() {
    // A sort of far more than its share succeeds through the spill folder; a join that cannot spill fails alone.
    let arguments = ["--query-memory-bytes", "64MiB", "--query-memory-bytes-per-query", "16MiB"];
    let server = Server::start(arguments.iter().fold(launch(), |launch, argument| launch.arg(*argument)));
    let api = server.api();
    api.succeed("CREATE TABLE spilling (n BIGINT, t VARCHAR)");
    for start in 0..6 {
        let rows = format!("SELECT n, md5(CAST(n AS VARCHAR)) FROM range({start}00000, {}00000) AS a(n)", start + 1);
        api.succeed(&format!("INSERT INTO spilling {rows}"));
    }
    let sorted = "SELECT count(*), max(t) FROM (SELECT t, row_number() OVER (ORDER BY t, n) AS r FROM spilling)";
    assert_eq!(api.rows(sorted)[0][0], json!(600_000));
    let reply =
        api.query("SELECT count(*) FROM spilling a JOIN spilling b ON a.t || 'x' = b.t || 'x' AND a.n + 0 = b.n");
    if let Some(error) = reply.error {
        assert!(error.starts_with("Out of Memory Error"), "{error}");
    } else {
        assert_eq!(reply.rows, [[json!(600_000)]]);
    }
    assert_eq!(api.succeed("SELECT 1 AS a").rows, [[json!(1)]]);
    assert!(server.peak_memory_bytes() < 700 << 20, "{}", server.peak_memory_bytes());
}

#[test]
fn headers_come_within_five_seconds_in_every_format() {
    // A query that has no row for long: the metadata line comes within a second, the other formats commit to 200 after three.
    let server = Server::start(launch());
    let api = server.api();
    for (format, within_ms) in [("default", 1000), ("csv", 4900), ("jsonl", 4900), ("parquet", 4900)] {
        let body = json!({ "statement": ENDLESS, "format": format }).to_string();
        let sent = Instant::now();
        let request = api.request(Method::POST, "/query").header("authorization", api.basic()).body(body);
        let response = request.send().expect("headers");
        assert_eq!(response.status(), 200, "{format}");
        assert!(sent.elapsed() < Duration::from_millis(within_ms), "{format}: {:?}", sent.elapsed());
    }
}

#[test]
fn spilling_is_bounded() {
    // Past the bytes that may be spilled a query fails with a word about it, and the files are gone.
    let arguments =
        ["--query-memory-bytes", "32MiB", "--query-memory-bytes-per-query", "16MiB", "--query-spill-bytes-max", "8MiB"];
    let server = Server::start(arguments.iter().fold(launch(), |launch, argument| launch.arg(*argument)));
    let api = server.api();
    let sorted = "SELECT max(r) FROM (SELECT row_number() OVER (ORDER BY md5(CAST(n AS VARCHAR))) AS r \
                  FROM range(2000000) AS a(n))";
    let error = api.query_error(sorted);
    assert!(error.starts_with("Out of Memory Error"), "{error}");
    assert_eq!(api.succeed("SELECT 1 AS a").rows, [[json!(1)]]);
}

#[test]
fn a_short_text_does_not_mean_an_endless_plan() {
    // Common table expressions and views stand wherever they are named: what that comes to is bounded, before anything is made of it.
    let server = Server::start(launch());
    let api = server.api();
    let chain = |count: usize, step: &dyn Fn(usize) -> String| {
        let steps: Vec<String> = (1..count).map(|i| format!("c{i} AS ({})", step(i - 1))).collect();
        format!("WITH c0 AS (SELECT 1 AS a), {} SELECT count(*) AS n FROM c{}", steps.join(", "), count - 1)
    };
    let doubled = |before: usize| format!("SELECT x.a FROM c{before} x, c{before} y");
    let in_subqueries =
        |before: usize| format!("SELECT (SELECT max(a) FROM c{before}) + (SELECT min(a) FROM c{before}) AS a");
    let nested = |before: usize| {
        (0..12).fold(format!("SELECT a FROM c{before}"), |query, i| format!("SELECT a FROM ({query}) AS s{i}"))
    };
    let plain = |before: usize| format!("SELECT a FROM c{before}");
    let refused = [
        (chain(40, &doubled), "expands to more than 5000 tables"),
        (chain(40, &in_subqueries), "expands to more than 5000 tables"),
        (chain(200, &nested), "nested operators"),
        (chain(2_000, &plain), "at most 500 common table expressions"),
    ];
    for (statement, expected) in refused {
        let started = Instant::now();
        let error = api.query_error(&statement);
        assert!(error.contains(expected), "{error}");
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}: {expected}", started.elapsed());
    }
    assert_eq!(api.rows(&chain(300, &plain)), [[json!(1)]]);
    assert_eq!(api.rows(&chain(8, &doubled)), [[json!(1)]]);

    api.succeed("CREATE VIEW doubling_0 AS SELECT 1 AS a");
    let mut error = None;
    for i in 1..30 {
        let view = format!("CREATE VIEW doubling_{i} AS SELECT x.a FROM doubling_{0} x, doubling_{0} y", i - 1);
        let reply = api.query(&view);
        if reply.error.is_some() {
            error = reply.error;
            break;
        }
    }
    assert!(error.is_some(), "views refer to each other without end");
    assert_eq!(api.succeed("SELECT 1 AS a").rows, [[json!(1)]]);
}
