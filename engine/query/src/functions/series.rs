//! `range()` and `generate_series()` in FROM: the column is called as the function is, and is a TIMESTAMP where it is of dates, as in DuckDB.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::catalog::{TableFunction, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::error::Result;
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, cast};

/// DataFusion's table functions, each of which makes one column.
pub(crate) fn table_functions() -> Vec<Arc<TableFunction>> {
    let named = |function: Arc<TableFunction>| {
        let name = function.name().to_owned();
        Arc::new(TableFunction::new(name, Arc::new(NamedSeries(function))))
    };
    SessionStateDefaults::default_table_functions().into_iter().map(named).collect()
}

#[derive(Debug)]
struct NamedSeries(Arc<TableFunction>);

impl TableFunctionImpl for NamedSeries {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let name = self.0.name();
        let scan =
            LogicalPlanBuilder::scan(name, provider_as_source(self.0.create_table_provider_with_args(args)?), None)?;
        let columns = scan.schema().iter().map(|field| match field.1.data_type() {
            // Of dates, DataFusion makes a series of nanoseconds.
            DataType::Timestamp(TimeUnit::Nanosecond, None) => {
                cast(Expr::from(field), DataType::Timestamp(TimeUnit::Microsecond, None)).alias(name)
            }
            _ => Expr::from(field).alias(name),
        });
        let columns: Vec<Expr> = columns.collect();
        let plan = scan.project(columns)?.build()?;
        Ok(Arc::new(ViewTable::new(plan, None)))
    }
}
