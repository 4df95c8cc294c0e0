//! Whose the files of a load are: the load's, until a commit may have them in the log.
//!
//! **Invariants**
//! 1. A file that a log record may name is not swept until a manifest with that commit in its checkpoint stands.
//! 2. Files are handed over once.
//! 3. Files that no commit took over go.

use std::sync::atomic::{AtomicBool, Ordering};

use super::loaded::Loaded;
use crate::commit::{Commit, Committed};
use crate::engine::{Engine, Shared};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::SegmentId;
use crate::sweep::remove_written;

/// Files that nothing names yet. They go with it, unless they were handed over.
pub(crate) struct LoadedFiles {
    engine: Engine,
    ids: Vec<SegmentId>,
    handed_over: AtomicBool,
}

impl LoadedFiles {
    pub(super) fn new(engine: Engine, ids: Vec<SegmentId>) -> Self {
        Self { engine, ids, handed_over: AtomicBool::new(false) }
    }
}

impl Drop for LoadedFiles {
    fn drop(&mut self) {
        if !*self.handed_over.get_mut() {
            let_go(self.engine.shared(), &self.ids);
        }
    }
}

impl std::fmt::Debug for LoadedFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedFiles").field("ids", &self.ids).finish_non_exhaustive()
    }
}

/// Lets go of files that are of no use.
pub(crate) fn let_go(shared: &Shared, ids: &[SegmentId]) {
    if ids.is_empty() {
        return;
    }
    let mut flusher = shared.flusher.lock();
    for id in ids {
        flusher.unfinished.remove(id);
    }
    drop(flusher);
    for id in ids {
        // What cannot be removed now is swept later.
        drop(remove_written(shared.disk.as_ref(), *id..id.next()));
    }
}

/// From here on the log may name the files of a commit's loads.
///
/// # Errors
/// `Invalid` for a load that was handed over before: none is then.
pub(crate) fn hand_over(shared: &Shared, commit: &Commit) -> Result<Vec<Loaded>> {
    let loads: Vec<&Loaded> = commit.loads().collect();
    if loads.is_empty() {
        return Ok(Vec::new());
    }
    let mut flusher = shared.flusher.lock();
    for (i, loaded) in loads.iter().enumerate() {
        let is_used = loaded.files()?.handed_over.load(Ordering::Acquire);
        if is_used || loads[..i].contains(loaded) {
            return Err(Error::new(ErrorKind::Invalid, "a load is committed once"));
        }
    }
    for loaded in &loads {
        loaded.files()?.handed_over.store(true, Ordering::Release);
        for entry in loaded.entries() {
            flusher.unfinished.remove(&entry.id);
            flusher.loaded.insert(entry.id, entry.clone());
        }
    }
    Ok(loads.into_iter().cloned().collect())
}

/// The log names the files, or never will, or that is in doubt until a restart.
pub(crate) fn settle(shared: &Shared, loads: &[Loaded], outcome: &Result<Committed>) {
    if loads.is_empty() {
        return;
    }
    match outcome {
        Ok(committed) => {
            let mut flusher = shared.flusher.lock();
            for entry in loads.iter().flat_map(Loaded::entries) {
                if let Some(entry) = flusher.loaded.get_mut(&entry.id) {
                    entry.commit = Some(committed.snapshot);
                }
            }
            drop(flusher);
            let state = shared.current();
            for loaded in loads {
                let live = state.rows.get(&loaded.table()).map_or(&[][..], |rows| &rows.segments);
                let is_new = |id: SegmentId| loaded.entries().any(|entry| entry.id == id);
                shared.opened(live.iter().filter(|live| is_new(live.entry.id)));
            }
            shared.request_flush();
        }
        Err(error) if error.kind() == ErrorKind::Latched => {}
        Err(_) => {
            let mut flusher = shared.flusher.lock();
            for entry in loads.iter().flat_map(Loaded::entries) {
                flusher.loaded.remove(&entry.id);
            }
            // What cannot be removed now is swept later; the cause is what matters to the caller.
            drop(flusher.sweep(shared.disk.as_ref()));
        }
    }
}
