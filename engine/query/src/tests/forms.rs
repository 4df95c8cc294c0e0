//! DuckDB's forms of queries, and what loaders send.

use super::*;

async fn lake() -> Lake {
    let lake = Lake::new();
    lake.run("CREATE TABLE t (a INTEGER, b INTEGER, s VARCHAR); INSERT INTO t VALUES (1,2,'x'),(3,4,'y'),(5,6,NULL)")
        .await;
    lake.run("CREATE TABLE u (b INTEGER, a INTEGER, c DOUBLE); INSERT INTO u VALUES (2,1,0.5),(9,9,1.5)").await;
    lake
}

#[tokio::test]
async fn queries_may_begin_with_from() {
    // Wherever a query may stand, with all clauses but SELECT; aliases that are keywords do not mislead.
    let lake = lake().await;
    for (sql, rows) in [
        ("FROM t", vec!["1|2|x", "3|4|y", "5|6|NULL"]),
        ("FROM t WHERE a > 1", vec!["3|4|y", "5|6|NULL"]),
        ("FROM t AS x ORDER BY a DESC LIMIT 1", vec!["5|6|NULL"]),
        ("FROM t SELECT a WHERE a > 3", vec!["5"]),
        ("SELECT count(*) FROM (FROM t WHERE b < 5)", vec!["2"]),
        ("WITH x AS (FROM t WHERE a = 1), y AS (SELECT * FROM x) FROM y", vec!["1|2|x"]),
        ("FROM t WHERE a = 1 UNION ALL FROM t WHERE a = 5 ORDER BY a", vec!["1|2|x", "5|6|NULL"]),
        ("SELECT a FROM t WHERE a IN (FROM u SELECT a)", vec!["1"]),
        ("SELECT 1 AS name FROM t LIMIT 1", vec!["1"]),
        ("SELECT s AS all FROM t WHERE a = 1", vec!["x"]),
        ("SELECT extract(year FROM DATE '2024-05-06')", vec!["2024"]),
        ("FROM t JOIN u USING (a) SELECT c", vec!["0.5"]),
        ("FROM (VALUES (1), (2)) AS v(x) WHERE x > 1", vec!["2"]),
    ] {
        assert_eq!(lake.rows(sql).await, rows, "{sql}");
    }
    lake.run(
        "CREATE TABLE n AS FROM t WHERE a > 1; INSERT INTO n FROM t WHERE a = 1; INSERT INTO n (a) FROM u SELECT a",
    )
    .await;
    assert_eq!(lake.rows("SELECT a FROM n ORDER BY ALL").await, ["1", "1", "3", "5", "9"]);
    assert_eq!(lake.rows("DESCRIBE FROM u").await.len(), 3);
    lake.run("WITH k AS (SELECT 3 AS a) DELETE FROM n WHERE a IN (FROM k); DELETE FROM n WHERE a = 9").await;
    assert_eq!(lake.rows("SELECT a FROM n ORDER BY ALL").await, ["1", "1", "5"]);
    lake.run("UPDATE n SET b = u.b FROM u WHERE n.a = u.a").await;
    assert_eq!(lake.rows("SELECT count(*) FROM n WHERE b = 2").await, ["2"]);
}

#[tokio::test]
async fn semi_and_anti_joins_keep_the_left_side() {
    // With ON, USING and IS NOT DISTINCT FROM, over tables and subqueries; POSITIONAL is refused, not taken for an alias.
    let lake = lake().await;
    for (sql, rows) in [
        ("SELECT * FROM t SEMI JOIN u ON t.a = u.a", vec!["1|2|x"]),
        ("SELECT * FROM t ANTI JOIN u ON t.a = u.a", vec!["3|4|y", "5|6|NULL"]),
        ("SELECT * FROM t SEMI JOIN u USING (a)", vec!["1|2|x"]),
        (
            "SELECT count(*) FROM (SELECT a, s FROM t) AS loaded SEMI JOIN (SELECT 5 AS a, NULL AS s) AS x \
             ON loaded.a = x.a AND loaded.s IS NOT DISTINCT FROM x.s",
            vec!["1"],
        ),
        (
            "SELECT * FROM u JOIN (t ANTI JOIN u AS v ON t.a = v.a) ON u.b < t.b WHERE u.a = 1",
            vec!["2|1|0.5|3|4|y", "2|1|0.5|5|6|NULL"],
        ),
    ] {
        assert_eq!(lake.rows(sql).await, rows, "{sql}");
    }
    assert!(lake.error("SELECT * FROM t POSITIONAL JOIN u").await.message.starts_with("Not implemented Error"));
}

