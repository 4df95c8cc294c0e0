//! `POST /query`: the envelope, request fields, errors, formats, several statements, time travel.

use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use siltstone_tests::QueryReply;

use crate::api;

#[test]
fn the_envelope_is_complete() {
    // Line 1 has all eight keys with their types, line 2 the columns, then arrays; ids are echoed.
    let api = api();
    let id = "019D68D4-C4CB-7E40-AD50-FD4B68C2045E";
    let reply = api.query_with(&json!({
        "statement": "  SELECT 42 AS answer  ", "session_id": "sess-1", "query_id": id, "limit": 5, "offset": 0,
    }));
    assert!(reply.header("content-type").starts_with("application/x-ndjson"), "{reply:?}");
    let parsed = QueryReply::parse(reply.text());
    let metadata = &parsed.metadata;
    assert_eq!(metadata["statement"], "SELECT 42 AS answer");
    assert_eq!((&metadata["rows_limit"], &metadata["rows_offset"]), (&json!(5), &json!(0)));
    assert!(metadata["init_time_ms"].as_u64().is_some_and(|ms| ms >= 1), "{metadata}");
    assert_eq!((&metadata["connections_errors"], &metadata["session_id"]), (&json!({}), &json!("sess-1")));
    assert!(metadata["query_id"].as_str().is_some_and(|echoed| echoed.eq_ignore_ascii_case(id)), "{metadata}");
    assert!(metadata["worker_slug"].as_str().is_some_and(|slug| !slug.is_empty()), "{metadata}");
    assert_eq!(parsed.columns[0].0, "answer");
    assert_eq!(parsed.rows, [[json!(42)]]);
    let generated = api.query("SELECT 1").metadata;
    for key in ["session_id", "query_id"] {
        assert_eq!(generated[key].as_str().map(str::len), Some(36), "{key}");
    }
    assert_eq!((&generated["rows_limit"], &generated["rows_offset"]), (&Value::Null, &Value::Null));
}

#[test]
fn faults_of_the_request_are_bad_requests() {
    // Wrong JSON, wrong fields and wrong values are 400 in plain text that names the field, before any stream.
    let api = api();
    for (body, named) in [
        (json!({}), "statement"),
        (json!({"statement": ""}), "statement"),
        (json!({"statement": "  "}), "statement"),
        (json!({"statement": 1}), "statement"),
        (json!({"statement": "SELECT 1", "limit": -1}), "limit"),
        (json!({"statement": "SELECT 1", "limit": "5"}), "limit"),
        (json!({"statement": "SELECT 1", "offset": -1}), "offset"),
        (json!({"statement": "SELECT 1", "query_id": "nope"}), "query_id"),
        (json!({"statement": "SELECT 1", "format": "xml"}), "Unsupported query format: xml"),
        (json!({"statement": "SELECT 1", "dialect": "postgres"}), "Unsupported dialect: postgres"),
        (json!({"statement": "SELECT 1", "compute_size": "HUGE"}), "HUGE"),
        (json!({"statement": "SELECT 1", "timezone": "Mars/Olympus"}), "Mars/Olympus"),
        (json!({"statement": "SELECT 1", "session_id": "x".repeat(129)}), "session_id"),
        (json!({"statement": "SELECT 1", "sanitize": "yes"}), "sanitize"),
        (json!([1]), ""),
        (json!("SELECT 1"), ""),
    ] {
        let reply = api.query_with(&body);
        assert_eq!(reply.status, 400, "{body}: {}", reply.text());
        assert!(reply.header("content-type").starts_with("text/plain"), "{body}: {reply:?}");
        assert!(reply.text().contains(named) && !reply.text().starts_with('{'), "{body}: {}", reply.text());
    }
}

#[test]
fn null_and_unknown_fields_are_ignored() {
    // The Java client sends null for every unset field, PHP sends fields we do not know.
    let api = api();
    let reply = api.query_with(&json!({
        "statement": "SELECT 1 AS a", "catalog": null, "schema": null, "session_id": null, "query_id": null, "limit": null,
        "offset": null, "sanitize": null, "format": null, "compute_size": "auto", "dialect": "DuckDB", "timezone": null,
        "visible": null, "ephemeral": true, "requested_by": null, "cache": false, "table": "x", "max_results": 5,
    }));
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(QueryReply::parse(reply.text()).rows, [[json!(1)]]);
}

#[test]
fn limit_and_offset_apply_to_the_result() {
    // Both cut the last statement's rows; sanitize replaces them by a window of 500.
    let api = api();
    let rows: Vec<Value> = (0..700).map(|n| json!({ "n": n })).collect();
    api.append_ok("paged", Value::Array(rows).to_string());
    let page = |body: Value| QueryReply::parse(api.query_with(&body).text());
    let statement = "SELECT n FROM paged ORDER BY n";
    assert_eq!(page(json!({"statement": statement})).rows.len(), 700);
    let reply = page(json!({"statement": statement, "limit": 2, "offset": 3}));
    assert_eq!(reply.rows, [[json!(3)], [json!(4)]]);
    let reply = page(json!({"statement": statement, "limit": 2, "offset": 3, "sanitize": true}));
    assert_eq!((reply.rows.len(), &reply.rows[0][0]), (500, &json!(0)));
    assert_eq!((&reply.metadata["rows_limit"], &reply.metadata["rows_offset"]), (&json!(500), &json!(0)));
}

