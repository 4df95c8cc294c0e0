//! `POST /append` and `GET /tasks`: outcomes, atomicity, tasks, racing schema changes.

use reqwest::Method;
use serde_json::{Value, json};
use siltstone_tests::{Api, Reply, Server};

use crate::{api, launch, server};

/// Checks the four keys that every answer has, and their types.
fn outcome(reply: &Reply) -> (u16, bool, Option<String>) {
    let body = reply.json();
    let mut keys: Vec<&str> = body.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["error_code", "error_message", "ok", "task_id"], "{body}");
    assert!(reply.header("content-type").starts_with("application/json"), "{reply:?}");
    let ok = body["ok"].as_bool().expect("a boolean");
    assert_eq!(body["error_message"].is_null(), ok, "{body}");
    assert_eq!(body["error_code"].is_null(), ok, "{body}");
    (reply.status, ok, body["error_code"].as_str().map(str::to_owned))
}

fn refused(status: u16, code: &str) -> (u16, bool, Option<String>) {
    (status, false, Some(code.to_owned()))
}

const ACCEPTED: (u16, bool, Option<String>) = (200, true, None);

fn append_to(api: &Api, table: &str, body: &str) -> Reply {
    api.append(&format!("catalog=LAKE&schema=main&table={table}"), body.to_owned())
}

