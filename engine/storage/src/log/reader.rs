//! Replay: reads the log at open, and tells a torn tail from corruption.
//!
//! **Invariants**
//! 1. Records are delivered in order, without a gap, from the one after the checkpoint; each is whole.
//! 2. A bad record ends the log only if nothing proves that it was synced. The proof is one of: the checkpoint is at or past it;
//!    a later file's header says that much came before; a valid header later in the file says that much was synced.
//! 3. What is allocated for a record is bounded by the bytes that its file really has.
//!
//! It changes nothing on the disk; [`super::LogWriter::start`] does what replay's end calls for.

mod walk;

use std::borrow::Cow;
use std::sync::Arc;

use arrow_buffer::Buffer;

pub(crate) use walk::{Found, Walk, files, walk};

use super::record::{
    ALIGNMENT, Body, Compression, Kind, Mismatch, RECORD_HEADER_BYTES, RecordHeader, TAIL_LENGTH_BYTES, check,
};
use super::{FOLDER, LOG_HEADER_BYTES, LogFile, LogHeader, RECORDS_OFFSET, log_path, number_of};
use crate::error::{Error, Result};
use crate::ids::SnapshotId;
use crate::io::{Disk, DiskFile};

/// Bytes read at once. 4 MiB: large against a seek, small against the memory budget.
const WINDOW_BYTES: u64 = 4 << 20;
/// Stored bytes of records delivered at once.
const SLICE_BYTES: usize = 4 << 20;

/// A record found in the log, still compressed.
#[derive(Debug)]
pub(crate) struct Replayed {
    pub(crate) snapshot: SnapshotId,
    pub(crate) time_us: i64,
    stored: Buffer,
    compression: Compression,
    has_tail: bool,
    raw_bytes: usize,
    path: Arc<str>,
    offset: u64,
}

impl Replayed {
    /// The body as it was given to [`super::Body::new`]. Decompresses on the caller's thread.
    ///
    /// # Errors
    /// `Corrupt` if bytes with a right checksum do not decompress to the length the header names.
    pub(crate) fn raw(&self) -> Result<Cow<'_, [u8]>> {
        let (stored, _) = self.parts()?;
        if self.compression == Compression::Plain {
            return match stored.len() == self.raw_bytes {
                true => Ok(Cow::Borrowed(stored)),
                false => Err(self.corrupt_body(format_args!("{} bytes", stored.len()))),
            };
        }
        match lz4_flex::block::decompress(stored, self.raw_bytes) {
            Ok(raw) if raw.len() == self.raw_bytes => Ok(Cow::Owned(raw)),
            Ok(raw) => Err(self.corrupt_body(format_args!("{} bytes", raw.len()))),
            Err(error) => Err(self.corrupt_body(error)),
        }
    }

    /// What the committer added by [`super::Body::with_tail`]; empty if nothing.
    ///
    /// # Errors
    /// `Corrupt` if bytes with a right checksum do not hold a tail.
    pub(crate) fn tail(&self) -> Result<&[u8]> {
        self.parts().map(|(_, tail)| tail)
    }

    /// The stored body and the tail.
    fn parts(&self) -> Result<(&[u8], &[u8])> {
        if !self.has_tail {
            return Ok((&self.stored, &[]));
        }
        let parts = self.stored.split_last_chunk::<TAIL_LENGTH_BYTES>().and_then(|(rest, length)| {
            let at = rest.len().checked_sub(u32::from_le_bytes(*length) as usize)?;
            Some(rest.split_at(at))
        });
        parts.ok_or_else(|| Error::corrupt(&self.path, self.offset, "a tail within the record", "a longer one"))
    }

    /// The body to be written to another log, as it is stored here.
    pub(super) fn body(&self) -> Body {
        Body::from_stored(self.stored.as_slice().to_vec(), self.compression, self.has_tail, self.raw_bytes)
    }

    /// Bytes of the body in the log.
    pub(crate) fn stored_bytes(&self) -> usize {
        self.stored.len()
    }

    /// Bytes of the body before compression.
    pub(crate) fn raw_bytes(&self) -> usize {
        self.raw_bytes
    }

    /// Where it stands, for messages about its body.
    pub(crate) fn place(&self) -> (&str, u64) {
        (&self.path, self.offset)
    }

    fn corrupt_body(&self, found: impl std::fmt::Display) -> Error {
        Error::corrupt(&self.path, self.offset, format_args!("an lz4 body of {} bytes", self.raw_bytes), found)
    }
}

