//! Column types: what a user declares, how it is named, and the Arrow type that holds it.
//!
//! **Invariants**
//! 1. There is one Arrow form per type, the same in ingest, memory, scans and queries. Text and bytes are views, so that
//!    mapped bytes reach a query without a copy.
//! 2. [`LogicalType::from_field`] inverts [`LogicalType::field`].

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, IntervalUnit, TimeUnit};

use crate::error::{Error, ErrorKind, Result};

mod names;
#[cfg(test)]
mod tests;

/// Key of the Arrow field metadata that tells apart types with the same Arrow form (`UUID`, `JSON`, `HUGEINT`, `BIT`, `ENUM('a')`, `FLOAT[3]`).
pub const TYPE_METADATA_KEY: &str = "siltstone.type";

/// A column type. Names follow DuckDB.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the variants are the SQL types of the same name")]
pub enum LogicalType {
    Boolean,
    TinyInt,
    SmallInt,
    Integer,
    BigInt,
    UTinyInt,
    USmallInt,
    UInteger,
    UBigInt,
    /// Whole numbers of up to 38 digits, of either sign.
    HugeInt,
    Real,
    Double,
    /// Up to 38 digits, `scale` of them after the point; `0 <= scale <= precision`.
    Decimal {
        precision: u8,
        scale: u8,
    },
    Varchar,
    Blob,
    /// Days since 1970-01-01.
    Date,
    /// Microseconds since midnight.
    Time,
    /// Microseconds since 1970-01-01, no zone.
    Timestamp,
    /// Microseconds since 1970-01-01 UTC.
    TimestampTz,
    /// Seconds since 1970-01-01, no zone.
    TimestampS,
    /// Milliseconds since 1970-01-01, no zone.
    TimestampMs,
    /// Nanoseconds since 1970-01-01, no zone: from 1677-09-21 to 2262-04-11.
    TimestampNs,
    /// Months, days and microseconds, each with a sign of its own. Arrow counts nanoseconds; none but whole microseconds are written.
    Interval,
    /// Lower-case text with dashes.
    Uuid,
    /// Text that is valid JSON.
    Json,
    /// Text of the characters 0 and 1, at least one.
    Bit,
    /// One of these texts; they are distinct and within [`LogicalType::ENUM_VALUES_MAX`] and [`LogicalType::ENUM_BYTES_MAX`].
    Enum(Arc<[String]>),
    List(Box<LogicalType>),
    /// `T[n]`: a list of which every value has as many items, from 1 to [`LogicalType::ARRAY_ITEMS_MAX`]. Whoever writes sees to that.
    Array(Box<LogicalType>, u32),
    /// Field names and types, in order; names are unique without regard to case.
    Struct(Vec<(String, LogicalType)>),
    /// Types of the keys and of the values. Keys are not NULL, and distinct within a value, which whoever writes sees to.
    Map(Box<(LogicalType, LogicalType)>),
}

impl LogicalType {
    /// Deepest nesting of LIST, `T[n]`, STRUCT and MAP that a column may have; a MAP counts twice.
    pub const DEPTH_MAX: usize = 32;
    /// Digits of a HUGEINT: as many as a decimal of 128 bits has.
    pub const HUGEINT_DIGITS: u8 = 38;
    /// Most values of an ENUM.
    pub const ENUM_VALUES_MAX: usize = 1 << 16;
    /// Most bytes of all values of an ENUM together: its name goes with every schema.
    pub const ENUM_BYTES_MAX: usize = 1 << 20;
    /// Most items of a value of `T[n]`, as in DuckDB.
    pub const ARRAY_ITEMS_MAX: u32 = 100_000;
    /// What the parts of a MAP's entry are called.
    pub const ENTRY_PARTS: [&str; 2] = ["key", "value"];

    /// An ENUM.
    ///
    /// # Errors
    /// `Invalid` for no, too many or repeated values.
    pub fn enumeration(values: Vec<String>) -> Result<Self> {
        match names::enum_fault(&values) {
            Some(fault) => Err(Error::new(ErrorKind::Invalid, fault)),
            None => Ok(Self::Enum(values.into())),
        }
    }

