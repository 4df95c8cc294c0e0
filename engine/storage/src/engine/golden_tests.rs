//! A whole data directory as version 3 wrote it: manifest, a segment, and a log with commits after the checkpoint.
//!
//! `tests/golden/database/v3/` is written once, by `cargo test -p siltstone-storage --lib -- --ignored make_golden_database`, and never again
//! once the versions are released.

use std::fs;
use std::path::{Path, PathBuf};

use super::tests::{append, create, current};
use super::*;
use crate::ids::SnapshotId;
use crate::io::OsDisk;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/database/v3")
}

fn options() -> Options {
    Options {
        background: false,
        log_file_bytes: 8 << 10,
        log_spare_files_max: 0,
        disk_reserve_bytes: 0,
        ..Options::default()
    }
}

fn open(folder: &Path) -> Result<Engine> {
    Engine::open(Arc::new(OsDisk::open(folder).unwrap()), options())
}

/// A copy that a test may open: opening writes.
fn copy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files() {
        let target = folder.path().join(file.strip_prefix(golden()).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&file, target).unwrap();
    }
    folder
}

fn files() -> Vec<PathBuf> {
    let inside = |folder: PathBuf| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let (folders, mut files): (Vec<_>, Vec<_>) = inside(golden()).into_iter().partition(|path| path.is_dir());
    files.extend(folders.into_iter().flat_map(inside));
    files
}

#[test]
#[ignore = "makes the golden files of new format versions"]
fn make_golden_database() {
    fs::create_dir_all(golden()).unwrap();
    let engine = open(&golden()).unwrap();
    let table = create(&engine);
    append(&engine, table, 0..150);
    engine.flush().unwrap();
    append(&engine, table, 150..160);
    append(&engine, table, 160..161);
    engine.close().unwrap();
}

/// Directories written by version 3 are read, row for row.
#[test]
fn version_3_opens() {
    let folder = copy();
    let verified = crate::verify::verify(&OsDisk::open(folder.path()).unwrap()).unwrap();
    assert_eq!((verified.tables, verified.segments, verified.segment_rows, verified.log_commits), (1, 2, 152, 2));
    let engine = open(folder.path()).unwrap();
    let table = engine.snapshot().catalog().table("lake", "main", "events").unwrap().id;
    assert_eq!(current(&engine, table), (0..161).collect::<Vec<_>>());
    assert_eq!(engine.snapshot().id(), SnapshotId(4));
}

/// A cut or altered file of a golden directory is reported by `verify`, or harmless: it never shows other rows and never panics.
#[test]
fn damaged_copies_are_reported() {
    for file in files() {
        let name = file.strip_prefix(golden()).unwrap().to_owned();
        let whole = fs::read(&file).unwrap();
        for at in (0..whole.len()).step_by(61) {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x10;
            for damaged in [&flipped[..], &whole[..at]] {
                let folder = copy();
                fs::write(folder.path().join(&name), damaged).unwrap();
                if let Ok(verified) = crate::verify::verify(&OsDisk::open(folder.path()).unwrap()) {
                    assert_eq!((verified.segment_rows, verified.tables), (152, 1), "{name:?} at {at}");
                    assert!(verified.log_commits <= 2, "{name:?} at {at}");
                }
            }
        }
    }
}
