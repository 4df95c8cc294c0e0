//! SQL looked at without being run: is it right, what would it read, how could it go on.
//!
//! **Invariants**
//! 1. Nothing is read from tables and nothing is changed: while a session is only checking, plans are replaced by empty ones after they were
//!    made, and changes are dropped after they were decided.
//! 2. Statements that touch more than tables and settings are only parsed.

use std::sync::Arc;

use datafusion::physical_plan::ExecutionPlan;
use datafusion::sql::sqlparser::ast::Statement;

use crate::completion::{self, Suggestion};
use crate::dialect::Parsed;
use crate::error::Result;
use crate::lake_syntax::LakeStatement;
use crate::scan_exec::ScanExec;
use crate::session::Session;
use crate::vocabulary::SessionVocabulary;
use crate::{QueryError, dialect, statement};

/// What a query would read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explained {
    /// One for each scan of a stored table.
    pub scans: Vec<ScanEstimate>,
    /// The plan.
    pub plan: Option<PlanNode>,
}

/// What one scan would read of its table. Row groups are what is read or skipped as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanEstimate {
    /// `database.schema.table`.
    pub table: String,
    /// Rows expected to be read.
    pub rows: u64,
    /// Conditions that the scan applies, as SQL.
    pub filters: Vec<String>,
    /// Row groups of the table.
    pub row_groups: u64,
    /// Bytes that its needed columns take.
    pub bytes: u64,
    /// Row groups that cannot be skipped.
    pub row_groups_read: u64,
    /// Bytes of their needed columns.
    pub bytes_read: u64,
}

/// A step of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanNode {
    /// What it is.
    pub name: String,
    /// How it works.
    pub detail: String,
    /// Where its rows come from.
    pub children: Vec<PlanNode>,
}

/// Checks syntax, names and types of all statements up to the first that changes what exists; the rest is only parsed.
///
/// # Errors
/// The first fault.
pub(crate) async fn validate(session: &mut Session, sql: &str) -> Result<()> {
    let statements = dialect::parse(sql)?;
    if statements.is_empty() {
        return Err(QueryError::parser("there is no statement"));
    }
    session.checking = true;
    for parsed in statements {
        match scrutiny(&parsed) {
            Scrutiny::Parsed => {}
            Scrutiny::Bound => drop(statement::run(session, parsed).await?),
            Scrutiny::BoundAsTheLast => {
                drop(statement::run(session, parsed).await?);
                break;
            }
        }
    }
    Ok(())
}

/// How closely a statement is looked at.
enum Scrutiny {
    Parsed,
    Bound,
    /// Those after it may name what it makes.
    BoundAsTheLast,
}

fn scrutiny(parsed: &Parsed) -> Scrutiny {
    let statement = match parsed {
        Parsed::Plain(statement) => statement,
        Parsed::Lake(statement) if matches!(statement.as_ref(), LakeStatement::Copy(_)) => return Scrutiny::Bound,
        Parsed::CreateView(..) | Parsed::Lake(_) => return Scrutiny::BoundAsTheLast,
        Parsed::InsertByName(_) | Parsed::Merge(_) => return Scrutiny::Bound,
    };
    match statement.as_ref() {
        Statement::Query(_)
        | Statement::Insert(_)
        | Statement::Update(_)
        | Statement::Delete(_)
        | Statement::Truncate(_)
        | Statement::Explain { .. }
        | Statement::ExplainTable { .. }
        | Statement::ShowTables { .. }
        | Statement::ShowVariable { .. }
        | Statement::CreateIndex(_)
        | Statement::Set(_)
        | Statement::Use(_) => Scrutiny::Bound,
        Statement::CreateTable(_)
        | Statement::CreateSchema { .. }
        | Statement::CreateDatabase { .. }
        | Statement::AttachDuckDBDatabase { .. }
        | Statement::DetachDuckDBDatabase { .. }
        | Statement::Drop { .. }
        | Statement::AlterTable(_) => Scrutiny::BoundAsTheLast,
        _ => Scrutiny::Parsed,
    }
}

/// Says what a single query would read. Other statements are checked and read nothing.
///
/// # Errors
/// If the statement is wrong.
pub(crate) async fn explain(session: &mut Session, sql: &str) -> Result<Explained> {
    let mut statements = dialect::parse(sql)?;
    let single = if statements.len() == 1 { statements.pop() } else { None };
    let Some(Parsed::Plain(statement)) = single else {
        validate(session, sql).await?;
        return Ok(Explained::default());
    };
    let query = match *statement {
        Statement::Explain { statement, .. } => *statement,
        other => other,
    };
    let Statement::Query(inner) = &query else {
        validate(session, sql).await?;
        return Ok(Explained::default());
    };
    statement::check_is_query(&inner.body)?;
    let planned = session.plan(session.snapshot(), query).await?;
    let mut scans = Vec::new();
    let plan = node(&planned.plan, &mut scans);
    Ok(Explained { scans, plan: Some(plan) })
}

fn node(plan: &Arc<dyn ExecutionPlan>, scans: &mut Vec<ScanEstimate>) -> PlanNode {
    if let Some(scan) = plan.downcast_ref::<ScanExec>() {
        scans.push(scan.estimate());
    }
    let text = datafusion::physical_plan::displayable(plan.as_ref()).one_line().to_string();
    let detail = text.trim_end().split_once(": ").map_or("", |(_, detail)| detail).to_owned();
    let children = plan.children().into_iter().map(|child| node(child, scans)).collect();
    PlanNode { name: plan.name().to_owned(), detail, children }
}

/// The best suggestions for the end of an unfinished text.
pub(crate) fn complete(session: &Session, text: &str, max: usize) -> Vec<Suggestion> {
    completion::complete(text, max, &SessionVocabulary::new(session))
}