    /// Whether its values are text.
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Varchar | Self::Uuid | Self::Json | Self::Bit | Self::Enum(_))
    }

    /// Whether it is made of other types.
    pub fn is_nested(&self) -> bool {
        matches!(self, Self::List(_) | Self::Array(..) | Self::Struct(_) | Self::Map(_))
    }

    /// A MAP's entry as a STRUCT.
    pub fn entry(parts: &(Self, Self)) -> Self {
        let [key, value] = Self::ENTRY_PARTS.map(str::to_owned);
        Self::Struct(vec![(key, parts.0.clone()), (value, parts.1.clone())])
    }

    /// Sees to what a column of this type may not be.
    ///
    /// # Errors
    /// `Invalid` for nesting beyond [`LogicalType::DEPTH_MAX`] and for a MAP of keys that cannot be told apart by their text.
    pub(crate) fn check(&self, column: &str) -> Result<()> {
        if self.depth() > Self::DEPTH_MAX {
            return Err(Error::new(ErrorKind::Invalid, format!("type nested too deeply: column={column}")));
        }
        match self.unfit_key() {
            Some(key) => {
                Err(Error::new(ErrorKind::Invalid, format!("a MAP cannot have such keys: column={column}, type={key}")))
            }
            None => Ok(()),
        }
    }

    fn unfit_key(&self) -> Option<&Self> {
        match self {
            Self::List(item) | Self::Array(item, _) => item.unfit_key(),
            Self::Struct(fields) => fields.iter().find_map(|(_, ty)| ty.unfit_key()),
            Self::Map(parts) if parts.0.is_nested() || parts.0 == Self::Json => Some(&parts.0),
            Self::Map(parts) => parts.1.unfit_key(),
            _ => None,
        }
    }

    /// The Arrow type that holds values of this type.
    pub fn arrow(&self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::TinyInt => DataType::Int8,
            Self::SmallInt => DataType::Int16,
            Self::Integer => DataType::Int32,
            Self::BigInt => DataType::Int64,
            Self::UTinyInt => DataType::UInt8,
            Self::USmallInt => DataType::UInt16,
            Self::UInteger => DataType::UInt32,
            Self::UBigInt => DataType::UInt64,
            Self::Real => DataType::Float32,
            Self::Double => DataType::Float64,
            Self::Decimal { precision, scale } => DataType::Decimal128(*precision, *scale as i8),
            Self::HugeInt => DataType::Decimal128(Self::HUGEINT_DIGITS, 0),
            Self::Varchar | Self::Uuid | Self::Json | Self::Bit | Self::Enum(_) => DataType::Utf8View,
            Self::Blob => DataType::BinaryView,
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::TimestampTz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::TimestampS => DataType::Timestamp(TimeUnit::Second, None),
            Self::TimestampMs => DataType::Timestamp(TimeUnit::Millisecond, None),
            Self::TimestampNs => DataType::Timestamp(TimeUnit::Nanosecond, None),
            Self::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
            Self::List(item) | Self::Array(item, _) => DataType::List(Arc::new(item.field("item", true))),
            Self::Struct(fields) => {
                DataType::Struct(fields.iter().map(|(name, ty)| ty.field(name, true)).collect::<Fields>())
            }
            Self::Map(parts) => {
                let [key, value] = Self::ENTRY_PARTS;
                let entry = Fields::from(vec![parts.0.field(key, false), parts.1.field(value, true)]);
                DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entry), false)), false)
            }
        }
    }

    /// An Arrow field of this type; UUID, JSON, HUGEINT, BIT, ENUM and `T[n]` carry [`TYPE_METADATA_KEY`].
    pub fn field(&self, name: &str, nullable: bool) -> Field {
        let field = Field::new(name, self.arrow(), nullable);
        match self {
            Self::Uuid | Self::Json | Self::HugeInt | Self::Bit | Self::Enum(_) | Self::Array(..) => {
                field.with_metadata(HashMap::from([(TYPE_METADATA_KEY.to_owned(), self.to_string())]))
            }
            _ => field,
        }
    }

    /// The type that stores an Arrow field, or the nearest one that holds its values (small and large text alike).
    ///
    /// # Errors
    /// `Unsupported` for an Arrow type with no counterpart.
    pub fn from_field(field: &Field) -> Result<Self> {
        let marked = field.metadata().get(TYPE_METADATA_KEY).map(String::as_str);
        Ok(match field.data_type() {
            DataType::Boolean => Self::Boolean,
            DataType::Int8 => Self::TinyInt,
            DataType::Int16 => Self::SmallInt,
            DataType::Int32 => Self::Integer,
            DataType::Int64 => Self::BigInt,
            DataType::UInt8 => Self::UTinyInt,
            DataType::UInt16 => Self::USmallInt,
            DataType::UInt32 => Self::UInteger,
            DataType::UInt64 => Self::UBigInt,
            DataType::Float16 | DataType::Float32 => Self::Real,
            DataType::Float64 => Self::Double,
            DataType::Decimal128(Self::HUGEINT_DIGITS, 0) if marked == Some("HUGEINT") => Self::HugeInt,
            DataType::Decimal32(p, s) | DataType::Decimal64(p, s) | DataType::Decimal128(p, s) if *s >= 0 => {
                Self::Decimal { precision: *p, scale: *s as u8 }
            }
            DataType::Utf8View | DataType::Utf8 | DataType::LargeUtf8 => match marked {
                Some("UUID") => Self::Uuid,
                Some("JSON") => Self::Json,
                Some("BIT") => Self::Bit,
                Some(name) => match names::enum_values(name).map(Self::enumeration) {
                    Some(Ok(enumeration)) => enumeration,
                    _ => Self::Varchar,
                },
                None => Self::Varchar,
            },
            DataType::Null => Self::Varchar,
            DataType::Dictionary(_, values) => {
                Self::from_field(&Field::new(field.name(), values.as_ref().clone(), true))?
            }
            DataType::BinaryView | DataType::Binary | DataType::LargeBinary | DataType::FixedSizeBinary(_) => {
                Self::Blob
            }
            DataType::Date32 | DataType::Date64 => Self::Date,
            DataType::Time32(_) | DataType::Time64(_) => Self::Time,
            DataType::Timestamp(TimeUnit::Second, None) => Self::TimestampS,
            DataType::Timestamp(TimeUnit::Millisecond, None) => Self::TimestampMs,
            DataType::Timestamp(TimeUnit::Microsecond, None) => Self::Timestamp,
            DataType::Timestamp(TimeUnit::Nanosecond, None) => Self::TimestampNs,
            DataType::Timestamp(_, Some(_)) => Self::TimestampTz,
            DataType::Interval(_) | DataType::Duration(_) => Self::Interval,
            DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
                let item = Box::new(Self::from_field(item)?);
                match marked.and_then(names::array_items) {
                    Some(items) => Self::Array(item, items),
                    None => Self::List(item),
                }
            }
            DataType::Map(entries, _) if matches!(entries.data_type(), DataType::Struct(parts) if parts.len() == 2) => {
                let DataType::Struct(parts) = entries.data_type() else { unreachable!("seen above") };
                Self::Map(Box::new((Self::from_field(&parts[0])?, Self::from_field(&parts[1])?)))
            }
            DataType::Struct(fields) => Self::Struct(
                fields
                    .iter()
                    .map(|field| Ok((field.name().clone(), Self::from_field(field)?)))
                    .collect::<Result<_>>()?,
            ),
            other => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("no column type holds this Arrow type: column={}, type={other}", field.name()),
                ));
            }
        })
    }

    /// Levels of nesting: 0 for a scalar, two for each MAP.
    pub fn depth(&self) -> usize {
        match self {
            Self::List(item) | Self::Array(item, _) => 1 + item.depth(),
            Self::Map(parts) => 2 + parts.0.depth().max(parts.1.depth()),
            Self::Struct(fields) => 1 + fields.iter().map(|(_, ty)| ty.depth()).max().unwrap_or(0),
            _ => 0,
        }
    }
}

