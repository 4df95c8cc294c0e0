use arrow_array::cast::AsArray;
use arrow_buffer::Buffer;
use proptest::prelude::*;

use super::*;
use crate::encoding::tests::one_of_each;
use crate::encoding::{Compression, Encoder, decode};
use crate::error::ErrorKind;
use crate::test_arrays::{Numbers, any_array};

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
    for ((ty, array), encoding) in one_of_each() {
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
