//! The columns that several files have together.
//!
//! **Invariants**: every file's values of a column fit the type that is found for it; VARCHAR holds what no other type does.

use siltstone_storage::{LogicalType, TableSchema, same_name};

use super::{FileError, FileFormat, Result, Survey, json};

impl Survey {
    /// Takes another file's columns into account: one that is new comes last, one that is known gets a type that holds both.
    ///
    /// # Errors
    /// `Invalid` for more columns than there may be.
    pub fn join(&mut self, format: FileFormat, other: Self) -> Result<()> {
        for (place, column) in other.columns.into_iter().enumerate() {
            let is_untyped = other.untyped.contains(&place);
            match self.columns.iter().position(|known| same_name(&known.name, &column.name)) {
                None => {
                    if is_untyped {
                        self.untyped.push(self.columns.len());
                    }
                    self.columns.push(column);
                }
                Some(_) if is_untyped => {}
                Some(known) if self.untyped.contains(&known) => {
                    self.untyped.retain(|untyped| *untyped != known);
                    self.columns[known].logical_type = column.logical_type;
                }
                Some(known) => {
                    let known = &mut self.columns[known].logical_type;
                    *known = common(format, known, &column.logical_type);
                }
            }
        }
        if self.columns.len() > TableSchema::COLUMNS_MAX {
            return Err(FileError::invalid(format!("the files have more than {} columns", TableSchema::COLUMNS_MAX)));
        }
        Ok(())
    }
}

/// A type that holds the values of both.
fn common(format: FileFormat, a: &LogicalType, b: &LogicalType) -> LogicalType {
    use LogicalType::{Date, Double, Real, TimestampTz, Varchar};
    if a == b {
        return a.clone();
    }
    if format == FileFormat::Json {
        return json::joined(Some(a.clone()), Some(b.clone())).unwrap_or(Varchar);
    }
    let is_float = |ty: &LogicalType| matches!(ty, Real | Double);
    match (digits(a), digits(b)) {
        (Some(a), Some(b)) => return whole_or_decimal(a, b),
        (Some(_), None) if is_float(b) => return Double,
        (None, Some(_)) if is_float(a) => return Double,
        _ => {}
    }
    match (a, b) {
        (a, b) if is_float(a) && is_float(b) => Double,
        (Date, TimestampTz) | (TimestampTz, Date) => TimestampTz,
        (a, TimestampTz) | (TimestampTz, a) if fineness(a).is_some() => TimestampTz,
        (Date, b) if fineness(b).is_some() => b.clone(),
        (a, Date) if fineness(a).is_some() => a.clone(),
        (a, b) => match (fineness(a), fineness(b)) {
            (Some(of_a), Some(of_b)) => {
                if of_a < of_b {
                    b.clone()
                } else {
                    a.clone()
                }
            }
            _ => Varchar,
        },
    }
}

/// Digits of a second that a timestamp without zone has.
fn fineness(ty: &LogicalType) -> Option<u8> {
    match ty {
        LogicalType::TimestampS => Some(0),
        LogicalType::TimestampMs => Some(3),
        LogicalType::Timestamp => Some(6),
        LogicalType::TimestampNs => Some(9),
        _ => None,
    }
}

/// What a number without floating point may have: digits before and after its point, and whether it may be negative.
#[derive(Clone, Copy)]
struct Digits {
    whole: u8,
    fraction: u8,
    signed: bool,
    is_decimal: bool,
}

fn digits(ty: &LogicalType) -> Option<Digits> {
    let integer = |whole, signed| Some(Digits { whole, fraction: 0, signed, is_decimal: false });
    match ty {
        LogicalType::TinyInt => integer(3, true),
        LogicalType::SmallInt => integer(5, true),
        LogicalType::Integer => integer(10, true),
        LogicalType::BigInt => integer(19, true),
        LogicalType::UTinyInt => integer(3, false),
        LogicalType::USmallInt => integer(5, false),
        LogicalType::UInteger => integer(10, false),
        LogicalType::UBigInt => integer(20, false),
        LogicalType::HugeInt => integer(LogicalType::HUGEINT_DIGITS, true),
        LogicalType::Decimal { precision, scale } => {
            Some(Digits { whole: precision - scale, fraction: *scale, signed: true, is_decimal: true })
        }
        _ => None,
    }
}

fn whole_or_decimal(a: Digits, b: Digits) -> LogicalType {
    let (whole, fraction) = (a.whole.max(b.whole), a.fraction.max(b.fraction));
    if whole == LogicalType::HUGEINT_DIGITS && !a.is_decimal && !b.is_decimal {
        return LogicalType::HugeInt;
    }
    if a.is_decimal || b.is_decimal || whole == 20 && (a.signed || b.signed) {
        let precision = whole + fraction;
        return if precision > 38 { LogicalType::Double } else { LogicalType::Decimal { precision, scale: fraction } };
    }
    // An unsigned type's values take the next larger signed one.
    let signed = a.signed || b.signed;
    let wider = signed && ((!a.signed && a.whole >= b.whole) || (!b.signed && b.whole >= a.whole));
    match (whole, signed, wider) {
        (3, true, false) => LogicalType::TinyInt,
        (3, true, true) | (5, true, false) => LogicalType::SmallInt,
        (5, true, true) | (10, true, false) => LogicalType::Integer,
        (10, true, true) | (19, true, _) => LogicalType::BigInt,
        (3, false, _) => LogicalType::UTinyInt,
        (5, false, _) => LogicalType::USmallInt,
        (10, false, _) => LogicalType::UInteger,
        _ => LogicalType::UBigInt,
    }
}

#[cfg(test)]
mod tests;
