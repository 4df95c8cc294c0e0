//! INSERT, UPDATE, DELETE, TRUNCATE and MERGE as changes of one commit.
//!
//! Each is lowered to a query over the tables it names; the stored rows it changes are known by the address that a scan gives
//! them on demand, and a changed row is a deleted and an appended one.
//!
//! **Invariants**
//! 1. A statement's changes become visible together or not at all; a result too large for one commit is refused.
//! 2. When what it read changed while it ran, the statement is planned again from the start, on what is there now.
//! 3. A row is changed at most once by a statement, however many rows it was joined with.

use std::borrow::Cow;
use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::sql::sqlparser::ast::{Delete, Insert, Query, SetExpr, Statement, Truncate, Update, With};
use siltstone_storage::{Batch, Change, ErrorKind, RowCounts, Snapshot, Table};

use crate::error::Result;
use crate::merge_syntax::Merge;
use crate::session::Session;
use crate::statement::changed;
use crate::{Output, QueryError, syntax};

mod assignments;
mod delete;
mod insert;
mod merge;
mod on_conflict;
pub(crate) mod rows;
pub(crate) mod target;
mod update;

/// Times a statement is planned anew because something changed underneath.
pub(crate) const ATTEMPTS_MAX: usize = 10;

/// A statement that changes rows.
#[derive(Clone, Debug)]
pub(crate) enum Dml {
    Insert {
        insert: Box<Insert>,
        /// Whether the source's columns go by their names, not by their order.
        by_name: bool,
        with: Option<With>,
    },
    Delete(Box<Delete>, Option<With>),
    Truncate(Box<Truncate>),
    Update(Box<Update>, Option<With>),
    Merge(Box<Merge>),
}

impl Dml {
    /// An INSERT, DELETE or UPDATE, with what stands before it.
    pub(crate) fn of(statement: Statement, with: Option<With>) -> Result<Self> {
        match statement {
            Statement::Insert(insert) => Ok(Self::Insert { insert: Box::new(insert), by_name: false, with }),
            Statement::Delete(delete) => Ok(Self::Delete(Box::new(delete), with)),
            Statement::Update(update) => Ok(Self::Update(Box::new(update), with)),
            other => Err(QueryError::internal(format_args!("no change of rows: {other}"))),
        }
    }
}

/// What a statement comes to on one snapshot.
struct RowChanges {
    table: Arc<Table>,
    changes: Vec<Change>,
    count: Count,
}

/// How many rows a statement says it changed.
enum Count {
    Known(usize),
    /// As many as its merge did.
    Merged,
}

impl RowChanges {
    fn appends(table: Arc<Table>, batches: Vec<Batch>) -> Self {
        let count = Count::Known(batches.iter().map(Batch::rows).sum());
        Self { table, changes: batches.into_iter().map(Change::Append).collect(), count }
    }
}

/// Runs one, alone or within the open transaction.
pub(crate) async fn run(session: &mut Session, statement: &Dml) -> Result<Output> {
    let core = Arc::clone(&session.core);
    let mut alone = None;
    for _ in 0..session.attempts() {
        let snapshot = session.snapshot();
        let planned_on = snapshot.id();
        let RowChanges { table, changes, count } = plan(session, snapshot, statement).await?;
        if changes.is_empty() {
            return changed(0);
        }
        let appended = appended(&changes);
        match session.apply(changes).await {
            Ok(rows) => return changed(count.rows(rows)?),
            Err(error) if is_duplicate(&error) && !(merges(statement) && session.snapshot().id() != planned_on) => {
                return Err(duplicate_key(&table, appended.as_ref(), error.rows().first().copied()));
            }
            Err(error) if error.kind() == ErrorKind::Conflict => {
                // Those that lost wait for each other, so that each is overtaken by few.
                if alone.is_none() {
                    alone = Some(core.rewrites.lock().await);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(conflict())
}

/// Whether a key that came from elsewhere meanwhile is one to be merged with, not one to fail for.
fn merges(statement: &Dml) -> bool {
    match statement {
        Dml::Merge(_) => true,
        Dml::Insert { insert, .. } => insert.on.is_some(),
        _ => false,
    }
}

fn is_duplicate(error: &siltstone_storage::Error) -> bool {
    error.kind() == ErrorKind::Conflict && !error.rows().is_empty()
}

async fn plan(session: &Session, snapshot: Snapshot, statement: &Dml) -> Result<RowChanges> {
    match statement {
        Dml::Insert { insert, by_name, with } => {
            let insert = with_ctes(insert, with.as_ref());
            insert::plan(session, snapshot, &insert, *by_name).await
        }
        Dml::Delete(delete, with) => delete::plan(session, snapshot, delete, with.as_ref()).await,
        Dml::Truncate(truncate) => delete::plan_truncate(session, &snapshot, truncate),
        Dml::Update(update, with) => update::plan(session, snapshot, update, with.as_ref()).await,
        Dml::Merge(merge) => merge::plan(session, snapshot, merge).await,
    }
}

/// An INSERT whose source has the common table expressions that stood before it.
fn with_ctes<'a>(insert: &'a Insert, with: Option<&With>) -> Cow<'a, Insert> {
    let Some(with) = with else {
        return Cow::Borrowed(insert);
    };
    let mut insert = insert.clone();
    insert.source = insert.source.map(|source| {
        // In parentheses if it has a WITH of its own.
        let query = if source.with.is_some() { syntax::bare_query(Box::new(SetExpr::Query(source))) } else { *source };
        Box::new(Query { with: Some(with.clone()), ..query })
    });
    Cow::Owned(insert)
}

impl Count {
    fn rows(&self, counts: RowCounts) -> Result<usize> {
        match self {
            Self::Known(rows) => Ok(*rows),
            Self::Merged => {
                usize::try_from(counts.inserted + counts.updated + counts.deleted).map_err(QueryError::internal)
            }
        }
    }
}

/// The statement lost against concurrent changes too often.
pub(crate) fn conflict() -> QueryError {
    siltstone_storage::Error::new(ErrorKind::Conflict, "the tables kept changing; try again").into()
}

/// The only batch that brings keys, to tell them; `None` if there are several.
fn appended(changes: &[Change]) -> Option<Batch> {
    let mut batches = changes.iter().filter_map(|change| match change {
        Change::Append(batch) => Some(batch),
        Change::Merge(merge) => Some(&merge.batch),
        _ => None,
    });
    let first = batches.next()?;
    batches.next().is_none().then(|| first.clone())
}

fn duplicate_key(table: &Table, batch: Option<&Batch>, row: Option<u32>) -> QueryError {
    let key = batch.zip(row).and_then(|(batch, row)| key_text(table, batch, row as usize));
    let named = key.map(|key| format!(" \"{key}\"")).unwrap_or_default();
    QueryError::constraint(format_args!("Duplicate key{named} violates primary key constraint."))
}

/// `a: 1, b: x`.
fn key_text(table: &Table, batch: &Batch, row: usize) -> Option<String> {
    let schema = table.schema();
    let parts = schema.primary_key().iter().map(|id| {
        let values: &ArrayRef = batch.column(*id)?;
        let value = (row < values.len()).then(|| array_value_to_string(values, row).ok()).flatten()?;
        Some(format!("{}: {value}", schema.column_by_id(*id)?.name))
    });
    Some(parts.collect::<Option<Vec<_>>>()?.join(", "))
}
