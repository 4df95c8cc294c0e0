//! `POST /validate`, `/explain` and `/autocomplete`.

use reqwest::Method;
use serde_json::{Value, json};
use siltstone_tests::{Api, QueryReply, Reply};

use crate::api;

fn post(api: &Api, path: &str, body: &Value) -> Reply {
    Reply::from(api.request(Method::POST, path).header("authorization", api.basic()).body(body.to_string()))
}

fn validate(api: &Api, statement: &str) -> Value {
    let reply = post(api, "/validate", &json!({ "statement": statement }));
    assert_eq!((reply.status, reply.header("content-type")), (200, "application/json"), "{}", reply.text());
    reply.json()
}

fn complete(api: &Api, statement: &str) -> Vec<Value> {
    let reply = post(api, "/autocomplete", &json!({ "statement": statement, "max_suggestions": 50 }));
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["suggestions"].as_array().expect("an array").clone()
}

#[test]
fn statements_are_checked_without_being_run() {
    // Queries, DML and DDL; valid ones change nothing, wrong ones say what is wrong.
    let api = api();
    api.succeed("CREATE TABLE checked (a BIGINT NOT NULL, b VARCHAR); INSERT INTO checked VALUES (1, 'x')");
    for statement in [
        "SELECT a, count(*) FROM checked GROUP BY a",
        "INSERT INTO checked VALUES (2, 'y')",
        "INSERT INTO checked (a) SELECT a + 1 FROM checked",
        "UPDATE checked SET b = 'z' WHERE a = 1",
        "DELETE FROM checked",
        "TRUNCATE checked",
        "DROP TABLE checked",
        "ALTER TABLE checked ADD COLUMN c INTEGER",
        "CREATE TABLE checked_new AS SELECT * FROM checked",
        "CREATE TABLE checked_new (a BIGINT); INSERT INTO checked_new VALUES (1); SELECT * FROM checked_new",
        "MERGE INTO checked USING (SELECT 1 AS a) s ON checked.a = s.a WHEN MATCHED THEN DELETE",
        "BEGIN; INSERT INTO checked VALUES (3, 'w'); COMMIT",
        "SELECT 1/0",
        "SELECT COLUMNS(c -> c = 'b') FROM checked AT (TIMESTAMP => now())",
        "PIVOT checked ON b USING sum(a) ORDER BY x",
        "CREATE INDEX i ON checked (a)",
        "USE main",
    ] {
        let expected = json!({"valid": true, "statement": statement, "connections_errors": {}});
        assert_eq!(validate(&api, statement), expected);
    }
    assert_eq!(api.rows("SELECT * FROM checked"), [[json!(1), json!("x")]]);
    assert!(api.query_error("SELECT * FROM checked_new").contains("does not exist"));
    for (statement, words) in [
        ("", "Parser Error"),
        ("SELEC 1", "Parser Error"),
        ("SELECT * FROM non_existent_table", "non_existent_table"),
        ("SELECT nonsense FROM checked", "nonsense"),
        ("INSERT INTO checked VALUES (1, 'x', 3)", "columns"),
        ("INSERT INTO checked (nonsense) VALUES (1)", "nonsense"),
        ("UPDATE checked SET nonsense = 1", "nonsense"),
        ("DELETE FROM non_existent_table", "non_existent_table"),
        ("DROP TABLE non_existent_table", "non_existent_table"),
        ("CREATE TABLE checked (a BIGINT)", "already exists"),
        ("ALTER TABLE checked DROP COLUMN nonsense", "nonsense"),
        ("SELECT 1; SELECT nonsense FROM checked", "nonsense"),
    ] {
        let answer = validate(&api, statement);
        assert_eq!((&answer["valid"], &answer["statement"]), (&json!(false), &json!(statement)));
        assert!(answer["error"].as_str().is_some_and(|error| error.contains(words)), "{answer}");
    }
}

#[test]
fn requests_that_are_wrong_are_bad_requests() {
    // A missing statement, a field of the wrong kind, a body that is no object; and no credentials.
    let api = api();
    for path in ["/validate", "/explain", "/autocomplete"] {
        for (body, words) in [
            (json!({}), "statement"),
            (json!({"statement": 1}), "statement"),
            (json!({"statement": "SELECT 1", "catalog": 1}), "catalog"),
            (json!({"statement": "SELECT 1", "session_id": ""}), "session_id"),
            (json!({"statement": "SELECT 1", "max_suggestions": -1}), "max_suggestions"),
            (json!({"statement": "SELECT 1", "include_plan": "yes"}), "include_plan"),
            (json!([]), "object"),
        ] {
            let reply = post(&api, path, &body);
            assert_eq!((reply.status, reply.text().contains(words)), (400, true), "{path} {body}: {}", reply.text());
        }
        let reply = Reply::from(api.request(Method::POST, path).body("{\"statement\":\"SELECT 1\"}"));
        assert_eq!(reply.status, 401, "{path}");
    }
}

