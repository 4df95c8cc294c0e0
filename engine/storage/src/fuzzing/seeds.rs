//! The first inputs of every corpus, from what the encoders write.

use std::sync::Arc;

use super::*;
use crate::array_codec::encode_value;
use crate::catalog::TableName;
use crate::commit::{Batch, Change, Commit};
use crate::deletions::LoggedDeletions;
use crate::frame::PutBytes;
use crate::ids::{ColumnId, SegmentId, TableId};
use crate::schema::{NewColumn, TableSchema};
use crate::test_arrays::{ArraySpec, Shape};
use crate::value::Value;
use crate::view::{Commented, Layout, PartitionKey, SortKey, Transform, View, ViewColumn};

/// Inputs by target, in the order of [`CHECKS`].
pub(super) fn all() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    vec![
        ("array", arrays()),
        ("commit", commits()),
        ("commit_runs", runs()),
        ("delete_vector", crate::delete_vector::fuzzing::seeds()),
        ("deletions", deletions()),
        ("encoding", chunks()),
        ("inspect", files::seeds()),
        ("key_index", crate::key_index::fuzzing::seeds()),
        ("log_record", crate::log::fuzzing::record_seeds()),
        ("log_replay", crate::log::fuzzing::replay_seeds()),
        ("manifest", crate::manifest::fuzzing::seeds()),
        ("schema", schemas()),
        ("segment", crate::segment::fuzzing::segment_seeds()),
        ("segment_footer", crate::segment::fuzzing::footer_seeds()),
        ("value_filter", crate::segment::fuzzing::filter_seeds()),
    ]
}

/// One of every kind of type.
pub(crate) fn types() -> Vec<LogicalType> {
    let fields = vec![("a".to_owned(), LogicalType::SmallInt), ("é".to_owned(), LogicalType::Varchar)];
    let list = LogicalType::List(Box::new(LogicalType::Integer));
    let deep = LogicalType::Struct(vec![
        ("list".to_owned(), LogicalType::List(Box::new(LogicalType::Struct(fields.clone())))),
        ("none".to_owned(), LogicalType::Struct(Vec::new())),
    ]);
    vec![
        LogicalType::Boolean,
        LogicalType::TinyInt,
        LogicalType::SmallInt,
        LogicalType::Integer,
        LogicalType::BigInt,
        LogicalType::UTinyInt,
        LogicalType::USmallInt,
        LogicalType::UInteger,
        LogicalType::UBigInt,
        LogicalType::Real,
        LogicalType::Double,
        LogicalType::Decimal { precision: 20, scale: 3 },
        LogicalType::Varchar,
        LogicalType::Blob,
        LogicalType::Date,
        LogicalType::Time,
        LogicalType::Timestamp,
        LogicalType::TimestampTz,
        LogicalType::Uuid,
        LogicalType::Json,
        list,
        LogicalType::Struct(fields.clone()),
        deep,
        LogicalType::HugeInt,
        LogicalType::TimestampS,
        LogicalType::TimestampMs,
        LogicalType::TimestampNs,
        LogicalType::Interval,
        enumeration(),
        LogicalType::Bit,
        LogicalType::Array(Box::new(LogicalType::Real), 3),
        LogicalType::Map(Box::new((LogicalType::Varchar, LogicalType::Integer))),
        LogicalType::Map(Box::new((enumeration(), LogicalType::Array(Box::new(LogicalType::Struct(fields)), 2)))),
    ]
}

/// An ENUM; its values are checked by whoever writes, so that those of [`ArraySpec`] will do.
fn enumeration() -> LogicalType {
    LogicalType::enumeration(vec!["user-1".to_owned(), "it's".to_owned(), String::new()]).expect("distinct values")
}

/// Small arrays of every type and spread, with and without NULLs.
pub(crate) fn specs(rows: &[usize]) -> Vec<ArraySpec> {
    let shapes = [Shape::Constant, Shape::Few, Shape::Ascending, Shape::Narrow, Shape::Wide];
    let mut specs = Vec::new();
    for ty in types() {
        for (rows, shape) in rows.iter().flat_map(|rows| shapes.map(|shape| (*rows, shape))) {
            for nulls_percent in [0, 30, 100] {
                let seed = specs.len() as u64;
                specs.push(ArraySpec { ty: ty.clone(), rows, shape, nulls_percent, margin: 0, seed });
            }
        }
    }
    specs
}

