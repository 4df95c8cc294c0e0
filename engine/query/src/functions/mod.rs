//! What SQL has here and DataFusion has not, or has otherwise: one family per file.

pub(crate) mod arithmetic;
pub(crate) mod error;
pub(crate) mod measure;
pub(crate) mod session;

use std::sync::Arc;

use datafusion::logical_expr::ScalarUDF;

/// Functions of one value per row, whatever the session.
pub(crate) fn scalar() -> Vec<Arc<ScalarUDF>> {
    vec![error::error()]
}
