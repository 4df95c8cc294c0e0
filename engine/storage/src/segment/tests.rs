use std::collections::BTreeMap;
use std::io::{Error as IoError, ErrorKind as IoErrorKind, IoSlice, Result as IoResult};
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int64Array, StringViewArray};
use arrow_buffer::Buffer;
use parking_lot::Mutex;
use proptest::prelude::*;

use super::*;
use crate::commit_runs::CommitRuns;
use crate::concat::concat;
use crate::error::{ErrorKind, Result};
use crate::ids::ColumnId;
use crate::io::{Disk, DiskFile, DiskLock};
use crate::logical_type::LogicalType;
use crate::test_arrays::{ArraySpec, Numbers, any_array};
use crate::zone_map::ZoneMap;

mod golden;

/// Files in memory, written front to back: what the writer needs of a disk.
#[derive(Debug, Default)]
struct MemoryDisk {
    files: Mutex<BTreeMap<String, Arc<MemoryFile>>>,
}

#[derive(Debug, Default)]
struct MemoryFile {
    bytes: Mutex<Vec<u8>>,
    synced_bytes: Mutex<usize>,
}

impl Disk for MemoryDisk {
    fn create(&self, path: &str) -> IoResult<Arc<dyn DiskFile>> {
        let file = Arc::new(MemoryFile::default());
        self.files.lock().insert(path.to_owned(), Arc::clone(&file));
        Ok(file)
    }
    fn create_dir(&self, _: &str) -> IoResult<()> {
        refused()
    }
    fn open(&self, _: &str) -> IoResult<Arc<dyn DiskFile>> {
        refused()
    }
    fn list(&self, _: &str) -> IoResult<Vec<String>> {
        refused()
    }
    fn rename(&self, _: &str, _: &str) -> IoResult<()> {
        refused()
    }
    fn remove(&self, _: &str) -> IoResult<()> {
        refused()
    }
    fn sync_dir(&self, _: &str) -> IoResult<()> {
        refused()
    }
    fn lock(&self) -> IoResult<Box<dyn DiskLock>> {
        refused()
    }
    fn free_bytes(&self) -> IoResult<u64> {
        refused()
    }
}

fn refused<T>() -> IoResult<T> {
    Err(IoError::from(IoErrorKind::Unsupported))
}

