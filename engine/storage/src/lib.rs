//! Siltstone's storage engine: an append log, rows in memory, immutable columnar segments, snapshots.
//!
//! ```text
//! engine            open, write, snapshot, flush, close
//! write flush recovery sweep jobs backup         the verbs that tie structures together
//! state catalog memtable log segment manifest    the nouns: each knows its bytes and the I/O seam
//! io                                             the only way to a file
//! ```
//!
//! **Promises**
//! 1. A commit is acknowledged only when it is synced to disk and visible, wholly.
//! 2. After a crash every acknowledged commit is there, and no part of any other that is not whole.
//! 3. A snapshot never changes while it is held; readers and writers do not wait for each other.
//! 4. Damaged bytes are reported with file and offset; they never panic, and are never skipped.
//!
//! `examples/embed.rs` shows it at work: create, write, upsert, read as of a snapshot, open again.
//!
//! This crate knows nothing of HTTP, JSON, SQL or async runtimes.

mod apply;
mod array_codec;
mod backup;
#[cfg(feature = "bench")]
pub mod bench;
mod byte_views;
mod catalog;
mod changes;
mod chunk_cache;
mod clock;
mod columns;
mod commit;
mod commit_codec;
mod commit_runs;
mod compaction;
mod concat;
mod condition;
mod delete_vector;
mod deletions;
mod encoding;
mod engine;
mod error;
mod flush;
mod frame;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod history;
mod ids;
mod inspect;
pub mod interval;
pub mod io;
mod jobs;
mod key_index;
mod key_tables;
mod live_segment;
mod load;
mod log;
mod logical_type;
mod manifest;
mod maps;
mod memtable;
mod merge;
mod metrics;
mod null_array;
mod options;
mod overlay;
mod places;
mod predicate;
mod prepare;
mod queue;
mod recovery;
mod row_set;
mod scan_unit;
mod schema;
mod schema_codec;
mod segment;
mod segment_info;
mod snapshot;
mod state;
mod sweep;
mod table_map;
#[cfg(test)]
mod test_arrays;
pub mod timestamps;
mod transaction;
mod value;
mod verify;
mod view;
mod view_codec;
mod write;
mod zone_map;

pub use backup::{BackupReport, backup, restore};
pub use catalog::{Catalog, Database, SchemaEntry, Table, TableName};
pub use changes::{ChangeKind, ChangedRows};
pub use commit::{Batch, Change, Commit, CommitInfo, Committed, Merge, OnMatch, RowCounts};
pub use engine::Engine;
pub use error::{Error, ErrorKind, Result};
pub use ids::{ColumnId, SchemaVersion, SegmentId, SnapshotId, TableId};
pub use inspect::{inspect_directory, inspect_file};
pub use load::{Load, Loaded};
pub use logical_type::{LogicalType, TYPE_METADATA_KEY, quoted_if_needed};
pub use maps::{lists_of, maps_of, repeated_key};
pub use metrics::Metrics;
pub use options::Options;
pub use predicate::{Comparison, Predicate};
pub use row_set::RowSet;
pub use scan_unit::{ScanUnit, Selected};
pub use schema::{Column, NewColumn, TableSchema, folded_name, same_name};
pub use segment_info::SegmentInfo;
pub use snapshot::{Snapshot, TableSnapshot};
pub use transaction::Transaction;
pub use value::Value;
pub use verify::{Verified, verify};
pub use view::{COMMENT_BYTES_MAX, Commented, Layout, PartitionKey, SortKey, Transform, View, ViewColumn};
pub use zone_map::ZoneMap;
