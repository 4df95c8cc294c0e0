//! HUGEINT, the timestamps of other units and INTERVAL, whole: declared, written in every way, read back in every form.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, TimeUnit};
use arrow::util::display::array_value_to_string;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use siltstone_tests::Api;

use crate::api;
use crate::upload::{parquet, refusal, upload};

/// Columns of every type of contract 3.4 that a table can have, and the values of one row: SQL literal, JSON, and the cell.
const COLUMNS: &[(&str, &str, &str, &str, &str)] = &[
    ("flag", "BOOLEAN", "true", "true", "true"),
    ("tiny", "TINYINT", "-128", "-128", "-128"),
    ("small", "SMALLINT", "-32768", "-32768", "-32768"),
    ("int", "INTEGER", "-2147483648", "-2147483648", "-2147483648"),
    ("big", "BIGINT", "9007199254740993", "9007199254740993", "9007199254740993"),
    (
        "huge",
        "HUGEINT",
        "-99999999999999999999999999999999999999",
        "-99999999999999999999999999999999999999",
        "-99999999999999999999999999999999999999",
    ),
    ("utiny", "UTINYINT", "255", "255", "255"),
    ("usmall", "USMALLINT", "65535", "65535", "65535"),
    ("uint", "UINTEGER", "4294967295", "4294967295", "4294967295"),
    ("ubig", "UBIGINT", "18446744073709551615", "18446744073709551615", "18446744073709551615"),
    ("real", "FLOAT", "0.1", "0.1", "0.1"),
    ("dbl", "DOUBLE", "1e300", "1e300", "1e300"),
    ("dec", "DECIMAL(38,10)", "-0.0000000001", "-0.0000000001", "-0.0000000001"),
    ("txt", "VARCHAR", "'é'", "\"é\"", "\"é\""),
    ("raw", "BLOB", "'\\x00\\xFF'", "\"\\\\x00\\\\xFF\"", "\"00ff\""),
    ("day", "DATE", "'0001-01-01'", "\"0001-01-01\"", "\"0001-01-01\""),
    ("clock", "TIME", "'23:59:59.999999'", "\"23:59:59.999999\"", "\"23:59:59.999999\""),
    ("ts", "TIMESTAMP", "'1677-01-01 00:00:00.5'", "\"1677-01-01T00:00:00.5\"", "\"1677-01-01T00:00:00.500\""),
    ("ts_s", "TIMESTAMP_S", "'9999-12-31 23:59:59'", "\"9999-12-31 23:59:59\"", "\"9999-12-31T23:59:59\""),
    (
        "ts_ms",
        "TIMESTAMP_MS",
        "'1600-01-01 00:00:00.007'",
        "\"1600-01-01 00:00:00.007\"",
        "\"1600-01-01T00:00:00.007\"",
    ),
    (
        "ts_ns",
        "TIMESTAMP_NS",
        "'1677-09-21 00:12:44.000000001'",
        "\"1677-09-21T00:12:44.000000001Z\"",
        "\"1677-09-21T00:12:44.000000001\"",
    ),
    (
        "tz",
        "TIMESTAMP WITH TIME ZONE",
        "'2024-01-15 13:45:00+01:00'",
        "\"2024-01-15T13:45:00+01:00\"",
        "\"2024-01-15T12:45:00Z\"",
    ),
    (
        "span",
        "INTERVAL",
        "'1 year 2 months -3 days 04:05:06.5'",
        "\"1 year 2 months -3 days 04:05:06.5\"",
        "\"1 year 2 months -3 days 04:05:06.5\"",
    ),
    (
        "id",
        "UUID",
        "'019D68D4-C4CB-7E40-AD50-FD4B68C2045E'",
        "\"019D68D4-C4CB-7E40-AD50-FD4B68C2045E\"",
        "\"019d68d4-c4cb-7e40-ad50-fd4b68c2045e\"",
    ),
    ("js", "JSON", "'{\"a\":1}'", "{\"a\":1}", "{\"a\":1}"),
    (
        "list",
        "HUGEINT[]",
        "[1, NULL, 18446744073709551616]",
        "[1,null,18446744073709551616]",
        "[1,null,18446744073709551616]",
    ),
    (
        "rec",
        "STRUCT(at TIMESTAMP_NS, span INTERVAL)",
        "{'at': '2262-04-11 23:47:16.854775807'::TIMESTAMP_NS, 'span': INTERVAL '90 minutes'}",
        "{\"at\":\"2262-04-11T23:47:16.854775807\",\"span\":\"90 minutes\"}",
        "{\"at\":\"2262-04-11T23:47:16.854775807\",\"span\":\"01:30:00\"}",
    ),
];

