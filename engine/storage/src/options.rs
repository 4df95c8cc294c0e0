//! Every limit and tuning value, with its unit, its default and the reason for the default.

/// How an engine behaves. `Options::default()` suits a server.
#[derive(Clone, Debug)]
pub struct Options {
    /// Rows in memory, in bytes, past which a flush starts. 128 MiB: some 500,000 wide events, a segment worth writing.
    pub flush_bytes: u64,
    /// Log bytes past which a flush starts, so that a restart never replays more. 512 MiB: about a second of replay.
    pub flush_log_bytes: u64,
    /// Rows in memory, in bytes, past which commits wait for a flush. Four times `flush_bytes`: room for the flush under way.
    pub memtable_bytes_max: u64,
    /// Encoded bytes that may wait for the committer; past it a commit is refused as `Exhausted`.
    pub commit_queue_bytes_max: u64,
    /// Size of a log file. 64 MiB: preallocation takes well under a second, recycling is frequent enough.
    pub log_file_bytes: u64,
    /// Log files kept for reuse once their records are in segments.
    pub log_spare_files_max: usize,
    /// Rows per row group. 65,536: a BIGINT chunk is 512 KiB, large enough to stream and small enough to skip.
    pub row_group_rows: usize,
    /// Rows per segment at which a flush starts another file.
    pub segment_rows_max: usize,
    /// Bytes that stay free on the disk: below it commits are refused, so that housekeeping can go on.
    pub disk_reserve_bytes: u64,
    /// Whether the engine runs its own threads. `false`: commits run on the caller's thread and jobs by [`crate::Engine::flush`],
    /// for simulation and small embedded uses.
    pub background: bool,
}

impl Default for Options {
    fn default() -> Self {
        const MIB: u64 = 1 << 20;
        Self {
            flush_bytes: 128 * MIB,
            flush_log_bytes: 512 * MIB,
            memtable_bytes_max: 512 * MIB,
            commit_queue_bytes_max: 256 * MIB,
            log_file_bytes: 64 * MIB,
            log_spare_files_max: 4,
            row_group_rows: 65_536,
            segment_rows_max: 4 << 20,
            disk_reserve_bytes: 256 * MIB,
            background: true,
        }
    }
}
