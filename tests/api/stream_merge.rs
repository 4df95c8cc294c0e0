//! `POST /v2/stream` with `mode: merge`: whole rows replaced by key, batches with a key twice refused, rows without a key reported.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use siltstone_tests::{Api, Reply};

use super::stream::table;
use crate::api;

fn merge(api: &Api, table: &str, key: &str, rows: &Value) -> Reply {
    let config = json!({"table": format!("bronze.{table}"), "mode": "merge", "primary_key": [key], "wait": true});
    api.stream(&json!({"data": rows, "config": config}))
}

fn merged(api: &Api, table: &str, key: &str, rows: &Value) -> Value {
    let reply = merge(api, table, key, rows);
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

fn append(api: &Api, table: &str, rows: &Value) {
    let reply = api.stream(&json!({"data": rows, "config": {"table": format!("bronze.{table}")}}));
    assert_eq!(reply.json()["rejected_rows"], 0, "{}", reply.text());
}

/// Expects a refusal with this code, and gives its body.
fn refused(reply: &Reply, code: &str) -> Value {
    let body = reply.json();
    assert_eq!((reply.status, body["code"].as_str()), (422, Some(code)), "{body}");
    body
}

#[test]
fn a_row_takes_the_place_of_the_stored_one() {
    // Replaced as a whole: fields that are left out fall back to their default, else NULL; other keys are inserted; one commit.
    let api = api();
    table(&api, "merged", "id BIGINT, name VARCHAR, plan VARCHAR DEFAULT 'free', note VARCHAR");
    append(&api, "merged", &json!([{"id": 1, "name": "a", "plan": "pro", "note": "x"}, {"id": 2, "name": "b"}]));
    let body = merged(&api, "merged", "ID", &json!([{"id": 1, "name": "A"}, {"ID": "3", "name": "c", "plan": "pro"}]));
    assert_eq!((&body["accepted"], &body["successful_rows"], &body["errors"]), (&json!(2), &json!(2), &json!([])));
    let stored = |at: &str| api.rows(&format!("SELECT id, name, plan, note FROM bronze.merged{at} ORDER BY id"));
    let snapshot = body["snapshot_id"].as_u64().expect("a snapshot");
    let before = stored(&format!(" AT (VERSION => {})", snapshot - 1));
    assert_eq!(before[0], [json!(1), json!("a"), json!("pro"), json!("x")]);
    assert_eq!(before.len(), 2);
    let after = [
        [json!(1), json!("A"), json!("free"), Value::Null],
        [json!(2), json!("b"), json!("free"), Value::Null],
        [json!(3), json!("c"), json!("pro"), Value::Null],
    ];
    assert_eq!(stored(""), after);
    // The same request again, as a client sends it that did not get its answer, changes nothing.
    merged(&api, "merged", "ID", &json!([{"id": 1, "name": "A"}, {"ID": "3", "name": "c", "plan": "pro"}]));
    assert_eq!(stored(""), after);
}

#[test]
fn all_stored_rows_of_a_key_give_way() {
    // The key need not be declared, so appends may have stored it several times.
    let api = api();
    table(&api, "twins", "id BIGINT, v BIGINT");
    append(&api, "twins", &json!([{"id": 1, "v": 1}, {"id": 1, "v": 2}, {"id": 1, "v": 3}, {"id": 2, "v": 4}]));
    merged(&api, "twins", "id", &json!([{"id": 1, "v": 9}]));
    assert_eq!(api.rows("SELECT id, v FROM bronze.twins ORDER BY id"), [[json!(1), json!(9)], [json!(2), json!(4)]]);
}

#[test]
fn a_key_twice_in_a_batch_refuses_it() {
    // Compared after coercion, whatever else is wrong with the rows; the message names keys and rows; nothing is written.
    let api = api();
    table(&api, "twice", "id INTEGER, v BIGINT");
    table(&api, "twice_text", "id VARCHAR, v BIGINT");
    append(&api, "twice", &json!([{"id": 1, "v": 1}]));
    let rows =
        json!([{"id": 1, "v": 2}, {"id": 2}, {"id": "1", "v": 3}, {"id": 7, "v": "bad"}, {"id": 7}, {"id": null}]);
    let body = refused(&merge(&api, "twice", "id", &rows), "duplicate_primary_key");
    assert_eq!((&body["rejected_rows"], &body["accepted"], &body["snapshot_id"]), (&json!(6), &json!(0), &Value::Null));
    let message = body["message"].as_str().expect("a message");
    assert!(message.contains("1 (rows 0, 2), 7 (rows 3, 4)"), "{message}");
    let text = refused(&merge(&api, "twice_text", "id", &json!([{"id": 1}, {"id": "1"}])), "duplicate_primary_key");
    assert!(text["message"].as_str().is_some_and(|text| text.contains("\"1\" (rows 0, 1)")), "{text}");
    let many: Vec<Value> = (0..50).map(|n| json!({"id": n % 25})).collect();
    let body = refused(&merge(&api, "twice", "id", &Value::Array(many)), "duplicate_primary_key");
    let message = body["message"].as_str().expect("a message");
    assert!(message.contains("9 (rows 9, 34)") && !message.contains("10 (rows"), "{message}");
    assert!(message.contains("(+15 more)"), "{message}");
    assert_eq!(api.rows("SELECT id, v FROM bronze.twice"), [[json!(1), json!(1)]]);
    assert_eq!(api.count("bronze.twice_text"), 0);
}

#[test]
fn keys_are_equal_as_the_column_has_them() {
    // What rounds, is trimmed or reads alike is one key; zero has no sign; texts differ by their bytes.
    let api = api();
    for (i, (ty, first, second, equal)) in [
        ("DOUBLE", "0.0", "-0.0", true),
        ("DOUBLE", "NaN", "\"nan\"", true),
        ("DECIMAL(6,2)", "1.0", "\"1.00\"", true),
        ("BIGINT", "true", "1", true),
        ("BIGINT", "2", "\" 2 \"", true),
        ("TIMESTAMP", "\"2024-01-15T10:00:00Z\"", "\"2024-01-15 12:00+02\"", true),
        ("UUID", "\"019d68d4-c4cb-7e40-ad50-fd4b68c2045e\"", "\"019D68D4C4CB7E40AD50FD4B68C2045E\"", true),
        ("DATE", "\"2024-01-15\"", "\"2024/1/15\"", true),
        ("VARCHAR", "\"a\"", "\"A\"", false),
        ("VARCHAR", "1", "\"1.0\"", false),
        ("BOOLEAN", "true", "false", false),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("equal_{i}");
        table(&api, &name, &format!("k {ty}, v BIGINT"));
        let path = format!("/v2/stream?table=bronze.{name}&mode=merge&primary_key=k");
        let send = |body: String| api.stream_bytes(&path, "application/json", body);
        let both = send(format!("[{{\"k\":{first}}},{{\"k\":{second}}}]"));
        assert_eq!(both.status, if equal { 422 } else { 200 }, "{ty}: {first} and {second}: {}", both.text());
        for value in [first, second] {
            assert_eq!(send(format!("{{\"k\":{value},\"v\":1}}")).json()["accepted"], 1, "{ty}: {value}");
        }
        assert_eq!(api.count(&format!("bronze.{name}")), if equal { 1 } else { 2 }, "{ty}: {first} and {second}");
    }
}

#[test]
fn rows_without_a_key_are_left_out() {
    // Missing, null, not an object, given twice: row errors each; a default of the column is no key; the others go in.
    let api = api();
    table(&api, "keyless", "id BIGINT DEFAULT 5, v BIGINT");
    let rows = json!([{"id": 1}, {"v": 1}, {"id": null}, {"id": "x"}, 7, {"id": 1, "ID": 2}, {"id": 9, "v": "x"}, {}]);
    let body = merged(&api, "keyless", "id", &rows);
    assert_eq!((&body["accepted"], &body["rejected_rows"]), (&json!(1), &json!(7)), "{body}");
    let found: Vec<(u64, &str)> = body["error_details"]
        .as_array()
        .expect("details")
        .iter()
        .map(|detail| (detail["row"].as_u64().expect("a row"), detail["code"].as_str().expect("a code")))
        .collect();
    assert_eq!(
        found,
        [
            (1, "null_primary_key"),
            (2, "null_primary_key"),
            (3, "invalid_cast"),
            (4, "not_an_object"),
            (5, "ambiguous_field"),
            (6, "invalid_cast"),
            (7, "null_primary_key"),
        ]
    );
    assert_eq!(api.rows("SELECT id, v FROM bronze.keyless"), [[json!(1), Value::Null]]);
    let none = merged(&api, "keyless", "id", &json!([{"v": 1}, {"v": 2}]));
    assert_eq!((&none["success"], &none["rejected_rows"]), (&json!(false), &json!(2)), "{none}");
}

#[test]
fn a_key_that_is_no_column_is_refused() {
    // After the body was parsed and the table found, before any row is looked at.
    let api = api();
    table(&api, "columns", "id BIGINT, doc JSON");
    refused(&merge(&api, "columns", "missing", &json!([{"missing": 1}])), "primary_key_not_found");
    refused(&merge(&api, "columns", "doc", &json!([{"doc": 1}])), "invalid_primary_key");
    let path = |table: &str| format!("/v2/stream?table=bronze.{table}&mode=merge&primary_key=missing");
    let broken = api.stream_bytes(&path("columns"), "application/json", "[{]");
    assert_eq!((broken.status, broken.json()["code"].as_str()), (400, Some("invalid_json")));
    let nowhere = api.stream_bytes(&path("nowhere"), "application/json", "[{}]");
    assert_eq!((nowhere.status, nowhere.json()["code"].as_str()), (404, Some("table_not_found")));
    let columns = |key: Value| {
        let config = json!({"table": "bronze.columns", "mode": "merge", "primary_key": key});
        api.stream(&json!({"data": {"id": 1}, "config": config}))
    };
    refused(&columns(Value::Null), "missing_primary_key");
    refused(&columns(json!(["id", "doc"])), "composite_key_not_supported");
    refused(&columns(json!("id")), "invalid_primary_key");
    refused(&columns(json!([])), "invalid_primary_key");
    refused(&columns(json!([1])), "invalid_primary_key");
    assert_eq!(api.count("bronze.columns"), 0);
}

#[test]
fn new_columns_come_with_the_merge() {
    // The column and the replaced row are one commit; a refused batch adds no column.
    let api = api();
    table(&api, "widened", "id BIGINT");
    append(&api, "widened", &json!([{"id": 1}, {"id": 2}]));
    refused(&merge(&api, "widened", "id", &json!([{"id": 1, "x": 1}, {"id": 1}])), "duplicate_primary_key");
    let body = merged(&api, "widened", "id", &json!([{"id": 2, "plan": "pro"}]));
    assert_eq!(body["warnings"], json!(["column 'plan' added as VARCHAR"]), "{body}");
    assert_eq!(
        api.rows("SELECT * FROM bronze.widened ORDER BY id"),
        [vec![json!(1), Value::Null], vec![json!(2), json!("pro")]]
    );
}

#[test]
fn a_declared_key_still_holds() {
    // Merging by one column into a table whose primary key is another: a row that would double that one is refused.
    let api = api();
    table(&api, "declared", "id BIGINT PRIMARY KEY, email VARCHAR");
    append(&api, "declared", &json!([{"id": 1, "email": "a"}, {"id": 2, "email": "b"}]));
    let body = merged(&api, "declared", "email", &json!([{"id": 2, "email": "a"}, {"id": 3, "email": "c"}]));
    assert_eq!((&body["accepted"], &body["error_details"][0]["code"]), (&json!(1), &json!("duplicate_key")), "{body}");
    let rows = || api.rows("SELECT id, email FROM bronze.declared ORDER BY id");
    assert_eq!(rows(), [[json!(1), json!("a")], [json!(2), json!("b")], [json!(3), json!("c")]]);
    merged(&api, "declared", "id", &json!([{"id": 1, "email": "A"}]));
    assert_eq!(rows()[0], [json!(1), json!("A")]);
}

#[test]
fn readers_see_all_of_a_merge_or_none() {
    // While one client replaces all rows again and again, another always finds each key once, all of one generation.
    let api = api();
    table(&api, "generations", "id BIGINT, generation BIGINT");
    let rows = |generation: u64| (0..300).map(|id| json!({"id": id, "generation": generation})).collect::<Vec<Value>>();
    merged(&api, "generations", "id", &Value::Array(rows(0)));
    let done = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (api, done) = (api.clone(), Arc::clone(&done));
        move || {
            for generation in 1..=40 {
                merged(&api, "generations", "id", &Value::Array(rows(generation)));
            }
            done.store(true, Ordering::Relaxed);
        }
    });
    let statement = "SELECT count(*), count(DISTINCT id), count(DISTINCT generation) FROM bronze.generations";
    let mut looks = 0;
    while !done.load(Ordering::Relaxed) || looks == 0 {
        assert_eq!(api.rows(statement), [[json!(300), json!(300), json!(1)]]);
        looks += 1;
    }
    writer.join().expect("the writer ended well");
    assert_eq!(api.rows("SELECT DISTINCT generation FROM bronze.generations"), [[json!(40)]]);
}
