//! Siltstone's storage engine.

mod array_codec;
mod byte_views;
mod catalog;
mod commit;
mod commit_runs;
mod concat;
mod encoding;
mod engine;
mod error;
mod frame;
mod ids;
pub mod io;
#[cfg_attr(not(test), expect(dead_code, unused_imports, reason = "the engine that writes and replays it comes next"))]
mod log;
mod logical_type;
mod metrics;
mod options;
mod schema;
mod segment;
mod snapshot;
#[cfg(test)]
mod test_arrays;
mod value;
mod zone_map;

pub use catalog::{Catalog, Database, SchemaEntry, Table, TableName};
pub use commit::{Batch, Change, Commit};
pub use engine::Engine;
pub use error::{Error, ErrorKind, Result};
pub use ids::{ColumnId, SchemaVersion, SegmentId, SnapshotId, TableId};
pub use logical_type::{LogicalType, TYPE_METADATA_KEY, quoted_if_needed};
pub use metrics::Metrics;
pub use options::Options;
pub use schema::{Column, NewColumn, TableSchema, folded_name, same_name};
pub use snapshot::{ScanUnit, Snapshot, TableSnapshot};
pub use value::Value;
pub use zone_map::ZoneMap;
