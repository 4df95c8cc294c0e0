//! Temporary tables and attached databases.

use super::*;
use crate::SqlSession;

async fn rows(session: &mut SqlSession, sql: &str) -> Result<Vec<String>, QueryError> {
    let mut output = session.run(sql, SessionSettings::default()).await?;
    let mut batches = Vec::new();
    while let Some(batch) = output.batches.next().await {
        batches.push(batch?);
    }
    Ok(Answer { schema: output.schema, kind: output.kind, batches }.rows())
}

#[tokio::test]
async fn a_temporary_table_is_a_table_of_its_session() {
    // Every statement works on it, under each of its names; no other session sees it, and the catalog shows it as DuckDB does.
    let lake = Lake::new();
    let (mut one, mut two) = (lake.query.session(), lake.query.session());
    assert!(one.is_pristine());
    rows(&mut one, "CREATE TEMP TABLE t (id INTEGER PRIMARY KEY, v VARCHAR DEFAULT 'd')").await.unwrap();
    assert!(!one.is_pristine());
    rows(&mut one, "INSERT INTO t (id) VALUES (1), (2); UPDATE temp.t SET v = 'x' WHERE id = 2").await.unwrap();
    rows(&mut one, "DELETE FROM temp.main.t WHERE id = 1; INSERT INTO t VALUES (3, 'y') ON CONFLICT DO NOTHING")
        .await
        .unwrap();
    rows(&mut one, "ALTER TABLE t ADD COLUMN more INTEGER; COMMENT ON TABLE t IS 'mine'").await.unwrap();
    for name in ["t", "T", "temp.t", "TEMP.main.T"] {
        let sql = format!("SELECT t.* FROM {name} ORDER BY id");
        assert_eq!(rows(&mut one, &sql).await.unwrap(), ["2|x|NULL", "3|y|NULL"], "{name}");
        assert!(rows(&mut two, &sql).await.unwrap_err().message.contains("does not exist"), "{name}");
    }
    let shown = "SELECT table_catalog, table_schema, table_name, table_type FROM information_schema.tables WHERE table_name = 't'";
    assert_eq!(rows(&mut one, shown).await.unwrap(), ["temp|main|t|LOCAL TEMPORARY"]);
    assert_eq!(rows(&mut two, shown).await.unwrap(), Vec::<String>::new());
    let shown = "SELECT database_name, table_name, temporary, comment FROM duckdb_tables() WHERE temporary";
    assert_eq!(rows(&mut one, shown).await.unwrap(), ["temp|t|true|mine"]);
    assert_eq!(rows(&mut one, "SHOW TABLES").await.unwrap(), ["t"]);
    assert_eq!(rows(&mut one, "SHOW DATABASES").await.unwrap(), ["temp", "LAKE", "system"]);
    assert_eq!(rows(&mut two, "SHOW DATABASES").await.unwrap(), ["LAKE", "system"]);
    assert_eq!(rows(&mut one, "SELECT name FROM pragma_table_info('t')").await.unwrap(), ["id", "v", "more"]);
    rows(&mut two, "CREATE TEMP TABLE t AS SELECT 'other' AS a").await.unwrap();
    assert_eq!(rows(&mut two, "FROM t").await.unwrap(), ["other"]);
    assert_eq!(rows(&mut one, "SELECT count(*) FROM t").await.unwrap(), ["2"]);
    rows(&mut one, "DROP TABLE t").await.unwrap();
    assert!(one.is_pristine());
    assert_eq!(rows(&mut two, "FROM t").await.unwrap(), ["other"]);
}

#[tokio::test]
async fn a_temporary_table_hides_one_of_its_name() {
    // In every statement but those that name the other in full; views and other sessions see the stored one.
    let lake = Lake::new();
    lake.run("CREATE TABLE t AS SELECT 'stored' AS a; CREATE VIEW v AS SELECT a FROM t").await;
    let mut session = lake.query.session();
    rows(&mut session, "CREATE TEMP TABLE t AS SELECT 'own' AS a").await.unwrap();
    assert_eq!(rows(&mut session, "SELECT t.a, (SELECT a FROM lake.main.t) FROM t").await.unwrap(), ["own|stored"]);
    assert_eq!(rows(&mut session, "FROM v").await.unwrap(), ["stored"]);
    rows(&mut session, "CREATE OR REPLACE TEMP TABLE t AS SELECT a || '!' AS a FROM t").await.unwrap();
    assert_eq!(rows(&mut session, "FROM t").await.unwrap(), ["own!"]);
    rows(&mut session, "CREATE TEMP TABLE IF NOT EXISTS t (x INTEGER)").await.unwrap();
    let error = rows(&mut session, "CREATE TEMP TABLE t (x INTEGER)").await.unwrap_err();
    assert!(error.message.contains("already exists"), "{error}");
    let error = rows(&mut session, "CREATE TEMP TABLE lake.main.x (x INTEGER)").await.unwrap_err();
    assert!(error.message.starts_with("Parser Error: TEMPORARY table names"), "{error}");
    rows(&mut session, "CREATE TABLE temp.made (x INTEGER)").await.unwrap();
    assert!(lake.error("FROM made").await.message.contains("does not exist"));
    let error = rows(&mut session, "CREATE VIEW w AS FROM made").await.unwrap_err();
    assert!(error.message.contains("does not exist"), "{error}");
    rows(&mut session, "DROP TABLE t").await.unwrap();
    assert_eq!(rows(&mut session, "FROM t").await.unwrap(), ["stored"]);
}