#[test]
fn rows_are_accepted_and_queryable() {
    // The core promise: an object or an array goes in, SQL reads it back.
    let api = api();
    let reply = append_to(&api, "accepted", r#"{"name": "Alice", "age": 30, "email": "a@example.com"}"#);
    assert_eq!(outcome(&reply), ACCEPTED);
    let task = reply.json()["task_id"].as_str().expect("an id").to_owned();
    assert_eq!((task.len(), task.as_bytes()[14], task.to_lowercase()), (36, b'7', task.clone()), "UUIDv7");
    let reply = append_to(&api, "accepted", r#"[{"name": "Bob", "age": 25}, {"name": "Charlie", "age": 35}]"#);
    assert_eq!(outcome(&reply), ACCEPTED);
    assert_eq!(
        api.rows("SELECT name, age, email FROM accepted ORDER BY age"),
        [
            vec![json!("Bob"), json!(25), Value::Null],
            vec![json!("Alice"), json!(30), json!("a@example.com")],
            vec![json!("Charlie"), json!(35), Value::Null],
        ]
    );
}

#[test]
fn an_empty_array_is_accepted_without_a_task() {
    // Nothing to do is no failure, and creates nothing.
    let api = api();
    let reply = append_to(&api, "empty_array", "[]");
    assert_eq!(outcome(&reply), ACCEPTED);
    assert_eq!(reply.json()["task_id"], Value::Null);
    assert!(api.query_error("SELECT * FROM empty_array").contains("does not exist"));
}

#[test]
fn bodies_that_are_no_rows_are_bad_requests() {
    // Not JSON, or JSON of the wrong shape: 400 in the append's own shape, nothing created.
    let api = api();
    for body in [
        "",
        "  ",
        "{",
        "{\"a\":1",
        "[{\"a\":1},",
        "{\"a\":1} x",
        "7",
        "\"text\"",
        "null",
        "[1]",
        "[[]]",
        "[{\"a\":1}, 2]",
        "{'a':1}",
    ] {
        let reply = append_to(&api, "no_rows", body);
        assert_eq!(outcome(&reply), refused(400, "invalid-data"), "{body}");
    }
    assert!(api.query_error("SELECT * FROM no_rows").contains("does not exist"));
}

#[test]
fn parameters_are_required() {
    // A missing or empty name is named in the message.
    let api = api();
    for (parameters, missing) in [
        ("schema=main&table=t", "catalog"),
        ("catalog=LAKE&table=t", "schema"),
        ("catalog=LAKE&schema=main", "table"),
        ("catalog=LAKE&schema=main&table=", "table"),
        ("catalog=&schema=main&table=t", "catalog"),
    ] {
        let reply = api.append(parameters, "{\"a\":1}");
        assert_eq!(outcome(&reply), refused(400, "invalid-data"), "{parameters}");
        let message = reply.json()["error_message"].to_string();
        assert!(message.contains(missing), "{parameters}: {message}");
    }
}

#[test]
fn an_unknown_catalog_is_refused_in_the_body() {
    // Clients expect 200 with ok:false here; no ingest creates a catalog.
    let reply = api().append("catalog=nowhere&schema=main&table=t", "{\"a\":1}");
    assert_eq!(outcome(&reply), refused(200, "invalid-data"));
    assert!(reply.json()["error_message"].to_string().contains("nowhere"));
}

#[test]
fn schema_and_table_are_created_as_needed() {
    // A schema nobody made appears with the first rows, and names compare without case.
    let api = api();
    assert_eq!(outcome(&api.append("catalog=lake&schema=Fresh_Schema&table=Events", "{\"A\":1}")), ACCEPTED);
    assert_eq!(outcome(&api.append("catalog=LAKE&schema=fresh_schema&table=EVENTS", "{\"a\":2}")), ACCEPTED);
    let reply = api.succeed("SELECT * FROM LAKE.fresh_schema.events ORDER BY 1");
    assert_eq!(reply.columns, [("A".to_owned(), "BIGINT".to_owned())]);
    assert_eq!(reply.rows, [[json!(1)], [json!(2)]]);
}

#[test]
fn an_empty_object_needs_an_existing_table() {
    // It says nothing about columns; in an existing table it is a row of NULLs.
    let api = api();
    assert_eq!(outcome(&append_to(&api, "empty_object", "{}")), refused(200, "invalid-data"));
    assert!(api.query_error("SELECT * FROM empty_object").contains("does not exist"));
    api.append_ok("empty_object", "{\"a\":1}");
    assert_eq!(outcome(&append_to(&api, "empty_object", "{}")), ACCEPTED);
    assert_eq!(api.rows("SELECT a FROM empty_object ORDER BY a NULLS LAST"), [[json!(1)], [Value::Null]]);
}

#[test]
fn one_bad_row_refuses_all_and_is_named() {
    // All or nothing, and the message says row (from 0), column, type and value.
    let api = api();
    api.append_ok("one_bad", "{\"n\":1,\"s\":\"x\"}");
    let reply = append_to(&api, "one_bad", r#"[{"n":2}, {"n":3}, {"n":"seven hundred","fresh":1}]"#);
    assert_eq!(outcome(&reply), refused(200, "incompatible-schema"));
    let message = reply.json()["error_message"].as_str().expect("a text").to_owned();
    for part in ["2", "n", "BIGINT", "seven hundred"] {
        assert!(message.contains(part), "{part} in {message}");
    }
    assert_eq!(api.count("one_bad"), 1);
    assert_eq!(api.succeed("SELECT * FROM one_bad").columns.len(), 2, "no column from a refused request");
}

#[test]
fn not_null_is_respected() {
    // A declared constraint holds for absent, null and good values.
    let api = api();
    api.succeed("CREATE TABLE strict_column (a BIGINT NOT NULL, b VARCHAR)");
    for body in ["{\"b\":\"x\"}", "{\"a\":null}", "[{\"a\":1},{\"a\":null}]"] {
        assert_eq!(outcome(&append_to(&api, "strict_column", body)), refused(200, "incompatible-schema"), "{body}");
    }
    assert_eq!(outcome(&append_to(&api, "strict_column", "{\"a\":1}")), ACCEPTED);
    assert_eq!(api.count("strict_column"), 1);
}

#[test]
fn sync_takes_its_documented_spellings() {
    // true/false/1/0, empty means true; rows of a synced append are visible at once.
    let api = api();
    for (i, sync) in ["&sync=true", "&sync=1", "&sync=", "&sync=false", "&sync=0", ""].iter().enumerate() {
        let reply = api.append(&format!("catalog=LAKE&schema=main&table=synced{sync}"), format!("{{\"i\":{i}}}"));
        assert_eq!(outcome(&reply), ACCEPTED, "{sync}");
        if i < 3 {
            assert_eq!(api.count("synced"), i as u64 + 1);
        }
    }
    assert_eq!(api.append("catalog=LAKE&schema=main&table=synced&sync=perhaps", "{\"i\":9}").status, 400);
}

#[test]
fn the_commit_is_named_in_a_header() {
    // X-Snapshot-Id is the commit: it shows the row, its predecessor does not.
    let api = api();
    api.append_ok("snapshot_header", "{\"a\":1}");
    let reply = api.append_ok("snapshot_header", "{\"a\":2}");
    let snapshot: u64 = reply.header("x-snapshot-id").parse().expect("a number");
    let count =
        |n: u64| api.succeed(&format!("SELECT count(*) FROM snapshot_header AT (VERSION => {n})")).single().clone();
    assert_eq!((count(snapshot), count(snapshot - 1)), (json!(2), json!(1)));
}

#[test]
fn tasks_answer_and_survive_a_crash() {
    // The id of an acknowledged append is known after kill -9, and no other id is.
    let server = Server::start(launch());
    let task = server.api().append_ok("t", "{\"a\":1}").json()["task_id"].as_str().expect("an id").to_owned();
    let check = |api: &Api| {
        let reply = api.get(&format!("/tasks/{task}"));
        assert_eq!((reply.status, reply.json()), (200, json!({"task_id": task, "status": "completed"})));
        assert_eq!(api.get("/tasks/not-a-uuid").status, 400);
        assert_eq!(api.get("/tasks/019d68d4-c4cb-7e40-ad50-fd4b68c2045e").status, 404);
    };
    check(&server.api());
    check(&server.kill_and_restart().api());
}

#[test]
fn racing_schema_changes_all_succeed() {
    // Two clients add the same columns at once, over and over: nobody fails, no row is lost, the columns are there once.
    let api = api();
    const ROUNDS: usize = 30;
    api.append_ok("racing", "{\"who\":0,\"round\":0}");
    std::thread::scope(|scope| {
        for who in [1, 2] {
            let api = api.clone();
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let row = format!("{{\"who\":{who},\"round\":{round},\"added_{round}\":{who}}}");
                    assert_eq!(outcome(&append_to(&api, "racing", &row)), ACCEPTED, "{row}");
                }
            });
        }
    });
    let columns = api.succeed("SELECT * FROM racing LIMIT 0").columns;
    assert_eq!(columns.len(), 2 + ROUNDS);
    for round in 0..ROUNDS {
        let sum = api.succeed(&format!("SELECT sum(added_{round}) FROM racing WHERE round = {round}"));
        assert_eq!(sum.single().as_f64(), Some(3.0), "column added_{round}");
    }
}

