//! Which rows of a run of positions were deleted, and by which commit.
//!
//! One vector serves all snapshots: the committer adds to it, each deletion tagged with its commit, and a reader asks as of its snapshot,
//! which leaves out later tags. Positions are kept in chunks of 65,536, each made when it is first needed and behind a lock of its own.
//!
//! **Invariants**
//! 1. What a vector answers as of a snapshot never changes, whatever later commits add, as long as the snapshot is not before the horizon
//!    of [`DeleteVector::settle`].
//! 2. A position is deleted once, by one commit.
//! 3. Every tag kept is above all that were settled.
//!
//! It does not know of segments, tables or the names of files. That one writer adds at a time, and that a commit is added wholly before
//! a reader asks as of it, is up to its user.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use roaring::RoaringBitmap;

use crate::ids::SnapshotId;
use chunk::{CHUNK_ROWS, Chunk, TAG_END};
pub(crate) use codec::{MAGIC, describe};

mod chunk;
mod codec;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
#[cfg(test)]
mod tests;

/// Deleted positions, each tagged with its commit.
#[derive(Default)]
pub(crate) struct DeleteVector {
    chunks: Chunks,
    count: AtomicU64,
    /// Highest tag, kept or settled; zero without any.
    last: AtomicU64,
    /// Highest tag that was settled; zero without any.
    settled: AtomicU64,
    /// Held while tags are forgotten, and while all chunks are copied, so that a copy is of before or after.
    settling: Mutex<()>,
}

/// Chunks by number, found without a lock: slice `k` has room for 2^k of them, so memory follows the highest position.
#[derive(Default)]
struct Chunks([OnceLock<Box<[Slot]>>; u16::BITS as usize + 1]);

type Slot = OnceLock<Box<Chunk>>;

impl Chunks {
    /// Which slice, and where in it.
    fn place(chunk: u16) -> (usize, usize) {
        let number = usize::from(chunk) + 1;
        let slice = number.ilog2() as usize;
        (slice, number - (1 << slice))
    }

    fn get(&self, chunk: u16) -> Option<&Chunk> {
        let (slice, slot) = Self::place(chunk);
        self.0[slice].get()?[slot].get().map(|chunk| &**chunk)
    }

    fn get_or_make(&self, chunk: u16) -> &Chunk {
        let (slice, slot) = Self::place(chunk);
        let slots = self.0[slice].get_or_init(|| (0..1_usize << slice).map(|_| OnceLock::new()).collect());
        slots[slot].get_or_init(Box::default)
    }

    /// All that were made, in order, each with its first position.
    fn iter(&self) -> impl Iterator<Item = (u32, &Chunk)> {
        let slots = self.0.iter().filter_map(|slots| slots.get().map(|slots| (slots.len() - 1, slots)));
        let slots = slots.flat_map(|(first, slots)| slots.iter().enumerate().map(move |(i, slot)| (first + i, slot)));
        slots.filter_map(|(chunk, slot)| Some(((chunk * CHUNK_ROWS) as u32, &**slot.get()?)))
    }

    #[cfg(test)]
    fn bytes(&self) -> usize {
        let slots: usize = self.0.iter().filter_map(OnceLock::get).map(|slots| size_of_val(&**slots)).sum();
        slots + self.iter().map(|(_, chunk)| chunk.bytes()).sum::<usize>()
    }
}

/// The part of a range that lies in one chunk.
struct Part<'a> {
    chunk: &'a Chunk,
    /// The chunk's first position.
    base: u32,
    /// Within the chunk.
    start: u32,
    end: u32,
}

impl DeleteVector {
    /// Nothing is deleted.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Deletes positions: ascending, none of them deleted before, by a commit that is not before any earlier one.
    ///
    /// # Panics
    /// If they are not as said.
    pub(crate) fn mark(&self, snapshot: SnapshotId, positions: &[u32]) {
        assert!(self.last().is_none_or(|last| last <= snapshot), "deletions come in commit order");
        assert!(positions.is_sorted_by(|a, b| a < b), "deleted positions ascend");
        let new = self.add(Some(snapshot), positions);
        assert!(new == positions.len() as u64, "a row is deleted once");
    }

