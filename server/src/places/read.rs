//! Files of the folder as columns and rows, by the readers that uploads go through: a file has the same types either way.
//!
//! **Invariants**: an error names its file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use siltstone_ingest::{CsvForm, CsvHeader, DataFile, FileBytes, FileError, FileFormat as Format, Survey, Wanted};
use siltstone_query::{FileBatches, FileFormat, FileReading, FileRows, FoundFile, QueryError};
use siltstone_storage::{NewColumn, TableSchema, same_name};

use super::{FilesFolder, invalid, unreadable};

/// First bytes of compressed data.
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// The columns that the files have together.
pub(super) fn columns(
    folder: &FilesFolder,
    files: &[FoundFile],
    reading: &FileReading,
) -> Result<Vec<NewColumn>, QueryError> {
    let format = format(reading.format);
    let mut together: Option<(&FoundFile, Survey)> = None;
    for file in files {
        let survey = open(folder, file, reading)?.survey(Wanted::Types).map_err(|fault| refused(file, fault))?;
        match &mut together {
            None => together = Some((file, survey)),
            Some((first, known)) => {
                if !reading.union_by_name && format != Format::Json {
                    check_same(first, known, file, &survey)?;
                }
                known.join(format, survey).map_err(|fault| refused(file, fault))?;
            }
        }
    }
    Ok(together.map(|(_, survey)| survey.columns).unwrap_or_default())
}

/// Refuses files of different columns.
fn check_same(first: &FoundFile, known: &Survey, file: &FoundFile, survey: &Survey) -> Result<(), QueryError> {
    let has = |survey: &Survey, name: &str| survey.columns.iter().any(|column| same_name(&column.name, name));
    let missing = known.columns.iter().find(|column| !has(survey, &column.name));
    let new = survey.columns.iter().find(|column| !has(known, &column.name));
    let (column, with, without) = match (missing, new) {
        (Some(column), _) => (column, first, file),
        (None, Some(column)) => (column, file, first),
        (None, None) => return Ok(()),
    };
    Err(invalid(
        &file.name,
        format_args!(
            "Schema mismatch between files: \"{}\" has a column \"{}\", and \"{}\" has not; \
             with union_by_name = true it is NULL there",
            with.name, column.name, without.name
        ),
    ))
}

/// The rows of a file.
pub(super) fn rows(
    folder: &FilesFolder,
    file: &FoundFile,
    reading: &FileReading,
    columns: &TableSchema,
) -> Result<FileBatches, QueryError> {
    let rows = open(folder, file, reading)?.wanted_rows(columns).map_err(|fault| refused(file, fault))?;
    let ids: Vec<_> = columns.columns().iter().map(|column| column.id).collect();
    let file = file.clone();
    Ok(Box::new(rows.map(move |batch| {
        let batch = batch.map_err(|fault| refused(&file, fault))?;
        let column = |id| batch.columns.iter().find(|(found, _)| found == id).map(|(_, array)| Arc::clone(array));
        Ok(FileRows { rows: batch.rows, columns: ids.iter().map(column).collect() })
    })))
}

fn open(folder: &FilesFolder, file: &FoundFile, reading: &FileReading) -> Result<DataFile, QueryError> {
    let bytes = OpenFile { file: folder.open_found(file)?, length: file.bytes };
    let mut start = [0; 4];
    let read = bytes.read_at(0, &mut start).map_err(|cause| unreadable(&file.name, &cause))?;
    if [GZIP_MAGIC, ZSTD_MAGIC].iter().any(|magic| start[..read].starts_with(magic)) {
        return Err(invalid(&file.name, "compressed files are not supported"));
    }
    let names = |columns: &Vec<NewColumn>| columns.iter().map(|column| column.name.clone()).collect();
    let csv = CsvForm {
        delimiter: reading.delimiter,
        quote: reading.quote,
        header: match reading.header {
            Some(true) => CsvHeader::Present,
            Some(false) => CsvHeader::Absent,
            None => CsvHeader::Detected,
        },
        names: reading.columns.as_ref().map(names),
    };
    DataFile::of_format(Arc::new(bytes), format(reading.format), csv).map_err(|fault| refused(file, fault))
}

fn format(format: FileFormat) -> Format {
    match format {
        FileFormat::Csv => Format::Csv,
        FileFormat::Json => Format::Json,
        FileFormat::Parquet => Format::Parquet,
    }
}

fn refused(file: &FoundFile, fault: FileError) -> QueryError {
    match fault {
        FileError::Read(cause) => unreadable(&file.name, &cause),
        FileError::Invalid(reason) => invalid(&file.name, reason),
    }
}

/// A file as its readers want it.
#[derive(Debug)]
struct OpenFile {
    file: File,
    length: u64,
}

impl FileBytes for OpenFile {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        // What is appended meanwhile is not part of the file that was found.
        let left = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let most = buffer.len().min(left);
        self.file.read_at(&mut buffer[..most], offset)
    }
}