fn declared() -> String {
    COLUMNS.iter().map(|(name, ty, ..)| format!("{name} {ty}")).collect::<Vec<_>>().join(", ")
}

fn cells() -> Vec<&'static str> {
    COLUMNS.iter().map(|(.., cell)| *cell).collect()
}

/// A result in a format without an envelope.
fn body(api: &Api, statement: &str, format: &str) -> Vec<u8> {
    let reply = api.query_with(&json!({"statement": statement, "format": format}));
    assert_eq!(reply.status, 200, "{statement}: {}", String::from_utf8_lossy(&reply.body));
    reply.body
}

fn batch_of(bytes: Vec<u8>) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).expect("a Parquet file");
    let schema = reader.schema().clone();
    let batches: Vec<RecordBatch> = reader.build().expect("readable").collect::<Result<_, _>>().expect("readable rows");
    concat_batches(&schema, &batches).expect("one schema")
}

#[test]
fn one_table_with_every_type() {
    // Written by SQL, by JSON and by Parquet; read through the four formats; a row of NULLs among them.
    let api = api();
    api.succeed(&format!("CREATE TABLE every_type (n BIGINT, {})", declared()));
    let literals: Vec<String> = COLUMNS.iter().map(|(_, ty, sql, ..)| format!("CAST({sql} AS {ty})")).collect();
    api.succeed(&format!("INSERT INTO every_type VALUES (1, {})", literals.join(", ")));
    let members: Vec<String> = COLUMNS.iter().map(|(name, _, _, json, _)| format!("\"{name}\":{json}")).collect();
    api.append_ok("every_type", format!("{{\"n\":2,{}}}", members.join(",")));
    let file = body(&api, "SELECT 3 AS n, * EXCLUDE (n) FROM every_type WHERE n = 1", "parquet");
    let reply = upload(&api, "every_type", "&mode=append", file);
    // What Parquet has no type for came out as text; the nested interval, too.
    assert_eq!(reply.status, 200, "{}", reply.text());
    api.append_ok("every_type", r#"{"n":4}"#);

    let select = "SELECT * EXCLUDE (n) FROM every_type ORDER BY n";
    let reply = api.succeed(select);
    let expected: Vec<(String, String)> =
        COLUMNS.iter().map(|(name, ty, ..)| ((*name).to_owned(), (*ty).to_owned())).collect();
    assert_eq!(reply.columns, expected);
    let whole = format!("[{}]", cells().join(","));
    let none = format!("[{}]", vec!["null"; COLUMNS.len()].join(","));
    assert_eq!(reply.lines, [whole.as_str(), whole.as_str(), whole.as_str(), none.as_str()]);
    let described = api.rows(
        "SELECT column_name, data_type FROM information_schema.columns \
         WHERE table_name = 'every_type' AND column_name <> 'n' ORDER BY ordinal_position",
    );
    let pairs: Vec<Vec<Value>> = COLUMNS.iter().map(|(name, ty, ..)| vec![json!(name), json!(ty)]).collect();
    assert_eq!(described, pairs);
    for (name, ty, ..) in COLUMNS {
        assert_eq!(api.rows(&format!("SELECT typeof({name}) FROM every_type LIMIT 1")), [[json!(ty)]], "{name}");
    }

    let jsonl = String::from_utf8(body(&api, select, "jsonl")).expect("text");
    let object = |cells: &[&str]| {
        let members: Vec<String> =
            COLUMNS.iter().zip(cells).map(|((name, ..), cell)| format!("\"{name}\":{cell}")).collect();
        format!("{{{}}}", members.join(","))
    };
    assert_eq!(
        jsonl.lines().collect::<Vec<_>>(),
        [object(&cells()), object(&cells()), object(&cells()), object(&vec!["null"; COLUMNS.len()])]
    );
    let csv = String::from_utf8(body(&api, select, "csv")).expect("text");
    let fields: Vec<String> = COLUMNS
        .iter()
        .map(|(_, ty, _, _, cell)| {
            let nested = ty.contains("STRUCT") || ty.ends_with("[]") || *ty == "JSON";
            if nested && cell.contains(['"', ',']) {
                format!("\"{}\"", cell.replace('"', "\"\""))
            } else if nested {
                (*cell).to_owned()
            } else {
                cell.trim_matches('"').to_owned()
            }
        })
        .collect();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 5);
    assert_eq!((lines[1], lines[4]), (fields.join(",").as_str(), ",".repeat(COLUMNS.len() - 1).as_str()));

    let batch = batch_of(body(&api, select, "parquet"));
    let ty = |name: &str| batch.schema().field_with_name(name).expect(name).data_type().clone();
    assert_eq!(ty("huge"), DataType::Decimal128(38, 0));
    assert_eq!(ty("span"), DataType::Utf8);
    for micros in ["ts", "ts_s", "ts_ms"] {
        assert_eq!(ty(micros), DataType::Timestamp(TimeUnit::Microsecond, None), "{micros}");
    }
    assert_eq!(ty("ts_ns"), DataType::Timestamp(TimeUnit::Nanosecond, None));
    for (name, text) in [
        ("huge", "-99999999999999999999999999999999999999"),
        ("span", "1 year 2 months -3 days 04:05:06.5"),
        ("ts_s", "9999-12-31T23:59:59"),
        ("ts_ns", "1677-09-21T00:12:44.000000001"),
    ] {
        let column = batch.column_by_name(name).expect(name);
        assert_eq!(array_value_to_string(column, 0).expect("printable"), text);
        assert!(column.is_null(3), "{name}");
    }
}

