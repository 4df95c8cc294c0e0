//! Names as DuckDB compares them: without regard to case, quoted or not.
//!
//! DataFusion compares names exactly. So before planning, every name of a statement that stands for the same thing gets one
//! spelling: that of the column or alias it refers to. Tables then show their columns under these spellings.
//!
//! **Invariants**
//! 1. Within a statement, names that are equal without regard to case are equal.
//! 2. Every table that exists is named by its full, stored name; one that does not exist is an error here, not later.
//!
//! It does not know which name refers to what: a subquery's alias that equals some column but for its case gets that
//! column's spelling. The outermost SELECT's aliases are put back by [`crate::output_names`].

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast::*;
use siltstone_storage::{Catalog, LogicalType, Table, View, folded_name};

use crate::QueryError;
use crate::error::Result;
use crate::files::is_file_table;
use crate::syntax::table_alias;
use crate::system_tables;
use crate::table_form::TableForm;
use crate::volatile::{self, TEMP_SCHEMA, is_temp};

/// Name of the schema that describes all others.
pub(crate) const INFORMATION_SCHEMA: &str = "information_schema";

/// Where unqualified names live.
#[derive(Clone, Debug)]
pub(crate) struct Defaults {
    pub(crate) database: String,
    pub(crate) schema: String,
}

/// The one spelling of each name of a statement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spelling {
    names: HashMap<String, String>,
}

impl Spelling {
    /// The spelling under which `name` is planned; unknown names are folded.
    pub(crate) fn of(&self, name: &str) -> String {
        let folded = folded_name(name);
        self.names.get(&folded).cloned().unwrap_or(folded)
    }

    fn define(&mut self, name: &str) {
        self.names.entry(folded_name(name)).or_insert_with(|| name.to_owned());
    }
}

/// The identifiers of a name, outermost first.
pub(crate) fn parts(name: &ObjectName) -> Result<Vec<&str>> {
    name.0
        .iter()
        .map(|part| match part {
            ObjectNamePart::Identifier(ident) => Ok(ident.value.as_str()),
            ObjectNamePart::Function(function) => {
                Err(QueryError::not_implemented(format_args!("computed names are not supported: {function}")))
            }
        })
        .collect()
}

/// What a table's name refers to.
pub(crate) enum Target<'a> {
    /// A stored table.
    Table(&'a Arc<Table>),
    /// A stored view.
    View(&'a Arc<View>),
    /// A table without rows of its own: one of `information_schema`, what the engine says of itself, or files.
    Computed { database: String, schema: String, table: String },
}

impl Target<'_> {
    /// Database, schema and table.
    pub(crate) fn full_name(&self) -> [&str; 3] {
        match self {
            Self::Table(table) => [&table.name.database, &table.name.schema, &table.name.table],
            Self::View(view) => [&view.name.database, &view.name.schema, &view.name.table],
            Self::Computed { database, schema, table } => [database, schema, table],
        }
    }
}

/// Finds the table of a name: `t`, `schema.t`, `database.t` (its default schema) or `database.schema.t`.
///
/// # Errors
/// `Catalog Error` that says which part does not exist.
pub(crate) fn find_table<'a>(catalog: &'a Catalog, defaults: &Defaults, parts: &[&str]) -> Result<Target<'a>> {
    if let [table] = parts {
        if is_file_table(table) {
            let (database, schema) = (defaults.database.clone(), INFORMATION_SCHEMA.to_owned());
            return Ok(Target::Computed { database, schema, table: (*table).to_owned() });
        }
        // Temporary tables come first, as in DuckDB.
        let temporary = volatile::temp_of(catalog).and_then(|temp| catalog.table(temp, TEMP_SCHEMA, table));
        if let Some(temporary) = temporary {
            return Ok(Target::Table(temporary));
        }
    }
    let (database, schema, table) = located(catalog, defaults, parts)?;
    let Some(found) = catalog.database(database) else {
        return Err(unknown_database(database));
    };
    if folded_name(schema) == INFORMATION_SCHEMA {
        let (schema, table) = (INFORMATION_SCHEMA.to_owned(), folded_name(table));
        return Ok(Target::Computed { database: found.name().to_owned(), schema, table });
    }
    if let Some(table) = catalog.table(database, schema, table) {
        return Ok(Target::Table(table));
    }
    if let Some(view) = catalog.view(database, schema, table) {
        return Ok(Target::View(view));
    }
    match found.schema(schema) {
        Some(home) if system_tables::exists(database, home.name(), table) => Ok(Target::Computed {
            database: found.name().to_owned(),
            schema: home.name().to_owned(),
            table: folded_name(table),
        }),
        _ => Err(unknown_table(table)),
    }
}