#[tokio::test]
async fn temporary_tables_go_with_their_session_and_their_transaction() {
    // ROLLBACK takes one back; the end of a session drops all; one request may make and read one.
    let lake = Lake::new();
    assert_eq!(lake.rows("CREATE TEMP TABLE t AS FROM range(3); SELECT count(*) FROM t").await, ["3"]);
    let mut session = lake.query.session();
    rows(&mut session, "BEGIN; CREATE TEMP TABLE t (a INTEGER); INSERT INTO t VALUES (1); ROLLBACK").await.unwrap();
    assert!(rows(&mut session, "FROM t").await.unwrap_err().message.contains("does not exist"));
    rows(&mut session, "BEGIN; CREATE TEMP TABLE t (a INTEGER); INSERT INTO t VALUES (1); COMMIT").await.unwrap();
    assert_eq!(rows(&mut session, "FROM t").await.unwrap(), ["1"]);
    drop(session);
    // The drop is under way; what comes after it is committed after it.
    lake.run("CREATE TABLE after (a INTEGER)").await;
    let snapshot = lake.engine.snapshot();
    let names: Vec<&str> = snapshot.catalog().databases().map(|database| database.name()).collect();
    assert_eq!(names, ["LAKE", "system"]);
}

#[tokio::test]
async fn attached_databases_last_until_they_are_detached_or_the_next_start() {
    // Seen by all sessions and used like any other; a new start drops them and what sessions left, but not what was created.
    let lake = Lake::new();
    lake.run("ATTACH ':memory:' AS x; CREATE TABLE x.main.t AS SELECT 1 AS a; CREATE SCHEMA x.s; CREATE DATABASE kept")
        .await;
    assert_eq!(lake.rows("USE x; FROM t").await, ["1"]);
    assert_eq!(lake.rows("SELECT a FROM x.t").await, ["1"]);
    let listed = "SELECT database_name, type FROM duckdb_databases() WHERE NOT internal ORDER BY 1";
    assert_eq!(lake.rows(listed).await, ["LAKE|ducklake", "kept|ducklake", "x|ducklake"]);
    lake.run(
        "ATTACH IF NOT EXISTS ':memory:' AS X; ATTACH ':memory:'; DETACH memory; DETACH DATABASE IF EXISTS memory",
    )
    .await;
    for (sql, expected) in [
        ("ATTACH ':memory:' AS x", "Binder Error: Failed to attach database: database with name \"x\" already exists"),
        ("ATTACH 'file.db' AS y", "Not implemented Error: only ':memory:' can be attached"),
        ("ATTACH ':memory:' AS y (READ_ONLY)", "Not implemented Error: only ':memory:' can be attached"),
        ("ATTACH ':memory:' AS temp", "Binder Error: the database name \"temp\" is reserved"),
        ("CREATE DATABASE \"__temp_1\"", "Binder Error: the database name \"__temp_1\" is reserved"),
        ("DETACH nothing", "Binder Error: Failed to detach database with name \"nothing\": database not found"),
        ("DETACH \"__attached_x\"", "Binder Error: Failed to detach database"),
        ("DETACH kept", "Binder Error: Cannot detach database \"kept\": it was not attached"),
        ("USE x; DETACH x", "Binder Error: Cannot detach database \"x\" which is the default database"),
        ("FROM \"__attached_x\".main.t", "Catalog Error"),
    ] {
        let error = lake.error(sql).await;
        assert!(error.message.starts_with(expected), "{sql}: {error}");
    }
    let reading = SessionSettings { read_only: true, ..SessionSettings::default() };
    lake.run_with("ATTACH ':memory:' AS y", reading).await.unwrap_err();
    lake.run("ATTACH ':memory:' AS gone; DROP DATABASE gone; CREATE DATABASE gone; DROP DATABASE gone").await;
    let mut session = lake.query.session();
    rows(&mut session, "CREATE TEMP TABLE t (a INTEGER)").await.unwrap();
    let again = lake.restarted();
    let names = "SELECT string_agg(database_name, ' ' ORDER BY database_name) FROM duckdb_databases()";
    let mut after = again.session();
    assert_eq!(rows(&mut after, names).await.unwrap(), ["LAKE kept system"]);
    assert!(rows(&mut session, "FROM t").await.unwrap_err().message.contains("does not exist"));
}
