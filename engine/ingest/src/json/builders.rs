//! Column builders: tokens in, one Arrow array out.
//!
//! **Invariants**
//! 1. A builder's length counts its rows; [`Builder::push`] adds exactly one, also when it fails (NULL then).
//! 2. The array has the Arrow form of its [`LogicalType`], and nothing else.
//! 3. Memory follows what was pushed; no length in the input reserves anything by itself.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{ArrayRef, ArrowNativeTypeOp, BooleanArray, PrimitiveArray};
use arrow_buffer::{BooleanBufferBuilder, NullBufferBuilder, ScalarBuffer};
use arrow_schema::DataType;
use siltstone_storage::{LogicalType, Value, interval};

use super::nested::{Lists, Maps, Structs};
use super::scanner::Token;
use super::views::{Kind, Views};
use crate::coerce::temporal::{date, time, timestamp, timestamp_ms, timestamp_s};
use crate::coerce::{self, Context, text};
use crate::error_vector::ErrorCode;

/// A column of any type under construction.
#[derive(Debug)]
pub(crate) enum Builder {
    Boolean(Bits),
    TinyInt(Numbers<Int8Type>),
    SmallInt(Numbers<Int16Type>),
    Integer(Numbers<Int32Type>),
    BigInt(Numbers<Int64Type>),
    UTinyInt(Numbers<UInt8Type>),
    USmallInt(Numbers<UInt16Type>),
    UInteger(Numbers<UInt32Type>),
    UBigInt(Numbers<UInt64Type>),
    Real(Numbers<Float32Type>),
    Double(Numbers<Float64Type>),
    Decimal(Numbers<Decimal128Type>, u8, u8),
    Varchar(Views),
    Blob(Views, Vec<u8>),
    Date(Numbers<Date32Type>),
    Time(Numbers<Time64MicrosecondType>),
    Timestamp(Numbers<TimestampMicrosecondType>),
    HugeInt(Numbers<Decimal128Type>),
    TimestampS(Numbers<TimestampSecondType>),
    TimestampMs(Numbers<TimestampMillisecondType>),
    TimestampNs(Numbers<TimestampNanosecondType>),
    Interval(Numbers<IntervalMonthDayNanoType>),
    Uuid(Views),
    Json(Views),
    List(Box<Lists>),
    Struct(Box<Structs>),
    Bit(Views),
    /// Its values beside it.
    Enum(Views, HashSet<String>),
    Map(Box<Maps>),
}

/// Runs one expression on whichever builder it is.
macro_rules! on_each {
    ($self:expr, $builder:ident => $run:expr) => {
        match $self {
            Builder::Boolean($builder) => $run,
            Builder::TinyInt($builder) => $run,
            Builder::SmallInt($builder) => $run,
            Builder::Integer($builder) => $run,
            Builder::BigInt($builder) => $run,
            Builder::UTinyInt($builder) => $run,
            Builder::USmallInt($builder) => $run,
            Builder::UInteger($builder) => $run,
            Builder::UBigInt($builder) => $run,
            Builder::Real($builder) => $run,
            Builder::Double($builder) => $run,
            Builder::Decimal($builder, ..) => $run,
            Builder::Varchar($builder) | Builder::Uuid($builder) | Builder::Json($builder) => $run,
            Builder::Blob($builder, _) => $run,
            Builder::Date($builder) => $run,
            Builder::Time($builder) => $run,
            Builder::Timestamp($builder) => $run,
            Builder::HugeInt($builder) => $run,
            Builder::TimestampS($builder) => $run,
            Builder::TimestampMs($builder) => $run,
            Builder::TimestampNs($builder) => $run,
            Builder::Interval($builder) => $run,
            Builder::List($builder) => $run,
            Builder::Struct($builder) => $run,
            Builder::Bit($builder) | Builder::Enum($builder, _) => $run,
            Builder::Map($builder) => $run,
        }
    };
}