#[test]
fn sql_errors_come_in_the_stream() {
    // Parse, bind and missing-table errors are 200, the metadata line, and one error line in DuckDB's words.
    let api = api();
    for (statement, words) in [
        ("SELEC 1", "Parser Error"),
        ("SELECT * FROM no_such_table", "no_such_table"),
        ("SELECT * FROM no_such_table", "does not exist"),
        ("SELECT no_such_column FROM (SELECT 1 AS a)", "Binder Error"),
        ("SELECT * FROM demo.main.t", "demo"),
        ("DROP TABLE no_such_table", "does not exist"),
    ] {
        let error = api.query_error(statement);
        assert!(error.contains(words), "{statement}: {error}");
    }
    let body = json!({"statement": "SELECT 1", "catalog": "demo"});
    let reply = QueryReply::parse(api.query_with(&body).text());
    assert!(reply.error.is_some_and(|error| error.contains("demo")), "a missing catalog is a SQL error");
}

#[test]
fn an_error_half_way_ends_the_stream_after_the_rows() {
    // A cast that fails far into the result: rows that were computed before it may come, then the error line, then nothing.
    let api = api();
    let rows: Vec<Value> =
        (0..100_000).map(|n| json!({"n": n, "t": if n == 99_000 { "x".to_owned() } else { n.to_string() }})).collect();
    api.append_ok("breaks_off", Value::Array(rows).to_string());
    let reply = api.query("SELECT CAST(t AS BIGINT) FROM breaks_off");
    assert!(reply.error.as_deref().is_some_and(|error| !error.is_empty()), "{:?} rows and no error", reply.rows.len());
    assert!(reply.rows.len() < 100_000);
}

#[test]
fn the_metadata_line_comes_before_the_work() {
    // A client that waits five seconds for headers must not fail on a slow query.
    let api = api();
    let rows: Vec<Value> = (0..30_000).map(|n| json!({ "n": n })).collect();
    api.append_ok("slow_side", Value::Array(rows).to_string());
    let statement = "SELECT count(*) FROM slow_side a, slow_side b WHERE (a.n * 7 + b.n * 3) % 11 = 5";
    let started = Instant::now();
    let response = api
        .request(reqwest::Method::POST, "/query")
        .header("authorization", api.basic())
        .body(json!({ "statement": statement }).to_string())
        .send()
        .expect("a reply");
    let mut lines = BufReader::new(response).lines();
    let metadata = lines.next().expect("a line").expect("readable");
    let first_line = started.elapsed();
    assert!(metadata.contains("query_id"), "{metadata}");
    let rest: Vec<String> = lines.map(|line| line.expect("readable")).collect();
    let whole = started.elapsed();
    assert_eq!(rest.len(), 2, "{rest:?}");
    assert!(
        first_line < Duration::from_secs(1) && first_line < whole / 2,
        "first line {first_line:?}, whole {whole:?}"
    );
}

#[test]
fn csv_and_jsonl_have_no_envelope() {
    // Plain formats: their content types, headers with the ids, quoting, NULL and empty apart, duplicate names told apart.
    let api = api();
    let format = |format: &str, statement: &str| api.query_with(&json!({"statement": statement, "format": format}));
    let statement = "SELECT 1 AS a, 'x,\"y\"' AS b, NULL AS c, '' AS d, true AS e";
    let csv = format("csv", statement);
    assert_eq!(csv.header("content-type").split(';').next(), Some("text/csv"));
    assert_eq!(csv.text(), "a,b,c,d,e\n1,\"x,\"\"y\"\"\",,\"\",true\n");
    let jsonl = format("jsonl", statement);
    assert_eq!(jsonl.header("content-type").split(';').next(), Some("application/x-ndjson"));
    assert_eq!(jsonl.text(), "{\"a\":1,\"b\":\"x,\\\"y\\\"\",\"c\":null,\"d\":\"\",\"e\":true}\n");
    for reply in [&csv, &jsonl] {
        assert_eq!((reply.header("x-query-id").len(), reply.header("x-session-id").len()), (36, 36));
    }
    assert_eq!(format("csv", "SELECT 1 AS a WHERE false").text(), "a\n");
    assert_eq!(format("jsonl", "SELECT 1 AS a WHERE false").text(), "");
    assert_eq!(format("jsonl", "SELECT 1 AS a, 2 AS a").text(), "{\"a\":1,\"a_1\":2}\n");
    for name in ["csv", "jsonl"] {
        let reply = format(name, "SELECT * FROM missing_for_format");
        assert_eq!(reply.status, 500);
        assert!(reply.header("content-type").starts_with("text/plain") && reply.text().contains("missing_for_format"));
    }
}

