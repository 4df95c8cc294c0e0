//! JSON bodies: where the rows are.
//!
//! **Invariants**
//! 1. The body is read once from front to back; what new columns need is looked up again where it stands.
//! 2. A body that is not wholly valid is refused wholly, at the first byte that is wrong.
//!
//! Rows themselves are `json::rows`' part, bytes `json::scanner`'s.

pub(crate) mod builders;
pub(crate) mod faults;
mod fields;
mod fresh;
mod members;
mod nested;
pub(crate) mod number;
mod rows;
pub(crate) mod scanner;
mod slot;
mod views;

pub(crate) use members::members;

use siltstone_storage::{Batch, ColumnId, TableSchema};

use crate::{BodyError, Decoded, Framing, Policy};
use faults::a_kind;
use rows::Rows;
use scanner::{Scanner, Stop};

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// See [`crate::decode`] and [`crate::decode_keyed`].
pub(crate) fn decode(
    body: &[u8],
    framing: Framing,
    table: Option<&TableSchema>,
    key: &[ColumnId],
    policy: &Policy,
) -> Result<Decoded, BodyError> {
    let invalid = match str::from_utf8(body) {
        Ok(text) => return decode_text(text, framing, table, key, policy),
        Err(invalid) => invalid,
    };
    // An earlier fault of the text comes first; it also tells which record the bad byte is in.
    let text = str::from_utf8(&body[..invalid.valid_up_to()]).unwrap_or_default();
    let record = match decode_text(text, framing, table, key, policy) {
        Err(BodyError::Syntax { offset, record, .. }) if offset == text.len() => record,
        Err(BodyError::Empty) => 0,
        Err(earlier) => return Err(earlier),
        Ok(decoded) => decoded.rows,
    };
    Err(BodyError::Syntax { offset: text.len(), record, reason: "invalid UTF-8".to_owned() })
}

fn decode_text(
    text: &str,
    framing: Framing,
    table: Option<&TableSchema>,
    key: &[ColumnId],
    policy: &Policy,
) -> Result<Decoded, BodyError> {
    let mut scanner = Scanner::new(text, policy.nan_tokens);
    if text.as_bytes().starts_with(BOM) {
        scanner.advance(BOM.len());
    }
    let mut reader =
        Reader { rows: Rows::new(scanner, table, key, policy), rows_max: policy.rows_max.min(Batch::ROWS_MAX) };
    match framing {
        Framing::Document => reader.document()?,
        Framing::Sequence => reader.sequence()?,
    }
    let count = reader.rows.count();
    reader.rows.finish().map_err(|stop| refused(stop, count))
}

/// Finds the rows of a body.
struct Reader<'a> {
    rows: Rows<'a>,
    rows_max: usize,
}

impl Reader<'_> {
    /// One object, or an array of them.
    fn document(&mut self) -> Result<(), BodyError> {
        match self.rows.scanner().next_byte() {
            None => return Err(BodyError::Empty),
            Some(b'{') => self.row(0)?,
            Some(b'[') => self.array()?,
            Some(_) => return Err(self.shape()),
        }
        match self.rows.scanner().next_byte() {
            None => Ok(()),
            Some(_) => Err(self.syntax("expected nothing more after the document")),
        }
    }

    fn array(&mut self) -> Result<(), BodyError> {
        self.rows.scanner().advance(1);
        if self.rows.scanner().next_byte() == Some(b']') {
            self.rows.scanner().advance(1);
            return Ok(());
        }
        loop {
            self.row(1)?;
            match self.rows.scanner().next_byte() {
                Some(b',') => self.rows.scanner().advance(1),
                Some(b']') => {
                    self.rows.scanner().advance(1);
                    return Ok(());
                }
                _ => return Err(self.syntax("expected ',' or ']'")),
            }
        }
    }

    /// Objects one after the other.
    fn sequence(&mut self) -> Result<(), BodyError> {
        while self.rows.scanner().next_byte().is_some() {
            self.row(0)?;
        }
        if self.rows.count() == 0 { Err(BodyError::Empty) } else { Ok(()) }
    }

    fn row(&mut self, depth: usize) -> Result<(), BodyError> {
        if self.rows.count() == self.rows_max {
            return Err(BodyError::Rows { limit: self.rows_max });
        }
        self.rows.read(depth).map_err(|stop| refused(stop, self.rows.count()))
    }

    /// The refusal of a document that is one scalar, or no value at all.
    fn shape(&mut self) -> BodyError {
        match self.rows.scanner().value(0, &mut String::new()) {
            Ok(token) => BodyError::Shape { found: a_kind(&token) },
            Err(stop) => refused(stop, 0),
        }
    }

    fn syntax(&mut self, reason: &'static str) -> BodyError {
        refused(self.rows.scanner().syntax(reason), self.rows.count())
    }
}

fn refused(stop: Stop, record: usize) -> BodyError {
    match stop {
        Stop::Syntax { at, reason } => BodyError::Syntax { offset: at, record, reason: reason.to_owned() },
        Stop::Depth { at } => BodyError::Depth { offset: at },
    }
}

#[cfg(test)]
mod tests;
