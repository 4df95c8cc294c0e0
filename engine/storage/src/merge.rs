//! Resolves a merge: which stored rows go, and which rows are appended.
//!
//! **Invariants**
//! 1. Pure but for reading: nothing changes before the whole commit is known to succeed.
//! 2. Of a batch's rows with one key exactly one counts, so that a key is never inserted twice by one merge.
//!
//! It does not know how rows are found by key, nor how the outcome is logged.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use arrow_array::{ArrayRef, UInt32Array};
use arrow_ord::ord::{DynComparator, make_comparator};
use arrow_schema::SortOptions;

use crate::columns::default_array;
use crate::commit::{Batch, Merge, OnMatch, RowCounts};
use crate::deletions::Deletions;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::ColumnId;
use crate::key_index::{Keys, duplicates};
use crate::places::{Place, read_places};
use crate::schema::{Column, TableSchema};
use crate::state::TableRows;

/// A stored row that has the key of a row of the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Match {
    /// In the batch.
    pub(crate) row: u32,
    pub(crate) place: Place,
}

/// What a merge comes to.
#[derive(Debug)]
pub(crate) struct Resolution {
    /// What is appended; `None`: the batch as it was given.
    pub(crate) instead: Option<Batch>,
    /// For each row of `instead` the row of the batch that it came from.
    pub(crate) sent: Vec<u32>,
    pub(crate) deletions: Deletions,
    pub(crate) counts: RowCounts,
}

/// Resolves a merge whose columns fit the table. `keys` are those of its batch; `find` returns the live rows with the keys of the rows asked
/// for, sorted.
///
/// # Errors
/// `Invalid` about rows without a key; those of reading.
pub(crate) fn resolve(
    merge: &Merge,
    schema: &TableSchema,
    rows: &TableRows,
    keys: &Keys,
    find: impl FnOnce(&[u32]) -> Result<Vec<Match>>,
) -> Result<Resolution> {
    check_keys(keys, None)?;
    let counting = counting_rows(merge, keys)?;
    let matches = find(&counting)?;
    let stale = stale_matches(merge, schema, rows, &matches)?;
    match merge.on_match {
        OnMatch::Update => update(merge, schema, rows, &counting, &matches, &stale),
        OnMatch::Keep => keep(merge, &counting, &matches),
        OnMatch::Replace => replace(merge, rows, &counting, &matches, &outdone_rows(&matches, &stale)),
        OnMatch::Remove => remove(merge, rows, &matches, &outdone_rows(&matches, &stale)),
    }
}

/// Rows that are not strictly newer than one of their matches: they change nothing at all. Ascending.
fn outdone_rows(matches: &[Match], stale: &[bool]) -> Vec<u32> {
    matches.iter().zip(stale).filter(|(_, stale)| **stale).map(|(found, _)| found.row).collect()
}

fn has_match(matches: &[Match], row: u32) -> bool {
    matches.binary_search_by_key(&row, |found| found.row).is_ok()
}

fn without(matches: &[Match], outdone: &[u32]) -> Vec<Match> {
    matches.iter().copied().filter(|found| outdone.binary_search(&found.row).is_err()).collect()
}

/// What is inserted of a batch: all of it as it is, or these rows.
fn inserting(batch: &Batch, rows: &[u32]) -> Result<Option<Batch>> {
    if rows.len() == batch.rows() {
        return Ok(None);
    }
    rows_of(batch, rows).map(Some)
}

fn keep(merge: &Merge, counting: &[u32], matches: &[Match]) -> Result<Resolution> {
    let inserted: Vec<u32> = counting.iter().copied().filter(|row| !has_match(matches, *row)).collect();
    let counts = RowCounts {
        inserted: inserted.len() as u64,
        unchanged: (merge.batch.rows() - inserted.len()) as u64,
        ..RowCounts::default()
    };
    let instead = inserting(&merge.batch, &inserted)?;
    Ok(Resolution { instead, sent: inserted, deletions: Deletions::default(), counts })
}

fn replace(
    merge: &Merge,
    rows: &TableRows,
    counting: &[u32],
    matches: &[Match],
    outdone: &[u32],
) -> Result<Resolution> {
    let applied: Vec<u32> = counting.iter().copied().filter(|row| outdone.binary_search(row).is_err()).collect();
    let gone = without(matches, outdone);
    let updated = distinct_rows(&gone);
    let counts = RowCounts {
        inserted: (applied.len() - updated) as u64,
        updated: updated as u64,
        deleted: (gone.len() - updated) as u64,
        unchanged: (merge.batch.rows() - applied.len()) as u64,
    };
    let deletions = deletions(rows, gone.iter().map(|found| found.place));
    Ok(Resolution { instead: inserting(&merge.batch, &applied)?, sent: applied, deletions, counts })
}

