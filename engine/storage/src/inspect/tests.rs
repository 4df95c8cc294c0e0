use std::io::IoSlice;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, StringViewArray};

use super::*;
use crate::catalog::TableName;
use crate::commit::{Batch, Commit, OnMatch};
use crate::engine::Engine;
use crate::ids::{ColumnId, TableId};
use crate::io::sim::SimDisk;
use crate::logical_type::LogicalType;
use crate::options::Options;
use crate::schema::{NewColumn, TableSchema};

fn batch(table: TableId, ids: std::ops::Range<i64>) -> Batch {
    let names: ArrayRef = Arc::new(StringViewArray::from_iter_values(ids.clone().map(|id| format!("name {id}"))));
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(ids));
    Batch::new(table, ids.len(), vec![(ColumnId(1), ids), (ColumnId(2), names)]).unwrap()
}

fn merge(table: TableId, ids: std::ops::Range<i64>) -> Commit {
    let batch = batch(table, ids);
    let merge = Merge { batch, key: vec![ColumnId(1)], on_match: OnMatch::Replace, newer_by: Vec::new() };
    let info = CommitInfo { author: Some("somebody".into()), ..CommitInfo::default() };
    Commit { info, ..Commit::new(vec![Change::Merge(merge)]) }
}

/// A database with every kind of file: two segments of a table, a delete vector, a key index, a log with merges.
fn database() -> SimDisk {
    let disk = SimDisk::new(1);
    let options = Options {
        background: false,
        log_file_bytes: 1 << 14,
        disk_reserve_bytes: 0,
        row_group_rows: 100,
        ..Options::default()
    };
    let engine = Engine::open(Arc::new(disk.clone()), options).unwrap();
    let table = engine.new_table_id();
    let columns = vec![NewColumn::new("id", LogicalType::BigInt), NewColumn::new("name", LogicalType::Varchar)];
    let schema = Arc::new(TableSchema::new(columns, &["id".into()]).unwrap());
    let changes = vec![
        Change::CreateDatabase { name: "LAKE".into() },
        Change::CreateSchema { database: "LAKE".into(), name: "main".into() },
        Change::CreateTable { id: table, name: TableName::new("LAKE", "main", "events"), schema },
    ];
    engine.write(Commit::new(changes)).unwrap();
    engine.write(merge(table, 0..250)).unwrap();
    engine.flush().unwrap();
    engine.write(merge(table, 240..260)).unwrap();
    engine.flush().unwrap();
    engine.write(merge(table, 255..270)).unwrap();
    engine.close().unwrap();
    disk.restart()
}

/// All files of a directory.
fn files(disk: &SimDisk) -> Vec<String> {
    let in_folder = |folder: &str| -> Vec<String> {
        let names = disk.list(folder).unwrap();
        names.into_iter().map(|name| if folder.is_empty() { name } else { format!("{folder}/{name}") }).collect()
    };
    ["", log::FOLDER, SEGMENT_FOLDER].into_iter().flat_map(in_folder).collect()
}

fn printed(run: impl FnOnce(&mut dyn Write) -> Result<()>) -> (String, Result<()>) {
    let mut out = Vec::new();
    let outcome = run(&mut out);
    (String::from_utf8(out).unwrap(), outcome)
}

/// A disk with one file, which holds these bytes.
fn disk_of(path: &str, bytes: &[u8]) -> SimDisk {
    let disk = SimDisk::new(2);
    disk.create_dir(log::FOLDER).unwrap();
    disk.create_dir(SEGMENT_FOLDER).unwrap();
    disk.create(path).unwrap().write_at(0, &[IoSlice::new(bytes)]).unwrap();
    disk
}

#[test]
fn every_kind_of_file_is_described() {
    // What a person looks for is there: names, types, rows, commits, encodings, bounds, what was deleted, by whom.
    let disk = database();
    let mut seen = String::new();
    for path in files(&disk) {
        let (text, outcome) = printed(|out| inspect_file(&disk, &path, out));
        outcome.unwrap_or_else(|error| panic!("{path}: {error}\n{text}"));
        seen.push_str(&text);
    }
    for wanted in [
        "checkpoint: snapshot 3",
        "LAKE.main.events",
        "column 1: id BIGINT, in the primary key",
        "250 rows in 3 row groups",
        "from 0 to 99",
        "from \"name 0\" to \"name 99\"",
        "10 of 250 rows deleted, the last by snapshot 3",
        "rows by columns 1, Exact keys",
        "snapshot 4 at 20",
        "append 15 rows to table 1, columns 1 2",
        "delete 5 rows of segment",
        "author: \"somebody\"",
        "closed after snapshot 4",
    ] {
        assert!(seen.contains(wanted), "no {wanted:?} in\n{seen}");
    }
}

