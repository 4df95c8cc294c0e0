//! The run itself: connections that repeat prebuilt requests until the end, on one thread.
//!
//! One thread suffices, because it only copies finished bytes to sockets, and leaves the other cores to the server.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::LoadError;
use crate::args::{Args, Dialect, Until};
use crate::client::Connection;
use crate::events::TABLE_COLUMNS;
use crate::process::{self, DiskBytes};
use crate::request::{self, Requests};

/// Longest latency the histogram tells apart, in microseconds: ten minutes.
const LATENCY_US_MAX: u64 = 600_000_000;

/// What a run measured.
#[derive(Debug)]
pub struct Outcome {
    /// From the first request to the last reply.
    pub elapsed: Duration,
    /// Requests acknowledged.
    pub requests: u64,
    /// Rows acknowledged.
    pub rows: u64,
    /// Bytes of JSON in the acknowledged requests.
    pub body_bytes: f64,
    /// From the first byte written to the last byte read, in microseconds.
    pub latency_us: Histogram<u64>,
    /// CPU seconds of the server during the run.
    pub server_cpu_seconds: Option<f64>,
    /// Peak resident memory of the server since it started, in bytes.
    pub server_memory_bytes: Option<u64>,
    /// Growth of the data directory, in bytes, and its log's whole size.
    pub disk: Option<DiskBytes>,
    /// Rows that the table gained, counted by SQL.
    pub counted_rows: Option<u64>,
}

/// State that all connections share.
struct Shared {
    requests: Requests,
    started: Instant,
    until: Until,
    /// Requests sent so far: the number of the next one.
    sent: RefCell<u64>,
    latency_us: RefCell<Histogram<u64>>,
}

impl Shared {
    /// The next request to send; `None` at the end of the run.
    fn next(&self) -> Option<&[u8]> {
        let mut sent = self.sent.borrow_mut();
        let over = match self.until {
            Until::Requests(count) => *sent >= count,
            Until::Elapsed(limit) => self.started.elapsed() >= limit,
        };
        if over {
            return None;
        }
        let bytes = &self.requests.bytes;
        let request = &bytes[(*sent % bytes.len() as u64) as usize];
        *sent += 1;
        Some(request)
    }
}

/// Runs to the end.
///
/// # Errors
/// Whatever ended it early.
pub async fn run(args: &Args) -> Result<Outcome, LoadError> {
    let requests = request::build(args)?;
    let body_bytes_mean = requests.body_bytes_mean;
    let mut control = Connection::open(&args.address).await?;
    if args.create {
        create_table(args, &mut control).await?;
    }
    let rows_before = if args.check { count_rows(args, &mut control).await? } else { 0 };
    let mut connections = Vec::with_capacity(args.clients);
    for _ in 0..args.clients {
        connections.push(Connection::open(&args.address).await?);
    }
    let disk_before = args.data_dir.as_deref().map(process::disk_bytes).transpose()?;
    let cpu_before = args.pid.map(process::cpu_seconds).transpose()?;
    let (elapsed, latency_us) = drive(args, requests, connections).await?;
    let cpu_after = args.pid.map(process::cpu_seconds).transpose()?;
    let requests = latency_us.len();
    let rows = requests * args.rows_per_request;
    let disk_after = args.data_dir.as_deref().map(process::disk_bytes).transpose()?;
    let counted_rows =
        if args.check { Some(count_rows(args, &mut control).await?.saturating_sub(rows_before)) } else { None };
    Ok(Outcome {
        elapsed,
        requests,
        rows,
        body_bytes: requests as f64 * body_bytes_mean,
        latency_us,
        server_cpu_seconds: cpu_after.zip(cpu_before).map(|(after, before)| after - before),
        server_memory_bytes: args.pid.map(process::peak_memory_bytes).transpose()?,
        disk: disk_after
            .zip(disk_before)
            .map(|(after, before)| DiskBytes { log: after.log, other: after.other.saturating_sub(before.other) }),
        counted_rows,
    })
}

