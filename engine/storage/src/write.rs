//! The write path: batch to log to sync to memtable to acknowledgement.
//!
//! **Invariants**
//! 1. A commit is acknowledged only after its record is synced and its rows are published.
//! 2. A commit that is refused leaves no trace; one whose log write failed is never acknowledged and latches the disk.
//! 3. Snapshot ids are given in log order without gaps.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::catalog::Catalog;
use crate::clock;
use crate::commit::{Change, Commit};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{SnapshotId, TableId};
use crate::log::{Body, LogWriter, Record};
use crate::memtable::MemBatch;
use crate::state::State;

/// Called once with the outcome of a commit.
pub(crate) type Done = Box<dyn FnOnce(Result<SnapshotId>) + Send>;

/// A commit on its way: encoded by its sender, waiting for the committer.
pub(crate) struct Pending {
    pub(crate) commit: Commit,
    pub(crate) body: Body,
    pub(crate) done: Done,
}

/// An outcome not yet told, so that nobody is called back under the writer's lock.
pub(crate) struct Answer {
    done: Done,
    outcome: Result<SnapshotId>,
}

impl Answer {
    pub(crate) fn tell(self) {
        (self.done)(self.outcome);
    }
}

/// What became of a group.
#[derive(Default)]
pub(crate) struct GroupOutcome {
    pub(crate) answers: Vec<Answer>,
    /// All zero unless the group was acknowledged.
    pub(crate) commits: u64,
    pub(crate) rows: u64,
    pub(crate) log_bytes: u64,
    /// Why nothing more can be logged, if the log failed other than by refusing cleanly.
    pub(crate) failure: Option<String>,
}

/// A commit that was admitted: it has its place in the order.
struct Admitted {
    snapshot: SnapshotId,
    commit: Commit,
    body: Body,
    done: Done,
}

/// Owns the log and the newest state. There is one, behind a lock.
pub(crate) struct Writer {
    pub(crate) log: LogWriter,
    pub(crate) state: State,
}

impl Writer {
    /// Makes a group of commits durable with one sync. The caller publishes [`Writer::state`] and then tells the answers.
    pub(crate) fn commit_group(&mut self, group: Vec<Pending>) -> GroupOutcome {
        let mut answers = Vec::with_capacity(group.len());
        let mut catalog = Arc::clone(&self.state.catalog);
        let mut admitted = Vec::with_capacity(group.len());
        let mut snapshot = self.state.snapshot;
        for pending in group {
            match admit(&mut catalog, &pending.commit, snapshot.next()) {
                Err(error) => answers.push(Answer { done: pending.done, outcome: Err(error) }),
                Ok(()) => {
                    snapshot = snapshot.next();
                    let Pending { commit, body, done } = pending;
                    admitted.push(Admitted { snapshot, commit, body, done });
                }
            }
        }
        if admitted.is_empty() {
            return GroupOutcome { answers, ..GroupOutcome::default() };
        }
        // A clock set back does not reorder commits.
        let time_us = clock::now_us().max(self.state.time_us);
        let outcome = self.log_group(&admitted, time_us);
        let mut counted = GroupOutcome::default();
        if outcome.is_ok() {
            counted.commits = admitted.len() as u64;
            counted.rows = admitted.iter().map(|admitted| rows_of(&admitted.commit) as u64).sum();
            counted.log_bytes = admitted.iter().map(|admitted| admitted.body.stored_bytes() as u64).sum();
            self.apply_group(&admitted, catalog);
            self.state.time_us = time_us;
        }
        let failure = outcome.as_ref().err().filter(|error| !is_clean(error)).map(|error| chain(error));
        answers.extend(admitted.into_iter().map(|admitted| Answer {
            outcome: match &outcome {
                Ok(()) => Ok(admitted.snapshot),
                Err(error) => Err(refused(error)),
            },
            done: admitted.done,
        }));
        GroupOutcome { answers, failure, ..counted }
    }

