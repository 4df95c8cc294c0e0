//! The control plane's own tables: rows in the `system` database of the same engine.
//!
//! **Invariants**
//! 1. A first start makes the configured databases, the `system` database and its tables in one commit; a later start adds only
//!    what is missing.
//! 2. Rows are only ever appended; the newest row of a key is what holds. Only old receipts are deleted.
//! 3. `system.main.secrets`, `credentials` and `receipts` are not for SQL: the query engine is told to hide them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewArray};
use siltstone_storage::{
    Batch, Catalog, Change, Commit, Engine, Error, ErrorKind, LogicalType, NewColumn, Result, Table, TableId,
    TableName, TableSchema,
};

use crate::config::Config;
use crate::secret::{SECRET_BYTES, Secret};

/// The database of these tables; read-only for everybody else.
pub const DATABASE: &str = "system";
/// Their schema.
pub const SCHEMA: &str = "main";
/// Users and keys.
pub const CREDENTIALS: &str = "credentials";
/// What the server signs with.
pub const SECRETS: &str = "secrets";
/// What was answered to requests that take effect once.
pub const RECEIPTS: &str = "receipts";

/// Columns of [`CREDENTIALS`], all VARCHAR.
const CREDENTIALS_COLUMNS: [&str; 6] = ["kind", "name", "key_id", "role", "hash", "state"];
/// Columns of [`SECRETS`], all VARCHAR.
const SECRETS_COLUMNS: [&str; 2] = ["name", "value"];
/// Columns of [`RECEIPTS`], all VARCHAR.
const RECEIPTS_COLUMNS: [&str; 5] = ["key", "fingerprint", "made_ms", "answer_start", "answer_end"];
/// Row of [`SECRETS`] that signs ids.
const SERVER_SECRET: &str = "server";

/// Tables that SQL must not show.
pub fn hidden_tables() -> Vec<TableName> {
    [CREDENTIALS, SECRETS, RECEIPTS].into_iter().map(|table| TableName::new(DATABASE, SCHEMA, table)).collect()
}

/// Makes what a start needs. Returns whether this is the first start on this data directory.
///
/// # Errors
/// Those of the commit.
pub fn bootstrap(engine: &Engine, config: &Config) -> Result<bool> {
    let snapshot = engine.snapshot();
    let catalog = snapshot.catalog();
    let first = catalog.database(DATABASE).is_none();
    let mut changes = Vec::new();
    for database in config.all_catalogs().chain([DATABASE]) {
        let schema = if database == DATABASE { SCHEMA } else { &config.default_schema };
        add_database(catalog, database, schema, &mut changes);
    }
    if catalog.table(DATABASE, SCHEMA, CREDENTIALS).is_none() {
        changes.push(create_table(engine, CREDENTIALS, &CREDENTIALS_COLUMNS)?.0);
    }
    if catalog.table(DATABASE, SCHEMA, RECEIPTS).is_none() {
        changes.push(create_table(engine, RECEIPTS, &RECEIPTS_COLUMNS)?.0);
    }
    if catalog.table(DATABASE, SCHEMA, SECRETS).is_none() {
        let (create, id, schema) = create_table(engine, SECRETS, &SECRETS_COLUMNS)?;
        changes.push(create);
        let mut bytes = [0; SECRET_BYTES];
        getrandom::fill(&mut bytes)
            .map_err(|error| Error::new(ErrorKind::Internal, format!("no randomness from the system: {error}")))?;
        changes.push(Change::Append(text_batch(id, &schema, &[&[Some(SERVER_SECRET), Some(&to_hex(&bytes))]])?));
    }
    if !changes.is_empty() {
        engine.write(Commit::new(changes))?;
    }
    Ok(first)
}

fn add_database(catalog: &Catalog, name: &str, schema: &str, changes: &mut Vec<Change>) {
    let known = catalog.database(name);
    let planned = changes.iter().any(
        |change| matches!(change, Change::CreateDatabase { name: other } if siltstone_storage::same_name(other, name)),
    );
    if known.is_none() && !planned {
        changes.push(Change::CreateDatabase { name: name.to_owned() });
    }
    if !planned && known.is_none_or(|database| database.schema(schema).is_none()) {
        changes.push(Change::CreateSchema { database: name.to_owned(), name: schema.to_owned() });
    }
}