fn arrays() -> Vec<Vec<u8>> {
    let inputs = specs(&[0, 1, 9]).into_iter().map(|spec| {
        let mut input = Vec::new();
        encode_type(&spec.ty, &mut input);
        input.put_u32(spec.rows as u32);
        array_codec::encode(&spec.array(), &mut input);
        input
    });
    inputs.collect()
}

fn chunks() -> Vec<Vec<u8>> {
    let inputs = specs(&[1, 20, 300, 1100, 5000]).into_iter().enumerate().map(|(index, spec)| {
        let mut body = Vec::new();
        let (form, _) = Encoder::default().encode(&spec.ty, &spec.array(), &mut body);
        let mut input = vec![if index % 3 == 0 { FIT_VALUES } else { 0 }, form.encoding as u8, form.compression as u8];
        input.put_u16(spec.rows as u16);
        input.put_u16(form.null_count as u16);
        input.put_u32(form.value_bytes as u32);
        encode_type(&spec.ty, &mut input);
        input.put(&body);
        input
    });
    inputs.collect()
}

fn runs() -> Vec<Vec<u8>> {
    let steps: [&[(u64, usize)]; 6] = [
        &[],
        &[(5, 1)],
        &[(1, 3), (2, 1), (9, 70)],
        &[(3, 2), (1, 1), (2, 5)],
        &[(u64::MAX, 1), (0, 1), (1 << 63, 1)],
        &[(7, 30_000), (8, 30_000)],
    ];
    let many: Vec<(u64, usize)> = (0..700).map(|i| (i * i % 91, 1 + i as usize % 3)).collect();
    let inputs = steps.into_iter().chain([&many[..]]).map(|steps| {
        let mut runs = CommitRuns::default();
        steps.iter().for_each(|(snapshot, rows)| runs.push(SnapshotId(*snapshot), *rows));
        let mut input = Vec::new();
        input.put_u32(runs.rows() as u32);
        runs.encode(&mut input);
        input
    });
    inputs.collect()
}

fn deletions() -> Vec<Vec<u8>> {
    let none = LoggedDeletions::default();
    let memory = LoggedDeletions { segments: Vec::new(), memory: vec![4, 1 << 40, (1 << 40) + 5] };
    let segments = LoggedDeletions {
        segments: vec![
            (SegmentId(3), vec![0, 7, 8, u32::MAX]),
            (SegmentId(9), (0..700).collect()),
            (SegmentId(1), vec![]),
        ],
        memory: Vec::new(),
    };
    let tables = |tables: &[&LoggedDeletions]| {
        let mut input = Vec::new();
        let tables: Vec<_> = (1..).map(TableId).zip(tables.iter().copied().cloned()).collect();
        deletions::encode(&tables, &mut input);
        input
    };
    let sets: [&[&LoggedDeletions]; 5] =
        [&[&none], &[&memory], &[&segments], &[&segments, &memory], &[&none, &none, &memory]];
    sets.map(tables).into()
}

fn values() -> Vec<Option<Value>> {
    vec![
        None,
        Some(Value::Bool(true)),
        Some(Value::Int(-5)),
        Some(Value::UInt(u64::MAX)),
        Some(Value::Decimal(i128::MIN)),
        Some(Value::Float(f64::NAN)),
        Some(Value::Text("é".into())),
        Some(Value::Bytes(vec![0, 255])),
        Some(Value::Interval { months: -1, days: i32::MAX, nanos: i64::MIN }),
    ]
}

/// A schema with a column of every type.
pub(crate) fn wide_schema() -> TableSchema {
    let columns = types().into_iter().enumerate().map(|(i, ty)| {
        let nullable = i % 2 == 0;
        NewColumn { nullable, ..NewColumn::new(format!("column {i}"), ty) }
    });
    TableSchema::new(columns.collect(), &["column 4".into(), "COLUMN 12".into()]).unwrap()
}

