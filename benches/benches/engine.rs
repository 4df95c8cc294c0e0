//! The storage engine by itself: commits with their sync, flush to segments, scan, and opening with a full log.
//!
//! `cargo bench -p siltstone-benches --bench engine`. Rows are the load driver's clickstream events, decoded once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use siltstone_benches::events::Events;
use siltstone_ingest::{CaseTwins, Decoded, Fractions, Framing, Policy, UnknownFields, decode};
use siltstone_storage::io::OsDisk;
use siltstone_storage::{Change, ColumnId, Commit, Comparison, Engine, Options, Predicate, TableId, TableName, Value};
use tempfile::TempDir;

const POLICY: Policy = Policy {
    fractions: Fractions::Reject,
    unknown_fields: UnknownFields::Add,
    case_twins: CaseTwins::LastWins,
    nan_tokens: false,
    rows_max: usize::MAX,
    field_bytes_max: 1 << 20,
    row_depth_max: 100,
    new_columns_max: 100,
};

fn body(rows: usize) -> String {
    let mut events = Events::seeded(7);
    let mut text = String::from("[");
    for row in 0..rows {
        text.push_str(if row == 0 { "" } else { "," });
        events.push(&mut text);
    }
    text.push(']');
    text
}

/// An engine on a real disk with an empty table of events, and a batch for it.
struct Fixture {
    folder: TempDir,
    engine: Engine,
    table: TableId,
    rows: Decoded,
}

fn fixture(rows: usize, options: Options) -> Fixture {
    let folder = TempDir::new().expect("a temporary folder");
    let engine = open(&folder, options);
    let decoded = decode(body(rows).as_bytes(), Framing::Document, None, &POLICY).expect("events decode");
    let table = engine.new_table_id();
    let schema = Arc::new(decoded.schema.clone().expect("a new table"));
    let changes = vec![
        Change::CreateDatabase { name: "LAKE".into() },
        Change::CreateSchema { database: "LAKE".into(), name: "main".into() },
        Change::CreateTable { id: table, name: TableName::new("LAKE", "main", "events"), schema },
    ];
    engine.write(Commit::new(changes)).expect("a new table");
    Fixture { folder, engine, table, rows: decoded }
}

fn open(folder: &TempDir, options: Options) -> Engine {
    let disk = Arc::new(OsDisk::open(folder.path()).expect("a folder"));
    Engine::open(disk, options).expect("an engine")
}

impl Fixture {
    fn commit(&self) -> Commit {
        Commit::new(vec![Change::Append(self.rows.batch(self.table).expect("rows"))])
    }

    fn append(&self, commits: usize) {
        for _ in 0..commits {
            self.engine.write(self.commit()).expect("a commit");
        }
    }

    fn columns(&self) -> Vec<ColumnId> {
        self.rows.columns.iter().map(|(id, _)| *id).collect()
    }
}

/// One writer, one commit at a time: what an acknowledgement costs.
fn append_and_sync(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append_and_sync");
    for rows in [1, 1_000, 50_000] {
        let fixture = fixture(rows, Options::default());
        group.throughput(Throughput::Elements(rows as u64));
        group.bench_function(format!("{rows}_rows"), |bencher| {
            bencher.iter(|| fixture.engine.write(fixture.commit()).expect("a commit"));
        });
    }
    group.finish();
}

/// Sixty-four senders, one row each: group commit.
fn group_commit(criterion: &mut Criterion) {
    let fixture = fixture(1, Options::default());
    let mut group = criterion.benchmark_group("group_commit");
    group.throughput(Throughput::Elements(1));
    group.bench_function("64_in_flight", |bencher| {
        bencher.iter_custom(|commits| {
            let done = Arc::new(AtomicU64::new(0));
            let start = Instant::now();
            for sent in 0..commits {
                while sent >= done.load(Ordering::Acquire) + 64 {
                    std::thread::yield_now();
                }
                let done = Arc::clone(&done);
                fixture.engine.submit(fixture.commit(), move |outcome| {
                    outcome.expect("a commit");
                    done.fetch_add(1, Ordering::Release);
                });
            }
            while done.load(Ordering::Acquire) < commits {
                std::thread::yield_now();
            }
            start.elapsed()
        });
    });
    group.finish();
}

