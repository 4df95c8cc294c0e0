use std::collections::HashMap;
use std::slice::from_ref;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{
    BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array,
    Int64Array, StringViewArray, TimestampMicrosecondArray, UInt8Array, UInt64Array,
};
use arrow_schema::DataType;
use proptest::prelude::*;

use super::*;
use crate::key_index::keys::columns::key_column;
use crate::test_arrays::{ArraySpec, Shape, any_type};

pub(crate) const SECRET: [u8; 16] = *b"sixteen bytes ok";

fn hasher(types: &[LogicalType]) -> KeyHasher {
    KeyHasher::new(types, SECRET).unwrap()
}

fn keys(types: &[LogicalType], columns: &[ArrayRef]) -> Keys {
    hasher(types).hash(columns).unwrap()
}

fn whole(keys: &Keys) -> Vec<(u64, u64)> {
    (0..keys.rows() as u32).map(|row| (keys.first(row), keys.second(row))).collect()
}

fn text(values: &[&str]) -> ArrayRef {
    Arc::new(StringViewArray::from_iter_values(values))
}

/// A value as text that is equal exactly if the value is, made without the code under test; `None` for NULL.
fn spelled(array: &ArrayRef, row: usize) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    let float = |value: f64| if value.is_nan() { "NaN".to_owned() } else { format!("{:?}", value + 0.0) };
    Some(match array.data_type() {
        DataType::Float32 => float(f64::from(array.as_primitive::<Float32Type>().value(row))),
        DataType::Float64 => float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8View => format!("{:?}", array.as_string_view().value(row)),
        DataType::BinaryView => format!("{:?}", array.as_binary_view().value(row)),
        DataType::Boolean => format!("{}", array.as_boolean().value(row)),
        fixed => {
            let width = fixed.primitive_width().unwrap();
            let data = array.to_data();
            let bytes = data.buffers()[0].slice_with_length((data.offset() + row) * width, width);
            format!("{:x?}", bytes.as_slice())
        }
    })
}

/// A type that can be part of a key.
fn key_type() -> impl Strategy<Value = LogicalType> {
    any_type().prop_filter("can be a key", |ty| key_column(ty).is_ok())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Proves that over columns of every type that can be a key, hashes are equal exactly if the keys are, that a row has no key exactly if
    /// it has a NULL in it, and that duplicates are those of a map.
    #[test]
    fn equal_keys_are_equal_hashes(
        types in prop::collection::vec(key_type(), 1..4),
        rows in 1..200_usize,
        shape in prop::sample::select(vec![Shape::Few, Shape::Narrow, Shape::Wide, Shape::Constant]),
        nulls_percent in prop::sample::select(vec![0_u64, 0, 20]),
        seed in any::<u64>(),
    ) {
        let columns: Vec<ArrayRef> = types.iter().enumerate().map(|(i, ty)| {
            let spec = ArraySpec { ty: ty.clone(), rows, shape, nulls_percent, margin: i, seed: seed ^ i as u64 };
            // Each row once more, elsewhere, so that there are equal keys however wide they are.
            let once = spec.array();
            let twice: Vec<usize> = (0..rows).chain((0..rows).rev().step_by(3)).collect();
            let twice = UInt64Array::from_iter_values(twice.iter().map(|row| *row as u64));
            arrow_select::take::take(&once, &twice, None).unwrap()
        }).collect();
        let keys = keys(&types, &columns);
        let spelled: Vec<Option<Vec<String>>> =
            (0..columns[0].len()).map(|row| columns.iter().map(|column| spelled(column, row)).collect()).collect();
        let (mut hash_of, mut key_of, mut first_row) = (HashMap::new(), HashMap::new(), HashMap::new());
        let mut repeated = Vec::new();
        for (row, (key, hash)) in spelled.iter().zip(whole(&keys)).enumerate() {
            prop_assert_eq!(keys.is_null(row as u32), key.is_none());
            let Some(key) = key else { continue };
            prop_assert_eq!(*hash_of.entry(key).or_insert(hash), hash);
            prop_assert_eq!(*key_of.entry(hash).or_insert(key), key);
            let first = *first_row.entry(key).or_insert(row as u32);
            if first != row as u32 {
                repeated.push((first, row as u32));
            }
        }
        prop_assert_eq!(duplicates(&keys), repeated);
    }

    /// Proves that the mix of exact keys can be undone, and so is a bijection.
    #[test]
    fn the_mix_is_a_bijection(value in any::<u64>(), before in any::<u64>(), between in any::<u64>()) {
        // The inverse of an odd factor modulo 2^64, by Newton's method.
        let inverse = |factor: u64| (0..6).fold(factor, |x, _| x.wrapping_mul(2_u64.wrapping_sub(factor.wrapping_mul(x))));
        let unshift = |mixed: u64, by: u32| (0..64 / by).fold(mixed, |x, _| mixed ^ (x >> by));
        let mixed = mix(value, before, between);
        let x = unshift(mixed, 32).wrapping_mul(inverse(0xff51_afd7_ed55_8ccd));
        let x = unshift(x, 33).wrapping_sub(between);
        let x = unshift(x, 31).wrapping_mul(inverse(0x94d0_49bb_1331_11eb));
        let x = unshift(x, 27).wrapping_mul(inverse(0xbf58_476d_1ce4_e5b9));
        prop_assert_eq!(unshift(x, 30) ^ before, value);
    }
}

