//! `POST /v1/query`: the document, cells, errors, and requests that are sent again.

use std::time::Duration;

use serde_json::{Value, json};
use siltstone_tests::{Api, Reply, Server};

use crate::{api, launch};

fn post(api: &Api, body: &Value) -> Reply {
    api.stream_bytes("/v1/query", "application/json", body.to_string())
}

fn numbered(api: &Api, id: &str, sql: &str) -> Reply {
    let request = api.stream_request("/v1/query").header("x-request-id", id);
    Reply::from(request.header("content-type", "application/json").body(json!({ "sql": sql }).to_string()))
}

fn query(api: &Api, sql: &str) -> Value {
    let reply = post(api, &json!({ "sql": sql }));
    assert_eq!(reply.status, 200, "{sql}: {}", reply.text());
    reply.json()
}

/// Makes `bronze.<table>` with the numbers below `count`.
fn numbers(api: &Api, table: &str, count: u32) {
    api.succeed(&format!("CREATE SCHEMA IF NOT EXISTS bronze; CREATE TABLE bronze.{table} (i BIGINT)"));
    let rows: Vec<Value> = (0..count).map(|i| json!({ "i": i })).collect();
    let reply = api.stream(&json!({"data": rows, "config": {"table": format!("bronze.{table}")}}));
    assert_eq!(reply.json()["accepted"], count, "{}", reply.text());
}

/// Expects an error of this status and code, in the shape of all errors, and gives its message.
fn refused(reply: &Reply, status: u16, code: &str) -> String {
    let body = reply.json();
    assert_eq!((reply.status, body["code"].as_str()), (status, Some(code)), "{body}");
    assert_eq!(reply.header("content-type"), "application/json; charset=utf-8");
    assert_eq!((&body["success"], &body["detail"]), (&json!(false), &body["message"]), "{body}");
    assert_eq!(body["request_id"], reply.header("x-request-id"));
    body["message"].as_str().expect("a message").to_owned()
}

#[test]
fn rows_are_objects_with_every_column() {
    // Keys in the order of the columns, NULL present; beside them the types, the count and the request's id.
    let api = api();
    api.succeed(
        "CREATE TABLE sdk_rows (sku VARCHAR, qty INTEGER); INSERT INTO sdk_rows VALUES ('A-1', 4), ('B-7', NULL)",
    );
    let reply =
        post(&api, &json!({"sql": "SELECT sku, qty FROM lake.MAIN.sdk_rows ORDER BY sku", "integration_id": null}));
    assert_eq!(reply.status, 200, "{}", reply.text());
    let expected = "{\"success\":true,\"columns\":[\"sku\",\"qty\"],\
                    \"data\":[{\"sku\":\"A-1\",\"qty\":4},{\"sku\":\"B-7\",\"qty\":null}],\
                    \"types\":[\"VARCHAR\",\"INTEGER\"],\"row_count\":2,\"request_id\":\"";
    assert!(reply.text().starts_with(expected), "{}", reply.text());
    assert_eq!(reply.json()["request_id"], reply.header("x-request-id"));
    let none = query(&api, "SELECT sku FROM sdk_rows WHERE false");
    assert_eq!((&none["columns"], &none["data"], &none["row_count"]), (&json!(["sku"]), &json!([]), &json!(0)));
    let twins = query(&api, "SELECT 1 AS a, 2 AS a, 3 AS a_1, 4 AS a");
    assert_eq!(twins["columns"], json!(["a", "a_1", "a_1_1", "a_2"]), "{twins}");
    assert_eq!(twins["data"], json!([{"a": 1, "a_1": 2, "a_1_1": 3, "a_2": 4}]));
    numbers(&api, "sdk_many", 20_000);
    let many = query(&api, "SELECT i, 'row ' || i AS t FROM bronze.sdk_many ORDER BY i");
    let rows = many["data"].as_array().expect("rows");
    assert_eq!((rows.len(), &rows[19_999]), (20_000, &json!({"i": 19_999, "t": "row 19999"})));
}

