//! `information_schema`: what a snapshot contains, as tables, with DuckDB's type names.
//!
//! **Invariants**: names are shown as stored; column names are the standard's, folded.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int32Builder, RecordBatch, StringViewBuilder};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::error::Result;
use siltstone_storage::{Catalog, Column, LogicalType, Table, TableName, View, quoted_if_needed};

use crate::catalog::Scope;
use crate::volatile::{is_temp, shown};

/// Its tables.
pub(crate) const TABLES: [&str; 6] =
    ["columns", "key_column_usage", "schemata", "table_constraints", "tables", "views"];

/// One of them; `None` if there is no such.
pub(crate) fn table(scope: &Scope, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
    let catalog = scope.snapshot.catalog();
    let mut rows = match name {
        "columns" => columns(catalog),
        "key_column_usage" => key_column_usage(catalog),
        "schemata" => schemata(catalog),
        "table_constraints" => table_constraints(catalog),
        "tables" => tables(catalog),
        "views" => views(catalog),
        _ => return Ok(None),
    };
    // The statement may spell a name its own way, as it may those of stored tables.
    for name in &mut rows.names {
        *name = scope.spelling.of(name);
    }
    let batch = rows.finish()?;
    Ok(Some(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?)))
}

fn schemata(catalog: &Catalog) -> Rows {
    let mut rows = Rows::new(
        &[
            "catalog_name",
            "schema_name",
            "schema_owner",
            "default_character_set_catalog",
            "default_character_set_schema",
            "default_character_set_name",
            "sql_path",
        ],
        &[],
    );
    for database in catalog.databases() {
        for schema in database.schemas().map(|schema| schema.name()).chain([crate::names::INFORMATION_SCHEMA]) {
            rows.text([Some(shown(database.name())), Some(schema), Some("siltstone"), None, None, None, None]);
        }
    }
    rows
}

fn tables(catalog: &Catalog) -> Rows {
    let mut rows = Rows::new(
        &[
            "table_catalog",
            "table_schema",
            "table_name",
            "table_type",
            "is_insertable_into",
            "is_typed",
            "table_comment",
        ],
        &[],
    );
    for table in sorted(catalog) {
        let name = &table.name;
        rows.text([
            Some(shown(&name.database)),
            Some(&name.schema),
            Some(&name.table),
            Some(if is_temp(&name.database) { "LOCAL TEMPORARY" } else { "BASE TABLE" }),
            Some("YES"),
            Some("NO"),
            table.comment.as_deref(),
        ]);
    }
    for view in sorted_views(catalog) {
        let name = &view.name;
        rows.text([
            Some(&name.database),
            Some(&name.schema),
            Some(&name.table),
            Some("VIEW"),
            Some("NO"),
            Some("NO"),
            view.comment.as_deref(),
        ]);
    }
    rows
}

fn views(catalog: &Catalog) -> Rows {
    let mut rows = Rows::new(
        &[
            "table_catalog",
            "table_schema",
            "table_name",
            "view_definition",
            "check_option",
            "is_updatable",
            "is_insertable_into",
        ],
        &[],
    );
    for view in sorted_views(catalog) {
        let TableName { database, schema, table } = &view.name;
        let definition = view_sql(view);
        let (none, no) = (Some("NONE"), Some("NO"));
        rows.text([Some(database), Some(schema), Some(table), Some(definition.as_str()), none, no, no]);
    }
    rows
}

/// The statement that makes a view.
pub(crate) fn view_sql(view: &View) -> String {
    let name = quoted_if_needed(&view.name.table);
    let columns: Vec<_> = view.columns.iter().map(|column| quoted_if_needed(&column.name)).collect();
    let columns = if view.columns_named { format!(" ({})", columns.join(", ")) } else { String::new() };
    format!("CREATE VIEW {name}{columns} AS {};", view.query)
}

fn table_constraints(catalog: &Catalog) -> Rows {
    let mut rows = Rows::new(
        &[
            "constraint_catalog",
            "constraint_schema",
            "constraint_name",
            "table_catalog",
            "table_schema",
            "table_name",
            "constraint_type",
            "is_deferrable",
            "initially_deferred",
            "enforced",
        ],
        &[],
    );
    for table in sorted(catalog) {
        let TableName { database, schema, table: name } = &table.name;
        let (database, schema) = (Some(shown(database)), Some(schema.as_str()));
        let mut constraint = |constraint: &str, kind: &str| {
            let table = Some(name.as_str());
            let (no, yes) = (Some("NO"), Some("YES"));
            rows.text([database, schema, Some(constraint), database, schema, table, Some(kind), no, no, yes]);
        };
        if let Some(key) = key_name(table) {
            constraint(&key, "PRIMARY KEY");
        }
        for column in table.schema().columns().iter().filter(|column| !column.nullable) {
            constraint(&format!("{name}_{}_not_null", column.name), "CHECK");
        }
    }
    rows
}

fn key_column_usage(catalog: &Catalog) -> Rows {
    let mut rows = Rows::new(
        &[
            "constraint_catalog",
            "constraint_schema",
            "constraint_name",
            "table_catalog",
            "table_schema",
            "table_name",
            "column_name",
        ],
        &["ordinal_position", "position_in_unique_constraint"],
    );
    for table in sorted(catalog) {
        let TableName { database, schema, table: name } = &table.name;
        let (database, schema) = (Some(shown(database)), Some(schema.as_str()));
        let key = key_name(table);
        for (position, column) in (1..).zip(key_columns(table)) {
            rows.text([database, schema, key.as_deref(), database, schema, Some(name.as_str()), Some(column)]);
            rows.numbers([Some(position), None]);
        }
    }
    rows
}

