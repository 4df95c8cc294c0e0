//! What stands for columns that only planning tells: `COLUMNS(…)`, `* RENAME`, `PIVOT`, `UNPIVOT`, `INTERSECT ALL` and `EXCEPT ALL`, replaced by those columns before a
//! statement is planned.
//!
//! **Invariants**
//! 1. Innermost first: what is planned to learn its columns holds nothing that is still to be replaced.
//! 2. The number of such forms in a statement is bounded, and that of the columns they become.
//!
//! It does not know functions or types: what a form became is checked like any other part of the statement.

mod columns;
mod pivot;
mod sets;

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::arrow::array::RecordBatch;
use datafusion::sql::sqlparser::ast::*;
use futures::TryStreamExt;
use siltstone_storage::{Snapshot, TableName, folded_name, same_name};

use self::columns::{Column, Picked};
use crate::QueryError;
use crate::error::Result;
use crate::names::Defaults;
use crate::session::Session;
use crate::syntax;

/// Most forms in one statement: each takes planning what it stands on.
const FORMS_MAX: usize = 100;
/// Most columns that all forms of a statement stand for, and that a SELECT list becomes.
const COLUMNS_MAX: usize = 10_000;

/// Replaces the forms of a statement.
///
/// # Errors
/// `Binder Error` for forms that fit no columns; those of planning what they stand on.
pub(crate) async fn lower(
    session: &Session,
    snapshot: &Snapshot,
    statement: &mut Statement,
    defaults: &Defaults,
    within: &[TableName],
) -> Result<()> {
    if !holds_forms(statement) {
        return Ok(());
    }
    let mut made = 0;
    for _ in 0..FORMS_MAX {
        let mut finder = Finder::default();
        // What is found ends the visit.
        let _found = Visit::visit(statement, &mut finder);
        let Some((with, form)) = finder.found else {
            return Ok(());
        };
        let surroundings = Surroundings { session, snapshot, defaults, within, with };
        let replacement = match form {
            Form::Factor(factor) => Replacement::Factor(Some(Box::new(pivot::lower(&surroundings, *factor).await?))),
            Form::Sets(left) => {
                let left = syntax::derived(syntax::bare_query(left), syntax::table_alias(Ident::new("\0left")));
                Replacement::Sets(surroundings.columns(vec![syntax::alone(left)]).await?)
            }
            Form::Select { from, calls } => {
                let columns = surroundings.columns(from).await?;
                let mut picked = Vec::with_capacity(calls.len());
                for call in calls {
                    let columns = columns::picked(&surroundings, &call, &columns).await?;
                    made += columns.len();
                    picked.push((call, columns));
                }
                if made > COLUMNS_MAX {
                    return Err(too_many());
                }
                Replacement::Select(columns, picked)
            }
        };
        if let ControlFlow::Break(outcome) = VisitMut::visit(statement, &mut Replacer { replacement }) {
            outcome?;
        }
    }
    Err(QueryError::binder(format_args!(
        "a statement takes up to {FORMS_MAX} times PIVOT, UNPIVOT, COLUMNS, INTERSECT ALL or EXCEPT ALL"
    )))
}

fn too_many() -> QueryError {
    QueryError::binder(format_args!("COLUMNS stands for up to {COLUMNS_MAX} columns in a statement"))
}

/// Whether there is anything to do, which there mostly is not.
fn holds_forms(statement: &Statement) -> bool {
    struct Search;
    impl Visitor for Search {
        type Break = ();

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            stop_if(sets::innermost(&query.body).is_some())
        }

        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            stop_if(matches!(factor, TableFactor::Pivot { .. } | TableFactor::Unpivot { .. }))
        }

        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            stop_if(select.projection.iter().any(columns::is_altered_wildcard))
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            stop_if(columns::is_call(expr))
        }
    }
    Visit::visit(statement, &mut Search).is_break()
}

