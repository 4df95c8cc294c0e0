use super::*;

const SALT: u64 = 77;

fn header(record: &Record<'_>) -> (RecordHeader, [u8; RECORD_HEADER_BYTES]) {
    let header = RecordHeader::commit(record, 9, SnapshotId(record.snapshot.0 - 2));
    let mut bytes = Vec::new();
    header.encode(SALT, &mut bytes);
    (header, bytes.try_into().unwrap())
}

#[test]
fn the_bytes_are_those_of_the_format_page() {
    // Pins version 1: the fields, their order and widths, and the checksum's input.
    let body = Body::new(b"abc".to_vec());
    let (_, bytes) = header(&Record { snapshot: SnapshotId(0x0102), time_us: -2, body: &body });
    let fields = [
        &[0xd1, 0xc0, 0x5e, 0x8a][..],
        &crc32fast::hash(&[&SALT.to_le_bytes()[..], &bytes[8..]].concat()).to_le_bytes(),
        &[3, 0, 0, 0],
        &[3, 0, 0, 0],
        &crc32fast::hash(b"abc").to_le_bytes(),
        &[1, 0, 0, 0],
        &[2, 1, 0, 0, 0, 0, 0, 0],
        &[9, 0, 0, 0, 0, 0, 0, 0],
        &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0, 1, 0, 0, 0, 0, 0, 0],
    ];
    assert_eq!(bytes[..], fields.concat());
}

#[test]
fn headers_come_back_and_every_flipped_bit_is_seen() {
    // Invariant 1: the same header, or none; also under another salt or generation.
    for body in [Body::new(Vec::new()), Body::new(b"abc".to_vec()), Body::new(vec![7; 5000])] {
        let (header, bytes) = header(&Record { snapshot: SnapshotId(5), time_us: 10, body: &body });
        assert_eq!(RecordHeader::decode(&bytes, SALT, 9).unwrap(), header);
        assert_eq!(header.bytes() % ALIGNMENT, 0);
        RecordHeader::decode(&bytes, SALT + 1, 9).unwrap_err();
        RecordHeader::decode(&bytes, SALT, 8).unwrap_err();
        for bit in 0..RECORD_HEADER_BYTES * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            RecordHeader::decode(&flipped, SALT, 9).unwrap_err();
        }
    }
}

#[test]
fn impossible_fields_are_refused_under_a_right_checksum() {
    // Invariants 1 and 2: a header that no writer makes is not a record, whatever its checksum says.
    let body = Body::new(vec![7; 5000]);
    let good = header(&Record { snapshot: SnapshotId(5), time_us: 10, body: &body }).0;
    let bad = [
        RecordHeader { raw_bytes: u32::MAX, stored_bytes: u32::MAX, ..good },
        RecordHeader { raw_bytes: Body::RAW_BYTES_MAX as u32 + 1, stored_bytes: 1 << 28, ..good },
        RecordHeader { raw_bytes: 1 << 20, stored_bytes: 100, ..good },
        RecordHeader { raw_bytes: 10, stored_bytes: 100, ..good },
        RecordHeader { compression: Compression::Plain, ..good },
        RecordHeader { has_tail: true, compression: Compression::Plain, raw_bytes: good.stored_bytes - 3, ..good },
        RecordHeader { has_tail: true, ..RecordHeader::close(SnapshotId(5), 9, 10) },
        RecordHeader { synced: SnapshotId(5), ..good },
        RecordHeader { kind: Kind::Close, synced: SnapshotId(5), ..good },
        RecordHeader { synced: SnapshotId(4), ..RecordHeader::close(SnapshotId(5), 9, 10) },
    ];
    for header in bad {
        let mut bytes = Vec::new();
        header.encode(SALT, &mut bytes);
        assert!(RecordHeader::decode(bytes.first_chunk().unwrap(), SALT, 9).is_err(), "{header:?}");
    }
    for (at, value) in [(20, 0), (20, 3), (21, 2), (22, 2), (23, 1)] {
        let mut bytes = Vec::new();
        good.encode(SALT, &mut bytes);
        bytes[at] = value;
        let crc = header_crc(SALT, &bytes[8..]);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        assert!(RecordHeader::decode(bytes.first_chunk().unwrap(), SALT, 9).is_err(), "byte {at} = {value}");
    }
}

#[test]
fn bodies_are_compressed_only_where_it_pays() {
    // Small and random bodies stay as they are, repetitive ones shrink; the size reported is the size stored.
    assert_eq!(Body::new(Vec::new()).stored_bytes(), 0);
    assert_eq!(Body::new(vec![7; 100]).stored_bytes(), 100);
    let mut state = 1_u32;
    let random: Vec<u8> = (0..5000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect();
    assert_eq!(Body::new(random.clone()).stored(), random);
    let body = Body::new(vec![7; 1 << 20]);
    assert!(body.stored_bytes() < 8192);
    assert_eq!(lz4_flex::block::decompress(body.stored(), 1 << 20).unwrap(), vec![7; 1 << 20]);
}