/// Lets every connection repeat requests until the end.
async fn drive(
    args: &Args,
    requests: Requests,
    connections: Vec<Connection>,
) -> Result<(Duration, Histogram<u64>), LoadError> {
    let histogram = Histogram::new_with_bounds(1, LATENCY_US_MAX, 3)
        .map_err(|error| LoadError::Usage(format!("cannot make a histogram: {error}")))?;
    let shared = std::rc::Rc::new(Shared {
        requests,
        started: Instant::now(),
        until: args.until,
        sent: RefCell::new(0),
        latency_us: RefCell::new(histogram),
    });
    let dialect = args.dialect;
    let local = tokio::task::LocalSet::new();
    let mut clients = JoinSet::new();
    for connection in connections {
        clients.spawn_local_on(repeat(connection, std::rc::Rc::clone(&shared), dialect), &local);
    }
    local
        .run_until(async move {
            while let Some(finished) = clients.join_next().await {
                finished.map_err(|error| LoadError::Malformed(format!("a client failed: {error}")))??;
            }
            Ok::<(), LoadError>(())
        })
        .await?;
    let elapsed = shared.started.elapsed();
    let latency_us = shared.latency_us.borrow().clone();
    Ok((elapsed, latency_us))
}

async fn repeat(mut connection: Connection, shared: std::rc::Rc<Shared>, dialect: Dialect) -> Result<(), LoadError> {
    while let Some(request) = shared.next() {
        let sent = Instant::now();
        let (status, body) = connection.exchange(request).await?;
        let taken_us = u64::try_from(sent.elapsed().as_micros()).unwrap_or(LATENCY_US_MAX);
        if !accepted(dialect, status, body) {
            return Err(refused(status, body));
        }
        shared.latency_us.borrow_mut().saturating_record(taken_us.max(1));
    }
    Ok(())
}

/// Whether a reply says that all rows of its request are in. Spaces after colons are not expected from a server that cares for speed,
/// but allowed.
fn accepted(dialect: Dialect, status: u16, body: &[u8]) -> bool {
    let says = |words: [&[u8]; 2]| words.iter().any(|word| memchr::memmem::find(body, word).is_some());
    status == 200
        && match dialect {
            Dialect::Append => says([b"\"ok\":true", b"\"ok\": true"]),
            Dialect::Stream => says([b"\"rejected_rows\":0,", b"\"rejected_rows\": 0,"]),
        }
}

fn refused(status: u16, body: &[u8]) -> LoadError {
    LoadError::Refused { status, body: String::from_utf8_lossy(body).into_owned() }
}

async fn create_table(args: &Args, connection: &mut Connection) -> Result<(), LoadError> {
    let (schema, table) = (&args.table.schema, args.table.three_parts());
    let schema = format!("CREATE SCHEMA IF NOT EXISTS {}.{schema}", args.table.catalog);
    let table = format!("CREATE TABLE IF NOT EXISTS {table} ({TABLE_COLUMNS})");
    for statement in [schema, table] {
        query(args, connection, &statement).await?;
    }
    Ok(())
}

async fn count_rows(args: &Args, connection: &mut Connection) -> Result<u64, LoadError> {
    let reply = match query(args, connection, &format!("SELECT count(*) FROM {}", args.table.three_parts())).await {
        // The append dialect makes the table with the first rows.
        Err(LoadError::Refused { status: 200, body }) if body.contains("does not exist") => return Ok(0),
        other => other?,
    };
    let count = reply.lines().rev().find_map(|line| line.trim().strip_prefix('[')?.strip_suffix(']')?.parse().ok());
    count.ok_or_else(|| LoadError::Malformed(format!("no count in {reply:?}")))
}

/// Runs a statement and gives the reply's text, chunk framing included.
async fn query(args: &Args, connection: &mut Connection, statement: &str) -> Result<String, LoadError> {
    let (status, body) = connection.exchange(&request::query(args, statement)).await?;
    if status != 200 || memchr::memmem::find(body, b"{\"error\":").is_some() {
        return Err(refused(status, body));
    }
    Ok(String::from_utf8_lossy(body).into_owned())
}

#[cfg(test)]
mod tests;