/// Proves that each type is hashed in the form that its width calls for.
#[test]
fn forms_follow_widths() {
    use LogicalType::*;
    let decimal = Decimal { precision: 5, scale: 2 };
    let form = |types: &[LogicalType]| hasher(types).layout().form();
    for ty in [
        Boolean,
        TinyInt,
        SmallInt,
        Integer,
        BigInt,
        UTinyInt,
        USmallInt,
        UInteger,
        UBigInt,
        Real,
        Double,
        Date,
        Time,
        Timestamp,
        TimestampTz,
    ] {
        assert_eq!(form(&[ty]), KeyForm::Exact);
    }
    for ty in [decimal, Varchar, Blob, Uuid] {
        assert_eq!(form(&[ty]), KeyForm::Wide);
    }
    assert_eq!(form(&[Integer, Date]), KeyForm::Exact);
    assert_eq!(form(&[Boolean, Real, TinyInt, SmallInt]), KeyForm::Exact);
    assert_eq!(form(&[Integer, Date, Boolean]), KeyForm::Wide);
    assert_eq!(form(&[BigInt, Boolean]), KeyForm::Wide);
    assert_eq!(form(&[Integer, Varchar]), KeyForm::Wide);
}

/// Proves that types without equality by bytes are refused by name, and so is a key without columns.
#[test]
fn what_cannot_be_a_key_is_refused() {
    let list = LogicalType::List(Box::new(LogicalType::Integer));
    let structure = LogicalType::Struct(vec![("a".to_owned(), LogicalType::Integer)]);
    for (ty, name) in [
        (LogicalType::Json, "JSON"),
        (LogicalType::Interval, "INTERVAL"),
        (list, "INTEGER[]"),
        (structure, "STRUCT(a INTEGER)"),
    ] {
        let error = KeyHasher::new(&[LogicalType::Integer, ty], SECRET).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains(name), "{error}");
    }
    assert_eq!(KeyHasher::new(&[], SECRET).unwrap_err().kind(), ErrorKind::Invalid);
}

/// Proves that arrays of another kind, number or length are refused rather than hashed.
#[test]
fn other_columns_are_refused() {
    let hasher = hasher(&[LogicalType::Integer, LogicalType::SmallInt]);
    let int: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
    let small: ArrayRef = Arc::new(Int16Array::from(vec![1, 2]));
    let date: ArrayRef = Arc::new(Date32Array::from(vec![1, 2]));
    assert!(hasher.hash(&[int.clone(), small.clone()]).is_ok());
    for columns in
        [vec![], vec![int.clone()], vec![int.clone(), small.slice(0, 1)], vec![int.clone(), int], vec![date, small]]
    {
        assert_eq!(hasher.hash(&columns).unwrap_err().kind(), ErrorKind::Internal);
    }
}

/// Proves that texts of one row cannot be cut in another place to make the same key.
#[test]
fn composite_keys_are_unambiguous() {
    let types = [LogicalType::Varchar, LogicalType::Varchar];
    let keys = keys(&types, &[text(&["a", "ab", "", "abc", "ab"]), text(&["bc", "c", "abc", "", "c"])]);
    assert_eq!(duplicates(&keys), [(1, 4)]);
}

