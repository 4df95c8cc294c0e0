//! Functions of lists under DuckDB's names.

use std::sync::Arc;

use datafusion::logical_expr::HigherOrderUDF;

/// Functions that take a lambda, under DuckDB's names as well.
pub(super) fn adapted(functions: Vec<Arc<HigherOrderUDF>>) -> Vec<Arc<HigherOrderUDF>> {
    let adapt = |function: Arc<HigherOrderUDF>| {
        let aliases: &[&'static str] = match function.name() {
            "array_transform" => &["apply", "list_apply", "array_apply"],
            "array_filter" => &["filter"],
            _ => return function,
        };
        Arc::new(function.as_ref().clone().with_aliases(aliases.iter().copied()))
    };
    functions.into_iter().map(adapt).collect()
}
