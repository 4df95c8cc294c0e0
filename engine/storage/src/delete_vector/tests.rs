use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use proptest::prelude::*;

use super::*;
use crate::error::{Error, ErrorKind, Result};

mod golden;

const FILE: &str = "segments/test.deletes";

/// Which commit deleted each position; zero once settled.
type Model = BTreeMap<u32, u64>;

/// Positions that lie close together, around the borders of chunks, and far apart.
fn any_position() -> impl Strategy<Value = u32> {
    prop_oneof![3 => 0..40_u32, 3 => 65_500..65_600_u32, 1 => 131_000..131_080_u32, 1 => 0..3_000_000_u32]
}

/// Positions deleted by one commit.
fn any_positions() -> impl Strategy<Value = Vec<u32>> {
    prop_oneof![
        4 => prop::collection::vec(any_position(), 0..30),
        1 => (any_position(), 0..9_000_u32).prop_map(|(start, rows)| (start..start + rows).collect()),
    ]
}

/// What happens to a vector: deletions by commits that are so much later than the one before, some of which it may hold already.
fn any_commits() -> impl Strategy<Value = Vec<(u64, Vec<u32>)>> {
    prop::collection::vec((0..4_u64, any_positions()), 0..25)
}

const ROWS: u32 = 3_010_000;

fn build(commits: &[(u64, Vec<u32>)]) -> (DeleteVector, Model) {
    let (vector, mut model) = (DeleteVector::new(), Model::new());
    let mut tag = 1;
    for (i, (later, positions)) in commits.iter().enumerate() {
        tag += later;
        let before = model.len();
        let mut new: Vec<u32> = positions.iter().copied().filter(|position| !model.contains_key(position)).collect();
        new.sort_unstable();
        new.dedup();
        model.extend(new.iter().map(|position| (*position, tag)));
        if i % 2 == 0 {
            vector.mark(SnapshotId(tag), &new);
        } else {
            assert_eq!(vector.mark_again(SnapshotId(tag), positions), (model.len() - before) as u64);
        }
    }
    (vector, model)
}

fn seen(model: &Model, range: Range<u32>, at: u64) -> Vec<u32> {
    model.range(range).filter(|(_, tag)| **tag <= at).map(|(position, _)| *position).collect()
}

/// Asks everything there is to ask of a range.
fn check(vector: &DeleteVector, model: &Model, range: Range<u32>, from: u64, at: u64) {
    let expected = seen(model, range.clone(), at);
    let deleted = vector.deleted(range.clone(), SnapshotId(at));
    let found: Vec<u32> = deleted.iter().flat_map(|bitmap| bitmap.iter().map(|low| low + range.start)).collect();
    assert_eq!(found, expected);
    assert_eq!(deleted.is_some(), !expected.is_empty());
    assert_eq!(vector.deleted_rows(range.clone(), SnapshotId(at)) as usize, expected.len());
    let changes = model.range(range.clone()).filter(|(_, tag)| from < **tag && **tag <= at);
    let mut changes: Vec<_> = changes.map(|(position, tag)| (SnapshotId(*tag), *position)).collect();
    changes.sort();
    assert_eq!(vector.between(range, SnapshotId(from), SnapshotId(at)), changes);
}

fn encoded(vector: &DeleteVector, rows: u32, at: u64) -> (Vec<u8>, u32) {
    let mut bytes = Vec::new();
    let checksum = vector.encode(rows, SnapshotId(at), &mut bytes);
    (bytes, checksum)
}

fn corrupt(result: Result<DeleteVector>) -> Error {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.message().contains(FILE), "{error}");
    error
}

