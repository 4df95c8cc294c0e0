//! A [`Predicate`] made ready for one column type: its values as keys that order as the type's values do.
//!
//! **Invariants**
//! 1. Numbers of one type, floats included, become 64-bit keys of the same order; decimals stay whole. Constants beyond a type's
//!    range keep their meaning: every value is below, or above.
//! 2. What a [`Condition`] says of bounds ([`Condition::decide`]) holds for every value between them.
//!
//! It does not know how values are stored.

use std::borrow::Borrow;
use std::cmp::Ordering;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time64MicrosecondType, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, PrimitiveArray};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_schema::{DataType, TimeUnit};

use crate::encoding::keys::Key;
use crate::error::{Error, ErrorKind, Result};
use crate::logical_type::LogicalType;
use crate::predicate::{Comparison, Predicate};
use crate::value::Value;
use crate::zone_map::ZoneMap;

mod bytes;
#[cfg(test)]
mod tests;

/// What a row has to be.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    IsNull,
    IsNotNull,
    /// A number of a type that is not a decimal, or BOOLEAN.
    Key(KeyTest),
    /// A decimal or HUGEINT.
    Decimal(KeyTest, Wanted<i128>),
    /// Text or bytes.
    Bytes(Wanted<Vec<u8>>),
}

/// What is known of the rows of a chunk before looking at them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// None qualifies.
    None,
    /// All do.
    All,
    /// All that are not NULL do.
    NotNull,
    Unknown,
}

impl Condition {
    /// The predicate on a column of type `ty`.
    ///
    /// # Errors
    /// `Invalid` if a value is not of that type.
    pub(crate) fn new(predicate: &Predicate, ty: &LogicalType) -> Result<Self> {
        let wanted = match predicate {
            Predicate::IsNull(_) => return Ok(Self::IsNull),
            Predicate::IsNotNull(_) => return Ok(Self::IsNotNull),
            Predicate::Compare { op, value, .. } => Wanted::Compare(*op, value.clone()),
            Predicate::In { values, .. } => Wanted::OneOf(values.clone()),
        };
        let misfit =
            |value: &Value| Error::new(ErrorKind::Invalid, format!("value does not fit: type={ty}, value={value:?}"));
        Ok(match ty {
            ty if ty.is_text() || *ty == LogicalType::Blob => {
                Self::Bytes(wanted.map(|value| Some(value.bytes_of(ty)?.to_vec()), misfit)?)
            }
            LogicalType::Decimal { .. } | LogicalType::HugeInt => {
                let wanted = wanted.map(|value| number_of(ty, value), misfit)?;
                Self::Decimal(KeyTest::new(&wanted, Domain::Signed), wanted)
            }
            _ => {
                let wanted = wanted.map(|value| number_of(ty, value), misfit)?;
                Self::Key(KeyTest::new(&wanted, Domain::of(ty)))
            }
        })
    }

    /// What the zone map of a chunk of `rows` rows says.
    pub(crate) fn decide(&self, ty: &LogicalType, rows: usize, zone_map: &ZoneMap) -> Decision {
        let (any_null, all_null) = (zone_map.null_count > 0, zone_map.null_count == rows as u64);
        let within_bounds = match self {
            Self::IsNull if all_null => return Decision::All,
            Self::IsNull if any_null => return Decision::Unknown,
            Self::IsNull => return Decision::None,
            Self::IsNotNull => Some(true),
            _ if all_null => return Decision::None,
            Self::Key(test) => {
                let (min, max) = number_bounds(ty, zone_map);
                let domain = Domain::of(ty);
                test.decide(min.map_or(0, |min| domain.key(min)), max.map_or(u64::MAX, |max| domain.key(max)))
            }
            Self::Decimal(_, wanted) => {
                let (min, max) = number_bounds(ty, zone_map);
                wanted.decide::<i128>(min.as_ref(), max.as_ref())
            }
            Self::Bytes(wanted) => {
                let bound = |value: &Option<Value>| value.as_ref().and_then(|value| Some(value.bytes_of(ty)?.to_vec()));
                wanted.decide::<[u8]>(bound(&zone_map.min).as_deref(), bound(&zone_map.max).as_deref())
            }
        };
        match within_bounds {
            _ if all_null => Decision::None,
            Some(false) => Decision::None,
            Some(true) if any_null => Decision::NotNull,
            Some(true) => Decision::All,
            None => Decision::Unknown,
        }
    }

    /// Texts or bytes of which a row has to be one; `None` if it may be another.
    pub(crate) fn wanted_bytes(&self) -> Option<&[Vec<u8>]> {
        match self {
            Self::Bytes(Wanted::Compare(Comparison::Equal, value)) => Some(std::slice::from_ref(value)),
            Self::Bytes(Wanted::OneOf(values)) => Some(values),
            _ => None,
        }
    }

