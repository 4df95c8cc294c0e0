//! Puts a compacted segment in the place of its sources.
//!
//! It holds the flusher's lock, so that the manifest does not change otherwise, and the writer's, so that no row of the sources is deleted
//! between the last look at their delete vectors and the new manifest: a log record that deletes rows of a segment which no manifest names
//! any more must be one that [`Manifest::deletes_through`] covers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::job::{Source, Written, mark_later};
use crate::engine::Shared;
use crate::error::{Error, ErrorKind, Result};
use crate::flush::Flusher;
use crate::ids::{SegmentId, SnapshotId};
use crate::io::Disk;
use crate::live_segment::write_deletes;
use crate::manifest::{DeletesEntry, Manifest, SEGMENT_FOLDER, SegmentEntry, store};
use crate::state::{LiveSegment, MovedSegment, State};
use crate::sweep::remove_written;

/// Makes the new segment part of the database; `false` if the sources are no longer, and it is not needed.
///
/// # Errors
/// `Exhausted` when the disk is full: the sources stay. Where it is in doubt which manifest stands, the disk is latched.
pub(crate) fn install(shared: &Shared, written: Written) -> Result<bool> {
    let mut flusher = shared.flusher.lock();
    let id = written.id;
    let first_file = flusher.manifest.next_segment;
    let outcome = replace(shared, &mut flusher, written);
    flusher.unfinished.remove(&id);
    match outcome {
        Ok(true) => {
            flusher.sweep(shared.disk.as_ref())?;
            Ok(true)
        }
        Ok(false) => {
            remove_written(shared.disk.as_ref(), id..id.next())?;
            Ok(false)
        }
        Err(error) => {
            if error.kind() == ErrorKind::Exhausted && shared.disk.latched().is_none() {
                // What cannot be removed now is swept later; the cause is what matters to the caller.
                drop(remove_written(shared.disk.as_ref(), id..id.next()));
                drop(remove_written(shared.disk.as_ref(), first_file..flusher.manifest.next_segment));
            }
            Err(error)
        }
    }
}

/// What happens under both locks.
fn replace(shared: &Shared, flusher: &mut Flusher, written: Written) -> Result<bool> {
    let mut writer = shared.writer.lock();
    let state = &mut writer.state;
    let Some(at) = place(state, &written) else { return Ok(false) };
    let Written { table, horizon, sources, mut segment, through, mut bytes, .. } = written;
    if let Some(segment) = &mut segment {
        mark_later(&segment.deletes, &sources, through, state.snapshot);
        // Ids of files that may exist are not given again, whatever becomes of the files.
        segment.entry.deletes = save_deletes(shared, segment, state.snapshot, &mut flusher.manifest.next_segment)?;
        let deletes_bytes = segment.entry.deletes.as_ref().map_or(0, |deletes| deletes.bytes);
        segment.deletes_bytes.store(deletes_bytes, Ordering::Relaxed);
        bytes += deletes_bytes;
    }
    let mut manifest = Manifest {
        generation: flusher.manifest.generation + 1,
        deletes_through: state.snapshot,
        horizon: flusher.manifest.horizon.max(horizon),
        ..flusher.manifest.clone()
    };
    replace_entries(&mut manifest.segments, &sources, segment.as_ref().map(|segment| &segment.entry))?;
    store::write_draft(shared.disk.as_ref(), &manifest)?;
    if let Err(error) = store::make_draft_stand(shared.disk.as_ref(), &manifest) {
        // With the new manifest a restart would not know the segments that commits from now on delete from; with the old one it would not
        // know the new segment.
        shared.disk.latch(format!("it is in doubt which manifest stands: {error}"));
        return Err(error);
    }
    let segment = segment.map(Arc::new);
    shared.opened(segment.iter());
    state.horizon = manifest.horizon;
    state.rows_mut(table).segments.splice(at..at + sources.len(), segment.clone());
    sources.into_iter().for_each(|source| leave_word(source, segment.as_ref()));
    flusher.manifest = manifest;
    shared.publish(state);
    shared.counters.compaction_done(bytes);
    Ok(true)
}

/// Where the sources are among the segments of their table, if all of them still are.
fn place(state: &State, written: &Written) -> Option<usize> {
    let segments = &state.rows.get(&written.table)?.segments;
    let first = &written.sources.first()?.segment;
    let at = segments.iter().position(|segment| Arc::ptr_eq(segment, first))?;
    let live = segments.get(at..at + written.sources.len())?;
    live.iter().zip(&written.sources).all(|(live, source)| Arc::ptr_eq(live, &source.segment)).then_some(at)
}

/// Writes the delete vector of the new segment, if anything of it is deleted.
fn save_deletes(
    shared: &Shared,
    segment: &LiveSegment,
    through: SnapshotId,
    next: &mut SegmentId,
) -> Result<Option<DeletesEntry>> {
    if segment.deletes.count() == 0 {
        return Ok(None);
    }
    let file = *next;
    *next = file.next();
    let disk = shared.disk.as_ref();
    let entry = write_deletes(disk, &segment.entry, &segment.deletes, file, through)?;
    disk.sync_dir(SEGMENT_FOLDER).map_err(|error| Error::io("sync", SEGMENT_FOLDER, error))?;
    Ok(Some(entry))
}

/// Names the new segment in the place of the first source, and the others no more.
fn replace_entries(entries: &mut Vec<SegmentEntry>, sources: &[Source], new: Option<&SegmentEntry>) -> Result<()> {
    let is_source = |entry: &SegmentEntry| sources.iter().any(|source| source.segment.entry.id == entry.id);
    let named = entries.iter().filter(|entry| is_source(entry)).count();
    let Some(at) = entries.iter().position(is_source).filter(|_| named == sources.len()) else {
        return Err(Error::new(ErrorKind::Internal, "a live segment is not in the manifest"));
    };
    entries.retain(|entry| !is_source(entry));
    if let Some(new) = new {
        entries.insert(at, new.clone());
    }
    Ok(())
}

/// Says where the rows of a source went.
fn leave_word(source: Source, segment: Option<&Arc<LiveSegment>>) {
    let Source { segment: old, dropped, first } = source;
    let moved = MovedSegment { segment: segment.map(Arc::clone), first, dropped };
    old.moved.set(moved).expect("a segment is replaced once");
}
