//! `POST /v2/stream`: where its configuration comes from, and every way it can be wrong.

use serde_json::{Value, json};
use siltstone_tests::Reply;

use super::stream::table;
use crate::api;

/// Checks the shape that all errors share.
fn assert_error(reply: &Reply, status: u16, code: &str, sent: &dyn std::fmt::Display) {
    let body = reply.json();
    assert_eq!((reply.status, body["code"].as_str()), (status, Some(code)), "{sent}: {body}");
    assert_eq!(reply.header("content-type"), "application/json; charset=utf-8", "{sent}");
    let message = body["message"].as_str().unwrap_or_default();
    assert!(!message.is_empty(), "{sent}: {body}");
    assert_eq!(
        (&body["success"], &body["detail"], &body["errors"]),
        (&json!(false), &json!(message), &json!([message]))
    );
    for key in ["accepted", "successful_rows", "rejected_rows"] {
        assert_eq!(body[key], 0, "{sent}: {body}");
    }
    assert_eq!((&body["snapshot_id"], &body["warnings"]), (&Value::Null, &json!([])));
    assert!(body["request_id"].as_str().is_some_and(|id| id.starts_with("req_")), "{sent}: {body}");
}

#[test]
fn wrong_configuration_is_named() {
    // One code per fault; nothing is written.
    let api = api();
    table(&api, "configured", "a BIGINT");
    api.succeed("CREATE VIEW bronze.configured_view AS SELECT a FROM bronze.configured");
    let with = |key: &str, value: Value| {
        let mut config = json!({"table": "bronze.configured"});
        config[key] = value;
        json!({"data": {"a": 1}, "config": config})
    };
    for (body, status, code) in [
        (json!({"data": {"a": 1}}), 422, "missing_table"),
        (json!({"data": {"a": 1}, "config": {}}), 422, "missing_table"),
        (with("table", json!("")), 422, "missing_table"),
        (with("table", Value::Null), 422, "missing_table"),
        (with("table", json!(7)), 422, "invalid_table"),
        (with("table", json!("one_part")), 422, "invalid_table"),
        (with("table", json!("a.b.c.d")), 422, "invalid_table"),
        (with("table", json!("bronze.")), 422, "invalid_table"),
        (with("table", json!("bronze.\"open")), 422, "invalid_table"),
        (with("table", json!("bronze.a b")), 422, "invalid_table"),
        (with("table", json!("bronze.missing")), 404, "table_not_found"),
        (with("table", json!("bronze.Configured_View")), 422, "not_a_table"),
        (with("table", json!("missing.t")), 404, "namespace_not_found"),
        (with("table", json!("OTHER.bronze.configured")), 404, "table_not_found"),
        (with("mode", json!("replace")), 422, "invalid_mode"),
        (with("mode", json!("APPEND")), 422, "invalid_mode"),
        (with("mode", json!(1)), 422, "invalid_mode"),
        (with("mode", json!("merge")), 422, "missing_primary_key"),
        (with("wait", json!("yes")), 422, "invalid_wait"),
        (with("wait", json!(1)), 422, "invalid_wait"),
        (with("tags", json!([])), 422, "invalid_tags"),
        (with("tags", json!({"x": "y".repeat(17_000)})), 422, "invalid_tags"),
        (json!({"data": {"a": 1}, "config": 7}), 422, "invalid_config"),
        (json!({"config": {"table": "bronze.configured"}}), 400, "invalid_schema"),
        (json!({"data": 7, "config": {"table": "bronze.configured"}}), 400, "invalid_schema"),
    ] {
        assert_error(&api.stream(&body), status, code, &body);
    }
    assert_eq!(api.count("bronze.configured"), 0);
}

