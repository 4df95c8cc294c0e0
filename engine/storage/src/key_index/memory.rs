//! The keys of rows in memory.
//!
//! **Invariants**
//! 1. Rows come in ascending order of their row numbers and leave from the front; the numbers held at a time span less than 2^32.
//! 2. The hash table holds one row per key, the newest; each row knows the one with its key before it. So a key that many rows have does not
//!    slow down any other, and no key is stored twice.
//! 3. Bytes per row: 12 (exact) or 20 (wide) for hash and link, and 5.7 to 11.4 of the table, which is between 7/8 and 7/16 full.
//!
//! It does not know which rows are deleted; whoever deletes one may take it out with [`MemoryKeyIndex::remove`].

mod rows;
#[cfg(test)]
mod tests;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use self::rows::Rows;
use super::keys::{KeyForm, Keys};

/// Table slots that are not worth giving back.
const SLOTS_KEPT: usize = 1024;

/// A hash index for rows in memory.
#[derive(Debug)]
pub(crate) struct MemoryKeyIndex {
    form: KeyForm,
    /// For each key the lowest 32 bits of its newest row's number.
    newest: HashTable<u32>,
    rows: Rows,
}

impl MemoryKeyIndex {
    /// Without rows.
    pub(crate) fn new(form: KeyForm) -> Self {
        Self { form, newest: HashTable::new(), rows: Rows::new(form) }
    }

    /// Adds the given rows of `keys`, ascending; the first of them is row number `first_row` of the table, the next the one after it, and so
    /// on. Rows without a key take up a number and cannot be found.
    ///
    /// # Panics
    /// If `first_row` is below a number that was given before, the keys are of another form, or more than 2^32 - 1 numbers are spanned.
    pub(crate) fn insert(&mut self, keys: &Keys, kept: impl IntoIterator<Item = u32>, first_row: u64) {
        assert_eq!(keys.form(), self.form, "keys and index are of the same columns");
        self.rows.skip_to(first_row);
        for batch_row in kept {
            let (hash, second) = (keys.first(batch_row), keys.second(batch_row));
            let slot = self.rows.next() as u32;
            if keys.is_null(batch_row) {
                self.rows.push(0, 0, 0);
                continue;
            }
            let rows = &self.rows;
            let older = match self.newest.entry(hash, |slot| rows.has_key(*slot, hash, second), |slot| rows.hash(*slot))
            {
                Entry::Occupied(mut entry) => slot.wrapping_sub(std::mem::replace(entry.get_mut(), slot)),
                Entry::Vacant(entry) => {
                    entry.insert(slot);
                    0
                }
            };
            self.rows.push(hash, second, older);
        }
    }

    /// Appends to `found`, for each of the `wanted` rows of `keys`, every row held with its key: (row of `keys`, row number), in order of
    /// `wanted`, then newest first. Rows without a key find nothing.
    ///
    /// # Panics
    /// If the keys are of another form than the index, or have no such row.
    pub(crate) fn find(&self, keys: &Keys, wanted: &[u32], found: &mut Vec<(u32, u64)>) {
        assert_eq!(keys.form(), self.form, "keys and index are of the same columns");
        for batch_row in wanted.iter().copied().filter(|row| !keys.is_null(*row)) {
            let newest = self.newest(keys.first(batch_row), keys.second(batch_row));
            found.extend(self.rows.chain(newest).map(|row| (batch_row, row)));
        }
    }

    /// Takes out single rows, so that a key that is replaced again and again does not find all its past. Numbers that are not held are
    /// ignored.
    pub(crate) fn remove(&mut self, rows: impl IntoIterator<Item = u64>) {
        let mut rows: Vec<u64> = rows.into_iter().filter(|row| self.rows.holds(*row)).collect();
        // The newest first, where each is the first of its chain, whatever number of them one key has.
        rows.sort_unstable_by_key(|row| std::cmp::Reverse(*row));
        rows.into_iter().for_each(|row| self.remove_one(row));
    }

    fn remove_one(&mut self, row: u64) {
        let slot = row as u32;
        let (hash, second) = (self.rows.hash(slot), self.rows.second(slot));
        let newest = self.newest(hash, second);
        if newest != Some(row) {
            let newer = self.rows.chain(newest).find(|newer| self.rows.older(*newer) == Some(row));
            if let Some(newer) = newer {
                self.rows.link(newer, self.rows.older(row));
            }
            return;
        }
        let rows = &self.rows;
        if let Ok(mut entry) = self.newest.find_entry(hash, |newest| *newest == slot) {
            match rows.older(row) {
                Some(older) => *entry.get_mut() = older as u32,
                None => drop(entry.remove()),
            }
        }
    }

    /// Takes back all rows from this number on, which were the last to come.
    pub(crate) fn remove_from(&mut self, row: u64) {
        for row in (row..self.rows.next()).rev().filter(|row| self.rows.holds(*row)).collect::<Vec<_>>() {
            self.remove_one(row);
        }
        self.rows.truncate(row);
    }

    /// Forgets all rows below this number, such as those that are in a segment now. Takes time by the number of keys held, not of rows removed.
    pub(crate) fn remove_below(&mut self, row: u64) {
        self.rows.remove_below(row);
        let rows = &self.rows;
        if rows.is_empty() {
            self.newest = HashTable::new();
            return;
        }
        self.newest.retain(|slot| rows.holds(rows.number(*slot)));
        let wanted = SLOTS_KEPT.max(2 * self.newest.len());
        if self.newest.capacity() > 2 * wanted {
            self.newest.shrink_to(wanted, |slot| rows.hash(*slot));
        }
    }

    /// Number of distinct keys.
    #[cfg(test)]
    pub(crate) fn keys(&self) -> usize {
        self.newest.len()
    }

    /// Memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.newest.allocation_size() + self.rows.bytes()
    }

    fn newest(&self, hash: u64, second: u64) -> Option<u64> {
        let slot = self.newest.find(hash, |slot| self.rows.has_key(*slot, hash, second));
        slot.map(|slot| self.rows.number(*slot))
    }
}
