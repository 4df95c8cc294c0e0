use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{
    Decimal128Array, Float32Array, Float64Array, Int64Array, StringViewArray, TimestampMicrosecondArray,
};
use proptest::prelude::*;

use super::*;
use crate::error::ErrorKind;
use crate::test_arrays::{ArraySpec, Numbers, Shape, any_array};

fn encoded(ty: &LogicalType, array: &ArrayRef) -> (ChunkForm, Vec<u8>) {
    let mut bytes = Vec::new();
    let (form, _) = Encoder::default().encode(ty, array, &mut bytes);
    (form, bytes)
}

fn decoded(ty: &LogicalType, rows: usize, form: &ChunkForm, bytes: &[u8]) -> Result<ArrayRef> {
    decode(ty, rows, form, &Buffer::from(bytes), "test", 0)
}

fn form_of(ty: LogicalType, array: impl Array + 'static) -> (Encoding, Compression, usize) {
    let array: ArrayRef = Arc::new(array);
    let (form, bytes) = encoded(&ty, &array);
    let back = decoded(&ty, array.len(), &form, &bytes).unwrap();
    assert_eq!(&back, &array);
    (form.encoding, form.compression, bytes.len())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Proves invariant 2 for every type and spread of values, through whichever encoding is chosen.
    #[test]
    fn any_chunk_comes_back(spec in any_array(6000).prop_filter("a chunk has rows", |spec| spec.rows > 0)) {
        let array = spec.array();
        let (form, bytes) = encoded(&spec.ty, &array);
        let back = decoded(&spec.ty, spec.rows, &form, &bytes).unwrap();
        back.to_data().validate_full().unwrap();
        prop_assert_eq!(back.data_type(), &spec.ty.arrow());
        prop_assert_eq!(&back, &array);
    }

    /// Proves invariant 3: cut or altered bodies, and forms that do not fit, end in a valid array or in `Corrupt`.
    #[test]
    fn damaged_chunks_are_refused_or_valid(
        spec in any_array(700).prop_filter("a chunk has rows", |spec| spec.rows > 0),
        seed: u64,
    ) {
        let (form, bytes) = encoded(&spec.ty, &spec.array());
        let mut numbers = Numbers(seed);
        for _ in 0..20 {
            let (mut form, mut bytes) = (form, bytes.clone());
            match numbers.below(4) {
                0 if !bytes.is_empty() => bytes.truncate(numbers.below(bytes.len() as u64) as usize),
                1 => form.encoding = Encoding::from_tag(1 + numbers.below(13) as u8).unwrap(),
                2 => form.value_bytes ^= 1 << numbers.below(64),
                _ if !bytes.is_empty() => {
                    let at = numbers.below(bytes.len() as u64) as usize;
                    bytes[at] ^= 1 << numbers.below(8);
                }
                _ => form.null_count = numbers.below(spec.rows as u64 + 1) as usize,
            }
            match decoded(&spec.ty, spec.rows, &form, &bytes) {
                Ok(array) => array.to_data().validate_full().unwrap(),
                Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Corrupt),
            }
        }
    }

    /// Proves that packing and differences invert exactly at every width and count.
    #[test]
    fn keys_come_back(count in 0..1300_usize, width in 0..=64_u32, base: u64, seed: u64) {
        let mut numbers = Numbers(seed);
        let mask = u64::MAX.checked_shr(64 - width).unwrap_or(0);
        let keys: Vec<u64> = (0..count).map(|_| base.wrapping_add(numbers.next() & mask)).collect();
        let (mut packed, mut differences) = (Vec::new(), Vec::new());
        bitpack::pack(&keys, &mut packed);
        delta::encode(&mut keys.clone(), &mut differences);
        let mut back = Vec::new();
        let mut reader = ByteReader::new("test", 0, &packed);
        bitpack::unpack(count, &mut reader, |block| back.extend_from_slice(block)).unwrap();
        reader.finish().unwrap();
        prop_assert_eq!(&back, &keys);
        back.clear();
        let mut reader = ByteReader::new("test", 0, &differences);
        delta::decode(count, &mut reader, |block| back.extend_from_slice(block)).unwrap();
        reader.finish().unwrap();
        prop_assert_eq!(&back, &keys);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Proves that symbols give back any bytes, whatever sample their table was made of, all at once and one by one.
    #[test]
    fn any_bytes_come_back_from_symbols(
        values in prop::collection::vec(prop::collection::vec(prop::sample::select(b"ab\x00\xff\xc3z ".to_vec()), 0..40), 1..200),
        other in prop::collection::vec(prop::sample::select(b"ab\x00\xff\xc3 ".to_vec()), 0..600),
        seed: u64,
    ) {
        let array = arrow_array::BinaryViewArray::from_iter_values(&values);
        let lengths: Vec<u64> = values.iter().map(|value| value.len() as u64).collect();
        let mut padded = values.concat();
        padded.extend_from_slice(&[0; 8]);
        let sample: Vec<u8> = other.iter().copied().chain([0; 8]).collect();
        let trained = |padded: &[u8]| symbol_table::SymbolTable::train(padded, std::slice::from_ref(&(0..padded.len() - 8)));
        for table in [trained(&padded), trained(&sample), symbol_table::SymbolTable::default()] {
            let mut bytes = Vec::new();
            symbols::encode(&table, &lengths, &padded, &mut Vec::new(), &mut bytes);
            let back = symbols::decode(values.len(), None, false, ByteReader::new("test", 0, &bytes)).unwrap();
            prop_assert_eq!(back.as_binary_view(), &array);
            let positions: Vec<u32> = (0..values.len() as u32).step_by(3).collect();
            let taken =
                symbols::take(values.len(), &positions, None, false, ByteReader::new("test", 0, &bytes)).unwrap();
            let expected = positions.iter().map(|position| &values[*position as usize]);
            prop_assert_eq!(taken.as_binary_view(), &arrow_array::BinaryViewArray::from_iter_values(expected));
            let mut numbers = Numbers(seed);
            for _ in 0..20 {
                let mut damaged = bytes.clone();
                let at = numbers.below(bytes.len() as u64) as usize;
                damaged[at] ^= 1 << numbers.below(8);
                damaged.truncate(bytes.len() - numbers.below(2) as usize);
                match symbols::decode(values.len(), None, true, ByteReader::new("test", 0, &damaged)) {
                    Ok(array) => array.to_data().validate_full().unwrap(),
                    Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Corrupt),
                }
            }
        }
    }

    /// Proves that keys come back from runs, steps and whatever is chosen between, all at once and one by one.
    #[test]
    fn numbers_come_back(
        runs in prop::collection::vec((any::<u64>(), 1..700_usize), 1..20),
        step in prop::sample::select(vec![1_u64, 2, 1000, 1 << 40]),
        narrow: bool,
    ) {
        let key = |key: u64| if narrow { key % 50 } else { key };
        let keys: Vec<u64> = runs.iter().flat_map(|(value, rows)| std::iter::repeat_n(key(*value) / step * step, *rows)).collect();
        let positions: Vec<u32> = (0..keys.len() as u32).step_by(7).collect();
        let expected: Vec<u64> = positions.iter().map(|position| keys[*position as usize]).collect();
        let (mut bytes, mut back) = (Vec::new(), Vec::new());
        numbers::encode(&mut keys.clone(), &mut bytes);
        let mut reader = ByteReader::new("test", 0, &bytes);
        numbers::decode(keys.len(), &mut reader, |block| back.extend_from_slice(block)).unwrap();
        reader.finish().unwrap();
        prop_assert_eq!(&back, &keys);
        let taken = numbers::decode_at(keys.len(), &positions, &mut ByteReader::new("test", 0, &bytes)).unwrap();
        prop_assert_eq!(&taken, &expected);
        if let Some((min, found)) = stepped::step(&keys) {
            prop_assert!(found % step == 0 || found >= step);
            (bytes, back) = (Vec::new(), Vec::new());
            stepped::encode(min, found, &mut keys.clone(), &mut bytes);
            let mut reader = ByteReader::new("test", 0, &bytes);
            stepped::decode(keys.len(), &mut reader, |block| back.extend_from_slice(block)).unwrap();
            reader.finish().unwrap();
            prop_assert_eq!(&back, &keys);
            let taken = stepped::decode_at(keys.len(), &positions, &mut ByteReader::new("test", 0, &bytes)).unwrap();
            prop_assert_eq!(&taken, &expected);
        }
    }
}

