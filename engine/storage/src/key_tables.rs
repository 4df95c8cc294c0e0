//! Finds the live rows of a table that have given keys, in its segments and in memory.
//!
//! A table is indexed by the columns that its merges ask for, its primary key among them. Rows in memory are in a hash index that the committer
//! keeps; each segment has an index file per key, made at flush and compaction, and made up for when it is missing or damaged.
//!
//! **Invariants**
//! 1. Every row in memory with a key is in the memory index of each key its table is indexed by.
//! 2. A key's columns are sorted by id, so that their order in a merge does not matter.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::ArrayRef;
use parking_lot::Mutex;

use crate::array_codec::encode_value;
use crate::columns::default_array;
use crate::commit::Batch;
use crate::error::{Error, ErrorKind, Result};
use crate::frame::PutBytes;
use crate::ids::{ColumnId, TableId};
use crate::io::Disk;
use crate::key_index::{KeyHasher, Keys, MemoryKeyIndex, SegmentKeyIndex, Subject};
use crate::manifest::SEGMENT_FOLDER;
use crate::merge::Match;
use crate::places::Place;
use crate::schema::{Column, TableSchema};
use crate::state::{LiveSegment, TableRows};

/// Columns of a key, by id.
pub(crate) type KeyColumns = Arc<[ColumnId]>;

/// What makes keys of a table's rows.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) columns: KeyColumns,
    hasher: KeyHasher,
    /// What rows hold that do not say, column by column, as bytes: NaN equals itself there.
    defaults: Arc<[Vec<u8>]>,
}

impl Key {
    /// # Errors
    /// `NotFound` for a column the table does not have, `Unsupported` for one of a type that is no key.
    pub(crate) fn new(schema: &TableSchema, columns: &[ColumnId], secret: [u8; 16]) -> Result<Self> {
        let mut columns = columns.to_vec();
        columns.sort_unstable();
        let described = columns
            .iter()
            .map(|id| schema.column_by_id(*id))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("key columns do not exist: ids={columns:?}")))?;
        let types: Vec<_> = described.iter().map(|column| column.logical_type.clone()).collect();
        let default = |column: &&Column| {
            let mut bytes = Vec::new();
            encode_value(column.default.as_ref(), &mut bytes);
            bytes
        };
        let defaults = described.iter().map(default).collect();
        Ok(Self { hasher: KeyHasher::new(&types, secret)?, columns: columns.into(), defaults })
    }

    /// The keys of `rows` rows, of which `column` gives the columns that are stored.
    pub(crate) fn keys(
        &self,
        schema: &TableSchema,
        rows: usize,
        mut column: impl FnMut(ColumnId) -> Result<Option<ArrayRef>>,
    ) -> Result<Keys> {
        let arrays = self.columns.iter().map(|id| match (column(*id)?, schema.column_by_id(*id)) {
            (Some(array), _) => Ok(array),
            (None, Some(column)) => default_array(column, rows),
            (None, None) => Err(Error::new(ErrorKind::NotFound, format!("key column does not exist: id={id}"))),
        });
        self.hasher.hash(&arrays.collect::<Result<Vec<_>>>()?)
    }

    /// Whether a table still has the columns, in types that make the same keys and with the same defaults.
    fn fits(&self, schema: &TableSchema, secret: [u8; 16]) -> bool {
        Self::new(schema, &self.columns, secret)
            .is_ok_and(|key| key.hasher.layout() == self.hasher.layout() && key.defaults == self.defaults)
    }

    fn subject(&self, segment: &LiveSegment) -> Subject {
        let entry = &segment.entry;
        let mut absent = Vec::new();
        for (id, default) in self.columns.iter().zip(&*self.defaults) {
            if segment.reader.column_type(*id).is_none() {
                absent.put_u32(id.0);
                absent.put_sized(default);
            }
        }
        Subject {
            absent,
            segment: entry.id,
            segment_rows: entry.rows as u32,
            segment_checksum: entry.checksum,
            columns: self.columns.to_vec(),
            layout: self.hasher.layout().clone(),
        }
    }
}

/// The key indexes of one segment that were asked for.
#[derive(Debug, Default)]
pub(crate) struct SegmentKeys(Mutex<Vec<(Subject, Arc<SegmentKeyIndex>)>>);

impl SegmentKeys {
    /// Bytes of their files.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.lock().iter().map(|(_, index)| index.bytes() as u64).sum()
    }
}