/// What the primary key of a table is called; `None` without one.
fn key_name(table: &Table) -> Option<String> {
    let columns: Vec<&str> = key_columns(table).collect();
    (!columns.is_empty()).then(|| format!("{}_{}_pkey", table.name.table, columns.join("_")))
}

/// Names of the key's columns in its order.
fn key_columns(table: &Table) -> impl Iterator<Item = &str> {
    let schema = table.schema();
    schema.primary_key().iter().filter_map(|id| schema.column_by_id(*id)).map(|column| column.name.as_str())
}

fn columns(catalog: &Catalog) -> Rows {
    let mut rows = Rows::new(
        &[
            "table_catalog",
            "table_schema",
            "table_name",
            "column_name",
            "column_default",
            "is_nullable",
            "data_type",
            "column_comment",
        ],
        &[
            "ordinal_position",
            "character_maximum_length",
            "numeric_precision",
            "numeric_precision_radix",
            "numeric_scale",
            "datetime_precision",
        ],
    );
    for table in sorted(catalog) {
        for (position, column) in (1..).zip(table.schema().columns()) {
            column_row(&mut rows, table, position, column);
        }
    }
    for view in sorted_views(catalog) {
        for (position, column) in (1..).zip(&view.columns) {
            let TableName { database, schema, table } = &view.name;
            let (ty, comment) = (Some(column.type_name.as_str()), column.comment.as_deref());
            rows.text([Some(database), Some(schema), Some(table), Some(&column.name), None, Some("YES"), ty, comment]);
            rows.numbers([Some(position), None, None, None, None, None]);
        }
    }
    rows
}

fn column_row(rows: &mut Rows, table: &Table, position: i32, column: &Column) {
    let data_type = column.logical_type.to_string();
    let default = crate::value::sql_text(&column.logical_type, column.default.as_ref());
    let nullable = if column.nullable { "YES" } else { "NO" };
    let name = &table.name;
    rows.text([
        Some(shown(&name.database)),
        Some(&name.schema),
        Some(&name.table),
        Some(&column.name),
        default.as_deref(),
        Some(nullable),
        Some(&data_type),
        table.column_comment(column.id),
    ]);
    let (precision, radix, scale) = numeric(&column.logical_type);
    rows.numbers([Some(position), None, precision, radix, scale, None]);
}

/// Precision, its radix, and scale, as DuckDB reports them.
pub(crate) fn numeric(ty: &LogicalType) -> (Option<i32>, Option<i32>, Option<i32>) {
    use LogicalType as L;
    let bits = match ty {
        L::Decimal { precision, scale } => return (Some((*precision).into()), Some(10), Some((*scale).into())),
        L::TinyInt | L::UTinyInt => 8,
        L::SmallInt | L::USmallInt => 16,
        L::Integer | L::UInteger => 32,
        L::BigInt | L::UBigInt => 64,
        L::Real => return (Some(24), Some(2), Some(0)),
        L::Double => return (Some(53), Some(2), Some(0)),
        _ => return (None, None, None),
    };
    (Some(bits), Some(2), Some(0))
}

/// Tables by database, schema and name.
fn sorted(catalog: &Catalog) -> impl Iterator<Item = &Arc<Table>> {
    catalog
        .databases()
        .flat_map(|database| database.schemas())
        .flat_map(|schema| schema.tables())
        .filter_map(|id| catalog.table_by_id(id))
}

fn sorted_views(catalog: &Catalog) -> impl Iterator<Item = &Arc<View>> {
    catalog.databases().flat_map(|database| database.schemas()).flat_map(|schema| schema.views())
}

/// Text columns, then integer columns, filled row by row.
pub(crate) struct Rows {
    names: Vec<String>,
    texts: Vec<StringViewBuilder>,
    numbers: Vec<Int32Builder>,
}

impl Rows {
    pub(crate) fn new(texts: &[&str], numbers: &[&str]) -> Self {
        Self {
            names: texts.iter().chain(numbers).map(|name| (*name).to_owned()).collect(),
            texts: texts.iter().map(|_| StringViewBuilder::new()).collect(),
            numbers: numbers.iter().map(|_| Int32Builder::new()).collect(),
        }
    }

    pub(crate) fn text<const N: usize>(&mut self, values: [Option<&str>; N]) {
        for (builder, value) in self.texts.iter_mut().zip(values) {
            builder.append_option(value);
        }
    }

    fn numbers<const N: usize>(&mut self, values: [Option<i32>; N]) {
        for (builder, value) in self.numbers.iter_mut().zip(values) {
            builder.append_option(value);
        }
    }

    pub(crate) fn finish(mut self) -> Result<RecordBatch> {
        let texts = self.texts.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef);
        let numbers = self.numbers.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef);
        let arrays: Vec<ArrayRef> = texts.chain(numbers).collect();
        let fields: Vec<Field> = self
            .names
            .iter()
            .zip(&arrays)
            .map(|(name, array): (&String, &ArrayRef)| {
                let data_type: DataType = array.data_type().clone();
                Field::new(name, data_type, true)
            })
            .collect();
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
    }
}
