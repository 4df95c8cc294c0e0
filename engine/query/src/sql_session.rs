//! A session that outlives a request: where unqualified names live, the time zone, temporary tables, the open transaction.
//!
//! **Invariants**
//! 1. A request's own settings hold for that request; what its statements set (USE, SET) holds from then on.
//! 2. The first failure of a request rolls back the open transaction; so does a request that is dropped half-way, once
//!    [`SqlSession::roll_back`] is called.
//!
//! It knows nothing of users, ids or of how long a session lives.

use std::sync::Arc;

use futures::StreamExt;

use crate::names::Defaults;
use crate::session::{Core, Session, TIMEZONE_DEFAULT};
use crate::{Explained, Output, QueryError, SessionSettings, Suggestion, checking, dialect, statement};

/// A session. Dropping it rolls back what it left open.
pub struct SqlSession {
    session: Session,
    /// What statements have set, which the next request starts from.
    defaults: Defaults,
    timezone: String,
}

impl SqlSession {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        let session = Session::on(core);
        Self { defaults: session.defaults.clone(), timezone: TIMEZONE_DEFAULT.to_owned(), session }
    }

    /// Runs the statements of `sql` in order; the result is the last one's. Each commits by itself, except between BEGIN and
    /// COMMIT, which may come with a later call. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// At the first statement that fails; those before it stay done, except in a transaction, which is rolled back. A failure
    /// while rows are computed comes in the stream; the caller then has to roll back.
    pub async fn run(&mut self, sql: &str, settings: SessionSettings) -> Result<Output, QueryError> {
        let outcome = match self.session.begin_request(&self.defaults, &self.timezone, settings) {
            Ok(()) => run_all(&mut self.session, sql).await,
            Err(error) => Err(error),
        };
        if self.session.assigned.defaults {
            self.defaults = self.session.defaults.clone();
        }
        if self.session.assigned.timezone {
            self.timezone.clone_from(&self.session.timezone);
        }
        if outcome.is_err() {
            self.roll_back();
        }
        outcome
    }

    /// Checks statements without running them: syntax, names and types. After the first one that changes what exists, the rest is
    /// only parsed. Nothing of the session changes.
    ///
    /// # Errors
    /// The first fault.
    pub async fn validate(&mut self, sql: &str, settings: SessionSettings) -> Result<(), QueryError> {
        self.session.begin_request(&self.defaults, &self.timezone, settings)?;
        checking::validate(&mut self.session, sql).await
    }

    /// What a query would read, without running it. Statements that are no queries read nothing.
    ///
    /// # Errors
    /// If it is wrong.
    pub async fn explain(&mut self, sql: &str, settings: SessionSettings) -> Result<Explained, QueryError> {
        self.session.begin_request(&self.defaults, &self.timezone, settings)?;
        checking::explain(&mut self.session, sql).await
    }

    /// What could stand at the end of an unfinished text, best first.
    ///
    /// # Errors
    /// `Catalog Error` if the settings name what does not exist.
    pub fn complete(
        &mut self,
        text: &str,
        max: usize,
        settings: SessionSettings,
    ) -> Result<Vec<Suggestion>, QueryError> {
        self.session.begin_request(&self.defaults, &self.timezone, settings)?;
        Ok(checking::complete(&self.session, text, max))
    }

    /// Gives up the open transaction, if there is one.
    pub fn roll_back(&mut self) {
        self.session.transaction = None;
    }

    /// Whether BEGIN came and neither COMMIT nor ROLLBACK yet.
    pub fn has_transaction(&self) -> bool {
        self.session.transaction.is_some()
    }

    /// Whether it is as a new one would be: nothing set, nothing open.
    pub fn is_pristine(&self) -> bool {
        let initial = self.session.core.defaults();
        !self.has_transaction()
            && !self.session.integer_division
            && self.session.temp.is_empty()
            && self.timezone == TIMEZONE_DEFAULT
            && self.defaults.database.eq_ignore_ascii_case(&initial.database)
            && self.defaults.schema.eq_ignore_ascii_case(&initial.schema)
    }

    /// IANA name of the time zone that the last request's rows are shown in.
    pub fn timezone(&self) -> &str {
        &self.session.timezone
    }
}

async fn run_all(session: &mut Session, sql: &str) -> Result<Output, QueryError> {
    let mut statements = dialect::parse(sql)?;
    let last = statements.pop().ok_or_else(|| QueryError::parser("there is no statement"))?;
    for statement in statements {
        let mut output = statement::run(session, statement).await?;
        while let Some(batch) = output.batches.next().await {
            batch?;
        }
    }
    statement::run(session, last).await
}
