//! CSV files: a header line, then rows of separated values.
//!
//! **Invariants**
//! 1. Every row has as many fields as the header; one that has not is a fault, and so is a quote that is never closed.
//! 2. An empty field is NULL, quoted or not. Blank lines are not rows.
//! 3. A record takes at most [`RECORD_BYTES_MAX`], whatever its quotes say.

use std::io::{self, Read};
use std::sync::Arc;

use arrow_array::ArrayRef;
use csv::{Reader, ReaderBuilder, StringRecord};
use siltstone_storage::{Column, LogicalType, NewColumn, TableSchema};

use super::source::{Cursor, stretch};
use super::types::Fits;
use super::{FileBatch, FileBytes, FileError, Result, matching, policy};
use crate::coerce::Context;
use crate::json::builders::Builder;
use crate::json::faults::Words;
use crate::json::scanner::Token;
use crate::{Fractions, Policy, UnknownFields};

/// Most bytes of one record.
pub(super) const RECORD_BYTES_MAX: u64 = 64 << 20;

/// Rows and bytes of text after which a batch is handed out.
const BATCH_ROWS_MAX: usize = 65_536;
const BATCH_BYTES_MAX: usize = 8 << 20;

const BUFFER_BYTES: usize = 256 << 10;

/// What separates fields, in the order in which it is tried.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// The columns by name; their types are not looked at.
pub(super) fn names(bytes: &Arc<dyn FileBytes>) -> Result<Vec<NewColumn>> {
    let records = Records::open(bytes)?;
    Ok(records.header.iter().map(|name| NewColumn::new(name, LogicalType::Varchar)).collect())
}

/// The columns with the types that all their values fit.
pub(super) fn types(bytes: &Arc<dyn FileBytes>) -> Result<Vec<NewColumn>> {
    let mut records = Records::open(bytes)?;
    let mut fits = vec![Fits::default(); records.header.len()];
    let mut record = StringRecord::new();
    while records.next(&mut record)?.is_some() {
        for (fits, value) in fits.iter_mut().zip(&record) {
            fits.see(value);
        }
    }
    let column = |(name, fits): (&String, Fits)| NewColumn::new(name, fits.logical_type());
    Ok(records.header.iter().zip(fits).map(column).collect())
}

/// The rows as those of a table.
pub(super) fn rows<'a>(
    bytes: &Arc<dyn FileBytes>,
    table: &'a TableSchema,
) -> Result<impl Iterator<Item = Result<FileBatch>> + 'a> {
    let records = Records::open(bytes)?;
    let names: Vec<_> = records.header.iter().map(|name| NewColumn::new(name, LogicalType::Varchar)).collect();
    let columns = matching::matched(&names, table)?;
    Ok(Batches { records, columns, policy: policy(UnknownFields::Reject), ended: false })
}

/// Reads batches.
struct Batches<'a> {
    records: Records,
    columns: Vec<&'a Column>,
    policy: Policy,
    ended: bool,
}

impl Iterator for Batches<'_> {
    type Item = Result<FileBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.batch() {
            Ok(batch) if batch.rows == 0 => None,
            outcome => Some(outcome),
        }
    }
}

impl Batches<'_> {
    fn batch(&mut self) -> Result<FileBatch> {
        let mut builders: Vec<Builder> = self.columns.iter().map(|column| Builder::new(&column.logical_type)).collect();
        let mut context = Context::new(Fractions::Reject);
        let mut record = StringRecord::new();
        let (mut rows, mut text_bytes) = (0, 0);
        while rows < BATCH_ROWS_MAX && text_bytes < BATCH_BYTES_MAX {
            let Some(line) = self.records.next(&mut record)? else {
                self.ended = true;
                break;
            };
            for ((builder, column), value) in builders.iter_mut().zip(&self.columns).zip(&record) {
                let token = if value.is_empty() { Token::Null } else { Token::Text(value) };
                builder.push(&token, &mut context).map_err(|code| {
                    let words = Words::refused_value(code, &token, &column.logical_type, &self.policy);
                    FileError::invalid(format!("line {line}, column \"{}\": {}", column.name, words.message))
                })?;
            }
            rows += 1;
            text_bytes += record.as_slice().len();
        }
        let finished: Vec<ArrayRef> = builders.into_iter().map(Builder::finish).collect();
        let columns = self.columns.iter().map(|column| column.id).zip(finished).collect();
        Ok(FileBatch { rows, first_row: 0, columns })
    }
}

