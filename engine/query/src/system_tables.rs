//! What the engine says of itself, as tables of the database `system`.
//!
//! **Invariants**: a stored table of the same name comes first.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringViewArray, UInt32Array, UInt64Array};
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::error::Result;
use siltstone_storage::{SegmentInfo, Snapshot, TableName, folded_name};

use crate::catalog::Scope;

/// Where these tables are.
const DATABASE: &str = "system";
const SCHEMA: &str = "main";
/// One row per segment.
const SEGMENTS: &str = "segments";

/// Whether there is such a table.
pub(crate) fn exists(database: &str, schema: &str, table: &str) -> bool {
    folded_name(database) == DATABASE && folded_name(schema) == SCHEMA && folded_name(table) == SEGMENTS
}

/// One of them; `None` if there is no such.
pub(crate) fn table(
    scope: &Scope,
    database: &str,
    schema: &str,
    table: &str,
) -> Result<Option<Arc<dyn TableProvider>>> {
    if !exists(database, schema, table) {
        return Ok(None);
    }
    let mut segments = scope.snapshot.segments();
    let of_commits = scope.snapshot.history().table().id;
    // Tables that the session does not see have their segments, too.
    let is_visible = |id| id == of_commits || scope.snapshot.catalog().table_by_id(id).is_some();
    segments.retain(|segment| is_visible(segment.table));
    let names: Vec<TableName> = segments.iter().map(|segment| table_name(&scope.snapshot, segment)).collect();
    let text = |part: fn(&TableName) -> &str| {
        Arc::new(names.iter().map(|name| Some(part(name))).collect::<StringViewArray>()) as ArrayRef
    };
    let number = |figure: fn(&SegmentInfo) -> u64| {
        Arc::new(UInt64Array::from_iter_values(segments.iter().map(figure))) as ArrayRef
    };
    let tiers = UInt32Array::from_iter_values(segments.iter().map(|segment| segment.tier));
    let columns: [(&str, ArrayRef); 12] = [
        ("database_name", text(|name| &name.database)),
        ("schema_name", text(|name| &name.schema)),
        ("table_name", text(|name| &name.table)),
        ("segment_id", number(|segment| segment.segment.0)),
        ("rows", number(|segment| segment.rows)),
        ("deleted_rows", number(|segment| segment.deleted_rows)),
        ("bytes", number(|segment| segment.bytes)),
        ("deletes_bytes", number(|segment| segment.deletes_bytes)),
        ("key_index_bytes", number(|segment| segment.key_index_bytes)),
        ("first_snapshot", number(|segment| segment.first_snapshot.0)),
        ("last_snapshot", number(|segment| segment.last_snapshot.0)),
        ("tier", Arc::new(tiers)),
    ];
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(scope.spelling.of(name), array.data_type().clone(), true))
        .collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?;
    Ok(Some(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?)))
}

/// The table whose rows are in a segment; that of commits has no place in the catalog.
fn table_name(snapshot: &Snapshot, segment: &SegmentInfo) -> TableName {
    match snapshot.catalog().table_by_id(segment.table) {
        Some(table) => table.name.clone(),
        None => snapshot.history().table().name.clone(),
    }
}
