//! Bytes of a [`LogicalType`] and of a single [`Value`]: one tag byte, then what the tag calls for.
//!
//! **Invariants**: tags are on disk and never change their meaning; a type is read no deeper than [`LogicalType::DEPTH_MAX`].

use crate::error::Result;
use crate::frame::{ByteReader, PutBytes};
use crate::logical_type::LogicalType;
use crate::schema::folded_name;
use crate::value::Value;

/// Digits that a DECIMAL can have.
const DECIMAL_DIGITS_MAX: u8 = 38;

/// Types without parameters, by tag.
const SCALARS: [(u8, LogicalType); 25] = [
    (1, LogicalType::Boolean),
    (2, LogicalType::TinyInt),
    (3, LogicalType::SmallInt),
    (4, LogicalType::Integer),
    (5, LogicalType::BigInt),
    (6, LogicalType::UTinyInt),
    (7, LogicalType::USmallInt),
    (8, LogicalType::UInteger),
    (9, LogicalType::UBigInt),
    (10, LogicalType::Real),
    (11, LogicalType::Double),
    (13, LogicalType::Varchar),
    (14, LogicalType::Blob),
    (15, LogicalType::Date),
    (16, LogicalType::Time),
    (17, LogicalType::Timestamp),
    (18, LogicalType::TimestampTz),
    (19, LogicalType::Uuid),
    (20, LogicalType::Json),
    (23, LogicalType::HugeInt),
    (24, LogicalType::TimestampS),
    (25, LogicalType::TimestampMs),
    (26, LogicalType::TimestampNs),
    (27, LogicalType::Interval),
    (BIT, LogicalType::Bit),
];
const DECIMAL: u8 = 12;
const LIST: u8 = 21;
const STRUCT: u8 = 22;
const ENUM: u8 = 40;
const BIT: u8 = 41;
const ARRAY: u8 = 42;
const MAP: u8 = 43;

/// Appends a type.
pub(crate) fn encode_type(ty: &LogicalType, out: &mut Vec<u8>) {
    match ty {
        LogicalType::Decimal { precision, scale } => out.put(&[DECIMAL, *precision, *scale]),
        LogicalType::List(item) => {
            out.put_u8(LIST);
            encode_type(item, out);
        }
        LogicalType::Struct(fields) => {
            out.put_u8(STRUCT);
            out.put_u32(u32::try_from(fields.len()).expect("a struct has fewer than 2^32 fields"));
            for (name, ty) in fields {
                out.put_sized(name.as_bytes());
                encode_type(ty, out);
            }
        }
        LogicalType::Enum(values) => {
            out.put_u8(ENUM);
            out.put_u32(u32::try_from(values.len()).expect("an ENUM has at most 2^16 values"));
            values.iter().for_each(|value| out.put_sized(value.as_bytes()));
        }
        LogicalType::Array(item, items) => {
            out.put_u8(ARRAY);
            out.put_u32(*items);
            encode_type(item, out);
        }
        LogicalType::Map(parts) => {
            out.put_u8(MAP);
            encode_type(&parts.0, out);
            encode_type(&parts.1, out);
        }
        scalar => {
            let known = SCALARS.iter().find(|(_, ty)| ty == scalar);
            out.put_u8(known.expect("every type without parameters has a tag").0);
        }
    }
}

/// Reads a type.
///
/// # Errors
/// `Corrupt` for an unknown tag, a bad DECIMAL, ENUM or array, a repeated field name or nesting beyond [`LogicalType::DEPTH_MAX`].
pub(crate) fn decode_type(reader: &mut ByteReader<'_>) -> Result<LogicalType> {
    decode_nested(LogicalType::DEPTH_MAX, reader)
}

fn decode_nested(depth_left: usize, reader: &mut ByteReader<'_>) -> Result<LogicalType> {
    let tag = reader.u8()?;
    let levels = match tag {
        LIST | STRUCT | ARRAY => 1,
        MAP => 2,
        _ => 0,
    };
    if levels > depth_left {
        return Err(reader.corrupt(format_args!("at most {} levels of nesting", LogicalType::DEPTH_MAX), "more"));
    }
    match tag {
        DECIMAL => decode_decimal(reader),
        LIST => Ok(LogicalType::List(Box::new(decode_nested(depth_left - levels, reader)?))),
        STRUCT => decode_fields(depth_left - levels, reader),
        ENUM => decode_enum(reader),
        ARRAY => decode_array(depth_left - levels, reader),
        MAP => {
            let key = decode_nested(depth_left - levels, reader)?;
            Ok(LogicalType::Map(Box::new((key, decode_nested(depth_left - levels, reader)?))))
        }
        _ => {
            let known = SCALARS.iter().find(|(known, _)| *known == tag);
            known.map(|(_, ty)| ty.clone()).ok_or_else(|| reader.corrupt("a type tag", tag))
        }
    }
}

