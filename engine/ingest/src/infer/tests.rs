use siltstone_storage::LogicalType;

use super::{Kinds, infer};
use crate::error_vector::ErrorCode;
use crate::json::scanner::Scanner;

fn inferred(values: &[&str]) -> Option<LogicalType> {
    let mut kinds = Kinds::default();
    for value in values {
        let mut scratch = String::new();
        let token = Scanner::new(value, true).value(0, &mut scratch).expect(value);
        kinds = kinds.and(Kinds::of(&token).expect(value));
    }
    infer(kinds)
}

#[test]
fn every_line_of_the_inference_table() {
    // Proves the table of docs/coercion.md, and that order does not matter.
    let digits38 = "9".repeat(38);
    let digits39 = "9".repeat(39);
    let decimal = LogicalType::Decimal { precision: 38, scale: 0 };
    let cases: [(&[&str], LogicalType); 26] = [
        (&["1", "-9223372036854775808", "null"], LogicalType::BigInt),
        (&["9223372036854775808"], decimal.clone()),
        (&[&digits38, "1"], decimal),
        (&[&digits39], LogicalType::Double),
        (&[&digits39, "1"], LogicalType::Double),
        (&["1.0"], LogicalType::Double),
        (&["1e3"], LogicalType::Double),
        (&["1", "2.5"], LogicalType::Double),
        (&[&digits38, "2.5"], LogicalType::Double),
        (&["NaN", "1"], LogicalType::Double),
        (&["true", "false"], LogicalType::Boolean),
        (&["\"2024-01-15T10:30:00Z\"", "\"2024-01-15T10:30:00.123456789+05:30\""], LogicalType::Timestamp),
        (&["\"2024-01-15T10:30:00Z\"", "\"x\""], LogicalType::Varchar),
        (&["\"2024-01-15\""], LogicalType::Varchar),
        (&["\"2024-01-15T10:30:00\""], LogicalType::Varchar),
        (&["\"2024-01-15 10:30:00Z\""], LogicalType::Varchar),
        (&["\"2024-02-30T10:30:00Z\""], LogicalType::Varchar),
        (&["\"x\"", "\"\""], LogicalType::Varchar),
        (&["1", "\"x\""], LogicalType::Varchar),
        (&["1", "true"], LogicalType::Varchar),
        (&["true", "\"2024-01-15T10:30:00Z\""], LogicalType::Varchar),
        (&["[]"], LogicalType::Json),
        (&["{}", "1", "\"x\"", "true"], LogicalType::Json),
        (&["[1]", "NaN"], LogicalType::Varchar),
        (&["[NaN]"], LogicalType::Varchar),
        (&["NaN", "\"x\""], LogicalType::Varchar),
    ];
    for (values, expected) in cases {
        let mut reversed = values.to_vec();
        reversed.reverse();
        assert_eq!(inferred(values), Some(expected.clone()), "{values:?}");
        assert_eq!(inferred(&reversed), Some(expected), "{values:?} reversed");
    }
    assert_eq!(inferred(&["null", "null"]), None);
}

#[test]
fn a_number_beyond_doubles_is_out_of_range() {
    // Proves that no column is made for a value that would not fit it.
    for value in ["1e999", "-1e400", &"9".repeat(400)] {
        let mut scratch = String::new();
        let token = Scanner::new(value, true).value(0, &mut scratch).expect(value);
        assert_eq!(Kinds::of(&token), Err(ErrorCode::OutOfRange), "{value}");
    }
}
