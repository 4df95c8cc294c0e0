use arrow_array::{BinaryViewArray, StringViewArray};
use proptest::prelude::*;

use super::*;
use crate::test_arrays::any_array;

// Miri takes a thousand times as long.
const CASES: u32 = if cfg!(miri) { 20 } else { 300 };
const ROWS_MAX: usize = if cfg!(miri) { 40 } else { 1500 };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    /// Proves invariant 2 for every type against Arrow's own concatenation, for slices cut at any place.
    #[test]
    fn joined_slices_are_the_whole(spec in any_array(ROWS_MAX), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let whole = spec.array();
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(spec.rows + 1)).collect();
        places.extend([0, spec.rows]);
        places.sort_unstable();
        let slices: Vec<ArrayRef> = places.windows(2).map(|pair| whole.slice(pair[0], pair[1] - pair[0])).collect();
        let joined = concat(&spec.ty, &slices).unwrap();
        joined.to_data().validate_full().unwrap();
        prop_assert_eq!(&joined, &whole);
    }
}

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(values.iter().copied().collect::<StringViewArray>())
}

/// Proves invariant 1: one exact data buffer, whatever the inputs held.
#[test]
fn data_is_compact() {
    let long = "a value that does not fit into its view";
    let big = texts(&[Some(long), Some("short"), None, Some(long), Some(long)]);
    let slices: Vec<ArrayRef> = vec![big.slice(3, 1), big.slice(1, 2), texts(&[Some(long)])];
    let joined = concat(&LogicalType::Varchar, &slices).unwrap();
    let buffers = joined.as_string_view().data_buffers();
    assert_eq!(buffers.len(), 1);
    assert_eq!(buffers[0].capacity(), 2 * long.len());
    assert!(array_bytes(&joined) < 2 * long.len() + 4 * 16 + 300);
}

/// Proves that short values carry no data buffer, and that a NULL brings along no data.
#[test]
fn short_values_hold_no_data() {
    let long = "a value that does not fit into its view";
    let hidden = texts(&[Some(long)]).as_string_view().clone().into_parts();
    let hidden: ArrayRef = Arc::new(StringViewArray::new(hidden.0, hidden.1, Some(NullBuffer::new_null(1))));
    let joined = concat(&LogicalType::Varchar, &[hidden, texts(&[Some("short")])]).unwrap();
    assert!(joined.as_string_view().data_buffers().is_empty());
    assert_eq!(joined.null_count(), 1);
}

/// Proves that nothing to join is an empty array, and another type an error.
#[test]
fn types_must_agree() {
    let empty = concat(&LogicalType::Varchar, &[]).unwrap();
    assert_eq!((empty.len(), empty.data_type()), (0, &DataType::Utf8View));
    let bytes: ArrayRef = Arc::new(BinaryViewArray::from_iter_values([b"x"]));
    let error = concat(&LogicalType::Varchar, &[texts(&[None]), bytes]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
}

/// Proves that data past the limit of one buffer goes on in the next.
#[test]
fn long_data_fills_several_buffers() {
    let values: Vec<String> = (0..10).map(|i| format!("a value that is number {i}")).collect();
    let parts: Vec<ArrayRef> =
        values.chunks(3).map(|part| texts(&part.iter().map(|v| Some(v.as_str())).collect::<Vec<_>>())).collect();
    let joined = join_views(&parts.iter().map(|part| part.as_string_view()).collect::<Vec<_>>(), 60);
    joined.to_data().validate_full().unwrap();
    // Two values of 24 bytes fit into 60.
    assert_eq!(joined.as_string_view().data_buffers().len(), 5);
    assert_eq!(joined.as_string_view().iter().flatten().collect::<Vec<_>>(), values);
}
