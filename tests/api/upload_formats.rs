//! Files of `POST /upload`: how their format is found, how they are read, what is refused.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray,
    TimestampMicrosecondArray, UInt64Array,
};
use serde_json::{Value, json};

use crate::api;
use crate::upload::{parquet, refusal, send, upload};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("in memory");
    encoder.finish().expect("in memory")
}

fn small_parquet() -> Vec<u8> {
    parquet(vec![("a", Arc::new(Int64Array::from(vec![1])) as ArrayRef)])
}

#[test]
fn formats_are_declared_or_found_out() {
    // Contract 6.6, the whole table: content types of real clients, then the first bytes.
    let api = api();
    let (csv, json) = (b"a\n1\n".to_vec(), b"[{\"a\":1}]".to_vec());
    let parquet = small_parquet();
    let cases: Vec<(&str, &Vec<u8>)> = vec![
        ("application/json", &json),
        ("Application/JSON; charset=utf-8", &json),
        ("application/vnd.api+json", &json),
        ("application/x-ndjson", &json),
        ("application/jsonl", &json),
        ("application/ndjson", &json),
        ("text/csv", &csv),
        ("text/csv; header=present", &csv),
        ("application/csv", &csv),
        ("application/parquet", &parquet),
        ("application/vnd.apache.parquet", &parquet),
        ("application/x-parquet", &parquet),
    ];
    let undeclared = ["", "application/octet-stream", "application/x-www-form-urlencoded"];
    let sniffed = undeclared.iter().flat_map(|ty| [(*ty, &csv), (*ty, &json), (*ty, &parquet)]);
    let mut rows = 0;
    for (content_type, body) in cases.iter().copied().chain(sniffed) {
        let reply = send(&api, "/upload", "formats", "&mode=create_append", content_type, body.clone());
        assert_eq!(reply.status, 200, "{content_type:?}: {}", reply.text());
        rows += 1;
    }
    assert_eq!(api.count("formats"), rows);
    assert_eq!(api.succeed("SELECT a FROM formats LIMIT 0").columns[0].1, "BIGINT");
}

#[test]
fn declarations_that_are_wrong_are_refused() {
    // Contract 6.6: the parameter beats the content type; what is declared and what is there must agree.
    let api = api();
    let wrong = |more: &str, content_type: &str, body: Vec<u8>| {
        send(&api, "/upload", "declared", &format!("&mode=create{more}"), content_type, body)
    };
    let reply = wrong("", "application/json", b"a\n1\n".to_vec());
    assert_eq!(refusal(&reply), "the file was declared as JSON, and its contents look like CSV");
    let reply = wrong("&format=parquet", "text/csv", b"a\n1\n".to_vec());
    assert_eq!(refusal(&reply), "the file was declared as Parquet, and its contents look like CSV");
    assert_eq!(refusal(&wrong("", "", Vec::new())), "the file is empty");
    assert_eq!(refusal(&wrong("&format=csv", "", b" \n".to_vec())), "the file is empty");
    let reply = wrong("", "", b"PAR1 and nothing more".to_vec());
    assert!(refusal(&reply).starts_with("the file cannot be read as Parquet: "), "{}", reply.text());
    assert_eq!(wrong("&format=csv", "application/json", b"a\n1\n".to_vec()).status, 200);
}

#[test]
fn compression_need_not_be_declared() {
    // Contract 1.7: gzip and zstd bodies are unwrapped before their format is looked at, declared or not.
    let api = api();
    let csv = b"a\n1\n".to_vec();
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).expect("in memory");
    for (body, encoding) in [
        (gzip(&csv), ""),
        (zstd(&csv), ""),
        (gzip(&small_parquet()), ""),
        (gzip(&csv), "gzip"),
        (zstd(&csv), "zstd"),
        (gzip(&gzip(&csv)), "gzip"),
    ] {
        let path = "/upload?catalog=LAKE&schema=main&table=wrapped&mode=create_append";
        let mut request = api.request(reqwest::Method::POST, path).header("authorization", api.basic());
        if !encoding.is_empty() {
            request = request.header("content-encoding", encoding);
        }
        let reply = siltstone_tests::Reply::from(request.body(body));
        assert_eq!(reply.status, 200, "{encoding}: {}", reply.text());
    }
    assert_eq!(api.count("wrapped"), 6);
    let cut = gzip(&csv)[..12].to_vec();
    assert_eq!(refusal(&upload(&api, "wrapped", "", cut)), "the body is not valid gzip data");
}

