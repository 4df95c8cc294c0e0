use proptest::prelude::*;

use super::*;

fn written(interval: IntervalMonthDayNano) -> String {
    let mut out = Vec::new();
    push(&mut out, interval.months, interval.days, interval.nanoseconds.into());
    String::from_utf8(out).unwrap()
}

/// Proves what each form means, as DuckDB 1.4 reads it.
#[test]
fn texts_and_their_meaning() {
    for (text, meaning) in [
        ("1 year 2 months 3 days 04:05:06.5", "1 year 2 months 3 days 04:05:06.5"),
        ("90 minutes", "01:30:00"),
        ("25 hours", "25:00:00"),
        ("-1 day 2 hours", "-1 day 02:00:00"),
        ("-14 months", "-1 year -2 months"),
        ("400 days", "400 days"),
        ("0.0000019 seconds", "00:00:00.000001"),
        ("00:00:00.0000019", "00:00:00.000001"),
        ("1 year 5 days ago", "-1 year -5 days"),
        ("@ 2 weeks", "14 days"),
        ("1 decade 1 century 1 mil", "1110 years"),
        ("1.5 months", "1 month 15 days"),
        ("1.37 months", "1 month 11 days"),
        ("1.37 years", "1 year 4 months"),
        ("1.7 quarters", "5 months 3 days"),
        ("-1.5 days", "-1 day -12:00:00"),
        ("1.5 weeks", "10 days 12:00:00"),
        ("1.5 milliseconds", "00:00:00.0015"),
        ("1d 2h 3m 4s 5ms 6us", "1 day 02:03:04.005006"),
        (" 1  DAY ", "1 day"),
        ("1 day 1:2:3.4", "1 day 01:02:03.4"),
        ("1 day -04:00:00", "1 day -04:00:00"),
        ("-04:05:06.7", "-04:05:06.7"),
        ("04:05", "04:05:00"),
        ("1000000:00:00", "1000000:00:00"),
        ("0 days", "00:00:00"),
        ("-0.5 seconds", "-00:00:00.5"),
        ("2147483647 months -2147483648 days", "178956970 years 7 months -2147483648 days"),
        ("9223372036854775 us", "2562047:47:16.854775"),
    ] {
        assert_eq!(parse(text).map(written).as_deref(), Some(meaning), "{text}");
    }
}

/// Proves that what is no interval is refused, and so is what does not fit.
#[test]
fn texts_without_a_meaning() {
    for text in [
        "",
        " ",
        "5",
        "1.5",
        "ago",
        "day",
        "+1 day",
        "- 1 day",
        "1 day, 2 hours",
        "1 day 5",
        "1 day ago 2 days",
        "04:05:06 1 day",
        "00:60:00",
        "00:59:60",
        "1:2:3:4",
        ":05",
        "1 nanosecond",
        "1 fortnight",
        "P1Y",
        "1 dé",
        "é",
        "12345678901 days",
        "2147483647 months 1 month",
        "9223372036854775807 us",
        "9223372036854775808 us",
        "9223372036854775807:00:00",
        "99999999999999999999 days",
        "1 millenniumsssssssssssss",
    ] {
        assert_eq!(parse(text), None, "{text}");
    }
}

proptest! {
    /// Proves invariant 2.
    #[test]
    fn what_is_written_is_read_back(months in any::<i32>(), days in any::<i32>(), micros in i64::MIN / 1000..=i64::MAX / 1000) {
        let interval = IntervalMonthDayNano::new(months, days, micros * 1000);
        prop_assert_eq!(parse(&written(interval)), Some(interval));
    }

    /// Proves that any text ends in an answer.
    #[test]
    fn any_text_is_answered(text in "[-@:. 0-9a-z]{0,30}|\\PC{0,12}") {
        if let Some(interval) = parse(&text) {
            prop_assert_eq!(parse(&written(interval)), Some(interval));
        }
    }
}
