//! Settings of SQL: memory, spilling, how many queries run and for how long.

use std::path::PathBuf;
use std::time::Duration;

use super::{Setting, bytes, last, number, one};

/// In the order of the help text.
pub(super) const SETTINGS: &[Setting] = &[
    one(
        "query.body_bytes_max",
        "query-body-bytes-max",
        "BYTES",
        "Largest /query body, before and after decompression (default 32MiB)",
        |config, values| {
            config.query_body.wire_bytes_max = bytes(values)?;
            config.query_body.decoded_bytes_max = bytes(values)?;
            Ok(())
        },
    ),
    one(
        "query.memory_bytes",
        "query-memory-bytes",
        "BYTES",
        "Memory of all queries together; past it they spill (default: half of the memory the process may use)",
        |config, values| {
            config.query_memory_bytes = bytes(values)?;
            Ok(())
        },
    ),
    one(
        "query.max_response_bytes",
        "query-max-response-bytes",
        "BYTES",
        "Largest result of /v1/query (default 256MiB)",
        |config, values| {
            config.query_response_bytes_max = bytes(values)?;
            Ok(())
        },
    ),
    one(
        "query.memory_bytes_per_query",
        "query-memory-bytes-per-query",
        "BYTES",
        "Memory of one query (default: three quarters of query.memory_bytes)",
        |config, values| {
            config.query_memory_bytes_per_query = Some(bytes(values)?);
            Ok(())
        },
    ),
    one(
        "query.concurrency",
        "query-concurrency",
        "N",
        "Queries that run at once; 0 is four per core, eight at least (default 0)",
        |config, values| {
            config.query_concurrency = number(values)?;
            Ok(())
        },
    ),
    one(
        "query.queue_max",
        "query-queue-max",
        "N",
        "Queries that wait for their turn; past it 429 (default 100)",
        |config, values| {
            config.query_queue_max = number(values)?;
            Ok(())
        },
    ),
    one(
        "query.queue_wait_ms",
        "query-queue-wait-ms",
        "MS",
        "How long a query waits for its turn (default 10000)",
        |config, values| {
            config.query_queue_wait = Duration::from_millis(number(values)?);
            Ok(())
        },
    ),
    one(
        "query.timeout_ms",
        "query-timeout-ms",
        "MS",
        "How long a query may take, waiting included; 0 is without end (default 3600000)",
        |config, values| {
            config.query_timeout = Duration::from_millis(number(values)?);
            Ok(())
        },
    ),
    one(
        "query.parallelism",
        "query-parallelism",
        "N",
        "Partitions of one query; 0 is one per core (default 0)",
        |config, values| {
            config.query_parallelism = number(values)?;
            Ok(())
        },
    ),
    one(
        "query.spill_bytes_max",
        "query-spill-bytes-max",
        "BYTES",
        "Bytes that all queries together may spill (default 32GiB)",
        |config, values| {
            config.query_spill_bytes_max = bytes(values)? as u64;
            Ok(())
        },
    ),
    one(
        "query.spill_folder",
        "query-spill-folder",
        "DIR",
        "Where large queries spill (default: spill in the data directory)",
        |config, values| {
            config.query_spill_folder = Some(PathBuf::from(last(values, "a folder")?));
            Ok(())
        },
    ),
    one(
        "query.files_folder",
        "query-files-folder",
        "DIR",
        "The folder whose files SQL may read and write (default: none)",
        |config, values| {
            config.query_files_folder = Some(PathBuf::from(last(values, "a folder")?));
            Ok(())
        },
    ),
];
