//! Views: made, renamed and dropped as changes of a commit, and planned where a statement names them.
//!
//! A view is the text of its query. A statement that names views has them planned first, each on the statement's snapshot with the
//! names of the view's own home; the catalog then gives the plan where it would give a table.
//!
//! **Invariants**
//! 1. A view shows what its query would show now: columns that its tables got since are there if it says `*`.
//! 2. No view leads back to itself, and the plan of one stays within bounds, however they are stacked.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::ViewTable;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{
    CreateTableOptions, CreateView, Ident, ObjectName, Query, Statement, TableFactor, Visit, Visitor,
};
use siltstone_storage::{Catalog, Change, ErrorKind, Snapshot, TableName, View, ViewColumn, folded_name, same_name};

use crate::ddl::{missing_schema, table_name};
use crate::dml::conflict;
use crate::error::Result;
use crate::names::{Defaults, Spelling, Target, find_table, parts};
use crate::session::Session;
use crate::statement::{changed_nothing, check_is_query};
use crate::volatile::{is_temp, visible};
use crate::{Output, QueryError};

/// Most views within views.
const DEPTH_MAX: usize = 32;
/// Most steps of one view's plan, with those of the views in it.
const STEPS_MAX: usize = 2000;

/// The views a statement names, planned.
#[derive(Debug, Default)]
pub(crate) struct ViewPlans(HashMap<TableName, PlannedView>);

#[derive(Debug)]
struct PlannedView {
    plan: LogicalPlan,
    /// What its columns are called.
    names: Vec<String>,
    /// How many operators it has.
    steps: usize,
    query: String,
}

impl ViewPlans {
    /// Names of all their columns.
    pub(crate) fn column_names(&self) -> impl Iterator<Item = &str> {
        self.0.values().flat_map(|view| &view.names).map(String::as_str)
    }

    /// What a name stands for, in operators: a view's, or one.
    pub(crate) fn steps(&self, catalog: &Catalog, defaults: &Defaults, name: &ObjectName) -> usize {
        let Some(parts) = parts(name).ok() else { return 1 };
        match find_table(catalog, defaults, &parts) {
            Ok(Target::View(view)) => self.0.get(&view.name).map_or(1, |planned| planned.steps),
            _ => 1,
        }
    }

    /// A view as a table whose columns are spelled as the statement spells them.
    pub(crate) fn table(
        &self,
        name: &TableName,
        spelling: &Spelling,
    ) -> datafusion::error::Result<Option<Arc<ViewTable>>> {
        let Some(view) = self.0.get(name) else { return Ok(None) };
        let columns = view.plan.schema().columns().into_iter().zip(&view.names);
        let items = columns.map(|(column, name)| Expr::Column(column).alias(spelling.of(name)));
        let plan = LogicalPlanBuilder::from(view.plan.clone()).project(items.collect::<Vec<_>>())?.build()?;
        Ok(Some(Arc::new(ViewTable::new(plan, Some(view.query.clone())))))
    }
}

/// Plans the views that a statement names; `within` are those being planned already, outermost first.
///
/// # Errors
/// `Binder Error` for a view that leads back to itself; those of planning it.
pub(crate) async fn plan_named(
    session: &Session,
    snapshot: &Snapshot,
    statement: &Statement,
    defaults: &Defaults,
    within: &[TableName],
) -> Result<ViewPlans> {
    let mut plans = ViewPlans::default();
    for view in named(snapshot.catalog(), statement, defaults) {
        if !plans.0.contains_key(&view.name) {
            let planned = plan(session, snapshot, &view, within).await?;
            plans.0.insert(view.name.clone(), planned);
        }
    }
    Ok(plans)
}

/// The views a statement names. A CTE hides a view of the same name.
fn named(catalog: &Catalog, statement: &Statement, defaults: &Defaults) -> Vec<Arc<View>> {
    let mut names = Names::default();
    // Nothing in it fails.
    let _never_broken = Visit::visit(statement, &mut names);
    let is_cte = |parts: &[&str]| parts.len() == 1 && names.ctes.contains(&folded_name(parts[0]));
    let found = names.tables.iter().filter_map(|name| {
        let parts = parts(name).ok().filter(|parts| !is_cte(parts))?;
        match find_table(catalog, defaults, &parts).ok()? {
            Target::View(view) => Some(Arc::clone(view)),
            _ => None,
        }
    });
    found.collect()
}

#[derive(Default)]
struct Names {
    ctes: HashSet<String>,
    tables: Vec<ObjectName>,
}

