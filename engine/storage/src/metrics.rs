//! Counters and gauges as plain numbers; whoever embeds the engine exports them.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{ErrorKind, Result};
use crate::write::GroupOutcome;

/// A reading of all of them. Counters are since open; names end in their unit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Metrics {
    /// Commits acknowledged.
    pub commits: u64,
    /// Rows acknowledged.
    pub rows: u64,
    /// Log syncs; `commits / syncs` is the size of a group.
    pub log_syncs: u64,
    /// Bytes written to the log.
    pub log_bytes_written: u64,
    /// Bytes of log files on disk.
    pub log_bytes: u64,
    /// Bytes of rows in memory, sealed ones included.
    pub memtable_bytes: u64,
    /// Bytes of decoded column chunks kept in memory.
    pub chunk_cache_bytes: u64,
    /// Rows in memory.
    pub memtable_rows: u64,
    /// Bytes of key indexes of rows in memory.
    pub key_index_bytes: u64,
    /// Flushes finished.
    pub flushes: u64,
    /// Live segments.
    pub segments: u64,
    /// Bytes of live segments.
    pub segment_bytes: u64,
    /// Rows in live segments.
    pub segment_rows: u64,
    /// Rows in live segments that were deleted and are kept for older snapshots, or until compaction drops them.
    pub deleted_rows: u64,
    /// Bytes that flushes wrote: segments, key indexes, delete vectors. With [`Metrics::compaction_bytes_written`] it says how often a byte is
    /// written.
    pub flush_bytes_written: u64,
    /// Compactions finished.
    pub compactions: u64,
    /// Compactions that failed.
    pub compaction_failures: u64,
    /// Bytes of segments that compactions read.
    pub compaction_bytes_read: u64,
    /// Bytes that compactions wrote: segments, key indexes, delete vectors.
    pub compaction_bytes_written: u64,
    /// Segments of the table that has the most.
    pub table_segments_max: u64,
    /// Bytes of live segments and their delete vectors, those of the table of commits included.
    pub live_bytes: u64,
    /// Bytes of segments that were replaced or dropped, and stay on disk for readers that hold an earlier snapshot.
    pub pinned_bytes: u64,
    /// The oldest snapshot that can be asked for.
    pub horizon: u64,
    /// Newest snapshot.
    pub snapshot: u64,
    /// Commits waiting for the committer.
    pub queued_commits: u64,
    /// Encoded bytes waiting for the committer.
    pub queued_bytes: u64,
}

/// The counters among [`Metrics`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    commits: AtomicU64,
    rows: AtomicU64,
    groups: AtomicU64,
    log_bytes_written: AtomicU64,
    log_bytes: AtomicU64,
    flushes: AtomicU64,
    flush_bytes_written: AtomicU64,
    compactions: AtomicU64,
    compaction_failures: AtomicU64,
    compaction_bytes_read: AtomicU64,
    compaction_bytes_written: AtomicU64,
}

impl Counters {
    /// `log_bytes`: of the live log after the group.
    pub(crate) fn group_committed(&self, outcome: &GroupOutcome, log_bytes: u64) {
        self.commits.fetch_add(outcome.commits, Ordering::Relaxed);
        self.rows.fetch_add(outcome.rows, Ordering::Relaxed);
        self.log_bytes_written.fetch_add(outcome.log_bytes, Ordering::Relaxed);
        self.groups.fetch_add(u64::from(outcome.commits > 0), Ordering::Relaxed);
        self.log_bytes.store(log_bytes, Ordering::Relaxed);
    }

    pub(crate) fn compaction_read(&self, bytes: u64) {
        self.compaction_bytes_read.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn compaction_done(&self, bytes: u64) {
        self.compactions.fetch_add(1, Ordering::Relaxed);
        self.compaction_bytes_written.fetch_add(bytes, Ordering::Relaxed);
    }

    /// `outcome`: of a step. One that was cut off by closing is no failure.
    pub(crate) fn compaction_ended(&self, outcome: &Result<bool>) {
        let failed = outcome.as_ref().is_err_and(|error| error.kind() != ErrorKind::Unavailable);
        self.compaction_failures.fetch_add(u64::from(failed), Ordering::Relaxed);
    }

    pub(crate) fn flush_written(&self, bytes: u64) {
        self.flush_bytes_written.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn flush_done(&self) {
        self.flushes.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Metrics {
        Metrics {
            commits: self.commits.load(Ordering::Relaxed),
            rows: self.rows.load(Ordering::Relaxed),
            log_syncs: self.groups.load(Ordering::Relaxed),
            log_bytes_written: self.log_bytes_written.load(Ordering::Relaxed),
            log_bytes: self.log_bytes.load(Ordering::Relaxed),
            flushes: self.flushes.load(Ordering::Relaxed),
            flush_bytes_written: self.flush_bytes_written.load(Ordering::Relaxed),
            compactions: self.compactions.load(Ordering::Relaxed),
            compaction_failures: self.compaction_failures.load(Ordering::Relaxed),
            compaction_bytes_read: self.compaction_bytes_read.load(Ordering::Relaxed),
            compaction_bytes_written: self.compaction_bytes_written.load(Ordering::Relaxed),
            ..Metrics::default()
        }
    }
}
