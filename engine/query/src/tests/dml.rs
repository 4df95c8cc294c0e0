//! DELETE, TRUNCATE, UPDATE and MERGE.

use super::*;

/// A table `t (id, v, tag)` with rows in a segment and in memory.
async fn filled() -> Lake {
    let lake = Lake::new();
    lake.run("CREATE TABLE t (id INTEGER, v INTEGER, tag VARCHAR)").await;
    lake.run("INSERT INTO t VALUES (1, 10, 'a'), (2, 20, 'b'), (3, 30, 'c')").await;
    lake.engine.flush().unwrap();
    lake.run("INSERT INTO t VALUES (4, 40, 'd'), (5, NULL, 'e')").await;
    lake
}

async fn all(lake: &Lake) -> Vec<String> {
    lake.rows("SELECT * FROM t ORDER BY id, v, tag").await
}

#[tokio::test]
async fn delete_takes_the_rows_its_condition_picks() {
    // Rows in segments and in memory alike; the count is that of the rows; a condition that is NULL picks nothing.
    let lake = filled().await;
    let answer = lake.run("DELETE FROM t WHERE v >= 20 AND id <> 3").await;
    assert_eq!((answer.kind, answer.names(), answer.rows()), (OutputKind::Count, vec!["Count"], vec!["2".to_owned()]));
    assert_eq!(all(&lake).await, ["1|10|a", "3|30|c", "5|NULL|e"]);
    assert_eq!(lake.rows("DELETE FROM t WHERE v > 1000").await, ["0"]);
    assert_eq!(lake.rows("DELETE FROM t").await, ["3"]);
    assert_eq!(lake.rows("SELECT count(*) FROM t").await, ["0"]);
    lake.run("INSERT INTO t VALUES (9, 9, 'z')").await;
    assert_eq!(all(&lake).await, ["9|9|z"]);
}

#[tokio::test]
async fn delete_sees_subqueries_and_other_tables() {
    // NOT IN, EXISTS with an alias, rows of several columns, and USING.
    let lake = filled().await;
    lake.run("CREATE TABLE s (k INTEGER, name VARCHAR); INSERT INTO s VALUES (1, 'a'), (1, 'x'), (4, 'd')").await;
    assert_eq!(lake.rows("DELETE FROM t WHERE id NOT IN (SELECT k FROM s) AND id < 5").await, ["2"]);
    assert_eq!(
        lake.rows("DELETE FROM LAKE.main.t AS d WHERE EXISTS (SELECT 1 FROM s WHERE s.k = d.ID AND d.tag = 'd')").await,
        ["1"]
    );
    assert_eq!(lake.rows("DELETE FROM t USING s WHERE t.id = s.k").await, ["1"]);
    assert_eq!(all(&lake).await, ["5|NULL|e"]);
}

#[tokio::test]
async fn truncate_empties_a_table() {
    // The count is that of the rows that were there.
    let lake = filled().await;
    assert_eq!(lake.rows("TRUNCATE t").await, ["5"]);
    assert_eq!(lake.rows("TRUNCATE TABLE t").await, ["0"]);
    assert!(all(&lake).await.is_empty());
}

#[tokio::test]
async fn update_changes_what_it_sets_and_nothing_else() {
    // Values are cast as INSERT casts them; right sides see the old row; defaults can be asked for.
    let lake = filled().await;
    lake.run("ALTER TABLE t ADD COLUMN d VARCHAR DEFAULT 'dflt'").await;
    lake.run("UPDATE t SET d = 'set'").await;
    let before = lake.engine.snapshot().id();
    assert_eq!(lake.rows("UPDATE t SET v = v + 0.5, id = v, tag = upper(TAG), d = DEFAULT WHERE v <= 20").await, ["2"]);
    assert_eq!(lake.engine.snapshot().id().0, before.0 + 1, "one commit");
    assert_eq!(
        lake.rows("SELECT * FROM t ORDER BY id").await,
        ["3|30|c|set", "4|40|d|set", "5|NULL|e|set", "10|11|A|dflt", "20|21|B|dflt"]
    );
    lake.run("UPDATE t AS x SET (v, tag) = (1, 'one') WHERE x.v IS NULL").await;
    assert_eq!(lake.rows("SELECT * FROM t WHERE id = 5").await, ["5|1|one|set"]);
    assert_eq!(lake.rows("UPDATE t SET v = 0 WHERE id = 77").await, ["0"]);
    for (sql, message) in [
        ("UPDATE t SET nope = 1", "does not have a column with name \"nope\""),
        ("UPDATE t SET v = 1, V = 2", "Multiple assignments"),
        ("UPDATE t SET v = 'x'", "Could not convert string 'x'"),
        ("UPDATE nope SET v = 1", "Table with name nope does not exist!"),
        ("UPDATE information_schema.tables SET table_name = ''", "cannot be changed"),
        ("UPDATE t AT (VERSION => 1) SET v = 1", "only tables can be changed"),
    ] {
        let error = lake.error(sql).await;
        assert!(error.message.contains(message), "{sql}: {error}");
    }
}

