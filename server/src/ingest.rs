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

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use siltstone_ingest::{BodyError, ErrorVectors, Framing, Policy, Warning};
use siltstone_storage::{
    Change, Commit, CommitInfo, Committed, Engine, Error, ErrorKind, SnapshotId, TableId, TableName,
};
use tokio::sync::{Mutex, MutexGuard, oneshot};

mod keys;
mod partitions;
mod prepare;

pub use keys::{KeyError, RepeatedKey};

use crate::limits::Limits;
use prepare::{Prepared, find, prepare};

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

/// How rows enter a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// They are added.
    Append,
    /// Each takes the place of all rows that have its key. The table has to exist; two rows of the body with one key refuse the request.
    Merge {
        /// Columns that make up the key, at least one; by name.
        key: Vec<String>,
    },
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
    /// How they enter the table.
    pub entry: Entry,
    /// When the table is not there.
    pub missing: Missing,
    /// When some rows are bad.
    pub bad_rows: BadRows,
}

type MakeChange = dyn Fn(&[PartReply]) -> siltstone_storage::Result<Option<Change>> + Send + Sync;

/// One more change for the commit of a request, made of what becomes of its parts.
#[derive(Clone)]
pub struct Addition(Arc<MakeChange>);

impl Addition {
    /// May be made anew if the request has to be decoded again; the last one made is committed.
    pub fn new(
        make: impl Fn(&[PartReply]) -> siltstone_storage::Result<Option<Change>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(make))
    }
}

impl fmt::Debug for Addition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Addition")
    }
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
    /// What else the commit holds; if it is made, there is a commit even if no row is written.
    pub addition: Option<Addition>,
}

impl IngestRequest {
    /// Rows for one table.
    pub fn single(part: Part) -> Self {
        Self { parts: vec![part], dry_run: false, info: CommitInfo::default(), addition: None }
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
    /// The partitions of the accepted rows, by the table's layout; `None` if it is not partitioned.
    pub partitions: Option<Vec<String>>,
}

/// What became of a request.
#[derive(Debug)]
pub struct IngestReply {
    /// The commit; `None` if no row was written.
    pub snapshot: Option<SnapshotId>,
    /// The commit of the request's addition.
    pub added: Option<SnapshotId>,
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
    /// A view has that name.
    #[error("\"{0}\" is a view, not a table")]
    View(String),
    /// Rows cannot be merged by the key asked for.
    #[error("{0}")]
    Key(#[from] KeyError),
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
            let writes = !prepared.commit.changes.is_empty();
            let addition = match &request.addition {
                Some(Addition(make)) if !request.dry_run => make(&prepared.replies)?,
                _ => None,
            };
            let adds = addition.is_some();
            if request.dry_run || !(writes || adds) {
                return Ok(IngestReply { snapshot: None, added: None, parts: prepared.replies });
            }
            if prepared.changes_schema && alone.is_none() {
                alone = Some(self.schema_changes.lock().await);
                if !self.is_current(request, &prepared) {
                    prepared = self.prepare(request).await?;
                    continue;
                }
            }
            let mut commit = std::mem::take(&mut prepared.commit);
            let keyed = prepared.has_key().then(|| commit.clone());
            commit.changes.extend(addition);
            match self.commit(commit).await {
                Ok(committed) => {
                    let snapshot = Some(committed.snapshot);
                    let added = snapshot.filter(|_| adds);
                    return Ok(IngestReply { snapshot: snapshot.filter(|_| writes), added, parts: prepared.replies });
                }
                // Keys that are there already: those rows are refused, like any bad row.
                Err(error) if error.kind() == ErrorKind::Conflict && !error.rows().is_empty() => {
                    let Some(commit) = keyed else { return Err(error.into()) };
                    prepared.commit = commit;
                    if !prepared.refuse_duplicates(request, error.rows())? {
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
            now == basis.as_ref().map(|basis| (basis.table, basis.schema.version()))
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
