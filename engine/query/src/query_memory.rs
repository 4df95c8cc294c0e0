//! Memory of queries: a share for each, out of a budget for all.
//!
//! **Invariants**
//! 1. What all queries reserve stays within the budget, and what one reserves within its share, but for the few bytes that
//!    operators must have ([`MemoryPool::grow`]).
//! 2. Within a query, operators that can spill get equal parts of what the others leave.
//! 3. A query that cannot grow spills or fails by itself; no other query is touched.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::resources_datafusion_err;
use datafusion::error::Result;
use datafusion::execution::memory_pool::{FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};

/// The budget of all queries of an engine.
#[derive(Debug)]
pub(crate) struct SharedMemory {
    bytes_max: usize,
    bytes: AtomicUsize,
}

impl SharedMemory {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, bytes: AtomicUsize::new(0) }
    }

    fn try_take(&self, bytes: usize) -> bool {
        let fits = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.bytes_max);
        self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }
}

/// The share of one query.
#[derive(Debug)]
pub(crate) struct QueryMemory {
    share: FairSpillPool,
    shared: Arc<SharedMemory>,
    bytes: AtomicUsize,
    bytes_peak: AtomicUsize,
}

impl QueryMemory {
    /// A share of at most `bytes_max`.
    pub(crate) fn new(bytes_max: usize, shared: Arc<SharedMemory>) -> Self {
        let share = FairSpillPool::new(bytes_max.min(shared.bytes_max));
        Self { share, shared, bytes: AtomicUsize::new(0), bytes_peak: AtomicUsize::new(0) }
    }

    /// Most bytes that were reserved at once.
    pub(crate) fn bytes_peak(&self) -> usize {
        self.bytes_peak.load(Ordering::Relaxed)
    }

    fn grew(&self, bytes: usize) {
        let now = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.bytes_peak.fetch_max(now, Ordering::Relaxed);
    }
}

impl MemoryPool for QueryMemory {
    fn name(&self) -> &str {
        "query"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.share.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.share.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.share.grow(reservation, additional);
        self.shared.bytes.fetch_add(additional, Ordering::Relaxed);
        self.grew(additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.share.shrink(reservation, shrink);
        self.shared.bytes.fetch_sub(shrink, Ordering::Relaxed);
        self.bytes.fetch_sub(shrink, Ordering::Relaxed);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.share.try_grow(reservation, additional)?;
        if !self.shared.try_take(additional) {
            self.share.shrink(reservation, additional);
            return Err(resources_datafusion_err!(
                "failed to allocate {additional} bytes: other queries hold the rest of the {} bytes for all queries",
                self.shared.bytes_max
            ));
        }
        self.grew(additional);
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.share.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.share.memory_limit()
    }
}

impl fmt::Display for QueryMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.share)
    }
}

#[cfg(test)]
mod tests;
