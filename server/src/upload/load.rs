//! The rows of one file as one commit.
//!
//! **Invariants**
//! 1. Everything is checked before the commit is made, the last row of the file included.
//! 2. Rows past [`LOG_BYTES_MAX`] go straight into segments, but for those that are merged by a key or checked against one: they are looked
//!    up a piece at a time, in one transaction, and go into segments after that.
//! 3. What was read against a snapshot that others have overtaken is read again.

use std::sync::Arc;

use siltstone_ingest::{DataFile, FileBatch, Rows, Survey, Wanted};
use siltstone_storage::{
    Batch, Change, ColumnId, Commit, Engine, Error, ErrorKind, Merge, OnMatch, Snapshot, TableId, TableSchema,
    Transaction,
};

use super::gathered::{Gathered, named};
use super::plan::{self, Target, refused};
use super::{FileAddition, Mode, Spooled, Upload, UploadError, Uploaded};

/// Bytes of looked-up rows that a transaction keeps in memory.
const SPILL_BYTES: usize = 64 << 20;

/// Attempts of one file while others change its table.
const ATTEMPTS_MAX: usize = 5;

/// Bytes of rows, as columns in memory, that go through memory and log. 16 MiB: less than a flush is worth, and a group of commits in the log.
const LOG_BYTES_MAX: usize = 16 << 20;

/// Reads the file and commits it. Blocks.
///
/// # Errors
/// [`UploadError`]; nothing was written.
pub(super) fn load(
    engine: &Engine,
    upload: &Upload,
    file: &Spooled,
    piece_bytes: usize,
) -> Result<Uploaded, UploadError> {
    let file = DataFile::new(file.shared(), upload.format)?;
    for _ in 0..ATTEMPTS_MAX {
        let attempt = Attempt { engine, upload, file: &file, piece_bytes, snapshot: engine.snapshot() };
        match attempt.run() {
            // A table or schema changed, came or went since the snapshot.
            Err(UploadError::Storage(error)) if is_overtaken(&error) => {
                tracing::debug!(%error, "reading the file again");
            }
            outcome => return outcome,
        }
    }
    Err(Error::new(ErrorKind::Conflict, "the table kept changing").into())
}

fn is_overtaken(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) && error.rows().is_empty()
}

/// One attempt, against one snapshot.
struct Attempt<'a> {
    engine: &'a Engine,
    upload: &'a Upload,
    file: &'a DataFile,
    piece_bytes: usize,
    snapshot: Snapshot,
}

/// The table as it will be.
struct Destination {
    id: TableId,
    schema: Arc<TableSchema>,
    /// Changes of names that come before the rows.
    changes: Vec<Change>,
    is_new: bool,
    /// What columns the file has, where that had to be found out.
    survey: Option<Survey>,
}

