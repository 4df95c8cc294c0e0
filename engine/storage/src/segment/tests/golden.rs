//! The golden file of format version 2: every encoding, every compression, NULLs, several row groups and commits.
//!
//! `tests/golden/segment/v2/every_encoding.seg` is written once, by
//! `cargo test -p siltstone-storage --lib -- --ignored make_golden_segment`, and never again once the version is released. The rows in it are
//! those of [`columns`]; the writer may come to choose other encodings, but the reader must always read these bytes.

use arrow_array::types::Int32Type;
use arrow_array::{
    BinaryViewArray, BooleanArray, Decimal128Array, Float64Array, Int32Array, ListArray, StructArray,
    TimestampMicrosecondArray, UInt8Array,
};
use arrow_schema::Fields;

use super::*;
use crate::encoding::{Compression, Encoding};
use crate::value::Value;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/segment/v2/every_encoding.seg");
const ROWS: i64 = 600;
const FACTS: SegmentFacts = SegmentFacts {
    bytes: 61_891,
    rows: ROWS as u64,
    checksum: 2_178_725_520,
    first_snapshot: SnapshotId(100),
    last_snapshot: SnapshotId(105),
};

/// What each column is stored as in the first row group.
const FORMS: [(Encoding, Compression); 23] = [
    (Encoding::Packed, Compression::None),
    (Encoding::Delta, Compression::None),
    (Encoding::Dictionary, Compression::None),
    (Encoding::Symbols, Compression::None),
    (Encoding::Plain, Compression::None),
    (Encoding::Sparse, Compression::None),
    (Encoding::Constant, Compression::None),
    (Encoding::Constant, Compression::None),
    (Encoding::Columns, Compression::None),
    (Encoding::Columns, Compression::None),
    (Encoding::Plain, Compression::None),
    (Encoding::Plain, Compression::None),
    (Encoding::Constant, Compression::None),
    (Encoding::Packed, Compression::None),
    (Encoding::Scaled, Compression::None),
    (Encoding::Uuid, Compression::None),
    (Encoding::RunLength, Compression::None),
    (Encoding::Stepped, Compression::None),
    (Encoding::Plain, Compression::Zstd),
    (Encoding::Plain, Compression::Lz4),
    (Encoding::Nested, Compression::Lz4),
    (Encoding::Scaled, Compression::None),
    (Encoding::Constant, Compression::None),
];

