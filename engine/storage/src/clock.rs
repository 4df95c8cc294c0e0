//! The only source of time.

use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since 1970-01-01 UTC; 0 for a clock set before that.
pub(crate) fn now_us() -> i64 {
    #[cfg(any(test, feature = "sim"))]
    if let Some(time_us) = simulated::now_us() {
        return time_us;
    }
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_micros() as i64)
}

/// A clock that a test sets, for the engine that runs on its thread.
#[cfg(any(test, feature = "sim"))]
pub(crate) mod simulated {
    use std::cell::Cell;

    thread_local! {
        static NOW_US: Cell<Option<i64>> = const { Cell::new(None) };
    }

    pub(super) fn now_us() -> Option<i64> {
        NOW_US.get()
    }

    /// Sets the time that the engine sees on this thread, in microseconds since 1970-01-01 UTC; `None` is the real time.
    pub fn set_clock_us(time_us: Option<i64>) {
        NOW_US.set(time_us);
    }
}
