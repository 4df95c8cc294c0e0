//! Which rows failed which rule: (column, code) to a bitmap of row positions.
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
    /// The field; `None` for a fault of the whole row.
    pub field: Option<String>,
    /// Which rule.
    pub code: ErrorCode,
    /// `cannot convert string 'abc' to DOUBLE`.
    pub message: String,
    /// The offending value, cut to 100 characters.
    pub value: Option<String>,
}

/// Faults of a body's rows.
#[derive(Clone, Debug, Default)]
pub struct ErrorVectors {}

impl ErrorVectors {
    /// Rows with at least one fault.
    pub fn rejected(&self) -> RoaringBitmap {
        unimplemented!()
    }
    /// (field, code) with its rows.
    pub fn vectors(&self) -> impl Iterator<Item = (Option<&str>, ErrorCode, &RoaringBitmap)> {
        std::iter::empty()
    }
    /// The first faults in row order, at most `limit`, and how many there are in all.
    pub fn first(&self, _limit: usize) -> (Vec<RowError>, usize) {
        unimplemented!()
    }
    /// Whether every row is accepted.
    pub fn is_empty(&self) -> bool {
        unimplemented!()
    }
}