/// Proves that lists of equal items, which pack to next to nothing, are stored so that their bytes bound what reading them allocates.
#[test]
fn few_bytes_ask_for_little_memory() {
    let ty = LogicalType::List(Box::new(LogicalType::Integer));
    let lists = |items: usize| {
        let items = std::iter::repeat_n(Some(7), items).collect::<Vec<_>>();
        arrow_array::ListArray::from_iter_primitive::<arrow_array::types::Int32Type, _, _>(
            (0..1000).map(|_| Some(items.clone())),
        )
    };
    assert_eq!(form_of(ty.clone(), lists(3)).0, Encoding::Columns);
    let large: ArrayRef = Arc::new(lists(300));
    let (form, bytes) = encoded(&ty, &large);
    assert_eq!((form.encoding, form.compression), (Encoding::Nested, Compression::Lz4));
    assert_eq!(&decoded(&ty, 1000, &form, &bytes).unwrap(), &large);
    // The same as columns, by hand: a thousand lengths of 300, and a constant child.
    let mut values = Vec::new();
    numbers::encode(&mut [300; 1000], &mut values);
    child::encode(&mut values, |out| {
        let constant: ArrayRef = Arc::new(arrow_array::Int32Array::from(vec![7; 300_000]));
        (Encoder::default().encode(&LogicalType::Integer, &constant, out).0, ())
    });
    let form = ChunkForm {
        encoding: Encoding::Columns,
        compression: Compression::None,
        null_count: 0,
        value_bytes: values.len() as u64,
    };
    assert_eq!(decoded(&ty, 1000, &form, &values).unwrap_err().kind(), ErrorKind::Corrupt);
    let compressed = ChunkForm { compression: Compression::Zstd, ..form };
    assert_eq!(decoded(&ty, 1000, &compressed, &values).unwrap_err().kind(), ErrorKind::Corrupt);
}

