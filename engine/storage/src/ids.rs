//! Identifiers as newtypes, so that one kind of number is never passed for another.
//!
//! **Invariants**: an id is never reused within a data directory; ids only grow.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl $name {
            /// The id after this one.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }
    };
}

id! {
    /// Position in the one total order of commits: snapshot N is everything up to commit N. Zero is the empty database.
    SnapshotId(u64)
}
id! {
    /// A table for its whole life; a dropped and re-created table gets a new one.
    TableId(u64)
}
impl TableId {
    /// The engine's own table of commits; no other has this id.
    pub(crate) const HISTORY: Self = Self(0);
}

id! {
    /// A column of one table, stable across renames and reorders.
    ColumnId(u32)
}
impl ColumnId {
    /// What [`crate::ScanUnit::read`] answers with the address of each row: UBIGINT, the unit's number among those of its table in the upper
    /// half, the row's among those of the unit in the lower. No stored column has this id.
    pub const ADDRESS: Self = Self(u32::MAX);
}

id! {
    /// An immutable segment file.
    SegmentId(u64)
}
id! {
    /// Counts the changes of one table's schema, from 1.
    SchemaVersion(u32)
}
