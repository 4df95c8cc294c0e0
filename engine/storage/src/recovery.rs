//! Opening a data directory: the manifest, the segments it names, the log after its checkpoint, then a sweep.
//!
//! **Invariants**
//! 1. Opening changes nothing that a second opening would miss: it can be cut off anywhere and repeated.
//! 2. Every acknowledged commit is there afterwards, and no part of one that the log does not hold whole.
//! 3. Damage is reported with its file; nothing is skipped.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use crate::commit::Change;
use crate::error::{Error, ErrorKind, Result};
use crate::flush::Flusher;
use crate::ids::{SegmentId, TableId};
use crate::io::Disk;
use crate::key_tables::KeyTables;
use crate::live_segment::open_segment;
use crate::load::Loaded;
use crate::log::{self, LogOptions, LogWriter, Replayed};
use crate::manifest::{Manifest, SEGMENT_FOLDER, SegmentEntry, store};
use crate::options::Options;
use crate::state::State;
use crate::sweep::sweep;
use crate::write::{self, LoggedCommit, Writer};

/// What an engine starts from.
pub(crate) struct Recovered {
    pub(crate) writer: Writer,
    pub(crate) flusher: Flusher,
    pub(crate) next_table: TableId,
}

/// # Errors
/// `Corrupt` or `Unsupported` naming the file; `Internal` for failed I/O.
pub(crate) fn recover(disk: &Arc<dyn Disk>, options: &Options) -> Result<Recovered> {
    let mut manifest = match store::load(disk.as_ref())? {
        Some(manifest) => manifest,
        None => create(disk.as_ref(), options)?,
    };
    // A killed process leaves names that are visible and not yet durable; the sweep below relies on this manifest's.
    disk.sync_dir("").map_err(|error| Error::io("sync", "", error))?;
    let mut state = load(disk.as_ref(), &manifest)?;
    let mut found = Found { next_table: manifest.next_table, loaded: BTreeMap::new() };
    let end = log::replay(disk.as_ref(), manifest.checkpoint, &mut |records| {
        replay_records(disk.as_ref(), &mut state, &records, &manifest, &mut found)
    })?;
    let log = LogWriter::start(
        Arc::clone(disk),
        LogOptions {
            file_bytes: options.log_file_bytes,
            spare_files_max: options.log_spare_files_max,
            disk_reserve_bytes: options.disk_reserve_bytes,
        },
        end,
    )?;
    assert_eq!(log.last(), state.snapshot, "the log goes on where the replayed state ends");
    let Found { next_table, loaded } = found;
    sweep(disk.as_ref(), [&manifest], &loaded.keys().copied().collect())?;
    if let Some(last) = loaded.keys().next_back() {
        manifest.next_segment = manifest.next_segment.max(last.next());
    }
    let keys = KeyTables::new(manifest.key_secret);
    let writer = Writer { disk: Arc::clone(disk), log, state, keys };
    Ok(Recovered { writer, flusher: Flusher::new(manifest, loaded), next_table })
}

/// A new directory: folders, then the first manifest. Nothing is logged before it stands.
fn create(disk: &dyn Disk, options: &Options) -> Result<Manifest> {
    for folder in [log::FOLDER, SEGMENT_FOLDER] {
        let left_over = disk.list(folder).map_err(|error| Error::io("list", folder, error))?;
        if !left_over.is_empty() {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!("manifest is missing: folder={folder}, files={left_over:?}"),
            ));
        }
        disk.create_dir(folder).map_err(|error| Error::io("create", folder, error))?;
    }
    disk.sync_dir("").map_err(|error| Error::io("sync", "", error))?;
    let key_secret = options.key_secret.map_or_else(random_bytes, Ok)?;
    let manifest = Manifest {
        generation: 1,
        next_table: TableId(1),
        next_segment: SegmentId(1),
        key_secret,
        ..Manifest::default()
    };
    store::publish(disk, &manifest)?;
    Ok(manifest)
}

fn random_bytes() -> Result<[u8; 16]> {
    let mut bytes = [0; 16];
    match getrandom::fill(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(error) => Err(Error::with_source(ErrorKind::Internal, "the system has no random bytes", error)),
    }
}

/// The state at the checkpoint.
pub(crate) fn load(disk: &dyn Disk, manifest: &Manifest) -> Result<State> {
    let mut state = State {
        snapshot: manifest.checkpoint,
        time_us: manifest.checkpoint_time_us,
        horizon: manifest.horizon,
        catalog: Arc::new(manifest.catalog.clone()),
        ..State::default()
    };
    for (table, count) in &manifest.row_counts {
        let rows = state.rows_mut(*table);
        (rows.next_row, rows.memory_base) = (*count, *count);
    }
    for entry in &manifest.segments {
        let segment = Arc::new(open_segment(disk, entry.clone())?);
        // Nobody has a snapshot yet, and none before the horizon will be given out.
        segment.deletes.settle(manifest.horizon);
        state.rows_mut(entry.table).segments.push(segment);
    }
    Ok(state)
}

/// The segments that a record names.
pub(crate) fn loaded_by(record: &Replayed, commit: &LoggedCommit) -> impl Iterator<Item = (SegmentId, SegmentEntry)> {
    let of_commit = |entry: &SegmentEntry| SegmentEntry { commit: Some(record.snapshot), ..entry.clone() };
    commit.loaded().flat_map(Loaded::entries).map(move |entry| (entry.id, of_commit(entry)))
}

/// What the log says besides the state that it leads to.
struct Found {
    next_table: TableId,
    /// Segments that it names: no manifest lists them yet, and replaying it again needs them.
    loaded: BTreeMap<SegmentId, SegmentEntry>,
}

fn replay_records(
    disk: &dyn Disk,
    state: &mut State,
    records: &[Replayed],
    manifest: &Manifest,
    found: &mut Found,
) -> Result<()> {
    let mut commits = decode_all(records)?;
    commits.iter_mut().try_for_each(|commit| commit.open_segments(disk))?;
    for (record, commit) in records.iter().zip(&commits) {
        for change in &commit.commit().changes {
            if let Change::CreateTable { id, .. } = change {
                found.next_table = found.next_table.max(id.next());
            }
        }
        found.loaded.extend(loaded_by(record, commit));
    }
    let commits: Vec<_> =
        records.iter().zip(commits).map(|(record, commit)| (record.snapshot, record.time_us, commit)).collect();
    write::replay(state, &commits, manifest.deletes_through)
}

/// Decodes records on every core: bodies are self-contained.
fn decode_all(records: &[Replayed]) -> Result<Vec<LoggedCommit>> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let share = records.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        let workers: Vec<_> = records
            .chunks(share)
            .map(|records| scope.spawn(|| records.iter().map(LoggedCommit::decode).collect::<Result<Vec<_>>>()))
            .collect();
        let mut commits = Vec::with_capacity(records.len());
        for worker in workers {
            match worker.join() {
                Ok(decoded) => commits.extend(decoded?),
                Err(_) => return Err(Error::new(ErrorKind::Internal, "a replay thread panicked")),
            }
        }
        Ok(commits)
    })
}
