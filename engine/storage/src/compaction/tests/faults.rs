//! Compactions that are cut off, fail or find the disk full.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array};

use super::*;

/// Cut off at any call, a compaction leaves the old segments or the new one; acknowledged commits are there either way, as is all history.
#[test]
fn a_crash_at_any_call_loses_nothing() {
    let disk = SimDisk::new(3);
    let engine = open(&disk);
    let (table, mut history) = four_segments(&engine);
    let mut model = history.last().unwrap().1.clone();
    let snapshot = upsert(&engine, table, [2, 20], 60);
    model.extend([(2, 60), (20, 60)]);
    history.push((snapshot, model));
    drop(engine);
    let clean = disk.fork();
    let engine = open(&clean);
    let start = clean.counts().calls;
    compact_all(&engine);
    let calls = clean.counts().calls - start;
    drop(engine);
    assert!(calls > 40, "{calls}");
    let (mut old, mut new) = (0, 0);
    for call in 0..=calls {
        let cut = disk.fork();
        let engine = open(&cut);
        cut.crash_at_call(cut.counts().calls + call);
        while matches!(engine.compact(), Ok(true)) {}
        drop(engine);
        let crashed = cut.crash();
        verify(&crashed).unwrap_or_else(|error| panic!("call {call}: {error}"));
        let engine = open(&crashed);
        for (at, rows) in &history {
            assert_eq!(read(&engine.snapshot(), table, *at), *rows, "call {call}, as of {at}");
        }
        match segments(&engine, table) {
            1 => new += 1,
            _ => old += 1,
        }
        upsert(&engine, table, [2], 61);
        compact_all(&engine);
        assert_eq!(current(&engine, table)[&2], 61, "call {call}");
    }
    assert!(old > 0 && new > 0);
}

/// A call that fails once leaves an engine that goes on, or refuses writes; what it then acknowledges survives a crash.
#[test]
fn a_failed_call_loses_nothing() {
    let disk = SimDisk::new(4);
    let engine = open(&disk);
    let (table, history) = four_segments(&engine);
    drop(engine);
    let clean = disk.fork();
    let engine = open(&clean);
    let start = clean.counts().calls;
    compact_all(&engine);
    let calls = clean.counts().calls - start;
    drop(engine);
    let mut latched = 0;
    for call in 0..calls {
        let disk = disk.fork();
        let engine = open(&disk);
        disk.fail_call(disk.counts().calls + call);
        let failed = loop {
            match engine.compact() {
                Ok(true) => {}
                Ok(false) => break false,
                Err(_) => break true,
            }
        };
        let mut history = history.clone();
        let rows: Vec<i64> = (0..40).step_by(3).collect();
        let values: ArrayRef = Arc::new(Int64Array::from(vec![70; rows.len()]));
        let batch =
            Batch::new(table, rows.len(), vec![(ID, Arc::new(Int64Array::from(rows.clone())) as _), (VALUE, values)]);
        let merge = Merge { batch: batch.unwrap(), key: vec![ID], on_match: OnMatch::Replace, newer_by: Vec::new() };
        match engine.write(Commit::new(vec![Change::Merge(merge)])) {
            Ok(done) => {
                let mut model = history.last().unwrap().1.clone();
                model.extend(rows.iter().map(|id| (*id, 70)));
                history.push((done.snapshot, model));
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Latched);
                assert!(failed, "call {call}");
                latched += 1;
            }
        }
        let crashed = disk.crash();
        verify(&crashed).unwrap_or_else(|error| panic!("call {call}: {error}"));
        let engine = open(&crashed);
        for (at, rows) in &history {
            assert_eq!(read(&engine.snapshot(), table, *at), *rows, "call {call}, as of {at}");
        }
        compact_all(&engine);
    }
    assert!(latched > 0);
}

/// A compaction that finds the disk full changes nothing, gives its space back, and succeeds once there is room.
#[test]
fn a_full_disk_stops_a_compaction_cleanly() {
    let disk = SimDisk::new(5);
    let engine = open(&disk);
    let (table, history) = four_segments(&engine);
    let room = 1 << 30;
    disk.set_capacity(Some(room));
    let files = disk.list("segments").unwrap();
    let taken = room - disk.free_bytes().unwrap();
    let mut failures = 0;
    for spare in (0..12_000).step_by(300) {
        disk.set_capacity(Some(taken + spare));
        if let Err(error) = engine.compact() {
            assert_eq!(error.kind(), ErrorKind::Exhausted);
            assert_eq!(disk.list("segments").unwrap(), files);
            failures += 1;
        } else {
            break;
        }
    }
    assert!(failures > 3, "{failures}");
    disk.set_capacity(None);
    compact_all(&engine);
    assert_eq!(engine.metrics().compaction_failures, failures);
    assert_eq!(current(&engine, table), history.last().unwrap().1);
}