impl Builder {
    /// An empty column.
    pub(crate) fn new(logical_type: &LogicalType) -> Self {
        let arrow = || logical_type.arrow();
        match logical_type {
            LogicalType::Boolean => Self::Boolean(Bits::new()),
            LogicalType::TinyInt => Self::TinyInt(Numbers::new(arrow())),
            LogicalType::SmallInt => Self::SmallInt(Numbers::new(arrow())),
            LogicalType::Integer => Self::Integer(Numbers::new(arrow())),
            LogicalType::BigInt => Self::BigInt(Numbers::new(arrow())),
            LogicalType::UTinyInt => Self::UTinyInt(Numbers::new(arrow())),
            LogicalType::USmallInt => Self::USmallInt(Numbers::new(arrow())),
            LogicalType::UInteger => Self::UInteger(Numbers::new(arrow())),
            LogicalType::UBigInt => Self::UBigInt(Numbers::new(arrow())),
            LogicalType::Real => Self::Real(Numbers::new(arrow())),
            LogicalType::Double => Self::Double(Numbers::new(arrow())),
            LogicalType::Decimal { precision, scale } => Self::Decimal(Numbers::new(arrow()), *precision, *scale),
            LogicalType::Varchar => Self::Varchar(Views::new(Kind::Text)),
            LogicalType::Blob => Self::Blob(Views::new(Kind::Bytes), Vec::new()),
            LogicalType::Date => Self::Date(Numbers::new(arrow())),
            LogicalType::Time => Self::Time(Numbers::new(arrow())),
            LogicalType::Timestamp | LogicalType::TimestampTz => Self::Timestamp(Numbers::new(arrow())),
            LogicalType::HugeInt => Self::HugeInt(Numbers::new(arrow())),
            LogicalType::TimestampS => Self::TimestampS(Numbers::new(arrow())),
            LogicalType::TimestampMs => Self::TimestampMs(Numbers::new(arrow())),
            LogicalType::TimestampNs => Self::TimestampNs(Numbers::new(arrow())),
            LogicalType::Interval => Self::Interval(Numbers::new(arrow())),
            LogicalType::Uuid => Self::Uuid(Views::new(Kind::Text)),
            LogicalType::Json => Self::Json(Views::new(Kind::Text)),
            LogicalType::List(item) => Self::List(Box::new(Lists::new(item, None))),
            LogicalType::Array(item, items) => Self::List(Box::new(Lists::new(item, Some(*items)))),
            LogicalType::Struct(fields) => Self::Struct(Box::new(Structs::new(fields))),
            LogicalType::Bit => Self::Bit(Views::new(Kind::Text)),
            LogicalType::Enum(values) => Self::Enum(Views::new(Kind::Text), values.iter().cloned().collect()),
            LogicalType::Map(parts) => Self::Map(Box::new(Maps::new(logical_type, parts))),
        }
    }

