//! The app called without a socket, on a real engine in a temporary folder.

use std::path::Path;

use base64::Engine as _;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use siltstone_query::{QueryEngine, QueryOptions};
use siltstone_storage::Options;
use siltstone_storage::io::OsDisk;

use super::*;
use crate::auth::{Role, store};
use crate::config::Hidden;
use crate::upload::UploadLimits;

struct Harness {
    app: App,
    _folder: tempfile::TempDir,
}

struct Answer {
    status: StatusCode,
    headers: http::HeaderMap,
    body: bytes::Bytes,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
    }
}

fn open(folder: &Path, config: &Config) -> State {
    let options = Options { disk_reserve_bytes: 0, log_file_bytes: 1 << 20, ..Options::default() };
    let engine = Engine::open(Arc::new(OsDisk::open(folder).expect("folder")), options).expect("engine");
    system::bootstrap(&engine, config).expect("bootstrap");
    let limits = Limits::new(config.body_bytes_in_flight_max, 2);
    let query = QueryOptions {
        default_database: config.default_catalog.clone(),
        default_schema: config.default_schema.clone(),
        read_only_databases: vec![system::DATABASE.to_owned()],
        hidden_tables: system::hidden_tables(),
        memory_bytes: 64 << 20,
        query_memory_bytes: 64 << 20,
        spill_folder: folder.join("spill"),
        spill_bytes_max: config.query_spill_bytes_max,
        parallelism: 2,
        files: None,
    };
    let query = QueryEngine::new(engine.clone(), query).expect("queries");
    State {
        secret: system::secret(&engine).expect("secret"),
        auth: Auth::new(config, store::load(&engine).expect("credentials")),
        ingest: Ingest::new(engine.clone(), limits.clone()),
        uploads: Uploads::new(engine.clone(), UploadLimits { folder: folder.join("spool"), ..config.upload_limits() }),
        sql: Sql::new(query, tokio::runtime::Handle::current(), config.sql_limits(2)),
        limits,
        receipts: Arc::new(Receipts::open(engine.clone(), config.stream_idempotency_keys_max).expect("receipts")),
        rates: Rates::new(config.stream_requests_per_second, config.stream_rows_per_second),
        requests: RequestMetrics::default(),
        backups: Arc::new(Semaphore::new(1)),
        stopping: AtomicBool::new(false),
        engine,
        config: config.clone(),
    }
}

fn config() -> Config {
    Config {
        users: vec![("alice".to_owned(), Hidden("secret".to_owned()))],
        api_keys: vec![Hidden("key".to_owned())],
        ..Config::default()
    }
}

impl Harness {
    fn new() -> Self {
        Self::with(&config())
    }

    fn with(config: &Config) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let state = open(folder.path(), config);
        Self { app: app(Arc::new(state)), _folder: folder }
    }

    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.app.handle(request.body(body.into()).expect("request")).await;
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("whole body").to_bytes();
        Answer { status: head.status, headers: head.headers, body }
    }

    async fn post(&self, path: &str, body: &str) -> Answer {
        self.send(Method::POST, path, &[("authorization", "Bearer key")], body.to_owned()).await
    }

    async fn append(&self, table: &str, body: &str) -> Answer {
        self.post(&format!("/append?catalog=LAKE&schema=main&table={table}"), body).await
    }

    async fn sql(&self, statement: &str) -> Vec<Value> {
        let answer = self.post("/query", &json!({ "statement": statement }).to_string()).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        answer.lines()
    }
}

