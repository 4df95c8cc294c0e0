//! ALTER TABLE … ALTER COLUMN, comments, and how tables lie.

use super::*;

#[tokio::test]
async fn a_column_gets_another_type() {
    // Every stored row is cast in one commit; text that does not fit fails it, and nothing changed; older snapshots keep theirs.
    let lake = Lake::new();
    lake.run(
        "CREATE TABLE t (id BIGINT PRIMARY KEY, n BIGINT DEFAULT 7, s VARCHAR); INSERT INTO t VALUES (1, 5, '10')",
    )
    .await;
    lake.run("INSERT INTO t (id, s) VALUES (2, '20'), (3, NULL); COMMENT ON COLUMN t.n IS 'number'").await;
    let before = lake.engine.snapshot().id();
    lake.run("ALTER TABLE t ALTER COLUMN n TYPE DECIMAL(20,0)").await;
    assert_eq!(lake.engine.snapshot().id().0, before.0 + 1);
    let answer = lake.run("SELECT * FROM t ORDER BY id").await;
    assert_eq!(answer.types(), ["BIGINT", "DECIMAL(20,0)", "VARCHAR"]);
    assert_eq!(answer.rows(), ["1|5|10", "2|7|20", "3|7|NULL"]);
    lake.run("ALTER TABLE t ALTER s SET DATA TYPE INTEGER; INSERT INTO t (id) VALUES (4)").await;
    assert_eq!(lake.rows("SELECT n, s + 1 FROM t ORDER BY id").await, ["5|11", "7|21", "7|NULL", "7|NULL"]);
    lake.run("ALTER TABLE t ALTER s TYPE VARCHAR USING 'x' || s").await;
    assert_eq!(lake.rows("SELECT s FROM t WHERE id < 3 ORDER BY id").await, ["x10", "x20"]);
    let error = lake.error("ALTER TABLE t ALTER s TYPE INTEGER").await;
    assert!(error.message.starts_with("Conversion Error"), "{error}");
    assert_eq!(lake.run("SELECT s FROM t").await.types(), ["VARCHAR"]);
    let old = format!("SELECT n, s FROM t AT (VERSION => {}) ORDER BY id", before.0);
    assert_eq!(lake.rows(&old).await, ["5|10", "7|20", "7|NULL"]);
    let comment = "SELECT column_comment FROM information_schema.columns WHERE column_name = 'n'";
    assert_eq!(lake.rows(comment).await, ["number"]);
    let error = lake.error("ALTER TABLE t ALTER id TYPE VARCHAR").await;
    assert!(error.message.starts_with("Not implemented Error"), "{error}");
    assert!(lake.error("ALTER TABLE t ALTER x TYPE VARCHAR").await.message.starts_with("Binder Error"));
}

#[tokio::test]
async fn a_column_gets_another_default_or_none() {
    // What rows had stays; in a transaction, too.
    let lake = Lake::new();
    lake.run("CREATE TABLE t (id INTEGER, n INTEGER DEFAULT 1); INSERT INTO t (id) VALUES (1)").await;
    lake.run("ALTER TABLE t ALTER COLUMN n SET DEFAULT 2; INSERT INTO t (id) VALUES (2)").await;
    lake.run("BEGIN; ALTER TABLE t ALTER n DROP DEFAULT; INSERT INTO t (id) VALUES (3); COMMIT").await;
    assert_eq!(lake.rows("FROM t ORDER BY id").await, ["1|1", "2|2", "3|NULL"]);
    assert!(lake.error("ALTER TABLE t ALTER n SET DEFAULT 'x'").await.message.starts_with("Conversion Error"));
}

#[tokio::test]
async fn not_null_is_checked_when_it_is_set() {
    // Against the rows there are, and those that come.
    let lake = Lake::new();
    lake.run("CREATE TABLE t (id INTEGER, n INTEGER); INSERT INTO t VALUES (1, NULL)").await;
    let error = lake.error("ALTER TABLE t ALTER COLUMN n SET NOT NULL").await;
    assert_eq!(error.message, "Constraint Error: NOT NULL constraint failed: t.n");
    lake.run("UPDATE t SET n = 0; ALTER TABLE t ALTER COLUMN n SET NOT NULL").await;
    assert!(lake.error("INSERT INTO t VALUES (2, NULL)").await.message.starts_with("Constraint Error"));
    assert_eq!(lake.rows("DESCRIBE t").await[1], "n|INTEGER|NO|NULL|NULL|NULL");
    lake.run("ALTER TABLE t ALTER COLUMN n DROP NOT NULL; INSERT INTO t VALUES (2, NULL)").await;
}

