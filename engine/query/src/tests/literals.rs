//! What literals, casts and VALUES lists mean.

use super::*;

const UUID: &str = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";

#[tokio::test]
async fn values_lists_mix_typed_entries_and_nulls() {
    // UUID and JSON entries beside NULLs and strings, in any order, in INSERT and in FROM; beside others they are text.
    let lake = Lake::new();
    lake.run("CREATE TABLE t (n INTEGER, id UUID, doc JSON)").await;
    let typed = format!("(1, CAST('{UUID}' AS UUID), '{{}}'::JSON)");
    lake.run(&format!("INSERT INTO t VALUES {typed}, (2, NULL, NULL), (3, '{UUID}', '[1]')")).await;
    lake.run(&format!("INSERT INTO t VALUES (4, NULL, NULL), {typed}")).await;
    assert_eq!(lake.rows("SELECT count(*), count(id), count(doc) FROM t").await, ["5|3|3"]);
    let answer =
        lake.run(&format!("SELECT * FROM (VALUES (0, NULL, 'null'), {typed}) AS v(n, id, doc) ORDER BY n")).await;
    assert_eq!(answer.types()[1..], ["UUID", "JSON"]);
    assert_eq!(answer.rows(), ["0|NULL|null".to_owned(), format!("1|{UUID}|{{}}")]);
    let mixed =
        lake.run(&format!("SELECT * FROM (VALUES ('{UUID}'::UUID), ('[1]'::JSON), (NULL), (lower('X')))")).await;
    assert_eq!((mixed.types(), mixed.rows()[3].as_str()), (vec!["VARCHAR".to_owned()], "x"));
    let bad = lake.error(&format!("INSERT INTO t (id) VALUES ('{UUID}'::UUID), ('nope')")).await;
    assert!(bad.message.starts_with("Conversion Error: Could not convert string 'nope' to UUID"), "{bad}");
}

#[tokio::test]
async fn numbers_with_an_exponent_are_doubles() {
    // As are numbers with too many digits for DECIMAL; others keep their exact type; beyond DOUBLE is an error.
    let lake = Lake::new();
    let answer = lake.run("SELECT 1e300, -1.5E-3, 1e2 + 1, 2.50, '1e300'").await;
    assert_eq!(answer.rows(), ["1e300|-0.0015|101.0|2.50|1e300"]);
    assert_eq!(answer.types(), ["DOUBLE", "DOUBLE", "DOUBLE", "DECIMAL(3,2)", "VARCHAR"]);
    assert_eq!(answer.names()[0], "1e300");
    let long = format!("SELECT 0.{}, {}.5", "3".repeat(40), "1".repeat(39));
    assert_eq!(lake.run(&long).await.types(), ["DOUBLE", "DOUBLE"]);
    lake.run("CREATE TABLE t (a DOUBLE DEFAULT 1e300, b BIGINT); INSERT INTO t (b) VALUES (1e3), (2)").await;
    assert_eq!(lake.rows("SELECT * FROM t WHERE a > 1e299 ORDER BY b").await, ["1e300|2", "1e300|1000"]);
    let error = lake.error("SELECT 1e400").await;
    assert_eq!(error.message, "Conversion Error: 1e400 is out of range for DOUBLE");
}

