//! Files in SQL: how calls are lowered, what COPY does; the files themselves are batches on a shelf.

use super::*;

async fn lake() -> Lake {
    let lake = Lake::new();
    lake.run("COPY (SELECT 1 AS id, 'x' AS Name) TO 'a.parquet'").await;
    lake.run("COPY (SELECT 2 AS id, true AS extra) TO 'b.parquet'").await;
    lake
}

#[tokio::test]
async fn a_file_stands_wherever_a_table_does() {
    // By function and by path, with and without alias, in joins, subqueries, CTEs, views, and names in any case.
    let lake = lake().await;
    for sql in [
        "SELECT ID, name FROM read_parquet('a.parquet')",
        "SELECT read_parquet.id, name FROM READ_PARQUET('a.parquet')",
        "FROM read_parquet('a.parquet')",
        "FROM 'a.parquet'",
        "SELECT a.id, a.Name FROM 'a.parquet'",
        "SELECT t.* FROM read_parquet(['a.parquet']) AS t",
        "SELECT x, y FROM read_parquet('a' || '.parquet') AS t(x, y)",
        "WITH c AS (FROM 'a.parquet') SELECT * FROM c",
        "SELECT a.* FROM 'a.parquet' AS a JOIN 'b.parquet' AS b ON a.id < b.id",
        "SELECT id, (SELECT max(name) FROM 'a.parquet') FROM 'a.parquet'",
        "SELECT * FROM 'a.parquet' WHERE id IN (SELECT id FROM read_parquet('*'))",
    ] {
        assert_eq!(lake.rows(sql).await, ["1|x"], "{sql}");
    }
    assert_eq!(lake.run("FROM 'a.parquet'").await.names(), ["id", "Name"]);
    assert_eq!(lake.rows("SELECT count(*) FROM read_parquet('*')").await, ["2"]);
    lake.run("CREATE VIEW v AS SELECT * FROM read_parquet('a.parquet')").await;
    assert_eq!(lake.rows("SELECT name FROM v").await, ["x"]);
    let described = lake.rows("DESCRIBE FROM 'a.parquet'").await;
    assert_eq!(described, ["id|BIGINT|YES|NULL|NULL|NULL", "Name|VARCHAR|YES|NULL|NULL|NULL"]);
}

#[tokio::test]
async fn several_files_are_one_table() {
    // Columns that a file lacks are NULL there; the file's name is a column if asked for.
    let lake = lake().await;
    let all = "SELECT * FROM read_parquet('*', union_by_name = true, filename := true) ORDER BY id";
    let answer = lake.run(all).await;
    assert_eq!(answer.names(), ["id", "Name", "extra", "filename"]);
    assert_eq!(answer.rows(), ["1|x|NULL|a.parquet", "2|NULL|true|b.parquet"]);
    let named = "SELECT f FROM read_parquet(['b.parquet', 'a.parquet'], filename => 'f') ORDER BY f";
    assert_eq!(lake.rows(named).await, ["a.parquet", "b.parquet"]);
    let counted = "SELECT filename, count(*) FROM read_parquet('*', filename = true) GROUP BY 1 ORDER BY 1";
    assert_eq!(lake.rows(counted).await, ["a.parquet|1", "b.parquet|1"]);
}

#[tokio::test]
async fn files_fill_tables() {
    // CREATE TABLE AS, INSERT, MERGE and COPY FROM take their rows from files.
    let lake = lake().await;
    lake.run("CREATE TABLE t AS SELECT * FROM read_parquet('a.parquet')").await;
    lake.run("INSERT INTO t BY NAME SELECT id FROM 'b.parquet'").await;
    lake.run("MERGE INTO t USING 'a.parquet' AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET name = 'y'").await;
    assert_eq!(lake.run("COPY t FROM 'a.parquet'").await.rows(), ["1"]);
    let error = lake.error("COPY t (id) FROM 'a.parquet'").await;
    assert!(error.message.starts_with("Binder Error"), "{error}");
    assert_eq!(lake.rows("SELECT * FROM t ORDER BY ALL").await, ["1|x", "1|y", "2|NULL"]);
}

#[tokio::test]
async fn copy_writes_what_a_query_gives() {
    // A table, some of its columns, a query; the count of the rows; formats by extension and by name.
    let lake = lake().await;
    lake.run("CREATE TABLE t (a INTEGER, b VARCHAR); INSERT INTO t VALUES (1, 'x'), (2, 'y')").await;
    assert_eq!(lake.rows("COPY t TO 'whole.csv'").await, ["2"]);
    assert_eq!(lake.rows("FROM 'whole.csv'").await, ["1|x", "2|y"]);
    lake.run("COPY t (b) TO 'part' (FORMAT csv, HEADER, DELIMITER ';')").await;
    assert_eq!(lake.rows("FROM read_csv('part')").await, ["x", "y"]);
    assert_eq!(lake.rows("COPY (FROM t WHERE a > 5) TO 'none.parquet' (FORMAT 'parquet')").await, ["0"]);
    assert_eq!(lake.rows("SELECT count(a) FROM 'none.parquet'").await, ["0"]);
    for (sql, expected) in [
        ("COPY t TO 'x.csv' (FORMAT xml)", "Catalog Error: Copy Function with name xml does not exist!"),
        (
            "COPY t TO 'x.csv' (PARTITION_BY (a))",
            "Not implemented Error: Unrecognized option for CSV: \"partition_by\"",
        ),
        ("COPY t TO 'x.parquet' (HEADER)", "Not implemented Error: Unrecognized option for PARQUET: \"header\""),
        ("COPY t TO 'x.csv' (DELIMITER 'ab')", "Binder Error: delimiter is one ASCII character"),
        ("COPY t TO 'x.csv' (HEADER maybe)", "Binder Error: header is true or false, not maybe"),
        ("COPY t TO", "Parser Error"),
        ("COPY t TO 'x.csv' WITH HEADER", "Parser Error"),
        ("COPY (SELECT 1) FROM 'x.csv'", "Parser Error"),
        ("COPY (INSERT INTO t VALUES (1, 'x')) TO 'x.csv'", ""),
        ("COPY nothing TO 'x.csv'", "Catalog Error: Table with name nothing does not exist!"),
        ("COPY t (c) FROM 'x.csv'", "Binder Error: the table does not have a column named c"),
        ("COPY v FROM 'x.csv'", "Catalog Error: Table with name v does not exist!"),
    ] {
        let error = lake.error(sql).await;
        assert!(error.message.starts_with(expected), "{sql}: {error}");
    }
    assert_eq!(lake.rows("SELECT count(*) FROM t").await, ["2"]);
}