    /// Which rows of an array, in the Arrow form of the type this was made for, qualify.
    pub(crate) fn test(&self, array: &dyn Array) -> BooleanBuffer {
        let rows = array.len();
        let values = match self {
            Self::IsNull => {
                return array.nulls().map_or_else(|| BooleanBuffer::new_unset(rows), |nulls| !nulls.inner());
            }
            Self::IsNotNull => BooleanBuffer::new_set(rows),
            Self::Key(test) => test_keys(test, array),
            Self::Decimal(_, wanted) => {
                let values = array.as_primitive::<Decimal128Type>().values();
                BooleanBuffer::collect_bool(rows, |row| wanted.holds(&values[row]))
            }
            Self::Bytes(wanted) => match array.data_type() {
                DataType::Utf8View => bytes::test(wanted, array.as_string_view()),
                _ => bytes::test(wanted, array.as_binary_view()),
            },
        };
        with_nulls(values, array.nulls())
    }
}

/// Clears the bits of rows that are NULL.
pub(crate) fn with_nulls(bits: BooleanBuffer, nulls: Option<&NullBuffer>) -> BooleanBuffer {
    match nulls {
        Some(nulls) => &bits & nulls.inner(),
        None => bits,
    }
}

fn test_keys(test: &KeyTest, array: &dyn Array) -> BooleanBuffer {
    match array.data_type() {
        DataType::Boolean => {
            let values = array.as_boolean().values();
            test.mask(values.len(), |row| u64::from(values.value(row)))
        }
        DataType::Int8 => test_values::<Int8Type>(test, array),
        DataType::Int16 => test_values::<Int16Type>(test, array),
        DataType::Int32 => test_values::<Int32Type>(test, array),
        DataType::Int64 => test_values::<Int64Type>(test, array),
        DataType::UInt8 => test_values::<UInt8Type>(test, array),
        DataType::UInt16 => test_values::<UInt16Type>(test, array),
        DataType::UInt32 => test_values::<UInt32Type>(test, array),
        DataType::UInt64 => test_values::<UInt64Type>(test, array),
        DataType::Date32 => test_values::<Date32Type>(test, array),
        DataType::Time64(_) => test_values::<Time64MicrosecondType>(test, array),
        DataType::Timestamp(TimeUnit::Second, _) => test_values::<TimestampSecondType>(test, array),
        DataType::Timestamp(TimeUnit::Millisecond, _) => test_values::<TimestampMillisecondType>(test, array),
        DataType::Timestamp(TimeUnit::Microsecond, _) => test_values::<TimestampMicrosecondType>(test, array),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => test_values::<TimestampNanosecondType>(test, array),
        DataType::Float32 => {
            let values = array.as_primitive::<Float32Type>().values();
            test.mask(values.len(), |row| order_of_f32(values[row]).key())
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>().values();
            test.mask(values.len(), |row| order_of_f64(values[row]).key())
        }
        other => unreachable!("a condition on numbers meets {other}"),
    }
}

fn test_values<T: ArrowPrimitiveType<Native: Key>>(test: &KeyTest, array: &dyn Array) -> BooleanBuffer {
    let array: &PrimitiveArray<T> = array.as_primitive();
    let values = array.values();
    test.mask(values.len(), |row| values[row].key())
}

/// What a value has to be, in terms of values that order as the type's do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Wanted<K> {
    Compare(Comparison, K),
    /// Sorted and distinct once it went through [`Wanted::map`].
    OneOf(Vec<K>),
}

/// Whether a value that stands to the other in this order qualifies.
fn allows(op: Comparison, order: Ordering) -> bool {
    match op {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    }
}

impl<V> Wanted<V> {
    /// The same of other values; the first one that has no counterpart is refused.
    fn map<K: Ord>(&self, to: impl Fn(&V) -> Option<K>, misfit: impl Fn(&V) -> Error) -> Result<Wanted<K>> {
        let to = |value: &V| to(value).ok_or_else(|| misfit(value));
        Ok(match self {
            Self::Compare(op, value) => Wanted::Compare(*op, to(value)?),
            Self::OneOf(values) => {
                let mut values = values.iter().map(to).collect::<Result<Vec<K>>>()?;
                values.sort_unstable();
                values.dedup();
                Wanted::OneOf(values)
            }
        })
    }
}