#[tokio::test]
async fn update_from_another_table_changes_each_row_once() {
    // A row that joins with several changes once; NOT NULL holds.
    let lake = filled().await;
    lake.run("CREATE TABLE s (k INTEGER, n INTEGER); INSERT INTO s VALUES (1, 5), (1, 5), (3, 7)").await;
    assert_eq!(lake.rows("UPDATE t SET v = t.v + s.n FROM s WHERE s.k = t.id").await, ["2"]);
    assert_eq!(all(&lake).await, ["1|15|a", "2|20|b", "3|37|c", "4|40|d", "5|NULL|e"]);
    lake.run("CREATE TABLE n (a INTEGER NOT NULL); INSERT INTO n VALUES (1)").await;
    let error = lake.error("UPDATE n SET a = NULL").await;
    assert_eq!(error.message, "Constraint Error: NOT NULL constraint failed: a");
}

#[tokio::test]
async fn update_keeps_every_type() {
    // Columns that are not set keep their values, whatever their type.
    let lake = Lake::new();
    lake.run("CREATE TABLE t (a UUID, b JSON, c TIMESTAMPTZ, d DECIMAL(10,2), e INTEGER[], f STRUCT(x INTEGER), g BLOB, h INTEGER)").await;
    lake.run(
        "INSERT INTO t VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{\"k\": 1}', '2024-01-15T12:00:00+01:00', 1.25, \
         [1, NULL], {'x': 7}, 'ab', 1)",
    )
    .await;
    let before = lake.rows("SELECT * EXCLUDE (h) FROM t").await;
    lake.run("UPDATE t SET h = 2").await;
    assert_eq!(lake.rows("SELECT * EXCLUDE (h) FROM t").await, before);
    lake.run("UPDATE t SET b = '[1]', d = 7").await;
    assert_eq!(lake.rows("SELECT b, d, h FROM t").await, ["[1]|7.00|2"]);
    assert!(lake.error("UPDATE t SET b = '{'").await.message.starts_with("Conversion Error: Malformed JSON"));
}

#[tokio::test]
async fn common_table_expressions_may_stand_before_changes() {
    // Of INSERT, UPDATE and DELETE, beside a WITH of the source itself.
    let lake = filled().await;
    assert_eq!(lake.rows("WITH x AS (SELECT 6 AS a) INSERT INTO t (id) SELECT a FROM x").await, ["1"]);
    let sql = "WITH x AS (SELECT 7 AS a) INSERT INTO t (id) WITH y AS (SELECT a + 1 AS b FROM x) SELECT b FROM y";
    assert_eq!(lake.rows(sql).await, ["1"]);
    let sql = "WITH x AS (SELECT 8 AS a) UPDATE t SET v = 80 WHERE id IN (SELECT a FROM x)";
    assert_eq!(lake.rows(sql).await, ["1"]);
    assert_eq!(lake.rows("WITH x AS (SELECT max(v) AS top FROM t) DELETE FROM t USING x WHERE v < x.top").await, ["4"]);
    assert_eq!(all(&lake).await, ["5|NULL|e", "6|NULL|NULL", "8|80|NULL"]);
}

