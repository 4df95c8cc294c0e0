//! The queries that ran and run: what was asked, how far it is, how it ended; and the way to stop one.
//!
//! **Invariants**
//! 1. A query ends once: by itself or by [`Entry::stop`]; whichever comes second changes nothing.
//! 2. Users see their own queries only: the same id of another user is another query.
//! 3. Memory is bounded: `ENTRIES_MAX` entries, `TEXT_BYTES_MAX` of statements, `KEPT`. A running query is never forgotten.
//!
//! It knows no dialect, and rows it never holds. It does not survive a restart.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use siltstone_query::{Figures, Watch};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use uuid::Uuid;

/// Entries kept at most.
const ENTRIES_MAX: usize = 100_000;
/// How long an entry is kept.
const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Bytes of statements kept at most.
const TEXT_BYTES_MAX: usize = 64 << 20;
/// Bytes of one statement that are kept; a longer one is cut.
const STATEMENT_BYTES_MAX: usize = 1 << 20;

/// Who asks, and how.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Id of the query, unique among its user's running ones.
    pub query_id: Uuid,
    /// Id of the user.
    pub user: String,
    /// Id of the session, the client's or made up.
    pub session_id: String,
    /// The client program.
    pub user_agent: Option<String>,
    /// On whose behalf, as the client says.
    pub requested_by: Option<String>,
    /// Whether the client wants it shown in lists.
    pub visible: bool,
}

impl Origin {
    /// A query with ids of our own.
    pub fn new(user: impl Into<String>) -> Self {
        Self {
            query_id: crate::ids::new_uuid(),
            user: user.into(),
            session_id: crate::ids::new_uuid().to_string(),
            user_agent: None,
            requested_by: None,
            visible: true,
        }
    }
}

/// Why a query was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Somebody asked for it.
    Cancelled,
    /// The client went away.
    ClientGone,
    /// It took longer than the setting allows.
    TimedOut {
        /// The setting.
        timeout_ms: u128,
    },
}

impl Stop {
    /// For people. Clients look for the word `cancelled`.
    pub fn message(self) -> String {
        match self {
            Self::Cancelled => "INTERRUPT Error: the query was cancelled".to_owned(),
            Self::ClientGone => "INTERRUPT Error: the query was cancelled: its client is gone".to_owned(),
            Self::TimedOut { timeout_ms } => {
                format!("INTERRUPT Error: the query was cancelled: it took longer than {timeout_ms} ms")
            }
        }
    }
}

/// How a query ended.
#[derive(Clone, Debug)]
pub struct End {
    /// When.
    pub at: SystemTime,
    /// After how long.
    pub took: Duration,
    /// Why, if not by its last row.
    pub error: Option<String>,
}

/// A query.
#[derive(Debug)]
pub struct Entry {
    /// Who asked.
    pub origin: Origin,
    /// The SQL, cut if it is very long.
    pub statement: String,
    /// When it came.
    pub started: SystemTime,
    started_at: Instant,
    state: Mutex<State>,
    stopped: watch::Sender<Option<Stop>>,
}

#[derive(Default)]
struct State {
    worker: Option<AbortHandle>,
    watch: Option<Watch>,
    figures: Option<Figures>,
    end: Option<End>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("figures", &self.figures).field("end", &self.end).finish_non_exhaustive()
    }
}

impl State {
    /// Keeps the last figures and lets go of the plan and the task.
    fn close(&mut self) -> Option<AbortHandle> {
        self.figures = self.watch.take().map(|watch| watch.figures());
        self.worker.take()
    }
}

impl Entry {
    fn new(origin: Origin, statement: &str) -> Self {
        let mut end = statement.len().min(STATEMENT_BYTES_MAX);
        while !statement.is_char_boundary(end) {
            end -= 1;
        }
        Self {
            origin,
            statement: statement[..end].to_owned(),
            started: SystemTime::now(),
            started_at: Instant::now(),
            state: Mutex::default(),
            stopped: watch::Sender::new(None),
        }
    }

    /// The task that runs it, for [`Entry::stop`].
    pub fn set_worker(&self, worker: AbortHandle) {
        let mut state = self.state.lock();
        if state.end.is_none() {
            state.worker = Some(worker);
        } else if self.stop_reason().is_some() {
            // One that has ended by itself is left alone: it may still have its last words to say.
            worker.abort();
        }
    }

    /// The plan that runs now.
    pub fn set_watch(&self, watch: Option<Watch>) {
        let mut state = self.state.lock();
        if state.end.is_none() {
            state.watch = watch;
        }
    }

