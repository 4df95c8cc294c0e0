//! The names of types that carry more than their Arrow form says: `ENUM('a', 'b')` and `FLOAT[3]`, as marks on Arrow fields.
//!
//! **Invariants**
//! 1. [`enum_values`] inverts [`write_enum`].
//! 2. Marks may come from files of others: one that is malformed or too large is none.

use std::collections::HashSet;
use std::fmt;

use super::LogicalType;

/// `ENUM('a', 'it''s')`.
pub(super) fn write_enum(values: &[String], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("ENUM(")?;
    for (i, value) in values.iter().enumerate() {
        let separator = if i == 0 { "" } else { ", " };
        write!(f, "{separator}'{}'", value.replace('\'', "''"))?;
    }
    f.write_str(")")
}

/// The values that the name of an ENUM lists; `None` if it is no such name.
pub(super) fn enum_values(name: &str) -> Option<Vec<String>> {
    let mut rest = name.strip_prefix("ENUM(")?.strip_suffix(')')?;
    let mut values = Vec::new();
    loop {
        let (value, after) = quoted(rest)?;
        values.push(value);
        match after.strip_prefix(", ") {
            Some(next) => rest = next,
            None => return after.is_empty().then_some(values),
        }
    }
}

/// A text in single quotes at the start of `rest`, and what follows it.
fn quoted(rest: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = rest.strip_prefix('\'')?;
    loop {
        let (part, after) = rest.split_once('\'')?;
        value.push_str(part);
        match after.strip_prefix('\'') {
            Some(next) => {
                value.push('\'');
                rest = next;
            }
            None => return Some((value, after)),
        }
    }
}

/// Items of each value, from the name of a `T[n]`; `None` if it is no such name.
pub(super) fn array_items(name: &str) -> Option<u32> {
    let (_, items) = name.strip_suffix(']')?.rsplit_once('[')?;
    items.parse().ok().filter(|items| (1..=LogicalType::ARRAY_ITEMS_MAX).contains(items))
}

/// What is wrong with the values of an ENUM.
pub(super) fn enum_fault(values: &[String]) -> Option<String> {
    if values.is_empty() || values.len() > LogicalType::ENUM_VALUES_MAX {
        let most = LogicalType::ENUM_VALUES_MAX;
        return Some(format!("an ENUM has 1 to {most} values: found={}", values.len()));
    }
    let bytes: usize = values.iter().map(String::len).sum();
    if bytes > LogicalType::ENUM_BYTES_MAX {
        let most = LogicalType::ENUM_BYTES_MAX;
        return Some(format!("the values of an ENUM take at most {most} bytes: found={bytes}"));
    }
    let mut seen = HashSet::with_capacity(values.len());
    values
        .iter()
        .find(|value| !seen.insert(value.as_str()))
        .map(|value| format!("an ENUM names a value twice: {value:?}"))
}
