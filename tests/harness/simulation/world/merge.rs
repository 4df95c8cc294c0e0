//! Rows that take the place of others by key.
//!
//! Read as a specification: every row of the batch that counts is taken in turn, with all stored rows that have its key.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use siltstone_storage::ErrorKind;

use super::{Cell, Counts, Refusal, Row, Rows, Table, World};

/// What becomes of stored rows with the key of one in the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the engine's documentation says what each does")]
pub enum OnMatch {
    Replace,
    Update,
    Keep,
    Remove,
}

/// How rows are merged.
#[derive(Clone, Debug)]
pub struct How {
    /// Column ids of the key.
    pub key: Vec<u32>,
    /// What becomes of rows that match.
    pub on_match: OnMatch,
    /// Column ids that say which row is newer, the most significant first.
    pub newer_by: Vec<u32>,
}

/// The form under which keys are equal: all NaNs are one, and so are the zeros.
fn key_form(cell: &Cell) -> Cell {
    match cell {
        Cell::Real(bits) if f32::from_bits(*bits).is_nan() => Cell::Real(f32::NAN.to_bits()),
        Cell::Real(bits) if f32::from_bits(*bits) == 0.0 => Cell::Real(0),
        Cell::Double(bits) if f64::from_bits(*bits).is_nan() => Cell::Double(f64::NAN.to_bits()),
        Cell::Double(bits) if f64::from_bits(*bits) == 0.0 => Cell::Double(0),
        other => other.clone(),
    }
}

/// Order of two values of one column: NULL lowest, floats by IEEE total order.
fn order(a: &Cell, b: &Cell) -> Ordering {
    match (a, b) {
        (Cell::Real(a), Cell::Real(b)) => f32::from_bits(*a).total_cmp(&f32::from_bits(*b)),
        (Cell::Double(a), Cell::Double(b)) => f64::from_bits(*a).total_cmp(&f64::from_bits(*b)),
        _ => a.cmp(b),
    }
}

/// The key of a row; `None` if a part of it is NULL.
pub(super) fn key_of<'a>(value: impl Fn(u32) -> &'a Cell, key: &[u32]) -> Option<Vec<Cell>> {
    let cells: Vec<Cell> = key.iter().map(|column| key_form(value(*column))).collect();
    (!cells.contains(&Cell::Null)).then_some(cells)
}

/// Identities of the stored rows by key.
fn stored_by_key(table: &Table, key: &[u32]) -> BTreeMap<Vec<Cell>, BTreeSet<u64>> {
    let mut stored: BTreeMap<Vec<Cell>, BTreeSet<u64>> = BTreeMap::new();
    for (identity, row) in &table.rows {
        if let Some(key) = key_of(|column| table.value(row, column), key) {
            stored.entry(key).or_default().insert(*identity);
        }
    }
    stored
}

impl World {
    /// Whether these new rows keep the primary key unique and whole.
    pub(super) fn check_new_keys(&self, id: u64, rows: &[Row]) -> Result<(), Refusal> {
        let table = &self.tables[&id];
        if table.key.is_empty() || rows.is_empty() {
            return Ok(());
        }
        let keys: Vec<Option<Vec<Cell>>> =
            rows.iter().map(|row| key_of(|column| table.value(row, column), &table.key)).collect();
        let at = |wrong: &dyn Fn(usize) -> bool| -> Vec<u32> {
            (0..keys.len()).filter(|row| wrong(*row)).map(|row| row as u32).collect()
        };
        let nulls = at(&|row| keys[row].is_none());
        if !nulls.is_empty() {
            return Err(Refusal {
                kind: ErrorKind::Invalid,
                why: "NULL in the primary key".to_owned(),
                rows: Some(nulls),
            });
        }
        let stored = stored_by_key(table, &table.key);
        let taken = at(&|row| {
            keys[row].as_ref().is_some_and(|key| stored.contains_key(key)) || keys[..row].contains(&keys[row])
        });
        if taken.is_empty() {
            return Ok(());
        }
        Err(Refusal { kind: ErrorKind::Conflict, why: "primary key exists".to_owned(), rows: Some(taken) })
    }

