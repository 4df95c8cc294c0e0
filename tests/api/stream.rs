//! `POST /v2/stream`: body forms, the reply, partial rejection, coercion, snapshots.

use serde_json::{Value, json};
use siltstone_tests::{Api, Reply};

use crate::api;

/// Makes `bronze.<table>` with these columns.
pub(crate) fn table(api: &Api, table: &str, columns: &str) {
    api.succeed(&format!("CREATE SCHEMA IF NOT EXISTS bronze; CREATE TABLE bronze.{table} ({columns})"));
}

pub(crate) fn push(api: &Api, table: &str, rows: Value) -> Value {
    let reply = api.stream(&json!({"data": rows, "config": {"table": format!("bronze.{table}"), "wait": true}}));
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

fn identifier(value: &Value, prefix: &str) -> String {
    let text = value.as_str().unwrap_or_default();
    let random = text.strip_prefix(prefix).unwrap_or_else(|| panic!("{value} does not start with {prefix}"));
    assert!(random.len() == 12 && random.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{value}");
    text.to_owned()
}

#[test]
fn the_reply_has_its_eleven_keys_in_order() {
    // Clients print and index this object; key order is the documentation's.
    let api = api();
    table(&api, "customers", "id BIGINT, name VARCHAR, email VARCHAR");
    let body = json!({
        "data": [{"id": 1, "name": "Alice", "email": "a@x"}, {"id": 2, "name": "Bob", "email": "b@x"}],
        "config": {"table": "bronze.customers", "mode": "append", "wait": false, "tags": {"source": "my-app"}},
    });
    let reply = api.stream(&body);
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), "application/json; charset=utf-8");
    let keys = [
        "success",
        "request_id",
        "stream_id",
        "table",
        "accepted",
        "successful_rows",
        "rejected_rows",
        "partitions",
        "snapshot_id",
        "warnings",
        "errors",
    ];
    let places: Vec<usize> =
        keys.iter().map(|key| reply.text().find(&format!("\"{key}\"")).unwrap_or_else(|| panic!("{key}"))).collect();
    assert!(places.is_sorted(), "{}", reply.text());
    let first = reply.json();
    for (key, value) in [
        ("success", json!(true)),
        ("table", json!("bronze.customers")),
        ("accepted", json!(2)),
        ("successful_rows", json!(2)),
        ("rejected_rows", json!(0)),
        ("snapshot_id", Value::Null),
        ("warnings", json!([])),
        ("errors", json!([])),
    ] {
        assert_eq!(first[key], value, "{key}");
    }
    assert_eq!(first["partitions"].as_array().map(Vec::len), Some(1), "{first}");
    let second = api.stream(&body).json();
    assert_ne!(identifier(&first["request_id"], "req_"), identifier(&second["request_id"], "req_"));
    assert_eq!(identifier(&first["stream_id"], "st_"), identifier(&second["stream_id"], "st_"));
    assert_eq!(
        reply.header("x-request-id"),
        first["request_id"],
        "without one of the client's, the header is the body's"
    );
    assert_eq!(api.count("bronze.customers"), 4);
}

