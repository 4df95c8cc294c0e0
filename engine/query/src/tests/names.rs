//! Names: case, quoting, qualification, result column names, the catalogs.

use super::*;

#[tokio::test]
async fn names_match_without_regard_to_case() {
    // Quoted or not, of columns, tables, schemas, aliases and CTEs; results keep the stored spelling.
    let lake = Lake::new();
    lake.run("CREATE TABLE \"Events\" (\"userId\" INTEGER, Amount DOUBLE, \"order\" VARCHAR)").await;
    lake.run("INSERT INTO EVENTS (USERID, \"amount\", \"Order\") VALUES (1, 2.5, 'a'), (2, 3.5, 'b')").await;
    for (sql, name, rows) in [
        ("SELECT UserId FROM events ORDER BY USERID", "userId", vec!["1", "2"]),
        ("SELECT \"USERID\" FROM \"EVENTS\" WHERE \"AMOUNT\" > 3", "userId", vec!["2"]),
        ("SELECT e.userid FROM Lake.MAIN.Events E WHERE E.Amount < 3", "userId", vec!["1"]),
        ("SELECT Events.userid FROM events WHERE EVENTS.amount < 3", "userId", vec!["1"]),
        ("SELECT main.events.userid FROM main.events LIMIT 1", "userId", vec!["1"]),
        ("WITH C AS (SELECT userid AS Uid FROM events) SELECT UID FROM c ORDER BY uid DESC", "Uid", vec!["2", "1"]),
        ("SELECT userid AS \"UserID\" FROM events WHERE userID = 1", "UserID", vec!["1"]),
        ("SELECT a.userid FROM events A JOIN EVENTS b USING (UserId) ORDER BY 1", "userId", vec!["1", "2"]),
        ("SELECT max(USERID) AS Top FROM events ORDER BY TOP", "Top", vec!["2"]),
        ("FROM events SELECT userid ORDER BY 1", "userId", vec!["1", "2"]),
    ] {
        let answer = lake.run(sql).await;
        assert_eq!(answer.names()[0], name, "{sql}");
        assert_eq!(answer.rows(), rows, "{sql}");
    }
    assert_eq!(lake.run("SELECT * FROM EVENTS").await.names(), ["userId", "Amount", "order"]);
}

#[tokio::test]
async fn two_spellings_of_one_name_join() {
    // Tables that spell a common column differently can be used in one statement.
    let lake = Lake::new();
    lake.run("CREATE TABLE a (\"userId\" INTEGER, x INTEGER); CREATE TABLE b (userid INTEGER, y INTEGER)").await;
    lake.run("INSERT INTO a VALUES (1, 10), (2, 20); INSERT INTO b VALUES (2, 200)").await;
    assert_eq!(lake.rows("SELECT a.USERID, x, y FROM a, b WHERE a.userid = b.userId").await, ["2|20|200"]);
}

#[tokio::test]
async fn result_columns_are_named_as_duckdb_names_them() {
    // Duplicates stay, expressions get DuckDB's text.
    let lake = Lake::new();
    lake.run("CREATE TABLE t (a INTEGER, b INTEGER); INSERT INTO t VALUES (1, 2)").await;
    for (sql, names) in [
        ("SELECT 1", vec!["1"]),
        ("SELECT 1, 1, a, a FROM t", vec!["1", "1", "a", "a"]),
        (
            "SELECT count(*), COUNT(*), sum(a), count(DISTINCT b) FROM t",
            vec!["count_star()", "count_star()", "sum(a)", "count(DISTINCT b)"],
        ),
        ("SELECT a + b, -a, a::BIGINT FROM t", vec!["(a + b)", "-a", "CAST(a AS BIGINT)"]),
        ("SELECT *, a FROM t", vec!["a", "b", "a"]),
        ("SELECT a AS x, * FROM t", vec!["x", "a", "b"]),
        ("SELECT x.a, y.a FROM t x, t y", vec!["a", "a"]),
        ("SELECT 1 UNION ALL SELECT 2", vec!["1"]),
        ("SELECT 'it''s'", vec!["'it''s'"]),
        ("VALUES (1, 2)", vec!["col0", "col1"]),
        ("SELECT a, a FROM t ORDER BY a", vec!["a", "a"]),
        ("SELECT version()", vec!["version()"]),
    ] {
        assert_eq!(lake.run(sql).await.names(), names, "{sql}");
    }
}

