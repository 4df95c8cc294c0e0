//! The table of settings: key, what it takes, what it does, and how its text becomes a value.

use std::path::PathBuf;
use std::time::Duration;

use super::{Config, Hidden, LogFormat, UnknownFields};

/// How many values a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// One; the last one given counts.
    One,
    /// Any number: a repeated flag, a comma list in the environment, an array in the file.
    Many,
    /// A flag without a value; `true` or `false` elsewhere.
    Switch,
}

/// One setting.
pub struct Setting {
    /// Key in the file, dots for tables.
    pub key: &'static str,
    /// Flag without the dashes.
    pub flag: &'static str,
    /// What the value is, for the help text.
    pub value: &'static str,
    /// Unit, default and effect.
    pub help: &'static str,
    /// How many values.
    pub arity: Arity,
    /// Whether the value must never be shown.
    pub secret: bool,
    /// Whether the file may hold it (all but the file's own path).
    pub in_file: bool,
    /// Sets it; the error says what was expected.
    pub apply: fn(&mut Config, &[String]) -> Result<(), String>,
}

impl std::fmt::Debug for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.key)
    }
}

impl Setting {
    /// The environment variable.
    pub fn variable(&self) -> String {
        format!("SILTSTONE_{}", self.key.replace('.', "_").to_ascii_uppercase())
    }
}

type Apply = fn(&mut Config, &[String]) -> Result<(), String>;

const fn one(key: &'static str, flag: &'static str, value: &'static str, help: &'static str, apply: Apply) -> Setting {
    Setting { key, flag, value, help, arity: Arity::One, secret: false, in_file: true, apply }
}

const fn many(key: &'static str, flag: &'static str, value: &'static str, help: &'static str, apply: Apply) -> Setting {
    Setting { arity: Arity::Many, ..one(key, flag, value, help, apply) }
}

const fn switch(key: &'static str, flag: &'static str, help: &'static str, apply: Apply) -> Setting {
    Setting { arity: Arity::Switch, ..one(key, flag, "BOOL", help, apply) }
}

