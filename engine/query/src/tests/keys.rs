//! Primary keys: how they are declared and shown, and what INSERT does where one is there already.

use super::*;

#[tokio::test]
async fn a_primary_key_is_declared_in_either_form_and_shown() {
    // DESCRIBE and information_schema tell the key; its columns are NOT NULL.
    let lake = Lake::new();
    lake.run("CREATE TABLE a (Id INTEGER PRIMARY KEY, v VARCHAR)").await;
    lake.run("CREATE TABLE b (x VARCHAR, y DATE, z INTEGER, PRIMARY KEY (Y, x))").await;
    assert_eq!(lake.rows("DESCRIBE a").await, ["Id|INTEGER|NO|PRI|NULL|NULL", "v|VARCHAR|YES|NULL|NULL|NULL"]);
    assert_eq!(
        lake.rows(
            "SELECT constraint_name, column_name, ordinal_position FROM information_schema.key_column_usage ORDER BY ALL"
        )
        .await,
        ["a_Id_pkey|Id|1", "b_y_x_pkey|x|2", "b_y_x_pkey|y|1"]
    );
    assert_eq!(
        lake.rows(
            "SELECT table_name, constraint_type FROM information_schema.table_constraints \
             WHERE constraint_type = 'PRIMARY KEY' ORDER BY ALL"
        )
        .await,
        ["a|PRIMARY KEY", "b|PRIMARY KEY"]
    );
    assert_eq!(
        lake.error("INSERT INTO a VALUES (NULL, 'x')").await.message,
        "Constraint Error: NOT NULL constraint failed: Id"
    );
    assert!(lake.error("ALTER TABLE a DROP COLUMN id").await.message.contains("key column"));
}

#[tokio::test]
async fn a_key_that_cannot_be_is_refused() {
    // Two keys, unknown and repeated columns, and other constraints.
    let lake = Lake::new();
    for (sql, message) in [
        ("CREATE TABLE t (a INTEGER PRIMARY KEY, b INTEGER PRIMARY KEY)", "more than one primary key"),
        ("CREATE TABLE t (a INTEGER, PRIMARY KEY (b))", "no column named \"b\""),
        ("CREATE TABLE t (a INTEGER, PRIMARY KEY (a, A))", "appears twice"),
        ("CREATE TABLE t (a INTEGER UNIQUE)", "not supported yet"),
        ("CREATE TABLE t (a INTEGER, CHECK (a > 1))", "not supported yet"),
    ] {
        let error = lake.error(sql).await;
        assert!(error.message.contains(message), "{sql}: {error}");
    }
}

#[tokio::test]
async fn a_key_that_is_there_already_refuses_the_insert() {
    // Stored keys and keys of the same statement; nothing of the statement stays; the message names the key.
    let lake = Lake::new();
    lake.run("CREATE TABLE t (id INTEGER, part VARCHAR, v INTEGER, PRIMARY KEY (id, part))").await;
    lake.run("INSERT INTO t VALUES (1, 'x', 1), (1, 'y', 2)").await;
    let error = lake.error("INSERT INTO t VALUES (2, 'x', 1), (1, 'y', 3)").await;
    assert_eq!(error.message, "Constraint Error: Duplicate key \"id: 1, part: y\" violates primary key constraint.");
    let error = lake.error("INSERT INTO t VALUES (5, 'x', 1), (5, 'x', 3)").await;
    assert!(error.message.starts_with("Constraint Error: Duplicate key \"id: 5, part: x\""), "{error}");
    lake.engine.flush().unwrap();
    assert!(lake.error("INSERT INTO t VALUES (1, 'x', 9)").await.message.starts_with("Constraint Error"));
    assert_eq!(lake.rows("SELECT count(*), sum(v) FROM t").await, ["2|3"]);
}

#[tokio::test]
async fn on_conflict_leaves_out_or_updates() {
    // DO NOTHING and OR IGNORE keep the stored row; DO UPDATE and OR REPLACE change it; counts tell the rows touched.
    let lake = Lake::new();
    lake.run("CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b VARCHAR DEFAULT 'none')").await;
    lake.run("INSERT INTO t VALUES (1, 10, 'one'), (2, 20, 'two')").await;
    assert_eq!(
        lake.rows("INSERT INTO t VALUES (2, 0, 'x'), (3, 30, 'y'), (3, 31, 'z') ON CONFLICT DO NOTHING").await,
        ["1"]
    );
    assert_eq!(lake.rows("INSERT OR IGNORE INTO t (id) VALUES (1), (4)").await, ["1"]);
    assert_eq!(lake.rows("SELECT * FROM t ORDER BY id").await, ["1|10|one", "2|20|two", "3|30|y", "4|NULL|none"]);
    assert_eq!(
        lake.rows("INSERT INTO t (id, a) VALUES (1, 11), (5, 50) ON CONFLICT (id) DO UPDATE SET a = excluded.a").await,
        ["2"]
    );
    assert_eq!(lake.rows("INSERT OR REPLACE INTO t VALUES (2, 21, 'new'), (2, 22, 'newer')").await, ["1"]);
    assert_eq!(
        lake.rows("SELECT * FROM t ORDER BY id").await,
        ["1|11|one", "2|22|newer", "3|30|y", "4|NULL|none", "5|50|none"]
    );
}

#[tokio::test]
async fn on_conflict_updates_by_expressions() {
    // The stored row and the excluded one are both at hand, a condition decides, and rows that fail it stay as they are.
    let lake = Lake::new();
    lake.run("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, at TIMESTAMP)").await;
    lake.run("INSERT INTO t VALUES (1, 10, '2024-01-02'), (2, 20, '2024-01-02')").await;
    let sql = "INSERT INTO t AS old VALUES (1, 5, '2024-01-03'), (2, 5, '2024-01-01'), (3, 5, '2024-01-01') \
               ON CONFLICT (id) DO UPDATE SET n = t.n + excluded.n, at = excluded.at WHERE excluded.at > t.at";
    assert_eq!(lake.rows(&sql.replace("AS old ", "")).await, ["2"]);
    assert_eq!(
        lake.rows("SELECT * FROM t ORDER BY id").await,
        ["1|15|2024-01-03T00:00:00", "2|20|2024-01-02T00:00:00", "3|5|2024-01-01T00:00:00"]
    );
}

#[tokio::test]
async fn on_conflict_needs_the_key() {
    // Without a primary key, or with other columns than it has, there is nothing to be in conflict with.
    let lake = Lake::new();
    lake.run("CREATE TABLE plain (a INTEGER); CREATE TABLE t (a INTEGER PRIMARY KEY, b INTEGER)").await;
    for sql in [
        "INSERT INTO plain VALUES (1) ON CONFLICT DO NOTHING",
        "INSERT OR REPLACE INTO plain VALUES (1)",
        "INSERT INTO t VALUES (1, 2) ON CONFLICT (b) DO NOTHING",
    ] {
        assert!(lake.error(sql).await.message.starts_with("Binder Error"), "{sql}");
    }
    let twice = "INSERT INTO t VALUES (1, 2), (1, 3) ON CONFLICT (a) DO UPDATE SET b = excluded.b";
    assert!(lake.error(twice).await.message.contains("can not update the same row twice"));
}
