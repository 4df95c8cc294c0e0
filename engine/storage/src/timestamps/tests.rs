use arrow_array::cast::AsArray;
use arrow_array::{
    TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray,
};

use super::*;

/// Proves invariant 2, on both sides of 1970 and at the ends of the range.
#[test]
fn finer_units_are_rounded() {
    let micros = TimestampMicrosecondArray::from(vec![
        Some(1_500_000),
        Some(1_499_999),
        Some(-1_500_000),
        Some(-1_499_999),
        None,
        Some(i64::MAX),
        Some(i64::MIN),
    ]);
    let seconds = to_unit(&micros, TimeUnit::Second).unwrap();
    let expected = vec![Some(2), Some(1), Some(-2), Some(-1), None, Some(9_223_372_036_855), Some(-9_223_372_036_855)];
    assert_eq!(seconds.as_primitive::<TimestampSecondType>(), &TimestampSecondArray::from(expected));
    let millis = to_unit(&micros.slice(2, 2), TimeUnit::Millisecond).unwrap();
    assert_eq!(millis.as_primitive::<TimestampMillisecondType>(), &TimestampMillisecondArray::from(vec![-1500, -1500]));
    let nanos = TimestampNanosecondArray::from(vec![1_999, -1_999, i64::MIN]);
    let micros = to_unit(&nanos, TimeUnit::Microsecond).unwrap();
    assert_eq!(
        micros.as_primitive::<TimestampMicrosecondType>(),
        &TimestampMicrosecondArray::from(vec![1, -1, -9_223_372_036_854_775])
    );
}

/// Proves invariant 1, and that NULL hides what lies under it.
#[test]
fn a_year_that_nanoseconds_lack_is_named() {
    let far = 253_402_300_799;
    let seconds = TimestampSecondArray::from(vec![Some(1), None, Some(far)]);
    assert_eq!(to_unit(&seconds, TimeUnit::Nanosecond).unwrap_err(), 2);
    let hidden = TimestampSecondArray::new(vec![far].into(), Some(vec![false].into()));
    assert_eq!(to_unit(&hidden, TimeUnit::Nanosecond).unwrap().null_count(), 1);
    let zoned = seconds.with_timezone("UTC");
    let millis = to_unit(&zoned, TimeUnit::Millisecond).unwrap();
    assert_eq!(millis.as_primitive::<TimestampMillisecondType>().value(2), far * 1000);
    assert_eq!(millis.data_type(), &DataType::Timestamp(TimeUnit::Millisecond, None));
}
