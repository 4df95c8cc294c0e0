//! SQL type names as column types, for DDL and for casts in expressions.
//!
//! **Invariants**: a type that a column cannot have is refused by name, never stored as something near it.

use std::sync::Arc;

use datafusion::arrow::datatypes::FieldRef;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::{ArrayElemTypeDef, DataType, EnumMember, ExactNumberInfo, TimezoneInfo};
use siltstone_storage::LogicalType;

use crate::error::Result;
use crate::{QueryError, QueryErrorKind};

/// DuckDB's DECIMAL without arguments.
const DECIMAL_DEFAULT: (u64, i64) = (18, 3);
/// Most digits of a DECIMAL.
pub(crate) const DECIMAL_DIGITS_MAX: u64 = 38;

/// The column type that a SQL type name means.
///
/// # Errors
/// `Binder Error` for wrong arguments, `Not implemented Error` for a type that columns cannot have yet.
pub(crate) fn logical_type(sql: &DataType) -> Result<LogicalType> {
    use LogicalType as L;
    Ok(match sql {
        DataType::Bool | DataType::Boolean => L::Boolean,
        DataType::TinyInt(_) => L::TinyInt,
        DataType::SmallInt(_) | DataType::Int2(_) | DataType::Int16 => L::SmallInt,
        DataType::Int(_) | DataType::Integer(_) | DataType::Int4(_) | DataType::Int32 | DataType::Signed => L::Integer,
        DataType::BigInt(_) | DataType::Int8(_) | DataType::Int64 => L::BigInt,
        DataType::UTinyInt | DataType::TinyIntUnsigned(_) | DataType::UInt8 => L::UTinyInt,
        DataType::USmallInt | DataType::SmallIntUnsigned(_) | DataType::UInt16 => L::USmallInt,
        DataType::UInt32 | DataType::IntUnsigned(_) | DataType::IntegerUnsigned(_) | DataType::Unsigned => L::UInteger,
        DataType::UBigInt | DataType::BigIntUnsigned(_) | DataType::UInt64 => L::UBigInt,
        DataType::Real | DataType::Float4 | DataType::Float32 => L::Real,
        DataType::Float(info) => float_type(info)?,
        DataType::Double(_) | DataType::DoublePrecision | DataType::Float8 | DataType::Float64 => L::Double,
        DataType::Decimal(info) | DataType::Numeric(info) | DataType::Dec(info) => decimal_type(info)?,
        DataType::Varchar(_)
        | DataType::CharacterVarying(_)
        | DataType::CharVarying(_)
        | DataType::Character(_)
        | DataType::Char(_)
        | DataType::Text
        | DataType::String(_) => L::Varchar,
        DataType::Blob(_) | DataType::Bytea | DataType::Binary(_) | DataType::Varbinary(_) | DataType::Bytes(_) => {
            L::Blob
        }
        DataType::Date => L::Date,
        DataType::Time(_, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => L::Time,
        DataType::HugeInt | DataType::Int128 => L::HugeInt,
        DataType::Interval { .. } => L::Interval,
        DataType::Timestamp(digits, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone)
        | DataType::Datetime(digits) => timestamp_type(*digits)?,
        DataType::Timestamp(_, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => L::TimestampTz,
        DataType::Uuid => L::Uuid,
        DataType::JSON => L::Json,
        DataType::Array(ArrayElemTypeDef::SquareBracket(item, None) | ArrayElemTypeDef::AngleBracket(item)) => {
            L::List(Box::new(logical_type(item)?))
        }
        DataType::Array(ArrayElemTypeDef::SquareBracket(item, Some(items))) => match u32::try_from(*items) {
            Ok(items @ 1..=L::ARRAY_ITEMS_MAX) => L::Array(Box::new(logical_type(item)?), items),
            _ => {
                return Err(QueryError::binder(format_args!(
                    "Array size must be between 1 and {}",
                    L::ARRAY_ITEMS_MAX
                )));
            }
        },
        DataType::Map(key, value) => L::Map(Box::new((map_key(key)?, logical_type(value)?))),
        DataType::Bit(None) | DataType::BitVarying(None) | DataType::VarBit(None) => L::Bit,
        DataType::Enum(values, None) => enum_type(values)?,
        DataType::Struct(fields, _) => L::Struct(
            fields
                .iter()
                .map(|field| {
                    let name = field
                        .field_name
                        .as_ref()
                        .ok_or_else(|| QueryError::binder("every field of a STRUCT needs a name"))?;
                    Ok((name.value.clone(), logical_type(&field.field_type)?))
                })
                .collect::<Result<_>>()?,
        ),
        DataType::Custom(name, arguments) => custom_type(&name.to_string(), arguments)?,
        other => return Err(unsupported(other)),
    })
}

fn map_key(sql: &DataType) -> Result<LogicalType> {
    match logical_type(sql)? {
        ty if ty.is_nested() || ty == LogicalType::Json => {
            Err(QueryError::not_implemented(format_args!("a MAP with keys of type {ty} is not supported yet")))
        }
        ty => Ok(ty),
    }
}

fn enum_type(values: &[EnumMember]) -> Result<LogicalType> {
    let name = |value: &EnumMember| match value {
        EnumMember::Name(name) => Ok(name.clone()),
        EnumMember::NamedValue(..) => Err(QueryError::binder("the values of an ENUM have no numbers")),
    };
    LogicalType::enumeration(values.iter().map(name).collect::<Result<_>>()?)
        .map_err(|error| QueryError::binder(error.message()))
}

fn unsupported(sql: &dyn std::fmt::Display) -> QueryError {
    QueryError::not_implemented(format_args!("columns of type {sql} are not supported yet"))
}

fn float_type(info: &ExactNumberInfo) -> Result<LogicalType> {
    match info {
        ExactNumberInfo::None => Ok(LogicalType::Real),
        // SQL's FLOAT(p) counts bits of the mantissa.
        ExactNumberInfo::Precision(bits) if *bits <= 24 => Ok(LogicalType::Real),
        ExactNumberInfo::Precision(bits) if *bits <= 53 => Ok(LogicalType::Double),
        other => Err(QueryError::binder(format_args!("bad precision: FLOAT{other}"))),
    }
}

fn decimal_type(info: &ExactNumberInfo) -> Result<LogicalType> {
    let (precision, scale) = match info {
        ExactNumberInfo::None => DECIMAL_DEFAULT,
        ExactNumberInfo::Precision(precision) => (*precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (*precision, *scale),
    };
    if precision == 0 || precision > DECIMAL_DIGITS_MAX {
        return Err(QueryError::binder(format_args!("DECIMAL precision must be between 1 and {DECIMAL_DIGITS_MAX}")));
    }
    match u8::try_from(scale) {
        Ok(scale) if u64::from(scale) <= precision => Ok(LogicalType::Decimal { precision: precision as u8, scale }),
        _ => Err(QueryError::binder("DECIMAL scale must be between 0 and the precision")),
    }
}

/// TIMESTAMP with so many digits below the second.
fn timestamp_type(digits: Option<u64>) -> Result<LogicalType> {
    match digits {
        Some(0) => Ok(LogicalType::TimestampS),
        Some(1..=3) => Ok(LogicalType::TimestampMs),
        None | Some(4..=6) => Ok(LogicalType::Timestamp),
        Some(7..=9) => Ok(LogicalType::TimestampNs),
        Some(_) => Err(QueryError::binder("TIMESTAMP only supports until nano-second precision (9)")),
    }
}

/// DuckDB's names that the parser has no variant for.
fn custom_type(name: &str, arguments: &[String]) -> Result<LogicalType> {
    use LogicalType as L;
    if !arguments.is_empty() {
        return Err(unsupported(&name));
    }
    Ok(match name.to_ascii_uppercase().as_str() {
        "INT1" => L::TinyInt,
        "SHORT" => L::SmallInt,
        "LONG" => L::BigInt,
        "UINTEGER" => L::UInteger,
        "UTINYINT" => L::UTinyInt,
        "USMALLINT" => L::USmallInt,
        "UBIGINT" => L::UBigInt,
        "LOGICAL" => L::Boolean,
        "BPCHAR" | "STRING" => L::Varchar,
        "TIMESTAMP_US" => L::Timestamp,
        "TIMESTAMP_S" => L::TimestampS,
        "TIMESTAMP_MS" => L::TimestampMs,
        "TIMESTAMP_NS" => L::TimestampNs,
        "HUGEINT" => L::HugeInt,
        "TIMESTAMPTZ" => L::TimestampTz,
        "JSON" => L::Json,
        "UUID" => L::Uuid,
        "BITSTRING" => L::Bit,
        _ => return Err(QueryError::catalog(format_args!("Type with name {name} does not exist!"))),
    })
}

/// Casts in expressions mean the same types as columns do; what columns cannot have is left to DataFusion.
#[derive(Debug)]
pub(crate) struct LakeTypes;

impl TypePlanner for LakeTypes {
    fn plan_type_field(&self, sql_type: &DataType) -> Result<Option<FieldRef>, DataFusionError> {
        match logical_type(sql_type) {
            Ok(ty) => Ok(Some(Arc::new(ty.field("", true)))),
            Err(error) if error.kind == QueryErrorKind::User && error.message.starts_with("Not implemented") => {
                Ok(None)
            }
            Err(error) => Err(DataFusionError::External(Box::new(error))),
        }
    }
}
