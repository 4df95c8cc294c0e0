use super::*;

fn utc_zone() -> Tz {
    "UTC".parse().expect("a zone")
}

fn at(text: &str) -> Given<'static> {
    let moment: NaiveDateTime = text.parse().expect("a time");
    Given::Clock(moment.and_utc().timestamp_micros())
}

#[test]
fn differences_count_boundaries_and_date_sub_counts_whole_units() {
    // DuckDB's date_diff asks how often the unit changed in between, date_sub how many units fit in between.
    let (from, to) = (at("2023-12-31T23:59:00"), at("2024-03-01T00:01:00"));
    for (unit, boundaries, whole) in [
        ("year", 1, 0),
        ("quarter", 1, 0),
        ("month", 3, 2),
        ("week", 8, 8),
        ("days", 61, 60),
        ("hour", 1441, 1440),
        ("minutes", 86_402, 86_402),
    ] {
        let args = [Given::Text(unit), from, to];
        assert_eq!(date_diff(&args, utc_zone()).expect(unit), Some(Value::Int(boundaries)), "{unit}");
        assert_eq!(date_sub(&args, utc_zone()).expect(unit), Some(Value::Int(whole)), "{unit}");
        let back = [Given::Text(unit), to, from];
        assert_eq!(date_diff(&back, utc_zone()).expect(unit), Some(Value::Int(-boundaries)), "{unit}");
        assert_eq!(date_sub(&back, utc_zone()).expect(unit), Some(Value::Int(-whole)), "{unit}");
    }
    assert!(date_diff(&[Given::Text("fortnight"), from, to], utc_zone()).is_err());
}
