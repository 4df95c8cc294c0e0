//! Which commit wrote each of a run of rows, run-length encoded.
//!
//! On disk: the number of runs (u32), their snapshot ids as packed differences, their lengths packed.
//!
//! **Invariants**
//! 1. No run is empty, and neighbours are of different commits.
//! 2. Rows need not be in commit order. They usually are, and then what a snapshot sees is a prefix, found by bisection.

use std::ops::Range;

use arrow_buffer::BooleanBuffer;

use crate::encoding::{bitpack, delta};
use crate::error::Result;
use crate::frame::{ByteReader, PutBytes};
use crate::ids::SnapshotId;

#[cfg(test)]
mod tests;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    snapshot: SnapshotId,
    /// The row after its last.
    end: usize,
}

/// Rows and the commits that wrote them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CommitRuns {
    runs: Vec<Run>,
    /// Lowest and highest snapshot.
    bounds: Option<(SnapshotId, SnapshotId)>,
    out_of_order: bool,
}

impl CommitRuns {
    /// Rows of one commit.
    pub(crate) fn of(snapshot: SnapshotId, rows: usize) -> Self {
        let mut runs = Self::default();
        runs.push(snapshot, rows);
        runs
    }

    /// Adds rows of one commit at the end.
    pub(crate) fn push(&mut self, snapshot: SnapshotId, rows: usize) {
        if rows == 0 {
            return;
        }
        let end = self.rows() + rows;
        match self.runs.last_mut() {
            Some(last) if last.snapshot == snapshot => last.end = end,
            last => {
                self.out_of_order |= last.is_some_and(|last| last.snapshot > snapshot);
                self.runs.push(Run { snapshot, end });
            }
        }
        let (low, high) = self.bounds.unwrap_or((snapshot, snapshot));
        self.bounds = Some((low.min(snapshot), high.max(snapshot)));
    }

    /// Adds all of another's rows at the end.
    pub(crate) fn append(&mut self, other: &Self) {
        for (snapshot, rows) in other.iter() {
            self.push(snapshot, rows.len());
        }
    }

    /// Runs in row order: the commit and its rows.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (SnapshotId, Range<usize>)> + '_ {
        let starts = std::iter::once(0).chain(self.runs.iter().map(|run| run.end));
        starts.zip(&self.runs).map(|(start, run)| (run.snapshot, start..run.end))
    }

    /// The same for a range of the rows, counted from its start.
    ///
    /// # Panics
    /// If the range is not within the rows.
    pub(crate) fn slice(&self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.rows(), "a slice lies within the rows");
        let mut sliced = Self::default();
        let mut start = range.start;
        let first = self.runs.partition_point(|run| run.end <= range.start);
        for run in &self.runs[first..] {
            let end = run.end.min(range.end);
            sliced.push(run.snapshot, end - start);
            start = end;
            if start == range.end {
                break;
            }
        }
        sliced
    }

    /// The runs of the rows that are set in `kept`, or of all; commits before `floor` count as that one.
    ///
    /// # Panics
    /// If `kept` does not have a bit per row.
    pub(crate) fn kept(&self, kept: Option<&BooleanBuffer>, floor: SnapshotId) -> Self {
        assert!(kept.is_none_or(|kept| kept.len() == self.rows()), "each row is kept or not");
        let mut runs = Self::default();
        for (snapshot, rows) in self.iter() {
            let count = kept.map_or(rows.len(), |kept| kept.slice(rows.start, rows.len()).count_set_bits());
            runs.push(snapshot.max(floor), count);
        }
        runs
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.runs.last().map_or(0, |run| run.end)
    }

    /// The lowest snapshot id; `None` without rows.
    pub(crate) fn first(&self) -> Option<SnapshotId> {
        self.bounds.map(|(first, _)| first)
    }

    /// The highest snapshot id; `None` without rows.
    pub(crate) fn last(&self) -> Option<SnapshotId> {
        self.bounds.map(|(_, last)| last)
    }

    /// Number of rows that a snapshot sees.
    #[cfg(test)]
    pub(crate) fn visible_rows(&self, at: SnapshotId) -> usize {
        match self.prefix(at) {
            Some(rows) => rows,
            None => self.visible(at).iter().map(ExactSizeIterator::len).sum(),
        }
    }

    /// Rows that a snapshot sees, as ascending ranges with gaps between them.
    pub(crate) fn visible(&self, at: SnapshotId) -> Vec<Range<usize>> {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        match self.prefix(at) {
            Some(0) => {}
            Some(rows) => ranges.push(0..rows),
            None => {
                for (_, rows) in self.iter().filter(|(snapshot, _)| *snapshot <= at) {
                    match ranges.last_mut() {
                        Some(last) if last.end == rows.start => last.end = rows.end,
                        _ => ranges.push(rows),
                    }
                }
            }
        }
        ranges
    }

    /// Length of the prefix that a snapshot sees, if it is known to see nothing else.
    fn prefix(&self, at: SnapshotId) -> Option<usize> {
        let Some((first, last)) = self.bounds else { return Some(0) };
        if at >= last {
            return Some(self.rows());
        }
        if at < first {
            return Some(0);
        }
        let seen = || self.runs.partition_point(|run| run.snapshot <= at);
        (!self.out_of_order).then(|| self.runs[seen() - 1].end)
    }

    /// Appends the runs.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u32(u32::try_from(self.runs.len()).expect("row positions are 32-bit"));
        let mut snapshots: Vec<u64> = self.runs.iter().map(|run| run.snapshot.0).collect();
        delta::encode(&mut snapshots, out);
        let lengths: Vec<u64> = self.iter().map(|(_, rows)| rows.len() as u64).collect();
        bitpack::pack(&lengths, out);
    }

    /// Reads the runs of so many rows.
    ///
    /// # Errors
    /// `Corrupt` if there are empty runs, or they do not sum up to `rows`.
    pub(crate) fn decode(rows: usize, reader: &mut ByteReader<'_>) -> Result<Self> {
        let count = reader.u32()? as usize;
        if count > rows {
            return Err(reader.corrupt(format_args!("at most {rows} runs"), count));
        }
        let mut snapshots = Vec::with_capacity(count);
        delta::decode(count, reader, |block| snapshots.extend_from_slice(block))?;
        let lengths = bitpack::unpack_u32(count, reader)?;
        let total: u64 = lengths.iter().map(|length| u64::from(*length)).sum();
        if total != rows as u64 || lengths.contains(&0) {
            return Err(reader.corrupt(format_args!("runs of {rows} rows"), format_args!("{total}, or an empty run")));
        }
        let mut runs = Self::default();
        for (snapshot, length) in snapshots.into_iter().zip(lengths) {
            runs.push(SnapshotId(snapshot), length as usize);
        }
        Ok(runs)
    }
}
