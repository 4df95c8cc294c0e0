//! BEGIN … COMMIT in one request.

use super::*;

#[tokio::test]
async fn a_transaction_is_one_commit_and_sees_its_own_writes() {
    // DDL and changes of rows in several tables; nobody else sees any of it before COMMIT.
    let lake = Lake::new();
    lake.run("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER); INSERT INTO t VALUES (1, 1), (2, 2)").await;
    let before = lake.engine.snapshot().id();
    let answer = lake
        .run(
            "BEGIN TRANSACTION; \
             CREATE TABLE u AS SELECT * FROM t; \
             UPDATE t SET v = v * 10; \
             DELETE FROM t WHERE id = 1; \
             INSERT INTO t SELECT id + 10, v FROM t; \
             MERGE INTO u USING t ON u.id = t.id WHEN MATCHED THEN UPDATE SET v = t.v WHEN NOT MATCHED THEN INSERT *; \
             ALTER TABLE u ADD COLUMN w INTEGER DEFAULT 5; \
             COMMIT",
        )
        .await;
    assert_eq!((answer.kind, answer.rows().len()), (OutputKind::Nothing, 0));
    assert_eq!(lake.engine.snapshot().id().0, before.0 + 1);
    assert_eq!(lake.rows("SELECT * FROM t ORDER BY id").await, ["2|20", "12|20"]);
    assert_eq!(lake.rows("SELECT * FROM u ORDER BY id").await, ["1|1|5", "2|20|5", "12|20|5"]);
}

#[tokio::test]
async fn what_is_not_committed_never_was() {
    // ROLLBACK, a failing statement, and the end of the request.
    let lake = Lake::new();
    lake.run("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)").await;
    let before = lake.engine.snapshot().id();
    let inside =
        lake.rows("BEGIN; INSERT INTO t VALUES (2); CREATE TABLE u (a INTEGER); ROLLBACK; SELECT * FROM t").await;
    assert_eq!(inside, ["1"]);
    let error = lake.error("BEGIN; INSERT INTO t VALUES (3); INSERT INTO t VALUES (1); COMMIT").await;
    assert!(error.message.starts_with("Constraint Error: Duplicate key \"id: 1\""), "{error}");
    assert_eq!(lake.rows("BEGIN; DELETE FROM t; SELECT count(*) FROM t").await, ["0"]);
    assert_eq!(lake.rows("SELECT * FROM t").await, ["1"]);
    assert_eq!(lake.engine.snapshot().id(), before);
    assert!(lake.error("SELECT * FROM u").await.message.contains("does not exist"));
}

#[tokio::test]
async fn a_transaction_sees_one_snapshot() {
    // What others commit meanwhile is not seen; changing the same rows makes its COMMIT fail.
    let lake = Lake::new();
    lake.run("CREATE TABLE t (id INTEGER, v INTEGER); INSERT INTO t VALUES (1, 0)").await;
    let settings = SessionSettings::default;
    let mut first = crate::session::Session::new(Arc::clone(&lake.query.core), settings()).unwrap();
    let run = async |session: &mut crate::session::Session, sql: &str| -> Result<Vec<String>, QueryError> {
        let mut rows = Vec::new();
        for statement in crate::dialect::parse(sql)? {
            let mut output = crate::statement::run(session, statement).await?;
            let mut batches = Vec::new();
            while let Some(batch) = output.batches.next().await {
                batches.push(batch?);
            }
            rows = Answer { schema: output.schema, kind: output.kind, batches }.rows();
        }
        Ok(rows)
    };
    run(&mut first, "BEGIN; UPDATE t SET v = 1").await.unwrap();
    lake.run("INSERT INTO t VALUES (2, 2)").await;
    assert_eq!(run(&mut first, "SELECT * FROM t").await.unwrap(), ["1|1"]);
    run(&mut first, "COMMIT").await.unwrap();
    assert_eq!(lake.rows("SELECT * FROM t ORDER BY id").await, ["1|1", "2|2"]);
    run(&mut first, "BEGIN; UPDATE t SET v = v + 1 WHERE id = 1").await.unwrap();
    lake.run("UPDATE t SET v = 50 WHERE id = 1").await;
    let error = run(&mut first, "COMMIT").await.unwrap_err();
    assert!(error.message.starts_with("TransactionContext Error: Failed to commit: "), "{error}");
    assert_eq!(lake.rows("SELECT * FROM t ORDER BY id").await, ["1|50", "2|2"]);
    assert_eq!(run(&mut first, "SELECT count(*) FROM t").await.unwrap(), ["2"], "the session goes on");
}

#[tokio::test]
async fn transactions_are_opened_and_closed_once() {
    // No nesting, nothing to close where nothing is open, no modes that we do not have.
    let lake = Lake::new();
    for (sql, message) in [
        ("BEGIN; BEGIN", "TransactionContext Error: cannot start a transaction within a transaction"),
        ("COMMIT", "TransactionContext Error: cannot commit - no transaction is active"),
        ("ROLLBACK", "TransactionContext Error: cannot rollback - no transaction is active"),
        ("BEGIN; SAVEPOINT s", "Not implemented Error: SAVEPOINT statements are not supported yet"),
        ("BEGIN READ ONLY", "Not implemented Error: BEGIN READ ONLY is not supported"),
    ] {
        assert_eq!(lake.error(sql).await.message, message, "{sql}");
    }
    lake.run("START TRANSACTION; END; BEGIN WORK; ROLLBACK").await;
}
