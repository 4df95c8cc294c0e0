//! Times and calls that stand for snapshots: `AT (TIMESTAMP => …)`, `snapshots()`, `table_changes('t', 3, 9)` and the like,
//! replaced by the forms in which tables are read before a statement is planned.
//!
//! **Invariants**
//! 1. Their arguments are evaluated once, on the snapshot that the statement sees.
//! 2. What is left in the statement names tables and snapshots only; anything else is refused here.

use std::ops::ControlFlow;

use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::*;
use futures::StreamExt;
use siltstone_storage::{Snapshot, SnapshotId, folded_name};

use crate::error::Result;
use crate::history::{CURRENT_SNAPSHOT, SNAPSHOTS};
use crate::names::{find_table, parts, unknown_database};
use crate::session::Session;
use crate::syntax::{item, query, select, table_alias};
use crate::table_form::{Asked, TableForm};
use crate::volatile::shown;
use crate::{QueryError, duckdb_catalog};

/// Replaces everything in a statement that stands for a snapshot.
///
/// # Errors
/// `Binder Error` for arguments of the wrong kind; those of evaluating them.
pub(crate) async fn lower(session: &Session, snapshot: &Snapshot, statement: &mut Statement) -> Result<()> {
    let mut found = Found::default();
    if let ControlFlow::Break(error) = VisitMut::visit(statement, &mut found) {
        return Err(error);
    }
    if found.requests.is_empty() {
        return Ok(());
    }
    let values = evaluate(session, snapshot, found.requests.iter().flat_map(Request::arguments)).await?;
    let mut values = values.into_iter();
    let mut lowered = Vec::with_capacity(found.requests.len());
    for request in found.requests {
        let arguments: Vec<ScalarValue> = values.by_ref().take(request.arguments().count()).collect();
        lowered.push(request.lower(session, snapshot, &arguments)?);
    }
    match VisitMut::visit(statement, &mut Replacement { lowered }) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// Something that stands for a snapshot or for several.
#[derive(Clone, Debug)]
enum Request {
    Version(Expr),
    Time(Expr),
    /// `[database.]snapshots()`, `[database.]current_snapshot()`: the query it stands for.
    Listing(Option<String>, &'static str),
    /// `pragma_table_info(table)`.
    TableInfo(Expr),
    /// `[database.]table_changes(table, from, to)`.
    Changes(Option<String>, Asked, Box<[Expr; 3]>),
}

/// What it becomes.
#[derive(Debug)]
enum Lowered {
    Form(TableForm),
    /// A table other than the one named.
    Table(Vec<String>, TableForm),
    Query(Box<Query>),
}

impl Request {
    fn of(factor: &TableFactor) -> Result<Option<Self>> {
        let TableFactor::Table { name, args, version, .. } = factor else {
            return Ok(None);
        };
        match (args, version) {
            (Some(args), None) => Self::of_call(name, args),
            (None, Some(version)) => Self::of_version(version),
            (Some(_), Some(version)) => Err(QueryError::binder(format_args!("only tables have versions: {version}"))),
            (None, None) => Ok(None),
        }
    }

    fn of_version(version: &TableVersion) -> Result<Option<Self>> {
        match version {
            // A plain number, and what is lowered already.
            TableVersion::VersionAsOf(_) => Ok(None),
            TableVersion::TimestampAsOf(time) | TableVersion::ForSystemTimeAsOf(time) => {
                Ok(Some(Self::Time(time.clone())))
            }
            TableVersion::Function(Expr::Function(function)) => Self::of_at(function).map(Some),
            other => Err(QueryError::not_implemented(format_args!("{other} is not supported"))),
        }
    }

    fn of_at(function: &Function) -> Result<Self> {
        let bad =
            || QueryError::binder(format_args!("expected AT (VERSION => n) or AT (TIMESTAMP => t), found {function}"));
        let FunctionArguments::List(list) = &function.args else {
            return Err(bad());
        };
        let [argument] = list.args.as_slice() else {
            return Err(bad());
        };
        let (name, value) = named(argument).ok_or_else(bad)?;
        match (folded_name(&function.name.to_string()).as_str(), name.as_str()) {
            ("at", "version") => Ok(Self::Version(value.clone())),
            ("at", "timestamp") => Ok(Self::Time(value.clone())),
            _ => Err(bad()),
        }
    }

    fn of_table_info(args: &TableFunctionArgs) -> Result<Self> {
        match args.args.as_slice() {
            [table] => Ok(Self::TableInfo(positional(table)?)),
            _ => Err(QueryError::binder("expected pragma_table_info('table')")),
        }
    }

    /// `None`: a table function that is not ours.
    fn of_call(name: &ObjectName, args: &TableFunctionArgs) -> Result<Option<Self>> {
        let parts = parts(name)?;
        let Some((function, qualifiers)) = parts.split_last() else {
            return Ok(None);
        };
        let function = folded_name(function);
        let asked = match function.as_str() {
            "table_changes" => Some(Asked::Changes),
            "table_insertions" => Some(Asked::Insertions),
            "table_deletions" => Some(Asked::Deletions),
            "snapshots" | "current_snapshot" => None,
            "pragma_table_info" => return Self::of_table_info(args).map(Some),
            _ if duckdb_catalog::function(&function).is_some() => None,
            _ => return Ok(None),
        };
        let database = match qualifiers {
            [] => None,
            [database] => Some((*database).to_owned()),
            _ => return Err(QueryError::binder(format_args!("expected database.{function}(…), found {name}"))),
        };
        match (asked, args.args.as_slice()) {
            (None, []) if function == "snapshots" => Ok(Some(Self::Listing(database, SNAPSHOTS))),
            (None, []) => {
                let sql = duckdb_catalog::function(&function).unwrap_or(CURRENT_SNAPSHOT);
                Ok(Some(Self::Listing(database, sql)))
            }
            (Some(asked), [table, from, to]) => {
                let arguments = [positional(table)?, positional(from)?, positional(to)?];
                Ok(Some(Self::Changes(database, asked, Box::new(arguments))))
            }
            (None, _) => Err(QueryError::binder(format_args!("{function}() takes no arguments"))),
            (Some(_), _) => Err(QueryError::binder(format_args!("expected {function}('table', from, to)"))),
        }
    }

    fn arguments(&self) -> impl Iterator<Item = Expr> {
        let arguments = match self {
            Self::Version(expr) | Self::Time(expr) | Self::TableInfo(expr) => std::slice::from_ref(expr),
            Self::Listing(..) => &[],
            Self::Changes(_, _, arguments) => arguments.as_slice(),
        };
        arguments.iter().cloned()
    }

    /// What this becomes, given the values of its arguments.
    fn lower(self, session: &Session, snapshot: &Snapshot, arguments: &[ScalarValue]) -> Result<Lowered> {
        Ok(match (self, arguments) {
            (Self::Version(_), [id]) => Lowered::Form(TableForm::At(whole_number(id)?)),
            (Self::Time(_), [time]) => Lowered::Form(TableForm::At(at_time(time, snapshot, session.zone()?)?)),
            (Self::Listing(database, sql), []) => {
                if let Some(database) = database.filter(|database| snapshot.catalog().database(database).is_none()) {
                    return Err(unknown_database(&database));
                }
                Lowered::Query(crate::dialect::parse_query(sql)?)
            }
            (Self::TableInfo(_), [table]) => Lowered::Query(table_info(session, snapshot, table)?),
            (Self::Changes(database, asked, _), [table, from, to]) => {
                let (from, to) = (bound(from, snapshot, session.zone()?)?, bound(to, snapshot, session.zone()?)?);
                if from > to {
                    return Err(QueryError::binder(format_args!("the first snapshot is after the last: {from}, {to}")));
                }
                let name = database.into_iter().chain(table_name(table)?).collect();
                Lowered::Table(name, TableForm::Changes { from, to, asked })
            }
            _ => return Err(QueryError::internal("a call without its arguments")),
        })
    }
}

/// What `pragma_table_info` stands for, given its argument.
fn table_info(session: &Session, snapshot: &Snapshot, table: &ScalarValue) -> Result<Box<Query>> {
    let parts = table_name(table)?;
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let found = find_table(snapshot.catalog(), &session.defaults, &parts)?;
    let [database, schema, name] = found.full_name();
    let [database, schema, name] = [shown(database), schema, name].map(|part| folded_name(part).replace('\'', "''"));
    crate::dialect::parse_query(&format!(
        "SELECT cid, name, type, \"notnull\", dflt_value, pk FROM information_schema.{} \
         WHERE database_name = '{database}' AND schema_name = '{schema}' AND table_name = '{name}' ORDER BY cid",
        duckdb_catalog::TABLE_INFO
    ))
}

/// The name and the value of `name => value`.
fn named(argument: &FunctionArg) -> Option<(String, &Expr)> {
    match argument {
        FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } => Some((folded_name(&name.value), value)),
        FunctionArg::ExprNamed { name, arg: FunctionArgExpr::Expr(value), .. } => {
            Some((folded_name(&name.to_string()), value))
        }
        _ => None,
    }
}

fn positional(argument: &FunctionArg) -> Result<Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(expr.clone()),
        other => Err(QueryError::binder(format_args!("expected a value, found {other}"))),
    }
}

