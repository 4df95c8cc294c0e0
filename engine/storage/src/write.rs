//! The write path: batch to state to log to sync to publication to acknowledgement.
//!
//! **Invariants**
//! 1. A commit is acknowledged only after its record is synced and its rows are published.
//! 2. A commit that is refused leaves no trace; one whose log write failed is never acknowledged and latches the disk.
//! 3. Snapshot ids are given in log order without gaps.
//! 4. A commit is applied to the writer's own state before it is logged, because what it deletes depends on that state; it is published
//!    only afterwards.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::apply::{self, Applied, Before};
use crate::catalog::Catalog;
use crate::clock;
use crate::commit::{Change, Commit, CommitInfo, Committed, RowCounts};
use crate::commit_codec;
use crate::deletions;
use crate::error::{Error, ErrorKind, Result};
use crate::frame::ByteReader;
use crate::history;
use crate::ids::{SnapshotId, TableId};
use crate::io::Disk;
use crate::key_tables::KeyTables;
use crate::load::Loaded;
use crate::log::{Body, LogWriter, Record, Replayed};
use crate::state::State;

/// Called once with the outcome of a commit.
pub(crate) type Done = Box<dyn FnOnce(Result<Committed>) + Send>;

/// A commit on its way: encoded by its sender, waiting for the committer.
pub(crate) struct Pending {
    pub(crate) commit: Commit,
    pub(crate) body: Body,
    pub(crate) done: Done,
}

/// An outcome not yet told, so that nobody is called back under the writer's lock.
pub(crate) struct Answer {
    done: Done,
    outcome: Result<Committed>,
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
    pub(crate) deleted: u64,
    pub(crate) log_bytes: u64,
    /// Whether segments belong to no table any more.
    pub(crate) drops_segments: bool,
    /// Why nothing more can be logged, if the log failed other than by refusing cleanly.
    pub(crate) failure: Option<String>,
}

/// A commit that was admitted: it has its place in the order and is applied.
struct Admitted {
    before: Before,
    catalog: Arc<Catalog>,
    snapshot: SnapshotId,
    counts: RowCounts,
    rows: u64,
    touched: Vec<TableId>,
    /// Deleted rows in memory, by table.
    deleted: Vec<(TableId, Vec<u64>)>,
    drops_tables: bool,
    summary: String,
    info: CommitInfo,
    body: Body,
    done: Done,
}

/// Owns the log, the newest state and the key indexes of rows in memory. There is one, behind a lock.
pub(crate) struct Writer {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) log: LogWriter,
    pub(crate) state: State,
    pub(crate) keys: KeyTables,
}

impl Writer {
    /// Makes a group of commits durable with one sync. The caller publishes [`Writer::state`] and then tells the answers.
    pub(crate) fn commit_group(&mut self, group: Vec<Pending>) -> GroupOutcome {
        let mut answers = Vec::with_capacity(group.len());
        let mut admitted: Vec<Admitted> = Vec::with_capacity(group.len());
        for pending in group {
            let snapshot = admitted.last().map_or(self.state.snapshot, |last| last.snapshot).next();
            match self.admit(&pending.commit, snapshot) {
                Err(error) => answers.push(Answer { done: pending.done, outcome: Err(error) }),
                Ok((before, catalog, applied)) => match self.finish(pending, before, catalog, applied, snapshot) {
                    Ok(next) => admitted.push(next),
                    Err(answer) => answers.push(answer),
                },
            }
        }
        if admitted.is_empty() {
            return GroupOutcome { answers, ..GroupOutcome::default() };
        }
        // A clock set back does not reorder commits.
        let time_us = clock::now_us().max(self.state.time_us);
        let outcome = self.log_group(&admitted, time_us);
        let mut counted = GroupOutcome::default();
        match &outcome {
            Ok(()) => {
                counted.commits = admitted.len() as u64;
                counted.rows = admitted.iter().map(|admitted| admitted.rows).sum();
                counted.deleted =
                    admitted.iter().map(|admitted| admitted.counts.updated + admitted.counts.deleted).sum();
                counted.log_bytes = admitted.iter().map(|admitted| admitted.body.stored_bytes() as u64).sum();
                counted.drops_segments = self.settle_group(&admitted, time_us);
            }
            Err(error) if is_clean(error) => {
                for admitted in admitted.iter().rev() {
                    self.take_back(&admitted.before, Arc::clone(&admitted.catalog));
                }
            }
            // What was applied stays unseen: nothing is published any more.
            Err(_) => {}
        }
        let failure = outcome.as_ref().err().filter(|error| !is_clean(error)).map(|error| chain(error));
        answers.extend(admitted.into_iter().map(|admitted| Answer {
            outcome: match &outcome {
                Ok(()) => Ok(Committed { snapshot: admitted.snapshot, rows: admitted.counts }),
                Err(error) => Err(refused(error)),
            },
            done: admitted.done,
        }));
        GroupOutcome { answers, failure, ..counted }
    }

