//! Views, comments and layouts across restarts.

use super::tests::{create, open};
use super::*;
use crate::catalog::TableName;
use crate::commit::{Change, Commit};
use crate::error::ErrorKind;
use crate::ids::ColumnId;
use crate::io::sim::SimDisk;
use crate::logical_type::LogicalType;
use crate::schema::{NewColumn, TableSchema};
use crate::view::{Commented, Layout, PartitionKey, SortKey, Transform, View};

fn view(name: &str) -> Arc<View> {
    Arc::new(View {
        name: TableName::new("lake", "MAIN", name),
        query: "FROM Events".into(),
        home_database: "LAKE".into(),
        home_schema: "main".into(),
        columns_named: false,
        columns: Vec::new(),
        comment: None,
    })
}

/// What is said of tables, and views on them, come back from the log and from the manifest alike.
#[test]
fn descriptions_survive_restarts() {
    let disk = SimDisk::new(21);
    let engine = open(&disk);
    let table = create(&engine);
    let layout = Layout {
        partitioned_by: vec![PartitionKey { column: ColumnId(1), transform: Transform::Bucket(4) }],
        sorted_by: vec![SortKey { column: ColumnId(2), descending: true, nulls_first: false }],
    };
    let schema = Commented::Schema { database: "LAKE".into(), name: "main".into() };
    let changes = vec![
        Change::CreateView { view: view("Recent"), replace: false },
        Change::Comment { on: Commented::Table(table), text: Some("what happened".into()) },
        Change::Comment { on: Commented::Column(table, ColumnId(2)), text: Some("who".into()) },
        Change::Comment { on: schema, text: Some("home".into()) },
        Change::SetLayout { id: table, layout: layout.clone() },
    ];
    engine.write(Commit::new(changes)).unwrap();
    let before = Arc::clone(engine.snapshot().catalog());
    drop(engine);
    let engine = open(&disk);
    assert_eq!(**engine.snapshot().catalog(), *before);
    engine.flush().unwrap();
    drop(engine);
    let engine = open(&disk);
    let snapshot = engine.snapshot();
    assert_eq!(**snapshot.catalog(), *before);
    assert_eq!(snapshot.catalog().view("LAKE", "main", "RECENT").unwrap().name.to_string(), "LAKE.main.Recent");
    let stored = snapshot.catalog().table_by_id(table).unwrap();
    assert_eq!((stored.comment.as_deref(), stored.column_comment(ColumnId(2))), (Some("what happened"), Some("who")));
    assert_eq!(stored.layout, layout);
}

/// Tables and views share their names, and a column that a table lies by stays.
#[test]
fn what_does_not_fit_is_refused() {
    let engine = open(&SimDisk::new(22));
    let table = create(&engine);
    let refused = |change: Change| engine.write(Commit::new(vec![change])).unwrap_err().kind();
    assert_eq!(refused(Change::CreateView { view: view("EVENTS"), replace: true }), ErrorKind::Conflict);
    engine.write(Commit::new(vec![Change::CreateView { view: view("v"), replace: false }])).unwrap();
    assert_eq!(refused(Change::CreateView { view: view("V"), replace: false }), ErrorKind::Conflict);
    assert_eq!(refused(Change::RenameTable { id: table, name: "V".into() }), ErrorKind::Conflict);
    let schema = Arc::new(TableSchema::new(vec![NewColumn::new("a", LogicalType::Date)], &[]).unwrap());
    let (id, name) = (engine.new_table_id(), TableName::new("lake", "main", "V"));
    assert_eq!(refused(Change::CreateTable { id, name, schema }), ErrorKind::Invalid);
    let drop_schema = Change::DropSchema { database: "lake".into(), name: "main".into(), cascade: false };
    assert_eq!(refused(drop_schema), ErrorKind::Invalid);
    assert_eq!(refused(Change::DropView { name: TableName::new("lake", "main", "w") }), ErrorKind::NotFound);
    let nowhere = Change::Comment { on: Commented::Column(table, ColumnId(9)), text: None };
    assert_eq!(refused(nowhere), ErrorKind::NotFound);
    let key = PartitionKey { column: ColumnId(2), transform: Transform::Identity };
    let layout = Layout { partitioned_by: vec![key], sorted_by: Vec::new() };
    engine.write(Commit::new(vec![Change::SetLayout { id: table, layout }])).unwrap();
    let without = engine.snapshot().table(table).unwrap().schema().without_column("name").unwrap();
    assert_eq!(refused(Change::SetSchema { id: table, schema: Arc::new(without) }), ErrorKind::Invalid);
}
