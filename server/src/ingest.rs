//! The neutral form every dialect lowers its writes to, and the one path from there to disk.
//!
//! **Invariants**
//! 1. All tables, columns and rows of one request become durable and visible in one commit, or none of them do.
//! 2. Nothing is reported as written before its commit is durable.
//! 3. Requests that change a table's columns commit one at a time, so two that add the same column, or create the same table, both
//!    succeed: the second is decoded again against what the first made.
//! 4. A request that fails with an error has written nothing.
//!
//! It knows no dialect, no status codes, and no JSON: bodies are decoded by `siltstone-ingest`.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::compute::filter;
use bytes::Bytes;
use siltstone_ingest::{BodyError, Decoded, ErrorCode, ErrorVectors, Framing, Policy, Warning};
use siltstone_storage::{
    Batch, Change, ColumnId, Commit, CommitInfo, Committed, Engine, Error, ErrorKind, Snapshot, SnapshotId, Table,
    TableId, TableName, TableSchema, same_name,
};
use tokio::sync::{Mutex, MutexGuard, oneshot};

use crate::limits::Limits;
use crate::system;

/// Attempts of one request while others change its tables: with the lock held only SQL can be in the way.
const ATTEMPTS_MAX: usize = 20;

/// What happens when the table is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Schema and table are created, columns from the rows.
    Create,
    /// The request is refused.
    Refuse,
}

/// What happens to a part with bad rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadRows {
    /// Nothing of the whole request is written.
    RefuseAll,
    /// The good rows are written.
    LeaveOut,
}

/// Rows for one table.
#[derive(Clone, Debug)]
pub struct Part {
    /// Where they go.
    pub table: TableName,
    /// Their JSON text.
    pub body: Bytes,
    /// How rows are laid out in it.
    pub framing: Framing,
    /// The dialect's rules.
    pub policy: Arc<Policy>,
    /// When the table is not there.
    pub missing: Missing,
    /// When some rows are bad.
    pub bad_rows: BadRows,
}

/// Rows for one table or several, one commit.
#[derive(Clone, Debug)]
pub struct IngestRequest {
    /// At least one; no table twice.
    pub parts: Vec<Part>,
    /// Whether to stop after validation.
    pub dry_run: bool,
    /// Who sends it, and what is said of the commit in the list of snapshots.
    pub info: CommitInfo,
}

impl IngestRequest {
    /// Rows for one table.
    pub fn single(part: Part) -> Self {
        Self { parts: vec![part], dry_run: false, info: CommitInfo::default() }
    }
}

/// What became of one part.
#[derive(Debug)]
pub struct PartReply {
    /// The table as stored; `None` if it does not exist (yet).
    pub table: Option<(TableId, TableName)>,
    /// Rows in the body.
    pub rows: usize,
    /// Rows without fault.
    pub accepted: usize,
    /// Which rows are refused, and why.
    pub errors: ErrorVectors,
    /// For people.
    pub warnings: Vec<Warning>,
}

/// What became of a request.
#[derive(Debug)]
pub struct IngestReply {
    /// The commit; `None` if nothing was written.
    pub snapshot: Option<SnapshotId>,
    /// In the order of the request.
    pub parts: Vec<PartReply>,
}

