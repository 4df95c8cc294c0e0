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
    /// Whether column chunks of unordered identifiers get filters over their values. They cost about a byte per distinct value and make a
    /// look-up by equality skip nearly every row group that does not have the value. `true`.
    pub value_filters: bool,
    /// Bytes of decoded column chunks that are kept in memory for the next query; 0 keeps none. 0: who embeds the engine knows what else
    /// needs memory.
    pub chunk_cache_bytes: u64,
    /// Rows per segment at which a flush starts another file, and past which compaction merges no segments. 4 Mi: building a key index takes
    /// some 30 bytes a row.
    pub segment_rows_max: usize,
    /// Bytes past which compaction merges no segments. 512 MiB: seconds of work, and a table of a terabyte has a few thousand.
    pub segment_bytes_max: u64,
    /// How much larger compaction makes segments at a time. Eight: a row is rewritten six times between 2 KiB and `segment_bytes_max` at
    /// most, and there are at most eight segments per power of eight.
    pub compaction_fanout: u64,
    /// Dead rows in a hundred at which a segment is rewritten. 40: each row that dies then costs 1.5 rows written at most.
    pub compaction_dead_percent: u64,
    /// Bytes of segments that compactions read per second, and about as many that they write; 0 for no limit. 128 MiB: three times what
    /// a busy server flushes, and a fraction of what a disk and a core can do.
    pub compaction_bytes_per_second: u64,
    /// Threads that compact, each at another table. One: half of a small machine is enough.
    pub compaction_threads: usize,
    /// How long earlier snapshots can be asked for, in milliseconds; what only older ones show, compaction drops. Seven days: a mistake made
    /// before a weekend is found after it.
    pub retention_ms: u64,
    /// Bytes that stay free on the disk: below it commits are refused, so that housekeeping can go on.
    pub disk_reserve_bytes: u64,
    /// What keys are hashed with in a database made by this opening; `None`: random bytes of the system, as everywhere but in simulation.
    pub key_secret: Option<[u8; 16]>,
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
            value_filters: true,
            chunk_cache_bytes: 0,
            segment_rows_max: 4 << 20,
            segment_bytes_max: 512 * MIB,
            compaction_fanout: 8,
            compaction_dead_percent: 40,
            compaction_bytes_per_second: 128 * MIB,
            compaction_threads: 1,
            retention_ms: 7 * 24 * 60 * 60 * 1000,
            disk_reserve_bytes: 256 * MIB,
            key_secret: None,
            background: true,
        }
    }
}
