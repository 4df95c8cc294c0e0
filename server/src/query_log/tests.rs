use super::*;

fn origin(user: &str, id: u128, session: &str) -> Origin {
    Origin { query_id: Uuid::from_u128(id), session_id: session.to_owned(), ..Origin::new(user) }
}

#[test]
fn a_query_ends_once() {
    // Proves that what comes second changes nothing, whichever of the two ends it is.
    let log = QueryLog::default();
    let stopped = log.begin(origin("u", 1, "s"), "SELECT 1").expect("new");
    assert!(stopped.end().is_none());
    assert_eq!(log.cancel("u", Uuid::from_u128(1), "s"), Cancelled::Now);
    stopped.finish(None);
    assert!(stopped.end().and_then(|end| end.error).is_some_and(|error| error.contains("cancelled")));
    let finished = log.begin(origin("u", 2, "s"), "SELECT 2").expect("new");
    finished.finish(None);
    assert_eq!(log.cancel("u", Uuid::from_u128(2), "s"), Cancelled::Before);
    assert!(finished.end().is_some_and(|end| end.error.is_none()));
}

#[test]
fn queries_belong_to_users_and_sessions() {
    // Proves that others neither see nor stop them, and that a running id is taken, for its user alone.
    let log = QueryLog::default();
    let id = Uuid::from_u128(7);
    let entry = log.begin(origin("u", 7, "s"), "SELECT 1").expect("new");
    assert!(log.find("v", id).is_none());
    assert_eq!(log.cancel("v", id, "s"), Cancelled::Unknown);
    assert_eq!(log.cancel("u", id, "t"), Cancelled::OtherSession);
    assert_eq!(log.begin(origin("u", 7, "s"), "SELECT 2").err(), Some(InUse));
    log.begin(origin("v", 7, "s"), "SELECT 3").expect("another user's id");
    entry.finish(None);
    log.begin(origin("u", 7, "s"), "SELECT 4").expect("free again");
    assert_eq!(log.find("u", id).expect("replaced").statement, "SELECT 4");
}

#[test]
fn old_entries_go_and_running_ones_stay() {
    // Proves the bound on entries: the oldest finished one goes, a running one survives any number of newer ones.
    let log = QueryLog::default();
    let running = log.begin(origin("u", 0, "s"), "SELECT 0").expect("new");
    for id in 1..=ENTRIES_MAX as u128 + 5 {
        log.begin(origin("u", id, "s"), "x").expect("new").finish(None);
    }
    assert!(log.find("u", Uuid::from_u128(0)).is_some_and(|found| Arc::ptr_eq(&found, &running)));
    assert!(log.find("u", Uuid::from_u128(1)).is_none());
    assert!(log.find("u", Uuid::from_u128(ENTRIES_MAX as u128 + 5)).is_some());
    assert_eq!(log.inner.lock().order.len(), ENTRIES_MAX);
}

#[test]
fn statements_take_bounded_memory() {
    // Proves that one long statement is cut at a character, and that many do not add up.
    let log = QueryLog::default();
    let long = "é".repeat(STATEMENT_BYTES_MAX);
    for id in 0..100 {
        let entry = log.begin(origin("u", id, "s"), &long).expect("new");
        assert!(entry.statement.len() <= STATEMENT_BYTES_MAX && entry.statement.ends_with('é'));
        entry.finish(None);
    }
    assert!(log.inner.lock().text_bytes <= TEXT_BYTES_MAX);
}

#[tokio::test]
async fn a_worker_named_late_is_ended_only_if_its_query_was_stopped() {
    // Proves that a query which was over before its task was known still says that it is done.
    let log = QueryLog::default();
    let finished = log.begin(origin("u", 1, "s"), "SELECT 1").expect("new");
    finished.finish(None);
    let task = tokio::spawn(std::future::ready("done"));
    finished.set_worker(task.abort_handle());
    assert_eq!(task.await.expect("not ended"), "done");
    let stopped = log.begin(origin("u", 2, "s"), "SELECT 2").expect("new");
    assert!(stopped.stop(Stop::ClientGone));
    let task = tokio::spawn(std::future::pending::<()>());
    stopped.set_worker(task.abort_handle());
    assert!(task.await.expect_err("it never ends by itself").is_cancelled());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_sees_a_task_gone_knows_why() {
    // Proves that the reason for a stop is there before the task ends, however the threads run.
    let log = QueryLog::default();
    for id in 0..500 {
        let entry = log.begin(origin("u", id, "s"), "SELECT 1").expect("new");
        let task = tokio::spawn(std::future::pending::<()>());
        entry.set_worker(task.abort_handle());
        let stopper = tokio::task::spawn_blocking({
            let entry = Arc::clone(&entry);
            move || entry.stop(Stop::Cancelled)
        });
        assert!(task.await.expect_err("it never ends by itself").is_cancelled());
        assert_eq!(entry.stop_reason(), Some(Stop::Cancelled));
        assert!(stopper.await.expect("no panic"));
    }
}
