//! JSON to columns: how fast bodies become Arrow arrays on one core.
//!
//! The body is that of the ingest targets: clickstream events of 12 columns and about 280 bytes.

use std::fmt::Write;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use siltstone_ingest::{CaseTwins, Fractions, Framing, Policy, UnknownFields, decode, members};
use siltstone_storage::{LogicalType, NewColumn, TableSchema};

fn policy() -> Policy {
    Policy {
        fractions: Fractions::Round,
        unknown_fields: UnknownFields::Add,
        case_twins: CaseTwins::Reject,
        nan_tokens: true,
        rows_max: 1_000_000,
        field_bytes_max: 1 << 20,
        row_depth_max: 10,
        new_columns_max: 100,
    }
}

fn clickstream_table() -> TableSchema {
    let columns = [
        ("event_id", LogicalType::BigInt),
        ("user_id", LogicalType::BigInt),
        ("session_id", LogicalType::Varchar),
        ("event_type", LogicalType::Varchar),
        ("url", LogicalType::Varchar),
        ("referrer", LogicalType::Varchar),
        ("country", LogicalType::Varchar),
        ("device", LogicalType::Varchar),
        ("duration_ms", LogicalType::Integer),
        ("revenue", LogicalType::Double),
        ("is_new", LogicalType::Boolean),
        ("ts", LogicalType::Timestamp),
    ];
    let columns = columns.map(|(name, ty)| NewColumn::new(name, ty)).into();
    TableSchema::new(columns, &[]).expect("a valid schema")
}

/// One event, about 280 bytes; the numbers and texts vary with `i`.
fn push_event(out: &mut String, i: usize) {
    let kinds = ["page_view", "click", "scroll", "purchase", "signup"];
    let countries = ["DE", "FR", "US", "BR", "JP", "IN"];
    let devices = ["desktop", "mobile", "tablet"];
    let mixed = i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    write!(
        out,
        concat!(
            r#"{{"event_id":{},"user_id":{},"session_id":"s-{:012x}","event_type":"{}","#,
            r#""url":"/products/{}/item-{}","referrer":"https://news.example.org/{}","country":"{}","device":"{}","#,
            r#""duration_ms":{},"revenue":{}.{:02},"is_new":{},"ts":"2024-01-{:02}T{:02}:{:02}:{:02}.{:03}Z"}}"#
        ),
        1_000_000 + i,
        mixed % 5_000_000,
        mixed & 0xFFFF_FFFF_FFFF,
        kinds[mixed % kinds.len()],
        mixed % 40,
        mixed % 9_973,
        mixed % 701,
        countries[mixed % countries.len()],
        devices[mixed % devices.len()],
        mixed % 60_000,
        mixed % 500,
        mixed % 100,
        mixed.is_multiple_of(3),
        1 + mixed % 28,
        mixed % 24,
        mixed % 60,
        (mixed / 7) % 60,
        mixed % 1_000,
    )
    .expect("writing to a string");
}

fn events(rows: usize, separator: &str) -> String {
    let mut out = String::new();
    for i in 0..rows {
        out.push_str(if i == 0 { "" } else { separator });
        push_event(&mut out, i);
    }
    out
}

fn clickstream(c: &mut Criterion) {
    let (table, policy) = (clickstream_table(), policy());
    let mut group = c.benchmark_group("json/clickstream");
    for rows in [1, 10, 1_000, 50_000] {
        let body = format!("[{}]", events(rows, ","));
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_with_input(BenchmarkId::new("array", rows), &body, |b, body| {
            b.iter(|| decode(black_box(body.as_bytes()), Framing::Document, Some(&table), &policy).expect("valid"));
        });
    }
    let body = events(1_000, "\n");
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_with_input(BenchmarkId::new("ndjson", 1_000), &body, |b, body| {
        b.iter(|| decode(black_box(body.as_bytes()), Framing::Sequence, Some(&table), &policy).expect("valid"));
    });
    group.bench_with_input(BenchmarkId::new("new_table", 1_000), &body, |b, body| {
        b.iter(|| decode(black_box(body.as_bytes()), Framing::Sequence, None, &policy).expect("valid"));
    });
    group.finish();
}

fn envelope(c: &mut Criterion) {
    let body = format!(r#"{{"data":[{}],"config":{{"table":"bronze.events"}}}}"#, events(1_000, ","));
    let mut group = c.benchmark_group("json/envelope");
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("members", |b| b.iter(|| members(black_box(body.as_bytes())).expect("an object")));
    group.finish();
}

criterion_group!(benches, clickstream, envelope);
criterion_main!(benches);
