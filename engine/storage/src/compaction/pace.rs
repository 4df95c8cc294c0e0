//! Holds compaction to a number of bytes per second.

use crate::clock;

/// Bytes that may be used at once after a pause, in seconds of the rate.
const BURST_SECONDS: u64 = 1;

/// A bucket that fills with time and may be overdrawn: whoever does waits until it is full again to zero.
#[derive(Debug)]
pub(crate) struct Pace {
    bytes_per_second: u64,
    /// What may be used; negative after more was.
    bytes: i64,
    filled_us: i64,
}

impl Pace {
    /// Zero is no limit.
    pub(crate) fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second, bytes: 0, filled_us: clock::now_us() }
    }

    /// Uses bytes; returns how long to wait before going on, in microseconds.
    pub(crate) fn wait_us(&mut self, bytes: u64) -> u64 {
        if self.bytes_per_second == 0 {
            return 0;
        }
        self.fill(clock::now_us());
        self.bytes = self.bytes.saturating_sub(i64::try_from(bytes).unwrap_or(i64::MAX));
        let owed = u128::from(self.bytes.min(0).unsigned_abs());
        u64::try_from(owed * 1_000_000 / u128::from(self.bytes_per_second)).unwrap_or(u64::MAX)
    }

    /// A clock set back, or far ahead, neither takes away nor gives more than a burst.
    fn fill(&mut self, now_us: i64) {
        let elapsed_us = u128::from(now_us.saturating_sub(self.filled_us).max(0).unsigned_abs());
        let most = i64::try_from(self.bytes_per_second.saturating_mul(BURST_SECONDS)).unwrap_or(i64::MAX);
        let gained = i64::try_from(elapsed_us * u128::from(self.bytes_per_second) / 1_000_000).unwrap_or(i64::MAX);
        self.bytes = self.bytes.saturating_add(gained).min(most);
        self.filled_us = now_us;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::simulated::set_clock_us;

    /// Bytes past the rate are waited for; a pause gives a second's worth and no more; a clock set back costs nothing.
    #[test]
    fn waits_follow_the_rate() {
        set_clock_us(Some(0));
        let mut pace = Pace::new(1_000_000);
        assert_eq!(pace.wait_us(500_000), 500_000);
        set_clock_us(Some(500_000));
        assert_eq!(pace.wait_us(0), 0);
        set_clock_us(Some(60_000_000));
        assert_eq!(pace.wait_us(1_000_000), 0);
        assert_eq!(pace.wait_us(10), 10);
        set_clock_us(Some(0));
        assert_eq!(pace.wait_us(10), 20);
        assert_eq!(Pace::new(0).wait_us(u64::MAX), 0);
        set_clock_us(None);
    }
}
