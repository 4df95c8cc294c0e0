//! Bytes of a delete vector (`docs/formats/delete-vector.md`).
//!
//! **Invariants**
//! 1. A file holds what was deleted as of one snapshot, whatever is added while it is written.
//! 2. Positions are read a block at a time and checked before they are kept: below the number of rows, and each once.
//!
//! It does not know where the bytes are kept.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use super::DeleteVector;
use super::chunk::{History, TAG_END};
use crate::encoding::{bitpack, delta};
use crate::error::Result;
use crate::frame::{ByteReader, FILE_HEADER_BYTES, FileHeader, PutBytes};
use crate::ids::SnapshotId;
use crate::inspect::Page;

const HEADER: FileHeader = FileHeader { magic: *b"\x8BSLTdel\n", version: 1 };

/// Where the body starts: behind the header, its length and its checksum.
pub(super) const BODY_START: usize = FILE_HEADER_BYTES + 12;

impl DeleteVector {
    /// Appends a file with what was deleted as of `at`, among so many rows. Returns its checksum.
    ///
    /// # Panics
    /// If a position is not among the rows, or what was settled is later than `at`.
    pub(crate) fn encode(&self, rows: u32, at: SnapshotId, out: &mut Vec<u8>) -> u32 {
        let (settled_to, settled, chunks) = self.copied(at);
        assert!(settled_to <= at, "settled deletions are written as of a snapshot that has them");
        let (runs, positions) = by_commit(&chunks);
        let highest = positions.iter().chain(settled.last()).max();
        assert!(highest.is_none_or(|highest| *highest < rows), "only rows are deleted");

        let mut body = Vec::new();
        body.put_u32(rows);
        body.put_u64(if settled.is_empty() { 0 } else { settled_to.0 });
        body.put_u32(settled.len() as u32);
        bitpack::pack(&gaps(&settled), &mut body);
        body.put_u32(runs.len() as u32);
        let mut tags: Vec<u64> = runs.keys().map(|tag| tag.0).collect();
        delta::encode(&mut tags, &mut body);
        let lengths: Vec<u64> = runs.values().map(|length| *length as u64).collect();
        bitpack::pack(&lengths, &mut body);
        let mut rest = &positions[..];
        let mut packed = Vec::with_capacity(positions.len());
        for length in runs.values() {
            let (run, later) = rest.split_at(*length);
            packed.extend(gaps(run));
            rest = later;
        }
        bitpack::pack(&packed, &mut body);

        frame(&body, out)
    }

    /// Up to which commit tags are forgotten, the positions that have none, and each chunk's history as of `at`.
    fn copied(&self, at: SnapshotId) -> (SnapshotId, Vec<u32>, Vec<(u32, History)>) {
        let _unsettled = self.settling.lock();
        let (mut settled, mut chunks) = (Vec::new(), Vec::new());
        for (base, chunk) in self.chunks.iter() {
            let (early, history) = chunk.parts(at);
            settled.extend(early.iter().map(|low| base + low));
            chunks.push((base, history));
        }
        (SnapshotId(self.settled.load(Ordering::Acquire)), settled, chunks)
    }

    /// Reads a file of which the checksum is known, of a segment with so many rows.
    ///
    /// # Errors
    /// `Corrupt` for bytes that [`DeleteVector::encode`] did not write, or wrote for another file; `Unsupported` for a later version.
    pub(crate) fn decode(file: &str, bytes: &[u8], rows: u32, checksum: u32) -> Result<Self> {
        HEADER.check(file, bytes)?;
        let mut frame = ByteReader::new(file, FILE_HEADER_BYTES as u64, &bytes[FILE_HEADER_BYTES..]);
        let length = frame.u64()?;
        let written = frame.u32()?;
        if length != frame.remaining() as u64 {
            return Err(frame.corrupt(format_args!("{length} bytes"), format_args!("{} bytes", frame.remaining())));
        }
        let body = frame.take(frame.remaining())?;
        let found = crc32fast::hash(body);
        for expected in [written, checksum] {
            if found != expected {
                return Err(frame.corrupt(format_args!("crc32 {expected:08x}"), format_args!("{found:08x}")));
            }
        }
        decode_body(ByteReader::new(file, BODY_START as u64, body), rows)
    }
}

/// First bytes of a delete vector's file.
pub(crate) const MAGIC: [u8; 8] = HEADER.magic;

/// Describes a whole file, taking its own word for what it belongs to.
///
/// # Errors
/// As for [`DeleteVector::decode`].
pub(crate) fn describe(file: &str, bytes: &[u8], page: &mut Page<'_>) -> Result<()> {
    HEADER.check(file, bytes)?;
    let mut reader = ByteReader::new(file, FILE_HEADER_BYTES as u64, &bytes[FILE_HEADER_BYTES..]);
    reader.u64()?;
    let checksum = reader.u32()?;
    let rows = reader.u32()?;
    let vector = DeleteVector::decode(file, bytes, rows, checksum)?;
    let (deleted, last) = (vector.count(), vector.last().unwrap_or_default());
    page.indented(|page| {
        page.line(format_args!(
            "{deleted} of {rows} rows deleted, the last by snapshot {last}, checksum {checksum:#010x}"
        ));
    });
    Ok(())
}

