//! How fast each sender may go: token buckets, one pair per sender.
//!
//! **Invariants**
//! 1. Who is refused has done nothing yet, and is told after how many seconds it may go on.
//! 2. Rows are counted after they are known, so that a sender may overdraw once, by one request; it then waits until that is made up for.
//!    On average nobody goes faster than allowed, nor in a burst by more than one second's worth and one request.
//! 3. Senders with full buckets are forgotten: memory follows those who were active lately.
//!
//! It does not know what a request is, nor what a sender is called in any dialect.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Senders after which those with full buckets are forgotten.
const SENDERS_SWEPT_AT: usize = 1_024;

/// Longest wait that is asked for.
const WAIT_MAX: Duration = Duration::from_secs(3_600);

/// What fills up with time and is emptied by use; below zero it is overdrawn.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// Fills up until now, to at most one second's worth.
    fn fill(&mut self, per_second: f64, now: Instant) {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + since * per_second).min(per_second.max(1.0));
        self.at = now;
    }

    /// How long until there are so many tokens.
    fn wait(&self, tokens: f64, per_second: f64) -> Duration {
        let seconds = (tokens - self.tokens) / per_second;
        Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(WAIT_MAX).min(WAIT_MAX)
    }
}

#[derive(Clone, Copy, Debug)]
struct Buckets {
    requests: Bucket,
    rows: Bucket,
}

/// Limits of every sender's pace, and where each stands.
#[derive(Debug)]
pub struct Rates {
    requests_per_second: Option<f64>,
    rows_per_second: Option<f64>,
    senders: Mutex<HashMap<String, Buckets>>,
}

impl Rates {
    /// 0 is no limit.
    pub fn new(requests_per_second: u64, rows_per_second: u64) -> Self {
        let limit = |count: u64| (count > 0).then_some(count as f64);
        Self {
            requests_per_second: limit(requests_per_second),
            rows_per_second: limit(rows_per_second),
            senders: Mutex::default(),
        }
    }

    /// Lets a sender's request in.
    ///
    /// # Errors
    /// How long it has to wait first.
    pub fn enter(&self, sender: &str) -> Result<(), Duration> {
        self.enter_at(sender, Instant::now())
    }

    /// Counts rows of a request that was let in.
    pub fn count_rows(&self, sender: &str, rows: usize) {
        self.count_rows_at(sender, rows, Instant::now());
    }

    fn enter_at(&self, sender: &str, now: Instant) -> Result<(), Duration> {
        if self.requests_per_second.is_none() && self.rows_per_second.is_none() {
            return Ok(());
        }
        let mut senders = self.senders.lock();
        if senders.len() >= SENDERS_SWEPT_AT && !senders.contains_key(sender) {
            senders.retain(|_, buckets| !self.is_full(buckets, now));
        }
        let buckets = self.filled(&mut senders, sender, now);
        if let Some(rate) = self.rows_per_second.filter(|_| buckets.rows.tokens <= 0.0) {
            return Err(buckets.rows.wait(1.0, rate));
        }
        if let Some(rate) = self.requests_per_second {
            if buckets.requests.tokens < 1.0 {
                return Err(buckets.requests.wait(1.0, rate));
            }
            buckets.requests.tokens -= 1.0;
        }
        Ok(())
    }

    fn count_rows_at(&self, sender: &str, rows: usize, now: Instant) {
        if self.rows_per_second.is_some() {
            let mut senders = self.senders.lock();
            self.filled(&mut senders, sender, now).rows.tokens -= rows as f64;
        }
    }

    fn filled<'s>(&self, senders: &'s mut HashMap<String, Buckets>, sender: &str, now: Instant) -> &'s mut Buckets {
        let rates = [self.requests_per_second.unwrap_or(0.0), self.rows_per_second.unwrap_or(0.0)];
        let full = |rate: f64| Bucket { tokens: rate.max(1.0), at: now };
        let buckets = senders
            .entry(sender.to_owned())
            .or_insert_with(|| Buckets { requests: full(rates[0]), rows: full(rates[1]) });
        buckets.requests.fill(rates[0], now);
        buckets.rows.fill(rates[1], now);
        buckets
    }

    fn is_full(&self, buckets: &Buckets, now: Instant) -> bool {
        let full = |bucket: Bucket, rate: Option<f64>| {
            rate.is_none_or(|rate| {
                let mut bucket = bucket;
                bucket.fill(rate, now);
                bucket.tokens >= rate.max(1.0)
            })
        };
        full(buckets.requests, self.requests_per_second) && full(buckets.rows, self.rows_per_second)
    }
}

#[cfg(test)]
mod tests;