/// The values of expressions without columns.
pub(crate) async fn evaluate(
    session: &Session,
    snapshot: &Snapshot,
    expressions: impl Iterator<Item = Expr>,
) -> Result<Vec<ScalarValue>> {
    let items: Vec<SelectItem> =
        expressions.enumerate().map(|(i, expr)| item(expr, &format!("\0argument {i}"))).collect();
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let statement = Statement::Query(Box::new(query(select(items, Vec::new(), None))));
    // Boxed: planning comes back here for calls within the arguments.
    let planned = Box::pin(session.plan_in(snapshot.clone(), statement, &session.defaults, &[])).await?;
    let mut rows = planned.execute()?;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        if batch.num_rows() > 0 {
            let values = batch.columns().iter().map(|column| ScalarValue::try_from_array(column, 0));
            return Ok(values.collect::<Result<_, _>>()?);
        }
    }
    Err(QueryError::internal("an expression has no value"))
}

fn whole_number(value: &ScalarValue) -> Result<SnapshotId> {
    let bad = || QueryError::binder(format_args!("a table version is a whole number, not {value}"));
    if !value.data_type().is_integer() {
        return Err(bad());
    }
    match value.cast_to(&DataType::UInt64).map_err(|_| bad())? {
        ScalarValue::UInt64(Some(id)) => Ok(SnapshotId(id)),
        _ => Err(bad()),
    }
}