#[test]
fn racing_creations_of_one_table_all_succeed() {
    // Many first appends to one missing table: it is created once and has every row, with the columns of all.
    let api = api();
    for round in 0..5 {
        std::thread::scope(|scope| {
            for who in 0..4 {
                let api = api.clone();
                let body = format!("[{{\"who\":{who}}},{{\"only_{who}\":\"x\"}}]");
                scope.spawn(move || {
                    assert_eq!(outcome(&append_to(&api, &format!("created_{round}"), &body)), ACCEPTED);
                });
            }
        });
        assert_eq!(api.count(&format!("created_{round}")), 8);
        assert_eq!(api.succeed(&format!("SELECT * FROM created_{round} LIMIT 0")).columns.len(), 5);
    }
}

#[test]
fn other_methods_are_refused_with_allow() {
    // A known path with a wrong verb is 405, an unknown path 404.
    let server = server();
    let api = server.api();
    let reply = api.get("/append?catalog=LAKE&schema=main&table=t");
    assert_eq!((reply.status, reply.header("allow")), (405, "POST"));
    let reply = Reply::from(api.request(Method::DELETE, "/tasks/x").header("authorization", api.basic()));
    assert_eq!(reply.status, 405);
    assert_eq!(api.get("/nothing/here").status, 404);
}
