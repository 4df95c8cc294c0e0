use bytes::Bytes;
use http::Request;
use http::request::Parts;
use siltstone_ingest::Framing;

use super::lower::{Lowered, lower};
use super::reply::Fault;
use super::table_name;
use crate::config::Config;

fn head(uri: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::post(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).expect("request").into_parts().0
}

fn lowered(uri: &str, headers: &[(&str, &str)], body: &str) -> Result<Lowered, Fault> {
    lower(&Config::default(), &head(uri, headers), Bytes::copy_from_slice(body.as_bytes()))
}

fn code(outcome: Result<Lowered, Fault>) -> String {
    let fault = outcome.expect_err("must be refused");
    let text = format!("{fault:?}");
    let from = text.find("code: \"").expect("a code") + 7;
    text[from..].chars().take_while(|c| *c != '"').collect()
}

fn rows(lowered: &Lowered) -> (&str, &str, Framing) {
    let part = &lowered.request.parts[0];
    (std::str::from_utf8(&part.body).expect("text"), part.table.table.as_str(), part.framing)
}

const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson; charset=utf-8");

#[test]
fn names_have_two_or_three_parts() {
    // Proves the grammar of names, and that the shown form reads back.
    for (text, catalog, namespace, table) in [
        ("bronze.events", None, "bronze", "events"),
        ("lake.bronze.events", None, "bronze", "events"),
        ("other.b.e", Some("other"), "b", "e"),
        ("bronze.\"My \"\"T\"\".able\"", None, "bronze", "My \"T\".able"),
        ("a-b.c$d_1", None, "a-b", "c$d_1"),
    ] {
        let parsed = table_name::parse(text).expect(text);
        assert_eq!((parsed.catalog.as_deref(), &*parsed.namespace, &*parsed.table), (catalog, namespace, table));
        let again = table_name::parse(&table_name::shown(namespace, table)).expect("shown");
        assert_eq!((again.namespace, again.table), (parsed.namespace, parsed.table));
    }
    for text in ["", "one", "a..b", ".a", "a.", "a b.c", "\"open.a", "\"\".a", "a.b.c.d", "a.\"b\"c", "a.b;"] {
        assert!(table_name::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn every_body_form_gives_its_rows_and_table() {
    // Proves forms A to E and where each takes its configuration from, without copying the rows.
    let one =
        lowered("/v2/stream", &[], r#"{"data": {"a":1}, "config": {"table":"b.t","wait":true}}"#).expect("form A");
    assert_eq!(rows(&one), (r#"{"a":1}"#, "t", Framing::Document));
    assert!(one.asked.wait && one.rows_start == 9);
    let many = lowered("/v2/stream", &[], "\u{feff}{\"config\":{\"table\":\"b.t\"},\"data\":[{},{}]}").expect("form B");
    assert_eq!(rows(&many), ("[{},{}]", "t", Framing::Document));
    let bare = lowered("/v2/stream?table=b.u", &[], r#"[{"a":1}]"#).expect("form C");
    assert_eq!(rows(&bare).1, "u");
    let row = lowered("/v2/stream", &[("x-definite-table", "b.v")], r#"{"data":1}"#).expect("form D");
    assert_eq!(rows(&row), (r#"{"data":1}"#, "v", Framing::Document));
    let lines = lowered("/v2/stream?table=b.w&wait=TRUE", &[NDJSON], "{\"a\":1}{\"a\":2}\n").expect("form E");
    assert_eq!(rows(&lines), ("{\"a\":1}{\"a\":2}\n", "w", Framing::Sequence));
    assert!(lines.asked.wait);
    let body = "{ \"config\" : {\"table\":\"b.x\",\"tags\":{\"q\":\"}\\\"\"}}}\n{\"a\":1}";
    let configured = lowered("/v2/stream", &[NDJSON], body).expect("form E with its own configuration");
    assert_eq!((rows(&configured).0.trim(), rows(&configured).1), ("{\"a\":1}", "x"));
    let row =
        lowered("/v2/stream?table=b.x", &[NDJSON], "{\"config\":{\"a\":1},\"b\":2}").expect("a row with that key");
    assert_eq!(rows(&row).0, "{\"config\":{\"a\":1},\"b\":2}");
}

#[test]
fn sources_of_configuration_have_an_order() {
    // Proves envelope over query over headers, field by field, and query over the first line.
    let headers = [("x-definite-table", "b.header"), ("x-definite-wait", "1")];
    let both = lowered("/v2/stream?table=b.query", &headers, "[{}]").expect("bare");
    assert_eq!((rows(&both).1, both.asked.wait), ("query", true));
    let envelope = r#"{"data":[{}],"config":{"table":"b.body"}}"#;
    let all = lowered("/v2/stream?table=b.query&wait=0", &headers, envelope).expect("envelope");
    assert_eq!((rows(&all).1, all.asked.wait), ("body", false));
    let line = "{\"config\":{\"table\":\"b.line\"}}{}";
    assert_eq!(rows(&lowered("/v2/stream?table=b.query", &[NDJSON], line).expect("lines")).1, "query");
    let settings = Config { stream_default_table: Some("b.default".to_owned()), ..Config::default() };
    let default = lower(&settings, &head("/v2/stream", &[NDJSON]), Bytes::from_static(b"{}")).expect("default table");
    assert_eq!(rows(&default).1, "default");
}

#[test]
fn faults_of_the_configuration_have_their_codes() {
    // Proves each 422 of the contract.
    let with = |config: &str| code(lowered("/v2/stream", &[], &format!("{{\"data\":[{{}}],\"config\":{config}}}")));
    for (config, expected) in [
        ("{}", "missing_table"),
        (r#"{"table":null}"#, "missing_table"),
        (r#"{"table":""}"#, "missing_table"),
        (r#"{"table":7}"#, "invalid_table"),
        (r#"{"table":"events"}"#, "invalid_table"),
        (r#"{"table":"b.t","mode":"replace"}"#, "invalid_mode"),
        (r#"{"table":"b.t","mode":1}"#, "invalid_mode"),
        (r#"{"table":"b.t","mode":"merge"}"#, "missing_primary_key"),
        (r#"{"table":"b.t","mode":"merge","primary_key":"id"}"#, "invalid_primary_key"),
        (r#"{"table":"b.t","mode":"merge","primary_key":[]}"#, "invalid_primary_key"),
        (r#"{"table":"b.t","mode":"merge","primary_key":[1]}"#, "invalid_primary_key"),
        (r#"{"table":"b.t","mode":"merge","primary_key":["a","b"]}"#, "composite_key_not_supported"),
        (r#"{"table":"b.t","wait":"yes"}"#, "invalid_wait"),
        (r#"{"table":"b.t","tags":[]}"#, "invalid_tags"),
        ("[]", "invalid_config"),
        ("7", "invalid_config"),
    ] {
        assert_eq!(with(config), expected, "{config}");
    }
    assert_eq!(code(lowered("/v2/stream?table=b.t&wait=maybe", &[], "[]")), "invalid_wait");
    assert_eq!(code(lowered("/v2/stream?table=b.t&tags=x", &[], "[]")), "invalid_tags");
    assert_eq!(code(lowered("/v2/stream?table=other.b.t", &[], "[]")), "table_not_found");
    let big = format!(r#"{{"table":"b.t","tags":{{"x":"{}"}}}}"#, "y".repeat(17_000));
    assert_eq!(with(&big), "invalid_tags");
}

#[test]
fn faults_of_the_body_have_their_codes() {
    // Proves the 400s that are found before rows are parsed.
    assert_eq!(code(lowered("/v2/stream?table=b.t", &[], " \n")), "empty_body");
    assert_eq!(code(lowered("/v2/stream", &[], "{\"a\":1}")), "missing_table");
    assert_eq!(code(lowered("/v2/stream", &[], r#"{"config":{"table":"b.t"}}"#)), "invalid_schema");
    assert_eq!(code(lowered("/v2/stream", &[], r#"{"config":{"table":"#)), "invalid_json");
    let latin = [("content-type", "application/json; charset=latin1")];
    assert_eq!(code(lowered("/v2/stream?table=b.t", &latin, "[]")), "invalid_encoding");
}

#[test]
fn odd_keys_are_warnings() {
    // Proves that unknown keys, and a key without merge, are told and not refused.
    let config = r#"{"data":[{}],"config":{"table":"b.t","colour":"red","primary_key":["a"],"tags":{"a":1}}}"#;
    let lowered = lowered("/v2/stream", &[], config).expect("valid");
    assert_eq!(lowered.asked.warnings.len(), 2);
    assert!(lowered.asked.warnings[0].contains("colour") && lowered.asked.warnings[1].contains("primary_key"));
}

#[test]
fn scalars_are_refused_before_the_configuration_is_looked_at() {
    // Proves the order of checks: a body that cannot be rows is a 400, whether or not a table is named.
    for uri in ["/v2/stream", "/v2/stream?table=a.b"] {
        for (body, expected) in [
            ("42", "invalid_schema"),
            ("\"text\"", "invalid_schema"),
            ("null", "invalid_schema"),
            ("nope", "invalid_json"),
        ] {
            assert_eq!(code(lowered(uri, &[], body)), expected, "{uri} {body}");
        }
    }
}
