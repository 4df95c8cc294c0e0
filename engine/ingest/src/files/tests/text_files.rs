use super::*;
use crate::files::json::pieces::Pieces;

#[test]
fn formats_are_told_by_their_first_bytes() {
    // Contract 6.6: magic, then the first byte that is not blank.
    let sniffed = |bytes: &'static [u8]| DataFile::new(Arc::new(bytes.to_vec()), None).map(|file| file.format());
    assert_eq!(sniffed(b"PAR1rest").expect("a format"), FileFormat::Parquet);
    for json in [&b"{}"[..], b" \n\t[", b"\xEF\xBB\xBF {"] {
        assert_eq!(sniffed(json).expect("a format"), FileFormat::Json);
    }
    for csv in [&b"a,b\n"[..], b" PAR1", b"\xEF\xBB\xBFa"] {
        assert_eq!(sniffed(csv).expect("a format"), FileFormat::Csv);
    }
    for blank in [&b""[..], b" \r\n", b"\xEF\xBB\xBF\n"] {
        assert_eq!(sniffed(blank).expect_err("nothing").to_string(), "the file is empty");
    }
    let declared = DataFile::new(Arc::new(b"a,b\n".to_vec()), Some(FileFormat::Json));
    assert_eq!(
        declared.expect_err("a contradiction").to_string(),
        "the file was declared as JSON, and its contents look like CSV"
    );
}

#[test]
fn csv_columns_get_the_first_type_that_all_values_fit() {
    // Contract 6.7: all rows count, empty values fit everything, leading zeros are text.
    let cases = [
        ("true\nFALSE\n", "BOOLEAN"),
        ("1\n-2\n9223372036854775807\n", "BIGINT"),
        ("1\n2.5\n-1e3\n", "DOUBLE"),
        ("9223372036854775808\n", "DOUBLE"),
        ("007\n1\n", "VARCHAR"),
        ("0\n0.5\n", "DOUBLE"),
        ("1\n 2\n", "VARCHAR"),
        ("+1\n", "VARCHAR"),
        ("2024-01-15\n2024-02-29\n", "DATE"),
        ("2024-02-30\n", "VARCHAR"),
        ("2024-01-15 12:00\n2024-01-15T12:00:01.5\n2024-01-16\n", "TIMESTAMP"),
        ("2024-01-15T12:00:00Z\n2024-01-15 12:00:00+02:00\n", "TIMESTAMP WITH TIME ZONE"),
        ("2024-01-15T12:00:00Z\n2024-01-15T12:00:00\n", "VARCHAR"),
        ("true\n1\n", "VARCHAR"),
        ("1e999\n", "VARCHAR"),
        ("\"\"\n", "VARCHAR"),
        ("", "VARCHAR"),
    ];
    for (values, expected) in cases {
        let found = types(&file(format!("k,v\n{}", values.lines().map(|v| format!("x,{v}\n")).collect::<String>())));
        assert_eq!(found[1], ("v".to_owned(), expected.to_owned()), "{values:?}");
    }
}

#[test]
fn csv_rows_come_as_they_were_written() {
    // RFC 4180 quoting, either line end, a byte order mark, other separators; empty fields are NULL, quoted or not.
    let plain = file("\u{feff}a,b\r\n1,\"x, \"\"y\"\"\r\nz\"\r\n,\"\"\r\n");
    assert_eq!(as_new(&plain), [["1", "x, \"y\"\r\nz"], ["-", "-"]]);
    for separator in [";", "\t", "|"] {
        let found = as_new(&file(format!("a{separator}b\n1{separator}x,y\n")));
        assert_eq!(found, [["1", "x,y"]], "{separator:?}");
    }
    assert_eq!(as_new(&file("a;b,c\n1;2,3\n")), [["1;2", "3"]], "a comma in the header decides");
    assert!(as_new(&file("a,b\n")).is_empty(), "a header alone is no rows");
    assert_eq!(
        as_new(&file("a\n1\n\n2")),
        [["1"], ["2"]],
        "blank lines are no rows, and the last line end is optional"
    );
}