    /// The same for positions in any order that may be deleted already, such as those of a record that the file already reflects;
    /// those are skipped. Returns how many were new.
    pub(crate) fn mark_again(&self, snapshot: SnapshotId, positions: &[u32]) -> u64 {
        match positions.is_sorted() {
            true => self.add(Some(snapshot), positions),
            false => {
                let mut sorted = positions.to_vec();
                sorted.sort_unstable();
                self.add(Some(snapshot), &sorted)
            }
        }
    }

    /// Adds sorted positions and counts the new ones; `None` and tags that were settled already make them settled.
    fn add(&self, tag: Option<SnapshotId>, positions: &[u32]) -> u64 {
        assert!(tag.is_none_or(|tag| (1..TAG_END).contains(&tag.0)), "a tag has 48 bits");
        let kept = tag.filter(|tag| tag.0 > self.settled.load(Ordering::Acquire));
        let chunks = positions.chunk_by(|a, b| a >> u16::BITS == b >> u16::BITS);
        let new = chunks
            .map(|part| {
                let chunk = self.chunks.get_or_make((part[0] >> u16::BITS) as u16);
                chunk.add(kept, part.iter().map(|position| *position as u16))
            })
            .sum();
        if let Some(tag) = tag.filter(|_| new > 0) {
            self.last.fetch_max(tag.0, Ordering::Release);
        }
        self.count.fetch_add(new, Ordering::Release);
        new
    }

    /// Takes back what one commit deleted, the last that did, before anybody could ask as of it.
    pub(crate) fn unmark(&self, snapshot: SnapshotId) {
        if self.last() != Some(snapshot) {
            return;
        }
        let taken: u64 = self.chunks.iter().map(|(_, chunk)| chunk.take_back(snapshot)).sum();
        let last = self.chunks.iter().filter_map(|(_, chunk)| chunk.last()).max();
        let settled = self.settled.load(Ordering::Acquire);
        self.last.store(last.map_or(settled, |last| last.0.max(settled)), Ordering::Release);
        self.count.fetch_sub(taken, Ordering::Release);
    }

    /// Whether any commit so far deleted it: the committer's question.
    pub(crate) fn is_deleted(&self, position: u32) -> bool {
        let chunk = self.chunks.get((position >> u16::BITS) as u16);
        chunk.is_some_and(|chunk| chunk.contains(position as u16))
    }

    /// Positions of `range` that were deleted as of a snapshot, counted from its start; `None` if there are none.
    pub(crate) fn deleted(&self, range: Range<u32>, at: SnapshotId) -> Option<Arc<RoaringBitmap>> {
        let mut found = RoaringBitmap::new();
        for part in self.parts(&range) {
            let deleted = part.chunk.deleted(at);
            let whole = part.base == range.start && deleted.max().is_none_or(|max| max < part.end);
            if whole && range.end - range.start <= CHUNK_ROWS as u32 {
                return (!deleted.is_empty()).then_some(deleted);
            }
            let positions = deleted.range(part.start..part.end).map(|low| part.base + low - range.start);
            found.append(positions).expect("chunks and their positions ascend");
        }
        (!found.is_empty()).then(|| Arc::new(found))
    }

    /// How many positions of `range` were deleted as of a snapshot.
    pub(crate) fn deleted_rows(&self, range: Range<u32>, at: SnapshotId) -> u32 {
        self.parts(&range).map(|part| part.chunk.deleted_rows(part.start, part.end, at)).sum()
    }

    /// Positions of `range` that commits after `from`, up to `to`, deleted: in commit order, ascending per commit. `from` is not
    /// before what was settled.
    pub(crate) fn between(&self, range: Range<u32>, from: SnapshotId, to: SnapshotId) -> Vec<(SnapshotId, u32)> {
        let mut found = Vec::new();
        for part in self.parts(&range) {
            part.chunk.between(from, to, |tag, positions| {
                let positions = positions.iter().map(|position| u32::from(*position));
                let positions = positions.filter(|position| (part.start..part.end).contains(position));
                found.extend(positions.map(|position| (tag, part.base + position)));
            });
        }
        found.sort();
        found
    }

