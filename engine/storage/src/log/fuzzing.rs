//! Checks of the log's decoders, for [`crate::fuzzing`].

use std::io::IoSlice;
use std::sync::Arc;

use super::reader::{Replayed, replay};
use super::record::{ALIGNMENT, RECORD_HEADER_BYTES, RecordHeader, repair_header};
use super::{FOLDER, LogHeader, RECORDS_OFFSET, log_path};
use crate::frame::ByteReader;
use crate::fuzzing::{FILE, REPAIR};
use crate::ids::SnapshotId;
use crate::io::Disk;
use crate::io::sim::SimDisk;

/// The salt of every file here.
const SALT: u64 = 7;
/// The number of the first file.
const GENERATION: u64 = 1;

/// An input is a set of flags and the header of a record.
pub fn log_record(bytes: &[u8]) {
    let [flags, rest @ ..] = bytes else { return };
    let Some(mut header) = rest.first_chunk::<RECORD_HEADER_BYTES>().copied() else { return };
    if flags & REPAIR > 0 {
        repair_header(&mut header, SALT, GENERATION, None);
    }
    let Ok(decoded) = RecordHeader::decode(&header, SALT, GENERATION) else { return };
    let mut written = Vec::new();
    decoded.encode(SALT, &mut written);
    assert_eq!(written, header);
    assert!(decoded.bytes().is_multiple_of(ALIGNMENT) && decoded.bytes() >= RECORD_HEADER_BYTES as u64);
}