#[test]
fn csv_faults_name_their_line() {
    // Short and long rows, values that do not fit, text that is not UTF-8, a quote left open, a column twice or unknown.
    let table = schema(&[("a", LogicalType::BigInt), ("b", LogicalType::Varchar)]);
    let cases: [(&[u8], &str); 8] = [
        (b"a,b\n1,x\n2\n", "line 3: expected 2 fields as in the header, found 1"),
        (b"a,b\n1,x,y\n", "line 2: expected 2 fields as in the header, found 3"),
        (b"b,a\n\"x\ny\",1\nz,q\n", "line 4, column \"a\": cannot convert string 'q' to BIGINT"),
        (b"a,b\n1.5,x\n", "line 2, column \"a\": cannot convert string '1.5' to BIGINT"),
        (b"a,b\n1,\xff\n", "line 2: invalid UTF-8"),
        (b"a,b\n1,\"x\n2,y\n", "the file ends inside a quoted field"),
        (b"a,A\n1,2\n", "column \"A\" is in the file twice"),
        (b"a,c\n1,2\n", "the table has no column \"c\""),
    ];
    for (bytes, expected) in cases {
        assert_eq!(into(&file(bytes.to_vec()), &table), Err(expected.to_owned()));
    }
    assert_eq!(
        into(&file("B,A\nx,1\n"), &table),
        Ok(vec![vec!["1".to_owned(), "x".to_owned()]]),
        "by name, in any case"
    );
}

#[test]
fn columns_that_must_be_there_are_asked_for() {
    // A NOT NULL column without default has a value in every row, or the file is refused.
    let mut column = NewColumn::new("a", LogicalType::BigInt);
    column.nullable = false;
    let table = TableSchema::new(vec![column, NewColumn::new("b", LogicalType::BigInt)], &[]).expect("a schema");
    let missing = "column \"a\" does not allow NULL and is not in the file";
    assert_eq!(into(&file("b\n1\n"), &table), Err(missing.to_owned()));
    let null = "row 1, column \"a\": the column does not allow NULL";
    assert_eq!(into(&file("a,b\n1,1\n,2\n"), &table), Err(null.to_owned()));
    assert!(into(&file("{\"b\":1}"), &table).is_err());
}

#[test]
fn json_columns_are_typed_by_all_rows() {
    // Contract 5.5 over the whole file; fields that are never anything but null make no column.
    let found = types(&file("[{\"a\":1,\"b\":null},\n{\"a\":2.5,\"c\":[1],\"d\":\"x\"},{\"d\":1}]"));
    let expected = [("a", "DOUBLE"), ("c", "JSON"), ("d", "VARCHAR")];
    assert_eq!(found, expected.map(|(name, ty)| (name.to_owned(), ty.to_owned())));
    assert_eq!(as_new(&file("{\"a\":1,\"b\":null}\n{\"a\":2}")), [["1"], ["2"]]);
    assert_eq!(types(&file("{\"a\":null}")), [("a".to_owned(), "VARCHAR".to_owned())]);
    assert!(types(&file("[]")).is_empty());
    let table = schema(&[("a", LogicalType::BigInt), ("b", LogicalType::Varchar)]);
    let survey = file("{\"B\":1}{\"B\":2}").survey(Wanted::Names(&table)).expect("a survey");
    assert_eq!(survey.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["b"]);
}

#[test]
fn json_faults_name_their_row_and_place() {
    // Rows count from 0 through the file, bytes from its start.
    let table = schema(&[("a", LogicalType::BigInt)]);
    let cases = [
        ("{\"a\":1}\n{\"a\":\"x\"}", "row 1, column \"a\": cannot convert string 'x' to BIGINT"),
        ("[{\"a\":1},{\"z\":1}]", "row 1, column \"z\": the table has no such column"),
        ("[{\"a\":1},", "invalid JSON at byte 9"),
        ("[{\"a\":1}] x", "invalid JSON at byte 10: expected nothing more after the array"),
        ("[{\"a\":1},]", "invalid JSON at byte 9"),
        ("[1]", "row 0: expected an object, found a number"),
        ("{\"a\":1} 5", "row 1: expected an object, found a number"),
        ("{\"a\":", "invalid JSON at byte 5"),
    ];
    for (text, expected) in cases {
        let found = into(&file(text), &table).expect_err(text);
        assert!(found.starts_with(expected), "{text}: {found}");
    }
}

