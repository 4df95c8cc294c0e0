//! Segments as parts of the database: opened as the manifest names them, with their delete vectors.

use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;

use crate::delete_vector::DeleteVector;
use crate::error::{Error, Result};
use crate::ids::{SegmentId, SnapshotId};
use crate::io::Disk;
use crate::key_tables::SegmentKeys;
use crate::manifest::{DeletesEntry, SegmentEntry, deletes_path, segment_path};
use crate::segment::Segment;
use crate::state::LiveSegment;

/// Maps a segment file, checks that it is the one the manifest means, and reads its delete vector.
///
/// # Errors
/// `Corrupt` or `Unsupported` naming the file; those of the disk.
pub(crate) fn open_segment(disk: &dyn Disk, entry: SegmentEntry) -> Result<LiveSegment> {
    let path = segment_path(entry.id);
    let file = disk.open(&path).map_err(|error| Error::io("open", &path, error))?;
    let map = file.map().map_err(|error| Error::io("map", &path, error))?;
    let mut reader = Segment::open(&path, map, entry.bytes, entry.checksum)?;
    if let Some(commit) = entry.commit {
        reader = reader.of_commit(commit)?;
    }
    if reader.total_rows() != entry.rows {
        return Err(Error::corrupt(&path, 0, format_args!("{} rows", entry.rows), reader.total_rows()));
    }
    let deletes = match &entry.deletes {
        None => DeleteVector::new(),
        Some(deletes) => read_deletes(disk, &entry, deletes)?,
    };
    let deletes_bytes = AtomicU64::new(entry.deletes.as_ref().map_or(0, |deletes| deletes.bytes));
    Ok(LiveSegment {
        entry,
        reader,
        deletes,
        keys: SegmentKeys::default(),
        deletes_bytes,
        moved: OnceLock::new(),
        chunks: OnceLock::new(),
    })
}

fn read_deletes(disk: &dyn Disk, entry: &SegmentEntry, deletes: &DeletesEntry) -> Result<DeleteVector> {
    let path = deletes_path(entry.id, deletes.file);
    let file = disk.open(&path).map_err(|error| Error::io("open", &path, error))?;
    let bytes = file.map().map_err(|error| Error::io("map", &path, error))?;
    if bytes.len() as u64 != deletes.bytes {
        return Err(Error::corrupt(&path, 0, format_args!("{} bytes", deletes.bytes), bytes.len()));
    }
    DeleteVector::decode(&path, &bytes, entry.rows as u32, deletes.checksum)
}

/// Writes and syncs what was deleted of a segment as of a commit. The name is durable when the caller has synced the folder.
///
/// # Errors
/// Those of the disk.
pub(crate) fn write_deletes(
    disk: &dyn Disk,
    entry: &SegmentEntry,
    deletes: &DeleteVector,
    file: SegmentId,
    through: SnapshotId,
) -> Result<DeletesEntry> {
    let path = deletes_path(entry.id, file);
    let mut bytes = Vec::new();
    let checksum = deletes.encode(entry.rows as u32, through, &mut bytes);
    let created = disk.create(&path).map_err(|error| Error::io("create", &path, error))?;
    created.write_at(0, &[std::io::IoSlice::new(&bytes)]).map_err(|error| Error::io("write", &path, error))?;
    created.sync().map_err(|error| Error::io("sync", &path, error))?;
    Ok(DeletesEntry { file, bytes: bytes.len() as u64, checksum, through })
}
