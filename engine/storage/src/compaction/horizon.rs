//! How far back snapshots are kept.
//!
//! The horizon is the snapshot that was the newest one when the retention time began: everything since can be asked for. It is found in the
//! flushed rows of the table of commits, so that it is never past a checkpoint, and it never goes back.

use std::sync::Arc;

use crate::clock;
use crate::error::Result;
use crate::history;
use crate::ids::{SnapshotId, TableId};
use crate::scan_unit::{ScanUnit, Source};
use crate::state::State;
use crate::value::Value;

/// The horizon as it could be now; compactions that drop what lies before it make it so.
///
/// # Errors
/// `Corrupt` for damaged bytes.
pub(crate) fn reachable(state: &State, retention_ms: u64) -> Result<SnapshotId> {
    let retention_us = i64::try_from(retention_ms.saturating_mul(1000)).unwrap_or(i64::MAX);
    let since_us = clock::now_us().saturating_sub(retention_us);
    let segments = state.rows.get(&TableId::HISTORY).map_or(&[][..], |rows| &rows.segments);
    let schema = history::table().schema();
    for segment in segments.iter().rev() {
        for row_group in (0..segment.reader.row_groups()).rev() {
            let source = Source::RowGroup { segment: Arc::clone(segment), row_group };
            let Some(unit) = ScanUnit::as_of(TableId::HISTORY, source, None, schema, state.snapshot)? else { continue };
            let earliest = unit.zone_map(history::TIME).and_then(|zone_map| zone_map.min);
            if matches!(earliest, Some(Value::Int(earliest)) if earliest > since_us) {
                continue;
            }
            if let Some(found) = history::newest_at(&unit, since_us)? {
                return Ok(found.max(state.horizon));
            }
        }
    }
    Ok(state.horizon)
}