/// Every setting, in the order of the help text.
pub static SETTINGS: &[Setting] = &[
    one("data", "data", "DIR", "Data directory (default ./siltstone-data)", |config, values| {
        config.data = PathBuf::from(last(values, "a folder")?);
        Ok(())
    }),
    one(
        "listen",
        "listen",
        "ADDR",
        "Address and port; port 0 takes a free one (default 127.0.0.1:7878)",
        |config, values| {
            let text = last(values, "ADDRESS:PORT")?;
            let port = text.rsplit_once(':').and_then(|(host, port)| (!host.is_empty()).then_some(port));
            port.and_then(|port| port.parse::<u16>().ok()).ok_or("ADDRESS:PORT")?;
            config.listen = text.to_owned();
            Ok(())
        },
    ),
    Setting {
        in_file: false,
        ..one("config", "config", "FILE", "TOML file with settings; flags and environment beat it", |_, _| Ok(()))
    },
    Setting {
        secret: true,
        ..many("users", "user", "NAME:PASSWORD", "A user with full access in this run; repeatable", |config, values| {
            config.users = values.iter().map(|text| user(text)).collect::<Result<_, _>>()?;
            Ok(())
        })
    },
    Setting {
        secret: true,
        ..many("api_keys", "api-key", "KEY", "An API key with full access in this run; repeatable", |config, values| {
            if values.iter().any(|key| key.is_empty() || key.contains(char::is_whitespace)) {
                return Err("a key without blanks".to_owned());
            }
            config.api_keys = values.iter().cloned().map(Hidden).collect();
            Ok(())
        })
    },
    switch(
        "insecure_no_auth",
        "insecure-no-auth",
        "No credentials at all; only on a loopback address",
        |config, values| {
            config.insecure_no_auth = boolean(values)?;
            Ok(())
        },
    ),
    one(
        "default_catalog",
        "default-catalog",
        "NAME",
        "Catalog of unqualified names (default LAKE)",
        |config, values| {
            config.default_catalog = name(last(values, NAME)?)?;
            Ok(())
        },
    ),
    one("default_schema", "default-schema", "NAME", "Schema of unqualified names (default main)", |config, values| {
        config.default_schema = name(last(values, NAME)?)?;
        Ok(())
    }),
    many(
        "catalogs",
        "catalog",
        "NAME",
        "A further catalog that exists from the start; repeatable",
        |config, values| {
            config.catalogs = values.iter().map(|text| name(text)).collect::<Result<_, _>>()?;
            Ok(())
        },
    ),
    one("log_format", "log-format", "text|json", "How log lines on stderr look (default text)", |config, values| {
        config.log_format = match last(values, "text or json")? {
            "text" => LogFormat::Text,
            "json" => LogFormat::Json,
            _ => return Err("text or json".to_owned()),
        };
        Ok(())
    }),
    one(
        "log_level",
        "log-level",
        "FILTER",
        "What is logged: error, warn, info, debug or a filter (default info)",
        |config, values| {
            let text = last(values, "a filter")?;
            tracing_subscriber::EnvFilter::try_new(text)
                .map_err(|_| "error, warn, info, debug, trace or a filter such as siltstone=debug".to_owned())?;
            config.log_level = text.to_owned();
            Ok(())
        },
    ),
    one(
        "shutdown_timeout_ms",
        "shutdown-timeout-ms",
        "MS",
        "How long requests may finish after a signal (default 10000)",
        |config, values| {
            config.shutdown_timeout = Duration::from_millis(number(values)?);
            Ok(())
        },
    ),
    one(
        "worker_threads",
        "worker-threads",
        "N",
        "Threads that serve requests; 0 is one per core (default 0)",
        |config, values| {
            config.worker_threads = number(values)?;
            Ok(())
        },
    ),
    one(
        "connections_max",
        "connections-max",
        "N",
        "Connections open at once; more wait (default 10000)",
        |config, values| {
            config.connections_max = positive(values)?;
            Ok(())
        },
    ),
    one(
        "body_bytes_in_flight_max",
        "body-bytes-in-flight-max",
        "BYTES",
        "Bytes of large request bodies held at once (default 512MiB)",
        |config, values| {
            config.body_bytes_in_flight_max = bytes(values)?;
            Ok(())
        },
    ),
    switch("metrics_auth", "metrics-auth", "Whether /metrics wants credentials (default false)", |config, values| {
        config.metrics_auth = boolean(values)?;
        Ok(())
    }),
    one(
        "append.body_bytes_max",
        "append-body-bytes-max",
        "BYTES",
        "Largest /append body, before and after decompression (default 128MiB)",
        |config, values| {
            config.append.wire_bytes_max = bytes(values)?;
            config.append.decoded_bytes_max = bytes(values)?;
            Ok(())
        },
    ),
    one(
        "upload.file_bytes_max",
        "upload-file-bytes-max",
        "BYTES",
        "Largest file of /upload, before and after decompression (default 100000000000)",
        |config, values| {
            config.upload_file_bytes_max = bytes(values)? as u64;
            Ok(())
        },
    ),
    one(
        "upload.commit_bytes_max",
        "upload-commit-bytes-max",
        "BYTES",
        "Rows of one file, in memory, that can be merged at once (default 256MiB)",
        |config, values| {
            config.upload_commit_bytes_max = bytes(values)?;
            Ok(())
        },
    ),
    one(
        "upload.files_at_once",
        "upload-files-at-once",
        "N",
        "Files of /upload that are read at once; more wait (default 2)",
        |config, values| {
            config.upload_files_at_once = positive(values)?;
            Ok(())
        },
    ),
    one(
        "upload.spool_folder",
        "upload-spool-folder",
        "DIR",
        "Where files are kept while they are read (default: spool in the data directory)",
        |config, values| {
            config.upload_spool_folder = Some(PathBuf::from(last(values, "a folder")?));
            Ok(())
        },
    ),
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
            config.query_memory_bytes = Some(bytes(values)?);
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
        "stream.max_body_bytes",
        "stream-max-body-bytes",
        "BYTES",
        "Largest /v2/stream body on the wire (default 10MiB)",
        |config, values| {
            config.stream.wire_bytes_max = bytes(values)?;
            Ok(())
        },
    ),
    one(
        "stream.max_decoded_bytes",
        "stream-max-decoded-bytes",
        "BYTES",
        "Largest /v2/stream body after decompression (default 64MiB)",
        |config, values| {
            config.stream.decoded_bytes_max = bytes(values)?;
            Ok(())
        },
    ),
    one(
        "stream.max_rows",
        "stream-max-rows",
        "N",
        "Most rows of one /v2/stream request (default 50000)",
        |config, values| {
            config.stream_rows_max = positive(values)?;
            Ok(())
        },
    ),
    one(
        "stream.default_table",
        "stream-default-table",
        "TABLE",
        "Table of /v2/stream requests that name none (default: none)",
        |config, values| {
            config.stream_default_table = Some(last(values, "namespace.table")?.to_owned());
            Ok(())
        },
    ),
    one(
        "stream.unknown_columns",
        "stream-unknown-columns",
        "add|ignore|reject",
        "Fields without a column in /v2/stream (default add)",
        |config, values| {
            config.stream_unknown_columns = match last(values, "add, ignore or reject")? {
                "add" => UnknownFields::Add,
                "ignore" => UnknownFields::Ignore,
                "reject" => UnknownFields::Reject,
                _ => return Err("add, ignore or reject".to_owned()),
            };
            Ok(())
        },
    ),
    one(
        "stream.requests_per_second",
        "stream-requests-per-second",
        "N",
        "Requests of one key per second to /v2/stream; 0 for no limit (default 0)",
        |config, values| {
            config.stream_requests_per_second = number(values)?;
            Ok(())
        },
    ),
    one(
        "stream.rows_per_second",
        "stream-rows-per-second",
        "N",
        "Rows of one key per second to /v2/stream; 0 for no limit (default 0)",
        |config, values| {
            config.stream_rows_per_second = number(values)?;
            Ok(())
        },
    ),
    one(
        "stream.idempotency_keys_max",
        "stream-idempotency-keys-max",
        "N",
        "Idempotency keys held at once, each for a day; further ones are refused (default 1000000)",
        |config, values| {
            config.stream_idempotency_keys_max = positive(values)?;
            Ok(())
        },
    ),
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