#[test]
fn cells_are_encoded_as_the_sdk_expects_them() {
    // JSON columns are text, numbers keep their digits, floats that JSON cannot hold are null, BLOBs are hexadecimal.
    let api = api();
    let columns = "b BOOLEAN, i BIGINT, u UBIGINT, d DECIMAL(20,3), f DOUBLE, t VARCHAR, day DATE, c TIME, ts TIMESTAMP, \
                   tz TIMESTAMPTZ, x BLOB, j JSON, l BIGINT[], s STRUCT(a BIGINT, b VARCHAR), id UUID";
    api.succeed(&format!("CREATE SCHEMA IF NOT EXISTS bronze; CREATE TABLE bronze.sdk_cells ({columns})"));
    let row = "{\"b\":true,\"i\":9223372036854775807,\"u\":18446744073709551615,\"d\":12345678901234567.1,\"f\":1e20,\
               \"t\":\"x\\ny\",\"day\":\"2024-01-15\",\"c\":\"10:30:00\",\"ts\":\"2024-01-15T10:30:00.250Z\",\
               \"tz\":\"2024-01-15T10:30:00Z\",\"x\":\"\\\\x00A\",\"j\":{\"k\":[1.50]},\"l\":[1,null],\
               \"s\":{\"a\":1,\"b\":\"q\"},\"id\":\"019D68D4C4CB7E40AD50FD4B68C2045E\"}";
    let reply =
        api.stream_bytes("/v2/stream?table=bronze.sdk_cells", "application/x-ndjson", format!("{row}{{\"f\":NaN}}"));
    assert_eq!(reply.json()["accepted"], 2, "{}", reply.text());
    let reply = post(&api, &json!({"sql": "SELECT * FROM bronze.sdk_cells WHERE b"}));
    let cells = "{\"b\":true,\"i\":9223372036854775807,\"u\":18446744073709551615,\"d\":12345678901234567.100,\"f\":1e20,\
                 \"t\":\"x\\ny\",\"day\":\"2024-01-15\",\"c\":\"10:30:00\",\"ts\":\"2024-01-15T10:30:00.250\",\
                 \"tz\":\"2024-01-15T10:30:00Z\",\"x\":\"0041\",\"j\":\"{\\\"k\\\":[1.50]}\",\"l\":[1,null],\
                 \"s\":{\"a\":1,\"b\":\"q\"},\"id\":\"019d68d4-c4cb-7e40-ad50-fd4b68c2045e\"}";
    let data = reply.text().split_once("\"data\":[").and_then(|(_, rest)| rest.split_once("],\"types\""));
    assert_eq!(data.map(|(data, _)| data), Some(cells), "{}", reply.text());
    assert_eq!(query(&api, "SELECT f FROM bronze.sdk_cells WHERE b IS NULL")["data"], json!([{"f": null}]));
}

#[test]
fn statements_that_change_something_say_how_much() {
    // DML gives a count, DDL nothing; the snapshot shows the change; scripts give the last statement's result.
    let api = api();
    let made = query(&api, "CREATE TABLE sdk_changes (a BIGINT)");
    assert_eq!((&made["columns"], &made["data"], &made["types"]), (&json!([]), &json!([]), &json!([])), "{made}");
    let inserted = query(&api, "INSERT INTO sdk_changes VALUES (1), (2), (3)");
    assert_eq!((&inserted["columns"], &inserted["data"]), (&json!(["Count"]), &json!([{"Count": 3}])), "{inserted}");
    let snapshot = inserted["snapshot_id"].as_u64().expect("a snapshot");
    let at = query(&api, &format!("SELECT count(*) AS n FROM sdk_changes AT (VERSION => {snapshot})"));
    assert_eq!((&at["data"], at.get("snapshot_id")), (&json!([{"n": 3}]), None), "{at}");
    let script =
        query(&api, "BEGIN; DELETE FROM sdk_changes WHERE a = 1; COMMIT; SELECT sum(a) AS s FROM sdk_changes;");
    assert_eq!(script["data"], json!([{"s": 5}]), "{script}");
    query(&api, "BEGIN; DELETE FROM sdk_changes");
    assert_eq!(api.count("sdk_changes"), 2, "a transaction left open is rolled back");
}

#[test]
fn the_lake_is_named_in_capitals() {
    // Users compare information_schema's catalog with '='; names are found in any case.
    let api = api();
    query(&api, "CREATE TABLE Lake.Main.Sdk_Named (Aa BIGINT)");
    let found = "SELECT table_catalog, table_schema, table_name FROM information_schema.tables \
                 WHERE table_catalog = 'LAKE' AND lower(table_name) = 'sdk_named'";
    let row = json!([{"table_catalog": "LAKE", "table_schema": "main", "table_name": "Sdk_Named"}]);
    assert_eq!(query(&api, found)["data"], row);
    assert_eq!(query(&api, "SELECT aA FROM LAKE.main.SDK_NAMED")["columns"], json!(["Aa"]));
}

