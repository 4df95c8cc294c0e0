use std::sync::Arc;

use arrow_array::{
    Decimal128Array, Float32Array, Float64Array, Int64Array, StringViewArray, TimestampMicrosecondArray,
};
use proptest::prelude::*;

use super::*;
use crate::error::ErrorKind;
use crate::test_arrays::{Numbers, any_array};

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
                1 => form.encoding = Encoding::from_tag(1 + numbers.below(7) as u8).unwrap(),
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

/// Proves that each encoding is chosen for the values it is made for, and what it then costs.
#[test]
fn encodings_suit_their_values() {
    let rows = 4096_i64;
    let ints = |f: &dyn Fn(i64) -> i64| Int64Array::from_iter_values((0..rows).map(f));
    assert_eq!(form_of(LogicalType::BigInt, ints(&|_| 7)), (Encoding::Constant, Compression::None, 9));
    // Eight blocks of 512 keys: a header of 9 bytes and 512 * 10 bits each.
    let packed = form_of(LogicalType::BigInt, ints(&|i| (i * 7919) % 1000));
    assert_eq!(packed, (Encoding::Packed, Compression::None, 8 * (9 + 640)));
    let times = TimestampMicrosecondArray::from_iter_values((0..rows).map(|i| 1_700_000_000_000_000 + i * 250));
    assert_eq!(form_of(LogicalType::Timestamp, times), (Encoding::Delta, Compression::None, 8 + 8 * 9));
    let mut numbers = Numbers(1);
    let wide = Int64Array::from_iter_values((0..rows).map(|_| numbers.next() as i64));
    assert_eq!(form_of(LogicalType::BigInt, wide), (Encoding::Plain, Compression::None, 8 * rows as usize));
    let texts = |f: &dyn Fn(i64) -> String| StringViewArray::from_iter_values((0..rows).map(f));
    let few = form_of(LogicalType::Varchar, texts(&|i| format!("a country of the world, number {}", i % 50)));
    assert_eq!((few.0, few.1), (Encoding::Dictionary, Compression::None));
    let distinct = form_of(LogicalType::Varchar, texts(&|i| format!("https://example.org/articles/{i}")));
    assert_eq!((distinct.0, distinct.1), (Encoding::Plain, Compression::Lz4));
    assert_eq!(form_of(LogicalType::Varchar, texts(&|_| "same".to_owned())).0, Encoding::Constant);
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

/// Proves that floats are scaled exactly or not at all.
#[test]
fn floats_are_scaled_only_when_exact() {
    let prices = |i: i64| (i * 37 % 100_000) as f64 / 100.0;
    let doubles = |f: &dyn Fn(i64) -> f64| Float64Array::from_iter_values((0..1024).map(f));
    let scaled = form_of(LogicalType::Double, doubles(&prices));
    // Two blocks: at most 17 bits a value instead of 64.
    assert_eq!(scaled.0, Encoding::Scaled);
    assert!(scaled.2 <= 1 + 2 * (9 + 512 * 17 / 8), "{scaled:?}");
    let reals = Float32Array::from_iter_values((0..1024).map(|i| i as f32 / 8.0));
    assert_eq!(form_of(LogicalType::Real, reals).0, Encoding::Scaled);
    for odd in [-0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1.0 / 3.0, 1e300, f64::MIN_POSITIVE] {
        for at in [0, 500] {
            let with_odd = doubles(&|i| if i == at { odd } else { prices(i) });
            assert_eq!(form_of(LogicalType::Double, with_odd).0, Encoding::Plain, "{odd}");
        }
    }
    let holes = Float64Array::from_iter((0..1024).map(|i| (i % 3 > 0).then(|| prices(i))));
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
        Arc::new(StringViewArray::from_iter_values((0..50).map(|_| format!("{:016x}", numbers.next()))));
    let (form, bytes) = encoded(&LogicalType::Varchar, &texts);
    assert_eq!((form.encoding, form.compression), (Encoding::Plain, Compression::None));
    let body = Buffer::from(bytes);
    let back = decode(&LogicalType::Varchar, 50, &form, &body, "test", 0).unwrap();
    let data = &back.as_string_view().data_buffers()[0];
    assert!(body.as_slice().as_ptr_range().contains(&data.as_ptr()));
}

/// Proves that tags of later versions are told apart from ours.
#[test]
fn unknown_tags_are_none() {
    for tag in [0, 8, 255] {
        assert_eq!(Encoding::from_tag(tag), None);
    }
    assert_eq!(Encoding::from_tag(7), Some(Encoding::Scaled));
    assert_eq!(Compression::from_tag(2), None);
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
