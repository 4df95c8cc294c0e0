//! `POST /v2/stream` with `Idempotency-Key`: what was answered is answered again, also after the process was killed.

use serde_json::{Value, json};
use siltstone_tests::{Api, Reply, Server};

use super::stream::table;
use crate::{api, launch};

fn send(api: &Api, key: &str, body: &Value) -> Reply {
    let request = api.stream_request("/v2/stream").header("content-type", "application/json");
    Reply::from(request.header("Idempotency-Key", key).body(body.to_string()))
}

fn append(table: &str, rows: &Value) -> Value {
    json!({"data": rows, "config": {"table": format!("bronze.{table}"), "wait": true}})
}

/// Expects the first answer again, word for word.
fn assert_replayed(reply: &Reply, first: &Reply) {
    assert_eq!((reply.status, reply.text()), (200, first.text()));
    assert_eq!(reply.header("idempotent-replayed"), "true");
}

#[test]
fn a_key_takes_effect_once() {
    // The same request again gets the same answer, warnings and snapshot included; another request under that key is refused.
    let api = api();
    table(&api, "once", "a BIGINT");
    let body = append("once", &json!([{"a": 1, "b": 2.5}, {"a": "x"}]));
    let first = send(&api, "once-1", &body);
    assert_eq!((first.status, first.header("idempotent-replayed")), (200, ""), "{}", first.text());
    assert!(first.json()["snapshot_id"].is_u64(), "{}", first.text());
    for _ in 0..2 {
        assert_replayed(&send(&api, "once-1", &body), &first);
    }
    assert_eq!(api.count("bronze.once"), 1);
    let other = send(&api, "once-1", &append("once", &json!([{"a": 2}])));
    assert_eq!((other.status, &other.json()["code"]), (422, &json!("idempotency_mismatch")), "{}", other.text());
    let mut config = body.clone();
    config["config"]["wait"] = json!(false);
    assert_eq!(send(&api, "once-1", &config).json()["code"], "idempotency_mismatch", "the configuration counts, too");
    let second = send(&api, "once-2", &body);
    assert_eq!((second.status, second.header("idempotent-replayed")), (200, ""));
    assert_eq!(api.count("bronze.once"), 2);
}

#[test]
fn what_is_the_same_does_not_depend_on_how_it_is_sent() {
    // The decoded rows and the effective configuration count, not their place or compression.
    let api = api();
    table(&api, "places", "a BIGINT");
    let path = "/v2/stream?table=bronze.places&tags=%7B%22x%22%3A1%7D";
    let rows = "[{\"a\":1}]";
    let sent = |compressed: bool| {
        let body = match compressed {
            true => zstd::encode_all(rows.as_bytes(), 3).expect("compression"),
            false => rows.as_bytes().to_vec(),
        };
        let request = api.stream_request(path).header("Idempotency-Key", "places-1").body(body);
        Reply::from(if compressed { request.header("content-encoding", "zstd") } else { request })
    };
    let first = sent(false);
    assert_eq!(first.status, 200, "{}", first.text());
    assert_replayed(&sent(true), &first);
    assert_eq!(api.count("bronze.places"), 1);
}

#[test]
fn errors_are_not_remembered() {
    // A request that was refused may be sent again under its key once it is mended; one whose rows were all bad was answered.
    let api = api();
    let body = append("mended", &json!([{"a": 1}]));
    assert_eq!(send(&api, "mended-1", &body).status, 404);
    table(&api, "mended", "a BIGINT");
    assert_eq!(send(&api, "mended-1", &body).status, 200);
    assert_eq!(api.count("bronze.mended"), 1);
    let bad = append("mended", &json!([{"a": "x"}]));
    let first = send(&api, "mended-2", &bad);
    assert_eq!(
        (&first.json()["success"], &first.json()["snapshot_id"]),
        (&json!(false), &Value::Null),
        "{}",
        first.text()
    );
    assert_replayed(&send(&api, "mended-2", &bad), &first);
    let long = "k".repeat(256);
    for key in [long.as_str(), "", "tab\there"] {
        let reply = send(&api, key, &body);
        assert_eq!((reply.status, &reply.json()["code"]), (422, &json!("invalid_idempotency_key")), "{key:?}");
    }
    assert_eq!(send(&api, &long[1..], &body).status, 200);
    assert_eq!(api.count("bronze.mended"), 2);
}

#[test]
fn requests_of_one_key_take_turns() {
    // Many at once: one writes, all get its answer.
    let api = api();
    table(&api, "turns", "a BIGINT");
    let rows: Vec<Value> = (0..2_000).map(|n| json!({ "a": n })).collect();
    let body = append("turns", &Value::Array(rows));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (api, body) = (api.clone(), body.clone());
            std::thread::spawn(move || send(&api, "turns-1", &body))
        })
        .collect();
    let replies: Vec<Reply> = threads.into_iter().map(|thread| thread.join().expect("an answer")).collect();
    assert!(replies.iter().all(|reply| reply.status == 200 && reply.text() == replies[0].text()));
    let first = replies.iter().filter(|reply| reply.header("idempotent-replayed").is_empty()).count();
    assert_eq!((first, api.count("bronze.turns")), (1, 2_000));
}

#[test]
fn keys_outlive_the_process() {
    // Killed right after the answers, also of a merge: after the restart each is replayed as it was, with its own snapshot.
    let server = Server::start(launch());
    let api = server.api();
    table(&api, "outlived", "a BIGINT, v BIGINT");
    let mut merge = append("outlived", &json!([{"a": 1, "v": 9}]));
    merge["config"]["mode"] = json!("merge");
    merge["config"]["primary_key"] = json!(["a"]);
    let bodies = [append("outlived", &json!([{"a": 1}, {"a": 2}])), append("outlived", &json!([{"a": 3}])), merge];
    let firsts: Vec<Reply> = (0..).zip(&bodies).map(|(n, body)| send(&api, &format!("key {n}"), body)).collect();
    let snapshots: Vec<u64> =
        firsts.iter().map(|reply| reply.json()["snapshot_id"].as_u64().expect("a snapshot")).collect();
    assert!(snapshots.is_sorted() && snapshots[0] < snapshots[2], "{snapshots:?}");
    let server = server.kill_and_restart();
    let api = server.api();
    for ((n, body), first) in (0..).zip(&bodies).zip(&firsts) {
        assert_replayed(&send(&api, &format!("key {n}"), body), first);
    }
    let rows = || api.rows("SELECT a, v FROM bronze.outlived ORDER BY a");
    assert_eq!(rows(), [[json!(1), json!(9)], [json!(2), Value::Null], [json!(3), Value::Null]]);
    let other = send(&api, "key 0", &bodies[1]);
    assert_eq!(other.json()["code"], "idempotency_mismatch");
    let hidden = api.query_error("SELECT * FROM system.main.receipts");
    assert!(hidden.contains("does not exist"), "{hidden}");
}
