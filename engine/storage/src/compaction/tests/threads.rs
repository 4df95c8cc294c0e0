//! Compaction by the engine's own threads, on a real disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::*;
use crate::io::OsDisk;

/// With threads, dropping a table that has segments flushes by itself, so that its files go though nothing else is written.
#[test]
fn a_drop_alone_frees_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(OsDisk::open(folder.path()).unwrap());
    let engine = Engine::open(Arc::clone(&disk) as _, Options { background: true, ..options() }).unwrap();
    let (table, _) = four_segments(&engine);
    engine.write(Commit::new(vec![Change::DropTable { id: table }])).unwrap();
    let mut tries = 0;
    while engine.metrics().segments > 0 || disk.list("segments").unwrap().iter().any(|name| name.ends_with(".keys")) {
        thread::sleep(Duration::from_millis(20));
        tries += 1;
        assert!(tries < 500, "{:?}", disk.list("segments"));
    }
}

/// Writers that merge, readers that check that every snapshot adds up, and compactions of the engine's own thread.
#[test]
fn readers_and_writers_go_on_during_compaction() {
    let folder = tempfile::tempdir().unwrap();
    let disk = || Arc::new(OsDisk::open(folder.path()).unwrap()) as Arc<dyn Disk>;
    let settings = || Options {
        background: true,
        row_group_rows: 64,
        compaction_bytes_per_second: 0,
        compaction_threads: 2,
        retention_ms: 50,
        flush_bytes: 20_000,
        log_file_bytes: 1 << 18,
        ..options()
    };
    let engine = Engine::open(disk(), settings()).unwrap();
    let table = create(&engine);
    const IDS: i64 = 200;
    upsert(&engine, table, 0..IDS, 0);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..2_i64)
            .map(|writer| {
                let engine = &engine;
                scope.spawn(move || {
                    for round in 1..150_i64 {
                        // All of a writer's ids get one value per commit.
                        upsert(engine, table, (0..IDS).filter(|id| id % 2 == writer), round);
                    }
                })
            })
            .collect();
        let reader = scope.spawn(|| {
            let mut seen = 0_u64;
            while !done.load(Ordering::Relaxed) {
                let snapshot = engine.snapshot();
                let oldest = snapshot.horizon().max(SnapshotId(2));
                for at in [snapshot.id(), SnapshotId((snapshot.id().0 + oldest.0) / 2)] {
                    let rows = read(&snapshot, table, at);
                    assert_eq!(rows.len(), IDS as usize, "as of {at}");
                    let values =
                        |parity: i64| rows.iter().filter(move |(id, _)| *id % 2 == parity).map(|(_, value)| *value);
                    for parity in [0, 1] {
                        assert_eq!(values(parity).min(), values(parity).max(), "as of {at}");
                    }
                    seen += 1;
                }
            }
            seen
        });
        let outcomes: Vec<_> = writers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        assert!(outcomes.iter().all(Result::is_ok), "a writer failed");
        assert!(reader.join().unwrap() > 0);
    });
    let metrics = engine.metrics();
    assert!(metrics.compactions > 0 && metrics.flushes > 0, "{metrics:?}");
    assert_eq!(metrics.compaction_failures, 0);
    assert_eq!(current(&engine, table), all(&[(0..IDS, 149)]));
    engine.health().unwrap();
    engine.close().unwrap();
    drop(engine);
    verify(disk().as_ref()).unwrap();
    assert_eq!(current(&Engine::open(disk(), settings()).unwrap(), table), all(&[(0..IDS, 149)]));
}
