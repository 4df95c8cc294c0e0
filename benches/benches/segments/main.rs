//! Segments against Parquet: bytes per row, scan of one column, decoding everything, and encoding, on the same rows.
//!
//! `cargo bench -p siltstone-benches --bench segments`. `SILTSTONE_BENCH_ROWS` sets the rows of clickstream (default 1,000,000) and
//! `SILTSTONE_BENCH_LINES` those of lineitem (default 1,000,000; scale factor 1 has 6,001,215). Parquet is arrow-rs's, zstd level 3, all else
//! default, read from memory in batches of 8,192 rows; segments are read from a map. One thread each.

use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{Field, Schema, SchemaRef};
use bytes::Bytes;
use criterion::{Criterion, Throughput};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use siltstone_storage::LogicalType;
use siltstone_storage::bench::BenchSegment;
use siltstone_storage::io::{Disk, OsDisk};

mod clickstream;
mod lineitem;

const BATCH_ROWS: usize = 65_536;
const PARQUET_BATCH_ROWS: usize = 8_192;
const ENCODED_ROWS: usize = 4 * BATCH_ROWS;

/// Rows that are made as they are written, so that no more than a batch is in memory.
pub(crate) trait Dataset {
    fn columns(&self) -> Vec<(&'static str, LogicalType)>;
    fn batch(&mut self, rows: usize) -> Vec<ArrayRef>;
}

/// Both forms of the same rows.
struct Written {
    name: &'static str,
    columns: Vec<(&'static str, LogicalType)>,
    segment: BenchSegment,
    parquet: Bytes,
    metadata: ArrowReaderMetadata,
}

fn arrow_schema(columns: &[(&'static str, LogicalType)]) -> SchemaRef {
    Arc::new(Schema::new(columns.iter().map(|(name, ty)| Field::new(*name, ty.arrow(), true)).collect::<Vec<_>>()))
}

fn parquet_writer<W: Write + Send>(to: W, schema: &SchemaRef) -> ArrowWriter<W> {
    let level = ZstdLevel::try_new(3).expect("a level of zstd");
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
    ArrowWriter::try_new(to, Arc::clone(schema), Some(properties)).expect("a Parquet writer")
}

fn write(name: &'static str, mut rows: impl Dataset, count: usize, disk: &Arc<dyn Disk>) -> Written {
    let columns = rows.columns();
    let schema = arrow_schema(&columns);
    let mut parquet = parquet_writer(Vec::new(), &schema);
    let mut left = count;
    let batches = std::iter::from_fn(|| {
        let now = left.min(BATCH_ROWS);
        left -= now;
        (now > 0).then(|| {
            let batch = rows.batch(now);
            let record = RecordBatch::try_new(Arc::clone(&schema), batch.clone()).expect("columns of one length");
            parquet.write(&record).expect("a batch in Parquet");
            batch
        })
    });
    let types: Vec<_> = columns.iter().map(|(_, ty)| ty.clone()).collect();
    let segment = BenchSegment::write(disk, name, &types, batches).expect("a segment");
    let parquet = Bytes::from(parquet.into_inner().expect("a Parquet file"));
    let metadata = ArrowReaderMetadata::load(&parquet, ArrowReaderOptions::new()).expect("a Parquet footer");
    Written { name, columns, segment, parquet, metadata }
}

impl Written {
    /// Reads Parquet columns and hands on each; `None` reads all.
    fn scan_parquet(&self, column: Option<usize>, mut each: impl FnMut(ArrayRef)) {
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.parquet.clone(), self.metadata.clone());
        let mask = match column {
            Some(column) => ProjectionMask::leaves(builder.parquet_schema(), [column]),
            None => ProjectionMask::all(),
        };
        let reader = builder.with_batch_size(PARQUET_BATCH_ROWS).with_projection(mask).build().expect("a reader");
        for batch in reader {
            batch.expect("a batch from Parquet").columns().iter().cloned().for_each(&mut each);
        }
    }

    fn parquet_column_bytes(&self, column: usize) -> i64 {
        let groups = self.metadata.metadata().row_groups();
        groups.iter().map(|group| group.column(column).compressed_size()).sum()
    }

    /// Sizes and times of each column, and of the whole.
    fn report(&self) {
        let rows = self.segment.rows() as f64;
        println!("\n{}: {} rows", self.name, self.segment.rows());
        println!("{:<18}{:>9}{:>9}{:>7}{:>9}{:>9}  form", "column", "B/row", "Parquet", "ratio", "ns/row", "Parquet");
        for (place, (name, _)) in self.columns.iter().enumerate() {
            let (ours, theirs) = (self.segment.column_bytes(place) as f64, self.parquet_column_bytes(place) as f64);
            let scan = || self.segment.scan(place, |array| drop(black_box(array))).expect("a column");
            scan();
            let (our_time, their_time) =
                (fastest(scan), fastest(|| self.scan_parquet(Some(place), |array| drop(black_box(array)))));
            println!(
                "{name:<18}{:>9.3}{:>9.3}{:>7.2}{:>9.2}{:>9.2}  {}",
                ours / rows,
                theirs / rows,
                ours / theirs,
                our_time.as_secs_f64() * 1e9 / rows,
                their_time.as_secs_f64() * 1e9 / rows,
                self.segment.column_form(place),
            );
        }
        let (ours, theirs) = (self.segment.bytes() as f64, self.parquet.len() as f64);
        println!("{:<18}{:>9.3}{:>9.3}{:>7.3}", "whole file", ours / rows, theirs / rows, ours / theirs);
        self.compare();
    }

    /// Both readers see the same values, or the comparison means nothing.
    fn compare(&self) {
        for place in 0..self.columns.len() {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            self.segment.scan(place, |array| ours.push(array)).expect("a column");
            self.scan_parquet(Some(place), |array| theirs.push(array));
            let mut start = 0;
            let mut chunks = ours.iter();
            let mut chunk = chunks.next().expect("rows");
            for part in &theirs {
                let mut taken = 0;
                while taken < part.len() {
                    if start == chunk.len() {
                        (chunk, start) = (chunks.next().expect("as many rows"), 0);
                    }
                    let count = (part.len() - taken).min(chunk.len() - start);
                    assert_eq!(&chunk.slice(start, count), &part.slice(taken, count), "{}", self.columns[place].0);
                    (start, taken) = (start + count, taken + count);
                }
            }
        }
    }
}

fn fastest(mut run: impl FnMut()) -> Duration {
    let times = (0..3).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed()
    });
    times.min().expect("three runs")
}

fn scans(criterion: &mut Criterion, written: &Written, integer: &str) {
    let mut group = criterion.benchmark_group(written.name);
    group.sample_size(10).warm_up_time(Duration::from_secs(1));
    let place = written.columns.iter().position(|(name, _)| *name == integer).expect("the column");
    let width = written.columns[place].1.arrow().primitive_width().expect("an integer");
    group.throughput(Throughput::Bytes(written.segment.rows() * width as u64));
    let sink = |array: ArrayRef| drop(black_box(array));
    group.bench_function(format!("scan_{integer}/segment"), |b| {
        b.iter(|| written.segment.scan(place, sink).expect("a column"));
    });
    group.bench_function(format!("scan_{integer}/parquet"), |b| b.iter(|| written.scan_parquet(Some(place), sink)));
    group.throughput(Throughput::Elements(written.segment.rows()));
    group.bench_function("decode_all/segment", |b| b.iter(|| written.segment.scan_all(sink).expect("all columns")));
    group.bench_function("decode_all/parquet", |b| b.iter(|| written.scan_parquet(None, sink)));
    group.finish();
}

fn encodes(criterion: &mut Criterion, name: &'static str, mut rows: impl Dataset, disk: &Arc<dyn Disk>) {
    let columns = rows.columns();
    let types: Vec<_> = columns.iter().map(|(_, ty)| ty.clone()).collect();
    let schema = arrow_schema(&columns);
    let batches: Vec<_> = (0..ENCODED_ROWS / BATCH_ROWS).map(|_| rows.batch(BATCH_ROWS)).collect();
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10).warm_up_time(Duration::from_secs(1)).throughput(Throughput::Elements(ENCODED_ROWS as u64));
    let path = format!("{name}-encode");
    group.bench_function("encode/segment", |b| {
        b.iter(|| {
            let segment = BenchSegment::write(disk, &path, &types, batches.iter().cloned()).expect("a segment");
            disk.remove(&path).expect("a name to be free again");
            segment.bytes()
        });
    });
    group.bench_function("encode/parquet", |b| {
        b.iter(|| {
            let mut writer = parquet_writer(Vec::new(), &schema);
            for batch in &batches {
                let record = RecordBatch::try_new(Arc::clone(&schema), batch.clone()).expect("columns of one length");
                writer.write(&record).expect("a batch in Parquet");
            }
            writer.into_inner().expect("a Parquet file").len()
        });
    });
    group.finish();
}

fn rows_of(variable: &str) -> usize {
    std::env::var(variable).map_or(1_000_000, |rows| rows.parse().expect("a number of rows"))
}

fn main() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::open(folder.path()).expect("a folder"));
    let mut criterion = Criterion::default().configure_from_args();
    let clicks = write("clickstream", clickstream::Clickstream::new(), rows_of("SILTSTONE_BENCH_ROWS"), &disk);
    clicks.report();
    scans(&mut criterion, &clicks, "user_id");
    drop(clicks);
    encodes(&mut criterion, "clickstream", clickstream::Clickstream::new(), &disk);
    let lines = write("lineitem", lineitem::Lineitem::new(), rows_of("SILTSTONE_BENCH_LINES"), &disk);
    lines.report();
    scans(&mut criterion, &lines, "l_partkey");
    drop(lines);
    encodes(&mut criterion, "lineitem", lineitem::Lineitem::new(), &disk);
    criterion.final_summary();
}