    /// Notes that it ended by itself.
    pub fn finish(&self, error: Option<String>) {
        let mut state = self.state.lock();
        if state.end.is_none() {
            state.close();
            state.end = Some(self.end_now(error));
        }
    }

    /// Ends it, whatever it is doing; `false` if it has ended before.
    pub fn stop(&self, why: Stop) -> bool {
        let mut state = self.state.lock();
        if state.end.is_some() {
            return false;
        }
        let worker = state.close();
        state.end = Some(self.end_now(Some(why.message())));
        // First the reason, then the end of the task: whoever sees the task gone finds out why.
        self.stopped.send_replace(Some(why));
        if let Some(worker) = worker {
            worker.abort();
        }
        true
    }

    fn end_now(&self, error: Option<String>) -> End {
        End { at: SystemTime::now(), took: self.started_at.elapsed(), error }
    }

    /// Comes when the query is stopped; never if it ends by itself.
    pub async fn stopped(&self) -> Stop {
        let mut receiver = self.stopped.subscribe();
        let stop = match receiver.wait_for(Option::is_some).await {
            Ok(stop) => *stop,
            Err(_) => None,
        };
        match stop {
            Some(stop) => stop,
            // The sender is ours: it cannot go away.
            None => std::future::pending().await,
        }
    }

    /// Why it was stopped, if it was.
    pub fn stop_reason(&self) -> Option<Stop> {
        *self.stopped.borrow()
    }

    /// How it ended; `None` while it runs.
    pub fn end(&self) -> Option<End> {
        self.state.lock().end.clone()
    }

    /// How far it is or was; `None` if it never came to run a plan.
    pub fn figures(&self) -> Option<Figures> {
        let watch = {
            let state = self.state.lock();
            match &state.watch {
                Some(watch) => watch.clone(),
                None => return state.figures,
            }
        };
        Some(watch.figures())
    }
}

/// What became of a wish to cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// It was running and is not any more.
    Now,
    /// It had ended already.
    Before,
    /// It belongs to another session.
    OtherSession,
    /// The user has no such query.
    Unknown,
}

/// The id belongs to a query that is still running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("query_id is in use by a running query")]
pub struct InUse;

/// All queries. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct QueryLog {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<(String, Uuid), Arc<Entry>>,
    /// Oldest first; also those that were replaced since.
    order: VecDeque<Arc<Entry>>,
    text_bytes: usize,
}

impl QueryLog {
    /// Writes down a query that starts. A finished one with its id is replaced.
    ///
    /// # Errors
    /// [`InUse`].
    pub fn begin(&self, origin: Origin, statement: &str) -> Result<Arc<Entry>, InUse> {
        let entry = Arc::new(Entry::new(origin, statement));
        let key = (entry.origin.user.clone(), entry.origin.query_id);
        let mut inner = self.inner.lock();
        if inner.entries.get(&key).is_some_and(|known| known.end().is_none()) {
            return Err(InUse);
        }
        inner.entries.insert(key, Arc::clone(&entry));
        inner.text_bytes += entry.statement.len();
        inner.order.push_back(Arc::clone(&entry));
        inner.forget(Instant::now());
        Ok(entry)
    }

    /// A user's query.
    pub fn find(&self, user: &str, id: Uuid) -> Option<Arc<Entry>> {
        self.inner.lock().entries.get(&(user.to_owned(), id)).map(Arc::clone)
    }

    /// Stops a user's query, if it runs in this session.
    pub fn cancel(&self, user: &str, id: Uuid, session_id: &str) -> Cancelled {
        match self.find(user, id) {
            None => Cancelled::Unknown,
            Some(entry) if entry.origin.session_id != session_id => Cancelled::OtherSession,
            Some(entry) if entry.stop(Stop::Cancelled) => Cancelled::Now,
            Some(_) => Cancelled::Before,
        }
    }
}

impl Inner {
    fn forget(&mut self, now: Instant) {
        // Every running entry at the front moves to the back at most once per call.
        for _ in 0..self.order.len() {
            let Some(oldest) = self.order.front() else {
                return;
            };
            let expired = now.saturating_duration_since(oldest.started_at) > KEPT;
            if !expired && self.order.len() <= ENTRIES_MAX && self.text_bytes <= TEXT_BYTES_MAX {
                return;
            }
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            if oldest.end().is_none() {
                self.order.push_back(oldest);
                continue;
            }
            self.text_bytes -= oldest.statement.len();
            let key = (oldest.origin.user.clone(), oldest.origin.query_id);
            if self.entries.get(&key).is_some_and(|known| Arc::ptr_eq(known, &oldest)) {
                self.entries.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests;