/// Database, schema and table of a name, as `t`, `schema.t`, `database.t` or `database.schema.t`.
///
/// # Errors
/// `Binder Error` for more parts.
pub(crate) fn located<'a>(
    catalog: &'a Catalog,
    defaults: &'a Defaults,
    parts: &[&'a str],
) -> Result<(&'a str, &'a str, &'a str)> {
    let here = defaults.database.as_str();
    Ok(match parts {
        [table] => (here, defaults.schema.as_str(), *table),
        [first, table] if catalog.database(here).is_none_or(|database| database.schema(first).is_none()) => {
            match volatile::database(catalog, first) {
                Ok(database) if is_temp(database) => (database, TEMP_SCHEMA, *table),
                Ok(database) => (database, defaults.schema.as_str(), *table),
                Err(_) => (here, *first, *table),
            }
        }
        [schema, table] => (here, *schema, *table),
        [database, schema, table] => (volatile::database(catalog, database).unwrap_or(database), *schema, *table),
        _ => return Err(QueryError::binder(format_args!("a table name has up to three parts: {}", parts.join(".")))),
    })
}

/// The stored table of a name, to be changed.
///
/// # Errors
/// `Catalog Error` if there is none, `Binder Error` for a table without rows of its own.
pub(crate) fn stored_table<'a>(catalog: &'a Catalog, defaults: &Defaults, name: &ObjectName) -> Result<&'a Arc<Table>> {
    stored_table_of(catalog, defaults, &parts(name)?)
}

/// [`stored_table`] of a name's parts.
///
/// # Errors
/// As there.
pub(crate) fn stored_table_of<'a>(catalog: &'a Catalog, defaults: &Defaults, parts: &[&str]) -> Result<&'a Arc<Table>> {
    match find_table(catalog, defaults, parts)? {
        Target::Table(table) => Ok(table),
        Target::View(view) => Err(QueryError::catalog(format_args!(
            "Existing object {} is of type View, not of type Table",
            view.name.table
        ))),
        Target::Computed { schema, table, .. } => {
            Err(QueryError::binder(format_args!("{schema}.{table} cannot be changed")))
        }
    }
}

pub(crate) fn unknown_database(name: &str) -> QueryError {
    QueryError::catalog(format_args!("Catalog \"{name}\" does not exist!"))
}

pub(crate) fn unknown_schema(name: &str) -> QueryError {
    QueryError::catalog(format_args!("Schema with name {name} does not exist!"))
}

pub(crate) fn unknown_table(name: &str) -> QueryError {
    QueryError::catalog(format_args!("Table with name {name} does not exist!"))
}

/// Gives every name of `node` its one spelling and every table its full name; `more_columns` are those of its views and files.
///
/// # Errors
/// `Catalog Error` for a table that does not exist, `Binder Error` for a bad version.
pub(crate) fn resolve<'a, N: Visit + VisitMut>(
    node: &mut N,
    catalog: &Catalog,
    defaults: &Defaults,
    more_columns: impl Iterator<Item = &'a str>,
) -> Result<Spelling> {
    let mut collector = Collector {
        catalog,
        defaults,
        ctes: HashSet::new(),
        spelling: Spelling::default(),
        aliases: Vec::new(),
        fields: Vec::new(),
    };
    if let ControlFlow::Break(error) = Visit::visit(node, &mut collector) {
        return Err(error);
    }
    let Collector { ctes, mut spelling, aliases, fields, .. } = collector;
    more_columns.for_each(|name| spelling.define(name));
    for name in aliases.iter().chain(&fields) {
        spelling.define(name);
    }
    let mut rewriter = Rewriter { catalog, defaults, ctes: &ctes, spelling: &spelling };
    match VisitMut::visit(node, &mut rewriter) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(spelling),
    }
}

/// First walk: what names there are. Columns of tables decide spellings, then aliases, then fields of structs.
struct Collector<'a> {
    catalog: &'a Catalog,
    defaults: &'a Defaults,
    ctes: HashSet<String>,
    spelling: Spelling,
    aliases: Vec<String>,
    fields: Vec<String>,
}

