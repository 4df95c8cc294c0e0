use std::cmp::Ordering;

use arrow_array::{BinaryViewArray, Float64Array, StringViewArray};
use proptest::prelude::*;

use super::*;
use crate::test_arrays::any_array;

/// The value in a row, by way of the bounds of that row alone; `None` for NULL or a type without bounds.
fn value_at(ty: &LogicalType, array: &dyn Array, row: usize) -> Option<(Value, Value)> {
    let single = ZoneMap::of(ty, &*array.slice(row, 1));
    single.min.zip(single.max)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Proves invariant 1: no row lies outside the bounds, for every type, and the NULLs are counted.
    #[test]
    fn bounds_hold(spec in any_array(300)) {
        let array = spec.array();
        let zone_map = ZoneMap::of(&spec.ty, &array);
        prop_assert_eq!(zone_map.null_count, array.null_count() as u64);
        let rows: Vec<_> = (0..spec.rows).filter_map(|row| value_at(&spec.ty, &array, row)).collect();
        for (low, high) in &rows {
            if let Some(min) = &zone_map.min {
                prop_assert_ne!(min.compare(low), Some(Ordering::Greater));
            }
            if let Some(max) = &zone_map.max {
                prop_assert_ne!(max.compare(high), Some(Ordering::Less));
            }
        }
        if zone_map.exact {
            prop_assert!(rows.iter().any(|(low, _)| Some(low) == zone_map.min.as_ref()));
            prop_assert!(rows.iter().any(|(_, high)| Some(high) == zone_map.max.as_ref()));
        }
    }
}

fn floats(values: &[f64]) -> ZoneMap {
    ZoneMap::of(&LogicalType::Double, &Float64Array::from(values.to_vec()))
}

fn bits(bound: &Option<Value>) -> Option<u64> {
    match bound {
        Some(Value::Float(value)) => Some(value.to_bits()),
        _ => None,
    }
}

/// Proves that NaN and signed zeros only ever loosen the bounds.
#[test]
fn odd_floats_loosen_bounds() {
    let plain = floats(&[1.5, -2.0]);
    assert_eq!(
        (bits(&plain.min), bits(&plain.max), plain.exact),
        (Some((-2.0_f64).to_bits()), Some(1.5_f64.to_bits()), true)
    );
    let zeros = floats(&[0.0, 0.0]);
    assert_eq!((bits(&zeros.min), bits(&zeros.max), zeros.exact), (Some((-0.0_f64).to_bits()), Some(0), false));
    let nan = floats(&[f64::NAN, 3.0]);
    assert_eq!((bits(&nan.min), bits(&nan.max), nan.exact), (Some(3.0_f64.to_bits()), Some(f64::NAN.to_bits()), false));
    assert_eq!(bits(&floats(&[f64::NAN]).min), Some(f64::NAN.to_bits()));
    assert_eq!(floats(&[-f64::NAN, 3.0]), ZoneMap::default());
}

fn texts(values: &[&str]) -> ZoneMap {
    ZoneMap::of(&LogicalType::Varchar, &StringViewArray::from(values.to_vec()))
}

/// Proves that long text is cut to a lower and an upper bound at a character border, and no longer called exact.
#[test]
fn long_text_is_cut() {
    let long = "ab".repeat(100);
    let cut = texts(&[&long]);
    assert_eq!(cut.min, Some(Value::Text("ab".repeat(32))));
    assert_eq!(cut.max, Some(Value::Text(format!("{}c", &"ab".repeat(32)[..63]))));
    assert!(!cut.exact);

    let wide = format!("{}é{}", "a".repeat(63), "z".repeat(9));
    assert_eq!(texts(&[&wide]).min, Some(Value::Text("a".repeat(63))));
    assert_eq!(texts(&[&wide]).max, Some(Value::Text(format!("{}b", "a".repeat(62)))));

    // Above the last character before the surrogates comes the first one after them; above the very last, nothing.
    let below_surrogates = "\u{d7ff}".repeat(22);
    assert_eq!(texts(&[&below_surrogates]).max, Some(Value::Text(format!("{}\u{e000}", "\u{d7ff}".repeat(20)))));
    assert_eq!(texts(&[&"\u{10ffff}".repeat(17)]).max, None);
}

/// Proves that bytes are cut likewise, and that the maximum is dropped when nothing lies above.
#[test]
fn long_bytes_are_cut() {
    let of = |bytes: Vec<u8>| ZoneMap::of(&LogicalType::Blob, &BinaryViewArray::from_iter_values([bytes]));
    let mut carried = vec![1; 63];
    carried.extend([0xff; 9]);
    let mut above = vec![1; 62];
    above.push(2);
    assert_eq!(of(carried).max, Some(Value::Bytes(above)));
    assert_eq!(of(vec![0xff; 65]).max, None);
    assert!(of(vec![0xff; 64]).exact);
}

/// Proves that bounds compare all of a value, not only the four bytes in its view.
#[test]
fn equal_prefixes_are_told_apart() {
    let zone_map = texts(&["http://b", "http://a", "http://c", "http"]);
    assert_eq!(zone_map.min, Some(Value::Text("http".to_owned())));
    assert_eq!(zone_map.max, Some(Value::Text("http://c".to_owned())));
    assert!(texts(&["", "\0"]).exact);
    assert_eq!(texts(&["\0", ""]).min, Some(Value::Text(String::new())));
}

/// Proves that JSON has no bounds, whose order means nothing.
#[test]
fn json_has_no_bounds() {
    let zone_map = ZoneMap::of(&LogicalType::Json, &StringViewArray::from(vec![Some("{}"), None]));
    assert_eq!(zone_map, ZoneMap { null_count: 1, ..ZoneMap::default() });
}