/// A flush of 200,000 rows: columns to one synced segment file.
fn flush(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("flush");
    let rows = 200_000;
    group.throughput(Throughput::Elements(rows)).sample_size(10);
    group.bench_function("200000_rows", |bencher| {
        bencher.iter_batched(
            || {
                let fixture = fixture(50_000, Options { flush_bytes: u64::MAX, ..Options::default() });
                fixture.append(4);
                fixture
            },
            |fixture| {
                fixture.engine.flush().expect("a flush");
                fixture
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// Every value of every column, from mapped segments into Arrow arrays.
fn scan(criterion: &mut Criterion) {
    let fixture = fixture(50_000, Options { flush_bytes: u64::MAX, ..Options::default() });
    fixture.append(20);
    fixture.engine.flush().expect("a flush");
    let snapshot = fixture.engine.snapshot().table(fixture.table).expect("the table");
    let mut group = criterion.benchmark_group("scan");
    group.throughput(Throughput::Elements(snapshot.rows())).sample_size(20);
    let all = fixture.columns();
    for (name, columns) in [("12_columns", all.as_slice()), ("1_column", &all[8..9])] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let read = |unit: &siltstone_storage::ScanUnit| unit.read(columns).expect("columns").len();
                snapshot.units().iter().map(read).sum::<usize>()
            });
        });
    }
    group.finish();
}

/// The rows that a filter lets through, all columns of them: fewer and fewer users' events, one event by its id, and the whole table to
/// compare with.
fn select(criterion: &mut Criterion) {
    let fixture =
        fixture(1_000_000, Options { flush_bytes: u64::MAX, memtable_bytes_max: u64::MAX, ..Options::default() });
    fixture.append(1);
    fixture.engine.flush().expect("a flush");
    let snapshot = fixture.engine.snapshot().table(fixture.table).expect("the table");
    let mut group = criterion.benchmark_group("select_12_columns");
    group.throughput(Throughput::Elements(snapshot.rows())).sample_size(20);
    let all = fixture.columns();
    group.bench_function("everything", |bencher| {
        bencher.iter(|| snapshot.units().iter().map(|unit| unit.read(&all).expect("columns").len()).sum::<usize>());
    });
    let (id, user, country) = (all[0], all[1], all[6]);
    // Users are spread by a square: the first `n` of 200,000 have the root of n / 200,000 of the rows.
    let users = |n| Predicate::Compare { column: user, op: Comparison::Less, value: Value::Int(n) };
    let country = Predicate::Compare { column: country, op: Comparison::Equal, value: Value::Text("CH".into()) };
    let some_id = snapshot.units()[7].read(&[id]).expect("ids").remove(0);
    let some_id = some_id.as_string_view().value(77).to_owned();
    let one = Predicate::Compare { column: id, op: Comparison::Equal, value: Value::Text(some_id) };
    for (name, predicates) in [
        ("half_of_the_rows", vec![users(50_000)]),
        ("a_tenth", vec![users(2_000)]),
        ("a_hundredth", vec![users(20)]),
        ("one_in_a_thousand", vec![country, users(100)]),
        ("one_row_by_id", vec![one]),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let read = |unit: &siltstone_storage::ScanUnit| {
                    let selected = unit.filter(&predicates).expect("a selection");
                    unit.read_selected(&all, &selected).expect("columns");
                    selected.rows()
                };
                snapshot.units().iter().map(read).sum::<usize>()
            });
        });
    }
    group.finish();
}

/// Opening with two million rows in the log: what a restart after a kill costs.
fn open_with_a_full_log(criterion: &mut Criterion) {
    let options = Options {
        flush_bytes: u64::MAX,
        flush_log_bytes: u64::MAX,
        memtable_bytes_max: u64::MAX,
        ..Options::default()
    };
    let fixture = fixture(1_000, options.clone());
    fixture.append(2_000);
    let Fixture { folder, engine, table, .. } = fixture;
    drop(engine);
    let mut group = criterion.benchmark_group("open");
    group.sample_size(10).measurement_time(Duration::from_secs(20));
    group.bench_function("2000000_rows_in_the_log", |bencher| {
        bencher.iter(|| {
            let engine = open(&folder, options.clone());
            assert_eq!(engine.snapshot().table(table).expect("the table").rows(), 2_000_000);
            engine
        });
    });
    group.finish();
}

criterion_group!(benches, append_and_sync, group_commit, flush, scan, select, open_with_a_full_log);
criterion_main!(benches);
