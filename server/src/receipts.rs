//! Requests that carry a key of their sender's so that they take effect once: what was answered to them is kept for a day.
//!
//! A receipt is a row of `system.main.receipts`, written in the same commit as the rows it is about: either both are there after a crash or
//! neither is. `docs/decisions/0010-idempotency.md` has the reasons.
//!
//! **Invariants**
//! 1. A key whose request was acknowledged is known, in this run and after any restart, for [`KEPT_MS`].
//! 2. Of requests with one key one runs at a time ([`Receipts::turn`]).
//! 3. In memory are hashes of the keys only; the answers are on disk.
//!
//! It does not know what an answer looks like, nor which requests are the same.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array, AsArray, BooleanArray, StringViewArray};
use http::{HeaderMap, HeaderName};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use siltstone_storage::{Change, ChangeKind, Commit, Engine, Error, ErrorKind, Result, Snapshot, SnapshotId, TableId};
use tokio::sync::OwnedMutexGuard;

use crate::{ids, system};

/// How long a key is known.
pub const KEPT_MS: u64 = 24 * 60 * 60 * 1000;

/// How often receipts that are older are deleted.
const SWEEP_EVERY_MS: u64 = 60 * 60 * 1000;

/// Longest key.
const KEY_BYTES_MAX: usize = 255;

/// In the answer to a request whose key was known.
pub const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// A sender's key, as a hash: keys of different senders differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReceiptKey([u8; 32]);

/// An `Idempotency-Key` that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Idempotency-Key must have 1 to {KEY_BYTES_MAX} printable characters")]
pub struct InvalidKey;

impl ReceiptKey {
    /// The key of this sender.
    pub fn new(sender: &str, key: &[u8]) -> Self {
        Self(digest(&[sender.as_bytes(), key]))
    }

    /// The one in the headers of a sender's request.
    ///
    /// # Errors
    /// [`InvalidKey`].
    pub fn sent(headers: &HeaderMap, sender: &str) -> std::result::Result<Option<Self>, InvalidKey> {
        let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
        let bytes = value.as_bytes();
        if bytes.is_empty() || bytes.len() > KEY_BYTES_MAX || bytes.iter().any(u8::is_ascii_control) {
            return Err(InvalidKey);
        }
        Ok(Some(Self::new(sender, bytes)))
    }

    fn text(&self) -> String {
        system::to_hex(&self.0)
    }
}

/// Which request it was: a hash of all that decides what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Of these parts, in this order.
    pub fn new(parts: &[&[u8]]) -> Self {
        Self(system::to_hex(&digest(parts)))
    }
}

fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// What was answered to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Which one.
    pub fingerprint: Fingerprint,
    /// The answer's text up to where the snapshot of the request's commit stands, and from there on.
    pub answer: [String; 2],
    /// That snapshot; `None` if it is not known any more.
    pub snapshot: Option<SnapshotId>,
}

/// What is known of a key without reading.
#[derive(Clone, Copy, Debug)]
struct Known {
    made_ms: u64,
    snapshot: Option<SnapshotId>,
}

type Turns = HashMap<ReceiptKey, Arc<tokio::sync::Mutex<()>>>;

/// All receipts. One per server.
#[derive(Debug)]
pub struct Receipts {
    engine: Engine,
    /// Keys held at once; past it no request with a new one is taken.
    keys_max: usize,
    /// By the first half of the key.
    known: Mutex<HashMap<u128, Known>>,
    turns: Mutex<Turns>,
    swept_ms: AtomicU64,
}

/// A request's turn: no other with its key runs meanwhile.
#[derive(Debug)]
pub struct Turn<'a> {
    receipts: &'a Receipts,
    key: ReceiptKey,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut turns = self.receipts.turns.lock();
        self.guard = None;
        // Nobody else holds or awaits it: only the list has it.
        if turns.get(&self.key).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            turns.remove(&self.key);
        }
    }
}

impl Receipts {
    /// Reads the keys of an engine's receipts. Blocks.
    ///
    /// # Errors
    /// `NotFound` before [`system::bootstrap`]; those of reading.
    pub fn open(engine: Engine, keys_max: usize) -> Result<Self> {
        let known = load(&engine, ids::now_ms())?;
        Ok(Self {
            engine,
            keys_max,
            known: Mutex::new(known),
            turns: Mutex::default(),
            swept_ms: AtomicU64::new(ids::now_ms()),
        })
    }

