//! Checks of a segment's decoders, for [`crate::fuzzing`].

use arrow_array::StringViewArray;
use arrow_buffer::Buffer;

use super::footer::{Extent, Footer, TAIL_BYTES, decode_tail, encode_tail};
use super::{HEADER, Segment, value_filter};
use crate::condition::Condition;
use crate::encoding::ALIGNMENT;
use crate::frame::{ByteReader, FILE_HEADER_BYTES, PutBytes};
use crate::fuzzing::conditions::conditions_on;
use crate::fuzzing::{FILE, REPAIR, check_canonical, check_chunk, check_commit_runs};

/// Most values that are read of one segment.
const VALUES_MAX: usize = 1 << 18;

/// An input is the length of the bodies in front of the footer (u32, in units of [`ALIGNMENT`]), and the footer.
pub fn segment_footer(bytes: &[u8]) {
    let mut reader = ByteReader::new(FILE, 0, bytes);
    let Ok(units) = reader.u32() else { return };
    let end_of_bodies = u64::from(units) * ALIGNMENT as u64;
    let Ok(footer) = reader.take(reader.remaining()) else { return };
    check_canonical(
        footer,
        |reader| {
            let rest = reader.take(reader.remaining())?;
            Footer::decode(FILE, end_of_bodies, rest)
        },
        Footer::encode,
    );
}

/// An input is a set of flags and a whole segment.
pub fn segment(bytes: &[u8]) {
    let [flags, rest @ ..] = bytes else { return };
    let file = if flags & REPAIR > 0 { repaired(rest) } else { rest.to_vec() };
    // The manifest names length and checksum; here it agrees with the file.
    let Ok((_, checksum)) = decode_tail(FILE, &file) else { return };
    let length = file.len() as u64;
    if let Ok(segment) = Segment::open(FILE, Buffer::from_vec(file), length, checksum) {
        check_segment(&segment);
    }
}

/// An input is the length of a filter of any origin (a byte, in blocks), the filter, and texts that are each led by their length (a byte).
pub fn value_filter(bytes: &[u8]) {
    let mut reader = ByteReader::new(FILE, 0, bytes);
    let Ok(blocks) = reader.u8() else { return };
    let Ok(given) = reader.take(usize::from(blocks) * value_filter::BLOCK_BYTES) else { return };
    let mut texts = Vec::new();
    while let Ok(length) = reader.u8() {
        let text = reader.take(reader.remaining().min(usize::from(length))).unwrap_or_default();
        texts.push(String::from_utf8_lossy(text).into_owned());
    }
    let made = value_filter::over(&StringViewArray::from_iter_values(&texts));
    assert!(texts.is_empty() || value_filter::is_length(made.len() as u64, texts.len()), "{} bytes", made.len());
    for text in &texts {
        assert!(value_filter::may_contain(&made, text.as_bytes()), "{text:?} is there and denied");
    }
    if value_filter::is_length(given.len() as u64, usize::MAX >> 4) {
        // Whatever it says, it must not panic.
        texts.iter().for_each(|text| _ = value_filter::may_contain(given, text.as_bytes()));
    }
}

fn check_segment(segment: &Segment) {
    let columns = &segment.footer().columns;
    let mut values_left = VALUES_MAX;
    for (row_group, group) in segment.footer().row_groups.iter().enumerate() {
        let values = group.rows * (columns.len() + 1);
        let Some(left) = values_left.checked_sub(values) else { return };
        values_left = left;
        if let Ok(runs) = segment.commit_runs(row_group) {
            check_commit_runs(group.rows, &runs);
        }
        for ((id, ty), chunk) in columns.iter().zip(&group.chunks) {
            let array = segment.read(row_group, *id).ok().map(|array| array.expect("a column of the segment"));
            if let Some(array) = &array {
                check_chunk(ty, group.rows, &chunk.form, array);
            }
            for predicate in conditions_on(ty, array.as_ref()) {
                let condition = Condition::new(&predicate, ty).expect("a condition on values of that type");
                // Zone maps and filters may be wrong here, encoded values are checked by themselves: they must not panic.
                drop((segment.decide(row_group, *id, &condition), segment.matches(row_group, *id, &condition)));
            }
        }
    }
    // Whatever it says, it must not panic.
    drop(segment.verify());
}

/// A copy of a segment with the right checksums, as far as it can be found where they are.
pub(crate) fn repaired(bytes: &[u8]) -> Vec<u8> {
    let mut file = bytes.to_vec();
    repair(&mut file);
    file
}

