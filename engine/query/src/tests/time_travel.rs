//! Older snapshots, the list of them, and what they changed.

use super::*;

/// `t` with three commits after its creation; gives the snapshot that made it.
async fn with_history(lake: &Lake) -> u64 {
    lake.run("CREATE TABLE t (id INTEGER PRIMARY KEY, v VARCHAR)").await;
    let created = lake.engine.snapshot().id().0;
    lake.run("INSERT INTO t VALUES (1, 'a'), (2, 'b')").await;
    lake.run("UPDATE t SET v = 'B' WHERE id = 2").await;
    lake.run("DELETE FROM t WHERE id = 1").await;
    created
}

#[tokio::test]
async fn a_table_is_read_as_of_a_snapshot_or_a_time() {
    // Numbers, expressions, times in any form; with and without an alias; joined with its present self.
    let lake = Lake::new();
    let created = with_history(&lake).await;
    let at = |n: u64| format!("SELECT * FROM t AT (VERSION => {}) ORDER BY id", created + n);
    assert!(lake.rows(&at(0)).await.is_empty());
    assert_eq!(lake.rows(&at(1)).await, ["1|a", "2|b"]);
    assert_eq!(lake.rows(&at(2)).await, ["1|a", "2|B"]);
    assert_eq!(lake.rows(&at(3)).await, ["2|B"]);
    let sql = format!("SELECT old.v, t.v FROM t AT (VERSION => {created} + 1) AS old JOIN t ON t.id = old.id");
    assert_eq!(lake.rows(&sql).await, ["b|B"]);
    for now in
        ["now()", "now() + INTERVAL '1 hour'", "'2100-01-01'", "TIMESTAMP '2100-01-01 00:00:00'", "DATE '2100-01-01'"]
    {
        assert_eq!(lake.rows(&format!("SELECT * FROM t AT (TIMESTAMP => {now})")).await, ["2|B"], "{now}");
    }
    let time = format!("(SELECT snapshot_time FROM snapshots() WHERE snapshot_id = {})", created + 1);
    assert_eq!(lake.rows(&format!("SELECT count(*) FROM t AT (TIMESTAMP => {time})")).await, ["2"]);
}

#[tokio::test]
async fn what_is_no_snapshot_is_told() {
    // The future, the time before the first commit, and values of the wrong kind.
    let lake = Lake::new();
    with_history(&lake).await;
    for (version, message) in [
        ("VERSION => 999999", "snapshot does not exist yet"),
        ("VERSION => 'x'", "whole number"),
        ("VERSION => NULL", "whole number"),
        ("VERSION => 1.5", "whole number"),
        ("VERSION => -1", "whole number"),
        ("VERSION => id", "not found"),
        ("TIMESTAMP => 5", "point in time"),
        ("TIMESTAMP => NULL", "point in time"),
        ("TIMESTAMP => 'no time'", "Conversion Error"),
        ("TIMESTAMP => '1971-01-01'", "snapshot"),
        ("NONSENSE => 1", "expected AT (VERSION => n)"),
    ] {
        let error = lake.error(&format!("SELECT * FROM t AT ({version})")).await;
        assert!(error.message.contains(message), "{version}: {error}");
        assert_eq!(error.kind, crate::QueryErrorKind::User, "{version}: {error}");
    }
}

#[tokio::test]
async fn snapshots_are_listed_with_what_was_said_of_them() {
    // One row per commit, in every database's name, with author, message and extra information of a transaction.
    let lake = Lake::new();
    let created = with_history(&lake).await;
    lake.run(
        "BEGIN; INSERT INTO t VALUES (5, 'x'); \
         CALL lake.set_commit_message('Ada', 'more ' || 'rows', extra_info => '{\"run\": 7}'); COMMIT",
    )
    .await;
    let answer = lake.run("SELECT * FROM lake.snapshots() ORDER BY snapshot_id").await;
    assert_eq!(
        answer.names(),
        ["snapshot_id", "snapshot_time", "schema_version", "changes", "author", "commit_message", "commit_extra_info"]
    );
    assert_eq!(answer.rows().len() as u64, lake.engine.snapshot().id().0);
    assert_eq!(
        lake.rows(
            "FROM snapshots() s SELECT author, commit_message, commit_extra_info ORDER BY s.snapshot_id DESC LIMIT 2"
        )
        .await,
        ["Ada|more rows|{\"run\": 7}", "NULL|NULL|NULL"]
    );
    assert_eq!(
        lake.rows(&format!("SELECT schema_version FROM snapshots() WHERE snapshot_id >= {created}")).await,
        ["2", "2", "2", "2", "2"]
    );
    let newest = lake.engine.snapshot().id().to_string();
    assert_eq!(lake.rows("SELECT current_snapshot()").await, [newest.as_str()]);
    assert_eq!(lake.rows("SELECT id FROM LAKE.current_snapshot()").await, [newest.as_str()]);
    let author = SessionSettings { author: Some("user:bob".into()), ..SessionSettings::default() };
    lake.run_with("INSERT INTO t VALUES (6, 'y')", author).await.unwrap();
    assert_eq!(lake.rows("SELECT author FROM snapshots() ORDER BY snapshot_id DESC LIMIT 1").await, ["user:bob"]);
}