proptest! {
    /// Proves that a vector answers as a map from position to commit would, as of any snapshot, before and after tags are forgotten,
    /// positions are moved, and the vector is written and read.
    #[test]
    fn a_vector_equals_a_map(
        commits in any_commits(), start in any_position(), rows in 0..140_000_u32, aligned in any::<bool>(), at in 0..60_u64,
        from in 0..60_u64, horizon in 0..60_u64, file_at in 0..60_u64,
    ) {
        let (vector, mut model) = build(&commits);
        let start = if aligned { start & !0xffff } else { start };
        let range = start..start + rows;
        let last = model.values().max().copied();
        prop_assert_eq!(vector.count(), model.len() as u64);
        prop_assert_eq!(vector.last(), last.map(SnapshotId));
        for position in range.clone().step_by(977).chain(model.keys().copied()) {
            prop_assert_eq!(vector.is_deleted(position), model.contains_key(&position));
        }
        check(&vector, &model, range.clone(), from, at);

        let horizon = horizon.min(at);
        vector.settle(SnapshotId(horizon));
        model.values_mut().filter(|tag| **tag <= horizon).for_each(|tag| *tag = 0);
        check(&vector, &model, range.clone(), from, at);
        prop_assert_eq!((vector.count(), vector.last()), (model.len() as u64, last.map(SnapshotId)));

        // Backwards, with every third row gone.
        let f = |position: u32| (!position.is_multiple_of(3)).then(|| ROWS - position);
        let moved = model.iter().filter_map(|(position, tag)| Some((f(*position)?, *tag))).collect();
        check(&vector.mapped(f), &moved, range.clone(), from, at);

        let file_at = file_at.max(horizon);
        let (bytes, checksum) = encoded(&vector, ROWS, file_at);
        let read = DeleteVector::decode(FILE, &bytes, ROWS, checksum).unwrap();
        let later = model.extract_if(.., |_, tag| *tag > file_at).collect::<Model>();
        check(&read, &model, range.clone(), from, at);
        check(&read, &model, 0..ROWS, 0, u64::MAX);
        prop_assert_eq!(encoded(&read, ROWS, file_at), (bytes, checksum));

        // Replay adds what came after the file, and once more changes nothing.
        for again in [false, true] {
            let mut tags: Vec<u64> = later.values().copied().collect();
            tags.sort_unstable();
            tags.dedup();
            for tag in tags {
                let positions: Vec<u32> = later.iter().filter(|(_, of)| **of == tag).map(|(position, _)| *position).collect();
                let new = if again { 0 } else { positions.len() as u64 };
                prop_assert_eq!(read.mark_again(SnapshotId(tag), &positions), new);
            }
        }
        model.extend(later);
        check(&read, &model, range, from, at);
    }

    /// Proves that vectors are joined into one that answers for all their rows.
    #[test]
    fn vectors_are_gathered(a in any_commits(), b in any_commits(), at in 0..60_u64, from in 0..60_u64) {
        let ((a, first), (b, second)) = (build(&a), build(&b));
        let gathered = DeleteVector::gathered([(&a, 0), (&b, ROWS)].map(|(vector, offset)| (vector, move |position| Some(position + offset))));
        let mut model = first;
        model.extend(second.iter().map(|(position, tag)| (position + ROWS, *tag)));
        check(&gathered, &model, 0..2 * ROWS, from, at);
        prop_assert_eq!(gathered.last(), a.last().max(b.last()));
    }

    /// Proves that cut and changed bytes are refused, naming the file.
    #[test]
    fn damage_is_refused(commits in prop::collection::vec((0..4_u64, prop::collection::vec(any_position(), 0..30)), 0..6), horizon in 0..10_u64) {
        let vector = build(&commits).0;
        vector.settle(SnapshotId(horizon));
        let (bytes, checksum) = encoded(&vector, ROWS, 60);
        for end in 0..bytes.len() {
            corrupt(DeleteVector::decode(FILE, &bytes[..end], ROWS, checksum));
        }
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            corrupt(DeleteVector::decode(FILE, &damaged, ROWS, checksum));
        }
        let appended = [&bytes[..], &[0]].concat();
        corrupt(DeleteVector::decode(FILE, &appended, ROWS, checksum));
        corrupt(DeleteVector::decode(FILE, &bytes, ROWS, !checksum));
        corrupt(DeleteVector::decode(FILE, &bytes, ROWS + 1, checksum));
    }

    /// Proves that a body of any bytes with a right checksum neither panics nor is taken for more rows than there are.
    #[test]
    fn any_body_is_safe(commits in any_commits(), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut body = encoded(&build(&commits).0, ROWS, 100).0.split_off(codec::BODY_START);
        for (at, byte) in flips {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let mut bytes = Vec::new();
        let checksum = codec::frame(&body, &mut bytes);
        match DeleteVector::decode(FILE, &bytes, ROWS, checksum) {
            Ok(vector) => prop_assert_eq!(u64::from(vector.deleted_rows(0..ROWS, SnapshotId(u64::MAX))), vector.count()),
            Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Corrupt),
        }
    }
}