#[test]
fn a_directory_is_described() {
    // The manifest, then each file with its state; what is missing or superfluous is said, and an empty directory is none.
    let disk = database();
    let (text, outcome) = printed(|out| inspect_directory(&disk, out));
    outcome.unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert!(text.contains("1 commits after snapshot 3, closed") && !text.contains("damaged"), "{text}");

    let deletes = files(&disk).into_iter().find(|path| path.ends_with(".deletes")).unwrap();
    disk.remove(&deletes).unwrap();
    disk.create("segments/stray.segment").unwrap();
    let (text, outcome) = printed(|out| inspect_directory(&disk, out));
    let error = outcome.unwrap_err();
    assert!(text.contains("segments/stray.segment: damaged, not named by the manifest"), "{text}");
    assert!(text.contains(&deletes) && error.message().contains("more"), "{error}\n{text}");

    let manifest = files(&disk).remove(0);
    disk.remove(&manifest).unwrap();
    let (text, outcome) = printed(|out| inspect_directory(&disk, out));
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(text.contains("MANIFEST-*"), "{text}");
    let (_, outcome) = printed(|out| inspect_directory(&SimDisk::new(3), out));
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn damage_is_found_where_it_is() {
    // A flipped bit in any byte that counts is reported with the file's name; truncations, too; nothing panics. Only the log has bytes that do not
    // count: its header's page, and what follows its closing mark.
    let disk = database();
    for path in files(&disk) {
        let bytes = disk.contents(&path).unwrap();
        let spare = path.ends_with(".spare") || path.ends_with(".new");
        let counts = if path.starts_with(log::FOLDER) { 48.min(bytes.len()) } else { bytes.len() };
        for at in (0..bytes.len()).step_by(1 + bytes.len() / 500) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            let (text, outcome) = printed(|out| inspect_file(&disk_of(&path, &damaged), &path, out));
            let reported = outcome.is_err_and(|error| text.contains("DAMAGED: ") && error.message().contains(&path));
            assert!(reported || spare || at >= counts, "{path}: nothing found at {at}\n{text}");
            let (_, outcome) = printed(|out| inspect_file(&disk_of(&path, &bytes[..at]), &path, out));
            assert!(outcome.is_err() || spare || at >= counts, "{path}: cut at {at} and nothing found");
        }
    }
}

#[test]
fn a_damaged_record_and_a_torn_one_differ() {
    // Damage before the closing mark is an error with the record's offset; the same without the mark is where the log ends.
    let disk = database();
    let is_log = |path: &String| path.ends_with(".log");
    let path = files(&disk).into_iter().rfind(is_log).unwrap();
    let mut bytes = disk.contents(&path).unwrap();
    bytes[4096 + 60] ^= 1;
    let (text, outcome) = printed(|out| inspect_file(&disk_of(&path, &bytes), &path, out));
    let error = outcome.unwrap_err();
    assert!(error.message().contains("offset=4096"), "{error}\n{text}");
    bytes[4096 + 100..].fill(0);
    let (text, outcome) = printed(|out| inspect_file(&disk_of(&path, &bytes), &path, out));
    outcome.unwrap();
    assert!(text.contains("offset 4096: the end; expected body checksum"), "{text}");
}

#[test]
fn what_is_not_ours_is_said_to_be() {
    // Any other file is refused by name, and a missing one is `NotFound`.
    let disk = disk_of("notes.txt", b"hello, world");
    let (_, outcome) = printed(|out| inspect_file(&disk, "notes.txt", out));
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Unsupported);
    let (_, outcome) = printed(|out| inspect_file(&disk, "missing", out));
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn times_are_calendar_days() {
    // Known moments, leap days and the time before 1970 among them.
    for (time_us, expected) in [
        (0, "1970-01-01T00:00:00.000000Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
        (1_709_251_199_000_001, "2024-02-29T23:59:59.000001Z"),
        (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
    ] {
        assert_eq!(utc(time_us), expected);
    }
    assert!(utc(i64::MIN).starts_with('-') && utc(i64::MAX).starts_with("294247"));
}
