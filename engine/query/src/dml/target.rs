//! The table a statement changes, and which of its rows.
//!
//! **Invariants**
//! 1. An address is good for the snapshot it was read from, and only there.
//! 2. A row is picked once, however often its address comes.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::buffer::{BooleanBuffer, Buffer};
use datafusion::arrow::datatypes::UInt64Type;
use datafusion::sql::sqlparser::ast::{Expr, Ident, SelectItem, TableFactor};
use siltstone_storage::{RowSet, Snapshot, Table, TableSnapshot};

use crate::QueryError;
use crate::error::Result;
use crate::names::stored_table;
use crate::session::Session;
use crate::syntax;
use crate::table_form::TableForm;
use crate::table_provider::ADDRESS;

/// The table a statement changes.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) table: Arc<Table>,
    pub(super) rows: TableSnapshot,
    /// What the statement calls it.
    pub(super) alias: Ident,
    /// How a query reads it, addresses included.
    pub(super) factor: TableFactor,
}

impl Target {
    /// The table that `factor` names.
    ///
    /// # Errors
    /// `Catalog Error` if there is none; `Binder Error` for what is no plain table; those of writing to it.
    pub(super) fn of(session: &Session, snapshot: &Snapshot, factor: &TableFactor) -> Result<Self> {
        let TableFactor::Table { name, alias, args: None, version: None, .. } = factor else {
            return Err(QueryError::binder(format_args!("only tables can be changed, not {factor}")));
        };
        if alias.as_ref().is_some_and(|alias| !alias.columns.is_empty()) {
            return Err(QueryError::not_implemented("new column names for the table to be changed are not supported"));
        }
        let table = Arc::clone(stored_table(snapshot.catalog(), &session.defaults, name)?);
        session.check_writable(&table.name.database)?;
        let rows = snapshot.table(table.id).ok_or_else(|| crate::names::unknown_table(&table.name.table))?;
        let alias =
            alias.as_ref().map_or_else(|| Ident::with_quote('"', &table.name.table), |alias| alias.name.clone());
        let version = Some(TableForm::Addressed.version());
        let factor = syntax::table(name.clone(), Some(syntax::table_alias(alias.clone())), version);
        Ok(Self { table, rows, alias, factor })
    }

    /// One of its columns.
    pub(super) fn column(&self, name: &str) -> Expr {
        syntax::column(&self.alias, name)
    }

    /// The address of its rows, as the first column of a query.
    pub(super) fn address(&self) -> SelectItem {
        syntax::item(self.column(ADDRESS), ADDRESS)
    }
}

/// Rows picked by address.
#[derive(Debug)]
pub(super) struct Picked<'a> {
    table: &'a TableSnapshot,
    /// A bit per row of each unit; empty for a unit without a picked row.
    units: Vec<Vec<u64>>,
    rows: usize,
}

impl<'a> Picked<'a> {
    pub(super) fn new(table: &'a TableSnapshot) -> Self {
        Self { table, units: vec![Vec::new(); table.units().len()], rows: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.rows
    }

    /// Picks the rows whose addresses are a batch's first column; tells which of them are new.
    pub(super) fn pick(&mut self, batch: &RecordBatch) -> Result<BooleanArray> {
        let addresses = batch
            .columns()
            .first()
            .and_then(|column| column.as_primitive_opt::<UInt64Type>())
            .filter(|addresses| addresses.null_count() == 0)
            .ok_or_else(|| QueryError::internal("rows without addresses"))?;
        let fresh = addresses.values().iter().map(|address| self.pick_one(*address)).collect::<Result<Vec<bool>>>()?;
        Ok(BooleanArray::from(fresh))
    }

    fn pick_one(&mut self, address: u64) -> Result<bool> {
        let (unit, row) = ((address >> 32) as usize, (address & u64::from(u32::MAX)) as usize);
        let stored = self.table.units().get(unit).map_or(0, |unit| unit.rows());
        if row >= stored {
            return Err(QueryError::internal(format_args!("no such row: unit={unit}, row={row}")));
        }
        let bits = &mut self.units[unit];
        if bits.is_empty() {
            bits.resize(stored.div_ceil(64), 0);
        }
        let fresh = bits[row / 64] & (1 << (row % 64)) == 0;
        bits[row / 64] |= 1 << (row % 64);
        self.rows += usize::from(fresh);
        Ok(fresh)
    }

    /// The picked rows.
    pub(super) fn into_row_set(self) -> RowSet {
        let mut set = RowSet::empty(self.table.table().id);
        for (unit, bits) in self.table.units().iter().zip(self.units) {
            if !bits.is_empty() {
                let bits = BooleanBuffer::new(Buffer::from_vec(bits), 0, unit.rows());
                set.extend(unit.row_set(&BooleanArray::new(bits, None)));
            }
        }
        set
    }
}

/// All rows of a table.
pub(crate) fn all_rows(table: &TableSnapshot) -> RowSet {
    let mut set = RowSet::empty(table.table().id);
    for unit in table.units() {
        set.extend(unit.row_set(&BooleanArray::new(BooleanBuffer::new_set(unit.rows()), None)));
    }
    set
}