    /// Waits until no other request with this key runs.
    pub async fn turn(&self, key: ReceiptKey) -> Turn<'_> {
        let turn = Arc::clone(self.turns.lock().entry(key).or_default());
        Turn { receipts: self, key, guard: Some(turn.lock_owned().await) }
    }

    /// The receipt of a key. To be asked in the key's turn.
    ///
    /// # Errors
    /// `Exhausted` if there is none and no room for one; those of reading.
    pub async fn find(&self, key: ReceiptKey) -> Result<Option<Receipt>> {
        let now = ids::now_ms();
        {
            let known = self.known.lock();
            match known.get(&half(&key)) {
                Some(found) if now.saturating_sub(found.made_ms) < KEPT_MS => {}
                _ if known.len() >= self.keys_max => {
                    return Err(Error::new(
                        ErrorKind::Exhausted,
                        format!("{} idempotency keys are held already: they are kept for a day", known.len()),
                    ));
                }
                _ => return Ok(None),
            }
        }
        let (engine, known) = (self.engine.clone(), self.known.lock().get(&half(&key)).copied());
        let read = tokio::task::spawn_blocking(move || read(&engine, &key, known));
        read.await.map_err(|error| Error::new(ErrorKind::Internal, format!("reading a receipt failed: {error}")))?
    }

    /// The row that keeps a receipt, to be part of a commit.
    ///
    /// # Errors
    /// `NotFound` if the table is not there.
    pub fn change(&self, key: ReceiptKey, fingerprint: &Fingerprint, answer: &[String; 2]) -> Result<Change> {
        let (key, made_ms) = (key.text(), ids::now_ms().to_string());
        let row = [Some(&*key), Some(&*fingerprint.0), Some(&*made_ms), Some(&*answer[0]), Some(&*answer[1])];
        system::appended(&self.engine, system::RECEIPTS, &[&row])
    }

    /// Takes in that a receipt was written, and deletes old ones from time to time.
    pub fn written(self: &Arc<Self>, key: ReceiptKey, snapshot: SnapshotId) {
        let now = ids::now_ms();
        self.known.lock().insert(half(&key), Known { made_ms: now, snapshot: Some(snapshot) });
        let last = self.swept_ms.load(Ordering::Relaxed);
        let is_due = now.saturating_sub(last) >= SWEEP_EVERY_MS;
        if is_due && self.swept_ms.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let this = Arc::clone(self);
            tokio::task::spawn_blocking(move || match this.sweep(now) {
                Ok(rows) => tracing::debug!(rows, "old receipts deleted"),
                Err(error) => tracing::warn!(%error, "old receipts could not be deleted"),
            });
        }
    }

    /// Deletes receipts that are older than they need to be. Blocks.
    ///
    /// # Errors
    /// Those of reading and of the commit.
    pub fn sweep(&self, now_ms: u64) -> Result<u64> {
        let snapshot = self.engine.snapshot();
        let (id, columns) = table(&snapshot)?;
        let mut old = siltstone_storage::RowSet::empty(id);
        let units = snapshot.table(id).ok_or_else(missing)?;
        for unit in units.units() {
            let read = unit.read(&columns[2..3])?;
            let made = read[0].as_string_view();
            let is_old = |row| now_ms.saturating_sub(number(made, row)) >= KEPT_MS;
            let selected: BooleanArray = (0..unit.rows()).map(|row| Some(is_old(row))).collect();
            if selected.true_count() > 0 {
                old.extend(unit.row_set(&selected));
            }
        }
        let rows = old.rows();
        if rows > 0 {
            self.engine.write(Commit::new(vec![Change::Delete(old)]))?;
        }
        self.known.lock().retain(|_, known| now_ms.saturating_sub(known.made_ms) < KEPT_MS);
        Ok(rows)
    }
}

fn half(key: &ReceiptKey) -> u128 {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&key.0[..16]);
    u128::from_be_bytes(bytes)
}

