//! `duckdb_databases()`, `duckdb_schemas()`, `duckdb_tables()`, `duckdb_views()`, `duckdb_columns()` and `pragma_table_info('t')`: what a
//! snapshot contains, as DuckDB's own catalog functions tell it.
//!
//! **Invariants**
//! 1. A function stands for a query of a table of its name in `information_schema`, so it is planned like any other table.
//! 2. Names are shown as stored; databases and schemas are numbered in their order, tables by their ids.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanBuilder, Int64Builder, RecordBatch, StringViewBuilder};
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::error::Result;
use siltstone_storage::{Catalog, SchemaEntry, Table, View, folded_name, quoted_if_needed, same_name};

use crate::catalog::Scope;
use crate::information_schema::{numeric, view_sql};
use crate::names::INFORMATION_SCHEMA;
use crate::volatile::{is_temp, shown};

/// What this module adds to every `information_schema`: the functions that take no argument, and at last what
/// `pragma_table_info` reads.
pub(crate) const TABLES: [&str; 6] =
    ["duckdb_columns", "duckdb_databases", "duckdb_schemas", "duckdb_tables", "duckdb_views", TABLE_INFO];

/// What `pragma_table_info('t')` reads.
pub(crate) const TABLE_INFO: &str = "pragma_table_info";

/// The query that a function without arguments stands for; `None` if it is none of ours.
pub(crate) fn function(name: &str) -> Option<&'static str> {
    Some(match name {
        "duckdb_columns" => "SELECT * FROM information_schema.duckdb_columns",
        "duckdb_databases" => "SELECT * FROM information_schema.duckdb_databases",
        "duckdb_schemas" => "SELECT * FROM information_schema.duckdb_schemas",
        "duckdb_tables" => "SELECT * FROM information_schema.duckdb_tables",
        "duckdb_views" => "SELECT * FROM information_schema.duckdb_views",
        _ => return None,
    })
}

/// A table of [`TABLES`]; `None` if there is no such.
pub(crate) fn table(scope: &Scope, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
    let catalog = scope.snapshot.catalog();
    let rows = match name {
        "duckdb_columns" => columns(catalog),
        "duckdb_databases" => databases(scope, catalog),
        "duckdb_schemas" => schemas(catalog),
        "duckdb_tables" => tables(scope, catalog),
        "duckdb_views" => views(catalog),
        TABLE_INFO => table_info(catalog),
        _ => return Ok(None),
    };
    let batch = rows.finish(scope)?;
    Ok(Some(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?)))
}

/// One value of a row.
#[derive(Clone, Copy)]
enum Cell<'a> {
    Text(Option<&'a str>),
    Number(Option<i64>),
    Flag(bool),
}

use Cell::{Flag, Number, Text};

/// A column being filled.
enum Column {
    Text(StringViewBuilder),
    Number(Int64Builder),
    Flag(BooleanBuilder),
}

/// Rows being collected.
struct Rows {
    names: &'static [&'static str],
    columns: Vec<Column>,
}

impl Rows {
    /// None yet; the kinds of the columns are those of `like`.
    fn new<const N: usize>(names: &'static [&'static str; N], like: [Cell<'_>; N]) -> Self {
        let columns = like.map(|cell| match cell {
            Text(_) => Column::Text(StringViewBuilder::new()),
            Number(_) => Column::Number(Int64Builder::new()),
            Flag(_) => Column::Flag(BooleanBuilder::new()),
        });
        Self { names, columns: columns.into() }
    }

    fn push<const N: usize>(&mut self, cells: [Cell<'_>; N]) {
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            match (column, cell) {
                (Column::Text(builder), Text(value)) => builder.append_option(value),
                (Column::Number(builder), Number(value)) => builder.append_option(value),
                (Column::Flag(builder), Flag(value)) => builder.append_value(value),
                _ => unreachable!("the cells of a row are of the columns' kinds"),
            }
        }
    }

    /// The statement may spell a name its own way, as it may those of stored tables.
    fn finish(self, scope: &Scope) -> Result<RecordBatch> {
        let arrays = self.columns.into_iter().map(|column| match column {
            Column::Text(mut builder) => Arc::new(builder.finish()) as ArrayRef,
            Column::Number(mut builder) => Arc::new(builder.finish()),
            Column::Flag(mut builder) => Arc::new(builder.finish()),
        });
        let arrays: Vec<ArrayRef> = arrays.collect();
        let fields = self.names.iter().zip(&arrays);
        let fields: Vec<Field> =
            fields.map(|(name, array)| Field::new(scope.spelling.of(name), array.data_type().clone(), true)).collect();
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
    }
}

const TEXT: Cell<'static> = Text(None);
const NUMBER: Cell<'static> = Number(None);
const FLAG: Cell<'static> = Flag(false);

fn text(value: &str) -> Cell<'_> {
    Text(Some(value))
}

fn count(value: usize) -> Cell<'static> {
    Number(i64::try_from(value).ok())
}

