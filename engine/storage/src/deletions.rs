//! Which rows a commit deleted, found: where they are in segments and in memory. The tail of a log record holds it
//! (`docs/formats/commit.md`).
//!
//! **Invariants**: positions and row numbers ascend, each is there once, and none was deleted before.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::commit::Batch;
use crate::encoding::delta;
use crate::error::{Error, Result};
use crate::frame::{ByteReader, PutBytes};
use crate::ids::{SegmentId, SnapshotId, TableId};
use crate::state::{LiveSegment, TableRows};

/// Deleted rows of one table.
#[derive(Debug, Default)]
pub(crate) struct Deletions {
    segments: BTreeMap<SegmentId, (Arc<LiveSegment>, Vec<u32>)>,
    /// Numbers of rows in memory.
    memory: Vec<u64>,
}

impl Deletions {
    pub(crate) fn push_segment(&mut self, segment: &Arc<LiveSegment>, position: u32) {
        let (_, positions) = self.segments.entry(segment.entry.id).or_insert_with(|| (Arc::clone(segment), Vec::new()));
        positions.push(position);
    }

    pub(crate) fn push_memory(&mut self, row: u64) {
        self.memory.push(row);
    }

    /// Puts everything in order, once all is in.
    pub(crate) fn sorted(mut self) -> Self {
        for (_, positions) in self.segments.values_mut() {
            positions.sort_unstable();
            positions.dedup();
        }
        self.memory.sort_unstable();
        self.memory.dedup();
        self
    }

    pub(crate) fn rows(&self) -> u64 {
        let in_segments: usize = self.segments.values().map(|(_, positions)| positions.len()).sum();
        (in_segments + self.memory.len()) as u64
    }

    /// Marks the rows as deleted: by a commit that nobody sees yet or, in the state of a transaction, for its eyes only.
    pub(crate) fn mark(&self, rows: &mut TableRows, snapshot: SnapshotId) {
        let places: Vec<u32> = self.memory.iter().map(|row| rows.memory_position(*row)).collect();
        match &mut rows.overlay {
            None => {
                for (segment, positions) in self.segments.values() {
                    segment.deletes.mark(snapshot, positions);
                }
                rows.memory_deletes.mark(snapshot, &places);
            }
            Some(overlay) => {
                for (id, (_, positions)) in &self.segments {
                    overlay.segments.entry(*id).or_default().extend(positions);
                }
                overlay.memory.extend(places);
            }
        }
    }
}

/// The same as the log has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LoggedDeletions {
    pub(crate) segments: Vec<(SegmentId, Vec<u32>)>,
    pub(crate) memory: Vec<u64>,
}

impl LoggedDeletions {
    /// What the changes of one commit deleted in one table.
    pub(crate) fn of(changes: &[Deletions]) -> Self {
        let mut segments: BTreeMap<SegmentId, Vec<u32>> = BTreeMap::new();
        let mut memory = Vec::new();
        for deletions in changes {
            for (id, (_, positions)) in &deletions.segments {
                segments.entry(*id).or_default().extend_from_slice(positions);
            }
            memory.extend_from_slice(&deletions.memory);
        }
        segments.values_mut().for_each(|positions| positions.sort_unstable());
        memory.sort_unstable();
        Self { segments: segments.into_iter().collect(), memory }
    }

    /// Marks the rows as deleted by a commit that comes back from the log; files may show its deletions already. Where a segment is gone, a
    /// compaction that took its place did so with these deletions, if `reflected`.
    ///
    /// # Errors
    /// `Corrupt` for rows that were never there.
    pub(crate) fn mark_again(&self, rows: &TableRows, snapshot: SnapshotId, reflected: bool) -> Result<()> {
        let missing = |what: &dyn std::fmt::Display| {
            Err(Error::corrupt("log", 0, format_args!("commit {snapshot} to delete rows that are there"), what))
        };
        for (id, positions) in &self.segments {
            match rows.segment(*id) {
                Some(segment) if positions.last().is_some_and(|last| u64::from(*last) >= segment.entry.rows) => {
                    return missing(&format_args!("positions past the end of segment {id}"));
                }
                Some(segment) => {
                    segment.deletes.mark_again(snapshot, positions);
                }
                None if reflected => {}
                None => return missing(&format_args!("segment {id}")),
            }
        }
        for row in &self.memory {
            match rows.flushed(*row) {
                Some((segment, position)) => {
                    segment.deletes.mark_again(snapshot, &[position]);
                }
                None if (rows.memory_base..rows.next_row).contains(row) => {
                    rows.memory_deletes.mark_again(snapshot, &[rows.memory_position(*row)]);
                }
                None if reflected && *row < rows.next_row => {}
                None => return missing(&format_args!("row {row}")),
            }
        }
        Ok(())
    }
}

/// Appends what a commit deleted, table by table; nothing if it deleted nothing.
pub(crate) fn encode(tables: &[(TableId, LoggedDeletions)], out: &mut Vec<u8>) {
    if tables.is_empty() {
        return;
    }
    out.put_u32(tables.len() as u32);
    for (table, deletions) in tables {
        out.put_u64(table.0);
        out.put_u32(deletions.segments.len() as u32);
        for (segment, positions) in &deletions.segments {
            out.put_u64(segment.0);
            encode_ascending(positions.iter().map(|position| u64::from(*position)), out);
        }
        encode_ascending(deletions.memory.iter().copied(), out);
    }
}

fn encode_ascending(values: impl ExactSizeIterator<Item = u64>, out: &mut Vec<u8>) {
    out.put_u32(values.len() as u32);
    delta::encode(&mut values.collect::<Vec<_>>(), out);
}

/// # Errors
/// `Corrupt` for anything that [`encode`] does not write.
pub(crate) fn decode(reader: &mut ByteReader<'_>) -> Result<Vec<(TableId, LoggedDeletions)>> {
    (0..reader.count(16)?).map(|_| Ok((TableId(reader.u64()?), decode_table(reader)?))).collect()
}

fn decode_table(reader: &mut ByteReader<'_>) -> Result<LoggedDeletions> {
    let mut segments = Vec::new();
    for _ in 0..reader.count(12)? {
        let segment = SegmentId(reader.u64()?);
        let positions = decode_ascending(reader)?;
        let last = positions.last().copied().unwrap_or_default();
        if last > u64::from(u32::MAX) {
            return Err(reader.corrupt("a 32-bit position", last));
        }
        segments.push((segment, positions.into_iter().map(|position| position as u32).collect()));
    }
    Ok(LoggedDeletions { segments, memory: decode_ascending(reader)? })
}

fn decode_ascending(reader: &mut ByteReader<'_>) -> Result<Vec<u64>> {
    let count = reader.u32()? as usize;
    if count > Batch::ROWS_MAX {
        return Err(reader.corrupt(format_args!("at most {} rows", Batch::ROWS_MAX), count));
    }
    let mut values = Vec::new();
    delta::decode(count, reader, |block| values.extend_from_slice(block))?;
    if values.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err(reader.corrupt("ascending rows", "others"));
    }
    Ok(values)
}

#[cfg(test)]
mod tests;
