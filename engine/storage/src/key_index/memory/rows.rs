//! Hash and link of every row held, by row number.
//!
//! **Invariants**
//! 1. Rows are kept in blocks of a fixed number, so that growing copies nothing and the front can be given back.
//! 2. A *slot* is the lowest 32 bits of a row number. Held rows span less than 2^32 numbers, so it names one of them.
//! 3. A link leads to a lower number. One that leads below the first row held leads nowhere.

use std::collections::VecDeque;

use crate::key_index::keys::KeyForm;

/// Rows of a block.
const BLOCK_ROWS: usize = 1 << 13;

#[derive(Debug)]
struct Block {
    hashes: Vec<u64>,
    /// Other halves of wide hashes; empty for exact ones.
    second: Vec<u64>,
    /// How many row numbers before it the row with the same key before it is; 0 for none.
    older: Vec<u32>,
}

/// The rows in memory.
#[derive(Debug)]
pub(super) struct Rows {
    form: KeyForm,
    blocks: VecDeque<Block>,
    /// Number of the first block's first row.
    start: u64,
    /// Lowest number held; rows before it in the first block are gone.
    first: u64,
    /// Number of the next row.
    next: u64,
}

impl Rows {
    pub(super) fn new(form: KeyForm) -> Self {
        Self { form, blocks: VecDeque::new(), start: 0, first: 0, next: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first >= self.next
    }

    /// Number of the next row.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Makes `row` the number of the next row; the ones left out have no key.
    pub(super) fn skip_to(&mut self, row: u64) {
        assert!(row >= self.next, "row numbers ascend: next={}, found={row}", self.next);
        if self.is_empty() {
            self.blocks.clear();
            (self.start, self.first, self.next) = (row, row, row);
        }
        self.check_span(row);
        while self.next < row {
            self.push(0, 0, 0);
        }
    }

    fn check_span(&self, row: u64) {
        assert!(row - self.start < u64::from(u32::MAX), "rows in memory: start={}, row={row}", self.start);
    }

    /// Adds the next row.
    pub(super) fn push(&mut self, hash: u64, second: u64, older: u32) {
        self.check_span(self.next);
        let wide = self.form == KeyForm::Wide;
        if (self.next - self.start) as usize == self.blocks.len() * BLOCK_ROWS {
            let second = Vec::with_capacity(if wide { BLOCK_ROWS } else { 0 });
            let (hashes, older) = (Vec::with_capacity(BLOCK_ROWS), Vec::with_capacity(BLOCK_ROWS));
            self.blocks.push_back(Block { hashes, second, older });
        }
        let block = self.blocks.back_mut().expect("there is room for the row");
        block.hashes.push(hash);
        block.older.push(older);
        if wide {
            block.second.push(second);
        }
        self.next += 1;
    }

    /// Forgets the rows from this number on.
    pub(super) fn truncate(&mut self, row: u64) {
        while self.next > row.max(self.first) {
            let block = self.blocks.back_mut().expect("a row that is held is in a block");
            block.hashes.pop();
            block.older.pop();
            block.second.pop();
            if block.hashes.is_empty() {
                self.blocks.pop_back();
            }
            self.next -= 1;
        }
        if row < self.next {
            // Numbers below the first one held are given again, too.
            self.blocks.clear();
            (self.start, self.first, self.next) = (row, row, row);
        }
    }

    /// Whether a row of this number is held.
    pub(super) fn holds(&self, row: u64) -> bool {
        (self.first..self.next).contains(&row)
    }

    /// The number of a row that was pushed and whose block is still there.
    pub(super) fn number(&self, slot: u32) -> u64 {
        self.start + u64::from(self.offset(slot))
    }

    fn offset(&self, slot: u32) -> u32 {
        slot.wrapping_sub(self.start as u32)
    }

    #[inline]
    fn place(&self, slot: u32) -> (&Block, usize) {
        let offset = self.offset(slot) as usize;
        (&self.blocks[offset / BLOCK_ROWS], offset % BLOCK_ROWS)
    }

    pub(super) fn hash(&self, slot: u32) -> u64 {
        let (block, at) = self.place(slot);
        block.hashes[at]
    }

    /// 0 for exact keys.
    pub(super) fn second(&self, slot: u32) -> u64 {
        let (block, at) = self.place(slot);
        block.second.get(at).copied().unwrap_or(0)
    }

    #[inline]
    pub(super) fn has_key(&self, slot: u32, hash: u64, second: u64) -> bool {
        self.hash(slot) == hash && self.second(slot) == second
    }

    /// The held row with the same key before this one.
    pub(super) fn older(&self, row: u64) -> Option<u64> {
        let (block, at) = self.place(row as u32);
        let older = row.checked_sub(u64::from(block.older[at]))?;
        (older < row && older >= self.first).then_some(older)
    }

    /// Makes `older` the row before `row` of the same key.
    pub(super) fn link(&mut self, row: u64, older: Option<u64>) {
        let offset = self.offset(row as u32) as usize;
        self.blocks[offset / BLOCK_ROWS].older[offset % BLOCK_ROWS] = older.map_or(0, |older| (row - older) as u32);
    }

    /// `newest` and all rows of its key before it.
    pub(super) fn chain(&self, newest: Option<u64>) -> impl Iterator<Item = u64> {
        std::iter::successors(newest, |row| self.older(*row))
    }

    /// Gives back the blocks that lie wholly below `row`.
    pub(super) fn remove_below(&mut self, row: u64) {
        self.first = self.first.max(row);
        if self.is_empty() {
            self.blocks.clear();
            self.next = self.next.max(row);
            self.start = self.next;
            return;
        }
        let gone = (self.first - self.start) as usize / BLOCK_ROWS;
        self.blocks.drain(..gone);
        self.start += (gone * BLOCK_ROWS) as u64;
    }

    /// Memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let row_bytes = match self.form {
            KeyForm::Exact => size_of::<u64>() + size_of::<u32>(),
            KeyForm::Wide => 2 * size_of::<u64>() + size_of::<u32>(),
        };
        self.blocks.len() * BLOCK_ROWS * row_bytes
    }
}