/// A database and a schema of it, with their numbers.
struct Home<'a> {
    database: &'a str,
    database_number: i64,
    schema: &'a SchemaEntry,
    schema_number: i64,
}

fn homes(catalog: &Catalog) -> Vec<Home<'_>> {
    let mut homes = Vec::new();
    for (database_number, database) in (1..).zip(catalog.databases()) {
        for schema in database.schemas() {
            let schema_number = homes.len() as i64 + 1;
            homes.push(Home { database: shown(database.name()), database_number, schema, schema_number });
        }
    }
    homes
}

fn tables_of<'a>(catalog: &'a Catalog, home: &Home<'a>) -> Vec<&'a Arc<Table>> {
    home.schema.tables().filter_map(|id| catalog.table_by_id(id)).collect()
}

/// How DuckDB would call the kind of a database: tables have snapshots, as in its lake format.
const DATABASE_TYPE: &str = "ducklake";

fn databases(scope: &Scope, catalog: &Catalog) -> Rows {
    let names = &["database_name", "database_oid", "path", "comment", "internal", "type", "readonly"];
    let mut rows = Rows::new(names, [TEXT, NUMBER, TEXT, TEXT, FLAG, TEXT, FLAG]);
    for (number, database) in (1..).zip(catalog.databases()) {
        let name = shown(database.name());
        let readonly = scope.read_only.iter().any(|other| same_name(other, name));
        // What the server keeps for itself is what nobody may write.
        rows.push([text(name), Number(Some(number)), TEXT, TEXT, Flag(readonly), text(DATABASE_TYPE), Flag(readonly)]);
    }
    rows
}

fn schemas(catalog: &Catalog) -> Rows {
    let names = &["oid", "database_name", "database_oid", "schema_name", "comment", "internal", "sql"];
    let mut rows = Rows::new(names, [NUMBER, TEXT, NUMBER, TEXT, TEXT, FLAG, TEXT]);
    for home in homes(catalog) {
        rows.push([
            Number(Some(home.schema_number)),
            text(home.database),
            Number(Some(home.database_number)),
            text(home.schema.name()),
            Text(home.schema.comment()),
            Flag(false),
            TEXT,
        ]);
    }
    for (number, database) in (1..).zip(catalog.databases()) {
        rows.push([
            NUMBER,
            text(shown(database.name())),
            Number(Some(number)),
            text(INFORMATION_SCHEMA),
            TEXT,
            Flag(true),
            TEXT,
        ]);
    }
    rows
}

fn tables(scope: &Scope, catalog: &Catalog) -> Rows {
    let names = &[
        "database_name",
        "database_oid",
        "schema_name",
        "schema_oid",
        "table_name",
        "table_oid",
        "comment",
        "internal",
        "temporary",
        "has_primary_key",
        "estimated_size",
        "column_count",
        "index_count",
        "check_constraint_count",
        "sql",
    ];
    let like = [TEXT, NUMBER, TEXT, NUMBER, TEXT, NUMBER, TEXT, FLAG, FLAG, FLAG, NUMBER, NUMBER, NUMBER, NUMBER, TEXT];
    let mut rows = Rows::new(names, like);
    for home in homes(catalog) {
        for table in tables_of(catalog, &home) {
            let schema = table.schema();
            let has_key = !schema.primary_key().is_empty();
            let size = scope.snapshot.table(table.id).map_or(0, |stored| stored.rows());
            let not_null = schema.columns().iter().filter(|column| !column.nullable).count();
            rows.push([
                text(home.database),
                Number(Some(home.database_number)),
                text(home.schema.name()),
                Number(Some(home.schema_number)),
                text(&table.name.table),
                Number(i64::try_from(table.id.0).ok()),
                Text(table.comment.as_deref()),
                Flag(false),
                Flag(is_temp(&table.name.database)),
                Flag(has_key),
                Number(i64::try_from(size).ok()),
                count(schema.columns().len()),
                count(usize::from(has_key)),
                count(not_null),
                text(&table_sql(table)),
            ]);
        }
    }
    rows
}

/// The statement that makes a table.
fn table_sql(table: &Table) -> String {
    let schema = table.schema();
    let mut parts: Vec<String> = Vec::with_capacity(schema.columns().len() + 1);
    for column in schema.columns() {
        let mut part = format!("{} {}", quoted_if_needed(&column.name), column.logical_type);
        if let Some(default) = crate::value::sql_text(&column.logical_type, column.default.as_ref()) {
            part.push_str(&format!(" DEFAULT {default}"));
        }
        if !column.nullable {
            part.push_str(" NOT NULL");
        }
        parts.push(part);
    }
    let key: Vec<_> = schema
        .primary_key()
        .iter()
        .filter_map(|id| schema.column_by_id(*id))
        .map(|column| quoted_if_needed(&column.name))
        .collect();
    if !key.is_empty() {
        parts.push(format!("PRIMARY KEY ({})", key.join(", ")));
    }
    format!("CREATE TABLE {}({});", quoted_if_needed(&table.name.table), parts.join(", "))
}

