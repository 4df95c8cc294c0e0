//! One run of 65,536 positions: which are deleted, and in what order that happened.
//!
//! **Invariants**
//! 1. Every position in the history is in the bitmap; those in the bitmap alone are settled.
//! 2. The history's runs ascend by commit, one run per commit, and the positions of a run ascend.

use std::sync::Arc;

use parking_lot::RwLock;
use roaring::RoaringBitmap;

use crate::ids::SnapshotId;

/// Positions of one chunk.
pub(super) const CHUNK_ROWS: usize = 1 << ROW_BITS;
const ROW_BITS: u32 = u16::BITS;

/// Above the highest tag: a run's tag and length share a word.
pub(super) const TAG_END: u64 = 1 << (u64::BITS - ROW_BITS);

/// The deletions of one chunk, shared by its one writer and all readers.
#[derive(Debug, Default)]
pub(super) struct Chunk(RwLock<Deletions>);

#[derive(Debug, Default)]
struct Deletions {
    /// Readers take it along, so that nobody waits while they work on it.
    all: Arc<RoaringBitmap>,
    history: History,
}

impl Chunk {
    /// Adds deletions, ascending; without a tag they are settled. Those already there stay as they are. Returns how many were new.
    pub(super) fn add(&self, tag: Option<SnapshotId>, positions: impl Iterator<Item = u16>) -> u64 {
        let mut deletions = self.0.write();
        let all = Arc::make_mut(&mut deletions.all);
        let new: Vec<u16> = positions.filter(|position| all.insert(u32::from(*position))).collect();
        if let Some(tag) = tag {
            deletions.history.add(tag, &new);
        }
        new.len() as u64
    }

    /// Takes back what a commit deleted, the last that did; returns how many.
    pub(super) fn take_back(&self, snapshot: SnapshotId) -> u64 {
        let mut deletions = self.0.write();
        let before = SnapshotId(snapshot.0 - 1);
        let taken = deletions.history.after(before).to_vec();
        let all = Arc::make_mut(&mut deletions.all);
        for position in &taken {
            all.remove(u32::from(*position));
        }
        deletions.history.cut(before);
        taken.len() as u64
    }

    /// The last commit in the history.
    pub(super) fn last(&self) -> Option<SnapshotId> {
        self.0.read().history.runs.last().map(|run| tag(*run))
    }

    /// Whether any commit deleted it.
    pub(super) fn contains(&self, position: u16) -> bool {
        self.0.read().all.contains(u32::from(position))
    }

    /// What was deleted as of a snapshot.
    pub(super) fn deleted(&self, at: SnapshotId) -> Arc<RoaringBitmap> {
        let (all, later) = {
            let deletions = self.0.read();
            (Arc::clone(&deletions.all), deletions.history.after(at).to_vec())
        };
        if later.is_empty() { all } else { Arc::new(without(&all, later)) }
    }

    /// How many positions from `start`, before `end`, were deleted as of a snapshot.
    pub(super) fn deleted_rows(&self, start: u32, end: u32, at: SnapshotId) -> u32 {
        let deletions = self.0.read();
        let whole = start == 0 && end as usize == CHUNK_ROWS;
        let all = if whole { deletions.all.len() } else { deletions.all.range_cardinality(start..end) };
        let later = deletions.history.after(at).iter().filter(|position| (start..end).contains(&u32::from(**position)));
        all as u32 - later.count() as u32
    }

    /// What is settled, and the history up to a snapshot.
    pub(super) fn parts(&self, at: SnapshotId) -> (RoaringBitmap, History) {
        let (all, mut history) = {
            let deletions = self.0.read();
            (Arc::clone(&deletions.all), deletions.history.clone())
        };
        let settled = without(&all, history.positions.clone());
        history.cut(at);
        (settled, history)
    }

