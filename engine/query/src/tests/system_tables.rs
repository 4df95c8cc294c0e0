//! What the engine says of itself.

use super::*;

#[tokio::test]
async fn segments_are_listed_by_table() {
    // One row per segment with its figures, deletions included; nothing before a flush; only to be read.
    let lake = Lake::new();
    lake.run("CREATE TABLE t (id INTEGER); INSERT INTO t SELECT value FROM generate_series(1, 1000) AS s(value)").await;
    let sql = "SELECT database_name, schema_name, Table_Name, rows, deleted_rows, bytes > 0, first_snapshot = last_snapshot \
               FROM system.segments WHERE table_name = 't'";
    assert!(lake.rows(sql).await.is_empty());
    lake.engine.flush().unwrap();
    assert_eq!(lake.rows(sql).await, ["LAKE|main|t|1000|0|true|true"]);
    lake.run("DELETE FROM t WHERE id <= 10").await;
    lake.run("CREATE SCHEMA u; CREATE TABLE u.t (id INTEGER); INSERT INTO u.t VALUES (1)").await;
    lake.engine.flush().unwrap();
    assert_eq!(
        lake.rows(&sql.replace("system.segments", "SYSTEM.main.Segments AS s")).await[..1],
        ["LAKE|main|t|1000|10|true|true"]
    );
    assert_eq!(
        lake.rows("SELECT count(DISTINCT schema_name) FROM system.segments WHERE table_name = 't'").await,
        ["2"]
    );
    for sql in ["DELETE FROM system.segments", "DROP TABLE system.segments", "INSERT INTO system.segments VALUES (1)"] {
        assert!(lake.error(sql).await.message.contains("cannot be changed"), "{sql}");
    }
}