impl DiskFile for MemoryFile {
    fn len(&self) -> IoResult<u64> {
        Ok(self.bytes.lock().len() as u64)
    }
    fn read_at(&self, _: u64, _: &mut [u8]) -> IoResult<()> {
        refused()
    }
    fn write_at(&self, offset: u64, slices: &[IoSlice<'_>]) -> IoResult<()> {
        let mut bytes = self.bytes.lock();
        assert_eq!(offset, bytes.len() as u64, "segments are written front to back");
        slices.iter().for_each(|slice| bytes.extend_from_slice(slice));
        Ok(())
    }
    fn allocate(&self, _: u64) -> IoResult<()> {
        refused()
    }
    fn sync(&self) -> IoResult<()> {
        *self.synced_bytes.lock() = self.bytes.lock().len();
        Ok(())
    }
    fn map(&self) -> IoResult<Buffer> {
        refused()
    }
}

/// A column as a test appends it: all rows at once.
type TestColumn = (ColumnId, LogicalType, ArrayRef);

/// Writes rows in appends of these sizes (the last takes what is left), row groups of `row_group_rows`.
fn write(
    columns: &[TestColumn],
    commits: &CommitRuns,
    append_rows: &[usize],
    row_group_rows: usize,
) -> Result<(Vec<u8>, SegmentFacts)> {
    let memory = Arc::new(MemoryDisk::default());
    let disk: Arc<dyn Disk> = Arc::clone(&memory) as Arc<dyn Disk>;
    let types: Vec<_> = columns.iter().map(|(id, ty, _)| (*id, ty.clone())).collect();
    let mut writer = SegmentWriter::create(&disk, "segments/1.seg", &types, row_group_rows)?;
    let mut start = 0;
    for rows in append_rows.iter().copied().chain([usize::MAX]) {
        let rows = rows.min(commits.rows() - start);
        let slices: Vec<ArrayRef> = columns.iter().map(|(_, _, array)| array.slice(start, rows)).collect();
        writer.append(rows, &slices, &commits.slice(start..start + rows))?;
        start += rows;
    }
    let facts = writer.finish()?;
    let file = Arc::clone(&memory.files.lock()["segments/1.seg"]);
    let bytes = file.bytes.lock().clone();
    assert_eq!(*file.synced_bytes.lock(), bytes.len(), "finish leaves nothing unsynced");
    Ok((bytes, facts))
}

fn open(bytes: &[u8], facts: &SegmentFacts) -> Result<Segment> {
    Segment::open("segments/1.seg", Buffer::from(bytes), facts.bytes, facts.checksum)
}

fn column(segment: &Segment, id: ColumnId, ty: &LogicalType) -> Result<ArrayRef> {
    let groups = (0..segment.row_groups()).map(|group| Ok(segment.read(group, id)?.unwrap()));
    concat(ty, &groups.collect::<Result<Vec<_>>>()?)
}

fn all_commits(segment: &Segment) -> Result<CommitRuns> {
    let mut commits = CommitRuns::default();
    for group in 0..segment.row_groups() {
        commits.append(&segment.commit_runs(group)?);
    }
    Ok(commits)
}

/// Up to four columns of equal length, and a commit for every few rows.
fn any_segment(rows_max: usize) -> impl Strategy<Value = (Vec<ArraySpec>, CommitRuns)> {
    let columns = prop::collection::vec(any_array(rows_max), 1..5);
    (columns, prop::collection::vec((1..9_u64, 1..200_usize), 1..20)).prop_map(|(mut specs, parts)| {
        let rows = specs[0].rows;
        specs.iter_mut().for_each(|spec| spec.rows = rows);
        let mut commits = CommitRuns::default();
        let mut snapshot = 0;
        for (step, count) in parts.into_iter().cycle().take(rows) {
            snapshot += step;
            commits.push(SnapshotId(snapshot), count.min(rows - commits.rows()));
        }
        (specs, commits)
    })
}

fn test_columns(specs: &[ArraySpec]) -> Vec<TestColumn> {
    let ids = (1..).map(|i| ColumnId(i * 3));
    ids.zip(specs).map(|(id, spec)| (id, spec.ty.clone(), spec.array())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Proves that a segment holds exactly the rows, commits and bounds it was given, however they were cut into appends.
    #[test]
    fn any_segment_comes_back(
        (specs, commits) in any_segment(3000),
        appends in prop::collection::vec(0..700_usize, 0..5),
        row_group_rows in prop::sample::select(vec![1_usize, 64, 500, 4096]),
    ) {
        let columns = test_columns(&specs);
        let row_group_rows = if commits.rows() > 300 { row_group_rows.max(64) } else { row_group_rows };
        let (bytes, facts) = write(&columns, &commits, &appends, row_group_rows).unwrap();
        let segment = open(&bytes, &facts).unwrap();
        segment.verify().unwrap();
        prop_assert_eq!(segment.total_rows(), commits.rows() as u64);
        prop_assert_eq!(segment.row_groups(), commits.rows().div_ceil(row_group_rows));
        prop_assert_eq!(all_commits(&segment).unwrap(), commits.clone());
        prop_assert_eq!(facts.first_snapshot, commits.first().unwrap_or_default());
        prop_assert_eq!(facts.last_snapshot, commits.last().unwrap_or_default());
        for (id, ty, array) in &columns {
            prop_assert_eq!(segment.column_type(*id), Some(ty));
            prop_assert_eq!(&column(&segment, *id, ty).unwrap(), array);
            for group in 0..segment.row_groups() {
                let expected = ZoneMap::of(ty, &array.slice(group * row_group_rows, segment.rows(group)));
                let found = segment.zone_map(group, *id).unwrap();
                prop_assert_eq!(format!("{found:?}"), format!("{expected:?}"));
            }
        }
    }

    /// Proves that a flipped bit anywhere is found, be it by opening or by reading everything.
    #[test]
    fn flipped_bits_are_found((specs, commits) in any_segment(400), seed: u64) {
        let (bytes, facts) = write(&test_columns(&specs), &commits, &[], 128).unwrap();
        let mut numbers = Numbers(seed);
        for _ in 0..30 {
            let mut damaged = bytes.clone();
            let at = numbers.below(bytes.len() as u64) as usize;
            damaged[at] ^= 1 << numbers.below(8);
            let error = open(&damaged, &facts).and_then(|segment| segment.verify()).unwrap_err();
            prop_assert_eq!(error.kind(), ErrorKind::Corrupt);
            prop_assert!(error.message().contains("file=segments/1.seg"), "{}", error);
        }
    }

    /// Proves that a footer of any bytes with right checksums never panics, reads out of bounds or is taken for another's.
    #[test]
    fn forged_footers_do_not_panic((specs, commits) in any_segment(200), seed: u64) {
        let (bytes, facts) = write(&test_columns(&specs), &commits, &[], 64).unwrap();
        let (offset, _) = footer::decode_tail("test", &bytes).unwrap();
        let footer_bytes = offset as usize..bytes.len() - footer::TAIL_BYTES;
        let mut numbers = Numbers(seed);
        for _ in 0..60 {
            let mut forged = bytes.clone();
            let at = footer_bytes.start + numbers.below(footer_bytes.len() as u64) as usize;
            forged[at] = numbers.next() as u8;
            let checksum = crc32fast::hash(&forged[footer_bytes.clone()]);
            let tail = footer::encode_tail(offset, checksum);
            forged[footer_bytes.end..].copy_from_slice(&tail);
            if let Err(error) = open(&forged, &SegmentFacts { checksum, ..facts }).and_then(|segment| segment.verify()) {
                prop_assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported), "{}", error);
            }
        }
    }
}

