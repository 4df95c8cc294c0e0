//! Configuration: flags, environment and a TOML file become one [`Config`].
//!
//! **Invariants**
//! 1. Every setting is one row of [`settings()`]; its flag, its environment variable and its key in the file follow from that row.
//! 2. A flag beats the environment, the environment beats the file, the file beats the default. Lists replace, they do not add up.
//! 3. An unknown key in the file, or a bad value anywhere, is an error that names the setting and where it came from, and never
//!    shows the value of a secret.
//!
//! It knows nothing of how the settings are used. Unknown `SILTSTONE_*` variables are not errors: container platforms invent such
//! names for a service called siltstone.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

mod settings;
#[cfg(test)]
mod tests;

pub use settings::{Arity, Setting, settings};

use crate::limits::BodyLimits;
use crate::machine;
use crate::sql::SqlLimits;
use crate::upload::UploadLimits;

const MIB: usize = 1 << 20;

/// Memory of queries where the system does not say how much there is.
const QUERY_MEMORY_BYTES: usize = 1024 * MIB;

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// What the Definite dialect does with a field that the table has no column for.
pub use siltstone_ingest::UnknownFields;

/// Every setting with its value.
#[derive(Clone, Debug)]
pub struct Config {
    /// The data directory.
    pub data: PathBuf,
    /// Address and port to listen on.
    pub listen: String,
    /// Users of this run: name and password.
    pub users: Vec<(String, Hidden)>,
    /// API keys of this run.
    pub api_keys: Vec<Hidden>,
    /// Whether anybody may do anything (loopback only).
    pub insecure_no_auth: bool,
    /// Catalog of unqualified names; exists from the start.
    pub default_catalog: String,
    /// Schema of unqualified names; exists from the start in every configured catalog.
    pub default_schema: String,
    /// Further catalogs that exist from the start.
    pub catalogs: Vec<String>,
    /// How log lines look.
    pub log_format: LogFormat,
    /// What is logged, as a filter directive (`info`, `siltstone=debug`).
    pub log_level: String,
    /// How long requests in flight may go on after a signal to stop.
    pub shutdown_timeout: Duration,
    /// Threads that serve requests; 0 is one per core.
    pub worker_threads: usize,
    /// Connections open at once; further ones wait.
    pub connections_max: usize,
    /// Bytes of large request bodies held at once, by all requests together.
    pub body_bytes_in_flight_max: usize,
    /// Whether `/metrics` wants credentials.
    pub metrics_auth: bool,
    /// `POST /append`.
    pub append: BodyLimits,
    /// Largest file of `POST /upload`, in bytes, before and after decompression.
    pub upload_file_bytes_max: u64,
    /// Bytes of one file's rows, as columns in memory, that are looked up by key at a time.
    pub upload_piece_bytes: usize,
    /// Files of `POST /upload` that are read at once.
    pub upload_files_at_once: usize,
    /// Where files are kept while they are read; `None` is `spool` in the data directory.
    pub upload_spool_folder: Option<PathBuf>,
    /// `POST /query`.
    pub query_body: BodyLimits,
    /// `POST /v2/stream`.
    pub stream: BodyLimits,
    /// Rows per `POST /v2/stream`.
    pub stream_rows_max: usize,
    /// Table of a `POST /v2/stream` that names none.
    pub stream_default_table: Option<String>,
    /// Fields without a column in `POST /v2/stream`.
    pub stream_unknown_columns: UnknownFields,
    /// Requests of one key per second to `POST /v2/stream`; 0 is no limit.
    pub stream_requests_per_second: u64,
    /// Rows of one key per second to `POST /v2/stream`; 0 is no limit.
    pub stream_rows_per_second: u64,
    /// Idempotency keys that are held at once.
    pub stream_idempotency_keys_max: usize,
    /// Bytes of one result of `POST /v1/query`.
    pub query_response_bytes_max: usize,
    /// Memory of all SQL together, in bytes.
    pub query_memory_bytes: usize,
    /// Memory of one query, in bytes; `None` is three quarters of [`Config::query_memory_bytes`].
    pub query_memory_bytes_per_query: Option<usize>,
    /// Queries that run at once; 0 is four per core, eight at least.
    pub query_concurrency: usize,
    /// Queries that wait for their turn.
    pub query_queue_max: usize,
    /// How long a query may wait for its turn.
    pub query_queue_wait: Duration,
    /// How long a query may take; zero is without end.
    pub query_timeout: Duration,
    /// Partitions of one query; 0 is one per core.
    pub query_parallelism: usize,
    /// Bytes that all queries together may spill.
    pub query_spill_bytes_max: u64,
    /// Where large queries spill; `None` is `spill` in the data directory.
    pub query_spill_folder: Option<PathBuf>,
    /// The folder whose files SQL may use; `None`: none.
    pub query_files_folder: Option<PathBuf>,
    /// Of the storage engine.
    pub storage: siltstone_storage::Options,
}