#[tokio::test]
async fn several_subqueries_may_be_selected() {
    // DataFusion gives every subquery the same name; a SELECT of two must not be refused for it.
    let lake = Lake::new();
    lake.run("CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1), (2)").await;
    assert_eq!(
        lake.rows("SELECT (SELECT count(*) FROM t), (SELECT max(a) + 5 FROM t), (SELECT count(*) FROM t)").await,
        ["2|7|2"]
    );
}

#[tokio::test]
async fn information_schema_describes_the_snapshot() {
    // Stored spellings, DuckDB's type names, positions from 1, upper-case catalog.
    let lake = Lake::new();
    lake.run(
        "CREATE TABLE \"Events\" (\"userId\" INTEGER NOT NULL DEFAULT 3, at TIMESTAMPTZ, tags VARCHAR[], doc JSON)",
    )
    .await;
    assert_eq!(
        lake.rows("SELECT * EXCLUDE (is_insertable_into, is_typed, table_comment) FROM information_schema.tables WHERE TABLE_NAME = 'Events'").await,
        ["LAKE|main|Events|BASE TABLE"]
    );
    assert_eq!(
        lake.rows(
            "SELECT column_name, ordinal_position, data_type, is_nullable, column_default FROM lake.INFORMATION_SCHEMA.columns \
             WHERE table_name = 'Events' ORDER BY ordinal_position"
        )
        .await,
        [
            "userId|1|INTEGER|NO|3",
            "at|2|TIMESTAMP WITH TIME ZONE|YES|NULL",
            "tags|3|VARCHAR[]|YES|NULL",
            "doc|4|JSON|YES|NULL"
        ]
    );
    assert_eq!(
        lake.rows("SELECT DISTINCT catalog_name FROM information_schema.schemata ORDER BY 1").await,
        ["LAKE", "system"]
    );
    let described = lake.run("DESCRIBE events").await;
    assert_eq!(described.names(), ["column_name", "column_type", "null", "key", "default", "extra"]);
    assert_eq!(described.rows()[0], "userId|INTEGER|NO|NULL|3|NULL");
    assert_eq!(lake.rows("DESCRIBE SELECT count(*) AS n, max(at) FROM events").await[0], "n|BIGINT|YES|NULL|NULL|NULL");
    assert_eq!(lake.rows("SHOW TABLES").await, ["Events"]);
}

#[tokio::test]
async fn unqualified_names_live_in_the_requests_database_and_schema() {
    // Per request, and by USE and SET within it.
    let lake = Lake::new();
    lake.run("CREATE DATABASE other; CREATE SCHEMA other.raw; CREATE TABLE other.raw.t AS SELECT 5 AS a").await;
    let settings =
        SessionSettings { database: Some("OTHER".into()), schema: Some("RAW".into()), ..SessionSettings::default() };
    assert_eq!(
        lake.run_with("SELECT a, current_database(), current_schema() FROM t", settings).await.unwrap().rows(),
        ["5|other|raw"]
    );
    assert_eq!(lake.rows("USE other.raw; SELECT a FROM t").await, ["5"]);
    assert_eq!(lake.rows("USE other; SET schema = 'raw'; SELECT current_catalog() FROM t").await, ["other"]);
    assert!(lake.error("SELECT a FROM t").await.message.starts_with("Catalog Error"));
    let missing = SessionSettings { database: Some("nope".into()), ..SessionSettings::default() };
    assert!(lake.run_with("SELECT 1", missing).await.unwrap_err().message.contains("Catalog \"nope\" does not exist"));
}
