//! ENUM, BIT, MAP and `T[n]` as column types: every way in, every way out, and what is refused.

use std::sync::Arc;

use arrow::array::builder::{FixedSizeListBuilder, Float32Builder, Int32Builder, MapBuilder, StringBuilder};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use siltstone_tests::{Api, Server};

use crate::upload::{parquet, refusal, send, upload};
use crate::{api, launch};

const COLUMNS: &str = "n INTEGER, e ENUM('new', 'it''s done', ''), b BIT, m MAP(VARCHAR, INTEGER), v FLOAT[3]";
const TYPES: [&str; 5] = ["INTEGER", "ENUM('new', 'it''s done', '')", "BIT", "MAP(VARCHAR, INTEGER)", "FLOAT[3]"];

fn create(api: &Api, table: &str) {
    api.succeed(&format!("CREATE TABLE {table} ({COLUMNS})"));
}

/// A row as `/query` shows it.
fn row(n: i64, e: Value, b: Value, m: Value, v: Value) -> Vec<Value> {
    vec![json!(n), e, b, m, v]
}

/// What [`fill`] writes.
fn written() -> Vec<Vec<Value>> {
    vec![
        row(1, json!("new"), json!("0101"), json!({"a": 1, "b": null}), json!([1.5, null, -2.0])),
        row(2, json!("it's done"), json!("1"), json!({}), json!([0.0, 0.0, 0.0])),
        row(3, json!(""), Value::Null, json!({"": -7}), Value::Null),
        row(4, Value::Null, json!("0".repeat(80)), Value::Null, json!([1.0, 2.0, 3.0])),
        row(5, json!("new"), json!("10"), json!({"key longer than twelve bytes": 5}), json!([0.5, 0.25, 0.125])),
        row(6, Value::Null, Value::Null, Value::Null, Value::Null),
        row(7, json!("it's done"), json!("11"), json!({"x": 1, "y": 2}), json!([7.0, 8.0, 9.0])),
        row(8, json!("new"), Value::Null, json!({"p": 8}), json!([8.0, 8.0, 8.0])),
        row(9, json!("new"), json!("1001"), json!({}), Value::Null),
    ]
}

/// Rows 1 to 9, by SQL, JSON and files of every format.
fn fill(api: &Api, table: &str) {
    let zeros = "0".repeat(80);
    api.succeed(&format!(
        "INSERT INTO {table} VALUES (1, 'new', '0101', MAP {{'a': 1, 'b': NULL}}, [1.5, NULL, -2]),
            (2, 'it''s done', '1', MAP {{}}, [0, 0, 0]), (3, '', NULL, map([''], [-7]), NULL)"
    ));
    api.append_ok(
        table,
        json!([
            {"n": 4, "b": zeros, "v": [1, 2, 3]},
            {"n": 5, "e": "new", "b": "10", "m": {"key longer than twelve bytes": 5}, "v": [0.5, 0.25, 0.125]},
        ])
        .to_string(),
    );
    let stream = json!({"data": [{"n": 6, "e": null}], "config": {"table": format!("main.{table}"), "wait": true}});
    let reply = api.stream(&stream);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let csv = "n,e,b,m,v\n7,it's done,11,\"{\"\"x\"\":1,\"\"y\"\":2}\",\"[7,8,9]\"\n";
    let reply = send(api, "/upload", table, "&mode=append", "text/csv", csv);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let reply = send(api, "/upload", table, "&mode=append", "application/parquet", file());
    assert_eq!(reply.status, 200, "{}", reply.text());
    let line = json!({"n": 9, "e": "new", "b": "1001", "m": {}}).to_string();
    let reply = send(api, "/upload", table, "&mode=append", "application/x-ndjson", line);
    assert_eq!(reply.status, 200, "{}", reply.text());
}

/// Row 8 as a Parquet file with types of its own.
fn file() -> Vec<u8> {
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    map.keys().append_value("p");
    map.values().append_value(8);
    map.append(true).expect("an entry");
    let mut items = FixedSizeListBuilder::new(Float32Builder::new(), 3);
    items.values().append_slice(&[8.0; 3]);
    items.append(true);
    parquet(vec![
        ("n", Arc::new(arrow::array::Int64Array::from(vec![8])) as ArrayRef),
        ("e", Arc::new(StringArray::from(vec!["new"]))),
        ("m", Arc::new(map.finish())),
        ("v", Arc::new(items.finish())),
    ])
}

fn rows_of(api: &Api, table: &str) -> Vec<Vec<Value>> {
    api.rows(&format!("SELECT * FROM {table} ORDER BY n"))
}