    /// The positions that commits after `from`, up to `to`, deleted: per commit, ascending.
    pub(super) fn between(&self, from: SnapshotId, to: SnapshotId, mut each: impl FnMut(SnapshotId, &[u16])) {
        for (tag, positions) in self.0.read().history.iter() {
            if from < tag && tag <= to {
                each(tag, positions);
            }
        }
    }

    /// Forgets tags up to `horizon`; returns the highest of them.
    pub(super) fn settle(&self, horizon: SnapshotId) -> Option<SnapshotId> {
        self.0.write().history.forget(horizon)
    }

    /// Memory it takes, about.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let deletions = self.0.read();
        size_of::<Self>() + deletions.all.serialized_size() + deletions.history.bytes()
    }
}

/// Takes positions out that are all in the bitmap, in any order.
fn without(all: &RoaringBitmap, mut positions: Vec<u16>) -> RoaringBitmap {
    if positions.len() as u64 == all.len() {
        return RoaringBitmap::new();
    }
    positions.sort();
    let positions = RoaringBitmap::from_sorted_iter(positions.into_iter().map(u32::from));
    all - positions.expect("they were just sorted")
}

/// Deletions in commit order.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    /// Tag, and in the low 16 bits how many positions the commit deleted, less one.
    runs: Vec<u64>,
    /// Those of all runs, one after the other.
    positions: Vec<u16>,
}

fn tag(run: u64) -> SnapshotId {
    SnapshotId(run >> ROW_BITS)
}

fn rows(run: u64) -> usize {
    usize::from(run as u16) + 1
}

impl History {
    /// Where the commits after `at` start: in the runs and in the positions. Nearly all readers look from near the end.
    fn split(&self, at: SnapshotId) -> (usize, usize) {
        let later = self.runs.iter().rev().take_while(|run| tag(**run) > at);
        let (runs, positions) = later.fold((0, 0), |(runs, positions), run| (runs + 1, positions + rows(*run)));
        (self.runs.len() - runs, self.positions.len() - positions)
    }

    fn after(&self, at: SnapshotId) -> &[u16] {
        &self.positions[self.split(at).1..]
    }

    /// Drops all after a snapshot.
    fn cut(&mut self, at: SnapshotId) {
        let (runs, positions) = self.split(at);
        self.runs.truncate(runs);
        self.positions.truncate(positions);
    }

    /// Adds ascending positions that are not there yet, behind all of the same or earlier commits.
    fn add(&mut self, of: SnapshotId, positions: &[u16]) {
        if positions.is_empty() {
            return;
        }
        let (run, at) = self.split(of);
        self.positions.splice(at..at, positions.iter().copied());
        match self.runs[..run].last_mut().filter(|last| tag(**last) == of) {
            Some(last) => {
                // At most 65,536 distinct positions: the length does not reach into the tag.
                let start = at - rows(*last);
                *last += positions.len() as u64;
                if self.positions[at - 1] > positions[0] {
                    self.positions[start..at + positions.len()].sort();
                }
            }
            None => self.runs.insert(run, of.0 << ROW_BITS | (positions.len() as u64 - 1)),
        }
    }

    fn forget(&mut self, horizon: SnapshotId) -> Option<SnapshotId> {
        let (runs, positions) = self.split(horizon);
        let last = self.runs[..runs].last().map(|run| tag(*run))?;
        // Copied rather than shifted, which gives the memory back.
        self.runs = self.runs[runs..].to_vec();
        self.positions = self.positions[positions..].to_vec();
        Some(last)
    }

    /// Commits in order, each with the positions it deleted.
    pub(super) fn iter(&self) -> impl Iterator<Item = (SnapshotId, &[u16])> {
        let mut rest = &self.positions[..];
        self.runs.iter().map(move |run| {
            let (positions, later) = rest.split_at(rows(*run));
            rest = later;
            (tag(*run), positions)
        })
    }

    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.runs.capacity() * size_of::<u64>() + self.positions.capacity() * size_of::<u16>()
    }
}
