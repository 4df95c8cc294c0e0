//! CSV files: a header line, if there is one, then rows of separated values.
//!
//! **Invariants**
//! 1. Every row has as many fields as the first line; one that has not is a fault, and so is a quote that is never closed.
//! 2. An empty field is NULL, quoted or not. Blank lines are not rows.
//! 3. A record takes at most [`RECORD_BYTES_MAX`], whatever its quotes say.

use std::io::{self, Read};
use std::sync::Arc;

use arrow_array::ArrayRef;
use csv::{Reader, ReaderBuilder, StringRecord};
use siltstone_storage::{Column, LogicalType, NewColumn, TableSchema, same_name};

use super::matching::Matching;
use super::source::{Cursor, stretch};
use super::types::{Fits, is_text};
use super::{FileBatch, FileBytes, FileError, Result, Survey, policy};
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

/// How a CSV file is laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvForm {
    /// What separates fields; `None` is the first of comma, semicolon, tab and bar that the first line has.
    pub delimiter: Option<u8>,
    /// What encloses a field that holds delimiters or line breaks; doubled, it stands for itself.
    pub quote: u8,
    /// Whether the first line names the columns.
    pub header: CsvHeader,
    /// The columns' names, whatever a header says; one for each.
    pub names: Option<Vec<String>>,
}

impl Default for CsvForm {
    fn default() -> Self {
        Self { delimiter: None, quote: b'"', header: CsvHeader::Present, names: None }
    }
}

/// Whether the first line of a CSV file names its columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CsvHeader {
    /// It does.
    Present,
    /// It is a row.
    Absent,
    /// It does unless one of its fields is a number, a truth value or a point in time; where names are given, if it holds these.
    Detected,
}

/// The columns by name; their types are not looked at.
pub(super) fn names(bytes: &Arc<dyn FileBytes>, form: &CsvForm) -> Result<Vec<NewColumn>> {
    let records = Records::open(bytes, form)?;
    Ok(records.names.iter().map(|name| NewColumn::new(name, LogicalType::Varchar)).collect())
}

/// The columns with the types that all their values fit.
pub(super) fn types(bytes: &Arc<dyn FileBytes>, form: &CsvForm) -> Result<Survey> {
    let mut records = Records::open(bytes, form)?;
    let mut fits = vec![Fits::default(); records.names.len()];
    let mut record = StringRecord::new();
    while records.next(&mut record)?.is_some() {
        for (fits, value) in fits.iter_mut().zip(&record) {
            fits.see(value);
        }
    }
    let untyped = (0..fits.len()).filter(|place| !fits[*place].saw_any()).collect();
    let column = |(name, fits): (&String, Fits)| NewColumn::new(name, fits.logical_type());
    Ok(Survey { columns: records.names.iter().zip(fits).map(column).collect(), untyped })
}

/// The rows as those of a table, of the columns that `matched` finds.
pub(super) fn rows(
    bytes: &Arc<dyn FileBytes>,
    form: &CsvForm,
    table: &TableSchema,
    matched: Matching,
) -> Result<impl Iterator<Item = Result<FileBatch>> + Send + use<>> {
    let records = Records::open(bytes, form)?;
    let names: Vec<_> = records.names.iter().map(|name| NewColumn::new(name, LogicalType::Varchar)).collect();
    let columns = matched(&names, table)?;
    Ok(Batches { records, columns, policy: policy(UnknownFields::Reject), ended: false })
}

/// Reads batches.
struct Batches {
    records: Records,
    /// Places in a record, and the columns that what stands there goes to.
    columns: Vec<(usize, Column)>,
    policy: Policy,
    ended: bool,
}