#[test]
fn what_is_wrong_has_a_status_and_a_code() {
    // Shape 422, integrations 404, SQL 400 with DuckDB's words; the same keys in all.
    let api = api();
    for body in [
        json!({}),
        json!([]),
        json!({"sql": ""}),
        json!({"sql": " \n"}),
        json!({"sql": 7}),
        json!({"sql": "SELECT 1", "cube_query": {}}),
        json!({"cube_query": {}}),
        json!({"sql": "SELECT 1", "integration_id": 7}),
    ] {
        assert!(!refused(&post(&api, &body), 422, "invalid_request").is_empty(), "{body}");
    }
    for lake in [json!(null), json!(""), json!("LAKE"), json!("lake")] {
        assert_eq!(
            post(&api, &json!({"sql": "SELECT 1", "integration_id": lake, "persist": true})).status,
            200,
            "{lake}"
        );
    }
    refused(&post(&api, &json!({"sql": "SELECT 1", "integration_id": "other"})), 404, "integration_not_found");
    refused(&api.stream_bytes("/v1/query", "application/json", "{\"sql\":"), 400, "invalid_json");
    for (sql, words) in [
        ("SELECT * FROM sdk_nowhere", "Query error: Catalog Error: Table with name sdk_nowhere does not exist!"),
        ("SELEC 1", "Query error: Parser Error: "),
        ("SELECT CAST('x' AS INTEGER)", "Query error: Conversion Error: "),
    ] {
        let message = refused(&post(&api, &json!({ "sql": sql })), 400, "query_error");
        assert!(message.starts_with(words), "{message}");
    }
    let wrong = api.clone().with_credentials("nobody:wrong", "wrong");
    refused(&post(&wrong, &json!({"sql": "SELECT 1"})), 401, "unauthorized");
    let get = Reply::from(api.request(reqwest::Method::GET, "/v1/query").header("authorization", api.bearer()));
    assert_eq!((get.status, get.header("allow")), (405, "POST"));
}

#[test]
fn results_are_bounded() {
    // One byte over the limit is 413 with its code; the server goes on.
    let server = Server::start(launch().arg("--query-max-response-bytes=100000"));
    let api = server.api();
    numbers(&api, "sdk_bounded", 20_000);
    let sql = |rows: u32| json!({"sql": format!("SELECT i FROM bronze.sdk_bounded LIMIT {rows}")});
    assert_eq!(post(&api, &sql(1_000)).json()["row_count"], 1_000);
    let message = refused(&post(&api, &sql(20_000)), 413, "result_too_large");
    assert!(message.contains("100000 bytes"), "{message}");
    assert_eq!(post(&api, &sql(1)).status, 200);
}

#[test]
fn a_request_sent_again_runs_once() {
    // Same sender, number and body: the second gets the first one's answer, also while it runs; without a number each runs.
    let api = api();
    numbers(&api, "sdk_factors", 3_000);
    api.succeed("CREATE TABLE sdk_once (a BIGINT)");
    let insert = "INSERT INTO sdk_once SELECT sum(a.i % 7 + b.i) FROM bronze.sdk_factors a, bronze.sdk_factors b";
    let again: Vec<_> = (0..4)
        .map(|n| {
            let api = api.clone();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(20 * n));
                numbered(&api, "req-once-1", insert)
            })
        })
        .collect();
    let replies: Vec<Reply> = again.into_iter().map(|thread| thread.join().expect("an answer")).collect();
    for reply in &replies {
        assert_eq!((reply.status, reply.text()), (200, replies[0].text()));
        assert_eq!(reply.header("x-request-id"), "req-once-1");
    }
    assert_eq!(numbered(&api, "req-once-1", insert).text(), replies[0].text(), "later, too");
    assert_eq!(api.count("sdk_once"), 1);
    numbered(&api, "req-once-2", insert);
    assert_eq!(api.count("sdk_once"), 2, "another number is another request");
    numbered(&api, "req-once-1", "INSERT INTO sdk_once VALUES (0)");
    assert_eq!(api.count("sdk_once"), 3, "another body is another request");
    for _ in 0..2 {
        query(&api, "INSERT INTO sdk_once VALUES (0)");
    }
    assert_eq!(api.count("sdk_once"), 5, "without a number each runs");
}
