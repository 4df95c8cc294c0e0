//! Writes the records of one log as the log of another data directory, for backups.
//!
//! **Invariants**
//! 1. The source is only read. Records pass through the reader and the writer of this module's siblings: what arrives was
//!    checked, and ends with a closing mark.
//! 2. The bodies stay as they are stored: nothing is compressed or decoded again.

use std::sync::Arc;

use super::reader::{ReplayEnd, Replayed, replay_through};
use super::record::{Body, Record};
use super::{LogOptions, LogWriter};
use crate::error::{Error, Result};
use crate::ids::SnapshotId;
use crate::io::Disk;

/// Length of the first file; a larger slice of records gets a file of its own size. 1 MiB: a log that ends at the
/// checkpoint, the usual case, costs hardly more.
const FILE_BYTES: u64 = 1 << 20;

/// Copies the records after `after`, up to and including `through` (or to the end), to a disk that has no log. Returns the last one.
///
/// # Errors
/// Those of [`super::replay`] for the source; `Corrupt` if it ends before `through`; those of [`LogWriter`] for the target.
pub(crate) fn copy(
    source: &dyn Disk,
    target: &Arc<dyn Disk>,
    after: SnapshotId,
    through: Option<SnapshotId>,
    entropy: u64,
) -> Result<SnapshotId> {
    let options = LogOptions { file_bytes: FILE_BYTES, spare_files_max: 0, disk_reserve_bytes: 0 };
    let mut writer = LogWriter::start(Arc::clone(target), options, ReplayEnd::without_files(after, entropy))?;
    let limit = through.unwrap_or(SnapshotId(u64::MAX));
    let end = replay_through(source, after, limit, &mut |records| append(&mut writer, &records))?;
    if let Some(through) = through.filter(|through| end.last < *through) {
        return Err(Error::corrupt(super::FOLDER, 0, format_args!("records up to {through}"), end.last));
    }
    writer.close()?;
    Ok(end.last)
}

fn append(writer: &mut LogWriter, records: &[Replayed]) -> Result<()> {
    let bodies: Vec<Body> = records.iter().map(Replayed::body).collect();
    let records: Vec<Record<'_>> = records
        .iter()
        .zip(&bodies)
        .map(|(record, body)| Record { snapshot: record.snapshot, time_us: record.time_us, body })
        .collect();
    writer.append(&records)
}
