//! What one scan reads: units, columns, predicate, limit. A plain value, decided once, printable.
//!
//! **Invariants**
//! 1. Reading every unit of the plan and applying its predicate gives exactly the rows the query asked for (at least the
//!    first `limit_rows` of them, if there is a limit).
//! 2. [`AccessPlan::read`] has storage apply what it can of the predicate, then reads the columns of the rest of it, for the rows left, then
//!    the others, for the rows left then.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::{filter, prep_null_mask_filter};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::split_conjunction;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::physical_expr_common::physical_expr::fmt_sql;
use siltstone_storage::{ColumnId, Predicate, ScanUnit, Selected, TableSnapshot};

use crate::checking::ScanEstimate;
use crate::pruning::{ScanColumn, ZoneMaps, may_match, pruner};
use crate::pushdown::{Split, split};

/// A predicate: what storage evaluates of it, and the rest.
#[derive(Clone, Debug)]
struct Filter {
    whole: Arc<dyn PhysicalExpr>,
    split: Split,
    rest: Option<RowFilter>,
}

/// A predicate in the terms of the columns it needs.
#[derive(Clone, Debug)]
struct RowFilter {
    expr: Arc<dyn PhysicalExpr>,
    /// Positions in the table's columns, ascending.
    columns: Vec<usize>,
    schema: SchemaRef,
}

/// What a scan reads.
#[derive(Clone, Debug)]
pub(crate) struct AccessPlan {
    table_name: String,
    columns: Arc<[ScanColumn]>,
    projection: Vec<usize>,
    schema: SchemaRef,
    filter: Option<Filter>,
    units: Arc<[ScanUnit]>,
    /// The table, for what the scan leaves out of it.
    table: TableSnapshot,
    limit_rows: Option<usize>,
}

