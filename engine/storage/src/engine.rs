//! Engine: open, write, snapshot, flush, close. It wires the parts together and decides nothing.
//!
//! Lock order: compactor, then flusher, then writer, then the published state; what housekeeping wants and the list of opened segments are
//! last, and nothing is locked under them.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use arrow_array::{Array, ArrayRef};
use parking_lot::{Condvar, Mutex, RwLock};

use crate::backup::{self, BackupReport};
use crate::chunk_cache::ChunkCache;
use crate::commit::{Commit, CommitInfo, Committed};
use crate::commit_codec;
use crate::compaction::{self, Compactor};
use crate::error::{Error, ErrorKind, Result};
use crate::flush::{Flusher, flush};
use crate::ids::{ColumnId, SegmentId, TableId};
use crate::io::latch::LatchDisk;
use crate::io::{Disk, DiskLock};
use crate::jobs;
use crate::key_index::duplicates;
use crate::key_tables::Key;
use crate::load;
use crate::log::{Body, Spares};
use crate::manifest::SEGMENT_FOLDER;
use crate::metrics::{Counters, Metrics};
use crate::options::Options;
use crate::queue::CommitQueue;
use crate::recovery::{Recovered, recover};
use crate::schema::TableSchema;
use crate::snapshot::Snapshot;
use crate::state::{LiveSegment, State};
use crate::transaction::Transaction;
use crate::write::{Pending, Writer};

/// What all threads of an engine share.
pub(crate) struct Shared {
    pub(crate) disk: Arc<LatchDisk>,
    pub(crate) options: Options,
    pub(crate) writer: Mutex<Writer>,
    pub(crate) flusher: Mutex<Flusher>,
    pub(crate) queue: CommitQueue,
    pub(crate) counters: Counters,
    pub(crate) housekeeping: Housekeeping,
    pub(crate) spares: Arc<Spares>,
    pub(crate) compactor: Compactor,
    /// Every segment that was part of the database since it was opened and is still held by somebody.
    opened: Mutex<Vec<Weak<LiveSegment>>>,
    /// `None`: no chunks are kept.
    chunks: Option<Arc<ChunkCache>>,
    pub(crate) key_secret: [u8; 16],
    pub(crate) current: RwLock<Arc<State>>,
    memory_bytes: AtomicUsize,
    next_table: AtomicU64,
    _lock: Box<dyn DiskLock>,
}

/// Wakes the flusher, and whoever waits for it.
#[derive(Default)]
pub(crate) struct Housekeeping {
    pub(crate) wanted: Mutex<Wanted>,
    pub(crate) changed: Condvar,
}

#[derive(Default)]
pub(crate) struct Wanted {
    pub(crate) flush: bool,
    /// Segments changed since compaction last looked at them.
    pub(crate) compact: bool,
    pub(crate) stop: bool,
    /// Why the last flush failed; cleared by one that succeeds.
    pub(crate) failure: Option<String>,
}

impl Shared {
    pub(crate) fn disk(&self) -> Arc<dyn Disk> {
        Arc::clone(&self.disk) as _
    }

    /// Makes the writer's state what readers see.
    pub(crate) fn publish(&self, state: &State) {
        self.memory_bytes.store(state.memory_bytes(), Ordering::Relaxed);
        *self.current.write() = Arc::new(state.clone());
    }

    /// What readers see.
    pub(crate) fn current(&self) -> Arc<State> {
        Arc::clone(&self.current.read())
    }