impl Visitor for Names {
    type Break = Infallible;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Infallible> {
        let ctes = query.with.iter().flat_map(|with| &with.cte_tables);
        self.ctes.extend(ctes.map(|cte| folded_name(&cte.alias.name.value)));
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Infallible> {
        if let TableFactor::Table { name, args: None, .. } = factor {
            self.tables.push(name.clone());
        }
        ControlFlow::Continue(())
    }
}

async fn plan(session: &Session, snapshot: &Snapshot, view: &View, within: &[TableName]) -> Result<PlannedView> {
    if within.contains(&view.name) || within.len() >= DEPTH_MAX {
        return Err(QueryError::binder(format_args!(
            "infinite recursion detected: attempting to recursively bind view \"{}\"",
            view.name.table
        )));
    }
    let mut within = within.to_vec();
    within.push(view.name.clone());
    let statement = Statement::Query(crate::dialect::parse_query(&view.query)?);
    let home = Defaults { database: view.home_database.clone(), schema: view.home_schema.clone() };
    // It shows the same whoever looks: no temporary tables.
    let snapshot = visible(snapshot.clone(), None);
    // Boxed: planning comes back here for views within the view.
    let logical = Box::pin(session.logical(snapshot, statement, &home, &within)).await?;
    let schema = logical.names.apply(logical.plan.schema().as_arrow(), &logical.scope.spelling);
    if view.columns_named && schema.fields().len() < view.columns.len() {
        return Err(QueryError::binder("Contents of view were altered: it has fewer columns than names"));
    }
    let steps = check_steps(&logical.plan, &view.name)?;
    let mut names: Vec<String> = Vec::with_capacity(schema.fields().len());
    for (place, field) in schema.fields().iter().enumerate() {
        let given = view.columns.get(place).filter(|_| view.columns_named).map(|column| &column.name);
        names.push(unused(&names, given.unwrap_or_else(|| field.name())));
    }
    Ok(PlannedView { plan: logical.plan, names, steps, query: view.query.clone() })
}

/// The name, with a number behind it if another column has it already, as in DuckDB.
pub(crate) fn unused<S: AsRef<str>>(taken: &[S], wanted: &str) -> String {
    let mut name = wanted.to_owned();
    let mut repeat = 0;
    while taken.iter().any(|other| same_name(other.as_ref(), &name)) {
        repeat += 1;
        name = format!("{wanted}_{repeat}");
    }
    name
}

fn check_steps(plan: &LogicalPlan, name: &TableName) -> Result<usize> {
    let mut steps = 0;
    plan.apply_with_subqueries(|_| {
        steps += 1;
        Ok(if steps > STEPS_MAX { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    if steps > STEPS_MAX {
        return Err(QueryError::binder(format_args!(
            "the view \"{}\" takes more than {STEPS_MAX} steps with the views in it",
            name.table
        )));
    }
    Ok(steps)
}

/// `CREATE VIEW`, given the text of its query.
pub(crate) async fn create(session: &mut Session, create: &CreateView, text: String) -> Result<Output> {
    check_supported(create)?;
    check_is_query(&create.query.body)?;
    let core = Arc::clone(&session.core);
    let _others_wait = core.ddl.lock().await;
    for _ in 0..session.attempts() {
        let changes = create_changes(session, create, &text).await?;
        if changes.is_empty() {
            return Ok(changed_nothing());
        }
        match session.apply(changes).await {
            Ok(_) => return Ok(changed_nothing()),
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(conflict())
}

fn check_supported(create: &CreateView) -> Result<()> {
    if create.or_replace && create.if_not_exists {
        return Err(QueryError::parser("CREATE OR REPLACE VIEW takes no IF NOT EXISTS"));
    }
    let refused = [
        (create.materialized, "CREATE MATERIALIZED VIEW"),
        (create.temporary, "CREATE TEMPORARY VIEW"),
        (create.options != CreateTableOptions::None || !create.cluster_by.is_empty(), "CREATE VIEW with options"),
        (
            create.or_alter
                || create.secure
                || create.comment.is_some()
                || create.with_no_schema_binding
                || create.copy_grants
                || create.to.is_some()
                || create.params.is_some()
                || create.columns.iter().any(|column| column.data_type.is_some() || column.options.is_some()),
            "this form of CREATE VIEW",
        ),
    ];
    match refused.iter().find(|(present, _)| *present) {
        Some((_, what)) => Err(QueryError::not_implemented(format_args!("{what} is not supported yet"))),
        None => Ok(()),
    }
}

/// None if the view is there and that is fine.
async fn create_changes(session: &Session, create: &CreateView, text: &str) -> Result<Vec<Change>> {
    let snapshot = session.snapshot();
    let catalog = snapshot.catalog();
    let parts = parts(&create.name)?;
    let name = table_name(catalog, &session.defaults, &parts)?;
    session.check_writable(&name.database)?;
    if is_temp(&name.database) {
        return Err(QueryError::not_implemented("CREATE TEMPORARY VIEW is not supported yet"));
    }
    let mut changes = missing_schema(catalog, &name, &parts)?;
    if catalog.table(&name.database, &name.schema, &name.table).is_some() {
        return Err(QueryError::catalog(format_args!(
            "Existing object {} is of type Table, trying to replace with type View",
            name.table
        )));
    }
    let existing = catalog.view(&name.database, &name.schema, &name.table);
    if existing.is_some() && create.if_not_exists {
        return Ok(Vec::new());
    }
    if existing.is_some() && !create.or_replace {
        return Err(QueryError::catalog(format_args!("View with name \"{}\" already exists!", name.table)));
    }
    let name =
        existing.map_or(name, |existing| TableName { table: existing.name.table.clone(), ..existing.name.clone() });
    let named: Vec<&str> = create.columns.iter().map(|column| column.name.value.as_str()).collect();
    let placeholder = |name: &&str| ViewColumn { name: (*name).to_owned(), type_name: String::new(), comment: None };
    let mut view = View {
        name,
        query: text.to_owned(),
        home_database: session.defaults.database.clone(),
        home_schema: session.defaults.schema.clone(),
        columns_named: !named.is_empty(),
        columns: named.iter().map(placeholder).collect(),
        comment: None,
    };
    view.columns = columns(session, &snapshot, &view).await?;
    changes.push(Change::CreateView { view: Arc::new(view), replace: create.or_replace });
    Ok(changes)
}

/// The columns a view has now.
pub(crate) async fn columns(session: &Session, snapshot: &Snapshot, view: &View) -> Result<Vec<ViewColumn>> {
    let named = view.columns.len();
    let planned = match plan(session, snapshot, view, &[]).await {
        Err(error) if view.columns_named && error.message.contains("Contents of view") => {
            return Err(QueryError::binder(format_args!("More VIEW aliases than columns in query result: {named}")));
        }
        planned => planned?,
    };
    let fields = planned.plan.schema().fields();
    let columns = fields.iter().zip(planned.names).map(|(field, name)| {
        let type_name = crate::show::type_name(field)?;
        Ok(ViewColumn { name, type_name, comment: None })
    });
    columns.collect()
}

/// The view of a name.
///
/// # Errors
/// `Catalog Error` if there is none, or a table.
pub(crate) fn stored_view<'a>(catalog: &'a Catalog, defaults: &Defaults, parts: &[&str]) -> Result<&'a Arc<View>> {
    match find_table(catalog, defaults, parts) {
        Ok(Target::View(view)) => Ok(view),
        Ok(_) => Err(QueryError::catalog(format_args!("Existing object {} is not of type View", parts.join(".")))),
        Err(error) => Err(QueryError { message: error.message.replacen("Table", "View", 1), ..error }),
    }
}

/// `DROP VIEW`.
pub(crate) fn drop(session: &Session, catalog: &Catalog, parts: &[&str]) -> Result<Vec<Change>> {
    let view = stored_view(catalog, &session.defaults, parts)?;
    session.check_writable(&view.name.database)?;
    Ok(vec![Change::DropView { name: view.name.clone() }])
}

/// `ALTER VIEW … RENAME TO`.
pub(crate) fn rename(session: &Session, catalog: &Catalog, parts: &[&str], to: &Ident) -> Result<Vec<Change>> {
    let view = stored_view(catalog, &session.defaults, parts)?;
    session.check_writable(&view.name.database)?;
    let name = TableName { table: to.value.clone(), ..view.name.clone() };
    let taken = find_table(catalog, &session.defaults, &[&name.database, &name.schema, &name.table]).is_ok();
    if taken && !same_name(&name.table, &view.name.table) {
        return Err(QueryError::catalog(format_args!("\"{}\" already exists!", name.table)));
    }
    let renamed = View { name, ..view.as_ref().clone() };
    Ok(vec![
        Change::DropView { name: view.name.clone() },
        Change::CreateView { view: Arc::new(renamed), replace: false },
    ])
}
