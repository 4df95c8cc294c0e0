//! Files in SQL, on the real server: what `read_…` and COPY do with the files of `query.files_folder`, and what they may not touch.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, StringArray};
use serde_json::{Value, json};
use siltstone_tests::{Api, DataDir, Server};

use crate::launch;
use crate::upload::parquet;

/// A server with a folder of files beside its data.
struct Place {
    server: Server,
    folder: PathBuf,
}

impl Place {
    fn new() -> Self {
        let data = DataDir::fresh();
        let folder = data.beside("files");
        std::fs::create_dir(&folder).expect("a folder");
        let server = Server::start(launch().data(&data).arg("--query-files-folder").arg(folder.as_os_str()));
        Self { server, folder }
    }

    fn api(&self) -> Api {
        self.server.api()
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.folder.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, bytes).expect("a file");
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name)).expect("a file of text")
    }

    /// Names of what is in the folder.
    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.folder).expect("a folder");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

fn types(api: &Api, sql: &str) -> Vec<(String, String)> {
    api.succeed(sql).columns
}

fn columns(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, ty)| ((*name).to_owned(), (*ty).to_owned())).collect()
}

#[test]
fn csv_is_read_with_the_types_of_its_values() {
    // Types as /upload finds them, header and delimiter found out or said, names and types given, quotes, NULLs.
    let place = Place::new();
    let api = place.api();
    place.put("a.csv", "id,name,at,ok\n1,\"x, y\",2024-01-15 12:00:00,true\n2,,2024-01-16 00:00:00,false\n");
    let read = "SELECT * FROM read_csv('a.csv') ORDER BY id";
    assert_eq!(
        types(&api, read),
        columns(&[("id", "BIGINT"), ("name", "VARCHAR"), ("at", "TIMESTAMP"), ("ok", "BOOLEAN")])
    );
    assert_eq!(
        api.rows(read),
        [
            [json!(1), json!("x, y"), json!("2024-01-15T12:00:00"), json!(true)],
            [json!(2), Value::Null, json!("2024-01-16T00:00:00"), json!(false)]
        ]
    );
    assert_eq!(api.rows("SELECT count(*) FROM 'a.csv'"), [[json!(2)]]);
    assert_eq!(api.rows("SELECT name FROM read_csv_auto('a.csv') WHERE id = 1"), [[json!("x, y")]]);
    place.put("b.txt", "1;2\n3;4\n");
    assert_eq!(types(&api, "FROM read_csv('b.txt')"), columns(&[("column0", "BIGINT"), ("column1", "BIGINT")]));
    assert_eq!(api.rows("SELECT * FROM read_csv('b.txt') ORDER BY 1"), [[json!(1), json!(2)], [json!(3), json!(4)]]);
    assert_eq!(api.rows("FROM read_csv('b.txt', header = true)"), [[json!(3), json!(4)]]);
    assert_eq!(api.rows("FROM read_csv('b.txt', header = true, delim = ',')"), [[json!("3;4")]]);
    let given = "FROM read_csv('b.txt', columns = {'a': 'VARCHAR', 'b': 'DOUBLE'}) ORDER BY a";
    assert_eq!(types(&api, given), columns(&[("a", "VARCHAR"), ("b", "DOUBLE")]));
    assert_eq!(api.rows(given), [[json!("1"), json!(2.0)], [json!("3"), json!(4.0)]]);
    let all_text = types(&api, "FROM read_csv('b.txt', all_varchar = true)");
    assert_eq!(all_text, columns(&[("column0", "VARCHAR"), ("column1", "VARCHAR")]));
    place.put("quotes.csv", "a|b\n'x|y'|5\" pipe\n");
    assert_eq!(api.rows("FROM read_csv('quotes.csv', quote = '''')"), [[json!("x|y"), json!("5\" pipe")]]);
    place.put("cut.csv", "a,b\n1,2\" inch");
    assert_eq!(api.rows("FROM 'cut.csv'"), [[json!(1), json!("2\" inch")]]);
}