/// Appends header, length, checksum and body. Returns the checksum.
pub(super) fn frame(body: &[u8], out: &mut Vec<u8>) -> u32 {
    let checksum = crc32fast::hash(body);
    out.put(&HEADER.encode());
    out.put_u64(body.len() as u64);
    out.put_u32(checksum);
    out.put(body);
    checksum
}

/// How many positions each commit deleted, and the positions, commit by commit, ascending in each.
fn by_commit(chunks: &[(u32, History)]) -> (BTreeMap<SnapshotId, usize>, Vec<u32>) {
    let mut runs = BTreeMap::new();
    for (tag, positions) in chunks.iter().flat_map(|(_, history)| history.iter()) {
        *runs.entry(tag).or_insert(0) += positions.len();
    }
    let mut total = 0;
    let mut ends: BTreeMap<SnapshotId, usize> = BTreeMap::new();
    for (tag, length) in &runs {
        ends.insert(*tag, total);
        total += length;
    }
    // Chunks ascend, and so do the positions of one commit in each.
    let mut ordered = vec![0; total];
    for (base, history) in chunks {
        for (tag, positions) in history.iter() {
            let end = ends.entry(tag).or_default();
            for (place, low) in ordered[*end..].iter_mut().zip(positions) {
                *place = base + u32::from(*low);
            }
            *end += positions.len();
        }
    }
    (runs, ordered)
}

/// How many positions are left out before each of ascending ones.
fn gaps(positions: &[u32]) -> Vec<u64> {
    let mut next = 0;
    let gap = |position: &u32| u64::from(*position) - std::mem::replace(&mut next, u64::from(*position) + 1);
    positions.iter().map(gap).collect()
}

fn decode_body(mut reader: ByteReader<'_>, rows: u32) -> Result<DeleteVector> {
    let found = reader.u32()?;
    if found != rows {
        return Err(reader.corrupt(format_args!("{rows} rows"), found));
    }
    let vector = DeleteVector::new();
    let settled_to = SnapshotId(reader.u64()?);
    let settled = reader.u32()?;
    if settled_to.0 >= TAG_END || (settled > 0) != (settled_to.0 > 0) {
        return Err(reader.corrupt("a commit exactly if positions are settled", settled_to));
    }
    let once = |added: u64, positions: &[u32]| added == positions.len() as u64;
    read_positions(&[(settled_to, settled)], rows, &mut reader, |tag, found| {
        once(vector.add_settled(tag, found), found)
    })?;
    let runs = read_runs(&mut reader, settled_to, rows)?;
    read_positions(&runs, rows, &mut reader, |tag, found| once(vector.add(Some(tag), found), found))?;
    reader.finish()?;
    Ok(vector)
}

/// Commits after `settled_to`, each with how many of the rows it deleted.
fn read_runs(reader: &mut ByteReader<'_>, settled_to: SnapshotId, rows: u32) -> Result<Vec<(SnapshotId, u32)>> {
    let count = reader.u32()?;
    if count > rows {
        return Err(reader.corrupt(format_args!("at most {rows} commits"), count));
    }
    let mut tags: Vec<u64> = Vec::new();
    delta::decode(count as usize, reader, |block| tags.extend_from_slice(block))?;
    let ordered = tags.first().is_none_or(|first| *first > settled_to.0) && tags.is_sorted_by(|a, b| a < b);
    if !ordered || tags.last().is_some_and(|last| *last >= TAG_END) {
        return Err(reader.corrupt(format_args!("ascending commits after {settled_to}"), "others"));
    }
    let mut runs = Vec::with_capacity(tags.len());
    let (mut total, mut empty) = (0_u64, false);
    bitpack::unpack(tags.len(), reader, |lengths| {
        for length in lengths {
            total = total.saturating_add(*length);
            empty |= *length == 0;
            runs.push((SnapshotId(tags[runs.len()]), *length as u32));
        }
    })?;
    if empty || total > u64::from(rows) {
        return Err(reader.corrupt(format_args!("at most {rows} rows, some for each commit"), total));
    }
    Ok(runs)
}

/// Reads the positions of runs and hands them on, up to a block at a time, each time with their run's tag. `keep` says whether all of
/// them were new.
fn read_positions(
    runs: &[(SnapshotId, u32)],
    rows: u32,
    reader: &mut ByteReader<'_>,
    mut keep: impl FnMut(SnapshotId, &[u32]) -> bool,
) -> Result<()> {
    let count: usize = runs.iter().map(|(_, length)| *length as usize).sum();
    let mut runs = runs.iter().copied();
    let (mut tag, mut left, mut next) = (SnapshotId(0), 0, 0_u64);
    let mut found = Vec::with_capacity(bitpack::BLOCK_KEYS);
    let mut sound = true;
    bitpack::unpack(count, reader, |gaps| {
        let mut gaps = gaps;
        while sound && !gaps.is_empty() {
            if left == 0 {
                let Some(run) = runs.next() else { return };
                (tag, left, next) = (run.0, run.1 as usize, 0);
            }
            let (part, later) = gaps.split_at(gaps.len().min(left));
            found.clear();
            for gap in part {
                let position = next.saturating_add(*gap);
                sound &= position < u64::from(rows);
                found.push(position as u32);
                next = position.saturating_add(1);
            }
            sound = sound && keep(tag, &found);
            left -= part.len();
            gaps = later;
        }
    })?;
    match sound {
        true => Ok(()),
        false => Err(reader.corrupt(format_args!("positions below {rows}, each once"), "others")),
    }
}
