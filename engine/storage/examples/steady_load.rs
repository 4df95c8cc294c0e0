//! Many small commits and upserts for minutes, and what they do to the segments: how many there are, how often a byte is written, and what
//! commits and reads take meanwhile.
//!
//! ```sh
//! cargo run --release -p siltstone-storage --example steady_load -- /tmp/steady 600
//! ```
//!
//! Arguments: an empty folder; seconds (600); bytes in memory that make a flush, in KiB (1024); seconds that history is kept (60). A thousand
//! commits of one new row a second, and ten of a hundred rows each, of which half replace others, go into one table with a primary key.
//! Every half minute it prints a line. At the end it closes the engine, verifies every byte, opens it anew and counts.

use std::env;
use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, StringViewArray};
use siltstone_storage::io::OsDisk;
use siltstone_storage::{
    Batch, Change, ColumnId, Commit, Engine, LogicalType, Merge, Metrics, NewColumn, OnMatch, Options, TableId,
    TableName, TableSchema, verify,
};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const ID: ColumnId = ColumnId(1);
const TIME: ColumnId = ColumnId(2);
const VALUE: ColumnId = ColumnId(3);
const NOTE: ColumnId = ColumnId(4);

const CLIENTS: u64 = 50;
const COMMITS_PER_SECOND: u64 = 1000;
const UPSERTS_PER_SECOND: u64 = 10;
const UPSERT_ROWS: i64 = 100;
const LINE_SECONDS: u64 = 30;

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let folder = arguments.next().ok_or("usage: steady_load FOLDER [SECONDS] [FLUSH_KIB] [RETENTION_SECONDS]")?;
    let folder = Path::new(&folder);
    let mut number = |default: u64| arguments.next().map_or(Ok(default), |text| text.parse::<u64>());
    let (seconds, flush_kib, retention_seconds) = (number(600)?, number(1024)?, number(60)?);
    let options =
        Options { flush_bytes: flush_kib << 10, retention_ms: retention_seconds * 1000, ..Options::default() };

    let engine = Engine::open(Arc::new(OsDisk::open(folder)?), options.clone())?;
    let table = create(&engine)?;
    let load =
        Load { engine, table, next_id: AtomicI64::new(0), stop: AtomicBool::new(false), latencies: Mutex::default() };
    load.run(seconds)?;
    let expected = load.next_id.load(Ordering::Relaxed);
    drop(load);

    let verified = verify(&OsDisk::open(folder)?)?;
    let engine = Engine::open(Arc::new(OsDisk::open(folder)?), options)?;
    let rows = engine.snapshot().table(table).ok_or("the table is there")?.rows();
    println!("\nverified: {verified:?}\nrows: {rows}, as many as ids: {}", rows as i64 == expected);
    if rows as i64 == expected { Ok(()) } else { Err("rows are missing".into()) }
}

fn create(engine: &Engine) -> Result<TableId> {
    let id = engine.new_table_id();
    let columns = vec![
        NewColumn::new("id", LogicalType::BigInt),
        NewColumn::new("time", LogicalType::BigInt),
        NewColumn::new("value", LogicalType::BigInt),
        NewColumn::new("note", LogicalType::Varchar),
    ];
    let schema = Arc::new(TableSchema::new(columns, &["id".to_owned()])?);
    engine.write(Commit::new(vec![
        Change::CreateDatabase { name: "LAKE".into() },
        Change::CreateSchema { database: "LAKE".into(), name: "main".into() },
        Change::CreateTable { id, name: TableName::new("LAKE", "main", "events"), schema },
    ]))?;
    Ok(id)
}

/// The engine under load, and what its clients measure.
struct Load {
    engine: Engine,
    table: TableId,
    next_id: AtomicI64,
    stop: AtomicBool,
    /// Of commits since the last line, in microseconds.
    latencies: Mutex<Vec<u64>>,
}

impl Load {
    fn run(&self, seconds: u64) -> Result<()> {
        thread::scope(|scope| {
            let mut clients: Vec<_> = (0..CLIENTS)
                .map(|_| scope.spawn(|| self.paced(COMMITS_PER_SECOND / CLIENTS, |_| self.append())))
                .collect();
            clients.push(scope.spawn(|| self.paced(UPSERTS_PER_SECOND, |round| self.upsert(round))));
            let watched = self.watch(seconds);
            self.stop.store(true, Ordering::Relaxed);
            for client in clients {
                client.join().map_err(|_| "a client panicked")??;
            }
            watched
        })
    }

    /// Runs `each` so many times a second; late ones follow at once.
    fn paced(&self, per_second: u64, each: impl Fn(u64) -> Result<()>) -> Result<()> {
        let started = Instant::now();
        for round in 0.. {
            let due = Duration::from_micros(round * 1_000_000 / per_second);
            if let Some(early) = due.checked_sub(started.elapsed()) {
                thread::sleep(early);
            }
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            each(round)?;
        }
        Ok(())
    }

