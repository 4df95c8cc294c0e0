//! Compaction: rewrites neighbouring segments into one, and leaves out what no snapshot that is kept can show.
//!
//! ```text
//! policy    which segments of a table, from their sizes alone
//! horizon   how far back snapshots are kept
//! job       reads the sources, writes the segment that takes their place
//! install   puts it there
//! pace      bytes per second
//! ```
//!
//! **Invariants**
//! 1. A snapshot from the horizon on shows the same before and after, and so does an older one that is held: it keeps the old segments.
//! 2. A crash at any instant leaves the old segments or the new one, and the log fits either.
//! 3. Neither commits nor reads wait for a segment to be written, only for its installation: what was deleted meanwhile, and a manifest.
//! 4. Of one table, one job runs at a time; tables are independent.

mod horizon;
mod install;
mod job;
mod pace;
mod policy;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock;
use crate::engine::Shared;
use crate::error::{Error, ErrorKind, Result};
use crate::flush::table_of;
use crate::ids::{SnapshotId, TableId};
use crate::options::Options;
use crate::state::{LiveSegment, State, TableRows};
use job::Job;
#[cfg(test)]
pub(crate) use job::Written;
use pace::Pace;
use policy::{Limits, Piece};

/// How long a table is left alone after a compaction of it failed, in microseconds.
const REST_US: i64 = 60_000_000;

/// What compactions share.
#[derive(Debug)]
pub(crate) struct Compactor {
    tables: Mutex<BTreeMap<TableId, Held>>,
    pace: Mutex<Pace>,
    /// Up to this commit every segment is listed in the manifest.
    listed_through: AtomicU64,
}

/// Why a table is not compacted now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Busy,
    RestsUntil(i64),
}

impl Compactor {
    /// `listed_through` is the checkpoint of the manifest that stands.
    pub(crate) fn new(options: &Options, listed_through: SnapshotId) -> Self {
        Self {
            tables: Mutex::default(),
            pace: Mutex::new(Pace::new(options.compaction_bytes_per_second)),
            listed_through: AtomicU64::new(listed_through.0),
        }
    }

    /// Takes note of a new checkpoint.
    pub(crate) fn list_through(&self, checkpoint: SnapshotId) {
        self.listed_through.store(checkpoint.0, Ordering::Release);
    }
}

/// Does the piece of work that costs least of all tables; `false` if nothing is to be done.
///
/// # Errors
/// `Exhausted` when the disk is full, `Corrupt` for damaged segments: the old ones stay. `Latched` if it is in doubt which stand.
pub(crate) fn step(shared: &Shared) -> Result<bool> {
    let Some(job) = claim(shared)? else { return Ok(false) };
    let claim = Claim { shared, table: job.table };
    let outcome = job::write(shared, job).and_then(|written| install::install(shared, written));
    claim.release(outcome.is_err());
    shared.counters.compaction_ended(&outcome);
    outcome
}

/// The first half of [`step`], for tests that do things in between.
#[cfg(test)]
pub(crate) fn begin(shared: &Shared) -> Result<Option<Written>> {
    claim(shared)?.map(|job| job::write(shared, job)).transpose()
}

/// The second half.
#[cfg(test)]
pub(crate) fn finish(shared: &Shared, written: Written) -> Result<bool> {
    let _claim = Claim { shared, table: written.table };
    install::install(shared, written)
}

/// A table that a job has for itself, also if it panics.
struct Claim<'a> {
    shared: &'a Shared,
    table: TableId,
}

impl Claim<'_> {
    fn release(self, failed: bool) {
        if failed {
            let rest = Held::RestsUntil(clock::now_us().saturating_add(REST_US));
            self.shared.compactor.tables.lock().insert(self.table, rest);
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut tables = self.shared.compactor.tables.lock();
        if tables.get(&self.table) == Some(&Held::Busy) {
            tables.remove(&self.table);
        }
    }
}

