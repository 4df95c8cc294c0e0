//! Session settings and the shapes of statements without rows.

use super::*;

#[tokio::test]
async fn set_and_use_answer_success_without_rows() {
    // DuckDB's shape: one BOOLEAN column.
    let lake = Lake::new();
    for sql in ["SET TimeZone = 'Europe/Berlin'", "USE lake", "USE lake.main"] {
        let answer = lake.run(sql).await;
        assert_eq!(
            (answer.kind, answer.names(), answer.rows().len()),
            (OutputKind::Nothing, vec!["Success"], 0),
            "{sql}"
        );
        assert_eq!(answer.types(), ["BOOLEAN"], "{sql}");
    }
}

#[tokio::test]
async fn the_time_zone_of_the_session_decides_local_times() {
    // By request and by SET; an instant's wall clock follows it.
    let lake = Lake::new();
    let settings = SessionSettings { timezone: Some("America/New_York".into()), ..SessionSettings::default() };
    assert_eq!(
        lake.run_with("SELECT current_setting('timezone')", settings).await.unwrap().rows(),
        ["America/New_York"]
    );
    assert_eq!(lake.rows("SET TimeZone = 'Asia/Tokyo'; SELECT current_setting('TimeZone')").await, ["Asia/Tokyo"]);
    assert_eq!(lake.rows("SHOW timezone").await, ["UTC"]);
    let zone = SessionSettings { timezone: Some("nope".into()), ..SessionSettings::default() };
    assert!(lake.run_with("SELECT 1", zone).await.is_err());
}

#[tokio::test]
async fn the_last_statement_is_the_result() {
    // Several statements run in order.
    let lake = Lake::new();
    assert_eq!(lake.rows("CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1); SELECT a + 1 FROM t;").await, ["2"]);
}
