use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef};
use siltstone_storage::{LogicalType, NewColumn, TableId, TableSchema, Value};

use crate::{
    BODY_DEPTH_MAX, BodyError, CaseTwins, Decoded, ErrorCode, Fractions, Framing, Policy, UnknownFields, Warning,
    decode, decode_keyed, members,
};

fn policy() -> Policy {
    Policy {
        fractions: Fractions::Round,
        unknown_fields: UnknownFields::Add,
        case_twins: CaseTwins::Reject,
        nan_tokens: true,
        rows_max: 1_000,
        field_bytes_max: 1_000,
        row_depth_max: 10,
        new_columns_max: 100,
    }
}

fn table(columns: &[(&str, LogicalType)]) -> TableSchema {
    let columns = columns.iter().map(|(name, ty)| NewColumn::new(*name, ty.clone())).collect();
    TableSchema::new(columns, &[]).expect("a valid schema")
}

fn document(body: &str, table: Option<&TableSchema>) -> Decoded {
    decode(body.as_bytes(), Framing::Document, table, &policy()).expect(body)
}

fn refused(body: &[u8], framing: Framing) -> BodyError {
    decode(body, framing, None, &policy()).expect_err("a refusal")
}

fn codes(decoded: &Decoded) -> Vec<(usize, Option<String>, ErrorCode)> {
    decoded.errors.first(usize::MAX).0.into_iter().map(|error| (error.row, error.field, error.code)).collect()
}

fn texts(array: &ArrayRef) -> Vec<Option<&str>> {
    array.as_string_view().iter().collect()
}

fn column<'d>(decoded: &'d Decoded, name: &str, table: Option<&TableSchema>) -> &'d ArrayRef {
    let schema = decoded.schema.as_ref().or(table).expect("a schema");
    let id = schema.column(name).expect(name).id;
    &decoded.columns.iter().find(|(column, _)| *column == id).expect(name).1
}

