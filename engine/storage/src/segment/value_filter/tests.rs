use std::sync::Arc;

use super::*;
use crate::test_arrays::Numbers;

fn texts(text: impl Fn(usize) -> String) -> ArrayRef {
    Arc::new(StringViewArray::from_iter_values((0..ROWS_MIN).map(text)))
}

fn built(array: &ArrayRef) -> Option<Vec<u8>> {
    build(&LogicalType::Varchar, Encoding::Plain, array)
}

/// Proves invariant 1, the size, and that few values that are not there pass.
#[test]
fn values_are_found_and_others_mostly_denied() {
    let mut numbers = Numbers(4);
    let ids: Vec<String> = (0..ROWS_MIN).map(|_| format!("{:016x}", numbers.next())).collect();
    let filter = built(&texts(|i| ids[i].clone())).unwrap();
    assert_eq!(filter.len(), ROWS_MIN);
    assert!(is_length(filter.len() as u64, ROWS_MIN));
    assert!(ids.iter().all(|id| may_contain(&filter, id.as_bytes())));
    let others = (0..10_000).filter(|_| may_contain(&filter, format!("{:016x}", numbers.next()).as_bytes())).count();
    assert!(others < 500, "{others} of 10,000");
}

/// Proves that each value costs a byte only once, and that NULLs cost nothing.
#[test]
fn repeated_values_and_nulls_cost_nothing() {
    let mut numbers = Numbers(4);
    let ids: Vec<String> = (0..4 * ROWS_MIN).map(|_| format!("{:016x}", numbers.next())).collect();
    let repeated: ArrayRef = Arc::new(StringViewArray::from_iter_values(
        (0..8 * ROWS_MIN).map(|_| &ids[numbers.below(ids.len() as u64) as usize]),
    ));
    let filter = built(&repeated).unwrap();
    assert!(filter.len() <= 4 * ROWS_MIN, "{}", filter.len());
    let holes: ArrayRef = Arc::new((0..ROWS_MIN).map(|i| (i % 2 == 0).then(|| &ids[i])).collect::<StringViewArray>());
    assert_eq!(built(&holes).unwrap().len(), ROWS_MIN / 2);
}

/// Proves invariant 2's choice: only unordered identifiers that mostly differ get a filter.
#[test]
fn only_identifiers_without_order_pay() {
    let mut numbers = Numbers(5);
    let random: Vec<u64> = (0..ROWS_MIN).map(|_| numbers.next()).collect();
    let id = |i: usize| format!("{:016x}", random[i]);
    assert!(built(&texts(id)).is_some());
    assert!(built(&texts(|i| format!("{i:016x}"))).is_none(), "ascending");
    assert!(built(&texts(|i| format!("{:016x}", ROWS_MIN - i))).is_none(), "descending");
    assert!(built(&texts(|i| format!("{:02x}", random[i] % 256))).is_none(), "few values");
    assert!(built(&texts(|i| format!("he wrote {}", random[i]))).is_none(), "prose");
    assert!(built(&texts(|i| id(i).repeat(5))).is_none(), "long");
    assert!(built(&texts(id).slice(1, ROWS_MIN - 1)).is_none(), "few rows");
    assert!(build(&LogicalType::Json, Encoding::Plain, &texts(id)).is_none());
    assert!(build(&LogicalType::Varchar, Encoding::Dictionary, &texts(id)).is_none());
    let nothing: ArrayRef = Arc::new(StringViewArray::new_null(ROWS_MIN));
    assert!(built(&nothing).is_none());
}

/// Pins the bytes: they are on disk.
#[test]
fn places_do_not_move() {
    let (block, bits) = place(hash(b"siltstone"), 1 << 20);
    assert_eq!((hash(b"siltstone"), block), (PINNED.0, PINNED.1));
    assert_eq!(bits.map(u32::trailing_zeros), PINNED.2);
    assert!(!may_contain(&[0; BLOCK_BYTES], b"siltstone"));
    assert!(may_contain(&[0xff; BLOCK_BYTES], b"siltstone"));
}

const PINNED: (u64, usize, [u32; 8]) = (0x81f5_5375_8326_4ad4, 532_288, [22, 0, 30, 15, 14, 28, 20, 19]);