fn remove(merge: &Merge, rows: &TableRows, matches: &[Match], outdone: &[u32]) -> Result<Resolution> {
    let gone = without(matches, outdone);
    let counts = RowCounts {
        deleted: gone.len() as u64,
        unchanged: (merge.batch.rows() - distinct_rows(&gone)) as u64,
        ..RowCounts::default()
    };
    let deletions = deletions(rows, gone.iter().map(|found| found.place));
    Ok(Resolution { instead: inserting(&merge.batch, &[])?, sent: Vec::new(), deletions, counts })
}

/// `sent`: for each row the one of the sender's batch that it came from, if they are not the same.
///
/// # Errors
/// `Invalid` about the rows that have a NULL in their key.
pub(crate) fn check_keys(keys: &Keys, sent: Option<&[u32]>) -> Result<()> {
    let Some(nulls) = keys.nulls() else { return Ok(()) };
    let rows = (0..nulls.len()).filter(|row| nulls.is_null(*row)).map(|row| row as u32).collect();
    Err(about_rows(ErrorKind::Invalid, "a key column is NULL", rows, sent))
}

/// An error about some rows, in terms of the sender's batch.
pub(crate) fn about_rows(kind: ErrorKind, what: &str, rows: Vec<u32>, sent: Option<&[u32]>) -> Error {
    let mut rows: Vec<u32> = match sent {
        Some(sent) => rows.into_iter().map(|row| sent[row as usize]).collect(),
        None => rows,
    };
    rows.sort_unstable();
    rows.dedup();
    let first = rows.first().copied().unwrap_or(0);
    Error::new(kind, format!("{what}: rows={}, first={first}", rows.len())).about_rows(rows)
}

/// Positions of the rows that count: of those with one key the greatest by `newer_by`, the last among equals.
fn counting_rows(merge: &Merge, keys: &Keys) -> Result<Vec<u32>> {
    let rows = 0..merge.batch.rows() as u32;
    let repeated = duplicates(keys);
    if repeated.is_empty() {
        return Ok(rows.collect());
    }
    let order = match merge.newer_by.is_empty() {
        true => None,
        false => {
            let columns = columns_of(&merge.batch, &merge.newer_by)?;
            Some(Order::new(&columns, &columns)?)
        }
    };
    let mut best: BTreeMap<u32, u32> = BTreeMap::new();
    let mut losers = Vec::with_capacity(repeated.len());
    for (first, row) in repeated {
        let best = best.entry(first).or_insert(first);
        let wins = order.as_ref().is_none_or(|order| order.compare(row as usize, *best as usize).is_ge());
        losers.push(if wins { std::mem::replace(best, row) } else { row });
    }
    losers.sort_unstable();
    Ok(rows.filter(|row| losers.binary_search(row).is_err()).collect())
}

/// For each match, whether the batch's row is not strictly newer than the stored one.
fn stale_matches(merge: &Merge, schema: &TableSchema, rows: &TableRows, matches: &[Match]) -> Result<Vec<bool>> {
    if merge.newer_by.is_empty() || matches.is_empty() {
        return Ok(vec![false; matches.len()]);
    }
    let places: Vec<Place> = matches.iter().map(|found| found.place).collect();
    let stored =
        merge.newer_by.iter().map(|id| read_places(rows, &places, column(schema, *id)?)).collect::<Result<Vec<_>>>()?;
    let order = Order::new(&columns_of(&merge.batch, &merge.newer_by)?, &stored)?;
    let stale = matches.iter().enumerate().map(|(i, found)| match order.compare(found.row as usize, i) {
        Ordering::Less => true,
        Ordering::Equal => !yields_to_equals(rows, found.place),
        Ordering::Greater => false,
    });
    Ok(stale.collect())
}

/// Whether a stored row came with an earlier piece of the same rows.
fn yields_to_equals(rows: &TableRows, place: Place) -> bool {
    rows.overlay.as_ref().is_some_and(|overlay| {
        overlay.own_yield
            && match place {
                Place::Segment(at, _) => overlay.own_segments.contains(&rows.segments[at as usize].entry.id),
                Place::Memory(row) => row >= overlay.first_own_row,
            }
    })
}

