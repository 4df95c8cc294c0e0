//! Scans: pruning, filters against a model, statistics, snapshots under writers, cancellation, speed.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;

/// `rows` rows in row groups of 1,000: n counts up, k cycles, s is text, v is sometimes NULL.
async fn flushed(rows: usize) -> Lake {
    let lake = Lake::with_options(256 << 20, Options { row_group_rows: 1_000, ..Options::default() });
    lake.run(&format!(
        "CREATE TABLE t AS SELECT value AS n, value % 10 AS k, 'row ' || lpad(CAST(value AS VARCHAR), 8, '0') AS s, \
         CASE WHEN value % 7 = 0 THEN NULL ELSE value END AS v FROM generate_series(1, {rows}) AS s(value) ORDER BY value"
    ))
    .await;
    lake.engine.flush().unwrap();
    lake
}

/// A counter of the scan in EXPLAIN ANALYZE.
async fn metric(lake: &Lake, sql: &str, name: &str) -> usize {
    let plan = lake.rows(&format!("EXPLAIN ANALYZE {sql}")).await.join("\n");
    let line = plan.lines().find(|line| line.contains("ScanExec")).unwrap_or_else(|| panic!("no scan: {plan}"));
    let at = line.find(&format!("{name}=")).unwrap_or_else(|| panic!("no {name}: {line}")) + name.len() + 1;
    let digits: String = line[at..].chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zone_maps_skip_row_groups() {
    // A filter on a sorted column reads only the row groups that can hold matches.
    let lake = flushed(20_000).await;
    for (filter, units) in [
        ("n = 1500", 1),
        ("n BETWEEN 3500 AND 4500", 2),
        ("n > 19500", 1),
        ("n IN (1, 19999)", 2),
        ("n < 0", 0),
        ("n + 0 = 1", 20),
        ("k = 3", 20),
        ("k = 11", 0),
        ("n = 1500 OR n = 1501", 1),
    ] {
        let sql = format!("SELECT s FROM t WHERE {filter}");
        assert_eq!(metric(&lake, &sql, "units_read").await, units, "{filter}");
        assert_eq!(metric(&lake, &sql, "units_pruned").await, 20 - units, "{filter}");
    }
    // Bounds of text may be cut short, so a neighbour may be read too.
    assert!(metric(&lake, "SELECT n FROM t WHERE s = 'row 00012345'", "units_read").await <= 4);
    assert_eq!(metric(&lake, "SELECT n FROM t LIMIT 10", "units_read").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_top_k_skips_what_it_cannot_need() {
    // The bound that ORDER BY … LIMIT finds while running prunes units not read yet.
    let lake = flushed(50_000).await;
    let sql = "SELECT n FROM t ORDER BY n LIMIT 5";
    assert_eq!(lake.rows(sql).await, ["1", "2", "3", "4", "5"]);
    assert!(metric(&lake, sql, "units_pruned_dynamic").await > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exact_statistics_answer_without_a_scan() {
    // count, min and max of whole tables come from zone maps; with a filter they do not.
    let lake = flushed(5_000).await;
    let plan = lake.rows("EXPLAIN SELECT count(*), min(n), max(s), count(v) FROM t").await.join("\n");
    assert!(!plan.contains("ScanExec"), "{plan}");
    assert_eq!(
        lake.rows("SELECT count(*), min(n), max(s), count(v), min(v) FROM t").await,
        ["5000|1|row 00005000|4286|1"]
    );
    lake.run("INSERT INTO t VALUES (-5, 0, 'z', NULL)").await;
    assert_eq!(lake.rows("SELECT count(*), min(n), max(s), count(v) FROM t").await, ["5001|-5|z|4286"]);
    assert_eq!(lake.rows("SELECT count(*), max(n) FROM t WHERE k = 3").await, ["500|4993"]);
}

#[derive(Clone, Debug)]
enum Filter {
    Compare(&'static str, &'static str, i64),
    Null(&'static str, bool),
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
}

impl Filter {
    fn sql(&self) -> String {
        match self {
            Self::Compare(column, op, value) => format!("{column} {op} {value}"),
            Self::Null(column, true) => format!("{column} IS NULL"),
            Self::Null(column, false) => format!("{column} IS NOT NULL"),
            Self::And(a, b) => format!("({} AND {})", a.sql(), b.sql()),
            Self::Or(a, b) => format!("({} OR {})", a.sql(), b.sql()),
            Self::Not(a) => format!("NOT ({})", a.sql()),
        }
    }

    /// SQL's three values.
    fn matches(&self, n: i64) -> Option<bool> {
        let value = |column: &str| match column {
            "n" => Some(n),
            "k" => Some(n % 10),
            _ => (n % 7 != 0).then_some(n),
        };
        match self {
            Self::Compare(column, op, other) => value(column).map(|value| match *op {
                "=" => value == *other,
                "<>" => value != *other,
                "<" => value < *other,
                _ => value >= *other,
            }),
            Self::Null(column, is_null) => Some(value(column).is_none() == *is_null),
            Self::And(a, b) => match (a.matches(n), b.matches(n)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Self::Or(a, b) => match (a.matches(n), b.matches(n)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            Self::Not(a) => a.matches(n).map(|value| !value),
        }
    }
}

fn filters() -> impl Strategy<Value = Filter> {
    let column = prop_oneof![Just("n"), Just("k"), Just("v")];
    let op = prop_oneof![Just("="), Just("<>"), Just("<"), Just(">=")];
    let leaf = prop_oneof![
        4 => (column.clone(), op, prop_oneof![-5_i64..15, 0_i64..5_200]).prop_map(|(c, o, v)| Filter::Compare(c, o, v)),
        1 => (column, any::<bool>()).prop_map(|(c, n)| Filter::Null(c, n)),
    ];
    leaf.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Filter::And(Box::new(a), Box::new(b))),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Filter::Or(Box::new(a), Box::new(b))),
            inner.prop_map(|a| Filter::Not(Box::new(a))),
        ]
    })
}

#[test]
fn filters_agree_with_a_plain_model() {
    // Pruning and filtering together never lose or invent a row, in segments and in memory.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let lake = runtime.block_on(async {
        let lake = flushed(5_000).await;
        lake.run("INSERT INTO t SELECT value, value % 10, 'memory', CASE WHEN value % 7 = 0 THEN NULL ELSE value END FROM generate_series(5001, 5100) AS s(value)").await;
        lake
    });
    let mut runner = TestRunner::new(Config { cases: 150, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&filters(), |filter| {
        let expected: Vec<i64> = (1..=5_100).filter(|n| filter.matches(*n) == Some(true)).collect();
        let sql = format!("SELECT count(*), coalesce(sum(n), 0) FROM t WHERE {}", filter.sql());
        let rows = runtime.block_on(lake.rows(&sql));
        prop_assert_eq!(rows, vec![format!("{}|{}", expected.len(), expected.iter().sum::<i64>())], "{}", sql);
        Ok(())
    });
    outcome.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_query_does_not_see_later_commits() {
    // Its snapshot stays as it was while rows are written and flushed and the table is dropped.
    let lake = flushed(50_000).await;
    let mut output = lake.query.run("SELECT n FROM t", SessionSettings::default()).await.unwrap();
    let first = output.batches.next().await.unwrap().unwrap();
    lake.run("INSERT INTO t VALUES (0, 0, '', 0)").await;
    lake.engine.flush().unwrap();
    lake.run("DROP TABLE t").await;
    let mut rows = first.num_rows();
    while let Some(batch) = output.batches.next().await {
        rows += batch.unwrap().num_rows();
    }
    assert_eq!(rows, 50_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_grow_under_concurrent_writers() {
    // Every query sees whole commits of 10 rows, never fewer than the one before.
    let lake = Arc::new(Lake::new());
    lake.run("CREATE TABLE t (a INTEGER)").await;
    let writer = {
        let lake = Arc::clone(&lake);
        tokio::spawn(async move {
            for _ in 0..100 {
                lake.run("INSERT INTO t SELECT value FROM generate_series(1, 10) AS s(value)").await;
            }
        })
    };
    let mut last = 0;
    while !writer.is_finished() {
        let count: u64 = lake.rows("SELECT count(*) FROM t WHERE a > 0").await[0].parse().unwrap();
        assert!(count >= last && count.is_multiple_of(10), "{last} then {count}");
        last = count;
    }
    writer.await.unwrap();
    assert_eq!(lake.rows("SELECT count(*), sum(a) FROM t").await, ["1000|5500"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_query_stops() {
    // Dropping the stream ends the work: the engine can close and the runtime is free at once.
    let lake = flushed(50_000).await;
    let mut output = lake
        .query
        .run("SELECT count(*) FROM t a JOIN t b ON a.k = b.k JOIN t c ON b.k = c.k", SessionSettings::default())
        .await
        .unwrap();
    let answer = tokio::time::timeout(Duration::from_millis(300), output.batches.next()).await;
    assert!(answer.is_err(), "the query was to be too long");
    let started = Instant::now();
    drop(output);
    assert_eq!(lake.rows("SELECT max(n) FROM t").await, ["50000"]);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_queries_are_quick() {
    // Planning and scanning one row is far from the clock's noise, in a debug build too.
    let lake = Lake::new();
    lake.run("CREATE TABLE t (a INTEGER, b VARCHAR); INSERT INTO t VALUES (1, 'x')").await;
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..50 {
        let started = Instant::now();
        assert_eq!(lake.rows("SELECT b FROM t WHERE a = 1").await, ["x"]);
        times.push(started.elapsed());
    }
    times.sort();
    eprintln!("median of a one-row query: {:?}", times[25]);
    assert!(times[25] < Duration::from_millis(50), "{:?}", times[25]);
}

/// A table of every kind of type in segments and in memory: some values NULL, some floats NaN, infinite or negative zero.
async fn assorted() -> Lake {
    let lake = Lake::with_options(256 << 20, Options { row_group_rows: 1_000, ..Options::default() });
    let rows = |from: i64, to: i64| {
        format!(
            "SELECT CAST(value AS INTEGER) AS i, CAST(value % 100 AS UTINYINT) AS u, value % 3 = 0 AS b, \
             CASE WHEN value % 11 = 0 THEN NULL ELSE CAST(value % 400 AS DECIMAL(12, 2)) / 4 END AS d, \
             CASE value % 9 WHEN 0 THEN CAST('NaN' AS DOUBLE) WHEN 1 THEN -0.0e0 WHEN 2 THEN 0.0e0 \
             WHEN 3 THEN CAST('Infinity' AS DOUBLE) WHEN 4 THEN NULL ELSE value / 8.0e0 END AS f, \
             CASE WHEN value % 13 = 0 THEN NULL ELSE 'country ' || CAST(value % 40 AS VARCHAR) END AS few, \
             md5(CAST(value AS VARCHAR)) AS many, \
             to_timestamp_micros(1704067200000000 + value * 1000000) AS ts, \
             CAST(to_timestamp_micros(1704067200000000 + value % 50 * 86400000000) AS DATE) AS day \
             FROM generate_series({from}, {to}) AS s(value)"
        )
    };
    lake.run(&format!("CREATE TABLE t AS {}", rows(1, 4_500))).await;
    lake.engine.flush().unwrap();
    lake.run(&format!("INSERT INTO t {}", rows(4_501, 4_700))).await;
    lake
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_on_encoded_data_agree_with_the_query_engine() {
    // What storage evaluates lets through exactly the rows that the query engine's own filter does, for all types and special values,
    // with rows deleted and as of an earlier snapshot.
    let lake = assorted().await;
    let before = format!(" AT (VERSION => {})", lake.engine.snapshot().id());
    lake.run("DELETE FROM t WHERE i % 5 = 2").await;
    lake.run("INSERT INTO t (i, few, f) VALUES (5, 'country 7', 0.0e0), (-1, NULL, NULL)").await;
    for filter in [
        "i = 17",
        "i <> 17",
        "17 >= i",
        "i BETWEEN 990 AND 1010",
        "i IN (3, 999, 4600, -1)",
        "i IN (3, 999, 4600, -1, 8, 9, 10, NULL)",
        "i = 3 OR i = 4",
        "u < 7 AND i > 4000",
        "b",
        "NOT b AND u = 3",
        "d = 12.25",
        "d > 99",
        "d IS NULL AND few IS NOT NULL",
        "f = 0",
        "f < 0",
        "f >= 0.0e0",
        "f = CAST('NaN' AS DOUBLE)",
        "f > 1e300",
        "f <> 2.5e0",
        "f IN (0.0e0, 2.5e0, 3.125e0, 4e0, 5e0)",
        "few = 'country 7'",
        "few IN ('country 1', 'country 39', 'nowhere', 'x', 'y')",
        "few > 'country 5' AND many < '1'",
        "few <> 'country 7' OR few IS NULL",
        "many = md5('4444')",
        "many IN (md5('1'), md5('4700'), 'nothing', 'a', 'b')",
        "ts > TIMESTAMP '2024-01-01 01:15:00'",
        "ts BETWEEN TIMESTAMP '2024-01-01 00:20:00' AND TIMESTAMP '2024-01-01 00:20:05'",
        "day = DATE '2024-01-12' AND length(few) = 9 AND u IN (11, 61)",
        "length(many) = 32 AND i < 50",
    ] {
        for version in ["", before.as_str()] {
            let query = |filter: &str| format!("SELECT * FROM t{version} WHERE {filter} ORDER BY i, few");
            let pushed = lake.rows(&query(filter)).await;
            let evaluated = lake.rows(&query(&format!("coalesce(({filter}), false)"))).await;
            assert_eq!(pushed, evaluated, "{filter}{version}");
            let count = lake.rows(&format!("SELECT count(*) FROM t{version} WHERE {filter}")).await;
            assert_eq!(count, [evaluated.len().to_string()], "{filter}{version}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explain_tells_what_runs_on_encoded_data() {
    // Translated parts are named, rows they rule out are counted, and few rows are read late.
    let lake = flushed(20_000).await;
    let plan = lake.rows("EXPLAIN SELECT s FROM t WHERE k = 3 AND length(s) > 3 AND v IS NOT NULL").await.join("\n");
    assert!(plan.contains("on encoded data=[v@3 IS NOT NULL, k@1 = 3]"), "{plan}");
    let sql = "SELECT s FROM t WHERE v % 2 = 0 AND n IN (1500, 1502, 1503, 1510, 1511)";
    assert_eq!(lake.rows(sql).await.len(), 3);
    assert_eq!(metric(&lake, sql, "rows_filtered").await, 1_000 - 5);
    assert_eq!(metric(&lake, sql, "rows_late").await, 3);
    // Half of the rows are not read one by one.
    assert_eq!(metric(&lake, "SELECT s FROM t WHERE k < 5", "rows_late").await, 0);
    // The bound of a top-k rules out rows of units that zone maps cannot skip.
    let sql = "SELECT s FROM t ORDER BY k DESC, n LIMIT 5";
    assert_eq!(lake.rows(sql).await[0], "row 00000009");
}
