use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use ::parquet::file::properties::{WriterProperties, WriterVersion};
use arrow_array::builder::{Int32Builder, MapBuilder, StringBuilder};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int32Array,
    Int64Array, ListArray, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray, TimestampNanosecondArray,
    UInt64Array, types::Int32Type,
};

use super::*;

fn parquet_of(columns: Vec<(&str, ArrayRef)>, properties: Option<WriterProperties>) -> DataFile {
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), properties).expect("a writer");
    writer.write(&batch).expect("rows");
    writer.close().expect("a footer");
    file(bytes)
}

fn some_columns() -> Vec<(&'static str, ArrayRef)> {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None]);
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    map.keys().append_value("k");
    map.values().append_value(7);
    map.append(true).expect("an entry");
    map.append(false).expect("no map");
    let names: ArrayRef = Arc::new(StringArray::from(vec![Some("x"), None]));
    let record = StructArray::try_from(vec![("n", names)]).expect("a struct");
    let dictionary: DictionaryArray<Int32Type> = [Some("red"), None].into_iter().collect();
    vec![
        ("flag", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("small", Arc::new(Int32Array::from(vec![Some(-3), None]))),
        ("large", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None]))),
        (
            "money",
            Arc::new(Decimal128Array::from(vec![Some(1250), None]).with_precision_and_scale(12, 2).expect("fits")),
        ),
        ("text", Arc::new(StringArray::from(vec![Some("a"), None]))),
        ("colour", Arc::new(dictionary)),
        ("bytes", Arc::new(BinaryArray::from_opt_vec(vec![Some(b"ab"), None]))),
        ("day", Arc::new(Date32Array::from(vec![Some(19737), None]))),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![Some(1_500_000), None]))),
        ("at_tz", Arc::new(TimestampMicrosecondArray::from(vec![Some(1_500_000), None]).with_timezone("+02:00"))),
        ("nanos", Arc::new(TimestampNanosecondArray::from(vec![Some(1_500_000_999), None]))),
        ("list", Arc::new(list)),
        ("map", Arc::new(map.finish())),
        ("record", Arc::new(record)),
    ]
}

#[test]
fn parquet_types_become_column_types() {
    // Contract 6.7: the schema of the file, each type with its counterpart.
    let found = types(&parquet_of(some_columns(), None));
    let types: Vec<&str> = found.iter().map(|(_, ty)| ty.as_str()).collect();
    assert_eq!(
        types,
        [
            "BOOLEAN",
            "INTEGER",
            "UBIGINT",
            "DECIMAL(12,2)",
            "VARCHAR",
            "VARCHAR",
            "BLOB",
            "DATE",
            "TIMESTAMP",
            "TIMESTAMP WITH TIME ZONE",
            "TIMESTAMP_NS",
            "INTEGER[]",
            "MAP(VARCHAR, INTEGER)",
            "STRUCT(n VARCHAR)",
        ]
    );
}

#[test]
fn parquet_rows_keep_their_values_in_every_compression_and_page_version() {
    // Contract 6.7 lists them; dlt writes format 2.6.
    let expected = [
        "true",
        "-3",
        "18446744073709551615",
        "12.50",
        "a",
        "red",
        "6162",
        "2024-01-15",
        "1970-01-01T00:00:01.500",
        "1970-01-01T00:00:01.500Z",
        "1970-01-01T00:00:01.500000999",
        "[1, ]",
        "{k: 7}",
        "{n: x}",
    ];
    let compressions = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
        Compression::LZ4_RAW,
        Compression::BROTLI(BrotliLevel::default()),
    ];
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        for compression in compressions {
            let properties =
                WriterProperties::builder().set_writer_version(version).set_compression(compression).build();
            let rows = as_new(&parquet_of(some_columns(), Some(properties)));
            assert_eq!(rows[0], expected, "{compression:?}");
            assert_eq!(rows[1][..13], vec!["-"; 13][..], "{compression:?}");
        }
    }
}