/// Proves that columns that share 64 bits do not run into each other, negative numbers included.
#[test]
fn packed_columns_stay_apart() {
    let types = [LogicalType::TinyInt, LogicalType::Integer, LogicalType::Boolean];
    let values: Vec<(i8, i32, bool)> = [-128, -1, 0, 1, 127]
        .into_iter()
        .flat_map(|a| [i32::MIN, -1, 0, 1, i32::MAX].into_iter().map(move |b| (a, b)))
        .flat_map(|(a, b)| [(a, b, false), (a, b, true)])
        .collect();
    let a: ArrayRef = Arc::new(Int8Array::from_iter_values(values.iter().map(|v| v.0)));
    let b: ArrayRef = Arc::new(Int32Array::from_iter_values(values.iter().map(|v| v.1)));
    let c: ArrayRef = Arc::new(BooleanArray::from_iter(values.iter().map(|v| Some(v.2))));
    assert_eq!(duplicates(&keys(&types, &[a, b, c])), []);
}

/// Proves that zeros of both signs are one key and NaNs of all kinds another, in every width and form.
#[test]
fn floats_are_equal_by_value() {
    let nan = f64::from_bits(0xfff8_0000_0000_0001);
    let values = [0.0, -0.0, f64::NAN, nan, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1.0, 0.0];
    let expected = [(0, 1), (2, 3), (2, 4), (0, 8)];
    let double: ArrayRef = Arc::new(Float64Array::from(values.to_vec()));
    let real: ArrayRef = Arc::new(Float32Array::from_iter_values(values.iter().map(|value| *value as f32)));
    let zeros: ArrayRef = Arc::new(UInt8Array::from(vec![0; values.len()]));
    let (d, r, z) = (LogicalType::Double, LogicalType::Real, LogicalType::UTinyInt);
    assert_eq!(duplicates(&keys(from_ref(&d), from_ref(&double))), expected);
    assert_eq!(duplicates(&keys(from_ref(&r), from_ref(&real))), expected);
    assert_eq!(duplicates(&keys(&[r, z.clone()], &[real, zeros.clone()])), expected);
    assert_eq!(duplicates(&keys(&[d, z], &[double, zeros])), expected);
}

/// Proves that layout and hashes outlive the widening of a column that is alone or part of a wide key, and that a change that would mix up
/// other keys changes the layout.
#[test]
fn widening_keeps_hashes() {
    let narrow: ArrayRef = Arc::new(Int8Array::from(vec![-128, -1, 0, 127]));
    let wide: ArrayRef = Arc::new(Int64Array::from(vec![-128, -1, 0, 127]));
    let (tiny, big) = (hasher(&[LogicalType::TinyInt]), hasher(&[LogicalType::BigInt]));
    assert_eq!(tiny.layout(), big.layout());
    assert_eq!(whole(&tiny.hash(from_ref(&narrow)).unwrap()), whole(&big.hash(from_ref(&wide)).unwrap()));
    assert_eq!(whole(&big.hash(from_ref(&narrow)).unwrap()), whole(&big.hash(from_ref(&wide)).unwrap()));
    let real: ArrayRef = Arc::new(Float32Array::from(vec![0.1, -0.0, f32::NAN]));
    let double: ArrayRef = Arc::new(Float64Array::from(vec![f64::from(0.1_f32), 0.0, f64::NAN]));
    let (single, both) = (hasher(&[LogicalType::Real]), hasher(&[LogicalType::Double]));
    assert_eq!(single.layout(), both.layout());
    assert_eq!(whole(&single.hash(&[real]).unwrap()), whole(&both.hash(&[double]).unwrap()));
    let named = text(&["a", "b", "c", "d"]);
    let (types, wider) = ([LogicalType::TinyInt, LogicalType::Varchar], [LogicalType::BigInt, LogicalType::Varchar]);
    assert_eq!(hasher(&types).layout(), hasher(&wider).layout());
    assert_eq!(whole(&keys(&types, &[narrow, named.clone()])), whole(&keys(&wider, &[wide, named])));
    let layout = |types: &[LogicalType]| hasher(types).layout().clone();
    let (tiny, small) = (LogicalType::TinyInt, LogicalType::SmallInt);
    assert_ne!(layout(&[tiny.clone(), tiny.clone()]), layout(&[tiny, small]));
    assert_ne!(layout(&[LogicalType::Date]), layout(&[LogicalType::Timestamp]));
    let decimal = |scale| LogicalType::Decimal { precision: 9, scale };
    assert_ne!(layout(&[decimal(2)]), layout(&[decimal(3)]));
}

