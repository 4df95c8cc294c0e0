//! What is known of a column chunk without reading it.
//!
//! **Invariants**: bounds may be loose, never wrong; an absent bound means unknown.

use crate::value::Value;

/// Statistics of one column chunk.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ZoneMap {
    /// No value is smaller. NaN is above every number.
    pub min: Option<Value>,
    /// No value is greater.
    pub max: Option<Value>,
    /// Whether both bounds are values that occur.
    pub exact: bool,
    /// Number of NULLs.
    pub null_count: u64,
}