fn half_of_text(text: &str) -> Option<u128> {
    u128::from_str_radix(text.get(..32)?, 16).ok()
}

fn missing() -> Error {
    Error::new(ErrorKind::NotFound, "the table of receipts does not exist")
}

/// The table and its columns: key, fingerprint, time, answer before and after the snapshot.
fn table(snapshot: &Snapshot) -> Result<(TableId, Vec<siltstone_storage::ColumnId>)> {
    let found = snapshot.catalog().table(system::DATABASE, system::SCHEMA, system::RECEIPTS).ok_or_else(missing)?;
    Ok((found.id, found.schema().columns().iter().map(|column| column.id).collect()))
}

/// A number that was written as text; one that cannot be read is long ago.
fn number(texts: &StringViewArray, row: usize) -> u64 {
    if texts.is_valid(row) { texts.value(row).parse().unwrap_or(0) } else { 0 }
}

fn load(engine: &Engine, now_ms: u64) -> Result<HashMap<u128, Known>> {
    let snapshot = engine.snapshot();
    let (id, columns) = table(&snapshot)?;
    let mut known = HashMap::new();
    for unit in snapshot.table(id).ok_or_else(missing)?.units() {
        let read = unit.read(&[columns[0], columns[2]])?;
        let (keys, made) = (read[0].as_string_view(), read[1].as_string_view());
        for row in 0..unit.rows() {
            let made_ms = number(made, row);
            if let Some(half) = half_of_text(keys.value(row)).filter(|_| now_ms.saturating_sub(made_ms) < KEPT_MS) {
                known.insert(half, Known { made_ms, snapshot: None });
            }
        }
    }
    if !known.is_empty() {
        note_snapshots(&snapshot, id, columns[0], &mut known)?;
    }
    Ok(known)
}

/// Adds which commit wrote each receipt, as far as history reaches.
fn note_snapshots(
    snapshot: &Snapshot,
    id: TableId,
    key: siltstone_storage::ColumnId,
    known: &mut HashMap<u128, Known>,
) -> Result<()> {
    let table = snapshot.catalog().table_by_id(id).ok_or_else(missing)?;
    let (mut before, mut there) = (snapshot.horizon().0, snapshot.id().0);
    if table.schema_at(snapshot.horizon()).is_some() {
        there = before;
    }
    // The first snapshot that has the table: everything in it came after.
    while before + 1 < there {
        let middle = before + (there - before) / 2;
        match table.schema_at(SnapshotId(middle)) {
            Some(_) => there = middle,
            None => before = middle,
        }
    }
    for rows in snapshot.table_changes(id, SnapshotId(there), snapshot.id(), &[key])? {
        let keys = rows.columns[0].as_string_view();
        let inserted =
            rows.snapshots.iter().zip(&rows.kinds).enumerate().filter(|(_, (_, kind))| **kind == ChangeKind::Insert);
        for (row, (at, _)) in inserted {
            if let Some(found) = half_of_text(keys.value(row)).and_then(|half| known.get_mut(&half)) {
                found.snapshot = Some(found.snapshot.map_or(*at, |known| known.max(*at)));
            }
        }
    }
    Ok(())
}

fn read(engine: &Engine, key: &ReceiptKey, known: Option<Known>) -> Result<Option<Receipt>> {
    let snapshot = engine.snapshot();
    let (id, columns) = table(&snapshot)?;
    let text = key.text();
    let units = snapshot.table(id).ok_or_else(missing)?;
    // The newest first: a key that was used again after a day has two rows for a while.
    for unit in units.units().iter().rev() {
        let keys = unit.read(&columns[..1])?;
        let keys = keys[0].as_string_view();
        let Some(row) = (0..unit.rows()).rev().find(|row| keys.is_valid(*row) && keys.value(*row) == text) else {
            continue;
        };
        let rest = unit.read(&[columns[1], columns[3], columns[4]])?;
        let value = |column: usize| rest[column].as_string_view().value(row).to_owned();
        return Ok(Some(Receipt {
            fingerprint: Fingerprint(value(0)),
            answer: [value(1), value(2)],
            snapshot: known.and_then(|known| known.snapshot),
        }));
    }
    Ok(None)
}
