//! Types, their names and their Arrow fields.

use super::*;

fn enumeration(values: &[&str]) -> LogicalType {
    LogicalType::enumeration(values.iter().map(|value| (*value).to_owned()).collect()).unwrap()
}

fn map(key: LogicalType, value: LogicalType) -> LogicalType {
    LogicalType::Map(Box::new((key, value)))
}

/// Proves that types which carry more than their Arrow form says come back from their fields, at any depth.
#[test]
fn marked_types_survive_their_fields() {
    let awkward = enumeration(&["a", "it's", "", "', '", ")", "é"]);
    assert_eq!(awkward.to_string(), "ENUM('a', 'it''s', '', ''', ''', ')', 'é')");
    let array = LogicalType::Array(Box::new(LogicalType::Real), 3);
    let names = [
        (awkward.clone(), awkward.to_string()),
        (LogicalType::Bit, "BIT".to_owned()),
        (array.clone(), "FLOAT[3]".to_owned()),
        (LogicalType::Array(Box::new(array.clone()), 100_000), "FLOAT[3][100000]".to_owned()),
        (LogicalType::List(Box::new(array)), "FLOAT[3][]".to_owned()),
        (map(awkward.clone(), LogicalType::List(Box::new(LogicalType::Bit))), format!("MAP({awkward}, BIT[])")),
        (
            map(LogicalType::Integer, map(LogicalType::Uuid, awkward.clone())),
            format!("MAP(INTEGER, MAP(UUID, {awkward}))"),
        ),
    ];
    for (ty, name) in names {
        assert_eq!(ty.to_string(), name);
        assert_eq!(LogicalType::from_field(&ty.field("c", true)).unwrap(), ty);
    }
}

/// Proves that a mark which names no type of ours leaves plain text or a plain list, and that no mark makes too large a type.
#[test]
fn other_marks_are_none() {
    let marked = |ty: &LogicalType, mark: &str| {
        let metadata = HashMap::from([(TYPE_METADATA_KEY.to_owned(), mark.to_owned())]);
        LogicalType::from_field(&Field::new("c", ty.arrow(), true).with_metadata(metadata)).unwrap()
    };
    let many = format!(
        "ENUM({})",
        (0..=LogicalType::ENUM_VALUES_MAX).map(|i| format!("'{i}'")).collect::<Vec<_>>().join(", ")
    );
    for mark in
        ["ENUM()", "ENUM('a", "ENUM('a')x", "ENUM('a','b')", "ENUM('a', 'a')", "ENUM(a)", "ENUM('a', )", "", &many]
    {
        assert_eq!(marked(&LogicalType::Varchar, mark), LogicalType::Varchar, "{}", &mark[..mark.len().min(40)]);
    }
    let list = LogicalType::List(Box::new(LogicalType::Real));
    for mark in ["FLOAT[]", "FLOAT[0]", "FLOAT[-1]", "FLOAT[100001]", "FLOAT3]", "", "FLOAT[99999999999999999999]"] {
        assert_eq!(marked(&list, mark), list, "{mark}");
    }
}

/// Proves that an ENUM has distinct values, at least one and not too many, and a MAP keys that can be told apart.
#[test]
fn impossible_types_are_refused() {
    let refused = |values: Vec<String>| LogicalType::enumeration(values).unwrap_err().to_string();
    assert!(refused(Vec::new()).contains("1 to 65536 values"));
    assert!(refused(vec!["a".into(), "b".into(), "a".into()]).contains("twice: \"a\""));
    assert!(refused(vec!["x".repeat(LogicalType::ENUM_BYTES_MAX), "y".into()]).contains("bytes"));
    assert!(refused((0..=LogicalType::ENUM_VALUES_MAX).map(|i| i.to_string()).collect()).contains("65537"));
    let deep = (0..16).fold(LogicalType::Date, |ty, _| map(LogicalType::Date, ty));
    assert!(deep.check("c").is_ok());
    assert!(LogicalType::List(Box::new(deep)).check("c").is_err());
    for key in [LogicalType::Json, LogicalType::List(Box::new(LogicalType::Date))] {
        let nested = LogicalType::List(Box::new(map(LogicalType::Date, map(key, LogicalType::Date))));
        assert!(nested.check("c").unwrap_err().to_string().contains("such keys"));
    }
}