const NAME: &str = "a name of 1 to 255 characters";

fn last<'a>(values: &'a [String], expected: &str) -> Result<&'a str, String> {
    values.last().map(String::as_str).filter(|text| !text.is_empty()).ok_or_else(|| expected.to_owned())
}

fn user(text: &str) -> Result<(String, Hidden), String> {
    match text.split_once(':') {
        Some((name, password)) if !name.is_empty() && !password.is_empty() => {
            Ok((name.to_owned(), Hidden(password.to_owned())))
        }
        _ => Err("NAME:PASSWORD".to_owned()),
    }
}

fn name(text: &str) -> Result<String, String> {
    let reserved = text.eq_ignore_ascii_case(crate::system::DATABASE);
    let fits = !text.is_empty() && text.chars().count() <= 255 && !text.contains('\0');
    if fits && !reserved { Ok(text.to_owned()) } else { Err(format!("{NAME}, other than `system`")) }
}

fn boolean(values: &[String]) -> Result<bool, String> {
    match last(values, "true or false")?.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("true or false".to_owned()),
    }
}

fn number<T: std::str::FromStr>(values: &[String]) -> Result<T, String> {
    last(values, "a whole number")?.parse().map_err(|_| "a whole number".to_owned())
}

fn positive(values: &[String]) -> Result<usize, String> {
    number(values).ok().filter(|n| *n > 0).ok_or_else(|| "a whole number above 0".to_owned())
}

fn bytes(values: &[String]) -> Result<usize, String> {
    bytes_or_zero(values).and_then(|n| if n > 0 { Ok(n) } else { Err("a size above 0, such as 64MiB".to_owned()) })
}

/// `4096`, `64KiB`, `10MiB`, `2GiB`.
fn bytes_or_zero(values: &[String]) -> Result<usize, String> {
    const EXPECTED: &str = "a size such as 4096, 64KiB, 10MiB or 2GiB";
    let text = last(values, EXPECTED)?;
    let (digits, shift) = [("KiB", 10), ("MiB", 20), ("GiB", 30)]
        .into_iter()
        .find_map(|(suffix, shift)| text.strip_suffix(suffix).map(|digits| (digits, shift)))
        .unwrap_or((text, 0));
    let count: usize = digits.trim_end().parse().map_err(|_| EXPECTED.to_owned())?;
    count.checked_mul(1 << shift).filter(|bytes| *bytes <= 1 << 50).ok_or_else(|| EXPECTED.to_owned())
}
