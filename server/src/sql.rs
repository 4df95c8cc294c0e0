//! Runs SQL and gives its result piece by piece, as text or as a file.
//!
//! **Invariants**
//! 1. Queries run on threads of their own: a heavy one never holds up the threads that serve requests.
//! 2. A result is never held whole: pieces wait in a short queue, and the query waits for the client.
//! 3. When the [`Running`] is dropped the query is cancelled. A query that is stopped fails for its client at once, even if the
//!    computation under way takes a while to notice.
//! 4. The events are: [`Event::Columns`], any number of [`Event::Rows`], then [`Event::Done`]; or [`Event::Failed`] at any point
//!    instead of what would come next. A queue that ends otherwise means a bug of ours.
//! 5. At most so many queries run at once, so many wait, and none takes longer than the settings say.
//!
//! It knows no dialect: they say how rows look ([`Layout`]) and wrap the pieces.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use futures::StreamExt;
use siltstone_query::{OutputKind, QueryEngine, QueryError, QueryErrorKind, SessionSettings};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::admission::{Admission, Ticket, Waited};
use crate::cells;
use crate::pieces::{Pieces, Writer};
use crate::query_log::{Entry, InUse, Origin, QueryLog, Stop};
use crate::sessions::{Lease, SessionKey, Sessions};

pub use crate::pieces::Layout;

/// Pieces that may wait for the client.
const PIECES_WAITING: usize = 4;

/// How often idle sessions are looked for.
const SESSIONS_CHECK: Duration = Duration::from_secs(60);

/// Bounds on queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SqlLimits {
    /// Queries that run at once.
    pub running_max: usize,
    /// Queries that wait for their turn.
    pub waiting_max: usize,
    /// How long one may wait for its turn.
    pub wait: Duration,
    /// How long one may take, from when it came to its last row; `None` is without end.
    pub timeout: Option<Duration>,
}

/// SQL with its surroundings.
#[derive(Clone, Debug)]
pub struct SqlRequest {
    /// Who asks.
    pub origin: Origin,
    /// Whether what the session holds at the end (settings, an open transaction) is there for the next request with its id.
    pub keep_session: bool,
    /// One statement or several.
    pub statement: String,
    /// Defaults and rights.
    pub settings: SessionSettings,
    /// Rows of the last statement that are left out at the start.
    pub offset: u64,
    /// Rows of the last statement that are given at most.
    pub limit: Option<u64>,
    /// How rows are written.
    pub layout: Layout,
}

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnInfo {
    /// As SQL names it.
    pub name: String,
    /// As DuckDB names it.
    pub type_name: String,
}

/// A piece of a result.
#[derive(Debug)]
pub enum Event {
    /// What the rows hold, and what kind of statement gave them.
    Columns(Vec<ColumnInfo>, OutputKind),
    /// Whole lines, or the next bytes of a file.
    Rows(Bytes),
    /// The end, with all rows given.
    Done,
    /// The end, by an error.
    Failed(SqlError),
}

/// Why a query failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct SqlError {
    /// What a caller can act on.
    pub kind: SqlErrorKind,
    /// For people, with DuckDB's prefix.
    pub message: String,
}

/// What a caller would do differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SqlErrorKind {
    /// The engine's judgement.
    Query(QueryErrorKind),
    /// It was stopped: cancelled or over its time.
    Stopped,
    /// It never ran: too many others did.
    Busy,
}

impl From<QueryError> for SqlError {
    fn from(error: QueryError) -> Self {
        Self { kind: SqlErrorKind::Query(error.kind), message: error.message }
    }
}

impl From<Stop> for SqlError {
    fn from(stop: Stop) -> Self {
        Self { kind: SqlErrorKind::Stopped, message: stop.message() }
    }
}

impl From<Waited> for SqlError {
    fn from(waited: Waited) -> Self {
        Self { kind: SqlErrorKind::Busy, message: waited.to_string() }
    }
}

/// Why a query is not even begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Its id is taken.
    #[error(transparent)]
    InUse(#[from] InUse),
    /// As many wait as may.
    #[error("too many queries are waiting; try again later")]
    Busy,
}

/// Runs SQL. Cheap to clone.
#[derive(Clone)]
pub struct Sql {
    pub(crate) sessions: Sessions,
    log: QueryLog,
    pub(crate) admission: Admission,
    pub(crate) timeout: Option<Duration>,
    pub(crate) runtime: Handle,
}

impl std::fmt::Debug for Sql {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sql")
    }
}

/// A query under way. Dropping it cancels the query.
#[derive(Debug)]
pub struct Running {
    events: mpsc::Receiver<Event>,
    entry: Arc<Entry>,
    deadline: Option<Deadline>,
}

/// When a query has to be over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    at: tokio::time::Instant,
    timeout: Duration,
}

impl Deadline {
    pub(crate) fn of(timeout: Option<Duration>) -> Option<Self> {
        let timeout = timeout?;
        Some(Self { at: tokio::time::Instant::now().checked_add(timeout)?, timeout })
    }

    /// Comes when the time is over.
    pub(crate) async fn over(deadline: Option<Self>) -> Stop {
        match deadline {
            Some(deadline) => {
                tokio::time::sleep_until(deadline.at).await;
                Stop::TimedOut { timeout_ms: deadline.timeout.as_millis() }
            }
            None => std::future::pending().await,
        }
    }
}

