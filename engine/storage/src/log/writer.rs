//! Appends groups of records, starts and recycles files.
//!
//! **Invariants**
//! 1. `append` returns `Ok` only after the sync of all its records.
//! 2. After a failure that leaves the outcome unknown, nothing is written any more: not by this writer, and, by the latch
//!    below it, by nobody.
//! 3. The closing mark always fits: its bytes are set aside in every file.

use std::io::IoSlice;
use std::ops::Range;
use std::sync::Arc;

use super::reader::ReplayEnd;
use super::record::{Body, RECORD_HEADER_BYTES, Record, RecordHeader, record_bytes};
use super::{FOLDER, LogFile, LogHeader, LogOptions, RECORDS_OFFSET, Spares, log_path};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::SnapshotId;
use crate::io::{Disk, DiskFile};

/// Bodies up to this are copied beside their headers, larger ones are written from where they are.
const COPY_BYTES_MAX: usize = 16 << 10;
/// Length of a file that holds one large group is a multiple of this.
const FILE_BYTES_STEP: u64 = 4096;
/// The unproven tail is read and written again in pieces of this size.
const REWRITE_BYTES: u64 = 4 << 20;

/// The one writer of the log.
#[derive(Debug)]
pub(crate) struct LogWriter {
    disk: Arc<dyn Disk>,
    options: LogOptions,
    spares: Arc<Spares>,
    /// Files with records that may still be needed, oldest first.
    older: Vec<LogFile>,
    /// `None` until there was room for a first file.
    current: Option<Current>,
    generation: u64,
    last: SnapshotId,
    last_time_us: i64,
    entropy: u64,
    state: State,
    scratch: Vec<u8>,
}

/// The file that is written to.
#[derive(Debug)]
struct Current {
    file: Arc<dyn DiskFile>,
    header: LogHeader,
    file_bytes: u64,
    offset: u64,
}

impl Current {
    fn fits(&self, bytes: u64) -> bool {
        self.offset + bytes + RECORD_HEADER_BYTES as u64 <= self.file_bytes
    }

