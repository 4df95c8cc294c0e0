//! `POST /append`: which columns rows make, and what existing columns take.

use serde_json::{Value, json};
use siltstone_tests::Api;

use crate::api;

fn append(api: &Api, table: &str, body: &str) -> Value {
    api.append(&format!("catalog=LAKE&schema=main&table={table}"), body.to_owned()).json()
}

fn columns(api: &Api, table: &str) -> Vec<(String, String)> {
    api.succeed(&format!("SELECT * FROM {table} LIMIT 0")).columns
}

fn pairs(columns: &[(&str, &str)]) -> Vec<(String, String)> {
    columns.iter().map(|(name, ty)| ((*name).to_owned(), (*ty).to_owned())).collect()
}

#[test]
fn types_follow_from_the_values() {
    // Every row of the inference table: JSON values of one field, the column type, and what SQL reads back.
    let api = api();
    let digits_38 = "12345678901234567890123456789012345678";
    let cases: [(&str, &str, &[&str]); 20] = [
        ("1|2|-3", "BIGINT", &["1", "2", "-3"]),
        ("9223372036854775807|-9223372036854775808", "BIGINT", &["9223372036854775807", "-9223372036854775808"]),
        ("9223372036854775808|1", "DECIMAL(38,0)", &["9223372036854775808", "1"]),
        (digits_38, "DECIMAL(38,0)", &[digits_38]),
        ("123456789012345678901234567890123456789", "DOUBLE", &["1.2345678901234568e38"]),
        ("1.0|2", "DOUBLE", &["1.0", "2.0"]),
        ("1e3", "DOUBLE", &["1000.0"]),
        ("\"x\"|\"\"", "VARCHAR", &["\"x\"", "\"\""]),
        ("true|false|null", "BOOLEAN", &["true", "false", "null"]),
        ("\"2025-12-30T10:00:00Z\"", "TIMESTAMP", &["\"2025-12-30T10:00:00\""]),
        ("\"2025-12-30T10:00:00.123456789+02:00\"", "TIMESTAMP", &["\"2025-12-30T08:00:00.123456\""]),
        ("\"2025-12-30T10:00:00Z\"|\"later\"", "VARCHAR", &["\"2025-12-30T10:00:00Z\"", "\"later\""]),
        ("\"2025-12-30\"", "VARCHAR", &["\"2025-12-30\""]),
        ("\"2025-12-30T10:00:00\"", "VARCHAR", &["\"2025-12-30T10:00:00\""]),
        ("[1,2]", "JSON", &["[1,2]"]),
        ("{\"a\":1}|7|\"x\"", "JSON", &["{\"a\":1}", "7", "\"x\""]),
        ("1|\"x\"|true", "VARCHAR", &["\"1\"", "\"x\"", "\"true\""]),
        ("true|1", "VARCHAR", &["\"true\"", "\"1\""]),
        ("null", "VARCHAR", &["null"]),
        ("\"héllo \\u00e9 \\ud83d\\ude00\"", "VARCHAR", &["\"héllo é 😀\""]),
    ];
    for (i, (values, ty, cells)) in cases.iter().enumerate() {
        let table = format!("inferred_{i}");
        let rows: Vec<String> =
            values.split('|').enumerate().map(|(n, value)| format!("{{\"v\":{value},\"n\":{n}}}")).collect();
        // A field of nulls only makes no column, unless the table would have none at all.
        let body = if *values == "null" { "{\"v\":null}".to_owned() } else { format!("[{}]", rows.join(",")) };
        assert_eq!(append(&api, &table, &body)["ok"], true, "{values}");
        assert_eq!(columns(&api, &table)[0], ("v".to_owned(), (*ty).to_owned()), "{values}");
        let order = if *values == "null" { "" } else { " ORDER BY n" };
        let lines = api.succeed(&format!("SELECT v FROM {table}{order}")).lines;
        // Doubles are compared as numbers: 1e3 and 1000.0 are the same JSON number.
        if *ty == "DOUBLE" {
            let numbers = |texts: Vec<String>| -> Vec<f64> {
                texts.iter().map(|text| text.trim_matches(['[', ']']).parse().expect("a number")).collect()
            };
            assert_eq!(numbers(lines), numbers(cells.iter().map(|cell| (*cell).to_owned()).collect()), "{values}");
        } else {
            let wanted: Vec<String> = cells.iter().map(|cell| format!("[{cell}]")).collect();
            assert_eq!(lines, wanted, "{values}");
        }
    }
}