fn columns() -> Vec<TestColumn> {
    let mut numbers = Numbers(1);
    let rows = || 0..ROWS;
    let decimal = LogicalType::Decimal { precision: 20, scale: 2 };
    let wide_decimal = LogicalType::Decimal { precision: 38, scale: 3 };
    let list = LogicalType::List(Box::new(LogicalType::Integer));
    let fields = vec![("name".to_owned(), LogicalType::Varchar), ("price".to_owned(), decimal.clone())];
    let packed = Int64Array::from_iter(rows().map(|i| (i % 9 > 0).then_some(i * 7919 % 1000 - 500)));
    let delta =
        TimestampMicrosecondArray::from_iter_values(rows().map(|i| 1_700_000_000_000_000 + i * 250_000 + i * i % 5));
    let dictionary =
        StringViewArray::from_iter(rows().map(|i| (i % 50 > 0).then(|| format!("country number {}", i % 11))));
    let (heads, tails) = (["b", "d", "f", "k", "l", "m", "n", "p", "r", "s", "t", "v"], ["a", "e", "i", "o", "é"]);
    let mut syllable = || format!("{}{}", heads[numbers.below(12) as usize], tails[numbers.below(5) as usize]);
    let text = StringViewArray::from_iter_values(rows().map(|_| (0..12).map(|_| syllable()).collect::<String>()));
    let double = Float64Array::from_iter_values(rows().map(|_| f64::from_bits(numbers.next() >> 2)));
    let boolean = BooleanArray::from_iter(rows().map(|i| (i % 5 > 0).then_some(i % 3 == 0)));
    let constant = Int32Array::from_iter(rows().map(|i| (i % 4 > 0).then_some(42)));
    let nothing = StringViewArray::new_null(ROWS as usize);
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(
        rows().map(|i| (i % 6 > 0).then(|| (0..i % 4).map(|j| (j != 2).then_some((i + j) as i32)).collect::<Vec<_>>())),
    );
    let names: ArrayRef = Arc::new(StringViewArray::from_iter_values(rows().map(|i| format!("article {}", i % 20))));
    let prices = Decimal128Array::from_iter_values(rows().map(|i| i128::from(i) * 99)).with_data_type(decimal.arrow());
    let arrow_fields: Fields = fields.iter().map(|(name, ty)| ty.field(name, true)).collect();
    let structs = StructArray::new(arrow_fields, vec![names, Arc::new(prices)], None);
    let big = rows().map(|_| i128::from(numbers.next()) << 40 | i128::from(numbers.next() >> 24));
    let decimals = Decimal128Array::from_iter_values(big).with_data_type(wide_decimal.arrow());
    let bytes = BinaryViewArray::from_iter_values(
        (0..ROWS).map(|i| (0..i % 20).map(|_| numbers.next() as u8).collect::<Vec<_>>()),
    );
    let json = StringViewArray::from_iter(rows().map(|i| (i % 2 > 0).then_some(r#"{"a":[1,null]}"#)));
    let scaled = Float64Array::from_iter_values(rows().map(|i| (i * 7919 % 10_000 - 500) as f64 / 100.0));
    let small = UInt8Array::from_iter_values(rows().map(|i| 100 + (i * 13 % 16) as u8));
    let uuids = StringViewArray::from_iter_values(rows().map(|_| uuid(&mut numbers)));
    let runs = Int64Array::from_iter_values(rows().map(|i| i / 40 * 7919 % 1000));
    let stepped = Int64Array::from_iter_values(rows().map(|i| i * 7919 % 1000 * 60_000_000));
    let repetitive = StringViewArray::from_iter_values(rows().map(|i| format!("{}{i}", "/articles".repeat(9))));
    let patterned = rows().map(|i| (i128::from(i % 3 + 1) << 70) + i128::from(i % 5));
    let patterned = Decimal128Array::from_iter_values(patterned).with_data_type(wide_decimal.arrow());
    let equal = ListArray::from_iter_primitive::<Int32Type, _, _>(rows().map(|_| Some(vec![Some(7); 60])));
    let exceptions = Float64Array::from_iter_values(
        rows().map(|i| if i % 100 == 50 { f64::from_bits(0x7ff8_0000_0000_0000 | i as u64) } else { i as f64 / 10.0 }),
    );
    let constant_text = StringViewArray::from_iter_values(rows().map(|_| "the same, and longer than twelve bytes"));
    let arrays: [(LogicalType, ArrayRef); 23] = [
        (LogicalType::BigInt, Arc::new(packed)),
        (LogicalType::Timestamp, Arc::new(delta)),
        (LogicalType::Varchar, Arc::new(dictionary)),
        (LogicalType::Varchar, Arc::new(text)),
        (LogicalType::Double, Arc::new(double)),
        (LogicalType::Boolean, Arc::new(boolean)),
        (LogicalType::Integer, Arc::new(constant)),
        (LogicalType::Varchar, Arc::new(nothing)),
        (list, Arc::new(lists)),
        (LogicalType::Struct(fields), Arc::new(structs)),
        (wide_decimal, Arc::new(decimals)),
        (LogicalType::Blob, Arc::new(bytes)),
        (LogicalType::Json, Arc::new(json)),
        (LogicalType::UTinyInt, Arc::new(small)),
        (LogicalType::Double, Arc::new(scaled)),
        (LogicalType::Uuid, Arc::new(uuids)),
        (LogicalType::BigInt, Arc::new(runs)),
        (LogicalType::BigInt, Arc::new(stepped)),
        (LogicalType::Varchar, Arc::new(repetitive)),
        (LogicalType::Decimal { precision: 38, scale: 3 }, Arc::new(patterned)),
        (LogicalType::List(Box::new(LogicalType::Integer)), Arc::new(equal)),
        (LogicalType::Double, Arc::new(exceptions)),
        (LogicalType::Varchar, Arc::new(constant_text)),
    ];
    (1..).map(ColumnId).zip(arrays).map(|(id, (ty, array))| (id, ty, array)).collect()
}

fn uuid(numbers: &mut Numbers) -> String {
    let (a, b) = (numbers.next(), numbers.next());
    format!("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", a >> 32, a >> 16 & 0xffff, a & 0xffff, b >> 48, b & 0xffff_ffff_ffff)
}

fn commits() -> CommitRuns {
    let mut commits = CommitRuns::default();
    (0..ROWS as u64).for_each(|i| commits.push(SnapshotId(100 + i / 100), 1));
    commits
}

fn golden() -> Vec<u8> {
    std::fs::read(PATH).unwrap()
}

/// Writes the golden file and prints what [`FACTS`] has to say of it.
#[test]
#[ignore = "makes the golden file of a new format version"]
fn make_golden_segment() {
    let (bytes, facts) = write(&columns(), &commits(), &[], 256).unwrap();
    std::fs::write(PATH, bytes).unwrap();
    println!("{facts:?}");
}

/// Proves that bytes written by version 2 are read as the rows that were written.
#[test]
fn version_2_is_read() {
    let segment = open(&golden(), &FACTS).unwrap();
    segment.verify().unwrap();
    assert_eq!((segment.row_groups(), segment.total_rows()), (3, FACTS.rows));
    assert_eq!(all_commits(&segment).unwrap(), commits());
    for (id, ty, array) in columns() {
        assert_eq!(&column(&segment, id, &ty).unwrap(), &array, "column={id}, type={ty}");
    }
    let zone_map = segment.zone_map(0, ColumnId(1)).unwrap();
    let (min, max) = (Some(Value::Int(-497)), Some(Value::Int(493)));
    assert_eq!(zone_map, ZoneMap { min, max, exact: true, null_count: 29 });
}

/// Proves that the golden file has in it every encoding and compression of its version.
#[test]
fn golden_file_covers_every_encoding() {
    let bytes = golden();
    let (offset, _) = footer::decode_tail("golden", &bytes).unwrap();
    let footer_bytes = &bytes[offset as usize..bytes.len() - footer::TAIL_BYTES];
    let footer = footer::Footer::decode("golden", offset, footer_bytes).unwrap();
    let forms: Vec<_> =
        footer.row_groups[0].chunks.iter().map(|chunk| (chunk.form.encoding, chunk.form.compression)).collect();
    assert_eq!(forms, FORMS);
}

/// Proves that truncated and bit-flipped copies of the golden file are reported.
#[test]
fn damaged_golden_copies_are_reported() {
    let bytes = golden();
    let lengths = (0..bytes.len()).step_by(61).chain(bytes.len() - 40..bytes.len());
    for length in lengths {
        corrupt(open(&bytes[..length], &SegmentFacts { bytes: length as u64, ..FACTS }));
    }
    for at in (0..bytes.len()).step_by(29) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        corrupt(open(&damaged, &FACTS));
    }
}
