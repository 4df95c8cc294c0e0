//! A single value: zone-map bounds and column defaults.

use std::cmp::Ordering;

use crate::logical_type::LogicalType;

/// One non-NULL value of some column. The column's type says what it means: dates are days, times microseconds, timestamps
/// counts of their type's unit, a decimal is unscaled.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// BOOLEAN.
    Bool(bool),
    /// Signed integers, DATE (days), TIME (µs) and timestamps (in the unit of their type).
    Int(i64),
    /// Unsigned integers.
    UInt(u64),
    /// DECIMAL, unscaled; HUGEINT.
    Decimal(i128),
    /// REAL and DOUBLE.
    Float(f64),
    /// VARCHAR, UUID, JSON, BIT and ENUM.
    Text(String),
    /// BLOB.
    Bytes(Vec<u8>),
    /// INTERVAL; no bound of a zone map.
    Interval {
        /// Calendar months.
        months: i32,
        /// Days.
        days: i32,
        /// Nanoseconds of the rest.
        nanos: i64,
    },
}

impl Value {
    /// Order of two values of one column: numbers by size (floats by IEEE total order), text and bytes bytewise.
    /// `None` when they are of different variants, and for intervals, which order only as SQL says.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        Some(match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::UInt(a), Self::UInt(b)) => a.cmp(b),
            (Self::Decimal(a), Self::Decimal(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Bytes(a), Self::Bytes(b)) => a.cmp(b),
            _ => return None,
        })
    }

    /// Whether a column of type `ty` can hold it, but for its range.
    pub(crate) fn is_of(&self, ty: &LogicalType) -> bool {
        use LogicalType as T;
        match self {
            Self::Bool(_) => matches!(ty, T::Boolean),
            Self::Int(_) => matches!(
                ty,
                T::TinyInt
                    | T::SmallInt
                    | T::Integer
                    | T::BigInt
                    | T::Date
                    | T::Time
                    | T::Timestamp
                    | T::TimestampTz
                    | T::TimestampS
                    | T::TimestampMs
                    | T::TimestampNs
            ),
            Self::UInt(_) => matches!(ty, T::UTinyInt | T::USmallInt | T::UInteger | T::UBigInt),
            Self::Decimal(_) => matches!(ty, T::Decimal { .. } | T::HugeInt),
            Self::Float(_) => matches!(ty, T::Real | T::Double),
            Self::Text(_) => ty.is_text(),
            Self::Bytes(_) => matches!(ty, T::Blob),
            Self::Interval { .. } => matches!(ty, T::Interval),
        }
    }

    /// The bytes of text or bytes that a column of type `ty` can hold; `None` for any other value.
    pub(crate) fn bytes_of(&self, ty: &LogicalType) -> Option<&[u8]> {
        match self {
            Self::Text(text) if self.is_of(ty) => Some(text.as_bytes()),
            Self::Bytes(bytes) if self.is_of(ty) => Some(bytes),
            _ => None,
        }
    }
}