fn sample() -> (Vec<TestColumn>, CommitRuns) {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter((0..100).map(|i| (i % 7 > 0).then_some(i * 1_000_003))));
    let texts: ArrayRef = Arc::new(StringViewArray::from_iter_values((0..100).map(|i| format!("visitor number {i}"))));
    let mut commits = CommitRuns::default();
    (0..100).for_each(|i| commits.push(SnapshotId(10 + i / 30), 1));
    (vec![(ColumnId(1), LogicalType::BigInt, numbers), (ColumnId(2), LogicalType::Varchar, texts)], commits)
}

fn corrupt(result: Result<Segment>) -> String {
    let error = result.and_then(|segment| segment.verify().map(|()| segment)).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    error.message().to_owned()
}

/// Proves that a file cut at any length is refused.
#[test]
fn every_truncation_is_refused() {
    let (columns, commits) = sample();
    let (bytes, facts) = write(&columns, &commits, &[], 64).unwrap();
    for length in 0..bytes.len() {
        corrupt(open(&bytes[..length], &facts));
        // Also when the manifest believes in that length.
        corrupt(open(&bytes[..length], &SegmentFacts { bytes: length as u64, ..facts }));
    }
}

/// Proves that magic, version, length and checksum are told apart, in that order, and that a well-formed other file is refused.
#[test]
fn refusals_name_their_reason() {
    let (columns, commits) = sample();
    let (bytes, facts) = write(&columns, &commits, &[], 64).unwrap();
    let mut other_magic = bytes.clone();
    other_magic[1] = b'X';
    assert!(corrupt(open(&other_magic[..50], &facts)).contains("magic"));

    let mut later = bytes.clone();
    let header = FileHeader { version: HEADER.version + 1, ..HEADER };
    later[..16].copy_from_slice(&header.encode());
    let error = open(&later[..50], &facts).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);

    assert!(corrupt(open(&bytes[..50], &facts)).contains(&format!("expected={} bytes", bytes.len())));
    let (_, other) = write(&columns[..1], &commits, &[], 64).unwrap();
    assert!(corrupt(open(&bytes, &SegmentFacts { bytes: facts.bytes, ..other })).contains("footer checksum"));
}

