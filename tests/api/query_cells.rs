//! `POST /query`: how a value of every type looks in a cell.

use crate::api;

/// Type, SQL literal, cell.
const CELLS: &[(&str, &str, &str)] = &[
    ("BOOLEAN", "true", "true"),
    ("TINYINT", "-128", "-128"),
    ("SMALLINT", "32767", "32767"),
    ("INTEGER", "-2147483648", "-2147483648"),
    ("BIGINT", "9007199254740993", "9007199254740993"),
    ("BIGINT", "-9223372036854775808", "-9223372036854775808"),
    ("UTINYINT", "255", "255"),
    ("USMALLINT", "65535", "65535"),
    ("UINTEGER", "4294967295", "4294967295"),
    ("UBIGINT", "18446744073709551615", "18446744073709551615"),
    ("DECIMAL(10,2)", "10.5", "10.50"),
    ("DECIMAL(10,2)", "-0.05", "-0.05"),
    ("DECIMAL(38,0)", "99999999999999999999999999999999999999", "99999999999999999999999999999999999999"),
    ("DECIMAL(38,10)", "1234567890123456789012345678.0123456789", "1234567890123456789012345678.0123456789"),
    (
        "VARCHAR",
        "'quote \" backslash \\ newline \n tab \t é 😀 \u{1}'",
        "\"quote \\\" backslash \\\\ newline \\n tab \\t é 😀 \\u0001\"",
    ),
    ("VARCHAR", "''", "\"\""),
    ("BLOB", "X'00AB7A'", "\"00ab7a\""),
    ("DATE", "'2024-01-15'", "\"2024-01-15\""),
    ("DATE", "'1969-12-31'", "\"1969-12-31\""),
    ("TIME", "'13:45:00'", "\"13:45:00\""),
    ("TIME", "'13:45:00.5'", "\"13:45:00.500\""),
    ("TIME", "'00:00:00.000001'", "\"00:00:00.000001\""),
    ("TIMESTAMP", "'2024-01-15 13:45:00'", "\"2024-01-15T13:45:00\""),
    ("TIMESTAMP", "'2024-01-15 13:45:00.123'", "\"2024-01-15T13:45:00.123\""),
    ("TIMESTAMP", "'1960-01-01 00:00:00.000007'", "\"1960-01-01T00:00:00.000007\""),
    ("TIMESTAMP WITH TIME ZONE", "'2024-01-15 13:45:00+01:00'", "\"2024-01-15T12:45:00Z\""),
    ("UUID", "'019D68D4-C4CB-7E40-AD50-FD4B68C2045E'", "\"019d68d4-c4cb-7e40-ad50-fd4b68c2045e\""),
    ("JSON", "'{\"a\": [1, 2.50, null]}'", "{\"a\": [1, 2.50, null]}"),
];

#[test]
fn every_type_has_its_cell() {
    // Stored by SQL and read back through NDJSON: type name and exact text, and NULL of every type is null.
    let api = api();
    for (i, (ty, literal, cell)) in CELLS.iter().enumerate() {
        let table = format!("cell_{i}");
        api.succeed(&format!("CREATE TABLE {table} (n BIGINT, v {ty})"));
        api.succeed(&format!("INSERT INTO {table} VALUES (1, CAST({literal} AS {ty})), (2, NULL)"));
        let reply = api.succeed(&format!("SELECT v FROM {table} ORDER BY n"));
        assert_eq!(reply.columns, [("v".to_owned(), (*ty).to_owned())], "{ty}");
        let without_spaces = |text: &str| if *ty == "JSON" { text.replace(' ', "") } else { text.to_owned() };
        assert_eq!(without_spaces(&reply.lines[0]), without_spaces(&format!("[{cell}]")), "{ty} {literal}");
        assert_eq!(reply.lines[1], "[null]", "{ty}");
    }
}

#[test]
fn floats_are_shortest_and_never_break_json() {
    // The shortest text that reads back as the same number; NaN and infinities are null.
    let api = api();
    let reply = api.succeed(
        "SELECT CAST(0.1 AS DOUBLE), 1e300, CAST(-2.5 AS DOUBLE), CAST('NaN' AS DOUBLE), \
         CAST('Infinity' AS DOUBLE), CAST('-Infinity' AS DOUBLE), CAST(0.1 AS REAL)",
    );
    let cells = &reply.rows[0];
    let numbers: Vec<Option<f64>> = cells.iter().map(serde_json::Value::as_f64).collect();
    assert_eq!(numbers, [Some(0.1), Some(1e300), Some(-2.5), None, None, None, Some(0.1)]);
    assert!(cells[3..6].iter().all(serde_json::Value::is_null), "{cells:?}");
    let types: Vec<&str> = reply.columns.iter().map(|(_, ty)| ty.as_str()).collect();
    assert_eq!((types[0], types[6]), ("DOUBLE", "FLOAT"));
}

#[test]
fn nested_values_are_json() {
    // LIST is an array, STRUCT an object, one inside the other.
    let api = api();
    api.succeed("CREATE TABLE nested_cells (a BIGINT[], b STRUCT(x INTEGER, y VARCHAR))");
    api.append_ok("nested_cells", r#"[{"a":[1,null,3],"b":{"x":1,"y":"z"}},{"a":null,"b":null}]"#);
    let reply = api.succeed("SELECT a, b FROM nested_cells ORDER BY a NULLS LAST");
    assert_eq!(reply.lines, [r#"[[1,null,3],{"x":1,"y":"z"}]"#, "[null,null]"]);
    let types: Vec<&str> = reply.columns.iter().map(|(_, ty)| ty.as_str()).collect();
    assert_eq!(types, ["BIGINT[]", "STRUCT(x INTEGER, y VARCHAR)"]);
}

#[test]
fn empty_results_keep_their_columns() {
    // Zero rows still say what the columns are.
    let api = api();
    let reply = api.succeed("SELECT 1 AS a, 'x' AS b WHERE false");
    assert_eq!((reply.columns.len(), reply.rows.len()), (2, 0));
}

#[test]
fn unnamed_expressions_are_named_as_duckdb_names_them() {
    // Clients show these names and look columns up by them.
    let api = api();
    api.append_ok("unnamed", "{\"a\":1,\"b\":2}");
    let reply = api.succeed("SELECT count(*), sum(a), (a + b), 1, a AS a, a AS a FROM unnamed GROUP BY a, b");
    let names: Vec<&str> = reply.columns.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["count_star()", "sum(a)", "(a + b)", "1", "a", "a"]);
}

#[test]
fn zoned_timestamps_follow_the_session_zone() {
    // UTC is written with Z, another zone with its offset.
    let api = api();
    let statement = "SELECT CAST('2024-07-15 12:00:00+00:00' AS TIMESTAMP WITH TIME ZONE) AS t";
    assert_eq!(api.succeed(statement).lines, ["[\"2024-07-15T12:00:00Z\"]"]);
    let reply = api.query_with(&serde_json::json!({"statement": statement, "timezone": "Europe/Paris"}));
    let reply = siltstone_tests::QueryReply::parse(reply.text());
    assert_eq!(reply.lines, ["[\"2024-07-15T14:00:00+02:00\"]"], "{reply:?}");
}