/// A file of 100 rows with these parts, whatever is wrong with them: settled positions, commits, their lengths, their positions, and more bytes.
fn forged(settled: (u64, &[u64]), tags: &[u64], lengths: &[u64], gaps: &[u64], more: &[u8]) -> Result<DeleteVector> {
    use crate::encoding::{bitpack, delta};
    use crate::frame::PutBytes;
    let mut body = Vec::new();
    body.put_u32(100);
    body.put_u64(settled.0);
    body.put_u32(settled.1.len() as u32);
    bitpack::pack(settled.1, &mut body);
    body.put_u32(tags.len() as u32);
    delta::encode(&mut tags.to_vec(), &mut body);
    bitpack::pack(lengths, &mut body);
    bitpack::pack(gaps, &mut body);
    body.put(more);
    let mut bytes = Vec::new();
    let checksum = codec::frame(&body, &mut bytes);
    DeleteVector::decode(FILE, &bytes, 100, checksum)
}

/// Proves that a file that is whole but makes no sense is refused.
#[test]
fn nonsense_is_refused() {
    const SETTLED: (u64, &[u64]) = (4, &[3, 0]);
    let vector = forged(SETTLED, &[5, 9], &[2, 1], &[0, 97, 50], &[]).unwrap();
    let found = vector.between(0..100, SnapshotId(0), SnapshotId(20));
    assert_eq!(found, [(5, 0), (5, 98), (9, 50)].map(|(tag, position)| (SnapshotId(tag), position)));
    assert_eq!((vector.count(), vector.last()), (5, Some(SnapshotId(9))));
    assert_eq!(vector.deleted_rows(0..5, SnapshotId(4)), 2);

    let of_settled = [(0, &[3, 0][..]), (4, &[]), (1 << 48, &[3, 0]), (4, &[99, 0]), (4, &[3, u64::MAX]), (4, &[100])];
    for settled in of_settled {
        corrupt(forged(settled, &[5, 9], &[2, 1], &[0, 97, 50], &[]));
    }
    for tags in [[9, 5], [5, 5], [4, 9], [0, 9], [5, 1 << 48], [5, u64::MAX]] {
        corrupt(forged(SETTLED, &tags, &[2, 1], &[0, 97, 50], &[]));
    }
    for lengths in [[3, 0], [2, 99], [u64::MAX, 4], [1 << 32, 3]] {
        corrupt(forged(SETTLED, &[5, 9], &lengths, &[0, 97, 50], &[]));
    }
    for gaps in [[0, 99, 50], [0, u64::MAX, 50], [0, 97, 98], [0, 97, 0], [0, 97, 3], [4, 97, 50]] {
        corrupt(forged(SETTLED, &[5, 9], &[2, 1], &gaps, &[]));
    }
    corrupt(forged(SETTLED, &[5, 9], &[2, 1], &[0, 97, 50], &[0]));
}

