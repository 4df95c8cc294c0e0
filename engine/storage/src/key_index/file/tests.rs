mod golden;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, StringViewArray};
use proptest::prelude::*;

use super::*;
use crate::error::ErrorKind;
use crate::io::sim::SimDisk;
use crate::key_index::KeyHasher;
use crate::logical_type::LogicalType;

const SECRET: [u8; 16] = *b"sixteen bytes ok";

/// Keys made of numbers: as they are, or as texts; `None` is NULL.
fn keys(form: KeyForm, values: &[Option<i64>]) -> (Keys, KeyLayout) {
    let (ty, column): (_, ArrayRef) = match form {
        KeyForm::Exact => (LogicalType::BigInt, Arc::new(Int64Array::from_iter(values.iter().copied()))),
        KeyForm::Wide => {
            let texts = values.iter().map(|value| value.map(|value| format!("key {value}")));
            (LogicalType::Varchar, Arc::new(StringViewArray::from_iter(texts)))
        }
    };
    let hasher = KeyHasher::new(&[ty], SECRET).unwrap();
    (hasher.hash(&[column]).unwrap(), hasher.layout().clone())
}

fn subject(rows: usize, layout: KeyLayout) -> Subject {
    let columns = vec![ColumnId(3)];
    Subject {
        segment: SegmentId(42),
        segment_rows: rows as u32,
        segment_checksum: 0xfeed_beef,
        columns,
        layout,
        absent: Vec::new(),
    }
}

fn built(form: KeyForm, values: &[Option<i64>]) -> (Buffer, Subject) {
    let (keys, layout) = keys(form, values);
    let subject = subject(values.len(), layout);
    (SegmentKeyIndex::build(&subject, &keys, None), subject)
}

fn open(bytes: &[u8], subject: &Subject) -> Result<SegmentKeyIndex> {
    SegmentKeyIndex::open("test", Buffer::from(bytes), subject)
}

fn found(index: &SegmentKeyIndex, keys: &Keys, wanted: &[u32]) -> Vec<(u32, u32)> {
    let mut found = Vec::new();
    index.find(keys, wanted, &mut found);
    found
}