#[test]
fn every_body_form_is_read() {
    // Envelope with one row or many, bare array, bare row, NDJSON; content types as clients send them.
    let api = api();
    table(&api, "forms", "form VARCHAR");
    let config = json!({"table": "bronze.forms"});
    let query = "/v2/stream?table=bronze.forms";
    let sent: [(&str, &str, String, u64); 12] = [
        ("/v2/stream", "application/json", json!({"data": {"form": "A"}, "config": config}).to_string(), 1),
        (
            "/v2/stream",
            "application/json; charset=utf-8",
            json!({"data": [{"form": "B"}, {"form": "B"}], "config": config}).to_string(),
            2,
        ),
        (
            "//v2/stream",
            "application/x-www-form-urlencoded",
            json!({"data": {"form": "A"}, "config": config}).to_string(),
            1,
        ),
        ("/v2/stream/?table=bronze.forms", "", "[{\"form\":\"C\"}]".to_owned(), 1),
        (query, "application/json", "[{\"form\":\"C\"},{\"form\":\"C\"}]".to_owned(), 2),
        (query, "application/json", "{\"form\":\"D\"}".to_owned(), 1),
        (query, "application/json", "\u{feff}{\"form\":\"BOM\"}".to_owned(), 1),
        (query, "application/x-ndjson", "{\"form\":\"E\"}\n{\"form\":\"E\"}\n".to_owned(), 2),
        (query, "application/x-ndjson", "{\"form\":\"E\"}{\"form\":\"E\"}{\"form\":\"E\"}".to_owned(), 3),
        (query, "application/jsonl", "\r\n{\"form\":\"E\"}\r\n\r\n{\n \"form\":\n\"E\"\n}".to_owned(), 2),
        (query, "application/ndjson", "{\"form\":\"E\"}".to_owned(), 1),
        (query, "text/x-ndjson", "{\"form\":\"E\"} {\"form\":\"E\"}".to_owned(), 2),
    ];
    let mut total = 0;
    for (path, content_type, body, rows) in sent {
        let reply = api.stream_bytes(path, content_type, body.clone());
        assert_eq!(reply.status, 200, "{body}: {}", reply.text());
        assert_eq!(reply.json()["successful_rows"], rows, "{body}");
        total += rows;
    }
    assert_eq!(api.count("bronze.forms"), total);
}

#[test]
fn an_empty_batch_is_a_success_with_a_warning() {
    // Nothing to write: counts of zero, no snapshot, one warning.
    let api = api();
    table(&api, "nothing", "a BIGINT");
    for reply in [
        api.stream(&json!({"data": [], "config": {"table": "bronze.nothing", "wait": true}})),
        api.stream_bytes("/v2/stream?table=bronze.nothing", "application/json", "[]"),
    ] {
        let body = reply.json();
        assert_eq!((reply.status, &body["success"], &body["snapshot_id"]), (200, &json!(true), &Value::Null), "{body}");
        assert_eq!((&body["accepted"], body["warnings"].as_array().map(Vec::len)), (&json!(0), Some(1)), "{body}");
        assert_eq!(body["partitions"], json!([]));
    }
}

#[test]
fn good_rows_go_in_beside_bad_ones() {
    // Counts add up, row numbers start at 0, each fault has its code, and only good rows are stored.
    let api = api();
    table(&api, "partial", "id BIGINT NOT NULL, amount DOUBLE, day DATE");
    let body = push(
        &api,
        "partial",
        json!([
            {"id": 0, "amount": 1.5},
            {"id": 1, "amount": "abc"},
            {"amount": 1},
            7,
            {"id": 4, "amount": 2, "day": "2024-02-30"},
            {"id": 5, "amount": {}, "day": "x"},
            {"id": "six"},
            {"id": 99999999999999999999_f64},
            {"id": 8, "ID": 9},
            {"id": 9},
        ]),
    );
    assert_eq!(
        (&body["accepted"], &body["successful_rows"], &body["rejected_rows"]),
        (&json!(2), &json!(2), &json!(8)),
        "{body}"
    );
    assert_eq!(body["success"], true);
    let details = body["error_details"].as_array().expect("details");
    let found: Vec<(u64, &str)> = details
        .iter()
        .map(|detail| (detail["row"].as_u64().expect("a row"), detail["code"].as_str().expect("a code")))
        .collect();
    assert_eq!(
        found,
        [
            (1, "invalid_cast"),
            (2, "not_null_violation"),
            (3, "not_an_object"),
            (4, "invalid_cast"),
            (5, "invalid_cast"),
            (5, "invalid_cast"),
            (6, "invalid_cast"),
            (7, "out_of_range"),
            (8, "ambiguous_field"),
        ]
    );
    assert_eq!(body["errors"][0], "row 1, field 'amount': cannot convert string 'abc' to DOUBLE");
    assert_eq!(details[0]["value"], "abc");
    assert_eq!(body["errors"].as_array().map(Vec::len), Some(details.len()));
    assert_eq!(api.rows("SELECT id FROM bronze.partial ORDER BY id"), [[json!(0)], [json!(9)]]);
}