/// Proves that each encoding is chosen for the values it is made for, and what it then costs.
#[test]
fn encodings_suit_their_values() {
    let rows = 4096_i64;
    let ints = |f: &dyn Fn(i64) -> i64| Int64Array::from_iter_values((0..rows).map(f));
    assert_eq!(form_of(LogicalType::BigInt, ints(&|_| 7)), (Encoding::Constant, Compression::None, 9));
    // Eight blocks of 512 keys: a header of 9 bytes and 512 * 10 bits each.
    let packed = form_of(LogicalType::BigInt, ints(&|i| (i * 7919) % 1000));
    assert_eq!(packed, (Encoding::Packed, Compression::None, 8 * (9 + 640)));
    let times =
        TimestampMicrosecondArray::from_iter_values((0..rows).map(|i| 1_700_000_000_000_000 + i * 250 + i * i % 5));
    // Differences of 247 to 253: three bits each.
    assert_eq!(form_of(LogicalType::Timestamp, times), (Encoding::Delta, Compression::None, 8 + 8 * (9 + 192)));
    let seconds = ints(&|i| (1_700_000_000 + (i * 7919) % 1000) * 1_000_000);
    assert_eq!(form_of(LogicalType::BigInt, seconds), (Encoding::Stepped, Compression::None, 17 + 8 * (9 + 640)));
    let runs = form_of(LogicalType::BigInt, ints(&|i| i / 64 * 7919 % 1000));
    assert_eq!((runs.0, runs.1), (Encoding::RunLength, Compression::None));
    assert!(runs.2 < 200, "{runs:?}");
    let holes = Int64Array::from_iter((0..rows).map(|i| (i % 4 == 0).then_some(i * 7919 % 1000)));
    let holes = form_of(LogicalType::BigInt, holes);
    assert_eq!((holes.0, holes.1), (Encoding::Sparse, Compression::None));
    assert!(holes.2 < 4096 / 8 + 2 * (9 + 640) + 64, "{holes:?}");
    let mut numbers = Numbers(1);
    let wide = Int64Array::from_iter_values((0..rows).map(|_| numbers.next() as i64));
    assert_eq!(form_of(LogicalType::BigInt, wide), (Encoding::Plain, Compression::None, 8 * rows as usize));
    let texts = |f: &dyn Fn(i64) -> String| StringViewArray::from_iter_values((0..rows).map(f));
    let few = form_of(LogicalType::Varchar, texts(&|i| format!("a country of the world, number {}", i % 50)));
    assert_eq!((few.0, few.1), (Encoding::Dictionary, Compression::None));
    let words = ["carefully", "final", "requests", "sleep", "above", "the", "ironic", "deposits"];
    let mut numbers = Numbers(5);
    let mut comment = || (0..5).map(|_| words[numbers.below(8) as usize]).collect::<Vec<_>>().join(" ");
    let comments = StringViewArray::from_iter_values((0..rows).map(|_| comment()));
    let comments = form_of(LogicalType::Varchar, comments);
    assert_eq!((comments.0, comments.1), (Encoding::Symbols, Compression::None));
    let repetitive =
        form_of(LogicalType::Varchar, texts(&|i| format!("https://example.org/{}/{i}", "articles/".repeat(20))));
    assert_eq!((repetitive.0, repetitive.1), (Encoding::Plain, Compression::Zstd));
    let mut numbers = Numbers(6);
    let uuids = StringViewArray::from_iter_values((0..rows).map(|_| uuid(&mut numbers)));
    assert_eq!(form_of(LogicalType::Uuid, uuids), (Encoding::Uuid, Compression::None, 16 * rows as usize));
    assert_eq!(form_of(LogicalType::Varchar, texts(&|_| "same".to_owned())).0, Encoding::Constant);
}