    /// Notes segments that become part of the database.
    pub(crate) fn opened<'a>(&self, segments: impl IntoIterator<Item = &'a Arc<LiveSegment>>) {
        let mut opened = self.opened.lock();
        opened.retain(|segment| segment.strong_count() > 0);
        for segment in segments {
            if let Some(chunks) = &self.chunks {
                segment.keep_chunks(chunks);
            }
            opened.push(Arc::downgrade(segment));
        }
    }

    /// Bytes of segments that are not in a state any more and are only held by readers of earlier ones.
    fn pinned_bytes(&self, state: &State) -> u64 {
        let live: HashSet<SegmentId> =
            state.rows.values().flat_map(|rows| &rows.segments).map(|live| live.entry.id).collect();
        let opened: Vec<_> = self.opened.lock().iter().filter_map(Weak::upgrade).collect();
        opened.iter().filter(|segment| !live.contains(&segment.entry.id)).map(|segment| segment.entry.bytes).sum()
    }

    pub(crate) fn next_table(&self) -> TableId {
        TableId(self.next_table.load(Ordering::Relaxed))
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes.load(Ordering::Relaxed)
    }

    /// Commits a group on this thread: log, publish, answer.
    pub(crate) fn commit_group(&self, group: Vec<Pending>) {
        let (outcome, log_bytes) = {
            let mut writer = self.writer.lock();
            let outcome = writer.commit_group(group);
            if outcome.commits > 0 {
                self.publish(&writer.state);
            }
            (outcome, writer.log.bytes())
        };
        if let Some(reason) = &outcome.failure {
            self.disk.latch(reason.as_str());
        }
        let frees_space = outcome.drops_segments;
        self.counters.group_committed(&outcome, log_bytes);
        for answer in outcome.answers {
            answer.tell();
        }
        let is_full =
            self.memory_bytes() as u64 >= self.options.flush_bytes || log_bytes >= self.options.flush_log_bytes;
        if is_full || frees_space {
            self.request_flush();
        }
    }

    pub(crate) fn request_compaction(&self) {
        let mut wanted = self.housekeeping.wanted.lock();
        wanted.compact = true;
        self.housekeeping.changed.notify_all();
    }

    pub(crate) fn request_flush(&self) {
        let mut wanted = self.housekeeping.wanted.lock();
        if !wanted.flush {
            wanted.flush = true;
            self.housekeeping.changed.notify_all();
        }
    }

    /// Refuses writes once something failed that leaves the disk's contents in doubt.
    fn check_writable(&self) -> Result<()> {
        match self.disk.latched() {
            Some(reason) => Err(Error::new(ErrorKind::Latched, format!("writes are refused until restart: {reason}"))),
            None => Ok(()),
        }
    }
}

/// An open data directory. Cheap to clone; all clones are the same engine, closed when the last one goes.
#[derive(Clone)]
pub struct Engine {
    running: Arc<Running>,
}

struct Running {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Engine {
    /// Opens a data directory, or makes one of an empty one, and recovers what was acknowledged.
    ///
    /// # Errors
    /// `Unavailable` if another process has it open; `Corrupt` naming the file; `Unsupported` for a newer format.
    pub fn open(disk: Arc<dyn Disk>, options: Options) -> Result<Self> {
        let lock = lock(disk.as_ref())?;
        let disk = LatchDisk::new(disk);
        let latched: Arc<dyn Disk> = Arc::clone(&disk) as _;
        let Recovered { writer, flusher, next_table } = recover(&latched, &options)?;
        let shared = Arc::new(Shared {
            disk,
            queue: CommitQueue::new(options.commit_queue_bytes_max),
            counters: Counters::default(),
            housekeeping: Housekeeping::default(),
            spares: writer.log.spares(),
            current: RwLock::new(Arc::new(writer.state.clone())),
            memory_bytes: AtomicUsize::new(writer.state.memory_bytes()),
            next_table: AtomicU64::new(next_table.0),
            key_secret: flusher.manifest.key_secret,
            compactor: Compactor::new(&options, flusher.manifest.checkpoint),
            opened: Mutex::default(),
            chunks: (options.chunk_cache_bytes > 0).then(|| Arc::new(ChunkCache::new(options.chunk_cache_bytes))),
            writer: Mutex::new(writer),
            flusher: Mutex::new(flusher),
            options,
            _lock: lock,
        });
        shared.opened(shared.current().rows.values().flat_map(|rows| &rows.segments));
        shared.housekeeping.wanted.lock().compact = true;
        if shared.memory_bytes() as u64 >= shared.options.flush_bytes {
            shared.request_flush();
        }
        let threads = if shared.options.background { jobs::start(&shared)? } else { Vec::new() };
        Ok(Self { running: Arc::new(Running { shared, threads: Mutex::new(threads) }) })
    }