impl Default for Config {
    fn default() -> Self {
        let machine_memory = machine::memory_bytes().and_then(|bytes| usize::try_from(bytes).ok());
        Self {
            data: PathBuf::from("./siltstone-data"),
            listen: "127.0.0.1:7878".to_owned(),
            users: Vec::new(),
            api_keys: Vec::new(),
            insecure_no_auth: false,
            default_catalog: "LAKE".to_owned(),
            default_schema: "main".to_owned(),
            catalogs: Vec::new(),
            log_format: LogFormat::Text,
            log_level: "info".to_owned(),
            shutdown_timeout: Duration::from_secs(10),
            worker_threads: 0,
            connections_max: 10_000,
            body_bytes_in_flight_max: 512 * MIB,
            metrics_auth: false,
            append: BodyLimits { wire_bytes_max: 128 * MIB, decoded_bytes_max: 128 * MIB },
            upload_file_bytes_max: 100_000_000_000,
            upload_piece_bytes: 256 * MIB,
            upload_files_at_once: 2,
            upload_spool_folder: None,
            query_body: BodyLimits { wire_bytes_max: 32 * MIB, decoded_bytes_max: 32 * MIB },
            stream: BodyLimits { wire_bytes_max: 10 * MIB, decoded_bytes_max: 64 * MIB },
            stream_rows_max: 50_000,
            stream_default_table: None,
            stream_unknown_columns: UnknownFields::Add,
            stream_requests_per_second: 0,
            stream_rows_per_second: 0,
            stream_idempotency_keys_max: 1_000_000,
            query_response_bytes_max: 256 * MIB,
            query_memory_bytes: machine_memory.map_or(QUERY_MEMORY_BYTES, |bytes| bytes / 2),
            query_memory_bytes_per_query: None,
            query_concurrency: 0,
            query_queue_max: 100,
            query_queue_wait: Duration::from_secs(10),
            query_timeout: Duration::from_secs(60 * 60),
            query_parallelism: 0,
            query_spill_bytes_max: 32 << 30,
            query_spill_folder: None,
            query_files_folder: None,
            storage: siltstone_storage::Options {
                chunk_cache_bytes: machine_memory.unwrap_or_default() as u64 / 8,
                ..siltstone_storage::Options::default()
            },
        }
    }
}

impl Config {
    /// Where large queries spill.
    pub fn spill_folder(&self) -> PathBuf {
        self.query_spill_folder.clone().unwrap_or_else(|| self.data.join("spill"))
    }

    /// The bounds on files.
    pub fn upload_limits(&self) -> UploadLimits {
        UploadLimits {
            file_bytes_max: self.upload_file_bytes_max,
            piece_bytes: self.upload_piece_bytes,
            folder: self.upload_spool_folder.clone().unwrap_or_else(|| self.data.join("spool")),
            at_once: self.upload_files_at_once,
            disk_reserve_bytes: self.storage.disk_reserve_bytes,
        }
    }

