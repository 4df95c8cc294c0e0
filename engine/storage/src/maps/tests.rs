//! Maps and their lists of entries.

use arrow_array::ArrayRef;
use proptest::prelude::*;

use super::*;
use crate::logical_type::LogicalType;
use crate::test_arrays::{ArraySpec, Numbers, Shape};

fn of_type(key: LogicalType, shape: Shape, seed: u64) -> ArrayRef {
    let ty = LogicalType::Map(Box::new((key, LogicalType::Double)));
    ArraySpec { ty, rows: 40, shape, nulls_percent: 20, margin: 3, seed }.array()
}

/// Types that keys may have, one of each width.
fn keys() -> Vec<LogicalType> {
    use LogicalType as T;
    let decimal = T::Decimal { precision: 30, scale: 2 };
    vec![T::Boolean, T::TinyInt, T::USmallInt, T::Integer, T::Date, T::BigInt, T::Double, decimal, T::Varchar, T::Blob]
}

proptest! {
    /// Proves that maps become lists and maps again, and that a repeated key is found exactly where there is one.
    #[test]
    fn maps_are_lists_of_entries(place in 0..10_usize, seed: u64) {
        let mut numbers = Numbers(seed);
        let shape = [Shape::Few, Shape::Wide, Shape::Ascending][numbers.below(3) as usize];
        let array = of_type(keys()[place].clone(), shape, seed);
        let maps = array.as_map();
        let lists = lists_of(maps);
        prop_assert_eq!(&maps_of(array.data_type(), &lists).unwrap(), maps);
        let repeats = |row: usize| {
            let keys = maps.value(row).column(0).clone();
            let same = |a: usize, b: usize| keys.slice(a, 1).to_data() == keys.slice(b, 1).to_data();
            maps.is_valid(row) && (0..keys.len()).any(|b| (0..b).any(|a| same(a, b)))
        };
        prop_assert_eq!(repeated_key(maps), (0..maps.len()).find(|row| repeats(*row)));
    }
}

/// Proves that a NULL among entries or keys is an error, and so are lists of something else.
#[test]
fn what_is_no_map_is_refused() {
    let map = LogicalType::Map(Box::new((LogicalType::Integer, LogicalType::Integer))).arrow();
    let of = |ty: LogicalType, nulls_percent| {
        ArraySpec {
            ty: LogicalType::List(Box::new(ty)),
            rows: 9,
            shape: Shape::Wide,
            nulls_percent,
            margin: 0,
            seed: 1,
        }
        .array()
    };
    let pair = LogicalType::entry(&(LogicalType::Integer, LogicalType::Integer));
    assert!(maps_of(&map, of(pair.clone(), 0).as_list()).is_ok());
    assert!(maps_of(&map, of(pair, 60).as_list()).is_err());
    assert!(maps_of(&map, of(LogicalType::Integer, 0).as_list()).is_err());
    assert!(maps_of(&DataType::Int32, of(LogicalType::Integer, 0).as_list()).is_err());
}