fn decode_decimal(reader: &mut ByteReader<'_>) -> Result<LogicalType> {
    let (precision, scale) = (reader.u8()?, reader.u8()?);
    if !(1..=DECIMAL_DIGITS_MAX).contains(&precision) || scale > precision {
        return Err(reader.corrupt("decimal digits", format_args!("({precision},{scale})")));
    }
    Ok(LogicalType::Decimal { precision, scale })
}

fn decode_enum(reader: &mut ByteReader<'_>) -> Result<LogicalType> {
    // A value takes at least its length.
    let count = reader.count(4)?;
    if count > LogicalType::ENUM_VALUES_MAX {
        return Err(reader.corrupt(format_args!("at most {} values", LogicalType::ENUM_VALUES_MAX), count));
    }
    let values = (0..count).map(|_| Ok(reader.text()?.to_owned())).collect::<Result<Vec<_>>>()?;
    LogicalType::enumeration(values).map_err(|error| reader.corrupt("an ENUM", error))
}

fn decode_array(depth_left: usize, reader: &mut ByteReader<'_>) -> Result<LogicalType> {
    let items = reader.u32()?;
    if !(1..=LogicalType::ARRAY_ITEMS_MAX).contains(&items) {
        return Err(reader.corrupt(format_args!("1 to {} items", LogicalType::ARRAY_ITEMS_MAX), items));
    }
    Ok(LogicalType::Array(Box::new(decode_nested(depth_left, reader)?), items))
}

fn decode_fields(depth_left: usize, reader: &mut ByteReader<'_>) -> Result<LogicalType> {
    // A field takes at least its name's length and a tag.
    let count = reader.count(5)?;
    let mut fields = Vec::with_capacity(count);
    for _ in 0..count {
        let name = reader.text()?.to_owned();
        fields.push((name, decode_nested(depth_left, reader)?));
    }
    let mut names: Vec<String> = fields.iter().map(|(name, _)| folded_name(name)).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(reader.corrupt("distinct field names", format_args!("{:?} twice", pair[0]))),
        None => Ok(LogicalType::Struct(fields)),
    }
}

const NONE: u8 = 0;
const BOOL: u8 = 1;
const INT: u8 = 2;
const UINT: u8 = 3;
const DECIMAL_VALUE: u8 = 4;
const FLOAT: u8 = 5;
const TEXT: u8 = 6;
const BYTES: u8 = 7;
const INTERVAL: u8 = 8;

/// Appends a value or its absence.
pub(crate) fn encode_value(value: Option<&Value>, out: &mut Vec<u8>) {
    match value {
        None => out.put_u8(NONE),
        Some(Value::Bool(value)) => out.put(&[BOOL, u8::from(*value)]),
        Some(Value::Int(value)) => {
            out.put_u8(INT);
            out.put_i64(*value);
        }
        Some(Value::UInt(value)) => {
            out.put_u8(UINT);
            out.put_u64(*value);
        }
        Some(Value::Decimal(value)) => {
            out.put_u8(DECIMAL_VALUE);
            out.put_i128(*value);
        }
        Some(Value::Float(value)) => {
            out.put_u8(FLOAT);
            out.put_u64(value.to_bits());
        }
        Some(Value::Text(value)) => {
            out.put_u8(TEXT);
            out.put_sized(value.as_bytes());
        }
        Some(Value::Bytes(value)) => {
            out.put_u8(BYTES);
            out.put_sized(value);
        }
        Some(Value::Interval { months, days, nanos }) => {
            out.put_u8(INTERVAL);
            out.put(&months.to_le_bytes());
            out.put(&days.to_le_bytes());
            out.put_i64(*nanos);
        }
    }
}

/// Reads what [`encode_value`] wrote.
///
/// # Errors
/// `Corrupt` for an unknown tag or bytes that are not a value of its kind.
pub(crate) fn decode_value(reader: &mut ByteReader<'_>) -> Result<Option<Value>> {
    Ok(Some(match reader.u8()? {
        NONE => return Ok(None),
        BOOL => match reader.u8()? {
            0 => Value::Bool(false),
            1 => Value::Bool(true),
            found => return Err(reader.corrupt("a boolean", found)),
        },
        INT => Value::Int(reader.i64()?),
        UINT => Value::UInt(reader.u64()?),
        DECIMAL_VALUE => Value::Decimal(reader.i128()?),
        FLOAT => Value::Float(f64::from_bits(reader.u64()?)),
        TEXT => Value::Text(reader.text()?.to_owned()),
        BYTES => Value::Bytes(reader.sized()?.to_vec()),
        INTERVAL => Value::Interval {
            months: reader.u32()?.cast_signed(),
            days: reader.u32()?.cast_signed(),
            nanos: reader.i64()?,
        },
        found => return Err(reader.corrupt("a value tag", found)),
    }))
}
