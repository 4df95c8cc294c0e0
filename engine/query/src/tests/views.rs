//! Views: made, read, described, renamed, dropped.

use super::*;

#[tokio::test]
async fn views_read_like_tables() {
    // Joined, filtered, nested, with names of their own, in the source of a change; their names live where they were made.
    let lake = Lake::new();
    lake.run("CREATE TABLE t (Id INTEGER, v DOUBLE); INSERT INTO t VALUES (1, 1.5), (2, 2.5), (3, 3.5)").await;
    lake.run("CREATE SCHEMA other; CREATE VIEW big AS SELECT id, v * 2 AS Twice FROM t WHERE v > 2 -- comment").await;
    lake.run("CREATE VIEW main.counted (n, \"Total\") AS (SELECT count(*), sum(twice) FROM big)").await;
    assert_eq!(lake.rows("SELECT * FROM BIG ORDER BY ID").await, ["2|5.0", "3|7.0"]);
    assert_eq!(lake.run("SELECT *, b.TWICE AS x FROM big b").await.names(), ["Id", "Twice", "x"]);
    let counted = lake.run("FROM counted").await;
    assert_eq!((counted.names(), counted.rows()), (vec!["n", "Total"], vec!["2|12.0".to_owned()]));
    assert_eq!(lake.rows("SELECT t.id FROM t JOIN big USING (id) WHERE big.twice > 6").await, ["3"]);
    assert_eq!(lake.rows("WITH big AS (SELECT 7 AS a) SELECT * FROM big").await, ["7"]);
    assert_eq!(lake.rows("USE other; SELECT n FROM lake.main.counted").await, ["2"]);
    lake.run("INSERT INTO t SELECT id + 10, 0 FROM big; DELETE FROM t WHERE id IN (SELECT id FROM big)").await;
    assert_eq!(lake.rows("SELECT id FROM t ORDER BY 1").await, ["1", "12", "13"]);
    assert_eq!(lake.rows("BEGIN; CREATE VIEW w AS FROM t; SELECT count(*) FROM w; ").await, ["3"]);
    assert!(lake.error("FROM w").await.message.contains("Table with name w does not exist!"));
}

#[tokio::test]
async fn views_follow_their_tables() {
    // A star has the columns of now; a column that is gone is an error of the query, not of the view.
    let lake = Lake::new();
    lake.run("CREATE TABLE t (a INTEGER, b INTEGER); INSERT INTO t VALUES (1, 2); CREATE VIEW v AS SELECT * FROM t")
        .await;
    lake.run("CREATE VIEW named (x) AS SELECT * FROM t").await;
    lake.run("ALTER TABLE t ADD COLUMN \"C\" INTEGER DEFAULT 3").await;
    assert_eq!(lake.rows("SELECT *, c FROM v").await, ["1|2|3|3"]);
    assert_eq!(lake.run("SELECT * FROM named").await.names(), ["x", "b", "C"]);
    lake.run("CREATE VIEW w AS SELECT b FROM t; ALTER TABLE t DROP COLUMN b").await;
    assert_eq!(lake.rows("FROM v").await, ["1|3"]);
    assert!(lake.error("FROM w").await.message.starts_with("Binder Error"));
    lake.run("DROP TABLE t").await;
    assert!(lake.error("FROM v").await.message.contains("Table with name t does not exist!"));
    lake.run("DROP VIEW v; DROP VIEW IF EXISTS v; DROP VIEW w, named").await;
}

#[tokio::test]
async fn views_are_listed_and_described() {
    // DESCRIBE, SHOW TABLES, information_schema; types as DuckDB names them.
    let lake = Lake::new();
    lake.run("CREATE TABLE t (a INTEGER, u UUID); CREATE VIEW \"V w\" (\"x y\", u) AS SELECT a + 0.5, u FROM t").await;
    assert_eq!(
        lake.rows("DESCRIBE \"v W\"").await,
        ["x y|DECIMAL(12,1)|YES|NULL|NULL|NULL", "u|UUID|YES|NULL|NULL|NULL"]
    );
    assert_eq!(lake.rows("SHOW TABLES").await, ["V w", "t"]);
    let tables = "SELECT table_name, table_type FROM information_schema.tables ORDER BY 1";
    assert_eq!(lake.rows(tables).await, ["V w|VIEW", "t|BASE TABLE"]);
    let views = "SELECT table_catalog, table_schema, table_name, view_definition FROM information_schema.views";
    assert_eq!(lake.rows(views).await, ["LAKE|main|V w|CREATE VIEW \"V w\" (\"x y\", u) AS SELECT a + 0.5, u FROM t;"]);
    let columns = "SELECT column_name, ordinal_position, data_type FROM information_schema.columns \
                   WHERE table_name = 'V w' ORDER BY 2";
    assert_eq!(lake.rows(columns).await, ["x y|1|DECIMAL(12,1)", "u|2|UUID"]);
}

