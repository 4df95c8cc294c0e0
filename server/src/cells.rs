//! Arrow values as text: JSON cells, CSV cells, and the names of their types.
//!
//! **Invariants**
//! 1. Integers and decimals keep all their digits; floats are the shortest text that reads back the same.
//! 2. What is written for one row holds no line break, so that a row is a line.
//! 3. A column is looked at once per batch; writing a cell allocates nothing.
//!
//! It knows no dialect; [`JsonColumns`] is the one knob they differ in.

use arrow::array::timezone::Tz;
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Decimal256Array, GenericByteArray, GenericByteViewArray,
    PrimitiveArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    ArrowPrimitiveType, BinaryType, BinaryViewType, ByteArrayType, DataType, Date32Type, Date64Type,
    DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType, Field, Float16Type,
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNano,
    IntervalMonthDayNanoType, IntervalUnit, LargeBinaryType, LargeUtf8Type, StringViewType, Time32MillisecondType,
    Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type, Utf8Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use siltstone_storage::{LogicalType, TYPE_METADATA_KEY, interval, quoted_if_needed};

#[cfg(test)]
mod tests;
mod text;

use crate::json;
use text::Clock;

pub use text::{push_csv, zone};

/// What becomes of a JSON column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonColumns {
    /// The value itself, part of the surrounding JSON.
    Embedded,
    /// Its text, as a JSON string.
    Text,
}

/// The DuckDB name of a column's type.
pub fn type_name(field: &Field) -> String {
    match field.data_type() {
        DataType::Decimal256(precision, scale) => format!("DECIMAL({precision},{scale})"),
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) | DataType::LargeListView(item) => {
            match LogicalType::from_field(field) {
                Ok(LogicalType::Array(_, items)) => format!("{}[{items}]", type_name(item)),
                _ => format!("{}[]", type_name(item)),
            }
        }
        DataType::FixedSizeList(item, length) => format!("{}[{length}]", type_name(item)),
        DataType::Struct(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|field| format!("{} {}", quoted_if_needed(field.name()), type_name(field))).collect();
            format!("STRUCT({})", fields.join(", "))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                format!("MAP({}, {})", type_name(&pair[0]), type_name(&pair[1]))
            }
            other => other.to_string(),
        },
        other => LogicalType::from_field(field).map_or_else(|_| other.to_string(), |logical| logical.to_string()),
    }
}