impl<K> Wanted<K> {
    /// Whether a value qualifies.
    pub(crate) fn holds<Q: Ord + ?Sized>(&self, value: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        use Comparison as C;
        match self {
            // Values of two lengths are known to differ without a look at them, but not how.
            Self::Compare(C::Equal, other) => value == other.borrow(),
            Self::Compare(C::NotEqual, other) => value != other.borrow(),
            Self::Compare(op, other) => allows(*op, value.cmp(other.borrow())),
            Self::OneOf(values) => values.binary_search_by(|other| other.borrow().cmp(value)).is_ok(),
        }
    }

    /// Whether all or none of the values from `min` to `max` qualify; an absent bound is unknown.
    pub(crate) fn decide<Q: Ord + ?Sized>(&self, min: Option<&Q>, max: Option<&Q>) -> Option<bool>
    where
        K: Borrow<Q>,
    {
        use Comparison as C;
        let above = |value: &Q| min.is_some_and(|min| min > value);
        let below = |value: &Q| max.is_some_and(|max| max < value);
        let only = |value: &Q| min == Some(value) && max == Some(value);
        let first_that_is = |yes: bool, no: bool| if yes { Some(true) } else { no.then_some(false) };
        match self {
            Self::Compare(op, value) => {
                let value = value.borrow();
                let (at_least, at_most) = (min.is_some_and(|min| min >= value), max.is_some_and(|max| max <= value));
                match op {
                    C::Equal => first_that_is(only(value), above(value) || below(value)),
                    C::NotEqual => first_that_is(above(value) || below(value), only(value)),
                    C::Less => first_that_is(below(value), at_least),
                    C::LessOrEqual => first_that_is(at_most, above(value)),
                    C::Greater => first_that_is(above(value), at_most),
                    C::GreaterOrEqual => first_that_is(at_least, below(value)),
                }
            }
            Self::OneOf(values) => {
                let start = min.map_or(0, |min| values.partition_point(|value| value.borrow() < min));
                let end = max.map_or(values.len(), |max| values.partition_point(|value| value.borrow() <= max));
                match values.get(start..end.max(start)) {
                    None | Some([]) => Some(false),
                    Some([value]) if only(value.borrow()) => Some(true),
                    _ => None,
                }
            }
        }
    }
}

impl Wanted<Vec<u8>> {
    /// If values of some lengths alone can be equal to one that is named, and nothing else is asked: the least of them and the most.
    pub(crate) fn lengths(&self) -> Option<(usize, usize)> {
        match self {
            Self::Compare(Comparison::Equal | Comparison::NotEqual, value) => Some((value.len(), value.len())),
            Self::Compare(..) => None,
            Self::OneOf(values) => {
                let lengths = || values.iter().map(Vec::len);
                Some((lengths().min().unwrap_or(0), lengths().max().unwrap_or(0)))
            }
        }
    }

    /// Whether a value qualifies by being unlike the one that is named.
    pub(crate) fn is_unequal(&self) -> bool {
        matches!(self, Self::Compare(Comparison::NotEqual, _))
    }
}

/// What a key has to be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum KeyTest {
    Nothing,
    Everything,
    /// Both ends included.
    Within(u64, u64),
    Except(u64),
    /// Sorted and distinct.
    OneOf(Vec<u64>),
}

impl KeyTest {
    fn new(wanted: &Wanted<i128>, domain: Domain) -> Self {
        let (least, most) = domain.range();
        let within = |low: i128, high: i128| match (low.max(least), high.min(most)) {
            (low, high) if low > high => Self::Nothing,
            (low, high) if (low, high) == (least, most) => Self::Everything,
            (low, high) => Self::Within(domain.key(low), domain.key(high)),
        };
        match wanted {
            Wanted::Compare(Comparison::Equal, value) => within(*value, *value),
            Wanted::Compare(Comparison::NotEqual, value) => match within(*value, *value) {
                Self::Within(key, _) => Self::Except(key),
                _ => Self::Everything,
            },
            Wanted::Compare(Comparison::Less, value) => within(i128::MIN, value.saturating_sub(1)),
            Wanted::Compare(Comparison::LessOrEqual, value) => within(i128::MIN, *value),
            Wanted::Compare(Comparison::Greater, value) => within(value.saturating_add(1), i128::MAX),
            Wanted::Compare(Comparison::GreaterOrEqual, value) => within(*value, i128::MAX),
            Wanted::OneOf(values) => {
                let keys: Vec<u64> = values
                    .iter()
                    .filter(|value| (least..=most).contains(value))
                    .map(|value| domain.key(*value))
                    .collect();
                match keys.as_slice() {
                    [] => Self::Nothing,
                    [key] => Self::Within(*key, *key),
                    _ => Self::OneOf(keys),
                }
            }
        }
    }

