//! MERGE: one join of the table and the source says for each row which clause it falls under and what its values would be.
//!
//! **Invariants**: every row falls under the first clause that is for its kind and whose condition holds, or under none.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::compute::kernels::cmp::eq;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Join, JoinConstraint, JoinOperator, Select, Statement, TableFactor, TableWithJoins, Value,
};
use futures::StreamExt;
use siltstone_storage::{Change, Engine, Snapshot, Table};

use super::assignments::{self, NewRow};
use super::rows::Rows;
use super::target::{Picked, Target};
use super::update::pick_fresh;
use super::{Count, RowChanges};
use crate::QueryError;
use crate::error::Result;
use crate::merge_syntax::{Action, Clause, Merge, On, Values, When};
use crate::names::parts;
use crate::session::{PlannedQuery, Session};
use crate::syntax;
use crate::table_provider::ADDRESS;

/// A column of the source that is never NULL, so that a row without a source row can be told.
const SOURCE_MARK: &str = "\0source";
/// The number of the clause that a row falls under.
const CLAUSE: &str = "\0clause";
/// Columns of the join before those of the clauses: the address and the clause.
const LEADING: usize = 2;

/// What is done with the rows of a clause.
enum Deed {
    Update(NewRow),
    Insert(NewRow),
    Delete,
    Nothing,
    Fail(Option<Box<Expr>>),
}

pub(super) async fn plan(session: &Session, snapshot: Snapshot, merge: &Merge) -> Result<RowChanges> {
    let target = Target::of(session, &snapshot, &merge.target)?;
    let source = Source::of(session, &snapshot, merge).await?;
    let mut deeds = Vec::with_capacity(merge.clauses.len());
    for clause in &merge.clauses {
        deeds.push(source.deed(&target, &clause.action)?);
    }
    let select = join(&target, &source, merge, &deeds);
    let planned = session.plan(snapshot, Statement::Query(Box::new(syntax::query(select)))).await?;
    run(&session.core.engine, &target, deeds, planned).await
}

/// The source of a merge.
struct Source {
    alias: Ident,
    /// How the join reads it: with [`SOURCE_MARK`].
    factor: TableFactor,
    /// Its columns, if a clause takes them all.
    columns: Vec<String>,
}

impl Source {
    async fn of(session: &Session, snapshot: &Snapshot, merge: &Merge) -> Result<Self> {
        let alias = match &merge.source {
            TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
                alias.name.clone()
            }
            TableFactor::Table { name, .. } => Ident::with_quote('"', parts(name)?.last().copied().unwrap_or_default()),
            TableFactor::Derived { .. } => Ident::new("\0merged"),
            other => return Err(QueryError::not_implemented(format_args!("MERGE using {other} is not supported"))),
        };
        let mut inner = merge.source.clone();
        if let TableFactor::Derived { alias: missing @ None, .. } = &mut inner {
            *missing = Some(syntax::table_alias(alias.clone()));
        }
        let takes_all = |clause: &Clause| {
            matches!(
                clause.action,
                Action::Update(Values::ByName | Values::ByPosition)
                    | Action::Insert(Values::ByName | Values::ByPosition)
            )
        };
        let columns = if merge.clauses.iter().any(takes_all) {
            let all = syntax::select(vec![syntax::star()], vec![syntax::alone(inner.clone())], None);
            let planned = session.plan(snapshot.clone(), Statement::Query(Box::new(syntax::query(all)))).await?;
            planned.schema.fields().iter().map(|field| field.name().clone()).collect()
        } else {
            Vec::new()
        };
        let marked = vec![syntax::star(), syntax::item(syntax::yes(), SOURCE_MARK)];
        let marked = syntax::query(syntax::select(marked, vec![syntax::alone(inner)], None));
        let factor = syntax::derived(marked, syntax::table_alias(alias.clone()));
        Ok(Self { alias, factor, columns })
    }

    fn column(&self, name: &str) -> Expr {
        syntax::column(&self.alias, name)
    }

    fn deed(&self, target: &Target, action: &Action) -> Result<Deed> {
        let table = &target.table;
        Ok(match action {
            Action::Nothing => Deed::Nothing,
            Action::Delete => Deed::Delete,
            Action::Error(text) => Deed::Fail(text.clone()),
            Action::Update(Values::Assigned(set)) => {
                Deed::Update(assignments::updated(target, assignments::of_set(table, &target.alias, set)?))
            }
            Action::Update(values) => Deed::Update(assignments::updated(target, self.values(table, values)?)),
            Action::Insert(values) => Deed::Insert(assignments::inserted(table, self.values(table, values)?)),
        })
    }

    /// Columns of the table and the values they get.
    fn values(&self, table: &Table, values: &Values) -> Result<Vec<(siltstone_storage::Column, Expr)>> {
        let names = || self.columns.iter().map(String::as_str);
        let own = || names().map(|name| self.column(name)).collect();
        match values {
            Values::Defaults => Ok(Vec::new()),
            Values::ByPosition => assignments::pair(table, table.schema().columns().to_vec(), own()),
            Values::ByName => assignments::pair(table, assignments::of_names(table, names())?, own()),
            Values::Listed { columns, values } => {
                let columns = assignments::of_names(table, columns.iter().map(|ident| ident.value.as_str()))?;
                assignments::pair(table, columns, values.clone())
            }
            Values::Assigned(_) => Err(QueryError::internal("INSERT takes no SET")),
        }
    }
}

