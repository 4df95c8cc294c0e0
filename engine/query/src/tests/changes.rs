//! DDL and INSERT.

use super::*;

#[tokio::test]
async fn every_type_comes_back_as_it_went_in() {
    // Each column type keeps its value through INSERT, SELECT and a flush to a segment.
    let lake = Lake::new();
    lake.run(
        "CREATE TABLE t (a BOOLEAN, b TINYINT, c SMALLINT, d INTEGER, e BIGINT, f UTINYINT, g USMALLINT, h UINTEGER, \
         i UBIGINT, j REAL, k DOUBLE, l DECIMAL(10,2), m VARCHAR, n BLOB, o DATE, p TIME, q TIMESTAMP, r TIMESTAMPTZ, \
         s UUID, u JSON, v INTEGER[], w STRUCT(x INTEGER, y VARCHAR))",
    )
    .await;
    lake.run(
        "INSERT INTO t VALUES (true, -1, -2, -3, -4, 1, 2, 3, 18446744073709551615, 1.5, 2.25, 12345678.91, 'text', 'ab', \
         '2024-02-29', '13:45:01.5', '2024-01-15T12:00:00', '2024-01-15T12:00:00+01:00', \
         'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '{\"k\": [1]}', [1, 2], {'x': 7, 'y': 'z'})",
    )
    .await;
    let expected = "true|-1|-2|-3|-4|1|2|3|18446744073709551615|1.5|2.25|12345678.91|text|6162|2024-02-29|13:45:01.500|\
                    2024-01-15T12:00:00|2024-01-15T11:00:00Z|a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11|{\"k\": [1]}|[1, 2]|{x: 7, y: z}";
    assert_eq!(lake.rows("SELECT * FROM t").await, [expected]);
    lake.engine.flush().unwrap();
    let answer = lake.run("SELECT * FROM t").await;
    assert_eq!(answer.rows(), [expected]);
    let types = answer.types();
    assert_eq!(types[11], "DECIMAL(10,2)");
    assert_eq!(types[17..], ["TIMESTAMP WITH TIME ZONE", "UUID", "JSON", "INTEGER[]", "STRUCT(x INTEGER, y VARCHAR)"]);
}

#[tokio::test]
async fn insert_casts_rounds_and_fills_defaults() {
    // Fractions round, text is parsed, columns not named get their default.
    let lake = Lake::new();
    lake.run("CREATE TABLE t (a INTEGER, b VARCHAR DEFAULT 'none', c BIGINT NOT NULL DEFAULT 7, d DATE)").await;
    let answer = lake.run("INSERT INTO t (D, a) VALUES ('2024-01-31', 2.5), (NULL, -2.5)").await;
    assert_eq!((answer.kind, answer.names(), answer.rows()), (OutputKind::Count, vec!["Count"], vec!["2".to_owned()]));
    lake.run("INSERT INTO t (a) VALUES ('42')").await;
    assert_eq!(
        lake.rows("SELECT * FROM t ORDER BY a").await,
        ["-3|none|7|NULL", "3|none|7|2024-01-31", "42|none|7|NULL"]
    );
    lake.run("INSERT INTO t DEFAULT VALUES").await;
    assert_eq!(lake.rows("SELECT count(*) FROM t WHERE a IS NULL AND b = 'none'").await, ["1"]);
}

#[tokio::test]
async fn create_table_as_is_one_commit() {
    // The table and its rows appear together; names and types come from the query.
    let lake = Lake::new();
    let before = lake.engine.snapshot().id();
    let answer = lake
        .run("CREATE TABLE t AS SELECT value AS n, value % 3 AS \"Rest\" FROM generate_series(1, 100000) AS s(value)")
        .await;
    assert_eq!((answer.kind, answer.rows()), (OutputKind::Count, vec!["100000".to_owned()]));
    assert_eq!(lake.engine.snapshot().id().0, before.0 + 1);
    assert_eq!(lake.rows("SELECT count(*), sum(n), max(rest) FROM t").await, ["100000|5000050000|2"]);
    let error = lake.error("CREATE TABLE t (a INTEGER)").await;
    assert_eq!(error.message, "Catalog Error: Table with name \"t\" already exists!");
    lake.run("CREATE TABLE IF NOT EXISTS t AS SELECT 1").await;
    lake.run("CREATE OR REPLACE TABLE t AS SELECT 5 AS n, 6 AS n").await;
    let replaced = lake.run("SELECT * FROM t").await;
    assert_eq!((replaced.names(), replaced.rows()), (vec!["n", "n_1"], vec!["5|6".to_owned()]));
}

