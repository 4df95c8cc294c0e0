//! A simulated disk that loses, tears, refuses and flips what a real one may, driven by a seed.
//!
//! A file has the bytes a reader sees and the bytes that are durable; between them lie pending writes. A folder has the
//! names a reader sees and the durable ones; between them lie pending creations, renames and removals. A sync settles
//! what is pending, a crash decides each pending thing by the seed.
//!
//! | fault | what the disk does | what the engine owes |
//! |---|---|---|
//! | [`SimDisk::crash_at_call`] | this call and all later ones fail; a write or name change of it is pending | survive: every acknowledged commit is there |
//! | [`SimDisk::crash`] | each pending write is kept, dropped or torn in units of 512 bytes; each name change kept or dropped | survive |
//! | [`SimDisk::restart`] | the process dies, the machine does not: pending stays readable and pending | survive |
//! | [`SimDisk::fail_sync`] | the sync fails; the writes stay readable but no later sync makes them durable | refuse writes until restart |
//! | [`SimDisk::fail_write`] | a part of the write is done, then `EIO` | refuse writes until restart |
//! | [`SimDisk::fail_read`] | `EIO`, or a part of the bytes and `UnexpectedEof` | report it; never take it for an end of data, nor for damage |
//! | [`SimDisk::fail_call`] on a name change or allocation | `EIO`; the change may be done all the same | report it; go on or refuse writes, and lose nothing |
//! | [`SimDisk::fail_call`] on any other call | as above for its kind; `EIO` for `open`, `list`, `len`, `lock`, `free_bytes` | report it |
//! | [`SimDisk::set_capacity`] | a growing write or allocation fails with `ENOSPC`, nothing is done | refuse cleanly; go on when space returns |
//! | [`SimDisk::flip_bit`] | a durable bit changes | `Corrupt` (or `Unsupported`) that names the file, at open or at the read, or no harm: never wrong rows |
//! | [`SimDisk::lie_about_sync`] | syncs say yes and settle nothing | cannot be survived: the canary that checkers must catch |
//!
//! **Invariants**
//! 1. What a sync settled is in every later crash's outcome (unless the disk lies).
//! 2. A crash never applies a name change and drops an earlier one of the same name.
//! 3. The same seed and the same calls give the same outcome.
//!
//! A write is never torn inside 512 aligned bytes, and a durable byte never changes unless `flip_bit` says so.

mod contents;
mod faults;
mod names;

use std::any::Any;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::sync::Arc;

use arrow_buffer::Buffer;
use parking_lot::Mutex;

use super::{Disk, DiskFile, DiskLock, checked_folder, checked_path};
pub use crate::clock::simulated::set_clock_us;
use contents::{Contents, Data};
use faults::{Call, Faults, Random, Strike, injected, power_is_off, short_read};
use names::{Change, Names};

/// What a disk without a capacity says is free: 1 PiB.
const FREE_BYTES_UNLIMITED: u64 = 1 << 50;

/// How many calls a disk has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SimCounts {
    /// All calls of [`Disk`] and [`DiskFile`].
    pub calls: u64,
    /// Calls of `read_at` and `map`.
    pub reads: u64,
    /// Calls of `write_at`.
    pub writes: u64,
    /// Calls of `sync` and `sync_dir`.
    pub syncs: u64,
    /// Calls that an injected fault or the power cut struck.
    pub faults: u64,
}

/// A disk in memory. A clone is the same disk.
#[derive(Clone, Debug)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

type Inode = Arc<Mutex<Contents>>;

#[derive(Debug)]
struct State {
    random: Random,
    counts: SimCounts,
    faults: Faults,
    capacity_bytes: Option<u64>,
    lying: bool,
    /// Whether files of other disks can be linked here.
    links: bool,
    locked: bool,
    /// Power is off or the process is gone: every call fails.
    dead: bool,
    names: Names,
}

impl State {
    fn enter(&mut self, call: Call) -> Result<Strike> {
        if self.dead {
            return Err(power_is_off());
        }
        let strike = self.faults.strike(&mut self.counts, call);
        self.dead = strike == Strike::PowerCut;
        Ok(strike)
    }