fn stop_if(found: bool) -> ControlFlow<()> {
    if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// Something to be replaced.
#[derive(Debug)]
enum Form {
    /// `PIVOT` or `UNPIVOT` in a FROM.
    Factor(Box<TableFactor>),
    /// What stands left of an `INTERSECT ALL` or `EXCEPT ALL`.
    Sets(Box<SetExpr>),
    /// A SELECT from these tables, and the different `COLUMNS(…)` in it.
    Select { from: Vec<TableWithJoins>, calls: Vec<Function> },
}

/// What becomes of it.
enum Replacement {
    /// `None` once it is where it belongs.
    Factor(Option<Box<TableFactor>>),
    /// The columns of the left side.
    Sets(Vec<Column>),
    /// The columns of the tables, and which of them each `COLUMNS(…)` stands for.
    Select(Vec<Column>, Vec<(Function, Vec<Picked>)>),
}

/// The first form of a query: the innermost PIVOT of a FROM, else a SELECT with `COLUMNS`. Queries within it have none left.
fn form_of(query: &Query) -> Option<Form> {
    let order = match query.body.as_ref() {
        SetExpr::Select(_) => query.order_by.as_ref(),
        _ => None,
    };
    let in_selects = selects(&query.body).into_iter().find_map(|select| {
        let factors = select.from.iter().flat_map(factors);
        if let Some(factor) = factors.into_iter().find_map(innermost) {
            return Some(Form::Factor(Box::new(factor.clone())));
        }
        let calls = columns::calls_of(select, order);
        let altered = select.projection.iter().any(columns::is_altered_wildcard);
        (altered || !calls.is_empty()).then(|| Form::Select { from: select.from.clone(), calls })
    });
    in_selects.or_else(|| match sets::innermost(&query.body)? {
        SetExpr::SetOperation { left, .. } => Some(Form::Sets(left.clone())),
        _ => None,
    })
}

/// The SELECTs of a query's body, but for those in parentheses, which are queries themselves.
fn selects(body: &SetExpr) -> Vec<&Select> {
    match body {
        SetExpr::Select(select) => vec![select],
        SetExpr::SetOperation { left, right, .. } => [left, right].into_iter().flat_map(|side| selects(side)).collect(),
        _ => Vec::new(),
    }
}

fn selects_mut(body: &mut SetExpr) -> Vec<&mut Select> {
    match body {
        SetExpr::Select(select) => vec![select],
        SetExpr::SetOperation { left, right, .. } => {
            [left, right].into_iter().flat_map(|side| selects_mut(side)).collect()
        }
        _ => Vec::new(),
    }
}

fn factors(tables: &TableWithJoins) -> Vec<&TableFactor> {
    [&tables.relation].into_iter().chain(tables.joins.iter().map(|join| &join.relation)).collect()
}

fn factors_mut(tables: &mut TableWithJoins) -> Vec<&mut TableFactor> {
    [&mut tables.relation].into_iter().chain(tables.joins.iter_mut().map(|join| &mut join.relation)).collect()
}

/// The innermost PIVOT or UNPIVOT at or below a FROM item.
fn innermost(factor: &TableFactor) -> Option<&TableFactor> {
    match factor {
        TableFactor::Pivot { table, .. } | TableFactor::Unpivot { table, .. } => innermost(table).or(Some(factor)),
        TableFactor::NestedJoin { table_with_joins, .. } => factors(table_with_joins).into_iter().find_map(innermost),
        _ => None,
    }
}

fn innermost_mut(factor: &mut TableFactor) -> Option<&mut TableFactor> {
    let is_inner = match factor {
        TableFactor::Pivot { table, .. } | TableFactor::Unpivot { table, .. } => innermost(table).is_none(),
        _ => false,
    };
    if is_inner {
        return Some(factor);
    }
    match factor {
        TableFactor::Pivot { table, .. } | TableFactor::Unpivot { table, .. } => innermost_mut(table),
        TableFactor::NestedJoin { table_with_joins, .. } => {
            factors_mut(table_with_joins).into_iter().find_map(innermost_mut)
        }
        _ => None,
    }
}

/// Finds the first form, innermost queries before those around them, and the CTEs that it sees.
#[derive(Default)]
struct Finder {
    frames: Vec<Frame>,
    found: Option<(Vec<With>, Form)>,
}

/// A query being visited.
struct Frame {
    with: Option<With>,
    /// Addresses of its CTEs' queries, which stay where they are meanwhile.
    ctes: Vec<usize>,
    /// How many of them are behind.
    passed: usize,
}

impl Visitor for Finder {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let ctes = query.with.iter().flat_map(|with| &with.cte_tables);
        let ctes = ctes.map(|cte| std::ptr::from_ref(cte.query.as_ref()) as usize).collect();
        self.frames.push(Frame { with: query.with.clone(), ctes, passed: 0 });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if let Some(form) = form_of(query) {
            self.found = Some((self.frames.iter().filter_map(Frame::visible).collect(), form));
            return ControlFlow::Break(());
        }
        self.frames.pop();
        if let Some(parent) = self.frames.last_mut() {
            parent.passed += usize::from(parent.ctes.contains(&(std::ptr::from_ref(query) as usize)));
        }
        ControlFlow::Continue(())
    }
}