impl Running {
    /// The next event; `None` after the last one.
    pub async fn next(&mut self) -> Option<Event> {
        let stop = tokio::select! {
            biased;
            stop = self.entry.stopped() => stop,
            event = self.events.recv() => match self.entry.stop_reason() {
                // It was stopped just after the first branch had looked.
                Some(stop) if event.is_none() => stop,
                _ => return event,
            },
            stop = Deadline::over(self.deadline) => {
                self.entry.stop(stop);
                stop
            }
        };
        // Nothing more comes: the worker may still be busy, but nobody waits for it.
        self.events.close();
        Some(Event::Failed(stop.into()))
    }

    /// What the log knows of it.
    pub fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.entry.stop(Stop::ClientGone) {
            tracing::debug!(query_id = %self.entry.origin.query_id, "query cancelled: its client is gone");
        }
    }
}

impl Sql {
    /// Runs queries of this engine on that runtime, within these limits.
    pub fn new(engine: QueryEngine, runtime: Handle, limits: SqlLimits) -> Self {
        let sessions = Sessions::new(engine);
        runtime.spawn(sessions.expiry(SESSIONS_CHECK));
        let admission = Admission::new(limits.running_max, limits.waiting_max, limits.wait);
        Self { sessions, log: QueryLog::default(), admission, timeout: limits.timeout, runtime }
    }

    /// The queries that ran and run.
    pub fn log(&self) -> &QueryLog {
        &self.log
    }

    /// How many queries run and how many wait.
    pub fn counts(&self) -> (usize, usize) {
        self.admission.counts()
    }

    /// How many sessions are kept.
    pub fn sessions(&self) -> usize {
        self.sessions.count()
    }

    /// Starts a query. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`Refused`]; nothing was done then.
    pub fn start(&self, request: SqlRequest) -> Result<Running, Refused> {
        let ticket = self.admission.ticket().ok_or(Refused::Busy)?;
        let entry = self.log.begin(request.origin.clone(), &request.statement)?;
        let deadline = Deadline::of(self.timeout);
        let (events, receiver) = mpsc::channel(PIECES_WAITING);
        let worker = Worker { sessions: self.sessions.clone(), entry: Arc::clone(&entry), events };
        let task = self.runtime.spawn(worker.run(request, ticket, deadline));
        entry.set_worker(task.abort_handle());
        Ok(Running { events: receiver, entry, deadline })
    }
}

/// Runs one query.
struct Worker {
    sessions: Sessions,
    entry: Arc<Entry>,
    events: mpsc::Sender<Event>,
}

impl Worker {
    /// Sends the events. A send fails only when nobody listens any more; then there is nothing left to do.
    async fn run(self, request: SqlRequest, ticket: Ticket, deadline: Option<Deadline>) {
        let outcome = tokio::select! {
            // Also when the client reads nothing, so that the query waits for it for ever.
            stop = Deadline::over(deadline) => {
                self.entry.stop(stop);
                return;
            }
            outcome = self.answer(request, ticket) => outcome,
        };
        self.entry.finish(outcome.as_ref().err().map(|error| error.message.clone()));
        let last = match outcome {
            Ok(()) => Event::Done,
            Err(error) => Event::Failed(error),
        };
        // See above.
        let _ = self.events.send(last).await;
    }

    async fn answer(&self, request: SqlRequest, mut ticket: Ticket) -> Result<(), SqlError> {
        let key = request
            .keep_session
            .then(|| SessionKey { user: request.origin.user.clone(), id: request.origin.session_id.clone() });
        let mut lease = self.sessions.lease(key).await;
        ticket.admitted().await?;
        self.produce(&mut lease, request).await?;
        lease.complete();
        Ok(())
    }

    async fn produce(&self, lease: &mut Lease, request: SqlRequest) -> Result<(), SqlError> {
        let session = lease.session();
        let mut output = session.run(&request.statement, request.settings).await?;
        let zone = cells::zone(session.timezone()).flatten();
        self.entry.set_watch(output.watch.take());
        let events = &self.events;
        if events.send(Event::Columns(columns(&output.schema), output.kind)).await.is_err() {
            return Ok(());
        }
        let mut writer = Writer::new(&output.schema, zone, request.layout)?;
        let mut pieces = Pieces { events };
        if let Some(header) = writer.header()
            && !pieces.send(header).await
        {
            return Ok(());
        }
        let (mut skip, mut left) = (request.offset, request.limit.unwrap_or(u64::MAX));
        while left > 0 {
            let Some(batch) = output.batches.next().await else {
                break;
            };
            let batch = batch?;
            let rows = batch.num_rows() as u64;
            let start = skip.min(rows);
            let count = (rows - start).min(left);
            skip -= start;
            left -= count;
            let (start, end) = (start as usize, (start + count) as usize);
            if !writer.write(&batch, start, end, &mut pieces).await? {
                return Ok(());
            }
        }
        if let Some(end) = writer.finish()? {
            pieces.send(end).await;
        }
        Ok(())
    }
}

fn columns(schema: &SchemaRef) -> Vec<ColumnInfo> {
    let info = |field: &arrow::datatypes::FieldRef| ColumnInfo {
        name: field.name().clone(),
        type_name: cells::type_name(field),
    };
    schema.fields().iter().map(info).collect()
}