/// Puts right the header, the checksums of all bodies that lie in the file, and the tail.
fn repair(file: &mut Vec<u8>) {
    let Some(tail_start) = file.len().checked_sub(TAIL_BYTES).filter(|start| *start >= FILE_HEADER_BYTES) else {
        return;
    };
    file[..FILE_HEADER_BYTES].copy_from_slice(&HEADER.encode());
    let offset = file[tail_start..].first_chunk().copied().map_or(0, u64::from_le_bytes);
    let footer_start = usize::try_from(offset).unwrap_or(usize::MAX).min(tail_start);
    let mut footer_bytes = file[footer_start..tail_start].to_vec();
    if let Ok(mut footer) = Footer::decode(FILE, footer_start as u64, &footer_bytes) {
        for group in &mut footer.row_groups {
            let of_chunks = group.chunks.iter_mut().flat_map(|chunk| [Some(&mut chunk.extent), chunk.filter.as_mut()]);
            let extents = of_chunks.flatten().chain([&mut group.commits]);
            extents.for_each(|extent| repair_extent(extent, file));
        }
        footer_bytes.clear();
        footer.encode(&mut footer_bytes);
    }
    file.truncate(footer_start);
    file.put(&footer_bytes);
    file.put(&encode_tail(footer_start as u64, crc32fast::hash(&footer_bytes)));
}

fn repair_extent(extent: &mut Extent, file: &[u8]) {
    extent.crc = crc32fast::hash(&file[super::reader::range(*extent)]);
}

#[cfg(test)]
pub(crate) use seeds::{filter_seeds, footer_seeds, segment_seeds};

#[cfg(test)]
mod seeds {
    use std::sync::Arc;

    use super::*;
    use crate::commit_runs::CommitRuns;
    use crate::fuzzing::seeds::specs;
    use crate::ids::{ColumnId, SnapshotId};
    use crate::io::Disk;
    use crate::io::sim::SimDisk;
    use crate::segment::SegmentWriter;
    use crate::test_arrays::ArraySpec;

    const PATH: &str = "segments/1.segment";

    /// Segments of one column of every kind, and of several.
    fn files() -> Vec<Vec<u8>> {
        let specs = specs(&[1, 60]);
        let single = specs.iter().map(|spec| file(std::slice::from_ref(spec)));
        let several: Vec<ArraySpec> =
            specs.iter().step_by(31).map(|spec| ArraySpec { rows: 25, ..spec.clone() }).collect();
        single.chain(several.chunks(4).map(file)).collect()
    }

    fn file(specs: &[ArraySpec]) -> Vec<u8> {
        let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
        disk.create_dir("segments").unwrap();
        let columns: Vec<_> = (1..).map(ColumnId).zip(specs.iter().map(|spec| spec.ty.clone())).collect();
        let mut commits = CommitRuns::default();
        (0..specs[0].rows as u64).for_each(|row| commits.push(SnapshotId(3 + row / 7), 1));
        let arrays: Vec<_> = specs.iter().map(ArraySpec::array).collect();
        let mut writer = SegmentWriter::create(&disk, PATH, &columns, 40).unwrap();
        writer.append(commits.rows(), &arrays, &commits).unwrap();
        let facts = writer.finish().unwrap();
        let mut bytes = vec![0; facts.bytes as usize];
        disk.open(PATH).unwrap().read_at(0, &mut bytes).unwrap();
        bytes
    }

    /// Whole segments, half of them to be repaired.
    pub(crate) fn segment_seeds() -> Vec<Vec<u8>> {
        let flags = [0, REPAIR].into_iter().cycle();
        files().into_iter().zip(flags).map(|(file, flags)| [&[flags], &file[..]].concat()).collect()
    }

    pub(crate) fn footer_seeds() -> Vec<Vec<u8>> {
        let inputs = files().into_iter().map(|file| {
            let (offset, _) = decode_tail(FILE, &file).unwrap();
            let units = (offset / ALIGNMENT as u64) as u32;
            [&units.to_le_bytes()[..], &file[offset as usize..file.len() - TAIL_BYTES]].concat()
        });
        inputs.collect()
    }

    /// No text, one, several, the same one again, and many; with filters of any bits in front of them.
    pub(crate) fn filter_seeds() -> Vec<Vec<u8>> {
        let many: Vec<String> = (0..90).map(|i| format!("{:x}", i * i * 7919)).collect();
        let sets: [Vec<&str>; 5] = [
            vec![],
            vec![""],
            vec!["a", "é", "550e8400-e29b-41d4-a716"],
            vec!["same"; 40],
            many.iter().map(String::as_str).collect(),
        ];
        let with_filter = |(blocks, texts): (usize, Vec<&str>)| {
            let mut input = vec![blocks as u8];
            input.resize(1 + blocks * value_filter::BLOCK_BYTES, 0xb5);
            for text in texts {
                input.put_u8(text.len() as u8);
                input.put(text.as_bytes());
            }
            input
        };
        sets.into_iter().enumerate().map(with_filter).collect()
    }
}