#[test]
fn broken_bodies_are_bad_requests() {
    // Empty, truncated, trailing, deep and badly encoded bodies: 400 with its code, nothing written.
    let api = api();
    table(&api, "broken", "a BIGINT");
    let deep = format!("{{\"data\":{}1{},\"config\":{{}}}}", "[".repeat(200), "]".repeat(200));
    let path = "/v2/stream?table=bronze.broken";
    for (content_type, body, code) in [
        ("application/json", "", "empty_body"),
        ("application/json", " \n ", "empty_body"),
        ("application/json", "\"text\"", "invalid_schema"),
        ("application/json", "7", "invalid_schema"),
        ("application/json", "{\"data\":", "invalid_json"),
        ("application/json", "{\"data\":[{\"a\":1}],\"config\":{}} x", "invalid_json"),
        ("application/json", "[{\"a\":01}]", "invalid_json"),
        ("application/json", "[{\"a\":1},]", "invalid_json"),
        ("application/json", "[{\"a\":\"\u{1}\"}]", "invalid_json"),
        ("application/json", deep.as_str(), "nesting_too_deep"),
        ("application/x-ndjson", "{\"a\":1}\n{\"a\":2", "invalid_json"),
        ("application/x-ndjson", "{\"a\":1}\ngarbage\n{\"a\":2}", "invalid_json"),
    ] {
        assert_error(&api.stream_bytes(path, content_type, body.to_owned()), 400, code, &body);
    }
    let reply = api.stream_bytes(path, "application/json", b"[{\"a\":\"\xff\xfe\"}]".to_vec());
    assert_error(&reply, 400, "invalid_json", &"invalid UTF-8");
    let message = api.stream_bytes(path, "application/x-ndjson", "{\"a\":1}\n{\"a\":}\n".to_owned()).json()["message"]
        .to_string();
    assert!(message.contains('1') && message.contains("byte"), "record and byte offset in {message}");
    assert_eq!(api.count("bronze.broken"), 0, "nothing of a broken body may land");
}

#[test]
fn configuration_has_four_places_and_an_order() {
    // Query string over headers; for NDJSON also a first config value; in an envelope the body beats both.
    let api = api();
    for name in ["from_query", "from_header", "from_record", "from_body"] {
        table(&api, name, "a BIGINT");
    }
    let send = |query: &str, header: &str, content_type: &str, body: &str| {
        let mut request = api.stream_request(&format!("/v2/stream{query}")).header("content-type", content_type);
        if !header.is_empty() {
            request = request.header("X-Definite-Table", header);
        }
        let reply = Reply::from(request.body(body.to_owned()));
        assert_eq!(reply.status, 200, "{body}: {}", reply.text());
        reply.json()["table"].as_str().expect("a table").to_owned()
    };
    let query = "?table=bronze.from_query&mode=append&wait=true&tags=%7B%22source%22%3A%22x%22%7D";
    let ndjson = "application/x-ndjson";
    assert_eq!(send(query, "bronze.from_header", ndjson, "{\"a\":1}"), "bronze.from_query");
    assert_eq!(send("", "bronze.from_header", ndjson, "{\"a\":1}"), "bronze.from_header");
    assert_eq!(
        send("", "", ndjson, "{\"config\":{\"table\":\"bronze.from_record\"}}\n{\"a\":1}{\"a\":2}"),
        "bronze.from_record"
    );
    assert_eq!(api.count("bronze.from_record"), 2, "the config value is no row");
    let envelope = "{\"data\":{\"a\":1},\"config\":{\"table\":\"LAKE.Bronze.FROM_BODY\"}}";
    assert_eq!(send(query, "bronze.from_header", "application/json", envelope), "bronze.from_body");
    let waited = api.stream_bytes("/v2/stream?table=bronze.from_query&wait=1", ndjson, "{\"a\":1}").json();
    assert!(waited["snapshot_id"].is_u64(), "{waited}");
    let reply = api.stream_bytes("/v2/stream", ndjson, "{\"a\":1}");
    assert_error(&reply, 422, "missing_table", &"NDJSON without a table");
}

#[test]
fn unknown_and_null_keys_do_no_harm() {
    // null is absent; a key we do not know is ignored with a warning, and so is a key column in append mode.
    let api = api();
    table(&api, "tolerant", "a BIGINT");
    let config =
        json!({"table": "bronze.tolerant", "mode": null, "wait": null, "tags": null, "batch": 5, "primary_key": ["a"]});
    let body = api.stream(&json!({"data": {"a": 1}, "config": config})).json();
    let warnings = body["warnings"].as_array().expect("warnings");
    assert_eq!((&body["successful_rows"], warnings.len()), (&json!(1), 2), "{body}");
    assert!(warnings.contains(&json!("config key 'batch' ignored")), "{body}");
}

#[test]
fn quoted_names_are_names() {
    // A quoted part may hold dots and spaces; the reply spells the table as it was made.
    let api = api();
    table(&api, "\"My. Table\"", "a BIGINT");
    let body = json!({"data": {"a": 1}, "config": {"table": "BRONZE.\"my. table\""}});
    let reply = api.stream(&body);
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(api.count("bronze.\"My. Table\""), 1);
    assert!(reply.json()["table"].as_str().is_some_and(|name| name.contains("My. Table")), "{}", reply.text());
}
