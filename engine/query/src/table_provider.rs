//! A table of a snapshot as DataFusion sees it: schema, filter classification, scan. No I/O.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use siltstone_storage::{ColumnId, LogicalType, TableSnapshot};

use crate::access_plan::AccessPlan;
use crate::names::Spelling;
use crate::pruning::ScanColumn;
use crate::scan_exec::ScanExec;

/// The column that holds the addresses of rows, in tables that are read with them.
pub(crate) const ADDRESS: &str = "\0address";

/// One table, its columns under the names the statement uses for them.
#[derive(Debug)]
pub(crate) struct SnapshotTable {
    table: TableSnapshot,
    columns: Arc<[ScanColumn]>,
    schema: SchemaRef,
}

impl SnapshotTable {
    pub(crate) fn new(table: TableSnapshot, spelling: &Spelling) -> Self {
        let columns = stored_columns(&table, spelling).collect();
        Self::with_columns(table, columns)
    }

    /// The table with one more column, [`ADDRESS`].
    pub(crate) fn addressed(table: TableSnapshot, spelling: &Spelling) -> Self {
        let address =
            ScanColumn { id: ColumnId::ADDRESS, name: ADDRESS.to_owned(), logical_type: LogicalType::UBigInt };
        let columns = stored_columns(&table, spelling).chain([address]).collect();
        Self::with_columns(table, columns)
    }

    fn with_columns(table: TableSnapshot, columns: Arc<[ScanColumn]>) -> Self {
        // Nullable throughout: NOT NULL is a promise of the writers, and a plan that leaned on it could not survive a breach.
        let fields: Vec<_> = columns.iter().map(|column| column.logical_type.field(&column.name, true)).collect();
        Self { table, columns, schema: Arc::new(Schema::new(fields)) }
    }
}

fn stored_columns(table: &TableSnapshot, spelling: &Spelling) -> impl Iterator<Item = ScanColumn> {
    table.schema().columns().iter().map(|column| ScanColumn {
        id: column.id,
        name: spelling.of(&column.name),
        logical_type: column.logical_type.clone(),
    })
}

/// Whether the scan can evaluate a filter by itself, row by row.
fn is_row_filter(filter: &Expr) -> bool {
    let mut row_wise = !filter.is_volatile();
    // The closure never fails, so neither does the walk.
    let walked = filter.apply(|expr| {
        let needs_plan = matches!(
            expr,
            Expr::ScalarSubquery(_)
                | Expr::InSubquery(_)
                | Expr::Exists(_)
                | Expr::SetComparison(_)
                | Expr::OuterReferenceColumn(..)
                | Expr::AggregateFunction(_)
                | Expr::WindowFunction(_)
                | Expr::Unnest(_)
                | Expr::Placeholder(_)
        );
        row_wise &= !needs_plan;
        Ok(if needs_plan { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    walked.is_ok() && row_wise
}

#[async_trait]
impl TableProvider for SnapshotTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let predicate = match conjunction(filters.iter().cloned()) {
            Some(filter) => {
                let schema = DFSchema::try_from(Arc::clone(&self.schema))?;
                Some(state.create_physical_expr(filter, &schema)?)
            }
            None => None,
        };
        let plan = AccessPlan::new(&self.table, Arc::clone(&self.columns), &self.schema, projection, predicate, limit)?;
        Ok(Arc::new(ScanExec::new(plan, state.config().target_partitions())))
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(filters
            .iter()
            .map(|filter| {
                if is_row_filter(filter) {
                    TableProviderFilterPushDown::Exact
                } else {
                    TableProviderFilterPushDown::Unsupported
                }
            })
            .collect())
    }
}
