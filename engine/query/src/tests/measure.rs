//! Functions that make as much as they are told to.

use super::*;
use crate::QueryErrorKind;

#[tokio::test]
async fn what_is_too_much_is_refused_before_it_is_made() {
    // Constants and columns, texts and lists, numbers and times; each would take gigabytes.
    let lake = Lake::new();
    lake.run("CREATE TABLE t AS SELECT * FROM (VALUES ('some text', 1000000000), ('x', 5)) AS v(s, n)").await;
    for sql in [
        "SELECT length(repeat('x', 2000000000))",
        "SELECT length(repeat(s, n)) FROM t",
        "SELECT length(lpad('x', 2000000000, 'y'))",
        "SELECT length(rpad(s, n)) FROM t",
        "SELECT array_length(range(10000000000))",
        "SELECT array_length(generate_series(1, 10000000000, 2))",
        "SELECT array_length(range(0, n, 1)) FROM t",
        "SELECT array_length(range(0, -10000000000, -1))",
        "SELECT array_length(array_repeat(1, 10000000000))",
        "SELECT array_length(generate_series(TIMESTAMP '2000-01-01', TIMESTAMP '2025-01-01', INTERVAL '1 second'))",
    ] {
        let error = lake.error(sql).await;
        assert!(error.message.contains("at most") && error.kind == QueryErrorKind::Exhausted, "{sql}: {error}");
    }
}

#[tokio::test]
async fn what_is_small_stays_as_it_is() {
    // Values, NULLs and names of columns are those of the plain functions.
    let lake = Lake::new();
    lake.run("CREATE TABLE t AS SELECT * FROM (VALUES ('ab', 2), (NULL, 3), ('c', NULL)) AS v(s, n)").await;
    let answer = lake.run("SELECT repeat(s, n), count(*) FROM t GROUP BY repeat(s, n) ORDER BY 1 NULLS LAST").await;
    assert_eq!(answer.rows(), ["abab|1", "NULL|2"]);
    assert_eq!(answer.names(), ["repeat(s, n)", "count_star()"]);
    assert_eq!(lake.rows("SELECT lpad('7', 3, '0'), rpad('7', 3, '0')").await, ["007|700"]);
    assert_eq!(lake.rows("SELECT range(3), generate_series(1, 7, 3)").await, ["[0, 1, 2]|[1, 4, 7]"]);
    assert_eq!(lake.rows("SELECT sum(n) FROM range(5) AS a(n)").await, ["10"]);
    let days = "SELECT array_length(generate_series(DATE '2024-01-01', DATE '2024-01-31', INTERVAL '1 day'))";
    assert_eq!(lake.rows(days).await, ["31"]);
}