#[tokio::test]
async fn schemas_and_databases_come_and_go() {
    // CREATE and DROP of each kind, with IF [NOT] EXISTS and CASCADE.
    let lake = Lake::new();
    let created = lake.run("CREATE DATABASE Demo").await;
    assert_eq!((created.kind, created.names(), created.rows().len()), (OutputKind::Nothing, vec!["Count"], 0));
    lake.run("CREATE SCHEMA demo.Raw; CREATE SCHEMA IF NOT EXISTS DEMO.raw; CREATE TABLE demo.raw.T (a INTEGER)").await;
    lake.run("INSERT INTO DEMO.RAW.t VALUES (1)").await;
    assert_eq!(
        lake.rows("SELECT table_catalog, table_schema, table_name FROM information_schema.tables").await,
        ["Demo|Raw|T"]
    );
    assert!(lake.error("DROP SCHEMA demo.raw").await.message.starts_with("Dependency Error"));
    lake.run("DROP SCHEMA demo.raw CASCADE; DROP SCHEMA IF EXISTS demo.raw; DROP TABLE IF EXISTS demo.raw.t").await;
    lake.run("CREATE TABLE demo.t (a INTEGER); DROP TABLE demo.t").await;
    lake.run("DROP DATABASE demo").await;
    assert!(lake.error("SELECT * FROM demo.main.t").await.message.contains("Catalog \"demo\" does not exist"));
    lake.run("DROP DATABASE IF EXISTS demo").await;
    assert!(lake.error("DROP DATABASE lake").await.message.starts_with("Binder Error"));
}