    /// Rows so far.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        on_each!(self, builder => builder.len())
    }

    /// Adds a value; NULL if it does not coerce.
    #[inline]
    pub(crate) fn push(&mut self, token: &Token<'_>, context: &mut Context) -> Result<(), ErrorCode> {
        if let Token::Null = token {
            self.push_nulls(1);
            return Ok(());
        }
        match self {
            Self::Boolean(builder) => builder.push(coerce::boolean(token)),
            Self::TinyInt(builder) => builder.push(coerce::integer(token, context)),
            Self::SmallInt(builder) => builder.push(coerce::integer(token, context)),
            Self::Integer(builder) => builder.push(coerce::integer(token, context)),
            Self::BigInt(builder) => builder.push(coerce::integer(token, context)),
            Self::UTinyInt(builder) => builder.push(coerce::integer(token, context)),
            Self::USmallInt(builder) => builder.push(coerce::integer(token, context)),
            Self::UInteger(builder) => builder.push(coerce::integer(token, context)),
            Self::UBigInt(builder) => builder.push(coerce::integer(token, context)),
            Self::Real(builder) => builder.push(coerce::real(token)),
            Self::Double(builder) => builder.push(coerce::double(token)),
            Self::Decimal(builder, precision, scale) => builder.push(coerce::decimal(token, *precision, *scale)),
            Self::Date(builder) => builder.push(coerce::temporal(token, date)),
            Self::Time(builder) => builder.push(coerce::temporal(token, time)),
            Self::Timestamp(builder) => builder.push(coerce::temporal(token, timestamp)),
            Self::HugeInt(builder) => builder.push(coerce::hugeint(token, context)),
            Self::TimestampS(builder) => builder.push(coerce::temporal(token, timestamp_s)),
            Self::TimestampMs(builder) => builder.push(coerce::temporal(token, timestamp_ms)),
            Self::TimestampNs(builder) => builder.push(coerce::timestamp_ns(token)),
            Self::Interval(builder) => builder.push(coerce::temporal(token, interval::parse)),
            Self::Varchar(views) => {
                views.push(text::varchar(token, &mut context.scratch).as_bytes());
                Ok(())
            }
            Self::Uuid(views) => push_text(views, text::uuid(token, &mut context.scratch)),
            Self::Json(views) => push_text(views, text::json(token, &mut context.scratch)),
            Self::Blob(views, scratch) => {
                let outcome = text::blob(token, scratch);
                match outcome {
                    Ok(()) => views.push(scratch),
                    Err(_) => views.push_nulls(1),
                }
                outcome
            }
            Self::List(builder) => builder.push(token, context),
            Self::Struct(builder) => builder.push(token, context),
            Self::Bit(views) => push_text(views, text::bit(token)),
            Self::Enum(views, values) => push_text(views, text::member(token, values)),
            Self::Map(builder) => builder.push(token, context),
        }
    }

    /// Adds NULLs. None at all must not touch the builder: a column without NULLs has no validity bitmap.
    pub(crate) fn push_nulls(&mut self, count: usize) {
        if count == 0 {
            return;
        }
        on_each!(self, builder => builder.push_nulls(count));
    }

    /// Adds a column's default `count` times.
    pub(crate) fn push_default(&mut self, default: Option<&Value>, count: usize) {
        let Some(value) = default else {
            return self.push_nulls(count);
        };
        if let Value::Text(text) = value
            && let Self::Varchar(views)
            | Self::Uuid(views)
            | Self::Json(views)
            | Self::Bit(views)
            | Self::Enum(views, _) = &mut *self
        {
            return views.push_repeated(text.as_bytes(), count);
        }
        if let (Self::Blob(views, _), Value::Bytes(bytes)) = (&mut *self, value) {
            return views.push_repeated(bytes, count);
        }
        for _ in 0..count {
            self.push_value(value);
        }
    }

    /// Adds a stored value of fixed width. One that is not of the column's type cannot come from a checked schema; it counts as NULL.
    fn push_value(&mut self, value: &Value) {
        match (self, value) {
            (Self::Boolean(builder), Value::Bool(value)) => builder.push_some(*value),
            (Self::TinyInt(builder), Value::Int(value)) => builder.push_converted(*value),
            (Self::SmallInt(builder), Value::Int(value)) => builder.push_converted(*value),
            (Self::Integer(builder), Value::Int(value)) => builder.push_converted(*value),
            (Self::BigInt(builder), Value::Int(value)) => builder.push_some(*value),
            (Self::UTinyInt(builder), Value::UInt(value)) => builder.push_converted(*value),
            (Self::USmallInt(builder), Value::UInt(value)) => builder.push_converted(*value),
            (Self::UInteger(builder), Value::UInt(value)) => builder.push_converted(*value),
            (Self::UBigInt(builder), Value::UInt(value)) => builder.push_some(*value),
            (Self::Real(builder), Value::Float(value)) => builder.push_some(*value as f32),
            (Self::Double(builder), Value::Float(value)) => builder.push_some(*value),
            (Self::Decimal(builder, ..), Value::Decimal(value)) => builder.push_some(*value),
            (Self::Date(builder), Value::Int(value)) => builder.push_converted(*value),
            (Self::Time(builder), Value::Int(value)) => builder.push_some(*value),
            (Self::Timestamp(builder), Value::Int(value)) => builder.push_some(*value),
            (Self::HugeInt(builder), Value::Decimal(value)) => builder.push_some(*value),
            (Self::TimestampS(builder), Value::Int(value)) => builder.push_some(*value),
            (Self::TimestampMs(builder), Value::Int(value)) => builder.push_some(*value),
            (Self::TimestampNs(builder), Value::Int(value)) => builder.push_some(*value),
            (Self::Interval(builder), Value::Interval { months, days, nanos }) => {
                builder.push_some(IntervalMonthDayNano::new(*months, *days, *nanos));
            }
            (builder, _) => builder.push_nulls(1),
        }
    }

    /// Forgets all rows from `len` on.
    pub(crate) fn truncate(&mut self, len: usize) {
        on_each!(self, builder => builder.truncate(len));
    }

    /// Room for `rows` more values like those so far, at most `bytes` of text. Nested values grow on their own.
    pub(crate) fn reserve(&mut self, rows: usize, bytes: usize) {
        match self {
            Self::Varchar(views)
            | Self::Uuid(views)
            | Self::Json(views)
            | Self::Blob(views, _)
            | Self::Bit(views)
            | Self::Enum(views, _) => views.reserve(rows, bytes),
            Self::List(_) | Self::Struct(_) | Self::Map(_) => {}
            Self::Boolean(builder) => builder.reserve(rows),
            Self::TinyInt(builder) => builder.reserve(rows),
            Self::SmallInt(builder) => builder.reserve(rows),
            Self::Integer(builder) => builder.reserve(rows),
            Self::BigInt(builder) => builder.reserve(rows),
            Self::UTinyInt(builder) => builder.reserve(rows),
            Self::USmallInt(builder) => builder.reserve(rows),
            Self::UInteger(builder) => builder.reserve(rows),
            Self::UBigInt(builder) => builder.reserve(rows),
            Self::Real(builder) => builder.reserve(rows),
            Self::Double(builder) => builder.reserve(rows),
            Self::Decimal(builder, ..) => builder.reserve(rows),
            Self::Date(builder) => builder.reserve(rows),
            Self::Time(builder) => builder.reserve(rows),
            Self::Timestamp(builder) => builder.reserve(rows),
            Self::HugeInt(builder) => builder.reserve(rows),
            Self::TimestampS(builder) => builder.reserve(rows),
            Self::TimestampMs(builder) => builder.reserve(rows),
            Self::TimestampNs(builder) => builder.reserve(rows),
            Self::Interval(builder) => builder.reserve(rows),
        }
    }

    /// Whether two of the values from `from` on are the same. Nested ones, which no MAP has as keys, are not told apart.
    pub(crate) fn has_repeated(&self, from: usize) -> bool {
        match self {
            Self::Boolean(builder) => builder.has_repeated(from),
            Self::TinyInt(builder) => builder.has_repeated(from),
            Self::SmallInt(builder) => builder.has_repeated(from),
            Self::Integer(builder) => builder.has_repeated(from),
            Self::BigInt(builder) => builder.has_repeated(from),
            Self::UTinyInt(builder) => builder.has_repeated(from),
            Self::USmallInt(builder) => builder.has_repeated(from),
            Self::UInteger(builder) => builder.has_repeated(from),
            Self::UBigInt(builder) => builder.has_repeated(from),
            Self::Real(builder) => builder.has_repeated(from),
            Self::Double(builder) => builder.has_repeated(from),
            Self::Decimal(builder, ..) => builder.has_repeated(from),
            Self::Date(builder) => builder.has_repeated(from),
            Self::Time(builder) => builder.has_repeated(from),
            Self::Timestamp(builder) => builder.has_repeated(from),
            Self::TimestampS(builder) => builder.has_repeated(from),
            Self::TimestampMs(builder) => builder.has_repeated(from),
            Self::TimestampNs(builder) => builder.has_repeated(from),
            Self::HugeInt(builder) => builder.has_repeated(from),
            Self::Interval(builder) => builder.has_repeated(from),
            Self::Varchar(views)
            | Self::Uuid(views)
            | Self::Json(views)
            | Self::Blob(views, _)
            | Self::Bit(views)
            | Self::Enum(views, _) => views.has_repeated(from),
            Self::List(_) | Self::Struct(_) | Self::Map(_) => false,
        }
    }

    /// The column.
    pub(crate) fn finish(self) -> ArrayRef {
        on_each!(self, builder => builder.finish())
    }
}