#[tokio::test]
async fn a_tables_wildcard_has_its_columns() {
    // By any part of its name, with or without an alias, of views and computed tables as well.
    let lake = lake().await;
    for (sql, rows) in [
        ("SELECT t.* FROM t WHERE a = 1", vec!["1|2|x"]),
        ("SELECT T.* FROM main.t WHERE a = 1", vec!["1|2|x"]),
        ("SELECT main.t.* FROM lake.main.t WHERE a = 1", vec!["1|2|x"]),
        ("SELECT u.*, t.s FROM t JOIN u ON t.a = u.a", vec!["2|1|0.5|x"]),
        ("SELECT x.* FROM t AS x WHERE a = 1", vec!["1|2|x"]),
        ("WITH t AS (SELECT 7 AS n) SELECT t.* FROM t", vec!["7"]),
        ("SELECT t.* EXCLUDE (a) FROM t WHERE a = 1", vec!["2|x"]),
        ("SELECT schemata.* EXCLUDE (catalog_name) FROM information_schema.schemata LIMIT 0", vec![]),
    ] {
        assert_eq!(lake.rows(sql).await, rows, "{sql}");
    }
    assert!(lake.error("SELECT x.* FROM t").await.message.starts_with("Binder Error"));
}

#[tokio::test]
async fn error_fails_only_where_it_is_reached() {
    // In a script it aborts the transaction; in the branch of a CASE that no row takes it does nothing.
    let lake = lake().await;
    let guard = |condition: &str| format!("SELECT CASE WHEN EXISTS ({condition}) THEN error('too many') ELSE TRUE END");
    assert_eq!(lake.rows(&guard("SELECT 1 FROM t WHERE a > 100")).await, ["true"]);
    let error = lake.error(&guard("SELECT 1 FROM t")).await;
    assert_eq!(error.message, "Invalid Input Error: too many");
    let script = format!("BEGIN; DELETE FROM t; {}; COMMIT", guard("SELECT 1 FROM u"));
    assert_eq!(lake.error(&script).await.message, "Invalid Input Error: too many");
    assert_eq!(lake.rows("SELECT count(*) FROM t").await, ["3"]);
    assert!(lake.error("SELECT error('x') FROM t").await.message.contains("Invalid Input Error: x"));
}

#[tokio::test]
async fn escaped_texts_are_texts() {
    // Line breaks, quotes and backslashes, in values and in conditions.
    let lake = lake().await;
    assert_eq!(lake.rows("SELECT E'a\\nb''c\\\\\\r'").await, ["a\nb'c\\\r"]);
    lake.run("INSERT INTO t VALUES (7, 8, E'{\"k\": \"it''s\\\\n\"}')").await;
    assert_eq!(lake.rows("SELECT s FROM t WHERE s = E'{\"k\": \"it''s\\\\n\"}'").await, ["{\"k\": \"it's\\n\"}"]);
}

#[tokio::test]
async fn forms_that_loaders_verify_with() {
    // dlt's and ibis's: DISTINCT over rows, FILTER, BY NAME, QUALIFY, typed NULLs, nested merges as one script.
    let lake = lake().await;
    for (sql, rows) in [
        ("SELECT count(DISTINCT row(a, s)) FILTER (WHERE a > 1), count(DISTINCT row(\"a\")) FROM t", vec!["2|3"]),
        ("SELECT a, b FROM t WHERE a = 1 UNION ALL BY NAME SELECT 7 AS b, 8 AS a ORDER BY a", vec!["1|2", "8|7"]),
        ("SELECT a FROM t QUALIFY row_number() OVER (PARTITION BY b % 2 ORDER BY a DESC) = 1", vec!["5"]),
        ("SELECT NULL::UUID, 12.3::DECIMAL(12,3), True, TRY_CAST('x' AS INTEGER)", vec!["NULL|12.300|true|NULL"]),
        ("SELECT \"t\".\"a\" AS \"a\" FROM \"LAKE\".\"main\".\"t\" WHERE FALSE", vec![]),
        ("SELECT a FROM t WHERE a NOT IN (SELECT a FROM u) ORDER BY a", vec!["3", "5"]),
        ("SELECT a FROM t WHERE (\"a\") IN (SELECT a FROM u)", vec!["1"]),
    ] {
        assert_eq!(lake.rows(sql).await, rows, "{sql}");
    }
    lake.run(
        "BEGIN TRANSACTION; \
         SELECT CASE WHEN EXISTS (SELECT a FROM t GROUP BY a HAVING count(*) > 1) THEN error('twice') ELSE TRUE END; \
         CREATE OR REPLACE TABLE staging AS SELECT a, b FROM t WHERE a = 3 UNION ALL BY NAME SELECT b, a FROM u; \
         DELETE FROM t AS s WHERE EXISTS (SELECT 1 FROM staging AS d WHERE d.a = s.a); \
         MERGE INTO t d USING (SELECT a, b, 'm' AS s FROM staging QUALIFY row_number() OVER (PARTITION BY a ORDER BY b) = 1) s \
         ON d.a = s.a WHEN MATCHED THEN UPDATE SET b = s.b WHEN NOT MATCHED THEN INSERT (a, b, s) VALUES (s.a, s.b, s.s); \
         DROP TABLE staging; COMMIT",
    )
    .await;
    assert_eq!(lake.rows("FROM t ORDER BY a").await, ["1|2|m", "3|4|m", "5|6|NULL", "9|9|m"]);
}