/// The next job, of a table that no other job is at.
fn claim(shared: &Shared) -> Result<Option<Job>> {
    let mut tables = shared.compactor.tables.lock();
    let now_us = clock::now_us();
    // Whoever calls for a step by hand is told the failure again.
    tables.retain(|_, held| match held {
        Held::Busy => true,
        Held::RestsUntil(until_us) => shared.options.background && now_us < *until_us,
    });
    let state = shared.current();
    let listed_through = SnapshotId(shared.compactor.listed_through.load(Ordering::Acquire));
    let job = choose(&state, &shared.options, listed_through, |table| !tables.contains_key(&table))?;
    if let Some(job) = &job {
        tables.insert(job.table, Held::Busy);
    }
    Ok(job)
}

/// The job that writes least.
fn choose(
    state: &State,
    options: &Options,
    listed_through: SnapshotId,
    is_free: impl Fn(TableId) -> bool,
) -> Result<Option<Job>> {
    let horizon = horizon::reachable(state, options.retention_ms)?;
    let limits = limits(options);
    let mut best: Option<(u64, Job)> = None;
    for (table, rows) in state.rows.iter().filter(|(table, _)| is_free(**table)) {
        let Some(definition) = table_of(&state.catalog, *table) else { continue };
        let Some(plan) = policy::plan(&pieces(*table, listed(rows, listed_through), horizon)?, &limits) else {
            continue;
        };
        if best.as_ref().is_none_or(|(least, _)| plan.bytes < *least) {
            let sources = rows.segments[plan.sources].to_vec();
            best = Some((plan.bytes, Job { table: *table, definition: definition.clone(), sources, horizon }));
        }
    }
    Ok(best.map(|(_, job)| job))
}

/// The segments before the first that only the log names: a manifest that lists what took their place must be one that would list them.
fn listed(rows: &TableRows, through: SnapshotId) -> &[Arc<LiveSegment>] {
    let is_listed = |segment: &Arc<LiveSegment>| segment.entry.commit.is_none_or(|commit| commit <= through);
    let end = rows.segments.iter().position(|segment| !is_listed(segment)).unwrap_or(rows.segments.len());
    &rows.segments[..end]
}

fn pieces(table: TableId, segments: &[Arc<LiveSegment>], horizon: SnapshotId) -> Result<Vec<Piece>> {
    segments
        .iter()
        .map(|segment| {
            let dead_rows = job::dead_rows(table, segment, horizon)?;
            Ok(Piece { bytes: segment.entry.bytes, rows: segment.entry.rows, dead_rows })
        })
        .collect()
}

fn limits(options: &Options) -> Limits {
    Limits {
        bytes_max: options.segment_bytes_max,
        rows_max: options.segment_rows_max as u64,
        fanout: options.compaction_fanout.max(2),
        dead_percent: options.compaction_dead_percent,
    }
}

/// A segment's size as a power of the usual fanout in KiB, for people to look at.
pub(crate) fn tier(bytes: u64) -> u32 {
    (bytes >> 10).max(1).ilog(8)
}

/// Waits as long as reading so many bytes takes at the rate that is allowed.
///
/// # Errors
/// `Unavailable` once the engine is closing.
fn pace(shared: &Shared, bytes: u64) -> Result<()> {
    if !shared.options.background {
        return Ok(());
    }
    let mut left = Duration::from_micros(shared.compactor.pace.lock().wait_us(bytes));
    let mut wanted = shared.housekeeping.wanted.lock();
    loop {
        if wanted.stop {
            return Err(Error::new(ErrorKind::Unavailable, "the engine is closing"));
        }
        if left.is_zero() {
            return Ok(());
        }
        let started_us = clock::now_us();
        if shared.housekeeping.changed.wait_for(&mut wanted, left).timed_out() {
            return Ok(());
        }
        let waited_us = clock::now_us().saturating_sub(started_us).max(0).unsigned_abs();
        left = left.saturating_sub(Duration::from_micros(waited_us));
    }
}