#[tokio::test]
async fn columns_come_and_go_if_they_are_not_there_or_are() {
    // IF NOT EXISTS and IF EXISTS, of columns and of the table.
    let lake = Lake::new();
    lake.run("CREATE TABLE t (a INTEGER); ALTER TABLE t ADD COLUMN IF NOT EXISTS A VARCHAR").await;
    lake.run("ALTER TABLE t ADD COLUMN IF NOT EXISTS b VARCHAR; ALTER TABLE t DROP COLUMN IF EXISTS c").await;
    lake.run("ALTER TABLE IF EXISTS nowhere ADD COLUMN x INTEGER; ALTER TABLE t RENAME a TO z").await;
    assert_eq!(lake.run("FROM t").await.names(), ["z", "b"]);
    assert!(lake.error("ALTER TABLE t ADD COLUMN b INTEGER").await.message.contains("exists already"));
}

#[tokio::test]
async fn comments_are_kept_and_shown() {
    // Of tables, columns, views, their columns and schemas; in transactions; taken away by NULL; escapes.
    let lake = Lake::new();
    lake.run("CREATE TABLE t (a INTEGER); CREATE VIEW v AS FROM t").await;
    let answer = lake
        .run(
            "BEGIN TRANSACTION; COMMENT ON TABLE lake.main.t IS E'it''s\\na table'; \
             COMMENT ON COLUMN \"LAKE\".main.t.A IS 'a column'; COMMENT ON VIEW v IS 'a view'; \
             COMMENT ON COLUMN v.a IS 'a view''s column'; COMMENT ON SCHEMA main IS 'home'; COMMIT",
        )
        .await;
    assert_eq!(answer.names(), ["Success"]);
    let tables = "SELECT table_name, table_comment FROM information_schema.tables ORDER BY 1";
    assert_eq!(lake.rows(tables).await, ["t|it's\na table", "v|a view"]);
    let columns = "SELECT table_name, column_comment FROM information_schema.columns ORDER BY 1";
    assert_eq!(lake.rows(columns).await, ["t|a column", "v|a view's column"]);
    lake.run("ALTER TABLE t RENAME COLUMN a TO b; ALTER TABLE t RENAME TO u").await;
    assert_eq!(lake.rows(columns).await[0], "u|a column");
    assert_eq!(lake.run("COMMENT ON COLUMN u.b IS NULL").await.names(), ["Success"]);
    assert_eq!(lake.rows(columns).await[0], "u|NULL");
    for (sql, message) in [
        ("COMMENT ON TABLE x IS 'y'", "Catalog Error: Table with name x does not exist!"),
        ("COMMENT ON COLUMN u.x IS 'y'", "Binder Error: Table does not have a column"),
        ("COMMENT ON TABLE v IS 'y'", "Catalog Error: Existing object v is not of type Table"),
        ("COMMENT ON SCHEMA x IS 'y'", "Catalog Error: Schema with name x does not exist!"),
        ("COMMENT ON TABLE u IS 5", "Parser Error"),
        ("COMMENT ON TABLE system.main.t IS 'y'", "Catalog Error"),
    ] {
        let error = lake.error(sql).await;
        assert!(error.message.starts_with(message), "{sql}: {error}");
    }
}

#[tokio::test]
async fn how_a_table_lies_is_kept_with_it() {
    // Checked against the columns; a column in use stays; RESET frees it.
    let lake = Lake::new();
    lake.run("CREATE TABLE t (c INTEGER, at TIMESTAMP, d DATE, n INTEGER)").await;
    lake.run("ALTER TABLE t SET PARTITIONED BY (c, year(at), month(at), DAY(at), hour(at), bucket(16, c))").await;
    lake.run("ALTER TABLE lake.main.t SET SORTED BY (n DESC NULLS FIRST, c)").await;
    lake.run("ALTER TABLE IF EXISTS nowhere SET PARTITIONED BY (c)").await;
    let table = Arc::clone(lake.engine.snapshot().catalog().table("lake", "main", "t").unwrap());
    assert_eq!((table.layout.partitioned_by.len(), table.layout.sorted_by.len()), (6, 2));
    for (sql, message) in [
        ("ALTER TABLE t SET PARTITIONED BY (x)", "Binder Error: Table does not have a column"),
        ("ALTER TABLE t SET PARTITIONED BY (hour(d))", "Binder Error"),
        ("ALTER TABLE t SET PARTITIONED BY (c + 1)", "Binder Error"),
        ("ALTER TABLE t SET PARTITIONED BY (bucket(0, c))", "Binder Error"),
        ("ALTER TABLE t SET PARTITIONED BY ()", "Parser Error"),
        ("ALTER TABLE t SET SORTED BY (c + 1)", "Binder Error"),
        ("ALTER TABLE x SET SORTED BY (c)", "Catalog Error"),
        ("ALTER TABLE t DROP COLUMN n", "Binder Error: the table is partitioned or sorted by"),
    ] {
        let error = lake.error(sql).await;
        assert!(error.message.starts_with(message), "{sql}: {error}");
    }
    lake.run("ALTER TABLE t RESET SORTED BY; ALTER TABLE t DROP COLUMN n; ALTER TABLE t RESET PARTITIONED BY").await;
    let table = Arc::clone(lake.engine.snapshot().catalog().table("lake", "main", "t").unwrap());
    assert_eq!(table.layout, siltstone_storage::Layout::default());
}