#[test]
fn columns_keep_their_order_spelling_and_place() {
    // First appearance decides, later columns go to the end, a field of nulls waits, the last of two equal keys wins.
    let api = api();
    append(&api, "column_order", r#"[{"b":1,"A":2},{"c":null,"a":5},{"b":1,"b":7,"A":0}]"#);
    assert_eq!(columns(&api, "column_order"), pairs(&[("b", "BIGINT"), ("A", "BIGINT")]));
    append(&api, "column_order", r#"{"B":3,"c":"x","Zoë 1":true}"#);
    assert_eq!(
        columns(&api, "column_order"),
        pairs(&[("b", "BIGINT"), ("A", "BIGINT"), ("c", "VARCHAR"), ("Zoë 1", "BOOLEAN")])
    );
    let mut rows = api.rows("SELECT * FROM column_order");
    rows.sort_by_key(|row| json!(row).to_string());
    let mut wanted = vec![
        vec![json!(1), json!(2), Value::Null, Value::Null],
        vec![Value::Null, json!(5), Value::Null, Value::Null],
        vec![json!(7), json!(0), Value::Null, Value::Null],
        vec![json!(3), Value::Null, json!("x"), json!(true)],
    ];
    wanted.sort_by_key(|row| json!(row).to_string());
    assert_eq!(rows, wanted);
}

#[test]
fn impossible_column_names_are_invalid_data() {
    // Empty, with NUL, or longer than 255 characters; 255 characters are fine.
    let api = api();
    let long = "ü".repeat(256);
    for name in ["", "a\\u0000b", &long] {
        let reply = append(&api, "bad_names", &format!("{{\"{name}\":1}}"));
        assert_eq!((&reply["ok"], &reply["error_code"]), (&json!(false), &json!("invalid-data")), "{name:?}");
    }
    let longest = "ü".repeat(255);
    assert_eq!(append(&api, "long_name", &format!("{{\"{longest}\":1}}"))["ok"], true);
    assert_eq!(columns(&api, "long_name"), pairs(&[(&longest, "BIGINT")]));
}

/// Column type; JSON values it takes, each with its cell; JSON values it refuses.
type Coercion = (&'static str, &'static [(&'static str, &'static str)], &'static [&'static str]);

#[test]
fn existing_columns_take_what_fits() {
    // The coercion table: per type what is stored, as SQL sends it back, and what is refused.
    let api = api();
    let cases: [Coercion; 16] = [
        (
            "BIGINT",
            &[("1", "1"), ("2.0", "2"), ("\"-5\"", "-5")],
            &["1.5", "\"x\"", "\"\"", "9223372036854775808", "[1]", "{}"],
        ),
        ("TINYINT", &[("127", "127"), ("-128", "-128")], &["128", "-129"]),
        ("UINTEGER", &[("4294967295", "4294967295")], &["-1", "4294967296"]),
        ("UBIGINT", &[("18446744073709551615", "18446744073709551615")], &["18446744073709551616"]),
        ("DOUBLE", &[("1.5", "1.5"), ("\"2.5\"", "2.5")], &["\"x\"", "{}"]),
        ("DECIMAL(10,2)", &[("1.005", "1.01"), ("\"10.5\"", "10.50"), ("3", "3.00")], &["123456789.00", "\"x\""]),
        ("BOOLEAN", &[("true", "true"), ("\"FALSE\"", "false")], &["\"maybe\"", "[]"]),
        (
            "VARCHAR",
            &[("\"a\"", "\"a\""), ("1", "\"1\""), ("true", "\"true\""), ("{\"a\": [1, 2]}", "\"{\\\"a\\\":[1,2]}\"")],
            &[],
        ),
        (
            "TIMESTAMP",
            &[
                ("\"2025-01-01T02:00:00+02:00\"", "\"2025-01-01T00:00:00\""),
                ("\"2025-01-01 03:04:05.5\"", "\"2025-01-01T03:04:05.500\""),
                ("\"2025-01-01\"", "\"2025-01-01T00:00:00\""),
            ],
            &["1735689600", "\"yesterday\""],
        ),
        (
            "TIMESTAMP WITH TIME ZONE",
            &[
                ("\"2025-01-01T02:00:00+02:00\"", "\"2025-01-01T00:00:00Z\""),
                ("\"2025-01-01 03:04:05\"", "\"2025-01-01T03:04:05Z\""),
            ],
            &["5"],
        ),
        (
            "DATE",
            &[("\"2024-02-29\"", "\"2024-02-29\""), ("\"2024-02-29T23:59:59\"", "\"2024-02-29\"")],
            &["\"2023-02-29\"", "1"],
        ),
        ("TIME", &[("\"13:45:00\"", "\"13:45:00\""), ("\"13:45:00.25\"", "\"13:45:00.250\"")], &["\"25:00:00\"", "1"]),
        (
            "UUID",
            &[("\"019D68D4-C4CB-7E40-AD50-FD4B68C2045E\"", "\"019d68d4-c4cb-7e40-ad50-fd4b68c2045e\"")],
            &["\"019d68d4\"", "1"],
        ),
        ("BLOB", &[("\"a\\\\x00b\"", "\"610062\"")], &["1", "[]"]),
        ("JSON", &[("{\"a\":  1}", "{\"a\":1}"), ("1.50", "1.50"), ("true", "true")], &[]),
        ("BIGINT[]", &[("[1,2]", "[1,2]"), ("[]", "[]")], &["[1,\"x\"]", "7"]),
    ];
    for (i, (ty, accepted, refused)) in cases.iter().enumerate() {
        let table = format!("coerced_{i}");
        api.succeed(&format!("CREATE TABLE {table} (n BIGINT, v {ty})"));
        assert_eq!(columns(&api, &table)[1].1, *ty);
        for (n, (value, _)) in accepted.iter().enumerate() {
            let reply = append(&api, &table, &format!("{{\"n\":{n},\"v\":{value}}}"));
            assert_eq!(reply["ok"], true, "{value} into {ty}: {reply}");
        }
        for value in *refused {
            let reply = append(&api, &table, &format!("{{\"v\":{value}}}"));
            assert_eq!(reply["error_code"], "incompatible-schema", "{value} into {ty}: {reply}");
            assert!(reply["error_message"].to_string().contains(ty), "{value} into {ty}: {reply}");
        }
        let lines = api.succeed(&format!("SELECT v FROM {table} ORDER BY n")).lines;
        let wanted: Vec<String> = accepted.iter().map(|(_, cell)| format!("[{cell}]")).collect();
        assert_eq!(lines, wanted, "{ty}");
    }
}

#[test]
fn a_struct_takes_matching_objects() {
    // Fields by name without case, absent ones are NULL; a field that does not fit refuses the row.
    let api = api();
    api.succeed("CREATE TABLE structured (n BIGINT, v STRUCT(a INTEGER, b VARCHAR))");
    assert_eq!(
        append(&api, "structured", r#"[{"n":1,"v":{"A":1,"b":"x"}},{"n":2,"v":{"b":"y"}},{"n":3}]"#)["ok"],
        true
    );
    assert_eq!(append(&api, "structured", r#"{"v":{"a":"many"}}"#)["error_code"], "incompatible-schema");
    assert_eq!(
        api.rows("SELECT v FROM structured ORDER BY n"),
        [[json!({"a":1,"b":"x"})], [json!({"a":null,"b":"y"})], [Value::Null]]
    );
}

#[test]
fn defaults_fill_absent_fields_but_not_nulls() {
    // A declared default belongs to rows that do not say; explicit null stays null.
    let api = api();
    api.succeed("CREATE TABLE defaulted (n BIGINT, status VARCHAR DEFAULT 'new')");
    append(&api, "defaulted", r#"[{"n":1},{"n":2,"status":null},{"n":3,"status":"old"}]"#);
    assert_eq!(api.rows("SELECT status FROM defaulted ORDER BY n"), [[json!("new")], [Value::Null], [json!("old")]]);
}
