//! From request bodies to one commit: decoding, and what has to be created or changed for the rows.
//!
//! **Invariants**
//! 1. Nothing is written here; what is prepared holds for the snapshot that it was decoded against.
//! 2. No accepted rows, no change: a rejected row never causes a column, nor a table.
//!
//! It does not know what is done about conflicts.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::compute::filter;
use siltstone_ingest::{Decoded, ErrorCode};
use siltstone_storage::{
    Batch, Change, ColumnId, Commit, Engine, Layout, Merge, OnMatch, Snapshot, Table, TableId, TableName, TableSchema,
    same_name,
};

use super::{BadRows, Entry, IngestError, IngestRequest, Missing, Part, PartReply, keys, partitions};
use crate::system;

/// A request ready to be committed.
pub(super) struct Prepared {
    pub(super) commit: Commit,
    pub(super) changes_schema: bool,
    /// What each part was decoded against; `None` where the table is yet to be created.
    pub(super) basis: Vec<Option<Basis>>,
    pub(super) replies: Vec<PartReply>,
}

/// A table as it was when rows were decoded for it.
pub(super) struct Basis {
    pub(super) table: TableId,
    pub(super) schema: Arc<TableSchema>,
    layout: Layout,
}

impl Basis {
    fn of(table: &Table) -> Self {
        Self { table: table.id, schema: Arc::clone(table.schema()), layout: table.layout.clone() }
    }
}

impl Prepared {
    /// Whether a table declares a primary key, so that its rows may be refused by the commit.
    pub(super) fn has_key(&self) -> bool {
        self.basis.iter().flatten().any(|basis| !basis.schema.primary_key().is_empty())
    }

    /// Takes rows out of the one batch of a request of one part; `rows` are positions in it. `false`: there is no telling whose they are.
    ///
    /// # Errors
    /// As [`partitions::labels`].
    pub(super) fn refuse_duplicates(&mut self, request: &IngestRequest, rows: &[u32]) -> Result<bool, IngestError> {
        let ([part], [reply]) = (request.parts.as_slice(), self.replies.as_mut_slice()) else { return Ok(false) };
        let changes = &mut self.commit.changes;
        let batch = changes.iter_mut().find_map(|change| match change {
            Change::Append(batch) | Change::Merge(Merge { batch, .. }) => Some(batch),
            _ => None,
        });
        let Some(batch) = batch else { return Ok(false) };
        let rejected = reply.errors.rejected();
        let accepted: Vec<u32> = (0..reply.rows as u32).filter(|row| !rejected.contains(*row)).collect();
        let refused: Option<Vec<u32>> = rows.iter().map(|row| accepted.get(*row as usize).copied()).collect();
        let (Some(refused), Some(rest)) = (refused, without(batch, rows)) else { return Ok(false) };
        reply
            .errors
            .refuse(ErrorCode::DuplicateKey, &refused, |_| "a row with this primary key is there already".to_owned());
        reply.accepted = rest.rows();
        if let [Some(basis)] = self.basis.as_slice() {
            reply.partitions = partitions::labels(&basis.layout, &basis.schema, &rest)?;
        }
        if rest.rows() == 0 || part.bad_rows == BadRows::RefuseAll {
            changes.clear();
        } else {
            *batch = rest;
        }
        Ok(true)
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

pub(super) fn find<'a>(snapshot: &'a Snapshot, name: &TableName) -> Option<&'a Arc<Table>> {
    snapshot.catalog().table(&name.database, &name.schema, &name.table)
}

pub(super) fn prepare(engine: &Engine, request: &IngestRequest) -> Result<Prepared, IngestError> {
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
    let (decoded, key) = match (&part.entry, schema) {
        (Entry::Merge { key }, Some(schema)) => {
            let (decoded, key) = keys::decode(engine, schema, key, part)?;
            (decoded, Some(key))
        }
        _ => (siltstone_ingest::decode(&part.body, part.framing, schema, &part.policy)?, None),
    };
    let accepted = decoded.rows - decoded.errors.rejected().len() as usize;
    prepared.basis.push(table.map(|table| Basis::of(table)));
    let (written, partitions) = match table {
        Some(table) => {
            let partitions = add_changes(table, &decoded, key, prepared)?;
            (Some((table.id, table.name.clone())), partitions)
        }
        None if accepted == 0 => (None, None),
        None => (Some((create(engine, snapshot, part, &decoded, prepared)?, part.table.clone())), None),
    };
    Ok(PartReply {
        table: written,
        rows: decoded.rows,
        accepted,
        errors: decoded.errors,
        warnings: decoded.warnings,
        partitions,
    })
}

fn check_missing(snapshot: &Snapshot, part: &Part) -> Result<(), IngestError> {
    let name = &part.table;
    let database = snapshot.catalog().database(&name.database);
    let database = database.ok_or_else(|| IngestError::CatalogMissing(name.database.clone()))?;
    if database.schema(&name.schema).is_some_and(|schema| schema.view(&name.table).is_some()) {
        return Err(IngestError::View(format!("{}.{}", name.schema, name.table)));
    }
    match part.missing {
        Missing::Create if part.entry == Entry::Append => {
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
        _ if database.schema(&name.schema).is_none() => Err(IngestError::SchemaMissing(name.schema.clone())),
        _ => Err(IngestError::TableMissing(format!("{}.{}", name.schema, name.table))),
    }
}

/// New columns and the accepted rows of an existing table, merged if there is a key; gives the rows' partitions.
fn add_changes(
    table: &Table,
    decoded: &Decoded,
    key: Option<Vec<ColumnId>>,
    prepared: &mut Prepared,
) -> siltstone_storage::Result<Option<Vec<String>>> {
    let id = table.id;
    let Some(batch) = decoded.batch(id) else {
        return Ok(None);
    };
    let partitions = partitions::labels(&table.layout, table.schema(), &batch)?;
    if let Some(schema) = &decoded.schema {
        prepared.changes_schema = true;
        prepared.commit.changes.push(Change::SetSchema { id, schema: Arc::new(schema.clone()) });
    }
    prepared.commit.changes.push(match key {
        None => Change::Append(batch),
        Some(key) => Change::Merge(Merge { batch, key, on_match: OnMatch::Replace, newer_by: Vec::new() }),
    });
    Ok(partitions)
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
