//! Counters and gauges as plain numbers; whoever embeds the engine exports them.

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
    /// Flushes finished.
    pub flushes: u64,
    /// Live segments.
    pub segments: u64,
    /// Bytes of live segments.
    pub segment_bytes: u64,
    /// Rows in live segments.
    pub segment_rows: u64,
    /// Newest snapshot.
    pub snapshot: u64,
    /// Commits waiting for the committer.
    pub queued_commits: u64,
    /// Encoded bytes waiting for the committer.
    pub queued_bytes: u64,
}