    /// Memory of one query, in bytes.
    pub fn bytes_per_query(&self) -> usize {
        let all = self.query_memory_bytes;
        self.query_memory_bytes_per_query.unwrap_or(all / 4 * 3).min(all)
    }

    /// Bounds on queries, on a machine with so many cores.
    pub fn sql_limits(&self, cores: usize) -> SqlLimits {
        SqlLimits {
            running_max: if self.query_concurrency == 0 { (4 * cores).max(8) } else { self.query_concurrency },
            waiting_max: self.query_queue_max,
            wait: self.query_queue_wait,
            timeout: (!self.query_timeout.is_zero()).then_some(self.query_timeout),
        }
    }

    /// Every catalog that must exist, the default one first.
    pub fn all_catalogs(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.default_catalog.as_str()).chain(self.catalogs.iter().map(String::as_str))
    }
}

/// Why a configuration is refused: a sentence for the person who wrote it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

/// Values by key of a [`Setting`], as text, with where they came from. Later layers go on top of earlier ones.
#[derive(Debug, Default)]
pub struct Layers {
    values: BTreeMap<&'static str, (Vec<String>, String)>,
}

impl Layers {
    /// Puts one setting on top.
    pub fn put(&mut self, setting: &'static Setting, values: Vec<String>, origin: impl Into<String>) {
        self.values.insert(setting.key, (values, origin.into()));
    }

    /// The layer of a TOML file.
    ///
    /// # Errors
    /// When the text is not TOML or names a setting that does not exist.
    pub fn put_file(&mut self, text: &str, file: &str) -> Result<(), ConfigError> {
        let table = text
            .parse::<toml::Table>()
            .map_err(|error| ConfigError(format!("cannot read configuration {file}: {}", error.message())))?;
        self.put_table("", &table, file)
    }

    fn put_table(&mut self, prefix: &str, table: &toml::Table, file: &str) -> Result<(), ConfigError> {
        for (name, value) in table {
            let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            if let toml::Value::Table(inner) = value {
                self.put_table(&key, inner, file)?;
                continue;
            }
            let setting = settings()
                .find(|setting| setting.key == key && setting.in_file)
                .ok_or_else(|| ConfigError(format!("unknown setting `{key}` in {file}")))?;
            let values = toml_texts(value)
                .ok_or_else(|| ConfigError(format!("bad value for `{key}` in {file}: expected {}", setting.value)))?;
            self.put(setting, values, format!("in {file}"));
        }
        Ok(())
    }

    /// The layer of the environment; `lookup` gives a variable's value.
    pub fn put_environment(&mut self, lookup: impl Fn(&str) -> Option<String>) {
        for setting in settings() {
            let variable = setting.variable();
            if let Some(text) = lookup(&variable) {
                let values = match setting.arity {
                    Arity::Many => {
                        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
                    }
                    Arity::One | Arity::Switch => vec![text],
                };
                self.put(setting, values, format!("in the environment variable {variable}"));
            }
        }
    }

    /// The text of a setting, if any layer has it.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key).and_then(|(values, _)| values.last()).map(String::as_str)
    }

    /// The defaults with every layer applied.
    ///
    /// # Errors
    /// For a value that its setting does not take.
    pub fn build(&self) -> Result<Config, ConfigError> {
        let mut config = Config::default();
        for setting in settings() {
            if let Some((values, origin)) = self.values.get(setting.key) {
                (setting.apply)(&mut config, values).map_err(|expected| {
                    let shown = if setting.secret { String::new() } else { format!(", found {:?}", values.join(",")) };
                    ConfigError(format!("bad value for `{}` {origin}: expected {expected}{shown}", setting.key))
                })?;
            }
        }
        Ok(config)
    }
}

fn toml_texts(value: &toml::Value) -> Option<Vec<String>> {
    match value {
        toml::Value::Array(items) => items.iter().map(toml_text).collect(),
        scalar => toml_text(scalar).map(|text| vec![text]),
    }
}

fn toml_text(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(flag) => Some(flag.to_string()),
        _ => None,
    }
}