/// Proves that a chunk's checksum is looked at when the chunk is first read, and names file and offset.
#[test]
fn damage_is_found_on_first_read() {
    let (columns, commits) = sample();
    let (mut bytes, facts) = write(&columns, &commits, &[], 64).unwrap();
    bytes[64] ^= 1;
    let segment = open(&bytes, &facts).unwrap();
    let error = segment.read(0, ColumnId(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.message().contains("offset=64"), "{error}");
    assert!(segment.read(0, ColumnId(2)).unwrap().is_some(), "other chunks stay readable");
}

/// Proves that single rows are those of the whole column, and that taking them checks the body as reading does.
#[test]
fn rows_are_taken_alone() {
    let (columns, commits) = sample();
    let (mut bytes, facts) = write(&columns, &commits, &[], 64).unwrap();
    let segment = open(&bytes, &facts).unwrap();
    for (id, _, _) in &columns {
        let whole = segment.read(1, *id).unwrap().unwrap();
        let positions = [0_u32, 3, 35];
        let taken = segment.take(1, *id, &positions).unwrap().unwrap();
        for (i, position) in positions.iter().enumerate() {
            assert_eq!(taken.slice(i, 1).as_ref(), whole.slice(*position as usize, 1).as_ref());
        }
    }
    assert!(segment.take(0, ColumnId(1000), &[0]).unwrap().is_none());
    bytes[64] ^= 1;
    let damaged = open(&bytes, &facts).unwrap();
    let taken = damaged.take(0, columns[0].0, &[5]);
    assert_eq!(taken.unwrap_err().kind(), ErrorKind::Corrupt);
}

/// Proves that a column the segment does not have is absent, not an error.
#[test]
fn missing_columns_are_none() {
    let (columns, commits) = sample();
    let (bytes, facts) = write(&columns, &commits, &[], 64).unwrap();
    let segment = open(&bytes, &facts).unwrap();
    assert!(segment.read(0, ColumnId(9)).unwrap().is_none());
    assert_eq!(segment.zone_map(0, ColumnId(9)), None);
    assert_eq!(segment.column_type(ColumnId(9)), None);
    assert_eq!(segment.chunk_bytes(0, ColumnId(9)), 0);
    assert!(segment.chunk_bytes(0, ColumnId(2)) > 0);
    assert_eq!(segment.snapshots(0), (SnapshotId(10), SnapshotId(12)));
}

/// Proves that a segment without rows is a segment, and that rows that do not fit are refused.
#[test]
fn empty_segments_and_misfits() {
    let (columns, _) = sample();
    let empty: Vec<TestColumn> = columns.iter().map(|(id, ty, array)| (*id, ty.clone(), array.slice(0, 0))).collect();
    let (bytes, facts) = write(&empty, &CommitRuns::default(), &[], 64).unwrap();
    let segment = open(&bytes, &facts).unwrap();
    segment.verify().unwrap();
    assert_eq!((segment.row_groups(), facts.rows, facts.last_snapshot), (0, 0, SnapshotId(0)));

    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::default());
    let types = [(ColumnId(1), LogicalType::BigInt)];
    let mut writer = SegmentWriter::create(&disk, "a", &types, 64).unwrap();
    let error = writer.append(100, &[Arc::clone(&columns[0].2)], &CommitRuns::of(SnapshotId(1), 99)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    let error = writer.append(100, &[Arc::clone(&columns[1].2)], &CommitRuns::of(SnapshotId(1), 100)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    for rows in [0, ROW_GROUP_ROWS_MAX + 1] {
        assert_eq!(SegmentWriter::create(&disk, "a", &types, rows).unwrap_err().kind(), ErrorKind::Invalid);
    }
}