    /// The newest snapshot.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(Arc::clone(&self.shared().current.read()))
    }

    /// Makes a commit durable and visible, then says which snapshot shows it and what became of rows. Blocks.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` or `Invalid` if the commit does not fit what is there now; `Exhausted` when memory or disk is full;
    /// `Unavailable` once closed. Nothing is written then. `Latched` after a failed write: whether this commit survives a
    /// restart is not known.
    pub fn write(&self, commit: Commit) -> Result<Committed> {
        let loads = load::hand_over(self.shared(), &commit)?;
        let (sender, receiver) = mpsc::sync_channel(1);
        self.enqueue(commit, move |outcome| {
            // The receiver waits below for as long as the sender lives.
            drop(sender.send(outcome));
        });
        let outcome = receiver.recv().unwrap_or_else(|_| Err(Error::new(ErrorKind::Latched, "the committer stopped")));
        load::settle(self.shared(), &loads, &outcome);
        outcome
    }

    /// Queues a commit; `done` runs once, on the committer's thread (or on this one), when the commit is durable and visible
    /// or has failed as for [`Engine::write`]. If the committer dies, `done` is dropped. A commit with loads is `Invalid` here: whose files
    /// they are is decided while the caller of [`Engine::write`] waits.
    pub fn submit(&self, commit: Commit, done: impl FnOnce(Result<Committed>) + Send + 'static) {
        if commit.loads().next().is_some() {
            return done(Err(Error::new(ErrorKind::Invalid, "loads are not submitted but written")));
        }
        self.enqueue(commit, done);
    }

    fn enqueue(&self, commit: Commit, done: impl FnOnce(Result<Committed>) + Send + 'static) {
        let shared = self.shared();
        let body = match shared.check_writable().and_then(|()| encoded(&commit)) {
            Ok(body) => body,
            Err(error) => return done(Err(error)),
        };
        let pending = Pending { commit, body, done: Box::new(done) };
        if shared.keys_missing(&pending.commit) {
            return shared.make_keys_and(pending, enter);
        }
        enter(shared, pending);
    }

    /// Begins a transaction on the newest snapshot.
    pub fn begin(&self) -> Transaction {
        let state = State::clone(&self.shared().current.read());
        Transaction::new(self.clone(), state, self.shared().key_secret)
    }

    /// Which rows of a batch have the key of an earlier one: (first row of that key, repeated row), by repeated row. `key` holds the
    /// columns of the key, as the batch has them; a row with a NULL among them has no key.
    ///
    /// # Errors
    /// `NotFound` for a column the table does not have, `Unsupported` for one of a type that is no key.
    pub fn repeated_keys(&self, schema: &TableSchema, key: &[(ColumnId, ArrayRef)]) -> Result<Vec<(u32, u32)>> {
        let ids: Vec<ColumnId> = key.iter().map(|(id, _)| *id).collect();
        let rows = key.first().map_or(0, |(_, array)| array.len());
        let array = |wanted: ColumnId| Ok(key.iter().find(|(id, _)| *id == wanted).map(|(_, array)| Arc::clone(array)));
        let keys = Key::new(schema, &ids, self.shared().key_secret)?.keys(schema, rows, array)?;
        Ok(duplicates(&keys))
    }

    /// An id for a table about to be created.
    pub fn new_table_id(&self) -> TableId {
        TableId(self.shared().next_table.fetch_add(1, Ordering::Relaxed))
    }

