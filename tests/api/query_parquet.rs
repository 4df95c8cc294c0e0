//! `POST /query` with `format: parquet`: one file, with the result's columns and types.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use reqwest::Method;
use serde_json::{Value, json};
use siltstone_tests::{Api, Reply};

use crate::api;

fn ask(api: &Api, statement: &str) -> Reply {
    api.query_with(&json!({ "statement": statement, "format": "parquet" }))
}

fn read(reply: &Reply) -> RecordBatch {
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    assert_eq!(reply.header("content-type"), "application/parquet");
    let bytes = bytes::Bytes::from(reply.body.clone());
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).expect("a Parquet file");
    let schema = reader.schema().clone();
    let batches: Vec<RecordBatch> = reader.build().expect("readable").collect::<Result<_, _>>().expect("readable rows");
    concat_batches(&schema, &batches).expect("one schema")
}

#[test]
fn every_type_has_its_parquet_type() {
    // Expression, type in the file as a reader without Arrow's own schema sees it, and the value as text.
    let micros = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    let cases: Vec<(&str, DataType, &str)> = vec![
        ("true", DataType::Boolean, "true"),
        ("CAST(-128 AS TINYINT)", DataType::Int8, "-128"),
        ("CAST(9007199254740993 AS BIGINT)", DataType::Int64, "9007199254740993"),
        ("CAST(18446744073709551615 AS UBIGINT)", DataType::UInt64, "18446744073709551615"),
        (
            "CAST('99999999999999999999999999999999999999' AS DECIMAL(38,0))",
            DataType::Decimal128(38, 0),
            "99999999999999999999999999999999999999",
        ),
        ("CAST(10.5 AS DECIMAL(12,3))", DataType::Decimal128(12, 3), "10.500"),
        ("CAST(0.1 AS DOUBLE)", DataType::Float64, "0.1"),
        ("CAST(0.5 AS REAL)", DataType::Float32, "0.5"),
        ("'é'", DataType::Utf8, "é"),
        (
            "CAST('019D68D4-C4CB-7E40-AD50-FD4B68C2045E' AS UUID)",
            DataType::Utf8,
            "019d68d4-c4cb-7e40-ad50-fd4b68c2045e",
        ),
        ("CAST('{\"a\":[1,2.50]}' AS JSON)", DataType::Utf8, "{\"a\":[1,2.50]}"),
        ("CAST(X'00AB' AS BLOB)", DataType::Binary, "00ab"),
        ("CAST('2024-01-15' AS DATE)", DataType::Date32, "2024-01-15"),
        ("CAST('13:45:00.5' AS TIME)", DataType::Time64(TimeUnit::Microsecond), "13:45:00.500"),
        ("CAST('2024-01-15 13:45:00' AS TIMESTAMP)", micros(None), "2024-01-15T13:45:00"),
        ("CAST('2024-01-15 13:45:00+01:00' AS TIMESTAMPTZ)", micros(Some("UTC")), "2024-01-15T12:45:00Z"),
    ];
    let api = api();
    for (expression, ty, text) in cases {
        let batch = read(&ask(&api, &format!("SELECT {expression} AS v UNION ALL SELECT NULL")));
        assert_eq!(batch.schema().field(0).data_type(), &ty, "{expression}");
        let column = batch.column(0);
        assert_eq!((column.len(), column.null_count()), (2, 1), "{expression}");
        let at = usize::from(column.is_null(0));
        let shown = arrow::util::display::array_value_to_string(column, at).expect("printable");
        assert_eq!(shown, text, "{expression}");
    }
}

#[test]
fn what_parquet_lacks_is_text() {
    // An INTERVAL is its DuckDB text; a column of nothing but NULL is an empty VARCHAR column.
    let api = api();
    let batch = read(&ask(&api, "SELECT INTERVAL '3' month AS i, NULL AS n"));
    assert_eq!(batch.column(0).as_string::<i32>().value(0), "3 months");
    assert_eq!((batch.schema().field(1).data_type(), batch.column(1).null_count()), (&DataType::Utf8, 1));
}

