//! Arrays of any column type for tests: made from a seed, so that a failing case is a seed, a type and a length.

use std::sync::Arc;

use arrow_array::types::{Decimal128Type, IntervalMonthDayNano};
use arrow_array::{
    Array, ArrayRef, BinaryViewArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    Int8Array, Int16Array, Int32Array, Int64Array, IntervalMonthDayNanoArray, ListArray, MapArray, PrimitiveArray,
    StringViewArray, StructArray, Time64MicrosecondArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, TimestampSecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Fields};
use proptest::prelude::*;

use crate::fuzzing::conditions::value_at;
use crate::ids::ColumnId;
use crate::logical_type::LogicalType;
use crate::predicate::{Comparison, Predicate};

/// A stream of numbers from a seed (the splitmix generator).
#[derive(Clone, Debug)]
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// How the values of an array are spread; each suits another encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Constant,
    Few,
    Ascending,
    Narrow,
    Wide,
}

/// What to make.
#[derive(Clone, Debug)]
pub(crate) struct ArraySpec {
    pub(crate) ty: LogicalType,
    pub(crate) rows: usize,
    pub(crate) shape: Shape,
    /// How many of 100 rows are NULL.
    pub(crate) nulls_percent: u64,
    /// Rows made before and after, then sliced away.
    pub(crate) margin: usize,
    pub(crate) seed: u64,
}

impl ArraySpec {
    pub(crate) fn array(&self) -> ArrayRef {
        let mut numbers = Numbers(self.seed);
        let whole = self.make(&self.ty, self.rows + 2 * self.margin, &mut numbers);
        whole.slice(self.margin, self.rows)
    }

    fn make(&self, ty: &LogicalType, rows: usize, numbers: &mut Numbers) -> ArrayRef {
        let nulls = self.nulls(rows, numbers);
        let ints = self.ints(rows, numbers);
        macro_rules! primitive {
            ($array:ident, $native:ty) => {
                Arc::new($array::new(ints.iter().map(|v| *v as $native).collect(), nulls))
            };
        }
        match ty {
            LogicalType::Boolean => Arc::new(BooleanArray::new(ints.iter().map(|v| v & 1 == 1).collect(), nulls)),
            LogicalType::TinyInt => primitive!(Int8Array, i8),
            LogicalType::SmallInt => primitive!(Int16Array, i16),
            LogicalType::Integer => primitive!(Int32Array, i32),
            LogicalType::BigInt => primitive!(Int64Array, i64),
            LogicalType::UTinyInt => primitive!(UInt8Array, u8),
            LogicalType::USmallInt => primitive!(UInt16Array, u16),
            LogicalType::UInteger => primitive!(UInt32Array, u32),
            LogicalType::UBigInt => primitive!(UInt64Array, u64),
            LogicalType::Date => primitive!(Date32Array, i32),
            LogicalType::Time => primitive!(Time64MicrosecondArray, i64),
            LogicalType::Timestamp => primitive!(TimestampMicrosecondArray, i64),
            LogicalType::TimestampTz => Arc::new(
                TimestampMicrosecondArray::new(ints.iter().map(|v| *v as i64).collect(), nulls).with_timezone("UTC"),
            ),
            LogicalType::Real => Arc::new(Float32Array::new(ints.iter().map(|v| float(*v) as f32).collect(), nulls)),
            LogicalType::Double => Arc::new(Float64Array::new(ints.iter().map(|v| float(*v)).collect(), nulls)),
            LogicalType::TimestampS => primitive!(TimestampSecondArray, i64),
            LogicalType::TimestampMs => primitive!(TimestampMillisecondArray, i64),
            LogicalType::TimestampNs => primitive!(TimestampNanosecondArray, i64),
            LogicalType::Interval => {
                let interval = |v: &u64| IntervalMonthDayNano::new(*v as i32, (*v >> 32) as i32, *v as i64);
                Arc::new(IntervalMonthDayNanoArray::new(ints.iter().map(interval).collect(), nulls))
            }
            LogicalType::Decimal { .. } | LogicalType::HugeInt => {
                let values = ints.iter().map(|v| i128::from(*v as i64) * (1 + i128::from(v % 3) * 1_000_000_007));
                let array: Decimal128Array = PrimitiveArray::<Decimal128Type>::new(values.collect(), nulls);
                Arc::new(array.with_data_type(ty.arrow()))
            }
            LogicalType::Varchar | LogicalType::Uuid | LogicalType::Json | LogicalType::Bit | LogicalType::Enum(_) => {
                Arc::new(masked(ints.iter().map(|v| text(*v)), nulls.as_ref()).collect::<StringViewArray>())
            }
            LogicalType::Blob => Arc::new(
                masked(ints.iter().map(|v| text(*v).into_bytes()), nulls.as_ref()).collect::<BinaryViewArray>(),
            ),
            LogicalType::List(item) => {
                let offsets = OffsetBuffer::<i32>::from_lengths(ints.iter().map(|v| (v % 4) as usize));
                let child = self.make(item, offsets[rows] as usize, numbers);
                Arc::new(ListArray::new(Arc::new(item.field("item", true)), offsets, child, nulls))
            }
            LogicalType::Array(item, items) => {
                let offsets = OffsetBuffer::<i32>::from_repeated_length(*items as usize, rows);
                let child = self.make(item, offsets[rows] as usize, numbers);
                Arc::new(ListArray::new(Arc::new(item.field("item", true)), offsets, child, nulls))
            }
            LogicalType::Map(parts) => {
                let offsets = OffsetBuffer::<i32>::from_lengths(ints.iter().map(|v| (v % 3) as usize));
                let DataType::Map(entries, _) = ty.arrow() else { unreachable!("the Arrow form of a MAP") };
                let DataType::Struct(fields) = entries.data_type().clone() else { unreachable!("a MAP's entries") };
                let keys = Self { nulls_percent: 0, ..self.clone() }.make(&parts.0, offsets[rows] as usize, numbers);
                let values = self.make(&parts.1, offsets[rows] as usize, numbers);
                let pairs = StructArray::new(fields, vec![keys, values], None);
                Arc::new(MapArray::new(entries, offsets, pairs, nulls, false))
            }
            LogicalType::Struct(fields) => {
                let children = fields.iter().map(|(_, ty)| self.make(ty, rows, numbers)).collect();
                let fields: Fields = fields.iter().map(|(name, ty)| ty.field(name, true)).collect();
                Arc::new(StructArray::try_new_with_length(fields, children, nulls, rows).unwrap())
            }
        }
    }