    /// Writes all rows in memory to segments and releases the log. Blocks.
    ///
    /// # Errors
    /// `Exhausted` when the disk is full: nothing is lost, a later flush takes the rows along. `Latched` after a failed sync.
    pub fn flush(&self) -> Result<()> {
        self.shared().check_writable()?;
        flush(self.shared())
    }

    /// Does one step of compaction, the one that writes least: merges segments of one table, or leaves out rows that only snapshots older than
    /// [`Options::retention_ms`] show. `false`: there is nothing to do. Blocks. The engine's own threads do the same, unless it has none.
    ///
    /// # Errors
    /// `Exhausted` when the disk is full, `Corrupt` for damaged segments: nothing changes then. `Latched` after a failed write.
    pub fn compact(&self) -> Result<bool> {
        self.shared().check_writable()?;
        compaction::step(self.shared())
    }

    /// Copies the database to an empty directory, while writes and reads go on: what it holds at one commit, which is at
    /// least as new as every commit acknowledged before the call. Changes nothing here; works on a full disk and on a latched engine, too.
    /// Blocks until the copy is durable.
    ///
    /// Files that never change are linked where both directories are on one file system, else copied. The copy is a data
    /// directory like any other once this returns `Ok`; before, it does not open. To know that its every byte is good, [`verify`] it.
    ///
    /// # Errors
    /// `Invalid` if the target is not empty, `Unavailable` if it is in use, `Exhausted` if its disk is full, `Corrupt` for
    /// damage found here. What is in the target then is of no use.
    ///
    /// [`verify`]: crate::verify()
    pub fn backup(&self, target: &Arc<dyn Disk>) -> Result<BackupReport> {
        backup::backup_running(self.shared(), target)
    }

    /// Stops accepting commits, finishes the queued ones, stops the threads. Idempotent; snapshots stay readable.
    ///
    /// # Errors
    /// If the log's closing mark cannot be written. Nothing acknowledged is lost by that.
    pub fn close(&self) -> Result<()> {
        self.running.close()
    }

    /// Whether writes are possible.
    ///
    /// # Errors
    /// `Latched` or `Unavailable` with the reason; `Exhausted` while the last flush failed.
    pub fn health(&self) -> Result<()> {
        let shared = self.shared();
        shared.check_writable()?;
        if shared.queue.is_closed() {
            return Err(Error::new(ErrorKind::Unavailable, "the engine is closed"));
        }
        match &shared.housekeeping.wanted.lock().failure {
            Some(reason) => Err(Error::new(ErrorKind::Exhausted, format!("rows cannot leave memory: {reason}"))),
            None => Ok(()),
        }
    }

    /// Counters and gauges.
    pub fn metrics(&self) -> Metrics {
        let shared = self.shared();
        let state = Arc::clone(&shared.current.read());
        let (queued_commits, queued_bytes) = shared.queue.depth();
        let user_rows = || state.rows.iter().filter(|(table, _)| **table != TableId::HISTORY).map(|(_, rows)| rows);
        let segments = || user_rows().flat_map(|rows| &rows.segments);
        let memory_rows = |rows: &crate::state::TableRows| rows.sealed.rows() + rows.active.rows();
        Metrics {
            memtable_bytes: state.memory_bytes() as u64,
            chunk_cache_bytes: shared.chunks.as_ref().map_or(0, |chunks| chunks.bytes()),
            live_bytes: state.rows.values().flat_map(|rows| &rows.segments).map(|live| live.bytes()).sum(),
            pinned_bytes: shared.pinned_bytes(&state),
            table_segments_max: user_rows().map(|rows| rows.segments.len() as u64).max().unwrap_or(0),
            horizon: state.horizon.0,
            memtable_rows: user_rows().map(|rows| memory_rows(rows) as u64).sum(),
            segments: segments().count() as u64,
            segment_bytes: segments().map(|segment| segment.entry.bytes).sum(),
            segment_rows: segments().map(|segment| segment.entry.rows).sum(),
            deleted_rows: segments().map(|segment| segment.deletes.count()).sum(),
            key_index_bytes: shared.writer.lock().keys.bytes() as u64,
            snapshot: state.snapshot.0,
            queued_commits: queued_commits as u64,
            queued_bytes: queued_bytes as u64,
            ..shared.counters.read()
        }
    }

