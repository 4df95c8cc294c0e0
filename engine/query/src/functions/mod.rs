//! What SQL has here and DataFusion has not, or has otherwise: one family per file.

pub(crate) mod arithmetic;
pub(crate) mod session;
