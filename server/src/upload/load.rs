//! The rows of one file as one commit.
//!
//! **Invariants**
//! 1. Everything is checked before the commit is made, the last row of the file included.
//! 2. Rows past [`LOG_BYTES_MAX`] go straight into segments, but for those that are merged by a key or checked against one.
//! 3. What was read against a snapshot that others have overtaken is read again.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use siltstone_ingest::{DataFile, FileBatch, Rows, Survey, Wanted};
use siltstone_storage::{
    Batch, Change, ColumnId, Commit, Engine, Error, ErrorKind, Merge, OnMatch, Snapshot, TableId, TableSchema,
};

use super::plan::{self, Target, refused};
use super::{Mode, Spooled, Upload, UploadError, Uploaded};

/// Attempts of one file while others change its table.
const ATTEMPTS_MAX: usize = 5;

/// Bytes of rows, as columns in memory, that go through memory and log. 16 MiB: less than a flush is worth, and a group of commits in the log.
const LOG_BYTES_MAX: usize = 16 << 20;

/// Rows that a message names.
const ROWS_SHOWN: usize = 10;

/// Reads the file and commits it. Blocks.
///
/// # Errors
/// [`UploadError`]; nothing was written.
pub(super) fn load(
    engine: &Engine,
    upload: &Upload,
    file: &Spooled,
    commit_bytes_max: usize,
) -> Result<Uploaded, UploadError> {
    let file = DataFile::new(file.shared(), upload.format)?;
    for _ in 0..ATTEMPTS_MAX {
        let attempt = Attempt { engine, upload, file: &file, commit_bytes_max, snapshot: engine.snapshot() };
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
    commit_bytes_max: usize,
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
        let mut gathered = Gathered::default();
        let mut batches = self.rows(&destination)?;
        while let Some(batch) = batches.next() {
            gathered.push(batch?, &key);
            if takes_loads && gathered.bytes > LOG_BYTES_MAX {
                return self.bulk(&destination, gathered, batches);
            }
            if gathered.bytes > self.commit_bytes_max {
                return Err(UploadError::TooLarge { limit: self.commit_bytes_max });
            }
        }
        drop(batches);
        gathered.check_keys(&destination.schema, &key)?;
        let rows = gathered.rows;
        let changes = self.changes(destination, gathered, key, newer_by)?;
        if changes.is_empty() {
            return Ok(Uploaded { snapshot: self.snapshot.id(), changed: false, rows });
        }
        let commit = Commit { info: self.upload.info.clone(), ..Commit::new(changes) };
        let committed = self.engine.write(commit).map_err(taken_keys)?;
        Ok(Uploaded { snapshot: committed.snapshot, changed: true, rows })
    }

    /// Writes the rows so far and all that follow into segments, which one commit makes part of the table.
    fn bulk(&self, destination: &Destination, gathered: Gathered, rest: Rows) -> Result<Uploaded, UploadError> {
        let id = destination.id;
        let mut load = self.engine.load(id, &destination.schema)?;
        let mut count = 0;
        for batch in gathered.batches.into_iter().map(Ok).chain(rest) {
            let FileBatch { rows, columns, .. } = batch?;
            load.append(&Batch::new(id, rows, columns)?)?;
            count += rows as u64;
        }
        let committed = load.commit(destination.changes.clone(), self.upload.info.clone())?;
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

    fn changes(
        &self,
        destination: Destination,
        gathered: Gathered,
        key: Vec<ColumnId>,
        newer_by: Vec<ColumnId>,
    ) -> Result<Vec<Change>, UploadError> {
        let Destination { id, schema, mut changes, .. } = destination;
        if gathered.rows == 0 {
            return Ok(changes);
        }
        if self.upload.mode == Mode::Upsert {
            let batch = gathered.joined(id)?;
            changes.push(Change::Merge(Merge { batch, key, on_match: OnMatch::Update, newer_by }));
        } else if !schema.primary_key().is_empty() {
            // One batch, so that the rows that are refused for their key can be named.
            changes.push(Change::Append(gathered.joined(id)?));
        } else {
            for batch in gathered.batches {
                changes.push(Change::Append(Batch::new(id, batch.rows, batch.columns)?));
            }
        }
        Ok(changes)
    }
}

/// Rows that the table's own primary key refuses, in words.
fn taken_keys(error: Error) -> UploadError {
    if error.kind() != ErrorKind::Conflict || error.rows().is_empty() {
        return error.into();
    }
    let rows = error.rows().iter().map(|row| u64::from(*row));
    refused(format!("the table has a row with the same primary key, or the file has two: {}", named(rows)))
}

/// `rows 1, 5 and 7 more`.
fn named(rows: impl ExactSizeIterator<Item = u64>) -> String {
    let more = rows.len().saturating_sub(ROWS_SHOWN);
    let shown: Vec<String> = rows.take(ROWS_SHOWN).map(|row| row.to_string()).collect();
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("rows {}{rest}", shown.join(", "))
}

/// Rows in memory.
#[derive(Default)]
struct Gathered {
    batches: Vec<FileBatch>,
    rows: u64,
    bytes: usize,
    /// Rows without a whole key.
    keyless: Vec<u64>,
}

impl Gathered {
    fn push(&mut self, batch: FileBatch, key: &[ColumnId]) {
        self.rows += batch.rows as u64;
        self.bytes += batch.columns.iter().map(|(_, array)| array.get_array_memory_size()).sum::<usize>();
        let keys: Vec<&ArrayRef> =
            batch.columns.iter().filter(|(id, _)| key.contains(id)).map(|(_, array)| array).collect();
        if keys.iter().any(|array| array.null_count() > 0) {
            let nulls = (0..batch.rows).filter(|row| keys.iter().any(|array| array.is_null(*row)));
            self.keyless.extend(nulls.map(|row| batch.first_row + row as u64));
        }
        self.batches.push(batch);
    }

    /// # Errors
    /// `Refused` naming the rows without a whole key.
    fn check_keys(&self, schema: &TableSchema, key: &[ColumnId]) -> Result<(), UploadError> {
        if self.keyless.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> =
            key.iter().filter_map(|id| schema.column_by_id(*id)).map(|column| column.name.as_str()).collect();
        let rows = named(self.keyless.iter().copied());
        Err(refused(format!("NULL in the primary key ({}): {rows}", names.join(", "))))
    }

    /// All rows as one batch.
    fn joined(mut self, table: TableId) -> Result<Batch, UploadError> {
        if self.batches.len() == 1
            && let Some(only) = self.batches.pop()
        {
            return Ok(Batch::new(table, only.rows, only.columns)?);
        }
        let ids: Vec<ColumnId> =
            self.batches.first().map_or(Vec::new(), |batch| batch.columns.iter().map(|(id, _)| *id).collect());
        let mut columns = Vec::with_capacity(ids.len());
        for id in ids {
            let parts: Vec<&dyn Array> = self
                .batches
                .iter()
                .filter_map(|batch| batch.columns.iter().find(|(found, _)| *found == id))
                .map(|(_, array)| array.as_ref())
                .collect();
            let joined = arrow::compute::concat(&parts).map_err(|error| {
                Error::with_source(ErrorKind::Internal, "the batches of a file cannot be joined", error)
            })?;
            columns.push((id, joined));
        }
        Ok(Batch::new(table, self.rows as usize, columns)?)
    }
}
