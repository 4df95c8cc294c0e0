//! BEGIN, COMMIT, ROLLBACK, and what a transaction says of itself.
//!
//! **Invariants**
//! 1. Everything between BEGIN and COMMIT is one storage commit, or none; its statements see what those before them did.
//! 2. The first failure rolls back.

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Statement, TransactionAccessMode, TransactionMode,
};
use siltstone_storage::{Change, CommitInfo, Error, ErrorKind, RowCounts, Snapshot, TableId, Transaction, folded_name};

use crate::error::Result;
use crate::session::Session;
use crate::statement::success;
use crate::{Output, QueryError};

/// Bytes of rows of one table that a transaction holds in memory between its statements.
const SPILL_BYTES: usize = 64 << 20;

/// A transaction under way.
#[derive(Debug)]
pub(crate) struct OpenTransaction {
    transaction: Transaction,
    info: CommitInfo,
}

impl OpenTransaction {
    /// What its statements see.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.transaction.snapshot()
    }

    /// Nobody else may have changed the rows of a table when it commits.
    pub(crate) fn require_unchanged(&mut self, table: TableId) {
        self.transaction.require_unchanged(table);
    }

    /// Makes changes, off the async threads; gives itself back unless one of them fails.
    pub(crate) async fn apply(mut self, changes: Vec<Change>) -> Result<(Self, RowCounts), Error> {
        off_thread(move || {
            let mut rows = RowCounts::default();
            for change in changes {
                let counts = self.transaction.apply(change)?;
                rows.inserted += counts.inserted;
                rows.updated += counts.updated;
                rows.deleted += counts.deleted;
                rows.unchanged += counts.unchanged;
            }
            self.transaction.spill(SPILL_BYTES)?;
            Ok((self, rows))
        })
        .await
    }
}

pub(crate) async fn off_thread<T: Send + 'static>(
    job: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let joined = tokio::task::spawn_blocking(job).await;
    joined.unwrap_or_else(|error| Err(Error::with_source(ErrorKind::Internal, "a commit failed", error)))
}

/// `BEGIN`.
pub(crate) fn begin(session: &mut Session, statement: &Statement) -> Result<Output> {
    let Statement::StartTransaction { modes, modifier: None, statements, exception: None, .. } = statement else {
        return Err(QueryError::not_implemented(format_args!("{statement} is not supported")));
    };
    if !statements.is_empty() {
        return Err(QueryError::not_implemented("BEGIN … END blocks are not supported"));
    }
    let writable = |mode: &TransactionMode| *mode == TransactionMode::AccessMode(TransactionAccessMode::ReadWrite);
    if let Some(mode) = modes.iter().find(|mode| !writable(mode)) {
        return Err(QueryError::not_implemented(format_args!("BEGIN {mode} is not supported")));
    }
    if session.transaction.is_some() {
        return Err(QueryError::transaction("cannot start a transaction within a transaction"));
    }
    let transaction = session.core.engine.begin();
    session.transaction = Some(OpenTransaction { transaction, info: session.commit_info() });
    Ok(success())
}

/// `COMMIT`.
pub(crate) async fn commit(session: &mut Session, statement: &Statement) -> Result<Output> {
    let Statement::Commit { chain: false, modifier: None, .. } = statement else {
        return Err(QueryError::not_implemented(format_args!("{statement} is not supported")));
    };
    let Some(open) = session.transaction.take() else {
        return Err(QueryError::transaction("cannot commit - no transaction is active"));
    };
    let OpenTransaction { transaction, info } = open;
    match off_thread(move || transaction.commit(info)).await {
        Ok(_) => Ok(success()),
        Err(error) if error.kind() == ErrorKind::Conflict => {
            Err(QueryError::transaction(format_args!("Failed to commit: {}", error.message())))
        }
        Err(error) => Err(error.into()),
    }
}

/// `ROLLBACK`.
pub(crate) fn roll_back(session: &mut Session, statement: &Statement) -> Result<Output> {
    let Statement::Rollback { chain: false, savepoint: None } = statement else {
        return Err(QueryError::not_implemented(format_args!("{statement} is not supported")));
    };
    match session.transaction.take() {
        Some(_) => Ok(success()),
        None => Err(QueryError::transaction("cannot rollback - no transaction is active")),
    }
}

/// `CALL [database.]set_commit_message(author, message [, extra_info => json])`.
pub(crate) async fn call(session: &mut Session, function: Function) -> Result<Output> {
    let name = function.name.0.last().map(ToString::to_string).unwrap_or_default();
    if folded_name(&name) != "set_commit_message" {
        return Err(QueryError::catalog(format_args!("Table Function with name {name} does not exist!")));
    }
    let (expressions, extra) = message_arguments(&function)?;
    let values = crate::time_travel::evaluate(session, &session.snapshot(), expressions.into_iter()).await?;
    let mut texts = Vec::with_capacity(values.len());
    for value in &values {
        match value.try_as_str() {
            Some(text) => texts.push(text.map(str::to_owned)),
            None if value.is_null() => texts.push(None),
            None => return Err(QueryError::binder(format_args!("set_commit_message takes texts, not {value}"))),
        }
    }
    let extra = if extra { texts.pop().flatten() } else { None };
    if let Some(text) = &extra
        && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text)
    {
        return Err(QueryError::conversion(format_args!("Malformed JSON: {error}")));
    }
    let Some(open) = &mut session.transaction else {
        return Err(QueryError::transaction("set_commit_message is for transactions - no transaction is active"));
    };
    let mut texts = texts.into_iter();
    open.info = CommitInfo { author: texts.next().flatten(), message: texts.next().flatten(), extra };
    Ok(success())
}

/// Author, message, and the extra information last if it is there.
fn message_arguments(function: &Function) -> Result<(Vec<Expr>, bool)> {
    let bad =
        || QueryError::binder(format_args!("expected set_commit_message('author', 'message' [, extra_info => json])"));
    let FunctionArguments::List(list) = &function.args else {
        return Err(bad());
    };
    let mut expressions = Vec::new();
    let mut extra = None;
    for argument in &list.args {
        match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => expressions.push(expr.clone()),
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(expr), .. }
                if folded_name(&name.value) == "extra_info" =>
            {
                extra = Some(expr.clone());
            }
            _ => return Err(bad()),
        }
    }
    if expressions.len() != 2 {
        return Err(bad());
    }
    let has_extra = extra.is_some();
    expressions.extend(extra);
    Ok((expressions, has_extra))
}
