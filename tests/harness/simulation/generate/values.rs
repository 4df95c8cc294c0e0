//! Random types, columns of values and names.

use fastrand::Rng;
use siltstone_storage::LogicalType;

use crate::simulation::cell::Cell;

const ENUM_VALUES: [&str; 4] = ["new", "it's done", "", "a value longer than twelve bytes"];

/// How the values of one column of one batch relate: each shape makes another encoding the best one.
#[derive(Clone, Copy)]
enum Shape {
    Constant,
    Ascending,
    Few,
    Any,
}

/// A type that a column may have.
pub fn any_type(random: &mut Rng) -> LogicalType {
    use LogicalType as T;
    let scalar = scalar_type(random);
    match random.u8(..14) {
        0 => T::List(Box::new(scalar)),
        1 => T::Struct(vec![("a".to_owned(), scalar), ("b".to_owned(), scalar_type(random))]),
        3 => T::Array(Box::new(scalar), random.u32(1..4)),
        4 => T::Map(Box::new((key_type(random), scalar))),
        5 if random.bool() => {
            T::Map(Box::new((T::Varchar, T::List(Box::new(T::Map(Box::new((key_type(random), scalar))))))))
        }
        2 if random.bool() => {
            let item = T::Struct(vec![("x".to_owned(), scalar), ("y".to_owned(), T::List(Box::new(T::Varchar)))]);
            T::List(Box::new(item))
        }
        _ => scalar,
    }
}

/// A type that a MAP's keys may have, of which [`numbered`] makes many values.
fn key_type(random: &mut Rng) -> LogicalType {
    use LogicalType as T;
    [T::Varchar, T::BigInt, T::Uuid, T::UBigInt][random.usize(..4)].clone()
}

/// An ENUM of few values.
fn enumeration() -> LogicalType {
    let values = ENUM_VALUES.map(str::to_owned).to_vec();
    LogicalType::enumeration(values).expect("distinct values")
}

/// A type without parts.
pub fn scalar_type(random: &mut Rng) -> LogicalType {
    use LogicalType as T;
    let precision = random.u8(1..=38);
    let decimal = T::Decimal { precision, scale: random.u8(..=precision) };
    let types = [
        T::Boolean,
        T::TinyInt,
        T::SmallInt,
        T::Integer,
        T::BigInt,
        T::UTinyInt,
        T::USmallInt,
        T::UInteger,
        T::UBigInt,
        T::Real,
        T::Double,
        decimal,
        T::Varchar,
        T::Blob,
        T::Date,
        T::Time,
        T::Timestamp,
        T::TimestampTz,
        T::Uuid,
        T::Json,
        T::HugeInt,
        T::TimestampS,
        T::TimestampMs,
        T::TimestampNs,
        T::Interval,
        T::Bit,
        enumeration(),
        // The usual ones more often.
        T::BigInt,
        T::Double,
        T::Varchar,
        T::Varchar,
    ];
    types[random.usize(..types.len())].clone()
}

/// Values of one column of a batch.
pub fn column(random: &mut Rng, ty: &LogicalType, rows: usize) -> Vec<Cell> {
    let shape = [Shape::Constant, Shape::Ascending, Shape::Few, Shape::Any][random.usize(..4)];
    let nulls = if random.bool() { 0 } else { random.u8(1..60) };
    let start = random.u64(..1000);
    let step = random.u64(..5);
    let values = (0..rows as u64).map(|row| {
        if random.u8(..100) < nulls {
            return Cell::Null;
        }
        match shape {
            Shape::Constant => numbered(ty, start),
            Shape::Ascending => numbered(ty, start + row * step),
            Shape::Few => numbered(ty, random.u64(..5)),
            Shape::Any => any_value(random, ty),
        }
    });
    values.collect()
}

/// One of few values of a type, so that keys meet.
pub fn key_value(random: &mut Rng, ty: &LogicalType, distinct: u64) -> Cell {
    match ty {
        // The edges of float keys: NaN of both signs, zero of both signs.
        LogicalType::Real if random.u8(..4) == 0 => {
            Cell::Real([f32::NAN, -f32::NAN, 0.0, -0.0][random.usize(..4)].to_bits())
        }
        LogicalType::Double if random.u8(..4) == 0 => {
            Cell::Double([f64::NAN, -f64::NAN, 0.0, -0.0][random.usize(..4)].to_bits())
        }
        _ => numbered(ty, random.u64(..distinct)),
    }
}

