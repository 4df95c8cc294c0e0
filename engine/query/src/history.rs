//! The list of snapshots and the changes of a table, as tables.
//!
//! **Invariants**: changes are computed when they are read, on a blocking thread, and are those of the snapshots asked for,
//! whatever is committed meanwhile.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringViewArray, UInt64Array};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::{StreamExt, TryStreamExt};
use siltstone_storage::{ChangeKind, ChangedRows, ColumnId, LogicalType, Snapshot, SnapshotId, Table, TableId};

use crate::catalog::Scope;
use crate::table_form::Asked;
use crate::table_provider::SnapshotTable;

/// The engine's own table of commits; no user can name it.
const COMMITS: &str = "\0commits";

/// What this module adds to every `information_schema`.
pub(crate) const TABLES: [&str; 1] = [COMMITS];

/// What `snapshots()` stands for. The schema's version counts the commits that changed names or columns.
pub(crate) const SNAPSHOTS: &str = "SELECT snapshot_id, snapshot_time, \
     CAST(sum(CASE WHEN changes LIKE '%create%' OR changes LIKE '%drop%' OR changes LIKE '%alter%' OR changes LIKE '%names%' \
     THEN 1 ELSE 0 END) OVER (ORDER BY snapshot_id) AS BIGINT) AS schema_version, \
     changes, author, message AS commit_message, extra AS commit_extra_info \
     FROM information_schema.\"\0commits\"";

/// What the table function `current_snapshot()` stands for.
pub(crate) const CURRENT_SNAPSHOT: &str = "SELECT current_snapshot() AS id";

/// A table of [`TABLES`]; `None` if there is no such.
pub(crate) fn table(scope: &Scope, name: &str) -> Option<Arc<dyn TableProvider>> {
    let commits = || Arc::new(SnapshotTable::new(scope.snapshot.history(), &scope.spelling));
    (name == COMMITS).then(|| commits() as Arc<dyn TableProvider>)
}

/// What the commits `from` to `to`, both included, did to a table: `snapshot_id`, `change_type`, and the columns it had at `to`.
pub(crate) fn changes(
    scope: &Scope,
    table: &Table,
    from: SnapshotId,
    to: SnapshotId,
    asked: Asked,
) -> crate::error::Result<Arc<dyn TableProvider>> {
    let schema_then = Arc::clone(scope.snapshot.table_at(table.id, to)?.schema());
    let spelling = &scope.spelling;
    let mut fields = vec![
        LogicalType::UBigInt.field(&spelling.of("snapshot_id"), true),
        LogicalType::Varchar.field(&spelling.of("change_type"), true),
    ];
    let columns = schema_then.columns();
    fields.extend(columns.iter().map(|column| column.logical_type.field(&spelling.of(&column.name), true)));
    let schema = Arc::new(Schema::new(fields));
    let feed = Feed {
        snapshot: scope.snapshot.clone(),
        table: table.id,
        after: SnapshotId(from.0.saturating_sub(1)),
        to,
        asked,
        columns: columns.iter().map(|column| column.id).collect(),
        schema: Arc::clone(&schema),
    };
    Ok(Arc::new(StreamingTable::try_new(schema, vec![Arc::new(feed)])?))
}

/// The changes of one table.
#[derive(Clone, Debug)]
struct Feed {
    snapshot: Snapshot,
    table: TableId,
    after: SnapshotId,
    to: SnapshotId,
    asked: Asked,
    columns: Vec<ColumnId>,
    schema: SchemaRef,
}

impl Feed {
    fn read(&self) -> Result<Vec<RecordBatch>> {
        let changed = self.snapshot.table_changes(self.table, self.after, self.to, &self.columns);
        let changed = changed.map_err(|error| DataFusionError::External(Box::new(error)))?;
        changed.into_iter().map(|rows| self.batch(rows)).collect()
    }

    fn batch(&self, rows: ChangedRows) -> Result<RecordBatch> {
        let ids = UInt64Array::from_iter_values(rows.snapshots.iter().map(|snapshot| snapshot.0));
        let kinds: StringViewArray = rows.kinds.iter().map(|kind| Some(word(*kind))).collect();
        let mut columns: Vec<ArrayRef> = vec![Arc::new(ids), Arc::new(kinds)];
        columns.extend(rows.columns);
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        if self.asked == Asked::Changes {
            return Ok(batch);
        }
        let wanted: BooleanArray = rows.kinds.iter().map(|kind| Some(self.asked.has(*kind))).collect();
        Ok(filter_record_batch(&batch, &wanted)?)
    }
}

impl Asked {
    fn has(self, kind: ChangeKind) -> bool {
        let comes = matches!(kind, ChangeKind::Insert | ChangeKind::UpdateAfter);
        match self {
            Self::Changes => true,
            Self::Insertions => comes,
            Self::Deletions => !comes,
        }
    }
}

fn word(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Insert => "insert",
        ChangeKind::Delete => "delete",
        ChangeKind::UpdateBefore => "update_preimage",
        ChangeKind::UpdateAfter => "update_postimage",
    }
}

impl PartitionStream for Feed {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let feed = self.clone();
        let batches = async move {
            let read = tokio::task::spawn_blocking(move || feed.read());
            let batches = read.await.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))??;
            Ok::<_, DataFusionError>(futures::stream::iter(batches).map(Ok))
        };
        let stream = futures::stream::once(batches).try_flatten();
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), stream))
    }
}
