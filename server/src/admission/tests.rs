use super::*;

#[tokio::test]
async fn places_are_bounded_and_taken_in_order() {
    // Proves both bounds, that a waiting ticket runs when one ends, and that it gives up in time when none does.
    let gate = Admission::new(1, 1, Duration::from_millis(200));
    let mut first = gate.ticket().expect("free");
    first.admitted().await.expect("nobody else runs");
    let mut second = gate.ticket().expect("may wait");
    assert!(gate.ticket().is_none());
    assert_eq!(gate.counts(), (1, 1));
    assert_eq!(second.admitted().await, Err(Waited { wait_ms: 200 }));
    let waiting = tokio::spawn(async move {
        let outcome = second.admitted().await;
        (outcome, second)
    });
    tokio::task::yield_now().await;
    drop(first);
    let (outcome, second) = waiting.await.expect("no panic");
    assert_eq!(outcome, Ok(()));
    drop(second);
    assert_eq!(gate.counts(), (0, 0));
}