#[tokio::test]
async fn a_table_named_in_full_brings_its_schema() {
    // In the same commit, with or without AS; a failing query leaves no schema; other names need an existing one.
    let lake = Lake::new();
    let before = lake.engine.snapshot().id();
    lake.run("CREATE OR REPLACE TABLE LAKE.Fresh.t AS SELECT 1 AS a").await;
    assert_eq!(lake.engine.snapshot().id().0, before.0 + 1);
    lake.run("CREATE TABLE IF NOT EXISTS lake.other.t (a INTEGER); CREATE TABLE lake.FRESH.u (a INTEGER)").await;
    assert_eq!(
        lake.rows("SELECT table_schema, table_name FROM information_schema.tables ORDER BY ALL").await,
        ["Fresh|t", "Fresh|u", "other|t"]
    );
    lake.error("CREATE TABLE lake.third.t AS SELECT CAST(a AS DATE) FROM (VALUES ('x')) AS v(a)").await;
    for (sql, message) in [
        ("CREATE TABLE third.t (a INTEGER)", "Catalog Error: Schema with name third does not exist!"),
        ("CREATE TABLE nope.third.t (a INTEGER)", "Catalog Error: Catalog \"nope\" does not exist!"),
        ("CREATE TABLE lake.Information_Schema.t (a INTEGER)", "Binder Error: information_schema cannot be changed"),
    ] {
        assert_eq!(lake.error(sql).await.message, message, "{sql}");
    }
    assert!(lake.error("CREATE TABLE system.third.t (a INTEGER)").await.message.contains("read-only"));
    assert_eq!(lake.rows("SELECT count(*) FROM information_schema.schemata WHERE schema_name = 'third'").await, ["0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_one_new_schema_can_be_made_at_once() {
    // Whoever comes second finds the schema there.
    let lake = Arc::new(Lake::new());
    let tasks = (0..4).map(|i| {
        let lake = Arc::clone(&lake);
        tokio::spawn(async move { lake.run(&format!("CREATE TABLE lake.fresh.t{i} AS SELECT {i} AS a")).await })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(lake.rows("SELECT count(*) FROM information_schema.tables").await, ["4"]);
}

#[tokio::test]
async fn alter_table_changes_names_and_columns_without_touching_rows() {
    // Added columns show their default in old rows; dropped and renamed ones follow; the table itself is renamed.
    let lake = Lake::new();
    lake.run("CREATE TABLE t (a INTEGER, b VARCHAR); INSERT INTO t VALUES (1, 'x')").await;
    lake.run("ALTER TABLE t ADD COLUMN c BIGINT DEFAULT 9; ALTER TABLE t ADD COLUMN IF NOT EXISTS C BIGINT").await;
    lake.run("ALTER TABLE t RENAME COLUMN A TO \"Id\"; ALTER TABLE t DROP COLUMN b; ALTER TABLE t RENAME TO u").await;
    let answer = lake.run("SELECT * FROM u").await;
    assert_eq!((answer.names(), answer.rows()), (vec!["Id", "c"], vec!["1|9".to_owned()]));
    assert!(lake.error("ALTER TABLE u DROP COLUMN nope").await.message.starts_with("Binder Error"));
    assert!(
        lake.error("ALTER TABLE u ADD COLUMN d INTEGER NOT NULL").await.message.starts_with("Not implemented Error")
    );
    lake.run("ALTER TABLE IF EXISTS nope ADD COLUMN x INTEGER").await;
}

#[tokio::test]
async fn writers_are_refused_where_only_reading_is_allowed() {
    // Neither a read-only database nor a read-only session changes.
    let lake = Lake::new();
    assert!(lake.error("CREATE TABLE system.main.t (a INTEGER)").await.message.contains("read-only"));
    assert!(lake.error("DROP DATABASE SYSTEM").await.message.contains("read-only"));
    lake.run("CREATE TABLE t (a INTEGER)").await;
    let settings = SessionSettings { read_only: true, ..SessionSettings::default() };
    for sql in ["INSERT INTO t VALUES (1)", "DROP TABLE t", "CREATE SCHEMA s", "ALTER TABLE t RENAME TO u"] {
        let error = lake.run_with(sql, settings.clone()).await.unwrap_err();
        assert!(error.message.contains("read-only"), "{sql}: {error}");
    }
    assert_eq!(lake.run_with("SELECT count(*) FROM t", settings).await.unwrap().rows(), ["0"]);
}

#[tokio::test]
async fn a_statement_that_fails_leaves_nothing_behind() {
    // One bad row refuses all rows; statements before it in the text stay.
    let lake = Lake::new();
    lake.run("CREATE TABLE t (a INTEGER NOT NULL)").await;
    let error = lake.error("INSERT INTO t VALUES (1); INSERT INTO t VALUES (2), ('x')").await;
    assert!(error.message.starts_with("Conversion Error: Could not convert string 'x' to INT"), "{error}");
    let error = lake
        .error("INSERT INTO t SELECT CASE WHEN value = 50000 THEN NULL ELSE 1 END FROM generate_series(1, 50000) AS s(value)")
        .await;
    assert_eq!(error.message, "Constraint Error: NOT NULL constraint failed: a");
    assert_eq!(lake.rows("SELECT a FROM t").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_changes_of_one_table_all_succeed() {
    // Conflicting ALTERs are decided again on the newer catalog; inserts go on beside them.
    let lake = Arc::new(Lake::new());
    lake.run("CREATE TABLE t (a INTEGER)").await;
    let tasks = (0..8).map(|i| {
        let lake = Arc::clone(&lake);
        tokio::spawn(async move {
            lake.run(&format!("ALTER TABLE t ADD COLUMN c{i} INTEGER")).await;
            lake.run("INSERT INTO t (a) VALUES (1)").await;
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let answer = lake.run("SELECT * FROM t").await;
    assert_eq!((answer.names().len(), answer.rows().len()), (9, 8));
}