/// `SELECT address, clause, values… FROM target JOIN source ON … WHERE clause IS NOT NULL`.
fn join(target: &Target, source: &Source, merge: &Merge, deeds: &[Deed]) -> Select {
    let clause = clause_number(target, source, merge, deeds);
    let mut items = vec![target.address(), syntax::item(clause.clone(), CLAUSE)];
    for (number, deed) in deeds.iter().enumerate() {
        // Evaluated for the clause's own rows only: for others it may fail.
        let falls_under = syntax::equal(Expr::Nested(Box::new(clause.clone())), syntax::number(number));
        for (i, value) in deed.values().into_iter().enumerate() {
            let value = syntax::case(vec![(falls_under.clone(), value)]);
            items.push(syntax::item(value, &format!("\0value {number} {i}")));
        }
    }
    let constraint = JoinConstraint::On(match &merge.on {
        On::Condition(condition) => condition.as_ref().clone(),
        On::Using(columns) => {
            let equal = |column: &Ident| syntax::equal(target.column(&column.value), source.column(&column.value));
            columns.iter().map(equal).reduce(syntax::and).unwrap_or_else(syntax::yes)
        }
    });
    let has = |when: When| merge.clauses.iter().any(|clause| clause.when == when);
    let join_operator = match (has(When::NotMatchedByTarget), has(When::NotMatchedBySource)) {
        (true, true) => JoinOperator::FullOuter(constraint),
        (true, false) => JoinOperator::RightOuter(constraint),
        (false, true) => JoinOperator::LeftOuter(constraint),
        (false, false) => JoinOperator::Inner(constraint),
    };
    let joins = vec![Join { relation: source.factor.clone(), global: false, join_operator }];
    let from = vec![TableWithJoins { relation: target.factor.clone(), joins }];
    syntax::select(items, from, Some(Expr::IsNotNull(Box::new(clause))))
}

/// The number of the first clause for a row; NULL if there is none, or nothing is to be done.
fn clause_number(target: &Target, source: &Source, merge: &Merge, deeds: &[Deed]) -> Expr {
    let stored = || Box::new(target.column(ADDRESS));
    let given = || Box::new(source.column(SOURCE_MARK));
    let conditions = merge.clauses.iter().zip(deeds).enumerate().map(|(number, (clause, deed))| {
        let kind = match clause.when {
            When::Matched => syntax::and(Expr::IsNotNull(stored()), Expr::IsNotNull(given())),
            When::NotMatchedByTarget => Expr::IsNull(stored()),
            When::NotMatchedBySource => Expr::IsNull(given()),
        };
        let condition = match &clause.condition {
            Some(condition) => syntax::and(kind, condition.clone()),
            None => kind,
        };
        let result = match deed {
            Deed::Nothing => Expr::Value(Value::Null.into()),
            _ => syntax::number(number),
        };
        (condition, result)
    });
    syntax::case(conditions.collect())
}