impl Collector<'_> {
    fn alias(&mut self, alias: &TableAlias) {
        self.aliases.push(alias.name.value.clone());
        self.aliases.extend(alias.columns.iter().map(|column| column.name.value.clone()));
    }

    fn table(&mut self, name: &ObjectName) -> Result<()> {
        let parts = parts(name)?;
        match find_table(self.catalog, self.defaults, &parts) {
            Ok(Target::Table(table)) => {
                for column in table.schema().columns() {
                    self.spelling.define(&column.name);
                    self.struct_fields(&column.logical_type);
                }
                self.aliases.push(table.name.table.clone());
                Ok(())
            }
            Ok(Target::View(view)) => {
                view.columns.iter().for_each(|column| self.spelling.define(&column.name));
                self.aliases.push(view.name.table.clone());
                Ok(())
            }
            Ok(Target::Computed { .. }) => Ok(()),
            Err(_) if parts.len() == 1 && self.ctes.contains(&folded_name(parts[0])) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn struct_fields(&mut self, ty: &LogicalType) {
        match ty {
            LogicalType::List(item) | LogicalType::Array(item, _) => self.struct_fields(item),
            LogicalType::Map(parts) => self.struct_fields(&parts.1),
            LogicalType::Struct(fields) => {
                for (name, ty) in fields {
                    self.fields.push(name.clone());
                    self.struct_fields(ty);
                }
            }
            _ => {}
        }
    }
}

fn flow(result: Result<()>) -> ControlFlow<QueryError> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

impl Visitor for Collector<'_> {
    type Break = QueryError;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<QueryError> {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.ctes.insert(folded_name(&cte.alias.name.value));
            self.alias(&cte.alias);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<QueryError> {
        for item in &select.projection {
            if let SelectItem::ExprWithAlias { alias, .. } = item {
                self.aliases.push(alias.value.clone());
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<QueryError> {
        if let Some(alias) = factor_alias(factor) {
            self.alias(alias);
        }
        match factor {
            TableFactor::Table { name, args: None, .. } => flow(self.table(name)),
            _ => ControlFlow::Continue(()),
        }
    }
}

fn factor_alias(factor: &TableFactor) -> Option<&TableAlias> {
    match factor {
        TableFactor::Table { alias, .. }
        | TableFactor::Derived { alias, .. }
        | TableFactor::TableFunction { alias, .. }
        | TableFactor::Function { alias, .. }
        | TableFactor::UNNEST { alias, .. }
        | TableFactor::NestedJoin { alias, .. }
        | TableFactor::Pivot { alias, .. }
        | TableFactor::Unpivot { alias, .. } => alias.as_ref(),
        _ => None,
    }
}

fn factor_alias_mut(factor: &mut TableFactor) -> Option<&mut TableAlias> {
    match factor {
        TableFactor::Table { alias, .. }
        | TableFactor::Derived { alias, .. }
        | TableFactor::TableFunction { alias, .. }
        | TableFactor::Function { alias, .. }
        | TableFactor::UNNEST { alias, .. }
        | TableFactor::NestedJoin { alias, .. }
        | TableFactor::Pivot { alias, .. }
        | TableFactor::Unpivot { alias, .. } => alias.as_mut(),
        _ => None,
    }
}

/// Second walk: every identifier gets its spelling, every table its full name.
struct Rewriter<'a> {
    catalog: &'a Catalog,
    defaults: &'a Defaults,
    ctes: &'a HashSet<String>,
    spelling: &'a Spelling,
}

impl Rewriter<'_> {
    fn ident(&self, ident: &mut Ident) {
        ident.value = self.spelling.of(&ident.value);
    }

    fn object(&self, name: &mut ObjectName) {
        for part in &mut name.0 {
            if let ObjectNamePart::Identifier(ident) = part {
                self.ident(ident);
            }
        }
    }

    fn alias(&self, alias: &mut TableAlias) {
        self.ident(&mut alias.name);
        for column in &mut alias.columns {
            self.ident(&mut column.name);
        }
    }

    fn wildcard(&self, options: &mut WildcardAdditionalOptions) {
        match &mut options.opt_exclude {
            Some(ExcludeSelectItem::Single(name)) => self.object(name),
            Some(ExcludeSelectItem::Multiple(names)) => names.iter_mut().for_each(|name| self.object(name)),
            None => {}
        }
        for element in options.opt_replace.iter_mut().flat_map(|replace| &mut replace.items) {
            self.ident(&mut element.column_name);
        }
    }

    /// The full names of the tables without alias that a SELECT reads directly.
    fn full_names(&self, from: &[TableWithJoins]) -> Vec<[String; 3]> {
        let factors = from
            .iter()
            .flat_map(|tables| [&tables.relation].into_iter().chain(tables.joins.iter().map(|join| &join.relation)));
        let found = factors.filter_map(|factor| match factor {
            TableFactor::Table { name, alias: None, args: None, version: None, .. } => {
                let parts = parts(name).ok()?;
                if parts.len() == 1 && self.ctes.contains(&folded_name(parts[0])) {
                    return None;
                }
                let target = find_table(self.catalog, self.defaults, &parts).ok()?;
                Some(target.full_name().map(|part| self.spelling.of(part)))
            }
            _ => None,
        });
        found.collect()
    }

    fn table(
        &self,
        name: &mut ObjectName,
        version: &mut Option<TableVersion>,
        alias: &mut Option<TableAlias>,
    ) -> Result<()> {
        let form = version.take().map(|version| TableForm::of_version(&version)).transpose()?;
        let parts = parts(name)?;
        let target = match find_table(self.catalog, self.defaults, &parts) {
            // A CTE hides a table of the same name.
            _ if parts.len() == 1 && self.ctes.contains(&folded_name(parts[0])) && form.is_none() => {
                self.object(name);
                return Ok(());
            }
            found => found?,
        };
        if let (Target::View(view), Some(_)) = (&target, form) {
            return Err(QueryError::binder(format_args!("only tables have versions: {}", view.name.table)));
        }
        let [database, schema, table] = target.full_name();
        let table = self.spelling.of(table);
        let planned = form.map_or_else(|| table.clone(), |form| form.name(&table));
        if form.is_some() && alias.is_none() {
            *alias = Some(table_alias(Ident::new(table)));
        }
        let full = [self.spelling.of(database), self.spelling.of(schema), planned];
        *name = ObjectName::from(full.map(Ident::new).to_vec());
        Ok(())
    }
}

impl VisitorMut for Rewriter<'_> {
    type Break = QueryError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<QueryError> {
        for cte in query.with.iter_mut().flat_map(|with| &mut with.cte_tables) {
            self.alias(&mut cte.alias);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<QueryError> {
        let tables = self.full_names(&select.from);
        for item in &mut select.projection {
            match item {
                SelectItem::ExprWithAlias { alias, .. } => self.ident(alias),
                SelectItem::Wildcard(options) => self.wildcard(options),
                SelectItem::QualifiedWildcard(kind, options) => {
                    if let SelectItemQualifiedWildcardKind::ObjectName(name) = kind {
                        self.object(name);
                        complete(name, &tables);
                    }
                    self.wildcard(options);
                }
                SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAliases { .. } => {}
            }
        }
        for join in select.from.iter_mut().flat_map(|from| &mut from.joins) {
            if let Some(JoinConstraint::Using(columns)) = constraint_mut(&mut join.join_operator) {
                columns.iter_mut().for_each(|column| self.object(column));
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<QueryError> {
        if let Some(alias) = factor_alias_mut(factor) {
            self.alias(alias);
        }
        match factor {
            TableFactor::Table { name, alias, args: None, version, .. } => flow(self.table(name, version, alias)),
            TableFactor::NestedJoin { table_with_joins, .. } => {
                for join in &mut table_with_joins.joins {
                    if let Some(JoinConstraint::Using(columns)) = constraint_mut(&mut join.join_operator) {
                        columns.iter_mut().for_each(|column| self.object(column));
                    }
                }
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<QueryError> {
        match expr {
            Expr::Identifier(ident) => self.ident(ident),
            Expr::CompoundIdentifier(idents) => idents.iter_mut().for_each(|ident| self.ident(ident)),
            Expr::QualifiedWildcard(name, _) => self.object(name),
            Expr::Lambda(lambda) => match &mut lambda.params {
                OneOrManyWithParens::One(parameter) => self.ident(&mut parameter.name),
                OneOrManyWithParens::Many(parameters) => {
                    parameters.iter_mut().for_each(|parameter| self.ident(&mut parameter.name));
                }
            },
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Makes the name before a `.*` that of the table it ends like: a plan knows tables without alias by their full names only.
fn complete(name: &mut ObjectName, tables: &[[String; 3]]) {
    let found = parts(name).ok().and_then(|parts| {
        let is_end_of = |table: &&[String; 3]| {
            parts.len() <= table.len() && table[table.len() - parts.len()..].iter().zip(&parts).all(|(a, b)| a == b)
        };
        tables.iter().find(is_end_of)
    });
    if let Some(table) = found {
        *name = ObjectName::from(table.clone().map(Ident::new).to_vec());
    }
}

fn constraint_mut(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::CrossJoin(constraint)
        | JoinOperator::Semi(constraint)
        | JoinOperator::LeftSemi(constraint)
        | JoinOperator::RightSemi(constraint)
        | JoinOperator::Anti(constraint)
        | JoinOperator::LeftAnti(constraint)
        | JoinOperator::RightAnti(constraint) => Some(constraint),
        _ => None,
    }
}