fn push_text(views: &mut Views, outcome: Result<&str, ErrorCode>) -> Result<(), ErrorCode> {
    match outcome {
        Ok(text) => views.push(text.as_bytes()),
        Err(_) => views.push_nulls(1),
    }
    outcome.map(drop)
}

/// A column of fixed-width values.
#[derive(Debug)]
pub(crate) struct Numbers<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    nulls: NullBufferBuilder,
    arrow: DataType,
}

impl<T: ArrowPrimitiveType> Numbers<T> {
    fn new(arrow: DataType) -> Self {
        Self { values: Vec::new(), nulls: NullBufferBuilder::new(0), arrow }
    }

    fn len(&self) -> usize {
        self.values.len()
    }

    #[inline]
    fn push(&mut self, outcome: Result<T::Native, ErrorCode>) -> Result<(), ErrorCode> {
        match outcome {
            Ok(value) => self.push_some(value),
            Err(_) => self.push_nulls(1),
        }
        outcome.map(drop)
    }

    #[inline]
    fn push_some(&mut self, value: T::Native) {
        self.values.push(value);
        self.nulls.append_non_null();
    }

    fn push_converted<V>(&mut self, value: V)
    where
        T::Native: TryFrom<V>,
    {
        match T::Native::try_from(value) {
            Ok(value) => self.push_some(value),
            Err(_) => self.push_nulls(1),
        }
    }

