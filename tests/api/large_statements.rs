//! Statements that write more rows than are held in memory: each is one commit, alone and in a transaction.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Rows of about 100 bytes: 40 MB of them, which is past what goes through memory and log.
const ROWS: usize = 400_000;

fn count_and_sum(api: &siltstone_tests::Api, table: &str) -> Vec<Value> {
    api.rows(&format!("SELECT count(*), sum(id) FROM {table}")).remove(0)
}

fn commits(api: &siltstone_tests::Api) -> i64 {
    api.rows("SELECT count(*) FROM LAKE.snapshots()")[0][0].as_i64().expect("a number")
}

#[test]
fn large_statements_are_one_commit_each() {
    let server = siltstone_tests::Server::start(crate::launch());
    let api = server.api();
    let before = commits(&api);
    let made =
        api.rows(&format!("CREATE TABLE big AS SELECT range AS id, repeat('x', 80) || range AS v FROM range({ROWS})"));
    assert_eq!(made, [[json!(ROWS)]]);
    assert_eq!(api.rows("INSERT INTO big SELECT id + 400000, v FROM big"), [[json!(ROWS)]]);
    assert_eq!(api.rows("UPDATE big SET id = id + 1, v = upper(v)"), [[json!(2 * ROWS)]]);
    assert_eq!(api.rows("DELETE FROM big WHERE id > 600000"), [[json!(200_000)]]);
    api.rows("ALTER TABLE big ALTER COLUMN id TYPE DOUBLE");
    assert_eq!(commits(&api), before + 5);
    let expected = vec![json!(600_000), json!(600_000.0 * 600_001.0 / 2.0)];
    assert_eq!(count_and_sum(&api, "big"), expected);
    assert_eq!(api.rows("SELECT count(*) FROM big WHERE v LIKE 'XXX%'"), [[json!(600_000)]]);
    let server = server.kill_and_restart();
    assert_eq!(count_and_sum(&server.api(), "big"), expected);
}

#[test]
fn large_statements_are_parts_of_transactions() {
    // Contract 3.5: a script is atomic, with DDL inside and its own writes visible inside, whatever it writes.
    let server = siltstone_tests::Server::start(crate::launch());
    let api = server.api();
    let fill = format!("SELECT range AS id, repeat('x', 80) || range AS v FROM range({ROWS})");
    let script = format!(
        "BEGIN; CREATE TABLE staged AS {fill}; DELETE FROM staged WHERE id % 2 = 1;
         INSERT INTO staged SELECT id + 1, 'more' FROM staged WHERE id < 10;
         CREATE TABLE merged (id BIGINT PRIMARY KEY, v VARCHAR); INSERT INTO merged SELECT id, v FROM staged;
         INSERT OR REPLACE INTO merged SELECT id, 'new' FROM staged WHERE id < 100;
         ALTER TABLE staged DROP COLUMN v; SELECT count(*) FROM staged;"
    );
    let failed = api.query_error(&format!("{script} SELECT error('stop'); COMMIT;"));
    assert!(failed.contains("stop"), "{failed}");
    assert!(api.query_error("FROM staged").contains("does not exist"));

    let before = commits(&api);
    api.rows(&format!("{script} COMMIT;"));
    assert_eq!(commits(&api), before + 1);
    let evens: usize = (0..ROWS).step_by(2).sum();
    let odds = 1 + 3 + 5 + 7 + 9;
    let check = |api: &siltstone_tests::Api| {
        for table in ["staged", "merged"] {
            assert_eq!(count_and_sum(api, table), [json!(ROWS / 2 + 5), json!(evens + odds)], "{table}");
        }
        assert_eq!(api.rows("SELECT count(*) FROM merged WHERE v = 'new'"), [[json!(55)]]);
        assert!(api.query_error("INSERT INTO merged VALUES (398, 'again')").contains("Duplicate key"));
    };
    check(&api);
    let server = server.kill_and_restart();
    check(&server.api());
}

#[test]
fn a_large_statement_that_is_given_up_leaves_no_files() {
    // Its rows are in segments already when its time is over.
    let server = siltstone_tests::Server::start(crate::launch().arg("--query-timeout-ms").arg("6000"));
    let api = server.api();
    let segments = || {
        let files = server.data().files();
        files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "segment")).count()
    };
    let before = segments();
    let text = "repeat(md5(CAST(range AS VARCHAR)), 4)";
    let script = format!("BEGIN; CREATE TABLE endless AS SELECT {text} AS v FROM range(10000000000); COMMIT");
    let (failed, most) = std::thread::scope(|scope| {
        let failed = scope.spawn(|| api.query_error(&script));
        let mut most = before;
        while !failed.is_finished() {
            most = most.max(segments());
            std::thread::sleep(Duration::from_millis(20));
        }
        (failed.join().expect("an answer"), most)
    });
    assert!(failed.contains("cancelled"), "{failed}");
    assert!(most > before, "no segment was written");
    assert!(api.query_error("FROM endless").contains("does not exist"));
    let waited = Instant::now();
    while segments() > before {
        assert!(waited.elapsed() < Duration::from_secs(20), "{} segments are left", segments() - before);
        std::thread::sleep(Duration::from_millis(50));
    }
}
