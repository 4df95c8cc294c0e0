//! Sessions that live across requests.

use super::*;
use crate::SqlSession;

async fn rows(session: &mut SqlSession, sql: &str, settings: SessionSettings) -> Result<Vec<String>, QueryError> {
    let mut output = session.run(sql, settings).await?;
    let mut batches = Vec::new();
    while let Some(batch) = output.batches.next().await {
        batches.push(batch?);
    }
    Ok(Answer { schema: output.schema, kind: output.kind, batches }.rows())
}

#[tokio::test]
async fn what_statements_set_stays_and_what_a_request_brings_does_not() {
    // USE and SET hold for later requests; catalog, schema and time zone of a request hold for that one, even if it fails.
    let lake = Lake::new();
    lake.run("CREATE SCHEMA other; CREATE DATABASE second").await;
    let mut session = lake.query.session();
    let plain = SessionSettings::default;
    let place = "SELECT current_database(), current_schema(), current_setting('TimeZone')";
    assert!(session.is_pristine());
    rows(&mut session, "USE other; SET TimeZone = 'Europe/Paris'", plain()).await.unwrap();
    assert!(!session.is_pristine());
    assert_eq!(rows(&mut session, place, plain()).await.unwrap(), ["LAKE|other|Europe/Paris"]);
    let brought = SessionSettings {
        database: Some("second".to_owned()),
        timezone: Some("Asia/Tokyo".to_owned()),
        ..SessionSettings::default()
    };
    assert_eq!(rows(&mut session, place, brought.clone()).await.unwrap(), ["second|main|Asia/Tokyo"]);
    assert_eq!(session.timezone(), "Asia/Tokyo");
    rows(&mut session, "SELECT nonsense", brought).await.unwrap_err();
    assert_eq!(rows(&mut session, place, plain()).await.unwrap(), ["LAKE|other|Europe/Paris"]);
    let missing = SessionSettings { schema: Some("missing".to_owned()), ..SessionSettings::default() };
    assert!(rows(&mut session, place, missing).await.unwrap_err().message.contains("missing"));
    assert_eq!(rows(&mut session, place, plain()).await.unwrap(), ["LAKE|other|Europe/Paris"]);
}

#[tokio::test]
async fn a_transaction_spans_requests() {
    // BEGIN in one call, COMMIT in another; nobody else sees what is between; a failure rolls back.
    let lake = Lake::new();
    lake.run("CREATE TABLE t (a INTEGER)").await;
    let mut session = lake.query.session();
    let plain = SessionSettings::default;
    rows(&mut session, "BEGIN; INSERT INTO t VALUES (1)", plain()).await.unwrap();
    assert!(session.has_transaction() && !session.is_pristine());
    assert_eq!(rows(&mut session, "SELECT * FROM t", plain()).await.unwrap(), ["1"]);
    assert_eq!(lake.rows("SELECT count(*) FROM t").await, ["0"]);
    rows(&mut session, "COMMIT", plain()).await.unwrap();
    assert_eq!(lake.rows("SELECT count(*) FROM t").await, ["1"]);
    rows(&mut session, "BEGIN; INSERT INTO t VALUES (2)", plain()).await.unwrap();
    rows(&mut session, "SELECT nonsense FROM t", plain()).await.unwrap_err();
    assert!(!session.has_transaction());
    rows(&mut session, "BEGIN; INSERT INTO t VALUES (3)", plain()).await.unwrap();
    session.roll_back();
    assert_eq!(lake.rows("SELECT count(*) FROM t").await, ["1"]);
}

#[tokio::test]
async fn a_watch_tells_how_far_a_query_is() {
    // Rows to read are known before the first one is read, and all are read at the end.
    let lake = Lake::new();
    lake.run("CREATE TABLE t AS SELECT * FROM (VALUES (1), (2), (3)) AS v(a)").await;
    let mut session = lake.query.session();
    let mut output = session.run("SELECT a FROM t ORDER BY a", SessionSettings::default()).await.unwrap();
    let watch = output.watch.clone().unwrap();
    let before = watch.figures();
    assert_eq!((before.rows_read, before.rows_to_read, before.rows_expected), (0, 3, Some(3)));
    while let Some(batch) = output.batches.next().await {
        batch.unwrap();
    }
    let after = watch.figures();
    assert_eq!((after.rows_read, after.rows_to_read), (3, 3));
    assert!(after.memory_bytes_peak > 0);
}