impl Frame {
    /// The CTEs that a form below sees.
    fn visible(&self) -> Option<With> {
        let mut with = self.with.clone()?;
        with.cte_tables.truncate(self.passed);
        (!with.cte_tables.is_empty()).then_some(with)
    }
}

/// Replaces the form that [`Finder`] finds.
struct Replacer {
    replacement: Replacement,
}

impl VisitorMut for Replacer {
    type Break = Result<()>;

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Result<()>> {
        if form_of(query).is_none() {
            return ControlFlow::Continue(());
        }
        ControlFlow::Break(match &mut self.replacement {
            Replacement::Factor(lowered) => {
                let places = selects_mut(&mut query.body).into_iter().flat_map(|select| &mut select.from);
                let place = places.flat_map(factors_mut).find_map(innermost_mut);
                if let (Some(place), Some(lowered)) = (place, lowered.take()) {
                    *place = *lowered;
                }
                Ok(())
            }
            Replacement::Sets(columns) => sets::replace(&mut query.body, columns),
            Replacement::Select(columns, picked) => columns::replace(query, columns, picked),
        })
    }
}

/// What a form is planned in.
struct Surroundings<'a> {
    session: &'a Session,
    snapshot: &'a Snapshot,
    defaults: &'a Defaults,
    within: &'a [TableName],
    /// Outermost first.
    with: Vec<With>,
}

impl Surroundings<'_> {
    /// The columns of all that these tables give.
    async fn columns(&self, from: Vec<TableWithJoins>) -> Result<Vec<Column>> {
        let statement = self.statement(syntax::select(vec![syntax::star()], from, None));
        // Boxed: planning comes back here for views.
        let planned =
            Box::pin(self.session.logical(self.snapshot.clone(), statement, self.defaults, self.within)).await?;
        let schema = planned.plan.schema();
        let shown = planned.names.apply(schema.as_arrow(), &planned.scope.spelling);
        let mut named: HashMap<String, usize> = HashMap::new();
        for (_, field) in schema.iter() {
            *named.entry(folded_name(field.name())).or_default() += 1;
        }
        let columns = schema.iter().zip(shown.fields()).map(|((table, planned_field), field)| Column {
            table: table.map(|table| table.to_vec()).unwrap_or_default(),
            name: field.name().clone(),
            planned: planned_field.name().clone(),
            ambiguous: named.get(&folded_name(planned_field.name())).is_some_and(|count| *count > 1),
        });
        Ok(columns.collect())
    }

    /// The rows of a query.
    async fn rows(&self, select: Select) -> Result<Vec<RecordBatch>> {
        let statement = self.statement(select);
        let planned =
            Box::pin(self.session.plan_in(self.snapshot.clone(), statement, self.defaults, self.within)).await?;
        Ok(planned.execute()?.try_collect().await?)
    }

    /// A query that sees what the form sees. Of CTEs with one name the innermost counts.
    fn statement(&self, select: Select) -> Statement {
        let mut query = syntax::query(select);
        for with in &self.with {
            match &mut query.with {
                None => query.with = Some(with.clone()),
                Some(all) => {
                    let is_hidden = |outer: &Cte| {
                        with.cte_tables.iter().any(|inner| same_name(&inner.alias.name.value, &outer.alias.name.value))
                    };
                    all.cte_tables.retain(|outer| !is_hidden(outer));
                    all.cte_tables.extend(with.cte_tables.iter().cloned());
                    all.recursive |= with.recursive;
                }
            }
        }
        Statement::Query(Box::new(query))
    }
}
