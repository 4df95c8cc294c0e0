//! `Idempotency-Key` on `/append`, `/upload` and `/upsert` (contract 1.5): what was answered is answered again, after a kill too.

use reqwest::Method;
use serde_json::{Value, json};
use siltstone_tests::{Api, Reply, Server};

use crate::{api, launch};

fn send(api: &Api, door: &str, table: &str, key: &str, body: &str) -> Reply {
    let path = format!("/{door}catalog=LAKE&schema=main&table={table}");
    let request = api.request(Method::POST, &path).header("authorization", api.basic());
    Reply::from(request.header("Idempotency-Key", key).body(body.to_owned()))
}

/// Expects the first answer again, word for word.
fn assert_replayed(reply: &Reply, first: &Reply) {
    assert_eq!((reply.status, reply.text()), (200, first.text()));
    assert_eq!(reply.header("x-snapshot-id"), first.header("x-snapshot-id"));
    assert_eq!(reply.header("idempotent-replayed"), "true");
}

/// A door, a body for it, and another one.
const REQUESTS: [(&str, &str, &str); 3] = [
    ("append?", "[{\"a\":1},{\"a\":2}]", "[{\"a\":3}]"),
    ("upload?mode=create_append&", "a\n1\n2\n", "a\n3\n"),
    ("upload?mode=overwrite&", "a\n1\n2\n", "a\n3\n"),
];

#[test]
fn a_key_takes_effect_once() {
    // The same request again gets the same answer, its task included, over a kill; another one under that key is refused with 400, because
    // 409 and 422 make clients post again.
    let server = Server::start(launch());
    let mut firsts = Vec::new();
    let api = server.api();
    for (i, (door, body, other)) in REQUESTS.into_iter().enumerate() {
        let (table, key) = (format!("once_{i}"), format!("key \"{i}\""));
        let first = send(&api, door, &table, &key, body);
        assert_eq!((first.status, first.header("idempotent-replayed")), (200, ""), "{}", first.text());
        assert_replayed(&send(&api, door, &table, &key, body), &first);
        let refused = send(&api, door, &table, &key, other);
        assert_eq!((refused.status, refused.text().contains("another request")), (400, true), "{}", refused.text());
        let elsewhere = send(&api, door, "elsewhere", &key, body);
        assert_eq!(elsewhere.status, 400, "{}", elsewhere.text());
        assert_eq!(api.count(&table), 2);
        firsts.push(first);
    }
    let server = server.kill_and_restart();
    let api = server.api();
    for (i, (door, body, _)) in REQUESTS.into_iter().enumerate() {
        let (table, key) = (format!("once_{i}"), format!("key \"{i}\""));
        assert_replayed(&send(&api, door, &table, &key, body), &firsts[i]);
        assert_eq!(api.count(&table), 2);
        let task = firsts[i].json()["task_id"].as_str().expect("a task").to_owned();
        let path = format!("/tasks/{task}");
        let state = Reply::from(api.request(Method::GET, &path).header("authorization", api.basic()));
        assert_eq!(state.status, 200, "{}", state.text());
    }
}

#[test]
fn errors_are_not_remembered() {
    // What was refused may be sent again under its key once it is mended; a success without rows is one.
    let api = api();
    api.rows("CREATE TABLE mended (a BIGINT NOT NULL)");
    let bad = send(&api, "append?", "mended", "mended-1", "[{\"a\":\"x\"}]");
    assert_eq!(bad.json()["ok"], json!(false), "{}", bad.text());
    let good = send(&api, "append?", "mended", "mended-1", "[{\"a\":1}]");
    assert_eq!((good.json()["ok"].clone(), good.header("idempotent-replayed")), (json!(true), ""));
    assert_eq!(send(&api, "upload?", "missing", "mended-2", "a\n1\n").status, 400);
    assert_eq!(send(&api, "upload?mode=create&", "missing", "mended-2", "a\n1\n").status, 200);
    let empty = send(&api, "append?", "mended", "mended-3", "[]");
    assert_eq!((empty.status, &empty.json()["task_id"]), (200, &Value::Null), "{}", empty.text());
    assert_replayed(&send(&api, "append?", "mended", "mended-3", "[]"), &empty);
    assert_eq!(api.count("mended"), 1);
}

#[test]
fn long_files_count_once() {
    // Those that go into segments, and those that are merged piece by piece.
    let server = Server::start(launch().arg("--upload-piece-bytes").arg("1MiB"));
    let api = server.api();
    let lines: String = (0..400_000).map(|i| format!("{i},{i:0>40}\n")).collect();
    let file = format!("id,v\n{lines}");
    for (door, table) in [("upload?mode=create_append&", "loaded"), ("upsert?primary_key=id&", "merged")] {
        let first = send(&api, door, table, table, &file);
        assert_eq!(first.status, 200, "{}", first.text());
        assert_replayed(&send(&api, door, table, table, &file), &first);
        assert_eq!(api.count(table), 400_000);
    }
}

#[test]
fn a_key_has_1_to_255_printable_characters() {
    let api = api();
    for key in ["", &"k".repeat(256)] {
        for door in ["append?", "upload?mode=create&"] {
            let refused = send(&api, door, "unkeyed", key, "[{\"a\":1}]");
            assert_eq!((refused.status, refused.text().contains("Idempotency-Key")), (400, true), "{}", refused.text());
        }
    }
    assert!(api.query_error("FROM unkeyed").contains("does not exist"));
}