#[test]
fn they_are_declared_altered_and_have_defaults() {
    // ADD COLUMN with a default that old rows get, ALTER TYPE through casts, DESCRIBE, CREATE TABLE AS; no INTERVAL in a key.
    let api = api();
    api.succeed("CREATE TABLE fixed_ddl (a BIGINT)");
    api.succeed("INSERT INTO fixed_ddl VALUES (1)");
    api.succeed("ALTER TABLE fixed_ddl ADD COLUMN h HUGEINT DEFAULT 99999999999999999999");
    api.succeed("ALTER TABLE fixed_ddl ADD COLUMN i INTERVAL DEFAULT '1 day 2 hours'");
    api.succeed("ALTER TABLE fixed_ddl ADD COLUMN s TIMESTAMP_S DEFAULT '2024-01-01 00:00:01'");
    api.succeed("ALTER TABLE fixed_ddl ADD COLUMN m TIMESTAMP(3)");
    api.succeed("ALTER TABLE fixed_ddl ADD COLUMN u TIMESTAMP(9) DEFAULT '2024-01-01 00:00:00.123456789'");
    api.append_ok("fixed_ddl", r#"{"a":2,"i":null}"#);
    let rows = api.succeed("SELECT * FROM fixed_ddl ORDER BY a").lines;
    assert_eq!(
        rows,
        [
            r#"[1,99999999999999999999,"1 day 02:00:00","2024-01-01T00:00:01",null,"2024-01-01T00:00:00.123456789"]"#,
            r#"[2,99999999999999999999,null,"2024-01-01T00:00:01",null,"2024-01-01T00:00:00.123456789"]"#,
        ]
    );
    let described = api.rows("DESCRIBE fixed_ddl");
    assert_eq!(described[1][..2], [json!("h"), json!("HUGEINT")]);
    assert_eq!((&described[1][4], &described[2][4]), (&json!("99999999999999999999"), &json!("'1 day 02:00:00'")));
    assert_eq!(described[4][1], json!("TIMESTAMP_MS"));
    api.succeed("ALTER TABLE fixed_ddl ALTER COLUMN a TYPE HUGEINT");
    api.succeed("ALTER TABLE fixed_ddl ALTER COLUMN u TYPE TIMESTAMP");
    api.succeed("ALTER TABLE fixed_ddl ALTER COLUMN i TYPE VARCHAR");
    api.succeed("ALTER TABLE fixed_ddl ALTER COLUMN h TYPE DECIMAL(38,0)");
    let reply = api.succeed("SELECT a, u, i, h FROM fixed_ddl ORDER BY a LIMIT 1");
    let types: Vec<&str> = reply.columns.iter().map(|(_, ty)| ty.as_str()).collect();
    assert_eq!(types, ["HUGEINT", "TIMESTAMP", "VARCHAR", "DECIMAL(38,0)"]);
    assert_eq!(reply.lines, [r#"[1,"2024-01-01T00:00:00.123456","1 day 02:00:00",99999999999999999999]"#]);
    api.succeed("CREATE TABLE fixed_copy AS SELECT a, s, sum(a) OVER () AS total FROM fixed_ddl");
    let types: Vec<String> = api.succeed("SELECT * FROM fixed_copy").columns.into_iter().map(|(_, ty)| ty).collect();
    assert_eq!(types, ["HUGEINT", "TIMESTAMP_S", "HUGEINT"]);
    assert!(api.query_error("CREATE TABLE fixed_key (i INTERVAL PRIMARY KEY)").contains("INTERVAL"));
}

#[test]
fn keys_updates_and_merges() {
    // HUGEINT and timestamps as keys of upserts; UPDATE and MERGE write them; filters find them in memory and after they settle.
    let api = api();
    api.succeed("CREATE TABLE fixed_keys (h HUGEINT, t TIMESTAMP_NS, i INTERVAL, PRIMARY KEY (h, t))");
    let row = |h: &str, t: &str, i: &str| format!("{{\"h\":{h},\"t\":\"{t}\",\"i\":\"{i}\"}}");
    let big = "99999999999999999999999999999999999999";
    let rows = format!("[{},{}]", row(big, "2024-01-01 00:00:00.000000001", "1 day"), row("1", "2024-01-01", "2 days"));
    assert_eq!(upload(&api, "fixed_keys", "&mode=append", rows).status, 200);
    let more =
        format!("[{},{}]", row(big, "2024-01-01 00:00:00.000000001", "9 days"), row(big, "2024-01-01", "1 hour"));
    let reply = upload(&api, "fixed_keys", "&mode=upsert&primary_key=h,t", more);
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(
        api.rows(&format!("SELECT i FROM fixed_keys WHERE h = {big} ORDER BY t DESC")),
        [[json!("9 days")], [json!("01:00:00")]]
    );
    api.succeed("UPDATE fixed_keys SET i = i + INTERVAL '1 month' WHERE h = 1");
    api.succeed(
        "MERGE INTO fixed_keys AS k USING (SELECT 1::HUGEINT AS h, '2024-01-01'::TIMESTAMP_NS AS t) AS s \
         ON k.h = s.h AND k.t = s.t WHEN MATCHED THEN UPDATE SET i = k.i + INTERVAL '30 minutes'",
    );
    assert_eq!(api.rows("SELECT i FROM fixed_keys WHERE h = 1"), [[json!("1 month 2 days 00:30:00")]]);
    assert_eq!(api.rows("SELECT count(*) FROM fixed_keys WHERE t > '2024-01-01'"), [[json!(1)]]);
    assert_eq!(api.rows("SELECT count(*) FROM fixed_keys WHERE t = '2024-01-01 00:00:00.000000001'"), [[json!(1)]]);
    let grouped = api.succeed("SELECT h, count(*), max(t), min(h) FROM fixed_keys GROUP BY h ORDER BY h");
    let types: Vec<&str> = grouped.columns.iter().map(|(_, ty)| ty.as_str()).collect();
    assert_eq!(types, ["HUGEINT", "BIGINT", "TIMESTAMP_NS", "HUGEINT"]);
    assert_eq!(grouped.lines[1], format!("[{big},2,\"2024-01-01T00:00:00.000000001\",{big}]"));
}

#[test]
fn values_out_of_range_are_refused_by_name() {
    // Never a wrap, never NULL: each way of writing says which value does not fit.
    let api = api();
    api.succeed("CREATE TABLE fixed_range (h HUGEINT, t TIMESTAMP_NS, i INTERVAL)");
    let error = |sql: &str| api.query_error(sql);
    assert!(error("INSERT INTO fixed_range (t) VALUES ('2300-01-01')").contains("2300-01-01"));
    assert!(error("INSERT INTO fixed_range (t) VALUES (TIMESTAMP '1677-01-01 00:00:00')").contains("1677-01-01"));
    assert!(error("SELECT '9999-12-31 00:00:00'::TIMESTAMP_S::TIMESTAMP_NS").contains("9999-12-31"));
    assert!(error("SELECT '1 fortnight'::INTERVAL").contains("1 fortnight"));
    assert!(error("SELECT 'x'::HUGEINT").contains('x'));
    let reply = upload(&api, "fixed_range", "", "[{\"h\":1},{\"h\":100000000000000000000000000000000000000}]");
    assert!(refusal(&reply).contains("out of range for HUGEINT"), "{}", reply.text());
    let reply = upload(&api, "fixed_range", "", "t\n2262-04-12\n");
    assert!(refusal(&reply).contains("out of range for TIMESTAMP_NS"), "{}", reply.text());
    let reply = upload(&api, "fixed_range", "", "i\n5\n");
    assert!(refusal(&reply).contains("INTERVAL"), "{}", reply.text());
    assert_eq!(api.count("fixed_range"), 0);
    let rows =
        api.rows("SELECT TRY_CAST('2300-01-01' AS TIMESTAMP_NS), TRY_CAST('x' AS INTERVAL), TRY_CAST('x' AS HUGEINT)");
    assert_eq!(rows, [vec![Value::Null; 3]]);
}

#[test]
fn parquet_timestamps_have_the_types_that_duckdb_gives_them() {
    // Into a new table milliseconds are TIMESTAMP and nanoseconds TIMESTAMP_NS; into a column of another unit they are converted.
    let api = api();
    let nanos = || Arc::new(TimestampNanosecondArray::from(vec![Some(1_500_000_001), None])) as ArrayRef;
    let millis = || Arc::new(arrow::array::TimestampMillisecondArray::from(vec![Some(1_500), None])) as ArrayRef;
    let file = || parquet(vec![("ns", nanos()), ("ms", millis())]);
    assert_eq!(upload(&api, "fixed_file", "&mode=create", file()).status, 200);
    let found = api.succeed("SELECT * FROM fixed_file");
    let types: Vec<&str> = found.columns.iter().map(|(_, ty)| ty.as_str()).collect();
    assert_eq!(types, ["TIMESTAMP_NS", "TIMESTAMP"]);
    assert_eq!(found.lines[0], r#"["1970-01-01T00:00:01.500000001","1970-01-01T00:00:01.500"]"#);
    api.succeed("CREATE TABLE fixed_units (ns TIMESTAMP_S, ms TIMESTAMP_NS)");
    assert_eq!(upload(&api, "fixed_units", "&mode=append", file()).status, 200);
    assert_eq!(
        api.succeed("SELECT * FROM fixed_units").lines[0],
        r#"["1970-01-01T00:00:02","1970-01-01T00:00:01.500"]"#
    );
    let far = Arc::new(arrow::array::TimestampMillisecondArray::from(vec![253_402_300_799_000])) as ArrayRef;
    let reply = upload(&api, "fixed_units", "&mode=append", parquet(vec![("ms", far)]));
    assert!(refusal(&reply).contains("out of range for TIMESTAMP_NS"), "{}", reply.text());
    api.succeed("CREATE TABLE fixed_numbers (h HUGEINT, i INTERVAL)");
    let decimals = Decimal128Array::from(vec![Some(-7), None]).with_precision_and_scale(38, 0).expect("fits");
    let texts = StringArray::from(vec![None, Some("3 days")]);
    let columns: Vec<(&str, ArrayRef)> = vec![("h", Arc::new(decimals)), ("i", Arc::new(texts))];
    assert_eq!(upload(&api, "fixed_numbers", "", parquet(columns)).status, 200);
    let columns: Vec<(&str, ArrayRef)> = vec![("h", Arc::new(Int64Array::from(vec![i64::MIN])))];
    assert_eq!(upload(&api, "fixed_numbers", "", parquet(columns)).status, 200);
    let mut lines = api.succeed("SELECT * FROM fixed_numbers").lines;
    lines.sort();
    assert_eq!(lines, ["[-7,null]", "[-9223372036854775808,null]", "[null,\"3 days\"]"]);
}