/// Numbers of which some are far more frequent than others, some NULL.
fn values(rows_max: usize) -> impl Strategy<Value = Vec<Option<i64>>> {
    let value = prop_oneof![
        1 => Just(None),
        3 => (0..4_i64).prop_map(Some),
        6 => (-500..500_i64).prop_map(Some),
        1 => any::<i64>().prop_map(Some),
    ];
    let rows = prop_oneof![0..20_usize, 0..=rows_max];
    rows.prop_flat_map(move |rows| prop::collection::vec(value.clone(), rows))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Proves that an index finds for each key exactly the rows that a map says have it, except those left out.
    #[test]
    fn finds_what_a_map_finds(
        form in prop::sample::select(vec![KeyForm::Exact, KeyForm::Wide]),
        stored in values(3000),
        asked in values(600),
        skip in prop::option::of(2..5_usize),
    ) {
        let (stored_keys, layout) = keys(form, &stored);
        let subject = subject(stored.len(), layout);
        let left_out: Option<BooleanBuffer> = skip.map(|skip| (0..stored.len()).map(|row| row % skip == 0).collect());
        let bytes = SegmentKeyIndex::build(&subject, &stored_keys, left_out.as_ref());
        let index = open(&bytes, &subject).unwrap();
        let mut model: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
        for (row, value) in stored.iter().enumerate() {
            if let Some(value) = value && skip.is_none_or(|skip| row % skip != 0) {
                model.entry(*value).or_default().push(row as u32);
            }
        }
        prop_assert_eq!(index.rows(), model.values().map(Vec::len).sum::<usize>());
        let (asked_keys, _) = keys(form, &asked);
        let wanted: Vec<u32> = (0..asked.len() as u32).filter(|row| row % 7 != 3).collect();
        let expected: Vec<(u32, u32)> = wanted.iter()
            .filter_map(|row| Some((row, model.get(&asked[*row as usize]?)?)))
            .flat_map(|(row, positions)| positions.iter().map(move |position| (*row, *position)))
            .collect();
        prop_assert_eq!(found(&index, &asked_keys, &wanted), expected);
    }

    /// Proves that bytes that were never an index are refused without a panic, behind a right header, too.
    #[test]
    fn any_other_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..400), headed in any::<bool>()) {
        let (_, subject) = built(KeyForm::Exact, &[Some(1)]);
        let bytes = if headed { [HEADER.encode().as_slice(), &bytes].concat() } else { bytes };
        prop_assert_eq!(open(&bytes, &subject).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

/// Proves that one key in every row, beside others, does not keep any from being found.
#[test]
fn a_key_in_half_of_the_rows_is_found() {
    for form in [KeyForm::Exact, KeyForm::Wide] {
        let stored: Vec<_> = (0..20_000).map(|row| Some(if row % 2 == 0 { -1 } else { row })).collect();
        let (bytes, subject) = built(form, &stored);
        let index = open(&bytes, &subject).unwrap();
        let (asked, _) = keys(form, &[Some(-1), Some(7), Some(8)]);
        let expected: Vec<_> = (0..20_000).step_by(2).map(|row| (0, row)).chain([(1, 7)]).collect();
        assert_eq!(found(&index, &asked, &[0, 1, 2]), expected);
        assert_eq!(found(&index, &asked, &[2, 1]), [(1, 7)]);
    }
}

/// Proves that keys are told apart that share the first half of a wide hash.
#[test]
fn the_second_half_counts() {
    let (keys, layout) = keys(KeyForm::Wide, &[Some(1), Some(2), Some(3)]);
    let same_first = keys.with_first_halves(5);
    let subject = subject(3, layout);
    let index = open(&SegmentKeyIndex::build(&subject, &same_first, None), &subject).unwrap();
    assert_eq!(found(&index, &same_first, &[2, 0, 1]), [(2, 2), (0, 0), (1, 1)]);
}

/// Proves that an index without rows, or of NULLs alone, opens and finds nothing.
#[test]
fn an_empty_index_finds_nothing() {
    for form in [KeyForm::Exact, KeyForm::Wide] {
        for stored in [vec![], vec![None, None]] {
            let (bytes, subject) = built(form, &stored);
            let index = open(&bytes, &subject).unwrap();
            let (asked, _) = keys(form, &[Some(0), None]);
            assert_eq!((index.rows(), found(&index, &asked, &[0, 1])), (0, vec![]));
        }
    }
}

/// Proves that every shortened copy, every longer one and every flipped bit of a file is reported as damage, whatever part it is in.
#[test]
fn all_damage_is_reported() {
    for form in [KeyForm::Exact, KeyForm::Wide] {
        let stored: Vec<_> = (0..50).map(|row| (row % 9 > 0).then_some(row / 2)).collect();
        let (bytes, subject) = built(form, &stored);
        assert_eq!(open(&bytes, &subject).unwrap().bytes(), bytes.len());
        for length in 0..bytes.len() {
            assert_eq!(open(&bytes[..length], &subject).unwrap_err().kind(), ErrorKind::Corrupt, "length={length}");
        }
        let longer = [bytes.as_slice(), &[0; 64]].concat();
        assert_eq!(open(&longer, &subject).unwrap_err().kind(), ErrorKind::Corrupt);
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&damaged, &subject).unwrap_err().kind(), ErrorKind::Corrupt, "bit={bit}");
        }
    }
}

/// Proves that an index is refused for anything but what it was made of.
#[test]
fn an_index_of_something_else_is_refused() {
    let (bytes, subject) = built(KeyForm::Exact, &[Some(1), Some(2)]);
    let layout = |ty, secret| KeyHasher::new(&[ty], secret).unwrap().layout().clone();
    let others = [
        Subject { segment: SegmentId(43), ..subject.clone() },
        Subject { segment_rows: 3, ..subject.clone() },
        Subject { segment_checksum: 1, ..subject.clone() },
        Subject { columns: vec![ColumnId(4)], ..subject.clone() },
        Subject { columns: vec![ColumnId(3), ColumnId(4)], ..subject.clone() },
        Subject { layout: layout(LogicalType::Timestamp, SECRET), ..subject.clone() },
        Subject { layout: layout(LogicalType::Varchar, SECRET), ..subject.clone() },
        Subject { layout: layout(LogicalType::BigInt, [0; 16]), ..subject.clone() },
    ];
    for other in &others {
        assert_eq!(open(&bytes, other).unwrap_err().kind(), ErrorKind::Corrupt, "{other:?}");
    }
    let names: HashSet<String> = others[3..].iter().chain([&subject]).map(Subject::file_name).collect();
    assert_eq!(names.len(), 6, "columns, kinds and secret each make another name: {names:?}");
    assert!(names.iter().all(|name| name.starts_with("000000000000002a-") && name.ends_with(".keys")), "{names:?}");
}

/// Proves that a later format is told apart from damage.
#[test]
fn a_later_format_is_unsupported() {
    let (bytes, subject) = built(KeyForm::Exact, &[Some(1)]);
    let mut later = bytes.to_vec();
    later[..16].copy_from_slice(&FileHeader { version: HEADER.version + 1, ..HEADER }.encode());
    assert_eq!(open(&later, &subject).unwrap_err().kind(), ErrorKind::Unsupported);
}

