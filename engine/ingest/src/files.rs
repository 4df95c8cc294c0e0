//! Whole files as batches of typed columns: CSV, JSON and Parquet of any size in bounded memory.
//!
//! ```text
//! source    the bytes, read where they are wanted
//! format    what a file is, by its first bytes
//! csv json parquet   one reader each: what columns there are, then batches
//! types     the type of a CSV column, from all its values
//! cast      Arrow arrays into column types
//! common    the columns of several files together
//! ```
//!
//! A file is read twice where it is to become a table and does not say its types itself: [`DataFile::survey`] looks at all rows, then
//! [`DataFile::rows`] gives them.
//!
//! **Invariants**
//! 1. Memory is bounded by a batch and by the longest record, for which there is a limit; not by the file.
//! 2. The first fault ends the reading: a file is good as a whole or not at all.
//! 3. Values become those of a column type by the one coercion table (`docs/coercion.md`), whatever the format.
//! 4. Whatever the bytes: an error, not a panic.
//!
//! It knows no paths, no HTTP, and nothing of what becomes of the rows.

mod cast;
mod common;
mod csv;
mod format;
mod json;
mod matching;
mod parquet;
mod source;
mod types;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use siltstone_storage::{Column, ColumnId, NewColumn, TableSchema};

pub use csv::{CsvForm, CsvHeader};
pub use format::FileFormat;
pub use source::FileBytes;

use crate::json::builders::Builder;
use crate::{CaseTwins, Fractions, Policy, UnknownFields};

/// Why a file cannot be had as rows.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// What is wrong with it, and where: a sentence for its sender.
    #[error("{0}")]
    Invalid(String),
    /// Its bytes cannot be read.
    #[error("the file cannot be read")]
    Read(#[from] std::io::Error),
}

impl FileError {
    fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(message.into())
    }
}

type Result<T, E = FileError> = std::result::Result<T, E>;

/// Rows of a file.
#[derive(Clone, Debug)]
pub struct FileBatch {
    /// How many.
    pub rows: usize,
    /// The number of the first, from 0 in the file.
    pub first_row: u64,
    /// The columns that the file has, in the Arrow form of the table's.
    pub columns: Vec<(ColumnId, ArrayRef)>,
}

/// A file of a known format.
#[derive(Clone, Debug)]
pub struct DataFile {
    bytes: Arc<dyn FileBytes>,
    format: FileFormat,
    csv: CsvForm,
}

/// What was found out about a file before its rows are read.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Columns in the order of the file, with the types that a new table would give them; of a survey against a table, names alone count.
    pub columns: Vec<NewColumn>,
    /// Places of columns without any value, so that their types say nothing.
    untyped: Vec<usize>,
}

/// What a survey is for.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    /// A table is to be made of the file.
    Types,
    /// The columns that the file has of this table.
    Names(&'a TableSchema),
}

impl DataFile {
    /// A file, and what its sender says it is.
    ///
    /// # Errors
    /// `Invalid` if there is nothing in it, or something else than was declared.
    pub fn new(bytes: Arc<dyn FileBytes>, declared: Option<FileFormat>) -> Result<Self> {
        let found = format::sniff(bytes.as_ref())?.ok_or_else(|| FileError::invalid("the file is empty"))?;
        match declared {
            Some(declared) if declared != found => Err(FileError::invalid(format!(
                "the file was declared as {declared}, and its contents look like {found}"
            ))),
            _ => Ok(Self { bytes, format: found, csv: CsvForm::default() }),
        }
    }

    /// A file that is read as one of this format, whatever it looks like; `csv` says how, if it is CSV.
    ///
    /// # Errors
    /// `Invalid` if there is nothing in it.
    pub fn of_format(bytes: Arc<dyn FileBytes>, format: FileFormat, csv: CsvForm) -> Result<Self> {
        if bytes.length() == 0 {
            return Err(FileError::invalid("the file is empty"));
        }
        Ok(Self { bytes, format, csv })
    }

    /// What it is.
    pub fn format(&self) -> FileFormat {
        self.format
    }

    /// Finds out the columns: from the header or footer where they stand there, else from all rows.
    ///
    /// # Errors
    /// `Invalid` for a file that is not what its format says, or has a column twice; `Read`.
    pub fn survey(&self, wanted: Wanted<'_>) -> Result<Survey> {
        let typed = |columns| Survey { columns, untyped: Vec::new() };
        let survey = match (self.format, wanted) {
            (FileFormat::Csv, Wanted::Types) => csv::types(&self.bytes, &self.csv)?,
            (FileFormat::Csv, Wanted::Names(_)) => typed(csv::names(&self.bytes, &self.csv)?),
            (FileFormat::Json, Wanted::Types) => typed(json::types(&self.bytes)?),
            (FileFormat::Json, Wanted::Names(table)) => typed(json::names(&self.bytes, table)?),
            (FileFormat::Parquet, _) => typed(parquet::columns(&self.bytes)?),
        };
        matching::check_distinct(&survey.columns)?;
        Ok(survey)
    }

