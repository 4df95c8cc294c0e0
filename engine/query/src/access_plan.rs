//! What one scan reads: units, columns, predicate, limit. A plain value, decided once, printable.
//!
//! **Invariants**
//! 1. Reading every unit of the plan and applying its predicate gives exactly the rows the query asked for (at least the
//!    first `limit_rows` of them, if there is a limit).
//! 2. [`AccessPlan::read`] touches filter columns first and the others only if a row survives.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::{filter_record_batch, prep_null_mask_filter};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use siltstone_storage::{ColumnId, ScanUnit, TableSnapshot};

use crate::pruning::{ScanColumn, ZoneMaps, may_match, pruner};

/// A predicate in the terms of the columns it needs.
#[derive(Clone, Debug)]
struct Predicate {
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
    predicate: Option<Predicate>,
    units: Arc<[ScanUnit]>,
    units_total: usize,
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
        Ok(Self {
            table_name: table.table().name.to_string(),
            columns,
            projection,
            schema,
            predicate: predicate.map(|expr| Predicate::new(expr, table_schema)).transpose()?,
            units,
            units_total: all.len(),
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
        self.units_total - self.units.len()
    }

    pub(crate) fn limit_rows(&self) -> Option<usize> {
        self.limit_rows
    }

    /// Whether the units hold exactly the rows asked for: no predicate, no limit.
    pub(crate) fn is_whole(&self) -> bool {
        self.predicate.is_none() && self.limit_rows.is_none()
    }

    pub(crate) fn table_columns(&self) -> &[ScanColumn] {
        &self.columns
    }

    pub(crate) fn predicate(&self) -> Option<&Arc<dyn PhysicalExpr>> {
        self.predicate.as_ref().map(|predicate| &predicate.expr)
    }

    pub(crate) fn projected_columns(&self) -> impl Iterator<Item = &ScanColumn> {
        self.projection.iter().map(|&position| &self.columns[position])
    }

    /// Bytes that reading a unit fetches, roughly.
    pub(crate) fn unit_bytes(&self, unit: &ScanUnit) -> u64 {
        unit.bytes(&self.projected_columns().map(|column| column.id).collect::<Vec<_>>())
    }

    /// The rows of a unit that satisfy the predicate; `None` if there are none. Blocks on disk.
    pub(crate) fn read(&self, unit: &ScanUnit) -> Result<Option<RecordBatch>> {
        let Some(predicate) = &self.predicate else {
            let arrays = self.fetch(unit, &self.projection)?;
            return Ok(Some(self.batch(arrays, unit.rows())?));
        };
        let filter_arrays = self.fetch(unit, &predicate.columns)?;
        let mask = predicate.evaluate(&filter_arrays, unit.rows())?;
        let survivors = mask.true_count();
        if survivors == 0 {
            return Ok(None);
        }
        let batch = self.batch(self.complete(unit, predicate, &filter_arrays)?, unit.rows())?;
        if survivors == unit.rows() {
            return Ok(Some(batch));
        }
        Ok(Some(filter_record_batch(&batch, &mask)?))
    }

    /// The projected columns, reusing those the predicate has read.
    fn complete(&self, unit: &ScanUnit, predicate: &Predicate, filter_arrays: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
        let read_already = |position: usize| predicate.columns.binary_search(&position).ok();
        let missing: Vec<usize> =
            self.projection.iter().copied().filter(|&position| read_already(position).is_none()).collect();
        let mut fetched = self.fetch(unit, &missing)?.into_iter();
        self.projection
            .iter()
            .map(|&position| match read_already(position) {
                Some(i) => Ok(Arc::clone(&filter_arrays[i])),
                None => fetched.next().ok_or_else(|| short_read(&self.table_name)),
            })
            .collect()
    }

    fn fetch(&self, unit: &ScanUnit, positions: &[usize]) -> Result<Vec<ArrayRef>> {
        if positions.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<ColumnId> = positions.iter().map(|&position| self.columns[position].id).collect();
        let arrays = unit.read(&ids).map_err(|error| DataFusionError::External(Box::new(error)))?;
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

impl Predicate {
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
        if let Some(predicate) = &self.predicate {
            write!(f, ", filter={}", predicate.expr)?;
        }
        if let Some(limit) = self.limit_rows {
            write!(f, ", limit={limit}")?;
        }
        let rows: usize = self.units.iter().map(ScanUnit::rows).sum();
        let memory = self.units.iter().filter(|unit| unit.source() == "memory").count();
        write!(f, ", units={} of {} ({memory} in memory), rows={rows}", self.units.len(), self.units_total)
    }
}
