use std::time::{Duration, Instant};

use super::{Rates, SENDERS_SWEPT_AT};

fn at(start: Instant, ms: u64) -> Instant {
    start + Duration::from_millis(ms)
}

#[test]
fn requests_come_at_most_at_their_rate() {
    // Proves burst, refusal with the time to wait, refilling, and that senders do not share.
    let (rates, start) = (Rates::new(4, 0), Instant::now());
    let allowed = (0..10).filter(|_| rates.enter_at("a", start).is_ok()).count();
    assert_eq!(allowed, 4, "one second's worth at once");
    assert_eq!(rates.enter_at("a", start), Err(Duration::from_millis(250)));
    assert_eq!(rates.enter_at("b", start), Ok(()));
    let wait = rates.enter_at("a", at(start, 249)).expect_err("a millisecond early");
    assert!(wait <= Duration::from_millis(2), "{wait:?}");
    assert_eq!(rates.enter_at("a", at(start, 251)), Ok(()));
    let ten_seconds = (0..1_000).filter(|n| rates.enter_at("a", at(start, 251 + n * 10)).is_ok()).count();
    assert!((39..=41).contains(&ten_seconds), "{ten_seconds}");
}

#[test]
fn rows_may_be_overdrawn_once() {
    // Proves that a large request passes and is waited for afterwards, for as long as its rows are worth.
    let (rates, start) = (Rates::new(0, 100), Instant::now());
    assert_eq!(rates.enter_at("a", start), Ok(()));
    rates.count_rows_at("a", 1_100, start);
    let wait = rates.enter_at("a", start).expect_err("overdrawn");
    assert!((10_009..=10_011).contains(&wait.as_millis()), "{wait:?}");
    assert!(rates.enter_at("a", at(start, 9_990)).is_err());
    assert_eq!(rates.enter_at("a", at(start, 10_020)), Ok(()));
    assert_eq!(rates.enter_at("b", start), Ok(()));
}

#[test]
fn no_limit_remembers_nobody() {
    // Proves that 0 is no limit and costs nothing, and that idle senders are forgotten.
    let (none, start) = (Rates::new(0, 0), Instant::now());
    for n in 0..10_000 {
        assert_eq!(none.enter_at(&n.to_string(), start), Ok(()));
        none.count_rows_at("a", 1 << 40, start);
    }
    assert!(none.senders.lock().is_empty());
    let some = Rates::new(1, 1);
    for n in 0..10 * SENDERS_SWEPT_AT {
        assert_eq!(some.enter_at(&n.to_string(), at(start, 2 * n as u64)), Ok(()));
    }
    let held = some.senders.lock().len();
    assert!(held <= SENDERS_SWEPT_AT, "{held}");
}