    pub(crate) fn disk(&self) -> Arc<dyn Disk> {
        self.shared().disk()
    }

    /// # Errors
    /// `Latched` once something failed that leaves the disk's contents in doubt.
    pub(crate) fn check_writable(&self) -> Result<()> {
        self.shared().check_writable()
    }

    /// Whether long work may go on.
    ///
    /// # Errors
    /// `Exhausted` where it would take the space that is kept free, `Unavailable` once the engine is closing.
    pub(crate) fn check_room(&self) -> Result<()> {
        let shared = self.shared();
        if shared.housekeeping.wanted.lock().stop {
            return Err(Error::new(ErrorKind::Unavailable, "the engine is closing"));
        }
        let free = shared.disk.free_bytes().map_err(|error| Error::io("look for space in", SEGMENT_FOLDER, error))?;
        if free < shared.options.disk_reserve_bytes {
            let reserve = shared.options.disk_reserve_bytes;
            return Err(Error::new(
                ErrorKind::Exhausted,
                format!("the disk is nearly full: reserve_bytes={reserve}, free_bytes={free}"),
            ));
        }
        Ok(())
    }

    pub(crate) fn options(&self) -> &Options {
        &self.shared().options
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.running.shared
    }
}

/// Hands a commit to the committer, or does its work.
fn enter(shared: &Shared, pending: Pending) {
    if shared.options.background {
        shared.queue.push(pending);
    } else if shared.queue.is_closed() {
        (pending.done)(Err(Error::new(ErrorKind::Unavailable, "the engine is closed")));
    } else {
        shared.commit_group(vec![pending]);
    }
}

/// Takes the lock of a data directory.
///
/// # Errors
/// `Unavailable` if it is open elsewhere, `Internal` if it cannot be locked.
pub(crate) fn lock(disk: &dyn Disk) -> Result<Box<dyn DiskLock>> {
    disk.lock().map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => {
            Error::with_source(ErrorKind::Unavailable, "the data directory is in use by another process", error)
        }
        _ => Error::io("lock", "LOCK", error),
    })
}

fn encoded(commit: &Commit) -> Result<Body> {
    let said: usize = commit.info.texts().iter().flatten().map(|text| text.len()).sum();
    if said > CommitInfo::BYTES_MAX {
        return Err(Error::new(
            ErrorKind::Invalid,
            format!("too much is said of a commit: limit_bytes={}, found={said}", CommitInfo::BYTES_MAX),
        ));
    }
    let raw = commit_codec::encode(commit)?;
    if raw.len() > Body::RAW_BYTES_MAX {
        return Err(Error::new(
            ErrorKind::Invalid,
            format!("commit is too large: limit_bytes={}, found={}", Body::RAW_BYTES_MAX, raw.len()),
        ));
    }
    Ok(Body::new(raw))
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("disk", &self.shared().disk).finish_non_exhaustive()
    }
}

impl Running {
    fn close(&self) -> Result<()> {
        self.shared.queue.close();
        let mut threads = self.threads.lock();
        {
            let mut wanted = self.shared.housekeeping.wanted.lock();
            if wanted.stop {
                return Ok(());
            }
            wanted.stop = true;
            self.shared.housekeeping.changed.notify_all();
        }
        for thread in threads.drain(..) {
            // A panic was already turned into a latch where it happened.
            drop(thread.join());
        }
        self.shared.check_writable()?;
        self.shared.writer.lock().log.close()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Nobody is left to tell; the log is whole without its closing mark.
        drop(self.close());
    }
}

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod merge_tests;
#[cfg(test)]
mod spill_tests;
#[cfg(any(test, feature = "sim"))]
mod steps;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod transaction_tests;
#[cfg(test)]
mod view_tests;
