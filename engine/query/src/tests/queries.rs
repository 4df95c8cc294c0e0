//! What SELECT means: aggregates, joins, DuckDB's arithmetic and order, time travel.

use super::*;

async fn sales() -> Lake {
    let lake = Lake::new();
    lake.run("CREATE TABLE sales (id INTEGER, region VARCHAR, amount DOUBLE); CREATE TABLE regions (name VARCHAR, boss VARCHAR)").await;
    lake.run("INSERT INTO sales VALUES (1, 'north', 10), (2, 'south', 20), (3, 'north', 5), (4, NULL, 1)").await;
    lake.run("INSERT INTO regions VALUES ('north', 'Ann'), ('south', 'Bob'), ('west', 'Cid')").await;
    lake
}

#[tokio::test]
async fn aggregates_joins_and_windows() {
    // The usual SQL, over stored tables.
    let lake = sales().await;
    for (sql, rows) in [
        (
            "SELECT region, count(*), sum(amount) FROM sales GROUP BY region ORDER BY region",
            vec!["north|2|15.0", "south|1|20.0", "NULL|1|1.0"],
        ),
        ("SELECT region, count(*) FROM sales GROUP BY ALL HAVING count(*) > 1", vec!["north|2"]),
        (
            "SELECT boss, sum(amount) FROM sales JOIN regions ON region = name GROUP BY boss ORDER BY 1",
            vec!["Ann|15.0", "Bob|20.0"],
        ),
        ("SELECT name FROM regions LEFT JOIN sales ON name = region WHERE id IS NULL", vec!["west"]),
        (
            "SELECT id FROM sales WHERE region IN (SELECT name FROM regions WHERE boss = 'Ann') ORDER BY id DESC",
            vec!["3", "1"],
        ),
        (
            "SELECT id, row_number() OVER (PARTITION BY region ORDER BY id) FROM sales WHERE region = 'north' ORDER BY id",
            vec!["1|1", "3|2"],
        ),
        ("SELECT count(*) FILTER (WHERE amount > 5) FROM sales", vec!["2"]),
        ("SELECT DISTINCT region FROM sales WHERE region IS NOT NULL ORDER BY 1", vec!["north", "south"]),
        (
            "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT sum(i) FROM n",
            vec!["15"],
        ),
        (
            "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT n.i + 1 FROM n JOIN sales ON sales.id = n.i) SELECT max(i) FROM n",
            vec!["5"],
        ),
        ("SELECT id FROM sales ORDER BY amount LIMIT 1 OFFSET 1", vec!["3"]),
        ("SELECT unnest([1, 2])", vec!["1", "2"]),
        ("SELECT x.a + 1 FROM (VALUES (1), (2)) AS x(A) ORDER BY 1", vec!["2", "3"]),
    ] {
        assert_eq!(lake.rows(sql).await, rows, "{sql}");
    }
}

#[tokio::test]
async fn arithmetic_and_order_follow_duckdb() {
    // Division is floating point, by zero infinite; // and % of whole numbers by zero are NULL; NULLs come last both ways.
    let lake = sales().await;
    for (sql, rows) in [
        ("SELECT 7 / 2, 7 // 2, 7 % 2, 1 // 0, 1 % 0", vec!["3.5|3|1|NULL|NULL"]),
        ("SELECT 1 / 0, id / 2 FROM sales WHERE id = 3", vec!["inf|1.5"]),
        ("SELECT region FROM sales ORDER BY region DESC LIMIT 1", vec!["south"]),
        ("SELECT region FROM sales ORDER BY region LIMIT 3 OFFSET 3", vec!["NULL"]),
        ("SELECT 0.1 + 0.2 = 0.3", vec!["true"]),
        ("SELECT version(), current_setting('TimeZone')", vec!["v1.4.0|UTC"]),
        ("SELECT date_trunc('week', DATE '2024-01-17')::DATE", vec!["2024-01-15"]),
        ("SELECT '2024-01-15'::DATE, '1'::INTEGER + 1, NULL::UUID", vec!["2024-01-15|2|NULL"]),
    ] {
        assert_eq!(lake.rows(sql).await, rows, "{sql}");
    }
}

#[tokio::test]
async fn json_and_uuid_keep_their_type() {
    // Through projection, casts, subqueries and CREATE TABLE AS.
    let lake = Lake::new();
    lake.run(
        "CREATE TABLE t (id UUID, doc JSON); INSERT INTO t VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '[1]')",
    )
    .await;
    assert_eq!(
        lake.run("SELECT doc, id FROM (SELECT * FROM t WHERE id IS NOT NULL) ORDER BY id").await.types(),
        ["JSON", "UUID"]
    );
    assert_eq!(lake.run("SELECT '{}'::JSON, NULL::UUID").await.types(), ["JSON", "UUID"]);
    lake.run("CREATE TABLE u AS SELECT * FROM t").await;
    assert_eq!(lake.run("SELECT * FROM u").await.types(), ["UUID", "JSON"]);
    assert!(
        lake.error("INSERT INTO t VALUES ('nope', '1')")
            .await
            .message
            .starts_with("Conversion Error: Could not convert string 'nope' to UUID")
    );
    assert!(
        lake.error("INSERT INTO t VALUES (NULL, '{')").await.message.starts_with("Conversion Error: Malformed JSON")
    );
}

#[tokio::test]
async fn at_version_reads_the_past() {
    // Rows and columns as they were, beside the present, flushed or not; the future is an error.
    let lake = Lake::new();
    lake.run("CREATE TABLE t (a INTEGER)").await;
    lake.run("INSERT INTO t VALUES (1)").await;
    let first = lake.engine.snapshot().id();
    lake.run("INSERT INTO t VALUES (2); ALTER TABLE t ADD COLUMN b INTEGER DEFAULT 5; INSERT INTO t VALUES (3, 6)")
        .await;
    for flushed in [false, true] {
        if flushed {
            lake.engine.flush().unwrap();
        }
        assert_eq!(lake.rows(&format!("SELECT * FROM t AT (VERSION => {first})")).await, ["1"]);
        assert_eq!(
            lake.rows(&format!("SELECT t.a FROM main.T AT (version => {}) ORDER BY 1", first.0 + 1)).await,
            ["1", "2"]
        );
        assert_eq!(lake.rows("SELECT * FROM t ORDER BY a").await, ["1|5", "2|5", "3|6"]);
        let before = format!(
            "SELECT new.a FROM t AS new LEFT JOIN t AT (VERSION => {first}) AS old ON new.a = old.a WHERE old.a IS NULL ORDER BY 1"
        );
        assert_eq!(lake.rows(&before).await, ["2", "3"]);
        assert_eq!(lake.rows(&format!("SELECT count(*) FROM t AT (VERSION => {first})")).await, ["1"]);
    }
    assert!(lake.error("SELECT * FROM t AT (VERSION => 100000)").await.message.contains("snapshot does not exist yet"));
    assert!(lake.error("SELECT * FROM t AT (VERSION => 0)").await.message.starts_with("Catalog Error"));
    assert!(lake.error("SELECT * FROM t AT (TIMESTAMP => '2024-01-01')").await.message.starts_with("Catalog Error"));
    assert!(lake.error("SELECT * FROM t AT (VERSION => 'x')").await.message.starts_with("Binder Error"));
}