/// Proves that bodies under right checksums that are no index are refused: buckets, order and positions are looked at.
#[test]
fn inconsistent_bodies_are_refused() {
    let stored: Vec<_> = (0..40).map(Some).collect();
    let (bytes, subject) = built(KeyForm::Exact, &stored);
    let bodies = Description::read("test", &bytes, &subject).unwrap().bodies();
    let mut swapped_hashes = bytes.to_vec();
    swapped_hashes[bodies.first.clone()].rotate_left(8);
    let mut other_bucket = bytes.to_vec();
    other_bucket[bodies.offsets.start + 4] ^= 1;
    let mut falling = bytes.to_vec();
    falling[bodies.offsets.start + 7] = 0xff;
    let mut past_the_end = bytes.to_vec();
    past_the_end[bodies.offsets.end - 4] += 1;
    let mut no_position = bytes.to_vec();
    no_position[bodies.positions.start] = 40;
    for mut damaged in [swapped_hashes, other_bucket, falling, past_the_end, no_position] {
        let mut description = Description::read("test", &damaged, &subject).unwrap();
        build::sign(&mut description, &bodies, &mut damaged);
        assert_eq!(open(&damaged, &subject).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

/// Proves that sizes that a file claims are refused before anything of that size is made.
#[test]
fn claimed_sizes_are_refused() {
    let (_, subject) = built(KeyForm::Wide, &[Some(1)]);
    let most = Subject { segment_rows: u32::MAX, ..subject.clone() };
    for (rows, bucket_bits, subject) in
        [(u32::MAX, 29, &most), (u32::MAX, 0, &subject), (1, 30, &subject), (1, 255, &subject)]
    {
        let bytes = Description::new(subject, rows, bucket_bits).encode();
        assert_eq!(open(&bytes, subject).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

/// Proves that numbers are read where they lie, or from a copy where a buffer is not aligned.
#[test]
fn unaligned_buffers_are_read() {
    for form in [KeyForm::Exact, KeyForm::Wide] {
        let (bytes, subject) = built(form, &[Some(5), Some(6), Some(5)]);
        let aligned = SegmentKeyIndex::open("test", bytes.clone(), &subject).unwrap();
        assert!(bytes.as_ptr_range().contains(&aligned.positions.inner().as_ptr()), "in place");
        let shifted = Buffer::from([&[0], bytes.as_slice()].concat()).slice(1);
        let copied = SegmentKeyIndex::open("test", shifted, &subject).unwrap();
        let (asked, _) = keys(form, &[Some(5)]);
        assert_eq!(found(&copied, &asked, &[0]), [(0, 0), (0, 2)]);
    }
}

/// Proves that a file written to a disk is there after a crash, and replaces one of its name.
#[test]
fn files_outlive_a_crash() {
    let disk = SimDisk::new(1);
    let (old, _) = built(KeyForm::Exact, &[Some(1)]);
    let (bytes, subject) = built(KeyForm::Wide, &(0..3000).map(Some).collect::<Vec<_>>());
    SegmentKeyIndex::write(&disk, "index.keys", &old).unwrap();
    SegmentKeyIndex::write(&disk, "index.keys", &bytes).unwrap();
    disk.sync_dir("").unwrap();
    let map = disk.crash().open("index.keys").unwrap().map().unwrap();
    let index = SegmentKeyIndex::open("index.keys", map, &subject).unwrap();
    let (asked, _) = keys(KeyForm::Wide, &[Some(2999), Some(3000)]);
    assert_eq!(found(&index, &asked, &[0, 1]), [(0, 2999)]);
}

/// Proves that whatever a crash leaves of a file, at any disk call of its writing, is the whole index, damage, or nothing.
#[test]
fn a_crash_leaves_no_wrong_index() {
    let (bytes, subject) = built(KeyForm::Exact, &(0..3000).map(Some).collect::<Vec<_>>());
    for (seed, call) in (0..8).flat_map(|seed| (1..=4).map(move |call| (seed, call))) {
        let disk = SimDisk::new(seed);
        disk.crash_at_call(call);
        let written = SegmentKeyIndex::write(&disk, "index.keys", &bytes)
            .and_then(|()| disk.sync_dir("").map_err(|error| Error::io("sync", "", error)));
        assert!(written.is_err(), "seed={seed}, call={call}");
        let after = disk.crash();
        let Ok(file) = after.open("index.keys") else { continue };
        match SegmentKeyIndex::open("index.keys", file.map().unwrap(), &subject) {
            Ok(index) => assert_eq!(index.rows(), 3000),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt),
        }
    }
}