#[test]
fn every_way_in_and_a_crash() {
    // SQL, JSON and files write the same rows; they are there after kill -9, and after being moved into a segment.
    let server = Server::start(launch());
    create(&server.api(), "t");
    fill(&server.api(), "t");
    assert_eq!(rows_of(&server.api(), "t"), written());
    let server = server.kill_and_restart();
    let api = server.api();
    assert_eq!(rows_of(&api, "t"), written());
    let types: Vec<String> = api.succeed("SELECT * FROM t LIMIT 0").columns.into_iter().map(|(_, ty)| ty).collect();
    assert_eq!(types, TYPES);
    api.succeed("CREATE TABLE copy AS SELECT * FROM t");
    api.succeed("INSERT INTO copy SELECT n + 100 + i, e, b, m, v FROM t, range(0, 20000, 10) AS r(i)");
    api.succeed("DELETE FROM copy WHERE n > 100");
    assert_eq!(rows_of(&api, "copy"), written());
    let types: Vec<String> = api.succeed("SELECT * FROM copy LIMIT 0").columns.into_iter().map(|(_, ty)| ty).collect();
    assert_eq!(types, TYPES);
    server.terminate();
}

#[test]
fn every_way_out() {
    // The four formats, DESCRIBE, information_schema and typeof.
    let api = api();
    create(&api, "marked_out");
    fill(&api, "marked_out");
    let described = api.rows("DESCRIBE marked_out").into_iter().map(|row| row[1].clone()).collect::<Vec<_>>();
    assert_eq!(described, TYPES);
    let listed = api.rows(
        "SELECT data_type FROM information_schema.columns WHERE table_name = 'marked_out' ORDER BY ordinal_position",
    );
    assert_eq!(listed.into_iter().flatten().collect::<Vec<_>>(), TYPES);
    let named = api.rows("SELECT typeof(n), typeof(e), typeof(b), typeof(m), typeof(v) FROM marked_out WHERE n = 1");
    assert_eq!(named[0], TYPES);
    let ask = |format: &str| {
        let statement = "SELECT * FROM marked_out WHERE n IN (1, 3) ORDER BY n";
        let reply = api.query_with(&json!({ "statement": statement, "format": format }));
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply
    };
    assert_eq!(
        ask("csv").text(),
        "n,e,b,m,v\n1,new,0101,\"{\"\"a\"\":1,\"\"b\"\":null}\",\"[1.5,null,-2.0]\"\n3,\"\",,\"{\"\"\"\":-7}\",\n"
    );
    let lines: Vec<Value> =
        ask("jsonl").text().lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    let object = |row: &[Value]| json!({"n": row[0], "e": row[1], "b": row[2], "m": row[3], "v": row[4]});
    assert_eq!(lines, [object(&written()[0]), object(&written()[2])]);
    let bytes = bytes::Bytes::from(ask("parquet").body);
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).expect("a Parquet file").build().expect("readable");
    let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>().expect("rows");
    let [batch] = batches.as_slice() else { panic!("{} batches", batches.len()) };
    let types: Vec<&DataType> = batch.columns().iter().map(|column| column.data_type()).collect();
    assert_eq!(types[1..3], [&DataType::Utf8, &DataType::Utf8]);
    assert!(matches!(types[3], DataType::Map(..)) && matches!(types[4], DataType::List(_)), "{types:?}");
    let map = batch.column(3).as_map();
    assert_eq!((map.keys().len(), map.value_length(0), map.value_length(1)), (3, 2, 1));
    assert!(batch.column(4).is_null(1));
    // The file makes a table of the same values again.
    let reply = send(&api, "/upload", "marked_again", "&mode=create", "", ask("parquet").body);
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(rows_of(&api, "marked_again"), [written()[0].clone(), written()[2].clone()]);
    let types: Vec<String> =
        api.succeed("SELECT * FROM marked_again LIMIT 0").columns.into_iter().map(|(_, ty)| ty).collect();
    assert_eq!(types, ["INTEGER", "VARCHAR", "VARCHAR", "MAP(VARCHAR, INTEGER)", "FLOAT[]"]);
}