#[test]
fn parquet_and_json_are_read_as_uploads_are() {
    // Declared types, inferred types, arrays and lines.
    let place = Place::new();
    let api = place.api();
    let ids = Arc::new(Int32Array::from(vec![Some(1), None])) as ArrayRef;
    let names = Arc::new(StringArray::from(vec!["x", "y"])) as ArrayRef;
    place.put("a.parquet", parquet(vec![("id", ids), ("Name", names)]));
    let read = "SELECT * FROM read_parquet('a.parquet') ORDER BY name";
    assert_eq!(types(&api, read), columns(&[("id", "INTEGER"), ("Name", "VARCHAR")]));
    assert_eq!(api.rows(read), [[json!(1), json!("x")], [Value::Null, json!("y")]]);
    assert_eq!(api.rows("SELECT count(*) FROM 'a.parquet'"), [[json!(2)]]);
    place.put("a.json", "[{\"a\": 1, \"b\": {\"c\": [1]}}, {\"b\": null, \"d\": \"x\"}]");
    place.put("a.ndjson", "{\"a\": 1.5}\n{\"a\": 2}\n");
    let read = "SELECT a, b->'$.c' AS c, d FROM read_json('a.json') ORDER BY a";
    assert_eq!(api.rows(read), [[json!(1), json!([1]), Value::Null], [Value::Null, Value::Null, json!("x")]]);
    assert_eq!(api.rows("SELECT sum(a) FROM read_ndjson('a.ndjson')"), [[json!(3.5)]]);
    assert_eq!(
        api.rows("SELECT a FROM read_json('a.ndjson', columns = {'a': 'VARCHAR'}) ORDER BY a"),
        [["1.5"], ["2"]]
    );
    let all = "SELECT a, d FROM read_json(['a.json', 'a.ndjson']) ORDER BY a, d";
    assert_eq!(api.rows(all).len(), 4);
}

#[test]
fn patterns_and_lists_name_files_in_order() {
    // *, ?, [], ** and lists; columns that differ; what is no file or begins with a dot is passed over.
    let place = Place::new();
    let api = place.api();
    for (name, text) in [
        ("2024/01/a.csv", "n\n1\n"),
        ("2024/02/b.csv", "n\n2\n"),
        ("2025/c.csv", "n\n3.5\n"),
        ("d.csv", "n\n4\n"),
        (".hidden.csv", "n\n100\n"),
        ("2024/other.txt", "n\n100\n"),
        ("wide.tsv", "n\tm\n\tx\n"),
    ] {
        place.put(name, text);
    }
    std::fs::create_dir(place.folder.join("folder.csv")).expect("a folder");
    for (pattern, expected) in [
        ("'*.csv'", "d.csv"),
        ("'**/*.csv'", "2024/01/a.csv 2024/02/b.csv 2025/c.csv d.csv"),
        ("'2024/*/*.csv'", "2024/01/a.csv 2024/02/b.csv"),
        ("'202[56]/?.csv'", "2025/c.csv"),
        ("['d.csv', '2024/01/*']", "2024/01/a.csv d.csv"),
        ("'./2024/./01/a.csv'", "./2024/./01/a.csv"),
    ] {
        let rows = api.rows(&format!(
            "SELECT string_agg(filename, ' ' ORDER BY filename) FROM read_csv({pattern}, filename = true)"
        ));
        assert_eq!(rows, [[json!(expected)]], "{pattern}");
    }
    let absolute = format!("SELECT sum(n) FROM read_csv('{}/**/*.csv')", place.folder.display());
    assert_eq!(api.rows(&absolute), [[json!(10.5)]]);
    let mismatch = api.query_error("FROM read_csv(['d.csv', 'wide.tsv'])");
    assert!(mismatch.contains("\"wide.tsv\" has a column \"m\", and \"d.csv\" has not"), "{mismatch}");
    let together = "FROM read_csv(['d.csv', 'wide.tsv'], union_by_name = true) ORDER BY n";
    assert_eq!(types(&api, together), columns(&[("n", "BIGINT"), ("m", "VARCHAR")]));
    assert_eq!(api.rows(together), [[json!(4), Value::Null], [Value::Null, json!("x")]]);
    let nothing = api.query_error("FROM read_csv('nothing/*.csv')");
    assert!(nothing.contains("IO Error: No files found that match the pattern \"nothing/*.csv\""), "{nothing}");
}