impl LiveSegment {
    /// Whether the index of a key is at hand.
    pub(crate) fn has_key_index(&self, key: &Key) -> bool {
        let subject = key.subject(self);
        self.keys.0.lock().iter().any(|(known, _)| *known == subject)
    }

    /// This segment's index of a key: at hand, else from its file, else made now, which reads the key columns.
    ///
    /// # Errors
    /// `Corrupt` for damaged columns, `Exhausted` when there is no space for the file.
    pub(crate) fn key_index(&self, disk: &dyn Disk, schema: &TableSchema, key: &Key) -> Result<Arc<SegmentKeyIndex>> {
        let subject = key.subject(self);
        let mut known = self.keys.0.lock();
        if let Some((_, index)) = known.iter().find(|(known, _)| *known == subject) {
            return Ok(Arc::clone(index));
        }
        let path = format!("{SEGMENT_FOLDER}/{}", subject.file_name());
        let index = Arc::new(match open(disk, &path, &subject) {
            Ok(index) => index,
            Err(error) if is_made_up_for(&error) => self.make_key_index(disk, schema, key, &subject, &path)?,
            Err(error) => return Err(error),
        });
        known.push((subject, Arc::clone(&index)));
        Ok(index)
    }

    fn make_key_index(
        &self,
        disk: &dyn Disk,
        schema: &TableSchema,
        key: &Key,
        subject: &Subject,
        path: &str,
    ) -> Result<SegmentKeyIndex> {
        let mut all: Option<Keys> = None;
        for row_group in 0..self.reader.row_groups() {
            let rows = self.reader.rows(row_group);
            let keys = key.keys(schema, rows, |id| self.reader.read(row_group, id))?;
            match &mut all {
                Some(all) => all.append(&keys),
                None => all = Some(keys),
            }
        }
        let all = all.unwrap_or_else(|| Keys::empty(subject.layout.form()));
        let bytes = SegmentKeyIndex::build(subject, &all, None);
        SegmentKeyIndex::write(disk, path, &bytes)?;
        match open(disk, path, subject) {
            // The segment was replaced, and is only held by whoever asks: a sweep came in between.
            Err(error) if error.kind() == ErrorKind::NotFound => SegmentKeyIndex::open(path, bytes, subject),
            opened => opened,
        }
    }
}

fn open(disk: &dyn Disk, path: &str, subject: &Subject) -> Result<SegmentKeyIndex> {
    let file = disk.open(path).map_err(|error| Error::io("open", path, error))?;
    let map = file.map().map_err(|error| Error::io("map", path, error))?;
    SegmentKeyIndex::open(path, map, subject)
}

/// Whether an index file is to be made again: it is not there, or not what it should be.
fn is_made_up_for(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corrupt | ErrorKind::Unsupported)
}

/// A key of a table with its index of rows in memory.
#[derive(Debug)]
struct KeyTable {
    key: Key,
    memory: MemoryKeyIndex,
}

/// All keys that tables are indexed by. The committer's.
#[derive(Debug)]
pub(crate) struct KeyTables {
    secret: [u8; 16],
    tables: BTreeMap<TableId, Vec<KeyTable>>,
}

impl KeyTables {
    /// No table is indexed. `secret` is the database's.
    pub(crate) fn new(secret: [u8; 16]) -> Self {
        Self { secret, tables: BTreeMap::new() }
    }

    /// Keys that a table with this schema is indexed by. Those that a change of the schema has overtaken are not among them.
    pub(crate) fn of(&self, table: TableId, schema: &TableSchema) -> Vec<Key> {
        let known = self.tables.get(&table).into_iter().flatten();
        known.filter(|known| known.key.fits(schema, self.secret)).map(|known| known.key.clone()).collect()
    }

    /// Makes sure that a table is indexed by these columns. The first time this reads the key columns of all rows in memory.
    ///
    /// # Errors
    /// As [`Key::new`].
    pub(crate) fn index(
        &mut self,
        table: TableId,
        schema: &TableSchema,
        rows: &TableRows,
        columns: &[ColumnId],
    ) -> Result<Key> {
        let key = Key::new(schema, columns, self.secret)?;
        let tables = self.tables.entry(table).or_default();
        tables.retain(|known| known.key.fits(schema, self.secret));
        if !tables.iter().any(|known| known.key.columns == key.columns) {
            let mut memory = MemoryKeyIndex::new(key.hasher.layout().form());
            for batch in rows.batches() {
                let keys = key.keys(schema, batch.rows(), |id| Ok(batch.column(id).cloned()))?;
                memory.insert(&keys, 0..keys.rows() as u32, batch.first_row());
            }
            tables.push(KeyTable { key: key.clone(), memory });
        }
        Ok(key)
    }