#[test]
fn csv_files_make_typed_tables() {
    // Contract 6.7 end to end: types by all rows, other separators, a header alone.
    let api = api();
    let csv = "b;i;d;day;at;zoned;zip;empty\n\
               true;1;2.5;2024-01-15;2024-01-15 12:00:00;2024-01-15T12:00:00+02:00;007;\n\
               ;;;;;;;\"\"\n";
    assert_eq!(upload(&api, "typed", "&mode=create", csv).status, 200);
    let found = api.succeed("SELECT * FROM typed ORDER BY i NULLS LAST");
    let types: Vec<&str> = found.columns.iter().map(|(_, ty)| ty.as_str()).collect();
    assert_eq!(
        types,
        ["BOOLEAN", "BIGINT", "DOUBLE", "DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "VARCHAR", "VARCHAR"]
    );
    let first = json!([true, 1, 2.5, "2024-01-15", "2024-01-15T12:00:00", "2024-01-15T10:00:00Z", "007", null]);
    assert_eq!(Value::from(found.rows[0].clone()), first);
    assert_eq!(found.rows[1], vec![Value::Null; 8]);
    assert_eq!(upload(&api, "headed", "&mode=create", "x,y\n").status, 200);
    let found = api.succeed("SELECT * FROM headed");
    assert_eq!(found.columns, [("x", "VARCHAR"), ("y", "VARCHAR")].map(|(n, t)| (n.to_owned(), t.to_owned())));
    assert!(found.rows.is_empty());
}

#[test]
fn json_files_make_the_tables_that_append_makes() {
    // Contract 6.7 and 5.5: the same inference for both doors; an empty array makes no table, and changes none.
    let api = api();
    let rows = r#"[{"i":1,"m":1,"s":"x","at":"2024-01-15T12:00:00Z","o":{"a":[1]},"n":null},{"i":2,"m":1.5,"o":[2]}]"#;
    api.append_ok("by_append", rows);
    assert_eq!(upload(&api, "by_file", "&mode=create", rows).status, 200);
    let (appended, filed) = (api.succeed("SELECT * FROM by_append"), api.succeed("SELECT * FROM by_file"));
    assert_eq!(appended.columns, filed.columns);
    assert_eq!(appended.rows, filed.rows);
    let reply = upload(&api, "nothing", "&mode=create", "[]");
    assert!(refusal(&reply).contains("without columns"), "{}", reply.text());
    let reply = upload(&api, "by_file", "&mode=append", "[]");
    assert_eq!((reply.status, reply.json()["rows"].as_u64(), reply.header("x-snapshot-id")), (200, Some(0), ""));
    assert_eq!(upload(&api, "by_file", "&mode=append", "{\"i\":3}\n{\"I\":4} {\"i\":5}").status, 200);
    assert_eq!(api.rows("SELECT sum(i) FROM by_file"), [[json!(15)]]);
}

#[test]
fn parquet_files_keep_their_types() {
    // Contract 6.7: exact values of every type, and a file without rows.
    let api = api();
    let decimals = Decimal128Array::from(vec![Some(1250), None]).with_precision_and_scale(12, 3).expect("fits");
    let zoned = TimestampMicrosecondArray::from(vec![Some(1_705_320_000_000_000), None]).with_timezone("UTC");
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("big", Arc::new(Int64Array::from(vec![Some(9_007_199_254_740_993), None]))),
        ("unsigned", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None]))),
        ("money", Arc::new(decimals)),
        ("flag", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("bytes", Arc::new(BinaryArray::from_opt_vec(vec![Some(b"\x00\xff"), None]))),
        ("day", Arc::new(Date32Array::from(vec![Some(19_737), None]))),
        ("at", Arc::new(zoned)),
    ];
    assert_eq!(upload(&api, "exact", "&mode=create", parquet(columns)).status, 200);
    let found = api.succeed("SELECT * FROM exact ORDER BY big NULLS LAST");
    let types: Vec<&str> = found.columns.iter().map(|(_, ty)| ty.as_str()).collect();
    assert_eq!(types, ["BIGINT", "UBIGINT", "DECIMAL(12,3)", "BOOLEAN", "BLOB", "DATE", "TIMESTAMP WITH TIME ZONE"]);
    assert_eq!(
        found.lines[0],
        r#"[9007199254740993,18446744073709551615,1.250,true,"00ff","2024-01-15","2024-01-15T12:00:00Z"]"#
    );
    assert_eq!(found.rows[1], vec![Value::Null; 7]);
    let none: Vec<(&str, ArrayRef)> = vec![("t", Arc::new(StringArray::from(Vec::<&str>::new())))];
    let reply = upload(&api, "no_rows", "&mode=create", parquet(none));
    assert_eq!((reply.status, reply.json()["rows"].as_u64()), (200, Some(0)));
    assert_eq!(api.count("no_rows"), 0);
}