/// The DuckDB name, as `DESCRIBE` shows it.
impl fmt::Display for LogicalType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boolean => "BOOLEAN",
            Self::TinyInt => "TINYINT",
            Self::SmallInt => "SMALLINT",
            Self::Integer => "INTEGER",
            Self::BigInt => "BIGINT",
            Self::UTinyInt => "UTINYINT",
            Self::USmallInt => "USMALLINT",
            Self::UInteger => "UINTEGER",
            Self::UBigInt => "UBIGINT",
            Self::HugeInt => "HUGEINT",
            Self::Real => "FLOAT",
            Self::Double => "DOUBLE",
            Self::Decimal { precision, scale } => return write!(f, "DECIMAL({precision},{scale})"),
            Self::Varchar => "VARCHAR",
            Self::Blob => "BLOB",
            Self::Date => "DATE",
            Self::Time => "TIME",
            Self::Timestamp => "TIMESTAMP",
            Self::TimestampTz => "TIMESTAMP WITH TIME ZONE",
            Self::TimestampS => "TIMESTAMP_S",
            Self::TimestampMs => "TIMESTAMP_MS",
            Self::TimestampNs => "TIMESTAMP_NS",
            Self::Interval => "INTERVAL",
            Self::Uuid => "UUID",
            Self::Json => "JSON",
            Self::Bit => "BIT",
            Self::Enum(values) => return names::write_enum(values, f),
            Self::List(item) => return write!(f, "{item}[]"),
            Self::Array(item, items) => return write!(f, "{item}[{items}]"),
            Self::Map(parts) => return write!(f, "MAP({}, {})", parts.0, parts.1),
            Self::Struct(fields) => {
                f.write_str("STRUCT(")?;
                for (i, (name, ty)) in fields.iter().enumerate() {
                    let separator = if i == 0 { "" } else { ", " };
                    write!(f, "{separator}{} {ty}", quoted_if_needed(name))?;
                }
                return f.write_str(")");
            }
        })
    }
}

/// An identifier as SQL text: bare when it is a plain lower-case word, else in double quotes.
pub fn quoted_if_needed(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}