    /// Rows in memory with these keys: (row of `keys`, row number), deleted ones too.
    pub(crate) fn find_in_memory(&self, table: TableId, key: &Key, keys: &Keys, found: &mut Vec<(u32, u64)>) {
        let known = self.tables.get(&table).into_iter().flatten().find(|known| known.key.columns == key.columns);
        let wanted: Vec<u32> = (0..keys.rows() as u32).collect();
        if let Some(known) = known {
            known.memory.find(keys, &wanted, found);
        }
    }

    /// Takes in rows that entered memory from row number `first_row` on.
    ///
    /// # Errors
    /// If a key cannot be made of the batch; it is not indexed by that key any more then.
    pub(crate) fn appended(&mut self, batch: &Batch, schema: &TableSchema, first_row: u64) {
        let Some(tables) = self.tables.get_mut(&batch.table()) else { return };
        // A key whose column was dropped or changed is made again when it is asked for again.
        tables.retain_mut(|known| {
            let keys = known.key.keys(schema, batch.rows(), |id| Ok(batch.column(id).cloned()));
            keys.map(|keys| known.memory.insert(&keys, 0..keys.rows() as u32, first_row)).is_ok()
        });
    }

    /// Forgets rows that have left memory: those below a number.
    pub(crate) fn flushed(&mut self, table: TableId, below: u64) {
        for known in self.tables.get_mut(&table).into_iter().flatten() {
            known.memory.remove_below(below);
        }
    }

    /// Forgets deleted rows in memory, so that a key that is replaced again and again does not find all its past.
    pub(crate) fn deleted(&mut self, table: TableId, rows: &[u64]) {
        for known in self.tables.get_mut(&table).into_iter().flatten() {
            known.memory.remove(rows.iter().copied());
        }
    }

    /// Takes back rows from a number on.
    pub(crate) fn truncate(&mut self, table: TableId, from: u64) {
        for known in self.tables.get_mut(&table).into_iter().flatten() {
            known.memory.remove_from(from);
        }
    }

    /// Forgets tables that are gone.
    pub(crate) fn retain(&mut self, there: impl Fn(TableId) -> bool) {
        self.tables.retain(|table, _| there(*table));
    }

    /// Memory that the indexes take, about.
    pub(crate) fn bytes(&self) -> usize {
        self.tables.values().flatten().map(|known| known.memory.bytes()).sum()
    }
}

/// Where to look for rows by key.
pub(crate) struct Finder<'a> {
    pub(crate) disk: &'a dyn Disk,
    pub(crate) tables: &'a KeyTables,
    pub(crate) table: TableId,
    pub(crate) schema: &'a TableSchema,
    pub(crate) rows: &'a TableRows,
}

impl Finder<'_> {
    /// The live rows that have the keys of some rows, sorted by the row asked for. With `unique` keys each has at most one, and a segment
    /// is asked only for keys not found in a later one.
    ///
    /// # Errors
    /// As [`LiveSegment::key_index`].
    pub(crate) fn find(&self, key: &Key, keys: &Keys, unique: bool) -> Result<Vec<Match>> {
        let mut matches = self.find_in_memory(key, keys);
        let mut wanted: Vec<u32> = (0..keys.rows() as u32).collect();
        let mut found = Vec::new();
        let mut searched = 0;
        for (at, segment) in self.rows.segments.iter().enumerate().rev() {
            if unique && matches.len() > searched {
                let mut done: Vec<u32> = matches[searched..].iter().map(|found| found.row).collect();
                done.sort_unstable();
                wanted.retain(|row| done.binary_search(row).is_err());
                searched = matches.len();
            }
            found.clear();
            segment.key_index(self.disk, self.schema, key)?.find(keys, &wanted, &mut found);
            let place = |position: u32| Place::Segment(at as u32, position);
            let places = found.iter().map(|(row, position)| Match { row: *row, place: place(*position) });
            matches.extend(places.filter(|found| !self.rows.is_deleted(found.place)));
        }
        matches.sort_unstable();
        Ok(matches)
    }

    fn find_in_memory(&self, key: &Key, keys: &Keys) -> Vec<Match> {
        let mut found = Vec::new();
        self.tables.find_in_memory(self.table, key, keys, &mut found);
        let places = found.into_iter().map(|(row, number)| Match { row, place: Place::Memory(number) });
        places.filter(|found| !self.rows.is_deleted(found.place)).collect()
    }
}
