//! `GET` and `DELETE /query/{query_id}`: the log of queries, and stopping one.

use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use siltstone_tests::{Api, QueryReply, Reply};

use crate::api;

/// Far more work than any test waits for, in different operators.
const ENDLESS: [(&str, &str); 4] = [
    ("a join", "SELECT count(*) FROM range(1000000) AS a(n), range(1000000) AS b(n) WHERE (a.n * 7 + b.n) % 11 = 5"),
    (
        "a sort",
        "SELECT max(r) FROM (SELECT row_number() OVER (ORDER BY md5(CAST(n AS VARCHAR))) AS r FROM range(100000000) AS a(n))",
    ),
    ("functions", "SELECT sum(length(repeat(md5(CAST(n AS VARCHAR)), 50))) FROM range(1000000000) AS a(n)"),
    ("rows", "SELECT n, md5(CAST(n AS VARCHAR)) FROM range(10000000000) AS a(n)"),
];

fn id(n: u32) -> String {
    format!("019d68d4-c4cb-7e40-ad50-{n:012x}")
}

fn show(api: &Api, id: &str) -> Reply {
    api.get(&format!("/query/{id}"))
}

fn cancel(api: &Api, id: &str, session: &str) -> Reply {
    let path = format!("/query/{id}?session_id={session}");
    Reply::from(api.request(Method::DELETE, &path).header("authorization", api.basic()))
}

/// Sends a query and reads its metadata line.
fn start(api: &Api, body: &Value) -> BufReader<reqwest::blocking::Response> {
    let request = api.request(Method::POST, "/query").header("authorization", api.basic()).body(body.to_string());
    let mut response = BufReader::new(request.send().expect("a reply"));
    let mut metadata = String::new();
    response.read_line(&mut metadata).expect("readable");
    assert!(metadata.contains("query_id"), "{metadata}");
    response
}

#[test]
fn a_finished_query_is_described() {
    // Every field of the contract with its type; null where nothing is known, objects where clients want objects.
    let api = api();
    api.append_ok("logged", "[{\"n\":1},{\"n\":2},{\"n\":3}]");
    let body = json!({
        "statement": " SELECT n FROM logged ORDER BY n ", "query_id": id(1), "session_id": "log-1", "requested_by": "tests",
        "visible": false,
    });
    let request = api.request(Method::POST, "/query").header("authorization", api.basic());
    let reply = Reply::from(request.header("user-agent", "log-test/1").body(body.to_string()));
    assert_eq!(QueryReply::parse(reply.text()).rows.len(), 3);
    let reply = show(&api, &id(1));
    assert_eq!((reply.status, reply.header("content-type")), (200, "application/json"));
    let entry = reply.json();
    assert_eq!((&entry["uuid"], &entry["session_id"]), (&json!(id(1)), &json!("log-1")));
    assert_eq!(entry["query"], "SELECT n FROM logged ORDER BY n");
    assert_eq!((&entry["client_interface"], &entry["error"]), (&json!("HttpQuery"), &Value::Null));
    assert_eq!((&entry["visible"], &entry["requested_by"]), (&json!(false), &json!("tests")));
    assert_eq!(entry["user_agent"], "log-test/1");
    assert!(entry["duration_ms"].is_u64(), "{entry}");
    for key in ["start_time", "end_time"] {
        let text = entry[key].as_str().expect("a time");
        assert!(text.len() == "2026-01-01T00:00:00.000000Z".len() && text.ends_with('Z'), "{key}: {text}");
    }
    assert_eq!(entry["stats"]["caching"], Value::Null);
    assert!(entry["stats"]["memory"]["total_usage_bytes"].is_u64(), "{entry}");
    assert_eq!(entry["stats"]["scan"]["estimated_scanned_rows"], 3);
    assert!(entry["stats"]["scan"]["estimated_result_rows"].is_u64(), "{entry}");
    assert_eq!(entry["progress"], json!({"percentage": 100.0, "rows_processed": 3, "total_rows": 3}));
}

#[test]
fn failures_are_in_the_log() {
    // A failed query has its message, statements without a plan have no progress, `stats` is an object all the same.
    let api = api();
    api.query_with(&json!({"statement": "SELECT * FROM not_logged", "query_id": id(2)}));
    let entry = show(&api, &id(2)).json();
    assert!(entry["error"].as_str().is_some_and(|error| error.contains("not_logged")), "{entry}");
    assert_eq!((&entry["progress"], &entry["visible"]), (&Value::Null, &json!(true)));
    assert_eq!(entry["stats"], json!({"caching": null, "memory": null, "scan": null}));
    assert!(entry["end_time"].is_string() && entry["requested_by"].is_null(), "{entry}");
}

#[test]
fn unknown_and_malformed_ids_are_refused() {
    // 404 for what nobody or another user ran, 400 for what is no UUID or names no session.
    let api = api();
    assert_eq!(show(&api, &id(3)).status, 404);
    assert_eq!(show(&api, "nope").status, 400);
    assert_eq!(cancel(&api, &id(3), "s").status, 404);
    assert_eq!(cancel(&api, "nope", "s").status, 400);
    api.query_with(&json!({"statement": "SELECT 1", "query_id": id(4), "session_id": "s"}));
    assert_eq!(cancel(&api, &id(4), "").status, 400);
    let path = format!("/query/{}", id(4));
    let without = Reply::from(api.request(Method::DELETE, &path).header("authorization", api.basic()));
    assert_eq!((without.status, without.text().contains("session_id")), (400, true));
    assert_eq!(Reply::from(api.request(Method::GET, &path)).status, 401);
    assert_eq!(Reply::from(api.request(Method::DELETE, &path)).status, 401);
}