#[tokio::test]
async fn columns_of_one_name_stay() {
    // Casts of one value to several types, repeated literals and columns: all there, under DuckDB's names.
    let lake = Lake::new();
    lake.run("CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1)").await;
    let answer = lake.run("SELECT CAST(0.1 AS DOUBLE), CAST(0.1 AS REAL)").await;
    assert_eq!(
        (answer.types(), answer.rows()),
        (vec!["DOUBLE".to_owned(), "FLOAT".to_owned()], vec!["0.1|0.1".to_owned()])
    );
    assert_eq!(answer.names(), ["CAST(0.1 AS DOUBLE)", "CAST(0.1 AS FLOAT)"]);
    for (sql, names, rows) in [
        ("SELECT 1 AS x, 2 AS X, a, a, t.a FROM t", vec!["x", "X", "a", "a", "a"], "1|2|1|1|1"),
        ("SELECT 1, 1, DATE '2024-01-01', '2024-01-01'", vec![], "1|1|2024-01-01|2024-01-01"),
        ("SELECT abs(CAST(a AS DOUBLE)), abs(CAST(a AS BIGINT)) FROM t", vec![], "1.0|1"),
        ("SELECT CAST(a AS DOUBLE) IS NULL, CAST(a AS REAL) IS NULL FROM t ORDER BY 1", vec![], "false|false"),
        (
            "SELECT CASE WHEN true THEN CAST(a AS REAL) END, CASE WHEN true THEN CAST(a AS DOUBLE) END FROM t",
            vec![],
            "1.0|1.0",
        ),
        ("SELECT * FROM (SELECT CAST(0.5 AS DOUBLE), CAST(0.5 AS REAL), a, a FROM t)", vec![], "0.5|0.5|1|1"),
        ("WITH w AS (SELECT 1, 1 UNION ALL SELECT 2, 2) SELECT * FROM w LIMIT 1", vec!["1", "1"], "1|1"),
    ] {
        let answer = lake.run(sql).await;
        assert_eq!(answer.rows(), [rows], "{sql}");
        assert!(names.is_empty() || answer.names() == names, "{sql}: {:?}", answer.names());
    }
}

#[tokio::test]
async fn times_are_written_with_a_blank() {
    // As DuckDB writes them: by casts, by concatenation and by INSERT; zoned ones by the session's clocks.
    let lake = Lake::new();
    lake.run("CREATE TABLE t (a TIMESTAMP, b TIMESTAMPTZ, c TIME, d DATE); CREATE TABLE u (v VARCHAR)").await;
    lake.run(
        "INSERT INTO t VALUES ('2024-01-15T12:00:00.250', '2024-01-15T12:00:00+01:00', '13:45:01.5', '2024-02-29')",
    )
    .await;
    for (sql, rows) in [
        (
            "SELECT CAST(a AS VARCHAR), b::VARCHAR, c::TEXT, d::VARCHAR FROM t",
            "2024-01-15 12:00:00.25|2024-01-15 11:00:00+00|13:45:01.5|2024-02-29",
        ),
        (
            "SELECT CAST(TIMESTAMP '2024-01-15 00:00:00' AS VARCHAR), TRY_CAST(a AS VARCHAR) FROM t",
            "2024-01-15 00:00:00|2024-01-15 12:00:00.25",
        ),
        ("SELECT 'at ' || a FROM t", "at 2024-01-15 12:00:00.25"),
        (
            "SELECT count(*) FROM t WHERE CAST(a AS VARCHAR) LIKE '2024-01-15 12%' GROUP BY a::VARCHAR ORDER BY a::VARCHAR",
            "1",
        ),
        ("SELECT (SELECT max(CAST(x.a AS VARCHAR)) FROM t AS x WHERE x.d = t.d) FROM t", "2024-01-15 12:00:00.25"),
        ("SELECT CAST(CAST(NULL AS TIMESTAMP) AS VARCHAR)", "NULL"),
    ] {
        assert_eq!(lake.rows(sql).await, [rows], "{sql}");
    }
    lake.run("INSERT INTO u SELECT a FROM t; INSERT INTO u SELECT CAST(c AS VARCHAR) FROM t").await;
    assert_eq!(lake.rows("SELECT v FROM u ORDER BY v").await, ["13:45:01.5", "2024-01-15 12:00:00.25"]);
    let zoned = lake.rows("SET TimeZone = 'Asia/Kolkata'; SELECT b::VARCHAR FROM t").await;
    assert_eq!(zoned, ["2024-01-15 16:30:00+05:30"]);
    assert_eq!(
        lake.rows("SELECT a FROM t WHERE CAST(CAST(a AS VARCHAR) AS TIMESTAMP) = a").await,
        ["2024-01-15T12:00:00.250"]
    );
}

