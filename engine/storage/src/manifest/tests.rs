use std::sync::Arc;

use super::*;
use crate::catalog::TableName;
use crate::commit::Change;
use crate::error::ErrorKind;
use crate::ids::ColumnId;
use crate::io::sim::SimDisk;
use crate::logical_type::LogicalType;
use crate::schema::{NewColumn, TableSchema};
use crate::value::Value;
use crate::view::{Commented, Layout, PartitionKey, SortKey, Transform, View, ViewColumn};

fn manifest() -> Manifest {
    let mut catalog = Catalog::default();
    let name = TableName::new("LAKE", "main", "events");
    let column = NewColumn { default: Some(Value::Text("x".into())), ..NewColumn::new("note", LogicalType::Varchar) };
    let schema = TableSchema::new(vec![NewColumn::new("id", LogicalType::BigInt), column], &["id".into()]).unwrap();
    let changes = [
        Change::CreateDatabase { name: "LAKE".into() },
        Change::CreateSchema { database: "lake".into(), name: "main".into() },
        Change::CreateTable { id: TableId(4), name, schema: Arc::new(schema) },
    ];
    let column = ViewColumn { name: "id".into(), type_name: "BIGINT".into(), comment: None };
    let view = View {
        name: TableName::new("lake", "MAIN", "recent"),
        query: "FROM events".into(),
        home_database: "LAKE".into(),
        home_schema: "main".into(),
        columns_named: true,
        columns: vec![column],
        comment: Some("the last of them".into()),
    };
    let key = PartitionKey { column: ColumnId(1), transform: Transform::Bucket(8) };
    let sort = SortKey { column: ColumnId(2), descending: true, nulls_first: true };
    let layout = Layout { partitioned_by: vec![key], sorted_by: vec![sort] };
    let schema = Commented::Schema { database: "lake".into(), name: "main".into() };
    let described = [
        Change::CreateView { view: Arc::new(view), replace: false },
        Change::Comment { on: Commented::Table(TableId(4)), text: Some("what happened".into()) },
        Change::Comment { on: Commented::Column(TableId(4), ColumnId(2)), text: Some("free text".into()) },
        Change::Comment { on: schema, text: Some("the first".into()) },
        Change::SetLayout { id: TableId(4), layout },
    ];
    for (at, change) in changes.iter().chain(&described).enumerate() {
        catalog.apply(change, SnapshotId(at as u64 + 1)).unwrap();
    }
    Manifest {
        generation: 3,
        checkpoint: SnapshotId(9),
        checkpoint_time_us: 1_700_000_000_000_000,
        next_table: TableId(5),
        next_segment: SegmentId(7),
        catalog,
        key_secret: [5; 16],
        deletes_through: SnapshotId(8),
        horizon: SnapshotId(2),
        row_counts: [(TableId(4), 11)].into(),
        segments: vec![
            SegmentEntry {
                id: SegmentId(5),
                table: TableId(4),
                rows: 10,
                bytes: 999,
                checksum: 77,
                first_row: None,
                commit: Some(SnapshotId(7)),
                deletes: None,
            },
            SegmentEntry {
                id: SegmentId(6),
                table: TableId(4),
                rows: 1,
                bytes: 99,
                checksum: 78,
                first_row: Some(10),
                commit: None,
                deletes: Some(DeletesEntry { file: SegmentId(7), bytes: 55, checksum: 79, through: SnapshotId(9) }),
            },
        ],
    }
}

/// What is published is what is loaded, and the one before is gone.
#[test]
fn published_manifests_load() {
    let disk = SimDisk::new(1);
    assert_eq!(store::load(&disk).unwrap(), None);
    store::publish(&disk, &Manifest { generation: 2, ..Manifest::default() }).unwrap();
    store::publish(&disk, &manifest()).unwrap();
    assert_eq!(store::load(&disk).unwrap(), Some(manifest()));
}

/// Every truncation and every flipped byte is reported, never taken for another manifest.
#[test]
fn damage_is_reported() {
    let bytes = codec::encode(&manifest());
    for end in 0..bytes.len() {
        assert!(codec::decode("m", &bytes[..end]).is_err(), "cut at {end}");
    }
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x40;
        let error = codec::decode("m", &damaged).expect_err("a flipped byte");
        assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported), "byte {at}: {error}");
    }
}
