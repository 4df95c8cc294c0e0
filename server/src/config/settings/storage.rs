//! Settings of the storage engine.

use super::{Setting, bytes, bytes_or_zero, number, one};

/// In the order of the help text.
pub(super) const SETTINGS: &[Setting] = &[
    one(
        "storage.flush_bytes",
        "storage-flush-bytes",
        "BYTES",
        "Rows in memory at which a flush starts (default 128MiB)",
        |config, values| {
            config.storage.flush_bytes = bytes(values)? as u64;
            Ok(())
        },
    ),
    one(
        "storage.flush_log_bytes",
        "storage-flush-log-bytes",
        "BYTES",
        "Log bytes at which a flush starts (default 512MiB)",
        |config, values| {
            config.storage.flush_log_bytes = bytes(values)? as u64;
            Ok(())
        },
    ),
    one(
        "storage.memtable_bytes_max",
        "storage-memtable-bytes-max",
        "BYTES",
        "Rows in memory at which writers wait (default 512MiB)",
        |config, values| {
            config.storage.memtable_bytes_max = bytes(values)? as u64;
            Ok(())
        },
    ),
    one(
        "storage.chunk_cache_bytes",
        "storage-chunk-cache-bytes",
        "BYTES",
        "Decoded column chunks kept in memory, 0 for none (default: an eighth of the memory the process may use)",
        |config, values| {
            config.storage.chunk_cache_bytes = bytes(values)? as u64;
            Ok(())
        },
    ),
    one(
        "storage.commit_queue_bytes_max",
        "storage-commit-queue-bytes-max",
        "BYTES",
        "Bytes waiting to be committed before writes are refused (default 256MiB)",
        |config, values| {
            config.storage.commit_queue_bytes_max = bytes(values)? as u64;
            Ok(())
        },
    ),
    one(
        "storage.log_file_bytes",
        "storage-log-file-bytes",
        "BYTES",
        "Size of a log file (default 64MiB)",
        |config, values| {
            config.storage.log_file_bytes = bytes(values)? as u64;
            Ok(())
        },
    ),
    one(
        "storage.disk_reserve_bytes",
        "storage-disk-reserve-bytes",
        "BYTES",
        "Free disk space below which writes are refused (default 256MiB)",
        |config, values| {
            config.storage.disk_reserve_bytes = bytes_or_zero(values)? as u64;
            Ok(())
        },
    ),
    one(
        "storage.retention_hours",
        "storage-retention-hours",
        "HOURS",
        "How long earlier snapshots can be asked for (default 168)",
        |config, values| {
            const MS: u64 = 60 * 60 * 1000;
            let hours: u64 = number(values)?;
            config.storage.retention_ms = hours.checked_mul(MS).ok_or_else(|| "fewer hours".to_owned())?;
            Ok(())
        },
    ),
    one(
        "storage.compaction_bytes_per_second",
        "storage-compaction-bytes-per-second",
        "BYTES",
        "Bytes that compaction reads per second; 0 for no limit (default 128MiB)",
        |config, values| {
            config.storage.compaction_bytes_per_second = bytes_or_zero(values)? as u64;
            Ok(())
        },
    ),
];