#[test]
fn pieces_say_what_the_whole_file_says() {
    // Cut at every size, a file gives the rows that it gives in one piece, or is refused as it is in one piece.
    let documents = [
        r#"[{"a":1},{"a":"]}\"["} , {"a":[1,{"b":"}"}]},{"a":2}] "#,
        "[{\"a\":1}\n,{\"a\":2}\n]\n",
        "[]",
        "[ ]",
        r#"[{"a":1},{"a":2},]"#,
        r#"[{"a":1}{"a":2}]"#,
        r#"[{"a":1},,{"a":2}]"#,
        r#"[{"a":1},{"a":2}"#,
        r#"[{"a":1},{"a":2}]]"#,
        r#"[,{"a":1}]"#,
        "{\"a\":1}{\"a\":2}\n\n{\"a\":{\"b\":[]}}",
        "{\"a\":1},{\"a\":2}",
        "{\"a\":1}}",
        "{\"a\":\"\u{e9}\\\\\"} {\"a\":\"\\\"\"}",
    ];
    let table = schema(&[("a", LogicalType::Json)]);
    let policy = policy(UnknownFields::Reject);
    for document in documents {
        let framing = if document.starts_with('[') { crate::Framing::Document } else { crate::Framing::Sequence };
        let whole = crate::decode(document.as_bytes(), framing, Some(&table), &policy);
        let whole = whole.ok().filter(|decoded| decoded.errors.is_empty()).map(|decoded| decoded.rows);
        let bytes: Arc<dyn FileBytes> = Arc::new(document.as_bytes().to_vec());
        for size in 1..=document.len() {
            let mut pieces = Pieces::of_size(&bytes, size);
            let mut rows = Some(0);
            let cut = loop {
                match pieces.next() {
                    Ok(None) => break rows,
                    Err(_) => break None,
                    Ok(Some(piece)) => {
                        let decoded = crate::decode(&piece.text, piece.framing, Some(&table), &policy);
                        let good = decoded.ok().filter(|decoded| decoded.errors.is_empty());
                        rows = rows.zip(good).map(|(rows, decoded)| rows + decoded.rows);
                    }
                }
            };
            assert_eq!(cut, whole, "{document} in pieces of {size}");
        }
    }
}

fn csv(text: &str, form: CsvForm) -> DataFile {
    DataFile::of_format(Arc::new(text.as_bytes().to_vec()), FileFormat::Csv, form).expect("not empty")
}

#[test]
fn a_csv_file_is_read_in_the_form_that_is_said() {
    // Header said or found out, names given, delimiter and quote; the format is not looked for.
    let names = |text: &str, form: CsvForm| {
        types(&csv(text, form)).into_iter().map(|(name, ty)| format!("{name} {ty}")).collect::<Vec<_>>().join(", ")
    };
    let headed = |header| CsvForm { header, ..CsvForm::default() };
    assert_eq!(names("a,b\n1,2\n", headed(CsvHeader::Detected)), "a BIGINT, b BIGINT");
    assert_eq!(names("1,b\n1,2\n", headed(CsvHeader::Detected)), "column0 BIGINT, column1 VARCHAR");
    assert_eq!(names("a,b\n1,2\n", headed(CsvHeader::Absent)), "column0 VARCHAR, column1 VARCHAR");
    assert_eq!(names("1,2\n3,4\n", headed(CsvHeader::Present)), "1 BIGINT, 2 BIGINT");
    let eleven = "1,2,3,4,5,6,7,8,9,10,11\n";
    assert!(names(eleven, headed(CsvHeader::Absent)).starts_with("column00 BIGINT, column01 BIGINT"));
    let named = |header| {
        let names = Some(vec!["X".to_owned(), "y".to_owned()]);
        CsvForm { header, names, ..CsvForm::default() }
    };
    assert_eq!(as_new(&csv("x,Y\na,b\n", named(CsvHeader::Detected))), [["a", "b"]]);
    assert_eq!(as_new(&csv("x,z\na,b\n", named(CsvHeader::Detected))), [["x", "z"], ["a", "b"]]);
    assert_eq!(as_new(&csv("x,z\na,b\n", named(CsvHeader::Present))), [["a", "b"]]);
    let wrong = csv("a\n", named(CsvHeader::Present)).survey(Wanted::Types).expect_err("one column");
    assert_eq!(wrong.to_string(), "2 columns were named, and the first line has 1");
    let form = CsvForm { delimiter: Some(b':'), quote: b'\'', ..CsvForm::default() };
    assert_eq!(as_new(&csv("a:b\n'x:y':1,5\n", form)), [["x:y", "1,5"]]);
    assert_eq!(names("[1],{2}\n", headed(CsvHeader::Absent)), "column0 VARCHAR, column1 VARCHAR");
}