#[tokio::test]
async fn an_append_makes_its_table_and_sql_reads_it() {
    // Proves the whole path: schema and table appear, columns are added, a task id answers, the envelope has its three kinds of lines.
    let server = Harness::new();
    let answer = server.post("/append?catalog=lake&schema=fresh&table=t", r#"{"a":1,"b":"x"}"#).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/json"));
    let body = answer.json();
    assert_eq!((&body["ok"], &body["error_message"], &body["error_code"]), (&json!(true), &Value::Null, &Value::Null));
    assert!(answer.header("x-snapshot-id").parse::<u64>().expect("a number") > 0);
    let more = server.post("/append?catalog=LAKE&schema=fresh&table=t&sync=true", r#"[{"a":2,"c":true}]"#).await;
    assert_eq!(more.json()["ok"], json!(true), "{}", more.text());
    let task = body["task_id"].as_str().expect("an id");
    let path = format!("/tasks/{task}");
    let known = server.send(Method::GET, &path, &[("authorization", "Bearer key")], "").await;
    assert_eq!(known.json(), json!({ "task_id": task, "status": "completed" }));
    let alice = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode("alice:secret"));
    let foreign = server.send(Method::GET, &path, &[("authorization", &alice)], "").await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
    let lines = server.sql("SELECT a, b, c FROM LAKE.fresh.t ORDER BY a").await;
    assert_eq!(lines[0]["statement"], json!("SELECT a, b, c FROM LAKE.fresh.t ORDER BY a"));
    assert_eq!(lines[0]["rows_limit"], Value::Null);
    let columns = json!([{"name":"a","type":"BIGINT"},{"name":"b","type":"VARCHAR"},{"name":"c","type":"BOOLEAN"}]);
    assert_eq!(lines[1..], [columns, json!([1, "x", null]), json!([2, null, true])]);
}

#[tokio::test]
async fn the_list_of_snapshots_says_who_sent_what() {
    // Proves that the tags of a stream request and the sender of every kind of write are kept with its commit.
    let server = Harness::new();
    server.sql("CREATE TABLE LAKE.bronze.events (id BIGINT)").await;
    let path = "/v2/stream?table=bronze.events&tags=%7B%22source%22%3A%22x%22%2C%22n%22%3A1%7D";
    assert_eq!(server.post(path, r#"[{"id":1}]"#).await.status, StatusCode::OK);
    server.append("t", r#"{"a":1}"#).await;
    let alice = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode("alice:secret"));
    let insert = json!({ "statement": "INSERT INTO bronze.events VALUES (2)" }).to_string();
    server.send(Method::POST, "/query", &[("authorization", &alice)], insert).await;
    let sql = "SELECT author, commit_extra_info FROM LAKE.snapshots() ORDER BY snapshot_id DESC LIMIT 3";
    let key = "key:configured-0";
    let tags = json!({ "source": "x", "n": 1 });
    assert_eq!(server.sql(sql).await[2..], [json!(["user:alice", null]), json!([key, null]), json!([key, tags])]);
}

#[tokio::test]
async fn rows_whose_key_is_there_are_refused_like_bad_ones() {
    // Proves that a declared key holds for appends: stream leaves those rows out and names them, append refuses the whole body.
    let server = Harness::new();
    server.sql("CREATE TABLE LAKE.bronze.k (id BIGINT PRIMARY KEY, v BIGINT)").await;
    server.sql("INSERT INTO bronze.k VALUES (1, 1)").await;
    let body = r#"[{"id":2,"v":2},{"id":"x"},{"id":1,"v":9},{"id":3,"v":3},{"id":3,"v":4}]"#;
    let json = server.post("/v2/stream?table=bronze.k", body).await.json();
    assert_eq!(json["successful_rows"], json!(2), "{json}");
    let codes: Vec<_> = json["error_details"].as_array().expect("details").iter().map(|error| &error["code"]).collect();
    assert_eq!(codes, [&json!("invalid_cast"), &json!("duplicate_key"), &json!("duplicate_key")]);
    let path = "/append?catalog=LAKE&schema=bronze&table=k";
    let refused = server.post(path, r#"[{"id":4},{"id":2}]"#).await.json();
    assert_eq!((&refused["ok"], &refused["error_code"]), (&json!(false), &json!("invalid-data")), "{refused}");
    let rows = server.sql("SELECT id, v FROM bronze.k ORDER BY id").await;
    assert_eq!(rows[2..4], [json!([1, 1]), json!([2, 2])]);
    assert_eq!(rows.len(), 5);
}

#[tokio::test]
async fn a_bad_append_is_told_in_its_four_keys_and_writes_nothing() {
    // Proves status and code of each outcome of the contract, and all or nothing.
    let server = Harness::new();
    assert_eq!(server.append("t", r#"{"a":1}"#).await.json()["ok"], json!(true));
    for (path, body, status, code) in [
        ("/append?catalog=LAKE&schema=main&table=t", "not json", 400, "invalid-data"),
        ("/append?catalog=LAKE&schema=main&table=t", "7", 400, "invalid-data"),
        ("/append?catalog=LAKE&schema=main&table=t", "[1]", 400, "invalid-data"),
        ("/append?catalog=LAKE&schema=main&table=t", "", 400, "invalid-data"),
        ("/append?catalog=LAKE&schema=main", "{}", 400, "invalid-data"),
        ("/append?catalog=nowhere&schema=main&table=t", "{\"a\":1}", 200, "invalid-data"),
        ("/append?catalog=system&schema=main&table=credentials", "{\"a\":1}", 200, "invalid-data"),
        ("/append?catalog=LAKE&schema=main&table=u", "{}", 200, "invalid-data"),
        ("/append?catalog=LAKE&schema=main&table=t", r#"[{"a":2},{"a":"x"}]"#, 200, "incompatible-schema"),
    ] {
        let answer = server.post(path, body).await;
        assert_eq!(answer.status.as_u16(), status, "{path} {body}: {}", answer.text());
        let json = answer.json();
        assert_eq!(json.as_object().map(serde_json::Map::len), Some(4), "{json}");
        assert_eq!((&json["ok"], &json["task_id"], &json["error_code"]), (&json!(false), &Value::Null, &json!(code)));
        assert!(!json["error_message"].as_str().expect("a message").is_empty());
    }
    let empty = server.append("t", "[]").await.json();
    assert_eq!((&empty["ok"], &empty["task_id"]), (&json!(true), &Value::Null));
    assert_eq!(server.sql("SELECT count(*) FROM t").await[2], json!([1]));
}

#[tokio::test]
async fn racing_appends_that_create_and_widen_all_succeed() {
    // Proves that a table created by several at once, and columns added by several at once, end with every row and column.
    let server = Arc::new(Harness::new());
    let tasks: Vec<_> = (0..24)
        .map(|i| {
            let server = Arc::clone(&server);
            tokio::spawn(
                async move { server.append("race", &format!("{{\"id\":{i},\"c{}\":{i}}}", i % 8)).await.json() },
            )
        })
        .collect();
    for task in tasks {
        let reply = task.await.expect("no panic");
        assert_eq!(reply["ok"], json!(true), "{reply}");
    }
    assert_eq!(server.sql("SELECT count(*), count(c0), count(c7) FROM race").await[2], json!([24, 3, 3]));
}

#[tokio::test]
async fn credentials_come_before_everything_else() {
    // Proves 401 in each dialect's shape, roles, and that stored users and keys work and end with their removal.
    let folder = tempfile::tempdir().expect("folder");
    {
        let state = open(folder.path(), &config());
        store::add_user(&state.engine, "reader", "pw", Role::Read).expect("add");
        store::add_user(&state.engine, "gone", "pw", Role::Admin).expect("add");
        store::remove(&state.engine, store::Kind::User, "gone").expect("remove");
        state.engine.close().expect("close");
    }
    let state = open(folder.path(), &config());
    let key = store::add_key(&state.engine, "writer", Role::Write).expect("add");
    let auth = Auth::new(&config(), store::load(&state.engine).expect("credentials"));
    let server = Harness { app: app(Arc::new(State { auth, ..state })), _folder: folder };
    let path = "/append?catalog=LAKE&schema=main&table=t";
    let plain = server.send(Method::POST, path, &[], "{}").await;
    assert_eq!(
        (plain.status, plain.header("www-authenticate")),
        (StatusCode::UNAUTHORIZED, "Basic realm=\"altertable\"")
    );
    let stream = server.send(Method::POST, "/v2/stream", &[("authorization", "Bearer no")], "{}").await;
    assert_eq!((stream.status, stream.header("www-authenticate")), (StatusCode::UNAUTHORIZED, "Bearer"));
    assert_eq!(stream.json()["code"], json!("unauthorized"));
    let basic = |pair: &str| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
    let reader = server.send(Method::POST, path, &[("authorization", &basic("reader:pw"))], "{\"a\":1}").await;
    assert_eq!(reader.status, StatusCode::FORBIDDEN);
    let gone = server.send(Method::POST, path, &[("authorization", &basic("gone:pw"))], "{\"a\":1}").await;
    assert_eq!(gone.status, StatusCode::UNAUTHORIZED);
    let bearer = format!("Bearer {key}");
    let written = server.send(Method::POST, path, &[("authorization", &bearer)], "{\"a\":1}").await;
    assert_eq!(written.json()["ok"], json!(true));
    let ask = json!({ "statement": "CREATE TABLE x (a INT)" }).to_string();
    let refused = server.send(Method::POST, "/query", &[("authorization", &basic("reader:pw"))], ask).await;
    assert!(refused.text().contains("\"error\""), "{}", refused.text());
}

#[tokio::test]
async fn stream_answers_all_keys_in_order() {
    // Proves success, partial success, warnings, row numbers from 0, and that `wait` decides about the snapshot id.
    let server = Harness::new();
    server.sql("CREATE SCHEMA bronze").await;
    server.sql("CREATE TABLE bronze.events (id BIGINT, amount DOUBLE)").await;
    let body = r#"{"data":[{"id":1,"amount":2},{"id":2,"amount":"abc"},{"id":3,"plan":"x"}],
        "config":{"table":"lake.BRONZE.events","wait":true}}"#;
    let answer = server.post("/v2/stream", body).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/json; charset=utf-8"));
    let json = answer.json();
    let expected = [
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
        "error_details",
    ];
    let mut at = 0;
    for key in expected {
        let found = answer.text()[at..].find(&format!("\"{key}\":")).unwrap_or_else(|| panic!("{key}: {json}"));
        at += found;
    }
    assert_eq!(
        (&json["table"], &json["accepted"], &json["rejected_rows"]),
        (&json!("bronze.events"), &json!(2), &json!(1))
    );
    assert!(
        json["snapshot_id"].is_u64()
            && json["errors"][0].as_str().expect("text").starts_with("row 1, field 'amount': ")
    );
    assert_eq!(json["error_details"][0]["code"], json!("invalid_cast"));
    assert_eq!(json["warnings"], json!(["column 'plan' added as VARCHAR"]));
    assert_eq!(answer.header("x-request-id"), json["request_id"].as_str().expect("text"));
    let again = server.post("/v2/stream?table=bronze.events", "[{\"id\":4}]").await.json();
    assert_eq!((&again["snapshot_id"], &again["stream_id"]), (&Value::Null, &json["stream_id"]));
    assert_eq!(again["partitions"].as_array().map(Vec::len), Some(1));
    let none = server.post("/v2/stream?table=bronze.events", "[]").await.json();
    assert_eq!((&none["success"], &none["partitions"]), (&json!(true), &json!([])));
    assert_eq!(server.sql("SELECT count(*) FROM bronze.events").await[2], json!([3]));
}

#[tokio::test]
async fn stream_never_creates_and_says_what_is_missing() {
    // Proves the 404s, that a broken body comes before them, 405 with Allow, and the trailing and doubled slashes.
    let server = Harness::new();
    let missing = server.post("/v2/stream?table=nope.t", "[{}]").await;
    assert_eq!((missing.status, missing.json()["code"].clone()), (StatusCode::NOT_FOUND, json!("namespace_not_found")));
    let missing = server.post("//v2/stream/?table=main.t", "[{}]").await;
    assert_eq!((missing.status, missing.json()["code"].clone()), (StatusCode::NOT_FOUND, json!("table_not_found")));
    let broken = server.post("/v2/stream?table=nope.t", "[{").await;
    assert_eq!((broken.status, broken.json()["code"].clone()), (StatusCode::BAD_REQUEST, json!("invalid_json")));
    let json = broken.json();
    assert!(
        json["message"] == json["detail"]
            && json["errors"] == json!([json["message"]])
            && json["success"] == json!(false)
    );
    let wrong = server.send(Method::GET, "/v2/stream", &[], "").await;
    assert_eq!((wrong.status, wrong.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, "POST"));
    let wrong = server.send(Method::GET, "/append", &[], "").await;
    assert_eq!((wrong.status, wrong.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, "POST"));
    assert_eq!(server.send(Method::GET, "/nope", &[], "").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn query_errors_are_lines_or_statuses_by_format() {
    // Proves in-stream errors of the default format, 500 of the others, 400 for faults of the request, and the ids in headers.
    let server = Harness::new();
    let lines = server.sql("SELECT * FROM missing_table").await;
    assert_eq!(lines.len(), 2);
    assert!(lines[1]["error"].as_str().expect("a message").contains("missing_table"));
    let csv = server.post("/query", r#"{"statement":"SELECT * FROM missing_table","format":"csv"}"#).await;
    assert_eq!(csv.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(csv.text().contains("missing_table"));
    assert_eq!(server.post("/query", r#"{"statement":""}"#).await.status, StatusCode::BAD_REQUEST);
    let id = "0190b2f0-0000-7000-8000-000000000001";
    let body = format!(r#"{{"statement":"SELECT 1","query_id":"{id}","session_id":"s","format":"csv"}}"#);
    let answer = server.post("/query", &body).await;
    assert_eq!((answer.header("x-query-id"), answer.header("x-session-id")), (id, "s"));
    assert_eq!((answer.header("content-type"), answer.text().as_str()), ("text/csv", "1\n1\n"));
    let body = r#"{"statement":"SELECT i, i AS i FROM (VALUES (1),(2),(3)) t(i) ORDER BY 1","format":"jsonl","limit":1,"offset":1}"#;
    assert_eq!(server.post("/query", body).await.text(), "{\"i\":2,\"i_1\":2}\n");
}

#[tokio::test]
async fn operators_see_health_and_counters() {
    // Proves the three endpoints without credentials, and that counters count.
    let server = Harness::new();
    for path in ["/health", "/ready"] {
        assert_eq!(server.send(Method::GET, path, &[], "").await.status, StatusCode::OK);
    }
    server.append("t", "{\"a\":1}").await;
    let metrics = server.send(Method::GET, "/metrics", &[], "").await;
    assert!(metrics.header("content-type").starts_with("text/plain; version=0.0.4"));
    let text = metrics.text();
    assert!(text.contains("siltstone_http_requests_total{endpoint=\"append\",status=\"200\"} 1"), "{text}");
    assert!(text.contains("siltstone_rows_total ") && text.contains("le=\"+Inf\""), "{text}");
    let guarded = Harness::with(&Config { metrics_auth: true, ..config() });
    assert_eq!(guarded.send(Method::GET, "/metrics", &[], "").await.status, StatusCode::UNAUTHORIZED);
    let let_in = guarded.send(Method::GET, "/metrics", &[("authorization", "Bearer key")], "").await;
    assert_eq!(let_in.status, StatusCode::OK);
}

#[tokio::test]
async fn request_ids_are_echoed_or_made() {
    // Proves the header on every kind of answer, and that an unusable id is replaced.
    let server = Harness::new();
    for (sent, echoed) in [("abc-1", true), ("with blank", false), (&*"x".repeat(129), false)] {
        let answer = server.send(Method::GET, "/nope", &[("x-request-id", sent)], "").await;
        assert_eq!(answer.header("x-request-id") == sent, echoed, "{sent}");
        assert!(!answer.header("x-request-id").is_empty());
    }
    assert!(server.send(Method::GET, "/health", &[], "").await.header("x-request-id").starts_with("req_"));
}

#[tokio::test]
async fn bodies_are_bounded_and_decompressed_on_every_endpoint() {
    // Proves 413 in each dialect's shape, and that a gzip body is read.
    let limits = limits::BodyLimits { wire_bytes_max: 1000, decoded_bytes_max: 2000 };
    let server = Harness::with(&Config { append: limits, stream: limits, query_body: limits, ..config() });
    let big = format!("{{\"a\":\"{}\"}}", "x".repeat(1000));
    let append = server.append("t", &big).await;
    assert_eq!((append.status.as_u16(), append.json()["ok"].clone()), (413, json!(false)));
    let stream = server.post("/v2/stream?table=main.t", &big).await;
    assert_eq!((stream.status.as_u16(), stream.json()["code"].clone()), (413, json!("payload_too_large")));
    assert_eq!(server.post("/query", &big).await.status.as_u16(), 413);
    let bytes = zstd::encode_all(big.as_bytes(), 1).expect("memory");
    let headers = [("authorization", "Bearer key"), ("content-encoding", "zstd")];
    let path = "/append?catalog=LAKE&schema=main&table=t";
    let packed = server.send(Method::POST, path, &headers, bytes).await;
    assert_eq!(packed.json()["ok"], json!(true), "{}", packed.text());
    let bomb = zstd::encode_all(&vec![b' '; 5000][..], 1).expect("memory");
    assert_eq!(server.send(Method::POST, path, &headers, bomb).await.status.as_u16(), 413);
}

#[tokio::test]
async fn secrets_are_not_for_sql() {
    // Proves that no statement reads the stored hashes or the signing secret, or changes them.
    let server = Harness::new();
    for statement in [
        "SELECT * FROM system.main.secrets",
        "SELECT * FROM system.main.credentials",
        "CREATE TABLE leak AS SELECT * FROM system.main.secrets",
        "INSERT INTO system.main.secrets VALUES ('a', 'b')",
        "DROP TABLE system.main.secrets",
        "DROP DATABASE system",
    ] {
        let lines = server.sql(statement).await;
        assert!(lines.last().is_some_and(|line| line.get("error").is_some()), "{statement}: {lines:?}");
    }
}

#[tokio::test]
async fn idle_sessions_are_forgotten_with_their_transactions() {
    // Proves that a session with something to remember is kept, that one without is not, and that time drops both it and its transaction.
    let server = Harness::new();
    server.append("t", r#"{"a":1}"#).await;
    let ask = async |statement: &str| {
        let body = json!({ "statement": statement, "session_id": "idle" }).to_string();
        server.post("/query", &body).await.text().to_owned()
    };
    let sql = &server.app.state.sql;
    ask("SELECT 1").await;
    assert_eq!(sql.sessions(), 0);
    ask("BEGIN; INSERT INTO t VALUES (2)").await;
    assert_eq!(sql.sessions(), 1);
    sql.sessions.expire(Instant::now() + sessions::IDLE_MAX / 2);
    assert!(ask("SELECT count(*) FROM t").await.ends_with("[2]\n"));
    sql.sessions.expire(Instant::now() + sessions::IDLE_MAX);
    assert_eq!(sql.sessions(), 0);
    assert!(ask("COMMIT").await.contains("no transaction is active"));
    assert!(ask("SELECT count(*) FROM t").await.ends_with("[1]\n"));
}