fn uuid(numbers: &mut Numbers) -> String {
    let (a, b) = (numbers.next(), numbers.next());
    format!("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", a >> 32, a >> 16 & 0xffff, a & 0xffff, b >> 48, b & 0xffff_ffff_ffff)
}

/// Proves that an empty text among UUIDs, be they all different or in a dictionary, is not taken for one.
#[test]
fn empty_texts_among_uuids_stay_empty() {
    let mut numbers = Numbers(7);
    let distinct: Vec<Option<String>> = (0..40).map(|i| (i % 11 > 0).then(|| uuid(&mut numbers))).collect();
    let with_empty = |i: usize| if i == 5 { Some("") } else { distinct[i % distinct.len()].as_deref() };
    form_of(LogicalType::Varchar, StringViewArray::from_iter((0..distinct.len()).map(with_empty)));
    let repeated = form_of(LogicalType::Varchar, StringViewArray::from_iter((0..4000).map(with_empty)));
    assert_eq!(repeated.0, Encoding::Dictionary);
    let nulls = form_of(LogicalType::Varchar, StringViewArray::from_iter(distinct.iter().map(Option::as_deref)));
    assert_eq!(nulls.0, Encoding::Uuid);
}

/// Proves that a decimal beyond 64 bits is kept whole.
#[test]
fn big_decimals_stay_whole() {
    let ty = LogicalType::Decimal { precision: 38, scale: 2 };
    let decimals = |values: Vec<i128>| Decimal128Array::from(values).with_data_type(ty.arrow());
    assert_eq!(form_of(ty.clone(), decimals(vec![1, i128::from(i64::MAX) + 1])).0, Encoding::Plain);
    assert_eq!(form_of(ty.clone(), decimals(vec![1, 9, 2])).0, Encoding::Packed);
    assert_eq!(form_of(ty.clone(), decimals(vec![i128::MIN; 3])).0, Encoding::Constant);
}