/// The last snapshot made up to a point in time; text and times without a zone are taken in the session's.
fn at_time(value: &ScalarValue, snapshot: &Snapshot, zone: Tz) -> Result<SnapshotId> {
    let bad = || QueryError::binder(format_args!("expected a point in time, found {value}"));
    let is_time = matches!(value.data_type(), DataType::Timestamp(..) | DataType::Date32 | DataType::Date64);
    if value.is_null() || !(is_time || value.data_type().is_string()) {
        return Err(bad());
    }
    let target = DataType::Timestamp(TimeUnit::Microsecond, Some(zone.to_string().into()));
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let time = cast_with_options(&value.to_array()?, &target, &strict)?;
    let time = time.as_primitive_opt::<TimestampMicrosecondType>().filter(|time| time.is_valid(0)).ok_or_else(bad)?;
    Ok(snapshot.snapshot_at(time.value(0))?)
}

fn bound(value: &ScalarValue, snapshot: &Snapshot, zone: Tz) -> Result<SnapshotId> {
    if value.data_type().is_integer() { whole_number(value) } else { at_time(value, snapshot, zone) }
}

/// The parts of a table's name given as text, quoted or not.
fn table_name(value: &ScalarValue) -> Result<Vec<String>> {
    match value.try_as_str() {
        Some(Some(text)) => crate::dialect::parse_name(text),
        _ => Err(QueryError::binder(format_args!("expected the name of a table, found {value}"))),
    }
}

/// First walk: takes what there is to lower out of the statement, and leaves its number.
#[derive(Default)]
struct Found {
    requests: Vec<Request>,
}

impl VisitorMut for Found {
    type Break = QueryError;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<QueryError> {
        let request = match Request::of(factor) {
            Ok(Some(Request::Version(expr))) if is_plain_number(&expr) => {
                if let TableFactor::Table { version, .. } = factor {
                    *version = Some(TableVersion::VersionAsOf(expr));
                }
                return ControlFlow::Continue(());
            }
            Ok(Some(request)) => request,
            Ok(None) => return ControlFlow::Continue(()),
            Err(error) => return ControlFlow::Break(error),
        };
        if let TableFactor::Table { args, version, .. } = factor {
            let number = Value::Placeholder(self.requests.len().to_string());
            *version = Some(TableVersion::VersionAsOf(Expr::Value(number.into())));
            *args = None;
        }
        self.requests.push(request);
        ControlFlow::Continue(())
    }
}

/// What needs no evaluation.
fn is_plain_number(expr: &Expr) -> bool {
    let Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. }) = expr else {
        return false;
    };
    digits.parse::<u64>().is_ok()
}

/// Second walk: puts what it became in the place of each number.
struct Replacement {
    lowered: Vec<Lowered>,
}

impl VisitorMut for Replacement {
    type Break = QueryError;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<QueryError> {
        let TableFactor::Table { name, alias, version, .. } = factor else {
            return ControlFlow::Continue(());
        };
        let Some(lowered) = number(version.as_ref()).and_then(|number| self.lowered.get(number)) else {
            return ControlFlow::Continue(());
        };
        if let (Lowered::Table(..) | Lowered::Query(_), None) = (lowered, &alias)
            && let Some(ObjectNamePart::Identifier(function)) = name.0.last()
        {
            *alias = Some(table_alias(function.clone()));
        }
        match lowered {
            Lowered::Form(form) => *version = Some(form.version()),
            Lowered::Table(table, form) => {
                *name = ObjectName::from(table.iter().map(Ident::new).collect::<Vec<_>>());
                *version = Some(form.version());
            }
            Lowered::Query(query) => {
                let (subquery, alias) = (query.clone(), alias.take());
                *factor = TableFactor::Derived { lateral: false, subquery, alias, sample: None };
            }
        }
        ControlFlow::Continue(())
    }
}

fn number(version: Option<&TableVersion>) -> Option<usize> {
    match version? {
        TableVersion::VersionAsOf(Expr::Value(ValueWithSpan { value: Value::Placeholder(number), .. })) => {
            number.parse().ok()
        }
        _ => None,
    }
}