/// A schema of one column, which has a default.
pub(crate) fn narrow_schema() -> TableSchema {
    let column = NewColumn { default: Some(Value::Text("?".into())), ..NewColumn::new("note", LogicalType::Varchar) };
    TableSchema::new(vec![column], &[]).unwrap()
}

fn schemas() -> Vec<Vec<u8>> {
    let mut inputs = Vec::new();
    let mut add = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut input = Vec::new();
        write(&mut input);
        inputs.push(input);
    };
    types().iter().for_each(|ty| add(&|out| encode_type(ty, out)));
    values().iter().for_each(|value| add(&|out| encode_value(value.as_ref(), out)));
    add(&|out| encode_name(&TableName::new("LAKE", "main", "events"), out));
    add(&|out| encode_schema(&wide_schema(), out));
    add(&|out| encode_schema(&narrow_schema(), out));
    for table in catalog().tables() {
        add(&|out| encode_table(table, out));
    }
    inputs
}

/// Two databases, two tables, one of them altered and described, and a view.
pub(crate) fn catalog() -> crate::catalog::Catalog {
    let mut catalog = crate::catalog::Catalog::default();
    for (at, change) in ddl().iter().take(9).enumerate() {
        catalog.apply(change, SnapshotId(at as u64 + 1)).unwrap();
    }
    catalog
}

fn ddl() -> Vec<Change> {
    let name = |table: &str| TableName::new("LAKE", "main", table);
    let altered = narrow_schema().with_columns(vec![NewColumn::new("id", LogicalType::BigInt)]).unwrap();
    vec![
        Change::CreateDatabase { name: "LAKE".into() },
        Change::CreateDatabase { name: "system".into() },
        Change::CreateSchema { database: "LAKE".into(), name: "main".into() },
        Change::CreateTable { id: TableId(1), name: name("events"), schema: Arc::new(wide_schema()) },
        Change::CreateTable { id: TableId(2), name: name("notes"), schema: Arc::new(narrow_schema()) },
        Change::SetSchema { id: TableId(2), schema: Arc::new(altered) },
        Change::CreateView { view: Arc::new(view(name("recent"))), replace: false },
        Change::Comment { on: Commented::Column(TableId(2), ColumnId(1)), text: Some("free text".into()) },
        Change::SetLayout { id: TableId(2), layout: layout() },
        Change::DropView { name: name("recent") },
        Change::RenameTable { id: TableId(2), name: "remarks".into() },
        Change::DropTable { id: TableId(2) },
        Change::DropSchema { database: "LAKE".into(), name: "main".into(), cascade: true },
        Change::DropDatabase { name: "system".into() },
    ]
}

fn view(name: TableName) -> View {
    let column = ViewColumn { name: "n".into(), type_name: "BIGINT".into(), comment: Some("how many".into()) };
    View {
        name,
        query: "SELECT count(*) AS n FROM events".into(),
        home_database: "LAKE".into(),
        home_schema: "main".into(),
        columns_named: true,
        columns: vec![column],
        comment: None,
    }
}

fn layout() -> Layout {
    Layout {
        partitioned_by: vec![PartitionKey { column: ColumnId(1), transform: Transform::Bucket(16) }],
        sorted_by: vec![SortKey { column: ColumnId(1), descending: true, nulls_first: false }],
    }
}

pub(crate) fn commits() -> Vec<Vec<u8>> {
    let mut commits = vec![Commit::new(ddl())];
    commits.extend(ddl().into_iter().map(|change| Commit::new(vec![change])));
    commits.extend(specs(&[1, 5]).into_iter().map(|spec| {
        let columns = vec![(ColumnId(3), spec.array()), (ColumnId(9), spec.array())];
        Commit::new(vec![Change::Append(Batch::new(TableId(2), spec.rows, columns).unwrap())])
    }));
    commits.iter().map(|commit| commit_codec::encode(commit).unwrap()).collect()
}
