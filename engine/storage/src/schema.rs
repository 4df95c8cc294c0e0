//! Tables and their columns: names, types, ids, and which schema changes keep old data readable.
//!
//! **Invariants**
//! 1. A column id is used once in a table's life; data on disk is found by id, so renames and reorders cost nothing.
//! 2. Names compare without regard to case and keep the spelling they were given.
//! 3. A [`TableSchema`] never changes; a change makes the next version.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow_schema::{DataType, Schema, SchemaRef};

use crate::error::{Error, ErrorKind, Result};
use crate::ids::{ColumnId, SchemaVersion};
use crate::logical_type::LogicalType;
use crate::value::Value;

/// A column before it has an id.
#[derive(Clone, Debug, PartialEq)]
pub struct NewColumn {
    /// Up to 255 characters, not empty, no NUL.
    pub name: String,
    /// Its type.
    pub logical_type: LogicalType,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// What a row has that does not say; `None` is NULL.
    pub default: Option<Value>,
}

impl NewColumn {
    /// A nullable column without default.
    pub fn new(name: impl Into<String>, logical_type: LogicalType) -> Self {
        Self { name: name.into(), logical_type, nullable: true, default: None }
    }
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Stable for the table's life.
    pub id: ColumnId,
    /// Spelling as given.
    pub name: String,
    /// Its type.
    pub logical_type: LogicalType,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// What rows have that do not say, old rows included; `None` is NULL.
    pub default: Option<Value>,
}

/// The columns of a table at one version, in order.
#[derive(Clone, Debug)]
pub struct TableSchema {
    version: SchemaVersion,
    columns: Vec<Column>,
    primary_key: Vec<ColumnId>,
    next_column: ColumnId,
    arrow: SchemaRef,
    /// Places in `columns`, by id.
    by_id: BTreeMap<ColumnId, usize>,
    /// Places in `columns`, by folded name.
    by_name: HashMap<String, usize>,
}

impl TableSchema {
    /// Most columns a table can have.
    pub const COLUMNS_MAX: usize = 4096;
    /// Longest column name, in characters.
    pub const NAME_CHARS_MAX: usize = 255;