    /// Applies a commit; the catalog before it comes back. A refused commit leaves nothing.
    fn admit(&mut self, commit: &Commit, snapshot: SnapshotId) -> Result<(Before, Arc<Catalog>, Applied)> {
        let before = Before::of(&self.state, commit, snapshot);
        let catalog = admit_names(&self.state.catalog, commit, snapshot)?;
        let catalog = std::mem::replace(&mut self.state.catalog, catalog);
        match apply::apply(self.disk.as_ref(), &mut self.state, &mut self.keys, commit, snapshot) {
            Ok(applied) => Ok((before, catalog, applied)),
            Err(error) => {
                self.take_back(&before, catalog);
                Err(error)
            }
        }
    }

    /// What can fail after a commit was applied, which is then taken back: encoding it anew.
    fn finish(
        &mut self,
        pending: Pending,
        before: Before,
        catalog: Arc<Catalog>,
        applied: Applied,
        snapshot: SnapshotId,
    ) -> Result<Admitted, Answer> {
        let Pending { commit, body, done } = pending;
        let logged = applied.instead.as_ref().map_or(Ok(body), |instead| commit_codec::encode(instead).map(Body::new));
        let body = match logged {
            Ok(body) => body,
            Err(error) => {
                self.take_back(&before, catalog);
                return Err(Answer { done, outcome: Err(error) });
            }
        };
        let mut tail = Vec::new();
        deletions::encode(&applied.deleted, &mut tail);
        let logged = applied.instead.as_ref().unwrap_or(&commit);
        let summary = history::summary(logged, applied.deleted.iter().map(|(table, _)| *table));
        Ok(Admitted {
            before,
            catalog,
            snapshot,
            counts: applied.counts,
            rows: applied.rows,
            touched: commit.changes.iter().filter_map(Change::rows_of).collect(),
            deleted: applied.deleted.into_iter().map(|(table, deleted)| (table, deleted.memory)).collect(),
            drops_tables: drops_tables(&commit),
            summary,
            info: commit.info,
            body: if tail.is_empty() { body } else { body.with_tail(&tail) },
            done,
        })
    }

    fn take_back(&mut self, before: &Before, catalog: Arc<Catalog>) {
        apply::undo(&mut self.state, &mut self.keys, before);
        self.state.catalog = catalog;
    }

    fn log_group(&mut self, admitted: &[Admitted], time_us: i64) -> Result<()> {
        let records: Vec<Record<'_>> = admitted
            .iter()
            .map(|admitted| Record { snapshot: admitted.snapshot, time_us, body: &admitted.body })
            .collect();
        self.log.append(&records)
    }

    /// Makes the state whole after its commits were logged. Returns whether segments belong to no table any more.
    fn settle_group(&mut self, admitted: &[Admitted], time_us: i64) -> bool {
        let mut history = history::Rows::default();
        let mut touched = BTreeSet::new();
        let mut drops_segments = false;
        for admitted in admitted {
            history.push(admitted.snapshot, time_us, &admitted.summary, &admitted.info);
            for table in &admitted.touched {
                touched.insert(*table);
            }
            for (table, rows) in &admitted.deleted {
                self.keys.deleted(*table, rows);
            }
            self.state.snapshot = admitted.snapshot;
        }
        self.state.time_us = time_us;
        history.enter(&mut self.state);
        if admitted.iter().any(|admitted| admitted.drops_tables) {
            drops_segments = self.state.drop_orphans();
            let catalog = &self.state.catalog;
            self.keys.retain(|table| catalog.table_by_id(table).is_some());
        }
        consolidate(&mut self.state, &touched);
        drops_segments
    }
}