/// Every match that is not stale gets the batch's columns and keeps its other ones; rows without a match are inserted.
fn update(
    merge: &Merge,
    schema: &TableSchema,
    rows: &TableRows,
    counting: &[u32],
    matches: &[Match],
    stale: &[bool],
) -> Result<Resolution> {
    let only_keys = merge.batch.columns().iter().all(|(id, _)| merge.key.contains(id));
    let changed: Vec<Match> =
        matches.iter().zip(stale).filter(|(_, stale)| !**stale && !only_keys).map(|(found, _)| *found).collect();
    let inserted: Vec<u32> =
        counting.iter().copied().filter(|row| matches.binary_search_by_key(row, |found| found.row).is_err()).collect();
    let counts = RowCounts {
        inserted: inserted.len() as u64,
        updated: changed.len() as u64,
        deleted: 0,
        unchanged: (merge.batch.rows() - inserted.len() - distinct_rows(&changed)) as u64,
    };
    let places: Vec<Place> = changed.iter().map(|found| found.place).collect();
    let from: Vec<u32> = inserted.iter().copied().chain(changed.iter().map(|found| found.row)).collect();
    let instead = match places.is_empty() && from.len() == merge.batch.rows() {
        true => None,
        false => Some(patched(&merge.batch, schema, rows, &from, inserted.len(), &places)?),
    };
    Ok(Resolution { instead, sent: from, deletions: deletions(rows, places.into_iter()), counts })
}

/// The batch's rows `from`, of which all but the first `inserted` take the columns that the batch lacks from the stored rows in `places`.
fn patched(
    batch: &Batch,
    schema: &TableSchema,
    rows: &TableRows,
    from: &[u32],
    inserted: usize,
    places: &[Place],
) -> Result<Batch> {
    let given = rows_of(batch, from)?;
    let mut columns = given.columns().to_vec();
    for column in schema.columns().iter().filter(|column| batch.column(column.id).is_none()) {
        if places.is_empty() {
            break;
        }
        let fresh = default_array(column, inserted)?;
        let stored = read_places(rows, places, column)?;
        columns.push((column.id, crate::concat::concat(&column.logical_type, &[fresh, stored])?));
    }
    Batch::new(batch.table(), from.len(), columns)
}

fn deletions(rows: &TableRows, places: impl Iterator<Item = Place>) -> Deletions {
    let mut deletions = Deletions::default();
    for place in places {
        match place {
            Place::Segment(segment, position) => deletions.push_segment(&rows.segments[segment as usize], position),
            Place::Memory(row) => deletions.push_memory(row),
        }
    }
    deletions.sorted()
}

fn distinct_rows(matches: &[Match]) -> usize {
    matches.chunk_by(|a, b| a.row == b.row).count()
}

fn rows_of(batch: &Batch, rows: &[u32]) -> Result<Batch> {
    let places = UInt32Array::from(rows.to_vec());
    let columns = batch.columns().iter().map(|(id, array)| {
        let taken = arrow_select::take::take(array, &places, None);
        taken
            .map(|array| (*id, array))
            .map_err(|error| Error::with_source(ErrorKind::Internal, "rows of a batch cannot be picked", error))
    });
    Batch::new(batch.table(), rows.len(), columns.collect::<Result<_>>()?)
}

fn columns_of(batch: &Batch, ids: &[ColumnId]) -> Result<Vec<ArrayRef>> {
    let column = |id: &ColumnId| batch.column(*id).cloned();
    ids.iter()
        .map(column)
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| Error::new(ErrorKind::Internal, "a checked merge has its columns"))
}

fn column(schema: &TableSchema, id: ColumnId) -> Result<&Column> {
    schema.column_by_id(id).ok_or_else(|| Error::new(ErrorKind::NotFound, format!("column does not exist: id={id}")))
}

/// Order of rows by several columns, the most significant first, NULL lowest.
struct Order(Vec<DynComparator>);

impl Order {
    fn new(left: &[ArrayRef], right: &[ArrayRef]) -> Result<Self> {
        let ascending = SortOptions { descending: false, nulls_first: true };
        let comparators = left.iter().zip(right).map(|(left, right)| make_comparator(left, right, ascending));
        comparators
            .collect::<Result<Vec<_>, _>>()
            .map(Self)
            .map_err(|error| Error::with_source(ErrorKind::Invalid, "rows cannot be ordered by these columns", error))
    }

    fn compare(&self, left: usize, right: usize) -> Ordering {
        self.0.iter().map(|compare| compare(left, right)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }
}
