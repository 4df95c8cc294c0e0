//! The engine's own table of commits: what each snapshot is, when it was made, by whom and why.
//!
//! Its rows go through memory, segments and compaction like those of any other table. No commit names it; a row enters with the commit
//! that it describes.
//!
//! **Invariant**: every commit has one row, in commit order.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::{Arc, LazyLock};

use arrow_array::builder::StringViewBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{TimestampMicrosecondType, UInt64Type};
use arrow_array::{ArrayRef, TimestampMicrosecondArray, UInt64Array};

use crate::catalog::{Table, TableName};
use crate::commit::{Change, Commit, CommitInfo, Merge};
use crate::commit_runs::CommitRuns;
use crate::error::Result;
use crate::ids::{ColumnId, SnapshotId, TableId};
use crate::logical_type::LogicalType;
use crate::memtable::MemBatch;
use crate::scan_unit::ScanUnit;
use crate::schema::{NewColumn, TableSchema};
use crate::state::State;
use crate::view::Commented;

pub(crate) const SNAPSHOT: ColumnId = ColumnId(1);
pub(crate) const TIME: ColumnId = ColumnId(2);
const CHANGES: ColumnId = ColumnId(3);
/// Author, message and extra, in this order.
const INFO: [ColumnId; 3] = [ColumnId(4), ColumnId(5), ColumnId(6)];

/// The table: `snapshot_id UBIGINT`, `snapshot_time TIMESTAMPTZ`, `changes VARCHAR`, `author VARCHAR`, `message VARCHAR`, `extra JSON`.
pub(crate) fn table() -> &'static Arc<Table> {
    static TABLE: LazyLock<Arc<Table>> = LazyLock::new(|| {
        let columns = vec![
            NewColumn::new("snapshot_id", LogicalType::UBigInt),
            NewColumn::new("snapshot_time", LogicalType::TimestampTz),
            NewColumn::new("changes", LogicalType::Varchar),
            NewColumn::new("author", LogicalType::Varchar),
            NewColumn::new("message", LogicalType::Varchar),
            NewColumn::new("extra", LogicalType::Json),
        ];
        let schema = TableSchema::new(columns, &[]).expect("the columns have distinct names");
        let name = TableName::new("system", "main", "snapshots");
        Arc::new(Table::from_parts(TableId::HISTORY, name, vec![(SnapshotId(0), Arc::new(schema))]))
    });
    &TABLE
}

/// The last snapshot in a slice of the table that was made up to a time; `None` if all were made later.
///
/// # Errors
/// `Corrupt` for damaged bytes.
pub(crate) fn newest_at(unit: &ScanUnit, time_us: i64) -> Result<Option<SnapshotId>> {
    let columns = unit.read(&[SNAPSHOT, TIME])?;
    // Both ascend: commits are in order, and time does not go back.
    let times = columns[1].as_primitive::<TimestampMicrosecondType>().values();
    let made = times.partition_point(|time| *time <= time_us);
    let snapshots = columns[0].as_primitive::<UInt64Type>();
    Ok(made.checked_sub(1).map(|last| SnapshotId(snapshots.value(last))))
}

/// Rows about commits, gathered before they enter the table together.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    snapshots: Vec<u64>,
    times: Vec<i64>,
    changes: StringViewBuilder,
    info: [StringViewBuilder; 3],
    /// Whether any commit said anything, by column of `info`.
    said: [bool; 3],
    commits: CommitRuns,
}

impl Rows {
    /// Adds what is to be said of a commit.
    pub(crate) fn push(&mut self, snapshot: SnapshotId, time_us: i64, changes: &str, info: &CommitInfo) {
        self.snapshots.push(snapshot.0);
        self.times.push(time_us);
        self.changes.append_value(changes);
        for ((column, said), text) in self.info.iter_mut().zip(&mut self.said).zip(info.texts()) {
            column.append_option(text);
            *said |= text.is_some();
        }
        self.commits.push(snapshot, 1);
    }

    /// Enters the rows into the table.
    pub(crate) fn enter(mut self, state: &mut State) {
        let rows = self.snapshots.len();
        if rows == 0 {
            return;
        }
        let times = TimestampMicrosecondArray::from(self.times).with_timezone("UTC");
        let mut columns: Vec<(ColumnId, ArrayRef)> = vec![
            (SNAPSHOT, Arc::new(UInt64Array::from(self.snapshots))),
            (TIME, Arc::new(times)),
            (CHANGES, Arc::new(self.changes.finish())),
        ];
        for ((id, column), said) in INFO.iter().zip(&mut self.info).zip(self.said) {
            if said {
                columns.push((*id, Arc::new(column.finish())));
            }
        }
        let table = state.rows_mut(TableId::HISTORY);
        table.active.push(MemBatch::from_parts(table.next_row, rows, columns, self.commits));
        table.next_row += rows as u64;
        table.active.consolidate(|| self::table().schema().columns().iter().collect());
    }
}

/// What a commit changes, in short: verbs and table ids, as in `delete 3,insert 3`; `names` for databases and schemas.
pub(crate) fn summary(commit: &Commit, deleted: impl Iterator<Item = TableId>) -> String {
    let mut verbs: BTreeSet<(&str, TableId)> = deleted.map(|table| ("delete", table)).collect();
    let mut names = false;
    for change in &commit.changes {
        let verb = match change {
            Change::Append(batch) | Change::Merge(Merge { batch, .. }) if batch.rows() > 0 => ("insert", batch.table()),
            Change::Load(loaded) if loaded.rows() > 0 => ("insert", loaded.table()),
            Change::Append(_) | Change::Merge(_) | Change::Delete(_) | Change::Load(_) => continue,
            Change::CreateTable { id, .. } => ("create", *id),
            Change::DropTable { id } => ("drop", *id),
            Change::RenameTable { id, .. }
            | Change::SetSchema { id, .. }
            | Change::SetLayout { id, .. }
            | Change::Comment { on: Commented::Table(id) | Commented::Column(id, _), .. } => ("alter", *id),
            _ => {
                names = true;
                continue;
            }
        };
        verbs.insert(verb);
    }
    let mut text = String::new();
    for (verb, table) in &verbs {
        let separator = if text.is_empty() { "" } else { "," };
        write!(text, "{separator}{verb} {table}").expect("writing to a string succeeds");
    }
    if names {
        text.push_str(if text.is_empty() { "names" } else { ",names" });
    }
    text
}
