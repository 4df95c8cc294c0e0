use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use super::retries::{Retries, Returned};
use super::{Answer, Refusal, parse};

fn answer(body: Vec<u8>, repeatable: bool) -> Answer {
    Answer { status: StatusCode::OK, retry_after_s: None, body: Bytes::from(body), repeatable }
}

fn body(returned: Returned) -> Option<usize> {
    match returned {
        Returned::Answer(answer) => Some(answer.body.len()),
        Returned::NotKept | Returned::Lost => None,
    }
}

/// Counts how often it runs, and answers with so many bytes after a while.
async fn run(runs: Arc<AtomicU32>, bytes: usize, repeatable: bool) -> Answer {
    runs.fetch_add(1, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(20)).await;
    answer(vec![b'x'; bytes], repeatable)
}

#[tokio::test]
async fn requests_of_one_number_run_once() {
    // Proves that those that come while it runs, and those that come later, get the one answer; other senders, numbers and bodies do not.
    let (retries, runs) = (Retries::default(), Arc::new(AtomicU32::new(0)));
    let ask = |sender: &'static str, id: &'static str, text: &'static [u8]| {
        let (retries, run) = (retries.clone(), run(Arc::clone(&runs), 10, false));
        async move { body(retries.join(sender, id, text, run).await) }
    };
    let both = tokio::join!(ask("a", "1", b"x"), ask("a", "1", b"x"), ask("a", "1", b"x"));
    assert_eq!((both, runs.load(Ordering::Relaxed)), ((Some(10), Some(10), Some(10)), 1));
    assert_eq!((ask("a", "1", b"x").await, runs.load(Ordering::Relaxed)), (Some(10), 1));
    for (sender, id, text) in [("b", "1", b"x"), ("a", "2", b"x"), ("a", "1", b"y")] {
        ask(sender, id, text).await;
    }
    assert_eq!(runs.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn a_request_goes_on_when_its_sender_has_gone() {
    // Proves that an attempt given up early is answered by the run that it began.
    let (retries, runs) = (Retries::default(), Arc::new(AtomicU32::new(0)));
    let first = retries.join("a", "1", b"x", run(Arc::clone(&runs), 7, false));
    assert!(tokio::time::timeout(Duration::from_millis(5), first).await.is_err(), "given up");
    let second = retries.join("a", "1", b"x", run(Arc::clone(&runs), 7, false)).await;
    assert_eq!((body(second), runs.load(Ordering::Relaxed)), (Some(7), 1));
}

#[tokio::test]
async fn what_is_not_kept_runs_again_only_if_it_does_no_harm() {
    // Proves that a large answer of a change is remembered as given, and that of a query is computed anew.
    let (retries, runs) = (Retries::default(), Arc::new(AtomicU32::new(0)));
    for (id, repeatable, expected) in [("read", true, Some(5 << 20)), ("change", false, None)] {
        for attempt in 0..2 {
            let run = run(Arc::clone(&runs), 5 << 20, repeatable);
            let returned = body(retries.join("a", id, b"x", run).await);
            assert_eq!(returned, if attempt == 0 { Some(5 << 20) } else { expected }, "{id}");
        }
    }
    assert_eq!(runs.load(Ordering::Relaxed), 3);
    // Many answers push out the oldest, whose request then still does not run again.
    for n in 0..12 {
        retries.join("a", &format!("n{n}"), b"x", run(Arc::clone(&runs), 3 << 20, false)).await;
    }
    let oldest = retries.join("a", "n0", b"x", run(Arc::clone(&runs), 1, false)).await;
    assert!(matches!(oldest, Returned::NotKept), "{oldest:?}");
    let newest = retries.join("a", "n11", b"x", run(Arc::clone(&runs), 1, false)).await;
    assert_eq!(body(newest), Some(3 << 20));
}

#[tokio::test]
async fn a_busy_server_is_asked_again() {
    // Proves that a refusal which says no more than "later" is not repeated to the one who asks later.
    let retries = Retries::default();
    let busy = async { Refusal::overloaded(StatusCode::TOO_MANY_REQUESTS, "busy").answer("1") };
    retries.join("a", "1", b"x", busy).await;
    assert_eq!(body(retries.join("a", "1", b"x", async { answer(vec![1], false) }).await), Some(1));
}

#[test]
fn requests_are_read_field_by_field() {
    // Proves what is refused with which status, and that unknown fields and nulls do no harm.
    let sql =
        |text: &str| parse(text.as_bytes(), "LAKE").map(|request| request.sql).map_err(|fault| fault.status.as_u16());
    assert_eq!(
        sql(r#"{"sql":"SELECT 1","persist":true,"integration_id":"lake","cube_query":null}"#),
        Ok("SELECT 1".into())
    );
    for (text, status) in [
        (r#"{"sql":"#, 400),
        ("7", 422),
        (r#"{"sql":"  "}"#, 422),
        (r#"{"sql":null}"#, 422),
        (r#"{"sql":"SELECT 1","cube_query":{}}"#, 422),
        (r#"{"sql":"SELECT 1","integration_id":"other"}"#, 404),
        (r#"{"sql":"SELECT 1","integration_id":{}}"#, 422),
    ] {
        assert_eq!(sql(text), Err(status), "{text}");
    }
}
