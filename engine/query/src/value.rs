//! Storage's single values as DataFusion's and back: zone-map bounds, column defaults.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::*;
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::common::ScalarValue;
use siltstone_storage::{LogicalType, Value, interval};

/// `value` of a column of type `ty`; `None` is NULL. `None` back if the value is not of that type.
pub(crate) fn scalar(ty: &LogicalType, value: Option<&Value>) -> Option<ScalarValue> {
    use LogicalType as L;
    let Some(value) = value else {
        return ScalarValue::try_from(&ty.arrow()).ok();
    };
    Some(match (ty, value) {
        (L::Boolean, Value::Bool(v)) => ScalarValue::Boolean(Some(*v)),
        (L::TinyInt, Value::Int(v)) => ScalarValue::Int8(Some(i8::try_from(*v).ok()?)),
        (L::SmallInt, Value::Int(v)) => ScalarValue::Int16(Some(i16::try_from(*v).ok()?)),
        (L::Integer, Value::Int(v)) => ScalarValue::Int32(Some(i32::try_from(*v).ok()?)),
        (L::BigInt, Value::Int(v)) => ScalarValue::Int64(Some(*v)),
        (L::UTinyInt, Value::UInt(v)) => ScalarValue::UInt8(Some(u8::try_from(*v).ok()?)),
        (L::USmallInt, Value::UInt(v)) => ScalarValue::UInt16(Some(u16::try_from(*v).ok()?)),
        (L::UInteger, Value::UInt(v)) => ScalarValue::UInt32(Some(u32::try_from(*v).ok()?)),
        (L::UBigInt, Value::UInt(v)) => ScalarValue::UInt64(Some(*v)),
        (L::Real, Value::Float(v)) => ScalarValue::Float32(Some(*v as f32)),
        (L::Double, Value::Float(v)) => ScalarValue::Float64(Some(*v)),
        (L::Decimal { precision, scale }, Value::Decimal(v)) => {
            ScalarValue::Decimal128(Some(*v), *precision, *scale as i8)
        }
        (ty, Value::Text(v)) if ty.is_text() => ScalarValue::Utf8View(Some(v.clone())),
        (L::Blob, Value::Bytes(v)) => ScalarValue::BinaryView(Some(v.clone())),
        (L::Date, Value::Int(v)) => ScalarValue::Date32(Some(i32::try_from(*v).ok()?)),
        (L::Time, Value::Int(v)) => ScalarValue::Time64Microsecond(Some(*v)),
        (L::Timestamp, Value::Int(v)) => ScalarValue::TimestampMicrosecond(Some(*v), None),
        (L::TimestampTz, Value::Int(v)) => ScalarValue::TimestampMicrosecond(Some(*v), Some("UTC".into())),
        (L::HugeInt, Value::Decimal(v)) => ScalarValue::Decimal128(Some(*v), L::HUGEINT_DIGITS, 0),
        (L::TimestampS, Value::Int(v)) => ScalarValue::TimestampSecond(Some(*v), None),
        (L::TimestampMs, Value::Int(v)) => ScalarValue::TimestampMillisecond(Some(*v), None),
        (L::TimestampNs, Value::Int(v)) => ScalarValue::TimestampNanosecond(Some(*v), None),
        (L::Interval, Value::Interval { months, days, nanos }) => {
            ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(*months, *days, *nanos)))
        }
        _ => return None,
    })
}

/// Row `row` of an array in the Arrow form of `ty`; `None` for NULL and for types that have no single value.
pub(crate) fn value(ty: &LogicalType, array: &ArrayRef, row: usize) -> Option<Value> {
    use LogicalType as L;
    if array.is_null(row) {
        return None;
    }
    Some(match ty {
        L::Boolean => Value::Bool(array.as_boolean().value(row)),
        L::TinyInt => Value::Int(array.as_primitive::<Int8Type>().value(row).into()),
        L::SmallInt => Value::Int(array.as_primitive::<Int16Type>().value(row).into()),
        L::Integer => Value::Int(array.as_primitive::<Int32Type>().value(row).into()),
        L::BigInt => Value::Int(array.as_primitive::<Int64Type>().value(row)),
        L::UTinyInt => Value::UInt(array.as_primitive::<UInt8Type>().value(row).into()),
        L::USmallInt => Value::UInt(array.as_primitive::<UInt16Type>().value(row).into()),
        L::UInteger => Value::UInt(array.as_primitive::<UInt32Type>().value(row).into()),
        L::UBigInt => Value::UInt(array.as_primitive::<UInt64Type>().value(row)),
        L::Real => Value::Float(array.as_primitive::<Float32Type>().value(row).into()),
        L::Double => Value::Float(array.as_primitive::<Float64Type>().value(row)),
        L::Decimal { .. } | L::HugeInt => Value::Decimal(array.as_primitive::<Decimal128Type>().value(row)),
        L::Varchar | L::Uuid | L::Json | L::Bit | L::Enum(_) => {
            Value::Text(array.as_string_view().value(row).to_owned())
        }
        L::Blob => Value::Bytes(array.as_binary_view().value(row).to_vec()),
        L::Date => Value::Int(array.as_primitive::<Date32Type>().value(row).into()),
        L::Time => Value::Int(array.as_primitive::<Time64MicrosecondType>().value(row)),
        L::Timestamp | L::TimestampTz => Value::Int(array.as_primitive::<TimestampMicrosecondType>().value(row)),
        L::TimestampS => Value::Int(array.as_primitive::<TimestampSecondType>().value(row)),
        L::TimestampMs => Value::Int(array.as_primitive::<TimestampMillisecondType>().value(row)),
        L::TimestampNs => Value::Int(array.as_primitive::<TimestampNanosecondType>().value(row)),
        L::Interval => {
            let value = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
            Value::Interval { months: value.months, days: value.days, nanos: value.nanoseconds }
        }
        L::List(_) | L::Struct(_) | L::Array(..) | L::Map(_) => return None,
    })
}

/// A default as SQL text, for DESCRIBE and `information_schema`.
pub(crate) fn sql_text(ty: &LogicalType, default: Option<&Value>) -> Option<String> {
    let value = default?;
    let scalar = scalar(ty, Some(value))?;
    Some(match value {
        Value::Bool(_) | Value::UInt(_) | Value::Float(_) | Value::Decimal(_) => scalar.to_string(),
        Value::Int(v) => match ty {
            LogicalType::Date
            | LogicalType::Time
            | LogicalType::Timestamp
            | LogicalType::TimestampTz
            | LogicalType::TimestampS
            | LogicalType::TimestampMs
            | LogicalType::TimestampNs => {
                let array = scalar.to_array().ok()?;
                let text = array_value_to_string(&array, 0).ok()?;
                format!("'{text}'")
            }
            _ => v.to_string(),
        },
        Value::Text(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Bytes(bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("\\x{byte:02X}")).collect();
            format!("'{hex}'")
        }
        Value::Interval { months, days, nanos } => {
            let mut text = Vec::new();
            interval::push(&mut text, *months, *days, i128::from(*nanos));
            format!("'{}'", String::from_utf8_lossy(&text))
        }
    })
}
