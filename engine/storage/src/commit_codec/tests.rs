use arrow_array::{Int64Array, StringViewArray};

use super::*;
use crate::catalog::TableName;
use crate::ids::SchemaVersion;
use crate::schema::{NewColumn, TableSchema};
use crate::value::Value;
use crate::view::{Commented, Layout, PartitionKey, SortKey, Transform, View, ViewColumn};

fn view() -> View {
    let column = ViewColumn { name: "n".into(), type_name: "BIGINT".into(), comment: Some("how many".into()) };
    View {
        name: TableName::new("a", "s", "v"),
        query: "SELECT count(*) AS n FROM t".into(),
        home_database: "a".into(),
        home_schema: "s".into(),
        columns_named: false,
        columns: vec![column],
        comment: None,
    }
}

fn layout() -> Layout {
    use Transform::*;
    let partitions = [Identity, Year, Month, Day, Hour, Bucket(16)];
    let key = |transform| PartitionKey { column: ColumnId(1), transform };
    Layout {
        partitioned_by: partitions.map(key).to_vec(),
        sorted_by: vec![SortKey { column: ColumnId(2), descending: true, nulls_first: false }],
    }
}

fn every_change() -> Commit {
    let column = NewColumn { default: Some(Value::Float(-0.5)), ..NewColumn::new("x", LogicalType::Double) };
    let nested = LogicalType::List(Box::new(LogicalType::Struct(vec![("a".into(), LogicalType::Uuid)])));
    let schema = TableSchema::new(vec![column, NewColumn::new("y", nested)], &["X".into()]).unwrap();
    let columns: Vec<(ColumnId, ArrayRef)> = vec![
        (ColumnId(1), Arc::new(Int64Array::from(vec![Some(1), None]))),
        (ColumnId(2), Arc::new(StringViewArray::from(vec![Some("short"), Some("longer than twelve bytes")]))),
    ];
    Commit::new(vec![
        Change::CreateDatabase { name: "a".into() },
        Change::DropDatabase { name: "b".into() },
        Change::CreateSchema { database: "a".into(), name: "s".into() },
        Change::DropSchema { database: "a".into(), name: "t".into(), cascade: true },
        Change::CreateTable { id: TableId(3), name: TableName::new("a", "s", "t"), schema: Arc::new(schema.clone()) },
        Change::DropTable { id: TableId(2) },
        Change::RenameTable { id: TableId(3), name: "u".into() },
        Change::SetSchema { id: TableId(3), schema: Arc::new(schema) },
        Change::Append(Batch::new(TableId(3), 2, columns).unwrap()),
        Change::CreateView { view: Arc::new(view()), replace: true },
        Change::DropView { name: TableName::new("a", "s", "v") },
        Change::Comment { on: Commented::Table(TableId(3)), text: Some("rows".into()) },
        Change::Comment { on: Commented::Column(TableId(3), ColumnId(2)), text: None },
        Change::Comment { on: Commented::Schema { database: "a".into(), name: "s".into() }, text: Some(String::new()) },
        Change::SetLayout { id: TableId(3), layout: layout() },
    ])
}

/// Every kind of change reads back as it was written.
#[test]
fn commits_round_trip() {
    let raw = encode(&every_change()).unwrap();
    let decoded = decode("log", &raw).unwrap();
    assert_eq!(decoded, every_change());
    let Change::SetSchema { schema, .. } = &decoded.changes[7] else { panic!("a schema") };
    assert_eq!(schema.version(), SchemaVersion(1));
}

/// Truncated and altered bytes are refused or read as some other commit, never a panic.
#[test]
fn damage_never_panics() {
    let raw = encode(&every_change()).unwrap();
    for end in 0..raw.len() {
        assert!(decode("log", &raw[..end]).is_err(), "cut at {end}");
    }
    for at in 0..raw.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = raw.clone();
            damaged[at] ^= flip;
            drop(decode("log", &damaged));
        }
    }
}