impl Deed {
    fn values(&self) -> Vec<Expr> {
        match self {
            Self::Update(row) | Self::Insert(row) => row.values.clone(),
            Self::Fail(Some(text)) => vec![text.as_ref().clone()],
            Self::Delete | Self::Nothing | Self::Fail(None) => Vec::new(),
        }
    }
}

/// A clause's rows as they come.
struct Sink {
    /// Where its values start among the columns of the join.
    first: usize,
    width: usize,
    fills: Fills,
}

enum Fills {
    Updated(Rows),
    Inserted(Rows),
    Deleted,
    Failed,
}

impl Sink {
    fn all(engine: &Engine, deeds: Vec<Deed>, planned: &PlannedQuery) -> Result<Vec<Self>> {
        let mut sinks = Vec::with_capacity(deeds.len());
        let mut first = LEADING;
        for deed in deeds {
            let width = deed.values().len();
            let fills = match deed {
                Deed::Update(row) => Fills::Updated(Rows::new(engine, row.target, planned)?),
                Deed::Insert(row) => Fills::Inserted(Rows::new(engine, row.target, planned)?),
                // Rows with nothing to do do not come.
                Deed::Delete | Deed::Nothing => Fills::Deleted,
                Deed::Fail(_) => Fills::Failed,
            };
            sinks.push(Self { first, width, fills });
            first += width;
        }
        Ok(sinks)
    }

    fn values<'a>(&self, batch: &'a RecordBatch) -> &'a [ArrayRef] {
        &batch.columns()[self.first..self.first + self.width]
    }

    async fn take(&mut self, batch: RecordBatch, picked: &mut Picked<'_>) -> Result<()> {
        let fresh = match self.fills {
            Fills::Updated(_) | Fills::Deleted => pick_fresh(picked, batch)?,
            Fills::Inserted(_) => batch,
            Fills::Failed => return Err(failed(self.values(&batch))),
        };
        let values = self.values(&fresh);
        match &mut self.fills {
            Fills::Updated(rows) | Fills::Inserted(rows) => rows.push(values, fresh.num_rows()).await,
            Fills::Deleted | Fills::Failed => Ok(()),
        }
    }
}

fn failed(values: &[ArrayRef]) -> QueryError {
    let text = values.first().and_then(|values| array_value_to_string(values, 0).ok());
    let text = text.map(|text| format!(": {text}")).unwrap_or_default();
    QueryError::constraint(format_args!("Merge error condition{text}"))
}

async fn run(engine: &Engine, target: &Target, deeds: Vec<Deed>, planned: PlannedQuery) -> Result<RowChanges> {
    let mut sinks = Sink::all(engine, deeds, &planned)?;
    let mut picked = Picked::new(&target.rows);
    let mut stream = planned.execute()?;
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        for (number, sink) in (0..).zip(&mut sinks) {
            let rows = rows_of(&batch, number)?;
            if rows.num_rows() > 0 {
                sink.take(rows, &mut picked).await?;
            }
        }
    }
    let mut count = picked.len();
    let mut changes = Vec::new();
    if picked.len() > 0 {
        changes.push(Change::Delete(picked.into_row_set()));
    }
    for sink in sinks {
        let rows = match sink.fills {
            Fills::Inserted(rows) => {
                count += rows.len();
                rows
            }
            Fills::Updated(rows) => rows,
            Fills::Deleted | Fills::Failed => continue,
        };
        changes.extend(rows.into_changes().await?);
    }
    Ok(RowChanges { table: Arc::clone(&target.table), changes, count: Count::Known(count) })
}

/// The rows that fall under a clause.
fn rows_of(batch: &RecordBatch, clause: i64) -> Result<RecordBatch> {
    let numbers = batch.column(LEADING - 1);
    let Some(numbers) = numbers.as_primitive_opt::<Int64Type>() else {
        // No clause does anything: NULLs without a type.
        return Ok(batch.slice(0, 0));
    };
    let mask: BooleanArray = eq(numbers, &Int64Array::new_scalar(clause))?;
    if mask.null_count() == 0 && mask.true_count() == batch.num_rows() {
        return Ok(batch.clone());
    }
    Ok(filter_record_batch(batch, &mask)?)
}