/// Where the log ends, and what a writer must know to go on.
#[derive(Debug)]
pub(crate) struct ReplayEnd {
    /// The newest commit; the checkpoint if none came after it.
    pub(crate) last: SnapshotId,
    /// The checkpoint that replay was given.
    pub(super) checkpoint: SnapshotId,
    pub(super) files: Vec<LogFile>,
    /// Records of the last file that nothing proves to be synced, as a range of offsets.
    pub(super) unproven: Option<(u64, u64)>,
    /// What the next file's salt is made of.
    pub(super) entropy: u64,
}

impl ReplayEnd {
    /// The end of a log that has no files yet and goes on after `checkpoint`.
    pub(super) fn without_files(checkpoint: SnapshotId, entropy: u64) -> Self {
        Self { last: checkpoint, checkpoint, files: Vec::new(), unproven: None, entropy }
    }
}

/// Delivers every whole record after `after`, in order, in slices of records (a few MiB each); stops at a torn tail.
///
/// The end is durable, and so fit to be acknowledged or shown, only once [`super::LogWriter::start`] took it.
///
/// # Errors
/// `Corrupt` for damage to what was synced; `Unsupported` for another version's file; `Internal` for failed reads; those of
/// `deliver`.
pub(crate) fn replay(
    disk: &dyn Disk,
    after: SnapshotId,
    deliver: &mut dyn FnMut(Vec<Replayed>) -> Result<()>,
) -> Result<ReplayEnd> {
    replay_through(disk, after, SnapshotId(u64::MAX), deliver)
}

/// As [`replay`], but looks at nothing past record `through`: up to a record that is known to be synced, a log can be read while it is written,
/// as long as no file is released.
///
/// # Errors
/// As [`replay`].
pub(super) fn replay_through(
    disk: &dyn Disk,
    after: SnapshotId,
    through: SnapshotId,
    deliver: &mut dyn FnMut(Vec<Replayed>) -> Result<()>,
) -> Result<ReplayEnd> {
    let files = open_all(disk)?;
    check_bases(&files, after)?;
    let mut end = ReplayEnd { last: after, checkpoint: after, files: Vec::new(), unproven: None, entropy: 0 };
    let mut slice = Slice { records: Vec::new(), stored_bytes: 0, deliver };
    for (index, file) in files.iter().enumerate() {
        let next_base = files.get(index + 1).map(|next| next.header.base);
        let mut record_bytes = file.window.file_bytes.saturating_sub(RECORDS_OFFSET);
        let wanted = next_base.is_none_or(|base| base > after) && file.header.base <= through;
        if wanted {
            let read = FileReplay::new(file.clone(), after, through, next_base).run(&mut slice)?;
            record_bytes = read.end - RECORDS_OFFSET;
            end.last = read.last.max(after);
            end.unproven = read.unproven;
            end.entropy = read.entropy;
        }
        let LogHeader { generation, base, .. } = file.header;
        end.files.push(LogFile { generation, base, file_bytes: file.window.file_bytes, record_bytes });
    }
    slice.flush()?;
    Ok(end)
}

/// A file whose header was read.
#[derive(Clone)]
struct OpenFile {
    path: Arc<str>,
    header: LogHeader,
    window: Window,
}

/// All log files, oldest first.
fn open_all(disk: &dyn Disk) -> Result<Vec<OpenFile>> {
    let names = disk.list(FOLDER).map_err(|error| Error::io("list", FOLDER, error))?;
    let mut generations: Vec<u64> = names.iter().filter_map(|name| number_of(name, "log")).collect();
    generations.sort_unstable();
    generations.into_iter().map(|generation| open_one(disk, generation)).collect()
}

fn open_one(disk: &dyn Disk, generation: u64) -> Result<OpenFile> {
    let file = open_file(disk, &log_path(generation))?;
    let found = file.header.generation;
    if found != generation {
        return Err(Error::corrupt(&file.path, 16, format_args!("generation {generation}"), found));
    }
    Ok(file)
}

fn open_file(disk: &dyn Disk, path: &str) -> Result<OpenFile> {
    let path: Arc<str> = path.into();
    let file = disk.open(&path).map_err(|error| Error::io("open", &path, error))?;
    let file_bytes = file.len().map_err(|error| Error::io("read the length of", &path, error))?;
    if file_bytes < RECORDS_OFFSET {
        let expected = format_args!("at least {RECORDS_OFFSET} bytes");
        return Err(Error::corrupt(&path, 0, expected, format_args!("{file_bytes} bytes")));
    }
    let mut bytes = [0; LOG_HEADER_BYTES];
    file.read_at(0, &mut bytes).map_err(|error| Error::io("read", &path, error))?;
    let header = LogHeader::decode(&path, &bytes)?;
    let window = Window { path: Arc::clone(&path), file, file_bytes, start: 0, bytes: Buffer::from(Vec::<u8>::new()) };
    Ok(OpenFile { path, header, window })
}

