//! The engine's threads: the committer, housekeeping (flush, spare log files), compaction.
//!
//! **Invariants**
//! 1. A panic on one of them latches the disk: writes are refused from then on, reads go on.
//! 2. The committer waits while memory is full; what waits behind it is bounded by the commit queue.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::compaction;
use crate::engine::{Shared, Wanted};
use crate::error::{Error, ErrorKind, Result};
use crate::flush::flush;
use crate::write::{Pending, chain};

/// How often housekeeping looks for a missing spare log file and retries a failed flush.
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_millis(500);

/// How often compaction looks for work that comes with time: rows that are past the retention.
const COMPACTION_INTERVAL: Duration = Duration::from_secs(60);

/// How long it pauses after a failure.
const COMPACTION_PAUSE: Duration = Duration::from_secs(1);

pub(crate) fn start(shared: &Arc<Shared>) -> Result<Vec<JoinHandle<()>>> {
    let compactors =
        (0..shared.options.compaction_threads).map(|_| ("siltstone-compact", compaction_loop as fn(&Shared)));
    let all = [("siltstone-commit", commit_loop as fn(&Shared)), ("siltstone-flush", housekeeping_loop)];
    all.into_iter().chain(compactors).map(|(name, body)| spawn(name, shared, body)).collect::<Result<_>>().inspect_err(
        |_| {
            shared.queue.close();
            shared.housekeeping.wanted.lock().stop = true;
            shared.housekeeping.changed.notify_all();
        },
    )
}

fn spawn(name: &str, shared: &Arc<Shared>, body: fn(&Shared)) -> Result<JoinHandle<()>> {
    let shared = Arc::clone(shared);
    let job = name.to_owned();
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            if catch_unwind(AssertUnwindSafe(|| body(&shared))).is_err() {
                let reason = format!("thread {job} panicked");
                shared.disk.latch(&reason);
                shared.queue.close();
                shared.housekeeping.wanted.lock().failure = Some(reason);
                shared.housekeeping.changed.notify_all();
                // Commits still queued are dropped unanswered; their senders see that.
                while shared.queue.next_group().is_some() {}
            }
        })
        .map_err(|error| Error::with_source(ErrorKind::Internal, format!("cannot start thread {name}"), error))
}

fn commit_loop(shared: &Shared) {
    while shared.queue.wait() {
        // Whoever is about to queue a commit goes first: on busy cores a group grows for the price of one switch, on idle ones this returns
        // at once.
        thread::yield_now();
        let Some(group) = shared.queue.next_group() else { continue };
        match wait_for_memory(shared) {
            Ok(()) => shared.commit_group(group),
            Err(reason) => refuse(group, &reason),
        }
    }
}

fn refuse(group: Vec<Pending>, reason: &str) {
    for pending in group {
        (pending.done)(Err(Error::new(ErrorKind::Exhausted, format!("memory for rows is full: {reason}"))));
    }
}

/// Waits until rows in memory are within their budget; the reason if flushing fails.
fn wait_for_memory(shared: &Shared) -> Result<(), String> {
    let over = || shared.memory_bytes() as u64 >= shared.options.memtable_bytes_max;
    if !over() {
        return Ok(());
    }
    let mut wanted = shared.housekeeping.wanted.lock();
    while over() {
        if let Some(failure) = &wanted.failure {
            return Err(failure.clone());
        }
        if wanted.stop {
            return Err("the engine is closing".to_owned());
        }
        wanted.flush = true;
        shared.housekeeping.changed.notify_all();
        shared.housekeeping.changed.wait(&mut wanted);
    }
    Ok(())
}

fn housekeeping_loop(shared: &Shared) {
    loop {
        let flush_wanted = {
            let mut wanted = shared.housekeeping.wanted.lock();
            if !wanted.flush && !wanted.stop {
                shared.housekeeping.changed.wait_for(&mut wanted, HOUSEKEEPING_INTERVAL);
            }
            if wanted.stop {
                return;
            }
            wanted.flush
        };
        if shared.disk.latched().is_some() {
            wait_for_stop(shared);
            return;
        }
        // Without a spare the next roll makes its own file, only slower; a full disk shows there as `Exhausted`.
        drop(shared.spares.prepare());
        if flush_wanted {
            run_flush(shared);
        }
    }
}

fn run_flush(shared: &Shared) {
    let outcome = flush(shared);
    let mut wanted = shared.housekeeping.wanted.lock();
    match outcome {
        Ok(()) => {
            wanted.flush = false;
            wanted.failure = None;
            shared.housekeeping.changed.notify_all();
        }
        Err(error) => {
            // Tried again after a pause; meanwhile the reason is told to whoever asks.
            wanted.failure = Some(chain(&error));
            shared.housekeeping.changed.notify_all();
            shared.housekeeping.changed.wait_for(&mut wanted, HOUSEKEEPING_INTERVAL);
        }
    }
}

fn wait_for_stop(shared: &Shared) {
    let mut wanted = shared.housekeeping.wanted.lock();
    wanted.failure = shared.disk.latched();
    shared.housekeeping.changed.notify_all();
    while !wanted.stop {
        shared.housekeeping.changed.wait(&mut wanted);
    }
}

fn compaction_loop(shared: &Shared) {
    loop {
        {
            let mut wanted = shared.housekeeping.wanted.lock();
            let waits = |wanted: &mut Wanted| !wanted.compact && !wanted.stop;
            shared.housekeeping.changed.wait_while_for(&mut wanted, waits, COMPACTION_INTERVAL);
            if wanted.stop {
                return;
            }
            wanted.compact = false;
        }
        if shared.disk.latched().is_some() {
            return;
        }
        match compaction::step(shared) {
            Ok(false) => {}
            Ok(true) => shared.request_compaction(),
            // It is counted, and the table is left alone for a while; there may be other work.
            Err(_) => {
                rest(shared);
                shared.request_compaction();
            }
        }
    }
}

fn rest(shared: &Shared) {
    let mut wanted = shared.housekeeping.wanted.lock();
    shared.housekeeping.changed.wait_while_for(&mut wanted, |wanted| !wanted.stop, COMPACTION_PAUSE);
}
