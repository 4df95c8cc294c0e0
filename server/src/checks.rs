//! SQL that is looked at and not run: is it right, what would it read, how could it go on.
//!
//! **Invariants**
//! 1. It never waits for a session that is busy: it then sees what a new session sees.
//! 2. It leaves a session as it was, open transaction included, even if its client goes away half-way.
//! 3. It counts as a query: as many at once, as long.

use siltstone_query::{Explained, SessionSettings, SqlSession, Suggestion};
use tokio::task::JoinSet;

use crate::sessions::SessionKey;
use crate::sql::{Deadline, Refused, Sql, SqlError, SqlErrorKind};

/// SQL to be looked at.
#[derive(Clone, Debug)]
pub struct CheckRequest {
    /// The text.
    pub statement: String,
    /// Defaults and rights.
    pub settings: SessionSettings,
    /// The session it is meant for.
    pub session: Option<SessionKey>,
}

/// What is asked of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Is it right?
    Validate,
    /// What would it read?
    Explain,
    /// How could it go on?
    Complete {
        /// Suggestions at most.
        max: usize,
    },
}

/// The answer to a [`Check`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// It is right.
    Valid,
    /// It would read this.
    Explained(Explained),
    /// It could go on so.
    Completed(Vec<Suggestion>),
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CheckFailed {
    /// Too much else is going on.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The text, or the settings.
    #[error(transparent)]
    Sql(#[from] SqlError),
}

impl Sql {
    /// Looks at SQL.
    ///
    /// # Errors
    /// [`CheckFailed`].
    pub async fn check(&self, check: Check, request: CheckRequest) -> Result<Checked, CheckFailed> {
        let mut ticket = self.admission.ticket().ok_or(Refused::Busy)?;
        let deadline = Deadline::of(self.timeout);
        let mut lease = self.sessions.borrow(request.session.as_ref());
        // Dropped with this future, if the client goes away.
        let mut task = JoinSet::new();
        task.spawn_on(
            async move {
                ticket.admitted().await?;
                answer(lease.session(), check, &request.statement, request.settings).await
            },
            &self.runtime,
        );
        tokio::select! {
            stop = Deadline::over(deadline) => Err(SqlError::from(stop).into()),
            outcome = task.join_next() => match outcome {
                Some(Ok(outcome)) => Ok(outcome?),
                _ => Err(SqlError {
                    kind: SqlErrorKind::Query(siltstone_query::QueryErrorKind::Internal),
                    message: "INTERNAL Error: looking at the statement failed; see the server's log".to_owned(),
                }
                .into()),
            },
        }
    }
}

async fn answer(
    session: &mut SqlSession,
    check: Check,
    statement: &str,
    settings: SessionSettings,
) -> Result<Checked, SqlError> {
    Ok(match check {
        Check::Validate => session.validate(statement, settings).await.map(|()| Checked::Valid)?,
        Check::Explain => Checked::Explained(session.explain(statement, settings).await?),
        Check::Complete { max } => Checked::Completed(session.complete(statement, max, settings)?),
    })
}