#[test]
fn a_batch_of_bad_rows_writes_nothing() {
    // 200, success false, no snapshot, at most 100 messages and how many more there are.
    let api = api();
    table(&api, "all_bad", "a BIGINT");
    let rows: Vec<Value> = (0..250).map(|_| json!({"a": "x", "fresh": 1})).collect();
    let body = push(&api, "all_bad", Value::Array(rows));
    assert_eq!((&body["success"], &body["accepted"], &body["rejected_rows"]), (&json!(false), &json!(0), &json!(250)));
    assert_eq!((&body["snapshot_id"], &body["partitions"]), (&Value::Null, &json!([])));
    let errors = body["errors"].as_array().expect("messages");
    assert_eq!((errors.len(), errors[100].as_str()), (101, Some("… (+150 more)")));
    assert_eq!((api.count("bronze.all_bad"), api.succeed("SELECT * FROM bronze.all_bad").columns.len()), (0, 1));
}

/// Column type; JSON values, each with its cell, or `None` where the row is refused.
type Cast = (&'static str, &'static [(&'static str, Option<&'static str>)]);

#[test]
fn values_are_cast_as_sql_casts_them() {
    // The cells of the coercion table that scripts lean on: column type, JSON, cell; E where the row is refused.
    let api = api();
    const E: Option<&str> = None;
    let cases: [Cast; 9] = [
        (
            "BOOLEAN",
            &[
                ("true", Some("true")),
                ("0", Some("false")),
                ("2", Some("true")),
                ("0.0", Some("false")),
                ("\"YES\"", Some("true")),
                ("\"f\"", Some("false")),
                ("\" t\"", E),
                ("[]", E),
            ],
        ),
        (
            "BIGINT",
            &[
                ("true", Some("1")),
                ("2.5", Some("3")),
                ("-2.5", Some("-3")),
                ("\" 12 \"", Some("12")),
                ("\"1e3\"", Some("1000")),
                ("\"\"", E),
                ("9223372036854775808", E),
                ("{}", E),
            ],
        ),
        ("UTINYINT", &[("255", Some("255")), ("255.4", Some("255")), ("256", E), ("-1", E)]),
        ("DOUBLE", &[("true", Some("1.0")), ("\"inf\"", Some("null")), ("1e400", E), ("\"\"", E)]),
        (
            "DECIMAL(5,2)",
            &[("1.005", Some("1.01")), ("\"-1.005\"", Some("-1.01")), ("1000", E), ("true", Some("1.00"))],
        ),
        (
            "VARCHAR",
            &[
                ("1", Some("1")),
                ("\"x\"", Some("x")),
                ("true", Some("true")),
                ("2.50", Some("2.5")),
                ("1.0", Some("1.0")),
                ("12345678901234567890", Some("12345678901234567890")),
                ("0.1", Some("0.1")),
                ("[1, {\"a\": null}]", Some("[1,{\"a\":null}]")),
            ],
        ),
        (
            "TIMESTAMP",
            &[
                ("\"2024-01-15T10:30:00Z\"", Some("2024-01-15T10:30:00")),
                ("\"2024-01-15 10:30+02\"", Some("2024-01-15T08:30:00")),
                ("\"2024-01-15\"", Some("2024-01-15T00:00:00")),
                ("1705314600", E),
                ("\"infinity\"", E),
            ],
        ),
        (
            "DATE",
            &[("\"2024/1/5\"", Some("2024-01-05")), ("\"2024-01-15T23:00:00-05:00\"", Some("2024-01-15")), ("5", E)],
        ),
        (
            "UUID",
            &[("\"{019D68D4C4CB7E40AD50FD4B68C2045E}\"", Some("019d68d4-c4cb-7e40-ad50-fd4b68c2045e")), ("\"x\"", E)],
        ),
    ];
    for (i, (ty, values)) in cases.iter().enumerate() {
        let name = format!("cast_{i}");
        table(&api, &name, &format!("n BIGINT, v {ty}"));
        let rows: Vec<String> =
            values.iter().enumerate().map(|(n, (value, _))| format!("{{\"n\":{n},\"v\":{value}}}")).collect();
        let body = format!("{{\"data\":[{}],\"config\":{{\"table\":\"bronze.{name}\"}}}}", rows.join(","));
        let reply = api.stream_bytes("/v2/stream", "application/json", body).json();
        let stored = api.succeed(&format!("SELECT n, v FROM bronze.{name}")).lines;
        for (n, (value, wanted)) in values.iter().enumerate() {
            let cell = stored.iter().find_map(|line| line.strip_prefix(&format!("[{n},"))?.strip_suffix(']'));
            let found = cell.map(|cell| cell.trim_matches('"').replace("\\\"", "\""));
            assert_eq!(found.as_deref(), *wanted, "{value} into {ty}: {reply}");
        }
    }
}