#[test]
fn values_outside_are_refused() {
    // Every API names the row, the column and what was expected; nothing is written.
    let api = api();
    create(&api, "marked_refused");
    for (values, error) in [
        (
            "1, 'old', NULL, NULL, NULL",
            "Conversion Error: Could not convert string 'old' to ENUM('new', 'it''s done', '')",
        ),
        ("1, 'New', NULL, NULL, NULL", "Conversion Error: Could not convert string 'New' to ENUM"),
        ("1, NULL, '012', NULL, NULL", "Conversion Error: Could not convert string '012' to BIT"),
        ("1, NULL, '', NULL, NULL", "Conversion Error: Could not convert string '' to BIT"),
        ("1, NULL, NULL, NULL, [1, 2]", "Conversion Error: Cannot cast list with length 2 to array with length 3"),
        (
            "1, NULL, NULL, NULL, [1, 2, 3, 4]",
            "Conversion Error: Cannot cast list with length 4 to array with length 3",
        ),
        ("1, NULL, NULL, 5, NULL", "Conversion Error: Unimplemented type for cast"),
    ] {
        let found =
            api.query_error(&format!("INSERT INTO marked_refused VALUES (0, 'new', '1', NULL, NULL), ({values})"));
        assert!(found.contains(error), "{values}: {found}");
    }
    let repeated = api.query_error("INSERT INTO marked_refused (n, m) SELECT 1, map(['a', 'a'], [1, 2])");
    assert!(repeated.to_lowercase().contains("unique") || repeated.contains("duplicate"), "{repeated}");
    for (value, expected) in [
        (json!({"e": "old"}), "ENUM('new', 'it''s done', '')"),
        (json!({"e": 1}), "ENUM('new', 'it''s done', '')"),
        (json!({"b": "2"}), "BIT"),
        (json!({"b": true}), "BIT"),
        (json!({"m": {"a": "x"}}), "MAP(VARCHAR, INTEGER)"),
        (json!({"m": [1]}), "MAP(VARCHAR, INTEGER)"),
        (json!({"v": [1, 2]}), "FLOAT[3]"),
        (json!({"v": "x"}), "FLOAT[3]"),
    ] {
        let column = value.as_object().and_then(|object| object.keys().next().cloned()).expect("a column");
        let rows = json!([{"n": 1}, value]).to_string();
        let reply = api.append("catalog=LAKE&schema=main&table=marked_refused", rows.clone()).json();
        let message = reply["error_message"].as_str().unwrap_or_default().to_owned();
        assert_eq!((&reply["ok"], &reply["error_code"]), (&json!(false), &json!("incompatible-schema")), "{value}");
        assert!(message.contains(expected) && message.contains(&column) && message.contains("row 1"), "{message}");
        let reply = send(&api, "/upload", "marked_refused", "&mode=append", "application/json", rows);
        let message = refusal(&reply);
        assert!(message.contains(expected) && message.contains(&format!("row 1, column \"{column}\"")), "{message}");
    }
    // Two names that are one key.
    let twice = r#"{"n":1,"m":{"a":1,"a":2}}"#;
    let reply = api.append("catalog=LAKE&schema=main&table=marked_refused", twice).json();
    assert_eq!(reply["error_code"], "incompatible-schema", "{reply}");
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    for _ in 0..2 {
        map.keys().append_value("k");
        map.values().append_value(1);
    }
    map.append(true).expect("entries");
    let reply =
        send(&api, "/upload", "marked_refused", "&mode=append", "", parquet(vec![("m", Arc::new(map.finish()))]));
    assert!(refusal(&reply).contains("cannot have a key twice"), "{}", reply.text());
    assert_eq!(api.count("marked_refused"), 0);
}