/// A log of up to two files.
struct LogInput<'a> {
    flags: u8,
    /// Everything up to here is in segments.
    checkpoint: SnapshotId,
    /// The last snapshot before each file, and the bytes where its records are.
    files: [(SnapshotId, &'a [u8]); 2],
}

/// Flag of a [`log_replay`] input: there is a second file.
const TWO_FILES: u8 = 2;

/// An input is a set of flags, the checkpoint, the bases of two files (a byte each), the length of the first one's records (u16), and the
/// records.
pub fn log_replay(bytes: &[u8]) {
    if let Some(input) = LogInput::decode(bytes) {
        check_replay(&input);
    }
}

impl<'a> LogInput<'a> {
    fn decode(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = ByteReader::new(FILE, 0, bytes);
        let mut byte = || reader.u8().ok();
        let (flags, checkpoint, bases) = (byte()?, byte()?, [byte()?, byte()?]);
        let length = usize::from(u16::from_le_bytes([byte()?, byte()?]));
        let records = reader.take(reader.remaining()).ok()?;
        let (first, second) =
            records.split_at(if flags & TWO_FILES > 0 { length.min(records.len()) } else { records.len() });
        let [first_base, second_base] = bases.map(|base| SnapshotId(u64::from(base)));
        let files = [(first_base, first), (second_base, second)];
        Some(Self { flags, checkpoint: SnapshotId(u64::from(checkpoint)), files })
    }

    /// A disk with the files.
    fn disk(&self) -> std::io::Result<SimDisk> {
        let disk = SimDisk::new(1);
        disk.create_dir(FOLDER)?;
        let count = if self.flags & TWO_FILES > 0 { 2 } else { 1 };
        for (generation, (base, records)) in (GENERATION..).zip(&self.files[..count]) {
            let mut records = records.to_vec();
            if self.flags & REPAIR > 0 {
                repair_records(&mut records, generation);
            }
            let file = with_header(&records, generation, *base);
            disk.create(&log_path(generation))?.write_at(0, &[IoSlice::new(&file)])?;
        }
        Ok(disk)
    }
}

/// A file of these records.
fn with_header(records: &[u8], generation: u64, base: SnapshotId) -> Vec<u8> {
    let mut file = LogHeader { generation, base, salt: SALT }.encode().to_vec();
    file.resize(RECORDS_OFFSET as usize, 0);
    file.extend_from_slice(records);
    file
}

/// The first file of a log, with these records, all checksums put right.
pub(crate) fn repaired(records: &[u8]) -> Vec<u8> {
    let mut records = records.to_vec();
    repair_records(&mut records, GENERATION);
    with_header(&records, GENERATION, SnapshotId(0))
}

/// Puts right what is in the headers of records that follow each other from the start.
fn repair_records(records: &mut [u8], generation: u64) {
    let mut rest = records;
    while let Some((header, body)) = rest.split_first_chunk_mut::<RECORD_HEADER_BYTES>() {
        let stored_bytes = u32::from_le_bytes([header[8], header[9], header[10], header[11]]) as usize;
        repair_header(header, SALT, generation, body.get(..stored_bytes));
        let next = stored_bytes.next_multiple_of(ALIGNMENT as usize);
        rest = body.get_mut(next..).unwrap_or_default();
    }
}

fn check_replay(input: &LogInput<'_>) {
    let disk: Arc<dyn Disk> = Arc::new(input.disk().expect("a disk without faults"));
    let mut next = input.checkpoint.next();
    let end = replay(&*disk, input.checkpoint, &mut |records: Vec<Replayed>| {
        for record in records {
            assert_eq!(record.snapshot, next, "no gap");
            next = next.next();
            // A body that does not decompress, or a tail that is not there, is the caller's error to report.
            drop((record.raw(), record.tail()));
        }
        Ok(())
    });
    if let Ok(end) = end {
        assert_eq!(end.last.next(), next, "the end is the last record that was delivered");
    }
}

#[cfg(test)]
pub(crate) use seeds::{file_seeds, record_seeds, replay_seeds};

#[cfg(test)]
mod seeds {
    use super::*;
    use crate::log::record::{Body, Record};

    /// A record as a writer puts it into the first file.
    fn record(snapshot: u64, synced: u64, raw: Vec<u8>, generation: u64) -> Vec<u8> {
        let body = Body::new(raw);
        let body = if snapshot.is_multiple_of(3) { body.with_tail(&[snapshot as u8; 5]) } else { body };
        let record = Record { snapshot: SnapshotId(snapshot), time_us: 1_700_000_000_000_000, body: &body };
        let mut bytes = Vec::new();
        RecordHeader::commit(&record, generation, SnapshotId(synced)).encode(SALT, &mut bytes);
        bytes.extend_from_slice(body.stored());
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT as usize), 0);
        bytes
    }

    fn close(last: u64, generation: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        RecordHeader::close(SnapshotId(last), generation, 5).encode(SALT, &mut bytes);
        bytes
    }

    /// Headers of records that hold text, zeros and nothing, and of a closing mark.
    pub(crate) fn record_seeds() -> Vec<Vec<u8>> {
        let records = [
            record(2, 1, b"plain".to_vec(), 1),
            record(9, 3, vec![0; 500], 1),
            record(1, 0, Vec::new(), 1),
            close(4, 1),
        ];
        let inputs = records
            .iter()
            .flat_map(|bytes| [0, REPAIR].map(|flags| [&[flags], &bytes[..RECORD_HEADER_BYTES]].concat()));
        inputs.collect()
    }

    /// Whole files: closed, and with the commits of the body's check in them.
    pub(crate) fn file_seeds() -> Vec<Vec<u8>> {
        let commits = (1..).zip(crate::fuzzing::seeds::commits().into_iter().step_by(13).take(12));
        let commits: Vec<u8> = commits.flat_map(|(id, body)| record(id, id - 1, body, GENERATION)).collect();
        let closed = [record(1, 0, b"no commit".to_vec(), GENERATION), close(1, GENERATION)].concat();
        [commits, closed].map(|records| with_header(&records, GENERATION, SnapshotId(0))).into()
    }

    /// Logs: empty, of one and two files, closed and open, with a torn tail and with damage in the middle.
    pub(crate) fn replay_seeds() -> Vec<Vec<u8>> {
        let rows = |from: u64, to: u64, generation: u64| -> Vec<u8> {
            let body = |id: u64| if id.is_multiple_of(2) { vec![id as u8; 300] } else { vec![id as u8; id as usize] };
            (from..=to).flat_map(|id| record(id, (id - 1) / 3 * 3, body(id), generation)).collect()
        };
        let closed = [rows(1, 4, 1), close(4, 1)].concat();
        let torn = rows(1, 6, 1)[..300].to_vec();
        let mut damaged = rows(1, 6, 1);
        damaged[70] ^= 1;
        let zeros = [rows(1, 2, 1), vec![0; 200]].concat();
        let one_file = [Vec::new(), closed, torn, damaged, zeros].into_iter().flat_map(|records| {
            [(0, 0), (REPAIR, 0), (REPAIR, 2)]
                .map(|(flags, checkpoint)| input(flags, checkpoint, [0, 0], &records, &[]))
        });
        let (first, second) = (rows(1, 5, 1), rows(4, 7, 2));
        let two_files = [(0, 3), (REPAIR, 3), (REPAIR, 5), (REPAIR, 2)]
            .map(|(flags, base)| input(flags | TWO_FILES, 1, [0, base], &first, &second));
        one_file.chain(two_files).collect()
    }

    fn input(flags: u8, checkpoint: u8, bases: [u8; 2], first: &[u8], second: &[u8]) -> Vec<u8> {
        let length = (first.len() as u16).to_le_bytes();
        [&[flags, checkpoint], &bases[..], &length, first, second].concat()
    }
}