#[tokio::test]
async fn insert_by_name_takes_the_columns_of_those_names() {
    // In any order and case, the others at their default; by position where that is said; each statement for itself.
    let lake = filled().await;
    lake.run(
        "TRUNCATE t; INSERT INTO t BY NAME SELECT 'x' AS Tag, 1 AS ID; INSERT INTO t BY POSITION SELECT 2, 3, 'y'",
    )
    .await;
    lake.run("INSERT INTO LAKE.main.t BY NAME (SELECT 4 AS v)").await;
    assert_eq!(all(&lake).await, ["1|NULL|x", "2|3|y", "NULL|4|NULL"]);
    for (sql, message) in [
        ("INSERT INTO t BY NAME SELECT 1 AS nope", "does not have a column with name \"nope\""),
        ("INSERT INTO t BY NAME SELECT 1 AS id, 2 AS ID", "Duplicate column name"),
        ("INSERT INTO t (id) BY NAME SELECT 1 AS id", "Parser Error"),
    ] {
        let error = lake.error(sql).await;
        assert!(error.message.contains(message), "{sql}: {error}");
    }
}

#[tokio::test]
async fn a_primary_key_holds_through_updates() {
    // Keys may trade places within one statement, but not collide.
    let lake = Lake::new();
    lake.run("CREATE TABLE t (id INTEGER PRIMARY KEY, v VARCHAR); INSERT INTO t VALUES (1, 'a'), (2, 'b')").await;
    assert_eq!(lake.rows("UPDATE t SET id = 3 - id").await, ["2"]);
    assert_eq!(lake.rows("SELECT * FROM t ORDER BY id").await, ["1|b", "2|a"]);
    let error = lake.error("UPDATE t SET id = 2 WHERE id = 1").await;
    assert_eq!(error.message, "Constraint Error: Duplicate key \"id: 2\" violates primary key constraint.");
}

#[tokio::test]
async fn merge_updates_what_matches_and_inserts_the_rest() {
    // The forms with and without stars, as clients send them.
    let lake = filled().await;
    lake.run("CREATE TABLE s (id INTEGER, v INTEGER, tag VARCHAR); INSERT INTO s VALUES (2, 21, 'B'), (6, 60, 'F')")
        .await;
    let starred = "MERGE INTO LAKE.main.t AS target USING (SELECT * FROM s) AS source ON target.id = source.id \
                   WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *";
    assert_eq!(lake.rows(starred).await, ["2"]);
    assert_eq!(all(&lake).await, ["1|10|a", "2|21|B", "3|30|c", "4|40|d", "5|NULL|e", "6|60|F"]);
    let listed = "MERGE INTO t d USING s ON d.id = s.id WHEN MATCHED THEN UPDATE SET v = s.v + d.v \
                  WHEN NOT MATCHED THEN INSERT (id, tag) VALUES (s.id, s.tag)";
    lake.run("INSERT INTO s VALUES (7, 70, 'G')").await;
    assert_eq!(lake.rows(listed).await, ["3"]);
    assert_eq!(lake.rows("SELECT * FROM t WHERE id IN (2, 6, 7) ORDER BY id").await, ["2|42|B", "6|120|F", "7|NULL|G"]);
    let bare =
        "MERGE INTO t USING s USING (id) WHEN MATCHED THEN UPDATE BY NAME WHEN NOT MATCHED THEN INSERT BY NAME *";
    assert_eq!(lake.rows(bare).await, ["3"]);
    assert_eq!(lake.rows("SELECT * FROM t WHERE id IN (2, 6, 7) ORDER BY id").await, ["2|21|B", "6|60|F", "7|70|G"]);
}

#[tokio::test]
async fn merge_takes_the_first_clause_that_fits() {
    // Conditions, DELETE, DO NOTHING, rows of the table without a match, and a clause that fails the statement.
    let lake = filled().await;
    lake.run("CREATE TABLE s (id INTEGER, op VARCHAR)").await;
    lake.run("INSERT INTO s VALUES (1, 'del'), (2, 'keep'), (3, 'set'), (8, 'new'), (9, 'skip')").await;
    let sql = "MERGE INTO t USING s ON t.id = s.id \
               WHEN MATCHED AND s.op = 'del' THEN DELETE \
               WHEN MATCHED AND op = 'keep' THEN DO NOTHING \
               WHEN MATCHED THEN UPDATE SET tag = op, v = DEFAULT \
               WHEN NOT MATCHED AND op <> 'skip' THEN INSERT (id, v) VALUES (s.id, 1 + 1) \
               WHEN NOT MATCHED BY SOURCE AND t.v IS NULL THEN DELETE \
               WHEN NOT MATCHED BY SOURCE THEN UPDATE SET v = 0";
    assert_eq!(lake.rows(sql).await, ["5"]);
    assert_eq!(all(&lake).await, ["2|20|b", "3|NULL|set", "4|0|d", "8|2|NULL"]);
    let failing = "MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN ERROR 'row ' || t.id";
    let error = lake.error(failing).await;
    assert!(error.message.starts_with("Constraint Error: Merge error condition: row "), "{error}");
    assert_eq!(all(&lake).await.len(), 4);
}