#[tokio::test]
async fn wrong_calls_are_refused_by_name() {
    // Options that DuckDB does not have, ones that are not honoured here, and arguments that are no paths.
    let lake = lake().await;
    for (call, expected) in [
        (
            "read_parquet('a.parquet', headr = true)",
            "Binder Error: Invalid named parameter \"headr\" for function read_parquet",
        ),
        (
            "read_parquet('a.parquet', delim = ',')",
            "Binder Error: Invalid named parameter \"delim\" for function read_parquet",
        ),
        (
            "read_csv('a.parquet', ignore_errors = true)",
            "Not implemented Error: ignore_errors = true is not supported by read_csv",
        ),
        ("read_csv('a.parquet', hive_partitioning = 1)", "Not implemented Error: hive_partitioning"),
        ("read_csv('a.parquet', skip = 2)", "Not implemented Error: skip = 2"),
        ("read_csv('a.parquet', header = 'perhaps')", "Binder Error: header of read_csv is true or false"),
        ("read_csv('a.parquet', sep = 'ab')", "Binder Error: sep of read_csv is one ASCII character"),
        ("read_csv('a.parquet', columns = ['a'])", "Binder Error: columns of read_csv is names and types"),
        ("read_csv('a.parquet', columns = {'a': 'NOTHING'})", "Catalog Error"),
        ("read_json('a.parquet', format = 'xml')", "Not implemented Error: format = xml"),
        ("read_csv()", "Binder Error: expected read_csv('path'"),
        ("read_csv('a', 'b')", "Binder Error: expected read_csv('path'"),
        ("read_csv(1)", "Binder Error: read_csv takes a path or a list of paths"),
        ("read_csv(NULL)", "Binder Error: read_csv takes a path or a list of paths"),
        ("read_csv([])", "Binder Error: read_csv takes a path or a list of paths"),
        ("read_csv(['a.parquet', NULL])", "Binder Error: read_csv takes a path or a list of paths"),
        ("read_csv([1])", "Binder Error: read_csv takes a path or a list of paths"),
        ("read_csv(id)", "Binder Error"),
        ("read_csv('nothing')", "IO Error: No files found that match the pattern \"nothing\""),
        ("'nothing'", "Catalog Error: Table with name nothing does not exist!"),
        ("'nothing.csv'", "IO Error: No files found"),
        ("read_text('a.parquet')", ""),
    ] {
        let error = lake.error(&format!("SELECT * FROM {call}")).await;
        assert!(error.message.starts_with(expected), "{call}: {error}");
    }
}

#[tokio::test]
async fn without_a_folder_no_file_is_touched() {
    // Reading and writing are refused in DuckDB's words, in whatever form, and so are reading keys that write.
    let lake = Lake::without_files();
    lake.run("CREATE TABLE t (a INTEGER)").await;
    for sql in [
        "FROM read_csv('x.csv')",
        "FROM 'x.csv'",
        "INSERT INTO t SELECT * FROM read_json('x.csv')",
        "CREATE VIEW v AS FROM read_parquet('x.csv')",
        "COPY t TO 'x.csv'",
        "COPY t FROM 'x.csv'",
    ] {
        let error = lake.error(sql).await;
        assert_eq!(
            error.message,
            "Permission Error: Cannot access file \"x.csv\" - file system operations are disabled by configuration",
            "{sql}"
        );
    }
    let lake = Lake::new();
    let reading = SessionSettings { read_only: true, ..SessionSettings::default() };
    let error = lake.run_with("COPY (SELECT 1) TO 'x.csv'", reading).await.unwrap_err();
    assert!(error.message.contains("read-only"), "{error}");
    assert!(lake.error("FROM 'x.csv'").await.message.contains("No files found"));
}

#[tokio::test]
async fn checking_reads_columns_and_writes_nothing() {
    // /validate and /explain know a file's columns; a COPY that is only checked leaves no file.
    let lake = lake().await;
    let mut session = lake.query.session();
    let plain = SessionSettings::default;
    session.validate("SELECT id FROM 'a.parquet'", plain()).await.unwrap();
    session.validate("COPY (SELECT 1) TO 'x.csv'; SELECT 1", plain()).await.unwrap();
    let error = session.validate("SELECT nothing FROM 'a.parquet'", plain()).await.unwrap_err();
    assert!(error.message.contains("nothing"), "{error}");
    assert!(lake.error("FROM 'x.csv'").await.message.contains("No files found"));
    let explained = session.explain("SELECT id FROM 'a.parquet'", plain()).await.unwrap();
    let plan = explained.plan.unwrap();
    assert!(format!("{plan:?}").contains("FileExec"), "{plan:?}");
    lake.run("CREATE TABLE t (a INTEGER)").await;
    session.validate("SELECT * FROM t AT (TIMESTAMP => now() + INTERVAL '1 day')", plain()).await.unwrap();
}
