//! SQL sessions that outlive a request, by user and id.
//!
//! **Invariants**
//! 1. A session belongs to one user; another user's same id is another session.
//! 2. One request at a time: the next ones wait in the order they came.
//! 3. A request that ends early (cancelled, its client gone) leaves no transaction open.
//! 4. What nobody used for [`IDLE_MAX`] is dropped, and with it the transaction it held; a session with nothing to remember is not
//!    kept at all.
//!
//! It knows no SQL.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use siltstone_query::{QueryEngine, SqlSession};
use tokio::sync::OwnedMutexGuard;

/// How long a session is kept without being used.
pub const IDLE_MAX: Duration = Duration::from_secs(30 * 60);

/// Sessions kept at once, of all users; past it the one unused for longest goes.
const SESSIONS_MAX: usize = 10_000;

/// Whose session, and which.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionKey {
    /// Id of the user.
    pub user: String,
    /// The client's id.
    pub id: String,
}

/// All sessions. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    engine: QueryEngine,
    slots: Arc<Mutex<HashMap<SessionKey, Slot>>>,
}

#[derive(Clone)]
struct Slot {
    session: Arc<tokio::sync::Mutex<SqlSession>>,
    used: Instant,
}

/// A session while a request has it. Dropping it without [`Lease::complete`] rolls back its transaction.
pub struct Lease {
    held: Held,
    complete: bool,
}

enum Held {
    /// Nobody else's, gone with the request.
    Own(Box<SqlSession>),
    Kept(Kept),
}

struct Kept {
    sessions: Sessions,
    key: SessionKey,
    /// `None` only while it is dropped.
    guard: Option<OwnedMutexGuard<SqlSession>>,
}

fn expire(slots: &Mutex<HashMap<SessionKey, Slot>>, now: Instant) {
    slots.lock().retain(|_, slot| !slot.is_idle() || now.saturating_duration_since(slot.used) < IDLE_MAX);
}

impl Sessions {
    /// Sessions on this engine.
    pub fn new(engine: QueryEngine) -> Self {
        Self { engine, slots: Arc::default() }
    }

    /// A session for one request; under a key, the one that was used with it before, once it is free.
    pub async fn lease(&self, key: Option<SessionKey>) -> Lease {
        let Some(key) = key else {
            return Lease { held: Held::Own(Box::new(self.engine.session())), complete: false };
        };
        let session = self.find(&key);
        let guard = Some(session.lock_owned().await);
        Lease { held: Held::Kept(Kept { sessions: self.clone(), key, guard }), complete: false }
    }

    /// A session to look at: the one under the key if there is one and it is free, else a new one. It is left as it is.
    pub fn borrow(&self, key: Option<&SessionKey>) -> Lease {
        let kept = key.and_then(|key| {
            let session = self.slots.lock().get(key).map(|slot| Arc::clone(&slot.session))?;
            let guard = Some(session.try_lock_owned().ok()?);
            Some(Held::Kept(Kept { sessions: self.clone(), key: key.clone(), guard }))
        });
        Lease { held: kept.unwrap_or_else(|| Held::Own(Box::new(self.engine.session()))), complete: true }
    }

    fn find(&self, key: &SessionKey) -> Arc<tokio::sync::Mutex<SqlSession>> {
        let mut slots = self.slots.lock();
        let used = Instant::now();
        if let Some(slot) = slots.get_mut(key) {
            slot.used = used;
            return Arc::clone(&slot.session);
        }
        if slots.len() >= SESSIONS_MAX {
            let idle = slots.iter().filter(|(_, slot)| slot.is_idle());
            if let Some(oldest) = idle.min_by_key(|(_, slot)| slot.used).map(|(key, _)| key.clone()) {
                slots.remove(&oldest);
            }
        }
        let session = Arc::new(tokio::sync::Mutex::new(self.engine.session()));
        slots.insert(key.clone(), Slot { session: Arc::clone(&session), used });
        session
    }

    /// Drops what was not used since `IDLE_MAX` before `now`.
    pub fn expire(&self, now: Instant) {
        expire(&self.slots, now);
    }

    /// Does so from time to time, for as long as anybody has these sessions: the wait itself keeps no engine open.
    pub fn expiry(&self, every: Duration) -> impl Future<Output = ()> + Send + use<> {
        let slots = Arc::downgrade(&self.slots);
        async move {
            loop {
                tokio::time::sleep(every).await;
                match slots.upgrade() {
                    Some(slots) => expire(&slots, Instant::now()),
                    None => return,
                }
            }
        }
    }

    /// How many are kept.
    pub fn count(&self) -> usize {
        self.slots.lock().len()
    }

    /// Notes that a request let go of a session, and forgets it if there is nothing to remember.
    fn released(&self, key: &SessionKey, pristine: bool) {
        let mut slots = self.slots.lock();
        let Some(slot) = slots.get_mut(key) else {
            return;
        };
        slot.used = Instant::now();
        if pristine && slot.is_idle() {
            slots.remove(key);
        }
    }
}

impl Slot {
    /// Whether no request has it or waits for it: those hold it, too, and get it under the lock of the map.
    fn is_idle(&self) -> bool {
        Arc::strong_count(&self.session) == 1
    }
}

impl Lease {
    /// The session.
    pub fn session(&mut self) -> &mut SqlSession {
        match &mut self.held {
            Held::Own(session) => session,
            Held::Kept(kept) => kept.guard.as_mut().expect("held until it is dropped"),
        }
    }

    /// The request went through: what it left open may stay.
    pub fn complete(mut self) {
        self.complete = true;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.complete {
            self.session().roll_back();
        }
        if let Held::Kept(kept) = &mut self.held
            && let Some(guard) = kept.guard.take()
        {
            let pristine = guard.is_pristine();
            drop(guard);
            kept.sessions.released(&kept.key, pristine);
        }
    }
}