#[test]
fn several_statements_give_the_last_result() {
    // They run in order, each commits, and the first failure ends the request.
    let api = api();
    let reply = api.succeed(
        "CREATE TABLE several (a BIGINT); INSERT INTO several VALUES (1), (2); SELECT sum(a) AS s FROM several",
    );
    assert_eq!(reply.rows, [[json!(3)]]);
    assert!(
        api.query_error("INSERT INTO several VALUES (3); SELECT nonsense FROM several; INSERT INTO several VALUES (4)")
            .contains("nonsense")
    );
    assert_eq!(api.count("several"), 2 + 1);
}

#[test]
fn statements_without_rows_have_duckdbs_shapes() {
    // DML counts its rows, DDL has the same column and no row.
    let api = api();
    let count = [("Count".to_owned(), "BIGINT".to_owned())];
    let created = api.succeed("CREATE TABLE shapes (a BIGINT, b VARCHAR)");
    assert_eq!((&created.columns[..], created.rows.len()), (&count[..], 0));
    let inserted = api.succeed("INSERT INTO shapes VALUES (1, 'x'), (2, NULL), (3, 'z')");
    assert_eq!((&inserted.columns[..], &inserted.rows[..]), (&count[..], &[vec![json!(3)]][..]));
    let copied = api.succeed("INSERT INTO shapes SELECT a + 10, b FROM shapes WHERE b IS NOT NULL");
    assert_eq!(copied.rows, [[json!(2)]]);
    assert_eq!(api.rows("SELECT a FROM shapes ORDER BY a DESC LIMIT 1"), [[json!(13)]]);
    let dropped = api.succeed("DROP TABLE shapes");
    assert_eq!(dropped.rows.len(), 0);
    assert!(api.query_error("SELECT * FROM shapes").contains("does not exist"));
    api.succeed("DROP TABLE IF EXISTS shapes");
}

#[test]
fn catalogs_and_schemas_can_be_made_and_named() {
    // CREATE DATABASE and SCHEMA, names of one to three parts, and the request's own defaults.
    let api = api();
    api.succeed("CREATE DATABASE second; CREATE SCHEMA second.side; CREATE TABLE second.side.t (a BIGINT)");
    api.succeed("INSERT INTO second.side.t VALUES (7)");
    let reply = api.query_with(&json!({"statement": "SELECT a FROM t", "catalog": "SECOND", "schema": "Side"}));
    assert_eq!(QueryReply::parse(reply.text()).rows, [[json!(7)]]);
    assert_eq!(api.append("catalog=second&schema=side&table=t", "{\"a\":8}").json()["ok"], true);
    assert_eq!(api.rows("SELECT sum(a) FROM second.side.t").len(), 1);
    assert_eq!(api.rows("SELECT current_catalog()"), [[json!("LAKE")]]);
    let tables =
        "SELECT table_name FROM information_schema.tables WHERE table_catalog = 'second' AND table_schema = 'side'";
    assert_eq!(api.rows(tables), [[json!("t")]]);
    let columns = "SELECT column_name, data_type FROM information_schema.columns WHERE table_catalog = 'second' AND table_name = 't'";
    assert_eq!(api.rows(columns), [[json!("a"), json!("BIGINT")]]);
}

#[test]
fn the_past_can_be_queried() {
    // AT (VERSION => n) shows what was there at commit n, columns included.
    let api = api();
    let snapshot = |body: &str| -> u64 {
        api.append_ok("past", body.to_owned()).header("x-snapshot-id").parse().expect("a number")
    };
    let (first, second) = (snapshot("{\"a\":1}"), snapshot("{\"a\":2,\"b\":\"x\"}"));
    assert!(second > first);
    let at = |n: u64| api.succeed(&format!("SELECT * FROM past AT (VERSION => {n}) ORDER BY a"));
    assert_eq!((at(first).columns.len(), at(first).rows), (1, vec![vec![json!(1)]]));
    assert_eq!(at(second).rows, [vec![json!(1), Value::Null], vec![json!(2), json!("x")]]);
    assert!(!api.query_error(&format!("SELECT * FROM past AT (VERSION => {})", first - 1)).is_empty());
    assert!(!api.query_error("SELECT * FROM past AT (VERSION => 99999999999)").is_empty());
}

#[test]
fn large_results_come_whole() {
    // No silent cap: 300,000 rows go in, 300,000 come out.
    let api = api();
    for start in [0, 100_000, 200_000] {
        let rows: Vec<String> = (start..start + 100_000).map(|n| format!("{{\"n\":{n}}}")).collect();
        api.append_ok("many", format!("[{}]", rows.join(",")));
    }
    let reply = api.succeed("SELECT n FROM many ORDER BY n");
    assert_eq!(reply.rows.len(), 300_000);
    assert!(reply.rows.iter().enumerate().all(|(i, row)| row[0] == i));
}