    /// Version 1 of a table's schema; `primary_key` names columns (empty: no key).
    ///
    /// # Errors
    /// `Invalid` for a bad or repeated name, no or too many columns, a key column that does not exist, types nested too deeply.
    pub fn new(columns: Vec<NewColumn>, primary_key: &[String]) -> Result<Self> {
        let empty = Self::assemble(SchemaVersion(0), Vec::new(), Vec::new(), ColumnId(1));
        if columns.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "a table needs at least one column"));
        }
        let mut schema = empty.with_columns(columns)?;
        for name in primary_key {
            let column = schema.column(name).ok_or_else(|| unknown_column(name))?.id;
            schema.primary_key.push(column);
        }
        Ok(schema)
    }

    /// Rebuilds a schema from its stored parts, checking every invariant.
    pub(crate) fn from_parts(
        version: SchemaVersion,
        columns: Vec<Column>,
        primary_key: Vec<ColumnId>,
        next_column: ColumnId,
    ) -> Result<Self> {
        let mut ids = HashSet::new();
        let mut names = HashSet::new();
        for column in &columns {
            check_name(&column.name)?;
            if column.id >= next_column || !ids.insert(column.id) {
                return Err(Error::new(ErrorKind::Invalid, format!("column id used twice: id={}", column.id)));
            }
            if !names.insert(folded_name(&column.name)) {
                return Err(repeated_column(&column.name));
            }
        }
        if let Some(id) = primary_key.iter().find(|id| !columns.iter().any(|column| column.id == **id)) {
            return Err(Error::new(ErrorKind::Invalid, format!("key names an unknown column: id={id}")));
        }
        Ok(Self::assemble(version, columns, primary_key, next_column))
    }

    fn assemble(
        version: SchemaVersion,
        columns: Vec<Column>,
        primary_key: Vec<ColumnId>,
        next_column: ColumnId,
    ) -> Self {
        let arrow = Arc::new(Schema::new(
            columns.iter().map(|column| column.logical_type.field(&column.name, column.nullable)).collect::<Vec<_>>(),
        ));
        let by_id = columns.iter().enumerate().map(|(place, column)| (column.id, place)).collect();
        let by_name = columns.iter().enumerate().map(|(place, column)| (folded_name(&column.name), place)).collect();
        Self { version, columns, primary_key, next_column, arrow, by_id, by_name }
    }

    /// The next version, with columns added at the end.
    ///
    /// # Errors
    /// `Invalid` for a bad or repeated name, too many columns, or a type that a column cannot have.
    pub fn with_columns(&self, added: Vec<NewColumn>) -> Result<Self> {
        let mut columns = self.columns.clone();
        let mut names: HashSet<String> = self.by_name.keys().cloned().collect();
        let mut next_column = self.next_column;
        for column in added {
            check_name(&column.name)?;
            column.logical_type.check(&column.name)?;
            if !names.insert(folded_name(&column.name)) {
                return Err(repeated_column(&column.name));
            }
            columns.push(Column {
                id: next_column,
                name: column.name,
                logical_type: column.logical_type,
                nullable: column.nullable,
                default: column.default,
            });
            next_column = next_column.next();
        }
        self.changed(columns, next_column)
    }

    /// The next version, without a column.
    ///
    /// # Errors
    /// `NotFound` if there is none of that name; `Invalid` for the last column or one of the key.
    pub fn without_column(&self, name: &str) -> Result<Self> {
        let dropped = self.column(name).ok_or_else(|| unknown_column(name))?.id;
        if self.primary_key.contains(&dropped) || self.columns.len() == 1 {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("a key column or the last column cannot be dropped: column={name}"),
            ));
        }
        let columns = self.columns.iter().filter(|column| column.id != dropped).cloned().collect();
        self.changed(columns, self.next_column)
    }

    /// The next version, with a column renamed.
    ///
    /// # Errors
    /// `NotFound` if there is none of that name; `Invalid` for a bad or taken name.
    pub fn with_renamed_column(&self, from: &str, to: &str) -> Result<Self> {
        let renamed = self.column(from).ok_or_else(|| unknown_column(from))?.id;
        check_name(to)?;
        if self.column(to).is_some_and(|other| other.id != renamed) {
            return Err(repeated_column(to));
        }
        let mut columns = self.columns.clone();
        for column in columns.iter_mut().filter(|column| column.id == renamed) {
            column.name = to.to_owned();
        }
        self.changed(columns, self.next_column)
    }

    /// The next version, with a column that allows NULL or does not. That no stored row has one is for the caller to know.
    ///
    /// # Errors
    /// `NotFound` if there is none of that name; `Invalid` for a column of the key.
    pub fn with_nullable(&self, name: &str, nullable: bool) -> Result<Self> {
        let altered = self.column(name).ok_or_else(|| unknown_column(name))?.id;
        self.check_not_key(altered, name)?;
        let mut columns = self.columns.clone();
        for column in columns.iter_mut().filter(|column| column.id == altered) {
            column.nullable = nullable;
        }
        self.changed(columns, self.next_column)
    }

    /// The next version, with a new column in the place of another one: it has an id, and so values, of its own.
    ///
    /// # Errors
    /// `NotFound` if there is none of that name; `Invalid` for a column of the key, a bad or taken name, a type nested too deeply.
    pub fn with_replaced_column(&self, name: &str, by: NewColumn) -> Result<Self> {
        let replaced = self.column(name).ok_or_else(|| unknown_column(name))?.id;
        self.check_not_key(replaced, name)?;
        if self.column(&by.name).is_some_and(|other| other.id != replaced) {
            return Err(repeated_column(&by.name));
        }
        let place = self.by_id[&replaced];
        let mut next = Self::assemble(self.version, Vec::new(), Vec::new(), self.next_column).with_columns(vec![by])?;
        let mut columns = self.columns.clone();
        columns[place] = next.columns.remove(0);
        self.changed(columns, next.next_column)
    }

    fn check_not_key(&self, id: ColumnId, name: &str) -> Result<()> {
        if self.primary_key.contains(&id) {
            return Err(Error::new(ErrorKind::Invalid, format!("a key column stays as it is: column={name}")));
        }
        Ok(())
    }

    fn changed(&self, columns: Vec<Column>, next_column: ColumnId) -> Result<Self> {
        if columns.len() > Self::COLUMNS_MAX {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("too many columns: limit={}, found={}", Self::COLUMNS_MAX, columns.len()),
            ));
        }
        Ok(Self::assemble(self.version.next(), columns, self.primary_key.clone(), next_column))
    }

    /// Counts changes, from 1.
    pub fn version(&self) -> SchemaVersion {
        self.version
    }

    /// Columns in order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The column of that name, whatever its case.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.by_name.get(&folded_name(name)).map(|place| &self.columns[*place])
    }

    /// The column with that id.
    pub fn column_by_id(&self, id: ColumnId) -> Option<&Column> {
        self.by_id.get(&id).map(|place| &self.columns[*place])
    }

    /// The Arrow form of the column with that id.
    pub(crate) fn data_type(&self, id: ColumnId) -> Option<&DataType> {
        self.by_id.get(&id).map(|place| self.arrow.field(*place).data_type())
    }

    /// Columns of the primary key, in key order; empty without one.
    pub fn primary_key(&self) -> &[ColumnId] {
        &self.primary_key
    }

    pub(crate) fn next_column(&self) -> ColumnId {
        self.next_column
    }

    /// The same columns as an Arrow schema.
    pub fn arrow(&self) -> &SchemaRef {
        &self.arrow
    }
}

impl PartialEq for TableSchema {
    fn eq(&self, other: &Self) -> bool {
        self.version == other.version && self.columns == other.columns && self.primary_key == other.primary_key
    }
}

/// Whether two names are the same to SQL.
pub fn same_name(a: &str, b: &str) -> bool {
    a == b || folded_name(a) == folded_name(b)
}

/// The form under which names are compared.
pub fn folded_name(name: &str) -> String {
    if name.is_ascii() { name.to_ascii_lowercase() } else { name.to_lowercase() }
}

/// Checks a table, schema or column name.
pub(crate) fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.contains('\0') || name.chars().count() > TableSchema::NAME_CHARS_MAX {
        return Err(Error::new(
            ErrorKind::Invalid,
            format!("bad name: expected=1 to {} characters without NUL, found={name:?}", TableSchema::NAME_CHARS_MAX),
        ));
    }
    Ok(())
}

fn unknown_column(name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("column does not exist: column={name}"))
}

fn repeated_column(name: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("column exists already: column={name}"))
}
