//! `POST /query` with a `session_id`: what stays from one request to the next, and what does not.

use std::time::Duration;

use serde_json::{Value, json};
use siltstone_tests::{Api, QueryReply};

use crate::api;

fn ask(api: &Api, session: &str, statement: &str) -> QueryReply {
    let reply = api.query_with(&json!({ "statement": statement, "session_id": session }));
    assert_eq!(reply.status, 200, "{}", reply.text());
    QueryReply::parse(reply.text())
}

fn rows(api: &Api, session: &str, statement: &str) -> Vec<Vec<Value>> {
    let reply = ask(api, session, statement);
    assert_eq!(reply.error, None, "{statement}");
    reply.rows
}

#[test]
fn settings_stay_in_their_session() {
    // USE and SET hold for later requests of the same session, for no other one, and not past the request's own catalog.
    let api = api();
    api.succeed("CREATE SCHEMA sessions_side; CREATE TABLE sessions_side.only_here (a BIGINT)");
    rows(&api, "settings", "USE sessions_side; SET TimeZone = 'Europe/Paris'");
    assert_eq!(rows(&api, "settings", "SELECT count(*) FROM only_here"), [[json!(0)]]);
    let noon = "SELECT CAST('2024-07-15 12:00:00+00:00' AS TIMESTAMPTZ)";
    assert_eq!(rows(&api, "settings", noon), [[json!("2024-07-15T14:00:00+02:00")]]);
    assert_eq!(rows(&api, "settings other", noon), [[json!("2024-07-15T12:00:00Z")]]);
    assert!(ask(&api, "settings other", "SELECT * FROM only_here").error.is_some());
    let body = json!({"statement": "SELECT current_schema()", "session_id": "settings", "schema": "main"});
    assert_eq!(QueryReply::parse(api.query_with(&body).text()).rows, [[json!("main")]]);
    assert_eq!(rows(&api, "settings", "SELECT current_schema()"), [[json!("sessions_side")]]);
}

#[test]
fn a_transaction_lives_in_its_session() {
    // BEGIN, INSERT and COMMIT in three requests; between them only the session sees the row.
    let api = api();
    api.succeed("CREATE TABLE session_rows (a BIGINT)");
    rows(&api, "transaction", "BEGIN");
    rows(&api, "transaction", "INSERT INTO session_rows VALUES (1)");
    assert_eq!(rows(&api, "transaction", "SELECT a FROM session_rows"), [[json!(1)]]);
    assert_eq!(api.count("session_rows"), 0);
    rows(&api, "transaction", "COMMIT");
    assert_eq!(api.count("session_rows"), 1);
    // A failure rolls back what was open.
    rows(&api, "transaction", "BEGIN; INSERT INTO session_rows VALUES (2)");
    assert!(ask(&api, "transaction", "SELECT nonsense FROM session_rows").error.is_some());
    assert!(ask(&api, "transaction", "COMMIT").error.is_some_and(|error| error.contains("no transaction is active")));
    assert_eq!(api.count("session_rows"), 1);
}

#[test]
fn nothing_is_kept_without_a_session() {
    // Without an id of the client's, or with `ephemeral`, a transaction left open is rolled back and settings are gone.
    let api = api();
    api.succeed("CREATE TABLE session_less (a BIGINT)");
    api.succeed("BEGIN; INSERT INTO session_less VALUES (1)");
    let body = json!({
        "statement": "BEGIN; INSERT INTO session_less VALUES (2)", "session_id": "short-lived", "ephemeral": true,
    });
    assert_eq!(QueryReply::parse(api.query_with(&body).text()).error, None);
    assert!(ask(&api, "short-lived", "COMMIT").error.is_some_and(|error| error.contains("no transaction is active")));
    assert_eq!(api.count("session_less"), 0);
}

#[test]
fn a_session_belongs_to_one_user() {
    // Another user with the same id has another session, and the next request in a session waits for the one before it.
    let launch = crate::launch().arg("--user").arg("other:pass:word");
    let server = siltstone_tests::Server::start(launch);
    let (mine, theirs) = (server.api(), server.api().with_credentials("other:pass:word", "none"));
    mine.succeed("CREATE TABLE session_owned (a BIGINT)");
    rows(&mine, "same", "BEGIN; INSERT INTO session_owned VALUES (1)");
    assert!(ask(&theirs, "same", "COMMIT").error.is_some_and(|error| error.contains("no transaction is active")));
    let slow = std::thread::spawn({
        let mine = mine.clone();
        move || rows(&mine, "same", "INSERT INTO session_owned SELECT 2 FROM range(2000000) HAVING count(*) > 0")
    });
    std::thread::sleep(Duration::from_millis(50));
    let seen = rows(&mine, "same", "SELECT count(*) FROM session_owned");
    slow.join().expect("no panic");
    assert!([json!(1), json!(2)].contains(&seen[0][0]), "{seen:?}");
    rows(&mine, "same", "COMMIT");
    assert_eq!(mine.count("session_owned"), 2);
}

#[test]
fn a_stop_undoes_what_sessions_left_open() {
    // A server with an open transaction stops as soon as any other, and the transaction is gone.
    let server = siltstone_tests::Server::start(crate::launch());
    let (api, data) = (server.api(), server.data().clone());
    api.succeed("CREATE TABLE session_stop (a BIGINT)");
    rows(&api, "stop", "BEGIN; INSERT INTO session_stop VALUES (1)");
    let exit = server.terminate();
    assert_eq!(exit.code, Some(0), "{exit:?}");
    let server = siltstone_tests::Server::start(crate::launch().data(&data));
    assert_eq!(server.api().count("session_stop"), 0);
}