    fn as_log_file(&self) -> LogFile {
        LogFile {
            generation: self.header.generation,
            base: self.header.base,
            file_bytes: self.file_bytes,
            record_bytes: self.offset - RECORDS_OFFSET,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Closed,
    /// A write failed; what of it is on disk is unknown.
    Broken,
}

/// A part of a group's bytes: from the scratch buffer or a body.
enum Piece<'a> {
    Scratch(Range<usize>),
    Body(&'a [u8]),
}

impl LogWriter {
    /// Starts a new log file after the newest durable commit that replay found, once that commit is durable. Old files stay until released.
    /// On a full disk the file is started by the first append that finds room.
    ///
    /// # Errors
    /// `Internal` and `Latched` for failed calls.
    pub(crate) fn start(disk: Arc<dyn Disk>, options: LogOptions, end: ReplayEnd) -> Result<Self> {
        disk.create_dir(FOLDER).map_err(|error| Error::io("create", FOLDER, error))?;
        disk.sync_dir("").map_err(|error| Error::io("sync", "the data directory", error))?;
        // A killed process may have left renames that are visible but not durable: a spare taken on their word could come
        // back under the name it had as a log file.
        disk.sync_dir(FOLDER).map_err(|error| Error::io("sync", FOLDER, error))?;
        rewrite_unproven(&*disk, &end)?;
        let spares = Arc::new(Spares::load(Arc::clone(&disk), options.clone())?);
        let mut writer = Self {
            disk,
            options,
            spares,
            generation: end.files.last().map_or(0, |newest| newest.generation),
            older: end.files,
            current: None,
            last: end.last,
            last_time_us: 0,
            entropy: end.entropy,
            state: State::Open,
            scratch: Vec::new(),
        };
        writer.release(end.checkpoint)?;
        match writer.start_file(0) {
            Err(error) if error.kind() == ErrorKind::Exhausted => {}
            outcome => outcome?,
        }
        writer.release(end.checkpoint)?;
        Ok(writer)
    }

    /// Writes the group in one write and one sync, in a new file if the current one is full. `Ok` = durable.
    ///
    /// # Errors
    /// `Exhausted` if no space could be reserved and `Invalid` for a body that is too large: nothing was written, the writer
    /// goes on. `Unavailable` after [`LogWriter::close`]. Anything else: the outcome is unknown, or a sync failed, and all
    /// later calls fail with `Latched`.
    ///
    /// # Panics
    /// If the snapshot ids do not follow the last one without a gap.
    pub(crate) fn append(&mut self, records: &[Record<'_>]) -> Result<()> {
        self.check_open()?;
        let Some(newest) = records.last() else { return Ok(()) };
        let bytes = self.check_group(records)?;
        if !self.current.as_ref().is_some_and(|current| current.fits(bytes)) {
            self.start_file(bytes)?;
        }
        self.write_group(records)?;
        self.last = newest.snapshot;
        self.last_time_us = newest.time_us;
        Ok(())
    }

    /// Starts the next file, so that the records before it can be released. Does nothing while the current one is empty.
    ///
    /// # Errors
    /// As [`LogWriter::append`].
    pub(crate) fn roll(&mut self) -> Result<()> {
        self.check_open()?;
        if self.current.as_ref().is_some_and(|current| current.offset == RECORDS_OFFSET) {
            return Ok(());
        }
        self.start_file(0)
    }

    /// Every record up to and including `checkpoint` is in segments, durably: files that hold only such records become
    /// spares or are removed. The current file stays.
    ///
    /// # Errors
    /// `Internal` and `Latched` for failed calls; what was not released is tried again next time.
    pub(crate) fn release(&mut self, checkpoint: SnapshotId) -> Result<()> {
        let mut changed = false;
        while let Some(file) = self.older.first().copied() {
            let next = self.older.get(1).map(|next| next.base);
            let Some(base) = next.or(self.current.as_ref().map(|current| current.header.base)) else { break };
            if base > checkpoint {
                break;
            }
            self.recycle(&file)?;
            self.older.remove(0);
            changed = true;
        }
        if !changed {
            return Ok(());
        }
        self.disk.sync_dir(FOLDER).map_err(|error| Error::io("sync", FOLDER, error))
    }

    /// Bytes of the records in all files not yet released.
    pub(crate) fn bytes(&self) -> u64 {
        let current = self.current.as_ref().map(Current::as_log_file);
        self.older.iter().chain(&current).map(|file| file.record_bytes).sum()
    }

    /// The newest record that is durable.
    pub(crate) fn last(&self) -> SnapshotId {
        self.last
    }

    /// The spare files, for a background thread that keeps one ready.
    pub(crate) fn spares(&self) -> Arc<Spares> {
        Arc::clone(&self.spares)
    }

    /// Writes and syncs the closing mark, after which damage to the newest records is told from a torn tail.
    ///
    /// # Errors
    /// As [`LogWriter::append`]; nothing that was acknowledged is in doubt.
    pub(crate) fn close(&mut self) -> Result<()> {
        self.check_open()?;
        self.state = State::Closed;
        let Some(current) = &self.current else { return Ok(()) };
        self.scratch.clear();
        let LogHeader { generation, salt, .. } = current.header;
        RecordHeader::close(self.last, generation, self.last_time_us).encode(salt, &mut self.scratch);
        let outcome = write_and_sync(&*current.file, current.offset, &[IoSlice::new(&self.scratch)]);
        self.settle("write the closing mark to", generation, outcome)
    }

    fn check_open(&self) -> Result<()> {
        match self.state {
            State::Open => Ok(()),
            State::Closed => Err(Error::new(ErrorKind::Unavailable, "the log is closed")),
            State::Broken => Err(Error::new(ErrorKind::Latched, "an earlier write to the log failed")),
        }
    }

    /// Bytes of the group in the file.
    fn check_group(&self, records: &[Record<'_>]) -> Result<u64> {
        let mut bytes = 0;
        let mut previous = self.last;
        for record in records {
            assert_eq!(record.snapshot, previous.next(), "snapshot ids in the log have no gap");
            if !record.body.fits() {
                let limit = Body::RAW_BYTES_MAX;
                return Err(Error::new(ErrorKind::Invalid, format!("the commit is too large: bytes_max={limit}")));
            }
            bytes += record_bytes(record.body.stored_bytes());
            previous = record.snapshot;
        }
        Ok(bytes)
    }

    fn write_group(&mut self, records: &[Record<'_>]) -> Result<()> {
        let current = self.current.as_mut().expect("append started a file");
        self.scratch.clear();
        let pieces = encode_group(records, &current.header, self.last, &mut self.scratch);
        let slices: Vec<IoSlice<'_>> = pieces
            .iter()
            .map(|piece| match piece {
                Piece::Scratch(range) => IoSlice::new(&self.scratch[range.clone()]),
                Piece::Body(bytes) => IoSlice::new(bytes),
            })
            .collect();
        let outcome = write_and_sync(&*current.file, current.offset, &slices);
        current.offset += slices.iter().map(|slice| slice.len() as u64).sum::<u64>();
        let generation = current.header.generation;
        self.settle("append to", generation, outcome)?;
        self.entropy = records.iter().fold(self.entropy, |entropy, record| mixed(entropy, record.time_us as u64));
        Ok(())
    }

    /// Makes a file with room for `bytes` of records the current one.
    fn start_file(&mut self, bytes: u64) -> Result<()> {
        let needed = RECORDS_OFFSET + bytes + RECORD_HEADER_BYTES as u64;
        let file_bytes = if needed <= self.options.file_bytes {
            self.options.file_bytes
        } else {
            needed.next_multiple_of(FILE_BYTES_STEP)
        };
        let path = self.spares.take(file_bytes)?;
        let generation = self.generation + 1;
        let header = LogHeader { generation, base: self.last, salt: mixed(self.entropy, generation) };
        // From here on a file of this generation may exist, which would void what an older one gets after it.
        let outcome = self.publish(&path, &header);
        let file = self.settle("start", generation, outcome)?;
        self.generation = generation;
        let next = Current { file, header, file_bytes, offset: RECORDS_OFFSET };
        self.older.extend(self.current.replace(next).map(|full| full.as_log_file()));
        Ok(())
    }

    /// Gives a spare its header, durably, and then its name, durably.
    fn publish(&self, spare: &str, header: &LogHeader) -> std::io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.open(spare)?;
        write_and_sync(&*file, 0, &[IoSlice::new(&header.encode())])?;
        self.disk.rename(spare, &log_path(header.generation))?;
        self.disk.sync_dir(FOLDER)?;
        Ok(file)
    }

    /// Turns a failure with unknown outcome into an error that is never taken for a clean refusal.
    fn settle<T>(&mut self, action: &str, generation: u64, outcome: std::io::Result<T>) -> Result<T> {
        outcome.map_err(|source| {
            self.state = State::Broken;
            let kind = if crate::io::latch::is_refusal(&source) { ErrorKind::Latched } else { ErrorKind::Internal };
            Error::with_source(kind, format!("cannot {action} the log: file={}", log_path(generation)), source)
        })
    }

    fn recycle(&self, file: &LogFile) -> Result<()> {
        let path = file.path();
        if file.file_bytes == self.options.file_bytes && self.spares.has_room() {
            return self.spares.keep(&path);
        }
        self.disk.remove(&path).map_err(|error| Error::io("remove", &path, error))
    }
}

/// Lays out the group: small bodies are copied between the headers, so that many small records are one slice.
fn encode_group<'a>(
    records: &[Record<'a>],
    file: &LogHeader,
    synced: SnapshotId,
    scratch: &mut Vec<u8>,
) -> Vec<Piece<'a>> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for record in records {
        let stored = record.body.stored();
        RecordHeader::commit(record, file.generation, synced).encode(file.salt, scratch);
        if stored.len() <= COPY_BYTES_MAX {
            scratch.extend_from_slice(stored);
        } else {
            pieces.extend([Piece::Scratch(start..scratch.len()), Piece::Body(stored)]);
            start = scratch.len();
        }
        let padding = record_bytes(stored.len()) as usize - RECORD_HEADER_BYTES - stored.len();
        scratch.resize(scratch.len() + padding, 0);
    }
    if start < scratch.len() {
        pieces.push(Piece::Scratch(start..scratch.len()));
    }
    pieces
}

fn write_and_sync(file: &dyn DiskFile, offset: u64, slices: &[IoSlice<'_>]) -> std::io::Result<()> {
    file.write_at(offset, slices)?;
    file.sync()
}

/// Writes the records that nothing proves to be synced once more, in place and unchanged, and syncs them.
///
/// A sync alone would not do: if one failed before the restart, the kernel may show bytes that it has given up writing.
/// The disk holds either these very bytes or garbage there, so a crash in the middle of this loses nothing.
fn rewrite_unproven(disk: &dyn Disk, end: &ReplayEnd) -> Result<()> {
    let (Some((from, to)), Some(newest)) = (end.unproven, end.files.last()) else { return Ok(()) };
    let path = newest.path();
    let rewrite = || -> std::io::Result<()> {
        let file = disk.open(&path)?;
        let mut bytes = Vec::new();
        let mut offset = from;
        while offset < to {
            bytes.resize((to - offset).min(REWRITE_BYTES) as usize, 0);
            file.read_at(offset, &mut bytes)?;
            file.write_at(offset, &[IoSlice::new(&bytes)])?;
            offset += bytes.len() as u64;
        }
        file.sync()
    };
    rewrite().map_err(|error| Error::io("make durable the end of", &path, error))
}

/// Spreads a value over all bits (the finalizer of SplitMix64).
fn mixed(entropy: u64, value: u64) -> u64 {
    let mut mixed = (entropy ^ value).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests;
