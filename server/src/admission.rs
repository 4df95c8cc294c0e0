//! How many queries run at once, how many may wait, and for how long.
//!
//! **Invariants**
//! 1. At most [`Admission::new`]'s `running_max` tickets are admitted at a time, in the order in which they began to wait.
//! 2. Past `waiting_max` more, a query is refused before anything was done for it.
//!
//! It knows nothing of what runs.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The gate. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Admission {
    running: Arc<Semaphore>,
    running_max: usize,
    tickets: Arc<Semaphore>,
    tickets_max: usize,
    wait: Duration,
}

/// A place among those that run or wait, given back when dropped.
#[derive(Debug)]
pub struct Ticket {
    admission: Admission,
    _place: OwnedSemaphorePermit,
    running: Option<OwnedSemaphorePermit>,
}

/// Nothing ended in time to let a waiting query run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many queries are running, and none ended within {wait_ms} ms; try again later")]
pub struct Waited {
    /// How long it waited.
    pub wait_ms: u128,
}

impl Admission {
    /// A gate for so many at once, with so many behind it that wait for so long.
    pub fn new(running_max: usize, waiting_max: usize, wait: Duration) -> Self {
        let running_max = running_max.clamp(1, Semaphore::MAX_PERMITS / 2);
        let tickets_max = running_max + waiting_max.min(Semaphore::MAX_PERMITS / 2);
        Self {
            running: Arc::new(Semaphore::new(running_max)),
            running_max,
            tickets: Arc::new(Semaphore::new(tickets_max)),
            tickets_max,
            wait,
        }
    }

    /// A place; `None` if all are taken.
    pub fn ticket(&self) -> Option<Ticket> {
        let place = Arc::clone(&self.tickets).try_acquire_owned().ok()?;
        Some(Ticket { admission: self.clone(), _place: place, running: None })
    }

    /// How many run and how many wait.
    pub fn counts(&self) -> (usize, usize) {
        let running = self.running_max - self.running.available_permits();
        let tickets = self.tickets_max - self.tickets.available_permits();
        (running, tickets.saturating_sub(running))
    }
}

impl Ticket {
    /// Waits until it may run.
    ///
    /// # Errors
    /// [`Waited`] after the gate's waiting time.
    pub async fn admitted(&mut self) -> Result<(), Waited> {
        let wait = self.admission.wait;
        let acquire = Arc::clone(&self.admission.running).acquire_owned();
        match tokio::time::timeout(wait, acquire).await {
            Ok(Ok(permit)) => {
                self.running = Some(permit);
                Ok(())
            }
            _ => Err(Waited { wait_ms: wait.as_millis() }),
        }
    }
}

#[cfg(test)]
mod tests;