/// Proves that floats are scaled exactly, that the others are kept apart, and that too many others leave the chunk as it is.
#[test]
fn floats_are_scaled_exactly() {
    let prices = |i: i64| (i * 7919 % 100_000) as f64 / 100.0;
    let doubles = |f: &dyn Fn(i64) -> f64| Float64Array::from_iter_values((0..1024).map(f));
    let scaled = form_of(LogicalType::Double, doubles(&prices));
    // Two blocks: at most 17 bits a value instead of 64.
    assert_eq!(scaled.0, Encoding::Scaled);
    assert!(scaled.2 <= 6 + 2 * (9 + 512 * 17 / 8), "{scaled:?}");
    let reals = Float32Array::from_iter_values((0..1024).map(|i| i as f32 / 8.0));
    assert_eq!(form_of(LogicalType::Real, reals).0, Encoding::Scaled);
    let nan = f64::from_bits(0x7ff8_dead_beef_0001);
    for odd in [-0.0, nan, -nan, f64::INFINITY, f64::NEG_INFINITY, 1.0 / 3.0, 1e300, f64::MIN_POSITIVE] {
        for at in [0, 500, 1023] {
            let with_odd: ArrayRef = Arc::new(doubles(&|i| if i == at { odd } else { prices(i) }));
            let (form, bytes) = encoded(&LogicalType::Double, &with_odd);
            assert_eq!(form.encoding, Encoding::Scaled, "{odd}");
            assert!(bytes.len() <= scaled.2 + 9 + 64 + 8, "{odd}");
            let back = decoded(&LogicalType::Double, 1024, &form, &bytes).unwrap();
            assert_eq!(back.as_primitive::<Float64Type>().value(at as usize).to_bits(), odd.to_bits());
            assert_eq!(back.as_primitive::<Float64Type>().value(501), prices(501));
        }
    }
    let thirds = doubles(&|i| if i % 4 == 0 { i as f64 / 3.0 } else { prices(i) });
    assert_eq!(form_of(LogicalType::Double, thirds).0, Encoding::Plain);
    let large = doubles(&|i| (i * 37 % 1000) as f64 * 1e9);
    assert!(form_of(LogicalType::Double, large).2 < 2 * (9 + 64 * 17), "trailing zeros are left out");
    let holes = Float64Array::from_iter((0..1024).map(|i| (i % 16 > 0).then(|| prices(i))));
    assert_eq!(form_of(LogicalType::Double, holes).0, Encoding::Scaled);
}

/// Proves that plain numbers and the data of texts are read where they lie.
#[test]
fn plain_values_are_not_copied() {
    let mut numbers = Numbers(3);
    let ints: ArrayRef = Arc::new(Int64Array::from_iter((0..1000).map(|i| {
        let value = numbers.next() as i64;
        (i % 10 > 0).then_some(value)
    })));
    let (form, bytes) = encoded(&LogicalType::BigInt, &ints);
    assert_eq!((form.encoding, form.compression), (Encoding::Plain, Compression::None));
    let body = Buffer::from(bytes);
    let back = decode(&LogicalType::BigInt, 1000, &form, &body, "test", 0).unwrap();
    // 1000 bits are 125 bytes, so the values start at byte 128.
    let values = back.as_primitive::<arrow_array::types::Int64Type>().values();
    assert_eq!(values.inner().as_ptr(), body.slice(128).as_ptr());

    // A map that starts at an odd place is read all the same, by a copy.
    let mut shifted = vec![0];
    shifted.extend_from_slice(&body);
    let back = decode(&LogicalType::BigInt, 1000, &form, &Buffer::from(shifted).slice(1), "test", 0).unwrap();
    assert_eq!(&back, &ints);

    let mut numbers = Numbers(9);
    let texts: ArrayRef =
        Arc::new(StringViewArray::from_iter_values((0..30).map(|_| format!("{:016x}", numbers.next()))));
    let (form, bytes) = encoded(&LogicalType::Varchar, &texts);
    assert_eq!((form.encoding, form.compression), (Encoding::Plain, Compression::None));
    let body = Buffer::from(bytes);
    let back = decode(&LogicalType::Varchar, 30, &form, &body, "test", 0).unwrap();
    let data = &back.as_string_view().data_buffers()[0];
    assert!(body.as_slice().as_ptr_range().contains(&data.as_ptr()));
}

/// Proves that tags of later versions are told apart from ours.
#[test]
fn unknown_tags_are_none() {
    for tag in [0, 14, 255] {
        assert_eq!(Encoding::from_tag(tag), None);
    }
    assert_eq!(Encoding::from_tag(7), Some(Encoding::Scaled));
    assert_eq!(Encoding::from_tag(13), Some(Encoding::Columns));
    assert_eq!(Compression::from_tag(3), None);
    assert_eq!(Compression::from_tag(1), Some(Compression::Lz4));
}

/// Proves that a dictionary gives up at its limits and skips NULLs.
#[test]
fn dictionaries_have_limits() {
    let texts = StringViewArray::from(vec![None, Some("a"), Some("b"), None, Some("a")]);
    let built = dictionary::Dictionary::build(&texts, 0..5, 2).unwrap();
    assert_eq!((built.entries, built.codes), (vec![1, 2], vec![0, 0, 1, 1, 0]));
    assert!(dictionary::Dictionary::build(&texts, 0..5, 1).is_none());
}