#[test]
fn rounding_is_warned_of() {
    // A fraction that is lost is said once per column, with a count.
    let api = api();
    table(&api, "rounded", "qty BIGINT");
    let body = push(&api, "rounded", json!([{"qty": 1.5}, {"qty": 2}, {"qty": 2.4}, {"qty": 3.0}]));
    assert_eq!(body["warnings"], json!(["column 'qty': 2 values rounded"]));
}

#[test]
fn unknown_fields_become_columns() {
    // Added at the end in the rows' own commit, one warning each; a refused row adds none; nulls wait.
    let api = api();
    table(&api, "growing", "id BIGINT");
    push(&api, "growing", json!([{"id": 1}]));
    let body = push(&api, "growing", json!([{"id": 2, "plan": "pro", "later": null}, {"id": "x", "never": 1}]));
    assert_eq!(body["warnings"], json!(["column 'plan' added as VARCHAR"]), "{body}");
    assert_eq!(body["accepted"], 1);
    let columns = api.succeed("SELECT * FROM bronze.growing").columns;
    assert_eq!(columns, [("id".to_owned(), "BIGINT".to_owned()), ("plan".to_owned(), "VARCHAR".to_owned())]);
    let body = push(&api, "growing", json!([{"id": 3, "PLAN": 7}]));
    assert_eq!((&body["accepted"], &body["warnings"]), (&json!(1), &json!([])));
    assert_eq!(api.rows("SELECT plan FROM bronze.growing ORDER BY id"), [[Value::Null], [json!("pro")], [json!("7")]]);
}

#[test]
fn waiting_gives_a_snapshot_that_can_be_queried() {
    // Strictly increasing integers; the snapshot shows the rows and its predecessor does not.
    let api = api();
    table(&api, "waited", "a BIGINT");
    let mut last = 0;
    for n in 1..=3_u64 {
        let snapshot = push(&api, "waited", json!([{ "a": n }]))["snapshot_id"].as_u64().expect("an integer");
        assert!(snapshot > last);
        last = snapshot;
        let count = |at: u64| {
            api.succeed(&format!("SELECT count(*) FROM bronze.waited AT (VERSION => {at})")).single().as_u64()
        };
        assert_eq!((count(snapshot), count(snapshot - 1)), (Some(n), Some(n - 1)));
    }
}

#[test]
fn other_methods_are_refused_with_allow() {
    // 405 names the one method there is.
    let api = api();
    let reply = Reply::from(api.request(reqwest::Method::GET, "/v2/stream").header("authorization", api.bearer()));
    assert_eq!((reply.status, reply.header("allow")), (405, "POST"));
}