#[test]
fn nothing_outside_the_folder_is_touched() {
    // Other paths, dots, URLs and links that lead out are refused alike, whether there is something or not; a pipe is not opened.
    let place = Place::new();
    let api = place.api();
    place.put("a.csv", "n\n1\n");
    let outside = place.folder.parent().expect("a folder").join("outside.csv");
    std::fs::write(&outside, "n\n666\n").expect("a file");
    std::os::unix::fs::symlink(&outside, place.folder.join("link.csv")).expect("a link");
    std::os::unix::fs::symlink("/etc", place.folder.join("etc")).expect("a link");
    std::os::unix::fs::symlink("a.csv", place.folder.join("inner.csv")).expect("a link");
    let outside = outside.display().to_string();
    for path in [
        outside.as_str(),
        "/etc/passwd",
        "/nothing/at/all.csv",
        "../outside.csv",
        "x/../../outside.csv",
        "../*.csv",
        "link.csv",
        "link*",
        "etc/passwd",
        "etc/nothing",
        "etc/*",
        "*/passwd",
        "https://example.org/a.csv",
        "s3://bucket/a.csv",
        "file:///etc/passwd",
        "~/a.csv",
    ] {
        let error = api.query_error(&format!("SELECT * FROM read_csv('{path}')"));
        assert!(error.contains("Permission Error: Cannot access file"), "{path}: {error}");
        if !path.contains('*') {
            let error = api.query_error(&format!("COPY (SELECT 1) TO '{path}' (FORMAT csv)"));
            let refused = error.contains("Permission Error") || path == "link.csv" && error.contains("something else");
            assert!(refused, "{path}: {error}");
        }
    }
    assert_eq!(std::fs::read_to_string(&outside).expect("still there"), "n\n666\n");
    assert_eq!(api.rows("FROM 'inner.csv'"), [[json!(1)]]);
    let pipe = std::process::Command::new("mkfifo").arg(place.folder.join("pipe.csv")).status().expect("mkfifo");
    assert!(pipe.success());
    assert!(api.query_error("FROM 'pipe.csv'").contains("No files found"));
    assert!(api.query_error("COPY (SELECT 1) TO 'pipe.csv'").contains("IO Error"));
}

#[test]
fn bad_files_are_clear_errors() {
    // Whatever the bytes: an error that names the file, and the server goes on.
    let place = Place::new();
    let api = place.api();
    let deep = "[".repeat(100_000);
    for (name, bytes, expected) in [
        ("empty.csv", &b""[..], "the file is empty"),
        ("blank.csv", b"\n\n", "no columns"),
        ("ragged.csv", b"a,b\n1,2\n3\n", "line 3: expected 2 fields"),
        ("twice.csv", b"a,A\n1,2\n", "column \"A\" is in the file twice"),
        ("binary.csv", b"a,b\n\xff\xfe,1\n", "invalid UTF-8"),
        ("packed.csv", &[0x1f, 0x8b, 8, 0, 0], "compressed files are not supported"),
        ("text.parquet", b"PAR1 and nothing more", "cannot be read as Parquet"),
        ("short.parquet", b"PAR1", "cannot be read as Parquet"),
        ("cut.json", b"[{\"a\": 1}, {\"a\"", "file \"cut.json\""),
        ("scalars.json", b"[1, 2]", "file \"scalars.json\""),
        ("deep.json", deep.as_bytes(), "file \"deep.json\""),
    ] {
        place.put(name, bytes);
        let error = api.query_error(&format!("SELECT * FROM '{name}'"));
        assert!(error.contains(expected) && error.contains(name), "{name}: {error}");
    }
    place.put("a.csv", "a\n1\nx\n");
    let error = api.query_error("FROM read_csv('a.csv', columns = {'a': 'INTEGER'})");
    assert!(error.contains("line 3, column \"a\"") && error.contains("a.csv"), "{error}");
    assert_eq!(api.rows("SELECT 1"), [[json!(1)]]);
}