#[tokio::test]
async fn blobs_are_read_and_written_with_escapes() {
    // \xHH is one byte, in casts, INSERT, defaults and back; what is no BLOB's text is refused, or NULL for TRY_CAST.
    let lake = Lake::new();
    assert_eq!(
        lake.rows(r"SELECT CAST('\x00a\xfF' AS BLOB), CAST('\x00a''\xfF' AS BLOB)::VARCHAR").await,
        [r"0061ff|\x00a\x27\xFF"]
    );
    lake.run(
        r"CREATE TABLE t (n INTEGER, b BLOB DEFAULT '\x7F'); INSERT INTO t VALUES (1, '\x00'), (2, 'ab'), (3, NULL)",
    )
    .await;
    lake.run(r"INSERT INTO t VALUES (4, CAST('\x00\x01' AS BLOB)), (5, NULL); INSERT INTO t (n) VALUES (6)").await;
    assert_eq!(lake.rows("SELECT b FROM t ORDER BY n").await, ["00", "6162", "NULL", "0001", "NULL", "7f"]);
    assert_eq!(lake.rows(r"SELECT n FROM t WHERE b = '\x00'::BLOB").await, ["1"]);
    for bad in [r"\x0", r"a\b", r"\", "é"] {
        let error = lake.error(&format!("SELECT CAST('{bad}' AS BLOB)")).await;
        assert!(error.message.starts_with("Conversion Error: Invalid"), "{bad}: {error}");
        assert_eq!(lake.rows(&format!("SELECT TRY_CAST('{bad}' AS BLOB)")).await, ["NULL"], "{bad}");
    }
}

#[tokio::test]
async fn casts_to_uuid_and_json_check() {
    // Wrong text is an error, UUIDs get their usual spelling, and a cast to VARCHAR makes plain text of either.
    let lake = Lake::new();
    let upper = UUID.to_uppercase();
    let answer = lake
        .run(&format!("SELECT '{upper}'::UUID, '{upper}'::UUID::VARCHAR, '[1]'::JSON::VARCHAR, TRY_CAST('x' AS UUID)"))
        .await;
    assert_eq!(answer.rows(), [format!("{UUID}|{UUID}|[1]|NULL")]);
    assert_eq!(answer.types(), ["UUID", "VARCHAR", "VARCHAR", "UUID"]);
    for (sql, start) in [
        ("SELECT 'x'::UUID", "Conversion Error: Could not convert string 'x' to UUID"),
        ("SELECT '{'::JSON", "Conversion Error: Malformed JSON"),
    ] {
        let error = lake.error(sql).await;
        assert!(error.message.starts_with(start), "{sql}: {error}");
    }
}

#[tokio::test]
async fn every_type_is_inserted_beside_null() {
    // A cast entry and NULL in one VALUES list, either first.
    let lake = Lake::new();
    let cases = [
        ("BOOLEAN", "true"),
        ("TINYINT", "-128"),
        ("UBIGINT", "18446744073709551615"),
        ("DECIMAL(38,0)", "99999999999999999999999999999999999999"),
        ("DECIMAL(38,10)", "1234567890123456789012345678.0123456789"),
        ("REAL", "0.1"),
        ("DOUBLE", "1e-7"),
        ("VARCHAR", "'é'"),
        ("BLOB", "X'00AB7A'"),
        ("DATE", "'1969-12-31'"),
        ("TIME", "'00:00:00.000001'"),
        ("TIMESTAMP", "'2024-01-15 13:45:00.123'"),
        ("TIMESTAMPTZ", "'2024-01-15 13:45:00+01:00'"),
        ("UUID", "'019D68D4-C4CB-7E40-AD50-FD4B68C2045E'"),
        ("JSON", "'{\"a\": [1, 2.50, null]}'"),
        ("BIGINT[]", "[1, 2]"),
    ];
    for (i, (ty, literal)) in cases.into_iter().enumerate() {
        lake.run(&format!("CREATE TABLE t{i} (n INTEGER, v {ty})")).await;
        lake.run(&format!("INSERT INTO t{i} VALUES (1, CAST({literal} AS {ty})), (2, NULL)")).await;
        lake.run(&format!("INSERT INTO t{i} VALUES (3, NULL), (4, CAST({literal} AS {ty}))")).await;
        let rows = lake.rows(&format!("SELECT v FROM t{i} ORDER BY n")).await;
        assert_eq!((rows[1].as_str(), rows[2].as_str()), ("NULL", "NULL"), "{ty}");
        assert!(rows[0] == rows[3] && rows[0] != "NULL", "{ty}: {rows:?}");
    }
}

