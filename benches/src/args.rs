//! Arguments of `siltstone-load`, checked before anything is sent.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::LoadError;

/// Which API carries the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Dialect {
    /// `POST /append`.
    Append,
    /// `POST /v2/stream`.
    Stream,
}

impl Dialect {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Stream => "stream",
        }
    }
}

/// A table name of plain parts: letters, digits and underscores, so that it is the same in SQL, JSON and a query string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName {
    /// Catalog.
    pub catalog: String,
    /// Schema.
    pub schema: String,
    /// Table.
    pub table: String,
}

impl TableName {
    /// `schema.table`.
    pub fn two_parts(&self) -> String {
        format!("{}.{}", self.schema, self.table)
    }

    /// `catalog.schema.table`.
    pub fn three_parts(&self) -> String {
        format!("{}.{}", self.catalog, self.two_parts())
    }
}

impl FromStr for TableName {
    type Err = LoadError;

    fn from_str(text: &str) -> Result<Self, LoadError> {
        let parts: Vec<&str> = text.split('.').collect();
        let plain = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        match parts[..] {
            [catalog, schema, table] if parts.iter().all(plain) => {
                Ok(Self { catalog: catalog.to_owned(), schema: schema.to_owned(), table: table.to_owned() })
            }
            _ => Err(LoadError::Usage(format!("expected catalog.schema.table of plain names, found {text:?}"))),
        }
    }
}

/// Drives a running server with prebuilt requests and prints what it took.
#[derive(Debug, Parser)]
#[command(name = "siltstone-load", version)]
struct CommandLine {
    /// Where the server listens.
    #[arg(long, default_value = "http://127.0.0.1:7878")]
    url: String,
    /// NAME:PASSWORD, for the append dialect and for --check.
    #[arg(long)]
    user: Option<String>,
    /// Key of the stream dialect.
    #[arg(long)]
    api_key: Option<String>,
    /// API that carries the rows.
    #[arg(long, value_enum, default_value = "append")]
    dialect: Dialect,
    /// Connections, each with one request under way.
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// Rows of one request.
    #[arg(long, default_value_t = 1000)]
    rows_per_request: u64,
    /// Stop after so many rows, rounded up to whole requests.
    #[arg(long, required_unless_present = "seconds", conflicts_with = "seconds")]
    rows: Option<u64>,
    /// Stop after so many seconds.
    #[arg(long)]
    seconds: Option<u64>,
    /// catalog.schema.table.
    #[arg(long, default_value = "LAKE.main.events")]
    table: TableName,
    /// Ask for the reply only once the rows are visible (`sync` or `wait`).
    #[arg(long)]
    wait: bool,
    /// Create the table first if it is missing (needs --user); the append dialect does so by itself.
    #[arg(long)]
    create: bool,
    /// Count the table's rows before and after, and fail if acknowledged rows are missing (needs --user).
    #[arg(long)]
    check: bool,
    /// Process of the server: its CPU time and peak memory are reported.
    #[arg(long)]
    pid: Option<u32>,
    /// Data directory of the server: its growth is reported.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Seed of the events.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Merge by `id`, out of so many ids, instead of appending: NDJSON, gzip-compressed (needs the stream dialect).
    #[arg(long)]
    merge_ids: Option<u64>,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// When a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// After so many requests.
    Requests(u64),
    /// After so much time.
    Elapsed(Duration),
}

/// Checked arguments.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields are the options of the same name")]
pub struct Args {
    /// Host and port.
    pub address: String,
    pub user: Option<String>,
    pub api_key: Option<String>,
    pub dialect: Dialect,
    pub clients: usize,
    pub rows_per_request: u64,
    pub until: Until,
    pub table: TableName,
    pub wait: bool,
    pub create: bool,
    pub check: bool,
    pub pid: Option<u32>,
    pub data_dir: Option<PathBuf>,
    pub seed: u64,
    pub merge_ids: Option<u64>,
    pub json: bool,
}

impl Args {
    /// Reads the process's command line; ends the process with usage text if it cannot be understood.
    ///
    /// # Errors
    /// `Usage` for arguments that contradict each other.
    pub fn from_command_line() -> Result<Self, LoadError> {
        check(CommandLine::parse())
    }
}

fn check(line: CommandLine) -> Result<Args, LoadError> {
    let usage = |text: &str| Err(LoadError::Usage(text.to_owned()));
    let Some(address) = line.url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/').to_owned()) else {
        return usage("--url must start with http://");
    };
    if line.clients == 0 || line.rows_per_request == 0 {
        return usage("--clients and --rows-per-request must be positive");
    }
    if line.user.is_none() && (line.dialect == Dialect::Append || line.check || line.create) {
        return usage("--user is needed for the append dialect, --check and --create");
    }
    if line.api_key.is_none() && line.dialect == Dialect::Stream {
        return usage("--api-key is needed for the stream dialect");
    }
    if let Some(ids) = line.merge_ids {
        if line.dialect != Dialect::Stream {
            return usage("--merge-ids needs the stream dialect");
        }
        if ids < line.rows_per_request {
            return usage("--merge-ids must not be less than --rows-per-request: a merge takes each id once");
        }
        if line.check {
            return usage("--check counts appended rows; it says nothing about merges");
        }
    }
    let until = match (line.rows, line.seconds) {
        (Some(rows), _) => Until::Requests(rows.div_ceil(line.rows_per_request)),
        (None, Some(seconds)) => Until::Elapsed(Duration::from_secs(seconds)),
        (None, None) => return usage("--rows or --seconds is needed"),
    };
    Ok(Args {
        address,
        user: line.user,
        api_key: line.api_key,
        dialect: line.dialect,
        clients: line.clients,
        rows_per_request: line.rows_per_request,
        until,
        table: line.table,
        wait: line.wait,
        create: line.create,
        check: line.check,
        pid: line.pid,
        data_dir: line.data_dir,
        seed: line.seed,
        merge_ids: line.merge_ids,
        json: line.json,
    })
}

#[cfg(test)]
impl Args {
    /// Arguments from words, as a user types them.
    pub(crate) fn from_words(words: &[&str]) -> Result<Self, LoadError> {
        let line = CommandLine::try_parse_from(std::iter::once(&"siltstone-load").chain(words))
            .map_err(|error| LoadError::Usage(error.to_string()))?;
        check(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contradictions_are_refused_before_anything_is_sent() {
        // Each line lacks something that the run would need.
        for words in [
            &["--rows", "1"][..],
            &["--user", "a:b"],
            &["--user", "a:b", "--rows", "1", "--seconds", "1"],
            &["--user", "a:b", "--rows", "1", "--dialect", "stream"],
            &["--user", "a:b", "--rows", "1", "--table", "a.b"],
            &["--user", "a:b", "--rows", "1", "--table", "a.b.c d"],
            &["--user", "a:b", "--rows", "1", "--url", "https://localhost"],
            &["--user", "a:b", "--rows", "1", "--clients", "0"],
            &["--user", "a:b", "--rows", "1", "--merge-ids", "5000"],
            &["--api-key", "k", "--rows", "1", "--dialect", "stream", "--merge-ids", "10"],
        ] {
            assert!(matches!(Args::from_words(words), Err(LoadError::Usage(_))), "{words:?}");
        }
    }

    #[test]
    fn rows_are_rounded_up_to_requests() {
        // 2,500 rows in requests of 1,000 are three requests.
        let args = Args::from_words(&["--user", "a:b", "--rows", "2500"]).expect("valid");
        assert_eq!(args.until, Until::Requests(3));
        assert_eq!(args.address, "127.0.0.1:7878");
    }
}