impl AccessPlan {
    /// Decides what to read of a table whose columns are `columns` (spelled as in `table_schema`).
    pub(crate) fn new(
        table: &TableSnapshot,
        columns: Arc<[ScanColumn]>,
        table_schema: &SchemaRef,
        projection: Option<&Vec<usize>>,
        predicate: Option<Arc<dyn PhysicalExpr>>,
        limit_rows: Option<usize>,
    ) -> Result<Self> {
        let projection = projection.cloned().unwrap_or_else(|| (0..columns.len()).collect());
        let schema = Arc::new(table_schema.project(&projection)?);
        let all = table.units();
        let units: Arc<[ScanUnit]> = match (&predicate, limit_rows) {
            (Some(predicate), _) => kept_units(predicate, &columns, table_schema, all),
            (None, Some(limit)) => all[..units_for_limit(all, limit)].into(),
            (None, None) => all.into(),
        };
        let filter = predicate.map(|expr| Filter::new(expr, &columns, table_schema)).transpose()?;
        Ok(Self {
            table_name: table.table().name.to_string(),
            columns,
            projection,
            schema,
            filter,
            units,
            table: table.clone(),
            limit_rows,
        })
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(crate) fn units(&self) -> &Arc<[ScanUnit]> {
        &self.units
    }

    pub(crate) fn units_pruned(&self) -> usize {
        self.table.units().len() - self.units.len()
    }

    pub(crate) fn limit_rows(&self) -> Option<usize> {
        self.limit_rows
    }

    /// Whether the units hold exactly the rows asked for: no predicate, no limit.
    pub(crate) fn is_whole(&self) -> bool {
        self.filter.is_none() && self.limit_rows.is_none()
    }

    pub(crate) fn table_columns(&self) -> &[ScanColumn] {
        &self.columns
    }

    pub(crate) fn predicate(&self) -> Option<&Arc<dyn PhysicalExpr>> {
        self.filter.as_ref().map(|filter| &filter.whole)
    }

    pub(crate) fn projected_columns(&self) -> impl Iterator<Item = &ScanColumn> {
        self.projection.iter().map(|&position| &self.columns[position])
    }

    /// Bytes that reading a unit fetches, roughly.
    pub(crate) fn unit_bytes(&self, unit: &ScanUnit) -> u64 {
        unit.bytes(&self.projected_columns().map(|column| column.id).collect::<Vec<_>>())
    }

    /// What it would read, beside what there is.
    pub(crate) fn estimate(&self) -> ScanEstimate {
        let bytes = |units: &[ScanUnit]| units.iter().map(|unit| self.unit_bytes(unit)).sum();
        let rows: usize = self.units.iter().map(ScanUnit::rows).sum();
        let filters = self.predicate().map(split_conjunction).unwrap_or_default();
        ScanEstimate {
            table: self.table_name.clone(),
            rows: self.limit_rows.map_or(rows, |limit| rows.min(limit)) as u64,
            filters: filters.into_iter().map(|filter| fmt_sql(filter.as_ref()).to_string()).collect(),
            row_groups: self.table.units().len() as u64,
            bytes: bytes(self.table.units()),
            row_groups_read: self.units.len() as u64,
            bytes_read: bytes(&self.units),
        }
    }

    /// The rows of a unit that satisfy the predicate, less those that `also` (conditions that the query has proved by now) rules out.
    /// Blocks on disk.
    pub(crate) fn read(&self, unit: &ScanUnit, also: &[Predicate]) -> Result<UnitRows> {
        let pushed = self.filter.iter().flat_map(|filter| &filter.split.predicates).chain(also);
        let selected = unit.filter(&pushed.cloned().collect::<Vec<_>>()).map_err(external)?;
        let rows_filtered = unit.rows() - selected.rows();
        let rest = self.filter.as_ref().and_then(|filter| filter.rest.as_ref());
        let (selected, known) = match rest {
            Some(rest) if selected.rows() > 0 => self.apply(unit, rest, &selected)?,
            _ => (selected, Vec::new()),
        };
        if selected.rows() == 0 {
            return Ok(UnitRows { batch: None, rows_filtered, rows_late: 0 });
        }
        let rows_late = if unit.is_late(&selected) { selected.rows() } else { 0 };
        let batch = self.batch(self.complete(unit, &selected, known)?, selected.rows())?;
        Ok(UnitRows { batch: Some(batch), rows_filtered, rows_late })
    }

    /// The selected rows that satisfy the rest of the predicate, and its columns for them, by position.
    fn apply(
        &self,
        unit: &ScanUnit,
        rest: &RowFilter,
        selected: &Selected,
    ) -> Result<(Selected, Vec<(usize, ArrayRef)>)> {
        let arrays = self.fetch(unit, &rest.columns, selected)?;
        let mask = rest.evaluate(&arrays, selected.rows())?;
        let narrowed = selected.narrowed(unit, &mask);
        let needed =
            rest.columns.iter().copied().zip(arrays).filter(|(position, _)| self.projection.contains(position));
        let known = match narrowed.rows() {
            0 => Vec::new(),
            rows if rows == selected.rows() => needed.collect(),
            _ => needed.map(|(position, array)| Ok((position, filter(&array, &mask)?))).collect::<Result<_>>()?,
        };
        Ok((narrowed, known))
    }

    /// The projected columns of the selected rows, of which some are known.
    fn complete(&self, unit: &ScanUnit, selected: &Selected, known: Vec<(usize, ArrayRef)>) -> Result<Vec<ArrayRef>> {
        let find = |position: usize| known.iter().find(|(other, _)| *other == position).map(|(_, array)| array);
        let missing: Vec<usize> =
            self.projection.iter().copied().filter(|&position| find(position).is_none()).collect();
        let mut fetched = self.fetch(unit, &missing, selected)?.into_iter();
        self.projection
            .iter()
            .map(|&position| match find(position) {
                Some(array) => Ok(Arc::clone(array)),
                None => fetched.next().ok_or_else(|| short_read(&self.table_name)),
            })
            .collect()
    }

    fn fetch(&self, unit: &ScanUnit, positions: &[usize], selected: &Selected) -> Result<Vec<ArrayRef>> {
        if positions.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<ColumnId> = positions.iter().map(|&position| self.columns[position].id).collect();
        let arrays = unit.read_selected(&ids, selected).map_err(external)?;
        if arrays.len() != ids.len() {
            return Err(short_read(&self.table_name));
        }
        Ok(arrays)
    }

    fn batch(&self, arrays: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)?)
    }
}