    fn nulls(&self, rows: usize, numbers: &mut Numbers) -> Option<NullBuffer> {
        (self.nulls_percent > 0).then(|| (0..rows).map(|_| numbers.below(100) >= self.nulls_percent).collect())
    }

    fn ints(&self, rows: usize, numbers: &mut Numbers) -> Vec<u64> {
        let start = numbers.next();
        let mut last = start;
        let mut next = || match self.shape {
            Shape::Constant => start,
            Shape::Few => start.wrapping_add(numbers.below(7).wrapping_mul(0x0101_0101_0101)),
            Shape::Ascending => {
                last = last.wrapping_add(numbers.below(1000));
                last
            }
            Shape::Narrow => (start >> 3).wrapping_add(numbers.below(5000)),
            Shape::Wide => match numbers.below(10) {
                0 => u64::MAX,
                1 => i64::MAX as u64,
                2 => i64::MIN as u64,
                3 => 0,
                _ => numbers.next(),
            },
        };
        (0..rows).map(|_| next()).collect()
    }
}

fn masked<T>(values: impl Iterator<Item = T>, nulls: Option<&NullBuffer>) -> impl Iterator<Item = Option<T>> {
    values.enumerate().map(move |(i, value)| nulls.is_none_or(|nulls| nulls.is_valid(i)).then_some(value))
}

/// Numbers of all sizes, signed zeros, infinities and NaN.
fn float(seed: u64) -> f64 {
    match seed % 16 {
        0 => -0.0,
        1 => 0.0,
        2 => f64::NAN,
        3 => f64::INFINITY,
        4 => f64::NEG_INFINITY,
        5 => f64::MIN_POSITIVE,
        _ => (seed >> 20) as f64 / 1000.0 - 1e9,
    }
}

/// Empty, inline, borderline and long texts, some beyond ASCII.
fn text(seed: u64) -> String {
    match seed % 8 {
        0 => String::new(),
        1 => format!("{seed:012x}")[..12].to_owned(),
        2 => format!("{seed:013x}")[..13].to_owned(),
        3 => format!("é{}", seed % 100),
        4 => format!("/catalogue/产品/{seed}?utm_source=newsletter"),
        5 if seed % 64 == 5 => "x".repeat((seed % 3000) as usize),
        _ => format!("user-{}", seed % 1000),
    }
}

