use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{Field, Fields};

use super::*;

fn cells(field: &Field, array: ArrayRef, zone: Option<Tz>) -> Vec<String> {
    let column = Column::new(field, &array, zone, JsonColumns::Embedded);
    (0..array.len())
        .map(|row| {
            let mut out = Vec::new();
            column.json(row, &mut out);
            String::from_utf8(out).expect("text")
        })
        .collect()
}

fn of(logical: &LogicalType, array: impl Array + 'static) -> Vec<String> {
    cells(&logical.field("c", true), Arc::new(array), None)
}

#[test]
fn numbers_keep_their_digits() {
    // Proves integers of every width, exact decimals, shortest floats, and null for what JSON has no number for.
    assert_eq!(
        of(&LogicalType::BigInt, Int64Array::from(vec![Some(i64::MIN), None])),
        ["-9223372036854775808", "null"]
    );
    assert_eq!(of(&LogicalType::UBigInt, UInt64Array::from(vec![u64::MAX])), ["18446744073709551615"]);
    let floats = Float64Array::from(vec![0.1, 1.0, -0.0, 1e300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
    assert_eq!(of(&LogicalType::Double, floats), ["0.1", "1.0", "-0.0", "1e300", "null", "null", "null"]);
    assert_eq!(of(&LogicalType::Real, Float32Array::from(vec![0.1f32])), ["0.1"]);
    let decimal = LogicalType::Decimal { precision: 38, scale: 2 };
    let array = Decimal128Array::from(vec![1050, -5, 0, i128::from(u64::MAX) * 1_000_000_000_000])
        .with_precision_and_scale(38, 2)
        .expect("fits");
    assert_eq!(of(&decimal, array), ["10.50", "-0.05", "0.00", "184467440737095516150000000000.00"]);
    assert_eq!(of(&LogicalType::Boolean, BooleanArray::from(vec![true, false])), ["true", "false"]);
}

#[test]
fn times_are_iso_with_fractions_in_groups_of_three() {
    // Proves dates before 1970, before year 1 and on leap days; fractions of 0, 3, 6 and 9 digits; UTC as Z and other zones as offsets.
    let days = Date32Array::from(vec![0, -1, 19_782, -719_163, 11_016, 2_932_897]);
    let expected = [
        "\"1970-01-01\"",
        "\"1969-12-31\"",
        "\"2024-02-29\"",
        "\"0001-12-31 (BC)\"",
        "\"2000-02-29\"",
        "\"10000-01-01\"",
    ];
    assert_eq!(of(&LogicalType::Date, days), expected);
    let at = 1_705_326_300_000_000;
    let micros = TimestampMicrosecondArray::from(vec![at, at + 500_000, at + 1, -1]);
    let expected = [
        "\"2024-01-15T13:45:00\"",
        "\"2024-01-15T13:45:00.500\"",
        "\"2024-01-15T13:45:00.000001\"",
        "\"1969-12-31T23:59:59.999999\"",
    ];
    assert_eq!(of(&LogicalType::Timestamp, micros), expected);
    let nanos = TimestampNanosecondArray::from(vec![1]);
    let field = Field::new("c", nanos.data_type().clone(), true);
    assert_eq!(cells(&field, Arc::new(nanos), None), ["\"1970-01-01T00:00:00.000000001\""]);
    let instants = || TimestampMicrosecondArray::from(vec![at]).with_timezone("UTC");
    assert_eq!(of(&LogicalType::TimestampTz, instants()), ["\"2024-01-15T13:45:00Z\""]);
    let paris = zone("Europe/Paris").expect("known");
    let field = LogicalType::TimestampTz.field("c", true);
    assert_eq!(cells(&field, Arc::new(instants()), paris), ["\"2024-01-15T14:45:00+01:00\""]);
    let new_york = zone("America/New_York").expect("known");
    assert_eq!(cells(&field, Arc::new(instants()), new_york), ["\"2024-01-15T08:45:00-05:00\""]);
    assert_eq!(of(&LogicalType::Time, Time64MicrosecondArray::from(vec![49_500_000_000])), ["\"13:45:00\""]);
    assert!(zone("Mars/Olympus").is_none() && matches!(zone("utc"), Some(None)));
}

#[test]
fn text_is_escaped_and_json_is_embedded_on_one_line() {
    // Proves escapes, UTF-8 as it is, hexadecimal blobs, and what happens to JSON that spans lines or is none.
    let texts = StringViewArray::from(vec!["a\"b\\c", "line\nbreak\u{1}", "grüße €", ""]);
    let expected = ["\"a\\\"b\\\\c\"", "\"line\\nbreak\\u0001\"", "\"grüße €\"", "\"\""];
    assert_eq!(of(&LogicalType::Varchar, texts), expected);
    let blobs = BinaryViewArray::from(vec![&b"\x00\xff"[..]]);
    assert_eq!(of(&LogicalType::Blob, blobs), ["\"00ff\""]);
    let json = || StringViewArray::from(vec!["{\"a\":[1,2]}", "{\n \"a b\": \"x\\\" y\"\r\n}", "not json", "3"]);
    let expected = ["{\"a\":[1,2]}", "{\"a b\":\"x\\\" y\"}", "\"not json\"", "3"];
    assert_eq!(of(&LogicalType::Json, json()), expected);
    let array: ArrayRef = Arc::new(json());
    let column = Column::new(&LogicalType::Json.field("c", true), &array, None, JsonColumns::Text);
    let mut out = Vec::new();
    column.json(3, &mut out);
    assert_eq!(out, b"\"3\"");
}

#[test]
fn nested_values_are_arrays_and_objects() {
    // Proves lists, structs, maps with keys that are not text, dictionaries, and NULLs at each level.
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])]);
    let list = LogicalType::List(Box::new(LogicalType::BigInt));
    assert_eq!(of(&list, lists), ["[1,null]", "null", "[]"]);
    let fields = Fields::from(vec![Field::new("a", DataType::Int64, true), Field::new("b\"", DataType::Utf8, true)]);
    let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(vec![7])), Arc::new(StringArray::from(vec!["x"]))];
    let structs = StructArray::new(fields.clone(), columns, None);
    let field = Field::new("c", DataType::Struct(fields), true);
    assert_eq!(cells(&field, Arc::new(structs), None), ["{\"a\":7,\"b\\\"\":\"x\"}"]);
    assert_eq!(type_name(&field), "STRUCT(a BIGINT, \"b\"\"\" VARCHAR)");
    let entries =
        Fields::from(vec![Field::new("key", DataType::Int64, false), Field::new("value", DataType::Utf8, true)]);
    let pairs: Vec<ArrayRef> =
        vec![Arc::new(Int64Array::from(vec![1, 2])), Arc::new(StringArray::from(vec![Some("x"), None]))];
    let pairs = StructArray::new(entries.clone(), pairs, None);
    let entries = Arc::new(Field::new("entries", DataType::Struct(entries), false));
    let offsets = OffsetBuffer::new(ScalarBuffer::from(vec![0, 2]));
    let map = MapArray::new(Arc::clone(&entries), offsets, pairs, None, false);
    let field = Field::new("c", DataType::Map(entries, false), true);
    assert_eq!(cells(&field, Arc::new(map), None), ["{\"1\":\"x\",\"2\":null}"]);
    assert_eq!(type_name(&field), "MAP(BIGINT, VARCHAR)");
    let dictionary: Int32DictionaryArray = vec![Some("x"), None, Some("x")].into_iter().collect();
    let field = Field::new("c", dictionary.data_type().clone(), true);
    assert_eq!(cells(&field, Arc::new(dictionary), None), ["\"x\"", "null", "\"x\""]);
}