/// The records after the header.
struct Records {
    bytes: Arc<dyn FileBytes>,
    header: Vec<String>,
    delimiter: u8,
    reader: Reader<Bounded>,
    /// Where the record read last starts.
    last_at: u64,
}

impl Records {
    fn open(bytes: &Arc<dyn FileBytes>) -> Result<Self> {
        let (mut header, mut delimiter) = (StringRecord::new(), DELIMITERS[0]);
        for candidate in DELIMITERS {
            let mut found = StringRecord::new();
            read(&mut reader(bytes, candidate), &mut found)?;
            if found.len() > 1 || candidate == DELIMITERS[0] {
                (header, delimiter) = (found, candidate);
            }
            if header.len() > 1 {
                break;
            }
        }
        let mut records = Self {
            bytes: Arc::clone(bytes),
            header: Vec::new(),
            delimiter,
            reader: reader(bytes, delimiter),
            last_at: 0,
        };
        read(&mut records.reader, &mut StringRecord::new())?;
        records.header = header.iter().enumerate().map(column_name).collect();
        if header.len() > TableSchema::COLUMNS_MAX {
            return Err(FileError::invalid(format!(
                "the header names {} columns; a table has at most {}",
                header.len(),
                TableSchema::COLUMNS_MAX
            )));
        }
        Ok(records)
    }

    /// Reads a record; gives the line that it starts on.
    fn next(&mut self, record: &mut StringRecord) -> Result<Option<u64>> {
        if !read(&mut self.reader, record)? {
            self.check_end()?;
            return Ok(None);
        }
        let (line, at) = record.position().map_or((0, 0), |position| (position.line(), position.byte()));
        self.last_at = at;
        if record.len() == self.header.len() {
            return Ok(Some(line));
        }
        self.check_end()?;
        Err(FileError::invalid(format!(
            "line {line}: expected {} fields as in the header, found {}",
            self.header.len(),
            record.len()
        )))
    }

    /// Refuses a file whose end is inside quotes: it was cut off, or a quote was opened by mistake.
    fn check_end(&self) -> Result<()> {
        let end = self.bytes.length();
        let Some(left) = end.checked_sub(self.last_at).filter(|left| *left <= 2 * RECORD_BYTES_MAX) else {
            return Ok(());
        };
        let last = stretch(self.bytes.as_ref(), self.last_at, left as usize)?;
        if ends_inside_quotes(&last, self.delimiter) {
            return Err(FileError::invalid("the file ends inside a quoted field"));
        }
        Ok(())
    }
}

/// The name of a column whose header is empty is its place, as DuckDB has it.
fn column_name((place, name): (usize, &str)) -> String {
    if name.is_empty() { format!("column{place}") } else { name.to_owned() }
}

/// Whether text that starts with a record ends before a quoted field does.
fn ends_inside_quotes(text: &[u8], delimiter: u8) -> bool {
    let (mut quoted, mut field_starts) = (false, true);
    for byte in text {
        match byte {
            b'"' if quoted => quoted = false,
            // Either the start of a field, or the second of two quotes that mean one.
            b'"' => quoted = field_starts || !quoted,
            _ => {}
        }
        field_starts = !quoted && (*byte == delimiter || matches!(byte, b'\n' | b'\r'));
    }
    quoted
}

fn reader(bytes: &Arc<dyn FileBytes>, delimiter: u8) -> Reader<Bounded> {
    ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .buffer_capacity(BUFFER_BYTES)
        .from_reader(Bounded { cursor: Cursor::new(bytes, 0), left: RECORD_BYTES_MAX })
}

fn read(reader: &mut Reader<Bounded>, record: &mut StringRecord) -> Result<bool> {
    reader.get_mut().left = RECORD_BYTES_MAX;
    reader.read_record(record).map_err(|error| {
        let line = error.position().map_or(0, csv::Position::line);
        match error.into_kind() {
            csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                FileError::invalid(format!("a record is larger than {RECORD_BYTES_MAX} bytes"))
            }
            csv::ErrorKind::Io(error) => FileError::Read(error),
            csv::ErrorKind::Utf8 { .. } => FileError::invalid(format!("line {line}: invalid UTF-8")),
            _ => FileError::invalid(format!("line {line}: not CSV")),
        }
    })
}

/// Stops a record that does not end.
struct Bounded {
    cursor: Cursor,
    left: u64,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.cursor.read(&mut buffer[..most])?;
        self.left -= read as u64;
        Ok(read)
    }
}