#[tokio::test]
async fn merge_changes_every_match_and_each_once() {
    // Several stored rows of one key all change; several source rows for one stored row change it once.
    let lake = Lake::new();
    lake.run("CREATE TABLE t (id INTEGER, v INTEGER); INSERT INTO t VALUES (1, 1), (1, 2), (2, 3)").await;
    let sql = "MERGE INTO t USING (SELECT 1 AS id, 7 AS v) AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET v = s.v";
    assert_eq!(lake.rows(sql).await, ["2"]);
    assert_eq!(lake.rows("SELECT * FROM t ORDER BY ALL").await, ["1|7", "1|7", "2|3"]);
    let sql =
        "MERGE INTO t USING (VALUES (2, 8), (2, 9)) AS s(id, v) ON t.id = s.id WHEN MATCHED THEN UPDATE SET v = s.v";
    assert_eq!(lake.rows(sql).await, ["1"]);
    assert_eq!(lake.rows("SELECT count(*) FROM t WHERE id = 2 AND v IN (8, 9)").await, ["1"]);
}

#[tokio::test]
async fn merge_refuses_what_does_not_fit() {
    // Widths of the star forms, unknown columns, actions in the wrong clause.
    let lake = filled().await;
    for (sql, message) in [
        (
            "MERGE INTO t USING (SELECT 1 AS id) AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET *",
            "table t has 3 columns but 1 values",
        ),
        (
            "MERGE INTO t USING (SELECT 1 AS id) AS s ON t.id = s.id WHEN NOT MATCHED THEN INSERT *",
            "table t has 3 columns but 1 values",
        ),
        (
            "MERGE INTO t USING (SELECT 1 AS x) AS s ON t.id = s.x WHEN MATCHED THEN UPDATE SET nope = 1",
            "does not have a column",
        ),
        ("MERGE INTO t USING t AS s ON t.id = s.id WHEN MATCHED THEN INSERT *", "Parser Error"),
        ("MERGE INTO t USING t AS s ON t.id = s.id", "Parser Error"),
        ("MERGE INTO system.main.t USING t AS s ON true WHEN MATCHED THEN DELETE", "does not exist"),
    ] {
        let error = lake.error(sql).await;
        assert!(error.message.contains(message), "{sql}: {error}");
    }
}

#[tokio::test]
async fn changes_of_rows_survive_flushes_and_reach_back_in_time() {
    // A deletion is seen from its commit on, not before, in memory and in segments.
    let lake = filled().await;
    let before = lake.engine.snapshot().id();
    lake.run("DELETE FROM t WHERE id IN (1, 4)").await;
    lake.run("UPDATE t SET v = 0 WHERE id IN (2, 5)").await;
    for _ in 0..2 {
        assert_eq!(all(&lake).await, ["2|0|b", "3|30|c", "5|0|e"]);
        let old = lake.rows(&format!("SELECT id, v FROM t AT (VERSION => {before}) ORDER BY id")).await;
        assert_eq!(old, ["1|10", "2|20", "3|30", "4|40", "5|NULL"]);
        lake.engine.flush().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_updates_of_one_row_all_count() {
    // Each reads what the one before it left: no update is lost.
    let lake = Arc::new(Lake::new());
    lake.run("CREATE TABLE t (id INTEGER, n INTEGER); INSERT INTO t VALUES (1, 0)").await;
    let tasks = (0..8).map(|_| {
        let lake = Arc::clone(&lake);
        tokio::spawn(async move { lake.run("UPDATE t SET n = n + 1 WHERE id = 1").await })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(lake.rows("SELECT * FROM t").await, ["1|8"]);
}