/// The files must start at or before the checkpoint and never step back.
fn check_bases(files: &[OpenFile], after: SnapshotId) -> Result<()> {
    match files.first() {
        None if after > SnapshotId(0) => {
            return Err(Error::corrupt(
                FOLDER,
                0,
                format_args!("a log file for what follows snapshot {after}"),
                "none",
            ));
        }
        Some(first) if first.header.base > after => {
            let expected = format_args!("a log that starts at or before snapshot {after}");
            return Err(Error::corrupt(&first.path, 24, expected, first.header.base));
        }
        _ => {}
    }
    for pair in files.windows(2) {
        let (before, base) = (pair[0].header.base, pair[1].header.base);
        if base < before {
            return Err(Error::corrupt(&pair[1].path, 24, format_args!("a base of at least {before}"), base));
        }
    }
    Ok(())
}

/// Gathers records for one delivery.
struct Slice<'a> {
    records: Vec<Replayed>,
    stored_bytes: usize,
    deliver: &'a mut dyn FnMut(Vec<Replayed>) -> Result<()>,
}

impl Slice<'_> {
    fn push(&mut self, record: Replayed) -> Result<()> {
        self.stored_bytes += record.stored.len() + RECORD_HEADER_BYTES;
        self.records.push(record);
        if self.stored_bytes < SLICE_BYTES {
            return Ok(());
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        if self.records.is_empty() {
            return Ok(());
        }
        self.stored_bytes = 0;
        (self.deliver)(std::mem::take(&mut self.records))
    }
}

/// Reads the records of one file.
struct FileReplay {
    path: Arc<str>,
    header: LogHeader,
    window: Window,
    after: SnapshotId,
    /// The last record that is looked at.
    through: SnapshotId,
    /// What the next file says came before it; `None` for the last file.
    next_base: Option<SnapshotId>,
    last: SnapshotId,
    unproven_from: Option<u64>,
    entropy: u64,
}

/// How far one file was read.
struct FileEnd {
    last: SnapshotId,
    /// Just past the last whole record.
    end: u64,
    unproven: Option<(u64, u64)>,
    entropy: u64,
}

impl FileReplay {
    fn new(file: OpenFile, after: SnapshotId, through: SnapshotId, next_base: Option<SnapshotId>) -> Self {
        let OpenFile { path, header, window } = file;
        let (last, entropy) = (header.base, header.salt);
        Self { path, header, window, after, through, next_base, last, unproven_from: None, entropy }
    }

    fn run(mut self, slice: &mut Slice<'_>) -> Result<FileEnd> {
        let mut offset = RECORDS_OFFSET;
        while self.next_base != Some(self.last) && self.last < self.through {
            match self.read(offset)? {
                Ok((header, _)) if header.kind == Kind::Close => {
                    self.check_snapshot(offset, self.last, header.snapshot)?;
                    self.unproven_from = None;
                    break;
                }
                Ok((header, stored)) => {
                    self.accept(offset, &header)?;
                    if let Some(stored) = stored {
                        slice.push(self.replayed(offset, &header, stored))?;
                    }
                    offset += header.bytes();
                }
                Err(mismatch) => {
                    self.check_unproven(offset, mismatch)?;
                    break;
                }
            }
        }
        let unproven = self.unproven_from.map(|from| (from, offset));
        Ok(FileEnd { last: self.last, end: offset, unproven, entropy: self.entropy })
    }

    /// Reads the record at `offset`, its body only if it is after the checkpoint. What is there may be no record.
    fn read(&mut self, offset: u64) -> Result<Result<(RecordHeader, Option<Buffer>), Mismatch>> {
        let LogHeader { generation, salt, .. } = self.header;
        let Some(fixed) = self.window.view(offset, RECORD_HEADER_BYTES as u64)?.and_then(|bytes| bytes.first_chunk())
        else {
            return Ok(Err(Mismatch::new("a record", "the end of the file")));
        };
        let header = match RecordHeader::decode(fixed, salt, generation) {
            Ok(header) => header,
            Err(mismatch) => return Ok(Err(mismatch)),
        };
        if offset + header.bytes() > self.window.file_bytes {
            let expected = format_args!("a record of {} bytes", header.bytes());
            return Ok(Err(Mismatch::new(expected, format_args!("a file of {} bytes", self.window.file_bytes))));
        }
        if header.snapshot <= self.after || header.kind == Kind::Close {
            return Ok(Ok((header, None)));
        }
        let body = self.window.take(offset + RECORD_HEADER_BYTES as u64, u64::from(header.stored_bytes))?;
        let body = body.unwrap_or_else(|| Buffer::from(Vec::<u8>::new()));
        Ok(check("body checksum", header.body_crc, crc32fast::hash(&body)).map(|()| (header, Some(body))))
    }