#[tokio::test]
async fn changes_of_a_table_are_told_by_commit() {
    // All kinds, insertions and deletions alone, both ends included, by number or by time, with the columns as of the end.
    let lake = Lake::new();
    let created = with_history(&lake).await;
    let last = created + 3;
    let feed = |function: &str, from: u64, to: u64| {
        format!(
            "SELECT snapshot_id - {created} AS n, change_type, id, v FROM {function}('t', {from}, {to}) ORDER BY 1, 2, 3"
        )
    };
    let all = ["1|insert|1|a", "1|insert|2|b", "2|update_postimage|2|B", "2|update_preimage|2|b", "3|delete|1|a"];
    assert_eq!(lake.rows(&feed("table_changes", created, last)).await, all);
    assert_eq!(lake.rows(&feed("LAKE.table_changes", created + 2, created + 2)).await, all[2..4]);
    assert_eq!(lake.rows(&feed("table_insertions", created + 2, last)).await, ["2|update_postimage|2|B"]);
    assert_eq!(lake.rows(&feed("table_deletions", created, last)).await, ["2|update_preimage|2|b", "3|delete|1|a"]);
    lake.engine.flush().unwrap();
    assert_eq!(lake.rows(&feed("table_changes", created, last)).await, all);
    let sql = format!("SELECT count(*) FROM table_changes('main.\"T\"', {created}, now()) AS c WHERE c.id = 2");
    assert_eq!(lake.rows(&sql).await, ["3"]);
    lake.run("ALTER TABLE t ADD COLUMN w INTEGER DEFAULT 4").await;
    let sql = format!("SELECT * FROM table_changes('t', {last}, {last} + 1)");
    let answer = lake.run(&sql).await;
    assert_eq!(
        (answer.names(), answer.rows()),
        (vec!["snapshot_id", "change_type", "id", "v", "w"], vec![format!("{last}|delete|1|a|4")])
    );
    for (sql, message) in [
        ("SELECT * FROM table_changes('nope', 1, 2)", "Table with name nope does not exist!"),
        ("SELECT * FROM table_changes('t', 2, 1)", "the first snapshot is after the last"),
        ("SELECT * FROM table_changes('t', 1, 9999)", "snapshot does not exist yet"),
        ("SELECT * FROM table_changes('t')", "expected table_changes('table', from, to)"),
        ("SELECT * FROM table_changes(5, 1, 2)", "expected the name of a table"),
        ("SELECT * FROM table_changes('information_schema.tables', 1, 2)", "does not exist"),
    ] {
        let error = lake.error(sql).await;
        assert!(error.message.contains(message), "{sql}: {error}");
    }
}

#[tokio::test]
async fn a_commit_message_needs_a_transaction_and_json() {
    // Nothing to say it of, text that is no JSON, and other calls.
    let lake = Lake::new();
    for (sql, message) in [
        ("CALL set_commit_message('a', 'b')", "no transaction is active"),
        ("BEGIN; CALL set_commit_message('a', 'b', extra_info => '{')", "Malformed JSON"),
        ("BEGIN; CALL set_commit_message('a')", "expected set_commit_message"),
        ("CALL nothing()", "Table Function with name nothing does not exist!"),
        ("SELECT * FROM nope.snapshots()", "Catalog \"nope\" does not exist!"),
    ] {
        let error = lake.error(sql).await;
        assert!(error.message.contains(message), "{sql}: {error}");
    }
}
