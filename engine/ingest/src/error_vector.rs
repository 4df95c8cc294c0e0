//! Which rows failed which rule: (column, code) to a bitmap of row positions.
//!
//! **Invariants**
//! 1. A row is rejected if and only if it is in at least one vector.
//! 2. Faults come in row order; the first [`KEPT_MAX`] are kept word for word, all are counted.
//! 3. Memory is bounded by the rows and [`VECTORS_MAX`], not by what a sender writes into field names.
//!
//! It does not know what the codes mean, nor how a dialect words them.

use std::collections::BTreeMap;

use roaring::RoaringBitmap;

/// Why a value or row is refused. The names are those of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "named as in the contracts")]
pub enum ErrorCode {
    InvalidCast,
    OutOfRange,
    NotNullViolation,
    NullPrimaryKey,
    DuplicateKey,
    FieldTooLarge,
    NestingTooDeep,
    NotAnObject,
    AmbiguousField,
    UnknownField,
    InvalidFieldName,
    TooManyColumns,
}

/// One fault, for people.
#[derive(Clone, Debug, PartialEq)]
pub struct RowError {
    /// 0-based position in the body.
    pub row: usize,
    /// The field; `None` for a fault of the whole row. Cut to 255 characters: no column has a longer name.
    pub field: Option<String>,
    /// Which rule.
    pub code: ErrorCode,
    /// `cannot convert string 'abc' to DOUBLE`.
    pub message: String,
    /// The offending value, cut to 100 characters.
    pub value: Option<String>,
}

/// Faults kept word for word.
const KEPT_MAX: usize = 1_000;

/// Pairs of field and code that have a vector of their own; faults past that count for no field in particular. Above
/// what a table of 4,096 columns can bring about.
const VECTORS_MAX: usize = 65_536;

type ByCode = BTreeMap<ErrorCode, RoaringBitmap>;

/// Faults of a body's rows.
#[derive(Clone, Debug, Default)]
pub struct ErrorVectors {
    whole_row: ByCode,
    by_field: BTreeMap<String, ByCode>,
    vectors: usize,
    rejected: RoaringBitmap,
    kept: Vec<RowError>,
    total: usize,
}

impl ErrorVectors {
    /// Rows with at least one fault.
    pub fn rejected(&self) -> RoaringBitmap {
        self.rejected.clone()
    }

    /// How many rows have at least one fault.
    pub fn rejected_rows(&self) -> usize {
        self.rejected.len() as usize
    }

    /// (field, code) with its rows.
    pub fn vectors(&self) -> impl Iterator<Item = (Option<&str>, ErrorCode, &RoaringBitmap)> {
        let whole_row = self.whole_row.iter().map(|(code, rows)| (None, *code, rows));
        let by_field = self
            .by_field
            .iter()
            .flat_map(|(field, by_code)| by_code.iter().map(move |(code, rows)| (Some(field.as_str()), *code, rows)));
        whole_row.chain(by_field)
    }

    /// The first faults in row order, at most `limit` and at most 1,000, and how many there are in all.
    pub fn first(&self, limit: usize) -> (Vec<RowError>, usize) {
        (self.kept.iter().take(limit).cloned().collect(), self.total)
    }

    /// Whether every row is accepted.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Whether the next fault's words are still wanted.
    pub(crate) fn keeps_words(&self) -> bool {
        self.kept.len() < KEPT_MAX
    }

    /// Notes a fault of a row not below any row noted so far. `words` are kept only while [`Self::keeps_words`].
    pub(crate) fn insert(&mut self, row: u32, field: Option<&str>, code: ErrorCode, words: Option<RowError>) {
        self.total += 1;
        self.rejected.insert(row);
        self.vector(field, code).insert(row);
        if self.keeps_words() {
            self.kept.extend(words);
        }
    }

    /// Refuses whole rows after decoding, for a reason that only their table knows; rows in any order.
    pub fn refuse(&mut self, code: ErrorCode, rows: &[u32], message: impl Fn(u32) -> String) {
        for row in rows {
            self.total += 1;
            self.rejected.insert(*row);
            self.vector(None, code).insert(*row);
        }
        let words = rows.iter().take(KEPT_MAX).map(|row| RowError {
            row: *row as usize,
            field: None,
            code,
            message: message(*row),
            value: None,
        });
        self.kept.extend(words);
        self.kept.sort_by_key(|error| error.row);
        self.kept.truncate(KEPT_MAX);
    }

    fn vector(&mut self, field: Option<&str>, code: ErrorCode) -> &mut RoaringBitmap {
        let Some(field) = field else {
            return self.whole_row.entry(code).or_default();
        };
        let known = self.by_field.get(field).is_some_and(|codes| codes.contains_key(&code));
        if !known {
            if self.vectors == VECTORS_MAX {
                return self.whole_row.entry(code).or_default();
            }
            self.vectors += 1;
        }
        self.by_field.entry(field.to_owned()).or_default().entry(code).or_default()
    }
}

#[cfg(test)]
mod tests;