#[test]
fn files_fill_tables_and_tables_files() {
    // CREATE TABLE AS, INSERT and COPY FROM; COPY TO in every format, read back as it was.
    let place = Place::new();
    let api = place.api();
    place.put("a.csv", "id,code\n1,007\n2,1.50\n");
    api.succeed("CREATE TABLE made AS SELECT * FROM read_csv('a.csv')");
    api.succeed("INSERT INTO made SELECT id + 10, code FROM read_csv('a.csv')");
    assert_eq!(api.count("made"), 4);
    api.succeed("CREATE TABLE codes (id INTEGER, code VARCHAR, more INTEGER DEFAULT 7)");
    assert_eq!(api.rows("COPY codes (id, code) FROM 'a.csv'"), [[json!(2)]]);
    let expected = [[json!(1), json!("007"), json!(7)], [json!(2), json!("1.50"), json!(7)]];
    assert_eq!(api.rows("FROM codes ORDER BY id"), expected);
    api.succeed(
        "CREATE TABLE kinds (i BIGINT, f DOUBLE, d DECIMAL(12,3), t VARCHAR, at TIMESTAMP, z TIMESTAMPTZ, day DATE, j JSON, b BOOLEAN); \
         INSERT INTO kinds VALUES (9007199254740993, 0.1, 1.250, 'a \"b\"; c, d', '2024-01-15 12:00:00.5', '2024-01-15 12:00:00+00', \
         '2024-02-29', '{\"a\":[1]}', true), (NULL, NULL, NULL, '', NULL, NULL, NULL, NULL, NULL)",
    );
    for (file, options) in [
        ("kinds.csv", ""),
        ("semicolon.csv", "(DELIMITER ';')"),
        ("bare.csv", "(HEADER false)"),
        ("kinds.json", ""),
        ("array.json", "(FORMAT json, ARRAY true)"),
        ("kinds.parquet", ""),
        ("sub.parquet", "(FORMAT parquet, COMPRESSION zstd)"),
    ] {
        assert_eq!(api.rows(&format!("COPY kinds TO '{file}' {options}")), [[json!(2)]], "{file}");
        let back = file.replace('.', "_");
        api.succeed(&format!("CREATE TABLE {back} AS FROM kinds LIMIT 0"));
        let reading = if file == "semicolon.csv" { options } else { "" };
        assert_eq!(api.rows(&format!("COPY {back} FROM '{file}' {reading}")), [[json!(2)]], "{file}");
        // CSV has no difference between NULL and an empty text.
        let equal = format!(
            "SELECT count(*) FROM (SELECT * REPLACE (coalesce(t, '') AS t) FROM {back} INTERSECT SELECT * FROM kinds)"
        );
        assert_eq!(api.rows(&equal), [[json!(2)]], "{file}: {:?}", api.rows(&format!("FROM {back}")));
    }
    assert_eq!(place.text("bare.csv").lines().count(), 2);
    assert!(place.text("array.json").starts_with("[\n{"), "{}", place.text("array.json"));
    api.succeed("COPY (SELECT 1 AS a) TO 'kinds.csv'");
    assert_eq!(place.text("kinds.csv"), "a\n1\n");
    let failed = api.query_error("COPY (SELECT error('half-way') FROM range(3)) TO 'kinds.csv'");
    assert!(failed.contains("half-way"), "{failed}");
    assert_eq!(place.text("kinds.csv"), "a\n1\n");
    assert!(!place.names().iter().any(|name| name.starts_with('.')), "{:?}", place.names());
}

#[test]
fn a_large_file_takes_little_memory() {
    // Files larger than the memory of all queries are read and written as streams.
    let data = DataDir::fresh();
    let folder = data.beside("files");
    std::fs::create_dir(&folder).expect("a folder");
    let launch = launch().data(&data).arg("--query-files-folder").arg(folder.as_os_str());
    let server = Server::start(launch.arg("--query-memory-bytes").arg("16MiB"));
    let api = server.api();
    let rows = 300_000;
    let generated =
        format!("SELECT n, md5(CAST(n AS VARCHAR)) || md5(CAST(n + 1 AS VARCHAR)) AS text FROM range({rows}) AS r(n)");
    for file in ["large.csv", "large.json", "large.parquet"] {
        assert_eq!(api.rows(&format!("COPY ({generated}) TO '{file}'")), [[json!(rows)]], "{file}");
        let sums = api.rows(&format!("SELECT count(*), sum(n), max(length(text)) FROM '{file}'"));
        assert_eq!(sums[0][0], json!(rows), "{file}");
        assert_eq!(sums[0][2], json!(64), "{file}");
    }
    assert!(std::fs::metadata(folder.join("large.csv")).expect("a file").len() > 17 << 20);
}

#[test]
fn a_folder_that_overlaps_with_the_data_is_refused_at_the_start() {
    // Else SQL could read the server's own secrets, or write over its files.
    for of_data in [".", "inside", "..", "nowhere"] {
        let data = DataDir::fresh();
        std::fs::create_dir_all(data.path().join("inside")).expect("a folder");
        let folder = data.path().join(of_data);
        let exit = Server::try_start(launch().data(&data).arg("--query-files-folder").arg(folder.as_os_str()));
        let exit = exit.expect_err("no server on such a folder");
        assert!(exit.stderr.contains("query.files_folder"), "{exit:?}");
    }
}