/// Checks a commit against the catalog and applies to it what changes names and schemas.
fn admit_names(catalog: &Arc<Catalog>, commit: &Commit, snapshot: SnapshotId) -> Result<Arc<Catalog>> {
    if commit.changes.iter().all(|change| change.rows_of().is_some()) {
        commit.changes.iter().try_for_each(|change| catalog.check_rows(change))?;
        return Ok(Arc::clone(catalog));
    }
    let mut changed = catalog.as_ref().clone();
    commit.changes.iter().try_for_each(|change| changed.apply(change, snapshot))?;
    Ok(Arc::new(changed))
}

fn consolidate(state: &mut State, touched: &BTreeSet<TableId>) {
    let (catalog, horizon) = (Arc::clone(&state.catalog), state.horizon);
    for id in touched {
        if let Some(table) = catalog.table_by_id(*id)
            && state.rows.contains_key(id)
        {
            state.rows_mut(*id).active.consolidate(|| table.columns_since(horizon));
        }
    }
}

fn drops_tables(commit: &Commit) -> bool {
    commit.changes.iter().any(|change| {
        matches!(change, Change::DropTable { .. } | Change::DropSchema { .. } | Change::DropDatabase { .. })
    })
}

/// A commit read back from the log.
#[derive(Debug)]
pub(crate) struct LoggedCommit {
    commit: Commit,
    deleted: Vec<(TableId, deletions::LoggedDeletions)>,
}

impl LoggedCommit {
    /// # Errors
    /// `Corrupt` for bytes that no commit has.
    pub(crate) fn decode(record: &Replayed) -> Result<Self> {
        let (file, offset) = record.place();
        let commit = commit_codec::decode(file, &record.raw()?)?;
        let tail = record.tail()?;
        let deleted = match tail.is_empty() {
            true => Vec::new(),
            false => deletions::decode(&mut ByteReader::new(file, offset, tail))?,
        };
        Ok(Self { commit, deleted })
    }

    pub(crate) fn commit(&self) -> &Commit {
        &self.commit
    }

    /// Opens the segments that it names, before it is applied.
    ///
    /// # Errors
    /// Those of opening a segment.
    pub(crate) fn open_segments(&mut self, disk: &dyn Disk) -> Result<()> {
        self.commit.changes.iter_mut().try_for_each(|change| match change {
            Change::Load(loaded) => loaded.open(disk),
            _ => Ok(()),
        })
    }

    /// The loads in it.
    pub(crate) fn loaded(&self) -> impl Iterator<Item = &Loaded> {
        self.commit.loads()
    }

    /// What it deleted, by table.
    pub(crate) fn deleted(&self) -> &[(TableId, deletions::LoggedDeletions)] {
        &self.deleted
    }
}

/// Applies commits read back from the log, one after the other. Compactions reflect deletions up to `deletes_through` already.
///
/// # Errors
/// `Corrupt` if one does not fit what came before it: it did when it was acknowledged.
pub(crate) fn replay(
    state: &mut State,
    commits: &[(SnapshotId, i64, LoggedCommit)],
    deletes_through: SnapshotId,
) -> Result<()> {
    let mut touched = BTreeSet::new();
    let mut history = history::Rows::default();
    for (snapshot, time_us, LoggedCommit { commit, deleted }) in commits {
        if *snapshot != state.snapshot.next() {
            return Err(Error::corrupt("log", 0, format_args!("commit {}", state.snapshot.next()), snapshot));
        }
        state.catalog = admit_names(&state.catalog, commit, *snapshot)
            .map_err(|error| Error::corrupt("log", 0, format_args!("commit {snapshot} to apply"), error))?;
        apply::replay(state, commit, deleted, *snapshot, deletes_through)?;
        for table in commit.changes.iter().filter_map(Change::rows_of).chain(deleted.iter().map(|(table, _)| *table)) {
            touched.insert(table);
        }
        history.push(
            *snapshot,
            *time_us,
            &history::summary(commit, deleted.iter().map(|(table, _)| *table)),
            &commit.info,
        );
        state.snapshot = *snapshot;
        state.time_us = *time_us;
        if drops_tables(commit) {
            state.drop_orphans();
        }
    }
    history.enter(state);
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