fn enumeration() -> LogicalType {
    LogicalType::enumeration(vec!["a".to_owned(), "it's".to_owned(), String::new()]).unwrap()
}

/// Every kind of type, nested ones up to three levels.
pub(crate) fn any_type() -> impl Strategy<Value = LogicalType> {
    let scalar = prop_oneof![
        prop::sample::select(vec![
            LogicalType::Boolean,
            LogicalType::TinyInt,
            LogicalType::SmallInt,
            LogicalType::Integer,
            LogicalType::BigInt,
            LogicalType::UTinyInt,
            LogicalType::USmallInt,
            LogicalType::UInteger,
            LogicalType::UBigInt,
            LogicalType::Real,
            LogicalType::Double,
            LogicalType::Blob,
            LogicalType::Date,
            LogicalType::Time,
            LogicalType::Timestamp,
            LogicalType::TimestampTz,
            LogicalType::Uuid,
            LogicalType::Json,
            LogicalType::HugeInt,
            LogicalType::TimestampS,
            LogicalType::TimestampMs,
            LogicalType::TimestampNs,
            LogicalType::Interval,
            LogicalType::Bit,
            enumeration(),
        ]),
        Just(LogicalType::Varchar),
        (1_u8..=38).prop_flat_map(|precision| {
            (Just(precision), 0..=precision).prop_map(|(precision, scale)| LogicalType::Decimal { precision, scale })
        }),
    ];
    let key =
        prop::sample::select(vec![LogicalType::Varchar, LogicalType::BigInt, enumeration(), LogicalType::Boolean]);
    scalar.prop_recursive(3, 8, 3, move |inner| {
        prop_oneof![
            inner.clone().prop_map(|item| LogicalType::List(Box::new(item))),
            (inner.clone(), 1..4_u32).prop_map(|(item, items)| LogicalType::Array(Box::new(item), items)),
            (key.clone(), inner.clone()).prop_map(|parts| LogicalType::Map(Box::new(parts))),
            prop::collection::vec(inner, 0..3).prop_map(|types| {
                let named = types.into_iter().enumerate().map(|(i, ty)| (format!("field {i}"), ty));
                LogicalType::Struct(named.collect())
            }),
        ]
    })
}

/// Arrays of up to `rows_max` rows, small ones preferred.
pub(crate) fn any_array(rows_max: usize) -> impl Strategy<Value = ArraySpec> {
    let rows = prop_oneof![2 => 0..4_usize, 3 => 0..150_usize, 1 => 0..=rows_max];
    let shape = prop::sample::select(vec![Shape::Constant, Shape::Few, Shape::Ascending, Shape::Narrow, Shape::Wide]);
    let nulls = prop::sample::select(vec![0, 0, 3, 50, 100]);
    let margin = prop::sample::select(vec![0, 0, 1, 13]);
    (any_type(), rows, shape, nulls, margin, any::<u64>()).prop_map(|(ty, rows, shape, nulls_percent, margin, seed)| {
        ArraySpec { ty, rows, shape, nulls_percent, margin, seed }
    })
}

/// A condition on values like those of the array, so that it is met now and then; on nested types, only whether they are NULL.
pub(crate) fn any_predicate(ty: &LogicalType, array: &ArrayRef, numbers: &mut Numbers) -> Option<Predicate> {
    const OPS: [Comparison; 6] = [
        Comparison::Equal,
        Comparison::NotEqual,
        Comparison::Less,
        Comparison::LessOrEqual,
        Comparison::Greater,
        Comparison::GreaterOrEqual,
    ];
    let column = ColumnId(1);
    let other =
        ArraySpec { ty: ty.clone(), rows: 4, shape: Shape::Wide, nulls_percent: 0, margin: 0, seed: numbers.next() };
    let other = other.array();
    let mut value = || match numbers.below(5) {
        0 => value_at(ty, &other, numbers.below(4) as usize),
        _ => value_at(ty, array, numbers.below(array.len() as u64) as usize),
    };
    let (one, some) = (value(), (0..4).filter_map(|_| value()).collect::<Vec<_>>());
    match (numbers.below(10), one) {
        (0, _) => Some(Predicate::IsNull(column)),
        (1, _) => Some(Predicate::IsNotNull(column)),
        (2 | 3, Some(_)) => Some(Predicate::In { column, values: some }),
        (_, Some(value)) => Some(Predicate::Compare { column, op: OPS[numbers.below(6) as usize], value }),
        (_, None) => Some(Predicate::IsNotNull(column)),
    }
}