#[test]
fn finished_queries_cannot_be_cancelled_and_sessions_must_match() {
    // Both are 200 with a message; the id of a finished query may be used again.
    let api = api();
    api.query_with(&json!({"statement": "SELECT 1", "query_id": id(5), "session_id": "mine"}));
    let reply = cancel(&api, &id(5), "mine");
    assert_eq!((reply.status, reply.json()), (200, json!({"cancelled": true, "message": "Query already finished"})));
    let reply = cancel(&api, &id(5), "theirs");
    assert_eq!(reply.json(), json!({"cancelled": false, "message": "Session ID does not match"}));
    api.query_with(&json!({"statement": "SELECT 2", "query_id": id(5), "session_id": "mine"}));
    assert_eq!(show(&api, &id(5)).json()["query"], "SELECT 2");
}

#[test]
fn a_running_query_is_cancelled_within_a_second() {
    // Whatever it is doing; the stream ends with an error line that says `cancelled`, and so does the log.
    let api = api();
    for (n, (what, statement)) in ENDLESS.iter().enumerate() {
        let id = id(100 + n as u32);
        let body = json!({"statement": statement, "query_id": id, "session_id": "cancel"});
        let mut lines = start(&api, &body).lines();
        std::thread::sleep(Duration::from_millis(400));
        let entry = show(&api, &id).json();
        assert_eq!((&entry["end_time"], &entry["duration_ms"]), (&Value::Null, &Value::Null), "{what}: {entry}");
        assert_eq!(api.query_with(&body).status, 400, "{what}: the id is in use");
        let asked = Instant::now();
        let reply = cancel(&api, &id, "cancel");
        assert_eq!(reply.json(), json!({"cancelled": true, "message": "Query cancelled"}), "{what}");
        let last = lines.by_ref().map_while(Result::ok).last().expect("a last line");
        assert!(asked.elapsed() < Duration::from_secs(2), "{what}: {:?}", asked.elapsed());
        assert!(last.starts_with("{\"error\":") && last.contains("cancelled"), "{what}: {last}");
        let entry = show(&api, &id).json();
        assert!(entry["error"].as_str().is_some_and(|error| error.contains("cancelled")), "{what}: {entry}");
    }
}

#[test]
fn cancelling_undoes_what_was_not_committed() {
    // A script that is cancelled within its transaction leaves nothing, and its session is free again.
    let api = api();
    api.succeed("CREATE TABLE cancelled_rows (a BIGINT)");
    let script = format!("BEGIN; INSERT INTO cancelled_rows VALUES (1); {}; COMMIT", ENDLESS[0].1);
    let body = json!({"statement": script, "query_id": id(200), "session_id": "undone"});
    let response = start(&api, &body);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(cancel(&api, &id(200), "undone").json()["cancelled"], true);
    let last = response.lines().map_while(Result::ok).last().expect("a last line");
    assert!(last.contains("cancelled"), "{last}");
    let body = json!({"statement": "SELECT count(*) FROM cancelled_rows", "session_id": "undone"});
    assert_eq!(QueryReply::parse(api.query_with(&body).text()).rows, [[json!(0)]]);
    assert_eq!(api.count("cancelled_rows"), 0);
}

#[test]
fn formats_without_envelope_break_off_when_cancelled() {
    // Before the first rows it is status 500 with the message, later the connection breaks: no file looks complete.
    let api = api();
    let body = json!({"statement": ENDLESS[0].1, "format": "csv", "query_id": id(300), "session_id": "csv"});
    let waiting = std::thread::spawn({
        let api = api.clone();
        move || api.query_with(&body)
    });
    std::thread::sleep(Duration::from_millis(400));
    assert_eq!(cancel(&api, &id(300), "csv").json()["cancelled"], true);
    let reply = waiting.join().expect("no panic");
    assert_eq!((reply.status, reply.text().contains("cancelled")), (500, true), "{}", reply.text());
    let body = json!({"statement": ENDLESS[3].1, "format": "csv", "query_id": id(301), "session_id": "csv"});
    let request = api.request(Method::POST, "/query").header("authorization", api.basic()).body(body.to_string());
    let response = request.send().expect("headers");
    assert_eq!(response.status(), 200);
    assert_eq!(cancel(&api, &id(301), "csv").json()["cancelled"], true);
    assert!(response.bytes().is_err(), "the body must not end as if it were whole");
}

#[test]
fn a_client_that_goes_away_ends_its_query() {
    // Dropping the connection is noticed, and the log says so.
    let api = api();
    let body = json!({"statement": ENDLESS[0].1, "query_id": id(400), "session_id": "gone"});
    drop(start(&api, &body));
    let started = Instant::now();
    loop {
        let entry = show(&api, &id(400)).json();
        if entry["end_time"].is_string() {
            assert!(entry["error"].as_str().is_some_and(|error| error.contains("cancelled")), "{entry}");
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "still running: {entry}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