    /// The rows as those of a table: columns are matched by name, values cast to the table's types.
    ///
    /// # Errors
    /// `Invalid` if the file has a column that the table lacks, or the other way round one that must be there; `Read`.
    pub fn rows(&self, table: &TableSchema) -> Result<Rows> {
        let batches: Batches = match self.format {
            FileFormat::Csv => Box::new(csv::rows(&self.bytes, &self.csv, table, matching::matched)?),
            FileFormat::Json => Box::new(json::rows(&self.bytes, table, UnknownFields::Reject)),
            FileFormat::Parquet => Box::new(parquet::rows(&self.bytes, table, matching::matched)?),
        };
        Ok(Rows::new(batches, table))
    }

    /// The same of the columns that both have: others of the file are left out, and batches may lack others of the table.
    ///
    /// # Errors
    /// `Invalid`; `Read`.
    pub fn wanted_rows(&self, table: &TableSchema) -> Result<Rows> {
        let batches: Batches = match self.format {
            FileFormat::Csv => Box::new(csv::rows(&self.bytes, &self.csv, table, matching::wanted)?),
            FileFormat::Json => Box::new(json::rows(&self.bytes, table, UnknownFields::Ignore)),
            FileFormat::Parquet => Box::new(parquet::rows(&self.bytes, table, matching::wanted)?),
        };
        Ok(Rows::new(batches, table))
    }

    /// The same where the table was made of this very file: fields that were NULL in every row, and so became no column, are left out.
    ///
    /// # Errors
    /// As [`DataFile::rows`].
    pub fn rows_of_new_table(&self, table: &TableSchema) -> Result<Rows> {
        match self.format {
            FileFormat::Json => {
                let batches = Box::new(json::rows(&self.bytes, table, UnknownFields::Ignore));
                Ok(Rows::new(batches, table))
            }
            FileFormat::Csv | FileFormat::Parquet => self.rows(table),
        }
    }
}

type Batches = Box<dyn Iterator<Item = Result<FileBatch>> + Send>;

/// The rows of a file, batch by batch; ends with the first error.
pub struct Rows {
    batches: Batches,
    table: TableSchema,
    /// Columns that every batch is to have.
    expected: Vec<Column>,
    next_row: u64,
    failed: bool,
}

impl Rows {
    fn new(batches: Batches, table: &TableSchema) -> Self {
        Self { batches, table: table.clone(), expected: Vec::new(), next_row: 0, failed: false }
    }

    /// The same with every column that the survey found in every batch: where no row of a batch mentions one, it has its default.
    #[must_use]
    pub fn with_columns(mut self, survey: &Survey) -> Self {
        self.expected = survey.columns.iter().filter_map(|column| self.table.column(&column.name).cloned()).collect();
        self
    }

    fn completed(&self, mut batch: FileBatch) -> FileBatch {
        for column in &self.expected {
            if !batch.columns.iter().any(|(id, _)| *id == column.id) {
                let mut builder = Builder::new(&column.logical_type);
                builder.push_default(column.default.as_ref(), batch.rows);
                batch.columns.push((column.id, builder.finish()));
            }
        }
        batch
    }
}

impl Iterator for Rows {
    type Item = Result<FileBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let batch = self.batches.next()?.and_then(|batch| {
            let batch = self.completed(FileBatch { first_row: self.next_row, ..batch });
            check_nulls(&batch, &self.table)?;
            self.next_row += batch.rows as u64;
            Ok(batch)
        });
        self.failed = batch.is_err();
        Some(batch)
    }
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").field("next_row", &self.next_row).finish_non_exhaustive()
    }
}

/// Refuses NULL where the column does not allow it.
fn check_nulls(batch: &FileBatch, table: &TableSchema) -> Result<()> {
    for (id, array) in &batch.columns {
        let Some(column) = table.column_by_id(*id).filter(|column| !column.nullable) else { continue };
        let Some(nulls) = array.nulls().filter(|nulls| nulls.null_count() > 0) else { continue };
        let at = nulls.iter().position(|valid| !valid).unwrap_or(0) as u64;
        return Err(FileError::invalid(format!(
            "row {}, column \"{}\": the column does not allow NULL",
            batch.first_row + at,
            column.name
        )));
    }
    Ok(())
}

/// The rules of files: values are taken as `/append` takes them, and nothing is dropped or added silently.
fn policy(unknown_fields: UnknownFields) -> Policy {
    Policy {
        fractions: Fractions::Reject,
        unknown_fields,
        case_twins: CaseTwins::LastWins,
        nan_tokens: false,
        rows_max: usize::MAX,
        field_bytes_max: usize::MAX,
        row_depth_max: crate::BODY_DEPTH_MAX,
        new_columns_max: TableSchema::COLUMNS_MAX,
    }
}