    /// Refuses growth of a file to `end` past the capacity. Takes the locks of all files.
    fn reserve(&self, inode: &Inode, end: u64) -> Result<()> {
        let grown = end.saturating_sub(inode.lock().len());
        if grown > self.free_bytes() { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn free_bytes(&self) -> u64 {
        self.capacity_bytes.unwrap_or(FREE_BYTES_UNLIMITED).saturating_sub(self.names.bytes())
    }
}

impl SimDisk {
    /// An empty disk whose every choice follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self::with(Random(seed), Names::default())
    }

    fn with(random: Random, names: Names) -> Self {
        let state = State {
            random,
            counts: SimCounts::default(),
            faults: Faults::default(),
            capacity_bytes: None,
            lying: false,
            links: true,
            locked: false,
            dead: false,
            names,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Calls since this disk was made by `new`, `crash` or `restart`.
    pub fn counts(&self) -> SimCounts {
        self.state.lock().counts
    }

    /// Cuts the power in the middle of the `n`-th call (from 1) of [`SimCounts::calls`].
    pub fn crash_at_call(&self, n: u64) {
        self.state.lock().faults.crash_at_call = Some(n);
    }

    /// Whether the power is off, by `crash_at_call`, `crash` or `restart`.
    pub fn is_off(&self) -> bool {
        self.state.lock().dead
    }

    /// Cuts the power and gives the disk as the next boot finds it: unlocked, without faults, with the same capacity.
    /// Every handle of the old disk fails from now on.
    #[must_use]
    pub fn crash(&self) -> Self {
        let mut state = self.state.lock();
        state.dead = true;
        let mut random = Random(state.random.next());
        let names = state.names.crash(&mut random);
        let next = Self::with(random, names);
        next.set_capacity(state.capacity_bytes);
        next
    }

    /// Kills the process only: nothing is lost, nothing more is durable, the lock is free. Old handles fail from now on.
    #[must_use]
    pub fn restart(&self) -> Self {
        let mut state = self.state.lock();
        state.dead = true;
        let next = Self::with(Random(state.random.next()), state.names.clone());
        next.set_capacity(state.capacity_bytes);
        next
    }

    /// Makes the `n`-th call (from 1) of [`SimCounts::calls`] fail in the way of its kind. May be set for several calls.
    pub fn fail_call(&self, n: u64) {
        self.state.lock().faults.calls.insert(n);
    }

    /// Forgets every fault that has not struck yet.
    pub fn heal(&self) {
        self.state.lock().faults = Faults::default();
    }

    /// Makes the `k`-th call (from 1) of `sync` and `sync_dir` fail.
    pub fn fail_sync(&self, k: u64) {
        self.state.lock().faults.sync = Some(k);
    }

    /// Makes the `k`-th call (from 1) of `write_at` write a part and fail.
    pub fn fail_write(&self, k: u64) {
        self.state.lock().faults.write = Some(k);
    }

    /// Makes the `k`-th call (from 1) of `read_at` and `map` fail.
    pub fn fail_read(&self, k: u64) {
        self.state.lock().faults.read = Some(k);
    }

    /// Another disk with the same bytes and names, durable and pending; unlocked and without faults. This one goes on.
    #[must_use]
    pub fn fork(&self) -> Self {
        let state = self.state.lock();
        let next = Self::with(state.random.clone(), state.names.fork());
        next.set_capacity(state.capacity_bytes);
        next
    }

    /// Every file that readers see, sorted by path, with its length in bytes; past all faults and counters.
    pub fn files(&self) -> Vec<(String, u64)> {
        self.state.lock().names.files()
    }

    /// Bytes all files together may hold; `None` is no limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state.lock().capacity_bytes = bytes;
    }

    /// Whether syncs from now on succeed without doing anything.
    pub fn lie_about_sync(&self, lying: bool) {
        self.state.lock().lying = lying;
    }

    /// Whether this disk is, for [`Disk::link_to`], on the file system of all others.
    pub fn set_links(&self, links: bool) {
        self.state.lock().links = links;
    }

    /// Flips one bit (0 to 7) of the byte at `offset`, in what is durable and in what readers see.
    ///
    /// # Errors
    /// `NotFound` without such a file, `UnexpectedEof` past its end.
    pub fn flip_bit(&self, path: &str, offset: u64, bit: u8) -> Result<()> {
        let state = self.state.lock();
        state.names.get(path)?.lock().flip_bit(offset, bit)
    }

    /// The file as a reader sees it, past all faults and counters; for assertions.
    ///
    /// # Errors
    /// `NotFound` without such a file.
    pub fn contents(&self, path: &str) -> Result<Vec<u8>> {
        let state = self.state.lock();
        let bytes = state.names.get(path)?.lock().current().to_vec();
        Ok(bytes)
    }

    /// Runs a call that changes nothing.
    fn look<T>(&self, call: Call, run: impl FnOnce(&State) -> Result<T>) -> Result<T> {
        let mut state = self.state.lock();
        state.enter(call)?.outcome()?;
        run(&state)
    }

    /// Runs a change of names. When the power goes off in it, the change is pending like any other; when it fails, it may be, too.
    fn change<T>(&self, run: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let mut state = self.state.lock();
        let strike = state.enter(Call::Other)?;
        if strike == Strike::Fail && state.random.coin() {
            return Err(injected());
        }
        let outcome = run(&mut state);
        strike.outcome()?;
        outcome
    }

    fn file(&self, inode: Inode) -> Arc<dyn DiskFile> {
        Arc::new(SimFile { disk: self.clone(), inode })
    }
}

impl Disk for SimDisk {
    fn create_dir(&self, folder: &str) -> Result<()> {
        let folder = checked_folder(folder)?;
        self.change(|state| {
            state.names.create_dir(folder);
            Ok(())
        })
    }

    fn create(&self, path: &str) -> Result<Arc<dyn DiskFile>> {
        checked_path(path)?;
        let inode = self.change(|state| {
            if state.names.get(path).is_ok() {
                return Err(ErrorKind::AlreadyExists.into());
            }
            let inode = Inode::default();
            state.names.change(Change::Create { path: path.to_owned(), inode: Arc::clone(&inode) })?;
            Ok(inode)
        })?;
        Ok(self.file(inode))
    }

    fn open(&self, path: &str) -> Result<Arc<dyn DiskFile>> {
        checked_path(path)?;
        let inode = self.look(Call::Other, |state| state.names.get(path).cloned())?;
        Ok(self.file(inode))
    }

    fn list(&self, folder: &str) -> Result<Vec<String>> {
        let folder = checked_folder(folder)?;
        self.look(Call::Other, |state| Ok(state.names.list(folder)))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        checked_path(from)?;
        checked_path(to)?;
        self.change(|state| {
            let inode = Arc::clone(state.names.get(from)?);
            state.names.change(Change::Rename { from: from.to_owned(), to: to.to_owned(), inode })
        })
    }

    fn remove(&self, path: &str) -> Result<()> {
        checked_path(path)?;
        self.change(|state| {
            state.names.get(path)?;
            state.names.change(Change::Remove { path: path.to_owned() })
        })
    }

    /// Counts as one call of either disk.
    fn link_to(&self, path: &str, target: &dyn Disk) -> Result<()> {
        checked_path(path)?;
        let inode = self.look(Call::Other, |state| state.names.get(path).cloned())?;
        let Some(target) = (target as &dyn Any).downcast_ref::<Self>() else {
            return Err(Error::new(ErrorKind::Unsupported, "the target is not a simulated disk"));
        };
        target.change(|state| {
            if state.names.get(path).is_ok() {
                return Err(ErrorKind::AlreadyExists.into());
            }
            if !state.links {
                return Err(ErrorKind::CrossesDevices.into());
            }
            state.names.change(Change::Create { path: path.to_owned(), inode })
        })
    }

    fn sync_dir(&self, folder: &str) -> Result<()> {
        let folder = checked_folder(folder)?;
        let mut state = self.state.lock();
        state.enter(Call::Sync)?.outcome()?;
        if state.lying { Ok(()) } else { state.names.sync_dir(folder) }
    }

    fn lock(&self) -> Result<Box<dyn DiskLock>> {
        self.change(|state| {
            if std::mem::replace(&mut state.locked, true) {
                return Err(ErrorKind::WouldBlock.into());
            }
            Ok(())
        })?;
        Ok(Box::new(SimLock { disk: self.clone() }))
    }

    fn free_bytes(&self) -> Result<u64> {
        self.look(Call::Other, |state| Ok(state.free_bytes()))
    }
}

#[derive(Debug)]
struct SimLock {
    disk: SimDisk,
}

impl DiskLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.state.lock().locked = false;
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    inode: Inode,
}

impl DiskFile for SimFile {
    fn len(&self) -> Result<u64> {
        self.disk.look(Call::Other, |_| Ok(self.inode.lock().len()))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let mut state = self.disk.state.lock();
        let strike = state.enter(Call::Read)?;
        if strike == Strike::Fail && state.random.coin() {
            let short = state.random.below(buffer.len() as u64) as usize;
            self.inode.lock().read(offset, &mut buffer[..short])?;
            return Err(short_read());
        }
        strike.outcome()?;
        self.inode.lock().read(offset, buffer)
    }