#[test]
fn files_fit_into_existing_tables_by_name() {
    // Contract 6.4: any order and case, missing columns get their default, extra ones are refused, text stays as it is.
    let api = api();
    api.succeed("CREATE TABLE fitted (id BIGINT NOT NULL, name VARCHAR, n DOUBLE DEFAULT 7)");
    let uuid = "019D68D4-C4CB-7E40-AD50-FD4B68C2045E";
    assert_eq!(upload(&api, "fitted", "", format!("NAME,ID\n{uuid},1\n")).status, 200);
    assert_eq!(upload(&api, "fitted", "", "[{\"name\":5,\"Id\":2}]").status, 200);
    let columns: Vec<(&str, ArrayRef)> =
        vec![("n", Arc::new(Int64Array::from(vec![1]))), ("id", Arc::new(Float64Array::from(vec![3.0])))];
    assert_eq!(upload(&api, "fitted", "", parquet(columns)).status, 200);
    assert_eq!(
        api.rows("SELECT id, name, n FROM fitted ORDER BY id"),
        [
            vec![json!(1), json!(uuid), json!(7.0)],
            vec![json!(2), json!("5"), json!(7.0)],
            vec![json!(3), Value::Null, json!(1.0)]
        ]
    );
    let refused = |body: &str| refusal(&upload(&api, "fitted", "", body.to_owned())).to_owned();
    assert_eq!(refused("id,nope\n1,2\n"), "the table has no column \"nope\"");
    assert_eq!(refused("id,ID\n1,2\n"), "column \"ID\" is in the file twice");
    assert_eq!(refused("name\nx\n"), "column \"id\" does not allow NULL and is not in the file");
    assert_eq!(refused("id\n\"\"\n1\n"), "row 0, column \"id\": the column does not allow NULL");
    assert_eq!(refused("{\"id\":1,\"nope\":2}"), "row 0, column \"nope\": the table has no such column");
    assert_eq!(api.count("fitted"), 3);
}

#[test]
fn a_declared_primary_key_refuses_rows_by_number() {
    // A key that SQL declares holds for files, too: the rows in the way are named, and nothing is written.
    let api = api();
    api.succeed("CREATE TABLE keyed (id BIGINT PRIMARY KEY, name VARCHAR)");
    assert_eq!(upload(&api, "keyed", "", "id,name\n1,a\n2,b\n").status, 200);
    let reply = upload(&api, "keyed", "", "id,name\n3,c\n2,x\n1,y\n");
    assert!(refusal(&reply).ends_with("rows 1, 2"), "{}", reply.text());
    assert_eq!(api.count("keyed"), 2);
    let reply = upload(&api, "keyed", "&mode=upsert&primary_key=id", "id,name\n3,c\n2,x\n");
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(api.rows("SELECT name FROM keyed ORDER BY id"), [[json!("a")], [json!("x")], [json!("c")]]);
}