    fn push_nulls(&mut self, count: usize) {
        self.values.resize(self.values.len() + count, T::Native::default());
        self.nulls.append_n_nulls(count);
    }

    fn truncate(&mut self, len: usize) {
        self.values.truncate(len);
        self.nulls.truncate(len);
    }

    fn reserve(&mut self, rows: usize) {
        self.values.reserve(rows);
    }

    fn has_repeated(&self, from: usize) -> bool {
        let mut values = self.values[from..].to_vec();
        values.sort_unstable_by(|a, b| a.compare(*b));
        values.windows(2).any(|pair| pair[0].is_eq(pair[1]))
    }

    fn finish(mut self) -> ArrayRef {
        let array = PrimitiveArray::<T>::new(ScalarBuffer::from(self.values), self.nulls.finish());
        Arc::new(array.with_data_type(self.arrow))
    }
}

/// A column of booleans.
#[derive(Debug)]
pub(crate) struct Bits {
    values: BooleanBufferBuilder,
    nulls: NullBufferBuilder,
}

impl Bits {
    fn new() -> Self {
        Self { values: BooleanBufferBuilder::new(0), nulls: NullBufferBuilder::new(0) }
    }

    fn len(&self) -> usize {
        self.values.len()
    }

    fn push(&mut self, outcome: Result<bool, ErrorCode>) -> Result<(), ErrorCode> {
        match outcome {
            Ok(value) => self.push_some(value),
            Err(_) => self.push_nulls(1),
        }
        outcome.map(drop)
    }

    fn push_some(&mut self, value: bool) {
        self.values.append(value);
        self.nulls.append_non_null();
    }

    fn push_nulls(&mut self, count: usize) {
        self.values.append_n(count, false);
        self.nulls.append_n_nulls(count);
    }

    fn truncate(&mut self, len: usize) {
        self.values.truncate(len);
        self.nulls.truncate(len);
    }

    fn reserve(&mut self, rows: usize) {
        self.values.reserve(rows);
    }

    fn has_repeated(&self, from: usize) -> bool {
        match self.len() - from {
            0 | 1 => false,
            2 => self.values.get_bit(from) == self.values.get_bit(from + 1),
            _ => true,
        }
    }

    fn finish(mut self) -> ArrayRef {
        Arc::new(BooleanArray::new(self.values.finish(), self.nulls.finish()))
    }
}
