//! Error texts and kinds.

use super::*;
use crate::QueryErrorKind;

#[tokio::test]
async fn errors_have_duckdbs_prefix_and_wording() {
    // What clients match on: the prefix and the first words.
    let lake = Lake::new();
    lake.run("CREATE TABLE t (a INTEGER, s VARCHAR); INSERT INTO t VALUES (1, 'x')").await;
    for (sql, start) in [
        ("SELECT * FROM x", "Catalog Error: Table with name x does not exist!"),
        ("SELECT * FROM nope.t", "Catalog Error: Table with name t does not exist!"),
        ("SELECT * FROM demo.main.t", "Catalog Error: Catalog \"demo\" does not exist!"),
        ("SELECT nope FROM t", "Binder Error: Referenced column \"nope\" not found in FROM clause!"),
        ("SELEC 1", "Parser Error: syntax error"),
        ("SELECT", "Parser Error: syntax error"),
        ("", "Parser Error: "),
        ("SELECT nope(a) FROM t", "Catalog Error: Scalar Function with name nope does not exist!"),
        ("SELECT CAST(s AS INTEGER) FROM t", "Conversion Error: Could not convert string 'x' to INT32"),
        ("SELECT 'x'::INTEGER", "Conversion Error: Could not convert string 'x' to INT32"),
        ("INSERT INTO t VALUES (1)", "Binder Error: table t has 2 columns but 1 values were supplied"),
        ("INSERT INTO t (a, b) VALUES (1, 2)", "Binder Error: Table \"t\" does not have a column with name \"b\""),
        ("CREATE TABLE u (a NOPE)", "Catalog Error: Type with name NOPE does not exist!"),
        ("CREATE TABLE nope.u (a INTEGER)", "Catalog Error: Schema with name nope does not exist!"),
        ("SELECT sum(s) FROM t", "Binder Error: "),
        ("SELECT a FROM t GROUP BY s", "Binder Error: "),
        ("SET nope = 1", "Catalog Error: unrecognized configuration parameter \"nope\""),
        ("SET TimeZone = 'Mars/Olympus'", "Not implemented Error: Unknown TimeZone"),
    ] {
        let error = lake.error(sql).await;
        assert!(error.message.starts_with(start), "{sql}: {error}");
        assert_eq!(error.kind, QueryErrorKind::User, "{sql}: {error}");
    }
}

#[tokio::test]
async fn statements_outside_the_list_never_run() {
    // Files, other engines' statements and those of later versions are refused by name.
    let lake = Lake::without_files();
    lake.run("CREATE TABLE t (a INTEGER)").await;
    for sql in [
        "UPDATE t SET a = 1 RETURNING a",
        "DELETE FROM t RETURNING *",
        "DELETE FROM t WHERE a = 1 ORDER BY a LIMIT 1",
        "EXPLAIN DELETE FROM t",
        "SAVEPOINT s",
        "CREATE UNIQUE INDEX i ON t (a)",
        "EXPLAIN INSERT INTO t VALUES (1)",
        "SELECT 1 INTO u",
        "WITH x AS (SELECT 1) (INSERT INTO t SELECT * FROM x) LIMIT 1",
        "INSERT INTO t VALUES (1) RETURNING a",
        "ATTACH 'x.db' AS x",
        "INSTALL httpfs",
    ] {
        let error = lake.error(sql).await;
        assert!(error.message.starts_with("Not implemented Error: "), "{sql}: {error}");
    }
    for sql in [
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM \"/etc/passwd\"",
        "SELECT * FROM read_csv('/etc/passwd')",
        "COPY t TO '/tmp/siltstone-never'",
        "COPY (SELECT 1) TO '/tmp/siltstone-never'",
        "COPY t FROM '/etc/passwd'",
        "CREATE EXTERNAL TABLE u STORED AS CSV LOCATION '/etc/passwd'",
    ] {
        let error = lake.error(sql).await;
        assert_eq!(error.kind, QueryErrorKind::User, "{sql}: {error}");
    }
    assert_eq!(lake.rows("SELECT count(*) FROM t").await, ["0"]);
}

#[tokio::test]
async fn deep_nesting_is_an_error_not_a_crash() {
    // Parentheses, subqueries and long operator chains neither overflow the stack nor hang.
    let lake = Lake::new();
    let nested =
        |open: &str, close: &str, depth: usize| format!("SELECT {}1{}", open.repeat(depth), close.repeat(depth));
    for sql in [
        nested("(", ")", 10_000),
        nested("[", "]", 10_000),
        nested("abs(", ")", 10_000),
        nested("CASE WHEN true THEN ", " END", 10_000),
        format!("{}SELECT 1{}", "SELECT * FROM (".repeat(2_000), ")".repeat(2_000)),
        format!("SELECT {} true", "NOT ".repeat(10_000)),
        format!("SELECT {}1", "- ".repeat(10_000)),
        format!("SELECT 1{}", " + 1".repeat(50_000)),
        format!("SELECT 1{}", "::BIGINT".repeat(50_000)),
        format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(20_000)),
        format!("SELECT 1 WHERE true{}", " AND true".repeat(50_000)),
    ] {
        let error = lake.error(&sql).await;
        assert!(error.message.starts_with("Parser Error"), "{}: {error}", &sql[..40]);
    }
    assert_eq!(lake.rows(&nested("(", ")", 20)).await, ["1"]);
    assert_eq!(lake.rows(&format!("SELECT 1{}", " + 1".repeat(300))).await, ["301"]);
    assert_eq!(
        lake.rows(&format!("SELECT count(*) FROM (SELECT 1{})", " UNION ALL SELECT 1".repeat(100))).await,
        ["101"]
    );
    let list = (0..20_000).map(|i| i.to_string()).collect::<Vec<_>>().join(", ");
    assert_eq!(lake.rows(&format!("SELECT 7 IN ({list})")).await, ["true"]);
}

#[tokio::test]
async fn a_query_beyond_the_memory_budget_is_exhausted() {
    // It fails with the kind that means "try later", and the engine goes on.
    let lake = Lake::with_memory(4 << 20);
    let error = lake
        .error("SELECT count(*) FROM generate_series(1, 2000000) AS a(x) JOIN generate_series(1, 2000000) AS b(y) ON x = y")
        .await;
    assert_eq!(error.kind, QueryErrorKind::Exhausted, "{error}");
    assert_eq!(lake.rows("SELECT 1").await, ["1"]);
}

#[tokio::test]
async fn a_closed_engine_is_unavailable_for_writes() {
    // The kind tells a client that trying elsewhere or later may help; reads go on.
    let lake = Lake::new();
    lake.run("CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1)").await;
    lake.engine.close().unwrap();
    assert_eq!(lake.error("INSERT INTO t VALUES (2)").await.kind, QueryErrorKind::Unavailable);
    assert_eq!(lake.rows("SELECT a FROM t").await, ["1"]);
}