fn views(catalog: &Catalog) -> Rows {
    let names = &[
        "database_name",
        "database_oid",
        "schema_name",
        "schema_oid",
        "view_name",
        "comment",
        "internal",
        "temporary",
        "column_count",
        "sql",
    ];
    let mut rows = Rows::new(names, [TEXT, NUMBER, TEXT, NUMBER, TEXT, TEXT, FLAG, FLAG, NUMBER, TEXT]);
    for home in homes(catalog) {
        for view in home.schema.views() {
            rows.push([
                text(home.database),
                Number(Some(home.database_number)),
                text(home.schema.name()),
                Number(Some(home.schema_number)),
                text(&view.name.table),
                Text(view.comment.as_deref()),
                Flag(false),
                Flag(false),
                count(view.columns.len()),
                text(&view_sql(view)),
            ]);
        }
    }
    rows
}

fn columns(catalog: &Catalog) -> Rows {
    let names = &[
        "database_name",
        "database_oid",
        "schema_name",
        "schema_oid",
        "table_name",
        "table_oid",
        "column_name",
        "column_index",
        "comment",
        "internal",
        "column_default",
        "is_nullable",
        "data_type",
        "character_maximum_length",
        "numeric_precision",
        "numeric_precision_radix",
        "numeric_scale",
    ];
    let like = [
        TEXT, NUMBER, TEXT, NUMBER, TEXT, NUMBER, TEXT, NUMBER, TEXT, FLAG, TEXT, FLAG, TEXT, NUMBER, NUMBER, NUMBER,
        NUMBER,
    ];
    let mut rows = Rows::new(names, like);
    for home in homes(catalog) {
        tables_of(catalog, &home).into_iter().for_each(|table| table_columns(&mut rows, &home, table));
        home.schema.views().for_each(|view| view_columns(&mut rows, &home, view));
    }
    rows
}

fn table_columns(rows: &mut Rows, home: &Home<'_>, table: &Table) {
    for (index, column) in (1..).zip(table.schema().columns()) {
        let default = crate::value::sql_text(&column.logical_type, column.default.as_ref());
        let (precision, radix, scale) = numeric(&column.logical_type);
        rows.push([
            text(home.database),
            Number(Some(home.database_number)),
            text(home.schema.name()),
            Number(Some(home.schema_number)),
            text(&table.name.table),
            Number(i64::try_from(table.id.0).ok()),
            text(&column.name),
            Number(Some(index)),
            Text(table.column_comment(column.id)),
            Flag(false),
            Text(default.as_deref()),
            Flag(column.nullable),
            text(&column.logical_type.to_string()),
            NUMBER,
            Number(precision.map(i64::from)),
            Number(radix.map(i64::from)),
            Number(scale.map(i64::from)),
        ]);
    }
}

fn view_columns(rows: &mut Rows, home: &Home<'_>, view: &View) {
    for (index, column) in (1..).zip(&view.columns) {
        rows.push([
            text(home.database),
            Number(Some(home.database_number)),
            text(home.schema.name()),
            Number(Some(home.schema_number)),
            text(&view.name.table),
            NUMBER,
            text(&column.name),
            Number(Some(index)),
            Text(column.comment.as_deref()),
            Flag(false),
            TEXT,
            Flag(true),
            text(&column.type_name),
            NUMBER,
            NUMBER,
            NUMBER,
            NUMBER,
        ]);
    }
}

/// The columns of every table and view, the names of these folded.
fn table_info(catalog: &Catalog) -> Rows {
    let names = &["database_name", "schema_name", "table_name", "cid", "name", "type", "notnull", "dflt_value", "pk"];
    let mut rows = Rows::new(names, [TEXT, TEXT, TEXT, NUMBER, TEXT, TEXT, FLAG, TEXT, FLAG]);
    for home in homes(catalog) {
        let (database, schema) = (folded_name(home.database), folded_name(home.schema.name()));
        for table in tables_of(catalog, &home) {
            for (index, column) in (0..).zip(table.schema().columns()) {
                let default = crate::value::sql_text(&column.logical_type, column.default.as_ref());
                rows.push([
                    text(&database),
                    text(&schema),
                    text(&folded_name(&table.name.table)),
                    Number(Some(index)),
                    text(&column.name),
                    text(&column.logical_type.to_string()),
                    Flag(!column.nullable),
                    Text(default.as_deref()),
                    Flag(table.schema().primary_key().contains(&column.id)),
                ]);
            }
        }
        for view in home.schema.views() {
            for (index, column) in (0..).zip(&view.columns) {
                rows.push([
                    text(&database),
                    text(&schema),
                    text(&folded_name(&view.name.table)),
                    Number(Some(index)),
                    text(&column.name),
                    text(&column.type_name),
                    FLAG,
                    TEXT,
                    FLAG,
                ]);
            }
        }
    }
    rows
}
