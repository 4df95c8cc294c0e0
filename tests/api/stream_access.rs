//! `POST /v2/stream` and `POST /v1/query` with stored keys: what a role may do.

use std::process::Command;

use serde_json::json;
use siltstone_tests::{DataDir, Reply, Server};

use crate::launch;

/// Stores a key on a data directory that no server runs on, and gives it.
fn key(data: &DataDir, role: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_siltstone"));
    command.args(["key", "add", role, "--role", role, "--data"]).arg(data.path());
    let output = command.output().expect("the binary runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn a_key_that_may_only_read_does_not_write() {
    // 403 with code `forbidden` in the stream dialect's error shape, nothing stored; SQL that reads is answered, SQL that writes is not.
    let data = DataDir::fresh();
    let (reading, writing) = (key(&data, "read"), key(&data, "write"));
    let server = Server::start(launch().data(&data));
    let admin = server.api();
    admin.succeed("CREATE SCHEMA bronze; CREATE TABLE bronze.guarded (a BIGINT)");
    let with = |key: &str| server.api().with_credentials("nobody:nothing", key);
    let body = json!({"data": {"a": 1}, "config": {"table": "bronze.guarded", "wait": true}});
    let refused = with(&reading).stream(&body);
    assert_eq!((refused.status, &refused.json()["code"]), (403, &json!("forbidden")), "{}", refused.text());
    assert!(refused.json()["message"].is_string(), "{}", refused.text());
    assert_eq!(admin.count("bronze.guarded"), 0);
    assert_eq!(with(&writing).stream(&body).json()["accepted"], 1);
    let query = |key: &str, sql: &str| {
        let api = with(key);
        let request = api.request(reqwest::Method::POST, "/v1/query").header("authorization", api.bearer());
        Reply::from(request.json(&json!({"sql": sql})))
    };
    assert_eq!(query(&reading, "SELECT a FROM LAKE.bronze.guarded").json()["data"], json!([{"a": 1}]));
    for sql in ["INSERT INTO LAKE.bronze.guarded VALUES (2)", "DROP TABLE LAKE.bronze.guarded"] {
        let reply = query(&reading, sql);
        assert!((400..500).contains(&reply.status), "{}", reply.text());
    }
    assert_eq!(admin.count("bronze.guarded"), 1);
}