impl Iterator for Batches {
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

impl Batches {
    fn batch(&mut self) -> Result<FileBatch> {
        let builder = |(_, column): &(usize, Column)| Builder::new(&column.logical_type);
        let mut builders: Vec<Builder> = self.columns.iter().map(builder).collect();
        let mut context = Context::new(Fractions::Reject);
        let mut record = StringRecord::new();
        let (mut rows, mut text_bytes) = (0, 0);
        while rows < BATCH_ROWS_MAX && text_bytes < BATCH_BYTES_MAX {
            let Some(line) = self.records.next(&mut record)? else {
                self.ended = true;
                break;
            };
            for (builder, (place, column)) in builders.iter_mut().zip(&self.columns) {
                let value = record.get(*place).unwrap_or_default();
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
        let columns = self.columns.iter().map(|(_, column)| column.id).zip(finished).collect();
        Ok(FileBatch { rows, first_row: 0, columns })
    }
}

/// The records that are rows.
struct Records {
    bytes: Arc<dyn FileBytes>,
    names: Vec<String>,
    delimiter: u8,
    quote: u8,
    reader: Reader<Bounded>,
    /// Where the record read last starts.
    last_at: u64,
}

impl Records {
    fn open(bytes: &Arc<dyn FileBytes>, form: &CsvForm) -> Result<Self> {
        let (first, delimiter) = first_record(bytes, form)?;
        if first.len() > TableSchema::COLUMNS_MAX {
            return Err(FileError::invalid(format!(
                "the header names {} columns; a table has at most {}",
                first.len(),
                TableSchema::COLUMNS_MAX
            )));
        }
        let has_header = match form.header {
            CsvHeader::Present => true,
            CsvHeader::Absent => false,
            CsvHeader::Detected => match &form.names {
                Some(names) => first.iter().zip(names).all(|(field, name)| same_name(field, name)),
                None => first.iter().all(is_text),
            },
        };
        let mut records = Self {
            bytes: Arc::clone(bytes),
            names: column_names(form, &first, has_header)?,
            delimiter,
            quote: form.quote,
            reader: reader(bytes, delimiter, form.quote),
            last_at: 0,
        };
        if has_header {
            read(&mut records.reader, &mut StringRecord::new())?;
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
        if record.len() == self.names.len() {
            return Ok(Some(line));
        }
        self.check_end()?;
        Err(FileError::invalid(format!(
            "line {line}: expected {} fields as in the header, found {}",
            self.names.len(),
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
        if ends_inside_quotes(&last, self.delimiter, self.quote) {
            return Err(FileError::invalid("the file ends inside a quoted field"));
        }
        Ok(())
    }
}

/// The first line, and the delimiter that it is read with.
fn first_record(bytes: &Arc<dyn FileBytes>, form: &CsvForm) -> Result<(StringRecord, u8)> {
    let mut first = StringRecord::new();
    if let Some(delimiter) = form.delimiter {
        read(&mut reader(bytes, delimiter, form.quote), &mut first)?;
        return Ok((first, delimiter));
    }
    let mut delimiter = DELIMITERS[0];
    for candidate in DELIMITERS {
        let mut found = StringRecord::new();
        read(&mut reader(bytes, candidate, form.quote), &mut found)?;
        if found.len() > 1 || candidate == DELIMITERS[0] {
            (first, delimiter) = (found, candidate);
        }
        if first.len() > 1 {
            break;
        }
    }
    Ok((first, delimiter))
}

/// What the columns are called. One without a name is called by its place, as DuckDB has it.
fn column_names(form: &CsvForm, first: &StringRecord, has_header: bool) -> Result<Vec<String>> {
    let count = first.len();
    if let Some(names) = &form.names {
        if names.len() != count {
            return Err(FileError::invalid(format!(
                "{} columns were named, and the first line has {count}",
                names.len()
            )));
        }
        return Ok(names.clone());
    }
    if has_header {
        let name = |(place, name): (usize, &str)| match name {
            "" => format!("column{place}"),
            name => name.to_owned(),
        };
        return Ok(first.iter().enumerate().map(name).collect());
    }
    let digits = count.saturating_sub(1).to_string().len();
    Ok((0..count).map(|place| format!("column{place:0digits$}")).collect())
}

/// Whether text that starts with a record ends before a quoted field does.
fn ends_inside_quotes(text: &[u8], delimiter: u8, quote: u8) -> bool {
    let (mut quoted, mut field_starts, mut closed) = (false, true, false);
    for byte in text {
        let is_quote = *byte == quote;
        // Elsewhere than at the start of a field it opens nothing, unless it is the second of two that mean one.
        let opens = is_quote && !quoted && (field_starts || closed);
        closed = is_quote && quoted;
        quoted = opens || quoted && !closed;
        field_starts = !quoted && (*byte == delimiter || matches!(byte, b'\n' | b'\r'));
    }
    quoted
}

fn reader(bytes: &Arc<dyn FileBytes>, delimiter: u8, quote: u8) -> Reader<Bounded> {
    ReaderBuilder::new()
        .delimiter(delimiter)
        .quote(quote)
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