    fn log_group(&mut self, admitted: &[Admitted], time_us: i64) -> Result<()> {
        let records: Vec<Record<'_>> = admitted
            .iter()
            .map(|admitted| Record { snapshot: admitted.snapshot, time_us, body: &admitted.body })
            .collect();
        self.log.append(&records)
    }

    fn apply_group(&mut self, admitted: &[Admitted], catalog: Arc<Catalog>) {
        let mut touched = BTreeSet::new();
        for admitted in admitted {
            apply_rows(&mut self.state, &admitted.commit, admitted.snapshot, &mut touched);
            self.state.snapshot = admitted.snapshot;
        }
        self.state.catalog = catalog;
        if admitted.iter().any(|admitted| drops_tables(&admitted.commit)) {
            self.state.drop_orphans();
        }
        consolidate(&mut self.state, &touched);
    }
}

/// Checks a commit against the catalog and, if it changes names, applies it there.
fn admit(catalog: &mut Arc<Catalog>, commit: &Commit, snapshot: SnapshotId) -> Result<()> {
    let only_rows = commit.changes.iter().all(|change| matches!(change, Change::Append(_)));
    if only_rows {
        return commit.changes.iter().try_for_each(|change| match change {
            Change::Append(batch) => catalog.check_append(batch),
            _ => Ok(()),
        });
    }
    let mut changed = catalog.as_ref().clone();
    commit.changes.iter().try_for_each(|change| changed.apply(change, snapshot))?;
    *catalog = Arc::new(changed);
    Ok(())
}

fn apply_rows(state: &mut State, commit: &Commit, snapshot: SnapshotId, touched: &mut BTreeSet<TableId>) {
    for change in &commit.changes {
        if let Change::Append(batch) = change
            && batch.rows() > 0
        {
            state.rows_mut(batch.table()).active.push(MemBatch::new(batch, snapshot));
            touched.insert(batch.table());
        }
    }
}

fn consolidate(state: &mut State, touched: &BTreeSet<TableId>) {
    let catalog = Arc::clone(&state.catalog);
    for id in touched {
        if let Some(table) = catalog.table_by_id(*id) {
            state.rows_mut(*id).active.consolidate(table.schema());
        }
    }
}

fn rows_of(commit: &Commit) -> usize {
    let rows = |change: &Change| if let Change::Append(batch) = change { batch.rows() } else { 0 };
    commit.changes.iter().map(rows).sum()
}

fn drops_tables(commit: &Commit) -> bool {
    commit.changes.iter().any(|change| {
        matches!(change, Change::DropTable { .. } | Change::DropSchema { .. } | Change::DropDatabase { .. })
    })
}

/// Applies a commit read back from the log.
///
/// # Errors
/// `Corrupt` if it does not fit what came before it: it did when it was acknowledged.
pub(crate) fn replay(state: &mut State, commit: &Commit, snapshot: SnapshotId, time_us: i64) -> Result<()> {
    if snapshot != state.snapshot.next() {
        return Err(Error::corrupt("log", 0, format_args!("commit {}", state.snapshot.next()), snapshot));
    }
    admit(&mut state.catalog, commit, snapshot)
        .map_err(|error| Error::corrupt("log", 0, format_args!("commit {snapshot} to apply"), error))?;
    let mut touched = BTreeSet::new();
    apply_rows(state, commit, snapshot, &mut touched);
    state.snapshot = snapshot;
    state.time_us = time_us;
    if drops_tables(commit) {
        state.drop_orphans();
    }
    consolidate(state, &touched);
    Ok(())
}

/// Whether the log refused before it wrote anything; after any other failure the outcome is unknown.
fn is_clean(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Exhausted | ErrorKind::Invalid | ErrorKind::Unavailable)
}

/// The same failure for every commit of a group.
fn refused(error: &Error) -> Error {
    if is_clean(error) {
        Error::new(error.kind(), chain(error))
    } else {
        Error::new(ErrorKind::Latched, format!("the log could not be written: {}", chain(error)))
    }
}

/// An error with its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