/// A type and 3,000 values of it for each encoding.
pub(super) fn one_of_each() -> Vec<((LogicalType, ArrayRef), Encoding)> {
    let made = |ty: LogicalType, shape: Shape, nulls_percent: u64| {
        let spec = ArraySpec { ty, rows: 3000, shape, nulls_percent, margin: 0, seed: 5 };
        (spec.ty.clone(), spec.array())
    };
    let prices = Float64Array::from_iter((0..3000).map(|i| (i % 9 > 0).then(|| f64::from(i) / 4.0)));
    let runs = Int64Array::from_iter_values((0..3000).map(|i| i / 70 * 7919 % 1000));
    let seconds = Int64Array::from_iter_values((0..3000).map(|i| (i * 7919 % 1000) * 1_000_000));
    let mut numbers = Numbers(8);
    let uuids = StringViewArray::from_iter_values((0..3000).map(|_| {
        let (a, b) = (numbers.next(), numbers.next());
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            a >> 32,
            a >> 16 & 0xffff,
            a & 0xffff,
            b >> 48,
            b & 0xffff_ffff_ffff
        )
    }));
    let words = ["carefully", "final", "requests", "sleep", "above", "the", "ironic", "deposits"];
    let comments = StringViewArray::from_iter((0..3000).map(|i| {
        let comment = (0..6).map(|_| words[numbers.below(8) as usize]).collect::<Vec<_>>().join(" ");
        (i % 20 > 0).then_some(comment)
    }));
    let noise = arrow_array::BinaryViewArray::from_iter_values(
        (0..3000).map(|i| (0..i % 20).map(|_| numbers.next() as u8).collect::<Vec<_>>()),
    );
    let nested = LogicalType::List(Box::new(LogicalType::Varchar));
    vec![
        (made(LogicalType::BigInt, Shape::Constant, 0), Encoding::Constant),
        (made(LogicalType::Varchar, Shape::Wide, 100), Encoding::Constant),
        (made(LogicalType::Varchar, Shape::Constant, 50), Encoding::Constant),
        (made(LogicalType::BigInt, Shape::Wide, 0), Encoding::Plain),
        (made(LogicalType::BigInt, Shape::Wide, 50), Encoding::Sparse),
        ((LogicalType::Varchar, Arc::new(comments) as ArrayRef), Encoding::Symbols),
        ((LogicalType::Blob, Arc::new(noise) as ArrayRef), Encoding::Plain),
        (made(LogicalType::Integer, Shape::Narrow, 3), Encoding::Packed),
        (made(LogicalType::Timestamp, Shape::Ascending, 3), Encoding::Delta),
        (made(LogicalType::Varchar, Shape::Few, 3), Encoding::Dictionary),
        (made(nested, Shape::Wide, 3), Encoding::Columns),
        ((LogicalType::Double, Arc::new(prices) as ArrayRef), Encoding::Scaled),
        ((LogicalType::BigInt, Arc::new(runs) as ArrayRef), Encoding::RunLength),
        ((LogicalType::BigInt, Arc::new(seconds) as ArrayRef), Encoding::Stepped),
        ((LogicalType::Uuid, Arc::new(uuids) as ArrayRef), Encoding::Uuid),
    ]
}

/// Proves that a chunk whose keys are beyond its type is refused: values cut to size would differ from what a condition on keys says. The
/// fuzzer found one.
#[test]
fn keys_that_no_value_has_are_refused() {
    let wide: ArrayRef = Arc::new(Int64Array::from_iter_values((0..2000).map(|i| 1 + i * i % 70_000)));
    for (ty, fits) in [
        (LogicalType::BigInt, true),
        (LogicalType::Integer, true),
        (LogicalType::Date, true),
        (LogicalType::SmallInt, false),
        (LogicalType::TinyInt, false),
    ] {
        let (form, bytes) = encoded(&LogicalType::BigInt, &wide);
        assert_eq!(form.encoding, Encoding::Packed);
        let outcome = decoded(&ty, wide.len(), &form, &bytes);
        let taken = take(&ty, wide.len(), &form, &Buffer::from(bytes), &[1, 200, 1999], "test", 0);
        match fits {
            true => assert_eq!(outcome.unwrap().len(), taken.unwrap().len() + 1997, "{ty}"),
            false => {
                assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Corrupt, "{ty}");
                assert_eq!(taken.unwrap_err().kind(), ErrorKind::Corrupt, "{ty}");
            }
        }
    }
}