#[test]
fn parquet_values_are_cast_to_the_table() {
    // Contract 6.4: by name, in the table's types; text that looks like something else stays text.
    let table = schema(&[
        ("n", LogicalType::BigInt),
        ("d", LogicalType::Double),
        ("t", LogicalType::Varchar),
        ("at", LogicalType::TimestampTz),
        ("u", LogicalType::Uuid),
        ("p", LogicalType::Decimal { precision: 4, scale: 1 }),
        ("absent", LogicalType::Varchar),
    ]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("U", Arc::new(StringArray::from(vec!["019D68D4C4CB7E40AD50FD4B68C2045E"]))),
        ("at", Arc::new(StringArray::from(vec!["2024-01-15T12:00:00+02:00"]))),
        ("t", Arc::new(Int64Array::from(vec![5]))),
        ("d", Arc::new(Int32Array::from(vec![7]))),
        ("N", Arc::new(Float64Array::from(vec![2.0]))),
        ("p", Arc::new(Float64Array::from(vec![2.5]))),
    ];
    let rows = into(&parquet_of(columns, None), &table).expect("all fit");
    let uuid = "019d68d4-c4cb-7e40-ad50-fd4b68c2045e";
    assert_eq!(rows, [["2", "7.0", "5", "2024-01-15T10:00:00Z", uuid, "2.5", "-"]]);
}

#[test]
fn parquet_misfits_name_row_and_column() {
    // A cast that fails refuses the file; the row is counted through the file.
    let table = schema(&[("n", LogicalType::TinyInt), ("l", LogicalType::List(Box::new(LogicalType::TinyInt)))]);
    let number = |array: ArrayRef| into(&parquet_of(vec![("n", array)], None), &table).expect_err("a misfit");
    let out_of_range = number(Arc::new(Int64Array::from(vec![Some(1), None, Some(300)])));
    assert_eq!(out_of_range, "row 2, column \"n\": the value is out of range for TINYINT");
    let fraction = number(Arc::new(Float64Array::from(vec![1.0, 1.5])));
    assert_eq!(fraction, "row 1, column \"n\": a number with a fraction does not fit TINYINT");
    let text = number(Arc::new(StringArray::from(vec!["1", "one"])));
    assert_eq!(text, "row 1, column \"n\": cannot convert string 'one' to TINYINT");
    let bytes = number(Arc::new(BinaryArray::from_opt_vec(vec![None, Some(b"1")])));
    assert_eq!(bytes, "row 1, column \"n\": cannot convert bytes to TINYINT");
    let items = [Some(vec![Some(1)]), None, Some(vec![]), Some(vec![Some(2), Some(300)])];
    let list: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(items));
    let list = into(&parquet_of(vec![("l", list)], None), &table).expect_err("a misfit");
    assert_eq!(list, "row 3, column \"l\": the value is out of range for TINYINT");
}

#[test]
fn damaged_parquet_is_refused() {
    // Cut anywhere or with bits flipped, a file is refused or read; it never ends the thread.
    let good = parquet_of(some_columns(), None);
    let length = good.bytes.length() as usize;
    let mut bytes = vec![0; length];
    assert_eq!(good.bytes.read_at(0, &mut bytes).expect("readable"), length);
    let attempt = |bytes: Vec<u8>| {
        let file = file(bytes);
        let survey = file.survey(Wanted::Types)?;
        let table = TableSchema::new(survey.columns, &[]).map_err(|error| FileError::Invalid(error.to_string()))?;
        file.rows(&table)?.try_for_each(|batch| batch.map(drop))
    };
    for end in (4..length).step_by(97) {
        let outcome = attempt(bytes[..end].to_vec());
        assert!(matches!(outcome, Err(FileError::Invalid(_))), "cut at {end}: {outcome:?}");
    }
    let mut refused = 0;
    for at in (4..length).step_by(13) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        match attempt(flipped) {
            Ok(()) => {}
            Err(FileError::Invalid(_)) => refused += 1,
            Err(FileError::Read(error)) => panic!("at {at}: {error}"),
        }
    }
    assert!(refused > 20, "damage is noticed: {refused}");
}