#[test]
fn a_quote_within_a_field_is_part_of_it() {
    // Only one at the start of a field opens it, also at the end of the file; one that stays open is a fault.
    assert_eq!(as_new(&file("a,b\n1,5\" pipe")), [["1", "5\" pipe"]]);
    assert_eq!(as_new(&file("a,b\n1,\"5\"\" pipe\"")), [["1", "5\" pipe"]]);
    for open in ["a,b\n1,\"5", "a,b\n1,\"5\"\"", "a\n\"x\n"] {
        let error = file(open).survey(Wanted::Types).expect_err("cut off");
        assert_eq!(error.to_string(), "the file ends inside a quoted field", "{open}");
    }
}

#[test]
fn only_wanted_columns_are_read() {
    // In whatever order the table has them; a column that the file lacks is not there, one that the table lacks is left out.
    let table = schema(&[("c", LogicalType::BigInt), ("a", LogicalType::Varchar), ("z", LogicalType::Double)]);
    let rows = |text: &str| {
        let file = file(text);
        texts(file.wanted_rows(&table).expect("rows"), &table).expect("good rows")
    };
    assert_eq!(rows("a,b,C\nx,oops,3\n"), [["3", "x", "-"]]);
    assert_eq!(rows("[{\"a\": \"x\", \"b\": {}, \"c\": 3}, {\"b\": 1}]"), [["3", "x", "-"], ["-", "-", "-"]]);
}

#[test]
fn columns_of_several_files_have_a_type_for_all_values() {
    // Whatever the order of the files; a column without values has no say.
    let together = |format: FileFormat, texts: &[&str]| {
        let surveys = texts.iter().map(|text| file(*text).survey(Wanted::Types).expect("a survey"));
        let joined = surveys.reduce(|mut all, next| {
            all.join(format, next).expect("few columns");
            all
        });
        let columns = joined.expect("files").columns;
        columns.iter().map(|column| format!("{} {}", column.name, column.logical_type)).collect::<Vec<_>>().join(", ")
    };
    for (values, expected) in [
        (["1", "2.5"], "DOUBLE"),
        (["1", ""], "BIGINT"),
        (["", ""], "VARCHAR"),
        (["1", "x"], "VARCHAR"),
        (["true", "1"], "VARCHAR"),
        (["2024-01-15", "2024-01-15 12:00:00"], "TIMESTAMP"),
        (["2024-01-15 12:00:00", "2024-01-15T12:00:00Z"], "TIMESTAMP WITH TIME ZONE"),
    ] {
        let files = values.map(|value| format!("a,b\n{value},x\n"));
        let found =
            [together(FileFormat::Csv, &[&files[0], &files[1]]), together(FileFormat::Csv, &[&files[1], &files[0]])];
        assert_eq!(found, [format!("a {expected}, b VARCHAR"), format!("a {expected}, b VARCHAR")], "{values:?}");
    }
    let json = ["[{\"a\": 1, \"b\": 1}]", "[{\"A\": {}, \"c\": 99999999999999999999}, {\"b\": 0.5}]"];
    assert_eq!(together(FileFormat::Json, &json), "a JSON, b DOUBLE, c DECIMAL(38,0)");
}
