//! What SQL has here and DataFusion has not, or has otherwise: one family per file.

pub(crate) mod aggregates;
pub(crate) mod arithmetic;
mod clock;
pub(crate) mod error;
mod format_spec;
mod formats;
mod intervals;
mod json;
mod list_aggregates;
mod lists;
mod maps;
pub(crate) mod measure;
mod numbers;
pub(crate) mod rewrites;
mod row_wise;
pub(crate) mod series;
pub(crate) mod session;
mod sums;
mod texts;
mod time_bucket;
mod time_format;
mod to_json;
mod types;

use std::sync::Arc;

use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF};

/// Functions of one value per row: DataFusion's, and ours over them.
pub(crate) fn scalar() -> Vec<Arc<ScalarUDF>> {
    let mut functions = types::adapted(SessionStateDefaults::default_scalar_functions());
    functions.extend(clock::functions());
    functions.extend(texts::functions());
    functions.extend(json::functions());
    functions.extend(numbers::functions());
    functions.extend(rewrites::functions());
    functions.extend(formats::functions());
    functions.extend(maps::functions());
    functions.extend(to_json::functions());
    functions.extend(list_aggregates::functions(&aggregate()));
    functions.extend([error::error(), types::type_of(), time_bucket::time_bucket()]);
    functions
}

/// Functions that take a lambda: DataFusion's, under DuckDB's names as well.
pub(crate) fn higher_order() -> Vec<Arc<HigherOrderUDF>> {
    lists::adapted(SessionStateDefaults::default_higher_order_functions())
}

/// Aggregates: DataFusion's, and ours beside them.
pub(crate) fn aggregate() -> Vec<Arc<AggregateUDF>> {
    aggregates::adapted(SessionStateDefaults::default_aggregate_functions())
}