#[test]
fn nested_values_stay_nested() {
    // LIST and STRUCT are Parquet's own, UUIDs within them text.
    let api = api();
    api.succeed("CREATE TABLE parquet_nested (a BIGINT[], b STRUCT(x INTEGER, y UUID))");
    api.append_ok(
        "parquet_nested",
        r#"[{"a":[1,null,3],"b":{"x":1,"y":"019D68D4-C4CB-7E40-AD50-FD4B68C2045E"}},{"a":null,"b":null}]"#,
    );
    let batch = read(&ask(&api, "SELECT a, b FROM parquet_nested ORDER BY a NULLS LAST"));
    let list = batch.column(0).as_list::<i32>();
    assert_eq!(list.value(0).as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), [Some(1), None, Some(3)]);
    let fields = batch.column(1).as_struct();
    assert_eq!(fields.column(1).as_string::<i32>().value(0), "019d68d4-c4cb-7e40-ad50-fd4b68c2045e");
    assert!(list.is_null(1) && fields.is_null(1));
}

#[test]
fn names_are_told_apart_and_empty_results_keep_their_types() {
    // Repeated names get `_1`; a result without rows is a whole file; limits cut; statements without rows have their columns.
    let api = api();
    let names = |batch: &RecordBatch| -> Vec<String> {
        batch.schema().fields().iter().map(|field| field.name().clone()).collect()
    };
    let batch = read(&ask(&api, "SELECT 1 AS a, 'x' AS a, 2 AS b, CAST(3 AS DECIMAL(9,2)) AS a WHERE false"));
    assert_eq!(names(&batch), ["a", "a_1", "b", "a_2"]);
    assert_eq!((batch.num_rows(), batch.schema().field(3).data_type()), (0, &DataType::Decimal128(9, 2)));
    let body = json!({"statement": "VALUES (1), (2), (3), (4)", "format": "parquet", "limit": 2, "offset": 1});
    assert_eq!(read(&api.query_with(&body)).num_rows(), 2);
    let batch = read(&ask(&api, "CREATE TABLE parquet_ddl (a BIGINT)"));
    assert_eq!((names(&batch), batch.num_rows()), (vec!["Count".to_owned()], 0));
}

#[test]
fn large_files_come_in_row_groups() {
    // 300,000 rows arrive whole, in several row groups, with ids in the headers.
    let api = api();
    for start in [0, 100_000, 200_000] {
        let rows: Vec<String> = (start..start + 100_000).map(|n| format!("{{\"n\":{n}}}")).collect();
        api.append_ok("parquet_many", format!("[{}]", rows.join(",")));
    }
    let reply = ask(&api, "SELECT n FROM parquet_many ORDER BY n");
    assert_eq!((reply.header("x-query-id").len(), reply.header("x-session-id").len()), (36, 36));
    let groups = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(reply.body.clone())).expect("a file");
    assert!(groups.metadata().num_row_groups() > 1);
    let batch = read(&reply);
    let numbers = batch.column(0).as_primitive::<Int64Type>();
    assert_eq!(numbers.len(), 300_000);
    assert!(numbers.values().iter().enumerate().all(|(i, n)| *n == i as i64));
}

#[test]
fn errors_are_a_status_or_a_broken_file() {
    // Before the first rows: 500 with the message. An error later on leaves nothing that reads as a file.
    let api = api();
    let reply = ask(&api, "SELECT * FROM missing_for_parquet");
    assert_eq!(reply.status, 500);
    assert!(reply.header("content-type").starts_with("text/plain") && reply.text().contains("missing_for_parquet"));
    let rows: Vec<Value> =
        (0..50_000).map(|n| json!({"n": n, "t": if n == 49_000 { "x".to_owned() } else { n.to_string() }})).collect();
    api.append_ok("parquet_breaks", Value::Array(rows).to_string());
    let body = json!({"statement": "SELECT CAST(t AS BIGINT) FROM parquet_breaks", "format": "parquet"}).to_string();
    let request = api.request(Method::POST, "/query").header("authorization", api.basic()).body(body);
    // A slow machine may have answered 200 by then: so the transfer must break off.
    if let Ok(reply) = Reply::try_from_request(request) {
        assert_eq!(reply.status, 500, "{}", reply.text());
    }
}