/// The `number`-th value of a type, modulo what it can hold; never NULL.
pub fn numbered(ty: &LogicalType, number: u64) -> Cell {
    use LogicalType as T;
    let signed = number as i64;
    match ty {
        T::Boolean => Cell::Bool(number % 2 == 1),
        T::TinyInt => Cell::Int(signed % 128),
        T::SmallInt => Cell::Int(signed % 32_768),
        T::Integer | T::Date => Cell::Int(signed % (1 << 30)),
        T::BigInt | T::Timestamp | T::TimestampTz | T::TimestampS | T::TimestampMs | T::TimestampNs => {
            Cell::Int(signed)
        }
        T::HugeInt => Cell::Decimal(i128::from(number) << 40),
        T::Interval => Cell::Interval((number % 40) as i32, -((number % 90) as i32), signed),
        T::Time => Cell::Int(signed % 86_400_000_000),
        T::UTinyInt => Cell::UInt(number % 256),
        T::USmallInt => Cell::UInt(number % 65_536),
        T::UInteger => Cell::UInt(number % (1 << 32)),
        T::UBigInt => Cell::UInt(number),
        T::Real => Cell::Real((number as f32 / 4.0).to_bits()),
        T::Double => Cell::Double((number as f64 / 10.0).to_bits()),
        T::Decimal { precision, .. } => Cell::Decimal(i128::from(number) % 10i128.pow(u32::from(*precision).min(18))),
        T::Varchar => Cell::Text(format!("value {number}")),
        T::Uuid => Cell::Text(format!("00000000-0000-4000-8000-{number:012x}")),
        T::Json => Cell::Text(format!("{{\"n\":{number}}}")),
        T::Blob => Cell::Bytes(number.to_be_bytes().to_vec()),
        T::Bit => Cell::Text(format!("{number:b}")),
        T::Enum(values) => Cell::Text(values[number as usize % values.len()].clone()),
        T::List(item) => Cell::List((0..number % 4).map(|place| numbered(item, number.wrapping_add(place))).collect()),
        T::Array(item, items) => {
            Cell::List((0..u64::from(*items)).map(|place| numbered(item, number.wrapping_add(place))).collect())
        }
        T::Map(parts) => Cell::Map(
            (0..number % 3)
                .map(|place| number.wrapping_add(place))
                .map(|number| (numbered(&parts.0, number), numbered(&parts.1, number)))
                .collect(),
        ),
        T::Struct(fields) => Cell::Struct(fields.iter().map(|(_, ty)| numbered(ty, number)).collect()),
    }
}

/// Any value of a type, its extremes among them; never NULL, but NULL inside.
fn any_value(random: &mut Rng, ty: &LogicalType) -> Cell {
    use LogicalType as T;
    let edge = random.u8(..8) == 0;
    let signed = |random: &mut Rng, low: i64, high: i64| match (edge, random.bool()) {
        (true, true) => Cell::Int(low),
        (true, false) => Cell::Int(high),
        _ => Cell::Int(random.i64(low..=high)),
    };
    match ty {
        T::TinyInt => signed(random, i8::MIN.into(), i8::MAX.into()),
        T::SmallInt => signed(random, i16::MIN.into(), i16::MAX.into()),
        T::Integer | T::Date => signed(random, i32::MIN.into(), i32::MAX.into()),
        T::BigInt | T::Timestamp | T::TimestampTz | T::TimestampS | T::TimestampMs | T::TimestampNs => {
            signed(random, i64::MIN, i64::MAX)
        }
        T::Interval if edge => Cell::Interval(i32::MIN, i32::MAX, i64::MIN),
        T::Interval => Cell::Interval(random.i32(..), random.i32(..), random.i64(..)),
        T::HugeInt => {
            let limit = 10i128.pow(T::HUGEINT_DIGITS.into()) - 1;
            if edge { Cell::Decimal(limit) } else { Cell::Decimal(random.i128(-limit..=limit)) }
        }
        T::Time => signed(random, 0, 86_399_999_999),
        T::UBigInt if edge => Cell::UInt(u64::MAX),
        T::Real if edge => Cell::Real([f32::NAN, -0.0, f32::INFINITY, f32::MIN][random.usize(..4)].to_bits()),
        T::Real => Cell::Real((random.f32() * 1e6).to_bits()),
        T::Double if edge => Cell::Double([f64::NAN, -0.0, f64::NEG_INFINITY, f64::MAX][random.usize(..4)].to_bits()),
        T::Double => Cell::Double(random.f64().to_bits()),
        T::Decimal { precision, .. } => {
            let limit = 10i128.pow((*precision).into()) - 1;
            if edge { Cell::Decimal(-limit) } else { Cell::Decimal(random.i128(-limit..=limit)) }
        }
        T::Varchar => Cell::Text(text(random)),
        T::Blob => Cell::Bytes((0..random.usize(..40)).map(|_| random.u8(..)).collect()),
        T::List(item) => Cell::List((0..random.usize(..5)).map(|_| part(random, item)).collect()),
        T::Struct(fields) => Cell::Struct(fields.iter().map(|(_, ty)| part(random, ty)).collect()),
        T::Array(item, items) => Cell::List((0..*items).map(|_| part(random, item)).collect()),
        T::Map(parts) => {
            let first = random.u64(..1 << 32);
            let keys = (0..random.u64(..5)).map(|place| numbered(&parts.0, first + place));
            Cell::Map(keys.map(|key| (key, part(random, &parts.1))).collect())
        }
        _ => numbered(ty, random.u64(..)),
    }
}

fn part(random: &mut Rng, ty: &LogicalType) -> Cell {
    if random.u8(..6) == 0 { Cell::Null } else { any_value(random, ty) }
}

fn text(random: &mut Rng) -> String {
    match random.u8(..10) {
        0 => String::new(),
        1 => "ü".repeat(random.usize(1..60)),
        2 => "long ".repeat(random.usize(20..60)),
        _ => (0..random.usize(..24)).map(|_| random.alphanumeric()).collect(),
    }
}

/// One of few names, in some spelling: clients often mean the same thing.
pub fn name(random: &mut Rng, pool: &[&str]) -> String {
    let name = pool[random.usize(..pool.len())];
    if random.u8(..4) == 0 { name.to_uppercase() } else { name.to_owned() }
}
