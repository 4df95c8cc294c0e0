//! Commits waiting for the committer.
//!
//! **Invariants**
//! 1. First come, first served; a commit is in at most one group.
//! 2. Encoded bytes waiting stay within the bound: past it a commit is refused, not stored.
//! 3. After [`CommitQueue::close`] nothing enters, and what is in is still handed out.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex};

use crate::error::{Error, ErrorKind, Result};
use crate::write::Pending;

/// Most commits and encoded bytes in one group: one vectored write, a few milliseconds of disk.
const GROUP_COMMITS_MAX: usize = 1024;
const GROUP_BYTES_MAX: usize = 16 << 20;

#[derive(Default)]
struct Waiting {
    commits: VecDeque<Pending>,
    bytes: usize,
    closed: bool,
}

pub(crate) struct CommitQueue {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    bytes_max: usize,
}

impl CommitQueue {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self { waiting: Mutex::default(), arrived: Condvar::new(), bytes_max: bytes_max as usize }
    }

    /// Adds a commit, or tells it why it is refused.
    pub(crate) fn push(&self, pending: Pending) {
        let bytes = pending.body.stored_bytes();
        let mut waiting = self.waiting.lock();
        if let Err(error) = self.admit(&waiting, bytes) {
            drop(waiting);
            return (pending.done)(Err(error));
        }
        waiting.bytes += bytes;
        waiting.commits.push_back(pending);
        drop(waiting);
        self.arrived.notify_one();
    }

    fn admit(&self, waiting: &Waiting, bytes: usize) -> Result<()> {
        if waiting.closed {
            return Err(Error::new(ErrorKind::Unavailable, "the engine is closed"));
        }
        if waiting.bytes > 0 && waiting.bytes + bytes > self.bytes_max {
            let message = format!("commit queue is full: limit_bytes={}", self.bytes_max);
            return Err(Error::new(ErrorKind::Exhausted, message));
        }
        Ok(())
    }

    /// Waits until there is a commit; `false` once closed and empty.
    pub(crate) fn wait(&self) -> bool {
        let mut waiting = self.waiting.lock();
        while waiting.commits.is_empty() {
            if waiting.closed {
                return false;
            }
            self.arrived.wait(&mut waiting);
        }
        true
    }

    /// The next group; `None` if nothing waits.
    pub(crate) fn next_group(&self) -> Option<Vec<Pending>> {
        let mut waiting = self.waiting.lock();
        let mut group = Vec::new();
        let mut bytes = 0;
        while let Some(next) = waiting.commits.front().map(|pending| pending.body.stored_bytes()) {
            if group.len() == GROUP_COMMITS_MAX || (!group.is_empty() && bytes + next > GROUP_BYTES_MAX) {
                break;
            }
            bytes += next;
            group.extend(waiting.commits.pop_front());
        }
        waiting.bytes -= bytes;
        (!group.is_empty()).then_some(group)
    }

    pub(crate) fn close(&self) {
        self.waiting.lock().closed = true;
        self.arrived.notify_all();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.waiting.lock().closed
    }

    /// Commits and encoded bytes waiting.
    pub(crate) fn depth(&self) -> (usize, usize) {
        let waiting = self.waiting.lock();
        (waiting.commits.len(), waiting.bytes)
    }
}
