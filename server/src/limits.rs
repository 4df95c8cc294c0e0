//! Bounds on what requests may hold: bytes of bodies in flight, and decoding off the reactor.
//!
//! **Invariants**
//! 1. A body of more than [`SMALL_BODY_BYTES`] is counted against one budget before its bytes are kept; past the budget a request
//!    waits for a bounded time and is then refused, so that memory is bounded whatever the number of clients.
//! 2. A small body is decoded where it was read; a larger one on a blocking thread, at most one per core at a time, so that a
//!    large request never delays the small ones on the reactor.
//!
//! It knows nothing of what the bytes mean.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Largest body that is decoded on the reactor, and that is not counted. 16 KiB decode in some 30 µs, less than the hop to
/// another thread and back costs under load.
pub const SMALL_BODY_BYTES: usize = 16 * 1024;

/// How long a body may wait for room.
const ROOM_WAIT: Duration = Duration::from_secs(5);

/// Unit of the budget: semaphores count in `u32`, bodies in bytes.
const UNIT_BYTES: usize = 4096;

/// The limits of one endpoint's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    /// Bytes as sent, after transfer coding and before content coding.
    pub wire_bytes_max: usize,
    /// Bytes after decompression.
    pub decoded_bytes_max: usize,
}

/// Shared budgets.
#[derive(Clone, Debug)]
pub struct Limits {
    room: Arc<Semaphore>,
    room_units: usize,
    decoders: Arc<Semaphore>,
}

/// Room for the bytes of one body, given back when dropped.
#[derive(Debug, Default)]
pub struct Room {
    permit: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl Limits {
    /// Budgets of so many bytes of bodies and so many decoders at once.
    pub fn new(body_bytes_in_flight_max: usize, decoders: usize) -> Self {
        let room_units =
            (body_bytes_in_flight_max / UNIT_BYTES).clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        Self {
            room: Arc::new(Semaphore::new(room_units)),
            room_units,
            decoders: Arc::new(Semaphore::new(decoders.max(1))),
        }
    }

    /// Makes `room` cover `bytes`; small bodies need none. `false` if there was no room in time.
    pub async fn reserve(&self, room: &mut Room, bytes: usize) -> bool {
        if bytes <= SMALL_BODY_BYTES || bytes <= room.bytes {
            return true;
        }
        let units = (bytes - room.bytes).div_ceil(UNIT_BYTES);
        if units > self.room_units {
            return false;
        }
        let acquire = Arc::clone(&self.room).acquire_many_owned(units as u32);
        let Ok(Ok(permit)) = tokio::time::timeout(ROOM_WAIT, acquire).await else {
            return false;
        };
        match &mut room.permit {
            Some(held) => held.merge(permit),
            none => *none = Some(permit),
        }
        room.bytes += units * UNIT_BYTES;
        true
    }

    /// Runs CPU-heavy work: at once if it is small, else on a blocking thread. `None` if it panicked there.
    pub async fn compute<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        if bytes <= SMALL_BODY_BYTES {
            return Some(work());
        }
        let permit = Arc::clone(&self.decoders).acquire_owned().await.ok()?;
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        task.await.ok()
    }
}