/// Why a request as a whole was refused; nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The body of a part is not rows.
    #[error("{0}")]
    Body(#[from] BodyError),
    /// No such catalog.
    #[error("Catalog \"{0}\" does not exist")]
    CatalogMissing(String),
    /// No such schema.
    #[error("Schema \"{0}\" does not exist")]
    SchemaMissing(String),
    /// No such table.
    #[error("Table \"{0}\" does not exist")]
    TableMissing(String),
    /// A catalog that only the server itself writes to.
    #[error("Catalog \"{0}\" is read-only")]
    ReadOnly(String),
    /// A table that is yet to be created, and rows without any field.
    #[error("cannot create table \"{0}\" from rows without any field")]
    NoColumns(String),
    /// A name that cannot be one.
    #[error("{0}")]
    Name(String),
    /// The storage engine refused.
    #[error("{0}")]
    Storage(#[from] Error),
    /// Our own fault.
    #[error("decoding failed")]
    Panicked,
}

/// Writes rows. Cheap to share; one per server.
#[derive(Debug)]
pub struct Ingest {
    engine: Engine,
    limits: Limits,
    /// Held from decoding to commit by requests that change columns.
    schema_changes: Mutex<()>,
}

/// A request ready to be committed.
struct Prepared {
    commit: Commit,
    changes_schema: bool,
    /// What it was decoded against: table and schema version of each part.
    basis: Vec<Option<Basis>>,
    replies: Vec<PartReply>,
}

type Basis = (TableId, Arc<TableSchema>);

impl Prepared {
    /// Whether a table declares a primary key, so that its rows may be refused by the commit.
    fn has_key(&self) -> bool {
        self.basis.iter().flatten().any(|(_, schema)| !schema.primary_key().is_empty())
    }

    /// Takes rows out of the one batch of a request of one part; `rows` are positions in it. `false`: there is no telling whose they are.
    fn refuse_duplicates(&mut self, request: &IngestRequest, rows: &[u32]) -> bool {
        let ([part], [reply]) = (request.parts.as_slice(), self.replies.as_mut_slice()) else { return false };
        let changes = &mut self.commit.changes;
        let Some((at, batch)) = changes.iter().enumerate().find_map(|(at, change)| match change {
            Change::Append(batch) => Some((at, batch)),
            _ => None,
        }) else {
            return false;
        };
        let rejected = reply.errors.rejected();
        let accepted: Vec<u32> = (0..reply.rows as u32).filter(|row| !rejected.contains(*row)).collect();
        let refused: Option<Vec<u32>> = rows.iter().map(|row| accepted.get(*row as usize).copied()).collect();
        let (Some(refused), Some(rest)) = (refused, without(batch, rows)) else { return false };
        reply
            .errors
            .refuse(ErrorCode::DuplicateKey, &refused, |_| "a row with this primary key is there already".to_owned());
        reply.accepted = rest.rows();
        if rest.rows() == 0 || part.bad_rows == BadRows::RefuseAll {
            changes.clear();
        } else {
            changes[at] = Change::Append(rest);
        }
        true
    }
}

/// A batch without some of its rows.
fn without(batch: &Batch, rows: &[u32]) -> Option<Batch> {
    let mut kept = vec![true; batch.rows()];
    for row in rows {
        *kept.get_mut(*row as usize)? = false;
    }
    let kept = BooleanArray::from(kept);
    let filtered = |(id, array): &(ColumnId, ArrayRef)| Some((*id, filter(array, &kept).ok()?));
    let columns = batch.columns().iter().map(filtered).collect::<Option<_>>()?;
    Batch::new(batch.table(), kept.true_count(), columns).ok()
}

impl Ingest {
    /// Writes to this engine within these limits.
    pub fn new(engine: Engine, limits: Limits) -> Self {
        Self { engine, limits, schema_changes: Mutex::new(()) }
    }

    /// Decodes, commits and reports.
    ///
    /// # Errors
    /// [`IngestError`]; nothing was written.
    pub async fn ingest(&self, request: &IngestRequest) -> Result<IngestReply, IngestError> {
        let mut alone: Option<MutexGuard<'_, ()>> = None;
        let mut prepared = self.prepare(request).await?;
        for _ in 0..ATTEMPTS_MAX {
            if prepared.commit.changes.is_empty() || request.dry_run {
                return Ok(IngestReply { snapshot: None, parts: prepared.replies });
            }
            if prepared.changes_schema && alone.is_none() {
                alone = Some(self.schema_changes.lock().await);
                if !self.is_current(request, &prepared) {
                    prepared = self.prepare(request).await?;
                    continue;
                }
            }
            let commit = std::mem::take(&mut prepared.commit);
            let keyed = prepared.has_key().then(|| commit.clone());
            match self.commit(commit).await {
                Ok(committed) => {
                    return Ok(IngestReply { snapshot: Some(committed.snapshot), parts: prepared.replies });
                }
                // Keys that are there already: those rows are refused, like any bad row.
                Err(error) if error.kind() == ErrorKind::Conflict && !error.rows().is_empty() => {
                    let Some(commit) = keyed else { return Err(error.into()) };
                    prepared.commit = commit;
                    if !prepared.refuse_duplicates(request, error.rows()) {
                        return Err(error.into());
                    }
                }
                // A table or schema changed, came or went since the snapshot that was decoded against.
                Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => {
                    tracing::debug!(%error, "decoding again");
                    prepared = self.prepare(request).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::new(ErrorKind::Conflict, "the table kept changing").into())
    }

    async fn prepare(&self, request: &IngestRequest) -> Result<Prepared, IngestError> {
        let bytes = request.parts.iter().map(|part| part.body.len()).sum();
        if bytes <= crate::limits::SMALL_BODY_BYTES {
            return prepare(&self.engine, request);
        }
        let (engine, request) = (self.engine.clone(), request.clone());
        let work = move || prepare(&engine, &request);
        self.limits.compute(bytes, work).await.ok_or(IngestError::Panicked)?
    }

    fn is_current(&self, request: &IngestRequest, prepared: &Prepared) -> bool {
        let snapshot = self.engine.snapshot();
        request.parts.iter().zip(&prepared.basis).all(|(part, basis)| {
            let now = find(&snapshot, &part.table).map(|table| (table.id, table.schema().version()));
            now == basis.as_ref().map(|(id, schema)| (*id, schema.version()))
        })
    }

    async fn commit(&self, commit: Commit) -> siltstone_storage::Result<Committed> {
        let (answer, answered) = oneshot::channel();
        // A client that went away is no reason to fail: the commit stands.
        self.engine.submit(commit, move |outcome| drop(answer.send(outcome)));
        answered.await.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Unavailable, "the storage engine stopped before it answered"))
        })
    }
}