    /// Takes a whole record as the next one.
    fn accept(&mut self, offset: u64, header: &RecordHeader) -> Result<()> {
        self.check_snapshot(offset, self.last.next(), header.snapshot)?;
        if header.synced >= self.last {
            // A new group: all before it is proven.
            self.unproven_from = Some(offset);
        }
        self.last = header.snapshot;
        self.entropy = self.entropy.rotate_left(5) ^ (header.time_us as u64) ^ u64::from(header.body_crc) << 32;
        Ok(())
    }

    fn replayed(&self, offset: u64, header: &RecordHeader, stored: Buffer) -> Replayed {
        Replayed {
            snapshot: header.snapshot,
            time_us: header.time_us,
            stored,
            compression: header.compression,
            has_tail: header.has_tail,
            raw_bytes: header.raw_bytes as usize,
            path: Arc::clone(&self.path),
            offset,
        }
    }

    /// A record with right checksums was written right here: a wrong id is no torn write.
    fn check_snapshot(&self, offset: u64, expected: SnapshotId, found: SnapshotId) -> Result<()> {
        if expected == found {
            return Ok(());
        }
        Err(Error::corrupt(&self.path, offset, format_args!("snapshot {expected}"), found))
    }

    /// Lets the log end at a bad record, unless something proves that the record was synced.
    fn check_unproven(&mut self, offset: u64, mismatch: Mismatch) -> Result<()> {
        let missing = self.last.next();
        let proof = if self.next_base.is_some_and(|base| base >= missing) {
            Some("the next file".to_owned())
        } else if self.after >= missing {
            Some(format!("checkpoint {}", self.after))
        } else {
            self.find_proof(offset, missing)?.map(|later| format!("a record at offset {later}"))
        };
        let Some(proof) = proof else { return Ok(()) };
        let Mismatch { expected, found } = mismatch;
        let expected = format_args!("{expected} (snapshot {missing} was synced, says {proof})");
        Err(Error::corrupt(&self.path, offset, expected, found))
    }

    /// Searches the rest of the file for a header that says `missing` was synced before it was written.
    fn find_proof(&mut self, offset: u64, missing: SnapshotId) -> Result<Option<u64>> {
        let LogHeader { generation, salt, .. } = self.header;
        let mut at = offset + ALIGNMENT;
        while at + RECORD_HEADER_BYTES as u64 <= self.window.file_bytes {
            let count = WINDOW_BYTES.min(self.window.file_bytes - at);
            let Some(bytes) = self.window.view(at, count)? else { break };
            let starts = (0..bytes.len() - RECORD_HEADER_BYTES + 1).step_by(ALIGNMENT as usize);
            let proof = starts.clone().find(|start| {
                let header = first_header(&bytes[*start..], salt, generation);
                header.is_some_and(|header| header.synced >= missing)
            });
            if let Some(start) = proof {
                return Ok(Some(at + start as u64));
            }
            at += starts.len() as u64 * ALIGNMENT;
        }
        Ok(None)
    }
}

/// The header these bytes start with, if they do.
fn first_header(bytes: &[u8], salt: u64, generation: u64) -> Option<RecordHeader> {
    let fixed = bytes.first_chunk().filter(|bytes| RecordHeader::may_start(bytes))?;
    RecordHeader::decode(fixed, salt, generation).ok()
}

/// Reads a file front to back through one buffer, whose slices stay valid.
#[derive(Clone)]
struct Window {
    path: Arc<str>,
    file: Arc<dyn DiskFile>,
    file_bytes: u64,
    start: u64,
    bytes: Buffer,
}

impl Window {
    /// The bytes at `offset`, or `None` if the file ends before them.
    fn view(&mut self, offset: u64, count: u64) -> Result<Option<&[u8]>> {
        if offset.checked_add(count).is_none_or(|end| end > self.file_bytes) {
            return Ok(None);
        }
        if offset < self.start || offset + count > self.start + self.bytes.len() as u64 {
            self.load(offset, count)?;
        }
        let start = (offset - self.start) as usize;
        Ok(Some(&self.bytes[start..start + count as usize]))
    }

    /// As [`Window::view`], but the bytes stay when the window moves on.
    fn take(&mut self, offset: u64, count: u64) -> Result<Option<Buffer>> {
        if self.view(offset, count)?.is_none() {
            return Ok(None);
        }
        Ok(Some(self.bytes.slice_with_length((offset - self.start) as usize, count as usize)))
    }

    fn load(&mut self, offset: u64, count: u64) -> Result<()> {
        let length = count.max(WINDOW_BYTES).min(self.file_bytes - offset);
        let mut bytes = vec![0; length as usize];
        self.file.read_at(offset, &mut bytes).map_err(|error| Error::io("read", &self.path, error))?;
        self.bytes = Buffer::from(bytes);
        self.start = offset;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
