use super::*;
use siltstone_storage::LogicalType::{
    BigInt, Boolean, Date, Decimal, Double, Integer, Real, SmallInt, TimestampTz, TinyInt, UBigInt, UInteger,
    USmallInt, UTinyInt, Uuid, Varchar,
};

#[test]
fn numbers_have_a_type_that_holds_both() {
    // Signs, widths and fractions: no value of either is lost, in either order; past 38 digits it is DOUBLE.
    let decimal = |precision, scale| Decimal { precision, scale };
    for (a, b, expected) in [
        (TinyInt, SmallInt, SmallInt),
        (TinyInt, UTinyInt, SmallInt),
        (SmallInt, UTinyInt, SmallInt),
        (TinyInt, USmallInt, Integer),
        (Integer, UInteger, BigInt),
        (BigInt, UInteger, BigInt),
        (UTinyInt, UInteger, UInteger),
        (USmallInt, UTinyInt, USmallInt),
        (UInteger, UBigInt, UBigInt),
        (BigInt, UBigInt, decimal(20, 0)),
        (TinyInt, UBigInt, decimal(20, 0)),
        (Integer, decimal(4, 2), decimal(12, 2)),
        (decimal(5, 0), decimal(4, 3), decimal(8, 3)),
        (BigInt, decimal(38, 30), Double),
        (Integer, Real, Double),
        (Real, Double, Double),
        (decimal(5, 2), Double, Double),
        (Date, TimestampTz, TimestampTz),
        (Integer, Varchar, Varchar),
        (Integer, Boolean, Varchar),
        (Date, Integer, Varchar),
        (Uuid, Varchar, Varchar),
        (Uuid, Uuid, Uuid),
    ] {
        assert_eq!(common(FileFormat::Parquet, &a, &b), expected, "{a} {b}");
        assert_eq!(common(FileFormat::Parquet, &b, &a), expected, "{b} {a}");
    }
}