#[test]
fn checks_see_the_session() {
    // A table of an open transaction is known in its session only, and the check leaves the transaction open.
    let api = api();
    let body = json!({"statement": "BEGIN; CREATE TABLE only_in_session (a BIGINT)", "session_id": "checks"});
    api.query_with(&body);
    let check = |session: &str| {
        let body = json!({"statement": "SELECT a FROM only_in_session", "session_id": session});
        post(&api, "/validate", &body).json()["valid"].clone()
    };
    assert_eq!((check("checks"), check("another")), (json!(true), json!(false)));
    let body = json!({"statement": "COMMIT", "session_id": "checks"});
    assert_eq!(QueryReply::parse(api.query_with(&body).text()).error, None);
    assert_eq!(check("another"), json!(true));
}

#[test]
fn explain_tells_what_is_read() {
    // Every scan with its table, rows, filters and totals; the plan if asked; errors beside an empty list.
    let api = api();
    let rows: Vec<Value> = (0..1000).map(|n| json!({"id": n, "t": "x"})).collect();
    api.append_ok("explained", Value::Array(rows).to_string());
    let body = json!({"statement": "SELECT t FROM explained WHERE id > 50", "include_plan": true});
    let reply = post(&api, "/explain", &body);
    let answer = reply.json();
    assert_eq!((reply.status, &answer["statement"]), (200, &body["statement"]));
    let table = &answer["tables"][0];
    assert_eq!(
        (&table["table_name"], &table["filters"]),
        (&json!("LAKE.main.explained"), &json!("id > 50")),
        "{answer}"
    );
    assert_eq!(table["estimated_rows"], 1000, "{answer}");
    for key in ["total_files", "total_bytes", "scanned_files_estimate", "scanned_bytes_estimate"] {
        assert!(table[key].is_u64() && answer[key] == table[key], "{key}: {answer}");
    }
    let plan = &answer["plan"][0];
    assert!(plan["name"].is_string() && plan["children"].is_array() && plan["extra_info"].is_object(), "{answer}");
    let without = post(&api, "/explain", &json!({"statement": "SELECT 1"})).json();
    assert_eq!((&without["tables"], without.get("plan")), (&json!([]), None));
    let wrong = post(&api, "/explain", &json!({"statement": "SELECT * FROM not_explained"})).json();
    assert_eq!((&wrong["tables"], &wrong["connections_errors"]), (&json!([]), &json!({})));
    assert!(wrong["error"].as_str().is_some_and(|error| error.contains("not_explained")), "{wrong}");
}

#[test]
fn completions_know_where_they_are() {
    // The contract's example; columns of the table in scope, tables, functions; shapes that strict clients check.
    let api = api();
    api.append_ok("completed_users", "{\"user_name\":\"x\",\"First Name\":\"y\"}");
    let first = &complete(&api, "SEL")[0];
    let expected = json!({
        "suggestion": "SELECT ", "suggestion_start": 0, "suggestion_type": "keyword", "suggestion_score": 0,
    });
    assert_eq!(first, &expected);
    let names = |statement: &str| -> Vec<String> {
        complete(&api, statement).iter().map(|one| one["suggestion"].as_str().expect("a text").to_owned()).collect()
    };
    assert_eq!(names("SELECT user_n FROM completed_users WHERE user_")[0], "user_name");
    assert_eq!(names("SELECT * FROM completed_users WHERE fir")[0], "\"First Name\"");
    assert_eq!(names("SELECT * FROM completed_u")[0], "completed_users");
    assert_eq!(names("SELECT * FROM LAKE.main.completed_u")[0], "completed_users");
    assert_eq!(names("FROM completed_users u SELECT u.user")[0], "user_name");
    assert!(names("SELECT ma").iter().any(|name| name == "max"));
    let schema = &complete(&api, "SELECT * FROM mai")[0];
    assert_eq!((&schema["suggestion_type"], &schema["extra_char"]), (&json!("schema"), &json!(".")));
    api.succeed("CREATE VIEW completed_view AS SELECT 1 AS only_column_of_it");
    let view = &complete(&api, "SELECT * FROM completed_v")[0];
    assert_eq!((&view["suggestion"], &view["suggestion_type"]), (&json!("completed_view"), &json!("table")));
    assert_eq!(complete(&api, "SELECT only_c FROM completed_view WHERE only_c")[0]["suggestion"], "only_column_of_it");
    for one in complete(&api, "SELECT * FROM completed_users WHERE ") {
        assert!(one["suggestion_score"].is_u64() && one["suggestion_start"].is_u64(), "{one}");
    }
}

#[test]
fn completions_are_bounded_and_errors_are_told() {
    // 20 unless more are asked for, 200 at most; the trimmed statement is echoed; a missing catalog is a connection's error.
    let api = api();
    let ask = |body: Value| post(&api, "/autocomplete", &body).json();
    let count = |body: Value| ask(body)["suggestions"].as_array().map(Vec::len);
    assert_eq!(count(json!({"statement": "SELECT "})), Some(20));
    assert_eq!(count(json!({"statement": "SELECT ", "max_suggestions": 0})), Some(20));
    assert_eq!(count(json!({"statement": "SELECT ", "max_suggestions": 5})), Some(5));
    assert_eq!(count(json!({"statement": "SELECT ", "max_suggestions": 100_000})), Some(200));
    assert_eq!(ask(json!({"statement": "  SEL "}))["statement"], "SEL");
    let missing = ask(json!({"statement": "SEL", "catalog": "nowhere"}));
    assert_eq!(missing["suggestions"], json!([]));
    assert!(missing["connections_errors"]["nowhere"].is_string(), "{missing}");
}
