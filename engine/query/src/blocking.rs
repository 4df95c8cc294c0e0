//! Work that blocks, off the threads that run queries.

use crate::QueryError;
use crate::error::Result;

/// Runs something that blocks.
pub(crate) async fn off_thread<T: Send + 'static>(job: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(job).await.unwrap_or_else(|error| Err(QueryError::internal(error)))
}
