use arrow_array::{BinaryViewArray, Int64Array, StringViewArray};
use proptest::prelude::*;

use super::*;
use crate::error::ErrorKind;
use crate::test_arrays::{Numbers, any_array, any_type};
use crate::value::Value;

fn encoded(array: &dyn Array) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(array, &mut bytes);
    bytes
}

fn decoded(ty: &LogicalType, rows: usize, bytes: &[u8]) -> Result<ArrayRef> {
    let mut reader = ByteReader::new("test", 0, bytes);
    let array = decode(ty, rows, &mut reader)?;
    reader.finish()?;
    Ok(array)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Proves invariant 1 for every type, with NULLs, slices and extremes, and that exactly the written bytes are read.
    #[test]
    fn any_array_comes_back(spec in any_array(2000)) {
        let array = spec.array();
        let back = decoded(&spec.ty, spec.rows, &encoded(&array)).unwrap();
        prop_assert_eq!(back.data_type(), &spec.ty.arrow());
        back.to_data().validate_full().unwrap();
        prop_assert_eq!(&back, &array);
    }

    /// Proves that cut and altered bytes end in an array or in `Corrupt`, never in a panic, and that what is accepted is valid Arrow.
    #[test]
    fn damaged_bytes_are_refused_or_valid(spec in any_array(200), seed: u64) {
        let bytes = encoded(&spec.array());
        let mut numbers = Numbers(seed);
        for _ in 0..20 {
            let mut damaged = bytes.clone();
            if numbers.below(2) == 0 {
                damaged.truncate(numbers.below(bytes.len() as u64) as usize);
            } else {
                let at = numbers.below(bytes.len() as u64) as usize;
                damaged[at] ^= 1 << numbers.below(8);
            }
            match decoded(&spec.ty, spec.rows, &damaged) {
                Ok(array) => array.to_data().validate_full().unwrap(),
                Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Corrupt),
            }
        }
    }

    /// Proves that types come back, and that their cut bytes are refused.
    #[test]
    fn any_type_comes_back(ty in any_type()) {
        let mut bytes = Vec::new();
        encode_type(&ty, &mut bytes);
        prop_assert_eq!(decode_type(&mut ByteReader::new("test", 0, &bytes)).unwrap(), ty);
        for end in 0..bytes.len() {
            let error = decode_type(&mut ByteReader::new("test", 0, &bytes[..end])).unwrap_err();
            prop_assert_eq!(error.kind(), ErrorKind::Corrupt);
        }
    }
}

/// Proves that one row costs a few bytes beyond its value, so that one-row commits stay small.
#[test]
fn one_row_is_small() {
    assert_eq!(encoded(&Int64Array::from(vec![7])).len(), 9);
    assert_eq!(encoded(&Int64Array::from(vec![None])).len(), 2);
    assert_eq!(encoded(&StringViewArray::from(vec!["abc"])).len(), 6);
}

/// Pins the bytes of the format.
#[test]
fn bytes_are_as_documented() {
    let array = StringViewArray::from(vec![Some("ab"), None, Some("twelve bytes and more")]);
    let mut expected = vec![SOME_NULLS, 0b101, 1, 2, 0, 21];
    expected.extend_from_slice(b"abtwelve bytes and more");
    assert_eq!(encoded(&array), expected);
    let sliced = Int64Array::from(vec![Some(1), None, Some(-2)]).slice(1, 2);
    assert_eq!(encoded(&sliced)[..2], [SOME_NULLS, 0b10]);
    assert_eq!(encoded(&sliced)[10..], (-2_i64).to_le_bytes());
}

/// Proves that each kind of nonsense is told apart from data.
#[test]
fn nonsense_is_refused() {
    let text = LogicalType::Varchar;
    let cases: [(&LogicalType, usize, &[u8]); 9] = [
        (&text, 1, &[2]),
        (&text, 1, &[0, 3, 1, b'a']),
        (&text, 1, &[0, 1, 2, b'a']),
        (&text, 1, &[0, 1, 1, 0xff]),
        // A character of two bytes split between two values.
        (&text, 2, &[0, 1, 1, 1, 0xc3, 0xa9]),
        // Unused bits set; a bitmap without a NULL.
        (&LogicalType::Boolean, 1, &[0, 2]),
        (&LogicalType::Boolean, 1, &[1, 1, 1]),
        (&LogicalType::BigInt, usize::MAX, &[0, 1]),
        (&LogicalType::BigInt, usize::MAX, &[1, 1]),
    ];
    for (ty, rows, bytes) in cases {
        assert_eq!(decoded(ty, rows, bytes).unwrap_err().kind(), ErrorKind::Corrupt, "{ty} {bytes:?}");
    }
    let lists = LogicalType::List(Box::new(LogicalType::Boolean));
    let too_many = [0, 4, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(decoded(&lists, 1, &too_many).unwrap_err().kind(), ErrorKind::Corrupt);
}

/// Proves that lengths of every width are read as written.
#[test]
fn lengths_of_every_width() {
    for longest in [0, 255, 256, 65_535, 65_536, 200_000] {
        let values = [vec![b'a'; longest], vec![b'b'; 13]];
        let array = BinaryViewArray::from_iter_values(&values);
        let back = decoded(&LogicalType::Blob, 2, &encoded(&array)).unwrap();
        assert_eq!(back.as_binary_view(), &array, "longest={longest}");
    }
}

/// Proves that values of every variant come back, bit for bit.
#[test]
fn any_value_comes_back() {
    let values = [
        None,
        Some(Value::Bool(true)),
        Some(Value::Int(i64::MIN)),
        Some(Value::UInt(u64::MAX)),
        Some(Value::Decimal(i128::MIN)),
        Some(Value::Float(-0.0)),
        Some(Value::Text("é".to_owned())),
        Some(Value::Bytes(vec![0xff, 0])),
    ];
    for value in values {
        let mut bytes = Vec::new();
        encode_value(value.as_ref(), &mut bytes);
        let back = decode_value(&mut ByteReader::new("test", 0, &bytes)).unwrap();
        assert_eq!(format!("{back:?}"), format!("{value:?}"));
    }
    for bytes in [&[8_u8][..], &[1, 2], &[6, 1, 0, 0, 0, 0xff], &[7, 9, 0, 0, 0]] {
        let error = decode_value(&mut ByteReader::new("test", 0, bytes)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{bytes:?}");
    }
}

/// Proves that a type is read no deeper than a column may be nested, whatever the bytes ask for.
#[test]
fn nesting_is_bounded() {
    let nested = |levels: usize| (0..levels).fold(LogicalType::Date, |ty, _| LogicalType::List(Box::new(ty)));
    let read = |levels| {
        let mut bytes = Vec::new();
        encode_type(&nested(levels), &mut bytes);
        decode_type(&mut ByteReader::new("test", 0, &bytes))
    };
    assert_eq!(read(LogicalType::DEPTH_MAX).unwrap(), nested(LogicalType::DEPTH_MAX));
    assert_eq!(read(LogicalType::DEPTH_MAX + 1).unwrap_err().kind(), ErrorKind::Corrupt);
}