/// What a unit gave.
#[derive(Debug)]
pub(crate) struct UnitRows {
    /// `None`: no row.
    pub(crate) batch: Option<RecordBatch>,
    /// Rows that storage ruled out before any column was read for its values.
    pub(crate) rows_filtered: usize,
    /// Rows of which single values were read, not whole columns.
    pub(crate) rows_late: usize,
}

fn external(error: siltstone_storage::Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

fn short_read(table: &str) -> DataFusionError {
    DataFusionError::Internal(format!("storage returned fewer columns than asked for: table={table}"))
}

/// The units that may hold rows satisfying the predicate.
fn kept_units(
    predicate: &Arc<dyn PhysicalExpr>,
    columns: &[ScanColumn],
    table_schema: &SchemaRef,
    all: &[ScanUnit],
) -> Arc<[ScanUnit]> {
    match pruner(predicate, table_schema) {
        Some(pruner) => {
            let keep = may_match(&pruner, &ZoneMaps { columns, units: all });
            all.iter().zip(keep).filter(|(_, keep)| *keep).map(|(unit, _)| unit.clone()).collect()
        }
        None => all.into(),
    }
}

/// How many of the first units hold `limit` rows.
fn units_for_limit(units: &[ScanUnit], limit: usize) -> usize {
    let mut rows = 0;
    for (i, unit) in units.iter().enumerate() {
        if rows >= limit {
            return i;
        }
        rows += unit.rows();
    }
    units.len()
}

impl Filter {
    fn new(whole: Arc<dyn PhysicalExpr>, columns: &[ScanColumn], table_schema: &SchemaRef) -> Result<Self> {
        let split = split(&whole, &columns.iter().collect::<Vec<_>>());
        let rest = split.rest.clone().map(|rest| RowFilter::new(rest, table_schema)).transpose()?;
        Ok(Self { whole, split, rest })
    }
}

impl RowFilter {
    fn new(expr: Arc<dyn PhysicalExpr>, table_schema: &SchemaRef) -> Result<Self> {
        let columns: BTreeSet<usize> = collect_columns(&expr).iter().map(|column| column.index()).collect();
        let columns: Vec<usize> = columns.into_iter().collect();
        let schema: Schema = table_schema.project(&columns)?;
        let expr = reassign_expr_columns(expr, &schema)?;
        Ok(Self { expr, columns, schema: Arc::new(schema) })
    }

    /// Which rows satisfy it; NULL does not.
    fn evaluate(&self, arrays: &[ArrayRef], rows: usize) -> Result<BooleanArray> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays.to_vec(), &options)?;
        let mask = self.expr.evaluate(&batch)?.into_array(rows)?;
        let mask = mask
            .as_boolean_opt()
            .ok_or_else(|| DataFusionError::Internal(format!("a filter is not boolean: {}", self.expr)))?;
        Ok(if mask.null_count() > 0 { prep_null_mask_filter(mask) } else { mask.clone() })
    }
}

/// One line for EXPLAIN.
impl fmt::Display for AccessPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.projected_columns().map(|column| column.name.as_str()).collect();
        write!(f, "table={}, columns=[{}]", self.table_name, names.join(", "))?;
        if let Some(filter) = &self.filter {
            write!(f, ", filter={}", filter.whole)?;
            let encoded: Vec<String> = filter.split.translated.iter().map(ToString::to_string).collect();
            write!(f, ", on encoded data=[{}]", encoded.join(", "))?;
        }
        if let Some(limit) = self.limit_rows {
            write!(f, ", limit={limit}")?;
        }
        let rows: usize = self.units.iter().map(ScanUnit::rows).sum();
        let memory = self.units.iter().filter(|unit| unit.source() == "memory").count();
        write!(f, ", units={} of {} ({memory} in memory), rows={rows}", self.units.len(), self.table.units().len())
    }
}