/// A column of a batch, ready to be written row by row.
pub struct Column<'a> {
    nulls: Option<&'a NullBuffer>,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Null,
    Bool(&'a BooleanArray),
    I8(&'a [i8]),
    I16(&'a [i16]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    U8(&'a [u8]),
    U16(&'a [u16]),
    U32(&'a [u32]),
    U64(&'a [u64]),
    F16(&'a [<Float16Type as ArrowPrimitiveType>::Native]),
    F32(&'a [f32]),
    F64(&'a [f64]),
    Decimal128(&'a [i128], u8),
    Decimal256(&'a Decimal256Array),
    Utf8(&'a GenericByteArray<Utf8Type>),
    LargeUtf8(&'a GenericByteArray<LargeUtf8Type>),
    Utf8View(&'a GenericByteViewArray<StringViewType>),
    Json(&'a GenericByteViewArray<StringViewType>),
    Binary(&'a GenericByteArray<BinaryType>),
    LargeBinary(&'a GenericByteArray<LargeBinaryType>),
    BinaryView(&'a GenericByteViewArray<BinaryViewType>),
    FixedBinary(&'a arrow::array::FixedSizeBinaryArray),
    Date(&'a [i32]),
    DateMs(&'a [i64]),
    Clock(Clock, Ticks<'a>),
    Interval(&'a [IntervalMonthDayNano]),
    Duration(TimeUnit, &'a [i64]),
    List(Box<Column<'a>>, Bounds<'a>),
    Struct(Vec<(String, Column<'a>)>),
    Map(Box<Column<'a>>, Box<Column<'a>>, &'a [i32]),
    Dictionary(Box<Column<'a>>, Vec<usize>),
    Other(Box<ArrayFormatter<'a>>),
}

/// Counts of some unit of time.
enum Ticks<'a> {
    Narrow(&'a [i32]),
    Wide(&'a [i64]),
}

/// Where each list starts and ends among the values.
enum Bounds<'a> {
    Offsets(&'a [i32]),
    LargeOffsets(&'a [i64]),
    Fixed(usize),
}

impl Bounds<'_> {
    fn of(&self, row: usize) -> std::ops::Range<usize> {
        match self {
            Self::Offsets(offsets) => offsets[row] as usize..offsets[row + 1] as usize,
            Self::LargeOffsets(offsets) => offsets[row] as usize..offsets[row + 1] as usize,
            Self::Fixed(length) => row * length..(row + 1) * length,
        }
    }
}

fn values<T: ArrowPrimitiveType>(array: &ArrayRef) -> &[T::Native] {
    let array: &PrimitiveArray<T> = array.as_primitive();
    array.values()
}

fn bytes_array<T: ByteArrayType>(array: &ArrayRef) -> &GenericByteArray<T> {
    array.as_bytes()
}

impl<'a> Column<'a> {
    /// Looks at a column. `zone` is where `TIMESTAMP WITH TIME ZONE` is shown; `None` is UTC.
    pub fn new(field: &Field, array: &'a ArrayRef, zone: Option<Tz>, json_columns: JsonColumns) -> Self {
        let nested = |field: &Field, array: &'a ArrayRef| Box::new(Self::new(field, array, zone, json_columns));
        let embedded = json_columns == JsonColumns::Embedded
            && field.metadata().get(TYPE_METADATA_KEY).is_some_and(|name| name == "JSON");
        let kind = match array.data_type() {
            DataType::Null => Kind::Null,
            DataType::Boolean => Kind::Bool(array.as_boolean()),
            DataType::Int8 => Kind::I8(values::<Int8Type>(array)),
            DataType::Int16 => Kind::I16(values::<Int16Type>(array)),
            DataType::Int32 => Kind::I32(values::<Int32Type>(array)),
            DataType::Int64 => Kind::I64(values::<Int64Type>(array)),
            DataType::UInt8 => Kind::U8(values::<UInt8Type>(array)),
            DataType::UInt16 => Kind::U16(values::<UInt16Type>(array)),
            DataType::UInt32 => Kind::U32(values::<UInt32Type>(array)),
            DataType::UInt64 => Kind::U64(values::<UInt64Type>(array)),
            DataType::Float16 => Kind::F16(values::<Float16Type>(array)),
            DataType::Float32 => Kind::F32(values::<Float32Type>(array)),
            DataType::Float64 => Kind::F64(values::<Float64Type>(array)),
            DataType::Decimal128(_, scale) if *scale >= 0 => {
                let decimals: &Decimal128Array = array.as_primitive();
                Kind::Decimal128(decimals.values(), *scale as u8)
            }
            DataType::Decimal256(_, scale) if *scale >= 0 => Kind::Decimal256(array.as_primitive()),
            DataType::Utf8 => Kind::Utf8(bytes_array(array)),
            DataType::LargeUtf8 => Kind::LargeUtf8(bytes_array(array)),
            DataType::Utf8View if embedded => Kind::Json(array.as_string_view()),
            DataType::Utf8View => Kind::Utf8View(array.as_string_view()),
            DataType::Binary => Kind::Binary(bytes_array(array)),
            DataType::LargeBinary => Kind::LargeBinary(bytes_array(array)),
            DataType::BinaryView => Kind::BinaryView(array.as_binary_view()),
            DataType::FixedSizeBinary(_) => Kind::FixedBinary(array.as_fixed_size_binary()),
            DataType::Date32 => Kind::Date(values::<Date32Type>(array)),
            DataType::Date64 => Kind::DateMs(values::<Date64Type>(array)),
            DataType::Time32(_) | DataType::Time64(_) | DataType::Timestamp(_, _) => clock(array, zone),
            DataType::Interval(IntervalUnit::MonthDayNano) => Kind::Interval(values::<IntervalMonthDayNanoType>(array)),
            DataType::Duration(unit) => Kind::Duration(*unit, wide(array)),
            DataType::List(item) => {
                let list = array.as_list::<i32>();
                Kind::List(nested(item, list.values()), Bounds::Offsets(list.value_offsets()))
            }
            DataType::LargeList(item) => {
                let list = array.as_list::<i64>();
                Kind::List(nested(item, list.values()), Bounds::LargeOffsets(list.value_offsets()))
            }
            DataType::FixedSizeList(item, length) => {
                let list = array.as_fixed_size_list();
                Kind::List(nested(item, list.values()), Bounds::Fixed(*length as usize))
            }
            DataType::Struct(fields) => {
                let columns = fields.iter().zip(array.as_struct().columns());
                Kind::Struct(columns.map(|(field, array)| (quoted(field.name()), *nested(field, array))).collect())
            }
            DataType::Map(_, _) => {
                let map = array.as_map();
                let (key, value) = map.entries_fields();
                Kind::Map(nested(key, map.keys()), nested(value, map.values()), map.value_offsets())
            }
            DataType::Dictionary(_, _) => {
                let dictionary = array.as_any_dictionary();
                Kind::Dictionary(nested(field, dictionary.values()), dictionary.normalized_keys())
            }
            _ => other(array),
        };
        Self { nulls: array.nulls(), kind }
    }

    fn is_null(&self, row: usize) -> bool {
        self.nulls.is_some_and(|nulls| nulls.is_null(row))
            || match &self.kind {
                Kind::Null => true,
                Kind::F16(values) => !values[row].is_finite(),
                Kind::F32(values) => !values[row].is_finite(),
                Kind::F64(values) => !values[row].is_finite(),
                Kind::Dictionary(values, keys) => values.is_null(keys[row]),
                _ => false,
            }
    }

    /// Writes a cell as JSON. NaN and the infinities have no JSON number and are `null`.
    pub fn json(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            out.extend_from_slice(b"null");
            return;
        }
        match &self.kind {
            Kind::Utf8(texts) => json::push_string(out, texts.value(row)),
            Kind::LargeUtf8(texts) => json::push_string(out, texts.value(row)),
            Kind::Utf8View(texts) => json::push_string(out, texts.value(row)),
            Kind::Json(texts) => text::push_embedded(out, texts.value(row)),
            Kind::List(values, bounds) => {
                out.push(b'[');
                for (i, at) in bounds.of(row).enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    values.json(at, out);
                }
                out.push(b']');
            }
            Kind::Struct(fields) => {
                out.push(b'{');
                for (i, (name, column)) in fields.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    out.extend_from_slice(name.as_bytes());
                    out.push(b':');
                    column.json(row, out);
                }
                out.push(b'}');
            }
            Kind::Map(keys, values, offsets) => map_json(keys, values, offsets, row, out),
            Kind::Dictionary(values, keys) => values.json(keys[row], out),
            Kind::Other(formatter) => json::push_string(out, &formatter.value(row).to_string()),
            _ if self.is_number() => self.scalar(row, out),
            _ => {
                out.push(b'"');
                self.scalar(row, out);
                out.push(b'"');
            }
        }
    }

    /// Writes a cell as CSV: NULL is empty, an empty text is `""`, nested values are their JSON text.
    pub fn csv(&self, row: usize, out: &mut Vec<u8>, scratch: &mut Vec<u8>) {
        if self.is_null(row) {
            return;
        }
        match &self.kind {
            Kind::Utf8(texts) => push_csv(out, texts.value(row).as_bytes(), b','),
            Kind::LargeUtf8(texts) => push_csv(out, texts.value(row).as_bytes(), b','),
            Kind::Utf8View(texts) => push_csv(out, texts.value(row).as_bytes(), b','),
            Kind::Dictionary(values, keys) => values.csv(keys[row], out, scratch),
            Kind::Other(formatter) => push_csv(out, formatter.value(row).to_string().as_bytes(), b','),
            Kind::Json(_) | Kind::List(..) | Kind::Struct(_) | Kind::Map(..) => {
                scratch.clear();
                self.json(row, scratch);
                push_csv(out, scratch, b',');
            }
            _ => {
                let start = out.len();
                self.scalar(row, out);
                // An empty BLOB is not NULL.
                if out.len() == start {
                    out.extend_from_slice(b"\"\"");
                }
            }
        }
    }

    /// Writes a cell as plain text, nested values as their JSON text; `false` for NULL.
    pub fn text(&self, row: usize, out: &mut Vec<u8>) -> bool {
        if self.is_null(row) {
            return false;
        }
        match &self.kind {
            Kind::Utf8(texts) => out.extend_from_slice(texts.value(row).as_bytes()),
            Kind::LargeUtf8(texts) => out.extend_from_slice(texts.value(row).as_bytes()),
            Kind::Utf8View(texts) | Kind::Json(texts) => out.extend_from_slice(texts.value(row).as_bytes()),
            Kind::Dictionary(values, keys) => return values.text(keys[row], out),
            Kind::Other(formatter) => out.extend_from_slice(formatter.value(row).to_string().as_bytes()),
            Kind::List(..) | Kind::Struct(_) | Kind::Map(..) => self.json(row, out),
            _ => self.scalar(row, out),
        }
        true
    }

    /// Whether the text of [`Column::scalar`] is a JSON literal as it is.
    fn is_number(&self) -> bool {
        matches!(
            self.kind,
            Kind::Bool(_)
                | Kind::I8(_)
                | Kind::I16(_)
                | Kind::I32(_)
                | Kind::I64(_)
                | Kind::U8(_)
                | Kind::U16(_)
                | Kind::U32(_)
                | Kind::U64(_)
                | Kind::F16(_)
                | Kind::F32(_)
                | Kind::F64(_)
                | Kind::Decimal128(..)
                | Kind::Decimal256(_)
        )
    }

    /// Writes a scalar without quotes. Its text needs no escaping in JSON.
    fn scalar(&self, row: usize, out: &mut Vec<u8>) {
        match &self.kind {
            Kind::Bool(values) => out.extend_from_slice(if values.value(row) { b"true" } else { b"false" }),
            Kind::I8(values) => json::push_integer(out, values[row]),
            Kind::I16(values) => json::push_integer(out, values[row]),
            Kind::I32(values) => json::push_integer(out, values[row]),
            Kind::I64(values) => json::push_integer(out, values[row]),
            Kind::U8(values) => json::push_integer(out, values[row]),
            Kind::U16(values) => json::push_integer(out, values[row]),
            Kind::U32(values) => json::push_integer(out, values[row]),
            Kind::U64(values) => json::push_integer(out, values[row]),
            Kind::F16(values) => text::push_f32(out, values[row].to_f32()),
            Kind::F32(values) => text::push_f32(out, values[row]),
            Kind::F64(values) => text::push_f64(out, values[row]),
            Kind::Decimal128(values, scale) => text::push_decimal(out, values[row], *scale),
            Kind::Decimal256(values) => out.extend_from_slice(values.value_as_string(row).as_bytes()),
            Kind::Binary(values) => text::push_hex(out, values.value(row)),
            Kind::LargeBinary(values) => text::push_hex(out, values.value(row)),
            Kind::BinaryView(values) => text::push_hex(out, values.value(row)),
            Kind::FixedBinary(values) => text::push_hex(out, values.value(row)),
            Kind::Date(values) => text::push_date(out, i64::from(values[row])),
            Kind::DateMs(values) => text::push_date(out, values[row].div_euclid(86_400_000)),
            Kind::Clock(clock, Ticks::Narrow(values)) => clock.push(out, i64::from(values[row])),
            Kind::Clock(clock, Ticks::Wide(values)) => clock.push(out, values[row]),
            Kind::Interval(values) => {
                let interval = values[row];
                interval::push(out, interval.months, interval.days, i128::from(interval.nanoseconds));
            }
            Kind::Duration(unit, values) => {
                let nanos = i128::from(values[row]) * i128::from(text::nanos_of(*unit));
                let days = nanos / text::NANOS_PER_DAY;
                interval::push(out, 0, days as i32, nanos % text::NANOS_PER_DAY);
            }
            Kind::Null
            | Kind::Utf8(_)
            | Kind::LargeUtf8(_)
            | Kind::Utf8View(_)
            | Kind::Json(_)
            | Kind::List(..)
            | Kind::Struct(_)
            | Kind::Map(..)
            | Kind::Dictionary(..)
            | Kind::Other(_) => unreachable!("not a scalar"),
        }
    }
}

fn map_json(keys: &Column<'_>, values: &Column<'_>, offsets: &[i32], row: usize, out: &mut Vec<u8>) {
    out.push(b'{');
    for at in offsets[row] as usize..offsets[row + 1] as usize {
        if at > offsets[row] as usize {
            out.push(b',');
        }
        // A key is a JSON string whatever its type: text as it is, the rest as its JSON text.
        let start = out.len();
        keys.json(at, out);
        if out.get(start) != Some(&b'"') {
            let key = String::from_utf8_lossy(&out[start..]).into_owned();
            out.truncate(start);
            json::push_string(out, &key);
        }
        out.push(b':');
        values.json(at, out);
    }
    out.push(b'}');
}

fn clock<'a>(array: &'a ArrayRef, zone: Option<Tz>) -> Kind<'a> {
    match array.data_type() {
        DataType::Time32(unit) => {
            let ticks = match unit {
                TimeUnit::Second => values::<Time32SecondType>(array),
                _ => values::<Time32MillisecondType>(array),
            };
            Kind::Clock(Clock::time(*unit), Ticks::Narrow(ticks))
        }
        DataType::Time64(unit) => Kind::Clock(Clock::time(*unit), Ticks::Wide(wide(array))),
        DataType::Timestamp(unit, None) => Kind::Clock(Clock::timestamp(*unit), Ticks::Wide(wide(array))),
        DataType::Timestamp(unit, Some(own)) => {
            let zone = zone.or_else(|| text::zone(own).flatten());
            Kind::Clock(Clock::instant(*unit, zone), Ticks::Wide(wide(array)))
        }
        _ => other(array),
    }
}

/// The 64-bit values of any array of a time type.
fn wide(array: &ArrayRef) -> &[i64] {
    match array.data_type() {
        DataType::Time64(TimeUnit::Nanosecond) => values::<Time64NanosecondType>(array),
        DataType::Time64(_) => values::<Time64MicrosecondType>(array),
        DataType::Timestamp(TimeUnit::Second, _) => values::<TimestampSecondType>(array),
        DataType::Timestamp(TimeUnit::Millisecond, _) => values::<TimestampMillisecondType>(array),
        DataType::Timestamp(TimeUnit::Microsecond, _) => values::<TimestampMicrosecondType>(array),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => values::<TimestampNanosecondType>(array),
        DataType::Duration(TimeUnit::Second) => values::<DurationSecondType>(array),
        DataType::Duration(TimeUnit::Millisecond) => values::<DurationMillisecondType>(array),
        DataType::Duration(TimeUnit::Microsecond) => values::<DurationMicrosecondType>(array),
        _ => values::<DurationNanosecondType>(array),
    }
}

/// Types that SQL seldom gives: as Arrow shows them.
fn other(array: &ArrayRef) -> Kind<'_> {
    const OPTIONS: FormatOptions<'static> = FormatOptions::new().with_display_error(true);
    ArrayFormatter::try_new(array.as_ref(), &OPTIONS).map_or(Kind::Null, |formatter| Kind::Other(Box::new(formatter)))
}

fn quoted(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 2);
    json::push_string(&mut text, name);
    text
}
