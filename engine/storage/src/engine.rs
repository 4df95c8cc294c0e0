//! Engine: open, write, snapshot, flush, close.
use crate::commit::Commit;
use crate::error::Result;
use crate::ids::{SnapshotId, TableId};
use crate::io::Disk;
use crate::options::Options;
use crate::snapshot::Snapshot;
use std::sync::Arc;

/// An open data directory. Cheap to clone; all clones are the same engine.
#[derive(Clone, Debug)]
pub struct Engine {}

impl Engine {
    /// Opens or creates.
    pub fn open(_disk: Arc<dyn Disk>, _options: Options) -> Result<Self> {
        unimplemented!()
    }
    /// The newest snapshot.
    pub fn snapshot(&self) -> Snapshot {
        unimplemented!()
    }
    /// Makes a commit durable and visible, then returns. Blocks.
    pub fn write(&self, _commit: Commit) -> Result<SnapshotId> {
        unimplemented!()
    }
    /// Queues a commit; `done` runs on the committer's thread once it is durable and visible, or has failed with nothing written.
    pub fn submit(&self, _commit: Commit, _done: impl FnOnce(Result<SnapshotId>) + Send + 'static) {
        unimplemented!()
    }
    /// An id for a table about to be created.
    pub fn new_table_id(&self) -> TableId {
        unimplemented!()
    }
    /// Writes all rows in memory to segments and frees the log. Blocks.
    pub fn flush(&self) -> Result<()> {
        unimplemented!()
    }
    /// Stops accepting commits, finishes the queued ones, stops the threads. Idempotent.
    pub fn close(&self) -> Result<()> {
        unimplemented!()
    }
    /// Whether writes are possible, and if not, why.
    pub fn health(&self) -> Result<()> {
        unimplemented!()
    }
    /// Counters and gauges.
    pub fn metrics(&self) -> crate::metrics::Metrics {
        unimplemented!()
    }
}