/// Proves that a reader sees the same rows throughout while later commits delete others, settle and write the vector.
#[test]
fn readers_do_not_see_later_commits() {
    const COMMITS: u64 = 400;
    const PER_COMMIT: u32 = 50;
    let vector = DeleteVector::new();
    let (published, done, pins) = (AtomicU64::new(0), AtomicBool::new(false), Mutex::new([0; 3]));
    // Commit N deletes the rows that are N - 1 modulo the commits: every answer can be calculated.
    let rows = COMMITS as u32 * PER_COMMIT * 7;
    let deleted = |tag: u64| (0..PER_COMMIT).map(move |i| (i * COMMITS as u32 + tag as u32 - 1) * 7);
    std::thread::scope(|scope| {
        for reader in 0..3 {
            let (vector, published, done, pins) = (&vector, &published, &done, &pins);
            scope.spawn(move || {
                let mut asked = 0_u64;
                while !done.load(Ordering::Acquire) || asked == 0 {
                    let at = {
                        let mut pins = pins.lock();
                        pins[reader] = published.load(Ordering::Acquire);
                        pins[reader]
                    };
                    let mut expected: Vec<u32> = (1..=at).flat_map(deleted).collect();
                    expected.sort_unstable();
                    for _ in 0..3 {
                        let found = vector.deleted(0..rows, SnapshotId(at));
                        let found: Vec<u32> = found.iter().flat_map(|found| found.iter()).collect();
                        assert_eq!(found, expected);
                        assert_eq!(vector.deleted_rows(0..rows, SnapshotId(at)) as usize, expected.len());
                    }
                    if reader == 0 {
                        let (bytes, checksum) = encoded(vector, rows, at);
                        let read = DeleteVector::decode(FILE, &bytes, rows, checksum).unwrap();
                        assert_eq!(read.count(), expected.len() as u64);
                    }
                    asked += 1;
                }
            });
        }
        for tag in 1..=COMMITS {
            vector.mark(SnapshotId(tag), &deleted(tag).collect::<Vec<_>>());
            published.store(tag, Ordering::Release);
            if tag % 16 == 0 {
                let pins = pins.lock();
                vector.settle(SnapshotId(*pins.iter().min().unwrap()));
            }
        }
        done.store(true, Ordering::Release);
    });
    assert_eq!(vector.count(), COMMITS * u64::from(PER_COMMIT));
}

/// Proves that untouched positions cost nothing, spread ones about their history and their bitmap, and in a file about 3 bytes.
#[test]
fn memory_and_files_follow_the_deletions() {
    let vector = DeleteVector::new();
    assert!(vector.bytes() < 1_000, "{}", vector.bytes());
    assert!(!vector.is_deleted(u32::MAX));
    let mut taken = RoaringBitmap::new();
    let mut numbers = crate::test_arrays::Numbers(7);
    for tag in 1..=200 {
        let mut positions: Vec<u32> =
            (0..500).map(|_| (numbers.next() % 10_000_000) as u32).filter(|position| taken.insert(*position)).collect();
        positions.sort_unstable();
        vector.mark(SnapshotId(tag), &positions);
    }
    let count = vector.count() as usize;
    assert!(vector.bytes() < 12 * count, "{} bytes for {count}", vector.bytes());
    let spread = encoded(&vector, 10_000_000, 200).0.len();
    assert!(spread < 3 * count, "{spread} bytes for {count}");
    vector.settle(SnapshotId(200));
    assert!(vector.bytes() < 4 * count, "{} bytes for {count}", vector.bytes());
    let settled = encoded(&vector, 10_000_000, 200).0.len();
    assert!(settled < 2 * count, "{settled} bytes for {count}");
}

/// Proves that the committer's mistakes do not pass unnoticed: a commit out of order.
#[test]
#[should_panic(expected = "deletions come in commit order")]
fn an_earlier_commit_panics() {
    let vector = DeleteVector::new();
    vector.mark(SnapshotId(5), &[1]);
    vector.mark(SnapshotId(4), &[2]);
}

/// Proves the same of a row that is deleted twice, even in two chunks' company.
#[test]
#[should_panic(expected = "a row is deleted once")]
fn a_row_deleted_twice_panics() {
    let vector = DeleteVector::new();
    vector.mark(SnapshotId(5), &[1, 70_000]);
    vector.mark(SnapshotId(6), &[2, 70_000]);
}

/// Proves the same of a map that gives two rows one position.
#[test]
#[should_panic(expected = "no two rows have one position")]
fn a_map_that_joins_rows_panics() {
    let vector = DeleteVector::new();
    vector.mark(SnapshotId(5), &[1, 2]);
    vector.mapped(|position| Some(position / 4));
}

/// Proves the same of a file for a segment with fewer rows.
#[test]
#[should_panic(expected = "only rows are deleted")]
fn a_file_of_too_few_rows_panics() {
    let vector = DeleteVector::new();
    vector.mark(SnapshotId(5), &[100]);
    encoded(&vector, 100, 5);
}