#[tokio::test]
async fn casts_stay_what_other_clauses_refer_to() {
    // GROUP BY, ORDER BY, DISTINCT, set operations, joins and subqueries still find a cast that is also selected.
    let lake = Lake::new();
    lake.run("CREATE TABLE t (n INTEGER, a TIMESTAMP); INSERT INTO t VALUES (1, '2024-01-15 12:00:00'), (2, '2024-01-16 12:00:00'), (3, '2024-01-16 13:00:00')").await;
    for (sql, rows) in [
        (
            "SELECT CAST(a AS DATE), count(*) FROM t GROUP BY CAST(a AS DATE) ORDER BY CAST(a AS DATE) DESC",
            vec!["2024-01-16|2", "2024-01-15|1"],
        ),
        (
            "SELECT date_trunc('day', a::DATE)::VARCHAR, count(*) FROM t GROUP BY 1 ORDER BY date_trunc('day', a::DATE)::VARCHAR",
            vec!["2024-01-15|1", "2024-01-16|2"],
        ),
        ("SELECT DISTINCT CAST(a AS DATE) FROM t ORDER BY CAST(a AS DATE)", vec!["2024-01-15", "2024-01-16"]),
        (
            "SELECT max(a::VARCHAR) FROM t HAVING max(a::VARCHAR) > '2024' ORDER BY max(a::VARCHAR)",
            vec!["2024-01-16 13:00:00"],
        ),
        (
            "SELECT lower(a::VARCHAR) FROM t WHERE n = 1 UNION ALL SELECT '1e3' ORDER BY 1",
            vec!["1e3", "2024-01-15 12:00:00"],
        ),
        ("SELECT x.n FROM t AS x JOIN t AS y ON x.a::VARCHAR = y.a::VARCHAR WHERE y.n = 2", vec!["2"]),
        (
            "SELECT n FROM t WHERE EXISTS (SELECT 1, 1 FROM t AS o WHERE o.a::VARCHAR > t.a::VARCHAR) ORDER BY n",
            vec!["1", "2"],
        ),
        (
            "SELECT row_number() OVER (PARTITION BY a::DATE ORDER BY a::VARCHAR DESC) FROM t ORDER BY n",
            vec!["1", "2", "1"],
        ),
        (
            "SELECT DISTINCT n > 1, lower(a::DATE::VARCHAR) FROM t ORDER BY lower(a::DATE::VARCHAR) DESC, n > 1",
            vec!["true|2024-01-16", "false|2024-01-15"],
        ),
        ("SELECT * FROM (SELECT DISTINCT n % 2 FROM t ORDER BY n % 2 LIMIT 1)", vec!["0"]),
        ("SELECT d, n FROM (SELECT a::DATE AS d, n, n FROM t) WHERE d = '2024-01-15'", vec!["2024-01-15|1"]),
    ] {
        assert_eq!(lake.rows(sql).await, rows, "{sql}");
    }
    assert_eq!(
        lake.run("EXPLAIN SELECT CAST(n AS DOUBLE), CAST(n AS REAL) FROM t").await.names(),
        ["plan_type", "plan"]
    );
}