#[tokio::test]
async fn the_text_of_a_view_is_kept_as_written() {
    // Cut out of the request by tokens: lines, several bytes per character, statements before and behind, words in quotes.
    let lake = Lake::new();
    lake.run("SELECT 'ä';\nCREATE OR REPLACE VIEW \"as\" (\n  \"as\") AS\n  SELECT 'ö;\nAS' AS x -- ü\n;SELECT 2")
        .await;
    assert_eq!(lake.rows("FROM \"as\"").await, ["ö;\nAS"]);
    lake.run("CREATE VIEW old AS SELECT 1 AS n; CREATE VIEW e AS SELECT E'a\\nb' AS x").await;
    assert_eq!(lake.rows("FROM e").await, ["a\nb"]);
    let definition = "SELECT view_definition FROM information_schema.views WHERE table_name = 'as'";
    assert_eq!(lake.rows(definition).await, ["CREATE VIEW as (as) AS SELECT 'ö;\nAS' AS x;"]);
}

#[tokio::test]
async fn making_views_has_duckdbs_rules() {
    // OR REPLACE, IF NOT EXISTS, one name space with tables, renaming, schemas that hold views.
    let lake = Lake::new();
    lake.run("CREATE TABLE t (a INTEGER); CREATE VIEW v AS SELECT 1 AS n").await;
    for (sql, message) in [
        ("CREATE VIEW v AS SELECT 2", "Catalog Error: View with name \"v\" already exists!"),
        ("CREATE VIEW t AS SELECT 2", "Catalog Error: Existing object t is of type Table"),
        ("CREATE OR REPLACE VIEW T AS SELECT 2", "Catalog Error: Existing object t is of type Table"),
        ("CREATE TABLE V (a INTEGER)", "Catalog Error: Existing object V is of type View"),
        ("CREATE OR REPLACE TABLE v AS SELECT 1", "Catalog Error: Existing object v is of type View"),
        ("INSERT INTO v VALUES (1)", "Catalog Error: Existing object v is of type View"),
        ("DROP TABLE v", "Catalog Error: Existing object v is of type View"),
        ("DROP VIEW t", "Catalog Error: Existing object t is not of type View"),
        ("DROP VIEW x", "Catalog Error: View with name x does not exist!"),
        ("ALTER TABLE t RENAME TO v", "Catalog Error: View with name \"v\" already exists!"),
        ("ALTER VIEW v RENAME TO t", "Catalog Error: \"t\" already exists!"),
        ("CREATE VIEW w AS SELECT * FROM nowhere", "Catalog Error: Table with name nowhere does not exist!"),
        ("CREATE VIEW w (a, b) AS SELECT 1", "Binder Error: More VIEW aliases than columns in query result"),
        ("CREATE OR REPLACE VIEW v AS SELECT * FROM v", "Binder Error: infinite recursion detected"),
        ("SELECT * FROM v AT (VERSION => 1)", "Binder Error: only tables have versions"),
        ("CREATE MATERIALIZED VIEW m AS SELECT 1", "Not implemented Error"),
        ("CREATE VIEW system.main.v AS SELECT 1", "Invalid Input Error"),
        ("CREATE VIEW w AS INSERT INTO t VALUES (1)", "Not implemented Error"),
    ] {
        let error = lake.error(sql).await;
        assert!(error.message.to_lowercase().starts_with(&message.to_lowercase()), "{sql}: {error}");
    }
    lake.run("CREATE VIEW IF NOT EXISTS v AS SELECT 2 AS n").await;
    assert_eq!(lake.rows("FROM v").await, ["1"]);
    lake.run("CREATE OR REPLACE VIEW V AS SELECT 3 AS n; ALTER VIEW v RENAME TO W; ALTER VIEW IF EXISTS v RENAME TO x")
        .await;
    assert_eq!(lake.rows("SHOW TABLES").await, ["W", "t"]);
    lake.run("CREATE SCHEMA s; CREATE VIEW s.v AS FROM lake.main.w").await;
    assert!(lake.error("DROP SCHEMA s").await.message.starts_with("Dependency Error"));
    lake.run("DROP SCHEMA s CASCADE").await;
    assert!(lake.error("FROM s.v").await.message.contains("does not exist"));
}

#[tokio::test]
async fn stacked_views_stay_within_bounds() {
    // Views that lead back to themselves, and views that double with each floor.
    let lake = Lake::new();
    lake.run("CREATE VIEW a AS SELECT 1 AS n; CREATE VIEW b AS FROM a; CREATE VIEW c AS FROM b").await;
    assert!(lake.error("CREATE OR REPLACE VIEW a AS FROM c").await.message.contains("infinite recursion"));
    let mut failed = None;
    lake.run("CREATE VIEW v0 AS SELECT 1 AS n").await;
    for floor in 1..20 {
        let below = floor - 1;
        let sql = format!("CREATE VIEW v{floor} AS SELECT x.n FROM v{below} x JOIN v{below} y USING (n)");
        if let Err(error) = lake.run_with(&sql, SessionSettings::default()).await {
            failed = Some(error.message);
            break;
        }
    }
    assert!(failed.unwrap().contains("steps with the views in it"));
}