    fn write_at(&self, offset: u64, slices: &[IoSlice<'_>]) -> Result<()> {
        let mut bytes = slices.iter().flat_map(|slice| slice.iter().copied()).collect::<Vec<u8>>();
        let mut state = self.disk.state.lock();
        let strike = state.enter(Call::Write)?;
        // A killed process may have got anywhere in the middle of it.
        if strike == Strike::Fail || (strike == Strike::PowerCut && state.random.coin()) {
            bytes.truncate(state.random.below(bytes.len() as u64) as usize);
        }
        state.reserve(&self.inode, offset + bytes.len() as u64)?;
        self.inode.lock().write(offset, Data::Bytes(bytes));
        strike.outcome()
    }

    fn allocate(&self, len: u64) -> Result<()> {
        self.disk.change(|state| {
            state.reserve(&self.inode, len)?;
            let mut contents = self.inode.lock();
            let old = contents.len();
            if len > old {
                contents.write(old, Data::Zeros(len - old));
            }
            Ok(())
        })
    }

    fn sync(&self) -> Result<()> {
        let mut state = self.disk.state.lock();
        let strike = state.enter(Call::Sync)?;
        let mut contents = self.inode.lock();
        match strike {
            Strike::Fail => contents.fail_sync(),
            Strike::None if !state.lying => contents.sync(),
            Strike::None | Strike::PowerCut => {}
        }
        strike.outcome()
    }

    fn map(&self) -> Result<Buffer> {
        self.disk.look(Call::Read, |_| Ok(Buffer::from(self.inode.lock().current())))
    }
}

#[cfg(test)]
mod tests;