#[test]
fn statements_on_marked_columns() {
    // Filters, order, groups, keys, UPDATE, MERGE and defaults.
    let api = api();
    create(&api, "marked_sql");
    fill(&api, "marked_sql");
    let n = |filter: &str| -> Vec<i64> {
        let rows = api.rows(&format!("SELECT n FROM marked_sql WHERE {filter} ORDER BY n"));
        rows.iter().map(|row| row[0].as_i64().expect("a number")).collect()
    };
    assert_eq!(n("e = 'new'"), [1, 5, 8, 9]);
    assert_eq!(n("e IN ('', 'it''s done') AND b IS NOT NULL"), [2, 7]);
    assert_eq!(n("e > 'it''s done'"), [1, 5, 8, 9]);
    assert_eq!(n("b = '11' OR b LIKE '010%'"), [1, 7]);
    assert_eq!(n("m['a'] = 1"), [1]);
    assert_eq!(n("m IS NULL"), [4, 6]);
    assert_eq!(n("v IS NULL"), [3, 6, 9]);
    assert_eq!(n("v[1] = 8"), [8]);
    assert_eq!(
        api.rows("SELECT e, count(*), max(b) FROM marked_sql GROUP BY e ORDER BY e"),
        [
            [json!(""), json!(1), Value::Null],
            [json!("it's done"), json!(2), json!("11")],
            [json!("new"), json!(4), json!("1001")],
            [Value::Null, json!(2), json!("0".repeat(80))],
        ]
    );
    assert_eq!(
        api.rows("SELECT map_keys(m), map_values(m), cardinality(m), m['a'], m['none'] FROM marked_sql WHERE n = 1"),
        [[json!(["a", "b"]), json!([1, null]), json!(2), json!(1), Value::Null]]
    );
    assert_eq!(
        api.rows(
            "SELECT map_extract(m, 'a'), map_extract(m, 'none'), map_contains(m, 'b') FROM marked_sql WHERE n = 1"
        ),
        [[json!([1]), json!([]), json!(true)]]
    );
    assert_eq!(
        api.rows("SELECT ['new']::ENUM('new')[], typeof(['new']::ENUM('new')[]), TRY_CAST(['old'] AS ENUM('new')[])"),
        [[json!(["new"]), json!("ENUM('new')[]"), Value::Null]]
    );
    assert_eq!(
        api.rows("SELECT DISTINCT e FROM marked_sql ORDER BY 1 DESC NULLS LAST"),
        [[json!("new")], [json!("it's done")], [json!("")], [Value::Null]]
    );
    api.succeed("UPDATE marked_sql SET e = 'new', m = MAP {'u': 1}, v = [3, 2, 1], b = '000' WHERE n = 6");
    let updated = row(6, json!("new"), json!("000"), json!({"u": 1}), json!([3.0, 2.0, 1.0]));
    assert_eq!(api.rows("SELECT * FROM marked_sql WHERE n = 6"), [updated]);
    assert!(api.query_error("UPDATE marked_sql SET e = 'old' WHERE n = 6").contains("'old' to ENUM"));
    api.succeed(
        "MERGE INTO marked_sql t USING (SELECT 6 AS n, '' AS e, MAP {'w': 2} AS m) s ON t.n = s.n
         WHEN MATCHED THEN UPDATE SET e = s.e, m = s.m",
    );
    assert_eq!(api.rows("SELECT e, m FROM marked_sql WHERE n = 6"), [[json!(""), json!({"w": 2})]]);
    api.succeed("ALTER TABLE marked_sql ADD COLUMN state ENUM('on', 'off') DEFAULT 'off'");
    assert_eq!(
        api.rows("SELECT DISTINCT state, typeof(state) FROM marked_sql"),
        [[json!("off"), json!("ENUM('on', 'off')")]]
    );
    assert!(
        api.query_error("ALTER TABLE marked_sql ADD COLUMN x ENUM('on') DEFAULT 'off'").contains("'off' to ENUM('on')")
    );
    api.succeed("CREATE TABLE marked_key (e ENUM('a', 'b') PRIMARY KEY, v INTEGER)");
    api.succeed("INSERT INTO marked_key VALUES ('a', 1), ('b', 2)");
    assert!(api.query_error("INSERT INTO marked_key VALUES ('a', 3)").contains("Constraint Error"));
    let config = json!({"table": "main.marked_key", "mode": "merge", "primary_key": ["e"], "wait": true});
    let merge = json!({"data": [{"e": "b", "v": 5}], "config": config});
    let reply = api.stream(&merge);
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(api.rows("SELECT * FROM marked_key ORDER BY e"), [[json!("a"), json!(1)], [json!("b"), json!(5)]]);
}

#[test]
fn types_that_cannot_be() {
    // Each is refused by name, before anything is made.
    let api = api();
    for (ty, error) in [
        ("ENUM('a', 'a')", "twice"),
        ("MAP(INTEGER[], INTEGER)", "keys of type INTEGER[]"),
        ("MAP(JSON, INTEGER)", "keys of type JSON"),
        ("FLOAT[0]", "between 1 and 100000"),
        ("FLOAT[100001]", "between 1 and 100000"),
    ] {
        let found = api.query_error(&format!("CREATE TABLE marked_none (c {ty})"));
        assert!(found.contains(error), "{ty}: {found}");
    }
    assert!(api.query_error("SELECT * FROM marked_none").contains("does not exist"));
    let many: Vec<String> = (0..65_537).map(|i| format!("'{i}'")).collect();
    let found = api.query_error(&format!("CREATE TABLE marked_none (c ENUM({}))", many.join(",")));
    assert!(found.contains("1 to 65536 values") && found.len() < 1000, "{found}");
    api.succeed(&format!("CREATE TABLE marked_many (c ENUM({}))", many[1..].join(",")));
    let found = api.query_error("INSERT INTO marked_many VALUES ('x')");
    assert!(found.contains("Could not convert string 'x' to ENUM('1', '2'") && found.len() < 1000, "{found}");
    let reply = upload(&api, "marked_many", "&mode=append", "c\nx\n");
    assert!(refusal(&reply).len() < 1000, "{}", reply.text());
    api.append_ok("marked_many", json!({"c": "65536"}).to_string());
    assert_eq!(api.count("marked_many"), 1);
}