/// Proves that another secret makes other hashes in both forms, and shows in the layout.
#[test]
fn the_secret_decides_the_hashes() {
    for (ty, column) in [
        (LogicalType::BigInt, Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef),
        (LogicalType::Varchar, text(&["a", "b", "c"])),
    ] {
        let one = hasher(from_ref(&ty));
        let other = KeyHasher::new(&[ty], [7; 16]).unwrap();
        assert_ne!(one.layout(), other.layout());
        let (one, other) = (whole(&one.hash(from_ref(&column)).unwrap()), whole(&other.hash(&[column]).unwrap()));
        assert!(one.iter().zip(&other).all(|(a, b)| a != b), "{one:x?} {other:x?}");
    }
}

/// Proves that hashes are what files already hold: numbers that another implementation of the format page came to.
#[test]
fn hashes_do_not_change() {
    let ints: ArrayRef = Arc::new(Int64Array::from(vec![-1, 0, 1]));
    let named = text(&["", "a", "a text that is longer than a view"]);
    let decimals: ArrayRef =
        Arc::new(Decimal128Array::from(vec![-1_i128, 0, 1]).with_precision_and_scale(9, 2).unwrap());
    let decimal = LogicalType::Decimal { precision: 9, scale: 2 };
    let exact = whole(&keys(&[LogicalType::BigInt], &[ints]));
    let wide = whole(&keys(&[LogicalType::Varchar, decimal], &[named, decimals]));
    assert_eq!(exact, [(0x9f94_4062_a68d_e7f3, 0), (0x1936_b166_f35b_e3b9, 0), (0xacb5_db0e_edd0_3318, 0)]);
    assert_eq!(
        wide,
        [
            (0x9e9c_b48e_45d3_c245, 0xb619_792f_1169_60c0),
            (0x2afe_d894_d380_7304, 0xa186_cce6_6785_ce06),
            (0x649a_1350_263b_3be4, 0x92a5_30a6_b926_9e65)
        ]
    );
}

/// Proves that keys put together are the keys of the rows put together, with and without NULLs.
#[test]
fn keys_can_be_put_together() {
    let hasher = hasher(&[LogicalType::BigInt]);
    let parts: [ArrayRef; 3] = [
        Arc::new(Int64Array::from(vec![1, 2])),
        Arc::new(Int64Array::from(vec![Some(3), None])),
        Arc::new(Int64Array::from(vec![1])),
    ];
    let mut keys = Keys::empty(KeyForm::Exact);
    parts.iter().for_each(|part| keys.append(&hasher.hash(from_ref(part)).unwrap()));
    let nulls: Vec<bool> = (0..5).map(|row| keys.is_null(row)).collect();
    assert_eq!(nulls, [false, false, false, true, false]);
    assert_eq!((keys.rows(), keys.nulls().unwrap().null_count()), (5, 1));
    assert_eq!(duplicates(&keys), [(0, 4)]);
}

/// Proves that a NULL in any column takes the key away, and that rows without a key are not repeated ones.
#[test]
fn a_null_is_no_key() {
    let a: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![Some(1), None, None, Some(1)]));
    let b: ArrayRef = Arc::new(UInt64Array::from(vec![None, Some(2), Some(2), Some(1)]));
    let keys = keys(&[LogicalType::Timestamp, LogicalType::UBigInt], &[a, b]);
    assert_eq!(keys.nulls().unwrap().null_count(), 3);
    assert_eq!(duplicates(&keys), []);
}

/// Proves that the mix spreads close numbers over the buckets: of 2^16 consecutive keys no bucket of 2^13 gets more than 40.
#[test]
fn consecutive_numbers_are_spread() {
    let ints: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1 << 16));
    let mut rows = vec![0; 1 << 13];
    for (hash, _) in whole(&keys(&[LogicalType::BigInt], &[ints])) {
        rows[(hash >> 51) as usize] += 1;
    }
    let most = *rows.iter().max().unwrap();
    assert!(most <= 40, "{most} rows in one bucket, 8 on average");
}
