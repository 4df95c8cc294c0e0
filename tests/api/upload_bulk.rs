//! Files too large for memory and log: they land wholly or not at all, in bounded memory, and survive what everything else survives.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use reqwest::Method;
use reqwest::blocking::Body;
use serde_json::json;
use siltstone_tests::{Api, Reply, Server};

use crate::launch;
use crate::upload::{refusal, upload};

/// Rows of `id,name`, some 40 bytes each.
fn csv(ids: std::ops::Range<u32>) -> String {
    ids.map(|id| format!("{id},{:0>32}\n", id.wrapping_mul(2_654_435_761))).collect()
}

/// More rows than go through the log: some 24 MB of text.
const MANY: u32 = 600_000;

fn count_and_sum(api: &Api, table: &str) -> Vec<serde_json::Value> {
    api.rows(&format!("SELECT count(*), sum(id), count(DISTINCT name) FROM {table}")).remove(0)
}

#[test]
fn a_large_file_is_one_commit() {
    // Its rows come with one snapshot and none before it, into a new table and one that has rows; kill -9 takes nothing away.
    let server = Server::start(launch());
    let api = server.api();
    assert_eq!(upload(&api, "large", "&mode=create", "id,name\n0,x\n").status, 200);
    let before = api.rows("SELECT max(snapshot_id) FROM snapshots()").remove(0).remove(0);
    let reply = upload(&api, "large", "&mode=append", format!("id,name\n{}", csv(1..MANY)));
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.json()["rows"], json!(MANY - 1));
    let snapshot: u64 = reply.header("x-snapshot-id").parse().expect("a snapshot id");
    assert_eq!(json!(snapshot - 1), before, "one commit");
    let all = vec![json!(MANY), json!(u64::from(MANY) * u64::from(MANY - 1) / 2), json!(MANY)];
    assert_eq!(count_and_sum(&api, "large"), all);
    let earlier = api.succeed(&format!("SELECT count(*) FROM large AT (VERSION => {before})"));
    assert_eq!(*earlier.single(), json!(1));
    assert!(api.query_error("CREATE TABLE large (id BIGINT)").contains("already exists"));
    let json: String = (0..MANY).map(|id| format!("{{\"id\":{id},\"name\":\"{id:0>32}\"}}\n")).collect();
    assert_eq!(upload(&api, "replaced_whole", "&mode=create", "old\n1\n").status, 200);
    let reply = upload(&api, "replaced_whole", "&mode=overwrite", json);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let server = server.kill_and_restart();
    let api = server.api();
    assert_eq!(count_and_sum(&api, "large"), all);
    assert_eq!(count_and_sum(&api, "replaced_whole"), all);
    api.succeed("DELETE FROM large WHERE id % 2 = 0");
    assert_eq!(api.count("large"), u64::from(MANY / 2));
    let server = server.kill_and_restart();
    assert_eq!(server.api().count("large"), u64::from(MANY / 2));
}

#[test]
fn a_large_file_with_a_bad_end_leaves_nothing() {
    // Segments were written already when the last row turns out bad: the table, the schema and the files are as before.
    let server = Server::start(launch());
    let api = server.api();
    let segments = || server.data().files().iter().filter(|path| path.starts_with("segments")).count();
    let before = segments();
    let path = "/upload?catalog=LAKE&schema=fresh&table=bad&mode=create";
    let request = api.request(Method::POST, path).header("authorization", api.basic());
    let reply = Reply::from(request.body(format!("id,name\n{}1\n", csv(0..MANY))));
    assert!(refusal(&reply).ends_with("expected 2 fields as in the header, found 1"), "{}", reply.text());
    assert!(api.query_error("SELECT * FROM fresh.bad").contains("does not exist"));
    assert!(api.rows("SELECT schema_name FROM information_schema.schemata WHERE schema_name = 'fresh'").is_empty());
    api.succeed("CREATE TABLE narrow (id BIGINT, name VARCHAR)");
    let reply = upload(&api, "narrow", "&mode=append", format!("id,name\n{}x,y\n", csv(0..MANY)));
    assert!(refusal(&reply).contains("cannot convert string 'x' to BIGINT"), "{}", reply.text());
    assert_eq!(api.count("narrow"), 0);
    assert_eq!(segments(), before, "no file is left");
}

/// Writes a Parquet file of so many rows of `id` and a text that does not compress; returns its length.
fn large_parquet(path: &Path, rows: i64) -> u64 {
    const BATCH: i64 = 50_000;
    let batch = |first: i64| {
        let mut random = fastrand::Rng::with_seed(first as u64);
        let ids: ArrayRef = Arc::new((first..first + BATCH).collect::<Int64Array>());
        let text = |_| (0..64).map(|_| random.alphanumeric()).collect::<String>();
        let names: ArrayRef = Arc::new(StringArray::from_iter_values((0..BATCH).map(text)));
        RecordBatch::try_from_iter([("id", ids), ("name", names)]).expect("a batch")
    };
    let first = batch(0);
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let file = File::create(path).expect("a file");
    let mut writer = ArrowWriter::try_new(file, first.schema(), Some(properties)).expect("a writer");
    writer.write(&first).expect("rows");
    (BATCH..rows).step_by(BATCH as usize).for_each(|start| writer.write(&batch(start)).expect("rows"));
    writer.close().expect("a footer");
    std::fs::metadata(path).expect("a file").len()
}

#[test]
fn memory_does_not_grow_with_the_file() {
    // A Parquet file of 215 MB, or of 70 bytes times what the environment says, lands in the same memory whatever its size.
    let server = Server::start(launch());
    let api = server.api();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("large.parquet");
    let rows =
        std::env::var("SILTSTONE_TEST_LARGE_ROWS").map_or(3_000_000, |rows| rows.parse().expect("a number of rows"));
    let bytes = large_parquet(&path, rows);
    assert!(bytes > 60 * rows as u64, "{bytes}");
    let before = server.peak_memory_bytes();
    let target = "/upload?catalog=LAKE&schema=main&table=streamed&mode=create";
    let request = api.request(Method::POST, target).header("authorization", api.basic());
    let body = Body::sized(File::open(&path).expect("the file"), bytes);
    let reply = Reply::from(request.timeout(std::time::Duration::from_secs(3600)).body(body));
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.json()["rows"], json!(rows));
    let grown = server.peak_memory_bytes() - before;
    println!("{bytes} bytes: memory grew by {grown}");
    assert!(grown < 160 << 20, "memory grew by {grown} bytes for a file of {bytes}");
    assert_eq!(api.count("streamed"), rows as u64);
}
