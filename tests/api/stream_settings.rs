//! `POST /v2/stream`: what settings change, what stays the same over a table's life, and how long lists in an answer get.

use serde_json::{Map, Value, json};
use siltstone_tests::{Reply, Server};

use super::stream::{push, table};
use crate::{api, launch};

#[test]
fn a_stream_keeps_its_id_for_its_tables_life() {
    // The same after a crash and a clean restart; another one for another table, and for one of the same name made anew.
    let server = Server::start(launch());
    let id = |server: &Server, name: &str| push(&server.api(), name, json!([{"a": 1}]))["stream_id"].clone();
    table(&server.api(), "lasting", "a BIGINT");
    table(&server.api(), "other", "a BIGINT");
    let first = id(&server, "lasting");
    assert_ne!(id(&server, "other"), first);
    let server = server.kill_and_restart();
    assert_eq!(id(&server, "lasting"), first);
    server.api().succeed("ALTER TABLE bronze.lasting ADD COLUMN b BIGINT");
    assert_eq!(id(&server, "lasting"), first);
    server.api().succeed("DROP TABLE bronze.lasting");
    table(&server.api(), "lasting", "a BIGINT");
    assert_ne!(id(&server, "lasting"), first);
}

#[test]
fn unknown_fields_can_be_ignored() {
    // Their values are dropped with one warning per field; the table stays as it is; merges, too.
    let server = Server::start(launch().arg("--stream-unknown-columns=ignore"));
    let api = server.api();
    table(&api, "ignoring", "a BIGINT");
    let body = push(&api, "ignoring", json!([{"a": 1, "x": 1}, {"a": 2, "x": 2, "y": null}]));
    assert_eq!((&body["accepted"], body["warnings"].as_array().map(Vec::len)), (&json!(2), Some(2)), "{body}");
    let merge = json!({"data": {"a": 1, "z": 1}, "config": {"table": "bronze.ignoring", "mode": "merge", "primary_key": ["a"]}});
    assert_eq!(api.stream(&merge).json()["warnings"], json!(["field 'z' ignored: the table has no such column"]));
    assert_eq!(api.succeed("SELECT * FROM bronze.ignoring").columns.len(), 1);
}

#[test]
fn unknown_fields_can_be_refused() {
    // The row is left out; the others go in.
    let server = Server::start(launch().arg("--stream-unknown-columns=reject"));
    let api = server.api();
    table(&api, "refusing", "a BIGINT");
    let body = push(&api, "refusing", json!([{"a": 1, "x": 1}, {"a": 2}]));
    let detail = &body["error_details"][0];
    assert_eq!(
        (&body["accepted"], &detail["row"], &detail["code"]),
        (&json!(1), &json!(0), &json!("unknown_field")),
        "{body}"
    );
    assert_eq!(api.rows("SELECT * FROM bronze.refusing"), [[json!(2)]]);
}

#[test]
fn requests_that_name_no_table_can_have_one() {
    // The documentation's NDJSON example, as printed: the setting names the table; a table that is named wins.
    let server = Server::start(launch().arg("--stream-default-table=bronze.events"));
    let api = server.api();
    table(&api, "events", "event_type VARCHAR, user_id VARCHAR");
    table(&api, "named", "event_type VARCHAR");
    let lines =
        "{\"event_type\": \"page_view\", \"user_id\": \"123\"}{\"event_type\": \"click\", \"user_id\": \"123\"}";
    let send = |path: &str| api.stream_bytes(path, "application/x-ndjson", lines).json()["table"].clone();
    assert_eq!(send("/v2/stream"), "bronze.events");
    assert_eq!(send("/v2/stream?table=bronze.named"), "bronze.named");
    assert_eq!((api.count("bronze.events"), api.count("bronze.named")), (2, 2));
}

#[test]
fn partitions_are_the_day_of_ingestion() {
    // One label, the UTC date, which a test across midnight sees on either side.
    let api = api();
    table(&api, "daily", "a BIGINT, at TIMESTAMP");
    let today = || api.succeed("SELECT CAST(CAST(now() AS DATE) AS VARCHAR)").single().clone();
    let before = today();
    let body = push(&api, "daily", json!([{"a": 1, "at": "1999-12-31T00:00:00Z"}]));
    assert!(body["partitions"] == json!([before]) || body["partitions"] == json!([today()]), "{body}");
}

#[test]
fn lists_in_an_answer_end_somewhere() {
    // A hundred warnings or errors, and how many more there are; values are cut to a hundred characters.
    let api = api();
    table(&api, "listed", "a BIGINT");
    let mut config: Map<String, Value> = (0..130).map(|n| (format!("k{n}"), json!(n))).collect();
    config.insert("table".to_owned(), json!("bronze.listed"));
    let long = "x".repeat(500);
    let rows: Vec<Value> = (0..120).map(|_| json!({ "a": long })).collect();
    let reply: Reply = api.stream(&json!({"data": rows, "config": config}));
    let body = reply.json();
    let list = |key: &str| body[key].as_array().unwrap_or_else(|| panic!("{key}: {body}")).clone();
    assert_eq!((list("warnings").len(), list("warnings")[100].clone()), (101, json!("… (+30 more)")));
    assert_eq!((list("errors").len(), list("errors")[100].clone()), (101, json!("… (+20 more)")));
    assert_eq!(list("error_details").len(), 100);
    let value = list("error_details")[0]["value"].as_str().map(str::len);
    assert_eq!(value, Some(100));
}