#[test]
fn intervals_read_as_in_duckdb() {
    // Proves units, plurals, negative parts and the empty interval.
    let interval = IntervalMonthDayNano::new;
    let array = IntervalMonthDayNanoArray::from(vec![
        interval(14, 3, 4 * 3_600_000_000_000 + 500_000_000),
        interval(0, 0, 0),
        interval(-1, 1, 0),
    ]);
    let field = Field::new("c", array.data_type().clone(), true);
    let expected = ["\"1 year 2 months 3 days 04:00:00.5\"", "\"00:00:00\"", "\"-1 month 1 day\""];
    assert_eq!(cells(&field, Arc::new(array), None), expected);
    assert_eq!(type_name(&field), "INTERVAL");
}

#[test]
fn csv_tells_null_from_empty_and_quotes_what_must_be() {
    // Proves the quoting rules and that nested values are JSON text.
    let csv = |field: &Field, array: ArrayRef| -> Vec<String> {
        let column = Column::new(field, &array, None, JsonColumns::Embedded);
        let mut scratch = Vec::new();
        (0..array.len())
            .map(|row| {
                let mut out = Vec::new();
                column.csv(row, &mut out, &mut scratch);
                String::from_utf8(out).expect("text")
            })
            .collect()
    };
    let texts =
        StringViewArray::from(vec![Some("plain"), Some(""), None, Some("a,b"), Some("say \"hi\""), Some("x\ny")]);
    let expected = ["plain", "\"\"", "", "\"a,b\"", "\"say \"\"hi\"\"\"", "\"x\ny\""];
    assert_eq!(csv(&LogicalType::Varchar.field("c", true), Arc::new(texts)), expected);
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), Some(2)])]);
    let list = LogicalType::List(Box::new(LogicalType::BigInt)).field("c", true);
    assert_eq!(csv(&list, Arc::new(lists)), ["\"[1,2]\""]);
    assert_eq!(csv(&LogicalType::Date.field("c", true), Arc::new(Date32Array::from(vec![0]))), ["1970-01-01"]);
}