impl Attempt<'_> {
    fn run(&self) -> Result<Uploaded, UploadError> {
        let destination = self.destination()?;
        let (key, newer_by) = self.key(&destination)?;
        let takes_loads = self.upload.mode != Mode::Upsert && destination.schema.primary_key().is_empty();
        let keyed = Keyed { destination: &destination, key, newer_by };
        let mut gathered = Gathered::default();
        let mut batches = self.rows(&destination)?;
        while let Some(batch) = batches.next() {
            gathered.push(batch?, &keyed.key);
            if takes_loads && gathered.bytes > LOG_BYTES_MAX {
                return self.bulk(&destination, gathered, batches);
            }
            if !takes_loads && gathered.bytes > self.piece_bytes {
                return self.pieces(&keyed, gathered, batches);
            }
        }
        drop(batches);
        gathered.check_keys(&destination.schema, &keyed.key)?;
        let rows = gathered.rows;
        let mut changes = destination.changes.clone();
        if takes_loads {
            for batch in gathered.take() {
                changes.push(Change::Append(Batch::new(destination.id, batch.rows, batch.columns)?));
            }
        } else if rows > 0 {
            // One batch, so that the rows that are refused for their key can be named.
            changes.push(match keyed.change(gathered.take_joined(destination.id)?) {
                KeyedRows::Merge(merge) => Change::Merge(merge),
                KeyedRows::Append(batch) => Change::Append(batch),
            });
        }
        let changed = !changes.is_empty();
        changes.extend(self.addition(rows)?);
        if changes.is_empty() {
            return Ok(Uploaded { snapshot: self.snapshot.id(), changed, rows });
        }
        let commit = Commit { info: self.upload.info.clone(), ..Commit::new(changes) };
        let committed = self.engine.write(commit).map_err(|error| taken_keys(error, 0))?;
        Ok(Uploaded { snapshot: committed.snapshot, changed, rows })
    }

    /// What else goes into the commit of a file of so many rows.
    fn addition(&self, rows: u64) -> Result<Option<Change>, UploadError> {
        Ok(self.upload.addition.as_ref().map(|FileAddition(make)| make(rows)).transpose()?)
    }

    /// Brings the rows so far and all that follow into their table by key, piece by piece, as one commit.
    fn pieces(&self, keyed: &Keyed<'_>, mut gathered: Gathered, mut rest: Rows) -> Result<Uploaded, UploadError> {
        let mut transaction = self.engine.begin();
        for change in &keyed.destination.changes {
            transaction.apply(change.clone())?;
        }
        loop {
            // The file is read to its end all the same, to name all rows without a key.
            if gathered.is_keyed() {
                self.piece(keyed, &mut transaction, &mut gathered)?;
            }
            gathered.take();
            while gathered.bytes <= self.piece_bytes
                && let Some(batch) = rest.next()
            {
                gathered.push(batch?, &keyed.key);
            }
            if gathered.bytes == 0 {
                break;
            }
        }
        gathered.check_keys(&keyed.destination.schema, &keyed.key)?;
        if let Some(addition) = self.addition(gathered.rows)? {
            transaction.apply(addition)?;
        }
        let committed = transaction.commit(self.upload.info.clone())?;
        Ok(Uploaded { snapshot: committed.snapshot, changed: true, rows: gathered.rows })
    }

    fn piece(
        &self,
        keyed: &Keyed<'_>,
        transaction: &mut Transaction,
        gathered: &mut Gathered,
    ) -> Result<(), UploadError> {
        let first_row = gathered.first_row();
        let outcome = match keyed.change(gathered.take_joined(keyed.destination.id)?) {
            KeyedRows::Merge(merge) => transaction.merge_on(merge),
            KeyedRows::Append(batch) => transaction.apply(Change::Append(batch)),
        };
        outcome.map_err(|error| taken_keys(error, first_row))?;
        Ok(transaction.spill(SPILL_BYTES)?)
    }

    /// Writes the rows so far and all that follow into segments, which one commit makes part of the table.
    fn bulk(&self, destination: &Destination, mut gathered: Gathered, rest: Rows) -> Result<Uploaded, UploadError> {
        let id = destination.id;
        let mut load = self.engine.load(id, &destination.schema)?;
        let mut count = 0;
        for batch in gathered.take().into_iter().map(Ok).chain(rest) {
            let FileBatch { rows, columns, .. } = batch?;
            load.append(&Batch::new(id, rows, columns)?)?;
            count += rows as u64;
        }
        let before = destination.changes.iter().cloned().chain(self.addition(count)?).collect();
        let committed = load.commit(before, self.upload.info.clone())?;
        Ok(Uploaded { snapshot: committed.snapshot, changed: true, rows: count })
    }

    fn destination(&self) -> Result<Destination, UploadError> {
        match plan::target(&self.snapshot, self.upload)? {
            Target::Existing(table) => {
                let schema = Arc::clone(table.schema());
                let keyed = !self.upload.key.is_empty() || !schema.primary_key().is_empty();
                let survey = keyed.then(|| self.file.survey(Wanted::Names(&schema)));
                Ok(Destination {
                    id: table.id,
                    survey: survey.transpose()?,
                    schema,
                    changes: Vec::new(),
                    is_new: false,
                })
            }
            Target::New { replaces } => {
                let survey = self.file.survey(Wanted::Types)?;
                if survey.columns.is_empty() {
                    return Err(refused(format!(
                        "cannot create table \"{}\" from a file without columns",
                        self.upload.table
                    )));
                }
                let schema = Arc::new(TableSchema::new(survey.columns.clone(), &[])?);
                let id = self.engine.new_table_id();
                let changes = plan::creation(&self.snapshot, &self.upload.table, replaces, id, &schema);
                Ok(Destination { id, schema, changes, is_new: true, survey: Some(survey) })
            }
        }
    }

    /// The key columns, and those that say which row is newer.
    fn key(&self, destination: &Destination) -> Result<(Vec<ColumnId>, Vec<ColumnId>), UploadError> {
        let Some(survey) = &destination.survey else { return Ok((Vec::new(), Vec::new())) };
        let key = plan::columns("primary key", &self.upload.key, survey, &destination.schema)?;
        if self.upload.mode != Mode::Upsert {
            return Ok((Vec::new(), Vec::new()));
        }
        let newer_by = plan::columns("cursor", &self.upload.newer_by, survey, &destination.schema)?;
        Ok((key, newer_by))
    }

    fn rows(&self, destination: &Destination) -> Result<Rows, UploadError> {
        let rows = match destination.is_new {
            true => self.file.rows_of_new_table(&destination.schema)?,
            false => self.file.rows(&destination.schema)?,
        };
        Ok(match &destination.survey {
            Some(survey) => rows.with_columns(survey),
            None => rows,
        })
    }
}

/// Rows that come by a key.
struct Keyed<'a> {
    destination: &'a Destination,
    /// Of an upsert; empty for rows that the table's own key is to let in.
    key: Vec<ColumnId>,
    newer_by: Vec<ColumnId>,
}

enum KeyedRows {
    Merge(Merge),
    Append(Batch),
}

impl Keyed<'_> {
    fn change(&self, batch: Batch) -> KeyedRows {
        if self.key.is_empty() {
            return KeyedRows::Append(batch);
        }
        let (key, newer_by) = (self.key.clone(), self.newer_by.clone());
        KeyedRows::Merge(Merge { batch, key, on_match: OnMatch::Update, newer_by })
    }
}

/// Rows that the table's own primary key refuses, in words. `first_row` is the number in the file of the first one that was tried.
fn taken_keys(error: Error, first_row: u64) -> UploadError {
    if error.kind() != ErrorKind::Conflict || error.rows().is_empty() {
        return error.into();
    }
    let rows = error.rows().iter().map(|row| first_row + u64::from(*row));
    refused(format!("the table has a row with the same primary key, or the file has two: {}", named(rows)))
}
