//! Counters and gauges as plain numbers; whoever embeds the engine exports them.

use std::sync::atomic::{AtomicU64, Ordering};

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
    /// Bytes written to segments by flushes.
    pub flush_bytes_written: u64,
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

    pub(crate) fn segment_written(&self, bytes: u64) {
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
            ..Metrics::default()
        }
    }
}
