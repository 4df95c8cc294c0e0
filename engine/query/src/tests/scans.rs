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
         CASE WHEN value % 7 = 0 THEN NULL ELSE value END AS v FROM generate_series(1, {rows}) ORDER BY value"
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
        lake.run("INSERT INTO t SELECT value, value % 10, 'memory', CASE WHEN value % 7 = 0 THEN NULL ELSE value END FROM generate_series(5001, 5100)").await;
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
                lake.run("INSERT INTO t SELECT value FROM generate_series(1, 10)").await;
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
