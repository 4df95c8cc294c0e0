use super::decimal::Decimal;
use super::text::varchar;
use super::{double, temporal};
use crate::json::scanner::Scanner;

fn as_varchar(literal: &str) -> String {
    let (mut scratch, mut text) = (String::new(), String::new());
    let token = Scanner::new(literal, true).value(0, &mut scratch).expect(literal);
    varchar(&token, &mut text).to_owned()
}

#[test]
fn float_literals_as_text() {
    // Proves the shortest-text rule and its exception: digits that a double does not hold stay.
    let cases = [
        ("21.5", "21.5"),
        ("2.50", "2.5"),
        ("1.0", "1.0"),
        ("1e20", "1e+20"),
        ("1E+20", "1e+20"),
        ("100e-2", "1.0"),
        ("1e15", "1000000000000000.0"),
        ("1e16", "1e+16"),
        ("0.0001", "0.0001"),
        ("0.00001", "1e-05"),
        ("-0.0", "-0.0"),
        ("0e5", "0.0"),
        ("1.5e300", "1.5e+300"),
        ("5e-324", "5e-324"),
        ("0.1", "0.1"),
        ("0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"),
        ("12345678901234567890.5", "12345678901234567890.5"),
        ("1e999", "1e999"),
        ("1e-400", "1e-400"),
        ("12345678901234567890", "12345678901234567890"),
        ("-0", "-0"),
    ];
    for (literal, text) in cases {
        assert_eq!(as_varchar(literal), text, "{literal}");
    }
}

#[test]
fn decimals_round_half_away_from_zero_from_their_digits() {
    // Proves scaling and rounding at every position of the point, and that huge exponents cost nothing.
    let cases = [
        ("2.5", 0, Some((3, false))),
        ("-2.5", 0, Some((-3, false))),
        ("2.4999999999999999999999", 0, Some((2, false))),
        ("0.05", 1, Some((1, false))),
        ("0.049", 1, Some((0, false))),
        ("0.5e-1", 1, Some((1, false))),
        ("5e-3", 1, Some((0, false))),
        ("9.99", 1, Some((100, false))),
        ("1e3", 2, Some((100_000, true))),
        ("1.50", 1, Some((15, true))),
        ("0e99999999999999999999", 0, Some((0, true))),
        ("1e99999999999999999999", 0, None),
        ("1e-99999999999999999999", 0, Some((0, false))),
        ("170141183460469231731687303715884105727", 0, Some((i128::MAX, true))),
        ("170141183460469231731687303715884105728", 0, None),
        (".5", 0, Some((1, false))),
        ("5.", 0, Some((5, true))),
        ("+7", 0, Some((7, true))),
    ];
    for (text, scale, expected) in cases {
        assert_eq!(Decimal::parse(text).expect(text).scaled(scale), expected, "{text} at {scale}");
    }
    for bad in ["", "-", ".", "1e", "1e+", "0x10", "1_0", "1 ", "--1", "e5"] {
        assert_eq!(Decimal::parse(bad), None, "{bad}");
    }
}

#[test]
fn doubles_are_the_nearest() {
    // Proves that the short way to a double agrees with the standard library on many literals.
    let mut state = 7u64;
    for _ in 0..20_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let digits = (state >> 8).to_string();
        let point = (state % digits.len() as u64) as usize;
        let literal = match point {
            0 => digits,
            _ => {
                format!("-{}.{}", digits[..point].trim_start_matches('0').parse::<u64>().unwrap_or(0), &digits[point..])
            }
        };
        let mut scratch = String::new();
        let token = Scanner::new(&literal, false).value(0, &mut scratch).expect(&literal);
        assert_eq!(double(&token), Ok(literal.parse().expect(&literal)), "{literal}");
    }
}

#[test]
fn days_of_every_century() {
    // Proves the calendar against a count of days, leap years included.
    let mut days = -719_528;
    for year in 0..10_000 {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        assert_eq!(temporal::date(&format!("{year:04}-01-01")), Some(days), "{year}");
        assert_eq!(temporal::date(&format!("{year:04}-02-29")).is_some(), leap, "{year}");
        let year_days = if leap { 366 } else { 365 };
        assert_eq!(temporal::date(&format!("{year:04}/12/31")), Some(days + year_days - 1), "{year}");
        days += year_days;
    }
}

#[test]
fn timestamps_are_utc_microseconds() {
    // Proves every accepted form, the offset's sign, and that the rest is refused.
    let second = 1_705_314_600_000_000;
    let cases = [
        ("2024-01-15T10:30:00Z", second),
        ("2024-01-15 10:30", second),
        ("2024-1-15T10:30:00.5", second + 500_000),
        ("2024/01/15 10:30:00.123456789", second + 123_456),
        ("2024-01-15T10:30:00+02:00", second - 7_200_000_000),
        ("2024-01-15T10:30:00-0230", second + 9_000_000_000),
        ("2024-01-15T10:30+05", second - 18_000_000_000),
        ("2024-01-15", 1_705_276_800_000_000),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("0000-01-01T00:00:00Z", -62_167_219_200_000_000),
    ];
    for (text, micros) in cases {
        assert_eq!(temporal::timestamp(text), Some(micros), "{text}");
    }
    let bad = "|x|2024|2024-13-01|2024-01-32|2024-01-15T|2024-01-15T24:00:00|2024-01-15T10|2024-01-15T10:60|\
        2024-01-15T10:30:60Z|2024-01-15T10:30:00.Z|2024-01-15T10:30:00 Z|2024-01-15T10:30:00+1|2024-01/15|infinity|\
        2024-01-15T10:30:00+24:00|2024-01-15X10:30:00|20240-01-15|2024-01-15T10:30:00+02:0|2024-01-15T1:30:00";
    for text in bad.split('|') {
        assert_eq!(temporal::timestamp(text), None, "{text}");
    }
    assert_eq!(temporal::time("23:59:59.9999999"), Some(86_399_999_999));
    assert_eq!(temporal::time("00:01"), Some(60_000_000));
    for text in ["24:00:00", "1:00", "10", "10:00Z", "10:00:60", ""] {
        assert_eq!(temporal::time(text), None, "{text}");
    }
    assert_eq!(temporal::date("2024-01-15T23:30:00-05:00"), Some(19_737));
    assert_eq!(temporal::date("2024-01-15T99:30:00"), None);
}