fn create_table(engine: &Engine, table: &str, columns: &[&str]) -> Result<(Change, TableId, Arc<TableSchema>)> {
    let columns = columns.iter().map(|name| NewColumn::new(*name, LogicalType::Varchar)).collect();
    let schema = Arc::new(TableSchema::new(columns, &[])?);
    let id = engine.new_table_id();
    let name = TableName::new(DATABASE, SCHEMA, table);
    Ok((Change::CreateTable { id, name, schema: Arc::clone(&schema) }, id, schema))
}

/// Rows of texts as a batch; values in the order of the schema's columns.
fn text_batch(id: TableId, schema: &TableSchema, rows: &[&[Option<&str>]]) -> Result<Batch> {
    let columns = schema.columns().iter().enumerate().map(|(i, column)| {
        let values = rows.iter().map(|row| row.get(i).copied().flatten()).collect::<StringViewArray>();
        (column.id, Arc::new(values) as ArrayRef)
    });
    Batch::new(id, rows.len(), columns.collect())
}

/// Appends rows to a system table, durably. Blocks.
///
/// # Errors
/// `NotFound` before [`bootstrap`]; those of the commit.
pub fn append(engine: &Engine, table: &str, rows: &[&[Option<&str>]]) -> Result<()> {
    engine.write(Commit::new(vec![appended(engine, table, rows)?])).map(|_| ())
}

/// Rows for a system table, to be part of a commit.
///
/// # Errors
/// `NotFound` before [`bootstrap`].
pub fn appended(engine: &Engine, table: &str, rows: &[&[Option<&str>]]) -> Result<Change> {
    let snapshot = engine.snapshot();
    let found = system_table(snapshot.catalog(), table)?;
    text_batch(found.id, found.schema(), rows).map(Change::Append)
}

/// All rows of a system table in the order in which they were written. Blocks.
///
/// # Errors
/// `NotFound` before [`bootstrap`]; those of reading.
pub fn rows(engine: &Engine, table: &str) -> Result<Vec<Vec<Option<String>>>> {
    let snapshot = engine.snapshot();
    let id = system_table(snapshot.catalog(), table)?.id;
    let table = snapshot.table(id).ok_or_else(|| missing(table))?;
    let ids: Vec<_> = table.schema().columns().iter().map(|column| column.id).collect();
    let mut rows = Vec::new();
    for unit in table.units() {
        let columns = unit.read(&ids)?;
        for row in 0..unit.rows() {
            rows.push(columns.iter().map(|column| text_at(column, row)).collect());
        }
    }
    Ok(rows)
}

fn text_at(column: &ArrayRef, row: usize) -> Option<String> {
    let texts = column.as_string_view_opt()?;
    texts.is_valid(row).then(|| texts.value(row).to_owned())
}

fn system_table<'a>(catalog: &'a Catalog, table: &str) -> Result<&'a Arc<Table>> {
    catalog.table(DATABASE, SCHEMA, table).ok_or_else(|| missing(table))
}

fn missing(table: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("system table does not exist: table={DATABASE}.{SCHEMA}.{table}"))
}

/// The secret made at the first start.
///
/// # Errors
/// `Corrupt` if its row is not what [`bootstrap`] wrote; those of reading.
pub fn secret(engine: &Engine) -> Result<Secret> {
    let found = rows(engine, SECRETS)?.into_iter().rev().find_map(|row| match row.as_slice() {
        [Some(name), Some(value)] if name == SERVER_SECRET => Some(value.clone()),
        _ => None,
    });
    let bytes = found.as_deref().and_then(from_hex).ok_or_else(|| {
        Error::new(
            ErrorKind::Corrupt,
            format!("no usable secret: table={DATABASE}.{SCHEMA}.{SECRETS}, row={SERVER_SECRET}"),
        )
    })?;
    Ok(Secret::new(&bytes))
}

/// Lower-case hexadecimal digits.
pub fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_hex(text: &str) -> Option<[u8; SECRET_BYTES]> {
    let mut bytes = [0; SECRET_BYTES];
    if text.len() != SECRET_BYTES * 2 || !text.is_ascii() {
        return None;
    }
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(bytes)
}