    /// Whether all or none of the keys from `min` to `max` qualify.
    pub(crate) fn decide(&self, min: u64, max: u64) -> Option<bool> {
        match self {
            Self::Nothing => Some(false),
            Self::Everything => Some(true),
            Self::Within(low, high) if max < *low || *high < min => Some(false),
            Self::Within(low, high) => (*low <= min && max <= *high).then_some(true),
            Self::Except(key) if max < *key || *key < min => Some(true),
            Self::Except(key) => (min == *key && max == *key).then_some(false),
            Self::OneOf(keys) => match between(keys, min, max) {
                [] => Some(false),
                _ => (min == max).then_some(true),
            },
        }
    }

    /// Which of `rows` keys qualify.
    pub(crate) fn mask(&self, rows: usize, key: impl Fn(usize) -> u64) -> BooleanBuffer {
        match self {
            Self::Nothing => BooleanBuffer::new_unset(rows),
            Self::Everything => BooleanBuffer::new_set(rows),
            Self::Within(low, high) => {
                let span = high - low;
                BooleanBuffer::collect_bool(rows, |row| key(row).wrapping_sub(*low) <= span)
            }
            Self::Except(other) => BooleanBuffer::collect_bool(rows, |row| key(row) != *other),
            Self::OneOf(keys) => BooleanBuffer::collect_bool(rows, |row| keys.binary_search(&key(row)).is_ok()),
        }
    }

    /// The same test of keys of which none is below `min` or above `max`: the shorter a list, the better.
    pub(crate) fn narrowed(&self, min: u64, max: u64) -> Self {
        match self {
            Self::OneOf(keys) => match between(keys, min, max) {
                [] => Self::Nothing,
                [key] => Self::Within(*key, *key),
                some => Self::OneOf(some.to_vec()),
            },
            other => other.clone(),
        }
    }
}

fn between(keys: &[u64], min: u64, max: u64) -> &[u64] {
    let (start, end) = (keys.partition_point(|key| *key < min), keys.partition_point(|key| *key <= max));
    keys.get(start..end).unwrap_or_default()
}

/// How a type's numbers become keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Domain {
    Signed,
    Unsigned,
}

impl Domain {
    fn of(ty: &LogicalType) -> Self {
        use LogicalType as T;
        match ty {
            T::Boolean | T::UTinyInt | T::USmallInt | T::UInteger | T::UBigInt => Self::Unsigned,
            _ => Self::Signed,
        }
    }

    fn range(self) -> (i128, i128) {
        match self {
            Self::Signed => (i64::MIN.into(), i64::MAX.into()),
            Self::Unsigned => (0, u64::MAX.into()),
        }
    }

    /// The key of a number in range; one that is out of it has the nearest.
    fn key(self, number: i128) -> u64 {
        let (least, most) = self.range();
        let number = number.clamp(least, most);
        match self {
            Self::Signed => (number as i64).key(),
            Self::Unsigned => number as u64,
        }
    }
}

/// A number's place in the order of its type; `None` if the value is not of that type.
fn number_of(ty: &LogicalType, value: &Value) -> Option<i128> {
    if !value.is_of(ty) {
        return None;
    }
    match value {
        Value::Bool(value) => Some(i128::from(*value)),
        Value::Int(value) => Some(i128::from(*value)),
        Value::UInt(value) => Some(i128::from(*value)),
        Value::Decimal(value) => Some(*value),
        Value::Float(value) if *ty == LogicalType::Real => {
            let single = *value as f32;
            (f64::from(single) == *value || value.is_nan()).then_some(i128::from(order_of_f32(single)))
        }
        Value::Float(value) => Some(i128::from(order_of_f64(*value))),
        Value::Text(_) | Value::Bytes(_) | Value::Interval { .. } => None,
    }
}

/// Places of the bounds. A bound that is NaN stands for all of them.
fn number_bounds(ty: &LogicalType, zone_map: &ZoneMap) -> (Option<i128>, Option<i128>) {
    let is_nan = |value: &&Value| matches!(value, Value::Float(float) if float.is_nan());
    let min = zone_map.min.as_ref().filter(|value| !is_nan(value)).and_then(|value| number_of(ty, value));
    let max = zone_map.max.as_ref().filter(|value| !is_nan(value)).and_then(|value| number_of(ty, value));
    (min, max)
}

/// Place of a float in IEEE total order, both zeros in one place.
fn order_of_f64(value: f64) -> i64 {
    let bits = if value == 0.0 { 0 } else { value.to_bits() as i64 };
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

/// As [`order_of_f64`].
fn order_of_f32(value: f32) -> i64 {
    let bits = if value == 0.0 { 0 } else { value.to_bits() as i32 };
    i64::from(bits ^ (((bits >> 31) as u32) >> 1) as i32)
}