    fn append(&self) -> Result<()> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.commit(Change::Append(self.batch(vec![id])?))
    }

    /// Half new rows, half that take the place of others, anywhere.
    fn upsert(&self, round: u64) -> Result<()> {
        let new = UPSERT_ROWS / 2;
        let first = self.next_id.fetch_add(new, Ordering::Relaxed);
        let mut random = round.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut ids: Vec<i64> = (first..first + new).collect();
        // The newest ids may be of commits that are still on their way, which would then find their key taken.
        let old = (first - 5 * COMMITS_PER_SECOND as i64).max(0);
        for _ in 0..new {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ids.extend((old > 0).then(|| ((random >> 33) % old.unsigned_abs()) as i64));
        }
        let merge = Merge { batch: self.batch(ids)?, key: vec![ID], on_match: OnMatch::Replace, newer_by: Vec::new() };
        self.commit(Change::Merge(merge))
    }

    fn batch(&self, ids: Vec<i64>) -> Result<Batch> {
        let notes: ArrayRef = Arc::new(StringViewArray::from_iter_values(
            ids.iter().map(|id| format!("device {:05} reports from room {}", id.wrapping_mul(7919) % 20_000, id % 300)),
        ));
        let times: ArrayRef = Arc::new(Int64Array::from_iter_values(ids.iter().map(|id| 1_700_000_000_000 + id)));
        let values: ArrayRef = Arc::new(Int64Array::from_iter_values(ids.iter().map(|id| id.wrapping_mul(31) % 1000)));
        let rows = ids.len();
        let ids: ArrayRef = Arc::new(Int64Array::from(ids));
        Ok(Batch::new(self.table, rows, vec![(ID, ids), (TIME, times), (VALUE, values), (NOTE, notes)])?)
    }

    fn commit(&self, change: Change) -> Result<()> {
        let started = Instant::now();
        self.engine.write(Commit::new(vec![change]))?;
        let micros = started.elapsed().as_micros() as u64;
        self.latencies.lock().map_err(|_| "a client panicked")?.push(micros);
        Ok(())
    }

    /// Reads every second and prints a line now and then.
    fn watch(&self, seconds: u64) -> Result<()> {
        println!(
            "| s | commits/s | commit p50 / p99 / max ms | rows | dead rows | flushes | segments (+ commits') | units read | live MiB | written ÷ flushed | count µs | sum ms | ns/row |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
        let started = Instant::now();
        let mut reads = Vec::new();
        let mut last = self.engine.metrics();
        for second in 1..=seconds {
            thread::sleep(Duration::from_secs(second).saturating_sub(started.elapsed()));
            reads.push(self.read()?);
            if second % LINE_SECONDS == 0 || second == seconds {
                let metrics = self.engine.metrics();
                self.print(second, &last, &metrics, &mut reads)?;
                last = metrics;
            }
        }
        Ok(())
    }

    /// Counts the rows, then sums a column of all of them: how long each takes.
    fn read(&self) -> Result<Read> {
        let started = Instant::now();
        let table = self.engine.snapshot().table(self.table).ok_or("the table is there")?;
        let rows = table.rows();
        let count = started.elapsed();
        let mut sum = 0_i64;
        for unit in table.units() {
            let columns = unit.read(&[VALUE])?;
            sum += columns[0].as_primitive::<Int64Type>().values().iter().sum::<i64>();
        }
        assert!(sum >= 0, "values are not negative");
        Ok(Read { rows, units: table.units().len(), count, sum: started.elapsed() - count })
    }

    fn print(&self, second: u64, last: &Metrics, now: &Metrics, reads: &mut Vec<Read>) -> Result<()> {
        let mut latencies = std::mem::take(&mut *self.latencies.lock().map_err(|_| "a client panicked")?);
        latencies.sort_unstable();
        let latency = |share: f64| {
            let at = ((latencies.len().max(1) - 1) as f64 * share) as usize;
            latencies.get(at).copied().unwrap_or(0) as f64 / 1000.0
        };
        let segments = self.engine.snapshot().segments();
        let own = segments.iter().filter(|segment| segment.table == self.table).count();
        let written =
            (now.flush_bytes_written + now.compaction_bytes_written) as f64 / now.flush_bytes_written.max(1) as f64;
        reads.sort_by_key(|read| read.sum);
        let median = &reads[reads.len() / 2];
        let mut counts: Vec<_> = reads.iter().map(|read| read.count).collect();
        counts.sort_unstable();
        let units = reads.iter().map(|read| read.units).max().unwrap_or(0);
        println!(
            "| {second} | {} | {:.1} / {:.1} / {:.0} | {} | {} | {} | {own} (+{}) | {units} | {:.1} | {written:.2} | {:.0} | {:.2} | {:.1} |",
            (now.commits - last.commits) / LINE_SECONDS.min(second),
            latency(0.5),
            latency(0.99),
            latency(1.0),
            median.rows,
            now.deleted_rows,
            now.flushes,
            segments.len() - own,
            now.live_bytes as f64 / f64::from(1 << 20),
            counts[counts.len() / 2].as_secs_f64() * 1e6,
            median.sum.as_secs_f64() * 1e3,
            median.sum.as_secs_f64() * 1e9 / median.rows.max(1) as f64,
        );
        reads.clear();
        Ok(())
    }
}

/// What one reading took.
struct Read {
    rows: u64,
    units: usize,
    count: Duration,
    sum: Duration,
}