#[test]
fn one_object_and_many_become_columns() {
    // Proves the plain path: types, missing values, order of columns, both outer forms.
    let table = table(&[("id", LogicalType::BigInt), ("name", LogicalType::Varchar), ("at", LogicalType::Timestamp)]);
    let one = document(r#" {"id": 7, "name": "a rather long name", "at": "2024-01-15T10:30:00Z"} "#, Some(&table));
    assert_eq!((one.rows, one.columns.len(), one.schema.is_none()), (1, 3, true));
    let many = document(r#"[{"id":1},{"name":"x","id":-2},{},{"ID":3,"at":null}]"#, Some(&table));
    assert_eq!(many.rows, 4);
    let ids: Vec<_> = column(&many, "id", Some(&table)).as_primitive::<Int64Type>().iter().collect();
    assert_eq!(ids, [Some(1), Some(-2), None, Some(3)]);
    assert_eq!(texts(column(&many, "name", Some(&table))), [None, Some("x"), None, None]);
    let at = column(&one, "at", Some(&table)).as_primitive::<TimestampMicrosecondType>();
    assert_eq!(at.value(0), 1_705_314_600_000_000);
    assert!(many.errors.is_empty());
    // A column without NULLs carries no bitmap.
    assert!(one.columns.iter().all(|(_, array)| array.nulls().is_none()));
}

#[test]
fn a_column_that_no_row_mentions_is_absent() {
    // Proves that only mentioned columns come back, and that defaults fill what single rows leave out.
    let mut with_default = NewColumn::new("status", LogicalType::Varchar);
    with_default.default = Some(Value::Text("a default beyond twelve bytes".to_owned()));
    let columns =
        vec![NewColumn::new("a", LogicalType::BigInt), NewColumn::new("b", LogicalType::BigInt), with_default];
    let table = TableSchema::new(columns, &[]).expect("a valid schema");
    let decoded = document(r#"[{"a":1},{"status":null},{"status":"x"},{"a":2}]"#, Some(&table));
    assert_eq!(decoded.columns.len(), 2);
    let fill = Some("a default beyond twelve bytes");
    assert_eq!(texts(column(&decoded, "status", Some(&table))), [fill, None, Some("x"), fill]);
}

#[test]
fn sequences_need_no_separator() {
    // Proves that NDJSON reads with newlines, blanks, or nothing between rows, and across lines.
    for body in ["{\"a\":1}\n{\"a\":2}\n", "{\"a\":1}{\"a\":2}", "\u{feff}\r\n{\"a\":\n1}\r\n\r\n {\"a\":2}"] {
        let decoded = decode(body.as_bytes(), Framing::Sequence, None, &policy()).expect(body);
        let values = column(&decoded, "a", None).as_primitive::<Int64Type>().values().to_vec();
        assert_eq!(values, [1, 2], "{body}");
    }
    let mixed = decode(b"{} 5 [1] {}", Framing::Sequence, None, &policy()).expect("values");
    assert_eq!(codes(&mixed), [(1, None, ErrorCode::NotAnObject), (2, None, ErrorCode::NotAnObject)]);
}

#[test]
fn a_body_that_is_not_json_is_refused_where_it_goes_wrong() {
    // Proves offset and record of syntax errors, and that nothing half-read comes back.
    let cases: [(&[u8], usize, usize); 18] = [
        (b"{\"a\":1} x", 8, 1),
        (b"[{\"a\":1},]", 9, 1),
        (b"[{\"a\":1}", 8, 1),
        (b"{\"a\":1,}", 7, 0),
        (b"{\"a\" 1}", 5, 0),
        (b"{\"a\":01}", 7, 0),
        (b"{\"a\":1.}", 7, 0),
        (b"{\"a\":-}", 6, 0),
        (b"{\"a\":1e}", 7, 0),
        (b"{\"a\":+1}", 5, 0),
        (b"{\"a\":.5}", 5, 0),
        (b"{\"a\":\"x\ny\"}", 7, 0),
        (b"{\"a\":\"\\q\"}", 6, 0),
        (b"{\"a\":\"\\ud83d\"}", 6, 0),
        (b"{\"a\":\"\\ude00\"}", 6, 0),
        (b"[{},{\"a\":[1,}]}]", 12, 1),
        (b"[{},{\"a\":\"\xff\"}]", 10, 1),
        (b"{\"a\":tru}", 5, 0),
    ];
    for (body, at, in_record) in cases {
        match refused(body, Framing::Document) {
            BodyError::Syntax { offset, record, .. } => {
                assert_eq!((offset, record), (at, in_record), "{}", body.escape_ascii());
            }
            other => panic!("{}: {other}", body.escape_ascii()),
        }
    }
}

#[test]
fn outer_shapes() {
    // Proves what is empty, what is a shape error, and that an empty array is fine.
    assert_eq!(refused(b" \n", Framing::Document), BodyError::Empty);
    assert_eq!(refused(b"\xEF\xBB\xBF", Framing::Sequence), BodyError::Empty);
    assert_eq!(refused(b"5", Framing::Document), BodyError::Shape { found: "a number" });
    assert_eq!(refused(b"\"x\"", Framing::Document), BodyError::Shape { found: "a string" });
    assert_eq!(document("[]", None).rows, 0);
    assert!(document("{}", None).schema.is_none());
}

#[test]
fn the_last_of_equal_keys_wins_and_takes_its_faults_along() {
    // Proves that a repeated key overwrites value, fault and rounding alike, for old and new columns.
    let table = table(&[("n", LogicalType::BigInt)]);
    let decoded = document(r#"[{"n":"x","n":1},{"n":2.5,"n":3},{"n":1,"n":"x"},{"f":true,"f":"t"}]"#, Some(&table));
    assert_eq!(codes(&decoded), [(2, Some("n".to_owned()), ErrorCode::InvalidCast)]);
    let values: Vec<_> = column(&decoded, "n", Some(&table)).as_primitive::<Int64Type>().iter().collect();
    assert_eq!(values, [Some(1), Some(3), None, None]);
    assert_eq!(texts(column(&decoded, "f", None)), [None, None, None, Some("t")]);
    assert!(decoded.warnings.iter().all(|warning| matches!(warning, Warning::ColumnAdded { .. })));
}

#[test]
fn case_twins_follow_the_policy() {
    // Proves AmbiguousField under Reject and last-wins otherwise, for columns old and new.
    let table = table(&[("id", LogicalType::BigInt)]);
    let body = r#"[{"id":1,"ID":2},{"Id":3,"\u0049d":4},{"new":1,"NEW":2}]"#;
    let strict = document(body, Some(&table));
    assert_eq!(
        codes(&strict),
        [(0, Some("id".to_owned()), ErrorCode::AmbiguousField), (2, Some("new".to_owned()), ErrorCode::AmbiguousField)]
    );
    let lax = Policy { case_twins: CaseTwins::LastWins, ..policy() };
    let lax = decode(body.as_bytes(), Framing::Document, Some(&table), &lax).expect(body);
    assert!(lax.errors.is_empty());
    let values: Vec<_> = column(&lax, "id", Some(&table)).as_primitive::<Int64Type>().iter().collect();
    assert_eq!(values, [Some(2), Some(4), None]);
}

#[test]
fn rejected_rows_leave_the_batch_and_add_no_column() {
    // Proves the filter, the totals, and that inference looks at accepted rows only.
    let table = table(&[("n", LogicalType::Double)]);
    let decoded = document(r#"[{"n":1,"x":1},{"n":"abc","x":"text","y":1},7,{"n":2}]"#, Some(&table));
    let (errors, total) = decoded.errors.first(1);
    assert_eq!(total, 2);
    assert_eq!(errors[0].message, "cannot convert string 'abc' to DOUBLE");
    assert_eq!(errors[0].value.as_deref(), Some("abc"));
    let schema = decoded.schema.as_ref().expect("a column was added");
    assert_eq!(schema.columns().len(), 2);
    assert_eq!(schema.column("x").expect("x").logical_type, LogicalType::BigInt);
    let batch = decoded.batch(TableId(1)).expect("rows");
    assert_eq!(batch.rows(), 2);
    let kept = batch.columns()[0].1.as_primitive::<Float64Type>().values().to_vec();
    assert_eq!(kept, [1.0, 2.0]);
    assert!(document(r#"[{"n":"x"}]"#, Some(&table)).batch(TableId(1)).is_none());
}

#[test]
fn limits_hold_exactly() {
    // Proves every limit at its value and one past it.
    let body = |rows: usize| format!("[{}]", vec!["{}"; rows].join(","));
    assert_eq!(document(&body(1_000), None).rows, 1_000);
    assert_eq!(refused(body(1_001).as_bytes(), Framing::Document), BodyError::Rows { limit: 1_000 });

    let table = table(&[("t", LogicalType::Varchar)]);
    let nested = |depth: usize| format!("{{\"t\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    assert!(document(&nested(10), Some(&table)).errors.is_empty());
    assert_eq!(codes(&document(&nested(11), Some(&table)))[0].2, ErrorCode::NestingTooDeep);
    assert_eq!(codes(&document(&nested(BODY_DEPTH_MAX), None))[0].2, ErrorCode::NestingTooDeep);
    assert_eq!(refused(nested(BODY_DEPTH_MAX + 1).as_bytes(), Framing::Document), BodyError::Depth { offset: 132 });

    let fields = [
        |n: usize| format!("\"{}\"", "é".repeat(n / 2)),
        |n: usize| format!("\"{}\"", "\\n".repeat(n)),
        |n: usize| "1".repeat(n),
        |n: usize| format!("[ \"{}\" ]", "x".repeat(n - 4)),
    ];
    for field in fields {
        for (bytes, fits) in [(1_000, true), (1_002, false)] {
            let decoded = document(&format!("{{\"t\":{}}}", field(bytes)), Some(&table));
            assert_eq!(decoded.errors.is_empty(), fits, "{}", field(bytes));
        }
    }

    let columns = |count: usize| {
        let members: Vec<_> = (0..count).map(|i| format!("\"c{i}\":1")).collect();
        format!("[{{\"t\":null,\"only_null\":null}},{{{}}},{{\"t\":\"x\"}}]", members.join(","))
    };
    assert!(document(&columns(100), Some(&table)).errors.is_empty());
    let over = document(&columns(101), Some(&table));
    assert_eq!(codes(&over), [(1, Some("c100".to_owned()), ErrorCode::TooManyColumns)]);
    assert!(over.schema.is_none());
}

#[test]
fn names_that_no_column_can_have() {
    // Proves InvalidFieldName for empty, NUL and overlong names, and that 255 characters pass.
    let name = "ü".repeat(255);
    assert!(document(&format!("{{\"{name}\":1}}"), None).errors.is_empty());
    for bad in ["", "a\\u0000", &format!("{name}x")] {
        let decoded = document(&format!("{{\"{bad}\":1,\"ok\":2}}"), None);
        assert_eq!(codes(&decoded)[0].2, ErrorCode::InvalidFieldName, "{bad}");
        assert!(decoded.schema.is_none());
    }
}

#[test]
fn unknown_fields_follow_the_policy() {
    // Proves Ignore (a warning) and Reject (a row error).
    let table = table(&[("a", LogicalType::BigInt)]);
    let body = r#"[{"a":1,"x":{"y":1}},{"a":2}]"#;
    let run = |unknown_fields| {
        decode(body.as_bytes(), Framing::Document, Some(&table), &Policy { unknown_fields, ..policy() }).expect(body)
    };
    let ignored = run(UnknownFields::Ignore);
    assert!(ignored.errors.is_empty() && ignored.schema.is_none());
    assert_eq!(ignored.warnings, [Warning::FieldIgnored { field: "x".to_owned() }]);
    let rejected = run(UnknownFields::Reject);
    assert_eq!(codes(&rejected), [(0, Some("x".to_owned()), ErrorCode::UnknownField)]);
    assert!(rejected.warnings.is_empty());
}

#[test]
fn not_null_columns_refuse_absence_and_null() {
    // Proves NotNullViolation in both forms, and that a default answers absence but not null.
    let mut required = NewColumn::new("r", LogicalType::BigInt);
    required.nullable = false;
    let mut defaulted = NewColumn::new("d", LogicalType::BigInt);
    (defaulted.nullable, defaulted.default) = (false, Some(Value::Int(5)));
    let table = TableSchema::new(vec![required, defaulted], &[]).expect("a valid schema");
    let decoded = document(r#"[{"r":1},{},{"r":null},{"r":1,"d":null},9]"#, Some(&table));
    let r = || Some("r".to_owned());
    assert_eq!(
        codes(&decoded),
        [
            (1, r(), ErrorCode::NotNullViolation),
            (2, r(), ErrorCode::NotNullViolation),
            (3, Some("d".to_owned()), ErrorCode::NotNullViolation),
            (4, None, ErrorCode::NotAnObject)
        ]
    );
    let batch = decoded.batch(TableId(1)).expect("rows");
    assert_eq!(batch.columns()[1].1.as_primitive::<Int64Type>().values().to_vec(), [5]);
}

#[test]
fn roundings_are_counted_in_accepted_rows() {
    // Proves the warning's count, and the reject knob.
    let table = table(&[("n", LogicalType::Integer), ("m", LogicalType::Integer)]);
    let body = r#"[{"n":2.5},{"n":-2.5},{"n":1.5,"m":"x"},{"n":3.0}]"#;
    let decoded = document(body, Some(&table));
    assert_eq!(decoded.warnings, [Warning::Rounded { column: "n".to_owned(), values: 2 }]);
    let strict = Policy { fractions: Fractions::Reject, ..policy() };
    let strict = decode(body.as_bytes(), Framing::Document, Some(&table), &strict).expect(body);
    assert_eq!(strict.errors.rejected().iter().collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn arrays_are_valid_arrow() {
    // Proves with Arrow's own full check that every type's array is well-formed, nested ones too.
    let structure = LogicalType::Struct(vec![
        ("x".to_owned(), LogicalType::BigInt),
        ("tags".to_owned(), LogicalType::List(Box::new(LogicalType::Varchar))),
    ]);
    let table = table(&[
        ("b", LogicalType::Boolean),
        ("u", LogicalType::Uuid),
        ("j", LogicalType::Json),
        ("raw", LogicalType::Blob),
        ("d", LogicalType::Decimal { precision: 10, scale: 2 }),
        ("s", LogicalType::List(Box::new(structure))),
        ("e", LogicalType::Struct(Vec::new())),
    ]);
    let body = r#"[{"b":true,"u":"A0EEBC999C0B4EF8BB6D6BB9BD380A11","j":{"a": [1, 2.50]},"raw":"\\x00ff","d":1.005,
        "s":[{"X":1,"x":2,"tags":["one","a longer one here"],"extra":0},null,{"tags":null}],"e":{}},{},{"s":[]},
        {"s":[{"x":1},{"x":"bad"}]},{"s":"[{\"x\": 9}]","b":null}]"#;
    let decoded = document(body, Some(&table));
    for ((_, array), column) in decoded.columns.iter().zip(table.columns()) {
        array.to_data().validate_full().expect("valid");
        assert_eq!(array.data_type(), &column.logical_type.arrow());
    }
    assert_eq!(codes(&decoded), [(3, Some("s".to_owned()), ErrorCode::InvalidCast)]);
    assert_eq!(decoded.warnings, [Warning::FieldIgnored { field: "s.extra".to_owned() }]);
    assert_eq!(texts(column(&decoded, "j", Some(&table)))[0], Some(r#"{"a":[1,2.50]}"#));
    let lists = column(&decoded, "s", Some(&table)).as_list::<i32>();
    assert_eq!(lists.value_offsets(), [0, 3, 3, 3, 3, 4]);
    assert!(lists.is_null(1) && lists.is_valid(2) && lists.is_null(3));
    let x: Vec<_> = lists.values().as_struct().column(0).as_primitive::<Int64Type>().iter().collect();
    assert_eq!(x, [Some(2), None, None, Some(9)]);
}

#[test]
fn members_are_split_and_no_more() {
    // Proves keys, raw values and refusals of the envelope splitter.
    let body = br#" {"data" : [{"a":"]}\""}, 1 ] , "\u0063onfig":{"t":null},"n": -1.5e3 ,"s":"x"} "#;
    let split = members(body).expect("an envelope");
    let pairs: Vec<_> = split.iter().map(|member| (member.key.as_str(), member.value)).collect();
    assert_eq!(
        pairs,
        [
            ("data", br#"[{"a":"]}\""}, 1 ]"#.as_slice()),
            ("config", br#"{"t":null}"#),
            ("n", b"-1.5e3"),
            ("s", b"\"x\"")
        ]
    );
    assert_eq!(members(b"{}").expect("empty"), []);
    assert_eq!(members(b"[1]"), Err(BodyError::Shape { found: "an array" }));
    assert_eq!(members(b" "), Err(BodyError::Empty));
    for bad in ["{", "{\"a\":[", "{\"a\":1,}", "{\"a\":1} 2", "{\"a\":\"\\", "{\"a\":x}", "{,}", "{\"a\":1 \"b\":2}"] {
        assert!(matches!(members(bad.as_bytes()), Err(BodyError::Syntax { .. })), "{bad}");
    }
}

#[test]
fn field_order_may_change_at_will() {
    // Proves that guessing the next key never puts a value into the wrong column.
    let names = ["a", "ab", "abc", "b", "weird \"q\"", "ü"];
    let table = table(&names.map(|name| (name, LogicalType::BigInt)));
    let mut body = String::from("[");
    let mut expected = vec![Vec::new(); names.len()];
    for row in 0..200usize {
        let picked: Vec<_> = (0..names.len()).filter(|i| (row >> i) % 3 != 1).map(|i| (i * 5 + row) % 6).collect();
        let member = |i: &usize| format!("{}:{row}", serde_json::to_string(names[*i]).expect("a name"));
        body += &format!("{{{}}},", picked.iter().map(member).collect::<Vec<_>>().join(","));
        for (i, expected) in expected.iter_mut().enumerate() {
            expected.push(picked.contains(&i).then_some(row as i64));
        }
    }
    body.pop();
    let decoded = document(&(body + "]"), Some(&table));
    for (name, expected) in names.iter().zip(&expected) {
        let values: Vec<_> = column(&decoded, name, Some(&table)).as_primitive::<Int64Type>().iter().collect();
        assert_eq!(&values, expected, "{name}");
    }
}

#[test]
fn hostile_bodies_cost_no_more_than_their_size() {
    // Proves that repetition (of keys, of bad names, of unknown names) is linear work: a quadratic path would take hours.
    let table = table(&[("n", LogicalType::BigInt)]);
    let generous = Policy { field_bytes_max: 1 << 24, rows_max: 1 << 20, ..policy() };
    let run = |body: String| decode(body.as_bytes(), Framing::Sequence, Some(&table), &generous).expect("JSON");

    let bad_and_good = run(format!("{{{}\"n\":1}}", "\"n\":\"x\",\"n\":1.5,".repeat(200_000)));
    assert!(bad_and_good.errors.is_empty() && bad_and_good.warnings.is_empty());

    let empty_names = run(format!("{{{}\"n\":1}}", "\"\":1,".repeat(500_000)));
    assert_eq!(empty_names.errors.rejected_rows(), 1);
    assert!(empty_names.errors.first(usize::MAX).1 <= 1_000);

    let names: Vec<_> = (0..100_000).map(|i| format!("{{\"u{i}\":null}}")).collect();
    let unknown = run(names.concat());
    assert_eq!((unknown.rows, unknown.errors.rejected_rows()), (100_000, 100_000 - 16_384));
    assert!(unknown.errors.first(usize::MAX).0.iter().all(|error| error.code == ErrorCode::TooManyColumns));

    let digits = "9".repeat(1 << 20);
    let long_number = run(format!("{{\"n\":{digits}}}{{\"n\":0.{digits}e-{digits}}}"));
    assert_eq!(codes(&long_number), [(0, Some("n".to_owned()), ErrorCode::OutOfRange)]);

    assert!(matches!(refused("[".repeat(1 << 20).as_bytes(), Framing::Document), BodyError::Depth { offset: 128 }));
    let many = format!("{{{}\"a\":1}}", "\"a\":1,".repeat(1 << 20));
    assert!(matches!(members(many.as_bytes()), Err(BodyError::Syntax { .. })));
}

#[test]
fn key_columns_hold_the_keys_of_refused_rows_too() {
    // Proves that a key is there whenever it can be used, and NULL when not: also for a column with a default that no default stands in.
    let mut id = NewColumn::new("id", LogicalType::BigInt);
    id.default = Some(Value::Int(5));
    let table = TableSchema::new(vec![id, NewColumn::new("v", LogicalType::BigInt)], &[]).expect("a valid schema");
    let key = [table.column("id").expect("id").id];
    let body =
        br#"[{"v":1},{"id":1},{"id":2,"v":"x"},7,{"ID":3,"id":4},{"id":null},{"id":"x"},{"id":"6","id":"7"},{}]"#;
    let decoded = decode_keyed(body, Framing::Document, &table, &key, &policy()).expect("rows");
    let ids: Vec<_> = column(&decoded, "id", Some(&table)).as_primitive::<Int64Type>().iter().collect();
    assert_eq!(ids, [None, Some(1), Some(2), None, None, None, None, Some(7), None]);
    let field = |name: &str| Some(name.to_owned());
    assert_eq!(
        codes(&decoded),
        [
            (0, field("id"), ErrorCode::NullPrimaryKey),
            (2, field("v"), ErrorCode::InvalidCast),
            (3, None, ErrorCode::NotAnObject),
            (4, field("id"), ErrorCode::AmbiguousField),
            (5, field("id"), ErrorCode::NullPrimaryKey),
            (6, field("id"), ErrorCode::InvalidCast),
            (8, field("id"), ErrorCode::NullPrimaryKey),
        ]
    );
}