fn find<'a>(snapshot: &'a Snapshot, name: &TableName) -> Option<&'a Arc<Table>> {
    snapshot.catalog().table(&name.database, &name.schema, &name.table)
}

fn prepare(engine: &Engine, request: &IngestRequest) -> Result<Prepared, IngestError> {
    let snapshot = engine.snapshot();
    let count = request.parts.len();
    let mut prepared = Prepared {
        commit: Commit { info: request.info.clone(), ..Commit::new(Vec::with_capacity(count)) },
        changes_schema: false,
        basis: Vec::with_capacity(count),
        replies: Vec::with_capacity(count),
    };
    let mut refused = false;
    for part in &request.parts {
        let reply = prepare_part(engine, &snapshot, part, &mut prepared)?;
        refused |= part.bad_rows == BadRows::RefuseAll && !reply.errors.is_empty();
        prepared.replies.push(reply);
    }
    if refused {
        prepared.commit.changes.clear();
    }
    Ok(prepared)
}

fn prepare_part(
    engine: &Engine,
    snapshot: &Snapshot,
    part: &Part,
    prepared: &mut Prepared,
) -> Result<PartReply, IngestError> {
    let table = find(snapshot, &part.table);
    if same_name(&part.table.database, system::DATABASE) {
        return Err(IngestError::ReadOnly(part.table.database.clone()));
    }
    if table.is_none()
        && let Err(missing) = check_missing(snapshot, part)
    {
        // A body that is not rows is told first: its sender cannot fix that by creating the table.
        siltstone_ingest::decode(&part.body, part.framing, None, &part.policy)?;
        return Err(missing);
    }
    let schema = table.map(|table| table.schema().as_ref());
    let decoded = siltstone_ingest::decode(&part.body, part.framing, schema, &part.policy)?;
    let accepted = decoded.rows - decoded.errors.rejected().len() as usize;
    prepared.basis.push(table.map(|table| (table.id, Arc::clone(table.schema()))));
    let written = match table {
        Some(table) => {
            add_changes(table.id, &decoded, prepared);
            Some((table.id, table.name.clone()))
        }
        None if accepted == 0 => None,
        None => Some((create(engine, snapshot, part, &decoded, prepared)?, part.table.clone())),
    };
    Ok(PartReply { table: written, rows: decoded.rows, accepted, errors: decoded.errors, warnings: decoded.warnings })
}

fn check_missing(snapshot: &Snapshot, part: &Part) -> Result<(), IngestError> {
    let name = &part.table;
    let database = snapshot.catalog().database(&name.database);
    let database = database.ok_or_else(|| IngestError::CatalogMissing(name.database.clone()))?;
    match part.missing {
        Missing::Create => {
            for text in [&name.schema, &name.table] {
                if text.is_empty() || text.contains('\0') || text.chars().count() > TableSchema::NAME_CHARS_MAX {
                    return Err(IngestError::Name(format!(
                        "a schema or table name has 1 to {} characters and no NUL",
                        TableSchema::NAME_CHARS_MAX
                    )));
                }
            }
            Ok(())
        }
        Missing::Refuse if database.schema(&name.schema).is_none() => {
            Err(IngestError::SchemaMissing(name.schema.clone()))
        }
        Missing::Refuse => Err(IngestError::TableMissing(format!("{}.{}", name.schema, name.table))),
    }
}

/// New columns and the accepted rows of an existing table. No accepted rows, no change: a rejected row never causes a column.
fn add_changes(id: TableId, decoded: &Decoded, prepared: &mut Prepared) {
    let Some(batch) = decoded.batch(id) else {
        return;
    };
    if let Some(schema) = &decoded.schema {
        prepared.changes_schema = true;
        prepared.commit.changes.push(Change::SetSchema { id, schema: Arc::new(schema.clone()) });
    }
    prepared.commit.changes.push(Change::Append(batch));
}

fn create(
    engine: &Engine,
    snapshot: &Snapshot,
    part: &Part,
    decoded: &Decoded,
    prepared: &mut Prepared,
) -> Result<TableId, IngestError> {
    let name = part.table.clone();
    let schema = decoded.schema.clone().ok_or_else(|| IngestError::NoColumns(name.to_string()))?;
    let changes = &mut prepared.commit.changes;
    let database = snapshot.catalog().database(&name.database);
    let planned = changes.iter().any(|change| {
        matches!(change, Change::CreateSchema { database, name: other }
            if same_name(database, &name.database) && same_name(other, &name.schema))
    });
    if !planned && database.is_none_or(|database| database.schema(&name.schema).is_none()) {
        changes.push(Change::CreateSchema { database: name.database.clone(), name: name.schema.clone() });
    }
    let id = engine.new_table_id();
    changes.push(Change::CreateTable { id, name, schema: Arc::new(schema) });
    changes.extend(decoded.batch(id).map(Change::Append));
    prepared.changes_schema = true;
    Ok(id)
}