    /// The highest tag so far, settled or not; `None` if nothing is deleted.
    pub(crate) fn last(&self) -> Option<SnapshotId> {
        Some(SnapshotId(self.last.load(Ordering::Acquire))).filter(|last| last.0 > 0)
    }

    /// Positions deleted so far.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// Memory that it takes, about; asks every chunk.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.chunks.bytes()
    }

    /// Forgets tags up to and including `horizon`: those positions count as deleted since ever. Nobody may ask as of a snapshot
    /// before the horizon from then on.
    pub(crate) fn settle(&self, horizon: SnapshotId) {
        let _alone = self.settling.lock();
        let highest = self.chunks.iter().filter_map(|(_, chunk)| chunk.settle(horizon)).max();
        if let Some(highest) = highest {
            self.settled.fetch_max(highest.0, Ordering::Release);
        }
    }

    /// A new vector of the positions that `f` gives for the deleted ones; it has none for a row that is gone. Tags stay.
    ///
    /// # Panics
    /// If two rows get one position.
    pub(crate) fn mapped(&self, f: impl Fn(u32) -> Option<u32>) -> Self {
        Self::gathered([(self, f)])
    }

    /// [`DeleteVector::mapped`], of several vectors into one.
    ///
    /// # Panics
    /// If two rows get one position.
    pub(crate) fn gathered<'a, F: Fn(u32) -> Option<u32>>(sources: impl IntoIterator<Item = (&'a Self, F)>) -> Self {
        let mut settled = (SnapshotId(0), Vec::new());
        let mut tagged = Vec::new();
        for (source, f) in sources {
            let _unsettled = source.settling.lock();
            settled.0 = settled.0.max(SnapshotId(source.settled.load(Ordering::Acquire)));
            for (base, chunk) in source.chunks.iter() {
                let (early, history) = chunk.parts(SnapshotId(u64::MAX));
                settled.1.extend(early.iter().filter_map(|low| f(base + low)));
                for (tag, positions) in history.iter() {
                    tagged.extend(positions.iter().filter_map(|low| Some((tag, f(base + u32::from(*low))?))));
                }
            }
        }
        settled.1.sort_unstable();
        tagged.sort_unstable();
        let gathered = Self::new();
        let mut new = gathered.add_settled(settled.0, &settled.1);
        for run in tagged.chunk_by(|a, b| a.0 == b.0) {
            let positions: Vec<u32> = run.iter().map(|(_, position)| *position).collect();
            new += gathered.add(Some(run[0].0), &positions);
        }
        assert!(new == (settled.1.len() + tagged.len()) as u64, "no two rows have one position");
        gathered
    }

    /// Adds sorted positions whose tags, up to `highest`, are forgotten; counts the new ones.
    fn add_settled(&self, highest: SnapshotId, positions: &[u32]) -> u64 {
        let new = self.add(None, positions);
        if new > 0 {
            self.settled.fetch_max(highest.0, Ordering::Release);
            self.last.fetch_max(highest.0, Ordering::Release);
        }
        new
    }

    /// The chunks that hold something of a range.
    fn parts(&self, range: &Range<u32>) -> impl Iterator<Item = Part<'_>> {
        let Range { start, end } = *range;
        let chunks = (start < end).then(|| start >> u16::BITS..=(end - 1) >> u16::BITS).into_iter().flatten();
        chunks.filter_map(move |number| {
            let chunk = self.chunks.get(number as u16)?;
            let base = number << u16::BITS;
            let end = (end - base).min(CHUNK_ROWS as u32);
            Some(Part { chunk, base, start: start.saturating_sub(base), end })
        })
    }
}

impl fmt::Debug for DeleteVector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeleteVector").field("count", &self.count()).field("last", &self.last()).finish_non_exhaustive()
    }
}