    /// Merges rows whose columns fit.
    pub(super) fn merge(&mut self, id: u64, rows: &Rows, how: &How, counts: &mut Counts) -> Result<(), Refusal> {
        let batch: Vec<Row> = (0..rows.cells.len()).map(|at| rows.row(at)).collect();
        let keys: Vec<Option<Vec<Cell>>> = batch.iter().map(|row| key_of(|column| &row.0[&column], &how.key)).collect();
        let nulls: Vec<u32> = (0..keys.len()).filter(|row| keys[*row].is_none()).map(|row| row as u32).collect();
        if !nulls.is_empty() {
            return Err(Refusal { kind: ErrorKind::Invalid, why: "NULL in a key".to_owned(), rows: Some(nulls) });
        }
        let table = &self.tables[&id];
        let stored = stored_by_key(table, &how.key);
        let newer = |a: &Row, b: &dyn Fn(u32) -> Cell| {
            how.newer_by.iter().map(|column| order(&a.0[column], &b(*column))).find(|order| order.is_ne())
        };
        let (mut gone, mut new) = (Vec::new(), Vec::new());
        for (at, row) in batch.iter().enumerate() {
            if !counts_among(&batch, &keys, at, how) {
                counts.unchanged += 1;
                continue;
            }
            let key = keys[at].as_ref().expect("no key has a NULL");
            let matching: Vec<u64> = stored.get(key).into_iter().flatten().copied().collect();
            let strictly_newer = |identity: &u64| {
                let stored = &table.rows[identity];
                how.newer_by.is_empty()
                    || newer(row, &|column| table.value(stored, column).clone()) == Some(Ordering::Greater)
            };
            let before = (gone.len(), new.len());
            match how.on_match {
                _ if matching.is_empty() && how.on_match != OnMatch::Remove => {
                    counts.inserted += 1;
                    new.push((at as u32, row.clone()));
                }
                OnMatch::Keep => {}
                OnMatch::Remove | OnMatch::Replace if !matching.iter().all(strictly_newer) => {}
                OnMatch::Remove => {
                    counts.deleted += matching.len() as u64;
                    gone.extend(matching);
                }
                OnMatch::Replace => {
                    counts.updated += 1;
                    counts.deleted += matching.len() as u64 - 1;
                    gone.extend(matching);
                    new.push((at as u32, row.clone()));
                }
                OnMatch::Update => {
                    // A batch of keys alone says nothing new.
                    let says = rows.columns.iter().any(|(column, _)| !how.key.contains(column));
                    for identity in matching.iter().filter(|identity| says && strictly_newer(identity)) {
                        counts.updated += 1;
                        gone.push(*identity);
                        new.push((at as u32, patched(table, &table.rows[identity], row)));
                    }
                }
            }
            counts.unchanged += u64::from(before == (gone.len(), new.len()));
        }
        self.take_away(id, &gone)?;
        // Where the merge is by the primary key, it keeps that unique by itself.
        if !same_columns(&self.tables[&id].key, &how.key) {
            let rows: Vec<Row> = new.iter().map(|(_, row)| row.clone()).collect();
            self.check_new_keys(id, &rows).map_err(|refusal| told_of_batch(refusal, &new))?;
        }
        new.into_iter().try_for_each(|(_, row)| self.insert(id, row))
    }
}

/// A refusal of some of the rows that a merge came to, in terms of the batch that was sent.
fn told_of_batch(refusal: Refusal, new: &[(u32, Row)]) -> Refusal {
    // Of two rows with one key it is as right to blame the one as the other.
    let blamed = refusal.rows.filter(|_| refusal.kind == ErrorKind::Invalid);
    let rows = blamed.map(|rows| {
        let sent: BTreeSet<u32> = rows.into_iter().map(|row| new[row as usize].0).collect();
        sent.into_iter().collect()
    });
    Refusal { rows, ..refusal }
}

/// Whether a row of the batch counts: the greatest of those with its key, the last among equals.
fn counts_among(batch: &[Row], keys: &[Option<Vec<Cell>>], at: usize, how: &How) -> bool {
    let compare = |a: &Row, b: &Row| {
        let orders = how.newer_by.iter().map(|column| order(&a.0[column], &b.0[column]));
        orders.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    };
    let rivals = (0..batch.len()).filter(|other| *other != at && keys[*other] == keys[at]);
    rivals.into_iter().all(|other| match compare(&batch[at], &batch[other]) {
        Ordering::Greater => true,
        Ordering::Equal => at > other,
        Ordering::Less => false,
    })
}

/// A stored row with the new one's values over its own.
fn patched(table: &Table, stored: &Row, new: &Row) -> Row {
    let kept = table.columns.iter().map(|column| (column.id, table.value(stored, column.id).clone()));
    let mut cells: BTreeMap<u32, Cell> = kept.collect();
    cells.extend(new.0.iter().map(|(column, cell)| (*column, cell.clone())));
    Row(cells)
}

fn same_columns(a: &[u32], b: &[u32]) -> bool {
    a.iter().collect::<BTreeSet<_>>() == b.iter().collect::<BTreeSet<_>>()
}

impl World {
    /// Deletes rows that must all be there.
    pub(super) fn delete(&mut self, id: u64, identities: &[u64], counts: &mut Counts) -> Result<(), Refusal> {
        if !identities.iter().all(|identity| self.tables[&id].rows.contains_key(identity)) {
            return Err(Refusal::new(ErrorKind::Conflict, "a row is gone"));
        }
        counts.deleted += identities.len() as u64;
        self.take_away(id, identities)
    }

    fn take_away(&mut self, id: u64, identities: &[u64]) -> Result<(), Refusal> {
        let table = self.table_mut(id)?;
        identities.iter().for_each(|identity| drop(table.rows.remove(identity)));
        Ok(())
    }

    pub(super) fn insert(&mut self, id: u64, row: Row) -> Result<(), Refusal> {
        self.identities += 1;
        let identity = self.identities;
        self.table_mut(id)?.rows.insert(identity, Arc::new(row));
        Ok(())
    }
}
