use arrow_array::cast::AsArray;
use arrow_buffer::Buffer;
use proptest::prelude::*;

use super::*;
use crate::encoding::{Compression, Encoder, decode};
use crate::error::ErrorKind;
use crate::test_arrays::{ArraySpec, Numbers, Shape, any_array};

/// Some of `rows` positions: about `percent` of 100 of them.
fn some_positions(rows: usize, percent: u64, seed: u64) -> Vec<u32> {
    let mut numbers = Numbers(seed);
    (0..rows as u32).filter(|_| numbers.below(100) < percent).collect()
}

fn encoded(ty: &LogicalType, array: &ArrayRef) -> (ChunkForm, Buffer) {
    let mut bytes = Vec::new();
    let (form, _) = Encoder::default().encode(ty, array, &mut bytes);
    (form, Buffer::from_vec(bytes))
}

fn expected(array: &ArrayRef, positions: &[u32]) -> ArrayRef {
    arrow_select::take::take(array, &UInt32Array::from(positions.to_vec()), None).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Proves invariant 1 for every type, spread of values and density of positions, through whichever encoding is chosen.
    #[test]
    fn taking_is_decoding_and_selecting(
        spec in any_array(6000).prop_filter("a chunk has rows", |spec| spec.rows > 0),
        percent in prop::sample::select(vec![0_u64, 1, 10, 60, 100]),
        seed: u64,
    ) {
        let array = spec.array();
        let (form, body) = encoded(&spec.ty, &array);
        let positions = some_positions(spec.rows, percent, seed);
        let taken = take(&spec.ty, spec.rows, &form, &body, &positions, "test", 0).unwrap();
        taken.to_data().validate_full().unwrap();
        prop_assert_eq!(taken.data_type(), &spec.ty.arrow());
        prop_assert_eq!(&taken, &expected(&array, &positions));
    }

    /// Proves that cut or altered bodies, and forms that do not fit, end in a valid array of that length or in `Corrupt`.
    #[test]
    fn damaged_chunks_are_refused_or_valid(
        spec in any_array(700).prop_filter("a chunk has rows", |spec| spec.rows > 0),
        seed: u64,
    ) {
        let (form, body) = encoded(&spec.ty, &spec.array());
        let mut numbers = Numbers(seed);
        for _ in 0..20 {
            let (mut form, mut bytes) = (form, body.to_vec());
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
            let positions = some_positions(spec.rows, 20, numbers.next());
            match take(&spec.ty, spec.rows, &form, &Buffer::from_vec(bytes), &positions, "test", 0) {
                Ok(array) => {
                    array.to_data().validate_full().unwrap();
                    prop_assert_eq!(array.len(), positions.len());
                }
                Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Corrupt),
            }
        }
    }
}

/// Proves invariant 1 for each encoding by name, so that none is left out by chance.
#[test]
fn every_encoding_is_taken_from() {
    let made = |ty: LogicalType, shape: Shape, nulls_percent: u64| {
        let spec = ArraySpec { ty, rows: 3000, shape, nulls_percent, margin: 0, seed: 5 };
        (spec.ty.clone(), spec.array())
    };
    let prices = arrow_array::Float64Array::from_iter((0..3000).map(|i| (i % 9 > 0).then(|| f64::from(i) / 4.0)));
    let runs = arrow_array::Int64Array::from_iter_values((0..3000).map(|i| i / 70 * 7919 % 1000));
    let seconds = arrow_array::Int64Array::from_iter_values((0..3000).map(|i| (i * 7919 % 1000) * 1_000_000));
    let mut numbers = Numbers(8);
    let uuids = arrow_array::StringViewArray::from_iter_values((0..3000).map(|_| {
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
    let comments = arrow_array::StringViewArray::from_iter((0..3000).map(|i| {
        let comment = (0..6).map(|_| words[numbers.below(8) as usize]).collect::<Vec<_>>().join(" ");
        (i % 20 > 0).then_some(comment)
    }));
    let noise = arrow_array::BinaryViewArray::from_iter_values(
        (0..3000).map(|i| (0..i % 20).map(|_| numbers.next() as u8).collect::<Vec<_>>()),
    );
    let nested = LogicalType::List(Box::new(LogicalType::Varchar));
    let cases = [
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
    ];
    for ((ty, array), encoding) in cases {
        let (form, body) = encoded(&ty, &array);
        assert_eq!(form.encoding, encoding, "{ty}");
        for percent in [0, 1, 30, 100] {
            let positions = some_positions(3000, percent, percent);
            let taken = take(&ty, 3000, &form, &body, &positions, "test", 0).unwrap();
            assert_eq!(&taken, &expected(&array, &positions), "{ty} {encoding:?}");
        }
    }
}

/// Proves invariant 2: a few texts out of a large chunk cost a few bytes, compressed or not, with a dictionary or without.
#[test]
fn few_rows_are_small() {
    let rows = 20_000;
    let texts = |f: &dyn Fn(usize) -> String| -> ArrayRef {
        Arc::new(arrow_array::StringViewArray::from_iter_values((0..rows).map(f)))
    };
    let mut numbers = Numbers(3);
    let random: Vec<u64> = (0..rows).map(|_| numbers.next()).collect();
    for array in [
        texts(&|i| format!("https://example.org/articles/{i}")),
        texts(&|i| format!("{:016x}{:016x}", random[i], random[i].rotate_left(17))),
        texts(&|i| format!("a country of the world, number {}", i % 500)),
    ] {
        let (form, body) = encoded(&LogicalType::Varchar, &array);
        let taken = take(&LogicalType::Varchar, rows, &form, &body, &[7, 19_999], "test", 0).unwrap();
        assert_eq!(&taken, &expected(&array, &[7, 19_999]));
        let data: usize = taken.as_string_view().data_buffers().iter().map(Buffer::len).sum();
        assert!(data < 128, "{:?} keeps {data} bytes", form.encoding);
        assert!(matches!(form.compression, Compression::None | Compression::Zstd));
    }
}

/// Proves that damage in what is asked for is seen as well as by decoding.
#[test]
fn text_that_is_not_text_is_refused() {
    let array: ArrayRef = Arc::new(arrow_array::BinaryViewArray::from_iter_values(
        (0..100_u8).map(|i| vec![if i == 50 { 0xff } else { i }; 20]),
    ));
    let (form, body) = encoded(&LogicalType::Blob, &array);
    let read = |positions: &[u32]| take(&LogicalType::Varchar, 100, &form, &body, positions, "test", 0);
    assert_eq!(read(&[49, 50]).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(read(&[49, 51]).unwrap().len(), 2);
    let whole = decode(&LogicalType::Varchar, 100, &form, &body, "test", 0);
    assert_eq!(whole.unwrap_err().kind(), ErrorKind::Corrupt);
}
